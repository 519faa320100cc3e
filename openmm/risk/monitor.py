"""Watch what no single order shows: drawdown, inventory, fills per minute; hold the risk state.

The state is the strongest of what asks for it: an operator's pause, an inventory breach (REDUCING),
a halt (latched). The monitor only decides; `engine/step.py` acts on what it returns.
"""

from __future__ import annotations

from collections import deque
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from openmm._fast.checks import RiskState
from openmm.errors import RiskError

MINUTE_NS = 60_000_000_000


class MonitorLimits(Struct, frozen=True):
    """Limits of a session. None switches a check off; zero does not.

    Shares are ppm of equity, quantities lots of the traded instrument.
    """

    drawdown_ppm_max: int | None = None  # from session start
    drawdown_peak_ppm_max: int | None = None  # from the running peak
    inventory_lots_max: int | None = None  # |base held - target|
    cooldown_ns: int | None = None  # leave HALTED by itself after this; None: by hand only


class RiskChanged(Struct, frozen=True):
    """The risk state moved, and why."""

    before: RiskState
    after: RiskState
    reason: str  # drawdown, drawdown_peak, inventory, operator, cooldown, ...
    detail: str
    limit: int | None = None
    seen: int | None = None


@final
class RiskMonitor:
    """Hold the risk state of one bot."""

    def __init__(self, limits: MonitorLimits) -> None:
        self._limits = limits
        self._halted_ns: int | None = None
        self._halt_reason = ""
        self._by_hand = False  # something beside the drawdown asked for the halt: no cooldown
        self._paused = False
        self._reducing = False
        self._fills: deque[int] = deque()
        self._start: int | None = None
        self._peak: int | None = None
        self._equity: int | None = None

    @property
    def state(self) -> RiskState:
        """The state that rules now."""
        if self._halted_ns is not None:
            return RiskState.HALTED
        if self._paused:
            return RiskState.PAUSED
        if self._reducing:
            return RiskState.REDUCING
        return RiskState.RUNNING

    @property
    def halt_reason(self) -> str:
        """Why it is halted, empty when it is not."""
        return self._halt_reason

    @property
    def equity_start(self) -> int | None:
        """Equity at session start (or after the last resume), in ticklots; None until known."""
        return self._start

    @property
    def drawdown_ppm(self) -> int | None:
        """Loss from session start, ppm of the starting equity; None until both are known."""
        return _loss_ppm(self._start, self._equity)

    @property
    def drawdown_peak_ppm(self) -> int | None:
        """Loss from the running peak, ppm of that peak."""
        return _loss_ppm(self._peak, self._equity)

    @property
    def drawdown_breached(self) -> bool:
        """Whether a drawdown limit is passed now."""
        return self._drawdown() is not None

    def fills_last_minute(self, now_ns: int) -> int:
        """Count the fills of the last 60 seconds."""
        while self._fills and self._fills[0] <= now_ns - MINUTE_NS:
            self._fills.popleft()
        return len(self._fills)

    def on_fill(self, now_ns: int) -> None:
        """Count one fill."""
        self._fills.append(now_ns)

    def on_transfer(self, ticklots: int) -> None:
        """Move start and peak by a deposit (positive) or withdrawal, so that it is no P&L."""
        if self._start is not None:
            self._start += ticklots
        if self._peak is not None:
            self._peak += ticklots
        if self._equity is not None:
            self._equity += ticklots

    def on_mark(self, equity_ticklots: int, q_lots: int, now_ns: int) -> list[RiskChanged]:
        """Look at equity and inventory; returns the changes of state that follow."""
        self._equity = equity_ticklots
        if self._start is None:
            self._start = equity_ticklots
        self._peak = equity_ticklots if self._peak is None else max(self._peak, equity_ticklots)
        changes: list[RiskChanged] = []
        breach = self._drawdown()
        if breach is not None and self._halted_ns is None:
            reason, limit, seen = breach
            detail = f"loss of {seen / 10_000:.4f}% passes the limit of {limit / 10_000:.4f}%"
            changes.append(self._halt(reason, detail, now_ns, limit, seen))
        limit_lots = self._limits.inventory_lots_max
        if limit_lots is not None:
            over = abs(q_lots) > limit_lots
            # Hysteresis: reduce until half the limit, or one fill would start it again.
            back = 2 * abs(q_lots) <= limit_lots
            if over and not self._reducing:
                changes.append(self._reduce(True, limit_lots, q_lots))
            elif self._reducing and back:
                changes.append(self._reduce(False, limit_lots, q_lots))
        return changes

    def on_time(self, now_ns: int) -> list[RiskChanged]:
        """Let a configured cooldown end a halt."""
        cooldown_ns = self._limits.cooldown_ns
        if (
            cooldown_ns is None
            or self._halted_ns is None
            or now_ns - self._halted_ns < cooldown_ns
            or self._halt_reason not in ("drawdown", "drawdown_peak")
            or self._by_hand
        ):
            return []
        paused = self._paused
        change = self._resume("cooldown", f"after {cooldown_ns / 1e9:g} s")
        # An operator's pause ends by an operator's word only.
        self._paused = paused
        return [replace(change, after=self.state)]

    def halt(self, reason: str, detail: str, now_ns: int) -> list[RiskChanged]:
        """Latch HALTED; a second halt keeps the first reason, but no cooldown ends it any more."""
        self._by_hand = True
        if self._halted_ns is not None:
            return []
        return [self._halt(reason, detail, now_ns, None, None)]

    def pause(self, who: str) -> list[RiskChanged]:
        """Quote nothing until resumed."""
        before = self.state
        self._paused = True
        return [RiskChanged(before, self.state, "operator", f"paused by {who}")]

    def resume(self, who: str) -> list[RiskChanged]:
        """Leave PAUSED or HALTED; a loss that halted is taken as the new starting point.

        Raises:
            RiskError: nothing to resume from.
        """
        if self._halted_ns is None and not self._paused:
            raise RiskError(f"the bot is neither paused nor halted but {self.state.name}")
        return [self._resume("operator", f"resumed by {who}")]

    def _resume(self, reason: str, detail: str) -> RiskChanged:
        before = self.state
        if self._halt_reason in ("drawdown", "drawdown_peak"):
            # The drawdown that halted it would halt it again at the next mark. After any other
            # halt or pause the loss still counts.
            self._start = self._equity
            self._peak = self._equity
        self._halted_ns = None
        self._halt_reason = ""
        self._by_hand = False
        self._paused = False
        return RiskChanged(before, self.state, reason, detail)

    def _halt(
        self, reason: str, detail: str, now_ns: int, limit: int | None, seen: int | None
    ) -> RiskChanged:
        before = self.state
        self._halted_ns = now_ns
        self._halt_reason = reason
        return RiskChanged(before, RiskState.HALTED, reason, detail, limit, seen)

    def _reduce(self, on: bool, limit: int, seen: int) -> RiskChanged:
        before = self.state
        self._reducing = on
        detail = f"inventory {seen:+d} lots off target, limit {limit}"
        return RiskChanged(before, self.state, "inventory", detail, limit, seen)

    def _drawdown(self) -> tuple[str, int, int] | None:
        for reason, limit, seen in (
            ("drawdown", self._limits.drawdown_ppm_max, self.drawdown_ppm),
            ("drawdown_peak", self._limits.drawdown_peak_ppm_max, self.drawdown_peak_ppm),
        ):
            if limit is not None and seen is not None and seen > limit:
                return reason, limit, seen
        return None


def _loss_ppm(base: int | None, equity: int | None) -> int | None:
    if base is None or equity is None or base <= 0:
        return None
    return max(0, (base - equity) * 1_000_000 // base)
