# Books that a venue tells by increments: a level's points into a book, increments that wait for their snapshot.
from libc.stdint cimport int64_t, uint64_t
from openmm._fast.book cimport (
    APPLY_FULL, APPLY_OK, BOOK_VERIFIED, BREAK_BOUNDS, BREAK_CAPACITY, BREAK_NONE, BREAK_OFF_TICK,
    BREAK_PARSE, Apply, Book, BookBreak,
)
from openmm._fast.ports cimport LEVELS_ROUNDED, LOTS_MAX, TICKS_MAX, Decoder, Steps, tally
from openmm._fast.scan cimport SCAN_OK, SCAN_RANGE, Cursor, Scan, scan_rounded_text, scan_space
from openmm._fast.units cimport floor_div

cdef enum:
    HELD_BYTES = 1 << 21        # kept for a book that waits for its snapshot; touched as they come
    HEADER_BYTES = 8            # of a held frame: its length

# Increments put aside: length (int64) and bytes of each. A run: each follows on the one before.
cdef struct Held:
    char* data                  # HELD_BYTES
    int64_t size
    int64_t count
    uint64_t first_id           # where the run of ids begins and ends
    uint64_t last_id

cdef int held_alloc(Held* held) except -1
# Put an increment aside; one that does not follow on the last starts the run anew.
cdef void held_add_c(
    Decoder decoder, Held* held, const char* data, int64_t n_bytes, uint64_t first_id, uint64_t last_id
) noexcept nogil
# Step to the next increment at `at`; 0 behind the last one.
cdef bint held_next_c(
    const Held* held, int64_t* at, const char** data, int64_t* n_bytes
) noexcept nogil

cdef inline void held_clear(Held* held) noexcept nogil:
    held.size = 0
    held.count = 0
    held.first_id = 0
    held.last_id = 0

# Empty a book that is about to be told whole.
cdef inline void clear_book(Book book) noexcept nogil:
    if book.state != BOOK_VERIFIED:
        book.catch_up_c()
    book.clear_c()

# Turn a level's points into ticks and lots, in place; BREAK_NONE when they are such.
cdef inline BookBreak in_steps(
    const Steps* steps, int64_t* price, int64_t* qty, bint* rounded
) noexcept nogil:
    cdef int64_t points = price[0]
    if steps.tick_points != 1:
        price[0] = floor_div(points, steps.tick_points)
        if price[0] * steps.tick_points != points:
            return BREAK_OFF_TICK
    if steps.lot_points != 1:
        points = qty[0]
        qty[0] = floor_div(points, steps.lot_points)
        rounded[0] |= qty[0] * steps.lot_points != points
    return BREAK_PARSE if price[0] <= 0 or qty[0] < 0 else BREAK_NONE

# Put one level into a book; returns BREAK_NONE when it went in.
cdef inline BookBreak put_level(
    Decoder decoder, Book book, int side, int64_t price_ticks, int64_t qty_lots, bint rounded
) noexcept nogil:
    cdef Apply applied
    if rounded:
        # Less than a lot still stands there: 0 would take the level away.
        tally(decoder, LEVELS_ROUNDED)
        if qty_lots == 0:
            qty_lots = 1
    applied = book.apply_c(side, price_ticks, qty_lots)
    if applied != APPLY_OK:
        return BREAK_CAPACITY if applied == APPLY_FULL else BREAK_PARSE
    return BREAK_NONE

# Apply one level of a book that is known whole; returns BREAK_NONE when it went in.
cdef inline BookBreak apply_points_c(
    Decoder decoder, const Steps* steps, Book book, int side, int64_t price_points, int64_t qty_points,
    bint rounded
) noexcept nogil:
    cdef BookBreak fault = in_steps(steps, &price_points, &qty_points, &rounded)
    if fault != BREAK_NONE:
        return fault
    if price_points > TICKS_MAX or qty_points > LOTS_MAX:
        return BREAK_BOUNDS
    return put_level(decoder, book, side, price_points, qty_points, rounded)

# Step into the next row of `[[...],...]`: 1 at its first value, 0 behind the array, -1 when it is none.
# `begun` is 0 before the first.
cdef inline int next_row_c(Cursor* c, bint* begun) noexcept nogil:
    if begun[0]:
        scan_space(c)
        if c.p >= c.end:
            return -1
        if c.p[0] == c"]":
            c.p += 1
            return 0
        if c.p[0] != c",":
            return -1
    elif c.p >= c.end or c.p[0] != c"[":
        return -1
    c.p += 1
    scan_space(c)
    if not begun[0]:
        begun[0] = 1
        if c.p < c.end and c.p[0] == c"]":
            c.p += 1
            return 0
    if c.p >= c.end or c.p[0] != c"[":
        return -1
    c.p += 1
    scan_space(c)
    return 1

# Read the rest of a row, `"P","Q"]`, numbers quoted or bare; BREAK_NONE when it is one.
cdef inline BookBreak price_qty_c(
    const Steps* steps, Cursor* c, int64_t* price_points, int64_t* qty_points, bint* rounded
) noexcept nogil:
    cdef bint price_rounded = 0
    cdef Scan found = scan_rounded_text(c, steps.price_decimals, price_points, &price_rounded)
    rounded[0] = 0
    if found == SCAN_OK:
        scan_space(c)
        if c.p >= c.end or c.p[0] != c",":
            return BREAK_PARSE
        c.p += 1
        scan_space(c)
        found = scan_rounded_text(c, steps.qty_decimals, qty_points, rounded)
    if price_rounded:
        return BREAK_OFF_TICK
    if found != SCAN_OK:
        return BREAK_BOUNDS if found == SCAN_RANGE else BREAK_PARSE
    scan_space(c)
    if c.p >= c.end or c.p[0] != c"]":
        return BREAK_PARSE
    c.p += 1
    return BREAK_NONE

# Apply `[["P","Q"],...]`, best first or not; null stands for none. The cursor is left behind the array.
cdef BookBreak apply_array_c(
    Decoder decoder, const Steps* steps, Book book, int side, Cursor* c
) noexcept nogil
