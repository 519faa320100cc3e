"""Files that only their owner may read: refused when anybody else could, replaced as a whole."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openmm.errors import VaultError
from openmm.whole import write_whole


def read_private(path: Path, what: str, bytes_max: int, *, absent: str = "no_vault") -> bytes:
    """Return a private file's bytes.

    Raises:
        VaultError: it is not there or cannot be read (code `absent`), is somebody else's or open to
            others (`vault_unsafe`), or larger than it can be (`vault_damaged`).
    """
    try:
        # Without blocking: a pipe in its place must not hang whoever asks.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise VaultError(f"{what}: {error.strerror}: {path}", code=absent) from None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise VaultError(f"{what} is not a file: {path}", code="vault_unsafe")
        if info.st_uid != os.geteuid():
            raise VaultError(
                f"{what} belongs to user {info.st_uid}, not to this one ({os.geteuid()}): {path}",
                code="vault_unsafe",
            )
        if info.st_mode & 0o077:
            mode = stat.S_IMODE(info.st_mode)
            raise VaultError(
                f"{what} is open to others (mode {mode:04o}); chmod 600 {path}",
                code="vault_unsafe",
            )
        with open(fd, "rb", closefd=False) as file:
            data = file.read(bytes_max + 1)
    finally:
        os.close(fd)
    if len(data) > bytes_max:
        raise VaultError(f"{what} is larger than {bytes_max} bytes: {path}", code="vault_damaged")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Replace a private file at once: whoever reads sees the old one or the new one, whole.

    Raises:
        VaultError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise VaultError(f"cannot be written ({error.strerror}): {path}") from None


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Keep other writers of a private file out for a block: what it reads there stays true.

    Raises:
        VaultError: its folder cannot be written to.
    """
    beside = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise VaultError(f"cannot be written ({error.strerror}): {path}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
