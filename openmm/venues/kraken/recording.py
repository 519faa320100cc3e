"""Read a capture of one or more pairs as the decoder takes it, to run a bot over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openmm._fast.book import Book
from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.venues.capture import read_frames
from openmm.venues.kraken.fields import as_decimal, as_int, as_list, as_object, loads, text_of
from openmm.venues.kraken.verify import decimals_of, depth_for
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.recordings import Record, RecordedPair, Recording


def read_recording(path: Path) -> Recording:
    """Read a capture.

    Raises:
        ProtocolError: naming the file, when it is cut, no capture, or tells no whole book.
    """
    records = [Record(one.recv_ns, one.data) for one in read_frames(path)]
    depths: dict[str, int] = {}
    pairs: dict[str, RecordedPair] = {}
    for one in records:
        if b'"book"' not in one.data or b'"snapshot"' not in one.data:
            continue
        message = as_object(loads(one.data))
        if message.get("method") == "subscribe":
            result = as_object(message.get("result"))
            depths[text_of(result, "symbol")] = as_int(result.get("depth"))
        elif message.get("channel") == "book":
            book = as_object(as_list(message.get("data"))[0])
            name = text_of(book, "symbol")
            if name not in pairs:
                pairs[name] = _pair(name, book, depths.get(name, 0))
    if not pairs:
        raise ProtocolError(f"{path}: no snapshot of a book in it")
    return Recording(records, pairs, decoder)


def _pair(name: str, book: Mapping[str, Any], depth: int) -> RecordedPair:
    sides = [[as_object(one) for one in as_list(book.get(side))] for side in ("bids", "asks")]
    levels = [one for side in sides for one in side]
    return RecordedPair(
        name,
        decimals_of(as_decimal(one.get("price")) for one in levels),
        decimals_of(as_decimal(one.get("qty")) for one in levels),
        depth or depth_for(max(map(len, sides))),
    )


def decoder(pair: RecordedPair, one: Instrument, book: Book) -> KrakenDecoder:
    """Make a decoder bound to the book of a recorded pair, its checksums verified."""
    made = KrakenDecoder()
    made.bind(
        pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
        one.qty_decimals, int(pair.stream),
    )  # fmt: skip
    return made
