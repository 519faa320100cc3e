# The part of a deep book that is known: venues that send every change of a book of which only the
# best levels were copied. A level beyond the worst one known is passed over: those between may stand
# there untold. A side that grows past twice its depth is cut back to it, and the reach with it.
# Depth 0 knows no end: for recordings, which cannot be asked for another copy.
from libc.stdint cimport int32_t, int64_t
from openmm._fast.book cimport BREAK_BOUNDS, BREAK_NONE, Book, BookBreak
from openmm._fast.increments cimport in_steps, put_level
from openmm._fast.ports cimport LOTS_MAX, TICKS_MAX, Decoder, Steps
from openmm._fast.units cimport ASK

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
cdef inline BookBreak apply_in_reach(
    Decoder decoder, const Steps* steps, Reach* reach, Book book, int side, int64_t price_points,
    int64_t qty_points, bint rounded
) noexcept nogil:
    cdef BookBreak fault = in_steps(steps, &price_points, &qty_points, &rounded)
    if fault != BREAK_NONE:
        return fault
    if price_points > TICKS_MAX and side == ASK and qty_points <= LOTS_MAX:
        # Asks may stand anywhere: no price that counts lies behind this one.
        return BREAK_NONE
    if price_points > TICKS_MAX or qty_points > LOTS_MAX:
        return BREAK_BOUNDS
    if key_of(side, price_points) < reach.worst_key[side]:
        return BREAK_NONE
    fault = put_level(decoder, book, side, price_points, qty_points, rounded)
    if fault == BREAK_NONE and book.count[side] > 2 * reach.depth and reach.depth > 0:
        book.cut_side_c(side, reach.depth)
        end_reach(reach, book, side)
    return fault
