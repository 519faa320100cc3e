# What the signals shift the centre by and widen the spread by: the first of three steps from a view to a ladder.
from libc.stdint cimport int64_t
from openmm._fast.quotes cimport Ladder, MarketView

cdef struct LeanParams:
    int64_t flow_full_ppm          # shift at flow = 1 (the cap), of price
    int64_t micro_weight_ppm       # share of the fair value's distance from the mid that is followed
    int64_t micro_cap_ppm          # its most, of price
    int64_t imbalance_full_ppm     # shift at an imbalance of 1 (the cap), of price
    int64_t ofi_full_ppm           # shift at an order-flow imbalance of 1 (the cap), of price
    int64_t compression_full_ppm   # taken off the half-spread at a compression of 1 (the cap; added at -1), of price

# Write each shift into the ladder and return their sum. A reference in bounds and known signals are required.
cdef int64_t lean_c(const MarketView* view, const LeanParams* params, Ladder* out) noexcept nogil
# Write what the signals add to the half-spread (below zero: take off it) and return it.
cdef int64_t lean_half_c(const MarketView* view, const LeanParams* params, Ladder* out) noexcept nogil

# Take the fields of `LeanParams` out of parameters that have others beside them.
cdef int lean_from_py(object params, LeanParams* out) except -1
