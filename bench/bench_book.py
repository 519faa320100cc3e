"""One level update of the book, with the best read after each message: ours, and against its peers.

`pytest bench/bench_book.py` times the kernel and the plain book of the tests; `python -m bench
--only bench_book` measures the gates, the peers in an environment of their own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from array import array
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.book_streams import Stream, binance_spot, shared_data, synthetic, table
from bench.peers import ROOT, peers_python
from openmm._fast.book import Book
from tests.oracles import book as oracle

DEPTHS = (25, 100, 1000)
PEER_TIMEOUT_S = 600


def replayer(stream: Stream) -> Callable[[], tuple[int, int]]:
    """Return a function that replays a stream from its snapshot: sums of the best prices read."""
    snapshot, rows, ends = table(stream.snapshot), table(stream.rows), array("q", stream.ends)
    book = Book()

    def prepare() -> tuple[int, int]:
        book.catch_up()
        book.apply_many(snapshot)
        return book.replay(rows, ends)

    return prepare


def plain(stream: Stream) -> tuple[int, int]:
    """Replay a stream through the plain book of the tests."""
    book = oracle.Book()
    for row in stream.snapshot:
        book.apply(*row)
    bid_sum = ask_sum = 0
    for message in stream.messages():
        for row in message:
            book.apply(*row)
        bid, ask = book.best(0), book.best(1)
        assert bid is not None
        assert ask is not None
        bid_sum, ask_sum = bid_sum + bid, ask_sum + ask
    return bid_sum, ask_sum


def recorded(messages: int | None = None) -> Stream:
    """Return the recorded Binance spot stream; skip the benchmark without the data."""
    data = shared_data()
    if data is None:
        pytest.skip("recorded data is absent")
    return binance_spot(data / "binance" / "spot_btcusdt_20240808.gz", messages)


@pytest.mark.benchmark(group="book: 20,000 level updates, best read after each message")
@pytest.mark.parametrize("depth", DEPTHS)
def test_ladder_synthetic(benchmark: BenchmarkFixture, depth: int) -> None:
    """Time our ladder."""
    stream = synthetic(depth, 20_000)
    assert benchmark(replayer(stream)) == plain(stream)


@pytest.mark.benchmark(group="book: 20,000 level updates, best read after each message")
@pytest.mark.parametrize("depth", DEPTHS)
def test_sorted_dict_synthetic(benchmark: BenchmarkFixture, depth: int) -> None:
    """Time the plain book, for the scale."""
    stream = synthetic(depth, 20_000)
    read = benchmark.pedantic(plain, (stream,), rounds=3)  # type: ignore[no-untyped-call]
    assert read == replayer(stream)()


@pytest.mark.benchmark(group="book: 200 recorded messages of Binance spot")
def test_ladder_recorded(benchmark: BenchmarkFixture) -> None:
    """Time our ladder on real changes, many of them far from the market."""
    stream = recorded(200)
    assert benchmark(replayer(stream)) == plain(stream)


def depth_ratio(rounds: int = 21, rows: int = 50_000) -> float:
    """Return our cost of a level 1,000 deep over that 25 deep: median of interleaved rounds."""
    timers = []
    for depth in (25, 1000):
        stream = synthetic(depth, rows)
        timers.append((table(stream.snapshot), table(stream.rows), array("q", stream.ends), Book()))
    ratios = []
    for _ in range(rounds):
        took = []
        for snapshot, changes, ends, book in timers:
            book.catch_up()
            book.apply_many(snapshot)
            start = time.thread_time_ns()
            book.replay(changes, ends)
            took.append((time.thread_time_ns() - start) / len(changes))
        ratios.append(took[1] / took[0])
    return statistics.median(ratios)


def book_ratios() -> dict[str, float]:
    """Time our book against its peers: {"book/<way>/<peer>/<stream>": peer's time over ours}.

    For the two ways of calling them see `bench.peer_books`. Also `<book>_ns` figures, reported
    only, and `book/ladder/depth`, see `depth_ratio`.

    Raises:
        subprocess.CalledProcessError: the peers do not install or run; what they printed is shown.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(peers_python()), "-m", "bench.peer_books"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=PEER_TIMEOUT_S,
    )  # fmt: skip
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    ratios = {
        f"book/{name}/{stream}": value
        for stream, measured in figures.items()
        for name, value in measured.items()
    }
    return ratios | {"book/ladder/depth": depth_ratio()}


def gate_book() -> dict[str, float]:
    """Measure the gates of the book."""
    return book_ratios()
