# Approved actions to Kraken WebSocket v2 requests, canonical: the token is a hole of fixed width.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport ORDERS_MAX, OrderTable
from openmm._fast.ports cimport Encoder, OutBatch

cdef enum:
    PIECE_BYTES = 256
    CLIENT_ID_BYTES = 18
    TOKEN_BYTES = 64            # longest token
    HOLE_BYTES = 65             # the token and its closing quote
    REQUESTS_KEPT = 1024        # a power of two
    SEQS_KEPT = 16384           # a power of two
    REQ_ID_MAX = 0x3FFFFFFF     # ids above are `stream`'s
    CANCELS_MAX = 50            # ids of one batch_cancel
    ADDS_MAX = 15               # orders of one batch_add

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

cdef struct Alias:              # an order adopted from an earlier session keeps its id
    uint64_t seq
    char text[CLIENT_ID_BYTES]

cdef class KrakenEncoder(Encoder):
    cdef int64_t tick_points
    cdef int64_t lot_points
    cdef int32_t price_decimals
    cdef int32_t qty_decimals
    cdef int64_t deadline_ms
    cdef int32_t req_id             # of the last request
    cdef int32_t symbol_bytes
    cdef char secret[HOLE_BYTES]
    cdef bint has_secret
    cdef char id_prefix[11]
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
    cdef Request* requests_kept
    cdef uint64_t* seqs
    cdef uint64_t seq_count         # sequences ever noted
    cdef Alias* aliases             # ORDERS_MAX, by slot
    cdef str bot
    cdef str session
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil
