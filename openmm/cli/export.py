"""`openmm export`: a session's tables and trades as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit, table
from openmm.cli.pick import Bot, Folder
from openmm.cli.report import find_ledger

EXAMPLE = "Example: openmm export --bot btc-grid --format csv --out tables"


def export(
    session: Annotated[
        str | None, typer.Argument(help="The session; every one of the bot unless told.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("export"),
    format_: Annotated[
        str, typer.Option("--format", help="csv, or parquet (extra `research`).")
    ] = "csv",
    store: Annotated[
        str | None, typer.Option("--store", help="The ledger: a file, or a database address.")
    ] = None,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Write every table of the store, and `trades` for the accountant: each fill, deposit,
    withdrawal, cost and adjustment, with exact amounts, their assets, and times in UTC.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from openmm.errors import ConfigError
    from openmm.settlement.export import FORMATS, sessions_of
    from openmm.settlement.export import export as write

    if format_ not in FORMATS:
        raise ConfigError("--format", format_, " or ".join(FORMATS))
    ledger = find_ledger(store, bot, run_dir)
    sessions = sessions_of(ledger.store, ledger.bot, session)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description:>14}"), BarColumn(), MofNCompleteColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as shown:  # fmt: skip
        task = shown.add_task("", total=None)

        def on_progress(name: str, done: int, count: int) -> None:
            shown.update(task, description=name, completed=done, total=max(done, count))

        files = write(ledger.store, sessions, out, format_, on_progress)
    payload = {
        "sessions": sessions,
        "folder": out,
        "files": [{"table": one.table, "path": one.path, "rows": one.rows} for one in files],
    }
    emit(payload, json_, lambda: table([(str(one.path), f"{one.rows:,}") for one in files]))
    return EXIT_DONE
