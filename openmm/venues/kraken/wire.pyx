"""Kraken WebSocket v2 market data: one pass over the bytes of a frame into the bound books.

The fast path takes the members in the order the venue sends them and applies levels as it reads;
anything else falls back to a tolerant path (any order, white space, unknown members), which starts
the frame anew: levels are absolute, so applying some twice changes nothing. A message is applied
whole, then the book is cut to its depth, then the checksum is compared, then the book is verified.

Every pointer read of the fast path is bounded: a frame ends in ``}``, which stops any run of digits,
and literals check what is left. Everything else reads through `scan`.

Source: Kraken API documentation, pages "Book", "Trades", "Book checksum" (WebSocket v2), read 2026-06;
captures `v2_btcusd_d25_20260802` and others.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from openmm._fast.book cimport (
    APPLY_FULL,
    APPLY_OK,
    BOOK_VERIFIED,
    BREAK_BOUNDS,
    BREAK_CAPACITY,
    BREAK_CHECKSUM,
    BREAK_CROSSED,
    BREAK_NONE,
    BREAK_OFF_TICK,
    BREAK_PARSE,
    Apply,
    Book,
    BookBreak,
)
from openmm._fast.latency cimport stamp_c
from openmm._fast.ports cimport (
    AGAIN,
    BINDS_MAX,
    BOOK_UPDATES,
    CHECKSUMS_OK,
    CROSSED,
    DECODED_BOOK,
    DECODED_BROKEN,
    DECODED_IGNORED,
    DECODED_SLOW,
    DECODED_TRADE,
    HEARTBEATS,
    LOTS_MAX,
    MESSAGES,
    NOT_READY,
    SLOW,
    SNAPSHOTS,
    TICKS_MAX,
    TRADES,
    TRADE_GAPS,
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
    next_key,
    next_member,
    scan_decimal,
    scan_rfc3339,
    scan_rounded,
    scan_skip_value,
    scan_space,
    scan_string,
    scan_uint64,
)
from openmm._fast.units cimport ASK, BID, BUY, SELL, UNKNOWN_SIDE, floor_div
from openmm.venues.kraken.checksum cimport (
    top_apply_c,
    top_clear_c,
    top_crc_c,
    top_finish_c,
)

cdef enum:
    MINUTE_BYTES = 18           # `"2026-08-01T02:53:` with the opening quote
    STAMP_BYTES = 29            # `"2026-08-01T02:53:53.398143Z"` with both quotes
    DIGITS_MAX = 18             # of a number on the fast path

cdef extern from *:
    """
    #define OPENMM_NS_PER_MINUTE ((int64_t)60000000000)
    """
    const int64_t NS_PER_MINUTE "OPENMM_NS_PER_MINUTE"

# What one reader of a part of a frame says.
cdef enum Read:
    READ_OK = 1
    READ_OTHER = 2              # not in the form of the fast path
    READ_BROKEN = 3             # `Frame.fault` says why

cdef struct Frame:
    int64_t ts_ns
    uint64_t checksum
    int32_t has_checksum
    int32_t snapshot
    int32_t fault               # BookBreak, after READ_BROKEN
    int32_t decoded             # Decoded, when the fast path came to an end

cdef int64_t POINTS[19]         # powers of ten
cdef int _i
POINTS[0] = 1
for _i in range(1, 19):
    POINTS[_i] = POINTS[_i - 1] * 10


# --- numbers and levels

cdef inline bint number_fast(const char** at, int decimals, int64_t* out) noexcept nogil:
    """Read plain digits scaled to `decimals`; 0 when the text has another form."""
    cdef const char* p = at[0]
    cdef const char* start = p
    cdef const char* fraction
    cdef uint64_t value = 0
    cdef unsigned int digit
    cdef int digits, missing
    digit = <unsigned int>(<unsigned char>p[0]) - 48
    while digit <= 9:
        value = value * 10 + digit
        p += 1
        digit = <unsigned int>(<unsigned char>p[0]) - 48
    digits = <int>(p - start)
    if digits == 0 or (digits > 1 and start[0] == c"0"):
        return 0
    missing = decimals
    if p[0] == c".":
        p += 1
        fraction = p
        digit = <unsigned int>(<unsigned char>p[0]) - 48
        while digit <= 9:
            value = value * 10 + digit
            p += 1
            digit = <unsigned int>(<unsigned char>p[0]) - 48
        missing -= <int>(p - fraction)
        digits += <int>(p - fraction)
        if p == fraction:
            return 0
    if digits > DIGITS_MAX:
        return 0
    if missing != 0:
        if missing < 0 or digits + missing > DIGITS_MAX:
            return 0
        value *= <uint64_t>POINTS[missing]
    at[0] = p
    out[0] = <int64_t>value
    return 1


cdef inline int apply_level(
    Bound* bound, Book book, int side, int64_t price_points, int64_t qty_points
) noexcept nogil:
    """Apply one level; returns a BookBreak, BREAK_NONE when it went in."""
    cdef int64_t price_ticks = price_points
    cdef int64_t qty_lots = qty_points
    cdef Apply applied
    if bound.steps.tick_points != 1:
        price_ticks = floor_div(price_points, bound.steps.tick_points)
        if price_ticks * bound.steps.tick_points != price_points:
            return BREAK_OFF_TICK
    if bound.steps.lot_points != 1:
        qty_lots = floor_div(qty_points, bound.steps.lot_points)
        if qty_lots * bound.steps.lot_points != qty_points:
            return BREAK_OFF_TICK
    if price_ticks <= 0 or qty_lots < 0:
        return BREAK_PARSE
    if price_ticks > TICKS_MAX or qty_lots > LOTS_MAX:
        return BREAK_BOUNDS
    applied = book.apply_c(side, price_ticks, qty_lots)
    if applied != APPLY_OK:
        return BREAK_CAPACITY if applied == APPLY_FULL else BREAK_PARSE
    if bound.verify:
        top_apply_c(
            &bound.top[side], side, price_ticks, qty_lots, bound.steps.tick_points, bound.steps.lot_points
        )
    return BREAK_NONE


cdef inline Read levels_fast(
    Bound* bound, Book book, int side, const char** at, const char* end, Frame* frame
) noexcept nogil:
    """Apply `{"price":P,"qty":Q},...]`; the cursor stands behind the opening bracket."""
    cdef const char* p = at[0]
    cdef int64_t price_points, qty_points
    cdef int fault
    if p < end and p[0] == c"]":
        at[0] = p + 1
        return READ_OK
    while True:
        if end - p < 10 or memcmp(p, b'{"price":', 9) != 0:
            return READ_OTHER
        p += 9
        if not number_fast(&p, bound.steps.price_decimals, &price_points):
            return READ_OTHER
        if end - p < 8 or memcmp(p, b',"qty":', 7) != 0:
            return READ_OTHER
        p += 7
        if not number_fast(&p, bound.steps.qty_decimals, &qty_points):
            return READ_OTHER
        if end - p < 2 or p[0] != c"}":
            return READ_OTHER
        fault = apply_level(bound, book, side, price_points, qty_points)
        if fault != BREAK_NONE:
            frame.fault = fault
            return READ_BROKEN
        if p[1] == c",":
            p += 2
        elif p[1] == c"]":
            at[0] = p + 2
            return READ_OK
        else:
            return READ_OTHER


cdef Read level_tolerant(Bound* bound, Book book, int side, Cursor* c, Frame* frame) noexcept nogil:
    """Apply one level object with its members in any order."""
    cdef const char* key
    cdef Py_ssize_t n
    cdef int64_t points[2]
    cdef int seen = 0
    cdef int bit
    cdef bint quoted
    cdef Scan found
    frame.fault = BREAK_PARSE
    if c.p >= c.end or c.p[0] != c"{":
        return READ_BROKEN
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return READ_BROKEN
        if key == NULL:
            break
        bit = 0
        if n == 5 and memcmp(key, b"price", 5) == 0:
            bit = 1
        elif n == 3 and memcmp(key, b"qty", 3) == 0:
            bit = 2
        if bit == 0:
            if scan_skip_value(c) != SCAN_OK:
                return READ_BROKEN
        else:
            if seen & bit:
                return READ_BROKEN
            seen |= bit
            quoted = c.p < c.end and c.p[0] == c'"'
            if quoted:
                c.p += 1
            found = scan_decimal(
                c, bound.steps.price_decimals if bit == 1 else bound.steps.qty_decimals, &points[bit - 1]
            )
            if found != SCAN_OK:
                if found == SCAN_PRECISION:
                    frame.fault = BREAK_OFF_TICK
                elif found == SCAN_RANGE:
                    frame.fault = BREAK_BOUNDS
                return READ_BROKEN
            if quoted:
                if c.p >= c.end or c.p[0] != c'"':
                    return READ_BROKEN
                c.p += 1
        if not next_member(c):
            return READ_BROKEN
    if seen != 3:
        return READ_BROKEN
    frame.fault = apply_level(bound, book, side, points[0], points[1])
    return READ_OK if frame.fault == BREAK_NONE else READ_BROKEN


cdef Read levels_tolerant(
    Bound* bound, Book book, int side, Cursor* c, Frame* frame
) noexcept nogil:
    """Apply a whole array of levels, white space and foreign members allowed."""
    frame.fault = BREAK_PARSE
    if c.p >= c.end or c.p[0] != c"[":
        return READ_BROKEN
    c.p += 1
    scan_space(c)
    if c.p < c.end and c.p[0] == c"]":
        return READ_OK
    while True:
        scan_space(c)
        if level_tolerant(bound, book, side, c, frame) != READ_OK:
            return READ_BROKEN
        frame.fault = BREAK_PARSE
        scan_space(c)
        if c.p >= c.end:
            return READ_BROKEN
        if c.p[0] == c"]":
            return READ_OK
        if c.p[0] != c",":
            return READ_BROKEN
        c.p += 1


# --- walking an object in any order

cdef struct Members:        # of the frame, found by the tolerant path
    const char* channel
    Py_ssize_t channel_n
    const char* kind
    Py_ssize_t kind_n
    const char* data
    int32_t whole           # the frame is one well-formed object


cdef void find_members(Cursor* c, Members* m) noexcept nogil:
    cdef const char* key
    cdef Py_ssize_t n
    cdef Scan found
    m.channel = NULL
    m.kind = NULL
    m.data = NULL
    m.whole = 0
    scan_space(c)
    if c.p >= c.end or c.p[0] != c"{":
        return
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return
        if key == NULL:
            break
        if n == 7 and memcmp(key, b"channel", 7) == 0:
            if m.channel != NULL:
                return
            found = scan_string(c, &m.channel, &m.channel_n)
            if found != SCAN_OK:
                m.channel = NULL
        elif n == 4 and memcmp(key, b"type", 4) == 0:
            if m.kind != NULL:
                return
            found = scan_string(c, &m.kind, &m.kind_n)
            if found != SCAN_OK:
                m.kind = NULL
        elif n == 4 and memcmp(key, b"data", 4) == 0:
            if m.data != NULL:
                return
            m.data = c.p
            found = scan_skip_value(c)
        else:
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return
    scan_space(c)
    m.whole = c.p == c.end


cdef struct BookMembers:
    const char* symbol
    Py_ssize_t symbol_n
    const char* bids
    const char* asks
    const char* checksum
    const char* timestamp
    int32_t whole           # exactly one well-formed book object


cdef void find_book_members(Cursor* c, BookMembers* m) noexcept nogil:
    cdef const char* key
    cdef Py_ssize_t n
    cdef const char** place
    cdef Scan found
    m.symbol = NULL
    m.bids = NULL
    m.asks = NULL
    m.checksum = NULL
    m.timestamp = NULL
    m.whole = 0
    if c.p >= c.end or c.p[0] != c"[":
        return
    c.p += 1
    scan_space(c)
    if c.p >= c.end or c.p[0] != c"{":
        return
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return
        if key == NULL:
            break
        place = NULL
        if n == 6 and memcmp(key, b"symbol", 6) == 0:
            if m.symbol != NULL:
                return
            found = scan_string(c, &m.symbol, &m.symbol_n)
            if found != SCAN_OK:
                m.symbol = NULL
        else:
            if n == 4 and memcmp(key, b"bids", 4) == 0:
                place = &m.bids
            elif n == 4 and memcmp(key, b"asks", 4) == 0:
                place = &m.asks
            elif n == 8 and memcmp(key, b"checksum", 8) == 0:
                place = &m.checksum
            elif n == 9 and memcmp(key, b"timestamp", 9) == 0:
                place = &m.timestamp
            if place != NULL:
                if place[0] != NULL:
                    return
                place[0] = c.p
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return
    scan_space(c)
    if c.p >= c.end or c.p[0] != c"]":
        return
    m.whole = 1


cdef inline bint same_symbol(const char* text, Py_ssize_t n, const Bound* bound) noexcept nogil:
    """Compare, taking the escaped slash of JSON for a plain one."""
    cdef Py_ssize_t i = 0
    cdef int at = 0
    if n == bound.symbol_bytes:
        return memcmp(text, bound.symbol, n) == 0
    while i < n and at < bound.symbol_bytes:
        if text[i] == 92 and i + 1 < n and text[i + 1] == c"/":
            i += 1
        if text[i] != bound.symbol[at]:
            return 0
        i += 1
        at += 1
    return i == n and at == bound.symbol_bytes


# --- the decoder

@final
cdef class KrakenDecoder(Decoder):
    """Apply book messages to bound books and hand trades to the sink.

    A book that is not verified takes snapshots only. A frame that could not be read breaks the book
    it names, or every bound book when it names none.
    """

    def __cinit__(self, *args, **kwargs):
        self.bound = <Bound*>calloc(BINDS_MAX, sizeof(Bound))
        if self.bound == NULL:
            raise MemoryError("decoder")
        self.minute_ns = 0

    def __dealloc__(self):
        free(self.bound)

    # --- C face

    cdef Bound* find_bound(self, const char* symbol, Py_ssize_t n) noexcept nogil:
        cdef int32_t i
        for i in range(self.bound_count):
            if same_symbol(symbol, n, &self.bound[i]):
                self.last = i
                return &self.bound[i]
        return NULL

    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil:
        cdef const char* end = data + n_bytes
        cdef Frame frame
        cdef Read got
        cdef const char* p
        tally(self, MESSAGES)
        # The closing brace bounds every run of digits below.
        if n_bytes >= 64 and (end - 1)[0] == c"}" and memcmp(data, b'{"channel":"book","type":"', 26) == 0:
            p = data + 26
            frame.snapshot = -1
            if memcmp(p, b'update","data":[{"symbol":"', 27) == 0:
                frame.snapshot = 0
                p += 27
            elif memcmp(p, b'snapshot","data":[{"symbol":"', 29) == 0:
                frame.snapshot = 1
                p += 29
            if frame.snapshot >= 0:
                got = book_fast(self, p, end, recv_ns, &frame)
                if got != READ_OTHER:
                    return <Decoded>frame.decoded
        elif n_bytes == 23 and memcmp(data, b'{"channel":"heartbeat"}', 23) == 0:
            tally(self, HEARTBEATS)
            return DECODED_IGNORED
        return decode_tolerant(self, data, n_bytes, recv_ns)

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
        int32_t depth=10,
        bint verify=True,
    ):
        """Serve `venue_symbol` into `book`; binding a symbol again replaces its book.

        Args:
            tick_points: tick size in units of 10**-price_decimals.
            lot_points: lot size in units of 10**-qty_decimals.
            depth: subscribed depth: 10, 25, 100, 500 or 1000.
            verify: compare the checksum of every message.

        Raises:
            ValueError: for a symbol too long, a depth Kraken does not offer, steps or decimals out of
                range, or more instruments than the decoder serves.
        """
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound
        cdef Steps steps
        cdef int32_t index
        if not 0 < len(name) <= SYMBOL_BYTES:
            raise ValueError(f"symbol must have 1 to {SYMBOL_BYTES} characters: {venue_symbol!r}")
        if depth not in (10, 25, 100, 500, 1000):
            raise ValueError(f"depth must be 10, 25, 100, 500 or 1000: {depth}")
        bound = self.find_bound(name, len(name))
        set_steps(&steps, tick_points, price_decimals, lot_points, qty_decimals)
        index = self.take_book(-1 if bound == NULL else <int32_t>(bound - self.bound), book, instrument_index)
        bound = &self.bound[index]
        bound.book = <void*>book
        bound.steps = steps
        bound.version = 0
        bound.depth = depth
        bound.verify = verify
        bound.instrument_index = instrument_index
        bound.symbol_bytes = <int32_t>len(name)
        memcpy(bound.symbol, <const char*>name, len(name))
        bound.trade_id = 0
        top_clear_c(&bound.top[<int>BID])
        top_clear_c(&bound.top[<int>ASK])

    def reset_trades(self):
        """Forget the last trade ids: after a reconnect a jump is no gap of this stream."""
        cdef int32_t i
        for i in range(self.bound_count):
            self.bound[i].trade_id = 0

    def checksums(self, str venue_symbol not None):
        """Count one instrument's messages: (checksums ok, checksums failed, snapshots)."""
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound = self.find_bound(name, len(name))
        if bound == NULL:
            raise KeyError(venue_symbol)
        return bound.checksums_ok, bound.checksums_failed, bound.snapshots


# --- books

cdef inline int64_t stamp_fast(KrakenDecoder self, const char* p, const char* end) noexcept nogil:
    """Read a quoted RFC3339 time at `p`, `STAMP_BYTES` long; 0 when it has another form."""
    cdef Cursor c
    cdef int64_t ts_ns, micros
    cdef int i
    cdef unsigned int digit
    if end - p < STAMP_BYTES:
        return 0
    if memcmp(p, self.minute, MINUTE_BYTES) == 0 and p[20] == c"." and p[27] == c"Z" and p[28] == c'"':
        micros = 0
        for i in range(18, 27):
            if i == 20:
                continue
            digit = <unsigned int>(<unsigned char>p[i]) - 48
            if digit > 9:
                return 0
            micros = micros * 10 + digit
        if micros >= 60_000_000:
            return 0
        return self.minute_ns + micros * 1000
    c.p = p
    c.end = end
    if scan_rfc3339(&c, &ts_ns) != SCAN_OK or c.p != p + STAMP_BYTES:
        return 0
    if p[20] == c"." and p[27] == c"Z" and ts_ns > 0:
        memcpy(self.minute, p, MINUTE_BYTES)
        self.minute_ns = ts_ns - ts_ns % NS_PER_MINUTE
    return ts_ns


cdef Decoded break_book(
    KrakenDecoder self, Bound* bound, Book book, BookBreak reason
) noexcept nogil:
    """Break one book and count why."""
    bound.checksums_failed += reason == BREAK_CHECKSUM
    return break_book_c(self, book, bound.instrument_index, reason)


cdef inline bint begin_book(KrakenDecoder self, Bound* bound, Book book, bint snapshot) noexcept nogil:
    """Make the book ready to take the message's levels; 0 when it must wait for a snapshot."""
    if snapshot:
        if book.state != BOOK_VERIFIED:
            book.catch_up_c()
        book.clear_c()
        top_clear_c(&bound.top[<int>BID])
        top_clear_c(&bound.top[<int>ASK])
        return 1
    # Not `state`: the fast path may have put a verified book in doubt with levels that it left here.
    if not book.live:
        tally(self, NOT_READY)
        return 0
    if bound.verify and book.version != bound.version:
        # Someone else changed the book: build the cache anew behind this message.
        top_clear_c(&bound.top[<int>BID])
        top_clear_c(&bound.top[<int>ASK])
    return 1


cdef inline Decoded finish_book(
    KrakenDecoder self, Bound* bound, Book book, const Frame* frame, int64_t recv_ns
) noexcept nogil:
    """Cut, compare the checksum, verify: after the last level of the message."""
    self.applied_stamp = stamp_c()
    self.touched = bound.instrument_index
    self.ts_ns = frame.ts_ns
    tally(self, BOOK_UPDATES)
    if book.count[<int>BID] > bound.depth or book.count[<int>ASK] > bound.depth:
        book.cut_c(bound.depth)
    if frame.snapshot:
        tally(self, SNAPSHOTS)
        bound.snapshots += 1
        if book.recentre_due:
            book.recentre_c()
    if bound.verify:
        if not frame.has_checksum:
            return break_book(self, bound, book, BREAK_PARSE)
        top_finish_c(&bound.top[<int>BID], book, BID, bound.steps.tick_points, bound.steps.lot_points)
        top_finish_c(&bound.top[<int>ASK], book, ASK, bound.steps.tick_points, bound.steps.lot_points)
        bound.version = book.version
        if top_crc_c(&bound.top[<int>BID], &bound.top[<int>ASK]) != frame.checksum:
            return break_book(self, bound, book, BREAK_CHECKSUM)
        tally(self, CHECKSUMS_OK)
        bound.checksums_ok += 1
    book.verify_c(recv_ns, frame.ts_ns)
    if book.state == BOOK_VERIFIED:
        return DECODED_BOOK
    if book.break_reason == BREAK_CROSSED:
        tally(self, CROSSED)
    return DECODED_BROKEN


cdef inline Read book_fast(
    KrakenDecoder self, const char* p, const char* end, int64_t recv_ns, Frame* frame
) noexcept nogil:
    """Read on from the symbol's first character; `frame.decoded` tells the result unless READ_OTHER."""
    cdef Bound* bound = &self.bound[self.last]
    cdef Py_ssize_t n = bound.symbol_bytes
    cdef const char* q
    # One instrument's messages come in runs: try the last one first. No bound has an empty name.
    if n == 0 or end - p < n + 2 or p[n] != c'"' or memcmp(p, bound.symbol, n) != 0:
        q = p
        while q < end and q[0] != c'"' and q[0] != 92:
            q += 1
        if q >= end or q[0] != c'"':
            return READ_OTHER
        n = q - p
        bound = self.find_bound(p, n)
        if bound == NULL:
            # The tolerant path tells a foreign instrument from a frame that cannot be read.
            return READ_OTHER
    p += n
    if end - p < 11 or memcmp(p, b'","bids":[', 10) != 0:
        return READ_OTHER
    p += 10
    return book_fast_levels(self, bound, <Book>bound.book, p, end, recv_ns, frame)


cdef inline Read book_fast_levels(
    KrakenDecoder self, Bound* bound, Book book, const char* p, const char* end, int64_t recv_ns,
    Frame* frame
) noexcept nogil:
    cdef Read got
    cdef uint64_t value
    cdef unsigned int digit
    cdef const char* start
    if not begin_book(self, bound, book, frame.snapshot):
        self.touched = bound.instrument_index
        frame.decoded = DECODED_IGNORED
        return READ_OK
    got = levels_fast(bound, book, BID, &p, end, frame)
    if got == READ_OK:
        if end - p < 10 or memcmp(p, b',"asks":[', 9) != 0:
            return READ_OTHER
        p += 9
        got = levels_fast(bound, book, ASK, &p, end, frame)
    if got != READ_OK:
        if got == READ_BROKEN:
            frame.decoded = break_book(self, bound, book, <BookBreak>frame.fault)
        return got
    if end - p < 13 or memcmp(p, b',"checksum":', 12) != 0:
        return READ_OTHER
    p += 12
    start = p
    value = 0
    digit = <unsigned int>(<unsigned char>p[0]) - 48
    while digit <= 9:
        value = value * 10 + digit
        p += 1
        digit = <unsigned int>(<unsigned char>p[0]) - 48
    if p == start or p - start > 10:
        return READ_OTHER
    frame.checksum = value
    frame.has_checksum = 1
    frame.ts_ns = 0
    if end - p == 13 + STAMP_BYTES + 3:
        if memcmp(p, b',"timestamp":', 13) != 0:
            return READ_OTHER
        frame.ts_ns = stamp_fast(self, p + 13, end)
        if frame.ts_ns == 0:
            return READ_OTHER
        p += 13 + STAMP_BYTES
    if end - p != 3 or memcmp(p, b"}]}", 3) != 0:
        return READ_OTHER
    frame.decoded = finish_book(self, bound, book, frame, recv_ns)
    return READ_OK


cdef Decoded book_tolerant(
    KrakenDecoder self, const Members* m, const char* end, int64_t recv_ns
) noexcept nogil:
    """Find the members of the book object, then apply them."""
    cdef Cursor c
    cdef BookMembers b
    cdef Bound* bound
    b.symbol = NULL
    b.whole = 0
    if m.data != NULL:
        c.p = m.data
        c.end = end
        find_book_members(&c, &b)
    if b.symbol == NULL:
        return break_all_c(self)
    bound = self.find_bound(b.symbol, b.symbol_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    return book_tolerant_levels(self, bound, <Book>bound.book, m, &b, end, recv_ns)


cdef Decoded book_tolerant_levels(
    KrakenDecoder self, Bound* bound, Book book, const Members* m, const BookMembers* b,
    const char* end, int64_t recv_ns
) noexcept nogil:
    cdef Frame frame
    cdef Cursor c
    cdef int side
    frame.snapshot = -1
    if m.kind != NULL and m.kind_n == 6 and memcmp(m.kind, b"update", 6) == 0:
        frame.snapshot = 0
    elif m.kind != NULL and m.kind_n == 8 and memcmp(m.kind, b"snapshot", 8) == 0:
        frame.snapshot = 1
    if frame.snapshot < 0 or not m.whole or not b.whole:
        return break_book(self, bound, book, BREAK_PARSE)
    frame.has_checksum = 0
    frame.checksum = 0
    frame.ts_ns = 0
    c.end = end
    if b.checksum != NULL:
        c.p = b.checksum
        if scan_uint64(&c, &frame.checksum) != SCAN_OK or not at_value_end(&c):
            return break_book(self, bound, book, BREAK_PARSE)
        frame.has_checksum = 1
    if b.timestamp != NULL:
        c.p = b.timestamp
        if scan_rfc3339(&c, &frame.ts_ns) != SCAN_OK:
            return break_book(self, bound, book, BREAK_PARSE)
    if not begin_book(self, bound, book, frame.snapshot):
        self.touched = bound.instrument_index
        return DECODED_IGNORED
    for side in range(2):
        c.p = b.bids if side == BID else b.asks
        if c.p != NULL and levels_tolerant(bound, book, side, &c, &frame) != READ_OK:
            return break_book(self, bound, book, <BookBreak>frame.fault)
    return finish_book(self, bound, book, &frame, recv_ns)


cdef Decoded decode_tolerant(
    KrakenDecoder self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns
) noexcept nogil:
    """Tell the kind of a frame whose members stand in any order."""
    cdef Cursor c
    cdef Members m
    c.p = data
    c.end = data + n_bytes
    find_members(&c, &m)
    if m.channel != NULL:
        if m.channel_n == 4 and memcmp(m.channel, b"book", 4) == 0:
            tally(self, AGAIN)
            return book_tolerant(self, &m, c.end, recv_ns)
        if m.whole and m.channel_n == 5 and memcmp(m.channel, b"trade", 5) == 0:
            return trades(self, &m, c.end)
        if m.whole and m.channel_n == 9 and memcmp(m.channel, b"heartbeat", 9) == 0:
            tally(self, HEARTBEATS)
            return DECODED_IGNORED
    tally(self, SLOW)
    return DECODED_SLOW


# --- trades

cdef bint read_trade(KrakenDecoder self, Cursor* c, bint snapshot, Trade* trade, Bound** owner) noexcept nogil:
    """Read one trade object; `owner` is NULL for an instrument not bound. 0 on bad text."""
    cdef const char* key
    cdef const char* text
    cdef const char* price = NULL
    cdef const char* qty = NULL
    cdef Py_ssize_t n, text_n
    cdef const char* symbol = NULL
    cdef Py_ssize_t symbol_n = 0
    cdef bint rounded = 0
    cdef Cursor number
    cdef int64_t price_points, qty_points
    cdef Scan found
    trade.ts_ns = 0
    trade.trade_id = 0
    trade.taker_side = UNKNOWN_SIDE
    trade.snapshot = snapshot
    owner[0] = NULL
    if c.p >= c.end or c.p[0] != c"{":
        return 0
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return 0
        if key == NULL:
            break
        if n == 6 and memcmp(key, b"symbol", 6) == 0:
            found = scan_string(c, &symbol, &symbol_n)
        elif n == 4 and memcmp(key, b"side", 4) == 0:
            found = scan_string(c, &text, &text_n)
            if found == SCAN_OK and text_n == 3 and memcmp(text, b"buy", 3) == 0:
                trade.taker_side = BUY
            elif found == SCAN_OK and text_n == 4 and memcmp(text, b"sell", 4) == 0:
                trade.taker_side = SELL
        elif n == 8 and memcmp(key, b"trade_id", 8) == 0:
            found = scan_uint64(c, &trade.trade_id)
        elif n == 9 and memcmp(key, b"timestamp", 9) == 0:
            found = scan_rfc3339(c, &trade.ts_ns)
        else:
            if n == 5 and memcmp(key, b"price", 5) == 0:
                price = c.p
            elif n == 3 and memcmp(key, b"qty", 3) == 0:
                qty = c.p
            found = scan_skip_value(c)
        if found != SCAN_OK or not next_member(c):
            return 0
    if symbol == NULL or price == NULL or qty == NULL:
        return 0
    owner[0] = self.find_bound(symbol, symbol_n)
    if owner[0] == NULL:
        return 1
    number.end = c.end
    number.p = price
    if scan_rounded(&number, owner[0].steps.price_decimals, &price_points, &rounded) != SCAN_OK:
        return 0
    number.p = qty
    if scan_rounded(&number, owner[0].steps.qty_decimals, &qty_points, &rounded) != SCAN_OK:
        return 0
    if not set_trade_c(self, &owner[0].steps, price_points, qty_points, rounded, trade):
        return 0
    trade.instrument_index = owner[0].instrument_index
    return 1


cdef Decoded trades(KrakenDecoder self, const Members* m, const char* end) noexcept nogil:
    """Hand every trade of the message to the sink, as read."""
    cdef Cursor c
    cdef Trade trade
    cdef Bound* owner
    cdef bint snapshot = m.kind != NULL and m.kind_n == 8 and memcmp(m.kind, b"snapshot", 8) == 0
    cdef int64_t delivered = 0
    c.p = m.data
    c.end = end
    if m.data == NULL or c.p[0] != c"[":
        return trades_bad_c(self)
    c.p += 1
    scan_space(&c)
    if c.p < end and c.p[0] == c"]":
        return DECODED_IGNORED
    while True:
        scan_space(&c)
        if not read_trade(self, &c, snapshot, &trade, &owner):
            return trades_bad_c(self)
        if owner == NULL:
            tally(self, UNBOUND)
        else:
            if not snapshot and owner.trade_id != 0 and trade.trade_id > owner.trade_id + 1:
                tally(self, TRADE_GAPS)
            if trade.trade_id > owner.trade_id:
                owner.trade_id = trade.trade_id
            tally(self, TRADES)
            self.touched = owner.instrument_index
            self.ts_ns = trade.ts_ns
            delivered += 1
            if self.sink is not None:
                self.sink.on_trade_c(&trade)
        scan_space(&c)
        if c.p < end and c.p[0] == c",":
            c.p += 1
            continue
        break
    return DECODED_TRADE if delivered else DECODED_IGNORED
