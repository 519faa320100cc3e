# The best ten levels of each side with the CRC of their text, kept so that a message recomputes only what it changed.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from openmm._fast.book cimport Book

cdef enum:
    TOP = 10                # levels a side that the checksum covers

cdef struct TopLevel:
    int64_t key             # price_ticks of an ask, minus price_ticks of a bid: best first on both sides
    int64_t qty_lots
    uint32_t crc            # of the level's text
    int32_t text_bytes

# Always a prefix of the book's side: the best `count` levels.
cdef struct TopSide:
    int32_t count
    int32_t clean           # levels 0..clean stand in the prefixes, kept at even places and at the end
    uint32_t prefix[TOP + 1]        # CRC of the text of the first i levels
    int32_t prefix_bytes[TOP + 1]   # length of that text
    TopLevel levels[TOP]

cdef void top_clear_c(TopSide* top) noexcept nogil
# Repeat on the cache what `Book.apply_c` did to the side.
cdef void top_apply_c(
    TopSide* top, int side, int64_t price_ticks, int64_t qty_lots, int64_t tick_points, int64_t lot_points
) noexcept nogil
# Take in from the book what is missing of the ten, then bring the prefixes up to date.
cdef void top_finish_c(TopSide* top, Book book, int side, int64_t tick_points, int64_t lot_points) noexcept nogil
# CRC32 of the asks' text followed by the bids'; both sides finished.
cdef uint32_t top_crc_c(const TopSide* bids, const TopSide* asks) noexcept nogil
