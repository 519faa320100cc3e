"""Put a connection log of WebSocket v1 through books, and count what happened.

A dialect for recordings alone: the engine speaks v2. A message is an array: channel id, one or two
objects (`as` and `bs` of a snapshot; `a`, `b` and the checksum `c` of an update), channel and pair.
Levels are texts of a fixed number of decimals, so their digits are those of integer points; the
tick is the coarsest power of ten that all prices of the first snapshot are whole in. After
each update the book is cut to the subscribed depth, its best ten levels' CRC32 compared, and the
best prices must not cross. A snapshot tells no checksum: the next update's proves it.

Source: Kraken API documentation, "WebSockets v1", book and its checksum; capture of 2021-04-05.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

from msgspec import Struct

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.units import BookSide
from openmm.errors import ProtocolError
from openmm.instrument import LOTS_MAX, TICKS_MAX
from openmm.venues.capture import Verified
from openmm.venues.kraken.fields import as_decimal, as_int, as_list, as_object, bad, loads, text_of
from openmm.venues.kraken.spec import DEPTHS
from openmm.venues.recordings import Record

CHECKSUM_LEVELS: Final = 10
TRADE_FIELDS: Final = 6
SIDES: Final = ((BookSide.BID, "b", "bs"), (BookSide.ASK, "a", "as"))
OUTSIDE_LEVELS: Final = 8192


@final
class LoggedPair(Struct):
    """One pair's book; points are units of the last decimal of its texts."""

    book: Book
    price_decimals: int
    qty_decimals: int
    tick_points: int
    depth: int
    snapshots: int = 0


def verify_log(records: Iterable[Record]) -> Verified:
    """Check the messages of one connection; what cannot be read is an error of the count."""
    check = LogCheck()
    for record in records:
        check.take(record)
    return check.result()


@final
class LogCheck:
    """Keep a book for each pair with a snapshot."""

    def __init__(self) -> None:
        self.found = Verified()
        self.pairs: dict[str, LoggedPair] = {}
        self.depths: dict[str, int] = {}

    def take(self, record: Record) -> str:
        """Take one message; returns the pair whose book it told, or nothing."""
        self.found.messages += 1
        name = ""
        try:
            message = loads(record.data)
            if isinstance(message, dict):
                self._event(message)
                return ""
            row = as_list(message)
            name = str(row[-1]) if str(row[-2]).startswith("book-") else ""
            self._data(row, record.recv_ns)
        except (ProtocolError, IndexError, OverflowError):
            self.found.errors += 1
        return name

    def result(self) -> Verified:
        """Return the counts."""
        self.found.resubscribed = sum(pair.snapshots - 1 for pair in self.pairs.values())
        return self.found

    def _event(self, message: Mapping[str, Any]) -> None:
        kind = message.get("event")
        if kind == "subscriptionStatus" and message.get("status") == "subscribed":
            subscription = as_object(message.get("subscription"))
            if subscription.get("name") == "book":
                self.depths[text_of(message, "pair")] = as_int(subscription.get("depth"))
        elif kind not in ("heartbeat", "systemStatus", "pong"):
            raise bad("a known event expected", message)

    def _data(self, message: Sequence[Any], recv_ns: int) -> None:
        channel, name = str(message[-2]), str(message[-1])
        if channel.startswith("book-"):
            parts = [as_object(one) for one in message[1:-2]]
            merged = {key: value for part in parts for key, value in part.items()}
            self._book(name, merged, recv_ns)
        elif channel == "trade":
            for row in as_list(message[1]):
                if len(as_list(row)) != TRADE_FIELDS or row[3] not in ("b", "s"):
                    raise bad("a trade expected", row)
                if min(as_decimal(row[0]), as_decimal(row[1])) <= 0:
                    raise bad("a price and a quantity expected", row)
                self.found.trades += 1
        elif channel == "ticker":
            as_object(message[1])
        else:
            raise bad("a known channel expected", channel)

    def _book(self, name: str, told: Mapping[str, Any], recv_ns: int) -> None:
        snapshot = "as" in told or "bs" in told
        pair = self._opened(name, told) if snapshot else self.pairs.get(name)
        if pair is None or (pair.book.state is BookState.BOOK_BROKEN and not snapshot):
            self.found.skipped += 1
            return
        book = pair.book
        try:
            for side, update, whole in SIDES:
                for level in as_list(told.get(whole if snapshot else update, [])):
                    _apply(pair, side, as_list(level))
        except (ProtocolError, IndexError):
            book.break_(BookBreak.BREAK_PARSE)
            raise
        book.cut(pair.depth)
        self.found.book_updates += 1
        if not snapshot:
            good = text_of(told, "c") == str(checksum(book, pair.tick_points))
            self.found.checksums_ok += good
            self.found.checksums_failed += not good
            if not good:
                book.break_(BookBreak.BREAK_CHECKSUM)
                return
        bid, ask = book.best_bid_ticks, book.best_ask_ticks
        if bid is not None and ask is not None and bid >= ask:
            self.found.crossed += 1
            book.break_(BookBreak.BREAK_CROSSED)
        else:
            book.verify(recv_ns)

    def _opened(self, name: str, told: Mapping[str, Any]) -> LoggedPair:
        """Empty a pair's book for its snapshot, in the decimals that the snapshot is written in."""
        levels = [as_list(one) for key in ("as", "bs") for one in as_list(told.get(key, []))]
        if not levels:
            raise bad("a snapshot with levels expected", name)
        pair = self.pairs.get(name)
        if pair is None:
            depth = self.depths.get(name, DEPTHS[-1])
            price_decimals, qty_decimals = (_decimals(levels[0][at]) for at in (0, 1))
            tick_points = _tick_points([_points(one[0], price_decimals) for one in levels])
            pair = self.pairs[name] = LoggedPair(
                Book(outside_levels=OUTSIDE_LEVELS),
                price_decimals,
                qty_decimals,
                tick_points,
                depth,
            )
        pair.snapshots += 1
        pair.book.clear()
        pair.book.catch_up()
        return pair


def _apply(pair: LoggedPair, side: BookSide, level: Sequence[Any]) -> None:
    price_points = _points(level[0], pair.price_decimals)
    qty_points = _points(level[1], pair.qty_decimals)
    price_ticks, finer = divmod(price_points, pair.tick_points)
    if finer or not 0 < price_ticks <= TICKS_MAX or qty_points > LOTS_MAX:
        raise bad(f"a level in steps of {pair.tick_points} points and in bounds expected", level)
    pair.book.apply(side, price_ticks, qty_points)


def _decimals(text: object) -> int:
    if not isinstance(text, str):
        raise bad("a number as text expected", text)
    return len(text.partition(".")[2])


def _points(text: object, decimals: int) -> int:
    """Read a number written with so many decimals as an integer."""
    if _decimals(text) != decimals:
        raise bad(f"a number of {decimals} decimals expected", text)
    number = as_decimal(text)
    if number < 0:
        raise bad("a number of 0 or more expected", text)
    return int(number.scaleb(decimals))


def _tick_points(prices: Sequence[int]) -> int:
    tick_points = 1
    while all(points % (10 * tick_points) == 0 for points in prices) and any(prices):
        tick_points *= 10
    return tick_points


def checksum(book: Book, tick_points: int) -> int:
    """Return the CRC32 of the digits of the ten best asks, then of the ten best bids."""
    text = "".join(
        f"{price_ticks * tick_points}{qty_points}"
        for side in (BookSide.ASK, BookSide.BID)
        for price_ticks, qty_points in book.levels(side, CHECKSUM_LEVELS)
    )
    return zlib.crc32(text.encode())
