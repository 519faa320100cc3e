"""The simulated Coinbase: its frames, through our decoder, are its true book after each one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm.clock import ManualClock
from openmm.events import RequestRefused, Subscribed
from openmm.sim.core import ASK, BID, BUY, SELL, VenueCore
from openmm.sim.dialects import COINBASE_PAIRS
from openmm.sim.faults import FaultScript, Rule
from openmm.sim.market import SyntheticMarket, market_options
from openmm.sim.pipe import Pipe
from openmm.sim.strikes import Strikes
from openmm.venues.coinbase.connector import CoinbaseConnector
from openmm.venues.coinbase.dialect import CoinbaseGateway
from openmm.venues.coinbase.dialect_rest import CoinbaseRest
from openmm.venues.coinbase.rest import Rest

NS = 1_000_000_000
MS = 1_000_000
T0 = 1_750_000_000 * NS
PAIR, PRICE = COINBASE_PAIRS["BTC/USD"]
NAME = PAIR.name


class Venue:
    """A simulated market and our connector to it."""

    def __init__(self, *rules: Rule) -> None:
        self.core = VenueCore([PAIR], 1)
        self.core.drive(SyntheticMarket(PAIR, 7, T0, market_options(PRICE, {})))
        self.gateway = CoinbaseGateway(self.core)
        self.http = CoinbaseRest(self.gateway)
        self.clock = ManualClock(T0)
        self.strikes = Strikes(FaultScript(rules), self.core, self.gateway, T0)
        self.connector = CoinbaseConnector(Rest(clock=self.clock, round_trip=self))
        self.wait(0.5)

    @property
    def now_ns(self) -> int:
        return self.clock.now_ns()

    def wait(self, seconds: float) -> None:
        self.clock.advance(int(seconds * NS))
        self.core.advance(self.now_ns)

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        target = f"{path}?{query}" if query else path
        return self.http.answer(verb, target, headers, body, self.now_ns)

    async def close(self) -> None:
        """Nothing is held."""

    def get(self, path: str) -> tuple[int, Any]:
        status, body = self.http.answer("GET", path, {}, b"", self.now_ns)
        return status, json.loads(body)


class Feed:
    """The bot's side of one connection: connector, decoder, book, and the venue's true one."""

    def __init__(self, venue: Venue, depth: int = 1000) -> None:
        self.venue = venue
        self.depth = depth
        self.instrument = asyncio.run(venue.connector.rest().instruments([NAME]))[NAME]
        self.book = Book()
        self.decoder = venue.connector.market_decoder(
            self.instrument, self.book, depth=depth, verify=True
        )
        self.trades = TradeLog(4096)
        self.decoder.set_sink(self.trades)
        self.subscribed: set[str] = set()
        self.seen = 0
        self.pipe = Pipe(venue.gateway, False, venue.now_ns, strikes=venue.strikes)
        self.say(venue.connector.subscribe_market(self.instrument, depth))

    def say(self, messages: list[bytes]) -> None:
        for message in messages:
            self.pipe.send(message, self.venue.now_ns)

    def hear(self, *, exact: bool = True) -> None:
        """Take what has arrived; behind each book message the book is the venue's now."""
        for frame in self.pipe.receive(self.venue.now_ns):
            told = self.decoder.decode(frame, self.venue.now_ns)
            if told is Decoded.DECODED_SLOW:
                for event in self.venue.connector.read_public(frame, self.venue.now_ns):
                    assert isinstance(event, Subscribed)
                    self.subscribed.add(event.channel)
            elif told is Decoded.DECODED_BOOK and exact:
                self.check()

    def check(self) -> None:
        assert self.book.state is BookState.BOOK_VERIFIED
        n = 5000 if self.depth >= 1000 else 20
        for side in (BID, ASK):
            assert self.book.levels(side, n) == self.venue.core.depth(NAME, side, n)
        self.seen += 1

    def run(self, seconds: float, *, exact: bool = True) -> None:
        """Let time pass in steps no shorter than the venue gathers changes over."""
        for _ in range(round(seconds / 0.05)):
            self.venue.wait(0.05)
            self.hear(exact=exact)


def started(depth: int = 1000, *rules: Rule) -> tuple[Venue, Feed]:
    venue = Venue(*rules)
    feed = Feed(venue, depth)
    feed.run(0.5)
    return venue, feed


@pytest.mark.parametrize("depth", [100, 1000])
def test_the_book_is_the_venues_after_every_message(depth: int) -> None:
    _, feed = started(depth)
    feed.run(10)
    assert feed.seen > 100
    assert feed.subscribed == {"level2_batch", "matches", "heartbeat"}
    counts = feed.decoder.counters
    assert counts["trade_gaps"] == counts["crossed"] == counts["parse_errors"] == 0
    assert counts["heartbeats"] == 10
    assert counts["snapshots"] == 1


def test_trades_are_the_venues_own() -> None:
    venue, feed = started()
    feed.trades.take()
    known = len(venue.core.trades(NAME, 1000))
    feed.run(6)
    printed = venue.core.trades(NAME, 1000)[known:]
    assert len(printed) > 3
    told = [row[2:6] for row in feed.trades.take()]
    assert told == [
        (one.price_ticks, one.qty_lots, one.trade_id, one.taker_side) for one in printed
    ]
    assert {row[3] for row in told} == {BUY, SELL}


@pytest.mark.parametrize(
    ("kind", "on"), [("lost", "trade"), ("checksum", "book"), ("garbled", "book")]
)
def test_a_spoiled_stream_breaks_the_book_and_a_new_subscription_heals_it(
    kind: str, on: str
) -> None:
    venue, feed = started()
    feed.run(2)
    venue.strikes.add(Rule(kind, (on,), count=1), venue.now_ns)
    for _ in range(200):
        feed.run(0.05, exact=False)
        if feed.book.state is not BookState.BOOK_VERIFIED:
            break
    assert sum(venue.strikes.struck.values()) == 1
    reasons = (BookBreak.BREAK_GAP, BookBreak.BREAK_CROSSED, BookBreak.BREAK_PARSE)
    assert feed.book.break_reason in reasons
    feed.say(venue.connector.resubscribe_book(feed.instrument, 1000))
    seen = feed.seen
    feed.run(3)
    assert feed.seen > seen + 20
    assert feed.decoder.counters["snapshots"] == 2


def test_a_book_message_lost_without_a_trade_is_not_to_be_seen() -> None:
    """Nothing numbers them: the book is off until a trade's number or a cross tells."""
    venue, feed = started()
    venue.strikes.add(Rule("lost", ("book",), count=1), venue.now_ns)
    feed.run(0.1, exact=False)
    assert sum(venue.strikes.struck.values()) == 1
    assert feed.book.state is BookState.BOOK_VERIFIED
    sides = [venue.core.depth(NAME, side, 5000) for side in (BID, ASK)]
    assert [feed.book.levels(side, 5000) for side in (BID, ASK)] != sides


def test_a_connection_that_is_half_open_says_nothing_and_a_new_one_does() -> None:
    venue, feed = started()
    venue.strikes.add(Rule("half_open", ("book",), count=1, for_ns=600 * NS), venue.now_ns)
    feed.run(1)
    seen = feed.seen
    feed.run(1)
    assert feed.seen == seen
    assert feed.pipe.is_deaf(venue.now_ns)
    feed.pipe.close()
    again = Feed(venue)
    again.run(1)
    assert again.seen > 5


def test_a_closed_connection_is_over() -> None:
    venue, feed = started(1000, Rule("closed", ("heartbeat",), count=1))
    feed.run(2)
    assert feed.pipe.fallen
    assert venue.gateway.sessions == []


def test_a_late_reader_begins_with_what_the_others_have_been_told() -> None:
    venue, _ = started()
    late = Feed(venue)
    late.run(3)
    assert late.seen > 20


def test_the_wire_is_as_documented() -> None:
    venue = Venue()
    venue.wait(3)
    feed = Feed(venue)
    told: dict[str, dict[str, Any]] = {}
    order: list[str] = []
    for _ in range(60):
        venue.wait(0.05)
        for frame in feed.pipe.receive(venue.now_ns):
            message = json.loads(frame)
            told[message["type"]] = message
            order.append(message["type"])
    assert order[:3] == ["subscriptions", "snapshot", "last_match"]
    assert {kind: list(message) for kind, message in told.items()} == {
        "subscriptions": ["type", "channels"],
        "snapshot": ["type", "product_id", "asks", "bids", "time"],
        "last_match": (match := [
            "type", "trade_id", "maker_order_id", "taker_order_id", "side", "size", "price",
            "product_id", "sequence", "time",
        ]),
        "l2update": ["type", "product_id", "changes", "time"],
        "match": match,
        "heartbeat": ["type", "last_trade_id", "product_id", "sequence", "time"],
    }  # fmt: skip
    assert told["heartbeat"]["time"].startswith("2025-06-15T15:06:4")
    assert told["snapshot"]["bids"][0][1].partition(".")[2] != ""


def asked(session: Any, message: object) -> dict[str, Any]:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    answer: dict[str, Any] = json.loads(session.on_client_frame(raw, T0 + NS)[0])
    return answer


def test_requests_are_answered() -> None:
    venue = Venue()
    session = venue.gateway.connect(venue.now_ns, private=False)
    btc = {"product_ids": ["BTC-USD"]}
    for bad, reason in (
        (b"x", "not an object"), ([], "None is not a valid type"),
        ({"type": "subscribe", "channels": []}, "channels must be a list"),
        ({"type": "subscribe", "channels": ["matches"]},
         "You need to specify at least one product ID for channel matches"),
        ({"type": "subscribe", "channels": ["matches"], "product_ids": ["X-Y"]},
         "X-Y is not a valid product"),
        ({"type": "subscribe", "channels": ["level2"], **btc}, "level2 requires authentication"),
        ({"type": "subscribe", "channels": ["other"], **btc}, "other is not a valid channel"),
    ):  # fmt: skip
        answer = asked(session, bad)
        assert (answer["type"], answer["reason"]) == ("error", reason)
    assert not session.subscribed
    answer = asked(session, {"type": "subscribe", "channels": [{"name": "matches", **btc}]})
    assert answer["channels"] == [{"name": "matches", **btc}]
    assert asked(session, {"type": "unsubscribe", "channels": ["matches"]})["channels"] == []


def test_a_refused_subscription_is_told_to_the_engine() -> None:
    venue = Venue(Rule("refused", ("subscribe",), count=1, text="no"))
    feed = Feed(venue)
    [frame] = feed.pipe.receive(venue.now_ns)
    [event] = venue.connector.read_public(frame, venue.now_ns)
    assert isinstance(event, RequestRefused)


def test_rest_tells_what_our_venue_asks() -> None:
    venue = Venue()
    venue.wait(5)
    ours = venue.connector.rest().venue

    async def ask() -> None:
        listed = (await ours.get_instruments())[NAME]
        assert (listed.tick_size, listed.lot_size) == (PAIR.tick_size, PAIR.lot_size)
        clock = await ours.get_server_time()
        assert abs(clock.ts_ns - venue.now_ns) < MS
        book = await ours.get_order_book(NAME, 20)
        ticker = await ours.get_ticker(NAME)
        for side, levels in ((BID, book.bids), (ASK, book.asks)):
            best = venue.core.depth(NAME, side, 20)
            assert [one[0] for one in levels] == [PAIR.price(price) for price, _ in best]
            assert (ticker.bid, ticker.ask)[side] == PAIR.price(best[0][0])
        trades, theirs = await ours.get_trades(NAME, 5), venue.core.trades(NAME, 5)
        assert [one.price for one in trades] == [PAIR.price(one.price_ticks) for one in theirs]
        assert [int(one.taker_side) for one in trades] == [one.taker_side for one in theirs]
        assert ticker.last == PAIR.price(theirs[-1].price_ticks)
        assert ticker.volume > Decimal(0)

    asyncio.run(ask())


def test_rest_refuses_as_the_venue_does() -> None:
    venue = Venue()
    for path, status in (
        ("/products/X-Y/book", 404), ("/nothing", 404), ("/products/BTC-USD/book?level=3", 400),
        ("/products/BTC-USD/trades?limit=x", 400),
    ):  # fmt: skip
        assert venue.get(path)[0] == status
    assert {venue.get("/time")[0] for _ in range(11)} == {200}
    assert venue.get("/time") == (429, {"message": "Public rate limit exceeded"})
    venue.clock.advance(NS)
    assert venue.get("/time")[0] == 200
