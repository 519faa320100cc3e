"""Recordings written by hand: a market in Binance's messages, one line each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

MS_NS = 1_000_000
START_NS = 1_750_000_000_000_000_000
Rows = Sequence[tuple[str, str]]  # price, quantity


def _stamp(at_ms: int) -> int:
    """Return the venue's time: milliseconds."""
    return START_NS // MS_NS + at_ms


def copy(at_ms: int, bids: Rows, asks: Rows) -> tuple[int, dict[str, object]]:
    """Tell a whole book."""
    return at_ms, {"lastUpdateId": 0, "bids": bids, "asks": asks}


def levels(at_ms: int, bids: Rows = (), asks: Rows = ()) -> tuple[int, dict[str, object]]:
    """Tell levels that changed."""
    told = {
        "e": "depthUpdate",
        "E": _stamp(at_ms),
        "s": "BTCUSDT",
        "U": 0,
        "u": 0,
        "b": bids,
        "a": asks,
    }
    return at_ms, {"stream": "btcusdt@depth@100ms", "data": told}


def trade(at_ms: int, price: str, qty: str, taker: str) -> tuple[int, dict[str, object]]:
    """Tell a trade; `taker`: buy or sell."""
    told = {
        "e": "trade", "E": _stamp(at_ms), "s": "BTCUSDT", "t": at_ms, "p": price, "q": qty,
        "T": _stamp(at_ms), "m": taker == "sell", "M": True,
    }  # fmt: skip
    return at_ms, {"stream": "btcusdt@trade", "data": told}


def quiet(from_ms: int, until_ms: int) -> list[tuple[int, dict[str, object]]]:
    """Let a far level come and go, ten times a second: signals warm up, nothing moves."""
    return [
        levels(at, [("90.01", f"{1 + at // 100 % 2}.00000")])
        for at in range(from_ms, until_ms, 100)
    ]


def written(path: Path, messages: Iterable[tuple[int, dict[str, object]]]) -> str:
    """Write a recording, its messages in the order of time; return what `--data` takes."""
    lines, number = [], 1
    for at_ms, message in sorted(messages, key=lambda one: one[0]):
        data = message.get("data", message)
        assert isinstance(data, dict)
        if "lastUpdateId" in data:
            data["lastUpdateId"] = number
        elif "U" in data:
            number += 1
            data["U"] = data["u"] = number
        text = json.dumps(message, separators=(",", ":"))
        lines.append(f"{START_NS + at_ms * MS_NS} {text}\n")
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return f"binance:{path}"
