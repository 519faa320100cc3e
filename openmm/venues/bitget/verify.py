"""Put a recording through the decoder and the books, and count what happened.

Reads `CBCAP1` captures, connection logs of API v1 (`<name>.raw.gz`: same books as v2, trades as
arrays; a dialect for recordings alone, the interface is switched off), their metadata, and JSON
files of one book stream (`symbol` and `frames`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from openmm._fast.book import Book, BookState
from openmm.errors import ProtocolError
from openmm.events import StreamGapped, Unrecognised
from openmm.instrument import Instrument
from openmm.venues.bitget.fields import as_decimal, as_list, as_object, loads, text_of
from openmm.venues.bitget.private import PrivateDecoder
from openmm.venues.bitget.wire import BitgetDecoder
from openmm.venues.capture import Verified, is_capture, read_frames, read_head, reading
from openmm.venues.recordings import Record, RecordedPair, Recording, lines, name_of

JSON_BYTES_MAX: Final = 256 << 20
LOG_SUFFIXES: Final = (".raw.gz", ".raw")


def verify(path: Path) -> Verified:
    """Check one recording; counts only, the file itself must be whole.

    Raises:
        ProtocolError: naming file and line, when the file is cut or of no known format.
    """
    return _Check(rows=not is_capture(path)).run(_records(path))


def read_recording(path: Path) -> Recording:
    """Read a recording to be served again.

    Raises:
        ProtocolError: naming file and line, when the file is cut or of no known format.
    """
    told = read_head(path).instrument if is_capture(path) else ""
    rows = not told
    records = list(_records(path))
    check = _Check(rows=rows)
    check.run(iter(records))

    def decoder(pair: RecordedPair, one: Instrument, book: Book) -> BitgetDecoder:
        made = BitgetDecoder(rows)
        made.bind(
            pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
            one.qty_decimals, str(pair.stream),
        )  # fmt: skip
        return made

    return Recording(records, {name_of(one.symbol, told): one for one in check.pairs}, decoder)


def _records(path: Path) -> Iterator[Record]:
    """Read a file of any format."""
    if is_capture(path):
        return (Record(frame.recv_ns, frame.data) for frame in read_frames(path))
    if path.name.endswith(LOG_SUFFIXES):
        return _received(path)
    rows = [as_object(row) for row in as_list(_read_json(path)["frames"])]
    return iter([Record(index + 1, text_of(row, "raw").encode()) for index, row in enumerate(rows)])


def _received(path: Path) -> Iterator[Record]:
    """Read `<seconds>: <json>` lines; sent ones, connects and REST replies are passed over."""
    for number, line in lines(path):
        stamp, mark, data = line.rstrip(b"\n").partition(b": ")
        if b" <- " in stamp or b" <-> " in stamp or b" -> " in stamp or not line.strip():
            continue
        if stamp == b"configuration":
            continue
        if not mark:
            raise ProtocolError(f"{path}: line {number} is no record: {line[:60]!r}")
        yield Record(_seconds_to_ns(path, number, stamp), data)


def _seconds_to_ns(path: Path, number: int, stamp: bytes) -> int:
    try:
        return int(as_decimal(stamp.decode("ascii", "replace")).scaleb(9))
    except ProtocolError as error:
        raise ProtocolError(f"{path}: line {number} has no time: {stamp[:40]!r}") from error


def _read_json(path: Path) -> Mapping[str, Any]:
    with reading(path) as file:
        raw = file.read(JSON_BYTES_MAX)
    try:
        stream = as_object(loads(raw))
    except ProtocolError as error:
        raise ProtocolError(f"{path}: neither a capture, a log nor JSON: {error}") from error
    for name in ("symbol", "frames"):
        if name not in stream:
            raise ProtocolError(f"{path}: not the recording of a book: {name} is missing")
    return stream


@final
class _Check:
    """Bind an instrument when its first snapshot tells the decimals it uses."""

    def __init__(self, *, rows: bool = False) -> None:
        self.decoder = BitgetDecoder(rows)
        self.private = PrivateDecoder()
        self.books: dict[str, Book] = {}
        self.pairs: list[RecordedPair] = []
        self.slow_errors = 0
        self.stream_gaps = 0

    def run(self, records: Iterator[Record]) -> Verified:
        """Decode everything."""
        waiting: dict[str, list[Record]] = {}
        for record in records:
            if b'"books' in record.data and b'"snapshot"' in record.data:
                self._learn(record.data)
            elif not self._bound(record.data, waiting, record):
                continue
            self._decode(record)
            for name in [name for name in waiting if name in self.books]:
                for one in waiting.pop(name):
                    self._decode(one)
        return self._result()

    def _bound(self, data: bytes, waiting: dict[str, list[Record]], record: Record) -> bool:
        """Put trades aside that came before the book told the pair's decimals."""
        if b'"trade"' not in data and b'"publicTrade"' not in data:
            return True
        try:
            arg = as_object(as_object(loads(data)).get("arg"))
        except ProtocolError:
            return True
        symbol = text_of(arg, "instId") or text_of(arg, "symbol")
        if b'"action"' not in data or symbol in self.books:
            return True
        waiting.setdefault(symbol, []).append(record)
        return False

    def _decode(self, record: Record) -> None:
        slow_before = self.decoder.counters["slow"]
        self.decoder.decode(record.data, record.recv_ns)
        if self.decoder.counters["slow"] != slow_before:
            for event in self.private.decode(record.data):
                self.slow_errors += isinstance(event, Unrecognised)
                self.stream_gaps += isinstance(event, StreamGapped)

    def _learn(self, data: bytes) -> None:
        try:
            message = as_object(loads(data))
            arg = as_object(message.get("arg"))
            symbol = text_of(arg, "instId") or text_of(arg, "symbol")
            channel = text_of(arg, "channel") or text_of(arg, "topic")
            book = as_object(as_list(message.get("data"))[0])
            levels = [
                as_list(level)
                for name in ("asks", "bids", "a", "b")
                for level in as_list(book.get(name) or [])
            ]
            if symbol and symbol not in self.books and levels:
                self._bind(symbol, channel, levels)
        except (ProtocolError, IndexError, ValueError):
            # Not what it looked like: the decoder says what it is.
            return

    def _bind(self, symbol: str, channel: str, levels: Sequence[Sequence[Any]]) -> None:
        price_decimals = _decimals(as_decimal(level[0]) for level in levels)
        # Later quantities may be finer than those of the first snapshot.
        qty_decimals = min(max(_decimals(as_decimal(level[1]) for level in levels), 4), 8)
        self.pairs.append(RecordedPair(symbol, price_decimals, qty_decimals, channel))
        made = Book()
        self.decoder.bind(
            symbol, len(self.books), made, 1, price_decimals, 1, qty_decimals, channel
        )
        self.books[symbol] = made

    def _result(self) -> Verified:
        counts = self.decoder.counters
        states = {name: self.decoder.state(name) for name in self.books}
        return Verified(
            messages=counts["messages"],
            book_updates=counts["book_updates"],
            trades=counts["trades"],
            checksums_ok=counts["checksums_ok"],
            checksums_failed=counts["checksums_failed"],
            gaps=counts["gaps"] + self.stream_gaps,
            resubscribed=sum(max(snapshots - 1, 0) for _, _, _, snapshots in states.values()),
            crossed=counts["crossed"],
            errors=self.slow_errors
            + sum(counts[name] for name in ("parse_errors", "off_tick", "bounds", "capacity"))
            + sum(book.state is BookState.BOOK_BROKEN for book in self.books.values()),
            skipped=counts["not_ready"] + counts["dropped"],
        )


def _decimals(numbers: Iterator[Decimal]) -> int:
    """Count the decimals of numbers written in full, as the venue writes them."""
    return max(max(-int(number.as_tuple().exponent), 0) for number in numbers)
