# Fixed-point units, rounding and wide products. Names carry units: see docs/units.md.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    typedef __int128 openmm_i128;
    """
    ctypedef long long i128 "openmm_i128"  # 128-bit signed; convert with i128_to_py only

cdef enum:
    UTICKS = 1_000_000  # uticks per tick
    PPM = 1_000_000

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

cdef int64_t floor_div(int64_t a, int64_t b) noexcept nogil      # toward minus infinity; b > 0
cdef int64_t ceil_div(int64_t a, int64_t b) noexcept nogil       # toward plus infinity; b > 0
cdef int64_t floor_ticks(int64_t uticks) noexcept nogil          # uticks -> ticks, down (bids)
cdef int64_t ceil_ticks(int64_t uticks) noexcept nogil           # uticks -> ticks, up (asks)
cdef int64_t mul_div(int64_t a, int64_t b, int64_t c) noexcept nogil  # floor(a*b/c), 128-bit inside; c > 0; saturates
cdef i128 ticklots(int64_t price_ticks, int64_t qty_lots) noexcept nogil
cdef int64_t saturate(i128 value) noexcept nogil                 # to int64, MISSING never produced
cdef object i128_to_py(i128 value)
cdef int64_t pow10_c(int n) noexcept nogil                       # 0 <= n <= 18
cdef int64_t isqrt(int64_t value) noexcept nogil
cdef double exp_c(double x) noexcept nogil                       # own: the same bits on every x86-64
cdef double log_c(double x) noexcept nogil
# Write `points` with exactly `decimals` decimals ("66788.0"); returns the length. `out` holds 24 bytes.
cdef int format_points(char* out, int64_t points, int decimals) noexcept nogil
# Write the plain digits of a non-negative integer, no leading zeros; returns the length.
cdef int format_digits(char* out, uint64_t value) noexcept nogil
