# L2 book: a tick ladder over a window around the market, a sorted flat array outside it.
#
# Inside the window a level is a cell: its quantity by tick, one bit in `used`, and one bit in
# `summary` per word of `used`. Outside it levels stand in one array a side, sorted by key, best
# last. The key of a price is the price for bids and its complement for asks: on both sides the
# larger key is the better price. The best prices lie in the window unless the two are further
# apart than it is wide; every function is right in either case.
cimport cython
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
    APPLY_UNDECIDED = 0     # nothing applied: the book is broken
    APPLY_OK = 1
    APPLY_BAD = 2           # bad side, price or quantity out of bounds: nothing applied
    APPLY_FULL = 3          # no room outside the window: the book is broken (BREAK_CAPACITY)

# Named empty sentinels: a side without levels.
cdef enum:
    NO_BID_TICKS = 0
cdef extern from *:
    """
    #define OPENMM_NO_ASK_TICKS INT64_MAX
    """
    const int64_t NO_ASK_TICKS "OPENMM_NO_ASK_TICKS"

# Bounds of `instrument.py`, enforced on every level.
cdef extern from *:
    """
    #define OPENMM_BOOK_PRICE_MAX (INT64_C(1) << 40)
    #define OPENMM_BOOK_QTY_MAX (INT64_C(1) << 52)
    """
    const int64_t PRICE_TICKS_MAX "OPENMM_BOOK_PRICE_MAX"
    const int64_t QTY_LOTS_MAX "OPENMM_BOOK_QTY_MAX"

cdef extern from * nogil:
    """
    #define openmm_rare(condition) __builtin_expect(!!(condition), 0)
    /* Index of a word's best level, which it must have: its highest bit on bids, its lowest on asks. The
       side is masked in, not asked for: it cannot be guessed. */
    static inline int64_t openmm_best_bit(uint64_t word, int side) {
        return 63 ^ __builtin_clzll(word & ((0 - word) | ((uint64_t) side - 1)));
    }
    """
    bint _rare "openmm_rare"(bint condition)
    int64_t _best_bit "openmm_best_bit"(uint64_t word, int side)

cdef struct OutsideLevel:
    int64_t key
    int64_t qty_lots


@cython.final
cdef class Book:
    # --- hot, read directly by others; written only by this module
    cdef int64_t best_bid_ticks      # NO_BID_TICKS when empty
    cdef int64_t best_ask_ticks      # NO_ASK_TICKS when empty
    cdef BookState state
    cdef BookBreak break_reason      # of the last break
    cdef bint live                   # verified since it was last cleared, not broken: updates may be applied on top
    cdef int32_t count[2]            # levels a side
    cdef uint64_t version            # +1 each applied level
    # --- private, read by `apply_c`
    cdef int64_t base_ticks          # price of the window's first cell, >= 1
    cdef uint64_t open_cells         # cells `apply_c` may write: the window's, 0 while broken
    cdef int64_t* cells[2]           # quantity by tick - base_ticks; 0 is no level
    cdef uint64_t* used[2]
    cdef uint64_t* summary[2]
    cdef int64_t* best[2]            # where each side's best price stands
    cdef int64_t low_mark            # a best price below it, or `calm_ticks` above, asks for a new centre
    cdef uint64_t calm_ticks         # 0 while a best price lies outside the window
    cdef bint recentre_due           # ask for `recentre_c` off the hot path
    # --- public, once a message
    cdef int64_t recv_ns             # receive time of the last message applied
    cdef int64_t ts_ns               # venue time of the last message applied, 0 if none
    cdef uint64_t break_count
    cdef uint64_t message_count
    # --- private
    cdef int64_t window_cells
    cdef bint apart                  # a best price lies outside the window
    cdef int32_t words               # of `used`
    cdef int32_t summaries           # of `summary`
    cdef int32_t outside_count[2]
    cdef int32_t outside_max
    cdef OutsideLevel* outside[2]
    cdef OutsideLevel* scratch
    cdef char* memory
    cdef size_t memory_bytes

    # Set a level's absolute quantity; 0 deletes (absent: no effect). Returns Apply. A level that
    # crosses the book or empties a side takes it out of VERIFIED until `verify_c` decides.
    cdef inline Apply apply_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        cdef uint64_t cell = <uint64_t> price_ticks - <uint64_t> self.base_ticks
        if cell >= self.open_cells or <uint64_t> qty_lots > <uint64_t> QTY_LOTS_MAX or <unsigned int> side > 1:
            return self.apply_far_c(side, price_ticks, qty_lots)
        cdef int64_t* at = self.cells[side] + cell
        cdef uint64_t* used = self.used[side] + (cell >> 6)
        cdef int64_t* best = self.best[side]
        cdef uint64_t had = at[0] != 0
        cdef uint64_t has = qty_lots != 0
        cdef uint64_t before = used[0]
        cdef uint64_t after = before ^ ((had ^ has) << (cell & 63))
        cdef int64_t above_ticks = price_ticks - best[0]
        # Bits and counts without a branch: whether a level is new, changed or gone cannot be guessed.
        at[0] = qty_lots
        used[0] = after
        self.count[side] += <int32_t> (has - had)
        self.version += 1
        if _rare((before & after) == 0):
            self.edge_c(side, price_ticks, qty_lots)
        # Beyond the best, or the best itself deleted: the best is in this word, which has more levels.
        elif (above_ticks ^ -<int64_t> side) >= <int64_t> has - side:
            price_ticks += _best_bit(after, side) - <int64_t> (cell & 63)
            best[0] = price_ticks
            if _rare(self.best_bid_ticks >= self.best_ask_ticks) or _rare(
                <uint64_t> price_ticks - <uint64_t> self.low_mark >= self.calm_ticks
            ):
                if has or above_ticks == 0:    # not what was absent deleted
                    self.settle_c(side, price_ticks)
        return APPLY_OK

    # The rest of `apply_c`: outside the window, out of bounds, or broken.
    cdef Apply apply_far_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    # Bring the best price up to date after a change at it or beyond it.
    cdef void touch_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    # The rest of `apply_c`: a word of `used` that was empty before or is now.
    cdef void edge_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    # What follows from a new best price: doubt, a new centre.
    cdef void settle_c(self, int side, int64_t price_ticks) noexcept nogil

    cdef void clear_c(self) noexcept nogil                                  # both sides; VERIFIED becomes CATCHING_UP
    # Drop levels beyond `depth` a side; nothing to do is one comparison a side.
    cdef inline void cut_c(self, int depth) noexcept nogil:
        if self.count[0] > depth:
            self.cut_side_c(0, depth)
        if self.count[1] > depth:
            self.cut_side_c(1, depth)

    cdef void cut_side_c(self, int side, int depth) noexcept nogil
    cdef void drop_outside_c(self, int side, int32_t dropped) noexcept nogil
    cdef void clear_side_c(self, int side) noexcept nogil
    cdef void set_base_c(self, int64_t base_ticks) noexcept nogil
    cdef void set_cell_c(self, int side, int64_t cell, int64_t qty_lots) noexcept nogil
    cdef int64_t below_c(self, int side, int64_t cell) noexcept nogil
    cdef int64_t above_c(self, int side, int64_t cell) noexcept nogil
    cdef int64_t worst_key_c(self, int side) noexcept nogil
    cdef bint holds_c(self, int64_t price_ticks) noexcept nogil
    cdef int64_t wanted_base_c(self) noexcept nogil
    cdef void leaving_c(self, int64_t base_ticks, int64_t* first, int64_t* last) noexcept nogil
    cdef void entering_c(self, int side, int64_t base_ticks, int32_t* first, int32_t* last) noexcept nogil
    cdef bint has_room_c(self, int side, int64_t base_ticks) noexcept nogil
    cdef void move_side_c(self, int side, int64_t base_ticks) noexcept nogil
    cdef int check_c(self, Apply result, int side, int64_t price_ticks, int64_t qty_lots) except -1
    cdef int side_c(self, int side) except -1
    cdef int64_t qty_at_c(self, int side, int64_t price_ticks) noexcept nogil
    # Next level worse than `price_ticks` on that side; sentinel when none. Start from the best.
    cdef int64_t worse_c(self, int side, int64_t price_ticks) noexcept nogil
    # Key of the last level of a side, INT64_MAX when it has none: O(window / 4096).
    cdef int64_t last_key_c(self, int side) noexcept nogil
    # Copy the best n levels (price_ticks, qty_lots), best first; returns how many.
    cdef int top_c(self, int side, int n, int64_t* prices_ticks, int64_t* qtys_lots) noexcept nogil
    # Summed quantity within `distance_ticks` of the side's own best.
    cdef int64_t depth_c(self, int side, int64_t distance_ticks) noexcept nogil
    cdef void recentre_c(self) noexcept nogil                               # O(levels + window / 64), no allocation
    # State changes, the only ways in or out of VERIFIED.
    cdef void verify_c(self, int64_t recv_ns, int64_t ts_ns) noexcept nogil  # crossed or empty book breaks instead
    cdef void break_c(self, BookBreak reason) noexcept nogil                 # a broken book keeps its first reason
    cdef void catch_up_c(self) noexcept nogil                               # any state -> CATCHING_UP, clears
