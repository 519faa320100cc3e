# Bounded cursor over wire bytes. Every read is length-checked; nothing keeps a pointer.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

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

# Decimal text ("66788.0", "1e-7", "-0.5") to value * 10**decimals, exact; excess zeros are fine.
# Plain digits are the fast path, exponents a slow one behind it. Never reads at or past `end`.
cdef Scan scan_decimal(Cursor* c, int decimals, int64_t* out) noexcept nogil
cdef Scan scan_uint64(Cursor* c, uint64_t* out) noexcept nogil
cdef Scan scan_int64(Cursor* c, int64_t* out) noexcept nogil
cdef Scan scan_space(Cursor* c) noexcept nogil                         # skip JSON white space
cdef Scan scan_literal(Cursor* c, const char* text, Py_ssize_t n) noexcept nogil  # exact bytes or SCAN_BAD, cursor unmoved
cdef Scan scan_string(Cursor* c, const char** start, Py_ssize_t* n) noexcept nogil  # JSON string body, escapes left in
cdef Scan scan_skip_value(Cursor* c) noexcept nogil                    # any JSON value, bounded nesting (64)
cdef Scan scan_rfc3339(Cursor* c, int64_t* ts_ns) noexcept nogil       # quoted; 0..9 decimals, zone optional
