"""Read a recording of one or more pairs as the decoder takes it, to run a bot over it.

The formats of `verify`. Rows have no receive times: the venue's own stand in for them, none before
the one ahead of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from openmm._fast.book import Book, BookState
from openmm._fast.units import BookSide
from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.venues.capture import is_capture, read_frames
from openmm.venues.coinbase.fields import as_list, as_object, loads, text_of
from openmm.venues.coinbase.verify import (
    OUTSIDE_LEVELS,
    PART,
    PRICE_DECIMALS_MAX,
    QTY_DECIMALS,
    copy_beside,
    decimals_of,
    level_changes,
    messages,
    products_beside,
)
from openmm.venues.coinbase.wire import CoinbaseDecoder
from openmm.venues.recordings import Record, RecordedPair, Recording, name_of, read_log

TIME: Final = b'"time":"'
DEPTH: Final = 400  # levels a side that are kept at least, of books of tens of thousands


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        ProtocolError: naming the file, when it is cut, of no known format, or tells no whole book.
    """
    if is_capture(path):
        records = [Record(one.recv_ns, one.data) for one in read_frames(path)]
        return _recording(path, records, {})
    if ".csv" not in path.name:
        return _recording(path, list(read_log(path)), products_beside(path))
    part = PART.match(path.name)
    if part is None:
        return _recording(path, list(_timed(messages(path))), {})
    name, number, ending = part[1], int(part[2]), part[3]
    copy = copy_beside(path, name, ending)
    if copy is None:
        raise ProtocolError(f"{path}: no snapshot of the book beside it")
    before = [copy]
    for earlier in range(1, number):
        before += level_changes(path.with_name(f"{name}_l2_part{earlier}{ending}"), name)
    changes = list(_timed(level_changes(path, name)))
    start = Record(changes[0].recv_ns if changes else 0, copy.data)
    if number > 1:
        start = _last_copy(path, _recording(path, before, {}), start.recv_ns)
    found = _recording(path, [start, *changes], {})
    # The product's name is the file's: what it trades is told there alone.
    ((_, pair),) = found.pairs.items()
    return replace(found, pairs={name_of(name.partition("_")[0].upper()): pair})


def _timed(records: Iterable[Record]) -> Iterator[Record]:
    """Give records the venue's times."""
    last_ns = 0
    for one in records:
        at = one.data.rfind(TIME)
        if at >= 0:
            text = one.data[at + len(TIME) :].partition(b'"')[0].decode()
            try:
                moment = datetime.fromisoformat(text)
            except ValueError as error:
                raise ProtocolError(f"line {one.recv_ns} has no time: {text[:40]!r}") from error
            whole_ns = int(moment.timestamp()) * 1_000_000_000
            last_ns = max(last_ns, whole_ns + moment.microsecond * 1_000)
        yield Record(last_ns, one.data)


def _recording(
    path: Path, records: Sequence[Record], told: dict[str, tuple[int, int]]
) -> Recording:
    """Find the pairs that a snapshot is told of."""
    pairs: dict[str, RecordedPair] = {}
    for one in records:
        if b'"snapshot"' not in one.data[:64]:
            continue
        message = as_object(loads(one.data))
        product = text_of(message, "product_id")
        rows = [as_list(row) for side in ("bids", "asks") for row in as_list(message[side])]
        used = max((decimals_of(row[0]) for row in rows), default=0)
        price_decimals, qty_decimals = told.get(product, (used, QTY_DECIMALS))
        name = product.replace("-", "/")
        pairs[name] = RecordedPair(
            product, min(price_decimals, PRICE_DECIMALS_MAX), qty_decimals, 0
        )
    if not pairs:
        raise ProtocolError(f"{path}: no snapshot of a book in it")
    first_ns = next((one.recv_ns for one in records if one.recv_ns), 0)
    return Recording(
        [one if one.recv_ns else Record(first_ns, one.data) for one in records], pairs, _decoder
    )


def _decoder(pair: RecordedPair, one: Instrument, book: Book) -> CoinbaseDecoder:
    made = CoinbaseDecoder()
    made.bind(
        pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
        one.qty_decimals, DEPTH,
    )  # fmt: skip
    return made


def _last_copy(path: Path, before: Recording, recv_ns: int) -> Record:
    """Write the book that a recording ends with as a snapshot."""
    ((_, pair),) = before.pairs.items()
    book = Book(outside_levels=OUTSIDE_LEVELS)
    decoder = CoinbaseDecoder()
    decoder.bind(pair.symbol, 0, book, 1, pair.price_decimals, 1, pair.qty_decimals, 0)
    for one in before.records:
        decoder.decode(one.data, one.recv_ns)
    if book.state is not BookState.BOOK_VERIFIED:
        raise ProtocolError(f"{path}: what lies before it does not end with a whole book")

    def side(which: BookSide) -> list[tuple[str, str]]:
        price, qty = 10**pair.price_decimals, 10**pair.qty_decimals
        return [
            (f"{ticks // price}.{ticks % price:0{pair.price_decimals}d}",
             f"{lots // qty}.{lots % qty:0{pair.qty_decimals}d}")
            for ticks, lots in book.levels(which, 2 * OUTSIDE_LEVELS)
        ]  # fmt: skip

    copy = {
        "type": "snapshot", "product_id": pair.symbol, "bids": side(BookSide.BID),
        "asks": side(BookSide.ASK),
    }  # fmt: skip
    return Record(recv_ns, json.dumps(copy, separators=(",", ":")).encode())
