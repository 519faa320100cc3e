"""`openmm drift`: a live session against the backtest of its inputs, and models fitted to it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import (
    EXIT_DONE,
    EXIT_FAILED,
    Json,
    emit_beside,
    need,
    need_page,
    need_place,
    on_terminal,
    write_file,
)
from openmm.cli.pick import Bot, Folder, pick_journal

if TYPE_CHECKING:
    from openmm.drift.measured import Drift, Stage

EXAMPLE = "Example: openmm drift btc-grid-20261125T120000 --bot btc-grid --fit model.json"
WIDTH = 150


def drift(
    session: Annotated[
        str | None,
        typer.Argument(help="A session's id, or its journal's folder; the bot's last session."),
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(
            "--fit",
            help="Write the delays, and the queue model whose fills are the session's best, to "
            "this file, for openmm backtest --model.",
        ),
    ] = None,
    each: Annotated[
        bool,
        typer.Option(
            "--each",
            help="Write the delay of each message at its moment, for data of the session's own "
            "time, not their distribution.",
        ),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A file of what is assumed; [paper] of the bot unless told."),
    ] = None,
    within: Annotated[
        str, typer.Option("--within", help="That two fills may be apart and are the same.")
    ] = "1s",
    fills: Annotated[
        float,
        typer.Option(
            "--fills", min=0, max=100,
            help="Percent of fills, the session's and expected ones, that have to match.",
        ),
    ] = 95.0,
    orders: Annotated[
        float,
        typer.Option(
            "--orders", min=0, max=100,
            help="Percent of orders, likewise, that have to match when the engine runs again; "
            "0: any.",
        ),
    ] = 0.0,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file as well.")
    ] = None,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:  # fmt: skip
    """Run a live session again as a backtest, and tell how far apart the two are: orders, fills one
    by one, queue places, delays, P&L.

    Exit code 1 when fewer of the fills on either side match than --fills, or of the orders than
    --orders: one that was expected and never came counts as well. Nothing is asked of a venue, and
    no key is needed.
    """
    need("numpy", "drift")
    from openmm.backtest.model import load
    from openmm.config.values import parse_duration_ns
    from openmm.drift.measured import measured
    from openmm.errors import ConfigError
    from openmm.journal import Journal

    try:
        within_ns = parse_duration_ns(within)
    except ValueError as error:
        raise ConfigError("--within", within, str(error)) from None
    if within_ns < 0:
        raise ConfigError("--within", within, "0s or more")
    if each and fit is None:
        raise ConfigError("--each", each, "only together with --fit")
    # Not after the minutes that a long session takes.
    need_place("--fit", fit)
    need_page("--html", html)
    if fit is not None:
        _need_model(fit)
        if html is not None and fit.resolve() == html.resolve():
            raise ConfigError("--html", str(html), "another file than --fit")
    assumed = None if model is None else load(model)
    folder = pick_journal(session, bot, run_dir)
    with (
        tempfile.TemporaryDirectory(prefix="openmm-drift-") as books,
        showing(folder.name, not json_) as on_stage,
    ):
        found = measured(
            lambda: Journal(folder), Path(books), assumed, within_ns=within_ns,
            fit=fit is not None, each=each, on_stage=on_stage,
        )  # fmt: skip
    least = {"fills": fills, "orders": orders}
    failed = [
        name
        for name, one in (("fills", found.queue.fills), ("orders", found.orders))
        if one.share * 100 < least[name]
    ]
    told = {**found.to_json(), "limits": least, "failed": failed}
    emit_beside(
        lambda: _write(found, fit, html), told, json_, lambda: text_of(found, failed, least, fit)
    )
    return EXIT_FAILED if failed else EXIT_DONE


def _write(found: Drift, fit: Path | None, html: Path | None) -> None:
    """Write what was fitted, and the page.

    Raises:
        CommandError: a file cannot be written.
    """
    from openmm.drift.page import page
    from openmm.errors import CommandError

    try:
        if fit is not None and found.fitted is not None:
            found.fitted.save(fit)
    except OSError as error:
        raise CommandError(f"cannot write {fit}: {error.strerror}") from None
    finally:
        if html is not None:
            write_file(html, page(found))


def _need_model(path: Path) -> None:
    """Refuse to write a model over a file that is none: a market, say.

    Raises:
        ConfigError: it is such a file.
    """
    from openmm.backtest.model import load
    from openmm.errors import ConfigError

    if not path.is_file() or not path.stat().st_size:
        return
    try:
        load(path)
    except ConfigError:
        allowed = "a file that is not there yet, or a model's, which is replaced"
        raise ConfigError("--fit", str(path), allowed) from None


@contextmanager
def showing(name: str, wanted: bool) -> Iterator[Stage | None]:
    """Show what is done on a terminal while a long journal runs."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(), TextColumn(f"{name}: {{task.description}}"),
        TextColumn("{task.completed:,.0f}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("reading", total=None)
        yield lambda stage, done: shown.update(task, description=stage, completed=done)


def text_of(found: Drift, failed: list[str], least: dict[str, float], fit: Path | None) -> str:
    """Render a drift as text."""
    import io

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from openmm.drift import page

    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=on_terminal(), highlight=False)
    console.print(Text(found.session, "bold"))
    for line in page.statement(found):
        console.print(Text(line))
    for title, heads, rows in (
        ("Orders and fills", page.COUNTS, page.counts(found)),
        ("Queue models, own orders as they were sent", page.QUEUES, page.queues(found)),
        ("Delays", page.DELAYS, page.delays(found)),
        (f"P&L in {found.got.asset}", ("", "got", "expected"), page.money(found)),
    ):
        made = Table(
            title=title, title_justify="left", title_style="bold", header_style="dim",
            pad_edge=False, box=SIMPLE_HEAD,
        )  # fmt: skip
        for place, head in enumerate(heads):
            made.add_column(head, justify="left" if place == 0 else "right")
        for row in rows:
            made.add_row(*row)
        console.print(made)
    console.print(Text(page.LEGEND, "dim"))
    if fit is not None and found.fitted is not None:
        console.print(Text(f"written: {fit}: queue {found.tried[0].name}, the session's delays"))
    for name in failed:
        console.print(Text(f"{name}: fewer than {least[name]:g}% match", "red"))
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())
