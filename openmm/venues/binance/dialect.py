"""Speak Binance's combined streams from the venue's side, without sockets or clocks: no trading.

`BinanceGateway` stands between a `Core` and any number of `BinanceSession`s; `dialect_rest` adds
REST. One gateway is one market: spot, USD-M or COIN-M. Where the venue's behaviour is not settled
the choice made here says so ("SIM").

Source: Binance documentation, "WebSocket Streams" of spot, "Market Streams" of USD-M and COIN-M
futures, read 2026; captures of 2023-04 and 2024-08 (hftbacktest).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openmm.instrument import Instrument
from openmm.venues.binance import dialect_faults
from openmm.venues.binance.dialect_book import MS, BookPublisher, Wording, dump, stream_frame
from openmm.venues.binance.spec import Market, venue_symbol
from openmm.venues.counterpart import Core, TradeRecord
from openmm.venues.watched_dialect import ASK, BID, Levels, Watched, whole_book

SELL: Final = 2
FIRST_ID: Final = 52_000_000_000
FIRST_AGGREGATE_ID: Final = 3_100_000
# Of a futures market the ids of one book have room between them: other books count too.
ID_STEPS: Final[Mapping[str, int]] = {"spot": 1, "usdm": 3, "coinm": 3}
# How often a depth stream tells, by what stands behind its name.
SPEEDS_NS: Final[Mapping[str, Mapping[str, int]]] = {
    "spot": {"depth": 1000 * MS, "depth@100ms": 100 * MS},
    "usdm": {"depth": 250 * MS, "depth@500ms": 500 * MS, "depth@100ms": 100 * MS, "depth@0ms": 0},
    "coinm": {"depth": 250 * MS, "depth@500ms": 500 * MS, "depth@100ms": 100 * MS, "depth@0ms": 0},
}
TRADES: Final[Mapping[str, frozenset[str]]] = {
    "spot": frozenset({"trade", "aggTrade"}),
    "usdm": frozenset({"aggTrade"}),
    "coinm": frozenset({"aggTrade"}),
}
TICKER: Final = "bookTicker"


@dataclass(frozen=True, slots=True)
class DialectOptions:
    """Which market is spoken for, and how far its REST lags.

    Args:
        copies_ns: REST tells books that are up to this old, as a cache before it would: a copy may
            then be older than the first change that a new reader is sent.
    """

    market: Market = "spot"
    copies_ns: int = 0


class BinanceGateway(Watched):
    """Share one core among sessions: books, ids, and what everyone is told."""

    faults = dialect_faults

    def __init__(self, core: Core, options: DialectOptions | None = None) -> None:
        self.core = core
        self.options = options or DialectOptions()
        self.wording = Wording(self.options.market)
        self.sessions: list[BinanceSession] = []
        self.symbols = {
            venue_symbol(name, self.options.market): pair for name, pair in core.instruments.items()
        }
        self._changes: dict[str, int] = dict.fromkeys(core.instruments, 0)
        self._books: dict[str, BookPublisher] = {}  # by stream
        self._bests: dict[str, object] = {}
        self._aggregates: dict[str, int] = dict.fromkeys(core.instruments, FIRST_AGGREGATE_ID)
        self._copies: dict[str, tuple[int, int, tuple[Levels, Levels]]] = {}
        core.listen(self)

    def connect(self, now_ns: int, private: bool) -> BinanceSession:
        """Open a session; there is nothing private, so both kinds of connection are the same."""
        session = BinanceSession(self, now_ns)
        self.sessions.append(session)
        return session

    def drop(self, session: BinanceSession) -> None:
        """Forget a session whose socket is gone."""
        session.unsubscribe(list(session.streams))
        self.sessions.remove(session)

    # ---- books

    def book_id(self, instrument: str) -> int:
        """Return the id of the last change of a pair's book."""
        return FIRST_ID + self._changes[instrument] * ID_STEPS[self.options.market]

    def copy(self, instrument: str, now_ns: int) -> tuple[int, tuple[Levels, Levels]]:
        """Return what REST knows of a book: the id of its last change, and its sides."""
        age_ns = self.options.copies_ns
        kept = self._copies.get(instrument)
        if kept is None or not age_ns or now_ns - kept[0] >= age_ns:
            kept = self._copies[instrument] = (
                now_ns,
                self.book_id(instrument),
                whole_book(self.core, instrument),
            )
        return kept[1], kept[2]

    def read(self, stream: str, pair: Instrument, kind: str) -> None:
        """Count one more reader of a stream."""
        if kind in SPEEDS_NS[self.options.market]:
            book = self._books.get(stream)
            if book is None:
                book = self._books[stream] = BookPublisher(
                    self.core, pair, self.wording, stream, SPEEDS_NS[self.options.market][kind]
                )
            if book.readers == 0:
                book.start(self.book_id(pair.name))
            book.readers += 1

    def leave(self, stream: str) -> None:
        """Count one reader of a stream less."""
        if stream in self._books:
            self._books[stream].readers -= 1

    def flush(self, now_ns: int) -> None:
        """Send every book frame that is due."""
        for stream, book in self._books.items():
            if book.readers:
                step = ID_STEPS[self.options.market]
                frame = book.update(self.book_id(book.pair.name), step, now_ns)
                if frame is not None:
                    self._tell(stream, frame)

    def _tell(self, stream: str, frame: bytes) -> None:
        for session in self.sessions:
            if stream in session.streams:
                session.push(frame)

    def _read_by_any(self, stream: str) -> bool:
        return any(stream in session.streams for session in self.sessions)

    # ---- notices of the core

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Tell the readers of a pair's trades: each match, or all of a taker's at one price."""
        told = {"aggTrade": self._joined(trades)}
        if "trade" in TRADES[self.options.market]:
            told["trade"] = self._each(trades)
        for kind, rows in told.items():
            stream = self.stream(trades[0].instrument, kind)
            for data in rows:
                self._tell(stream, stream_frame(stream, data))

    def _each(self, trades: Sequence[TradeRecord]) -> list[dict[str, Any]]:
        return [
            {
                "e": "trade", "E": one.ts_ns // MS, "s": self.symbol(one.instrument),
                "t": one.trade_id, "p": self.wording.price(self._pair(one), one.price_ticks),
                "q": self.wording.qty(self._pair(one), one.qty_lots), "T": one.ts_ns // MS,
                "m": one.taker_side == SELL, "M": True,
            }
            for one in trades
        ]  # fmt: skip

    def _joined(self, trades: Sequence[TradeRecord]) -> list[dict[str, Any]]:
        prices: dict[int, list[TradeRecord]] = {}
        for one in trades:
            prices.setdefault(one.price_ticks, []).append(one)
        rows = []
        for price_ticks, met in prices.items():
            first, last = met[0], met[-1]
            self._aggregates[first.instrument] += 1
            names: dict[str, Any] = {
                "s": self.symbol(first.instrument), "a": self._aggregates[first.instrument],
            }  # fmt: skip
            if self.options.market == "coinm":
                names = dict(reversed(names.items()))
            rows.append({
                "e": "aggTrade", "E": last.ts_ns // MS, **names,
                "p": self.wording.price(self._pair(first), price_ticks),
                "q": self.wording.qty(self._pair(first), sum(one.qty_lots for one in met)),
                "f": first.trade_id, "l": last.trade_id, "T": last.ts_ns // MS,
                "m": first.taker_side == SELL,
            })  # fmt: skip
        return rows

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Give the change its id; depth frames leave when they are due, best prices at once."""
        self._changes[instrument] += 1
        stream = self.stream(instrument, TICKER)
        if not self._read_by_any(stream):
            self._bests.pop(stream, None)
            return
        best = [self.core.depth(instrument, side, 1) for side in (BID, ASK)]
        if all(best) and best != self._bests.get(stream):
            self._bests[stream] = best
            pair = self.core.instruments[instrument]
            told = self.wording.ticker(
                pair, self.book_id(instrument), best[0][0], best[1][0], ts_ns
            )
            self._tell(stream, stream_frame(stream, told))

    def symbol(self, instrument: str) -> str:
        """Return the venue's name of a pair."""
        return venue_symbol(instrument, self.options.market)

    def stream(self, instrument: str, kind: str) -> str:
        """Return the name of a pair's stream."""
        return f"{self.symbol(instrument).lower()}@{kind}"

    def _pair(self, trade: TradeRecord) -> Instrument:
        return self.core.instruments[trade.instrument]


class BinanceSession:
    """One WebSocket connection. Frames in, answers out; pushes wait until `poll`."""

    account: int | None = None

    def __init__(self, gateway: BinanceGateway, now_ns: int) -> None:
        self.gateway = gateway
        self.streams: set[str] = set()
        self.last_frame_ns = now_ns
        self._queue: deque[bytes] = deque()

    @property
    def subscribed(self) -> bool:
        """Whether anything is subscribed to."""
        return bool(self.streams)

    def push(self, message: bytes) -> None:
        """Queue a message."""
        self._queue.append(message)

    def poll(self, now_ns: int) -> list[bytes]:
        """Return queued messages."""
        self.gateway.flush(now_ns)
        messages = list(self._queue)
        self._queue.clear()
        return messages

    def on_client_frame(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Carry out a request; return what waited, then its answer."""
        self.last_frame_ns = now_ns
        waiting = list(self._queue)
        self._queue.clear()
        return [*waiting, self._answer(frame)]

    def _answer(self, frame: bytes) -> bytes:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            return _refused(3, "Invalid JSON", None)
        if not isinstance(message, dict):
            return _refused(2, "Invalid request: not an object", None)
        request_id, method = message.get("id"), message.get("method")
        if request_id is not None and not isinstance(request_id, int | str):
            return _refused(2, "Invalid request: request ID must be an integer or a text", None)
        if method == "LIST_SUBSCRIPTIONS":
            return dump({"result": sorted(self.streams), "id": request_id})
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _refused(2, f"Invalid request: unknown variant {method!r}", request_id)
        names = message.get("params")
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            return _refused(2, "Invalid request: params must be an array of texts", request_id)
        if method == "UNSUBSCRIBE":
            self.unsubscribe(names)
        else:
            fault = self.subscribe(names)
            if fault:
                return _refused(2, f"Invalid request: {fault}", request_id)
        return dump({"result": None, "id": request_id})

    def subscribe(self, names: Sequence[str]) -> str:
        """Read streams from now on; returns what is wrong with one, and then reads none."""
        market = self.gateway.options.market
        known = {*SPEEDS_NS[market], *TRADES[market], TICKER}
        found: dict[str, tuple[Instrument, str] | None] = {}
        for name in names:
            symbol, _, kind = name.partition("@")
            if kind not in known:
                return f"unknown stream {name!r}"
            pair = self.gateway.symbols.get(symbol.upper())
            # SIM: a stream of a pair that is not traded is taken, and stays silent.
            found[name] = None if pair is None or symbol != symbol.lower() else (pair, kind)
        for name, told in found.items():
            if told is not None and name not in self.streams:
                self.gateway.read(name, *told)
            self.streams.add(name)
        return ""

    def unsubscribe(self, names: Sequence[str]) -> None:
        """End streams; those not read are passed over."""
        for name in names:
            if name in self.streams:
                self.streams.discard(name)
                self.gateway.leave(name)


def _refused(code: int, text: str, request_id: int | str | None) -> bytes:
    error: dict[str, Any] = {"error": {"code": code, "msg": text}}
    return dump(error if request_id is None else error | {"id": request_id})
