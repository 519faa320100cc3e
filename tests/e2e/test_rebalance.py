"""Inventory brought back by taking at a simulated venue: bounds, doubt, thin books, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from openmm import journal
from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import Lane, OrderState
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.engine.commands import Set, Status, Tighten
from openmm.engine.replay import replay
from openmm.sim.faults import FaultScript, parse_script
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual

TAKE = {
    "rebalance": "take", "rebalance_threshold": "10%", "rebalance_exit": "5%",
    "rebalance_slippage": "20bps", "rebalance_cost_max": "40bps", "rebalance_wait": "500ms",
}  # fmt: skip
BTC = Decimal(1)


def begun(
    folder: Path, strategy: Mapping[str, Any], *, usd: int = 30_000,
    faults: FaultScript | None = None, **risk: Any,
) -> VirtualBot:  # fmt: skip
    """A bot that holds a sixth more of base than its target, or `usd` has it; it has started."""
    bot = VirtualBot(
        virtual.config({**TAKE, **strategy}, **{"max_order_size": "0.05", **risk}),
        SimOptions(
            seed=3, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
            jitter_ns=500_000, balances={"BTC": BTC, "USD": Decimal(usd)}, faults=faults,
        ),
        folder,
    )  # fmt: skip
    bot.start()
    return bot


def away(bot: VirtualBot) -> int:
    told = bot.step.rebalancer.away_ppm
    assert told is not None
    return told


def until(bot: VirtualBot, good: Callable[[], bool], seconds: float = 30.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if good():
            return
        bot.run(0.05)
    pytest.fail("it did not come to that in time")


def taken(bot: VirtualBot) -> list[tuple[int, journal.ActionRecord]]:
    """The orders of a stopped bot that were to take, with their moments."""
    told = [
        (one.ts_ns, journal.read_intent(one.payload).action)
        for one in bot.records
        if one.kind == Record.REC_INTENT
    ]
    return [
        (ts_ns, one)
        for ts_ns, one in told
        if one.kind == ActionKind.ACTION_PLACE and one.why == ActionWhy.WHY_REBALANCE
    ]


def assert_replays(bot: VirtualBot) -> None:
    found = replay(bot.records)
    assert found.difference is None
    assert (found.records, found.ended) == (len(bot.records), True)
    assert found.orders == sum(one.kind == Record.REC_ORDER_BYTES for one in bot.records) > 3


@pytest.mark.parametrize(("usd", "side"), [(30_000, Side.SELL), (130_000, Side.BUY)])
def test_inventory_comes_within_the_exit_in_parts_and_the_ladder_resumes(
    tmp_path: Path, usd: int, side: Side
) -> None:
    bot = begun(tmp_path, {}, usd=usd, max_inventory="0.6")
    before, pipeline = away(bot), bot.tables.pipeline
    assert abs(before) > 100_000
    until(bot, lambda: bot.step.rebalancer.active)
    seen: set[int] = set()
    for _ in range(400):
        if not bot.step.rebalancer.active:
            break
        bot.run(0.05)
        seen |= {one.level for one in pipeline.table.live() if one.level != Lane.LANE_FLATTEN}
    assert abs(away(bot)) < 50_000
    # It took what there was to take and no more, and both sides are quoted again.
    assert away(bot) * before > 0
    until(bot, lambda: {one.side for one in pipeline.table.live()} == {Side.BUY, Side.SELL})
    assert bot.stop() == 0
    assert bot.differences() == {}
    orders = taken(bot)
    lots = bot.tables.instrument.exact_lots(Decimal("0.05"))
    assert len(orders) >= 3
    assert {one.side for _, one in orders} == {side}
    assert max(one.qty_lots for _, one in orders) <= lots
    times = [ts_ns for ts_ns, _ in orders]
    assert all(b - a >= 500_000_000 for a, b in pairwise(times))
    # None but what was resting before was live beside them.
    places = [
        (one.ts_ns, journal.read_intent(one.payload).action)
        for one in bot.records
        if one.kind == Record.REC_INTENT
    ]
    between = [
        one for ts_ns, one in places
        if times[0] <= ts_ns <= times[-1] and one.kind == ActionKind.ACTION_PLACE
    ]  # fmt: skip
    assert {one.why for one in between} == {ActionWhy.WHY_REBALANCE}
    assert_replays(bot)


def test_every_order_is_within_the_slippage_bound_of_the_reference(tmp_path: Path) -> None:
    prices: dict[str, list[Decimal]] = {}
    for bound in ("20bps", "10bps"):
        bot = begun(tmp_path / bound, {"rebalance_slippage": bound})
        bot.run(4)
        uticks = bot.tables.pipeline.reference.price_uticks
        assert uticks is not None
        bot.stop()
        orders = taken(bot)
        assert orders
        reference = Decimal(uticks) / 1_000_000
        prices[bound] = [1 - one.price_ticks / reference for _, one in orders]
    # The reference moves a little within a session.
    assert all(Decimal("0.0015") < one < Decimal("0.0025") for one in prices["20bps"])
    assert all(Decimal("0.0005") < one < Decimal("0.0015") for one in prices["10bps"])


def test_passive_quotes_one_side_and_takes_nothing(tmp_path: Path) -> None:
    bot = begun(tmp_path, {"rebalance": "passive", "order_amount": "0.001"})
    bot.run(3)
    assert away(bot) > 100_000
    bot.stop()
    placed = [journal.read_intent(one.payload).action for one in bot.records
              if one.kind == Record.REC_INTENT]  # fmt: skip
    assert {one.side for one in placed} == {Side.SELL}
    assert taken(bot) == []


def test_cost_bound_keeps_it_from_acting_and_says_why(tmp_path: Path) -> None:
    # The taker fee is 10 bps: nothing is to be had within 5.
    bot = begun(tmp_path, {"rebalance_cost_max": "5bps", "order_amount": "0.001"})
    bot.run(3)
    rebalancer, incidents = bot.step.rebalancer, bot.step.incident_count
    assert not rebalancer.active
    assert "with a fee of 10bps, at most 5bps" in rebalancer.why
    assert rebalancer.why in bot.step.last_incident
    told = bot.command(Status())["rebalancing"]
    assert told["why"] == rebalancer.why
    assert Decimal(told["left"]) > Decimal("0.1")
    # Meanwhile the ladder brings it back on its own, and it is told once.
    bot.run(12)
    assert away(bot) > 50_000
    assert {one.side for one in bot.tables.pipeline.table.live()} <= {Side.SELL}
    assert bot.step.incident_count == incidents
    # A live change of the bound lets it act.
    bot.command(Set(orjson.dumps({"strategy.rebalance_cost_max": "40bps"}).decode()))
    until(bot, lambda: abs(away(bot)) < 50_000)
    assert rebalancer.why == ""
    assert bot.stop() == 0
    assert taken(bot)
    assert_replays(bot)


def test_passed_limit_cancels_all_takes_inventory_back_and_resumes(tmp_path: Path) -> None:
    told = {"target_base": "60%", "rebalance_threshold": "30%", "tolerance": "0.5bps"}
    bot = begun(tmp_path, told)
    bot.run(0.5)
    table, before = bot.tables.pipeline.table, bot.tables.pipeline.inventory.q_lots
    assert not bot.step.rebalancer.active
    assert before is not None
    limit = before - 1_000_000
    bot.command(Tighten(max_inventory=f"{bot.tables.instrument.qty(limit):f}"))
    assert bot.tables.monitor.state is RiskState.REDUCING
    until(bot, lambda: bot.step.rebalancer.active)
    assert not [one for one in table.live() if one.state is OrderState.OPEN]
    until(bot, lambda: bot.tables.monitor.state is RiskState.RUNNING)
    after = bot.tables.pipeline.inventory.q_lots
    assert after is not None
    assert 2 * abs(after) <= limit
    until(bot, lambda: {one.side for one in table.live()} == {Side.BUY, Side.SELL})
    assert bot.stop() == 0
    assert taken(bot)
    assert bot.differences() == {}


def test_order_that_a_check_refuses_is_told_and_left_to_the_ladder(tmp_path: Path) -> None:
    bot = begun(tmp_path, {})
    bot.tables.pipeline.checks.tighten(order_ticklots_max=1)
    bot.run(2)
    assert not bot.step.rebalancer.active
    refused = bot.tables.pipeline.checks.refusals()
    assert refused.keys() & {Reason.NOTIONAL_MAX, Reason.ORDER_SIZE_MIN}
    assert "refused by" in bot.step.rebalancer.why
    assert bot.step.rebalancer.why in bot.step.last_incident
    bot.stop()
    assert taken(bot) == []


def test_nothing_is_placed_while_an_order_is_unanswered(tmp_path: Path) -> None:
    # The ladder goes out as a batch: the first order of its own is the one that takes.
    lost = parse_script({"seed": 1, "fault": [{"kind": "lost", "on": "add"}]})
    bot = begun(tmp_path, {}, faults=lost)
    table = bot.tables.pipeline.table
    until(bot, lambda: any(one.level == Lane.LANE_FLATTEN for one in table.live()))
    (first,) = table.live()
    unknown = 0
    while (order := table.get(first.seq)) is not None and order.state < OrderState.FILLED:
        assert [one.seq for one in table.live()] == [first.seq]
        assert table.totals().sell_lots == first.qty_lots
        unknown += order.state is OrderState.UNKNOWN
        bot.run(0.05)
        assert bot.now_ns - first.created_ns < 30 * 10**9
    assert unknown
    assert order is None or order.filled_lots == 0
    until(bot, lambda: abs(away(bot)) < 50_000)
    assert bot.stop() == 0
    assert bot.differences() == {}
    assert_replays(bot)


def test_thin_book_is_taken_from_part_by_part(tmp_path: Path) -> None:
    # So near the reference there is less than an order asks for.
    bot = begun(
        tmp_path, {"rebalance_slippage": "0.3bps"}, max_order_size="0.2", max_inventory="0.6"
    )
    until(bot, lambda: bot.step.counters.fills > 3, 60)
    bot.run(1)
    orders = [one for one in bot.tables.pipeline.table.ended() if one.level == Lane.LANE_FLATTEN]
    assert [one for one in orders if 0 < one.filled_lots < one.qty_lots]
    assert all(one.state in (OrderState.CANCELLED, OrderState.FILLED) for one in orders)
    bot.stop()
    assert bot.differences() == {}
