# Approved actions to Bitget trading messages; no message carries a secret.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.ports cimport Encoder, OutBatch
from openmm._fast.text cimport Piece

cdef enum:
    CLIENT_ID_BYTES = 18
    BATCH_MAX = 20              # orders of one unified message

cdef class BitgetEncoder(Encoder):
    cdef bint unified
    cdef bint amend
    cdef Piece open                 # up to the request id
    cdef Piece call[6]              # by RequestKind: behind it, up to the first order
    cdef Piece close                # the end of a message
    cdef Piece order_side[3]        # by Side: an order up to its quantity
    cdef Piece order_close[2]       # by post_only: behind the price, up to the client id
    cdef Piece symbol               # behind an amended price
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
