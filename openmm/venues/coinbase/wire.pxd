# Coinbase Exchange market data: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.ports cimport Decoded, Decoder, Steps
from openmm.venues.reach cimport Reach

cdef enum:
    NAME_BYTES = 32

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    Steps steps
    Reach reach
    int32_t instrument_index
    int32_t name_bytes
    char name[NAME_BYTES]   # BTC-USD
    uint64_t trade_id       # of the last trade told, 0 before
    uint64_t snapshots

cdef class CoinbaseDecoder(Decoder):
    cdef Bound* bound
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_name(self, const char* text, Py_ssize_t n) noexcept nogil
