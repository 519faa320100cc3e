# Price-time matching of one instrument: shared by simulator, paper mode and backtest.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cpdef enum Tif:
    TIF_UNDECIDED = 0
    GTC = 1
    IOC = 2
    FOK = 3

cpdef enum MatchResult:
    MATCH_UNDECIDED = 0
    MATCH_RESTING = 1          # on the book, perhaps partly filled
    MATCH_FILLED = 2
    MATCH_CANCELLED = 3        # IOC remainder, FOK miss, self-trade prevention
    MATCH_POST_ONLY = 4        # refused: would take
    MATCH_FULL = 5             # no free order slot
    MATCH_BAD = 6              # bad price, qty or side
    MATCH_UNKNOWN = 7          # no such order

cdef struct Execution:
    uint64_t maker_id
    uint64_t taker_id
    int64_t price_ticks
    int64_t qty_lots
    int64_t maker_remaining_lots
    int32_t maker_owner        # 0 = the market, > 0 an account
    int32_t taker_owner
    uint8_t taker_side

cdef class Matching:
    cdef int32_t execution_count
    cdef Execution* executions          # of the last call
    cdef MatchResult submit_c(self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots, int tif, bint post_only, int64_t now_ns) noexcept nogil
    cdef MatchResult cancel_c(self, uint64_t order_id) noexcept nogil
    cdef MatchResult amend_c(self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots, bint post_only, int64_t now_ns) noexcept nogil
