# MEXC spot v3 market data: protobuf pushes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.increments cimport Held
from openmm._fast.ports cimport Decoded, Decoder, Steps

cdef enum:
    NAME_BYTES = 32

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t version        # of the book
    Steps steps
    int32_t depth
    int32_t whole           # every push brings the whole book: no REST copy is joined
    int32_t fresh           # no increment since the REST copy: the next one may overlap it
    int32_t verify          # compare the best prices with the book ticker's
    int32_t instrument_index
    int32_t name_bytes
    char name[NAME_BYTES]   # BTCUSDT
    Held held
    uint64_t snapshots

cdef class MexcDecoder(Decoder):
    cdef Bound* bound
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find(self, const char* text, Py_ssize_t n) noexcept nogil
