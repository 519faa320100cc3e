"""Cross-venue reference price: the weighted average of the eligible venues' mids, in integers.

One configured source is its own reference. With more, a source must be verified, fresh, tight and
deep; its lasting premium (basis) is taken off, outliers against the weighted median are dropped, the
rest clamped towards it and averaged by trust, square root of depth and age. Nothing eligible, two
sources that disagree, or a jump that one source alone made: MISSING. A source that was out comes
back after a number of good updates.
Formulas: docs/strategy.md, "Reference". Executable specification: tests/oracles/reference.py.
"""

from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.units cimport MISSING, PPM, floor_div, i128, isqrt, mul_div

cdef enum:
    AGE_STEPS = 1024        # resolution of the age factor
    ROOT_MAX = 1 << 27      # of a depth; more counts as this
    MEDIAN_CAP_PERCENT = 49  # of three or more, none is the median by its weight alone
    BASIS_STEP_NS = 100000000   # a basis moves at most this often
    BASIS_STEPS_MAX = 10    # what a silence may count for, in such steps


cdef extern from * nogil:
    """
    #define OPENMM_PRICE_UTICKS_MAX (INT64_C(1000000) << 40)
    /* floor(value * share / 1e6), neither negative, the product within 2**80. */
    static inline int64_t openmm_part(int64_t value, int64_t share_ppm) {
        int64_t product;
        if (__builtin_expect(__builtin_mul_overflow(value, share_ppm, &product), 0))
            return (int64_t)((openmm_i128)value * share_ppm / 1000000);
        return (int64_t)((uint64_t)product / 1000000u);
    }
    static inline int64_t openmm_wide_floor_div(openmm_i128 sum, int64_t by) {
        /* sum >= 0, by > 0, the quotient fits: truncation is the floor. */
        int64_t narrow = (int64_t)sum;
        return narrow == sum ? narrow / by : (int64_t)(sum / by);
    }
    """
    int64_t part_c "openmm_part"(int64_t value, int64_t share_ppm)
    int64_t wide_floor_div "openmm_wide_floor_div"(i128 sum, int64_t by)
    const int64_t PRICE_UTICKS_MAX "OPENMM_PRICE_UTICKS_MAX"


@final
cdef class Reference:
    """Blend up to 16 sources into one price.

    Args:
        outlier_floor_ppm: a source this close to the centre is never an outlier; two sources further
            apart than this disagree.
        clamp_ppm: furthest a source may pull from the centre.
        outlier_mads: with three or more, a source further off than this many median absolute
            deviations (and the floor) is dropped.
        weight_cap_ppm: with three or more, the most one source weighs; over half.
        basis_ns: time constant of a source's basis.
        basis_cap_ppm: largest basis that is taken off a price; 0 takes off none.
        readmit_count: good updates after which a source that was out counts again.
        jump_ppm: a move of the blend beyond this needs two sources that made it; 0 asks for none.
        jump_hold_ns: without them, the time after which it is believed.
    """

    def __cinit__(
        self,
        *,
        int64_t outlier_floor_ppm=3_000,
        int64_t clamp_ppm=2_000,
        int64_t outlier_mads=3,
        int64_t weight_cap_ppm=600_000,
        int64_t basis_ns=600_000_000_000,
        int64_t basis_cap_ppm=0,
        int readmit_count=1,
        int64_t jump_ppm=0,
        int64_t jump_hold_ns=10_000_000_000,
    ):
        if not 0 < outlier_floor_ppm <= PPM:
            raise ValueError(f"outlier_floor_ppm must be 1 to 1000000: {outlier_floor_ppm}")
        if not 0 < clamp_ppm <= PPM:
            raise ValueError(f"clamp_ppm must be 1 to 1000000: {clamp_ppm}")
        if not 0 < outlier_mads <= 7:
            raise ValueError(f"outlier_mads must be 1 to 7: {outlier_mads}")
        if weight_cap_ppm > PPM or 2 * weight_cap_ppm <= PPM:
            raise ValueError(f"weight_cap_ppm must be 500001 to 1000000: {weight_cap_ppm}")
        self.outlier_floor_ppm = outlier_floor_ppm
        self.clamp_ppm = clamp_ppm
        self.outlier_mads = outlier_mads
        if not BASIS_STEP_NS <= basis_ns <= 10**15:
            raise ValueError(f"basis_ns must be {BASIS_STEP_NS} to 10**15: {basis_ns}")
        if not 0 <= basis_cap_ppm <= 100_000:
            raise ValueError(f"basis_cap_ppm must be 0 to 100000: {basis_cap_ppm}")
        if not 1 <= readmit_count <= 1000:
            raise ValueError(f"readmit_count must be 1 to 1000: {readmit_count}")
        if not 0 <= jump_ppm <= PPM:
            raise ValueError(f"jump_ppm must be 0 to 1000000: {jump_ppm}")
        if not 0 < jump_hold_ns <= 10**15:
            raise ValueError(f"jump_hold_ns must be 1 to 10**15: {jump_hold_ns}")
        self.weight_cap_ppm = weight_cap_ppm
        self.basis_ns = basis_ns
        self.basis_cap_ppm = basis_cap_ppm
        self.readmit_count = readmit_count
        self.jump_ppm = jump_ppm
        self.jump_hold_ns = jump_hold_ns
        self.quoted_index = -1
        self.price_uticks = MISSING
        self.fair_uticks = MISSING
        self.accepted_uticks = MISSING

    # ---------------------------------------------------------------- C face

    cdef void set_c(
        self, int index, int64_t mid_uticks, int64_t spread_uticks, int64_t depth_lots,
        int64_t recv_ns, bint verified,
    ) noexcept nogil:
        cdef Source* source
        if index < 0 or index >= self.source_count:
            return
        source = &self.sources[index]
        if source.scale_num != source.scale_den:
            mid_uticks = mul_div(mid_uticks, source.scale_num, source.scale_den)
            spread_uticks = mul_div(spread_uticks, source.scale_num, source.scale_den)
        source.mid_uticks = mid_uticks
        source.spread_uticks = spread_uticks
        if source.depth_num != source.depth_den:
            depth_lots = mul_div(depth_lots, source.depth_num, source.depth_den)
        if depth_lots != source.depth_lots:
            source.depth_lots = depth_lots
            source.depth_root = isqrt(depth_lots)
            if source.depth_root > ROOT_MAX:
                source.depth_root = ROOT_MAX
        source.recv_ns = recv_ns
        source.verified = verified

    cdef SourceVerdict eligible_c(self, Source* source, int64_t now_ns) noexcept nogil:
        """Judge one source by itself; SOURCE_USED when nothing speaks against it."""
        cdef int64_t age_ns = now_ns - source.recv_ns
        # MISSING is negative, so it never passes here.
        if not source.verified or source.mid_uticks <= 0 or source.mid_uticks > PRICE_UTICKS_MAX:
            return SOURCE_UNVERIFIED
        # A stamp further in the future than the limit is as wrong as one that old.
        if age_ns > source.age_ns_max or age_ns < -source.age_ns_max:
            return SOURCE_STALE
        if source.spread_uticks < 0 or source.spread_uticks > part_c(source.mid_uticks, source.spread_ppm_max):
            return SOURCE_WIDE
        if source.depth_lots <= 0:
            return SOURCE_THIN
        return SOURCE_USED

    cdef SourceVerdict judge_c(self, Source* source, int64_t now_ns) noexcept nogil:
        """Judge a source by itself and its rate; sets its price and its fair price."""
        cdef Source* rate
        cdef SourceVerdict verdict = self.eligible_c(source, now_ns)
        source.price_uticks = MISSING
        source.fair_uticks = MISSING
        if verdict != SOURCE_USED:
            return verdict
        source.price_uticks = source.mid_uticks
        if source.rate_index >= 0:
            rate = &self.sources[source.rate_index]
            if self.eligible_c(rate, now_ns) != SOURCE_USED:
                source.price_uticks = MISSING
                return SOURCE_NO_RATE
            if source.rate_inverse:
                source.price_uticks = mul_div(
                    source.mid_uticks, source.rate_unit_uticks, rate.mid_uticks
                )
            else:
                source.price_uticks = mul_div(
                    source.mid_uticks, rate.mid_uticks, source.rate_unit_uticks
                )
            if source.price_uticks <= 0 or source.price_uticks > PRICE_UTICKS_MAX:
                source.price_uticks = MISSING
                return SOURCE_NO_RATE
        source.fair_uticks = source.price_uticks - self.basis_c(source, source.price_uticks)
        return SOURCE_USED

    cdef int64_t basis_c(self, Source* source, int64_t price_uticks) noexcept nogil:
        """Return the basis of a source that counts: capped at a share of a price."""
        cdef int64_t cap
        if self.basis_cap_ppm == 0:
            return 0
        cap = part_c(price_uticks, self.basis_cap_ppm)
        if source.basis_uticks > cap:
            return cap
        if source.basis_uticks < -cap:
            return -cap
        return source.basis_uticks

    cdef int64_t none_c(self) noexcept nogil:
        self.price_uticks = MISSING
        self.fair_uticks = MISSING
        self.confidence_ppm = 0
        self.used_count = 0
        return MISSING

    cdef int64_t compute_c(self, int64_t now_ns) noexcept nogil:
        cdef int order[SOURCES_MAX]     # admitted sources, cheapest first
        cdef int count = 0
        cdef int i, at
        cdef int64_t trust = 0
        cdef int64_t fair_uticks
        cdef Source* source
        for i in range(self.source_count):
            source = &self.sources[i]
            source.weight_ppm = 0
            source.verdict = self.judge_c(source, now_ns)
            if source.verdict != SOURCE_USED:
                source.admitted = False
                source.good_count = 0
                continue
            if source.is_rate:
                source.verdict = SOURCE_RATE
                continue
            if not source.admitted:
                if self.readmit_count > 1 and self.blended_count > 1:
                    source.verdict = SOURCE_PROBATION
                    continue
                source.admitted = True
            at = count
            while at > 0 and self.sources[order[at - 1]].fair_uticks > source.fair_uticks:
                order[at] = order[at - 1]
                at -= 1
            order[at] = i
            count += 1
            trust += source.trust_ppm
        if self.blended_count == 1:
            if count == 0:
                return self.none_c()
            self.sources[order[0]].weight_ppm = PPM
            self.used_count = 1
            self.confidence_ppm = PPM
            self.fair_uticks = self.sources[order[0]].price_uticks
            self.price_uticks = self.fair_uticks
            return self.price_uticks
        fair_uticks = MISSING
        if count == 1:
            source = &self.sources[order[0]]
            source.weight_ppm = PPM
            self.used_count = 1
            fair_uticks = source.fair_uticks
            self.confidence_ppm = floor_div(trust * PPM, self.trust_ppm_sum)
        elif count > 1:
            fair_uticks = self.blend_c(count, &order[0], now_ns)
        if fair_uticks != MISSING and not self.confirmed_c(fair_uticks, now_ns):
            return self.none_c()
        self.remember_c(fair_uticks, now_ns)
        if fair_uticks == MISSING:
            return self.none_c()
        self.fair_uticks = fair_uticks
        self.price_uticks = fair_uticks
        if self.quoted_index >= 0:
            # The last known basis holds while the venue itself is out.
            self.price_uticks += self.basis_c(&self.sources[self.quoted_index], fair_uticks)
        return self.price_uticks

    cdef bint confirmed_c(self, int64_t fair_uticks, int64_t now_ns) noexcept nogil:
        """Whether a move of the blend may be believed; marks the sources that made a lone jump."""
        cdef int64_t moved, half
        cdef int makers = 0
        cdef int i
        cdef Source* source
        if self.jump_ppm == 0 or self.accepted_uticks == MISSING:
            return True
        if now_ns - self.accepted_ns > self.jump_hold_ns:
            return True
        moved = fair_uticks - self.accepted_uticks
        half = part_c(self.accepted_uticks, self.jump_ppm)
        if -half <= moved <= half:
            return True
        half >>= 1
        for i in range(self.source_count):
            source = &self.sources[i]
            if source.verdict == SOURCE_USED and source.anchor_uticks != MISSING and (
                source.fair_uticks - source.anchor_uticks > half if moved > 0
                else source.anchor_uticks - source.fair_uticks > half
            ):
                makers += 1
        if makers >= 2:
            return True
        for i in range(self.source_count):
            source = &self.sources[i]
            if source.verdict == SOURCE_USED:
                source.verdict = SOURCE_UNCONFIRMED
                source.weight_ppm = 0
        return False

    cdef void remember_c(self, int64_t fair_uticks, int64_t now_ns) noexcept nogil:
        """Move what outlives a decision: admissions, bases, anchors."""
        cdef int i
        cdef int64_t floor = 0
        cdef int64_t off
        cdef Source* source
        if fair_uticks != MISSING:
            floor = part_c(fair_uticks, self.outlier_floor_ppm)
            self.accepted_uticks = fair_uticks
            self.accepted_ns = now_ns
        for i in range(self.source_count):
            source = &self.sources[i]
            if fair_uticks != MISSING:
                source.anchor_uticks = (
                    source.fair_uticks if source.verdict == SOURCE_USED else MISSING
                )
                if source.verdict == SOURCE_USED:
                    if self.used_count > 1:
                        self.learn_c(source, fair_uticks, now_ns)
                elif source.verdict == SOURCE_OUTLIER or source.verdict == SOURCE_PROBATION:
                    # What it is worth is not known yet: its premium may be what puts it out.
                    if source.basis_seen_ns < self.basis_ns:
                        self.learn_c(source, fair_uticks, now_ns)
            if source.verdict == SOURCE_OUTLIER:
                source.admitted = False
                source.good_count = 0
            elif source.verdict == SOURCE_PROBATION and source.recv_ns != source.good_recv_ns:
                source.good_recv_ns = source.recv_ns
                off = source.fair_uticks - fair_uticks
                if fair_uticks == MISSING or -floor <= off <= floor:
                    source.good_count += 1
                    source.admitted = source.good_count >= self.readmit_count
                else:
                    source.good_count = 0

    cdef void learn_c(self, Source* source, int64_t fair_uticks, int64_t now_ns) noexcept nogil:
        """Move a basis towards the source's gap: a mean until one time constant has been seen."""
        cdef int64_t gap = source.price_uticks - fair_uticks
        cdef int64_t step_ns
        if self.basis_cap_ppm == 0:
            return
        if source.basis_seen_ns == 0:
            source.basis_uticks = gap
            source.basis_seen_ns = BASIS_STEP_NS
            source.basis_ns = now_ns
            return
        step_ns = now_ns - source.basis_ns
        if step_ns < BASIS_STEP_NS:
            return
        if step_ns > BASIS_STEPS_MAX * BASIS_STEP_NS:
            step_ns = BASIS_STEPS_MAX * BASIS_STEP_NS
        source.basis_ns = now_ns
        source.basis_seen_ns += step_ns
        if source.basis_seen_ns > self.basis_ns:
            source.basis_seen_ns = self.basis_ns
        source.basis_uticks += mul_div(
            gap - source.basis_uticks, min(step_ns, source.basis_seen_ns), source.basis_seen_ns
        )

    cdef int64_t blend_c(self, int count, int* order, int64_t now_ns) noexcept nogil:
        """Average two or more eligible sources; MISSING when they disagree or weigh nothing."""
        cdef int64_t weights[SOURCES_MAX]       # by place in `order`
        cdef int64_t deviations[SOURCES_MAX]    # sorted
        cdef int64_t prices[SOURCES_MAX]        # of the used, clamped
        cdef int used[SOURCES_MAX]
        cdef int used_count = 0
        cdef int heaviest = 0
        cdef int i, at
        cdef double to_ppm
        cdef i128 sum_
        cdef int64_t total = 0
        cdef int64_t rest, centre, limit, reach, age_ns, off, below, worst, lowest, trust, share, floor
        cdef int64_t own
        cdef Source* source

        for i in range(count):
            source = &self.sources[order[i]]
            age_ns = now_ns - source.recv_ns
            if age_ns < 0:
                age_ns = 0
            # Trust < 2**20, root <= 2**27, age factor <= 2**10: sixteen of them stay below 2**62.
            weights[i] = source.trust_ppm * source.depth_root * (
                AGE_STEPS - <int64_t>(<double>age_ns * source.age_steps_per_ns)
            )
            total += weights[i]
            if i == 0 or weights[i] > weights[heaviest]:
                heaviest = i

        # Weighted median; between two prices when the weights halve exactly there. Of three or more
        # the heaviest is held below half for it, or the centre would be whatever that one says.
        below = 0
        own = weights[heaviest]
        if count >= 3:
            rest = mul_div(total - own, MEDIAN_CAP_PERCENT, 100 - MEDIAN_CAP_PERCENT)
            if own > rest:
                weights[heaviest] = rest
                total += rest - own
        centre = self.sources[order[count - 1]].fair_uticks
        for i in range(count):
            below += weights[i]
            if below >= total - below:
                centre = self.sources[order[i]].fair_uticks
                if below == total - below and i + 1 < count:
                    centre += floor_div(self.sources[order[i + 1]].fair_uticks - centre, 2)
                break

        weights[heaviest] = own
        floor = part_c(centre, self.outlier_floor_ppm)
        limit = floor
        if count == 2:
            if self.sources[order[1]].fair_uticks - self.sources[order[0]].fair_uticks > limit:
                self.sources[order[0]].verdict = SOURCE_DISAGREES
                self.sources[order[1]].verdict = SOURCE_DISAGREES
                return MISSING
        else:
            for i in range(count):
                off = self.sources[order[i]].fair_uticks - centre
                if off < 0:
                    off = -off
                at = i
                while at > 0 and deviations[at - 1] > off:
                    deviations[at] = deviations[at - 1]
                    at -= 1
                deviations[at] = off
            off = deviations[(count - 1) >> 1] * self.outlier_mads     # below 2**60 * 8
            if off > limit:
                limit = off

        reach = part_c(centre, self.clamp_ppm)
        total = 0
        worst = 0
        trust = 0
        heaviest = 0
        for i in range(count):
            source = &self.sources[order[i]]
            off = source.fair_uticks - centre
            if off > limit or -off > limit:
                source.verdict = SOURCE_OUTLIER
                continue
            if off > worst or -off > worst:
                worst = off if off > 0 else -off
            if off > reach:
                off = reach
            elif -off > reach:
                off = -reach
            prices[used_count] = centre + off
            weights[used_count] = weights[i]
            used[used_count] = order[i]
            if weights[used_count] > weights[heaviest]:
                heaviest = used_count
            total += weights[used_count]
            trust += source.trust_ppm
            used_count += 1

        if used_count >= 3:
            # Only one can be over a cap above half; bring it down to the cap of the new total.
            rest = total - weights[heaviest]
            at = heaviest
            off = mul_div(rest, self.weight_cap_ppm, PPM - self.weight_cap_ppm) \
                if self.weight_cap_ppm < PPM else weights[at]
            if weights[at] > off:
                weights[at] = off
                total = rest + off

        if used_count == 0:
            return MISSING
        # Weights in millionths, so that the recorded ones give the recorded price.
        to_ppm = <double>PPM / <double>total
        lowest = prices[0]      # the used are in order of price
        sum_ = 0
        rest = 0
        for i in range(used_count):
            off = <int64_t>(<double>weights[i] * to_ppm)
            self.sources[used[i]].weight_ppm = off
            rest += off
            sum_ = sum_ + <i128>off * (prices[i] - lowest)
        self.used_count = used_count

        # Confidence: share of the trust that is in, less the dispersion, none at twice the floor.
        share = PPM if trust == self.trust_ppm_sum else floor_div(trust * PPM, self.trust_ppm_sum)
        if worst == 0:
            self.confidence_ppm = share
        elif worst >= 2 * floor:
            self.confidence_ppm = 0
        else:
            self.confidence_ppm = share - mul_div(share, worst, 2 * floor)
        return lowest + wide_floor_div(sum_, rest)

    # ---------------------------------------------------------------- Python face

    def add_source(
        self, *, int64_t age_ns_max, int64_t spread_ppm_max, int64_t trust_ppm=1_000_000,
        int64_t scale_num=1, int64_t scale_den=1, int64_t depth_num=1, int64_t depth_den=1,
        bint is_rate=False, bint quoted=False,
    ):
        """Configure one more source and return its index. Nothing is known of it until `set`.

        Args:
            age_ns_max: oldest book that counts, about three times the venue's push interval.
            spread_ppm_max: widest spread that counts, as a share of the source's mid, 1 to 1e6.
            trust_ppm: weight by judgement, 1 to 1e6.
            scale_num, scale_den: source uticks * num / den are uticks of the quoted pair.
            depth_num, depth_den: source lots * num / den are lots of the quoted pair.
            is_rate: it converts others and takes no part itself.
            quoted: its basis is part of the price, for it is where quotes are placed.

        Raises:
            ValueError: a value out of range, or a seventeenth source.
        """
        cdef Source* source
        if self.source_count >= SOURCES_MAX:
            raise ValueError(f"no more than {SOURCES_MAX} sources")
        if not 0 < age_ns_max <= 10**15:
            raise ValueError(f"age_ns_max must be 1 to 10**15: {age_ns_max}")
        if not 0 < spread_ppm_max <= PPM:
            raise ValueError(f"spread_ppm_max must be 1 to 1000000: {spread_ppm_max}")
        if not 0 < trust_ppm <= PPM:
            raise ValueError(f"trust_ppm must be 1 to 1000000: {trust_ppm}")
        if scale_num <= 0 or scale_den <= 0:
            raise ValueError(f"scale must be positive: {(scale_num, scale_den)}")
        if depth_num <= 0 or depth_den <= 0:
            raise ValueError(f"depth scale must be positive: {(depth_num, depth_den)}")
        if is_rate and quoted:
            raise ValueError("a rate must be no quoted source")
        source = &self.sources[self.source_count]
        memset(source, 0, sizeof(Source))
        source.mid_uticks = MISSING
        source.spread_uticks = MISSING
        source.age_ns_max = age_ns_max
        source.age_steps_per_ns = <double>(AGE_STEPS >> 1) / <double>age_ns_max
        source.spread_ppm_max = spread_ppm_max
        source.trust_ppm = trust_ppm
        source.scale_num = scale_num
        source.scale_den = scale_den
        source.price_uticks = MISSING
        source.fair_uticks = MISSING
        source.anchor_uticks = MISSING
        source.depth_num = depth_num
        source.depth_den = depth_den
        source.rate_index = -1
        source.rate_inverse = False
        source.is_rate = is_rate
        if quoted:
            self.quoted_index = self.source_count
        if not is_rate:
            self.trust_ppm_sum += trust_ppm
            self.blended_count += 1
        self.source_count += 1
        self.none_c()
        return self.source_count - 1

    def convert(
        self, int index, int rate_index, int64_t rate_unit_uticks, *, bint inverse=False,
    ):
        """Multiply a source's price by the mid of another before it is compared.

        Args:
            rate_index: a source added with `is_rate`.
            rate_unit_uticks: that source's uticks at a rate of one.
            inverse: divide by it: it prices our currency in the source's.

        Raises:
            IndexError: no such source.
            ValueError: the other is no rate, or this one is.
        """
        self.check_index(index)
        self.check_index(rate_index)
        if not self.sources[rate_index].is_rate or self.sources[index].is_rate:
            raise ValueError(f"rate_index must be that of a rate, index not: {rate_index}, {index}")
        if rate_unit_uticks <= 0:
            raise ValueError(f"rate_unit_uticks must be positive: {rate_unit_uticks}")
        self.sources[index].rate_index = rate_index
        self.sources[index].rate_unit_uticks = rate_unit_uticks
        self.sources[index].rate_inverse = inverse

    def set(
        self, int index, mid_uticks, int64_t spread_uticks, int64_t depth_lots, int64_t recv_ns,
        bint verified,
    ):
        """Tell the state of one source.

        Args:
            index: as `add_source` returned it.
            mid_uticks, spread_uticks: in the source's own uticks; a mid of None is no price.
            depth_lots: of the thinner side, in the source's own lots.
            recv_ns: when the book was last known to be right.
            verified: whether the book may be used at all.

        Raises:
            IndexError: no such source.
        """
        self.check_index(index)
        self.set_c(
            index, MISSING if mid_uticks is None else mid_uticks, spread_uticks, depth_lots,
            recv_ns, verified,
        )

    def compute(self, int64_t now_ns):
        """Return the reference in the quoted pair's uticks, None when there is none."""
        cdef int64_t price_uticks = self.compute_c(now_ns)
        return None if price_uticks == MISSING else price_uticks

    def source(self, int index):
        """Return (mid_uticks or None, weight_ppm, verdict) of a source as of the last `compute`.

        Raises:
            IndexError: no such source.
        """
        self.check_index(index)
        cdef Source* source = &self.sources[index]
        return (
            None if source.mid_uticks == MISSING else source.mid_uticks,
            source.weight_ppm,
            source.verdict,
        )

    def basis(self, int index):
        """Return (basis in uticks, capped while it has a price; time seen, ns) of a source.

        Raises:
            IndexError: no such source.
        """
        self.check_index(index)
        cdef Source* source = &self.sources[index]
        if source.price_uticks == MISSING:
            return source.basis_uticks, source.basis_seen_ns
        return self.basis_c(source, source.price_uticks), source.basis_seen_ns

    cdef int check_index(self, int index) except -1:
        if not 0 <= index < self.source_count:
            raise IndexError(f"no source {index} of {self.source_count}")
        return 0

    @property
    def price_uticks(self):
        """Reference of the last `compute`, None when there is none."""
        return None if self.price_uticks == MISSING else self.price_uticks

    @property
    def fair_uticks(self):
        """The same without the quoted venue's basis, None when there is none."""
        return None if self.fair_uticks == MISSING else self.fair_uticks

    @property
    def confidence_ppm(self):
        """Confidence in it, 0 to 1e6."""
        return self.confidence_ppm

    @property
    def used_count(self):
        """Sources that made it."""
        return self.used_count

    @property
    def source_count(self):
        """Sources configured."""
        return self.source_count
