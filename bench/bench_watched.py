"""Binance and Coinbase from bytes to book.

`pytest bench/bench_watched.py` times our decoders; `python -m bench --only bench_watched` counts
the instructions that the gates ask for.
"""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.peers import ROOT
from bench.watched_frames import SYMBOLS, VENUES, Frames, generated
from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoder
from openmm.testing.callgrind import run_sections
from openmm.testing.workload import NARROW, WIDE, Mix
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.coinbase.wire import CoinbaseDecoder

SCRIPT = ROOT / "bench" / "count_watched.py"
WARM, SHORT, LONG = 199, 500, 2_500


def decoder_of(venue: str, frames: Frames) -> tuple[Decoder, Book]:
    """Make a decoder whose book has begun."""
    decoder: BinanceDecoder | CoinbaseDecoder
    decoder, book = (BinanceDecoder() if venue == "binance" else CoinbaseDecoder()), Book()
    decoder.bind(SYMBOLS[venue], 0, book, 1, 1, 1, 8, 1000)
    decoder.decode(frames.start)
    return decoder, book


@pytest.mark.benchmark(group="watched venues: bytes to book, a message")
@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("mix", [NARROW, WIDE], ids=["narrow", "wide"])
def test_decode(benchmark: BenchmarkFixture, venue: str, mix: Mix) -> None:
    """Time our decoder on generated frames."""
    frames = generated(venue, mix, 1000)

    def run() -> Book:
        decoder, book = decoder_of(venue, frames)
        decoder.decode_many(frames.frames)
        return book

    assert benchmark(run).state is BookState.BOOK_VERIFIED


def gate_watched_instructions() -> dict[str, float]:
    """Count instructions of a message under callgrind."""
    messages = 1 + WARM + SHORT + LONG
    made = {
        (venue, mix.name): generated(venue, mix, messages)
        for venue in VENUES
        for mix in (NARROW, WIDE)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames"
        file.write_bytes(pickle.dumps(made))
        found = run_sections(
            SCRIPT, [str(file), str(SHORT), str(LONG)], env={"PYTHONPATH": str(ROOT)}
        )
    counts = {}
    for venue in VENUES:
        for mix in (NARROW, WIDE):
            name = f"decode_{venue}_{mix.name}"
            more = found[f"{name}/long"] - found[f"{name}/short"]
            counts[f"instructions/{name}"] = more.instructions / (LONG - SHORT)
    return counts
