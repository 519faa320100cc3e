"""Put a recording through the decoder and the books, and count what happened.

Reads `CBCAP1` captures (a REST copy stands in them as the frame that the connector makes of it),
raw connection logs (`<name>_ws.raw.gz`, with the REST replies of `<name>_http.raw.gz` and the pairs
of `<name>_meta.raw.gz` beside it), and JSON files of one pair (`rest_snapshot` and `ws_frames`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from openmm._fast.book import Book, BookState
from openmm.errors import ProtocolError
from openmm.events import StreamGapped, Unrecognised
from openmm.instrument import Instrument
from openmm.venues.capture import Verified, is_capture, read_frames, reading
from openmm.venues.gateio.fields import as_decimal, as_int, as_list, as_object, loads, text_of
from openmm.venues.gateio.private import PrivateDecoder
from openmm.venues.gateio.spec import OBU_DEPTHS, UPDATE_INTERVALS, our_name
from openmm.venues.gateio.wire import GateioDecoder
from openmm.venues.recordings import Record, RecordedPair, Recording, lines

JSON_BYTES_MAX: Final = 256 << 20
BOOK_PATH: Final = "/spot/order_book?"
PAIRS_PATH: Final = "/spot/currency_pairs"


def verify(path: Path) -> Verified:
    """Check one recording; counts only, the file itself must be whole.

    Raises:
        ProtocolError: naming file and line, when the file is cut or of no known format.
    """
    if not is_capture(path) and _is_log(path) and "_ws.raw" not in path.name:
        # What it holds is put to use together with the frames; here it only has to be whole.
        return Verified(messages=sum(1 for _ in _replies(path)))
    check = _Check()
    return check.run(_records(path, check))


def read_recording(path: Path) -> Recording:
    """Read a recording to be served again.

    Raises:
        ProtocolError: naming file and line, when the file is cut or of no known format.
    """
    check = _Check()
    records = list(_records(path, check))
    check.run(iter(records))

    def decoder(pair: RecordedPair, one: Instrument, book: Book) -> GateioDecoder:
        made = GateioDecoder()
        made.bind(
            pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
            one.qty_decimals, int(pair.stream),
        )  # fmt: skip
        return made

    return Recording(records, {our_name(one.symbol): one for one in check.pairs}, decoder)


def _records(path: Path, check: _Check) -> Iterator[Record]:
    """Read a file of any format; `check` learns what stands beside the frames."""
    if is_capture(path):
        return (Record(frame.recv_ns, frame.data) for frame in read_frames(path))
    if _is_log(path):
        return _logged(path, check)
    stream = _read_json(path)
    snapshot = rest_frame(text_of(stream, "pair"), loads_bytes(stream["rest_snapshot"]))
    at_ns = _seconds_to_ns(str(stream["rest_received_at_unix_s"]))
    records = [
        Record(_seconds_to_ns(str(row["recv_unix_s"])), text_of(row, "raw").encode())
        for row in map(as_object, as_list(stream["ws_frames"]))
    ]
    return merged(records, [Record(at_ns, snapshot)])


def rest_frame(symbol: str, body: bytes) -> bytes:
    """Write a REST copy as the decoder's frame."""
    return b'{"channel":"rest.order_book","s":"%b","result":%b}' % (symbol.encode(), body)


def loads_bytes(value: object) -> bytes:
    """Write parsed JSON back as bytes; numbers in books are text, so nothing is lost."""
    return json.dumps(value, separators=(",", ":")).encode()


def merged(records: Sequence[Record], replies: Sequence[Record]) -> Iterator[Record]:
    """Yield both by time of receipt; a reply comes behind what was received by then."""
    waiting = sorted(replies, key=lambda one: one.recv_ns)
    at = 0
    for record in records:
        while at < len(waiting) and waiting[at].recv_ns < record.recv_ns:
            yield waiting[at]
            at += 1
        yield record
    yield from waiting[at:]


# --- connection logs


def _is_log(path: Path) -> bool:
    return any(mark in path.name for mark in ("_ws.raw", "_http.raw", "_meta.raw"))


def _logged(path: Path, check: _Check) -> Iterator[Record]:
    """Merge the frames of a log with the books that were asked for beside it."""
    meta = path.with_name(path.name.replace("_ws.raw", "_meta.raw"))
    http = path.with_name(path.name.replace("_ws.raw", "_http.raw"))
    if meta.is_file():
        for url, _, body in _replies(meta):
            if PAIRS_PATH in url:
                check.learn_pairs(as_list(loads(body)))
    replies = []
    if http.is_file():
        for url, recv_ns, body in _replies(http):
            if BOOK_PATH in url:
                symbol = url.partition("currency_pair=")[2].partition("&")[0]
                replies.append(Record(recv_ns, rest_frame(symbol, body)))
    return merged(list(_received(path)), replies)


def _received(path: Path) -> Iterator[Record]:
    """Read `<seconds>: <json>` lines; what the recorder sent and connects are passed over."""
    for number, line in lines(path):
        stamp, mark, data = line.rstrip(b"\n").partition(b": ")
        if b" <- " in stamp or b" <-> " in stamp or b" -> " in stamp or not line.strip():
            continue
        if stamp == b"configuration":
            continue
        if not mark:
            raise ProtocolError(f"{path}: line {number} is no record: {line[:60]!r}")
        yield Record(_seconds_to_ns(stamp.decode("ascii", "replace")), data)


def _replies(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """Read `<url> -> <seconds>: <json>` lines."""
    for number, line in lines(path):
        url, mark, rest = line.rstrip(b"\n").partition(b" -> ")
        if not mark:
            continue
        stamp, colon, body = rest.partition(b": ")
        if not colon:
            raise ProtocolError(f"{path}: line {number} is no reply: {line[:60]!r}")
        yield url.decode("ascii", "replace"), _seconds_to_ns(stamp.decode("ascii", "replace")), body


def _seconds_to_ns(text: str) -> int:
    try:
        return int(as_decimal(text).scaleb(9))
    except ProtocolError as error:
        raise ProtocolError(f"seconds since 1970 expected; got {text!r}") from error


def _read_json(path: Path) -> Mapping[str, Any]:
    with reading(path) as file:
        raw = file.read(JSON_BYTES_MAX)
    try:
        stream = as_object(loads(raw))
    except ProtocolError as error:
        raise ProtocolError(f"{path}: neither a capture, a log nor JSON: {error}") from error
    for name in ("pair", "rest_snapshot", "rest_received_at_unix_s", "ws_frames"):
        if name not in stream:
            raise ProtocolError(f"{path}: not the recording of a book: {name} is missing")
    return stream


# --- one run


@final
class _Check:
    """Bind an instrument when its first book message tells which decimals it uses."""

    def __init__(self) -> None:
        self.decoder = GateioDecoder()
        self.private = PrivateDecoder()
        self.books: dict[str, Book] = {}
        self.pairs: list[RecordedPair] = []
        self.decimals: dict[str, tuple[int, int]] = {}
        self.slow_errors = 0
        self.stream_gaps = 0

    def learn_pairs(self, rows: Sequence[Any]) -> None:
        """Take the decimals of pairs from their metadata."""
        for row in map(as_object, rows):
            self.decimals[text_of(row, "id")] = (
                as_int(row.get("precision")), as_int(row.get("amount_precision")),
            )  # fmt: skip

    def run(self, records: Iterator[Record]) -> Verified:
        """Decode everything."""
        for record in records:
            if b"order_book" in record.data or b"spot.obu" in record.data:
                self._learn(record.data)
            slow_before = self.decoder.counters["slow"]
            self.decoder.decode(record.data, record.recv_ns)
            if self.decoder.counters["slow"] != slow_before:
                for event in self.private.decode(record.data):
                    self.slow_errors += isinstance(event, Unrecognised)
                    self.stream_gaps += isinstance(event, StreamGapped)
        return self._result()

    def _learn(self, data: bytes) -> None:
        """Bind the pair of a book message seen for the first time."""
        try:
            message = as_object(loads(data))
            book = message.get("result")
            if not isinstance(book, dict):
                return
            channel = message.get("channel")
            stream = text_of(book, "s") or text_of(message, "s")
            if channel == "spot.obu":
                _, symbol, depth_text = stream.split(".")
                depth = int(depth_text)
            elif channel in ("spot.order_book_update", "rest.order_book"):
                symbol, depth = stream, self._depth(book)
            else:
                return
            if symbol and symbol not in self.books:
                self._bind(symbol, depth, book)
        except (ProtocolError, ValueError):
            # Not what it looked like: the decoder says what it is.
            return

    @staticmethod
    def _depth(book: Mapping[str, Any]) -> int:
        return 20 if text_of(book, "l") == "20" else max(UPDATE_INTERVALS)

    def _bind(self, symbol: str, depth: int, book: Mapping[str, Any]) -> None:
        levels = [
            as_list(level)
            for name in ("b", "a", "bids", "asks")
            for level in as_list(book.get(name) or [])
        ]
        if symbol in self.decimals:
            price_decimals, qty_decimals = self.decimals[symbol]
        elif levels:
            price_decimals = _decimals(as_decimal(level[0]) for level in levels)
            qty_decimals = min(8, _decimals(as_decimal(level[1]) for level in levels))
        else:
            return
        if depth not in (*OBU_DEPTHS, *UPDATE_INTERVALS):
            return
        self.pairs.append(RecordedPair(symbol, price_decimals, qty_decimals, depth))
        made = self.books[symbol] = Book()
        self.decoder.bind(
            symbol, len(self.books) - 1, made, 1, price_decimals, 1, qty_decimals, depth
        )

    def _result(self) -> Verified:
        counts = self.decoder.counters
        states = {name: self.decoder.state(name) for name in self.books}
        waiting = sum(
            max(held, 1)
            for name, (_, held, _) in states.items()
            if self.books[name].state is BookState.BOOK_CATCHING_UP
        )
        return Verified(
            messages=counts["messages"],
            book_updates=counts["book_updates"],
            trades=counts["trades"],
            gaps=counts["gaps"] + counts["old_snapshots"] + self.stream_gaps,
            resubscribed=sum(max(snapshots - 1, 0) for _, _, snapshots in states.values()),
            crossed=counts["crossed"],
            errors=self.slow_errors
            + sum(counts[name] for name in ("parse_errors", "off_tick", "bounds", "capacity"))
            + sum(book.state is BookState.BOOK_BROKEN for book in self.books.values()),
            skipped=counts["not_ready"] + counts["overflows"] + waiting,
        )


def _decimals(numbers: Iterator[Decimal]) -> int:
    """Count the decimals of numbers written in full, as the venue writes them."""
    return max(max(-int(number.as_tuple().exponent), 0) for number in numbers)
