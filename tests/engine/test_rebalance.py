"""The machine that takes inventory back: when it begins and ends, what it sends, what keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from openmm import journal
from openmm._fast.checks import Reason
from openmm._fast.orders import Lane, OrderEvent, OrderState, OrderView
from openmm._fast.planner import ActionWhy
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.engine.hand import REBALANCE, ByHand
from openmm.engine.rebalance import AGAIN_NS, Rebalancer, RebalanceTerms
from openmm.risk.monitor import MonitorLimits, RiskMonitor
from openmm.testing.canonical import CanonicalBot
from tests._fast.test_pipeline import records
from tests._fast.test_pipeline_bounds import MID, bot_with, look

SECOND = 1_000_000_000
MS = 1_000_000
NOW = 3 * SECOND
TERMS = RebalanceTerms(
    take=True, threshold_ppm=200_000, exit_ppm=100_000, slippage_ppm=1_000, cost_ppm_max=2_000,
    fee_ppm=500, wait_ns=SECOND,
)  # fmt: skip
WHOLE = 400_000_000  # lots of base that base and quote are worth together


class Desk:
    """A bot whose share of base is so much off its half, nothing live, and its machine."""

    def __init__(self, away_ppm: int = 230_000, **terms: Any) -> None:
        self.bot: CanonicalBot = bot_with()
        self.pipeline = self.bot.pipeline
        self.table = self.pipeline.table
        self.monitor = RiskMonitor(MonitorLimits())
        self.by_hand = ByHand(self.pipeline)
        self.machine = Rebalancer(
            self.pipeline, self.by_hand, self.monitor, self.bot.instrument, replace(TERMS, **terms)
        )
        self.now_ns = NOW
        self.hold(away_ppm)
        self.pipeline.allow_bid = self.pipeline.allow_ask = False
        self.pipeline.withdraw(NOW)
        for order in self.table.live():
            self.table.event(order.seq, OrderEvent.EV_CANCELLED, NOW)

    def hold(self, away_ppm: int) -> None:
        base = WHOLE // 2 + WHOLE * away_ppm // 1_000_000
        self.pipeline.inventory.set_balances(base, (WHOLE - base) * MID)
        self.pipeline.inventory.mark(MID * 1_000_000)

    def step(self, after_ns: int = 0) -> OrderView | None:
        """A timer; the live order after it, if there is one."""
        self.now_ns += after_ns
        look(self.bot, self.now_ns, MID)
        self.machine.look(self.now_ns)
        self.machine.on_timer(self.now_ns)
        live = self.table.live()
        assert len(live) <= 1
        return live[0] if live else None

    def fill(self, order: OrderView, lots: int) -> None:
        if lots:
            self.table.fill(order.seq, order.price_ticks, lots, self.now_ns)
        if lots < order.qty_lots:
            self.table.event(order.seq, OrderEvent.EV_CANCELLED, self.now_ns)
        now = self.pipeline.inventory.q_lots
        assert now is not None
        sign = -1 if order.side == Side.SELL else 1
        self.hold((now + sign * lots) * 1_000_000 // WHOLE)


@pytest.mark.parametrize(("away_ppm", "side"), [(230_000, Side.SELL), (-230_000, Side.BUY)])
def test_orders_of_the_largest_size_bring_it_within_the_exit_with_a_wait_between(
    away_ppm: int, side: Side
) -> None:
    desk = Desk(away_ppm)
    sign = 1 if side == Side.SELL else -1
    sent = []
    for _ in range(40):
        order = desk.step(1)
        if order is None:
            break
        sent.append(order)
        assert (order.side, order.level, order.post_only) == (side, Lane.LANE_FLATTEN, False)
        # A tenth of a percent off the reference, inwards.
        assert order.price_ticks == MID - sign * 600
        assert desk.by_hand.who(order) == REBALANCE
        desk.fill(order, order.qty_lots)
        # Too soon: nothing comes before the wait is over.
        assert desk.step(SECOND - 1) is None
    # From 92,000,000 lots off to within 40,000,000, at most 10,000,000 an order.
    assert [one.qty_lots for one in sent] == [10_000_000] * 6
    assert not desk.machine.active
    assert abs(desk.machine.away_ppm or 0) == 80_000
    intents = [journal.read_intent(one).action for one in records(desk.bot, Record.REC_INTENT)]
    whys = {one.why for one in intents if one.level == Lane.LANE_FLATTEN}
    assert whys == {ActionWhy.WHY_REBALANCE}


def test_last_order_aims_a_quarter_inside_of_the_exit() -> None:
    desk = Desk(205_000, exit_ppm=190_000)
    order = desk.step()
    assert order is not None
    # 82,000,000 off to three quarters of 76,000,000; an order is 10,000,000 at most.
    assert (desk.machine.left_lots, order.qty_lots) == (25_000_000, 10_000_000)
    desk = Desk(205_000, exit_ppm=199_000, threshold_ppm=200_000)
    desk.pipeline.checks.tighten(order_lots_max=1_000_000)
    order = desk.step()
    assert order is not None
    assert order.qty_lots == 1_000_000


@pytest.mark.parametrize(
    ("away_ppm", "terms", "begins"),
    [
        (200_000, {}, False), (200_001, {}, True), (-200_001, {}, True),
        (230_000, {"take": False}, False), (230_000, {"threshold_ppm": 240_000}, False),
    ],
)  # fmt: skip
def test_it_begins_beyond_the_threshold_alone(
    away_ppm: int, terms: dict[str, Any], begins: bool
) -> None:
    desk = Desk(away_ppm, **terms)
    assert (desk.step() is not None, desk.machine.active) == (begins, begins)


def test_once_begun_it_goes_on_below_the_threshold_to_the_exit() -> None:
    desk = Desk()
    assert desk.step() is not None
    (order,) = desk.table.live()
    desk.fill(order, 0)
    desk.hold(150_000)
    assert desk.step(SECOND) is not None
    desk.fill(desk.table.live()[0], 0)
    desk.hold(99_999)
    assert desk.step(SECOND) is None
    desk.hold(150_000)
    assert desk.step(SECOND) is None


def test_nothing_is_sent_while_an_order_is_in_doubt_or_another_is_live() -> None:
    desk = Desk()
    order = desk.step()
    assert order is not None
    desk.table.event(order.seq, OrderEvent.EV_TIMEOUT, desk.now_ns)
    for _ in range(5):
        unknown = desk.step(SECOND)
        assert unknown is not None
        assert (unknown.seq, unknown.state) == (order.seq, OrderState.UNKNOWN)
        assert desk.table.totals().sell_lots == order.qty_lots
    desk.table.event(order.seq, OrderEvent.EV_PROVEN_GONE, desk.now_ns)
    after = desk.step(SECOND)
    assert after is not None
    assert after.seq != order.seq


def test_order_that_rests_where_it_should_have_ended_is_cancelled() -> None:
    desk = Desk()
    order = desk.step()
    assert order is not None
    desk.table.event(order.seq, OrderEvent.EV_ACKED, desk.now_ns)
    desk.step(2 * SECOND)
    desk.step(SECOND)
    after = desk.table.get(order.seq)
    assert after is not None
    assert after.state is OrderState.PENDING_CANCEL


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        # The best price is a tick, 0.02 bps, off.
        ({"slippage_ppm": 1}, "the best price is 0.02bps off, at most 0.01bps"),
        ({"cost_ppm_max": 501}, "taking costs 5.02bps with a fee of 5bps, at most 5.01bps"),
        ({"fee_ppm": 3_000}, "taking costs 30.02bps with a fee of 30bps, at most 20bps"),
    ],
)
def test_what_is_too_dear_is_not_taken_and_told_once(terms: dict[str, Any], why: str) -> None:
    desk = Desk(**terms)
    assert desk.step() is None
    assert not desk.machine.active
    assert desk.machine.why == why
    assert desk.machine.take_news() == why
    for _ in range(3):
        assert desk.step(AGAIN_NS) is None
        assert desk.machine.take_news() == ""
    desk.machine.terms = TERMS
    assert desk.step(AGAIN_NS) is not None
    assert desk.machine.why == ""


def test_refusal_of_a_check_is_told_and_tried_again_later() -> None:
    desk = Desk()
    desk.pipeline.set_inputs(drawdown_breached=True)
    assert desk.step() is None
    assert desk.machine.why.startswith("refused by drawdown")
    assert desk.pipeline.checks.refusals()[Reason.DRAWDOWN] > 0
    desk.pipeline.set_inputs(drawdown_breached=False)
    assert desk.step(AGAIN_NS - 1) is None
    assert not desk.machine.active
    assert desk.step(1) is not None


def test_message_budget_is_waited_for_with_nothing_quoted() -> None:
    desk = Desk()
    budget = desk.pipeline.checks.budget
    budget.set_threshold(1_000, 1)  # one flows back each second
    budget.exhaust(desk.now_ns)
    assert desk.step() is None
    assert desk.machine.active
    assert desk.machine.take_news().startswith("refused by rate_budget")
    assert desk.step(SECOND - 1) is None
    assert desk.machine.active
    assert desk.step(1) is not None
    assert desk.machine.why == ""


def test_position_limit_is_brought_back_to_half_of_it() -> None:
    desk = Desk(50_000)
    assert desk.step() is None
    desk.monitor.tighten(MonitorLimits(inventory_lots_max=16_000_000))
    desk.monitor.on_mark(1, 20_000_000, desk.now_ns)
    order = desk.step(SECOND)
    assert order is not None
    # From 20,000,000 off to half the limit, though that is within the exit.
    assert desk.machine.left_lots == 12_000_000
    assert order.qty_lots == 10_000_000


@pytest.mark.parametrize("stops", ["pause", "halt", "flatten", "no quotes"])
def test_whatever_stops_quotes_stops_it(stops: str) -> None:
    desk = Desk()
    order = desk.step()
    assert order is not None
    desk.fill(order, 0)
    if stops == "pause":
        desk.monitor.pause("test")
    elif stops == "halt":
        desk.monitor.halt("operator", "test", desk.now_ns)
    elif stops == "flatten":
        desk.monitor.flatten("test")
    else:
        desk.pipeline.quoting = False
    assert desk.step(SECOND) is None
    assert not desk.machine.active


def test_nothing_is_taken_while_the_market_has_just_jumped() -> None:
    desk = Desk()
    # A ladder first: a jump is one past half its spread.
    desk.pipeline.allow_bid = desk.pipeline.allow_ask = True
    look(desk.bot, NOW, MID + 20)
    assert desk.pipeline.ladder_parts()["half_base_uticks"] > 0
    desk.now_ns = NOW + 250 * MS
    look(desk.bot, desk.now_ns, MID + 400)
    assert desk.pipeline.jumped(desk.now_ns)
    desk.machine.look(desk.now_ns)
    assert not desk.machine.active
    assert desk.machine.take_news() == "the market has just jumped"
    later = desk.now_ns + AGAIN_NS
    look(desk.bot, later, MID + 401)
    assert not desk.pipeline.jumped(later)
    desk.machine.look(later)
    assert desk.machine.active
