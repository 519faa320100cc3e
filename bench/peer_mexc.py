"""Time MEXC frames from bytes to book: ours, and the `protobuf` package with a plain book.

Runs under the interpreter of `bench.peers`: `python -m bench.peer_mexc [--rounds N]` prints one
JSON object. Every round times both for as long, in turn, on the thread's own clock; a ratio is the
median of its rounds. The peer parses with upb, the compiled parser of the `protobuf` package,
checks that versions follow, keeps floats in a SortedDict a side, and reads both best prices after
each push.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time

from google.protobuf.internal import api_implementation
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from bench.mexc_frames import Frames, decoder_of, generated
from bench.timers import Timer, decoded, in_turn, ratio
from openmm.testing.workload import NARROW, WIDE
from tests.oracles.mexc import push_class


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
    timers = {
        "ours": decoded(lambda: decoder_of(frames), frames.frames),
        "upb_sorteddict": upb_sorted_dict(frames),
    }
    times = in_turn(timers, rounds, frames.name)
    figures = {
        f"{name}_ns": statistics.median(each) / len(frames.frames) for name, each in times.items()
    }
    return figures | {"upb_sorteddict": ratio(times["upb_sorteddict"], times["ours"])}


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
