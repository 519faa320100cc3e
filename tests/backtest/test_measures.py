"""Figures of a run: exact, as the ledger has them, and fast."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.units import UTICKS_PER_TICK
from openmm.backtest.columns import Outcome
from openmm.backtest.measures import Causes, measure, product, total, worth
from openmm.rerun.streams import synthetic
from openmm.settlement.causes import Causes as Oracle
from openmm.settlement.causes import FillMark, add_up, split_by_cause
from openmm.settlement.pnl import Valuer
from openmm.settlement.report import Report
from openmm.settlement.results import CausePart
from tests.backtest import outcomes
from tests.backtest.outcomes import BUY, NS, PAIR, SELL, START_NS, chance, fill, made, rows, stay
from tests.backtest.test_guard import both
from tests.rerun.made import bot

UNIT = PAIR.tick_size * PAIR.lot_size
U = UTICKS_PER_TICK


def atoms(value: Decimal) -> int:
    assert value % UNIT == 0
    return int(value / UNIT)


def test_one_round_trip_by_hand() -> None:
    # Bought 2 lots at 99 while the reference was 100; a minute later it is 103, at the end 105.
    references = [100 * U] * 62 + [103 * U] * 10 + [105 * U] * 10
    outcome = made([fill(2.5, BUY, 99, 2, 100 * U)], references, opening=(1000, 10**6), fee_ppm=0)
    found = measure(outcome)
    told = found.causes
    assert [atoms(one) for one in (told.spread, told.adverse, told.drift)] == [2, 6, 4]
    assert told.unsplit == told.fees == 0
    assert atoms(found.net) == 2 * (105 - 99)
    assert (found.fills, atoms(found.volume)) == (1, 198)
    assert found.volume_base == Decimal("0.002")
    assert found.average_fill == found.volume
    assert (found.least, found.greatest) == (Decimal(0), Decimal("0.002"))
    assert found.position == Decimal("0.002")
    assert found.markouts["1s"].bps == pytest.approx(1 / 99 * 1e4)
    assert found.markouts["60s"].bps == pytest.approx(4 / 99 * 1e4)
    assert found.started_ns == START_NS
    assert found.ended_ns == START_NS + 82 * NS


def test_markouts_of_both_sides_add_up_to_those_of_all() -> None:
    # Bought 2 lots at 99 and sold 1 at 101, a second before the reference is 103.
    fills = [fill(0.5, BUY, 99, 2, 100 * U), fill(0.6, SELL, 101, 1, 100 * U)]
    found = measure(made(fills, [100 * U, 103 * U, 103 * U]))
    bought, sold = found.sides["bought"]["1s"], found.sides["sold"]["1s"]
    assert (bought.fills, sold.fills) == (1, 1)
    assert (atoms(bought.quote), atoms(sold.quote)) == (8, -2)
    assert bought.bps == pytest.approx(8 / 198 * 1e4)
    assert sold.bps == pytest.approx(-2 / 101 * 1e4)
    found = measure(chance(5, 300, 80, missing=0.1))
    for name, whole in found.markouts.items():
        parts = [one[name] for one in found.sides.values()]
        assert sum(one.fills for one in parts) == whole.fills
        assert sum(one.late for one in parts) == whole.late
        assert sum(one.quote for one in parts) == whole.quote
        assert all(one.fills for one in parts)


def by_oracle(outcome: Outcome) -> tuple[list[int], dict[int, tuple[int, int, int]]]:
    """Put a run through the ledger's causes, a reference at a time."""
    valuer, oracle = Valuer(PAIR.tick_size, 3, 4), Oracle()
    events = [(int(row[0]), 0, row) for row in outcome.marks]
    events += [(int(row[0]), 1, row) for row in outcome.fills]
    last_uticks = now_ns = 0
    hours: dict[int, int] = {}
    for number, (now_ns, kind, row) in enumerate(sorted(events, key=lambda one: one[:2])):
        uticks = int(row[3] if kind == 0 else row[6])
        if uticks > 0:
            last_uticks = uticks
            hours[now_ns // 3_600_000_000_000] = uticks
            oracle.reference(valuer, now_ns, uticks)
        if kind == 1:
            amounts = int(row[4]), int(row[3] * row[4])
            told = uticks if uticks > 0 else None
            oracle.fill(valuer, FillMark.of(number, now_ns, ("x", 0), int(row[2]), amounts, told))
    oracle.settle(valuer, now_ns, last_uticks)
    whole = add_up(split_by_cause(valuer, oracle.sums, hours, last_uticks).values())
    markouts = {key[3]: (one.fills, one.late, one.atoms) for key, one in oracle.markouts.items()}
    return [
        whole.spread_atoms, whole.adverse_atoms, whole.drift_atoms, whole.unsplit_atoms
    ], markouts  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_causes_and_markouts_are_the_ledgers(seed: int) -> None:
    outcome = chance(seed, 400, 150, missing=0.3 if seed % 2 else 0.0)
    found = measure(outcome)
    causes, markouts = by_oracle(outcome)
    told = found.causes
    assert [
        atoms(one) for one in (told.spread, told.adverse, told.drift, told.unsplit)
    ] == causes  # fmt: skip
    for name, horizon_ms in (("0.1s", 100), ("1s", 1_000), ("10s", 10_000), ("60s", 60_000)):
        one = found.markouts[name]
        assert (one.fills, one.late, atoms(one.quote)) == markouts[horizon_ms]
    if seed % 2:
        assert told.unsplit


def test_levels_add_up_to_the_whole() -> None:
    outcome = chance(4, 300, 200, missing=0.2)
    fills = outcome.fills.copy()
    fills[:, 9] = np.arange(len(fills)) % 4 - 1
    found = measure(replace(outcome, fills=fills))
    assert [one.level for one in found.levels] == [-1, 0, 1, 2]
    assert [one.fills for one in found.levels] == [50] * 4
    assert sum(one.volume for one in found.levels) == found.volume
    assert sum(one.spread for one in found.levels) == found.causes.spread
    assert sum(one.adverse for one in found.levels) == found.causes.adverse
    (first,) = measure(outcome).levels
    assert first.spread == found.causes.spread


def balance(outcome: Outcome, uticks: int) -> int:
    """Return what the account gained beyond the way of its opening inventory."""
    (base, quote), (last_base, last_quote) = outcome.opening, outcome.closing
    return last_quote - quote + (last_base - base) * uticks // U


@pytest.mark.parametrize("seed", range(12))
def test_causes_add_up_to_what_the_account_gained(seed: int) -> None:
    outcome = chance(seed, 300, 200, missing=0.2 if seed % 3 else 0.0)
    found = measure(outcome)
    told = found.causes
    last_uticks = int(found.curve.reference_uticks[-1])
    assert told.net == told.spread + told.adverse + told.drift + told.unsplit - told.fees
    assert atoms(told.net) == balance(outcome, last_uticks) == found.curve.pnl_ticklots[-1]
    assert told.fees > 0


def test_fees_in_base_count_at_the_last_reference() -> None:
    outcome = made([fill(0.5, BUY, 100, 10, 100 * U)], [100 * U, 110 * U], fee_ppm=0)
    base, quote = outcome.closing
    found = measure(replace(outcome, closing=(base - 2, quote), fees_ticklots=200))
    assert atoms(found.causes.fees) == 2 * 110
    assert atoms(found.net) == 10 * 110 - 10 * 100 - 2 * 110
    assert found.position == Decimal("0.010")


def test_a_held_opening_that_gains_is_no_pnl() -> None:
    found = measure(made([], [100 * U, 200 * U, 150 * U]))
    assert found.net == 0
    assert not found.curve.pnl_ticklots.any()
    assert found.drawdown.amount == 0
    assert found.moments.sharpe is None


def test_drawdown_is_the_deepest_fall_and_says_when() -> None:
    references = [100 * U, 104 * U, 103 * U, 108 * U, 101 * U, 109 * U]
    found = measure(made([fill(0.5, BUY, 100, 10, 100 * U)], references, opening=(0, 10_000)))
    assert found.curve.pnl_ticklots.tolist() == [0, 0, 40, 30, 80, 10, 90, 90]
    fall = found.drawdown
    assert (atoms(fall.amount), fall.ppm) == (70, 7_000)
    assert (fall.peak_ns, fall.trough_ns) == (START_NS + 4 * NS, START_NS + 5 * NS)


def test_drawdown_counts_from_the_start() -> None:
    references = [100 * U, 90 * U, 95 * U]
    found = measure(made([fill(0.5, BUY, 100, 10, 100 * U)], references))
    assert atoms(found.drawdown.amount) == 100
    assert found.drawdown.peak_ns == START_NS


def test_moments_are_those_of_the_changes_from_mark_to_mark() -> None:
    outcome = chance(5, 500, 300)
    found = measure(outcome).moments
    pnl = measure(outcome).curve.pnl_ticklots[:-1].tolist()
    changes = [Fraction(b - a) * Fraction(UNIT) for a, b in pairwise(pnl)]
    n = len(changes)
    mean = sum(changes) / n
    second = sum((one - mean) ** 2 for one in changes)
    assert (found.count, found.every_ns) == (500, NS)
    assert found.mean == pytest.approx(float(mean))
    assert found.std == pytest.approx(float(second / (n - 1)) ** 0.5)
    assert found.sharpe == pytest.approx(found.mean / found.std)
    spread = float(second / n) ** 0.5
    third = float(sum((one - mean) ** 3 for one in changes) / n)
    fourth = float(sum((one - mean) ** 4 for one in changes) / n)
    assert found.skew == pytest.approx(third / spread**3)
    assert found.kurtosis == pytest.approx(fourth / spread**4)


def test_uptime_maker_share_and_traffic() -> None:
    fills = [
        fill(0.5, BUY, 100, 3, 100 * U), fill(1.5, SELL, 100, 1, 100 * U, maker=0),
    ]  # fmt: skip
    orders = [stay(1.0, BUY, 99, 3, 0, rested_s=2.0), stay(2.0, SELL, 101, 3, 0, rested_s=1.5)]
    outcome = made(
        fills, [100 * U] * 4, live=[2] * 4, orders=orders, placed=6, amended=3, cancelled=1
    )
    found = measure(outcome)
    assert (found.quoted, found.one_sided) == (0.25, 0.375), "not what is on its way: live"
    assert found.maker_share == 0.75
    assert found.average_fill == 200 * UNIT
    assert found.orders.an_hour == pytest.approx(10 / (4 / 3600))
    assert (found.least, found.greatest) == (Decimal(0), Decimal("0.003"))


def test_rates_are_of_the_time_since_quoting_began() -> None:
    orders = [stay(2.0, BUY, 99, 3, 0, rested_s=2.0), stay(2.0, SELL, 101, 3, 0, rested_s=1.0)]
    outcome = made([], [100 * U] * 4, orders=orders, placed=6, amended=3, cancelled=1)
    found = measure(replace(outcome, quoting_ns=START_NS + 2 * NS))
    assert found.orders.an_hour == pytest.approx(10 / (2 / 3600))
    assert (found.quoted, found.one_sided) == (0.5, 0.5)
    assert (found.seconds, found.quoting_s) == (4.0, 2.0)


def test_what_is_left_is_flattened_through_the_book_and_for_the_taker_fee() -> None:
    told: dict[str, Any] = {"closing_exit_ticklots": 25, "taker_fee_ppm": 1_000}
    bought = made([fill(0.5, BUY, 1000, 10, 1000 * U)], [1000 * U, 1100 * U + 1])
    found = measure(replace(bought, **told))
    assert atoms(found.net) == 1000
    # 0.1% of 10 x 1100, rounded up.
    assert atoms(found.flattened) == 1000 - 25 - 11
    sold = made([fill(0.5, SELL, 1000, 10, 1000 * U)], [1000 * U, 1100 * U + 900_000])
    assert atoms(measure(replace(sold, **told)).flattened) == -1000 - 9 - 25 - 12
    assert measure(bought).flattened == measure(bought).net, "nothing is known of the costs"
    assert measure(replace(bought, **told)).to_json()["flattened"] == format(found.flattened, "f")


def test_each_mark_is_flattened_as_of_then() -> None:
    outcome = made(
        [fill(0.5, BUY, 1000, 10, 1000 * U), fill(1.5, SELL, 1001, 10, 1000 * U)], [1000 * U] * 3
    )
    outcome.marks[:, 5] = [7, 3, 0]
    curve = measure(replace(outcome, taker_fee_ppm=1_000)).curve
    assert curve.pnl_ticklots.tolist() == [0, 0, 10, 10, 10]
    # At the first mark 10 lots are held: 7 by the book, 10 of fee; the second's exit is of nothing.
    assert curve.flattened_ticklots.tolist() == [0, -17, 7, 10, 10]
    wide = replace(outcome, taker_fee_ppm=1_000)
    wide.marks[0, 3] = 1 << 60
    assert measure(wide).curve.flattened_ticklots[1] == (
        measure(wide).curve.pnl_ticklots[1] - 7 - -(-10 * (1 << 60) // U * 1_000 // 1_000_000)
    )


def test_queue_places_are_of_maker_fills() -> None:
    fills = [
        fill(0.5, BUY, 100, 3, 100 * U, ahead=0, rested_s=1.0),
        fill(0.6, BUY, 100, 3, 100 * U, ahead=9, rested_s=4.0),
        fill(0.7, SELL, 100, 3, 100 * U, ahead=7, rested_s=2.0),
        fill(0.8, SELL, 100, 1, 100 * U, maker=0, ahead=0, rested_s=0.0),
        fill(0.9, SELL, 100, 1, 100 * U, ahead=-1, rested_s=3.0),  # nobody told
    ]
    found = measure(made(fills, [100 * U] * 4)).queue
    assert (found.fills, found.known, found.ahead_median) == (4, 3, Decimal("0.007"))
    assert found.first_share == pytest.approx(1 / 3)
    assert (found.age_s_median, found.age_s_p90) == (2.0, 4.0)


def test_nothing_at_all_is_told_as_nothing() -> None:
    found = measure(outcomes.outcome())
    assert (found.fills, found.maker_share, found.quoted) == (0, None, None)
    assert found.net == 0
    assert found.moments.count == 0
    assert found.markouts["1s"].bps is None


def test_fills_before_any_reference_are_unsplit_and_add_up() -> None:
    outcome = made([fill(0.2, SELL, 100, 5, -1)], [])
    found = measure(outcome)
    assert atoms(found.causes.unsplit) == 500 == atoms(found.net)


def test_json_is_plain_and_exact() -> None:
    told = measure(chance(1, 100, 40)).to_json()
    assert told["causes"]["net"] == format(measure(chance(1, 100, 40)).net, "f")
    assert set(told["markouts"]) == {"0.1s", "1s", "10s", "60s"}
    assert isinstance(told["moments"]["sharpe"], float)
    assert "curve" not in told


def test_wide_amounts_stay_exact() -> None:
    # 4e10 lots at 6e8 ticks: a notional beyond 63 bits.
    price, lots = 600_000_000, 40_000_000_000
    fills = [
        fill(0.5, BUY, price, lots, (price + 1) * U), fill(1.5, SELL, price + 3, lots, price * U),
    ]  # fmt: skip
    closing = 1000, 600_000_000 + 3 * lots
    outcome = outcomes.outcome(fills=rows(fills, 14), closing=closing, closing_uticks=price * U)
    found = measure(outcome)
    assert atoms(found.net) == 3 * lots
    assert atoms(found.volume) == (2 * price + 3) * lots
    assert atoms(found.causes.spread) == lots + 3 * lots


@given(
    st.lists(st.integers(-(2**52), 2**52), min_size=1, max_size=8),
    st.integers(1, 2**40 * 10**6 - 1),
)  # fmt: skip
def test_worth_is_the_floor(lots: list[int], uticks: int) -> None:
    found = worth(np.array(lots), uticks)
    assert [int(one) for one in found] == [one * uticks // U for one in lots]


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20))
def test_total_is_exact(values: list[int]) -> None:
    assert total(np.array(values, np.int64)) == sum(values)


def test_product_is_exact_beyond_63_bits() -> None:
    found = product(np.array([2**40, 3]), np.array([2**30, 5]))
    assert [int(one) for one in found] == [2**70, 15]


def test_ten_thousand_fills_take_milliseconds() -> None:
    outcome = chance(3, 3_600, 10_000)
    measure(outcome)
    spent = []
    for _ in range(20):
        begin = time.process_time_ns()
        measure(outcome)
        spent.append(time.process_time_ns() - begin)
    assert min(spent) < 10_000_000, spent
    assert isinstance(measure(outcome).causes, Causes)


@pytest.mark.parametrize(("venue", "regime"), [("mexc", "volatile"), ("gateio", "thin")])
def test_figures_are_those_of_the_whole_engines_report(venue: str, regime: str) -> None:
    whole, booked, outcome = both(bot(venue=venue, pair="BTC/USDT"), synthetic(regime, 5, 120))
    found, report = measure(outcome), whole.report
    assert found.fills == len(booked) > 50
    assert (found.volume, found.causes.spread) == pytest.approx(
        (report.volume.quote, _total(report).spread), abs=Decimal("1e-6")
    )
    # References are sampled otherwise, so that the two part drift from adverse selection otherwise.
    mine = found.causes.adverse + found.causes.drift
    assert mine == pytest.approx(_total(report).adverse + _total(report).drift, abs=Decimal("1e-6"))
    # Of fees in base whole lots are gone, rounded up.
    lot = outcome.instrument.lot_size * 100_000
    assert found.net == pytest.approx(report.pnl.net, abs=lot)
    assert found.causes.fees == pytest.approx(report.pnl.fees, abs=lot)
    rate = report.fill_rate
    assert found.chances.by_order == pytest.approx(float(rate.by_order or 0), abs=1e-6)
    assert found.chances.by_quantity == pytest.approx(float(rate.by_quantity or 0), abs=1e-6)


def _total(report: Report) -> CausePart:
    assert report.by_cause is not None
    return report.by_cause.total
