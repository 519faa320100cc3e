# The default strategy: a ladder around the reference, its parameters and its state.
from libc.stdint cimport int32_t, int64_t, uint32_t

from openmm._fast.leans cimport LeanParams
from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport LEVELS_MAX, Ladder, MarketView
from openmm._fast.shape cimport ShapeParams
from openmm._fast.units cimport InstrumentSpec

cdef enum:
    WINDOWS_MAX = 16

cdef struct Window:                # of the day, UTC; one that ends before it begins goes over midnight
    int32_t from_s
    int32_t to_s
    int64_t widen_ppm              # added to the half-spread, of price
    int64_t quiet                  # 1: nothing is quoted

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
    int64_t narrow_ppm             # the half-spread falls no faster, of price a second; 0: at once
    int64_t refill_ns              # a level that was filled is not quoted again for so long
    int32_t ping_pong              # 1: nor before its level of the other side was filled
    int32_t window_count
    Window windows[WINDOWS_MAX]

# What a ladder depends on beside view and parameters.
cdef struct GridState:
    int one_sided                  # 1: only asks, -1: only bids, 0: both
    uint32_t held[2]               # levels not to be quoted
    int64_t anchor_uticks          # half-spread that narrowing begins from; 0: none
    int64_t anchor_ns

# Pure: (view, params, spec, state) -> ladder and state. Returns 1 when quoting, 0 when it must not (ladder empty).
cdef int grid_ladder_c(
    const MarketView* view, const GridParams* params, const InstrumentSpec* spec, GridState* state, Ladder* out
) noexcept nogil

cdef class GridStrategy(Strategy):
    cdef GridParams grid
    cdef InstrumentSpec spec
    cdef GridState state
    cdef bint holds                 # some level may have to wait
    cdef int64_t wake_ns            # when the next ladder differs though the market stands still
    cdef uint32_t quoted[2]         # levels of the last ladder
    cdef uint32_t sides_off         # and its sides that were not quoted at all
    cdef uint32_t waiting[2]        # ping-pong: levels that wait for the other side's
    cdef int64_t until_ns[2][LEVELS_MAX]    # when a level that was filled may come back
    cdef int64_t filled_lots[2][LEVELS_MAX]  # of each level since it was last filled as a whole
    cdef object parameters          # the GridParameters that `grid` was filled from
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int one_sided_c(self) noexcept nogil
    cdef int64_t wake_c(self) noexcept nogil
    cdef int filled_c(
        self, int side, int level, int64_t lots, bint done, int64_t now_ns, int* other
    ) noexcept nogil
    cdef void hold_c(self, const MarketView* view) noexcept nogil
    cdef void plan_wake_c(self, const MarketView* view, const Ladder* ladder) noexcept nogil
