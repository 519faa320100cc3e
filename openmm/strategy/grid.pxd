# The default strategy: a ladder around the reference, its parameters and its one-sided state.
from libc.stdint cimport int64_t

from openmm._fast.leans cimport LeanParams
from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.shape cimport ShapeParams
from openmm._fast.units cimport InstrumentSpec

cdef struct GridParams:
    LeanParams lean
    ShapeParams shape
    int64_t spread_ppm             # full inner spread, of price
    int64_t skew_full_ppm          # shift of the centre at x = 1, of price
    int64_t vol_ppm                # kv, in ppm: half += kv * sigma * sqrt(h_q)
    int64_t rest_ns                # h_q: expected rest time of a quote
    int64_t rest_root_ppm          # isqrt(1000 * rest_ns), kept by who sets rest_ns
    int64_t depth_ppm              # kd: half += kd * max(0, mean/depth - 1), of price, capped at 3
    int64_t inventory_widen_ppm    # ki: half += ki * |x|, of price
    int64_t fee_floor_ppm          # maker fee of one side plus min edge, less the fee budget
    int64_t half_min_ppm
    int64_t half_max_ppm

# Pure: (view, params, spec, one_sided state) -> ladder. Returns 1 when quoting, 0 when it must not (ladder empty).
cdef int grid_ladder_c(
    const MarketView* view, const GridParams* params, const InstrumentSpec* spec, int* one_sided, Ladder* out
) noexcept nogil

cdef class GridStrategy(Strategy):
    cdef GridParams grid
    cdef InstrumentSpec spec
    cdef int one_sided              # 1: only asks, -1: only bids, 0: both
    cdef object parameters          # the GridParameters that `grid` was filled from
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
