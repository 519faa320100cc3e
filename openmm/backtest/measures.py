"""What a run over columns came to: P&L by cause, drawdown, markouts, orders and their chances.

Money is exact: integers of ticklots (tick size times lot size, in quote) become decimals, and the
causes add up to the P&L to the last one. Ratios and moments are floats. Causes and markouts are
those of docs/report.md, each fill against the reference of the very moments after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from openmm._fast.backtest import HORIZONS_NS
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest.chances import Chances, chances
from openmm.backtest.columns import FILL_FIELDS, MARK_FIELDS, Outcome
from openmm.backtest.standing import standing

Int64s: TypeAlias = NDArray[np.int64]

SECOND_NS: Final = 1_000_000_000
MARK_NS: Final = SECOND_NS  # between two marks
HOUR_NS: Final = 3600 * SECOND_NS
PPM: Final = 1_000_000
NARROW: Final = float(1 << 62)  # what a product of int64 may come to
FILL: Final[Mapping[str, int]] = {name: place for place, name in enumerate(FILL_FIELDS)}
# By horizon, the last one the one that parts adverse selection from drift.
AFTER: Final[Mapping[str, int]] = {
    f"{span_ns / SECOND_NS:g}s": FILL["after_100ms_uticks"] + place
    for place, span_ns in enumerate(HORIZONS_NS)
}
EXIT: Final = MARK_FIELDS.index("exit_ticklots")
_EXACT: Final = Context(prec=60)


@final
@dataclass(frozen=True, slots=True)
class Causes:
    """P&L in quote by cause: spread, adverse, drift and unsplit, less fees, are `net`.

    `net` is what the account gained beyond the way of its opening inventory, at the last reference.
    """

    spread: Decimal
    adverse: Decimal
    drift: Decimal
    unsplit: Decimal  # of fills that were told without a reference
    fees: Decimal
    net: Decimal


@final
@dataclass(frozen=True, slots=True)
class Level:
    """Fills of one level of the ladder, 0 the best, -1 of an order that was gone: in quote.

    Over the levels they add up to the run's; drift is of what they hold together.
    """

    level: int
    fills: int
    volume: Decimal
    spread: Decimal
    adverse: Decimal


@final
@dataclass(frozen=True, slots=True)
class Fall:
    """The deepest fall of the P&L after fees from its highest so far, the start included.

    `ppm` is of the account's opening worth. Times are 0 where it never fell.
    """

    amount: Decimal
    ppm: int
    peak_ns: int
    trough_ns: int


@final
@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of the changes of the P&L after fees from mark to mark, in quote; nothing annualised.

    Args:
        count: of changes.
        every_ns: from mark to mark; the Sharpe ratio is one of such spans.
        std: with n - 1.
        skew, kurtosis: third and fourth standardised moments, with n; 0 and 3 of a normal law.
        sharpe: mean / std; None, as are the two before, where nothing changed.
    """

    count: int
    every_ns: int
    mean: float
    std: float
    skew: float | None
    kurtosis: float | None
    sharpe: float | None


@final
@dataclass(frozen=True, slots=True)
class Markout:
    """What fills were worth some time later against their price, weighted by notional.

    `late`: left out, as there was no reference at that moment. Neither counts the fills that were
    younger at the end.
    """

    bps: float | None
    quote: Decimal
    fills: int
    late: int


@final
@dataclass(frozen=True, slots=True)
class Traffic:
    """Order actions; `an_hour` of all placed, amended or cancelled."""

    placed: int
    amended: int
    cancelled: int
    refused: int
    batches: int
    an_hour: float


@final
@dataclass(frozen=True, slots=True)
class QueueAtFill:
    """Places in the queue of the orders that were filled as maker.

    Args:
        fills: how many.
        known: of them, that somebody told what stood in front when they joined; of these:
        first_share: with nothing in front.
        ahead_median: what stood in front, base units, the lower of two in the middle.
        age_s_median, age_s_p90: from joining to the fill's being told.
    """

    fills: int
    known: int
    first_share: float | None
    ahead_median: Decimal | None
    age_s_median: float | None
    age_s_p90: float | None


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """P&L after fees over time: int64[m] each, ns and ticklots; it begins with a zero.

    `flattened_ticklots`: with the position traded away then, through the book of that moment and
    for the taker fee; of two moments the difference is what the time between them came to.
    `position_lots`: held beyond the opening; `reference_uticks`: 0 at the start.
    """

    ts_ns: Int64s
    pnl_ticklots: Int64s
    flattened_ticklots: Int64s
    position_lots: Int64s
    reference_uticks: Int64s


@final
@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """A run's figures; amounts are in quote or base units, times in ns since 1970.

    Args:
        unit: what a ticklot is worth in quote.
        volume: of quote turned over.
        maker_share: of the volume; None without fills.
        average_fill: of quote, rounded to a ticklot.
        least, greatest, position: of base beyond the opening: least, greatest, at the end.
        quoting_ns: when quoting began.
        quoted, one_sided: shares of the time since with orders at the venue on both sides, and on
            one alone.
        sides: markouts of what was bought, and of what was sold.
        capital: what the account was worth at the first mark; 0: nobody told.
        flattened: the net with what is left of the position traded away through the last book,
            level by level, less the taker fee; `net` has it at the reference.
    """

    bot: str
    pair: str
    quote: str
    base: str
    unit: Decimal
    lot_size: Decimal
    started_ns: int
    ended_ns: int
    events: int
    messages: int
    decisions: int
    crossed: int
    halted: bool
    causes: Causes
    levels: tuple[Level, ...]
    fills: int
    volume: Decimal
    volume_base: Decimal
    maker_share: float | None
    average_fill: Decimal | None
    drawdown: Fall
    moments: Moments
    markouts: Mapping[str, Markout]
    sides: Mapping[str, Mapping[str, Markout]]
    least: Decimal
    greatest: Decimal
    position: Decimal
    quoting_ns: int
    quoted: float | None
    one_sided: float | None
    capital: Decimal
    flattened: Decimal
    orders: Traffic
    queue: QueueAtFill
    chances: Chances
    curve: Curve

    @property
    def net(self) -> Decimal:
        """Return the P&L after fees, in quote, at the last reference."""
        return self.causes.net

    @property
    def net_share(self) -> float | None:
        """Return the net as a share of the capital; None: that is not known."""
        return float(self.net / self.capital) if self.capital > 0 else None

    @property
    def quoting_s(self) -> float:
        """Return how long it could quote."""
        return (self.ended_ns - self.quoting_ns) / SECOND_NS

    @property
    def seconds(self) -> float:
        """Return how long it ran."""
        return (self.ended_ns - self.started_ns) / SECOND_NS

    def to_json(self) -> dict[str, Any]:
        """Return plain values, amounts as exact text; without the curve."""
        out: dict[str, Any] = {"seconds": self.seconds}
        for one in fields(self):
            if one.name != "curve":
                out[one.name] = _plain(getattr(self, one.name))
        return out


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value


def measure(outcome: Outcome) -> Measures:
    """Return the figures of a run; the same outcome gives the same ones. Linear in its rows."""
    instrument = outcome.instrument
    unit = _EXACT.multiply(instrument.tick_size, instrument.lot_size)
    rows = _Fills(outcome.fills)
    curve, last_uticks = _curve(outcome, rows)
    held = rows.position_lots
    (spread, adverse, drift, unsplit), levels, markouts = _split(outcome, rows, last_uticks, unit)
    # What the account has less than its fills made: fees in base count at the last reference.
    net = int(curve.pnl_ticklots[-1])
    fees = spread + adverse + drift + unsplit - net
    volume = total(rows.cost)
    started_ns, ended_ns = int(curve.ts_ns[0]), int(curve.ts_ns[-1])
    # What was watched before the quoted book was whole is no time in which orders could be sent.
    quoting_ns = outcome.quoting_ns or started_ns
    hours = (ended_ns - quoting_ns) / HOUR_NS
    quoted, one_sided = standing(outcome.orders, quoting_ns, ended_ns) or (None, None)
    actions = outcome.placed + outcome.amended + outcome.cancelled
    lots = instrument.lot_size

    def money(ticklots: int) -> Decimal:
        return _EXACT.multiply(Decimal(ticklots), unit)

    def base(count: int) -> Decimal:
        return _EXACT.multiply(Decimal(count), lots)

    return Measures(
        bot=outcome.bot, pair=instrument.name, quote=instrument.quote, base=instrument.base,
        unit=unit, lot_size=lots, started_ns=started_ns, ended_ns=ended_ns,
        events=outcome.events, messages=outcome.messages, decisions=outcome.decisions,
        crossed=outcome.crossed, halted=outcome.halted,
        causes=Causes(
            money(spread), money(adverse), money(drift), money(unsplit), money(fees),
            money(net),
        ),
        levels=levels, fills=len(rows.ts_ns), volume=money(volume),
        volume_base=base(total(np.abs(rows.lots))),
        maker_share=total(rows.cost[rows.maker]) / volume if volume else None,
        average_fill=money(round(Decimal(volume) / len(rows.ts_ns))) if volume else None,
        drawdown=_fall(outcome, curve, money), moments=_moments(outcome, curve, float(unit)),
        markouts=markouts.pop(""), sides=markouts, least=base(int(held.min(initial=0))),
        greatest=base(int(held.max(initial=0))), position=base(int(held[-1]) if len(held) else 0),
        quoting_ns=quoting_ns, quoted=quoted, one_sided=one_sided,
        capital=money(_capital(outcome)),
        flattened=money(int(curve.flattened_ticklots[-1])),
        orders=Traffic(
            outcome.placed, outcome.amended, outcome.cancelled, outcome.refused, outcome.batches,
            actions / hours if hours > 0 else 0.0,
        ),
        queue=_queue(rows, lots), chances=chances(outcome.orders, lots, outcome.ended_ns),
        curve=curve,
    )  # fmt: skip


# ---------------------------------------------------------------- exact


def worth(lots: Any, uticks: Any) -> Any:
    """Return int64[n] or, where that is too narrow, Python integers: floor(lots * uticks / 1e6).

    Args:
        lots: int64[n] of either sign.
        uticks: int64[n] or one; above zero.
    """
    if _widest(lots) * _widest(uticks) / UTICKS_PER_TICK >= NARROW:
        lots, uticks = np.asarray(lots, object), np.asarray(uticks, object)
    ticks = uticks // UTICKS_PER_TICK
    rest = uticks - ticks * UTICKS_PER_TICK
    if _widest(lots) * UTICKS_PER_TICK < NARROW:
        return lots * ticks + lots * rest // UTICKS_PER_TICK
    thick = lots // UTICKS_PER_TICK
    thin = lots - thick * UTICKS_PER_TICK
    return lots * ticks + thick * rest + thin * rest // UTICKS_PER_TICK


def product(prices: Int64s, lots: Int64s) -> Any:
    """Return int64[n] or, where that is too narrow, Python integers: what so many lots cost."""
    if _widest(prices) * _widest(lots) >= NARROW:
        return prices.astype(object) * lots.astype(object)
    return prices * lots


def total(values: Any) -> int:
    """Return an exact sum: of int64 whatever it comes to."""
    if not len(values):
        return 0
    if values.dtype == object:
        return int(sum(values.tolist()))
    if _widest(values) * len(values) < NARROW:
        return int(values.sum())
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _widest(values: Any) -> float:
    made = np.asarray(values)
    if made.dtype == object:
        return float(max((abs(one) for one in made.ravel().tolist()), default=0))
    return float(max(-int(made.min(initial=0)), int(made.max(initial=0))))


# ---------------------------------------------------------------- parts


@final
class _Fills:
    """Columns of the fills, what they turned over signed: int64[n], or Python integers."""

    def __init__(self, fills: Int64s) -> None:
        columns = np.ascontiguousarray(fills.T)
        sign = np.where(columns[FILL["side"]] == int(Side.BUY), 1, -1)
        self.ts_ns: Int64s = columns[FILL["told_ns"]]
        self.uticks: Int64s = columns[FILL["reference_uticks"]]
        self.level: Int64s = columns[FILL["level"]]
        self.maker = columns[FILL["maker"]] != 0
        self.ahead: Int64s = columns[FILL["ahead_lots"]][self.maker]
        self.age_ns: Int64s = (self.ts_ns - columns[FILL["joined_ns"]])[self.maker]
        self.cost = product(columns[FILL["price_ticks"]], columns[FILL["qty_lots"]])
        self.lots: Int64s = columns[FILL["qty_lots"]] * sign
        self.signed_cost = self.cost * sign
        self.position_lots: Int64s = np.cumsum(self.lots)


def _curve(outcome: Outcome, rows: _Fills) -> tuple[Curve, int]:
    """Return the P&L at each mark and at the end, and the last reference in uticks (0: none)."""
    marks = outcome.marks
    base, quote = outcome.opening
    closing_base, closing_quote = outcome.closing
    ts_ns, equity, held, uticks = (marks[:, place] for place in range(4))
    last_uticks = outcome.closing_uticks or (int(uticks[-1]) if len(uticks) else 0)
    end_ns = int(ts_ns[-1]) if len(ts_ns) else 0
    ended_ns = max(outcome.ended_ns, end_ns, int(rows.ts_ns[-1]) if len(rows.ts_ns) else 0)
    position = held - base
    # The opening inventory's own way is no P&L: it would have been held in any case.
    pnl = equity - worth(held, uticks) - quote + worth(position, uticks)
    end = closing_quote - quote
    if last_uticks:
        end += int(worth(np.array([closing_base - base]), last_uticks)[0])
    told = np.concatenate([[0], np.asarray(pnl, np.int64), [end]])
    lots = np.concatenate([[0], position, [closing_base - base]])
    references = np.concatenate([[0], uticks, [last_uticks]])
    return Curve(
        np.concatenate([[outcome.started_ns], ts_ns, [ended_ns]]), told,
        np.asarray(_flattened(outcome, told, lots, references), np.int64), lots, references,
    ), last_uticks  # fmt: skip


def _flattened(outcome: Outcome, pnl: Any, position: Any, uticks: Any) -> Any:
    """Return P&L with the position traded away then, through the book and for the taker fee.

    The fee is of the position at the reference, rounded up.
    """
    exits = np.concatenate([[0], outcome.marks[:, EXIT], [outcome.closing_exit_ticklots]])
    value = worth(np.abs(position), uticks)
    if _widest(value) * max(abs(outcome.taker_fee_ppm), 1) >= NARROW:
        value = np.asarray(value, object)
    return pnl - exits + -value * outcome.taker_fee_ppm // PPM


def _split(
    outcome: Outcome, rows: _Fills, last_uticks: int, unit: Decimal
) -> tuple[tuple[int, int, int, int], tuple[Level, ...], dict[str, dict[str, Markout]]]:
    """Return spread, adverse, drift and unsplit in ticklots, the levels, and the markouts.

    Markouts of all fills are named by an empty text, of a side's by what we did.
    """
    markouts: dict[str, dict[str, Markout]] = {"": {}, "bought": {}, "sold": {}}
    sides = {"bought": rows.lots > 0, "sold": rows.lots < 0}
    aged: Any = np.zeros(len(rows.ts_ns), np.int64)
    for name, column in AFTER.items():
        after = outcome.fills[:, column]
        known, late = after > 0, after < 0
        aged = worth(rows.lots, np.where(known, after, last_uticks))
        gains = aged - rows.signed_cost
        added: dict[str, tuple[int, ...]] = {}
        for side, mine in sides.items():
            there = np.flatnonzero(mine & known)
            added[side] = (
                total(gains[there]), total(rows.cost[there]), len(there),
                int(np.count_nonzero(mine & late)),
            )  # fmt: skip
        added[""] = tuple(map(sum, zip(*added.values(), strict=True)))
        for part, (gained, cost, count, left) in added.items():
            markouts[part][name] = Markout(
                gained / cost * 1e4 if cost else None, _EXACT.multiply(Decimal(gained), unit),
                count, left,
            )  # fmt: skip
    split = rows.uticks > 0
    then = worth(rows.lots, np.where(split, rows.uticks, 1))
    captured = np.where(split, then - rows.signed_cost, 0)
    later = np.where(split, aged - then, 0)
    levels = []
    for level in np.unique(rows.level).tolist():
        at = rows.level == level
        sums = (total(one[at]) for one in (rows.cost, captured, later))
        volume, spread, adverse = (_EXACT.multiply(Decimal(one), unit) for one in sums)
        levels.append(Level(level, int(np.count_nonzero(at)), volume, spread, adverse))
    unsplit = total(aged[~split]) - total(rows.signed_cost[~split])
    held = int(rows.position_lots[-1]) if len(rows.lots) else 0
    drift = -total(aged)
    if last_uticks:
        drift += int(worth(np.array([held]), last_uticks)[0])
    return (total(captured), total(later), drift, unsplit), tuple(levels), markouts


def _capital(outcome: Outcome) -> int:
    """Return what the account was worth at the first mark, in ticklots; 0: there was none."""
    if not len(outcome.marks):
        return 0
    base, quote = outcome.opening
    return quote + int(worth(np.array([base]), int(outcome.marks[0, 3]))[0])


def _fall(outcome: Outcome, curve: Curve, money: Any) -> Fall:
    highest = np.maximum.accumulate(curve.pnl_ticklots)
    falls = highest - curve.pnl_ticklots
    trough = int(np.argmax(falls))
    deepest = int(falls[trough])
    if not deepest:
        return Fall(Decimal(0), 0, 0, 0)
    peak = int(np.argmax(curve.pnl_ticklots[: trough + 1]))
    opening = _capital(outcome)
    ppm = deepest * 1_000_000 // opening if opening > 0 else 0
    return Fall(money(deepest), ppm, int(curve.ts_ns[peak]), int(curve.ts_ns[trough]))


def _queue(rows: _Fills, lot_size: Decimal) -> QueueAtFill:
    count = len(rows.ahead)
    if not count:
        return QueueAtFill(0, 0, None, None, None, None)
    middle, high = (count - 1) // 2, -(-count * 9 // 10) - 1
    ages = np.sort(rows.age_ns)
    ahead = np.sort(rows.ahead[rows.ahead >= 0])
    known = len(ahead)
    return QueueAtFill(
        count, known, float(np.mean(ahead == 0)) if known else None,
        _EXACT.multiply(Decimal(int(ahead[(known - 1) // 2])), lot_size) if known else None,
        int(ages[middle]) / SECOND_NS, int(ages[high]) / SECOND_NS,
    )  # fmt: skip


def _moments(outcome: Outcome, curve: Curve, unit: float) -> Moments:
    # The end is no whole span after the last mark.
    changes = np.diff(curve.pnl_ticklots[:-1]).astype(np.float64) * unit
    count = len(changes)
    if count < 2:
        return Moments(count, MARK_NS, float(changes.sum()), 0.0, None, None, None)
    mean = float(changes.mean())
    off = changes - mean
    second = float(np.mean(off * off))
    std = (second * count / (count - 1)) ** 0.5
    if not std:
        return Moments(count, MARK_NS, mean, 0.0, None, None, None)
    skew = float(np.mean(off * off * off)) / second**1.5
    kurtosis = float(np.mean(off * off * (off * off))) / second**2
    return Moments(count, MARK_NS, mean, std, skew, kurtosis, mean / std)
