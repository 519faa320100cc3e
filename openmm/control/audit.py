"""The audit: who asked the door for what, and the verdict; appended to, chained, rotated.

One JSON object a line. `previous` is the SHA-256 of the line before, of whatever bytes it has, so
that a line that was changed, taken out or put in shows; the mark beside the file holds the hash of
the last line, so that a cut end shows too. Several processes append to it, one at a time.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, final

import orjson
from msgspec import Struct

from openmm.control.turn import take_turn
from openmm.errors import OpenMMError, TelemetryError

FILE_BYTES_MAX: Final = 16 << 20
FILES_KEPT: Final = 8
TEXT_CHARS_MAX: Final = 200
LINE_BYTES_MAX: Final = 1 << 16
START: Final = "0" * 64  # before the first line there is
SECRET_WORDS: Final = ("secret", "token", "password", "passphrase", "credential", "apikey")
SECRET_NAMES: Final = frozenset({"key", "api_key", "private_key", "auth", "authorization"})
# Nobody knows whether it was carried out.
UNCERTAIN: Final = frozenset({"timeout", "ended", "outcome_unknown"})
BUSY_S: Final = 2.0
HURRY_S: Final = 0.3
TOKENS: Final = re.compile(r"omm_[a-z][a-z0-9-]*_[A-Za-z0-9_-]{16,}|pv_[A-Za-z0-9_-]{16,}")
BLOCK_BYTES: Final = 1 << 16
_TAIL_BYTES = 4 * LINE_BYTES_MAX


class Verified(Struct, frozen=True):
    """What a walk along the chain found; `problem` is empty when it holds."""

    lines: int
    files: int
    last: str  # hash of the last line
    problem: str = ""


def redacted(value: object, name: str = "", deep: int = 0) -> object:
    """Return a value fit for the audit: nothing that opens doors, long texts cut."""
    word = name.lower().replace("-", "_")
    if word in SECRET_NAMES or any(part in word for part in SECRET_WORDS):
        return "<redacted>"
    if isinstance(value, Mapping):
        if deep >= 4:
            return "…"
        items = list(value.items())[:50]
        return {str(key)[:TEXT_CHARS_MAX]: redacted(one, str(key), deep + 1) for key, one in items}
    if isinstance(value, list | tuple):
        return [redacted(one, name, deep + 1) for one in value[:50]] if deep < 4 else "…"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    text = TOKENS.sub("<redacted>", str(value))
    return text if len(text) <= TEXT_CHARS_MAX else text[:TEXT_CHARS_MAX] + "…"


def verdict_of(error: OpenMMError) -> str:
    """Return the verdict that an error is."""
    uncertain = error.code in UNCERTAIN or isinstance(error, TelemetryError)
    return f"{'failed' if uncertain else 'refused'}: {error.code}: {error}"


def iso(ts_ns: int) -> str:
    """Write a moment as ISO 8601 in UTC, to the microsecond."""
    seconds, rest_ns = divmod(ts_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@final
class Audit:
    """The audit of one state folder. Safe to share between threads and processes."""

    def __init__(
        self, path: Path, *, file_bytes_max: int = FILE_BYTES_MAX, files_kept: int = FILES_KEPT
    ) -> None:
        self.path = path
        self._bytes_max = file_bytes_max
        self._kept = files_kept

    @property
    def mark(self) -> Path:
        """Held (flock) by who appends; holds the hash of the last line."""
        return self.path.with_name(self.path.name + ".mark")

    def files(self) -> list[Path]:
        """List the files, oldest first."""
        older = [self._numbered(n) for n in range(self._kept, 0, -1)]
        return [path for path in (*older, self.path) if path.exists()]

    def append(
        self, record: Mapping[str, Any], ts_ns: int, *, sync: bool, hurry: bool = False
    ) -> None:
        """Write one record.

        Args:
            sync: wait until the disk has it.
            hurry: do not wait long for others who write.

        Raises:
            OSError: it cannot be written.
        """
        with self._alone(HURRY_S if hurry else BUSY_S) as mark:
            self._rotate()
            fd = os.open(
                self.path,
                os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
            try:
                previous = self._last_of(fd)
                known = os.pread(mark, 64, 0).decode("ascii", "replace")
                if known and known != previous:
                    told = {"action": "audit", "verdict": "failed: audit_broken: lines are missing"}
                    previous = _write(fd, told, ts_ns, previous)
                last = _write(fd, record, ts_ns, previous)
                if sync:
                    os.fsync(fd)
            finally:
                os.close(fd)
            os.pwrite(mark, last.encode(), 0)

    def newest(self) -> Iterator[dict[str, Any]]:
        """Give the records, newest first; a line that cannot be read is left out."""
        files: list[BinaryIO] = []
        seen: set[int] = set()
        try:
            for path in reversed(self.files()):
                try:
                    files.append(path.open("rb"))
                except FileNotFoundError:
                    continue
                # One that was put aside meanwhile stands there twice.
                if (inode := os.fstat(files[-1].fileno()).st_ino) in seen:
                    files.pop().close()
                seen.add(inode)
            for file in files:
                for line in _backwards(file):
                    try:
                        record = orjson.loads(line)
                    except orjson.JSONDecodeError:
                        continue
                    if isinstance(record, dict):
                        yield record
        finally:
            for file in files:
                file.close()

    def verify(self) -> Verified:
        """Walk along the whole chain, oldest line first; others may go on writing meanwhile.

        Raises:
            OSError: a file cannot be read.
        """
        with self._alone(BUSY_S) as mark:
            known = os.pread(mark, 64, 0).decode("ascii", "replace")
            opened = [(path, path.open("rb"), path.stat().st_size) for path in self.files()]
        count, last, problem = 0, "", ""
        try:
            for path, told, size in opened:
                for number, line in enumerate(_forwards(told, size), 1):
                    if last and _previous_of(line) not in (last, None):
                        problem = problem or f"{path}:{number}: does not follow the line before it"
                    count, last = count + 1, _hash(line)
        finally:
            for _, told, _ in opened:
                told.close()
        if not problem and known != last:
            problem = f"{self.path}: its last lines are missing or changed"
        return Verified(count, len(opened), last, problem)

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[int]:
        """Hold the audit against others; one who stands still with it holds up nobody for long."""
        fd = os.open(self.mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not take_turn(fd, wait_s):
                raise OSError(f"another process holds the audit: {self.mark}")
            yield fd
        finally:
            os.close(fd)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _rotate(self) -> None:
        """Start a new file when this one is full; the chain goes on in it."""
        try:
            if self.path.stat().st_size < self._bytes_max:
                return
        except FileNotFoundError:
            return
        for number in range(self._kept - 1, 0, -1):
            if (path := self._numbered(number)).exists():
                path.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))

    def _last_of(self, fd: int) -> str:
        """Return the hash of the last line, after ending one that was torn."""
        size = os.fstat(fd).st_size
        if not size:
            older = self._numbered(1)
            return _hash_of_last(older.read_bytes()[-_TAIL_BYTES:]) if older.exists() else START
        tail = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        if not tail.endswith(b"\n"):
            os.write(fd, b"\n")
        return _hash_of_last(tail)


def _write(fd: int, record: Mapping[str, Any], ts_ns: int, previous: str) -> str:
    """Append one line; return its hash."""
    body = {"ts": iso(ts_ns), "ts_ns": ts_ns, **record, "previous": previous}
    line = orjson.dumps(body)
    if len(line) >= LINE_BYTES_MAX:
        # So many short texts: what they were can be told by their hash.
        args = orjson.dumps(record.get("args"))
        body["args"] = {"cut": True, "bytes": len(args), "sha256": _hash(args)}
        line = orjson.dumps(body)
    if len(line) >= LINE_BYTES_MAX:
        raise OSError("a record longer than a line of the audit may be")
    raw = line + b"\n"
    if os.write(fd, raw) != len(raw):
        raise OSError("the audit was written in part: the disk is full")
    return _hash(line)


def _backwards(file: BinaryIO) -> Iterator[bytes]:
    """Give a file's lines, the last one first, a block at a time."""
    at = file.seek(0, os.SEEK_END)
    rest = b""
    while at:
        step = min(at, BLOCK_BYTES)
        at -= step
        file.seek(at)
        first, *whole = (file.read(step) + rest).split(b"\n")
        yield from reversed(whole)
        rest = first
        if len(rest) > _TAIL_BYTES:
            return  # no line of ours
    yield rest


def _forwards(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Give the lines of a file's first bytes, without their ends."""
    while size > 0:
        line = file.readline(size)
        if not line:
            return
        size -= len(line)
        if line != b"\n":
            yield line.removesuffix(b"\n")


def _previous_of(line: bytes) -> str | None:
    """Return which line a record says it follows; None of a line that a crash has torn."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return str(record.get("previous")) if isinstance(record, dict) else ""


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _hash_of_last(tail: bytes) -> str:
    return _hash(tail.removesuffix(b"\n").rpartition(b"\n")[2])
