"""Backtests as tables for people: runs side by side, and one run in full."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openmm.backtest.chances import Chance
from openmm.backtest.gather import Span
from openmm.backtest.measures import Causes, Level, Measures
from openmm.backtest.stretches import net_error
from openmm.backtest.trials import LIMITS, Trial, assumptions
from openmm.data.events import utc
from openmm.rerun.compare import brief, print_figures, rounded

TEXT_WIDTH: Final = 140
COLUMNS: Final = (
    "run", "fills", "volume", "spread", "adverse", "drift", "fees", "net", "net bps", "flattened",
    "drawdown", "sharpe", "inventory", "quoted", "one side", "orders/h", "1s", "10s", "60s",
    "Mev/s",
)  # fmt: skip
LEGEND: Final = (
    "spread, adverse and drift less fees are net, the P&L at the last reference; the opening "
    "inventory's own way is none of it. fees: what was paid, below zero what was received. "
    "net bps: net in bps of what the account was worth at the start. "
    "flattened: net if what is left of the position were traded away through the last book, for "
    "the taker fee. drawdown: deepest fall of net from its highest so far. "
    "sharpe: mean over standard deviation of its changes from second to second, not annualised. "
    "inventory: least and greatest position off the opening one, in base. quoted: time with orders "
    "at the venue on both sides, one side: on one alone, in percent of that since quoting began. "
    "orders/h: orders placed, amended or cancelled in an hour of it. 1s, 10s, 60s: markouts in bps "
    "of the fill's price."
)
SPEED: Final = "Mev/s: million events dealt with per second of computing."
LEVEL_COLUMNS: Final = ("level", "fills", "volume", "spread", "adverse")
CHANCE_COLUMNS: Final = ("stays", "filled", "share", "95%", "rested", "an hour")
CHANCE_LEGEND: Final = (
    "A stay is an order at one place in one queue. share: filled at least in part; one that was "
    "cancelled or moved first is one that was not filled, 95%: Wilson's interval. an hour: filled "
    "per hour of resting, whatever was cut short."
)


def cells(one: Trial) -> list[str]:
    """Return a run's row, in the order of `COLUMNS`."""
    found = one.measures
    sharpe = found.moments.sharpe
    return [
        one.label, f"{found.fills:,}", money(found.volume, 0),
        *(money(value) for _, value in causes_of(found.causes)),
        bps(None if found.net_share is None else 1e4 * found.net_share), money(found.flattened),
        money(found.drawdown.amount),
        "-" if sharpe is None else f"{sharpe:.3f}",
        f"{brief(found.least)} {brief(found.greatest, sign=True)}", percent(found.quoted),
        percent(found.one_sided), f"{found.orders.an_hour:,.0f}",
        *(bps(found.markouts[name].bps) for name in ("1s", "10s", "60s")),
        f"{one.events_per_s / 1e6:.1f}",
    ]  # fmt: skip


def causes_of(causes: Causes) -> list[tuple[str, Decimal]]:
    """Return what the P&L is made of, and the net: the first three less fees."""
    # A fill without a reference is in none of the three: what it made is told with the drift.
    return [
        ("spread", causes.spread), ("adverse", causes.adverse),
        ("drift", causes.drift + causes.unsplit), ("fees", causes.fees), ("net", causes.net),
    ]  # fmt: skip


def money(value: Decimal, digits: int = 2) -> str:
    """Write an amount; a small one to two significant digits, so that it does not read as none."""
    if value and digits and abs(value) < Decimal("0.1"):
        digits = max(digits, 1 - value.adjusted())
    text = rounded(value, min(digits, 8))
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole not in ("-0",) else text


def percent(value: float | None) -> str:
    """Write a share in percent, to a tenth."""
    return "-" if value is None else f"{100 * value:.1f}"


def bps(value: float | None) -> str:
    """Write basis points to a hundredth."""
    return "-" if value is None else f"{value:.2f}"


def render(trials: Sequence[Trial], spans: Sequence[Span], console: Console) -> None:
    """Print a table for each span, a single run in full, and what the figures rest on."""
    for span in spans:
        mine = [one for one in trials if one.span is span]
        console.print(Text(f"{span.name}: {span.about}; P&L in {assets(mine)}", "bold"))
        console.print(Text(data_told(span), "bold red" if span.broken else "dim"))
        rows = [cells(one) for one in mine]
        print_figures(_table(COLUMNS, rows), [row[0] for row in rows], console)
        for one in mine:
            for text in one.problems:
                console.print(Text(f"{one.label}: {text}", "bold red"))
            if one.look_ahead is not None:
                style = "" if one.look_ahead.good else "bold red"
                console.print(Text(f"look-ahead, {one.label}: {one.look_ahead.told}", style))
    if len(trials) == 1:
        _in_full(trials[0].measures, console)
    for text in notes(trials):
        console.print(Text(text, "yellow"), width=TEXT_WIDTH)
    for text in (*statement(trials), SPEED):
        console.print(Text(text, "dim"), width=TEXT_WIDTH)


def statement(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return what stands beside every figure: the fill model, its limits, and the words."""
    return assumptions([one.outcome.model for one in trials]), LIMITS, LEGEND


def assets(trials: Sequence[Trial]) -> str:
    """Return what the P&L is told in."""
    return ", ".join(dict.fromkeys(one.measures.quote for one in trials))


def data_told(span: Span) -> str:
    """Return the integrity verdict of each file of a span."""
    return "data: " + "; ".join(
        f"{one.name} {one.verdict.upper() if one in span.broken else one.verdict}"
        f"{' (' + '; '.join(one.problems) + ')' if one.problems else ''}"
        for one in span.pieces
    )


def notes(trials: Sequence[Trial]) -> list[str]:
    """Return what to know when reading the figures, each once, of all runs or of those named."""
    by_text: dict[str, list[str]] = {}
    for one in trials:
        for text in one.notes:
            by_text.setdefault(text, []).append(one.label)
    return [
        text if len(labels) == len(trials) else f"{', '.join(dict.fromkeys(labels))}: {text}"
        for text, labels in by_text.items()
    ]


def facts(one: Measures) -> list[tuple[str, str]]:
    """Return a run's figures as names and texts."""
    fall, moments, queue = one.drawdown, one.moments, one.queue
    base, quote = one.base, one.quote
    when = f", {utc(fall.peak_ns)} to {utc(fall.trough_ns)}" if fall.amount else ""
    share = one.net_share
    of_account = ""
    if share is not None:
        of_account = f", {100 * share:.4f}% of the account's {money(one.capital)}"
    found = [
        (
            "net",
            f"{money(one.net)} {quote} after {money(one.causes.fees)} fees{of_account}; "
            f"{money(one.flattened)} flattened",
        ),
        ("volume", f"{money(one.volume)} {quote}, {one.volume_base} {base}, {one.fills:,} fills"),
    ]
    if (off := net_error(one)) is not None:
        told_off = (
            f"{money(Decimal(off.error))} {quote}, 95% from {money(Decimal(off.low))} to "
            f"{money(Decimal(off.high))}: {off.draws:,} draws of {off.stretches} stretches of "
            f"{off.stretch_s} s"
        )
        found.insert(1, ("net may be off by", told_off))
    if one.average_fill is not None:
        found.append(
            (
                "average fill",
                f"{money(one.average_fill)} {quote}, {percent(one.maker_share)}% maker",
            )
        )
    found += [
        ("drawdown", f"{money(fall.amount)} {quote}, {fall.ppm / 1e4:.3f}%{when}"),
        (
            "position",
            f"{one.least:f} to {one.greatest:f} {base} off the opening, {one.position:f} last",
        ),
        (
            "quoted",
            f"on both sides {percent(one.quoted)}% of {one.quoting_s:,.0f} s, on one "
            f"alone {percent(one.one_sided)}%",
        ),
    ]
    if moments.sharpe is not None:
        found.append(
            (
                "P&L a second",
                f"mean {moments.mean:.4g}, deviation {moments.std:.4g} {quote}, skew "
                f"{moments.skew:.2f}, kurtosis {moments.kurtosis:.1f}, Sharpe {moments.sharpe:.4f} "
                f"({moments.count:,} changes)",
            )
        )  # fmt: skip
    told = one.orders
    found += [
        (
            "orders", f"{told.placed:,} placed, {told.amended:,} amended, {told.cancelled:,} "
            f"cancelled, {told.refused:,} refused; {told.an_hour:,.0f} actions an hour in "
            f"{told.batches:,} messages",
        ),
        (
            "filled", f"{percent(one.chances.by_order)}% of the orders, "
            f"{percent(one.chances.by_quantity)}% of what they asked for",
        ),
    ]  # fmt: skip
    if queue.fills:
        ahead = None if queue.ahead_median is None else _short(queue.ahead_median)
        found.append(
            (
                "queue at fill",
                f"{percent(queue.first_share)}% of {queue.known:,} whose place was told joined "
                f"with nothing in front, median {'-' if ahead is None else ahead} {base}; "
                f"rested {queue.age_s_median:.1f} s (median), "
                f"{queue.age_s_p90:.1f} s (90%)",
            )
        )  # fmt: skip
    for name, markout in one.markouts.items():
        late = f", {markout.late:,} left out" if markout.late else ""
        told_bps = f"{bps(markout.bps)} bps, {money(markout.quote)} {quote}"
        sides = "; ".join(
            f"{side} {bps(part[name].bps)} bps, {part[name].fills:,}"
            for side, part in one.sides.items()
        )
        found.append((f"markout {name}", f"{told_bps}, {markout.fills:,} fills{late}; {sides}"))
    return found


def level_row(one: Level) -> list[str]:
    """Return a level's figures, in the order of `LEVEL_COLUMNS`."""
    return [
        "-" if one.level < 0 else f"{one.level}", f"{one.fills:,}", money(one.volume, 0),
        money(one.spread), money(one.adverse),
    ]  # fmt: skip


def chance_row(one: Chance, first: str = "") -> list[str]:
    """Return a bin's bounds and its figures, in the order of `CHANCE_COLUMNS`."""
    return [
        bounds(one, first), f"{one.stays:,}", f"{one.filled:,}", f"{percent(one.share)}%",
        f"{percent(one.share_low)} to {percent(one.share_high)}%", f"{one.rested_s:,.0f} s",
        "-" if one.an_hour is None or one.rested_s < 1 else f"{one.an_hour:,.1f}",
    ]  # fmt: skip


def bounds(one: Chance, first: str = "") -> str:
    """Write a bin's bounds; `first` stands for those of the first."""
    low, high = (None if one is None else _short(one) for one in (one.low, one.high))
    if low is None:
        return first or f"below {high}"
    return f"{low} and more" if high is None else f"{low} to {high}"


def tables(one: Measures) -> list[tuple[str, str, str, tuple[Chance, ...], int]]:
    """Return title, unit, the first bin's name, bins, and how many are unknown, of those there."""
    found = one.chances
    return [
        told
        for told in (
            (
                "Filled by distance from the reference", "bps", "beyond it", found.by_distance,
                found.unknown_distance,
            ),
            (
                "Filled by what stood in front", one.base, "nothing", found.by_queue,
                found.unknown_queue,
            ),
        )
        if told[3]
    ]  # fmt: skip


def _short(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _in_full(one: Measures, console: Console) -> None:
    width = max(len(name) for name, _ in facts(one))
    for name, text in facts(one):
        console.print(Text(f"{name.ljust(width)}  {text}"))
    if one.levels:
        console.print(Text(f"\nBy level, {one.quote}", "bold"))
        console.print(_table(LEVEL_COLUMNS, [level_row(part) for part in one.levels]))
    for title, unit, first, bins, unknown in tables(one):
        left = f"; {unknown:,} unknown" if unknown else ""
        console.print(Text(f"\n{title}{left}", "bold"))
        rows = [chance_row(part, first) for part in bins]
        console.print(_table((unit, *CHANCE_COLUMNS), rows))
    console.print(Text(CHANCE_LEGEND, "dim"), width=TEXT_WIDTH)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(header_style="dim", pad_edge=False, box=SIMPLE_HEAD)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
