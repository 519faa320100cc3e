"""Cross-venue reference price: the weighted average of the eligible venues' mids, in integers.

One configured source is its own reference. With more, a source must be verified, fresh, tight and
deep; outliers against the weighted median are dropped, the rest clamped towards it and averaged by
trust, square root of depth and age. Nothing eligible, or two sources that disagree: MISSING.
Formulas: docs/strategy.md, "Reference". Executable specification: tests/oracles/reference.py.
"""

from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.units cimport MISSING, PPM, floor_div, i128, isqrt, mul_div

cdef enum:
    AGE_STEPS = 1024        # resolution of the age factor
    ROOT_MAX = 1 << 27      # of a depth; more counts as this


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
    """

    def __cinit__(
        self,
        *,
        int64_t outlier_floor_ppm=3_000,
        int64_t clamp_ppm=2_000,
        int64_t outlier_mads=3,
        int64_t weight_cap_ppm=600_000,
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
        self.weight_cap_ppm = weight_cap_ppm
        self.price_uticks = MISSING

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
        if source.spread_uticks < 0 or source.spread_uticks > source.spread_uticks_max:
            return SOURCE_WIDE
        if source.depth_lots <= 0:
            return SOURCE_THIN
        return SOURCE_USED

    cdef int64_t none_c(self) noexcept nogil:
        self.price_uticks = MISSING
        self.confidence_ppm = 0
        self.used_count = 0
        return MISSING

    cdef int64_t compute_c(self, int64_t now_ns) noexcept nogil:
        cdef int order[SOURCES_MAX]     # eligible sources, cheapest first
        cdef int count = 0
        cdef int i, at
        cdef int64_t trust = 0
        cdef int64_t price_uticks
        cdef Source* source
        for i in range(self.source_count):
            source = &self.sources[i]
            source.weight_ppm = 0
            source.verdict = self.eligible_c(source, now_ns)
            if source.verdict != SOURCE_USED:
                continue
            at = count
            while at > 0 and self.sources[order[at - 1]].mid_uticks > source.mid_uticks:
                order[at] = order[at - 1]
                at -= 1
            order[at] = i
            count += 1
            trust += source.trust_ppm
        if count == 0:
            return self.none_c()
        if count == 1:
            source = &self.sources[order[0]]
            source.weight_ppm = PPM
            self.used_count = 1
            self.price_uticks = source.mid_uticks
            self.confidence_ppm = (
                PPM if self.source_count == 1 else floor_div(trust * PPM, self.trust_ppm_sum)
            )
            return self.price_uticks
        price_uticks = self.blend_c(count, &order[0], now_ns)
        if price_uticks == MISSING:
            return self.none_c()
        self.price_uticks = price_uticks
        return price_uticks

    cdef int64_t blend_c(self, int count, int* order, int64_t now_ns) noexcept nogil:
        """Average two or more eligible sources; MISSING when they disagree or weigh nothing."""
        cdef int64_t weights[SOURCES_MAX]       # by place in `order`
        cdef int64_t deviations[SOURCES_MAX]    # sorted
        cdef int64_t prices[SOURCES_MAX]        # of the used, clamped
        cdef int used[SOURCES_MAX]
        cdef int used_count = 0
        cdef int i, at, heaviest
        cdef double to_ppm
        cdef i128 sum_
        cdef int64_t total = 0
        cdef int64_t rest, centre, limit, reach, age_ns, off, below, worst, lowest, trust, share, floor
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

        # Weighted median; between two prices when the weights halve exactly there.
        below = 0
        centre = self.sources[order[count - 1]].mid_uticks
        for i in range(count):
            below += weights[i]
            if below >= total - below:
                centre = self.sources[order[i]].mid_uticks
                if below == total - below and i + 1 < count:
                    centre += floor_div(self.sources[order[i + 1]].mid_uticks - centre, 2)
                break

        floor = part_c(centre, self.outlier_floor_ppm)
        limit = floor
        if count == 2:
            if self.sources[order[1]].mid_uticks - self.sources[order[0]].mid_uticks > limit:
                self.sources[order[0]].verdict = SOURCE_DISAGREES
                self.sources[order[1]].verdict = SOURCE_DISAGREES
                return MISSING
        else:
            for i in range(count):
                off = self.sources[order[i]].mid_uticks - centre
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
            off = source.mid_uticks - centre
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
        self, *, int64_t age_ns_max, int64_t spread_uticks_max, int64_t trust_ppm=1_000_000,
        int64_t scale_num=1, int64_t scale_den=1,
    ):
        """Configure one more source and return its index. Nothing is known of it until `set`.

        Args:
            age_ns_max: oldest book that counts, about three times the venue's push interval.
            spread_uticks_max: widest spread that counts, in the quoted pair's uticks.
            trust_ppm: weight by judgement, 1 to 1e6.
            scale_num, scale_den: source uticks * num / den are uticks of the quoted pair.

        Raises:
            ValueError: a value out of range, or a seventeenth source.
        """
        cdef Source* source
        if self.source_count >= SOURCES_MAX:
            raise ValueError(f"no more than {SOURCES_MAX} sources")
        if not 0 < age_ns_max <= 10**15:
            raise ValueError(f"age_ns_max must be 1 to 10**15: {age_ns_max}")
        if spread_uticks_max <= 0:
            raise ValueError(f"spread_uticks_max must be positive: {spread_uticks_max}")
        if not 0 < trust_ppm <= PPM:
            raise ValueError(f"trust_ppm must be 1 to 1000000: {trust_ppm}")
        if scale_num <= 0 or scale_den <= 0:
            raise ValueError(f"scale must be positive: {(scale_num, scale_den)}")
        source = &self.sources[self.source_count]
        memset(source, 0, sizeof(Source))
        source.mid_uticks = MISSING
        source.spread_uticks = MISSING
        source.age_ns_max = age_ns_max
        source.age_steps_per_ns = <double>(AGE_STEPS >> 1) / <double>age_ns_max
        source.spread_uticks_max = spread_uticks_max
        source.trust_ppm = trust_ppm
        source.scale_num = scale_num
        source.scale_den = scale_den
        self.trust_ppm_sum += trust_ppm
        self.source_count += 1
        self.none_c()
        return self.source_count - 1

    def set(
        self, int index, mid_uticks, int64_t spread_uticks, int64_t depth_lots, int64_t recv_ns,
        bint verified,
    ):
        """Tell the state of one source.

        Args:
            index: as `add_source` returned it.
            mid_uticks, spread_uticks: in the source's own uticks; a mid of None is no price.
            depth_lots: of the thinner side, in lots comparable between sources.
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

    cdef int check_index(self, int index) except -1:
        if not 0 <= index < self.source_count:
            raise IndexError(f"no source {index} of {self.source_count}")
        return 0

    @property
    def price_uticks(self):
        """Reference of the last `compute`, None when there is none."""
        return None if self.price_uticks == MISSING else self.price_uticks

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
