"""Follow a tape: journal first, then give its room back, then the store.

The order is what makes a kill harmless. A record leaves the tape only when a segment holds it; the
store's own mark says how far it came, and what it lacks is read from the journal. So a writer that
is started again, or for the first time after everything died, continues without loss or doubles.

Tapes that dead engines left are written out beside the new session's, and booked before it: the
store gets sessions in their order.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from openmm._fast.tape import TapeReader
from openmm.errors import JournalError, LedgerError
from openmm.writer.drain import Drain
from openmm.writer.retention import Retention, sweep
from openmm.writer.segments import SEGMENT_BYTES, DiskFull

if TYPE_CHECKING:
    from openmm.writer.books import Books

ATTACH_S = 10.0


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
    sweep_s: float = 60.0  # between two looks at what retention lets go
    free_bytes_min: int = 512 * 1024 * 1024
    segment_bytes: int = SEGMENT_BYTES


class Follower:
    """Follow one tape into one session's journal and the store.

    Args:
        left: tapes of sessions before, each written out and booked, then removed.

    Raises JournalError when a tape or journal cannot be read.
    """

    def __init__(
        self,
        tape_path: Path,
        journal_dir: Path,
        store_url: str,
        *,
        left: Sequence[Path] = (),
        build: str = "",
        timing: Timing | None = None,
        retention: Retention | None = None,
        log: Callable[..., None] | None = None,
    ) -> None:
        timing = self.timing = timing or Timing()
        self.stopping = False  # leave after the records that are there (SIGTERM)
        self._log = log or write_log
        self._store_url = store_url
        self._journal_dir = journal_dir
        self._retention = retention or Retention()
        self._swept_s = float("-inf")

        def drain(path: Path) -> Drain:
            return Drain(path, journal_dir, build=build, segment_bytes=timing.segment_bytes)

        # One that cannot be read is an error before anybody counts on this process.
        self._left = [drain(path) for path in left if path.exists()]
        self._written: list[Drain] = []  # of those left, in the journal as a whole
        _await(tape_path)
        self._own = drain(tape_path)
        if not self._own.begin(ATTACH_S):
            raise JournalError(f"another writer follows this session: {self._own.folder}")
        self._note_torn(self._own)
        self._books: Books | None = None
        self._current = False  # whether the books have all that the journal has
        self._store_failed_s: float | None = None
        self._store_tried_s = float("-inf")
        self._uncommitted = False
        self._low_disk = False
        self._full_disk = False  # in this pass
        self._full_said = False
        self._left_stuck = False  # until the store is tried again

    @property
    def store_behind(self) -> bool:
        """Whether the store lacks what the journal holds."""
        return not self._current

    def run(self) -> bool:
        """Follow until the session has ended and everything is written; return whether it is.

        False: the store could not be brought up to date; the journal is whole.
        """
        reader = self._own.reader
        next_sync = next_commit = next_check = 0.0
        while True:
            now_s = time.monotonic()
            # Asked before the read: what was written before the end is then read below.
            over = reader.closed or not reader.engine_alive
            self._full_disk = False
            count = self._step()
            self._write_left()
            self._full_said = self._full_disk
            if not self._current and self._store_failed_s is None:
                self._open_store()
            if now_s >= next_sync:
                self._own.segments.sync()
                next_sync = now_s + self.timing.sync_s
            if now_s >= next_commit:
                self._commit()
                next_commit = now_s + self.timing.commit_s
            if now_s >= next_check:
                reader.beat()
                self._check_disk()
                self._check_store(now_s)
                self._sweep(now_s)
                next_check = now_s + self.timing.check_s
            if self._full_disk:
                time.sleep(self.timing.retry_s)
            elif not count:
                if over or self.stopping:
                    break
                time.sleep(self.timing.poll_s)
        return self._finish(over)

    # ---------------------------------------------------------------- inside

    def _step(self) -> int:
        """Move one batch from the tape to the journal and the books; return its records."""
        try:
            records = self._own.step()
        except DiskFull as error:
            self._stop_for_disk(error)
            return len(self._own.pending)
        if records and self._current:
            assert self._books is not None, "books that are current are open"
            try:
                self._books.apply(records)
                self._uncommitted = True
            except (LedgerError, JournalError) as error:
                self._lose_store(error)
        return len(records)

    def _write_left(self) -> None:
        """Move what dead engines left to their journals, as far as it goes by now."""
        while self._left and not self._left_stuck:
            drain = self._left[0]
            try:
                if not self._write_out(drain):
                    return
            except DiskFull as error:
                self._stop_for_disk(error)
                return
            except JournalError as error:
                # It is kept, and so is the order of sessions: the store waits for it.
                self._left_stuck = True
                self._lose_store(error)
                return
            self._left.pop(0)

    def _write_out(self, drain: Drain) -> bool:
        """Write one tape out; False: another writer is still at it.

        Raises:
            JournalError: tape or journal cannot be read; DiskFull among them.
        """
        if not drain.path.exists():
            # A writer that outlived its engine has ended in the meantime.
            drain.close()
            return True
        if not drain.begun:
            if not drain.begin():
                return False
            self._note_torn(drain)
        while drain.step():
            pass
        if drain.reader.torn:
            self._log("the engine died while it wrote a record; the record is left out")
        drain.segments.close()
        self._written.append(drain)
        return True

    def _stop_for_disk(self, error: DiskFull) -> None:
        if not self._full_said:
            self._log("disk is full, quoting stops", error=str(error))
        self._full_disk = self._full_said = True
        self._own.reader.request_stop()

    def _commit(self) -> None:
        if not self._current or not self._uncommitted:
            return
        assert self._books is not None, "books that are current are open"
        try:
            self._books.commit()
            self._uncommitted = False
        except LedgerError as error:
            self._lose_store(error)

    def _open_store(self) -> None:
        """Bring the store to where the journals are, the sessions before first."""
        self._store_tried_s = time.monotonic()
        self._left_stuck = False
        self._write_left()
        if self._left:
            # The wait is counted as any other failure of the store.
            if self._store_failed_s is None:
                self._store_failed_s = self._store_tried_s
            return
        if self._written or not self._own.empty:
            try:
                self._book()
            except (LedgerError, JournalError) as error:
                self._lose_store(error)
                return
        if self._store_failed_s is not None:
            self._log("the store has caught up")
        self._store_failed_s = None

    def _book(self) -> None:
        """Book what the journals hold: sessions left before first.

        Raises:
            LedgerError, JournalError: the store refuses, or a journal cannot be read.
        """
        # Here and not above: see the module.
        from openmm.writer.books import Books

        books = self._books = self._books or Books(self._store_url)
        while self._written:
            drain = self._written[0]
            if not drain.empty:
                books.open(drain.folder, drain.session_id)
                books.end(drain.segments.chain)
            drain.remove()
            drain.close()
            self._written.pop(0)
        if not self._own.empty:
            books.open(self._own.folder, self._own.session_id)
            self._current = True

    def _lose_store(self, error: Exception) -> None:
        """Go on with the journal alone; the store is tried again."""
        self._current = False
        self._uncommitted = False
        if self._store_failed_s is None:
            self._store_failed_s = time.monotonic()
            self._log("the store fails, the journal goes on", error=str(error))

    def _check_store(self, now_s: float) -> None:
        if self._store_failed_s is None:
            return
        if now_s - self._store_failed_s > self.timing.store_patience_s:
            self._own.reader.request_stop()
        if now_s - self._store_tried_s >= self.timing.store_retry_s:
            self._open_store()

    def _check_disk(self) -> None:
        free_bytes = shutil.disk_usage(self._own.folder).free
        low = free_bytes < self.timing.free_bytes_min
        if low:
            self._own.reader.request_stop()
        if low and not self._low_disk:
            self._log("disk is low, quoting stops", free_bytes=free_bytes)
        self._low_disk = low

    def _sweep(self, now_s: float) -> None:
        """Let old journals go, while the store is there to say which of them it holds."""
        if not self._current or now_s - self._swept_s < self.timing.sweep_s:
            return
        self._swept_s = now_s
        assert self._books is not None, "books that are current are open"
        try:
            gone = sweep(self._journal_dir, self._retention, time.time(), self._books.has_booked)
        except (LedgerError, OSError) as error:
            self._log("old journals could not be removed", error=str(error))
            return
        if gone:
            self._log("old journals were removed", sessions=gone)

    def _note_torn(self, drain: Drain) -> None:
        if drain.segments.torn_bytes:
            self._log("journal continues behind a torn block", bytes=drain.segments.torn_bytes)

    def _finish(self, over: bool) -> bool:
        own = self._own
        if own.reader.torn:
            self._log("the engine died while it wrote a record; the record is left out")
        own.segments.close()
        if not self._current:
            self._open_store()
        self._commit()
        if over and self._current and not own.empty:
            assert self._books is not None, "books that are current are open"
            try:
                self._books.end(own.segments.chain)
            except LedgerError as error:
                self._lose_store(error)
        if self._books is not None:
            self._books.close()
        if over:
            # The journal holds it all: the ring's memory can go.
            own.remove()
        behind = bool(self._left or self._written)
        for drain in (*self._left, *self._written, own):
            drain.close()
        return not behind and (self._current or own.empty)


def run(
    tape_path: Path,
    journal_dir: Path,
    store_url: str,
    *,
    left: Sequence[Path] = (),
    build: str = "",
    timing: Timing | None = None,
) -> bool:
    """Follow a tape until its session has ended; return whether journal and store are complete."""
    return Follower(tape_path, journal_dir, store_url, left=left, build=build, timing=timing).run()


def write_log(message: str, **values: object) -> None:
    """Write one line of JSON to standard error."""
    line = {"ts_ns": time.time_ns(), "process": "writer", "message": message} | values
    sys.stderr.buffer.write(orjson.dumps(line) + b"\n")
    sys.stderr.flush()


def _await(path: Path) -> None:
    """Wait for a tape that is being made."""
    deadline_s = time.monotonic() + ATTACH_S
    while True:
        try:
            TapeReader(path)
        except JournalError as error:
            if time.monotonic() > deadline_s or not (error.retryable or not path.exists()):
                raise
        else:
            return
        time.sleep(0.01)
