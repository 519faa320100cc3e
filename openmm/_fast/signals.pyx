"""Volatility, spread, depth, imbalances and flows of one book, each in constant memory.

Between samples a book message costs a microprice and a comparison. At the first message at least
`sample_ns` after the sample before, the estimators move: variance per second over two horizons,
means of spread and depth. Depth is read from the book on samples only. Trades move the flow.

Floats live inside; `quantise_c` alone turns them into the integers others read. The operations and
their order are fixed and the exponential is our own, so the same input gives the same bits anywhere.
Formulas: docs/strategy.md, "Signals". Executable specification: tests/oracles/signals.py.
"""

from cython cimport final

from libc.math cimport fabs, sqrt
from libc.stdint cimport int64_t

from openmm._fast.book cimport BOOK_VERIFIED, NO_ASK_TICKS, NO_BID_TICKS, Book
from openmm._fast.orderflow cimport NEVER_NS, OrderFlow
from openmm._fast.units cimport ASK, BID, BUY, MISSING, PPM, SELL, UTICKS, exp_c, floor_div

cdef enum:
    WANT_ALL = 7
    WALK_MAX = 16           # levels looked at to find the best one that is not only ours
    FLOW_SLOW = 8           # the slow volume halves every FLOW_SLOW * flow_ns; a power of two
    FLOW_STEPS = 128        # steps a half-life in which an idle flow is decayed

# What a state consists of, by what its values have to be: whole from a number on, sums from 0, weights.
cdef tuple WHOLE = (
    ("sampled_ns", 0), ("sampled_uticks", 0), ("sample_count", 3), ("spread_ticks", 0),
    ("sigma_uticks", 0), ("depth_lots", 0), ("flow_at_ns", 0), ("jump", 0), ("jump_uticks", 0),
    ("jumped_ns", 0), ("ofi_at_ns", 0),
)
cdef tuple SUMS = ("best_sum", "var_fast", "var_slow", "spread_sum", "depth_sum", "flow_total", "flow_slow", "flow_scale")
cdef tuple WEIGHTS = ("var_fast_weight", "var_slow_weight", "mean_weight")

cdef double LN2 = 0.6931471805599453
cdef double QUANTUM_MAX = 9.0e18


cdef int64_t quantise_c(double value) noexcept nogil:
    """Round to the nearest integer, halves away from zero; MISSING when not a number or too large."""
    if not -QUANTUM_MAX < value < QUANTUM_MAX:
        return MISSING
    return <int64_t>(value + 0.5) if value >= 0 else <int64_t>(value - 0.5)


cdef double halved_c(int64_t span_ns, int64_t half_life_ns) noexcept nogil:
    """Give 2 ** -(span / half-life)."""
    return exp_c(-LN2 * (<double>span_ns / <double>half_life_ns))


@final
cdef class Signals:
    """Estimate what the market around one book is like.

    Args:
        sample_ns: least time between two samples of the fair value; keeps bounce out.
        vol_fast_ns, vol_slow_ns: half-lives of the two variances; the larger one counts.
        flow_ns: half-life of the trade flow.
        depth_ns: half-life of the means of depth and spread.
        depth_distance_ticks: depth counts quantity within this distance of the best price.
        depth_distance_ppm: the same as a share of the best price; 0: the ticks count.
        jump_sigma_ppm: a move beyond this many millionths of a sigma sets `jump` for one sample.
        sigma_floor_uticks: least volatility told, per square root of a second.
        ofi_ns: half-life of the order-flow imbalance.
        wanted: `Want` bits of the estimators that are computed; those of others stay 0.
        fair: the `Fair` value that `micro_ppm` is of.
        fair_levels: levels a side that are read for it, at most 10; the microprice reads one.
        fair_decay_uticks: distance from the best price at which a level counts e times less
            (`FAIR_DEPTH`); 0: all count alike.
        fair_ticklots: the amount of one side (`FAIR_VAMP`); where the levels hold less, they count.

    Source: docs/strategy.md. The fair value is the microprice of Gatheral and Oomen (opposite-side
    weights); variance of irregular samples weighs each squared return by 1 - 2**-(dt/half-life).
    """

    def __cinit__(
        self,
        *,
        int64_t sample_ns=250_000_000,
        int64_t vol_fast_ns=10_000_000_000,
        int64_t vol_slow_ns=120_000_000_000,
        int64_t flow_ns=10_000_000_000,
        int64_t depth_ns=60_000_000_000,
        int64_t depth_distance_ticks=100,
        int64_t depth_distance_ppm=0,
        int64_t jump_sigma_ppm=6_000_000,
        int64_t sigma_floor_uticks=0,
        int64_t ofi_ns=1_000_000_000,
        int64_t wanted=0,
        int fair=0,
        int fair_levels=5,
        int64_t fair_decay_uticks=0,
        int64_t fair_ticklots=1,
    ):
        for name, value in (
            ("sample_ns", sample_ns), ("vol_fast_ns", vol_fast_ns), ("vol_slow_ns", vol_slow_ns),
            ("flow_ns", flow_ns), ("depth_ns", depth_ns), ("jump_sigma_ppm", jump_sigma_ppm),
            ("ofi_ns", ofi_ns),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be positive: {value}")
        if vol_slow_ns < vol_fast_ns:
            raise ValueError(f"vol_slow_ns is below vol_fast_ns {vol_fast_ns}: {vol_slow_ns}")
        if depth_distance_ticks < 0 or depth_distance_ticks > 1 << 40:
            raise ValueError(f"depth_distance_ticks must be 0 to 2**40: {depth_distance_ticks}")
        if depth_distance_ppm < 0 or depth_distance_ppm > PPM:
            raise ValueError(f"depth_distance_ppm must be 0 to 1000000: {depth_distance_ppm}")
        if sigma_floor_uticks < 0:
            raise ValueError(f"sigma_floor_uticks must not be negative: {sigma_floor_uticks}")
        if fair not in tuple(Fair):
            raise ValueError(f"fair must be a Fair: {fair}")
        if not 1 <= fair_levels <= FAIR_LEVELS_MAX:
            raise ValueError(f"fair_levels must be 1 to {FAIR_LEVELS_MAX}: {fair_levels}")
        if fair_decay_uticks < 0:
            raise ValueError(f"fair_decay_uticks must not be negative: {fair_decay_uticks}")
        if fair_ticklots <= 0:
            raise ValueError(f"fair_ticklots must be positive: {fair_ticklots}")
        self.params.fair = fair
        self.params.fair_levels = fair_levels
        self.params.fair_decay_uticks = fair_decay_uticks
        self.params.fair_ticklots = fair_ticklots
        self.fair_uticks = MISSING
        self.params.sample_ns = sample_ns
        self.params.vol_fast_ns = vol_fast_ns
        self.params.vol_slow_ns = vol_slow_ns
        self.params.flow_ns = flow_ns
        self.params.depth_ns = depth_ns
        self.params.depth_distance_ticks = depth_distance_ticks
        self.params.depth_distance_ppm = depth_distance_ppm
        self.params.jump_sigma_ppm = jump_sigma_ppm
        self.params.sigma_floor_uticks = sigma_floor_uticks
        self.params.ofi_ns = ofi_ns
        self.order_flow = OrderFlow(ofi_ns)
        self.set_wanted(wanted)
        self.flow_step_ns = floor_div(flow_ns, FLOW_STEPS) + 1
        self.mid_uticks = MISSING
        self.microprice_uticks = MISSING
        self.best_bid_ticks = NO_BID_TICKS
        self.best_ask_ticks = NO_ASK_TICKS
        self.sigma_uticks = sigma_floor_uticks

    # ---------------------------------------------------------------- C face

    cdef void on_book_c(
        self, Book book, int64_t now_ns, int64_t own_bid_lots, int64_t own_ask_lots
    ) noexcept nogil:
        cdef int64_t bid_ticks = book.best_bid_ticks
        cdef int64_t ask_ticks = book.best_ask_ticks
        cdef int64_t bid_lots, ask_lots, spread_ticks
        if book.state != BOOK_VERIFIED or bid_ticks == NO_BID_TICKS or ask_ticks == NO_ASK_TICKS \
                or bid_ticks >= ask_ticks:
            self.mid_uticks = MISSING
            self.microprice_uticks = MISSING
            self.lose_c()
            return
        bid_lots = book.qty_at_c(BID, bid_ticks) - own_bid_lots
        if bid_lots <= 0:
            bid_ticks = self.others_best_c(book, BID, bid_ticks, &bid_lots)
        ask_lots = book.qty_at_c(ASK, ask_ticks) - own_ask_lots
        if ask_lots <= 0:
            ask_ticks = self.others_best_c(book, ASK, ask_ticks, &ask_lots)
        self.best_bid_ticks = bid_ticks
        self.best_ask_ticks = ask_ticks
        if bid_ticks == NO_BID_TICKS or ask_ticks == NO_ASK_TICKS:
            self.mid_uticks = MISSING
            self.microprice_uticks = MISSING
            self.lose_c()
            return
        spread_ticks = ask_ticks - bid_ticks
        self.mid_uticks = (bid_ticks + ask_ticks) * (UTICKS // 2)
        # Opposite-side weights: much quantity on the bid pushes the fair value up to the ask.
        self.microprice_uticks = bid_ticks * UTICKS + quantise_c(
            <double>(spread_ticks * UTICKS) * (<double>bid_lots / <double>(bid_lots + ask_lots))
        )
        if self.params.wanted:
            self.measure_c(book, now_ns, bid_lots, ask_lots, own_bid_lots, own_ask_lots)
        if self.sample_count == 0 or now_ns - self.sampled_ns >= self.params.sample_ns:
            self.spread_ticks = spread_ticks
            self.sample_c(book, now_ns, own_bid_lots, own_ask_lots)
        else:
            if now_ns < self.sampled_ns:
                # Time went back: start the next interval here, with no return and no decay.
                self.sampled_ns = now_ns
                self.sampled_uticks = self.microprice_uticks
            if spread_ticks == self.spread_ticks:
                return
            self.spread_ticks = spread_ticks
        self.spread_compression_ppm = quantise_c(
            PPM * (1.0 - <double>(spread_ticks * UTICKS) / (self.spread_sum / self.mean_weight))
        )

    cdef void measure_c(
        self, Book book, int64_t now_ns, int64_t bid_lots, int64_t ask_lots, int64_t own_bid_lots,
        int64_t own_ask_lots
    ) noexcept nogil:
        """Compute what is wanted of each message; `bid_lots`, `ask_lots` are others' at their best prices."""
        cdef double bids, asks
        if self.params.wanted & WANT_MICRO:
            self.fair_uticks = self.microprice_uticks
            if self.params.fair == FAIR_DEPTH:
                bids = self.weight_c(book, BID, self.best_bid_ticks, bid_lots)
                asks = self.weight_c(book, ASK, self.best_ask_ticks, ask_lots)
                self.fair_uticks = self.best_bid_ticks * UTICKS + quantise_c(
                    <double>((self.best_ask_ticks - self.best_bid_ticks) * UTICKS) * (bids / (bids + asks))
                )
            elif self.params.fair == FAIR_VAMP:
                bids = self.cost_c(book, BID, self.best_bid_ticks, bid_lots)
                asks = self.cost_c(book, ASK, self.best_ask_ticks, ask_lots)
                # Distances from the best prices: the mid's own digits stay out of the rounding.
                self.fair_uticks = self.mid_uticks + quantise_c(0.5 * UTICKS * (asks - bids))
            # The mid is half a tick or more.
            self.micro_ppm = quantise_c(
                PPM * (<double>(self.fair_uticks - self.mid_uticks) / <double>self.mid_uticks)
            )
        if self.params.wanted & WANT_OFI:
            self.order_flow.look_c(
                book, now_ns, &self.own[0], self.own_count, own_bid_lots, own_ask_lots, bid_lots, ask_lots
            )

    cdef void sample_c(
        self, Book book, int64_t now_ns, int64_t own_bid_lots, int64_t own_ask_lots
    ) noexcept nogil:
        cdef int64_t bid_depth_lots, ask_depth_lots, span_ns
        cdef double keep, move, seconds, rate, variance, other, floor
        span_ns = now_ns - self.sampled_ns if self.sample_count > 0 else self.params.sample_ns

        if self.sample_count > 0:
            move = <double>(self.microprice_uticks - self.sampled_uticks)
            seconds = <double>span_ns / 1.0e9
            rate = move * move / seconds
            floor = <double>self.params.sigma_floor_uticks
            self.jump = False
            if self.sample_count > 1:
                variance = self.var_fast / self.var_fast_weight
                other = self.var_slow / self.var_slow_weight
                if other > variance:
                    variance = other
                if floor * floor > variance:
                    variance = floor * floor
                self.jump = fabs(move) > (
                    <double>self.params.jump_sigma_ppm / PPM * sqrt(variance * seconds)
                )
                if self.jump:
                    self.jump_uticks = quantise_c(fabs(move))
                    self.jumped_ns = now_ns
            keep = halved_c(span_ns, self.params.vol_fast_ns)
            self.var_fast = self.var_fast * keep + (1.0 - keep) * rate
            self.var_fast_weight = self.var_fast_weight * keep + (1.0 - keep)
            keep = halved_c(span_ns, self.params.vol_slow_ns)
            self.var_slow = self.var_slow * keep + (1.0 - keep) * rate
            self.var_slow_weight = self.var_slow_weight * keep + (1.0 - keep)
            variance = self.var_fast / self.var_fast_weight
            other = self.var_slow / self.var_slow_weight
            if other > variance:
                variance = other
            self.sigma_uticks = quantise_c(sqrt(variance))
            # Not a number stays MISSING, which every reader refuses.
            if self.sigma_uticks != MISSING and self.sigma_uticks < self.params.sigma_floor_uticks:
                self.sigma_uticks = self.params.sigma_floor_uticks

        bid_depth_lots = self.others_depth_c(book, BID, self.best_bid_ticks, own_bid_lots)
        ask_depth_lots = self.others_depth_c(book, ASK, self.best_ask_ticks, own_ask_lots)
        self.depth_lots = bid_depth_lots if bid_depth_lots < ask_depth_lots else ask_depth_lots
        if self.params.wanted & WANT_IMBALANCE:
            self.imbalance_ppm = 0
            if bid_depth_lots + ask_depth_lots > 0:
                self.imbalance_ppm = quantise_c(
                    PPM * (<double>(bid_depth_lots - ask_depth_lots) / <double>(bid_depth_lots + ask_depth_lots))
                )
        keep = halved_c(span_ns, self.params.depth_ns)
        if self.params.wanted & WANT_OFI:
            self.order_flow.sample_c(keep)
        self.mean_weight = self.mean_weight * keep + (1.0 - keep)
        self.spread_sum = self.spread_sum * keep + (1.0 - keep) * <double>(self.spread_ticks * UTICKS)
        self.depth_sum = self.depth_sum * keep + (1.0 - keep) * <double>self.depth_lots
        self.spread_mean_uticks = quantise_c(self.spread_sum / self.mean_weight)
        self.depth_mean_lots = quantise_c(self.depth_sum / self.mean_weight)

        self.sampled_ns = now_ns
        self.sampled_uticks = self.microprice_uticks
        self.sample_count += 1
        # Two returns need three samples. Flow is not waited for: no trades is a flow of nothing.
        self.warm = self.sample_count > 2

    cdef void on_trade_c(
        self, int64_t now_ns, int taker_side, int64_t price_ticks, int64_t qty_lots
    ) noexcept nogil:
        if qty_lots <= 0 or (taker_side != BUY and taker_side != SELL):
            return
        self.flow_to_c(now_ns)
        if taker_side == BUY:
            self.flow_signed += <double>qty_lots
        else:
            self.flow_signed -= <double>qty_lots
        self.flow_total += <double>qty_lots
        self.flow_slow += <double>qty_lots
        # Against the usual volume, so that dust after a silence is not a full signal.
        self.flow_scale = self.flow_slow / FLOW_SLOW
        if self.flow_total > self.flow_scale:
            self.flow_scale = self.flow_total
        self.flow_ppm = quantise_c(PPM * (self.flow_signed / self.flow_scale))

    cdef double weight_c(self, Book book, int side, int64_t price_ticks, int64_t best_lots) noexcept nogil:
        """Sum what others have on a side's levels, from their best on, each less the further off."""
        cdef int64_t none = NO_BID_TICKS if side == BID else NO_ASK_TICKS
        cdef int64_t best_ticks = price_ticks
        cdef int64_t lots
        cdef int levels = 1
        cdef int _step
        cdef double total = <double>best_lots
        for _step in range(WALK_MAX):
            if levels >= self.params.fair_levels:
                break
            price_ticks = book.worse_c(side, price_ticks)
            if price_ticks == none:
                break
            lots = book.qty_at_c(side, price_ticks) - self.own_at_c(side, price_ticks)
            if lots <= 0:
                continue
            levels += 1
            if self.params.fair_decay_uticks > 0:
                total += <double>lots * exp_c(
                    -fabs(<double>(price_ticks - best_ticks)) * UTICKS / <double>self.params.fair_decay_uticks
                )
            else:
                total += <double>lots
        return total

    cdef double cost_c(self, Book book, int side, int64_t price_ticks, int64_t best_lots) noexcept nogil:
        """Tell how far from others' best the mean price of the amount lies, in ticks away from the market."""
        cdef int64_t none = NO_BID_TICKS if side == BID else NO_ASK_TICKS
        cdef int64_t best_ticks = price_ticks
        cdef int64_t lots = best_lots
        cdef int levels = 0
        cdef int _step
        cdef double left = <double>self.params.fair_ticklots
        cdef double taken, away
        cdef double qty = 0
        cdef double moved = 0
        for _step in range(WALK_MAX):
            if lots > 0:
                levels += 1
                away = fabs(<double>(price_ticks - best_ticks))
                taken = <double>lots
                if taken * <double>price_ticks >= left:
                    taken = left / <double>price_ticks
                    levels = FAIR_LEVELS_MAX
                qty += taken
                moved += taken * away
                left -= taken * <double>price_ticks
                if levels >= self.params.fair_levels:
                    break
            price_ticks = book.worse_c(side, price_ticks)
            if price_ticks == none:
                break
            lots = book.qty_at_c(side, price_ticks) - self.own_at_c(side, price_ticks)
        return moved / qty

    cdef void lose_c(self) noexcept nogil:
        self.micro_ppm = 0
        self.fair_uticks = MISSING
        self.order_flow.lose_c()

    cdef void decay_c(self, int64_t now_ns) noexcept nogil:
        if self.params.wanted & WANT_OFI:
            self.order_flow.decay_c(now_ns)
        if self.flow_ppm == 0 and self.flow_scale == 0:
            return
        if 0 <= now_ns - self.flow_at_ns < self.flow_step_ns:
            return
        self.flow_to_c(now_ns)
        self.flow_ppm = quantise_c(PPM * (self.flow_signed / self.flow_scale))

    cdef void flow_to_c(self, int64_t now_ns) noexcept nogil:
        """Decay the flow sums to `now_ns`; time that goes back decays nothing."""
        cdef double slow, fast
        cdef int64_t span_ns = now_ns - self.flow_at_ns
        if span_ns == 0:
            return
        self.flow_at_ns = now_ns
        if span_ns < 0 or self.flow_slow == 0:
            return
        slow = halved_c(span_ns, FLOW_SLOW * self.params.flow_ns)
        fast = slow * slow
        fast = fast * fast
        fast = fast * fast
        self.flow_signed = self.flow_signed * fast
        self.flow_total = self.flow_total * fast
        self.flow_slow = self.flow_slow * slow

    cdef int64_t others_best_c(
        self, Book book, int side, int64_t price_ticks, int64_t* qty_lots
    ) noexcept nogil:
        """Find the best level behind `price_ticks` that is not only ours; the sentinel when none near."""
        cdef int64_t none = NO_BID_TICKS if side == BID else NO_ASK_TICKS
        cdef int64_t lots
        cdef int _step
        for _step in range(WALK_MAX):
            price_ticks = book.worse_c(side, price_ticks)
            if price_ticks == none:
                break
            lots = book.qty_at_c(side, price_ticks) - self.own_at_c(side, price_ticks)
            if lots > 0:
                qty_lots[0] = lots
                return price_ticks
        qty_lots[0] = 0
        return none

    cdef int64_t others_depth_c(
        self, Book book, int side, int64_t price_ticks, int64_t own_best_lots
    ) noexcept nogil:
        """Sum what others have within the depth distance of their own best, `price_ticks`."""
        cdef int64_t reach = self.params.depth_distance_ticks
        cdef int64_t ours = 0
        cdef int64_t lots, away
        cdef int i
        if self.params.depth_distance_ppm:
            # Prices are below 2**40: the product has 60 bits.
            reach = floor_div(price_ticks * self.params.depth_distance_ppm, PPM)
        for i in range(self.own_count):
            if self.own[i].side != side:
                continue
            away = price_ticks - self.own[i].price_ticks
            if side == ASK:
                away = -away
            if away <= reach:
                ours += self.own[i].qty_lots
        if ours < own_best_lots:
            ours = own_best_lots
        reach += book.best_bid_ticks - price_ticks if side == BID else price_ticks - book.best_ask_ticks
        lots = book.depth_c(side, reach) - ours
        return lots if lots > 0 else 0

    cdef int64_t own_at_c(self, int side, int64_t price_ticks) noexcept nogil:
        cdef int64_t lots = 0
        cdef int i
        for i in range(self.own_count):
            if self.own[i].price_ticks == price_ticks and self.own[i].side == side:
                lots += self.own[i].qty_lots
        return lots

    cdef void own_clear_c(self) noexcept nogil:
        if self.params.wanted & WANT_OFI:
            self.order_flow.own_before_c(&self.own[0], self.own_count)
        self.own_count = 0

    cdef bint own_add_c(
        self, int side, int64_t price_ticks, int64_t qty_lots, int64_t acted_ns
    ) noexcept nogil:
        if self.own_count >= OWN_MAX:
            return False
        self.own[self.own_count].side = side
        self.own[self.own_count].price_ticks = price_ticks
        self.own[self.own_count].qty_lots = qty_lots
        self.own[self.own_count].acted_ns = acted_ns
        self.own_count += 1
        return True

    # ---------------------------------------------------------------- Python face

    def on_book(self, Book book not None, int64_t now_ns, int64_t own_bid_lots=0, int64_t own_ask_lots=0):
        """Read the book after a message at `now_ns`.

        Args:
            book: the book these signals belong to; nothing is read unless it is verified.
            own_bid_lots, own_ask_lots: own resting quantity at the book's best prices.

        Raises:
            ValueError: a negative own quantity.
        """
        if own_bid_lots < 0 or own_ask_lots < 0:
            raise ValueError(f"own quantity must not be negative: {(own_bid_lots, own_ask_lots)}")
        self.on_book_c(book, now_ns, own_bid_lots, own_ask_lots)

    def on_trade(self, int64_t now_ns, int taker_side, int64_t price_ticks, int64_t qty_lots):
        """Count a trade of the market; `taker_side` is BUY or SELL.

        Raises:
            ValueError: another side, or a quantity that is not positive.
        """
        if taker_side not in (BUY, SELL):
            raise ValueError(f"taker_side must be BUY or SELL: {taker_side}")
        if qty_lots <= 0:
            raise ValueError(f"qty_lots must be positive: {qty_lots}")
        self.on_trade_c(now_ns, taker_side, price_ticks, qty_lots)

    def decay(self, int64_t now_ns):
        """Bring the flow up to date without a trade."""
        self.decay_c(now_ns)

    def set_own(self, orders):
        """Tell the own live orders of this book.

        Args:
            orders: (book side, price_ticks, qty_lots) of each, or with a fourth value: when it was
                last asked for, None while nobody knows whether it rests. Without one it rests for sure.

        Raises:
            ValueError: a bad side or quantity, or more than 128 orders; none is kept then.
        """
        self.own_clear_c()
        for side, price_ticks, qty_lots, *acted in orders:
            acted_ns = acted[0] if acted else -NEVER_NS
            if side not in (BID, ASK) or qty_lots <= 0 or not self.own_add_c(
                side, price_ticks, qty_lots, NEVER_NS if acted_ns is None else acted_ns
            ):
                self.own_count = 0
                raise ValueError(f"own order not accepted: {(side, price_ticks, qty_lots)}")

    def lose(self):
        """Tell that the book has a gap: what it shows next is not compared with what it showed."""
        self.lose_c()

    def set_wanted(self, int64_t wanted):
        """Change what is computed; an estimator that is switched off or on knows nothing.

        Args:
            wanted: `Want` bits.

        Raises:
            ValueError: other bits.
        """
        if not 0 <= wanted <= WANT_ALL:
            raise ValueError(f"wanted must be Want bits, 0 to {WANT_ALL}: {wanted}")
        changed = self.params.wanted ^ wanted
        self.params.wanted = wanted
        if changed & WANT_MICRO:
            self.micro_ppm = 0
            self.fair_uticks = MISSING
        if changed & WANT_IMBALANCE:
            self.imbalance_ppm = 0
        if changed & WANT_OFI:
            self.order_flow.clear_c()

    def state(self):
        """Return what the estimators know, for signals that go on from here in a later process."""
        return {
            "sampled_ns": self.sampled_ns, "sampled_uticks": self.sampled_uticks,
            "sample_count": self.sample_count, "spread_ticks": self.spread_ticks,
            "var_fast": self.var_fast, "var_fast_weight": self.var_fast_weight,
            "var_slow": self.var_slow, "var_slow_weight": self.var_slow_weight,
            "spread_sum": self.spread_sum, "depth_sum": self.depth_sum,
            "mean_weight": self.mean_weight, "sigma_uticks": self.sigma_uticks,
            "depth_lots": self.depth_lots,
            "flow_at_ns": self.flow_at_ns, "flow_signed": self.flow_signed,
            "flow_total": self.flow_total, "flow_slow": self.flow_slow,
            "flow_scale": self.flow_scale,
            "imbalance_ppm": self.imbalance_ppm, "ofi_at_ns": self.order_flow.at_ns,
            "ofi_signed": self.order_flow.signed_sum, "best_sum": self.order_flow.best_sum,
            "best_weight": self.order_flow.best_weight,
            "jump": int(self.jump), "jump_uticks": self.jump_uticks, "jumped_ns": self.jumped_ns,
        }

    def restore(self, state):
        """Go on from an earlier state; the time between counts as one long interval.

        Args:
            state: of signals with the same parameters, on the same units.

        Raises:
            ValueError: signals that have sampled already; no such state.
        """
        if self.sample_count:
            raise ValueError("the signals have samples of their own")
        try:
            for name, low in WHOLE:
                if not isinstance(state[name], int) or not low <= state[name] < 1 << 62:
                    raise ValueError(f"{name} must be a whole number from {low}: {state[name]!r}")
            for name in SUMS:
                if not 0.0 <= state[name] < QUANTUM_MAX:
                    raise ValueError(f"{name} must be from 0: {state[name]!r}")
            for name in WEIGHTS:
                if not 0.0 < state[name] <= 1.0:
                    raise ValueError(f"{name} must be within 0 and 1: {state[name]!r}")
            if not 0.0 <= state["best_weight"] <= 1.0:
                raise ValueError(f"best_weight must be within 0 and 1: {state['best_weight']!r}")
            if not fabs(state["ofi_signed"]) < QUANTUM_MAX:
                raise ValueError(f"ofi_signed must be a number in range: {state['ofi_signed']!r}")
            if not isinstance(state["imbalance_ppm"], int) or not -PPM <= state["imbalance_ppm"] <= PPM:
                raise ValueError(f"imbalance_ppm must be within -1e6 and 1e6: {state['imbalance_ppm']!r}")
            if not fabs(state["flow_signed"]) <= state["flow_total"]:
                raise ValueError(f"flow_signed is beyond flow_total: {state['flow_signed']!r}")
        except (KeyError, TypeError) as error:
            raise ValueError(f"no state of signals: {error!r}") from None
        self.sampled_ns, self.sampled_uticks = state["sampled_ns"], state["sampled_uticks"]
        self.sample_count, self.spread_ticks = state["sample_count"], state["spread_ticks"]
        self.var_fast, self.var_fast_weight = state["var_fast"], state["var_fast_weight"]
        self.var_slow, self.var_slow_weight = state["var_slow"], state["var_slow_weight"]
        self.spread_sum, self.depth_sum = state["spread_sum"], state["depth_sum"]
        self.mean_weight = state["mean_weight"]
        self.sigma_uticks, self.depth_lots = state["sigma_uticks"], state["depth_lots"]
        self.flow_at_ns, self.flow_signed = state["flow_at_ns"], state["flow_signed"]
        self.flow_total, self.flow_slow = state["flow_total"], state["flow_slow"]
        self.flow_scale = state["flow_scale"]
        if self.params.wanted & WANT_IMBALANCE:
            self.imbalance_ppm = state["imbalance_ppm"]
        if self.params.wanted & WANT_OFI:
            self.order_flow.at_ns, self.order_flow.signed_sum = state["ofi_at_ns"], state["ofi_signed"]
            self.order_flow.best_sum = state["best_sum"]
            self.order_flow.best_weight = state["best_weight"]
            self.order_flow.tell_c()
        self.jump, self.jump_uticks = state["jump"], state["jump_uticks"]
        self.jumped_ns = state["jumped_ns"]
        if self.sigma_uticks < self.params.sigma_floor_uticks:
            self.sigma_uticks = self.params.sigma_floor_uticks
        self.spread_mean_uticks = quantise_c(self.spread_sum / self.mean_weight)
        self.depth_mean_lots = quantise_c(self.depth_sum / self.mean_weight)
        if self.flow_scale > 0:
            self.flow_ppm = quantise_c(PPM * (self.flow_signed / self.flow_scale))
        self.warm = True

    @property
    def mid_uticks(self):
        """Mid of the best prices of others, None when there is none."""
        return None if self.mid_uticks == MISSING else self.mid_uticks

    @property
    def microprice_uticks(self):
        """Fair value: best prices weighted by the quantity opposite, None when there is none."""
        return None if self.microprice_uticks == MISSING else self.microprice_uticks

    @property
    def best_bid_ticks(self):
        """Best bid of others, None when there is none."""
        return None if self.best_bid_ticks == NO_BID_TICKS else self.best_bid_ticks

    @property
    def best_ask_ticks(self):
        """Best ask of others, None when there is none."""
        return None if self.best_ask_ticks == NO_ASK_TICKS else self.best_ask_ticks

    @property
    def spread_ticks(self):
        """Spread between the best prices of others."""
        return self.spread_ticks

    @property
    def spread_mean_uticks(self):
        """Mean spread over samples."""
        return self.spread_mean_uticks

    @property
    def spread_compression_ppm(self):
        """1e6 * (1 - spread / mean): positive when tighter than usual, negative when wider."""
        return self.spread_compression_ppm

    @property
    def sigma_uticks(self):
        """Volatility per square root of a second, None when it cannot be told."""
        return None if self.sigma_uticks == MISSING else self.sigma_uticks

    @property
    def depth_lots(self):
        """Quantity of others within the depth distance, of the thinner side, at the last sample."""
        return self.depth_lots

    @property
    def depth_mean_lots(self):
        """Mean of `depth_lots` over samples."""
        return self.depth_mean_lots

    @property
    def flow_ppm(self):
        """Signed taker volume over the usual total, -1e6 (all sells) to 1e6 (all buys)."""
        return self.flow_ppm

    @property
    def wanted(self):
        """`Want` bits of what is computed."""
        return self.params.wanted

    @property
    def fair_uticks(self):
        """Fair value of the kind that was asked for; None when there is none, or it is not wanted."""
        return None if self.fair_uticks == MISSING else self.fair_uticks

    @property
    def micro_ppm(self):
        """Fair value less the mid, of the mid; 0 unless wanted."""
        return self.micro_ppm

    @property
    def imbalance_ppm(self):
        """Depth of the bids less that of the asks over both, at the last sample; 0 unless wanted."""
        return self.imbalance_ppm

    @property
    def ofi_ppm(self):
        """Order-flow imbalance over the usual best quantity, -1e6 to 1e6; 0 unless wanted."""
        return self.order_flow.ofi_ppm

    @property
    def jump(self):
        """Whether the last sample moved further than `jump_sigma_ppm` allows."""
        return self.jump

    @property
    def jump_uticks(self):
        """How far the last jump went, either way; 0 when there was none yet."""
        return self.jump_uticks

    @property
    def jumped_ns(self):
        """When the sample of the last jump was taken."""
        return self.jumped_ns

    @property
    def warm(self):
        """Whether every estimator of the book has at least two samples."""
        return self.warm

    @property
    def sample_count(self):
        """Samples taken so far."""
        return self.sample_count
