"""How often orders were filled: by their distance from the reference, and by the queue ahead.

What is counted are stays: an order at one place in one queue, until it is filled, cancelled or
moved. One that was cancelled or moved is one that was not filled in the time it had: a share says
what came of orders as this bot leaves them standing. `an_hour` does not depend on that: fills over
the time rested, the estimate of a constant rate from durations that were cut short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest.columns import ORDER_FIELDS

Int64s: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

STAY: Final = {name: place for place, name in enumerate(ORDER_FIELDS)}
# Between bins, in bps of the reference; the first are quotes beyond it.
DISTANCES_BPS: Final = (
    0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0,
)  # fmt: skip
Z95: Final = 1.959964
HOUR_NS: Final = 3_600_000_000_000
_EXACT: Final = Context(prec=60)


@final
@dataclass(frozen=True, slots=True)
class Chance:
    """Stays of one bin.

    Args:
        low, high: the bin's bounds, low included, in bps or base units; None: open.
        stays, filled: how many, and how many of them were filled at least in part.
        share, share_low, share_high: filled / stays, and Wilson's 95% interval of it.
        rested_s: time at the venue, of all together.
        an_hour: stays filled per hour of resting; None when none rested.
    """

    low: Decimal | None
    high: Decimal | None
    stays: int
    filled: int
    share: float
    share_low: float
    share_high: float
    rested_s: float
    an_hour: float | None


@final
@dataclass(frozen=True, slots=True)
class Chances:
    """Fill probabilities of a run's orders.

    Args:
        by_distance: bins of the distance from the reference when the place was told, bps.
        by_queue: bins of what stood in front when the order joined, base units.
        unknown_distance, unknown_queue: stays left out: no reference, or a price not shown.
        by_order: orders that were filled at least in part / orders; None without orders.
        by_quantity: base filled / base asked for, of an order the most it ever asked for.
    """

    by_distance: tuple[Chance, ...]
    by_queue: tuple[Chance, ...]
    unknown_distance: int
    unknown_queue: int
    by_order: float | None
    by_quantity: float | None


def wilson(filled: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if count == 0:
        return 0.0, 1.0
    share, square = filled / count, Z95 * Z95
    middle = share + square / (2 * count)
    half = Z95 * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    whole = 1 + square / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def chances(stays: Int64s, lot_size: Decimal, ended_ns: int) -> Chances:
    """Count a run's orders in bins.

    Args:
        stays: int64[k, 11], `BacktestStay`'s fields; `ended_ns` 0 of one that was open at the end.
        ended_ns: of the run.
    """
    columns = np.ascontiguousarray(stays.T)
    ahead = columns[STAY["ahead_lots"]]
    filled = columns[STAY["filled_lots"]] > 0
    ends = columns[STAY["ended_ns"]]
    rested = np.maximum(np.where(ends > 0, ends, ended_ns) - columns[STAY["began_ns"]], 0)
    away = distances_bps(columns)
    priced, told = ~np.isnan(away), ahead >= 0
    lots = queue_edges(ahead[told])
    by_order, by_quantity = _rates(columns)
    return Chances(
        _bins(
            np.searchsorted(DISTANCES_BPS, away[priced], side="right"),
            [Decimal(str(one)) for one in DISTANCES_BPS], filled[priced], rested[priced],
        ),
        _bins(
            np.searchsorted(lots, ahead[told], side="right"),
            [_EXACT.multiply(Decimal(one), lot_size) for one in lots], filled[told], rested[told],
        ),
        int(np.count_nonzero(~priced)), int(np.count_nonzero(~told)), by_order, by_quantity,
    )  # fmt: skip


def _rates(columns: Int64s) -> tuple[float | None, float | None]:
    """Return the fill rates by order and by quantity."""
    if not columns.shape[1]:
        return None, None
    order = np.argsort(columns[STAY["seq"]], kind="stable")
    seqs, filled = columns[STAY["seq"]][order], columns[STAY["filled_lots"]][order]
    firsts = np.flatnonzero(np.diff(seqs, prepend=seqs[0] - 1))
    # Of a stay: what the order was filled before it, and asks for in it.
    before = np.cumsum(filled) - filled
    before -= np.repeat(before[firsts], np.diff(np.append(firsts, len(seqs))))
    asked = np.maximum.reduceat(before + columns[STAY["qty_lots"]][order], firsts)
    got = np.add.reduceat(filled, firsts)
    return float(np.mean(got > 0)), float(got.sum() / asked.sum())


def distances_bps(columns: Int64s) -> Floats:
    """Return float64[k]: how far from the reference each stood; nan without one.

    Args:
        columns: int64[11, k], `BacktestStay`'s fields.
    """
    uticks = columns[STAY["reference_uticks"]]
    off = uticks - columns[STAY["price_ticks"]] * UTICKS_PER_TICK
    sign = np.where(columns[STAY["side"]] == int(Side.BUY), 1.0, -1.0)
    known = np.where(uticks > 0, uticks, 1)
    return np.where(uticks > 0, sign * off / known * 1e4, np.nan)


def queue_edges(ahead: Int64s) -> list[int]:
    """Return where bins begin, in lots: at 1, then at 1, 3, 10, 30 and so on around what there is.

    The first bin, below all of them, is of those with nothing in front.
    """
    some = ahead[ahead > 0]
    if not len(some):
        return [1]
    least, most = int(some.min()), int(some.max())
    power = 10 ** (len(str(least)) - 1)
    edges = [1]
    while power <= most:
        edges += [one for one in (power, 3 * power) if one > edges[-1] and one <= most]
        power *= 10
    return edges


def _bins(
    places: NDArray[Any], edges: Sequence[Decimal], filled: NDArray[np.bool_], rested: Int64s
) -> tuple[Chance, ...]:
    count = len(edges) + 1
    stays = np.bincount(places, minlength=count).tolist()
    hits = np.bincount(places[filled], minlength=count).tolist()
    spent = np.bincount(places, weights=rested.astype(np.float64), minlength=count).tolist()
    made = []
    for place, number in enumerate(stays):
        if not number:
            continue
        low, high = wilson(hits[place], number)
        made.append(
            Chance(
                edges[place - 1] if place else None,
                edges[place] if place < len(edges) else None, number, hits[place],
                hits[place] / number, low, high, spent[place] / 1e9,
                hits[place] / (spent[place] / HOUR_NS) if spent[place] else None,
            )
        )  # fmt: skip
    return tuple(made)
