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
    # --- of several venues, in atoms of the base asset that every member's lot is a multiple of
    cdef bint grouped                   # the others are known: what follows is against the group's target
    cdef int64_t group_target_ppm
    cdef int64_t lot_atoms              # of an own lot
    cdef i128 others_base_atoms         # held by the others
    cdef i128 others_value_atoms        # theirs in all, quote counted as the base it buys
    cdef i128 group_scale_atoms
    cdef int64_t group_q_lots           # the group's base less its target, toward zero
    cdef int64_t group_x_ppm
    cdef i128 quote_cap_ticklots        # quote that may be used at most; -1: all of it
    cdef void fill_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void fee_c(self, i128 ticklots_) noexcept nogil
    cdef void mark_c(self, int64_t reference_uticks) noexcept nogil   # recompute q, x, share, equity
    # (private)
    cdef bint stale                     # balances changed since the last mark
    cdef void book_c(self, int sign, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void unmark_c(self) noexcept nogil
    cdef void mark_group_c(self, i128 total) noexcept nogil
    cdef inline i128 usable_quote_c(self) noexcept nogil:
        if self.quote_cap_ticklots >= 0 and self.quote_ticklots > self.quote_cap_ticklots:
            return self.quote_cap_ticklots
        return self.quote_ticklots
