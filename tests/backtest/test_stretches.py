"""How far a net may be off: the same each time, as wide as theory says, silent where it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openmm.backtest.measures import Curve, Measures, measure
from openmm.backtest.stretches import STRETCHES_MAX, gained, net_error
from tests.backtest.outcomes import NS, START_NS, chance


def curve(seconds: int, gains: object) -> Curve:
    """Return marks of each second, and these gains between them."""
    ts_ns = START_NS + np.arange(seconds + 1) * NS
    pnl = np.concatenate([[0], np.cumsum(np.asarray(gains, np.int64))])
    return Curve(ts_ns, pnl, pnl, np.zeros_like(pnl), np.zeros_like(pnl))


@pytest.fixture(scope="module")
def run() -> Measures:
    return measure(chance(3, 600, 40))


def test_a_stretch_is_what_was_gained_from_its_begin_to_its_end() -> None:
    made, stretch_s = gained(curve(25, range(25)))
    assert (made.tolist(), stretch_s) == ([sum(range(10)), sum(range(10, 20))], 10)
    made, stretch_s = gained(curve(STRETCHES_MAX * 10 + 1, [1] * (STRETCHES_MAX * 10 + 1)))
    assert stretch_s == 11
    assert set(made.tolist()) == {11}


def test_a_drawn_error_is_that_of_a_sum_of_independent_stretches(run: Measures) -> None:
    made, _ = gained(run.curve)
    unit = float(run.unit)
    found = net_error(run)
    assert found == net_error(run)
    assert found is not None
    theory = float(np.std(made)) * unit * len(made) ** 0.5
    assert theory > 0
    assert found.error == pytest.approx(theory, rel=0.06)
    net = float(run.net)
    assert found.low < net < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * theory, rel=0.12)
    assert (found.stretches, found.stretch_s) == (60, 10)


def test_stretches_that_hang_together_are_not_taken_for_many(run: Measures) -> None:
    rng = np.random.default_rng(1)
    # Ten seconds are of one kind: taken second by second the error would be a third of it.
    alike = np.repeat(rng.integers(-100, 101, 60), 10)
    one = replace(run, curve=curve(600, alike))
    found = net_error(one)
    assert found is not None
    by_second = float(np.std(alike)) * 600**0.5 * float(run.unit)
    assert found.error > 2.5 * by_second


def test_a_short_run_says_nothing(run: Measures) -> None:
    assert net_error(replace(run, curve=curve(119, [1] * 119))) is None
    assert net_error(replace(run, curve=curve(120, [1] * 120))) is not None
