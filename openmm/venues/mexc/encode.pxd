# Approved actions to MEXC's REST trading requests; each carries its signature as a hole.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.ports cimport Encoder, OutBatch
from openmm._fast.text cimport Piece

cdef enum:
    CLIENT_ID_BYTES = 18
    BATCH_MAX = 20              # orders of one request
    SIGNATURE_BYTES = 64

cdef class MexcEncoder(Encoder):
    cdef object sign                # callable(bytes of the query) -> bytes, or None
    cdef Piece place[4]             # by 2 * (side is SELL) + post_only: a request up to its quantity
    cdef Piece entry[4]             # the same of an order in a batch
    cdef Piece batch                # a batch up to its first order
    cdef Piece entry_price          # between quantity and price
    cdef Piece entry_id             # between price and client id
    cdef Piece entry_close          # behind the client id
    cdef Piece place_close          # the same of a single order
    cdef Piece cancel               # a cancel up to the name of its order
    cdef Piece close                # from the window to the timestamp
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil
