# The hot path over recorded events: columns in, decisions, a pretended venue, answers; no bytes between.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from openmm._fast.book cimport Book
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport ORDERS_MAX, OrderTable
from openmm._fast.pipeline cimport Feed, Frames, Pipeline
from openmm._fast.ports cimport Decoded, Encoder, OutBatch, Sink, Trade, Transport
from openmm._fast.queue cimport QueueModel
from openmm._fast.units cimport i128

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
    cdef int64_t at             # of the next delay
    cdef uint64_t seed          # 0: one after the other, around; else drawn
    cdef Message* push_c(self, int64_t now_ns) noexcept nogil
    cdef int64_t delay_c(self) noexcept nogil

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

# Shows the venue the trades of the quoted feed's messages, ahead of the feed.
cdef class Tap(Sink):
    cdef QueueVenue venue
    cdef Feed feed
    cdef void on_trade_c(self, const Trade* trade) noexcept nogil

cdef struct Source:             # columns, or messages of which recv_ns alone is set
    const int64_t* recv_ns
    const int64_t* venue_ns
    const int64_t* price_ticks
    const int64_t* qty_lots
    const uint16_t* flags
    const char* data            # messages: NULL for columns
    const Py_ssize_t* offsets
    Py_ssize_t at
    Py_ssize_t stop

cdef enum:
    SOURCES = 16
    FILL_FIELDS = 10
    MARK_FIELDS = 5
    STAY_FIELDS = 11

cdef class Backtest:
    cdef readonly Pipeline pipeline
    cdef readonly QueueVenue venue
    cdef readonly Outlet outlet
    cdef readonly Link answers
    cdef list feeds
    cdef list columns                       # keeps the arrays
    cdef Source sources[SOURCES]
    cdef int32_t source_count
    cdef int64_t maker_fee_ppm
    cdef int64_t taker_fee_ppm
    cdef int64_t atoms_num                  # of the quote asset to a ticklot
    cdef int64_t atoms_den
    cdef int64_t lot_atoms                  # of base; 0: fees are charged in quote
    cdef i128 base_fee_atoms
    cdef int64_t base_fee_lots
    cdef bint quote_told
    cdef i128 quote_atoms                   # the venue's balance
    cdef int64_t every_ns                   # 0: decide with every read
    cdef int64_t cadence_ns                 # next decision
    cdef int64_t timer_ns                   # of the slow path; 0: none
    cdef int64_t tick_ns                    # its next
    cdef int64_t mark_every_ns
    cdef int64_t mark_ns                    # next mark
    cdef object guard                       # None: nobody watches
    cdef bint guard_always
    cdef int64_t start_ppm
    cdef int64_t peak_ppm
    cdef int64_t q_lots_most
    cdef int64_t start_ticklots
    cdef int64_t peak_ticklots
    cdef uint64_t cancels_seen
    cdef int64_t wake_ns                    # before it nothing but market events is due
    cdef readonly int64_t now_ns
    cdef bint begun
    cdef readonly uint64_t event_count
    cdef readonly uint64_t message_count    # of the market
    cdef readonly uint64_t refused_count    # would have taken
    cdef readonly uint64_t fill_count
    cdef readonly uint64_t crossed_count    # messages after which a book was not whole
    cdef int64_t minute_first               # of `fills`, told within the last minute
    cdef int64_t* fills
    cdef int64_t fills_max
    cdef int64_t fills_kept
    cdef int64_t* marks
    cdef int64_t marks_max
    cdef int64_t marks_kept
    cdef int64_t* stays
    cdef int64_t stays_max
    cdef int64_t stays_kept
    cdef int64_t stay_of[ORDERS_MAX]        # by slot of the order table: its row and 1; 0: none
    cdef i128 fees_ticklots
    cdef int run_c(self, int64_t until_ns, int64_t events_max) except -1
    cdef int read_c(self, Source* source, Feed feed) except -1
    cdef void begin_read_c(self, Feed feed, int64_t recv_ns) noexcept
    cdef void end_message_c(self, Feed feed, Decoded decoded, bint last, int64_t venue_ns) noexcept
    cdef int read_frames_c(self, Source* source, Feed feed) except -1
    cdef int pass_c(self, int64_t until_ns) except -1
    cdef int due_c(self, int64_t until_ns) except -1
    cdef void next_due_c(self) noexcept
    cdef int answer_c(self, const Message* message) except -1
    cdef int fill_c(self, const Message* message) except -1
    cdef int taking_c(self, const Message* message) except -1
    cdef int stay_begins_c(self, const Message* message) except -1
    cdef void stay_ends_c(self, uint64_t seq, int64_t now_ns) noexcept nogil
    cdef int mark_c(self, int64_t now_ns) except -1
    cdef int watch_c(self, int64_t now_ns, bint timer) except -1
    cdef int rebound_c(self) except -1
    cdef int tick_c(self, int64_t now_ns) except -1
    cdef void base_fee_c(self, const Message* message, int64_t fee_ppm) noexcept nogil
    cdef i128 atoms_c(self, i128 ticklots, int64_t part) noexcept nogil
    cdef void minute_c(self, int64_t now_ns) noexcept nogil
