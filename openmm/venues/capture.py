"""Recorded frames: read a capture file, frame by frame, and say what a check of it found.

Format `CBCAP1`: a line ``CBCAP1 <venue> <instrument> <start, ns since 1970>``; then, for each
frame, a line ``<receive time, ns> <length in bytes>``, that many bytes, and a newline. Gzip or
plain.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Final

from openmm.errors import ProtocolError

MAGIC: Final = b"CBCAP1"
FRAME_BYTES_MAX: Final = 16 << 20
HEADER_BYTES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Capture:
    """What the first line of a capture tells."""

    venue: str
    instrument: str
    start_ns: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One received frame; `offset` is where its header stands in the uncompressed file."""

    recv_ns: int
    data: bytes
    offset: int


@dataclass(slots=True)
class Verified:
    """What putting a capture through decoder and book found."""

    messages: int = 0
    book_updates: int = 0
    trades: int = 0
    checksums_ok: int = 0
    checksums_failed: int = 0
    gaps: int = 0
    resubscribed: int = 0
    crossed: int = 0
    errors: int = 0
    skipped: int = 0  # book messages that waited for a snapshot
    best_equal: int = 0  # updates after which the best prices were those told beside the book
    best_different: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not (
            self.checksums_failed or self.gaps or self.crossed or self.errors or self.skipped
        )

    def add(self, other: Verified) -> None:
        """Add another capture's counts."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, for JSON."""
        return asdict(self)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacking gzip when it is."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def is_capture(path: Path) -> bool:
    """Whether a file begins as a `CBCAP1` capture."""
    try:
        with open_bytes(path) as file:
            return file.read(len(MAGIC) + 1) == MAGIC + b" "
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def read_head(path: Path) -> Capture:
    """Read the first line of a capture.

    Raises:
        ProtocolError: naming the file, when it is no capture.
    """
    try:
        with open_bytes(path) as file:
            return _head(path, file.readline(HEADER_BYTES_MAX))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProtocolError(f"{path}: cut or damaged at byte 0: {error}") from error


def read_frames(path: Path) -> Iterator[Frame]:
    """Read a capture's frames in order.

    Raises:
        ProtocolError: naming the file and the offset, when the file is cut or damaged.
    """
    offset = 0
    try:
        with open_bytes(path) as file:
            line = file.readline(HEADER_BYTES_MAX)
            _head(path, line)
            offset = len(line)
            while line := file.readline(HEADER_BYTES_MAX):
                frame = _frame(path, file, line, offset)
                yield frame
                offset += len(line) + len(frame.data) + 1
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ProtocolError(f"{path}: cut or damaged after byte {offset}: {error}") from error


def _head(path: Path, line: bytes) -> Capture:
    parts = line.decode("ascii", "replace").split()
    if len(parts) != 4 or parts[0] != MAGIC.decode() or not parts[3].isdigit():
        raise ProtocolError(f"{path}: not a CBCAP1 capture: {line[:40]!r}")
    return Capture(parts[1], parts[2], int(parts[3]))


def _frame(path: Path, file: IO[bytes], line: bytes, offset: int) -> Frame:
    parts = line.split()
    if not line.endswith(b"\n") and len(line) < HEADER_BYTES_MAX:
        raise ProtocolError(f"{path}: cut in a frame's header at byte {offset}")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise ProtocolError(f"{path}: frame header expected at byte {offset}; got {line[:40]!r}")
    recv_ns, n_bytes = int(parts[0]), int(parts[1])
    if n_bytes > FRAME_BYTES_MAX:
        raise ProtocolError(f"{path}: frame at byte {offset} is too long: {n_bytes} bytes")
    data = file.read(n_bytes + 1)
    if len(data) != n_bytes + 1:
        raise ProtocolError(
            f"{path}: cut in the frame at byte {offset}: {n_bytes} bytes announced, "
            f"{min(len(data), n_bytes)} there"
        )
    if not data.endswith(b"\n"):
        raise ProtocolError(f"{path}: frame at byte {offset} does not end where announced")
    return Frame(recv_ns, data[:-1], offset)
