# A strategy written in Python, behind the same port as the compiled ones.
from libc.stdint cimport int64_t, uint64_t
from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport InstrumentSpec

# A frozen copy of one MarketView.
cdef class View:
    cdef readonly int64_t now_ns
    cdef readonly int64_t reference_uticks
    cdef readonly int64_t confidence_ppm
    cdef readonly int64_t best_bid_ticks
    cdef readonly int64_t best_ask_ticks
    cdef readonly int64_t own_bid_ticks
    cdef readonly int64_t own_ask_ticks
    cdef readonly int64_t sigma_uticks
    cdef readonly int64_t depth_lots
    cdef readonly int64_t depth_mean_lots
    cdef readonly int64_t spread_mean_uticks
    cdef readonly int64_t flow_ppm
    cdef readonly int64_t x_ppm
    cdef readonly int64_t share_ppm
    cdef readonly int64_t target_ppm
    cdef readonly int64_t base_lots
    cdef readonly int64_t quote_lots_max
    cdef readonly int64_t jump_ppm
    cdef readonly int64_t micro_ppm
    cdef readonly int64_t imbalance_ppm
    cdef readonly int64_t ofi_ppm
    cdef readonly int64_t compression_ppm
    cdef readonly int64_t q_lots
    cdef readonly int64_t decay_uticks
    cdef readonly int64_t arrival_uhz
    cdef readonly bint allow_bid
    cdef readonly bint allow_ask

cdef class PythonStrategy(Strategy):
    cdef readonly object quoter
    cdef readonly object last_error     # the exception of the last failed call, None if none failed
    cdef readonly uint64_t error_count
    cdef readonly uint64_t call_count
    cdef InstrumentSpec spec
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int ask_c(self, const MarketView* view, Ladder* out) except -1
    cdef int fill_c(self, Ladder* out, int side, object levels) except -1
