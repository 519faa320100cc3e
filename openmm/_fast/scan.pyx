"""Length-checked readers of JSON tokens: decimals, integers, strings, times, and any value to skip.

Nothing here allocates, keeps a pointer, or reads a byte at or past `end`. The grammar is that of
JSON (RFC 8259), lenient only in leading zeros. Python faces are for tests and the slow path.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from openmm._fast.units cimport DECIMALS_MAX, floor_div, pow10_c

cdef enum:
    NESTING_MAX = 64
    EXPONENT_MAX = 1_000_000_000    # held here: no message carries as many digits
    YEAR_MIN = 1970
    YEAR_MAX = 2261                 # the last whole year whose nanoseconds fit an int64

cdef extern from * nogil:
    const int64_t INT64_MAX
    const int64_t SECOND_NS "1000000000LL"
    const uint64_t TENTH "1844674407370955161ULL"       # floor((2**64 - 1) / 10)

cdef const char* EMPTY = b""


cdef inline unsigned int _digit(const char* p) noexcept nogil:
    """Return the digit's value; above 9 when it is none."""
    return <unsigned int> (<unsigned char> p[0]) - 48


cdef Scan scan_decimal_slow(Cursor* c, int decimals, int64_t* out) noexcept nogil:
    cdef const char* p = c.p
    cdef const char* end = c.end
    cdef const char* first              # first and last non-zero digit: what counts
    cdef const char* last
    cdef const char* point = NULL
    cdef const char* digits_end
    cdef bint negative = False
    cdef bint exponent_negative = False
    cdef int64_t exponent = 0
    cdef int64_t shift
    cdef int64_t count
    cdef uint64_t value = 0
    if decimals < 0 or decimals > DECIMALS_MAX:
        return SCAN_UNDECIDED
    if p < end and p[0] == c'-':
        negative = True
        p += 1
    if p == end:
        return SCAN_END
    if _digit(p) > 9:
        return SCAN_BAD
    first = NULL
    last = NULL
    while p < end:
        if _digit(p) <= 9:
            if p[0] != c'0':
                if first == NULL:
                    first = p
                last = p
        elif p[0] == c'.' and point == NULL:
            point = p
            if p + 1 == end:
                return SCAN_END
            if _digit(p + 1) > 9:
                return SCAN_BAD
        else:
            break
        p += 1
    digits_end = p
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        p += 1
        if p < end and (p[0] == c'-' or p[0] == c'+'):
            exponent_negative = p[0] == c'-'
            p += 1
        if p == end:
            return SCAN_END
        if _digit(p) > 9:
            return SCAN_BAD
        while p < end and _digit(p) <= 9:
            if exponent < EXPONENT_MAX:
                exponent = exponent * 10 + _digit(p)
            p += 1
        if exponent_negative:
            exponent = -exponent
    if first == NULL:
        out[0] = 0
        c.p = p
        return SCAN_OK
    if point == NULL:
        point = digits_end
    # Power of ten of the last non-zero digit, and how many digits stand from the first to it.
    shift = exponent + decimals + (point - last - 1 if last < point else point - last)
    count = last - first + 1 - (1 if first < point and point < last else 0)
    if shift < 0:
        return SCAN_PRECISION
    if count + shift > 19:
        return SCAN_RANGE
    while first <= last:
        if first != point:
            value = value * 10 + _digit(first)
        first += 1
    value *= <uint64_t> pow10_c(<int> shift)
    if value > <uint64_t> INT64_MAX:
        return SCAN_RANGE
    out[0] = -<int64_t> value if negative else <int64_t> value
    c.p = p
    return SCAN_OK


cdef Scan scan_down(Cursor* c, int decimals, int64_t* out) noexcept nogil:
    """Read a plain decimal, digits finer than `decimals` dropped; SCAN_PRECISION when it has another form."""
    cdef const char* p = c.p
    cdef const char* dot = NULL
    cdef Cursor kept
    while p < c.end and (c"0" <= p[0] <= c"9" or p[0] == c"."):
        if p[0] == c".":
            dot = p
        p += 1
    if dot == NULL or (p < c.end and (p[0] == c"e" or p[0] == c"E")):
        return SCAN_PRECISION
    kept.p = c.p
    kept.end = dot + 1 + decimals if decimals > 0 else dot
    if kept.end > p:
        return SCAN_PRECISION
    if scan_decimal(&kept, decimals, out) != SCAN_OK or kept.p != kept.end:
        return SCAN_PRECISION
    c.p = p
    return SCAN_OK


cdef Scan scan_uint64(Cursor* c, uint64_t* out) noexcept nogil:
    cdef const char* p = c.p
    cdef uint64_t value = 0
    cdef unsigned int digit
    if p == c.end:
        return SCAN_END
    if _digit(p) > 9:
        return SCAN_BAD
    while p < c.end:
        digit = _digit(p)
        if digit > 9:
            break
        # Nineteen digits always fit; the twentieth may not.
        if value > TENTH or (value == TENTH and digit > 5):
            return SCAN_RANGE
        value = value * 10 + digit
        p += 1
    out[0] = value
    c.p = p
    return SCAN_OK


cdef Scan scan_int64(Cursor* c, int64_t* out) noexcept nogil:
    cdef Cursor inner = c[0]
    cdef uint64_t value = 0
    cdef bint negative = inner.p < inner.end and inner.p[0] == c'-'
    if negative:
        inner.p += 1
    cdef Scan result = scan_uint64(&inner, &value)
    if result != SCAN_OK:
        return result
    if value > <uint64_t> INT64_MAX:
        return SCAN_RANGE
    out[0] = -<int64_t> value if negative else <int64_t> value
    c.p = inner.p
    return SCAN_OK


cdef Scan scan_string(Cursor* c, const char** start, Py_ssize_t* n) noexcept nogil:
    cdef const char* p = c.p
    cdef const char* end = c.end
    if p == end:
        return SCAN_END
    if p[0] != c'"':
        return SCAN_BAD
    p += 1
    while p < end:
        if p[0] == c'"':
            start[0] = c.p + 1
            n[0] = p - c.p - 1
            c.p = p + 1
            return SCAN_OK
        if <unsigned char> p[0] < 0x20:
            return SCAN_BAD
        if p[0] == c'\\':
            p += 1
            if p == end:
                return SCAN_END
            if <unsigned char> p[0] < 0x20:
                return SCAN_BAD
        p += 1
    return SCAN_END


cdef Scan _pass_digits(Cursor* c) noexcept nogil:
    """Pass one digit or more."""
    if c.p == c.end:
        return SCAN_END
    if _digit(c.p) > 9:
        return SCAN_BAD
    while c.p < c.end and _digit(c.p) <= 9:
        c.p += 1
    return SCAN_OK


cdef Scan _pass_number(Cursor* c) noexcept nogil:
    """Pass a number of any length and range."""
    cdef Scan result
    if c.p[0] == c'-':
        c.p += 1
    result = _pass_digits(c)
    if result != SCAN_OK:
        return result
    if c.p < c.end and c.p[0] == c'.':
        c.p += 1
        result = _pass_digits(c)
        if result != SCAN_OK:
            return result
    if c.p < c.end and (c.p[0] == c'e' or c.p[0] == c'E'):
        c.p += 1
        if c.p < c.end and (c.p[0] == c'-' or c.p[0] == c'+'):
            c.p += 1
        result = _pass_digits(c)
    return result


cdef Scan _pass_scalar(Cursor* c) noexcept nogil:
    """Pass a string, a number or a literal name; something is left to read."""
    cdef const char* start = NULL
    cdef Py_ssize_t n = 0
    if c.p[0] == c'"':
        return scan_string(c, &start, &n)
    if c.p[0] == c't':
        return scan_literal(c, b"true", 4)
    if c.p[0] == c'f':
        return scan_literal(c, b"false", 5)
    if c.p[0] == c'n':
        return scan_literal(c, b"null", 4)
    return _pass_number(c)


cdef Scan _pass_key(Cursor* c) noexcept nogil:
    """Pass `"key" :` with white space around."""
    cdef const char* start = NULL
    cdef Py_ssize_t n = 0
    cdef Scan result
    if scan_space(c) != SCAN_OK:
        return SCAN_END
    result = scan_string(c, &start, &n)
    if result != SCAN_OK:
        return result
    if scan_space(c) != SCAN_OK:
        return SCAN_END
    return scan_literal(c, b":", 1)


cdef Scan _pass_separator(Cursor* c, bint is_object) noexcept nogil:
    """Pass a comma (SCAN_OK) or the closing bracket (SCAN_UNDECIDED: the container has ended)."""
    if scan_space(c) != SCAN_OK:
        return SCAN_END
    if c.p[0] == c',':
        c.p += 1
        return SCAN_OK
    if c.p[0] == (c'}' if is_object else c']'):
        c.p += 1
        return SCAN_UNDECIDED
    return SCAN_BAD


cdef Scan scan_skip_value(Cursor* c) noexcept nogil:
    cdef Cursor at = c[0]
    cdef uint64_t objects = 0           # one bit a level, innermost lowest: 1 is an object
    cdef int depth = 0
    cdef bint is_object
    cdef Scan result
    while True:
        if scan_space(&at) != SCAN_OK:
            return SCAN_END
        if at.p[0] == c'{' or at.p[0] == c'[':
            if depth == NESTING_MAX:
                return SCAN_BAD
            is_object = at.p[0] == c'{'
            at.p += 1
            if scan_space(&at) != SCAN_OK:
                return SCAN_END
            if at.p[0] != (c'}' if is_object else c']'):
                objects = objects << 1 | (1 if is_object else 0)
                depth += 1
                if is_object:
                    result = _pass_key(&at)
                    if result != SCAN_OK:
                        return result
                continue
            at.p += 1
        else:
            result = _pass_scalar(&at)
            if result != SCAN_OK:
                return result
        # A value has ended: go on behind it, closing as many containers as end here.
        while True:
            if depth == 0:
                c.p = at.p
                return SCAN_OK
            is_object = objects & 1
            result = _pass_separator(&at, is_object)
            if result != SCAN_UNDECIDED:
                break
            objects >>= 1
            depth -= 1
        if result == SCAN_OK and is_object:
            result = _pass_key(&at)
        if result != SCAN_OK:
            return result


cdef Scan _fixed(Cursor* c, int n, int64_t low, int64_t high, int64_t* out) noexcept nogil:
    """Read exactly n digits that make a number from low to high."""
    cdef int64_t value = 0
    cdef int _i
    for _i in range(n):
        if c.p == c.end:
            return SCAN_END
        if _digit(c.p) > 9:
            return SCAN_BAD
        value = value * 10 + _digit(c.p)
        c.p += 1
    if value < low or value > high:
        return SCAN_BAD
    out[0] = value
    return SCAN_OK


cdef Scan _byte(Cursor* c, char expected) noexcept nogil:
    if c.p == c.end:
        return SCAN_END
    if c.p[0] != expected:
        return SCAN_BAD
    c.p += 1
    return SCAN_OK


cdef Scan _date(Cursor* c, int64_t* days) noexcept nogil:
    """Read YYYY-MM-DD into days since 1970-01-01.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013), days_from_civil.
    """
    cdef int64_t year = 0
    cdef int64_t month = 0
    cdef int64_t day = 0
    cdef int64_t day_max
    cdef int64_t century
    cdef int64_t era
    cdef int64_t year_of_era
    cdef int64_t day_of_year
    cdef bint leap
    cdef Scan result = _fixed(c, 4, 0, 9999, &year)
    if result == SCAN_OK:
        result = _byte(c, c'-')
    if result == SCAN_OK:
        result = _fixed(c, 2, 1, 12, &month)
    if result == SCAN_OK:
        result = _byte(c, c'-')
    if result == SCAN_OK:
        result = _fixed(c, 2, 1, 31, &day)
    if result != SCAN_OK:
        return result
    # A year of a century leaps with it, any other with four.
    century = floor_div(year, 100)
    leap = (century if century * 100 == year else year) & 3 == 0
    day_max = 31
    if month == 2:
        day_max = 29 if leap else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        day_max = 30
    if day > day_max:
        return SCAN_BAD
    if year < YEAR_MIN or year > YEAR_MAX:
        return SCAN_RANGE
    # The year starts in March, so that the leap day is its last.
    if month <= 2:
        year -= 1
        month += 9
    else:
        month -= 3
    era = floor_div(year, 400)
    year_of_era = year - era * 400
    day_of_year = floor_div(153 * month + 2, 5) + day - 1
    days[0] = (
        era * 146097 + year_of_era * 365 + floor_div(year_of_era, 4) - floor_div(year_of_era, 100)
        + day_of_year - 719468
    )
    return SCAN_OK


cdef Scan _clock(Cursor* c, int64_t* span_ns) noexcept nogil:
    """Read HH:MM:SS and up to nine decimals into nanoseconds since midnight."""
    cdef int64_t hour = 0
    cdef int64_t minute = 0
    cdef int64_t second = 0
    cdef int64_t fraction = 0
    cdef int digits = 0
    cdef Scan result = _fixed(c, 2, 0, 23, &hour)
    if result == SCAN_OK:
        result = _byte(c, c':')
    if result == SCAN_OK:
        result = _fixed(c, 2, 0, 59, &minute)
    if result == SCAN_OK:
        result = _byte(c, c':')
    if result == SCAN_OK:
        result = _fixed(c, 2, 0, 60, &second)     # 60: a leap second, counted into the next minute
    if result != SCAN_OK:
        return result
    if c.p < c.end and c.p[0] == c'.':
        c.p += 1
        while c.p < c.end and _digit(c.p) <= 9:
            if digits == 9:
                return SCAN_PRECISION
            fraction = fraction * 10 + _digit(c.p)
            digits += 1
            c.p += 1
        if digits == 0:
            return SCAN_END if c.p == c.end else SCAN_BAD
    span_ns[0] = (hour * 3600 + minute * 60 + second) * SECOND_NS + fraction * pow10_c(9 - digits)
    return SCAN_OK


cdef Scan _zone(Cursor* c, int64_t* offset_ns) noexcept nogil:
    """Read Z, +HH:MM, -HH:MM or nothing; nothing is UTC."""
    cdef int64_t hour = 0
    cdef int64_t minute = 0
    cdef bint west
    cdef Scan result
    offset_ns[0] = 0
    if c.p == c.end:
        return SCAN_END
    if c.p[0] == c'Z' or c.p[0] == c'z':
        c.p += 1
        return SCAN_OK
    if c.p[0] != c'+' and c.p[0] != c'-':
        return SCAN_OK
    west = c.p[0] == c'-'
    c.p += 1
    result = _fixed(c, 2, 0, 23, &hour)
    if result == SCAN_OK:
        result = _byte(c, c':')
    if result == SCAN_OK:
        result = _fixed(c, 2, 0, 59, &minute)
    if result == SCAN_OK:
        offset_ns[0] = (hour * 3600 + minute * 60) * SECOND_NS * (-1 if west else 1)
    return result


cdef Scan scan_rfc3339(Cursor* c, int64_t* ts_ns) noexcept nogil:
    cdef Cursor at = c[0]
    cdef int64_t days = 0
    cdef int64_t span_ns = 0
    cdef int64_t offset_ns = 0
    cdef Scan result = _byte(&at, c'"')
    if result == SCAN_OK:
        result = _date(&at, &days)
    if result == SCAN_OK and at.p == at.end:
        return SCAN_END
    if result == SCAN_OK:
        if at.p[0] != c'T' and at.p[0] != c't' and at.p[0] != c' ':
            return SCAN_BAD
        at.p += 1
        result = _clock(&at, &span_ns)
    if result == SCAN_OK:
        result = _zone(&at, &offset_ns)
    if result == SCAN_OK:
        result = _byte(&at, c'"')
    if result != SCAN_OK:
        return result
    ts_ns[0] = days * 86_400 * SECOND_NS + span_ns - offset_ns
    c.p = at.p
    return SCAN_OK


def _face(function):
    """Publish a Python face under the name of its C twin: Cython keeps one scope for both."""
    name = function.__name__.removeprefix("_")
    function.__name__ = function.__qualname__ = name
    globals()[name] = function
    return function


cdef const char* _open(const unsigned char[::1] data, Cursor* c) noexcept:
    """Point the cursor at a buffer; return its start. The buffer outlives the call."""
    c.p = <const char*> &data[0] if data.shape[0] > 0 else EMPTY
    c.end = c.p + data.shape[0]
    return c.p


@_face
def _scan_decimal(const unsigned char[::1] data not None, int decimals):
    """Read a decimal at the start of `data`.

    Returns: (result, value * 10**decimals, bytes used); value and bytes are 0 unless SCAN_OK.
    """
    cdef Cursor c
    cdef int64_t value = 0
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_decimal(&c, decimals, &value)
    return Scan(result), value, c.p - start


@_face
def _scan_uint64(const unsigned char[::1] data not None):
    """Read an unsigned integer. Returns: (result, value, bytes used)."""
    cdef Cursor c
    cdef uint64_t value = 0
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_uint64(&c, &value)
    return Scan(result), value, c.p - start


@_face
def _scan_int64(const unsigned char[::1] data not None):
    """Read a signed integer within -(2**63 - 1) .. 2**63 - 1. Returns: (result, value, bytes used)."""
    cdef Cursor c
    cdef int64_t value = 0
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_int64(&c, &value)
    return Scan(result), value, c.p - start


@_face
def _scan_space(const unsigned char[::1] data not None):
    """Skip JSON white space. Returns: (result, bytes used); SCAN_END when nothing follows it."""
    cdef Cursor c
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_space(&c)
    return Scan(result), c.p - start


@_face
def _scan_literal(const unsigned char[::1] data not None, bytes text not None):
    """Pass exactly the bytes of `text`. Returns: (result, bytes used)."""
    cdef Cursor c
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_literal(&c, text, len(text))
    return Scan(result), c.p - start


@_face
def _scan_string(const unsigned char[::1] data not None):
    """Read a JSON string. Returns: (result, body with its escapes left in, bytes used)."""
    cdef Cursor c
    cdef const char* body = NULL
    cdef Py_ssize_t n_bytes = 0
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_string(&c, &body, &n_bytes)
    return Scan(result), PyBytes_FromStringAndSize(body, n_bytes) if result == SCAN_OK else b"", c.p - start


@_face
def _scan_skip_value(const unsigned char[::1] data not None):
    """Pass any JSON value, nested at most 64 deep. Returns: (result, bytes used)."""
    cdef Cursor c
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_skip_value(&c)
    return Scan(result), c.p - start


@_face
def _scan_rfc3339(const unsigned char[::1] data not None):
    """Read a quoted RFC 3339 time of the years 1970 to 2261.

    Returns: (result, nanoseconds since 1970 UTC, bytes used).
    """
    cdef Cursor c
    cdef int64_t ts_ns = 0
    cdef const char* start = _open(data, &c)
    cdef Scan result = scan_rfc3339(&c, &ts_ns)
    return Scan(result), ts_ns, c.p - start


def parse_decimal(text, int decimals):
    """Convert decimal text, whole, to value * 10**decimals.

    Args: text: str or bytes, as JSON writes numbers. decimals: 0 to 18.
    Raises: ValueError for anything else, a finer value, or one beyond 63 bits.
    """
    data = text.encode() if isinstance(text, str) else bytes(text)
    result, value, n_bytes = globals()["scan_decimal"](data, decimals)
    if result != SCAN_OK or n_bytes != len(data):
        raise ValueError(f"not a decimal of {decimals} decimals in 63 bits: {text!r}")
    return value


def parse_rfc3339(text):
    """Convert an unquoted RFC 3339 time to nanoseconds since 1970 UTC.

    Args: text: str or bytes; no zone means UTC.
    Raises: ValueError for anything else, or outside the years 1970 to 2261.
    """
    data = b'"' + (text.encode() if isinstance(text, str) else bytes(text)) + b'"'
    result, ts_ns, n_bytes = globals()["scan_rfc3339"](data)
    if result != SCAN_OK or n_bytes != len(data):
        raise ValueError(f"not a time of RFC 3339: {text!r}")
    return ts_ns
