"""The venue changes what it lists while the bot quotes it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import OrderState
from openmm.engine.step import Alert
from openmm.events import InstrumentUpdated, OrderStatus, StatusChanged, SystemMode
from tests.engine.world import World, quoting, updated


@pytest.fixture
def world() -> World:
    """A quoting bot whose ladder is acknowledged."""
    return quoting()


def tell(world: World, **changed: Any) -> list[object]:
    return world.feed(InstrumentUpdated(replace(world.step.instrument, **changed)))


def resting(world: World) -> list[int]:
    return [o.seq for o in world.table.live() if o.state is not OrderState.PENDING_CANCEL]


@pytest.mark.parametrize("status", ["cancel_only", "reduce_only", "maintenance", "", "tomorrow"])
def test_pair_not_open_for_orders_is_left_until_it_is(world: World, status: str) -> None:
    out = tell(world, status=status)
    assert [one.severity for one in out if isinstance(one, Alert)] == ["warning"]
    assert resting(world) == []
    for order in world.table.live():
        world.feed(updated(order.seq, OrderStatus.CANCELLED))
    world.step.pipeline.requote(world.now_ns)
    assert world.table.live_count == 0
    assert world.risk() is RiskState.RUNNING
    out = tell(world, status="online")
    assert [one.severity for one in out if isinstance(one, Alert)] == ["info"]
    assert world.table.live_count == 20


@pytest.mark.parametrize("status", ["post_only", "limit_only"])
def test_pair_that_takes_our_kind_of_orders_is_quoted_on(world: World, status: str) -> None:
    before = resting(world)
    tell(world, status=status)
    assert resting(world) == before
    assert tell(world, status=status) == [], "told once"


def test_pair_open_again_does_not_open_a_venue_that_is_not(world: World) -> None:
    tell(world, status="maintenance")
    world.feed(StatusChanged(SystemMode.CANCEL_ONLY, "cancel_only"))
    for order in world.table.live():
        world.feed(updated(order.seq, OrderStatus.CANCELLED))
    tell(world, status="online")
    assert world.table.live_count == 0
    world.feed(StatusChanged(SystemMode.ONLINE, "online"))
    assert world.table.live_count == 20


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "delisted"},
        {"status": "unreadable"},
        {"tick_size": Decimal("0.5")},
        {"lot_size": Decimal("0.00000010")},
        {"price_decimals": 2},
        {"qty_decimals": 9},
    ],
)
def test_pair_gone_or_of_other_steps_halts_with_everything_cancelled(
    world: World, changed: dict[str, Any]
) -> None:
    tell(world, **changed)
    assert world.risk() is RiskState.HALTED
    assert world.step.monitor.halt_reason == "instrument"
    assert resting(world) == []


def test_raised_minimum_holds_for_the_next_order(world: World) -> None:
    tell(world, qty_min=Decimal(1_000))
    assert world.risk() is RiskState.RUNNING
    world.step.pipeline.withdraw(world.now_ns)
    for order in world.table.live():
        world.feed(updated(order.seq, OrderStatus.CANCELLED))
    assert world.table.live_count == 0
    assert world.step.pipeline.checks.last_reason is Reason.ORDER_SIZE_MIN


def test_another_pair_changes_nothing(world: World) -> None:
    before = resting(world)
    assert tell(world, name="ETH/USD", status="delisted") == []
    assert resting(world) == before
