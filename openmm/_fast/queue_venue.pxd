# A pretended venue for backtests: links with delays, an encoder that encodes nothing, orders in queues.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from openmm._fast.book cimport Book
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport ORDERS_MAX, OrderTable
from openmm._fast.ports cimport Encoder, OutBatch, Transport
from openmm._fast.queue cimport QueueModel

cdef enum:
    MESSAGES_MAX = 8192         # on their way in one direction; a power of two
    TAKEN_MAX = 128             # levels of which something was taken since they were last told

cpdef enum Told:                # what travels between engine and venue
    TOLD_UNDECIDED = 0
    TOLD_PLACE = 1              # to the venue
    TOLD_AMEND = 2
    TOLD_CANCEL = 3
    TOLD_ACKED = 4              # from the venue
    TOLD_REFUSED = 5            # would have taken
    TOLD_AMENDED = 6
    TOLD_AMEND_REFUSED = 7
    TOLD_CANCELLED = 8
    TOLD_UNKNOWN = 9            # no such order: it was filled before
    TOLD_FILL = 10

cdef struct Message:
    int64_t due_ns
    uint64_t seq
    int64_t price_ticks
    int64_t qty_lots
    int64_t ahead_lots          # of a fill: what stood in front when the order joined its level
    int64_t joined_ns           # when the venue did what this tells; of a fill: when the order joined
    int64_t made_ns             # of a fill
    int32_t kind                # Told
    uint8_t side                # Side
    uint8_t post_only
    uint8_t maker
    uint8_t last                # of what left together; of an amend told: with a new place

# First in, first out: a connection delivers in order whatever each message takes.
cdef class Link:
    cdef Message* ring
    cdef uint64_t head
    cdef uint64_t tail
    cdef int64_t last_ns
    cdef readonly uint64_t lost_count    # found the ring full
    cdef int64_t* delays_ns
    cdef int64_t delay_count
    cdef int64_t* from_ns       # when each was measured; NULL: they are taken in turn
    cdef int64_t at             # of the next delay; of measured moments: of the last one taken, or -1
    cdef uint64_t seed          # 0: one after the other, around; else drawn
    cdef int32_t spell          # left of the spell that was drawn
    cdef Message* push_c(self, int64_t now_ns) noexcept nogil
    cdef int64_t delay_c(self, int64_t now_ns) noexcept nogil

cdef struct Resting:            # an order at the venue, by slot of the order table
    uint64_t seq                # 0: none
    int64_t price_ticks
    int64_t remaining_lots
    int64_t filled_lots
    int64_t ahead_lots
    int64_t shown_lots          # at its price when last looked at
    int64_t traded_lots         # there since
    int64_t first_ahead_lots
    int64_t joined_ns
    uint64_t arrival
    uint8_t side
    uint8_t known               # 0: nobody told what rests at its price

cdef struct Taken:
    int64_t price_ticks
    int64_t lots
    int64_t shown_lots          # there when it was taken
    int64_t until_ns            # it stays missing until then, whatever is told
    int32_t side                # BookSide

cdef class QueueVenue:
    cdef readonly Book book
    cdef QueueModel model
    cdef int32_t power
    cdef int64_t impact_ns
    cdef Link answers
    cdef int32_t count
    cdef int32_t count_of[3]                # by Side
    cdef int64_t best_ticks[3]              # by Side, 0: none
    cdef int32_t slots[ORDERS_MAX]          # of the resting ones, in no order
    cdef Resting orders[ORDERS_MAX]
    cdef uint16_t here[2][256]              # resting orders by the low byte of their price, by BookSide
    cdef bint touched                       # a level with an order of ours was told
    cdef uint64_t arrivals
    cdef int32_t taken_count
    cdef Taken taken[TAKEN_MAX]
    cdef readonly uint64_t forgotten_count  # levels beyond them, taken to be whole again
    cdef readonly uint64_t fill_count
    cdef void take_c(self, const Message* message, int64_t now_ns) noexcept nogil
    cdef void place_c(self, const Message* message, int64_t now_ns) noexcept nogil
    cdef void amend_c(self, const Message* message, int64_t now_ns) noexcept nogil
    cdef void cancel_c(self, const Message* message, int64_t now_ns) noexcept nogil
    cdef Message* answer_c(self, int kind, const Message* message, int64_t now_ns) noexcept nogil
    cdef void fill_c(self, Resting* order, int64_t price_ticks, int64_t lots, bint maker, int64_t now_ns) noexcept nogil
    cdef int64_t walk_c(self, Resting* order, int64_t now_ns) noexcept nogil
    cdef void join_c(self, Resting* order, int64_t now_ns) noexcept nogil
    cdef void drop_c(self, int32_t slot) noexcept nogil
    cdef void rank_c(self, int side) noexcept nogil
    cdef void told_c(self, int side, int64_t price_ticks, int64_t now_ns) noexcept nogil
    cdef void news_c(self, int64_t now_ns) noexcept nogil
    cdef bint beyond_c(self, int side, int64_t price_ticks) noexcept nogil
    cdef bint takes_c(self, int side, int64_t price_ticks) noexcept nogil
    cdef int64_t left_c(self, int side, int64_t price_ticks) noexcept nogil
    cdef void use_c(self, int side, int64_t price_ticks, int64_t lots, int64_t now_ns) noexcept nogil
    cdef void trade_c(self, int taker_side, int64_t price_ticks, int64_t lots, int64_t now_ns) noexcept nogil
    cdef void look_c(self) noexcept nogil
    cdef void settle_c(self, int64_t now_ns) noexcept nogil
    cdef Resting* first_c(self, int side) noexcept nogil

cdef class Outlet(Encoder):
    cdef Link requests
    cdef public bint behind                 # what is sent leaves when the next read comes
    cdef uint64_t held_count                # the newest of `requests`
    cdef readonly uint64_t batch_count
    cdef int64_t arrives_c(self, int64_t now_ns) noexcept nogil
    cdef void release_c(self, int64_t now_ns) noexcept nogil

cdef class OutletTransport(Transport):
    pass
