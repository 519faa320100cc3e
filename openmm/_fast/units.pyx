"""Fixed-point arithmetic of the engine: rounding by name, wide products, digits, own exp and log.

Prices are ticks, quantities lots, blends millionths of a tick (uticks); `MISSING` stands for "no
value" and is passed on by every function here, so that a check at the end of a chain sees it.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t


cdef extern from * nogil:
    """
    #include <string.h>

    static inline double openmm_from_bits(uint64_t bits) {
        double x;
        memcpy(&x, &bits, 8);
        return x;
    }
    static inline uint64_t openmm_to_bits(double x) {
        uint64_t bits;
        memcpy(&bits, &x, 8);
        return bits;
    }
    static int64_t openmm_isqrt(int64_t value) {
        if (value <= 0) return 0;
        /* Newton from a power of two above the root: falls strictly until the floor is reached. */
        uint64_t v = (uint64_t)value;
        uint64_t root = 1ULL << ((65 - __builtin_clzll(v)) / 2);
        for (;;) {
            uint64_t next = (root + v / root) / 2;
            if (next >= root) break;
            root = next;
        }
        return (int64_t)root;
    }
    static int64_t openmm_i128_high(openmm_i128 value) { return (int64_t)(value >> 64); }
    static uint64_t openmm_i128_low(openmm_i128 value) { return (uint64_t)value; }
    static openmm_i128 openmm_i128_join(int64_t high, uint64_t low) {
        return (openmm_i128)(((unsigned __int128)(uint64_t)high << 64) | low);
    }
    static double openmm_exp(double x) {
        static const double ln2_high = 6.93147180369123816490e-01;
        static const double ln2_low = 1.90821492927058770002e-10;
        static const double inverse[14] = {
            1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
            1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
        if (x != x) return x;
        if (x > 709.782712893384) return openmm_from_bits(0x7FF0000000000000ULL);
        if (x < -745.1332191019412) return 0.0;
        double scaled = x * 1.44269504088896338700;
        int k = (int)(scaled + (scaled < 0 ? -0.5 : 0.5));
        double r = (x - k * ln2_high) - k * ln2_low;
        double sum = inverse[13];
        for (int i = 12; i >= 0; i--) sum = sum * r + inverse[i];
        /* Two factors, so that subnormal and largest results scale without leaving the range. */
        int half = k / 2;
        double first = openmm_from_bits((uint64_t)(half + 1023) << 52);
        double second = openmm_from_bits((uint64_t)(k - half + 1023) << 52);
        return sum * first * second;
    }
    static double openmm_log(double x) {
        static const double ln2_high = 6.93147180369123816490e-01;
        static const double ln2_low = 1.90821492927058770002e-10;
        if (x != x) return x;
        if (x < 0) return openmm_from_bits(0x7FF8000000000000ULL);
        if (x == 0) return openmm_from_bits(0xFFF0000000000000ULL);
        uint64_t bits = openmm_to_bits(x);
        if (bits == 0x7FF0000000000000ULL) return x;
        int k = 0;
        if (bits < 0x0010000000000000ULL) {
            bits = openmm_to_bits(x * 18014398509481984.0);
            k = -54;
        }
        k += (int)(bits >> 52) - 1023;
        double m = openmm_from_bits((bits & 0x000FFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
        if (m > 1.41421356237309504880) {
            m *= 0.5;
            k += 1;
        }
        /* log(m) = 2 artanh(s), s = (m-1)/(m+1), |s| <= 0.1716: the odd series to s**21. */
        double f = m - 1.0;
        double s = f / (2.0 + f);
        double z = s * s;
        double tail = 0.0;
        for (int odd = 21; odd >= 3; odd -= 2) tail = (tail + 2.0 / odd) * z;
        /* 2s = f - s*f keeps the leading term exact for m close to 1. */
        return k * ln2_high + ((s * tail - s * f + k * ln2_low) + f);
    }
    """
    int64_t own_isqrt "openmm_isqrt"(int64_t value)
    double own_exp "openmm_exp"(double x)
    double own_log "openmm_log"(double x)
    int64_t _i128_high "openmm_i128_high"(i128 value)
    uint64_t _i128_low "openmm_i128_low"(i128 value)
    i128 _i128_join "openmm_i128_join"(int64_t high, uint64_t low)


cdef object i128_to_py(i128 value):
    return (<object>_i128_high(value) << 64) | _i128_low(value)


cdef i128 i128_from_py(object value) except? -1:
    number = int(value)
    if not -(1 << 127) <= number < 1 << 127:
        raise OverflowError(f"does not fit 128 bits: {number}")
    return _i128_join(<int64_t>(number >> 64), <uint64_t>(number & 0xFFFF_FFFF_FFFF_FFFF))


cdef int64_t isqrt(int64_t value) noexcept nogil:
    return own_isqrt(value)


cdef double exp_c(double x) noexcept nogil:
    return own_exp(x)


cdef double log_c(double x) noexcept nogil:
    return own_log(x)


def _face(function):
    """Publish a Python face under the name of its C twin: Cython keeps one scope for both."""
    name = function.__name__.removeprefix("_")
    function.__name__ = function.__qualname__ = name
    globals()[name] = function
    return function


cdef int64_t _checked(int64_t value) except? -1:
    if value == MISSING:
        raise ValueError("a value is missing")
    return value


cdef int64_t _divisor(int64_t b) except -1:
    if b <= 0:
        raise ValueError(f"the divisor must be positive: {b}")
    return b


@_face
def _floor_div(int64_t a, int64_t b):
    """Divide toward minus infinity.

    Raises: ValueError for a divisor that is not positive or a missing value.
    """
    return floor_div(_checked(a), _divisor(b))


@_face
def _ceil_div(int64_t a, int64_t b):
    """Divide toward plus infinity.

    Raises: ValueError for a divisor that is not positive or a missing value.
    """
    return ceil_div(_checked(a), _divisor(b))


@_face
def _floor_ticks(int64_t uticks):
    """Round millionths of a tick down to ticks: the rounding of a bid."""
    return floor_ticks(_checked(uticks))


@_face
def _ceil_ticks(int64_t uticks):
    """Round millionths of a tick up to ticks: the rounding of an ask."""
    return ceil_ticks(_checked(uticks))


@_face
def _mul_div(int64_t a, int64_t b, int64_t c):
    """Return floor(a * b / c), the product 128 bits wide, the result held inside 63 bits.

    Raises: ValueError for a divisor that is not positive or a missing value.
    """
    return mul_div(_checked(a), _checked(b), _divisor(c))


@_face
def _ticklots(int64_t price_ticks, int64_t qty_lots):
    """Multiply to a notional in ticklots, exact in 128 bits."""
    return i128_to_py(ticklots(_checked(price_ticks), _checked(qty_lots)))


@_face
def _saturate(value):
    """Hold a 128-bit integer inside -(2**63 - 1) .. 2**63 - 1, so that it never reads as missing."""
    return saturate(i128_from_py(value))


@_face
def _pow10(int n):
    """Return 10**n.

    Raises: ValueError outside 0 to 18.
    """
    if not 0 <= n <= DECIMALS_MAX:
        raise ValueError(f"0 to {DECIMALS_MAX} decimals: {n}")
    return pow10_c(n)


@_face
def _isqrt(int64_t value):
    """Return the floor of the square root.

    Raises: ValueError for a negative value.
    """
    if value < 0:
        raise ValueError(f"square root of a negative value: {value}")
    return isqrt(value)


@_face
def _exp(double x):
    """Return e**x from a fixed order of IEEE operations, without the C library.

    Relative error below 1e-15 where the result is normal; 0 below -745.14, infinite above 709.78.
    """
    return exp_c(x)


@_face
def _log(double x):
    """Return the natural logarithm from a fixed order of IEEE operations, without the C library.

    Minus infinity at 0, not a number below. Error under two units in the last place.
    """
    return log_c(x)


@_face
def _format_points(int64_t points, int decimals):
    """Return the ASCII text of points * 10**-decimals with exactly that many decimals.

    Raises: ValueError outside 0 to 18 decimals or for a missing value.
    """
    cdef char[24] text
    if not 0 <= decimals <= DECIMALS_MAX:
        raise ValueError(f"0 to {DECIMALS_MAX} decimals: {decimals}")
    cdef int n_bytes = format_points(text, _checked(points), decimals)
    return PyBytes_FromStringAndSize(text, n_bytes)


@_face
def _format_digits(uint64_t value):
    """Return the ASCII digits of a non-negative integer, without leading zeros."""
    cdef char[20] text
    cdef int n_bytes = format_digits(text, value)
    return PyBytes_FromStringAndSize(text, n_bytes)


MISSING_VALUE = MISSING
UTICKS_PER_TICK = UTICKS
