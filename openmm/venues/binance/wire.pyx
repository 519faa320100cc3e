"""Binance market data: bytes of a combined-stream frame into the bound books, trades to the sink.

Frames are `{"stream":"btcusdt@depth@100ms","data":{...}}`. A depth frame is walked once and its
levels applied as they are read, as long as its members stand in the order the venue sends them (name
and ids before the levels). A frame in another order is walked a second time, levels last: they are
absolute, so applying some twice changes nothing.

Increments are put aside until the REST copy is there (a frame that the connector writes around the
reply: stream `BTCUSDT@rest`), then those behind it are applied. On spot an increment follows when it
begins one id behind the last; on USD-M and COIN-M ids leave room, and it names the last (`pu`): here
its beginning is taken as `pu + 1`, so that one rule serves both. An increment that does not follow
breaks the book; so does one that crosses it or cannot be read, and one that names no book breaks
them all. The REST copy ends at a number of levels: what is known ends there too (`venues/reach.pxd`).

`bookTicker` is kept beside the book and never changes it. Trades the venue itself made
(`INSURANCE_FUND`, auto-deleveraging) are not the market's and are passed over.

Source: Binance documentation, "How to manage a local order book correctly" of spot, USD-M and COIN-M,
updated 2026; captures of 2023-04 and 2024-08 (hftbacktest).
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

from openmm._fast.book cimport (
    BOOK_VERIFIED,
    BREAK_CROSSED,
    BREAK_GAP,
    BREAK_NONE,
    BREAK_PARSE,
    Book,
    BookBreak,
)
from openmm._fast.increments cimport (
    clear_book,
    held_add_c,
    held_alloc,
    held_clear,
    held_next_c,
    next_row_c,
    price_qty_c,
)
from openmm._fast.latency cimport stamp_c
from openmm._fast.ports cimport (
    AGAIN,
    BINDS_MAX,
    BOOK_UPDATES,
    CROSSED,
    DECODED_BOOK,
    DECODED_BROKEN,
    DECODED_IGNORED,
    DECODED_SLOW,
    DECODED_TRADE,
    DROPPED,
    HEARTBEATS,
    MESSAGES,
    MS_MAX,
    OLD_SNAPSHOTS,
    PARSE_ERRORS,
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
    Scan,
    at_value_end,
    is_text,
    next_key,
    next_member,
    scan_rounded_text,
    scan_skip_value,
    scan_space,
    scan_string,
    scan_uint64,
)
from openmm._fast.units cimport ASK, BID, BUY, SELL, UNKNOWN_SIDE, floor_div
from openmm.venues.reach cimport apply_in_reach, end_reach, reach_all

cdef enum:
    DEPTH_MAX = 5000            # levels a side that a REST copy has at most

# What reading a part of a frame says.
cdef enum Read:
    READ_OK = 1
    READ_BROKEN = 2             # `Frame.fault` says why
    READ_AGAIN = 3              # a name or id behind the levels: read with the levels last

cdef enum Kind:
    KIND_NONE = 0
    KIND_DEPTH = 1
    KIND_REST = 2
    KIND_TRADE = 3
    KIND_AGG_TRADE = 4
    KIND_TICKER = 5
    KIND_OTHER = 6

# What to do with the levels of a depth frame.
cdef enum Act:
    ACT_NONE = 0                # not decided yet
    ACT_APPLY = 1
    ACT_REPLACE = 2
    ACT_HOLD = 3
    ACT_DROP = 4                # the book contains it
    ACT_GAP = 5
    ACT_FOREIGN = 6             # not bound
    ACT_BAD = 7

cdef struct Frame:
    const char* data
    const char* end
    int64_t recv_ns
    int32_t in_place            # apply levels while walking
    int32_t joining             # a held frame, applied behind its snapshot
    int32_t kind
    int32_t whole               # one well-formed object
    int32_t fault               # BookBreak, after READ_BROKEN
    int32_t act
    const char* body            # value of `data`
    const char* stream          # name before the `@` of the stream
    Py_ssize_t stream_n
    const char* name            # `s` of the data
    Py_ssize_t name_n
    uint64_t first_id           # `U`
    uint64_t last_id            # `u`, or `lastUpdateId`
    uint64_t before_id          # `pu`
    uint64_t ts_ms
    int32_t has_first
    int32_t has_last
    int32_t has_before
    const char* sides[2]
    Bound* bound


# --- levels

cdef Read apply_levels(BinanceDecoder self, Frame* f, Book book, int side, Cursor* c) noexcept nogil:
    """Apply `[["P","Q"],...]`."""
    cdef Bound* bound = f.bound
    cdef int64_t price_points = 0
    cdef int64_t qty_points = 0
    cdef bint rounded = 0
    cdef bint begun = 0
    cdef int row
    while True:
        f.fault = BREAK_PARSE
        row = next_row_c(c, &begun)
        if row <= 0:
            return READ_OK if row == 0 else READ_BROKEN
        f.fault = price_qty_c(&bound.steps, c, &price_points, &qty_points, &rounded)
        if f.fault == BREAK_NONE:
            f.fault = apply_in_reach(
                self, &bound.steps, &bound.reach, book, side, price_points, qty_points, rounded
            )
        if f.fault != BREAK_NONE:
            return READ_BROKEN


# --- reading a frame

cdef inline int kind_of(Frame* f, const char* text, Py_ssize_t n) noexcept nogil:
    """Tell what a stream carries, and keep the name before its `@`."""
    cdef const char* at = <const char*>memchr(text, c"@", <size_t>n)
    if at == NULL:
        return KIND_OTHER
    f.stream = text
    f.stream_n = at - text
    at += 1
    n -= f.stream_n + 1
    if n >= 5 and memcmp(at, b"depth", 5) == 0 and (n == 5 or at[5] == c"@"):
        return KIND_DEPTH
    if is_text(at, n, b"bookTicker", 10):
        return KIND_TICKER
    if is_text(at, n, b"trade", 5):
        return KIND_TRADE
    if is_text(at, n, b"aggTrade", 8):
        return KIND_AGG_TRADE
    if is_text(at, n, b"rest", 4):
        return KIND_REST
    return KIND_OTHER


cdef void open_frame(Frame* f, const char* data, const char* end, int64_t recv_ns, bint in_place) noexcept nogil:
    memset(f, 0, sizeof(Frame))
    f.data = data
    f.end = end
    f.recv_ns = recv_ns
    f.in_place = in_place


cdef Read read_frame(BinanceDecoder self, Frame* f) noexcept nogil:
    """Walk the envelope; the data of a depth frame too, once the stream is known."""
    cdef Cursor c
    cdef const char* key
    cdef const char* text
    cdef Py_ssize_t n, text_n
    cdef Read got
    c.p = f.data
    c.end = f.end
    f.fault = BREAK_PARSE
    scan_space(&c)
    if c.p >= c.end or c.p[0] != c"{":
        return READ_BROKEN
    c.p += 1
    while True:
        if not next_key(&c, &key, &n):
            return READ_BROKEN
        if key == NULL:
            break
        if n == 6 and memcmp(key, b"stream", 6) == 0:
            if f.kind != KIND_NONE or scan_string(&c, &text, &text_n) != SCAN_OK:
                return READ_BROKEN
            f.kind = kind_of(f, text, text_n)
        elif n == 4 and memcmp(key, b"data", 4) == 0:
            if f.body != NULL:
                return READ_BROKEN
            f.body = c.p
            if f.in_place and f.kind == KIND_DEPTH:
                got = read_book(self, f, &c)
                if got != READ_OK:
                    return got
            elif scan_skip_value(&c) != SCAN_OK:
                return READ_BROKEN
        elif scan_skip_value(&c) != SCAN_OK:
            return READ_BROKEN
        if not next_member(&c):
            return READ_BROKEN
    scan_space(&c)
    f.whole = c.p == c.end
    return READ_OK if f.whole else READ_BROKEN


cdef Read read_book(BinanceDecoder self, Frame* f, Cursor* c) noexcept nogil:
    """Walk a book's members; apply its levels where it may be done in place."""
    cdef const char* key
    cdef Py_ssize_t n
    cdef Scan found
    cdef int side
    cdef Read got
    f.fault = BREAK_PARSE
    if c.p >= c.end or c.p[0] != c"{":
        return READ_BROKEN
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return READ_BROKEN
        if key == NULL:
            return READ_OK
        side = side_of(key, n)
        if side >= 0:
            if f.sides[side] != NULL:
                return READ_BROKEN
            f.sides[side] = c.p
            if f.in_place and f.act == ACT_NONE and known(f):
                if f.sides[1 - side] != NULL:
                    # The other side was passed over.
                    return READ_AGAIN
                decide(self, f)
            if f.in_place and f.act == ACT_APPLY:
                got = apply_levels(self, f, <Book>f.bound.book, side, c)
                if got != READ_OK:
                    return got
                found = SCAN_OK
            else:
                found = scan_skip_value(c)
        elif n == 1 and key[0] == c"s":
            if f.act != ACT_NONE:
                return READ_AGAIN
            if f.name != NULL:
                return READ_BROKEN
            found = scan_string(c, &f.name, &f.name_n)
        elif (n == 1 and key[0] == c"u") or is_text(key, n, b"lastUpdateId", 12):
            if f.act != ACT_NONE:
                return READ_AGAIN
            found = scan_uint64(c, &f.last_id)
            if f.has_last or not at_value_end(c):
                return READ_BROKEN
            f.has_last = 1
        elif n == 1 and key[0] == c"U":
            if f.act != ACT_NONE:
                return READ_AGAIN
            found = scan_uint64(c, &f.first_id)
            if f.has_first or not at_value_end(c):
                return READ_BROKEN
            f.has_first = 1
        elif is_text(key, n, b"pu", 2):
            if f.act != ACT_NONE:
                return READ_AGAIN
            found = scan_uint64(c, &f.before_id)
            if f.has_before or not at_value_end(c):
                return READ_BROKEN
            f.has_before = 1
        elif n == 1 and key[0] == c"E":
            found = scan_uint64(c, &f.ts_ms)
            if not at_value_end(c) or f.ts_ms > MS_MAX:
                return READ_BROKEN
        else:
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return READ_BROKEN


cdef inline int side_of(const char* key, Py_ssize_t n) noexcept nogil:
    if n == 1:
        if key[0] == c"b":
            return BID
        if key[0] == c"a":
            return ASK
    elif n == 4:
        if memcmp(key, b"bids", 4) == 0:
            return BID
        if memcmp(key, b"asks", 4) == 0:
            return ASK
    return -1


cdef inline bint known(const Frame* f) noexcept nogil:
    """Whether a depth frame's name and ids have been read; whether `pu` belongs to them: `decide`."""
    return f.name != NULL and f.has_first and f.has_last


cdef void decide(BinanceDecoder self, Frame* f) noexcept nogil:
    """Find the frame's book and say what becomes of the levels."""
    cdef Bound* bound = self.find_name(f.name, f.name_n)
    cdef uint64_t follows
    f.bound = bound
    if bound == NULL:
        f.act = ACT_FOREIGN
        return
    if f.first_id == 0 or f.first_id > f.last_id or (bound.chained and not f.has_before):
        f.act = ACT_BAD
        return
    if bound.chained:
        if f.before_id >= f.first_id:
            f.act = ACT_BAD
            return
        f.first_id = f.before_id + 1
    follows = bound.last_id + 1
    if not ((<Book>bound.book).live or f.joining):
        f.act = ACT_HOLD
    elif f.last_id <= bound.last_id:
        f.act = ACT_DROP
    elif f.first_id == follows or (f.first_id < follows and not bound.joined):
        f.act = ACT_APPLY
    else:
        f.act = ACT_GAP


cdef inline void begin_book(Bound* bound, Book book) noexcept nogil:
    clear_book(book)
    reach_all(&bound.reach)
    bound.joined = 0


# --- the decoder

@final
cdef class BinanceDecoder(Decoder):
    """Apply book messages to bound books and hand trades to the sink."""

    def __cinit__(self, *args, **kwargs):
        self.bound = <Bound*>calloc(BINDS_MAX, sizeof(Bound))
        if self.bound == NULL:
            raise MemoryError("decoder")

    def __dealloc__(self):
        cdef int32_t i
        if self.bound != NULL:
            for i in range(self.bound_count):
                free(self.bound[i].held.data)
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
        cdef Read got
        tally(self, MESSAGES)
        open_frame(&f, data, data + n_bytes, recv_ns, 1)
        got = read_frame(self, &f)
        if got == READ_AGAIN or (got == READ_OK and needs_again(&f)):
            if f.kind != KIND_REST:
                tally(self, AGAIN)
            got = read_last(self, &f)
        if f.kind == KIND_DEPTH:
            return book_frame(self, &f, got)
        if f.kind == KIND_REST:
            return rest_frame(self, &f, got)
        if f.whole and f.body != NULL:
            if f.kind == KIND_TICKER:
                return ticker_frame(self, &f)
            if f.kind == KIND_TRADE or f.kind == KIND_AGG_TRADE:
                return trade_frame(self, &f)
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
        bint chained=False,
    ):
        """Serve `venue_symbol` into `book`; binding a symbol again replaces its book.

        Args:
            tick_points: tick size in units of 10**-price_decimals.
            lot_points: lot size in units of 10**-qty_decimals.
            depth: levels a side of the REST copy, where what is known ends; 0: all there are.
            chained: each increment names the one before it: USD-M and COIN-M.

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
        if not name or len(name) > NAME_BYTES or b'"' in name or b"\\" in name or b"@" in name:
            raise ValueError(f"symbol must be plain and have 1 to {NAME_BYTES} characters: {venue_symbol!r}")
        bound = self.find_name(name, len(name))
        set_steps(&steps, tick_points, price_decimals, lot_points, qty_decimals)
        index = self.take_book(-1 if bound == NULL else <int32_t>(bound - self.bound), book, instrument_index)
        bound = &self.bound[index]
        held_alloc(&bound.held)
        if bound.reach.prices_ticks == NULL:
            bound.reach.prices_ticks = <int64_t*>calloc(DEPTH_MAX, sizeof(int64_t))
            bound.reach.qtys_lots = <int64_t*>calloc(DEPTH_MAX, sizeof(int64_t))
        if bound.reach.prices_ticks == NULL or bound.reach.qtys_lots == NULL:
            raise MemoryError("reach")
        bound.book = <void*>book
        bound.steps = steps
        bound.last_id = 0
        bound.joined = 0
        bound.chained = chained
        bound.reach.depth = depth
        reach_all(&bound.reach)
        bound.trade_id = 0
        bound.ticker_id = 0
        bound.instrument_index = instrument_index
        bound.name_bytes = <int32_t>len(name)
        memcpy(bound.name, <const char*>name, len(name))
        held_clear(&bound.held)

    def state(self, str venue_symbol not None):
        """Tell one instrument's (id of its book, increments held, snapshots taken)."""
        cdef Bound* bound = self.bound_c(venue_symbol)
        return bound.last_id, bound.held.count, bound.snapshots

    def ticker(self, str venue_symbol not None):
        """Tell the last `bookTicker` of one instrument: (id, bid_ticks, ask_ticks), zeros before."""
        cdef Bound* bound = self.bound_c(venue_symbol)
        return bound.ticker_id, bound.ticker_bid_ticks, bound.ticker_ask_ticks

    cdef Bound* bound_c(self, str venue_symbol) except NULL:
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound = self.find_name(name, len(name))
        if bound == NULL:
            raise KeyError(venue_symbol)
        return bound


cdef inline bint needs_again(const Frame* f) noexcept nogil:
    """Whether a book's data was passed over because its stream or ids came behind it."""
    if f.kind == KIND_REST:
        return f.body != NULL
    return f.kind == KIND_DEPTH and f.body != NULL and f.act == ACT_NONE


cdef Read read_last(BinanceDecoder self, Frame* f) noexcept nogil:
    """Read a frame once more: all members first, the levels only when it is known to be whole."""
    cdef Frame again
    cdef Cursor c
    cdef Read got
    open_frame(&again, f.data, f.end, f.recv_ns, 0)
    again.joining = f.joining
    got = read_frame(self, &again)
    if got == READ_OK and again.body != NULL:
        c.p = again.body
        c.end = again.end
        got = read_book(self, &again, &c)
    f[0] = again
    return got


# --- books

cdef Decoded break_book(BinanceDecoder self, Bound* bound, BookBreak reason) noexcept nogil:
    """Break one book and count why."""
    return break_book_c(self, <Book>bound.book, bound.instrument_index, reason)


cdef Decoded break_all(BinanceDecoder self) noexcept nogil:
    """Break every bound book, and forget what was put aside for them."""
    cdef int32_t i
    for i in range(self.bound_count):
        held_clear(&self.bound[i].held)
    return break_all_c(self)


cdef Decoded book_frame(BinanceDecoder self, Frame* f, Read got) noexcept nogil:
    """Act on a depth frame that has been read as far as it could be."""
    cdef Bound* bound = f.bound
    if got != READ_OK or not f.whole:
        return bad_frame(self, f)
    if f.act == ACT_NONE:
        if not known(f):
            return bad_frame(self, f)
        decide(self, f)
        bound = f.bound
        if f.act == ACT_APPLY and apply_sides(self, f) != READ_OK:
            held_clear(&bound.held)
            return break_book(self, bound, <BookBreak>f.fault)
    if f.act == ACT_FOREIGN:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    self.touched = bound.instrument_index
    if f.act == ACT_APPLY:
        return finish_book(self, f, bound, <Book>bound.book)
    if f.act == ACT_HOLD:
        held_add_c(self, &bound.held, f.data, f.end - f.data, f.first_id, f.last_id)
        return DECODED_IGNORED
    if f.act == ACT_DROP:
        tally(self, DROPPED)
        return DECODED_IGNORED
    if f.act == ACT_GAP:
        break_book(self, bound, BREAK_GAP)
        held_clear(&bound.held)
        held_add_c(self, &bound.held, f.data, f.end - f.data, f.first_id, f.last_id)
        return DECODED_BROKEN
    held_clear(&bound.held)
    return break_book(self, bound, BREAK_PARSE)


cdef Decoded bad_frame(BinanceDecoder self, Frame* f) noexcept nogil:
    """Break the book that a frame names which could not be read; all of them when it names none."""
    cdef Bound* bound = f.bound
    cdef int fault = f.fault
    if bound == NULL:
        if f.name == NULL:
            return break_all(self)
        bound = self.find_name(f.name, f.name_n)
        if bound == NULL:
            tally(self, UNBOUND)
            return DECODED_IGNORED
    if fault == BREAK_NONE:
        fault = BREAK_PARSE
    held_clear(&bound.held)
    return break_book(self, bound, <BookBreak>fault)


cdef Read apply_sides(BinanceDecoder self, Frame* f) noexcept nogil:
    """Apply the levels that were passed over."""
    cdef Cursor c
    cdef int side
    c.end = f.end
    for side in range(2):
        if f.sides[side] != NULL:
            c.p = f.sides[side]
            if apply_levels(self, f, <Book>f.bound.book, side, &c) != READ_OK:
                return READ_BROKEN
    return READ_OK


cdef Decoded finish_book(BinanceDecoder self, Frame* f, Bound* bound, Book book) noexcept nogil:
    """Verify: after the last level of a message."""
    self.applied_stamp = stamp_c()
    self.touched = bound.instrument_index
    self.ts_ns = <int64_t>f.ts_ms * 1_000_000
    bound.last_id = f.last_id
    tally(self, BOOK_UPDATES)
    if f.act == ACT_REPLACE:
        tally(self, SNAPSHOTS)
        bound.snapshots += 1
        held_clear(&bound.held)
        if book.recentre_due:
            book.recentre_c()
    else:
        bound.joined = 1
    book.verify_c(f.recv_ns, self.ts_ns)
    if book.state == BOOK_VERIFIED:
        return DECODED_BOOK
    if book.break_reason == BREAK_CROSSED:
        tally(self, CROSSED)
    held_clear(&bound.held)
    return DECODED_BROKEN


# --- increments that wait for their snapshot

cdef Decoded rest_frame(BinanceDecoder self, Frame* f, Read got) noexcept nogil:
    """Start a book from the REST copy, then apply the increments held that lie behind it."""
    cdef Bound* bound = NULL
    if f.stream != NULL:
        bound = self.find_name(f.stream, f.stream_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    f.bound = bound
    self.touched = bound.instrument_index
    return start_book(self, f, got, bound, <Book>bound.book)


cdef Decoded start_book(BinanceDecoder self, Frame* f, Read got, Bound* bound, Book book) noexcept nogil:
    cdef int side
    if book.live:
        # The stream is ahead of any copy.
        tally(self, DROPPED)
        return DECODED_IGNORED
    if got != READ_OK or not f.whole or not f.has_last or f.last_id == 0:
        # An error's body, or one without its id. What is held still waits for a better one.
        return break_book(self, bound, BREAK_PARSE)
    begin_book(bound, book)
    if apply_sides(self, f) != READ_OK:
        return break_book(self, bound, <BookBreak>f.fault)
    for side in range(2):
        if book.count[side] >= bound.reach.depth > 0:
            end_reach(&bound.reach, book, side)
    bound.last_id = f.last_id
    if bound.held.count > 0 and bound.held.first_id > bound.last_id + 1:
        tally(self, OLD_SNAPSHOTS)
        book.break_c(BREAK_GAP)
        return DECODED_BROKEN
    if not join(self, f):
        held_clear(&bound.held)
        return break_book(self, bound, <BookBreak>f.fault)
    f.act = ACT_REPLACE
    return finish_book(self, f, bound, book)


cdef bint join(BinanceDecoder self, Frame* snapshot) noexcept nogil:
    """Apply the increments held behind a snapshot; 0 with `fault` when one does not fit."""
    cdef Bound* bound = snapshot.bound
    cdef Frame f
    cdef Read got
    cdef int64_t at = 0
    cdef int64_t n_bytes = 0
    cdef const char* data = NULL
    while held_next_c(&bound.held, &at, &data, &n_bytes):
        open_frame(&f, data, data + n_bytes, snapshot.recv_ns, 1)
        f.joining = 1
        got = read_frame(self, &f)
        if got == READ_AGAIN or (got == READ_OK and needs_again(&f)):
            got = read_last(self, &f)
            if got == READ_OK:
                decide(self, &f)
                if f.act == ACT_APPLY:
                    got = apply_sides(self, &f)
        if got != READ_OK:
            snapshot.fault = f.fault
            return 0
        if f.act == ACT_DROP:
            tally(self, DROPPED)
        elif f.act == ACT_APPLY:
            bound.last_id = f.last_id
            bound.joined = 1
            snapshot.last_id = f.last_id
            snapshot.ts_ms = f.ts_ms
            tally(self, BOOK_UPDATES)
        else:
            snapshot.fault = BREAK_GAP
            return 0
    return 1


# --- trades and best prices

cdef Decoded trade_frame(BinanceDecoder self, const Frame* f) noexcept nogil:
    """Hand one trade to the sink."""
    cdef Cursor c
    cdef Cursor at
    cdef Trade trade
    cdef Bound* bound
    cdef const char* key
    cdef const char* name = NULL
    cdef const char* cause = NULL
    cdef const char* price = NULL
    cdef const char* qty = NULL
    cdef Py_ssize_t n
    cdef Py_ssize_t name_n = 0
    cdef Py_ssize_t cause_n = 0
    cdef uint64_t ts_ms = 0
    cdef int64_t price_points, qty_points
    cdef bint rounded = 0
    cdef Scan found
    cdef char id_key = c"a" if f.kind == KIND_AGG_TRADE else c"t"
    memset(&trade, 0, sizeof(Trade))
    trade.taker_side = UNKNOWN_SIDE
    c.p = f.body
    c.end = f.end
    if c.p >= c.end or c.p[0] != c"{":
        return trades_bad_c(self)
    c.p += 1
    while True:
        if not next_key(&c, &key, &n):
            return trades_bad_c(self)
        if key == NULL:
            break
        if n != 1:
            found = scan_skip_value(&c)
        elif key[0] == c"s":
            found = scan_string(&c, &name, &name_n)
        elif key[0] == id_key:
            found = scan_uint64(&c, &trade.trade_id)
        elif key[0] == c"T":
            found = scan_uint64(&c, &ts_ms)
        elif key[0] == c"X":
            found = scan_string(&c, &cause, &cause_n)
        else:
            if key[0] == c"p":
                price = c.p
            elif key[0] == c"q":
                qty = c.p
            elif key[0] == c"m" and c.p < c.end:
                # True when the buyer rested: the seller took.
                if c.p[0] == c"t":
                    trade.taker_side = SELL
                elif c.p[0] == c"f":
                    trade.taker_side = BUY
            found = scan_skip_value(&c)
        if found != SCAN_OK or not next_member(&c):
            return trades_bad_c(self)
    if name == NULL or price == NULL or qty == NULL or ts_ms > MS_MAX:
        return trades_bad_c(self)
    bound = self.find_name(name, name_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    at.end = c.end
    at.p = price
    if scan_rounded_text(&at, bound.steps.price_decimals, &price_points, &rounded) != SCAN_OK:
        return trades_bad_c(self)
    at.p = qty
    if scan_rounded_text(&at, bound.steps.qty_decimals, &qty_points, &rounded) != SCAN_OK:
        return trades_bad_c(self)
    if f.kind == KIND_TRADE and trade.trade_id != 0:
        if trade.trade_id <= bound.trade_id:
            tally(self, TRADES_REPEATED)
            return DECODED_IGNORED
        if bound.trade_id != 0 and trade.trade_id != bound.trade_id + 1:
            tally(self, TRADE_GAPS)
        bound.trade_id = trade.trade_id
    if cause != NULL and not is_text(cause, cause_n, b"MARKET", 6):
        return DECODED_IGNORED
    if not set_trade_c(self, &bound.steps, price_points, qty_points, rounded, &trade):
        return trades_bad_c(self)
    trade.ts_ns = <int64_t>ts_ms * 1_000_000
    trade.instrument_index = bound.instrument_index
    tally(self, TRADES)
    self.touched = bound.instrument_index
    self.ts_ns = trade.ts_ns
    if self.sink is not None:
        self.sink.on_trade_c(&trade)
    return DECODED_TRADE


cdef Decoded ticker_frame(BinanceDecoder self, const Frame* f) noexcept nogil:
    """Keep the best prices that the venue tells beside the book; they count as life."""
    cdef Cursor c
    cdef Bound* bound
    cdef const char* key
    cdef const char* name = NULL
    cdef const char* prices[2]
    cdef Py_ssize_t n
    cdef Py_ssize_t name_n = 0
    cdef uint64_t ticker_id = 0
    cdef int64_t points[2]
    cdef bint rounded = 0
    cdef Scan found
    cdef int side
    prices[0] = prices[1] = NULL
    c.p = f.body
    c.end = f.end
    if c.p >= c.end or c.p[0] != c"{":
        return ticker_bad(self)
    c.p += 1
    while True:
        if not next_key(&c, &key, &n):
            return ticker_bad(self)
        if key == NULL:
            break
        if n == 1 and key[0] == c"s":
            found = scan_string(&c, &name, &name_n)
        elif n == 1 and key[0] == c"u":
            found = scan_uint64(&c, &ticker_id)
        else:
            if n == 1 and key[0] == c"b":
                prices[0] = c.p
            elif n == 1 and key[0] == c"a":
                prices[1] = c.p
            found = scan_skip_value(&c)
        if found != SCAN_OK or not next_member(&c):
            return ticker_bad(self)
    if name == NULL or prices[0] == NULL or prices[1] == NULL:
        return ticker_bad(self)
    bound = self.find_name(name, name_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    for side in range(2):
        c.p = prices[side]
        if scan_rounded_text(&c, bound.steps.price_decimals, &points[side], &rounded) != SCAN_OK:
            return ticker_bad(self)
    bound.ticker_id = ticker_id
    bound.ticker_bid_ticks = floor_div(points[0], bound.steps.tick_points)
    bound.ticker_ask_ticks = floor_div(points[1], bound.steps.tick_points)
    tally(self, HEARTBEATS)
    return DECODED_IGNORED


cdef Decoded ticker_bad(BinanceDecoder self) noexcept nogil:
    tally(self, PARSE_ERRORS)
    tally(self, SLOW)
    return DECODED_SLOW
