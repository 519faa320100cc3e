"""The one door: who calls, what they may do, what they did; every surface goes through it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, final

from openmm.control.access import Client
from openmm.control.actions import ACTIONS, Action
from openmm.control.arguments import checked
from openmm.control.audit import Audit, redacted
from openmm.control.client import send_command
from openmm.control.home import Home
from openmm.control.plain import plain
from openmm.control.views import look, page_view
from openmm.engine.commands import Command, Halt, Pause, Resume, Stop
from openmm.engine.rundir import RunDir
from openmm.errors import ControlError, OpenMMError

MS: Final = 1_000_000
Args: TypeAlias = Mapping[str, Any]


@final
class Door:
    """Let calls in, one after the other or from many threads at once."""

    def __init__(self, home: Home, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.home = home
        self._clock = clock
        self._audit = Audit(home.audit)

    def authenticate(self, token: str) -> Client:
        """Return whose token this is.

        Raises:
            ControlError: nobody's (`unauthenticated`).
        """
        raise ControlError(
            "no such token", code="unauthenticated", hint="ask the operator for a token"
        )

    def call(
        self, client: Client, action: str, args: Args, *, surface: str, key: str = "",
        preview: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Carry out an action for a client; every call is in the audit.

        Args:
            key: makes a write happen once; made up when left out.
            preview: token of a preview of the same arguments, for what needs one.

        Raises:
            ControlError: refused at the door.
            CommandError: the bot does not run or refused.
        """
        began_ns = self._clock()
        record: dict[str, Any] = {
            "caller": {"client": client.name, "surface": surface, "uid": os.getuid()},
            "scope": "", "action": redacted(action), "bot": "", "args": redacted(args),
        }  # fmt: skip
        try:
            asked = _action(action)
            record["scope"] = asked.scope.value
            if not client.may(asked.scope):
                raise ControlError(
                    f"{action} needs the scope {asked.scope}; {client.name} has "
                    f"{', '.join(sorted(client.scopes)) or 'none'}",
                    code="forbidden",
                    hint="the operator can grant it: openmm token add",
                )
            given = checked(asked, args)
            bot = self._bot(client, given.pop("bot")) if asked.bot else None
            record["bot"] = bot.bot if bot is not None else ""
            if asked.writes:
                self._record({**record, "verdict": "asked"}, sync=True)
            result = self._do(asked, client, bot, given, surface)
        except OpenMMError as error:
            self._record(
                {**record, "verdict": f"refused: {error.code}: {error}"[:500],
                 "duration_ms": (self._clock() - began_ns) // MS}, sync=False,
            )  # fmt: skip
            raise
        self._record(
            {**record, "verdict": "done", "duration_ms": (self._clock() - began_ns) // MS},
            sync=asked.writes,
        )
        return result

    def preview(self, client: Client, action: str, args: Args, *, surface: str) -> dict[str, Any]:
        """Show what a call would change, with the token that lets it be made.

        Raises:
            ControlError: refused at the door.
        """
        raise ControlError(
            f"{action} has no preview", code="bad_argument", hint="call it without one"
        )

    def _record(self, record: dict[str, Any], *, sync: bool) -> None:
        self.home.make()
        self._audit.append(record, self._clock(), sync=sync)

    def _bot(self, client: Client, name: str) -> RunDir:
        seen = [one for one in self.home.bots() if client.sees(one.bot)]
        for one in seen:
            if one.bot == name:
                return one
        raise ControlError(
            f"no bot {name!r}; there are: {', '.join(one.bot for one in seen) or 'none'}",
            code="unknown_bot",
            hint="the action bots lists them",
        )

    def _do(
        self, action: Action, client: Client, bot: RunDir | None, args: dict[str, Any], surface: str
    ) -> dict[str, Any]:
        now_ns = self._clock()
        if action.name == "bots":
            seen = [one for one in self.home.bots() if client.sees(one.bot)]
            return {"bots": [_status(one, now_ns) for one in seen]}
        assert bot is not None, "the others take a bot"
        if action.name == "status":
            return _status(bot, now_ns)
        command: Command
        reason = str(args.get("reason", ""))
        match action.name:
            case "pause":
                command = Pause()
            case "halt":
                command = Halt(reason)
            case "resume":
                command = Resume()
            case "stop":
                command = Stop(reason)
            case _:
                raise ControlError(f"{action.name} is not offered here", code="not_offered")
        return {"bot": bot.bot, **plain(send_command(bot, command, surface=surface))}


def _action(name: str) -> Action:
    found = ACTIONS.get(name)
    if found is None:
        raise ControlError(
            f"action: one of {', '.join(ACTIONS)}; got {str(name)[:60]!r}", code="bad_argument"
        )
    return found


def _status(bot: RunDir, now_ns: int) -> dict[str, Any]:
    seen = look(bot, now_ns)
    view: dict[str, Any] = plain(page_view(seen.page, now_ns)) if seen.page is not None else {}
    return {"bot": bot.bot, "running": seen.running, "page": seen.page_state, **view}
