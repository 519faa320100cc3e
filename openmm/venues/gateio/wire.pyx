"""Gate.io spot v4 market data: bytes of a frame into the bound books, and trades to the sink.

A book frame is walked once and its levels applied as they are read, as long as its members stand in
the order the venue sends them (name and ids before the levels). A frame in another order is walked a
second time, levels last: they are absolute, so applying some twice changes nothing.

Two channels make a book. `spot.order_book_update` counts every change of a pair: increments are put
aside until the REST copy of the same depth is there (a frame that `connector` writes around the
reply: channel `rest.order_book`), then those behind it are applied. `spot.obu` brings a full book
first. A frame that does not follow on the last one breaks the book; so does one that crosses it or
cannot be read, and one that names no book breaks them all.

Source: Gate documentation, "Spot WebSocket v4", chapters order_book_update and obu, updated
2026-04-27; capture of 2021-04-22 (cryptofeed), which also shows quantities finer than the pair's
step in books.
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
from openmm._fast.increments cimport (
    apply_array_c,
    clear_book,
    held_add_c,
    held_alloc,
    held_clear,
    held_next_c,
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
    NOT_READY,
    OLD_SNAPSHOTS,
    SLOW,
    SNAPSHOTS,
    TRADES,
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
from openmm._fast.units cimport ASK, BID, BUY, SELL, UNKNOWN_SIDE

# What reading a part of a frame says.
cdef enum Read:
    READ_OK = 1
    READ_BROKEN = 2             # `Frame.fault` says why
    READ_AGAIN = 3              # a name or id behind the levels: read with the levels last

cdef enum Kind:
    KIND_NONE = 0
    KIND_UPDATE = 1             # as Channel
    KIND_OBU = 2
    KIND_REST = 3
    KIND_TRADES = 4
    KIND_PONG = 5
    KIND_OTHER = 6

cdef enum Event:
    EVENT_NONE = 0
    EVENT_UPDATE = 1
    EVENT_OTHER = 2             # subscribe, unsubscribe

# What to do with the levels of a book frame.
cdef enum Act:
    ACT_NONE = 0                # not decided yet
    ACT_APPLY = 1
    ACT_REPLACE = 2
    ACT_HOLD = 3
    ACT_DROP = 4                # the book contains it
    ACT_WAIT = 5                # obu without its full frame
    ACT_GAP = 6
    ACT_FOREIGN = 7             # not bound
    ACT_BAD = 8

cdef struct Frame:
    const char* data
    const char* end
    int64_t recv_ns
    int32_t in_place            # apply levels while walking
    int32_t joining             # a held frame, applied behind its snapshot
    int32_t kind
    int32_t event
    int32_t whole               # one well-formed object
    int32_t fault               # BookBreak, after READ_BROKEN
    int32_t act
    const char* result
    const char* pair            # `s` outside of the result: of a REST copy
    Py_ssize_t pair_n
    const char* stream          # `s` of the result
    Py_ssize_t stream_n
    uint64_t first_id
    uint64_t last_id
    uint64_t ts_ms
    int32_t has_first
    int32_t has_last
    int32_t full
    int32_t full_seen
    const char* sides[2]
    Bound* bound


# --- levels

cdef inline Read apply_levels(GateioDecoder self, Frame* f, Book book, int side, Cursor* c) noexcept nogil:
    f.fault = apply_array_c(self, &f.bound.steps, book, side, c)
    if f.fault != BREAK_NONE:
        return READ_BROKEN
    f.fault = BREAK_PARSE
    return READ_OK


# --- reading a frame

cdef inline int kind_of(const char* text, Py_ssize_t n) noexcept nogil:
    if is_text(text, n, b"spot.order_book_update", 22):
        return KIND_UPDATE
    if is_text(text, n, b"spot.obu", 8):
        return KIND_OBU
    if is_text(text, n, b"spot.trades", 11):
        return KIND_TRADES
    if is_text(text, n, b"spot.pong", 9):
        return KIND_PONG
    if is_text(text, n, b"rest.order_book", 15):
        return KIND_REST
    return KIND_OTHER


cdef void open_frame(Frame* f, const char* data, const char* end, int64_t recv_ns, bint in_place) noexcept nogil:
    memset(f, 0, sizeof(Frame))
    f.data = data
    f.end = end
    f.recv_ns = recv_ns
    f.in_place = in_place


cdef Read read_frame(GateioDecoder self, Frame* f) noexcept nogil:
    """Walk the envelope; the result of a book frame too, once the channel is known."""
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
        if n == 7 and memcmp(key, b"channel", 7) == 0:
            if f.kind != KIND_NONE or scan_string(&c, &text, &text_n) != SCAN_OK:
                return READ_BROKEN
            f.kind = kind_of(text, text_n)
        elif n == 5 and memcmp(key, b"event", 5) == 0:
            if f.event != EVENT_NONE or scan_string(&c, &text, &text_n) != SCAN_OK:
                return READ_BROKEN
            f.event = EVENT_UPDATE if is_text(text, text_n, b"update", 6) else EVENT_OTHER
        elif n == 6 and memcmp(key, b"result", 6) == 0:
            if f.result != NULL:
                return READ_BROKEN
            f.result = c.p
            if f.in_place and (f.kind == KIND_UPDATE or f.kind == KIND_OBU) and f.event != EVENT_OTHER:
                got = read_book(self, f, &c)
                if got != READ_OK:
                    return got
            elif scan_skip_value(&c) != SCAN_OK:
                return READ_BROKEN
        elif n == 1 and key[0] == c"s":
            if f.pair != NULL or scan_string(&c, &f.pair, &f.pair_n) != SCAN_OK:
                return READ_BROKEN
        elif scan_skip_value(&c) != SCAN_OK:
            return READ_BROKEN
        if not next_member(&c):
            return READ_BROKEN
    scan_space(&c)
    f.whole = c.p == c.end
    return READ_OK if f.whole else READ_BROKEN


cdef Read read_book(GateioDecoder self, Frame* f, Cursor* c) noexcept nogil:
    """Walk a book's members; apply its levels where it may be done in place."""
    cdef const char* key
    cdef Py_ssize_t n
    cdef Scan found
    cdef int side
    cdef Read got
    f.fault = BREAK_PARSE
    if c.p >= c.end or c.p[0] != c"{":
        return READ_OK if scan_skip_value(c) == SCAN_OK else READ_BROKEN
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
            if f.in_place and (f.act == ACT_APPLY or f.act == ACT_REPLACE):
                got = apply_levels(self, f, <Book>f.bound.book, side, c)
                if got != READ_OK:
                    return got
                found = SCAN_OK
            else:
                found = scan_skip_value(c)
        elif n == 1 and key[0] == c"s":
            if f.act != ACT_NONE:
                return READ_AGAIN
            if f.stream != NULL:
                return READ_BROKEN
            found = scan_string(c, &f.stream, &f.stream_n)
        elif (n == 1 and key[0] == c"u") or is_text(key, n, b"id", 2):
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
        elif (n == 1 and key[0] == c"t") or is_text(key, n, b"update", 6):
            found = scan_uint64(c, &f.ts_ms)
            if not at_value_end(c) or f.ts_ms > MS_MAX:
                return READ_BROKEN
        elif is_text(key, n, b"full", 4):
            if f.act != ACT_NONE:
                return READ_AGAIN
            if f.full_seen:
                return READ_BROKEN
            f.full_seen = 1
            f.full = c.end - c.p >= 4 and memcmp(c.p, b"true", 4) == 0
            found = scan_skip_value(c)
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
    """Whether a book frame's name and ids have been read."""
    return f.stream != NULL and f.has_last and (f.has_first or f.full)


cdef void decide(GateioDecoder self, Frame* f) noexcept nogil:
    """Find the frame's book and say what becomes of the levels; a replacement clears it."""
    cdef Bound* bound = self.find_stream(f.stream, f.stream_n)
    f.bound = bound
    if bound == NULL or bound.channel != f.kind:
        f.bound = NULL
        f.act = ACT_FOREIGN
    elif f.full:
        f.act = ACT_REPLACE
        clear_book(<Book>bound.book)
    elif f.first_id == 0 or f.first_id > f.last_id:
        f.act = ACT_BAD
    elif not ((<Book>bound.book).live or f.joining):
        f.act = ACT_HOLD if f.kind == KIND_UPDATE else ACT_WAIT
    elif f.kind == KIND_OBU:
        f.act = ACT_APPLY if f.first_id == bound.last_id + 1 else ACT_GAP
    elif f.last_id <= bound.last_id:
        f.act = ACT_DROP
    else:
        f.act = ACT_APPLY if f.first_id <= bound.last_id + 1 else ACT_GAP


# --- the decoder

@final
cdef class GateioDecoder(Decoder):
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
        free(self.bound)

    # --- C face

    cdef Bound* find_name(self, const char* text, Py_ssize_t n) noexcept nogil:
        cdef int32_t i
        for i in range(self.bound_count):
            if is_text(text, n, self.bound[i].name, self.bound[i].name_bytes):
                return &self.bound[i]
        return NULL

    cdef Bound* find_stream(self, const char* text, Py_ssize_t n) noexcept nogil:
        cdef int32_t i
        cdef Bound* bound = &self.bound[self.last]
        # One instrument's messages come in runs. No bound has an empty name, and nothing matches it.
        if n != 0 and is_text(text, n, bound.stream, bound.stream_bytes):
            return bound
        for i in range(self.bound_count):
            if is_text(text, n, self.bound[i].stream, self.bound[i].stream_bytes):
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
        if f.kind == KIND_UPDATE or f.kind == KIND_OBU:
            return book_frame(self, &f, got)
        if f.whole and f.kind == KIND_TRADES and f.event == EVENT_UPDATE:
            return trades(self, &f)
        if f.kind == KIND_REST:
            return rest_frame(self, &f, got)
        if f.whole and f.kind == KIND_PONG:
            tally(self, HEARTBEATS)
            return DECODED_IGNORED
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
        int32_t depth=50,
    ):
        """Serve `venue_symbol` into `book`; binding a symbol again replaces its book.

        Args:
            tick_points: tick size in units of 10**-price_decimals.
            lot_points: lot size in units of 10**-qty_decimals.
            depth: 20 or 100: of `spot.order_book_update`; 50 or 400: of `spot.obu`.

        Raises:
            ValueError: for a symbol too long, a depth Gate.io does not offer, steps or decimals out of
                range, or more instruments than the decoder serves.
        """
        cdef bytes name = venue_symbol.encode("ascii")
        cdef bytes stream
        cdef Bound* bound
        cdef Steps steps
        cdef int32_t index
        if depth not in (20, 50, 100, 400):
            raise ValueError(f"depth must be 20, 50, 100 or 400: {depth}")
        stream = name if depth in (20, 100) else f"ob.{venue_symbol}.{depth}".encode("ascii")
        if not name or len(stream) > NAME_BYTES or b'"' in name or b"\\" in name:
            raise ValueError(f"symbol must be plain and have 1 to {NAME_BYTES - 7} characters: {venue_symbol!r}")
        bound = self.find_name(name, len(name))
        set_steps(&steps, tick_points, price_decimals, lot_points, qty_decimals)
        index = self.take_book(-1 if bound == NULL else <int32_t>(bound - self.bound), book, instrument_index)
        bound = &self.bound[index]
        held_alloc(&bound.held)
        bound.book = <void*>book
        bound.steps = steps
        bound.last_id = 0
        bound.depth = depth
        bound.channel = CHANNEL_UPDATE if depth in (20, 100) else CHANNEL_OBU
        bound.instrument_index = instrument_index
        bound.name_bytes = <int32_t>len(name)
        bound.stream_bytes = <int32_t>len(stream)
        memcpy(bound.name, <const char*>name, len(name))
        memcpy(bound.stream, <const char*>stream, len(stream))

    def state(self, str venue_symbol not None):
        """Tell one instrument's (id of its book, increments held, snapshots taken)."""
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound = self.find_name(name, len(name))
        if bound == NULL:
            raise KeyError(venue_symbol)
        return bound.last_id, bound.held.count, bound.snapshots


cdef inline bint needs_again(const Frame* f) noexcept nogil:
    """Whether a book's result was passed over because its channel or ids came behind it."""
    if f.kind == KIND_REST:
        return f.result != NULL
    if (f.kind != KIND_UPDATE and f.kind != KIND_OBU) or f.event == EVENT_OTHER:
        return 0
    return f.result != NULL and f.act == ACT_NONE


cdef Read read_last(GateioDecoder self, Frame* f) noexcept nogil:
    """Read a frame once more: all members first, the levels only when it is known to be whole."""
    cdef Frame again
    cdef Cursor c
    cdef Read got
    open_frame(&again, f.data, f.end, f.recv_ns, 0)
    again.joining = f.joining
    got = read_frame(self, &again)
    if got == READ_OK and again.event != EVENT_OTHER and again.result != NULL:
        c.p = again.result
        c.end = again.end
        got = read_book(self, &again, &c)
    f[0] = again
    return got


# --- books

cdef Decoded break_book(GateioDecoder self, Bound* bound, BookBreak reason) noexcept nogil:
    """Break one book and count why."""
    return break_book_c(self, <Book>bound.book, bound.instrument_index, reason)


cdef Decoded break_all(GateioDecoder self) noexcept nogil:
    """Break every bound book, and forget what was put aside for them."""
    cdef int32_t i
    for i in range(self.bound_count):
        held_clear(&self.bound[i].held)
    return break_all_c(self)


cdef Decoded book_frame(GateioDecoder self, Frame* f, Read got) noexcept nogil:
    """Act on a frame of a book channel that has been read as far as it could be."""
    cdef Bound* bound = f.bound
    if got != READ_OK or not f.whole:
        return bad_frame(self, f)
    if f.event == EVENT_OTHER or f.stream == NULL:
        if bound != NULL and (f.act == ACT_APPLY or f.act == ACT_REPLACE):
            # Its levels are in already, and it is no update after all.
            return bad_frame(self, f)
        # The answer to a subscription.
        tally(self, SLOW)
        return DECODED_SLOW
    if f.act == ACT_NONE:
        if not known(f):
            return bad_frame(self, f)
        decide(self, f)
        bound = f.bound
        if (f.act == ACT_APPLY or f.act == ACT_REPLACE) and apply_sides(self, f) != READ_OK:
            held_clear(&bound.held)
            return break_book(self, bound, <BookBreak>f.fault)
    if f.act == ACT_FOREIGN:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    self.touched = bound.instrument_index
    if f.act == ACT_APPLY or f.act == ACT_REPLACE:
        return finish_book(self, f, bound, <Book>bound.book)
    if f.act == ACT_HOLD:
        held_add_c(self, &bound.held, f.data, f.end - f.data, f.first_id, f.last_id)
        return DECODED_IGNORED
    if f.act == ACT_DROP:
        tally(self, DROPPED)
        return DECODED_IGNORED
    if f.act == ACT_WAIT:
        tally(self, NOT_READY)
        return DECODED_IGNORED
    if f.act == ACT_GAP:
        break_book(self, bound, BREAK_GAP)
        if f.kind == KIND_UPDATE:
            held_clear(&bound.held)
            held_add_c(self, &bound.held, f.data, f.end - f.data, f.first_id, f.last_id)
        return DECODED_BROKEN
    held_clear(&bound.held)
    return break_book(self, bound, BREAK_PARSE)


cdef Decoded bad_frame(GateioDecoder self, Frame* f) noexcept nogil:
    """Break the book that a frame names which could not be read; all of them when it names none."""
    cdef Bound* bound = f.bound
    cdef int fault = f.fault
    if f.kind == KIND_UPDATE or f.kind == KIND_OBU:
        if f.event == EVENT_OTHER and bound == NULL:
            tally(self, SLOW)
            return DECODED_SLOW
        if bound == NULL:
            if f.stream == NULL:
                return break_all(self)
            bound = self.find_stream(f.stream, f.stream_n)
            if bound == NULL or bound.channel != f.kind:
                tally(self, UNBOUND)
                return DECODED_IGNORED
    if fault == BREAK_NONE:
        fault = BREAK_PARSE
    held_clear(&bound.held)
    return break_book(self, bound, <BookBreak>fault)


cdef Read apply_sides(GateioDecoder self, Frame* f) noexcept nogil:
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


cdef Decoded finish_book(GateioDecoder self, Frame* f, Bound* bound, Book book) noexcept nogil:
    """Cut to the depth and verify: after the last level of a message."""
    self.applied_stamp = stamp_c()
    self.touched = bound.instrument_index
    self.ts_ns = <int64_t>f.ts_ms * 1_000_000
    bound.last_id = f.last_id
    tally(self, BOOK_UPDATES)
    book.cut_c(bound.depth)
    if f.act == ACT_REPLACE:
        tally(self, SNAPSHOTS)
        bound.snapshots += 1
        held_clear(&bound.held)
        if book.recentre_due:
            book.recentre_c()
    book.verify_c(f.recv_ns, self.ts_ns)
    if book.state == BOOK_VERIFIED:
        return DECODED_BOOK
    if book.break_reason == BREAK_CROSSED:
        tally(self, CROSSED)
    held_clear(&bound.held)
    return DECODED_BROKEN


# --- a book from its REST copy

cdef Decoded rest_frame(GateioDecoder self, Frame* f, Read got) noexcept nogil:
    """Start a book from the REST copy, then apply the increments held that lie behind it."""
    cdef Bound* bound = NULL
    if f.pair != NULL:
        bound = self.find_name(f.pair, f.pair_n)
    if bound == NULL or bound.channel != CHANNEL_UPDATE:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    f.bound = bound
    self.touched = bound.instrument_index
    return start_book(self, f, got, bound, <Book>bound.book)


cdef Decoded start_book(GateioDecoder self, Frame* f, Read got, Bound* bound, Book book) noexcept nogil:
    if book.live:
        # The stream is ahead of any copy.
        tally(self, DROPPED)
        return DECODED_IGNORED
    if got != READ_OK or not f.whole or not f.has_last or f.last_id == 0:
        # An error's body, or one without its id. What is held still waits for a better one.
        return break_book(self, bound, BREAK_PARSE)
    clear_book(book)
    if apply_sides(self, f) != READ_OK:
        return break_book(self, bound, <BookBreak>f.fault)
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


cdef bint join(GateioDecoder self, Frame* snapshot) noexcept nogil:
    """Apply the increments held behind a snapshot; 0 with `fault` when one does not fit."""
    cdef Bound* bound = snapshot.bound
    cdef Frame f
    cdef Read got
    cdef const char* data = NULL
    cdef int64_t at = 0
    cdef int64_t n_bytes = 0
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
            snapshot.last_id = f.last_id
            snapshot.ts_ms = f.ts_ms
            tally(self, BOOK_UPDATES)
        else:
            snapshot.fault = BREAK_GAP
            return 0
    return 1


# --- trades

cdef bint read_trade(GateioDecoder self, Cursor* c, Trade* trade, Bound** owner) noexcept nogil:
    """Read one trade object; `owner` is NULL for an instrument not bound. 0 on bad text."""
    cdef const char* key
    cdef const char* text
    cdef const char* price = NULL
    cdef const char* qty = NULL
    cdef const char* symbol = NULL
    cdef Py_ssize_t n, text_n
    cdef Py_ssize_t symbol_n = 0
    cdef uint64_t market_id = 0
    cdef uint64_t second = 0
    cdef bint rounded = 0
    cdef bint fraction = 0
    cdef Cursor at
    cdef int64_t price_points, qty_points
    cdef Scan found
    trade.ts_ns = 0
    trade.trade_id = 0
    trade.taker_side = UNKNOWN_SIDE
    trade.snapshot = 0
    owner[0] = NULL
    if c.p >= c.end or c.p[0] != c"{":
        return 0
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return 0
        if key == NULL:
            break
        if is_text(key, n, b"currency_pair", 13):
            found = scan_string(c, &symbol, &symbol_n)
        elif is_text(key, n, b"side", 4):
            found = scan_string(c, &text, &text_n)
            if found == SCAN_OK and is_text(text, text_n, b"buy", 3):
                trade.taker_side = BUY
            elif found == SCAN_OK and is_text(text, text_n, b"sell", 4):
                trade.taker_side = SELL
        elif is_text(key, n, b"id", 2):
            found = scan_uint64(c, &trade.trade_id)
        elif is_text(key, n, b"id_market", 9):
            found = scan_uint64(c, &market_id)
        elif is_text(key, n, b"create_time", 11):
            found = scan_uint64(c, &second)
        elif is_text(key, n, b"create_time_ms", 14):
            found = scan_rounded_text(c, 6, &trade.ts_ns, &fraction)
        else:
            if is_text(key, n, b"price", 5):
                price = c.p
            elif is_text(key, n, b"amount", 6):
                qty = c.p
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return 0
    if symbol == NULL or price == NULL or qty == NULL:
        return 0
    if trade.trade_id == 0:
        trade.trade_id = market_id
    if trade.ts_ns == 0 and second <= MS_MAX // 1000:
        trade.ts_ns = <int64_t>second * 1_000_000_000
    owner[0] = self.find_name(symbol, symbol_n)
    if owner[0] == NULL:
        return 1
    at.end = c.end
    at.p = price
    if scan_rounded_text(&at, owner[0].steps.price_decimals, &price_points, &rounded) != SCAN_OK:
        return 0
    at.p = qty
    if scan_rounded_text(&at, owner[0].steps.qty_decimals, &qty_points, &rounded) != SCAN_OK:
        return 0
    if not set_trade_c(self, &owner[0].steps, price_points, qty_points, rounded, trade):
        return 0
    trade.instrument_index = owner[0].instrument_index
    return 1


cdef Decoded trades(GateioDecoder self, const Frame* f) noexcept nogil:
    """Hand the trades of a message to the sink: one object, or an array of them."""
    cdef Cursor c
    cdef Trade trade
    cdef Bound* owner
    cdef bint many
    cdef int64_t delivered = 0
    c.p = f.result
    c.end = f.end
    if f.result == NULL or c.p >= c.end:
        return trades_bad_c(self)
    many = c.p[0] == c"["
    if many:
        c.p += 1
        scan_space(&c)
        if c.p < c.end and c.p[0] == c"]":
            return DECODED_IGNORED
    while True:
        if not read_trade(self, &c, &trade, &owner):
            return trades_bad_c(self)
        if owner == NULL:
            tally(self, UNBOUND)
        else:
            tally(self, TRADES)
            self.touched = owner.instrument_index
            self.ts_ns = trade.ts_ns
            delivered += 1
            if self.sink is not None:
                self.sink.on_trade_c(&trade)
        scan_space(&c)
        if not many or c.p >= c.end or c.p[0] != c",":
            break
        c.p += 1
        scan_space(&c)
    return DECODED_TRADE if delivered else DECODED_IGNORED
