# The part of a deep book that is known: venues that send every change of a book of which only the
# best levels were copied. A level beyond the worst one known is passed over: those between may stand
# there untold. A side that grows past twice its depth is cut back to it, and the reach with it.
# Depth 0 knows no end: for recordings, which cannot be asked for another copy.
from libc.stdint cimport int32_t, int64_t
from openmm._fast.book cimport APPLY_FULL, APPLY_OK, BREAK_BOUNDS, BREAK_CAPACITY, BREAK_NONE, BREAK_OFF_TICK, BREAK_PARSE, Apply, Book
from openmm._fast.ports cimport LEVELS_ROUNDED, LOTS_MAX, TICKS_MAX, Decoder, Steps, tally
from openmm._fast.units cimport floor_div

cdef extern from *:
    """
    #define OPENMM_REACH_ALL INT64_MIN
    """
    const int64_t REACH_ALL "OPENMM_REACH_ALL"

cdef struct Reach:
    int32_t depth               # levels a side that are kept at least; 0: all
    int64_t worst_key[2]        # the worst level known; keys as in `book.pxd`
    int64_t* prices_ticks       # room for `depth` levels, and for their quantities
    int64_t* qtys_lots

cdef inline int64_t key_of(int side, int64_t price_ticks) noexcept nogil:
    return price_ticks ^ -<int64_t>side

cdef inline void reach_all(Reach* reach) noexcept nogil:
    reach.worst_key[0] = REACH_ALL
    reach.worst_key[1] = REACH_ALL

# Take the worst of the best `depth` levels of a side as the end of what is known.
cdef inline void end_reach(Reach* reach, Book book, int side) noexcept nogil:
    cdef int count = book.top_c(side, reach.depth, reach.prices_ticks, reach.qtys_lots)
    if count > 0:
        reach.worst_key[side] = key_of(side, reach.prices_ticks[count - 1])

# Apply one level; returns a BookBreak, BREAK_NONE when it went in or lies beyond the reach.
cdef inline int apply_in_reach(
    Decoder decoder, const Steps* steps, Reach* reach, Book book, int side, int64_t price_points,
    int64_t qty_points, bint rounded
) noexcept nogil:
    cdef int64_t price_ticks = price_points
    cdef int64_t qty_lots = qty_points
    cdef Apply applied
    if steps.tick_points != 1:
        price_ticks = floor_div(price_points, steps.tick_points)
        if price_ticks * steps.tick_points != price_points:
            return BREAK_OFF_TICK
    if steps.lot_points != 1:
        qty_lots = floor_div(qty_points, steps.lot_points)
        rounded |= qty_lots * steps.lot_points != qty_points
    if price_ticks <= 0 or qty_lots < 0:
        return BREAK_PARSE
    if price_ticks > TICKS_MAX and side == 1 and qty_lots <= LOTS_MAX:
        # Asks may stand anywhere: no price that counts lies behind this one.
        return BREAK_NONE
    if price_ticks > TICKS_MAX or qty_lots > LOTS_MAX:
        return BREAK_BOUNDS
    if key_of(side, price_ticks) < reach.worst_key[side]:
        return BREAK_NONE
    if rounded:
        # Less than a lot still stands there: 0 would take the level away.
        tally(decoder, LEVELS_ROUNDED)
        if qty_lots == 0:
            qty_lots = 1
    applied = book.apply_c(side, price_ticks, qty_lots)
    if applied != APPLY_OK:
        return BREAK_CAPACITY if applied == APPLY_FULL else BREAK_PARSE
    if book.count[side] > 2 * reach.depth and reach.depth > 0:
        book.cut_side_c(side, reach.depth)
        end_reach(reach, book, side)
    return BREAK_NONE
