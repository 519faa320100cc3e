"""Approved actions to Bitget's WebSocket trading messages, from prebuilt text.

Cancels go first. A classic account takes one order a message and no amendment; a unified one takes
up to 20 orders or cancels a message, and amendments. An order is named by the venue's id once that
is known, else by ours; a batch of cancels never mixes the two, or the venue fails the latter.

Client order ids have 18 characters: ``m``, 3 that tell the bot, 7 that tell the session, 7 that
tell the order's sequence (docs/architecture.md).

Source: Bitget API documentation, "Place Order Channel", "Cancel Order Channel" (v2), and "Place
Order", "Batch Place Order Channel", "Cancel Order", "Batch Cancel Order", "Modify Order" (v3
WebSocket), crawl of 2025-12-05.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport Order, OrderTable
from openmm._fast.planner cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, ACTIONS_MAX
from openmm._fast.ports cimport OUT_BYTES, OUT_MESSAGES, Encoder, OutBatch, out_alloc, out_free, out_reset
from openmm._fast.units cimport BUY, SELL

cdef enum:
    BLOCK_BYTES = 32            # divides PIECE_BYTES
    MESSAGE_BYTES = 512         # of a call without what it lists
    ENTRY_BYTES = 320           # of one order or id in it

cdef const char* BASE32 = b"0123456789abcdefghijklmnopqrstuv"

SEQ_MAX = (1 << 35) - 1
STP_MODES = ("", "none", "cancel_taker", "cancel_maker", "cancel_both")
KIND_NAMES = ("", "add", "add", "amend", "cancel", "cancel")  # by RequestKind, in the words of `events`
TOPICS = ("", "place-order", "batch-place", "modify-order", "cancel-order", "batch-cancel")


cdef inline char* put(char* out, const Piece* piece) noexcept nogil:
    # Whole blocks need no call; what runs over is overwritten by what follows.
    cdef int i = 0
    while i < piece.n:
        memcpy(out + i, piece.text + i, BLOCK_BYTES)
        i += BLOCK_BYTES
    return out + piece.n


cdef inline int put_digits(char* out, uint64_t value) noexcept nogil:
    cdef char digits[20]
    cdef int i = 20
    cdef uint64_t rest
    while True:
        rest = value // 10
        i -= 1
        digits[i] = <char>(48 + (value - rest * 10))
        value = rest
        if value == 0:
            break
    memcpy(out, digits + i, 20 - i)
    return 20 - i


cdef inline char* put_points(char* out, int64_t points, int decimals) noexcept nogil:
    """Write a positive fixed-point number with exactly `decimals` decimals."""
    cdef char digits[24]
    cdef int n = put_digits(digits, <uint64_t>points)
    cdef int whole = n - decimals
    if decimals == 0:
        memcpy(out, digits, n)
        return out + n
    if whole > 0:
        memcpy(out, digits, whole)
        out[whole] = c"."
        memcpy(out + whole + 1, digits + whole, decimals)
        return out + n + 1
    out[0] = c"0"
    out[1] = c"."
    memset(out + 2, c"0", -whole)
    memcpy(out + 2 - whole, digits, n)
    return out + 2 + decimals


cdef inline void put_base32(char* out, uint64_t value) noexcept nogil:
    cdef int i
    for i in range(7):
        out[i] = BASE32[(value >> (5 * (6 - i))) & 31]


cdef int set_piece(Piece* piece, str text) except -1:
    cdef bytes raw = text.encode("ascii")
    if len(raw) > PIECE_BYTES:
        raise ValueError(f"text of a request is too long: {text}")
    piece.n = <int32_t>len(raw)
    memcpy(piece.text, <const char*>raw, len(raw))
    return 0


def base32(uint64_t value):
    """Write the low 35 bits of `value` as 7 characters, order kept."""
    cdef char out[7]
    put_base32(out, value)
    return out[:7].decode("ascii")


def parse_client_id(str text not None):
    """Split a client order id into (bot, session, sequence); None when it is not of our making."""
    cdef int64_t seq = 0
    if len(text) != CLIENT_ID_BYTES or text[0] != "m" or not text.isascii():
        return None
    bot, session = text[1:4], text[4:11]
    if not bot.isalnum() or bot != bot.lower():
        return None
    for char in text[4:]:
        if not ("0" <= char <= "9" or "a" <= char <= "v"):
            return None
    for char in text[11:]:
        seq = seq * 32 + (ord(char) - 48 if char <= "9" else ord(char) - 87)
    return bot, session, seq


@final
cdef class BitgetEncoder(Encoder):
    """Write the trading messages of one instrument.

    Args:
        venue_symbol: the pair as the venue calls it, "BTCUSDT".
        tick_points, price_decimals: tick size in units of 10**-price_decimals.
        lot_points, qty_decimals: lot size in units of 10**-qty_decimals.
        bot: 3 characters that tell the bot, 0-9 a-z.
        session: 7 characters, `base32` of the session's start in seconds.
        unified: write for a unified account (v3) instead of a classic one (v2).
        amend: take amendments; unified accounts only.
        stp_mode: self-trade prevention: none, cancel_taker, cancel_maker, cancel_both; "" sends none.
    """

    def __cinit__(
        self,
        str venue_symbol not None,
        int64_t tick_points,
        int32_t price_decimals,
        int64_t lot_points,
        int32_t qty_decimals,
        str bot not None,
        str session not None,
        bint unified=False,
        bint amend=False,
        str stp_mode not None="",
    ):
        if not 0 < len(venue_symbol) <= 32 or not venue_symbol.isascii() or '"' in venue_symbol \
                or "\\" in venue_symbol:
            raise ValueError(f"symbol must be 1 to 32 plain characters: {venue_symbol!r}")
        if tick_points < 1 or lot_points < 1:
            raise ValueError(f"steps must be positive: {tick_points}, {lot_points}")
        if not 0 <= price_decimals <= 15 or not 0 <= qty_decimals <= 15:
            raise ValueError(f"decimals must be 0 to 15: {price_decimals}, {qty_decimals}")
        if parse_client_id(f"m{bot}{session}0000000") is None:
            raise ValueError(f"bot needs 3 and session 7 characters of an id: {bot!r}, {session!r}")
        if amend and not unified:
            raise ValueError("classic accounts have no amendment in place")
        if stp_mode not in STP_MODES:
            raise ValueError(f"stp_mode must be one of {STP_MODES}: {stp_mode!r}")
        self.requests_kept = <Request*>calloc(REQUESTS_KEPT, sizeof(Request))
        self.seqs = <uint64_t*>calloc(SEQS_KEPT, sizeof(uint64_t))
        if self.requests_kept == NULL or self.seqs == NULL:
            raise MemoryError("encoder")
        self.tick_points = tick_points
        self.lot_points = lot_points
        self.price_decimals = price_decimals
        self.qty_decimals = qty_decimals
        self.unified = unified
        self.amend = amend
        self.bot = bot
        self.session = session
        cdef bytes prefix = f"m{bot}{session}".encode("ascii")
        memcpy(self.id_prefix, <const char*>prefix, 11)
        stp = f',"stpMode":"{stp_mode}"' if stp_mode else ""
        if unified:
            set_piece(&self.open, '{"op":"trade","id":"')
            for kind, topic in enumerate(TOPICS):
                set_piece(&self.call[<int>kind], f'","category":"spot","topic":"{topic}","args":[{{')
            set_piece(&self.close, "}]}")
            for side, name in ((BUY, "buy"), (SELL, "sell")):
                set_piece(
                    &self.order_side[<int>side],
                    f'"symbol":"{venue_symbol}","orderType":"limit","side":"{name}","qty":"',
                )
            for flag, force in ((0, "gtc"), (1, "post_only")):
                set_piece(
                    &self.order_close[<int>flag], f'","timeInForce":"{force}"{stp},"clientOid":"'
                )
        else:
            set_piece(&self.open, '{"op":"trade","args":[{"id":"')
            for kind, topic in enumerate(TOPICS):
                set_piece(
                    &self.call[<int>kind],
                    f'","instType":"SPOT","instId":"{venue_symbol}","channel":"{topic}","params":{{',
                )
            set_piece(&self.close, "}}]}")
            for side, name in ((BUY, "buy"), (SELL, "sell")):
                set_piece(
                    &self.order_side[<int>side], f'"orderType":"limit","side":"{name}","size":"'
                )
            for flag, force in ((0, "gtc"), (1, "post_only")):
                set_piece(&self.order_close[<int>flag], f'","force":"{force}"{stp},"clientOid":"')
        set_piece(&self.symbol, f'","autoCancel":"no","symbol":"{venue_symbol}"')

    def __dealloc__(self):
        free(self.requests_kept)
        free(self.seqs)

    # --- C face

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef int i, cancels, amends, places
        if now_ns < 0:
            return -1
        cancels = amends = places = 0
        for i in range(count):
            if actions[i].seal == 0 or actions[i].action.seq == 0:
                return -1
            if actions[i].action.kind == ACTION_CANCEL:
                cancels += 1
                continue
            if actions[i].action.price_ticks <= 0 or actions[i].action.qty_lots <= 0:
                return -1
            if actions[i].action.kind == ACTION_AMEND and self.amend:
                amends += 1
            elif actions[i].action.kind == ACTION_PLACE and (
                actions[i].action.side == BUY or actions[i].action.side == SELL
            ):
                places += 1
            else:
                return -1
        # Either everything fits or nothing is written. Counts are never negative.
        if out.count + amends + cancels + places > OUT_MESSAGES:
            return -1
        if out.size + (MESSAGE_BYTES + ENTRY_BYTES) * (cancels + amends + places) > OUT_BYTES:
            return -1
        if self.unified:
            i = put_cancels(self, actions, count, table, 1, out)
            i += put_cancels(self, actions, count, table, 0, out)
            i += put_amends(self, actions, count, table, out)
            return i + put_places(self, actions, count, places, out)
        return put_singles(self, actions, count, table, out)

    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil:
        # No message has a hole.
        return

    # --- Python face

    def client_id(self, uint64_t seq):
        """Write the client order id of a sequence of this session."""
        cdef char out[CLIENT_ID_BYTES]
        if seq > <uint64_t>SEQ_MAX:
            raise ValueError(f"sequence must be at most {SEQ_MAX}: {seq}")
        put_client_id(self, out, seq)
        return out[:CLIENT_ID_BYTES].decode("ascii")

    def seq_of(self, str client_id not None):
        """Return the sequence of a client order id of this session, 0 when it is not one."""
        parts = parse_client_id(client_id)
        if parts is None or parts[0] != self.bot or parts[1] != self.session:
            return 0
        return parts[2]

    def is_earlier(self, str client_id not None):
        """Whether an id is this bot's, of an earlier session."""
        parts = parse_client_id(client_id)
        return parts is not None and parts[0] == self.bot and parts[1] != self.session

    def requests(self, int64_t req_id):
        """Tell what a request id stood for: (RequestKind, sequences in request order); None when forgotten."""
        cdef Request* request
        cdef int i
        if not 0 < req_id <= REQ_ID_MAX:
            return None
        request = &self.requests_kept[req_id & (REQUESTS_KEPT - 1)]
        if request.req_id != req_id or self.seq_count - request.first > SEQS_KEPT:
            return None
        return RequestKind(request.kind), [
            self.seqs[(request.first + i) & (SEQS_KEPT - 1)] for i in range(request.count)
        ]

    def requested(self, int64_t req_id):
        """Tell what a request id stood for: (add, amend or cancel; sequences); ("", []) when forgotten."""
        found = self.requests(req_id)
        return ("", []) if found is None else (KIND_NAMES[<int>found[0]], found[1])

    def superseded(self, int64_t req_id, uint64_t seq):
        """Whether a later request of the same kind than `req_id` names the order: its answer is the one to wait for."""
        cdef const Request* request
        cdef int64_t i
        cdef int j
        cdef int kind = self.requests_kept[req_id & (REQUESTS_KEPT - 1)].kind
        if not 0 < req_id < self.req_id or self.requests_kept[req_id & (REQUESTS_KEPT - 1)].req_id != req_id:
            return False
        for i in range(req_id + 1, min(self.req_id, req_id + REQUESTS_KEPT - 1) + 1):
            request = &self.requests_kept[i & (REQUESTS_KEPT - 1)]
            if request.req_id != i or request.kind != kind or self.seq_count - request.first > SEQS_KEPT:
                continue
            for j in range(request.count):
                if self.seqs[(request.first + j) & (SEQS_KEPT - 1)] == seq:
                    return True
        return False

    @property
    def last_req_id(self):
        """Id of the last request written, 0 before the first."""
        return self.req_id

    def encode(self, list actions not None, int64_t now_ns, OrderTable table=None):
        """Write the messages of `actions` without sending them: [(message, -1)].

        For tests and replay. `actions`: tuples (ActionKind, seq, side, price_ticks, qty_lots, post_only).

        Raises:
            ValueError: when the encoder refuses.
        """
        cdef Approved approved[ACTIONS_MAX]
        cdef OutBatch batch
        cdef int i, written
        if len(actions) > ACTIONS_MAX:
            raise ValueError(f"at most {ACTIONS_MAX} actions: {len(actions)}")
        memset(approved, 0, sizeof(approved))
        for i, (kind, seq, side, price_ticks, qty_lots, post_only) in enumerate(actions):
            approved[i].seal = 1
            approved[i].action.kind = kind
            approved[i].action.seq = seq
            approved[i].action.side = side
            approved[i].action.price_ticks = price_ticks
            approved[i].action.qty_lots = qty_lots
            approved[i].post_only = post_only
        out_alloc(&batch)
        try:
            written = self.encode_c(approved, <int>len(actions), table, now_ns, &batch)
            if written < 0:
                raise ValueError("refused")
            return [
                (batch.data[batch.start[i] : batch.start[i] + batch.length[i]], batch.hole[i])
                for i in range(written)
            ]
        finally:
            out_free(&batch)

    def encode_many(self, list actions not None, int64_t now_ns, int64_t rounds):
        """Encode the same actions `rounds` times in compiled code; returns bytes written. For benches."""
        cdef Approved approved[ACTIONS_MAX]
        cdef OutBatch batch
        cdef int64_t r, total = 0
        cdef int i
        cdef int n = <int>len(actions)
        if n > ACTIONS_MAX:
            raise ValueError(f"at most {ACTIONS_MAX} actions: {n}")
        memset(approved, 0, sizeof(approved))
        for i, (kind, seq, side, price_ticks, qty_lots, post_only) in enumerate(actions):
            approved[i].seal = 1
            approved[i].action.kind = kind
            approved[i].action.seq = seq
            approved[i].action.side = side
            approved[i].action.price_ticks = price_ticks
            approved[i].action.qty_lots = qty_lots
            approved[i].post_only = post_only
        out_alloc(&batch)
        with nogil:
            for r in range(rounds):
                out_reset(&batch)
                self.encode_c(approved, n, None, now_ns + r * 1_000_000, &batch)
                total += batch.size
        out_free(&batch)
        return total


# --- writing one request

cdef inline void put_client_id(BitgetEncoder self, char* out, uint64_t seq) noexcept nogil:
    memcpy(out, self.id_prefix, 11)
    put_base32(out + 11, seq)


cdef inline const Order* named(OrderTable table, uint64_t seq) noexcept nogil:
    """Find the order of a sequence if the venue's id of it is known."""
    cdef const Order* order = NULL
    if table is not None:
        order = table.find_c(seq)
    return order if order != NULL and order.venue_id_len > 0 else NULL


cdef inline char* put_name(BitgetEncoder self, char* p, const Order* order, uint64_t seq) noexcept nogil:
    """Write which order is meant, up to its closing quote."""
    if order != NULL:
        memcpy(p, b'"orderId":"', 11)
        memcpy(p + 11, order.venue_id, order.venue_id_len)
        p += 11 + order.venue_id_len
    else:
        memcpy(p, b'"clientOid":"', 13)
        put_client_id(self, p + 13, seq)
        p += 13 + CLIENT_ID_BYTES
    p[0] = c'"'
    return p + 1


cdef inline char* open_request(BitgetEncoder self, char* p, int kind) noexcept nogil:
    cdef Request* request
    self.req_id = 1 if self.req_id >= REQ_ID_MAX else self.req_id + 1
    request = &self.requests_kept[self.req_id & (REQUESTS_KEPT - 1)]
    request.req_id = self.req_id
    request.kind = kind
    request.count = 0
    request.first = self.seq_count
    p = put(p, &self.open)
    p += put_digits(p, <uint64_t>self.req_id)
    return put(p, &self.call[kind])


cdef inline void note_seq(BitgetEncoder self, uint64_t seq) noexcept nogil:
    self.seqs[self.seq_count & (SEQS_KEPT - 1)] = seq
    self.seq_count += 1
    self.requests_kept[self.req_id & (REQUESTS_KEPT - 1)].count += 1


cdef inline void close_request(BitgetEncoder self, char* p, OutBatch* out) noexcept nogil:
    """End the message and enter it into the batch."""
    cdef int index = out.count
    p = put(p, &self.close)
    out.start[index] = out.size
    out.hole[index] = -1
    out.length[index] = <int32_t>(p - (out.data + out.size))
    out.size += out.length[index]
    out.count = index + 1


cdef inline char* put_order(BitgetEncoder self, char* p, const Approved* approved) noexcept nogil:
    """Write the members of one order."""
    p = put(p, &self.order_side[approved.action.side])
    p = put_points(p, approved.action.qty_lots * self.lot_points, self.qty_decimals)
    memcpy(p, b'","price":"', 11)
    p = put_points(p + 11, approved.action.price_ticks * self.tick_points, self.price_decimals)
    p = put(p, &self.order_close[approved.post_only != 0])
    put_client_id(self, p, approved.action.seq)
    note_seq(self, approved.action.seq)
    p[CLIENT_ID_BYTES] = c'"'
    return p + CLIENT_ID_BYTES + 1


# --- classic accounts: one order a message

cdef int put_singles(
    BitgetEncoder self, const Approved* actions, int count, OrderTable table, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i
    cdef int written = 0
    for i in range(count):
        if actions[i].action.kind == ACTION_CANCEL:
            p = open_request(self, out.data + out.size, REQUEST_CANCEL)
            note_seq(self, actions[i].action.seq)
            p = put_name(self, p, named(table, actions[i].action.seq), actions[i].action.seq)
            close_request(self, p, out)
            written += 1
    for i in range(count):
        if actions[i].action.kind == ACTION_PLACE:
            p = open_request(self, out.data + out.size, REQUEST_ADD)
            p = put_order(self, p, &actions[i])
            close_request(self, p, out)
            written += 1
    return written


# --- unified accounts

cdef int put_cancels(
    BitgetEncoder self, const Approved* actions, int count, OrderTable table, bint by_id, OutBatch* out
) noexcept nogil:
    """Write the cancels of orders whose venue id is known, or of the others."""
    cdef const Order* order
    cdef char* p
    cdef int i
    cdef int n
    cdef int left = 0
    cdef int written = 0
    for i in range(count):
        if actions[i].action.kind == ACTION_CANCEL:
            left += (named(table, actions[i].action.seq) != NULL) == by_id
    i = 0
    while left > 0:
        n = left if left < BATCH_MAX else BATCH_MAX
        left -= n
        p = open_request(self, out.data + out.size, REQUEST_CANCEL if n == 1 else REQUEST_BATCH_CANCEL)
        while n > 0:
            if actions[i].action.kind == ACTION_CANCEL:
                order = named(table, actions[i].action.seq)
                if (order != NULL) == by_id:
                    p = put_name(self, p, order, actions[i].action.seq)
                    note_seq(self, actions[i].action.seq)
                    n -= 1
                    if n > 0:
                        memcpy(p, b"},{", 3)
                        p += 3
            i += 1
        close_request(self, p, out)
        written += 1
    return written


cdef int put_amends(
    BitgetEncoder self, const Approved* actions, int count, OrderTable table, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i
    cdef int written = 0
    for i in range(count):
        if actions[i].action.kind != ACTION_AMEND:
            continue
        p = open_request(self, out.data + out.size, REQUEST_AMEND)
        note_seq(self, actions[i].action.seq)
        p = put_name(self, p, named(table, actions[i].action.seq), actions[i].action.seq)
        memcpy(p, b',"qty":"', 8)
        p = put_points(p + 8, actions[i].action.qty_lots * self.lot_points, self.qty_decimals)
        memcpy(p, b'","price":"', 11)
        p = put_points(p + 11, actions[i].action.price_ticks * self.tick_points, self.price_decimals)
        p = put(p, &self.symbol)
        close_request(self, p, out)
        written += 1
    return written


cdef int put_places(
    BitgetEncoder self, const Approved* actions, int count, int left, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i = 0
    cdef int n
    cdef int written = 0
    while left > 0:
        n = left if left < BATCH_MAX else BATCH_MAX
        left -= n
        p = open_request(self, out.data + out.size, REQUEST_ADD if n == 1 else REQUEST_BATCH_ADD)
        while n > 0:
            if actions[i].action.kind == ACTION_PLACE:
                p = put_order(self, p, &actions[i])
                n -= 1
                if n > 0:
                    memcpy(p, b"},{", 3)
                    p += 3
            i += 1
        close_request(self, p, out)
        written += 1
    return written
