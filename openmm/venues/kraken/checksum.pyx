"""Kraken's book checksum: CRC32 of the best ten levels' digits, kept up to date instead of recomputed.

A level's text is the digits of its price in points and of its quantity in points. The CRC of a
side is built from its levels' own CRCs: ``crc(A + B) = shift(crc(A), len(B)) ^ crc(B)``, where
`shift` is linear, so four table look-ups apply it.

Source: Kraken API documentation, "Book checksum (WebSocket v2)", read 2026-06; zlib `crc32_combine`
for the combination of two CRCs.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memmove

from openmm._fast.book cimport NO_ASK_TICKS, NO_BID_TICKS
from openmm._fast.text cimport put_digits_c
from openmm._fast.units cimport ASK

cdef enum:
    TEXT_BYTES = 40         # of one level: two int64
    STRIDE = 16             # of the long shift table
    STRIDES = 26            # STRIDE * STRIDES > TOP * TEXT_BYTES

cdef uint32_t BYTE[256]                             # CRC of one byte
cdef uint32_t SHIFT[2 * TEXT_BYTES + 1][4 * 256]    # over n bytes, one part for each byte of a CRC
cdef uint32_t SHIFT_LONG[STRIDES][4 * 256]          # over STRIDE * n bytes
# What digits add to the CRC of a text in which n bytes follow them, and what its length adds.
cdef uint32_t ONE_DIGIT[TEXT_BYTES + 1][10]
cdef uint32_t TWO_DIGITS[TEXT_BYTES + 1][100]
cdef uint32_t LENGTH[TEXT_BYTES + 2]


cdef int make_tables() noexcept:
    cdef uint32_t crc
    cdef int i, _k, n
    for i in range(256):
        crc = i
        for _k in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
        BYTE[i] = crc
    for i in range(4 * 256):
        SHIFT[0][i] = SHIFT_LONG[0][i] = <uint32_t>(i & 0xFF) << (8 * (i >> 8))
    for n in range(1, 2 * TEXT_BYTES + 1):
        for i in range(4 * 256):
            crc = SHIFT[n - 1][i]
            SHIFT[n][i] = (crc >> 8) ^ BYTE[crc & 0xFF]
    for n in range(1, STRIDES):
        for i in range(4 * 256):
            SHIFT_LONG[n][i] = shift_by(SHIFT[STRIDE], SHIFT_LONG[n - 1][i])
    for n in range(TEXT_BYTES + 1):
        for i in range(10):
            ONE_DIGIT[n][i] = shift_by(SHIFT[n], BYTE[48 + i])
        for i in range(100):
            crc = BYTE[48 + i // 10]
            crc = (crc >> 8) ^ BYTE[(crc ^ <uint32_t>(48 + i % 10)) & 0xFF]
            TWO_DIGITS[n][i] = shift_by(SHIFT[n], crc)
    crc = 0xFFFFFFFF
    for n in range(TEXT_BYTES + 2):
        LENGTH[n] = ~crc
        crc = (crc >> 8) ^ BYTE[crc & 0xFF]
    return 1


cdef inline uint32_t shift_by(const uint32_t* table, uint32_t crc) noexcept nogil:
    return (
        table[crc & 0xFF]
        ^ table[256 + ((crc >> 8) & 0xFF)]
        ^ table[512 + ((crc >> 16) & 0xFF)]
        ^ table[768 + (crc >> 24)]
    )


cdef inline uint32_t digits_crc(uint64_t value, int* n) noexcept nogil:
    """What the digits of `value` add to a CRC, `n` bytes behind them; `n` then counts them too.

    A CRC is linear in its text: it is the sum of what each byte adds at its place.
    """
    cdef uint32_t crc = 0
    cdef uint64_t rest
    cdef int at = n[0]
    while value >= 100:
        rest = value // 100
        crc ^= TWO_DIGITS[at][value - rest * 100]
        at += 2
        value = rest
    if value >= 10:
        crc ^= TWO_DIGITS[at][value]
        n[0] = at + 2
    else:
        crc ^= ONE_DIGIT[at][value]
        n[0] = at + 1
    return crc


cdef void top_clear_c(TopSide* top) noexcept nogil:
    top.count = 0
    top.clean = 0
    top.prefix[0] = 0
    top.prefix_bytes[0] = 0


cdef inline void level_text(
    TopLevel* level, int side, int64_t tick_points, int64_t lot_points
) noexcept nogil:
    """Bring a level's CRC and length up to date."""
    cdef int n = 0
    cdef int64_t price_ticks = level.key if side == ASK else -level.key
    cdef uint32_t crc = digits_crc(<uint64_t>(level.qty_lots * lot_points), &n)
    crc ^= digits_crc(<uint64_t>(price_ticks * tick_points), &n)
    level.crc = crc ^ LENGTH[n]
    level.text_bytes = n


cdef void top_apply_c(
    TopSide* top, int side, int64_t price_ticks, int64_t qty_lots, int64_t tick_points, int64_t lot_points
) noexcept nogil:
    cdef int64_t key = price_ticks if side == ASK else -price_ticks
    cdef int count = top.count
    cdef int i = 0
    cdef TopLevel* level
    # A level behind the last one held stays out: if fewer than ten are held, others of the book
    # may stand between, and `top_finish_c` takes in the right one.
    if count == 0 or key > top.levels[count - 1].key:
        return
    while top.levels[i].key < key:
        i += 1
    level = &top.levels[i]
    if level.key == key:
        if qty_lots == level.qty_lots:
            return
        if qty_lots == 0:
            count -= 1
            memmove(level, level + 1, (count - i) * sizeof(TopLevel))
            top.count = count
        else:
            level.qty_lots = qty_lots
            level_text(level, side, tick_points, lot_points)
    else:
        if qty_lots == 0:
            return
        if count < TOP:
            top.count = count + 1
        else:
            count -= 1
        memmove(level + 1, level, (count - i) * sizeof(TopLevel))
        level.key = key
        level.qty_lots = qty_lots
        level_text(level, side, tick_points, lot_points)
    if i < top.clean:
        top.clean = i


cdef void top_finish_c(
    TopSide* top, Book book, int side, int64_t tick_points, int64_t lot_points
) noexcept nogil:
    cdef int64_t price_ticks
    cdef int i
    cdef int n
    cdef uint32_t crc
    cdef TopLevel* level
    cdef TopLevel* after
    while top.count < TOP and top.count < book.count[side]:
        if top.count == 0:
            price_ticks = book.best_ask_ticks if side == ASK else book.best_bid_ticks
        else:
            price_ticks = top.levels[top.count - 1].key
            price_ticks = book.worse_c(side, price_ticks if side == ASK else -price_ticks)
        if price_ticks == (NO_ASK_TICKS if side == ASK else NO_BID_TICKS):
            break
        level = &top.levels[top.count]
        level.key = price_ticks if side == ASK else -price_ticks
        level.qty_lots = book.qty_at_c(side, price_ticks)
        level_text(level, side, tick_points, lot_points)
        top.count += 1
    # Two levels a step: the CRC of a pair does not wait for what stands before it.
    i = top.clean & ~1
    while i + 1 < top.count:
        level = &top.levels[i]
        after = &top.levels[i + 1]
        n = level.text_bytes + after.text_bytes
        crc = shift_by(SHIFT[after.text_bytes], level.crc) ^ after.crc
        top.prefix[i + 2] = shift_by(SHIFT[n], top.prefix[i]) ^ crc
        top.prefix_bytes[i + 2] = top.prefix_bytes[i] + n
        i += 2
    if i < top.count:
        level = &top.levels[i]
        top.prefix[i + 1] = shift_by(SHIFT[level.text_bytes], top.prefix[i]) ^ level.crc
        top.prefix_bytes[i + 1] = top.prefix_bytes[i] + level.text_bytes
    top.clean = top.count


cdef uint32_t top_crc_c(const TopSide* bids, const TopSide* asks) noexcept nogil:
    cdef uint32_t crc = asks.prefix[asks.count]
    cdef int n = bids.prefix_bytes[bids.count]
    crc = shift_by(SHIFT[n & (STRIDE - 1)], crc)
    crc = shift_by(SHIFT_LONG[n // STRIDE], crc)
    return crc ^ bids.prefix[bids.count]


def level_crc(uint64_t price_points, uint64_t qty_points):
    """Compute the CRC32 of a level's text, and the text's length."""
    cdef TopLevel level
    if price_points >> 63 or qty_points >> 63:
        raise ValueError(f"points must be below 2**63: {price_points}, {qty_points}")
    level.key = <int64_t>price_points
    level.qty_lots = <int64_t>qty_points
    level_text(&level, ASK, 1, 1)
    return level.crc, level.text_bytes


def crc_concat(uint32_t first, uint32_t second, int second_bytes):
    """Combine the CRCs of two texts into that of their concatenation.

    `second_bytes`: length of the second text, below 416.
    """
    if not 0 <= second_bytes < STRIDE * STRIDES:
        raise ValueError(f"length must be 0 to {STRIDE * STRIDES - 1}: {second_bytes}")
    first = shift_by(SHIFT[second_bytes & (STRIDE - 1)], first)
    return shift_by(SHIFT_LONG[second_bytes // STRIDE], first) ^ second


def digits(uint64_t value):
    """Write the plain digits of `value`."""
    cdef char out[20]
    return out[: put_digits_c(out, value)]


make_tables()
