"""The fit of the fill intensity once more: every interval kept, its weight from its age."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import exp, inf, log1p

import numpy as np

HALF_TICK = 500_000
BUY, SELL = 1, 2


def distances(price_ticks: int) -> list[int]:
    """Return the distances told apart, in uticks: whole half ticks, each 3/16 further on."""
    found = [max(1, Fraction(price_ticks * 2 * 2, 1_000_000).__floor__())]  # in half ticks
    while len(found) < 64:
        found.append(found[-1] + max(1, found[-1] * 3 // 16))
    return [one * HALF_TICK for one in found]


@dataclass
class Interval:
    """How far takers went on each side, from the mid at its start; when it ended."""

    end_ns: int
    buys: float = -inf
    sells: float = -inf


@dataclass
class Intensity:
    """All intervals of a session, and the fit as of the last one's end."""

    sample_ns: int
    half_life_ns: int
    price_ticks: int
    intervals: list[Interval] = field(default_factory=list)
    tries: list[int] = field(default_factory=list)  # intervals that were over at each fit
    _open: Interval | None = None
    _from: float = 0.0
    _mid: float = 0.0
    _tried_ns: int = 0

    def on_mid(self, now_ns: int, mid: float | None) -> None:
        """Take a mid in uticks, None when there is none."""
        if self._open is not None and now_ns < self._open.end_ns - self.sample_ns:
            self._open = None  # time went back
        self._close(now_ns)
        if mid is None:
            self._open = None
            return
        self._mid = mid
        if self._open is None:
            self._begin(now_ns)

    def on_trade(self, now_ns: int, taker_side: int, price_ticks: int) -> None:
        """Take a trade of the market."""
        self._close(now_ns)
        if self._open is None:
            return
        away = price_ticks * 1e6 - self._from
        if taker_side == BUY:
            self._open.buys = max(self._open.buys, away)
        else:
            self._open.sells = max(self._open.sells, -away)

    def _begin(self, at_ns: int) -> None:
        self._open = Interval(at_ns + self.sample_ns)
        self._from = self._mid

    def _close(self, now_ns: int) -> None:
        closed = False
        while self._open is not None and self._open.end_ns <= now_ns:
            self.intervals.append(self._open)
            self._begin(self._open.end_ns)
            closed = True
        if closed and not 0 <= now_ns - self._tried_ns < self.half_life_ns // 64:
            self._tried_ns = now_ns
            self.tries.append(len(self.intervals))

    def counts(self, count: int | None = None) -> tuple[float, list[float]]:
        """Return trials and hits by distance, decayed to the end of the last interval counted."""
        counted = self.intervals[:count]
        if count is None:
            assert self._open is not None
            at_ns = self._open.end_ns - self.sample_ns
        else:
            at_ns = counted[-1].end_ns
        weights = [0.5 ** ((at_ns - one.end_ns) / self.half_life_ns) for one in counted]
        reached = np.zeros(64)
        edges = np.array(distances(self.price_ticks), dtype=float)
        for one, weight in zip(counted, weights, strict=True):
            if one.buys >= edges[0] or one.sells >= edges[0]:
                reached += weight * ((edges <= one.buys) * 1.0 + (edges <= one.sells))
        return 2 * sum(weights), [float(one) for one in reached]

    def fit(self) -> tuple[float, float]:
        """Return 1/k in uticks and A in millionths a second: of the last try that came to one."""
        for count in reversed(self.tries):
            found = self._fit(count)
            if found is not None:
                return found
        return 0.0, 0.0

    def _fit(self, count: int) -> tuple[float, float] | None:
        trials, hits = self.counts(count)
        if hits[0] < 20:
            return None
        head = max(i for i, hit in enumerate(hits) if hit >= 0.98 * hits[0])
        points = [
            (distance, hit / trials)
            for distance, hit in list(zip(distances(self.price_ticks), hits, strict=True))[head:]
            if hit >= 5 and hit / trials <= 0.99
        ]
        if len(points) < 3:
            return None
        seconds = self.sample_ns / 1e9
        rates = [-log1p(-share) / seconds for _, share in points]
        # The logarithm of a rate is as uncertain as its share is, by the slope between the two.
        errors = [
            (share * (1 - share) / trials) ** 0.5 / (1 - share) / (rate * seconds)
            for (_, share), rate in zip(points, rates, strict=True)
        ]
        xs = np.array([distance for distance, _ in points], dtype=float)
        slope, level = np.polyfit(xs / xs[0], np.log(rates), 1, w=1 / np.array(errors))
        if slope >= 0:
            return None
        return float(-xs[0] / slope), exp(level) * 1e6
