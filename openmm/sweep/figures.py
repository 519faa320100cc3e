"""What is kept of a run: figures slice by slice of its time, and sums that more follow from.

A run has one account, however many slices it is cut into. A slice's money is what the run's came to
at its end less what it came to at its beginning, so that slices add up to the run, to the ticklot.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest.chances import STAY
from openmm.backtest.columns import FILL_FIELDS
from openmm.backtest.measures import AFTER, Measures, measure, product, total, worth
from openmm.backtest.standing import standing

Outcome: TypeAlias = Any  # of `backtest.columns`
DAY_NS: Final = 86_400_000_000_000
CURVE_POINTS: Final = 64
CURVES_POINTS: Final = 640  # of all slices of a run together, 8 of one at least
# Our columns of markouts, by the horizon's name among the measures.
MARKOUTS: Final = {
    name: "markout_" + FILL_FIELDS[place].removeprefix("after_").removesuffix("_uticks")
    for name, place in AFTER.items()
}
_TOLD, _SIDE, _PRICE, _QTY = (
    FILL_FIELDS.index(name) for name in ("told_ns", "side", "price_ticks", "qty_lots")
)
INT64_MAX: Final = (1 << 63) - 1


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """Power sums of returns: `count` of them, and the sums of their powers 1 to 4.

    Those of several slices are the sums of theirs: no return is kept. `covered_ns`: the time that
    they are of.
    """

    count: int = 0
    sum1: float = 0.0
    sum2: float = 0.0
    sum3: float = 0.0
    sum4: float = 0.0
    covered_ns: int = 0

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
    def sharpe_a_day(self) -> float | None:
        """Return the Sharpe ratio as of a day, as if returns were independent."""
        return a_day(self.sharpe, self)

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
    """Figures of a slice of a run, of `measures.Measures` where nothing else is said.

    Money is in the quote asset and quantities in base, rounded to floats here and not before. A
    slice begins and ends with the last mark at or before its border in time.

    Args:
        from_ns, to_ns: these marks; the run's beginning and end for the first and the last.
        net: after fees, at the reference; spread, adverse, drift and unsplit less fees.
        flattened: the net if at every mark what is held beyond the opening were sold or bought back
            through the book of then, as a taker.
        spread, adverse, unsplit: of the slice's fills, wherever their later references lie.
        markout_100ms, markout_1s, markout_10s, markout_60s: in bps, of the slice's fills, likewise;
            None: no fill as old.
        capital: what the account was worth at the run's first mark; returns are shares of it.
        drawdown: deepest fall of `flattened` from its highest so far.
        highest, lowest: of `flattened`, the zero at the slice's beginning included.
        least, greatest, position: what was held beyond the run's opening: at the least, at the
            most, at the end.
        quoted, one_sided: shares of the time with orders on both sides, and on one alone.
        halted: at the end of the slice, whenever that began.
        run_placed, run_amended, run_cancelled, run_refused, run_events: of the whole run.
        moments: of the returns, which are of `flattened`.
        curve: `flattened` at moments evenly spaced from `from_ns` to `to_ns`.
    """

    from_ns: int
    to_ns: int
    net: float
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
    markout_100ms: float | None
    markout_1s: float | None
    markout_10s: float | None
    markout_60s: float | None
    least: float
    greatest: float
    position: float
    quoted: float | None
    one_sided: float | None
    halted: bool
    span_s: float
    run_placed: int
    run_amended: int
    run_cancelled: int
    run_refused: int
    run_events: int
    moments: Moments
    curve: list[float]


def figures_of(outcome: Outcome, returns_ns: int, cuts: Sequence[int] = ()) -> list[Figures]:
    """Return what is kept of a run, slice by slice; they add up to the run.

    Args:
        cuts: borders between slices, in time, rising; none: the run is one.
    """
    run = measure(outcome)
    ts_ns = run.curve.ts_ns
    borders = [max(int(np.searchsorted(ts_ns, cut, side="right")) - 1, 0) for cut in cuts]
    places = [0, *borders, len(ts_ns) - 1]
    flattened = run.curve.flattened_ticklots
    capital = _capital(outcome)
    points = max(8, min(CURVE_POINTS, CURVES_POINTS // (len(cuts) + 1)))
    made = []
    for part in _parts(outcome, run, places):
        first, last = part.marks
        path = flattened[first : last + 1] - flattened[first]
        times = ts_ns[first : last + 1]
        returns = returns_of(times, path, capital, returns_ns)
        covered_ns = int(times[-1] - times[0]) if returns else 0
        made.append(
            Figures(
                from_ns=int(times[0]), to_ns=int(times[-1]), **_money(outcome, run, part, path),
                **_state(outcome, run, part), capital=capital * float(run.unit),
                span_s=int(times[-1] - times[0]) / 1e9,
                run_placed=outcome.placed, run_amended=outcome.amended,
                run_cancelled=outcome.cancelled, run_refused=outcome.refused,
                run_events=outcome.events, moments=moments_of(returns, covered_ns),
                curve=curve_of(times, path, points, float(run.unit)),
            )
        )  # fmt: skip
    return made


class _Part(msgspec.Struct, frozen=True):
    """A slice by its places: of its marks, the first one the border, and of its fills.

    `held_lots`, `fees_ticklots`: held beyond the opening when it began, and paid in it.
    """

    marks: tuple[int, int]
    fills: tuple[int, int]
    held_lots: int
    fees_ticklots: int


def _parts(outcome: Outcome, run: Measures, places: Sequence[int]) -> list[_Part]:
    fills, curve = outcome.fills, run.curve
    sign = np.where(fills[:, _SIDE] == int(Side.BUY), 1, -1)
    costs = product(fills[:, _PRICE], fills[:, _QTY]) * sign
    held = np.concatenate([[0], np.cumsum(fills[:, _QTY] * sign)])
    ends = [_fills_until(outcome, run, held, place) for place in places]
    paid, spent, begin = [], 0, 0
    for place, end in zip(places, ends, strict=True):
        spent += total(costs[begin:end])
        begin = end
        uticks = int(curve.reference_uticks[place])
        there = int(worth(held[end : end + 1], uticks)[0]) if uticks else 0
        # What the account has less than its fills made.
        paid.append(there - spent - int(curve.pnl_ticklots[place]))
    return [
        _Part(marks, at, int(held[at[0]]), after - before)
        for marks, at, (before, after) in zip(
            pairwise(places), pairwise(ends), pairwise(paid), strict=True
        )
    ]


def _fills_until(outcome: Outcome, run: Measures, held: NDArray[np.int64], place: int) -> int:
    """Return how many fills a mark has in it; of those told at its moment the position decides."""
    curve = run.curve
    if place == len(curve.ts_ns) - 1:
        return len(outcome.fills)
    told = outcome.fills[:, _TOLD]
    first, last = (
        int(np.searchsorted(told, curve.ts_ns[place], side=side)) for side in ("left", "right")
    )
    position = int(curve.position_lots[place])
    return next((one for one in range(first, last) if held[one] == position), last)


def _capital(outcome: Outcome) -> int:
    """Return what the account was worth at the first mark, in ticklots."""
    base, quote = outcome.opening
    return (
        int(quote + base * int(outcome.marks[0, 3]) // UTICKS_PER_TICK)
        if len(outcome.marks)
        else int(quote)
    )


def _money(outcome: Outcome, run: Measures, part: _Part, path: NDArray[np.int64]) -> dict[str, Any]:
    """Return what was made in a slice, how it went, and what it is made of."""
    (first, last), (begin, end) = part.marks, part.fills
    mine = outcome.fills[begin:end]
    alone = len(mine) == len(outcome.fills)
    # What its fills are made of follows from them alone: of marks the last reference.
    few = replace(outcome, fills=mine, marks=outcome.marks[-1:], orders=outcome.orders[:0])
    own = run if alone else measure(few)
    causes = own.causes
    falls = np.maximum.accumulate(path) - path
    fees = part.fees_ticklots * run.unit
    net = int(run.curve.pnl_ticklots[last] - run.curve.pnl_ticklots[first]) * run.unit
    amounts = {
        "net": net, "flattened": int(path[-1]) * run.unit, "spread": causes.spread,
        "adverse": causes.adverse, "unsplit": causes.unsplit, "fees": fees,
        "drift": net + fees - causes.spread - causes.adverse - causes.unsplit,
        "volume": own.volume, "drawdown": int(falls.max()) * run.unit,
        "highest": int(path.max()) * run.unit, "lowest": int(path.min()) * run.unit,
    }  # fmt: skip
    return {
        **{name: float(amount) for name, amount in amounts.items()}, "fills": len(mine),
        "maker_share": own.maker_share,
        **{column: own.markouts[name].bps for name, column in MARKOUTS.items()},
    }  # fmt: skip


def _state(outcome: Outcome, run: Measures, part: _Part) -> dict[str, Any]:
    """Return what was held and stood in a slice, and whether it ended halted."""
    (first, last), (begin, end) = part.marks, part.fills
    ts_ns = run.curve.ts_ns
    mine = outcome.fills[begin:end]
    sign = np.where(mine[:, _SIDE] == int(Side.BUY), 1, -1)
    held = part.held_lots + np.concatenate([[0], np.cumsum(mine[:, _QTY] * sign)])
    from_ns, to_ns = max(run.quoting_ns, int(ts_ns[first])), int(ts_ns[last])
    began, ended = (outcome.orders[:, STAY[name]] for name in ("began_ns", "ended_ns"))
    stood = outcome.orders[(began < to_ns) & ((ended == 0) | (ended > from_ns))]
    quoted, one_sided = standing(stood, from_ns, to_ns) or (None, None)
    is_last = last == len(ts_ns) - 1
    return {
        "least": float(int(held.min()) * run.lot_size),
        "greatest": float(int(held.max()) * run.lot_size),
        "position": float(int(held[-1]) * run.lot_size), "quoted": quoted, "one_sided": one_sided,
        # They stand in turn: halted, and going on.
        "halted": outcome.halted if is_last else bisect_right(outcome.halts, to_ns) % 2 == 1,
    }  # fmt: skip


def deepest_fall(parts: Sequence[Figures]) -> float:
    """Return the deepest fall over slices that follow each other: what is won goes on."""
    level = highest = deepest = 0.0
    for one in parts:
        deepest = max(deepest, one.drawdown, highest - (level + one.lowest))
        highest = max(highest, level + one.highest)
        level += one.flattened
    return deepest


def a_day(sharpe: float | None, moments: Moments) -> float | None:
    """Return a Sharpe ratio of one of these returns as of a day, as if they were independent."""
    if sharpe is None or not moments.covered_ns:
        return None
    return sharpe * math.sqrt(DAY_NS * moments.count / moments.covered_ns)


def moments_of(returns: Sequence[float], covered_ns: int) -> Moments:
    """Return the power sums, each rounded once: the same on every machine."""
    seconds = [one * one for one in returns]
    return Moments(
        len(returns), math.fsum(returns), math.fsum(seconds),
        math.fsum(two * one for two, one in zip(seconds, returns, strict=True)),
        math.fsum(two * two for two in seconds), covered_ns,
    )  # fmt: skip


def pooled(parts: Iterable[Moments]) -> Moments:
    """Return the sums over several slices."""
    listed = list(parts)
    sums = [math.fsum(getattr(one, f"sum{power}") for one in listed) for power in range(1, 5)]
    return Moments(
        sum(one.count for one in listed), sums[0], sums[1], sums[2], sums[3],
        sum(one.covered_ns for one in listed),
    )  # fmt: skip


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
    if not span_ns:
        return []
    count = max(1, (2 * span_ns + returns_ns) // (2 * returns_ns))
    # Stretch k ends at start + span * k // count; a gap may hold a billion of them, so each mark
    # is asked for the first one that ends at it or later.
    since = ts_ns - start_ns
    if span_ns * count > INT64_MAX:
        since = since.astype(object)
    stretch = -(-since * count // span_ns)
    marks = np.append(np.flatnonzero(stretch[1:] > stretch[:-1]), len(ts_ns) - 1)
    gains: list[float] = (np.diff(pnl[marks]) / np.float64(capital)).tolist()
    return gains


def curve_of(
    ts_ns: NDArray[np.int64], pnl: NDArray[np.int64], count: int, unit: float
) -> list[float]:
    """Return the P&L at so many moments, evenly spaced from the first mark to the last."""
    start_ns, span_ns = int(ts_ns[0]), int(ts_ns[-1] - ts_ns[0])
    times = [start_ns + span_ns * place // (count - 1) for place in range(count)]
    places = np.searchsorted(ts_ns, np.array(times), side="right") - 1
    return [one * unit for one in pnl[places].tolist()]
