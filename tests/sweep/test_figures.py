"""Figures of a run: moments that add up over spans, returns and curves counted by hand."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace as changed
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm.backtest.columns import MARK_FIELDS, Outcome, run
from openmm.backtest.measures import measure
from openmm.config import parse
from openmm.sweep.figures import (
    Figures,
    Moments,
    curve_of,
    deepest_fall,
    figures_of,
    moments_of,
    pooled,
    returns_of,
)
from tests.sweep.made import BOT, NS, START_NS, figures_with, job, market, sums


def test_moments_are_numpys() -> None:
    chance = random.Random(3)
    values = [chance.gauss(0.01, 1) ** 3 for _ in range(500)]
    made, data = sums(values), np.array(values)
    off = data - data.mean()
    assert made.mean == pytest.approx(data.mean())
    assert made.sharpe == pytest.approx(data.mean() / data.std(ddof=1))
    assert made.skew == pytest.approx((off**3).mean() / data.std() ** 3)
    assert made.kurtosis == pytest.approx((off**4).mean() / data.std() ** 4)


def test_moments_of_parts_add_up_to_the_whole() -> None:
    chance = random.Random(4)
    values = [chance.gauss(0, 1) for _ in range(90)]
    parts = [sums(values[at : at + 30]) for at in (0, 30, 60)]
    whole, added = sums(values), pooled(parts)
    assert added.count == 90
    assert added.sharpe == pytest.approx(whole.sharpe)
    assert added.kurtosis == pytest.approx(whole.kurtosis)


def test_what_never_moved_has_no_ratio() -> None:
    assert sums([0.0] * 50).sharpe is None
    assert sums([0.1] * 50).sharpe is None
    assert Moments().sharpe is None
    assert (Moments().skew, Moments().kurtosis) == (0.0, 3.0)


def test_returns_cover_all_of_the_time_in_equal_stretches() -> None:
    told = START_NS + np.array([0, 1, 2, 3, 4, 9, 10, 11, 12]) * NS
    pnl = np.array([0, 10, 20, 10, 0, 50, 60, 70, 70])
    # Between 4 and 9 there is no mark: one return.
    assert returns_of(told, pnl, 1000, NS) == [0.01, 0.01, -0.01, -0.01, 0.05, 0.01, 0.01, 0.0]
    # Two seconds: marks at 2, 4, then 10 as the last before the end of the stretch that 9 is in.
    assert returns_of(told, pnl, 1000, 2 * NS) == [0.02, -0.02, 0.06, 0.01]
    # Five seconds do not divide twelve: two stretches of six. The last marks are those at 4 and 12.
    assert returns_of(told, pnl, 1000, 5 * NS) == [0.0, 0.07]
    for seconds in range(1, 40):
        assert sum(returns_of(told, pnl, 1000, seconds * NS)) == pytest.approx(0.07)
    assert returns_of(told, pnl, 1000, 99 * NS) == [0.07]
    assert returns_of(told[:1], pnl[:1], 1000, NS) == []
    assert returns_of(told, pnl, 0, NS) == []


def plainly(ts_ns: list[int], pnl: list[int], capital: int, returns_ns: int) -> list[float]:
    """Go through all ends of stretches, however many there are."""
    span_ns = ts_ns[-1] - ts_ns[0]
    count = max(1, (2 * span_ns + returns_ns) // (2 * returns_ns))
    marks: list[int] = []
    for place in range(count + 1):
        end_ns = ts_ns[0] + span_ns * place // count
        last = max(at for at, told_ns in enumerate(ts_ns) if told_ns <= end_ns)
        marks += [last] if marks[-1:] != [last] else []
    return [(pnl[b] - pnl[a]) / capital for a, b in pairwise(marks)]


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=12), st.integers(1, 15),
    st.sampled_from([1, NS, 1 << 53]),
)  # fmt: skip
def test_returns_are_those_of_a_plain_loop(steps: list[int], length: int, unit: int) -> None:
    told = [START_NS + at * unit for at in accumulate(steps)]
    if unit > NS:  # so long that products of times do not fit 64 bits
        told = [at - START_NS for at in told]
    pnl = [at * at % 17 for at in range(len(told))]
    found = returns_of(np.array(told), np.array(pnl), 1000, length * unit)
    assert found == plainly(told, pnl, 1000, length * unit)


def test_a_long_gap_takes_no_memory() -> None:
    ts_ns = np.array([0, NS, 2 * NS, 30 * 86_400 * NS, 30 * 86_400 * NS + NS])
    tracemalloc.start()
    try:
        found = returns_of(ts_ns, np.array([0, 10, 30, 60, 100]), 1000, NS)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [0.01, 0.02, 0.03, 0.04]
    assert peak_bytes < 100_000
    # A clock that began in 1970.
    whole = returns_of(np.array([0, NS, START_NS]), np.array([0, 10, 30]), 1000, NS)
    assert whole == [0.01, 0.02]


def test_fall_goes_on_from_slice_to_slice() -> None:
    def one(highest: float, lowest: float, flattened: float, drawdown: float) -> Figures:
        made = figures_with(Moments(), flattened)
        return replace(made, highest=highest, lowest=lowest, drawdown=drawdown)

    first, second = one(5.0, -1.0, 3.0, 2.0), one(1.0, -3.0, -2.0, 4.0)
    assert deepest_fall([first]) == 2.0
    # From 5 in the first to 3 - 3 in the second.
    assert deepest_fall([first, second]) == 5.0
    assert deepest_fall([first, second, second]) == 5.0 + 2.0
    assert deepest_fall([second, first]) == 4.0
    assert deepest_fall([]) == 0.0


def test_curve_is_at_moments_evenly_spaced_in_time() -> None:
    told = START_NS + np.array([0, 1, 2, 50, 100]) * NS
    assert curve_of(told, np.array([0, 1, 2, 3, 4]), 5, 0.5) == [0.0, 1.0, 1.5, 1.5, 2.0]
    assert curve_of(told[:1], np.array([0]), 3, 1.0) == [0.0, 0.0, 0.0]


def test_ratio_of_a_day_is_by_the_time_that_returns_cover() -> None:
    # Stretches of 90 s where a minute was asked for: 960 a day, not 1,440.
    made = moments_of([0.03, -0.01] * 5, 10 * 90 * NS)
    assert made.sharpe_a_day == pytest.approx((made.sharpe or 0) * 960**0.5)
    both = pooled([made, moments_of([0.03, -0.01] * 5, 10 * 30 * NS)])
    assert both.covered_ns == 1200 * NS
    assert both.sharpe_a_day == pytest.approx((both.sharpe or 0) * 1440**0.5)
    assert Moments().sharpe_a_day is None


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Give a run that holds something at the end."""
    return run(parse(job("tiny").data), [market(120)])


def cuts_of(outcome: Outcome, count: int) -> list[int]:
    whole_ns = outcome.ended_ns - outcome.started_ns
    return [outcome.started_ns + whole_ns * at // count for at in range(1, count)]


def test_slices_add_up_to_the_run_to_the_ticklot(outcome: Outcome) -> None:
    told = measure(outcome)
    unit = float(told.unit)
    (whole,) = figures_of(outcome, NS)
    assert whole.flattened == float(told.flattened)
    for count in (2, 3, 4, 7, 16, 33, 150):
        found = figures_of(outcome, NS, cuts_of(outcome, count))
        assert len(found) == count
        for name in ("net", "flattened", "spread", "adverse", "drift", "unsplit", "fees", "volume"):
            slices = [round(getattr(one, name) / unit) for one in found]
            assert sum(slices) == round(getattr(whole, name) / unit), (count, name)
        assert sum(one.fills for one in found) == told.fills
        assert all(one.to_ns == other.from_ns for one, other in pairwise(found))
        assert (found[0].from_ns, found[-1].to_ns) == (whole.from_ns, whole.to_ns)
        assert min(one.least for one in found) == whole.least
        assert max(one.greatest for one in found) == whole.greatest
        assert found[-1].position == whole.position
        quoted = [(one.quoted or 0.0) * one.span_s for one in found]
        assert sum(quoted) == pytest.approx((whole.quoted or 0.0) * whole.span_s)
        assert deepest_fall(found) == pytest.approx(whole.drawdown)
        # Nor do Sharpe ratios depend on the number of slices, while returns are as long.
        together = pooled(one.moments for one in found)
        assert together.covered_ns == whole.moments.covered_ns
        if count < 100:
            assert together.sharpe_a_day == pytest.approx(whole.moments.sharpe_a_day, rel=0.05)


def test_border_is_worth_what_selling_out_there_would_leave(outcome: Outcome) -> None:
    told = measure(outcome)
    place = next(at for at, one in enumerate(told.curve.position_lots) if at > 20 and one)
    marked_ns = int(told.curve.ts_ns[place])
    # The border lies after the mark: what it is worth is what was marked last.
    first, second = figures_of(outcome, NS, [marked_ns + NS // 3])
    assert first.to_ns == marked_ns
    ns, equity, base, uticks, _, exit_ = (int(one) for one in outcome.marks[place - 1])
    assert ns == marked_ns
    left, ticklots = base - outcome.opening[0], equity - outcome.opening[1]
    net = ticklots - base * uticks // 10**6 + left * uticks // 10**6
    unit = float(told.unit)
    assert first.net == pytest.approx(net * unit)
    fee = abs(left) * uticks / 1e6 * outcome.taker_fee_ppm / 1e6
    assert exit_ > 0
    assert first.net - first.flattened == pytest.approx((exit_ + fee) * unit)
    assert second.flattened == pytest.approx(float(told.flattened) - first.flattened)
    before = [one for one in outcome.fills if one[0] <= marked_ns]
    assert first.fills == len(before)
    assert first.volume == pytest.approx(sum(int(one[3]) * int(one[4]) for one in before) * unit)
    assert first.position == pytest.approx(left * float(told.lot_size))


def test_slices_after_a_halt_are_told_as_halted(outcome: Outcome) -> None:
    cuts = cuts_of(outcome, 5)
    halts = (cuts[0] + 5 * NS, cuts[2] + 5 * NS, cuts[3] + 5 * NS)
    found = figures_of(changed(outcome, halts=halts, halted=True), NS, cuts)
    assert [one.halted for one in found] == [False, True, True, False, True]
    data = job("tiny").data
    data["risk"]["max_drawdown"] = "0.01%"
    made = run(parse(data), [market(120)])
    assert made.halted
    assert len(made.halts) == 1
    stopped = [one.halted for one in figures_of(made, NS, cuts_of(made, 20))]
    assert stopped == sorted(stopped)
    assert 0 < sum(stopped) < 20
    later = figures_of(made, NS, cuts_of(made, 20))[-1]
    assert (later.fills, later.halted) == (0, True)


def test_figures_are_the_measures_of_the_run(outcome: Outcome) -> None:
    (made,), told = figures_of(outcome, NS), measure(outcome)
    assert told.fills > 10
    assert (made.net, made.fills) == (float(told.net), told.fills)
    assert made.net == pytest.approx(
        made.spread + made.adverse + made.drift + made.unsplit - made.fees
    )
    assert made.fees == float(told.causes.fees)
    assert made.drift == float(told.causes.drift)
    assert made.flattened == float(told.flattened) < made.net, "what is left costs something"
    assert made.moments.sum1 * made.capital == pytest.approx(made.flattened)
    assert made.moments.covered_ns == outcome.ended_ns - outcome.started_ns
    assert made.highest >= made.flattened >= made.lowest
    assert made.highest - made.lowest >= made.drawdown
    assert (made.quoted, made.one_sided) == (told.quoted, told.one_sided)
    assert made.markout_1s == told.markouts["1s"].bps
    # The Sharpe ratio does not depend on the capital that returns are shares of.
    assert abs(made.moments.count - told.moments.count) <= 1
    (free,) = figures_of(without_exit(outcome), NS)
    assert free.moments.sharpe == pytest.approx(told.moments.sharpe, rel=0.2)
    assert (made.moments.sharpe or 0) < (free.moments.sharpe or 0)
    assert made.capital == pytest.approx(60_000 + float(outcome.marks[0, 3]) / 1e6 * 0.1, rel=0.01)
    assert made.curve[-1] == pytest.approx(made.flattened)
    assert (made.run_placed, made.run_events) == (outcome.placed, outcome.events)
    assert BOT in job("tiny").bot


def without_exit(outcome: Outcome) -> Outcome:
    marks = outcome.marks.copy()
    marks[:, MARK_FIELDS.index("exit_ticklots")] = 0
    return changed(outcome, taker_fee_ppm=0, marks=marks, closing_exit_ticklots=0)
