"""The order table in plain Python: the executable specification of `openmm._fast.orders`.

Orders are never forgotten here unless they are released; slots and reuse belong to the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openmm._fast.orders import OrderEvent as Event
from openmm._fast.orders import OrderState as State
from openmm._fast.orders import Transition

BUY = 1
SELL = 2

PENDING = (State.PENDING_NEW, State.PENDING_CANCEL, State.PENDING_AMEND)

CREATE, AMEND, CANCEL, DOUBT = "create", "amend", "cancel", "doubt"


@dataclass
class Order:
    """One order."""

    seq: int
    side: int
    price_ticks: int
    qty_lots: int
    state: State = State.PENDING_NEW
    filled_lots: int = 0
    cost_ticklots: int = 0
    pending: tuple[int, int] | None = None
    in_flight: set[str] = field(default_factory=lambda: {CREATE})

    @property
    def live(self) -> bool:
        """Whether it is neither free nor finished."""
        return self.state <= State.UNKNOWN

    @property
    def total_lots(self) -> int:
        """Larger of the confirmed and the pending quantity."""
        return max(self.qty_lots, self.pending[1]) if self.pending else self.qty_lots

    @property
    def worst_lots(self) -> int:
        """What may still fill."""
        return max(self.total_lots - self.filled_lots, 0)

    @property
    def prices(self) -> list[int]:
        """Confirmed and pending price."""
        return [self.price_ticks, *([self.pending[0]] if self.pending else [])]

    def end(self, state: State) -> Transition:
        """Finish for good."""
        self.state = state
        self.in_flight.clear()
        self.pending = None
        return Transition.TR_OK

    def settle(self) -> None:
        """Rest, unless something is still unanswered."""
        if self.in_flight:
            return
        if self.filled_lots >= self.qty_lots:
            self.end(State.FILLED)
        else:
            self.state = State.PARTIALLY_FILLED if self.filled_lots else State.OPEN

    def adopt(self, told: tuple[int, int]) -> None:
        """Take the venue's word; 0 is no word."""
        self.price_ticks = told[0] or self.price_ticks
        self.qty_lots = told[1] or self.qty_lots


class Orders:
    """All orders by sequence."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}

    def place(self, seq: int, side: int, price_ticks: int, qty_lots: int) -> None:
        """Enter an order about to be sent."""
        self.orders[seq] = Order(seq, side, price_ticks, qty_lots)

    @property
    def live(self) -> list[Order]:
        """Live orders in order of creation."""
        return [order for order in self.orders.values() if order.live]

    def event(self, seq: int, event: int, told: tuple[int, int] = (0, 0)) -> Transition:
        """Apply evidence; returns the transition's result."""
        order = self.orders.get(seq)
        if order is None:
            return Transition.TR_UNKNOWN_ORDER
        if event in (Event.EV_PLACED, Event.EV_FILL):
            return Transition.TR_ILLEGAL
        return self._live(order, event, told) if order.live else self._ended(order, event)

    @staticmethod
    def _ended(order: Order, event: int) -> Transition:
        if event in (Event.EV_AMEND_SENT, Event.EV_CANCEL_SENT, Event.EV_PROVEN_OPEN):
            return Transition.TR_ILLEGAL
        if event == Event.EV_REJECTED and order.state == State.FILLED:
            return Transition.TR_ILLEGAL
        if order.state == State.REJECTED and event in (
            Event.EV_ACKED,
            Event.EV_AMENDED,
            Event.EV_AMEND_REJECTED,
        ):
            return Transition.TR_ILLEGAL
        return Transition.TR_IGNORED

    @staticmethod
    def _live(order: Order, event: int, told: tuple[int, int]) -> Transition:
        state = order.state
        resting = state in (State.OPEN, State.PARTIALLY_FILLED)
        match event:
            case Event.EV_AMEND_SENT:
                if not resting or told[0] <= 0 or told[1] <= order.filled_lots:
                    return Transition.TR_ILLEGAL
                order.pending = told
                order.in_flight.add(AMEND)
                order.state = State.PENDING_AMEND
                return Transition.TR_OK
            case Event.EV_CANCEL_SENT:
                if state == State.PENDING_CANCEL:
                    return Transition.TR_IGNORED
                order.in_flight.add(CANCEL)
                if state != State.UNKNOWN:
                    order.state = State.PENDING_CANCEL
                return Transition.TR_OK
            case Event.EV_CANCELLED | Event.EV_EXPIRED:
                return order.end(State.CANCELLED)
            case Event.EV_REJECTED:
                return (
                    order.end(State.REJECTED)
                    if CREATE in order.in_flight
                    else Transition.TR_ILLEGAL
                )
            case Event.EV_TIMEOUT:
                if state == State.UNKNOWN:
                    return Transition.TR_IGNORED
                if not order.in_flight:
                    order.in_flight.add(DOUBT)
                order.state = State.UNKNOWN
                return Transition.TR_OK
            case Event.EV_CANCEL_REJECTED:
                if state == State.PENDING_NEW:
                    return Transition.TR_ILLEGAL
                order.in_flight.discard(CANCEL)
                order.in_flight.add(DOUBT)
                order.state = State.UNKNOWN
                return Transition.TR_OK
            case Event.EV_PROVEN_GONE:
                if CREATE in order.in_flight and state != State.UNKNOWN:
                    return Transition.TR_IGNORED
                return order.end(State.CANCELLED)
        if event == Event.EV_PROVEN_OPEN and state == State.UNKNOWN:
            order.in_flight &= {AMEND}
            if not order.in_flight or told[0]:
                order.in_flight.clear()
                order.pending = None
                order.adopt(told)
            order.settle()
            return Transition.TR_OK
        if event in (Event.EV_AMENDED, Event.EV_PROVEN_OPEN) and resting:
            if told[0] in (0, order.price_ticks) and told[1] in (0, order.qty_lots):
                return Transition.TR_IGNORED
            order.adopt(told)
            order.settle()
            return Transition.TR_OK
        if event in (Event.EV_AMENDED, Event.EV_AMEND_REJECTED) and state == State.PENDING_NEW:
            return Transition.TR_ILLEGAL
        answers = AMEND if event in (Event.EV_AMENDED, Event.EV_AMEND_REJECTED) else CREATE
        if answers not in order.in_flight:
            return Transition.TR_IGNORED
        order.in_flight.discard(answers)
        if event == Event.EV_AMENDED:
            assert order.pending is not None
            order.adopt((told[0] or order.pending[0], told[1] or order.pending[1]))
        if answers == AMEND:
            order.pending = None
        else:
            order.adopt(told)
        order.settle()
        return Transition.TR_OK

    def fill(self, seq: int, price_ticks: int, qty_lots: int) -> Transition:
        """Book a fill, whatever the state."""
        order = self.orders.get(seq)
        if order is None:
            return Transition.TR_UNKNOWN_ORDER
        order.filled_lots += qty_lots
        order.cost_ticklots += price_ticks * qty_lots
        if not order.live:
            over = order.filled_lots > order.qty_lots or order.state == State.REJECTED
            return Transition.TR_OVERFILL if over else Transition.TR_OK
        order.in_flight.discard(CREATE)
        if order.filled_lots >= order.total_lots:
            over = order.filled_lots > order.total_lots
            order.end(State.FILLED)
            return Transition.TR_OVERFILL if over else Transition.TR_OK
        order.settle()
        return Transition.TR_OK

    def release(self, seq: int) -> None:
        """Forget a finished order."""
        assert not self.orders[seq].live
        del self.orders[seq]

    def totals(self) -> tuple[int, ...]:
        """Return counts, lots and ticklots by side, best prices: as `orders.Totals`."""
        by_side = {side: [o for o in self.live if o.side == side] for side in (BUY, SELL)}
        return (
            len(self.live),
            sum(o.state == State.UNKNOWN for o in self.live),
            sum(o.state in PENDING for o in self.live),
            *(sum(o.worst_lots for o in by_side[side]) for side in (BUY, SELL)),
            *(sum(o.worst_lots * max(o.prices) for o in by_side[side]) for side in (BUY, SELL)),
            max((max(o.prices) for o in by_side[BUY]), default=0),
            min((min(o.prices) for o in by_side[SELL]), default=0),
        )
