"""The tape in plain Python: a queue of records whose room is counted in bytes.

The executable specification of when a record is taken, refused or dropped, and of what a reader
then sees. It keeps no bytes of a ring; positions are arithmetic.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FRAME = 2
HEADER_BYTES = 32
GUARD_BYTES = 8  # the cleared commit word behind the last record

Record = tuple[int, int, int, int, bytes]


def room(payload_bytes: int) -> int:
    """Bytes that a record takes: header and payload, padded to 8."""
    return (HEADER_BYTES + payload_bytes + 7) // 8 * 8


@dataclass
class PlainTape:
    """A ring of `size_bytes`; with `follow`, room is freed by `read` alone."""

    size_bytes: int
    follow: bool = True
    next_index: int = 0
    lost_count: int = 0
    full: bool = False
    position: int = 0
    freed: int = 0
    kept: deque[tuple[int, Record]] = field(default_factory=deque)

    def append(self, kind: int, source: int, ts_ns: int, payload: bytes) -> bool:
        """Take one record, or refuse it and latch `full`."""
        index = self.next_index
        self.next_index += 1
        need = room(len(payload))
        start = self.position
        left = self.size_bytes - start % self.size_bytes
        if need > left:
            start += left
        end = start + need + GUARD_BYTES
        if self.follow:
            reserve = self.size_bytes // 8 if kind == FRAME else 0
            if end + reserve > self.freed + self.size_bytes:
                self.full = True
                self.lost_count += 1
                return False
        else:
            while self.kept and end > self.kept[0][0] + self.size_bytes:
                self.kept.popleft()
        self.kept.append((start, (index, kind, source, ts_ns, payload)))
        self.position = start + need
        return True

    def read(self, max_records: int) -> list[Record]:
        """Take out up to `max_records`, freeing their room."""
        out: list[Record] = []
        while self.kept and len(out) < max_records:
            start, record = self.kept.popleft()
            out.append(record)
            self.freed = start + room(len(record[4]))
        return out

    def records(self) -> list[Record]:
        """List what is kept, oldest first."""
        return [record for _, record in self.kept]
