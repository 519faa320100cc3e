"""`openmm replay`: run a session's journal through the engine again and compare every byte."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, pairs
from openmm.cli.pick import Bot, Folder, pick_journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from openmm.engine.difference import Difference
    from openmm.engine.replay import Outcome

EXAMPLE = "Example: openmm replay runs/btc-grid/journal/btc-grid-20261125T120000"


def replay(
    journal: Annotated[
        str | None,
        typer.Argument(help="A session's folder of segments, or its id; the bot's last session."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Take a journal without its session's end: a killed bot's."),
    ] = False,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Rebuild the engine from a session's journal, give it the journal's inputs, and compare all it
    makes, byte for byte: orders, ladders, refusals, transitions, fills, balances, risk and state.

    Exit code 1 at the first difference: it is told with its record, the fields of both sides, and
    the order it is about; and where the journal ends before its session did, unless --partial.
    Nothing is asked of a venue, and no key is needed.
    """
    from openmm.engine.replay import replay as run
    from openmm.journal import Journal

    folder = pick_journal(journal, bot, run_dir)
    held = Journal(folder)
    with replaying(folder, not json_) as on_progress:
        found = run(held, on_progress)
    tail = held.tail if found.identical else None
    torn = 0 if tail is None else tail.torn_bytes
    chain = "" if tail is None else tail.chain.hex()
    emit(_object(found, folder, torn, chain), json_, lambda: text_of(found, folder, torn, chain))
    return EXIT_DONE if found.identical and (found.ended or partial) else EXIT_FAILED


@contextmanager
def replaying(folder: Path, wanted: bool) -> Iterator[Callable[[int], None] | None]:
    """Show a line on a terminal while a long journal runs."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(), TextColumn("replaying {task.description}"),
        TextColumn("{task.completed:,.0f} records"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(folder.name, total=None)
        yield lambda records: shown.update(task, completed=records)


def _object(found: Outcome, folder: Path, torn: int, chain: str) -> dict[str, Any]:
    from msgspec.structs import asdict

    told = asdict(found)
    difference = found.difference
    told["difference"] = None if difference is None else asdict(difference)
    return {
        "journal": folder, "identical": found.identical, **told, "torn_bytes": torn,
        "journal_hash": chain,
    }  # fmt: skip


def text_of(found: Outcome, folder: Path, torn: int, chain: str) -> str:
    """Render what came of a replay."""
    rows: dict[str, object] = {
        "session": found.session_id, "journal": folder, "build": found.build,
        "records": f"{found.records:,}, of them {found.inputs:,} inputs",
        "compared": f"{found.compared:,} outputs, of them {found.orders:,} order messages and "
        f"{found.states:,} state hashes",
    }  # fmt: skip
    if found.difference is not None:
        return f"{pairs(rows)}\n\n{difference_text(found.difference)}"
    rows |= {
        "order bytes": found.orders_hash, "ledger": found.ledger_hash, "journal hash": chain,
    }  # fmt: skip
    if found.ended:
        return f"{pairs(rows)}\n\nidentical"
    torn_text = f", with {torn:,} bytes of a torn block behind it" if torn else ""
    return (
        f"{pairs(rows)}\n\nidentical as far as it goes: the journal ends at record "
        f"{found.records - 1}, before its session did{torn_text}"
    )


def difference_text(found: Difference) -> str:
    """Render the first difference."""
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(found.ts_ns // 10**9, UTC)
    lines = [
        f"differs at record {found.record_index}, {at:%Y-%m-%d %H:%M:%S}."
        f"{found.ts_ns % 10**9:09d}: {found.text}",
        f"  follows from  {found.input_kind}, record {found.input_index}",
    ]
    if found.order_seq:
        lines.append(f"  order         {found.client_id}, number {found.order_seq}")
    if found.error:
        lines.append(f"  before it     {found.error}")
    journal, made = found.journal or {}, found.replay or {}
    width = max((len(name) for name in {**journal, **made}), default=0)
    for name in {**journal, **made}:
        lines.append(f"  {name.ljust(width)}  journal: {journal.get(name, '-')}")
        lines.append(f"  {''.ljust(width)}  replay:  {made.get(name, '-')}")
    return "\n".join(lines)
