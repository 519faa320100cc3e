"""The life of hedge orders: evidence in, states out; what cannot be proven counts in full.

States are those of the order table. An order ends on proof only, and together with every execution
that belongs to it: an end that tells of more than was booked leaves the missing part standing. One
that no answer lists is taken for never placed once the question was asked so late that neither the
request on its way nor the age of the answer explains it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, final

from msgspec import Struct

from openmm._fast.orders import OrderState
from openmm._fast.units import Side
from openmm.execution.doubt import SECOND_NS, Doubts
from openmm.execution.hedge.messages import (
    CancelHedge,
    HedgeAbsent,
    HedgeAccepted,
    HedgeEnded,
    HedgeFilled,
    HedgeFound,
    HedgeRefused,
    QueryHedge,
)
from openmm.execution.hedge.terms import HedgeTerms
from openmm.execution.lifecycle import UNCERTAIN

# Refusals that do not prove that the order never was.
INCONCLUSIVE: Final = UNCERTAIN | {"duplicate_id"}
ABSENT_MIN: Final = 2  # answers that do not list it, the last of them late enough
ENDED_KEPT: Final = 1_000


class HedgeOrder(Struct):
    """One hedge order. `told_lots` is what the venue says it filled in all, -1 before its end."""

    seq: int
    side: Side
    price_ticks: int
    qty_lots: int
    placed_ns: int
    state: OrderState = OrderState.PENDING_NEW
    filled_lots: int = 0
    told_lots: int = -1
    acted_ns: int = 0  # placed, accepted, or cancelled
    unknown_ns: int = 0
    accepted: bool = False
    cancelled: bool = False  # a cancel was sent since it was last seen open
    refusal: str = ""

    @property
    def live(self) -> bool:
        """Whether it may still trade, or executions of it may still be told."""
        return self.state < OrderState.FILLED

    @property
    def rest_lots(self) -> int:
        """What may still be booked of it."""
        if not self.live:
            return 0
        return (self.qty_lots if self.told_lots < 0 else self.told_lots) - self.filled_lots


@final
class HedgeOrders:
    """The hedge orders of one machine.

    `live` are those that count; `take_ended` and `take_broken` tell the machine what came to an end
    and what cannot be.
    """

    def __init__(self, terms: HedgeTerms) -> None:
        self._terms = terms
        self.live: dict[int, HedgeOrder] = {}
        self._ended: OrderedDict[int, HedgeOrder] = OrderedDict()
        self._doubts = Doubts()
        self._out_ended: list[HedgeOrder] = []
        self._out_broken: list[str] = []

    def rest_lots(self, side: Side) -> int:
        """Return what may still fill of a side, in lots."""
        if not self.live:
            return 0
        return sum(order.rest_lots for order in self.live.values() if order.side == side)

    def get(self, seq: int) -> HedgeOrder | None:
        """Return an order, live or lately ended."""
        return self.live.get(seq) or self._ended.get(seq)

    def take_ended(self) -> list[HedgeOrder]:
        """Return the orders that ended since, once."""
        out, self._out_ended = self._out_ended, []
        return out

    def take_broken(self) -> list[str]:
        """Return what the venue told that cannot be, once."""
        out, self._out_broken = self._out_broken, []
        return out

    def doubt_ns(self, now_ns: int) -> int:
        """Return for how long the oldest order in doubt has been so."""
        since = [order.unknown_ns for order in self.live.values() if order.unknown_ns]
        return now_ns - min(since) if since else 0

    # ------------------------------------------------------------------ evidence

    def place(self, seq: int, side: Side, price_ticks: int, qty_lots: int, now_ns: int) -> None:
        """Begin an order: from here on it counts."""
        self.live[seq] = HedgeOrder(seq, side, price_ticks, qty_lots, now_ns, acted_ns=now_ns)

    def on_accepted(self, event: HedgeAccepted) -> None:
        """Take the venue's yes; it may come late, or twice."""
        order = self.live.get(event.seq)
        if order is None:
            known = self._ended.get(event.seq)
            if known is not None and known.state is OrderState.REJECTED:
                self._break(known, "is accepted, though it was told or proven never to be")
            return
        if order.accepted:
            return
        order.accepted = True
        if order.state is OrderState.PENDING_NEW:
            order.state, order.acted_ns = OrderState.OPEN, event.now_ns

    def on_refused(self, event: HedgeRefused) -> None:
        """Take the venue's no: an end, unless something says that the order lived."""
        order = self.live.get(event.seq)
        if order is None:
            return
        proof = event.code not in INCONCLUSIVE and not order.accepted and not order.filled_lots
        if proof and order.told_lots < 0:
            order.refusal = event.code
            self._end(order, OrderState.REJECTED)
        else:
            self.doubt(order, event.now_ns)

    def on_unanswered(self, seq: int, now_ns: int) -> None:
        """Put an order in doubt: a request about it went unanswered."""
        order = self.live.get(seq)
        if order is not None:
            self.doubt(order, now_ns)

    def on_fill(self, event: HedgeFilled) -> None:
        """Count an execution that was not seen before."""
        order = self.live.get(event.seq)
        if order is None:
            known = self._ended.get(event.seq)
            if known is None:
                self._out_broken.append(f"execution {event.fill_id} of no hedge of ours")
            else:
                known.filled_lots += event.qty_lots
                self._break(known, f"filled after its end was proven: {event.fill_id}")
            return
        if event.side != order.side:
            self._break(order, f"filled on the other side: {event.fill_id}")
        order.filled_lots += event.qty_lots
        most = order.qty_lots if order.told_lots < 0 else order.told_lots
        if order.filled_lots > most:
            self._break(order, f"filled {order.filled_lots} lots of {most}")
        if order.filled_lots >= order.qty_lots:
            self._end(order, OrderState.FILLED)
        elif order.told_lots >= 0:
            if order.filled_lots >= order.told_lots:
                self._end(order, OrderState.CANCELLED)
        elif order.state in (OrderState.PENDING_NEW, OrderState.OPEN):
            order.state = OrderState.PARTIALLY_FILLED
            order.acted_ns = event.now_ns

    def on_ended(self, event: HedgeEnded) -> None:
        """Take an order's end: it is one once every execution it tells of is booked."""
        order = self.live.get(event.seq)
        if order is None:
            return
        filled_lots = event.filled_lots
        if filled_lots is None or not order.filled_lots <= filled_lots <= order.qty_lots:
            if filled_lots is not None:
                self._break(order, f"ended with {filled_lots} lots, {order.filled_lots} booked")
            self.doubt(order, event.now_ns)
            return
        if order.told_lots >= 0:
            if filled_lots != order.told_lots:
                self._break(order, f"ended with {order.told_lots} lots and with {filled_lots}")
                order.told_lots = max(order.told_lots, filled_lots)
            return
        order.told_lots = filled_lots
        if order.filled_lots == filled_lots:
            full = filled_lots == order.qty_lots
            self._end(order, OrderState.FILLED if full else OrderState.CANCELLED)
        elif event.seq not in self._doubts:
            # The executions are on their way; asked for if they do not come.
            self._doubts.raise_(order.seq, event.now_ns, after_ns=SECOND_NS)

    def on_found(self, event: HedgeFound) -> None:
        """Take an answer that lists the order as open: it lives, and may be cancelled."""
        order = self.live.get(event.seq)
        if order is None or order.told_lots >= 0:
            return
        order.accepted = True
        if event.filled_lots > order.filled_lots:
            # Executions that were not told: they come with the next question.
            self.doubt(order, event.now_ns)
            return
        self._doubts.settle(order.seq)
        order.unknown_ns = 0
        order.cancelled = False
        order.state = OrderState.PARTIALLY_FILLED if order.filled_lots else OrderState.OPEN

    def on_absent(self, event: HedgeAbsent) -> None:
        """Take an answer that does not list the order."""
        order = self.live.get(event.seq)
        if order is None or event.seq not in self._doubts:
            return
        count = self._doubts.absent(order.seq)
        terms = self._terms
        late_ns = order.placed_ns + terms.deadline_ns + terms.lag_ns
        never = not order.accepted and not order.filled_lots and order.told_lots < 0
        if never and count >= ABSENT_MIN and event.asked_ns > late_ns:
            self._end(order, OrderState.REJECTED)

    def on_cancel_answered(self, seq: int, now_ns: int) -> None:
        """Ask how the order ended: the answer to a cancel does not tell its executions."""
        order = self.live.get(seq)
        if order is not None and order.told_lots < 0:
            self.doubt(order, now_ns)

    # ------------------------------------------------------------------ time

    def on_time(self, now_ns: int) -> list[CancelHedge | QueryHedge]:
        """Return the cancels and questions that are due."""
        out: list[CancelHedge | QueryHedge] = []
        terms = self._terms
        for order in self.live.values():
            waited_ns = now_ns - order.acted_ns
            if order.state in (OrderState.PENDING_NEW, OrderState.PENDING_CANCEL):
                if waited_ns >= terms.ack_ns:
                    self.doubt(order, now_ns)
            elif (
                order.state is not OrderState.UNKNOWN
                and order.told_lots < 0
                and waited_ns >= terms.rest_ns
            ):
                out.append(self._cancel(order, now_ns))
        out.extend(QueryHedge(seq) for seq in self._doubts.due(now_ns))
        return out

    def cancel_all(self, now_ns: int) -> list[CancelHedge]:
        """Cancel everything that may live, each order once unless it is seen open again."""
        return [
            self._cancel(order, now_ns)
            for order in self.live.values()
            if order.told_lots < 0 and not order.cancelled
        ]

    def doubt(self, order: HedgeOrder, now_ns: int) -> None:
        """Make an order unknown and ask for it on a schedule that backs off."""
        if order.told_lots < 0:
            order.state = OrderState.UNKNOWN
            order.unknown_ns = order.unknown_ns or now_ns
        self._doubts.raise_(order.seq, now_ns)

    # ------------------------------------------------------------------ inside

    def _cancel(self, order: HedgeOrder, now_ns: int) -> CancelHedge:
        order.state, order.acted_ns = OrderState.PENDING_CANCEL, now_ns
        order.cancelled = True
        return CancelHedge(order.seq)

    def _end(self, order: HedgeOrder, state: OrderState) -> None:
        order.state = state
        order.unknown_ns = 0
        del self.live[order.seq]
        self._ended[order.seq] = order
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self._doubts.forget(order.seq)
        self._out_ended.append(order)

    def _break(self, order: HedgeOrder, text: str) -> None:
        self._out_broken.append(f"hedge {order.seq} {text}")
