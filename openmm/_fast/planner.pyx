"""Wanted ladder against live orders: the smallest set of actions that is safe in every order of events.

A side's orders and wanted levels, both best first, are matched one to one and in price order, so
that as many orders as possible stay untouched; a ladder that shifts by one level moves one order.
What is left over is paired in price order and amended (or cancelled, where the venue cannot amend),
the rest is cancelled or placed. Orders with a request under way are never touched and each holds a
level: nothing is placed for a level whose order may still be alive. An order whose queue place is
worth something stays further off than the tolerance, within half a level and what is safe: the gain
of its move has to beat the place. Orders of a `Lane` of their own are neither matched nor counted;
they are in the way like any other.

No action may meet one of our own orders, at its present or its pending price: such an amend or place
waits until the other order is proven out of the way. So no reordering and no refusal at the venue
makes us trade with ourselves. What other bots of ours show (`keep_clear_c`) is in the way likewise.
Specification: tests/oracles/planner.py.
"""

from typing import NamedTuple

from cython cimport final
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from openmm._fast.orders cimport (
    OPEN, PARTIALLY_FILLED, PENDING_CANCEL, Order, OrderTable,
    best_own_ticks, has_price,
)
from openmm._fast.queue cimport Queue
from openmm._fast.quotes cimport LEVELS_MAX, Ladder, Level, ladder_clear_c
from openmm._fast.units cimport ASK, BID, BUY, PPM, SELL, UTICKS, i128, ticklots

cdef enum:
    NO_LEVEL = -1
    # Kinds of seat.
    MOVABLE = 0
    STALE = 1        # to be cancelled for its age
    LEAVING = 2      # a cancel is under way
    FIXED = 3        # another request is under way, or unknown

# Weights of a match, in lexicographic order: a level that is held by an order that may be about to
# rest there, an order kept, an order that only changes its quantity, an order that is on its way out;
# then the smaller distance, less the worth of the place that is kept. No sum over LEVELS_MAX reaches the next weight.
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
    const int64_t NO_KEY "INT64_MIN"       # better than none: nothing is at or through it


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


cdef inline bint blocked(const Half* half, OrderTable table, int64_t key, uint64_t seq) noexcept nogil:
    """Whether the price meets a live own order: another of the side there, or one of the other side."""
    return key <= half.block_key or has_price(table, half.side, half.sign * key, seq)


cdef inline bint stays(const Half* half, int level, int64_t off, int64_t stay_ticks) noexcept nogil:
    """Whether an order this far off a level, too good where negative, may serve it for its place."""
    cdef int64_t bound
    if off > 0:
        bound = half.shy_ticks_max[level > 0]
    else:
        bound = half.good_ticks_max[level > 0]
        off = -off
    return off <= bound and off <= stay_ticks


cdef inline int64_t fit(
    const Half* half, const Seat* seat, int level, int64_t qty_tolerance_ppm
) noexcept nogil:
    """Weigh a match; 0 when the order may not serve the level as it stands."""
    cdef int64_t distance = seat.key - half.key[level]
    if distance > half.near_ticks or -distance > half.near_ticks:
        if not half.places or not stays(half, level, distance, seat.stay_ticks):
            return 0
    if distance < 0:
        distance = -distance
    if seat.kind == FIXED:
        return FIT_HELD - distance
    if seat.kind != MOVABLE:
        return FIT_LEAVING - distance
    if seat.crossing:
        return 0
    if qty_fits(seat.order.qty_lots - seat.order.filled_lots, half.lots[level], qty_tolerance_ppm):
        # The tolerance within it is the same for all.
        return FIT_KEPT - distance + (seat.stay_ticks if half.places else 0)
    return FIT_RESIZED - distance


cdef void hold(Half* half, bint fixed) noexcept nogil:
    """Let orders that serve no level hold the nearest free one: nothing is placed there meanwhile."""
    cdef int i, j, nearest
    cdef int64_t distance, least
    cdef Seat* seat
    for i in range(half.seat_count):
        seat = &half.seats[i]
        if half.free_count == 0:
            return
        if seat.level != NO_LEVEL or seat.kind == MOVABLE or (seat.kind == FIXED) != fixed:
            continue
        nearest = NO_LEVEL
        least = 0
        for j in range(half.wanted_count):
            if half.holder[j] != NO_LEVEL:
                continue
            distance = seat.key - half.key[j]
            if distance < 0:
                distance = -distance
            if nearest == NO_LEVEL or distance < least:
                nearest = j
                least = distance
        take(half, i, nearest)


cdef inline int64_t held_ticks(const Half* half, const Seat* seat) noexcept nogil:
    """Return how far an order is off the level it serves."""
    cdef int64_t off = seat.key - half.key[seat.level]
    return -off if off < 0 else off


cdef inline void take(Half* half, int seat, int level) noexcept nogil:
    half.seats[seat].level = level
    half.holder[level] = seat
    half.free_count -= 1


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
        queue: what the place of an order is worth; None: nothing.

    Raises:
        ValueError: a negative argument.
    """

    def __cinit__(
        self, int64_t tolerance_ticks=0, int64_t qty_tolerance_ppm=0, bint amend_supported=True,
        int64_t order_age_ns_max=0, Queue queue=None,
    ):
        if not 0 <= tolerance_ticks < DISTANCE_MAX:
            raise ValueError(f"tolerance_ticks must be in [0, {DISTANCE_MAX}): {tolerance_ticks}")
        if qty_tolerance_ppm < 0 or order_age_ns_max < 0:
            raise ValueError(f"must not be negative: {qty_tolerance_ppm}, {order_age_ns_max}")
        self.tolerance_ticks = tolerance_ticks
        self.qty_tolerance_ppm = qty_tolerance_ppm
        self.amend_supported = amend_supported
        self.order_age_ns_max = order_age_ns_max
        self.queue = Queue() if queue is None else queue
        self.other_key[<int>BID] = NO_KEY
        self.other_key[<int>ASK] = NO_KEY

    # ---------------------------------------------------------------- C face

    cdef void keep_clear_c(self, int64_t other_bid_ticks, int64_t other_ask_ticks) noexcept nogil:
        self.other_key[<int>BID] = NO_KEY if other_ask_ticks == INT64_MAX else -other_ask_ticks
        self.other_key[<int>ASK] = NO_KEY if other_bid_ticks == 0 else other_bid_ticks

    cdef int plan_c(self, const Ladder* ladder, OrderTable table, int64_t now_ns) noexcept nogil:
        cdef Half* bids = &self.half[<int>BID]
        cdef Half* asks = &self.half[<int>ASK]
        cdef Half* first
        cdef Half* second
        cdef int i, crossing
        cdef int64_t own
        self.count = 0
        self.held = 0
        self.load_c(ladder, BID)
        self.load_c(ladder, ASK)
        if self.queue.on:
            self.bound_c(bids, half_spread(ladder))
            self.bound_c(asks, half_spread(ladder))
        bids.cross_key = -asks.key[0] if asks.wanted_count else NO_KEY
        asks.cross_key = -bids.key[0] if bids.wanted_count else NO_KEY
        # No tolerance and no queue place keeps an order within the fee floor or out of the band.
        if ladder.bound_ticks[<int>BID]:
            bids.cross_key = max(bids.cross_key, -ladder.bound_ticks[<int>BID] - 1)
        if ladder.bound_ticks[<int>ASK]:
            asks.cross_key = max(asks.cross_key, ladder.bound_ticks[<int>ASK] - 1)
        if self.unchanged_c(table, now_ns):
            return 0
        own = best_own_ticks(table, SELL)
        bids.block_key = max(-own if own else NO_KEY, self.other_key[<int>BID])
        own = best_own_ticks(table, BUY)
        asks.block_key = max(own if own else NO_KEY, self.other_key[<int>ASK])
        self.seat_c(bids, table, now_ns)
        self.seat_c(asks, table, now_ns)
        # Moving up, asks go first, moving down, bids: the way is free before the other side follows.
        if self.decide_c(bids, table) + self.decide_c(asks, table) > 0:
            first = asks
            second = bids
        else:
            first = bids
            second = asks
        for crossing in range(1, -1, -1):
            if bids.cancel_count[crossing]:
                self.emit_c(bids, ACTION_CANCEL, crossing)
            if asks.cancel_count[crossing]:
                self.emit_c(asks, ACTION_CANCEL, crossing)
        for crossing in range(1, -1, -1):
            if first.amend_count[crossing]:
                self.emit_c(first, ACTION_AMEND, crossing)
            if second.amend_count[crossing]:
                self.emit_c(second, ACTION_AMEND, crossing)
        if bids.free_count + asks.free_count == 0:
            return self.count
        for i in range(LEVELS_MAX):
            if i < bids.wanted_count and bids.holder[i] == NO_LEVEL and not blocked(bids, table, bids.key[i], 0):
                self.push_c(ACTION_PLACE, WHY_MISSING, 0, BUY, i, -bids.key[i], bids.lots[i])
            if i < asks.wanted_count and asks.holder[i] == NO_LEVEL and not blocked(asks, table, asks.key[i], 0):
                self.push_c(ACTION_PLACE, WHY_MISSING, 0, SELL, i, asks.key[i], asks.lots[i])
        return self.count

    cdef int64_t held_from_c(self, const Order* order, const Ladder* ladder) noexcept nogil:
        cdef int book_side = BID if order.side == BUY else ASK
        cdef const Half* half = &self.half[book_side]
        cdef int64_t wanted, off
        if order.level >= ladder.count[book_side] or order.state != OPEN and order.state != PARTIALLY_FILLED:
            return 0
        wanted = ladder.levels[book_side][order.level].price_ticks
        off = half.sign * (order.price_ticks - wanted)
        if not half.places or (off <= half.near_ticks and -off <= half.near_ticks):
            return 0
        if half.sign * order.price_ticks <= half.cross_key:
            return 0
        if not stays(half, order.level, off, self.tolerance_ticks + self.queue.worth_ticks_c(order)):
            return 0
        return wanted

    cdef int plan_cancel_all_c(self, OrderTable table, int why, int64_t now_ns) noexcept nogil:
        """Cancel every live order but those whose cancel is under way.

        A cancel harms nobody twice: one that went unanswered or was refused is sent again, ever later.
        """
        cdef int i
        cdef const Order* order
        self.count = 0
        for i in range(table.live_count):
            order = &table.orders[table.live_slots[i]]
            if not cancel_due(order, now_ns):
                continue
            self.push_c(
                ACTION_CANCEL, why, order.seq, order.side, order.level, order.price_ticks, order.qty_lots
            )
        return self.count

    cdef int plan_trim_c(
        self, OrderTable table, int side, i128 lots, i128 value_ticklots, int count, int64_t now_ns
    ) noexcept nogil:
        """Cancel the outermost orders of a side until lots, value and number come to no more.

        Orders whose cancel is under way count as gone already. What is in doubt is cancelled too, and
        again as `plan_cancel_all_c` does it.
        """
        cdef int i
        cdef int taken = 0
        cdef i128 rest_lots = 0
        cdef i128 rest_ticklots = 0
        cdef int rest_count = 0
        cdef const Order* order
        cdef const Order* worst
        cdef int64_t left
        cdef uint8_t gone[ORDERS_MAX]
        memset(gone, 0, sizeof(gone))
        for i in range(table.live_count):
            order = &table.orders[table.live_slots[i]]
            if order.side != side or not cancel_due(order, now_ns):
                gone[i] = 1
                continue
            left = max(order.qty_lots, order.pending_qty_lots) - order.filled_lots
            rest_lots = rest_lots + <i128>left
            rest_ticklots = rest_ticklots + ticklots(max(order.price_ticks, order.pending_price_ticks), left)
            rest_count += 1
        while rest_count > 0 and (rest_lots > lots or rest_ticklots > value_ticklots or rest_count > count):
            worst = NULL
            taken = -1
            for i in range(table.live_count):
                if gone[i]:
                    continue
                order = &table.orders[table.live_slots[i]]
                if worst == NULL or (
                    order.price_ticks < worst.price_ticks if side == BUY
                    else order.price_ticks > worst.price_ticks
                ):
                    worst = order
                    taken = i
            gone[taken] = 1
            left = max(worst.qty_lots, worst.pending_qty_lots) - worst.filled_lots
            rest_lots = rest_lots - <i128>left
            rest_ticklots = rest_ticklots - ticklots(
                max(worst.price_ticks, worst.pending_price_ticks), left
            )
            rest_count -= 1
            self.push_c(
                ACTION_CANCEL, WHY_RISK, worst.seq, side, worst.level, worst.price_ticks, worst.qty_lots
            )
        return self.count

    # ---------------------------------------------------------------- private

    cdef void load_c(self, const Ladder* ladder, int book_side) noexcept nogil:
        """Copy a wanted side, and cut the tolerance to less than half the distance of its levels.

        So an order is near one level at most.
        """
        cdef Half* half = &self.half[book_side]
        cdef const Level* levels = &ladder.levels[book_side][0]
        cdef int j
        cdef int count = ladder.count[book_side]
        cdef int sign = -1 if book_side == BID else 1
        cdef int64_t key, before = 0
        cdef int64_t least = 2 * self.tolerance_ticks + 1
        count = 0 if count < 0 else LEVELS_MAX if count > LEVELS_MAX else count
        for j in range(count):
            key = sign * levels[j].price_ticks
            half.key[j] = key
            half.lots[j] = levels[j].qty_lots
            if j and key - before < least:
                least = key - before
            before = key
        half.side = BUY if book_side == BID else SELL
        half.sign = sign
        half.wanted_count = count
        half.quoted_before = half.quoted
        half.quoted = ladder.quoted[book_side]
        half.near_ticks = (least - 1) >> 1 if least > 0 else 0
        half.places = 0
        half.shy_ticks_max[1] = half.near_ticks

    cdef void bound_c(self, Half* half, int64_t half_uticks) noexcept nogil:
        """Bound how far an order may stay off for its place, so that it is near one level at most.

        By half the distance of the levels: there it is still worse than the level before. The first
        level has none before it: an order too good for the taker stays within an eighth of the spread
        of it, as what it gives away is ours, one too shy within a quarter.
        """
        cdef int j
        cdef int64_t most = self.tolerance_ticks + self.queue.value_ticks
        cdef int64_t least = 2 * most + 1
        for j in range(1, half.wanted_count):
            least = min(least, half.key[j] - half.key[j - 1])
        least = max(least, 1)
        # A price halfway between two levels is the better one's. No operand is negative.
        half.places = 1
        half.good_ticks_max[1] = max(half.near_ticks, (least - 1) >> 1)
        half.shy_ticks_max[1] = max(half.near_ticks, least >> 1)
        half.good_ticks_max[0] = max(half.near_ticks, min((least - 1) >> 1, half_uticks // (4 * UTICKS)))
        half.shy_ticks_max[0] = max(half.near_ticks, min(least >> 1, half_uticks // (2 * UTICKS)))

    cdef bint unchanged_c(self, OrderTable table, int64_t now_ns) noexcept nogil:
        """Prove cheaply that every order serves its own level and no level is free."""
        cdef Half* half
        cdef uint64_t taken[2]
        cdef int i, level, book_side
        cdef const Order* order
        cdef int64_t key, off
        cdef int held = 0
        if table.pending_count or table.unknown_count:
            return False
        for book_side in range(2):
            if self.half[book_side].quoted != self.half[book_side].quoted_before:
                return False
        if table.ladder_count != self.half[<int>BID].wanted_count + self.half[<int>ASK].wanted_count:
            return False
        taken[0] = 0
        taken[1] = 0
        for i in range(table.ladder_count):
            order = &table.orders[table.live_slots[i]]
            book_side = order.side - 1
            half = &self.half[book_side]
            level = order.level
            if level >= half.wanted_count or taken[book_side] >> level & 1:
                return False
            taken[book_side] |= (<uint64_t>1) << level
            key = half.sign * order.price_ticks
            off = key - half.key[level]
            if off > half.near_ticks or off < -half.near_ticks:
                if not half.places:
                    return False
                if not stays(half, level, off, self.tolerance_ticks + self.queue.worth_ticks_c(order)):
                    return False
                held += 1
            if key <= half.cross_key:
                return False
            if not qty_fits(order.qty_lots - order.filled_lots, half.lots[level], self.qty_tolerance_ppm):
                return False
            if self.order_age_ns_max and now_ns - order.amended_ns > self.order_age_ns_max:
                return False
        self.held = held
        self.held_count += held
        return True

    cdef void seat_c(self, Half* half, OrderTable table, int64_t now_ns) noexcept nogil:
        """Seat the live orders of a side, best first."""
        cdef int i, at, n = 0
        cdef Order* order
        cdef Seat* seat
        cdef Seat moved
        for i in range(table.ladder_count):
            order = &table.orders[table.live_slots[i]]
            if order.side != half.side:
                continue
            seat = &half.seats[n]
            seat.order = order
            seat.key = half.sign * seen_ticks(order)
            seat.level = NO_LEVEL
            seat.why = WHY_UNDECIDED
            seat.action = ACTION_UNDECIDED
            seat.crossing = 0
            seat.stay_ticks = 0
            if order.state == OPEN or order.state == PARTIALLY_FILLED:
                if self.order_age_ns_max and now_ns - order.amended_ns > self.order_age_ns_max:
                    seat.kind = STALE
                else:
                    seat.kind = MOVABLE
                    seat.crossing = seat.key <= half.cross_key
                    if half.places:
                        # Both are below half the type's bound.
                        seat.stay_ticks = <int32_t>(
                            self.tolerance_ticks + self.queue.worth_ticks_c(order)
                        )
            elif order.state == PENDING_CANCEL:
                seat.kind = LEAVING
            else:
                seat.kind = FIXED
            if n and half.seats[n - 1].key > seat.key:
                moved = seat[0]
                at = n
                while at > 0 and half.seats[at - 1].key > moved.key:
                    half.seats[at] = half.seats[at - 1]
                    at -= 1
                half.seats[at] = moved
            n += 1
        half.seat_count = n
        half.free_count = half.wanted_count
        for i in range(half.wanted_count):
            half.holder[i] = NO_LEVEL
        for i in range(2):
            half.cancel_count[i] = 0
            half.amend_count[i] = 0

    cdef void match_c(self, Half* half) noexcept nogil:
        """Let each level take its best fit: a merge, because no order is near two levels."""
        cdef int i, level = 0
        cdef int holder
        cdef int64_t weight
        for i in range(half.seat_count):
            while level < half.wanted_count and half.key[level] + half.shy_ticks_max[1] < half.seats[i].key:
                level += 1
            if level == half.wanted_count:
                return
            weight = fit(half, &half.seats[i], level, self.qty_tolerance_ppm)
            if weight == 0:
                continue
            holder = half.holder[level]
            if holder != NO_LEVEL:
                if weight <= fit(half, &half.seats[holder], level, self.qty_tolerance_ppm):
                    continue
                half.seats[holder].level = NO_LEVEL
                half.free_count += 1
            take(half, i, level)

    cdef int64_t decide_c(self, Half* half, OrderTable table) noexcept nogil:
        """Match, choose the action of each order, let movable leftovers take the free levels in turn.

        Returns the sum of the moves, up positive.
        """
        cdef int i
        cdef int free_level = 0
        cdef int64_t drift = 0
        cdef Seat* seat
        self.match_c(half)
        hold(half, True)
        for i in range(half.seat_count):
            seat = &half.seats[i]
            if seat.kind == STALE:
                seat.action = ACTION_CANCEL
                seat.why = WHY_STALE
            elif seat.kind == MOVABLE and seat.level != NO_LEVEL:
                if not qty_fits(
                    seat.order.qty_lots - seat.order.filled_lots, half.lots[seat.level], self.qty_tolerance_ppm
                ):
                    seat.action = ACTION_AMEND if self.amend_supported else ACTION_CANCEL
                    seat.why = WHY_RESIZED
                    if self.amend_supported and half.places and held_ticks(half, seat) > half.near_ticks and (
                        half.lots[seat.level] > seat.order.qty_lots - seat.order.filled_lots
                    ):
                        # What grows goes to the end of its queue: there is no place left to stay off for.
                        if blocked(half, table, half.key[seat.level], seat.order.seq):
                            seat.action = ACTION_UNDECIDED
                        else:
                            seat.why = WHY_MOVED
                            drift += half.key[seat.level] - seat.key
                elif half.places and held_ticks(half, seat) > half.near_ticks:
                    self.held += 1
                    self.held_count += 1
            elif seat.kind == MOVABLE:
                if half.free_count == 0:
                    seat.action = ACTION_CANCEL
                    seat.why = WHY_CROSSING if seat.crossing else WHY_UNWANTED
                else:
                    while half.holder[free_level] != NO_LEVEL:
                        free_level += 1
                    take(half, i, free_level)
                    seat.why = WHY_CROSSING if seat.crossing else WHY_MOVED
                    if not self.amend_supported:
                        seat.action = ACTION_CANCEL
                    elif not blocked(half, table, half.key[free_level], seat.order.seq):
                        seat.action = ACTION_AMEND
                        drift += half.key[free_level] - seat.key
                    elif seat.crossing:
                        seat.action = ACTION_CANCEL
            if seat.action == ACTION_CANCEL:
                half.cancel_count[seat.why == WHY_CROSSING] += 1
            elif seat.action == ACTION_AMEND:
                half.amend_count[seat.why == WHY_CROSSING] += 1
        # Those on their way out come last: they keep a level from being filled, not an order from moving.
        hold(half, False)
        for i in range(half.seat_count):
            seat = &half.seats[i]
            if seat.level != NO_LEVEL:
                seat.order.level = <uint8_t>seat.level
                if seat.kind == MOVABLE:
                    # What is on its way out, or in doubt, was made for the level it had.
                    seat.order.shape_level = shape_level_c(half, seat.level)
        return half.sign * drift

    cdef void emit_c(self, Half* half, int kind, int crossing) noexcept nogil:
        """Append the decided actions of one kind, best price first."""
        cdef int i
        cdef const Seat* seat
        cdef const Order* order
        cdef int64_t price
        for i in range(half.seat_count):
            seat = &half.seats[i]
            if seat.action != kind or (seat.why == WHY_CROSSING) != crossing:
                continue
            order = seat.order
            if kind == ACTION_CANCEL:
                self.push_c(
                    kind, seat.why, order.seq, half.side, order.level, order.price_ticks, order.qty_lots
                )
                continue
            price = order.price_ticks if seat.why == WHY_RESIZED else half.sign * half.key[seat.level]
            self.push_c(
                kind, seat.why, order.seq, half.side, seat.level, price,
                order.filled_lots + half.lots[seat.level],
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

    def set_params(self, *, int64_t tolerance_ticks, int64_t qty_tolerance_ppm, int64_t order_age_ns_max):
        """Change what an order may be off by from the next plan on.

        Raises:
            ValueError: a negative argument; nothing is changed.
        """
        if not 0 <= tolerance_ticks < DISTANCE_MAX:
            raise ValueError(f"tolerance_ticks must be in [0, {DISTANCE_MAX}): {tolerance_ticks}")
        if qty_tolerance_ppm < 0 or order_age_ns_max < 0:
            raise ValueError(f"must not be negative: {qty_tolerance_ppm}, {order_age_ns_max}")
        self.tolerance_ticks = tolerance_ticks
        self.qty_tolerance_ppm = qty_tolerance_ppm
        self.order_age_ns_max = order_age_ns_max

    def keep_clear(self, int64_t other_bid_ticks, int64_t other_ask_ticks):
        """Plan nothing from now on that would meet these prices of other bots of ours.

        Args:
            other_bid_ticks, other_ask_ticks: `ports.NOTHING_BID`, `NOTHING_ASK` for none.
        """
        self.keep_clear_c(other_bid_ticks, other_ask_ticks)

    @property
    def amend_supported(self):
        """Whether orders are changed in place."""
        return bool(self.amend_supported)

    def plan(self, bids, asks, OrderTable table not None, int64_t now_ns):
        """Plan towards a ladder and return the actions.

        Args:
            bids, asks: sequences of (price_ticks, qty_lots), best first, at most LEVELS_MAX.

        Raises:
            ValueError: too many levels, or a price or quantity that is not positive.
        """
        cdef Ladder ladder
        cdef int side, i
        ladder_clear_c(&ladder)
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

    def plan_cancel_all(self, OrderTable table not None, int64_t now_ns, int why=WHY_RISK):
        """Plan the cancel of every order that can be cancelled now, and return the actions."""
        self.plan_cancel_all_c(table, why, now_ns)
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
