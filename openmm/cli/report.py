"""`openmm report`: what a session came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.cli.pick import Bot, Folder, pick

if TYPE_CHECKING:
    from openmm.engine.rundir import RunDir
    from openmm.settlement.report import Report

EXAMPLE = "Example: openmm report --bot btc-grid --json"


def report(
    session: Annotated[
        str | None, typer.Option("--session", help="The session; the last one unless told.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The ledger: a file, or a database address.")
    ] = None,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Print what a session came to: volume, P&L, fees, spread captured, fill rate, latency."""
    from openmm.settlement.report import load_report

    if store is None:
        picked = pick(bot, run_dir)
        store, bot = store_of(picked), picked.bot
    # Bots may share a store: the last session is that of the bot asked for.
    found = load_report(store, session, bot=bot if session is None else None)
    emit(found.to_json(), json_, lambda: text_of(found))
    return EXIT_DONE


def store_of(run_dir: RunDir) -> str:
    """Return the address of a bot's ledger, as its last session told it."""
    told = run_dir.read_session().get("store")
    return told if isinstance(told, str) else f"sqlite:///{run_dir.store}"


def text_of(found: Report) -> str:
    """Render a report's tables as text."""
    import io
    import sys

    from rich.console import Console

    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=sys.stdout.isatty(), highlight=False)
    found.render(console)
    return out.getvalue().rstrip("\n")
