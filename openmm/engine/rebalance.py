"""Bring inventory back by taking: cancel all, send orders that trade at once or not at all, resume.

Beyond `rebalance_threshold`, or a position limit, the ladder steps aside (nothing may be quoted),
and once every order is proven ended one order at a time is sent, with a wait between them, until
inventory is within `rebalance_exit`. Each is priced no further from the reference than the slippage
and the cost bound allow. While that is not to be had the ladder quotes the reducing side alone, as
without this. The orders lie in the lane of a flatten and go through the same checks. Pure: a
function of the tables and the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from msgspec import Struct

from openmm._fast.book import BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import Lane, OrderState
from openmm._fast.pipeline import Pipeline
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.engine.hand import REBALANCE, ByHand, least_lots, most_lots
from openmm.instrument import Instrument
from openmm.risk.monitor import RiskMonitor

PPM: Final = 1_000_000
# What is too dear, or refused, is tried again after this: the ladder does not come and go.
AGAIN_NS: Final = 5_000_000_000
# An order that should have ended at once is cancelled after this.
REST_NS_MAX: Final = 2_000_000_000
# Orders aim this far inside of the exit, so that a fee and a moving price leave nothing outside.
AIM_NUM, AIM_DEN = 3, 4


class RebalanceTerms(Struct, frozen=True):
    """When to take, and at what cost at most.

    Args:
        take: off: the ladder alone brings inventory back.
        threshold_ppm, exit_ppm: share of base off target that it begins beyond and ends within.
        slippage_ppm: how far from the reference an order may trade, of price.
        cost_ppm_max: bound of that and the taker fee together.
        fee_ppm: the taker fee.
        wait_ns: between two orders.
    """

    take: bool = False
    threshold_ppm: int = PPM
    exit_ppm: int = PPM
    slippage_ppm: int = 0
    cost_ppm_max: int = 0
    fee_ppm: int = 0
    wait_ns: int = 0

    @classmethod
    def of(cls, told: Mapping[str, int]) -> RebalanceTerms:
        """Read them of `config.rebalance_params`; a strategy that has none never takes."""
        if not told:
            return cls()
        return cls(
            told["rebalance_take"] == 1, told["rebalance_threshold_ppm"],
            told["rebalance_exit_ppm"], told["rebalance_slippage_ppm"],
            told["rebalance_cost_ppm_max"], told["taker_fee_ppm"], told["rebalance_wait_ns"],
        )  # fmt: skip


@final
class Rebalancer:
    """Take inventory back to its target, in the ladder's stead.

    Attributes:
        active: it has the book to itself; nothing is to be quoted.
        why: what keeps it from acting though inventory is off; empty: nothing does.
    """

    def __init__(
        self, pipeline: Pipeline, by_hand: ByHand, monitor: RiskMonitor, instrument: Instrument,
        terms: RebalanceTerms,
    ) -> None:  # fmt: skip
        self.terms = terms
        self.active = False
        self.why = ""
        self._pipeline = pipeline
        self._by_hand = by_hand
        self._monitor = monitor
        self._instrument = instrument
        # Inventory has been beyond the threshold, and not within the exit since.
        self._begun = False
        self._tried_ns = 0
        self._again_ns = 0
        self._kept_by = ""
        self._told: set[str] = set()

    @property
    def away_ppm(self) -> int | None:
        """Share of base off target, too much positive; None: not known."""
        inventory = self._pipeline.inventory
        share_ppm = inventory.share_ppm
        return None if share_ppm is None else share_ppm - inventory.target_ppm

    @property
    def left_lots(self) -> int | None:
        """Lots to sell or to buy; 0: too few for an order; None: not known."""
        inventory, uticks = self._pipeline.inventory, self._pipeline.reference.price_uticks
        q_lots, base_lots, quote = (
            inventory.q_lots, inventory.base_lots, inventory.quote_ticklots,
        )  # fmt: skip
        if q_lots is None or base_lots is None or quote is None or not uticks:
            return None
        whole_lots = base_lots + quote * UTICKS_PER_TICK // uticks
        aim_lots = whole_lots * self.terms.exit_ppm // PPM * AIM_NUM // AIM_DEN
        limit_lots = self._monitor.limits.inventory_lots_max
        if self._over_limit and limit_lots is not None:
            aim_lots = min(aim_lots, limit_lots // 2)
        lots = max(0, abs(q_lots) - aim_lots)
        price_ticks = uticks // UTICKS_PER_TICK
        return 0 if lots < least_lots(self._pipeline, self._instrument, price_ticks) else lots

    @property
    def _over_limit(self) -> bool:
        """Whether the risk layer waits for inventory to come back."""
        return self._monitor.state is RiskState.REDUCING and not self._monitor.flattening

    def look(self, now_ns: int) -> None:
        """Begin or end; what may be quoted follows from `active`."""
        before = self.active
        may = (
            self.terms.take and self._pipeline.quoting and not self._monitor.flattening
            and self._monitor.state in (RiskState.RUNNING, RiskState.REDUCING)
        )  # fmt: skip
        if not may:
            self._end()
            return
        away_ppm, left_lots = self.away_ppm, self.left_lots
        if away_ppm is None or left_lots is None or self._by_hand.live(Lane.LANE_FLATTEN):
            return  # as it was: nothing is known, or an order is not proven ended
        bound_ppm = self.terms.exit_ppm - 1 if self._begun else self.terms.threshold_ppm
        if left_lots == 0 or (abs(away_ppm) <= bound_ppm and not self._over_limit):
            self._end()
        elif now_ns < self._again_ns:
            self.active = False
        elif self._pipeline.jumped(now_ns):
            # It is over in a moment; until then nobody knows what a price is worth.
            self.active, self._kept_by, self.why = False, "jump", "the market has just jumped"
        elif why := self._too_dear():
            self._give_up("cost", why, now_ns)
        else:
            self.active = self._begun = True
            self.why = self.why if before else ""

    def take_news(self) -> str:
        """Tell what keeps it from acting, each cause once until inventory is back."""
        if not self.why or self._kept_by in self._told:
            return ""
        self._told.add(self._kept_by)
        return self.why

    def on_timer(self, now_ns: int) -> None:
        """Send the next order once nothing of ours is live and the wait is over."""
        if not self.active:
            return
        pipeline = self._pipeline
        live = pipeline.table.live()
        stays = [one for one in live if one.state is not OrderState.PENDING_CANCEL]
        if any(
            one.level != Lane.LANE_FLATTEN or now_ns - one.created_ns > REST_NS_MAX for one in stays
        ):
            # What was there before, or came beside it; or an order that should have ended at once.
            pipeline.withdraw(now_ns)
        if live or now_ns - self._tried_ns < self.terms.wait_ns:
            return
        q_lots, left_lots, limit_ticks, touch_ticks = (
            pipeline.inventory.q_lots, self.left_lots, self._limit_ticks(), self._touch_ticks(),
        )  # fmt: skip
        if not q_lots or not left_lots or limit_ticks is None or touch_ticks is None:
            return
        self._tried_ns = now_ns
        lots = most_lots(pipeline, max(limit_ticks, touch_ticks), left_lots)
        placed = self._by_hand.place(
            Side.SELL if q_lots > 0 else Side.BUY, limit_ticks, lots, REBALANCE, now_ns,
            Lane.LANE_FLATTEN, taking=True,
        )  # fmt: skip
        if placed.seq:
            self.why = ""
            return
        name = placed.reason.name.lower()
        why = f"refused by {name}: {placed.value}, limit {placed.limit}"
        if placed.reason is Reason.RATE_BUDGET:
            # It fills up again while nothing is quoted, and would not beside a ladder.
            self._kept_by, self.why = name, why
        else:
            self._give_up(name, why, now_ns)

    def _give_up(self, kept_by: str, why: str, now_ns: int) -> None:
        """Leave it to the ladder's reducing side for a while."""
        self.active, self._kept_by, self.why = False, kept_by, why
        self._again_ns = now_ns + max(AGAIN_NS, self.terms.wait_ns)

    def _end(self) -> None:
        self.active = self._begun = False
        self.why = ""
        self._told.clear()

    def _too_dear(self) -> str:
        """Tell why nothing can be taken at the cost that is allowed; empty: it can."""
        limit_ticks, touch_ticks = self._limit_ticks(), self._touch_ticks()
        if limit_ticks is None or touch_ticks is None:
            return "no book and reference to take by"
        sells = (self._pipeline.inventory.q_lots or 0) > 0
        if touch_ticks >= limit_ticks if sells else touch_ticks <= limit_ticks:
            return ""
        uticks = self._pipeline.reference.price_uticks
        assert uticks is not None, "a limit follows from the reference"
        off_uticks = abs(touch_ticks * UTICKS_PER_TICK - uticks)
        terms = self.terms
        off_ppm = -(-off_uticks * PPM // uticks)
        if off_ppm > terms.slippage_ppm:
            return f"the best price is {_bps(off_ppm)} off, at most {_bps(terms.slippage_ppm)}"
        return (
            f"taking costs {_bps(off_ppm + terms.fee_ppm)} with a fee of {_bps(terms.fee_ppm)}, "
            f"at most {_bps(terms.cost_ppm_max)}"
        )

    def _limit_ticks(self) -> int | None:
        """Return the worst price that an order may have; None without a reference."""
        uticks, q_lots = self._pipeline.reference.price_uticks, self._pipeline.inventory.q_lots
        if not uticks or not q_lots:
            return None
        slip_ppm = min(self.terms.slippage_ppm, self.terms.cost_ppm_max - self.terms.fee_ppm)
        whole = PPM * UTICKS_PER_TICK
        if q_lots > 0:
            return -(-uticks * (PPM - slip_ppm) // whole)
        return uticks * (PPM + slip_ppm) // whole

    def _touch_ticks(self) -> int | None:
        """Return the best price to take; None without a book to believe."""
        book, q_lots = self._pipeline.feed.book, self._pipeline.inventory.q_lots
        if book.state is not BookState.BOOK_VERIFIED or not q_lots:
            return None
        return (book.best_bid_ticks if q_lots > 0 else book.best_ask_ticks) or None


def _bps(ppm: int) -> str:
    return f"{ppm / 100:g}bps"
