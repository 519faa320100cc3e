"""Orders beside the ladder: placed by hand or to flatten, through the very same checks.

They lie in the order table in lanes of their own (`Lane`): every limit counts them, every
withdrawal cancels them, and the planner neither moves nor counts them. Pure: a function of the
tables and what it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from msgspec import Struct

from openmm._fast.checks import Reason
from openmm._fast.orders import Lane, OrderState, OrderView
from openmm._fast.pipeline import Decision, Pipeline
from openmm.instrument import Instrument

KEPT_MAX: Final = 4096  # names of who placed what, beyond those of live orders
LADDER: Final = "ladder"
FLATTEN: Final = "flatten"
REBALANCE: Final = "rebalance"


class Placed(Struct, frozen=True):
    """What became of an order by hand: its sequence, or why there is none.

    Args:
        seq: 0: not placed.
        reason: of the check that refused it, UNDECIDED when none did.
        limit, value: in the check's own units; None: missing, or no check refused.
    """

    seq: int
    reason: Reason = Reason.REASON_UNDECIDED
    limit: int | None = None
    value: int | None = None


def least_lots(pipeline: Pipeline, instrument: Instrument, price_ticks: int | None) -> int:
    """Return the least lots of an order by limits and venue, by value too where a price is told."""
    least = max(pipeline.checks.current_limits()["order_lots_min"] or 1, instrument.qty_lots_min)
    if not price_ticks:
        return least
    return max(least, -(-instrument.notional_ticklots_min // price_ticks))


def most_lots(pipeline: Pipeline, price_ticks: int, lots: int) -> int:
    """Cut a quantity to the limits of one order's size and value."""
    limits = pipeline.checks.current_limits()
    for most in (
        limits["order_lots_max"],
        *(
            None if value is None else value // price_ticks
            for value in (limits["order_ticklots_max"], limits["open_ticklots_max"])
        ),
    ):
        lots = lots if most is None else min(lots, most)
    return lots


@final
class ByHand:
    """Place and cancel by hand; know who placed what."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._who: dict[int, str] = {}

    def place(
        self, side: int, price_ticks: int, qty_lots: int, who: str, now_ns: int,
        lane: Lane = Lane.LANE_HAND, *, taking: bool = False,
    ) -> Placed:  # fmt: skip
        """Place one order, if every check lets it; its intent is on the tape before its bytes."""
        pipeline = self._pipeline
        seq = pipeline.place_by_hand(side, lane, price_ticks, qty_lots, now_ns, taking)
        if seq:
            self._forget()
            self._who[seq] = who
            return Placed(seq)
        if pipeline.last_decision is Decision.DECISION_REFUSED:
            checks = pipeline.checks
            return Placed(0, checks.last_reason, checks.last_limit, checks.last_value)
        return Placed(0)

    def cancel(self, seqs: Sequence[int], now_ns: int) -> int:
        """Cancel live orders; returns how many cancels left."""
        return self._pipeline.cancel_by_hand(seqs, now_ns)

    def who(self, order: OrderView) -> str:
        """Tell who placed an order: `ladder`, `flatten`, `rebalance`, or `hand:` and the client."""
        if order.level < Lane.LANE_FLATTEN:
            return LADDER
        if order.level == Lane.LANE_FLATTEN:
            return self._who.get(order.seq, FLATTEN)
        return f"hand:{self._who.get(order.seq, '')}"

    def live(self, lane: Lane) -> list[OrderView]:
        """Return the live orders of a lane, oldest first."""
        return [order for order in self._pipeline.table.live() if order.level == lane]

    def _forget(self) -> None:
        """Keep the memory of who placed what bounded: what has ended long ago goes first."""
        if len(self._who) <= KEPT_MAX:
            return
        table = self._pipeline.table
        for seq in [*self._who]:
            order = table.get(seq)
            if order is None or order.state >= OrderState.FILLED:
                del self._who[seq]
