"""What the actions that change something do: which command goes to the bot, what it is shown as."""

from __future__ import annotations

from typing import Any, Final

from openmm.control import alerts, creating, previews
from openmm.control.access import Client
from openmm.control.actions import Action
from openmm.control.client import send_command
from openmm.control.home import Home
from openmm.control.previews import Send, Shown
from openmm.engine.commands import (
    Cancel,
    Command,
    Flatten,
    Halt,
    Pause,
    Place,
    Resume,
    Set,
    Stop,
    Undo,
)
from openmm.engine.rundir import RunDir
from openmm.errors import ControlError

# Carried out here and not by a bot: their keys are kept by the door alone.
OURS: Final = frozenset({"create", "start", "acknowledge"})


def send(
    bot: RunDir, command: Command, client: Client, surface: str, *, timeout_s: float = 10.0
) -> dict[str, Any]:
    """Send a command in a client's name, with the caps that the bot is to keep.

    Raises:
        CommandError: the bot does not run, refused, or did not answer.
    """
    if client.local:
        return send_command(bot, command, surface=surface, timeout_s=timeout_s)
    return send_command(
        bot, command, surface=surface, timeout_s=timeout_s, client=client.name, caps=caps_of(client)
    )


def caps_of(client: Client) -> dict[str, str]:
    """Write a client's caps as a bot takes them; what is left out is none at all."""
    caps = client.caps
    told = {"orders_per_minute": str(caps.orders_per_minute)}
    if caps.order_notional is not None:
        told["order_notional"] = f"{caps.order_notional:f}"
    if caps.notional_per_hour is not None:
        told["notional_per_hour"] = f"{caps.notional_per_hour:f}"
    return told


def shown(
    home: Home, client: Client, asked: Action, bot: RunDir | None, args: dict[str, Any],
    surface: str, now_ns: int,
) -> Shown:  # fmt: skip
    """Show what an action would change.

    Raises:
        OpenMMError: it would be refused.
    """

    if asked.name == "create":
        return creating.of_create(home, client, args, now_ns)
    if bot is None:
        raise not_offered(asked)
    ask = _asking(client, surface)
    match asked.name:
        case "start":
            return creating.of_start(home, client, bot)
        case "set":
            return previews.of_change(bot, args["changes"], ask)
        case "undo":
            return previews.of_change(bot, None, ask)
        case "resume":
            return previews.of_resume(bot, ask, now_ns)
        case "flatten":
            return previews.of_flatten(bot, ask, now_ns)
        case "place":
            return previews.of_place(bot, client, args, now_ns)
    raise not_offered(asked)


def session_of(bot: RunDir | None) -> str:
    """Return the session of a bot as versions begin with it."""
    return f"{previews.session_version(bot)}:" if bot is not None else ""


def check_version(
    asked: Action, client: Client, bot: RunDir | None, version: str, surface: str, *, shown: bool
) -> None:
    """Refuse a call whose preview was made from another state. Of `set` and `undo` the bot itself
    compares the values.

    Args:
        shown: its preview was used for this call; else, the bot may have carried it out already.

    Raises:
        ControlError: the state has moved (`preview_mismatch`), or the session has ended since the
            call was first made (`outcome_unknown`): only that session knew of it.
        CommandError: the bot does not run.
    """
    if bot is None or asked.name in OURS:
        return
    session = session_of(bot)
    if not shown:
        if not version.startswith(session):
            raise ControlError(
                f"{bot.bot} has restarted since this was first asked for: nobody knows whether it "
                "was done",
                code="outcome_unknown",
                hint="look at its orders and state; if it is still wanted, ask with another key",
            )
        return
    match asked.name:
        case "resume" | "flatten":
            now = previews.state_version(bot, _asking(client, surface))
        case "place":
            now = session
        case "set" | "undo":
            now = previews.change_version(bot, _count(version))
        case _:
            return
    if now != version:
        raise ControlError(
            "the bot's state has moved since the preview", code="preview_mismatch",
            hint="ask for a new preview and look at it",
        )  # fmt: skip


def _moves(version: str) -> str:
    """Return the moves of a version of the state; empty where there was no preview."""
    moves = _count(version)
    return moves if moves.isdigit() else ""


def _count(version: str) -> str:
    """Return the bot's own part of a version of values, which it compares with what it has."""
    return version.rpartition(":")[2]


def _asking(client: Client, surface: str) -> Send:
    def ask(target: RunDir, command: Command) -> dict[str, Any]:
        return send(target, command, client, surface)

    return ask


def do(
    home: Home, client: Client, asked: Action, bot: RunDir | None, args: dict[str, Any],
    surface: str, key: str, version: str, now_ns: int,
) -> dict[str, Any]:  # fmt: skip
    """Carry an action out.

    Raises:
        OpenMMError: refused by the bot, or by what was asked for.
    """
    if asked.name == "create":
        return creating.create(home, client, args, version)
    if asked.name == "acknowledge":
        return alerts.acknowledge(home, args["alert"], client.name, now_ns)
    if bot is None:
        raise not_offered(asked)
    if asked.name == "start":
        return creating.start(home, client, bot, version)
    reason = str(args.get("reason", ""))
    command: Command
    match asked.name:
        case "pause":
            command = Pause(reason, key)
        case "halt":
            command = Halt(reason, key)
        case "stop":
            command = Stop(reason, key)
        case "resume":
            command = Resume(reason, key, _moves(version))
        case "cancel":
            command = Cancel(args["order"], reason, key)
        case "flatten":
            command = Flatten(reason, key, _moves(version))
        case "place":
            command = Place(args["side"], args["qty"], args["price"], reason, key)
        case "set":
            command = Set(previews.changes_text(args["changes"]), _count(version), key)
        case "undo":
            command = Undo(_count(version), key)
        case _:
            raise not_offered(asked)
    return {"bot": bot.bot, **send(bot, command, client, surface)}


def not_offered(asked: Action) -> ControlError:
    """Return the refusal of an action that has nothing behind it here."""
    return ControlError(f"{asked.name} is not offered here", code="not_offered")
