"""A comparison as one HTML file: a table and plots for each stream, the fill model above them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from openmm.rerun.compare import (
    COLUMNS,
    as_bars,
    causes_of,
    cells,
    headline,
    rounded,
    statement,
    told_once,
)
from openmm.rerun.runs import Result
from openmm.settlement.page import data_table, document, figure, section
from openmm.settlement.page_style import STYLE
from openmm.settlement.plots import Line, Plot, bars, over_time

# Of the bots in their order: told apart by people who see colours differently too (Okabe, Ito).
COLOURS: Final = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7f7f7f",
)  # fmt: skip
BOTS_STYLE: Final = "".join(
    f".line.bot{place}{{stroke:{colour}}}.key.bot{place}{{background:{colour}}}\n"
    for place, colour in enumerate(COLOURS)
)


def page(results: Sequence[Result]) -> str:
    """Return the file's text."""
    bots = list(dict.fromkeys(one.bot for one in results))
    streams = list(dict.fromkeys(one.stream for one in results))
    told = "".join(f'<p class="note">{escape(text)}</p>' for text in statement(results))
    head = (
        f"<header><p class='kicker'>Comparison</p><h1>{escape(', '.join(bots))}</h1>{told}</header>"
    )
    body = "".join(
        _stream([one for one in results if one.stream == name], bots) for name in streams
    )
    return document(f"comparison of {', '.join(bots)}", head + body, STYLE + BOTS_STYLE)


def _stream(results: Sequence[Result], bots: Sequence[str]) -> str:
    first = results[0]
    asset = first.report.pnl.asset
    base = first.report.session.instrument.partition("/")[0]
    causes = [
        (f"{one.bot}: {cause}", float(value), f"{rounded(value)} {asset}")
        for one in results
        for cause, value in as_bars(causes_of(one.report))
    ]
    problems = "".join(
        f'<p class="note">{escape(one.bot)}: {escape(problem)}</p>'
        for one in results
        for problem in told_once(one.problems)
    )
    return section(
        headline(first),
        f'<p class="note">{escape(first.about)}</p>',
        data_table(COLUMNS, [cells(one) for one in results]),
        problems,
        figure("P&L before fees, at the reference", _lines(results, bots, "pnl", asset)),
        figure("Held", _lines(results, bots, "holdings", base)),
        figure(f"P&L by cause, {asset}", bars("P&L by cause", causes)),
    )


def _lines(results: Sequence[Result], bots: Sequence[str], name: str, unit: str) -> str:
    plot = Plot(
        name, unit, min(one.series.start_ns for one in results),
        max(one.series.end_ns for one in results),
        [
            Line(
                one.bot, f"bot{bots.index(one.bot) % len(COLOURS)}",
                one.series.lines[name].parts(), step=name == "holdings",
            )
            for one in results
        ],
        zero=name == "pnl",
    )  # fmt: skip
    return over_time(plot)
