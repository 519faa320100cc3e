# Quotes of a horizon: Avellaneda and Stoikov's reservation price and spread.
from libc.stdint cimport int64_t

from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport InstrumentSpec
from openmm.strategy.optimal cimport ModelParams, Solved

cdef void solve_avellaneda_c(const ModelParams* params, Solved* out) noexcept nogil

cdef class AvellanedaStrategy(Strategy):
    cdef ModelParams model
    cdef InstrumentSpec spec
    cdef Solved solved
    cdef int one_sided              # 1: only asks, -1: only bids, 0: both
    cdef object parameters          # the AvellanedaParameters that `model` was filled from
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
