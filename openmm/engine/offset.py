"""How far the venue's clock may be from ours: bounds from question and answer, and their jitter.

A venue that is asked for its time at `before` and answered by `after` read its clock in between. So
one answer bounds the offset from both sides, and several bound it by what all of them allow. Clocks
drift apart, so an older bound is a little wider. The way to the venue makes no more than the width:
what counts against the limit is the least offset that the answers prove, plus how much the round
trips differ. Without a recent answer nothing is known.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import final

from msgspec import Struct

SAMPLES = 8
DRIFT_PPM = 100
STALE_NS = 300_000_000_000


class _Sample(Struct, frozen=True):
    at_ns: int
    low_ns: int
    high_ns: int
    trip_ns: int


@final
class ClockOffset:
    """The offset of one venue's clock.

    Args:
        resolution_ns: how far the time that the venue tells may be from the one it has.
    """

    def __init__(self, resolution_ns: int = 500_000_000) -> None:
        self._resolution_ns = resolution_ns
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    def add(self, before_ns: int, venue_ns: int, after_ns: int) -> None:
        """Take an answer: our time when asked, the venue's, ours when it came."""
        low_ns = venue_ns - self._resolution_ns - after_ns
        high_ns = venue_ns + self._resolution_ns - before_ns
        now = _Sample(after_ns, low_ns, high_ns, after_ns - before_ns)
        self._samples.append(now)
        if self.bounds_ns(after_ns) is None:
            # They contradict each other: a clock was set. Only the newest still says something.
            self._samples.clear()
            self._samples.append(now)

    def bounds_ns(self, now_ns: int) -> tuple[int, int] | None:
        """Return what every recent answer allows; None when they contradict or there is none."""
        recent = [one for one in self._samples if now_ns - one.at_ns <= STALE_NS]
        if not recent:
            return None
        low_ns = max(one.low_ns - self._drift_ns(one, now_ns) for one in recent)
        high_ns = min(one.high_ns + self._drift_ns(one, now_ns) for one in recent)
        return (low_ns, high_ns) if low_ns <= high_ns else None

    def value_ns(self, now_ns: int) -> int | None:
        """Return what counts against the limit: the least proven offset and the jitter."""
        bounds = self.bounds_ns(now_ns)
        if bounds is None:
            return None
        low_ns, high_ns = bounds
        jitter_ns = self.jitter_ns
        if low_ns > 0:
            return low_ns + jitter_ns
        if high_ns < 0:
            return high_ns - jitter_ns
        return jitter_ns

    @property
    def jitter_ns(self) -> int:
        """Half of how much the usual round trip differs from the shortest one.

        That is what trips can hide of a one-sided delay. One slow answer is no usual one.
        """
        trips = [one.trip_ns for one in self._samples]
        return (median_low(trips) - min(trips)) // 2 if trips else 0

    @staticmethod
    def _drift_ns(one: _Sample, now_ns: int) -> int:
        return max(0, now_ns - one.at_ns) * DRIFT_PPM // 1_000_000
