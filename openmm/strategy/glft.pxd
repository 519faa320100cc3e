# Quotes of an endless horizon: Gueant, Lehalle and Fernandez-Tapia's asymptotic closed form.
from libc.stdint cimport int64_t

from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport InstrumentSpec
from openmm.strategy.optimal cimport ModelParams, Solved

cdef void solve_glft_c(const ModelParams* params, Solved* out) noexcept nogil

cdef class GlftStrategy(Strategy):
    cdef ModelParams model
    cdef InstrumentSpec spec
    cdef Solved solved
    cdef int one_sided              # 1: only asks, -1: only bids, 0: both
    cdef object parameters          # the GlftParameters that `model` was filled from
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
