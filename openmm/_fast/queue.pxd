# Where in its queue each own order stands, as far as the public book and the trades tell.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.book cimport Book
from openmm._fast.orders cimport ORDERS_MAX, Order, OrderTable
from openmm._fast.units cimport i128

cdef enum:
    PLACES_MAX = 64             # own orders looked at: the ladder's levels on both sides

cpdef enum QueueModel:          # where in the queue quantity leaves that no trade took
    QUEUE_UNDECIDED = 0
    QUEUE_CAUTIOUS = 1          # behind us first: only trades improve a place
    QUEUE_POWER = 2             # in proportion to a power of what is on either side
    QUEUE_LOG = 3               # to its logarithm

# What is known of one order's place. Quantities are others' lots at its price.
cdef struct Place:
    uint64_t seq                # of the order it stands for; 0: none
    int64_t price_ticks
    int64_t since_ns            # the order's `queue_ns`: another one is another place
    int64_t filled_lots
    int64_t ahead_lots
    int64_t shown_lots          # at the last look, ahead and behind
    int64_t traded_lots         # since the level last changed
    int32_t known               # 0: nobody told what rests there
    int32_t told                # that the order stays for its place

# Where the book shows the quantity at an order's price, and what it showed at the last look.
cdef struct Watch:
    const int64_t* cell         # NULL outside the book's window
    int64_t raw_lots
    int64_t counted_lots        # of them others'; 0 where nobody told
    int32_t slot
    int32_t side                # BookSide

# Of `lots` that left a level of `shown_lots`, `traded_lots` of them by trades: how many stood in front of us.
cdef int64_t leaves_ahead_c(
    int64_t ahead_lots, int64_t shown_lots, int64_t traded_lots, int64_t lots, QueueModel model, int32_t power
) noexcept nogil

cdef class Queue:
    cdef readonly bint on
    cdef int64_t value_ticks    # worth of the first place, as a distance
    cdef QueueModel model
    cdef int32_t power
    cdef bint lost              # the book was not verified since the last look
    cdef int64_t usual_64ths    # mean quantity shown at own prices, in 64ths of a lot
    cdef Place places[ORDERS_MAX]   # by slot of the order table
    # What the last look was at: as long as it is the same, only prices whose quantity changed are looked at.
    cdef uint64_t table_version
    cdef void* table_seen       # compared only
    cdef int64_t* cells_seen    # compared only: of which book
    cdef int64_t base_ticks     # of its window
    cdef bint own_shown
    cdef int32_t watch_count
    cdef Watch watches[PLACES_MAX]
    cdef int64_t last_key[2]    # by BookSide: of the book's last level
    cdef int64_t shown_key_min[2]   # of empty prices before it, and beyond it, the nearest to it
    cdef int64_t beyond_key_max[2]
    cdef i128 total_lots        # others' at the prices that are told, how many those are, and the mean
    cdef int32_t seen
    cdef int64_t mean_lots
    # A verified book as it now stands. `own_shown`: whether it shows our orders.
    cdef void look_c(self, Book book, OrderTable table, bint own_shown) noexcept nogil
    cdef void trade_c(self, OrderTable table, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    # The place of an order; NULL when it has none or nothing is known of it.
    cdef const Place* place_c(self, const Order* order) noexcept nogil
    # What the place of an order is worth, as a distance in ticks: 0 to `value_ticks`.
    cdef int64_t worth_ticks_c(self, const Order* order) noexcept nogil
    # (private)
    cdef void look_at_all_c(self, Book book, OrderTable table, bint own_shown) noexcept nogil
    cdef bint follow_c(self, Book book, OrderTable table) noexcept nogil
    cdef int64_t others_c(self, const Order* order, OrderTable table, int64_t raw_lots) noexcept nogil
    cdef void see_c(self, Place* place, const Order* order, int64_t shown_lots) noexcept nogil
    cdef void join_c(self, Place* place, const Order* order) noexcept nogil
    cdef void leave_c(self, Place* place, int64_t lots) noexcept nogil
