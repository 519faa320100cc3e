"""A private PostgreSQL server: in a folder of its own, on a unix socket, gone with its tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

START_S = 60.0
PASSWORD = "pa$$:w/rd@1"  # every character that an address has to escape


def find_binaries() -> Path | None:
    """Return the folder of the newest server installed; None without one."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


class Server:
    """Start with `start`; `kill` and `start` again as a machine would do to it."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # The server refuses to run as root, and has to reach its folder as somebody else.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="openmm-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        self._own(secret)
        self._own(self.folder)
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "openmm", "-A", "scram-sha-256",
            f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip

    def _own(self, path: Path) -> None:
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _as(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user, "group": self._user}

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / name, *arguments], check=True, stdout=subprocess.DEVNULL,
            cwd=self.folder, timeout=START_S, **self._as(),
        )  # fmt: skip

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """Return the address of a database."""
        return (
            f"postgresql+psycopg://openmm:{quote(password, safe='')}@/{database}"
            f"?host={quote(str(self.folder), safe='')}"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres", "-D", str(self.folder / "data"),
                    "-c", "listen_addresses=", "-k", str(self.folder), "-c", "fsync=off",
                    "-c", "full_page_writes=off", "-c", "shared_buffers=16MB",
                    "-c", "max_connections=50", "-c", "autovacuum=off",
                ],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as(),
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._execute("SELECT 1")
            except sa.exc.OperationalError:
                told = (self.folder / "log").read_text()
                assert time.monotonic() < deadline, told
                with suppress(subprocess.TimeoutExpired):
                    raise AssertionError(f"{self._process.wait(0.02)}: {told}") from None
            else:
                return

    def kill(self) -> None:
        """Take it away at once, in the middle of whatever it does."""
        assert self._process is not None, "start it first"
        self._process.send_signal(signal.SIGQUIT)  # "immediate": recovery at the next start
        self._process.wait(START_S)
        self._process = None

    def make_database(self) -> str:
        """Make an empty database; return its address."""
        self._made += 1
        name = f"t{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def drop_connections(self) -> None:
        """End every connection of clients."""
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def _execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                connection.execute(sa.text(statement))
        finally:
            engine.dispose()

    def close(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)
