"""Recorded frames: read a capture file, frame by frame, and say what a check of it found.

Format `CBCAP1`: a line ``CBCAP1 <venue> <instrument> <start, ns since 1970>``; then, for each
frame, a line ``<receive time, ns> <length in bytes>``, that many bytes, and a newline. Gzip,
zstd or plain. A zstd capture is written while it is recorded: one that was cut off holds every
frame up to there, and is read that far.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, final

from openmm.errors import ProtocolError

log = logging.getLogger(__name__)

MAGIC: Final = b"CBCAP1"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
FRAME_BYTES_MAX: Final = 16 << 20
HEADER_BYTES_MAX: Final = 256
READ_BYTES: Final = 1 << 16


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


def is_zstd(path: Path) -> bool:
    """Whether a file is packed as `record` packs."""
    with path.open("rb") as file:
        return file.read(4) == ZSTD_MAGIC


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacking gzip or zstd when it is."""
    if is_zstd(path):
        from zstandard import ZstdDecompressor  # a bot reads no recording

        reader = ZstdDecompressor().stream_reader(
            path.open("rb"), closefd=True, read_across_frames=True
        )
        return io.BufferedReader(reader)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as `open_bytes` does, and read it in the block.

    Raises:
        ProtocolError: naming the file, when it is cut short or damaged, or cannot be read.
    """
    try:
        with open_bytes(path) as file:
            yield file
    except _damages() as error:
        raise _damaged(path, "", error) from error


def _damages() -> tuple[type[Exception], ...]:
    """Return what reading raises: zstd's own only where something was unpacked with it."""
    zstd = sys.modules.get("zstandard")
    return (EOFError, OSError, zlib.error, *([zstd.ZstdError] if zstd is not None else []))


def _damaged(path: Path, place: str, error: Exception) -> ProtocolError:
    if isinstance(error, OSError) and error.errno is not None:
        return ProtocolError(f"{path}: cannot be read: {error.strerror}")
    return ProtocolError(f"{path}: cut or damaged{place}: {error}")


def ends_inside(path: Path) -> bool:
    """Whether a zstd file ends inside a frame: its reader takes that for the end."""
    if not is_zstd(path):
        return False
    from zstandard import ZstdDecompressor, ZstdError  # a bot reads no recording

    frame = None
    try:
        with path.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                while chunk:
                    frame = ZstdDecompressor().decompressobj() if frame is None else frame
                    frame.decompress(chunk)
                    chunk = frame.unused_data if frame.eof else b""
                    frame = None if frame.eof else frame
    except ZstdError:
        return False
    return frame is not None


@final
class CaptureWriter:
    """Write a capture while its frames come: `with CaptureWriter(...) as writer`."""

    def __init__(self, path: Path, venue: str, instrument: str, start_ns: int) -> None:
        from zstandard import FLUSH_BLOCK, FLUSH_FRAME, ZstdCompressor  # a bot records nothing

        self.frame_count = 0
        self.byte_count = 0  # of frames, unpacked
        self._file = path.open("xb")
        self._packed = ZstdCompressor(level=3).stream_writer(self._file)
        self._block, self._end = FLUSH_BLOCK, FLUSH_FRAME
        self._packed.write(b"%b %b %b %d\n" % (
            MAGIC, venue.encode(), instrument.encode(), start_ns
        ))  # fmt: skip
        self.flush()

    def write(self, frame: bytes, recv_ns: int) -> None:
        """Append one frame with the time it came."""
        self._packed.write(b"%d %d\n%b\n" % (recv_ns, len(frame), frame))
        self.frame_count += 1
        self.byte_count += len(frame)

    def flush(self) -> None:
        """Hand everything so far to the system: a file cut off later is readable to here."""
        self._packed.flush(self._block)
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._packed.flush(self._end)
        self._file.close()

    def __enter__(self) -> Self:
        """Write for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the file, whatever happened."""
        self.close()


def is_capture(path: Path) -> bool:
    """Whether a file begins as a `CBCAP1` capture."""
    try:
        with open_bytes(path) as file:
            return file.read(len(MAGIC) + 1) == MAGIC + b" "
    except _damages():
        return False


def read_head(path: Path) -> Capture:
    """Read the first line of a capture.

    Raises:
        ProtocolError: naming the file, when it is no capture.
    """
    try:
        with open_bytes(path) as file:
            return _head(path, file.readline(HEADER_BYTES_MAX))
    except _damages() as error:
        raise _damaged(path, " at byte 0", error) from error


def read_frames(path: Path) -> Iterator[Frame]:
    """Read a capture's frames in order.

    Raises:
        ProtocolError: naming the file and the offset, when the file is cut or damaged.
    """
    offset = 0
    try:
        growing = is_zstd(path)
        with open_bytes(path) as file:
            line = file.readline(HEADER_BYTES_MAX)
            _head(path, line)
            offset = len(line)
            while line := file.readline(HEADER_BYTES_MAX):
                try:
                    frame = _frame(path, file, line, offset)
                except ProtocolError:
                    if not growing or file.read(1):
                        raise
                    log.warning("%s: cut off after byte %d; read to there", path, offset)
                    return
                yield frame
                offset += len(line) + len(frame.data) + 1
    except _damages() as error:
        raise _damaged(path, f" after byte {offset}", error) from error


def _head(path: Path, line: bytes) -> Capture:
    if not line and is_zstd(path):
        raise ProtocolError(f"{path}: cut short before its first line")
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
