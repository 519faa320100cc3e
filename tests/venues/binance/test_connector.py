"""Binance as the engine sees it, and as a source in a bot's file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from openmm._fast.book import Book
from openmm._fast.ports import Decoded
from openmm.clock import ManualClock
from openmm.config import Venue
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.events import RequestRefused, Subscribed, Unrecognised
from openmm.instrument import Instrument
from openmm.venues import registry
from openmm.venues.binance.connector import BinanceConnector
from openmm.venues.binance.rest import Rest
from openmm.venues.binance.spec import Settings

SPOT = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
    ],
}  # fmt: skip
COINM = {
    "symbol": "BTCUSD_PERP", "contractStatus": "TRADING", "contractType": "PERPETUAL",
    "contractSize": 100, "baseAsset": "BTC", "quoteAsset": "USD",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "stepSize": "1"},
    ],
}  # fmt: skip
BOOK = b'{"lastUpdateId":10,"bids":[["100.00","1"]],"asks":[["100.01","3"]]}'


class Answers:
    """Answer requests from a table."""

    def __init__(self, replies: Mapping[str, object]) -> None:
        self.replies = replies
        self.asked: list[str] = []

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self.asked.append(f"{path}?{query}")
        reply = self.replies.get(path)
        if reply is None:
            return 400, b'{"code":-1121,"msg":"Invalid symbol."}'
        return 200, reply if isinstance(reply, bytes) else json.dumps(reply).encode()

    async def close(self) -> None:
        """Nothing is held."""


def connector(market: str, replies: Mapping[str, object]) -> tuple[BinanceConnector, Answers]:
    answers = Answers(replies)
    settings = Settings(market=market)  # type: ignore[arg-type]
    return BinanceConnector(Rest(settings, clock=ManualClock(), round_trip=answers)), answers


def test_a_feed_joins_its_copy_once_the_streams_are_taken() -> None:
    feed, answers = connector(
        "spot", {"/api/v3/exchangeInfo": {"symbols": [SPOT]}, "/api/v3/depth": BOOK}
    )
    found = asyncio.run(feed.rest().instruments(["BTC/USDT", "ETH/USDT"]))
    assert list(found) == ["BTC/USDT"]
    instrument = feed.instrument("BTC/USDT")
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    [asked] = feed.subscribe_market(instrument, 1000)
    assert json.loads(asked) == {
        "method": "SUBSCRIBE", "id": 1,
        "params": ["btcusdt@depth@100ms", "btcusdt@trade", "btcusdt@bookTicker"],
    }  # fmt: skip
    assert feed.read_public(b'{"result":null,"id":1}', 1) == [Subscribed("market")]
    frame = asyncio.run(feed.book_snapshot(instrument, 1000))
    assert answers.asked[-1] == "/api/v3/depth?symbol=BTCUSDT&limit=1000"
    book = Book()
    decoder = feed.market_decoder(instrument, book, depth=1000, verify=True)
    assert frame is not None
    assert decoder.decode(frame, 1) is Decoded.DECODED_BOOK
    assert book.levels(0) == [(10000, 100000)]
    assert feed.resubscribe_book(instrument, 1000) == []


def test_no_copy_is_asked_for_when_the_streams_are_refused() -> None:
    feed, answers = connector("usdm", {"/fapi/v1/exchangeInfo": {"symbols": [SPOT]}})
    instrument = asyncio.run(feed.rest().instruments(["BTC/USDT"]))["BTC/USDT"]
    feed.subscribe_market(instrument, 1000)
    [event] = feed.read_public(b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', 1)
    assert isinstance(event, RequestRefused)
    with pytest.raises(TransportError):
        asyncio.run(feed.book_snapshot(instrument, 1000))
    assert len(answers.asked) == 1
    [other] = feed.read_public(b"nonsense", 1)
    assert isinstance(other, Unrecognised)


def test_contracts_weigh_what_they_are_worth() -> None:
    prices = [{"symbol": "BTCUSD_PERP", "bidPrice": "50000"}]
    feed, _ = connector(
        "coinm",
        {"/dapi/v1/exchangeInfo": {"symbols": [COINM]}, "/dapi/v1/ticker/bookTicker": prices},
    )
    instrument = asyncio.run(feed.rest().instruments(["BTC/USD"]))["BTC/USD"]
    assert instrument.lot_size == Decimal("0.002")
    book = Book()
    decoder = feed.market_decoder(instrument, book, depth=1000, verify=True)
    copy = (
        b'{"stream":"BTCUSD_PERP@rest",'
        b'"data":{"lastUpdateId":1,"bids":[["50000.1","35"]],"asks":[["50000.2","7"]]}}'
    )
    assert decoder.decode(copy, 1) is Decoded.DECODED_BOOK
    assert book.levels(0) == [(500001, 35)]


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_rows_that_cannot_be_read_leave_the_others_listed(market: str) -> None:
    good = SPOT if market == "usdm" else COINM
    others = [
        {"symbol": "ETHUSDT"},
        good | {"baseAsset": "ETH", "symbol": "huge", "contractSize": "1e300"},
        good | {"baseAsset": "ETH", "symbol": "no bids", "contractSize": 1},
        # Of the same two assets, in other steps: not what the pair's streams are of.
        good
        | {
            "symbol": "twin",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "5"},
                {"filterType": "LOT_SIZE", "stepSize": "1"},
            ],
        },
    ]
    prices = [
        {"symbol": "BTCUSD_PERP", "bidPrice": "50000"}, {"symbol": "huge", "bidPrice": "1"},
        {"symbol": "twin", "bidPrice": "1"}, {"symbol": "no bids", "bidPrice": ""},
    ]  # fmt: skip
    api = "/fapi/v1" if market == "usdm" else "/dapi/v1"
    feed, _ = connector(
        market,
        {f"{api}/exchangeInfo": {"symbols": [good, *others]}, f"{api}/ticker/bookTicker": prices},
    )
    pair = f"{good['baseAsset']}/{good['quoteAsset']}"
    found = asyncio.run(feed.rest().instruments([pair, "ETH/USDT", "ETH/USD"]))
    assert list(found) == [pair]
    assert found[pair].tick_size == Decimal("0.01" if market == "usdm" else "0.1")


@pytest.mark.parametrize("name", ["binance", "coinbase"])
def test_level_that_is_cut_short_is_a_typed_error(name: str) -> None:
    venue = Venue(name=name, reference="BTC/USDT")
    path = {"binance": "/api/v3/depth", "coinbase": "/products/BTC-USDT/book"}[name]
    answers = Answers({path: {"bids": [["1"]], "asks": []}})
    rest = registry.connector(venue, None, round_trip=answers).rest()
    pair = Instrument(
        venue=name, name="BTC/USDT", base="BTC", quote="USDT", price_decimals=2, qty_decimals=2,
        tick_size=Decimal("0.01"), lot_size=Decimal("0.01"), qty_min=Decimal(0),
        cost_min=Decimal(0), base_decimals=8, quote_decimals=8,
    )  # fmt: skip
    with pytest.raises(ProtocolError, match="level"):
        asyncio.run(rest.mid(pair))


def test_a_refused_request_is_typed() -> None:
    feed, _ = connector("spot", {})
    with pytest.raises(VenueRejected) as caught:
        asyncio.run(feed.rest().server_time_ns())
    assert (caught.value.code, caught.value.retryable) == ("instrument", False)


@pytest.mark.parametrize("name", ["binance", "coinbase"])
def test_what_is_only_watched_never_trades(name: str) -> None:
    config = Venue.model_validate({"name": name, "reference": "BTC/USD"})
    made = registry.connector(config, None, clock=ManualClock())
    venue = registry.venue(config, None)
    assert made.order_http() is None
    assert not made.private_ready()
    with pytest.raises(VenueRejected, match="only watched"):
        made.subscribe_private()
    with pytest.raises(VenueRejected, match="only watched"):
        asyncio.run(venue.cancel_all())
    with pytest.raises(VenueRejected, match="only watched"):
        asyncio.run(made.rest().open_orders())
