# Approved actions to Kraken WebSocket v2 requests, canonical: the token is a hole of fixed width.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.ports cimport Encoder, OutBatch
from openmm._fast.text cimport Piece

cdef enum:
    CLIENT_ID_BYTES = 18
    TOKEN_BYTES = 64            # longest token
    HOLE_BYTES = 65             # the token and its closing quote
    CANCELS_MAX = 50            # ids of one batch_cancel
    ADDS_MAX = 15               # orders of one batch_add

cdef class KrakenEncoder(Encoder):
    cdef int64_t deadline_ms
    cdef char secret[HOLE_BYTES]
    cdef bint has_secret
    cdef Piece head[3]              # by Side: order up to the price
    cdef Piece mid[2]               # by post_only: behind the quantity, up to the sequence
    cdef Piece add_open
    cdef Piece add_symbol           # behind an order of add_order
    cdef Piece batch_open
    cdef Piece amend_post[2]        # by post_only
    cdef Piece hole
    cdef uint64_t second_ms         # second and day whose text stands in `stamp`
    cdef uint64_t day
    cdef char stamp[24]             # "2024-07-21T09:53:59.050Z"
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil
