"""Put a recording through the decoder and the book, and count what happened.

Reads `CBCAP1` captures, connection logs of API v1 (`<name>.raw.gz`, in `verify_v1`), and JSON files
of one book stream: an object with `snapshot`, `updates`, `depth`, `price_precision` and
`qty_precision`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from openmm._fast.book import Book
from openmm.errors import ProtocolError
from openmm.events import StreamGapped, Unrecognised
from openmm.venues.capture import Frame, Verified, is_capture, read_frames, reading
from openmm.venues.kraken.fields import as_decimal, as_int, as_list, as_object, loads, text_of
from openmm.venues.kraken.private import PrivateDecoder
from openmm.venues.kraken.spec import DEPTHS
from openmm.venues.kraken.stream import dumps
from openmm.venues.kraken.verify_v1 import verify_log
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.recordings import read_log

JSON_BYTES_MAX: Final = 256 << 20
LOG_SUFFIXES: Final = (".raw.gz", ".raw")


def verify(path: Path) -> Verified:
    """Check one recording; counts only, the file itself must be whole.

    Raises:
        ProtocolError: naming file and offset, when the file is cut or of no known format.
    """
    if is_capture(path):
        return _Check().run(read_frames(path))
    if path.name.endswith(LOG_SUFFIXES):
        return verify_log(read_log(path))
    stream = _read_stream(path)
    check = _Check()
    check.price_decimals = as_int(stream["price_precision"])
    check.qty_decimals = as_int(stream["qty_precision"])
    check.depth = as_int(stream["depth"])
    messages = [stream["snapshot"], *as_list(stream["updates"])]
    return check.run(
        Frame(index + 1, dumps(message).encode(), index) for index, message in enumerate(messages)
    )


def _read_stream(path: Path) -> Mapping[str, Any]:
    with reading(path) as file:
        raw = file.read(JSON_BYTES_MAX)
    try:
        stream = as_object(loads(raw))
    except ProtocolError as error:
        raise ProtocolError(f"{path}: neither a capture nor JSON: {error}") from error
    for name in ("snapshot", "updates", "depth", "price_precision", "qty_precision"):
        if name not in stream:
            raise ProtocolError(f"{path}: not a book stream: {name} is missing")
    return stream


class _Check:
    """One run: binds an instrument when its first snapshot tells the decimals it uses."""

    def __init__(self) -> None:
        self.decoder = KrakenDecoder()
        self.private = PrivateDecoder()
        self.books: dict[str, Book] = {}
        self.depths: dict[str, int] = {}
        self.price_decimals: int | None = None
        self.qty_decimals: int | None = None
        self.depth: int | None = None
        self.slow_errors = 0
        self.gaps = 0

    def run(self, frames: Iterator[Frame]) -> Verified:
        for frame in frames:
            if b'"book"' in frame.data and b'"snapshot"' in frame.data:
                self._learn(frame.data)
            slow_before = self.decoder.counters["slow"]
            self.decoder.decode(frame.data, frame.recv_ns)
            if self.decoder.counters["slow"] != slow_before:
                for event in self.private.decode(frame.data):
                    self.slow_errors += isinstance(event, Unrecognised)
                    self.gaps += isinstance(event, StreamGapped)
        return self._result()

    def _learn(self, data: bytes) -> None:
        """Take depth from a subscription's acknowledgement, decimals from a first snapshot."""
        try:
            message = as_object(loads(data))
            if message.get("method") == "subscribe":
                result = as_object(message.get("result"))
                self.depths[text_of(result, "symbol")] = as_int(result.get("depth"))
                return
            book = as_object(as_list(message.get("data"))[0])
            name = text_of(book, "symbol")
            levels = [
                as_object(one) for side in ("bids", "asks") for one in as_list(book.get(side))
            ]
            if not name or name in self.books or not levels:
                return
            self._bind(name, levels)
        except (ProtocolError, IndexError):
            # Not what it looked like: the decoder says what it is.
            return

    def _bind(self, name: str, levels: Sequence[Mapping[str, Any]]) -> None:
        depth = self.depth or self.depths.get(name) or depth_for((len(levels) + 1) // 2)
        price_decimals, qty_decimals = self.price_decimals, self.qty_decimals
        if price_decimals is None:
            price_decimals = decimals_of(as_decimal(one.get("price")) for one in levels)
        if qty_decimals is None:
            qty_decimals = decimals_of(as_decimal(one.get("qty")) for one in levels)
        book = self.books[name] = Book()
        self.decoder.bind(
            name, len(self.books) - 1, book, 1, price_decimals, 1, qty_decimals, depth
        )

    def _result(self) -> Verified:
        counts = self.decoder.counters
        snapshots = [self.decoder.checksums(name)[2] for name in self.books]
        return Verified(
            messages=counts["messages"],
            book_updates=counts["book_updates"],
            trades=counts["trades"],
            checksums_ok=counts["checksums_ok"],
            checksums_failed=counts["checksums_failed"],
            gaps=counts["trade_gaps"] + self.gaps,
            resubscribed=sum(max(count - 1, 0) for count in snapshots),
            crossed=counts["crossed"],
            errors=self.slow_errors
            + sum(counts[name] for name in ("parse_errors", "off_tick", "bounds", "capacity")),
            skipped=counts["not_ready"],
        )


def decimals_of(numbers: Iterator[Decimal]) -> int:
    """Count the decimals of numbers written in full, as the venue writes them."""
    return max(max(-int(number.as_tuple().exponent), 0) for number in numbers)


def depth_for(levels: int) -> int:
    """Return the least depth on offer that a side of so many levels fits in."""
    return next((depth for depth in DEPTHS if depth >= levels), DEPTHS[-1])
