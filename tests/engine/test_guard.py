"""Nothing is quoted unless something would cancel the orders of a dead engine."""

from __future__ import annotations

import pytest

from openmm._fast.orders import OrderState
from openmm.engine.guard import Guard
from openmm.engine.step import Alert, SetDeadMan, StepConfig
from openmm.events import RequestAccepted, RequestRefused, StatusChanged, SystemMode
from tests.engine.world import SECOND, START, World, quoting

TIMEOUT = 60 * SECOND


def armed() -> Guard:
    guard = Guard(TIMEOUT)
    assert guard.due(START)
    guard.sent(True, START)
    guard.on_accepted()
    return guard


def test_switch_is_refreshed_at_a_third_of_its_timeout() -> None:
    guard = armed()
    assert not guard.due(START + TIMEOUT // 3 - 1)
    assert guard.due(START + TIMEOUT // 3)
    assert not guard.due(START + TIMEOUT // 3 + 1)


def test_switch_counts_from_the_request_and_no_longer_shortly_before_it_fires() -> None:
    guard = armed()
    assert guard.covers(START + TIMEOUT - TIMEOUT // 6 - 1)
    assert not guard.covers(START + TIMEOUT - TIMEOUT // 6)


def test_answer_belongs_to_the_oldest_request_and_none_to_a_lost_connection() -> None:
    guard = armed()
    guard.sent(True, START + TIMEOUT // 3)
    guard.sent(True, START + TIMEOUT // 2)
    guard.on_accepted()
    assert not guard.covers(START + TIMEOUT // 3 + TIMEOUT)
    guard.on_lost()
    guard.on_accepted()
    assert not guard.covers(START + TIMEOUT // 3 + TIMEOUT)


def test_refused_switch_is_tried_again_after_a_second() -> None:
    guard = Guard(TIMEOUT)
    assert guard.due(START)
    guard.sent(True, START)
    guard.on_refused()
    assert not guard.covers(START)
    assert not guard.due(START + SECOND - 1)
    assert guard.due(START + SECOND)


def test_watchdog_that_has_to_run_is_needed_alive() -> None:
    guard = Guard(None, watchdog=True)
    assert not guard.covers(START)
    guard.watchdog_alive = True
    assert guard.covers(START)


# ---------------------------------------------------------------- in the step


@pytest.fixture
def dedicated() -> World:
    """A bot whose switch was armed before its first quote."""
    return quoting(StepConfig(dead_man_ns=TIMEOUT))


def live(world: World) -> set[OrderState]:
    return {order.state for order in world.table.live()}


def test_nothing_is_quoted_before_the_switch_is_armed(dedicated: World) -> None:
    # The fixture's own ladder came with the accepted arming.
    assert live(dedicated) == {OrderState.OPEN}


def test_unanswered_refreshes_withdraw_the_quotes_and_an_answer_brings_them_back(
    dedicated: World,
) -> None:
    late_ns = START + TIMEOUT - TIMEOUT // 6
    requests = []
    for at in range(1, 6):
        now_ns = START + (late_ns - START) * at // 5
        requests += dedicated.step.on_timer(now_ns)
    assert SetDeadMan(True) in requests
    assert any(isinstance(one, Alert) and "bot died" in one.text for one in requests)
    assert not dedicated.step.pipeline.quoting
    dedicated.step.dead_man_sent(True, late_ns)
    dedicated.feed(RequestAccepted("dead_man", 1))
    assert dedicated.step.pipeline.quoting


def test_refused_arming_leaves_the_bot_without_quotes() -> None:
    world = quoting(StepConfig(dead_man_ns=TIMEOUT), arm=False)
    assert world.table.live_count == 0
    assert SetDeadMan(True) in world.step.on_timer(START + 2 * SECOND)
    world.step.dead_man_sent(True, START + 2 * SECOND)
    requests = world.feed(
        RequestRefused("dead_man", 1, "EGeneral:Internal error", "internal", False)
    )
    assert any(isinstance(one, Alert) for one in requests)
    world.step.on_timer(START + 2 * SECOND + 1)
    assert world.table.live_count == 0


def test_switch_is_disarmed_around_maintenance_and_armed_again_before_quotes(
    dedicated: World,
) -> None:
    requests = dedicated.feed(StatusChanged(SystemMode.MAINTENANCE, "maintenance"))
    assert SetDeadMan(False) in requests
    dedicated.step.dead_man_sent(False, START)
    dedicated.feed(RequestAccepted("dead_man", 2))
    later_ns = START + TIMEOUT
    assert SetDeadMan(True) not in dedicated.step.on_timer(later_ns)
    dedicated.now_ns = later_ns
    dedicated.feed(StatusChanged(SystemMode.ONLINE, "online"))
    assert not dedicated.step.pipeline.quoting
    assert SetDeadMan(True) in dedicated.step.on_timer(later_ns + 1)
    dedicated.step.dead_man_sent(True, later_ns + 1)
    dedicated.feed(RequestAccepted("dead_man", 3))
    assert dedicated.step.pipeline.quoting


def test_refusal_to_disarm_during_maintenance_is_no_incident(dedicated: World) -> None:
    dedicated.feed(StatusChanged(SystemMode.MAINTENANCE, "maintenance"))
    dedicated.step.dead_man_sent(False, START)
    refusal = RequestRefused("dead_man", 2, "EService:Unavailable", "mode", False)
    assert not any(isinstance(one, Alert) for one in dedicated.feed(refusal))


def test_dead_watchdog_withdraws_the_quotes() -> None:
    world = quoting(StepConfig(watchdog=True))
    assert world.table.live_count > 0
    world.step.watchdog_seen(False, START)
    assert not world.step.pipeline.quoting
    assert any(b"cancel" in message for message in world.transport.take())
    world.step.watchdog_seen(True, START + 1)
    assert world.step.pipeline.quoting
