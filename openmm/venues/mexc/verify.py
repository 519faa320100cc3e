"""Put a recording through the decoder and the books, and count what happened.

Reads `CBCAP1` captures (protobuf pushes, text answers, and REST copies of books as the frames that
`connector` writes), and JSON files of book sequences: `cases`, each of `steps` with a frame in
hexadecimal, behind one `snapshot`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from msgspec import Struct

from openmm._fast.book import Book, BookState
from openmm._fast.proto import read_fields
from openmm.errors import ProtocolError
from openmm.events import StreamGapped, Unrecognised
from openmm.instrument import Instrument
from openmm.venues.capture import Verified, is_capture, read_frames, read_head, reading
from openmm.venues.mexc.fields import as_decimal, as_list, as_object, loads, message_of, proto_text
from openmm.venues.mexc.private import PrivateDecoder
from openmm.venues.mexc.spec import WHOLE_DEPTHS
from openmm.venues.mexc.wire import MexcDecoder
from openmm.venues.recordings import Record, RecordedPair, Recording, name_of

JSON_BYTES_MAX: Final = 64 << 20
LIMIT_DEPTHS: Final = 303
DEPTHS: Final = (LIMIT_DEPTHS, 313)
REST_COPY: Final = b'{"channel":"rest.depth"'
COPY_DEPTH: Final = 5000


class _Pair(Struct):
    """What a first pass over a recording finds of a pair."""

    price_decimals: int = 0
    qty_decimals: int = 0
    whole: bool = False


def verify(path: Path) -> Verified:
    """Check one recording; counts only, the file itself must be whole.

    Raises:
        ProtocolError: naming the file, when it is cut or of no known format.
    """
    if is_capture(path):
        return _Check().run([Record(one.recv_ns, one.data) for one in read_frames(path)])
    total = Verified()
    for records in _sequences(path):
        total.add(_Check().run(records))
    return total


def read_recording(path: Path) -> Recording:
    """Read a capture to be served again.

    Raises:
        ProtocolError: naming the file, when it is cut or no capture.
    """
    told = read_head(path).instrument
    records = [Record(one.recv_ns, one.data) for one in read_frames(path)]
    pairs = {
        name_of(symbol, told): RecordedPair(
            symbol, pair.price_decimals, pair.qty_decimals, _depth(pair)
        )
        for symbol, pair in _learn(records).items()
    }

    def decoder(pair: RecordedPair, one: Instrument, book: Book) -> MexcDecoder:
        made = MexcDecoder()
        made.bind(
            pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
            one.qty_decimals, int(pair.stream),
        )  # fmt: skip
        return made

    return Recording(records, pairs, decoder)


def _depth(pair: _Pair) -> int:
    return WHOLE_DEPTHS[-1] if pair.whole else COPY_DEPTH


def _sequences(path: Path) -> Iterator[list[Record]]:
    with reading(path) as file:
        raw = file.read(JSON_BYTES_MAX)
    try:
        told = as_object(loads(raw))
        snapshot = json.dumps(told["snapshot"], default=str).encode()
        for case in map(as_object, as_list(told["cases"])):
            frames = [bytes.fromhex(as_object(one)["hex"]) for one in as_list(case["steps"])]
            symbol = proto_text(message_of(frames[0]), 3) if frames else ""
            copy = b'{"channel":"rest.depth","s":"%b","result":%b}' % (symbol.encode(), snapshot)
            yield [Record(at + 1, data) for at, data in enumerate([copy, *frames])]
    except (ProtocolError, KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"{path}: neither a capture nor a book sequence: {error}") from error


@final
class _Check:
    """Bind every pair that a recording tells levels of, at the decimals it uses."""

    def __init__(self) -> None:
        self.decoder = MexcDecoder()
        self.private = PrivateDecoder()
        self.books: dict[str, Book] = {}
        self.slow_errors = 0
        self.stream_gaps = 0

    def run(self, records: list[Record]) -> Verified:
        """Decode everything."""
        for name, pair in _learn(records).items():
            made = self.books[name] = Book()
            self.decoder.bind(
                name, len(self.books) - 1, made, 1, pair.price_decimals, 1, pair.qty_decimals,
                _depth(pair),
            )  # fmt: skip
        for record in records:
            slow_before = self.decoder.counters["slow"]
            self.decoder.decode(record.data, record.recv_ns)
            if self.decoder.counters["slow"] != slow_before:
                for event in self.private.decode(record.data):
                    self.slow_errors += isinstance(event, Unrecognised)
                    self.stream_gaps += isinstance(event, StreamGapped)
        return self._result()

    def _result(self) -> Verified:
        counts = self.decoder.counters
        states = [self.decoder.state(name) for name in self.books]
        return Verified(
            messages=counts["messages"],
            book_updates=counts["book_updates"],
            trades=counts["trades"],
            checksums_ok=counts["checksums_ok"],
            checksums_failed=counts["checksums_failed"],
            gaps=counts["gaps"] + self.stream_gaps,
            resubscribed=sum(max(snapshots - 1, 0) for _, _, snapshots in states),
            crossed=counts["crossed"],
            errors=self.slow_errors
            + sum(counts[name] for name in ("parse_errors", "off_tick", "bounds", "capacity"))
            + sum(book.state is BookState.BOOK_BROKEN for book in self.books.values()),
            skipped=sum(held for _, held, _ in states),
        )


def _learn(records: list[Record]) -> dict[str, _Pair]:
    """Find the pairs with books, and how fine their prices and quantities are written."""
    found: dict[str, _Pair] = {}
    for record in records:
        try:
            if record.data.startswith(REST_COPY):
                told = as_object(loads(record.data))
                _note_copy(found.setdefault(str(told.get("s")), _Pair()), told.get("result"))
            elif not record.data.startswith(b"{"):
                _note_push(found, record.data)
        except (ProtocolError, ValueError, IndexError):
            # Not what it looked like: the decoder says what it is.
            continue
    return found


def _note_copy(pair: _Pair, result: Any) -> None:
    book = as_object(result)
    for row in (*as_list(book["bids"]), *as_list(book["asks"])):
        _note_level(pair, as_decimal(row[0]), as_decimal(row[1]))


def _note_push(found: dict[str, _Pair], data: bytes) -> None:
    push = message_of(data)
    symbol = proto_text(push, 3)
    for number in DEPTHS:
        body = push.get(number)
        if not isinstance(body, bytes) or not symbol:
            continue
        pair = found.setdefault(symbol, _Pair())
        pair.whole = number == LIMIT_DEPTHS
        for field, value in read_fields(body):
            if field in (1, 2) and isinstance(value, bytes):
                level = message_of(value)
                _note_level(
                    pair, as_decimal(proto_text(level, 1)), as_decimal(proto_text(level, 2))
                )


def _note_level(pair: _Pair, price: Decimal, qty: Decimal) -> None:
    pair.price_decimals = min(15, max(pair.price_decimals, _decimals(price)))
    pair.qty_decimals = min(15, max(pair.qty_decimals, _decimals(qty)))


def _decimals(number: Decimal) -> int:
    """Count the decimals that matter."""
    return max(-int(number.normalize().as_tuple().exponent), 0)
