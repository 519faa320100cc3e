"""Files that change as a whole: whoever reads one sees the old or the new, never a part."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

PRIVATE, SHARED = 0o600, 0o666  # less what the user's umask takes


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = PRIVATE, lasting: bool = True) -> Iterator[Path]:
    """Name a file beside `path` to write to; without an error it takes its place, in one step.

    Args:
        mode: of the file.
        lasting: it stands after a power failure too; without, nothing waits for the disk.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    with contextlib.ExitStack() as at_end:
        folder = None
        if lasting:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            at_end.callback(os.close, folder)
        fresh, handle = _make_beside(path, mode)
        at_end.callback(fresh.unlink, missing_ok=True)
        at_end.callback(os.close, handle)
        yield fresh
        if folder is not None:
            os.fsync(handle)
        fresh.replace(path)
        if folder is not None:
            os.fsync(folder)


def write_whole(path: Path, data: bytes, *, mode: int = PRIVATE, lasting: bool = True) -> None:
    """Replace a file by these bytes; arguments and errors as of `replacing`."""
    with replacing(path, mode=mode, lasting=lasting) as fresh:
        fresh.write_bytes(data)


def _make_beside(path: Path, mode: int) -> tuple[Path, int]:
    """Make a file that nobody has; others may, of processes that were killed."""
    for number in count():
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{number}")
        with contextlib.suppress(FileExistsError):
            return fresh, os.open(fresh, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    raise AssertionError("numbers do not end")
