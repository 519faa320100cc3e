"""MEXC spot v3 market data: protobuf pushes into the bound books, and trades to the sink.

Frames are scanned where they lie; no message object is made. Two channels make a book.
`aggre.depth` tells what changed between two versions of a book: increments are put aside until the
REST copy is there (a frame that `connector` writes around the reply: channel `rest.depth`), then
those behind it are applied. `limit.depth` tells the best 5, 10 or 20 levels whole. A push that does
not follow on the last one breaks its book, so does one that crosses it or cannot be read; one that
names no book breaks them all. A book ticker of the very version of a book has to agree with it.

Versions stand behind the levels on the wire, so a push is walked twice: over its fields, then into
its levels.

Source: MEXC documentation, "How to Properly Maintain a Local Copy of the Order Book", 2026;
mexcdevelop/websocket-proto of 2026-06-17; frames captured 2026-07 to 2026-09.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from openmm._fast.book cimport (
    BOOK_VERIFIED, BREAK_BOUNDS, BREAK_CHECKSUM, BREAK_CROSSED, BREAK_GAP, BREAK_NONE,
    BREAK_OFF_TICK, BREAK_PARSE, Book, BookBreak,
)
from openmm._fast.increments cimport (
    apply_array_c, apply_points_c, clear_book, held_add_c, held_alloc, held_clear, held_next_c,
)
from openmm._fast.latency cimport stamp_c
from openmm._fast.ports cimport (
    BINDS_MAX, BOOK_UPDATES, CHECKSUMS_OK, CROSSED, DECODED_BOOK, DECODED_BROKEN, DECODED_IGNORED,
    DECODED_SLOW, DECODED_TRADE, DROPPED, HEARTBEATS, MESSAGES, MS_MAX, OLD_SNAPSHOTS, SLOW,
    SNAPSHOTS, TRADES, UNBOUND, Decoded, Decoder, Steps, Trade, break_all_c, break_book_c, set_steps,
    set_trade_c, tally, trades_bad_c,
)
from openmm._fast.proto cimport WIRE_BYTES, WIRE_VARINT, Field, proto_next
from openmm._fast.scan cimport (
    SCAN_END, SCAN_OK, SCAN_RANGE, Cursor, Scan, at_value_end, is_text, next_key, next_member,
    scan_rounded, scan_skip_value, scan_string, scan_uint64,
)
from openmm._fast.units cimport ASK, BID, BUY, SELL, UNKNOWN_SIDE, floor_div

WHOLE_DEPTHS = (5, 10, 20)

# Fields of the wrapper. Source: PushDataV3ApiWrapper.proto.
cdef enum Wrapper:
    CHANNEL = 1
    SYMBOL = 3
    SEND_TIME = 6
    BODY_FIRST = 301
    LIMIT_DEPTHS = 303
    TICKER_BATCH = 311
    AGGRE_DEPTHS = 313
    AGGRE_DEALS = 314
    AGGRE_TICKER = 315
    BODY_LAST = 315

cdef struct Push:
    const char* channel
    Py_ssize_t channel_n
    const char* symbol
    Py_ssize_t symbol_n
    uint64_t send_ms
    int32_t kind                # number of the body's field
    Cursor body

cdef struct Depth:
    uint64_t first              # versions covered
    uint64_t last
    int32_t has_first
    int32_t has_last

# What becomes of a push's levels.
cdef enum Act:
    ACT_APPLY = 1
    ACT_REPLACE = 2
    ACT_HOLD = 3
    ACT_DROP = 4                # the book contains it
    ACT_GAP = 5
    ACT_BAD = 6


# --- reading a push

cdef bint read_push(Push* push, const char* data, Py_ssize_t n_bytes) noexcept nogil:
    """Walk the wrapper; 0 when it is no message, or one with two bodies."""
    cdef Cursor c
    cdef Field field
    cdef Scan found
    memset(push, 0, sizeof(Push))
    c.p = data
    c.end = data + n_bytes
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            return push.channel != NULL
        if found != SCAN_OK:
            return 0
        if field.number == CHANNEL and field.wire == WIRE_BYTES:
            push.channel = field.data
            push.channel_n = field.n_bytes
        elif field.number == SYMBOL and field.wire == WIRE_BYTES:
            push.symbol = field.data
            push.symbol_n = field.n_bytes
        elif field.number == SEND_TIME and field.wire == WIRE_VARINT:
            push.send_ms = field.value
        elif BODY_FIRST <= field.number <= BODY_LAST:
            if push.kind != 0 or field.wire != WIRE_BYTES:
                return 0
            push.kind = field.number
            push.body.p = field.data
            push.body.end = field.data + field.n_bytes


cdef inline bint version_of(const Field* field, uint64_t* out) noexcept nogil:
    """Read a version: decimal text of its own."""
    cdef Cursor c
    c.p = field.data
    c.end = field.data + field.n_bytes
    return field.wire == WIRE_BYTES and scan_uint64(&c, out) == SCAN_OK and c.p == c.end


cdef bint read_depth(const Push* push, Depth* depth) noexcept nogil:
    """Walk a depth body up to its versions; 0 on bad text."""
    cdef Cursor c = push.body
    cdef Field field
    cdef Scan found
    memset(depth, 0, sizeof(Depth))
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            return depth.has_last and (depth.has_first or push.kind == LIMIT_DEPTHS)
        if found != SCAN_OK:
            return 0
        if field.number == 4:
            # Where a push is whole its one version stands here.
            if push.kind == LIMIT_DEPTHS:
                if depth.has_last or not version_of(&field, &depth.last):
                    return 0
                depth.has_last = 1
            else:
                if depth.has_first or not version_of(&field, &depth.first):
                    return 0
                depth.has_first = 1
        elif field.number == 5 and push.kind == AGGRE_DEPTHS:
            if depth.has_last or not version_of(&field, &depth.last):
                return 0
            depth.has_last = 1


cdef inline BookBreak points_of(
    const Field* field, int decimals, int64_t* points, bint* rounded
) noexcept nogil:
    """Read decimal text that fills its field."""
    cdef Cursor c
    cdef Scan found
    if field.wire != WIRE_BYTES:
        return BREAK_PARSE
    c.p = field.data
    c.end = field.data + field.n_bytes
    found = scan_rounded(&c, decimals, points, rounded)
    if found != SCAN_OK:
        return BREAK_BOUNDS if found == SCAN_RANGE else BREAK_PARSE
    return BREAK_NONE if c.p == c.end else BREAK_PARSE


cdef BookBreak apply_item(
    MexcDecoder self, Bound* bound, Book book, int side, const Field* item
) noexcept nogil:
    """Apply one level: price and quantity, both absolute."""
    cdef Cursor c
    cdef Field field
    cdef Scan found
    cdef BookBreak fault
    cdef int64_t price_points = 0
    cdef int64_t qty_points = 0
    cdef bint price_rounded = 0
    cdef bint rounded = 0
    cdef int seen = 0
    if item.wire != WIRE_BYTES:
        return BREAK_PARSE
    c.p = item.data
    c.end = item.data + item.n_bytes
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            break
        if found != SCAN_OK:
            return BREAK_PARSE
        if field.number == 1:
            fault = points_of(&field, bound.steps.price_decimals, &price_points, &price_rounded)
            seen |= 1
        elif field.number == 2:
            fault = points_of(&field, bound.steps.qty_decimals, &qty_points, &rounded)
            seen |= 2
        else:
            continue
        if fault != BREAK_NONE:
            return fault
    if seen != 3:
        return BREAK_PARSE
    if price_rounded:
        return BREAK_OFF_TICK
    return apply_points_c(self, &bound.steps, book, side, price_points, qty_points, rounded)


cdef BookBreak apply_levels(MexcDecoder self, const Push* push, Bound* bound, Book book) noexcept nogil:
    """Apply every level of a depth body that has been walked before."""
    cdef Cursor c = push.body
    cdef Field field
    cdef BookBreak fault
    while proto_next(&c, &field) == SCAN_OK:
        if field.number == 1 or field.number == 2:
            # Asks come first at this venue.
            fault = apply_item(self, bound, book, ASK if field.number == 1 else BID, &field)
            if fault != BREAK_NONE:
                return fault
    return BREAK_NONE


cdef inline bint name_symbol(Push* push) noexcept nogil:
    """Make sure that the push tells its symbol: the wrapper's, or else the channel's."""
    cdef const char* end = push.channel + push.channel_n
    cdef const char* at = end
    if push.symbol_n > 0:
        return 1
    if push.kind == LIMIT_DEPTHS:
        # ...@SYMBOL@5
        while at > push.channel and (at - 1)[0] != c"@":
            at -= 1
        if at == push.channel:
            return 0
        at -= 1
        end = at
    while at > push.channel and (at - 1)[0] != c"@":
        at -= 1
    push.symbol = at
    push.symbol_n = end - at
    return at > push.channel and push.symbol_n > 0


# --- the decoder

@final
cdef class MexcDecoder(Decoder):
    """Apply depth pushes to bound books and hand trades to the sink."""

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

    cdef Bound* find(self, const char* text, Py_ssize_t n) noexcept nogil:
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
        cdef Push push
        cdef Bound* bound
        tally(self, MESSAGES)
        if n_bytes > 0 and data[0] == c"{":
            return text_frame(self, data, n_bytes, recv_ns)
        if not read_push(&push, data, n_bytes) or push.send_ms > MS_MAX:
            return break_all(self)
        if push.kind == AGGRE_DEALS:
            return deals(self, &push)
        if push.kind != AGGRE_DEPTHS and push.kind != LIMIT_DEPTHS \
                and push.kind != AGGRE_TICKER and push.kind != TICKER_BATCH:
            # Candles and the like, and what the venue may add.
            tally(self, SLOW)
            return DECODED_SLOW
        if not name_symbol(&push):
            return break_all(self)
        bound = self.find(push.symbol, push.symbol_n)
        if push.kind == AGGRE_TICKER or push.kind == TICKER_BATCH:
            return ticker(self, &push, bound)
        if bound == NULL or bound.whole != (push.kind == LIMIT_DEPTHS):
            tally(self, UNBOUND)
            return DECODED_IGNORED
        return depth_push(self, &push, bound, <Book>bound.book, data, n_bytes, recv_ns)

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
        int32_t depth=500,
        bint verify=True,
    ):
        """Serve `venue_symbol` into `book`; binding a symbol again replaces its book.

        Args:
            tick_points: tick size in units of 10**-price_decimals.
            lot_points: lot size in units of 10**-qty_decimals.
            depth: levels kept a side; 5, 10 or 20: of `limit.depth`, more: of `aggre.depth`.
            verify: compare the best prices with those of the book ticker.

        Raises:
            ValueError: for a symbol too long, a depth of neither channel, steps or decimals out of
                range, or more instruments than the decoder serves.
        """
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound
        cdef Steps steps
        cdef int32_t index
        if depth not in WHOLE_DEPTHS and not 50 <= depth <= 5000:
            raise ValueError(f"depth must be 5, 10, 20 or from 50 to 5000: {depth}")
        if not 0 < len(name) <= NAME_BYTES or not venue_symbol.isalnum():
            raise ValueError(f"symbol must be 1 to {NAME_BYTES} letters and digits: {venue_symbol!r}")
        bound = self.find(name, len(name))
        set_steps(&steps, tick_points, price_decimals, lot_points, qty_decimals)
        index = self.take_book(-1 if bound == NULL else <int32_t>(bound - self.bound), book, instrument_index)
        bound = &self.bound[index]
        held_alloc(&bound.held)
        bound.book = <void*>book
        bound.steps = steps
        bound.version = 0
        bound.depth = depth
        bound.whole = depth in WHOLE_DEPTHS
        bound.fresh = 0
        bound.verify = verify
        bound.instrument_index = instrument_index
        bound.name_bytes = <int32_t>len(name)
        memcpy(bound.name, <const char*>name, len(name))

    def state(self, str venue_symbol not None):
        """Tell one instrument's (version of its book, increments held, snapshots taken)."""
        cdef bytes name = venue_symbol.encode("ascii")
        cdef Bound* bound = self.find(name, len(name))
        if bound == NULL:
            raise KeyError(venue_symbol)
        return bound.version, bound.held.count, bound.snapshots


# --- books

cdef Decoded break_book(MexcDecoder self, Bound* bound, BookBreak reason) noexcept nogil:
    """Break one book, count why, and forget what was put aside for it."""
    held_clear(&bound.held)
    return break_book_c(self, <Book>bound.book, bound.instrument_index, reason)


cdef Decoded break_all(MexcDecoder self) noexcept nogil:
    """Break every bound book, and forget what was put aside for them."""
    cdef int32_t i
    for i in range(self.bound_count):
        held_clear(&self.bound[i].held)
    return break_all_c(self)


cdef inline Act decide(const Bound* bound, bint live, const Depth* depth, bint whole) noexcept nogil:
    """Say what becomes of a push. Right behind the REST copy it may overlap, later it may not."""
    if whole:
        # Told again unchanged while the market is quiet.
        return ACT_DROP if live and depth.last < bound.version else ACT_REPLACE
    if depth.first == 0 or depth.first > depth.last:
        return ACT_BAD
    if not live:
        return ACT_HOLD
    if depth.last <= bound.version:
        return ACT_DROP
    if depth.first == bound.version + 1 or (bound.fresh and depth.first <= bound.version):
        return ACT_APPLY
    return ACT_GAP


cdef Decoded depth_push(
    MexcDecoder self, const Push* push, Bound* bound, Book book, const char* data,
    Py_ssize_t n_bytes, int64_t recv_ns
) noexcept nogil:
    """Act on a push of a bound book's own channel."""
    cdef Depth depth
    cdef Act act
    cdef BookBreak fault
    self.touched = bound.instrument_index
    if not read_depth(push, &depth):
        return break_book(self, bound, BREAK_PARSE)
    act = decide(bound, book.live, &depth, bound.whole)
    if act == ACT_HOLD:
        held_add_c(self, &bound.held, data, n_bytes, depth.first, depth.last)
        return DECODED_IGNORED
    if act == ACT_DROP:
        tally(self, DROPPED)
        return DECODED_IGNORED
    if act == ACT_GAP:
        break_book(self, bound, BREAK_GAP)
        # The run that the next copy joins begins here.
        held_add_c(self, &bound.held, data, n_bytes, depth.first, depth.last)
        return DECODED_BROKEN
    if act == ACT_BAD:
        return break_book(self, bound, BREAK_PARSE)
    if act == ACT_REPLACE:
        clear_book(book)
    fault = apply_levels(self, push, bound, book)
    if fault != BREAK_NONE:
        return break_book(self, bound, fault)
    bound.version = depth.last
    bound.fresh = 0
    self.ts_ns = <int64_t>push.send_ms * 1_000_000
    return finish_book(self, bound, book, act == ACT_REPLACE, recv_ns)


cdef Decoded finish_book(
    MexcDecoder self, Bound* bound, Book book, bint snapshot, int64_t recv_ns
) noexcept nogil:
    """Cut to the depth and verify: after the last level of a message."""
    self.applied_stamp = stamp_c()
    tally(self, BOOK_UPDATES)
    book.cut_c(bound.depth)
    if snapshot:
        tally(self, SNAPSHOTS)
        bound.snapshots += 1
        held_clear(&bound.held)
        if book.recentre_due:
            book.recentre_c()
    book.verify_c(recv_ns, self.ts_ns)
    if book.state == BOOK_VERIFIED:
        return DECODED_BOOK
    if book.break_reason == BREAK_CROSSED:
        tally(self, CROSSED)
    held_clear(&bound.held)
    return DECODED_BROKEN


# --- text: answers, and a book from its REST copy

cdef struct Rest:
    const char* symbol
    Py_ssize_t symbol_n
    const char* result


cdef Decoded text_frame(
    MexcDecoder self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns
) noexcept nogil:
    """Walk a text object: the REST copy of a book, a pong, or something for the slow path."""
    cdef Cursor c
    cdef Rest rest
    cdef const char* key
    cdef const char* text
    cdef Py_ssize_t n, text_n
    cdef bint is_rest = 0
    cdef bint is_pong = 0
    cdef bint good = 1
    memset(&rest, 0, sizeof(Rest))
    c.p = data + 1
    c.end = data + n_bytes
    while good:
        good = next_key(&c, &key, &n)
        if not good or key == NULL:
            break
        if is_text(key, n, b"channel", 7):
            good = scan_string(&c, &text, &text_n) == SCAN_OK
            is_rest = good and is_text(text, text_n, b"rest.depth", 10)
        elif is_text(key, n, b"s", 1):
            good = scan_string(&c, &rest.symbol, &rest.symbol_n) == SCAN_OK
        elif is_text(key, n, b"result", 6):
            rest.result = c.p
            good = scan_skip_value(&c) == SCAN_OK
        elif is_text(key, n, b"msg", 3) and c.p < c.end and c.p[0] == c'"':
            good = scan_string(&c, &text, &text_n) == SCAN_OK
            is_pong = good and is_text(text, text_n, b"PONG", 4)
        else:
            good = scan_skip_value(&c) == SCAN_OK
        good = good and next_member(&c)
    if is_rest and rest.symbol != NULL:
        return rest_frame(self, &rest, c.end, good, recv_ns)
    if good and is_pong:
        tally(self, HEARTBEATS)
        return DECODED_IGNORED
    tally(self, SLOW)
    return DECODED_SLOW


cdef Decoded rest_frame(
    MexcDecoder self, const Rest* rest, const char* end, bint good, int64_t recv_ns
) noexcept nogil:
    """Start a book from the REST copy, then apply the increments held that lie behind it."""
    cdef Bound* bound = self.find(rest.symbol, rest.symbol_n)
    if bound == NULL or bound.whole:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    self.touched = bound.instrument_index
    return start_book(self, rest, end, good, bound, <Book>bound.book, recv_ns)


cdef Decoded start_book(
    MexcDecoder self, const Rest* rest, const char* end, bint good, Bound* bound, Book book,
    int64_t recv_ns
) noexcept nogil:
    cdef Cursor c
    cdef BookBreak fault
    cdef uint64_t version = 0
    if book.live:
        # The stream is ahead of any copy.
        tally(self, DROPPED)
        return DECODED_IGNORED
    if not good or rest.result == NULL:
        # An error's body. What is held still waits for a better one.
        return break_book_c(self, book, bound.instrument_index, BREAK_PARSE)
    c.p = rest.result
    c.end = end
    clear_book(book)
    fault = read_copy(self, bound, book, &c, &version)
    if fault != BREAK_NONE or version == 0:
        return break_book_c(
            self, book, bound.instrument_index, fault if fault != BREAK_NONE else BREAK_PARSE
        )
    bound.version = version
    bound.fresh = 1
    self.ts_ns = 0
    if bound.held.count > 0 and bound.held.first_id > version + 1:
        tally(self, OLD_SNAPSHOTS)
        book.break_c(BREAK_GAP)
        return DECODED_BROKEN
    fault = join(self, bound, book)
    if fault != BREAK_NONE:
        return break_book(self, bound, fault)
    return finish_book(self, bound, book, 1, recv_ns)


cdef BookBreak read_copy(
    MexcDecoder self, Bound* bound, Book book, Cursor* c, uint64_t* version
) noexcept nogil:
    """Read the REST reply `{"lastUpdateId":N,"bids":[["P","Q"]],"asks":[]}`, members in any order."""
    cdef const char* key
    cdef Py_ssize_t n
    cdef BookBreak fault
    cdef int seen = 0
    if c.p >= c.end or c.p[0] != c"{":
        return BREAK_PARSE
    c.p += 1
    while True:
        if not next_key(c, &key, &n):
            return BREAK_PARSE
        if key == NULL:
            return BREAK_NONE if seen == 7 else BREAK_PARSE
        if is_text(key, n, b"lastUpdateId", 12):
            if seen & 1 or scan_uint64(c, version) != SCAN_OK or not at_value_end(c):
                return BREAK_PARSE
            seen |= 1
        elif is_text(key, n, b"bids", 4) or is_text(key, n, b"asks", 4):
            if seen & (2 if key[0] == c"b" else 4):
                return BREAK_PARSE
            seen |= 2 if key[0] == c"b" else 4
            fault = apply_array_c(self, &bound.steps, book, BID if key[0] == c"b" else ASK, c)
            if fault != BREAK_NONE:
                return fault
        elif scan_skip_value(c) != SCAN_OK:
            return BREAK_PARSE
        if not next_member(c):
            return BREAK_PARSE


cdef BookBreak join(MexcDecoder self, Bound* bound, Book book) noexcept nogil:
    """Apply the increments held behind a copy of the book."""
    cdef Push push
    cdef Depth depth
    cdef Act act
    cdef BookBreak fault
    cdef const char* data = NULL
    cdef int64_t at = 0
    cdef int64_t n_bytes = 0
    while held_next_c(&bound.held, &at, &data, &n_bytes):
        # They were read before they were put aside.
        if not read_push(&push, data, n_bytes) or not read_depth(&push, &depth):
            return BREAK_PARSE
        act = decide(bound, 1, &depth, 0)
        if act == ACT_DROP:
            tally(self, DROPPED)
            continue
        if act != ACT_APPLY:
            return BREAK_GAP
        fault = apply_levels(self, &push, bound, book)
        if fault != BREAK_NONE:
            return fault
        bound.version = depth.last
        bound.fresh = 0
        self.ts_ns = <int64_t>push.send_ms * 1_000_000
        tally(self, BOOK_UPDATES)
    return BREAK_NONE


# --- book ticker: the best prices as the venue tells them elsewhere

cdef struct Best:
    uint64_t version
    int32_t has_version
    int32_t sides               # bit BID, bit ASK: told
    int64_t price_points[2]
    int64_t qty_points[2]
    int32_t rounded[2]


cdef bint read_best(const Bound* bound, Cursor c, Best* best, int32_t version_field) noexcept nogil:
    """Read a ticker's fields; a side that is absent or empty is none. 0 on bad text."""
    cdef Field field
    cdef Scan found
    cdef int side
    cdef bint rounded
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            return 1
        if found != SCAN_OK:
            return 0
        if field.number == version_field:
            if not version_of(&field, &best.version):
                return 0
            best.has_version = 1
            continue
        if not 1 <= field.number <= 4:
            continue
        if field.wire != WIRE_BYTES:
            return 0
        if field.n_bytes == 0:
            continue
        side = BID if field.number <= 2 else ASK
        rounded = 0
        if field.number & 1:
            if points_of(&field, bound.steps.price_decimals, &best.price_points[side], &rounded) != BREAK_NONE \
                    or rounded:
                return 0
            best.sides |= 1 << side
        else:
            if points_of(&field, bound.steps.qty_decimals, &best.qty_points[side], &rounded) != BREAK_NONE:
                return 0
            best.rounded[side] = rounded


cdef bint read_batch(const Bound* bound, Cursor c, Best* best) noexcept nogil:
    """Read a batch: its version is that of the last item."""
    cdef Field field
    cdef Cursor item
    cdef Scan found
    cdef uint64_t version = 0
    cdef bint has_version = 0
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            best.version = version
            best.has_version = has_version
            return 1
        if found != SCAN_OK:
            return 0
        if field.number == 1:
            if field.wire != WIRE_BYTES:
                return 0
            memset(best, 0, sizeof(Best))
            item.p = field.data
            item.end = field.data + field.n_bytes
            if not read_best(bound, item, best, 0):
                return 0
        elif field.number == 2:
            if not version_of(&field, &version):
                return 0
            has_version = 1


cdef Decoded ticker(MexcDecoder self, const Push* push, Bound* bound) noexcept nogil:
    """Compare a book with the ticker of the very same version; any other one says nothing of it."""
    cdef Best best
    cdef bint good
    if bound == NULL or not bound.verify:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    memset(&best, 0, sizeof(Best))
    if push.kind == AGGRE_TICKER:
        good = read_best(bound, push.body, &best, 5)
    else:
        good = read_batch(bound, push.body, &best)
    if not good:
        return break_book(self, bound, BREAK_PARSE)
    if not best.has_version or best.version != bound.version or not (<Book>bound.book).live:
        return DECODED_IGNORED
    if not agrees(bound, <Book>bound.book, &best):
        return break_book(self, bound, BREAK_CHECKSUM)
    tally(self, CHECKSUMS_OK)
    return DECODED_IGNORED


cdef bint agrees(const Bound* bound, Book book, const Best* best) noexcept nogil:
    cdef int side
    cdef int64_t price_ticks, qty_lots
    for side in range(2):
        price_ticks = book.best_ask_ticks if side == ASK else book.best_bid_ticks
        if not best.sides & (1 << side):
            # A verified book has both sides.
            return 0
        if price_ticks * bound.steps.tick_points != best.price_points[side]:
            return 0
        qty_lots = floor_div(best.qty_points[side], bound.steps.lot_points)
        if qty_lots == 0 and (best.rounded[side] or best.qty_points[side] != 0):
            qty_lots = 1
        if book.qty_at_c(side, price_ticks) != qty_lots:
            return 0
    return 1


# --- trades

cdef bint read_deal(MexcDecoder self, Bound* bound, const Field* item, Trade* trade) noexcept nogil:
    """Read one deal; 0 on bad text. The side is the aggressor's; an id counts to its first non-digit."""
    cdef Cursor c
    cdef Cursor number
    cdef Field field
    cdef Scan found
    cdef int64_t price_points = 0
    cdef int64_t qty_points = 0
    cdef bint rounded = 0
    cdef int seen = 0
    memset(trade, 0, sizeof(Trade))
    trade.taker_side = UNKNOWN_SIDE
    if item.wire != WIRE_BYTES:
        return 0
    c.p = item.data
    c.end = item.data + item.n_bytes
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            break
        if found != SCAN_OK:
            return 0
        if field.number == 1:
            if points_of(&field, bound.steps.price_decimals, &price_points, &rounded) != BREAK_NONE:
                return 0
            seen |= 1
        elif field.number == 2:
            if points_of(&field, bound.steps.qty_decimals, &qty_points, &rounded) != BREAK_NONE:
                return 0
            seen |= 2
        elif field.number == 3 and field.wire == WIRE_VARINT:
            trade.taker_side = BUY if field.value == 1 else SELL if field.value == 2 else UNKNOWN_SIDE
        elif field.number == 4 and field.wire == WIRE_VARINT:
            if field.value > MS_MAX:
                return 0
            trade.ts_ns = <int64_t>field.value * 1_000_000
        elif field.number == 5 and field.wire == WIRE_BYTES:
            number.p = field.data
            number.end = field.data + field.n_bytes
            if scan_uint64(&number, &trade.trade_id) != SCAN_OK:
                trade.trade_id = 0
    trade.instrument_index = bound.instrument_index
    return seen == 3 and set_trade_c(self, &bound.steps, price_points, qty_points, rounded, trade)


cdef Decoded deals(MexcDecoder self, Push* push) noexcept nogil:
    """Hand the deals of a push to the sink."""
    cdef Bound* bound
    cdef Cursor c = push.body
    cdef Field field
    cdef Trade trade
    cdef Scan found
    cdef int64_t delivered = 0
    if not name_symbol(push):
        return trades_bad_c(self)
    bound = self.find(push.symbol, push.symbol_n)
    if bound == NULL:
        tally(self, UNBOUND)
        return DECODED_IGNORED
    while True:
        found = proto_next(&c, &field)
        if found == SCAN_END:
            break
        if found != SCAN_OK:
            return trades_bad_c(self)
        if field.number != 1:
            continue
        if not read_deal(self, bound, &field, &trade):
            return trades_bad_c(self)
        tally(self, TRADES)
        self.touched = bound.instrument_index
        self.ts_ns = trade.ts_ns
        delivered += 1
        if self.sink is not None:
            self.sink.on_trade_c(&trade)
    return DECODED_TRADE if delivered else DECODED_IGNORED
