"""Kraken from bytes to a verified book, and from actions to order bytes.

`pytest bench/bench_kraken.py` times our kernels and the plain decoder of the tests; `python -m
bench --only bench_kraken` measures the gates, the peers in an environment of their own.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.kraken_frames import Frames, generated, recorded
from bench.peers import ROOT, peers_python
from openmm._fast.book import Book
from openmm._fast.planner import ActionKind
from openmm._fast.text import base32
from openmm.testing.workload import NARROW, WIDE, Mix
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.kraken.wire import KrakenDecoder
from tests.oracles.kraken import OracleBook

PEER_TIMEOUT_S = 900
GROUP = "kraken: bytes to book, a message"


def decoder_of(frames: Frames, verify: bool = True) -> tuple[KrakenDecoder, Book]:
    """Make a decoder bound to a new book."""
    decoder, book = KrakenDecoder(), Book()
    decoder.bind(
        "BTC/USD", 0, book, 1, frames.price_decimals, 1, frames.qty_decimals, frames.depth, verify
    )
    return decoder, book


def checked(frames: Frames) -> Frames:
    """Return frames that our decoder and the plain one agree on to the last level."""
    decoder, book = decoder_of(frames)
    oracle = OracleBook(frames.price_decimals, frames.qty_decimals, frames.depth)
    for data in frames.frames:
        decoder.decode(data)
        oracle.apply(data)
    assert oracle.verified
    assert decoder.counters["checksums_ok"] == len(frames.frames)
    assert decoder.counters["again"] == 0
    assert book.levels(0) == oracle.levels("bids")
    assert book.levels(1) == oracle.levels("asks")
    return frames


def recorded_or_skip() -> Frames:
    """Return the recorded frames; skip the benchmark without the data."""
    frames = recorded()
    if frames is None:
        pytest.skip("recorded data is absent")
    return frames


def run_decoder(benchmark: BenchmarkFixture, frames: Frames, verify: bool) -> None:
    """Time one decoder on one set."""
    decoder, _ = decoder_of(checked(frames), verify)
    assert benchmark(decoder.decode_many, frames.frames) == len(frames.frames)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("verify", [True, False], ids=["verified", "plain"])
@pytest.mark.parametrize("mix", [NARROW, WIDE], ids=["narrow", "wide"])
def test_decode_generated(benchmark: BenchmarkFixture, mix: Mix, verify: bool) -> None:
    """Time our decoder on generated frames."""
    run_decoder(benchmark, generated(mix, 1000), verify)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("verify", [True, False], ids=["verified", "plain"])
def test_decode_recorded(benchmark: BenchmarkFixture, verify: bool) -> None:
    """Time our decoder on recorded frames."""
    run_decoder(benchmark, recorded_or_skip(), verify)


@pytest.mark.benchmark(group=GROUP)
def test_plain_decoder(benchmark: BenchmarkFixture) -> None:
    """Time the plain decoder of the tests, for the scale."""
    frames = generated(WIDE, 300)

    def run() -> bool:
        book = OracleBook(frames.price_decimals, frames.qty_decimals, frames.depth)
        for data in frames.frames:
            book.apply(data)
        return book.verified

    assert benchmark.pedantic(run, rounds=3)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group="kraken: actions to order bytes, 1,000 rounds")
@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (ActionKind.ACTION_PLACE, 1),
        (ActionKind.ACTION_PLACE, 10),
        (ActionKind.ACTION_AMEND, 10),
        (ActionKind.ACTION_CANCEL, 10),
    ],
)
def test_encode(benchmark: BenchmarkFixture, kind: ActionKind, count: int) -> None:
    """Time the encoder."""
    encoder = KrakenEncoder("BTC/USD", 1, 1, 1, 8, "abc", base32(1_750_000_000))
    actions = [(int(kind), 512 + i, 1, 600_000 - i, 1_000_000 + i, True) for i in range(count)]
    size = sum(len(message) for message, _ in encoder.encode(actions, 1_750_000_000_000_000_000))
    # Request ids grow by a digit now and then.
    assert benchmark(encoder.encode_many, actions, 1_750_000_000_000_000_000, 1000) >= 1000 * size


def gate_kraken() -> dict[str, float]:
    """Measure the gates: {"kraken/<verified or plain>/<peer>/<frames>": peer's time over ours}.

    Raises:
        subprocess.CalledProcessError: the peers do not install or run; what they printed is shown.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(peers_python()), "-m", "bench.peer_kraken"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=PEER_TIMEOUT_S,
    )  # fmt: skip
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    return {
        f"kraken/{name}/{frames}": value
        for frames, measured in figures.items()
        for name, value in measured.items()
    }
