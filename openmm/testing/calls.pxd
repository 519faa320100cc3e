# Calls from compiled code, and a strategy that does as it is told.
from libc.stdint cimport int32_t, int64_t

from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView

cdef class ToldStrategy(Strategy):
    cdef int answer
    cdef int one_sided
    cdef bint spoils                    # whether it writes over its view
    cdef Ladder ladder
    cdef readonly int64_t call_count
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
