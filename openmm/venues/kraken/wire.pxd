# Kraken WebSocket v2 market data: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from openmm._fast.ports cimport Decoded, Decoder
from openmm.venues.kraken.checksum cimport TopSide

cdef enum:
    BINDS_MAX = 64          # instruments one decoder serves
    SYMBOL_BYTES = 32

cpdef enum Count:           # what a decoder counts
    MESSAGES = 0
    BOOK_UPDATES = 1        # book messages applied, snapshots included
    SNAPSHOTS = 2
    TRADES = 3
    TRADE_GAPS = 4          # jumps of the trade id: trades were lost
    TRADES_ROUNDED = 5      # trade prices or quantities finer than the step, rounded down
    CHECKSUMS_OK = 6
    CHECKSUMS_FAILED = 7
    CROSSED = 8
    OFF_TICK = 9
    BOUNDS = 10
    CAPACITY = 11
    PARSE_ERRORS = 12
    NOT_READY = 13          # updates of a book that waits for its snapshot
    UNBOUND = 14            # book or trade messages of instruments not bound
    HEARTBEATS = 15
    SLOW = 16
    TOLERANT = 17           # frames that left the fast path
    COUNTS = 18

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t version        # of the book when the top ten were last brought up to date
    int64_t tick_points
    int64_t lot_points
    int32_t price_decimals
    int32_t qty_decimals
    int32_t depth
    int32_t verify
    int32_t instrument_index
    int32_t symbol_bytes
    char symbol[SYMBOL_BYTES]
    uint64_t trade_id       # of the last trade seen, 0: none
    uint64_t checksums_ok
    uint64_t checksums_failed
    uint64_t snapshots
    TopSide top[2]

cdef class KrakenDecoder(Decoder):
    cdef Bound* bound
    cdef int32_t bound_count
    cdef int32_t last               # index of the bound last matched
    cdef uint64_t counts[COUNTS]
    cdef char minute[20]            # text of the last minute seen, with its moment
    cdef int64_t minute_ns
    cdef list books
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_bound(self, const char* symbol, Py_ssize_t n) noexcept nogil
