"""A market and span in one file, `.omd`, that backtests map into memory.

Layout: the magic `OMDATA1` and a newline; the length of the header, u64; the header, JSON
(`Header`); zeros to a multiple of 4,096 bytes; then the columns of `Events` in their order, little
endian, each from a multiple of 64 bytes on: four of i8 and one of u2.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, final

import msgspec
import numpy as np

from openmm import whole
from openmm.data.events import (
    BROKEN,
    CLEAR,
    COLUMNS,
    FILTERED,
    FLAGS_MAX,
    KIND_BITS,
    KINDS,
    QUOTE,
    READ_END,
    TRADE,
    Events,
    Flags,
    Int64s,
    Market,
)
from openmm.errors import DataError

MAGIC: Final = b"OMDATA1\n"
SUFFIX: Final = ".omd"
STEP_DIGITS_MAX: Final = 18  # of a tick or a lot, ahead of the point or behind it
FORMAT: Final = 1
PAGE: Final = 4096
ALIGN: Final = 64
HEADER_BYTES_MAX: Final = 1 << 24
TIME_NS_MAX: Final = (1 << 63) - 1
# What a book takes: `OPENMM_BOOK_PRICE_MAX` and `OPENMM_BOOK_QTY_MAX`.
PRICE_TICKS_MAX: Final = 1 << 40
QTY_LOTS_MAX: Final = 1 << 52
TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(COLUMNS[:4], "<i8"), "flags": "<u2",
}  # fmt: skip


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that the events were read from."""

    name: str
    sha256: str
    bytes: int


class _Problem(msgspec.Struct):
    severity: str
    name: str
    text: str


class _Integrity(msgspec.Struct):
    """What is read of an integrity report that a file holds."""

    verdict: str = ""
    problems: list[_Problem] = []


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says of itself.

    Args:
        tick_size, lot_size: decimal texts, in quote and base units.
        depth: as in `Market`.
        events: how many.
        counts: events by kind.
        first_ns, last_ns: receive times, ns since 1970; 0 without events.
        first_venue_ns, last_venue_ns: least and greatest venue times told; 0: none.
        notes: what the conversion did and met, by name.
        integrity: the figures of `integrity.examine` when it was written.
        content: blake2b-256 of all columns.
    """

    format: int
    venue: str
    market: str
    pair: str
    tick_size: str
    lot_size: str
    depth: int
    events: int
    counts: dict[str, int]
    first_ns: int
    last_ns: int
    first_venue_ns: int
    last_venue_ns: int
    sources: list[Source]
    notes: dict[str, int]
    integrity: dict[str, Any]
    content: str


@final
@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """An opened file: its header, and its events as read-only columns mapped from it.

    `events` holds the columns (shapes and units there); those below are the same arrays.
    """

    path: Path
    header: Header
    events: Events

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.events)

    @property
    def market(self) -> Market:
        """Return what is traded where, and its steps."""
        return self.events.market

    @property
    def recv_ns(self) -> Int64s:
        """Return int64[n]: when received, ns since 1970 UTC."""
        return self.events.recv_ns

    @property
    def venue_ns(self) -> Int64s:
        """Return int64[n]: the venue's time, ns since 1970 UTC; 0: not told."""
        return self.events.venue_ns

    @property
    def price_ticks(self) -> Int64s:
        """Return int64[n]: price / tick size."""
        return self.events.price_ticks

    @property
    def qty_lots(self) -> Int64s:
        """Return int64[n]: quantity / lot size."""
        return self.events.qty_lots

    @property
    def flags(self) -> Flags:
        """Return uint16[n]: kind, side and ends; see `Events`."""
        return self.events.flags

    def between(self, start_ns: int, end_ns: int) -> Events:
        """Return the events received in [start_ns, end_ns); see `Events.between`."""
        return self.events.between(start_ns, end_ns)

    def opened(self, start_ns: int, end_ns: int) -> Events:
        """Return them behind the book that they meet; see `Events.opened`."""
        return self.events.opened(start_ns, end_ns)


# ---------------------------------------------------------------- write


def write(
    path: Path,
    events: Events,
    *,
    sources: Sequence[Source] = (),
    notes: Mapping[str, int] | None = None,
    integrity: Mapping[str, Any] | None = None,
) -> Header:
    """Write a file; one that was there is replaced in one step, or stays as it is.

    Raises:
        DataError: the events or their market are none that a file may hold, or it cannot be
            written.
    """
    validate(path, events)
    market = events.market
    told = events.venue_ns[events.venue_ns > 0]
    n = len(events)
    first_ns, last_ns = _ends(events)
    header = Header(
        format=FORMAT, venue=market.venue, market=market.market, pair=market.pair,
        tick_size=format(market.tick_size, "f"), lot_size=format(market.lot_size, "f"),
        depth=market.depth, events=n, counts=counts_of(events.flags),
        first_ns=first_ns, last_ns=last_ns,
        first_venue_ns=int(told.min(initial=1 << 62)) if len(told) else 0,
        last_venue_ns=int(told.max(initial=0)),
        sources=list(sources), notes=dict(notes or {}), integrity=dict(integrity or {}),
        content=digest(events),
    )  # fmt: skip
    text = msgspec.json.encode(header)
    checked_header(path, text)  # what no one could read replaces nothing
    begin, places, size = _places(len(MAGIC) + 8 + len(text), n)
    with replacing(path) as name, open(name, "wb") as file:
        file.write(MAGIC + len(text).to_bytes(8, "little") + text)
        file.write(bytes(begin - file.tell()))
        for column in COLUMNS:
            file.write(bytes(places[column] - file.tell()))
            data = np.ascontiguousarray(getattr(events, column), dtype=TYPES[column])
            file.write(data.data.cast("B") if n else b"")
        file.write(bytes(size - file.tell()))
    return header


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Name a file beside `path` to write to, as `openmm.whole` does.

    Raises:
        DataError: it cannot be written.
    """
    try:
        with whole.replacing(path, mode=whole.SHARED) as fresh:
            yield fresh
    except OSError as error:
        raise DataError(path, "file", error.strerror, "a place that can be written to") from error


def counts_of(flags: Flags) -> dict[str, int]:
    """Count events by kind, and trades that are not the market's."""
    found = np.bincount(flags & np.uint16(KIND_BITS), minlength=KIND_BITS + 1)
    counts = {name: int(found[kind]) for name, kind in KINDS.items()}
    counts["filtered"] = int(np.count_nonzero(flags & np.uint16(FILTERED)))
    return counts


def digest(events: Events) -> str:
    """Return blake2b-256 of all columns, in hexadecimal."""
    found = blake2b(digest_size=32)
    for column in COLUMNS:
        data = np.ascontiguousarray(getattr(events, column), dtype=TYPES[column])
        found.update(data.data.cast("B") if len(data) else b"")
    return found.hexdigest()


def _places(header_bytes: int, n: int) -> tuple[int, dict[str, int], int]:
    """Return where the columns begin, where each stands, and the file's size."""
    begin = at = -(-header_bytes // PAGE) * PAGE
    places = {}
    for column in COLUMNS:
        places[column] = at
        at += n * np.dtype(TYPES[column]).itemsize
        at = -(-at // ALIGN) * ALIGN
    return begin, places, at


# ---------------------------------------------------------------- read


def read_header(path: Path) -> Header:
    """Read what a file says of itself; only the size of the rest is looked at.

    Raises:
        DataError: no such file, or not one of these.
    """
    return _read_header(Path(path))[0]


def load(path: Path | str, *, whole: bool = True) -> Store:
    """Open a file; its columns are mapped, read-only, and shared by all who map it.

    Args:
        whole: look at every event's time, flags and quantity. A file that was looked at before,
            such as by the parent of a worker, needs it no more.

    Raises:
        DataError: naming file, place, value and what is allowed.
    """
    path = Path(path)
    header, header_bytes = _read_header(path)
    _, places, _ = _places(header_bytes, header.events)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    columns = [
        np.frombuffer(data, TYPES[one], count=header.events, offset=places[one]) for one in COLUMNS
    ]
    market = Market(
        header.venue, header.pair, Decimal(header.tick_size), Decimal(header.lot_size),
        header.depth, header.market,
    )  # fmt: skip
    events = Events(market, *columns)
    if (header.first_ns, header.last_ns) != (ends := _ends(events)):
        told = f"{header.first_ns}, {header.last_ns}"
        raise DataError(path, "header, first_ns and last_ns", told, f"those in it, {ends}")
    if whole:
        validate(path, events)
        counted = counts_of(events.flags)
        if counted != header.counts:
            raise DataError(path, "header, counts", header.counts, f"what is in it, {counted}")
    return Store(path, header, events)


def _ends(events: Events) -> tuple[int, int]:
    """Return the first and the last receive time; 0 without events."""
    return (int(events.recv_ns[0]), int(events.recv_ns[-1])) if len(events) else (0, 0)


def _read_header(path: Path) -> tuple[Header, int]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                raise DataError(path, "byte 0", magic, f"the magic {MAGIC!r}")
            n_bytes = int.from_bytes(file.read(8), "little")
            if not 2 <= n_bytes <= min(HEADER_BYTES_MAX, size - len(MAGIC) - 8):
                allowed = f"a header of 2 to {HEADER_BYTES_MAX:,} bytes inside the file"
                raise DataError(path, f"byte {len(MAGIC)}", n_bytes, allowed)
            text = file.read(n_bytes)
    except OSError as error:
        raise DataError(path, "file", error.strerror, "a file that can be read") from error
    header = checked_header(path, text)
    header_bytes = len(MAGIC) + 8 + n_bytes
    wanted = _places(header_bytes, header.events)[2]
    if size != wanted:
        raise DataError(path, "size", size, f"{wanted:,} bytes for {header.events:,} events")
    return header, header_bytes


def checked_header(path: Path, text: bytes) -> Header:
    """Read a header's JSON by the rules of the file's format.

    Raises:
        DataError: naming the field, what it holds and what it may.
    """
    if len(text) > HEADER_BYTES_MAX:
        raise DataError(path, "header", len(text), f"at most {HEADER_BYTES_MAX:,} bytes")
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DataError(path, "header", str(error), "JSON") from error
    told = found.get("format") if isinstance(found, dict) else None
    if told != FORMAT:
        raise DataError(path, "header, format", told, f"{FORMAT}, the one of this build")
    try:
        header = msgspec.json.decode(text, type=Header)
    except msgspec.ValidationError as error:
        raise DataError(path, "header", str(error), "the fields of its format") from error
    _check_words(path, header)
    for place, value in (("tick_size", header.tick_size), ("lot_size", header.lot_size)):
        try:
            step = Decimal(value)
            good = step.is_finite() and step > 0 and abs(step.adjusted()) <= STEP_DIGITS_MAX
        except InvalidOperation:
            good = False
        if not good or len(value) > 2 * STEP_DIGITS_MAX:
            allowed = f"a decimal above 0, within {STEP_DIGITS_MAX} digits of the point"
            raise DataError(path, f"header, {place}", value, allowed)
    for place in ("first_ns", "last_ns", "first_venue_ns", "last_venue_ns"):
        time_ns = getattr(header, place)
        if not 0 <= time_ns <= TIME_NS_MAX:
            raise DataError(path, f"header, {place}", time_ns, f"0 to {TIME_NS_MAX:,}")
    if header.counts.keys() != {*KINDS, "filtered"}:
        allowed = f"events of each kind: {', '.join((*KINDS, 'filtered'))}"
        raise DataError(path, "header, counts", header.counts, allowed)
    if header.events < 0:
        raise DataError(path, "header, events", header.events, "a number from 0 on")
    return header


def _check_words(path: Path, header: Header) -> None:
    """Refuse what would not come out in one line: a listing is read line by line.

    Raises:
        DataError: a name, or a word of the report, holds what is not printable, or is none.
    """
    try:
        report = msgspec.convert(header.integrity, _Integrity)
    except msgspec.ValidationError as error:
        allowed = "a report's verdict and problems"
        raise DataError(path, "header, integrity", str(error), allowed) from error
    words = [
        ("venue", header.venue), ("market", header.market), ("pair", header.pair),
        ("integrity", report.verdict), *(("integrity", one.text) for one in report.problems),
    ]  # fmt: skip
    for place, word in words:
        if not word.isprintable():
            raise DataError(path, f"header, {place}", word, "printable characters")


def validate(path: object, events: Events) -> None:
    """Look at every event: times that do not fall, known flags, quantities and prices in place.

    Raises:
        DataError: at the first one that may not be.
    """
    n = len(events)
    for name in COLUMNS:
        if len(getattr(events, name)) != n:
            raise DataError(path, name, len(getattr(events, name)), f"{n} entries, as flags has")
    if not n:
        return
    times, flags = events.recv_ns, events.flags
    _refuse(path, "flags", flags, flags > FLAGS_MAX, f"bits within {FLAGS_MAX:#x}")
    kinds = flags & np.uint16(KIND_BITS)
    _refuse(path, "flags", flags, (kinds == 0) | (kinds > QUOTE), f"a kind of {KINDS}")
    bad = ((flags & np.uint16(FILTERED)) != 0) & (kinds != TRADE)
    _refuse(path, "flags", flags, bad, "the mark of a filtered trade on trades alone")
    _refuse(path, "recv_ns", times, times <= 0, "a time, above 0")
    falls = np.zeros(n, bool)
    falls[1:] = times[1:] < times[:-1]
    _refuse(path, "recv_ns", times, falls, "no time before the one ahead of it")
    ends = np.ones(n, bool)
    ends[:-1] = times[1:] != times[:-1]
    bad = ((flags & np.uint16(READ_END)) != 0) != ends
    _refuse(path, "flags", flags, bad, "the end of a read where the receive time moves on")
    _refuse(path, "venue_ns", events.venue_ns, events.venue_ns < 0, "a time, or 0")
    empty = (kinds == CLEAR) | (kinds == BROKEN)
    prices, qtys = events.price_ticks, events.qty_lots
    _refuse(path, "price_ticks", prices, (prices > 0) == empty, "above 0; 0 of CLEAR and BROKEN")
    _refuse(path, "qty_lots", qtys, (qtys < 0) | (empty & (qtys != 0)), "0 or more")
    for name, values, most in (
        ("price_ticks", prices, PRICE_TICKS_MAX), ("qty_lots", qtys, QTY_LOTS_MAX),
    ):  # fmt: skip
        _refuse(path, name, values, values > most, f"at most {most:,}, as a book takes")


def _refuse(path: object, name: str, values: Any, bad: Any, allowed: str) -> None:
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(path, f"{name}, event {at}", int(values[at]), allowed)
