# Both sides of a book as the venue wrote them, for a checksum over the text of its best levels.
from libc.stdint cimport int32_t, int64_t, uint32_t

cdef enum:
    TOP = 25                # levels a side that the checksum covers
    TEXT_BYTES = 48         # of one level: price, colon, quantity
    LEVELS_MAX = 4096       # a side

cdef struct TextLevel:
    int64_t key             # price_ticks of a bid, minus price_ticks of an ask: best last on both sides
    int32_t text_bytes
    char text[TEXT_BYTES]

cdef struct TextSide:
    int32_t count
    int32_t whole           # 0: a level did not fit, no checksum can be made
    TextLevel* levels       # LEVELS_MAX

cdef bint texts_alloc_c(TextSide* side) noexcept nogil
cdef void texts_clear_c(TextSide* side) noexcept nogil
# Repeat on the texts what `Book.apply_c` did; a quantity of 0 takes the level away.
cdef void texts_apply_c(
    TextSide* texts, int side, int64_t price_ticks, int64_t qty_lots,
    const char* price, Py_ssize_t price_n, const char* qty, Py_ssize_t qty_n,
) noexcept nogil
# CRC32 of `bid:qty:ask:qty:...`, signed, as the venue states it.
cdef int32_t texts_crc_c(const TextSide* bids, const TextSide* asks) noexcept nogil
