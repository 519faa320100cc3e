# What we hold: balances, position against target, average cost, realised and unrealised P&L of the traded pair.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.units cimport i128

cdef class Inventory:
    cdef int64_t base_lots              # total base held, MISSING until known
    cdef i128 quote_ticklots            # total quote held, in ticklots
    cdef bint quote_known
    cdef int64_t target_ppm             # wanted share of base in total value
    cdef int64_t scale_lots             # |q| at which the skew is full (x = 1)
    cdef int64_t q_lots                 # base held minus target, as of `mark_c`
    cdef int64_t x_ppm                  # q / scale, clamped to [-1e6, 1e6]
    cdef int64_t share_ppm              # base value / total value
    cdef i128 equity_ticklots           # quote + base at the mark
    cdef i128 realised_ticklots         # average cost, fees apart
    cdef i128 fees_ticklots             # fees charged in quote
    cdef i128 cost_ticklots             # cost basis of the session's position (signed)
    cdef int64_t position_lots          # net fills of the session, signed
    cdef int64_t mark_uticks
    cdef void fill_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void fee_c(self, i128 ticklots_) noexcept nogil
    cdef void mark_c(self, int64_t reference_uticks) noexcept nogil   # recompute q, x, share, equity
    # (private)
    cdef bint stale                     # balances changed since the last mark
    cdef void book_c(self, int sign, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void unmark_c(self) noexcept nogil
