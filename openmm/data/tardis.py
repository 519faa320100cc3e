"""Tardis' downloadable CSV files into columns: `incremental_book_L2`, `trades`, `book_snapshot_*`.

Source: docs.tardis.dev, "Downloadable CSV files", data types (read 2026-11). Times are microseconds
since 1970: `timestamp` the venue's, `local_timestamp` of arrival. Rows of one `local_timestamp` are
one message. A snapshot row behind one that is none begins a new book; updates ahead of the first
snapshot are to be passed over. `side` of a trade is the taker's, or `unknown`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import compute, csv

from openmm._fast.book import Book
from openmm._fast.changes import ChangeLog
from openmm.data.events import (
    ASK,
    CLEAR,
    LEVEL,
    MESSAGE_END,
    OUTSIDE_LEVELS,
    TRADE,
    Events,
    Int64s,
    Market,
    from_rows,
    joined,
    merged_events,
    plain,
)
from openmm.data.raw import Converted, Progress, finished, source_of
from openmm.errors import ConfigError, DataError, ProtocolError
from openmm.venues.capture import reading
from openmm.venues.recordings import name_of

US_NS: Final = 1_000
US_MIN, US_MAX = 10**15, 9 * 10**15  # of a time: others are no microseconds since 1970
HEAD_BYTES_MAX: Final = 1 << 16
DECIMALS_MAX: Final = 15
WHOLE_MAX: Final = float(1 << 52)
TOP_PRICE: Final = r"(bids|asks)\[\d+\]\.price"
SHARED: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
# Their name of a venue, where ours is another: venue and market.
VENUES: Final[Mapping[str, tuple[str, str]]] = {
    "binance": ("binance", "spot"), "binance-futures": ("binance", "usdm"),
    "binance-delivery": ("binance", "coinm"), "gate-io": ("gateio", ""),
}  # fmt: skip


@final
@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """One file: what it is of, and its columns as texts."""

    path: Path
    kind: str  # book, trades or tops
    theirs: str  # their name of the venue
    symbol: str
    table: Any


def kind_of(path: Path) -> str:
    """Tell what rows a file holds: `book`, `trades`, `tops`; empty: not one of these files.

    Raises:
        ProtocolError: naming the file, when it is cut or damaged.
    """
    if ".csv" not in path.name:
        return ""
    with reading(path) as file:
        names = file.readline(HEAD_BYTES_MAX).decode("utf-8", "replace").strip().split(",")
    if names[:4] != list(SHARED):
        return ""
    if "is_snapshot" in names:
        return "book"
    if "id" in names and "amount" in names:
        return "trades"
    return "tops" if "bids[0].price" in names else ""


def convert(
    paths: Sequence[Path],
    *,
    lot_size: Decimal | None = None,
    on_progress: Progress | None = None,
) -> list[Converted]:
    """Read files; those of one market become one stream, in the order of arrival.

    Raises:
        DataError: a file is damaged, or a row of it cannot be read.
        ConfigError: a market comes with increments and with snapshots alone.
    """
    grouped: dict[tuple[str, str], list[_File]] = defaultdict(list)
    for at, path in enumerate(paths):
        if on_progress is not None:
            on_progress(path.name, at, len(paths))
        one = _read(path)
        grouped[one.theirs, one.symbol].append(one)
    found = []
    for (theirs, symbol), files in grouped.items():
        kinds = {one.kind for one in files}
        if {"book", "tops"} <= kinds:
            allowed = "either incremental_book_L2 or book_snapshot files of a market"
            raise ConfigError("files", f"both of {theirs} {symbol}", allowed)
        market = _market(theirs, symbol, files)
        notes: dict[str, int] = defaultdict(int)
        files.sort(key=lambda one: (_ints(one, "local_timestamp")[:1].tolist(), one.path))
        parts = [_READERS[one.kind](one, market, notes) for one in files]
        events, moved = merged_events(market, parts)
        notes.update(moved)
        sources = [source_of(one.path) for one in files]
        kept = {name: count for name, count in notes.items() if count}
        found.append(finished(events, sources, kept, lot_size))
    return found


def _read(path: Path) -> _File:
    kind = kind_of(path)
    if not kind:
        allowed = "a CSV file of incremental_book_L2, trades or book_snapshot"
        raise DataError(path, "header", "other columns", allowed)
    try:
        with reading(path) as file:
            names = file.readline(HEAD_BYTES_MAX).decode().strip().split(",")
        _check_names(path, kind, names)
        texts = dict.fromkeys(names, pyarrow.string())
        whole = dict.fromkeys(("timestamp", "local_timestamp"), pyarrow.int64())
        with reading(path) as file:
            table = csv.read_csv(
                file, convert_options=csv.ConvertOptions(column_types=texts | whole)
            )
    except (pyarrow.ArrowException, OSError, EOFError, UnicodeDecodeError, ProtocolError) as error:
        raise DataError(path, "rows", str(error), "whole rows of its columns") from error
    if not table.num_rows:
        raise DataError(path, "rows", 0, "a row at least")
    for name in SHARED:
        if table.column(name).null_count:
            raise DataError(path, f"column {name}", None, "a value in each row")
    told = []
    for name in ("exchange", "symbol"):
        values = compute.unique(table.column(name)).to_pylist()
        if len(values) != 1:
            raise DataError(path, f"column {name}", values[:3], "one market in a file")
        told.append(values[0])
    return _File(path, kind, told[0], told[1], table)


def _check_names(path: Path, kind: str, names: Sequence[str]) -> None:
    """Refuse a header that names a column twice, or lacks one that is read.

    Raises:
        DataError: it does.
    """
    needed = {"price", "amount", "side"}
    if kind == "tops":
        needed = {f"{one[:-5]}amount" for one in names if re.fullmatch(TOP_PRICE, one)}
        needed |= {"asks[0].price"}
    twice = [name for name, count in Counter(names).items() if count > 1]
    missing = sorted(needed - set(names))
    if twice or missing:
        allowed = f"{', '.join(twice or missing)} {'once' if twice else 'among them'}"
        raise DataError(path, "header", ",".join(names)[:200], allowed)


def _market(theirs: str, symbol: str, files: Sequence[_File]) -> Market:
    """Describe a market in the finest steps that its files write."""
    venue, market = VENUES.get(theirs, (theirs, ""))
    pair = symbol.replace("-", "/").replace("_", "/")
    if market == "coinm":
        pair = name_of(symbol.removesuffix("_PERP"))
    elif "/" not in pair:
        pair = name_of(symbol)
    finest = {"price": 0, "amount": 0}
    for one in files:
        for name in one.table.column_names:
            what = name.rpartition(".")[2]
            if what in finest:
                finest[what] = max(finest[what], _decimals(one, name))
    tick_size, lot_size = (plain(Decimal(1).scaleb(-finest[one])) for one in ("price", "amount"))
    return Market(venue, pair, tick_size, lot_size, 0, market)


def _decimals(one: _File, name: str) -> int:
    """Return how many decimals a column of texts uses at most."""
    texts = compute.unique(one.table.column(name)).drop_null()
    most = 0
    powers = compute.match_substring(texts, "e", ignore_case=True)
    for text in texts.filter(powers).to_pylist():
        try:
            exponent: Any = Decimal(text).normalize().as_tuple().exponent
        except InvalidOperation as error:
            allowed = "a number in each row"
            raise DataError(one.path, f"column {name}", text, allowed) from error
        most = max(most, -exponent)
    # An empty text has none of either.
    plainly = texts.filter(compute.invert(powers))
    if len(plainly):
        behind = compute.replace_substring_regex(plainly, r"^[^.]*\.?", "")
        used = compute.utf8_rtrim(behind, characters="0")
        most = max(most, int(compute.max(compute.utf8_length(used)).as_py() or 0))
    return min(most, DECIMALS_MAX)


def _ints(one: _File, name: str) -> Int64s:
    return np.asarray(one.table.column(name).to_numpy(), np.int64)


def _times(one: _File) -> tuple[Int64s, Int64s]:
    """Return when each row was received and the venue's own time, ns; 0: the venue told none."""
    found = []
    for name in ("local_timestamp", "timestamp"):
        times = _ints(one, name)
        bad = (times < US_MIN) | (times > US_MAX)
        if name == "timestamp":
            bad &= times != 0
        if bad.any():
            at = int(np.argmax(bad))
            allowed = "microseconds since 1970"
            raise DataError(one.path, f"{name}, row {at + 2}", int(times[at]), allowed)
        found.append(times * US_NS)
    return found[0], found[1]


def _steps(
    one: _File, name: str, step: Decimal, *, whole: bool = True
) -> tuple[Int64s, NDArray[np.bool_]]:
    """Return a column in steps, and where it holds nothing; `whole`: it may not."""
    texts = one.table.column(name)
    texts = compute.if_else(compute.equal(texts, ""), pyarrow.scalar(None, texts.type), texts)
    try:
        values = compute.cast(texts, pyarrow.float64())
    except pyarrow.ArrowException as error:
        raise DataError(one.path, f"column {name}", str(error), "a number in each row") from error
    numbers = np.asarray(compute.fill_null(values, float("nan")).to_numpy())
    empty = np.isnan(numbers)
    steps = np.where(empty, 0.0, numbers) / float(step)
    bad = (steps < 0) | (steps > WHOLE_MAX) | (empty if whole else False)
    if bad.any():
        at = int(np.argmax(bad))
        allowed = "0 or more"
        if steps[at] > WHOLE_MAX:
            allowed = f"{WHOLE_MAX:,.0f} steps of {step} at most: fewer decimals in the files"
        raise DataError(one.path, f"{name}, row {at + 2}", float(numbers[at]), allowed)
    nearest = np.rint(steps)
    lost = (nearest == 0) & (steps != 0)  # no quantity removes a level
    if lost.any():
        at = int(np.argmax(lost))
        allowed = f"0, or a step of {step} at least"
        raise DataError(one.path, f"{name}, row {at + 2}", float(numbers[at]), allowed)
    return nearest.astype(np.int64), empty


def _texts(one: _File, name: str) -> NDArray[Any]:
    return np.asarray(one.table.column(name).to_numpy(zero_copy_only=False), dtype=np.str_)


def _levels(one: _File, market: Market, notes: dict[str, int]) -> Events:
    """Read increments: a CLEAR ahead of each snapshot, nothing ahead of the first one."""
    told = np.char.lower(_texts(one, "is_snapshot"))  # a data frame writes True
    snapshot = told == "true"
    bad = ~snapshot & (told != "false")
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(one.path, f"is_snapshot, row {at + 2}", str(told[at]), "true or false")
    begins = snapshot.copy()
    begins[1:] &= ~snapshot[:-1]
    first = int(np.argmax(begins)) if begins.any() else len(begins)
    notes["updates_ahead_of_snapshot"] += first
    recv, venue = _times(one)
    prices, _ = _steps(one, "price", market.tick_size)
    qtys, _ = _steps(one, "amount", market.lot_size)
    sides = _texts(one, "side")
    bad = (sides != "bid") & (sides != "ask")
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(one.path, f"side, row {at + 2}", str(sides[at]), "bid or ask")
    flags = np.where(sides == "ask", LEVEL | ASK, LEVEL).astype(np.uint16)
    ends = np.ones(len(flags), bool)
    ends[:-1] = (recv[1:] != recv[:-1]) | (snapshot[1:] != snapshot[:-1])
    flags[ends] |= np.uint16(MESSAGE_END)
    at_rows = np.flatnonzero(begins)
    zero = np.zeros(len(at_rows), np.int64)
    events = Events(
        market, np.insert(recv, at_rows, recv[at_rows]), np.insert(venue, at_rows, venue[at_rows]),
        np.insert(prices, at_rows, zero), np.insert(qtys, at_rows, zero),
        np.insert(flags, at_rows, np.uint16(CLEAR)),
    )  # fmt: skip
    return events.cut(first, len(events))


def _trades(one: _File, market: Market, notes: dict[str, int]) -> Events:
    recv, venue = _times(one)
    prices, _ = _steps(one, "price", market.tick_size)
    qtys, _ = _steps(one, "amount", market.lot_size)
    sides = _texts(one, "side")
    notes["trades_side_unknown"] += int(np.count_nonzero((sides != "buy") & (sides != "sell")))
    flags = np.where(sides == "sell", TRADE | ASK, TRADE).astype(np.uint16)
    ends = np.ones(len(flags), bool)
    ends[:-1] = recv[1:] != recv[:-1]
    flags[ends] |= np.uint16(MESSAGE_END)
    return Events(market, recv, venue, prices, qtys, flags)


def _tops(one: _File, market: Market, notes: dict[str, int]) -> Events:
    """Read whole best levels a row: what is different from the row before."""
    names = one.table.column_names
    prices, qtys, sides = [], [], []
    for side, word in enumerate(("bids", "asks")):
        level = 0
        while f"{word}[{level}].price" in names:
            price, empty = _steps(one, f"{word}[{level}].price", market.tick_size, whole=False)
            qty, _ = _steps(one, f"{word}[{level}].amount", market.lot_size, whole=False)
            prices.append(np.where(empty, 0, price))
            qtys.append(qty)
            sides.append(side)
            level += 1
    rows = np.stack(
        [
            np.broadcast_to(np.array(sides, np.int64), (one.table.num_rows, len(sides))),
            np.stack(prices, axis=1), np.stack(qtys, axis=1),
        ],
        axis=2,
    )  # fmt: skip
    recv, venue = _times(one)
    book = Book(outside_levels=OUTSIDE_LEVELS)
    log = ChangeLog(book)
    for levels, recv_ns, venue_ns in zip(rows, recv.tolist(), venue.tolist(), strict=True):
        book.catch_up()
        book.apply_many(np.ascontiguousarray(levels[levels[:, 1] > 0]).data)
        book.verify(recv_ns, venue_ns)
        if book.recentre_due:
            book.recentre()
        log.look(recv_ns)
    return joined(market, [from_rows(market, log.take())])


_READERS: Final = {"book": _levels, "trades": _trades, "tops": _tops}
