"""Recorded and documented messages of Bitget, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openmm.instrument import Instrument
from openmm.venues.bitget.rows import read_pair

FILES = ("ws_public_and_session_docs", "ws_private_docs", "live_captures", "errors", "rest_docs")


def load(shared: Path, name: str) -> Any:
    """Read one file of samples."""
    return json.loads((shared / "venues" / "samples" / "bitget" / f"{name}.json").read_bytes())


def cases(shared: Path, *names: str, direction: str = "") -> dict[str, dict[str, Any]]:
    """Return the cases of some files, or those of one direction, by `file:name`."""
    return {
        f"{name}:{case['name']}": case
        for name in names or FILES
        for case in load(shared, name)["cases"]
        if not direction or case["direction"] == direction
    }


def dump(value: object) -> bytes:
    """Write a message as the venue does."""
    return json.dumps(value, separators=(",", ":")).encode()


def instrument(
    symbol: str = "BTCUSDT", price_decimals: int = 2, qty_decimals: int = 6, **more: object
) -> Instrument:
    """Make a pair as the venue would list it."""
    row = {
        "symbol": symbol, "baseCoin": symbol.removesuffix("USDT"), "quoteCoin": "USDT",
        "pricePrecision": str(price_decimals), "quantityPrecision": str(qty_decimals),
        "minTradeUSDT": "1", "status": "online",
    }  # fmt: skip
    return read_pair(row | more)


def pairs() -> dict[str, Instrument]:
    """Return the pairs of the samples, by the venue's symbol."""
    return {
        "BTCUSDT": instrument(),
        "ETHUSDT": instrument("ETHUSDT"),
        "EOSUSDT": instrument("EOSUSDT", 5, 4),
        "DOGEUSDT": instrument("DOGEUSDT", 6, 4),
        "LTCUSDT": instrument("LTCUSDT", 2, 4),
        "BGBUSDT": instrument("BGBUSDT", 4, 4),
    }
