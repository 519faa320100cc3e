"""Order-flow imbalance: who adds and who takes away at the best prices, ourselves left out.

After each message the best quotes of others are compared with those before it. What of the book is
ours is only known within bounds: an order sent may be in it or not, one cancelled may still be. So
the quantity of others at a level is known within bounds too, and only what moves it beyond them
counts. Formula: docs/strategy.md, "Order-flow imbalance". Executable
specification: tests/oracles/orderflow.py.
"""

from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from openmm._fast.book cimport NO_ASK_TICKS, NO_BID_TICKS, Book
from openmm._fast.units cimport ASK, BID, PPM, exp_c, floor_div

cdef enum:
    WALK_MAX = 16               # levels looked at to find the best one that is not only ours
    STEPS = 128                 # steps a half-life in which the sum is decayed
    DOUBT_NS = 1000000000       # for so long after an act of ours the book may not show it

cdef double LN2 = 0.6931471805599453


@final
cdef class OrderFlow:
    """Follow the order-flow imbalance of one book.

    Args:
        half_life_ns: of the decayed sum.

    Source: R. Cont, A. Kukanov and S. Stoikov, "The price impact of order book events", J. Financial
    Econometrics 12 (2014), eq. (2) to (4), with a decayed sum in place of a window.
    """

    def __cinit__(self, int64_t half_life_ns):
        if half_life_ns <= 0:
            raise ValueError(f"half_life_ns must be positive: {half_life_ns}")
        self.half_life_ns = half_life_ns
        self.step_ns = floor_div(half_life_ns, STEPS) + 1
        self.clear_c()

    # ---------------------------------------------------------------- C face

    cdef void look_c(
        self, Book book, int64_t now_ns, const OwnQty* own, int own_count, int64_t own_bid_lots,
        int64_t own_ask_lots, int64_t bid_lots, int64_t ask_lots
    ) noexcept nogil:
        cdef Touch bid, ask
        cdef double moved
        cdef bint known = self.known and book.break_count == self.break_count
        if (
            known and not self.own_changed and own_bid_lots + own_ask_lots == 0
            and book.best_bid_ticks > self.own_best_ticks[<int>BID]
            and book.best_ask_ticks < self.own_best_ticks[<int>ASK]
            and (self.gone_count == 0 or now_ns - self.gone_ns >= DOUBT_NS)
        ):
            # Most often: nothing of ours is at the best prices, nor was a moment ago.
            self.looked_ns = now_ns
            moved = others_c(&self.touch[<int>BID], book.best_bid_ticks, bid_lots, False)
            moved -= others_c(&self.touch[<int>ASK], book.best_ask_ticks, ask_lots, True)
            self.move_sum_c(now_ns, moved)
            return
        if not known:
            # No quantity of before counts: not for what it was, nor for what may be ours of it.
            self.touch[<int>BID].price_ticks = NO_BID_TICKS
            self.touch[<int>ASK].price_ticks = NO_ASK_TICKS
        if self.own_changed:
            self.remember_c(own, own_count, now_ns)
        self.looked_ns = now_ns
        self.known = (
            self.best_c(book, BID, now_ns, own, own_count, own_bid_lots, &bid)
            and self.best_c(book, ASK, now_ns, own, own_count, own_ask_lots, &ask)
            and bid.price_ticks < ask.price_ticks
        )
        if not self.known:
            return
        self.break_count = book.break_count
        if known:
            moved = move_c(&self.touch[<int>BID], &bid, bid.price_ticks - self.touch[<int>BID].price_ticks)
            moved -= move_c(&self.touch[<int>ASK], &ask, self.touch[<int>ASK].price_ticks - ask.price_ticks)
            self.touch[<int>BID] = bid
            self.touch[<int>ASK] = ask
            self.move_sum_c(now_ns, moved)
        else:
            self.touch[<int>BID] = bid
            self.touch[<int>ASK] = ask

    cdef void sample_c(self, double keep) noexcept nogil:
        cdef double best
        if not self.known:
            return
        best = 0.5 * <double>(self.touch[<int>BID].least_lots + self.touch[<int>ASK].least_lots)
        self.best_sum = self.best_sum * keep + (1.0 - keep) * best
        self.best_weight = self.best_weight * keep + (1.0 - keep)
        self.tell_c()

    cdef void decay_c(self, int64_t now_ns) noexcept nogil:
        if self.signed_sum == 0 or 0 <= now_ns - self.at_ns < self.step_ns:
            return
        self.decay_sum_c(now_ns)
        self.tell_c()

    cdef void lose_c(self) noexcept nogil:
        self.known = False

    cdef void clear_c(self) noexcept nogil:
        self.known = False
        self.ofi_ppm = 0
        self.signed_sum = 0
        self.best_sum = 0
        self.best_weight = 0
        # What is ours is looked at afresh with the next book.
        self.own_changed = True
        self.before_count = 0
        self.gone_count = 0
        self.gone_next = 0

    cdef void decay_sum_c(self, int64_t now_ns) noexcept nogil:
        """Decay to `now_ns` once a step has passed; time that goes back decays nothing."""
        cdef int64_t span_ns = now_ns - self.at_ns
        if 0 <= span_ns < self.step_ns:
            return
        self.at_ns = now_ns
        if span_ns > 0:
            self.signed_sum = self.signed_sum * exp_c(-LN2 * (<double>span_ns / <double>self.half_life_ns))

    cdef inline void move_sum_c(self, int64_t now_ns, double moved) noexcept nogil:
        if moved != 0:
            self.decay_sum_c(now_ns)
            self.signed_sum += moved
            self.tell_c()

    cdef void tell_c(self) noexcept nogil:
        """Quantise the imbalance: the one place."""
        cdef double scaled
        if self.best_sum <= 0:
            self.ofi_ppm = 0
            return
        scaled = PPM * (self.signed_sum * self.best_weight / self.best_sum)
        if scaled >= PPM:
            self.ofi_ppm = PPM
        elif scaled <= -PPM:
            self.ofi_ppm = -PPM
        else:
            self.ofi_ppm = <int64_t>(scaled + 0.5) if scaled >= 0 else <int64_t>(scaled - 0.5)

    cdef bint best_c(
        self, Book book, int side, int64_t now_ns, const OwnQty* own, int own_count, int64_t own_best_lots,
        Touch* out
    ) noexcept nogil:
        """Find the best level of others on a side; returns whether there is one near."""
        cdef int64_t none = NO_BID_TICKS if side == BID else NO_ASK_TICKS
        cdef int64_t price_ticks = book.best_bid_ticks if side == BID else book.best_ask_ticks
        cdef int64_t shown, ours_most, ours_least, least, most
        cdef const Touch* old = &self.touch[side]
        cdef int step, i
        cdef bint near
        for step in range(WALK_MAX):
            if price_ticks == none:
                return False
            shown = book.qty_at_c(side, price_ticks)
            ours_most = 0
            ours_least = 0
            # Most often nothing of ours is so near to the market.
            near = price_ticks <= self.own_best_ticks[side] if side == BID else price_ticks >= self.own_best_ticks[side]
            for i in range(own_count if near else 0):
                if own[i].price_ticks == price_ticks and own[i].side == side:
                    ours_most += own[i].qty_lots
                    if own[i].acted_ns != NEVER_NS and now_ns - own[i].acted_ns >= DOUBT_NS:
                        ours_least += own[i].qty_lots
            if step == 0 and ours_most < own_best_lots:
                ours_least += own_best_lots - ours_most
                ours_most = own_best_lots
            for i in range(self.gone_count if now_ns - self.gone_ns < DOUBT_NS else 0):
                if (
                    self.gone[i].price_ticks == price_ticks and self.gone[i].side == side
                    and 0 <= now_ns - self.gone[i].acted_ns < DOUBT_NS
                ):
                    ours_most += self.gone[i].qty_lots
            least = shown - ours_most if shown > ours_most else 0
            most = shown - ours_least if shown > ours_least else 0
            out.price_ticks = price_ticks
            out.shown_lots = shown
            out.gained_lots = 0
            if price_ticks != old.price_ticks:
                if least > 0:
                    out.least_lots = least
                    out.most_lots = most
                    return True
            elif most > 0:
                if least > old.most_lots or most < old.least_lots:
                    # What only our knowledge of our own orders changed is no order of others.
                    if shown != old.shown_lots:
                        out.gained_lots = least - old.most_lots if least > old.most_lots else most - old.least_lots
                    out.least_lots = least
                    out.most_lots = most
                else:
                    out.least_lots = least if least > old.least_lots else old.least_lots
                    out.most_lots = most if most < old.most_lots else old.most_lots
                return True
            price_ticks = book.worse_c(side, price_ticks)
        return False

    cdef void own_before_c(self, const OwnQty* own, int own_count) noexcept nogil:
        if self.own_changed:
            self.remember_c(own, own_count, self.looked_ns)
        self.own_changed = True
        self.before_count = own_count
        memcpy(&self.before[0], own, own_count * sizeof(OwnQty))

    cdef void remember_c(self, const OwnQty* own, int own_count, int64_t now_ns) noexcept nogil:
        """Keep what was ours and is no more, at the best prices of others and inside them."""
        cdef int64_t lots, away
        cdef int i, k
        cdef const OwnQty* old
        self.own_changed = False
        self.own_best_ticks[<int>BID] = NO_BID_TICKS
        self.own_best_ticks[<int>ASK] = NO_ASK_TICKS
        for i in range(own_count):
            if own[i].side == BID:
                if own[i].price_ticks > self.own_best_ticks[<int>BID]:
                    self.own_best_ticks[<int>BID] = own[i].price_ticks
            elif own[i].price_ticks < self.own_best_ticks[<int>ASK]:
                self.own_best_ticks[<int>ASK] = own[i].price_ticks
        for i in range(self.before_count):
            old = &self.before[i]
            away = old.price_ticks - self.touch[old.side].price_ticks
            if away < 0 if old.side == BID else away > 0:
                continue
            lots = 0
            for k in range(self.before_count):
                if self.before[k].price_ticks == old.price_ticks and self.before[k].side == old.side:
                    if k < i:
                        break  # counted with the first of its level
                    lots += self.before[k].qty_lots
            for k in range(own_count):
                if own[k].price_ticks == old.price_ticks and own[k].side == old.side:
                    lots -= own[k].qty_lots
            if lots > 0:
                self.gone[self.gone_next] = old[0]
                self.gone[self.gone_next].qty_lots = lots
                self.gone[self.gone_next].acted_ns = now_ns
                self.gone_ns = now_ns
                self.gone_next = (self.gone_next + 1) % GONE_MAX
                if self.gone_count < GONE_MAX:
                    self.gone_count += 1

    # ---------------------------------------------------------------- Python face

    @property
    def ofi_ppm(self):
        """Order-flow imbalance over the usual best quantity: -1e6 (supply) to 1e6 (demand)."""
        return self.ofi_ppm


cdef inline double move_c(const Touch* old, const Touch* new, int64_t better_ticks) noexcept nogil:
    """Give what the best of a side gained: e_n of the source, one side of it."""
    if better_ticks > 0:
        return <double>new.least_lots
    if better_ticks < 0:
        return -<double>old.least_lots
    return <double>new.gained_lots


cdef inline double others_c(Touch* touch, int64_t price_ticks, int64_t shown_lots, bint ask) noexcept nogil:
    """Follow a best level that is all of others; returns what the side gained, as `best_c` and `move_c` do."""
    cdef int64_t gained = 0
    if price_ticks == touch.price_ticks:
        if shown_lots != touch.shown_lots:
            if shown_lots > touch.most_lots:
                gained = shown_lots - touch.most_lots
            elif shown_lots < touch.least_lots:
                gained = shown_lots - touch.least_lots
            touch.shown_lots = shown_lots
    else:
        gained = shown_lots if (price_ticks < touch.price_ticks) == ask else -touch.least_lots
        touch.price_ticks = price_ticks
        touch.shown_lots = shown_lots
    touch.least_lots = shown_lots
    touch.most_lots = shown_lots
    return <double>gained
