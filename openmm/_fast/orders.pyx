"""The order table: every own order from intent to its proven end.

A slot holds one order; its sequence is ``generation * ORDERS_MAX + slot``, so that a sequence leads
to its slot and an old sequence never reaches a new order. What an event does to an order stands in
one static table, `openmm_order_table` below, drawn in docs/orders.md. An order ends only on proof,
and stays in its slot after that, because fills come late; a terminal slot is reused when it is
released, or, oldest first, when no free one is left.

Requests that the venue has not answered are bits (`InFlight`). An answer clears its bit, and the
order settles (open, partly or wholly filled) when none is left: a late acknowledgement of the create
does not end a cancel in flight.
"""

from typing import NamedTuple

from openmm.errors import RiskError

from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from openmm._fast.units cimport BUY, SELL, i128, i128_to_py, ticklots


cdef extern from * nogil:
    """
    /* Outcomes beside the state to enter (1..9). Zero is illegal: what is not written is refused. */
    enum {
        XX = 0,      /* illegal: alarm */
        NEW = 1, PCAN = 4, PAMD = 5, UNKN = 6, CANC = 8, REJ = 9,
        IGN = 10,    /* late or doubled: changes nothing */
        SET = 11,    /* the event answers a request: clear its bit, settle when none is left */
        ADO = 12,    /* adopt the values that came with it, ignored without */
        DENY = 13,   /* rejected if the create is unanswered, else illegal */
        GONE = 14,   /* cancelled, but ignored while a create is in flight and not yet unknown */
        PROV = 15,   /* proof of life: settles create, cancel and doubt; an amend if the price is told */
        BOOK = 16,   /* a fill decides: filled when whole, else settled if nothing is in flight */
        LATE = 17    /* a fill after the end: booked, the state stays */
    };
    static const uint8_t openmm_order_table[10][15] = {
        /*               -   PLACE ACK  REJ   AM_S  AMD  AM_R CA_S  CANC  CA_R  FILL  TIME  OPEN  GONE  EXP */
        /* FREE       */ {XX, NEW, XX,  XX,   XX,   XX,  XX,  XX,   XX,   XX,   XX,   XX,   XX,   XX,   XX},
        /* PENDING_NEW*/ {XX, XX,  SET, DENY, XX,   XX,  XX,  PCAN, CANC, XX,   BOOK, UNKN, SET,  GONE, CANC},
        /* OPEN       */ {XX, XX,  IGN, XX,   PAMD, ADO, IGN, PCAN, CANC, UNKN, BOOK, UNKN, ADO,  GONE, CANC},
        /* PART_FILLED*/ {XX, XX,  IGN, XX,   PAMD, ADO, IGN, PCAN, CANC, UNKN, BOOK, UNKN, ADO,  GONE, CANC},
        /* PEND_CANCEL*/ {XX, XX,  SET, DENY, XX,   SET, SET, IGN,  CANC, UNKN, BOOK, UNKN, SET,  GONE, CANC},
        /* PEND_AMEND */ {XX, XX,  IGN, XX,   XX,   SET, SET, PCAN, CANC, UNKN, BOOK, UNKN, IGN,  GONE, CANC},
        /* UNKNOWN    */ {XX, XX,  SET, DENY, XX,   SET, SET, UNKN, CANC, UNKN, BOOK, IGN,  PROV, GONE, CANC},
        /* FILLED     */ {XX, XX,  IGN, XX,   XX,   IGN, IGN, XX,   IGN,  IGN,  LATE, IGN,  XX,   IGN,  IGN},
        /* CANCELLED  */ {XX, XX,  IGN, IGN,  XX,   IGN, IGN, XX,   IGN,  IGN,  LATE, IGN,  XX,   IGN,  IGN},
        /* REJECTED   */ {XX, XX,  XX,  IGN,  XX,   XX,  XX,  XX,   IGN,  IGN,  LATE, IGN,  XX,   IGN,  IGN},
    };
    """
    const uint8_t openmm_order_table[10][15]
    enum:
        OUT_ILLEGAL "XX"
        OUT_IGNORED "IGN"
        OUT_SETTLE "SET"
        OUT_ADOPT "ADO"
        OUT_DENY "DENY"
        OUT_GONE "GONE"
        OUT_PROVE "PROV"
        OUT_BOOK "BOOK"
        OUT_LATE "LATE"

cdef enum:
    STATE_COUNT = 10
    EVENT_COUNT = 15
    SLOT_BYTES = 192
    LEVEL_MAX = 255
    NO_SLOT = -1

cdef extern from * nogil:
    """
    /* An order left in peace for so long has its cancels counted anew. */
    #define OPENMM_CANCEL_FORGIVE_NS INT64_C(60000000000)
    """
    const int64_t CANCEL_FORGIVE_NS "OPENMM_CANCEL_FORGIVE_NS"

cdef extern from * nogil:
    """
    #define OPENMM_FILLED_LOTS_MAX (INT64_MAX / 2)
    """
    const int64_t FILLED_LOTS_MAX "OPENMM_FILLED_LOTS_MAX"  # a sum beyond it is no quantity

cdef inline bint is_live(int state) noexcept nogil:
    return PENDING_NEW <= state <= UNKNOWN


cdef inline bint is_pending(int state) noexcept nogil:
    return state == PENDING_NEW or state == PENDING_CANCEL or state == PENDING_AMEND


cdef inline int64_t worst_lots(const Order* order) noexcept nogil:
    """Remaining lots if the venue chose the larger of the confirmed and the pending quantity."""
    cdef int64_t total = order.qty_lots
    if order.pending_qty_lots > total:
        total = order.pending_qty_lots
    return total - order.filled_lots if total > order.filled_lots else 0


cdef inline int64_t worst_ticks(const Order* order) noexcept nogil:
    """Higher of the confirmed and the pending price: what the order can cost at most."""
    return order.pending_price_ticks if order.pending_price_ticks > order.price_ticks else order.price_ticks


cdef inline i128 cost_of(const Order* order) noexcept nogil:
    return ((<i128>order.cost_ticklots_high) << 64) | (<i128>(<uint64_t>order.cost_ticklots_low))


cdef inline void add_cost(Order* order, i128 cost_ticklots) noexcept nogil:
    cdef i128 total = cost_of(order) + cost_ticklots
    order.cost_ticklots_low = <int64_t>(<uint64_t>total)
    order.cost_ticklots_high = <int64_t>(total >> 64)


class OrderView(NamedTuple):
    """A copy of one order. Prices in ticks, quantities in lots, `cost_ticklots` of what filled."""

    seq: int
    side: int
    level: int
    state: OrderState
    price_ticks: int
    qty_lots: int
    filled_lots: int
    pending_price_ticks: int
    pending_qty_lots: int
    post_only: bool
    acked: bool
    in_flight: int
    created_ns: int
    acted_ns: int
    amended_ns: int
    queue_ns: int
    cost_ticklots: int
    unanswered_count: int
    venue_id: str


class Totals(NamedTuple):
    """What the live orders come to. Worst case: the larger of confirmed and pending, unknown in full."""

    live_count: int
    unknown_count: int
    pending_count: int
    buy_lots: int
    sell_lots: int
    buy_ticklots: int
    sell_ticklots: int
    best_buy_ticks: int
    best_sell_ticks: int


def transition_table():
    """Return the table: (state, event) -> outcome, a state's name or IGNORED, SETTLE, ADOPT, DENY, ....

    Pairs that are not in it are illegal.
    """
    names = {
        <int>OUT_IGNORED: "IGNORED", <int>OUT_SETTLE: "SETTLE", <int>OUT_ADOPT: "ADOPT",
        <int>OUT_DENY: "DENY", <int>OUT_GONE: "GONE", <int>OUT_PROVE: "PROVE", <int>OUT_BOOK: "BOOK",
        <int>OUT_LATE: "LATE",
    }
    table = {}
    cdef int state, event, outcome
    for state in range(STATE_COUNT):
        for event in range(EVENT_COUNT):
            outcome = openmm_order_table[state][event]
            if outcome != OUT_ILLEGAL:
                table[OrderState(state), OrderEvent(event)] = (
                    names[outcome] if outcome in names else OrderState(outcome).name
                )
    return table


@final
cdef class OrderTable:
    """Hold every own order from intent to its proven end, and what the live ones come to.

    No method allocates. Every change of an order goes through `apply_c` and the table above it; the
    exposure is taken off before a change and put back after it, so that it cannot drift.
    """

    def __cinit__(self):
        cdef int32_t slot
        self.memory = calloc(1, ORDERS_MAX * SLOT_BYTES + 64)
        if self.memory == NULL:
            raise MemoryError()
        self.orders = <Order*>((<uintptr_t>self.memory + 63) & ~<uintptr_t>63)
        assert sizeof(Order) == SLOT_BYTES
        for slot in range(ORDERS_MAX):
            self.free_slots[slot] = ORDERS_MAX - 1 - slot
            self.ended_next[slot] = NO_SLOT
            self.ended_prev[slot] = NO_SLOT
        self.free_count = ORDERS_MAX
        self.ended_first = NO_SLOT
        self.ended_last = NO_SLOT

    def __dealloc__(self):
        free(self.memory)

    # ---------------------------------------------------------------- C face

    cdef Order* find_c(self, uint64_t seq) noexcept nogil:
        cdef Order* order = &self.orders[seq & (ORDERS_MAX - 1)]
        return order if order.seq == seq and seq != 0 else NULL

    cdef bint room_c(self) noexcept nogil:
        return self.free_count + self.ended_count > 0

    cdef uint64_t place_c(
        self, int side, int level, int64_t price_ticks, int64_t qty_lots, bint post_only, int64_t now_ns
    ) noexcept nogil:
        cdef int32_t slot, at
        cdef Order* order
        if (side != BUY and side != SELL) or price_ticks <= 0 or qty_lots <= 0:
            return 0
        if level < 0 or level > LEVEL_MAX:
            return 0
        if self.free_count == 0:
            if self.ended_count == 0:
                return 0
            slot = self.ended_first
            self.unlink_c(slot)
        else:
            self.free_count -= 1
            slot = self.free_slots[self.free_count]
        order = &self.orders[slot]
        memset(order, 0, sizeof(Order))
        self.generation[slot] += 1
        order.seq = self.generation[slot] * ORDERS_MAX + <uint64_t>slot
        order.price_ticks = price_ticks
        order.qty_lots = qty_lots
        order.side = <uint8_t>side
        order.level = <uint8_t>level
        order.post_only = post_only
        order.created_ns = now_ns
        order.acted_ns = now_ns
        order.amended_ns = now_ns
        order.queue_ns = now_ns
        order.in_flight = FLIGHT_CREATE
        at = self.live_count
        if level < LANE_FIRST:
            while at > self.ladder_count:
                self.live_slots[at] = self.live_slots[at - 1]
                at -= 1
            self.ladder_count += 1
        self.live_slots[at] = slot
        self.live_count += 1
        self.enter_c(order, PENDING_NEW)
        self.expose_c(order, 1)
        self.version += 1
        return order.seq

    cdef bint hang_c(self, uint64_t seq, int lane, int64_t now_ns) noexcept nogil:
        cdef Order* order = self.find_c(seq)
        cdef int32_t slot, i
        cdef int32_t kept = 0
        if order == NULL or not PENDING_NEW <= order.state <= UNKNOWN:
            return False
        if order.level >= LANE_FIRST or not LANE_HANGING <= lane < LANE_FLATTEN:
            return False
        slot = <int32_t>(order.seq & (ORDERS_MAX - 1))
        while self.live_slots[kept] != slot:
            kept += 1
        for i in range(kept, self.ladder_count - 1):
            self.live_slots[i] = self.live_slots[i + 1]
        # Beside the ladder too, orders stand in order of creation.
        i = self.ladder_count - 1
        while i + 1 < self.live_count and self.orders[self.live_slots[i + 1]].created_ns <= order.created_ns:
            self.live_slots[i] = self.live_slots[i + 1]
            i += 1
        self.live_slots[i] = slot
        self.ladder_count -= 1
        order.level = <uint8_t>lane
        order.lane_ns = now_ns
        self.version += 1
        return True

    cdef Transition amend_sent_c(
        self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns
    ) noexcept nogil:
        return self.evidence_c(seq, EV_AMEND_SENT, price_ticks, qty_lots, now_ns)

    cdef Transition cancel_sent_c(self, uint64_t seq, int64_t now_ns) noexcept nogil:
        return self.evidence_c(seq, EV_CANCEL_SENT, 0, 0, now_ns)

    cdef Transition event_c(self, uint64_t seq, OrderEvent event, int64_t now_ns) noexcept nogil:
        return self.evidence_c(seq, event, 0, 0, now_ns)

    cdef Transition evidence_c(
        self, uint64_t seq, OrderEvent event, int64_t price_ticks, int64_t qty_lots, int64_t now_ns
    ) noexcept nogil:
        cdef Order* order = self.find_c(seq)
        cdef Transition result
        cdef int32_t was
        if order == NULL:
            return TR_UNKNOWN_ORDER
        if event == EV_FILL or event == EV_PLACED or price_ticks < 0 or qty_lots < 0:
            return TR_ILLEGAL
        was = order.state
        if not is_live(was):
            return self.apply_c(order, event, 0, 0, now_ns)
        self.expose_c(order, -1)
        result = self.apply_c(order, event, price_ticks, qty_lots, now_ns)
        if is_live(order.state):
            self.expose_c(order, 1)
        else:
            self.end_c(<int32_t>(seq & (ORDERS_MAX - 1)))
        if result == TR_OK:
            self.version += 1
        return result

    cdef Transition apply_c(
        self, Order* order, OrderEvent event, int64_t price_ticks, int64_t qty_lots, int64_t now_ns
    ) noexcept nogil:
        """Look the pair up and do what the table says."""
        cdef int outcome, answered
        if <int>event <= 0 or <int>event >= EVENT_COUNT:
            return TR_ILLEGAL
        outcome = openmm_order_table[order.state][<int>event]
        if outcome == OUT_ILLEGAL:
            return TR_ILLEGAL
        if outcome == OUT_IGNORED:
            return TR_IGNORED
        if outcome == OUT_SETTLE:
            answered = FLIGHT_AMEND
            if event == EV_ACKED or event == EV_PROVEN_OPEN:
                answered = FLIGHT_CREATE
            if not order.in_flight & answered:
                return TR_IGNORED
            order.in_flight &= ~answered
            if event == EV_AMENDED:
                order.amended_ns = now_ns
                self.adopt_c(
                    order,
                    price_ticks if price_ticks else order.pending_price_ticks,
                    qty_lots if qty_lots else order.pending_qty_lots,
                    now_ns,
                )
            elif event == EV_ACKED or event == EV_PROVEN_OPEN:
                order.acked = 1
                order.amended_ns = now_ns
                order.queue_ns = now_ns
                if order.in_flight & FLIGHT_AMEND == 0:
                    self.adopt_c(order, price_ticks, qty_lots, now_ns)
            if answered == FLIGHT_AMEND:
                order.pending_price_ticks = 0
                order.pending_qty_lots = 0
            self.settle_c(order)
            return TR_OK
        if outcome == OUT_ADOPT:
            if (price_ticks == 0 or price_ticks == order.price_ticks) and (
                qty_lots == 0 or qty_lots == order.qty_lots
            ):
                return TR_IGNORED
            self.adopt_c(order, price_ticks, qty_lots, now_ns)
            self.settle_c(order)
            return TR_OK
        if outcome == OUT_DENY:
            if not order.in_flight & FLIGHT_CREATE:
                return TR_ILLEGAL
            self.enter_c(order, REJECTED)
            return TR_OK
        if outcome == OUT_GONE:
            if order.in_flight & FLIGHT_CREATE and order.state != UNKNOWN:
                return TR_IGNORED
            self.enter_c(order, CANCELLED)
            return TR_OK
        if outcome == OUT_PROVE:
            order.in_flight &= FLIGHT_AMEND
            order.acked = 1
            if order.in_flight == 0 or price_ticks != 0:
                order.in_flight = 0
                order.pending_price_ticks = 0
                order.pending_qty_lots = 0
                self.adopt_c(order, price_ticks, qty_lots, now_ns)
            self.settle_c(order)
            return TR_OK
        # The outcome is the state to enter.
        if event == EV_AMEND_SENT:
            if price_ticks <= 0 or qty_lots <= order.filled_lots:
                return TR_ILLEGAL
            order.pending_price_ticks = price_ticks
            order.pending_qty_lots = qty_lots
            order.in_flight |= FLIGHT_AMEND
            order.acted_ns = now_ns
            order.amended_ns = now_ns
        elif event == EV_CANCEL_SENT:
            order.in_flight |= FLIGHT_CANCEL
            if now_ns - order.cancel_ns > CANCEL_FORGIVE_NS:
                order.cancel_count = 0
            order.cancel_ns = now_ns
            order.cancel_count += 1
            if outcome != UNKNOWN:
                # A cancel makes nothing new: what is known to be absent stays so.
                order.acted_ns = now_ns
        elif event == EV_CANCEL_REJECTED:
            order.in_flight = (order.in_flight & ~FLIGHT_CANCEL) | FLIGHT_DOUBT
        elif event == EV_TIMEOUT:
            order.unanswered_count += 1
            if order.in_flight == 0:
                order.in_flight = FLIGHT_DOUBT  # nothing was under way: only a query settles it
        self.enter_c(order, outcome)
        return TR_OK

    cdef Transition fill_c(
        self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns
    ) noexcept nogil:
        cdef Order* order = self.find_c(seq)
        cdef int outcome
        cdef int64_t total
        if order == NULL:
            return TR_UNKNOWN_ORDER
        if price_ticks <= 0 or qty_lots <= 0 or qty_lots > FILLED_LOTS_MAX - order.filled_lots:
            return TR_ILLEGAL
        outcome = openmm_order_table[order.state][<int>EV_FILL]
        if outcome != OUT_BOOK and outcome != OUT_LATE:
            return TR_ILLEGAL
        self.version += 1
        if outcome == OUT_LATE:
            order.filled_lots += qty_lots
            add_cost(order, ticklots(price_ticks, qty_lots))
            if order.filled_lots > order.qty_lots or order.state == REJECTED:
                return TR_OVERFILL
            return TR_OK
        self.expose_c(order, -1)
        order.filled_lots += qty_lots
        add_cost(order, ticklots(price_ticks, qty_lots))
        order.acked = 1
        order.in_flight &= ~FLIGHT_CREATE
        total = order.qty_lots
        if order.pending_qty_lots > total:
            total = order.pending_qty_lots
        if order.filled_lots >= total:
            self.enter_c(order, FILLED)
            self.end_c(<int32_t>(seq & (ORDERS_MAX - 1)))
            return TR_OVERFILL if order.filled_lots > total else TR_OK
        self.settle_c(order)
        self.expose_c(order, 1)
        return TR_OK

    cdef void release_c(self, uint64_t seq) noexcept nogil:
        cdef Order* order = self.find_c(seq)
        cdef int32_t slot
        if order == NULL or is_live(order.state):
            return
        slot = <int32_t>(seq & (ORDERS_MAX - 1))
        self.unlink_c(slot)
        memset(order, 0, sizeof(Order))
        self.free_slots[self.free_count] = slot
        self.free_count += 1
        self.version += 1

    cdef int64_t own_lots_at_c(self, int side, int64_t price_ticks) noexcept nogil:
        cdef int32_t i
        cdef const Order* order
        cdef int64_t lots = 0
        if self.price_count[side][price_ticks & 255] == 0:
            return 0
        for i in range(self.live_count):
            order = &self.orders[self.live_slots[i]]
            if order.side == side and (
                order.price_ticks == price_ticks or order.pending_price_ticks == price_ticks
            ):
                lots += worst_lots(order)
        return lots

    cdef void cancel_unsent_c(
        self, uint64_t seq, int32_t state, int32_t in_flight, int64_t acted_ns
    ) noexcept nogil:
        cdef Order* order = self.find_c(seq)
        if order == NULL or not is_live(order.state) or not is_live(state):
            return
        self.expose_c(order, -1)
        order.in_flight = in_flight
        order.acted_ns = acted_ns
        order.cancel_count -= 1
        self.enter_c(order, state)
        self.expose_c(order, 1)
        self.version += 1

    cdef int64_t best_own_ticks_c(self, int side) noexcept nogil:
        cdef int32_t i
        cdef const Order* order
        cdef int64_t best = 0
        cdef int64_t ticks
        if not self.best_dirty[side]:
            return self.best_ticks[side]
        for i in range(self.live_count):
            order = &self.orders[self.live_slots[i]]
            if order.side != side:
                continue
            ticks = touch_ticks(order)
            if best == 0 or (ticks > best if side == BUY else ticks < best):
                best = ticks
        self.best_ticks[side] = best
        self.best_dirty[side] = False
        return best

    cdef bint has_price_c(self, int side, int64_t price_ticks, uint64_t except_seq) noexcept nogil:
        cdef int32_t i
        cdef const Order* order
        if self.price_count[side][price_ticks & 255] == 0:
            return False
        for i in range(self.live_count):
            order = &self.orders[self.live_slots[i]]
            if order.side == side and order.seq != except_seq and (
                order.price_ticks == price_ticks or order.pending_price_ticks == price_ticks
            ):
                return True
        return False

    cdef bint level_unknown_c(self, int side, int level) noexcept nogil:
        cdef int32_t i
        cdef const Order* order
        if self.unknown_count == 0:
            return False
        for i in range(self.live_count):
            order = &self.orders[self.live_slots[i]]
            if order.state == UNKNOWN and order.side == side and order.level == level:
                return True
        return False

    # ---------------------------------------------------------------- private

    cdef void expose_c(self, const Order* order, int sign) noexcept nogil:
        """Add (+1) or take off (-1) what a live order weighs."""
        cdef int side = order.side
        cdef int64_t lots = worst_lots(order)
        cdef int64_t touch = touch_ticks(order)
        self.price_count[side][order.price_ticks & 255] += <uint16_t>sign
        if order.pending_price_ticks:
            self.price_count[side][order.pending_price_ticks & 255] += <uint16_t>sign
        if sign > 0:
            self.open_lots[side] += lots
            self.open_ticklots[side] += ticklots(worst_ticks(order), lots)
            if not self.best_dirty[side] and (
                self.best_ticks[side] == 0
                or (touch > self.best_ticks[side] if side == BUY else touch < self.best_ticks[side])
            ):
                self.best_ticks[side] = touch
        else:
            self.open_lots[side] -= lots
            self.open_ticklots[side] -= ticklots(worst_ticks(order), lots)
            if touch == self.best_ticks[side]:
                self.best_dirty[side] = True

    cdef void enter_c(self, Order* order, int state) noexcept nogil:
        """Change the state and the counts by state."""
        if is_pending(order.state):
            self.pending_count -= 1
        elif order.state == UNKNOWN:
            self.unknown_count -= 1
        if is_pending(state):
            self.pending_count += 1
        elif state == UNKNOWN:
            self.unknown_count += 1
        order.state = state
        if not is_live(state):
            order.in_flight = 0
            order.pending_price_ticks = 0
            order.pending_qty_lots = 0

    cdef void settle_c(self, Order* order) noexcept nogil:
        """Rest the order when nothing is in flight; else its state stays."""
        if order.in_flight:
            return
        order.unanswered_count = 0
        if order.filled_lots >= order.qty_lots:
            self.enter_c(order, FILLED)
        elif order.filled_lots > 0:
            self.enter_c(order, PARTIALLY_FILLED)
        else:
            self.enter_c(order, OPEN)

    cdef void adopt_c(self, Order* order, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil:
        """Take the venue's word for price and total quantity (0: not told)."""
        if price_ticks and price_ticks != order.price_ticks:
            order.price_ticks = price_ticks
            order.queue_ns = now_ns
            order.amended_ns = now_ns
        if qty_lots and qty_lots != order.qty_lots:
            if qty_lots > order.qty_lots:
                order.queue_ns = now_ns
            order.qty_lots = qty_lots
            order.amended_ns = now_ns

    cdef void end_c(self, int32_t slot) noexcept nogil:
        """Move a slot from the live list to the end of the terminal ones."""
        cdef int32_t i, kept = 0
        for i in range(self.live_count):
            if self.live_slots[i] != slot:
                self.live_slots[kept] = self.live_slots[i]
                kept += 1
        self.live_count = kept
        if self.orders[slot].level < LANE_FIRST:
            self.ladder_count -= 1
        self.ended_prev[slot] = self.ended_last
        self.ended_next[slot] = NO_SLOT
        if self.ended_last == NO_SLOT:
            self.ended_first = slot
        else:
            self.ended_next[self.ended_last] = slot
        self.ended_last = slot
        self.ended_count += 1

    cdef void unlink_c(self, int32_t slot) noexcept nogil:
        """Take a slot out of the terminal ones."""
        cdef int32_t before = self.ended_prev[slot]
        cdef int32_t after = self.ended_next[slot]
        if before == NO_SLOT:
            self.ended_first = after
        else:
            self.ended_next[before] = after
        if after == NO_SLOT:
            self.ended_last = before
        else:
            self.ended_prev[after] = before
        self.ended_prev[slot] = NO_SLOT
        self.ended_next[slot] = NO_SLOT
        self.ended_count -= 1

    # ---------------------------------------------------------------- Python face

    def place(self, int side, int level, int64_t price_ticks, int64_t qty_lots, bint post_only=True, *, int64_t now_ns):
        """Reserve a slot for an order about to be sent; return its sequence.

        Raises:
            ValueError: a side that is neither BUY nor SELL, a level outside 0..255, a price or
                quantity that is not positive.
            RiskError: the table is full of live orders.
        """
        check_order(side, level, price_ticks, qty_lots)
        cdef uint64_t seq = self.place_c(side, level, price_ticks, qty_lots, post_only, now_ns)
        if seq == 0:
            raise RiskError(f"order table is full: {self.live_count} live orders")
        return seq

    def adopt(
        self, int side, int level, int64_t price_ticks, int64_t qty_lots, int64_t filled_lots=0,
        bint post_only=True, *, int64_t now_ns, str venue_id="",
    ):
        """Enter an order that already rests at the venue (found at start-up); return its sequence.

        What had filled before is told by `filled_lots` and has no cost here: the ledger books it.

        Raises:
            ValueError: as `place`; `filled_lots` negative or the whole quantity.
            RiskError: the table is full of live orders.
        """
        if not 0 <= filled_lots < qty_lots:
            raise ValueError(f"filled_lots must be in [0, {qty_lots}): {filled_lots}")
        seq = self.place(side, level, price_ticks, qty_lots, post_only, now_ns=now_ns)
        cdef Order* order = self.find_c(seq)
        self.expose_c(order, -1)
        order.filled_lots = filled_lots
        self.expose_c(order, 1)
        self.evidence_c(seq, EV_ACKED, 0, 0, now_ns)
        if venue_id:
            self.set_venue_id(seq, venue_id)
        return seq

    def amend_sent(self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns):
        """Note that an amend left: new price and new total quantity, the filled part included."""
        return Transition(self.amend_sent_c(seq, price_ticks, qty_lots, now_ns))

    def cancel_sent(self, uint64_t seq, int64_t now_ns):
        """Note that a cancel left."""
        return Transition(self.cancel_sent_c(seq, now_ns))

    def event(self, uint64_t seq, int event, int64_t now_ns, *, int64_t price_ticks=0, int64_t qty_lots=0):
        """Apply one piece of evidence.

        Args:
            price_ticks, qty_lots: what the venue says with it (confirmed price, total quantity,
                filled part included); 0 when it does not say. With EV_AMEND_SENT what was asked for.

        Raises:
            ValueError: not an event, or a negative value.
        """
        if not 0 < event < EVENT_COUNT:
            raise ValueError(f"not an order event: {event}")
        if price_ticks < 0 or qty_lots < 0:
            raise ValueError(f"price and quantity must not be negative: {price_ticks}, {qty_lots}")
        return Transition(self.evidence_c(seq, <OrderEvent>event, price_ticks, qty_lots, now_ns))

    def amended(self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns):
        """Apply the venue's word that an order now has this price and total quantity."""
        return self.event(seq, EV_AMENDED, now_ns, price_ticks=price_ticks, qty_lots=qty_lots)

    def hang(self, uint64_t seq, int lane, int64_t now_ns):
        """Take a live order of the ladder's out of it, into a hanging lane; returns whether it was one."""
        return bool(self.hang_c(seq, lane, now_ns))

    def fill(self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns):
        """Book one fill. The caller has made sure, by the venue's trade id, that it is a new one.

        Raises:
            ValueError: price or quantity not positive.
        """
        if price_ticks <= 0 or qty_lots <= 0:
            raise ValueError(f"price and quantity must be positive: {price_ticks}, {qty_lots}")
        return Transition(self.fill_c(seq, price_ticks, qty_lots, now_ns))

    def release(self, uint64_t seq):
        """Free the slot of a finished order.

        Raises:
            ValueError: the order is not in the table, or not finished.
        """
        cdef Order* order = self.find_c(seq)
        if order == NULL or is_live(order.state):
            raise ValueError(f"not a finished order: {seq}")
        self.release_c(seq)

    def set_venue_id(self, uint64_t seq, str text):
        """Keep the venue's own id of an order.

        Raises:
            ValueError: no such order, or more than VENUE_ID_BYTES of ASCII.
        """
        cdef Order* order = self.find_c(seq)
        cdef bytes data = text.encode("ascii")
        if order == NULL:
            raise ValueError(f"not in the table: {seq}")
        if len(data) > VENUE_ID_BYTES:
            raise ValueError(f"venue id is longer than {VENUE_ID_BYTES} bytes: {text}")
        memcpy(order.venue_id, <const char*>data, <size_t>len(data))
        order.venue_id_len = <int32_t>len(data)

    def get(self, uint64_t seq):
        """Copy one order, live or finished; None when the table does not hold it."""
        cdef Order* order = self.find_c(seq)
        return None if order == NULL else view_of(order)

    def live(self):
        """Copy the live orders: the ladder's in order of creation, then those beside it."""
        cdef int32_t i
        return [view_of(&self.orders[self.live_slots[i]]) for i in range(self.live_count)]

    def ended(self):
        """Copy the finished orders that still hold their slot, first finished first."""
        views = []
        cdef int32_t slot = self.ended_first
        while slot != NO_SLOT:
            views.append(view_of(&self.orders[slot]))
            slot = self.ended_next[slot]
        return views

    def timeouts(self, int64_t now_ns, int64_t timeout_ns):
        """List the sequences of orders whose request has gone unanswered for `timeout_ns` or longer."""
        cdef int32_t i
        cdef Order* order
        late = []
        for i in range(self.live_count):
            order = &self.orders[self.live_slots[i]]
            if is_pending(order.state) and now_ns - order.acted_ns >= timeout_ns:
                late.append(order.seq)
        return late

    def own_lots_at(self, int side, int64_t price_ticks):
        """Sum our acknowledged remaining lots at a price."""
        check_side(side)
        return self.own_lots_at_c(side, price_ticks)

    def has_price(self, int side, int64_t price_ticks, uint64_t except_seq=0):
        """Tell whether another live order of the side has that price, confirmed or pending."""
        check_side(side)
        return bool(self.has_price_c(side, price_ticks, except_seq))

    def totals(self):
        """Return the running exposure."""
        return Totals(
            self.live_count, self.unknown_count, self.pending_count,
            self.open_lots[<int>BUY], self.open_lots[<int>SELL],
            i128_to_py(self.open_ticklots[<int>BUY]), i128_to_py(self.open_ticklots[<int>SELL]),
            self.best_own_ticks_c(BUY), self.best_own_ticks_c(SELL),
        )

    def recompute(self):
        """Sum the exposure afresh from the slots, in plain Python. For tests and self-checks."""
        live = [view_of(&self.orders[slot]) for slot in range(ORDERS_MAX) if is_live(self.orders[slot].state)]
        lots = {<int>BUY: 0, <int>SELL: 0}
        cost = {<int>BUY: 0, <int>SELL: 0}
        for o in live:
            rest = max(max(o.qty_lots, o.pending_qty_lots) - o.filled_lots, 0)
            lots[o.side] += rest
            cost[o.side] += rest * max(o.price_ticks, o.pending_price_ticks)
        bids = [max(o.price_ticks, o.pending_price_ticks) for o in live if o.side == BUY]
        asks = [min(o.price_ticks, o.pending_price_ticks or o.price_ticks) for o in live if o.side == SELL]
        return Totals(
            len(live),
            sum(o.state == UNKNOWN for o in live),
            sum(o.state in (PENDING_NEW, PENDING_CANCEL, PENDING_AMEND) for o in live),
            lots[<int>BUY], lots[<int>SELL], cost[<int>BUY], cost[<int>SELL],
            max(bids, default=0), min(asks, default=0),
        )

    @property
    def version(self):
        """Count of changes so far."""
        return self.version

    @property
    def live_count(self):
        """Count of live orders, unknown ones included."""
        return self.live_count

    @property
    def ladder_count(self):
        """Count of live orders that the planner works with."""
        return self.ladder_count

    @property
    def unknown_count(self):
        """Count of orders in UNKNOWN."""
        return self.unknown_count

    @property
    def pending_count(self):
        """Count of orders with a request under way."""
        return self.pending_count

    @property
    def capacity(self):
        """Count of slots."""
        return ORDERS_MAX


cdef inline int64_t touch_ticks(const Order* order) noexcept nogil:
    """Price nearest the other side among confirmed and pending."""
    if order.pending_price_ticks == 0:
        return order.price_ticks
    if (order.pending_price_ticks > order.price_ticks) == (order.side == BUY):
        return order.pending_price_ticks
    return order.price_ticks


cdef object check_side(int side):
    if side != BUY and side != SELL:
        raise ValueError(f"side must be BUY or SELL: {side}")


cdef object check_order(int side, int level, int64_t price_ticks, int64_t qty_lots):
    check_side(side)
    if not 0 <= level <= LEVEL_MAX:
        raise ValueError(f"level must be in 0..{LEVEL_MAX}: {level}")
    if price_ticks <= 0 or qty_lots <= 0:
        raise ValueError(f"price and quantity must be positive: {price_ticks}, {qty_lots}")


cdef object view_of(const Order* order):
    return OrderView(
        order.seq, order.side, order.level, OrderState(order.state), order.price_ticks, order.qty_lots,
        order.filled_lots, order.pending_price_ticks, order.pending_qty_lots, bool(order.post_only),
        bool(order.acked), order.in_flight, order.created_ns, order.acted_ns, order.amended_ns,
        order.queue_ns, i128_to_py(cost_of(order)), order.unanswered_count,
        order.venue_id[:order.venue_id_len].decode("ascii"),
    )
