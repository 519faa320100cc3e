"""Coinbase as the engine sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal

from openmm._fast.units import Side
from openmm.clock import ManualClock
from openmm.events import RequestRefused, Subscribed
from openmm.venues.coinbase.connector import CoinbaseConnector
from openmm.venues.coinbase.rest import Rest
from openmm.venues.coinbase.venue import CoinbaseVenue

PRODUCT = {
    "id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD", "quote_increment": "0.01",
    "base_increment": "0.00000001", "status": "online",
}  # fmt: skip
TRADE = {"trade_id": 7, "side": "buy", "price": "5.1", "size": "2", "time": "2024-01-01T00:00:01Z"}


class Answers:
    """Answer requests from a table."""

    def __init__(self, replies: Mapping[str, object]) -> None:
        self.replies = replies

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        return 200, json.dumps(self.replies[path]).encode()

    async def close(self) -> None:
        """Nothing is held."""


def rest() -> Rest:
    replies = {
        "/products": [PRODUCT, {"id": "X-Y"}],
        "/products/BTC-USD/trades": [TRADE, TRADE | {"trade_id": 6}],
        "/products/BTC-USD/book": {"bids": [["5.0", "1", 2]], "asks": [["5.2", "1", 1]]},
    }
    return Rest(clock=ManualClock(), round_trip=Answers(replies))


def test_subscriptions_are_asked_for_and_answered() -> None:
    feed = CoinbaseConnector(rest())
    instrument = asyncio.run(feed.rest().instruments(["BTC/USD"]))["BTC/USD"]
    assert instrument.tick_size == Decimal("0.01")
    [asked] = feed.subscribe_market(instrument, 500)
    assert json.loads(asked) == {
        "type": "subscribe", "product_ids": ["BTC-USD"],
        "channels": ["level2_batch", "matches", "heartbeat"],
    }  # fmt: skip
    again = [json.loads(one) for one in feed.resubscribe_book(instrument, 500)]
    assert [(one["type"], one["channels"]) for one in again] == [
        ("unsubscribe", ["level2_batch"]), ("subscribe", ["level2_batch"]),
    ]  # fmt: skip
    answer = b'{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}'
    assert feed.read_public(answer, 1) == [Subscribed("matches")]
    [event] = feed.read_public(b'{"type":"error","message":"Failed","reason":"no"}', 1)
    assert isinstance(event, RequestRefused)
    assert asyncio.run(feed.book_snapshot(instrument, 500)) is None


def test_trades_come_oldest_first_with_the_takers_side() -> None:
    trades = asyncio.run(CoinbaseVenue(rest()).get_trades("BTC/USD"))
    assert [(one.trade_id, one.taker_side) for one in trades] == [(6, Side.SELL), (7, Side.SELL)]
    assert trades[0].ts_ns == 1_704_067_201_000_000_000


def test_the_middle_is_of_the_best_prices() -> None:
    feed = CoinbaseConnector(rest())
    instrument = asyncio.run(feed.rest().instruments(["BTC/USD"]))["BTC/USD"]
    assert asyncio.run(feed.rest().mid(instrument)) == Decimal("5.1")
