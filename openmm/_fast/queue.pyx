"""Queue places: how much quantity of others stands in front of each own order at its price.

The public book tells what rests at a price, never where in the queue. So a place is an estimate: an
order that comes to a price has everything shown there in front of it; what trades there leaves from
the front; what leaves without a trade was cancelled, in front of us or behind, which the model
decides. Never more is in front than is shown. Own quantity is taken off throughout.

Source: the models are those of hftbacktest (RiskAdverseQueueModel, PowerProbQueueFunc,
LogProbQueueFunc: docs.rs/hftbacktest, read 2026-11) after Rigtorp, "Estimating order queue position"
(2013): of a decrease `d` that no trade explains, `d * (1 - p)` was in front and `d * p` behind, with
`p = f(behind) / (f(behind) + f(ahead))`, `f(x)` = `x**n` or `log(1 + x)`. Assumption: cancels come
one at a time and in no order; a venue without hidden orders and with price-time priority.
"""

from typing import NamedTuple

from cython cimport final
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t
from libc.string cimport memset

from openmm._fast.book cimport BOOK_VERIFIED, Book
from openmm._fast.orders cimport (
    ORDERS_MAX, PENDING_NEW, UNKNOWN, Order, OrderTable,
)
from openmm._fast.units cimport ASK, BID, BUY, SELL, i128, log_c, mul_div

cdef enum:
    POWER_MAX = 8
    USUAL_SHIFT = 6     # the usual quantity moves by a 64th of the gap at each look

# Bounds of the distances that the planner compares.
cdef extern from * nogil:
    """
    #define OPENMM_QUEUE_VALUE_MAX (INT64_C(1) << 30)
    """
    const int64_t VALUE_MAX "OPENMM_QUEUE_VALUE_MAX"


cdef double weight_c(int64_t lots, QueueModel model, int32_t power) noexcept nogil:
    cdef double x = <double>lots
    cdef double product = x
    cdef int32_t _i
    if model == QUEUE_LOG:
        return log_c(1.0 + x)
    for _i in range(1, power):
        product = product * x
    return product


cdef int64_t leaves_ahead_c(
    int64_t ahead_lots, int64_t shown_lots, int64_t traded_lots, int64_t lots, QueueModel model, int32_t power
) noexcept nogil:
    cdef int64_t cancelled = lots - traded_lots
    cdef int64_t behind, front
    cdef double ahead_weight, behind_weight
    if model == QUEUE_CAUTIOUS or cancelled <= 0 or ahead_lots <= 0:
        return 0
    # As the level stood when it was cancelled: the traded quantity was in front of both.
    behind = shown_lots - traded_lots - ahead_lots
    if behind <= 0:
        behind = 0
    ahead_weight = weight_c(ahead_lots, model, power)
    behind_weight = weight_c(behind, model, power)
    front = <int64_t>(<double>cancelled * (ahead_weight / (ahead_weight + behind_weight)))
    # No more than there was on either side.
    return min(max(front, cancelled - behind), ahead_lots)


class PlaceView(NamedTuple):
    """A copy of one order's place, in lots of others; since when it holds it."""

    seq: int
    price_ticks: int
    ahead_lots: int
    behind_lots: int
    since_ns: int
    worth_ticks: int


@final
cdef class Queue:
    """Estimate the queue place of every own order, and what it is worth.

    Args:
        value_ticks: what the first place in a queue is worth, as a distance from the wanted price;
            0 turns the estimate off.
        model: where quantity leaves that no trade took.
        power: exponent of QUEUE_POWER, 1 to 8; the others have none.

    Raises:
        ValueError: a value out of bounds, or no model.
    """

    def __cinit__(self, int64_t value_ticks=0, int model=QUEUE_CAUTIOUS, int32_t power=3):
        self._set(value_ticks, model, power)

    # ---------------------------------------------------------------- C face

    cdef void look_c(self, Book book, OrderTable table, bint own_shown) noexcept nogil:
        cdef int64_t mean
        if book.state != BOOK_VERIFIED:
            self.lost = True
            return
        if (
            self.lost or self.table_version != table.version or self.table_seen != <void*>table
            or self.cells_seen != book.cells[0] or self.base_ticks != book.base_ticks
            or self.own_shown != own_shown or not self.follow_c(book, table)
        ):
            self.look_at_all_c(book, table, own_shown)
        if self.seen:
            mean = self.mean_lots
            if self.usual_64ths == 0:
                self.usual_64ths = mean << USUAL_SHIFT
            else:
                self.usual_64ths += mean - (self.usual_64ths >> USUAL_SHIFT)

    cdef void trade_c(
        self, OrderTable table, int taker_side, int64_t price_ticks, int64_t qty_lots
    ) noexcept nogil:
        cdef int32_t i, slot
        cdef int side = SELL if taker_side == BUY else BUY
        cdef const Order* order
        cdef Place* place
        if (taker_side != BUY and taker_side != SELL) or qty_lots <= 0:
            return
        if table.price_count[side][price_ticks & 255] == 0:
            return
        for i in range(table.live_count):
            slot = table.live_slots[i]
            order = &table.orders[slot]
            place = &self.places[slot]
            if order.side != side or order.price_ticks != price_ticks or place.seq != order.seq \
                    or place.since_ns != order.queue_ns or place.price_ticks != price_ticks:
                continue
            place.ahead_lots = place.ahead_lots - qty_lots if place.ahead_lots > qty_lots else 0
            # Both stay within the bounds of a quantity.
            place.traded_lots = min(place.traded_lots, place.shown_lots) + qty_lots

    cdef const Place* place_c(self, const Order* order) noexcept nogil:
        cdef const Place* place = &self.places[order.seq & (ORDERS_MAX - 1)]
        if place.seq != order.seq or place.since_ns != order.queue_ns or not place.known \
                or place.price_ticks != order.price_ticks or self.lost:
            return NULL
        return place

    cdef int64_t worth_ticks_c(self, const Order* order) noexcept nogil:
        cdef const Place* place = self.place_c(order)
        cdef int64_t of_lots
        if place == NULL:
            return 0
        of_lots = max(place.shown_lots, self.usual_64ths >> USUAL_SHIFT)
        if place.ahead_lots <= 0 or of_lots <= 0:
            return self.value_ticks
        if place.ahead_lots >= of_lots:
            return 0
        return mul_div(self.value_ticks, of_lots - place.ahead_lots, of_lots)

    # ---------------------------------------------------------------- private

    cdef void look_at_all_c(self, Book book, OrderTable table, bint own_shown) noexcept nogil:
        """Look at every order afresh, and note what has to change before that is due again."""
        cdef int32_t i, slot
        cdef int32_t count = table.live_count if table.live_count < PLACES_MAX else PLACES_MAX
        cdef int book_side
        cdef int64_t raw, key, price
        cdef uint64_t cell
        cdef const Order* order
        cdef Place* place
        cdef Watch* watch
        cdef bint beyond
        if self.lost:
            # Whatever was known is of another book: all that is shown is in front.
            self.lost = False
            memset(&self.places[0], 0, sizeof(self.places))
        self.table_version = table.version
        self.table_seen = <void*>table
        self.cells_seen = book.cells[0]
        self.base_ticks = book.base_ticks
        self.own_shown = own_shown
        self.watch_count = 0
        self.seen = 0
        self.total_lots = 0
        for book_side in range(2):
            self.shown_key_min[book_side] = INT64_MAX
            self.beyond_key_max[book_side] = INT64_MIN
            self.last_key[book_side] = book.last_key_c(book_side)
        for i in range(count):
            slot = table.live_slots[i]
            order = &table.orders[slot]
            place = &self.places[slot]
            if order.state == PENDING_NEW or order.state == UNKNOWN:
                # Not at the venue yet, or nobody knows where.
                place.seq = 0
                continue
            price = order.price_ticks
            book_side = BID if order.side == BUY else ASK
            watch = &self.watches[self.watch_count]
            self.watch_count += 1
            cell = <uint64_t>price - <uint64_t>book.base_ticks
            watch.cell = book.cells[book_side] + cell if cell < <uint64_t>book.window_cells else NULL
            watch.slot = slot
            watch.side = book_side
            raw = watch.cell[0] if watch.cell != NULL else book.qty_at_c(book_side, price)
            watch.raw_lots = raw
            watch.counted_lots = 0
            if place.seq != order.seq or place.since_ns != order.queue_ns or place.price_ticks != price:
                self.join_c(place, order)
            if raw == 0:
                key = price if book_side == BID else ~price
                beyond = key < self.last_key[book_side]
                if beyond:
                    # Nobody told what rests beyond the book's last level. Nobody can pass us meanwhile.
                    self.beyond_key_max[book_side] = max(self.beyond_key_max[book_side], key)
                    continue
                self.shown_key_min[book_side] = min(self.shown_key_min[book_side], key)
            watch.counted_lots = self.others_c(order, table, raw)
            self.total_lots = self.total_lots + <i128>watch.counted_lots
            self.seen += 1
            self.see_c(place, order, watch.counted_lots)
        if self.seen:
            self.mean_lots = <int64_t>(self.total_lots // self.seen)  # no operand is negative

    cdef bint follow_c(self, Book book, OrderTable table) noexcept nogil:
        """Follow what the book shows at our prices while our orders stay; 0: look at all instead."""
        cdef int32_t i
        cdef int book_side
        cdef int64_t raw, lots, key
        cdef bint changed = False
        cdef const Order* order
        cdef Watch* watch
        for book_side in range(2):
            if self.shown_key_min[book_side] == INT64_MAX and self.beyond_key_max[book_side] == INT64_MIN:
                continue
            # An empty price counts as told as long as the book reaches beyond it.
            key = book.last_key_c(book_side)
            if key != self.last_key[book_side]:
                if key >= self.shown_key_min[book_side] or key <= self.beyond_key_max[book_side]:
                    return False
                self.last_key[book_side] = key
        for i in range(self.watch_count):
            watch = &self.watches[i]
            order = &table.orders[watch.slot]
            raw = watch.cell[0] if watch.cell != NULL else book.qty_at_c(watch.side, order.price_ticks)
            if raw == watch.raw_lots:
                continue
            if raw == 0 or watch.raw_lots == 0:
                return False
            watch.raw_lots = raw
            lots = self.others_c(order, table, raw)
            if lots != watch.counted_lots:
                self.total_lots = self.total_lots + <i128>lots - <i128>watch.counted_lots
                watch.counted_lots = lots
                changed = True
                self.see_c(&self.places[watch.slot], order, lots)
        if changed:
            self.mean_lots = <int64_t>(self.total_lots // self.seen)  # no operand is negative
        return True

    cdef int64_t others_c(self, const Order* order, OrderTable table, int64_t raw_lots) noexcept nogil:
        """Take what is ours off what the book shows at an order's price."""
        cdef int64_t own
        if not self.own_shown or raw_lots == 0:
            return raw_lots
        own = max(order.qty_lots, order.pending_qty_lots) - order.filled_lots
        if table.price_count[order.side][order.price_ticks & 255] > 1:
            own = table.own_lots_at_c(order.side, order.price_ticks)
        return raw_lots - own if raw_lots > own else 0

    cdef void see_c(self, Place* place, const Order* order, int64_t shown_lots) noexcept nogil:
        """Bring one place up to what others now show at its price."""
        if not place.known:
            place.known = 1
            place.ahead_lots = shown_lots
            place.shown_lots = shown_lots
            return
        if order.filled_lots > place.filled_lots:
            # It was our turn.
            place.filled_lots = order.filled_lots
            place.ahead_lots = 0
        if shown_lots != place.shown_lots:
            if shown_lots < place.shown_lots:
                self.leave_c(place, place.shown_lots - shown_lots)
            place.shown_lots = shown_lots
            place.traded_lots = 0
            if place.ahead_lots > shown_lots:
                place.ahead_lots = shown_lots

    cdef void join_c(self, Place* place, const Order* order) noexcept nogil:
        """Begin a place anew: nothing is known of it."""
        memset(place, 0, sizeof(Place))
        place.seq = order.seq
        place.price_ticks = order.price_ticks
        place.since_ns = order.queue_ns
        place.filled_lots = order.filled_lots

    cdef void leave_c(self, Place* place, int64_t lots) noexcept nogil:
        """Take from both sides of us what left the level and no trade took."""
        place.ahead_lots -= leaves_ahead_c(
            place.ahead_lots, place.shown_lots, place.traded_lots, lots, self.model, self.power
        )

    # ---------------------------------------------------------------- Python face

    def _set(self, int64_t value_ticks, int model, int32_t power):
        if not 0 <= value_ticks < VALUE_MAX:
            raise ValueError(f"value_ticks must be in [0, {VALUE_MAX}): {value_ticks}")
        if model not in (<int>QUEUE_CAUTIOUS, <int>QUEUE_POWER, <int>QUEUE_LOG):
            raise ValueError(f"not a queue model: {model}")
        if not 1 <= power <= POWER_MAX:
            raise ValueError(f"power must be 1 to {POWER_MAX}: {power}")
        if self.on and value_ticks == 0:
            self.lost = True  # what is told meanwhile is not seen
        self.value_ticks = value_ticks
        self.model = <QueueModel>model
        self.power = power
        self.on = value_ticks > 0

    def set_params(self, *, int64_t value_ticks, int model, int32_t power):
        """Change worth and model from the next decision on; places stay.

        Raises:
            ValueError: as for the class; nothing is changed.
        """
        self._set(value_ticks, model, power)

    def look(self, Book book not None, OrderTable table not None, *, bint own_shown=True):
        """Bring every place up to the book as it now stands.

        Args:
            own_shown: whether the book shows our orders; paper mode's does not.
        """
        self.look_c(book, table, own_shown)

    def trade(self, OrderTable table not None, int taker_side, int64_t price_ticks, int64_t qty_lots):
        """Take a trade of the market's off the front of the queue it happened in."""
        self.trade_c(table, taker_side, price_ticks, qty_lots)

    def place(self, OrderTable table not None, uint64_t seq):
        """Return an order's `PlaceView`, or None: not resting, or nobody told what rests there."""
        cdef const Order* order = table.find_c(seq)
        cdef const Place* place
        if order == NULL:
            return None
        place = self.place_c(order)
        if place == NULL:
            return None
        return PlaceView(
            seq, place.price_ticks, place.ahead_lots, place.shown_lots - place.ahead_lots,
            place.since_ns, self.worth_ticks_c(order),
        )

    @property
    def usual_lots(self):
        """Mean quantity of others at our prices, over the last looks."""
        return self.usual_64ths >> USUAL_SHIFT

    @property
    def params(self):
        """What `set_params` takes."""
        return {"value_ticks": self.value_ticks, "model": QueueModel(self.model), "power": self.power}
