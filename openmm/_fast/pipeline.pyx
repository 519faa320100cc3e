"""The hot path: frame in, order bytes out, one C call chain.

The order of the stages is the order of this file: decode, signals and reference, ladder, plan,
checks, tape, encode, write. Everything a decision reads lies in the compiled tables; everything it
does is on the tape before its bytes are in the socket. The slow path (`engine/step.py`) changes the
same tables between frames and then calls `requote`.
"""

from cython cimport final

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from openmm._fast.book cimport BOOK_VERIFIED, Book
from openmm._fast.checks cimport (
    APPROVED, NEIGHBOUR, POST_ONLY_CROSS, STATE, Approved, Checks, Limits, Reason, RiskInputs,
)
from openmm._fast.intensity cimport Intensity
from openmm._fast.inventory cimport Inventory
from openmm._fast.latency cimport (
    STAGE_ANSWER_TO_ORDER,
    STAGE_BOOK, STAGE_CHECK, STAGE_DECODE, STAGE_ENCODE, STAGE_JOURNAL, STAGE_PLAN, STAGE_QUOTE,
    STAGE_READ, STAGE_SIGNAL, STAGE_TICK_TO_ORDER, STAGE_WRITE, StageLatency, stamp_c, stamp_to_ns,
)
from openmm._fast.leans cimport lean_c, lean_from_py
from openmm._fast.orders cimport (
    EV_ACKED, EV_AMENDED, EV_AMEND_REJECTED, EV_CANCELLED, EV_REJECTED, LANE_FLATTEN, LANE_HANGING,
    OPEN, PARTIALLY_FILLED, PENDING_CANCEL, TR_OK, UNKNOWN, Order, OrderTable, best_own_ticks,
)
from openmm._fast.orderflow cimport NEVER_NS
from openmm._fast.planner cimport (
    ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, WHY_CROSSING, WHY_HAND, WHY_MOVED, WHY_REBALANCE, WHY_RISK,
    WHY_STALE, WHY_UNWANTED, Action, ActionWhy, Planner, cancel_due, half_spread, shape_level_c,
)
from openmm._fast.ports cimport (
    DECODED_BOOK, DECODED_BROKEN, DECODED_TRADE, NO_ASK, Decoded, Decoder, Encoder, Neighbours,
    Strategy, Trade,
    Transport, out_alloc, out_free, out_reset,
)
from openmm._fast.queue cimport Place
from openmm._fast.quotes cimport (
    CLAMP_POST_ONLY_ASK, CLAMP_POST_ONLY_BID, OFF_ASKS, OFF_BIDS, MarketView, part_c,
)
from openmm._fast.records cimport (
    BookRecord, IntentRecord, LadderRecord, NeighboursRecord, PlaceRecord, RefusalRecord, StampsRecord,
)
from openmm._fast.reference cimport SOURCES_MAX, Reference
from openmm._fast.signals cimport Signals
from openmm._fast.tape cimport (
    REC_BATCH_END, REC_BOOK, REC_FRAME, REC_INTENT, REC_LADDER, REC_NEIGHBOURS, REC_ORDER_BYTES, REC_PLACE, REC_REFUSAL,
    REC_STAMPS, REC_TIMER, REC_WRITE_RESULT, Tape,
)
from openmm._fast.units cimport (
    ASK, BID, BUY, MISSING, PPM, SELL, UTICKS, i128, saturate,
)

from openmm._fast.checks import RiskState
from openmm._fast.ports import Decoded as DecodedCode


cdef enum:
    TIMER_REQUOTE = 1       # sources of REC_TIMER
    TIMER_WITHDRAW = 2
    WRITE_DOWN = -2         # REC_WRITE_RESULT: nothing was tried, the transport is down
    JUMP_SAMPLES = 4        # quotes keep clear of a jump for so many sample times
    HIT_NS = 1000000000     # a trade inside others' best is ours for so long after a fill
    AHEAD_BYTES = 8192      # of the tape: a frame and the records of a decision
    SHUT_NS = 20000000      # a refused price is left for so long, twice that the next time, and so on
    SHUT_DOUBLINGS = 8
    SHUT_CALM_NS = 5000000000   # without a refusal: the next one is the first again


cdef inline int64_t between(int64_t frm, int64_t to) noexcept nogil:
    return stamp_to_ns(to - frm)


@final
cdef class Feed(Sink):
    """Hold one market data connection: its decoder, its book, and what follows from them.

    Args:
        decoder: bound to `book`; its trades come here.
        book: the book of the feed's one instrument.
        signals: estimators of that book.
        index: the feed's place in the reference and the source number of its tape records.
        quoted: whether orders rest on this book.
        intensity: the fit of how often quotes are reached there, for strategies that read it.
    """

    def __cinit__(self, Decoder decoder not None, Book book not None, Signals signals not None,
                  int index, bint quoted=False, Intensity intensity=None):
        if not 0 <= index < SOURCES_MAX:
            raise ValueError(f"index must be 0 to {SOURCES_MAX - 1}: {index}")
        self.decoder = decoder
        self.book = book
        self.signals = signals
        self.index = index
        self.quoted = quoted
        self.intensity = intensity
        self.hit_ns[0] = -<int64_t>HIT_NS
        self.hit_ns[1] = -<int64_t>HIT_NS
        decoder.sink = self

    @property
    def counters(self):
        """What the decoder has counted, by name."""
        return self.decoder.counters

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        self.trade_count += 1
        self.last_trade_id = trade.trade_id
        self.last_trade_ticks = trade.price_ticks
        if trade.snapshot:
            return
        if self.book.state == BOOK_VERIFIED and (
            trade.price_ticks < self.book.best_bid_ticks or trade.price_ticks > self.book.best_ask_ticks
        ) and self.through_ns == 0:
            # Traded through what our book shows: the book is about to say so, or no longer right.
            self.through_ns = self.recv_ns
        if self.places is not None and self.places.on:
            self.places.trade_c(self.own, trade.taker_side, trade.price_ticks, trade.qty_lots)
        self.signals.on_trade_c(self.recv_ns, trade.taker_side, trade.price_ticks, trade.qty_lots)
        if self.intensity is not None:
            self.intensity.on_trade_c(self.recv_ns, trade.taker_side, self.reach_ticks_c(trade))

    cdef int64_t reach_ticks_c(self, const Trade* trade) noexcept nogil:
        """Tell how far a taker went at least, as if our own orders had not been there.

        One that ends at ours inside the best price of others would have come to that price: to count
        it as nearer would teach the fit that quotes further out are not reached, by our own quotes.
        """
        cdef int64_t price_ticks = trade.price_ticks
        cdef int64_t others_ticks
        cdef bint inside
        if not self.own_shown or self.own is None or self.signals.mid_uticks == MISSING:
            return price_ticks
        if trade.taker_side == BUY:
            others_ticks = self.signals.best_ask_ticks
            inside = price_ticks < others_ticks
        else:
            others_ticks = self.signals.best_bid_ticks
            inside = price_ticks > others_ticks
        # The fill may have been told before the trade, and the order gone since.
        if inside and (
            self.own.own_lots_at_c(SELL if trade.taker_side == BUY else BUY, price_ticks) > 0
            or 0 <= self.recv_ns - self.hit_ns[0 if trade.taker_side == BUY else 1] < <int64_t>HIT_NS
        ):
            return others_ticks
        return price_ticks

    def decode(self, Frames frames not None, Py_ssize_t start=0, stop=None):
        """Put frames `start` to `stop` through decoder, checksum and book alone, in one compiled call.

        Returns how many of them changed the book. For benches: what the rest of the path costs is
        the difference to `Pipeline.run`.
        """
        cdef Py_ssize_t i
        cdef Py_ssize_t end = frames.count if stop is None else stop
        cdef int64_t changed = 0
        if not 0 <= start <= end <= frames.count:
            raise ValueError(f"frames [{start}, {end}) of {frames.count}")
        for i in range(start, end):
            changed += self.decoder.decode_c(
                frames.data + frames.offsets[i], frames.offsets[i + 1] - frames.offsets[i],
                frames.recv_ns[i],
            ) == DECODED_BOOK
        return changed


@final
cdef class Pipeline:
    """Drive the compiled tables from frames to orders.

    Args:
        requote_uticks: a reference move up to this many uticks changes no quote.
        own_in_book: whether the venue's book shows our orders; paper mode's does not.
        lag_counts: whether the venue's stamps are of now, so that late news counts as old; those of a
            recording or of a generated workload are not.
        neighbours: other bots of ours on the quoted market; None: nobody is asked.
    """

    def __cinit__(
        self,
        Feed feed not None,
        Reference reference not None,
        Strategy strategy not None,
        Planner planner not None,
        Checks checks not None,
        OrderTable table not None,
        Inventory inventory not None,
        Encoder encoder not None,
        Transport transport not None,
        Tape tape not None,
        StageLatency latency not None,
        int64_t requote_uticks=0,
        bint own_in_book=True,
        bint lag_counts=False,
        Neighbours neighbours=None,
    ):
        if not feed.quoted:
            raise ValueError("the pipeline's own feed must be the quoted one")
        if requote_uticks < 0:
            raise ValueError(f"requote_uticks must not be negative: {requote_uticks}")
        out_alloc(&self.batch)
        self.feed = feed
        self.reference = reference
        self.strategy = strategy
        self.planner = planner
        self.checks = checks
        self.table = table
        self.inventory = inventory
        self.encoder = encoder
        self.transport = transport
        self.tape = tape
        self.latency = latency
        self.spec = checks.spec
        feed.places = planner.queue
        feed.own = table
        feed.own_shown = own_in_book
        self.requote_uticks = requote_uticks
        self.own_in_book = own_in_book
        self.lag_counts = lag_counts
        self.last_reference_uticks = MISSING
        self.wake_ns = INT64_MAX
        self.allow_bid = True
        self.allow_ask = True
        self.forced = True
        # Nothing is known yet: every input refuses until the slow path has set it.
        memset(&self.inputs, 0, sizeof(RiskInputs))
        self.inputs.clock_offset_ns = MISSING
        self.inputs.reference_uticks = MISSING
        self.inputs.drawdown_breached = -1
        self.inputs.fills_last_minute = -1
        self.neighbours = Neighbours() if neighbours is None else neighbours
        self.inputs.other_bid_ticks = self.neighbours.bid_ticks
        self.inputs.other_ask_ticks = self.neighbours.ask_ticks

    def __dealloc__(self):
        out_free(&self.batch)

    # ---------------------------------------------------------------- C face

    cdef Decoded on_frame_c(
        self, Feed feed, const char* data, Py_ssize_t n_bytes, int64_t recv_ns, int64_t stamp, bint last
    ) noexcept:
        cdef Decoded decoded
        self.append_c(REC_FRAME, feed.index, recv_ns, data, n_bytes)
        feed.recv_ns = recv_ns
        feed.last_recv_ns = recv_ns
        feed.frame_count += 1
        # A verified book without news is as fresh as the connection it comes over, and as late as
        # its last news; for how long it may be without is the slow path's to watch.
        self.reference.sources[feed.index].recv_ns = recv_ns - feed.lag_ns
        decoded = feed.decoder.decode_c(data, n_bytes, recv_ns)
        self.take_news_c(feed, decoded, recv_ns, stamp, last)
        return decoded

    cdef void take_news_c(
        self, Feed feed, Decoded decoded, int64_t recv_ns, int64_t stamp, bint last
    ) noexcept:
        if feed.book.state != feed.known_state:
            self.tell_book_c(feed, recv_ns)
        if decoded == DECODED_BOOK or decoded == DECODED_BROKEN:
            feed.dirty = True
            self.dirty = True
            feed.through_ns = 0
            if feed.quoted:
                self.news_count += 1
            if self.lag_counts and feed.decoder.ts_ns > 0:
                # How late the news is: what was in the air, the venue's queue or ours counts as age.
                feed.lag_ns = recv_ns - feed.decoder.ts_ns
                if self.inputs.clock_offset_ns != MISSING:
                    feed.lag_ns += self.inputs.clock_offset_ns
                if feed.lag_ns < 0:
                    feed.lag_ns = 0
            if decoded == DECODED_BROKEN or feed.book.state != BOOK_VERIFIED:
                self.forced = True
        elif decoded == DECODED_TRADE:
            self.dirty = True
        if last:
            self.end_read_c(feed, recv_ns, stamp)
        elif feed.dirty and self.waiting is not feed:
            if self.waiting is not None and self.waiting.dirty:
                self.refresh_c(self.waiting, recv_ns)
            self.waiting = feed

    cdef void end_read_c(self, Feed feed, int64_t recv_ns, int64_t stamp) noexcept:
        if self.dirty:
            self.append_c(REC_BATCH_END, feed.index, recv_ns, NULL, 0)
            self.decide_c(feed, recv_ns, stamp)

    cdef void tell_book_c(self, Feed feed, int64_t now_ns) noexcept nogil:
        """Put a book's new state on the tape."""
        cdef BookRecord book
        feed.known_state = feed.book.state
        book.state = feed.book.state
        book.reason = feed.book.break_reason
        book.best_bid_ticks = feed.book.best_bid_ticks
        book.best_ask_ticks = feed.book.best_ask_ticks
        book.break_count = feed.book.break_count
        self.append_c(REC_BOOK, feed.index, now_ns, &book, sizeof(BookRecord))

    cdef void refresh_c(self, Feed feed, int64_t now_ns) noexcept nogil:
        """Bring signals and the feed's place in the reference up to its book."""
        cdef int64_t own_bid = 0
        cdef int64_t own_ask = 0
        if feed.book.state == BOOK_VERIFIED:
            if feed.quoted and self.own_in_book:
                if self.own_version != self.table.version:
                    self.tell_own_c()
                own_bid = self.table.own_lots_at_c(BUY, feed.book.best_bid_ticks)
                own_ask = self.table.own_lots_at_c(SELL, feed.book.best_ask_ticks)
            feed.signals.on_book_c(feed.book, now_ns, own_bid, own_ask)
            if feed.intensity is not None:
                feed.intensity.on_mid_c(now_ns, feed.signals.mid_uticks)
            self.reference.set_c(
                feed.index, feed.signals.mid_uticks, feed.signals.spread_ticks * UTICKS,
                feed.signals.depth_lots, feed.last_recv_ns - feed.lag_ns, True,
            )
        else:
            feed.signals.lose_c()
            self.reference.set_c(feed.index, MISSING, MISSING, 0, feed.last_recv_ns, False)
            if feed.intensity is not None:
                feed.intensity.on_mid_c(now_ns, MISSING)
        if feed.quoted and self.planner.queue.on:
            self.planner.queue.look_c(feed.book, self.table, self.own_in_book)
        feed.dirty = False

    cdef int64_t lean_now_c(self, int64_t now_ns) noexcept nogil:
        """Tell how far the signals would shift the centre now."""
        cdef MarketView view
        cdef Ladder ladder
        if self.reference.price_uticks == MISSING:
            return 0
        self.feed.signals.decay_c(now_ns)
        view.reference_uticks = self.reference.price_uticks
        view.flow_ppm = 0
        view.micro_ppm = self.feed.signals.micro_ppm
        view.imbalance_ppm = self.feed.signals.imbalance_ppm
        view.ofi_ppm = self.feed.signals.order_flow.ofi_ppm
        ladder.clamps = 0
        return lean_c(&view, &self.leans, &ladder)

    cdef bint settled_c(self, int64_t now_ns) noexcept nogil:
        """Whether nothing moved enough to look at the quotes again."""
        cdef int64_t moved
        if self.forced or self.reference.price_uticks == MISSING or self.last_reference_uticks == MISSING:
            return False
        moved = self.reference.price_uticks - self.last_reference_uticks
        if self.leaning:
            moved += self.lean_uticks - self.last_lean_uticks
        if moved > self.requote_uticks or -moved > self.requote_uticks:
            return False
        if now_ns >= self.wake_ns:
            return False
        # A ladder bound by the venue's own book follows that book too.
        if self.ladder.clamps & (CLAMP_POST_ONLY_BID | CLAMP_POST_ONLY_ASK):
            return False
        if self.ladder.count[<int>BID] and self.ladder.levels[<int>BID][0].price_ticks >= self.feed.book.best_ask_ticks:
            return False
        if self.ladder.count[<int>ASK] and self.ladder.levels[<int>ASK][0].price_ticks <= self.feed.book.best_bid_ticks:
            return False
        # A jump of the market just made, or just over.
        return self.jump_ppm_c(now_ns) == self.view.jump_ppm

    cdef Decision decide_c(self, Feed feed, int64_t now_ns, int64_t stamp) noexcept:
        cdef int32_t before
        cdef int quote
        cdef Reason standing
        self.dirty = False
        self.decision_count += 1
        self.stamps[0] = stamp
        self.stamps[1] = stamp_c()
        self.frame_decides = feed is not None
        self.stamps[9] = self.stamps[1]
        if feed is not None and feed.decoder.applied_stamp > stamp:
            self.stamps[9] = feed.decoder.applied_stamp
        if feed is not None and feed.dirty:
            self.refresh_c(feed, now_ns)
        if self.waiting is not None:
            # Whoever decides sees every book as it stands, also one whose read goes on.
            if self.waiting.dirty:
                self.refresh_c(self.waiting, now_ns)
            self.waiting = None
        if feed is None and self.own_version != self.table.version:
            # What the book shows of ours changed, not the book.
            self.refresh_c(self.feed, now_ns)
        if self.neighbours.on:
            self.look_around_c(now_ns)
        self.reference.compute_c(now_ns)
        if self.leaning:
            self.lean_uticks = self.lean_now_c(now_ns)
        if self.settled_c(now_ns):
            self.skipped_count += 1
            self.tell_frame_c(stamp)
            self.last_decision = DECISION_SKIPPED
            return DECISION_SKIPPED
        self.forced = False
        self.last_reference_uticks = self.reference.price_uticks
        self.last_lean_uticks = self.lean_uticks
        self.inventory.mark_c(self.reference.price_uticks)
        self.fill_inputs_c(now_ns)
        standing = self.checks.standing_c(&self.inputs)
        if standing != self.standing:
            self.standing = standing
            if standing != APPROVED:
                self.tell_standing_c(now_ns)
        if not self.quoting or standing != APPROVED:
            self.stamps[2] = self.stamps[1]
            return self.withdraw_c(now_ns, WHY_RISK)
        if self.trim_c(now_ns):
            self.stamps[2] = self.stamps[1]
            self.stamps[3] = self.stamps[1]
            self.stamps[4] = stamp_c()
            self.last_decision = self.send_c(now_ns, stamp)
            self.forced = True
            return self.last_decision
        self.fill_view_c(now_ns)
        self.stamps[2] = stamp_c()
        before = self.one_sided
        self.ladder.count[<int>BID] = 0
        self.ladder.count[<int>ASK] = 0
        quote = self.strategy.quote_c(&self.view, &self.ladder)
        if quote != 1:
            self.ladder.count[<int>BID] = 0
            self.ladder.count[<int>ASK] = 0
            self.last_reference_uticks = MISSING  # ask again with the next news
        self.one_sided = self.strategy.one_sided_c()
        self.wake_ns = self.strategy.wake_c()
        self.requote_count += 1
        self.stamps[3] = stamp_c()
        self.planner.plan_c(&self.ladder, self.table, now_ns)
        if self.view.hanging_bids | self.view.hanging_asks:
            self.plan_hanging_c(now_ns)
        if self.planner.held:
            self.tell_held_c(now_ns)
        self.stamps[4] = stamp_c()
        if self.planner.count == 0:
            self.tell_frame_c(stamp)
            self.latency.record_c(STAGE_SIGNAL, between(self.stamps[1], self.stamps[2]))
            self.latency.record_c(STAGE_QUOTE, between(self.stamps[2], self.stamps[3]))
            self.latency.record_c(STAGE_PLAN, between(self.stamps[3], self.stamps[4]))
            self.last_decision = DECISION_KEPT
            return DECISION_KEPT
        self.quoted_before = before
        self.ladder_due = True
        self.last_decision = self.send_c(now_ns, stamp)
        return self.last_decision

    cdef void tell_frame_c(self, int64_t stamp) noexcept nogil:
        """Count the stages of a frame whose decision sent nothing."""
        if self.frame_decides:
            if self.read_counts:
                self.latency.record_c(STAGE_READ, stamp_to_ns(self.read_counts))
            self.latency.record_c(STAGE_DECODE, between(stamp, self.stamps[9]))
            self.latency.record_c(STAGE_BOOK, between(self.stamps[9], self.stamps[1]))

    cdef void tell_standing_c(self, int64_t now_ns) noexcept nogil:
        """Count why nothing may rest, and put it on the tape."""
        cdef RefusalRecord refusal
        self.checks.count_c(self.standing)
        memset(&refusal, 0, sizeof(RefusalRecord))
        refusal.action.why = WHY_RISK
        refusal.reason = self.standing
        refusal.limit = self.checks.last_limit
        refusal.value = self.checks.last_value
        self.append_c(REC_REFUSAL, self.feed.index, now_ns, &refusal, sizeof(RefusalRecord))

    cdef void tell_held_c(self, int64_t now_ns) noexcept nogil:
        """Put on the tape which orders stay for their queue place, once each time they come to."""
        cdef int i
        cdef int64_t wanted
        cdef const Order* order
        cdef Place* place
        for i in range(self.table.ladder_count):
            order = &self.table.orders[self.table.live_slots[i]]
            place = &self.planner.queue.places[self.table.live_slots[i]]
            wanted = self.planner.held_from_c(order, &self.ladder)
            if wanted and not place.told:
                self.tell_place_c(order, wanted, now_ns)
            place.told = wanted != 0

    cdef bint tell_place_c(self, const Order* order, int64_t wanted_ticks, int64_t now_ns) noexcept nogil:
        """Put the queue place of an order on the tape, if it is known."""
        cdef const Place* place = self.planner.queue.place_c(order)
        cdef PlaceRecord out
        if place == NULL:
            return False
        out.seq = order.seq
        out.price_ticks = order.price_ticks
        out.wanted_ticks = wanted_ticks
        out.ahead_lots = place.ahead_lots
        out.behind_lots = place.shown_lots - place.ahead_lots
        out.worth_ticks = self.planner.queue.worth_ticks_c(order)
        out.since_ns = place.since_ns
        return self.append_c(REC_PLACE, self.feed.index, now_ns, &out, sizeof(PlaceRecord))

    cdef int trim_c(self, int64_t now_ns) noexcept nogil:
        """Plan cancels, outermost first, where the live orders pass a limit; returns how many."""
        cdef const Limits* limits = &self.checks.limits
        cdef int heavy, light
        cdef i128 lots
        cdef i128 most = <i128>INT64_MAX
        cdef i128 value = self.table.open_ticklots[<int>BUY] + self.table.open_ticklots[<int>SELL]
        self.planner.count = 0
        if self.checks.room_lots_c(&self.inputs, self.table, BUY, &lots):
            self.planner.plan_trim_c(
                self.table, BUY, lots, limits.open_ticklots_max, self.table.live_count, now_ns
            )
        if self.checks.room_lots_c(&self.inputs, self.table, SELL, &lots):
            self.planner.plan_trim_c(
                self.table, SELL, lots, limits.open_ticklots_max, self.table.live_count, now_ns
            )
        if self.planner.count or limits.open_ticklots_max < 0 or limits.order_count_max < 0:
            return self.planner.count
        if value > limits.open_ticklots_max or self.table.live_count > limits.order_count_max:
            heavy = BUY if self.table.open_ticklots[<int>BUY] > self.table.open_ticklots[<int>SELL] else SELL
            light = SELL if heavy == BUY else BUY
            value = limits.open_ticklots_max - self.table.open_ticklots[light]
            self.planner.plan_trim_c(
                self.table, heavy, most, value if value > 0 else <i128>0,
                limits.order_count_max >> 1, now_ns,
            )
            self.planner.plan_trim_c(
                self.table, light, most, limits.open_ticklots_max, limits.order_count_max >> 1, now_ns,
            )
        return self.planner.count

    cdef bint shut_c(self, int side, int64_t price_ticks, int64_t now_ns) noexcept nogil:
        cdef int at = 0 if side == BUY else 1
        cdef int64_t refused = self.shut_ticks[at]
        if refused == 0:
            return False
        if now_ns >= self.shut_until_ns[at] and self.news_count != self.shut_news[at]:
            self.shut_ticks[at] = 0
            return False
        return price_ticks >= refused if side == BUY else price_ticks <= refused

    cdef int64_t half_c(self) noexcept nogil:
        """Return half the spread that is wanted, in uticks: told by the strategy, or read off its ladder."""
        return half_spread(&self.ladder)

    cdef int64_t tell_answer_c(self) noexcept nogil:
        """Count how long an order took that a private message caused; returns it, 0 for another's."""
        cdef int64_t ns
        if self.frame_decides or self.answer_stamp == 0:
            return 0
        ns = between(self.answer_stamp, self.stamps[8])
        self.latency.record_c(STAGE_ANSWER_TO_ORDER, ns)
        return ns

    cdef int64_t worth_c(self, const Order* order, bint good, int64_t now_ns) noexcept nogil:
        """Return how far an order may stand off its wanted price before moving it pays, in ticks.

        While the venue's message budget is fresh every move that the planner asks for pays: it knows
        the tolerance, and cuts it to half a level. From a quarter of the budget used, the tolerance
        times what an amend at the order's age costs over the cheapest one; from half, twice that; from
        three quarters, four times: the budget lasts through a fast market instead of ending in it.
        What the order's queue place is worth comes on top; while the budget is fresh the planner has
        weighed it already. A tolerance of nothing counts as a tick once the budget is under pressure. A shy order stays
        within a quarter of the spread of the quote that was meant; one too `good` for the taker
        within an eighth, as what it gives away is ours.
        """
        cdef int64_t usable = self.checks.budget.threshold_milli - self.checks.budget.reserve_milli
        cdef int64_t level = self.checks.budget.level_milli
        cdef int64_t worth = self.planner.tolerance_ticks
        cdef int64_t cheapest, most
        if 4 * level < usable:
            return 0
        if worth == 0:
            worth = 1
        cheapest = self.checks.budget.cost_c(ACTION_AMEND, INT64_MAX)
        if cheapest > 0:
            worth = worth * self.checks.budget.cost_c(ACTION_AMEND, now_ns - order.amended_ns) // cheapest
        if 4 * level >= 3 * usable:
            worth *= 4
        elif 2 * level >= usable:
            worth *= 2
        if self.planner.queue.on:
            worth += self.planner.queue.worth_ticks_c(order)
        most = self.half_c() // ((4 if good else 2) * UTICKS)  # no operand here is negative
        return max(min(worth, most), self.planner.tolerance_ticks)

    cdef Decision withdraw_c(self, int64_t now_ns, ActionWhy why) noexcept:
        """Cancel every order of ours that can be cancelled now."""
        cdef int64_t result = WRITE_DOWN
        self.ladder.count[<int>BID] = 0
        self.ladder.count[<int>ASK] = 0
        self.last_reference_uticks = MISSING
        self.stamps[3] = stamp_c()
        self.planner.plan_cancel_all_c(self.table, why, now_ns)
        self.stamps[4] = stamp_c()
        if self.planner.count:
            if self.transport.live:
                self.send_c(now_ns, self.stamps[0])
            else:
                # That there was no way out is an input: a replay has to know.
                self.append_c(REC_WRITE_RESULT, self.feed.index, now_ns, &result, sizeof(int64_t))
        self.last_decision = DECISION_WITHDRAWN
        return DECISION_WITHDRAWN

    cdef int approve_c(self, int64_t now_ns) noexcept nogil:
        """Put the plan through the checks; the table holds what passed. Returns how many."""
        cdef int i, side
        cdef int level
        cdef Reason reason
        cdef Action action
        cdef Order* order
        cdef Approved* approved
        cdef RefusalRecord refusal
        cdef uint64_t seq
        cdef int64_t away
        cdef int places = 0
        self.approved_count = 0
        self.checks.budget.decay_c(now_ns)
        for i in range(self.planner.count):
            action = self.planner.actions[i]
            approved = &self.approved[self.approved_count]
            if action.kind != ACTION_CANCEL and action.why != WHY_REBALANCE and (
                self.shut_c(action.side, action.price_ticks, now_ns)
            ):
                # Looked at again with every frame: what lets it go is time and news, not a move.
                self.shut_count += 1
                self.forced = True
                continue
            if action.kind == ACTION_AMEND and action.why == WHY_MOVED:
                order = self.table.find_c(action.seq)
                if order != NULL:
                    away = action.price_ticks - order.price_ticks
                    if order.side == SELL:
                        away = -away
                    if max(away, -away) <= self.worth_c(order, away < 0, now_ns):
                        self.spared_count += 1
                        continue
            reason = self.checks.approve_c(&action, &self.inputs, self.table, approved)
            if reason != APPROVED:
                side = 0 if action.side == BUY else 1
                level = action.level
                if level < 0 or level >= LEVELS_MAX:
                    level = LEVELS_MAX
                if self.refused_reason[side][level] != <int32_t>reason:
                    self.refused_reason[side][level] = reason
                    memset(&refusal, 0, sizeof(RefusalRecord))
                    refusal.action = action
                    refusal.reason = reason
                    refusal.limit = self.checks.last_limit
                    refusal.value = self.checks.last_value
                    self.append_c(REC_REFUSAL, self.feed.index, now_ns, &refusal, sizeof(RefusalRecord))
                if action.kind != ACTION_AMEND:
                    continue
                # An order that may not move but is too good for the taker: take it away.
                order = self.table.find_c(action.seq)
                if order == NULL or order.state == PENDING_CANCEL:
                    continue
                away = order.price_ticks - action.price_ticks
                if order.side == SELL:
                    away = -away
                if away <= self.planner.tolerance_ticks or away * UTICKS * 2 <= self.half_c():
                    continue
                action.kind = ACTION_CANCEL
                if self.checks.approve_c(&action, &self.inputs, self.table, approved) != APPROVED:
                    continue
                # A cancel that only follows from a refusal is no emergency: never past the venue's
                # own limit.
                if self.checks.budget.level_milli + approved.rate_cost_milli > self.checks.budget.threshold_milli:
                    continue
            else:
                if action.level >= 0 and action.level < LEVELS_MAX:
                    self.refused_reason[0 if action.side == BUY else 1][action.level] = 0
            if action.kind == ACTION_PLACE:
                seq = self.table.place_c(
                    action.side, action.level, action.price_ticks, action.qty_lots,
                    approved.post_only, now_ns,
                )
                if seq == 0:
                    continue
                approved.action.seq = seq
                if action.level < LEVELS_MAX:
                    self.table.find_c(seq).shape_level = shape_level_c(
                        &self.planner.half[<int>BID if action.side == BUY else <int>ASK], action.level
                    )
                places += 1
            elif action.kind == ACTION_AMEND:
                if self.table.amend_sent_c(action.seq, action.price_ticks, action.qty_lots, now_ns) != TR_OK:
                    continue
            else:
                order = self.table.find_c(action.seq)
                if order == NULL:
                    continue
                self.state_before[self.approved_count] = order.state
                self.flight_before[self.approved_count] = order.in_flight
                self.acted_before_ns[self.approved_count] = order.acted_ns
                if self.table.cancel_sent_c(action.seq, now_ns) != TR_OK:
                    continue
            self.checks.budget.spend_c(approved.rate_cost_milli)
            self.approved_count += 1
        if self.neighbours.on:
            places -= self.clear_c(now_ns)
        # Orders placed together leave as one batch, which the venue counts at less than its parts.
        if places > 1:
            self.checks.budget.refund_batch_c(places)
        return self.approved_count

    cdef bint look_around_c(self, int64_t now_ns) noexcept nogil:
        """See what our other bots on the market show, tell whether it changed.

        What changed is an input: it is on the tape before it decides anything.
        """
        cdef NeighboursRecord seen
        self.show_c()
        if not self.neighbours.look_c():
            return False
        seen.look = self.neighbours.look_count
        seen.bid_ticks = self.neighbours.bid_ticks
        seen.ask_ticks = self.neighbours.ask_ticks
        seen.count = self.neighbours.count
        self.append_c(REC_NEIGHBOURS, self.feed.index, now_ns, &seen, sizeof(NeighboursRecord))
        self.inputs.other_bid_ticks = seen.bid_ticks
        self.inputs.other_ask_ticks = seen.ask_ticks
        self.planner.keep_clear_c(seen.bid_ticks, seen.ask_ticks)
        self.forced = True
        return True

    cdef void show_c(self) noexcept nogil:
        """Show our other bots the best prices that rest, are about to, or are in doubt."""
        cdef int64_t ask = best_own_ticks(self.table, SELL)
        self.neighbours.publish_c(best_own_ticks(self.table, BUY), ask if ask else NO_ASK)

    cdef int clear_c(self, int64_t now_ns) noexcept nogil:
        """Show what is about to leave, look again, and take back what would meet another bot's order.

        Each shows before it looks: of two bots that race, one at least comes here. Returns how many of
        those taken back were new orders.
        """
        cdef int i
        cdef int kept = 0
        cdef int places = 0
        cdef const Action* action
        cdef int64_t other
        cdef RefusalRecord refusal
        for i in range(self.approved_count):
            if self.approved[i].action.kind != ACTION_CANCEL:
                break
        else:
            return 0
        if not self.look_around_c(now_ns):
            return 0  # the checks have seen it as it is
        for i in range(self.approved_count):
            action = &self.approved[i].action
            other = self.inputs.other_ask_ticks if action.side == BUY else self.inputs.other_bid_ticks
            if action.kind == ACTION_CANCEL or (
                action.price_ticks < other if action.side == BUY else action.price_ticks > other
            ):
                if kept != i:
                    self.approved[kept] = self.approved[i]
                    self.state_before[kept] = self.state_before[i]
                    self.flight_before[kept] = self.flight_before[i]
                    self.acted_before_ns[kept] = self.acted_before_ns[i]
                kept += 1
                continue
            self.checks.count_c(self.checks.refuse_c(NEIGHBOUR, other, action.price_ticks))
            memset(&refusal, 0, sizeof(RefusalRecord))
            refusal.action = action[0]
            refusal.reason = NEIGHBOUR
            refusal.limit = other
            refusal.value = action.price_ticks
            self.append_c(REC_REFUSAL, self.feed.index, now_ns, &refusal, sizeof(RefusalRecord))
            self.met_count += 1
            places += action.kind == ACTION_PLACE
            self.take_back_c(i, now_ns)
        if kept != self.approved_count:
            self.approved_count = kept
            self.forced = True
            self.show_c()
        return places

    cdef void take_back_c(self, int index, int64_t now_ns) noexcept nogil:
        """Undo one approved action whose bytes never left: proof enough that the venue has none of it."""
        cdef const Action* action = &self.approved[index].action
        if action.kind == ACTION_PLACE:
            self.table.event_c(action.seq, EV_REJECTED, now_ns)
            self.table.release_c(action.seq)
        elif action.kind == ACTION_AMEND:
            self.table.event_c(action.seq, EV_AMEND_REJECTED, now_ns)
        else:
            self.table.cancel_unsent_c(
                action.seq, self.state_before[index], self.flight_before[index],
                self.acted_before_ns[index],
            )

    cdef Decision send_c(self, int64_t now_ns, int64_t stamp) noexcept:
        """Check, journal, encode and write the planner's actions."""
        cdef int i, written
        cdef Py_ssize_t accepted
        cdef IntentRecord intent
        cdef int64_t result
        cdef LadderRecord ladder
        if self.approve_c(now_ns) == 0:
            self.ladder_due = False
            return DECISION_REFUSED
        self.stamps[5] = stamp_c()
        if self.ladder_due:
            # What the actions below follow from; a withdrawal follows from no ladder.
            self.ladder_due = False
            ladder.view = self.view
            ladder.ladder = self.ladder
            ladder.one_sided_before = self.quoted_before
            ladder.one_sided_after = self.one_sided
            self.append_c(REC_LADDER, self.feed.index, now_ns, &ladder, sizeof(LadderRecord))
        for i in range(self.approved_count):
            intent.action = self.approved[i].action
            intent.rate_cost_milli = self.approved[i].rate_cost_milli
            if not self.append_c(REC_INTENT, self.feed.index, now_ns, &intent, sizeof(IntentRecord)):
                if intent.action.kind != ACTION_CANCEL:
                    # Not on the tape, so not on the wire: the batch is taken back. The latch makes
                    # the next decision a withdrawal, whose cancels go out with or without a tape.
                    self.undo_c(now_ns)
                    return DECISION_FAILED
        self.stamps[6] = stamp_c()
        out_reset(&self.batch)
        written = self.encoder.encode_c(
            &self.approved[0], self.approved_count, self.table, now_ns, &self.batch
        )
        if written <= 0:
            result = -1
            self.append_c(REC_WRITE_RESULT, self.feed.index, now_ns, &result, sizeof(int64_t))
            self.undo_c(now_ns)
            return DECISION_FAILED
        for i in range(self.batch.count):
            # The intents are on the tape already: a refusal here latches `full`, no more.
            self.append_c(
                REC_ORDER_BYTES, self.feed.index, now_ns,
                self.batch.data + self.batch.start[i], self.batch.length[i],
            )
        self.stamps[7] = stamp_c()
        accepted = self.transport.send_c(&self.batch, self.encoder)
        self.stamps[8] = stamp_c()
        result = accepted
        self.append_c(REC_WRITE_RESULT, self.feed.index, now_ns, &result, sizeof(int64_t))
        if accepted < 0:
            self.write_failed_count += 1
            self.inputs.stream_live = 0
            self.undo_c(now_ns)
            return DECISION_FAILED
        self.write_count += 1
        self.message_count += self.batch.count
        self.sent_count += self.approved_count
        for i in range(self.approved_count):
            if self.approved[i].action.kind == ACTION_PLACE:
                self.placed_count += 1
            elif self.approved[i].action.kind == ACTION_AMEND:
                self.amended_count += 1
            else:
                self.cancel_count += 1
        cdef StampsRecord out
        memset(&out, 0, sizeof(StampsRecord))
        if self.frame_decides:
            out.stage_ns[<int>STAGE_READ] = stamp_to_ns(self.read_counts)
            out.stage_ns[<int>STAGE_DECODE] = between(stamp, self.stamps[9])
            out.stage_ns[<int>STAGE_BOOK] = between(self.stamps[9], self.stamps[1])
            out.stage_ns[<int>STAGE_TICK_TO_ORDER] = between(stamp, self.stamps[8])
        out.stage_ns[<int>STAGE_SIGNAL] = between(self.stamps[1], self.stamps[2])
        out.stage_ns[<int>STAGE_QUOTE] = between(self.stamps[2], self.stamps[3])
        out.stage_ns[<int>STAGE_PLAN] = between(self.stamps[3], self.stamps[4])
        out.stage_ns[<int>STAGE_CHECK] = between(self.stamps[4], self.stamps[5])
        out.stage_ns[<int>STAGE_JOURNAL] = between(self.stamps[5], self.stamps[6])
        out.stage_ns[<int>STAGE_ENCODE] = between(self.stamps[6], self.stamps[7])
        out.stage_ns[<int>STAGE_WRITE] = between(self.stamps[7], self.stamps[8])
        for i in range(<int>STAGE_DECODE + 1, <int>STAGE_TICK_TO_ORDER):
            self.latency.record_c(i, out.stage_ns[i])
        if self.frame_decides:
            # A timer's or an answer's decision began with neither a tick nor this stamp.
            self.latency.record_c(STAGE_TICK_TO_ORDER, out.stage_ns[<int>STAGE_TICK_TO_ORDER])
        self.tell_frame_c(stamp)
        out.stage_ns[<int>STAGE_ANSWER_TO_ORDER] = self.tell_answer_c()
        self.append_c(REC_STAMPS, self.feed.index, now_ns, &out, sizeof(StampsRecord))
        self.tape.ahead_c(AHEAD_BYTES)
        return DECISION_SENT

    cdef void undo_c(self, int64_t now_ns) noexcept nogil:
        """Take back a batch whose bytes never left."""
        cdef int i
        for i in range(self.approved_count):
            self.take_back_c(i, now_ns)
        self.approved_count = 0
        self.forced = True

    cdef void tell_own_c(self) noexcept nogil:
        """Tell the signals which quantity on the quoted book may be ours.

        Acknowledged or not, at the price it has and at the one it is about to have: the public book
        may show it before the private stream does. To hide too much of a level for that long costs
        less than to follow ourselves.
        """
        cdef int i
        cdef int64_t lots, acted_ns
        cdef Order* order
        self.own_version = self.table.version
        self.feed.signals.own_clear_c()
        for i in range(self.table.live_count):
            order = &self.table.orders[self.table.live_slots[i]]
            lots = max(order.qty_lots, order.pending_qty_lots) - order.filled_lots
            if lots <= 0:
                continue
            # Whether one that is being asked about rests at its price is not known.
            acted_ns = order.acted_ns
            if order.in_flight or (order.state != OPEN and order.state != PARTIALLY_FILLED):
                acted_ns = NEVER_NS
            self.feed.signals.own_add_c(0 if order.side == BUY else 1, order.price_ticks, lots, acted_ns)
            if order.pending_price_ticks and order.pending_price_ticks != order.price_ticks:
                self.feed.signals.own_add_c(
                    0 if order.side == BUY else 1, order.pending_price_ticks, lots, NEVER_NS
                )

    cdef void fill_view_c(self, int64_t now_ns) noexcept nogil:
        cdef MarketView* view = &self.view
        cdef i128 free_lots
        self.feed.signals.decay_c(now_ns)
        view.now_ns = now_ns
        view.reference_uticks = self.reference.price_uticks
        view.confidence_ppm = self.reference.confidence_ppm
        view.own_bid_ticks = self.table.best_own_ticks_c(BUY)
        view.own_ask_ticks = self.table.best_own_ticks_c(SELL)
        view.best_bid_ticks = self.feed.signals.best_bid_ticks
        view.best_ask_ticks = self.feed.signals.best_ask_ticks
        view.sigma_uticks = self.feed.signals.sigma_uticks
        view.depth_lots = self.feed.signals.depth_lots
        view.depth_mean_lots = self.feed.signals.depth_mean_lots
        view.spread_mean_uticks = self.feed.signals.spread_mean_uticks
        view.flow_ppm = self.feed.signals.flow_ppm
        view.own_x_ppm = self.inventory.x_ppm
        view.own_q_lots = self.inventory.q_lots
        view.x_ppm = self.inventory.x_ppm
        view.q_lots = self.inventory.q_lots
        if self.inventory.grouped:
            # What is too much anywhere is shaded everywhere; what can be sold or bought stays ours.
            view.x_ppm = self.inventory.group_x_ppm
            view.q_lots = self.inventory.group_q_lots
        view.share_ppm = self.inventory.share_ppm
        view.target_ppm = self.inventory.target_ppm
        view.base_lots = 0
        if self.inventory.base_lots != MISSING:
            view.base_lots = self.inventory.base_lots - self.checks.limits.base_reserve_lots
        free_lots = 0
        if self.inventory.quote_known and self.reference.price_uticks > 0:
            free_lots = self.inventory.usable_quote_c() - self.checks.limits.quote_reserve_ticklots
            if free_lots > 0:
                # Neither is negative. What the fee may take is not there to be offered.
                if self.checks.limits.fee_ppm > 0:
                    free_lots = free_lots * PPM // (PPM + self.checks.limits.fee_ppm)
                free_lots = free_lots * UTICKS // self.reference.price_uticks
            else:
                free_lots = 0
        view.quote_lots_max = saturate(free_lots)
        if self.checks.hedged:
            view.base_lots = min(view.base_lots, self.checks.hedge_lots[<int>SELL])
            view.quote_lots_max = min(view.quote_lots_max, self.checks.hedge_lots[<int>BUY])
        if self.inputs.bounded:
            self.bound_view_c()
        view.allow_bid = self.allow_bid
        view.allow_ask = self.allow_ask
        view.warm = self.feed.signals.warm
        view.jump_ppm = self.jump_ppm_c(now_ns)
        view.micro_ppm = self.feed.signals.micro_ppm
        view.imbalance_ppm = self.feed.signals.imbalance_ppm
        view.ofi_ppm = self.feed.signals.order_flow.ofi_ppm
        view.compression_ppm = self.feed.signals.spread_compression_ppm
        if self.feed.intensity is not None:
            view.decay_uticks = self.feed.intensity.decay_uticks
            view.arrival_uhz = self.feed.intensity.arrival_uhz
        view.hanging_bids = 0
        view.hanging_asks = 0
        if self.table.live_count != self.table.ladder_count:
            self.look_at_hanging_c()

    cdef void bound_view_c(self) noexcept nogil:
        """Leave the ladder no more to sell and to buy than what is our share; nothing where it is unknown."""
        cdef i128 room
        cdef i128 base_lots = self.inventory.base_lots
        if self.inputs.base_lots_most == MISSING or self.inventory.base_lots == MISSING:
            self.view.quote_lots_max = 0
        else:
            room = <i128>self.inputs.base_lots_most - base_lots
            self.view.quote_lots_max = <int64_t>max(min(<i128>self.view.quote_lots_max, room), <i128>0)
        if self.inputs.base_lots_least == MISSING or self.inventory.base_lots == MISSING:
            self.view.base_lots = 0
        else:
            room = base_lots - <i128>self.inputs.base_lots_least
            self.view.base_lots = <int64_t>max(min(<i128>self.view.base_lots, room), <i128>0)

    cdef void look_at_hanging_c(self) noexcept nogil:
        """Tell the view which levels have an order that hangs beside the ladder."""
        cdef int i
        cdef const Order* order
        for i in range(self.table.ladder_count, self.table.live_count):
            order = &self.table.orders[self.table.live_slots[i]]
            if not LANE_HANGING <= order.level < LANE_FLATTEN:
                continue
            if order.side == BUY:
                self.view.hanging_bids |= (<int64_t>1) << (order.level - LANE_HANGING)
            else:
                self.view.hanging_asks |= (<int64_t>1) << (order.level - LANE_HANGING)

    cdef void plan_hanging_c(self, int64_t now_ns) noexcept nogil:
        """Plan the cancel of orders that hang for too long, too far off, or where none may stand.

        On a side that is off; within the fee floor or out of the band, as after the reference went
        through them; and after a jump past our own quotes, of which nobody knows where it ends.
        """
        cdef int i
        cdef bint beyond
        cdef int64_t distance, due_ns, bound_ticks
        cdef const Order* order
        cdef uint32_t off = self.ladder.sides_off
        cdef int64_t most = INT64_MAX
        cdef ActionWhy why
        if not self.strategy.hanging or self.ladder.centre_uticks == 0 or (
            part_c(self.view.reference_uticks, self.view.jump_ppm) > self.ladder.half_base_uticks
        ):
            off = OFF_BIDS | OFF_ASKS
        elif self.strategy.hanging_distance_ppm:
            most = part_c(self.view.reference_uticks, self.strategy.hanging_distance_ppm)
        for i in range(self.table.ladder_count, self.table.live_count):
            order = &self.table.orders[self.table.live_slots[i]]
            if not LANE_HANGING <= order.level < LANE_FLATTEN or not cancel_due(order, now_ns):
                continue
            why = WHY_UNWANTED
            distance = order.price_ticks * UTICKS - self.view.reference_uticks
            bound_ticks = self.ladder.bound_ticks[<int>BID if order.side == BUY else <int>ASK]
            beyond = bound_ticks != 0 and (
                order.price_ticks > bound_ticks if order.side == BUY else order.price_ticks < bound_ticks
            )
            if beyond:
                why = WHY_CROSSING
            elif not (off & (OFF_BIDS if order.side == BUY else OFF_ASKS)) and max(distance, -distance) <= most:
                if self.strategy.hanging_ns_max == 0:
                    continue
                due_ns = order.lane_ns + self.strategy.hanging_ns_max
                if now_ns < due_ns:
                    self.wake_ns = min(self.wake_ns, due_ns)
                    continue
                why = WHY_STALE
            self.planner.push_c(
                ACTION_CANCEL, why, order.seq, order.side, order.level, order.price_ticks, order.qty_lots
            )

    cdef int32_t jump_ppm_c(self, int64_t now_ns) noexcept nogil:
        """Tell how far the quoted market jumped within the last few samples' time, of price."""
        cdef int64_t since_ns = now_ns - self.feed.signals.jumped_ns
        if self.feed.signals.jump_uticks <= 0 or self.reference.price_uticks <= 0:
            return 0
        if since_ns < 0 or since_ns >= JUMP_SAMPLES * self.feed.signals.params.sample_ns:
            return 0
        # Neither is negative; a move past the whole price counts as the whole price.
        return <int32_t>min(
            <i128>PPM,
            <i128>self.feed.signals.jump_uticks * <i128>PPM // <i128>self.reference.price_uticks,
        )

    cdef void fill_inputs_c(self, int64_t now_ns) noexcept nogil:
        cdef RiskInputs* inputs = &self.inputs
        inputs.now_ns = now_ns
        inputs.book_state = self.feed.book.state
        inputs.book_recv_ns = self.feed.last_recv_ns - self.feed.lag_ns
        inputs.reference_uticks = self.reference.price_uticks
        inputs.best_bid_ticks = self.feed.book.best_bid_ticks
        inputs.best_ask_ticks = self.feed.book.best_ask_ticks
        inputs.q_lots = self.inventory.q_lots
        inputs.base_lots = self.inventory.base_lots
        inputs.quote_ticklots = self.inventory.usable_quote_c()
        inputs.quote_known = self.inventory.quote_known
        inputs.tape_full = self.tape.full

    cdef bint append_c(
        self, int kind, int source, int64_t ts_ns, const void* data, Py_ssize_t n_bytes
    ) noexcept nogil:
        if self.tape.append_c(kind, source, ts_ns, data, n_bytes) == 1:
            return True
        self.lost_record_count += 1
        self.forced = True
        self.dirty = True
        return False

    cdef void accept_all_c(self, int64_t now_ns) noexcept nogil:
        cdef int i
        cdef Action* action
        for i in range(self.approved_count):
            action = &self.approved[i].action
            if action.kind == ACTION_PLACE:
                self.table.event_c(action.seq, EV_ACKED, now_ns)
            elif action.kind == ACTION_AMEND:
                self.table.event_c(action.seq, EV_AMENDED, now_ns)
            else:
                self.table.event_c(action.seq, EV_CANCELLED, now_ns)
                self.table.release_c(action.seq)
        self.approved_count = 0

    cdef void manual_inputs_c(self, int64_t now_ns) noexcept nogil:
        self.reference.compute_c(now_ns)
        self.inventory.mark_c(self.reference.price_uticks)
        self.fill_inputs_c(now_ns)
        if self.neighbours.on:
            self.look_around_c(now_ns)

    cdef void begin_by_hand_c(self, int64_t now_ns) noexcept nogil:
        """Look at everything as it stands, for orders that no ladder wants."""
        cdef int i
        self.manual_inputs_c(now_ns)
        self.frame_decides = False
        for i in range(5):
            self.stamps[i] = stamp_c()
        self.planner.count = 0
        self.ladder_due = False
        # The ladder's next look counts what this changed.
        self.forced = True
        self.dirty = True

    # ---------------------------------------------------------------- Python face

    def on_frame(self, Feed feed not None, const unsigned char[::1] data not None, int64_t recv_ns,
                 bint last=True):
        """Read one frame as if it came off the socket; returns its `Decoded` code.

        Args:
            recv_ns: receive time, UTC nanoseconds; never before an earlier one.
            last: whether the read held no further frame: decide now.
        """
        if recv_ns < self.feed.last_recv_ns:
            raise ValueError(f"receive time goes back: {recv_ns} after {self.feed.last_recv_ns}")
        if data.shape[0] == 0:
            raise ValueError("an empty frame")
        return DecodedCode(self.on_frame_c(
            feed, <const char*>&data[0], data.shape[0], recv_ns, stamp_c(), last
        ))

    def end_read(self, Feed feed not None, int64_t now_ns):
        """End a read whose last frame was not for the decoder, or has been read: decide if need be."""
        self.end_read_c(feed, now_ns, stamp_c())

    def requote(self, int64_t now_ns):
        """Decide again though no frame came: after a fill, a timer, a changed parameter.

        Everything is looked at afresh; returns the `Decision`.
        """
        self.append_c(REC_TIMER, TIMER_REQUOTE, now_ns, NULL, 0)
        self.forced = True
        return Decision(self.decide_c(None, now_ns, stamp_c()))

    def withdraw(self, int64_t now_ns):
        """Cancel every own order that can be cancelled; returns how many cancels were sent."""
        cdef uint64_t before = self.sent_count
        self.append_c(REC_TIMER, TIMER_WITHDRAW, now_ns, NULL, 0)
        self.manual_inputs_c(now_ns)
        self.frame_decides = False
        self.stamps[0] = stamp_c()
        self.stamps[1] = self.stamps[0]
        self.stamps[2] = self.stamps[0]
        self.withdraw_c(now_ns, WHY_RISK)
        return self.sent_count - before

    def place_by_hand(self, int side, int lane, int64_t price_ticks, int64_t qty_lots, int64_t now_ns,
                      bint taking=False):
        """Place one order beside the ladder, through every check.

        Args:
            taking: it may take, and what does not trade at once is dropped; otherwise it is post-only.

        Returns:
            Its sequence, 0 when it was not placed; then `last_decision` is DECISION_REFUSED, with
            reason, limit and value in `checks.last_…`, or DECISION_FAILED: no way out.

        Raises:
            ValueError: a lane of the ladder's, or no side.
        """
        if lane < LANE_FLATTEN or lane > 255 or side not in (<int>BUY, <int>SELL):
            raise ValueError(f"not an order beside the ladder: side {side}, lane {lane}")
        self.begin_by_hand_c(now_ns)
        if not self.quoting:
            # What stops every quote stops this too, whatever the checks know of it.
            self.checks.count_c(self.checks.refuse_c(STATE, 1, 0))
            self.last_decision = DECISION_REFUSED
            return 0
        if not taking and self.shut_c(side, price_ticks, now_ns):
            self.shut_count += 1
            self.checks.count_c(
                self.checks.refuse_c(POST_ONLY_CROSS, self.shut_ticks[0 if side == BUY else 1], price_ticks)
            )
            self.last_decision = DECISION_REFUSED
            return 0
        self.refused_reason[0 if side == BUY else 1][LEVELS_MAX] = 0
        self.planner.push_c(
            ACTION_PLACE, WHY_REBALANCE if taking else WHY_HAND, 0, side, lane, price_ticks, qty_lots
        )
        self.last_decision = self.send_c(now_ns, self.stamps[0])
        return self.approved[0].action.seq if self.last_decision == DECISION_SENT else 0

    def amend_by_hand(self, uint64_t seq, int64_t price_ticks, int64_t qty_lots, int64_t now_ns):
        """Move an order beside the ladder, through every check; returns whether it was sent.

        Args:
            qty_lots: new total, the filled part included.
        """
        cdef Order* order = self.table.find_c(seq)
        self.begin_by_hand_c(now_ns)
        if order == NULL or order.level < LANE_FLATTEN or not self.quoting:
            return False
        self.refused_reason[0 if order.side == BUY else 1][LEVELS_MAX] = 0
        self.planner.push_c(ACTION_AMEND, WHY_HAND, seq, order.side, order.level, price_ticks, qty_lots)
        self.last_decision = self.send_c(now_ns, self.stamps[0])
        return self.last_decision == DECISION_SENT

    def cancel_by_hand(self, seqs, int64_t now_ns):
        """Cancel live orders, of the ladder or beside it; returns how many cancels left.

        An order whose cancel is under way is left out.
        """
        cdef Order* order
        cdef uint64_t before = self.cancel_count
        cdef int64_t result = WRITE_DOWN
        self.begin_by_hand_c(now_ns)
        for seq in seqs:
            order = self.table.find_c(seq)
            if order == NULL or order.state > UNKNOWN or order.state == PENDING_CANCEL:
                continue
            self.planner.push_c(
                ACTION_CANCEL, WHY_HAND, order.seq, order.side, order.level, order.price_ticks,
                order.qty_lots,
            )
        if self.planner.count == 0:
            return 0
        if not self.transport.live:
            self.append_c(REC_WRITE_RESULT, self.feed.index, now_ns, &result, sizeof(int64_t))
            return 0
        self.last_decision = self.send_c(now_ns, self.stamps[0])
        return self.cancel_count - before

    def note_fill(self, uint64_t seq, int64_t qty_lots, int64_t now_ns):
        """Tell the strategy of a fill of one of its orders, before it is booked on the order.

        An order of the other side hangs from then on if the strategy says so: it stays where it is.
        """
        cdef Order* order = self.table.find_c(seq)
        cdef const Order* other
        cdef int i, lane
        cdef int level = -1
        if order == NULL or qty_lots <= 0:
            return
        self.feed.hit_ns[0 if order.side == SELL else 1] = now_ns
        if order.level >= LANE_FLATTEN:
            return
        lane = self.strategy.filled_c(
            order.side, order.level if order.level >= LANE_HANGING else order.shape_level, qty_lots,
            order.filled_lots + qty_lots >= order.qty_lots, now_ns, &level,
        )
        if lane == 0:
            return
        for i in range(self.table.ladder_count):
            other = &self.table.orders[self.table.live_slots[i]]
            if other.side != order.side and other.shape_level == level and (
                other.state != PENDING_CANCEL and other.state != UNKNOWN
            ):
                self.table.hang_c(other.seq, lane, now_ns)
                return

    def note_taking(self, int side, int64_t price_ticks, int64_t sent_ns, int64_t now_ns):
        """Tell that the venue refused a post-only order: at its price it would have taken.

        Nothing is placed or amended to that price or a better one until the book has had news and
        some time has passed: 20 ms, and twice as long each time it is refused again, to 5 s.

        Args:
            sent_ns: when the order was sent. What left together, or before a refusal was known, is
                refused once and not many times.
        """
        cdef int at
        if side not in (<int>BUY, <int>SELL) or price_ticks <= 0:
            raise ValueError(f"not an order's side and price: {side}, {price_ticks}")
        at = 0 if side == BUY else 1
        if sent_ns > self.shut_since_ns[at]:
            if now_ns - self.shut_until_ns[at] > <int64_t>SHUT_CALM_NS:
                self.shut_times[at] = 0
            self.shut_since_ns[at] = now_ns
            self.shut_until_ns[at] = now_ns + (<int64_t>SHUT_NS << self.shut_times[at])
            if self.shut_times[at] < SHUT_DOUBLINGS:
                self.shut_times[at] += 1
        if self.shut_ticks[at] == 0 or (
            price_ticks < self.shut_ticks[at] if side == BUY else price_ticks > self.shut_ticks[at]
        ):
            self.shut_ticks[at] = price_ticks
        self.shut_news[at] = self.news_count
        self.forced = True

    def refresh(self, Feed feed not None, int64_t now_ns):
        """Bring signals and reference up to a feed whose book changed outside a frame (broken, stale)."""
        if feed.book.state != feed.known_state:
            self.tell_book_c(feed, now_ns)
        self.refresh_c(feed, now_ns)
        self.reference.compute_c(now_ns)
        self.forced = True
        self.dirty = True

    def jumped(self, int64_t now_ns):
        """Tell whether the market jumped a moment ago, past half our own spread: nobody knows where to."""
        return bool(
            part_c(self.reference.price_uticks, self.jump_ppm_c(now_ns)) > self.ladder.half_base_uticks
        )

    def mark_dirty(self):
        """Look at the quotes at the next batch end whatever the market does."""
        self.forced = True
        self.dirty = True

    def tell_place(self, uint64_t seq, int64_t now_ns):
        """Put an order's queue place on the tape, as a fill of it met it; tells whether it is known."""
        cdef const Order* order = self.table.find_c(seq)
        if order == NULL or not self.planner.queue.on:
            return False
        return bool(self.tell_place_c(order, 0, now_ns))

    def append(self, int kind, int source, int64_t ts_ns, bytes data not None):
        """Put one record of the slow path on the tape; returns False when it is full."""
        return bool(self.append_c(kind, source, ts_ns, <const char*>data, len(data)))

    def set_inputs(self, *, risk_state=None, stream_live=None, instrument_online=None,
                   clock_offset_ns=None, fills_last_minute=None, drawdown_breached=None):
        """Tell the checks what only the slow path knows; an input never set refuses every order."""
        if risk_state is not None:
            self.inputs.risk_state = RiskState(risk_state)
        if stream_live is not None:
            self.inputs.stream_live = 1 if stream_live else 0
        if instrument_online is not None:
            self.inputs.instrument_online = 1 if instrument_online else 0
        if clock_offset_ns is not None:
            self.inputs.clock_offset_ns = clock_offset_ns
        if fills_last_minute is not None:
            self.inputs.fills_last_minute = fills_last_minute
        if drawdown_breached is not None:
            self.inputs.drawdown_breached = 1 if drawdown_breached else 0
        self.forced = True
        self.dirty = True

    def bound_base(self, least_lots, most_lots):
        """Keep the base held, and what orders would make of it, between two bounds from now on.

        Args:
            least_lots, most_lots: None: not known, and nothing is sold or bought.

        Raises:
            ValueError: a bound that is negative.
        """
        if (least_lots or 0) < 0 or (most_lots or 0) < 0:
            raise ValueError(f"bounds must not be negative: {least_lots}, {most_lots}")
        self.inputs.bounded = 1
        self.inputs.base_lots_least = MISSING if least_lots is None else least_lots
        self.inputs.base_lots_most = MISSING if most_lots is None else most_lots
        self.forced = True
        self.dirty = True

    @property
    def base_bounds(self):
        """The bounds that base is kept between, None: there are none, or they are not known."""
        if not self.inputs.bounded or self.inputs.base_lots_least == MISSING:
            return None
        return self.inputs.base_lots_least, self.inputs.base_lots_most

    def set_requote_uticks(self, int64_t value):
        """Change the reference move up to which quotes stay."""
        if value < 0:
            raise ValueError(f"requote_uticks must not be negative: {value}")
        self.requote_uticks = value
        self.forced = True

    def set_leans(self, params):
        """Look at the quotes again when the signals move the centre by more than a reference may move.

        Args:
            params: fields of LeanParams by name, others beside them do not matter. That of the trade
                flow is left out: what it shifts goes with the next look.
        """
        lean_from_py(dict(params, flow_full_ppm=0), &self.leans)
        self.leaning = (
            self.leans.micro_weight_ppm > 0 or self.leans.imbalance_full_ppm > 0
            or self.leans.ofi_full_ppm > 0
        )
        self.lean_uticks = 0
        self.last_lean_uticks = 0
        self.forced = True

    def set_transport(self, Transport transport not None):
        """Send over another connection (after a reconnect)."""
        self.transport = transport
        self.forced = True

    @property
    def risk_state(self):
        """The state the checks work under."""
        return RiskState(self.inputs.risk_state)

    @property
    def stream_live(self):
        """Whether the private stream is believed to live."""
        return self.inputs.stream_live == 1

    @property
    def is_dirty(self):
        """Whether something waits for the next decision."""
        return bool(self.dirty)

    @property
    def one_sided_state(self):
        """The strategy's one-sided state after its last ladder."""
        return self.one_sided

    def ladder_levels(self):
        """Return the ladder last wanted: two lists of (price_ticks, qty_lots), bids then asks, best first."""
        out = []
        for side in range(2):
            out.append([
                (self.ladder.levels[side][i].price_ticks, self.ladder.levels[side][i].qty_lots)
                for i in range(self.ladder.count[side])
            ])
        return out

    def ladder_parts(self):
        """Return the parts of the last ladder by name, in uticks (`clamps`: `QuoteClamp` bits)."""
        return {
            "centre_uticks": self.ladder.centre_uticks,
            "skew_uticks": self.ladder.skew_uticks,
            "flow_uticks": self.ladder.flow_uticks,
            "half_uticks": self.ladder.half_uticks,
            "half_base_uticks": self.ladder.half_base_uticks,
            "widen_sigma_uticks": self.ladder.widen_sigma_uticks,
            "widen_depth_uticks": self.ladder.widen_depth_uticks,
            "widen_inventory_uticks": self.ladder.widen_inventory_uticks,
            "micro_uticks": self.ladder.micro_uticks,
            "imbalance_uticks": self.ladder.imbalance_uticks,
            "ofi_uticks": self.ladder.ofi_uticks,
            "widen_compression_uticks": self.ladder.widen_compression_uticks,
            "widen_schedule_uticks": self.ladder.widen_schedule_uticks,
            "widen_held_uticks": self.ladder.widen_held_uticks,
            "clamps": self.ladder.clamps,
        }

    def run(self, Feed feed not None, Frames frames not None, Py_ssize_t start=0, stop=None,
            *, bint accept=False, int64_t shift_ns=0):
        """Put frames `start` to `stop` through the path in one compiled call, each its own read.

        Returns how many decisions sent orders. For benches, backtests and replay.

        Args:
            accept: answer every request at once, as a venue that takes all of them.
            shift_ns: added to every receive time, so that the same frames can come again later.
        """
        cdef Py_ssize_t i
        cdef Py_ssize_t end = frames.count if stop is None else stop
        cdef uint64_t before = self.write_count
        if not 0 <= start <= end <= frames.count:
            raise ValueError(f"frames [{start}, {end}) of {frames.count}")
        if start < end and frames.recv_ns[start] + shift_ns < self.feed.last_recv_ns:
            raise ValueError(
                f"receive time goes back: {frames.recv_ns[start] + shift_ns}"
                f" after {self.feed.last_recv_ns}"
            )
        for i in range(start, end):
            self.on_frame_c(
                feed, frames.data + frames.offsets[i], frames.offsets[i + 1] - frames.offsets[i],
                frames.recv_ns[i] + shift_ns, stamp_c(), True,
            )
            if accept and self.last_decision == DECISION_SENT:
                self.accept_all_c(frames.recv_ns[i] + shift_ns)
                self.last_decision = DECISION_KEPT
        return self.write_count - before


@final
cdef class Frames:
    """Hold many frames and their receive times in two flat buffers.

    Args:
        frames: payloads, in order.
        recv_ns: receive time of each, not decreasing.
    """

    def __cinit__(self, list frames not None, list recv_ns not None):
        cdef Py_ssize_t i
        cdef Py_ssize_t at = 0
        cdef bytes frame
        if len(frames) != len(recv_ns):
            raise ValueError(f"{len(frames)} frames but {len(recv_ns)} receive times")
        self.count = len(frames)
        self.size = sum(len(f) for f in frames)
        # Decoders may look a few bytes past a number's end inside the buffer: leave them slack.
        self.data = <char*>calloc(1, self.size + 256)
        self.offsets = <Py_ssize_t*>calloc(self.count + 1, sizeof(Py_ssize_t))
        self.recv_ns = <int64_t*>calloc(self.count + 1, sizeof(int64_t))
        if self.data == NULL or self.offsets == NULL or self.recv_ns == NULL:
            raise MemoryError("frames")
        for i in range(self.count):
            frame = frames[i]
            memcpy(self.data + at, <const char*>frame, len(frame))
            at += len(frame)
            self.offsets[i + 1] = at
            self.recv_ns[i] = recv_ns[i]

    def __dealloc__(self):
        free(self.data)
        free(self.offsets)
        free(self.recv_ns)

    def __len__(self):
        return self.count
