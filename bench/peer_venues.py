"""Time frames of `venue_frames` from bytes to book: ours, and what a Python program would use.

Runs under the interpreter of `bench.peers`: `python -m bench.peer_venues [--rounds N]` prints one
JSON object. Every round times both for as long, in turn, on the thread's own clock; a ratio is the
median of its rounds. The peer parses with orjson and keeps floats in a SortedDict a side; it checks
neither sequence nor checksum and reads both best prices at the end alone: the least it can do.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import orjson
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from bench.timers import Timer, decoded, in_turn, ratio
from bench.venue_decoders import decoder_of
from bench.venue_frames import FEEDS, Frames, generated
from openmm.testing.workload import NARROW, WIDE

Rows = list[list[str]]


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
    timers = {
        "ours": decoded(lambda: decoder_of(frames), frames.frames),
        "orjson_sorteddict": orjson_sorted_dict(frames),
    }
    times = in_turn(timers, rounds, frames.feed)
    for name, each in times.items():
        yield f"{frames.feed}/{name}_ns/{mix}", statistics.median(each) / len(frames.frames)
    found = ratio(times["orjson_sorteddict"], times["ours"])
    yield f"{frames.feed}/orjson_sorteddict/{mix}", found


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
