"""The benches of venues' decoders with small input: frames are what they say, results are right."""

from __future__ import annotations

import math

import pytest

from bench.peer_venues import measure
from bench.venue_decoders import decoder_of
from bench.venue_frames import FEEDS, generated
from openmm._fast.book import BookState
from openmm.testing.workload import NARROW, WIDE, Mix


@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize(("mix", "least", "most"), [(NARROW, 1.0, 2.5), (WIDE, 5.0, 7.0)])
def test_generated_frames_follow_one_another_and_carry_their_levels(
    feed: str, mix: Mix, least: float, most: float
) -> None:
    frames = generated(feed, mix, 300)
    decoder, book = decoder_of(frames)
    assert decoder.decode_many(frames.frames) == len(frames.frames) == 299
    assert book.state is BookState.BOOK_VERIFIED
    assert decoder.counters["gaps"] == decoder.counters["again"] == 0
    assert decoder.counters["book_updates"] == 300
    assert decoder.counters["checksums_ok"] == (300 if feed == "bitget_checksum" else 0)
    assert least <= frames.level_count / len(frames.frames) <= most


@pytest.mark.parametrize("feed", FEEDS)
def test_plain_reader_ends_with_our_best_prices(feed: str) -> None:
    found = dict(measure(generated(feed, WIDE, 300), "wide", 1))
    assert math.isfinite(found[f"{feed}/orjson_sorteddict/wide"])
