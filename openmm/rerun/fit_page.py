"""A fit as text and as one HTML file: how often quotes were reached against their distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from openmm.rerun.fit import YEAR_S, Fitted
from openmm.rerun.likelihood import Estimate
from openmm.settlement.page import data_table, document, figure, section
from openmm.settlement.plots import decline

COLUMNS: Final = (
    "stream", "seconds", "trades", "intervals", "sigma, bps/√s", "a year", "A, 1/s", "1/k, bps",
    "chi2/dof", "chance", "bot: A", "bot: 1/k",
)  # fmt: skip
LEGEND: Final = (
    "Each figure ± its standard error, the larger of what the likelihood tells and of a jackknife "
    "over 20 stretches of the recording. A: how often a quote at the mid would be reached, a "
    "second and side. 1/k: how much further out it is reached e times less often. chi2/dof and "
    "chance: how well the exponential describes the counts; a chance near 0 says that this market "
    "is no exponential, or that its trades come in bursts. bot: where the engine's own fit, which "
    "lets newer trades count more, stands when the recording ends."
)
LIMITS: Final = (
    "A quote counts as reached when a taker went as far, from a mid up to one interval old: no "
    "queue in front of it, and nobody who answers to it. A fit describes its recording; another "
    "hour has other figures."
)
CURVE_POINTS: Final = 60


def cells(one: Fitted) -> list[str]:
    """Return a fit's row, in the order of `COLUMNS`."""
    sigma = year = arrival = decay = "-"
    if one.sigma is not None:
        sigma = spoken(one.sigma, 1e4)
        year = f"{one.sigma.value * math.sqrt(YEAR_S):.0%}"
    goodness = chance = "-"
    if one.fit is not None:
        arrival, decay = spoken(one.fit.arrival), spoken(one.fit.decay, 1e4)
        if one.fit.freedom:
            goodness = f"{one.fit.chi2 / one.fit.freedom:.2f}"
            chance = f"{one.fit.chance:.2g}" if one.fit.chance >= 1e-6 else "<1e-6"
    return [
        one.stream, f"{one.seconds:.0f}", f"{one.trades:,}", f"{one.intervals:,}", sigma, year,
        arrival, decay, goodness, chance,
        f"{one.kernel_arrival:.3g}" if one.kernel_decay else "-",
        f"{one.kernel_decay * 1e4:.3g}" if one.kernel_decay else "-",
    ]  # fmt: skip


def spoken(one: Estimate, scale: float = 1.0) -> str:
    """Write a number with its error, to the error's second digit."""
    value, error = one.value * scale, one.error * scale
    if not 0.0 < error < math.inf:
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def why_none(one: Fitted) -> str:
    """Say why there is no fit."""
    if not one.trades:
        return "no trades in it: an intensity cannot be told from a book alone"
    reached = one.points[0].hits if one.points else 0
    return (
        f"{one.trades:,} trades, which reached the nearest distance in {reached:,} of "
        f"{one.intervals:,} intervals: too few, or all equally far"
    )


def page(results: Sequence[Fitted]) -> str:
    """Return the file's text."""
    told = "".join(f'<p class="note">{escape(text)}</p>' for text in (LEGEND, LIMITS))
    names = ", ".join(one.stream for one in results)
    head = f"<header><p class='kicker'>Fill intensity</p><h1>{escape(names)}</h1>{told}</header>"
    table = data_table(COLUMNS, [cells(one) for one in results])
    body = section("What was fitted", table) + "".join(_stream(one) for one in results)
    return document(f"fill intensity: {names}", head + body)


def _stream(one: Fitted) -> str:
    told = f'<p class="note">{escape(one.about)}</p>'
    if one.fit is None:
        told += f'<p class="note">{escape(why_none(one))}</p>'
    else:
        keys = ", ".join(f'{key} = "{value}"' for key, value in one.settings().items())
        told += f"<p class='note'>in [strategy]: <code>{escape(keys)}</code></p>"
    return section(one.stream, told, figure("How often a quote is reached", _plot(one)))


def _plot(one: Fitted) -> str:
    points = [
        (x.distance * 1e4, x.rate, x.low, x.high, "p50" if x.used else "most") for x in one.points
    ]
    line: list[tuple[float, float]] = []
    names = [("counted, and fitted to", "p50"), ("counted, left out", "most")]
    if one.fit is not None and points:
        arrival, decay = one.fit.arrival.value, one.fit.decay.value * 1e4
        furthest = max(x for x, *_ in points)
        xs = [furthest * place / CURVE_POINTS for place in range(CURVE_POINTS + 1)]
        line = [(x, arrival * math.exp(-x / decay)) for x in xs]
        names.append(("A*exp(-k*d), as fitted", "target"))
    return decline(
        "How often a quote is reached",
        "bps from the mid",
        "times a second, of a side",
        points,
        line,
        names,
    )
