"""Base classes that venues, strategies and transports fill in; the pipeline knows only these.

Each method of a base class refuses: a port that is not filled in never quotes, never sends.
"""

from cython cimport final

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy


cdef class Sink:
    """Receive the trades a decoder reads."""

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        pass


cdef class Decoder:
    """Turn a venue's bytes into changes of the bound books.

    `decode_c` applies what it reads at once; the pointer it is given dies with the call.
    """

    def __cinit__(self, *args, **kwargs):
        self.sink = Sink()
        self.touched = -1
        self.ts_ns = 0

    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil:
        return DECODED_UNDECIDED

    def set_sink(self, Sink sink not None):
        """Send the trades of this decoder to `sink`."""
        self.sink = sink


cdef class Encoder:
    """Turn approved actions into a venue's canonical messages, secrets as holes of fixed width."""

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        return -1

    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil:
        pass


cdef class Strategy:
    """Turn a market view into a ladder; 0 means: quote nothing."""

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        return 0

    cdef int one_sided_c(self) noexcept nogil:
        return 0


cdef class Transport:
    """Send a batch of messages in one write."""

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        return -1


cdef int out_alloc(OutBatch* batch) except -1:
    batch.data = <char*>calloc(1, OUT_BYTES)
    if batch.data == NULL:
        raise MemoryError("out batch")
    out_reset(batch)
    return 0


cdef void out_free(OutBatch* batch) noexcept:
    free(batch.data)
    batch.data = NULL


@final
cdef class MemoryTransport(Transport):
    """Keep what was sent, in memory: tests, replay, and the byte pipe of paper mode.

    Each entry of `sent` is one message as it would stand on the wire, its secret filled in.

    Args:
        on_sent: called with the messages of each decision; they are then not kept.
    """

    def __cinit__(self, on_sent=None):
        self.live = True
        self.sent = []
        self.write_count = 0
        self.on_sent = on_sent

    def set_live(self, bint live):
        """Make the next sends succeed or fail."""
        self.live = live

    def take(self):
        """Return what was sent since the last call, and forget it."""
        out = self.sent
        self.sent = []
        return out

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef int i
        cdef char* message
        if not self.live:
            return -1
        for i in range(batch.count):
            message = batch.data + batch.start[i]
            if batch.hole[i] >= 0:
                encoder.fill_secret_c(message, batch.length[i], batch.hole[i])
            self.sent.append(message[: batch.length[i]])
        self.write_count += 1
        if self.on_sent is not None:
            self.on_sent(self.take())
        return batch.size


@final
cdef class NullTransport(Transport):
    """Do all of a send but the system call: for benches and backtests, no Python object is made."""

    def __cinit__(self):
        self.live = True
        self.buffer = <char*>calloc(1, OUT_BYTES)
        if self.buffer == NULL:
            raise MemoryError("write buffer")

    def __dealloc__(self):
        free(self.buffer)

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef int i
        cdef char* body = self.buffer
        for i in range(batch.count):
            memcpy(body, batch.data + batch.start[i], batch.length[i])
            if batch.hole[i] >= 0:
                encoder.fill_secret_c(body, batch.length[i], batch.hole[i])
            body += batch.length[i]
        self.write_count += 1
        self.message_count += batch.count
        self.byte_count += batch.size
        return batch.size


@final
cdef class TradeLog(Sink):
    """Keep the trades a decoder reads, for tests and captures: (index, ts_ns, price, qty, id, side, snapshot)."""

    def __cinit__(self, int capacity=1024):
        if capacity < 1:
            raise ValueError(f"capacity must be positive: {capacity}")
        self.capacity = capacity
        self.count = 0
        self.dropped = 0
        self.trades = <Trade*>calloc(capacity, sizeof(Trade))
        if self.trades == NULL:
            raise MemoryError("trade log")

    def __dealloc__(self):
        free(self.trades)

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        if self.count == self.capacity:
            self.dropped += 1
            return
        self.trades[self.count] = trade[0]
        self.count += 1

    def take(self):
        """Return and forget the trades kept: tuples in wire order."""
        cdef int i
        cdef Trade* t
        out = []
        for i in range(self.count):
            t = &self.trades[i]
            out.append(
                (t.instrument_index, t.ts_ns, t.price_ticks, t.qty_lots, t.trade_id,
                 t.taker_side, t.snapshot)
            )
        self.count = 0
        return out
