"""Measure which side of a book is heavier: a kernel of one's own on the engine's compiled book."""

from libc.stdint cimport int64_t

from openmm._fast.book cimport BOOK_VERIFIED, Book
from openmm._fast.units cimport ASK, BID

cdef enum:
    LEVELS_MAX = 32


cdef int64_t side_lots_c(Book book, int side, int n) noexcept nogil:
    """Sum the quantity of the best n levels of a side."""
    cdef int64_t prices_ticks[LEVELS_MAX]
    cdef int64_t qtys_lots[LEVELS_MAX]
    cdef int64_t total_lots = 0
    cdef int i
    for i in range(book.top_c(side, min(n, <int>LEVELS_MAX), prices_ticks, qtys_lots)):
        total_lots += qtys_lots[i]
    return total_lots


def imbalance_ppm(Book book not None, int n):
    """Return (bids - asks) / (bids + asks) over the best n levels a side, in millionths.

    None while the book is not verified: what is in it then is no market.
    """
    cdef int64_t bid_lots, ask_lots
    if not 0 < n <= LEVELS_MAX:
        raise ValueError(f"from 1 to {LEVELS_MAX} levels: {n}")
    if book.state != BOOK_VERIFIED:
        return None
    with nogil:
        bid_lots = side_lots_c(book, BID, n)
        ask_lots = side_lots_c(book, ASK, n)
    return (int(bid_lots) - int(ask_lots)) * 1_000_000 // (int(bid_lots) + int(ask_lots))
