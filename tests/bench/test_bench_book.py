"""The benches of the book with small input: streams are what they say, results are right."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench import bench_book
from bench.book_streams import Stream, binance_spot, synthetic
from tests.oracles import book as oracle


def check(stream: Stream) -> oracle.Book:
    """Apply a stream to the plain book; fail where it is crossed or lacks a side."""
    book = oracle.Book()
    for row in stream.snapshot:
        assert book.apply(*row)
    book.verify()
    for message in stream.messages():
        for row in message:
            assert book.apply(*row)
        book.verify()
    assert book.break_count == 0
    assert book.message_count == len(stream.ends) + 1
    return book


@pytest.mark.parametrize("depth", bench_book.DEPTHS)
def test_synthetic_stream_is_sound_and_keeps_its_depth(depth: int) -> None:
    stream = synthetic(depth, 5_000)
    book = check(stream)
    assert [len(side) for side in book.sides] == [depth, depth]
    assert stream.ends[-1] == len(stream.rows)
    assert len(stream.rows) / len(stream.ends) == pytest.approx(6.4, abs=0.2)


def test_synthetic_stream_walks_and_repeats() -> None:
    first, second = synthetic(25, 20_000), synthetic(25, 20_000)
    assert first.rows == second.rows
    assert first.rows != synthetic(25, 20_000, seed=12).rows
    best = check(first).best(0)
    assert best is not None
    assert abs(best - 600_000) > 20


@pytest.mark.parametrize("depth", bench_book.DEPTHS)
def test_both_books_of_the_bench_read_the_same_prices(depth: int) -> None:
    stream = synthetic(depth, 3_000)
    replay = bench_book.replayer(stream)
    assert replay() == replay() == bench_book.plain(stream)


def test_recorded_stream_is_sound_and_read_alike(shared: Path) -> None:
    stream = binance_spot(shared / "data" / "binance" / "spot_btcusdt_20240808.gz", 150)
    check(stream)
    assert len(stream.ends) == 150
    assert bench_book.replayer(stream)() == bench_book.plain(stream)


def test_depth_ratio_is_a_ratio() -> None:
    ratio = bench_book.depth_ratio(rounds=3, rows=500)
    assert math.isfinite(ratio)
    assert ratio > 0
