# Base classes that venues, strategies and transports fill in. The pipeline knows only these.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from openmm._fast.book cimport Book
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport InstrumentSpec

cpdef enum Decoded:
    DECODED_UNDECIDED = 0
    DECODED_BOOK = 1        # a book changed (applied; state tells whether it may be used)
    DECODED_TRADE = 2       # trades went to the sink
    DECODED_IGNORED = 3     # heartbeat and the like: counts as life
    DECODED_SLOW = 4        # not for the hot path: hand the bytes to the slow path
    DECODED_BROKEN = 5      # the frame broke a book; `touched` says which (-1: unknown, all)

cdef struct Trade:
    int64_t ts_ns
    int64_t price_ticks
    int64_t qty_lots
    uint64_t trade_id
    int32_t instrument_index
    uint8_t taker_side      # Side
    uint8_t snapshot        # 1: history sent on subscribe, not live

cdef class Sink:
    cdef void on_trade_c(self, const Trade* trade) noexcept nogil

cdef class Decoder:
    cdef Sink sink
    cdef int32_t touched                # instrument index of the last DECODED_BOOK / BROKEN
    cdef int64_t ts_ns                  # venue time of the last message
    cdef int64_t applied_stamp          # when the last message's levels were in its book; 0: not told
    # Applies what it reads to the bound books; the pointer dies with the call.
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil

# Messages of one decision, canonical: secrets are holes of fixed width.
cdef enum:
    OUT_BYTES = 65536
    OUT_MESSAGES = 128

cdef struct OutBatch:
    char* data                          # OUT_BYTES
    int32_t size
    int32_t count
    int32_t start[OUT_MESSAGES]
    int32_t length[OUT_MESSAGES]
    int32_t hole[OUT_MESSAGES]          # offset of the secret inside the message, -1 when none

cdef class Encoder:
    # Encode approved actions (cancels first, as planned) into `out`; returns messages written, -1 on a refusal.
    cdef int encode_c(self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out) noexcept nogil
    # Fill the hole of one message in the write buffer (same length).
    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil

cdef class Strategy:
    # Fill `out`; return 1 to quote it, 0 to quote nothing (live orders are cancelled).
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    # State the next ladder depends on beside the view (one-sided rebalancing), for the journal; 0 if none.
    cdef int one_sided_c(self) noexcept nogil

cdef class Transport:
    cdef bint live
    # Send every message of the batch in one write. Returns bytes accepted, -1 when not connected.
    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept

cdef int out_alloc(OutBatch* batch) except -1
cdef void out_free(OutBatch* batch) noexcept
cdef inline void out_reset(OutBatch* batch) noexcept nogil:
    batch.size = 0
    batch.count = 0

cdef class MemoryTransport(Transport):
    cdef readonly list sent
    cdef readonly uint64_t write_count
    cdef object on_sent                 # callable(list of messages), or None: keep them in `sent`

cdef class NullTransport(Transport):
    cdef char* buffer
    cdef readonly uint64_t write_count
    cdef readonly uint64_t message_count
    cdef readonly uint64_t byte_count

cdef class TradeLog(Sink):
    cdef int32_t capacity
    cdef readonly int32_t count
    cdef readonly uint64_t dropped
    cdef Trade* trades
