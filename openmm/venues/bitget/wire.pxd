# Bitget spot market data, API v2 and v3: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.ports cimport Decoded, Decoder
from openmm.venues.bitget.checksum cimport TextSide

cdef enum:
    BINDS_MAX = 64          # instruments one decoder serves
    NAME_BYTES = 48
    LEVELS_KEPT = 8192      # of one push, both sides
    TRADES_KEPT = 1024      # of one push

cpdef enum Count:           # what a decoder counts
    MESSAGES = 0
    BOOK_UPDATES = 1        # book pushes applied, snapshots included
    SNAPSHOTS = 2
    TRADES = 3
    TRADES_ROUNDED = 4      # trade prices or quantities finer than the step, rounded down
    TRADES_REPEATED = 5     # told before
    CHECKSUMS_OK = 6
    CHECKSUMS_FAILED = 7
    GAPS = 8
    DROPPED = 9             # pushes not newer than the book
    CROSSED = 10
    OFF_TICK = 11
    BOUNDS = 12
    CAPACITY = 13
    PARSE_ERRORS = 14
    NOT_READY = 15          # updates of a book that waits for its snapshot
    UNBOUND = 16            # book or trade messages of instruments or channels not bound
    PONGS = 17
    SLOW = 18
    COUNTS = 19

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t seq            # of the last push, 0: not told
    uint64_t trade_id       # of the last trade handed on
    int64_t tick_points
    int64_t lot_points
    int32_t price_decimals
    int32_t qty_decimals
    int32_t verify
    int32_t texted          # texts are kept: the venue sends checksums
    int32_t chained         # updates told the seq of the push before
    int32_t joined          # an update has followed the snapshot
    int32_t dropped         # in a row
    int32_t instrument_index
    int32_t name_bytes
    int32_t channel_bytes
    char name[NAME_BYTES]       # BTCUSDT
    char channel[NAME_BYTES]    # books, books1, ...
    uint64_t checksums_ok
    uint64_t checksums_failed
    uint64_t snapshots
    TextSide texts[2]

cdef struct Level:
    int64_t price_ticks
    int64_t qty_lots
    const char* price           # as written, for the checksum
    const char* qty
    int32_t price_bytes
    int32_t qty_bytes
    int32_t side

cdef class BitgetDecoder(Decoder):
    cdef Bound* bound
    cdef int32_t bound_count
    cdef int32_t last               # index of the bound last matched
    cdef bint rows                  # trades are arrays, as on API v1
    cdef Level* levels              # of the present push
    cdef int32_t level_count
    cdef void* trades               # Trade, of the present push
    cdef uint64_t counts[COUNTS]
    cdef list books
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_bound(self, const char* text, Py_ssize_t n) noexcept nogil
