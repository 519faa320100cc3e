# Approved actions to Gate.io WebSocket v4 trading calls. They hold no secret: the connection is logged in.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.ports cimport Encoder, OutBatch

cdef enum:
    PIECE_BYTES = 256
    TEXT_BYTES = 20             # client id: t- and 18 characters
    REQUESTS_KEPT = 1024        # a power of two
    SEQS_KEPT = 16384           # a power of two
    REQ_ID_MAX = 0x3FFFFFFF     # ids above are `stream`'s
    CANCELS_MAX = 20            # ids of one order_cancel_ids
    ADDS_MAX = 10               # orders of one order_place array

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

cdef class GateioEncoder(Encoder):
    cdef int64_t tick_points
    cdef int64_t lot_points
    cdef int32_t price_decimals
    cdef int32_t qty_decimals
    cdef int64_t deadline_ms
    cdef int32_t req_id             # of the last request
    cdef uint64_t second            # whose text stands in `head`
    cdef uint64_t ms                # whose deadline stands in `deadline`
    cdef int32_t second_bytes
    cdef char second_text[24]
    cdef int32_t deadline_bytes
    cdef char deadline[24]
    cdef char id_prefix[13]         # t-mBBBSSSSSSS
    cdef Piece call[6]              # by RequestKind: from behind the time up to the request id
    cdef Piece order_open           # from the pair to the side, behind the text
    cdef Piece order_side[3]        # by Side
    cdef Piece order_close[2]       # by post_only: behind the price
    cdef Piece symbol               # `","currency_pair":"BTC_USDT"`
    cdef Piece symbol_id            # `{"currency_pair":"BTC_USDT","id":"`
    cdef Piece header               # behind req_param, up to the deadline
    cdef Request* requests_kept
    cdef uint64_t* seqs
    cdef uint64_t seq_count         # sequences ever noted
    cdef str bot
    cdef str session
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil
