"""The hedge machine: fills of the quoting venue in, orders for the hedge venue out.

Pure: a function of its state and the event, every event carries its moment. It keeps an interval
for the joint position of both venues: what is booked, give or take all that hedge orders on their
way or in doubt may still bring. Only what is exposed in every outcome of these is hedged, so that
no answer, however late, makes it hedged twice; and quotes get the room that is left in the worst
outcome, so that no fill, however many at once, takes it past its limit. See docs/hedging.md.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, final

from openmm._fast.orders import OrderState
from openmm._fast.units import Side
from openmm.events import FATAL_CODES
from openmm.execution.hedge.cost import HedgeCost
from openmm.execution.hedge.messages import (
    BookSeen,
    CancelAnswered,
    Closed,
    FeesTold,
    FundsSeen,
    HedgeAbsent,
    HedgeAccepted,
    HedgeAction,
    HedgeEnded,
    HedgeEvent,
    HedgeFilled,
    HedgeFound,
    HedgeRefused,
    HedgeUnanswered,
    Incident,
    Killed,
    PlaceHedge,
    QuoteFilled,
    QuotesStood,
    Reason,
    Released,
    ResumeQuoting,
    StopQuoting,
    TimePassed,
    VenueSeen,
)
from openmm.execution.hedge.orders import HedgeOrder, HedgeOrders
from openmm.execution.hedge.terms import PPM, HedgeTerms

FILL_IDS_MAX: Final = 200_000
# Refusals that no retry mends: a person has to; asked again all the same, but seldom.
STUCK: Final = FATAL_CODES | {"funds", "margin", "instrument", "arguments", "minimum"}
SIDES: Final = (Side.BUY, Side.SELL)


@final
class HedgeMachine:
    """Hedge the fills of one quoting venue on one hedge venue.

    Args:
        terms: limits, times and steps.
        net_atoms, cost_tickatoms: what is unhedged at the start, and what it cost.
        first_seq: sequence of the first order; one that was ever used must not come again.
    """

    def __init__(
        self,
        terms: HedgeTerms,
        *,
        net_atoms: int = 0,
        cost_tickatoms: int = 0,
        first_seq: int = 1,
    ) -> None:
        self.terms = terms
        self.taker_fee_ppm = terms.taker_fee_ppm
        self.orders = HedgeOrders(terms)
        self.cost = HedgeCost(net_atoms, cost_tickatoms)
        self.attempts = 0
        self._next_seq = first_seq
        self._fill_ids: OrderedDict[str, None] = OrderedDict()
        self._base_atoms: int | None = (
            None  # held at the hedge venue: as told, less what fills took
        )
        self._quote_tickatoms: int | None = None
        self._open_atoms = {Side.BUY: 0, Side.SELL: 0}
        self._bids: tuple[tuple[int, int], ...] = ()
        self._asks: tuple[tuple[int, int], ...] = ()
        self._book_ns = 0
        self._verified = False
        self._up = False
        self._healthy_ns: int | None = None
        self._since: tuple[Side, int] | None = None  # workable exposure: to which side, since when
        self._aged_ns: int | None = None  # exposed with no hedge filling since
        self._retry_ns = 0
        self._stuck: Reason | None = None
        self._latched: Reason | None = None
        self._killed = False
        self._closed = False
        self._stopped: Reason | None = Reason.VENUE_DOWN  # until the venue is seen
        self._stopped_sides: set[Side] = set()
        self._told: set[Reason] = set()
        self._out: list[HedgeAction] = []

    # ------------------------------------------------------------------ what is

    @property
    def net_atoms(self) -> int:
        """Joint position by what is booked: positive is long, unhedged."""
        return self.cost.net_atoms

    @property
    def low_atoms(self) -> int:
        """Joint position if every sell hedge in the open fills and no buy does."""
        return self.cost.net_atoms - self.orders.rest_lots(Side.SELL) * self.terms.lot_atoms

    @property
    def high_atoms(self) -> int:
        """Joint position if every buy hedge in the open fills and no sell does."""
        return self.cost.net_atoms + self.orders.rest_lots(Side.BUY) * self.terms.lot_atoms

    def capacity_atoms(self, side: Side) -> int:
        """Return what quotes of a side may hold in all, those that stand included."""
        worst = self.high_atoms if side == Side.BUY else -self.low_atoms
        most = self.terms.unhedged_atoms_max
        funded = self._funded_atoms(side)
        return (most if funded is None else min(most, funded)) - max(0, worst)

    def _funded_atoms(self, side: Side) -> int | None:
        """Return how much of a side's fills the hedge venue's funds can hedge; None: not told.

        Bids are hedged by selling base, asks by buying at up to the slippage bound, fee on top.
        """
        if side == Side.BUY:
            return self._base_atoms
        if self._quote_tickatoms is None or not self._asks or not self._bids:
            return None
        cost_ppm = PPM + max(0, self.taker_fee_ppm)
        return self._quote_tickatoms * PPM // (self._limit_ticks(Side.BUY) * cost_ppm)

    def room_atoms(self, side: Side) -> int:
        """Return what quotes of a side may be added now: 0 while that side, or all, is stopped."""
        if self._stopped is not None or side in self._stopped_sides:
            return 0
        return max(0, self.capacity_atoms(side) - self._open_atoms[side])

    @property
    def stopped(self) -> Reason | None:
        """Why nothing may be quoted; None while something may."""
        return self._stopped

    def is_stopped(self, side: Side) -> bool:
        """Whether a side may not be quoted."""
        return self._stopped is not None or side in self._stopped_sides

    @property
    def closed(self) -> bool:
        """Whether a kill has come to its end: nothing of ours can trade there any more."""
        return self._closed

    @property
    def mid_uticks(self) -> int | None:
        """Middle of the hedge venue's book in millionths of a tick; None without a sound one."""
        if not self._verified or not self._bids or not self._asks:
            return None
        return (self._bids[0][0] + self._asks[0][0]) * (PPM // 2)

    @property
    def half_spread_ppm(self) -> int | None:
        """Half the hedge venue's spread over its middle, rounded up; None without a sound book."""
        if not self._verified or not self._bids or not self._asks:
            return None
        bid, ask = self._bids[0][0], self._asks[0][0]
        return -(-(ask - bid) * PPM // (ask + bid))

    def edge_floor_ppm(self) -> int | None:
        """Return the least edge of a quote now, beyond its maker fee; None without a book."""
        half_ppm = self.half_spread_ppm
        if half_ppm is None:
            return None
        return self.terms.edge_floor_ppm(half_ppm) - self.terms.taker_fee_ppm + self.taker_fee_ppm

    def has_booked(self, exec_id: str) -> bool:
        """Whether an execution of a hedge is part of the position."""
        return "h:" + exec_id in self._fill_ids

    def adopt(self, action: PlaceHedge, now_ns: int) -> None:
        """Take over an order that a machine before this one may have placed: its end is unknown.

        Before the first event; what was booked of it comes as events.
        """
        self.orders.place(action.seq, action.side, action.price_ticks, action.qty_lots, now_ns)
        self.orders.on_unanswered(action.seq, now_ns)
        self._next_seq = max(self._next_seq, action.seq + 1)

    # ------------------------------------------------------------------ events

    def apply(self, event: HedgeEvent) -> list[HedgeAction]:
        """Take an event; returns what is to be done, in order."""
        now_ns = event.now_ns
        match event:
            case TimePassed():
                pass
            case BookSeen():
                self._on_book(event)
            case QuoteFilled():
                self._on_quote_fill(event)
            case QuotesStood():
                self._open_atoms = {Side.BUY: event.bid_atoms, Side.SELL: event.ask_atoms}
            case HedgeFilled():
                self._on_hedge_fill(event)
            case HedgeEnded():
                self.orders.on_ended(event)
            case HedgeAccepted():
                self.orders.on_accepted(event)
            case HedgeRefused():
                self.orders.on_refused(event)
            case HedgeUnanswered():
                self.orders.on_unanswered(event.seq, now_ns)
            case HedgeFound():
                self.orders.on_found(event)
            case HedgeAbsent():
                self.orders.on_absent(event)
            case CancelAnswered():
                self.orders.on_cancel_answered(event.seq, now_ns)
            case VenueSeen():
                self._up = event.up
                if not event.up:
                    # What its stream would have told is not known.
                    for order in self.orders.live.values():
                        self.orders.doubt(order, now_ns)
            case FundsSeen():
                self._base_atoms = event.base_atoms
                self._quote_tickatoms = event.quote_tickatoms
            case FeesTold():
                self.taker_fee_ppm = event.taker_ppm
            case Killed():
                self._killed = True
            case Released():
                self._killed = self._closed = False
                self._latched = self._stuck = None
                self.attempts = 0
                self._told.clear()
        self._settle(now_ns)
        out, self._out = self._out, []
        return out

    def _on_book(self, event: BookSeen) -> None:
        bids, asks = event.bids, event.asks
        self._verified = event.verified and bool(bids and asks) and 0 < bids[0][0] < asks[0][0]
        self._bids, self._asks = bids, asks
        self._book_ns = event.now_ns

    def _on_quote_fill(self, event: QuoteFilled) -> None:
        if not self._first_seen("q:" + event.fill_id):
            return
        self.cost.book(
            event.side, event.qty_atoms, event.cost_tickatoms, event.fee_tickatoms, event.fee_atoms
        )
        # The order's rest is less by it at once: the next word on what stands may come later.
        left = self._open_atoms[event.side] - event.qty_atoms
        self._open_atoms[event.side] = max(0, left)

    def _on_hedge_fill(self, event: HedgeFilled) -> None:
        if not self._first_seen("h:" + event.fill_id):
            return
        self.cost.book(
            event.side, event.qty_lots * self.terms.lot_atoms, event.cost_tickatoms,
            event.fee_tickatoms, event.fee_atoms,
        )  # fmt: skip
        self.orders.on_fill(event)
        # Funds are only lowered here: what came in may be in the balance that was told before the
        # execution was. The next one that is told holds it.
        if event.side == Side.BUY:
            if self._quote_tickatoms is not None:
                self._quote_tickatoms -= event.cost_tickatoms + max(0, event.fee_tickatoms)
        elif self._base_atoms is not None:
            self._base_atoms -= event.qty_lots * self.terms.lot_atoms + max(0, event.fee_atoms)
        if self._aged_ns is not None:
            self._aged_ns = event.now_ns

    def _first_seen(self, fill_id: str) -> bool:
        if fill_id in self._fill_ids:
            return False
        self._fill_ids[fill_id] = None
        if len(self._fill_ids) > FILL_IDS_MAX:
            self._fill_ids.popitem(last=False)
        return True

    # ------------------------------------------------------------------ decisions

    def _settle(self, now_ns: int) -> None:
        """Do what state and time call for, in a fixed order."""
        self._out.extend(self.orders.on_time(now_ns))
        for text in self.orders.take_broken():
            self._latched = Reason.EVIDENCE
            self._out.append(Incident("critical", "hedge_evidence", text))
        for order in self.orders.take_ended():
            self._on_end(order, now_ns)
        if self._killed:
            self._out.extend(self.orders.cancel_all(now_ns))
        sound = self._is_sound(now_ns)
        if not sound:
            self._healthy_ns = None
        elif self._healthy_ns is None:
            self._healthy_ns = now_ns
        self._age(now_ns)
        if not self._killed:
            self._work(now_ns, sound)
        elif not self._closed and not self.orders.live:
            self._closed = True
            self._out.append(Closed(self.cost.net_atoms))
        self._gate(now_ns)

    def _is_sound(self, now_ns: int) -> bool:
        """Whether the hedge venue can be traded on: up, its book verified and young."""
        return self._up and self._verified and now_ns - self._book_ns <= self.terms.book_ns_max

    def _on_end(self, order: HedgeOrder, now_ns: int) -> None:
        """Count an attempt that left a rest, and wait before the next."""
        if order.filled_lots >= order.qty_lots:
            self.attempts, self._stuck = 0, None
            self._told -= {Reason.ATTEMPTS, Reason.REFUSED}
            return
        terms = self.terms
        self.attempts += 1
        if order.refusal in STUCK:
            self._stuck = Reason.REFUSED
            self._retry_ns = now_ns + terms.backoff_ns_max
            self._tell(Reason.REFUSED, f"the hedge venue refuses hedges: {order.refusal}")
            return
        wait_ns = terms.backoff_ns << min(self.attempts - 1, 20)
        self._retry_ns = now_ns + min(wait_ns, terms.backoff_ns_max)
        if self.attempts >= terms.attempts_max and self._stuck is None:
            self._stuck = Reason.ATTEMPTS
            self._tell(Reason.ATTEMPTS, f"{self.attempts} hedges in a row left a rest")

    def _age(self, now_ns: int) -> None:
        """Note since when exposure of at least a lot's order waits with no hedge filling."""
        if self._least_lots() <= abs(self.cost.net_atoms) // self.terms.lot_atoms:
            if self._aged_ns is None:
                self._aged_ns = now_ns
        else:
            self._aged_ns = None
            self._told.discard(Reason.OLD)

    def _least_lots(self) -> int:
        """Return the venue's least order at the price it would have now."""
        touch = self._bids if self.cost.net_atoms > 0 else self._asks
        return self.terms.least_lots(touch[0][0] if touch else 0)

    def _work(self, now_ns: int, sound: bool) -> None:
        """Hedge what is exposed in every outcome, once it is due and the venue can take it."""
        terms = self.terms
        low, high = self.low_atoms, self.high_atoms
        if low > 0:
            side, open_atoms = Side.SELL, low
        elif high < 0:
            side, open_atoms = Side.BUY, -high
        else:
            self._rested()
            return
        if not sound:
            return
        lots = open_atoms // terms.lot_atoms
        limit_ticks = self._limit_ticks(side)
        least_lots = terms.least_lots(limit_ticks)
        if lots < least_lots:
            self._rested()
            return
        # A part that the venue would not take is none: the price may have fallen since the start.
        part_lots = max(terms.order_lots_max, least_lots)
        in_parts = terms.order_lots_max > 0 and part_lots < lots
        if in_parts:
            lots = part_lots
        if self._since is None or self._since[0] != side:
            self._since = (side, now_ns)
        urgent = open_atoms >= terms.urgent_atoms
        if not urgent and not self.attempts and now_ns < self._since[1] + terms.delay_ns:
            return
        if now_ns < self._retry_ns or len(self.orders.live) >= terms.live_max:
            return
        if not self._reaches(side, limit_ticks):
            return
        if terms.when == "profitable" and not urgent and not self._pays(side, lots, limit_ticks):
            self._aged_ns = now_ns  # it waits by the operator's choice
            return
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        self.orders.place(seq, side, limit_ticks, lots, now_ns)
        if not in_parts:
            self._since = None
        self._out.append(PlaceHedge(seq, side, limit_ticks, lots, now_ns + terms.deadline_ns))

    def _rested(self) -> None:
        """Nothing to hedge beyond what is on its way: the next window begins anew."""
        self._since = None
        if not self.orders.live:
            self.attempts, self._stuck = 0, None
            self._told -= {Reason.ATTEMPTS, Reason.REFUSED}

    def _limit_ticks(self, side: Side) -> int:
        """Return the worst price of a hedge: the slippage bound from the middle of the book."""
        middle = self._bids[0][0] + self._asks[0][0]  # twice the middle
        if side == Side.SELL:
            return max(1, -(-middle * (PPM - self.terms.slippage_ppm) // (2 * PPM)))
        return middle * (PPM + self.terms.slippage_ppm) // (2 * PPM)

    def _reaches(self, side: Side, limit_ticks: int) -> bool:
        """Whether the best price is within the slippage bound."""
        if side == Side.SELL:
            return self._bids[0][0] >= limit_ticks
        return self._asks[0][0] <= limit_ticks

    def _pays(self, side: Side, lots: int, limit_ticks: int) -> bool:
        """Whether a hedge at the book's prices leaves the least edge after fees and allowances."""
        terms, left, ticklots = self.terms, lots, 0
        for price_ticks, qty_lots in self._bids if side == Side.SELL else self._asks:
            if price_ticks < limit_ticks if side == Side.SELL else price_ticks > limit_ticks:
                break
            taken = min(left, qty_lots)
            ticklots += taken * price_ticks
            left -= taken
        ticklots += left * limit_ticks
        value = ticklots * terms.lot_atoms
        costs_ppm = self.taker_fee_ppm + terms.latency_ppm + terms.edge_ppm_min
        charge = -(-value * costs_ppm // PPM)
        # What the position cost; negative for a short one: what it brought.
        paid = self.cost.share_of(lots * terms.lot_atoms)
        proceeds = value if side == Side.SELL else -value
        return proceeds - charge >= paid

    # ------------------------------------------------------------------ quoting

    def _gate(self, now_ns: int) -> None:
        """Stop or resume quoting, all of it and by side."""
        reason = self._reason(now_ns)
        if reason is not None and self._stopped is None:
            self._out.append(StopQuoting(None, reason))
        elif reason is None and self._stopped is not None:
            self._out.append(ResumeQuoting(None))
        self._stopped = reason
        for side in SIDES:
            capacity = self.capacity_atoms(side)
            full = capacity < max(self._open_atoms[side], self.terms.quote_atoms_min)
            if full and side not in self._stopped_sides:
                self._stopped_sides.add(side)
                self._out.append(StopQuoting(side, Reason.LIMIT))
            elif not full and side in self._stopped_sides:
                self._stopped_sides.discard(side)
                self._out.append(ResumeQuoting(side))

    def _reason(self, now_ns: int) -> Reason | None:
        """Return why nothing may be quoted, the gravest first."""
        terms = self.terms
        if self._killed:
            return Reason.KILLED
        if self._latched is not None:
            return self._latched
        if self._stuck is not None:
            return self._stuck
        if not self._up:
            return Reason.VENUE_DOWN
        if self._healthy_ns is None:
            return Reason.BOOK
        doubt_ns = self.orders.doubt_ns(now_ns)
        if doubt_ns >= terms.doubt_ns_max:
            unknown = [o.seq for o in self.orders.live.values() if o.state is OrderState.UNKNOWN]
            self._tell(Reason.DOUBT, f"hedges of unknown state: {unknown}")
            return Reason.DOUBT
        self._told.discard(Reason.DOUBT)
        if self._aged_ns is not None and now_ns - self._aged_ns >= terms.exposure_ns_max:
            self._tell(Reason.OLD, f"unhedged for too long: {self.cost.net_atoms} atoms")
            return Reason.OLD
        if self._stopped is not None and now_ns - self._healthy_ns < terms.resume_ns:
            return Reason.RECOVERING
        return None

    def _tell(self, reason: Reason, text: str) -> None:
        """Report once until it is over."""
        if reason not in self._told:
            self._told.add(reason)
            self._out.append(Incident("critical", f"hedge_{reason.value}", text))
