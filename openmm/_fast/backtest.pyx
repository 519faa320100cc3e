"""The hot path over recorded events, without bytes: columns in, decisions, a pretended venue, answers.

Books, signals, reference, strategy, planner, checks and order table are the ones that trade; what is
left out is what turns events into bytes and back. Requests and answers travel on two links, each a
queue with delays of its own; the venue sees the market when we do. Recorded messages go through
the feed's decoder instead, and come to the same.
"""

from typing import NamedTuple

from cpython.exc cimport PyErr_CheckSignals
from cython cimport final
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from openmm._fast.book cimport BOOK_VERIFIED, BREAK_GAP, NO_ASK_TICKS, NO_BID_TICKS, Book
from openmm._fast.changes cimport (
    EVENT_ASK, EVENT_BROKEN, EVENT_CLEAR, EVENT_FILTERED, EVENT_KIND_BITS, EVENT_LEVEL, EVENT_MESSAGE_END,
    EVENT_READ_END, EVENT_TRADE,
)
from openmm._fast.orders cimport (
    EV_ACKED, EV_AMENDED, EV_AMEND_REJECTED, EV_CANCELLED, EV_PROVEN_GONE, EV_REJECTED, ORDERS_MAX,
    Order, OrderTable,
)
from openmm._fast.pipeline cimport Feed, Frames, Pipeline
from openmm._fast.ports cimport DECODED_BOOK, DECODED_BROKEN, DECODED_IGNORED, DECODED_TRADE, Decoded, Sink, Trade
from openmm._fast.queue_venue cimport (
    MESSAGES_MAX, TOLD_ACKED, TOLD_AMENDED, TOLD_AMEND_REFUSED, TOLD_CANCELLED, TOLD_FILL, TOLD_REFUSED,
    TOLD_UNKNOWN, Link, Message, Outlet, QueueVenue,
)
from openmm._fast.units cimport BUY, MISSING, PPM, SELL, UTICKS, floor_div, floor_div_wide, i128, saturate

cdef enum:
    ATOMS_MAX = 1 << 30
    CADENCE_NS_MIN = 10_000
    TURNS = 1 << 16             # between two looks for Ctrl+C
    GROW = 4096


cdef extern from *:
    """
    #define OPENMM_MINUTE_NS INT64_C(60000000000)
    #define OPENMM_SILENCE_NS INT64_C(600000000000)
    #define OPENMM_TIME_NS_MAX (INT64_C(1) << 62)
    """
    const int64_t MINUTE_NS "OPENMM_MINUTE_NS"
    const int64_t TIME_NS_MAX "OPENMM_TIME_NS_MAX"
    const int64_t SILENCE_NS "OPENMM_SILENCE_NS"    # longer than any delay, and than a book is believed


# A fill's later references, as `BacktestFill` names them.
HORIZONS_NS = (100_000_000, 1_000_000_000, 10_000_000_000, 60_000_000_000)
cdef int64_t horizons_ns[HORIZONS]
for _place in range(HORIZONS):
    horizons_ns[_place] = HORIZONS_NS[_place]


cdef inline int64_t later(int64_t at_ns, int64_t every_ns, int64_t now_ns) noexcept nogil:
    """Return the last firing of a timer that is not after now; its next one if that is."""
    if every_ns <= 0 or at_ns >= now_ns:
        return at_ns
    return at_ns + floor_div(now_ns - at_ns, every_ns) * every_ns


@final
cdef class Tap(Sink):
    """Show the venue each trade of a feed's messages before the feed sees it.

    Args:
        skip: places, rising, of those that it is not shown: among all but the snapshots'.
    """

    def __cinit__(self, QueueVenue venue not None, Feed feed not None, const int64_t[::1] skip=None):
        self.venue = venue
        self.feed = feed
        self.skip = skip

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        cdef bint shown = True
        if not trade.snapshot:
            if self.skip is not None and self.skipped < self.skip.shape[0]:
                shown = self.skip[self.skipped] != self.trade_count
                self.skipped += not shown
            self.trade_count += 1
        if shown and not trade.snapshot and (trade.taker_side == BUY or trade.taker_side == SELL):
            self.venue.trade_c(trade.taker_side, trade.price_ticks, trade.qty_lots, self.feed.recv_ns)
        self.feed.on_trade_c(trade)


class BacktestFill(NamedTuple):
    """One execution of ours. Prices in ticks, quantities in lots, `reference_uticks` when it was told.

    The last four are the reference so much later; 0: the run ended before; -1: there was none then.
    """

    told_ns: int
    seq: int
    side: int
    price_ticks: int
    qty_lots: int
    maker: int
    reference_uticks: int
    ahead_lots: int
    joined_ns: int
    level: int
    after_100ms_uticks: int
    after_1s_uticks: int
    after_10s_uticks: int
    after_60s_uticks: int


class BacktestStay(NamedTuple):
    """One stay of an order in a queue: from its placing, or an amend that gave it a new place, to the next.

    An order that is to take has none.

    Times are the venue's; `reference_uticks` is of when we were told; `ahead_lots` -1: nobody told
    what rests there; `ended_ns` 0: it rests still, or its end is on its way; `moves`: amends before.
    """

    seq: int
    began_ns: int
    side: int
    level: int
    price_ticks: int
    qty_lots: int
    reference_uticks: int
    ahead_lots: int
    filled_lots: int
    ended_ns: int
    moves: int


@final
cdef class Backtest:
    """Run a pipeline over recorded events.

    Args:
        pipeline: made with the outlet and an `OutletTransport`; its quoted feed's book is the venue's.
        feeds: in the order of the sources, the quoted one among them.
        venue: where the orders go.
        outlet: takes them there.
        every_ns: decide at this cadence; 0: with every read.
        timer_ns: look at everything afresh this often, as the slow path's timer does; 0: never.
        mark_every_ns: how often equity is marked and the drawdown looked at.
        maker_fee_ppm, taker_fee_ppm: of the notional, in quote; negative is a rebate.
        atoms: of the quote asset to a ticklot, as a fraction; the venue's fees are whole atoms.
        lot_atoms: not 0: the fee of a buy is charged in base, of which a lot has so many atoms.
        guard: the risk layer beside the checks (`backtest.guard.Guard`); None: there is none.
    """

    def __cinit__(
        self, Pipeline pipeline not None, list feeds not None, QueueVenue venue not None, Outlet outlet not None,
        *, int64_t every_ns=0, int64_t timer_ns=0, int64_t mark_every_ns=1_000_000_000, int64_t maker_fee_ppm=0,
        int64_t taker_fee_ppm=0, atoms=(1, 1), int64_t lot_atoms=0, object guard=None,
    ):
        if not 1 <= len(feeds) <= SOURCES or not all(isinstance(one, Feed) for one in feeds):
            raise ValueError(f"1 to {SOURCES} feeds, not {len(feeds)}")
        if pipeline.feed not in feeds or pipeline.feed.book is not venue.book:
            raise ValueError("the venue's book must be the quoted feed's")
        for span_ns in (every_ns, timer_ns, mark_every_ns):
            if span_ns < 0 or 0 < span_ns < <int64_t>CADENCE_NS_MIN or (span_ns == 0 and mark_every_ns == 0):
                raise ValueError(f"not a cadence: {every_ns}, {timer_ns}, {mark_every_ns}")
        self.pipeline = pipeline
        self.feeds = feeds
        self.venue = venue
        self.outlet = outlet
        self.answers = venue.answers
        self.every_ns = every_ns
        self.timer_ns = timer_ns
        self.mark_every_ns = mark_every_ns
        self.atoms_num, self.atoms_den = atoms
        if not (0 < self.atoms_num < ATOMS_MAX and 0 < self.atoms_den < ATOMS_MAX):
            raise ValueError(f"not a fraction: {atoms}")
        if lot_atoms < 0:
            raise ValueError(f"lot_atoms must not be negative: {lot_atoms}")
        self.lot_atoms = lot_atoms
        self.maker_fee_ppm = maker_fee_ppm
        self.taker_fee_ppm = taker_fee_ppm
        self.guard = guard
        self.q_lots_most = INT64_MAX
        self.start_ppm = self.peak_ppm = -1
        self.aging = True
        self.aged_ns = INT64_MAX
        self.columns = []

    def __dealloc__(self):
        free(self.fills)
        free(self.marks)
        free(self.stays)

    def add(
        self, const int64_t[::1] recv_ns not None, const int64_t[::1] venue_ns not None,
        const int64_t[::1] price_ticks not None, const int64_t[::1] qty_lots not None,
        const uint16_t[::1] flags not None, const int64_t[::1] late_at=None, const int64_t[::1] late_trade=None,
        const int64_t[::1] late_skip=None,
    ):
        """Add the events of the next feed, in order of receive time; nothing is copied.

        Args:
            late_at, late_trade, late_skip: `data.events.late_trades` of them, which the venue is to have
                when they were made and not when they were told; of the quoted feed alone.

        Raises:
            ValueError: more sources than feeds, columns of different lengths, or places beyond them.
        """
        cdef Source* source
        cdef Py_ssize_t i
        cdef Py_ssize_t count = recv_ns.shape[0]
        if self.source_count == len(self.feeds):
            raise ValueError(f"there are {len(self.feeds)} feeds")
        if not count == venue_ns.shape[0] == price_ticks.shape[0] == qty_lots.shape[0] == flags.shape[0]:
            raise ValueError("columns of different lengths")
        if count and (recv_ns[0] < 0 or recv_ns[count - 1] > TIME_NS_MAX):
            raise ValueError(f"no receive times: {recv_ns[0]} to {recv_ns[count - 1]}")
        source = &self.sources[self.source_count]
        if late_at is not None and late_at.shape[0] and (<Feed>self.feeds[self.source_count]).quoted:
            if late_trade is None or late_skip is None or not (
                late_at.shape[0] == late_trade.shape[0] == late_skip.shape[0]
            ):
                raise ValueError("places of late trades of different lengths")
            for i in range(late_at.shape[0]):
                if not (0 <= late_at[i] < count and 0 <= late_trade[i] < count and 0 <= late_skip[i] < count):
                    raise ValueError(f"a late trade beyond the columns: {late_at[i]}, {late_trade[i]}, {late_skip[i]}")
            self.columns.append((late_at, late_trade, late_skip))
            source.late_at = &late_at[0]
            source.late_trade = &late_trade[0]
            source.late_skip = &late_skip[0]
            source.late_count = late_at.shape[0]
        # Taken in once nothing of it can be refused any more.
        self.source_count += 1
        self.columns.append((recv_ns, venue_ns, price_ticks, qty_lots, flags))
        source.stop = count
        if count:
            source.recv_ns = &recv_ns[0]
            source.venue_ns = &venue_ns[0]
            source.price_ticks = &price_ticks[0]
            source.qty_lots = &qty_lots[0]
            source.flags = &flags[0]

    def add_frames(
        self, Frames frames not None, const int64_t[::1] price_ticks=None, const int64_t[::1] qty_lots=None,
        const uint16_t[::1] flags=None, const int64_t[::1] late_at=None, const int64_t[::1] late_trade=None,
        const int64_t[::1] late_skip=None,
    ):
        """Add the messages of the next feed, as its decoder reads them; an event is a message then.

        Args:
            price_ticks, qty_lots, flags: of all trades that the messages tell as news, in their order.
            late_at, late_trade, late_skip: as of `add`, a message's place and two of trades.

        Raises:
            ValueError: more sources than feeds, columns of different lengths, or places beyond them.
        """
        cdef Source* source
        cdef Feed feed
        cdef Py_ssize_t i
        cdef bint late = late_at is not None and late_at.shape[0] > 0
        if self.source_count == len(self.feeds):
            raise ValueError(f"there are {len(self.feeds)} feeds")
        feed = self.feeds[self.source_count]
        if frames.count and (frames.recv_ns[0] < 0 or frames.recv_ns[frames.count - 1] > TIME_NS_MAX):
            raise ValueError(f"no receive times: {frames.recv_ns[0]} to {frames.recv_ns[frames.count - 1]}")
        if late and (price_ticks is None or qty_lots is None or flags is None or late_trade is None or late_skip is None):
            raise ValueError("late trades of which not all is told")
        if late:
            if not price_ticks.shape[0] == qty_lots.shape[0] == flags.shape[0] or not (
                late_at.shape[0] == late_trade.shape[0] == late_skip.shape[0]
            ):
                raise ValueError("trades, or places of late ones, of different lengths")
            for i in range(late_at.shape[0]):
                if not (
                    0 <= late_at[i] < frames.count and 0 <= late_trade[i] < flags.shape[0]
                    and 0 <= late_skip[i] < flags.shape[0]
                ):
                    raise ValueError(f"a late trade beyond them: {late_at[i]}, {late_trade[i]}, {late_skip[i]}")
        if feed.quoted:
            feed.decoder.sink = Tap(self.venue, feed, late_skip if late else None)
        source = &self.sources[self.source_count]
        self.source_count += 1
        self.columns.append(frames)
        if late and feed.quoted:
            self.columns.append((price_ticks, qty_lots, flags, late_at, late_trade))
            source.price_ticks = &price_ticks[0]
            source.qty_lots = &qty_lots[0]
            source.flags = &flags[0]
            source.late_at = &late_at[0]
            source.late_trade = &late_trade[0]
            source.late_count = late_at.shape[0]
        source.stop = frames.count
        source.recv_ns = frames.recv_ns
        source.data = frames.data
        source.offsets = frames.offsets

    def run(self, int64_t until_ns=INT64_MAX, int64_t events_max=INT64_MAX):
        """Go on until the events are over, a time is reached, or so many events are read.

        Returns:
            Whether there are more.
        """
        return bool(self.run_c(until_ns, events_max))

    def start(self, int64_t now_ns):
        """Begin to quote: cadence, timer and marks count from now; else the first event begins it.

        Raises:
            ValueError: it has begun, or now is before what was read.
        """
        if self.begun or now_ns < self.now_ns:
            raise ValueError(f"begun: {self.begun}; at {self.now_ns}, not {now_ns}")
        self.begun = True
        self.opened_lots = self.pipeline.inventory.base_lots
        self.now_ns = now_ns
        self.cadence_ns = now_ns + self.every_ns if self.every_ns else INT64_MAX
        self.tick_ns = now_ns + self.timer_ns if self.timer_ns else INT64_MAX
        self.mark_ns = now_ns + self.mark_every_ns
        self.pipeline.quoting = True
        if self.guard is not None:
            self.pipeline.reference.compute_c(now_ns)
            self.guard.start(now_ns)
            self.rebound_c()
        self.pipeline.forced = True
        if self.every_ns == 0:
            self.pipeline.decide_c(None, now_ns, 0)
        self.next_due_c()

    def warm(self, int64_t until_ns):
        """Take in the events before a moment without quoting."""
        cdef int64_t none = INT64_MAX
        if self.begun:
            raise ValueError("it has begun")
        self.pipeline.quoting = False
        self.begun = True
        self.cadence_ns = self.tick_ns = self.mark_ns = none
        self.next_due_c()
        self.run_c(until_ns - 1, INT64_MAX)
        self.begun = False

    def finish(self):
        """Quote no more, cancel everything, and wait for the last answer.

        Returns:
            How many orders are open then: none, unless cancels are refused.
        """
        cdef int _try
        self.pipeline.quoting = False
        self.guard = None
        self.cadence_ns = self.tick_ns = self.aged_ns = INT64_MAX
        self.aging = False
        self.outlet.behind = False
        self.outlet.release_c(self.now_ns)
        for _try in range(64):
            if self.pipeline.table.live_count == 0:
                break
            self.pipeline.forced = True
            self.pipeline.decide_c(None, self.now_ns, 0)
            self.next_due_c()
            while self.outlet.requests.head != self.outlet.requests.tail or self.answers.head != self.answers.tail:
                self.due_c(self.wake_ns)
        return self.pipeline.table.live_count

    # ---------------------------------------------------------------- the run

    cdef int run_c(self, int64_t until_ns, int64_t events_max) except -1:
        cdef int i, first
        cdef int64_t first_ns
        cdef Source* source
        cdef uint64_t end = self.event_count + <uint64_t>events_max
        while self.event_count < end:
            first = -1
            first_ns = INT64_MAX
            for i in range(self.source_count):
                source = &self.sources[i]
                if source.at < source.stop and source.recv_ns[source.at] < first_ns:
                    first = i
                    first_ns = source.recv_ns[source.at]
            if first < 0:
                return 0
            if first_ns > until_ns:
                if self.begun and self.wake_ns <= until_ns:
                    self.pass_c(until_ns)
                return 1
            if not self.begun:
                self.start(first_ns)
            if self.sources[first].data != NULL:
                self.read_frames_c(&self.sources[first], <Feed>self.feeds[first])
            else:
                self.read_c(&self.sources[first], <Feed>self.feeds[first])
        return 1

    cdef int read_c(self, Source* source, Feed feed) except -1:
        """Take in what one read brought."""
        cdef Book book = feed.book
        cdef QueueVenue venue = self.venue
        cdef bint quoted = feed.quoted
        cdef Py_ssize_t i = source.at
        cdef int64_t recv_ns = source.recv_ns[i]
        cdef int64_t price
        cdef int flags, side
        cdef Decoded decoded = DECODED_IGNORED
        cdef Trade trade
        cdef bint more = True
        if recv_ns < self.now_ns:
            recv_ns = self.now_ns
        if recv_ns >= self.wake_ns:
            self.pass_c(recv_ns)
        self.begin_read_c(feed, recv_ns)
        if source.late_next < source.late_count:
            self.late_c(source, i, recv_ns)
        while more and i < source.stop:
            flags = source.flags[i]
            price = source.price_ticks[i]
            if flags & EVENT_KIND_BITS == EVENT_LEVEL:
                side = (flags & EVENT_ASK) != 0
                # A broken book takes nothing: it says so by its state.
                book.apply_c(side, price, source.qty_lots[i])
                decoded = DECODED_BOOK
                if quoted:
                    if venue.here[side][price & 255]:
                        venue.touched = True
                    if venue.taken_count:
                        venue.told_c(side, price, recv_ns)
            elif flags & EVENT_KIND_BITS == EVENT_TRADE:
                if not flags & EVENT_FILTERED and price > 0 and source.qty_lots[i] > 0:
                    if decoded == DECODED_IGNORED:
                        decoded = DECODED_TRADE
                    side = <int>SELL if flags & EVENT_ASK else <int>BUY
                    while source.late_skipped < source.late_count and source.late_skip[source.late_skipped] < i:
                        source.late_skipped += 1    # one of nothing
                    if source.late_skipped < source.late_count and source.late_skip[source.late_skipped] == i:
                        source.late_skipped += 1
                    elif quoted:
                        venue.trade_c(side, price, source.qty_lots[i], recv_ns)
                    trade.ts_ns = source.venue_ns[i]
                    trade.price_ticks = price
                    trade.qty_lots = source.qty_lots[i]
                    trade.trade_id = 0
                    trade.instrument_index = 0
                    trade.taker_side = <uint8_t>side
                    trade.snapshot = 0
                    feed.on_trade_c(&trade)
            elif flags & EVENT_KIND_BITS == EVENT_CLEAR:
                book.catch_up_c()
                venue.touched = venue.touched or quoted
                decoded = DECODED_BOOK
            elif flags & EVENT_KIND_BITS == EVENT_BROKEN:
                book.break_c(BREAK_GAP)
                decoded = DECODED_BROKEN
            more = not flags & EVENT_READ_END
            if flags & EVENT_MESSAGE_END:
                self.end_message_c(feed, decoded, not more, source.venue_ns[i])
                decoded = DECODED_IGNORED
                if more and source.late_next < source.late_count:
                    self.late_c(source, i + 1, recv_ns)
            i += 1
        self.event_count += <uint64_t>(i - source.at)
        source.at = i
        self.next_due_c()
        return 0

    cdef void late_c(self, Source* source, Py_ssize_t at, int64_t now_ns) noexcept nogil:
        """Let the venue have the trades that a message's book holds already."""
        cdef Py_ssize_t i
        while source.late_next < source.late_count and source.late_at[source.late_next] <= at:
            i = source.late_trade[source.late_next]
            source.late_next += 1
            if source.price_ticks[i] > 0 and source.qty_lots[i] > 0:
                self.venue.trade_c(
                    <int>SELL if source.flags[i] & EVENT_ASK else <int>BUY, source.price_ticks[i],
                    source.qty_lots[i], now_ns,
                )

    cdef void begin_read_c(self, Feed feed, int64_t recv_ns) noexcept:
        self.now_ns = recv_ns
        if self.outlet.held_count:
            self.outlet.release_c(recv_ns)
        feed.recv_ns = recv_ns
        feed.last_recv_ns = recv_ns
        self.pipeline.reference.sources[feed.index].recv_ns = recv_ns - feed.lag_ns

    cdef void end_message_c(self, Feed feed, Decoded decoded, bint last, int64_t venue_ns) noexcept:
        """Let venue and pipeline see what a message of columns did."""
        cdef Book book = feed.book
        self.message_count += 1
        if decoded == DECODED_BOOK:
            if book.recentre_due:
                book.recentre_c()
            book.verify_c(self.now_ns, venue_ns)
            if venue_ns:
                feed.decoder.ts_ns = venue_ns
            if book.state != BOOK_VERIFIED:
                self.crossed_count += 1
            elif feed.quoted:
                self.venue.settle_c(self.now_ns)
        self.pipeline.take_news_c(feed, decoded, self.now_ns, 0, last and self.every_ns == 0)

    cdef int read_frames_c(self, Source* source, Feed feed) except -1:
        """Take in the messages of one read, through the decoder."""
        cdef Py_ssize_t i = source.at
        cdef int64_t recv_ns = source.recv_ns[i]
        cdef int64_t first_ns = recv_ns
        cdef Decoded decoded
        cdef bint last = False
        if recv_ns < self.now_ns:
            recv_ns = self.now_ns
        if recv_ns >= self.wake_ns:
            self.pass_c(recv_ns)
        self.begin_read_c(feed, recv_ns)
        while not last:
            if source.late_next < source.late_count:
                self.late_c(source, i, recv_ns)
            decoded = feed.decoder.decode_c(
                source.data + source.offsets[i], source.offsets[i + 1] - source.offsets[i], recv_ns
            )
            i += 1
            last = i == source.stop or source.recv_ns[i] > first_ns
            self.message_count += 1
            if decoded == DECODED_BOOK:
                if feed.book.recentre_due:
                    feed.book.recentre_c()
                if feed.book.state != BOOK_VERIFIED:
                    self.crossed_count += 1
                elif feed.quoted:
                    self.venue.news_c(recv_ns)
                    self.venue.settle_c(recv_ns)
            self.pipeline.take_news_c(feed, decoded, recv_ns, 0, last and self.every_ns == 0)
        self.event_count += <uint64_t>(i - source.at)
        source.at = i
        self.next_due_c()
        return 0

    cdef void next_due_c(self) noexcept:
        cdef int64_t due = min(min(self.cadence_ns, self.aged_ns), min(self.mark_ns, self.tick_ns))
        cdef Link requests = self.outlet.requests
        if requests.head != requests.tail:
            due = min(due, requests.ring[requests.head & (MESSAGES_MAX - 1)].due_ns)
        if self.answers.head != self.answers.tail:
            due = min(due, self.answers.ring[self.answers.head & (MESSAGES_MAX - 1)].due_ns)
        self.wake_ns = due

    cdef int pass_c(self, int64_t until_ns) except -1:
        """Let time pass; of a silence in which nothing can rest any more, no timer fires to the end."""
        cdef int64_t quiet_ns = saturate(<i128>self.now_ns + SILENCE_NS)
        if until_ns <= quiet_ns:
            return self.due_c(until_ns)
        self.due_c(quiet_ns)
        self.cadence_ns = later(self.cadence_ns, self.every_ns, until_ns)
        self.tick_ns = later(self.tick_ns, self.timer_ns, until_ns)
        self.mark_ns = later(self.mark_ns, self.mark_every_ns, until_ns)
        self.next_due_c()
        return self.due_c(until_ns)

    cdef int due_c(self, int64_t until_ns) except -1:
        """Do what is due before market news: requests, answers, marks, decisions, in order of time."""
        cdef Link requests = self.outlet.requests
        cdef Link answers = self.answers
        cdef Message message
        cdef int64_t at_ns
        cdef uint32_t turns = 0
        if requests.lost_count + answers.lost_count:
            raise OverflowError(f"more than {MESSAGES_MAX} messages on their way: delays too long")
        while self.wake_ns <= until_ns:
            turns += 1
            if turns & (TURNS - 1) == 0:
                PyErr_CheckSignals()
            at_ns = self.wake_ns
            self.now_ns = at_ns
            while requests.head != requests.tail and (
                requests.ring[requests.head & (MESSAGES_MAX - 1)].due_ns <= at_ns
            ):
                message = requests.ring[requests.head & (MESSAGES_MAX - 1)]
                requests.head += 1
                self.venue.take_c(&message, at_ns)
            while answers.head != answers.tail and answers.ring[answers.head & (MESSAGES_MAX - 1)].due_ns <= at_ns:
                message = answers.ring[answers.head & (MESSAGES_MAX - 1)]
                answers.head += 1
                self.answer_c(&message)
                # As after each message of a venue's private stream.
                self.pipeline.forced = True
                if self.every_ns == 0:
                    self.pipeline.decide_c(None, at_ns, 0)
            if at_ns >= self.aged_ns:
                self.age_c(at_ns)
            if at_ns >= self.mark_ns:
                self.mark_c(at_ns)
                self.mark_ns += self.mark_every_ns
            if at_ns >= self.tick_ns:
                self.tick_ns += self.timer_ns
                self.tick_c(at_ns)
            if at_ns >= self.cadence_ns:
                self.cadence_ns += self.every_ns
                self.pipeline.decide_c(None, at_ns, 0)
            self.next_due_c()
        return 0

    cdef int answer_c(self, const Message* message) except -1:
        """Book what the venue said."""
        cdef OrderTable table = self.pipeline.table
        cdef int64_t now_ns = message.due_ns
        if message.kind == TOLD_ACKED:
            table.event_c(message.seq, EV_ACKED, now_ns)
            self.stay_begins_c(message)
        elif message.kind == TOLD_AMENDED:
            table.event_c(message.seq, EV_AMENDED, now_ns)
            if message.last:
                self.stay_ends_c(message.seq, message.joined_ns)
                self.stay_begins_c(message)
            else:
                self.stay_shrinks_c(message)
        elif message.kind == TOLD_CANCELLED:
            self.stay_ends_c(message.seq, message.joined_ns)
            table.event_c(message.seq, EV_CANCELLED, now_ns)
            table.release_c(message.seq)
        elif message.kind == TOLD_FILL:
            self.fill_c(message)
        elif message.kind == TOLD_REFUSED:
            self.refused_count += 1
            self.taking_c(message)
            table.event_c(message.seq, EV_REJECTED, now_ns)
            table.release_c(message.seq)
        elif message.kind == TOLD_AMEND_REFUSED:
            self.refused_count += 1
            self.taking_c(message)
            table.event_c(message.seq, EV_AMEND_REJECTED, now_ns)
        if self.guard is not None and (message.kind == TOLD_REFUSED or message.kind == TOLD_AMEND_REFUSED):
            self.tell_fills_c(self.fills_kept)
            self.guard.refused(now_ns)
            self.rebound_c()
        if message.kind == TOLD_UNKNOWN:
            # The fill that ended it came before; what an amend asked for keeps it open here. The
            # query that proves it gone takes no time.
            self.stay_ends_c(message.seq, message.joined_ns)
            table.event_c(message.seq, EV_PROVEN_GONE, now_ns)
            table.release_c(message.seq)
        return 0

    cdef int taking_c(self, const Message* message) except -1:
        """Leave alone a price at which an order would have taken."""
        cdef const Order* order = self.pipeline.table.find_c(message.seq)
        cdef int64_t sent_ns = message.due_ns if order == NULL else order.acted_ns
        cdef int side = message.side if order == NULL else order.side
        self.pipeline.note_taking(side, message.price_ticks, sent_ns, message.due_ns)
        return 0

    cdef int stay_begins_c(self, const Message* message) except -1:
        """Keep that an order has taken a place in a queue."""
        cdef const Order* order = self.pipeline.table.find_c(message.seq)
        cdef int32_t slot = <int32_t>(message.seq & (ORDERS_MAX - 1))
        cdef int64_t* row
        cdef int64_t* grown
        cdef int64_t before = self.stay_of[slot]
        if order != NULL and not order.post_only:
            return 0    # it came to take: no queue is joined
        if self.every_ns:
            self.look_c(self.now_ns)
        if self.stays_kept == self.stays_max:
            grown = <int64_t*>realloc(
                self.stays, <size_t>((self.stays_max + GROW) * STAY_FIELDS) * sizeof(int64_t)
            )
            if grown == NULL:
                raise MemoryError("stays")
            self.stays = grown
            self.stays_max += GROW
        row = &self.stays[self.stays_kept * STAY_FIELDS]
        self.stays_kept += 1
        self.stay_of[slot] = self.stays_kept
        row[0] = <int64_t>message.seq
        row[1] = message.joined_ns
        row[2] = message.side if order == NULL else order.side
        row[3] = -1 if order == NULL else order.level
        row[4] = message.price_ticks
        row[5] = message.qty_lots if order == NULL else message.qty_lots - order.filled_lots
        row[6] = self.pipeline.reference.price_uticks
        row[7] = message.ahead_lots
        row[8] = 0
        row[9] = 0
        row[10] = 0
        if before and self.stays[(before - 1) * STAY_FIELDS] == <int64_t>message.seq:
            row[10] = self.stays[(before - 1) * STAY_FIELDS + 10] + 1
        return 0

    cdef void stay_shrinks_c(self, const Message* message) noexcept nogil:
        """Keep that an order asks for less where it stands."""
        cdef const Order* order = self.pipeline.table.find_c(message.seq)
        cdef int64_t at = self.stay_of[message.seq & (ORDERS_MAX - 1)]
        cdef int64_t* row
        if at and order != NULL:
            row = &self.stays[(at - 1) * STAY_FIELDS]
            if row[0] == <int64_t>message.seq:
                row[5] = row[8] + message.qty_lots - order.filled_lots

    cdef void stay_ends_c(self, uint64_t seq, int64_t now_ns) noexcept nogil:
        """Keep that an order has left its place."""
        cdef int64_t at = self.stay_of[seq & (ORDERS_MAX - 1)]
        cdef int64_t* row
        if at:
            row = &self.stays[(at - 1) * STAY_FIELDS]
            if row[0] == <int64_t>seq and row[9] == 0:
                row[9] = now_ns

    cdef int fill_c(self, const Message* message) except -1:
        cdef Pipeline pipeline = self.pipeline
        cdef const Order* order = pipeline.table.find_c(message.seq)
        cdef int level = -1
        cdef int64_t* row
        cdef int64_t* grown
        cdef i128 paid, atoms, fee
        cdef int64_t stay
        cdef int64_t now_ns = message.due_ns
        cdef int64_t fee_ppm = self.maker_fee_ppm if message.maker else self.taker_fee_ppm
        if order != NULL:
            level = order.level
        if self.every_ns:
            self.look_c(now_ns)
        pipeline.note_fill(message.seq, message.qty_lots, now_ns)
        pipeline.table.fill_c(message.seq, message.price_ticks, message.qty_lots, now_ns)
        pipeline.inventory.fill_c(message.side, message.price_ticks, message.qty_lots)
        # As the venue does: cost and fee half up to its atoms, and of its balance whole ticklots count.
        paid = <i128>message.price_ticks * message.qty_lots
        if not self.quote_told:
            self.quote_told = True
            self.quote_atoms = floor_div_wide((pipeline.inventory.quote_ticklots + (
                paid if message.side == BUY else -paid
            )) * self.atoms_num, <i128>self.atoms_den)
        atoms = self.atoms_c(paid, 1)
        self.quote_atoms += -atoms if message.side == BUY else atoms
        if self.lot_atoms and message.side == BUY:
            self.base_fee_c(message, fee_ppm)
        else:
            self.quote_atoms -= self.atoms_c(paid * fee_ppm, PPM)
        fee = pipeline.inventory.quote_ticklots - floor_div_wide(
            self.quote_atoms * self.atoms_den, <i128>self.atoms_num
        )
        pipeline.inventory.fee_c(fee)
        self.fees_ticklots += fee
        self.fill_count += 1
        if self.fills_kept == self.fills_max:
            grown = <int64_t*>realloc(
                self.fills, <size_t>((self.fills_max + GROW) * FILL_FIELDS) * sizeof(int64_t)
            )
            if grown == NULL:
                raise MemoryError("fills")
            self.fills = grown
            self.fills_max += GROW
        row = &self.fills[self.fills_kept * FILL_FIELDS]
        self.fills_kept += 1
        row[0] = now_ns
        row[1] = <int64_t>message.seq
        row[2] = message.side
        row[3] = message.price_ticks
        row[4] = message.qty_lots
        row[5] = message.maker
        row[6] = pipeline.reference.price_uticks
        row[7] = message.ahead_lots
        row[8] = message.joined_ns
        row[9] = level
        row[AGED] = row[AGED + 1] = row[AGED + 2] = row[AGED + 3] = 0
        self.next_aged_c()
        stay = self.stay_of[message.seq & (ORDERS_MAX - 1)]
        if stay:
            row = &self.stays[(stay - 1) * STAY_FIELDS]
            if row[0] == <int64_t>message.seq:
                row[8] += message.qty_lots
                if row[8] >= row[5]:
                    row[9] = message.made_ns
        self.minute_c(now_ns)
        if self.guard is None:
            return 0
        if self.guard_always or (
            self.fills_most >= 0 and pipeline.inputs.fills_last_minute >= self.fills_most
        ) or self.slipped_c(message):
            self.tell_fills_c(self.fills_kept - 1)
            self.told_fills = self.fills_kept
            self.guard.fill(now_ns, message.made_ns, message.side, message.price_ticks)
            self.rebound_c()
        self.watch_c(now_ns, False)
        return 0

    cdef int tell_fills_c(self, int64_t until) except -1:
        """Let the guard count the fills that broke no limit of its."""
        if self.told_fills < until:
            self.guard.counted([self.fills[i * FILL_FIELDS] for i in range(self.told_fills, until)])
            self.told_fills = until
        return 0

    cdef bint slipped_c(self, const Message* message) noexcept nogil:
        """Whether a fill may be too far on the losing side of the reference."""
        cdef int64_t reference = self.pipeline.reference.price_uticks
        cdef i128 loss
        if self.slippage_ppm < 0 or reference <= 0:
            return False
        loss = <i128>message.price_ticks * UTICKS - reference
        if message.side != BUY:
            loss = -loss
        return loss * PPM > <i128>reference * self.slippage_ppm

    cdef void base_fee_c(self, const Message* message, int64_t fee_ppm) noexcept nogil:
        """Charge the fee of a buy in what it brought: of the base held whole lots count."""
        cdef i128 fee = <i128>message.qty_lots * self.lot_atoms * fee_ppm
        cdef i128 whole
        self.base_fee_atoms += floor_div_wide(2 * fee + PPM, <i128>2 * PPM)
        whole = -floor_div_wide(-self.base_fee_atoms, <i128>self.lot_atoms)
        self.pipeline.inventory.base_lots -= <int64_t>(whole - self.base_fee_lots)
        self.pipeline.inventory.stale = True
        self.base_fee_lots = <int64_t>whole
        self.fees_ticklots += floor_div_wide(
            <i128>message.price_ticks * message.qty_lots * fee_ppm + (PPM >> 1), <i128>PPM
        )

    cdef i128 atoms_c(self, i128 ticklots, int64_t part) noexcept nogil:
        """Convert a part of so many ticklots to whole atoms, half up."""
        cdef i128 unit = <i128>part * self.atoms_den
        return floor_div_wide(2 * ticklots * self.atoms_num + unit, 2 * unit)

    cdef void minute_c(self, int64_t now_ns) noexcept nogil:
        while self.minute_first < self.fills_kept and (
            self.fills[self.minute_first * FILL_FIELDS] <= now_ns - MINUTE_NS
        ):
            self.minute_first += 1
        self.pipeline.inputs.fills_last_minute = <int32_t>(self.fills_kept - self.minute_first)

    cdef int tick_c(self, int64_t now_ns) except -1:
        """Do what the slow path's timer does."""
        self.minute_c(now_ns)
        if self.every_ns:
            self.look_c(now_ns)
        if self.guard is not None:
            self.watch_c(now_ns, True)
        if self.every_ns == 0:
            self.pipeline.forced = True
            self.pipeline.decide_c(None, now_ns, 0)
        return 0

    cdef int watch_c(self, int64_t now_ns, bint timer) except -1:
        """Ask the guard where a limit may be passed."""
        cdef Pipeline pipeline = self.pipeline
        cdef int64_t equity, q_lots
        cdef bint ask = self.guard_always or (timer and pipeline.cancel_count != self.cancels_seen)
        if pipeline.reference.price_uticks >= 0:
            pipeline.inventory.mark_c(pipeline.reference.price_uticks)
            equity = saturate(pipeline.inventory.equity_ticklots)
            q_lots = pipeline.inventory.q_lots
            if self.start_ticklots == 0:
                self.start_ticklots = self.peak_ticklots = equity
                ask = True
            elif equity > self.peak_ticklots:
                self.peak_ticklots = equity
            ask = ask or (
                self.start_ppm >= 0
                and <i128>(self.start_ticklots - equity) * PPM > <i128>self.start_ticklots * self.start_ppm
            ) or (
                self.peak_ppm >= 0
                and <i128>(self.peak_ticklots - equity) * PPM > <i128>self.peak_ticklots * self.peak_ppm
            ) or q_lots > self.q_lots_most or -q_lots > self.q_lots_most
        if ask and timer:
            self.cancels_seen = pipeline.cancel_count
            self.tell_fills_c(self.fills_kept)
            self.guard.timer(now_ns, self.peak_ticklots)
            self.rebound_c()
        elif ask:
            self.tell_fills_c(self.fills_kept)
            self.guard.mark(now_ns, self.peak_ticklots)
            self.rebound_c()
        return 0

    cdef int rebound_c(self) except -1:
        """Take over when to ask next."""
        bounds = self.guard.bounds()
        self.guard_always = bounds.always
        self.start_ppm = bounds.start_ppm
        self.peak_ppm = bounds.peak_ppm
        self.q_lots_most = bounds.q_lots_most
        self.fills_most = bounds.fills_most
        self.slippage_ppm = bounds.slippage_ppm
        return 0

    cdef void look_c(self, int64_t now_ns) noexcept:
        """Bring the reference up to the books: with a cadence nothing did since the last decision."""
        if self.every_ns and self.pipeline.waiting is not None and self.pipeline.waiting.dirty:
            self.pipeline.refresh_c(self.pipeline.waiting, now_ns)
        self.pipeline.reference.compute_c(now_ns)

    cdef int mark_c(self, int64_t now_ns) except -1:
        """Mark equity."""
        cdef Pipeline pipeline = self.pipeline
        cdef int64_t equity
        cdef int64_t* row
        cdef int64_t* grown
        self.look_c(now_ns)
        if pipeline.reference.price_uticks < 0:
            return 0    # nothing tells what is held
        pipeline.inventory.mark_c(pipeline.reference.price_uticks)
        equity = saturate(pipeline.inventory.equity_ticklots)
        if self.marks_kept == self.marks_max:
            grown = <int64_t*>realloc(
                self.marks, <size_t>((self.marks_max + GROW) * MARK_FIELDS) * sizeof(int64_t)
            )
            if grown == NULL:
                raise MemoryError("marks")
            self.marks = grown
            self.marks_max += GROW
        row = &self.marks[self.marks_kept * MARK_FIELDS]
        self.marks_kept += 1
        row[0] = now_ns
        row[1] = equity
        row[2] = pipeline.inventory.base_lots
        row[3] = pipeline.reference.price_uticks
        row[4] = pipeline.table.live_count
        row[5] = saturate(self.exit_c(pipeline.reference.price_uticks))
        return 0

    cdef int64_t held_c(self) noexcept nogil:
        """Return what is held of base beyond the opening, in lots; 0 while it is not known."""
        cdef int64_t base_lots = self.pipeline.inventory.base_lots
        if base_lots == MISSING or self.opened_lots == MISSING:
            return 0
        return base_lots - self.opened_lots

    cdef i128 exit_c(self, int64_t uticks) noexcept:
        """Return what it costs beyond a reference to trade what is held beyond the opening through the book.

        In ticklots, without fee; below zero where the book pays more than the reference. What the
        book does not hold is traded at its last level. 0 while it is not whole.
        """
        cdef Book book = self.venue.book
        cdef int64_t held = self.held_c()
        cdef int side = <int>(held < 0)     # bids buy what is too much
        cdef int64_t left = -held if side else held
        cdef int64_t price = book.best_ask_ticks if side else book.best_bid_ticks
        cdef int64_t last = price
        cdef int64_t qty
        cdef i128 value = 0
        if held == 0 or uticks <= 0 or book.state != BOOK_VERIFIED:
            return 0
        while left > 0 and price != (NO_ASK_TICKS if side else NO_BID_TICKS):
            qty = min(left, book.qty_at_c(side, price))
            value += <i128>qty * price
            left -= qty
            last = price
            price = book.worse_c(side, price)
        value += <i128>left * last
        return floor_div_wide(<i128>held * uticks, <i128>UTICKS) + (value if side else -value)

    cdef void age_c(self, int64_t now_ns) noexcept:
        """Keep the reference for the fills that were told one of the horizons ago."""
        cdef int i
        cdef int64_t* row
        if self.every_ns or now_ns - self.pipeline.feed.recv_ns > self.timer_ns:
            self.look_c(now_ns)
        for i in range(HORIZONS):
            while self.aged_next[i] < self.fills_kept:
                row = &self.fills[self.aged_next[i] * FILL_FIELDS]
                if row[0] + horizons_ns[i] > now_ns:
                    break
                row[AGED + i] = max(self.pipeline.reference.price_uticks, -1)
                self.aged_next[i] += 1
        self.next_aged_c()

    cdef void next_aged_c(self) noexcept nogil:
        cdef int i
        self.aged_ns = INT64_MAX
        if self.aging:
            for i in range(HORIZONS):
                if self.aged_next[i] < self.fills_kept:
                    self.aged_ns = min(
                        self.aged_ns, self.fills[self.aged_next[i] * FILL_FIELDS] + horizons_ns[i]
                    )

    # ---------------------------------------------------------------- what came of it

    def fill_rows(self):
        """Return every execution, in the order they were told: a list of `BacktestFill`."""
        return [
            BacktestFill(*[self.fills[i * FILL_FIELDS + j] for j in range(FILL_FIELDS)])
            for i in range(self.fills_kept)
        ]

    def fills_bytes(self):
        """Return the executions as little-endian int64, `BacktestFill`'s fields each."""
        if self.fills_kept == 0:
            return b""
        return (<char*>self.fills)[: self.fills_kept * FILL_FIELDS * sizeof(int64_t)]

    @property
    def fees(self):
        """All fees, in ticklots of quote, those in base at the price of their fill; negative: rebates."""
        return saturate(self.fees_ticklots)

    @property
    def base_fees(self):
        """Of them what was charged in base, in lots, rounded up."""
        return self.base_fee_lots

    def exit_ticklots(self, int64_t uticks):
        """Return what it costs beyond a reference to trade what is held beyond the opening through the book, now."""
        return saturate(self.exit_c(uticks))

    def stays_bytes(self):
        """Return every stay of an order at a price as little-endian int64, `BacktestStay`'s fields each."""
        if self.stays_kept == 0:
            return b""
        return (<char*>self.stays)[: self.stays_kept * STAY_FIELDS * sizeof(int64_t)]

    def marks_bytes(self):
        """Return the marks as little-endian int64 each.

        Time, equity (ticklots), base (lots), reference (uticks), orders, and what it costs beyond the
        reference to trade what is held beyond the opening through the book of then (ticklots).
        """
        if self.marks_kept == 0:
            return b""
        return (<char*>self.marks)[: self.marks_kept * MARK_FIELDS * sizeof(int64_t)]
