"""The fill intensity of a whole recording by maximum likelihood, with errors and goodness.

Under a Poisson process of rate `A*exp(-k*d)` the furthest reach of an interval of `dt` seconds
stays below `d` with probability `exp(-A*exp(-k*d)*dt)`: reaches follow Gumbel's law. `A` and `k`
are found from how many reaches lie between the distances, by Fisher scoring; reaches below the
nearest one count as such, whatever they are. This is not the line that the kernel draws
(`_fast.intensity`), which is cheap and lets new trades weigh more, but has no errors to speak of:
its rates share hits.

Floats throughout: nothing here trades.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

STRETCHES: Final = 20  # of a jackknife
EXPECTED_MIN: Final = 5.0  # reaches that a cell of the test of goodness is to have
STEPS: Final = 100
Z95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its standard error."""

    value: float
    error: float

    @property
    def range95(self) -> tuple[float, float]:
        """Return the bounds of 95 %, as of a normal law."""
        return self.value - Z95 * self.error, self.value + Z95 * self.error

    def to_json(self) -> dict[str, float]:
        """Return plain values."""
        low, high = self.range95
        return {"value": self.value, "error": self.error, "low95": low, "high95": high}


@dataclass(frozen=True, slots=True)
class Exponential:
    """`A*exp(-k*d)`: A a second and side; 1/k in the unit of the distances.

    Args:
        chi2: Pearson's sum over cells of reaches; `freedom` is what it is to be held against.
        chance: that a market of this very form would fit no better.
    """

    arrival: Estimate
    decay: Estimate
    chi2: float
    freedom: int
    chance: float


def stretched(cells: Sequence[int], width: int) -> list[list[float]]:
    """Count values by cell, apart for each of `STRETCHES` stretches in the order of time."""
    size = max(1, -(-len(cells) // STRETCHES))
    found = [[0.0] * width for _ in range(STRETCHES)]
    for at, cell in enumerate(cells):
        found[at // size][cell] += 1.0
    return found


def exponential(
    edges: Sequence[float], reaches: Sequence[float], sample_s: float
) -> Exponential | None:
    """Fit the intensity to the furthest reach of each interval and side, in the order of time.

    Args:
        edges: rising distances, at least two, above 0; what lies below the first tells no decay.
        reaches: below 0 where nobody came.
        sample_s: length of the intervals.

    Returns:
        None where the counts tell of no decay.
    """
    parts = stretched([bisect_right(edges, one) for one in reaches], len(edges) + 1)
    counts = [sum(column) for column in zip(*parts, strict=True)]
    found = _maximum(edges, counts, None)
    if found is None:
        return None
    level, decay = found
    weights = _information(edges, counts, level, decay)
    spread = weights[0] * weights[2] - weights[1] ** 2
    if spread <= 0.0:
        return None
    level_error, decay_error = math.sqrt(weights[2] / spread), math.sqrt(weights[0] / spread)

    bursts = jackknife(parts, lambda left: _maximum(edges, left, found))
    if bursts is not None:
        level_error, decay_error = max(level_error, bursts[0]), max(decay_error, bursts[1])
    arrival = math.exp(level) / sample_s
    chi2, freedom = _pearson(edges, counts, level, decay)
    return Exponential(
        Estimate(arrival, arrival * level_error),
        Estimate(1.0 / decay, decay_error / decay**2),
        chi2, freedom, chi2_chance(chi2, freedom),
    )  # fmt: skip


def jackknife(
    parts: Sequence[Sequence[float]],
    estimate: Callable[[list[float]], tuple[float, ...] | None],
) -> tuple[float, ...] | None:
    """Return the standard errors of an estimate of sums, each part of them left out in turn.

    Parts that are stretches in the order of time see what comes in bursts, which independent
    values would not have. None where one part less leaves too little to estimate.
    """
    sums = [sum(column) for column in zip(*parts, strict=True)]
    told = []
    for part in parts:
        one = estimate([total - mine for total, mine in zip(sums, part, strict=True)])
        if one is None:
            return None
        told.append(one)
    means = [sum(column) / len(told) for column in zip(*told, strict=True)]
    return tuple(
        math.sqrt(sum((x - mean) ** 2 for x in column) * (len(told) - 1) / len(told))
        for column, mean in zip(zip(*told, strict=True), means, strict=True)
    )


def chi2_chance(chi2: float, freedom: int) -> float:
    """Return the chance of a sum of squares of at least `chi2`: the upper incomplete gamma."""
    if freedom < 1 or chi2 <= 0.0:
        return 1.0
    half, x = freedom / 2.0, chi2 / 2.0
    scale = math.exp(-x + half * math.log(x) - math.lgamma(half))
    if x < half + 1.0:
        term = total = 1.0 / half
        for n in range(1, 10_000):
            term *= x / (half + n)
            total += term
            if term < total * 1e-15:
                break
        return max(0.0, 1.0 - total * scale)
    # Lentz's continued fraction.
    b = x + 1.0 - half
    c, d = 1e300, 1.0 / b
    found = d
    for n in range(1, 10_000):
        a = -n * (n - half)
        b += 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        found *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return scale * found


# ---------------------------------------------------------------- inside

# A point is (level, k): level is ln(A*dt).


def _shares(edges: Sequence[float], level: float, k: float) -> list[tuple[float, float, float]]:
    """Return of each cell its probability and the derivatives of that by level and k."""
    below = []  # P(reach < edge) and its derivatives
    for edge in edges:
        mean = math.exp(min(700.0, level - k * edge))
        free = math.exp(-mean)
        below.append((free, -free * mean, free * mean * edge))
    cells = [below[0]]
    for near, far in pairwise(below):
        cells.append((far[0] - near[0], far[1] - near[1], far[2] - near[2]))
    free, by_level, by_k = below[-1]
    return [*cells, (1.0 - free, -by_level, -by_k)]


def _likelihood(edges: Sequence[float], counts: Sequence[float], level: float, k: float) -> float:
    total = 0.0
    for count, (share, _, _) in zip(counts, _shares(edges, level, k), strict=True):
        if count:
            if share <= 0.0:
                return -math.inf
            total += count * math.log(share)
    return total


def _information(
    edges: Sequence[float], counts: Sequence[float], level: float, k: float
) -> tuple[float, float, float]:
    """Return Fisher's information of all reaches: of level, of both, of k."""
    aa = ab = bb = 0.0
    for share, by_level, by_k in _shares(edges, level, k):
        if share > 0.0:
            aa += by_level * by_level / share
            ab += by_level * by_k / share
            bb += by_k * by_k / share
    total = sum(counts)
    return aa * total, ab * total, bb * total


def _start(edges: Sequence[float], counts: Sequence[float]) -> tuple[float, float] | None:
    """Draw a line through the rates of the nearest distance and of the last that was reached."""
    total = sum(counts)
    beyond = list(accumulate(reversed(counts)))[::-1][1:]  # reaches at or beyond each edge
    met = [i for i, hits in enumerate(beyond) if 0 < hits < total]
    if not met or met[-1] == met[0]:
        return None
    near, far = met[0], met[-1]
    y_near = math.log(-math.log1p(-beyond[near] / total))
    y_far = math.log(-math.log1p(-beyond[far] / total))
    k = (y_near - y_far) / (edges[far] - edges[near])
    return (y_near + k * edges[near], k) if k > 0.0 else None


def _maximum(
    edges: Sequence[float], counts: Sequence[float], start: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Climb to the maximum of the likelihood; None: it has none with a decay."""
    at = start or _start(edges, counts)
    if at is None:
        return None
    level, k = at
    best = _likelihood(edges, counts, level, k)
    for _ in range(STEPS):
        slope_level = slope_k = 0.0
        for count, (share, by_level, by_k) in zip(counts, _shares(edges, level, k), strict=True):
            if count and share > 0.0:
                slope_level += count * by_level / share
                slope_k += count * by_k / share
        aa, ab, bb = _information(edges, counts, level, k)
        spread = aa * bb - ab * ab
        if spread <= 0.0:
            return None
        step_level = (bb * slope_level - ab * slope_k) / spread
        step_k = (aa * slope_k - ab * slope_level) / spread
        part = 1.0
        while part > 1e-9:
            told = _likelihood(edges, counts, level + part * step_level, k + part * step_k)
            if k + part * step_k > 0.0 and told >= best:
                break
            part /= 2.0
        else:
            break
        level, k = level + part * step_level, k + part * step_k
        if told - best < 1e-12 * abs(best):
            break
        best = told
    return level, k


def _pearson(
    edges: Sequence[float], counts: Sequence[float], level: float, k: float
) -> tuple[float, int]:
    """Return Pearson's sum over cells that are not too small, and its degrees of freedom."""
    total = sum(counts)
    merged: list[list[float]] = []
    for count, (share, _, _) in zip(counts, _shares(edges, level, k), strict=True):
        if merged and merged[-1][1] < EXPECTED_MIN:
            merged[-1][0] += count
            merged[-1][1] += share * total
        else:
            merged.append([float(count), share * total])
    if len(merged) > 1 and merged[-1][1] < EXPECTED_MIN:
        count_last, expected_last = merged.pop()
        merged[-1][0] += count_last
        merged[-1][1] += expected_last
    chi2 = sum((count - wanted) ** 2 / wanted for count, wanted in merged if wanted > 0.0)
    return chi2, max(0, len(merged) - 3)
