"""The benches of Kraken's wire with small input: frames are what they say, results are right."""

from __future__ import annotations

import pytest

from bench import bench_kraken
from bench.kraken_frames import generated
from openmm.testing.workload import NARROW, WIDE, Mix


@pytest.mark.parametrize(("mix", "least", "most"), [(NARROW, 1.0, 1.6), (WIDE, 6.0, 7.2)])
def test_generated_frames_verify_and_carry_their_levels(
    mix: Mix, least: float, most: float
) -> None:
    frames = bench_kraken.checked(generated(mix, 400))
    assert least <= frames.levels <= most


def test_recorded_frames_are_mostly_of_one_level(shared: object) -> None:
    frames = bench_kraken.recorded_or_skip()
    assert bench_kraken.checked(frames).levels < 2
    assert len(frames.frames) == 2052


def test_unverified_decoder_ends_with_the_same_book() -> None:
    frames = generated(WIDE, 200)
    verified, verified_book = bench_kraken.decoder_of(frames)
    plain, plain_book = bench_kraken.decoder_of(frames, verify=False)
    assert verified.decode_many(frames.frames) == plain.decode_many(frames.frames) == 200
    assert verified_book.levels(0) == plain_book.levels(0)
