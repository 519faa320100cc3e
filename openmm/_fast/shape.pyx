"""The shape of a ladder: its levels, from a centre and a half-spread, on integers alone.

Every strategy that prices by centre and half-spread ends here, so that spacing, sizes and bounds
mean the same to all of them. Formulas: docs/strategy.md, "Grid". Executable specification:
tests/oracles/quotes.py.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.quotes cimport (
    CLAMP_FEE_FLOOR, CLAMP_POST_ONLY_ASK, CLAMP_POST_ONLY_BID, LEVELS_MAX, LOTS_MAX, TICKS_MAX, Level,
    bid_lots_max_c, capped_c, ladder_to_py, load_spec, part_c, quotable_c, view_from_py,
)
from openmm._fast.units cimport ASK, BID, UTICKS, floor_ticks, i128

SHAPE_FIELDS = (
    "order_lots", "num_orders", "level_step_ppm", "rebalance_threshold_ppm", "rebalance_exit_ppm",
    "size_skew_ppm",
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


cdef bint shaped_c(const ShapeParams* shape) noexcept nogil:
    return shape.num_orders > 0 and 0 < shape.order_lots <= LOTS_MAX


cdef int place_ladder_c(
    const MarketView* view, const ShapeParams* shape, const InstrumentSpec* spec, bint bids, bint asks,
    int64_t fee_uticks, Ladder* out,
) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t step = part_c(reference, shape.level_step_ppm)
    cdef int64_t edge, fee_bound, post_bound, wanted, size_ppm
    cdef int count = shape.num_orders if shape.num_orders < LEVELS_MAX else LEVELS_MAX
    size_ppm = part_c(shape.size_skew_ppm, capped_c(view.x_ppm if view.x_ppm >= 0 else -view.x_ppm, PPM))
    if view.x_ppm < 0:
        size_ppm = -size_ppm
    if bids:
        edge = out.centre_uticks - out.half_uticks
        wanted = floor_ticks(edge)
        fee_bound = floor_ticks(reference - fee_uticks)
        post_bound = view.best_ask_ticks - 1
        out.count[<int>BID] = fill_side_c(
            1, edge, step, capped_c(fee_bound, post_bound), count,
            order_lots_c(shape.order_lots, PPM - size_ppm, spec.qty_lots_max),
            bid_lots_max_c(view, capped_c(wanted, capped_c(fee_bound, post_bound))),
            spec, &out.levels[<int>BID][0],
        )
        if out.count[<int>BID] > 0:
            if wanted > fee_bound:
                out.clamps |= CLAMP_FEE_FLOOR
            if capped_c(wanted, fee_bound) > post_bound:
                out.clamps |= CLAMP_POST_ONLY_BID
    if asks:
        edge = -(out.centre_uticks + out.half_uticks)
        wanted = floor_ticks(edge)
        fee_bound = floor_ticks(-(reference + fee_uticks))
        post_bound = -(view.best_bid_ticks + 1)
        out.count[<int>ASK] = fill_side_c(
            -1, edge, step, capped_c(fee_bound, post_bound), count,
            order_lots_c(shape.order_lots, PPM + size_ppm, spec.qty_lots_max),
            view.base_lots, spec, &out.levels[<int>ASK][0],
        )
        if out.count[<int>ASK] > 0:
            if wanted > fee_bound:
                out.clamps |= CLAMP_FEE_FLOOR
            if capped_c(wanted, fee_bound) > post_bound:
                out.clamps |= CLAMP_POST_ONLY_ASK
    return 1 if out.count[<int>BID] > 0 or out.count[<int>ASK] > 0 else 0


# -------------------------------------------------------------------- Python face

cdef int shape_from_py(object params, ShapeParams* out) except -1:
    out[0] = dict({name: params[name] for name in SHAPE_FIELDS}, reserved=0)
    return 0


def place_ladder(view, params, instrument, *, centre_uticks, half_uticks, fee_uticks=0, bint bids=True,
                 bint asks=True):
    """Fill levels from a centre and a half-spread, from plain values.

    Args:
        view: every field of MarketView by name; those of `quotes.QUIET` may be left out.
        params: every field of ShapeParams by name; others beside them do not matter.
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
