"""Connection logs of Kraken's WebSocket v1, which the engine does not speak, into columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from openmm._fast.changes import ChangeLog
from openmm.data.events import (
    ASK,
    MESSAGE_END,
    TRADE,
    Events,
    Market,
    from_rows,
    merged_events,
    plain,
)
from openmm.errors import ConfigError, ProtocolError
from openmm.venues.capture import is_capture
from openmm.venues.kraken.fields import as_decimal, as_list, bad, loads
from openmm.venues.kraken.verify_v1 import LogCheck, LoggedPair
from openmm.venues.recordings import Record, read_log

SUFFIXES: Final = (".raw.gz", ".raw")
BOOK, TRADES = "_book.raw", "_trade.raw"
NS_DIGITS: Final = 9
PROGRESS_RECORDS: Final = 1 << 10


def is_log(path: Path) -> bool:
    """Whether a file is named as such a log."""
    return path.name.endswith(SUFFIXES) and not is_capture(path)


def trades_beside(path: Path) -> Path | None:
    """Return the log of trades that was recorded at once, on a connection of its own."""
    beside = path.with_name(path.name.replace(BOOK, TRADES))
    return beside if beside != path and beside.is_file() else None


def convert(
    path: Path,
    trades: Path | None,
    pair: str = "",
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[tuple[Events, Mapping[str, int]]]:
    """Read a log of books, and one of trades, merged by time of receipt.

    Raises:
        ProtocolError: a log is cut, or no such log.
        ConfigError: no such pair in it.
    """
    records = list(read_log(path))
    check = LogCheck()
    logs: dict[str, ChangeLog] = {}
    for done, one in enumerate(records):
        if on_progress is not None and done % PROGRESS_RECORDS == 0:
            on_progress(path.name, done, len(records))
        name = check.take(one)
        if name in check.pairs:
            log = logs.get(name) or logs.setdefault(name, ChangeLog(check.pairs[name].book))
            log.look(one.recv_ns)
    if not logs:
        raise ProtocolError(f"{path}: no snapshot of a book in it")
    names = {our_name(name): name for name in logs}
    if pair and pair not in names:
        raise ConfigError("pair", pair, f"one of {', '.join(names)}")
    for ours, name in names.items():
        if pair and ours != pair:
            continue
        told = check.pairs[name]
        market = _market(ours, told)
        events = from_rows(market, logs[name].take())
        notes: dict[str, int] = {}
        if trades is not None:
            log = ChangeLog(told.book)
            notes["trades_rounded"] = _trades(log, read_log(trades), name, told)
            events, moved = merged_events(market, [events, from_rows(market, log.take())])
            notes.update(moved)
        notes["checksums_failed"] = check.found.checksums_failed
        notes["parse_errors"] = check.found.errors
        yield events, {key: count for key, count in notes.items() if count}


def our_name(name: str) -> str:
    """Return our name of a pair."""
    return "/".join("BTC" if one == "XBT" else one for one in name.split("/"))


def _market(name: str, told: LoggedPair) -> Market:
    tick_size = Decimal(told.tick_points).scaleb(-told.price_decimals)
    lot_size = Decimal(1).scaleb(-told.qty_decimals)
    return Market("kraken", name, plain(tick_size), plain(lot_size), told.depth)


def _trades(log: ChangeLog, records: Iterator[Record], name: str, told: LoggedPair) -> int:
    """Write down a pair's trades; returns how many were finer than the steps."""
    rounded = 0
    market = _market(name, told)
    for record in records:
        if b'"trade"' not in record.data or not record.data.startswith(b"["):
            continue
        message = as_list(loads(record.data))
        if message[-2:] != ["trade", name]:
            continue
        rows = as_list(message[1])
        for at, row in enumerate(rows):
            price, qty, moment, side = (*as_list(row), None, None, None, None)[:4]
            if side not in ("b", "s"):
                raise bad("a trade expected", row)
            ticks, lots = as_decimal(price) / market.tick_size, as_decimal(qty) / market.lot_size
            rounded += ticks != int(ticks) or lots != int(lots)
            flags = TRADE | (ASK if side == "s" else 0)
            flags |= MESSAGE_END if at == len(rows) - 1 else 0
            venue_ns = int(as_decimal(moment).scaleb(NS_DIGITS))
            log.append(record.recv_ns, venue_ns, int(ticks), int(lots), flags)
    return rounded
