"""Recompute a session's report from its journal, in a store of its own, and compare the figures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from openmm import journal
from openmm._fast.tape import Record
from openmm.errors import JournalError, LedgerError
from openmm.journal import Journal
from openmm.settlement import store as tables
from openmm.settlement.booking import Booker, RecordTuple
from openmm.settlement.report import load_report
from openmm.settlement.store import Store
from openmm.settlement.touch import Uptime

BATCH_RECORDS = 4096
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a report holds; of one that does not, the first figure that differs."""

    session_id: str
    build: str
    journal_hash: str
    figures: int  # compared, all of them equal up to the first difference
    difference: str = ""  # the figure's name; empty: none differs
    stored: str = ""
    recomputed: str = ""

    @property
    def holds(self) -> bool:
        """Whether every figure is the journal's."""
        return not self.difference


def verify(
    store_url: str, session_id: str, folder: Path, on_progress: Progress | None = None
) -> Verdict:
    """Compare a session's report with one made anew from its journal.

    Args:
        folder: of the session's segments.
        on_progress: called with the number of records read, now and then.

    Raises LedgerError while the session runs, and JournalError when the journal does not add up.
    """
    told = load_report(store_url, session_id)
    if told.session.state == "running":
        raise LedgerError(f"session {session_id} is not over: its store may lag its journal")
    uptime = None
    if told.uptime.within_bps is not None and told.uptime.depth is not None:
        uptime = Uptime(int(told.uptime.within_bps * 100), told.uptime.depth)
    with rebuilt(folder, session_id, store_url, uptime=uptime, on_progress=on_progress) as url:
        made = load_report(url, session_id)
    head = told.session
    before, after = told.to_json(), made.to_json()
    # A version of before did not know these: they are no claim of the stored report.
    for part, unknown in (("uptime", uptime is None), ("by_cause", not before.get("by_cause"))):
        if unknown:
            before.pop(part, None)
            after.pop(part, None)
    mine, theirs = dict(_figures(before)), dict(_figures(after))
    count = 0
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        stored, recomputed = mine.get(name, "nothing"), theirs.get(name, "nothing")
        if stored != recomputed:
            return Verdict(
                session_id, head.build, head.journal_hash, count, name, str(stored), str(recomputed)
            )
        count += 1
    return Verdict(session_id, head.build, head.journal_hash, count)


@contextmanager
def rebuilt(
    folder: Path,
    session_id: str,
    store_url: str | None = None,
    *,
    uptime: Uptime | None = None,
    on_progress: Progress | None = None,
) -> Iterator[str]:
    """Book a journal into a store that is gone afterwards; gives its address.

    Args:
        store_url: of the bot's store: which of the recovered fills earlier sessions have booked is
            in their journals, not in this one, so it is taken from there.
        uptime: what to measure uptime by, instead of what the session was configured with.
    """
    with tempfile.TemporaryDirectory(prefix="openmm-verify-") as temporary:
        url = f"sqlite:///{temporary}/store.sqlite"
        store = Store(url)
        try:
            if store_url is not None:
                _take_earlier(store_url, store, session_id, _recovered(folder))
            _book(store, folder, session_id, uptime, on_progress)
        finally:
            store.close()
        yield url


def _book(
    store: Store,
    folder: Path,
    session_id: str,
    uptime: Uptime | None,
    on_progress: Progress | None,
) -> None:
    booker = Booker(store, session_id, uptime=uptime)
    source = Journal(folder)
    batch: list[RecordTuple] = []

    def write() -> None:
        booker.apply(batch)
        booker.commit()
        batch.clear()
        if not booker.next_index:
            raise JournalError(f"no whole record in the journal of session {session_id}: {folder}")
        if on_progress is not None:
            on_progress(booker.next_index)

    for record in source:
        batch.append(record)
        if len(batch) >= BATCH_RECORDS:
            write()
    write()
    if not booker.ended:
        booker.mark_lost()
    booker.set_journal_hash(source.tail.chain)
    booker.commit()


def _recovered(folder: Path) -> list[str]:
    """List the executions that a recovery put on record, with no order of this session."""
    return [
        fill.exec_id
        for record in Journal(folder)
        if record.kind == Record.REC_FILL and not (fill := journal.read_fill(record.payload)).seq
    ]


def _take_earlier(store_url: str, into: Store, session_id: str, exec_ids: list[str]) -> None:
    """Copy what earlier sessions of the bot booked of these executions, and what they posted."""
    source = Store(store_url, create=False)
    session, fill = tables.session, tables.fill
    movement = tables.metadata.tables.get("movement")
    try:
        with source.reading() as connection, into.begin() as target:
            bot = sa.select(session.c.bot).where(session.c.session_id == session_id)
            others = connection.execute(
                sa.select(session).where(session.c.bot.in_(bot), session.c.session_id != session_id)
            ).all()
            ids = [row.session_id for row in others]
            for place in range(0, len(ids), 500):
                some = ids[place : place + 500]
                rows = [dict(row._mapping) for row in others[place : place + 500]]
                target.execute(sa.insert(session), rows)
                if movement is not None:
                    _copy(connection, target, movement, movement.c.session_id.in_(some))
            for place in range(0, len(exec_ids), 500):
                wanted = fill.c.exec_id.in_(exec_ids[place : place + 500])
                _copy(connection, target, fill, wanted, keep=set(ids))
    finally:
        source.close()


def _copy(
    source: sa.Connection,
    target: sa.Connection,
    table: sa.Table,
    where: Any,
    keep: set[str] | None = None,
) -> None:
    rows = [
        dict(row._mapping)
        for row in source.execute(sa.select(table).where(where))
        if keep is None or row.session_id in keep
    ]
    if rows:
        target.execute(sa.insert(table), rows)


def _figures(plain: Any, name: str = "") -> Iterator[tuple[str, object]]:
    """Name every value of a report: `pnl.net`, `incidents.0.kind`."""
    if isinstance(plain, Mapping):
        for key, value in plain.items():
            yield from _figures(value, f"{name}.{key}" if name else str(key))
    elif isinstance(plain, list):
        yield f"{name}.count", len(plain)
        for place, value in enumerate(plain):
            yield from _figures(value, f"{name}.{place}")
    else:
        yield name, plain
