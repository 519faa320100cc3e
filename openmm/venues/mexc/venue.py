"""MEXC behind the `Venue` protocol: typed answers over REST.

Source: MEXC API documentation (spot v3), "Market Data Endpoints", "Spot Account/Trade", "User Data
Streams", 2025-08 to 2026; shapes of the answers as in `samples/mexc/rest_docs.json`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from openmm._fast.units import Side
from openmm.errors import ProtocolError, VenueRejected
from openmm.events import OrderFilled, OrderUpdated, RequestAccepted, SystemMode, TickerUpdated
from openmm.instrument import Instrument
from openmm.venues.base import (
    Balance,
    Candle,
    KeyRights,
    MarketTrade,
    OrderBook,
    PlaceOrder,
    ServerTime,
    SystemState,
)
from openmm.venues.checks import check_ohlcv
from openmm.venues.connector import Capabilities, Fees
from openmm.venues.faults import Code
from openmm.venues.mexc.fields import as_decimal, as_int, as_list, as_object, loads, text_of
from openmm.venues.mexc.rest import Rest, refused
from openmm.venues.mexc.rows import (
    NS_PER_MS,
    FillIds,
    ppm_of,
    read_fill,
    read_order,
    read_symbol,
)
from openmm.venues.mexc.spec import (
    BATCH_ORDERS_MAX,
    FILLS_LIMIT,
    FILLS_WINDOW_S,
    OK_CODES,
    REST_DEPTH_MAX,
    VENUE,
    venue_symbol,
)
from openmm.venues.mexc.stream import dumps

CAPABILITIES: Final = Capabilities(
    amend=False,
    amend_keeps_priority=False,
    batch_add_max=BATCH_ORDERS_MAX,
    batch_cancel_max=1,
    cancel_all_scope="account",
    dead_man=False,
    websocket_trading=False,
)
# Source: MEXC API documentation, "Kline/Candlestick Data", 2025-08.
INTERVALS: Final = {
    60: "1m", 300: "5m", 900: "15m", 1800: "30m", 3600: "60m", 14_400: "4h", 86_400: "1d",
}  # fmt: skip
OHLCV_COUNT_MAX: Final = 500
ORDERS_KEPT: Final = 4096


@final
class MexcVenue:
    """Ask and tell MEXC over REST, in this project's words.

    Calls that name a pair load the list of pairs when that has not been done. The venue wants to
    hear an order's pair with its id: this object remembers it from every order it has seen.
    """

    def __init__(self, rest: Rest, ids: FillIds | None = None) -> None:
        self.rest = rest
        self._ids = ids or FillIds()
        self._pairs: dict[str, Instrument] = {}  # by the venue's name
        self._symbols: OrderedDict[str, str] = OrderedDict()  # order id or client id: symbol
        self._used: dict[str, None] = {}  # symbols asked about

    @property
    def name(self) -> str:
        """Name of the venue, as in configuration."""
        return VENUE

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do."""
        return CAPABILITIES

    async def close(self) -> None:
        """Give back connections."""
        await self.rest.close()

    # --- public

    async def get_server_time(self) -> ServerTime:
        """Ask for the venue's clock, in milliseconds."""
        sent_ns = self.rest.clock.now_ns()
        told = as_object(await self.rest.public("/api/v3/time"))
        ts_ns = as_int(told.get("serverTime")) * NS_PER_MS
        received_ns = self.rest.clock.now_ns()
        return ServerTime(ts_ns, ts_ns - (sent_ns + received_ns) // 2, received_ns - sent_ns)

    async def get_system_state(self) -> SystemState:
        """Tell that the venue answers: it publishes no trading mode; pairs have their own."""
        await self.get_server_time()
        return SystemState(SystemMode.ONLINE, "online")

    async def get_instruments(self) -> dict[str, Instrument]:
        """List what is traded, by our name ("BTC/USDT"); an entry that makes no sense is left out.

        The venue lists thousands of pairs, some without a precision: those cannot be traded.
        """
        told = as_object(await self.rest.public("/api/v3/exchangeInfo"))
        found: dict[str, Instrument] = {}
        for row in map(as_object, as_list(told.get("symbols"))):
            try:
                instrument = read_symbol(row)
            except ProtocolError:
                continue
            found[instrument.name] = instrument
            self._pairs[venue_symbol(instrument.name)] = instrument
        return found

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side."""
        if not 1 <= depth <= REST_DEPTH_MAX:
            raise ValueError(f"depth must be 1 to {REST_DEPTH_MAX}: {depth}")
        told = as_object(loads(await self.book_bytes(await self._symbol(instrument), depth)))
        return OrderBook(instrument, _levels(told.get("bids")), _levels(told.get("asks")))

    async def book_bytes(self, symbol: str, depth: int) -> bytes:
        """Ask for a book with its version, to join increments to; returns the body as it came."""
        params: dict[str, str | int] = {"symbol": symbol, "limit": depth}
        return await self.rest.public_bytes("/api/v3/depth", params)

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        symbol = await self._symbol(instrument)
        row = as_object(await self.rest.public("/api/v3/ticker/24hr", {"symbol": symbol}))
        return TickerUpdated(
            instrument,
            as_decimal(row.get("bidPrice")),
            as_decimal(row.get("bidQty")),
            as_decimal(row.get("askPrice")),
            as_decimal(row.get("askQty")),
            as_decimal(row.get("lastPrice")),
            as_decimal(row.get("volume")),
            as_int(row.get("closeTime") or 0) * NS_PER_MS,
        )

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first; at most 1000. The venue gives them no ids."""
        if not 1 <= count <= 1000:
            raise ValueError(f"count must be 1 to 1000: {count}")
        params: dict[str, str | int] = {
            "symbol": await self._symbol(instrument), "limit": count,
        }  # fmt: skip
        trades = [
            MarketTrade(
                instrument,
                0,
                Side.SELL if row.get("isBuyerMaker") is True else Side.BUY,
                as_decimal(row.get("price")),
                as_decimal(row.get("qty")),
                as_int(row.get("time")) * NS_PER_MS,
            )
            for row in map(as_object, as_list(await self.rest.public("/api/v3/trades", params)))
        ]
        # Newest first, in milliseconds: those of one moment keep their order.
        return sorted(reversed(trades), key=lambda trade: trade.ts_ns)

    @property
    def ohlcv_intervals_s(self) -> tuple[int, ...]:
        """The candles' lengths on offer, in seconds."""
        return tuple(INTERVALS)

    async def get_ohlcv(
        self, instrument: str, interval_s: int = 60, count: int = 100
    ) -> list[Candle]:
        """Ask for the last candles, oldest first, at most 500."""
        check_ohlcv(interval_s, tuple(INTERVALS), count, OHLCV_COUNT_MAX)
        params: dict[str, str | int] = {
            "symbol": await self._symbol(instrument), "interval": INTERVALS[interval_s],
            "limit": count,
        }  # fmt: skip
        candles = []
        # A row: start, open, high, low, close, base volume, end, quote volume.
        for row in map(as_list, as_list(await self.rest.public("/api/v3/klines", params))):
            if len(row) < 6:
                raise ProtocolError(f"klines: row is too short: {row!r}", venue=VENUE)
            start_ns = as_int(row[0]) * NS_PER_MS
            opened, high, low, close = (as_decimal(cell) for cell in row[1:5])
            closed = start_ns + interval_s * 1_000_000_000 <= self.rest.clock.now_ns()
            candles.append(
                Candle(instrument, start_ns, opened, high, low, close, as_decimal(row[5]), closed)
            )
        return sorted(candles, key=lambda candle: candle.start_ns)

    # --- account

    async def get_key_rights(self) -> KeyRights:
        """Ask what the key may do; `canWithdraw` is the account's, of the key it says nothing."""
        told = as_object(await self.rest.private("GET", "/api/v3/account"))
        words = tuple(
            f"account {name}" for name in ("canTrade", "canWithdraw", "canDeposit")
            if told.get(name) is True
        )  # fmt: skip
        return KeyRights(reads=True, told=words)

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset."""
        told = as_object(await self.rest.private("GET", "/api/v3/account"))
        found = {}
        for row in map(as_object, as_list(told.get("balances"))):
            asset, held = text_of(row, "asset"), as_decimal(row.get("locked"))
            found[asset] = Balance(asset, as_decimal(row.get("free")) + held, held)
        return found

    async def get_fees(self, instrument: str) -> Fees:
        """Ask for the account's own rates."""
        params = {"symbol": await self._symbol(instrument)}
        told = as_object(await self.rest.private("GET", "/api/v3/tradeFee", params))
        data = as_object(told.get("data"))
        maker, taker = ppm_of(data.get("makerCommission")), ppm_of(data.get("takerCommission"))
        if maker is None or taker is None:
            raise ProtocolError("tradeFee: rates expected", venue=VENUE)
        return Fees(maker, taker)

    async def get_open_orders(self) -> list[OrderUpdated]:
        """List every open order of the account."""
        await self._loaded()
        rows = as_list(await self.rest.private("GET", "/api/v3/openOrders"))
        return [self._order(as_object(row)) for row in rows]

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order, open or done; None when the venue knows none.

        The pair must be known to this object: from an order seen before, or asked about.
        """
        wanted = venue_order_id or client_id
        if not wanted:
            raise ValueError("client_id or venue_order_id is needed")
        await self._loaded()
        symbol = self._symbols.get(wanted)
        name = "orderId" if venue_order_id else "origClientOrderId"
        for one in [symbol] if symbol else list(self._used):
            found = await self._lookup(name, wanted, one)
            if found is not None:
                return found
        return None

    async def find(
        self, instrument: str, client_ids: Sequence[str], venue_order_ids: Sequence[str]
    ) -> list[OrderUpdated]:
        """Look several orders of a pair up: open ones first, then each left by its id."""
        symbol = await self._symbol(instrument)
        wanted = {one: "origClientOrderId" for one in client_ids}
        wanted |= {one: "orderId" for one in venue_order_ids}
        found: dict[str, OrderUpdated] = {}

        def take(order: OrderUpdated) -> None:
            if order.venue_order_id in wanted or (order.client_id and order.client_id in wanted):
                found[order.venue_order_id] = order
                wanted.pop(order.venue_order_id, None)
                wanted.pop(order.client_id, None)

        for order in await self.get_open_orders() if len(wanted) > 1 else ():
            take(order)
        # The venue's own ids first: each finds the client id of the same order on the way.
        for name in sorted(wanted, key=lambda one: (wanted[one] != "orderId", one)):
            if name in wanted:
                order_found = await self._lookup(wanted[name], name, symbol)
                if order_found is not None:
                    take(order_found)
        return list(found.values())

    async def _lookup(self, what: str, wanted: str, symbol: str) -> OrderUpdated | None:
        try:
            row = await self.rest.private(
                "GET", "/api/v3/order", {"symbol": symbol, what: wanted}
            )  # fmt: skip
        except VenueRejected as error:
            if error.code == Code.UNKNOWN_ORDER:
                return None
            raise
        return self._order(as_object(row))

    async def get_fills_of(self, orders: Sequence[OrderUpdated]) -> list[OrderFilled]:
        """List the fills of orders just looked up, oldest first."""
        now_ms = self.rest.clock.now_ns() // NS_PER_MS
        fills: list[OrderFilled] = []
        for order in orders:
            if order.filled_lots == 0:
                continue
            params = {
                "symbol": self._symbols[order.venue_order_id], "orderId": order.venue_order_id,
            }  # fmt: skip
            start_ms = now_ms - (FILLS_WINDOW_S - 60) * 1000
            fills += await self._fills(params, start_ms, now_ms + 60_000)
        return sorted(fills, key=lambda fill: (fill.ts_ns, fill.exec_id))

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills at or after `since_ns`, oldest first, of the pairs asked about before.

        The venue tells them for one pair at a time, a month back; their stamps may be cut to whole
        seconds, so those of the second before are told as well.
        """
        now_ms = self.rest.clock.now_ns() // NS_PER_MS
        start_ms = max(since_ns // NS_PER_MS - 1000, now_ms - (FILLS_WINDOW_S - 60) * 1000)
        fills: list[OrderFilled] = []
        for symbol in self._used:
            fills += await self._fills({"symbol": symbol}, start_ms, now_ms + 60_000)
        return sorted(fills, key=lambda fill: (fill.ts_ns, fill.exec_id))

    async def _fills(
        self, params: Mapping[str, str], start_ms: int, end_ms: int
    ) -> list[OrderFilled]:
        """Ask for the fills of a span; an answer that is full is asked for in halves."""
        await self._loaded()
        asked: dict[str, str | int] = {
            **params, "startTime": start_ms, "endTime": end_ms, "limit": FILLS_LIMIT,
        }  # fmt: skip
        rows = as_list(await self.rest.private("GET", "/api/v3/myTrades", asked))
        if len(rows) >= FILLS_LIMIT:
            if end_ms - start_ms < 2:
                raise ProtocolError(f"{len(rows)} fills in {end_ms - start_ms} ms", venue=VENUE)
            middle_ms = (start_ms + end_ms) // 2
            # Which end of a full answer is cut off is documented nowhere.
            halves = [
                *await self._fills(params, start_ms, middle_ms),
                *await self._fills(params, middle_ms + 1, end_ms),
            ]
            return list({fill.exec_id: fill for fill in halves}.values())
        found = [read_fill(as_object(row), self._pairs, self._ids) for row in rows]
        return [fill for fill in found if fill is not None]

    # --- orders

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place a limit order, good till cancelled; never retried."""
        row = as_object(await self.rest.private("POST", "/api/v3/order", self._body(order)))
        return self._placed(row, order)

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Place orders of one instrument in batches; raises the first refusal of a batch."""
        placed: list[RequestAccepted] = []
        for start in range(0, len(orders), BATCH_ORDERS_MAX):
            part = orders[start : start + BATCH_ORDERS_MAX]
            listed = dumps([self._body(order) for order in part])
            told = await self.rest.private("POST", "/api/v3/batchOrders", {"batchOrders": listed})
            rows = [as_object(row) for row in as_list(told)]
            if len(rows) != len(part):
                raise ProtocolError(
                    f"batchOrders: {len(part)} rows expected; got {len(rows)}", venue=VENUE
                )
            bad = None
            for row, order in zip(rows, part, strict=True):
                if row.get("code") is not None and as_int(row["code"]) not in OK_CODES:
                    bad = bad or refused(as_int(row["code"]), text_of(row, "msg"))
                else:
                    placed.append(self._placed(row, order))
            if bad is not None:
                raise bad
        return placed

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Refuse: the venue changes no order in place."""
        raise VenueRejected("no amendment at this venue", venue=VENUE, code=Code.ARGUMENTS)

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel one order; returns how many were cancelled, 0 when it was gone."""
        if bool(client_id) == bool(venue_order_id):
            raise ValueError("one of client_id and venue_order_id is needed")
        wanted = client_id or venue_order_id
        name = "origClientOrderId" if client_id else "orderId"
        symbol = await self._symbol_of(wanted)
        if not symbol:
            return 0
        try:
            await self.rest.private("DELETE", "/api/v3/order", {"symbol": symbol, name: wanted})
        except VenueRejected as error:
            if error.code == Code.UNKNOWN_ORDER:
                return 0
            raise
        return 1

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Cancel several orders, one request each; returns how many the venue cancelled."""
        return sum([await self.cancel_order(client_id=one) for one in client_ids])

    async def cancel_ids(self, order_ids: Sequence[str]) -> int:
        """Cancel orders by the venue's ids, one request each."""
        return sum([await self.cancel_order(venue_order_id=one) for one in order_ids])

    async def cancel_all(self) -> int:
        """Cancel every order of the account, pair by pair; returns how many."""
        open_orders = await self.get_open_orders()
        count = 0
        for symbol in {self._symbols[one.venue_order_id] for one in open_orders}:
            rows = await self.rest.private("DELETE", "/api/v3/openOrders", {"symbol": symbol})
            count += len(as_list(rows))
        return count

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Refuse to arm: the venue has no such switch; `openmm watchdog` stands in."""
        if timeout_s != 0:
            raise VenueRejected("no dead-man's switch at this venue", venue=VENUE,
                                code=Code.ARGUMENTS)  # fmt: skip

    # --- listen keys

    async def create_listen_key(self) -> str:
        """Get a key for private streams, good for an hour."""
        told = as_object(await self.rest.private("POST", "/api/v3/userDataStream"))
        key = text_of(told, "listenKey")
        if not key:
            raise ProtocolError("userDataStream: key expected", venue=VENUE)
        return key

    async def renew_listen_key(self, key: str) -> None:
        """Make a key good for another hour."""
        await self.rest.private("PUT", "/api/v3/userDataStream", {"listenKey": key})

    async def close_listen_key(self, key: str) -> None:
        """Give a key back: an account has a limited number of them."""
        await self.rest.private("DELETE", "/api/v3/userDataStream", {"listenKey": key})

    # --- inside

    async def _loaded(self) -> None:
        if not self._pairs:
            await self.get_instruments()

    async def _symbol(self, instrument: str) -> str:
        await self._loaded()
        symbol = venue_symbol(instrument)
        known = self._pairs.get(symbol)
        if known is None or known.name != instrument:
            raise VenueRejected(f"no such pair: {instrument}", venue=VENUE, code=Code.INSTRUMENT)
        self._used[symbol] = None
        return symbol

    async def use(self, instrument: str) -> None:
        """Take note of a pair whose orders and fills will be asked for."""
        await self._symbol(instrument)

    async def _symbol_of(self, order_id: str) -> str:
        """Return the pair of an order, asking what is open when it is not known; "": not open."""
        if order_id not in self._symbols:
            await self.get_open_orders()
        symbol = self._symbols.get(order_id, "")
        if not symbol and len(self._used) == 1:
            return next(iter(self._used))
        return symbol

    def _order(self, row: Mapping[str, Any]) -> OrderUpdated:
        order = read_order(row, self._pairs)
        for name in (order.venue_order_id, order.client_id):
            self._note(name, text_of(row, "symbol"))
        return order

    def _note(self, name: str, symbol: str) -> None:
        if not name or not symbol:
            return
        self._symbols[name] = symbol
        self._symbols.move_to_end(name)
        if len(self._symbols) > ORDERS_KEPT:
            self._symbols.popitem(last=False)

    def _body(self, order: PlaceOrder) -> dict[str, str | int]:
        instrument = order.instrument
        symbol = venue_symbol(instrument.name)
        body: dict[str, str | int] = {
            "symbol": symbol,
            "side": "BUY" if order.side == Side.BUY else "SELL",
            "type": (
                "LIMIT_MAKER"
                if order.post_only
                else "IMMEDIATE_OR_CANCEL"
                if order.immediate
                else "LIMIT"
            ),
            "quantity": format(instrument.qty(order.qty_lots), "f"),
            "price": format(instrument.price(order.price_ticks), "f"),
            "newClientOrderId": order.client_id,
        }
        if self.rest.settings.stp_mode:
            body["stpMode"] = self.rest.settings.stp_mode
        self._used[symbol] = None
        self._note(order.client_id, symbol)
        return body

    def _placed(self, row: Mapping[str, Any], order: PlaceOrder) -> RequestAccepted:
        order_id = str(row.get("orderId") or "")
        if not order_id:
            raise ProtocolError("order: id expected", venue=VENUE)
        self._note(order_id, venue_symbol(order.instrument.name))
        return RequestAccepted("add", 0, order.client_id, order_id, count=1)


def _levels(rows: object) -> tuple[tuple[Any, Any], ...]:
    levels = []
    for row in map(as_list, as_list(rows)):
        if len(row) < 2:
            raise ProtocolError(f"level of price and quantity expected; got {row!r}", venue=VENUE)
        levels.append((as_decimal(row[0]), as_decimal(row[1])))
    return tuple(levels)
