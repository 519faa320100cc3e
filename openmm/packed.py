"""Closed journal segments, compressed: `000000.omj.zst` is the whole of `000000.omj` in zstd.

Checksums and chain are those of the bytes inside. Loaded only where there is a segment to pack or
to unpack: no engine pays for it at its start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import zstandard

from openmm.errors import JournalError

SUFFIX: Final = ".zst"
PART: Final = ".part"
LEVEL: Final = 3
UNPACKED_BYTES_MAX: Final = 1 << 31


def pack(path: Path) -> Path:
    """Put a segment's compressed form in its place; a kill leaves one of the two, whole.

    Raises:
        OSError: there is no room; the segment stays as it is.
    """
    packed = path.with_name(path.name + SUFFIX)
    part = packed.with_name(packed.name + PART)
    # Its checksum is beside the blocks' own: a spoiled file is known before they are read.
    made = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(path.read_bytes())
    try:
        _write(part, made)
        part.rename(packed)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    path.unlink()
    return packed


def unpack(path: Path) -> bytes:
    """Return the segment inside a compressed one.

    Raises:
        JournalError: it is cut or spoiled, or says it holds more than any segment.
    """
    data = path.read_bytes()
    try:
        if zstandard.frame_content_size(data) > UNPACKED_BYTES_MAX:
            raise JournalError(f"compressed segment says it is over 2 GiB: {path}")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise JournalError(f"compressed segment is cut or spoiled ({error}): {path}") from error


def restore(path: Path) -> Path:
    """Put a compressed segment's plain form back in its place, to go on writing it."""
    plain = path.with_name(path.name.removesuffix(SUFFIX))
    part = plain.with_name(plain.name + PART)
    _write(part, unpack(path))
    part.rename(plain)
    path.unlink()
    return plain


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
