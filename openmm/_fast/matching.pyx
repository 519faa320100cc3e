"""Match orders of one instrument: a price-time book, and our orders against a recorded one.

`Matching` holds every order itself (owner 0 is the market, owners above 0 are accounts).
`ReplayMatching` holds only ours and estimates their place in a queue that others recorded.

Both report through `executions` (valid until the next call). Quantities are lots, prices ticks.
"""

from typing import NamedTuple

cimport cython

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memmove

from openmm._fast.book cimport Book
from openmm._fast.units cimport ASK, BID, BUY, SELL

cdef enum:
    LOTS_MAX_BITS = 52
    TICKS_MAX_BITS = 40
    CAPACITY_MAX = 1 << 22

# Queue place of an order whose level lies outside the recorded depth: everything is in front.
cdef int64_t FAR_LOTS = <int64_t>1 << 62


class Executed(NamedTuple):
    """One match: two orders, a price in ticks and a quantity in lots. An id 0 is recorded liquidity."""

    maker_id: int
    taker_id: int
    price_ticks: int
    qty_lots: int
    maker_remaining_lots: int
    maker_owner: int
    taker_owner: int
    taker_side: int


cdef inline bint _valid(uint64_t order_id, int owner, int side, int64_t price_ticks,
                        int64_t qty_lots, int tif) noexcept nogil:
    """Check the plain ranges of an order."""
    return (
        order_id != 0 and owner >= 0 and (side == BUY or side == SELL)
        and 0 < price_ticks <= (<int64_t>1 << TICKS_MAX_BITS)
        and 0 < qty_lots <= (<int64_t>1 << LOTS_MAX_BITS)
        and GTC <= tif <= FOK
    )


cdef inline int _own_side(int side) noexcept nogil:
    """Book side on which an order of `side` rests."""
    return BID if side == BUY else ASK


cdef inline int _other_side(int side) noexcept nogil:
    """Book side from which an order of `side` takes."""
    return ASK if side == BUY else BID


cdef inline int64_t _key(int book_side, int64_t price_ticks) noexcept nogil:
    """Sort key that grows toward the best price; its own inverse."""
    return price_ticks if book_side == BID else -price_ticks


cdef inline uint64_t _hash(uint64_t order_id) noexcept nogil:
    """Mix the bits of an id. Source: Fibonacci hashing, Knuth, TAOCP 3, 6.4."""
    order_id *= <uint64_t>0x9E3779B97F4A7C15
    return order_id ^ (order_id >> 32)


cdef list _executions(Execution* rows, int32_t count):
    """Copy executions to Python values."""
    cdef int32_t i
    return [
        Executed(
            rows[i].maker_id, rows[i].taker_id, rows[i].price_ticks, rows[i].qty_lots,
            rows[i].maker_remaining_lots, rows[i].maker_owner, rows[i].taker_owner,
            rows[i].taker_side,
        )
        for i in range(count)
    ]


cdef int _checked_side(int book_side) except -1:
    """Raise ValueError unless `book_side` is BID or ASK."""
    if book_side != BID and book_side != ASK:
        raise ValueError(f"book side must be BID or ASK: {book_side}")
    return book_side


cdef int _checked_stp(int stp) except -1:
    """Raise ValueError unless `stp` is a rule of `Stp`."""
    if stp < CANCEL_NEWEST or stp > CANCEL_BOTH:
        raise ValueError(f"unknown self-trade prevention: {stp}")
    return stp


@cython.final
cdef class Matching:
    """Match by price, then time, with FIFO levels and a fixed pool of orders.

    Cancel is O(1) by id plus the removal of an emptied level; a new level is O(levels better than
    it). Nothing is allocated after construction.

    Rules: the maker's price; post-only never takes; IOC drops the rest; FOK fills whole or not at
    all; orders of one account (owner > 0) never trade with each other: `stp` says which goes.
    A quantity decrease at the same price keeps priority; a price change or an increase loses it.

    Args:
        capacity: orders that can rest at once.

    Raises:
        ValueError: if capacity is out of range.
        MemoryError: if the pool cannot be allocated.
    """

    def __cinit__(self, int capacity=65536):
        if not 1 <= capacity <= CAPACITY_MAX:
            raise ValueError(f"capacity must be in 1..{CAPACITY_MAX}: {capacity}")
        cdef uint64_t table = 2
        while table < <uint64_t>capacity * 2:
            table *= 2
        self.capacity = capacity
        self._mask = table - 1
        self._change_capacity = 2 * capacity + 1024
        self.executions = <Execution*>calloc(<size_t>capacity + 1, sizeof(Execution))
        self.removed = <uint64_t*>calloc(<size_t>capacity, sizeof(uint64_t))
        self._orders = <RestingOrder*>calloc(<size_t>capacity, sizeof(RestingOrder))
        self._levels = <PriceLevel*>calloc(<size_t>capacity, sizeof(PriceLevel))
        self._table = <int32_t*>calloc(<size_t>table, sizeof(int32_t))
        self._changes = <LevelChange*>calloc(<size_t>self._change_capacity, sizeof(LevelChange))
        cdef int side
        for side in range(2):
            self._keys[side] = <int64_t*>malloc(<size_t>capacity * sizeof(int64_t))
            self._slots[side] = <int32_t*>malloc(<size_t>capacity * sizeof(int32_t))
            if self._keys[side] == NULL or self._slots[side] == NULL:
                raise MemoryError(capacity)
        if (self.executions == NULL or self.removed == NULL or self._orders == NULL
                or self._levels == NULL or self._table == NULL or self._changes == NULL):
            raise MemoryError(capacity)
        cdef int32_t i
        for i in range(capacity):
            self._orders[i].next = i + 1 if i + 1 < capacity else -1
            self._levels[i].next = i + 1 if i + 1 < capacity else -1
        self.stp = CANCEL_NEWEST

    def __dealloc__(self):
        free(self.executions)
        free(self.removed)
        free(self._orders)
        free(self._levels)
        free(self._table)
        free(self._changes)
        cdef int side
        for side in range(2):
            free(self._keys[side])
            free(self._slots[side])

    # ---- C face

    cdef MatchResult submit_c(self, uint64_t order_id, int owner, int side, int64_t price_ticks,
                              int64_t qty_lots, int tif, bint post_only,
                              int64_t now_ns) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        if not _valid(order_id, owner, side, price_ticks, qty_lots, tif):
            return MATCH_BAD
        if post_only and tif != GTC:
            return MATCH_BAD
        if self._find_c(order_id) >= 0:
            return MATCH_BAD
        cdef bint crosses = self._crosses_c(side, price_ticks)
        if crosses and post_only:
            return MATCH_POST_ONLY
        if tif == GTC and self._free_order < 0:
            return MATCH_FULL
        if tif == FOK and not self._fillable_c(owner, side, price_ticks, qty_lots):
            return MATCH_CANCELLED
        cdef int64_t remaining_lots = qty_lots
        if crosses:
            remaining_lots = self._take_c(order_id, owner, side, price_ticks, qty_lots)
        if remaining_lots == 0:
            return MATCH_FILLED
        if tif != GTC or (self.stp_hit and self.stp != CANCEL_OLDEST):
            return MATCH_CANCELLED
        cdef int32_t slot = self._free_order
        cdef RestingOrder* order = &self._orders[slot]
        self._free_order = order.next
        order.order_id = order_id
        order.price_ticks = price_ticks
        order.remaining_lots = remaining_lots
        order.filled_lots = qty_lots - remaining_lots
        order.owner = owner
        order.side = <uint8_t>side
        self.order_count += 1
        self._index_c(slot)
        self._rest_c(slot)
        return MATCH_RESTING

    cdef MatchResult cancel_c(self, uint64_t order_id) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        cdef int32_t slot = self._find_c(order_id)
        if slot < 0:
            return MATCH_UNKNOWN
        self._unlink_c(slot)
        self._release_c(slot)
        return MATCH_CANCELLED

    cdef MatchResult amend_c(self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots,
                             bint post_only, int64_t now_ns) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        cdef int32_t slot = self._find_c(order_id)
        if slot < 0:
            return MATCH_UNKNOWN
        cdef RestingOrder* order = &self._orders[slot]
        cdef int side = order.side
        if not _valid(order_id, order.owner, side, price_ticks, qty_lots, GTC):
            return MATCH_BAD
        cdef int64_t remaining_lots = qty_lots - order.filled_lots
        if remaining_lots <= 0:
            self._unlink_c(slot)
            self._release_c(slot)
            return MATCH_CANCELLED
        if price_ticks == order.price_ticks and remaining_lots <= order.remaining_lots:
            self._levels[order.level].qty_lots -= order.remaining_lots - remaining_lots
            order.remaining_lots = remaining_lots
            self._touch_c(_own_side(side), price_ticks)
            return MATCH_RESTING
        cdef bint crosses = self._crosses_c(side, price_ticks)
        if crosses and post_only:
            return MATCH_POST_ONLY
        self._unlink_c(slot)
        if crosses:
            remaining_lots = self._take_c(
                order_id, order.owner, side, price_ticks, remaining_lots)
        order.filled_lots = qty_lots - remaining_lots
        if remaining_lots == 0:
            self._release_c(slot)
            return MATCH_FILLED
        if self.stp_hit and self.stp != CANCEL_OLDEST:
            self._release_c(slot)
            return MATCH_CANCELLED
        order.price_ticks = price_ticks
        order.remaining_lots = remaining_lots
        self._rest_c(slot)
        return MATCH_RESTING

    cdef int64_t best_c(self, int book_side) noexcept nogil:
        cdef int32_t n = self._count[book_side]
        return _key(book_side, self._keys[book_side][n - 1]) if n > 0 else 0

    cdef int64_t qty_at_c(self, int book_side, int64_t price_ticks) noexcept nogil:
        cdef int64_t key = _key(book_side, price_ticks)
        cdef int32_t at = self._position_c(book_side, key)
        if at < self._count[book_side] and self._keys[book_side][at] == key:
            return self._levels[self._slots[book_side][at]].qty_lots
        return 0

    cdef int top_c(self, int book_side, int n, int64_t* prices_ticks,
                   int64_t* qtys_lots) noexcept nogil:
        cdef int32_t count = self._count[book_side]
        cdef int32_t i
        cdef int32_t at
        if n > count:
            n = count
        for i in range(n):
            at = count - 1 - i
            prices_ticks[i] = _key(book_side, self._keys[book_side][at])
            qtys_lots[i] = self._levels[self._slots[book_side][at]].qty_lots
        return n

    # ---- private

    cdef int32_t _find_c(self, uint64_t order_id) noexcept nogil:
        cdef uint64_t at = _hash(order_id) & self._mask
        cdef int32_t entry
        while True:
            entry = self._table[at]
            if entry == 0:
                return -1
            if self._orders[entry - 1].order_id == order_id:
                return entry - 1
            at = (at + 1) & self._mask

    cdef void _index_c(self, int32_t slot) noexcept nogil:
        cdef uint64_t at = _hash(self._orders[slot].order_id) & self._mask
        while self._table[at] != 0:
            at = (at + 1) & self._mask
        self._table[at] = slot + 1

    cdef void _unindex_c(self, uint64_t order_id) noexcept nogil:
        # Backward-shift deletion keeps every probe chain whole without tombstones.
        cdef uint64_t hole = _hash(order_id) & self._mask
        while self._orders[self._table[hole] - 1].order_id != order_id:
            hole = (hole + 1) & self._mask
        cdef uint64_t at = hole
        cdef uint64_t home
        while True:
            at = (at + 1) & self._mask
            if self._table[at] == 0:
                break
            home = _hash(self._orders[self._table[at] - 1].order_id) & self._mask
            if ((at - home) & self._mask) >= ((at - hole) & self._mask):
                self._table[hole] = self._table[at]
                hole = at
        self._table[hole] = 0

    cdef int32_t _position_c(self, int book_side, int64_t key) noexcept nogil:
        # First index whose key is not below `key`.
        cdef int64_t* keys = self._keys[book_side]
        cdef int32_t low = 0
        cdef int32_t high = self._count[book_side]
        cdef int32_t middle
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        return low

    cdef void _rest_c(self, int32_t slot) noexcept nogil:
        cdef RestingOrder* order = &self._orders[slot]
        cdef int book_side = _own_side(order.side)
        cdef int64_t key = _key(book_side, order.price_ticks)
        cdef int32_t at = self._position_c(book_side, key)
        cdef int32_t count = self._count[book_side]
        cdef int32_t level
        if at < count and self._keys[book_side][at] == key:
            level = self._slots[book_side][at]
        else:
            level = self._free_level
            self._free_level = self._levels[level].next
            self._levels[level].qty_lots = 0
            self._levels[level].head = -1
            self._levels[level].tail = -1
            memmove(&self._keys[book_side][at + 1], &self._keys[book_side][at],
                    <size_t>(count - at) * sizeof(int64_t))
            memmove(&self._slots[book_side][at + 1], &self._slots[book_side][at],
                    <size_t>(count - at) * sizeof(int32_t))
            self._keys[book_side][at] = key
            self._slots[book_side][at] = level
            self._count[book_side] = count + 1
        cdef PriceLevel* queue = &self._levels[level]
        order.level = level
        order.next = -1
        order.prev = queue.tail
        if queue.tail >= 0:
            self._orders[queue.tail].next = slot
        else:
            queue.head = slot
        queue.tail = slot
        queue.qty_lots += order.remaining_lots
        self._touch_c(book_side, order.price_ticks)

    cdef void _unlink_c(self, int32_t slot) noexcept nogil:
        cdef RestingOrder* order = &self._orders[slot]
        cdef PriceLevel* queue = &self._levels[order.level]
        cdef int book_side = _own_side(order.side)
        cdef int32_t at
        cdef int32_t tail_count
        if order.prev >= 0:
            self._orders[order.prev].next = order.next
        else:
            queue.head = order.next
        if order.next >= 0:
            self._orders[order.next].prev = order.prev
        else:
            queue.tail = order.prev
        queue.qty_lots -= order.remaining_lots
        if queue.head < 0:
            at = self._position_c(book_side, _key(book_side, order.price_ticks))
            tail_count = self._count[book_side] - at - 1
            memmove(&self._keys[book_side][at], &self._keys[book_side][at + 1],
                    <size_t>tail_count * sizeof(int64_t))
            memmove(&self._slots[book_side][at], &self._slots[book_side][at + 1],
                    <size_t>tail_count * sizeof(int32_t))
            self._count[book_side] -= 1
            queue.next = self._free_level
            self._free_level = order.level
        self._touch_c(book_side, order.price_ticks)

    cdef void _release_c(self, int32_t slot) noexcept nogil:
        cdef RestingOrder* order = &self._orders[slot]
        self._unindex_c(order.order_id)
        order.order_id = 0
        order.next = self._free_order
        self._free_order = slot
        self.order_count -= 1

    cdef bint _crosses_c(self, int side, int64_t price_ticks) noexcept nogil:
        cdef int other = _other_side(side)
        cdef int32_t count = self._count[other]
        # On the other side the key grows toward the better price, so a match needs key >= ours.
        return count > 0 and self._keys[other][count - 1] >= _key(other, price_ticks)

    cdef bint _fillable_c(self, int owner, int side, int64_t price_ticks,
                          int64_t qty_lots) noexcept nogil:
        cdef int other = _other_side(side)
        cdef int64_t limit = _key(other, price_ticks)
        cdef int32_t at = self._count[other] - 1
        cdef int32_t slot
        while at >= 0 and self._keys[other][at] >= limit:
            slot = self._levels[self._slots[other][at]].head
            while slot >= 0:
                if owner > 0 and self._orders[slot].owner == owner:
                    if self.stp != CANCEL_OLDEST:
                        return False
                else:
                    qty_lots -= self._orders[slot].remaining_lots
                    if qty_lots <= 0:
                        return True
                slot = self._orders[slot].next
            at -= 1
        return False

    cdef int64_t _take_c(self, uint64_t order_id, int owner, int side, int64_t price_ticks,
                         int64_t qty_lots) noexcept nogil:
        cdef int other = _other_side(side)
        cdef int64_t limit = _key(other, price_ticks)
        cdef int32_t slot
        cdef RestingOrder* maker
        cdef PriceLevel* queue
        cdef Execution* row
        cdef int64_t fill_lots
        while qty_lots > 0 and self._count[other] > 0:
            if self._keys[other][self._count[other] - 1] < limit:
                break
            queue = &self._levels[self._slots[other][self._count[other] - 1]]
            slot = queue.head
            maker = &self._orders[slot]
            if owner > 0 and maker.owner == owner:
                self.stp_hit = True
                if self.stp != CANCEL_NEWEST:
                    self.removed[self.removed_count] = maker.order_id
                    self.removed_count += 1
                    self._unlink_c(slot)
                    self._release_c(slot)
                if self.stp != CANCEL_OLDEST:
                    break
                continue
            fill_lots = qty_lots if qty_lots < maker.remaining_lots else maker.remaining_lots
            qty_lots -= fill_lots
            row = &self.executions[self.execution_count]
            self.execution_count += 1
            row.maker_id = maker.order_id
            row.taker_id = order_id
            row.price_ticks = maker.price_ticks
            row.qty_lots = fill_lots
            row.maker_remaining_lots = maker.remaining_lots - fill_lots
            row.maker_owner = maker.owner
            row.taker_owner = owner
            row.taker_side = <uint8_t>side
            if row.maker_remaining_lots == 0:
                self._unlink_c(slot)
                self._release_c(slot)
            else:
                maker.remaining_lots -= fill_lots
                maker.filled_lots += fill_lots
                queue.qty_lots -= fill_lots
                self._touch_c(other, maker.price_ticks)
        return qty_lots

    cdef void _touch_c(self, int book_side, int64_t price_ticks) noexcept nogil:
        cdef LevelChange* last
        if self._change_count > 0:
            last = &self._changes[self._change_count - 1]
            if last.side == book_side and last.price_ticks == price_ticks:
                return
        if self._change_count == self._change_capacity:
            self._changes_lost = True
            return
        self._changes[self._change_count].side = book_side
        self._changes[self._change_count].price_ticks = price_ticks
        self._change_count += 1

    # ---- Python face

    def submit(self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots,
               int tif=GTC, bint post_only=False, int64_t now_ns=0, int stp=CANCEL_NEWEST):
        """Match an order and rest what is left of a GTC one.

        A market order is an IOC at the worst price (1 tick to sell, 2**40 ticks to buy).

        Returns:
            MatchResult; `executions`, `removed_ids` and `stp_hit` tell the rest.

        Raises:
            ValueError: if `stp` is not a rule.
        """
        self.stp = <Stp>_checked_stp(stp)
        return MatchResult(self.submit_c(
            order_id, owner, side, price_ticks, qty_lots, tif, post_only, now_ns))

    def cancel(self, uint64_t order_id):
        """Take a resting order off the book: MATCH_CANCELLED or MATCH_UNKNOWN."""
        return MatchResult(self.cancel_c(order_id))

    def amend(self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots, bint post_only=False,
              int64_t now_ns=0, int stp=CANCEL_NEWEST):
        """Change price and total quantity (filled part included) of a resting order.

        Raises:
            ValueError: if `stp` is not a rule.
        """
        self.stp = <Stp>_checked_stp(stp)
        return MatchResult(self.amend_c(order_id, price_ticks, qty_lots, post_only, now_ns))

    def matches(self):
        """Return the executions of the last call, in order."""
        return _executions(self.executions, self.execution_count)

    def removed_ids(self):
        """Return resting orders that self-trade prevention removed in the last call."""
        cdef int32_t i
        return [self.removed[i] for i in range(self.removed_count)]

    def met_own(self):
        """Return whether the last call met an order of its own account."""
        return bool(self.stp_hit)

    def order(self, uint64_t order_id):
        """Return (side, price_ticks, remaining_lots, filled_lots, owner), or None."""
        cdef int32_t slot = self._find_c(order_id)
        if slot < 0:
            return None
        cdef RestingOrder* order = &self._orders[slot]
        return order.side, order.price_ticks, order.remaining_lots, order.filled_lots, order.owner

    def queue(self, int book_side, int64_t price_ticks):
        """Return the order ids of a level, oldest first."""
        cdef int64_t key = _key(_checked_side(book_side), price_ticks)
        cdef int32_t at = self._position_c(book_side, key)
        if at >= self._count[book_side] or self._keys[book_side][at] != key:
            return []
        ids = []
        cdef int32_t slot = self._levels[self._slots[book_side][at]].head
        while slot >= 0:
            ids.append(self._orders[slot].order_id)
            slot = self._orders[slot].next
        return ids

    def depth(self, int book_side, int n):
        """Return the best `n` levels as [(price_ticks, qty_lots)], best first."""
        cdef int32_t count = self._count[_checked_side(book_side)]
        cdef int32_t i
        cdef int64_t* keys = self._keys[book_side]
        cdef int32_t* slots = self._slots[book_side]
        return [
            (_key(book_side, keys[count - 1 - i]), self._levels[slots[count - 1 - i]].qty_lots)
            for i in range(min(max(n, 0), count))
        ]

    def qty_at(self, int book_side, int64_t price_ticks):
        """Return the quantity resting at a price, in lots."""
        return self.qty_at_c(_checked_side(book_side), price_ticks)

    def level_count(self, int book_side):
        """Return how many levels a side has."""
        return self._count[_checked_side(book_side)]

    def take_changes(self):
        """Return touched levels [(book_side, price_ticks)] since the last call, None if too many."""
        cdef int32_t i
        found = None
        if not self._changes_lost:
            found = [
                (self._changes[i].side, self._changes[i].price_ticks)
                for i in range(self._change_count)
            ]
        self._change_count = 0
        self._changes_lost = False
        return found

    @property
    def best_bid_ticks(self):
        """Best bid, 0 without one."""
        return self.best_c(BID)

    @property
    def best_ask_ticks(self):
        """Best ask, 0 without one."""
        return self.best_c(ASK)

    @property
    def resting_count(self):
        """Orders on the book."""
        return self.order_count


@cython.final
cdef class ReplayMatching:
    """Match our orders against a book that others recorded (or that is live), by a queue model.

    The recorded book never changes through us: what we would have done to the market is ignored.
    Assumptions, on the careful side unless stated:

    * A new order stands behind the whole quantity recorded at its price. If its level lies outside
      the recorded depth, everything there will be in front of it once the level is seen.
    * A smaller recorded quantity is read as cancellations from behind us: the queue ahead shrinks
      only to the new quantity. It shrinks otherwise by trades at the price alone.
    * A trade at our price goes first to the queue ahead, then to our orders in their order.
      A trade through our price fills us up to its quantity, at our price.
    * If the recorded opposite best reaches our price, we fill at our price, up to the opposite
      quantity recorded at or through it.
    * Recorded quantity taken by us (or by an added taker) is used up until its level is next told.
    * Hidden orders, our impact and other traders' reaction to us do not exist.

    Source: the risk-averse queue model of hftbacktest (`docs/order_fill.rst`).

    Args:
        capacity: orders of ours that can rest at once (every call is linear in this).
        level_capacity: recorded levels a side.

    Raises:
        ValueError: if a capacity is out of range.
        MemoryError: if the pools cannot be allocated.
    """

    def __cinit__(self, int capacity=512, int level_capacity=4096):
        if not 1 <= capacity <= 65536:
            raise ValueError(f"capacity must be in 1..65536: {capacity}")
        if not 1 <= level_capacity <= 1 << 20:
            raise ValueError(f"level capacity must be in 1..{1 << 20}: {level_capacity}")
        self.capacity = capacity
        self.level_capacity = level_capacity
        # A taker meets each level and each order at most twice (before and after the queue ahead).
        self.executions = <Execution*>calloc(
            <size_t>(2 * level_capacity + 2 * capacity + 2), sizeof(Execution))
        self.removed = <uint64_t*>calloc(<size_t>capacity, sizeof(uint64_t))
        self._orders = <QueuedOrder*>calloc(<size_t>capacity, sizeof(QueuedOrder))
        self._levels[0] = <RecordedLevel*>calloc(<size_t>level_capacity, sizeof(RecordedLevel))
        self._levels[1] = <RecordedLevel*>calloc(<size_t>level_capacity, sizeof(RecordedLevel))
        self._scratch = <RecordedLevel*>calloc(<size_t>level_capacity, sizeof(RecordedLevel))
        if (self.executions == NULL or self.removed == NULL or self._orders == NULL
                or self._levels[0] == NULL or self._levels[1] == NULL or self._scratch == NULL):
            raise MemoryError(capacity)
        self.stp = CANCEL_NEWEST

    def __dealloc__(self):
        free(self.executions)
        free(self.removed)
        free(self._orders)
        free(self._levels[0])
        free(self._levels[1])
        free(self._scratch)

    # ---- C face

    cdef MatchResult submit_c(self, uint64_t order_id, int owner, int side, int64_t price_ticks,
                              int64_t qty_lots, int tif, bint post_only,
                              int64_t now_ns) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        if owner == 0 or not _valid(order_id, owner, side, price_ticks, qty_lots, tif):
            return MATCH_BAD
        if post_only and tif != GTC:
            return MATCH_BAD
        if self._find_c(order_id) >= 0:
            return MATCH_BAD
        if post_only and self._walk_c(order_id, 0, side, price_ticks, 1, True) == 0:
            return MATCH_POST_ONLY
        if tif == GTC and self.order_count == self.capacity:
            return MATCH_FULL
        if tif == FOK and self._walk_c(order_id, owner, side, price_ticks, qty_lots, True) > 0:
            return MATCH_CANCELLED
        cdef int64_t remaining_lots = self._walk_c(
            order_id, owner, side, price_ticks, qty_lots, False)
        if remaining_lots == 0:
            return MATCH_FILLED
        if tif != GTC or (self.stp_hit and self.stp != CANCEL_OLDEST):
            return MATCH_CANCELLED
        cdef int32_t slot = 0
        while self._orders[slot].order_id != 0:
            slot += 1
        if slot >= self._high:
            self._high = slot + 1
        cdef QueuedOrder* order = &self._orders[slot]
        order.order_id = order_id
        order.price_ticks = price_ticks
        order.remaining_lots = remaining_lots
        order.filled_lots = qty_lots - remaining_lots
        order.owner = owner
        order.side = <uint8_t>side
        self.order_count += 1
        self._queue_c(slot)
        return MATCH_RESTING

    cdef MatchResult cancel_c(self, uint64_t order_id) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        cdef int32_t slot = self._find_c(order_id)
        if slot < 0:
            return MATCH_UNKNOWN
        self._drop_c(slot)
        return MATCH_CANCELLED

    cdef MatchResult amend_c(self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots,
                             bint post_only, int64_t now_ns) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        cdef int32_t slot = self._find_c(order_id)
        if slot < 0:
            return MATCH_UNKNOWN
        cdef QueuedOrder* order = &self._orders[slot]
        cdef int side = order.side
        if not _valid(order_id, order.owner, side, price_ticks, qty_lots, GTC):
            return MATCH_BAD
        cdef int64_t remaining_lots = qty_lots - order.filled_lots
        if remaining_lots <= 0:
            self._drop_c(slot)
            return MATCH_CANCELLED
        if price_ticks == order.price_ticks and remaining_lots <= order.remaining_lots:
            order.remaining_lots = remaining_lots
            return MATCH_RESTING
        if post_only and self._walk_c(order_id, 0, side, price_ticks, 1, True) == 0:
            return MATCH_POST_ONLY
        remaining_lots = self._walk_c(
            order_id, order.owner, side, price_ticks, remaining_lots, False)
        order.filled_lots = qty_lots - remaining_lots
        if remaining_lots == 0:
            self._drop_c(slot)
            return MATCH_FILLED
        if self.stp_hit and self.stp != CANCEL_OLDEST:
            self._drop_c(slot)
            return MATCH_CANCELLED
        order.price_ticks = price_ticks
        order.remaining_lots = remaining_lots
        self._queue_c(slot)
        return MATCH_RESTING

    cdef MatchResult level_c(self, int book_side, int64_t price_ticks,
                             int64_t qty_lots) noexcept nogil:
        if price_ticks <= 0 or qty_lots < 0:
            return MATCH_BAD
        cdef int64_t key = _key(book_side, price_ticks)
        cdef int32_t at = self._position_c(book_side, key)
        cdef int32_t count = self._count[book_side]
        cdef RecordedLevel* levels = self._levels[book_side]
        cdef bint held = at < count and levels[at].key == key
        if qty_lots == 0:
            if held:
                memmove(&levels[at], &levels[at + 1],
                        <size_t>(count - at - 1) * sizeof(RecordedLevel))
                self._count[book_side] = count - 1
            return MATCH_RESTING
        if not held:
            if count == self.level_capacity:
                return MATCH_FULL
            memmove(&levels[at + 1], &levels[at], <size_t>(count - at) * sizeof(RecordedLevel))
            levels[at].key = key
            self._count[book_side] = count + 1
        levels[at].qty_lots = qty_lots
        levels[at].taken_lots = 0
        return MATCH_RESTING

    cdef bint follow_c(self, Book book, int depth) noexcept nogil:
        # Merge the book's best levels with the recorded ones: those whose quantity is still the one
        # told last keep what was taken of it, as if they had not been told again.
        cdef bint changed = False
        cdef int side
        cdef int32_t count
        cdef int32_t at
        cdef int32_t i
        cdef int64_t price_ticks
        cdef int64_t key
        cdef int64_t qty_lots
        cdef RecordedLevel* held
        for side in range(2):
            count = book.count[side]
            count = depth if depth < count else count
            count = self.level_capacity if self.level_capacity < count else count
            held = self._levels[side]
            at = self._count[side] - 1
            price_ticks = book.best_ask_ticks if side == ASK else book.best_bid_ticks
            for i in range(count - 1, -1, -1):
                key = _key(side, price_ticks)
                qty_lots = book.qty_at_c(side, price_ticks)
                while at >= 0 and held[at].key > key:
                    at -= 1
                    changed = True
                if at >= 0 and held[at].key == key and held[at].qty_lots == qty_lots:
                    self._scratch[i] = held[at]
                    at -= 1
                else:
                    self._scratch[i].key = key
                    self._scratch[i].qty_lots = qty_lots
                    self._scratch[i].taken_lots = 0
                    changed = True
                    if at >= 0 and held[at].key == key:
                        at -= 1
                price_ticks = book.worse_c(side, price_ticks)
            changed = changed or at >= 0
            self._levels[side] = self._scratch
            self._scratch = held
            self._count[side] = count
        return changed

    cdef void cut_c(self, int depth) noexcept nogil:
        cdef int side
        cdef int32_t excess
        for side in range(2):
            excess = self._count[side] - depth
            if depth > 0 and excess > 0:
                memmove(self._levels[side], &self._levels[side][excess],
                        <size_t>depth * sizeof(RecordedLevel))
                self._count[side] = depth

    cdef void clear_c(self) noexcept nogil:
        self._count[0] = 0
        self._count[1] = 0

    cdef void settle_c(self) noexcept nogil:
        cdef int32_t i
        cdef int book_side
        cdef int side
        cdef int other
        cdef int64_t key
        cdef int64_t qty_lots
        cdef int32_t slot
        cdef RecordedLevel* level
        cdef QueuedOrder* order
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        for i in range(self._high):
            order = &self._orders[i]
            if order.order_id == 0:
                continue
            book_side = _own_side(order.side)
            key = _key(book_side, order.price_ticks)
            # A level worse than the worst one told may exist without being told.
            if self._count[book_side] == 0 or key < self._levels[book_side][0].key:
                continue
            qty_lots = self.qty_at_c(book_side, order.price_ticks)
            if qty_lots < order.ahead_lots:
                order.ahead_lots = qty_lots
        for side in range(BUY, SELL + 1):
            other = _other_side(side)
            i = self._count[other] - 1
            while i >= 0:
                level = &self._levels[other][i]
                slot = self._best_order_c(side)
                if slot < 0 or level.key < _key(other, self._orders[slot].price_ticks):
                    break
                qty_lots = level.qty_lots - level.taken_lots
                if qty_lots == 0:
                    i -= 1
                    continue
                order = &self._orders[slot]
                if order.remaining_lots < qty_lots:
                    qty_lots = order.remaining_lots
                level.taken_lots += qty_lots
                self._execute_c(
                    order.order_id, order.owner, order.remaining_lots - qty_lots, 0, 0,
                    BUY + SELL - side, order.price_ticks, qty_lots)
                self._fill_c(slot, qty_lots)

    cdef int64_t trade_c(self, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        cdef int side = BUY + SELL - taker_side
        cdef int book_side = _own_side(side)
        cdef int64_t key = _key(book_side, price_ticks)
        cdef int64_t passed_lots = 0        # of the recorded queue at the price
        cdef int64_t filled_lots = 0
        cdef int64_t fill_lots
        cdef int64_t order_key
        cdef int32_t slot
        cdef int32_t i
        cdef QueuedOrder* order
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        while qty_lots > 0:
            slot = self._best_order_c(side)
            if slot < 0:
                break
            order = &self._orders[slot]
            order_key = _key(book_side, order.price_ticks)
            if order_key < key:
                break
            if order_key == key and order.ahead_lots > passed_lots:
                fill_lots = order.ahead_lots - passed_lots
                if fill_lots > qty_lots:
                    fill_lots = qty_lots
                passed_lots += fill_lots
                qty_lots -= fill_lots
                continue
            fill_lots = qty_lots if qty_lots < order.remaining_lots else order.remaining_lots
            qty_lots -= fill_lots
            filled_lots += fill_lots
            self._execute_c(
                order.order_id, order.owner, order.remaining_lots - fill_lots, 0, 0, taker_side,
                order.price_ticks, fill_lots)
            self._fill_c(slot, fill_lots)
        if passed_lots > 0:
            for i in range(self._high):
                order = &self._orders[i]
                if order.order_id != 0 and order.side == side and order.price_ticks == price_ticks:
                    order.ahead_lots -= (
                        passed_lots if passed_lots < order.ahead_lots else order.ahead_lots)
        return filled_lots

    cdef int64_t take_c(self, int taker_side, int64_t price_ticks,
                        int64_t qty_lots) noexcept nogil:
        self.execution_count = 0
        self.removed_count = 0
        self.stp_hit = False
        return qty_lots - self._walk_c(0, 0, taker_side, price_ticks, qty_lots, False)

    cdef int64_t best_c(self, int book_side) noexcept nogil:
        cdef int32_t n = self._count[book_side]
        return _key(book_side, self._levels[book_side][n - 1].key) if n > 0 else 0

    cdef int64_t qty_at_c(self, int book_side, int64_t price_ticks) noexcept nogil:
        cdef int64_t key = _key(book_side, price_ticks)
        cdef int32_t at = self._position_c(book_side, key)
        if at < self._count[book_side] and self._levels[book_side][at].key == key:
            return self._levels[book_side][at].qty_lots - self._levels[book_side][at].taken_lots
        return 0

    # ---- private

    cdef int32_t _find_c(self, uint64_t order_id) noexcept nogil:
        cdef int32_t i
        for i in range(self._high):
            if self._orders[i].order_id == order_id:
                return i
        return -1

    cdef int32_t _position_c(self, int book_side, int64_t key) noexcept nogil:
        cdef RecordedLevel* levels = self._levels[book_side]
        cdef int32_t low = 0
        cdef int32_t high = self._count[book_side]
        cdef int32_t middle
        while low < high:
            middle = (low + high) >> 1
            if levels[middle].key < key:
                low = middle + 1
            else:
                high = middle
        return low

    cdef int32_t _best_order_c(self, int side) noexcept nogil:
        cdef int book_side = _own_side(side)
        cdef int32_t best = -1
        cdef int32_t i
        cdef int64_t key
        cdef int64_t best_key = 0
        for i in range(self._high):
            if self._orders[i].order_id == 0 or self._orders[i].side != side:
                continue
            key = _key(book_side, self._orders[i].price_ticks)
            if best < 0 or key > best_key or (
                key == best_key and self._orders[i].arrival < self._orders[best].arrival
            ):
                best = i
                best_key = key
        return best

    cdef int64_t _walk_c(self, uint64_t order_id, int owner, int side, int64_t price_ticks,
                         int64_t qty_lots, bint dry) noexcept nogil:
        # Take from the recorded levels and from our orders in their estimated places. A dry walk
        # returns what would be left without changing anything; it walks each kind by itself.
        cdef int other = _other_side(side)
        cdef int maker_side = BUY + SELL - side
        cdef int64_t limit = _key(other, price_ticks)
        cdef int32_t at = self._count[other] - 1
        cdef int32_t slot
        cdef int32_t i
        cdef int64_t level_key
        cdef int64_t order_key
        cdef int64_t open_lots
        cdef int64_t fill_lots
        cdef RecordedLevel* level
        cdef QueuedOrder* order
        cdef int64_t own_key = limit - 1
        if dry:
            if owner > 0 and self.stp != CANCEL_OLDEST:
                # Our own best order stops the walk at its place.
                for i in range(self._high):
                    order = &self._orders[i]
                    if (order.order_id != 0 and order.side == maker_side and order.owner == owner
                            and order.order_id != order_id):
                        order_key = _key(other, order.price_ticks)
                        if order_key > own_key:
                            own_key = order_key
            while at >= 0 and qty_lots > 0 and self._levels[other][at].key >= limit:
                if self._levels[other][at].key <= own_key:
                    break
                open_lots = self._levels[other][at].qty_lots - self._levels[other][at].taken_lots
                qty_lots -= open_lots if open_lots < qty_lots else qty_lots
                at -= 1
            for i in range(self._high):
                order = &self._orders[i]
                if (order.order_id == 0 or order.side != maker_side
                        or (owner > 0 and order.owner == owner) or order.order_id == order_id):
                    continue
                order_key = _key(other, order.price_ticks)
                if order_key >= limit and order_key > own_key:
                    open_lots = order.remaining_lots
                    qty_lots -= open_lots if open_lots < qty_lots else qty_lots
            return qty_lots
        while qty_lots > 0:
            while at >= 0 and self._levels[other][at].qty_lots == self._levels[other][at].taken_lots:
                at -= 1
            slot = self._best_order_c(maker_side)
            level_key = self._levels[other][at].key if at >= 0 else limit - 1
            order_key = _key(other, self._orders[slot].price_ticks) if slot >= 0 else limit - 1
            if level_key < limit and order_key < limit:
                break
            level = &self._levels[other][at] if at >= 0 else NULL
            order = &self._orders[slot] if slot >= 0 else NULL
            if slot >= 0 and order_key >= limit and (
                order_key > level_key or (order_key == level_key and order.ahead_lots == 0)
            ):
                if owner > 0 and order.owner == owner:
                    self.stp_hit = True
                    if self.stp != CANCEL_NEWEST:
                        self.removed[self.removed_count] = order.order_id
                        self.removed_count += 1
                        self._drop_c(slot)
                    if self.stp != CANCEL_OLDEST:
                        break
                    continue
                fill_lots = qty_lots if qty_lots < order.remaining_lots else order.remaining_lots
                qty_lots -= fill_lots
                self._execute_c(
                    order.order_id, order.owner, order.remaining_lots - fill_lots, order_id, owner,
                    side, order.price_ticks, fill_lots)
                self._fill_c(slot, fill_lots)
                continue
            open_lots = level.qty_lots - level.taken_lots
            if slot >= 0 and order_key == level_key and order.ahead_lots < open_lots:
                open_lots = order.ahead_lots
            fill_lots = qty_lots if qty_lots < open_lots else open_lots
            qty_lots -= fill_lots
            level.taken_lots += fill_lots
            for i in range(self._high):
                if (self._orders[i].order_id != 0 and self._orders[i].side == maker_side
                        and _key(other, self._orders[i].price_ticks) == level_key):
                    self._orders[i].ahead_lots -= (
                        fill_lots if fill_lots < self._orders[i].ahead_lots
                        else self._orders[i].ahead_lots)
            self._execute_c(
                0, 0, level.qty_lots - level.taken_lots, order_id, owner, side,
                _key(other, level_key), fill_lots)
        return qty_lots

    cdef void _execute_c(self, uint64_t maker_id, int maker_owner, int64_t maker_remaining_lots,
                         uint64_t taker_id, int taker_owner, int taker_side, int64_t price_ticks,
                         int64_t qty_lots) noexcept nogil:
        cdef Execution* row = &self.executions[self.execution_count]
        self.execution_count += 1
        row.maker_id = maker_id
        row.taker_id = taker_id
        row.price_ticks = price_ticks
        row.qty_lots = qty_lots
        row.maker_remaining_lots = maker_remaining_lots
        row.maker_owner = maker_owner
        row.taker_owner = taker_owner
        row.taker_side = <uint8_t>taker_side

    cdef void _fill_c(self, int32_t slot, int64_t qty_lots) noexcept nogil:
        self._orders[slot].remaining_lots -= qty_lots
        self._orders[slot].filled_lots += qty_lots
        if self._orders[slot].remaining_lots == 0:
            self._drop_c(slot)

    cdef void _queue_c(self, int32_t slot) noexcept nogil:
        cdef QueuedOrder* order = &self._orders[slot]
        cdef int book_side = _own_side(order.side)
        cdef int64_t key = _key(book_side, order.price_ticks)
        self._arrivals += 1
        order.arrival = self._arrivals
        if self._count[book_side] == 0 or key < self._levels[book_side][0].key:
            order.ahead_lots = FAR_LOTS
        else:
            order.ahead_lots = self.qty_at_c(book_side, order.price_ticks)

    cdef void _drop_c(self, int32_t slot) noexcept nogil:
        self._orders[slot].order_id = 0
        self.order_count -= 1

    # ---- Python face

    def submit(self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots,
               int tif=GTC, bint post_only=False, int64_t now_ns=0, int stp=CANCEL_NEWEST):
        """Match an order of an account (owner > 0) and queue what is left of a GTC one.

        Raises:
            ValueError: if `stp` is not a rule.
        """
        self.stp = <Stp>_checked_stp(stp)
        return MatchResult(self.submit_c(
            order_id, owner, side, price_ticks, qty_lots, tif, post_only, now_ns))

    def cancel(self, uint64_t order_id):
        """Withdraw a queued order: MATCH_CANCELLED or MATCH_UNKNOWN."""
        return MatchResult(self.cancel_c(order_id))

    def amend(self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots, bint post_only=False,
              int64_t now_ns=0, int stp=CANCEL_NEWEST):
        """Change price and total quantity (filled part included) of a queued order.

        Raises:
            ValueError: if `stp` is not a rule.
        """
        self.stp = <Stp>_checked_stp(stp)
        return MatchResult(self.amend_c(order_id, price_ticks, qty_lots, post_only, now_ns))

    def set_level(self, int book_side, int64_t price_ticks, int64_t qty_lots):
        """Take over a recorded level's absolute quantity; 0 deletes. Call `settle` after a message."""
        return MatchResult(self.level_c(_checked_side(book_side), price_ticks, qty_lots))

    def follow(self, Book book not None, int depth):
        """Take over the best `depth` levels a side of a book; call `settle` if anything changed.

        The same as telling each level whose quantity is another than told last, and deleting those
        that are gone.

        Returns: whether anything changed.
        Raises: ValueError for a negative depth.
        """
        if depth < 0:
            raise ValueError(f"depth must be 0 or more: {depth}")
        return bool(self.follow_c(book, depth))

    def cut(self, int depth):
        """Drop recorded levels beyond `depth` a side."""
        self.cut_c(depth)

    def clear(self):
        """Forget the recorded book (before a snapshot); our orders and their places stay."""
        self.clear_c()

    def settle(self):
        """Adjust queue places and fill what the recorded book now crosses."""
        self.settle_c()
        return _executions(self.executions, self.execution_count)

    def trade(self, int taker_side, int64_t price_ticks, int64_t qty_lots):
        """Let a recorded or live trade pass our queue; return what it filled of ours.

        Raises:
            ValueError: if the side, price or quantity is out of range.
        """
        if not _valid(1, 0, taker_side, price_ticks, qty_lots, GTC):
            raise ValueError(f"bad trade: {taker_side} {price_ticks} {qty_lots}")
        self.trade_c(taker_side, price_ticks, qty_lots)
        return _executions(self.executions, self.execution_count)

    def take(self, int taker_side, int64_t price_ticks, int64_t qty_lots):
        """Send an added taker, limited at `price_ticks`; return every execution it had.

        Raises:
            ValueError: if the side, price or quantity is out of range.
        """
        if not _valid(1, 0, taker_side, price_ticks, qty_lots, GTC):
            raise ValueError(f"bad taker: {taker_side} {price_ticks} {qty_lots}")
        self.take_c(taker_side, price_ticks, qty_lots)
        return _executions(self.executions, self.execution_count)

    def matches(self):
        """Return the executions of the last call, in order."""
        return _executions(self.executions, self.execution_count)

    def removed_ids(self):
        """Return queued orders that self-trade prevention removed in the last call."""
        cdef int32_t i
        return [self.removed[i] for i in range(self.removed_count)]

    def met_own(self):
        """Return whether the last call met an order of its own account."""
        return bool(self.stp_hit)

    def order(self, uint64_t order_id):
        """Return (side, price_ticks, remaining_lots, filled_lots, owner), or None."""
        cdef int32_t slot = self._find_c(order_id) if order_id != 0 else -1
        if slot < 0:
            return None
        cdef QueuedOrder* order = &self._orders[slot]
        return order.side, order.price_ticks, order.remaining_lots, order.filled_lots, order.owner

    def ahead(self, uint64_t order_id):
        """Return the estimated quantity in front of an order, in lots; None if it is not here."""
        cdef int32_t slot = self._find_c(order_id) if order_id != 0 else -1
        return None if slot < 0 else self._orders[slot].ahead_lots

    def depth(self, int book_side, int n):
        """Return the best `n` recorded levels as [(price_ticks, qty_lots)], best first."""
        cdef int32_t count = self._count[_checked_side(book_side)]
        cdef int32_t i
        cdef RecordedLevel* levels = self._levels[book_side]
        return [
            (_key(book_side, levels[count - 1 - i].key), levels[count - 1 - i].qty_lots)
            for i in range(min(max(n, 0), count))
        ]

    def qty_at(self, int book_side, int64_t price_ticks):
        """Return the recorded quantity at a price less what was taken, in lots."""
        return self.qty_at_c(_checked_side(book_side), price_ticks)

    def level_count(self, int book_side):
        """Return how many recorded levels a side has."""
        return self._count[_checked_side(book_side)]

    @property
    def best_bid_ticks(self):
        """Best recorded bid, 0 without one."""
        return self.best_c(BID)

    @property
    def best_ask_ticks(self):
        """Best recorded ask, 0 without one."""
        return self.best_c(ASK)

    @property
    def resting_count(self):
        """Our orders in the queue."""
        return self.order_count
