"""The hot path over recorded events, without bytes: columns in, decisions, a pretended venue, answers.

Books, signals, reference, strategy, planner, checks and order table are the ones that trade; what is
left out is what turns events into bytes and back. Requests and answers travel on two links, each a
queue with delays of its own; the venue sees the market when we do.

Orders rest at `QueueVenue`, which follows the very book the engine quotes on. It states what it
assumes; with QUEUE_CAUTIOUS it fills as `matching.ReplayMatching` does, which paper mode uses.
"""

from typing import NamedTuple

from cython cimport final
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from openmm._fast.book cimport (
    APPLY_OK, BOOK_VERIFIED, BREAK_GAP, NO_ASK_TICKS, NO_BID_TICKS, Book,
)
from openmm._fast.changes cimport (
    EVENT_ASK, EVENT_BROKEN, EVENT_CLEAR, EVENT_FILTERED, EVENT_KIND_BITS, EVENT_LEVEL, EVENT_MESSAGE_END,
    EVENT_READ_END, EVENT_TRADE,
)
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport (
    EV_ACKED, EV_AMENDED, EV_AMEND_REJECTED, EV_CANCELLED, EV_PROVEN_GONE, EV_REJECTED, ORDERS_MAX,
    Order, OrderTable,
)
from openmm._fast.pipeline cimport Feed, Frames, Pipeline
from openmm._fast.planner cimport ACTION_AMEND, ACTION_PLACE
from openmm._fast.ports cimport (
    DECODED_BOOK, DECODED_BROKEN, DECODED_IGNORED, DECODED_TRADE, Decoded, Encoder, OutBatch, Trade, Transport,
)
from openmm._fast.queue cimport QUEUE_CAUTIOUS, QUEUE_LOG, QUEUE_POWER, QueueModel, leaves_ahead_c
from openmm._fast.units cimport ASK, BID, BUY, PPM, SELL, floor_div_wide, i128, saturate

cdef enum:
    POWER_MAX = 8
    ATOMS_MAX = 1 << 30
    GROW = 4096


cdef extern from *:
    """
    #define OPENMM_MINUTE_NS INT64_C(60000000000)
    #define OPENMM_FAR_LOTS (INT64_C(1) << 60)
    #define OPENMM_SILENCE_NS INT64_C(600000000000)
    """
    const int64_t FAR_LOTS "OPENMM_FAR_LOTS"    # in front of an order at a price that was never told
    const int64_t MINUTE_NS "OPENMM_MINUTE_NS"
    const int64_t SILENCE_NS "OPENMM_SILENCE_NS"    # longer than any delay, and than a book is believed


cdef inline int64_t later(int64_t at_ns, int64_t every_ns, int64_t now_ns) noexcept nogil:
    """Return the last firing of a timer that is not after now; its next one if that is."""
    if every_ns <= 0 or at_ns >= now_ns:
        return at_ns
    return at_ns + (now_ns - at_ns) // every_ns * every_ns


cdef inline int own_side(int side) noexcept nogil:
    """Where orders of a side rest."""
    return <int>BID if side == BUY else <int>ASK


cdef inline bint through(int side, int64_t a_ticks, int64_t b_ticks) noexcept nogil:
    """Whether `a` is at least as good for the taker of an order on `side` as `b`: at or through it."""
    return a_ticks >= b_ticks if side == BUY else a_ticks <= b_ticks


class Arrived(NamedTuple):
    """A message that came over a link; `ahead_lots` of a fill: what stood in front when it joined."""

    due_ns: int
    told: int
    seq: int
    price_ticks: int
    qty_lots: int
    ahead_lots: int


@final
cdef class Link:
    """One way between engine and venue: messages arrive in order, each after a delay.

    Args:
        delays_ns: taken in turn, around and around; one is a constant.
        seed: not 0: drawn at random instead, the same ones for the same seed.

    Raises:
        ValueError: no delay, or a negative one.
    """

    def __cinit__(self, delays_ns not None, uint64_t seed=0):
        cdef int64_t i
        self.delay_count = len(delays_ns)
        if self.delay_count == 0 or min(delays_ns) < 0:
            raise ValueError("a link needs delays, none negative")
        self.ring = <Message*>calloc(MESSAGES_MAX, sizeof(Message))
        self.delays_ns = <int64_t*>calloc(<size_t>self.delay_count, sizeof(int64_t))
        if self.ring == NULL or self.delays_ns == NULL:
            raise MemoryError("link")
        for i in range(self.delay_count):
            self.delays_ns[i] = delays_ns[i]
        self.seed = seed

    def __dealloc__(self):
        free(self.ring)
        free(self.delays_ns)

    cdef int64_t delay_c(self) noexcept nogil:
        cdef int64_t at = self.at
        if self.delay_count == 1:
            return self.delays_ns[0]
        if self.seed:
            # xorshift64*: the same on every machine.
            self.seed ^= self.seed >> 12
            self.seed ^= self.seed << 25
            self.seed ^= self.seed >> 27
            at = <int64_t>(((self.seed * <uint64_t>0x2545F4914F6CDD1D) >> 33) % <uint64_t>self.delay_count)
        else:
            self.at = at + 1 if at + 1 < self.delay_count else 0
        return self.delays_ns[at]

    cdef Message* push_c(self, int64_t now_ns) noexcept nogil:
        cdef Message* message = NULL
        if self.tail - self.head >= MESSAGES_MAX:
            self.lost_count += 1
            return NULL
        message = &self.ring[self.tail & (MESSAGES_MAX - 1)]
        memset(message, 0, sizeof(Message))
        self.tail += 1
        message.due_ns = now_ns
        return message

    @property
    def waiting_count(self):
        """How many messages are on their way."""
        return self.tail - self.head

    def take(self, int64_t now_ns):
        """Take what has arrived by then: a list of `Arrived`."""
        cdef Message* message
        cdef list out = []
        while self.head != self.tail and self.ring[self.head & (MESSAGES_MAX - 1)].due_ns <= now_ns:
            message = &self.ring[self.head & (MESSAGES_MAX - 1)]
            self.head += 1
            out.append(Arrived(
                message.due_ns, Told(message.kind), message.seq, message.price_ticks, message.qty_lots,
                message.ahead_lots,
            ))
        return out


@final
cdef class Outlet(Encoder):
    """Takes approved actions to the venue as they are.

    `behind`: they leave when the next read comes, decided on what was known before it: the engine is
    one read behind the venue.
    """

    def __cinit__(self, Link requests not None):
        self.requests = requests

    cdef int encode_c(
        self, const Approved* actions, int count, OrderTable table, int64_t now_ns, OutBatch* out
    ) noexcept nogil:
        cdef int i
        cdef int64_t due_ns
        cdef Message* message = NULL
        if self.requests.tail - self.requests.head + <uint64_t>count > MESSAGES_MAX:
            return -1
        if count < 1:
            return -1
        if self.behind:
            due_ns = INT64_MAX
            self.held_count += <uint64_t>count
        else:
            due_ns = self.arrives_c(now_ns)
        for i in range(count):
            message = self.requests.push_c(due_ns)
            message.seq = actions[i].action.seq
            message.price_ticks = actions[i].action.price_ticks
            message.qty_lots = actions[i].action.qty_lots
            message.side = <uint8_t>actions[i].action.side
            message.post_only = actions[i].post_only
            if actions[i].action.kind == ACTION_PLACE:
                message.kind = TOLD_PLACE
            elif actions[i].action.kind == ACTION_AMEND:
                message.kind = TOLD_AMEND
            else:
                message.kind = TOLD_CANCEL
        message.last = 1
        self.batch_count += 1
        return 1

    cdef int64_t arrives_c(self, int64_t now_ns) noexcept nogil:
        """Return when what leaves now arrives: together, and not before what left earlier."""
        self.requests.last_ns = max(now_ns + self.requests.delay_c(), self.requests.last_ns)
        return self.requests.last_ns

    cdef void release_c(self, int64_t now_ns) noexcept nogil:
        """Let what was held leave."""
        cdef Message* message = NULL
        cdef bint first = True
        while self.held_count:
            message = &self.requests.ring[(self.requests.tail - self.held_count) & (MESSAGES_MAX - 1)]
            message.due_ns = self.arrives_c(now_ns) if first else self.requests.last_ns
            first = message.last
            self.held_count -= 1


@final
cdef class OutletTransport(Transport):
    """Sends nothing: the outlet has passed it on."""

    def __cinit__(self):
        self.live = True

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        return 0


@final
cdef class QueueVenue:
    """Match our orders against a recorded book that they do not change.

    What it assumes:

    * A new order stands behind the whole quantity shown at its price. Beyond the last level shown,
      everything there will be in front of it once the level is seen.
    * What leaves a level without a trade was cancelled; how much of it in front of us the queue model
      decides (`queue.QueueModel`). Never more is in front than is shown.
    * A trade at our price goes first to the queue ahead, then to our orders in their order. One
      through our price fills us up to its quantity, at our price.
    * Where the recorded opposite best reaches our price we are filled at it, up to what is shown there
      and not used up: what we took of a level counts until the level is next told.
    * Hidden orders, our impact and what others would do because of us do not exist.

    Source: as `queue.Queue`; hftbacktest's `docs/order_fill.rst`.

    Args:
        book: the one the engine quotes on.
        answers: takes what the venue says.
        model, power: of the queue.
        impact_ns: what we took of a level stays missing for so long though the level is told anew.

    Raises:
        ValueError: no such model or power, or a negative time.
    """

    def __cinit__(
        self, Book book not None, Link answers not None, int model=QUEUE_CAUTIOUS, int32_t power=3,
        int64_t impact_ns=0,
    ):
        if model not in (<int>QUEUE_CAUTIOUS, <int>QUEUE_POWER, <int>QUEUE_LOG):
            raise ValueError(f"not a queue model: {model}")
        if not 1 <= power <= POWER_MAX:
            raise ValueError(f"power must be 1 to {POWER_MAX}: {power}")
        if impact_ns < 0:
            raise ValueError(f"impact_ns must not be negative: {impact_ns}")
        self.impact_ns = impact_ns
        self.book = book
        self.answers = answers
        self.model = <QueueModel>model
        self.power = power

    def level(self, int side, int64_t price_ticks, int64_t qty_lots, int64_t now_ns=0):
        """Take in a level of the recorded book, told absolutely."""
        if self.book.apply_c(side, price_ticks, qty_lots) != APPLY_OK:
            raise ValueError(f"not a level: {side}, {price_ticks}, {qty_lots}")
        if self.here[side][price_ticks & 255]:
            self.touched = True
        self.told_c(side, price_ticks, now_ns)

    def settle(self, int64_t now_ns):
        """Take in that a message of the book is whole."""
        self.settle_c(now_ns)

    def trade(self, int taker_side, int64_t price_ticks, int64_t qty_lots, int64_t now_ns):
        """Take in a recorded trade."""
        if taker_side not in (<int>BUY, <int>SELL):
            raise ValueError(f"not a side: {taker_side}")
        self.trade_c(taker_side, price_ticks, qty_lots, now_ns)

    def request(self, int told, uint64_t seq, int64_t now_ns, *, int side=BUY, int64_t price_ticks=0,
                int64_t qty_lots=0, bint post_only=True):
        """Carry out one request: TOLD_PLACE, TOLD_AMEND (`qty_lots` the new total) or TOLD_CANCEL."""
        cdef Message message
        if told not in (<int>TOLD_PLACE, <int>TOLD_AMEND, <int>TOLD_CANCEL) or side not in (<int>BUY, <int>SELL):
            raise ValueError(f"not a request: {told}, side {side}")
        memset(&message, 0, sizeof(Message))
        message.kind = told
        message.seq = seq
        message.side = <uint8_t>side
        message.price_ticks = price_ticks
        message.qty_lots = qty_lots
        message.post_only = post_only
        self.take_c(&message, now_ns)

    def ahead(self, uint64_t seq):
        """Return what stands in front of an order, in lots; None when it does not rest."""
        cdef Resting* order = &self.orders[seq & (ORDERS_MAX - 1)]
        return order.ahead_lots if seq and order.seq == seq else None

    @property
    def resting_count(self):
        """How many orders rest."""
        return self.count

    # ---------------------------------------------------------------- requests

    cdef void take_c(self, const Message* message, int64_t now_ns) noexcept nogil:
        """Carry out a request that has arrived."""
        if message.kind == TOLD_PLACE:
            self.place_c(message, now_ns)
        elif message.kind == TOLD_AMEND:
            self.amend_c(message, now_ns)
        else:
            self.cancel_c(message, now_ns)

    cdef Message* answer_c(self, int kind, const Message* message, int64_t now_ns) noexcept nogil:
        cdef Message* out = self.answers.push_c(0)
        if out == NULL:
            return NULL
        out.due_ns = now_ns + self.answers.delay_c()
        if out.due_ns < self.answers.last_ns:
            out.due_ns = self.answers.last_ns
        self.answers.last_ns = out.due_ns
        out.kind = kind
        out.seq = message.seq
        out.price_ticks = message.price_ticks
        out.qty_lots = message.qty_lots
        out.side = message.side
        out.joined_ns = now_ns
        return out

    cdef void place_c(self, const Message* message, int64_t now_ns) noexcept nogil:
        cdef int32_t slot = <int32_t>(message.seq & (ORDERS_MAX - 1))
        cdef Resting* order = &self.orders[slot]
        cdef Message* out
        if message.post_only and self.takes_c(message.side, message.price_ticks):
            self.answer_c(TOLD_REFUSED, message, now_ns)
            return
        out = self.answer_c(TOLD_ACKED, message, now_ns)
        memset(order, 0, sizeof(Resting))
        order.seq = message.seq
        order.side = message.side
        order.price_ticks = message.price_ticks
        order.remaining_lots = message.qty_lots
        if not message.post_only:
            # It takes now or not at all, as every order of ours that may take (`Approved.post_only`).
            if self.walk_c(order, now_ns) > 0:
                self.answer_c(TOLD_CANCELLED, message, now_ns)
            order.seq = 0
            return
        self.slots[self.count] = slot
        self.count += 1
        self.count_of[order.side] += 1
        self.join_c(order, now_ns)
        if out != NULL:
            out.ahead_lots = order.first_ahead_lots if order.known else -1

    cdef void amend_c(self, const Message* message, int64_t now_ns) noexcept nogil:
        cdef Resting* order = &self.orders[message.seq & (ORDERS_MAX - 1)]
        cdef int64_t remaining_lots
        cdef int book_side
        cdef Message* out
        if order.seq != message.seq:
            self.answer_c(TOLD_UNKNOWN, message, now_ns)
            return
        remaining_lots = message.qty_lots - order.filled_lots
        if remaining_lots <= 0:
            # As a venue does that is asked for less than was filled.
            self.answer_c(TOLD_CANCELLED, message, now_ns)
            self.drop_c(<int32_t>(message.seq & (ORDERS_MAX - 1)))
            return
        if message.price_ticks == order.price_ticks and remaining_lots <= order.remaining_lots:
            order.remaining_lots = remaining_lots
            self.answer_c(TOLD_AMENDED, message, now_ns)
            return
        if self.takes_c(order.side, message.price_ticks):
            self.answer_c(TOLD_AMEND_REFUSED, message, now_ns)
            return
        out = self.answer_c(TOLD_AMENDED, message, now_ns)
        book_side = own_side(order.side)
        self.here[book_side][order.price_ticks & 255] -= 1
        order.price_ticks = message.price_ticks
        order.remaining_lots = remaining_lots
        self.join_c(order, now_ns)
        if out != NULL:
            out.ahead_lots = order.first_ahead_lots if order.known else -1
            out.last = 1    # a place of its own
        self.rank_c(order.side)

    cdef void cancel_c(self, const Message* message, int64_t now_ns) noexcept nogil:
        cdef int32_t slot = <int32_t>(message.seq & (ORDERS_MAX - 1))
        if self.orders[slot].seq != message.seq:
            self.answer_c(TOLD_UNKNOWN, message, now_ns)
            return
        self.drop_c(slot)
        self.answer_c(TOLD_CANCELLED, message, now_ns)

    # ---------------------------------------------------------------- orders

    cdef void join_c(self, Resting* order, int64_t now_ns) noexcept nogil:
        """Put an order at the end of the queue at its price."""
        cdef int book_side = own_side(order.side)
        cdef int64_t shown = self.left_c(book_side, order.price_ticks)
        self.arrivals += 1
        order.arrival = self.arrivals
        order.joined_ns = now_ns
        order.traded_lots = 0
        order.known = shown > 0 or not self.beyond_c(book_side, order.price_ticks)
        order.ahead_lots = shown if order.known else FAR_LOTS
        if not order.known:
            self.touched = True
        order.shown_lots = shown
        order.first_ahead_lots = shown
        self.here[book_side][order.price_ticks & 255] += 1
        if self.best_ticks[order.side] == 0 or not through(
            order.side, self.best_ticks[order.side], order.price_ticks
        ):
            self.best_ticks[order.side] = order.price_ticks

    cdef void drop_c(self, int32_t slot) noexcept nogil:
        cdef int32_t i
        cdef int side = self.orders[slot].side
        for i in range(self.count):
            if self.slots[i] == slot:
                self.count -= 1
                self.slots[i] = self.slots[self.count]
                break
        self.count_of[side] -= 1
        self.here[own_side(side)][self.orders[slot].price_ticks & 255] -= 1
        self.orders[slot].seq = 0
        if self.orders[slot].price_ticks == self.best_ticks[side]:
            self.rank_c(side)

    cdef void rank_c(self, int side) noexcept nogil:
        """Find the best price of a side's orders."""
        cdef int32_t i
        cdef Resting* order
        cdef int64_t best = 0
        for i in range(self.count):
            order = &self.orders[self.slots[i]]
            if order.side == side and (best == 0 or not through(side, best, order.price_ticks)):
                best = order.price_ticks
        self.best_ticks[side] = best

    cdef Resting* first_c(self, int side) noexcept nogil:
        """Return the order of a side that is served first."""
        cdef int32_t i
        cdef Resting* order
        cdef Resting* first = NULL
        for i in range(self.count):
            order = &self.orders[self.slots[i]]
            if order.side == side and order.price_ticks == self.best_ticks[side] and (
                first == NULL or order.arrival < first.arrival
            ):
                first = order
        return first

    cdef void fill_c(
        self, Resting* order, int64_t price_ticks, int64_t lots, bint maker, int64_t now_ns
    ) noexcept nogil:
        """Tell a fill; an order that is filled goes."""
        cdef Message* out = self.answers.push_c(0)
        order.remaining_lots -= lots
        order.filled_lots += lots
        self.fill_count += 1
        if out != NULL:
            out.due_ns = now_ns + self.answers.delay_c()
            if out.due_ns < self.answers.last_ns:
                out.due_ns = self.answers.last_ns
            self.answers.last_ns = out.due_ns
            out.kind = TOLD_FILL
            out.seq = order.seq
            out.price_ticks = price_ticks
            out.qty_lots = lots
            out.side = order.side
            out.maker = maker
            out.ahead_lots = order.first_ahead_lots
            out.joined_ns = order.joined_ns
            out.made_ns = now_ns
        if order.remaining_lots == 0 and maker:
            self.drop_c(<int32_t>(order.seq & (ORDERS_MAX - 1)))

    # ---------------------------------------------------------------- what is shown

    cdef bint beyond_c(self, int side, int64_t price_ticks) noexcept nogil:
        """Whether a price lies beyond the last level shown."""
        return self.book.qty_at_c(side, price_ticks) == 0 and (
            self.book.count[side] == 0
            or self.book.worse_c(side, price_ticks) == (NO_ASK_TICKS if side else NO_BID_TICKS)
        )

    cdef bint takes_c(self, int side, int64_t price_ticks) noexcept nogil:
        """Whether an order at a price would take something that is shown and not used up."""
        cdef int other = <int>ASK if side == BUY else <int>BID
        cdef int64_t none = NO_ASK_TICKS if other == <int>ASK else NO_BID_TICKS
        cdef int64_t price = self.book.best_ask_ticks if other == <int>ASK else self.book.best_bid_ticks
        while price != none and through(side, price_ticks, price):
            if self.taken_count == 0 or self.left_c(other, price):
                return True
            price = self.book.worse_c(other, price)
        return False

    cdef int64_t left_c(self, int side, int64_t price_ticks) noexcept nogil:
        """Return what is shown at a price and not used up."""
        cdef int32_t i
        cdef int64_t lots = self.book.qty_at_c(side, price_ticks)
        for i in range(self.taken_count):
            if self.taken[i].price_ticks == price_ticks and self.taken[i].side == side:
                lots -= self.taken[i].lots
                break
        return lots if lots > 0 else 0

    cdef void use_c(self, int side, int64_t price_ticks, int64_t lots, int64_t now_ns) noexcept nogil:
        """Count what was taken of a level."""
        cdef int32_t i
        for i in range(self.taken_count):
            if self.taken[i].price_ticks == price_ticks and self.taken[i].side == side:
                self.taken[i].lots += lots
                self.taken[i].until_ns = now_ns + self.impact_ns if self.impact_ns else 0
                return
        if self.taken_count == TAKEN_MAX:
            self.taken_count -= 1
        self.taken[self.taken_count].price_ticks = price_ticks
        self.taken[self.taken_count].side = side
        self.taken[self.taken_count].lots = lots
        self.taken[self.taken_count].shown_lots = self.book.qty_at_c(side, price_ticks)
        self.taken[self.taken_count].until_ns = now_ns + self.impact_ns if self.impact_ns else 0
        self.taken_count += 1

    cdef void told_c(self, int side, int64_t price_ticks, int64_t now_ns) noexcept nogil:
        """A level was told anew: what was taken of it is no longer known to be gone."""
        cdef int32_t i
        for i in range(self.taken_count):
            if self.taken[i].price_ticks == price_ticks and self.taken[i].side == side:
                if now_ns < self.taken[i].until_ns:
                    return
                self.taken_count -= 1
                self.taken[i] = self.taken[self.taken_count]
                return

    cdef void news_c(self, int64_t now_ns) noexcept nogil:
        """Take in that any level may have been told: whatever changed is known anew."""
        cdef int32_t i = 0
        self.touched = self.count > 0
        while i < self.taken_count:
            if now_ns >= self.taken[i].until_ns and self.taken[i].shown_lots != self.book.qty_at_c(
                self.taken[i].side, self.taken[i].price_ticks
            ):
                self.taken_count -= 1
                self.taken[i] = self.taken[self.taken_count]
            else:
                i += 1

    cdef int64_t walk_c(self, Resting* order, int64_t now_ns) noexcept nogil:
        """Take what an order reaches; returns what is left of it."""
        cdef int other = <int>ASK if order.side == BUY else <int>BID
        cdef int64_t none = NO_ASK_TICKS if other == <int>ASK else NO_BID_TICKS
        cdef int64_t price = self.book.best_ask_ticks if other == <int>ASK else self.book.best_bid_ticks
        cdef int64_t lots
        while order.remaining_lots > 0 and price != none and through(order.side, order.price_ticks, price):
            lots = min(self.left_c(other, price), order.remaining_lots)
            if lots > 0:
                self.use_c(other, price, lots, now_ns)
                self.fill_c(order, price, lots, False, now_ns)
            price = self.book.worse_c(other, price)
        return order.remaining_lots

    # ---------------------------------------------------------------- the market

    cdef void trade_c(self, int taker_side, int64_t price_ticks, int64_t lots, int64_t now_ns) noexcept nogil:
        cdef int side = SELL if taker_side == BUY else BUY
        cdef int32_t i
        cdef int64_t passed = 0
        cdef int64_t part
        cdef Resting* order
        while lots > 0 and self.count_of[side]:
            order = self.first_c(side)
            if order == NULL or not through(side, order.price_ticks, price_ticks):
                break
            if order.price_ticks == price_ticks and order.ahead_lots > passed:
                part = min(order.ahead_lots - passed, lots)
                passed += part
                lots -= part
                continue
            part = min(lots, order.remaining_lots)
            lots -= part
            self.fill_c(order, order.price_ticks, part, True, now_ns)
        if passed > 0:
            for i in range(self.count):
                order = &self.orders[self.slots[i]]
                if order.side == side and order.price_ticks == price_ticks:
                    order.ahead_lots -= min(passed, order.ahead_lots)
                    order.traded_lots += passed

    cdef void look_c(self) noexcept nogil:
        """Bring the queue places up to the book."""
        cdef int32_t i
        cdef int book_side
        cdef int64_t shown
        cdef Resting* order
        self.touched = False
        for i in range(self.count):
            order = &self.orders[self.slots[i]]
            book_side = own_side(order.side)
            shown = self.left_c(book_side, order.price_ticks)
            if shown == 0 and self.beyond_c(book_side, order.price_ticks):
                # Not told, which does not say that nothing is there: look again next time.
                order.known = 0
                self.touched = True
                continue
            if not order.known:
                order.known = 1
                if order.ahead_lots == FAR_LOTS:
                    order.ahead_lots = order.first_ahead_lots = shown
                    order.shown_lots = shown
            if shown == order.shown_lots:
                continue
            if shown < order.shown_lots:
                order.ahead_lots -= leaves_ahead_c(
                    order.ahead_lots, order.shown_lots, order.traded_lots, order.shown_lots - shown,
                    self.model, self.power,
                )
            order.shown_lots = shown
            order.traded_lots = 0
            if order.ahead_lots > shown:
                order.ahead_lots = shown

    cdef void settle_c(self, int64_t now_ns) noexcept nogil:
        """Take in a whole message of the book."""
        cdef int side, other
        cdef int64_t price, none, lots
        cdef Resting* order
        if self.touched:
            self.look_c()
        for side in range(<int>BUY, <int>SELL + 1):
            if self.count_of[side] == 0:
                continue
            other = <int>ASK if side == BUY else <int>BID
            none = NO_ASK_TICKS if side == BUY else NO_BID_TICKS
            price = self.book.best_ask_ticks if side == BUY else self.book.best_bid_ticks
            while price != none and self.count_of[side] and through(side, self.best_ticks[side], price):
                lots = self.left_c(other, price)
                if lots == 0:
                    price = self.book.worse_c(other, price)
                    continue
                order = self.first_c(side)
                lots = min(lots, order.remaining_lots)
                self.use_c(other, price, lots, now_ns)
                self.fill_c(order, order.price_ticks, lots, True, now_ns)


@final
cdef class Tap(Sink):
    """Show the venue each trade of a feed's messages before the feed sees it."""

    def __cinit__(self, QueueVenue venue not None, Feed feed not None):
        self.venue = venue
        self.feed = feed

    cdef void on_trade_c(self, const Trade* trade) noexcept nogil:
        if not trade.snapshot and (trade.taker_side == BUY or trade.taker_side == SELL):
            self.venue.trade_c(trade.taker_side, trade.price_ticks, trade.qty_lots, self.feed.recv_ns)
        self.feed.on_trade_c(trade)


class BacktestFill(NamedTuple):
    """One execution of ours. Prices in ticks, quantities in lots, `reference_uticks` when it was told."""

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


class BacktestStay(NamedTuple):
    """One stay of an order in a queue: from its placing, or an amend that gave it a new place, to the next.

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
        if every_ns < 0 or timer_ns < 0 or mark_every_ns <= 0:
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
        self.columns = []

    def __dealloc__(self):
        free(self.fills)
        free(self.marks)
        free(self.stays)

    def add(
        self, const int64_t[::1] recv_ns not None, const int64_t[::1] venue_ns not None,
        const int64_t[::1] price_ticks not None, const int64_t[::1] qty_lots not None,
        const uint16_t[::1] flags not None,
    ):
        """Add the events of the next feed, in order of receive time; nothing is copied.

        Raises:
            ValueError: more sources than feeds, or columns of different lengths.
        """
        cdef Source* source
        cdef Py_ssize_t count = recv_ns.shape[0]
        if self.source_count == len(self.feeds):
            raise ValueError(f"there are {len(self.feeds)} feeds")
        if not count == venue_ns.shape[0] == price_ticks.shape[0] == qty_lots.shape[0] == flags.shape[0]:
            raise ValueError("columns of different lengths")
        source = &self.sources[self.source_count]
        self.source_count += 1
        self.columns.append((recv_ns, venue_ns, price_ticks, qty_lots, flags))
        source.stop = count
        if count:
            source.recv_ns = &recv_ns[0]
            source.venue_ns = &venue_ns[0]
            source.price_ticks = &price_ticks[0]
            source.qty_lots = &qty_lots[0]
            source.flags = &flags[0]

    def add_frames(self, Frames frames not None):
        """Add the messages of the next feed, as its decoder reads them; an event is a message then.

        Raises:
            ValueError: more sources than feeds.
        """
        cdef Source* source
        cdef Feed feed
        if self.source_count == len(self.feeds):
            raise ValueError(f"there are {len(self.feeds)} feeds")
        feed = self.feeds[self.source_count]
        if feed.quoted:
            feed.decoder.sink = Tap(self.venue, feed)
        source = &self.sources[self.source_count]
        self.source_count += 1
        self.columns.append(frames)
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
        self.cadence_ns = self.tick_ns = INT64_MAX
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
                    if quoted:
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
            i += 1
        self.event_count += <uint64_t>(i - source.at)
        source.at = i
        self.next_due_c()
        return 0

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
        cdef int64_t due = min(self.cadence_ns, min(self.mark_ns, self.tick_ns))
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
        if requests.lost_count + answers.lost_count:
            raise OverflowError(f"more than {MESSAGES_MAX} messages on their way: delays too long")
        while self.wake_ns <= until_ns:
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
        stay = self.stay_of[message.seq & (ORDERS_MAX - 1)]
        if stay:
            row = &self.stays[(stay - 1) * STAY_FIELDS]
            if row[0] == <int64_t>message.seq:
                row[8] += message.qty_lots
                if row[8] >= row[5]:
                    row[9] = message.made_ns
        self.minute_c(now_ns)
        if self.guard is not None:
            self.guard.fill(now_ns, message.made_ns, message.side, message.price_ticks)
            self.watch_c(now_ns, False)
            self.rebound_c()
        return 0

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
            self.guard.timer(now_ns, self.peak_ticklots)
            self.rebound_c()
        elif ask:
            self.guard.mark(now_ns, self.peak_ticklots)
        return 0

    cdef int rebound_c(self) except -1:
        """Take over when to ask next."""
        bounds = self.guard.bounds()
        self.guard_always = bounds.always
        self.start_ppm = bounds.start_ppm
        self.peak_ppm = bounds.peak_ppm
        self.q_lots_most = bounds.q_lots_most
        return 0

    cdef int mark_c(self, int64_t now_ns) except -1:
        """Mark equity."""
        cdef Pipeline pipeline = self.pipeline
        cdef int64_t equity
        cdef int64_t* row
        cdef int64_t* grown
        pipeline.reference.compute_c(now_ns)
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
        return 0

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

    def stays_bytes(self):
        """Return every stay of an order at a price as little-endian int64, `BacktestStay`'s fields each."""
        if self.stays_kept == 0:
            return b""
        return (<char*>self.stays)[: self.stays_kept * STAY_FIELDS * sizeof(int64_t)]

    def marks_bytes(self):
        """Return the marks as little-endian int64: time, equity (ticklots), base (lots), reference (uticks), orders."""
        if self.marks_kept == 0:
            return b""
        return (<char*>self.marks)[: self.marks_kept * MARK_FIELDS * sizeof(int64_t)]
