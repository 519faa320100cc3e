"""Read a recording of one market as the decoder takes it, to run a bot over it.

Captures and lines of `<receive time> <json>`, as `verify` reads them. Where a file goes on from the
one of the day before and holds no copy of the book, the copy is made of that day's last book.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from openmm._fast.book import Book, BookState
from openmm._fast.units import BookSide
from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.venues.binance.fields import as_list, as_object, loads, text_of
from openmm.venues.binance.verify import (
    COPY,
    OUTSIDE_LEVELS,
    QTY_DECIMALS_MAX,
    day_before,
    decimals_of,
    rest_frame,
)
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.capture import is_capture, read_frames
from openmm.venues.recordings import Record, RecordedPair, Recording, name_of, read_stamped

COPY_LEVELS = 1000  # a side: what the venue itself gives
QTY_DECIMALS_MIN = 5  # later quantities may be finer than those of the copy


def read_recording(path: Path) -> Recording:
    """Read one market's recording.

    Raises:
        ProtocolError: naming the file, when it is cut, of no known format, or never tells a whole
            book.
    """
    if is_capture(path):
        return _recording(path, [Record(one.recv_ns, one.data) for one in read_frames(path)])
    records = list(read_stamped(path))
    if any(one.data.startswith(COPY) for one in records):
        return _recording(path, records)
    before = day_before(path)
    if before is None:
        raise ProtocolError(f"{path}: no copy of the book in it, and no file of the day before")
    return _recording(path, records, read_recording(before))


def _recording(path: Path, records: Sequence[Record], before: Recording | None = None) -> Recording:
    if before is not None:
        (name, pair), *_ = before.pairs.items()
        records = [_last_copy(path, before, name, records[0].recv_ns), *records]
        return Recording(records, before.pairs, _decoder)
    symbol, chained = _named(records)
    if not symbol:
        raise ProtocolError(f"{path}: no change of a book in it")
    framed = [
        Record(one.recv_ns, rest_frame(symbol, one.data)) if one.data.startswith(COPY) else one
        for one in records
    ]
    copies = (one.data for one in framed if b'@rest"' in one.data[:64])
    try:
        copy = as_object(as_object(loads(next(copies)))["data"])
        levels = [as_list(one) for side in ("bids", "asks") for one in as_list(copy[side])]
        price_decimals = max(decimals_of(level[0]) for level in levels)
        qty_decimals = max(decimals_of(level[1]) for level in levels)
    except (StopIteration, KeyError, IndexError, ValueError) as error:
        raise ProtocolError(f"{path}: no copy of a book in it") from error
    qty_decimals = min(max(qty_decimals, QTY_DECIMALS_MIN), QTY_DECIMALS_MAX)
    pair = RecordedPair(symbol, price_decimals, qty_decimals, int(chained))
    return Recording(framed, {name_of(symbol): pair}, _decoder)


def _decoder(pair: RecordedPair, one: Instrument, book: Book) -> BinanceDecoder:
    """Make a decoder that takes what lies beyond a copy's last level as the stream tells it."""
    made = BinanceDecoder()
    made.bind(
        pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
        one.qty_decimals, 0, bool(pair.stream),
    )  # fmt: skip
    return made


def _named(records: Iterable[Record]) -> tuple[str, bool]:
    """Return the symbol whose depth is told, and whether its increments name the last one."""
    for one in records:
        if b"@depth" in one.data[:64]:
            told: dict[str, Any] = dict(as_object(as_object(loads(one.data)).get("data")))
            return text_of(told, "s"), "pu" in told
    return "", False


def _last_copy(path: Path, before: Recording, name: str, recv_ns: int) -> Record:
    """Write the book that a recording ends with as a copy."""
    pair = before.pairs[name]
    book = Book(outside_levels=OUTSIDE_LEVELS)
    decoder = BinanceDecoder()
    decoder.bind(
        pair.symbol, 0, book, 1, pair.price_decimals, 1, pair.qty_decimals, 0, bool(pair.stream)
    )
    for one in before.records:
        decoder.decode(one.data, one.recv_ns)
    if book.state is not BookState.BOOK_VERIFIED:
        raise ProtocolError(f"{path}: the day before does not end with a whole book")

    def side(which: BookSide) -> list[tuple[str, str]]:
        return [
            (_text(ticks, pair.price_decimals), _text(lots, pair.qty_decimals))
            for ticks, lots in book.levels(which, COPY_LEVELS)
        ]

    copy = {
        "lastUpdateId": decoder.state(pair.symbol)[0],
        "bids": side(BookSide.BID), "asks": side(BookSide.ASK),
    }  # fmt: skip
    body = json.dumps(copy, separators=(",", ":")).encode()
    return Record(recv_ns, rest_frame(pair.symbol, body))


def _text(value: int, decimals: int) -> str:
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{part:0{decimals}d}" if decimals else str(whole)
