"""The risk layer beside a run over columns: the monitor that trades, asked where it may act.

A session's slow path looks at equity and inventory twenty times a second. Here the kernel does the
same sums, and asks only where a limit may be passed; what follows is the monitor's, put to the hot
path by `engine/quoting.py` as in a session. Taking inventory back is there too, as configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, final

from msgspec import Struct

from openmm import config as conf
from openmm._fast.checks import RiskState
from openmm.config import BotConfig
from openmm.engine.hand import ByHand
from openmm.engine.quoting import Quoting
from openmm.engine.rebalance import Rebalancer, RebalanceTerms
from openmm.engine.wiring import Tables
from openmm.risk.monitor import RiskChanged

PPM: Final = 1_000_000
NEVER: Final = (1 << 63) - 1
KEPT_MAX: Final = 1000


class Bounds(Struct, frozen=True):
    """Within these the kernel has nothing to ask. Equity in ticklots, the position in lots.

    Args:
        always: ask at every timer.
        fills_most: of a minute.
        slippage_ppm: of a fill, on the losing side of the reference.
        start_ppm, peak_ppm: equity's loss, of that at the start and of its highest since, in ppm;
            negative, of the others too: not looked at.
    """

    always: bool
    start_ppm: int
    peak_ppm: int
    q_lots_most: int
    fills_most: int
    slippage_ppm: int


@final
class Guard:
    """Hold the risk state of a run.

    Attributes:
        changes: moves of the state, the first thousand.
        change_count: all of them.
        halts: when it halted and when that ended, in turn.
    """

    def __init__(self, config: BotConfig, tables: Tables) -> None:
        self._pipeline = tables.pipeline
        self._monitor = tables.monitor
        self._fresh_ns = config.risk.max_message_age_ns
        self._rebalancer = Rebalancer(
            tables.pipeline, ByHand(tables.pipeline), tables.monitor, tables.instrument,
            RebalanceTerms.of(conf.rebalance_params(config, tables.instrument)),
        )  # fmt: skip
        self._quoting = Quoting(tables.pipeline, tables.monitor, self._rebalancer)
        self.changes: list[tuple[int, RiskChanged]] = []
        self.change_count = 0
        self.halts: list[int] = []
        self.notes: list[str] = []

    @property
    def halted(self) -> bool:
        """Whether the run is halted."""
        return self._monitor.state is RiskState.HALTED

    def bounds(self) -> Bounds:
        """Say when to be asked next."""
        limits = self._monitor.limits
        calm = self._monitor.state is RiskState.RUNNING and not self._rebalancer.terms.take
        inventory = limits.inventory_lots_max
        return Bounds(
            not calm,
            -1 if limits.drawdown_ppm_max is None else limits.drawdown_ppm_max,
            -1 if limits.drawdown_peak_ppm_max is None else limits.drawdown_peak_ppm_max,
            NEVER if inventory is None else inventory,
            -1 if limits.brakes.fills_max is None else limits.brakes.fills_max,
            -1 if limits.slippage_ppm_max is None else limits.slippage_ppm_max,
        )

    def start(self, now_ns: int) -> None:
        """Let the bot run, and take its equity as the one that losses count from."""
        self._pipeline.set_inputs(risk_state=self._monitor.state, drawdown_breached=False)
        self.mark(now_ns)

    def counted(self, times_ns: Sequence[int]) -> None:
        """Count fills of before that broke no limit when they were told."""
        for now_ns in times_ns:
            self._changed(self._monitor.on_fill(now_ns), now_ns)

    def fill(self, now_ns: int, made_ns: int, side: int, price_ticks: int) -> None:
        """Take note of a fill of ours."""
        monitor = self._monitor
        braked = monitor.on_fill(now_ns)
        self._pipeline.set_inputs(fills_last_minute=monitor.fills_last_minute(now_ns))
        fresh = now_ns - made_ns <= self._fresh_ns
        reference = self._pipeline.reference.price_uticks if fresh else None
        slipped = monitor.on_fill_price(side, price_ticks, None, reference, now_ns)
        self._changed([*slipped, *braked], now_ns)

    def refused(self, now_ns: int) -> None:
        """Take note of an order that would have taken."""
        self._changed(self._monitor.on_refused(True, now_ns), now_ns)

    def timer(self, now_ns: int, peak_ticklots: int) -> None:
        """Look at everything; `peak_ticklots`: the highest equity since the start."""
        monitor, pipeline = self._monitor, self._pipeline
        self._changed(monitor.on_cancels(pipeline.cancel_count, now_ns), now_ns)
        self._changed(monitor.on_time(now_ns), now_ns)
        self.mark(now_ns, peak_ticklots)
        pipeline.set_inputs(fills_last_minute=monitor.fills_last_minute(now_ns))
        if why := self._quoting.rebalance(now_ns):
            self.notes.append(why)

    def mark(self, now_ns: int, peak_ticklots: int | None = None) -> None:
        """Look at equity and inventory."""
        self._changed(self._quoting.mark(now_ns, peak_ticklots), now_ns)

    def _changed(self, changes: Iterable[RiskChanged], now_ns: int) -> None:
        for change in changes:
            self.change_count += 1
            if len(self.changes) < KEPT_MAX:
                self.changes.append((now_ns, change))
            if (change.before is RiskState.HALTED) != (change.after is RiskState.HALTED):
                self.halts.append(now_ns)
            self._quoting.follow(change, now_ns, open_=True)
