"""Bots against streams: run each over each, and tell the figures side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openmm.config import BotConfig
from openmm.rerun.engine import FILL_MODEL
from openmm.rerun.runs import Result, run
from openmm.rerun.streams import Stream
from openmm.settlement.report import Report

LIMITS: Final = (
    "What it leaves out: our orders' effect on others, hidden orders, an exchange's queueing of "
    "requests, any other market the bot would watch. A few minutes of one market say little of "
    "the next ones: compare bots on the same stream, and take no figure here for a forecast."
)
COLUMNS: Final = (
    "bot", "fills", "spread", "adverse", "drift", "fees", "net", "drawdown", "inventory",
    "at touch", "quoted", "frames", "actions", "1s", "10s",
)  # fmt: skip
NAME_WIDTH: Final = 32  # of a run's name, at least, where it is folded
WIDTH_MAX: Final = 1 << 20
CAUSES: Final = ("spread", "adverse", "drift", "fees", "net")
# (bot, stream, events dealt with)
Progress = Callable[[str, str, int], None]


def compare(
    bots: Sequence[BotConfig], streams: Sequence[Stream], on_progress: Progress | None = None
) -> list[Result]:
    """Run every bot over every stream; results by stream, then by bot.

    Raises:
        ConfigError: a bot does not fit a stream's market.
        OpenMMError: a session did not add up.
    """
    found = []
    for stream in streams:
        for config in bots:
            name = config.bot.name

            def told(count: int, name: str = name, stream: str = stream.name) -> None:
                if on_progress is not None:
                    on_progress(name, stream, count)

            found.append(run(config, stream, told))
    return found


def to_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return plain values; the fill model stands beside the figures."""
    return {
        "fill_model": FILL_MODEL,
        "limits": LIMITS,
        "results": [one.to_json() for one in results],
    }


def render(results: Sequence[Result], console: Console) -> None:
    """Print a table for each stream, and what the figures rest on."""
    for name in dict.fromkeys(one.stream for one in results):
        mine = [one for one in results if one.stream == name]
        table = Table(
            title=headline(mine[0]), title_justify="left", title_style="bold",
            header_style="dim", pad_edge=False, box=SIMPLE_HEAD,
        )  # fmt: skip
        for place, column in enumerate(COLUMNS):
            table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
        for one in mine:
            table.add_row(*(Text(cell) for cell in cells(one)))
        print_figures(table, [one.bot for one in mine], console)
    for text in statement(results):
        console.print(Text(text), style="dim")
    for one in results:
        for problem in told_once(one.problems):
            console.print(Text(f"{one.bot} on {one.stream}: {problem}", "yellow"))


def print_figures(table: Table, names: Iterable[str], console: Console) -> None:
    """Print a table of names and figures: where it is too wide names are folded, figures never.

    If that is not enough its lines are longer than the console's: half a number is a wrong one.

    Args:
        names: of the first column.
    """
    unbounded = console.options.update(max_width=WIDTH_MAX)
    over = console.measure(table, options=unbounded).maximum - console.width
    if over > 0:
        first, longest = table.columns[0], max(map(cell_len, names), default=0)
        first.width = max(min(NAME_WIDTH, longest), longest - over)
        first.no_wrap, first.overflow = False, "fold"
        table.width = console.measure(table, options=unbounded).maximum
    console.print(table, crop=False)


LEGEND: Final = (
    "spread, adverse and drift less fees are net. fees: what was paid, below zero what was "
    "received. drawdown: deepest fall of the P&L after fees. inventory: "
    "least and greatest position off the opening one, in base. at touch, quoted: share of the time "
    "in percent of a bid/an ask no worse than the best of others, and of one live at all. frames: "
    "messages sent; actions: orders placed, amended or cancelled in them. 1s, 10s: markouts in bps "
    "of the fill's price."
)


def cells(one: Result) -> list[str]:
    """Return a result's row, in the order of `COLUMNS`."""
    split = one.report.by_cause
    touch = one.report.time_at_touch
    causes = [rounded(value) for _, value in causes_of(one.report)] or ["-"] * len(CAUSES)
    markouts = ["-", "-"]
    if split is not None:
        markouts = [rounded(split.total.markouts[name].bps) for name in ("1s", "10s")]
    made = one.extremes
    return [
        one.bot, f"{one.report.volume.fills:,}", *causes, rounded(made.drawdown),
        f"{brief(made.least)} {brief(made.greatest, sign=True)}",
        "/".join(share(touch[side].at_touch) for side in ("bid", "ask")),
        "/".join(share(touch[side].quoted) for side in ("bid", "ask")),
        f"{one.messages.frames:,}", f"{one.messages.actions:,}", *markouts,
    ]  # fmt: skip


def causes_of(report: Report) -> list[tuple[str, Decimal]]:
    """Return what a session's P&L is made of, and the net: the first three less fees."""
    split = report.by_cause
    if split is None:
        return []
    whole = split.total
    # A fill without a reference is in none of the three: what it made is told with the drift.
    values = (whole.spread, whole.adverse, whole.drift + whole.unsplit, whole.fees, whole.net)
    return list(zip(CAUSES, values, strict=True))


def as_bars(causes: Iterable[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    """Return causes as what each does to the net: fees, which are paid, go the other way."""
    return [("less fees", -value) if name == "fees" else (name, value) for name, value in causes]


def headline(one: Result) -> str:
    """Say what a result's stream is."""
    return (
        f"{one.stream}: {one.report.session.duration_s:.0f} s, {one.events:,} messages; "
        f"P&L in {one.report.pnl.asset}"
    )


def statement(results: Sequence[Result]) -> tuple[str, ...]:
    """Return what stands beside every figure: the fill model, its limits, and the words."""
    delays = ", ".join(f"{ns / 1e6:g} ms" for ns in sorted({one.latency_ns for one in results}))
    return f"Fill model: {FILL_MODEL} Here: {delays}.", LIMITS, LEGEND


def told_once(problems: Sequence[str]) -> list[str]:
    """Return each problem once, with how often it was."""
    return [
        one if count == 1 else f"{one} ({count} times)" for one, count in Counter(problems).items()
    ]


def rounded(value: Decimal | None, digits: int = 2) -> str:
    """Write an amount to cents; a dash for nothing."""
    if value is None:
        return "-"
    shown = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return format(shown if shown else abs(shown), "f")


def share(value: Decimal | None) -> str:
    """Write a share in percent, to a tenth."""
    return "-" if value is None else rounded(value * 100, 1)


def brief(value: Decimal, *, sign: bool = False) -> str:
    """Write a quantity with three significant digits."""
    shown = f"{float(value):+.3g}" if sign else f"{float(value):.3g}"
    return "0" if float(value) == 0 else shown
