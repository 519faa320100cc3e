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
from libc.string cimport memcpy, memset

from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.planner cimport ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE
from openmm._fast.ports cimport (
    OUT_BYTES,
    OUT_MESSAGES,
    REQUEST_ADD,
    REQUEST_AMEND,
    REQUEST_BATCH_ADD,
    REQUEST_BATCH_CANCEL,
    REQUEST_CANCEL,
    Encoder,
    OutBatch,
    Wanted,
    close_message_c,
    count_actions_c,
    note_seq_c,
    open_request_c,
)
from openmm._fast.text cimport put, put_base32, put_digits_c, put_points, set_piece
from openmm._fast.units cimport BUY, SELL

STP_TYPES = ("cancel_newest", "cancel_oldest", "cancel_both")


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
        self.begin(
            venue_symbol, tick_points, price_decimals, lot_points, qty_decimals, "m", bot, session
        )
        if deadline_ms != 0 and not 500 <= deadline_ms <= 60_000:
            raise ValueError(f"deadline must be 500 to 60000 ms, or 0: {deadline_ms}")
        if stp_type not in STP_TYPES:
            raise ValueError(f"stp_type must be one of {', '.join(STP_TYPES)}: {stp_type}")
        self.deadline_ms = deadline_ms
        self.second_ms = 0
        self.day = 0
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
            # What is not post-only is to take now or not at all.
            tif = "gtc" if flag else "ioc"
            set_piece(
                &self.mid[<int>flag],
                f',"time_in_force":"{tif}","post_only":{name},"stp_type":"{stp_type}"'
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

    # --- C face

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef Wanted wanted
        cdef int i
        if not count_actions_c(actions, count, 1, &wanted):
            return -1
        # Either everything fits or nothing is written. Counts are never negative.
        if out.count + wanted.amends + wanted.cancels // CANCELS_MAX + 1 + wanted.places // ADDS_MAX + 1 > OUT_MESSAGES:
            return -1
        if out.size + 32 * wanted.cancels + 384 * wanted.amends + 256 * wanted.places + 2 * 512 * (
            wanted.cancels // CANCELS_MAX + wanted.places // ADDS_MAX + 2
        ) > OUT_BYTES:
            return -1
        if self.deadline_ms != 0 and wanted.amends + wanted.places > 0:
            if now_ns < 0:
                return -1
            make_stamp(self, now_ns)
        i = put_cancels(self, actions, count, wanted.cancels, out)
        i += put_amends(self, actions, count, out)
        i += put_places(self, actions, count, wanted.places, out)
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


# --- writing one request

cdef inline void put_client_id(KrakenEncoder self, char* out, uint64_t seq) noexcept nogil:
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


cdef inline void close_request(KrakenEncoder self, char* p, OutBatch* out) noexcept nogil:
    """Write the token's hole and the request id, and enter the message into the batch."""
    cdef int32_t hole = <int32_t>(p - (out.data + out.size)) + 10
    p = put(p, &self.hole)
    p += put_digits_c(p, <uint64_t>self.req_id)
    p[0] = c"}"
    close_message_c(p + 1, hole, out)


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
            open_request_c(self, REQUEST_CANCEL)
            memcpy(p, b'{"method":"cancel_order","params":{"cl_ord_id":[', 48)
            p += 48
        else:
            open_request_c(self, REQUEST_BATCH_CANCEL)
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
                note_seq_c(self, actions[i].action.seq)
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
        open_request_c(self, REQUEST_AMEND)
        note_seq_c(self, actions[i].action.seq)
        p = out.data + out.size
        memcpy(p, b'{"method":"amend_order","params":{"cl_ord_id":"', 47)
        put_client_id(self, p + 47, actions[i].action.seq)
        p += 47 + CLIENT_ID_BYTES
        memcpy(p, b'","limit_price":', 16)
        p = put_points(p + 16, actions[i].action.price_ticks * self.steps.tick_points, self.steps.price_decimals)
        memcpy(p, b',"order_qty":', 13)
        p = put_points(p + 13, actions[i].action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)
        p = put(p, &self.amend_post[actions[i].post_only != 0])
        p = put_deadline(self, p)
        close_request(self, p, out)
        written += 1
    return written


cdef inline char* put_order(KrakenEncoder self, char* p, const Approved* approved) noexcept nogil:
    """Write the members of one order, from its type to its client id."""
    p = put(p, &self.head[approved.action.side])
    p = put_points(p, approved.action.price_ticks * self.steps.tick_points, self.steps.price_decimals)
    memcpy(p, b',"order_qty":', 13)
    p = put_points(p + 13, approved.action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)
    p = put(p, &self.mid[approved.post_only != 0])
    put_base32(p, approved.action.seq)
    p[7] = c'"'
    note_seq_c(self, approved.action.seq)
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
            open_request_c(self, REQUEST_ADD)
            p = put(p, &self.add_open)
            while actions[i].action.kind != ACTION_PLACE:
                i += 1
            p = put_order(self, p, &actions[i])
            i += 1
            p = put(p, &self.add_symbol)
        else:
            open_request_c(self, REQUEST_BATCH_ADD)
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
