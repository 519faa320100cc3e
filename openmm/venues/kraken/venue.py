"""Kraken behind the `Venue` protocol: typed answers over REST.

Source: Kraken API documentation (REST), read 2026-06; shapes of the answers as in
`samples/kraken/rest_responses.json`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, final

from openmm._fast.scan import parse_rfc3339
from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError, VenueRejected
from openmm.events import (
    Fee,
    OrderFilled,
    OrderStatus,
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
from openmm.venues.kraken.fields import (
    as_decimal,
    as_int,
    as_list,
    as_object,
    decimal_of,
    text_of,
)
from openmm.venues.kraken.private import MODES, SIDES
from openmm.venues.kraken.rest import Rest, seconds_to_ns
from openmm.venues.kraken.spec import (
    BATCH_ADD_ORDERS,
    BATCH_CANCEL_IDS,
    DEAD_MAN_S_MAX,
    VENUE,
    Code,
    venue_symbol,
)

log = logging.getLogger(__name__)

CAPABILITIES: Final = Capabilities(
    amend=True,
    amend_keeps_priority=True,
    batch_add_max=BATCH_ADD_ORDERS[1],
    batch_cancel_max=BATCH_CANCEL_IDS[1],
    cancel_all_scope="account",
    dead_man=True,
    websocket_trading=True,
)
# Source: Kraken API documentation, "Get OHLC Data", read 2026-06.
OHLCV_INTERVALS_S: Final = (60, 300, 900, 1800, 3600, 14_400, 86_400, 604_800, 1_296_000)
OHLCV_COUNT_MAX: Final = 720
# Words of "Get API Key Info" for what a bot does, and for what it must not be able to do.
TRADE_RIGHT: Final = "modify-trades"
QUERY_RIGHT: Final = "query-open-trades"
WITHDRAW_RIGHTS: Final = frozenset({"withdraw-funds", "add-withdraw-address"})
PAGE: Final = 50
PAGES_MAX: Final = 200
ORDERS_KEPT: Final = 4096
QUERY_IDS_MAX: Final = 50

STATUSES: Final = {
    "pending": OrderStatus.PENDING,
    "open": OrderStatus.OPEN,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
}


@final
class KrakenVenue:
    """Ask and tell Kraken over REST, in this project's words.

    `get_instruments` must have run before anything that names a pair; the other calls run it when
    it has not.
    """

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self._pairs: dict[str, Instrument] = {}  # by every name the venue uses
        self._rest_names: dict[str, str] = {}  # by ours
        self._assets: dict[str, str] = {}
        self._opened_ns: dict[str, int] = {}  # of orders seen, the latest ones

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
        """Ask for the venue's clock: whole seconds, so it is good to half a second."""
        sent_ns = self.rest.clock.now_ns()
        text = text_of(as_object(await self.rest.public("SystemStatus")), "timestamp")
        received_ns = self.rest.clock.now_ns()
        try:
            whole_ns = parse_rfc3339(text)
        except ValueError as error:
            raise ProtocolError(f"SystemStatus: {error}", venue=VENUE) from error
        # The venue cuts the fraction off: on average it is half a second.
        ts_ns = whole_ns + 500_000_000
        return ServerTime(ts_ns, ts_ns - (sent_ns + received_ns) // 2, received_ns - sent_ns)

    async def get_system_state(self) -> SystemState:
        """Ask for the trading mode."""
        text = text_of(as_object(await self.rest.public("SystemStatus")), "status")
        return SystemState(MODES.get(text, SystemMode.UNKNOWN), text)

    async def get_instruments(self) -> dict[str, Instrument]:
        """List what is traded, by name ("BTC/USD"), with the fees of the lowest tier.

        A pair that cannot be read is left out: it is no reason not to trade the others.
        """
        pairs = as_object(await self.rest.public("AssetPairs"))
        found: dict[str, Instrument] = {}
        for rest_name, raw in pairs.items():
            pair = as_object(raw)
            wsname = text_of(pair, "wsname")
            if wsname.count("/") != 1:
                continue
            try:
                instrument = read_pair(pair)
            except (ProtocolError, ConfigError, ArithmeticError) as error:
                log.warning("AssetPairs %s is left out: %s", rest_name, error)
                continue
            found[instrument.name] = instrument
            self._assets[text_of(pair, "base")] = instrument.base
            self._assets[text_of(pair, "quote")] = instrument.quote
            for known in (instrument.name, rest_name, wsname, text_of(pair, "altname")):
                self._pairs[known] = instrument
            self._rest_names[instrument.name] = rest_name
        return found

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side, at most 500."""
        if not 1 <= depth <= 500:
            raise ValueError(f"depth must be 1 to 500: {depth}")
        result = await self._one_pair("Depth", instrument, count=depth)
        return OrderBook(instrument, _levels(result.get("bids")), _levels(result.get("asks")))

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        result = await self._one_pair("Ticker", instrument)
        bid, ask = as_list(result.get("b")), as_list(result.get("a"))
        last, volume = as_list(result.get("c")), as_list(result.get("v"))
        if len(bid) < 3 or len(ask) < 3 or not last or len(volume) < 2:
            raise ProtocolError("Ticker: fields are missing", venue=VENUE)
        return TickerUpdated(
            instrument,
            as_decimal(bid[0]),
            as_decimal(bid[2]),
            as_decimal(ask[0]),
            as_decimal(ask[2]),
            as_decimal(last[0]),
            as_decimal(volume[1]),
            0,
        )

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first; at most 1000."""
        if not 1 <= count <= 1000:
            raise ValueError(f"count must be 1 to 1000: {count}")
        result = as_object(
            await self.rest.public(
                "Trades", {"pair": await self._rest_name(instrument), "count": count}
            )
        )
        rows = next((as_list(value) for name, value in result.items() if name != "last"), ())
        trades = []
        for row in map(as_list, rows):
            if len(row) < 7:
                raise ProtocolError(f"Trades: row is too short: {row!r}", venue=VENUE)
            side = {"b": Side.BUY, "s": Side.SELL}.get(row[3], Side.UNKNOWN_SIDE)
            trades.append(
                MarketTrade(
                    instrument,
                    as_int(row[6]),
                    side,
                    as_decimal(row[0]),
                    as_decimal(row[1]),
                    seconds_to_ns(row[2]),
                )
            )
        return trades

    @property
    def ohlcv_intervals_s(self) -> tuple[int, ...]:
        """The candles' lengths on offer, in seconds."""
        return OHLCV_INTERVALS_S

    async def get_ohlcv(
        self, instrument: str, interval_s: int = 60, count: int = 100
    ) -> list[Candle]:
        """Ask for the last candles, oldest first, at most 720; the last one is still running."""
        check_ohlcv(interval_s, OHLCV_INTERVALS_S, count, OHLCV_COUNT_MAX)
        pair = await self._rest_name(instrument)
        params: dict[str, str | int] = {"pair": pair, "interval": interval_s // 60}
        result = as_object(await self.rest.public("OHLC", params))
        rows = next((as_list(value) for name, value in result.items() if name != "last"), ())
        candles = []
        for row in map(as_list, rows):
            if len(row) < 7:
                raise ProtocolError(f"OHLC: row is too short: {row!r}", venue=VENUE)
            start_ns = seconds_to_ns(row[0])
            closed = start_ns + interval_s * 1_000_000_000 <= self.rest.clock.now_ns()
            opened, high, low, close = (as_decimal(cell) for cell in row[1:5])
            candles.append(
                Candle(instrument, start_ns, opened, high, low, close, as_decimal(row[6]), closed)
            )
        return candles[-count:]

    # --- account

    async def get_key_rights(self) -> KeyRights:
        """Ask what the key may do.

        Source: Kraken API documentation, "Get API Key Info" and "API key permissions", 2026.
        """
        row = as_object(await self.rest.private("GetApiKeyInfo"))
        told = tuple(str(one) for one in as_list(row.get("permissions")))
        ips = tuple(str(one) for one in as_list(row.get("ip_allowlist") or []))
        return KeyRights(
            reads=QUERY_RIGHT in told,
            trades=TRADE_RIGHT in told,
            withdraws=bool(WITHDRAW_RIGHTS & set(told)),
            told=told,
            ips=ips,
        )

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset; names Kraken lists no pair for stay as they are."""
        await self._loaded()
        rows = as_object(await self.rest.private("BalanceEx"))
        found = {}
        for rest_name, raw in rows.items():
            row = as_object(raw)
            asset = self._assets.get(rest_name, rest_name)
            held = decimal_of(row, "hold_trade") or Decimal(0)
            found[asset] = Balance(asset, as_decimal(row.get("balance")), held)
        return found

    async def get_fees(self, instrument: str) -> Fees:
        """Ask for the account's own rates."""
        rest_name = await self._rest_name(instrument)
        result = as_object(await self.rest.private("TradeVolume", {"pair": rest_name}))
        taker = _fee_row(result.get("fees"), rest_name)
        if taker is None:
            raise ProtocolError(f"TradeVolume tells no fee of {instrument}", venue=VENUE)
        maker = _fee_row(result.get("fees_maker"), rest_name)
        return Fees(taker if maker is None else maker, taker)

    async def get_open_orders(self, client_id: str = "") -> list[OrderUpdated]:
        """List the open orders of the account, or those with a client id."""
        await self._loaded()
        params = {"cl_ord_id": client_id} if client_id else {}
        result = as_object(await self.rest.private("OpenOrders", params))
        return self._orders(as_object(result.get("open")))

    async def get_closed_orders(
        self, *, client_id: str = "", since_ns: int = 0
    ) -> list[OrderUpdated]:
        """List orders that are done, newest first: those with a client id, or since a moment."""
        await self._loaded()
        params: dict[str, str | int | bool] = {}
        if client_id:
            params["cl_ord_id"] = client_id
        if since_ns:
            params["start"] = since_ns // 1_000_000_000
        return self._orders(await self._paged("ClosedOrders", "closed", params))

    async def query_orders(self, venue_order_ids: Sequence[str]) -> list[OrderUpdated]:
        """Look orders up by the venue's ids; those it does not know are left out."""
        await self._loaded()
        found: list[OrderUpdated] = []
        for start in range(0, len(venue_order_ids), QUERY_IDS_MAX):
            found += await self._query(venue_order_ids[start : start + QUERY_IDS_MAX])
        return found

    async def _query(self, venue_order_ids: Sequence[str]) -> list[OrderUpdated]:
        """Look up as many as one call takes: one id it does not know makes it refuse them all."""
        txid = ",".join(venue_order_ids)
        try:
            return self._orders(as_object(await self.rest.private("QueryOrders", {"txid": txid})))
        except VenueRejected as error:
            if error.code != Code.UNKNOWN_ORDER:
                raise
        if len(venue_order_ids) == 1:
            return []
        half = len(venue_order_ids) // 2
        first = await self._query(venue_order_ids[:half])
        return first + await self._query(venue_order_ids[half:])

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order, open or done; None when the venue knows none.

        REST lags the sockets: None right after a placement proves nothing.
        """
        if venue_order_id:
            found = await self.query_orders([venue_order_id])
            return found[0] if found else None
        if not client_id:
            raise ValueError("client_id or venue_order_id is needed")
        found = await self.get_open_orders(client_id)
        if not found:
            found = await self.get_closed_orders(client_id=client_id)
        return found[0] if found else None

    async def get_fills_of(self, orders: Sequence[OrderUpdated]) -> list[OrderFilled]:
        """List the fills of orders just queried, oldest first."""
        ids = {one.venue_order_id for one in orders if one.filled_lots != 0}
        if not ids:
            return []
        since_ns = min(self._opened_ns.get(one, 0) for one in ids)
        return [fill for fill in await self.get_fills(since_ns) if fill.venue_order_id in ids]

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills at or after `since_ns`, oldest first, of the pairs Kraken lists."""
        await self._loaded()
        # `start` is exclusive and in seconds.
        start = max(since_ns // 1_000_000_000 - 1, 0)
        rows = await self._paged("TradesHistory", "trades", {"start": start})
        fills = [
            fill
            for exec_id, row in rows.items()
            if (fill := self._fill(exec_id, as_object(row))) is not None and fill.ts_ns >= since_ns
        ]
        return sorted(fills, key=lambda fill: (fill.ts_ns, fill.trade_id))

    # --- orders

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place a limit order, good till cancelled unless immediate; never retried."""
        instrument = order.instrument
        params = {
            "pair": await self._rest_name(instrument.name),
            "type": "buy" if order.side == Side.BUY else "sell",
            "ordertype": "limit",
            "price": format(instrument.price(order.price_ticks), "f"),
            "volume": format(instrument.qty(order.qty_lots), "f"),
            "cl_ord_id": order.client_id,
        }
        if order.post_only:
            params["oflags"] = "post"
        if order.immediate:
            params["timeinforce"] = "IOC"
        if order.deadline_ns is not None:
            # The venue takes 2 s to 60 s from now; whole milliseconds, rounded down.
            params["deadline"] = _rfc3339(order.deadline_ns)
        result = as_object(await self.rest.private("AddOrder", params))
        ids = as_list(result.get("txid") or [])
        return RequestAccepted(
            "add", 0, order.client_id, str(ids[0]) if ids else "", count=len(ids)
        )

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Place orders one after the other; stops at the first refusal, which it raises."""
        return [await self.place_order(order) for order in orders]

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Change price and total quantity in place, post-only; never retried."""
        await self.rest.private(
            "AmendOrder",
            {
                "cl_ord_id": client_id,
                "order_qty": format(instrument.qty(qty_lots), "f"),
                "limit_price": format(instrument.price(price_ticks), "f"),
                "post_only": True,
            },
        )
        return RequestAccepted("amend", 0, client_id)

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel one order; returns how many were cancelled, 0 when it was gone."""
        if bool(client_id) == bool(venue_order_id):
            raise ValueError("one of client_id and venue_order_id is needed")
        params = {"cl_ord_id": client_id} if client_id else {"txid": venue_order_id}
        try:
            result = as_object(await self.rest.private("CancelOrder", params))
        except VenueRejected as error:
            if error.code == Code.UNKNOWN_ORDER:
                return 0
            raise
        return as_int(result.get("count"))

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Cancel several orders, one call each; returns how many the venue cancelled."""
        count = 0
        for client_id in client_ids:
            count += await self.cancel_order(client_id=client_id)
        return count

    async def cancel_all(self) -> int:
        """Cancel every order of the account; returns how many."""
        return as_int(as_object(await self.rest.private("CancelAll")).get("count"))

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Cancel every order of the account after `timeout_s` unless called again; 0 disarms."""
        if not 0 <= timeout_s <= DEAD_MAN_S_MAX:
            raise ValueError(f"timeout must be 0 to {DEAD_MAN_S_MAX} seconds: {timeout_s}")
        await self.rest.private("CancelAllOrdersAfter", {"timeout": timeout_s})

    # --- inside

    async def _loaded(self) -> None:
        if not self._pairs:
            await self.get_instruments()

    async def _rest_name(self, instrument: str) -> str:
        await self._loaded()
        try:
            return self._rest_names[instrument]
        except KeyError:
            raise VenueRejected(
                f"no such pair: {instrument}", venue=VENUE, code=Code.INSTRUMENT
            ) from None

    async def _one_pair(self, method: str, instrument: str, **params: int) -> Mapping[str, Any]:
        pair = await self._rest_name(instrument)
        result = as_object(await self.rest.public(method, {"pair": pair, **params}))
        if len(result) != 1:
            raise ProtocolError(f"{method}: one pair expected, got {len(result)}", venue=VENUE)
        return as_object(next(iter(result.values())))

    async def _paged(
        self, method: str, member: str, params: Mapping[str, str | int | bool]
    ) -> dict[str, Any]:
        """Collect all pages; rows that move between pages are kept once."""
        rows: dict[str, Any] = {}
        for page in range(PAGES_MAX):
            result = as_object(await self.rest.private(method, {**params, "ofs": page * PAGE}))
            found = as_object(result.get(member))
            rows.update(found)
            count = result.get("count")
            if not found or (isinstance(count, int) and (page + 1) * PAGE >= count):
                return rows
            if count is None and len(found) < PAGE:
                return rows
        raise ProtocolError(f"{method}: more than {PAGES_MAX} pages", venue=VENUE)

    def _orders(self, rows: Mapping[str, Any]) -> list[OrderUpdated]:
        return [self._order(order_id, as_object(row)) for order_id, row in rows.items()]

    def _order(self, order_id: str, row: Mapping[str, Any]) -> OrderUpdated:
        descr = as_object(row.get("descr"))
        instrument = self._pairs.get(text_of(descr, "pair"))
        status = STATUSES.get(text_of(row, "status"), OrderStatus.UNKNOWN)
        filled = as_decimal(row.get("vol_exec"))
        if status is OrderStatus.OPEN and filled > 0:
            status = OrderStatus.PARTIALLY_FILLED
        opened_ns = seconds_to_ns(row.get("opentm") or 0)
        self._opened_ns[order_id] = opened_ns
        if len(self._opened_ns) > ORDERS_KEPT:
            del self._opened_ns[next(iter(self._opened_ns))]
        known = _steps(instrument, decimal_of(descr, "price"), as_decimal(row.get("vol")), filled)
        return OrderUpdated(
            venue_order_id=order_id,
            client_id=text_of(row, "cl_ord_id"),
            status=status,
            source=Source.QUERY,
            ts_ns=seconds_to_ns(row.get("closetm") or 0) or opened_ns,
            price_ticks=known[0],
            qty_lots=known[1],
            filled_lots=known[2],
            side=SIDES.get(text_of(descr, "type")),
            reason=text_of(row, "reason"),
            instrument=instrument.name if instrument else text_of(descr, "pair"),
        )

    def _fill(self, exec_id: str, row: Mapping[str, Any]) -> OrderFilled | None:
        instrument = self._pairs.get(text_of(row, "pair"))
        side = SIDES.get(text_of(row, "type"))
        if instrument is None or side is None:
            return None
        fee = as_decimal(row.get("fee"))
        # The venue charges the quote currency unless the order asked for the base.
        asset = instrument.base if "fcib" in text_of(row, "misc") else instrument.quote
        qty = as_decimal(row.get("vol"))
        try:
            qty_lots = instrument.exact_lots(qty)
        except ValueError as error:
            raise ProtocolError(f"TradesHistory {exec_id}: {error}", venue=VENUE) from error
        return OrderFilled(
            exec_id=exec_id,
            venue_order_id=text_of(row, "ordertxid"),
            client_id=text_of(row, "cl_ord_id"),
            instrument=instrument.name,
            side=side,
            price_ticks=instrument.floor_ticks(as_decimal(row.get("price"))),
            qty_lots=qty_lots,
            cost=as_decimal(row.get("cost")),
            fees=(Fee(asset, fee),) if fee else (),
            maker=row.get("maker") is True,
            ts_ns=seconds_to_ns(row.get("time")),
            source=Source.QUERY,
            trade_id=as_int(row.get("trade_id", 0)),
            qty=qty,
        )


def _steps(
    instrument: Instrument | None, price: Decimal | None, qty: Decimal, filled: Decimal
) -> tuple[int | None, int | None, int | None]:
    """Convert to ticks and lots; None for what the pair's steps cannot express."""
    if instrument is None:
        return None, None, None
    steps: list[int | None] = []
    for convert, value in (
        (instrument.exact_ticks, price),
        (instrument.exact_lots, qty),
        (instrument.exact_lots, filled),
    ):
        try:
            steps.append(None if value is None else convert(value))
        except ValueError:
            steps.append(None)
    return steps[0], steps[1], steps[2]


def _rfc3339(ts_ns: int) -> str:
    seconds, rest_ns = divmod(ts_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{rest_ns // 1_000_000:03d}Z"


def read_pair(pair: Mapping[str, Any]) -> Instrument:
    """Turn a pair of AssetPairs into an `Instrument` with the fees of the lowest tier.

    REST does not tell the assets' ledger precision here: atoms follow the pair, at least 4 decimals
    for money and 10 for other assets, as the venue's ledger keeps them.
    """
    price_decimals, qty_decimals = (
        as_int(pair.get("pair_decimals")),
        as_int(pair.get("lot_decimals")),
    )
    name = venue_symbol(text_of(pair, "wsname"))
    base, quote = name.split("/")
    tick_size = decimal_of(pair, "tick_size") or Decimal(1).scaleb(-price_decimals)
    taker = _first_tier(pair.get("fees"))
    maker = _first_tier(pair.get("fees_maker"))
    return Instrument(
        venue=VENUE,
        name=name,
        base=base,
        quote=quote,
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        tick_size=tick_size,
        lot_size=Decimal(1).scaleb(-qty_decimals),
        qty_min=decimal_of(pair, "ordermin") or Decimal(0),
        cost_min=decimal_of(pair, "costmin") or Decimal(0),
        base_decimals=max(10, qty_decimals),
        quote_decimals=max(10, as_int(pair.get("cost_decimals"))),
        status=text_of(pair, "status"),
        maker_fee_ppm=taker if maker is None else maker,
        taker_fee_ppm=taker,
    )


def percent_to_ppm(percent: Decimal) -> int:
    """Convert a rate in percent to millionths; rates finer than that are not the venue's."""
    ppm = percent * 10_000
    if ppm != ppm.to_integral_value():
        raise ProtocolError(f"fee rate is finer than a millionth: {percent}", venue=VENUE)
    return int(ppm)


def _first_tier(rows: object) -> int | None:
    tiers = as_list(rows or [])
    if not tiers:
        return None
    row = as_list(tiers[0])
    if len(row) != 2:
        raise ProtocolError(f"fee row of two numbers expected; got {row!r}", venue=VENUE)
    return percent_to_ppm(as_decimal(row[1]))


def _fee_row(rows: object, rest_name: str) -> int | None:
    if rows is None:
        return None
    row = as_object(rows).get(rest_name)
    return None if row is None else percent_to_ppm(as_decimal(as_object(row).get("fee")))


def _levels(rows: object) -> tuple[tuple[Decimal, Decimal], ...]:
    levels = []
    for row in map(as_list, as_list(rows)):
        if len(row) < 2:
            raise ProtocolError(f"level of price and quantity expected; got {row!r}", venue=VENUE)
        levels.append((as_decimal(row[0]), as_decimal(row[1])))
    return tuple(levels)
