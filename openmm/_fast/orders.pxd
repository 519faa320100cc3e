# The order table: every own order from intent to its proven end. Fixed capacity, free list, no allocation.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from openmm._fast.units cimport i128

cdef enum:
    ORDERS_MAX = 512           # slots; a power of two. client sequence = generation * ORDERS_MAX + slot
    VENUE_ID_BYTES = 40
    LANE_FIRST = 222           # levels from here on are no ladder's: see `Lane`

cpdef enum Lane:               # levels of orders that the planner leaves alone
    LANE_HANGING = 222         # and on: was level 0, 1, … of a ladder, stays where it is
    LANE_FLATTEN = 254         # bring the position to its target
    LANE_HAND = 255            # an operator's

cpdef enum OrderState:
    FREE = 0                   # empty slot
    PENDING_NEW = 1            # intent journalled, no answer yet
    OPEN = 2
    PARTIALLY_FILLED = 3
    PENDING_CANCEL = 4
    PENDING_AMEND = 5
    UNKNOWN = 6                # a create, amend or cancel went unanswered: counts in full
    FILLED = 7                 # terminal from here on
    CANCELLED = 8
    REJECTED = 9

cpdef enum OrderEvent:         # evidence that moves an order
    EV_UNDECIDED = 0
    EV_PLACED = 1              # we sent a create
    EV_ACKED = 2
    EV_REJECTED = 3
    EV_AMEND_SENT = 4
    EV_AMENDED = 5
    EV_AMEND_REJECTED = 6
    EV_CANCEL_SENT = 7
    EV_CANCELLED = 8
    EV_CANCEL_REJECTED = 9     # leads to a query, never to a loop
    EV_FILL = 10
    EV_TIMEOUT = 11            # -> UNKNOWN
    EV_PROVEN_OPEN = 12        # by query or snapshot
    EV_PROVEN_GONE = 13        # by query: cancelled or never there
    EV_EXPIRED = 14

cpdef enum Transition:         # result of every table operation
    TR_UNDECIDED = 0
    TR_OK = 1
    TR_IGNORED = 2             # a late or doubled message that changes nothing
    TR_ILLEGAL = 3             # not a transition of the table: alarm
    TR_UNKNOWN_ORDER = 4
    TR_FULL = 5
    TR_OVERFILL = 6            # booked, and alarmed

cpdef enum InFlight:           # bit flags of a live order
    FLIGHT_CREATE = 1
    FLIGHT_AMEND = 2
    FLIGHT_CANCEL = 4
    FLIGHT_DOUBT = 8           # the venue denied knowing it: only a query settles that

cdef struct Order:
    # first line: what the planner and the checks read
    uint64_t seq               # client sequence; 0 when the slot is free
    int64_t price_ticks        # confirmed (or first wanted) price
    int64_t qty_lots           # total, filled part included
    int64_t filled_lots
    int64_t pending_price_ticks   # wanted by an amend in flight, else 0
    int64_t pending_qty_lots
    int64_t queue_ns           # since when it holds its queue place
    int32_t state
    uint8_t side               # Side
    uint8_t level              # ladder level it was made for
    uint8_t post_only
    uint8_t acked
    # second line: slow path
    int64_t created_ns
    int64_t acted_ns           # last request sent
    int64_t amended_ns         # created or last amended: the venue's rate counter ages from here
    int64_t cost_ticklots_low  # filled cost, low and high half of a 128-bit sum
    int64_t cost_ticklots_high
    int32_t unanswered_count
    int32_t venue_id_len
    int32_t in_flight          # InFlight bits: what the venue has not answered, and doubt
    int32_t cancel_count       # cancels sent
    char venue_id[VENUE_ID_BYTES]
    int64_t cancel_ns          # last of them
    int64_t lane_ns            # since when it hangs beside the ladder
    int32_t shape_level        # level of the ladder's shape it serves, or served last; `level` is its place
    char padding[12]           # to three lines

cdef class OrderTable:
    cdef Order* orders                  # ORDERS_MAX slots, 64-byte aligned
    cdef int32_t live_count             # not FREE and not terminal, UNKNOWN included
    cdef int32_t unknown_count
    cdef int32_t pending_count          # PENDING_*
    cdef int32_t ladder_count           # of the live ones, the ladder's: they come first in `live_slots`
    cdef int64_t open_lots[3]           # by Side: worst-case remaining lots of live orders (amend: larger of both)
    cdef i128 open_ticklots[3]          # by Side: worst-case notional of live orders
    cdef uint64_t version               # +1 each change
    cdef int32_t live_slots[ORDERS_MAX]     # dense list of live slots: the ladder's, then the others, each in order of creation
    # (private: slots by generation, free stack, order of ending, and caches of the checks)
    cdef void* memory
    cdef uint64_t generation[ORDERS_MAX]
    cdef int32_t free_count
    cdef int32_t free_slots[ORDERS_MAX]
    cdef int32_t ended_count            # terminal orders still in their slot
    cdef int32_t ended_first
    cdef int32_t ended_last
    cdef int32_t ended_next[ORDERS_MAX]
    cdef int32_t ended_prev[ORDERS_MAX]
    cdef int64_t best_ticks[3]          # by Side, valid unless dirty
    cdef bint best_dirty[3]
    cdef uint16_t price_count[3][256]   # live prices by their low byte: zero proves absence
    cdef Order* find_c(self, uint64_t seq) noexcept nogil       # NULL when gone
    # Reserve a slot in PENDING_NEW; returns its sequence, 0 when full.
    cdef uint64_t place_c(self, int side, int level, int64_t price_ticks, int64_t qty_lots, bint post_only, int64_t now_ns) noexcept nogil
    cdef Transition amend_sent_c(self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil
    cdef Transition cancel_sent_c(self, uint64_t seq, int64_t now_ns) noexcept nogil
    cdef Transition event_c(self, uint64_t seq, OrderEvent event, int64_t now_ns) noexcept nogil
    # The same with what the venue says of the order (0: it did not say): confirmed price, total quantity.
    cdef Transition evidence_c(self, uint64_t seq, OrderEvent event, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil
    # Put an order back to what it was before a cancel that never left.
    cdef void cancel_unsent_c(self, uint64_t seq, int32_t state, int32_t in_flight, int64_t acted_ns) noexcept nogil
    cdef Transition fill_c(self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil
    # Take a live order of the ladder's out of it, into a lane; its level and its price stay as they are.
    cdef bint hang_c(self, uint64_t seq, int lane, int64_t now_ns) noexcept nogil
    cdef void release_c(self, uint64_t seq) noexcept nogil      # free a terminal slot for reuse
    # Own quantity that may rest at a price, for the signals: acked or not, there or on its way.
    cdef int64_t own_lots_at_c(self, int side, int64_t price_ticks) noexcept nogil
    cdef int64_t best_own_ticks_c(self, int side) noexcept nogil  # best live own price, 0 when none
    # Whether a live order of that side other than `except_seq` has the price, confirmed or pending.
    cdef bint has_price_c(self, int side, int64_t price_ticks, uint64_t except_seq) noexcept nogil
    cdef bint level_unknown_c(self, int side, int level) noexcept nogil  # an UNKNOWN order holds the level
    cdef bint room_c(self) noexcept nogil                                # `place_c` would find a slot
    # private
    cdef Transition apply_c(self, Order* order, OrderEvent event, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil
    cdef void expose_c(self, const Order* order, int sign) noexcept nogil
    cdef void enter_c(self, Order* order, int state) noexcept nogil
    cdef void settle_c(self, Order* order) noexcept nogil
    cdef void adopt_c(self, Order* order, int64_t price_ticks, int64_t qty_lots, int64_t now_ns) noexcept nogil
    cdef void end_c(self, int32_t slot) noexcept nogil
    cdef void unlink_c(self, int32_t slot) noexcept nogil


# The two questions of every order, without a call where the caches answer.
cdef inline int64_t best_own_ticks(OrderTable table, int side) noexcept nogil:
    return table.best_own_ticks_c(side) if table.best_dirty[side] else table.best_ticks[side]


cdef inline bint has_price(OrderTable table, int side, int64_t price_ticks, uint64_t except_seq) noexcept nogil:
    if table.price_count[side][price_ticks & 255] == 0:
        return False
    return table.has_price_c(side, price_ticks, except_seq)
