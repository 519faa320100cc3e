# A view of the market and a ladder of quotes. Formulas: docs/strategy.md, each term recorded in the ladder.
from libc.stdint cimport int32_t, int64_t, uint32_t
from openmm._fast.units cimport ASK, BID, MISSING, PPM, UTICKS, InstrumentSpec, mul_div

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
    CLAMP_BAND = 512               # price floor or ceiling
    CLAMP_NARROW = 1024            # still wide: narrows no faster than it may
    CLAMP_HELD = 2048              # a level is left out for now
    CLAMP_MICRO = 4096
    CLAMP_IMBALANCE = 8192
    CLAMP_OFI = 16384

cdef enum:
    OFF_BIDS = 1                   # `Ladder.sides_off`
    OFF_ASKS = 2

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
    int64_t hanging_bids           # bit i: an order that was level i's hangs beside the ladder
    int64_t hanging_asks
    int64_t own_x_ppm              # of this venue alone, where `x_ppm` and `q_lots` are a group's
    int64_t own_q_lots

cdef struct Level:
    int64_t price_ticks
    int64_t qty_lots

cdef struct Ladder:
    int32_t count[2]               # by BookSide
    uint32_t clamps                # QuoteClamp bits
    uint32_t sides_off             # OFF_BIDS, OFF_ASKS: sides not to be quoted at all
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
    int64_t widen_schedule_uticks
    int64_t widen_held_uticks      # what is left of a wider spread of before
    int64_t anchor_uticks          # state before: half-spread that narrowing began from, 0: none
    int64_t anchor_ns              # and when
    uint32_t held[2]               # bit i: level i of that side is not quoted for now
    uint32_t quoted[2]             # levels of the shape that the ladder has, best first
    int64_t bound_ticks[2]         # fee floor and band: no bid above, no ask below; 0: no bound

# Make levels of any strategy safe: post-only, own prices distinct, caps by what is held, venue minimums.
# Levels stand best first. Returns 1 when quoting; a ladder that crosses itself gives 0.
cdef int fence_ladder_c(const MarketView* view, const InstrumentSpec* spec, Ladder* ladder) noexcept nogil

# ---- arithmetic that every step towards a ladder shares
cdef extern from * nogil:
    """
    static __attribute__((noinline)) int64_t openmm_part_wide(int64_t value, int64_t share_ppm) {
        return openmm_saturate((openmm_i128)value * share_ppm / 1000000);
    }
    /* floor(value * share / 1e6) of two values that are not negative. The divisor is a constant, so
       that the usual case, a product within 64 bits, costs two multiplications. */
    static inline __attribute__((always_inline)) int64_t openmm_part(int64_t value, int64_t share_ppm) {
        int64_t product;
        if (__builtin_expect(__builtin_mul_overflow(value, share_ppm, &product), 0))
            return openmm_part_wide(value, share_ppm);
        return (int64_t)((uint64_t)product / 1000000u);
    }
    static inline int64_t openmm_part_up(int64_t value, int64_t share_ppm) {
        int64_t part = openmm_part(value, share_ppm);
        return part + ((openmm_i128)part * 1000000 != (openmm_i128)value * share_ppm);
    }
    #define OPENMM_LADDER_TICKS_MAX (INT64_C(1) << 40)
    #define OPENMM_REFERENCE_MAX (INT64_C(1000000) << 40)
    #define OPENMM_LADDER_LOTS_MAX (INT64_C(1) << 52)
    """
    const int64_t TICKS_MAX "OPENMM_LADDER_TICKS_MAX"
    const int64_t REFERENCE_UTICKS_MAX "OPENMM_REFERENCE_MAX"
    const int64_t LOTS_MAX "OPENMM_LADDER_LOTS_MAX"
    int64_t part_c "openmm_part"(int64_t value, int64_t share_ppm)
    int64_t part_up_c "openmm_part_up"(int64_t value, int64_t share_ppm)      # the same, rounded up

cdef inline int64_t capped_c(int64_t value, int64_t most) noexcept nogil:
    return value if value < most else most

cdef inline int64_t bid_lots_max_c(const MarketView* view, int64_t price_ticks) noexcept nogil:
    """Give what the quote balance buys at `price_ticks`, which may stand above the reference."""
    if price_ticks * UTICKS <= view.reference_uticks:
        return view.quote_lots_max
    return mul_div(view.quote_lots_max, view.reference_uticks, price_ticks * UTICKS)

cdef inline void ladder_clear_c(Ladder* ladder) noexcept nogil:
    """Clear counts, flags and parts; levels stay."""
    ladder.count[<int>BID] = 0
    ladder.count[<int>ASK] = 0
    ladder.clamps = 0
    ladder.sides_off = 0
    ladder.centre_uticks = 0
    ladder.skew_uticks = 0
    ladder.flow_uticks = 0
    ladder.half_uticks = 0
    ladder.half_base_uticks = 0
    ladder.widen_sigma_uticks = 0
    ladder.widen_depth_uticks = 0
    ladder.widen_inventory_uticks = 0
    ladder.micro_uticks = 0
    ladder.imbalance_uticks = 0
    ladder.ofi_uticks = 0
    ladder.widen_compression_uticks = 0
    ladder.widen_schedule_uticks = 0
    ladder.widen_held_uticks = 0
    ladder.anchor_uticks = 0
    ladder.anchor_ns = 0
    ladder.held[<int>BID] = 0
    ladder.held[<int>ASK] = 0
    ladder.quoted[<int>BID] = 0
    ladder.quoted[<int>ASK] = 0
    ladder.bound_ticks[<int>BID] = 0
    ladder.bound_ticks[<int>ASK] = 0

cdef inline bint quotable_c(const MarketView* view) noexcept nogil:
    """Whether a view lets anything be quoted: every input known, warm, reference in bounds, market not crossed."""
    # MISSING is negative: the lower bounds refuse it.
    return (
        0 < view.reference_uticks <= REFERENCE_UTICKS_MAX
        and view.warm == 1
        and view.confidence_ppm > 0
        and 0 <= view.best_bid_ticks < view.best_ask_ticks
        and view.sigma_uticks >= 0
        and view.depth_lots >= 0
        and view.depth_mean_lots >= 0
        and view.flow_ppm != MISSING
        and view.x_ppm != MISSING
        and 0 <= view.share_ppm <= PPM
        and 0 <= view.target_ppm <= PPM
        and view.jump_ppm >= 0
    )

# Python to C and back, for strategies and tests.
cdef int load_spec(object instrument, InstrumentSpec* out) except -1
cdef MarketView view_from_py(object view) except *
cdef dict ladder_to_py(const Ladder* ladder)
