# Fixed-point units, rounding and wide products. Names carry units: see docs/units.md.
# The small functions are C, so that every module inlines them and both directive profiles
# give the same division. None is undefined for any argument: a missing argument, a divisor
# that is not positive or a scale out of range gives MISSING (0 where no sign is possible).
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    typedef __int128 openmm_i128;
    """
    ctypedef long long i128 "openmm_i128"  # 128-bit signed; convert with i128_to_py, i128_from_py only

cdef enum:
    UTICKS = 1_000_000  # uticks per tick
    PPM = 1_000_000
    DECIMALS_MAX = 18   # 10**18 is the largest power of ten in an int64

cdef extern from * nogil:
    """
    #define OPENMM_MISSING INT64_MIN
    """
    const int64_t MISSING "OPENMM_MISSING"  # "no value": every check that reads it refuses

cpdef enum BookSide:
    BID = 0
    ASK = 1

cpdef enum Side:
    UNKNOWN_SIDE = 0
    BUY = 1
    SELL = 2

# What the hot path must know of a traded pair. Loaded once, bounded by `instrument.py`.
cdef struct InstrumentSpec:
    int64_t tick_points             # tick size in 10**-price_decimals
    int64_t lot_points              # lot size in 10**-qty_decimals
    int64_t qty_lots_min            # venue minimum of an order
    int64_t qty_lots_max
    i128 notional_ticklots_min      # venue minimum cost of an order, rounded up
    int32_t price_decimals          # decimals of a price on the wire
    int32_t qty_decimals

cdef extern from * nogil:
    """
    static inline int64_t openmm_floor_div(int64_t a, int64_t b) {
        if (b <= 0 || a == OPENMM_MISSING) return OPENMM_MISSING;
        int64_t q = a / b;
        return q - (a % b < 0);
    }
    static inline int64_t openmm_ceil_div(int64_t a, int64_t b) {
        if (b <= 0 || a == OPENMM_MISSING) return OPENMM_MISSING;
        int64_t q = a / b;
        return q + (a % b > 0);
    }
    static inline int64_t openmm_floor_ticks(int64_t uticks) { return openmm_floor_div(uticks, 1000000); }
    static inline int64_t openmm_ceil_ticks(int64_t uticks) { return openmm_ceil_div(uticks, 1000000); }

    static inline openmm_i128 openmm_floor_div_wide(openmm_i128 a, openmm_i128 b) {
        if (b <= 0) return OPENMM_MISSING;
        openmm_i128 q = a / b;
        return q - (a % b < 0);
    }
    static inline int64_t openmm_saturate(openmm_i128 value) {
        if (value > (openmm_i128)INT64_MAX) return INT64_MAX;
        if (value < -(openmm_i128)INT64_MAX) return -INT64_MAX;
        return (int64_t)value;
    }
    static inline int64_t openmm_mul_div(int64_t a, int64_t b, int64_t c) {
        if (c <= 0 || a == OPENMM_MISSING || b == OPENMM_MISSING) return OPENMM_MISSING;
        int64_t narrow;
        if (!__builtin_mul_overflow(a, b, &narrow) && narrow != OPENMM_MISSING) return openmm_floor_div(narrow, c);
        openmm_i128 product = (openmm_i128)a * b;
        openmm_i128 q = product / c;
        return openmm_saturate(q - (product % c < 0));
    }
    static inline openmm_i128 openmm_ticklots(int64_t price_ticks, int64_t qty_lots) {
        return (openmm_i128)price_ticks * qty_lots;
    }

    static const int64_t openmm_pow10[19] = {
        1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL, 1000000000LL,
        10000000000LL, 100000000000LL, 1000000000000LL, 10000000000000LL, 100000000000000LL,
        1000000000000000LL, 10000000000000000LL, 100000000000000000LL, 1000000000000000000LL};
    static inline int64_t openmm_pow10_c(int n) {
        return (unsigned)n <= 18u ? openmm_pow10[n] : 0;
    }

    /* Digits of `value`, two at a time from the end of a 20-byte scratch. */
    static inline int openmm_format_digits(char* out, uint64_t value) {
        static const char pairs[201] =
            "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
            "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
            "8081828384858687888990919293949596979899";
        char scratch[20];
        int at = 20;
        while (value >= 100) {
            uint64_t rest = value / 100;
            const char* pair = pairs + 2 * (value - rest * 100);
            scratch[--at] = pair[1];
            scratch[--at] = pair[0];
            value = rest;
        }
        if (value >= 10) {
            scratch[--at] = pairs[2 * value + 1];
            scratch[--at] = pairs[2 * value];
        } else {
            scratch[--at] = (char)('0' + value);
        }
        for (int i = at; i < 20; i++) out[i - at] = scratch[i];
        return 20 - at;
    }
    static inline int openmm_format_points(char* out, int64_t points, int decimals) {
        if ((unsigned)decimals > 18u || points == OPENMM_MISSING) return 0;
        int n = 0;
        uint64_t rest = points < 0 ? 0 - (uint64_t)points : (uint64_t)points;
        if (points < 0) out[n++] = '-';
        if (decimals == 0) return n + openmm_format_digits(out + n, rest);
        uint64_t unit = (uint64_t)openmm_pow10[decimals];
        uint64_t whole = rest / unit;
        rest -= whole * unit;
        n += openmm_format_digits(out + n, whole);
        out[n++] = '.';
        for (int i = decimals - 1; i >= 0; i--) {
            uint64_t shorter = rest / 10;
            out[n + i] = (char)('0' + (rest - shorter * 10));
            rest = shorter;
        }
        return n + decimals;
    }
    """
    int64_t floor_div "openmm_floor_div"(int64_t a, int64_t b)       # toward minus infinity; b > 0
    int64_t ceil_div "openmm_ceil_div"(int64_t a, int64_t b)         # toward plus infinity; b > 0
    i128 floor_div_wide "openmm_floor_div_wide"(i128 a, i128 b)      # the same on 128 bits; b > 0
    int64_t floor_ticks "openmm_floor_ticks"(int64_t uticks)         # uticks -> ticks, down (bids)
    int64_t ceil_ticks "openmm_ceil_ticks"(int64_t uticks)           # uticks -> ticks, up (asks)
    int64_t mul_div "openmm_mul_div"(int64_t a, int64_t b, int64_t c)  # floor(a*b/c), 128-bit inside; c > 0; saturates
    i128 ticklots "openmm_ticklots"(int64_t price_ticks, int64_t qty_lots)
    int64_t saturate "openmm_saturate"(i128 value)                   # to int64, MISSING never produced
    int64_t pow10_c "openmm_pow10_c"(int n)                          # 0 <= n <= 18
    # Write `points` with exactly `decimals` decimals ("66788.0"); returns the length. `out` holds 24 bytes.
    int format_points "openmm_format_points"(char* out, int64_t points, int decimals)
    # Write the plain digits of a non-negative integer, no leading zeros; returns the length. `out` holds 20 bytes.
    int format_digits "openmm_format_digits"(char* out, uint64_t value)

cdef object i128_to_py(i128 value)
cdef i128 i128_from_py(object value) except? -1                  # OverflowError beyond 127 bits
cdef int64_t isqrt(int64_t value) noexcept nogil                 # floor; 0 for negative values
cdef double exp_c(double x) noexcept nogil                       # own: the same bits on every x86-64
cdef double log_c(double x) noexcept nogil
