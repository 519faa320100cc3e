"""Binance and Coinbase frames that decoders are timed on: the canonical market's changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from openmm.testing.workload import Mix, WorkloadSpec, make_workload

DEPTH = 25
VENUES = ("binance", "coinbase")
SYMBOLS = {"binance": "BTCUSDT", "coinbase": "BTC-USD"}


@dataclass(slots=True)
class Frames:
    """A whole book, and the increments behind it."""

    start: bytes
    frames: list[bytes] = field(default_factory=list)
    level_count: int = 0


def generated(venue: str, mix: Mix, messages: int = 4000) -> Frames:
    """Make the frames of one mix. What the workload's depth cuts off stays in these books."""
    spec = WorkloadSpec(
        messages=messages, mix=mix, depth=DEPTH, trade_share=0.0, heartbeat_share=0.0
    )
    out = None
    for at, data in enumerate(make_workload(spec).frames, start=1):
        told = json.loads(data, parse_float=str)["data"][0]
        sides = [[[row["price"], row["qty"]] for row in told[name]] for name in ("bids", "asks")]
        if out is None:
            out = Frames(_start(venue, at, sides))
            continue
        out.frames.append(_increment(venue, at, sides))
        out.level_count += len(sides[0]) + len(sides[1])
    assert out is not None, "a workload begins with a snapshot"
    return out


def _dumps(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _start(venue: str, at: int, sides: list[list[list[str]]]) -> bytes:
    if venue == "coinbase":
        head = {"type": "snapshot", "product_id": SYMBOLS[venue]}
        return _dumps(head | {"asks": sides[1], "bids": sides[0]})
    copy = {"lastUpdateId": at, "bids": sides[0], "asks": sides[1]}
    return _dumps({"stream": f"{SYMBOLS[venue]}@rest", "data": copy})


def _increment(venue: str, at: int, sides: list[list[list[str]]]) -> bytes:
    if venue == "coinbase":
        names = ("buy", "sell")
        changes = [[names[side], *level] for side in (0, 1) for level in sides[side]]
        return _dumps(
            {
                "type": "l2update", "product_id": SYMBOLS[venue], "changes": changes,
                "time": "2021-04-17T16:43:37.075687Z",
            }
        )  # fmt: skip
    data = {
        "e": "depthUpdate", "E": 1_790_281_243_000 + at, "s": SYMBOLS[venue], "U": at, "u": at,
        "b": sides[0], "a": sides[1],
    }  # fmt: skip
    return _dumps({"stream": "btcusdt@depth@100ms", "data": data})
