# Bounded cursor over wire bytes. Every read is length-checked; nothing keeps a pointer.
# On anything but SCAN_OK the cursor has not moved and `out` is unchanged (`scan_space` aside).
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp
from openmm._fast.units cimport pow10_c

cpdef enum Scan:
    SCAN_UNDECIDED = 0
    SCAN_OK = 1
    SCAN_END = 2          # input ended inside the token
    SCAN_BAD = 3          # not the expected token
    SCAN_PRECISION = 4    # a decimal finer than the scale asked for (non-zero digits lost)
    SCAN_RANGE = 5        # does not fit 64 bits

cdef struct Cursor:
    const char* p
    const char* end

# Any decimal the inline path below leaves: exponents, many digits, excess zeros, bad tokens.
cdef Scan scan_decimal_slow(Cursor* c, int decimals, int64_t* out) noexcept nogil
cdef Scan scan_uint64(Cursor* c, uint64_t* out) noexcept nogil
cdef Scan scan_int64(Cursor* c, int64_t* out) noexcept nogil
cdef Scan scan_string(Cursor* c, const char** start, Py_ssize_t* n) noexcept nogil  # JSON string body, escapes left in
cdef Scan scan_skip_value(Cursor* c) noexcept nogil                    # any JSON value, bounded nesting (64)
cdef Scan scan_rfc3339(Cursor* c, int64_t* ts_ns) noexcept nogil       # quoted; 0..9 decimals, zone optional

# Decimal text ("66788.0", "1e-7", "-0.5") to value * 10**decimals, exact; excess zeros are fine.
# Plain digits are the inline fast path, the rest is a call. Never reads at or past `end`. A number
# that ends with the input is complete: what must follow it is the caller's next read. The result is
# never MISSING. A scale outside 0 to 18 gives SCAN_UNDECIDED.
cdef inline Scan scan_decimal(Cursor* c, int decimals, int64_t* out) noexcept nogil:
    cdef const char* p = c.p
    cdef const char* end = c.end
    cdef const char* start = p
    cdef const char* point
    cdef uint64_t value = 0
    cdef unsigned int digit
    cdef Py_ssize_t whole
    cdef Py_ssize_t fraction = 0
    while p < end:
        digit = <unsigned int> (<unsigned char> p[0]) - 48
        if digit > 9:
            break
        value = value * 10 + digit
        p += 1
    whole = p - start
    if whole == 0 or whole + decimals > 18 or <unsigned int> decimals > 18:
        return scan_decimal_slow(c, decimals, out)
    if p < end and p[0] == c'.':
        p += 1
        point = p
        while p < end:
            digit = <unsigned int> (<unsigned char> p[0]) - 48
            if digit > 9:
                break
            value = value * 10 + digit
            p += 1
        fraction = p - point
        # Many venues fill up with zeros to a length of their own.
        if fraction > decimals and whole + fraction <= 18:
            while fraction > decimals and value % 10 == 0:
                value //= 10
                fraction -= 1
        if p == point or fraction > decimals:
            return scan_decimal_slow(c, decimals, out)
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        return scan_decimal_slow(c, decimals, out)
    if fraction != decimals:
        value *= <uint64_t> pow10_c(decimals - <int> fraction)
    out[0] = <int64_t> value
    c.p = p
    return SCAN_OK

# The same with digits finer than `decimals` dropped, and `rounded` set where there were any.
cdef Scan scan_down(Cursor* c, int decimals, int64_t* out) noexcept nogil
cdef inline Scan scan_rounded(Cursor* c, int decimals, int64_t* out, bint* rounded) noexcept nogil:
    cdef Scan found = scan_decimal(c, decimals, out)
    if found == SCAN_PRECISION:
        rounded[0] = 1
        found = scan_down(c, decimals, out)
    return found

# The same, in quotes or bare.
cdef inline Scan scan_rounded_text(Cursor* c, int decimals, int64_t* out, bint* rounded) noexcept nogil:
    cdef const char* start = c.p
    cdef bint quoted = c.p < c.end and c.p[0] == c'"'
    cdef Scan found
    c.p += quoted
    found = scan_rounded(c, decimals, out, rounded)
    if found == SCAN_OK and quoted:
        if c.p >= c.end or c.p[0] != c'"':
            found = SCAN_BAD
        else:
            c.p += 1
    if found != SCAN_OK:
        c.p = start
    return found

# Skip JSON white space. SCAN_END when nothing is left behind it.
cdef inline Scan scan_space(Cursor* c) noexcept nogil:
    while c.p < c.end:
        if c.p[0] != c' ' and c.p[0] != c'\n' and c.p[0] != c'\r' and c.p[0] != c'\t':
            return SCAN_OK
        c.p += 1
    return SCAN_END

# Pass exactly these bytes; SCAN_BAD when others stand there, SCAN_END when the input ends inside them.
cdef inline Scan scan_literal(Cursor* c, const char* text, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t left = c.end - c.p
    if left >= n:
        if memcmp(c.p, text, <size_t> n) != 0:
            return SCAN_BAD
        c.p += n
        return SCAN_OK
    return SCAN_END if memcmp(c.p, text, <size_t> left) == 0 else SCAN_BAD

# --- walking an object whose members stand in any order

cdef inline bint is_text(const char* text, Py_ssize_t n, const char* wanted, Py_ssize_t wanted_n) noexcept nogil:
    return n == wanted_n and memcmp(text, wanted, <size_t> wanted_n) == 0

# Read the next key and its colon, up to the value; key NULL at the closing brace. 0 on bad text.
cdef inline bint next_key(Cursor* c, const char** key, Py_ssize_t* n) noexcept nogil:
    scan_space(c)
    if c.p < c.end and c.p[0] == c'}':
        c.p += 1
        key[0] = NULL
        return 1
    if scan_string(c, key, n) != SCAN_OK:
        return 0
    scan_space(c)
    if c.p >= c.end or c.p[0] != c':':
        return 0
    c.p += 1
    scan_space(c)
    return 1

# Step behind the comma, or stay at the closing brace. 0 on bad text.
cdef inline bint next_member(Cursor* c) noexcept nogil:
    scan_space(c)
    if c.p >= c.end:
        return 0
    if c.p[0] == c'}':
        return 1
    if c.p[0] != c',':
        return 0
    c.p += 1
    scan_space(c)
    # A comma before the brace is not JSON.
    return c.p < c.end and c.p[0] == c'"'

# Tell whether a number ended where JSON lets one end.
cdef inline bint at_value_end(Cursor* c) noexcept nogil:
    return c.p < c.end and (
        c.p[0] == c',' or c.p[0] == c'}' or c.p[0] == c']' or c.p[0] == c' '
        or c.p[0] == c'\n' or c.p[0] == c'\r' or c.p[0] == c'\t'
    )
