"""The grid: from one view of the market to a ladder of quotes, a pure function on integers.

Every term of the price stands in the ladder, so that a checker can recompute it from the journal.
Nothing is quoted unless every input is known. Formulas: docs/strategy.md, "Grid". Executable
specification: tests/oracles/quotes.py.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from openmm._fast.units cimport (
    ASK, BID, MISSING, PPM, UTICKS, InstrumentSpec, floor_ticks, i128, i128_from_py, isqrt, mul_div,
)

cdef enum:
    DEPTH_RATIO_CAP = 3     # mean/depth - 1 counts up to this
    ROOT_NS = 1000          # isqrt(rest_ns * 1000) is the root of the seconds in millionths


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


# Fields of a view that are 0 unless something is measured.
QUIET = dict.fromkeys(
    ("jump_ppm", "micro_ppm", "imbalance_ppm", "ofi_ppm", "compression_ppm", "q_lots", "decay_uticks", "arrival_uhz"), 0
)


cdef inline int64_t capped_c(int64_t value, int64_t most) noexcept nogil:
    return value if value < most else most


cdef void ladder_clear_c(Ladder* ladder) noexcept nogil:
    ladder.count[<int>BID] = 0
    ladder.count[<int>ASK] = 0
    ladder.clamps = 0
    ladder.reserved = 0
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


cdef bint quotable_c(const MarketView* view) noexcept nogil:
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


cdef inline int fill_side_c(
    int sign, int64_t edge_uticks, int64_t step_uticks, int64_t bound_ticks, int count,
    int64_t level_lots, int64_t lots_max, const InstrumentSpec* spec, Level* levels,
) noexcept nogil:
    """Write one side's levels and return how many.

    Asks come mirrored (sign -1, all prices negated), so that both sides round away from the market
    with one floor. Prices are carried as ticks and remainder: no division per level.
    """
    cdef int64_t ticks = floor_ticks(edge_uticks)
    cdef int64_t below = edge_uticks - ticks * UTICKS
    cdef int64_t step_ticks = floor_ticks(step_uticks)
    cdef int64_t step_below = step_uticks - step_ticks * UTICKS
    cdef int64_t price_ticks, lots
    cdef int64_t left_lots = lots_max
    cdef int64_t least_lots = spec.qty_lots_min if spec.qty_lots_min > 1 else 1
    cdef i128 least_ticklots = spec.notional_ticklots_min
    cdef i128 notional
    cdef int level, _level
    cdef int n = 0
    cdef int64_t near_ticks = ticks if ticks < bound_ticks else bound_ticks
    cdef int64_t far_ticks = sign * (near_ticks - (count - 1) * (step_ticks + 1))
    near_ticks = sign * near_ticks
    notional = <i128>(near_ticks if near_ticks < far_ticks else far_ticks) * level_lots
    if (
        level_lots >= least_lots
        and count * level_lots <= lots_max
        and 0 < near_ticks <= TICKS_MAX
        and 0 < far_ticks <= TICKS_MAX
        and notional >= least_ticklots
    ):
        # No level can be worse than these bounds, so none needs a look of its own.
        for level in range(count):
            if ticks < bound_ticks:
                bound_ticks = ticks
            levels[level].price_ticks = sign * bound_ticks
            levels[level].qty_lots = level_lots
            bound_ticks -= 1
            below -= step_below
            ticks -= step_ticks + (1 if below < 0 else 0)
            below += UTICKS if below < 0 else 0
        return count
    for _level in range(count):
        price_ticks = sign * (ticks if ticks < bound_ticks else bound_ticks)
        if price_ticks <= 0 or price_ticks > TICKS_MAX:
            break
        lots = level_lots if level_lots < left_lots else left_lots
        if lots < least_lots:
            break
        notional = <i128>price_ticks * lots
        # A level too small for the venue is left out; a dearer ask behind it may still do.
        if notional >= least_ticklots:
            levels[n].price_ticks = price_ticks
            levels[n].qty_lots = lots
            n += 1
            left_lots -= lots
        # The next level stands at least one tick further out.
        bound_ticks = sign * price_ticks - 1
        ticks -= step_ticks
        below -= step_below
        if below < 0:
            below += UTICKS
            ticks -= 1
    return n


cdef inline int64_t order_lots_c(int64_t order_lots, int64_t factor_ppm, int64_t most_lots) noexcept nogil:
    """Give the quantity of one level under the size skew."""
    return capped_c(part_c(order_lots, factor_ppm), most_lots)


cdef inline int64_t bid_lots_max_c(const MarketView* view, int64_t price_ticks) noexcept nogil:
    """Give what the quote balance buys at `price_ticks`, which may stand above the reference."""
    if price_ticks * UTICKS <= view.reference_uticks:
        return view.quote_lots_max
    return mul_div(view.quote_lots_max, view.reference_uticks, price_ticks * UTICKS)


cdef int grid_ladder_c(
    const MarketView* view, const GridParams* params, const InstrumentSpec* spec, int* one_sided,
    Ladder* out,
) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t x_ppm, flow_ppm, size_ppm, fee, half, half_min, half_max, ratio_ppm, away_ppm
    cdef int64_t edge, step, fee_bound, post_bound, wanted, root
    cdef int64_t x_abs, flow_abs
    cdef int count = params.num_orders
    cdef uint32_t clamps = 0
    cdef bint bids, asks

    ladder_clear_c(out)
    if not quotable_c(view) or count <= 0 or not 0 < params.order_lots <= LOTS_MAX:
        return 0
    if count > LEVELS_MAX:
        count = LEVELS_MAX

    # Which sides. Too long (+1): only asks; too short (-1): only bids; leaves with hysteresis.
    away_ppm = view.share_ppm - view.target_ppm
    if away_ppm > params.rebalance_threshold_ppm:
        one_sided[0] = 1
    elif -away_ppm > params.rebalance_threshold_ppm:
        one_sided[0] = -1
    elif (one_sided[0] > 0 and away_ppm < params.rebalance_exit_ppm) or (
        one_sided[0] < 0 and -away_ppm < params.rebalance_exit_ppm
    ):
        one_sided[0] = 0
    bids = view.allow_bid == 1 and one_sided[0] <= 0
    asks = view.allow_ask == 1 and one_sided[0] >= 0
    if one_sided[0] != 0:
        clamps |= CLAMP_ONE_SIDED

    # Centre. Long shifts both quotes down, short up; buying takers shift both up, selling down.
    x_ppm = view.x_ppm
    if x_ppm >= PPM:
        x_ppm = PPM
        bids = False
        clamps |= CLAMP_SKEW
    elif x_ppm <= -PPM:
        x_ppm = -PPM
        asks = False
        clamps |= CLAMP_SKEW
    flow_ppm = view.flow_ppm
    if flow_ppm >= PPM:
        flow_ppm = PPM
        clamps |= CLAMP_FLOW
    elif flow_ppm <= -PPM:
        flow_ppm = -PPM
        clamps |= CLAMP_FLOW
    x_abs = x_ppm if x_ppm >= 0 else -x_ppm
    flow_abs = flow_ppm if flow_ppm >= 0 else -flow_ppm
    # Magnitudes are floored and signed after, so that opposite inputs give mirrored quotes.
    out.skew_uticks = part_c(part_c(reference, params.skew_full_ppm), x_abs)
    if x_ppm > 0:
        out.skew_uticks = -out.skew_uticks
    out.flow_uticks = part_c(part_c(reference, params.flow_full_ppm), flow_abs)
    if flow_ppm < 0:
        out.flow_uticks = -out.flow_uticks
    out.centre_uticks = reference + out.skew_uticks + out.flow_uticks

    # Half-spread. No term counts for more than the reference itself, which keeps the sum in range.
    # The fee floor is rounded up, so below zero its magnitude is rounded down.
    if params.fee_floor_ppm >= 0:
        fee = part_up_c(reference, params.fee_floor_ppm)
    else:
        fee = -part_c(reference, -params.fee_floor_ppm)
    half = part_c(reference, params.spread_ppm) >> 1
    if fee > half:
        half = fee
        clamps |= CLAMP_FEE_FLOOR
    out.half_base_uticks = half
    if params.vol_ppm > 0:
        root = params.rest_root_ppm if params.rest_root_ppm > 0 else isqrt(params.rest_ns * ROOT_NS)
        out.widen_sigma_uticks = capped_c(
            part_c(part_c(view.sigma_uticks, params.vol_ppm), root), reference
        )
    if params.depth_ppm > 0 and view.depth_mean_lots >= view.depth_lots:
        if view.depth_mean_lots - view.depth_lots >= DEPTH_RATIO_CAP * view.depth_lots:
            ratio_ppm = DEPTH_RATIO_CAP * PPM
        else:
            ratio_ppm = mul_div(view.depth_mean_lots - view.depth_lots, PPM, view.depth_lots)
        out.widen_depth_uticks = capped_c(part_c(part_c(reference, params.depth_ppm), ratio_ppm), reference)
    out.widen_inventory_uticks = part_c(part_c(reference, params.inventory_widen_ppm), x_abs)
    half += out.widen_sigma_uticks + out.widen_depth_uticks + out.widen_inventory_uticks
    half_min = part_c(reference, params.half_min_ppm)
    half_max = part_c(reference, params.half_max_ppm)
    if half_min < 1:
        half_min = 1
    if half < half_min:
        half = half_min
        clamps |= CLAMP_SPREAD_MIN
    if half > half_max and half_max >= half_min:
        half = half_max
        clamps |= CLAMP_SPREAD_MAX
    elif half < half_max and part_c(reference, view.jump_ppm) > out.half_base_uticks:
        # The fair value leapt past our own quotes: nobody knows yet where it will stand.
        half = half_max
        clamps |= CLAMP_JUMP
    out.half_uticks = half

    step = part_c(reference, params.level_step_ppm)
    size_ppm = part_c(params.size_skew_ppm, x_abs)
    if x_ppm < 0:
        size_ppm = -size_ppm

    if bids:
        edge = out.centre_uticks - half
        wanted = floor_ticks(edge)
        fee_bound = floor_ticks(reference - fee)
        post_bound = view.best_ask_ticks - 1
        out.count[<int>BID] = fill_side_c(
            1, edge, step, capped_c(fee_bound, post_bound), count,
            order_lots_c(params.order_lots, PPM - size_ppm, spec.qty_lots_max),
            bid_lots_max_c(view, capped_c(wanted, capped_c(fee_bound, post_bound))),
            spec, &out.levels[<int>BID][0],
        )
        if out.count[<int>BID] > 0:
            if wanted > fee_bound:
                clamps |= CLAMP_FEE_FLOOR
            if capped_c(wanted, fee_bound) > post_bound:
                clamps |= CLAMP_POST_ONLY_BID
    if asks:
        edge = -(out.centre_uticks + half)
        wanted = floor_ticks(edge)
        fee_bound = floor_ticks(-(reference + fee))
        post_bound = -(view.best_bid_ticks + 1)
        out.count[<int>ASK] = fill_side_c(
            -1, edge, step, capped_c(fee_bound, post_bound), count,
            order_lots_c(params.order_lots, PPM + size_ppm, spec.qty_lots_max),
            view.base_lots, spec, &out.levels[<int>ASK][0],
        )
        if out.count[<int>ASK] > 0:
            if wanted > fee_bound:
                clamps |= CLAMP_FEE_FLOOR
            if capped_c(wanted, fee_bound) > post_bound:
                clamps |= CLAMP_POST_ONLY_ASK
    out.clamps = clamps
    return 1 if out.count[<int>BID] > 0 or out.count[<int>ASK] > 0 else 0


cdef inline int fence_side_c(
    int sign, int64_t bound_ticks, int64_t lots_max, const InstrumentSpec* spec, int count,
    Level* levels,
) noexcept nogil:
    """Clamp, part and cap one side in place (asks mirrored, as in `fill_side_c`); return how many stay."""
    cdef int64_t price_ticks, lots
    cdef int64_t left_lots = lots_max
    cdef int64_t least_lots = spec.qty_lots_min if spec.qty_lots_min > 1 else 1
    cdef i128 least_ticklots = spec.notional_ticklots_min
    cdef i128 notional
    cdef int i
    cdef int n = 0
    for i in range(count):
        price_ticks = sign * capped_c(sign * levels[i].price_ticks, bound_ticks)
        if price_ticks <= 0 or price_ticks > TICKS_MAX:
            break
        lots = capped_c(levels[i].qty_lots, capped_c(left_lots, spec.qty_lots_max))
        notional = <i128>price_ticks * lots
        if lots < least_lots or notional < least_ticklots:
            continue
        levels[n].price_ticks = price_ticks
        levels[n].qty_lots = lots
        n += 1
        left_lots -= lots
        bound_ticks = sign * price_ticks - 1
    return n


cdef int fence_ladder_c(const MarketView* view, const InstrumentSpec* spec, Ladder* ladder) noexcept nogil:
    cdef Level* bids = &ladder.levels[<int>BID][0]
    cdef Level* asks = &ladder.levels[<int>ASK][0]
    cdef int bid_count = ladder.count[<int>BID]
    cdef int ask_count = ladder.count[<int>ASK]
    cdef int64_t bound
    ladder_clear_c(ladder)
    if not quotable_c(view) or not 0 <= bid_count <= LEVELS_MAX or not 0 <= ask_count <= LEVELS_MAX:
        return 0
    if bid_count > 0 and ask_count > 0 and bids[0].price_ticks >= asks[0].price_ticks:
        return 0
    ladder.centre_uticks = view.reference_uticks
    if bid_count > 0 and view.allow_bid == 1:
        bound = view.best_ask_ticks - 1
        if bids[0].price_ticks > bound:
            ladder.clamps |= CLAMP_POST_ONLY_BID
        ladder.count[<int>BID] = fence_side_c(
            1, bound, bid_lots_max_c(view, capped_c(bids[0].price_ticks, bound)), spec, bid_count, bids
        )
    if ask_count > 0 and view.allow_ask == 1:
        bound = -(view.best_bid_ticks + 1)
        if -asks[0].price_ticks > bound:
            ladder.clamps |= CLAMP_POST_ONLY_ASK
        ladder.count[<int>ASK] = fence_side_c(-1, bound, view.base_lots, spec, ask_count, asks)
    return 1 if ladder.count[<int>BID] > 0 or ladder.count[<int>ASK] > 0 else 0


# -------------------------------------------------------------------- Python face

cdef int load_spec(object instrument, InstrumentSpec* out) except -1:
    """Copy what the hot path needs of an `openmm.instrument.Instrument`."""
    memset(out, 0, sizeof(InstrumentSpec))
    out.tick_points = instrument.tick_points
    out.lot_points = instrument.lot_points
    out.qty_lots_min = instrument.qty_lots_min
    out.qty_lots_max = LOTS_MAX
    out.notional_ticklots_min = i128_from_py(instrument.notional_ticklots_min)
    out.price_decimals = instrument.price_decimals
    out.qty_decimals = instrument.qty_decimals
    return 0


cdef MarketView view_from_py(object view) except *:
    """Make a view of plain values; what is 0 in a quiet market without a fit may be left out."""
    return dict(QUIET, **view)


cdef dict ladder_to_py(const Ladder* ladder):
    """Copy a ladder: bids and asks as (price_ticks, qty_lots), best first, then clamps and parts."""
    cdef int i
    return {
        "bids": [
            (ladder.levels[<int>BID][i].price_ticks, ladder.levels[<int>BID][i].qty_lots)
            for i in range(ladder.count[<int>BID])
        ],
        "asks": [
            (ladder.levels[<int>ASK][i].price_ticks, ladder.levels[<int>ASK][i].qty_lots)
            for i in range(ladder.count[<int>ASK])
        ],
        "clamps": ladder.clamps,
        "centre_uticks": ladder.centre_uticks,
        "skew_uticks": ladder.skew_uticks,
        "flow_uticks": ladder.flow_uticks,
        "half_uticks": ladder.half_uticks,
        "half_base_uticks": ladder.half_base_uticks,
        "widen_sigma_uticks": ladder.widen_sigma_uticks,
        "widen_depth_uticks": ladder.widen_depth_uticks,
        "widen_inventory_uticks": ladder.widen_inventory_uticks,
        "micro_uticks": ladder.micro_uticks,
        "imbalance_uticks": ladder.imbalance_uticks,
        "ofi_uticks": ladder.ofi_uticks,
        "widen_compression_uticks": ladder.widen_compression_uticks,
    }


def grid_ladder(view, params, instrument, int one_sided=0):
    """Compute one ladder from plain values: the kernel as tests, `explain` and tools call it.

    Args:
        view: every field of MarketView by name; those of `QUIET` may be left out.
        params: every field of GridParams by name (`rest_root_ppm` may be left out).
        instrument: steps and minimums.
        one_sided: state before: 1 only asks, -1 only bids, 0 both.

    Returns:
        (1 to quote or 0, state after, ladder as a dict).
    """
    cdef MarketView view_ = view_from_py(view)
    cdef GridParams params_ = dict({"rest_root_ppm": 0}, **params)
    cdef InstrumentSpec spec
    cdef Ladder ladder
    cdef int quoting
    memset(&ladder, 0, sizeof(Ladder))
    load_spec(instrument, &spec)
    quoting = grid_ladder_c(&view_, &params_, &spec, &one_sided, &ladder)
    return quoting, one_sided, ladder_to_py(&ladder)


def fence_ladder(view, instrument, bids, asks):
    """Make levels safe as `fence_ladder_c` does; return (1 to quote or 0, ladder as a dict).

    Args:
        view: every field of MarketView by name; those of `QUIET` may be left out.
        bids, asks: (price_ticks, qty_lots), best first, at most 32 a side.

    Raises:
        ValueError: more levels than a ladder holds.
    """
    cdef MarketView view_ = view_from_py(view)
    cdef InstrumentSpec spec
    cdef Ladder ladder
    cdef int i, quoting
    memset(&ladder, 0, sizeof(Ladder))
    load_spec(instrument, &spec)
    for side, levels in ((BID, bids), (ASK, asks)):
        if len(levels) > LEVELS_MAX:
            raise ValueError(f"a ladder holds {LEVELS_MAX} levels a side: {len(levels)}")
        ladder.count[<int>side] = len(levels)
        for i in range(len(levels)):
            ladder.levels[<int>side][i].price_ticks = levels[i][0]
            ladder.levels[<int>side][i].qty_lots = levels[i][1]
    quoting = fence_ladder_c(&view_, &spec, &ladder)
    return quoting, ladder_to_py(&ladder)
