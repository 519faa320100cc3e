# Price-time matching of one instrument: shared by simulator, paper mode and backtest.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from openmm._fast.book cimport Book

cpdef enum Tif:
    TIF_UNDECIDED = 0
    GTC = 1
    IOC = 2
    FOK = 3

cpdef enum Stp:                # self-trade prevention between orders of one account
    STP_UNDECIDED = 0
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    CANCEL_BOTH = 3

cpdef enum MatchResult:
    MATCH_UNDECIDED = 0
    MATCH_RESTING = 1          # on the book, perhaps partly filled
    MATCH_FILLED = 2
    MATCH_CANCELLED = 3        # IOC remainder, FOK miss, self-trade prevention, cancel
    MATCH_POST_ONLY = 4        # refused: would take
    MATCH_FULL = 5             # no free order slot
    MATCH_BAD = 6              # bad price, qty, side, tif or id
    MATCH_UNKNOWN = 7          # no such order

cdef struct Execution:
    uint64_t maker_id
    uint64_t taker_id
    int64_t price_ticks
    int64_t qty_lots
    int64_t maker_remaining_lots
    int32_t maker_owner        # 0 = the market, > 0 an account
    int32_t taker_owner
    uint8_t taker_side

cdef struct RestingOrder:
    uint64_t order_id          # 0 when the slot is free
    int64_t price_ticks
    int64_t remaining_lots
    int64_t filled_lots
    int32_t owner
    int32_t level              # slot of its level
    int32_t prev               # FIFO neighbours, -1 at the ends
    int32_t next
    uint8_t side               # Side

cdef struct PriceLevel:
    int64_t qty_lots
    int32_t head               # oldest order
    int32_t tail
    int32_t next               # free list

cdef struct LevelChange:
    int64_t price_ticks
    int32_t side               # BookSide

cdef class Matching:
    cdef int32_t execution_count
    cdef Execution* executions          # of the last call
    cdef Stp stp                        # rule for the next calls
    cdef bint stp_hit                   # the last call met an order of its own account
    cdef int32_t removed_count          # resting orders that self-trade prevention removed in the last call
    cdef uint64_t* removed
    cdef int32_t order_count
    cdef int32_t capacity
    cdef RestingOrder* _orders
    cdef int32_t _free_order
    cdef PriceLevel* _levels
    cdef int32_t _free_level
    cdef int32_t _count[2]              # levels a side
    cdef int64_t* _keys[2]              # ascending, best last: price for bids, -price for asks
    cdef int32_t* _slots[2]             # level slot of each key
    cdef int32_t* _table                # open addressing: order slot + 1, 0 empty
    cdef uint64_t _mask
    cdef LevelChange* _changes
    cdef int32_t _change_count
    cdef int32_t _change_capacity
    cdef bint _changes_lost

    cdef MatchResult submit_c(
        self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots,
        int tif, bint post_only, int64_t now_ns) noexcept nogil
    cdef MatchResult cancel_c(self, uint64_t order_id) noexcept nogil
    # qty_lots is the new total, filled part included.
    cdef MatchResult amend_c(
        self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots, bint post_only,
        int64_t now_ns) noexcept nogil
    cdef int64_t best_c(self, int book_side) noexcept nogil             # 0 when the side is empty
    cdef int64_t qty_at_c(self, int book_side, int64_t price_ticks) noexcept nogil
    cdef int top_c(self, int book_side, int n, int64_t* prices_ticks, int64_t* qtys_lots) noexcept nogil

    cdef int32_t _find_c(self, uint64_t order_id) noexcept nogil
    cdef void _index_c(self, int32_t slot) noexcept nogil
    cdef void _unindex_c(self, uint64_t order_id) noexcept nogil
    cdef int32_t _position_c(self, int book_side, int64_t key) noexcept nogil
    cdef void _rest_c(self, int32_t slot) noexcept nogil
    cdef void _unlink_c(self, int32_t slot) noexcept nogil
    cdef void _release_c(self, int32_t slot) noexcept nogil
    cdef bint _crosses_c(self, int side, int64_t price_ticks) noexcept nogil
    cdef bint _fillable_c(self, int owner, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef int64_t _take_c(
        self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void _touch_c(self, int book_side, int64_t price_ticks) noexcept nogil

cdef struct QueuedOrder:
    uint64_t order_id          # 0 when the slot is free
    int64_t price_ticks
    int64_t remaining_lots
    int64_t filled_lots
    int64_t ahead_lots         # recorded quantity estimated to be in front of it
    uint64_t arrival           # order of arrival, later is larger
    int32_t owner
    uint8_t side               # Side

cdef struct RecordedLevel:
    int64_t key                # as in Matching: ascending, best last
    int64_t qty_lots
    int64_t taken_lots         # quantity used up by us or by added takers since the level was last told

cdef class ReplayMatching:
    cdef int32_t execution_count
    cdef Execution* executions          # of the last call
    cdef Stp stp
    cdef bint stp_hit
    cdef int32_t removed_count
    cdef uint64_t* removed
    cdef int32_t order_count
    cdef int32_t capacity
    cdef int32_t level_capacity
    cdef QueuedOrder* _orders
    cdef int32_t _high                  # slots in use lie below
    cdef uint64_t _arrivals
    cdef RecordedLevel* _levels[2]
    cdef RecordedLevel* _scratch        # takes turns with them when a whole book is followed
    cdef int32_t _count[2]

    cdef MatchResult submit_c(
        self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots,
        int tif, bint post_only, int64_t now_ns) noexcept nogil
    cdef MatchResult cancel_c(self, uint64_t order_id) noexcept nogil
    cdef MatchResult amend_c(
        self, uint64_t order_id, int64_t price_ticks, int64_t qty_lots, bint post_only,
        int64_t now_ns) noexcept nogil
    # Recorded market in.
    cdef MatchResult level_c(self, int book_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef bint follow_c(self, Book book, int depth) noexcept nogil        # whether anything changed
    cdef void cut_c(self, int depth) noexcept nogil
    cdef void clear_c(self) noexcept nogil
    cdef void settle_c(self) noexcept nogil                             # after a whole book message
    cdef int64_t trade_c(self, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    # A seeded taker over the recording; returns what it got.
    cdef int64_t take_c(self, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef int64_t best_c(self, int book_side) noexcept nogil
    cdef int64_t qty_at_c(self, int book_side, int64_t price_ticks) noexcept nogil

    cdef int32_t _find_c(self, uint64_t order_id) noexcept nogil
    cdef int32_t _position_c(self, int book_side, int64_t key) noexcept nogil
    cdef int32_t _best_order_c(self, int side) noexcept nogil
    cdef int64_t _walk_c(
        self, uint64_t order_id, int owner, int side, int64_t price_ticks, int64_t qty_lots,
        bint dry) noexcept nogil
    cdef void _execute_c(
        self, uint64_t maker_id, int maker_owner, int64_t maker_remaining_lots, uint64_t taker_id,
        int taker_owner, int taker_side, int64_t price_ticks, int64_t qty_lots) noexcept nogil
    cdef void _fill_c(self, int32_t slot, int64_t qty_lots) noexcept nogil
    cdef void _queue_c(self, int32_t slot) noexcept nogil
    cdef void _drop_c(self, int32_t slot) noexcept nogil
