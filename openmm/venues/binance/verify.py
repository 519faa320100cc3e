"""Put a recording through the decoder and the books, and count what happened.

Reads `CBCAP1` captures (a REST copy stands in them as the frame that the connector makes of it) and
lines of `<receive time> <json>`: combined-stream messages, and the bare REST copy among them. A
recording cut at midnight (`<name>_20240808.gz`, `<name>_20240809.gz`) is one: a file without a copy
of its own is read behind the one of the day before, when that lies beside it.

A recording cannot be asked for another copy, so what lies beyond the copy's last level is taken as
the stream tells it. `best_equal` counts the book updates after which best bid and ask were what
`bookTicker`, a stream of its own, told for that id.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoded
from openmm.errors import ProtocolError
from openmm.venues.binance.fields import as_decimal, as_list, as_object, loads, text_of
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.capture import Verified, is_capture, read_frames
from openmm.venues.recordings import Record, read_stamped

COPY: Final = b'{"lastUpdateId"'
OUTSIDE_LEVELS: Final = 1 << 16
DATED: Final = re.compile(r"^(.*_)(\d{8})(\..*)$")
QTY_DECIMALS_MAX: Final = 8
SETTLING_MAX: Final = 1 << 16


def verify(path: Path) -> Verified:
    """Check one recording; counts only, the file itself must be whole.

    Raises:
        ProtocolError: naming file and line, when the file is cut or of no known format.
    """
    if is_capture(path):
        return _Check().run(Record(frame.recv_ns, frame.data) for frame in read_frames(path))
    check = _Check()
    before = day_before(path)
    if before is None or _has_copy(path):
        return check.run(read_stamped(path))
    warm = check.run(read_stamped(before))
    return _less(check.run(read_stamped(path)), warm)


def rest_frame(symbol: str, body: bytes) -> bytes:
    """Write a REST copy as the decoder's frame."""
    return b'{"stream":"%b@rest","data":%b}' % (symbol.encode(), body)


def _has_copy(path: Path) -> bool:
    return any(record.data.startswith(COPY) for record in read_stamped(path))


def day_before(path: Path) -> Path | None:
    """Return the file that a dated one goes on from, if it lies beside it."""
    named = DATED.match(path.name)
    if named is None:
        return None
    try:
        day = datetime.strptime(named[2], "%Y%m%d") - timedelta(days=1)  # noqa: DTZ007 - a date
    except ValueError:
        return None
    before = path.with_name(f"{named[1]}{day:%Y%m%d}{named[3]}")
    return before if before.is_file() else None


def _less(found: Verified, part: Verified) -> Verified:
    """Take off what was counted before."""
    names = [field.name for field in fields(Verified)]
    return Verified(**{name: getattr(found, name) - getattr(part, name) for name in names})


@final
class _Check:
    """Bind an instrument when its REST copy tells the decimals it uses."""

    def __init__(self) -> None:
        self.decoder = BinanceDecoder()
        self.books: dict[str, Book] = {}
        self.bests: dict[str, _Bests] = {}
        self.symbol = ""
        self.chained = False
        self.copy: Record | None = None
        self.waiting: list[Record] = []
        self.errors = 0

    def run(self, records: Iterable[Record]) -> Verified:
        """Decode everything."""
        for record in records:
            if self.books:
                self._decode(self._framed(record))
                continue
            self.waiting.append(record)
            if record.data.startswith(COPY) or b'@rest"' in record.data[:64]:
                self.copy = record
            elif b"@depth" in record.data[:64]:
                self.symbol = self.symbol or _symbol(record.data)
                self.chained |= b'"pu":' in record.data
            if self.copy is not None and self.symbol:
                self._learn(self._framed(self.copy))
        return self._result()

    def _framed(self, record: Record) -> Record:
        if record.data.startswith(COPY):
            return Record(record.recv_ns, rest_frame(self.symbol, record.data))
        return record

    def _learn(self, record: Record) -> None:
        """Bind what a copy is of, then decode what came before it."""
        try:
            copy = as_object(as_object(loads(record.data)).get("data"))
            levels = [as_list(one) for side in ("bids", "asks") for one in as_list(copy[side])]
            price_decimals = max(decimals_of(level[0]) for level in levels)
            qty_decimals = max(decimals_of(level[1]) for level in levels)
        except (ProtocolError, KeyError, IndexError, ValueError):
            # Not what it looked like: another may come.
            self.copy = None
            return
        book = self.books[self.symbol] = Book(outside_levels=OUTSIDE_LEVELS)
        # Later quantities may be finer than those of the copy.
        qty_decimals = min(max(qty_decimals, 5), QTY_DECIMALS_MAX)
        self.decoder.bind(self.symbol, 0, book, 1, price_decimals, 1, qty_decimals, 0, self.chained)
        self.bests[self.symbol] = _Bests()
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            self._decode(self._framed(one))

    def _decode(self, record: Record) -> None:
        told = self.decoder.decode(record.data, record.recv_ns)
        if told is Decoded.DECODED_SLOW:
            self.errors += not _known(record.data)
            return
        head = record.data[:64]
        if told is Decoded.DECODED_BOOK or b"@bookTicker" in head:
            symbol = head.partition(b'"stream":"')[2].partition(b"@")[0].decode("ascii", "replace")
            bests = self.bests.get(symbol.upper())
            if bests is not None and told is Decoded.DECODED_BOOK:
                book = self.books[symbol.upper()]
                update_id = self.decoder.state(symbol.upper())[0]
                bests.on_book(update_id, book.best_bid_ticks, book.best_ask_ticks)
            elif bests is not None:
                bests.on_ticker(*self.decoder.ticker(symbol.upper()))

    def _result(self) -> Verified:
        counts = self.decoder.counters
        states = [self.decoder.state(name) for name in self.books]
        bad = ("parse_errors", "off_tick", "bounds", "capacity", "overflows")
        return Verified(
            messages=counts["messages"] + len(self.waiting),
            book_updates=counts["book_updates"],
            trades=counts["trades"],
            gaps=counts["gaps"] + counts["trade_gaps"],
            resubscribed=sum(max(snapshots - 1, 0) for _, _, snapshots in states),
            crossed=counts["crossed"],
            errors=self.errors
            + sum(counts[name] for name in bad)
            + sum(book.state is BookState.BOOK_BROKEN for book in self.books.values()),
            skipped=sum(held for _, held, _ in states)
            + sum(b"@depth" in record.data[:64] for record in self.waiting),
            best_equal=sum(one.equal for one in self.bests.values()),
            best_different=sum(one.different for one in self.bests.values()),
        )


@final
class _Bests:
    """Compare the book's best prices with those that the venue tells beside it, by update id."""

    def __init__(self) -> None:
        self.equal = 0
        self.different = 0
        self._settling: deque[tuple[int, int | None, int | None]] = deque(maxlen=SETTLING_MAX)
        self._told: deque[tuple[int, int, int]] = deque(maxlen=SETTLING_MAX)

    def on_book(self, update_id: int, bid_ticks: int | None, ask_ticks: int | None) -> None:
        """Take what the book says as of an id."""
        self._settling.append((update_id, bid_ticks, ask_ticks))
        self._settle()

    def on_ticker(self, update_id: int, bid_ticks: int, ask_ticks: int) -> None:
        """Take what the venue tells from an id on."""
        self._told.append((update_id, bid_ticks, ask_ticks))
        self._settle()

    def _settle(self) -> None:
        """Compare what lies before a newer telling: the last one at or before it held for it."""
        settling, told = self._settling, self._told
        while settling and told and told[-1][0] > settling[0][0]:
            update_id, *best = settling.popleft()
            while len(told) > 1 and told[1][0] <= update_id:
                told.popleft()
            if told[0][0] <= update_id:
                self.equal += best == [*told[0][1:]]
                self.different += best != [*told[0][1:]]


def _known(data: bytes) -> bool:
    """Whether a frame of no stream that the engine follows is well-formed all the same."""
    try:
        as_object(loads(data))
    except ProtocolError:
        return False
    return True


def _symbol(data: bytes) -> str:
    try:
        return text_of(as_object(as_object(loads(data)).get("data")), "s")
    except ProtocolError:
        return ""


def decimals_of(text: Any) -> int:
    """Count the decimals that are used."""
    number: Decimal = as_decimal(text).normalize()
    return max(-int(number.as_tuple().exponent), 0)
