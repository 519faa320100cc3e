"""Brakes: what comes too often stops the quotes for a while, ever longer while it goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm._fast.checks import RiskState
from openmm._fast.units import Side
from openmm.errors import RiskError
from openmm.risk.brakes import HOLD_NS_MAX, MINUTE_NS, Brake, BrakeLimits, Brakes
from openmm.risk.monitor import MonitorLimits, RiskChanged, RiskMonitor
from openmm.risk.slippage import slippage_ppm, worse_ticks

SECOND = 1_000_000_000
LIMITS = BrakeLimits(fills_max=3, rejects_max=3, post_only_max=3, cancels_max=3)
Event = Callable[[RiskMonitor, int], list[RiskChanged]]
EVENTS: dict[Brake, Event] = {
    Brake.FILLS: lambda one, now_ns: one.on_fill(now_ns),
    Brake.REJECTS: lambda one, now_ns: one.on_refused(False, now_ns),
    Brake.POST_ONLY: lambda one, now_ns: one.on_refused(True, now_ns),
}


def state(one: RiskMonitor) -> RiskState:
    return one.state


def monitor(limits: BrakeLimits = LIMITS, **others: int) -> RiskMonitor:
    return RiskMonitor(replace(MonitorLimits(brakes=limits), **others))


@pytest.mark.parametrize("kind", list(EVENTS))
def test_count_at_its_limit_runs_on_and_beyond_it_stops_the_quotes(kind: Brake) -> None:
    one, happen = monitor(), EVENTS[kind]
    assert [happen(one, at) for at in range(3)] == [[], [], []]
    assert state(one) is RiskState.RUNNING
    (change,) = happen(one, 3)
    assert (change.before, change.after) == (RiskState.RUNNING, RiskState.PAUSED)
    assert (change.reason, change.limit, change.seen) == (kind.value, 3, 4)
    assert (state(one), one.reason, one.halt_reason) == (RiskState.PAUSED, kind.value, "")
    assert happen(one, 4) == [], "told once"


def test_cancels_are_counted_by_what_the_session_has_sent() -> None:
    one = monitor()
    assert one.on_cancels(1000, 0) == [], "what came before the first look is no excess"
    assert one.on_cancels(1003, 1) == []
    (change,) = one.on_cancels(1004, 2)
    assert (change.reason, change.seen) == ("cancels_per_minute", 4)


@pytest.mark.parametrize("kind", list(EVENTS))
def test_limit_of_zero_allows_none_and_an_absent_one_any_number(kind: Brake) -> None:
    none = monitor(BrakeLimits(fills_max=0, rejects_max=0, post_only_max=0, cancels_max=0))
    assert EVENTS[kind](none, 0) != []
    free = monitor(BrakeLimits())
    assert [EVENTS[kind](free, 0) for _ in range(10_000)] == [[]] * 10_000


def test_brake_goes_only_when_its_time_is_over_and_the_minute_is_within_limits() -> None:
    one = monitor()
    for at in range(4):
        one.on_refused(True, at * SECOND)
    assert one.on_time(8 * SECOND) == [], "5 s are over, but 4 refusals stand in the minute"
    assert one.on_time(MINUTE_NS - 1) == []
    (change,) = one.on_time(MINUTE_NS)
    assert (change.after, change.reason) == (RiskState.RUNNING, "post_only_per_minute")
    assert one.reason == ""
    (change,) = one.on_refused(True, MINUTE_NS)
    assert change.after is RiskState.PAUSED, "what was counted stays counted"


def test_venue_that_refuses_everything_is_asked_ever_less_often() -> None:
    """Twenty minutes of a venue that refuses every order, each tried as soon as it may be."""
    one, now_ns, asked = monitor(), 0, []
    while now_ns < 20 * MINUTE_NS:
        one.on_time(now_ns)
        if state(one) is RiskState.RUNNING:
            asked.append(now_ns)
            one.on_refused(True, now_ns)
        now_ns += SECOND // 10
    for at in asked:
        assert sum(at - MINUTE_NS < other <= at for other in asked) <= 4
    first = sum(at < 5 * MINUTE_NS for at in asked)
    last = sum(at >= 15 * MINUTE_NS for at in asked)
    assert 0 < last <= 4 < first


def test_calm_makes_the_next_brake_as_short_as_the_first() -> None:
    brakes = Brakes(LIMITS)
    holds = []
    for at in (0, 1, 2):
        holds.append(brakes.put_on(at))
        brakes.let_go(at)
    holds.append(brakes.put_on(11 * MINUTE_NS))
    assert holds == [5 * SECOND, 10 * SECOND, 20 * SECOND, 5 * SECOND]
    for _ in range(100):
        brakes.let_go(11 * MINUTE_NS)
        longest = brakes.put_on(11 * MINUTE_NS)
    assert longest == HOLD_NS_MAX


def test_hand_takes_the_brake_off_and_the_next_excess_puts_it_on() -> None:
    one = monitor()
    for at in range(4):
        one.on_fill(at)
    (change,) = one.resume("ann", 10)
    assert (change.before, change.after) == (RiskState.PAUSED, RiskState.RUNNING)
    assert one.fills_last_minute(10) == 4
    assert one.on_fill(11) != []
    assert state(one) is RiskState.PAUSED


def test_brake_outranks_reducing_and_a_halt_outranks_it_and_a_pause_outlives_it() -> None:
    one = monitor(inventory_lots_max=10)
    one.on_mark(1_000, 20, 0)
    for at in range(4):
        one.on_fill(at)
    assert state(one) is RiskState.PAUSED
    one.pause("ann")
    one.on_time(2 * MINUTE_NS)
    assert (state(one), one.reason) == (RiskState.PAUSED, "operator")
    one.halt("operator", "by hand", 3 * MINUTE_NS)
    assert state(one) is RiskState.HALTED
    one.resume("ann", 3 * MINUTE_NS)
    assert (state(one), one.reason) == (RiskState.REDUCING, "inventory")
    with pytest.raises(RiskError, match="REDUCING"):
        one.resume("ann", 3 * MINUTE_NS)


def test_tighter_limit_holds_at_the_next_event() -> None:
    one = monitor()
    one.on_fill(0)
    one.tighten(MonitorLimits(brakes=BrakeLimits(fills_max=1)))
    (change,) = one.on_fill(1)
    assert (change.limit, change.seen) == (1, 2)


@given(st.lists(st.tuples(st.integers(0, 90 * SECOND), st.integers(1, 3)), max_size=60))
def test_count_is_that_of_the_last_minute_on_any_sequence(steps: list[tuple[int, int]]) -> None:
    brakes, now_ns, seen = Brakes(LIMITS), 0, []
    for wait_ns, count in steps:
        now_ns += wait_ns
        brakes.note(Brake.CANCELS, now_ns, count)
        seen.append((now_ns, count))
        expected = sum(n for at, n in seen if at > now_ns - MINUTE_NS)
        assert brakes.count(Brake.CANCELS, now_ns) == expected


@pytest.mark.parametrize(
    ("side", "fill", "order", "worse"),
    [
        (Side.BUY, 100, 100, 0),
        (Side.BUY, 99, 100, 0),
        (Side.BUY, 101, 100, 1),
        (Side.SELL, 100, 100, 0),
        (Side.SELL, 101, 100, 0),
        (Side.SELL, 98, 100, 2),
    ],
)
def test_fill_worse_than_its_order_halts(side: int, fill: int, order: int, worse: int) -> None:
    assert worse_ticks(side, fill, order) == worse
    one = monitor()
    changes = one.on_fill_price(side, fill, order, 100_000_000, 0)
    assert [change.after for change in changes] == ([RiskState.HALTED] if worse else [])
    if worse:
        assert one.halt_reason == "slippage"


def test_fill_beyond_the_reference_puts_the_brake_on() -> None:
    reference = 10_000 * 1_000_000
    one = monitor(slippage_ppm_max=10_000)
    assert one.on_fill_price(Side.BUY, 10_100, 10_100, reference, 0) == []
    assert one.on_fill_price(Side.BUY, 5_000, 10_100, reference, 0) == [], "a gain is no slippage"
    (change,) = one.on_fill_price(Side.BUY, 10_101, 10_101, reference, 0)
    assert (change.after, change.reason) == (RiskState.PAUSED, "slippage")
    assert (change.limit, change.seen) == (10_000, 10_100)
    assert one.on_time(5 * SECOND - 1) == []
    assert one.on_time(5 * SECOND) != []
    (change,) = one.on_fill_price(Side.SELL, 9_899, 9_899, reference, 5 * SECOND)
    assert change.seen == 10_100
    assert "10 s" in change.detail


def test_fill_without_a_reference_is_judged_by_its_order_alone() -> None:
    one = monitor(slippage_ppm_max=1)
    assert one.on_fill_price(Side.BUY, 10_000, 10_000, None, 0) == []
    assert one.on_fill_price(Side.BUY, 10_001, 10_000, None, 0) != []


def test_slippage_rounds_up() -> None:
    assert slippage_ppm(Side.BUY, 1_000_001, 1_000_000 * 1_000_000) == 1
    assert slippage_ppm(Side.BUY, 10_000_001, 10_000_000 * 1_000_000) == 1
    assert slippage_ppm(Side.SELL, 10_000_001, 10_000_000 * 1_000_000) == 0
