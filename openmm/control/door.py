"""The one door: who calls, what they may do, what they did; every surface goes through it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, final

from openmm.control import deeds, readers
from openmm.control.access import NAME, Client, Clients, Scope, unauthenticated
from openmm.control.actions import ACTIONS, Action
from openmm.control.arguments import checked
from openmm.control.audit import UNCERTAIN, Audit, redacted, verdict_of
from openmm.control.home import Home
from openmm.control.limits import BRAKES_PER_MINUTE, Limits
from openmm.control.once import KEY_CHARS_MAX, PREVIEW_NS, Once, Told, bound_of
from openmm.control.plain import plain
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError, ConfigError, ControlError, OpenMMError

MS: Final = 1_000_000
QUIET_NS: Final = 1_000_000_000
VERDICT_CHARS_MAX: Final = 500
NAMES_MAX: Final = 1_000
# Refusals that come in floods: one line of the audit a second and client, with their count.
FLOODED: Final = frozenset({"unauthenticated", "rate_limited"})
Args: TypeAlias = Mapping[str, Any]


class _Entry:
    """One call on its way into the audit."""

    def __init__(
        self, client: Client, surface: str, action: str, args: Args, began_ns: int
    ) -> None:
        self.client = client
        self.began_ns = began_ns
        self.hurry = False
        self.record: dict[str, Any] = {
            "caller": {"client": client.name, "surface": surface[:40], "uid": os.getuid()},
            "scope": "", "action": redacted(action), "bot": "", "args": redacted(args),
        }  # fmt: skip


@final
class Door:
    """Let calls in; safe to share between threads, and beside doors of other processes."""

    def __init__(self, home: Home, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.home = home
        self._clock = clock
        self._audit = Audit(home.audit)
        self._clients = Clients(home.clients)
        self._limits = Limits()
        self._once = Once(home.once)
        self._lock = threading.Lock()
        self._quiet: dict[tuple[str, str], list[int]] = {}  # last line's time, refusals since

    # ------------------------------------------------------------------ who

    def authenticate(self, token: str, *, surface: str = "") -> Client:
        """Return whose token this is.

        Raises:
            ControlError: nobody's, or its time is over (`unauthenticated`); in the audit.
        """
        now_ns = self._clock()
        try:
            found = self._clients.by_token(token, now_ns)
            why = "no such token, or its time is over"
        except ConfigError as error:
            found, why = None, f"the clients file will not do: {error}"
        if found is not None:
            return found
        claimed = str(token)[:200].split("_")[1:2]
        name = claimed[0] if claimed and NAME.fullmatch(claimed[0]) else "?"
        entry = _Entry(Client(name, frozenset()), surface, "authenticate", {}, now_ns)
        self._end(entry, f"refused: unauthenticated: {why}", sync=False)
        raise unauthenticated("this token opens nothing")

    def client(self, name: str) -> Client:
        """Return a client of the file by its name, for a surface that the bot's user started.

        Raises:
            ControlError: there is none, or its time is over (`unauthenticated`).
            ConfigError: the file will not do.
        """
        found = self._clients.by_name(name, self._clock())
        if found is None:
            raise unauthenticated(f"no client {name!r} in {self.home.clients}")
        return found

    # ------------------------------------------------------------------ what

    def call(
        self, client: Client, action: str, args: Args, *, surface: str, key: str = "",
        preview: str = "", confirmed: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Carry out an action for a client; every call is in the audit.

        Args:
            key: makes a write happen once; made up when left out.
            preview: token of a preview of the same arguments, for what needs one.
            confirmed: the operator said yes at the terminal: no preview is needed. LOCAL only.

        Returns:
            What JSON can hold: decimals are exact texts.

        Raises:
            ControlError: refused at the door.
            OpenMMError: refused by the bot, or by what was asked for.
        """
        entry = _Entry(client, surface, action, args, self._clock())
        verdict = "failed: internal_error"
        writes = False
        try:
            asked, client, given, bot = self._admitted(entry, action, args)
            if confirmed and not client.local:
                raise ControlError(
                    "only the bot's own user confirms at a terminal", code="forbidden",
                    hint="ask for a preview, and call with its token",
                )  # fmt: skip
            writes = asked.writes
            if writes:
                result = self._write(
                    entry, asked, client, bot, given, surface, key, preview, confirmed
                )
            else:
                seen = self.home.of(client.bots)
                result = plain(readers.read(seen, client, asked, bot, given, self._clock()))
            verdict = "done"
        except OpenMMError as error:
            verdict = verdict_of(error)
            raise
        finally:
            told = self._end(entry, verdict, sync=writes)
        if told:
            return _unrecorded(result, told, asked, done=writes)
        return result

    def preview(self, client: Client, action: str, args: Args, *, surface: str) -> dict[str, Any]:
        """Show what a call would change, with the token that lets it be made.

        Returns:
            `preview`: the token, good once, for a minute, for these very arguments; `diff`,
            `ladder`, `warnings`, `needs`: what it would do.

        Raises:
            ControlError: refused at the door.
            OpenMMError: the bot would refuse it.
        """
        entry = _Entry(client, surface, action, args, self._clock())
        entry.record["preview"] = True
        verdict = "failed: internal_error"
        try:
            asked, client, given, bot = self._admitted(entry, action, args)
            if not asked.previewed:
                raise ControlError(
                    f"{action} needs no preview", code="bad_argument", hint=f"call {action} itself"
                )
            now_ns = self._clock()
            shown = deeds.shown(
                self.home.of(client.bots), client, asked, bot, given, surface, now_ns
            )
            try:
                self.home.make()
                bound = bound_of(action, _named(given, bot))
                token = self._once.issue(client.name, bound, shown.version, self._clock())
            except OSError as error:
                raise _not_kept(error) from None
            verdict = "done"
        except OpenMMError as error:
            verdict = verdict_of(error)
            raise
        finally:
            told = self._end(entry, verdict, sync=False)
        if told:
            raise _not_kept(OSError(told))
        return {
            "preview": token, "expires_s": PREVIEW_NS // 10**9, "action": action,
            "args": _named(given, bot), "diff": plain(shown.diff), "ladder": plain(shown.ladder),
            "warnings": list(shown.warnings),
            "needs": {"scope": asked.scope.value, **plain(shown.needs)},
        }  # fmt: skip

    # ------------------------------------------------------------------ inside

    def _admitted(
        self, entry: _Entry, action: str, args: Args
    ) -> tuple[Action, Client, dict[str, Any], RunDir | None]:
        """Check who calls, how often, for what, with what, on which bot."""
        now_ns = entry.began_ns
        client = self._known(entry.client, now_ns)
        asked = ACTIONS.get(action) if isinstance(action, str) else None
        brake = asked is not None and asked.scope is Scope.BRAKE and client.may(Scope.BRAKE)
        if not client.local:
            most = BRAKES_PER_MINUTE if brake else client.caps.requests_per_minute
            self._limits.request(client.name, "brake" if brake else "", most, now_ns)
        if asked is None:
            raise ControlError(
                f"action: one of {', '.join(ACTIONS)}; got {str(action)[:60]!r}",
                code="bad_argument", hint="take one of those",
            )  # fmt: skip
        entry.record["scope"] = asked.scope.value
        if not client.may(asked.scope):
            raise ControlError(
                f"{action} needs the scope {asked.scope}; {client.name} has "
                f"{', '.join(sorted(client.scopes)) or 'none'}",
                code="forbidden",
                hint=f"the operator can grant {asked.scope} in the clients file; do without it",
            )
        given = checked(asked, args)
        bot = self._bot(client, given.pop("bot")) if asked.bot else None
        entry.record["bot"] = bot.bot if bot is not None else ""
        return asked, client, given, bot

    def _known(self, client: Client, now_ns: int) -> Client:
        """Return a client as the file has it now: what was taken out of it opens nothing."""
        if not client.issued:
            return client
        try:
            found = self._clients.by_name(client.name, now_ns)
        except ConfigError as error:
            raise unauthenticated("the clients file will not do") from error
        if found is None or found.issued != client.issued:
            raise unauthenticated("this token opens nothing any more")
        return found

    def _bot(self, client: Client, name: str) -> RunDir:
        seen = self.home.of(client.bots).bots()
        for one in seen:
            if one.bot == name:
                return one
        raise ControlError(
            f"no bot {name!r}; there are: {', '.join(one.bot for one in seen) or 'none'}",
            code="unknown_bot",
            hint="the action bots lists them",
        )

    def _write(
        self, entry: _Entry, asked: Action, client: Client, bot: RunDir | None,
        given: dict[str, Any], surface: str, key: str, preview: str, confirmed: bool,
    ) -> dict[str, Any]:  # fmt: skip
        """Carry out a write: once a key, with its preview, after it stands in the audit."""
        brake = asked.scope is Scope.BRAKE
        made_up = not key
        key = _key(key)
        entry.record["key"] = key
        told = self._begun(
            client, asked, bot, bound_of(asked.name, _named(given, bot)), key, made_up,
            preview if asked.previewed and not confirmed else None, entry.began_ns,
        )  # fmt: skip
        if told.result is not None and not brake:
            return {**told.result, "repeated": True}
        settled = False
        try:
            if not brake:
                deeds.check_version(
                    asked, client, bot, told.version, surface, shown=told.first and not confirmed
                )
            self._asked(entry, brake=brake)
            # A brake that is told again is done again: what it undoes may have come in between.
            sent = "" if brake and not told.first else key
            seen = self.home.of(client.bots)
            result: dict[str, Any] = plain(
                deeds.do(
                    seen, client, asked, bot, given, surface, sent, told.version, self._clock()
                )
            )
            settled = True
            if bot is None and "bot" in result:
                entry.record["bot"] = str(result["bot"])
        except CommandError as error:
            gone = error.code == "not_running" and asked.name == "stop"
            if gone and told.result is not None:
                settled = True
                return {**told.result, "repeated": True}
            if (settled := error.code in UNCERTAIN) and not made_up:
                self._kept(self._once.uncertain, client.name, key, hurry=brake)
            raise
        finally:
            if not settled and told.first and not made_up:
                self._kept(self._once.undone, client.name, key, hurry=brake)
        if not told.first:
            result["repeated"] = True
        if made_up:
            return result
        if problem := self._kept(self._once.done, client.name, key, result, hurry=brake):
            result["key_note"] = f"done, but its key was not kept: {problem}"
        return result

    def _begun(
        self, client: Client, asked: Action, bot: RunDir | None, bound: str, key: str,
        made_up: bool, preview: str | None, now_ns: int,
    ) -> Told:  # fmt: skip
        """Note that a write begins; return what is known of it."""
        brake = asked.scope is Scope.BRAKE
        session = "" if brake else deeds.session_of(bot)
        try:
            self.home.make()
            if made_up:  # nobody can tell it again
                if preview is None:
                    return Told(True, session, now_ns)
                return self._once.take(preview, client.name, bound, now_ns)
            told = self._once.begin(
                client.name, key, bound, now_ns, preview, version=session, hurry=brake
            )
        except OSError as error:
            if not brake:
                raise _not_kept(error) from None
            return Told(True, session, now_ns)
        unfinished = not told.first and told.result is None and not told.uncertain
        if unfinished and asked.name in deeds.OURS and now_ns - told.asked_ns < PREVIEW_NS:
            raise ControlError(
                f"{asked.name} under this key is being carried out", code="in_progress",
                hint="call again with the same key in some seconds", retryable=True,
            )  # fmt: skip
        return told

    def _kept(self, change: Callable[..., None], *args: Any, hurry: bool) -> str:
        """Change what is known of a key; return why not, empty when it was."""
        try:
            change(*args, hurry=hurry)
        except OSError as error:
            return str(error)
        return ""

    def _asked(self, entry: _Entry, *, brake: bool) -> None:
        """Put a write into the audit before it happens.

        Raises:
            ControlError: it cannot be, and it is no brake.
        """
        try:
            self.home.make()
            # A brake waits neither for the disk nor long for others.
            entry.hurry = brake
            self._audit.append(
                {**entry.record, "verdict": "asked"}, self._clock(), sync=not brake, hurry=brake
            )
        except OSError as error:
            if not brake:
                raise _not_kept(error) from None

    def _end(self, entry: _Entry, verdict: str, *, sync: bool) -> str:
        """Put a call's verdict into the audit; return why not, empty when it is there."""
        now_ns = self._clock()
        more = self._quieted(entry.client.name, verdict, now_ns)
        if more is None:
            return ""
        record = {
            **entry.record, "verdict": verdict[:VERDICT_CHARS_MAX],
            "duration_ms": max(0, now_ns - entry.began_ns) // MS,
        }  # fmt: skip
        if more:
            record["not_listed"] = more
        try:
            self.home.make()
            self._audit.append(record, now_ns, sync=sync, hurry=entry.hurry)
        except OSError as error:
            return f"not recorded: {error}"
        return ""

    def _quieted(self, name: str, verdict: str, now_ns: int) -> int | None:
        """Return how many refusals of a flood stand behind this line; None: it is one of them."""
        code = verdict.split(": ")[1] if verdict.startswith("refused: ") else ""
        if code not in FLOODED:
            return 0
        with self._lock:
            # A token of nobody's claims whatever name it likes: all of them are one flood.
            name = "" if code == "unauthenticated" else name
            if len(self._quiet) > NAMES_MAX:
                self._quiet.clear()
            seen = self._quiet.setdefault((name, code), [0, 0])
            if 0 <= now_ns - seen[0] < QUIET_NS:
                seen[1] += 1
                return None
            seen[0], more = now_ns, seen[1]
            seen[1] = 0
            return more


def _named(given: dict[str, Any], bot: RunDir | None) -> dict[str, Any]:
    return {"bot": bot.bot, **given} if bot is not None else dict(given)


def _key(key: str) -> str:
    if not key:
        return secrets.token_hex(16)
    if not isinstance(key, str) or len(key) > KEY_CHARS_MAX or not key.isprintable():
        raise ControlError(
            f"key: a text of at most {KEY_CHARS_MAX} printable characters; got {key[:40]!r}",
            code="bad_argument", hint="leave it out to have one made up",
        )  # fmt: skip
    return key


def _not_kept(error: OSError) -> ControlError:
    return ControlError(
        f"it cannot be recorded, so it is not done: {error}",
        code="not_recorded",
        hint="the operator makes room on the disk; pause, halt, cancel and stop work all the same",
        retryable=True,
    )


def _unrecorded(result: dict[str, Any], told: str, asked: Action, *, done: bool) -> dict[str, Any]:
    """Withhold what was read without a record; of a write, tell that its verdict is missing."""
    if not done:
        raise _not_kept(OSError(told))
    return {**result, "audit": f"{asked.name} was done, but {told}"}
