# A compiled strategy of the user's own, behind a fence.
from libc.stdint cimport int32_t, int64_t, uint64_t

from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport InstrumentSpec

cdef enum Fault:                # what was wrong with a ladder
    FAULT_NONE = 0
    FAULT_ANSWER = 1            # neither 1 nor 0 came back
    FAULT_COUNT = 2
    FAULT_BOUNDS = 3
    FAULT_ORDER = 4
    FAULT_CROSSED = 5

cdef struct Finding:
    int32_t fault
    int32_t side
    int64_t index               # of the level; the answer or the count where those are at fault
    int64_t price_ticks
    int64_t qty_lots

cdef class FencedStrategy(Strategy):
    cdef readonly Strategy strategy
    cdef InstrumentSpec spec
    cdef MarketView view                # the strategy's own copy: whatever it does to it stays there
    cdef Finding finding                # the last
    cdef readonly uint64_t error_count
    cdef uint64_t error_count_told      # at the last look
    cdef int64_t row                    # calls failed in a row, the last one among them
    cdef int64_t row_most               # longest row since the last look
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
