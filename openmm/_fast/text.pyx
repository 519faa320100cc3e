"""Text of outgoing messages: pieces made beforehand, digits, and the client order ids of every venue.

A client order id is a mark of the venue's making (``m``, or ``t-m``), 3 characters that tell the bot,
7 that tell the session and 7 that tell the order's sequence (docs/architecture.md).
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

cdef extern from * nogil:
    int clz64 "__builtin_clzll" (unsigned long long value)

SEQ_MAX = (1 << 35) - 1

cdef uint64_t POW10[20]
cdef char PAIRS[200]


cdef int make_tables() noexcept:
    cdef int i, j
    POW10[0] = 1
    for i in range(1, 20):
        POW10[i] = POW10[i - 1] * 10
    for i in range(10):
        for j in range(10):
            PAIRS[20 * i + 2 * j] = 48 + i
            PAIRS[20 * i + 2 * j + 1] = 48 + j
    return 1


make_tables()


cdef int put_digits_c(char* out, uint64_t value) noexcept nogil:
    cdef int bits = 64 - clz64(value | 1)
    cdef int n = (bits * 1233) >> 12
    cdef uint64_t rest
    cdef int at
    n += value >= POW10[n]
    if n == 0:
        n = 1
    at = n
    while value >= 100:
        rest = value // 100
        at -= 2
        memcpy(out + at, PAIRS + 2 * (value - rest * 100), 2)
        value = rest
    if value >= 10:
        memcpy(out, PAIRS + 2 * value, 2)
    else:
        out[0] = <char>(48 + value)
    return n


cdef int set_piece(Piece* piece, str text) except -1:
    cdef bytes raw = text.encode("ascii")
    if len(raw) > PIECE_BYTES:
        raise ValueError(f"text of a request is too long: {text}")
    piece.n = <int32_t>len(raw)
    memcpy(piece.text, <const char*>raw, len(raw))
    return 0


def base32(uint64_t value):
    """Write the low 35 bits of `value` as 7 characters, order kept."""
    cdef char out[SEQ_BYTES]
    put_base32(out, value)
    return out[:SEQ_BYTES].decode("ascii")


def parse_client_id(str text not None, str mark not None="m"):
    """Split a client order id into (bot, session, sequence); None when it is not of our making."""
    cdef int64_t seq = 0
    cdef Py_ssize_t at = len(mark)
    if len(text) != at + 17 or not text.startswith(mark) or not text.isascii():
        return None
    bot, session = text[at : at + 3], text[at + 3 : at + 10]
    if not bot.isalnum() or bot != bot.lower():
        return None
    for char in text[at + 3 :]:
        if not ("0" <= char <= "9" or "a" <= char <= "v"):
            return None
    for char in text[at + 10 :]:
        seq = seq * 32 + (ord(char) - 48 if char <= "9" else ord(char) - 87)
    return bot, session, seq
