"""How often trades reach a distance from the mid, and the exponential that fits it, in constant memory.

Time is cut into intervals of `sample_ns`. Of each, and of each side, what counts is how far from the
mid at its start trades went: a quote nearer than that would have been reached. A trade costs a
comparison; counts move and the exponential is fitted at the ends of intervals only. Floats live
inside; `fit_c` alone turns them into the integers others read. The operations and their order are
fixed and the logarithm is our own, so the same input gives the same bits anywhere.
Formulas: docs/strategy.md, "Intensity". Executable specification: tests/oracles/intensity.py.
"""

from cython cimport final

from libc.stdint cimport int64_t

from openmm._fast.units cimport BUY, MISSING, SELL, UTICKS, exp_c, floor_div, log_c

cdef enum:
    HALF_TICK = 500_000             # mids and trades are whole half ticks apart
    NEAREST_PER_PRICE = 500_000     # the nearest distance is this part of the price, or half a tick
    RATIO_MORE = 3                  # a distance is this part further than the one before, or half a tick
    RATIO_OF = 16
    POINTS_MIN = 3                  # distances a fit needs
    REFITS = 64                     # fits a half-life

# What a fit takes of a distance: so many decayed hits; not nearly every interval hit, as its rate is
# lost then; the last of those that as good as every trade reached, as they tell nothing of the decay.
cdef double HITS_MIN = 5.0
cdef double HITS_ALL_MIN = 20.0     # at the nearest distance
cdef double SHARE_MAX = 0.99
cdef double HEAD = 0.98

cdef int64_t MID_MAX = <int64_t>UTICKS << 40
cdef int64_t NEAREST_MAX = <int64_t>UTICKS << 21

cdef double LN2 = 0.6931471805599453
cdef double DECAY_MAX = 1.0e15      # of a fit that is told: a flatter one is none
cdef double RATE_MAX = 1.0e15


@final
cdef class Intensity:
    """Fit the rate at which one side's quotes at a distance are reached: A * exp(-k * distance).

    Args:
        sample_ns: length of the intervals; distances are from the mid at their start.
        half_life_ns: time in which what was seen loses half its weight.
        price_ticks: of the instrument, about: distances begin at 2 ppm of it, at half a tick at least.

    Source: docs/strategy.md; Avellaneda and Stoikov, Quantitative Finance 8(3), 2008, section 2.5 (the
    exponential form). Assumes that arrivals within an interval are Poisson.
    """

    def __cinit__(self, *, int64_t sample_ns, int64_t half_life_ns, int64_t price_ticks):
        cdef int64_t nearest
        if not 0 < sample_ns <= half_life_ns:
            raise ValueError(f"sample_ns must be within 1 and half_life_ns {half_life_ns}: {sample_ns}")
        if not 0 < price_ticks <= 1 << 40:
            raise ValueError(f"price_ticks must be 1 to 2**40: {price_ticks}")
        self.sample_ns = sample_ns
        self.half_life_ns = half_life_ns
        self.refit_ns = floor_div(half_life_ns, REFITS)
        self.keep = exp_c(-LN2 * (<double>sample_ns / <double>half_life_ns))
        nearest = floor_div(price_ticks * UTICKS, NEAREST_PER_PRICE)
        self.lay_c(nearest - nearest % HALF_TICK if nearest > HALF_TICK else HALF_TICK)
        self.mid_uticks = MISSING

    cdef int lay_c(self, int64_t nearest_uticks) except -1:
        """Lay out the distances: each 3/16 further than the one before, by half a tick at least."""
        cdef int64_t edge = nearest_uticks
        cdef int i
        for i in range(BUCKETS):
            self.edges_uticks[i] = edge
            edge += max(HALF_TICK, floor_div(edge * RATIO_MORE, RATIO_OF * HALF_TICK) * HALF_TICK)
        return 0

    # ---------------------------------------------------------------- C face

    cdef void on_mid_c(self, int64_t now_ns, int64_t mid_uticks) noexcept nogil:
        cdef int64_t span_ns = now_ns - self.start_ns
        if self.running and mid_uticks != MISSING and 0 <= span_ns < self.sample_ns:
            self.mid_uticks = mid_uticks
            return
        if self.running and span_ns >= 0:
            self.roll_c(now_ns)
        self.mid_uticks = mid_uticks
        if mid_uticks == MISSING:
            # What this interval saw is of a market that could not be read to its end.
            self.running = False
        elif not self.running or span_ns < 0:
            self.begin_c(now_ns)

    cdef void on_trade_c(self, int64_t now_ns, int taker_side, int64_t price_ticks) noexcept nogil:
        cdef int64_t away
        cdef int at
        if not self.running:
            return
        if now_ns - self.start_ns >= self.sample_ns:
            self.roll_c(now_ns)
        if taker_side == BUY:
            at = 0
            away = price_ticks * UTICKS - self.from_uticks
        elif taker_side == SELL:
            at = 1
            away = self.from_uticks - price_ticks * UTICKS
        else:
            return
        if away > self.reach_uticks[at]:
            self.reach_uticks[at] = away

    cdef void begin_c(self, int64_t now_ns) noexcept nogil:
        """Begin an interval at the mid told last; what is between fades."""
        cdef double keep
        cdef int i
        if self.trials > 0 and now_ns > self.start_ns:
            keep = exp_c(-LN2 * (<double>(now_ns - self.start_ns) / <double>self.half_life_ns))
            self.trials = self.trials * keep
            for i in range(BUCKETS):
                self.hits[i] = self.hits[i] * keep
        self.running = True
        self.start_ns = now_ns
        self.from_uticks = self.mid_uticks
        self.reach_uticks[0] = -1
        self.reach_uticks[1] = -1

    cdef void roll_c(self, int64_t now_ns) noexcept nogil:
        """End every interval that is over by `now_ns`; of several the later ones had no trades."""
        cdef int64_t intervals = floor_div(now_ns - self.start_ns, self.sample_ns)
        if intervals < 1:
            return
        self.count_c(intervals)
        self.start_ns += intervals * self.sample_ns
        self.from_uticks = self.mid_uticks
        self.reach_uticks[0] = -1
        self.reach_uticks[1] = -1
        if now_ns - self.fitted_ns >= self.refit_ns or now_ns < self.fitted_ns:
            self.fitted_ns = now_ns
            self.fit_c()

    cdef void count_c(self, int64_t intervals) noexcept nogil:
        """Decay the counts over whole intervals, and count the first one's reach."""
        cdef double keep = self.keep        # of an interval
        cdef double later = 1.0             # of those after the first
        cdef double fresh = 2.0             # trials of all of them, as decayed by their end
        cdef double news
        cdef int i
        if intervals > 1:
            later = exp_c(
                -LN2 * (<double>(intervals - 1) * <double>self.sample_ns / <double>self.half_life_ns)
            )
            fresh = 2.0 * ((1.0 - later * keep) / (1.0 - keep))
            keep = keep * later
        self.trials = self.trials * keep + fresh
        for i in range(BUCKETS):
            news = 0.0
            if self.reach_uticks[0] >= self.edges_uticks[i]:
                news += later
            if self.reach_uticks[1] >= self.edges_uticks[i]:
                news += later
            self.hits[i] = self.hits[i] * keep + news

    cdef void fit_c(self) noexcept nogil:
        """Draw the line ln(rate) = ln A - k * distance by weighted least squares; quantise k and A.

        A distance hit in the share p of n intervals has the rate -ln(1-p) an interval, whose logarithm
        has the variance p / (n * (1-p) * ln(1-p)**2): the weight is its inverse. Too little to go by
        leaves what was told before.
        """
        cdef double xs[BUCKETS]
        cdef double ys[BUCKETS]
        cdef double ws[BUCKETS]
        cdef double unit = <double>self.sample_ns / 1.0e9
        cdef double share, log_free, decay, rate
        cdef double weight = 0.0
        cdef double x_mean = 0.0
        cdef double y_mean = 0.0
        cdef double xx = 0.0
        cdef double xy = 0.0
        cdef int n = 0
        cdef int i = 0
        if self.hits[0] < HITS_ALL_MIN:
            return
        while i + 1 < BUCKETS and self.hits[i + 1] >= HEAD * self.hits[0]:
            i += 1
        while i < BUCKETS and self.hits[i] >= HITS_MIN:
            share = self.hits[i] / self.trials
            if share <= SHARE_MAX:
                log_free = -log_c(1.0 - share)
                xs[n] = <double>self.edges_uticks[i]
                ys[n] = log_c(log_free / unit)
                ws[n] = self.trials * (1.0 - share) * log_free * log_free / share
                weight += ws[n]
                x_mean += ws[n] * xs[n]
                y_mean += ws[n] * ys[n]
                n += 1
            i += 1
        if n < POINTS_MIN:
            return
        x_mean /= weight
        y_mean /= weight
        for i in range(n):
            xx += ws[i] * (xs[i] - x_mean) * (xs[i] - x_mean)
            xy += ws[i] * (xs[i] - x_mean) * (ys[i] - y_mean)
        if not xy < 0.0:
            return
        decay = -xx / xy
        rate = exp_c(y_mean + x_mean / decay) * 1.0e6
        if not 0.5 <= decay < DECAY_MAX or not 0.5 <= rate < RATE_MAX:
            return
        self.decay_uticks = <int64_t>(decay + 0.5)
        self.arrival_uhz = <int64_t>(rate + 0.5)

    # ---------------------------------------------------------------- Python face

    def on_mid(self, int64_t now_ns, mid_uticks):
        """Take the mid of others after a message at `now_ns`; None when there is none.

        Raises:
            ValueError: a mid that is no price.
        """
        if mid_uticks is None:
            self.on_mid_c(now_ns, MISSING)
            return
        if not 0 < mid_uticks <= MID_MAX:
            raise ValueError(f"mid_uticks must be a price: {mid_uticks}")
        self.on_mid_c(now_ns, mid_uticks)

    def on_trade(self, int64_t now_ns, int taker_side, int64_t price_ticks):
        """Count a trade of the market; `taker_side` is BUY or SELL.

        Raises:
            ValueError: another side, or a price out of bounds.
        """
        if taker_side not in (BUY, SELL):
            raise ValueError(f"taker_side must be BUY or SELL: {taker_side}")
        if not 0 < price_ticks <= 1 << 40:
            raise ValueError(f"price_ticks must be 1 to 2**40: {price_ticks}")
        self.on_trade_c(now_ns, taker_side, price_ticks)

    def state(self):
        """Return what the fit knows, for one that goes on from here in a later process."""
        return {
            "nearest_uticks": self.edges_uticks[0], "counted_ns": self.start_ns,
            "fitted_ns": self.fitted_ns, "trials": self.trials,
            "hits": [self.hits[i] for i in range(BUCKETS)],
            "decay_uticks": self.decay_uticks, "arrival_uhz": self.arrival_uhz,
        }

    @property
    def interval(self):
        """The running interval: (whether one runs, mid at its start, mid told last, reaches, both sides)."""
        return (
            bool(self.running), self.from_uticks, self.mid_uticks, self.reach_uticks[0], self.reach_uticks[1]
        )

    def restore(self, state):
        """Go on from an earlier state; the time between only takes from its weight.

        Args:
            state: of a fit with the same parameters, on the same units.

        Raises:
            ValueError: a fit that has begun already; no such state.
        """
        cdef int i
        if self.running or self.trials > 0:
            raise ValueError("the fit has counts of its own")
        try:
            for name in ("nearest_uticks", "counted_ns", "fitted_ns", "decay_uticks", "arrival_uhz"):
                if not isinstance(state[name], int) or not 0 <= state[name] < 1 << 62:
                    raise ValueError(f"{name} must be a whole number from 0: {state[name]!r}")
            nearest = state["nearest_uticks"]
            if nearest == 0 or nearest % HALF_TICK or nearest > NEAREST_MAX:
                raise ValueError(f"nearest_uticks must be half ticks: {nearest}")
            hits = list(state["hits"])
            most = state["trials"]
            if len(hits) != BUCKETS or not 0.0 <= most < 1e15:
                raise ValueError(f"trials and {BUCKETS} hits are needed: {most!r}, {len(hits)} hits")
            for one in hits:
                if not 0.0 <= one <= most:
                    raise ValueError(f"hits must fall from trials to 0: {one!r}")
                most = one
        except (KeyError, TypeError) as error:
            raise ValueError(f"no state of a fit: {error!r}") from None
        self.lay_c(nearest)
        self.start_ns, self.fitted_ns = state["counted_ns"], state["fitted_ns"]
        self.trials = state["trials"]
        for i in range(BUCKETS):
            self.hits[i] = hits[i]
        self.decay_uticks, self.arrival_uhz = state["decay_uticks"], state["arrival_uhz"]

    @property
    def decay_uticks(self):
        """1/k: the distance at which a quote is reached e times less often; 0: not fitted."""
        return self.decay_uticks

    @property
    def arrival_uhz(self):
        """A: how often a side is reached at no distance, in millionths a second; 0: not fitted."""
        return self.arrival_uhz

    @property
    def trials(self):
        """Intervals counted, both sides, as decayed by now."""
        return self.trials

    @property
    def distances_uticks(self):
        """Distances that are told apart, nearest first."""
        return [self.edges_uticks[i] for i in range(BUCKETS)]
