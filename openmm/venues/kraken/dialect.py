"""Speak Kraken's WebSocket v2 from the venue's side, without sockets or clocks.

`KrakenGateway` stands between a `Core` and any number of `KrakenSession`s; `dialect_rest` adds
REST. Where the venue's behaviour is not settled the choice made here says so ("SIM").

Source: Kraken API documentation (WebSocket v2), read in 2026; error shapes as captured.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from openmm.events import SystemMode
from openmm.venues.counterpart import (
    Change,
    Core,
    FillRecord,
    LedgerRecord,
    OrderRecord,
    TradeRecord,
)
from openmm.venues.fields import exact, whole
from openmm.venues.kraken import dialect_faults, dialect_trading
from openmm.venues.kraken.dialect_book import DEPTHS, BookPublisher
from openmm.venues.kraken.dialect_reports import (
    balance_update,
    balances_snapshot,
    execution,
    instrument_snapshot,
    snapshot_fill,
    snapshot_order,
    ticker,
    trades_data,
)
from openmm.venues.kraken.dialect_text import MODE_TEXT, NS, time_text

TOKEN_LIFE_NS = 900 * NS
HEARTBEAT_NS = NS
PRIVATE = ("executions", "balances")
PUBLIC = ("instrument", "book", "trade", "ticker")
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DialectOptions:
    """Choices where the venue's behaviour is not settled."""

    events_first: bool = False  # executions before the reply that caused them
    batch_cancel_2024: bool = False  # `orders_cancelled` at top level, no `result`
    token_life_ns: int = TOKEN_LIFE_NS
    messages_per_s: int = 0  # 0: no limit


@dataclass(slots=True)
class Token:
    """A WebSocket token; it must first be used within its life."""

    account: int
    expires_ns: int


@dataclass(slots=True)
class PrivateSubscription:
    """A subscription of a private channel and its message counter."""

    account: int
    sequence: int = 0
    all_transitions: bool = True
    ratecounter: bool = False

    def next(self) -> int:
        """Count a message."""
        self.sequence += 1
        return self.sequence


class KrakenGateway:
    """Share one core among sessions: tokens, books, and what everyone is told."""

    faults = dialect_faults

    def __init__(self, core: Core, seed: int, options: DialectOptions | None = None) -> None:
        self.core = core
        self.options = options or DialectOptions()
        self.tokens: dict[str, Token] = {}
        self.sessions: list[KrakenSession] = []
        self.books: dict[tuple[str, int], BookPublisher] = {}
        self.nonces: dict[int, int] = {}
        self.rest_levels: dict[int, tuple[int, int]] = {}  # account: (level, time)
        self._rng = Random(f"tokens:{seed}")
        core.listen(self)

    def connect(self, now_ns: int, private: bool) -> KrakenSession:
        """Open a session; its status message waits in `poll`."""
        session = KrakenSession(self, now_ns, private, self._rng.getrandbits(64))
        self.sessions.append(session)
        return session

    def drop(self, session: KrakenSession) -> None:
        """Forget a session whose socket is gone."""
        session.unsubscribe_all()
        self.sessions.remove(session)

    def new_token(self, account: int, now_ns: int) -> str:
        """Make a WebSocket token for an account."""
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        token = "".join(self._rng.choices(letters, k=43))
        self.tokens[token] = Token(account, now_ns + self.options.token_life_ns)
        return token

    def expire_tokens(self) -> None:
        """Let no token count any more, also those in use."""
        self.tokens.clear()
        for session in self.sessions:
            session.forget_tokens()

    def publisher(self, instrument: str, depth: int) -> BookPublisher:
        """Return the publisher of a book at a depth, fresh if nobody reads it."""
        key = (instrument, depth)
        book = self.books.get(key)
        if book is None:
            book = BookPublisher(self.core, self.core.instruments[instrument], depth)
            self.books[key] = book
        if book.readers == 0:
            book.refresh()
        return book

    # ---- notices of the core

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Tell the sessions of the order's account."""
        for session in self.sessions:
            session.tell_order(order, change, fill, ts_ns)

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Tell the sessions of an account."""
        for session in self.sessions:
            session.tell_ledger(account, entry, ts_ns)

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Tell the readers of an instrument's trades and ticker."""
        name = trades[0].instrument
        pair = self.core.instruments[name]
        text = f'{{"channel":"trade","type":"update","data":[{trades_data(pair, trades)}]}}'
        for session in self.sessions:
            if name in session.channels["trade"]:
                session.push(text.encode())
            if session.channels["ticker"].get(name) == "trades":
                session.push(ticker(self.core, name, "update", trades[-1].ts_ns))

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Send what changed to the readers of a book."""
        recorded = self.core.recorded_depth(instrument)
        for (name, depth), book in self.books.items():
            if name != instrument or book.readers == 0 or depth == recorded:
                continue
            message = book.update(ts_ns)
            if message is not None:
                self._broadcast(name, depth, message)
        self._quote(instrument, ts_ns)

    def _quote(self, instrument: str, ts_ns: int) -> None:
        for session in self.sessions:
            if session.channels["ticker"].get(instrument) == "bbo":
                session.tell_quote(instrument, ts_ns)

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Send a recorded message as it is to the readers it was made for."""
        if channel == "book":
            self._broadcast(instrument, self.core.recorded_depth(instrument), frame)
            return
        for session in self.sessions:
            if instrument in session.channels[channel]:
                session.push(frame)

    def _broadcast(self, instrument: str, depth: int, message: bytes) -> None:
        for session in self.sessions:
            if session.channels["book"].get(instrument) == depth:
                session.push(message)

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Tell every session the trading mode."""
        for session in self.sessions:
            session.push_status()


@dataclass(slots=True)
class Reply:
    """Builds the replies to one request."""

    method: str
    req_id: int | None
    time_in: str
    rows: list[bytes] = field(default_factory=list)

    def _row(self, members: Mapping[str, object], now_ns: int) -> None:
        whole: dict[str, object] = {"method": self.method}
        if self.req_id is not None:
            whole["req_id"] = self.req_id
        whole |= members
        whole["time_in"] = self.time_in
        whole["time_out"] = time_text(now_ns)
        self.rows.append(json.dumps(whole, separators=(",", ":")).encode())

    def done(self, result: object, now_ns: int, **members: object) -> None:
        """Add a success."""
        extra = {} if result is None else {"result": result}
        self._row(extra | members | {"success": True}, now_ns)

    def failed(self, error: str, now_ns: int, **members: object) -> None:
        """Add a failure: `error` first, no `result`."""
        self._row({"error": error} | members | {"success": False}, now_ns)


class KrakenSession:
    """One WebSocket connection. Frames in, replies out; pushes wait until `poll`."""

    def __init__(
        self, gateway: KrakenGateway, now_ns: int, private: bool, connection_id: int
    ) -> None:
        self.gateway = gateway
        self.core = gateway.core
        self.private = private
        self.connection_id = connection_id
        # channel -> instrument -> what was asked for (depth, trigger)
        self.channels: dict[str, dict[str, object]] = {name: {} for name in PUBLIC}
        self.subscriptions: dict[str, PrivateSubscription] = {}
        self.last_frame_ns = now_ns
        self._used: dict[str, int] = {}  # tokens used here: account
        self._queue: deque[bytes] = deque()
        self._alive = False  # heartbeats run from the first subscription on
        self._last_sent_ns = now_ns
        self._quotes: dict[str, object] = {}
        self._second = 0
        self._in_second = 0
        self.push_status()

    @property
    def account(self) -> int | None:
        """The account whose token was used here."""
        return next(iter(self._used.values()), None)

    def forget_tokens(self) -> None:
        """Take requests with the tokens used so far no more; subscriptions live on."""
        self._used.clear()

    @property
    def subscribed(self) -> bool:
        """Whether anything is subscribed to that keeps the connection up."""
        if self.private:
            return bool(self.subscriptions)
        return any(self.channels.values())

    # ---- out

    def push(self, message: bytes) -> None:
        """Queue a message."""
        self._queue.append(message)

    def push_status(self) -> None:
        """Queue the status message."""
        system = MODE_TEXT[self.core.mode]
        self.push(
            f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{system}"'
            f',"api_version":"v2","connection_id":{self.connection_id}}}]}}'.encode()
        )

    def poll(self, now_ns: int) -> list[bytes]:
        """Return queued messages, or a heartbeat after a second of silence."""
        if not self._queue:
            if not self._alive or now_ns - self._last_sent_ns < HEARTBEAT_NS:
                return []
            self.push(b'{"channel":"heartbeat"}')
        messages = list(self._queue)
        self._queue.clear()
        self._last_sent_ns = now_ns
        return messages

    # ---- in

    def on_client_frame(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Carry out a request; return its replies and what it set off, in order of sending."""
        waiting = list(self._queue)
        self._queue.clear()
        self.last_frame_ns = now_ns
        replies = self._request(frame, now_ns)
        events = list(self._queue)
        self._queue.clear()
        self._last_sent_ns = now_ns
        if self.gateway.options.events_first:
            return waiting + events + replies
        return waiting + replies + events

    def _request(self, frame: bytes, now_ns: int) -> list[bytes]:
        try:
            message = json.loads(frame, parse_float=exact, parse_int=whole)
        except (ValueError, RecursionError):
            message = None
        method = message.get("method") if isinstance(message, dict) else None
        req_id = message.get("req_id") if isinstance(message, dict) else None
        if isinstance(req_id, bool) or not isinstance(req_id, int):
            req_id = None
        reply = Reply(method if isinstance(method, str) else "", req_id, time_text(now_ns))
        if self._too_fast(now_ns):
            return [b'{"Error":"Exceeded msg rate"}']
        if not isinstance(message, dict) or not isinstance(method, str):
            reply.failed("Malformed request", now_ns)
            return reply.rows
        params = message.get("params", {})
        if not isinstance(params, dict):
            reply.failed("Malformed request", now_ns)
        elif method == "ping":
            self._ping(message, reply, now_ns)
        elif method in ("subscribe", "unsubscribe"):
            self._subscription(method, params, reply, now_ns)
        elif method in dialect_trading.METHODS and self.private:
            account = self._account(params, reply, now_ns)
            if account is not None:
                dialect_trading.METHODS[method](self, account, params, reply, now_ns)
        else:
            reply.failed("Unsupported event", now_ns)
        return reply.rows

    def _too_fast(self, now_ns: int) -> bool:
        limit = self.gateway.options.messages_per_s
        if now_ns // NS != self._second:
            self._second, self._in_second = now_ns // NS, 0
        self._in_second += 1
        return 0 < limit < self._in_second

    def _ping(self, message: Mapping[str, object], reply: Reply, now_ns: int) -> None:
        if "params" in message:
            reply.failed("Unsupported field: 'params' for the given msg type: ping", now_ns)
            return
        pong: dict[str, object] = {"method": "pong"}
        if reply.req_id is not None:
            pong["req_id"] = reply.req_id
        pong |= {"time_in": reply.time_in, "time_out": time_text(now_ns)}
        reply.rows.append(json.dumps(pong, separators=(",", ":")).encode())

    def _account(self, params: Params, reply: Reply, now_ns: int) -> int | None:
        """Check the token; None after a refusal was written."""
        text = params.get("token")
        if not isinstance(text, str) or not text:
            reply.failed("Token(s) not found", now_ns)
            return None
        account = self._used.get(text)
        if account is not None:
            return account
        token = self.gateway.tokens.get(text)
        if token is None or token.expires_ns <= now_ns:
            extra = {"status": "error"} if reply.method.endswith("subscribe") else {}
            reply.failed("ESession:Invalid session", now_ns, **extra)
            return None
        self._used[text] = token.account
        return token.account

    # ---- subscriptions

    def _subscription(self, method: str, params: Params, reply: Reply, now_ns: int) -> None:
        channel = params.get("channel")
        start = method == "subscribe"
        if channel in PRIVATE and self.private:
            account = self._account(params, reply, now_ns)
            if account is not None:
                self._private(start, str(channel), account, params, reply, now_ns)
        elif channel == "instrument":
            self._instrument(start, params, reply, now_ns)
        elif channel in PUBLIC:
            symbols = params.get("symbol")
            if not isinstance(symbols, list) or not symbols:
                reply.failed("Symbol(s) not found", now_ns)
                return
            depth = params.get("depth", 10)
            if channel == "book" and depth not in DEPTHS:
                reply.failed("Subscription depth not supported", now_ns)
                return
            for symbol in symbols:
                self._public(start, str(channel), symbol, params, reply, now_ns)
        elif channel == "status":
            reply.failed("Symbol(s) not found", now_ns)
        else:
            reply.failed("Subscription name invalid", now_ns)

    def _public(
        self, start: bool, channel: str, symbol: object, params: Params, reply: Reply, now_ns: int
    ) -> None:
        if not isinstance(symbol, str) or symbol not in self.core.instruments:
            name = str(symbol)
            reply.failed(f"Currency pair not supported {name}", now_ns, symbol=name)
            return
        wanted: object = True
        result: dict[str, object] = {"channel": channel}
        if channel == "book":
            wanted = params.get("depth", 10)
            result["depth"] = wanted
        elif channel == "ticker":
            wanted = params.get("event_trigger", "trades")
            result["event_trigger"] = wanted
        snapshot = bool(params.get("snapshot", channel != "trade"))
        if start:
            result["snapshot"] = snapshot
        result["symbol"] = symbol
        held = self.channels[channel].get(symbol)
        if start and held == wanted:
            reply.failed("Already subscribed", now_ns, symbol=symbol)
            return
        if not start and held != wanted:
            reply.failed("Subscription not found", now_ns, symbol=symbol)
            return
        if start:
            reply.done(result, now_ns)
            self._start(channel, symbol, wanted, snapshot, now_ns)
        else:
            self._stop(channel, symbol)
            reply.done(result, now_ns)

    def _start(
        self, channel: str, symbol: str, wanted: object, snapshot: bool, now_ns: int
    ) -> None:
        self._alive = True
        if channel == "book" and isinstance(wanted, int):
            # SIM: two depths of one symbol on a connection: the later one replaces the earlier.
            if symbol in self.channels["book"]:
                self._stop("book", symbol)
            book = self.gateway.publisher(symbol, wanted)
            if self.core.recorded_depth(symbol) == wanted:
                book.refresh()
            book.readers += 1
            self.channels[channel][symbol] = wanted
            if snapshot and book.told:
                self.push(book.snapshot(now_ns))
            self.core.begin(symbol, now_ns)
            return
        self.channels[channel][symbol] = wanted
        pair = self.core.instruments[symbol]
        if not snapshot:
            return
        if channel == "trade":
            rows = trades_data(pair, self.core.trades(symbol, 50))
            self.push(f'{{"channel":"trade","type":"snapshot","data":[{rows}]}}'.encode())
        else:
            self.push(ticker(self.core, symbol, "snapshot", now_ns))

    def _stop(self, channel: str, symbol: str) -> None:
        wanted = self.channels[channel].pop(symbol)
        if channel == "book":
            depth = wanted if isinstance(wanted, int) else 0
            self.gateway.books[symbol, depth].readers -= 1

    def unsubscribe_all(self) -> None:
        """End every subscription (the socket is gone)."""
        for channel, held in self.channels.items():
            for symbol in list(held):
                self._stop(channel, symbol) if channel != "instrument" else held.pop(symbol)
        self.subscriptions.clear()

    def _instrument(self, start: bool, params: Params, reply: Reply, now_ns: int) -> None:
        snapshot = bool(params.get("snapshot", True))
        if start:
            reply.done({"channel": "instrument", "snapshot": snapshot}, now_ns)
            self._alive = True
            self.channels["instrument"]["*"] = True
            if snapshot:
                self.push(instrument_snapshot(self.core))
        else:
            self.channels["instrument"].clear()
            reply.done({"channel": "instrument"}, now_ns)

    def _private(
        self, start: bool, channel: str, account: int, params: Params, reply: Reply, now_ns: int
    ) -> None:
        if not start:
            if self.subscriptions.pop(channel, None) is None:
                reply.failed("Subscription not found", now_ns)
            else:
                reply.done({"channel": channel}, now_ns)
            return
        if channel in self.subscriptions:
            reply.failed("Already subscribed", now_ns)
            return
        self._alive = True
        if channel == "balances":
            snapshot = bool(params.get("snapshot", True))
            reply.done({"channel": channel, "snapshot": snapshot}, now_ns)
            subscription = PrivateSubscription(account)
            self.subscriptions[channel] = subscription
            if snapshot:
                self.push(balances_snapshot(self.core, account, subscription.next()))
            return
        orders = bool(params.get("snap_orders", True))
        fills = bool(params.get("snap_trades", False))
        most = self.core.tier_of(account).threshold_milli // 1000
        result = {
            "channel": channel,
            "maxratecount": most,
            "snap_orders": orders,
            "snap_trades": fills,
        }
        reply.done(result, now_ns)
        subscription = PrivateSubscription(
            account,
            all_transitions=bool(params.get("order_status", True)),
            ratecounter=bool(params.get("ratecounter", False)),
        )
        self.subscriptions[channel] = subscription
        if orders or fills:
            self._executions_snapshot(subscription, orders, fills, now_ns)

    def _executions_snapshot(
        self, subscription: PrivateSubscription, orders: bool, fills: bool, now_ns: int
    ) -> None:
        rows: list[str] = []
        if orders:
            rows += [
                snapshot_order(self.core, order)
                for order in self.core.open_orders(subscription.account)
            ]
        if fills:
            rows += [
                snapshot_fill(self.core, subscription.account, fill)
                for fill in self.core.fills(subscription.account)[-50:]
            ]
        self.push(
            f'{{"channel":"executions","type":"snapshot","data":[{",".join(rows)}],'
            f'"sequence":{subscription.next()}}}'.encode()
        )

    # ---- told by the gateway

    def tell_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Queue an executions report, if this session reads them."""
        subscription = self.subscriptions.get("executions")
        if subscription is None or subscription.account != order.account:
            return
        if not subscription.all_transitions and change in (Change.PENDING, Change.AMENDED):
            return
        extra = ""
        if subscription.ratecounter:
            level_milli = self.core.rate_milli(order.account, order.instrument, ts_ns)
            extra = f',"ratecount":{level_milli / 1000:g}'
        row = execution(self.core, order, change, fill, ts_ns, extra)
        self.push(
            f'{{"channel":"executions","type":"update","data":[{row}],'
            f'"sequence":{subscription.next()}}}'.encode()
        )

    def tell_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Queue a balances update, if this session reads them."""
        subscription = self.subscriptions.get("balances")
        if subscription is not None and subscription.account == account:
            self.push(balance_update(self.core, entry, subscription.next()))

    def tell_quote(self, instrument: str, ts_ns: int) -> None:
        """Queue a ticker if the best prices or quantities changed."""
        quote = (self.core.depth(instrument, 0, 1), self.core.depth(instrument, 1, 1))
        if self._quotes.get(instrument) != quote:
            self._quotes[instrument] = quote
            self.push(ticker(self.core, instrument, "update", ts_ns))
