"""Where a running bot keeps its files, and the locks that keep a second one out.

    <run_dir>/<bot>/
        lock            held (flock) while the engine runs; holds its process id
        session.json    who runs: session, pid, mode, configuration and its hash, how it ended
        command.sock    commands in, one JSON object a line
        telemetry.page  the state, for readers
        <session>.tape  what happens, as it happens; gone once journal and store have it all
        journal/        the tape's segments, compressed and chained
        signals         state of the estimators, of a second ago
        settled         until when every fill is known to be booked
        store.sqlite    the ledger
        log             JSON lines, rotated

An account lock stands outside, one a host, venue and key: two bots with different folders still
meet there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import orjson
from msgspec import Struct

from openmm.errors import CommandError, ConfigError

TAPE_SUFFIX = ".tape"


class RunDir(Struct, frozen=True):
    """The folder of one bot."""

    root: Path
    bot: str

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.root / self.bot

    @property
    def lock(self) -> Path:
        """Held while the engine runs."""
        return self.path / "lock"

    @property
    def session(self) -> Path:
        """Who runs, or ran last."""
        return self.path / "session.json"

    @property
    def socket(self) -> Path:
        """Where commands go in."""
        return self.path / "command.sock"

    @property
    def page(self) -> Path:
        """The telemetry page."""
        return self.path / "telemetry.page"

    def tape(self, session_id: str) -> Path:
        """The ring the hot path of a session writes to."""
        return self.path / f"{session_id}{TAPE_SUFFIX}"

    def tapes(self) -> list[Path]:
        """List the rings that are there, oldest session first."""
        return sorted(self.path.glob(f"*{TAPE_SUFFIX}"))

    @property
    def signals(self) -> Path:
        """What the estimators knew a second ago: a bot that is back at once goes on from there."""
        return self.path / "signals"

    @property
    def journal(self) -> Path:
        """The folder of journal segments."""
        return self.path / "journal"

    @property
    def store(self) -> Path:
        """The ledger, unless `settlement.store` says otherwise."""
        return self.path / "store.sqlite"

    @property
    def settled(self) -> Path:
        """Until when the account's money was last proven: a recovery asks for fills from there."""
        return self.path / "settled"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.path / "log"

    def make(self) -> Self:
        """Make the folder, readable by its owner only.

        Raises:
            ConfigError: it cannot be made or written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.journal.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                "bot.run_dir", str(self.path), f"a folder ({error.strerror})"
            ) from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigError("bot.run_dir", str(self.path), "a folder that can be written to")
        return self

    def write_session(self, session: Mapping[str, Any]) -> None:
        """Replace session.json as a whole."""
        fresh = self.session.with_name(".session.json")
        fresh.write_bytes(orjson.dumps(dict(session), option=orjson.OPT_INDENT_2) + b"\n")
        fresh.replace(self.session)

    def read_session(self) -> dict[str, Any]:
        """Return session.json, empty when there is none.

        Raises:
            CommandError: it is damaged.
        """
        try:
            body = orjson.loads(self.session.read_bytes())
        except FileNotFoundError:
            return {}
        except orjson.JSONDecodeError as error:
            raise CommandError(f"damaged ({error}): {self.session}") from None
        if not isinstance(body, dict):
            raise CommandError(f"damaged: {self.session}")
        return body

    def holder_pid(self) -> int | None:
        """Return the process that holds the bot's lock; None when no engine runs."""
        return _holder_pid(self.lock)


def bots(root: Path) -> list[RunDir]:
    """List the bots that ever ran under a folder, by name."""
    if not root.is_dir():
        return []
    found = [RunDir(root, item.name) for item in sorted(root.iterdir()) if item.is_dir()]
    return [run_dir for run_dir in found if run_dir.lock.exists()]


def _holder_pid(path: Path) -> int | None:
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


@final
class Lock:
    """A file lock held until closed or until the process ends, however it ends."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder_pid(path)
            os.close(self._fd)
            raise CommandError(
                f"{what} is in use by process {holder}: {path}", code="in_use"
            ) from None
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


def lock_bot(run_dir: RunDir) -> Lock:
    """Keep a second engine of the same bot out.

    Raises:
        CommandError: one runs already.
    """
    return Lock(run_dir.lock, f"the bot {run_dir.bot}")


def accounts_dir() -> Path:
    """Return this user's folder of account locks, the same for every bot on the host."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"openmm-accounts-{os.getuid()}"


def lock_account(venue: str, endpoint: str, key: str, folder: Path | None = None) -> Lock:
    """Keep a second bot off the same account by mistake. The key itself is not written down.

    Raises:
        CommandError: another bot of this host trades the account, or the folder is not ours.
    """
    folder = folder or accounts_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        raise CommandError(f"the folder of account locks is not safely ours: {folder}")
    digest = hashlib.sha256(f"{venue}\0{endpoint}\0{key}".encode()).hexdigest()[:24]
    return Lock(folder / f"{venue}-{digest}.lock", f"the {venue} account of this key")
