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
            paths = {_number_of(path): path for path in segment_paths(self.folder)}
            path = paths.get(self._number)
            if path is None:
                return
            # Asked before the read: what was written before a segment was closed is read below.
            closed = self._number + 1 in paths
            yield from self._segment(path)
            if not closed:
                return
            self._number += 1
            self._offset = 0

    def _segment(self, path: Path) -> Iterator[JournalRecord]:
        with opened_segment(path) as file:
            data = segment_content(file)
            try:
                if self._offset == 0:
                    head = bytes(data[: SEGMENT_HEADER.size])
                    if not head.startswith(SEGMENT_MAGIC):
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
            finally:
                if isinstance(data, mmap.mmap):
                    data.close()


def _number_of(path: Path) -> int:
    return int(path.name.partition(".")[0])
