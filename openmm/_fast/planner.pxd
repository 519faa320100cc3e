# Wanted ladder against live orders: the smallest set of actions, cancels first.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.orders cimport ORDERS_MAX, Order, OrderTable
from openmm._fast.quotes cimport LEVELS_MAX, Ladder

cdef enum:
    ACTIONS_MAX = 128

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
    WHY_CROSSING = 5        # would cross our own or the venue's other side
    WHY_STALE = 6           # older than the order age limit
    WHY_RISK = 7            # cancel by a risk decision

cdef struct Action:
    int32_t kind
    int32_t why
    uint64_t seq            # of the order cancelled or amended; set by the table for a place
    int64_t price_ticks
    int64_t qty_lots
    int32_t side            # Side
    int32_t level

# A live order as one plan sees it.
cdef struct Seat:
    Order* order
    int64_t key             # price, worse is larger on both sides
    int32_t kind            # private enum of the planner: may it be touched
    int32_t crossing        # 1 = at or through the other side's wanted best
    int32_t level           # wanted level it serves or holds, -1 when none
    int32_t why             # of the action decided, 0 = none
    int32_t action

cdef class Planner:
    cdef int64_t tolerance_ticks       # a live order within this of its wanted price stays
    cdef int64_t qty_tolerance_ppm
    cdef bint amend_supported          # venue amends in place
    cdef int64_t order_age_ns_max      # 0 = no limit
    cdef int32_t count
    cdef Action actions[ACTIONS_MAX]
    # Orders in PENDING_* or UNKNOWN are never touched and hold their level.
    cdef int plan_c(self, const Ladder* ladder, OrderTable table, int64_t now_ns) noexcept nogil   # returns count
    cdef int plan_cancel_all_c(self, OrderTable table, int why) noexcept nogil
    # (private)
    cdef int32_t seat_count[2]
    cdef int32_t wanted_count[2]
    cdef Seat seats[2][ORDERS_MAX]
    cdef int64_t wanted_key[2][LEVELS_MAX]
    cdef int64_t wanted_lots[2][LEVELS_MAX]
    cdef int32_t holder[2][LEVELS_MAX]      # seat that serves or holds a level, -1 when none
    cdef int64_t near_ticks[2]              # tolerance of this plan, by side
    cdef bint unchanged_c(self, const Ladder* ladder, OrderTable table, int64_t now_ns) noexcept nogil
    cdef void seat_c(self, const Ladder* ladder, int book_side, OrderTable table, int64_t now_ns) noexcept nogil
    cdef int64_t fit_c(self, int book_side, int seat, int level) noexcept nogil
    cdef int64_t tolerance_c(self, const Ladder* ladder, int book_side) noexcept nogil
    cdef void match_c(self, int book_side) noexcept nogil
    cdef void hold_c(self, int book_side, bint fixed) noexcept nogil
    cdef void decide_c(self, int book_side, OrderTable table) noexcept nogil
    cdef void emit_c(self, int book_side, int kind, int crossing) noexcept nogil
    cdef void push_c(self, int kind, int why, uint64_t seq, int side, int level, int64_t price_ticks, int64_t qty_lots) noexcept nogil
