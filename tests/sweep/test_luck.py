"""Luck's part: numbers of the papers, and splits that are counted by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from openmm.sweep.figures import Moments
from openmm.sweep.luck import (
    RETURNS_MIN,
    deflated_sharpe,
    expected_best,
    overfit,
    probabilistic_sharpe,
    spread_of,
)
from tests.sweep.made import sums

YEAR = 250


# The example of Bailey and Lopez de Prado 2014: 1,250 daily returns with a Sharpe ratio of 2.5 a
# year, skew -3 and kurtosis 10; Sharpe ratios of the tries vary by 1/2 a year.
@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "deflated"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_deflated_figure_is_the_papers(
    trials: int, skew: float, kurtosis: float, deflated: float
) -> None:
    bar = expected_best(trials, 0.5 / YEAR)
    found = probabilistic_sharpe(2.5 / math.sqrt(YEAR), 1250, skew, kurtosis, bar)
    assert found == pytest.approx(deflated, abs=5e-5)


def test_bar_of_a_hundred_tries_is_the_papers() -> None:
    assert expected_best(100, 0.5 / YEAR) == pytest.approx(0.1132, abs=5e-5)
    assert expected_best(1, 0.5 / YEAR) == 0.0


# The example of Bailey and Lopez de Prado 2012: 24 monthly returns, Sharpe ratio 0.458 a month.
def test_probability_without_tries_is_the_papers() -> None:
    assert probabilistic_sharpe(0.4576, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)
    assert probabilistic_sharpe(0.4576, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)


def test_bar_is_what_the_best_of_chance_reaches() -> None:
    chance = random.Random(5)
    trials = 200
    best = [max(chance.gauss(0, 0.1) for _ in range(trials)) for _ in range(400)]
    assert sum(best) / len(best) == pytest.approx(expected_best(trials, 0.01), rel=0.02)


def test_nothing_is_told_of_what_never_traded_or_hardly_ran() -> None:
    assert deflated_sharpe(sums([0.0] * 100), 0.0) is None
    assert deflated_sharpe(sums([0.1, -0.1] * (RETURNS_MIN // 2 - 1)), 0.0) is None
    assert deflated_sharpe(sums([0.1, -0.1] * (RETURNS_MIN // 2)), 0.0) == 0.5


def spans_of(sharpes: Sequence[float]) -> list[Moments]:
    """Return a span for each Sharpe ratio: 100 returns around it."""
    return [sums([one - 1, one + 1] * 50) for one in sharpes]


def test_what_is_best_everywhere_is_not_overfit() -> None:
    found = overfit([spans_of([0.5] * 4), spans_of([0.1] * 4), spans_of([-0.2] * 4)])
    assert found is not None
    assert found.probability == 0.0
    assert len(found.logits) == 6
    # The best of three in each of the six halves: 3 / 4 of the way up.
    assert found.logits == pytest.approx([math.log(3)] * 6)
    assert found.worse_than_none == 0.0


def test_splits_are_those_counted_by_hand() -> None:
    # Two tries, each good where the other is bad. Halves of spans 01, 02, 03, 12, 13, 23.
    # A: 1, 1, -1, -1; B: 0 everywhere. Inside 01 A is best and -1 outside: rank 1 of 2, 1/3.
    # Inside 02, 03, 12, 13 both are 0 in mean and so outside: A is first, ranks are shared, 1/2.
    # Inside 23 B is best; outside A has 1: rank 1 of 2, 1/3.
    found = overfit([spans_of([1, 1, -1, -1]), spans_of([0, 0, 0, 0])])
    assert found is not None
    third = math.log((1 / 3) / (2 / 3))
    assert found.logits == pytest.approx([third, 0, 0, 0, 0, third], abs=1e-12)
    assert found.probability == 1.0
    assert found.worse_than_none == pytest.approx(1 / 6)


def test_noise_is_overfit_about_half_of_the_time() -> None:
    chance = random.Random(11)
    shares = []
    for _ in range(40):
        tries = [
            [sums([chance.gauss(0, 1) for _ in range(20)]) for _ in range(6)] for _ in range(10)
        ]
        found = overfit(tries)
        assert found is not None
        shares.append(found.probability)
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=0.1)


def test_odd_span_is_left_out_and_many_are_put_together() -> None:
    assert overfit([spans_of([1, 2, 3])] * 2) is None
    assert overfit([spans_of([1, 2, 3, 4])]) is None
    odd = overfit([spans_of([-9, 1, 1, 1, 1]), spans_of([9, 0, 0, 0, 0])])
    assert odd is not None
    assert (odd.groups, odd.probability) == (4, 0.0)
    many = overfit([spans_of([0.1] * 40), spans_of([0.0] * 40)])
    assert many is not None
    assert (many.groups, len(many.logits)) == (16, 12_870)


def plateau(sharpes: Sequence[float], count: int = 600) -> list[Moments]:
    """Return tries with these Sharpe ratios over as many returns."""
    return [sums([one - 1, one + 1] * (count // 2)) for one in sharpes]


def test_trying_a_loser_again_never_lowers_the_bar() -> None:
    before = 0.0
    for copies in (1, 2, 5, 20, 100, 1000):
        tries = plateau([0.2, *[0.05] * copies])
        bar = expected_best(len(tries), spread_of(tries))
        assert bar > before
        before = bar
    silent = sums([0.0] * 600)
    few, many = ([*plateau([0.2, 0.05]), *[silent] * count] for count in (1, 99))
    assert spread_of(few) == spread_of(many) > spread_of(plateau([0.2, 0.05, 0.0])) * 0.99
    assert expected_best(101, spread_of(many)) > expected_best(3, spread_of(few))


def test_neighbours_and_a_try_that_alone_traded_have_the_error_of_one() -> None:
    near = plateau([0.05 + at * 1e-9 for at in range(50)])
    assert spread_of(near) == pytest.approx(1 / 599)
    alone = [*plateau([0.05]), *[sums([0.0] * 600)] * 58]
    assert spread_of(alone) == pytest.approx(max(1 / 599, 0.05**2 / 2), rel=2e-2)
    assert spread_of([sums([0.0] * 600)] * 3) == 0.0
    # What chance gives a try: of many without skill the spread is about that.
    chance = random.Random(3)
    tries = [sums([chance.gauss(0, 1) for _ in range(100)]) for _ in range(400)]
    assert spread_of(tries) == pytest.approx(1 / 99, rel=0.15)


def test_best_of_chance_among_neighbours_seldom_beats_luck() -> None:
    # 30 tries that resemble each other, without skill: one in twenty may pass, no more.
    passed, chance = 0, random.Random(8)
    for _ in range(200):
        shared = [chance.gauss(0, 1) for _ in range(60)]
        tries = [sums([one + chance.gauss(0, 0.1) for one in shared]) for _ in range(30)]
        bar = expected_best(30, spread_of(tries))
        passed += max(deflated_sharpe(one, bar) or 0.0 for one in tries) >= 0.95
    assert passed <= 10
