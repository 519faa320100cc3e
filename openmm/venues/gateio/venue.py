"""Gate.io behind the `Venue` protocol: typed answers over REST.

Source: Gate documentation, "Gate API v4.106.88", chapter "Spot", read 2026-05-27; shapes of the
answers as in `samples/gateio/official_rest.json` and the captures beside it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, final

from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError, VenueRejected
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
from openmm.venues.checks import check_ohlcv
from openmm.venues.connector import Capabilities, Fees
from openmm.venues.faults import Code
from openmm.venues.gateio.fields import as_decimal, as_int, as_list, as_object, decimal_of, text_of
from openmm.venues.gateio.private import (
    SIDES,
    millis_to_ns,
    read_fill,
    read_order,
    read_status,
)
from openmm.venues.gateio.rest import Rest
from openmm.venues.gateio.spec import (
    BATCH_ORDERS_MAX,
    CANCEL_IDS_MAX,
    DEAD_MAN_S_MIN,
    FILLS_LIMIT,
    FILLS_WINDOW_S,
    MAKER_FEE_PPM,
    OPEN_ORDERS_LIMIT,
    REST_DEPTH_MAX,
    TAKER_FEE_PPM,
    VENUE,
    Settings,
    classify,
    our_name,
    venue_symbol,
)

log = logging.getLogger(__name__)

CAPABILITIES: Final = Capabilities(
    amend=True,
    amend_keeps_priority=True,  # for a smaller quantity at the same price
    batch_add_max=BATCH_ORDERS_MAX,
    batch_cancel_max=CANCEL_IDS_MAX,
    cancel_all_scope="account",
    dead_man=True,
    websocket_trading=True,
)
# Source: Gate documentation, "Market K-line chart", read 2026-05-27.
INTERVALS: Final = {
    10: "10s", 60: "1m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 14_400: "4h",
    28_800: "8h", 86_400: "1d", 604_800: "7d",
}  # fmt: skip
OHLCV_COUNT_MAX: Final = 1000
PAGES_MAX: Final = 100
ORDERS_KEPT: Final = 4096
NS: Final = 1_000_000_000


@final
class GateioVenue:
    """Ask and tell Gate.io over REST, in this project's words.

    Calls that name a pair load the list of pairs when that has not been done. The venue wants to
    hear an order's pair with its id: this object remembers it from every order it has seen.
    """

    def __init__(self, rest: Rest, settings: Settings | None = None) -> None:
        self.rest = rest
        self.settings = settings or Settings()
        self._pairs: dict[str, Instrument] = {}
        self._symbols: OrderedDict[str, str] = OrderedDict()  # order id or text: pair
        self._used: dict[str, None] = {}  # pairs asked about, the venue's names

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
        ts_ns = millis_to_ns(as_object(await self.rest.public("/spot/time")).get("server_time"))
        received_ns = self.rest.clock.now_ns()
        return ServerTime(ts_ns, ts_ns - (sent_ns + received_ns) // 2, received_ns - sent_ns)

    async def get_system_state(self) -> SystemState:
        """Tell that the venue answers: it publishes no trading mode; pairs have their own."""
        await self.get_server_time()
        return SystemState(SystemMode.ONLINE, "online")

    async def get_instruments(self) -> dict[str, Instrument]:
        """List what is traded, by our name ("BTC/USDT"), with the fees of the lowest tier.

        A pair that cannot be read is left out: it is no reason not to trade the others.
        """
        rows = as_list(await self.rest.public("/spot/currency_pairs"))
        found: dict[str, Instrument] = {}
        for row in map(as_object, rows):
            try:
                instrument = read_pair(row)
            except (ProtocolError, ArithmeticError) as error:
                log.warning("a pair is left out: %s", error)
                continue
            found[instrument.name] = instrument
        self._pairs.update(found)
        return found

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side, at most 100: deeper copies are old."""
        if not 1 <= depth <= REST_DEPTH_MAX:
            raise ValueError(f"depth must be 1 to {REST_DEPTH_MAX}: {depth}")
        result = as_object(
            await self.rest.public(
                "/spot/order_book",
                {"currency_pair": await self._symbol(instrument), "limit": depth},
            )
        )
        return OrderBook(instrument, _levels(result.get("bids")), _levels(result.get("asks")))

    async def book_bytes(self, symbol: str, depth: int) -> bytes:
        """Ask for a book with its id, to join increments to; returns the body as it came."""
        return await self.rest.public_bytes(
            "/spot/order_book", {"currency_pair": symbol, "limit": depth, "with_id": True}
        )

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        rows = as_list(
            await self.rest.public(
                "/spot/tickers", {"currency_pair": await self._symbol(instrument)}
            )
        )
        if len(rows) != 1:
            raise ProtocolError(f"tickers: one row expected; got {len(rows)}", venue=VENUE)
        row = as_object(rows[0])
        return TickerUpdated(
            instrument,
            decimal_of(row, "highest_bid") or Decimal(0),
            decimal_of(row, "highest_size") or Decimal(0),
            decimal_of(row, "lowest_ask") or Decimal(0),
            decimal_of(row, "lowest_size") or Decimal(0),
            as_decimal(row.get("last")),
            as_decimal(row.get("base_volume")),
            0,
        )

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first; at most 1000."""
        if not 1 <= count <= 1000:
            raise ValueError(f"count must be 1 to 1000: {count}")
        rows = as_list(
            await self.rest.public(
                "/spot/trades", {"currency_pair": await self._symbol(instrument), "limit": count}
            )
        )
        trades = [
            MarketTrade(
                instrument,
                as_int(row.get("id")),
                SIDES.get(text_of(row, "side"), Side.UNKNOWN_SIDE),
                as_decimal(row.get("price")),
                as_decimal(row.get("amount")),
                millis_to_ns(row.get("create_time_ms")),
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
        """Ask for the last candles, oldest first, at most 1000."""
        check_ohlcv(interval_s, tuple(INTERVALS), count, OHLCV_COUNT_MAX)
        symbol = await self._symbol(instrument)
        params: dict[str, str | int] = {
            "currency_pair": symbol, "interval": INTERVALS[interval_s], "limit": count,
        }  # fmt: skip
        candles = []
        # A row: start, quote volume, close, high, low, open, base volume, whether it is over.
        for row in map(as_list, as_list(await self.rest.public("/spot/candlesticks", params))):
            if len(row) < 7:
                raise ProtocolError(f"candlesticks: row is too short: {row!r}", venue=VENUE)
            close, high, low, opened = (as_decimal(cell) for cell in row[2:6])
            start_ns = as_int(row[0]) * NS
            over = start_ns + interval_s * NS <= self.rest.clock.now_ns()
            closed = str(row[7]).lower() == "true" if len(row) > 7 else over
            candles.append(
                Candle(instrument, start_ns, opened, high, low, close, as_decimal(row[6]), closed)
            )
        return sorted(candles, key=lambda candle: candle.start_ns)

    # --- account

    async def get_key_rights(self) -> KeyRights:
        """Ask what the key may do: of a main account's keys the venue tells, of others not.

        Source: Gate documentation, "Query the main account's key information"; the same members
        in the official SDK gateapi-python.
        """
        try:
            row = as_object(await self.rest.private("GET", "/account/main_keys"))
        except VenueRejected as error:
            if error.code == Code.PERMISSION:
                return KeyRights(told=("the key may not ask about itself",))
            raise
        rights = {
            text_of(right, "name"): right.get("read_only") is not True
            for right in map(as_object, as_list(row.get("perms") or []))
        }
        told = tuple(f"{name} {'write' if free else 'read'}" for name, free in rights.items())
        ips = tuple(str(one) for one in as_list(row.get("ip_whitelist") or []))
        withdraws = rights.get("withdraw", False)
        return KeyRights("spot" in rights, rights.get("spot", False), withdraws, told, ips)

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset."""
        found = {}
        for row in map(as_object, as_list(await self.rest.private("GET", "/spot/accounts"))):
            asset = text_of(row, "currency")
            held = as_decimal(row.get("locked"))
            found[asset] = Balance(asset, as_decimal(row.get("available")) + held, held)
        return found

    async def get_fees(self, instrument: str) -> Fees:
        """Ask for the account's own rates: those paid in GT, when that is switched on."""
        symbol = await self._symbol(instrument)
        row = as_object(await self.rest.private("GET", "/wallet/fee", {"currency_pair": symbol}))
        in_gt = row.get("gt_discount") is True and row.get("debit_fee") in (None, 1)
        kind = "gt_" if in_gt else ""
        return Fees(_ppm(row.get(f"{kind}maker_fee")), _ppm(row.get(f"{kind}taker_fee")))

    async def get_open_orders(self) -> list[OrderUpdated]:
        """List every open order of the account."""
        await self._loaded()
        found: list[OrderUpdated] = []
        for page in range(1, PAGES_MAX + 1):
            groups = as_list(
                await self.rest.private(
                    "GET", "/spot/open_orders",
                    {"page": page, "limit": OPEN_ORDERS_LIMIT, **self._account()},
                )
            )  # fmt: skip
            full = False
            for group in map(as_object, groups):
                orders = as_list(group.get("orders") or [])
                # The limit is one of each pair.
                full |= len(orders) >= OPEN_ORDERS_LIMIT
                found += [self._order(as_object(order)) for order in orders]
            if not full:
                return found
        raise ProtocolError(f"open orders do not end after {PAGES_MAX} pages", venue=VENUE)

    async def get_finished_orders(self, instrument: str, count: int = 100) -> list[OrderUpdated]:
        """List orders of a pair that are done, the latest ones."""
        rows = await self.rest.private(
            "GET", "/spot/orders",
            {
                "currency_pair": await self._symbol(instrument), "status": "finished",
                "limit": count, **self._account(),
            },
        )  # fmt: skip
        return [self._order(as_object(row)) for row in as_list(rows)]

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order, open or done; None when the venue knows none.

        By a client id only open orders are sure to be found: of the done ones, those among the
        latest hundred of a pair that this object has been asked about.
        """
        wanted = venue_order_id or client_id
        if not wanted:
            raise ValueError("client_id or venue_order_id is needed")
        symbol = self._symbols.get(wanted)
        for one in [symbol] if symbol else list(self._used):
            found = await self._lookup(wanted, one)
            if found is not None and wanted in (found.client_id, found.venue_order_id):
                return found
        searched = await self.get_open_orders()
        for one in self._used:
            searched += await self.get_finished_orders(our_name(one))
        for order in searched:
            if wanted in (order.client_id, order.venue_order_id):
                return order
        return None

    async def find(
        self, instrument: str, client_ids: Sequence[str], venue_order_ids: Sequence[str]
    ) -> list[OrderUpdated]:
        """Look several orders of a pair up: open ones, then done ones, then each left by its id."""
        symbol = await self._symbol(instrument)
        wanted = set(client_ids) | set(venue_order_ids)
        found: dict[str, OrderUpdated] = {}

        def take(orders: Sequence[OrderUpdated]) -> None:
            for order in orders:
                names = {order.client_id, order.venue_order_id} & wanted
                if names:
                    found[order.venue_order_id] = order
                    wanted.difference_update({order.client_id, order.venue_order_id})

        take(await self.get_open_orders())
        if wanted:
            take(await self.get_finished_orders(instrument))
        for name in sorted(wanted):
            order = await self._lookup(name, symbol)
            if order is not None:
                found[order.venue_order_id] = order
        return list(found.values())

    async def _lookup(self, order_id: str, symbol: str) -> OrderUpdated | None:
        try:
            row = await self.rest.private(
                "GET", f"/spot/orders/{order_id}", {"currency_pair": symbol, **self._account()}
            )
        except VenueRejected as error:
            if error.code == Code.UNKNOWN_ORDER:
                return None
            raise
        await self._loaded()
        return self._order(as_object(row))

    async def get_fills_of(self, orders: Sequence[OrderUpdated]) -> list[OrderFilled]:
        """List the fills of orders just looked up, oldest first."""
        fills: list[OrderFilled] = []
        for order in orders:
            if order.filled_lots == 0:
                continue
            symbol = self._symbols[order.venue_order_id]
            params = {"currency_pair": symbol, "order_id": order.venue_order_id}
            fills += await self._fills(params, symbol)
        return sorted(fills, key=lambda fill: (fill.ts_ns, fill.trade_id))

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills at or after `since_ns`, oldest first, of every pair."""
        await self._loaded()
        now_s = self.rest.clock.now_ns() // NS
        found: dict[str, OrderFilled] = {}
        # One question covers at most thirty days.
        start_s = max(since_ns // NS, 0)
        if since_ns <= 0:
            start_s = now_s - FILLS_WINDOW_S + 60
        while start_s <= now_s:
            end_s = min(start_s + FILLS_WINDOW_S - 60, now_s + 60)
            for fill in await self._fills({"from": start_s, "to": end_s}, ""):
                if fill.ts_ns >= since_ns:
                    found[fill.exec_id] = fill
            start_s = end_s + 1
        return sorted(found.values(), key=lambda fill: (fill.ts_ns, fill.trade_id))

    async def _fills(self, params: Mapping[str, str | int], symbol: str) -> list[OrderFilled]:
        found: list[OrderFilled] = []
        for page in range(1, PAGES_MAX + 1):
            rows = as_list(
                await self.rest.private(
                    "GET", "/spot/my_trades", {**params, "limit": FILLS_LIMIT, "page": page}
                )
            )
            for row in map(as_object, rows):
                fill = read_fill(row, self._pairs, Source.QUERY, symbol)
                if fill is not None:
                    found.append(fill)
            if len(rows) < FILLS_LIMIT:
                return found
        raise ProtocolError(f"fills do not end after {PAGES_MAX} pages", venue=VENUE)

    # --- orders

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place a limit order, good till cancelled; never retried."""
        row = as_object(await self.rest.private("POST", "/spot/orders", body=self._body(order)))
        return self._placed(row, order)

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Place orders of one instrument in batches; raises the first refusal of a batch."""
        placed: list[RequestAccepted] = []
        refused: VenueRejected | None = None
        for start in range(0, len(orders), BATCH_ORDERS_MAX):
            part = orders[start : start + BATCH_ORDERS_MAX]
            rows = as_list(
                await self.rest.private(
                    "POST", "/spot/batch_orders", body=[self._body(order) for order in part]
                )
            )
            if len(rows) != len(part):
                raise ProtocolError(
                    f"batch_orders: {len(part)} rows expected; got {len(rows)}", venue=VENUE
                )
            for row, order in zip(map(as_object, rows), part, strict=True):
                if row.get("succeeded") is True:
                    placed.append(self._placed(row, order))
                else:
                    refused = refused or _refusal(row)
            if refused is not None:
                raise refused
        return placed

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Change price and total quantity in place; never retried."""
        symbol = venue_symbol(instrument.name)
        row = as_object(
            await self.rest.private(
                "PATCH", f"/spot/orders/{client_id}",
                body={
                    "currency_pair": symbol,
                    **self._account(),
                    "amount": format(instrument.qty(qty_lots), "f"),
                    "price": format(instrument.price(price_ticks), "f"),
                },
            )
        )  # fmt: skip
        return RequestAccepted("amend", 0, client_id, text_of(row, "id"))

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel one order; returns how many were cancelled, 0 when it was gone."""
        if bool(client_id) == bool(venue_order_id):
            raise ValueError("one of client_id and venue_order_id is needed")
        return await self.cancel_ids([client_id or venue_order_id])

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Cancel several orders; returns how many the venue cancelled."""
        return await self.cancel_ids(client_ids)

    async def cancel_ids(self, order_ids: Sequence[str]) -> int:
        """Cancel orders by the venue's ids or by texts, whatever their pairs.

        Raises:
            VenueRejected: one was refused for another reason than being gone; others were tried.
        """
        count = 0
        refused: VenueRejected | None = None
        for start in range(0, len(order_ids), CANCEL_IDS_MAX):
            part = []
            for one in order_ids[start : start + CANCEL_IDS_MAX]:
                symbol = await self._symbol_of(one)
                if symbol:
                    part.append({"currency_pair": symbol, "id": one, **self._account()})
            if not part:
                continue
            rows = as_list(await self.rest.private("POST", "/spot/cancel_batch_orders", body=part))
            for row in map(as_object, rows):
                if row.get("succeeded") is True:
                    count += 1
                elif classify(text_of(row, "label")).code is not Code.UNKNOWN_ORDER:
                    refused = refused or _refusal(row)
        if refused is not None:
            raise refused
        return count

    async def cancel_all(self) -> int:
        """Cancel every order of the account, of every pair; returns how many."""
        rows = as_list(await self.rest.private("DELETE", "/spot/orders", self._account()))
        return sum(as_object(row).get("succeeded") is not False for row in rows)

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Cancel every order of the account after `timeout_s` unless called again; 0 disarms."""
        if timeout_s != 0 and timeout_s < DEAD_MAN_S_MIN:
            raise ValueError(f"timeout must be 0 or at least {DEAD_MAN_S_MIN} seconds: {timeout_s}")
        await self.rest.private("POST", "/spot/countdown_cancel_all", body={"timeout": timeout_s})

    # --- inside

    async def _loaded(self) -> None:
        if not self._pairs:
            await self.get_instruments()

    async def _symbol(self, instrument: str) -> str:
        await self._loaded()
        if instrument not in self._pairs:
            raise VenueRejected(f"no such pair: {instrument}", venue=VENUE, code=Code.INSTRUMENT)
        symbol = venue_symbol(instrument)
        self._used[symbol] = None
        return symbol

    async def _symbol_of(self, order_id: str) -> str:
        """Return the pair of an order, asking what is open when it is not known; "": not open."""
        if order_id not in self._symbols:
            await self.get_open_orders()
        symbol = self._symbols.get(order_id, "")
        if not symbol and len(self._used) == 1:
            return next(iter(self._used))
        return symbol

    def _account(self) -> dict[str, str]:
        account = self.settings.account
        return {} if account == "spot" else {"account": account}

    def _order(self, row: Mapping[str, Any]) -> OrderUpdated:
        order = read_order(row, self._pairs, Source.QUERY, read_status(row))
        for name in (order.venue_order_id, order.client_id):
            self._note(name, text_of(row, "currency_pair"))
        return order

    def _note(self, name: str, symbol: str) -> None:
        if not name or not symbol:
            return
        self._symbols[name] = symbol
        self._symbols.move_to_end(name)
        if len(self._symbols) > ORDERS_KEPT:
            self._symbols.popitem(last=False)

    def _body(self, order: PlaceOrder) -> dict[str, Any]:
        instrument = order.instrument
        body: dict[str, Any] = {
            "text": order.client_id,
            "currency_pair": venue_symbol(instrument.name),
            "type": "limit",
            "account": self.settings.account,
            "side": "buy" if order.side == Side.BUY else "sell",
            "amount": format(instrument.qty(order.qty_lots), "f"),
            "price": format(instrument.price(order.price_ticks), "f"),
        }
        if order.post_only:
            body["time_in_force"] = "poc"
        elif order.immediate:
            body["time_in_force"] = "ioc"
        if self.settings.stp_act:
            body["stp_act"] = self.settings.stp_act
        self._used[body["currency_pair"]] = None
        self._note(order.client_id, body["currency_pair"])
        return body

    def _placed(self, row: Mapping[str, Any], order: PlaceOrder) -> RequestAccepted:
        """Tell of an order taken; one that came back ended without a fill was refused."""
        order_id = text_of(row, "id") or text_of(row, "order_id")
        self._note(order_id, venue_symbol(order.instrument.name))
        if text_of(row, "finish_as") in ("poc", "fok"):
            label = "POC_FILL_IMMEDIATELY" if row["finish_as"] == "poc" else "FOK_NOT_FILL"
            raise _refusal({"label": label, "message": "cancelled at once"})
        return RequestAccepted("add", 0, order.client_id, order_id, count=1)


def _refusal(row: Mapping[str, Any]) -> VenueRejected:
    label = text_of(row, "label")
    fault = classify(label, text_of(row, "message"))
    return VenueRejected(
        f"{label}: {text_of(row, 'message')}", venue=VENUE, code=fault.code,
        retryable=fault.retryable,
    )  # fmt: skip


def read_pair(row: Mapping[str, Any]) -> Instrument:
    """Turn a row of currency_pairs into an `Instrument` with the fees of the lowest tier.

    A missing minimum is none: the step is the floor then. Fees are exact to a millionth of what is
    traded, so the atoms of both assets are that much finer than the pair's steps.

    Raises:
        ProtocolError: precision or names are missing: the pair cannot be traded.
    """
    symbol = text_of(row, "id")
    price_decimals, qty_decimals = as_int(row.get("precision")), as_int(row.get("amount_precision"))
    lot_size = Decimal(1).scaleb(-qty_decimals)
    status = text_of(row, "trade_status")
    try:
        return Instrument(
            venue=VENUE,
            name=our_name(symbol),
            base=text_of(row, "base"),
            quote=text_of(row, "quote"),
            price_decimals=price_decimals,
            qty_decimals=qty_decimals,
            tick_size=Decimal(1).scaleb(-price_decimals),
            lot_size=lot_size,
            qty_min=decimal_of(row, "min_base_amount") or lot_size,
            cost_min=decimal_of(row, "min_quote_amount") or Decimal(0),
            base_decimals=qty_decimals + 6,
            quote_decimals=price_decimals + qty_decimals + 6,
            status="online" if status == "tradable" else status or "unknown",
            maker_fee_ppm=MAKER_FEE_PPM,
            taker_fee_ppm=TAKER_FEE_PPM,
        )
    except ConfigError as error:
        raise ProtocolError(f"currency_pairs {symbol}: {error}", venue=VENUE) from error


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
