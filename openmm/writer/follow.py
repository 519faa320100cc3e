"""Follow a tape: journal first, then give its room back, then the store.

The order is what makes a kill harmless. A record leaves the tape only when a segment holds it; the
store's own mark says how far it came, and what it lacks is read from the journal. So a writer that
is started again, or for the first time after everything died, continues without loss or doubles.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import sqlalchemy as sa

from openmm._fast.tape import TapeReader
from openmm.errors import JournalError, LedgerError
from openmm.journal import SUFFIX, Journal, session_folder
from openmm.settlement.booking import Booker
from openmm.settlement.store import Store
from openmm.writer.segments import SEGMENT_BYTES, DiskFull, SegmentWriter

RECORDS_MAX = 4096  # of one read, and one block of the journal
ATTACH_S = 10.0

RecordTuple = tuple[int, int, int, int, bytes]


@dataclass(frozen=True, slots=True)
class Timing:
    """How often the follower does what, in seconds, and how much disk it wants free."""

    poll_s: float = 0.002
    sync_s: float = 0.5  # what a power cut may cost
    commit_s: float = 0.25
    check_s: float = 1.0
    retry_s: float = 0.5  # full disk
    store_retry_s: float = 5.0
    store_patience_s: float = 60.0  # a store that fails for longer stops quoting
    free_bytes_min: int = 512 * 1024 * 1024
    segment_bytes: int = SEGMENT_BYTES


class Follower:
    """Follow one tape into one session's journal and the store.

    Raises JournalError when tape or journal cannot be read.
    """

    def __init__(
        self,
        tape_path: Path,
        journal_dir: Path,
        store_url: str,
        *,
        build: str = "",
        timing: Timing | None = None,
        log: Callable[..., None] | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self.stopping = False  # leave after the records that are there (SIGTERM)
        self._log = log or write_log
        self._store_url = store_url
        session_id = _attach(tape_path).session_id
        self._folder = session_folder(journal_dir, session_id)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = _lock(self._folder / "lock")
        # Another writer may have moved on, or ended, until the lock was ours.
        self._reader = TapeReader(tape_path)
        if self._reader.session_id != session_id:
            raise JournalError(f"the tape of {session_id!r} has been replaced: {tape_path}")
        self._segments = SegmentWriter(
            self._folder,
            session_id=self._reader.session_id,
            build=build,
            created_ns=time.time_ns(),
            first_index=self._reader.next_index,
            segment_bytes=self.timing.segment_bytes,
        )
        if self._segments.torn_bytes:
            self._log("journal continues behind a torn block", bytes=self._segments.torn_bytes)
        self._store: Store | None = None
        self._booker: Booker | None = None
        self._store_failed_s: float | None = None
        self._store_tried_s = 0.0
        self._pending: list[RecordTuple] = []
        self._uncommitted = False
        self._low_disk = False
        self._reader.attach()

    @property
    def store_behind(self) -> bool:
        """Whether the store lacks what the journal holds."""
        return self._booker is None

    def run(self) -> bool:
        """Follow until the session has ended and everything is written; return whether it is.

        False: the store could not be brought up to date; the journal is whole.
        """
        next_sync = next_commit = next_check = 0.0
        self._open_store()
        while True:
            now_s = time.monotonic()
            # Asked before the read: what was written before the end is then read below.
            over = self._reader.closed or not self._reader.engine_alive
            count = self._step()
            if now_s >= next_sync:
                self._segments.sync()
                next_sync = now_s + self.timing.sync_s
            if now_s >= next_commit:
                self._commit()
                next_commit = now_s + self.timing.commit_s
            if now_s >= next_check:
                self._reader.beat()
                self._check_disk()
                self._check_store(now_s)
                next_check = now_s + self.timing.check_s
            if self._pending:
                time.sleep(self.timing.retry_s)
            elif not count:
                if over or self.stopping:
                    break
                time.sleep(self.timing.poll_s)
        return self._finish(over)

    # ---------------------------------------------------------------- inside

    def _step(self) -> int:
        """Move one batch from the tape to the journal; return its records."""
        records = self._pending or self._reader.read(RECORDS_MAX, acknowledge=False)
        if not records:
            return 0
        try:
            self._segments.append(records, time.time_ns())
        except DiskFull as error:
            if not self._pending:
                self._log("disk is full, quoting stops", error=str(error))
            self._pending = records
            self._reader.request_stop()
            return len(records)
        self._pending = []
        self._reader.acknowledge()
        if self._booker is not None:
            try:
                self._booker.apply(records)
                self._uncommitted = True
            except (sa.exc.SQLAlchemyError, LedgerError, JournalError) as error:
                self._lose_store(error)
        return len(records)

    def _commit(self) -> None:
        if self._booker is None or not self._uncommitted:
            return
        try:
            self._booker.commit()
            self._uncommitted = False
        except (sa.exc.SQLAlchemyError, LedgerError) as error:
            self._lose_store(error)

    def _open_store(self) -> None:
        """Bring the store to where the journal is."""
        self._store_tried_s = time.monotonic()
        try:
            self._store = self._store or Store(self._store_url)
            self._booker = catch_up(self._store, self._folder, self._reader.session_id)
        except (sa.exc.SQLAlchemyError, LedgerError, JournalError) as error:
            self._lose_store(error)
            return
        if self._store_failed_s is not None:
            self._log("the store has caught up")
        self._store_failed_s = None

    def _lose_store(self, error: Exception) -> None:
        """Go on with the journal alone; the store is tried again."""
        self._booker = None
        self._uncommitted = False
        if self._store_failed_s is None:
            self._store_failed_s = time.monotonic()
            self._log("the store fails, the journal goes on", error=str(error))

    def _check_store(self, now_s: float) -> None:
        if self._store_failed_s is None:
            return
        if now_s - self._store_failed_s > self.timing.store_patience_s:
            self._reader.request_stop()
        if now_s - self._store_tried_s >= self.timing.store_retry_s:
            self._open_store()

    def _check_disk(self) -> None:
        free_bytes = shutil.disk_usage(self._folder).free
        low = free_bytes < self.timing.free_bytes_min
        if low:
            self._reader.request_stop()
        if low and not self._low_disk:
            self._log("disk is low, quoting stops", free_bytes=free_bytes)
        self._low_disk = low

    def _finish(self, over: bool) -> bool:
        if self._reader.torn:
            self._log("the engine died while it wrote a record; the record is left out")
        self._segments.close()
        if self._booker is None:
            self._open_store()
        if over and self._booker is not None:
            if not self._booker.ended:
                self._booker.mark_lost()
            self._booker.set_journal_hash(self._segments.chain)
            self._uncommitted = True
        self._commit()
        if self._store is not None:
            self._store.close()
        if over:
            # The journal holds it all: the ring's memory can go.
            Path(self._reader.path).unlink(missing_ok=True)
        os.close(self._lock_fd)
        return self._booker is not None


def run(
    tape_path: Path,
    journal_dir: Path,
    store_url: str,
    *,
    build: str = "",
    timing: Timing | None = None,
) -> bool:
    """Follow a tape until its session has ended; return whether journal and store are complete."""
    return Follower(tape_path, journal_dir, store_url, build=build, timing=timing).run()


def rebuild(journal_dir: Path, store_url: str, session_id: str) -> int:
    """Book into the store what a session's journal holds and the store lacks; return its records.

    A session without an end is marked lost, so no writer may be following it any more.
    """
    folder = session_folder(journal_dir, session_id)
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
    if any(folder.glob(f"*{SUFFIX}")):
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


def write_log(message: str, **values: object) -> None:
    """Write one line of JSON to standard error."""
    line = {"ts_ns": time.time_ns(), "process": "writer", "message": message} | values
    sys.stderr.buffer.write(orjson.dumps(line) + b"\n")
    sys.stderr.flush()


def _lock(path: Path) -> int:
    """Take the session's lock, which goes with the process; wait for a writer that is ending."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + ATTACH_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                os.close(fd)
                raise JournalError(f"another writer follows this session: {path}") from None
        time.sleep(0.01)


def _attach(path: Path) -> TapeReader:
    """Open the tape; wait for one that is being made."""
    deadline_s = time.monotonic() + ATTACH_S
    while True:
        try:
            return TapeReader(path)
        except JournalError as error:
            if time.monotonic() > deadline_s or not (error.retryable or not path.exists()):
                raise
        time.sleep(0.01)
