# L2 book: a tick ladder over a window around the market, a sorted flat array outside it.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cpdef enum BookState:
    BOOK_UNDECIDED = 0
    BOOK_BROKEN = 1
    BOOK_CATCHING_UP = 2
    BOOK_VERIFIED = 3

cpdef enum BookBreak:
    BREAK_NONE = 0
    BREAK_GAP = 1
    BREAK_CHECKSUM = 2
    BREAK_CROSSED = 3
    BREAK_OFF_TICK = 4      # a level finer than the tick
    BREAK_STALE = 5
    BREAK_PARSE = 6
    BREAK_DISCONNECT = 7
    BREAK_CAPACITY = 8      # more levels outside the window than the table holds
    BREAK_EMPTY = 9
    BREAK_BOUNDS = 10       # price or quantity outside the instrument's bounds

cpdef enum Apply:
    APPLY_UNDECIDED = 0
    APPLY_OK = 1
    APPLY_BAD = 2           # bad side, price <= 0, qty < 0
    APPLY_FULL = 3

# Named empty sentinels: a side without levels.
cdef enum:
    NO_BID_TICKS = 0
cdef extern from *:
    """
    #define OPENMM_NO_ASK_TICKS INT64_MAX
    """
    const int64_t NO_ASK_TICKS "OPENMM_NO_ASK_TICKS"

cdef class Book:
    # --- hot, read directly by others; written only by this module
    cdef int64_t best_bid_ticks      # NO_BID_TICKS when empty
    cdef int64_t best_ask_ticks      # NO_ASK_TICKS when empty
    cdef BookState state
    cdef BookBreak break_reason      # of the last break
    cdef int32_t count[2]            # levels a side
    cdef uint64_t version            # +1 each applied level
    cdef int64_t recv_ns             # receive time of the last message applied
    cdef int64_t ts_ns               # venue time of the last message applied, 0 if none
    cdef uint64_t break_count
    cdef uint64_t message_count
    cdef bint recentre_due           # ask for `recentre_c` off the hot path
    # (private fields follow in the owner's version)

    # Set a level's absolute quantity; 0 deletes (absent: no effect). Returns Apply.
    cdef Apply apply_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void clear_c(self) noexcept nogil                                  # both sides, state unchanged
    cdef void cut_c(self, int depth) noexcept nogil                         # drop levels beyond `depth` a side
    cdef int64_t qty_at_c(self, int side, int64_t price_ticks) noexcept nogil
    # Next level worse than `price_ticks` on that side; sentinel when none. Start from the best.
    cdef int64_t worse_c(self, int side, int64_t price_ticks) noexcept nogil
    # Copy the best n levels (price_ticks, qty_lots), best first; returns how many.
    cdef int top_c(self, int side, int n, int64_t* prices_ticks, int64_t* qtys_lots) noexcept nogil
    # Summed quantity within `distance_ticks` of the side's own best.
    cdef int64_t depth_c(self, int side, int64_t distance_ticks) noexcept nogil
    cdef void recentre_c(self) noexcept nogil                               # O(window), no allocation
    # State changes, the only ways in or out of VERIFIED.
    cdef void verify_c(self, int64_t recv_ns, int64_t ts_ns) noexcept nogil  # crossed or empty book breaks instead
    cdef void break_c(self, BookBreak reason) noexcept nogil
    cdef void catch_up_c(self) noexcept nogil                               # BROKEN -> CATCHING_UP, clears
