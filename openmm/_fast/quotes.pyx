"""What a strategy sees and what it makes: a view of the market, a ladder of quotes.

Every term of the price stands in the ladder, so that a checker can recompute it from the journal.
Nothing is quoted unless every input is known. A compiled strategy makes a ladder in three steps:
`leans` (signals), its own price, `shape` (levels). Formulas: docs/strategy.md. Executable
specification: tests/oracles/quotes.py.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.units cimport ASK, BID, i128, i128_from_py

# Fields of a view that are 0 unless something is measured.
QUIET = dict.fromkeys(
    ("jump_ppm", "micro_ppm", "imbalance_ppm", "ofi_ppm", "compression_ppm", "q_lots", "decay_uticks", "arrival_uhz",
     "hanging_bids", "hanging_asks", "own_x_ppm", "own_q_lots"), 0
)


cdef inline int fence_side_c(
    int sign, int64_t bound_ticks, int64_t lots_max, const InstrumentSpec* spec, int count,
    Level* levels,
) noexcept nogil:
    """Clamp, part and cap one side in place (asks mirrored, as in `shape.fill_side_c`); return how many stay."""
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
        "sides_off": ladder.sides_off,
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
        "widen_schedule_uticks": ladder.widen_schedule_uticks,
        "widen_held_uticks": ladder.widen_held_uticks,
        "anchor_uticks": ladder.anchor_uticks,
        "anchor_ns": ladder.anchor_ns,
        "held_bids": ladder.held[<int>BID],
        "held_asks": ladder.held[<int>ASK],
        "quoted_bids": ladder.quoted[<int>BID],
        "quoted_asks": ladder.quoted[<int>ASK],
        "bid_bound_ticks": ladder.bound_ticks[<int>BID],
        "ask_bound_ticks": ladder.bound_ticks[<int>ASK],
    }


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
