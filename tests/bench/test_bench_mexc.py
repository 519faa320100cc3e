"""The benches of MEXC's wire with small input: frames are what they say, results are right."""

from __future__ import annotations

import math

import pytest

from bench import peer_mexc
from bench.mexc_frames import decoder_of, generated
from openmm._fast.book import BookState
from openmm.testing.workload import NARROW, WIDE, Mix


@pytest.mark.parametrize(("mix", "least", "most"), [(NARROW, 1.0, 2.0), (WIDE, 5.0, 7.0)])
def test_generated_pushes_follow_their_copy_and_carry_their_levels(
    mix: Mix, least: float, most: float
) -> None:
    frames = generated(mix, 300)
    decoder, book = decoder_of(frames)
    assert decoder.decode_many(frames.frames) == len(frames.frames) == 299
    assert book.state is BookState.BOOK_VERIFIED
    assert decoder.counters["gaps"] == decoder.counters["dropped"] == 0
    assert all(10 < len(book.levels(side)) <= 25 for side in (0, 1))
    assert least <= frames.level_count / len(frames.frames) <= most


def test_both_sides_of_the_ratio_end_with_the_same_prices() -> None:
    found = peer_mexc.measure(generated(NARROW, 200), 1)
    assert math.isfinite(found["upb_sorteddict"])
    assert found["ours_ns"] > 0
