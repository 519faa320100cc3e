"""One tape into the journal of its session: a record leaves the ring once a segment holds it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import final

from openmm._fast.tape import TapeReader
from openmm.errors import JournalError
from openmm.journal import session_folder
from openmm.writer.segments import SEGMENT_BYTES, SegmentWriter

LOCK = "lock"  # in a session's folder: held by the writer that follows it
RECORDS_MAX = 4096  # of one read, and one block of the journal

RecordTuple = tuple[int, int, int, int, bytes]


@final
class Drain:
    """Own one tape's reader and one session's segments, once the session's lock is ours.

    Raises:
        JournalError: the tape cannot be read.
    """

    def __init__(
        self, tape_path: Path, journal_dir: Path, *, build: str = "",
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:  # fmt: skip
        self.path = tape_path
        self.session_id = TapeReader(tape_path).session_id
        self.folder = session_folder(journal_dir, self.session_id)
        self.pending: list[RecordTuple] = []  # read, and not written yet: the disk is full
        self._build = build
        self._segment_bytes = segment_bytes
        self._lock_fd = -1
        self._reader: TapeReader | None = None
        self._segments: SegmentWriter | None = None

    @property
    def begun(self) -> bool:
        """Whether the session's lock is ours."""
        return self._segments is not None

    @property
    def reader(self) -> TapeReader:
        """The tape; readable once begun."""
        assert self._reader is not None, "begin comes first"
        return self._reader

    @property
    def segments(self) -> SegmentWriter:
        """The journal; writable once begun."""
        assert self._segments is not None, "begin comes first"
        return self._segments

    def begin(self, wait_s: float = 0.0) -> bool:
        """Take the session's lock, which goes with the process, and attach.

        Returns whether it is ours: another writer may hold it for longer than `wait_s`.

        Raises:
            JournalError: the tape has gone or been replaced; the journal is another session's.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = take_lock(self.folder / LOCK, wait_s)
        if self._lock_fd < 0:
            return False
        try:
            self._open()
        except JournalError:
            # To be tried again: this process must not keep the lock from itself.
            self.close()
            raise
        return True

    def _open(self) -> None:
        # Another writer may have moved on, or ended, until the lock was ours.
        reader = self._reader = TapeReader(self.path)
        if reader.session_id != self.session_id:
            raise JournalError(f"the tape of {self.session_id!r} has been replaced: {self.path}")
        self._segments = SegmentWriter(
            self.folder,
            session_id=self.session_id,
            build=self._build,
            created_ns=time.time_ns(),
            first_index=reader.next_index,
            segment_bytes=self._segment_bytes,
            compress=True,
        )
        reader.attach()

    def step(self) -> list[RecordTuple]:
        """Move one batch from the tape to the journal; return it.

        Raises:
            DiskFull: the batch waits in `pending`, and is tried again by the next call.
        """
        records = self.pending or self.reader.read(RECORDS_MAX, acknowledge=False)
        if not records:
            return records
        self.pending = records
        self.segments.append(records, time.time_ns())
        self.pending = []
        self.reader.acknowledge()
        return records

    @property
    def empty(self) -> bool:
        """Whether the session never had a record: its engine ended before it began."""
        return self.segments.next_index == 0

    def remove(self) -> None:
        """Remove the tape: the journal holds it all; and a journal that holds nothing."""
        self.path.unlink(missing_ok=True)
        if self.empty:
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()

    def close(self) -> None:
        """Let the session go to whoever comes next."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def take_lock(path: Path, wait_s: float) -> int:
    """Return the locked file; -1 when another process holds it for longer than `wait_s`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                os.close(fd)
                return -1
        time.sleep(0.01)
