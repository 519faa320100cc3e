"""Everything but the hot path's frames: bytes of a socket to the values of `events`.

Private channels, replies to requests, status, instruments and ticker. Pure: no clock, no socket.
Numbers are read as exact decimals. A frame that makes no sense becomes `Unrecognised`; one of a
numbered private channel that could not be read in full also counts as a gap, so that the engine
asks the venue instead of trusting half a message.

Source: Kraken API documentation, pages "Executions", "Balances", "Instruments", "Batch Add",
"Cancel Order", "Batch Cancel" (WebSocket v2), read 2026-06; captures in kraken-async-rs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, final

from msgspec import Struct

from openmm._fast.scan import parse_rfc3339
from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError
from openmm.events import (
    BalanceUpdated,
    Event,
    Fee,
    InstrumentUpdated,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StatusChanged,
    StreamGapped,
    Subscribed,
    SystemMode,
    TickerUpdated,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.fields import lots_of, ticks_of
from openmm.venues.kraken.fields import (
    as_decimal,
    as_int,
    as_list,
    as_object,
    bad,
    decimal_of,
    loads,
    text_of,
)
from openmm.venues.kraken.spec import VENUE, Code, classify
from openmm.venues.messages import (
    OrderMemory,
    Requested,
    nothing_requested,
    read_rows,
    unrecognised,
)

# Words of `events` for the methods of the venue.
KINDS: Final = {
    "add_order": "add",
    "batch_add": "add",
    "amend_order": "amend",
    "edit_order": "edit",
    "cancel_order": "cancel",
    "batch_cancel": "cancel",
    "cancel_all": "cancel_all",
    "cancel_all_orders_after": "dead_man",
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
    "ping": "ping",
    "pong": "ping",
}
STATUSES: Final = {
    "pending_new": OrderStatus.PENDING,
    "new": OrderStatus.OPEN,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
}
MODES: Final = {mode.value: mode for mode in SystemMode if mode is not SystemMode.UNKNOWN}
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}


def time_of(fields: Mapping[str, Any], name: str = "timestamp") -> int:
    """Return a time member in nanoseconds since 1970; 0 when it is absent."""
    text = text_of(fields, name)
    if not text:
        return 0
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise bad(f"time expected for {name}", text) from error


# --- the decoder


class _Order(Struct):
    """What is known of an order: follow-up reports carry only what changed."""

    symbol: str = ""
    client_id: str = ""
    side: int | None = None
    price: Decimal | None = None
    qty: Decimal | None = None
    filled: Decimal | None = None
    terminal: bool = False


@final
class PrivateDecoder(OrderMemory[_Order]):
    """Turn frames into events, remembering what sparse reports leave out.

    Args:
        instruments: pairs known already, by name; the instrument channel adds to them.
        requested: tells kind and client ids of a request id, for replies that name no order.
        wallet: the wallet whose balances are ours to trade with: (type, id).
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] = (),
        requested: Requested = nothing_requested,
        wallet: tuple[str, str] = ("spot", "main"),
    ) -> None:
        super().__init__(_Order)
        self.instruments: dict[str, Instrument] = {one.name: one for one in instruments}
        self._requested = requested
        self._wallet = wallet
        self._asset_decimals: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._snapshots: set[str] = set()

    def reset_sequences(self) -> None:
        """Expect every private channel to start anew: after a reconnect or resubscription."""
        self._sequences.clear()
        self._snapshots.clear()

    def has_snapshot(self, channel: str) -> bool:
        """Whether a private channel's snapshot was read since the last reset."""
        return channel in self._snapshots

    def decode(self, data: bytes | str) -> list[Event]:
        """Turn one frame into events, in the order the venue tells them."""
        try:
            message = as_object(loads(data))
        except ProtocolError:
            return [unrecognised(data)]
        try:
            if isinstance(message.get("channel"), str):
                return self._channel(message, data)
            if isinstance(message.get("method"), str):
                return self._reply(message, data)
            if "error" in message or "Error" in message:
                return [self._refusal(message, "")]
        except ProtocolError:
            pass
        return [unrecognised(data)]

    # --- channels

    def _channel(self, message: Mapping[str, Any], data: bytes | str) -> list[Event]:
        match message["channel"]:
            case "executions":
                return self._numbered("executions", message, data, self._report)
            case "balances":
                return self._numbered("balances", message, data, self._balance)
            case "status":
                return [self._status(as_object(one)) for one in as_list(message.get("data"))]
            case "instrument":
                return self._instruments(as_object(message.get("data")))
            case "ticker":
                return [self._ticker(as_object(one)) for one in as_list(message.get("data"))]
            case "heartbeat":
                return []
        return [unrecognised(data)]

    def _numbered(
        self,
        channel: str,
        message: Mapping[str, Any],
        data: bytes | str,
        read: Callable[[Mapping[str, Any], bool], list[Event]],
    ) -> list[Event]:
        """Read a message of a channel that counts its messages."""
        snapshot = message.get("type") == "snapshot"
        events: list[Event] = []
        expected = self._sequences.get(channel, 0) + 1
        try:
            seen = as_int(message.get("sequence"))
        except ProtocolError:
            seen = -1
        if snapshot and seen == 1:
            expected = 1
        if seen != expected:
            events.append(StreamGapped(channel, expected, seen))
        self._sequences[channel] = seen if seen >= 0 else expected
        gapped = bool(events)
        events += read_rows(message.get("data"), lambda row: read(row, snapshot), data)
        if not gapped and any(isinstance(event, Unrecognised) for event in events):
            # Something was lost on us: have it asked for.
            events.append(StreamGapped(channel, expected, seen))
        elif snapshot:
            self._snapshots.add(channel)
        return events

    # --- executions

    def _report(self, report: Mapping[str, Any], snapshot: bool) -> list[Event]:
        order_id = text_of(report, "order_id")
        if not order_id:
            raise bad("report without order_id", report)
        order = self._remembered(order_id)
        order.symbol = text_of(report, "symbol", order.symbol)
        order.client_id = text_of(report, "cl_ord_id", order.client_id)
        if "side" in report:
            order.side = SIDES.get(text_of(report, "side"))
        for name, field in (("limit_price", "price"), ("order_qty", "qty"), ("cum_qty", "filled")):
            value = decimal_of(report, name)
            if value is not None:
                setattr(order, field, value)
        status = STATUSES.get(text_of(report, "order_status"), OrderStatus.UNKNOWN)
        order.terminal = status.terminal
        source = Source.SNAPSHOT if snapshot else Source.STREAM
        instrument = self.instruments.get(order.symbol)
        executed = report.get("exec_type") == "trade" and bool(text_of(report, "exec_id"))
        if executed and (instrument is not None or not order.symbol):
            return [self._fill(report, order_id, order, source)]
        # A pair known by name but not loaded is another bot's: what it moved, and its state.
        other = [self._other_fill(report, order_id, order, source)] if executed else []
        return [
            *other,
            OrderUpdated(
                venue_order_id=order_id,
                client_id=order.client_id,
                status=status,
                source=source,
                ts_ns=time_of(report),
                price_ticks=ticks_of(instrument, order.price),
                qty_lots=lots_of(instrument, order.qty),
                filled_lots=lots_of(instrument, order.filled),
                side=order.side,
                reason=text_of(report, "reason") or text_of(report, "cancel_reason"),
                amended=report.get("exec_type") in ("amended", "restated"),
                instrument=order.symbol,
            ),
        ]

    def _fill(
        self, report: Mapping[str, Any], order_id: str, order: _Order, source: Source
    ) -> OrderFilled:
        instrument = self.instruments.get(order.symbol)
        price, qty = decimal_of(report, "last_price"), decimal_of(report, "last_qty")
        if instrument is None or order.side is None or price is None or qty is None:
            raise bad("fill that cannot be booked", report)
        cost = decimal_of(report, "cost")
        # `cost` stays exact if a price should ever be finer than the tick.
        ticks, lots = instrument.floor_ticks(price), lots_of(instrument, qty)
        if lots is None or ticks <= 0 or lots <= 0:
            raise bad("fill without a price or quantity of the pair's steps", report)
        return OrderFilled(
            exec_id=text_of(report, "exec_id"),
            venue_order_id=order_id,
            client_id=order.client_id,
            instrument=order.symbol,
            side=order.side,
            price_ticks=ticks,
            qty_lots=lots,
            cost=price * qty if cost is None else cost,
            fees=_fees(report),
            maker=report.get("liquidity_ind") == "m",
            ts_ns=time_of(report),
            source=source,
            trade_id=as_int(report.get("trade_id", 0)),
            filled_lots=lots_of(instrument, decimal_of(report, "cum_qty")),
        )

    def _other_fill(
        self, report: Mapping[str, Any], order_id: str, order: _Order, source: Source
    ) -> OrderFilled:
        """Read a fill of a pair that is not loaded: the amounts it moved."""
        price, qty = decimal_of(report, "last_price"), decimal_of(report, "last_qty")
        if order.side is None or price is None or qty is None:
            raise bad("fill that cannot be booked", report)
        cost = decimal_of(report, "cost")
        return OrderFilled(
            exec_id=text_of(report, "exec_id"),
            venue_order_id=order_id,
            client_id=order.client_id,
            instrument=order.symbol,
            side=order.side,
            price_ticks=0,
            qty_lots=0,
            cost=price * qty if cost is None else cost,
            fees=_fees(report),
            maker=report.get("liquidity_ind") == "m",
            ts_ns=time_of(report),
            source=source,
            trade_id=as_int(report.get("trade_id", 0)),
            qty=qty,
        )

    # --- balances

    def _balance(self, entry: Mapping[str, Any], snapshot: bool) -> list[Event]:
        asset = text_of(entry, "asset")
        if not asset:
            raise bad("balance without asset", entry)
        if snapshot:
            total = as_decimal(entry.get("balance"))
            wallets = as_list(entry.get("wallets") or [])
            if wallets:
                total = sum(
                    (
                        as_decimal(wallet.get("balance"))
                        for wallet in map(as_object, wallets)
                        if (wallet.get("type"), wallet.get("id")) == self._wallet
                    ),
                    Decimal(0),
                )
            return [BalanceUpdated(asset, total, None, Decimal(0), "snapshot", "", 0)]
        wallet = (text_of(entry, "wallet_type"), text_of(entry, "wallet_id"))
        if any(wallet) and wallet != self._wallet:
            return []
        return [
            BalanceUpdated(
                asset=asset,
                total=as_decimal(entry.get("balance")),
                change=as_decimal(entry.get("amount")),
                fee=decimal_of(entry, "fee") or Decimal(0),
                kind=text_of(entry, "type"),
                ref_id=text_of(entry, "ref_id"),
                ts_ns=time_of(entry),
            )
        ]

    # --- public channels of the slow path

    def _status(self, status: Mapping[str, Any]) -> StatusChanged:
        text = text_of(status, "system")
        return StatusChanged(MODES.get(text, SystemMode.UNKNOWN), text)

    def _ticker(self, ticker: Mapping[str, Any]) -> TickerUpdated:
        return TickerUpdated(
            instrument=text_of(ticker, "symbol"),
            bid=as_decimal(ticker.get("bid")),
            bid_qty=as_decimal(ticker.get("bid_qty")),
            ask=as_decimal(ticker.get("ask")),
            ask_qty=as_decimal(ticker.get("ask_qty")),
            last=as_decimal(ticker.get("last")),
            volume=as_decimal(ticker.get("volume")),
            ts_ns=time_of(ticker),
        )

    def _instruments(self, data: Mapping[str, Any]) -> list[Event]:
        for asset in map(as_object, as_list(data.get("assets") or [])):
            self._asset_decimals[text_of(asset, "id")] = as_int(asset.get("precision"))
        events: list[Event] = []
        for pair in map(as_object, as_list(data.get("pairs") or [])):
            try:
                instrument = read_pair(pair, self._asset_decimals)
            except (ProtocolError, ConfigError):
                # One odd pair must not hide the others.
                events.append(unrecognised(json.dumps(pair, default=str)))
                continue
            self.instruments[instrument.name] = instrument
            events.append(InstrumentUpdated(instrument))
        return events

    # --- replies

    def _reply(self, message: Mapping[str, Any], data: bytes | str) -> list[Event]:
        method = message["method"]
        kind = KINDS.get(method)
        if kind is None:
            return [unrecognised(data)]
        if method == "pong":
            return [RequestAccepted(kind, _req_id(message))]
        # Missing or not boolean: a failure.
        if message.get("success") is not True:
            return [self._refusal(message, kind)]
        result = message.get("result")
        match method:
            case "subscribe":
                return [_subscribed(as_object(result))]
            case "batch_add":
                return self._batch_added(message)
            case "batch_cancel":
                fields = message if result is None else as_object(result)
                count = fields.get("count", fields.get("orders_cancelled", 0))
                return [RequestAccepted(kind, _req_id(message), count=as_int(count))]
        fields = {} if result is None else as_object(result)
        order_id, client_id = text_of(fields, "order_id"), text_of(fields, "cl_ord_id")
        if kind in ("add", "amend", "cancel"):
            client_id = client_id or self._client_id_of(_req_id(message), kind, order_id)
        if kind == "add":
            self._learn(order_id, client_id)
        return [
            RequestAccepted(
                kind,
                _req_id(message),
                client_id=client_id,
                venue_order_id=order_id,
                count=as_int(fields.get("count", 0)),
            )
        ]

    def _batch_added(self, message: Mapping[str, Any]) -> list[Event]:
        req_id = _req_id(message)
        result = message.get("result")
        entries = as_list(as_object(result).get("orders") if isinstance(result, dict) else result)
        _, asked = self._requested(req_id)
        events: list[Event] = []
        for index, entry in enumerate(map(as_object, entries)):
            client_id = text_of(entry, "cl_ord_id")
            if not client_id and len(entries) == len(asked):
                # Position tells only when no entry is missing.
                client_id = asked[index]
            order_id = text_of(entry, "order_id")
            if order_id and not entry.get("error"):
                self._learn(order_id, client_id)
                events.append(RequestAccepted("add", req_id, client_id, order_id, index=index))
                continue
            text = text_of(entry, "error", "no order_id and no error")
            fault = classify(text)
            told = bool(client_id) or len(entries) == len(asked)
            events.append(
                RequestRefused(
                    "add",
                    req_id,
                    text,
                    # Of which order is not told: the outcome of every one of them is open.
                    fault.code if told else Code.INTERNAL,
                    fault.retryable and told,
                    client_id=client_id,
                    index=index if told else -1,
                )
            )
        return events

    def _refusal(self, message: Mapping[str, Any], kind: str) -> RequestRefused:
        text = message.get("error", message.get("Error"))
        if isinstance(text, list):
            text = "; ".join(map(str, text))
        if not isinstance(text, str) or not text:
            text = "refused without a reason"
        fault = classify(text)
        req_id = _req_id(message)
        return RequestRefused(
            kind,
            req_id,
            text,
            fault.code,
            fault.retryable,
            client_id=text_of(message, "cl_ord_id") or self._client_id_of(req_id, kind, ""),
        )

    def _client_id_of(self, req_id: int, kind: str, order_id: str) -> str:
        """Name the order of a reply that does not: by order id, or because only one was meant."""
        if order_id in self._orders and self._orders[order_id].client_id:
            return self._orders[order_id].client_id
        asked_kind, asked = self._requested(req_id)
        return asked[0] if asked_kind == kind and len(asked) == 1 else ""

    def _learn(self, order_id: str, client_id: str) -> None:
        """Remember what reports may leave out: the venue's first one of the order can be lost."""
        if order_id and client_id:
            order = self._remembered(order_id)
            order.client_id = client_id
            if not order.symbol and len(self.instruments) == 1:
                (order.symbol,) = self.instruments


def read_pair(pair: Mapping[str, Any], asset_decimals: Mapping[str, int]) -> Instrument:
    """Turn a pair of the instrument channel into an `Instrument`.

    The assets' atoms are fine enough for everything the venue states in them: ledger entries
    (the asset's precision), quantities, and costs with their fees.
    """
    price_decimals = as_int(pair.get("price_precision"))
    qty_decimals = as_int(pair.get("qty_precision"))
    base, quote = text_of(pair, "base"), text_of(pair, "quote")
    tick_size = decimal_of(pair, "price_increment") or decimal_of(pair, "tick_size")
    return Instrument(
        venue=VENUE,
        name=text_of(pair, "symbol"),
        base=base,
        quote=quote,
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        tick_size=as_decimal(tick_size),
        lot_size=as_decimal(pair.get("qty_increment")),
        qty_min=as_decimal(pair.get("qty_min")),
        cost_min=decimal_of(pair, "cost_min") or Decimal(0),
        base_decimals=max(asset_decimals.get(base, 0), qty_decimals),
        quote_decimals=max(asset_decimals.get(quote, 0), as_int(pair.get("cost_precision"))),
        status=text_of(pair, "status"),
    )


def _fees(report: Mapping[str, Any]) -> tuple[Fee, ...]:
    return tuple(
        Fee(text_of(fee, "asset"), as_decimal(fee.get("qty")))
        for fee in map(as_object, as_list(report.get("fees") or []))
    )


def _subscribed(result: Mapping[str, Any]) -> Subscribed:
    threshold = result.get("maxratecount")
    return Subscribed(
        channel=text_of(result, "channel"),
        instrument=text_of(result, "symbol"),
        rate_threshold=None if threshold is None else as_int(threshold),
    )


def _req_id(message: Mapping[str, Any]) -> int:
    value = message.get("req_id", 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
