"""What may be used once: the token of a preview, the key of a write.

In a small database beside the audit, so that every process on the host sees the same: a token that
was used at one surface is used up at all of them, whoever is restarted in between.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import orjson
from msgspec import Struct

from openmm.errors import ControlError

PREVIEW_NS: Final = 60_000_000_000
KEPT_NS: Final = 24 * 3_600 * 1_000_000_000
KEYS_MAX: Final = 10_000  # of a client
PREVIEWS_KEPT_NS: Final = 3_600 * 1_000_000_000
KEY_CHARS_MAX: Final = 128
RESULT_BYTES_MAX: Final = 1 << 16
BUSY_S: Final = 10.0
HURRY_S: Final = 0.3  # for what must not wait
_TABLES = """
create table if not exists preview(
    digest text primary key, client text not null, bound text not null, version text not null,
    expires_ns integer not null, used integer not null default 0);
create table if not exists told(
    client text not null, key text not null, bound text not null, version text not null,
    asked_ns integer not null, uncertain integer not null default 0, result text,
    primary key(client, key));
"""


class Told(Struct, frozen=True):
    """What is known of a write under its key.

    Args:
        first: it is new.
        version: of the state that its preview was made from.
        asked_ns: when it was first asked for.
        uncertain: it was sent, and nobody knows what came of it.
        result: what came of it; None: nothing yet.
    """

    first: bool
    version: str
    asked_ns: int
    uncertain: bool = False
    result: dict[str, Any] | None = None


def bound_of(action: str, args: dict[str, Any]) -> str:
    """Return the one text of an action and its arguments, in their checked form."""
    return orjson.dumps([action, args], option=orjson.OPT_SORT_KEYS).decode()


@final
class Once:
    """The database of one state folder. Safe to share between threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def issue(self, client: str, bound: str, version: str, now_ns: int) -> str:
        """Return a new preview token: of this client, for exactly this, for a minute.

        Args:
            version: of the state that the preview was made from.

        Raises:
            OSError: it cannot be kept.
        """
        token = "pv_" + secrets.token_urlsafe(32)
        with self._open() as base:
            base.execute("delete from preview where expires_ns < ?", (now_ns - PREVIEWS_KEPT_NS,))
            base.execute(
                "insert into preview values(?, ?, ?, ?, ?, 0)",
                (_digest(token), client, bound, version, now_ns + PREVIEW_NS),
            )
        return token

    def take(self, token: str, client: str, bound: str, now_ns: int) -> Told:
        """Use a preview token up for a write that has no key of its caller's.

        Raises:
            ControlError: as of `begin`.
            OSError: it cannot be marked as used.
        """
        with self._open() as base:
            return Told(True, _take(base, token, client, bound, now_ns), now_ns)

    def begin(
        self, client: str, key: str, bound: str, now_ns: int, preview: str | None = None, *,
        version: str = "", hurry: bool = False,
    ) -> Told:  # fmt: skip
        """Note that a write begins under a key, or return what is known of the one that did.

        Args:
            version: of the state, where no preview tells it.
            hurry: do not wait for the disk, nor long for others.
            preview: the token that lets it begin, used up by this; None: it needs none.

        Raises:
            ControlError: the key was used for something else (`key_reused`); there is no token
                (`preview_required`), it is nobody's or of something else (`preview_mismatch`),
                used (`preview_used`), or over (`preview_expired`). Nothing is noted then.
            OSError: it cannot be noted.
        """
        with self._open(hurry=hurry) as base:
            base.execute("delete from told where asked_ns < ?", (now_ns - KEPT_NS,))
            row = base.execute(
                "select bound, version, asked_ns, uncertain, result from told "
                "where client = ? and key = ?",
                (client, key),
            ).fetchone()
            if row is None:
                if preview is not None:
                    version = _take(base, preview, client, bound, now_ns)
                base.execute(
                    "insert into told(client, key, bound, version, asked_ns) values(?, ?, ?, ?, ?)",
                    (client, key, bound, version, now_ns),
                )
                base.execute(
                    "delete from told where client = ? and asked_ns < (select asked_ns from told "
                    "where client = ? order by asked_ns desc limit 1 offset ?)",
                    (client, client, KEYS_MAX),
                )
                return Told(True, version, now_ns)
        if row[0] != bound:
            raise ControlError(
                f"the key {key[:40]!r} was used for another action or other arguments",
                code="key_reused",
                hint="leave the key out, or make a new one for each thing you want done",
            )
        result = None if row[4] is None else orjson.loads(row[4])
        return Told(False, row[1], row[2], bool(row[3]), result)

    def done(self, client: str, key: str, result: dict[str, Any], *, hurry: bool = False) -> None:
        """Keep a write's result.

        Raises:
            OSError: it cannot be kept.
        """
        raw = orjson.dumps(result)
        if len(raw) > RESULT_BYTES_MAX:
            raw = orjson.dumps({"note": "done; the result was too long to keep"})
        with self._open(hurry=hurry) as base:
            base.execute(
                "update told set result = ? where client = ? and key = ?",
                (raw.decode(), client, key),
            )

    def uncertain(self, client: str, key: str, *, hurry: bool = False) -> None:
        """Note that a write was sent, and that nobody knows what came of it.

        Raises:
            OSError: it cannot be noted.
        """
        with self._open(hurry=hurry) as base:
            base.execute(
                "update told set uncertain = 1 where client = ? and key = ?", (client, key)
            )

    def undone(self, client: str, key: str, *, hurry: bool = False) -> None:
        """Forget a write that was refused: nothing happened.

        Raises:
            OSError: it cannot be forgotten.
        """
        with self._open(hurry=hurry) as base:
            base.execute(
                "delete from told where client = ? and key = ? and result is null", (client, key)
            )

    @contextmanager
    def _open(self, *, hurry: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the database for one change that happens as a whole."""
        try:
            if not self.path.exists():
                fd = os.open(
                    self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
                )
                os.close(fd)
            base = sqlite3.connect(
                self.path, timeout=HURRY_S if hurry else BUSY_S, isolation_level=None
            )
        except sqlite3.Error as error:
            raise OSError(f"{error}: {self.path}") from error
        try:
            base.execute(f"pragma synchronous = {'off' if hurry else 'full'}")
            base.executescript(_TABLES)
            base.execute("begin immediate")
            yield base
            base.execute("commit")
        except sqlite3.Error as error:
            raise OSError(f"{error}: {self.path}") from error
        finally:
            base.close()  # what was not committed is taken back


def _take(base: sqlite3.Connection, token: str, client: str, bound: str, now_ns: int) -> str:
    """Use a preview token up; return the version it was made from. Unused by a mismatch."""
    if not token:
        raise _refused(
            "preview_required", "this needs the token of a preview of the same arguments"
        )
    row = base.execute(
        "select client, bound, version, expires_ns, used from preview where digest = ?",
        (_digest(token),),
    ).fetchone()
    if row is None or row[0] != client:
        raise _refused("preview_mismatch", "this token is of no preview of yours")
    if row[1] != bound:
        raise _refused(
            "preview_mismatch", "this token is of a preview of other arguments than these"
        )
    if row[4]:
        raise _refused("preview_used", "this preview's token was used; each is good once")
    if not row[3] - PREVIEW_NS <= now_ns < row[3]:
        raise _refused("preview_expired", f"this preview is older than {PREVIEW_NS // 10**9} s")
    base.execute("update preview set used = 1 where digest = ?", (_digest(token),))
    return str(row[2])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _refused(code: str, text: str) -> ControlError:
    return ControlError(text, code=code, hint="ask for a new preview and use its token at once")
