"""Time frames of `venue_frames` from bytes to book: ours, and what a Python program would use.

Runs under the interpreter of `bench.peers`: `python -m bench.peer_venues [--rounds N]` prints one
JSON object. Every round times both, in turn, on the thread's own clock; a ratio is the median of
its rounds. The peer parses with orjson and keeps floats in a SortedDict a side; it checks neither
sequence nor checksum and reads both best prices at the end alone: the least it can do.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from bench.venue_decoders import decoder_of
from bench.venue_frames import FEEDS, Frames, generated
from openmm._fast.book import BookState
from openmm.testing.workload import NARROW, WIDE

# A timer returns (nanoseconds, best bid, best ask) after the last frame.
Timer = Callable[[], tuple[int, float, float]]
Rows = list[list[str]]


def ours(frames: Frames) -> Timer:
    """Time our decoder: all frames in one compiled call."""

    def run() -> tuple[int, float, float]:
        decoder, book = decoder_of(frames)
        start = time.thread_time_ns()
        touched = decoder.decode_many(frames.frames)
        took = time.thread_time_ns() - start
        assert touched == len(frames.frames)
        assert book.state is BookState.BOOK_VERIFIED
        assert book.best_bid_ticks is not None
        assert book.best_ask_ticks is not None
        return took, book.best_bid_ticks / 10, book.best_ask_ticks / 10

    return run


def _gateio(message: dict[str, Any]) -> tuple[Rows, Rows]:
    result = message["result"]
    if "b" in result:
        return result["b"], result["a"]
    return result["bids"], result["asks"]


def _bitget(message: dict[str, Any]) -> tuple[Rows, Rows]:
    data = message["data"][0]
    return data["bids"], data["asks"]


def _binance(message: dict[str, Any]) -> tuple[Rows, Rows]:
    data = message["data"]
    if "b" in data:
        return data["b"], data["a"]
    return data["bids"], data["asks"]


def _coinbase(message: dict[str, Any]) -> tuple[Rows, Rows]:
    if message["type"] == "snapshot":
        return message["bids"], message["asks"]
    sides: tuple[Rows, Rows] = ([], [])
    for side, price, qty in message["changes"]:
        sides[side == "sell"].append([price, qty])
    return sides


READERS = {"gateio": _gateio, "bitget": _bitget, "binance": _binance, "coinbase": _coinbase}


def orjson_sorted_dict(frames: Frames) -> Timer:
    """Time orjson and a SortedDict of floats a side."""
    read, loads = READERS[frames.venue], orjson.loads

    def apply(books: tuple[Any, Any], data: bytes) -> None:
        for side, rows in zip(books, read(loads(data)), strict=True):
            for price, qty in rows:
                if lots := float(qty):
                    side[float(price)] = lots
                else:
                    side.pop(float(price), None)

    def run() -> tuple[int, float, float]:
        books = (SortedDict(), SortedDict())
        apply(books, frames.start)
        start = time.thread_time_ns()
        for data in frames.frames:
            apply(books, data)
        took = time.thread_time_ns() - start
        return took, books[0].peekitem(-1)[0], books[1].peekitem(0)[0]

    return run


def measure(frames: Frames, mix: str, rounds: int) -> Iterator[tuple[str, float]]:
    """Time both in turn; yield the ratio and the times of a frame.

    Raises:
        AssertionError: they end with different best prices.
    """
    timers = {"ours": ours(frames), "orjson_sorteddict": orjson_sorted_dict(frames)}
    times: dict[str, list[int]] = {name: [] for name in timers}
    for _ in range(rounds):
        ends = {}
        for name, timer in timers.items():
            took, *ends[name] = timer()
            times[name].append(took)
        assert ends["ours"] == ends["orjson_sorteddict"], (frames.feed, ends)
    for name, each in times.items():
        yield f"{frames.feed}/{name}_ns/{mix}", statistics.median(each) / len(frames.frames)
    pairs = zip(times["orjson_sorteddict"], times["ours"], strict=True)
    ratio = statistics.median(theirs / us for theirs, us in pairs)
    yield f"{frames.feed}/orjson_sorteddict/{mix}", ratio


def main() -> None:
    """Measure every set of frames and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer_venues", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=2000)
    args = parser.parse_args()
    gc.disable()
    print(
        json.dumps(
            {
                name: value
                for feed in FEEDS
                for mix in (NARROW, WIDE)
                for name, value in measure(
                    generated(feed, mix, args.messages), mix.name, args.rounds
                )
            }
        )
    )


if __name__ == "__main__":
    main()
