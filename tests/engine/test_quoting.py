"""What the risk state leaves of quoting, put to a pipeline that trades."""

from __future__ import annotations

import pytest

from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.units import Side
from openmm.engine.hand import ByHand
from openmm.engine.quoting import Quoting
from openmm.engine.rebalance import Rebalancer, RebalanceTerms
from openmm.risk.monitor import MonitorLimits, RiskMonitor
from tests._fast.test_pipeline_bounds import MID, bot_with, look

SECOND = 1_000_000_000
NOW = 3 * SECOND
MOST = 40_000_000  # lots off target
WHOLE = 400_000_000  # lots of base that base and quote are worth together


class Desk:
    """A bot whose ladder rests, its monitor, and what puts the one to the other."""

    def __init__(self, limits: MonitorLimits | None = None, *, take: bool = False) -> None:
        self.bot = bot_with()
        self.pipeline = self.bot.pipeline
        self.monitor = RiskMonitor(limits or MonitorLimits(inventory_lots_max=MOST))
        terms = RebalanceTerms(
            take=take, threshold_ppm=200_000, exit_ppm=100_000, slippage_ppm=1_000,
            cost_ppm_max=2_000, fee_ppm=500, wait_ns=SECOND,
        )  # fmt: skip
        self.rebalancer = Rebalancer(
            self.pipeline, ByHand(self.pipeline), self.monitor, self.bot.instrument, terms
        )
        self.quoting = Quoting(self.pipeline, self.monitor, self.rebalancer)
        self.hold(0)
        self.mark()
        self.quoting.gate(NOW, open_=True)

    def hold(self, off_lots: int) -> None:
        base = WHOLE // 2 + off_lots
        self.pipeline.inventory.set_balances(base, (WHOLE - base) * MID)

    def mark(self, *, open_: bool = True, peak_ticklots: int | None = None) -> list[str]:
        changes = self.quoting.mark(NOW, peak_ticklots)
        for change in changes:
            self.quoting.follow(change, NOW, open_=open_)
        return [change.reason for change in changes]

    @property
    def sides(self) -> tuple[bool, bool, bool]:
        """Whether it quotes, bids, asks."""
        pipeline = self.pipeline
        return pipeline.quoting, pipeline.allow_bid, pipeline.allow_ask

    @property
    def resting(self) -> set[Side]:
        """The sides on which an order rests, or will, that is not being cancelled."""
        live = self.pipeline.table.live()
        return {Side(one.side) for one in live if one.state is not OrderState.PENDING_CANCEL}

    def cancelled(self) -> None:
        """The venue did what it was asked."""
        for order in self.pipeline.table.live():
            self.pipeline.table.event(order.seq, OrderEvent.EV_CANCELLED, NOW)


def test_both_sides_while_it_runs() -> None:
    desk = Desk()
    assert desk.sides == (True, True, True)
    assert desk.resting == {Side.BUY, Side.SELL}


@pytest.mark.parametrize(("sign", "left"), [(1, Side.SELL), (-1, Side.BUY)])
def test_beyond_the_limit_all_is_withdrawn_and_the_reducing_side_alone_comes_back(
    sign: int, left: Side
) -> None:
    desk = Desk()
    desk.hold(sign * (MOST + 1))
    assert desk.mark() == ["inventory"]
    assert desk.monitor.state is RiskState.REDUCING
    assert desk.pipeline.risk_state is RiskState.REDUCING
    assert desk.sides == (True, left == Side.BUY, left == Side.SELL)
    assert not desk.resting
    desk.cancelled()
    look(desk.bot, NOW + SECOND, MID + 1)
    assert desk.resting == {left}
    # On the other side of the target meanwhile: what reduces is the other side, no move needed.
    desk.hold(-sign * MOST * 3 // 4)
    assert desk.mark() == []
    assert desk.sides == (True, left != Side.BUY, left != Side.SELL)
    desk.hold(MOST // 4)
    assert desk.mark() == ["inventory"]
    assert desk.sides == (True, True, True)


def test_a_halt_withdraws_whatever_else_is_open() -> None:
    desk = Desk(MonitorLimits(drawdown_ppm_max=10_000))
    base = WHOLE // 2
    desk.pipeline.inventory.set_balances(base, base * MID * 97 // 100)
    assert desk.mark() == ["drawdown"]
    assert not desk.pipeline.quoting
    assert desk.pipeline.risk_state is RiskState.HALTED
    assert not desk.resting
    desk.quoting.gate(NOW, open_=True)
    assert not desk.pipeline.quoting


def test_a_height_between_two_looks_counts_as_the_peak() -> None:
    limits = MonitorLimits(drawdown_peak_ppm_max=10_000)
    whole = WHOLE * MID
    assert Desk(limits).mark(peak_ticklots=whole * 102 // 100) == ["drawdown_peak"]
    assert Desk(limits).mark(peak_ticklots=whole) == []
    # Without that limit no height is looked at.
    assert Desk(MonitorLimits(drawdown_ppm_max=1)).mark(peak_ticklots=whole * 2) == []


def test_not_open_withdraws_and_open_again_quotes() -> None:
    desk = Desk()
    desk.quoting.gate(NOW, open_=False)
    assert not desk.pipeline.quoting
    assert desk.pipeline.risk_state is RiskState.RUNNING
    assert not desk.resting
    desk.hold(MOST + 1)
    assert desk.mark(open_=False) == ["inventory"]
    assert not desk.pipeline.quoting
    desk.cancelled()
    look(desk.bot, NOW + SECOND, MID + 1)
    assert not desk.resting
    desk.quoting.gate(NOW + SECOND, open_=True)
    assert desk.sides == (True, False, True)
    assert desk.resting == {Side.SELL}


def test_no_side_while_inventory_is_taken_back_and_both_after() -> None:
    desk = Desk(MonitorLimits(), take=True)
    desk.hold(92_000_000)
    assert desk.mark() == []
    assert desk.sides == (True, True, True)
    assert desk.quoting.rebalance(NOW) == ""
    assert desk.rebalancer.active
    assert desk.sides == (True, False, False)
    assert not desk.resting
    desk.cancelled()
    desk.hold(0)
    desk.mark()
    desk.quoting.rebalance(NOW + SECOND)
    assert desk.sides == (True, True, True)


def test_no_side_while_flattening() -> None:
    desk = Desk()
    desk.hold(MOST // 2)
    desk.mark()
    for change in desk.monitor.flatten("an operator"):
        desk.quoting.follow(change, NOW, open_=True)
    assert (desk.pipeline.allow_bid, desk.pipeline.allow_ask) == (False, False)


def test_unknown_inventory_is_not_judged() -> None:
    desk = Desk()
    desk.hold(MOST + 1)
    desk.pipeline.inventory.forget_balances()
    assert desk.mark() == []
    assert desk.monitor.state is RiskState.RUNNING
