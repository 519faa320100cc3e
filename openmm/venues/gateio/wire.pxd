# Gate.io spot v4 market data: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.ports cimport Decoded, Decoder

cdef enum:
    BINDS_MAX = 64          # instruments one decoder serves
    NAME_BYTES = 48
    HELD_BYTES = 1 << 20    # increments kept for a book that waits for its snapshot

cpdef enum Count:           # what a decoder counts
    MESSAGES = 0
    BOOK_UPDATES = 1        # book messages applied, snapshots included
    SNAPSHOTS = 2           # whole books, from REST or a full frame
    TRADES = 3
    TRADES_ROUNDED = 4      # trade prices or quantities finer than the step, rounded down
    LEVELS_ROUNDED = 5      # quantities of levels finer than the lot
    GAPS = 6
    OLD_SNAPSHOTS = 7       # snapshots from before the first increment held
    HELD = 8                # increments put aside until the snapshot
    DROPPED = 9             # increments the book contained already
    OVERFLOWS = 10          # times the room for held increments was used up
    CROSSED = 11
    OFF_TICK = 12
    BOUNDS = 13
    CAPACITY = 14
    PARSE_ERRORS = 15
    NOT_READY = 16          # increments of an obu book that waits for its full frame
    UNBOUND = 17            # book or trade messages of instruments not bound
    PONGS = 18
    SLOW = 19
    AGAIN = 20              # frames whose members stood in an order that took a second pass
    COUNTS = 21

cpdef enum Channel:         # where a book comes from
    CHANNEL_UNDECIDED = 0
    CHANNEL_UPDATE = 1      # spot.order_book_update, joined to a REST snapshot
    CHANNEL_OBU = 2         # spot.obu

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t last_id        # of the book
    int64_t tick_points
    int64_t lot_points
    int32_t price_decimals
    int32_t qty_decimals
    int32_t depth
    int32_t channel
    int32_t instrument_index
    int32_t name_bytes
    int32_t stream_bytes
    char name[NAME_BYTES]       # BTC_USDT
    char stream[NAME_BYTES]     # what a book frame calls it: the pair, or ob.BTC_USDT.50
    # Increments put aside: length (int64), bytes.
    char* held
    int64_t held_bytes
    int64_t held_count
    uint64_t held_first_id      # where the held run of ids begins and ends
    uint64_t held_last_id
    uint64_t snapshots

cdef class GateioDecoder(Decoder):
    cdef Bound* bound
    cdef int32_t bound_count
    cdef int32_t last               # index of the bound last matched
    cdef uint64_t counts[COUNTS]
    cdef list books
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_name(self, const char* text, Py_ssize_t n) noexcept nogil
    cdef Bound* find_stream(self, const char* text, Py_ssize_t n) noexcept nogil
