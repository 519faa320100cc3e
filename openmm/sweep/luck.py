"""What luck alone explains: the Sharpe ratio that the best of many tries reaches without skill.

Assumed: returns of one try are independent of each other (longer returns are more so), and tries
are independent of each other. Tries that resemble each other are fewer in truth, and their ratios
lie closer together: the number alone would put the bar too high, their spread too low. So the
spread is never taken for less than what chance gives a single try, and equal tries have one part
in it (`spread_of`): a try that is made again never lowers the bar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist, fmean, variance
from typing import Final

import msgspec
import numpy as np

from openmm.sweep.figures import Moments

EULER: Final = 0.5772156649015329  # Euler-Mascheroni
SURE: Final = 0.95  # of a deflated Sharpe ratio: one in twenty is left to luck
RETURNS_MIN: Final = 30  # fewer tell nothing of skew and kurtosis
GROUPS_MAX: Final = 16  # of spans in CSCV: 12,870 splits, as in the paper
GROUPS_MIN: Final = 4
_NORMAL: Final = NormalDist()


def expected_best(trials: int, spread: float) -> float:
    """Return the Sharpe ratio that the best of some tries without skill is expected to have.

    Args:
        spread: variance of the tries' Sharpe ratios, `spread_of`.

    Source: Bailey and Lopez de Prado 2014, "The Deflated Sharpe Ratio", Journal of Portfolio
        Management 40 (5), equation 1: sqrt(V) ((1 - g) Z^-1[1 - 1/N] + g Z^-1[1 - 1/(N e)]).
    """
    if trials < 2:
        return 0.0
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(spread) * ((1 - EULER) * first + EULER * second)


def spread_of(tries: Sequence[Moments]) -> float:
    """Return the variance of Sharpe ratios that the best of these tries is to be held against.

    It is the sample variance of the ratios that differ, 0 for a try that nothing was traded in,
    but at least what the ratio of one try without skill has by chance, 1 / (returns - 1), in the
    mean over those that were traded: neighbours in a plateau vary by less, and of copies nothing
    new is learnt.

    Source: the error of an estimated ratio, sqrt((1 + SR^2 / 2) / T) at a true one of 0: Lo 2002,
        "The Statistics of Sharpe Ratios", Financial Analysts Journal 58 (4); with T - 1 as in
        `probabilistic_sharpe`, which has the same error for any skew and kurtosis there.
    """
    counts = {one.sharpe: one.count for one in tries if one.sharpe is not None}
    if not counts:
        return 0.0
    chance = fmean(1 / (count - 1) for count in counts.values())
    ratios = {one.sharpe or 0.0 for one in tries}
    return max(chance, variance(ratios) if len(ratios) > 1 else 0.0)


def probabilistic_sharpe(
    sharpe: float, count: int, skew: float, kurtosis: float, above: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio is above a bar.

    Args:
        sharpe, above: of one return, not annualised.
        count: of returns.
        kurtosis: 3 of a normal distribution.

    Source: Bailey and Lopez de Prado 2012, "The Sharpe Ratio Efficient Frontier", equation 9; 2014
        as in `expected_best`, equation 2: Z[(SR - SR0) sqrt(T - 1) /
        sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)].
    """
    error = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe * sharpe
    if error <= 0:  # two values alone, of which one almost never: nothing can be told
        return 0.5
    return _NORMAL.cdf((sharpe - above) * math.sqrt(count - 1) / math.sqrt(error))


def deflated_sharpe(moments: Moments, bar: float) -> float | None:
    """Return the probability that a try is better than luck's best, `expected_best`.

    None: it never traded, or its returns are too few.
    """
    sharpe = moments.sharpe
    if sharpe is None or moments.count < RETURNS_MIN:
        return None
    return probabilistic_sharpe(sharpe, moments.count, moments.skew, moments.kurtosis, bar)


class Overfit(msgspec.Struct, frozen=True):
    """How often the best of one half of the spans is below the middle in the other half.

    Args:
        probability: of that, over all splits.
        groups: of spans that were combined.
        logits: log(w / (1 - w)) of each split, w the best one's relative rank in the other half.
        worse_than_none: share of splits in which it lost money there.
    """

    probability: float
    groups: int
    logits: tuple[float, ...]
    worse_than_none: float


def overfit(trials: Sequence[Sequence[Moments]]) -> Overfit | None:
    """Return the probability of backtest overfitting by symmetric cross-validation.

    Args:
        trials: of each try the moments of every span, in the order of time. An odd first span is
            left out; of more than 16 neighbours are put together.

    None: fewer than four spans, or fewer than two tries.

    Source: Bailey, Borwein, Lopez de Prado and Zhu 2015, "The Probability of Backtest Overfitting",
        Journal of Computational Finance, section 3.1 (CSCV), definition 2.
    """
    spans = len(trials[0]) if trials else 0
    if len(trials) < 2 or spans < GROUPS_MIN:
        return None
    groups = min(GROUPS_MAX, spans - spans % 2)
    first = spans % 2 if spans <= GROUPS_MAX else 0
    places = np.array_split(np.arange(first, spans), groups)
    sums = np.array(
        [[(one.count, one.sum1, one.sum2) for one in trial] for trial in trials], np.float64
    )
    # float64[groups, tries, 3]
    parts = np.stack([sums[:, place].sum(axis=1) for place in places])
    whole = parts.sum(axis=0)
    logits, losses = [], 0
    for chosen in combinations(range(groups), groups // 2):
        inside = parts[list(chosen)].sum(axis=0)
        before, after = _sharpes(inside), _sharpes(whole - inside)
        best = int(np.argmax(before))
        # The lowest rank is 1; of equals the middle one.
        below, same = np.count_nonzero(after < after[best]), np.count_nonzero(after == after[best])
        relative = (below + (same + 1) / 2) / (len(trials) + 1)
        logits.append(math.log(relative / (1 - relative)))
        losses += bool(after[best] < 0)
    negative = sum(1 for one in logits if one <= 0)
    return Overfit(negative / len(logits), groups, tuple(logits), losses / len(logits))


def _sharpes(sums: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[
    tuple[int, ...], np.dtype[np.float64]
]:  # fmt: skip
    """Return mean over standard deviation of float64[n, 3] count, sum and sum of squares."""
    count = np.maximum(sums[:, 0], 1.0)
    mean = sums[:, 1] / count
    square = sums[:, 2] / count
    second = square - mean * mean
    moved = second > 1e-13 * square
    return np.where(moved, mean / np.sqrt(np.where(moved, second, 1.0)), 0.0)
