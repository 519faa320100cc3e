"""Recorded and documented messages of Gate.io, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openmm.instrument import Instrument
from openmm.venues.gateio.venue import read_pair

FILES = (
    "official_ws_public", "official_ws_private", "official_ws_trading_api",
    "capture_ws_trading_api_2024", "capture_misc", "hummingbot_mocks",
)  # fmt: skip


def load(shared: Path, name: str) -> Any:
    """Read one file of samples."""
    return json.loads((shared / "venues" / "samples" / "gateio" / f"{name}.json").read_bytes())


def messages(shared: Path, *names: str, direction: str = "") -> dict[str, bytes]:
    """Return every message of some files, or those of one direction, by `file:name`."""
    found = {}
    for name in names or FILES:
        body = load(shared, name)
        for row in [*body.get("messages", []), *body.get("frames", [])]:
            if direction and row.get("direction") != direction:
                continue
            raw = row.get("raw") or json.dumps(row["msg"], separators=(",", ":"))
            found[f"{name}:{row['name']}"] = raw.encode()
    return found


def instrument(
    name: str = "BTC_USDT", price_decimals: int = 2, qty_decimals: int = 4, **more: object
) -> Instrument:
    """Make a pair as the venue would list it."""
    base, quote = name.split("_")
    return read_pair(
        {
            "id": name, "base": base, "quote": quote, "precision": price_decimals,
            "amount_precision": qty_decimals, "trade_status": "tradable",
            "min_quote_amount": "1", **more,
        }
    )  # fmt: skip
