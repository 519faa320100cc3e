"""Where a sweep's plan and results are kept: one SQLite file that outlives `kill -9`.

Every result is committed before the next ones are waited for. In WAL mode what is committed is in
the operating system's hands: killing the process loses none of it, and a loss of power at most the
last moments, never the file.

Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, final

import msgspec

from openmm.errors import CommandError, ConfigError
from openmm.sweep.plan import Spec
from openmm.sweep.space import Point

FILE: Final = "sweep.sqlite"
LOCK: Final = "lock"
FORMAT: Final = 3
MADE_FIRST: Final = frozenset((LOCK, "spans"))  # what a sweep's folder has before its file
_POINT: Final = msgspec.json.Decoder(Point)
# What differs, in words: `plan.described`.
PARTS: Final[Mapping[str, str]] = {
    "bot": "bot's file", "files": "data", "data": "data or spans", "parameters": "parameters",
    "model": "fill model or length of returns", "runner": "runner",
    "build": "build or code of the strategy",
}  # fmt: skip
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run (
    run_id TEXT PRIMARY KEY, place INTEGER NOT NULL UNIQUE, trial INTEGER NOT NULL,
    span INTEGER NOT NULL, point BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS result (
    run_id TEXT PRIMARY KEY REFERENCES run (run_id), state TEXT NOT NULL, why TEXT NOT NULL,
    figures BLOB, seconds REAL NOT NULL, host TEXT NOT NULL, attempts INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Result(msgspec.Struct, frozen=True, array_like=True):
    """What came of a run.

    Args:
        state: `done`; `refused`: the combination does not fit together, the market or the limits;
            `failed`: it could not be run, `why` says what happened.
        figures: of `figures.Figures`, one a slice of the span, encoded; None unless done.
        seconds, host: how long it took, and where.
        attempts: how often it was begun.
    """

    run_id: str
    state: str
    why: str = ""
    figures: bytes | None = None
    seconds: float = 0.0
    host: str = ""
    attempts: int = 1


@final
class SweepStore:
    """One sweep's folder, opened by one process at a time.

    Raises:
        ConfigError: the folder holds something else: results would replace files in it.
        CommandError: another process has it (`busy`), or it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = {one.name for one in folder.iterdir()}
            if FILE not in held and held - MADE_FIRST:
                allowed = "a sweep's own folder, an empty one, or one that is not there yet"
                raise ConfigError("--out", str(folder), allowed)
            self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise CommandError(f"{folder}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise CommandError(f"{folder}: another sweep runs in it", code="busy") from None
        try:
            self._db = sqlite3.connect(folder / FILE, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise CommandError(f"{folder / FILE}: {error}") from None

    def __enter__(self) -> Self:
        """Return it opened."""
        return self

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        """Close it; say of what file it is that it is no database, is damaged or has no room.

        Raises:
            CommandError: in the place of such an error.
        """
        self.close()
        if isinstance(error, msgspec.DecodeError):  # of its bytes: all else was checked before
            raise CommandError(f"{self.folder / FILE}: damaged: {error}") from None
        if type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError):
            raise CommandError(f"{self.folder / FILE}: {error}") from None

    def close(self) -> None:
        """Let the folder go."""
        self._db.close()
        os.close(self._lock)

    def claim(self, described: Mapping[str, Any]) -> bool:
        """Make the folder this sweep's; tell whether it was before.

        Raises:
            ConfigError: it is another sweep's: told is what differs.
        """
        if not self.compare(described):
            wanted = {**described, "format": FORMAT}
            rows = [(name, msgspec.json.encode(value)) for name, value in wanted.items()]
            with self._transaction():
                self._db.executemany("INSERT INTO about VALUES (?, ?)", rows)
            return False
        return True

    def compare(self, described: Mapping[str, Any]) -> bool:
        """Tell whether the folder is this sweep's already; it may be nobody's.

        Args:
            described: what is known of the sweep: all of it, or what there is before its spans.

        Raises:
            ConfigError: it is another sweep's: told is what differs.
        """
        wanted = {**described, "format": FORMAT}
        kept = {
            str(name): msgspec.json.decode(value)
            for name, value in self._db.execute("SELECT name, value FROM about")
        }
        if not kept:
            return False
        other = [PARTS.get(name, name) for name in wanted if kept.get(name) != wanted[name]]
        if other:
            allowed = (
                "a folder of its own for another sweep; this one holds results of other "
                + ", ".join(other)
            )
            raise ConfigError("--out", str(self.folder), allowed)
        return True

    def plan(self, specs: Iterable[Spec]) -> None:
        """Write runs down before they are run; those known already stay as they are."""
        rows = (
            (one.run_id, one.place, one.trial, one.span, msgspec.json.encode(one.point))
            for one in specs
        )
        with self._transaction():
            self._db.executemany(
                "INSERT INTO run VALUES (?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING", rows
            )

    def add(self, results: Iterable[Result]) -> int:
        """Keep results, all at once; one that is known already stays as it was.

        Returns how many are new.
        """
        before = self._db.total_changes
        with self._transaction():
            self._db.executemany(
                "INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING",
                map(msgspec.structs.astuple, results),
            )
        return self._db.total_changes - before

    def reopen(self) -> int:
        """Forget the failed results: what failed them, a file or a machine, may be well again.

        Returns how many there were.
        """
        told = self._db.execute("SELECT count(*) FROM result WHERE state = 'failed'").fetchone()
        if told[0]:
            with self._transaction():
                self._db.execute("DELETE FROM result WHERE state = 'failed'")
        return int(told[0])

    def replan(self, specs: Sequence[Spec], first_trial: int, end_trial: int) -> None:
        """Write down the runs of combinations; where others were planned, what follows is void.

        Args:
            first_trial, end_trial: whose runs these are, the end not among them.
        """
        rows = self._db.execute(
            "SELECT run_id FROM run WHERE trial >= ? AND trial < ?", (first_trial, end_trial)
        )
        if {str(row[0]) for row in rows} != {one.run_id for one in specs}:
            with self._transaction():
                later = "SELECT run_id FROM run WHERE trial >= ?"
                self._db.execute(f"DELETE FROM result WHERE run_id IN ({later})", (first_trial,))
                self._db.execute("DELETE FROM run WHERE trial >= ?", (first_trial,))
        self.plan(specs)

    def counts(self) -> tuple[int, int]:
        """Return how many runs are planned and how many have a result."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM result)"
        ).fetchone()
        return int(row[0]), int(row[1])

    def open_runs(self) -> list[Spec]:
        """Return the runs without a result, in the plan's order."""
        rows = self._db.execute(
            "SELECT run_id, place, trial, span, point FROM run"
            " WHERE run_id NOT IN (SELECT run_id FROM result) ORDER BY place"
        )
        return [_spec(row) for row in rows]

    def results(self, first_trial: int = 0) -> Iterator[tuple[Spec, Result]]:
        """Yield every run that has a result, in the plan's order.

        Args:
            first_trial: of earlier combinations none.
        """
        rows = self._db.execute(
            "SELECT run_id, place, trial, span, point, state, why, figures, seconds, host, attempts"
            " FROM run JOIN result USING (run_id) WHERE trial >= ? ORDER BY place", (first_trial,)
        )  # fmt: skip
        for row in rows:
            yield _spec(row), Result(row[0], *row[5:])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


@final
class _Transaction:
    """Commit at the end, or undo all of it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:  # it is not where there was no room left
            self._db.execute("ROLLBACK")


def _spec(row: Sequence[Any]) -> Spec:
    run_id, place, trial, span, point = row[:5]
    return Spec(run_id, place, trial, span, _POINT.decode(point))
