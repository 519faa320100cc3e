# Base classes that venues, strategies and transports fill in. The pipeline knows only these.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from openmm._fast.book cimport (
    BREAK_BOUNDS, BREAK_CAPACITY, BREAK_CHECKSUM, BREAK_CROSSED, BREAK_GAP, BREAK_OFF_TICK, BREAK_PARSE,
    Book, BookBreak,
)
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.planner cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport BUY, SELL, floor_div

cdef extern from *:
    """
    /* Bounds of `instrument.py`: ticks and lots beyond them never reach a book. */
    #define OPENMM_TICKS_MAX ((int64_t)1 << 40)
    #define OPENMM_LOTS_MAX ((int64_t)1 << 52)
    #define OPENMM_MS_MAX ((uint64_t)4102444800000)
    """
    const int64_t TICKS_MAX "OPENMM_TICKS_MAX"
    const int64_t LOTS_MAX "OPENMM_LOTS_MAX"
    const uint64_t MS_MAX "OPENMM_MS_MAX"       # year 2100

cpdef enum Decoded:
    DECODED_UNDECIDED = 0
    DECODED_BOOK = 1        # a book changed (applied; state tells whether it may be used)
    DECODED_TRADE = 2       # trades went to the sink
    DECODED_IGNORED = 3     # heartbeat and the like: counts as life
    DECODED_SLOW = 4        # not for the hot path: hand the bytes to the slow path
    DECODED_BROKEN = 5      # the frame broke a book; `touched` says which (-1: unknown, all)

cdef struct Trade:
    int64_t ts_ns
    int64_t price_ticks
    int64_t qty_lots
    uint64_t trade_id
    int32_t instrument_index
    uint8_t taker_side      # Side
    uint8_t snapshot        # 1: history sent on subscribe, not live

cdef class Sink:
    cdef void on_trade_c(self, const Trade* trade) noexcept nogil

cdef enum:
    BINDS_MAX = 64          # instruments one decoder serves

cpdef enum Count:           # what a decoder counts; no venue has them all
    MESSAGES = 0
    BOOK_UPDATES = 1        # book messages applied, snapshots included
    SNAPSHOTS = 2           # whole books
    TRADES = 3
    TRADE_GAPS = 4          # jumps of the trade id: trades were lost
    TRADES_ROUNDED = 5      # trade prices or quantities finer than the step, rounded down
    TRADES_REPEATED = 6     # told before
    LEVELS_ROUNDED = 7      # quantities of levels finer than the lot
    CHECKSUMS_OK = 8
    CHECKSUMS_FAILED = 9
    GAPS = 10               # messages that do not follow on the last one
    OLD_SNAPSHOTS = 11      # snapshots from before the first increment held
    HELD = 12               # increments put aside until the snapshot
    DROPPED = 13            # messages not newer than the book
    OVERFLOWS = 14          # times the room for held increments was used up
    CROSSED = 15
    OFF_TICK = 16
    BOUNDS = 17
    CAPACITY = 18
    PARSE_ERRORS = 19
    NOT_READY = 20          # updates of a book that waits for its snapshot
    UNBOUND = 21            # book or trade messages of instruments or channels not bound
    HEARTBEATS = 22         # and pongs
    SLOW = 23
    AGAIN = 24              # frames that left the fast path, or took a second pass
    COUNTS = 25

cdef struct Steps:          # of an instrument: tick and lot in units of 10**-decimals
    int64_t tick_points
    int64_t lot_points
    int32_t price_decimals
    int32_t qty_decimals

cdef int set_steps(
    Steps* steps, int64_t tick_points, int32_t price_decimals, int64_t lot_points, int32_t qty_decimals
) except -1

cdef class Decoder:
    cdef Sink sink
    cdef int32_t touched                # instrument index of the last DECODED_BOOK / BROKEN
    cdef int32_t bound_count
    cdef int32_t last                   # index of the bound last matched
    cdef int64_t ts_ns                  # venue time of the last message
    cdef int64_t applied_stamp          # when the last message's levels were in its book; 0: not told
    cdef uint64_t counts[COUNTS]
    cdef list books                     # holds what `targets` and the bounds borrow
    cdef void* targets[BINDS_MAX]       # the book of each bound
    # Applies what it reads to the bound books; the pointer dies with the call.
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    # Enters a book under the index of its bound, or as a new one for -1; returns the index.
    cdef int32_t take_book(self, int32_t index, Book book, int32_t instrument_index) except -1

cdef inline void tally(Decoder self, Count what) noexcept nogil:
    self.counts[<int>what] += 1

# Break one book and count why.
cdef inline Decoded break_book_c(
    Decoder self, Book book, int32_t instrument_index, BookBreak reason
) noexcept nogil:
    book.break_c(reason)
    self.touched = instrument_index
    if reason == BREAK_CHECKSUM:
        tally(self, CHECKSUMS_FAILED)
    elif reason == BREAK_GAP:
        tally(self, GAPS)
    elif reason == BREAK_OFF_TICK:
        tally(self, OFF_TICK)
    elif reason == BREAK_BOUNDS:
        tally(self, BOUNDS)
    elif reason == BREAK_CAPACITY:
        tally(self, CAPACITY)
    elif reason == BREAK_PARSE:
        tally(self, PARSE_ERRORS)
    return DECODED_BROKEN

# Break every bound book: a frame of a book channel that names none could not be read.
cdef Decoded break_all_c(Decoder self) noexcept nogil
# Count a trade message that could not be read and let the slow path log it.
cdef Decoded trades_bad_c(Decoder self) noexcept nogil

# Points of a trade to steps, rounded down; 0 where they are out of bounds.
cdef inline bint set_trade_c(
    Decoder self, const Steps* steps, int64_t price_points, int64_t qty_points, bint rounded, Trade* trade
) noexcept nogil:
    trade.price_ticks = floor_div(price_points, steps.tick_points)
    trade.qty_lots = floor_div(qty_points, steps.lot_points)
    rounded |= trade.price_ticks * steps.tick_points != price_points
    rounded |= trade.qty_lots * steps.lot_points != qty_points
    if (
        trade.price_ticks <= 0 or trade.price_ticks > TICKS_MAX
        or trade.qty_lots < 0 or trade.qty_lots > LOTS_MAX
    ):
        return 0
    self.counts[<int>TRADES_ROUNDED] += rounded
    return 1

# Messages of one decision, canonical: secrets are holes of fixed width.
cdef enum:
    OUT_BYTES = 65536
    OUT_MESSAGES = 128

cdef struct OutBatch:
    char* data                          # OUT_BYTES
    int32_t size
    int32_t count
    int32_t start[OUT_MESSAGES]
    int32_t length[OUT_MESSAGES]
    int32_t hole[OUT_MESSAGES]          # offset of the secret inside the message, -1 when none

cdef enum:
    REQUESTS_KEPT = 1024        # a power of two
    SEQS_KEPT = 16384           # a power of two
    REQ_ID_MAX = 0x3FFFFFFF     # ids above are the slow path's
    ID_PREFIX_BYTES = 16        # mark, bot and session of a client order id

cpdef enum RequestKind:
    REQUEST_UNDECIDED = 0
    REQUEST_ADD = 1
    REQUEST_BATCH_ADD = 2
    REQUEST_AMEND = 3
    REQUEST_CANCEL = 4
    REQUEST_BATCH_CANCEL = 5

cdef struct Request:            # what a request id stood for
    int32_t req_id
    int32_t kind
    int32_t count
    uint64_t first              # running number of its first sequence

cdef struct Wanted:             # how many actions of each kind
    int cancels
    int amends
    int places

# Requests of one instrument, remembered by id: answers name them.
cdef class Encoder:
    cdef Steps steps
    cdef int32_t req_id             # of the last request
    cdef int32_t id_prefix_bytes
    cdef char id_prefix[ID_PREFIX_BYTES]
    cdef Request* requests_kept
    cdef uint64_t* seqs
    cdef uint64_t seq_count         # sequences ever noted
    cdef str mark
    cdef str bot
    cdef str session
    # Takes a venue's instrument and the marks of its client ids.
    cdef int begin(
        self, str venue_symbol, int64_t tick_points, int32_t price_decimals, int64_t lot_points,
        int32_t qty_decimals, str mark, str bot, str session
    ) except -1
    # Encode approved actions (cancels first, as planned) into `out`; returns messages written, -1 on a refusal.
    cdef int encode_c(self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out) noexcept nogil
    # Fill the hole of one message in the write buffer (same length).
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil

# Count the actions; 0 where one is not approved, not whole or not for this encoder.
cdef inline bint count_actions_c(const Approved* actions, int count, bint amend, Wanted* out) noexcept nogil:
    cdef int i, cancels, amends, places
    cancels = amends = places = 0
    for i in range(count):
        if actions[i].seal == 0 or actions[i].action.seq == 0:
            return 0
        if actions[i].action.kind == ACTION_CANCEL:
            cancels += 1
            continue
        if actions[i].action.price_ticks <= 0 or actions[i].action.qty_lots <= 0:
            return 0
        if actions[i].action.kind == ACTION_AMEND and amend:
            amends += 1
        elif actions[i].action.kind == ACTION_PLACE and (
            actions[i].action.side == BUY or actions[i].action.side == SELL
        ):
            places += 1
        else:
            return 0
    out.cancels = cancels
    out.amends = amends
    out.places = places
    return 1

cdef inline void open_request_c(Encoder self, int kind) noexcept nogil:
    cdef Request* request
    self.req_id = 1 if self.req_id >= REQ_ID_MAX else self.req_id + 1
    request = &self.requests_kept[self.req_id & (REQUESTS_KEPT - 1)]
    request.req_id = self.req_id
    request.kind = kind
    request.count = 0
    request.first = self.seq_count

cdef inline void note_seq_c(Encoder self, uint64_t seq) noexcept nogil:
    self.seqs[self.seq_count & (SEQS_KEPT - 1)] = seq
    self.seq_count += 1
    self.requests_kept[self.req_id & (REQUESTS_KEPT - 1)].count += 1

# Enter the message that ends at `p` into the batch.
cdef inline void close_message_c(char* p, int32_t hole, OutBatch* out) noexcept nogil:
    cdef int index = out.count
    out.start[index] = out.size
    out.hole[index] = hole
    out.length[index] = <int32_t>(p - (out.data + out.size))
    out.size += out.length[index]
    out.count = index + 1

cdef class Strategy:
    # Orders that hang beside the ladder: how old, and how far from the reference they may get.
    cdef bint hanging                   # false: none may hang
    cdef int64_t hanging_ns_max         # 0: any age
    cdef int64_t hanging_distance_ppm   # of price; 0: any distance
    # Fill `out`; return 1 to quote it, 0 to quote nothing (live orders are cancelled).
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    # State the next ladder depends on beside the view (one-sided rebalancing), for the journal; 0 if none.
    cdef int one_sided_c(self) noexcept nogil
    # When to ask again though nothing moves; INT64_MAX: never.
    cdef int64_t wake_c(self) noexcept nogil
    # A fill of one of the strategy's orders, told before it is booked. `level`: of the shape, that the order was
    # made for last, or the lane of an order that hangs; `done`: the order is filled. Returns the lane that an order
    # of the other side goes into to stay where it is, and the level that it serves; 0: none does.
    cdef int filled_c(
        self, int side, int level, int64_t lots, bint done, int64_t now_ns, int* other
    ) noexcept nogil

cdef class Transport:
    cdef bint live
    # Send every message of the batch in one write. Returns bytes accepted, -1 when not connected.
    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept

cdef int out_alloc(OutBatch* batch) except -1
cdef void out_free(OutBatch* batch) noexcept
cdef inline void out_reset(OutBatch* batch) noexcept nogil:
    batch.size = 0
    batch.count = 0

cdef extern from * nogil:
    """
    #define OPENMM_BOARD_NO_BID INT64_C(0)
    #define OPENMM_BOARD_NO_ASK INT64_MAX
    """
    const int64_t NO_BID "OPENMM_BOARD_NO_BID"      # any ask is above it
    const int64_t NO_ASK "OPENMM_BOARD_NO_ASK"      # any bid is below it

# What others on our market show; this base asks nobody and is off.
cdef class Neighbours:
    cdef readonly bint on
    cdef int64_t bid_ticks              # their highest bid: our asks stay above it
    cdef int64_t ask_ticks              # their lowest ask: our bids stay below it
    cdef readonly int32_t count         # of others on our market
    cdef readonly uint64_t look_count
    # Look at the others; tells whether what they show changed since the last look.
    cdef bint look_c(self) noexcept nogil
    # Show our most aggressive prices; on return they are seen by whoever looks later.
    cdef void publish_c(self, int64_t bid_ticks, int64_t ask_ticks) noexcept nogil

cdef class MemoryTransport(Transport):
    cdef readonly list sent
    cdef readonly uint64_t write_count
    cdef object on_sent                 # callable(list of messages), or None: keep them in `sent`

cdef class NullTransport(Transport):
    cdef char* buffer
    cdef readonly uint64_t write_count
    cdef readonly uint64_t message_count
    cdef readonly uint64_t byte_count

cdef class TradeLog(Sink):
    cdef int32_t capacity
    cdef readonly int32_t count
    cdef readonly uint64_t dropped
    cdef Trade* trades
