"""What the engine asks of every venue: a listing with a bad entry still has the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from openmm.config import Venue
from openmm.venues import registry

GATEIO = {
    "id": "BTC_USDT", "base": "BTC", "quote": "USDT", "precision": 1, "amount_precision": 5,
    "trade_status": "tradable",
}  # fmt: skip
BITGET = {
    "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "pricePrecision": "2",
    "quantityPrecision": "6", "minTradeUSDT": "1", "status": "online",
}  # fmt: skip
KRAKEN = {
    "wsname": "XBT/USDT", "altname": "XBTUSDT", "base": "XXBT", "quote": "USDT",
    "pair_decimals": 1, "lot_decimals": 8, "cost_decimals": 5, "tick_size": "0.1",
    "ordermin": "0.0001", "costmin": "0.5", "status": "online", "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
}  # fmt: skip


class Answer:
    """Answer every request with one body."""

    def __init__(self, body: object) -> None:
        self._body = json.dumps(body).encode()

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        return 200, self._body

    async def close(self) -> None:
        """Nothing is held."""


def listing(venue: str, rows: list[dict[str, Any]]) -> object:
    """Write the venue's answer to who is asked for its pairs."""
    if venue == "kraken":
        return {"error": [], "result": {f"pair {number}": row for number, row in enumerate(rows)}}
    return {"code": "00000", "data": rows} if venue == "bitget" else rows


@pytest.mark.parametrize(
    ("venue", "good", "bad"),
    [
        ("kraken", KRAKEN, {"wsname": "A/B/C"}),
        ("kraken", KRAKEN, {"wsname": "ETH/USDT", "pair_decimals": None}),
        ("kraken", KRAKEN, {"wsname": "ETH/USDT", "lot_decimals": 10**9}),
        ("kraken", KRAKEN, {"wsname": "ETH/USDT", "tick_size": "0.03", "pair_decimals": 1}),
        ("gateio", GATEIO, {"id": "ETH_USDT", "precision": 18}),
        ("gateio", GATEIO, {"id": "ETH_USDT", "precision": 10**9}),
        ("gateio", GATEIO, {"id": "ETH_USDT", "amount_precision": None}),
        ("bitget", BITGET, {"symbol": "ETHUSDT", "baseCoin": "ETH", "pricePrecision": "18"}),
        ("bitget", BITGET, {"symbol": "ETHUSDT", "baseCoin": "ETH", "minTradeUSDT": None}),
        ("bitget", BITGET, {"symbol": "ETHUSDT", "baseCoin": "ETH", "quantityPrecision": 10**9}),
    ],
)
def test_pair_that_cannot_be_read_leaves_the_others_listed(
    venue: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    answer = Answer(listing(venue, [good | bad, good]))
    made = Venue(name=venue, reference="BTC/USDT")
    rest = registry.connector(made, None, round_trip=answer).rest()
    assert list(asyncio.run(rest.instruments(["BTC/USDT", "ETH/USDT"]))) == ["BTC/USDT"]
