"""What is kept of a run: its figures, and the sums that figures over several spans follow from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from openmm._fast.units import UTICKS_PER_TICK
from openmm.backtest.measures import measure

Outcome: TypeAlias = Any  # of `backtest.columns`
DAY_NS: Final = 86_400_000_000_000
CURVE_POINTS: Final = 64


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """Power sums of returns: `count` of them, and the sums of their powers 1 to 4.

    Those of several spans are the sums of theirs: no return is kept.
    """

    count: int = 0
    sum1: float = 0.0
    sum2: float = 0.0
    sum3: float = 0.0
    sum4: float = 0.0

    @property
    def mean(self) -> float:
        """Return the mean; 0 without returns."""
        return self.sum1 / self.count if self.count else 0.0

    @property
    def central(self) -> tuple[float, float, float]:
        """Return the central moments 2 to 4, each divided by the count."""
        if not self.count:
            return 0.0, 0.0, 0.0
        n, m = self.count, self.mean
        raw2, raw3, raw4 = self.sum2 / n, self.sum3 / n, self.sum4 / n
        return (
            max(raw2 - m * m, 0.0),
            raw3 - 3 * m * raw2 + 2 * m**3,
            max(raw4 - 4 * m * raw3 + 6 * m * m * raw2 - 3 * m**4, 0.0),
        )

    @property
    def sharpe(self) -> float | None:
        """Return mean over standard deviation, of one return; None where nothing ever moved."""
        if self.count < 2:
            return None
        variance = self.central[0] * self.count / (self.count - 1)
        # What is left of sums that cancel is no variance.
        if variance <= 1e-13 * self.sum2 / self.count:
            return None
        return self.mean / math.sqrt(variance)

    @property
    def skew(self) -> float:
        """Return the skewness; 0 where nothing moved."""
        second, third, _ = self.central
        return third / second**1.5 if second > 0 else 0.0

    @property
    def kurtosis(self) -> float:
        """Return the kurtosis, 3 of a normal distribution; 3 where nothing moved."""
        second, _, fourth = self.central
        return fourth / second**2 if second > 0 else 3.0


class Figures(msgspec.Struct, frozen=True):
    """Figures of a run, of `measures.Measures` where nothing else is said.

    Money is in the quote asset and quantities in base, rounded to floats here and not before.

    Args:
        pnl: after fees; spread, adverse, drift and unsplit less fees.
        flattened: the P&L with what is left of the position sold or bought back at the end.
        capital: what the account was worth at the first mark; returns are shares of it.
        drawdown: deepest fall of the P&L from its highest so far.
        highest, lowest: of the P&L, the zero at the start included.
        markout_1s, markout_10s, markout_60s: in bps of the notional; None: no fill as old.
        quoted, one_sided: shares of the time with orders on both sides, and on one alone.
        moments: of the returns, the last of them with the position flattened.
        curve: P&L at up to 64 moments, evenly spaced.
    """

    pnl: float
    flattened: float
    spread: float
    adverse: float
    drift: float
    unsplit: float
    fees: float
    volume: float
    capital: float
    drawdown: float
    highest: float
    lowest: float
    fills: int
    maker_share: float | None
    markout_1s: float | None
    markout_10s: float | None
    markout_60s: float | None
    least: float
    greatest: float
    position: float
    quoted: float | None
    one_sided: float | None
    placed: int
    amended: int
    cancelled: int
    refused: int
    halted: bool
    events: int
    span_s: float
    moments: Moments
    curve: list[float]


def figures_of(outcome: Outcome, returns_ns: int) -> Figures:
    """Return what is kept of a run."""
    made = measure(outcome)
    unit, curve, causes = float(made.unit), made.curve, made.causes
    base, quote = outcome.opening
    worth = base * int(outcome.marks[0, 3]) // UTICKS_PER_TICK if len(outcome.marks) else 0
    capital = quote + worth
    # A position left at the end is no gain yet, and a sweep ranks by what is.
    ended = curve.pnl_ticklots.copy()
    ended[-1] = int(made.flattened / made.unit)
    returns = returns_of(curve.ts_ns, ended, capital, returns_ns)
    markouts = made.markouts
    return Figures(
        pnl=float(causes.net), flattened=float(made.flattened), spread=float(causes.spread),
        adverse=float(causes.adverse), drift=float(causes.drift), unsplit=float(causes.unsplit),
        fees=float(causes.fees), volume=float(made.volume), capital=capital * unit,
        drawdown=float(made.drawdown.amount), highest=int(curve.pnl_ticklots.max()) * unit,
        lowest=int(curve.pnl_ticklots.min()) * unit, fills=made.fills,
        maker_share=made.maker_share, markout_1s=markouts["1s"].bps,
        markout_10s=markouts["10s"].bps, markout_60s=markouts["60s"].bps,
        least=float(made.least), greatest=float(made.greatest), position=float(made.position),
        quoted=made.quoted, one_sided=made.one_sided, placed=outcome.placed,
        amended=outcome.amended, cancelled=outcome.cancelled, refused=outcome.refused,
        halted=outcome.halted, events=outcome.events, span_s=made.seconds,
        moments=moments_of(returns), curve=curve_of(curve.pnl_ticklots, unit),
    )  # fmt: skip


def deepest_fall(parts: Sequence[Figures]) -> float:
    """Return the deepest fall of spans that follow each other, each flattened at its end.

    The P&L goes on from span to span; so does what it has fallen from.
    """
    level = highest = deepest = 0.0
    for one in parts:
        lowest = min(one.lowest, one.flattened)
        deepest = max(
            deepest, one.drawdown, one.highest - one.flattened, highest - (level + lowest)
        )
        highest = max(highest, level + one.highest)
        level += one.flattened
        highest = max(highest, level)
    return deepest


def moments_of(returns: Sequence[float]) -> Moments:
    """Return the power sums, each rounded once: the same on every machine."""
    seconds = [one * one for one in returns]
    return Moments(
        len(returns), math.fsum(returns), math.fsum(seconds),
        math.fsum(two * one for two, one in zip(seconds, returns, strict=True)),
        math.fsum(two * two for two in seconds),
    )  # fmt: skip


def pooled(parts: Iterable[Moments]) -> Moments:
    """Return the sums over several spans."""
    listed = list(parts)
    return Moments(
        sum(one.count for one in listed),
        *(math.fsum(getattr(one, f"sum{power}") for one in listed) for power in range(1, 5)),
    )


def returns_of(
    ts_ns: NDArray[np.int64], pnl: NDArray[np.int64], capital: int, returns_ns: int
) -> list[float]:
    """Return what was gained in each of equal stretches of time, as a share of the capital.

    All of the time is covered, so that the returns add up to the whole: stretches are as near to
    the length asked for as it allows. One without a mark is part of the next.

    Args:
        ts_ns: int64[m], when it was marked, rising; the last mark of a stretch counts.
        pnl: int64[m], in any unit, and `capital` in the same.
        returns_ns: length of a stretch.
    """
    if len(ts_ns) < 2 or capital <= 0:
        return []
    start_ns, span_ns = int(ts_ns[0]), int(ts_ns[-1] - ts_ns[0])
    count = max(1, (2 * span_ns + returns_ns) // (2 * returns_ns))
    ends = [start_ns + span_ns * place // count for place in range(count + 1)]
    marks = np.unique(np.searchsorted(ts_ns, np.array(ends), side="right") - 1)
    gains: list[float] = (np.diff(pnl[marks]) / np.float64(capital)).tolist()
    return gains


def curve_of(pnl: NDArray[np.int64], unit: float) -> list[float]:
    """Return the P&L at up to 64 moments, evenly spaced."""
    if not len(pnl):
        return []
    places = np.unique(np.linspace(0, len(pnl) - 1, CURVE_POINTS).round().astype(np.int64))
    return [one * unit for one in pnl[places].tolist()]
