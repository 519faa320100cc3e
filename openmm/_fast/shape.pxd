# From centre and half-spread to levels: the last of three steps from a view to a ladder.
from libc.stdint cimport int32_t, int64_t
from openmm._fast.quotes cimport (
    CLAMP_ONE_SIDED, CLAMP_SKEW, LEVELS_MAX, LOTS_MAX, Ladder, MarketView,
)
from openmm._fast.units cimport PPM, InstrumentSpec

cdef struct ShapeParams:
    int64_t order_lots             # quantity of a level
    int32_t num_orders             # levels a side
    int32_t spaced                 # 1: levels stand at `offset_ppm`; 0: `level_step_ppm` apart
    int64_t level_step_ppm         # distance between levels, of price
    int64_t rebalance_threshold_ppm  # share off target beyond which only the reducing side is quoted
    int64_t rebalance_exit_ppm     # hysteresis: leave one-sided quoting below this
    int64_t size_skew_ppm          # size factor 1 -/+ this * x for the adding / reducing side
    int64_t floor_ticks            # nothing is sold below; 0: no floor
    int64_t ceiling_ticks          # nothing is bought above
    int64_t sized                  # 1: levels have `level_lots`; 0: `order_lots` each
    int64_t offset_ppm[LEVELS_MAX]  # of each level from the inner quote, of price, never falling
    int64_t level_lots[LEVELS_MAX]

# Whether these can make a ladder at all.
cdef inline bint shaped_c(const ShapeParams* shape) noexcept nogil:
    return shape.num_orders > 0 and 0 < shape.order_lots <= LOTS_MAX

# Which sides to quote, and the inventory held to [-1, 1]. Too long for the share: only asks; at the end of
# the scale too. Moves the one-sided state with hysteresis; sets CLAMP_ONE_SIDED and CLAMP_SKEW.
cdef inline int64_t sides_c(
    const MarketView* view, const ShapeParams* shape, int* one_sided, bint* bids, bint* asks, Ladder* out
) noexcept nogil:
    cdef int64_t x_ppm = view.x_ppm
    cdef int64_t away_ppm = view.share_ppm - view.target_ppm
    if away_ppm > shape.rebalance_threshold_ppm:
        one_sided[0] = 1
    elif -away_ppm > shape.rebalance_threshold_ppm:
        one_sided[0] = -1
    elif (one_sided[0] > 0 and away_ppm < shape.rebalance_exit_ppm) or (
        one_sided[0] < 0 and -away_ppm < shape.rebalance_exit_ppm
    ):
        one_sided[0] = 0
    bids[0] = view.allow_bid == 1 and one_sided[0] <= 0
    asks[0] = view.allow_ask == 1 and one_sided[0] >= 0
    if one_sided[0] != 0:
        out.clamps |= CLAMP_ONE_SIDED
    if x_ppm >= PPM:
        x_ppm = PPM
        bids[0] = False
        out.clamps |= CLAMP_SKEW
    elif x_ppm <= -PPM:
        x_ppm = -PPM
        asks[0] = False
        out.clamps |= CLAMP_SKEW
    return x_ppm

# Fill the levels from `centre_uticks` and `half_uticks` of the ladder: spacing, sizes, price band, fee floor (a
# distance from the reference), post-only, caps by what is held, venue minimums. Levels in `held` are left out,
# the others stay where they are. Returns 1 when anything is quoted.
cdef int place_ladder_c(
    const MarketView* view, const ShapeParams* shape, const InstrumentSpec* spec, bint bids, bint asks,
    int64_t fee_uticks, Ladder* out
) noexcept nogil

# Take the fields of `ShapeParams` out of parameters that have others beside them.
cdef int shape_from_py(object params, ShapeParams* out) except -1
