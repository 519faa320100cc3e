"""Bitget behind the `Venue` protocol: typed answers over REST, for accounts of both families.

Source: Bitget API documentation, REST pages of v2 and v3, crawl of 2025-12-05; shapes of the
answers as in `samples/bitget/rest_docs.json` and `live_captures.json`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar, final

from openmm._fast.units import Side
from openmm.errors import ProtocolError, VenueRejected
from openmm.events import (
    OrderFilled,
    OrderUpdated,
    RequestAccepted,
    Source,
    SystemMode,
    TickerUpdated,
)
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
from openmm.venues.bitget.fields import as_decimal, as_int, as_list, as_object, text_of
from openmm.venues.bitget.rest import FamilyChanged, Rest, refusal
from openmm.venues.bitget.rows import (
    SIDES,
    held_of,
    is_spot,
    millis_to_ns,
    read_order,
    read_pair,
    read_rest_fill,
    read_ticker,
    read_unified_fill,
    total_of,
)
from openmm.venues.bitget.spec import (
    BATCH_ORDERS_MAX,
    DEAD_MAN_S,
    FILLS_WINDOW_S,
    OK_CODES,
    ORDER_INFO_BY_CLIENT_ID_S,
    PAGE,
    REST_DEPTH_MAX,
    VENUE,
    Family,
)
from openmm.venues.checks import check_ohlcv
from openmm.venues.connector import Capabilities, Fees
from openmm.venues.faults import Code

log = logging.getLogger(__name__)

CAPABILITIES: Final = Capabilities(
    amend=False,  # a replacement is a new order with a new id
    amend_keeps_priority=False,
    batch_add_max=BATCH_ORDERS_MAX[Family.CLASSIC],
    batch_cancel_max=BATCH_ORDERS_MAX[Family.CLASSIC],
    cancel_all_scope="instrument",
    dead_man=False,
    websocket_trading=True,  # once the venue has granted it
)
UNIFIED_CAPABILITIES: Final = Capabilities(
    amend=False,
    amend_keeps_priority=False,
    batch_add_max=BATCH_ORDERS_MAX[Family.UNIFIED],
    batch_cancel_max=BATCH_ORDERS_MAX[Family.UNIFIED],
    cancel_all_scope="account",
    dead_man=True,
    websocket_trading=True,
)
# Source: Bitget API documentation, "Get Candlestick Data" of v2 and v3, crawl of 2025-12-05.
INTERVALS: Final = {
    60: ("1min", "1m"), 300: ("5min", "5m"), 900: ("15min", "15m"), 1800: ("30min", "30m"),
    3600: ("1h", "1H"), 14_400: ("4h", "4H"), 21_600: ("6h", "6H"), 43_200: ("12h", "12H"),
    86_400: ("1day", "1D"),
}  # fmt: skip
OHLCV_COUNT_MAX: Final = {Family.CLASSIC: 1000, Family.UNIFIED: 100}
PAGES_MAX: Final = 100
TRADE_RIGHT: Final = "trade"
HARMLESS_RIGHTS: Final = frozenset({TRADE_RIGHT, "readonly"})
HISTORY: Final = "/api/v2/spot/trade/history-orders"
FORGOTTEN_NS: Final = (ORDER_INFO_BY_CLIENT_ID_S - 60) * 1_000_000_000
ORDERS_KEPT: Final = 4096
NS: Final = 1_000_000_000
SPOT: Final[dict[str, str | int]] = {"category": "SPOT"}

T = TypeVar("T")


def capabilities_of(family: Family, *, amend: bool) -> Capabilities:
    """Return what an account of a family can do."""
    if family is Family.CLASSIC:
        return CAPABILITIES
    known = UNIFIED_CAPABILITIES
    return Capabilities(
        amend=amend,
        amend_keeps_priority=False,
        batch_add_max=known.batch_add_max,
        batch_cancel_max=known.batch_cancel_max,
        cancel_all_scope=known.cancel_all_scope,
        dead_man=known.dead_man,
        websocket_trading=known.websocket_trading,
    )


@final
class BitgetVenue:
    """Ask and tell Bitget over REST, in this project's words.

    Calls that name a pair load the list of pairs when that has not been done. The venue wants to
    hear an order's pair with its id: this object remembers it from every order it has seen.
    """

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.settings = rest.settings
        self.pairs: dict[str, Instrument] = {}  # by the venue's symbol
        self._symbols: dict[str, str] = {}  # by our name
        self._of_order: OrderedDict[str, str] = OrderedDict()  # order id or client id: symbol
        self._used: dict[str, None] = {}  # symbols asked about

    @property
    def name(self) -> str:
        """Name of the venue, as in configuration."""
        return VENUE

    @property
    def unified(self) -> bool:
        """Whether the account is a unified one, as far as is known."""
        return self.rest.family is Family.UNIFIED

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do."""
        return capabilities_of(self.rest.family, amend=self.settings.amend)

    async def close(self) -> None:
        """Give back connections."""
        await self.rest.close()

    # --- public

    async def get_server_time(self) -> ServerTime:
        """Ask for the venue's clock, in milliseconds."""
        sent_ns = self.rest.clock.now_ns()
        row = as_object(await self.rest.public("/api/v2/public/time"))
        received_ns = self.rest.clock.now_ns()
        ts_ns = millis_to_ns(row.get("serverTime"))
        return ServerTime(ts_ns, ts_ns - (sent_ns + received_ns) // 2, received_ns - sent_ns)

    async def get_system_state(self) -> SystemState:
        """Tell that the venue answers: it publishes no trading mode; pairs have their own."""
        await self.get_server_time()
        return SystemState(SystemMode.ONLINE, "online")

    async def get_instruments(self) -> dict[str, Instrument]:
        """List what is traded, by our name ("BTC/USDT"), with the fees of the base tier.

        A pair that cannot be read is left out: it is no reason not to trade the others.
        """
        if self.unified:
            rows = await self.rest.public("/api/v3/market/instruments", SPOT)
        else:
            rows = await self.rest.public("/api/v2/spot/public/symbols")
        found: dict[str, Instrument] = {}
        for row in map(as_object, as_list(rows)):
            try:
                instrument = read_pair(row)
            except (ProtocolError, ArithmeticError) as error:
                log.warning("a pair is left out: %s", error)
                continue
            symbol = text_of(row, "symbol")
            found[instrument.name] = instrument
            self.know(instrument, symbol)
        return found

    def remember(self, name: str) -> None:
        """Take a pair as listed, under the symbol that every spot pair has: its assets joined."""
        self._symbols.setdefault(name, name.replace("/", ""))

    def know(self, instrument: Instrument, symbol: str) -> None:
        """Take a pair and its symbol as told by the venue."""
        self.pairs[symbol] = instrument
        self._symbols[instrument.name] = symbol

    def symbol_of(self, name: str) -> str:
        """Return the venue's symbol of a pair that has been loaded.

        Raises:
            VenueRejected: the venue lists none of the name.
        """
        try:
            return self._symbols[name]
        except KeyError:
            raise VenueRejected(
                f"no such pair: {name}", venue=VENUE, code=Code.INSTRUMENT
            ) from None

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side, at most 150."""
        if not 1 <= depth <= REST_DEPTH_MAX:
            raise ValueError(f"depth must be 1 to {REST_DEPTH_MAX}: {depth}")
        params: dict[str, str | int] = {
            "symbol": await self._symbol(instrument), "limit": depth,
        }  # fmt: skip
        if self.unified:
            row = as_object(await self.rest.public("/api/v3/market/orderbook", SPOT | params))
            return OrderBook(instrument, _levels(row.get("b")), _levels(row.get("a")))
        row = as_object(
            await self.rest.public("/api/v2/spot/market/orderbook", {"type": "step0", **params})
        )
        return OrderBook(instrument, _levels(row.get("bids")), _levels(row.get("asks")))

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        symbol = await self._symbol(instrument)
        params: dict[str, str | int] = {"symbol": symbol}
        if self.unified:
            rows = as_list(await self.rest.public("/api/v3/market/tickers", SPOT | params))
        else:
            rows = as_list(await self.rest.public("/api/v2/spot/market/tickers", params))
        if len(rows) != 1:
            raise ProtocolError(f"tickers: one row expected; got {len(rows)}", venue=VENUE)
        return read_ticker(as_object(rows[0]), self.pairs, symbol, None)

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first; at most 500."""
        if not 1 <= count <= 500:
            raise ValueError(f"count must be 1 to 500: {count}")
        params: dict[str, str | int] = {
            "symbol": await self._symbol(instrument), "limit": count,
        }  # fmt: skip
        if self.unified:
            rows = as_list(await self.rest.public("/api/v3/market/fills", SPOT | params))
        else:
            rows = as_list(await self.rest.public("/api/v2/spot/market/fills", params))
        trades = [
            MarketTrade(
                instrument,
                as_int(row.get("tradeId", row.get("execId"))),
                SIDES.get(text_of(row, "side").lower(), Side.UNKNOWN_SIDE),
                as_decimal(row.get("price")),
                as_decimal(row.get("size")),
                millis_to_ns(row.get("ts")),
            )
            for row in map(as_object, rows)
        ]
        return sorted(trades, key=lambda trade: (trade.ts_ns, trade.trade_id))

    @property
    def ohlcv_intervals_s(self) -> tuple[int, ...]:
        """The candles' lengths on offer, in seconds."""
        return tuple(INTERVALS)

    async def get_ohlcv(
        self, instrument: str, interval_s: int = 60, count: int = 100
    ) -> list[Candle]:
        """Ask for the last candles, oldest first, at most 1000 (unified accounts: 100)."""
        check_ohlcv(interval_s, tuple(INTERVALS), count, OHLCV_COUNT_MAX[self.rest.family])
        classic, unified = INTERVALS[interval_s]
        params: dict[str, str | int] = {"symbol": await self._symbol(instrument), "limit": count}
        if self.unified:
            raw = await self.rest.public(
                "/api/v3/market/candles", SPOT | params | {"interval": unified}
            )
        else:
            raw = await self.rest.public(
                "/api/v2/spot/market/candles", params | {"granularity": classic}
            )
        candles = []
        # A row: start, open, high, low, close, base volume, quote volume.
        for row in map(as_list, as_list(raw)):
            if len(row) < 6:
                raise ProtocolError(f"candles: row is too short: {row!r}", venue=VENUE)
            start_ns = millis_to_ns(row[0])
            opened, high, low, close = (as_decimal(cell) for cell in row[1:5])
            closed = start_ns + interval_s * NS <= self.rest.clock.now_ns()
            candles.append(
                Candle(instrument, start_ns, opened, high, low, close, as_decimal(row[5]), closed)
            )
        return sorted(candles, key=lambda candle: candle.start_ns)

    # --- account

    async def get_key_rights(self) -> KeyRights:
        """Ask what the key may do: of a classic account the venue tells, of a unified one not.

        Source: Bitget API documentation, "Get Account Information", whose example has `trade` and
        `readonly`. No source lists every word there is: one that is not known leaves open whether
        the key can withdraw.
        """

        async def classic() -> KeyRights:
            row = as_object(await self.rest.get("/api/v2/spot/account/info"))
            told = tuple(str(one) for one in as_list(row.get("authorities") or []))
            words = {one.lower() for one in told}
            ips = tuple(one for one in text_of(row, "ips").replace(",", " ").split() if one)
            withdraws: bool | None = any("withdraw" in one for one in words)
            if not withdraws and (not words or words - HARMLESS_RIGHTS):
                withdraws = None
            return KeyRights(True, TRADE_RIGHT in words or None, withdraws, told, ips)

        async def unified() -> KeyRights:
            await self.get_balance()
            return KeyRights(reads=True)

        return await self._either(classic, unified)

    async def discover(self) -> None:
        """Ask something private, so that the venue can name the account's family."""
        await self.get_balance()

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset."""

        async def classic() -> Any:
            return await self.rest.get("/api/v2/spot/account/assets", {"assetType": "hold_only"})

        async def unified() -> Any:
            return as_object(await self.rest.get("/api/v3/account/assets")).get("assets")

        found = {}
        for row in map(as_object, as_list(await self._either(classic, unified))):
            # Documents show lower case where servers send upper.
            asset = text_of(row, "coin").upper()
            found[asset] = Balance(asset, total_of(row), held_of(row))
        return found

    async def get_fees(self, instrument: str) -> Fees:
        """Ask for the account's own rates."""
        symbol = await self._symbol(instrument)

        async def classic() -> Any:
            return await self.rest.get(
                "/api/v2/common/trade-rate", {"symbol": symbol, "businessType": "spot"}
            )

        async def unified() -> Any:
            return await self.rest.get("/api/v3/account/fee-rate", SPOT | {"symbol": symbol})

        row = as_object(await self._either(classic, unified))
        return Fees(_ppm(row.get("makerFeeRate")), _ppm(row.get("takerFeeRate")))

    async def get_open_orders(self) -> list[OrderUpdated]:
        """List every open order of the account."""
        await self._loaded()
        return [self._order(row) for row in await self._either(
            lambda: self._pages("/api/v2/spot/trade/unfilled-orders", {}, "orderId"),
            lambda: self._cursors("/api/v3/trade/unfilled-orders", SPOT),
        )]  # fmt: skip

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order, open or done; None when the venue knows none.

        A classic account finds an order by our id for two hours only.
        """
        if not client_id and not venue_order_id:
            raise ValueError("client_id or venue_order_id is needed")
        await self._loaded()
        params = {"orderId": venue_order_id} if venue_order_id else {"clientOid": client_id}

        async def classic() -> Any:
            return await self.rest.get("/api/v2/spot/trade/orderInfo", params)

        async def unified() -> Any:
            row = await self.rest.get("/api/v3/trade/order-info", params)
            return [row] if row else []

        try:
            rows = as_list(await self._either(classic, unified))
        except VenueRejected as error:
            if error.code == Code.UNKNOWN_ORDER:
                return None
            raise
        return self._order(as_object(rows[0])) if rows else None

    async def find(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated]:
        """Look several orders up: among the open ones, each by its id, then those of the past.

        A classic account forgets our ids after two hours: only the history still has them then.
        """
        found: dict[str, OrderUpdated] = {}
        wanted = set(client_ids) | set(venue_order_ids)

        def take(order: OrderUpdated) -> None:
            if {order.client_id, order.venue_order_id} & wanted:
                found[order.venue_order_id] = order
                wanted.difference_update({order.client_id, order.venue_order_id})

        for order in await self.get_open_orders():
            take(order)
        for one in [*venue_order_ids, *client_ids]:
            if one in wanted:
                by_id = one in venue_order_ids
                state = await self.get_order(
                    venue_order_id=one if by_id else "", client_id="" if by_id else one
                )
                if state is not None:
                    take(state)
        age_ns = self.rest.clock.now_ns() - since_ns
        if wanted and not self.unified and since_ns > 0 and age_ns > FORGOTTEN_NS:
            params = {"startTime": since_ns // 1_000_000}
            for row in await self._pages(HISTORY, params, "orderId"):
                take(self._order(row))
        return list(found.values())

    async def get_fills_of(self, orders: Sequence[OrderUpdated]) -> list[OrderFilled]:
        """List the fills of orders just looked up, oldest first."""
        fills: list[OrderFilled] = []
        for order in orders:
            if order.filled_lots != 0:
                fills += await self._fills({"orderId": order.venue_order_id})
        return sorted(fills, key=lambda fill: (fill.ts_ns, fill.trade_id))

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills at or after `since_ns`, oldest first, of every pair."""
        await self._loaded()
        now_ms = self.rest.clock.now_ns() // 1_000_000
        window_ms = FILLS_WINDOW_S * 1000
        found: dict[str, OrderFilled] = {}
        start_ms = max(since_ns // 1_000_000, 0)
        if since_ns <= 0:
            start_ms = now_ms - window_ms + 60_000
        while start_ms <= now_ms:
            end_ms = min(start_ms + window_ms - 60_000, now_ms + 60_000)
            for fill in await self._fills({"startTime": start_ms, "endTime": end_ms}):
                if fill.ts_ns >= since_ns:
                    found[fill.exec_id] = fill
            start_ms = end_ms + 1
        return sorted(found.values(), key=lambda fill: (fill.ts_ns, fill.trade_id))

    async def _fills(self, params: Mapping[str, str | int]) -> list[OrderFilled]:
        await self._loaded()

        async def classic() -> list[OrderFilled | None]:
            rows = await self._pages("/api/v2/spot/trade/fills", params, "tradeId")
            return [read_rest_fill(row, self.pairs) for row in rows]

        async def unified() -> list[OrderFilled | None]:
            rows = await self._cursors("/api/v3/trade/fills", SPOT | dict(params))
            return [
                read_unified_fill(row, self.pairs, Source.QUERY) for row in rows if is_spot(row)
            ]

        return [fill for fill in await self._either(classic, unified) if fill is not None]

    # --- orders

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place a limit order, good till cancelled; never retried."""
        await self._loaded()
        row = as_object(await self._either(
            lambda: self.rest.post("/api/v2/spot/trade/place-order", self._body(order)),
            lambda: self.rest.post("/api/v3/trade/place-order", self._body(order)),
        ))  # fmt: skip
        return self._placed(row, order)

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Place orders of one instrument in batches; raises the first refusal of a batch."""
        await self._loaded()
        placed: list[RequestAccepted] = []
        limit = BATCH_ORDERS_MAX[self.rest.family]
        for start in range(0, len(orders), limit):
            part = {order.client_id: order for order in orders[start : start + limit]}
            if len(part) != len(orders[start : start + limit]):
                raise ValueError("client ids of a batch must differ")
            rows = await self._place_batch(list(part.values()))
            refused: VenueRejected | None = None
            for row in rows:
                order = part.pop(text_of(row, "clientOid"), None)
                error = _refusal_of(row)
                if order is None:
                    raise ProtocolError(f"batch: row of no order of ours: {row!r}", venue=VENUE)
                if error is not None:
                    refused = refused or error
                else:
                    placed.append(self._placed(row, order))
            if refused is not None:
                raise refused
            if part:
                raise ProtocolError(f"batch: no answer for {sorted(part)}", venue=VENUE)
        return placed

    async def _place_batch(self, orders: Sequence[PlaceOrder]) -> list[Mapping[str, Any]]:
        symbol = self.symbol_of(orders[0].instrument.name)

        async def classic() -> list[Mapping[str, Any]]:
            rows = [_without(self._body(order), "symbol") for order in orders]
            return _both_lists(
                await self.rest.post(
                    "/api/v2/spot/trade/batch-orders", {"symbol": symbol, "orderList": rows}
                )
            )

        async def unified() -> list[Mapping[str, Any]]:
            rows = await self.rest.post(
                "/api/v3/trade/place-batch", [self._body(order) for order in orders]
            )
            return [as_object(row) for row in as_list(rows)]

        return await self._either(classic, unified)

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Change price and quantity of a unified account's order; never retried.

        Raises:
            VenueRejected: for a classic account, which can only replace an order by a new one, and
                without the setting `amend`.
        """
        if not self.unified:
            raise VenueRejected(
                "classic accounts cannot change an order in place: replace_order",
                venue=VENUE, code=Code.ARGUMENTS,
            )  # fmt: skip
        if not self.settings.amend:
            raise VenueRejected(
                "orders are not changed in place without the setting amend: that they keep their "
                "id is not documented",
                venue=VENUE, code=Code.ARGUMENTS,
            )  # fmt: skip
        await self._loaded()
        row = as_object(
            await self.rest.post(
                "/api/v3/trade/modify-order",
                {
                    "clientOid": client_id,
                    "qty": format(instrument.qty(qty_lots), "f"),
                    "price": format(instrument.price(price_ticks), "f"),
                    "autoCancel": "no",
                    "symbol": self.symbol_of(instrument.name),
                    **SPOT,
                },
            )
        )
        return RequestAccepted("amend", 0, client_id, text_of(row, "orderId"))

    async def replace_order(self, client_id: str, order: PlaceOrder) -> RequestAccepted:
        """Cancel a classic account's order and place another for it, in one request.

        The answer names the old order when that was named by our id: the new one is told on the
        stream.

        Raises:
            VenueRejected: the old order may have been cancelled all the same: look both up.
        """
        body = {"symbol": self.symbol_of(order.instrument.name), "clientOid": client_id}
        body |= _replacement(order)
        row = as_object(await self.rest.post("/api/v2/spot/trade/cancel-replace-order", body))
        return self._replaced(row, order)

    async def replace_orders(
        self, orders: Sequence[tuple[str, PlaceOrder]]
    ) -> list[RequestAccepted]:
        """Replace several orders of a classic account, at most 50; raises the first refusal."""
        rows = as_list(
            await self.rest.post(
                "/api/v2/spot/trade/batch-cancel-replace-order",
                {
                    "orderList": [
                        {"symbol": self.symbol_of(order.instrument.name), "clientOid": old}
                        | _replacement(order)
                        for old, order in orders
                    ]
                },
            )
        )
        if len(rows) != len(orders):
            raise ProtocolError(f"{len(orders)} rows expected; got {len(rows)}", venue=VENUE)
        return [
            self._replaced(as_object(row), order)
            for row, (_, order) in zip(rows, orders, strict=True)
        ]

    @staticmethod
    def _replaced(row: Mapping[str, Any], order: PlaceOrder) -> RequestAccepted:
        # The verdict stands inside an envelope that says success either way.
        if text_of(row, "success") != "success":
            raise VenueRejected(
                f"not replaced: {text_of(row, 'msg')}", venue=VENUE, code=Code.INTERNAL
            )
        return RequestAccepted("add", 0, order.client_id, count=1)

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel one order; returns how many cancels the venue took, 0 when it was gone."""
        if bool(client_id) == bool(venue_order_id):
            raise ValueError("one of client_id and venue_order_id is needed")
        await self._loaded()
        one = {"orderId": venue_order_id} if venue_order_id else {"clientOid": client_id}

        async def classic() -> Any:
            symbol = await self._symbol_of_order(client_id or venue_order_id)
            return await self.rest.post(
                "/api/v2/spot/trade/cancel-order", {"symbol": symbol, **one}
            )

        async def unified() -> Any:
            return await self.rest.post("/api/v3/trade/cancel-order", SPOT | one)

        try:
            await self._either(classic, unified)
        except VenueRejected as error:
            if error.code == Code.UNKNOWN_ORDER:
                return 0
            raise
        return 1

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Cancel several orders; returns how many cancels the venue took."""
        return await self._cancel_batches(client_ids, "clientOid")

    async def cancel_ids(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by the venue's ids, whatever their pairs.

        Raises:
            VenueRejected: one was refused for another reason than being gone; others were tried.
        """
        return await self._cancel_batches(venue_order_ids, "orderId")

    async def _cancel_batches(self, names: Sequence[str], member: str) -> int:
        """Cancel in batches of one kind of name: mixed ones fail."""
        await self._loaded()
        count = 0
        refused: VenueRejected | None = None
        limit = BATCH_ORDERS_MAX[self.rest.family]
        for start in range(0, len(names), limit):
            for row in await self._cancel_batch(names[start : start + limit], member):
                error = _refusal_of(row)
                if error is None:
                    count += 1
                elif error.code != Code.UNKNOWN_ORDER:
                    refused = refused or error
        if refused is not None:
            raise refused
        return count

    async def _cancel_batch(self, names: Sequence[str], member: str) -> list[Mapping[str, Any]]:
        async def classic() -> list[Mapping[str, Any]]:
            known = []
            for name in names:
                try:
                    known.append({"symbol": await self._symbol_of_order(name), member: name})
                except VenueRejected as error:
                    if error.code != Code.UNKNOWN_ORDER:
                        raise
            if not known:
                return []
            return _both_lists(
                await self.rest.post(
                    "/api/v2/spot/trade/batch-cancel-order",
                    {"symbol": "", "batchMode": "multiple", "orderList": known},
                )
            )

        async def unified() -> list[Mapping[str, Any]]:
            rows = await self.rest.post(
                "/api/v3/trade/cancel-batch", [SPOT | {member: name} for name in names]
            )
            return [as_object(row) for row in as_list(rows)]

        return await self._either(classic, unified)

    async def cancel_all(self) -> int:
        """Cancel every order of each pair used or with open orders; returns how many were open.

        A classic account has no call for the whole account, and the venue carries this one out
        after its answer: whoever needs certainty asks for the open orders.
        """
        found = await self.get_open_orders()
        if self.unified:
            await self.rest.post("/api/v3/trade/cancel-symbol-order", SPOT)
            return len(found)
        symbols = dict(self._used)
        for order in found:
            symbols[self._of_order[order.venue_order_id]] = None
        for symbol in symbols:
            await self.rest.post("/api/v2/spot/trade/cancel-symbol-order", {"symbol": symbol})
        return len(found)

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Cancel every order of a unified account after `timeout_s` unless called again; 0 disarms.

        Raises:
            VenueRejected: for a classic account, which has none.
        """
        low, high = DEAD_MAN_S
        if timeout_s != 0 and not low <= timeout_s <= high:
            raise ValueError(f"timeout must be 0 or {low} to {high} seconds: {timeout_s}")
        if not self.unified:
            raise VenueRejected(
                "classic accounts have no dead-man's switch", venue=VENUE, code=Code.ARGUMENTS
            )
        await self.rest.post("/api/v3/trade/countdown-cancel-all", {"countdown": str(timeout_s)})

    # --- inside

    async def _either(
        self, classic: Callable[[], Awaitable[T]], unified: Callable[[], Awaitable[T]]
    ) -> T:
        """Ask the account's family; the other one when the venue names it."""
        try:
            return await (unified() if self.unified else classic())
        except FamilyChanged:
            return await (unified() if self.unified else classic())

    async def _pages(
        self, path: str, params: Mapping[str, str | int], cursor: str
    ) -> list[Mapping[str, Any]]:
        """Ask for every page of a v2 list, newest first."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str | int] = {}
        for _ in range(PAGES_MAX):
            rows = [
                as_object(row)
                for row in as_list(await self.rest.get(path, {**params, **more, "limit": PAGE}))
            ]
            found += rows
            if len(rows) < PAGE:
                return found
            more = {"idLessThan": text_of(rows[-1], cursor)}
        raise ProtocolError(f"{path} does not end after {PAGES_MAX} pages", venue=VENUE)

    async def _cursors(self, path: str, params: Mapping[str, str | int]) -> list[Mapping[str, Any]]:
        """Ask for every page of a v3 list."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str | int] = {}
        for _ in range(PAGES_MAX):
            page = as_object(await self.rest.get(path, {**params, **more, "limit": PAGE}))
            rows = [as_object(row) for row in as_list(page.get("list") or [])]
            found += rows
            cursor = page.get("cursor")
            if len(rows) < PAGE or not isinstance(cursor, str) or not cursor:
                return found
            more = {"cursor": cursor}
        raise ProtocolError(f"{path} does not end after {PAGES_MAX} pages", venue=VENUE)

    async def _loaded(self) -> None:
        if not self.pairs:
            await self.get_instruments()

    async def _symbol(self, instrument: str) -> str:
        await self._loaded()
        symbol = self.symbol_of(instrument)
        self._used[symbol] = None
        return symbol

    async def _symbol_of_order(self, name: str) -> str:
        """Return the pair of an order, asking for what is open when it is not known."""
        if name not in self._of_order:
            await self.get_open_orders()
        symbol = self._of_order.get(name)
        if symbol is not None:
            return symbol
        if len(self._used) == 1:
            return next(iter(self._used))
        raise VenueRejected(
            f"order {name} is not open and its pair not known",
            venue=VENUE, code=Code.UNKNOWN_ORDER,
        )  # fmt: skip

    def _order(self, row: Mapping[str, Any]) -> OrderUpdated:
        order = read_order(row, self.pairs, Source.QUERY)
        for name in (order.venue_order_id, order.client_id):
            self._note(name, text_of(row, "symbol"))
        return order

    def _note(self, name: str, symbol: str) -> None:
        if not name or not symbol:
            return
        self._of_order[name] = symbol
        self._of_order.move_to_end(name)
        if len(self._of_order) > ORDERS_KEPT:
            self._of_order.popitem(last=False)

    def _body(self, order: PlaceOrder) -> dict[str, str]:
        symbol = self.symbol_of(order.instrument.name)
        self._note(order.client_id, symbol)
        unified = self.unified
        body = {
            **({"category": "SPOT"} if unified else {}),
            "symbol": symbol,
            "side": "buy" if order.side == Side.BUY else "sell",
            "orderType": "limit",
            "timeInForce" if unified else "force": (
                "post_only" if order.post_only else "ioc" if order.immediate else "gtc"
            ),
            "price": format(order.instrument.price(order.price_ticks), "f"),
            "qty" if unified else "size": format(order.instrument.qty(order.qty_lots), "f"),
            "clientOid": order.client_id,
        }
        if self.settings.stp_mode:
            body["stpMode"] = self.settings.stp_mode
        return body

    def _placed(self, row: Mapping[str, Any], order: PlaceOrder) -> RequestAccepted:
        order_id = text_of(row, "orderId")
        self._note(order_id, self.symbol_of(order.instrument.name))
        return RequestAccepted("add", 0, order.client_id, order_id, count=1)


def _replacement(order: PlaceOrder) -> dict[str, str]:
    return {
        "price": format(order.instrument.price(order.price_ticks), "f"),
        "size": format(order.instrument.qty(order.qty_lots), "f"),
        "newClientOid": order.client_id,
    }


def _without(body: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in body.items() if key != name}


def _both_lists(data: object) -> list[Mapping[str, Any]]:
    """Return the rows of both lists of a v2 batch; those that failed carry an error."""
    fields = as_object(data)
    taken = [as_object(row) for row in as_list(fields.get("successList") or [])]
    failed = [as_object(row) for row in as_list(fields.get("failureList") or [])]
    return [*taken, *({"errorCode": "", **row, "failed": True} for row in failed)]


def _refusal_of(row: Mapping[str, Any]) -> VenueRejected | None:
    """Return why a row of a batch failed; None when it did not."""
    if row.get("failed") is True:
        return refusal(text_of(row, "errorCode"), text_of(row, "errorMsg"))
    code = text_of(row, "code")
    return None if not code or code in OK_CODES else refusal(code, text_of(row, "msg"))


def _ppm(rate: object) -> int:
    """Convert a ratio to millionths; one finer than that is rounded up: a fee is a cost."""
    ppm = as_decimal(rate) * 1_000_000
    whole = int(ppm)
    return whole + (ppm > whole)


def _levels(rows: object) -> tuple[tuple[Decimal, Decimal], ...]:
    levels = []
    for row in map(as_list, as_list(rows)):
        if len(row) < 2:
            raise ProtocolError(f"level of price and quantity expected; got {row!r}", venue=VENUE)
        levels.append((as_decimal(row[0]), as_decimal(row[1])))
    return tuple(levels)
