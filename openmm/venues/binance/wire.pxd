# Binance market data of spot, USD-M and COIN-M: bytes to books and trades.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.increments cimport Held
from openmm._fast.ports cimport Decoded, Decoder, Steps
from openmm.venues.reach cimport Reach

cdef enum:
    NAME_BYTES = 32

cdef struct Bound:
    void* book              # borrowed; `books` holds the reference
    uint64_t last_id        # of the book
    Steps steps
    Reach reach
    bint chained            # each increment names the one before it (`pu`): USD-M and COIN-M
    bint joined             # an increment has been applied behind the snapshot
    int32_t instrument_index
    int32_t name_bytes
    char name[NAME_BYTES]   # BTCUSDT
    # Increments put aside: length (int64), bytes.
    Held held                   # increments that wait for their snapshot
    uint64_t snapshots
    uint64_t trade_id           # of the last trade told, 0 before
    # The last best prices told by themselves.
    uint64_t ticker_id
    int64_t ticker_bid_ticks
    int64_t ticker_ask_ticks

cdef class BinanceDecoder(Decoder):
    cdef Bound* bound
    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil
    cdef Bound* find_name(self, const char* text, Py_ssize_t n) noexcept nogil
    cdef Bound* bound_c(self, str venue_symbol) except NULL
