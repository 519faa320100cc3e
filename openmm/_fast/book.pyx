"""L2 book of one instrument: a ladder of cells by tick around the market, a flat array beyond it.

An update inside the window is a store, two bit operations and a comparison with the best price,
whatever the depth. When the market leaves the window it is moved at once: only levels that enter
or leave change place. One allocation holds everything; it is made, and touched, at construction.

States: a new book is CATCHING_UP; `verify` makes it VERIFIED, or broken if it is crossed or lacks
a side; `break_` makes it BROKEN, and then it takes no level until `catch_up` has emptied it. A
level that crosses a VERIFIED book or empties a side of it makes it CATCHING_UP until the message's
`verify`: a crossed or empty book never reads VERIFIED. `live` tells a book in such doubt from one
that waits for its snapshot.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove, memset
from openmm._fast.units cimport ASK, BID, i128, saturate

cdef extern from * nogil:
    """
    #include <stdlib.h>
    """
    const int64_t INT64_MAX
    const int64_t INT64_MIN
    void* aligned_alloc(size_t alignment, size_t size)
    int _leading_zeros "__builtin_clzll"(uint64_t word)
    int _trailing_zeros "__builtin_ctzll"(uint64_t word)
    int _bits "__builtin_popcountll"(uint64_t word)
    void _prefetch "__builtin_prefetch"(const void* address)

cdef enum:
    BIDS = BID                      # plain numbers: an enum's type cannot index
    ASKS = ASK
    LINE = 64                       # bytes of a cache line
    AHEAD_BYTES = 2048              # of a table's rows: more than memory's latency, whatever the machine
    WINDOW_TICKS_MIN = 64
    WINDOW_TICKS_MAX = 1 << 20
    OUTSIDE_LEVELS_MAX = 1 << 20


cdef inline size_t _lines(size_t n_bytes) noexcept nogil:
    """Round up to whole cache lines."""
    return (n_bytes + LINE - 1) & ~<size_t> (LINE - 1)


cdef inline int64_t _flip(int side) noexcept nogil:
    """Return the mask that turns a price into its key and back."""
    return -<int64_t> side


cdef int32_t _lower_bound(const OutsideLevel* levels, int32_t count, int64_t key) noexcept nogil:
    """Return the index of the first level whose key is not below `key`. Looks near the best first."""
    cdef int32_t low = 0
    cdef int32_t high = count
    cdef int32_t step = 1
    cdef int32_t middle
    while high > 0 and levels[high - 1].key >= key:
        high -= step
        step *= 2
        if high < 0:
            high = 0
    # Everything below `high` is too small; the answer lies within the last step above it.
    low = high
    high = high + step if high + step < count else count
    while low < high:
        middle = low + ((high - low) >> 1)
        if levels[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


@cython.final
cdef class Book:
    """Keep the levels of both sides by price in ticks and quantity in lots.

    Args: window_ticks: width of the ladder, a power of two from 64 to 2**20 (16 bytes a tick).
        outside_levels: levels a side kept beyond it, 1 to 2**20 (48 bytes each).
    Raises: ValueError for other sizes.
    """

    def __cinit__(self, *, int window_ticks=65536, int outside_levels=8192):
        if window_ticks & (window_ticks - 1) or not WINDOW_TICKS_MIN <= window_ticks <= WINDOW_TICKS_MAX:
            raise ValueError(f"window_ticks must be a power of two from 64 to 2**20: {window_ticks}")
        if not 1 <= outside_levels <= OUTSIDE_LEVELS_MAX:
            raise ValueError(f"outside_levels must be 1 to 2**20: {outside_levels}")
        self.window_cells = window_ticks
        self.words = window_ticks >> 6
        self.summaries = (self.words + 63) >> 6
        self.outside_max = outside_levels
        cdef size_t cells_bytes = _lines(<size_t> window_ticks * sizeof(int64_t))
        cdef size_t used_bytes = _lines(<size_t> self.words * sizeof(uint64_t))
        cdef size_t summary_bytes = _lines(<size_t> self.summaries * sizeof(uint64_t))
        # One level more than promised: a new one stands here while room is made for it.
        cdef size_t outside_bytes = _lines((<size_t> outside_levels + 1) * sizeof(OutsideLevel))
        self.memory_bytes = 2 * (cells_bytes + used_bytes + summary_bytes) + 3 * outside_bytes
        self.memory = <char*> aligned_alloc(LINE, self.memory_bytes)
        if self.memory == NULL:
            raise MemoryError(f"book of {self.memory_bytes} bytes")
        memset(self.memory, 0, self.memory_bytes)
        cdef char* at = self.memory
        cdef int side
        for side in range(2):
            self.summary[side] = <uint64_t*> at
            at += summary_bytes
        for side in range(2):
            self.used[side] = <uint64_t*> at
            at += used_bytes
        for side in range(2):
            self.cells[side] = <int64_t*> at
            at += cells_bytes
        for side in range(2):
            self.outside[side] = <OutsideLevel*> at
            at += outside_bytes
        self.scratch = <OutsideLevel*> at
        self.best[BIDS] = &self.best_bid_ticks
        self.best[ASKS] = &self.best_ask_ticks
        self.best_bid_ticks = NO_BID_TICKS
        self.best_ask_ticks = NO_ASK_TICKS
        self.open_cells = <uint64_t> self.window_cells
        self.state = BOOK_CATCHING_UP
        self.set_base_c(1)

    def __dealloc__(self):
        free(self.memory)

    # --- cells

    cdef void set_base_c(self, int64_t base_ticks) noexcept nogil:
        """Place the window; at either end of all prices no best asks for a new centre."""
        cdef int64_t margin = self.window_cells >> 3
        cdef int64_t high_mark = INT64_MAX
        self.base_ticks = base_ticks
        self.low_mark = base_ticks + margin if base_ticks > 1 else 0
        if base_ticks <= PRICE_TICKS_MAX - self.window_cells:
            high_mark = base_ticks + self.window_cells - margin
        self.calm_ticks = 0 if self.apart else <uint64_t> (high_mark - self.low_mark)

    cdef void set_cell_c(self, int side, int64_t cell, int64_t qty_lots) noexcept nogil:
        """Write a cell and its bits; counts and best prices are the caller's."""
        cdef uint64_t* used = self.used[side] + (cell >> 6)
        cdef uint64_t* summary = self.summary[side] + (cell >> 12)
        cdef uint64_t bit = <uint64_t> 1 << (cell & 63)
        self.cells[side][cell] = qty_lots
        used[0] = used[0] | bit if qty_lots else used[0] & ~bit
        bit = <uint64_t> 1 << ((cell >> 6) & 63)
        summary[0] = summary[0] | bit if used[0] else summary[0] & ~bit

    cdef int64_t below_c(self, int side, int64_t cell) noexcept nogil:
        """Return the highest used cell at or below `cell`, -1 when none."""
        cdef int64_t at = cell >> 6
        cdef uint64_t word
        if cell < 0:
            return -1
        word = self.used[side][at] & (~<uint64_t> 0 >> (63 - (cell & 63)))
        if word:
            return (at << 6) | (63 - _leading_zeros(word))
        cell = at >> 6
        word = self.summary[side][cell] & ((<uint64_t> 1 << (at & 63)) - 1)
        while word == 0:
            cell -= 1
            if cell < 0:
                return -1
            word = self.summary[side][cell]
        at = (cell << 6) | (63 - _leading_zeros(word))
        return (at << 6) | (63 - _leading_zeros(self.used[side][at]))

    cdef int64_t above_c(self, int side, int64_t cell) noexcept nogil:
        """Return the lowest used cell at or above `cell`, -1 when none."""
        cdef int64_t at = cell >> 6
        cdef uint64_t word
        if cell >= self.window_cells:
            return -1
        word = self.used[side][at] & (~<uint64_t> 0 << (cell & 63))
        if word:
            return (at << 6) | _trailing_zeros(word)
        cell = at >> 6
        # Bits above `at`: shifted twice, for a shift by 64 is undefined.
        word = self.summary[side][cell] & (~<uint64_t> 0 << (at & 63) << 1)
        while word == 0:
            cell += 1
            if cell >= self.summaries:
                return -1
            word = self.summary[side][cell]
        at = (cell << 6) | _trailing_zeros(word)
        return (at << 6) | _trailing_zeros(self.used[side][at])

    cdef int64_t worst_key_c(self, int side) noexcept nogil:
        """Return the key of the window's worst cell, used or not."""
        return ~(self.base_ticks + self.window_cells - 1) if side else self.base_ticks

    # --- levels

    cdef int64_t qty_at_c(self, int side, int64_t price_ticks) noexcept nogil:
        cdef uint64_t cell = <uint64_t> price_ticks - <uint64_t> self.base_ticks
        cdef int64_t key
        cdef int32_t at
        if <unsigned int> side > 1:
            return 0
        if cell < <uint64_t> self.window_cells:
            return self.cells[side][cell]
        key = price_ticks ^ _flip(side)
        at = _lower_bound(self.outside[side], self.outside_count[side], key)
        if at < self.outside_count[side] and self.outside[side][at].key == key:
            return self.outside[side][at].qty_lots
        return 0

    cdef int64_t worse_c(self, int side, int64_t price_ticks) noexcept nogil:
        cdef int64_t none = NO_ASK_TICKS if side else NO_BID_TICKS
        cdef int64_t found_ticks = none
        cdef int64_t last = self.base_ticks + self.window_cells - 1
        cdef int64_t cell = -1
        cdef int32_t count
        cdef int32_t at
        if side == BID and price_ticks > self.base_ticks:
            cell = self.below_c(BID, (price_ticks - 1 if price_ticks <= last else last) - self.base_ticks)
        elif side == ASK and price_ticks < last:
            cell = self.above_c(ASK, price_ticks + 1 - self.base_ticks if price_ticks >= self.base_ticks else 0)
        if cell >= 0:
            found_ticks = self.base_ticks + cell
        count = self.outside_count[side]
        if count == 0 or (cell >= 0 and self.outside[side][count - 1].key < self.worst_key_c(side)):
            return found_ticks
        at = _lower_bound(self.outside[side], count, price_ticks ^ _flip(side))
        if at > 0 and self.outside[side][at - 1].key > (found_ticks ^ _flip(side)):
            found_ticks = self.outside[side][at - 1].key ^ _flip(side)
        return found_ticks

    cdef int64_t last_key_c(self, int side) noexcept nogil:
        cdef int64_t cell
        if self.count[side] == 0:
            return INT64_MAX
        if self.outside_count[side] and self.outside[side][0].key < self.worst_key_c(side):
            return self.outside[side][0].key
        cell = self.below_c(ASK, self.window_cells - 1) if side else self.above_c(BID, 0)
        if cell < 0:
            return self.outside[side][0].key
        return (self.base_ticks + cell) ^ _flip(side)

    cdef int top_c(self, int side, int n, int64_t* prices_ticks, int64_t* qtys_lots) noexcept nogil:
        cdef int64_t none = NO_ASK_TICKS if side else NO_BID_TICKS
        cdef int64_t price_ticks = self.best_ask_ticks if side else self.best_bid_ticks
        cdef int copied = 0
        while copied < n and price_ticks != none:
            prices_ticks[copied] = price_ticks
            qtys_lots[copied] = self.qty_at_c(side, price_ticks)
            copied += 1
            price_ticks = self.worse_c(side, price_ticks)
        return copied

    cdef int64_t depth_c(self, int side, int64_t distance_ticks) noexcept nogil:
        cdef int64_t flip = _flip(side)
        cdef int64_t best_ticks = self.best_ask_ticks if side else self.best_bid_ticks
        cdef int64_t low
        cdef int64_t high
        cdef int64_t at
        cdef int64_t cell
        cdef int32_t i
        cdef uint64_t word
        cdef i128 sum_lots = 0
        if self.count[side] == 0 or distance_ticks < 0:
            return 0
        if distance_ticks > PRICE_TICKS_MAX:
            distance_ticks = PRICE_TICKS_MAX
        low = (best_ticks if side else best_ticks - distance_ticks) - self.base_ticks
        high = (best_ticks + distance_ticks if side else best_ticks) - self.base_ticks
        if low < 0:
            low = 0
        if high >= self.window_cells:
            high = self.window_cells - 1
        if low <= high:
            for at in range(low >> 6, (high >> 6) + 1):
                word = self.used[side][at]
                if at == low >> 6:
                    word &= ~<uint64_t> 0 << (low & 63)
                if at == high >> 6:
                    word &= ~<uint64_t> 0 >> (63 - (high & 63))
                while word:
                    cell = (at << 6) | _trailing_zeros(word)
                    sum_lots += self.cells[side][cell]
                    word &= word - 1
        for i in range(self.outside_count[side] - 1, -1, -1):
            if self.outside[side][i].key < (best_ticks ^ flip) - distance_ticks:
                break
            sum_lots += self.outside[side][i].qty_lots
        return saturate(sum_lots)

    # --- changes

    cdef Apply apply_far_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        cdef int64_t key
        cdef int32_t count
        cdef int32_t at
        cdef OutsideLevel* levels
        if self.state == BOOK_BROKEN:
            return APPLY_UNDECIDED
        if (
            <unsigned int> side > 1
            or price_ticks <= 0 or price_ticks > PRICE_TICKS_MAX
            or qty_lots < 0 or qty_lots > QTY_LOTS_MAX
        ):
            return APPLY_BAD
        self.version += 1
        key = price_ticks ^ _flip(side)
        levels = self.outside[side]
        count = self.outside_count[side]
        at = _lower_bound(levels, count, key)
        if at < count and levels[at].key == key:
            if qty_lots:
                levels[at].qty_lots = qty_lots
                return APPLY_OK
            memmove(levels + at, levels + at + 1, <size_t> (count - at - 1) * sizeof(OutsideLevel))
            self.outside_count[side] = count - 1
            self.count[side] -= 1
        elif qty_lots == 0:
            return APPLY_OK
        else:
            memmove(levels + at + 1, levels + at, <size_t> (count - at) * sizeof(OutsideLevel))
            levels[at].key = key
            levels[at].qty_lots = qty_lots
            self.outside_count[side] = count + 1
            self.count[side] += 1
        if key >= ((self.best_ask_ticks if side else self.best_bid_ticks) ^ _flip(side)):
            self.touch_c(side, price_ticks, qty_lots)
        if self.outside_count[side] > self.outside_max:
            # Only an insertion that found no place in the window comes here: take it back.
            at = _lower_bound(levels, self.outside_count[side], key)
            memmove(levels + at, levels + at + 1, <size_t> (self.outside_count[side] - at - 1) * sizeof(OutsideLevel))
            self.outside_count[side] -= 1
            self.count[side] -= 1
            self.touch_c(side, price_ticks, 0)
            self.break_c(BREAK_CAPACITY)
            return APPLY_FULL
        return APPLY_OK

    cdef void touch_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        cdef int64_t best_ticks = self.best_ask_ticks if side else self.best_bid_ticks
        if qty_lots == 0:
            if price_ticks != best_ticks:
                return
            price_ticks = self.worse_c(side, price_ticks)
        self.best[side][0] = price_ticks
        self.settle_c(side, price_ticks)

    cdef void edge_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        cdef uint64_t cell = <uint64_t> price_ticks - <uint64_t> self.base_ticks
        cdef uint64_t* summary = self.summary[side] + (cell >> 12)
        cdef uint64_t at = (cell >> 6) & 63
        cdef int64_t flip = _flip(side)
        summary[0] = (summary[0] & ~(<uint64_t> 1 << at)) | (<uint64_t> (qty_lots != 0) << at)
        # Beyond the best, or the best itself deleted.
        if (price_ticks ^ flip) - <int64_t> (qty_lots != 0) >= (self.best[side][0] ^ flip):
            self.touch_c(side, price_ticks, qty_lots)

    cdef void settle_c(self, int side, int64_t price_ticks) noexcept nogil:
        if self.state == BOOK_VERIFIED and (self.count[side] == 0 or self.best_bid_ticks >= self.best_ask_ticks):
            self.state = BOOK_CATCHING_UP
        if self.apart:
            self.recentre_c()
        elif self.count[side] and <uint64_t> price_ticks - <uint64_t> self.low_mark >= self.calm_ticks:
            if self.holds_c(price_ticks):
                self.recentre_due = self.wanted_base_c() != self.base_ticks
            else:
                self.recentre_c()

    cdef void clear_side_c(self, int side) noexcept nogil:
        """Empty one side, best price included."""
        cdef int64_t at
        cdef int64_t word_at
        cdef uint64_t summary
        cdef uint64_t word
        for at in range(self.summaries):
            summary = self.summary[side][at]
            while summary:
                word_at = (at << 6) | _trailing_zeros(summary)
                word = self.used[side][word_at]
                while word:
                    self.cells[side][(word_at << 6) | _trailing_zeros(word)] = 0
                    word &= word - 1
                self.used[side][word_at] = 0
                summary &= summary - 1
            self.summary[side][at] = 0
        self.outside_count[side] = 0
        self.count[side] = 0
        if side:
            self.best_ask_ticks = NO_ASK_TICKS
        else:
            self.best_bid_ticks = NO_BID_TICKS

    cdef void clear_c(self) noexcept nogil:
        self.clear_side_c(BID)
        self.clear_side_c(ASK)
        self.live = False
        self.recentre_due = False
        self.apart = False
        self.set_base_c(self.base_ticks)
        if self.state == BOOK_VERIFIED:
            self.state = BOOK_CATCHING_UP

    cdef void drop_outside_c(self, int side, int32_t dropped) noexcept nogil:
        """Remove that many of the worst levels outside the window."""
        self.outside_count[side] -= dropped
        self.count[side] -= dropped
        memmove(
            self.outside[side], self.outside[side] + dropped,
            <size_t> self.outside_count[side] * sizeof(OutsideLevel),
        )

    cdef void cut_side_c(self, int side, int depth) noexcept nogil:
        cdef int32_t excess = self.count[side] - depth
        cdef int32_t dropped
        cdef int64_t cell
        if depth <= 0:
            self.clear_side_c(side)
            if self.state == BOOK_VERIFIED:
                self.state = BOOK_CATCHING_UP
            return
        # From the worst on: below the window, in it, beyond it.
        if self.outside_count[side]:
            dropped = _lower_bound(self.outside[side], self.outside_count[side], self.worst_key_c(side))
            dropped = excess if dropped > excess else dropped
            if dropped:
                self.drop_outside_c(side, dropped)
                excess -= dropped
        cell = self.window_cells - 1 if side else 0
        while excess > 0:
            cell = self.below_c(side, cell) if side else self.above_c(side, cell)
            if cell < 0:
                self.drop_outside_c(side, excess)
                return
            self.set_cell_c(side, cell, 0)
            self.count[side] -= 1
            excess -= 1

    # --- the window

    cdef bint holds_c(self, int64_t price_ticks) noexcept nogil:
        """Tell whether a price lies in the window."""
        return <uint64_t> price_ticks - <uint64_t> self.base_ticks < <uint64_t> self.window_cells

    cdef int64_t wanted_base_c(self) noexcept nogil:
        """Return where the window should start: both best prices inside, their middle central.

        The present base when a move is not worth it: a small one, or no window holds both and
        this one holds either.
        """
        cdef int64_t low = self.best_bid_ticks
        cdef int64_t high = self.best_ask_ticks
        cdef int64_t base
        cdef int64_t last = self.base_ticks + self.window_cells - 1
        cdef int64_t small = self.window_cells >> 4
        if self.count[BIDS] == 0 and self.count[ASKS] == 0:
            return self.base_ticks
        if self.count[BIDS] == 0:
            low = high
        elif self.count[ASKS] == 0:
            high = low
        elif low > high:
            low, high = high, low
        if high - low >= self.window_cells:
            if self.base_ticks <= low <= last or self.base_ticks <= high <= last:
                return self.base_ticks
            high = low
        base = low + ((high - low) >> 1) - (self.window_cells >> 1)
        if base > PRICE_TICKS_MAX - self.window_cells + 1:
            base = PRICE_TICKS_MAX - self.window_cells + 1
        if base < 1:
            base = 1
        if self.base_ticks <= low and high <= last and -small < base - self.base_ticks < small:
            return self.base_ticks
        return base

    cdef void recentre_c(self) noexcept nogil:
        cdef int64_t base_ticks = self.wanted_base_c()
        self.recentre_due = False
        # Without room outside for the levels that would leave, the book stays as it is: it is right
        # wherever the best prices stand, only slower.
        if base_ticks != self.base_ticks and self.has_room_c(BID, base_ticks) and self.has_room_c(ASK, base_ticks):
            self.move_side_c(BID, base_ticks)
            self.move_side_c(ASK, base_ticks)
            self.base_ticks = base_ticks
        self.apart = (self.count[BIDS] and not self.holds_c(self.best_bid_ticks)) or (
            self.count[ASKS] and not self.holds_c(self.best_ask_ticks)
        )
        self.set_base_c(self.base_ticks)

    cdef void leaving_c(self, int64_t base_ticks, int64_t* first, int64_t* last) noexcept nogil:
        """Set the range of cells, last excluded, that a window from `base_ticks` on does not hold."""
        cdef int64_t shift = base_ticks - self.base_ticks
        first[0] = 0
        last[0] = self.window_cells
        if 0 < shift < self.window_cells:
            last[0] = shift
        elif -self.window_cells < shift < 0:
            first[0] = self.window_cells + shift

    cdef void entering_c(self, int side, int64_t base_ticks, int32_t* first, int32_t* last) noexcept nogil:
        """Set the range of outside levels, last excluded, that a window from `base_ticks` on holds."""
        cdef int64_t low = ~(base_ticks + self.window_cells - 1) if side else base_ticks
        first[0] = _lower_bound(self.outside[side], self.outside_count[side], low)
        last[0] = _lower_bound(self.outside[side], self.outside_count[side], low + self.window_cells)

    cdef bint has_room_c(self, int side, int64_t base_ticks) noexcept nogil:
        """Tell whether a move leaves no more levels outside than there is room for."""
        cdef int64_t cell = 0
        cdef int64_t cell_end = 0
        cdef int32_t first = 0
        cdef int32_t last = 0
        cdef int64_t outside
        cdef int64_t at
        cdef uint64_t word
        self.leaving_c(base_ticks, &cell, &cell_end)
        self.entering_c(side, base_ticks, &first, &last)
        outside = self.outside_count[side] - (last - first)
        for at in range(cell >> 6, (cell_end + 63) >> 6):
            word = self.used[side][at]
            if at == cell >> 6:
                word &= ~<uint64_t> 0 << (cell & 63)
            if at == (cell_end - 1) >> 6:
                word &= ~<uint64_t> 0 >> (63 - ((cell_end - 1) & 63))
            outside += _bits(word)
        return outside <= self.outside_max

    cdef void move_side_c(self, int side, int64_t base_ticks) noexcept nogil:
        """Move one side's levels to where a window from `base_ticks` on wants them."""
        cdef int64_t shift = base_ticks - self.base_ticks
        cdef int64_t flip = _flip(side)
        cdef OutsideLevel* levels = self.outside[side]
        cdef int32_t count = self.outside_count[side]
        cdef int32_t worse = _lower_bound(levels, count, self.worst_key_c(side))
        cdef int32_t kept = 0
        cdef int32_t first = 0
        cdef int32_t last = 0
        cdef int32_t i
        cdef int64_t cell_first = 0
        cdef int64_t cell_end = 0
        cdef int64_t cell
        self.leaving_c(base_ticks, &cell_first, &cell_end)
        self.entering_c(side, base_ticks, &first, &last)
        # The new outside array, worst first: what was worse than the window, what leaves it, what was better.
        for i in range(worse):
            if i < first or i >= last:
                self.scratch[kept] = levels[i]
                kept += 1
        cell = self.below_c(side, cell_end - 1) if side else self.above_c(side, cell_first)
        while cell_first <= cell < cell_end:
            self.scratch[kept].key = (self.base_ticks + cell) ^ flip
            self.scratch[kept].qty_lots = self.cells[side][cell]
            kept += 1
            self.set_cell_c(side, cell, 0)
            cell = self.below_c(side, cell - 1) if side else self.above_c(side, cell + 1)
        for i in range(worse, count):
            if i < first or i >= last:
                self.scratch[kept] = levels[i]
                kept += 1
        # The cells that stay: toward the end they move to, so that none is overwritten.
        cell = self.above_c(side, 0) if shift > 0 else self.below_c(side, self.window_cells - 1)
        while cell >= 0:
            self.set_cell_c(side, cell - shift, self.cells[side][cell])
            self.set_cell_c(side, cell, 0)
            cell = self.above_c(side, cell + 1) if shift > 0 else self.below_c(side, cell - 1)
        for i in range(first, last):
            self.set_cell_c(side, (levels[i].key ^ flip) - base_ticks, levels[i].qty_lots)
        memcpy(levels, self.scratch, <size_t> kept * sizeof(OutsideLevel))
        self.outside_count[side] = kept

    # --- state

    cdef void verify_c(self, int64_t recv_ns, int64_t ts_ns) noexcept nogil:
        if self.state == BOOK_BROKEN:
            return
        if self.count[BIDS] == 0 or self.count[ASKS] == 0:
            self.break_c(BREAK_EMPTY)
        elif self.best_bid_ticks >= self.best_ask_ticks:
            self.break_c(BREAK_CROSSED)
        else:
            self.state = BOOK_VERIFIED
            self.live = True
            self.recv_ns = recv_ns
            self.ts_ns = ts_ns
            self.message_count += 1

    cdef void break_c(self, BookBreak reason) noexcept nogil:
        if self.state == BOOK_BROKEN:
            return
        self.state = BOOK_BROKEN
        self.live = False
        self.break_reason = reason
        self.break_count += 1
        self.open_cells = 0

    cdef void catch_up_c(self) noexcept nogil:
        self.clear_c()
        self.state = BOOK_CATCHING_UP
        self.open_cells = <uint64_t> self.window_cells

    # --- Python face

    cdef int check_c(self, Apply result, int side, int64_t price_ticks, int64_t qty_lots) except -1:
        """Raise what a refused level deserves."""
        if result == APPLY_OK:
            return 0
        if result == APPLY_BAD:
            raise ValueError(f"side, price_ticks or qty_lots out of bounds: {(side, price_ticks, qty_lots)}")
        if result == APPLY_FULL:
            raise OverflowError(f"no room for a level outside the window: {(side, price_ticks, qty_lots)}")
        raise RuntimeError("the book is broken: catch up first")

    cdef int side_c(self, int side) except -1:
        if side != BID and side != ASK:
            raise ValueError(f"side must be BID (0) or ASK (1): {side}")
        return side

    def apply(self, int side, int64_t price_ticks, int64_t qty_lots):
        """Set a level's quantity; 0 deletes it, or does nothing when it is absent.

        Raises: ValueError out of bounds, OverflowError when there is no room outside the window
            (the book is then broken), RuntimeError when the book is broken.
        """
        self.check_c(self.apply_c(side, price_ticks, qty_lots), side, price_ticks, qty_lots)

    def apply_many(self, const int64_t[:, ::1] rows not None):
        """Apply rows in order. Args: rows: int64[n, 3], side, price_ticks, qty_lots.

        Raises: as `apply`, at the first row refused; the rows before it are applied.
        """
        cdef Py_ssize_t i
        if rows.shape[1] != 3:
            raise ValueError(f"rows must be side, price_ticks, qty_lots: {rows.shape[1]} columns")
        for i in range(rows.shape[0]):
            if rows[i, 0] != BID:
                self.side_c(1 if rows[i, 0] == ASK else -1)
            self.check_c(
                self.apply_c(<int> rows[i, 0], rows[i, 1], rows[i, 2]), <int> rows[i, 0], rows[i, 1], rows[i, 2]
            )

    def replay(self, const int64_t[:, ::1] rows not None, const int64_t[::1] ends not None):
        """Apply rows message by message and read both best prices after each.

        Args: rows: int64[n, 3], side, price_ticks, qty_lots. ends: int64[m], index behind each message's last row.
        Returns: sums of the best bids and of the best asks read, modulo 2**64.
        Raises: as `apply`; ValueError for no rows, or ends that do not ascend within them.
        """
        cdef const int64_t* row
        cdef const int64_t* stop
        cdef Py_ssize_t message
        cdef int64_t behind = 0
        cdef uint64_t bids_ticks = 0
        cdef uint64_t asks_ticks = 0
        cdef Apply result
        if rows.shape[1] != 3:
            raise ValueError(f"rows must be side, price_ticks, qty_lots: {rows.shape[1]} columns")
        for message in range(ends.shape[0]):
            if ends[message] < behind or ends[message] > rows.shape[0]:
                raise ValueError(f"ends must ascend within the rows: {ends[message]} after {behind}")
            behind = ends[message]
        if behind == 0:
            raise ValueError("no row to replay")
        row = &rows[0, 0]
        for message in range(ends.shape[0]):
            stop = &rows[0, 0] + 3 * ends[message]
            while row < stop:
                _prefetch(<const char*> row + AHEAD_BYTES)
                result = self.apply_c(<int> row[0], row[1], row[2])
                if result != APPLY_OK:
                    self.check_c(result, <int> row[0], row[1], row[2])
                row += 3
            bids_ticks += <uint64_t> self.best_bid_ticks
            asks_ticks += <uint64_t> self.best_ask_ticks
        return bids_ticks, asks_ticks

    def levels(self, int side, int n=1 << 30):
        """Return up to n levels as (price_ticks, qty_lots), best first."""
        cdef int64_t none = NO_ASK_TICKS if self.side_c(side) else NO_BID_TICKS
        cdef int64_t price_ticks = self.best_ask_ticks if side else self.best_bid_ticks
        found = []
        while len(found) < n and price_ticks != none:
            found.append((price_ticks, self.qty_at_c(side, price_ticks)))
            price_ticks = self.worse_c(side, price_ticks)
        return found

    def qty_at(self, int side, int64_t price_ticks):
        """Return the quantity at a price in lots, 0 when there is no level."""
        return self.qty_at_c(self.side_c(side), price_ticks)

    def worse(self, int side, int64_t price_ticks):
        """Return the next price worse than `price_ticks`, None when there is none."""
        cdef int64_t found_ticks = self.worse_c(self.side_c(side), price_ticks)
        return None if found_ticks == (NO_ASK_TICKS if side else NO_BID_TICKS) else found_ticks

    def depth(self, int side, int64_t distance_ticks):
        """Sum the lots within `distance_ticks` of the side's best price, held inside 63 bits."""
        return self.depth_c(self.side_c(side), distance_ticks)

    def cut(self, int depth):
        """Drop all but the best `depth` levels of each side.

        Raises: ValueError for a negative depth.
        """
        if depth < 0:
            raise ValueError(f"depth must not be negative: {depth}")
        self.cut_c(depth)

    def clear(self):
        """Drop all levels; a VERIFIED book becomes CATCHING_UP."""
        self.clear_c()

    def recentre(self):
        """Move the window so that the best prices stand in its middle."""
        self.recentre_c()

    def verify(self, int64_t recv_ns, int64_t ts_ns=0):
        """End a message: VERIFIED, or broken when the book is crossed or a side is empty.

        A broken book stays broken. Args: recv_ns: receive time. ts_ns: the venue's, 0 if none.
        """
        self.verify_c(recv_ns, ts_ns)

    def break_(self, int reason):
        """Declare the book unusable. A broken book keeps its first reason.

        Raises: ValueError for a reason that is no BookBreak, or BREAK_NONE.
        """
        if reason <= 0 or reason > <int> BREAK_BOUNDS:
            raise ValueError(f"a break needs a reason, 1 to {<int> BREAK_BOUNDS}: {reason}")
        self.break_c(<BookBreak> reason)

    def catch_up(self):
        """Empty the book and await a snapshot: CATCHING_UP, from any state."""
        self.catch_up_c()

    @property
    def best_bid_ticks(self):
        """Best bid, None when there is none."""
        return None if self.count[BIDS] == 0 else self.best_bid_ticks

    @property
    def best_ask_ticks(self):
        """Best ask, None when there is none."""
        return None if self.count[ASKS] == 0 else self.best_ask_ticks

    @property
    def bid_count(self):
        """Levels on the bid side."""
        return self.count[BIDS]

    @property
    def ask_count(self):
        """Levels on the ask side."""
        return self.count[ASKS]

    @property
    def outside_counts(self):
        """Levels outside the window: bids, asks."""
        return self.outside_count[BIDS], self.outside_count[ASKS]

    @property
    def base_ticks(self):
        """Price of the window's first cell."""
        return self.base_ticks

    @property
    def state(self):
        """State as BookState."""
        return BookState(self.state)

    @property
    def live(self):
        """Tell whether updates may be applied on top: verified since the last clear, not broken since.

        Unlike `state` it does not waver while the levels of one message cross the book.
        """
        return bool(self.live)

    @property
    def break_reason(self):
        """Reason of the last break as BookBreak."""
        return BookBreak(self.break_reason)

    @property
    def break_count(self):
        """Breaks since construction."""
        return self.break_count

    @property
    def message_count(self):
        """Messages verified since construction."""
        return self.message_count

    @property
    def version(self):
        """Levels applied since construction."""
        return self.version

    @property
    def recv_ns(self):
        """Receive time of the last message verified."""
        return self.recv_ns

    @property
    def ts_ns(self):
        """Venue time of the last message verified, 0 if it told none."""
        return self.ts_ns

    @property
    def recentre_due(self):
        """Tell whether the best prices have come near the window's edge."""
        return bool(self.recentre_due)

    @property
    def memory_bytes(self):
        """Bytes held outside the object, all of them allocated and touched at construction."""
        return self.memory_bytes
