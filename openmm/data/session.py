"""The market frames of a session's journal, per venue, through their decoders into columns.

A journal holds every frame of every market that a bot follows, quoted or watched, as it came. A
connection that was lost breaks its book, as it did in the session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

from openmm._fast.book import Book, BookBreak
from openmm._fast.changes import ChangeLog
from openmm._fast.ports import Decoder
from openmm._fast.tape import Record
from openmm.config import Venue
from openmm.config.load import read_options
from openmm.config.restore import restore
from openmm.data.events import Events, Market, from_rows, plain
from openmm.data.raw import COUNTED, OUTSIDE_LEVELS, Converted, Progress, finished, source_of
from openmm.errors import ConfigError, JournalError
from openmm.instrument import Instrument
from openmm.journal import Journal, JournalRecord, SessionRecord, read_payload, segment_paths
from openmm.venues import registry
from openmm.venues.connector import Named

PROGRESS_RECORDS: Final = 1 << 13
DOWN: Final = b"0"


def is_journal(path: Path) -> bool:
    """Whether a folder holds the segments of a journal."""
    return path.is_dir() and bool(segment_paths(path))


def journal_of(path: Path) -> Path | None:
    """Return the folder of segments that is meant; None: none is.

    That is a session's journal, or the last one of a run's folder (`RUN/journal/SESSION`, as
    `openmm run` writes it) or of its journal's.
    """
    for folder in (path, path / "journal"):
        if is_journal(folder):
            return folder
        # Sessions are named after their begin.
        sessions = sorted(one for one in folder.glob("*") if is_journal(one))
        if sessions:
            return sessions[-1]
    return None


def convert(
    folder: Path,
    *,
    pair: str = "",
    lot_size: Decimal | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Converted]:
    """Read a journal, market after market; `pair`: only this one.

    Raises:
        JournalError: it is damaged, cut at its beginning, or of a build that this one cannot read.
        ConfigError: it has no such pair.
    """
    records = iter(Journal(folder))
    session, instruments, first = _beginning(records)
    try:
        config = restore(session.config)
    except ConfigError as error:
        raise JournalError(f"the journal's configuration is another build's: {error}") from None
    symbols = cast("Mapping[str, Mapping[str, str]]", session.seeds).get("symbols", {})
    feeds: list[tuple[ChangeLog, Decoder, Book, Instrument]] = []
    for venue, instrument in zip(config.venue, instruments, strict=False):
        connector = registry.connector(venue, None)
        if isinstance(connector, Named):
            connector.recall(instrument, symbols[venue.label])
        book = Book(outside_levels=OUTSIDE_LEVELS)
        decoder = connector.market_decoder(
            instrument, book, depth=venue.depth, verify=venue.verify_checksum
        )
        log = ChangeLog(book)
        decoder.set_sink(log)
        feeds.append((log, decoder, book, instrument))
    names = [one.name for *_, one in feeds]
    if pair and pair not in names:
        raise ConfigError("pair", pair, f"one of {', '.join(names)}")
    _follow(folder, first, records, feeds, on_progress)
    sources = tuple(source_of(one) for one in segment_paths(folder))
    for venue, (log, decoder, _, instrument) in zip(config.venue, feeds, strict=True):
        if pair and instrument.name != pair:
            continue
        market = market_of(venue, instrument)
        events: Events = from_rows(market, log.take())
        notes = {key: decoder.counters[key] for key in COUNTED if decoder.counters[key]}
        if len(events):
            yield finished(events, sources, notes, lot_size or market.lot_size)


def market_of(venue: Venue, instrument: Instrument) -> Market:
    """Describe a venue of a bot's file in the steps that its decoder counts in."""
    market = str(read_options(venue).get("market", ""))
    # COIN-M's quantities are contracts, whatever the lots of a pair are.
    lot_size = Decimal(1) if market == "coinm" else plain(instrument.lot_size)
    return Market(
        venue.name, instrument.name, plain(instrument.tick_size), lot_size, venue.depth, market
    )


def _beginning(
    records: Iterator[JournalRecord],
) -> tuple[SessionRecord, list[Instrument], JournalRecord | None]:
    session: SessionRecord | None = None
    instruments: list[Instrument] = []
    for one in records:
        if one.kind == Record.REC_SESSION:
            found = read_payload(one)
            assert isinstance(found, SessionRecord)
            session = found
        elif one.kind == Record.REC_INSTRUMENT and session is not None:
            told = read_payload(one)
            assert isinstance(told, Instrument)
            instruments.append(told)
        elif session is not None:
            return session, instruments, one
        else:
            break
    if session is None:
        raise JournalError("the journal's first segment is not there: it tells no session")
    return session, instruments, None


def _follow(
    folder: Path,
    first: JournalRecord | None,
    records: Iterator[JournalRecord],
    feeds: list[tuple[ChangeLog, Decoder, Book, Instrument]],
    on_progress: Progress | None,
) -> None:
    done = 0
    one = first
    while one is not None:
        if one.source < len(feeds):
            log, decoder, book, _ = feeds[one.source]
            if one.kind == Record.REC_FRAME:
                log.decode(decoder, one.payload, one.ts_ns)
            elif one.kind == Record.REC_CONNECTION and one.payload == DOWN:
                book.break_(BookBreak.BREAK_DISCONNECT)
                log.look(one.ts_ns)
        done += 1
        if on_progress is not None and done % PROGRESS_RECORDS == 0:
            on_progress(folder.name, done, 0)
        one = next(records, None)
