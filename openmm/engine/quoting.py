"""What may be quoted: the risk state put to the hot path, by a session and by a backtest alike.

Equity and inventory go to the monitor; what it says decides whether the ladder stands, on which
sides, or steps aside for orders that take inventory back. Pure: a function of the tables and the
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from openmm._fast.checks import RiskState
from openmm._fast.pipeline import Pipeline
from openmm.engine.rebalance import Rebalancer
from openmm.risk.monitor import RiskChanged, RiskMonitor


@final
class Quoting:
    """Hold the pipeline to what the risk state leaves of quoting."""

    def __init__(self, pipeline: Pipeline, monitor: RiskMonitor, rebalancer: Rebalancer) -> None:
        self._pipeline = pipeline
        self._monitor = monitor
        self._rebalancer = rebalancer

    def mark(self, now_ns: int, peak_ticklots: int | None = None) -> Sequence[RiskChanged]:
        """Look at equity and inventory; return the moves of the state, each to be followed.

        Args:
            peak_ticklots: the highest equity so far, of who looks more often than this is called.
        """
        pipeline, monitor, inventory = self._pipeline, self._monitor, self._pipeline.inventory
        reference = pipeline.reference.price_uticks
        if reference is None or not inventory.known:
            return ()
        inventory.mark(reference)
        equity, q_lots = inventory.equity_ticklots, inventory.q_lots
        assert equity is not None, "a marked inventory has its equity"
        assert q_lots is not None, "a marked inventory has its position"
        changes: list[RiskChanged] = []
        if peak_ticklots is not None and monitor.limits.drawdown_peak_ppm_max is not None:
            changes += monitor.on_mark(peak_ticklots, q_lots, now_ns)
        changes += monitor.on_mark(equity, q_lots, now_ns)
        if not changes:
            pipeline.set_inputs(drawdown_breached=monitor.drawdown_breached)
            if monitor.state is RiskState.REDUCING:
                self._allow(q_lots)
        return changes

    def follow(self, change: RiskChanged, now_ns: int, *, open_: bool) -> None:
        """Quote as the state that was moved to leaves it; `open_` as `gate`."""
        if change.reason == "inventory" and change.after is RiskState.REDUCING:
            self._pipeline.withdraw(now_ns)
        self.gate(now_ns, open_=open_)

    def gate(self, now_ns: int, *, open_: bool) -> None:
        """Quote if the state lets us and all else is `open_`; withdraw if not."""
        pipeline, state = self._pipeline, self._monitor.state
        pipeline.quoting = open_ and state in (RiskState.RUNNING, RiskState.REDUCING)
        pipeline.set_inputs(risk_state=state, drawdown_breached=self._monitor.drawdown_breached)
        self._allow(pipeline.inventory.q_lots or 0)
        if pipeline.quoting:
            pipeline.requote(now_ns)
        else:
            pipeline.withdraw(now_ns)

    def rebalance(self, now_ns: int) -> str:
        """Bring inventory back by taking, if it is to be; the ladder steps aside meanwhile.

        Returns:
            What keeps it from that, told once; empty: nothing new.
        """
        rebalancer, before = self._rebalancer, self._rebalancer.active
        rebalancer.look(now_ns)
        rebalancer.on_timer(now_ns)
        if rebalancer.active != before:
            self._allow(self._pipeline.inventory.q_lots or 0)
        why = rebalancer.take_news()
        return f"inventory is not brought back by taking: {why}" if why else ""

    def _allow(self, q_lots: int) -> None:
        """Let the strategy quote the sides that the risk state leaves; none while taking."""
        reducing = self._monitor.state is RiskState.REDUCING
        free = not self._monitor.flattening and not self._rebalancer.active
        self._pipeline.allow_bid = free and (not reducing or q_lots < 0)
        self._pipeline.allow_ask = free and (not reducing or q_lots > 0)
