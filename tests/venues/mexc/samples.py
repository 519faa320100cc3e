"""Recorded and documented messages of MEXC, and its schema for the `protobuf` package."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm.instrument import Instrument
from openmm.venues.mexc.rows import read_symbol


def load(shared: Path, name: str) -> Any:
    """Read one file of samples."""
    return json.loads((shared / "venues" / "samples" / "mexc" / name).read_bytes())


def pushes(shared: Path) -> list[tuple[str, bytes, dict[str, Any]]]:
    """Return every binary push of the samples: name, bytes, content."""
    found = [
        (one["channel_kind"], bytes.fromhex(one["hex"]), one["decoded"])
        for one in load(shared, "ws_docs_pushes.json")
    ]
    for name in ("frame_bookTicker_100ms", "frame_deals_20260727"):
        raw = (shared / "venues" / "samples" / "mexc" / f"{name}.hex").read_text().strip()
        found.append((name, bytes.fromhex(raw), load(shared, f"{name}.json")["decoded"]))
    for case in load(shared, "depth_sequence_BTCUSDT.json")["cases"]:
        for step in case["steps"]:
            name = f"{case['name']}:{step['name']}"
            found.append((name, bytes.fromhex(step["hex"]), step["decoded"]))
    return found


def rest(shared: Path, name: str) -> Any:
    """Return the body of a documented or captured reply."""
    [found] = [one for one in load(shared, "rest_docs.json") if one["name"] == name]
    return json.loads(found["raw"], parse_float=Decimal) if "raw" in found else found["body"]


def instrument(
    name: str = "BTC/USDT", price_decimals: int = 2, qty_decimals: int = 6, **more: object
) -> Instrument:
    """Make a pair as the venue would list it."""
    base, quote = name.split("/")
    return read_symbol(
        {
            "symbol": base + quote, "status": "1", "baseAsset": base, "quoteAsset": quote,
            "baseAssetPrecision": qty_decimals, "quoteAssetPrecision": price_decimals,
            "isSpotTradingAllowed": True, "permissions": ["SPOT"], "quoteAmountPrecision": "1",
            "baseSizePrecision": "0", "makerCommission": "0", "takerCommission": "0.0005", **more,
        }
    )  # fmt: skip
