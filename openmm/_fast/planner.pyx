"""Wanted ladder against live orders: the smallest set of actions that is safe in every order of events.

A side's orders and wanted levels, both best first, are matched one to one and in price order, so
that as many orders as possible stay untouched; a ladder that shifts by one level moves one order.
What is left over is paired in price order and amended (or cancelled, where the venue cannot amend),
the rest is cancelled or placed. Orders with a request under way are never touched and each holds a
level: nothing is placed for a level whose order may still be alive.

No action may meet one of our own orders, at its present or its pending price: such an amend or place
waits until the other order is proven out of the way. So no reordering and no refusal at the venue
makes us trade with ourselves. Specification: tests/oracles/planner.py.
"""

from typing import NamedTuple

from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from openmm._fast.orders cimport (
    FLIGHT_CANCEL, FLIGHT_DOUBT, OPEN, PARTIALLY_FILLED, PENDING_CANCEL, Order, OrderTable,
)
from openmm._fast.quotes cimport LEVELS_MAX, Ladder, Level
from openmm._fast.units cimport ASK, BID, BUY, PPM, SELL, i128

cdef enum:
    NO_LEVEL = -1
    # Kinds of seat.
    MOVABLE = 0
    STALE = 1        # to be cancelled for its age
    LEAVING = 2      # a cancel is under way
    FIXED = 3        # another request is under way, or unknown

# Weights of a match, in lexicographic order: a level that is held by an order that may be about to
# rest there, an order kept, an order that only changes its quantity, an order that is on its way out;
# then the smaller distance. No sum over LEVELS_MAX reaches the next weight.
cdef extern from * nogil:
    """
    #define OPENMM_FIT_HELD (INT64_C(1) << 56)
    #define OPENMM_FIT_KEPT (INT64_C(1) << 50)
    #define OPENMM_FIT_RESIZED (INT64_C(1) << 44)
    #define OPENMM_FIT_LEAVING (INT64_C(1) << 38)
    #define OPENMM_DISTANCE_MAX (INT64_C(1) << 30)
    """
    const int64_t FIT_HELD "OPENMM_FIT_HELD"
    const int64_t FIT_KEPT "OPENMM_FIT_KEPT"
    const int64_t FIT_RESIZED "OPENMM_FIT_RESIZED"
    const int64_t FIT_LEAVING "OPENMM_FIT_LEAVING"
    const int64_t DISTANCE_MAX "OPENMM_DISTANCE_MAX"


cdef inline int64_t seen_ticks(const Order* order) noexcept nogil:
    """Price the order has or is about to have."""
    return order.pending_price_ticks if order.pending_price_ticks else order.price_ticks


cdef inline bint qty_fits(int64_t remaining_lots, int64_t wanted_lots, int64_t tolerance_ppm) noexcept nogil:
    cdef int64_t off
    if remaining_lots == wanted_lots:
        return True
    off = remaining_lots - wanted_lots
    if off < 0:
        off = -off
    return (<i128>off) * (<i128>PPM) <= (<i128>tolerance_ppm) * (<i128>wanted_lots)


cdef inline bint blocked(OrderTable table, int side, int64_t price_ticks, uint64_t seq) noexcept nogil:
    """Whether the price meets a live own order: another of the side there, or one of the other side."""
    cdef int64_t own
    if side == BUY:
        own = table.best_own_ticks_c(SELL)
        if own != 0 and price_ticks >= own:
            return True
    else:
        own = table.best_own_ticks_c(BUY)
        if own != 0 and price_ticks <= own:
            return True
    return table.has_price_c(side, price_ticks, seq)


class ActionView(NamedTuple):
    """A copy of one action. `qty_lots` of an amend is the new total, the filled part included."""

    kind: ActionKind
    why: ActionWhy
    seq: int
    side: int
    level: int
    price_ticks: int
    qty_lots: int


@final
cdef class Planner:
    """Plan the actions that turn the live orders into the wanted ladder.

    Args:
        tolerance_ticks: an order this near its wanted price stays; cut to less than half the
            distance of the wanted levels where they are closer.
        qty_tolerance_ppm: a remaining quantity this near the wanted one stays.
        amend_supported: the venue changes orders in place.
        order_age_ns_max: orders created or amended longer ago are cancelled; 0 for no limit.

    Raises:
        ValueError: a negative argument.
    """

    def __cinit__(
        self, int64_t tolerance_ticks=0, int64_t qty_tolerance_ppm=0, bint amend_supported=True,
        int64_t order_age_ns_max=0,
    ):
        if not 0 <= tolerance_ticks < DISTANCE_MAX:
            raise ValueError(f"tolerance_ticks must be in [0, {DISTANCE_MAX}): {tolerance_ticks}")
        if qty_tolerance_ppm < 0 or order_age_ns_max < 0:
            raise ValueError(f"must not be negative: {qty_tolerance_ppm}, {order_age_ns_max}")
        self.tolerance_ticks = tolerance_ticks
        self.qty_tolerance_ppm = qty_tolerance_ppm
        self.amend_supported = amend_supported
        self.order_age_ns_max = order_age_ns_max

    # ---------------------------------------------------------------- C face

    cdef int plan_c(self, const Ladder* ladder, OrderTable table, int64_t now_ns) noexcept nogil:
        cdef int i, first, second
        cdef int64_t drift = 0
        cdef int side
        cdef Seat* seat
        self.count = 0
        self.near_ticks[<int>BID] = self.tolerance_c(ladder, BID)
        self.near_ticks[<int>ASK] = self.tolerance_c(ladder, ASK)
        if self.unchanged_c(ladder, table, now_ns):
            return 0
        for side in range(2):
            self.seat_c(ladder, side, table, now_ns)
            self.match_c(side)
            self.hold_c(side, True)
            self.decide_c(side, table)
        for side in range(2):
            self.emit_c(side, ACTION_CANCEL, 1)
        for side in range(2):
            self.emit_c(side, ACTION_CANCEL, 0)
        for side in range(2):
            for i in range(self.seat_count[side]):
                seat = &self.seats[side][i]
                if seat.action == ACTION_AMEND:
                    drift += (self.wanted_key[side][seat.level] - seat.key) * (-1 if side == BID else 1)
        first = ASK if drift > 0 else BID
        second = BID if drift > 0 else ASK
        self.emit_c(first, ACTION_AMEND, 1)
        self.emit_c(second, ACTION_AMEND, 1)
        self.emit_c(first, ACTION_AMEND, 0)
        self.emit_c(second, ACTION_AMEND, 0)
        for i in range(LEVELS_MAX):
            for side in range(2):
                if i < self.wanted_count[side] and self.holder[side][i] == NO_LEVEL:
                    if not blocked(table, BUY if side == BID else SELL, ladder.levels[side][i].price_ticks, 0):
                        self.push_c(
                            ACTION_PLACE, WHY_MISSING, 0, BUY if side == BID else SELL, i,
                            ladder.levels[side][i].price_ticks, ladder.levels[side][i].qty_lots,
                        )
        return self.count

    cdef int plan_cancel_all_c(self, OrderTable table, int why) noexcept nogil:
        """Cancel every live order that has no cancel under way and is not in doubt."""
        cdef int i
        cdef const Order* order
        self.count = 0
        for i in range(table.live_count):
            order = &table.orders[table.live_slots[i]]
            if not order.in_flight & (FLIGHT_CANCEL | FLIGHT_DOUBT):
                self.push_c(
                    ACTION_CANCEL, why, order.seq, order.side, order.level, order.price_ticks, order.qty_lots
                )
        return self.count

    # ---------------------------------------------------------------- private

    cdef int64_t tolerance_c(self, const Ladder* ladder, int book_side) noexcept nogil:
        """Cut the tolerance to less than half the distance of levels: an order is near one level at most."""
        cdef int j
        cdef int64_t gap, least = 2 * self.tolerance_ticks + 1
        cdef int sign = -1 if book_side == BID else 1
        cdef const Level* levels = &ladder.levels[book_side][0]
        if ladder.count[book_side] > LEVELS_MAX:
            return 0
        for j in range(1, ladder.count[book_side]):
            gap = sign * (levels[j].price_ticks - levels[j - 1].price_ticks)
            if gap < least:
                least = gap
        return (least - 1) >> 1 if least > 0 else 0

    cdef bint unchanged_c(self, const Ladder* ladder, OrderTable table, int64_t now_ns) noexcept nogil:
        """Prove cheaply that every order serves its own level and no level is free."""
        cdef uint64_t taken[2]
        cdef int i, side, level
        cdef const Order* order
        cdef int64_t off
        cdef int64_t bid, ask
        if table.pending_count or table.unknown_count:
            return False
        if ladder.count[<int>BID] < 0 or ladder.count[<int>ASK] < 0:
            return False
        if ladder.count[<int>BID] > LEVELS_MAX or ladder.count[<int>ASK] > LEVELS_MAX:
            return False
        if table.live_count != ladder.count[<int>BID] + ladder.count[<int>ASK]:
            return False
        taken[0] = 0
        taken[1] = 0
        for i in range(table.live_count):
            order = &table.orders[table.live_slots[i]]
            side = order.side - 1
            level = order.level
            if level >= ladder.count[side] or taken[side] >> level & 1:
                return False
            taken[side] |= (<uint64_t>1) << level
            off = order.price_ticks - ladder.levels[side][level].price_ticks
            if off > self.near_ticks[side] or off < -self.near_ticks[side]:
                return False
            if not qty_fits(
                order.qty_lots - order.filled_lots, ladder.levels[side][level].qty_lots, self.qty_tolerance_ppm
            ):
                return False
            if self.order_age_ns_max and now_ns - order.amended_ns > self.order_age_ns_max:
                return False
        if ladder.count[<int>BID] and ladder.count[<int>ASK]:
            bid = table.best_own_ticks_c(BUY)
            ask = table.best_own_ticks_c(SELL)
            if bid >= ladder.levels[<int>ASK][0].price_ticks or ask <= ladder.levels[<int>BID][0].price_ticks:
                return False
        return True

    cdef void seat_c(self, const Ladder* ladder, int book_side, OrderTable table, int64_t now_ns) noexcept nogil:
        """Copy wanted levels and seat the live orders of a side, best first."""
        cdef int i, at, n = 0
        cdef int sign = -1 if book_side == BID else 1
        cdef int order_side = BUY if book_side == BID else SELL
        cdef int other = 1 - book_side
        cdef int count = ladder.count[book_side]
        cdef int64_t price
        cdef int64_t other_best = 0
        cdef Order* order
        cdef Seat seat
        count = 0 if count < 0 else LEVELS_MAX if count > LEVELS_MAX else count
        self.wanted_count[book_side] = count
        for i in range(count):
            self.wanted_key[book_side][i] = sign * ladder.levels[book_side][i].price_ticks
            self.wanted_lots[book_side][i] = ladder.levels[book_side][i].qty_lots
            self.holder[book_side][i] = NO_LEVEL
        if ladder.count[other] > 0:
            other_best = ladder.levels[other][0].price_ticks
        for i in range(table.live_count):
            order = &table.orders[table.live_slots[i]]
            if order.side != order_side:
                continue
            price = seen_ticks(order)
            seat.order = order
            seat.key = sign * price
            seat.level = NO_LEVEL
            seat.why = WHY_UNDECIDED
            seat.action = ACTION_UNDECIDED
            seat.crossing = 0
            if order.state == PENDING_CANCEL:
                seat.kind = LEAVING
            elif order.state != OPEN and order.state != PARTIALLY_FILLED:
                seat.kind = FIXED
            elif self.order_age_ns_max and now_ns - order.amended_ns > self.order_age_ns_max:
                seat.kind = STALE
            else:
                seat.kind = MOVABLE
                if other_best and sign * (price - other_best) <= 0:
                    seat.crossing = 1
            at = n
            while at > 0 and self.seats[book_side][at - 1].key > seat.key:
                self.seats[book_side][at] = self.seats[book_side][at - 1]
                at -= 1
            self.seats[book_side][at] = seat
            n += 1
        self.seat_count[book_side] = n

    cdef int64_t fit_c(self, int book_side, int seat, int level) noexcept nogil:
        """Weigh a match; 0 when the order may not serve the level as it stands."""
        cdef Seat* it = &self.seats[book_side][seat]
        cdef int64_t distance = it.key - self.wanted_key[book_side][level]
        if distance < 0:
            distance = -distance
        if distance > self.near_ticks[book_side]:
            return 0
        if it.kind == FIXED:
            return FIT_HELD - distance
        if it.kind != MOVABLE:
            return FIT_LEAVING - distance
        if it.crossing:
            return 0
        if qty_fits(
            it.order.qty_lots - it.order.filled_lots, self.wanted_lots[book_side][level], self.qty_tolerance_ppm
        ):
            return FIT_KEPT - distance
        return FIT_RESIZED - distance

    cdef void hold_c(self, int book_side, bint fixed) noexcept nogil:
        """Let orders that serve no level hold the nearest free one: nothing is placed there meanwhile."""
        cdef int i, j, nearest
        cdef int64_t distance, least
        for i in range(self.seat_count[book_side]):
            if self.seats[book_side][i].level != NO_LEVEL or self.seats[book_side][i].kind == MOVABLE:
                continue
            if (self.seats[book_side][i].kind == FIXED) != fixed:
                continue
            nearest = NO_LEVEL
            least = 0
            for j in range(self.wanted_count[book_side]):
                if self.holder[book_side][j] != NO_LEVEL:
                    continue
                distance = self.seats[book_side][i].key - self.wanted_key[book_side][j]
                if distance < 0:
                    distance = -distance
                if nearest == NO_LEVEL or distance < least:
                    nearest = j
                    least = distance
            if nearest != NO_LEVEL:
                self.seats[book_side][i].level = nearest
                self.holder[book_side][nearest] = i

    cdef void match_c(self, int book_side) noexcept nogil:
        """Let each level take its best fit. No order is near two levels: see `tolerance_c`."""
        cdef int i, level = 0
        cdef int holder
        cdef int64_t fit
        for i in range(self.seat_count[book_side]):
            while (
                level < self.wanted_count[book_side]
                and self.wanted_key[book_side][level] + self.near_ticks[book_side] < self.seats[book_side][i].key
            ):
                level += 1
            if level == self.wanted_count[book_side]:
                return
            fit = self.fit_c(book_side, i, level)
            if fit == 0:
                continue
            holder = self.holder[book_side][level]
            if holder != NO_LEVEL:
                if fit <= self.fit_c(book_side, holder, level):
                    continue
                self.seats[book_side][holder].level = NO_LEVEL
            self.holder[book_side][level] = i
            self.seats[book_side][i].level = level

    cdef void decide_c(self, int book_side, OrderTable table) noexcept nogil:
        """Choose the action of each order, and let movable leftovers take the free levels in turn."""
        cdef int i
        cdef int free_level = 0
        cdef int n = self.wanted_count[book_side]
        cdef int sign = -1 if book_side == BID else 1
        cdef int order_side = BUY if book_side == BID else SELL
        cdef Seat* seat
        for i in range(self.seat_count[book_side]):
            seat = &self.seats[book_side][i]
            if seat.kind == STALE:
                seat.action = ACTION_CANCEL
                seat.why = WHY_STALE
            elif seat.kind == MOVABLE and seat.level != NO_LEVEL:
                if not qty_fits(
                    seat.order.qty_lots - seat.order.filled_lots,
                    self.wanted_lots[book_side][seat.level], self.qty_tolerance_ppm,
                ):
                    seat.action = ACTION_AMEND if self.amend_supported else ACTION_CANCEL
                    seat.why = WHY_RESIZED
            elif seat.kind == MOVABLE:
                while free_level < n and self.holder[book_side][free_level] != NO_LEVEL:
                    free_level += 1
                if free_level == n:
                    seat.action = ACTION_CANCEL
                    seat.why = WHY_CROSSING if seat.crossing else WHY_UNWANTED
                    continue
                seat.level = free_level
                self.holder[book_side][free_level] = i
                seat.why = WHY_CROSSING if seat.crossing else WHY_MOVED
                if not self.amend_supported:
                    seat.action = ACTION_CANCEL
                elif not blocked(table, order_side, sign * self.wanted_key[book_side][free_level], seat.order.seq):
                    seat.action = ACTION_AMEND
                elif seat.crossing:
                    seat.action = ACTION_CANCEL
        # Those on their way out come last: they keep a level from being filled, not an order from moving.
        self.hold_c(book_side, False)
        for i in range(self.seat_count[book_side]):
            seat = &self.seats[book_side][i]
            if seat.level != NO_LEVEL:
                seat.order.level = <uint8_t>seat.level

    cdef void emit_c(self, int book_side, int kind, int crossing) noexcept nogil:
        """Append the decided actions of one kind, best price first."""
        cdef int i, level
        cdef int sign = -1 if book_side == BID else 1
        cdef Seat* seat
        cdef Order* order
        cdef int64_t price
        for i in range(self.seat_count[book_side]):
            seat = &self.seats[book_side][i]
            if seat.action != kind or (seat.why == WHY_CROSSING) != crossing:
                continue
            order = seat.order
            level = seat.level if seat.level != NO_LEVEL else order.level
            if kind == ACTION_CANCEL:
                self.push_c(kind, seat.why, order.seq, order.side, level, order.price_ticks, order.qty_lots)
                continue
            price = order.price_ticks if seat.why == WHY_RESIZED else sign * self.wanted_key[book_side][level]
            self.push_c(
                kind, seat.why, order.seq, order.side, level, price,
                order.filled_lots + self.wanted_lots[book_side][level],
            )

    cdef void push_c(
        self, int kind, int why, uint64_t seq, int side, int level, int64_t price_ticks, int64_t qty_lots
    ) noexcept nogil:
        """Append one action; beyond ACTIONS_MAX the rest waits for the next plan."""
        if self.count == ACTIONS_MAX:
            return
        self.actions[self.count].kind = kind
        self.actions[self.count].why = why
        self.actions[self.count].seq = seq
        self.actions[self.count].price_ticks = price_ticks
        self.actions[self.count].qty_lots = qty_lots
        self.actions[self.count].side = side
        self.actions[self.count].level = level
        self.count += 1

    # ---------------------------------------------------------------- Python face

    def plan(self, bids, asks, OrderTable table not None, int64_t now_ns):
        """Plan towards a ladder and return the actions.

        Args:
            bids, asks: sequences of (price_ticks, qty_lots), best first, at most LEVELS_MAX.

        Raises:
            ValueError: too many levels, or a price or quantity that is not positive.
        """
        cdef Ladder ladder
        cdef int side, i
        for side, levels in ((<int>BID, bids), (<int>ASK, asks)):
            if len(levels) > LEVELS_MAX:
                raise ValueError(f"a side has at most {LEVELS_MAX} levels: {len(levels)}")
            ladder.count[side] = <int32_t>len(levels)
            for i, (price_ticks, qty_lots) in enumerate(levels):
                if price_ticks <= 0 or qty_lots <= 0:
                    raise ValueError(f"price and quantity must be positive: {price_ticks}, {qty_lots}")
                ladder.levels[side][i].price_ticks = price_ticks
                ladder.levels[side][i].qty_lots = qty_lots
        self.plan_c(&ladder, table, now_ns)
        return self.planned()

    def plan_cancel_all(self, OrderTable table not None, int why=WHY_RISK):
        """Plan the cancel of every order that can be cancelled now, and return the actions."""
        self.plan_cancel_all_c(table, why)
        return self.planned()

    def planned(self):
        """Copy the actions of the last plan."""
        cdef int i
        return [
            ActionView(
                ActionKind(self.actions[i].kind), ActionWhy(self.actions[i].why), self.actions[i].seq,
                self.actions[i].side, self.actions[i].level, self.actions[i].price_ticks,
                self.actions[i].qty_lots,
            )
            for i in range(self.count)
        ]
