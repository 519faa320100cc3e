"""Backtests as one HTML file: runs overlaid, each run in full, the assumptions above them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

import numpy as np

from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest.chances import Chance
from openmm.backtest.gather import Span, count_of, label_of, times_of
from openmm.backtest.measures import FILL, Curve, Int64s, Measures
from openmm.backtest.trials import Trial
from openmm.backtest.trials_text import (
    CHANCE_COLUMNS,
    CHANCE_LEGEND,
    COLUMNS,
    LEVEL_COLUMNS,
    assets,
    bounds,
    bps,
    causes_of,
    cells,
    chance_row,
    facts,
    level_row,
    money,
    notes,
    percent,
    statement,
    tables,
)
from openmm.data.events import FILTERED, KIND_BITS, TRADE, Events, utc
from openmm.rerun.compare import as_bars
from openmm.rerun.compare_page import BOTS_STYLE, COLOURS
from openmm.settlement.page import data_table, document, figure, section
from openmm.settlement.page_style import STYLE
from openmm.settlement.plots import (
    BUCKETS,
    Envelope,
    Line,
    Marks,
    Plot,
    Point,
    bars,
    over_time,
    shares,
)

IN_FULL_MAX: Final = 40  # runs of which everything is drawn
SHOWN: Final = COLUMNS[:-1]  # how fast a run was computed is no figure of it
PAGE_STYLE: Final = (
    STYLE
    + BOTS_STYLE
    + ".broken{color:var(--bad);font-weight:600}dl+figure{margin-top:18px}main{max-width:1400px}\n"
    ".wide table:not(.events) th,.wide table:not(.events) td{white-space:nowrap}\n"
    ".line.price{stroke:var(--dim)}.key.price{background:var(--dim)}\n"
)


def page(trials: Sequence[Trial], spans: Sequence[Span]) -> str:
    """Return the file's text."""
    labels = list(dict.fromkeys(one.label for one in trials))
    title = ", ".join(labels) if len(labels) <= 4 else f"{labels[0]} and {len(labels) - 1} others"
    told = "".join(f'<p class="note">{escape(text)}</p>' for text in statement(trials))
    told += "".join(f'<p class="note"><b>{escape(text)}</b></p>' for text in notes(trials))
    head = f"<header><p class='kicker'>Backtest</p><h1>{escape(title)}</h1>{told}</header>"
    body = "".join(_span(one, trials, labels) for one in spans)
    shown = trials[:IN_FULL_MAX]
    if len(trials) > 1:
        body += "".join(_run(one, len(spans) > 1) for one in shown)
    if len(shown) < len(trials):
        left = f"{len(trials) - len(shown):,} more runs stand in the tables alone."
        body += section("And the others", f'<p class="note">{left}</p>')
    return document(f"backtest of {title}", head + body, PAGE_STYLE)


def _span(span: Span, trials: Sequence[Trial], labels: Sequence[str]) -> str:
    mine = [one for one in trials if one.span is span]
    quote = assets(mine)
    base = ", ".join(dict.fromkeys(one.measures.base for one in mine))
    problems = "".join(
        f'<p class="broken">{escape(one.label)}: {escape(text)}</p>'
        for one in mine
        for text in one.problems
    )
    checked = "".join(
        f'<p class="{"note" if one.look_ahead.good else "broken"}">look-ahead, '
        f"{escape(one.label)}: {escape(one.look_ahead.told)}</p>"
        for one in mine
        if one.look_ahead is not None
    )
    body = [
        f'<p class="note">{escape(span.about)}; P&amp;L in {escape(quote)}</p>',
        data_table(SHOWN, [cells(one)[: len(SHOWN)] for one in mine]),
        problems,
        checked,
        figure(
            f"Net: P&L after fees, {quote}", _lines(mine, labels, "net", quote, _pnl, zero=True)
        ),
        figure(
            f"Drawdown: fall from the highest so far, {quote}",
            _lines(mine, labels, "drawdown", quote, _falls, zero=True),
        ),
        figure(
            f"Position off the opening, {base}",
            _lines(mine, labels, "position", base, _held, zero=True, step=True),
        ),
    ]
    if len(mine) == 1:
        body += _details(mine[0])
    body.append(_data(span))
    return section(span.name, *body)


def _data(span: Span) -> str:
    rows = [
        (
            one.name, one.label, *(utc(ns) for ns in times_of(one.events)),
            f"{count_of(one.events):,}", one.verdict,
            "; ".join(one.problems) or "-",
        )
        for one in span.pieces
    ]  # fmt: skip
    columns = ("file", "market", "from", "to", "events", "verdict", "problems")
    warning = ""
    if span.broken:
        told = ", ".join(one.name for one in span.broken)
        warning = f'<p class="broken">Broken data: {escape(told)}. Do not trust these figures.</p>'
    return f"<h3>Data</h3>{warning}{data_table(columns, rows, 'events')}"


def _run(one: Trial, several: bool) -> str:
    name = f"{one.label}, {one.span.name}" if several else one.label
    told = "".join(f'<p class="broken">{escape(text)}</p>' for text in one.problems)
    return section(name, told, *_details(one))


def _details(trial: Trial) -> list[str]:
    one = trial.measures
    asset = one.quote
    listed = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts(one)
    )
    causes = [
        (name, float(value), f"{money(value)} {asset}")
        for name, value in as_bars(causes_of(one.causes))
    ]
    markouts = [
        (f"{name}, {found.fills:,} {what}", found.bps, f"{bps(found.bps)} bps")
        for name in one.markouts
        for what, found in (
            ("fills", one.markouts[name]),
            *((side, part[name]) for side, part in one.sides.items()),
        )
        if found.bps is not None
    ]
    made = [
        f"<dl>{listed}</dl>",
        figure(f"The market's price and our fills, {asset}", _price(trial)),
        figure(f"P&L by cause, {asset}", bars("P&L by cause", causes)),
        figure("Markouts, bps of the fill's price", bars("Markouts", markouts)),
    ]
    if one.levels:
        told = data_table(LEVEL_COLUMNS, [level_row(part) for part in one.levels])
        made.append(f"<h3>By level, {escape(asset)}</h3>{told}")
    for title, unit, first, bins, unknown in tables(one):
        left = f"; {unknown:,} unknown" if unknown else ""
        rows = [chance_row(part, first) for part in bins]
        made += [
            figure(f"{title}{left}", _shares(title, unit, first, bins)),
            data_table((unit, *CHANCE_COLUMNS), rows),
        ]
    made.append(f'<p class="note">{escape(CHANCE_LEGEND)}</p>')
    return made


def _shares(title: str, unit: str, first: str, bins: Sequence[Chance]) -> str:
    rows = [
        (
            bounds(one, first), one.share, one.share_low, one.share_high,
            f"{percent(one.share)}% of {one.stays:,}",
        )
        for one in bins
    ]  # fmt: skip
    return shares(title, f"share filled, with its 95% interval, by {unit}", rows)


# ---------------------------------------------------------------- lines


def _price(trial: Trial) -> str:
    """Draw others' trades, the reference of each second, and where we bought and sold."""
    one, curve = trial.measures, trial.measures.curve
    tick = float(trial.outcome.instrument.tick_size)
    reference = Envelope(one.started_ns, one.ended_ns)
    known = curve.reference_uticks > 0
    prices = curve.reference_uticks[known] * (tick / UTICKS_PER_TICK)
    for ts_ns, value in zip(curve.ts_ns[known].tolist(), prices.tolist(), strict=True):
        reference.add(ts_ns, value)
    marks = []
    fills = trial.outcome.fills
    for name, css, side in (("bought", "bid", Side.BUY), ("sold", "ask", Side.SELL)):
        mine = fills[fills[:, FILL["side"]] == int(side)]
        # Of many the cheapest and the dearest of each stretch are drawn.
        kept = Envelope(one.started_ns, one.ended_ns)
        times, prices = mine[:, FILL["told_ns"]], mine[:, FILL["price_ticks"]] * tick
        for ts_ns, value in zip(times.tolist(), prices.tolist(), strict=True):
            kept.add(ts_ns, value)
        points = [point for part in kept.parts() for point in part]
        marks.append(Marks(f"{name}, {len(mine):,} fills", css, points))
    lines = [Line("reference", "price", reference.parts())]
    if traded := _traded(trial):
        lines.insert(0, Line("others' trades", "market", traded))
    plot = Plot("price and fills", one.quote, one.started_ns, one.ended_ns, lines, marks)
    return over_time(plot)


def _traded(trial: Trial) -> list[list[Point]]:
    """Return the least and the greatest price that others traded at, of each of many stretches.

    Nothing of messages: their trades are behind a decoder.
    """
    quoted = trial.outcome.markets[0]
    found = [one for one in trial.span.markets if label_of(one) == quoted]
    if not found or not isinstance(found[0], Events):
        return []
    events = found[0]
    at = np.flatnonzero((events.flags & np.uint16(KIND_BITS | FILTERED)) == TRADE)
    if not len(at):
        return []
    times, ticks = events.recv_ns[at], events.price_ticks[at]
    start_ns, end_ns = trial.measures.started_ns, trial.measures.ended_ns
    wide_ns = max(1, end_ns - start_ns) / BUCKETS
    places = ((times - start_ns) / wide_ns).astype(np.int64)
    firsts = np.flatnonzero(np.diff(places, prepend=places[0] - 1))
    tick = float(events.market.tick_size)
    low = np.minimum.reduceat(ticks, firsts) * tick
    high = np.maximum.reduceat(ticks, firsts) * tick
    middles = np.clip(start_ns + (places[firsts] + 0.5) * wide_ns, start_ns, end_ns)
    return [
        [(x, y0), (x, y1)]
        for x, y0, y1 in zip(middles.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


def _pnl(one: Measures) -> Int64s:
    return one.curve.pnl_ticklots


def _falls(one: Measures) -> Int64s:
    pnl = one.curve.pnl_ticklots
    return pnl - np.maximum.accumulate(pnl)


def _held(one: Measures) -> Int64s:
    return one.curve.position_lots


def _lines(
    trials: Sequence[Trial], labels: Sequence[str], name: str, unit: str,
    values: Callable[[Measures], Int64s], *, zero: bool, step: bool = False,
) -> str:  # fmt: skip
    lines = []
    for one in trials:
        found = one.measures
        scale = float(found.lot_size if step else found.unit)
        css = f"bot{labels.index(one.label) % len(COLOURS)}"
        parts = _thinned(found.curve, values(found), scale, step)
        lines.append(Line(one.label, css, parts, step))
    plot = Plot(
        name, unit, min(one.measures.started_ns for one in trials),
        max(one.measures.ended_ns for one in trials), lines, zero=zero,
    )  # fmt: skip
    return over_time(plot)


def _thinned(
    curve: Curve, values: Int64s, scale: float, step: bool
) -> list[list[tuple[float, float]]]:
    """Return a line of no more points than a plot shows."""
    kept = Envelope(int(curve.ts_ns[0]), int(curve.ts_ns[-1]))
    for ts_ns, value in zip(curve.ts_ns.tolist(), (values * scale).tolist(), strict=True):
        kept.add(ts_ns, value)
    return kept.parts()
