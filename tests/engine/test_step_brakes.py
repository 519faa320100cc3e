"""Brakes, slippage, inventory and closer limits, as the slow path acts on them."""

from __future__ import annotations

import pytest

from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.units import Side
from openmm.engine.step import QUERY_LAG_NS, RiskMoved
from openmm.errors import RiskError
from openmm.events import OrderStatus, RequestAccepted, RequestRefused
from openmm.risk.brakes import BrakeLimits
from openmm.risk.monitor import MonitorLimits
from tests.engine.world import SECOND, START, World, quoting, updated


@pytest.fixture
def world() -> World:
    """A quoting bot whose ladder is acknowledged."""
    return quoting()


def sides(world: World) -> set[int]:
    return {o.side for o in world.table.live() if o.state is not OrderState.PENDING_CANCEL}


def refuse_all(world: World, code: str, text: str) -> int:
    """Let the venue refuse every order that is on its way; return how many were."""
    pending = [o.seq for o in world.table.live() if o.state is OrderState.PENDING_NEW]
    for seq in pending:
        world.feed(RequestRefused("add", 0, text, code, False, client_id=str(seq)))
    return len(pending)


@pytest.mark.parametrize(
    ("code", "text", "limits"),
    [
        ("funds", "EOrder:Insufficient funds", BrakeLimits(rejects_max=5)),
        ("unknown", "EGalaxy:Out of reach", BrakeLimits(rejects_max=5)),
    ],
)
def test_venue_that_refuses_every_order_is_not_asked_in_a_loop(
    world: World, code: str, text: str, limits: BrakeLimits
) -> None:
    world.step.monitor.tighten(MonitorLimits(brakes=limits))
    world.table.event(world.seq(), OrderEvent.EV_CANCELLED, START)
    world.step.pipeline.requote(START)
    refused = 0
    for _ in range(100):
        refused += refuse_all(world, code, text)
    assert refused == (1 if code == "unknown" else 6), (
        "one more than the limit, or none after doubt"
    )
    if code != "unknown":
        assert world.risk() is RiskState.PAUSED
        assert sides(world) == set(), "what rests is withdrawn"


def test_price_refused_as_taking_is_not_asked_for_again_at_once(world: World) -> None:
    world.table.event(world.seq(), OrderEvent.EV_CANCELLED, START)
    world.step.pipeline.requote(START)
    assert refuse_all(world, "post_only", "EOrder:Post only order") == 1
    assert refuse_all(world, "post_only", "EOrder:Post only order") == 0
    assert world.step.pipeline.shut_count > 0
    assert world.risk() is RiskState.RUNNING


def test_post_only_order_cancelled_on_arrival_counts_as_refused(world: World) -> None:
    world.step.monitor.tighten(MonitorLimits(brakes=BrakeLimits(post_only_max=0)))
    seq = world.seq()
    out = world.feed(updated(seq, OrderStatus.CANCELLED, reason="Post only order"))
    (moved,) = [one for one in out if isinstance(one, RiskMoved)]
    assert (moved.change.reason, moved.change.after) == ("post_only_per_minute", RiskState.PAUSED)


def test_too_many_fills_a_minute_withdraw_the_quotes_and_come_back_later(world: World) -> None:
    world.step.monitor.tighten(MonitorLimits(brakes=BrakeLimits(fills_max=2)))
    seq = world.seq()
    for number in range(3):
        out = world.feed(world.fill(seq, f"E{number}", lots=1_000))
    assert [one.change.reason for one in out if isinstance(one, RiskMoved)] == ["fills_per_minute"]
    assert sides(world) == set()
    for order in world.table.live():
        world.feed(updated(order.seq, OrderStatus.CANCELLED))
    world.now_ns = START + 61 * SECOND
    out = list(world.step.on_timer(world.now_ns))
    assert [one.change.after for one in out if isinstance(one, RiskMoved)] == [RiskState.RUNNING]


def test_cancels_beyond_their_limit_put_the_brake_on(world: World) -> None:
    world.step.monitor.tighten(MonitorLimits(brakes=BrakeLimits(cancels_max=10)))
    world.step.on_timer(START)
    world.step.pipeline.withdraw(START)
    assert world.step.pipeline.cancel_count == 20
    out = world.step.on_timer(START + 1)
    (moved,) = [one for one in out if isinstance(one, RiskMoved)]
    assert (moved.change.reason, moved.change.seen) == ("cancels_per_minute", 20)


@pytest.mark.parametrize(("side", "worse"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_fill_worse_than_its_order_halts_and_books(world: World, side: int, worse: int) -> None:
    seq = world.seq(side)
    world.feed(world.fill(seq, "E1", price_ticks=world.order(seq).price_ticks))
    assert world.risk() is RiskState.RUNNING
    world.feed(world.fill(seq, "E2", price_ticks=world.order(seq).price_ticks + worse))
    assert world.risk() is RiskState.HALTED
    assert world.step.monitor.halt_reason == "slippage"
    assert world.step.counters.fills == 2
    assert sides(world) == set()


def test_fill_at_the_price_before_an_amend_is_no_slippage(world: World) -> None:
    world.step.pipeline.quoting = False
    seq = world.seq()
    order = world.order(seq)
    world.table.event(seq, OrderEvent.EV_AMEND_SENT, START, price_ticks=order.price_ticks - 5,
                      qty_lots=order.qty_lots)  # fmt: skip
    world.feed(RequestAccepted("amend", 0, client_id=str(seq)))
    assert world.order(seq).price_ticks == order.price_ticks - 5
    late = world.fill(seq, "E1", lots=1_000, price_ticks=order.price_ticks)
    world.feed(late)
    assert world.risk() is RiskState.RUNNING
    world.now_ns += QUERY_LAG_NS + 1
    world.feed(world.fill(seq, "E2", lots=1_000, price_ticks=order.price_ticks, ts_ns=world.now_ns))
    assert world.risk() is RiskState.HALTED


def test_fill_far_beyond_the_reference_puts_the_brake_on_unless_told_late(world: World) -> None:
    reference = (world.step.pipeline.reference.price_uticks or 0) // 1_000_000
    world.step.monitor.tighten(MonitorLimits(slippage_ppm_max=10_000))
    seq = world.seq()
    far = reference + reference // 50
    # Of an order at that price: only the reference has moved away from it.
    world.step.orders._repriced[seq] = START
    world.feed(world.fill(seq, "E1", price_ticks=far, ts_ns=START - 60 * SECOND))
    assert world.risk() is RiskState.RUNNING
    world.feed(world.fill(seq, "E2", price_ticks=far))
    assert (world.risk(), world.step.monitor.reason) == (RiskState.PAUSED, "slippage")


def test_inventory_breach_cancels_all_then_reduces_one_sided_and_resumes_by_itself(
    world: World,
) -> None:
    q_lots = world.step.pipeline.inventory.q_lots
    assert q_lots is not None
    world.step.monitor.tighten(MonitorLimits(inventory_lots_max=100_000))
    seq = world.seq(Side.BUY if q_lots >= 0 else Side.SELL)
    out = world.feed(world.fill(seq, "E1", lots=150_000))
    (moved,) = [one for one in out if isinstance(one, RiskMoved)]
    assert (moved.change.reason, moved.change.after) == ("inventory", RiskState.REDUCING)
    assert sides(world) <= {Side.SELL if q_lots >= 0 else Side.BUY}
    for order in world.table.live():
        if order.state is OrderState.PENDING_CANCEL:
            world.feed(updated(order.seq, OrderStatus.CANCELLED))
    world.step.pipeline.requote(world.now_ns)
    world.step.monitor.tighten(MonitorLimits(inventory_lots_max=10 * abs(q_lots) + 10_000_000))
    out = list(world.step.on_timer(START + SECOND))
    assert [o.change.after for o in out if isinstance(o, RiskMoved)] == [RiskState.RUNNING]


def test_closer_limits_withdraw_what_rests_and_bound_what_follows(world: World) -> None:
    most = max(order.qty_lots for order in world.table.live())
    world.step.tighten({"order_lots_max": most // 2}, world.step.monitor.limits, START)
    assert sides(world) == set()
    for order in world.table.live():
        world.feed(updated(order.seq, OrderStatus.CANCELLED))
    assert all(order.qty_lots <= most // 2 for order in world.table.live())
    with pytest.raises(RiskError, match="looser"):
        world.step.tighten({"order_lots_max": 1 << 50}, world.step.monitor.limits, START)
