# Kraken WebSocket v2 market data: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from openmm._fast.ports cimport Decoded, Decoder, Steps
from openmm.venues.kraken.checksum cimport TopSide

cdef enum:
    SYMBOL_BYTES = 32

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t version        # of the book when the top ten were last brought up to date
    Steps steps
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
    cdef char minute[20]            # text of the last minute seen, with its moment
    cdef int64_t minute_ns
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_bound(self, const char* symbol, Py_ssize_t n) noexcept nogil
