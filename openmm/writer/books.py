"""The store as the writer keeps it: one session after the other, each from its journal.

Loaded only once the tape is followed: a database's libraries take longer than all the rest of the
writer, and no engine should wait for them before it may quote.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar, final

import sqlalchemy as sa

from openmm.errors import JournalError, LedgerError
from openmm.journal import Journal, segment_paths, session_folder
from openmm.settlement.booking import Booker
from openmm.settlement.store import Store, session
from openmm.writer.drain import LOCK, RECORDS_MAX, RecordTuple, take_lock

P = ParamSpec("P")
R = TypeVar("R")


def _refused(work: Callable[P, R]) -> Callable[P, R]:
    """Tell a database's refusal as one of the ledger's, which the writer knows how to outlive."""

    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except sa.exc.SQLAlchemyError as error:
            # Not with the chain: a driver's own words may repeat the address.
            raise LedgerError(str(error)) from None

    return told


@final
class Books:
    """Book one session into the store.

    Every method raises LedgerError when the store refuses, and JournalError when the journal that
    it has to catch up from cannot be read.
    """

    @_refused
    def __init__(self, store_url: str) -> None:
        self._store = Store(store_url)
        self._booker: Booker | None = None

    @_refused
    def open(self, folder: Path, session_id: str) -> None:
        """Bring the store to where the journal of the session is."""
        self._booker = catch_up(self._store, folder, session_id)

    @_refused
    def apply(self, records: Iterable[RecordTuple]) -> None:
        """Book what was written to the journal after `open`."""
        self._present.apply(list(records))

    @_refused
    def commit(self) -> None:
        """Make what was booked lasting."""
        self._present.commit()

    @_refused
    def end(self, chain: bytes) -> None:
        """Close the session: lost, unless its end was booked; `chain` is its journal's hash."""
        if not self._present.ended:
            self._present.mark_lost()
        self._present.set_journal_hash(chain)
        self._present.commit()

    @_refused
    def has_booked(self, session_id: str) -> bool:
        """Whether the store holds a session to its end."""
        wanted = sa.select(session.c.journal_hash).where(session.c.session_id == session_id)
        with self._store.begin() as connection:
            return connection.execute(wanted).scalar() is not None

    def close(self) -> None:
        """Let the store go."""
        self._store.close()

    @property
    def _present(self) -> Booker:
        assert self._booker is not None, "open comes first"
        return self._booker


@_refused
def rebuild(journal_dir: Path, store_url: str, session_id: str) -> int:
    """Book into the store what a session's journal holds and the store lacks; return its records.

    A session without an end is marked lost.

    Raises:
        LedgerError: the store refuses.
        JournalError: a writer follows the session, or its journal cannot be read.
    """
    folder = session_folder(journal_dir, session_id)
    lock_fd = take_lock(folder / LOCK, 0.0) if folder.is_dir() else -1
    if folder.is_dir() and lock_fd < 0:
        raise JournalError(f"a writer follows session {session_id}: it will book it")
    try:
        return _rebuild(folder, store_url, session_id)
    finally:
        if lock_fd >= 0:
            os.close(lock_fd)


def _rebuild(folder: Path, store_url: str, session_id: str) -> int:
    store = Store(store_url)
    try:
        booker = catch_up(store, folder, session_id)
        if not booker.ended:
            booker.mark_lost()
        booker.set_journal_hash(Journal(folder).tail.chain)
        booker.commit()
        return booker.next_index
    finally:
        store.close()


def catch_up(store: Store, folder: Path, session_id: str) -> Booker:
    """Return a booker that has booked everything a journal holds."""
    booker = Booker(store, session_id)
    batch: list[RecordTuple] = []
    if segment_paths(folder):
        for record in Journal(folder):
            if record.record_index < booker.next_index:
                continue
            batch.append(record)
            if len(batch) >= RECORDS_MAX:
                booker.apply(batch)
                booker.commit()
                batch.clear()
    booker.apply(batch)
    booker.commit()
    return booker
