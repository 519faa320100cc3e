"""A pretended venue for backtests: two ways with delays, and a queue model over a recorded book.

Requests and answers are messages of one struct; nothing is encoded. It states what it assumes; with
QUEUE_CAUTIOUS it fills as `matching.ReplayMatching` does, which paper mode uses.
"""

from typing import NamedTuple

from cython cimport final
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from openmm._fast.book cimport APPLY_OK, NO_ASK_TICKS, NO_BID_TICKS, Book
from openmm._fast.checks cimport Approved
from openmm._fast.orders cimport ORDERS_MAX, OrderTable
from openmm._fast.planner cimport ACTION_AMEND, ACTION_PLACE
from openmm._fast.ports cimport Encoder, OutBatch, Transport
from openmm._fast.queue cimport QUEUE_CAUTIOUS, QUEUE_LOG, QUEUE_POWER, QueueModel, leaves_ahead_c
from openmm._fast.units cimport ASK, BID, BUY, SELL

cdef enum:
    POWER_MAX = 8
    SPELL = 32
    UNTOLD = -1             # in front: nobody told


cdef extern from *:
    """
    #define OPENMM_FAR_LOTS (INT64_C(1) << 60)
    """
    const int64_t FAR_LOTS "OPENMM_FAR_LOTS"    # in front of an order at a price that was never told


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
        seed: not 0: spells of consecutive ones drawn at random instead, the same for the same seed. A
            slow message holds up those behind it: drawn one by one, a list with one such would
            hold up far more than it did.
        from_ns: when each delay was measured, ascending, instead of in turn: what leaves at that
            moment takes it, of several of one moment each the next, and so does what leaves later,
            until the next moment.

    Raises:
        ValueError: no delay, a negative one, or moments that are not one a delay and ascending.
    """

    def __cinit__(self, delays_ns not None, uint64_t seed=0, from_ns not None=()):
        cdef int64_t i
        self.delay_count = len(delays_ns)
        if self.delay_count == 0 or min(delays_ns) < 0:
            raise ValueError("a link needs delays, none negative")
        if len(from_ns):
            if len(from_ns) != self.delay_count or any(a > b for a, b in zip(from_ns, from_ns[1:])):
                raise ValueError(f"{self.delay_count} delays need as many moments, ascending")
            self.from_ns = <int64_t*>calloc(<size_t>self.delay_count, sizeof(int64_t))
            if self.from_ns == NULL:
                raise MemoryError("link")
            for i in range(self.delay_count):
                self.from_ns[i] = from_ns[i]
            self.at = -1
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
        free(self.from_ns)

    cdef int64_t delay_c(self, int64_t now_ns) noexcept nogil:
        cdef int64_t at = self.at
        if self.delay_count == 1:
            return self.delays_ns[0]
        if self.from_ns != NULL:
            while at + 1 < self.delay_count and self.from_ns[at + 1] < now_ns:
                at += 1
            if at + 1 < self.delay_count and self.from_ns[at + 1] == now_ns:
                at += 1
            self.at = at
            return self.delays_ns[at if at >= 0 else 0]
        if self.seed:
            if self.spell == 0:
                # xorshift64*: the same on every machine.
                self.seed ^= self.seed >> 12
                self.seed ^= self.seed << 25
                self.seed ^= self.seed >> 27
                at = <int64_t>(((self.seed * <uint64_t>0x2545F4914F6CDD1D) >> 33) % <uint64_t>self.delay_count)
                self.spell = SPELL
            self.spell -= 1
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

    def delay(self, int64_t now_ns):
        """Return how long what leaves now is on its way, and go on to the next delay."""
        return self.delay_c(now_ns)

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
            if i and self.requests.from_ns != NULL and not self.behind:
                due_ns = self.arrives_c(now_ns)
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
        """Return when what leaves now arrives: not before what left earlier.

        What is decided at once arrives together; where each action's moment was measured, as they did.
        """
        self.requests.last_ns = max(now_ns + self.requests.delay_c(now_ns), self.requests.last_ns)
        return self.requests.last_ns

    cdef void release_c(self, int64_t now_ns) noexcept nogil:
        """Let what was held leave."""
        cdef Message* message = NULL
        cdef bint first = True
        while self.held_count:
            message = &self.requests.ring[(self.requests.tail - self.held_count) & (MESSAGES_MAX - 1)]
            if first or self.requests.from_ns != NULL:
                self.arrives_c(now_ns)
            message.due_ns = self.requests.last_ns
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
        """Carry out one request: TOLD_PLACE, TOLD_AMEND (`qty_lots` the new total) or TOLD_CANCEL.

        An order whose slot (`seq` modulo 512) another has is refused.
        """
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
        if seq == 0:
            raise ValueError("seq 0 is no order's")
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
        out.due_ns = now_ns + self.answers.delay_c(now_ns)
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
        # An order's slot is free, as its table's is; anyone else's may not be.
        if order.seq or message.qty_lots <= 0 or message.price_ticks <= 0 or (
            message.post_only and self.takes_c(message.side, message.price_ticks)
        ):
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
            out.ahead_lots = order.first_ahead_lots

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
        if message.price_ticks <= 0 or self.takes_c(order.side, message.price_ticks):
            self.answer_c(TOLD_AMEND_REFUSED, message, now_ns)
            return
        out = self.answer_c(TOLD_AMENDED, message, now_ns)
        book_side = own_side(order.side)
        self.here[book_side][order.price_ticks & 255] -= 1
        order.price_ticks = message.price_ticks
        order.remaining_lots = remaining_lots
        self.join_c(order, now_ns)
        if out != NULL:
            out.ahead_lots = order.first_ahead_lots
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
        order.first_ahead_lots = shown if order.known else UNTOLD
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
            out.due_ns = now_ns + self.answers.delay_c(now_ns)
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
            # The last one counts as whole again; told, so that nobody takes it for the model's.
            self.forgotten_count += 1
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
            # Most trades come to no order of ours: nobody is looked for then.
            if not through(side, self.best_ticks[side], price_ticks):
                break
            order = self.first_c(side)
            if order == NULL:
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
