"""Speak MEXC's WebSocket from the venue's side, without sockets or clocks: text in, protobuf out.

`MexcGateway` stands between a `Core` and any number of `MexcSession`s; `dialect_rest` adds REST and
the orders. Where the venue's behaviour is not settled the choice made here says so ("SIM").

Source: MEXC API documentation, "WebSocket Market Streams", "User Data Streams", 2025-08 to 2026.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

from openmm.events import SystemMode
from openmm.venues.counterpart import (
    Change,
    Core,
    FillRecord,
    LedgerRecord,
    OrderRecord,
    TradeRecord,
)
from openmm.venues.mexc import dialect_faults
from openmm.venues.mexc.dialect_book import INTERVALS_NS, Publisher
from openmm.venues.mexc.dialect_text import (
    FIRST_TRADE_ID,
    MS,
    NS,
    Refused,
    account_push,
    deal_push,
    message,
    order_id,
    order_push,
    price_text,
    push,
    qty_text,
)
from openmm.venues.mexc.spec import (
    BAD_LISTEN_KEY,
    KEYS_CONNECTIONS_MAX,
    LISTEN_KEY_S,
    SUBSCRIPTIONS_MAX,
    venue_symbol,
)
from openmm.venues.mexc.stream import PRIVATE

MESSAGES_PER_S: Final = 100
ORDERS, DEALS, ACCOUNT = PRIVATE


@dataclass(frozen=True, slots=True)
class DialectOptions:
    """Choices where the venue's behaviour is not settled.

    Args:
        rest_ids: what REST calls an execution: `stream`, as the stream does; `other`, its own way.
    """

    rest_ids: str = "stream"


@dataclass(slots=True)
class ListenKey:
    """What private streams are opened with."""

    account: int
    expires_ns: int


class MexcGateway:
    """Share one core among sessions: books, listen keys, limits, and what everyone is told."""

    faults = dialect_faults

    def __init__(self, core: Core, seed: int, options: DialectOptions | None = None) -> None:
        self.core = core
        self.options = options or DialectOptions()
        self.sessions: list[MexcSession] = []
        self.names = {venue_symbol(name): name for name in core.instruments}
        self.books = {
            symbol: Publisher(core, core.instruments[name]) for symbol, name in self.names.items()
        }
        self.orders: dict[str, OrderRecord] = {}
        self.updated_ns: dict[str, int] = {}
        self.listen_keys: dict[str, ListenKey] = {}
        self.rng = Random(f"mexc:{seed}")
        self.over_limit = 0  # messages beyond what a connection may send
        self._calls: dict[tuple[int, str], deque[tuple[int, int]]] = {}
        self._told: dict[tuple[int, str], tuple[int, int]] = {}
        core.listen(self)

    def connect(self, now_ns: int, private: bool) -> MexcSession:
        """Open a session."""
        session = MexcSession(self, now_ns)
        self.sessions.append(session)
        return session

    def drop(self, session: MexcSession) -> None:
        """Forget a session whose socket is gone."""
        self.sessions.remove(session)
        self.release(session.topics)

    def release(self, topics: Sequence[str] | set[str]) -> None:
        """Stop the channels that nobody reads any more."""
        for topic in topics:
            if not any(topic in session.topics for session in self.sessions):
                for book in self.books.values():
                    book.stop(topic)

    # ---- listen keys

    def new_listen_key(self, account: int, now_ns: int) -> str:
        """Make a key of the venue's form."""
        key = f"{self.rng.getrandbits(256):064x}"
        self.listen_keys[key] = ListenKey(account, now_ns + LISTEN_KEY_S * NS)
        return key

    def key_of(self, text: str, now_ns: int) -> ListenKey | None:
        """Return a key that lives."""
        key = self.listen_keys.get(text)
        return key if key is not None and key.expires_ns > now_ns else None

    def end_key(self, text: str) -> None:
        """End a key: its streams stop. SIM: they are told so, as one that opens with it is."""
        self.listen_keys.pop(text, None)
        for session in self.sessions:
            if session.listen_key == text:
                session.listen_key = ""
                session.push(BAD_LISTEN_KEY)

    def expire_tokens(self) -> None:
        """End every listen key."""
        for text in list(self.listen_keys):
            self.end_key(text)

    # ---- limits

    def forget_calls(self) -> None:
        """Count no call made so far against a limit."""
        self._calls.clear()

    def count(
        self, account: int, what: str, cost: int, limit: int, span_s: int, now_ns: int
    ) -> None:
        """Count a call against its limit in a sliding span.

        Raises:
            Refused: it is beyond it.
        """
        times = self._calls.setdefault((account, what), deque())
        while times and times[0][0] <= now_ns - span_s * NS:
            times.popleft()
        if sum(one for _, one in times) + cost > limit:
            raise Refused(429, 429, "Too Many Requests")
        times.append((now_ns, cost))

    # ---- pushes

    def publish(self, topic: str, frame: bytes) -> None:
        """Queue a push for the readers of a topic."""
        for session in self.sessions:
            if topic in session.topics:
                session.push(frame)

    def flush(self, now_ns: int) -> None:
        """Send every book push that is due; end keys whose hour is over."""
        for book in self.books.values():
            for topic, frame in book.due(now_ns):
                self.publish(topic, frame)
        for text in [one for one, key in self.listen_keys.items() if key.expires_ns <= now_ns]:
            self.end_key(text)

    def updated(self, order: OrderRecord) -> int:
        """Return when an order last changed."""
        return self.updated_ns.get(order_id(order), order.created_ns)

    # ---- notices of the core

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Tell the account's sessions of a change: in what order, no document says."""
        self.orders[order_id(order)] = order
        self.updated_ns[order_id(order)] = ts_ns
        if change is Change.PENDING or (change is Change.FILLED and fill is None):
            # The end was told with the last execution.
            return
        told = [(ORDERS, order_push(self.core, order, fill, ts_ns))]
        if fill is not None:
            told.append((DEALS, deal_push(self.core, order, fill, ts_ns)))
        kind = {Change.OPENED: "ENTRUST_PLACE", Change.CANCELLED: "ENTRUST_CANCEL"}.get(
            change, "ENTRUST"
        )  # fmt: skip
        pair = self.core.instruments[order.instrument]
        for asset in (pair.base, pair.quote):
            told += self._account(order.account, asset, kind, ts_ns)
        self.rng.shuffle(told)
        self._tell(order.account, told)

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Tell the sessions of an account of a change of a balance not told with an order."""
        kind = "ENTRUST" if entry.kind == "trade" else entry.kind.upper()
        self._tell(account, self._account(account, entry.asset, kind, ts_ns))

    def _account(self, account: int, asset: str, kind: str, ts_ns: int) -> list[tuple[str, bytes]]:
        total, held = self.core.balances(account).get(asset, (0, 0))
        now, before = (total - held, held), self._told.get((account, asset), (0, 0))
        if now == before:
            return []
        self._told[account, asset] = now
        return [(ACCOUNT, account_push(self.core, asset, now, before, kind, ts_ns))]

    def _tell(self, account: int, told: Sequence[tuple[str, bytes]]) -> None:
        for session in self.sessions:
            if session.account == account:
                for topic, frame in told:
                    if topic in session.topics:
                        session.push(frame)

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Tell the readers of a pair's deals."""
        for name in {trade.instrument for trade in trades}:
            own = [trade for trade in trades if trade.instrument == name]
            pair = self.core.instruments[name]
            deals = b"".join(
                message([(1, message([
                    (1, price_text(pair, one.price_ticks)), (2, qty_text(pair, one.qty_lots)),
                    (3, one.taker_side), (4, one.ts_ns // MS), (5, _deal_id(one)),
                ]))])
                for one in own
            )  # fmt: skip
            symbol = venue_symbol(name)
            for text in INTERVALS_NS:
                # SIM: at once, whatever the interval.
                kind = f"spot@public.aggre.deals.v3.api.pb@{text}"
                frame = push(f"{kind}@{symbol}", symbol, 314, deals + message([(2, kind)]),
                             own[-1].ts_ns)  # fmt: skip
                self.publish(f"{kind}@{symbol}", frame)

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Take note of nothing: publishers compare books when they are due."""

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Take no recorded frame: every book is derived here."""

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Tell nobody: the venue publishes no mode, calls are refused."""


def _deal_id(trade: TradeRecord) -> str:
    number = FIRST_TRADE_ID + 2 * trade.trade_id
    return f"{number}X0_{number + 1}X0"


class MexcSession:
    """One WebSocket connection. Frames in, answers out; pushes wait until `poll`."""

    def __init__(self, gateway: MexcGateway, now_ns: int) -> None:
        self.gateway = gateway
        self.topics: set[str] = set()
        self.listen_key = ""
        self.last_frame_ns = now_ns
        self._account: int | None = None
        self._queue: deque[bytes] = deque()
        self._messages: deque[int] = deque()

    def authorise(self, query: str, now_ns: int) -> None:
        """Take the listen key of the address; one that is not good is answered with a text."""
        told = parse_qs(query).get("listenKey", [""])[0]
        if not told:
            return
        key = self.gateway.key_of(told, now_ns)
        users = sum(session.listen_key == told for session in self.gateway.sessions)
        if key is None or users >= KEYS_CONNECTIONS_MAX:
            self.push(BAD_LISTEN_KEY)
            return
        self.listen_key, self._account = told, key.account

    @property
    def account(self) -> int | None:
        """The account whose private streams may be read here."""
        return self._account if self.listen_key in self.gateway.listen_keys else None

    @property
    def subscribed(self) -> bool:
        """Whether silence is suffered: never, this venue closes what says nothing for a minute."""
        return False

    def push(self, frame: bytes) -> None:
        """Queue a message."""
        self._queue.append(frame)

    def poll(self, now_ns: int) -> list[bytes]:
        """Return queued messages."""
        self.gateway.flush(now_ns)
        frames = list(self._queue)
        self._queue.clear()
        return frames

    def on_client_frame(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Carry out a request; return what waited, then its answer."""
        waiting = list(self._queue)
        self._queue.clear()
        self.last_frame_ns = now_ns
        return [*waiting, *self._request(frame, now_ns)]

    def _request(self, frame: bytes, now_ns: int) -> list[bytes]:
        while self._messages and self._messages[0] <= now_ns - NS:
            self._messages.popleft()
        self._messages.append(now_ns)
        if len(self._messages) > MESSAGES_PER_S:
            # SIM: the venue disconnects; here the message is dropped and counted.
            self.gateway.over_limit += 1
            return []
        try:
            told = json.loads(frame)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            return [self._answer(0, "msg format invalid")]
        number = told.get("id", 0)
        req_id = number if isinstance(number, int) and not isinstance(number, bool) else 0
        method, params = str(told.get("method")).upper(), told.get("params")
        topics = [one for one in params if isinstance(one, str)] if isinstance(params, list) else []
        if method == "PING":
            return [self._answer(req_id, "PONG")]
        if method == "PONG":
            return []
        if method == "SUBSCRIPTION" and topics:
            return self._subscribe(req_id, topics, now_ns)
        if method == "UNSUBSCRIPTION" and topics:
            self.topics.difference_update(topics)
            self.gateway.release(topics)
            return [self._answer(req_id, ",".join(topics))]
        return [self._answer(req_id, "no method found")]

    def _subscribe(self, req_id: int, topics: Sequence[str], now_ns: int) -> list[bytes]:
        """Answer with the topics taken, and once for each that is refused: with code 0 as well."""
        taken, answers = [], []
        for topic in topics:
            if self._may(topic) and len(self.topics | {topic}) <= SUBSCRIPTIONS_MAX:
                self.topics.add(topic)
                taken.append(topic)
                for book in self.gateway.books.values():
                    if book.is_book(topic):
                        self.gateway.core.begin(book.state.pair.name, now_ns)
                        book.start(topic)
            else:
                text = f"Not Subscribed successfully! [{topic}].  Reason： Blocked! "
                answers.append(self._answer(0, text))
        if taken:
            answers.insert(0, self._answer(req_id, ",".join(taken)))
        return answers

    def _may(self, topic: str) -> bool:
        if topic in PRIVATE:
            return self.account is not None
        if any(book.is_book(topic) for book in self.gateway.books.values()):
            return True
        return any(
            topic == f"spot@public.aggre.deals.v3.api.pb@{text}@{symbol}"
            for text in INTERVALS_NS
            for symbol in self.gateway.names
        )

    def _answer(self, req_id: int, text: str) -> bytes:
        answer: Mapping[str, Any] = {"id": req_id, "code": 0, "msg": text}
        # Characters beyond ASCII come as they are.
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
