# The hot path over recorded events: columns in, decisions, a pretended venue, answers; no bytes between.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t

from openmm._fast.orders cimport ORDERS_MAX
from openmm._fast.pipeline cimport Feed, Frames, Pipeline
from openmm._fast.ports cimport Decoded, Sink, Trade
from openmm._fast.queue_venue cimport Link, Message, Outlet, QueueVenue
from openmm._fast.units cimport i128

# Shows the venue the trades of the quoted feed's messages, ahead of the feed.
cdef class Tap(Sink):
    cdef QueueVenue venue
    cdef Feed feed
    cdef const int64_t[::1] skip            # places of trades that it is not shown, rising
    cdef Py_ssize_t skipped
    cdef int64_t trade_count
    cdef void on_trade_c(self, const Trade* trade) noexcept nogil

cdef struct Source:             # columns, or messages: then price, qty and flags are of their trades
    const int64_t* recv_ns
    const int64_t* venue_ns
    const int64_t* price_ticks
    const int64_t* qty_lots
    const uint16_t* flags
    const char* data            # messages: NULL for columns
    const Py_ssize_t* offsets
    Py_ssize_t at
    Py_ssize_t stop
    # Trades that were received after a book that holds them: the venue has them ahead of it.
    const int64_t* late_at      # first event of that book's message, rising
    const int64_t* late_trade   # and the trade's place
    const int64_t* late_skip    # the trades' places, rising
    Py_ssize_t late_count
    Py_ssize_t late_next
    Py_ssize_t late_skipped

cdef enum:
    SOURCES = 16
    HORIZONS = 4
    FILL_FIELDS = 14
    AGED = 10                   # of a fill: its first reference of later
    MARK_FIELDS = 6
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
    cdef int64_t fills_most                 # of a minute
    cdef int64_t slippage_ppm
    cdef int64_t told_fills                 # of `fills`, that the guard has counted
    cdef int64_t start_ticklots
    cdef int64_t peak_ticklots
    cdef uint64_t cancels_seen
    cdef int64_t opened_lots                # of base, held when it began
    cdef bint aging                         # fills are looked at again later
    cdef int64_t aged_ns                    # the next time
    cdef int64_t aged_next[HORIZONS]        # of `fills`, by horizon
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
    cdef void late_c(self, Source* source, Py_ssize_t at, int64_t now_ns) noexcept nogil
    cdef int read_frames_c(self, Source* source, Feed feed) except -1
    cdef int pass_c(self, int64_t until_ns) except -1
    cdef int due_c(self, int64_t until_ns) except -1
    cdef void next_due_c(self) noexcept
    cdef int answer_c(self, const Message* message) except -1
    cdef int fill_c(self, const Message* message) except -1
    cdef int taking_c(self, const Message* message) except -1
    cdef int stay_begins_c(self, const Message* message) except -1
    cdef void stay_shrinks_c(self, const Message* message) noexcept nogil
    cdef void stay_ends_c(self, uint64_t seq, int64_t now_ns) noexcept nogil
    cdef int mark_c(self, int64_t now_ns) except -1
    cdef int64_t held_c(self) noexcept nogil
    cdef i128 exit_c(self, int64_t uticks) noexcept
    cdef void age_c(self, int64_t now_ns) noexcept
    cdef void look_c(self, int64_t now_ns) noexcept
    cdef void next_aged_c(self) noexcept nogil
    cdef int watch_c(self, int64_t now_ns, bint timer) except -1
    cdef int rebound_c(self) except -1
    cdef int tell_fills_c(self, int64_t until) except -1
    cdef bint slipped_c(self, const Message* message) noexcept nogil
    cdef int tick_c(self, int64_t now_ns) except -1
    cdef void base_fee_c(self, const Message* message, int64_t fee_ppm) noexcept nogil
    cdef i128 atoms_c(self, i128 ticklots, int64_t part) noexcept nogil
    cdef void minute_c(self, int64_t now_ns) noexcept nogil
