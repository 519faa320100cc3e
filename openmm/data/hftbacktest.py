"""Events in the arrays that hftbacktest reads (`.npz`, member `data`), in both directions.

Source: hftbacktest 2.x documentation, "Data" and "Types" (read 2026-11): an event is `ev, exch_ts,
local_ts, px, qty, order_id, ival, fval` of 64 bytes. The low byte of `ev` is its kind (1 depth, 2
trade, 3 depth cleared, 4 depth of a snapshot, 5 best bid or offer); bits 31 and 30 say that the
exchange's side sees it at `exch_ts`, and ours at `local_ts`; bits 29 and 28 are bid or a buying
taker, ask or a selling one. Either side must find its events in the order of its own times.

What their format has no room for stands in `ival`, which is reserved and which they do not read:
bit 32 says so, bits 0 to 15 are our flags, bit 33 that the venue told no time.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from openmm._fast.book import Book
from openmm._fast.changes import follow
from openmm.data.events import (
    ASK,
    BROKEN,
    CLEAR,
    FILTERED,
    LEVEL,
    MESSAGE_END,
    OUTSIDE_LEVELS,
    QUOTE,
    TRADE,
    Events,
    Market,
    joined,
    plain,
)
from openmm.data.store import replacing
from openmm.errors import DataError

EVENT: Final = np.dtype(
    [
        ("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"),
        ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8"),
    ],
    align=True,
)  # fmt: skip
MEMBER: Final = "data"
SUFFIX: Final = ".npz"
DEPTH, TRADES, CLEARED, SNAPSHOT, BEST = 1, 2, 3, 4, 5
KIND: Final = 0xFF
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
OURS, UNTIMED = 1 << 32, 1 << 33
FLAG_BITS: Final = 0xFFFF
WHOLE_MAX: Final = float(1 << 52)
# How far from a whole number of steps a value may lie, and what its two roundings add a step.
APART_MAX: Final = 1e-6
ROUNDING: Final = 2.0**-51
# What numpy and zipfile raise of damaged, encrypted or foreign archives; MemoryError: of an array
# that is told to be larger than there is memory.
BAD_ARRAYS: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, EOFError, AttributeError,
    RuntimeError, KeyError, MemoryError,
)  # fmt: skip


def export(events: Events, path: Path, *, latency_ns: int = 0) -> int:
    """Write events so that hftbacktest can run over them; returns how far times were moved, ns.

    Receive times stay as they are. Where the recorder's clock runs behind the venue's, the venue's
    times are all moved back until the shortest delay is `latency_ns`. A trade that is not the
    market's is left out; a loss of continuity is a cleared book.

    Raises:
        DataError: it cannot be written.
    """
    table, moved_ns = arrays(events, latency_ns=latency_ns)
    with replacing(path) as name, open(name, "wb") as file:
        np.savez_compressed(file, data=table)
    return moved_ns


def arrays(events: Events, *, latency_ns: int = 0) -> tuple[NDArray[Any], int]:
    """Return events as an array of `EVENT`, and how far the venue's times were moved, in ns."""
    kept = np.flatnonzero((events.flags & np.uint16(FILTERED)) == 0)
    flags = events.flags[kept].astype(np.int64)
    kinds = flags & 0xF
    local = events.recv_ns[kept]
    untimed = events.venue_ns[kept] == 0
    lag = local - events.venue_ns[kept]
    moved_ns = max(0, latency_ns - int(lag[~untimed].min(initial=latency_ns)))
    table = np.zeros(len(kept), EVENT)
    table["local_ts"] = local
    table["exch_ts"] = np.where(untimed, local - latency_ns, events.venue_ns[kept] - moved_ns)
    table["px"] = events.price_ticks[kept] * float(events.market.tick_size)
    table["qty"] = events.qty_lots[kept] * float(events.market.lot_size)
    table["ival"] = OURS | flags | np.where(untimed, UNTIMED, 0)
    kind = np.zeros(16, np.int64)
    kind[[LEVEL, TRADE, CLEAR, BROKEN, QUOTE]] = DEPTH, TRADES, CLEARED, CLEARED, BEST
    ev = kind[kinds]
    ev[(kinds == LEVEL) & _in_snapshot(kinds, flags)] = SNAPSHOT
    sided = (kinds == LEVEL) | (kinds == TRADE) | (kinds == QUOTE)
    ev |= np.where(sided, np.where(flags & ASK, SELL, BUY), 0)
    table["ev"] = ev.astype(np.uint64)
    return _ordered(table), moved_ns


def _in_snapshot(kinds: NDArray[np.int64], flags: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which events are of the message that a CLEAR begins."""
    message = np.zeros(len(flags), np.int64)
    message[1:] = np.cumsum((flags & MESSAGE_END) != 0)[:-1]
    cleared = np.where(kinds == CLEAR, message, -1)
    last = np.maximum.accumulate(cleared) if len(cleared) else cleared
    return np.asarray(last == message)


def _ordered(table: NDArray[Any]) -> NDArray[Any]:
    """Let the exchange's side see events in its order: those that came late stand twice."""
    exch = table["exch_ts"]
    latest = np.maximum.accumulate(exch) if len(exch) else exch
    late = exch < latest
    early = np.flatnonzero(~late)
    moved = table[late]
    moved = moved[np.argsort(moved["exch_ts"], kind="stable")]
    moved["ev"] |= np.uint64(EXCH)
    moved["ival"] = 0
    places = np.searchsorted(exch[early], moved["exch_ts"], side="right")
    made = table.copy()
    made["ev"] |= np.where(late, LOCAL, LOCAL | EXCH).astype(np.uint64)
    return np.insert(made, np.append(early, len(table))[places], moved)


def read(path: Path, market: Market) -> Events:
    """Read what hftbacktest would run over, as our side of it received it.

    A book cleared on one side up to a price is told as the levels that this removes. Arrays that
    begin with a snapshot and no clearing get one ahead of it.

    Raises:
        DataError: it is no such file, holds what no book of levels can (single orders), or a price
            or quantity that the market's steps do not: the arrays do not tell theirs, and what is
            rounded to wrong ones is another market.
    """
    table = _table(path)
    known = (table["ev"] & np.uint64(EXCH | LOCAL)) != 0
    table = table[(table["ev"] & np.uint64(LOCAL)) != 0] if known.any() else table
    table = table[np.argsort(table["local_ts"], kind="stable")]
    kinds = (table["ev"] & np.uint64(KIND)).astype(np.int64)
    bad = ~np.isin(kinds, (DEPTH, TRADES, CLEARED, SNAPSHOT, BEST))
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(path, f"ev, our event {at}", int(kinds[at]), "a kind of 1 to 5")
    cleared = kinds == CLEARED
    whole = cleared & ((table["ev"] & np.uint64(BUY | SELL)) == 0)
    prices = _steps(path, "px", table["px"], whole, "tick", market.tick_size)
    qtys = _steps(path, "qty", table["qty"], cleared, "lot", market.lot_size)
    ask = (table["ev"] & np.uint64(SELL)) != 0
    kind = np.zeros(8, np.int64)
    kind[[DEPTH, TRADES, CLEARED, SNAPSHOT, BEST]] = LEVEL, TRADE, CLEAR, LEVEL, QUOTE
    ours = (table["ival"] & OURS) != 0
    derived = kind[kinds] | np.where(ask & (kinds != CLEARED), ASK, 0)
    derived |= np.where(_ends(table, kinds), MESSAGE_END, 0)
    flags = np.where(ours, table["ival"] & FLAG_BITS, derived)
    untimed = ours & ((table["ival"] & UNTIMED) != 0)
    venue = np.where(untimed, 0, table["exch_ts"])
    events = Events(
        market, table["local_ts"].astype(np.int64), venue.astype(np.int64), prices, qtys,
        flags.astype(np.uint16),
    )  # fmt: skip
    sided = np.flatnonzero((kinds == CLEARED) & ~whole)
    if len(sided):
        events = _removed(events, sided.tolist(), ask)
    return _begun(events, kinds)


def _table(path: Path) -> NDArray[Any]:
    try:
        members = np.load(path, allow_pickle=False)
        if not isinstance(members, np.lib.npyio.NpzFile):
            raise DataError(path, "file", "one array (.npy)", f"arrays by name, {MEMBER!r} of them")
        with members:
            if MEMBER not in members.files:
                raise DataError(path, "members", members.files, f"{MEMBER!r} among them")
            table = members[MEMBER]
    except (OSError, *BAD_ARRAYS) as error:
        if isinstance(error, OSError) and error.errno is not None:
            allowed = "a file that can be read"
            raise DataError(path, "file", error.strerror, allowed) from error
        raise DataError(path, "file", str(error), "arrays of numpy (.npz)") from error
    if not isinstance(table, np.ndarray):
        raise DataError(path, f"member {MEMBER}", table[:16], "an array of numpy (.npy)")
    names = table.dtype.names or ()
    missing = [name for name in EVENT.names or () if name not in names]
    if missing or table.ndim != 1:
        raise DataError(path, MEMBER, str(table.dtype), f"one row an event of {EVENT.names}")
    made = np.zeros(len(table), EVENT)
    for name in EVENT.names or ():
        kinds = "iuf" if EVENT[name].kind == "f" else "iu"
        if table.dtype[name].kind not in kinds:  # of several values a row it is V
            allowed = f"{'numbers' if kinds == 'iuf' else 'whole numbers'}, one a row"
            raise DataError(path, f"{MEMBER}, {name}", str(table.dtype[name]), allowed)
        made[name] = table[name]
    return made


def _steps(
    path: Path, name: str, values: NDArray[Any], unused: NDArray[np.bool_], step: str, size: Decimal
) -> NDArray[np.int64]:
    """Return int64[n], values in steps of a size; 0 where they mean nothing."""
    with np.errstate(over="ignore"):  # told below
        steps = np.where(unused, 0.0, values) / float(size)
    bad = ~np.isfinite(steps) | (np.abs(steps) > WHOLE_MAX)
    if bad.any():
        at = int(np.argmax(bad))
        raise DataError(path, f"{name}, our event {at}", float(values[at]), "a number in bounds")
    nearest = np.rint(steps)
    # A value that is next to nothing of a step is no zero.
    near = APART_MAX * np.minimum(1.0, np.abs(steps)) + ROUNDING * np.abs(nearest)
    apart = np.abs(steps - nearest) > near
    if apart.any():
        at = int(np.argmax(apart))
        allowed = f"whole steps of --{step} {plain(size)}: {np.count_nonzero(apart):,} are not"
        raise DataError(path, f"{name}, our event {at}", float(values[at]), allowed)
    return nearest.astype(np.int64)


def _ends(table: NDArray[Any], kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell where a message ends: when times or what it is about move on; a trade is its own."""
    ends = np.ones(len(table), bool)
    about = np.where(kinds == TRADES, 1, np.where(kinds == BEST, 2, 0))
    same = (kinds[:-1] != TRADES) & (about[1:] == about[:-1])
    for name in ("local_ts", "exch_ts"):
        same &= table[name][1:] == table[name][:-1]
    ends[:-1] = ~same
    return ends


def _removed(events: Events, sided: list[int], ask: NDArray[np.bool_]) -> Events:
    """Write a side's clearing up to a price as the levels that it removes."""
    book = Book(outside_levels=OUTSIDE_LEVELS)
    parts, begin = [], 0
    for at in sided:
        part = events.cut(begin, at)
        follow(book, part.price_ticks.data, part.qty_lots.data, part.flags.data)
        side, until = int(ask[at]), int(events.price_ticks[at])
        gone = [
            price for price, _ in book.levels(side)
            if not until or (price <= until if side else price >= until)
        ]  # fmt: skip
        for price in gone:
            book.apply(side, price, 0)
        flags = np.full(len(gone), LEVEL | (ASK if side else 0), np.uint16)
        if gone:
            flags[-1] |= events.flags[at] & np.uint16(MESSAGE_END)
        here = np.full(len(gone), at)
        removed = Events(
            events.market, events.recv_ns[here], events.venue_ns[here],
            np.array(gone, np.int64), np.zeros(len(gone), np.int64), flags,
        )  # fmt: skip
        parts += [part, removed]
        begin = at + 1
    return joined(events.market, [*parts, events.cut(begin, len(events))])


def _begun(events: Events, kinds: NDArray[np.int64]) -> Events:
    """Put a CLEAR ahead of a snapshot that the arrays begin with."""
    book = np.flatnonzero((kinds == DEPTH) | (kinds == SNAPSHOT) | (kinds == CLEARED))
    if not len(book) or kinds[book[0]] != SNAPSHOT:
        return events
    at = int(book[0])
    head = events.cut(at, at + 1)
    zero = np.zeros(1, np.int64)
    clear = Events(
        events.market, head.recv_ns, head.venue_ns, zero, zero, np.array([CLEAR], np.uint16)
    )
    return joined(events.market, [events.cut(0, at), clear, events.cut(at, len(events))])
