"""Time MEXC frames from bytes to book: ours, and the `protobuf` package with a plain book.

Runs under the interpreter of `bench.peers`: `python -m bench.peer_mexc [--rounds N]` prints one
JSON object. Every round times both, in turn, on the thread's own clock; a ratio is the median of
its rounds. The peer parses with upb, the compiled parser of the `protobuf` package, checks that
versions follow, keeps floats in a SortedDict a side, and reads both best prices after each push.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable

from google.protobuf.internal import api_implementation
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from bench.mexc_frames import SYMBOL, Frames, generated
from openmm._fast.book import Book, BookState
from openmm.testing.workload import NARROW, WIDE
from openmm.venues.mexc.wire import MexcDecoder
from tests.oracles.mexc import push_class

# A timer returns (nanoseconds, best bid, best ask) after the last frame.
Timer = Callable[[], tuple[int, float, float]]


def ours(frames: Frames) -> Timer:
    """Time our decoder: all frames in one compiled call."""

    def run() -> tuple[int, float, float]:
        decoder, book = MexcDecoder(), Book()
        decoder.bind(SYMBOL, 0, book, 1, 1, 1, 8, 500)
        decoder.decode(frames.copy)
        start = time.thread_time_ns()
        touched = decoder.decode_many(frames.frames)
        took = time.thread_time_ns() - start
        assert touched == len(frames.frames)
        assert book.state is BookState.BOOK_VERIFIED
        assert book.best_bid_ticks is not None
        assert book.best_ask_ticks is not None
        return took, book.best_bid_ticks / 10, book.best_ask_ticks / 10

    return run


def upb_sorted_dict(frames: Frames) -> Timer:
    """Time upb and a SortedDict of floats a side."""
    assert api_implementation.Type() == "upb"
    parse = push_class().FromString
    told = json.loads(frames.copy)["result"]

    def run() -> tuple[int, float, float]:
        bids = SortedDict((float(price), float(qty)) for price, qty in told["bids"])
        asks = SortedDict((float(price), float(qty)) for price, qty in told["asks"])
        version = told["lastUpdateId"]
        best = 0.0
        start = time.thread_time_ns()
        for data in frames.frames:
            push = parse(data)
            body = push.publicAggreDepths
            assert int(body.fromVersion) == version + 1
            version = int(body.toVersion)
            for side, rows in ((asks, body.asks), (bids, body.bids)):
                for row in rows:
                    qty = float(row.quantity)
                    if qty:
                        side[float(row.price)] = qty
                    else:
                        side.pop(float(row.price), None)
            best = bids.peekitem(-1)[0]
            asks.peekitem(0)
        took = time.thread_time_ns() - start
        return took, best, asks.peekitem(0)[0]

    return run


def measure(frames: Frames, rounds: int) -> dict[str, float]:
    """Time both in turn.

    Returns: {"upb_sorteddict": median of the peer's time over ours, "<name>_ns": time of a frame}.
    """
    timers = {"ours": ours(frames), "upb_sorteddict": upb_sorted_dict(frames)}
    times: dict[str, list[int]] = {name: [] for name in timers}
    for _ in range(rounds):
        ends = {}
        for name, timer in timers.items():
            took, *ends[name] = timer()
            times[name].append(took)
        assert ends["ours"] == ends["upb_sorteddict"], ends
    figures = {
        f"{name}_ns": statistics.median(each) / len(frames.frames) for name, each in times.items()
    }
    pairs = zip(times["upb_sorteddict"], times["ours"], strict=True)
    return figures | {"upb_sorteddict": statistics.median(theirs / us for theirs, us in pairs)}


def main() -> None:
    """Measure every set of frames and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.peer_mexc", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=4000)
    args = parser.parse_args()
    gc.disable()
    found = (generated(mix, args.messages) for mix in (NARROW, WIDE))
    print(json.dumps({one.name: measure(one, args.rounds) for one in found}))


if __name__ == "__main__":
    main()
