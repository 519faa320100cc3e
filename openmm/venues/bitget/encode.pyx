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
from libc.string cimport memcpy

from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport Order, OrderTable
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

cdef enum:
    MESSAGE_BYTES = 512         # of a call without what it lists
    ENTRY_BYTES = 320           # of one order or id in it

STP_MODES = ("", "none", "cancel_taker", "cancel_maker", "cancel_both")
TOPICS = ("", "place-order", "batch-place", "modify-order", "cancel-order", "batch-cancel")


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
        self.begin(
            venue_symbol, tick_points, price_decimals, lot_points, qty_decimals, "m", bot, session
        )
        if amend and not unified:
            raise ValueError("classic accounts have no amendment in place")
        if stp_mode not in STP_MODES:
            raise ValueError(f"stp_mode must be one of {STP_MODES}: {stp_mode!r}")
        self.unified = unified
        self.amend = amend
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
            for flag, force in ((0, "ioc"), (1, "post_only")):
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
            for flag, force in ((0, "ioc"), (1, "post_only")):
                set_piece(&self.order_close[<int>flag], f'","force":"{force}"{stp},"clientOid":"')
        set_piece(&self.symbol, f'","autoCancel":"no","symbol":"{venue_symbol}"')

    # --- C face

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef Wanted wanted
        cdef int i
        if now_ns < 0:
            return -1
        if not count_actions_c(actions, count, self.amend, &wanted):
            return -1
        # Either everything fits or nothing is written. Counts are never negative.
        if out.count + wanted.amends + wanted.cancels + wanted.places > OUT_MESSAGES:
            return -1
        if out.size + (MESSAGE_BYTES + ENTRY_BYTES) * (wanted.cancels + wanted.amends + wanted.places) > OUT_BYTES:
            return -1
        if self.unified:
            i = put_cancels(self, actions, count, table, 1, out)
            i += put_cancels(self, actions, count, table, 0, out)
            i += put_amends(self, actions, count, table, out)
            return i + put_places(self, actions, count, wanted.places, out)
        return put_singles(self, actions, count, table, out)


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
    open_request_c(self, kind)
    p = put(p, &self.open)
    p += put_digits_c(p, <uint64_t>self.req_id)
    return put(p, &self.call[kind])


cdef inline void close_request(BitgetEncoder self, char* p, OutBatch* out) noexcept nogil:
    """End the message and enter it into the batch."""
    close_message_c(put(p, &self.close), -1, out)


cdef inline char* put_order(BitgetEncoder self, char* p, const Approved* approved) noexcept nogil:
    """Write the members of one order."""
    p = put(p, &self.order_side[approved.action.side])
    p = put_points(p, approved.action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)
    memcpy(p, b'","price":"', 11)
    p = put_points(p + 11, approved.action.price_ticks * self.steps.tick_points, self.steps.price_decimals)
    p = put(p, &self.order_close[approved.post_only != 0])
    put_client_id(self, p, approved.action.seq)
    note_seq_c(self, approved.action.seq)
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
            note_seq_c(self, actions[i].action.seq)
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
                    note_seq_c(self, actions[i].action.seq)
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
        note_seq_c(self, actions[i].action.seq)
        p = put_name(self, p, named(table, actions[i].action.seq), actions[i].action.seq)
        memcpy(p, b',"qty":"', 8)
        p = put_points(p + 8, actions[i].action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)
        memcpy(p, b'","price":"', 11)
        p = put_points(p + 11, actions[i].action.price_ticks * self.steps.tick_points, self.steps.price_decimals)
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
