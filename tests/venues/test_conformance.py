"""One suite for every trading venue, through the public door, over real sockets on loopback.

Each simulated venue of `sim.dialects` is asked everything the `Venue` protocol offers; a venue that
is registered is in it. The venue's time is the test's: nothing waits for a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

import pytest

from openmm._fast.matching import Tif
from openmm._fast.planner import ActionKind
from openmm._fast.units import Side
from openmm.clock import ManualClock
from openmm.config.schema import VENUES as TRADED
from openmm.errors import OpenMMError, RiskError, TransportError, VenueError, VenueRejected
from openmm.events import OrderFilled, OrderStatus, OrderUpdated, SystemMode
from openmm.instrument import Instrument
from openmm.sim.dialects import DIALECTS
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.venues import Code, Desk, PlaceOrder, advice, connect, registry
from openmm.venues.base import MarketTrade, Venue
from openmm.venues.claims import lock_account
from openmm.venues.connector import Keys
from openmm.venues.stream import BookUpdated, StreamLost

T = TypeVar("T")
NS: Final = 1_000_000_000
BID, ASK = 0, 1
BUY, SELL = 1, 2
# What is waited for comes within this many looks, or never.
LOOKS: Final = 500
TIMEOUT_S: Final = 60.0
# A venue's ledger may keep fewer decimals of a cost than price times quantity has.
ROUNDING: Final = Decimal("0.001")


def venue_of(dialect: str) -> str:
    """Return the venue that a simulator speaks for."""
    pair, _ = next(iter(DIALECTS[dialect].pairs.values()))
    return pair.venue


every_venue = pytest.mark.parametrize("dialect", DIALECTS)


class Floor:
    """A simulated venue at a time of the test's, and a desk that talks to it."""

    def __init__(self, server: SimServer, clock: ManualClock, desk: Desk) -> None:
        self.server = server
        self.clock = clock
        self.desk = desk
        self.name = server.options.instrument
        self.pair = server.core.instruments[self.name]
        self.ids = 0

    def client_id(self) -> str:
        """Make an id in the form this venue's own orders have."""
        self.ids += 1
        return self._ids.client_id(self.ids)

    async def ready(self) -> None:
        """Learn the pair, as a program does, and ask for a form of ids."""
        self.pair = (await self.desk.get_instruments())[self.name]
        connector = registry.connector(self.desk.config, keys_of(self.server), clock=self.clock)
        await connector.rest().instruments([self.name])
        self._ids = connector.order_encoder(self.pair, bot="floor", session_s=1_700_000_000)
        await connector.rest().close()

    def best(self, side: int) -> int:
        """Return the best price of a side now."""
        return self.server.core.depth(self.name, side, 1)[0][0]

    def market(self, side: int, price_ticks: int, qty_lots: int, tif: int = Tif.GTC) -> None:
        """Enter an order of somebody else."""
        now_ns = self.clock.now_ns()
        self.server.core.market_submit(self.name, side, price_ticks, qty_lots, tif, now_ns)

    def qty(self, share: str = "0.01") -> int:
        """Return lots worth this share of the account's quote asset at the market."""
        value = Decimal(50_000) * Decimal(share)
        return self.pair.floor_lots(value / self.pair.price(self.best(BID)))

    def order(self, away: float = 0.05, **more: object) -> PlaceOrder:
        """Make a bid that rests, this share below the market."""
        price_ticks = int(self.best(BID) * (1 - away))
        made = {"price_ticks": price_ticks, "qty_lots": self.qty(), "side": Side.BUY} | more
        return PlaceOrder(self.pair, client_id=self.client_id(), **made)  # type: ignore[arg-type]

    async def pass_time(self, seconds: float) -> None:
        """Let the venue's time go on, and the venue notice it."""
        self.clock.advance(round(seconds * NS))
        now_ns = self.clock.now_ns()
        self.server.core.advance(now_ns)
        self.server.flush()
        await asyncio.sleep(0)

    async def until(self, ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        """Ask again until an answer is right; time passes in between."""
        for _ in range(LOOKS):
            asking = asyncio.ensure_future(ask())
            while not (await asyncio.wait([asking], timeout=0.05))[0]:
                await self.pass_time(0.25)
            if good(found := asking.result()):
                return found
            await self.pass_time(0.25)
            await asyncio.sleep(0.005)
        raise AssertionError(f"never right; last: {found!r}")


def keys_of(server: SimServer) -> Keys:
    """Return the account's keys."""
    started = server.started()
    return Keys(
        str(started["api_key"]), str(started["api_secret"]), str(started.get("passphrase", ""))
    )


def options_of(dialect: str) -> dict[str, str | int | bool]:
    """Return the options a venue needs to be met on the side that is simulated."""
    return {"account": "unified", "amend": True} if dialect.endswith("-unified") else {}


@asynccontextmanager
async def floor(
    dialect: str, *, keys: Keys | None = None, idle: tuple[str, ...] = ()
) -> AsyncIterator[Floor]:
    clock = ManualClock()
    pairs = DIALECTS[dialect].pairs
    made = SimOptions(venue=dialect, seed=5, instrument=next(iter(pairs)), idle_pairs=idle)
    async with asyncio.timeout(TIMEOUT_S), SimServer(made, clock) as server:
        clock.advance(30 * NS)
        server.core.advance(clock.now_ns())
        endpoints = {"ws": server.ws_url, "ws_auth": server.ws_auth_url, "rest": server.rest_url}
        async with connect(
            venue_of(dialect), keys or keys_of(server), endpoints=endpoints,
            options=options_of(dialect), clock=clock,
        ) as desk:  # fmt: skip
            found = Floor(server, clock, desk)
            if keys is None:
                await found.ready()
            yield found


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep account locks of tests apart."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_every_trading_venue_has_a_simulator_in_this_suite() -> None:
    assert set(TRADED) == {venue_of(dialect) for dialect in DIALECTS}


@every_venue
@pytest.mark.asyncio
async def test_public_questions(dialect: str) -> None:
    async with floor(dialect) as one:
        desk: Venue = one.desk
        assert desk.name == venue_of(dialect)
        assert abs((await desk.get_server_time()).offset_ns) <= NS // 2
        assert (await desk.get_system_state()).mode is SystemMode.ONLINE
        pair = (await desk.get_instruments())[one.name]
        assert isinstance(pair, Instrument)
        assert (pair.venue, pair.status) == (desk.name, "online")
        book = await desk.get_order_book(one.name, 5)
        assert len(book.bids) == len(book.asks) == 5
        assert [price for price, _ in book.bids] == sorted((p for p, _ in book.bids), reverse=True)
        assert [price for price, _ in book.asks] == sorted(price for price, _ in book.asks)
        assert book.bids[0] == (pair.price(one.best(BID)), book.bids[0][1])
        ticker = await desk.get_ticker(one.name)
        assert (ticker.bid, ticker.bid_qty) == book.bids[0]
        assert (ticker.ask, ticker.ask_qty) == book.asks[0]
        trades = await desk.get_trades(one.name, 20)
        told = one.server.core.trades(one.name, 20)
        # Where a venue tells no ids of trades, 0 stands for all.
        ids = any(t.trade_id for t in trades)
        assert [(t.trade_id, t.price, t.qty, int(t.taker_side)) for t in trades] == [
            (
                t.trade_id if ids else 0,
                pair.price(t.price_ticks),
                pair.qty(t.qty_lots),
                t.taker_side,
            )
            for t in told
        ]
        assert ticker.last == trades[-1].price
        with pytest.raises(ValueError, match="depth"):
            await desk.get_order_book(one.name, 100_000)


@every_venue
@pytest.mark.asyncio
async def test_candles_hold_the_trades_of_their_interval(dialect: str) -> None:
    async with floor(dialect) as one:
        # Across the end of a minute: one candle is closed, one is running.
        await one.pass_time(45)
        trades = one.server.core.trades(one.name, 1000)
        candles = await one.desk.get_ohlcv(one.name, 60, 50)
        assert [candle.closed for candle in candles] == [True] * (len(candles) - 1) + [False]
        assert len(candles) >= 2
        for candle in candles:
            inside = [t for t in trades if candle.start_ns <= t.ts_ns < candle.start_ns + 60 * NS]
            prices = [one.pair.price(t.price_ticks) for t in inside]
            assert candle.start_ns % (60 * NS) == 0
            assert (candle.open, candle.close) == (prices[0], prices[-1])
            assert (candle.low, candle.high) == (min(prices), max(prices))
            assert candle.volume == sum(one.pair.qty(t.qty_lots) for t in inside)
        assert (await one.desk.get_ohlcv(one.name, 60, 1)) == candles[-1:]
        offered = one.desk.ohlcv_intervals_s
        assert {60, 300, 3600, 86_400} <= set(offered)
        for interval_s in offered:
            assert (await one.desk.get_ohlcv(one.name, interval_s, 2))[-1].closed is False
            await one.pass_time(0.3)
        with pytest.raises(ValueError, match="61"):
            await one.desk.get_ohlcv(one.name, 61)


@every_venue
@pytest.mark.asyncio
async def test_account_questions(dialect: str) -> None:
    async with floor(dialect) as one:
        balances = await one.desk.get_balance()
        for asset in (one.pair.base, one.pair.quote):
            total, held = one.server.core.balances(1)[asset]
            unit = Decimal(1).scaleb(-one.server.core.asset_decimals(asset))
            assert (balances[asset].total, balances[asset].held) == (total * unit, held * unit)
            assert balances[asset].free == balances[asset].total - balances[asset].held
        fees = await one.desk.get_fees(one.name)
        assert (fees.maker_ppm, fees.taker_ppm) == one.server.core.fees_ppm(1)
        assert await one.desk.get_open_orders() == []
        assert await one.desk.get_fills(one.clock.now_ns() - NS) == []
        rights = await one.desk.get_key_rights()
        assert rights.reads is True
        assert rights.trades in (True, None)
        assert rights.withdraws in (False, None)


@every_venue
@pytest.mark.asyncio
async def test_an_orders_life(dialect: str) -> None:
    async with floor(dialect) as one:
        desk, order = one.desk, one.order()
        taken = await desk.place_order(order)
        assert (taken.client_id, bool(taken.venue_order_id)) == (order.client_id, True)
        [seen] = await one.until(desk.get_open_orders, bool)
        assert (seen.client_id, seen.venue_order_id, seen.status, seen.instrument) == (
            order.client_id, taken.venue_order_id, OrderStatus.OPEN, one.name,
        )  # fmt: skip
        assert (seen.price_ticks, seen.qty_lots, seen.filled_lots, seen.side) == (
            order.price_ticks, order.qty_lots, 0, Side.BUY,
        )  # fmt: skip
        assert await desk.get_order(client_id=order.client_id) == seen
        assert await desk.get_order(venue_order_id=taken.venue_order_id) == seen
        assert (await desk.get_balance())[one.pair.quote].held > 0
        assert await desk.cancel_order(client_id=order.client_id) == 1
        assert await one.until(desk.get_open_orders, lambda found: not found) == []
        gone = await desk.get_order(client_id=order.client_id)
        assert gone is not None
        assert gone.status is OrderStatus.CANCELLED
        assert (await desk.get_balance())[one.pair.quote].held == 0
        # What is gone cannot be cancelled again, and is no error.
        assert await desk.cancel_order(venue_order_id=taken.venue_order_id) == 0
        assert await desk.get_order(client_id=one.client_id()) is None
        with pytest.raises(ValueError, match="needed"):
            await desk.cancel_order()


@every_venue
@pytest.mark.asyncio
async def test_an_immediate_order_that_does_not_trade_does_not_rest(dialect: str) -> None:
    async with floor(dialect) as one:
        desk = one.desk
        order = one.order(post_only=False, immediate=True)
        await desk.place_order(order)
        done = await one.until(
            lambda: desk.get_order(client_id=order.client_id),
            lambda found: found is not None and found.status.terminal,
        )
        assert done is not None
        assert (done.status, done.filled_lots) == (OrderStatus.CANCELLED, 0)
        assert await desk.get_open_orders() == []
        with pytest.raises(ValueError, match="cannot be post-only"):
            one.order(immediate=True)


@every_venue
@pytest.mark.asyncio
async def test_a_fill_is_told_with_its_fee_and_moves_the_balances(dialect: str) -> None:
    async with floor(dialect) as one:
        desk, since_ns = one.desk, one.clock.now_ns() - NS
        before = await desk.get_balance()
        order = one.order(away=-0.01, post_only=False)
        taken = await desk.place_order(order)
        fills = await one.until(
            lambda: desk.get_fills(since_ns),
            lambda found: sum(fill.qty_lots for fill in found) == order.qty_lots,
        )
        after = await desk.get_balance()
        bought = sum((one.pair.qty(fill.qty_lots) for fill in fills), Decimal(0))
        paid = sum((fill.cost for fill in fills), Decimal(0))
        charged: dict[str, Decimal] = {one.pair.base: Decimal(0), one.pair.quote: Decimal(0)}
        for fill in fills:
            # Where a venue's list of fills names no client ids, its own id leads to the order.
            assert fill.client_id in (order.client_id, "")
            assert fill.venue_order_id == taken.venue_order_id
            assert (fill.side, fill.maker, fill.instrument) == (Side.BUY, False, one.name)
            cost = one.pair.price(fill.price_ticks) * one.pair.qty(fill.qty_lots)
            assert abs(fill.cost - cost) < ROUNDING
            assert fill.fees
            for fee in fill.fees:
                charged[fee.asset] += fee.amount
        assert len({fill.exec_id for fill in fills}) == len(fills)
        change = {a: after[a].total - before[a].total for a in (one.pair.base, one.pair.quote)}
        assert change[one.pair.base] == bought - charged[one.pair.base]
        assert abs(change[one.pair.quote] + paid + charged[one.pair.quote]) < ROUNDING
        done = await desk.get_order(client_id=order.client_id)
        assert done is not None
        assert (done.status, done.filled_lots) == (OrderStatus.FILLED, order.qty_lots)


@every_venue
@pytest.mark.asyncio
async def test_several_orders_at_once(dialect: str) -> None:
    async with floor(dialect) as one:
        desk = one.desk
        orders = [one.order(away=0.05 + 0.01 * i, qty_lots=one.qty("0.005")) for i in range(3)]
        taken = await desk.place_orders(orders)
        assert [one.client_id for one in taken] == [order.client_id for order in orders]
        names = {order.client_id for order in orders}
        found = await one.until(desk.get_open_orders, lambda seen: len(seen) == 3)
        assert {order.client_id for order in found} == names
        assert await desk.cancel_orders([order.client_id for order in orders[:2]]) == 2
        left = await one.until(desk.get_open_orders, lambda seen: len(seen) == 1)
        assert left[0].client_id == orders[2].client_id
        # A refusal among several is raised; what was taken stays.
        bad = one.order(qty_lots=one.qty("3"))
        with pytest.raises(VenueRejected) as caught:
            await desk.place_orders([one.order(away=0.1, qty_lots=one.qty("0.005")), bad])
        assert caught.value.code == Code.FUNDS
        assert len(await one.until(desk.get_open_orders, lambda seen: len(seen) == 2)) == 2


@every_venue
@pytest.mark.asyncio
async def test_amend_is_what_the_capabilities_say(dialect: str) -> None:
    async with floor(dialect) as one:
        desk, can = one.desk, one.desk.capabilities
        # Alone at a price of its own, first in its queue; another order joins behind it.
        order = (
            one.order(price_ticks=one.best(BID) + 1)
            if one.best(ASK) - one.best(BID) > 1
            else one.order(away=0.02)
        )
        await desk.place_order(order)
        await one.until(desk.get_open_orders, bool)
        less = order.qty_lots // 2
        if not can.amend:
            with pytest.raises(VenueRejected) as caught:
                await desk.amend_order(one.pair, order.client_id, order.price_ticks, less)
            assert caught.value.code == Code.ARGUMENTS
            assert not can.amend_keeps_priority
            return
        one.market(BUY, order.price_ticks, 10 * order.qty_lots)
        await desk.amend_order(one.pair, order.client_id, order.price_ticks, less)
        [seen] = await one.until(
            desk.get_open_orders, lambda found: [order.qty_lots for order in found] == [less]
        )
        assert (seen.client_id, seen.price_ticks) == (order.client_id, order.price_ticks)
        # As much is sold down to that price as stands above it, and our half.
        above = sum(
            qty for price, qty in one.server.core.depth(one.name, BID, 500)
            if price > order.price_ticks
        )  # fmt: skip
        one.market(SELL, order.price_ticks, above + less, Tif.IOC)
        done = await desk.get_order(client_id=order.client_id)
        assert done is not None
        if can.amend_keeps_priority:
            assert done.status is OrderStatus.FILLED


@every_venue
@pytest.mark.asyncio
async def test_cancel_all_reaches_as_far_as_the_capabilities_say(dialect: str) -> None:
    _, (pair, start), *_ = DIALECTS[dialect].pairs.values()
    async with floor(dialect, idle=(pair.name,)) as one:
        desk, other = one.desk, (await one.desk.get_instruments())[pair.name]
        price_ticks = other.floor_ticks(start)
        there = PlaceOrder(
            other, Side.BUY, price_ticks, other.floor_lots(100 / start), one.client_id()
        )
        here = one.order()
        await desk.place_order(here)
        await desk.place_order(there)
        await one.until(desk.get_open_orders, lambda found: len(found) == 2)
        scope = desk.capabilities.cancel_all_scope
        assert scope in ("account", "instrument")
        # Where the venue's own call reaches one pair only, all pairs with open orders are told.
        assert await desk.cancel_all() == 2
        await one.until(desk.get_open_orders, lambda found: not found)
        for order in (here, there):
            gone = await desk.get_order(client_id=order.client_id)
            assert gone is not None
            assert gone.status is OrderStatus.CANCELLED


@every_venue
@pytest.mark.asyncio
async def test_dead_mans_switch_is_what_the_capabilities_say(dialect: str) -> None:
    async with floor(dialect) as one:
        desk = one.desk
        await desk.place_order(one.order(away=0.3))
        await one.until(desk.get_open_orders, bool)
        if not desk.capabilities.dead_man:
            with pytest.raises(VenueRejected):
                await desk.dead_man_switch(30)
            return
        await desk.dead_man_switch(30)
        await one.pass_time(20)
        assert len(await desk.get_open_orders()) == 1
        await desk.dead_man_switch(30)
        await one.pass_time(20)
        assert len(await desk.get_open_orders()) == 1
        await desk.dead_man_switch(0)
        await one.pass_time(60)
        assert len(await desk.get_open_orders()) == 1
        await desk.dead_man_switch(30)
        await one.pass_time(31)
        assert await one.until(desk.get_open_orders, lambda found: not found) == []


@every_venue
@pytest.mark.asyncio
async def test_one_message_takes_as_many_orders_as_the_capabilities_say(dialect: str) -> None:
    async with floor(dialect) as one:
        can = one.desk.capabilities
        connector = registry.connector(one.desk.config, keys_of(one.server), clock=one.clock)
        await connector.rest().instruments([one.name])
        encoder = connector.order_encoder(one.pair, bot="floor", session_s=1_700_000_000)
        count = min(can.batch_add_max, 10)
        actions: list[tuple[int, int, int, int, int, bool]] = [
            (ActionKind.ACTION_PLACE, i + 1, BUY, one.best(BID) - 100 - i, one.qty("0.001"), True)
            for i in range(count)
        ]
        assert count >= 1
        written = encoder.encode(actions, one.clock.now_ns())
        await connector.rest().close()
        if len(written) == 1:
            return
        # Not over the socket, then: by request, and in one.
        asked: list[str] = []
        answer = one.server.rest.answer

        def counted(
            method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
        ) -> tuple[int, bytes]:
            asked.append(path)
            return answer(method, path, headers, body, now_ns)

        one.server.rest.answer = counted  # type: ignore[method-assign]
        orders = [one.order(0.1, qty_lots=one.qty("0.001")) for _ in range(count)]
        assert len(await one.desk.place_orders(orders)) == count
        assert len(asked) == 1


@every_venue
@pytest.mark.asyncio
async def test_refusals_are_typed_and_say_what_to_do(dialect: str) -> None:
    async with floor(dialect) as one:
        desk = one.desk
        stranger = PlaceOrder(one.pair, Side.BUY, 1, 1, one.client_id())
        crossing = one.order(away=-0.01)
        cases: list[tuple[Code, Callable[[], Awaitable[object]]]] = [
            (Code.INSTRUMENT, lambda: desk.get_ticker("NO/PAIR")),
            (Code.FUNDS, lambda: desk.place_order(one.order(qty_lots=one.qty("3")))),
            (Code.MINIMUM, lambda: desk.place_order(stranger)),
        ]
        if not DIALECTS[dialect].post_only_accepted:
            cases.append((Code.POST_ONLY, lambda: desk.place_order(crossing)))
        if desk.capabilities.amend:
            cases.append((
                Code.UNKNOWN_ORDER,
                lambda: desk.amend_order(one.pair, one.client_id(), one.best(BID) - 100, one.qty()),
            ))  # fmt: skip
        for code, ask in cases:
            with pytest.raises(VenueRejected) as caught:
                await ask()
            error = caught.value
            assert (error.code, error.venue) == (code, desk.name), str(error)
            assert isinstance(error.retryable, bool)
            assert advice(error)
        assert await desk.get_open_orders() == []
        if DIALECTS[dialect].post_only_accepted:
            # Taken, and ended at once without a fill.
            await desk.place_order(crossing)
            ended = await desk.get_order(client_id=crossing.client_id)
            assert ended is not None
            assert (ended.status, ended.filled_lots) == (OrderStatus.CANCELLED, 0)


@every_venue
@pytest.mark.asyncio
async def test_wrong_key_is_a_typed_error_and_shows_nothing(dialect: str) -> None:
    wrong = Keys("not-the-key", "bm90IHRoZSBzZWNyZXQgb2YgYW55Ym9keQ==", "not-the-phrase")
    async with floor(dialect, keys=wrong) as one:
        with pytest.raises(VenueRejected) as caught:
            await one.desk.get_balance()
        assert caught.value.code == Code.CREDENTIALS
        assert caught.value.retryable is False
        assert "not-the" not in str(caught.value) + repr(one.desk)
        assert "doctor" in advice(caught.value) or "key" in advice(caught.value)


@pytest.mark.parametrize("name", TRADED)
@pytest.mark.asyncio
async def test_nobody_there_is_a_transport_error(name: str) -> None:
    nowhere = dict.fromkeys(("ws", "ws_auth"), "ws://127.0.0.1:9") | {"rest": "http://127.0.0.1:9"}
    async with asyncio.timeout(TIMEOUT_S), connect(name, endpoints=nowhere) as desk:
        with pytest.raises(TransportError) as caught:
            await desk.get_server_time()
        assert caught.value.retryable is True
        assert "network" in advice(caught.value)
        with pytest.raises(VenueRejected) as refused:
            await desk.get_key_rights()
        assert refused.value.code == Code.CREDENTIALS


@every_venue
@pytest.mark.asyncio
async def test_market_stream_tells_the_venues_book_and_trades(dialect: str) -> None:
    async with floor(dialect) as one:
        stream = await one.desk.market_stream(one.name, levels=3)
        async with stream:
            seen = await one.until(lambda: first(stream, BookUpdated), bool)
            assert seen.book.instrument == one.name
            assert len(seen.book.bids) == len(seen.book.asks) == 3
            price_ticks = one.best(ASK)
            one.market(BUY, price_ticks, 7, Tif.IOC)
            one.server.flush()
            trade = await one.until(lambda: first(stream, MarketTrade), bool)
            assert (trade.taker_side, trade.qty) == (Side.BUY, one.pair.qty(7))
            assert trade.price == one.pair.price(price_ticks)
            # What it tells is what the venue has.
            await one.pass_time(1)
            told = await one.until(
                lambda: first(stream, BookUpdated),
                lambda event: (
                    event.book.bids[0][0] == one.pair.price(one.best(BID))
                    and event.book.asks[0][0] == one.pair.price(one.best(ASK))
                ),
            )
            assert told.recv_ns > 0
            # A connection that falls is told, and the book comes back.
            for socket in list(one.server.sockets):
                if socket.transport is not None:
                    socket.transport.disconnect(False)
            lost = await one.until(lambda: first(stream, StreamLost), bool)
            assert lost.instrument == one.name
            assert (await one.until(lambda: first(stream, BookUpdated), bool)).book.bids


@every_venue
@pytest.mark.asyncio
async def test_account_stream_tells_orders_and_fills(dialect: str) -> None:
    async with floor(dialect) as one:
        stream = await one.desk.account_stream(one.name)
        async with stream:
            resting, taking = one.order(), one.order(away=-0.01, post_only=False)

            async def listening() -> bool:
                return stream.ready

            async def place_when_listening() -> None:
                await one.until(listening, bool)
                await one.desk.place_order(resting)
                await one.desk.place_order(taking)

            placing = asyncio.create_task(place_when_listening())
            orders: set[str] = set()
            filled_lots = 0
            async for event in stream:
                if isinstance(event, OrderUpdated):
                    orders.add(event.client_id)
                elif isinstance(event, OrderFilled):
                    assert event.client_id == taking.client_id
                    filled_lots += event.qty_lots
                if resting.client_id in orders and filled_lots == taking.qty_lots:
                    break
            await placing


async def first(stream: object, kind: type[T]) -> T:
    """Read until an event of a kind comes."""
    async for event in stream:  # type: ignore[attr-defined]
        if isinstance(event, kind):
            return event
    raise AssertionError("the stream ended")


@every_venue
@pytest.mark.asyncio
async def test_orders_by_hand_do_not_pass_a_bots_risk_gate(dialect: str) -> None:
    async with floor(dialect) as one:
        desk, key = one.desk, keys_of(one.server).key
        mine = one.order()
        # A bot of this very process, or any other of the host, holds the account.
        with lock_account(desk.name, one.server.rest_url, key):
            for ask in (
                lambda: desk.place_order(mine),
                lambda: desk.place_orders([mine]),
                lambda: desk.amend_order(one.pair, mine.client_id, 1, 1),
            ):
                with pytest.raises(RiskError) as caught:
                    await ask()
                assert caught.value.code == "account_in_use"
            assert await desk.cancel_order(client_id=mine.client_id) == 0
            await desk.cancel_all()
            assert await desk.get_open_orders() == []
        await desk.place_order(mine)
        with pytest.raises(OpenMMError, match="in use"):
            lock_account(desk.name, one.server.rest_url, key)
        await desk.cancel_all()
        await desk.close()
        lock_account(desk.name, one.server.rest_url, key).close()


@pytest.mark.parametrize("name", TRADED)
@pytest.mark.asyncio
async def test_orders_never_leave_this_machine(name: str) -> None:
    pair, start = next(iter(DIALECTS[name].pairs.values()))
    order = PlaceOrder(pair, Side.BUY, pair.floor_ticks(start), 1, "x")
    async with connect(name, Keys("key", "c2VjcmV0", "phrase")) as desk:
        with pytest.raises(RiskError) as caught:
            await desk.place_order(order)
    assert caught.value.code == "not_loopback"
    assert not isinstance(caught.value, VenueError)
