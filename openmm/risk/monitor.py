"""Watch what no single order shows: drawdown, inventory, fills per minute; hold the risk state.

The state is the strongest of what asks for it: a halt (latched), an operator's pause or a brake
(PAUSED: quotes are withdrawn), an inventory breach or an operator's flatten (REDUCING). The monitor
only decides; `engine/step.py` acts on what it returns.
"""

from __future__ import annotations

from typing import final

from msgspec import Struct
from msgspec.structs import replace

from openmm._fast.checks import RiskState
from openmm.errors import RiskError
from openmm.risk.brakes import Brake, BrakeLimits, Brakes
from openmm.risk.slippage import slippage_ppm, worse_ticks


class MonitorLimits(Struct, frozen=True):
    """Limits of a session. None switches a check off; zero does not.

    Shares are ppm of equity, quantities lots of the traded instrument.
    """

    drawdown_ppm_max: int | None = None  # from session start
    drawdown_peak_ppm_max: int | None = None  # from the running peak
    inventory_lots_max: int | None = None  # |base held - target|
    cooldown_ns: int | None = None  # leave HALTED by itself after this; None: by hand only
    slippage_ppm_max: int | None = None  # of a fill, on the losing side of the reference
    brakes: BrakeLimits = BrakeLimits()


class RiskChanged(Struct, frozen=True):
    """The risk state moved, and why."""

    before: RiskState
    after: RiskState
    reason: str  # drawdown, drawdown_peak, inventory, operator, flatten, cooldown, or a `Brake`
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
        self._paused = ""  # what asked for the pause, empty when nothing did
        self._reducing = False
        self._flattening = False
        self._brakes = Brakes(limits.brakes)
        self._cancels: int | None = None  # total at the last look
        self._brake_reason = ""
        self._start: int | None = None
        self._first: int | None = None
        self._peak: int | None = None
        self._equity: int | None = None
        self.move_count = 0  # pauses, halts, flattens and their ends, halts of a halted bot too

    @property
    def state(self) -> RiskState:
        """The state that rules now."""
        if self._halted_ns is not None:
            return RiskState.HALTED
        if self._paused or self._brakes.on:
            return RiskState.PAUSED
        if self._reducing or self._flattening:
            return RiskState.REDUCING
        return RiskState.RUNNING

    @property
    def limits(self) -> MonitorLimits:
        """The limits in force."""
        return self._limits

    @property
    def reason(self) -> str:
        """Why the bot does not run freely, empty when it does."""
        if self._halt_reason:
            return self._halt_reason
        if self._paused:
            return self._paused
        if self._brake_reason:
            return self._brake_reason
        if self._flattening:
            return "flatten"
        return "inventory" if self._reducing else ""

    @property
    def flattening(self) -> bool:
        """Whether the position is being brought to its target, on an operator's word."""
        return self._flattening

    @property
    def halt_reason(self) -> str:
        """Why it is halted, empty when it is not."""
        return self._halt_reason

    @property
    def equity_start(self) -> int | None:
        """Equity at session start (or after the last resume), in ticklots; None until known."""
        return self._start

    @property
    def equity_first(self) -> int | None:
        """Equity at session start, whatever was resumed since, in ticklots; None until known."""
        return self._first

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

    def tighten(self, limits: MonitorLimits) -> None:
        """Watch by other limits from now on; who may ask for them is not decided here."""
        self._limits = limits
        self._brakes.limits = limits.brakes

    def fills_last_minute(self, now_ns: int) -> int:
        """Count the fills of the last 60 seconds."""
        return self._brakes.count(Brake.FILLS, now_ns)

    def last_minute(self, kind: Brake, now_ns: int) -> int:
        """Count what a brake watches over the last 60 seconds."""
        return self._brakes.count(kind, now_ns)

    def on_fill(self, now_ns: int) -> list[RiskChanged]:
        """Count one fill."""
        return self._count(Brake.FILLS, now_ns)

    def on_refused(self, post_only: bool, now_ns: int, count: int = 1) -> list[RiskChanged]:
        """Count requests the venue refused; `post_only`: because the order would have taken."""
        return self._count(Brake.POST_ONLY if post_only else Brake.REJECTS, now_ns, count)

    def on_cancels(self, total: int, now_ns: int) -> list[RiskChanged]:
        """Count cancels, told by how many the session has sent so far."""
        new = 0 if self._cancels is None else total - self._cancels
        self._cancels = total
        return self._count(Brake.CANCELS, now_ns, new)

    def on_fill_price(
        self, side: int, fill_ticks: int, order_ticks: int | None, reference_uticks: int | None,
        now_ns: int,
    ) -> list[RiskChanged]:  # fmt: skip
        """Judge a fill's price; None leaves that comparison out.

        A fill worse than its own limit cannot be: someone is wrong about an order, so it halts. One
        too far on the losing side of the reference puts the brake on: we quote a market that left.
        """
        if order_ticks is not None and (worse := worse_ticks(side, fill_ticks, order_ticks)):
            detail = f"fill at {fill_ticks} ticks, {worse} worse than its order's {order_ticks}"
            return self.halt("slippage", detail, now_ns)
        limit = self._limits.slippage_ppm_max
        if limit is None or reference_uticks is None or reference_uticks <= 0:
            return []
        seen = slippage_ppm(side, fill_ticks, reference_uticks)
        if seen <= limit:
            return []
        detail = f"fill {seen / 10_000:.4f}% beyond the reference, limit {limit / 10_000:.4f}%"
        return self._brake(Brake.SLIPPAGE, detail, limit, seen, now_ns)

    def on_transfer(self, ticklots: int) -> None:
        """Move start and peak by a deposit (positive) or withdrawal, so that it is no P&L."""
        if self._start is not None:
            self._start += ticklots
        if self._first is not None:
            self._first += ticklots
        if self._peak is not None:
            self._peak += ticklots
        if self._equity is not None:
            self._equity += ticklots

    def on_mark(self, equity_ticklots: int, q_lots: int, now_ns: int) -> list[RiskChanged]:
        """Look at equity and inventory; returns the changes of state that follow."""
        self._equity = equity_ticklots
        if self._start is None:
            self._start = self._first = equity_ticklots
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
        """Let a brake go when it is time, and a configured cooldown end a halt."""
        changes: list[RiskChanged] = []
        if self._brakes.due(now_ns):
            before, reason = self.state, self._brake_reason
            self._let_go(now_ns)
            changes.append(RiskChanged(before, self.state, reason, "the brake is off"))
        return changes + self._cool_down(now_ns)

    def _cool_down(self, now_ns: int) -> list[RiskChanged]:
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
        self.move_count += 1
        if self._halted_ns is not None:
            return []
        return [self._halt(reason, detail, now_ns, None, None)]

    def pause(self, who: str) -> list[RiskChanged]:
        """Quote nothing until resumed."""
        before = self.state
        self.move_count += 1
        self._paused = "operator"
        self._flattening = False
        return [RiskChanged(before, self.state, "operator", f"paused by {who}")]

    def flatten(self, who: str) -> list[RiskChanged]:
        """Reduce only, from a pause too, until `flattened`, a pause, a halt or a resume.

        Raises:
            RiskError: it is halted, which only a resume ends.
        """
        if self._halted_ns is not None:
            raise RiskError("the bot is halted: resume it first", code="halted")
        before = self.state
        self.move_count += 1
        self._paused = ""
        self._flattening = True
        return [RiskChanged(before, self.state, "flatten", f"flattened by {who}")]

    def flattened(self, detail: str) -> list[RiskChanged]:
        """The position is at its target: quote nothing until resumed."""
        before = self.state
        self.move_count += 1
        self._flattening = False
        self._paused = "flatten"
        return [RiskChanged(before, self.state, "flatten", detail)]

    def resume(self, who: str, now_ns: int = 0) -> list[RiskChanged]:
        """Leave PAUSED or HALTED; a loss that halted is taken as the new starting point.

        A brake is taken off too, but what it counted stays counted.

        Raises:
            RiskError: nothing to resume from.
        """
        if not (self._halted_ns is not None or self._paused or self._brakes.on or self._flattening):
            raise RiskError(f"the bot is neither paused nor halted but {self.state.name}")
        before = self.state
        if self._brakes.on:
            self._let_go(now_ns)
        return [replace(self._resume("operator", f"resumed by {who}"), before=before)]

    def _resume(self, reason: str, detail: str) -> RiskChanged:
        before = self.state
        self.move_count += 1
        if self._halt_reason in ("drawdown", "drawdown_peak"):
            # The drawdown that halted it would halt it again at the next mark. After any other
            # halt or pause the loss still counts.
            self._start = self._equity
            self._peak = self._equity
        self._halted_ns = None
        self._halt_reason = ""
        self._by_hand = False
        self._paused = ""
        self._flattening = False
        return RiskChanged(before, self.state, reason, detail)

    def _count(self, kind: Brake, now_ns: int, count: int = 1) -> list[RiskChanged]:
        self._brakes.note(kind, now_ns, count)
        over = self._brakes.excess(now_ns)
        if over is None:
            return []
        detail = f"{over.seen} in a minute, limit {over.limit}"
        return self._brake(over.kind, detail, over.limit, over.seen, now_ns)

    def _brake(
        self, kind: Brake, detail: str, limit: int, seen: int, now_ns: int
    ) -> list[RiskChanged]:
        if self._brakes.on:
            return []
        before = self.state
        hold_ns = self._brakes.put_on(now_ns)
        self._brake_reason = kind.value
        text = f"{detail}: no quotes for {hold_ns / 1e9:g} s at least"
        return [RiskChanged(before, self.state, kind.value, text, limit, seen)]

    def _let_go(self, now_ns: int) -> None:
        self._brakes.let_go(now_ns)
        self._brake_reason = ""

    def _halt(
        self, reason: str, detail: str, now_ns: int, limit: int | None, seen: int | None
    ) -> RiskChanged:
        before = self.state
        self.move_count += 1
        self._halted_ns = now_ns
        self._halt_reason = reason
        if self._flattening:
            # It would have ended in a pause: no cooldown may end more than the halt.
            self._paused = "flatten"
        self._flattening = False
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
