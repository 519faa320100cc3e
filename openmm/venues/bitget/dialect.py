"""Speak Bitget's WebSocket from the venue's side, v2 or v3, without sockets or clocks.

`BitgetGateway` stands between a `Core` and any number of `BitgetSession`s; `dialect_rest` adds
REST. Where the venue's behaviour is not settled the choice made here says so ("SIM"), and
`DialectOptions` turns it round.

Source: Bitget API documentation, "Websocket API" and channels of v2 and v3, crawl of 2025-12-05.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from openmm.events import SystemMode
from openmm.venues.bitget import dialect_faults, dialect_trading
from openmm.venues.bitget.dialect_book import BookPublisher, arg_of
from openmm.venues.bitget.dialect_faults import FIRST_ORDER_ID
from openmm.venues.bitget.dialect_text import (
    MS,
    NS,
    PASSPHRASE,
    SIDE_TEXT,
    Refused,
    classic_coin,
    dump,
    plain,
    pushed_fill,
    pushed_order,
    symbol_of,
    unified_coin,
    unified_fill,
    unified_order,
)
from openmm.venues.bitget.spec import (
    CHANNELS,
    CLOCK_S_MAX,
    LOGIN_PATH,
    MESSAGES_PER_S,
    SUBSCRIBE_BYTES_MAX,
    SUBSCRIBES_PER_HOUR,
    Family,
)
from openmm.venues.counterpart import (
    Change,
    Core,
    FillRecord,
    LedgerRecord,
    OrderRecord,
    TradeRecord,
)

PRIVATE: Final = {
    Family.CLASSIC: frozenset({"orders", "fill", "account"}),
    Family.UNIFIED: frozenset({"order", "fill", "account"}),
}
TRADES: Final = {Family.CLASSIC: "trade", Family.UNIFIED: "publicTrade"}
TRADES_SENT: Final = 50
HOUR_NS: Final = 3600 * NS


@dataclass(frozen=True, slots=True)
class DialectOptions:
    """Which venue this is, and choices where its behaviour is not settled.

    Args:
        family: of the accounts, and so of the interface.
        generation: of the book feed: legacy, 2026 or 2026p.
        events_first: pushes come before the answer they belong to; else by chance.
        trading: orders over the WebSocket are granted.
        text_codes: codes are text, as documented, not numbers, as sent.
    """

    family: Family = Family.CLASSIC
    generation: str = "2026p"
    events_first: bool = False
    trading: bool = True
    text_codes: bool = False


class BitgetGateway:
    """Share one core among sessions: books, ids, limits, and what everyone is told."""

    faults = dialect_faults

    def __init__(self, core: Core, seed: int, options: DialectOptions | None = None) -> None:
        self.core = core
        self.options = options or DialectOptions()
        self.family = self.options.family
        self.sessions: list[BitgetSession] = []
        self.books: dict[tuple[str, str], BookPublisher] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.updated_ns: dict[str, int] = {}
        self.names = {symbol_of(name): name for name in core.instruments}
        self.rng = Random(f"bitget:{seed}")
        self.over_limit = 0  # messages beyond what a connection may send
        self._calls: dict[tuple[int, str], deque[int]] = {}
        core.listen(self)

    def connect(self, now_ns: int, private: bool) -> BitgetSession:
        """Open a session."""
        session = BitgetSession(self, now_ns, private)
        self.sessions.append(session)
        return session

    def drop(self, session: BitgetSession) -> None:
        """Forget a session whose socket is gone."""
        session.unsubscribe_all()
        self.sessions.remove(session)

    def expire_tokens(self) -> None:
        """Forget every login: requests are refused until the connection logs in anew."""
        for session in self.sessions:
            session.login = None

    # ---- orders

    def order_id(self, order: OrderRecord) -> str:
        """Return the venue's id of an order: digits."""
        return str(FIRST_ORDER_ID + order.number)

    def updated(self, order: OrderRecord) -> int:
        """Return when an order last changed."""
        return self.updated_ns.get(self.order_id(order), order.created_ns)

    def forget_calls(self) -> None:
        """Count no call made so far against a limit."""
        self._calls.clear()

    def count(self, account: int, what: str, limit: int, now_ns: int) -> None:
        """Count a call of an account against its limit a second, shared by socket and REST.

        Raises:
            Refused: it is beyond it.
        """
        times = self._calls.setdefault((account, what), deque())
        while times and times[0] <= now_ns - NS:
            times.popleft()
        if len(times) >= limit:
            raise Refused(429, "429", "Too many requests")
        times.append(now_ns)

    # ---- books

    def publisher(self, name: str, channel: str) -> BookPublisher:
        """Return the publisher of a book channel, fresh if nobody reads it."""
        book = self.books.get((name, channel))
        if book is None:
            book = self.books[name, channel] = BookPublisher(
                self.core, self.core.instruments[name], channel, self.family,
                self.options.generation, self.rng,
            )  # fmt: skip
        if book.readers == 0:
            book.start()
        return book

    def flush(self, now_ns: int) -> None:
        """Send every book push that is due."""
        for key, book in self.books.items():
            if book.readers == 0:
                continue
            frame = book.update(now_ns)
            if frame is not None:
                for session in self.sessions:
                    if key in session.books:
                        session.push(frame)

    # ---- notices of the core

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Tell the sessions of the order's account: each execution, then the end by itself."""
        order_id = self.order_id(order)
        self.orders[order_id] = order
        self.updated_ns[order_id] = ts_ns
        if change is Change.PENDING:
            return
        for session in self.sessions:
            session.tell_order(order, fill, ts_ns)
            if fill is not None:
                session.tell_fill(order, fill, ts_ns)

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Tell the sessions of an account. Holds are not told: no document says they are."""
        for session in self.sessions:
            session.tell_balances(account, [entry.asset], ts_ns)

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Tell the readers of a pair's trades, newest first."""
        names = {trade.instrument for trade in trades}
        for name in names:
            own = [trade for trade in trades if trade.instrument == name]
            frame = self.trades_frame(name, own, "update", own[-1].ts_ns)
            for session in self.sessions:
                if name in session.trades:
                    session.push(frame)

    def trades_frame(
        self, name: str, trades: Sequence[TradeRecord], action: str, ts_ns: int
    ) -> bytes:
        """Write trades, oldest first as given."""
        pair = self.core.instruments[name]
        rows = []
        for trade in reversed(trades):
            price, qty = f"{pair.price(trade.price_ticks):f}", plain(pair.qty(trade.qty_lots))
            side, at, number = SIDE_TEXT[trade.taker_side], trade.ts_ns // MS, trade.trade_id
            if self.family is Family.UNIFIED:
                rows.append({"p": price, "S": side, "T": str(at), "v": qty, "i": str(number),
                             "L": str(number)})  # fmt: skip
            else:
                rows.append({"ts": str(at), "price": price, "size": qty, "side": side,
                             "tradeId": str(number)})  # fmt: skip
        arg = arg_of(self.family, TRADES[self.family], symbol_of(name))
        return dump({"action": action, "arg": arg, "data": rows, "ts": ts_ns // MS})

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Take note of nothing: publishers compare books when they are due."""

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Take no recorded frame: every book is derived here."""

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Tell nobody: the venue publishes no mode, calls are refused."""


class BitgetSession:
    """One WebSocket connection. Frames in, answers out; pushes wait until `poll`."""

    def __init__(self, gateway: BitgetGateway, now_ns: int, private: bool) -> None:
        self.gateway = gateway
        self.core = gateway.core
        self.private = private
        self.login: int | None = None
        self.trades: set[str] = set()
        self.books: set[tuple[str, str]] = set()
        self.channels: set[str] = set()
        self.last_frame_ns = now_ns
        self._queue: deque[bytes] = deque()
        self._messages: deque[int] = deque()
        self._subscribes: deque[int] = deque()

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
        answers = self._request(frame, now_ns)
        events = list(self._queue)
        self._queue.clear()
        first = self.gateway.options.events_first or self.gateway.rng.random() < 0.5
        acked = bool(answers) and b'"event":"subscribe"' in answers[0]
        mixed = events + answers if first and not acked else answers + events
        return waiting + mixed

    def _request(self, frame: bytes, now_ns: int) -> list[bytes]:
        while self._messages and self._messages[0] <= now_ns - NS:
            self._messages.popleft()
        self._messages.append(now_ns)
        if len(self._messages) > MESSAGES_PER_S:
            # SIM: the venue closes the connection; here the message is refused and counted.
            self.gateway.over_limit += 1
            return [self.error("30007", "request over limit, connection closes")]
        if frame == b"ping":
            return [b"pong"]
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            return [self.error("30002", "illegal request")]
        args = message.get("args")
        rows = [one for one in args if isinstance(one, dict)] if isinstance(args, list) else []
        if not rows:
            return [self.error("30016", "param error")]
        match message.get("op"):
            case "login":
                return self._log_in(rows[0], now_ns)
            case "subscribe":
                return self._subscribe(rows, frame, now_ns)
            case "unsubscribe":
                return [self._unsubscribe(row) for row in rows]
            case "trade":
                return dialect_trading.carry_out(self, message, rows, now_ns)
        return [self.error("30003", "invalid op")]

    def code(self, code: str) -> int | str:
        """Write a code: a number, as live servers send it, or text, as documented."""
        return code if self.gateway.options.text_codes else int(code)

    def error(self, code: str, text: str, **more: object) -> bytes:
        """Write an error event."""
        return dump({"event": "error", **more, "code": self.code(code), "msg": text})

    def _log_in(self, row: Mapping[str, Any], now_ns: int) -> list[bytes]:
        stamp = str(row.get("timestamp"))
        if not stamp.isdecimal() or len(stamp) != 10:
            # Milliseconds are dropped without a word.
            return []
        account = self.core.account_of(str(row.get("apiKey")))
        if account is None:
            return [self.error("30011", "Invalid ACCESS_KEY")]
        if row.get("passphrase") != PASSPHRASE:
            return [self.error("30012", "Invalid ACCESS_PASSPHRASE")]
        if abs(int(stamp) - now_ns // NS) > CLOCK_S_MAX:
            return [self.error("30014", "Request timestamp expired")]
        if not signed(self.core, account, f"{stamp}GET{LOGIN_PATH}".encode(), row.get("sign")):
            return [self.error("30015", "Invalid sign")]
        self.login = account
        return [dump({"event": "login", "code": self.code("0"), "msg": ""})]

    # ---- subscriptions

    def _subscribe(
        self, rows: Sequence[Mapping[str, Any]], frame: bytes, now_ns: int
    ) -> list[bytes]:
        while self._subscribes and self._subscribes[0] <= now_ns - HOUR_NS:
            self._subscribes.popleft()
        self._subscribes.append(now_ns)
        if len(self._subscribes) > SUBSCRIBES_PER_HOUR:
            return [self.error("30006", "request too many")]
        if len(frame) > SUBSCRIBE_BYTES_MAX:
            return [self.error("30016", "param error")]
        return [self._start(row, now_ns) for row in rows]

    def _named(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """Return the channel and our name of the pair that an argument is about."""
        unified = self.gateway.family is Family.UNIFIED
        channel = row.get("topic" if unified else "channel")
        symbol = row.get("symbol" if unified else "instId")
        return str(channel), self.gateway.names.get(str(symbol), "")

    def _start(self, row: Mapping[str, Any], now_ns: int) -> bytes:
        channel, name = self._named(row)
        family = self.gateway.family
        if channel in PRIVATE[family]:
            if self.login is None:
                return self.error("30004", "User needs to log in", arg=row)
            self.channels.add(channel)
            if channel == "account":
                held = list(self.core.balances(self.login))
                self.tell_balances(self.login, held, now_ns)
        elif not name:
            return self.error("30001", f"channel doesn't exist: {dict(row)}", arg=row)
        elif channel == TRADES[family]:
            self.trades.add(name)
            trades = self.core.trades(name, TRADES_SENT)
            self.push(self.gateway.trades_frame(name, trades, "snapshot", now_ns))
        elif channel in CHANNELS[family].values():
            self.core.begin(name, now_ns)
            book = self.gateway.publisher(name, channel)
            if (name, channel) not in self.books:
                self.books.add((name, channel))
                book.readers += 1
            self.push(book.snapshot(now_ns))
        else:
            return self.error("30001", f"channel doesn't exist: {dict(row)}", arg=row)
        return dump({"event": "subscribe", "arg": row})

    def _unsubscribe(self, row: Mapping[str, Any]) -> bytes:
        channel, name = self._named(row)
        self.channels.discard(channel)
        if channel == TRADES[self.gateway.family]:
            self.trades.discard(name)
        if (name, channel) in self.books:
            self.books.discard((name, channel))
            self.gateway.books[name, channel].readers -= 1
        return dump({"event": "unsubscribe", "arg": row})

    def unsubscribe_all(self) -> None:
        """End every subscription (the socket is gone)."""
        for key in self.books:
            self.gateway.books[key].readers -= 1
        self.books.clear()
        self.trades.clear()
        self.channels.clear()

    # ---- told by the gateway

    def _tell(self, channel: str, rows: Sequence[Mapping[str, Any]], ts_ns: int) -> None:
        arg = arg_of(self.gateway.family, channel)
        self.push(dump({"action": "snapshot", "arg": arg, "data": rows, "ts": ts_ns // MS}))

    def tell_order(self, order: OrderRecord, fill: FillRecord | None, ts_ns: int) -> None:
        """Queue an order's state, if this session reads it."""
        channel = "orders" if self.gateway.family is Family.CLASSIC else "order"
        if self.login != order.account or channel not in self.channels:
            return
        order_id = self.gateway.order_id(order)
        if channel == "orders":
            row = pushed_order(self.core, order, order_id, ts_ns, fill)
        else:
            row = unified_order(self.core, order, order_id, ts_ns)
        self._tell(channel, [row], ts_ns)

    def tell_fill(self, order: OrderRecord, fill: FillRecord, ts_ns: int) -> None:
        """Queue a fill, if this session reads it."""
        if self.login != order.account or "fill" not in self.channels:
            return
        write = pushed_fill if self.gateway.family is Family.CLASSIC else unified_fill
        order_id = self.gateway.order_id(order)
        self._tell("fill", [write(self.core, order, order_id, fill)], ts_ns)

    def tell_balances(self, account: int, assets: Sequence[str], ts_ns: int) -> None:
        """Queue what an account holds, if this session reads it: classic ones what changed."""
        if self.login != account or "account" not in self.channels:
            return
        if self.gateway.family is Family.CLASSIC:
            self._tell(
                "account",
                [classic_coin(self.core, account, asset, ts_ns) for asset in assets],
                ts_ns,
            )
            return
        coins = [unified_coin(self.core, account, asset) for asset in self.core.balances(account)]
        self._tell("account", [{"totalEquity": "0", "coin": coins}], ts_ns)


def signed(core: Core, account: int, text: bytes, signature: object) -> bool:
    """Whether a signature is the account's own of a text."""
    wanted = base64.b64encode(hmac.new(core.secret_of(account), text, hashlib.sha256).digest())
    return isinstance(signature, str) and hmac.compare_digest(wanted, signature.encode())
