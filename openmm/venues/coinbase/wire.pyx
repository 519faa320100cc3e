"""Coinbase Exchange market data: bytes of a frame into the bound books, and trades to the sink.

`snapshot` brings the whole book, `l2update` the levels that changed, as they read afterwards. Book
messages carry no number: what tells of lost messages is the trades' own, which count by one; a jump
breaks the book. A frame is walked once and its changes applied as they are read when its type and
product stand before them, which is how the venue writes them; otherwise behind the walk. The whole
book may be tens of thousands of levels: what is kept of it, and what is known, ends at twice `depth`
levels a side (`venues/reach.pxd`).

The side of a match is the maker's. Source: Coinbase Exchange documentation, "WebSocket channels"
(level2, level2_batch, matches), read 2026; captures of 2018-04 and 2021-04.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from openmm._fast.book cimport (
    BOOK_VERIFIED,
    BREAK_CROSSED,
    BREAK_GAP,
    BREAK_NONE,
    BREAK_PARSE,
    Book,
    BookBreak,
)
from openmm._fast.increments cimport next_row_c, price_qty_c
from openmm._fast.latency cimport stamp_c
from openmm._fast.ports cimport (
    BINDS_MAX,
    BOOK_UPDATES,
    CROSSED,
    DECODED_BOOK,
    DECODED_BROKEN,
    DECODED_IGNORED,
    DECODED_SLOW,
    DECODED_TRADE,
    HEARTBEATS,
    MESSAGES,
    NOT_READY,
    SLOW,
    SNAPSHOTS,
    TRADE_GAPS,
    TRADES,
    TRADES_REPEATED,
    UNBOUND,
    Decoded,
    Decoder,
    Steps,
    Trade,
    break_all_c,
    break_book_c,
    set_steps,
    set_trade_c,
    tally,
    trades_bad_c,
)
from openmm._fast.scan cimport (
    SCAN_OK,
    Cursor,
    is_text,
    next_key,
    next_member,
    scan_rfc3339,
    scan_rounded_text,
    scan_skip_value,
    scan_space,
    scan_string,
    scan_uint64,
)
from openmm._fast.units cimport ASK, BID, BUY, SELL, UNKNOWN_SIDE
from openmm.venues.reach cimport apply_in_reach, reach_all

cdef enum:
    DEPTH_MAX = 5000            # levels a side that are kept at least

cdef enum Kind:
    KIND_NONE = 0
    KIND_SNAPSHOT = 1
    KIND_UPDATE = 2
    KIND_MATCH = 3
    KIND_LAST_MATCH = 4         # the last trade before the subscription
    KIND_HEARTBEAT = 5
    KIND_OTHER = 6

cdef struct Frame:
    const char* end
    int32_t kind
    int32_t whole               # one well-formed object
    int32_t fault               # BookBreak
    int32_t applied             # the changes are in
    const char* name
    Py_ssize_t name_n
    const char* changes
    const char* sides[2]
    const char* price
    const char* qty
    int64_t ts_ns
    uint64_t trade_id
    int32_t maker_side          # of a match: Side, of the maker
    Bound* bound


# --- levels

cdef BookBreak apply_rows(CoinbaseDecoder self, Bound* bound, int side, Cursor* c) noexcept nogil:
    """Apply `[["P","Q"],...]` of one side, or `[["buy","P","Q"],...]` for side -1."""
    cdef int64_t price_points = 0
    cdef int64_t qty_points = 0
    cdef bint rounded = 0
    cdef bint begun = 0
    cdef int row_side = side
    cdef BookBreak fault
    cdef int row
    while True:
        row = next_row_c(c, &begun)
        if row <= 0:
            return BREAK_NONE if row == 0 else BREAK_PARSE
        if side < 0:
            row_side = read_side(c)
            if row_side < 0:
                return BREAK_PARSE
        fault = price_qty_c(&bound.steps, c, &price_points, &qty_points, &rounded)
        if fault == BREAK_NONE:
            fault = apply_in_reach(
                self, &bound.steps, &bound.reach, <Book>bound.book, row_side, price_points,
                qty_points, rounded,
            )
        if fault != BREAK_NONE:
            return fault


cdef inline int read_side(Cursor* c) noexcept nogil:
    """Read `"buy",` or `"sell",`; -1 when it is neither."""
    cdef const char* text
    cdef Py_ssize_t n
    cdef int side
    if scan_string(c, &text, &n) != SCAN_OK:
        return -1
    if is_text(text, n, b"buy", 3):
        side = BID
    elif is_text(text, n, b"sell", 4):
        side = ASK
    else:
        return -1
    scan_space(c)
    if c.p >= c.end or c.p[0] != c",":
        return -1
    c.p += 1
    scan_space(c)
    return side


# --- reading a frame

cdef inline int kind_of(const char* text, Py_ssize_t n) noexcept nogil:
    if is_text(text, n, b"l2update", 8):
        return KIND_UPDATE
    if is_text(text, n, b"match", 5):
        return KIND_MATCH
    if is_text(text, n, b"snapshot", 8):
        return KIND_SNAPSHOT
    if is_text(text, n, b"last_match", 10):
        return KIND_LAST_MATCH
    if is_text(text, n, b"heartbeat", 9) or is_text(text, n, b"ticker", 6):
        return KIND_HEARTBEAT
    return KIND_OTHER


cdef bint read_changes(CoinbaseDecoder self, Frame* f, Cursor* c) noexcept nogil:
    """Apply the changes where it is known already whose they are, else pass over them. 0 on a fault."""
    if f.changes != NULL:
        return 0
    f.changes = c.p
    if f.kind == KIND_UPDATE and f.name != NULL:
        f.bound = self.find_name(f.name, f.name_n)
        if f.bound != NULL and (<Book>f.bound.book).live:
            f.applied = 1
            f.fault = apply_rows(self, f.bound, -1, c)
            return f.fault == BREAK_NONE
    return scan_skip_value(c) == SCAN_OK


cdef bint read_member(CoinbaseDecoder self, Frame* f, const char* key, Py_ssize_t n, Cursor* c) noexcept nogil:
    """Read one member; 0 on bad text."""
    cdef const char* text
    cdef Py_ssize_t text_n
    cdef int side
    if is_text(key, n, b"type", 4):
        if f.kind != KIND_NONE or scan_string(c, &text, &text_n) != SCAN_OK:
            return 0
        f.kind = kind_of(text, text_n)
        return 1
    if is_text(key, n, b"product_id", 10):
        return f.name == NULL and scan_string(c, &f.name, &f.name_n) == SCAN_OK
    if is_text(key, n, b"changes", 7):
        return read_changes(self, f, c)
    if is_text(key, n, b"time", 4):
        return scan_rfc3339(c, &f.ts_ns) == SCAN_OK
    if n == 4 and (memcmp(key, b"bids", 4) == 0 or memcmp(key, b"asks", 4) == 0):
        side = BID if key[0] == c"b" else ASK
        if f.sides[side] != NULL:
            return 0
        f.sides[side] = c.p
    elif is_text(key, n, b"trade_id", 8):
        return scan_uint64(c, &f.trade_id) == SCAN_OK
    elif is_text(key, n, b"side", 4):
        if scan_string(c, &text, &text_n) != SCAN_OK:
            return 0
        if is_text(text, text_n, b"buy", 3):
            f.maker_side = BUY
        elif is_text(text, text_n, b"sell", 4):
            f.maker_side = SELL
        return 1
    elif is_text(key, n, b"price", 5):
        f.price = c.p
    elif is_text(key, n, b"size", 4):
        f.qty = c.p
    return scan_skip_value(c) == SCAN_OK


cdef bint read_frame(CoinbaseDecoder self, Frame* f, const char* data) noexcept nogil:
    """Walk a frame; 0 where it could not be read to its end."""
    cdef Cursor c
    cdef const char* key
    cdef Py_ssize_t n
    c.p = data
    c.end = f.end
    scan_space(&c)
    if c.p >= c.end or c.p[0] != c"{":
        return 0
    c.p += 1
    while True:
        if not next_key(&c, &key, &n):
            return 0
        if key == NULL:
            break
        if not read_member(self, f, key, n, &c) or not next_member(&c):
            return 0
    scan_space(&c)
    f.whole = c.p == c.end
    return f.whole


# --- the decoder

@final
cdef class CoinbaseDecoder(Decoder):
    """Apply book messages to bound books and hand trades to the sink."""

    def __cinit__(self, *args, **kwargs):
        self.bound = <Bound*>calloc(BINDS_MAX, sizeof(Bound))
        if self.bound == NULL:
            raise MemoryError("decoder")

    def __dealloc__(self):
        cdef int32_t i
        if self.bound != NULL:
            for i in range(self.bound_count):
                free(self.bound[i].reach.prices_ticks)
                free(self.bound[i].reach.qtys_lots)
        free(self.bound)

    # --- C face

    cdef Bound* find_name(self, const char* text, Py_ssize_t n) noexcept nogil:
        cdef int32_t i
        cdef Bound* bound = &self.bound[self.last]
        # One instrument's messages come in runs. No bound has an empty name, and nothing matches it.
        if n != 0 and is_text(text, n, bound.name, bound.name_bytes):
            return bound
        for i in range(self.bound_count):
            if is_text(text, n, self.bound[i].name, self.bound[i].name_bytes):
                self.last = i
                return &self.bound[i]
        return NULL

    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil:
        cdef Frame f
        cdef bint read
        tally(self, MESSAGES)
        memset(&f, 0, sizeof(Frame))
        f.end = data + n_bytes
        f.maker_side = UNKNOWN_SIDE
        read = read_frame(self, &f, data)
        if f.kind == KIND_UPDATE or f.kind == KIND_SNAPSHOT:
            return book_frame(self, &f, read, recv_ns)
        if f.kind == KIND_MATCH or f.kind == KIND_LAST_MATCH:
            return match_frame(self, &f) if read else trades_bad_c(self)
        if read and f.kind == KIND_HEARTBEAT:
            tally(self, HEARTBEATS)
            return DECODED_IGNORED
        if f.applied:
            # Its changes are in already, and it is no update after all.
            return break_book(self, f.bound, BREAK_PARSE)
        tally(self, SLOW)
        return DECODED_SLOW

    # --- Python face

    def bind(
        self,
        str venue_symbol not None,
        int32_t instrument_index,
        Book book not None,
        int64_t tick_points,
        int32_t price_decimals,
        int64_t lot_points,
        int32_t qty_decimals,
        int32_t depth=1000,
    ):
        """Serve `venue_symbol` into `book`; binding a symbol again replaces its book.

        Args:
            tick_points: tick size in units of 10**-price_decimals.
            lot_points: lot size in units of 10**-qty_decimals.
            depth: levels a side that are kept at least; 0: all.

        Raises:
            ValueError: for a symbol or depth out of range, steps or decimals out of range, or more
                instruments than the decoder serves.
        """
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound
        cdef Steps steps
        cdef int32_t index
        if not 0 <= depth <= DEPTH_MAX:
            raise ValueError(f"depth must be 0 to {DEPTH_MAX}: {depth}")
        if not name or len(name) > NAME_BYTES or b'"' in name or b"\\" in name:
            raise ValueError(f"symbol must be plain and have 1 to {NAME_BYTES} characters: {venue_symbol!r}")
        bound = self.find_name(name, len(name))
        set_steps(&steps, tick_points, price_decimals, lot_points, qty_decimals)
        index = self.take_book(-1 if bound == NULL else <int32_t>(bound - self.bound), book, instrument_index)
        bound = &self.bound[index]
        if bound.reach.prices_ticks == NULL:
            bound.reach.prices_ticks = <int64_t*>calloc(DEPTH_MAX, sizeof(int64_t))
            bound.reach.qtys_lots = <int64_t*>calloc(DEPTH_MAX, sizeof(int64_t))
        if bound.reach.prices_ticks == NULL or bound.reach.qtys_lots == NULL:
            raise MemoryError("reach")
        bound.book = <void*>book
        bound.steps = steps
        bound.reach.depth = depth
        reach_all(&bound.reach)
        bound.trade_id = 0
        bound.instrument_index = instrument_index
        bound.name_bytes = <int32_t>len(name)
        memcpy(bound.name, <const char*>name, len(name))

    def state(self, str venue_symbol not None):
        """Tell one instrument's (snapshots taken, id of its last trade)."""
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound = self.find_name(name, len(name))
        if bound == NULL:
            raise KeyError(venue_symbol)
        return bound.snapshots, bound.trade_id


# --- books

cdef Decoded break_book(CoinbaseDecoder self, Bound* bound, int reason) noexcept nogil:
    """Break one book and count why."""
    return break_book_c(self, <Book>bound.book, bound.instrument_index, <BookBreak>reason)


cdef Decoded book_frame(CoinbaseDecoder self, Frame* f, bint read, int64_t recv_ns) noexcept nogil:
    """Act on a book message that has been read as far as it could be."""
    cdef Bound* bound
    if f.name == NULL:
        return break_all_c(self)
    if f.bound == NULL:
        f.bound = self.find_name(f.name, f.name_n)
    bound = f.bound
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    self.touched = bound.instrument_index
    if not read:
        return break_book(self, bound, BREAK_PARSE if f.fault == BREAK_NONE else f.fault)
    if f.kind == KIND_SNAPSHOT:
        return snapshot_frame(self, f, <Book>bound.book, recv_ns)
    if f.changes == NULL:
        return break_book(self, bound, BREAK_PARSE)
    if not f.applied:
        if not (<Book>bound.book).live:
            tally(self, NOT_READY)
            return DECODED_IGNORED
        apply_late(self, f, f.changes, -1)
        if f.fault != BREAK_NONE:
            return break_book(self, bound, f.fault)
    return finish_book(self, f, <Book>bound.book, recv_ns)


cdef void apply_late(CoinbaseDecoder self, Frame* f, const char* rows, int side) noexcept nogil:
    cdef Cursor c
    c.p = rows
    c.end = f.end
    f.fault = apply_rows(self, f.bound, side, &c)


cdef Decoded snapshot_frame(CoinbaseDecoder self, Frame* f, Book book, int64_t recv_ns) noexcept nogil:
    """Take a whole book in place of what was there."""
    cdef Bound* bound = f.bound
    cdef int side
    if f.sides[0] == NULL or f.sides[1] == NULL:
        return break_book(self, bound, BREAK_PARSE)
    if book.state != BOOK_VERIFIED:
        book.catch_up_c()
    book.clear_c()
    reach_all(&bound.reach)
    for side in range(2):
        apply_late(self, f, f.sides[side], side)
        if f.fault != BREAK_NONE:
            return break_book(self, bound, f.fault)
    bound.snapshots += 1
    tally(self, SNAPSHOTS)
    if book.recentre_due:
        book.recentre_c()
    return finish_book(self, f, book, recv_ns)


cdef Decoded finish_book(CoinbaseDecoder self, Frame* f, Book book, int64_t recv_ns) noexcept nogil:
    """Verify: after the last level of a message."""
    self.applied_stamp = stamp_c()
    self.ts_ns = f.ts_ns
    tally(self, BOOK_UPDATES)
    book.verify_c(recv_ns, f.ts_ns)
    if book.state == BOOK_VERIFIED:
        return DECODED_BOOK
    if book.break_reason == BREAK_CROSSED:
        tally(self, CROSSED)
    return DECODED_BROKEN


# --- trades

cdef Decoded match_frame(CoinbaseDecoder self, Frame* f) noexcept nogil:
    """Hand one trade to the sink; a jump of the ids breaks the book."""
    cdef Cursor at
    cdef Trade trade
    cdef Bound* bound
    cdef int64_t price_points, qty_points
    cdef bint rounded = 0
    cdef bint lost
    if f.name == NULL or f.price == NULL or f.qty == NULL or f.trade_id == 0:
        return trades_bad_c(self)
    bound = self.find_name(f.name, f.name_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    memset(&trade, 0, sizeof(Trade))
    at.end = f.end
    at.p = f.price
    if scan_rounded_text(&at, bound.steps.price_decimals, &price_points, &rounded) != SCAN_OK:
        return trades_bad_c(self)
    at.p = f.qty
    if scan_rounded_text(&at, bound.steps.qty_decimals, &qty_points, &rounded) != SCAN_OK:
        return trades_bad_c(self)
    if f.kind == KIND_MATCH and f.trade_id <= bound.trade_id:
        tally(self, TRADES_REPEATED)
        return DECODED_IGNORED
    if not set_trade_c(self, &bound.steps, price_points, qty_points, rounded, &trade):
        return trades_bad_c(self)
    lost = f.kind == KIND_MATCH and bound.trade_id != 0 and f.trade_id != bound.trade_id + 1
    bound.trade_id = f.trade_id
    trade.trade_id = f.trade_id
    trade.ts_ns = f.ts_ns
    trade.instrument_index = bound.instrument_index
    trade.snapshot = f.kind == KIND_LAST_MATCH
    trade.taker_side = UNKNOWN_SIDE
    if f.maker_side == BUY:
        trade.taker_side = SELL
    elif f.maker_side == SELL:
        trade.taker_side = BUY
    tally(self, TRADES)
    self.touched = bound.instrument_index
    self.ts_ns = trade.ts_ns
    if self.sink is not None:
        self.sink.on_trade_c(&trade)
    if lost:
        tally(self, TRADE_GAPS)
        return break_book(self, bound, BREAK_GAP)
    return DECODED_TRADE
