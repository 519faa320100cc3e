# Approved actions to Gate.io WebSocket v4 trading calls. They hold no secret: the connection is logged in.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.ports cimport Encoder, OutBatch
from openmm._fast.text cimport Piece

cdef enum:
    TEXT_BYTES = 20             # client id: t- and 18 characters
    CANCELS_MAX = 20            # ids of one order_cancel_ids
    ADDS_MAX = 10               # orders of one order_place array

cdef class GateioEncoder(Encoder):
    cdef int64_t deadline_ms
    cdef uint64_t second            # whose text stands in `head`
    cdef uint64_t ms                # whose deadline stands in `deadline`
    cdef int32_t second_bytes
    cdef char second_text[24]
    cdef int32_t deadline_bytes
    cdef char deadline[24]
    cdef Piece call[6]              # by RequestKind: from behind the time up to the request id
    cdef Piece order_open           # from the pair to the side, behind the text
    cdef Piece order_side[3]        # by Side
    cdef Piece order_close[2]       # by post_only: behind the price
    cdef Piece symbol               # `","currency_pair":"BTC_USDT"`
    cdef Piece symbol_id            # `{"currency_pair":"BTC_USDT","id":"`
    cdef Piece header               # behind req_param, up to the deadline
    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil
