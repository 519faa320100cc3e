"""Base classes that venues, strategies and transports fill in; the pipeline knows only these.

Each method of a base class refuses: a port that is not filled in never quotes, never sends.
"""

from cython cimport final

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from openmm._fast.book cimport BREAK_PARSE, Book
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport OrderTable
from openmm._fast.planner cimport ACTIONS_MAX
from openmm._fast.text cimport SEQ_BITS, SEQ_BYTES, put_base32

from openmm._fast.text import parse_client_id

COUNT_NAMES = tuple(item.name.lower() for item in <object>Count if item != COUNTS)
KIND_NAMES = ("", "add", "add", "amend", "cancel", "cancel")  # by RequestKind, in the words of `events`


cdef class Sink:
    """Receive the trades a decoder reads."""

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        pass


cdef class Decoder:
    """Turn a venue's bytes into changes of the bound books.

    `decode_c` applies what it reads at once; the pointer it is given dies with the call.
    """

    def __cinit__(self, *args, **kwargs):
        self.sink = Sink()
        self.touched = -1
        self.ts_ns = 0
        self.bound_count = 0
        self.last = 0
        self.books = []

    cdef Decoded decode_c(self, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept nogil:
        return DECODED_UNDECIDED

    cdef int32_t take_book(self, int32_t index, Book book, int32_t instrument_index) except -1:
        if instrument_index < 0:
            raise ValueError(f"instrument index must not be negative: {instrument_index}")
        if index < 0:
            if self.bound_count == BINDS_MAX:
                raise ValueError(f"a decoder serves at most {BINDS_MAX} instruments")
            index = self.bound_count
            self.books.append(book)
            self.bound_count += 1
        else:
            self.books[index] = book
        self.targets[index] = <void*>book
        return index

    def set_sink(self, Sink sink not None):
        """Send the trades of this decoder to `sink`."""
        self.sink = sink

    def decode(self, bytes data not None, int64_t recv_ns=0):
        """Apply one frame; returns a `Decoded`."""
        return self.decode_c(data, len(data), recv_ns)

    def decode_many(self, list frames not None, int64_t recv_ns=0):
        """Apply frames in order, all in compiled code; returns how many touched or broke a book."""
        cdef bytes data
        cdef Decoded got
        cdef int64_t count = 0
        for data in frames:
            got = self.decode_c(data, len(data), recv_ns)
            count += got == DECODED_BOOK or got == DECODED_BROKEN
        return count

    @property
    def last_touched(self):
        """Instrument index of the last book touched or broken; -1: unknown, all."""
        return self.touched

    @property
    def last_ts_ns(self):
        """Venue time of the last book or trade message, 0 when it told none."""
        return self.ts_ns

    @property
    def counters(self):
        """What was counted since the start, by name; see `Count`."""
        return {name: self.counts[i] for i, name in enumerate(COUNT_NAMES)}


cdef int set_steps(
    Steps* steps, int64_t tick_points, int32_t price_decimals, int64_t lot_points, int32_t qty_decimals
) except -1:
    if tick_points < 1 or lot_points < 1:
        raise ValueError(f"steps must be positive: {tick_points}, {lot_points}")
    if not 0 <= price_decimals <= 15 or not 0 <= qty_decimals <= 15:
        raise ValueError(f"decimals must be 0 to 15: {price_decimals}, {qty_decimals}")
    steps.tick_points = tick_points
    steps.lot_points = lot_points
    steps.price_decimals = price_decimals
    steps.qty_decimals = qty_decimals
    return 0


cdef Decoded break_all_c(Decoder self) noexcept nogil:
    cdef Py_ssize_t i
    tally(self, PARSE_ERRORS)
    for i in range(self.bound_count):
        (<Book>self.targets[i]).break_c(BREAK_PARSE)
    self.touched = -1
    return DECODED_BROKEN


cdef Decoded trades_bad_c(Decoder self) noexcept nogil:
    tally(self, PARSE_ERRORS)
    tally(self, SLOW)
    return DECODED_SLOW


cdef class Encoder:
    """Turn approved actions into a venue's canonical messages, secrets as holes of fixed width.

    What a request id stood for is remembered: some answers name nothing else.
    """

    def __cinit__(self, *args, **kwargs):
        self.requests_kept = <Request*>calloc(REQUESTS_KEPT, sizeof(Request))
        self.seqs = <uint64_t*>calloc(SEQS_KEPT, sizeof(uint64_t))
        if self.requests_kept == NULL or self.seqs == NULL:
            raise MemoryError("encoder")
        self.mark = self.bot = self.session = ""

    def __dealloc__(self):
        free(self.requests_kept)
        free(self.seqs)

    cdef int begin(
        self, str venue_symbol, int64_t tick_points, int32_t price_decimals, int64_t lot_points,
        int32_t qty_decimals, str mark, str bot, str session
    ) except -1:
        cdef bytes prefix
        if not 0 < len(venue_symbol) <= 32 or not venue_symbol.isascii() or '"' in venue_symbol \
                or "\\" in venue_symbol:
            raise ValueError(f"symbol must be 1 to 32 plain characters: {venue_symbol!r}")
        set_steps(&self.steps, tick_points, price_decimals, lot_points, qty_decimals)
        if parse_client_id(f"{mark}{bot}{session}0000000", mark) is None:
            raise ValueError(f"bot needs 3 and session 7 characters of an id: {bot!r}, {session!r}")
        prefix = f"{mark}{bot}{session}".encode("ascii")
        assert len(prefix) <= ID_PREFIX_BYTES, "a mark of at most 6 bytes"
        self.mark = mark
        self.bot = bot
        self.session = session
        self.id_prefix_bytes = <int32_t>len(prefix)
        memcpy(self.id_prefix, <const char*>prefix, len(prefix))
        return 0

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        return -1

    cdef void fill_secret_c(self, char* message, int length, int hole) noexcept nogil:
        # A message without a hole has nothing to fill.
        pass

    # --- client ids

    def client_id(self, uint64_t seq):
        """Write the client order id of a sequence of this session."""
        cdef char out[SEQ_BYTES]
        if seq >> SEQ_BITS:
            raise ValueError(f"sequence must have at most {SEQ_BITS} bits: {seq}")
        put_base32(out, seq)
        return f"{self.mark}{self.bot}{self.session}{out[:SEQ_BYTES].decode('ascii')}"

    def seq_of(self, str client_id not None):
        """Return the sequence of a client order id of this session, 0 when it is not one."""
        parts = parse_client_id(client_id, self.mark)
        if parts is None or parts[0] != self.bot or parts[1] != self.session:
            return 0
        return parts[2]

    def is_earlier(self, str client_id not None):
        """Whether an id is this bot's, of an earlier session."""
        # Sessions are written so that their texts sort by their start.
        parts = parse_client_id(client_id, self.mark)
        return parts is not None and parts[0] == self.bot and parts[1] < self.session

    def is_later(self, str client_id not None):
        """Whether an id is this bot's, of a session that began after this one."""
        parts = parse_client_id(client_id, self.mark)
        return parts is not None and parts[0] == self.bot and parts[1] > self.session

    # --- requests

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

    # --- for tests, replay and benches

    def encode(self, list actions not None, int64_t now_ns, OrderTable table=None):
        """Write the messages of `actions` without sending them: [(message, hole)], -1 where there is no hole.

        `actions`: tuples (ActionKind, seq, side, price_ticks, qty_lots, post_only).

        Raises:
            ValueError: when the encoder refuses.
        """
        cdef Approved approved[ACTIONS_MAX]
        cdef OutBatch batch
        cdef int i, written
        approve_all(approved, actions)
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

    def send(
        self, Transport transport not None, list actions not None, int64_t now_ns, OrderTable table=None,
        int rounds=1,
    ):
        """Write the messages of `actions` to a transport, so many times; returns what it said last.

        That is a number of bytes, -1 when nothing could leave.

        Raises:
            ValueError: when the encoder refuses.
        """
        cdef Approved approved[ACTIONS_MAX]
        cdef OutBatch batch
        cdef Py_ssize_t sent = -1
        cdef int _round
        approve_all(approved, actions)
        out_alloc(&batch)
        try:
            for _round in range(rounds):
                out_reset(&batch)
                if self.encode_c(approved, <int>len(actions), table, now_ns, &batch) < 0:
                    raise ValueError("refused")
                sent = transport.send_c(&batch, self)
            return sent
        finally:
            out_free(&batch)

    def encode_many(self, list actions not None, int64_t now_ns, int64_t rounds):
        """Encode the same actions `rounds` times in compiled code; returns bytes written."""
        cdef Approved approved[ACTIONS_MAX]
        cdef OutBatch batch
        cdef int64_t r, total = 0
        cdef int n = <int>len(actions)
        approve_all(approved, actions)
        out_alloc(&batch)
        with nogil:
            for r in range(rounds):
                out_reset(&batch)
                self.encode_c(approved, n, None, now_ns + r * 1_000_000, &batch)
                total += batch.size
        out_free(&batch)
        return total


cdef int approve_all(Approved* approved, list actions) except -1:
    """Seal actions that no check has seen: what is written of them goes to no venue."""
    cdef int i
    if len(actions) > ACTIONS_MAX:
        raise ValueError(f"at most {ACTIONS_MAX} actions: {len(actions)}")
    memset(approved, 0, ACTIONS_MAX * sizeof(Approved))
    for i, (kind, seq, side, price_ticks, qty_lots, post_only) in enumerate(actions):
        approved[i].seal = 1
        approved[i].action.kind = kind
        approved[i].action.seq = seq
        approved[i].action.side = side
        approved[i].action.price_ticks = price_ticks
        approved[i].action.qty_lots = qty_lots
        approved[i].post_only = post_only
    return 0


cdef class Strategy:
    """Turn a market view into a ladder; 0 means: quote nothing."""

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        return 0

    cdef int one_sided_c(self) noexcept nogil:
        return 0

    cdef int64_t wake_c(self) noexcept nogil:
        return INT64_MAX

    cdef int filled_c(
        self, int side, int level, int64_t lots, bint done, int64_t now_ns, int* other
    ) noexcept nogil:
        return 0


cdef class Transport:
    """Send a batch of messages in one write."""

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        return -1


cdef int out_alloc(OutBatch* batch) except -1:
    batch.data = <char*>calloc(1, OUT_BYTES)
    if batch.data == NULL:
        raise MemoryError("out batch")
    out_reset(batch)
    return 0


cdef void out_free(OutBatch* batch) noexcept:
    free(batch.data)
    batch.data = NULL


NOTHING_BID = NO_BID
NOTHING_ASK = NO_ASK


cdef class Neighbours:
    """What others on the same market show. This base asks nobody: they show nothing."""

    def __cinit__(self, *args, **kwargs):
        self.on = False
        self.bid_ticks = NO_BID
        self.ask_ticks = NO_ASK

    cdef bint look_c(self) noexcept nogil:
        return False

    cdef void publish_c(self, int64_t bid_ticks, int64_t ask_ticks) noexcept nogil:
        pass

    def look(self):
        """Look at the others; tells whether what they show changed."""
        return bool(self.look_c())

    def publish(self, int64_t bid_ticks, int64_t ask_ticks):
        """Show our most aggressive prices, `NOTHING_BID` and `NOTHING_ASK` where there is none."""
        self.publish_c(bid_ticks, ask_ticks)

    @property
    def bid_ticks(self):
        """Highest bid that others showed at the last look."""
        return self.bid_ticks

    @property
    def ask_ticks(self):
        """Lowest ask that others showed at the last look."""
        return self.ask_ticks


@final
cdef class MemoryTransport(Transport):
    """Keep what was sent, in memory: tests, replay, and the byte pipe of paper mode.

    Each entry of `sent` is one message as it would stand on the wire, its secret filled in.

    Args:
        on_sent: called with the messages of each decision; they are then not kept.
    """

    def __cinit__(self, on_sent=None):
        self.live = True
        self.sent = []
        self.write_count = 0
        self.on_sent = on_sent

    def set_live(self, bint live):
        """Make the next sends succeed or fail."""
        self.live = live

    def take(self):
        """Return what was sent since the last call, and forget it."""
        out = self.sent
        self.sent = []
        return out

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef int i
        cdef char* message
        if not self.live:
            return -1
        for i in range(batch.count):
            message = batch.data + batch.start[i]
            if batch.hole[i] >= 0:
                encoder.fill_secret_c(message, batch.length[i], batch.hole[i])
            self.sent.append(message[: batch.length[i]])
        self.write_count += 1
        if self.on_sent is not None:
            self.on_sent(self.take())
        return batch.size


@final
cdef class NullTransport(Transport):
    """Do all of a send but the system call: for benches and backtests, no Python object is made."""

    def __cinit__(self):
        self.live = True
        self.buffer = <char*>calloc(1, OUT_BYTES)
        if self.buffer == NULL:
            raise MemoryError("write buffer")

    def __dealloc__(self):
        free(self.buffer)

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef int i
        cdef char* body = self.buffer
        for i in range(batch.count):
            memcpy(body, batch.data + batch.start[i], batch.length[i])
            if batch.hole[i] >= 0:
                encoder.fill_secret_c(body, batch.length[i], batch.hole[i])
            body += batch.length[i]
        self.write_count += 1
        self.message_count += batch.count
        self.byte_count += batch.size
        return batch.size


@final
cdef class TradeLog(Sink):
    """Keep the trades a decoder reads, for tests and captures: (index, ts_ns, price, qty, id, side, snapshot)."""

    def __cinit__(self, int capacity=1024):
        if capacity < 1:
            raise ValueError(f"capacity must be positive: {capacity}")
        self.capacity = capacity
        self.count = 0
        self.dropped = 0
        self.trades = <Trade*>calloc(capacity, sizeof(Trade))
        if self.trades == NULL:
            raise MemoryError("trade log")

    def __dealloc__(self):
        free(self.trades)

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        if self.count == self.capacity:
            self.dropped += 1
            return
        self.trades[self.count] = trade[0]
        self.count += 1

    def take(self):
        """Return and forget the trades kept: tuples in wire order."""
        cdef int i
        cdef Trade* t
        out = []
        for i in range(self.count):
            t = &self.trades[i]
            out.append(
                (t.instrument_index, t.ts_ns, t.price_ticks, t.qty_lots, t.trade_id,
                 t.taker_side, t.snapshot)
            )
        self.count = 0
        return out
