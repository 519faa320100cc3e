"""Everything but the hot path's frames: bytes of a socket to the values of `events`.

Private channels of both interfaces, answers to trading messages, logins and subscriptions, tickers.
Pure: no clock, no socket. Numbers are read as exact decimals. A frame that makes no sense becomes
`Unrecognised`; a row of a private channel that could not be read also counts as a gap, so that the
engine asks the venue instead of trusting half a message.

Source: Bitget API documentation, private channels of v2 and v3, crawl of 2025-12-05; captures in
ccxt, hummingbot and go-bitget, 2022 to 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, final

from msgspec import Struct

from openmm.errors import ProtocolError
from openmm.events import (
    BalanceUpdated,
    Event,
    OrderFilled,
    RequestAccepted,
    RequestRefused,
    Source,
    StreamGapped,
    Subscribed,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.bitget.fields import as_list, as_object, bad, loads, text_of
from openmm.venues.bitget.rows import (
    is_spot,
    read_balances,
    read_order,
    read_pushed_fill,
    read_ticker,
    read_unified_fill,
    state_of,
)
from openmm.venues.bitget.spec import (
    LOGIN_CODES,
    OK_CODES,
    UPGRADE_NOTICE,
    classify,
)
from openmm.venues.faults import Code
from openmm.venues.messages import (
    OrderMemory,
    Requested,
    nothing_requested,
    read_rows,
    unrecognised,
)

# Words of `events` for the channels of trading messages.
KINDS: Final = {
    "place-order": "add",
    "batch-place": "add",
    "modify-order": "amend",
    "cancel-order": "cancel",
    "batch-cancel": "cancel",
}
# Channels whose pushes are known and tell the engine nothing it asked for.
UNUSED: Final = ("candle", "kline", "books", "trade", "publicTrade", "orders-algo")


class _Order(Struct):
    """What was last told of an order: pushes may repeat and overtake each other."""

    filled: Decimal = Decimal(0)
    update_ms: int = 0
    terminal: bool = False


def _nothing_sent() -> int:
    return 0


@final
class PrivateDecoder(OrderMemory[_Order]):
    """Turn frames into events, remembering what the venue repeats.

    Args:
        instruments: pairs known already, by the venue's symbol.
        requested: tells kind and client ids of a request id, for answers that name no order.
        last_request: the id of the last request sent, for errors that name none.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument] | None = None,
        requested: Requested = nothing_requested,
        last_request: Callable[[], int] = _nothing_sent,
    ) -> None:
        super().__init__(_Order)
        self.instruments: dict[str, Instrument] = dict(instruments or {})
        self._requested = requested
        self._last_request = last_request
        self._balances_told = False
        # Requests answered: all up to a number, and some beyond it.
        self._answered_to = 0
        self._answered: set[int] = set()

    def begin(self) -> None:
        """Expect a new connection: its first balances are a snapshot, old requests stay open."""
        self._balances_told = False
        self._answered_to = self._last_request()
        self._answered.clear()

    def decode(self, data: bytes | str) -> list[Event]:
        """Turn one frame into events, in the order the venue tells them."""
        if data in (b"pong", "pong"):
            return [RequestAccepted("ping", 0)]
        try:
            message = as_object(loads(data))
            if "event" in message:
                return self._answer(message)
            if "action" in message:
                return self._push(message, data)
        except ProtocolError:
            pass
        return [unrecognised(data)]

    # --- pushes

    def _push(self, message: Mapping[str, Any], data: bytes | str) -> list[Event]:
        arg = as_object(message.get("arg"))
        channel = text_of(arg, "channel") or text_of(arg, "topic")
        match channel:
            case "orders" | "order":
                return self._each(channel, message, data, self._order)
            case "fill":
                return self._each(channel, message, data, self._fill)
            case "account":
                found = self._each(channel, message, data, self._balance)
                self._balances_told = True
                return found
            case "ticker" | "tickers":
                rows = map(as_object, as_list(message.get("data")))
                symbol = text_of(arg, "instId") or text_of(arg, "symbol")
                return [
                    read_ticker(row, self.instruments, symbol, message.get("ts")) for row in rows
                ]
        if channel.startswith(UNUSED):
            return []
        return [unrecognised(data)]

    def _each(
        self,
        channel: str,
        message: Mapping[str, Any],
        data: bytes | str,
        read: Callable[[Mapping[str, Any], int], Iterable[Event]],
    ) -> list[Event]:
        """Read the rows of a private channel's push."""
        sent = message.get("ts")
        sent_ms = sent if isinstance(sent, int) and not isinstance(sent, bool) else 0
        events = read_rows(message.get("data"), lambda row: read(row, sent_ms), data)
        if any(isinstance(event, Unrecognised) for event in events):
            # Something was lost on us: have it asked for.
            events.append(StreamGapped(channel, 0, 0))
        return events

    def _order(self, row: Mapping[str, Any], _sent_ms: int) -> list[Event]:
        """Tell an execution first, then the state, unless a later one was told already."""
        if not is_spot(row):
            return []
        events: list[Event] = []
        fill = read_pushed_fill(row, self.instruments)
        if fill is not None:
            events.append(fill)
        order_id = text_of(row, "orderId")
        if not order_id:
            raise bad("order without orderId", row)
        known = order_id in self._orders
        order = self._remembered(order_id)
        state = state_of(row)
        filled = Decimal(0) if state.filled is None else state.filled
        stale = known and (
            (order.terminal and not state.status.terminal)
            or (state.update_ms and state.update_ms < order.update_ms)
            or filled < order.filled
        )
        if stale:
            return events
        order.filled = max(order.filled, filled)
        order.update_ms = max(order.update_ms, state.update_ms)
        order.terminal = state.status.terminal
        events.append(read_order(row, self.instruments, Source.STREAM))
        return events

    def _fill(self, row: Mapping[str, Any], _sent_ms: int) -> list[Event]:
        if not is_spot(row):
            return []
        fill: OrderFilled | None = read_unified_fill(row, self.instruments, Source.STREAM)
        # A pair that is not loaded is another bot's.
        return [] if fill is None else [fill]

    def _balance(self, row: Mapping[str, Any], sent_ms: int) -> list[BalanceUpdated]:
        kind = "update" if self._balances_told else "snapshot"
        return read_balances(row, kind, sent_ms)

    # --- answers

    def _answer(self, message: Mapping[str, Any]) -> list[Event]:
        event = text_of(message, "event")
        code = _code_of(message)
        if event == "login":
            if code in OK_CODES:
                return [RequestAccepted("login", 0)]
            return [_refusal("login", 0, code, _text_of(message))]
        if event in ("subscribe", "unsubscribe"):
            arg = as_object(message.get("arg"))
            channel = text_of(arg, "channel") or text_of(arg, "topic")
            symbol = text_of(arg, "instId") or text_of(arg, "symbol")
            if event == "unsubscribe":
                return [RequestAccepted("unsubscribe", 0)]
            instrument = self.instruments.get(symbol)
            return [Subscribed(channel, symbol if instrument is None else instrument.name)]
        if event not in ("trade", "error"):
            raise bad("no known event", event)
        rows = _rows_of(message)
        first = rows[0] if rows else {}
        req_id = _req_id(first.get("id") or message.get("id"))
        topic = text_of(first, "channel") or text_of(message, "topic")
        if event == "error" and topic not in KINDS and req_id == 0:
            return self._error(message, code)
        self._note_answer(req_id)
        kind = KINDS.get(topic) or self._requested(req_id)[0]
        if event == "trade" and code in OK_CODES:
            return self._taken(kind, req_id, rows, topic)
        return self._refused(kind, req_id, code, _text_of(message), rows)

    def _error(self, message: Mapping[str, Any], code: str) -> list[Event]:
        """Tell of an error that names no request."""
        text = _text_of(message)
        if code == UPGRADE_NOTICE:
            # The venue is about to close: a new connection now instead.
            return [StreamGapped("upgrade", 0, 0)]
        if code in LOGIN_CODES:
            events: list[Event] = [_refusal("login", 0, code, text)]
            if classify(code).code is Code.LOGIN:
                events.append(StreamGapped("login", 0, 0))
            return events
        if code.startswith("30"):
            return [_refusal("subscribe", 0, code, text)]
        # Of a request: which one is a guess, so that its outcome is asked for.
        req_id = self._oldest_open()
        self._note_answer(req_id)
        kind, asked = self._requested(req_id)
        return [
            RequestRefused(
                kind, req_id, f"{code}: {text}", Code.INTERNAL, False,
                client_id=asked[0] if len(asked) == 1 else "",
            )
        ]  # fmt: skip

    def _taken(
        self, kind: str, req_id: int, rows: Sequence[Mapping[str, Any]], topic: str
    ) -> list[Event]:
        """Tell of each order of a message that the venue took; a failed one carries its code."""
        _, asked = self._requested(req_id)
        told = len(rows) == len(asked)
        many = topic.startswith("batch")
        events: list[Event] = []
        for index, row in enumerate(rows):
            fields = as_object(row.get("params") or row)
            client_id = text_of(fields, "clientOid")
            if not client_id and told:
                client_id = asked[index]
            code = _code_of(fields)
            at = index if many and told else -1
            if code in OK_CODES or code == "":
                events.append(
                    RequestAccepted(
                        kind, req_id, client_id=client_id,
                        venue_order_id=text_of(fields, "orderId"), index=at,
                    )
                )  # fmt: skip
            else:
                events.append(_refusal(kind, req_id, code, _text_of(fields), client_id, at))
        return events

    def _refused(
        self, kind: str, req_id: int, code: str, text: str, rows: Sequence[Mapping[str, Any]]
    ) -> list[Event]:
        _, asked = self._requested(req_id)
        client_id = asked[0] if len(asked) == 1 else ""
        if not client_id and len(rows) == 1:
            client_id = text_of(as_object(rows[0].get("params") or rows[0]), "clientOid")
        events: list[Event] = [_refusal(kind, req_id, code, text, client_id)]
        if classify(code, text).code is Code.LOGIN:
            # The connection forgot us: a new one logs in anew.
            events.append(StreamGapped("login", 0, 0))
        return events

    # --- which request an error is about

    def _note_answer(self, req_id: int) -> None:
        if req_id <= self._answered_to or req_id > self._last_request():
            return
        self._answered.add(req_id)
        while self._answered_to + 1 in self._answered:
            self._answered_to += 1
            self._answered.discard(self._answered_to)

    def _oldest_open(self) -> int:
        """Return the first request without an answer, 0 when each has one."""
        first = self._answered_to + 1
        return first if first <= self._last_request() else 0


def _rows_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = message.get("arg", message.get("args"))
    if isinstance(rows, dict):
        return [rows]
    return [as_object(row) for row in rows] if isinstance(rows, list) else []


def _code_of(fields: Mapping[str, Any]) -> str:
    """Return a code as text: it is a number on live servers and text in documents."""
    code = fields.get("code")
    return "" if code is None or isinstance(code, bool) else str(code)


def _text_of(fields: Mapping[str, Any]) -> str:
    text = fields.get("msg", fields.get("message"))
    return text if isinstance(text, str) else ""


def _refusal(
    kind: str, req_id: int, code: str, text: str, client_id: str = "", index: int = -1
) -> RequestRefused:
    fault = classify(code, text)
    return RequestRefused(
        kind, req_id, f"{code}: {text}", fault.code, fault.retryable,
        client_id=client_id, index=index,
    )  # fmt: skip


def _req_id(value: object) -> int:
    """Return a request id of ours; 0 for another's."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else 0
