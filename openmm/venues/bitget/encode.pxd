# Approved actions to Bitget trading messages; no message carries a secret.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.ports cimport Encoder, OutBatch

cdef enum:
    PIECE_BYTES = 256
    CLIENT_ID_BYTES = 18
    REQUESTS_KEPT = 1024        # a power of two
    SEQS_KEPT = 16384           # a power of two
    REQ_ID_MAX = 0x3FFFFFFF     # ids above are `stream`'s
    BATCH_MAX = 20              # orders of one unified message

cpdef enum RequestKind:
    REQUEST_UNDECIDED = 0
    REQUEST_ADD = 1
    REQUEST_BATCH_ADD = 2
    REQUEST_AMEND = 3
    REQUEST_CANCEL = 4
    REQUEST_BATCH_CANCEL = 5

cdef struct Piece:              # text that never changes
    int32_t n
    char text[PIECE_BYTES]

cdef struct Request:            # what a request id stood for
    int32_t req_id
    int32_t kind
    int32_t count
    uint64_t first              # running number of its first sequence

cdef class BitgetEncoder(Encoder):
    cdef int64_t tick_points
    cdef int64_t lot_points
    cdef int32_t price_decimals
    cdef int32_t qty_decimals
    cdef bint unified
    cdef bint amend
    cdef int32_t req_id             # of the last request
    cdef char id_prefix[11]
    cdef Piece open                 # up to the request id
    cdef Piece call[6]              # by RequestKind: behind it, up to the first order
    cdef Piece close                # the end of a message
    cdef Piece order_side[3]        # by Side: an order up to its quantity
    cdef Piece order_close[2]       # by post_only: behind the price, up to the client id
    cdef Piece symbol               # behind an amended price
    cdef Request* requests_kept
    cdef uint64_t* seqs
    cdef uint64_t seq_count         # sequences ever noted
    cdef str bot
    cdef str session
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil
