"""Approved actions to Kraken WebSocket v2 requests, from prebuilt text.

Cancels go first, in one request; each amend is its own; places share a `batch_add` of up to 15. The
canonical text carries a hole for the token: 64 asterisks and a quote, which `fill_secret_c` replaces by
the token, its quote and spaces, so that the length never changes and the secret is never journalled.

Client order ids have 18 characters: ``m``, 3 that tell the bot, 7 that tell the session, 7 that tell
the order's sequence (docs/architecture.md).

Source: Kraken API documentation, pages "Batch Add", "Amend Order", "Cancel Order", "Batch Cancel"
(WebSocket v2) and "Spot Client Order Identifiers", read 2026-06.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport ORDERS_MAX, OrderTable
from openmm._fast.planner cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, ACTIONS_MAX
from openmm._fast.ports cimport OUT_BYTES, OUT_MESSAGES, Encoder, OutBatch, out_alloc, out_free, out_reset
from openmm._fast.units cimport BUY, SELL
from openmm.venues.kraken.checksum cimport put_digits_c

cdef enum:
    BLOCK_BYTES = 32            # divides PIECE_BYTES

cdef const char* BASE32 = b"0123456789abcdefghijklmnopqrstuv"
cdef int64_t POINTS[19]
cdef int _i
POINTS[0] = 1
for _i in range(1, 19):
    POINTS[_i] = POINTS[_i - 1] * 10

SEQ_MAX = (1 << 35) - 1
KIND_NAMES = ("", "add", "add", "amend", "cancel", "cancel")  # by RequestKind, in the words of `events`
STP_TYPES = ("cancel_newest", "cancel_oldest", "cancel_both")


cdef inline char* put(char* out, const Piece* piece) noexcept nogil:
    # Whole blocks need no call; what runs over is overwritten by what follows.
    cdef int i = 0
    while i < piece.n:
        memcpy(out + i, piece.text + i, BLOCK_BYTES)
        i += BLOCK_BYTES
    return out + piece.n


cdef inline char* put_points(char* out, int64_t points, int decimals) noexcept nogil:
    """Write a positive fixed-point number with exactly `decimals` decimals."""
    cdef char digits[24]
    cdef int n = put_digits_c(digits, <uint64_t>points)
    cdef int whole = n - decimals
    if decimals == 0:
        memcpy(out, digits, 20)
        return out + n
    if whole > 0:
        memcpy(out, digits, 20)
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


cdef inline void put_pair(char* out, unsigned int value) noexcept nogil:
    out[0] = <char>(48 + value // 10)
    out[1] = <char>(48 + value % 10)


cdef void put_date(char* out, uint64_t day) noexcept nogil:
    """Write `2024-07-21` for days since 1970.

    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    """
    cdef uint64_t era, of_era, year, of_year, month
    day += 719468
    era = day // 146097
    of_era = day - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    put_pair(out + 8, <unsigned int>(of_year - (153 * month + 2) // 5 + 1))
    month = month + 3 if month < 10 else month - 9
    year += era * 400 + (month <= 2)
    put_pair(out, <unsigned int>(year // 100))
    put_pair(out + 2, <unsigned int>(year % 100))
    out[4] = out[7] = c"-"
    put_pair(out + 5, <unsigned int>month)


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
cdef class KrakenEncoder(Encoder):
    """Write the requests of one instrument.

    Args:
        venue_symbol: the pair on WebSocket v2, "BTC/USD".
        tick_points, price_decimals: tick size in units of 10**-price_decimals.
        lot_points, qty_decimals: lot size in units of 10**-qty_decimals.
        bot: 3 characters that tell the bot, 0-9 a-z.
        session: 7 characters, `base32` of the session's start in seconds.
        deadline_ms: how long after the decision the engine may still take a request: 500 to 60000, or
            0 for none.
        stp_type: self-trade prevention: cancel_newest, cancel_oldest, cancel_both.
        amend_symbol: name the pair in amends (Kraken needs it for pairs without crypto).
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
        int64_t deadline_ms=5000,
        str stp_type not None="cancel_newest",
        bint amend_symbol=False,
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
        if deadline_ms != 0 and not 500 <= deadline_ms <= 60_000:
            raise ValueError(f"deadline must be 500 to 60000 ms, or 0: {deadline_ms}")
        if stp_type not in STP_TYPES:
            raise ValueError(f"stp_type must be one of {', '.join(STP_TYPES)}: {stp_type}")
        self.requests_kept = <Request*>calloc(REQUESTS_KEPT, sizeof(Request))
        self.seqs = <uint64_t*>calloc(SEQS_KEPT, sizeof(uint64_t))
        self.aliases = <Alias*>calloc(ORDERS_MAX, sizeof(Alias))
        if self.requests_kept == NULL or self.seqs == NULL or self.aliases == NULL:
            raise MemoryError("encoder")
        self.tick_points = tick_points
        self.lot_points = lot_points
        self.price_decimals = price_decimals
        self.qty_decimals = qty_decimals
        self.deadline_ms = deadline_ms
        self.bot = bot
        self.session = session
        self.second_ms = 0
        self.day = 0
        cdef bytes prefix = f"m{bot}{session}".encode("ascii")
        memcpy(self.id_prefix, <const char*>prefix, 11)
        memcpy(self.stamp, b"1970-01-01T00:00:00.000Z", 24)
        memset(self.secret, c"*", TOKEN_BYTES)
        self.secret[TOKEN_BYTES] = c'"'
        self.has_secret = False
        for side, name in ((BUY, "buy"), (SELL, "sell")):
            set_piece(
                &self.head[<int>side],
                f'"order_type":"limit","side":"{name}","limit_price":',
            )
        for flag, name in ((0, "false"), (1, "true")):
            set_piece(
                &self.mid[<int>flag],
                f',"time_in_force":"gtc","post_only":{name},"stp_type":"{stp_type}"'
                f',"cl_ord_id":"m{bot}{session}',
            )
            set_piece(
                &self.amend_post[<int>flag],
                (f',"symbol":"{venue_symbol}"' if amend_symbol else "") + f',"post_only":{name}',
            )
        set_piece(&self.add_open, '{"method":"add_order","params":{')
        set_piece(&self.add_symbol, f',"symbol":"{venue_symbol}"')
        set_piece(
            &self.batch_open,
            f'{{"method":"batch_add","params":{{"symbol":"{venue_symbol}","orders":[{{',
        )
        set_piece(&self.hole, ',"token":"' + "*" * TOKEN_BYTES + '"},"req_id":')

    def __dealloc__(self):
        free(self.requests_kept)
        free(self.seqs)
        free(self.aliases)

    # --- C face

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef int i, cancels, amends, places
        cancels = amends = places = 0
        for i in range(count):
            if actions[i].seal == 0 or actions[i].action.seq == 0:
                return -1
            if actions[i].action.kind == ACTION_CANCEL:
                cancels += 1
                continue
            if actions[i].action.price_ticks <= 0 or actions[i].action.qty_lots <= 0:
                return -1
            if actions[i].action.kind == ACTION_AMEND:
                amends += 1
            elif actions[i].action.kind == ACTION_PLACE and (
                actions[i].action.side == BUY or actions[i].action.side == SELL
            ):
                places += 1
            else:
                return -1
        # Either everything fits or nothing is written. Counts are never negative.
        if out.count + amends + cancels // CANCELS_MAX + 1 + places // ADDS_MAX + 1 > OUT_MESSAGES:
            return -1
        if out.size + 32 * cancels + 384 * amends + 256 * places + 2 * 512 * (
            cancels // CANCELS_MAX + places // ADDS_MAX + 2
        ) > OUT_BYTES:
            return -1
        if self.deadline_ms != 0 and amends + places > 0:
            if now_ns < 0:
                return -1
            make_stamp(self, now_ns)
        i = put_cancels(self, actions, count, cancels, out)
        i += put_amends(self, actions, count, out)
        i += put_places(self, actions, count, places, out)
        return i

    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil:
        if hole >= 0 and hole + HOLE_BYTES <= length:
            memcpy(message + hole, self.secret, HOLE_BYTES)

    # --- Python face

    def set_token(self, str token not None):
        """Take a WebSocket token for all later messages; it never leaves but through the write buffer.

        Raises:
            ValueError: for a token that does not fit (its text is not repeated).
        """
        if not 0 < len(token) <= TOKEN_BYTES or not token.isascii() or '"' in token or "\\" in token:
            raise ValueError(f"token must be 1 to {TOKEN_BYTES} plain characters")
        cdef bytes raw = token.encode("ascii")
        memset(self.secret, c" ", HOLE_BYTES)
        memcpy(self.secret, <const char*>raw, len(raw))
        self.secret[len(raw)] = c'"'
        self.has_secret = True

    @property
    def has_token(self):
        """Whether a token was set."""
        return self.has_secret

    def fill_secret(self, bytes message not None, int hole):
        """Return `message` as it goes on the wire."""
        cdef bytearray wire = bytearray(message)
        cdef char* data = wire
        self.fill_secret_c(data, <int>len(wire), hole)
        return bytes(wire)

    def client_id(self, uint64_t seq):
        """Write the client order id of a sequence, of this session or adopted."""
        cdef char out[CLIENT_ID_BYTES]
        if seq > <uint64_t>SEQ_MAX:
            raise ValueError(f"sequence must be at most {SEQ_MAX}: {seq}")
        put_client_id(self, out, seq)
        return out[:CLIENT_ID_BYTES].decode("ascii")

    def seq_of(self, str client_id not None):
        """Return the sequence behind a client order id; 0 when it is not of this session nor adopted."""
        cdef bytes raw
        cdef int i
        parts = parse_client_id(client_id)
        if parts is None:
            return 0
        if parts[0] == self.bot and parts[1] == self.session:
            return parts[2]
        raw = client_id.encode("ascii")
        for i in range(ORDERS_MAX):
            if self.aliases[i].seq and memcmp(self.aliases[i].text, <const char*>raw, CLIENT_ID_BYTES) == 0:
                return self.aliases[i].seq
        return 0

    def adopt(self, uint64_t seq, str client_id not None):
        """Let an order of an earlier session keep its id under a sequence of this one.

        The alias ends when its slot is used by another sequence.
        """
        cdef Alias* alias
        parts = parse_client_id(client_id)
        if parts is None or seq == 0:
            raise ValueError(f"not a client order id of ours: {client_id!r}")
        cdef bytes raw = client_id.encode("ascii")
        alias = &self.aliases[seq & (ORDERS_MAX - 1)]
        alias.seq = seq
        memcpy(alias.text, <const char*>raw, CLIENT_ID_BYTES)

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

    def is_earlier(self, str client_id not None):
        """Whether an id is this bot's, of an earlier session."""
        parts = parse_client_id(client_id)
        return parts is not None and parts[0] == self.bot and parts[1] != self.session

    @property
    def last_req_id(self):
        """Id of the last request written, 0 before the first."""
        return self.req_id

    def encode(self, list actions not None, int64_t now_ns):
        """Write the messages of `actions` without sending them: [(message, hole)].

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
            written = self.encode_c(approved, <int>len(actions), None, now_ns, &batch)
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

cdef inline void put_client_id(KrakenEncoder self, char* out, uint64_t seq) noexcept nogil:
    cdef Alias* alias = &self.aliases[seq & (ORDERS_MAX - 1)]
    if alias.seq == seq and seq != 0:
        memcpy(out, alias.text, CLIENT_ID_BYTES)
    else:
        memcpy(out, self.id_prefix, 11)
        put_base32(out + 11, seq)


cdef void make_stamp(KrakenEncoder self, int64_t now_ns) noexcept nogil:
    """Bring `stamp` to the deadline of requests decided at `now_ns`, a moment after 1970."""
    # Unsigned, so that dividing by a constant needs neither a division nor a rounding rule.
    cdef uint64_t ms = <uint64_t>now_ns // 1_000_000 + <uint64_t>self.deadline_ms
    cdef uint64_t second, day, of_day
    if not self.second_ms <= ms < self.second_ms + 1000:
        second = ms // 1000
        self.second_ms = second * 1000
        day = second // 86_400
        of_day = second - day * 86_400
        if day != self.day:
            self.day = day
            put_date(self.stamp, day)
        put_pair(self.stamp + 11, <unsigned int>(of_day // 3600))
        put_pair(self.stamp + 14, <unsigned int>(of_day // 60 % 60))
        put_pair(self.stamp + 17, <unsigned int>(of_day % 60))
    ms -= self.second_ms
    self.stamp[20] = <char>(48 + ms // 100)
    put_pair(self.stamp + 21, <unsigned int>(ms % 100))


cdef inline char* put_deadline(KrakenEncoder self, char* p) noexcept nogil:
    if self.deadline_ms == 0:
        return p
    memcpy(p, b',"deadline":"', 13)
    memcpy(p + 13, self.stamp, 24)
    p[37] = c'"'
    return p + 38


cdef inline void open_request(KrakenEncoder self, int kind) noexcept nogil:
    cdef Request* request
    self.req_id = 1 if self.req_id >= REQ_ID_MAX else self.req_id + 1
    request = &self.requests_kept[self.req_id & (REQUESTS_KEPT - 1)]
    request.req_id = self.req_id
    request.kind = kind
    request.count = 0
    request.first = self.seq_count


cdef inline void note_seq(KrakenEncoder self, uint64_t seq) noexcept nogil:
    self.seqs[self.seq_count & (SEQS_KEPT - 1)] = seq
    self.seq_count += 1
    self.requests_kept[self.req_id & (REQUESTS_KEPT - 1)].count += 1


cdef inline void close_request(KrakenEncoder self, char* p, OutBatch* out) noexcept nogil:
    """Write the token's hole and the request id, and enter the message into the batch."""
    cdef int index = out.count
    cdef char* start = out.data + out.size
    out.start[index] = out.size
    out.hole[index] = <int32_t>(p - start) + 10
    p = put(p, &self.hole)
    p += put_digits_c(p, <uint64_t>self.req_id)
    p[0] = c"}"
    out.length[index] = <int32_t>(p + 1 - start)
    out.size += out.length[index]
    out.count = index + 1


cdef int put_cancels(
    KrakenEncoder self, const Approved* actions, int count, int left, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i = 0
    cdef int n
    cdef int written = 0
    while left > 0:
        p = out.data + out.size
        n = left if left < CANCELS_MAX else CANCELS_MAX
        # A batch needs two ids: leave none alone behind a full one.
        if left - n == 1:
            n -= 1
        if n == 1:
            open_request(self, REQUEST_CANCEL)
            memcpy(p, b'{"method":"cancel_order","params":{"cl_ord_id":[', 48)
            p += 48
        else:
            open_request(self, REQUEST_BATCH_CANCEL)
            memcpy(p, b'{"method":"batch_cancel","params":{"cl_ord_id":[', 48)
            p += 48
        left -= n
        while n > 0:
            if actions[i].action.kind == ACTION_CANCEL:
                p[0] = c'"'
                put_client_id(self, p + 1, actions[i].action.seq)
                p[19] = c'"'
                p[20] = c","
                p += 21
                note_seq(self, actions[i].action.seq)
                n -= 1
            i += 1
        (p - 1)[0] = c"]"
        close_request(self, p, out)
        written += 1
    return written


cdef int put_amends(
    KrakenEncoder self, const Approved* actions, int count, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i
    cdef int written = 0
    for i in range(count):
        if actions[i].action.kind != ACTION_AMEND:
            continue
        open_request(self, REQUEST_AMEND)
        note_seq(self, actions[i].action.seq)
        p = out.data + out.size
        memcpy(p, b'{"method":"amend_order","params":{"cl_ord_id":"', 47)
        put_client_id(self, p + 47, actions[i].action.seq)
        p += 47 + CLIENT_ID_BYTES
        memcpy(p, b'","limit_price":', 16)
        p = put_points(p + 16, actions[i].action.price_ticks * self.tick_points, self.price_decimals)
        memcpy(p, b',"order_qty":', 13)
        p = put_points(p + 13, actions[i].action.qty_lots * self.lot_points, self.qty_decimals)
        p = put(p, &self.amend_post[actions[i].post_only != 0])
        p = put_deadline(self, p)
        close_request(self, p, out)
        written += 1
    return written


cdef inline char* put_order(KrakenEncoder self, char* p, const Approved* approved) noexcept nogil:
    """Write the members of one order, from its type to its client id."""
    p = put(p, &self.head[approved.action.side])
    p = put_points(p, approved.action.price_ticks * self.tick_points, self.price_decimals)
    memcpy(p, b',"order_qty":', 13)
    p = put_points(p + 13, approved.action.qty_lots * self.lot_points, self.qty_decimals)
    p = put(p, &self.mid[approved.post_only != 0])
    put_base32(p, approved.action.seq)
    p[7] = c'"'
    note_seq(self, approved.action.seq)
    return p + 8


cdef int put_places(
    KrakenEncoder self, const Approved* actions, int count, int left, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i = 0
    cdef int n
    cdef int written = 0
    while left > 0:
        p = out.data + out.size
        n = left if left < ADDS_MAX else ADDS_MAX
        if left - n == 1:
            n -= 1
        left -= n
        if n == 1:
            open_request(self, REQUEST_ADD)
            p = put(p, &self.add_open)
            while actions[i].action.kind != ACTION_PLACE:
                i += 1
            p = put_order(self, p, &actions[i])
            i += 1
            p = put(p, &self.add_symbol)
        else:
            open_request(self, REQUEST_BATCH_ADD)
            p = put(p, &self.batch_open)
            while n > 0:
                if actions[i].action.kind == ACTION_PLACE:
                    p = put_order(self, p, &actions[i])
                    memcpy(p, b"},{", 3)
                    p += 3
                    n -= 1
                i += 1
            p -= 2
            p[0] = c"]"
            p += 1
        p = put_deadline(self, p)
        close_request(self, p, out)
        written += 1
    return written
