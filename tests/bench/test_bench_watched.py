"""The benches of watched venues with small input: frames are what they say, results are right."""

from __future__ import annotations

import pytest

from bench.bench_watched import decoder_of
from bench.watched_frames import VENUES, generated
from openmm._fast.book import BookState
from openmm.testing.workload import NARROW, WIDE, Mix


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(("mix", "least", "most"), [(NARROW, 1.0, 2.0), (WIDE, 5.0, 7.0)])
def test_generated_frames_follow_one_another_and_carry_their_levels(
    venue: str, mix: Mix, least: float, most: float
) -> None:
    frames = generated(venue, mix, 300)
    decoder, book = decoder_of(venue, frames)
    assert decoder.decode_many(frames.frames) == len(frames.frames) == 299
    assert book.state is BookState.BOOK_VERIFIED
    assert decoder.counters["gaps"] == decoder.counters["again"] == 0
    assert decoder.counters["book_updates"] == 300
    assert least <= frames.level_count / len(frames.frames) <= most
