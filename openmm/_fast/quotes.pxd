# From reference and skew to a ladder of quotes. Formulas: docs/strategy.md, each term recorded in the ladder.
from libc.stdint cimport int32_t, int64_t, uint32_t
from openmm._fast.units cimport InstrumentSpec

cdef enum:
    LEVELS_MAX = 32

cpdef enum QuoteClamp:             # bit flags: what bound the quote
    CLAMP_POST_ONLY_BID = 1
    CLAMP_POST_ONLY_ASK = 2
    CLAMP_FEE_FLOOR = 4
    CLAMP_SPREAD_MIN = 8
    CLAMP_SPREAD_MAX = 16
    CLAMP_ONE_SIDED = 32
    CLAMP_SKEW = 64
    CLAMP_FLOW = 128
    CLAMP_JUMP = 256

# What a strategy sees. All integers; own quantity already taken off.
cdef struct MarketView:
    int64_t now_ns
    int64_t reference_uticks       # MISSING: do not quote
    int64_t confidence_ppm
    int64_t best_bid_ticks         # quoted book
    int64_t best_ask_ticks
    int64_t own_bid_ticks          # best live own prices, 0 when none
    int64_t own_ask_ticks
    int64_t sigma_uticks           # per sqrt(second)
    int64_t depth_lots
    int64_t depth_mean_lots
    int64_t spread_mean_uticks
    int64_t flow_ppm               # [-1e6, 1e6]
    int64_t x_ppm                  # inventory off target over scale, [-1e6, 1e6]
    int64_t share_ppm              # base share of total value
    int64_t target_ppm
    int64_t base_lots              # held
    int64_t quote_lots_max         # base lots the free quote balance buys at the reference
    int32_t allow_bid              # risk: may this side be quoted at all
    int32_t allow_ask
    int32_t warm
    int32_t jump_ppm               # how far the fair value jumped a moment ago, of price; 0: it did not
    int64_t micro_ppm              # price weighted by the sizes opposite less the mid, of price
    int64_t imbalance_ppm          # depth of bids less asks over their sum, [-1e6, 1e6]
    int64_t ofi_ppm                # order-flow imbalance over the usual depth, [-1e6, 1e6]
    int64_t compression_ppm        # 1 - spread / its mean: positive when tighter than usual
    int64_t q_lots                 # inventory off target, base
    int64_t decay_uticks           # 1/k: distance at which a quote fills e times less often; 0: not fitted
    int64_t arrival_uhz            # A: fills a second at no distance, in millionths; 0: not fitted

cdef struct Level:
    int64_t price_ticks
    int64_t qty_lots

cdef struct Ladder:
    int32_t count[2]               # by BookSide
    uint32_t clamps                # QuoteClamp bits
    int32_t reserved
    Level levels[2][LEVELS_MAX]    # best first
    # parts, for explain and for the independent checker
    int64_t centre_uticks          # reference + skew + what the signals shift it by
    int64_t skew_uticks            # <= 0 when long
    int64_t flow_uticks
    int64_t half_uticks            # half-spread after widening and clamps
    int64_t half_base_uticks
    int64_t widen_sigma_uticks
    int64_t widen_depth_uticks
    int64_t widen_inventory_uticks
    int64_t micro_uticks           # shifts of the centre, like `flow_uticks`
    int64_t imbalance_uticks
    int64_t ofi_uticks
    int64_t widen_compression_uticks

cdef struct GridParams:
    int64_t spread_ppm             # full inner spread, of price
    int64_t order_lots             # quantity of a level
    int32_t num_orders             # levels a side
    int32_t rest_root_ppm          # isqrt(1000 * rest_ns), kept by who sets rest_ns; 0: taken anew each time
    int64_t level_step_ppm         # distance between levels, of price
    int64_t rebalance_threshold_ppm  # share off target beyond which only the reducing side is quoted
    int64_t rebalance_exit_ppm     # hysteresis: leave one-sided quoting below this
    int64_t skew_full_ppm          # shift of the centre at x = 1, of price
    int64_t flow_full_ppm          # shift at flow = 1 (the cap), of price
    int64_t vol_ppm                # kv, in ppm: half += kv * sigma * sqrt(h_q)
    int64_t rest_ns                # h_q: expected rest time of a quote
    int64_t depth_ppm              # kd: half += kd * max(0, mean/depth - 1), of price, capped at 3
    int64_t inventory_widen_ppm    # ki: half += ki * |x|, of price
    int64_t fee_floor_ppm          # maker fee of one side plus min edge, less the fee budget
    int64_t half_min_ppm
    int64_t half_max_ppm
    int64_t size_skew_ppm          # size factor 1 -/+ this * x for the adding / reducing side

# Pure: (view, params, spec, one_sided state) -> ladder. Returns 1 when quoting, 0 when it must not (ladder empty).
cdef int grid_ladder_c(
    const MarketView* view, const GridParams* params, const InstrumentSpec* spec, int* one_sided, Ladder* out
) noexcept nogil

# Make levels of any strategy safe: post-only, own prices distinct, caps by what is held, venue minimums.
# Levels stand best first. Returns like `grid_ladder_c`; a ladder that crosses itself gives 0.
cdef int fence_ladder_c(const MarketView* view, const InstrumentSpec* spec, Ladder* ladder) noexcept nogil

# Whether a view lets anything be quoted: every input known, warm, reference in bounds, market not crossed.
cdef bint quotable_c(const MarketView* view) noexcept nogil
cdef void ladder_clear_c(Ladder* ladder) noexcept nogil         # counts, flags and parts; levels stay

# Python to C and back, for strategies and tests.
cdef int load_spec(object instrument, InstrumentSpec* out) except -1
cdef MarketView view_from_py(object view) except *
cdef dict ladder_to_py(const Ladder* ladder)
