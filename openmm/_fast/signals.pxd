# Volatility, spread, depth and trade flow of one book, each from irregular samples in constant memory.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.book cimport Book
from openmm._fast.orderflow cimport OWN_MAX, OrderFlow, OwnQty

cpdef enum Want:                    # bit flags: estimators that are computed only when somebody reads them
    WANT_MICRO = 1
    WANT_IMBALANCE = 2
    WANT_OFI = 4

cpdef enum Fair:                    # which fair value `micro_ppm` is of
    FAIR_MICRO = 0                  # best prices, each weighted by the quantity opposite
    FAIR_DEPTH = 1                  # the same with the quantities of some levels, less the further off
    FAIR_VAMP = 2                   # mean of what a given amount costs on either side

cdef enum:
    FAIR_LEVELS_MAX = 10

cdef struct SignalParams:
    int64_t sample_ns               # grid on which volatility samples the fair value (250 ms)
    int64_t vol_fast_ns             # half-life of the fast variance
    int64_t vol_slow_ns
    int64_t flow_ns                 # half-life of the trade flow
    int64_t depth_ns                # half-life of the depth and spread means
    int64_t depth_distance_ticks    # depth counts quantity within this distance of the best
    int64_t depth_distance_ppm      # the same as a share of that best price, where it is not 0
    int64_t jump_sigma_ppm          # a sample beyond this many sigmas sets the jump flag (models.md 7)
    int64_t sigma_floor_uticks
    int64_t ofi_ns                  # half-life of the order-flow imbalance
    int64_t wanted                  # Want bits
    int32_t fair                    # Fair
    int32_t fair_levels             # levels a side that are read for it
    int64_t fair_decay_uticks       # distance at which a level counts e times less; 0: all alike
    int64_t fair_ticklots           # the amount, of one side

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
    cdef int64_t fair_uticks                # as `params.fair` has it; MISSING unless wanted
    cdef int64_t micro_ppm                  # that less the mid, of mid; 0 unless wanted
    cdef int64_t imbalance_ppm              # depth of bids less asks over both, at the last sample; 0 unless wanted
    cdef bint jump
    cdef int64_t jump_uticks                # how far the last jump went; 0: none yet
    cdef int64_t jumped_ns                  # when its sample was taken
    cdef bint warm                          # at least two samples of every estimator
    cdef SignalParams params
    # Best prices of others: own quantity taken off. The book's sentinels when there is none.
    cdef int64_t best_bid_ticks
    cdef int64_t best_ask_ticks
    # --- state of the estimators
    cdef int64_t sampled_ns                 # moment of the last sample
    cdef int64_t sampled_uticks             # fair value then
    cdef int64_t sample_count
    cdef double var_fast                    # decayed sums and their weights: estimate = sum / weight
    cdef double var_fast_weight
    cdef double var_slow
    cdef double var_slow_weight
    cdef double spread_sum
    cdef double depth_sum
    cdef double mean_weight
    cdef int64_t flow_at_ns                 # moment the flow sums stand for
    cdef int64_t flow_step_ns               # without a trade the flow is decayed in steps of this
    cdef double flow_signed
    cdef double flow_total
    cdef double flow_slow
    cdef double flow_scale                  # what the signed flow is divided by, set by each trade
    cdef OrderFlow order_flow               # order-flow imbalance, where it is wanted
    # Own live orders away from the best price, so that depth and the next best leave them out.
    cdef int32_t own_count
    cdef OwnQty own[OWN_MAX]
    # Own resting quantity at the best prices is passed in, and taken off before anything is computed.
    # A book that is not verified, empty, crossed, or only ours on a side: mid and microprice MISSING, no sample.
    # Whoever breaks a book and does not show it here calls `lose_c`.
    cdef void on_book_c(self, Book book, int64_t now_ns, int64_t own_bid_lots, int64_t own_ask_lots) noexcept nogil
    cdef void on_trade_c(self, int64_t now_ns, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void decay_c(self, int64_t now_ns) noexcept nogil   # bring flow up to date without an event
    cdef void lose_c(self) noexcept nogil                    # the book has a gap
    # Tell the own live orders of this book, all sides and prices; call when the order table changed.
    cdef void own_clear_c(self) noexcept nogil
    cdef bint own_add_c(
        self, int side, int64_t price_ticks, int64_t qty_lots, int64_t acted_ns
    ) noexcept nogil                                         # 0: no room
    # (private)
    cdef int64_t own_at_c(self, int side, int64_t price_ticks) noexcept nogil
    cdef int64_t others_best_c(self, Book book, int side, int64_t price_ticks, int64_t* qty_lots) noexcept nogil
    cdef int64_t others_depth_c(self, Book book, int side, int64_t price_ticks, int64_t own_best_lots) noexcept nogil
    cdef void measure_c(
        self, Book book, int64_t now_ns, int64_t bid_lots, int64_t ask_lots, int64_t own_bid_lots,
        int64_t own_ask_lots
    ) noexcept nogil
    cdef double weight_c(self, Book book, int side, int64_t price_ticks, int64_t best_lots) noexcept nogil
    cdef double cost_c(self, Book book, int side, int64_t price_ticks, int64_t best_lots) noexcept nogil
    cdef void sample_c(self, Book book, int64_t now_ns, int64_t own_bid_lots, int64_t own_ask_lots) noexcept nogil
    cdef void flow_to_c(self, int64_t now_ns) noexcept nogil
