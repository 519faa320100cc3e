# Gate.io spot v4 market data: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.increments cimport Held
from openmm._fast.ports cimport Decoded, Decoder, Steps

cdef enum:
    NAME_BYTES = 48

cpdef enum Channel:         # where a book comes from
    CHANNEL_UNDECIDED = 0
    CHANNEL_UPDATE = 1      # spot.order_book_update, joined to a REST snapshot
    CHANNEL_OBU = 2         # spot.obu

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t last_id        # of the book
    Steps steps
    int32_t depth
    int32_t channel
    int32_t instrument_index
    int32_t name_bytes
    int32_t stream_bytes
    char name[NAME_BYTES]       # BTC_USDT
    char stream[NAME_BYTES]     # what a book frame calls it: the pair, or ob.BTC_USDT.50
    Held held
    uint64_t snapshots

cdef class GateioDecoder(Decoder):
    cdef Bound* bound
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_name(self, const char* text, Py_ssize_t n) noexcept nogil
    cdef Bound* find_stream(self, const char* text, Py_ssize_t n) noexcept nogil
