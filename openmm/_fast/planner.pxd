# Wanted ladder against live orders: the smallest set of actions, cancels first.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from openmm._fast.orders cimport ORDERS_MAX, PENDING_CANCEL, Order, OrderTable
from openmm._fast.queue cimport Queue
from openmm._fast.quotes cimport LEVELS_MAX, Ladder
from openmm._fast.units cimport ASK, BID, UTICKS, i128

cdef enum:
    ACTIONS_MAX = 128
    RETRY_DOUBLINGS = 5
    CANCEL_AGAIN_NS = 500000000    # twice this before the second cancel of an order, and so on

cpdef enum ActionKind:
    ACTION_UNDECIDED = 0
    ACTION_CANCEL = 1
    ACTION_AMEND = 2
    ACTION_PLACE = 3

cpdef enum ActionWhy:
    WHY_UNDECIDED = 0
    WHY_UNWANTED = 1        # no level wants it
    WHY_MOVED = 2           # price off by more than the tolerance
    WHY_RESIZED = 3
    WHY_MISSING = 4         # level has no order
    WHY_CROSSING = 5        # would cross our own or the venue's other side; within the fee floor, out of the band
    WHY_STALE = 6           # older than the order age limit
    WHY_RISK = 7            # cancel by a risk decision
    WHY_HAND = 8            # by an operator, or to flatten: no ladder wants or minds it
    WHY_REBALANCE = 9       # takes, at once or not at all, to bring inventory back

cdef struct Action:
    int32_t kind
    int32_t why
    uint64_t seq            # of the order cancelled or amended; set by the table for a place
    int64_t price_ticks
    int64_t qty_lots
    int32_t side            # Side
    int32_t level

# A live order as one plan sees it. Keys are prices of which the better is the smaller on both sides.
cdef struct Seat:
    Order* order
    int64_t key
    int32_t kind            # may it be touched (enum in the .pyx)
    int32_t crossing        # 1 = at or through the other side's wanted best, or beyond its own bound
    int32_t level           # wanted level it serves or holds, -1 when none
    int32_t why             # of the action decided
    int32_t action
    int32_t stay_ticks      # tolerance and worth of its queue place: how far off it may stay within bounds

# One side of a plan.
cdef struct Half:
    int32_t side                    # Side
    int32_t sign                    # key = sign * price
    int32_t seat_count
    int32_t wanted_count
    int32_t free_count              # levels that no order serves or holds
    int32_t cancel_count[2]         # decided, by crossing
    int32_t amend_count[2]
    int32_t places                  # 1 = queue places count
    int64_t near_ticks              # tolerance of this plan
    int64_t good_ticks_max[2]       # how far an order may stay off for its queue place: too good for the
    int64_t shy_ticks_max[2]        # taker, too shy; at the first level, at the others
    int64_t cross_key               # of the other side's wanted best, or the last beyond this side's bound
    uint32_t quoted                 # levels of the shape that are wanted, as the ladder tells them
    uint32_t quoted_before          # of the plan before
    int64_t block_key               # of the best order of ours, or of our other bots', on the other side
    int64_t key[LEVELS_MAX]
    int64_t lots[LEVELS_MAX]
    int32_t holder[LEVELS_MAX]      # seat that serves or holds a level, -1 when none
    Seat seats[ORDERS_MAX]

cdef inline bint cancel_due(const Order* order, int64_t now_ns) noexcept nogil:
    """Tell whether an order's cancel is to be sent: for the first time, or again, ever later."""
    cdef int64_t tries = order.cancel_count if order.cancel_count < RETRY_DOUBLINGS else RETRY_DOUBLINGS
    if order.state == PENDING_CANCEL:
        return False
    return tries <= 0 or now_ns - order.cancel_ns >= <int64_t>CANCEL_AGAIN_NS << tries

cdef class Planner:
    cdef int64_t tolerance_ticks       # a live order within this of its wanted price stays
    cdef int64_t qty_tolerance_ppm
    cdef bint amend_supported          # venue amends in place
    cdef int64_t order_age_ns_max      # 0 = no limit
    cdef int64_t other_key[2]          # by BookSide: what our other bots show on the other side
    cdef readonly Queue queue          # what an order's place is worth
    cdef readonly uint64_t held_count  # orders left where they are for their place alone, summed over plans
    cdef int32_t held                  # of the last plan
    cdef int32_t count
    cdef Action actions[ACTIONS_MAX]
    # Orders in PENDING_* or UNKNOWN are never touched and hold their level.
    cdef int plan_c(self, const Ladder* ladder, OrderTable table, int64_t now_ns) noexcept nogil   # returns count
    cdef int plan_cancel_all_c(self, OrderTable table, int why, int64_t now_ns) noexcept nogil
    # Cancel from the outside in until no more than this rests on a side; appends to the plan.
    cdef int plan_trim_c(
        self, OrderTable table, int side, i128 lots, i128 value_ticklots, int count, int64_t now_ns
    ) noexcept nogil
    # After a plan: the price an order stays away from for its place alone; 0: it does not.
    cdef int64_t held_from_c(self, const Order* order, const Ladder* ladder) noexcept nogil
    # Stay clear of what other bots of ours show from the next plan on: ports.NO_BID, NO_ASK for nothing.
    cdef void keep_clear_c(self, int64_t other_bid_ticks, int64_t other_ask_ticks) noexcept nogil
    # (private)
    cdef Half half[2]               # by BookSide
    cdef void load_c(self, const Ladder* ladder, int book_side) noexcept nogil
    cdef void bound_c(self, Half* half, int64_t half_uticks) noexcept nogil
    cdef bint unchanged_c(self, OrderTable table, int64_t now_ns) noexcept nogil
    cdef void seat_c(self, Half* half, OrderTable table, int64_t now_ns) noexcept nogil
    cdef void match_c(self, Half* half) noexcept nogil
    cdef int64_t decide_c(self, Half* half, OrderTable table) noexcept nogil
    cdef void emit_c(self, Half* half, int kind, int crossing) noexcept nogil
    cdef void push_c(self, int kind, int why, uint64_t seq, int side, int level, int64_t price_ticks, int64_t qty_lots) noexcept nogil


# Half the spread that is wanted, in uticks: told by the strategy, or read off its ladder.
cdef inline int64_t half_spread(const Ladder* ladder) noexcept nogil:
    if ladder.half_uticks > 0:
        return ladder.half_uticks
    if ladder.count[<int>BID] and ladder.count[<int>ASK]:
        return (
            ladder.levels[<int>ASK][0].price_ticks - ladder.levels[<int>BID][0].price_ticks
        ) * (UTICKS >> 1)
    return 0


# The n-th level that is set, counted from 0; -1: there are not so many.
cdef inline int nth_level_c(uint32_t levels, int n) noexcept nogil:
    cdef int level
    for level in range(LEVELS_MAX):
        if levels >> level & 1:
            if n == 0:
                return level
            n -= 1
    return -1


# The level of its shape that stands at a place of a side; a ladder that tells none has no other.
cdef inline int shape_level_c(const Half* half, int place) noexcept nogil:
    cdef int level
    if half.quoted & (half.quoted + 1) == 0:
        return place
    level = nth_level_c(half.quoted, place)
    return place if level < 0 else level
