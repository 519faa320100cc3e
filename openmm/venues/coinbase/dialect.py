"""Speak Coinbase Exchange's public feed from the venue's side, without sockets or clocks.

`CoinbaseGateway` stands between a `Core` and any number of `CoinbaseSession`s; `dialect_rest` adds
REST. Nothing is traded here. Where the venue's behaviour is not settled the choice made here says
so ("SIM").

Source: Coinbase Exchange documentation, "WebSocket channels" (level2_batch, matches, heartbeat,
ticker), read 2026; captures of 2018-04 and 2021-04.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from openmm.venues.coinbase import dialect_faults
from openmm.venues.coinbase.dialect_book import NS, BookPublisher, dump, price_text, qty_text, stamp
from openmm.venues.coinbase.spec import BOOK_CHANNEL, our_name, venue_symbol
from openmm.venues.counterpart import Core, TradeRecord
from openmm.venues.watched_dialect import Watched

BUY: Final = 1
FIRST_SEQUENCE: Final = 93_000_000_000
CHANNELS: Final = (BOOK_CHANNEL, "matches", "heartbeat")
WITH_KEY: Final = ("level2", "level3", "full", "user")
Wanted = dict[str, set[str]]  # instruments by channel


class CoinbaseGateway(Watched):
    """Share one core among sessions: books, and what everyone is told."""

    faults = dialect_faults

    def __init__(self, core: Core) -> None:
        self.core = core
        self.sessions: list[CoinbaseSession] = []
        self._sequences: dict[str, int] = dict.fromkeys(core.instruments, FIRST_SEQUENCE)
        self._books: dict[str, BookPublisher] = {}
        core.listen(self)

    def connect(self, now_ns: int, private: bool) -> CoinbaseSession:
        """Open a session; there is nothing private, so both kinds of connection are the same."""
        session = CoinbaseSession(self, now_ns)
        self.sessions.append(session)
        return session

    def drop(self, session: CoinbaseSession) -> None:
        """Forget a session whose socket is gone."""
        session.leave({channel: set(names) for channel, names in session.reads.items()})
        self.sessions.remove(session)

    def sequence(self, instrument: str) -> int:
        """Return the number of the last event of a pair."""
        return self._sequences[instrument]

    def book(self, instrument: str) -> BookPublisher:
        """Return the publisher of a pair's book, fresh if nobody reads it."""
        book = self._books.get(instrument)
        if book is None:
            book = self._books[instrument] = BookPublisher(
                self.core, self.core.instruments[instrument]
            )
        if book.readers == 0:
            book.start()
        return book

    def flush(self, now_ns: int) -> None:
        """Send every book frame that is due."""
        for name, book in self._books.items():
            frame = book.update(now_ns) if book.readers else None
            if frame is not None:
                self._tell(BOOK_CHANNEL, name, frame)

    def _tell(self, channel: str, instrument: str, frame: bytes) -> None:
        for session in self.sessions:
            if instrument in session.reads[channel]:
                session.push(frame)

    def match(self, kind: str, trade: TradeRecord) -> bytes:
        """Write a trade; its side is the maker's."""
        pair, number = self.core.instruments[trade.instrument], trade.trade_id
        return dump({
            "type": kind, "trade_id": number,
            "maker_order_id": _order_id("maker", number),
            "taker_order_id": _order_id("taker", number),
            "side": "sell" if trade.taker_side == BUY else "buy",
            "size": qty_text(pair, trade.qty_lots), "price": price_text(pair, trade.price_ticks),
            "product_id": venue_symbol(pair.name), "sequence": self._sequences[pair.name],
            "time": stamp(trade.ts_ns),
        })  # fmt: skip

    def heartbeat(self, instrument: str, now_ns: int) -> bytes:
        """Write a second's sign of life."""
        last = self.core.trades(instrument, 1)
        return dump({
            "type": "heartbeat", "last_trade_id": last[-1].trade_id if last else 0,
            "product_id": venue_symbol(instrument), "sequence": self._sequences[instrument],
            "time": stamp(now_ns),
        })  # fmt: skip

    # ---- notices of the core

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Tell the readers of a pair's trades, one frame a match."""
        for trade in trades:
            self._sequences[trade.instrument] += 1
            self._tell("matches", trade.instrument, self.match("match", trade))

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Count the change; frames leave when they are due."""
        self._sequences[instrument] += 1
        if instrument in self._books:
            self._books[instrument].changed = True


def _order_id(side: str, trade_id: int) -> str:
    """Make an id in the venue's form; whose order it was is nobody's business here."""
    return f"00000000-0000-4000-{'8' if side == 'maker' else '9'}000-{trade_id:012x}"


class CoinbaseSession:
    """One WebSocket connection. Frames in, answers out; pushes wait until `poll`."""

    account: int | None = None

    def __init__(self, gateway: CoinbaseGateway, now_ns: int) -> None:
        self.gateway = gateway
        self.reads: Wanted = {channel: set() for channel in CHANNELS}
        self.last_frame_ns = now_ns
        self._queue: deque[bytes] = deque()
        self._beat_ns = now_ns

    @property
    def subscribed(self) -> bool:
        """Whether anything is subscribed to."""
        return any(self.reads.values())

    def push(self, message: bytes) -> None:
        """Queue a message."""
        self._queue.append(message)

    def poll(self, now_ns: int) -> list[bytes]:
        """Return queued messages, and each second a heartbeat."""
        self.gateway.flush(now_ns)
        if now_ns - self._beat_ns >= NS:
            self._beat_ns = now_ns
            for name in sorted(self.reads["heartbeat"]):
                self.push(self.gateway.heartbeat(name, now_ns))
        messages = list(self._queue)
        self._queue.clear()
        return messages

    def on_client_frame(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Carry out a request; return what waited, its answer, then what it starts with."""
        self.last_frame_ns = now_ns
        waiting = list(self._queue)
        self._queue.clear()
        try:
            return waiting + self._request(frame, now_ns)
        except _Fault as fault:
            error = {"type": "error", "message": fault.message, "reason": fault.reason}
            return [*waiting, dump(error)]

    def _request(self, frame: bytes, now_ns: int) -> list[bytes]:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            raise _Fault("Malformed JSON", "not an object") from None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in ("subscribe", "unsubscribe"):
            raise _Fault("Invalid message type", f"{kind} is not a valid type")
        wanted = self._wanted(kind, message)
        first: list[bytes] = []
        if kind == "unsubscribe":
            self.leave(wanted)
        else:
            first = self._join(wanted, now_ns)
        return [self._subscriptions(), *first]

    def _wanted(self, kind: str, message: Mapping[str, Any]) -> Wanted:
        """Read channels and products; nothing is done where one of them is wrong."""
        channels = message.get("channels")
        if not isinstance(channels, list) or not channels:
            raise _Fault(f"Failed to {kind}", "channels must be a list")
        wanted: Wanted = {}
        for one in channels:
            told = one if isinstance(one, dict) else {"name": one}
            name = told.get("name")
            if name in WITH_KEY:
                raise _Fault(f"Failed to {kind}", f"{name} requires authentication")
            if name not in self.reads:
                raise _Fault(f"Failed to {kind}", f"{name} is not a valid channel")
            products = told.get("product_ids", message.get("product_ids", []))
            if not products and kind == "unsubscribe":
                wanted[name] = set(self.reads[name])
                continue
            if not products or not isinstance(products, list):
                reason = f"You need to specify at least one product ID for channel {name}"
                raise _Fault(f"Failed to {kind}", reason)
            wanted.setdefault(name, set()).update(self._known(kind, one) for one in products)
        return wanted

    def _known(self, kind: str, product: object) -> str:
        name = our_name(product) if isinstance(product, str) else ""
        if name not in self.gateway.core.instruments or venue_symbol(name) != product:
            raise _Fault(f"Failed to {kind}", f"{product} is not a valid product")
        return name

    def _join(self, wanted: Wanted, now_ns: int) -> list[bytes]:
        """Read more; returns whole books and last matches. SIM: none for what is read already."""
        first: list[bytes] = []
        for channel, names in wanted.items():
            for name in sorted(names - self.reads[channel]):
                if channel == BOOK_CHANNEL:
                    book = self.gateway.book(name)
                    book.readers += 1
                    first.append(book.full(now_ns))
                elif channel == "matches":
                    last = self.gateway.core.trades(name, 1)
                    first += [self.gateway.match("last_match", one) for one in last]
                self.reads[channel].add(name)
        return first

    def leave(self, wanted: Wanted) -> None:
        """Read less; what is not read is passed over."""
        for channel, names in wanted.items():
            for name in names & self.reads[channel]:
                self.reads[channel].discard(name)
                if channel == BOOK_CHANNEL:
                    self.gateway.book(name).readers -= 1

    def _subscriptions(self) -> bytes:
        channels = [
            {"name": channel, "product_ids": [venue_symbol(one) for one in sorted(names)]}
            for channel, names in self.reads.items()
            if names
        ]
        return dump({"type": "subscriptions", "channels": channels})


class _Fault(ValueError):
    """A request the venue refuses."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(f"{message}: {reason}")
        self.message = message
        self.reason = reason
