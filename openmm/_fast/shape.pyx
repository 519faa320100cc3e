"""The shape of a ladder: its levels, from a centre and a half-spread, on integers alone.

Every strategy that prices by centre and half-spread ends here, so that spacing, sizes and bounds
mean the same to all of them. Formulas: docs/strategy.md, "Grid". Executable specification:
tests/oracles/quotes.py.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from openmm._fast.quotes cimport (
    CLAMP_BAND, CLAMP_FEE_FLOOR, CLAMP_HELD, CLAMP_POST_ONLY_ASK, CLAMP_POST_ONLY_BID, LEVELS_MAX,
    OFF_ASKS, OFF_BIDS, TICKS_MAX, Level,
    bid_lots_max_c, capped_c, ladder_to_py, load_spec, part_c, quotable_c, view_from_py,
)
from openmm._fast.units cimport ASK, BID, UTICKS, floor_ticks, i128

SHAPE_FIELDS = (
    "order_lots", "num_orders", "level_step_ppm", "rebalance_threshold_ppm", "rebalance_exit_ppm",
    "size_skew_ppm", "floor_ticks", "ceiling_ticks", "level_offsets_ppm", "level_lots",
)


cdef inline int fill_even_c(
    int sign, int64_t edge_uticks, int64_t step_uticks, int64_t bound_ticks, int count,
    int64_t level_lots, int64_t lots_max, const InstrumentSpec* spec, Level* levels,
) noexcept nogil:
    """Write one side's levels where every one is sure to stand; return 0 where one might not.

    Asks come mirrored (sign -1, all prices negated), so that both sides round away from the market
    with one floor. Prices are carried as ticks and remainder: no division per level.
    """
    cdef int64_t ticks = floor_ticks(edge_uticks)
    cdef int64_t below = edge_uticks - ticks * UTICKS
    cdef int64_t step_ticks = floor_ticks(step_uticks)
    cdef int64_t step_below = step_uticks - step_ticks * UTICKS
    cdef int level
    cdef int64_t near_ticks = ticks if ticks < bound_ticks else bound_ticks
    cdef int64_t far_ticks = sign * (near_ticks - (count - 1) * (step_ticks + 1))
    near_ticks = sign * near_ticks
    if (
        level_lots < (spec.qty_lots_min if spec.qty_lots_min > 1 else 1)
        or count * level_lots > lots_max
        or not 0 < near_ticks <= TICKS_MAX
        or not 0 < far_ticks <= TICKS_MAX
        or <i128>(near_ticks if near_ticks < far_ticks else far_ticks) * level_lots < spec.notional_ticklots_min
    ):
        return 0
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


cdef int fill_levels_c(
    const MarketView* view, const ShapeParams* shape, const InstrumentSpec* spec, int side, int64_t edge_uticks,
    int64_t step_uticks, int64_t bound_ticks, int count, int64_t factor_ppm, int64_t lots_max, Ladder* out,
) noexcept nogil:
    """Write one side's levels, each with an offset and a quantity of its own; return how many."""
    cdef int sign = 1 if side == BID else -1
    cdef uint32_t held = out.held[side]
    cdef int64_t hanging = view.hanging_bids if side == BID else view.hanging_asks
    cdef Level* levels = &out.levels[side][0]
    cdef int64_t ticks, lots
    cdef int64_t left_lots = lots_max
    cdef int64_t least_lots = spec.qty_lots_min if spec.qty_lots_min > 1 else 1
    cdef int level
    cdef int n = 0
    for level in range(count):
        if shape.spaced:
            ticks = floor_ticks(edge_uticks - part_c(view.reference_uticks, shape.offset_ppm[level]))
        else:
            ticks = floor_ticks(edge_uticks - level * step_uticks)
        ticks = sign * capped_c(ticks, bound_ticks)
        if ticks <= 0 or ticks > TICKS_MAX:
            break
        # The next level stands at least one tick further out, whatever becomes of this one.
        bound_ticks = sign * ticks - 1
        lots = capped_c(
            order_lots_c(shape.level_lots[level] if shape.sized else shape.order_lots, factor_ppm, spec.qty_lots_max),
            left_lots,
        )
        if held >> level & 1:
            # What hangs in the level's place holds its quantity; where nothing does, nothing is held.
            if hanging >> level & 1:
                left_lots -= lots if lots > 0 else 0
            continue
        # A level too small for the venue is left out; one behind it may still do.
        if lots < least_lots or <i128>ticks * lots < spec.notional_ticklots_min:
            continue
        levels[n].price_ticks = ticks
        levels[n].qty_lots = lots
        out.quoted[side] |= (<uint32_t>1) << level
        n += 1
        left_lots -= lots
    return n


cdef inline int64_t order_lots_c(int64_t order_lots, int64_t factor_ppm, int64_t most_lots) noexcept nogil:
    """Give the quantity of one level under the size skew."""
    return capped_c(part_c(order_lots, factor_ppm), most_lots)


cdef inline int side_c(
    const MarketView* view, const ShapeParams* shape, const InstrumentSpec* spec, int side, int64_t edge_uticks,
    int64_t step_uticks, int64_t fee_bound, int64_t post_bound, int64_t band_bound, int64_t factor_ppm,
    Ladder* out,
) noexcept nogil:
    """Fill one side, mirrored for asks, and tell what bound it."""
    cdef int count = shape.num_orders if shape.num_orders < LEVELS_MAX else LEVELS_MAX
    cdef int sign = 1 if side == BID else -1
    cdef int64_t first = part_c(view.reference_uticks, shape.offset_ppm[0]) if shape.spaced else 0
    cdef int64_t wanted = floor_ticks(edge_uticks - first)
    cdef int64_t bound = capped_c(capped_c(fee_bound, post_bound), band_bound)
    cdef int64_t lots_max = bid_lots_max_c(view, capped_c(wanted, bound)) if side == BID else view.base_lots
    cdef int n = 0
    if not (shape.spaced | shape.sized | out.held[side]):
        n = fill_even_c(
            sign, edge_uticks, step_uticks, bound, count,
            order_lots_c(shape.order_lots, factor_ppm, spec.qty_lots_max), lots_max, spec,
            &out.levels[side][0],
        )
        out.quoted[side] = <uint32_t>(((<uint64_t>1) << n) - 1)
    if n == 0:
        n = fill_levels_c(
            view, shape, spec, side, edge_uticks, step_uticks, bound, count, factor_ppm, lots_max, out
        )
    out.count[side] = n
    if n > 0:
        if wanted > fee_bound:
            out.clamps |= CLAMP_FEE_FLOOR
        wanted = capped_c(wanted, fee_bound)
        if wanted > post_bound:
            out.clamps |= CLAMP_POST_ONLY_BID if side == BID else CLAMP_POST_ONLY_ASK
        if capped_c(wanted, post_bound) > band_bound:
            out.clamps |= CLAMP_BAND
    return n


cdef int place_ladder_c(
    const MarketView* view, const ShapeParams* shape, const InstrumentSpec* spec, bint bids, bint asks,
    int64_t fee_uticks, Ladder* out,
) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t bid_fee, ask_fee
    cdef int64_t step = part_c(reference, shape.level_step_ppm)
    cdef int64_t size_ppm = part_c(
        shape.size_skew_ppm, capped_c(view.x_ppm if view.x_ppm >= 0 else -view.x_ppm, PPM)
    )
    if view.x_ppm < 0:
        size_ppm = -size_ppm
    # Beyond the band only the side is quoted that trades back into it.
    if reference > shape.ceiling_ticks * UTICKS:
        bids = False
        out.clamps |= CLAMP_BAND
    elif reference < shape.floor_ticks * UTICKS:
        asks = False
        out.clamps |= CLAMP_BAND
    if out.held[<int>BID] | out.held[<int>ASK]:
        out.clamps |= CLAMP_HELD
    bid_fee = floor_ticks(reference - fee_uticks)
    ask_fee = floor_ticks(-(reference + fee_uticks))
    # What orders that stand already are held against; a bid's is never so low that it means none.
    out.bound_ticks[<int>BID] = max(capped_c(bid_fee, shape.ceiling_ticks), <int64_t>1)
    out.bound_ticks[<int>ASK] = -capped_c(ask_fee, -shape.floor_ticks)
    if bids:
        side_c(
            view, shape, spec, BID, out.centre_uticks - out.half_uticks, step, bid_fee,
            view.best_ask_ticks - 1, shape.ceiling_ticks, PPM - size_ppm, out,
        )
    else:
        out.sides_off |= OFF_BIDS
    if asks:
        side_c(
            view, shape, spec, ASK, -(out.centre_uticks + out.half_uticks), step,
            ask_fee, -(view.best_bid_ticks + 1), -shape.floor_ticks,
            PPM + size_ppm, out,
        )
    else:
        out.sides_off |= OFF_ASKS
    return 1 if out.count[<int>BID] > 0 or out.count[<int>ASK] > 0 else 0


# -------------------------------------------------------------------- Python face

cdef int shape_from_py(object params, ShapeParams* out) except -1:
    cdef int i
    offsets, amounts = params["level_offsets_ppm"], params["level_lots"]
    memset(out, 0, sizeof(ShapeParams))
    out.order_lots = params["order_lots"]
    out.num_orders = params["num_orders"]
    out.level_step_ppm = params["level_step_ppm"]
    out.rebalance_threshold_ppm = params["rebalance_threshold_ppm"]
    out.rebalance_exit_ppm = params["rebalance_exit_ppm"]
    out.size_skew_ppm = params["size_skew_ppm"]
    out.floor_ticks = params["floor_ticks"]
    out.ceiling_ticks = params["ceiling_ticks"]
    for told, name in ((offsets, "level_offsets_ppm"), (amounts, "level_lots")):
        if told and len(told) != min(out.num_orders, LEVELS_MAX):
            raise ValueError(f"{name} must have one value a level, {out.num_orders}: {told}")
    out.spaced = len(offsets) > 0
    out.sized = len(amounts) > 0
    for i in range(len(offsets)):
        out.offset_ppm[i] = offsets[i]
    for i in range(len(amounts)):
        out.level_lots[i] = amounts[i]
    return 0


def place_ladder(view, params, instrument, *, centre_uticks, half_uticks, fee_uticks=0, bint bids=True,
                 bint asks=True):
    """Fill levels from a centre and a half-spread, from plain values.

    Args:
        view: every field of MarketView by name; those of `quotes.QUIET` may be left out.
        params: every one of `SHAPE_FIELDS` by name, `level_offsets_ppm` and `level_lots` a value a
            level, or none; others beside them do not matter.
        instrument: steps and minimums.
        fee_uticks: least distance of a quote from the reference.
        bids, asks: sides to fill.

    Returns:
        (1 to quote or 0, ladder as a dict).
    """
    cdef MarketView view_ = view_from_py(view)
    cdef ShapeParams shape
    cdef InstrumentSpec spec
    cdef Ladder ladder
    cdef int quoting
    memset(&ladder, 0, sizeof(Ladder))
    load_spec(instrument, &spec)
    shape_from_py(params, &shape)
    if not quotable_c(&view_) or not shaped_c(&shape):
        return 0, ladder_to_py(&ladder)
    ladder.centre_uticks = centre_uticks
    ladder.half_uticks = half_uticks
    quoting = place_ladder_c(&view_, &shape, &spec, bids, asks, fee_uticks, &ladder)
    return quoting, ladder_to_py(&ladder)
