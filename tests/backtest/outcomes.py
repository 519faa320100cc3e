"""Outcomes made by hand, and by chance, for the tests of what is told about them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openmm._fast.backtest import HORIZONS_NS
from openmm._fast.units import UTICKS_PER_TICK
from openmm.backtest.columns import Outcome, events_of
from openmm.backtest.model import Model
from openmm.data.events import (
    BROKEN,
    MESSAGE_END,
    Events,
    joined,
    sealed,
)
from openmm.instrument import Instrument
from openmm.rerun.streams import synthetic

Int64s = NDArray[np.int64]
BUY, SELL = 1, 2
NS = 1_000_000_000
START_NS = 1_723_000_000 * NS
# A ticklot is an atom of quote, a lot one of base: 0.1 times 0.001.
PAIR = Instrument(
    venue="kraken", name="BTC/USD", base="BTC", quote="USD", price_decimals=1, qty_decimals=3,
    tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), qty_min=Decimal("0.001"),
    cost_min=Decimal(0), base_decimals=3, quote_decimals=4,
)  # fmt: skip


def rows(found: Sequence[Sequence[int]], width: int) -> Int64s:
    return np.array(found, np.int64).reshape(-1, width)


def outcome(**told: Any) -> Outcome:
    """Make an outcome in which nothing happened but what is told."""
    usual: dict[str, Any] = {
        "bot": "grid", "model": Model(), "instrument": PAIR, "markets": ("kraken BTC/USD",),
        "left_out": (), "started_ns": START_NS, "ended_ns": START_NS, "events": 1000,
        "messages": 300, "fills": rows([], 14), "marks": rows([], 6), "orders": rows([], 11),
        "opening": (1000, 600_000_000), "closing": (1000, 600_000_000), "fees_ticklots": 0,
        "placed": 0, "amended": 0, "cancelled": 0, "refused": 0, "batches": 0, "decisions": 0,
        "crossed": 0, "open_orders": 0, "halted": False,
    }  # fmt: skip
    return Outcome(**{**usual, **told})


def fill(
    at_s: float, side: int, price: int, lots: int, uticks: int, *, seq: int = 1, maker: int = 1,
    ahead: int = 0, rested_s: float = 1.0, level: int = 0,
) -> tuple[int, ...]:  # fmt: skip
    told_ns = START_NS + round(at_s * NS)
    return (
        told_ns, seq, side, price, lots, maker, uticks, ahead, told_ns - round(rested_s * NS),
        level, 0, 0, 0, 0,
    )  # fmt: skip


def after(known: Sequence[tuple[int, int]], told_ns: int, span_ns: int) -> int:
    """Return the first reference so much later, as a fill has it: -1 too late, 0 none came."""
    at = bisect_left(known, (told_ns + span_ns, 0))
    if at == len(known):
        return 0
    return known[at][1] if known[at][0] - told_ns <= 2 * span_ns else -1


def made(
    fills: Sequence[tuple[int, ...]], references: Sequence[int], *, fee_ppm: int = 0,
    opening: tuple[int, int] = (1000, 600_000_000), live: Sequence[int] | None = None,
    instrument: Instrument = PAIR, orders: Sequence[Sequence[int]] = (),
    placed: int = 0, amended: int = 0, cancelled: int = 0,
) -> Outcome:  # fmt: skip
    """Keep the books of fills, and mark them once a second at these references (0: none)."""
    base, quote = opening
    fees, at = 0, 0
    marks = []
    for number, uticks in enumerate([*references, 0]):
        until_ns = START_NS + (number + 1) * NS if number < len(references) else 1 << 62
        while at < len(fills) and fills[at][0] <= until_ns:
            _, _, side, price, lots, *_ = fills[at]
            sign = 1 if side == BUY else -1
            fee = -(-price * lots * fee_ppm // 1_000_000)
            base, quote, fees = base + sign * lots, quote - sign * price * lots - fee, fees + fee
            at += 1
        if uticks > 0:
            count = 2 if live is None else live[number]
            equity = quote + base * uticks // UTICKS_PER_TICK
            marks.append((until_ns, equity, base, uticks, count, 0))
    told = sorted(
        [(one[0], 0, one[3]) for one in marks] + [(one[0], 1, one[6]) for one in fills]
    )  # fmt: skip
    last_uticks = next((uticks for _, _, uticks in reversed(told) if uticks > 0), 0)
    known = [(at_ns, uticks) for at_ns, _, uticks in told if uticks > 0]
    later = [
        (*one[:10], *(after(known, one[0], span_ns) for span_ns in HORIZONS_NS)) for one in fills
    ]
    return outcome(
        closing_uticks=last_uticks,
        ended_ns=START_NS + len(references) * NS,
        fills=rows(later, 14), marks=rows(marks, 6), orders=rows(orders, 11), opening=opening,
        closing=(base, quote), fees_ticklots=fees, instrument=instrument, placed=placed,
        amended=amended, cancelled=cancelled,
    )  # fmt: skip


def stay(
    began_s: float, side: int, price: int, lots: int, uticks: int, *, seq: int = 1, ahead: int = 0,
    filled: int = 0, rested_s: float = 1.0, level: int = 0, moves: int = 0,
) -> tuple[int, ...]:  # fmt: skip
    began_ns = START_NS + round(began_s * NS)
    ended_ns = began_ns + round(rested_s * NS) if rested_s else 0
    return (
        seq, began_ns, side, level, price, lots, uticks, ahead, filled, ended_ns, moves,
    )  # fmt: skip


def chance(seed: int, seconds: int, fills: int, *, missing: float = 0.0) -> Outcome:
    """Make a run over a random walk, fills and references here and there missing."""
    rng = np.random.default_rng(seed)
    walk = 600_000 * UTICKS_PER_TICK + np.cumsum(rng.integers(-9_999_999, 10_000_000, seconds))
    walk[rng.random(seconds) < missing] = 0
    times = np.sort(rng.integers(1, seconds * NS, fills))
    found = []
    for number, ns in enumerate(times.tolist()):
        side = BUY if rng.random() < 0.5 else SELL
        near = int(walk[min(ns // NS, seconds - 1)]) or 600_000 * UTICKS_PER_TICK
        uticks = near + int(rng.integers(-2_000_000, 2_000_000))
        price = uticks // UTICKS_PER_TICK + (-4 if side == BUY else 4)
        if rng.random() < missing:
            uticks = -1
        found.append(
            fill(
                ns / NS, side, price, int(rng.integers(1, 50)), uticks, seq=number + 1,
                maker=int(rng.random() < 0.9),
            )
        )  # fmt: skip
    return made(found, walk.tolist(), fee_ppm=100)


def market(regime: str = "thin", seed: int = 2, seconds: float = 60) -> Events:
    """Put a synthetic regime into columns."""
    return events_of(synthetic(regime, seed, seconds))


def broken(events: Events, at: int) -> Events:
    """Lose continuity ahead of a place; what follows carries no book."""
    before = events.cut(0, at)
    none = np.zeros(1, np.int64)
    flags = np.array([BROKEN | MESSAGE_END], np.uint16)
    gap = Events(events.market, before.recv_ns[-1:], none, none, none, flags)
    return sealed(joined(events.market, [before, gap, events.cut(at, len(events))]))[0]


def whole_for_a_moment() -> Events:
    """Return a market whose book is lost in the read that brought it."""
    events = market(seconds=5)
    (first, *_) = np.flatnonzero(events.flags & np.uint16(MESSAGE_END))
    return broken(events, int(first) + 1)
