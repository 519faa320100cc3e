# Books that a venue tells by increments: a level's points into a book, increments that wait for their snapshot.
from libc.stdint cimport int64_t, uint64_t
from openmm._fast.book cimport (
    APPLY_FULL, APPLY_OK, BOOK_VERIFIED, BREAK_BOUNDS, BREAK_CAPACITY, BREAK_NONE, BREAK_OFF_TICK,
    BREAK_PARSE, Apply, Book, BookBreak,
)
from openmm._fast.ports cimport LEVELS_ROUNDED, LOTS_MAX, TICKS_MAX, Decoder, Steps, tally
from openmm._fast.scan cimport Cursor
from openmm._fast.units cimport floor_div

cdef enum:
    HELD_BYTES = 1 << 20        # increments kept for a book that waits for its snapshot
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

# Apply one level; returns BREAK_NONE when it went in. Less than a lot still stands there.
cdef inline BookBreak apply_points_c(
    Decoder decoder, const Steps* steps, Book book, int side, int64_t price_points, int64_t qty_points,
    bint rounded
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
    if price_ticks > TICKS_MAX or qty_lots > LOTS_MAX:
        return BREAK_BOUNDS
    if rounded:
        # 0 would take the level away.
        tally(decoder, LEVELS_ROUNDED)
        if qty_lots == 0:
            qty_lots = 1
    applied = book.apply_c(side, price_ticks, qty_lots)
    if applied != APPLY_OK:
        return BREAK_CAPACITY if applied == APPLY_FULL else BREAK_PARSE
    return BREAK_NONE

# Apply `[["P","Q"],...]`, numbers quoted or bare, best first or not; null stands for none. The cursor
# is left behind the array.
cdef BookBreak apply_array_c(
    Decoder decoder, const Steps* steps, Book book, int side, Cursor* c
) noexcept nogil
