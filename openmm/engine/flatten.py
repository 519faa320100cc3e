"""Bring the position to its target with reducing post-only orders at the touch, then pause.

One order at a time, on the side that reduces, at the best price of its own side of the book, moved
when that price has left it. The checks see a bot that is REDUCING: they refuse whatever would do
more than that. Pure: a function of the tables and the time.
"""

from __future__ import annotations

from typing import Final, final

from openmm._fast.book import BookState
from openmm._fast.checks import RiskState
from openmm._fast.orders import Lane, OrderState
from openmm._fast.pipeline import Pipeline
from openmm._fast.units import Side
from openmm.engine.hand import FLATTEN, ByHand, Placed, least_lots, most_lots
from openmm.instrument import Instrument
from openmm.risk.monitor import RiskMonitor

# An order is moved this long after it was placed or moved: amends of young orders cost the venue's
# message budget most.
MOVE_AFTER_NS: Final = 2_000_000_000
# After a refusal it is tried again, not at every timer.
AGAIN_AFTER_NS: Final = 500_000_000
RESTING: Final = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)


@final
class Flattener:
    """Work a position off, while the monitor says so."""

    def __init__(
        self, pipeline: Pipeline, by_hand: ByHand, monitor: RiskMonitor, instrument: Instrument
    ) -> None:
        self._pipeline = pipeline
        self._by_hand = by_hand
        self._monitor = monitor
        self._instrument = instrument
        self._tried_ns = 0
        self.refused = Placed(0)  # the last refusal since the last order that was placed

    def begin(self) -> None:
        """Start afresh."""
        self._tried_ns = 0
        self.refused = Placed(0)

    @property
    def left_lots(self) -> int | None:
        """Lots off target, long or short, that an order could still take off; None: not known."""
        q_lots, price_ticks = self._pipeline.inventory.q_lots, self._touch_ticks()
        if q_lots is None:
            return None
        lots = abs(q_lots)
        return 0 if lots < least_lots(self._pipeline, self._instrument, price_ticks) else lots

    def on_timer(self, now_ns: int) -> bool:
        """Place, move or cancel what is needed; returns whether the position is at its target."""
        if self._monitor.state is not RiskState.REDUCING:
            return False  # a brake is on: nothing may rest meanwhile
        pipeline = self._pipeline
        q_lots, left_lots, touch_ticks = (
            pipeline.inventory.q_lots, self.left_lots, self._touch_ticks(),
        )  # fmt: skip
        if q_lots is None or left_lots is None:
            return False
        live = pipeline.table.live()
        if left_lots == 0:
            if live:
                self._by_hand.cancel([order.seq for order in live], now_ns)
            return not live
        side = Side.SELL if q_lots > 0 else Side.BUY
        mine = [order for order in live if order.level == Lane.LANE_FLATTEN]
        if touch_ticks is None or len(mine) < len(live):
            return False  # no book, or what was there before the flatten is still on its way out
        if not mine:
            if now_ns - self._tried_ns >= AGAIN_AFTER_NS:
                self._tried_ns = now_ns
                self._place(side, touch_ticks, left_lots, now_ns)
            return False
        order = mine[0]
        if order.state not in RESTING:
            return False
        rest_lots = order.qty_lots - order.filled_lots
        worse = touch_ticks - order.price_ticks
        if side == Side.SELL:
            worse = -worse
        if order.side != side or rest_lots > left_lots:
            # The target moved: more would be taken off than there is.
            self._by_hand.cancel([order.seq], now_ns)
        elif worse > 0 and now_ns - order.amended_ns >= MOVE_AFTER_NS:
            moved = pipeline.planner.amend_supported and pipeline.amend_by_hand(
                order.seq, touch_ticks, order.qty_lots, now_ns
            )
            if not moved and not pipeline.planner.amend_supported:
                self._by_hand.cancel([order.seq], now_ns)
        return False

    def _place(self, side: Side, price_ticks: int, left_lots: int, now_ns: int) -> None:
        lots = most_lots(self._pipeline, price_ticks, left_lots)
        if lots <= 0:
            return
        placed = self._by_hand.place(side, price_ticks, lots, FLATTEN, now_ns, Lane.LANE_FLATTEN)
        self.refused = Placed(0) if placed.seq else placed

    def _touch_ticks(self) -> int | None:
        """Return the best price of the side that reduces; None without a book to believe."""
        book, q_lots = self._pipeline.feed.book, self._pipeline.inventory.q_lots
        if book.state is not BookState.BOOK_VERIFIED or not q_lots:
            return None
        ticks = book.best_ask_ticks if q_lots > 0 else book.best_bid_ticks
        return ticks or None
