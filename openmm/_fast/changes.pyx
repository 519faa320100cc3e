"""Write down what a decoder does to a book, and put such rows into a book again.

A decoder applies a message as its venue means it: increments held until a snapshot, a book cut to
its depth, a level that a checksum refutes. So the rows are not read off the message: the book's
levels after it are compared with those before. Rows of one message: trades in wire order; then what
was removed, then what was set, so that no row in between crosses a book that does not cross. The
cost is that of both books' levels a message; nothing here is on the hot path.
"""

from cython cimport final
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.stdlib cimport free, malloc, realloc

from openmm._fast.book cimport APPLY_OK, BOOK_VERIFIED, Book
from openmm._fast.ports cimport Decoded, Decoder, Sink, Trade
from openmm._fast.units cimport SELL

cdef enum:
    ROOM = 1 << 16
    LEVEL_ROOM = 1 << 12


@final
cdef class ChangeLog(Sink):
    """Follow one book and the trades of its decoder.

    Args:
        book: the book that the decoder is bound to.
        instrument_index: the one of that bound; trades of others are not kept.
    """

    def __cinit__(self, Book book not None, int instrument_index=0):
        cdef int side
        self.book = book
        self.instrument_index = instrument_index
        self.room = ROOM
        self.events = <MarketEvent*>malloc(ROOM * sizeof(MarketEvent))
        if self.events == NULL:
            raise MemoryError("events")
        for side in range(2):
            if not self.level_room_c(side):
                raise MemoryError("levels")

    def __dealloc__(self):
        cdef int side
        free(self.events)
        for side in range(2):
            free(self.prices[side])
            free(self.qtys[side])
            free(self.new_prices[side])
            free(self.new_qtys[side])

    cdef bint level_room_c(self, int side) noexcept nogil:
        """Make room for all levels of a side; 0: there is no memory."""
        cdef int64_t** arrays[4]
        cdef int64_t* made
        cdef int32_t room = self.level_room[side]
        cdef int i
        if room > 0 and self.book.count[side] <= room:
            return 1
        room = LEVEL_ROOM if room == 0 else room
        while room < self.book.count[side]:
            room *= 2
        arrays[0] = &self.prices[side]
        arrays[1] = &self.qtys[side]
        arrays[2] = &self.new_prices[side]
        arrays[3] = &self.new_qtys[side]
        for i in range(4):
            made = <int64_t*>realloc(arrays[i][0], room * sizeof(int64_t))
            if made == NULL:
                self.failed = 1
                return 0
            arrays[i][0] = made
        self.level_room[side] = room
        return 1

    cdef MarketEvent* add_c(
        self, int64_t venue_ns, int64_t price_ticks, int64_t qty_lots, int flags
    ) noexcept nogil:
        cdef MarketEvent* made
        if self.size == self.room:
            made = <MarketEvent*>realloc(self.events, 2 * self.room * sizeof(MarketEvent))
            if made == NULL:
                self.failed = 1
                return NULL
            self.events = made
            self.room *= 2
        made = self.events + self.size
        self.size += 1
        made.recv_ns = self.recv_ns
        made.venue_ns = venue_ns
        made.price_ticks = price_ticks
        made.qty_lots = qty_lots
        made.flags = <uint16_t>flags
        made.unused[0] = made.unused[1] = made.unused[2] = 0
        return made

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        if trade.instrument_index != self.instrument_index:
            return
        if trade.snapshot:
            self.history_count += 1
            return
        self.add_c(
            trade.ts_ns, trade.price_ticks, trade.qty_lots,
            EVENT_TRADE | (EVENT_ASK if trade.taker_side == SELL else 0),
        )

    cdef void look_c(self) noexcept nogil:
        """Add what is different in the book since the last look."""
        cdef int32_t new_counts[2]
        cdef int side
        if self.whole and (self.book.state != BOOK_VERIFIED or self.book.break_count != self.break_count):
            self.add_c(0, 0, 0, EVENT_BROKEN)
            self.whole = 0
            self.count[0] = self.count[1] = 0
        self.break_count = self.book.break_count
        if self.book.state != BOOK_VERIFIED or (self.whole and self.book.version == self.version):
            return
        if not self.level_room_c(0) or not self.level_room_c(1):
            return
        if not self.whole:
            self.add_c(self.book.ts_ns, 0, 0, EVENT_CLEAR)
            self.whole = 1
        self.version = self.book.version
        for side in range(2):
            new_counts[side] = self.book.top_c(side, self.book.count[side], self.new_prices[side], self.new_qtys[side])
        for side in range(2):
            self.differ_c(side, new_counts[side], 1)
        for side in range(2):
            self.differ_c(side, new_counts[side], 0)
            self.prices[side], self.new_prices[side] = self.new_prices[side], self.prices[side]
            self.qtys[side], self.new_qtys[side] = self.new_qtys[side], self.qtys[side]
            self.count[side] = new_counts[side]

    cdef void differ_c(self, int side, int32_t new_count, bint removed) noexcept nogil:
        """Add the levels of a side that are gone, or else those that are new or changed."""
        cdef int64_t* old = self.prices[side]
        cdef int64_t* new = self.new_prices[side]
        cdef int32_t old_count = self.count[side]
        cdef int32_t i = 0
        cdef int32_t j = 0
        cdef int flags = EVENT_LEVEL | (EVENT_ASK if side else 0)
        cdef bint older
        while i < old_count or j < new_count:
            if i < old_count and j < new_count and old[i] == new[j]:
                if not removed and self.qtys[side][i] != self.new_qtys[side][j]:
                    self.add_c(self.book.ts_ns, new[j], self.new_qtys[side][j], flags)
                i += 1
                j += 1
                continue
            older = j == new_count or (i < old_count and (old[i] < new[j]) == (side == 1))
            if older:
                if removed:
                    self.add_c(self.book.ts_ns, old[i], 0, flags)
                i += 1
            else:
                if not removed:
                    self.add_c(self.book.ts_ns, new[j], self.new_qtys[side][j], flags)
                j += 1

    def decode(self, Decoder decoder not None, bytes data not None, int64_t recv_ns):
        """Put one message through the decoder and add what it did; returns the decoder's answer.

        Raises: MemoryError.
        """
        cdef Py_ssize_t before = self.size
        self.recv_ns = recv_ns
        cdef Decoded found = decoder.decode_c(data, len(data), recv_ns)
        self.look_c()
        if self.failed:
            raise MemoryError("events")
        if self.size > before:
            self.events[self.size - 1].flags |= EVENT_MESSAGE_END
        if self.book.recentre_due:
            self.book.recentre_c()
        return found

    def look(self, int64_t recv_ns):
        """Add what someone else did to the book since the last look, as one message's.

        Raises: MemoryError.
        """
        cdef Py_ssize_t before = self.size
        self.recv_ns = recv_ns
        self.look_c()
        if self.failed:
            raise MemoryError("events")
        if self.size > before:
            self.events[self.size - 1].flags |= EVENT_MESSAGE_END

    def append(self, int64_t recv_ns, int64_t venue_ns, int64_t price_ticks, int64_t qty_lots, int flags):
        """Add one event as it is.

        Raises: ValueError for flags that are none; MemoryError.
        """
        if not 0 < flags <= 0xFFFF:
            raise ValueError(f"flags must be 1 to 65535: {flags}")
        self.recv_ns = recv_ns
        if self.add_c(venue_ns, price_ticks, qty_lots, flags) == NULL:
            raise MemoryError("events")

    def take(self):
        """Return the events so far as rows of 40 bytes (`MarketEvent`), and forget them."""
        found = PyBytes_FromStringAndSize(<const char*>self.events, self.size * sizeof(MarketEvent))
        self.size = 0
        return found

    def __len__(self):
        """Return how many events wait to be taken."""
        return self.size


def follow(
    Book book not None,
    const int64_t[::1] prices_ticks not None,
    const int64_t[::1] qtys_lots not None,
    const uint16_t[::1] flags not None,
    int64_t[::1] bids_ticks=None,
    int64_t[::1] asks_ticks=None,
):
    """Apply events to a book and read both best prices after each.

    Args: prices_ticks, qtys_lots: int64[n]; flags: uint16[n]. bids_ticks, asks_ticks: int64[n], filled
    in with the best prices, 0 for a side without levels; both or none.
    The book is never verified, so that one that crosses is read as it is. A level that was never
    told is taken as one that is absent.
    Raises: ValueError for columns of other lengths, an event that no book takes (the book holds
    those ahead of it), or more levels than it has room for.
    """
    cdef Py_ssize_t n = prices_ticks.shape[0]
    cdef Py_ssize_t i
    cdef int kind
    cdef bint told = bids_ticks is not None and asks_ticks is not None
    if qtys_lots.shape[0] != n or flags.shape[0] != n:
        raise ValueError(f"columns must be of one length: {n}, {qtys_lots.shape[0]}, {flags.shape[0]}")
    if told and (bids_ticks.shape[0] != n or asks_ticks.shape[0] != n):
        raise ValueError(f"columns must be of one length: {n}, {bids_ticks.shape[0]}, {asks_ticks.shape[0]}")
    for i in range(n):
        kind = flags[i] & EVENT_KIND_BITS
        if kind == EVENT_LEVEL:
            if book.apply_c(1 if flags[i] & EVENT_ASK else 0, prices_ticks[i], qtys_lots[i]) != APPLY_OK:
                raise ValueError(f"event {i}: no level of a book: {prices_ticks[i]} ticks, {qtys_lots[i]} lots")
            if book.recentre_due and flags[i] & EVENT_MESSAGE_END:
                book.recentre_c()
        elif kind == EVENT_CLEAR or kind == EVENT_BROKEN:
            book.catch_up_c()
        if told:
            bids_ticks[i] = book.best_bid_ticks if book.count[0] else 0
            asks_ticks[i] = book.best_ask_ticks if book.count[1] else 0
