"""The risk state machine: what trips it, what it remembers, how it is left."""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace

from openmm._fast.checks import RiskState
from openmm.errors import RiskError
from openmm.risk.brakes import MINUTE_NS
from openmm.risk.monitor import MonitorLimits, RiskMonitor

START = 1_000_000


def monitor(**limits: int) -> RiskMonitor:
    one = RiskMonitor(replace(MonitorLimits(), **limits))
    assert one.on_mark(START, 0, 0) == []
    return one


def test_loss_at_the_limit_runs_on_and_beyond_it_halts() -> None:
    one = monitor(drawdown_ppm_max=20_000)
    assert one.on_mark(START - 20_000, 0, 1) == []
    (change,) = one.on_mark(START - 20_001, 0, 2)
    assert (change.before, change.after) == (RiskState.RUNNING, RiskState.HALTED)
    assert (change.reason, change.limit, change.seen) == ("drawdown", 20_000, 20_001)
    assert one.state is RiskState.HALTED
    assert one.drawdown_breached


def test_halt_is_latched_when_the_loss_is_made_good() -> None:
    one = monitor(drawdown_ppm_max=20_000)
    one.on_mark(START - 30_000, 0, 1)
    assert one.on_mark(START + 50_000, 0, 2) == []
    assert one.state is RiskState.HALTED


def test_loss_from_the_peak_halts_though_the_session_is_in_profit() -> None:
    one = monitor(drawdown_ppm_max=500_000, drawdown_peak_ppm_max=100_000)
    one.on_mark(2 * START, 0, 1)
    (change,) = one.on_mark(2 * START - 200_002, 0, 2)
    assert change.reason == "drawdown_peak"


def test_deposit_and_withdrawal_are_no_profit_and_no_loss() -> None:
    one = monitor(drawdown_ppm_max=20_000, drawdown_peak_ppm_max=20_000)
    one.on_transfer(-500_000)
    assert one.on_mark(START - 500_000, 0, 1) == []
    one.on_transfer(500_000)
    assert one.on_mark(START - 1, 0, 2) == []
    assert one.drawdown_ppm == 1


def test_inventory_beyond_the_limit_reduces_until_half_of_it() -> None:
    one = monitor(inventory_lots_max=100)
    assert one.on_mark(START, 100, 1) == []
    (change,) = one.on_mark(START, -101, 2)
    assert (change.after, change.reason) == (RiskState.REDUCING, "inventory")
    assert one.on_mark(START, -51, 3) == []
    assert [one.state] == [RiskState.REDUCING]
    (change,) = one.on_mark(START, -50, 4)
    assert change.after is RiskState.RUNNING


def test_halt_outranks_pause_and_pause_outranks_reducing() -> None:
    one = monitor(inventory_lots_max=10)
    one.on_mark(START, 20, 1)
    seen = [one.state]
    one.pause("ann")
    seen.append(one.state)
    one.halt("operator", "by hand", 2)
    seen.append(one.state)
    one.resume("ann")
    seen.append(one.state)
    assert seen == [RiskState.REDUCING, RiskState.PAUSED, RiskState.HALTED, RiskState.REDUCING]


def test_second_halt_keeps_the_first_reason() -> None:
    one = monitor()
    one.halt("operator", "by hand", 1)
    assert one.halt("internal", "broken", 2) == []
    assert one.halt_reason == "operator"


def test_resume_takes_the_loss_as_the_new_start() -> None:
    one = monitor(drawdown_ppm_max=20_000)
    one.on_mark(START - 30_000, 0, 1)
    one.resume("ann")
    assert one.state is RiskState.RUNNING
    assert one.on_mark(START - 31_000, 0, 2) == []
    (change,) = one.on_mark(START - 60_000, 0, 3)
    assert change.reason == "drawdown"


def test_resume_from_a_pause_forgives_no_loss() -> None:
    one = monitor(drawdown_ppm_max=20_000)
    one.on_mark(START - 15_000, 0, 1)
    one.pause("ann")
    one.resume("ann")
    one.halt("operator", "by hand", 2)
    one.resume("ann")
    (change,) = one.on_mark(START - 20_001, 0, 3)
    assert change.reason == "drawdown"


def test_resume_of_a_running_bot_is_refused() -> None:
    with pytest.raises(RiskError, match="neither paused nor halted but RUNNING"):
        monitor().resume("ann")


def test_cooldown_ends_a_drawdown_halt_but_not_an_operators() -> None:
    one = monitor(drawdown_ppm_max=20_000, cooldown_ns=10)
    one.on_mark(START - 30_000, 0, 100)
    assert one.on_time(109) == []
    (change,) = one.on_time(110)
    assert (change.after, change.reason) == (RiskState.RUNNING, "cooldown")
    one.halt("operator", "by hand", 200)
    assert one.on_time(10_000) == []
    assert one.state is RiskState.HALTED


def test_halt_without_cooldown_waits_for_a_hand() -> None:
    one = monitor(drawdown_ppm_max=20_000)
    one.on_mark(START - 30_000, 0, 100)
    assert one.on_time(10**18) == []


def test_fills_are_counted_over_the_last_minute() -> None:
    one = monitor()
    one.on_fill(0)
    one.on_fill(10)
    assert one.fills_last_minute(MINUTE_NS - 1) == 2
    assert one.fills_last_minute(MINUTE_NS) == 1
    assert one.fills_last_minute(MINUTE_NS + 10) == 0


def test_equity_without_a_start_is_no_drawdown() -> None:
    one = RiskMonitor(MonitorLimits(drawdown_ppm_max=1))
    assert one.drawdown_ppm is None
    assert not one.drawdown_breached
    assert one.on_mark(0, 0, 0) == []
    assert one.drawdown_ppm is None


def test_cooldown_ends_neither_a_pause_nor_an_operators_second_halt() -> None:
    one = monitor(drawdown_ppm_max=10_000, cooldown_ns=MINUTE_NS)
    one.on_mark(900_000, 0, 0)
    one.pause("ann")
    (change,) = one.on_time(MINUTE_NS)
    assert (change.after, one.state) == (RiskState.PAUSED, RiskState.PAUSED)
    one.resume("ann")
    one.on_mark(800_000, 0, 2 * MINUTE_NS)
    assert one.state is RiskState.HALTED
    one.halt("operator", "by ann", 2 * MINUTE_NS)
    assert one.on_time(10 * MINUTE_NS) == []
    assert one.state is RiskState.HALTED


def test_cooldown_of_a_halt_within_a_flatten_ends_in_the_pause_it_would_have_had() -> None:
    one = monitor(drawdown_ppm_max=10_000, cooldown_ns=MINUTE_NS)
    one.pause("ann")
    one.flatten("ann")
    one.on_mark(900_000, 0, 0)
    assert one.state is RiskState.HALTED
    (change,) = one.on_time(MINUTE_NS)
    assert (change.after, one.state, one.reason) == (RiskState.PAUSED, RiskState.PAUSED, "flatten")


def test_equity_at_the_start_is_told_apart_from_where_a_resume_measures_from() -> None:
    one = monitor(drawdown_ppm_max=20_000)
    one.on_mark(START - 30_000, 0, 0)
    one.resume("ann")
    assert (one.equity_first, one.equity_start) == (START, START - 30_000)
    one.on_transfer(500)
    assert (one.equity_first, one.equity_start) == (START + 500, START - 29_500)


def test_every_move_of_the_state_counts_a_halt_of_a_halted_bot_too() -> None:
    one = monitor()
    seen = [one.move_count]
    for change in (
        one.pause, one.resume, one.flatten, one.flattened,
        partial(one.halt, detail="by ann", now_ns=0), partial(one.halt, detail="by bob", now_ns=1),
    ):  # fmt: skip
        change("ann")
        seen.append(one.move_count)
    assert seen == sorted(set(seen))
