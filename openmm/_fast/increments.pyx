"""Books that a venue tells by increments: what waits for the snapshot is kept, in order and bounded."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy

from openmm._fast.book cimport BREAK_NONE, BREAK_PARSE, Book, BookBreak
from openmm._fast.ports cimport DROPPED, HELD, OVERFLOWS, Decoder, Steps, tally
from openmm._fast.scan cimport Cursor


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
    cdef bint rounded = 0
    cdef bint begun = 0
    cdef BookBreak fault
    cdef int row
    if c.end - c.p >= 4 and memcmp(c.p, b"null", 4) == 0:
        c.p += 4
        return BREAK_NONE
    while True:
        row = next_row_c(c, &begun)
        if row <= 0:
            return BREAK_NONE if row == 0 else BREAK_PARSE
        fault = price_qty_c(steps, c, &price_points, &qty_points, &rounded)
        if fault == BREAK_NONE:
            fault = apply_points_c(decoder, steps, book, side, price_points, qty_points, rounded)
        if fault != BREAK_NONE:
            return fault
