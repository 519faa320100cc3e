"""Bitget spot market data, API v2 and v3: bytes of a frame into the bound books, trades to the sink.

A push is read whole before any level of it is applied: what tells whether it follows on the last
one (`seq`, `pseq`) stands behind the levels. Then its levels go into the book, then the checksum is
compared where the venue sends one, then the book is verified. Members may stand in any order and
under the names of either interface (`asks` or `a`, `channel` or `topic`).

What proves that nothing was lost depends on the generation of the feed: a checksum until May 2026;
`pseq`, the `seq` of the push before, where it is sent; with `seq` alone only a repeat or an older
push can be told. A feed that once sent one of them and then leaves it out breaks the book.

Source: Bitget API documentation, "Depth Channel", "Trades Channel" (v2) and "Order Book Channel",
"Public Trades Channel" (v3), crawl of 2025-12-05; the page of 2026; captures of 2022-04-07.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from openmm._fast.book cimport (
    APPLY_FULL,
    APPLY_OK,
    BOOK_VERIFIED,
    BREAK_BOUNDS,
    BREAK_CAPACITY,
    BREAK_CHECKSUM,
    BREAK_CROSSED,
    BREAK_GAP,
    BREAK_NONE,
    BREAK_OFF_TICK,
    BREAK_PARSE,
    Apply,
    Book,
    BookBreak,
)
from openmm._fast.latency cimport stamp_c
from openmm._fast.ports cimport (
    BINDS_MAX,
    BOOK_UPDATES,
    CHECKSUMS_OK,
    CROSSED,
    DECODED_BOOK,
    DECODED_BROKEN,
    DECODED_IGNORED,
    DECODED_SLOW,
    DECODED_TRADE,
    DROPPED,
    HEARTBEATS,
    LOTS_MAX,
    MESSAGES,
    MS_MAX,
    NOT_READY,
    SLOW,
    SNAPSHOTS,
    TICKS_MAX,
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
    SCAN_PRECISION,
    SCAN_RANGE,
    Cursor,
    Scan,
    at_value_end,
    is_text,
    next_key,
    next_member,
    scan_decimal,
    scan_int64,
    scan_rounded_text,
    scan_skip_value,
    scan_space,
    scan_string,
    scan_uint64,
)
from openmm._fast.units cimport ASK, BID, BUY, SELL, UNKNOWN_SIDE, floor_div
from openmm.venues.bitget.checksum cimport (
    texts_alloc_c,
    texts_apply_c,
    texts_clear_c,
    texts_crc_c,
)

cdef enum:
    DROPS_MAX = 3               # older pushes in a row: then the venue has begun to count anew
    TEXTS_NONE = 0
    TEXTS_KEPT = 1              # since the last snapshot, which carried a checksum
    TEXTS_ASKED = 2             # for good: an update carried one although its snapshot did not

cdef enum Action:
    ACTION_NONE = 0
    ACTION_SNAPSHOT = 1
    ACTION_UPDATE = 2
    ACTION_OTHER = 3

cdef enum Kind:
    KIND_NONE = 0
    KIND_BOOK = 1
    KIND_TRADES = 2
    KIND_OTHER = 3

cdef struct Frame:
    const char* end
    const char* channel
    Py_ssize_t channel_n
    const char* symbol
    Py_ssize_t symbol_n
    const char* data
    Bound* bound
    int32_t kind
    int32_t action
    int32_t event
    int32_t has_arg
    int32_t whole               # one well-formed object
    int32_t read                # the push has been read, in place
    int32_t fault               # BookBreak, when the push could not be read
    int32_t has_seq
    int32_t has_pseq
    uint64_t ts_ms
    uint64_t seq
    uint64_t pseq
    int64_t checksum            # 0: not sent


# --- numbers

cdef inline bint skip_null(Cursor* c) noexcept nogil:
    if c.end - c.p >= 4 and memcmp(c.p, b"null", 4) == 0:
        c.p += 4
        return 1
    return 0


cdef inline bint whole_number(Cursor* c, uint64_t* out, int32_t* told) noexcept nogil:
    """Read a whole number, bare or in quotes; null and an empty text tell none. 0 on bad text."""
    cdef bint quoted
    told[0] = 0
    if c.p >= c.end:
        return 0
    if skip_null(c):
        return at_value_end(c)
    quoted = c.p[0] == c'"'
    c.p += quoted
    if quoted and c.p < c.end and c.p[0] == c'"':
        c.p += 1
        return at_value_end(c)
    if scan_uint64(c, out) != SCAN_OK:
        return 0
    if quoted:
        if c.p >= c.end or c.p[0] != c'"':
            return 0
        c.p += 1
    told[0] = 1
    return at_value_end(c)


cdef inline bint signed_number(Cursor* c, int64_t* out) noexcept nogil:
    """The same for a number with a sign; none is 0."""
    cdef bint quoted
    out[0] = 0
    if c.p >= c.end:
        return 0
    if skip_null(c):
        return at_value_end(c)
    quoted = c.p[0] == c'"'
    c.p += quoted
    if quoted and c.p < c.end and c.p[0] == c'"':
        c.p += 1
        return at_value_end(c)
    if scan_int64(c, out) != SCAN_OK:
        return 0
    if quoted:
        if c.p >= c.end or c.p[0] != c'"':
            return 0
        c.p += 1
    return at_value_end(c)


# --- levels

cdef inline int level_number(
    Cursor* c, int decimals, int64_t step, int64_t* out, const char** text, int32_t* n
) noexcept nogil:
    """Read a number of a level in steps, and where its text stands; returns a BookBreak."""
    cdef bint quoted = c.p < c.end and c.p[0] == c'"'
    cdef int64_t points, steps
    cdef Scan found
    c.p += quoted
    text[0] = c.p
    found = scan_decimal(c, decimals, &points)
    if found != SCAN_OK:
        if found == SCAN_PRECISION:
            return BREAK_OFF_TICK
        return BREAK_BOUNDS if found == SCAN_RANGE else BREAK_PARSE
    n[0] = <int32_t>(c.p - text[0])
    if quoted:
        if c.p >= c.end or c.p[0] != c'"':
            return BREAK_PARSE
        c.p += 1
    if step != 1:
        steps = floor_div(points, step)
        if steps * step != points:
            return BREAK_OFF_TICK
        points = steps
    out[0] = points
    return BREAK_NONE


cdef int read_levels(BitgetDecoder self, Bound* bound, int side, Cursor* c) noexcept nogil:
    """Read `[["price","qty"],...]` behind those read before; returns a BookBreak."""
    cdef Level* level
    cdef int fault
    if c.p >= c.end or c.p[0] != c"[":
        return BREAK_PARSE
    c.p += 1
    scan_space(c)
    if c.p < c.end and c.p[0] == c"]":
        c.p += 1
        return BREAK_NONE
    while True:
        if c.p >= c.end or c.p[0] != c"[":
            return BREAK_PARSE
        c.p += 1
        if self.level_count == LEVELS_KEPT:
            return BREAK_CAPACITY
        level = self.levels + self.level_count
        scan_space(c)
        fault = level_number(
            c, bound.steps.price_decimals, bound.steps.tick_points, &level.price_ticks, &level.price, &level.price_bytes
        )
        if fault != BREAK_NONE:
            return fault
        scan_space(c)
        if c.p >= c.end or c.p[0] != c",":
            return BREAK_PARSE
        c.p += 1
        scan_space(c)
        fault = level_number(
            c, bound.steps.qty_decimals, bound.steps.lot_points, &level.qty_lots, &level.qty, &level.qty_bytes
        )
        if fault != BREAK_NONE:
            return fault
        if level.price_ticks <= 0 or level.qty_lots < 0:
            return BREAK_PARSE
        if level.price_ticks > TICKS_MAX or level.qty_lots > LOTS_MAX:
            return BREAK_BOUNDS
        level.side = side
        self.level_count += 1
        scan_space(c)
        if c.p >= c.end or c.p[0] != c"]":
            return BREAK_PARSE
        c.p += 1
        scan_space(c)
        if c.p >= c.end:
            return BREAK_PARSE
        if c.p[0] == c"]":
            c.p += 1
            return BREAK_NONE
        if c.p[0] != c",":
            return BREAK_PARSE
        c.p += 1
        scan_space(c)


cdef int read_book(BitgetDecoder self, Frame* f, Cursor* c) noexcept nogil:
    """Read the one object of a push; returns a BookBreak."""
    cdef const char* key
    cdef Py_ssize_t n
    cdef int32_t told
    cdef int sides = 0
    cdef int side, fault
    cdef uint64_t ts_ms
    if c.p >= c.end or c.p[0] != c"{":
        return BREAK_PARSE
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return BREAK_PARSE
        if key == NULL:
            return BREAK_NONE if sides != 0 else BREAK_PARSE
        side = -1
        if is_text(key, n, b"asks", 4) or is_text(key, n, b"a", 1):
            side = ASK
        elif is_text(key, n, b"bids", 4) or is_text(key, n, b"b", 1):
            side = BID
        if side >= 0:
            if sides & (1 << side):
                return BREAK_PARSE
            sides |= 1 << side
            fault = read_levels(self, f.bound, side, c)
            if fault != BREAK_NONE:
                return fault
        elif is_text(key, n, b"seq", 3):
            if not whole_number(c, &f.seq, &f.has_seq):
                return BREAK_PARSE
        elif is_text(key, n, b"pseq", 4):
            if not whole_number(c, &f.pseq, &f.has_pseq):
                return BREAK_PARSE
        elif is_text(key, n, b"checksum", 8):
            if not signed_number(c, &f.checksum):
                return BREAK_PARSE
        elif is_text(key, n, b"ts", 2):
            if not whole_number(c, &ts_ms, &told):
                return BREAK_PARSE
            if told and ts_ms <= MS_MAX:
                f.ts_ms = ts_ms
        elif scan_skip_value(c) != SCAN_OK:
            return BREAK_PARSE
        if not next_member(c):
            return BREAK_PARSE


cdef int read_push(BitgetDecoder self, Frame* f, Cursor* c) noexcept nogil:
    """Read the data of a book's push: one object, alone or in an array; returns a BookBreak."""
    cdef bint listed
    cdef int fault
    self.level_count = 0
    f.has_seq = 0
    f.has_pseq = 0
    f.checksum = 0
    f.read = 1
    if c.p >= c.end:
        return BREAK_PARSE
    listed = c.p[0] == c"["
    if listed:
        c.p += 1
        scan_space(c)
    fault = read_book(self, f, c)
    if fault != BREAK_NONE or not listed:
        return fault
    scan_space(c)
    if c.p >= c.end or c.p[0] != c"]":
        return BREAK_PARSE
    c.p += 1
    return BREAK_NONE


# --- frames

cdef bint read_arg(Frame* f, Cursor* c) noexcept nogil:
    """Read which subscription a frame is about. 0 on bad text."""
    cdef const char* key
    cdef Py_ssize_t n
    cdef Scan found
    if c.p >= c.end or c.p[0] != c"{":
        # A list: the answer to an order.
        f.event = 1
        return scan_skip_value(c) == SCAN_OK
    if f.has_arg:
        return 0
    f.has_arg = 1
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return 0
        if key == NULL:
            break
        if is_text(key, n, b"channel", 7) or is_text(key, n, b"topic", 5):
            found = scan_string(c, &f.channel, &f.channel_n)
        elif is_text(key, n, b"instId", 6) or is_text(key, n, b"symbol", 6):
            found = scan_string(c, &f.symbol, &f.symbol_n)
        else:
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return 0
    if f.channel != NULL:
        if f.channel_n >= 5 and memcmp(f.channel, b"books", 5) == 0:
            f.kind = KIND_BOOK
        elif is_text(f.channel, f.channel_n, b"trade", 5) or is_text(f.channel, f.channel_n, b"publicTrade", 11):
            f.kind = KIND_TRADES
        else:
            f.kind = KIND_OTHER
    return 1


cdef inline int action_of(const char* text, Py_ssize_t n) noexcept nogil:
    if is_text(text, n, b"update", 6):
        return ACTION_UPDATE
    if is_text(text, n, b"snapshot", 8):
        return ACTION_SNAPSHOT
    return ACTION_OTHER


cdef bint read_frame(BitgetDecoder self, Frame* f, Cursor* c) noexcept nogil:
    """Walk the members of a frame; the levels of a bound book are read on the way. 0 on bad text."""
    cdef const char* key
    cdef const char* text
    cdef Py_ssize_t n, text_n
    cdef Scan found
    scan_space(c)
    if c.p >= c.end or c.p[0] != c"{":
        return 0
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return 0
        if key == NULL:
            break
        if is_text(key, n, b"action", 6):
            if f.action != ACTION_NONE:
                return 0
            found = scan_string(c, &text, &text_n)
            if found == SCAN_OK:
                f.action = action_of(text, text_n)
        elif is_text(key, n, b"arg", 3):
            if not read_arg(f, c):
                return 0
            found = SCAN_OK
            if f.kind == KIND_BOOK and f.symbol != NULL:
                f.bound = self.find_bound(f.symbol, f.symbol_n)
                if f.bound != NULL and not is_text(
                    f.channel, f.channel_n, f.bound.channel, f.bound.channel_bytes
                ):
                    f.bound = NULL
        elif is_text(key, n, b"data", 4):
            if f.data != NULL:
                return 0
            f.data = c.p
            if f.bound != NULL:
                f.fault = read_push(self, f, c)
                if f.fault != BREAK_NONE:
                    return 0
                found = SCAN_OK
            else:
                found = scan_skip_value(c)
        else:
            if is_text(key, n, b"event", 5):
                f.event = 1
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return 0
    scan_space(c)
    f.whole = c.p == c.end
    return f.whole


# --- the decoder

@final
cdef class BitgetDecoder(Decoder):
    """Apply book pushes to bound books and hand trades to the sink.

    A book that is not verified takes snapshots only. A frame that could not be read breaks the book
    it names, or every bound book when it names none.

    Args:
        rows: trades are arrays, as recordings of the retired API v1 hold them.
    """

    def __cinit__(self, bint rows=False):
        self.bound = <Bound*>calloc(BINDS_MAX, sizeof(Bound))
        self.levels = <Level*>calloc(LEVELS_KEPT, sizeof(Level))
        self.trades = calloc(TRADES_KEPT, sizeof(Trade))
        if self.bound == NULL or self.levels == NULL or self.trades == NULL:
            raise MemoryError("decoder")
        self.rows = rows

    def __dealloc__(self):
        cdef int i
        if self.bound != NULL:
            for i in range(self.bound_count):
                free(self.bound[i].texts[0].levels)
                free(self.bound[i].texts[1].levels)
        free(self.bound)
        free(self.levels)
        free(self.trades)

    # --- C face

    cdef Bound* find_bound(self, const char* text, Py_ssize_t n) noexcept nogil:
        cdef int32_t i
        if self.bound_count > 0 and is_text(text, n, self.bound[self.last].name, self.bound[self.last].name_bytes):
            return &self.bound[self.last]
        for i in range(self.bound_count):
            if is_text(text, n, self.bound[i].name, self.bound[i].name_bytes):
                self.last = i
                return &self.bound[i]
        return NULL

    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil:
        cdef Frame f
        cdef Cursor c
        cdef bint good
        tally(self, MESSAGES)
        if is_text(data, n_bytes, b"pong", 4):
            tally(self, HEARTBEATS)
            return DECODED_IGNORED
        memset(&f, 0, sizeof(Frame))
        f.end = data + n_bytes
        c.p = data
        c.end = f.end
        good = read_frame(self, &f, &c)
        if f.kind == KIND_BOOK and not f.event:
            return book_frame(self, &f, good, recv_ns)
        if f.kind == KIND_TRADES and good and not f.event and f.data != NULL:
            return trade_frame(self, &f)
        if not good and f.kind == KIND_NONE and looks_like_book(data, n_bytes):
            return break_all_c(self)
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
        str channel not None="books",
        bint verify=True,
    ):
        """Serve `venue_symbol` into `book`; binding a symbol again replaces its book.

        Args:
            tick_points: tick size in units of 10**-price_decimals.
            lot_points: lot size in units of 10**-qty_decimals.
            channel: whose pushes make the book: books, books1, books5, books15, books50.
            verify: compare the checksum of every push that carries one.

        Raises:
            ValueError: for a symbol too long, no channel of books, steps or decimals out of range,
                or more instruments than the decoder serves.
        """
        cdef bytes name = venue_symbol.encode("utf-8")
        cdef bytes where = channel.encode("utf-8")
        cdef Bound* bound
        cdef Steps steps
        cdef int32_t index
        if not 0 < len(name) <= NAME_BYTES or b'"' in name or b"\\" in name:
            raise ValueError(f"symbol must be plain and have 1 to {NAME_BYTES} bytes: {venue_symbol!r}")
        if channel not in ("books", "books1", "books5", "books15", "books50"):
            raise ValueError(f"no channel of books: {channel!r}")
        bound = self.find_bound(name, len(name))
        set_steps(&steps, tick_points, price_decimals, lot_points, qty_decimals)
        index = self.take_book(-1 if bound == NULL else <int32_t>(bound - self.bound), book, instrument_index)
        bound = &self.bound[index]
        bound.book = <void*>book
        bound.steps = steps
        if not texts_alloc_c(&bound.texts[0]) or not texts_alloc_c(&bound.texts[1]):
            raise MemoryError("levels")
        bound.seq = 0
        bound.trade_id = 0
        bound.verify = verify
        bound.texted = TEXTS_NONE
        bound.chained = 0
        bound.joined = 0
        bound.dropped = 0
        bound.instrument_index = instrument_index
        bound.name_bytes = <int32_t>len(name)
        bound.channel_bytes = <int32_t>len(where)
        memcpy(bound.name, <const char*>name, len(name))
        memcpy(bound.channel, <const char*>where, len(where))

    def state(self, str venue_symbol not None):
        """Tell one instrument's (seq of its book, checksums ok, checksums failed, snapshots)."""
        cdef bytes name = venue_symbol.encode("utf-8")
        cdef Bound* bound = self.find_bound(name, len(name))
        if bound == NULL:
            raise KeyError(venue_symbol)
        return bound.seq, bound.checksums_ok, bound.checksums_failed, bound.snapshots


cdef bint looks_like_book(const char* data, Py_ssize_t n) noexcept nogil:
    """Whether unreadable bytes name a channel of books."""
    cdef Py_ssize_t i
    for i in range(n - 6):
        if data[i] == c'"' and memcmp(data + i, b'"books', 6) == 0:
            return 1
    return 0


# --- books

cdef Decoded break_book(BitgetDecoder self, Bound* bound, BookBreak reason) noexcept nogil:
    """Break one book and count why."""
    bound.checksums_failed += reason == BREAK_CHECKSUM
    return break_book_c(self, <Book>bound.book, bound.instrument_index, reason)


cdef Decoded book_frame(BitgetDecoder self, Frame* f, bint good, int64_t recv_ns) noexcept nogil:
    """Act on a frame of a book channel that has been read as far as it could be."""
    cdef Bound* bound = f.bound
    cdef Cursor c
    if f.symbol == NULL:
        return break_all_c(self)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    if good and f.data != NULL and not f.read:
        # It stood before the subscription that it is about.
        c.p = f.data
        c.end = f.end
        f.fault = read_push(self, f, &c)
        good = f.fault == BREAK_NONE
    if not good or not f.read or (f.action != ACTION_SNAPSHOT and f.action != ACTION_UPDATE):
        return break_book(self, bound, <BookBreak>f.fault if f.fault != BREAK_NONE else BREAK_PARSE)
    self.touched = bound.instrument_index
    if f.action == ACTION_SNAPSHOT:
        return apply_push(self, f, bound, <Book>bound.book, recv_ns)
    if not (<Book>bound.book).live:
        tally(self, NOT_READY)
        return DECODED_IGNORED
    return follow(self, f, bound, recv_ns)


cdef inline Decoded drop(BitgetDecoder self, Bound* bound) noexcept nogil:
    """Leave out a push that is not newer; several in a row are another count, not repeats."""
    tally(self, DROPPED)
    bound.dropped += 1
    if bound.dropped > DROPS_MAX:
        return break_book(self, bound, BREAK_GAP)
    return DECODED_IGNORED


cdef Decoded follow(BitgetDecoder self, Frame* f, Bound* bound, int64_t recv_ns) noexcept nogil:
    """Apply an update if it follows on the push before."""
    if f.has_pseq and (f.pseq == 0 or not f.has_seq):
        # The venue counts anew.
        return break_book(self, bound, BREAK_GAP)
    if (bound.seq != 0 and not f.has_seq) or (bound.chained and not f.has_pseq):
        return break_book(self, bound, BREAK_GAP)
    if bound.seq != 0 and f.has_seq:
        if f.has_pseq and not bound.joined:
            # The snapshot lies within the first update behind it.
            if f.seq < bound.seq:
                return drop(self, bound)
            if f.pseq > bound.seq:
                return break_book(self, bound, BREAK_GAP)
        elif f.seq <= bound.seq:
            return drop(self, bound)
        elif f.has_pseq and f.pseq != bound.seq:
            return break_book(self, bound, BREAK_GAP)
    bound.joined = 1
    bound.chained |= f.has_pseq
    return apply_push(self, f, bound, <Book>bound.book, recv_ns)


cdef int apply_levels(BitgetDecoder self, Bound* bound, Book book, bint texted) noexcept nogil:
    """Apply what was read; returns a BookBreak."""
    cdef const Level* level
    cdef Apply applied
    cdef int32_t i
    for i in range(self.level_count):
        level = self.levels + i
        applied = book.apply_c(level.side, level.price_ticks, level.qty_lots)
        if applied != APPLY_OK:
            return BREAK_CAPACITY if applied == APPLY_FULL else BREAK_PARSE
        if texted:
            texts_apply_c(
                &bound.texts[level.side], level.side, level.price_ticks, level.qty_lots,
                level.price, level.price_bytes, level.qty, level.qty_bytes,
            )
    return BREAK_NONE


cdef Decoded apply_push(
    BitgetDecoder self, Frame* f, Bound* bound, Book book, int64_t recv_ns
) noexcept nogil:
    """Put a push into its book, then compare and verify."""
    cdef bint snapshot = f.action == ACTION_SNAPSHOT
    cdef bint texted = bound.verify and (snapshot or bound.texted != TEXTS_NONE)
    cdef int fault
    if snapshot:
        if book.state != BOOK_VERIFIED:
            book.catch_up_c()
        book.clear_c()
        texts_clear_c(&bound.texts[0])
        texts_clear_c(&bound.texts[1])
        bound.joined = 0
        bound.chained = 0
    fault = apply_levels(self, bound, book, texted)
    if fault != BREAK_NONE:
        return break_book(self, bound, <BookBreak>fault)
    self.applied_stamp = stamp_c()
    self.ts_ns = <int64_t>f.ts_ms * 1_000_000
    bound.seq = f.seq if f.has_seq else 0
    bound.dropped = 0
    tally(self, BOOK_UPDATES)
    if snapshot:
        tally(self, SNAPSHOTS)
        bound.snapshots += 1
        if bound.texted != TEXTS_ASKED:
            bound.texted = TEXTS_KEPT if f.checksum != 0 else TEXTS_NONE
        if book.recentre_due:
            book.recentre_c()
    if bound.verify and f.checksum != 0:
        if not texted:
            # Nothing was kept to compute it from: from the next snapshot on it is.
            bound.texted = TEXTS_ASKED
            return break_book(self, bound, BREAK_CHECKSUM)
        if (
            not bound.texts[0].whole or not bound.texts[1].whole
            or texts_crc_c(&bound.texts[<int>BID], &bound.texts[<int>ASK]) != f.checksum
        ):
            return break_book(self, bound, BREAK_CHECKSUM)
        tally(self, CHECKSUMS_OK)
        bound.checksums_ok += 1
    book.verify_c(recv_ns, self.ts_ns)
    if book.state == BOOK_VERIFIED:
        return DECODED_BOOK
    if book.break_reason == BREAK_CROSSED:
        tally(self, CROSSED)
    return DECODED_BROKEN


# --- trades

cdef inline void side_of(const char* text, Py_ssize_t n, Trade* trade) noexcept nogil:
    if n == 3 and (text[0] | 32) == c"b" and (text[1] | 32) == c"u" and (text[2] | 32) == c"y":
        trade.taker_side = BUY
    elif (
        n == 4 and (text[0] | 32) == c"s" and (text[1] | 32) == c"e"
        and (text[2] | 32) == c"l" and (text[3] | 32) == c"l"
    ):
        trade.taker_side = SELL


cdef bint set_amounts(
    BitgetDecoder self, Bound* bound, const char* price, const char* qty, const char* end, Trade* trade
) noexcept nogil:
    """Read price and quantity in steps, digits too fine dropped. 0 on bad text."""
    cdef Cursor c
    cdef bint rounded = 0
    cdef int64_t price_points, qty_points
    if price == NULL or qty == NULL:
        return 0
    c.end = end
    c.p = price
    if scan_rounded_text(&c, bound.steps.price_decimals, &price_points, &rounded) != SCAN_OK:
        return 0
    c.p = qty
    if scan_rounded_text(&c, bound.steps.qty_decimals, &qty_points, &rounded) != SCAN_OK:
        return 0
    if not set_trade_c(self, &bound.steps, price_points, qty_points, rounded, trade):
        return 0
    return 1


cdef bint read_trade(BitgetDecoder self, Bound* bound, Cursor* c, Trade* trade) noexcept nogil:
    """Read one trade object. 0 on bad text."""
    cdef const char* key
    cdef const char* text
    cdef const char* price = NULL
    cdef const char* qty = NULL
    cdef Py_ssize_t n, text_n
    cdef uint64_t ts_ms = 0
    cdef int32_t told
    cdef bint good
    if c.p >= c.end or c.p[0] != c"{":
        return 0
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return 0
        if key == NULL:
            break
        if is_text(key, n, b"side", 4) or is_text(key, n, b"S", 1):
            good = scan_string(c, &text, &text_n) == SCAN_OK
            if good:
                side_of(text, text_n, trade)
        elif is_text(key, n, b"tradeId", 7) or is_text(key, n, b"i", 1):
            good = whole_number(c, &trade.trade_id, &told)
        elif is_text(key, n, b"ts", 2) or is_text(key, n, b"T", 1):
            good = whole_number(c, &ts_ms, &told)
        else:
            if is_text(key, n, b"price", 5) or is_text(key, n, b"p", 1) or is_text(key, n, b"P", 1):
                price = c.p
            elif is_text(key, n, b"size", 4) or is_text(key, n, b"v", 1):
                qty = c.p
            good = scan_skip_value(c) == SCAN_OK
        if not good or not next_member(c):
            return 0
    if ts_ms > MS_MAX:
        return 0
    trade.ts_ns = <int64_t>ts_ms * 1_000_000
    return set_amounts(self, bound, price, qty, c.end, trade)


cdef bint read_row(BitgetDecoder self, Bound* bound, Cursor* c, Trade* trade) noexcept nogil:
    """Read one trade of API v1: `[ms, price, qty, side]`. 0 on bad text."""
    cdef const char* parts[4]
    cdef const char* text
    cdef Py_ssize_t n
    cdef Cursor at
    cdef uint64_t ts_ms = 0
    cdef int32_t told
    cdef int i
    if c.p >= c.end or c.p[0] != c"[":
        return 0
    c.p += 1
    for i in range(4):
        scan_space(c)
        parts[i] = c.p
        if scan_skip_value(c) != SCAN_OK:
            return 0
        scan_space(c)
        if c.p >= c.end or c.p[0] != (c"]" if i == 3 else c","):
            return 0
        c.p += 1
    at.end = c.end
    at.p = parts[0]
    if not whole_number(&at, &ts_ms, &told) or ts_ms > MS_MAX:
        return 0
    at.p = parts[3]
    if scan_string(&at, &text, &n) != SCAN_OK:
        return 0
    side_of(text, n, trade)
    trade.ts_ns = <int64_t>ts_ms * 1_000_000
    return set_amounts(self, bound, parts[1], parts[2], c.end, trade)


cdef Decoded trade_frame(BitgetDecoder self, Frame* f) noexcept nogil:
    """Hand the trades of a push to the sink, oldest first: the venue writes the newest first."""
    cdef Trade* kept = <Trade*>self.trades
    cdef Bound* bound = NULL
    cdef Cursor c
    cdef Trade trade
    cdef int32_t count = 0
    cdef int32_t i
    cdef bint good
    if f.symbol != NULL:
        bound = self.find_bound(f.symbol, f.symbol_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    c.p = f.data
    c.end = f.end
    if c.p[0] != c"[" or (f.action != ACTION_SNAPSHOT and f.action != ACTION_UPDATE):
        return trades_bad_c(self)
    c.p += 1
    scan_space(&c)
    if c.p < c.end and c.p[0] == c"]":
        return DECODED_IGNORED
    while True:
        memset(&trade, 0, sizeof(Trade))
        trade.taker_side = UNKNOWN_SIDE
        trade.snapshot = f.action == ACTION_SNAPSHOT
        trade.instrument_index = bound.instrument_index
        good = read_row(self, bound, &c, &trade) if self.rows else read_trade(self, bound, &c, &trade)
        if not good:
            return trades_bad_c(self)
        if count < TRADES_KEPT:
            kept[count] = trade
            count += 1
        scan_space(&c)
        if c.p >= c.end or c.p[0] != c",":
            break
        c.p += 1
        scan_space(&c)
    if c.p >= c.end or c.p[0] != c"]":
        return trades_bad_c(self)
    self.touched = bound.instrument_index
    if kept[0].trade_id < kept[count - 1].trade_id or kept[0].ts_ns < kept[count - 1].ts_ns:
        for i in range(count):
            hand_on(self, bound, &kept[i])
    else:
        for i in range(count):
            hand_on(self, bound, &kept[count - 1 - i])
    return DECODED_TRADE


cdef inline void hand_on(BitgetDecoder self, Bound* bound, const Trade* trade) noexcept nogil:
    """Give one trade to the sink, unless it was told before: a snapshot repeats what came earlier."""
    if trade.trade_id != 0 and trade.trade_id <= bound.trade_id:
        tally(self, TRADES_REPEATED)
        return
    if trade.trade_id != 0:
        bound.trade_id = trade.trade_id
    tally(self, TRADES)
    self.ts_ns = trade.ts_ns
    if self.sink is not None:
        self.sink.on_trade_c(trade)
