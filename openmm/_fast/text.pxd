# Text of outgoing messages: pieces made beforehand, digits, fixed-point numbers, client order ids.
# What is written may run over its own end by less than a block: what follows overwrites it.
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    PIECE_BYTES = 256
    BLOCK_BYTES = 32            # divides PIECE_BYTES
    SEQ_BYTES = 7               # of a sequence, and of a session, in an id
    SEQ_BITS = 35               # that they hold

cdef struct Piece:              # text that never changes
    int32_t n
    char text[PIECE_BYTES]

cdef int set_piece(Piece* piece, str text) except -1
cdef int put_digits_c(char* out, uint64_t value) noexcept nogil     # returns the length, <= 20

cdef inline char* put(char* out, const Piece* piece) noexcept nogil:
    # Whole blocks need no call.
    cdef int i = 0
    while i < piece.n:
        memcpy(out + i, piece.text + i, BLOCK_BYTES)
        i += BLOCK_BYTES
    return out + piece.n

# A positive fixed-point number with exactly `decimals` decimals.
cdef inline char* put_points(char* out, int64_t points, int decimals) noexcept nogil:
    cdef char digits[24]
    cdef int n = put_digits_c(digits, <uint64_t>points)
    cdef int whole = n - decimals
    if decimals == 0:
        memcpy(out, digits, 20)
        return out + n
    if whole > 0:
        memcpy(out, digits, 20)
        out[whole] = c"."
        memcpy(out + whole + 1, digits + whole, decimals)
        return out + n + 1
    out[0] = c"0"
    out[1] = c"."
    memset(out + 2, c"0", -whole)
    memcpy(out + 2 - whole, digits, n)
    return out + 2 + decimals

cdef inline void put_base32(char* out, uint64_t value) noexcept nogil:
    cdef const char* alphabet = b"0123456789abcdefghijklmnopqrstuv"
    cdef int i
    for i in range(SEQ_BYTES):
        out[i] = alphabet[(value >> (5 * (SEQ_BYTES - 1 - i))) & 31]
