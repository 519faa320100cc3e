# Volatility, spread, depth and trade flow of one book, each from irregular samples in constant memory.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.book cimport Book

cdef struct SignalParams:
    int64_t sample_ns               # grid on which volatility samples the fair value (250 ms)
    int64_t vol_fast_ns             # half-life of the fast variance
    int64_t vol_slow_ns
    int64_t flow_ns                 # half-life of the trade flow
    int64_t depth_ns                # half-life of the depth and spread means
    int64_t depth_distance_ticks    # depth counts quantity within this distance of the best
    int64_t jump_sigma_ppm          # a sample beyond this many sigmas sets the jump flag (models.md 7)
    int64_t sigma_floor_uticks

cdef class Signals:
    # --- outputs, quantised to integers in one place (`quantise_c`)
    cdef int64_t mid_uticks
    cdef int64_t microprice_uticks          # opposite-side weights, own quantity taken off
    cdef int64_t spread_ticks
    cdef int64_t spread_mean_uticks
    cdef int64_t spread_compression_ppm     # 1e6 * (1 - spread / mean), negative when wider
    cdef int64_t sigma_uticks               # per sqrt(second), larger of the two horizons, floored
    cdef int64_t depth_lots                 # smaller side, own quantity taken off
    cdef int64_t depth_mean_lots
    cdef int64_t flow_ppm                   # signed taker volume over total, [-1e6, 1e6]
    cdef bint jump
    cdef bint warm                          # at least two samples of every estimator
    cdef SignalParams params
    # Own resting quantity at the best prices is passed in, and taken off before anything is computed.
    cdef void on_book_c(self, Book book, int64_t now_ns, int64_t own_bid_lots, int64_t own_ask_lots) noexcept nogil
    cdef void on_trade_c(self, int64_t now_ns, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void decay_c(self, int64_t now_ns) noexcept nogil   # bring flow up to date without an event
