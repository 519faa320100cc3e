"""Approved actions to Gate.io WebSocket v4 trading calls, from prebuilt text.

Cancels go first, up to 20 a call; each amendment is its own; places share an array of up to 10. An
order is named by the venue's id once that is known, else by its text: a text finds only orders that
are open, and in a list of ids only for half an hour.

Client order ids have 20 characters: ``t-m``, 3 that tell the bot, 7 that tell the session, 7 that
tell the order's sequence (docs/architecture.md).

Source: Gate documentation, "Spot WebSocket v4", chapter "spot account trade", updated 2026-04-27;
captures of 2024-07 (gocryptotrader).
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

CHANNELS = ("", "order_place", "order_place", "order_amend", "order_cancel", "order_cancel_ids")


@final
cdef class GateioEncoder(Encoder):
    """Write the calls of one instrument.

    Args:
        venue_symbol: the pair as the venue calls it, "BTC_USDT".
        tick_points, price_decimals: tick size in units of 10**-price_decimals.
        lot_points, qty_decimals: lot size in units of 10**-qty_decimals.
        bot: 3 characters that tell the bot, 0-9 a-z.
        session: 7 characters, `base32` of the session's start in seconds.
        account: spot, margin, cross_margin or unified.
        deadline_ms: how long after the decision the venue may still take a placement or amendment;
            0 for ever.
        stp_act: self-trade prevention, "" for accounts outside an STP group.
        action_mode: how much the answer to a placement tells, "" for all.
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
        str account not None="spot",
        int64_t deadline_ms=5000,
        str stp_act not None="",
        str action_mode not None="",
    ):
        self.begin(
            venue_symbol, tick_points, price_decimals, lot_points, qty_decimals, "t-m", bot, session
        )
        if not 0 <= deadline_ms <= 60_000:
            raise ValueError(f"deadline must be 0 to 60000 ms: {deadline_ms}")
        if account not in ("spot", "margin", "cross_margin", "unified"):
            raise ValueError(f"no such account: {account}")
        if stp_act not in ("", "cn", "co", "cb") or action_mode not in ("", "ACK", "RESULT", "FULL"):
            raise ValueError(f"no such stp_act or action_mode: {stp_act!r}, {action_mode!r}")
        self.deadline_ms = deadline_ms
        self.second = 0
        self.second_bytes = put_digits_c(self.second_text, 0)
        self.ms = 0
        self.deadline_bytes = put_digits_c(self.deadline, <uint64_t>deadline_ms)
        for kind, channel in enumerate(CHANNELS):
            set_piece(
                &self.call[<int>kind],
                f',"channel":"spot.{channel}","event":"api","payload":{{"req_id":"',
            )
        set_piece(
            &self.order_open,
            f'","currency_pair":"{venue_symbol}","type":"limit","account":"{account}","side":"',
        )
        set_piece(&self.order_side[<int>BUY], 'buy","amount":"')
        set_piece(&self.order_side[<int>SELL], 'sell","amount":"')
        rest = (f',"stp_act":"{stp_act}"' if stp_act else "") + (
            f',"action_mode":"{action_mode}"' if action_mode else ""
        )
        # What is not post-only is to take now or not at all.
        set_piece(&self.order_close[0], f'","time_in_force":"ioc"{rest}}}')
        set_piece(&self.order_close[1], f'","time_in_force":"poc"{rest}}}')
        where = "" if account == "spot" else f',"account":"{account}"'
        set_piece(&self.symbol, f'","currency_pair":"{venue_symbol}"{where}')
        set_piece(&self.symbol_id, f'{{"currency_pair":"{venue_symbol}"{where},"id":"')
        set_piece(&self.header, ',"req_header":{"x-gate-exptime":"')

    # --- C face

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef Wanted wanted
        cdef int i
        cdef int messages
        if now_ns < 0:
            return -1
        if not count_actions_c(actions, count, 1, &wanted):
            return -1
        # Either everything fits or nothing is written. Counts are never negative.
        messages = wanted.amends + wanted.cancels // CANCELS_MAX + 1 + wanted.places // ADDS_MAX + 1
        if out.count + messages > OUT_MESSAGES:
            return -1
        if out.size + MESSAGE_BYTES * messages + ENTRY_BYTES * (wanted.cancels + wanted.places) > OUT_BYTES:
            return -1
        make_times(self, <uint64_t>now_ns // 1_000_000)
        i = put_cancels(self, actions, count, wanted.cancels, table, out)
        i += put_amends(self, actions, count, table, out)
        i += put_places(self, actions, count, wanted.places, out)
        return i


# --- writing one request

cdef inline void put_text(GateioEncoder self, char* out, uint64_t seq) noexcept nogil:
    memcpy(out, self.id_prefix, 13)
    put_base32(out + 13, seq)


cdef inline char* put_order_id(GateioEncoder self, char* out, OrderTable table, uint64_t seq) noexcept nogil:
    """Write the venue's id of an order, or its text while that is not known."""
    cdef const Order* order = NULL
    if table is not None:
        order = table.find_c(seq)
    if order != NULL and order.venue_id_len > 0:
        memcpy(out, order.venue_id, order.venue_id_len)
        return out + order.venue_id_len
    put_text(self, out, seq)
    return out + TEXT_BYTES


cdef inline void make_times(GateioEncoder self, uint64_t now_ms) noexcept nogil:
    """Bring the request's second and its deadline up to a decision's time."""
    # Unsigned, so that dividing by a constant needs neither a division nor a rounding rule.
    cdef uint64_t second = now_ms // 1000
    if second != self.second:
        self.second = second
        self.second_bytes = put_digits_c(self.second_text, second)
    if self.deadline_ms != 0 and now_ms != self.ms:
        self.ms = now_ms
        self.deadline_bytes = put_digits_c(self.deadline, now_ms + <uint64_t>self.deadline_ms)


cdef inline char* open_request(GateioEncoder self, char* p, int kind) noexcept nogil:
    open_request_c(self, kind)
    memcpy(p, b'{"time":', 8)
    memcpy(p + 8, self.second_text, 24)
    p = put(p + 8 + self.second_bytes, &self.call[kind])
    p += put_digits_c(p, <uint64_t>self.req_id)
    memcpy(p, b'","req_param":', 14)
    return p + 14


cdef inline void close_request(GateioEncoder self, char* p, bint dated, OutBatch* out) noexcept nogil:
    """End the message and enter it into the batch."""
    if dated and self.deadline_ms != 0:
        p = put(p, &self.header)
        memcpy(p, self.deadline, 24)
        p += self.deadline_bytes
        p[0] = c'"'
        p[1] = c"}"
        p += 2
    p[0] = c"}"
    p[1] = c"}"
    close_message_c(p + 2, -1, out)


cdef int put_cancels(
    GateioEncoder self, const Approved* actions, int count, int left, OrderTable table, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i = 0
    cdef int n
    cdef int written = 0
    while left > 0:
        p = out.data + out.size
        n = left if left < CANCELS_MAX else CANCELS_MAX
        left -= n
        if n == 1:
            p = open_request(self, p, REQUEST_CANCEL)
            while actions[i].action.kind != ACTION_CANCEL:
                i += 1
            memcpy(p, b'{"order_id":"', 13)
            p = put_order_id(self, p + 13, table, actions[i].action.seq)
            note_seq_c(self, actions[i].action.seq)
            i += 1
            p = put(p, &self.symbol)
            p[0] = c"}"
            close_request(self, p + 1, 0, out)
        else:
            p = open_request(self, p, REQUEST_BATCH_CANCEL)
            p[0] = c"["
            p += 1
            while n > 0:
                if actions[i].action.kind == ACTION_CANCEL:
                    p = put(p, &self.symbol_id)
                    p = put_order_id(self, p, table, actions[i].action.seq)
                    memcpy(p, b'"},', 3)
                    p += 3
                    note_seq_c(self, actions[i].action.seq)
                    n -= 1
                i += 1
            (p - 1)[0] = c"]"
            close_request(self, p, 0, out)
        written += 1
    return written


cdef int put_amends(
    GateioEncoder self, const Approved* actions, int count, OrderTable table, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i
    cdef int written = 0
    for i in range(count):
        if actions[i].action.kind != ACTION_AMEND:
            continue
        p = open_request(self, out.data + out.size, REQUEST_AMEND)
        note_seq_c(self, actions[i].action.seq)
        memcpy(p, b'{"order_id":"', 13)
        p = put_order_id(self, p + 13, table, actions[i].action.seq)
        p = put(p, &self.symbol)
        memcpy(p, b',"amount":"', 11)
        p = put_points(p + 11, actions[i].action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)
        memcpy(p, b'","price":"', 11)
        p = put_points(p + 11, actions[i].action.price_ticks * self.steps.tick_points, self.steps.price_decimals)
        p[0] = c'"'
        p[1] = c"}"
        close_request(self, p + 2, 1, out)
        written += 1
    return written


cdef inline char* put_order(GateioEncoder self, char* p, const Approved* approved) noexcept nogil:
    """Write one order object."""
    memcpy(p, b'{"text":"', 9)
    put_text(self, p + 9, approved.action.seq)
    p = put(p + 9 + TEXT_BYTES, &self.order_open)
    p = put(p, &self.order_side[approved.action.side])
    p = put_points(p, approved.action.qty_lots * self.steps.lot_points, self.steps.qty_decimals)
    memcpy(p, b'","price":"', 11)
    p = put_points(p + 11, approved.action.price_ticks * self.steps.tick_points, self.steps.price_decimals)
    p = put(p, &self.order_close[approved.post_only != 0])
    note_seq_c(self, approved.action.seq)
    return p


cdef int put_places(
    GateioEncoder self, const Approved* actions, int count, int left, OutBatch* out
) noexcept nogil:
    cdef char* p
    cdef int i = 0
    cdef int n
    cdef int written = 0
    while left > 0:
        p = out.data + out.size
        n = left if left < ADDS_MAX else ADDS_MAX
        left -= n
        if n == 1:
            p = open_request(self, p, REQUEST_ADD)
            while actions[i].action.kind != ACTION_PLACE:
                i += 1
            p = put_order(self, p, &actions[i])
            i += 1
        else:
            p = open_request(self, p, REQUEST_BATCH_ADD)
            p[0] = c"["
            p += 1
            while n > 0:
                if actions[i].action.kind == ACTION_PLACE:
                    p = put_order(self, p, &actions[i])
                    p[0] = c","
                    p += 1
                    n -= 1
                i += 1
            (p - 1)[0] = c"]"
        close_request(self, p, 1, out)
        written += 1
    return written
