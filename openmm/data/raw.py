"""Recordings of what venues sent, through the decoders that trade on it, into columns.

A decoder knows what a message means (increments held for a snapshot, cuts to a depth, checksums):
events are what it did to its book, as `_fast.changes` compares it, and the trades it told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from openmm._fast.book import Book
from openmm._fast.changes import ChangeLog
from openmm._fast.ports import Decoder
from openmm.data import binance, kraken_v1
from openmm.data.events import Events, Market, coarsest, from_rows, plain, sealed
from openmm.data.store import Source
from openmm.errors import ConfigError, DataError, ProtocolError
from openmm.instrument import Instrument
from openmm.venues.capture import is_capture, read_head
from openmm.venues.readers import READERS, named
from openmm.venues.recordings import Record, RecordedPair, Recording

OUTSIDE_LEVELS: Final = 1 << 16
EPOCH_NS_MIN: Final = 10**18  # a receive time below it is no time since 1970
PROGRESS_RECORDS: Final = 1 << 13
# Counters of decoders that say that something was not as it should be.
COUNTED: Final = (
    "gaps", "trade_gaps", "checksums_failed", "crossed", "off_tick", "bounds", "capacity",
    "parse_errors", "overflows", "trades_repeated", "trades_rounded", "levels_rounded",
)  # fmt: skip
# (what is read, messages done, messages in all)
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """One market's events, where they are from, and what was met on the way.

    Args:
        notes: counts by name: what the decoder refused or rounded, receive times moved.
    """

    events: Events
    sources: tuple[Source, ...]
    notes: Mapping[str, int]


def convert(
    venue: str,
    path: Path,
    *,
    pair: str = "",
    quotes: bool = False,
    lot_size: Decimal | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Converted]:
    """Read a recording, one market after the other.

    Args:
        pair: only this one; all unless told.
        quotes: add the best prices that Binance tells beside the book (`bookTicker`). A recording
            that never holds a whole book has them in any case: they are all it tells.
        lot_size: instead of the coarsest lots that all quantities are whole in.

    Raises:
        ProtocolError, DataError: the file is cut or damaged, or no recording of that venue.
        ConfigError: it holds no such pair.
    """
    source: tuple[Source, ...] = (source_of(path),)
    if venue == "kraken" and kraken_v1.is_log(path):
        beside = kraken_v1.trades_beside(path)
        if beside is not None:
            source += (source_of(beside),)
        for events, notes in kraken_v1.convert(path, beside, pair, on_progress):
            yield finished(events, source, notes, lot_size)
        return
    unbased = venue == "binance" and binance.is_unbased(path)
    recording = (named(binance.read_unbased) if unbased else READERS[venue])(path)
    if pair and pair not in recording.pairs:
        raise ConfigError("pair", pair, f"one of {', '.join(recording.pairs)}")
    records = _since_1970(path, recording.records)
    for name, told in recording.pairs.items():
        if pair and name != pair:
            continue
        market = market_of(venue, name, told, records)
        log, decoder = _opened(recording, told, market)
        beside_book = None
        if venue == "binance":
            beside_book = binance.Beside(log, told, quotes=quotes or unbased)
        follow(log, decoder, records, beside_book, on_progress, market.label)
        notes = {key: decoder.counters[key] for key in COUNTED if decoder.counters[key]}
        if log.history_count:
            notes["trades_of_before"] = log.history_count
        if beside_book is not None and beside_book.rounded:
            notes["quotes_rounded"] = beside_book.rounded
        yield finished(from_rows(market, log.take()), source, notes, lot_size)


def _opened(recording: Recording, told: RecordedPair, market: Market) -> tuple[ChangeLog, Decoder]:
    book = Book(outside_levels=OUTSIDE_LEVELS)
    log = ChangeLog(book)
    decoder = recording.decoder(told, instrument_of(market, told), book)
    decoder.set_sink(log)
    return log, decoder


def follow(
    log: ChangeLog,
    decoder: Decoder,
    records: Sequence[Record],
    beside: Callable[[Record], bool] | None = None,
    on_progress: Progress | None = None,
    name: str = "",
) -> None:
    """Put all messages through a decoder and write down what it does.

    Args:
        beside: sees each message first; true: it was told in full, and is not for the decoder.
    """
    decode = log.decode
    for done, one in enumerate(records):
        if on_progress is not None and done % PROGRESS_RECORDS == 0:
            on_progress(name, done, len(records))
        if beside is None or not beside(one):
            decode(decoder, one.data, one.recv_ns)
    if on_progress is not None:
        on_progress(name, len(records), len(records))


def finished(
    events: Events, sources: Iterable[Source], notes: Mapping[str, int], lot_size: Decimal | None
) -> Converted:
    """Make receive times monotone, choose the lots, and say what was done.

    Raises:
        ConfigError: a quantity is finer than the lots wanted.
    """
    made, moved = sealed(events)
    try:
        made = coarsest(made, lot_size)
    except ValueError as error:
        raise ConfigError("lot size", str(lot_size), f"lots that hold the data ({error})") from None
    return Converted(made, tuple(sources), {**notes, **{k: v for k, v in moved.items() if v}})


def market_of(venue: str, name: str, told: RecordedPair, records: Sequence[Record]) -> Market:
    """Describe a recorded pair in the steps that its decoder is given."""
    market, pair = "", name
    if venue == "binance":
        market, pair = binance.market_of(name, told, records)
    depth = told.stream if isinstance(told.stream, int) and venue != "binance" else 0
    return Market(
        venue, pair, step(told.price_decimals), step(told.qty_decimals), depth, market
    )  # fmt: skip


def step(decimals: int) -> Decimal:
    """Return the step of so many decimals."""
    return plain(Decimal(1).scaleb(-decimals))


def instrument_of(market: Market, told: RecordedPair) -> Instrument:
    """Describe a recorded pair as a venue would list it, as far as a decoder asks."""
    base, _, quote = market.pair.partition("/")
    return Instrument(
        venue=market.venue, name=market.pair, base=base, quote=quote or base,
        price_decimals=told.price_decimals, qty_decimals=told.qty_decimals,
        tick_size=step(told.price_decimals), lot_size=step(told.qty_decimals),
        qty_min=step(told.qty_decimals), cost_min=Decimal(0),
        base_decimals=told.qty_decimals, quote_decimals=told.price_decimals + told.qty_decimals,
    )  # fmt: skip


def source_of(path: Path) -> Source:
    """Name a file and hash it.

    Raises:
        DataError: it cannot be read.
    """
    found = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                found.update(chunk)
            return Source(path.name, found.hexdigest(), file.tell())
    except OSError as error:
        raise DataError(path, "file", error.strerror, "a file that can be read") from error


def _since_1970(path: Path, records: Sequence[Record]) -> Sequence[Record]:
    """Move times of a clock with an arbitrary origin: a capture's first frame came at its start."""
    first_ns = records[0].recv_ns if records else EPOCH_NS_MIN
    if first_ns >= EPOCH_NS_MIN or not is_capture(path):
        return records
    start_ns = read_head(path).start_ns
    if start_ns < EPOCH_NS_MIN:
        raise ProtocolError(f"{path}: neither its start nor its frames have a time since 1970")
    return [replace_time(one, start_ns - first_ns) for one in records]


def replace_time(record: Record, shift_ns: int) -> Record:
    """Return a record received that much later."""
    return Record(record.recv_ns + shift_ns, record.data)
