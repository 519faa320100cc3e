"""One trader an account: file locks that a bot, or whoever places orders by hand, holds.

An account lock stands outside any bot's folder, one a host, venue and key: two bots with different
folders still meet there, and so do a bot and a program that places orders of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self, final

from openmm.errors import CommandError

LOOKERS_MAX = 10_000  # in a row: a tenth of a second


def holder_pid(path: Path) -> int | None:
    """Return the process that holds a lock; None when nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(fd)


def _take(fd: int, path: Path) -> int | None:
    """Lock a file; return who holds it if somebody does.

    Who looks at a lock holds it as well, for microseconds: that is no reason to give up.
    """
    for _ in range(LOOKERS_MAX):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = holder_pid(path)
            if holder is not None:
                return holder
            os.sched_yield()
        else:
            return None
    return 0


@final
class Lock:
    """A file lock held until closed or until the process ends, however it ends."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            holder = _take(self._fd, path)
        except OSError:
            os.close(self._fd)
            raise
        if holder is not None:
            os.close(self._fd)
            raise CommandError(f"{what} is in use by process {holder}: {path}", code="in_use")
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go. The file stays: removing it would let two processes hold two files."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go at the block's end."""
        self.close()


def accounts_dir() -> Path:
    """Return this user's folder of account locks, the same for every bot on the host."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"openmm-accounts-{os.getuid()}"


def own_folder(folder: Path) -> Path:
    """Make the folder if it is not there, and see that nobody else can write to it.

    Raises:
        CommandError: it is not safely ours.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        raise CommandError(f"the folder of account locks is not safely ours: {folder}")
    return folder


def account_name(venue: str, endpoint: str, key: str) -> str:
    """Name an account by its key, which is not for writing down as it is."""
    return f"{venue}\0{endpoint.rstrip('/')}\0{key}"


def lock_account(venue: str, endpoint: str, key: str, folder: Path | None = None) -> Lock:
    """Keep a second trader off the same account by mistake. The key itself is not written down.

    Raises:
        CommandError: another one of this host trades the account, or the folder is not ours.
    """
    folder = own_folder(folder or accounts_dir())
    digest = hashlib.sha256(account_name(venue, endpoint, key).encode()).hexdigest()[:24]
    return Lock(folder / f"{venue}-{digest}.lock", f"the {venue} account of this key")
