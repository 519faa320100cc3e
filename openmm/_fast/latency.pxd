# Latency histograms (log-linear, constant memory) and the stage stamps of the hot path.
from libc.stdint cimport int32_t, int64_t, uint64_t

cpdef enum Stage:
    STAGE_DECODE = 0        # listener entry -> book applied and verified
    STAGE_SIGNAL = 1        # -> signals and reference
    STAGE_QUOTE = 2         # -> ladder
    STAGE_PLAN = 3          # -> actions
    STAGE_CHECK = 4         # -> approved
    STAGE_JOURNAL = 5       # -> intent on the tape
    STAGE_ENCODE = 6        # -> order bytes
    STAGE_WRITE = 7         # -> socket write returned
    STAGE_TICK_TO_ORDER = 8 # listener entry -> socket write returned
    STAGE_ACK = 9           # request written -> venue reply
    STAGE_COUNT = 10

cdef int64_t stamp_c() noexcept nogil          # cheapest monotonic counter (TSC on x86-64), in counts
cdef int64_t stamp_to_ns(int64_t counts) noexcept nogil
cdef int64_t utc_ns() noexcept nogil           # wall clock; only feed and loop may call it

cdef class Histogram:
    cdef uint64_t count
    cdef int64_t max_ns
    cdef int64_t sum_ns
    cdef uint64_t buckets[1024]                # <= 3% relative error up to 60 s
    cdef void record_c(self, int64_t ns) noexcept nogil
    cdef int64_t quantile_c(self, int64_t ppm) noexcept nogil

cdef class StageLatency:
    cdef Histogram tick_to_order
    cdef void record_c(self, int stage, int64_t ns) noexcept nogil
