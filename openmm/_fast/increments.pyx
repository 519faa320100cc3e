"""Books that a venue tells by increments: what waits for the snapshot is kept, in order and bounded."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy

from openmm._fast.book cimport BREAK_BOUNDS, BREAK_NONE, BREAK_OFF_TICK, BREAK_PARSE, Book, BookBreak
from openmm._fast.ports cimport DROPPED, HELD, OVERFLOWS, Decoder, Steps, tally
from openmm._fast.scan cimport SCAN_OK, SCAN_RANGE, Cursor, Scan, scan_rounded_text, scan_space


cdef int held_alloc(Held* held) except -1:
    if held.data == NULL:
        held.data = <char*>calloc(1, HELD_BYTES)
    if held.data == NULL:
        raise MemoryError("held increments")
    held_clear(held)
    return 0


cdef void held_add_c(
    Decoder decoder, Held* held, const char* data, int64_t n_bytes, uint64_t first_id, uint64_t last_id
) noexcept nogil:
    if held.count > 0:
        if last_id <= held.last_id:
            tally(decoder, DROPPED)
            return
        if first_id > held.last_id + 1:
            held_clear(held)
    if held.size + HEADER_BYTES + n_bytes > HELD_BYTES:
        tally(decoder, OVERFLOWS)
        held_clear(held)
        if HEADER_BYTES + n_bytes > HELD_BYTES:
            return
    memcpy(held.data + held.size, &n_bytes, HEADER_BYTES)
    memcpy(held.data + held.size + HEADER_BYTES, data, n_bytes)
    held.size += HEADER_BYTES + n_bytes
    if held.count == 0:
        held.first_id = first_id
    held.last_id = last_id
    held.count += 1
    tally(decoder, HELD)


cdef bint held_next_c(
    const Held* held, int64_t* at, const char** data, int64_t* n_bytes
) noexcept nogil:
    if at[0] >= held.size:
        return 0
    memcpy(n_bytes, held.data + at[0], HEADER_BYTES)
    data[0] = held.data + at[0] + HEADER_BYTES
    at[0] += HEADER_BYTES + n_bytes[0]
    return 1


cdef BookBreak apply_array_c(
    Decoder decoder, const Steps* steps, Book book, int side, Cursor* c
) noexcept nogil:
    cdef int64_t price_points = 0
    cdef int64_t qty_points = 0
    cdef bint price_rounded, rounded
    cdef Scan found
    cdef BookBreak fault
    if c.end - c.p >= 4 and memcmp(c.p, b"null", 4) == 0:
        c.p += 4
        return BREAK_NONE
    if c.p >= c.end or c.p[0] != c"[":
        return BREAK_PARSE
    c.p += 1
    scan_space(c)
    if c.p < c.end and c.p[0] == c"]":
        c.p += 1
        return BREAK_NONE
    while True:
        if c.p >= c.end or c.p[0] != c"[":
            return BREAK_PARSE
        c.p += 1
        scan_space(c)
        price_rounded = rounded = 0
        found = scan_rounded_text(c, steps.price_decimals, &price_points, &price_rounded)
        if found == SCAN_OK:
            scan_space(c)
            if c.p >= c.end or c.p[0] != c",":
                return BREAK_PARSE
            c.p += 1
            scan_space(c)
            found = scan_rounded_text(c, steps.qty_decimals, &qty_points, &rounded)
        if price_rounded:
            return BREAK_OFF_TICK
        if found != SCAN_OK:
            return BREAK_BOUNDS if found == SCAN_RANGE else BREAK_PARSE
        scan_space(c)
        if c.p >= c.end or c.p[0] != c"]":
            return BREAK_PARSE
        c.p += 1
        fault = apply_points_c(decoder, steps, book, side, price_points, qty_points, rounded)
        if fault != BREAK_NONE:
            return fault
        scan_space(c)
        if c.p >= c.end:
            return BREAK_PARSE
        if c.p[0] == c"]":
            c.p += 1
            return BREAK_NONE
        if c.p[0] != c",":
            return BREAK_PARSE
        c.p += 1
        scan_space(c)
