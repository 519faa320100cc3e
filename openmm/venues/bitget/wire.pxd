# Bitget spot market data, API v2 and v3: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.ports cimport Decoded, Decoder, Steps
from openmm.venues.bitget.checksum cimport TextSide

cdef enum:
    NAME_BYTES = 48
    LEVELS_KEPT = 8192      # of one push, both sides
    TRADES_KEPT = 1024      # of one push

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t seq            # of the last push, 0: not told
    uint64_t trade_id       # of the last trade handed on
    Steps steps
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
    cdef bint rows                  # trades are arrays, as on API v1
    cdef Level* levels              # of the present push
    cdef int32_t level_count
    cdef void* trades               # Trade, of the present push
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_bound(self, const char* text, Py_ssize_t n) noexcept nogil
