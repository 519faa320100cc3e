"""Who may do what: clients, their scopes and caps, and the file that names them.

    [client.desk-agent]
    token = "sha256:…"            # of the token, which is told once and kept nowhere
    scopes = ["read", "brake"]
    bots = ["btc-grid"]
    requests_per_minute = 120
    orders_per_minute = 5
    order_notional = "500"
    notional_per_hour = "2000"
    expires = 2027-01-01T00:00:00Z

The file is its owner's only, and read again as soon as it changes: a token taken out of it opens
nothing from then on.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import stat
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, final

from msgspec import Struct

from openmm.control.turn import take_turn
from openmm.errors import ConfigError, ControlError

TOKEN_BYTES: Final = 32  # of chance
TOKEN_CHARS_MAX: Final = 200
FILE_BYTES_MAX: Final = 1 << 20
CLIENTS_MAX: Final = 1_000
BUSY_S: Final = 2.0  # for another process that changes it
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
BOT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
RESERVED: Final = frozenset({"local"})
NS_PER_S: Final = 1_000_000_000


class Scope(StrEnum):
    """A right of a client. None includes another, but that every client may read what it sees."""

    READ = "read"
    BRAKE = "brake"  # pause, halt, cancel, stop: what lowers risk
    RESUME = "resume"  # leave a pause or a halt
    SET = "set"  # parameters and limits, and taking the last change back
    TRADE = "trade"  # orders by hand, flatten
    START = "start"  # create and start bots


class Caps(Struct, frozen=True):
    """What a client may use up at each bot; money in the quote asset of that bot.

    None for a sum of money: none at all. Enforced by the engine's risk layer for orders and
    notional, by the door for requests.
    """

    requests_per_minute: int = 120
    orders_per_minute: int = 0
    order_notional: Decimal | None = None
    notional_per_hour: Decimal | None = None


class Client(Struct, frozen=True):
    """One who calls.

    Args:
        bots: names, or "*" for all.
        local: the bot's own user at a terminal.
        issued: tells one token of a name from the next of the same name; empty without a token.
        expires_ns: when the token ends; 0: never.
    """

    name: str
    scopes: frozenset[Scope] = frozenset({Scope.READ})
    bots: tuple[str, ...] = ("*",)
    caps: Caps = Caps()
    local: bool = False
    issued: str = ""
    expires_ns: int = 0

    def may(self, scope: Scope) -> bool:
        """Tell whether a scope is granted."""
        return scope in self.scopes

    def sees(self, bot: str) -> bool:
        """Tell whether a bot is one of this client's."""
        return "*" in self.bots or bot in self.bots


# The bot's own user, who could as well write to the command socket: all rights, the file's limits.
LOCAL = Client("local", frozenset(Scope), local=True)


def digest_of(token: str) -> str:
    """Return what the file holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make_token(name: str) -> str:
    """Return a new token of a client: 256 bits of chance behind its name."""
    chance = base64.urlsafe_b64encode(secrets.token_bytes(TOKEN_BYTES)).rstrip(b"=").decode()
    return f"omm_{name}_{chance}"


@final
class Clients:
    """The clients of a file. Safe to share between threads; several processes may change it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] = ()
        self._by_digest: dict[str, Client] = {}

    def by_token(self, token: str, now_ns: int) -> Client | None:
        """Return whose token it is; None: nobody's, or it has expired.

        Raises:
            ConfigError: the file will not do.
        """
        if not isinstance(token, str) or len(token) > TOKEN_CHARS_MAX:
            return None
        told = digest_of(token)
        found: Client | None = None
        # All are compared, each in the same time: how long it takes tells nothing of any of them.
        for digest, client in self._current().items():
            if secrets.compare_digest(digest, told):
                found = client
        return found if found is not None and _lasts(found, now_ns) else None

    def by_name(self, name: str, now_ns: int) -> Client | None:
        """Return the client of a name; None: there is none, or its time is over.

        Raises:
            ConfigError: the file will not do.
        """
        for client in self._current().values():
            if client.name == name:
                return client if _lasts(client, now_ns) else None
        return None

    def all(self) -> list[Client]:
        """List the clients by name, those whose time is over too.

        Raises:
            ConfigError: the file will not do.
        """
        return sorted(self._current().values(), key=lambda one: one.name)

    def add(self, client: Client, now_ns: int) -> str:
        """Put a new client into the file; return its token, which is told nowhere else.

        Raises:
            ConfigError: there is one of this name, or the file cannot be written.
        """
        if not NAME.fullmatch(client.name) or client.name in RESERVED:
            allowed = "a name of a-z, 0-9 and -, a letter first, at most 32, other than local"
            raise ConfigError("client", client.name, allowed)
        token = make_token(client.name)
        with self._changing() as text:
            if any(one.name == client.name for one in read_clients(text, self.path).values()):
                raise ConfigError(
                    f"{self.path}: client.{client.name}", client.name,
                    "a name that is not there yet; openmm token revoke takes the old one out",
                )  # fmt: skip
            made = f"{text.rstrip()}\n\n" if text.strip() else ""
            made += _written(client, digest_of(token), now_ns)
            read_clients(made, self.path)
            self._replace(made)
        return token

    def revoke(self, name: str) -> None:
        """Take a client out of the file.

        Raises:
            ConfigError: there is none of this name, or the file cannot be written.
        """
        with self._changing() as text:
            before = read_clients(text, self.path)
            kept = {digest: one for digest, one in before.items() if one.name != name}
            if len(kept) == len(before):
                known = ", ".join(sorted(one.name for one in before.values())) or "none"
                raise ConfigError(f"{self.path}: client", name, f"one of: {known}")
            made = _without(text, name)
            if read_clients(made, self.path) != kept:
                raise ConfigError(
                    f"{self.path}: client.{name}", name,
                    f"a table [client.{name}] of its own; take it out by hand",
                )  # fmt: skip
            self._replace(made)

    def _current(self) -> dict[str, Client]:
        """Return the file's clients, read again when it has changed."""
        with self._lock:
            try:
                seen = _mark(os.stat(self.path, follow_symlinks=False))
            except FileNotFoundError:
                self._seen, self._by_digest = (), {}
                return {}
            except OSError as error:
                allowed = f"a file that can be read ({error.strerror})"
                raise ConfigError("clients file", str(self.path), allowed) from None
            if seen != self._seen:
                self._by_digest = {}
                self._seen = ()
                text, mark = _read(self.path)
                self._by_digest = read_clients(text, self.path)
                self._seen = mark
            return self._by_digest

    @contextmanager
    def _changing(self) -> Iterator[str]:
        """Hold the file against others who change it; gives its text."""
        lock = self.path.with_name(f".{self.path.name}.lock")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            allowed = f"a place that can be written to ({error.strerror})"
            raise ConfigError("clients file", str(self.path), allowed) from None
        try:
            if not take_turn(fd, BUSY_S):
                allowed = "a file that no other process holds"
                raise ConfigError("clients file", str(self.path), allowed)
            yield _read(self.path)[0] if self.path.exists() else ""
        finally:
            os.close(fd)

    def _replace(self, text: str) -> None:
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            allowed = f"a file that can be written ({error.strerror})"
            raise ConfigError("clients file", str(self.path), allowed) from None


def read_clients(text: str, path: Path) -> dict[str, Client]:
    """Read a file's text: clients by the hash of their token.

    Raises:
        ConfigError: the first key that will not do, with its place, its value, what is allowed.
    """
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), "a text that is none", f"TOML ({error})") from None
    for key in body:
        if key != "client":
            raise ConfigError(f"{path}: {key}", key, "tables [client.NAME] only")
    tables = body.get("client", {})
    if not isinstance(tables, dict) or len(tables) > CLIENTS_MAX:
        raise ConfigError(f"{path}: client", "…", f"at most {CLIENTS_MAX} tables [client.NAME]")
    found: dict[str, Client] = {}
    for name, table in tables.items():
        digest, client = _client(name, table, f"{path}: client.{name}")
        if digest in found:
            raise ConfigError(f"{path}: client.{name}.token", "…", "a token of its own")
        found[digest] = client
    return found


_KEYS = frozenset(
    {"token", "scopes", "bots", "requests_per_minute", "orders_per_minute", "order_notional",
     "notional_per_hour", "expires", "created"}
)  # fmt: skip


def _client(name: str, table: Any, place: str) -> tuple[str, Client]:
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(place, name, "a name of a-z, 0-9 and -, a letter first, other than local")
    if not isinstance(table, dict):
        raise ConfigError(place, table, "a table")
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{place}.{key}", table[key], f"one of {', '.join(sorted(_KEYS))}")
    token = table.get("token")
    if not isinstance(token, str) or not re.fullmatch(r"sha256:[0-9a-f]{64}", token):
        allowed = "sha256: and 64 hexadecimal digits, as openmm token add writes"
        raise ConfigError(f"{place}.token", "<redacted>", allowed)
    digest = token.removeprefix("sha256:")
    scopes = read_scopes(_words(table, "scopes", place, ["read"]), f"{place}.scopes")
    bots = _words(table, "bots", place, None)
    for word in bots:
        if word != "*" and not BOT_NAME.fullmatch(word):
            raise ConfigError(f"{place}.bots", word, 'names of bots, or "*" for all')
    caps = Caps(
        _whole(table, "requests_per_minute", place, 120, least=1),
        _whole(table, "orders_per_minute", place, 0, least=0),
        _money(table, "order_notional", place),
        _money(table, "notional_per_hour", place),
    )
    moments = [_moment(table, key, place) for key in ("expires", "created")]
    return digest, Client(
        name, scopes, tuple(bots), caps,
        issued=digest[:16], expires_ns=moments[0],
    )  # fmt: skip


def read_scopes(words: Sequence[str], place: str) -> frozenset[Scope]:
    """Return the scopes of these names, and `read`, which all have.

    Raises:
        ConfigError: one is none.
    """
    known = [one.value for one in Scope]
    for word in words:
        if word not in known:
            raise ConfigError(place, word, f"of {', '.join(known)}")
    return frozenset(Scope(word) for word in words) | {Scope.READ}


def _words(table: Mapping[str, Any], key: str, place: str, default: list[str] | None) -> list[str]:
    value = table.get(key, default)
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(one, str) for one in value)
        or len(value) > 100
    ):
        raise ConfigError(f"{place}.{key}", value, "a list of 1 to 100 texts")
    return value


def _whole(table: Mapping[str, Any], key: str, place: str, default: int, *, least: int) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 100_000:
        raise ConfigError(f"{place}.{key}", value, f"an integer from {least} to 100000")
    return value


def _money(table: Mapping[str, Any], key: str, place: str) -> Decimal | None:
    value = table.get(key)
    if value is None:
        return None
    allowed = 'a positive number as text, such as "500"'
    if not isinstance(value, str) or len(value) > 40:
        raise ConfigError(f"{place}.{key}", value, allowed)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ConfigError(f"{place}.{key}", value, allowed) from None
    if not number.is_finite() or not 0 < number < Decimal(10**15):
        raise ConfigError(f"{place}.{key}", value, allowed)
    return number


def _moment(table: Mapping[str, Any], key: str, place: str) -> int:
    """Return a moment in nanoseconds since 1970, 0 when there is none."""
    value = table.get(key)
    if value is None:
        return 0
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigError(f"{place}.{key}", value, "a moment with its zone: 2027-01-01T00:00:00Z")
    return int(value.timestamp()) * NS_PER_S


def _lasts(client: Client, now_ns: int) -> bool:
    return not client.expires_ns or now_ns < client.expires_ns


def _read(path: Path) -> tuple[str, tuple[int, ...]]:
    """Return a file's text and its mark, after looking at who else may read or change it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        allowed = f"a file, and no link, that can be read ({error.strerror})"
        raise ConfigError("clients file", str(path), allowed) from None
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.getuid():
        os.close(fd)
        raise ConfigError("clients file", str(path), "a file that belongs to this user")
    with os.fdopen(fd, "rb") as file:
        if stat.S_IMODE(info.st_mode) & 0o077:
            mode = f"mode {stat.S_IMODE(info.st_mode):04o}"
            raise ConfigError(f"{path}", mode, f"for its owner only: chmod 600 {path}")
        raw = file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(str(path), f"{len(raw)} bytes", f"at most {FILE_BYTES_MAX} bytes")
    try:
        return raw.decode(), _mark(info)
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"a byte at {error.start}", "UTF-8") from None


def _mark(info: os.stat_result) -> tuple[int, ...]:
    """Tell one state of a file from another, its rights and owner among it."""
    return info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size


def _written(client: Client, digest: str, now_ns: int) -> str:
    """Write a client as a table of the file."""
    caps = client.caps
    lines = [
        f"[client.{client.name}]",
        f'token = "sha256:{digest}"',
        f"scopes = [{', '.join(_quoted(one) for one in Scope if one in client.scopes)}]",
        f"bots = [{', '.join(_quoted(one) for one in client.bots)}]",
        f"requests_per_minute = {caps.requests_per_minute}",
        f"orders_per_minute = {caps.orders_per_minute}",
    ]
    if caps.order_notional is not None:
        lines.append(f'order_notional = "{caps.order_notional:f}"')
    if caps.notional_per_hour is not None:
        lines.append(f'notional_per_hour = "{caps.notional_per_hour:f}"')
    if client.expires_ns:
        lines.append(f"expires = {moment_of(client.expires_ns)}")
    lines.append(f"created = {moment_of(now_ns)}")
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    if not re.fullmatch(r"[a-z0-9*-]+", word):
        raise ConfigError("client.bots", word, "names of a-z, 0-9 and -")
    return f'"{word}"'


def moment_of(ts_ns: int) -> str:
    """Write a moment in UTC, to the second."""
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).isoformat().replace("+00:00", "Z")


def _without(text: str, name: str) -> str:
    """Cut a client's table out of a file's text, comments of the others kept."""
    kept: list[str] = []
    cut: list[str] | None = None  # lines of the table that is taken out
    for line in [*text.splitlines(keepends=True), "[end]"]:
        if match := re.match(r"\s*\[\s*([^\]]*?)\s*\]", line):
            if cut is not None:
                after = len(cut)
                while after and re.match(r"\s*(#|$)", cut[after - 1]):
                    after -= 1
                kept += cut[after:]
            inside = match[1].replace('"', "").replace(" ", "") == f"client.{name}"
            cut = [] if inside else None
        (kept if cut is None else cut).append(line)
    return "".join(kept[:-1])


def unauthenticated(why: str) -> ControlError:
    """Return the refusal of a caller whom nobody knows; it tells no more than that."""
    return ControlError(
        why, code="unauthenticated", hint="ask the operator for a token: openmm token add"
    )
