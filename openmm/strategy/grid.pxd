# The default strategy: `quotes.grid_ladder_c` with its parameters and its one-sided state.
from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport GridParams, Ladder, MarketView
from openmm._fast.units cimport InstrumentSpec

cdef class GridStrategy(Strategy):
    cdef GridParams grid
    cdef InstrumentSpec spec
    cdef int one_sided              # 1: only asks, -1: only bids, 0: both
    cdef object parameters          # the GridParameters that `grid` was filled from
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
