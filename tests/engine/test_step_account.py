"""Two bots on one account by mistake: what the order ids and the account's kind tell."""

from __future__ import annotations

import pytest

from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderState
from openmm.engine.step import Alert, CancelStray, StepConfig
from openmm.events import OrderStatus, OrderUpdated, Source
from tests.engine.world import SECOND, START, World, quoting


def other(client_id: str, venue_order_id: str = "X1") -> OrderUpdated:
    return OrderUpdated(venue_order_id, client_id, OrderStatus.OPEN, Source.STREAM, START)


@pytest.fixture(params=[60 * SECOND, None], ids=["dedicated", "shared"])
def world(request: pytest.FixtureRequest) -> World:
    """A quoting bot whose ladder is acknowledged."""
    return quoting(StepConfig(dead_man_ns=request.param))


def test_engine_of_this_bot_that_began_later_makes_this_one_stop(world: World) -> None:
    out = world.feed(other("new-1"))
    assert world.risk() is RiskState.HALTED
    assert world.step.monitor.halt_reason == "account"
    assert all(one.state is OrderState.PENDING_CANCEL for one in world.table.live())
    assert not [one for one in out if isinstance(one, CancelStray)], "the other's is not touched"


def test_order_of_an_earlier_session_is_cancelled_and_no_reason_to_stop(world: World) -> None:
    out = world.feed(other("old-1"))
    assert [one for one in out if isinstance(one, CancelStray)] == [CancelStray(("X1",))]
    assert world.risk() is RiskState.RUNNING


def test_order_of_another_is_told_once_where_the_account_should_be_ours_alone(
    world: World,
) -> None:
    out = [*world.feed(other("abc")), *world.feed(other("", "X2")), *world.feed(other("abc"))]
    told = [one for one in out if isinstance(one, Alert) and one.severity == "critical"]
    assert len(told) == (1 if world.step.config.dead_man_ns is not None else 0)
    assert set(world.step.foreign) == {"X1", "X2"}
    assert world.risk() is RiskState.RUNNING
    assert not [one for one in out if isinstance(one, CancelStray)]
