"""Append records to a session's journal: preallocated segments, one block a batch."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from threading import Thread

from openmm.errors import JournalError
from openmm.journal import (
    NO_HASH,
    PACKED_SUFFIX,
    SEGMENT_HEADER,
    SUFFIX,
    Journal,
    SegmentHeader,
    chain_start,
    encode_block,
    segment_paths,
)
from openmm.packed import PART, pack, restore

SEGMENT_BYTES = 64 * 1024 * 1024
# Beside a full disk: a file that may not grow, a file system that may not be written any more.
_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


class DiskFull(JournalError):
    """Report that the journal's disk has no room; nothing of the batch counts as written."""


class SegmentWriter:
    """Write one session's journal; continue it when there is one.

    Args:
        folder: of the session; made when absent.
        segment_bytes: size to preallocate and to rotate at.
        compress: whether segments are compressed once they are closed; on a thread beside.

    Raises:
        JournalError: the folder holds another session or a corrupt journal.
    """

    def __init__(
        self,
        folder: Path,
        *,
        session_id: str,
        build: str,
        created_ns: int,
        first_index: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
        compress: bool = False,
    ) -> None:
        self.folder = folder
        self._compress = compress
        self._packing: list[Thread] = []
        self.session_id = session_id
        self.build = build
        self.segment_bytes = segment_bytes
        self.next_index = first_index
        self.torn_bytes = 0
        self._fd = -1
        self._number = -1
        self._offset = 0
        self._chain = NO_HASH
        self._dirty = False
        folder.mkdir(parents=True, exist_ok=True)
        if segment_paths(folder):
            self._continue()
        else:
            self._open_segment(created_ns)

    def append(self, records: list[tuple[int, int, int, int, bytes]], now_ns: int) -> None:
        """Write records as one block, in a new segment when this one is full.

        Records that the journal holds already (a follower that was restarted) are left out.
        Raises DiskFull; the block is then not written and may be tried again.
        """
        fresh = [record for record in records if record[0] >= self.next_index]
        if not fresh:
            return
        block, chain = encode_block(self._chain, fresh)
        if self._fd >= 0 and self._offset + len(block) > self.segment_bytes and not self._empty:
            self._finish()
        if self._fd < 0:
            self._open_segment(now_ns)
            block, chain = encode_block(self._chain, fresh)
        self._write(block, self._offset)
        self._offset += len(block)
        self._chain = chain
        self.next_index = fresh[-1][0] + 1
        self._dirty = True

    def sync(self) -> None:
        """Force what was appended onto the disk."""
        if self._dirty:
            os.fdatasync(self._fd)
            self._dirty = False

    def close(self) -> None:
        """Sync, cut the unused room off and close; returns when all closed ones are compressed."""
        if self._fd >= 0:
            self._finish()
        for thread in self._packing:
            thread.join()
        self._packing.clear()

    @property
    def _empty(self) -> bool:
        """Whether the segment holds no block yet: a block over its size gets it to itself."""
        return self._offset == SEGMENT_HEADER.size

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self.folder / f"{self._number:06d}{SUFFIX}"

    @property
    def chain(self) -> bytes:
        """Hash over everything written so far."""
        return self._chain

    def _continue(self) -> None:
        self._make_plain()
        tail = Journal(self.folder).tail
        if tail.headers[0].session_id != self.session_id:
            raise JournalError(
                f"journal is of session {tail.headers[0].session_id!r}: {self.folder}"
            )
        self._number = tail.number
        self._offset = tail.offset
        self._chain = tail.chain
        self.next_index = tail.next_index
        self.torn_bytes = tail.torn_bytes
        # A later file is one whose header never reached the disk.
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.name > tail.path.name:
                path.unlink()
        self._fd = os.open(tail.path, os.O_RDWR | os.O_CLOEXEC)
        os.ftruncate(self._fd, self._offset)
        self._allocate(tail.path)
        os.fdatasync(self._fd)

    def _make_plain(self) -> None:
        """Make the last segment writable, if it was closed; what a kill left of packing goes."""
        for part in self.folder.glob(f"*{PART}"):
            part.unlink()
        paths = segment_paths(self.folder)
        for path in paths:
            if path.suffix != PACKED_SUFFIX:
                path.with_name(path.name + PACKED_SUFFIX).unlink(missing_ok=True)
        if paths[-1].suffix == PACKED_SUFFIX:
            restore(paths[-1])

    def _open_segment(self, created_ns: int) -> None:
        number = self._number + 1
        path = self.folder / f"{number:06d}{SUFFIX}"
        head = SegmentHeader(
            number=number,
            session_id=self.session_id,
            build=self.build,
            created_ns=created_ns,
            previous_hash=self._chain,
            first_index=self.next_index,
        ).encode()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._allocate(path)
            self._write(head, 0)
        except DiskFull:
            os.close(self._fd)
            self._fd = -1
            path.unlink()
            raise
        self._number = number
        self._offset = len(head)
        self._chain = chain_start(head)
        self._dirty = True
        self.sync()
        folder_fd = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)

    def _allocate(self, path: Path) -> None:
        try:
            os.posix_fallocate(self._fd, 0, self.segment_bytes)
        except OSError as error:
            if error.errno in _FULL_DISK:
                raise DiskFull(f"no room for a segment of {self.segment_bytes} bytes: {path}",
                               retryable=True) from error  # fmt: skip
            raise

    def _write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(self._fd, view[done:], offset + done)
            except OSError as error:
                if error.errno in _FULL_DISK:
                    raise DiskFull(f"disk is full at byte {offset}: {self.path}",
                                   retryable=True) from error  # fmt: skip
                raise

    def _finish(self) -> None:
        os.ftruncate(self._fd, self._offset)
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._dirty = False
        if self._compress:
            # Beside: the ring goes on filling meanwhile.
            thread = Thread(target=_pack, args=(self.path,), name=f"pack {self.path.name}")
            thread.start()
            self._packing.append(thread)


def _pack(path: Path) -> None:
    try:
        pack(path)
    except OSError as error:
        # The plain one is as good; there was no room, most likely.
        sys.stderr.write(f"a journal segment stays uncompressed: {error}\n")
