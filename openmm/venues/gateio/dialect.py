"""Speak Gate.io's WebSocket v4 from the venue's side, without sockets or clocks.

`GateioGateway` stands between a `Core` and any number of `GateioSession`s; `dialect_rest` adds
REST. Where the venue's behaviour is not settled the choice made here says so ("SIM"), and
`DialectOptions` turns it round.

Source: Gate documentation, "Spot WebSocket v4", updated 2026-04-27; frames captured 2021 to 2026.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from openmm.events import SystemMode
from openmm.venues.counterpart import (
    Change,
    Core,
    FillRecord,
    LedgerRecord,
    OrderRecord,
    TradeRecord,
)
from openmm.venues.gateio import dialect_faults, dialect_trading
from openmm.venues.gateio.dialect_book import FIRST_ID, OBU_FIRST_ID, BookPublisher
from openmm.venues.gateio.dialect_faults import FIRST_ORDER_ID
from openmm.venues.gateio.dialect_text import (
    MS,
    NS,
    SIDE_TEXT,
    Refused,
    dump,
    fill_fields,
    millis,
    money_text,
    order_event,
    order_fields,
)
from openmm.venues.gateio.spec import (
    CANCELS_PER_S,
    CLOCK_S_MAX,
    DEPTHS,
    ORDERS_PER_S,
    UPDATE_INTERVALS,
    our_name,
    stream_name,
    venue_symbol,
)

FIRST_FILL_ID: Final = 5_700_000
PRIVATE: Final = ("spot.orders", "spot.usertrades", "spot.balances")
EVENTS: Final[Mapping[Change, str]] = {
    Change.OPENED: "put",
    Change.TRADED: "update",
    Change.AMENDED: "update",
    Change.FILLED: "finish",
    Change.CANCELLED: "finish",
    Change.EXPIRED: "finish",
}


@dataclass(frozen=True, slots=True)
class DialectOptions:
    """Choices where the venue's behaviour is not settled.

    Args:
        order: of an answer and the pushes it sets off: random, result_first or events_first.
        obu_full_first: the first full frame comes before the subscription's answer (testnet).
        whole_first_frame: a book with REST copies begins with its whole book (2021).
        limited_after_ack: a placement beyond the rate is acknowledged, then refused.
        echo_payload: answers to subscriptions repeat the payload (since 2024).
    """

    order: str = "random"
    obu_full_first: bool = False
    whole_first_frame: bool = False
    limited_after_ack: bool = False
    echo_payload: bool = True


class GateioGateway:
    """Share one core among sessions: books, ids, limits, and what everyone is told."""

    faults = dialect_faults

    def __init__(self, core: Core, seed: int, options: DialectOptions | None = None) -> None:
        self.core = core
        self.options = options or DialectOptions()
        self.sessions: list[GateioSession] = []
        self.books: dict[tuple[str, int], BookPublisher] = {}
        self.changes: dict[str, int] = dict.fromkeys(core.instruments, 0)
        self.orders: dict[str, OrderRecord] = {}
        self.updated_ns: dict[str, int] = {}
        self.rng = Random(f"gateio:{seed}")
        self._ordered: dict[tuple[int, str], deque[int]] = {}
        self._cancelled: dict[int, deque[int]] = {}
        core.listen(self)

    def connect(self, now_ns: int, private: bool) -> GateioSession:
        """Open a session; both kinds of connection are the same here."""
        session = GateioSession(self, now_ns, private)
        self.sessions.append(session)
        return session

    def drop(self, session: GateioSession) -> None:
        """Forget a session whose socket is gone."""
        session.unsubscribe_all()
        self.sessions.remove(session)

    def expire_tokens(self) -> None:
        """Forget every login: calls are refused until the connection logs in anew."""
        for session in self.sessions:
            session.login = None

    # ---- orders

    def order_id(self, order: OrderRecord) -> str:
        """Return the venue's id of an order: digits."""
        return str(FIRST_ORDER_ID + order.number)

    def find(self, account: int, name: str, *, ended_too: bool = False) -> OrderRecord | None:
        """Find an order by id, or by text: then the latest, and only while it is open."""
        order = self.orders.get(name)
        if order is not None:
            return order if order.account == account else None
        found = self.core.by_client_id(account, name)
        if found and (found[0].open or ended_too):
            return found[0]
        return None

    def told(self, order: OrderRecord) -> dict[str, Any]:
        """Write an order object."""
        order_id = self.order_id(order)
        return order_fields(
            self.core, order_id, order, self.updated_ns.get(order_id, order.created_ns)
        )

    def may_order(self, account: int, instrument: str, count: int, now_ns: int) -> int:
        """Count placements and amendments; returns how many more fit this second, -1: refused."""
        times = self._ordered.setdefault((account, instrument), deque())
        return _within(times, count, ORDERS_PER_S, now_ns)

    def may_cancel(self, account: int, count: int, now_ns: int) -> bool:
        """Count cancels."""
        times = self._cancelled.setdefault(account, deque())
        return _within(times, count, CANCELS_PER_S, now_ns) >= 0

    # ---- books

    def book_id(self, instrument: str) -> int:
        """Return the id of the last change of a pair's book, as REST tells it."""
        return FIRST_ID + self.changes[instrument]

    def publisher(self, instrument: str, depth: int) -> BookPublisher:
        """Return the publisher of a book channel, fresh if nobody reads it."""
        book = self.books.get((instrument, depth))
        first = FIRST_ID if depth in UPDATE_INTERVALS else OBU_FIRST_ID
        if book is None:
            pair = self.core.instruments[instrument]
            book = self.books[instrument, depth] = BookPublisher(self.core, pair, depth, first)
        book.book_id = first + self.changes[instrument]
        if book.readers == 0:
            book.start()
        return book

    def flush(self, now_ns: int) -> None:
        """Send every book frame that is due."""
        for (name, depth), book in self.books.items():
            if book.readers == 0:
                continue
            frame = book.update(now_ns)
            if frame is not None:
                for session in self.sessions:
                    if (name, depth) in session.books:
                        session.push(frame)

    # ---- notices of the core

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Tell the sessions of the order's account."""
        order_id = self.order_id(order)
        self.orders[order_id] = order
        self.updated_ns[order_id] = ts_ns
        event = EVENTS.get(change)
        if event is None:
            return
        # The last fill's report is the order's end itself.
        whole = fill is not None and fill.filled_lots == order.qty_lots
        for session in self.sessions:
            if not (change is Change.TRADED and whole):
                session.tell_order(order, event, ts_ns)
            if fill is not None:
                session.tell_fill(order, fill, ts_ns)
            elif change is not Change.FILLED:
                session.tell_hold(order, event, ts_ns)

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Tell the sessions of an account."""
        for session in self.sessions:
            session.tell_ledger(account, entry, ts_ns)

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Tell the readers of a pair's trades, one frame a match."""
        for trade in trades:
            pair = self.core.instruments[trade.instrument]
            symbol = venue_symbol(trade.instrument)
            result = {
                "id": trade.trade_id, "create_time": trade.ts_ns // NS,
                "create_time_ms": millis(trade.ts_ns), "side": SIDE_TEXT[trade.taker_side],
                "currency_pair": symbol, "amount": f"{pair.qty(trade.qty_lots):.10f}",
                "price": f"{pair.price(trade.price_ticks):.10f}",
                "range": f"{trade.trade_id}-{trade.trade_id}",
            }  # fmt: skip
            frame = _update("spot.trades", result, trade.ts_ns)
            for session in self.sessions:
                if symbol in session.trades:
                    session.push(frame)

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Give the change its id; frames leave when they are due."""
        self.changes[instrument] += 1
        for (name, _), book in self.books.items():
            if name == instrument:
                book.book_id += 1

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Take no recorded frame: every book is derived here."""

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Tell nobody: the venue publishes no mode, calls are refused."""


def _within(times: deque[int], count: int, limit: int, now_ns: int) -> int:
    """Count events of one second; -1, counting nothing, where they pass the limit."""
    while times and times[0] <= now_ns - NS:
        times.popleft()
    if len(times) + count > limit:
        return -1
    times.extend([now_ns] * count)
    return limit - len(times)


def _update(channel: str, result: object, ts_ns: int) -> bytes:
    return dump({
        "time": ts_ns // NS, "time_ms": ts_ns // MS, "channel": channel, "event": "update",
        "result": result,
    })  # fmt: skip


class GateioSession:
    """One WebSocket connection. Frames in, answers out; pushes wait until `poll`."""

    def __init__(self, gateway: GateioGateway, now_ns: int, private: bool) -> None:
        self.gateway = gateway
        self.core = gateway.core
        self.private = private
        self.login: int | None = None
        self.trades: set[str] = set()
        self.books: set[tuple[str, int]] = set()
        self.channels: dict[str, tuple[int, frozenset[str]]] = {}  # private: (account, pairs)
        self.last_frame_ns = now_ns
        self._queue: deque[bytes] = deque()

    @property
    def account(self) -> int | None:
        """The account that logged in here."""
        return self.login

    @property
    def subscribed(self) -> bool:
        """Whether anything is subscribed to."""
        return bool(self.trades or self.books or self.channels)

    # ---- out

    def push(self, message: bytes) -> None:
        """Queue a message."""
        self._queue.append(message)

    def poll(self, now_ns: int) -> list[bytes]:
        """Return queued messages."""
        self.gateway.flush(now_ns)
        messages = list(self._queue)
        self._queue.clear()
        return messages

    # ---- in

    def on_client_frame(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Carry out a request; return its answers and what it set off, in order of sending."""
        waiting = list(self._queue)
        self._queue.clear()
        self.last_frame_ns = now_ns
        acks, answers = self._request(frame, now_ns)
        events = list(self._queue)
        self._queue.clear()
        return waiting + acks + self._mixed(answers, events)

    def _mixed(self, answers: list[bytes], events: list[bytes]) -> list[bytes]:
        order = self.gateway.options.order
        if order == "result_first" or not answers:
            return answers + events
        if order == "events_first":
            return events + answers
        # The channels are independent of one another; each keeps its own order.
        lines: dict[str, deque[bytes]] = {"answer": deque(answers)}
        for event in events:
            lines.setdefault(dialect_faults.channel_of(event), deque()).append(event)
        mixed = []
        while lines:
            name = self.gateway.rng.choice(sorted(lines))
            mixed.append(lines[name].popleft())
            if not lines[name]:
                del lines[name]
        return mixed

    def _request(self, frame: bytes, now_ns: int) -> tuple[list[bytes], list[bytes]]:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("channel"), str):
            return [], [dump({"time": now_ns // NS, "channel": "", "event": "", "error": {
                "code": 1, "message": "invalid json"}, "result": None})]  # fmt: skip
        channel, event = message["channel"], message.get("event")
        if channel == "spot.ping":
            return [], [dump({"time": now_ns // NS, "channel": "spot.pong", "event": "",
                              "error": None, "result": None})]  # fmt: skip
        if event == "api":
            return self._call(channel, message, frame, now_ns)
        return self._subscription(channel, event, message, now_ns), []

    # ---- trading calls

    def _call(
        self, channel: str, message: Mapping[str, Any], frame: bytes, now_ns: int
    ) -> tuple[list[bytes], list[bytes]]:
        payload = message.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        call = dialect_trading.Call(self, channel, payload, now_ns)
        try:
            self._in_time(message.get("time"), now_ns)
            if channel == "spot.login":
                return [], [self._logged_in(call, payload, frame, now_ns)]
            if self.login is None:
                raise Refused(400, "AUTHENTICATION_FAILED", "Not login")
            answers = dialect_trading.carry_out(call, self.login)
        except Refused as refused:
            return [], [call.failed(refused)]
        return answers

    @staticmethod
    def _in_time(told: object, now_ns: int) -> None:
        # SIM: status and label are not documented.
        if not isinstance(told, int) or abs(told - now_ns // NS) > CLOCK_S_MAX:
            raise Refused(
                400, "REQUEST_EXPIRED", "gap between request Timestamp and server time exceeds 60"
            )

    def _logged_in(
        self, call: dialect_trading.Call, payload: Mapping[str, Any], frame: bytes, now_ns: int
    ) -> bytes:
        account = self.core.account_of(str(payload.get("api_key")))
        stamp = str(payload.get("timestamp"))
        if account is None:
            raise Refused(401, "INVALID_KEY", "Invalid key provided")
        text = b"api\nspot.login\n%s\n%s" % (raw_param(frame), stamp.encode())
        if not self._signed(account, text, payload.get("signature")):
            raise Refused(401, "INVALID_SIGNATURE", "Signature mismatch")
        self._in_time(int(stamp) if stamp.isdecimal() else None, now_ns)
        self.login = account
        return call.done({"api_key": payload["api_key"], "uid": str(account)})

    def _signed(self, account: int, text: bytes, signature: object) -> bool:
        wanted = hmac.new(self.core.secret_of(account), text, hashlib.sha512).hexdigest()
        return isinstance(signature, str) and hmac.compare_digest(
            wanted.encode(), signature.encode()
        )

    # ---- subscriptions

    def _subscription(
        self, channel: str, event: object, message: Mapping[str, Any], now_ns: int
    ) -> list[bytes]:
        payload = message.get("payload", [])
        answer: dict[str, Any] = {"time": now_ns // NS, "time_ms": now_ns // MS}
        if isinstance(message.get("id"), int):
            answer["id"] = message["id"]
        answer |= {"channel": channel, "event": event}
        if self.gateway.options.echo_payload:
            answer["payload"] = payload
        pushed: list[bytes] = []
        try:
            if event not in ("subscribe", "unsubscribe"):
                raise _Fault(1, f"unknown event: {event}")
            if not isinstance(payload, list) or not all(isinstance(one, str) for one in payload):
                raise _Fault(1, "invalid payload")
            pushed = self._subscribed(channel, str(event), payload, message, now_ns)
        except _Fault as fault:
            failed = {"error": {"code": fault.code, "message": str(fault)}}
            return [dump(answer | failed | {"result": {"status": "fail"}})]
        done = dump(answer | {"result": {"status": "success"}})
        first = channel == "spot.obu" and self.gateway.options.obu_full_first
        return [*pushed, done] if first else [done, *pushed]

    def _subscribed(
        self, channel: str, event: str, payload: Sequence[str], message: Mapping[str, Any],
        now_ns: int,
    ) -> list[bytes]:  # fmt: skip
        starting = event == "subscribe"
        if channel in PRIVATE:
            account = self._authorised(channel, event, message, now_ns)
            pairs = frozenset(payload)
            held = self.channels.get(channel, (account, frozenset()))[1]
            left = held | pairs if starting else held - pairs
            if starting or (left and channel != "spot.balances"):
                self.channels[channel] = (account, left)
            else:
                self.channels.pop(channel, None)
            return []
        if channel == "spot.trades":
            # One unknown pair fails the whole request.
            for symbol in payload:
                self._known(symbol)
            self.trades = self.trades | set(payload) if starting else self.trades - set(payload)
            return []
        if channel == "spot.order_book_update":
            depths = {text: depth for depth, text in UPDATE_INTERVALS.items()}
            if len(payload) != 2 or payload[1] not in depths:
                raise _Fault(2, "invalid interval")
            return self._book(self._known(payload[0]), depths[payload[1]], starting, now_ns)
        if channel == "spot.obu":
            frames: list[bytes] = []
            for stream in payload:
                frames += self._obu(stream, starting, now_ns)
            return frames
        raise _Fault(2, f"unknown channel: {channel}")

    def _obu(self, stream: str, starting: bool, now_ns: int) -> list[bytes]:
        parts = stream.split(".")
        if len(parts) != 3 or not parts[2].isdecimal():
            raise _Fault(2, f"invalid stream: {stream}")
        name, depth = self._known(parts[1]), int(parts[2])
        if (
            depth in UPDATE_INTERVALS
            or depth not in DEPTHS
            or stream != stream_name(parts[1], depth)
        ):
            raise _Fault(2, f"invalid stream: {stream}")
        if starting and (name, depth) in self.books:
            raise _Fault(2, f"Alert sub {stream}")
        return self._book(name, depth, starting, now_ns)

    def _book(self, name: str, depth: int, starting: bool, now_ns: int) -> list[bytes]:
        held = (name, depth) in self.books
        if not starting:
            if held:
                self.books.discard((name, depth))
                self.gateway.books[name, depth].readers -= 1
            return []
        self.core.begin(name, now_ns)
        book = self.gateway.publisher(name, depth)
        if not held:
            self.books.add((name, depth))
            book.readers += 1
        whole = book.obu or self.gateway.options.whole_first_frame
        return [book.full(now_ns)] if whole else []

    def _known(self, symbol: str) -> str:
        name = our_name(symbol)
        if name not in self.core.instruments or venue_symbol(name) != symbol:
            raise _Fault(2, f"unknown currency pair: {symbol}")
        return name

    def _authorised(self, channel: str, event: str, message: Mapping[str, Any], now_ns: int) -> int:
        auth = message.get("auth")
        auth = auth if isinstance(auth, dict) else {}
        account = self.core.account_of(str(auth.get("KEY")))
        if account is None:
            raise _denied("INVALID_KEY", "Invalid key provided")
        told = message.get("time")
        text = f"channel={channel}&event={event}&time={told}".encode()
        if not self._signed(account, text, auth.get("SIGN")):
            raise _denied("INVALID_SIGNATURE", "Signature mismatch")
        if not isinstance(told, int) or abs(told - now_ns // NS) > CLOCK_S_MAX:
            raise _denied("REQUEST_EXPIRED", "gap between request Timestamp and server time")
        return account

    def unsubscribe_all(self) -> None:
        """End every subscription (the socket is gone)."""
        for key in self.books:
            self.gateway.books[key].readers -= 1
        self.books.clear()
        self.trades.clear()
        self.channels.clear()

    # ---- told by the gateway

    def _reads(self, channel: str, account: int, instrument: str = "") -> bool:
        held = self.channels.get(channel)
        if held is None or held[0] != account:
            return False
        return not instrument or bool(held[1] & {"!all", venue_symbol(instrument)})

    def tell_order(self, order: OrderRecord, event: str, ts_ns: int) -> None:
        """Queue an order's state, if this session reads it."""
        if self._reads("spot.orders", order.account, order.instrument):
            told = order_event(self.gateway.told(order), event, order.account)
            self.push(_update("spot.orders", [told], ts_ns))

    def tell_fill(self, order: OrderRecord, fill: FillRecord, ts_ns: int) -> None:
        """Queue a fill, if this session reads it."""
        if self._reads("spot.usertrades", order.account, order.instrument):
            told = fill_fields(self.core, self.gateway.order_id(order), fill, order.client_id)
            told["id"] = FIRST_FILL_ID + fill.position
            self.push(_update("spot.usertrades", [told], ts_ns))

    def tell_hold(self, order: OrderRecord, event: str, ts_ns: int) -> None:
        """Queue what an order binds or frees: the total does not change."""
        if self._reads("spot.balances", order.account) and order.held_asset:
            kind = "order-create" if event == "put" else "order-update"
            self._tell_balance(order.account, order.held_asset, "0", kind, ts_ns)

    def tell_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Queue a change of a balance, if this session reads it."""
        if self._reads("spot.balances", account):
            change = money_text(self.core, entry.asset, entry.amount_atoms - entry.fee_atoms)
            kind = "order-match" if entry.kind == "trade" else entry.kind
            self._tell_balance(account, entry.asset, change, kind, ts_ns)

    def _tell_balance(self, account: int, asset: str, change: str, kind: str, ts_ns: int) -> None:
        total, held = self.core.balances(account)[asset]
        row = {
            "timestamp": str(ts_ns // NS), "timestamp_ms": str(ts_ns // MS), "user": str(account),
            "currency": asset, "change": change, "total": money_text(self.core, asset, total),
            "available": money_text(self.core, asset, total - held),
            "freeze": money_text(self.core, asset, held), "freeze_change": "0",
            "change_type": kind,
        }  # fmt: skip
        self.push(_update("spot.balances", [row], ts_ns))


class _Fault(ValueError):
    """A subscription the venue refuses."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def _denied(label: str, text: str) -> _Fault:
    # The message is JSON itself, as captured.
    return _Fault(4, json.dumps({"label": label, "message": text}) + "\n")


def raw_param(frame: bytes) -> bytes:
    """Return the very bytes of a request's `req_param`; none when it is absent."""
    text = frame.decode()
    _, mark, rest = text.partition('"req_param":')
    if not mark:
        return b""
    rest = rest.lstrip()
    return rest[: json.JSONDecoder().raw_decode(rest)[1]].encode()
