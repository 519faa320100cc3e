"""Read a journal while its writer is at it: whole blocks, in order, none twice."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import final

from openmm.errors import JournalError
from openmm.journal import (
    BLOCK_HEADER,
    BLOCK_PREFIX,
    HASH_BYTES,
    SEGMENT_HEADER,
    SEGMENT_MAGIC,
    JournalRecord,
    SegmentHeader,
    block_at,
    chain_start,
    decode_records,
    opened_segment,
    segment_content,
    segment_paths,
    torn_bytes_at,
)


@final
class JournalFollower:
    """Follow the segments of one session's folder; files are only ever opened to read.

    Raises:
        JournalError: what is there does not add up.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_count = 0
        self._number = 0
        self._offset = 0  # 0: the segment's header was not read yet
        self._chain = b""

    def read(self) -> Iterator[JournalRecord]:
        """Yield every record that was written since the last call, in order."""
        while True:
            paths = self._listed()
            path = paths.get(self._number)
            if path is None and max(paths, default=-1) > self._number:
                # One that was compressed while the folder was listed may be in neither form.
                paths = self._listed()
                path = paths.get(self._number)
                if path is None:
                    raise JournalError(f"segment {self._number} is missing: {self.folder}")
            if path is None:
                return
            # Asked before the read: what was written before a segment was closed is read below.
            closed = max(paths) > self._number
            yield from self._segment(path, closed)
            if not closed:
                return
            self._number += 1
            self._offset = 0

    def _listed(self) -> dict[int, Path]:
        return {int(path.name.partition(".")[0]): path for path in segment_paths(self.folder)}

    def _segment(self, path: Path, closed: bool) -> Iterator[JournalRecord]:
        with opened_segment(path) as file:
            data = segment_content(file)
            try:
                if self._offset == 0:
                    head = bytes(data[: SEGMENT_HEADER.size])
                    if not closed and not head.startswith(SEGMENT_MAGIC):
                        return  # made, and its header is not there yet
                    header = SegmentHeader.decode(head, path)
                    if self._number and header.previous_hash != self._chain:
                        raise JournalError(f"segment does not continue the one before it: {path}")
                    self._chain = chain_start(head)
                    self._offset = SEGMENT_HEADER.size
                while (block := block_at(data, self._offset)) is not None:
                    payload, prefix, stored = block
                    chain = blake2b(self._chain + prefix + payload, digest_size=HASH_BYTES).digest()
                    if chain != stored:
                        raise JournalError(f"hash chain breaks at byte {self._offset}: {path}")
                    where = f"byte {self._offset} of {path}"
                    self._chain = chain
                    self._offset += BLOCK_HEADER.size + len(payload)
                    for record in decode_records(payload, BLOCK_PREFIX.unpack(prefix)[2], where):
                        self.record_count += 1
                        yield record
                if closed:
                    torn_bytes_at(data, self._offset, path, last=False)
            finally:
                if isinstance(data, mmap.mmap):
                    data.close()
