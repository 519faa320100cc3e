"""`openmm shadow`: a second parameter set on the stream of a running bot, in simulation."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit, line
from openmm.cli.pick import Bot, Folder, pick_journal

if TYPE_CHECKING:
    from openmm.rerun.follow import JournalFollower
    from openmm.rerun.shadow import Change, Shadow, Side

EXAMPLE = "Example: openmm shadow --bot btc-grid --set strategy.spread=8bps --every 10"
POLL_S = 0.25
SILENT_S = 30.0  # of a session whose end was never written: its bot was killed


def shadow(
    journal: Annotated[
        str | None,
        typer.Argument(help="A session's folder of segments, or its id; the bot's last session."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of [strategy], as the file writes it."),
    ] = None,
    instead: Annotated[
        Path | None,
        typer.Option("--file", help="Take [strategy] and [risk] of this bot's file first."),
    ] = None,
    latency: Annotated[
        str | None, typer.Option("--latency", help="Of the shadow's orders, one way, such as 5ms.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Stop at what is there now, do not follow.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option("--every", min=0.5, help="Tell how both stand, every so many seconds."),
    ] = None,
    bot: Bot = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Run a second parameter set beside a bot, on the market data in its journal, and compare the
    P&L by cause of both over the same time.

    The journal is read from the session's start, then followed until the session ends, or Ctrl+C.
    The bot is not told and pays nothing; nothing of its is written to. The shadow's orders are
    pretended: without a key, by the fill model told below the table. With --json one object at the
    end, with --every as well one a line each time.
    """
    from openmm.rerun.follow import JournalFollower
    from openmm.rerun.shadow import Shadow

    change = _change(changes or [], instead, latency)
    folder = pick_journal(journal, bot, run_dir)
    with tempfile.TemporaryDirectory(prefix="openmm-shadow-") as books:
        made = Shadow(Path(books), change)
        try:
            follow(
                made, JournalFollower(folder), once=once, every_s=every,
                tell=lambda: _tell(made, json_, last=False),
            )  # fmt: skip
            _tell(made, json_, last=True, lines=every is not None)
        finally:
            made.close()
    return EXIT_DONE


def follow(
    made: Shadow, journal: JournalFollower, *, once: bool, every_s: float | None,
    tell: Callable[[], None], clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Give a shadow what a journal holds, and what is written to it, until the session is over."""
    heard_s = told_s = clock()
    try:
        while True:
            before = journal.record_count
            made.take(journal.read())
            now_s = clock()
            if journal.record_count != before:
                heard_s = now_s
            if once or made.is_over or now_s - heard_s > SILENT_S:
                return
            if every_s is not None and now_s - told_s >= every_s:
                told_s = now_s
                tell()
            wait(POLL_S)
    except KeyboardInterrupt:
        return


def _change(changes: list[str], instead: Path | None, latency: str | None) -> Change:
    from openmm.backtest.model import DELAY_NS_MAX
    from openmm.config import load
    from openmm.config.values import parse_duration_ns
    from openmm.errors import CommandError, ConfigError
    from openmm.rerun.shadow import Change

    asked: dict[str, str] = {}
    for one in changes:
        name, equals, text = one.partition("=")
        if not equals or not name.startswith("strategy."):
            raise CommandError(f"a change is strategy.KEY=VALUE; got {one!r}", code="bad_change")
        asked[name.removeprefix("strategy.")] = text
    try:
        latency_ns = None if latency is None else parse_duration_ns(latency)
    except ValueError as error:
        raise ConfigError("--latency", latency, str(error)) from None
    if latency_ns is not None and not 0 <= latency_ns <= DELAY_NS_MAX:
        raise ConfigError("--latency", latency, f"0s to {DELAY_NS_MAX // 10**9}s")
    return Change(asked, None if instead is None else load(instead), latency_ns)


def _tell(made: Shadow, json_: bool, *, last: bool, lines: bool = False) -> None:
    from openmm.errors import JournalError
    from openmm.rerun.shadow import to_json

    sides = made.sides()
    if sides is None:
        if last:
            raise JournalError("the session has not opened its account yet: nothing to compare")
        return
    if json_ and (lines or not last):
        import orjson

        line(orjson.dumps(to_json(made, sides)).decode())
        return
    emit(to_json(made, sides), json_, lambda: text_of(made, sides))


def text_of(made: Shadow, sides: tuple[Side, Side]) -> str:
    """Render both sides as text."""
    import io

    from rich.console import Console

    from openmm.rerun.shadow import render

    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=sys.stdout.isatty(), highlight=False)
    render(made, sides, console)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())
