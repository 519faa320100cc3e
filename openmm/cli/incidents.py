"""`openmm incidents`: where books and venue were not of one mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import Json, emit, table
from openmm.cli.pick import Folder, pick

if TYPE_CHECKING:
    from openmm.engine.rundir import RunDir

EXAMPLE = "Example: openmm incidents btc-grid --all"
NS_PER_S = 1_000_000_000


def incidents(
    bot: Annotated[str | None, typer.Argument(help="The bot; not needed for the only one.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    run_dir: Folder = None,
    json_: Json = False,
) -> None:
    """List the open incidents of a bot's money: amount, age, cause, state.

    Of a bot that does not run those of its last session, from its ledger.
    """
    found = pick(bot, run_dir)
    payload = _asked(found, every) if found.holder_pid() is not None else _stored(found, every)
    emit({"bot": found.bot, **payload}, json_, lambda: _text(payload["incidents"], every))


def _asked(found: RunDir, every: bool) -> dict[str, Any]:
    from openmm.control import Incidents, send_command

    return send_command(found, Incidents("all" if every else ""))


def _stored(found: RunDir, every: bool) -> dict[str, Any]:
    import time

    from openmm.cli.report import store_of
    from openmm.settlement.history import incidents_of

    session = str(found.read_session().get("session", ""))
    told = incidents_of(store_of(found), session, time.time_ns())
    shown = [one for one in told if every or one["state"] == "open"]
    return {"incidents": shown, "open": sum(one["state"] == "open" for one in told)}


def _text(shown: list[dict[str, Any]], every: bool) -> str:
    if not shown:
        return "no incidents" if every else "no open incidents"
    rows: list[tuple[str, ...]] = [("number", "state", "cause", "asset", "amount", "age")]
    for one in shown:
        rows.append(
            (
                str(one["number"]), one["state"], one["cause"], one["asset"],
                one["amount"] or "-", _age(one["age_ns"]),
            )
        )  # fmt: skip
    told = [
        f"{one['number']}: {one['text']}" + (f"; {one['resolution']}" if one["resolution"] else "")
        for one in shown
    ]
    return "\n".join([table(rows), "", *told])


def _age(span_ns: int) -> str:
    span_s = span_ns // NS_PER_S
    if span_s < 120:
        return f"{span_s} s"
    return f"{span_s // 60} min" if span_s < 7200 else f"{span_s // 3600} h"
