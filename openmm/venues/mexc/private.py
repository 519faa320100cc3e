"""Everything but the hot path's frames: pushes of private streams, answers, replies to orders.

Pure: no clock, no socket. Numbers are read as exact decimals. A frame that makes no sense becomes
`Unrecognised`; one of a private channel that could not be read also counts as a gap, so that the
engine asks the venue instead of trusting half a message.

Source: MEXC API documentation, "User Data Streams", "New Order", "Batch Orders", 2025-08 to 2026;
mexcdevelop/websocket-proto of 2026-06-17; captures quoted in Mexc.Net and ccxt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, final

from msgspec import Struct

from openmm.errors import ProtocolError, VenueRejected
from openmm.events import (
    BalanceUpdated,
    Event,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    StreamGapped,
    Subscribed,
)
from openmm.instrument import Instrument
from openmm.venues.faults import Code
from openmm.venues.messages import OrderMemory, Requested, nothing_requested, unrecognised
from openmm.venues.mexc.fields import (
    Message,
    as_int,
    as_object,
    bad,
    loads,
    message_of,
    proto_decimal,
    proto_int,
    proto_text,
    text_of,
)
from openmm.venues.mexc.rest import refusal
from openmm.venues.mexc.rows import NS_PER_MS, FillIds, pushed_fill, pushed_order
from openmm.venues.mexc.spec import BAD_LISTEN_KEY, OK_CODES, classify, venue_symbol
from openmm.venues.mexc.stream import REFUSED, dumps

# Fields of the wrapper that carry a body. Source: PushDataV3ApiWrapper.proto.
ORDERS: Final = 304
DEALS: Final = 306
ACCOUNT: Final = 307
BODIES: Final = frozenset(range(301, 316))
# Changes of a balance that follow from orders and fills of our own.
OF_TRADING: Final = frozenset(
    {"ENTRUST_PLACE", "ENTRUST", "ENTRUST_CANCEL", "ENTRUST_UNFROZEN", "TRADE_FEE"}
)
OF_TRANSFER: Final = frozenset(
    {"DEPOSIT", "DEPOSIT_FEE", "WITHDRAW", "WITHDRAW_FEE", "CONTRACT_TRANSFER", "SUGAR"}
)
REPLY: Final = "rest.reply"


def reply_frame(req_id: int, status: int, body: bytes) -> bytes:
    """Write the reply to an order's request as a frame, which is journalled and read like any."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        body = dumps(body[:2000].decode("utf-8", "replace")).encode()
    return b'{"channel":"%b","id":%d,"status":%d,"body":%b}' % (
        REPLY.encode(),
        req_id,
        status,
        body,
    )


class _Order(Struct):
    """What was last told of an order: all figures are cumulative."""

    filled_lots: int = 0
    terminal: bool = False


@final
class PrivateDecoder(OrderMemory[_Order]):
    """Turn frames into events.

    Args:
        instruments: pairs known already.
        requested: tells kind and client ids of a request id: replies name no order.
        ids: of executions, shared with whoever asks for them over REST.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] = (),
        requested: Requested = nothing_requested,
        ids: FillIds | None = None,
    ) -> None:
        super().__init__(_Order)
        self.instruments = {venue_symbol(one.name): one for one in instruments}
        self._requested = requested
        self._ids = ids or FillIds()

    def decode(self, data: bytes) -> list[Event]:
        """Turn one frame into events, in the order the venue tells them."""
        if data == BAD_LISTEN_KEY:
            return [RequestRefused("login", 0, data.decode(), Code.TOKEN, True)]
        try:
            if data.startswith(b"{"):
                return self._text(as_object(loads(data)), data)
            return self._push(message_of(data), data)
        except ProtocolError:
            return [unrecognised(data)]

    # --- pushes

    def _push(self, push: Message, data: bytes) -> list[Event]:
        channel = proto_text(push, 1)
        bodies = [number for number in push if number in BODIES]
        if not channel or len(bodies) != 1:
            return [unrecognised(data)]
        number = bodies[0]
        if number not in (ORDERS, DEALS, ACCOUNT):
            return []
        try:
            body = message_of(push[number])
            if number == ORDERS:
                return self._order(pushed_order(push, body, self.instruments))
            if number == DEALS:
                # A pair that is not loaded is another bot's.
                fill = pushed_fill(push, body, self.instruments, self._ids)
                return [] if fill is None else [fill]
            return [_balance(push, body)]
        except ProtocolError:
            # Something was lost on us: have it asked for.
            return [unrecognised(data), StreamGapped(channel, 0, 0)]

    def _order(self, order: OrderUpdated) -> list[Event]:
        """Tell an order's state, unless a later one was told already."""
        before = self._remembered(order.venue_order_id)
        filled = order.filled_lots or 0
        if filled < before.filled_lots or (before.terminal and not order.status.terminal):
            return []
        before.filled_lots = filled
        before.terminal = order.status.terminal
        return [order]

    # --- text

    def _text(self, message: Mapping[str, Any], data: bytes) -> list[Event]:
        if message.get("channel") == REPLY:
            return self._reply(message, data)
        if str(message.get("method")).upper() == "PING":
            return []
        if "msg" not in message:
            return [unrecognised(data)]
        text, req_id = text_of(message, "msg"), as_int(message.get("id", 0))
        code = as_int(message.get("code", 0))
        if text == "PONG":
            return [RequestAccepted("ping", req_id)]
        if code not in OK_CODES:
            fault = classify(code)
            return [RequestRefused("subscribe", req_id, text, fault.code, fault.retryable)]
        if text.startswith(REFUSED):
            return [RequestRefused("subscribe", req_id, text, Code.ARGUMENTS, False)]
        if text.startswith("spot@"):
            return [Subscribed(topic.strip()) for topic in text.split(",")]
        return [unrecognised(data)]

    # --- replies to orders

    def _reply(self, message: Mapping[str, Any], data: bytes) -> list[Event]:
        req_id, status = as_int(message.get("id")), as_int(message.get("status"))
        kind, asked = self._requested(req_id)
        if not kind:
            return [unrecognised(data)]
        body = message.get("body")
        try:
            if 200 <= status < 300 and isinstance(body, list) and len(body) == len(asked):
                rows = [as_object(row) for row in body]
                return [
                    _row(kind, req_id, row, asked[index], index) for index, row in enumerate(rows)
                ]
            if 200 <= status < 300 and isinstance(body, dict) and len(asked) == 1:
                return [_row(kind, req_id, body, asked[0], -1)]
        except ProtocolError:
            pass
        return [_refused(kind, req_id, status, body, asked[0] if len(asked) == 1 else "")]


def _row(kind: str, req_id: int, row: Mapping[str, Any], client_id: str, index: int) -> Event:
    """Tell what became of one order of a request: the answer's place names it."""
    code = row.get("code")
    if code is not None and as_int(code) not in OK_CODES:
        fault = classify(as_int(code))
        text = f"{code}: {text_of(row, 'msg')}"
        return RequestRefused(kind, req_id, text, fault.code, fault.retryable, client_id, index)
    order_id = row.get("orderId")
    if not isinstance(order_id, (str, int)) or isinstance(order_id, bool) or order_id == "":
        raise bad("answer without an order", row)
    return RequestAccepted(
        kind, req_id, client_id=client_id, venue_order_id=str(order_id), index=index
    )


def _refused(kind: str, req_id: int, status: int, body: object, client_id: str) -> Event:
    """Tell of a whole request refused, or of one whose outcome is not known."""
    error = refusal(json.dumps(body, default=str).encode(), status, kind)
    text = str(error)
    # After a server's error an order may stand all the same, and so after what makes no sense.
    if status >= 500 or not isinstance(error, VenueRejected):
        code = Code.CALL_RATE if status == 403 else Code.INTERNAL
        return RequestRefused(kind, req_id, text, code, status == 403, client_id)
    return RequestRefused(kind, req_id, text, error.code, error.retryable, client_id)


def _balance(push: Message, body: Message) -> BalanceUpdated:
    """Turn a change of a balance into an event: of free and held together."""
    asset, told = proto_text(body, 1), proto_text(body, 7)
    free = proto_decimal(body, 3)
    if not asset or free is None:
        raise bad("balance without asset or amount", told)
    held = proto_decimal(body, 5) or Decimal(0)
    change: Decimal | None = None
    if told in OF_TRADING or told in OF_TRANSFER:
        # Of an unknown kind only the total is believed: reconciliation judges it.
        change = (proto_decimal(body, 4) or Decimal(0)) + (proto_decimal(body, 6) or Decimal(0))
    return BalanceUpdated(
        asset=asset,
        total=free + held,
        change=change,
        fee=Decimal(0),
        kind="trade" if told in OF_TRADING else told.lower() or "unknown",
        ref_id="",
        ts_ns=(proto_int(body, 8) or proto_int(push, 6)) * NS_PER_MS,
    )
