"""The simulated Binance: its frames, through our decoder, are its true book at every id."""

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
from openmm.sim.dialects import dialect
from openmm.sim.faults import FaultScript, Rule
from openmm.sim.market import SyntheticMarket, market_options
from openmm.sim.pipe import Pipe
from openmm.sim.strikes import Strikes
from openmm.venues.binance.connector import BinanceConnector
from openmm.venues.binance.dialect import BinanceGateway, DialectOptions
from openmm.venues.binance.dialect_rest import BinanceRest
from openmm.venues.binance.rest import Rest
from openmm.venues.binance.spec import MARKETS, Settings

NS = 1_000_000_000
MS = 1_000_000
T0 = 1_750_000_000 * NS
Truth = dict[int, list[list[tuple[int, int]]]]
MARKET_DIALECTS = {"spot": "binance", "usdm": "binance-usdm", "coinm": "binance-coinm"}
every_market = pytest.mark.parametrize("market", MARKET_DIALECTS)


class Venue:
    """A simulated market, our feed of it, and what its book was at every id."""

    def __init__(
        self, market: str = "spot", *, rules: tuple[Rule, ...] = (), copies_ns: int = 0
    ) -> None:
        self.pair, price = next(iter(dialect(MARKET_DIALECTS[market]).pairs.values()))
        self.core = VenueCore([self.pair], 1)
        self.core.drive(SyntheticMarket(self.pair, 7, T0, market_options(price, {})))
        self.gateway = BinanceGateway(self.core, DialectOptions(market, copies_ns))  # type: ignore[arg-type]
        self.http = BinanceRest(self.gateway)
        self.clock = ManualClock(T0)
        self.strikes = Strikes(FaultScript(rules), self.core, self.gateway, T0)
        self.truth: Truth = {}
        self.core.listen(Watcher(self))
        settings = Settings(market)  # type: ignore[arg-type]
        self.connector = BinanceConnector(Rest(settings, clock=self.clock, round_trip=self))
        self.wait(0.5)

    @property
    def now_ns(self) -> int:
        return self.clock.now_ns()

    def wait(self, seconds: float) -> None:
        self.clock.advance(int(seconds * NS))
        self.core.advance(self.now_ns)

    def sides(self) -> list[list[tuple[int, int]]]:
        return [self.core.depth(self.pair.name, side, 5000) for side in (BID, ASK)]

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        return self.http.answer(
            verb, f"{path}?{query}" if query else path, headers, body, self.now_ns
        )

    async def close(self) -> None:
        """Nothing is held."""

    def get(self, path: str) -> tuple[int, Any]:
        status, body = self.http.answer("GET", path, {}, b"", self.now_ns)
        return status, json.loads(body)


class Watcher:
    """Keep the venue's book of every change."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def on_book(self, instrument: str, ts_ns: int) -> None:
        self.venue.truth[self.venue.gateway.book_id(instrument)] = self.venue.sides()

    def on_order(self, *_told: object) -> None: ...

    def on_ledger(self, *_told: object) -> None: ...

    def on_trades(self, *_told: object) -> None: ...

    def on_mode(self, *_told: object) -> None: ...

    def on_recorded(self, *_told: object) -> None: ...


class Feed:
    """The bot's side of one connection: connector, decoder, book."""

    def __init__(self, venue: Venue, depth: int = 1000) -> None:
        self.venue = venue
        self.depth = depth
        self.instrument = asyncio.run(venue.connector.rest().instruments([venue.pair.name]))[
            venue.pair.name
        ]
        self.book = Book()
        self.decoder = venue.connector.market_decoder(
            self.instrument, self.book, depth=depth, verify=True
        )
        self.trades = TradeLog(4096)
        self.decoder.set_sink(self.trades)
        self.symbol = venue.gateway.symbol(venue.pair.name)
        self.seen = 0
        self.pipe = Pipe(venue.gateway, False, venue.now_ns, strikes=venue.strikes)
        for message in venue.connector.subscribe_market(self.instrument, depth):
            self.pipe.send(message, venue.now_ns)

    def hear(self) -> list[bytes]:
        """Take what has arrived, and look at the book after every frame."""
        frames = self.pipe.receive(self.venue.now_ns)
        for frame in frames:
            told = self.decoder.decode(frame, self.venue.now_ns)
            if told is Decoded.DECODED_SLOW:
                events = self.venue.connector.read_public(frame, self.venue.now_ns)
                assert events == [Subscribed("market")]
            elif told is Decoded.DECODED_BOOK:
                self.check()
            elif b"@bookTicker" in frame[:64]:
                self.check_ticker()
        return frames

    def check(self) -> None:
        """Compare with the venue's book of that id."""
        assert self.book.state is BookState.BOOK_VERIFIED
        sides = self.venue.truth[self.decoder.state(self.symbol)[0]]
        for side in (BID, ASK):
            n = 5000 if self.depth >= 1000 else 20
            assert self.book.levels(side, n) == sides[side][:n]
        self.seen += 1

    def check_ticker(self) -> None:
        book_id, bid_ticks, ask_ticks = self.decoder.ticker(self.symbol)
        sides = self.venue.truth[book_id]
        assert (bid_ticks, ask_ticks) == (sides[0][0][0], sides[1][0][0])

    def copy(self) -> Decoded:
        """Ask for the REST copy and give it to the decoder."""
        frame = asyncio.run(self.venue.connector.book_snapshot(self.instrument, self.depth))
        assert frame is not None
        told = self.decoder.decode(frame, self.venue.now_ns)
        if told is Decoded.DECODED_BOOK:
            self.check()
        return told

    def run(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / 0.02)):
            self.venue.wait(0.02)
            self.hear()


def joined(venue: Venue, depth: int = 1000) -> Feed:
    feed = Feed(venue, depth)
    feed.run(0.3)
    assert feed.copy() is Decoded.DECODED_BOOK
    return feed


@every_market
@pytest.mark.parametrize("depth", [100, 1000])
def test_the_book_is_the_venues_at_every_id(market: str, depth: int) -> None:
    venue = Venue(market)
    feed = joined(venue, depth)
    feed.run(10)
    assert feed.seen > 80
    counts = feed.decoder.counters
    assert (
        counts["gaps"] == counts["trade_gaps"] == counts["crossed"] == counts["parse_errors"] == 0
    )
    assert counts["heartbeats"] > 10
    assert counts["trades"] > 3


@every_market
def test_trades_are_the_venues_own(market: str) -> None:
    venue = Venue(market)
    feed = joined(venue)
    feed.trades.take()
    known = len(venue.core.trades(venue.pair.name, 1000))
    feed.run(6)
    printed = venue.core.trades(venue.pair.name, 1000)[known:]
    assert len(printed) > 3
    told = feed.trades.take()
    for side in (BUY, SELL):
        mine = [row for row in told if row[5] == side]
        theirs = [one for one in printed if one.taker_side == side]
        assert sum(row[3] for row in mine) == sum(one.qty_lots for one in theirs)
        assert {row[2] for row in mine} == {one.price_ticks for one in theirs}


@every_market
@pytest.mark.parametrize("kind", ["lost", "checksum", "garbled"])
def test_a_spoiled_stream_breaks_the_book_and_a_copy_heals_it(market: str, kind: str) -> None:
    venue = Venue(market)
    feed = joined(venue)
    feed.run(1)
    venue.strikes.add(Rule(kind, ("book",), count=1), venue.now_ns)
    feed.run(1)
    assert sum(venue.strikes.struck.values()) == 1
    assert feed.book.state is BookState.BOOK_BROKEN
    assert feed.book.break_reason in (BookBreak.BREAK_GAP, BookBreak.BREAK_PARSE)
    assert feed.copy() is Decoded.DECODED_BOOK
    seen = feed.seen
    feed.run(2)
    # Each of them found the book verified, and the venue's.
    assert feed.seen > seen + 10
    assert feed.decoder.counters["gaps"] <= 1


@every_market
def test_late_and_doubled_messages_leave_the_book_right(market: str) -> None:
    venue = Venue(market)
    feed = joined(venue)
    for rule in (
        Rule("doubled", ("book", "trade", "ticker"), count=5),
        Rule("late", ("book",), count=2, by_ns=400 * MS),
    ):
        venue.strikes.add(rule, venue.now_ns)
        feed.run(2)
    assert sum(venue.strikes.struck.values()) == 7
    assert feed.book.state is BookState.BOOK_VERIFIED
    assert feed.decoder.counters["dropped"] > 0


@every_market
def test_a_connection_that_is_half_open_says_nothing_and_a_new_one_does(market: str) -> None:
    venue = Venue(market)
    feed = joined(venue)
    venue.strikes.add(Rule("half_open", ("book",), count=1, for_ns=600 * NS), venue.now_ns)
    feed.run(1)
    seen = feed.seen
    feed.run(1)
    assert feed.seen == seen
    assert feed.pipe.is_deaf(venue.now_ns)
    feed.pipe.close()
    assert joined(venue).book.state is BookState.BOOK_VERIFIED


def test_a_closed_connection_is_over() -> None:
    venue = Venue(rules=(Rule("closed", ("trade",), count=1),))
    feed = Feed(venue)
    feed.run(3)
    assert feed.pipe.fallen
    assert venue.gateway.sessions == []


@every_market
def test_a_copy_older_than_the_first_change_is_not_taken_until_a_newer_one(market: str) -> None:
    venue = Venue(market, copies_ns=3 * NS)
    symbol = venue.gateway.symbol(venue.pair.name)
    assert venue.get(f"{MARKETS[market].api}/depth?symbol={symbol}&limit=1000")[0] == 200
    venue.wait(1)
    feed = Feed(venue)
    feed.run(0.3)
    assert feed.copy() is Decoded.DECODED_BROKEN
    assert feed.decoder.counters["old_snapshots"] == 1
    feed.run(2)
    assert feed.copy() is Decoded.DECODED_BOOK
    feed.run(2)
    assert feed.decoder.counters["gaps"] == 0
    assert feed.book.state is BookState.BOOK_VERIFIED


def test_the_wire_is_as_captured() -> None:
    """Members and their order as in captures of 2023-04 and 2024-08."""
    members: dict[str, dict[str, list[str]]] = {}
    for market in MARKET_DIALECTS:
        venue = Venue(market)
        feed = Feed(venue)
        for _ in range(100):
            venue.wait(0.05)
            for frame in feed.pipe.receive(venue.now_ns):
                message = json.loads(frame)
                if "stream" in message:
                    kind = message["stream"].split("@")[1]
                    members.setdefault(market, {})[kind] = list(message["data"])
    assert members["spot"] == {
        "depth": ["e", "E", "s", "U", "u", "b", "a"],
        "trade": ["e", "E", "s", "t", "p", "q", "T", "m", "M"],
        "bookTicker": ["u", "s", "b", "B", "a", "A"],
    }
    assert members["usdm"]["depth"] == ["e", "E", "T", "s", "U", "u", "pu", "b", "a"]
    assert members["usdm"]["bookTicker"] == ["e", "u", "s", "b", "B", "a", "A", "T", "E"]
    assert members["usdm"]["aggTrade"] == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m"]
    assert members["coinm"]["aggTrade"] == ["e", "E", "a", "s", "p", "q", "f", "l", "T", "m"]
    assert members["coinm"]["bookTicker"] == ["u", "e", "s", "ps", "b", "B", "a", "A", "T", "E"]
    assert members["coinm"]["depth"] == ["e", "E", "T", "s", "ps", "U", "u", "pu", "b", "a"]


def asked(venue: Venue, message: object) -> Any:
    session = venue.gateway.connect(venue.now_ns, private=False)
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    [answer] = session.on_client_frame(raw, venue.now_ns)
    return json.loads(answer)


def test_requests_are_answered_one_by_one() -> None:
    venue = Venue()
    bad: list[object] = [
        b"x", [], {"method": "SUBSCRIBE", "id": 1}, {"method": "other", "params": [], "id": 2},
        {"method": "SUBSCRIBE", "params": ["btcusdt@nothing"], "id": 3},
        {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": [1]},
    ]  # fmt: skip
    assert all(asked(venue, one)["error"]["code"] in (2, 3) for one in bad)
    session = venue.gateway.connect(venue.now_ns, private=False)

    def say(method: str, *names: str) -> Any:
        message = {"method": method, "params": names, "id": 7}
        return json.loads(session.on_client_frame(json.dumps(message).encode(), venue.now_ns)[-1])

    # A pair that is not traded is taken, and silent.
    assert say("SUBSCRIBE", "nopeusdt@trade", "btcusdt@depth@100ms")["result"] is None
    listed = say("LIST_SUBSCRIPTIONS")["result"]
    assert listed == ["btcusdt@depth@100ms", "nopeusdt@trade"]
    venue.wait(1)
    assert {json.loads(one)["stream"] for one in session.poll(venue.now_ns)} == {listed[0]}
    assert say("UNSUBSCRIBE", *listed)["result"] is None
    venue.wait(1)
    assert session.poll(venue.now_ns) == []
    assert not session.subscribed


def test_a_refused_subscription_is_told_to_the_engine() -> None:
    venue = Venue(rules=(Rule("refused", ("subscribe",), count=1, text="Too many requests"),))
    feed = Feed(venue)
    [frame] = feed.pipe.receive(venue.now_ns)
    [event] = venue.connector.read_public(frame, venue.now_ns)
    assert isinstance(event, RequestRefused)


@every_market
def test_rest_tells_what_our_venue_asks(market: str) -> None:
    venue = Venue(market)
    venue.wait(5)
    ours, name = venue.connector.rest().venue, venue.pair.name

    async def ask() -> None:
        listed = await ours.get_instruments()
        assert listed[name].tick_size == venue.pair.tick_size
        if market != "coinm":
            assert listed[name].lot_size == venue.pair.lot_size
        assert listed[name].status == "online"
        clock = await ours.get_server_time()
        assert abs(clock.ts_ns - venue.now_ns) < MS
        book = await ours.get_order_book(name, 20)
        ticker = await ours.get_ticker(name)
        for side, levels in ((BID, book.bids), (ASK, book.asks)):
            best = venue.core.depth(name, side, 20)
            assert [price for price, _ in levels] == [venue.pair.price(one) for one, _ in best]
            assert (ticker.bid, ticker.ask)[side] == venue.pair.price(best[0][0])
        trades = await ours.get_trades(name, 5)
        theirs = venue.core.trades(name, 5)
        assert [one.price for one in trades] == [
            venue.pair.price(one.price_ticks) for one in theirs
        ]
        assert [int(one.taker_side) for one in trades] == [one.taker_side for one in theirs]
        assert ticker.last == venue.pair.price(theirs[-1].price_ticks)
        assert ticker.volume > Decimal(0)

    asyncio.run(ask())


def test_rest_refuses_as_the_venue_does() -> None:
    venue, futures = Venue(), Venue("usdm")
    for one, path, status, code in (
        (venue, "/api/v3/depth?symbol=NOPE", 400, -1121),
        (venue, "/api/v3/depth", 400, -1102),
        (venue, "/api/v3/depth?symbol=BTCUSDT&limit=x", 400, -1100),
        (venue, "/fapi/v1/depth?symbol=BTCUSDT", 404, -1000),
        (futures, "/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, -4021),
    ):
        told_status, told = one.get(path)
        assert (told_status, told["code"]) == (status, code)
    # 120 of the largest copies a minute weigh what an address may ask.
    path = "/api/v3/depth?symbol=BTCUSDT&limit=1000"
    assert {venue.get(path)[0] for _ in range(119)} == {200}
    assert venue.get("/api/v3/depth?symbol=BTCUSDT&limit=5000") == (
        429, {"code": -1003, "msg": "Too much request weight used; please use WebSocket Streams."}
    )  # fmt: skip
    venue.clock.advance(61 * NS)
    assert venue.get(path)[0] == 200
