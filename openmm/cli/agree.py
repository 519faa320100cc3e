"""What commands that change a running bot share: a typed yes, a key, and what to do unanswered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from openmm.cli import pick

if TYPE_CHECKING:
    from openmm.engine.commands import Command
    from openmm.engine.rundir import RunDir

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Key: TypeAlias = Annotated[
    str,
    typer.Option("--key", help="Of a command sent before: it happens once, if at all."),
]
UNANSWERED = frozenset({"timeout", "ended"})


def agree(shown: str, yes: bool) -> None:
    """Show what is about to happen and have it confirmed, typed at a terminal.

    Raises:
        CommandError: nobody is there to ask.
    """
    from openmm.errors import CommandError

    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to confirm it: --yes", code="not_confirmed")
    typer.echo(shown, err=True)
    answer = typer.prompt("Type yes to do it", default="", show_default=False, err=True)
    if answer.strip() != "yes":
        raise typer.Abort


def fresh_key(key: str) -> str:
    """Return the key that was given, or a new one."""
    import uuid

    return key or uuid.uuid4().hex[:12]


def tell(run_dir: RunDir, command: Command, key: str) -> dict[str, Any]:
    """Send a command with a key; what went unanswered may be sent again with it.

    Raises:
        CommandError: it was refused, or not answered.
    """
    from openmm.errors import CommandError

    try:
        return pick.tell(run_dir, command)
    except CommandError as error:
        if error.code not in UNANSWERED:
            raise
        raise CommandError(f"{error}; send it again with --key {key}", code=error.code) from error


def ladders(told: dict[str, Any]) -> str:
    """Return the lines of a preview: what moves, and the ladder it gives."""
    from openmm.cli.output import pairs

    lines = [pairs({one["key"]: f"{one['before']} -> {one['after']}" for one in told["diff"]})]
    if not told["diff"]:
        lines = ["nothing changes"]
    if (ladder := told["ladder"]) is not None:
        for side in ("asks", "bids"):
            rows = [_levels(ladder[when][side]) for when in ("before", "after")]
            lines.append(f"{side}: {rows[0]}\n   -> {rows[1]}")
    return "\n".join([*lines, *(f"note: {text}" for text in told["warnings"])])


def _levels(side: list[dict[str, str]]) -> str:
    return ", ".join(f"{level['qty']} at {level['price']}" for level in side) or "none"
