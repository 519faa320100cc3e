"""Everything but the hot path's frames: bytes of a socket to the values of `events`.

Private channels, answers to trading calls and subscriptions, tickers. Pure: no clock, no socket.
Numbers are read as exact decimals. A frame that makes no sense becomes `Unrecognised`; an element
of a private channel that could not be read also counts as a gap, so that the engine asks the venue
instead of trusting half a message.

Source: Gate documentation, "Spot WebSocket v4", private channels and trading calls, updated
2026-04-27; captures of 2022 to 2026 (gocryptotrader, ccxt).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, final

from msgspec import Struct

from openmm._fast.units import Side
from openmm.errors import ProtocolError
from openmm.events import (
    BalanceUpdated,
    Event,
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StreamGapped,
    Subscribed,
    TickerUpdated,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.faults import Code
from openmm.venues.fields import lots_of, ticks_of
from openmm.venues.gateio.fields import (
    as_decimal,
    as_int,
    as_list,
    as_object,
    bad,
    decimal_of,
    loads,
    text_of,
)
from openmm.venues.gateio.spec import TEXT_PREFIX, classify, classify_subscription, our_name
from openmm.venues.messages import (
    OrderMemory,
    Requested,
    nothing_requested,
    read_rows,
    unrecognised,
)

# Words of `events` for the channels of trading calls.
KINDS: Final = {
    "spot.login": "login",
    "spot.order_place": "add",
    "spot.order_amend": "amend",
    "spot.order_cancel": "cancel",
    "spot.order_cancel_ids": "cancel",
    "spot.order_cancel_cp": "cancel_all",
    "spot.order_status": "query",
    "spot.order_list": "query",
}
# Channels whose messages are known and tell the engine nothing it asked for.
REQ_ID_DIGITS_MAX: Final = 19
UNUSED: Final = frozenset({"spot.candlesticks", "spot.book_ticker", "spot.order_book"})
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
# Why an order ended. Source: field table of spot.orders.
CANCELLED_AS: Final = frozenset(
    {
        "cancelled", "ioc", "poc", "fok", "stp", "small", "depth_not_enough", "trader_not_enough",
        "price_protect_cancelled", "liquidate_cancelled",
    }
)  # fmt: skip
# Changes of a balance that follow from orders and fills of our own.
OF_TRADING: Final = frozenset({"order-create", "order-match", "order-update", "trade-fee-deduct"})
OF_TRANSFER: Final = frozenset(
    {
        "deposit", "withdraw", "margin-transfer", "future-transfer", "cross-margin-transfer",
        "spot-transfer", "sub-transfer", "referral-fee",
    }
)  # fmt: skip


class _Order(Struct):
    """What was last told of an order: all figures are cumulative, and the venue repeats itself."""

    text: str = ""
    price: Decimal | None = None
    amount: Decimal | None = None
    filled: Decimal = Decimal(0)
    update_ms: int = 0
    terminal: bool = False


@final
class PrivateDecoder(OrderMemory[_Order]):
    """Turn frames into events, remembering what the venue repeats.

    Args:
        instruments: pairs known already.
        requested: tells kind and client ids of a request id, for answers that name no order.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] = (),
        requested: Requested = nothing_requested,
    ) -> None:
        super().__init__(_Order)
        self.instruments: dict[str, Instrument] = {one.name: one for one in instruments}
        self._requested = requested

    def decode(self, data: bytes | str) -> list[Event]:
        """Turn one frame into events, in the order the venue tells them."""
        try:
            message = as_object(loads(data))
            if "header" in message:
                return self._answer(message)
            if isinstance(message.get("channel"), str):
                return self._channel(message, data)
            if "upgrade" in (message.get("type"), message.get("event")):
                # It closes the connection next, and the link makes another.
                return []
        except ProtocolError:
            pass
        return [unrecognised(data)]

    # --- channels

    def _channel(self, message: Mapping[str, Any], data: bytes | str) -> list[Event]:
        channel, event = message["channel"], message.get("event")
        if event in ("subscribe", "unsubscribe"):
            return self._subscription(message)
        match channel:
            case "spot.orders" | "spot.orders_v2":
                return self._each(channel, message, data, self._order)
            case "spot.usertrades" | "spot.usertrades_v2":
                return self._each(channel, message, data, self._fill)
            case "spot.balances":
                return self._each(channel, message, data, self._balance)
            case "spot.tickers":
                return [_ticker(as_object(message.get("result")), message)]
            case "spot.pong":
                return [RequestAccepted("ping", 0)]
        if channel in UNUSED or event == "upgrade":
            return []
        return [unrecognised(data)]

    def _each(
        self,
        channel: str,
        message: Mapping[str, Any],
        data: bytes | str,
        read: Callable[[Mapping[str, Any]], list[Event]],
    ) -> list[Event]:
        """Read the elements of a private channel's update."""
        events = read_rows(message.get("result"), read, data)
        if any(isinstance(event, Unrecognised) for event in events):
            # Something was lost on us: have it asked for.
            events.append(StreamGapped(channel, 0, 0))
        return events

    def _subscription(self, message: Mapping[str, Any]) -> list[Event]:
        channel, event = str(message["channel"]), str(message["event"])
        payload = message.get("payload")
        named = (
            [one for one in payload if isinstance(one, str)] if isinstance(payload, list) else []
        )
        error = message.get("error")
        if error is None:
            if event == "unsubscribe":
                return [RequestAccepted("unsubscribe", _id_of(message))]
            return [Subscribed(channel, our_name(named[0]) if named else "")]
        fields = as_object(error)
        code, text = as_int(fields.get("code", 0)), text_of(fields, "message")
        fault = classify_subscription(code, text)
        if fault.code is Code.ALREADY_SUBSCRIBED:
            return [Subscribed(channel, our_name(named[0]) if named else "")]
        return [
            RequestRefused(
                event, _id_of(message), f"{channel}: {text}", fault.code, fault.retryable
            )
        ]

    # --- orders

    def _order(self, fields: Mapping[str, Any]) -> list[Event]:
        return self._state(fields, Source.STREAM)

    def _state(self, fields: Mapping[str, Any], source: Source) -> list[Event]:
        """Tell an order's state, unless a later one was told already."""
        order_id = text_of(fields, "id") or text_of(fields, "order_id")
        if not order_id:
            raise bad("order without id", fields)
        known = order_id in self._orders
        order = self._remembered(order_id)
        status = read_status(fields)
        update_ms = _update_ms(fields)
        filled = read_filled(fields)
        if known and (
            (order.terminal and not status.terminal)
            or (update_ms and update_ms < order.update_ms)
            or (filled is not None and filled < order.filled)
        ):
            return []
        price, amount = _price_of(fields), decimal_of(fields, "amount")
        amended = (
            known
            and not status.terminal
            and ((price, amount) != (order.price, order.amount))
            and None not in (price, amount, order.price, order.amount)
        )
        order.text = text_of(fields, "text") or order.text
        order.price, order.amount = price or order.price, amount or order.amount
        order.filled = order.filled if filled is None else filled
        order.update_ms = max(order.update_ms, update_ms)
        order.terminal = status.terminal
        return [read_order(fields, self.instruments, source, status, amended=amended)]

    def _fill(self, fields: Mapping[str, Any]) -> list[Event]:
        fill = read_fill(fields, self.instruments, Source.STREAM)
        # A pair that is not loaded is another bot's.
        return [] if fill is None else [fill]

    # --- balances

    def _balance(self, fields: Mapping[str, Any]) -> list[Event]:
        asset = text_of(fields, "currency")
        if not asset:
            raise bad("balance without currency", fields)
        told = text_of(fields, "change_type")
        kind = "trade" if told in OF_TRADING else told or "unknown"
        change: Decimal | None = None
        if told in OF_TRADING or told in OF_TRANSFER:
            # Of an unknown kind only the total is believed: reconciliation judges it.
            change = as_decimal(fields.get("change"))
        stamp = fields.get("timestamp_ms")
        return [
            BalanceUpdated(
                asset=asset,
                total=as_decimal(fields.get("total")),
                change=change,
                fee=Decimal(0),
                kind=kind,
                ref_id="",
                ts_ns=0 if stamp is None else millis_to_ns(stamp),
            )
        ]

    # --- answers to trading calls

    def _answer(self, message: Mapping[str, Any]) -> list[Event]:
        header = as_object(message["header"])
        channel = text_of(header, "channel")
        kind = KINDS.get(channel, channel)
        data = as_object(message.get("data") or {})
        req_id = _req_id(message.get("request_id"))
        errors = data.get("errs")
        if errors is not None or text_of(header, "status") != "200":
            return self._refused(kind, req_id, as_object(errors or {}))
        result = data.get("result")
        if kind == "login":
            return [RequestAccepted("login", req_id)]
        if message.get("ack") is True or (isinstance(result, dict) and "req_param" in result):
            # Received, not accepted: even an order of nothing is acknowledged.
            return []
        match channel:
            case "spot.order_place":
                if isinstance(result, list):
                    return self._batch(kind, req_id, result)
                return self._taken(kind, req_id, as_object(result))
            case "spot.order_amend" | "spot.order_cancel":
                return self._taken(kind, req_id, as_object(result))
            case "spot.order_cancel_ids":
                return self._batch(kind, req_id, as_list(result))
            case "spot.order_cancel_cp":
                rows = [as_object(row) for row in as_list(result or [])]
                events: list[Event] = [RequestAccepted(kind, req_id, count=len(rows))]
                for row in rows:
                    events += self._state(row, Source.ACK)
                return events
            case "spot.order_status":
                return self._state(as_object(result), Source.QUERY)
            case "spot.order_list":
                found: list[Event] = []
                for row in as_list(result):
                    found += self._state(as_object(row), Source.QUERY)
                return found
        raise bad("answer to no call of ours", channel)

    def _refused(self, kind: str, req_id: int, errors: Mapping[str, Any]) -> list[Event]:
        label, text = text_of(errors, "label"), text_of(errors, "message")
        fault = classify(label, text)
        _, asked = self._requested(req_id)
        events: list[Event] = [
            RequestRefused(
                kind,
                req_id,
                f"{label}: {text}" if label else text or "refused without a reason",
                fault.code,
                fault.retryable,
                client_id=asked[0] if len(asked) == 1 else "",
            )
        ]
        if fault.code is Code.LOGIN:
            # The connection forgot us: a new one logs in anew.
            events.append(StreamGapped("spot.login", 0, 0))
        return events

    def _taken(self, kind: str, req_id: int, fields: Mapping[str, Any]) -> list[Event]:
        """Tell of one order that a call was carried out for, and its state if that is news."""
        order_id = text_of(fields, "id") or text_of(fields, "order_id")
        text = self._text_of(fields, order_id, req_id)
        events: list[Event] = [
            RequestAccepted(kind, req_id, client_id=text, venue_order_id=order_id)
        ]
        # With `action_mode` ACK an answer names the order and tells nothing of it.
        if "status" in fields or "left" in fields:
            for event in self._state(fields, Source.ACK):
                if isinstance(event, OrderUpdated) and (
                    event.status is not OrderStatus.OPEN or kind == "cancel"
                ):
                    events.append(event)
        elif order_id:
            self._remembered(order_id).text = text
        return events

    def _batch(self, kind: str, req_id: int, rows: Sequence[Any]) -> list[Event]:
        """Tell of each element of a call for several orders; a failed one carries its own label."""
        _, asked = self._requested(req_id)
        told = len(rows) == len(asked)
        events: list[Event] = []
        for index, row in enumerate(map(as_object, rows)):
            order_id = text_of(row, "id") or text_of(row, "order_id")
            text = self._text_of(row, order_id, 0) or (asked[index] if told else "")
            if row.get("succeeded") is True or (
                kind == "add" and "succeeded" not in row and order_id
            ):
                if kind == "add":
                    events += self._taken(kind, req_id, {**row, "text": text})
                else:
                    events.append(
                        RequestAccepted(
                            kind, req_id, client_id=text, venue_order_id=order_id, index=index
                        )
                    )
                continue
            label = text_of(row, "label")
            fault = classify(label, text_of(row, "message"))
            events.append(
                RequestRefused(
                    kind,
                    req_id,
                    f"{label}: {text_of(row, 'message')}",
                    # Of which order is not told: the outcome of every one of them is open.
                    fault.code if text or told else Code.INTERNAL,
                    fault.retryable,
                    client_id=text,
                    index=index if told else -1,
                )
            )
        return events

    def _text_of(self, fields: Mapping[str, Any], order_id: str, req_id: int) -> str:
        """Name the order of an answer: by its text, by the id, or because only one was meant."""
        text = text_of(fields, "text")
        if text.startswith(TEXT_PREFIX):
            return text
        if order_id.startswith(TEXT_PREFIX):
            return order_id
        if order_id in self._orders and self._orders[order_id].text:
            return self._orders[order_id].text
        _, asked = self._requested(req_id)
        return asked[0] if len(asked) == 1 else text


# --- the venue's objects, as sockets and REST tell them


def read_status(fields: Mapping[str, Any]) -> OrderStatus:
    """Tell where an order stands, by `finish_as`, then by what is left.

    A value that is not in the venue's table is UNKNOWN, so that the order is asked for.
    """
    finish_as = text_of(fields, "finish_as", "-")
    event, status = text_of(fields, "event"), text_of(fields, "status")
    left = decimal_of(fields, "left")
    if event == "finish" or status in ("closed", "cancelled"):
        if finish_as == "filled":
            return OrderStatus.FILLED
        if finish_as in CANCELLED_AS:
            return OrderStatus.CANCELLED
        if finish_as in ("unknown", "-", "open"):
            # A market buy's `left` is money: `closed` alone says that it was filled.
            done = left == 0 or status == "closed"
            return OrderStatus.FILLED if done else OrderStatus.CANCELLED
        return OrderStatus.UNKNOWN
    if event not in ("", "put", "update") or status not in ("", "open"):
        return OrderStatus.UNKNOWN
    filled = read_filled(fields)
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN


def is_market_buy(fields: Mapping[str, Any]) -> bool:
    """Whether `amount` and `left` are money, not quantity."""
    return text_of(fields, "type").startswith("market") and fields.get("side") == "buy"


def read_filled(fields: Mapping[str, Any]) -> Decimal | None:
    """Return the quantity filled so far, in base; None when it is not told."""
    if is_market_buy(fields):
        return decimal_of(fields, "filled_amount")
    amount, left = decimal_of(fields, "amount"), decimal_of(fields, "left")
    return None if amount is None or left is None else amount - left


def read_order(
    fields: Mapping[str, Any],
    instruments: Mapping[str, Instrument],
    source: Source,
    status: OrderStatus,
    *,
    amended: bool = False,
) -> OrderUpdated:
    """Turn an order object into an event."""
    name = our_name(text_of(fields, "currency_pair"))
    instrument = instruments.get(name)
    amount = None if is_market_buy(fields) else decimal_of(fields, "amount")
    finish_as = text_of(fields, "finish_as")
    return OrderUpdated(
        venue_order_id=text_of(fields, "id") or text_of(fields, "order_id"),
        client_id=text_of(fields, "text"),
        status=status,
        source=source,
        ts_ns=_update_ms(fields) * 1_000_000,
        price_ticks=ticks_of(instrument, _price_of(fields)),
        qty_lots=lots_of(instrument, amount),
        filled_lots=lots_of(instrument, read_filled(fields)),
        side=SIDES.get(text_of(fields, "side")),
        reason="" if finish_as in ("", "-", "open", "filled") else finish_as,
        amended=amended,
        instrument=name,
    )


def read_fill(
    fields: Mapping[str, Any], instruments: Mapping[str, Instrument], source: Source, pair: str = ""
) -> OrderFilled | None:
    """Turn a fill into an event; None for a pair that is not loaded.

    Args:
        pair: of a REST answer that names none.

    Raises:
        ProtocolError: it cannot be booked.
    """
    symbol = text_of(fields, "currency_pair", pair)
    if not symbol:
        raise bad("fill without a pair", fields)
    instrument = instruments.get(our_name(symbol))
    if instrument is None:
        return None
    side = SIDES.get(text_of(fields, "side"))
    price, amount = as_decimal(fields.get("price")), as_decimal(fields.get("amount"))
    trade_id, order_id = as_int(fields.get("id")), text_of(fields, "order_id")
    lots, ticks = lots_of(instrument, amount), instrument.floor_ticks(price)
    if side is None or not order_id or lots is None or lots <= 0 or ticks <= 0:
        raise bad("fill that cannot be booked", fields)
    return OrderFilled(
        exec_id=f"{symbol}-{trade_id}",
        venue_order_id=order_id,
        client_id=text_of(fields, "text"),
        instrument=instrument.name,
        side=side,
        price_ticks=ticks,
        qty_lots=lots,
        cost=price * amount,
        fees=read_fees(fields, instrument, side),
        maker=text_of(fields, "role") == "maker",
        ts_ns=_created_ns(fields),
        source=source,
        trade_id=trade_id,
    )


def read_fees(fields: Mapping[str, Any], instrument: Instrument, side: Side) -> tuple[Fee, ...]:
    """Return what a fill cost: in what was received, or in GT or points instead.

    Raises:
        ProtocolError: no fee is told at all, as on the lighter channel.
    """
    fee = decimal_of(fields, "fee")
    if fee is None:
        raise bad("fill without a fee", fields)
    received = instrument.base if side is Side.BUY else instrument.quote
    amounts = (
        (text_of(fields, "fee_currency") or received, fee),
        ("GT", decimal_of(fields, "gt_fee")),
        ("POINT", decimal_of(fields, "point_fee")),
    )
    return tuple(Fee(asset, amount) for asset, amount in amounts if amount)


def millis_to_ns(value: object) -> int:
    """Convert milliseconds, a number or its text with any fraction, to nanoseconds."""
    return int(as_decimal(value).scaleb(6))


def _created_ns(fields: Mapping[str, Any]) -> int:
    stamp = fields.get("create_time_ms")
    if stamp is not None:
        return millis_to_ns(stamp)
    return as_int(fields.get("create_time", 0)) * 1_000_000_000


def _update_ms(fields: Mapping[str, Any]) -> int:
    """Return when an order last changed; text on streams, an integer elsewhere, or absent."""
    stamp = fields.get("update_time_ms")
    if stamp is not None:
        return int(as_decimal(stamp))
    return int(as_decimal(fields.get("update_time", 0)) * 1000)


def _price_of(fields: Mapping[str, Any]) -> Decimal | None:
    price = decimal_of(fields, "price")
    return price if price else None  # "0" of a market order


def _ticker(fields: Mapping[str, Any], message: Mapping[str, Any]) -> TickerUpdated:
    return TickerUpdated(
        instrument=our_name(text_of(fields, "currency_pair")),
        bid=decimal_of(fields, "highest_bid") or Decimal(0),
        bid_qty=decimal_of(fields, "highest_size") or Decimal(0),
        ask=decimal_of(fields, "lowest_ask") or Decimal(0),
        ask_qty=decimal_of(fields, "lowest_size") or Decimal(0),
        last=as_decimal(fields.get("last")),
        volume=as_decimal(fields.get("base_volume")),
        ts_ns=as_int(message.get("time_ms", 0)) * 1_000_000
        or as_int(message.get("time", 0)) * 1_000_000_000,
    )


def _id_of(message: Mapping[str, Any]) -> int:
    value = message.get("id", 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _req_id(value: object) -> int:
    """Return a request id of ours; 0 for another's."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        return 0
    return int(value) if len(value) <= REQ_ID_DIGITS_MAX else 0
