"""Approved actions to MEXC's REST trading requests, from prebuilt text.

The venue takes no order over WebSocket. A message is `ID VERB /path?query`: the id is ours, whoever
sends it writes the rest as an HTTP request and tells the reply under that id. The query ends with
the signature: a hole of 64 characters that is filled when the request leaves.

Cancels go first, one order a request: there is no list of ids. Two places and more share a batch of
up to 20, a JSON array in the query, percent-encoded in upper case as it is signed. An order is named
by the venue's id once that is known, else by ours.

Client order ids have 18 characters: ``m``, 3 that tell the bot, 7 that tell the session, 7 that
tell the order's sequence (docs/architecture.md).

Source: MEXC documentation, "New Order", "Batch Orders", "Cancel Order", "Signed", 2025-08 to 2026;
mexcdevelop/mexc-api-demo.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport Order, OrderTable
from openmm._fast.planner cimport ACTION_CANCEL, ACTION_PLACE
from openmm._fast.ports cimport (
    OUT_BYTES,
    OUT_MESSAGES,
    REQUEST_ADD,
    REQUEST_BATCH_ADD,
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
from openmm._fast.units cimport SELL

from urllib.parse import quote

cdef enum:
    MESSAGE_BYTES = 640         # of a request without the orders it lists
    ENTRY_BYTES = 448           # of one order in it

STP_MODES = ("", "cancel_maker", "cancel_taker", "cancel_both")


@final
cdef class MexcEncoder(Encoder):
    """Write the requests of one instrument.

    Args:
        venue_symbol: the pair as the venue calls it, "BTCUSDT".
        tick_points, price_decimals: tick size in units of 10**-price_decimals.
        lot_points, qty_decimals: lot size in units of 10**-qty_decimals.
        bot: 3 characters that tell the bot, 0-9 a-z.
        session: 7 characters, `base32` of the session's start in seconds.
        recv_window_ms: how long after the decision the venue may still take a request.
        stp_mode: self-trade prevention: cancel_maker, cancel_taker, cancel_both; "" sends none.
        sign: makes the signature of a query, 64 characters; None: holes stay as they are.
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
        int64_t recv_window_ms=5000,
        str stp_mode not None="",
        sign=None,
    ):
        self.begin(
            venue_symbol, tick_points, price_decimals, lot_points, qty_decimals, "m", bot, session
        )
        if not venue_symbol.isalnum():
            raise ValueError(f"symbol must be letters and digits: {venue_symbol!r}")
        if not 1 <= recv_window_ms <= 60_000:
            raise ValueError(f"window must be 1 to 60000 ms: {recv_window_ms}")
        if stp_mode not in STP_MODES:
            raise ValueError(f"stp_mode must be one of {STP_MODES}: {stp_mode!r}")
        self.sign = sign
        for index, (side, kind) in enumerate(
            (side, kind) for side in ("BUY", "SELL") for kind in ("IMMEDIATE_OR_CANCEL", "LIMIT_MAKER")
        ):
            set_piece(
                &self.place[<int>index],
                f" POST /api/v3/order?symbol={venue_symbol}&side={side}&type={kind}&quantity=",
            )
            entry = f'{{"symbol":"{venue_symbol}","side":"{side}","type":"{kind}","quantity":"'
            set_piece(&self.entry[<int>index], quote(entry, safe=""))
        set_piece(&self.batch, " POST /api/v3/batchOrders?batchOrders=%5B")
        set_piece(&self.entry_price, quote('","price":"', safe=""))
        set_piece(&self.entry_id, quote('","newClientOrderId":"', safe=""))
        stp = f'","stpMode":"{stp_mode}"}}' if stp_mode else '"}'
        set_piece(&self.entry_close, quote(stp, safe=""))
        set_piece(&self.place_close, f"&stpMode={stp_mode}" if stp_mode else "")
        set_piece(&self.cancel, f" DELETE /api/v3/order?symbol={venue_symbol}&")
        set_piece(&self.close, f"&recvWindow={recv_window_ms}&timestamp=")

    # --- C face

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef Wanted wanted
        cdef uint64_t now_ms
        cdef int messages
        cdef int i
        if now_ns < 0:
            return -1
        if not count_actions_c(actions, count, 0, &wanted):
            return -1
        # Either everything fits or nothing is written. Counts are never negative.
        messages = wanted.cancels + wanted.places // BATCH_MAX + 1
        if out.count + messages > OUT_MESSAGES:
            return -1
        if out.size + MESSAGE_BYTES * messages + ENTRY_BYTES * wanted.places > OUT_BYTES:
            return -1
        # Unsigned, so that dividing by a constant needs neither a division nor a rounding rule.
        now_ms = <uint64_t>now_ns // 1_000_000
        i = put_cancels(self, actions, count, table, now_ms, out)
        return i + put_places(self, actions, count, wanted.places, now_ms, out)

    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil:
        cdef const char* query = <const char*>memchr(message, c"?", length)
        # The query up to the parameter that carries the signature.
        cdef Py_ssize_t n
        if query == NULL or hole < 11 or length - hole < SIGNATURE_BYTES:
            return
        query += 1
        n = message + hole - 11 - query
        with gil:
            fill(self, message + hole, query, n)

    # --- Python face

    def filled(self, bytes message not None, int hole):
        """Return a message as it leaves: its signature filled in."""
        cdef bytearray out = bytearray(message)
        if not 0 <= hole <= len(message):
            raise ValueError(f"hole must lie inside the message: {hole}")
        self.fill_secret_c(out, <int>len(out), hole)
        return bytes(out)


cdef int fill(MexcEncoder self, char* at, const char* query, Py_ssize_t n) except -1:
    """Write the signature; without a key the stars stay, which no venue takes."""
    cdef bytes made
    if self.sign is not None:
        made = self.sign(query[:n])
        if len(made) != SIGNATURE_BYTES:
            raise ValueError(f"signature of {len(made)} bytes")
        memcpy(at, <const char*>made, SIGNATURE_BYTES)
    return 0


# --- writing one request

cdef inline char* put_client_id(MexcEncoder self, char* out, uint64_t seq) noexcept nogil:
    memcpy(out, self.id_prefix, 11)
    put_base32(out + 11, seq)
    return out + CLIENT_ID_BYTES


cdef inline const Order* named(OrderTable table, uint64_t seq) noexcept nogil:
    """Find the order of a sequence if the venue's id of it is known, and can stand in a query."""
    cdef const Order* order = NULL
    cdef int i
    cdef char byte
    if table is not None:
        order = table.find_c(seq)
    if order == NULL or order.venue_id_len == 0:
        return NULL
    for i in range(order.venue_id_len):
        byte = order.venue_id[i]
        if not (
            c"0" <= byte <= c"9" or c"a" <= byte <= c"z" or c"A" <= byte <= c"Z"
            or byte == c"_" or byte == c"-"
        ):
            return NULL
    return order


cdef inline char* open_request(MexcEncoder self, char* p, int kind) noexcept nogil:
    open_request_c(self, kind)
    return p + put_digits_c(p, <uint64_t>self.req_id)


cdef inline void close_request(MexcEncoder self, char* p, uint64_t now_ms, OutBatch* out) noexcept nogil:
    """End the message and enter it into the batch."""
    cdef int32_t hole
    p = put(p, &self.close)
    p += put_digits_c(p, now_ms)
    memcpy(p, b"&signature=", 11)
    p += 11
    hole = <int32_t>(p - (out.data + out.size))
    memset(p, c"*", SIGNATURE_BYTES)
    close_message_c(p + SIGNATURE_BYTES, hole, out)


cdef int put_cancels(
    MexcEncoder self, const Approved* actions, int count, OrderTable table, uint64_t now_ms, OutBatch* out
) noexcept nogil:
    cdef const Order* order
    cdef char* p
    cdef int i
    cdef int written = 0
    for i in range(count):
        if actions[i].action.kind != ACTION_CANCEL:
            continue
        p = open_request(self, out.data + out.size, REQUEST_CANCEL)
        note_seq_c(self, actions[i].action.seq)
        p = put(p, &self.cancel)
        order = named(table, actions[i].action.seq)
        if order != NULL:
            memcpy(p, b"orderId=", 8)
            memcpy(p + 8, order.venue_id, order.venue_id_len)
            p += 8 + order.venue_id_len
        else:
            memcpy(p, b"origClientOrderId=", 18)
            p = put_client_id(self, p + 18, actions[i].action.seq)
        close_request(self, p, now_ms, out)
        written += 1
    return written


cdef inline int form_of(const Approved* approved) noexcept nogil:
    return 2 * (approved.action.side == SELL) + (approved.post_only != 0)


cdef inline char* put_qty(MexcEncoder self, char* p, const Approved* approved) noexcept nogil:
    return put_points(p, approved.action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)


cdef inline char* put_price(MexcEncoder self, char* p, const Approved* approved) noexcept nogil:
    return put_points(p, approved.action.price_ticks * self.steps.tick_points, self.steps.price_decimals)


cdef char* put_single(MexcEncoder self, char* p, const Approved* approved) noexcept nogil:
    p = put(p, &self.place[form_of(approved)])
    p = put_qty(self, p, approved)
    memcpy(p, b"&price=", 7)
    p = put_price(self, p + 7, approved)
    memcpy(p, b"&newClientOrderId=", 18)
    p = put_client_id(self, p + 18, approved.action.seq)
    note_seq_c(self, approved.action.seq)
    return put(p, &self.place_close)


cdef char* put_entry(MexcEncoder self, char* p, const Approved* approved) noexcept nogil:
    p = put(p, &self.entry[form_of(approved)])
    p = put_qty(self, p, approved)
    p = put(p, &self.entry_price)
    p = put_price(self, p, approved)
    p = put(p, &self.entry_id)
    p = put_client_id(self, p, approved.action.seq)
    note_seq_c(self, approved.action.seq)
    return put(p, &self.entry_close)


cdef int put_places(
    MexcEncoder self, const Approved* actions, int count, int left, uint64_t now_ms, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i = 0
    cdef int n
    cdef int written = 0
    while left > 0:
        n = left if left < BATCH_MAX else BATCH_MAX
        left -= n
        p = open_request(self, out.data + out.size, REQUEST_ADD if n == 1 else REQUEST_BATCH_ADD)
        if n == 1:
            while actions[i].action.kind != ACTION_PLACE:
                i += 1
            p = put_single(self, p, &actions[i])
            i += 1
        else:
            p = put(p, &self.batch)
            while n > 0:
                if actions[i].action.kind == ACTION_PLACE:
                    p = put_entry(self, p, &actions[i])
                    n -= 1
                    if n > 0:
                        memcpy(p, b"%2C", 3)
                        p += 3
                i += 1
            memcpy(p, b"%5D", 3)
            p += 3
        close_request(self, p, now_ms, out)
        written += 1
    return written
