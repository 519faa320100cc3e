# Order-flow imbalance at the best prices of others, own quantity taken off though it is never known for sure.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.book cimport Book

cdef enum:
    OWN_MAX = 128                   # own orders told to one book's signals; more are a refusal
    GONE_MAX = 16                   # own quantity of a moment ago that is remembered

cdef extern from *:
    """
    #define OPENMM_NEVER_NS INT64_MAX
    """
    const int64_t NEVER_NS "OPENMM_NEVER_NS"

cdef struct OwnQty:
    int64_t price_ticks
    int64_t qty_lots
    int64_t acted_ns                # when it was last asked for; NEVER_NS: nobody knows whether it rests
    int32_t side                    # BookSide
    int32_t reserved

# What a side's best level of others was at the last look: of what the book shows, so much at least is not ours.
cdef struct Touch:
    int64_t price_ticks
    int64_t shown_lots
    int64_t least_lots
    int64_t most_lots
    int64_t gained_lots             # since the look before, proven, of a level that is still the best

cdef class OrderFlow:
    cdef int64_t ofi_ppm            # decayed order-flow imbalance over the usual best quantity, [-1e6, 1e6]
    cdef int64_t half_life_ns
    cdef int64_t step_ns            # the sum is decayed in steps of this at least
    cdef bint known                 # `touch` is of a book without a gap since
    cdef uint64_t break_count       # the book's, then
    cdef Touch touch[2]             # by BookSide
    cdef int64_t at_ns              # moment the sum stands for
    cdef int64_t looked_ns          # moment of the last look
    cdef double signed_sum
    cdef double best_sum            # decayed sum of the mean best quantity of both sides, and its weight
    cdef double best_weight
    # Own quantity before it last changed, and what of it went within the last moments.
    cdef bint own_changed
    cdef int64_t own_best_ticks[2]  # by BookSide: no order of ours is nearer to the market
    cdef int64_t gone_ns            # when something last went
    cdef int32_t before_count
    cdef int32_t gone_count
    cdef int32_t gone_next
    cdef OwnQty before[OWN_MAX]
    cdef OwnQty gone[GONE_MAX]      # `acted_ns`: when it went
    # Look at a verified book; `own_bid_lots` and `own_ask_lots` rest for sure at its best prices, `bid_lots` and
    # `ask_lots` are shown there if none of ours does.
    cdef void look_c(
        self, Book book, int64_t now_ns, const OwnQty* own, int own_count, int64_t own_bid_lots,
        int64_t own_ask_lots, int64_t bid_lots, int64_t ask_lots
    ) noexcept nogil
    cdef void sample_c(self, double keep) noexcept nogil     # move the usual best quantity on
    cdef void decay_c(self, int64_t now_ns) noexcept nogil   # bring the imbalance up to date without a look
    cdef void lose_c(self) noexcept nogil                    # the next look begins anew, the sum goes on
    cdef void clear_c(self) noexcept nogil                   # forget everything
    # Own quantity is about to change: this is what it was.
    cdef void own_before_c(self, const OwnQty* own, int own_count) noexcept nogil
    # (private)
    cdef bint best_c(
        self, Book book, int side, int64_t now_ns, const OwnQty* own, int own_count, int64_t own_best_lots,
        Touch* out
    ) noexcept nogil
    cdef void remember_c(self, const OwnQty* own, int own_count, int64_t now_ns) noexcept nogil
    cdef void decay_sum_c(self, int64_t now_ns) noexcept nogil
    cdef void move_sum_c(self, int64_t now_ns, double moved) noexcept nogil
    cdef void tell_c(self) noexcept nogil
