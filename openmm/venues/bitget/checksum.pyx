"""Bitget's book checksum: CRC32 over the text of the best 25 levels a side, as the venue wrote them.

"3.040" and "3.04" are one level and two checksums, so each level keeps its text. Levels stand in
one array a side, best last: what changes is near the end, and little has to be moved.

Source: Bitget API documentation, "Depth Channel", crawl of 2025-12-05; zlib's CRC32, eight bytes a
step (Intel, "A Systematic Approach to Building High Performance Software-based CRC Generators").
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove

from openmm._fast.units cimport ASK, BID

cdef enum:
    SLICES = 8
    BUFFER_BYTES = 2 * TOP * (TEXT_BYTES + 1)

TEXT_MAX = TEXT_BYTES

cdef uint32_t TABLE[SLICES][256]


cdef int make_tables() noexcept:
    cdef uint32_t value
    cdef int i, k, _bit
    for i in range(256):
        value = <uint32_t>i
        for _bit in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        TABLE[0][i] = value
    for k in range(1, SLICES):
        for i in range(256):
            value = TABLE[k - 1][i]
            TABLE[k][i] = (value >> 8) ^ TABLE[0][value & 0xFF]
    return 1


cdef int _made = make_tables()


cdef uint32_t crc32_c(const char* text, Py_ssize_t n) noexcept nogil:
    cdef uint32_t crc = ~<uint32_t>0
    cdef uint64_t word
    while n >= 8:
        memcpy(&word, text, 8)
        word ^= crc
        crc = (
            TABLE[7][word & 0xFF] ^ TABLE[6][(word >> 8) & 0xFF]
            ^ TABLE[5][(word >> 16) & 0xFF] ^ TABLE[4][(word >> 24) & 0xFF]
            ^ TABLE[3][(word >> 32) & 0xFF] ^ TABLE[2][(word >> 40) & 0xFF]
            ^ TABLE[1][(word >> 48) & 0xFF] ^ TABLE[0][word >> 56]
        )
        text += 8
        n -= 8
    while n > 0:
        crc = (crc >> 8) ^ TABLE[0][(crc ^ <uint32_t>(<unsigned char>text[0])) & 0xFF]
        text += 1
        n -= 1
    return ~crc


cdef bint texts_alloc_c(TextSide* side) noexcept nogil:
    if side.levels == NULL:
        side.levels = <TextLevel*>calloc(LEVELS_MAX, sizeof(TextLevel))
    side.count = 0
    side.whole = 1
    return side.levels != NULL


cdef void texts_clear_c(TextSide* side) noexcept nogil:
    side.count = 0
    side.whole = 1


cdef inline int32_t place_of(const TextSide* texts, int64_t key) noexcept nogil:
    """Find the first level whose key is not less, from the best end by steps that double."""
    cdef int32_t low = 0
    cdef int32_t high = texts.count
    cdef int32_t step = 1
    cdef int32_t middle
    while high > 0:
        middle = high - step
        if middle < 0:
            break
        if texts.levels[middle].key < key:
            low = middle + 1
            break
        high = middle
        step *= 2
    while low < high:
        middle = (low + high) >> 1
        if texts.levels[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef void texts_apply_c(
    TextSide* texts, int side, int64_t price_ticks, int64_t qty_lots,
    const char* price, Py_ssize_t price_n, const char* qty, Py_ssize_t qty_n,
) noexcept nogil:
    cdef int64_t key = price_ticks if side == BID else -price_ticks
    cdef int32_t i = place_of(texts, key)
    cdef bint found = i < texts.count and texts.levels[i].key == key
    cdef TextLevel* level = texts.levels + i
    if qty_lots == 0:
        if found:
            memmove(level, level + 1, <size_t>(texts.count - i - 1) * sizeof(TextLevel))
            texts.count -= 1
        return
    if price_n + qty_n + 1 > TEXT_BYTES:
        texts.whole = 0
        return
    if not found:
        if texts.count == LEVELS_MAX:
            texts.whole = 0
            return
        memmove(level + 1, level, <size_t>(texts.count - i) * sizeof(TextLevel))
        texts.count += 1
        level.key = key
    memcpy(level.text, price, <size_t>price_n)
    level.text[price_n] = c":"
    memcpy(level.text + price_n + 1, qty, <size_t>qty_n)
    level.text_bytes = <int32_t>(price_n + 1 + qty_n)


cdef int32_t texts_crc_c(const TextSide* bids, const TextSide* asks) noexcept nogil:
    cdef char text[BUFFER_BYTES]
    cdef const TextLevel* level
    cdef Py_ssize_t n = 0
    cdef int i
    for i in range(TOP):
        if i < bids.count:
            level = bids.levels + (bids.count - 1 - i)
            memcpy(text + n, level.text, <size_t>level.text_bytes)
            n += level.text_bytes
            text[n] = c":"
            n += 1
        if i < asks.count:
            level = asks.levels + (asks.count - 1 - i)
            memcpy(text + n, level.text, <size_t>level.text_bytes)
            n += level.text_bytes
            text[n] = c":"
            n += 1
    return <int32_t>crc32_c(text, n - 1 if n > 0 else 0)


def crc(list bids not None, list asks not None):
    """Compute the checksum of two sides, levels of text in any order; for tests.

    Raises:
        ValueError: a level is too long, or there are too many.
    """
    cdef TextSide sides[2]
    cdef int i
    cdef bytes price_text, qty_text
    sides[0].levels = NULL
    sides[1].levels = NULL
    try:
        if not texts_alloc_c(&sides[0]) or not texts_alloc_c(&sides[1]):
            raise MemoryError("levels")
        for i, levels in ((<int>BID, bids), (<int>ASK, asks)):
            for price, qty in levels:
                price_text, qty_text = price.encode("ascii"), qty.encode("ascii")
                texts_apply_c(
                    &sides[i], i, int(float(price) * 1e9), 1,
                    price_text, len(price_text), qty_text, len(qty_text),
                )
        if not sides[0].whole or not sides[1].whole:
            raise ValueError("levels do not fit")
        return texts_crc_c(&sides[<int>BID], &sides[<int>ASK])
    finally:
        free(sides[0].levels)
        free(sides[1].levels)
