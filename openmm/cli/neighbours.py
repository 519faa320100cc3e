"""`openmm neighbours`: which bots of this host show prices to each other."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openmm.cli.output import Json, emit, table

EXAMPLE = "Example: openmm neighbours --json"


def neighbours(
    forget: Annotated[
        str,
        typer.Option(
            "--forget",
            metavar="BOT",
            help="Take off what a dead bot left: you have seen that nothing of it is open.",
        ),
    ] = "",
    json_: Json = False,
) -> None:
    """Show every live bot of this host, and the best prices that others keep clear of.

    The prices of a bot that was killed stay in force, as its orders may rest: its next start takes
    them off once it has proven that nothing is open, or its watchdog does. --forget does it without
    proof; it is refused while the bot runs.
    """
    from openmm.control import neighbours as control

    if forget:
        gone = [control.row_view(row) for row in control.forget(forget)]
        emit({"forgotten": gone}, json_, lambda: f"{forget}: {len(gone)} taken off the board")
        return
    rows = [control.row_view(row) for row in control.board_rows()]
    emit({"neighbours": rows}, json_, lambda: _text(rows))


def _text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no live bot of this host is on the board"
    lines: list[tuple[str, ...]] = [("bot", "process", "venue", "pair", "for", "bid", "ask")]
    lines += [
        (
            row["bot"], str(row["pid"]) if row["alive"] else "gone, in force", row["venue"],
            row["pair"], row["purpose"], _price(row["bid"]), _price(row["ask"]),
        )
        for row in rows
    ]  # fmt: skip
    return table(lines)


def _price(value: object) -> str:
    return "-" if value is None else f"{value:f}"
