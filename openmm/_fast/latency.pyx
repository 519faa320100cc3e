"""Latency histograms of constant memory, and the stamps of the hot path.

Buckets are log-linear: one a nanosecond below 64 ns, then 32 an octave up to 2**36 ns (68.7 s). A
quantile is the middle of its bucket: at most 1.6% off, exact below 64 ns, never above the maximum
seen, which is kept exactly.
"""

import struct

from cython cimport final
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.string cimport memcpy, memset

from openmm._fast.units cimport MISSING, PPM, floor_div, floor_div_wide, i128, saturate

cdef extern from * nogil:
    """
    /* Index of the highest set bit; value > 0. */
    #define openmm_high_bit(value) (63 - __builtin_clzll((unsigned long long)(value)))
    """
    int high_bit "openmm_high_bit"(int64_t value)
    const int64_t CALIBRATE_NS_MAX "(INT64_C(10000000000))"

cdef enum:
    EXACT_BITS = 6          # below 2**6 ns a bucket is one nanosecond
    OCTAVE_BITS = 5         # 2**5 buckets an octave above
    RANGE_BITS = 36         # the last bucket ends at 2**36 ns
    RATIO_BITS = 32
    HEADER_BYTES = 24
    CALIBRATE_NS = 1_000_000
    LOOKS = 16
    BOUND_COUNT = 22

# What `Histogram.cumulative` counts up to: 100 ns to 1 s in steps of 1, 2, 5.
BOUNDS_NS = (*(step * 10**power for power in range(2, 9) for step in (1, 2, 5)), 10**9)
cdef int64_t[BOUND_COUNT] bounds_ns = BOUNDS_NS


# Nanoseconds per count, as ratio / 2**RATIO_BITS. One counter a machine, so one ratio a process.
cdef int64_t ratio = 0


cdef int64_t stamp_to_ns(int64_t counts) noexcept nogil:
    return saturate(((<i128>counts) * (<i128>ratio)) >> RATIO_BITS)


# When the loop began the read under way; 0 once a listener has taken it. One loop a process.
cdef int64_t read_began = 0


cdef void mark_read_c(int64_t began=0) noexcept nogil:
    global read_began
    read_began = began if began != 0 else stamp_c()


cdef int64_t take_read_c(int64_t stamp) noexcept nogil:
    global read_began
    cdef int64_t began = read_began
    read_began = 0
    return stamp - began if began != 0 else 0


cdef bint closer_c(int64_t before, int64_t after, int64_t* closest, int64_t* count) noexcept nogil:
    """Take two counts around a look at the clock if none stood closer; returns whether they did."""
    if after - before >= closest[0]:
        return False
    closest[0] = after - before
    count[0] = before + (closest[0] >> 1)
    return True


cdef int64_t look_c(int64_t* count) noexcept nogil:
    """Read clock and counter together: of several looks the one that took least, so none we were
    interrupted in. Returns the clock, in ns."""
    cdef int64_t before, ns
    cdef int64_t told = 0
    cdef int64_t closest = INT64_MAX
    cdef int _look
    for _look in range(LOOKS):
        before = stamp_c()
        ns = monotonic_ns()
        if closer_c(before, stamp_c(), &closest, count):
            told = ns
    return told


cdef int64_t measure_c(int64_t span_ns) noexcept nogil:
    """Compare counter and monotonic clock over a span; returns the ratio."""
    cdef int64_t from_count = 0
    cdef int64_t to_count = 0
    cdef int64_t from_ns = look_c(&from_count)
    cdef int64_t to_ns
    while monotonic_ns() - from_ns < span_ns:
        pass
    to_ns = look_c(&to_count)
    if to_count <= from_count:
        to_count = from_count + 1  # a counter that stands still: no machine we know of
    return saturate(
        floor_div_wide(<i128>(to_ns - from_ns) << RATIO_BITS, <i128>(to_count - from_count))
    )


def calibrate(int64_t span_ns=CALIBRATE_NS):
    """Measure the stamp counter against the monotonic clock, spinning for `span_ns`; return counts a second.

    Raises:
        ValueError: a span outside 1 µs to 10 s.
    """
    global ratio
    if not 1_000 <= span_ns <= CALIBRATE_NS_MAX:
        raise ValueError(f"span_ns must be in [1000, {CALIBRATE_NS_MAX}]: {span_ns}")
    ratio = measure_c(span_ns)
    return saturate(floor_div_wide(<i128>1_000_000_000 << RATIO_BITS, <i128>ratio))


def closest_look(looks):
    """Return (count, ns) of the look at the clock that took least, as calibration chooses it.

    Args:
        looks: (count before, ns, count after) of each.
    """
    cdef int64_t closest = INT64_MAX
    cdef int64_t count = 0
    told = None
    for before, ns, after in looks:
        if closer_c(before, after, &closest, &count):
            told = (count, ns)
    return told


def stamp():
    """Read the stamp counter, in counts."""
    return stamp_c()


def stamp_ns(int64_t counts):
    """Convert a difference of stamps to nanoseconds."""
    return stamp_to_ns(counts)


cdef inline int bucket_of(int64_t ns) noexcept nogil:
    cdef int octave
    if ns < 0:
        return 0
    if ns < 1 << EXACT_BITS:
        return <int>ns
    octave = high_bit(ns)
    if octave >= RANGE_BITS:
        return BUCKET_COUNT - 1
    return ((octave - OCTAVE_BITS) << OCTAVE_BITS) + <int>(ns >> (octave - OCTAVE_BITS))


cdef inline int64_t middle_of(int bucket) noexcept nogil:
    cdef int shift
    cdef int64_t low
    if bucket < 1 << EXACT_BITS:
        return bucket
    shift = (bucket >> OCTAVE_BITS) - 1
    low = (<int64_t>((bucket & ((1 << OCTAVE_BITS) - 1)) + (1 << OCTAVE_BITS))) << shift
    return low + ((<int64_t>1 << shift) >> 1)


@final
cdef class Histogram:
    """Count durations. Recording is O(1), a quantile O(buckets); nothing allocates."""

    cdef void record_c(self, int64_t ns) noexcept nogil:
        """Count one duration; a negative one (a clock that stepped back) counts as 0."""
        if ns < 0:
            ns = 0
        self.count += 1
        self.sum_ns += ns
        if ns > self.max_ns:
            self.max_ns = ns
        self.buckets[bucket_of(ns)] += 1

    cdef int64_t quantile_c(self, int64_t ppm) noexcept nogil:
        """Smallest duration that `ppm` millionths of all do not exceed; MISSING without any."""
        cdef uint64_t rank, seen = 0
        cdef int i
        cdef int64_t ns
        if self.count == 0 or ppm < 0 or ppm > PPM:
            return MISSING
        rank = <uint64_t>floor_div_wide(<i128>self.count * <i128>ppm + <i128>(PPM - 1), <i128>PPM)
        if rank == 0:
            rank = 1
        if rank >= self.count:
            return self.max_ns
        for i in range(BUCKET_COUNT):
            seen += self.buckets[i]
            if seen >= rank:
                if i == BUCKET_COUNT - 1:
                    return self.max_ns
                ns = middle_of(i)
                return ns if ns < self.max_ns else self.max_ns
        return self.max_ns

    # ---------------------------------------------------------------- Python face

    def record(self, int64_t ns):
        """Count one duration.

        Raises:
            ValueError: a negative duration.
        """
        if ns < 0:
            raise ValueError(f"a duration must not be negative: {ns}")
        self.record_c(ns)

    def quantile(self, int64_t ppm):
        """Return the duration that `ppm` millionths do not exceed, None without any recorded.

        Raises:
            ValueError: outside 0 to 1e6.
        """
        if not 0 <= ppm <= PPM:
            raise ValueError(f"ppm must be in [0, {PPM}]: {ppm}")
        cdef int64_t ns = self.quantile_c(ppm)
        return None if ns == MISSING else ns

    def merge(self, Histogram other not None):
        """Add the counts of another histogram to this one."""
        cdef int i
        self.count += other.count
        self.sum_ns += other.sum_ns
        if other.max_ns > self.max_ns:
            self.max_ns = other.max_ns
        for i in range(BUCKET_COUNT):
            self.buckets[i] += other.buckets[i]

    def clear(self):
        """Forget everything."""
        self.count = 0
        self.sum_ns = 0
        self.max_ns = 0
        memset(self.buckets, 0, sizeof(self.buckets))

    def cumulative(self):
        """Count the durations up to each of `BOUNDS_NS`: 8 bytes each, little endian.

        A bucket counts as its middle, as it does in a quantile.
        """
        cdef uint64_t[BOUND_COUNT] counts
        cdef uint64_t seen = 0
        cdef int bucket, bound = 0
        for bucket in range(BUCKET_COUNT):
            while bound < BOUND_COUNT and middle_of(bucket) > bounds_ns[bound]:
                counts[bound] = seen
                bound += 1
            if bound == BOUND_COUNT:
                break
            seen += self.buckets[bucket]
        return (<const char*>&counts[0])[:sizeof(counts)]

    def to_bytes(self):
        """Serialise: count, max_ns, sum_ns, then the buckets, 8 bytes each, little endian."""
        return (
            struct.pack("<Qqq", self.count, self.max_ns, self.sum_ns)
            + (<const char*>&self.buckets[0])[:sizeof(self.buckets)]
        )

    @staticmethod
    def from_bytes(const unsigned char[::1] data not None):
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: another length, or counts that do not add up.
        """
        cdef Histogram made = Histogram()
        cdef uint64_t total = 0
        cdef int i
        if data.shape[0] != HEADER_BYTES + <Py_ssize_t>sizeof(made.buckets):
            raise ValueError(f"a histogram has {HEADER_BYTES + sizeof(made.buckets)} bytes: {data.shape[0]}")
        made.count, made.max_ns, made.sum_ns = struct.unpack("<Qqq", bytes(data[:HEADER_BYTES]))
        memcpy(&made.buckets[0], &data[HEADER_BYTES], sizeof(made.buckets))
        for i in range(BUCKET_COUNT):
            total += made.buckets[i]
        if total != made.count or made.max_ns < 0 or made.sum_ns < 0:
            raise ValueError(f"counts do not add up: {total} of {made.count}")
        return made

    @property
    def count(self):
        """Durations recorded."""
        return self.count

    @property
    def max_ns(self):
        """Longest one, exact; 0 without any."""
        return self.max_ns

    @property
    def sum_ns(self):
        """Sum of all."""
        return self.sum_ns

    @property
    def mean_ns(self):
        """Mean, rounded down; None without any."""
        return floor_div(self.sum_ns, <int64_t>self.count) if self.count else None


@final
cdef class StageLatency:
    """Hold one histogram a stage of the hot path."""

    def __cinit__(self):
        self.decode = Histogram()
        self.signal = Histogram()
        self.quote = Histogram()
        self.plan = Histogram()
        self.check = Histogram()
        self.journal = Histogram()
        self.encode = Histogram()
        self.write = Histogram()
        self.tick_to_order = Histogram()
        self.ack = Histogram()
        self.read = Histogram()
        self.book = Histogram()
        self.answer_to_order = Histogram()

    cdef void record_c(self, int stage, int64_t ns) noexcept nogil:
        if stage == STAGE_DECODE:
            self.decode.record_c(ns)
        elif stage == STAGE_SIGNAL:
            self.signal.record_c(ns)
        elif stage == STAGE_QUOTE:
            self.quote.record_c(ns)
        elif stage == STAGE_PLAN:
            self.plan.record_c(ns)
        elif stage == STAGE_CHECK:
            self.check.record_c(ns)
        elif stage == STAGE_JOURNAL:
            self.journal.record_c(ns)
        elif stage == STAGE_ENCODE:
            self.encode.record_c(ns)
        elif stage == STAGE_WRITE:
            self.write.record_c(ns)
        elif stage == STAGE_TICK_TO_ORDER:
            self.tick_to_order.record_c(ns)
        elif stage == STAGE_ACK:
            self.ack.record_c(ns)
        elif stage == STAGE_READ:
            self.read.record_c(ns)
        elif stage == STAGE_BOOK:
            self.book.record_c(ns)
        elif stage == STAGE_ANSWER_TO_ORDER:
            self.answer_to_order.record_c(ns)

    # ---------------------------------------------------------------- Python face

    def record(self, int stage, int64_t ns):
        """Count one duration of a stage.

        Raises:
            ValueError: not a stage, or a negative duration.
        """
        self.histogram(stage).record(ns)

    def histogram(self, int stage):
        """Return the histogram of a stage.

        Raises:
            ValueError: not a stage.
        """
        if not 0 <= stage < <int>STAGE_COUNT:
            raise ValueError(f"not a stage: {stage}")
        return self.histograms()[stage]

    def histograms(self):
        """Return the histograms by stage, in the order of the stages."""
        return {
            Stage.STAGE_DECODE: self.decode, Stage.STAGE_SIGNAL: self.signal,
            Stage.STAGE_QUOTE: self.quote, Stage.STAGE_PLAN: self.plan,
            Stage.STAGE_CHECK: self.check, Stage.STAGE_JOURNAL: self.journal,
            Stage.STAGE_ENCODE: self.encode, Stage.STAGE_WRITE: self.write,
            Stage.STAGE_TICK_TO_ORDER: self.tick_to_order, Stage.STAGE_ACK: self.ack,
            Stage.STAGE_READ: self.read, Stage.STAGE_BOOK: self.book,
            Stage.STAGE_ANSWER_TO_ORDER: self.answer_to_order,
        }


ratio = measure_c(CALIBRATE_NS)
