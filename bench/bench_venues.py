"""Gate.io, Bitget, Binance and Coinbase from bytes to book.

`pytest bench/bench_venues.py` times our decoders; `python -m bench --only bench_venues` counts the
instructions that the gates ask for, and measures against a plain Python reader in an environment
of its own. Kraken and MEXC have benches of their own.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import tempfile
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.peers import ROOT, peers_python
from bench.venue_decoders import decoder_of
from bench.venue_frames import FEEDS, generated
from openmm._fast.book import Book, BookState
from openmm.testing.callgrind import run_sections
from openmm.testing.workload import NARROW, WIDE, Mix

SCRIPT = ROOT / "bench" / "count_venues.py"
PEER_TIMEOUT_S = 900
WARM, SHORT, LONG = 199, 500, 2_500


@pytest.mark.benchmark(group="venues: bytes to book, a message")
@pytest.mark.parametrize("feed", FEEDS)
@pytest.mark.parametrize("mix", [NARROW, WIDE], ids=["narrow", "wide"])
def test_decode(benchmark: BenchmarkFixture, feed: str, mix: Mix) -> None:
    """Time our decoder on generated frames."""
    frames = generated(feed, mix, 1000)

    def run() -> Book:
        decoder, book = decoder_of(frames)
        decoder.decode_many(frames.frames)
        return book

    assert benchmark(run).state is BookState.BOOK_VERIFIED


def gate_venues() -> dict[str, float]:
    """Measure the gates: {"<feed>/orjson_sorteddict/<mix>": a plain reader's time over ours}.

    Raises:
        subprocess.CalledProcessError: the peer does not install or run; what it printed is shown.
    """
    done = subprocess.run(
        [str(peers_python()), "-m", "bench.peer_venues"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, check=True,
        timeout=PEER_TIMEOUT_S,
    )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def gate_venues_instructions() -> dict[str, float]:
    """Count instructions of a message under callgrind."""
    messages = 1 + WARM + SHORT + LONG
    made = {
        f"{feed}_{mix.name}": generated(feed, mix, messages)
        for feed in FEEDS
        for mix in (NARROW, WIDE)
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames"
        file.write_bytes(pickle.dumps(made))
        found = run_sections(
            SCRIPT, [str(file), *map(str, (WARM, SHORT, LONG))], env={"PYTHONPATH": str(ROOT)}
        )
    return {
        f"instructions/decode_{name}": (found[f"{name}/long"] - found[f"{name}/short"]).instructions
        / (LONG - SHORT)
        for name in made
    }
