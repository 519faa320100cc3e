"""`openmm report`: what a session came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, need_page, write_file
from openmm.cli.pick import Bot, Folder, pick

if TYPE_CHECKING:
    from openmm.engine.rundir import RunDir
    from openmm.settlement.report import Report
    from openmm.settlement.touch import Uptime
    from openmm.settlement.verify import Verdict

EXAMPLE = "Example: openmm report --bot btc-grid --html report.html"


class Ledger(NamedTuple):
    """Where a session's ledger and journals are."""

    store: str
    bot: str | None
    journals: Path | None


def report(
    session: Annotated[
        str | None, typer.Option("--session", help="The session; the last one unless told.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The ledger: a file, or a database address.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file as well.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Recompute every figure from the journal instead.")
    ] = False,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="The bot's folder of journals, with --store.")
    ] = None,
    uptime_within: Annotated[
        str | None,
        typer.Option("--uptime-within", help='Measure uptime anew, such as "25bps".'),
    ] = None,
    uptime_depth: Annotated[
        str | None, typer.Option("--uptime-depth", help="With at least this much base a side.")
    ] = None,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Print what a session came to: volume, P&L, fees, spread captured, fill rate, uptime, latency.

    --verify books the journal anew, in a temporary store, and says whether the report holds. Exit
    code 1 with the first figure that differs if it does not.
    """
    from openmm.settlement.report import load_report

    need_page("--html", html)
    ledger = find_ledger(store, bot, run_dir, journal)
    # Bots may share a store: the last session is that of the bot asked for.
    owner = ledger.bot if session is None else None
    found = load_report(ledger.store, session, bot=owner)
    name = found.session.session_id
    if verify:
        return _verify(ledger, name, json_)
    uptime = _uptime(uptime_within, uptime_depth)
    if uptime is None:
        if html is not None:
            write_page(found, ledger.store, html)
    else:
        from openmm.settlement.verify import rebuilt

        folder = _segments(ledger, name)
        with (
            _progress(f"reading {name}") as on_progress,
            rebuilt(folder, name, ledger.store, uptime=uptime, on_progress=on_progress) as anew,
        ):
            found = load_report(anew, name)
            if html is not None:
                write_page(found, anew, html)
    emit(found.to_json(), json_, lambda: text_of(found))
    return EXIT_DONE


def find_ledger(
    store: str | None, bot: str | None, run_dir: Path | None, journal: Path | None = None
) -> Ledger:
    """Return what the options mean: a ledger told, or that of the bot that is meant."""
    if store is not None:
        return Ledger(store, bot, journal)
    picked = pick(bot, run_dir)
    return Ledger(store_of(picked), picked.bot, journal or picked.journal)


def store_of(run_dir: RunDir) -> str:
    """Return the address of a bot's ledger: of the environment, or as its last session told it."""
    from openmm.control.records import store_of as found

    return found(run_dir)


def write_page(found: Report, store: str, path: Path) -> None:
    """Write a report's page.

    Raises:
        CommandError: the file cannot be written.
    """
    from openmm.settlement.page import page
    from openmm.settlement.series import load_series

    write_file(path, page(found, load_series(store, found.session.session_id)))


def text_of(found: Report) -> str:
    """Render a report's tables as text."""
    import io
    import sys

    from rich.console import Console

    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=sys.stdout.isatty(), highlight=False)
    found.render(console)
    return out.getvalue().rstrip("\n")


def _verify(ledger: Ledger, session: str, json_: bool) -> int:
    from dataclasses import asdict

    from openmm.settlement.verify import verify

    with _progress(f"verifying {session}") as on_progress:
        verdict = verify(ledger.store, session, _segments(ledger, session), on_progress)
    emit({"holds": verdict.holds, **asdict(verdict)}, json_, lambda: _told(verdict))
    return EXIT_DONE if verdict.holds else EXIT_FAILED


def _told(verdict: Verdict) -> str:
    head = f"session {verdict.session_id}, build {verdict.build}, journal {verdict.journal_hash}"
    if verdict.holds:
        return (
            f"{head}\nholds: {verdict.figures:,} figures recomputed from the journal are the same"
        )
    return (
        f"{head}\ndoes not hold: {verdict.difference} is {verdict.stored}, "
        f"the journal makes it {verdict.recomputed}"
    )


def _segments(ledger: Ledger, session: str) -> Path:
    from openmm.errors import CommandError
    from openmm.journal import session_folder

    if ledger.journals is None:
        raise CommandError("which journals: say --journal FOLDER beside --store", code="journal")
    folder = session_folder(ledger.journals, session)
    if not folder.is_dir():
        raise CommandError(f"no journal of session {session} in {ledger.journals}", code="journal")
    return folder


def _uptime(within: str | None, depth: str | None) -> Uptime | None:
    from decimal import Decimal

    from openmm.config.values import parse_decimal, parse_ppm
    from openmm.errors import ConfigError
    from openmm.settlement.touch import Uptime

    if within is None and depth is None:
        return None
    usual = Uptime()
    try:
        within_ppm = usual.within_ppm if within is None else parse_ppm(within)
    except ValueError as error:
        raise ConfigError("--uptime-within", within, str(error)) from None
    try:
        wanted = usual.depth if depth is None else parse_decimal(depth)
    except ValueError as error:
        raise ConfigError("--uptime-depth", depth, str(error)) from None
    if within_ppm <= 0:
        raise ConfigError("--uptime-within", within, "a distance above zero")
    if wanted < Decimal(0):
        raise ConfigError("--uptime-depth", depth, "a quantity of zero or more")
    return Uptime(within_ppm, wanted)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], Any]]:
    """Show records read, on the error stream of a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} records"), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as shown:  # fmt: skip
        task = shown.add_task(what, total=None)

        def on_progress(records: int) -> None:
            shown.update(task, completed=records)

        yield on_progress
