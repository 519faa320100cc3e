"""Figures of a run: moments that add up over spans, returns and curves counted by hand."""

from __future__ import annotations

import random
from dataclasses import replace as changed

import numpy as np
import pytest
from msgspec.structs import replace

from openmm.backtest.columns import run
from openmm.backtest.measures import measure
from openmm.config import parse
from openmm.sweep.figures import (
    Figures,
    Moments,
    curve_of,
    deepest_fall,
    figures_of,
    moments_of,
    pooled,
    returns_of,
)
from tests.sweep.made import BOT, NS, START_NS, figures_with, job, market


def test_moments_are_numpys() -> None:
    chance = random.Random(3)
    values = [chance.gauss(0.01, 1) ** 3 for _ in range(500)]
    made, data = moments_of(values), np.array(values)
    off = data - data.mean()
    assert made.mean == pytest.approx(data.mean())
    assert made.sharpe == pytest.approx(data.mean() / data.std(ddof=1))
    assert made.skew == pytest.approx((off**3).mean() / data.std() ** 3)
    assert made.kurtosis == pytest.approx((off**4).mean() / data.std() ** 4)


def test_moments_of_parts_add_up_to_the_whole() -> None:
    chance = random.Random(4)
    values = [chance.gauss(0, 1) for _ in range(90)]
    parts = [moments_of(values[at : at + 30]) for at in (0, 30, 60)]
    whole, added = moments_of(values), pooled(parts)
    assert added.count == 90
    assert added.sharpe == pytest.approx(whole.sharpe)
    assert added.kurtosis == pytest.approx(whole.kurtosis)


def test_what_never_moved_has_no_ratio() -> None:
    assert moments_of([0.0] * 50).sharpe is None
    assert moments_of([0.1] * 50).sharpe is None
    assert Moments().sharpe is None
    assert (Moments().skew, Moments().kurtosis) == (0.0, 3.0)


def test_returns_cover_all_of_the_time_in_equal_stretches() -> None:
    told = START_NS + np.array([0, 1, 2, 3, 4, 9, 10, 11, 12]) * NS
    pnl = np.array([0, 10, 20, 10, 0, 50, 60, 70, 70])
    # Between 4 and 9 there is no mark: one return.
    assert returns_of(told, pnl, 1000, NS) == [0.01, 0.01, -0.01, -0.01, 0.05, 0.01, 0.01, 0.0]
    # Two seconds: marks at 2, 4, then 10 as the last before the end of the stretch that 9 is in.
    assert returns_of(told, pnl, 1000, 2 * NS) == [0.02, -0.02, 0.06, 0.01]
    # Five seconds do not divide twelve: two stretches of six. The last marks are those at 4 and 12.
    assert returns_of(told, pnl, 1000, 5 * NS) == [0.0, 0.07]
    for seconds in range(1, 40):
        assert sum(returns_of(told, pnl, 1000, seconds * NS)) == pytest.approx(0.07)
    assert returns_of(told, pnl, 1000, 99 * NS) == [0.07]
    assert returns_of(told[:1], pnl[:1], 1000, NS) == []
    assert returns_of(told, pnl, 0, NS) == []


def test_fall_goes_on_from_span_to_span() -> None:
    def span(highest: float, lowest: float, flattened: float, drawdown: float) -> Figures:
        made = figures_with(Moments(), flattened)
        return replace(made, highest=highest, lowest=lowest, drawdown=drawdown)

    first, second = span(5.0, -1.0, 3.0, 2.0), span(1.0, -3.0, -2.0, 4.0)
    assert deepest_fall([first]) == 2.0
    # From 5 in the first to 3 - 3 in the second.
    assert deepest_fall([first, second]) == 5.0
    assert deepest_fall([first, second, second]) == 5.0 + 2.0
    assert deepest_fall([second, first]) == 4.0
    assert deepest_fall([span(5.0, 0.0, 1.0, 0.0)]) == 4.0, "flattening is part of the fall"
    assert deepest_fall([]) == 0.0


def test_curve_keeps_its_ends() -> None:
    pnl = np.arange(1000)
    found = curve_of(pnl, 0.5)
    assert len(found) == 64
    assert (found[0], found[-1]) == (0.0, 499.5)
    assert curve_of(pnl[:3], 1.0) == [0.0, 1.0, 2.0]
    assert curve_of(pnl[:0], 1.0) == []


def test_figures_are_the_measures_of_the_run() -> None:
    outcome = run(parse(job("tiny").data), [market(120)])
    made, told = figures_of(outcome, NS), measure(outcome)
    assert told.fills > 10
    assert (made.pnl, made.fills) == (float(told.net), told.fills)
    assert made.pnl == pytest.approx(
        made.spread + made.adverse + made.drift + made.unsplit - made.fees
    )
    assert made.flattened == float(told.flattened) < made.pnl, "what is left costs something"
    assert made.moments.sum1 * made.capital == pytest.approx(made.flattened)
    assert made.highest >= made.pnl >= made.lowest
    assert made.highest - made.lowest >= made.drawdown
    # The Sharpe ratio does not depend on the capital that returns are shares of.
    assert abs(made.moments.count - told.moments.count) <= 1
    free = figures_of(changed(outcome, taker_fee_ppm=0, closing_spread_ticks=0), NS)
    assert free.moments.sharpe == pytest.approx(told.moments.sharpe, rel=0.2)
    assert (made.moments.sharpe or 0) < (free.moments.sharpe or 0)
    assert made.capital == pytest.approx(60_000 + float(outcome.marks[0, 3]) / 1e6 * 0.1, rel=0.01)
    assert made.curve[-1] == pytest.approx(made.pnl)
    assert BOT in job("tiny").bot
