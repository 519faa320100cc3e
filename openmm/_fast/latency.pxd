# Latency histograms (log-linear, constant memory) and the stage stamps of the hot path.
from libc.stdint cimport int32_t, int64_t, uint64_t

cpdef enum Stage:
    STAGE_DECODE = 0        # listener entry -> levels read and applied
    STAGE_SIGNAL = 1        # book verified -> signals and reference
    STAGE_QUOTE = 2         # -> ladder
    STAGE_PLAN = 3          # -> actions
    STAGE_CHECK = 4         # -> approved
    STAGE_JOURNAL = 5       # -> intent on the tape
    STAGE_ENCODE = 6        # -> order bytes
    STAGE_WRITE = 7         # -> socket write returned
    STAGE_TICK_TO_ORDER = 8  # listener entry -> socket write returned
    STAGE_ACK = 9           # request written -> venue reply
    STAGE_READ = 10         # socket readable -> listener entry: recv(2) and frame parsing
    STAGE_BOOK = 11         # levels applied -> book cut, its checksum compared, its state known
    STAGE_ANSWER_TO_ORDER = 12  # private message in hand -> socket write returned
    STAGE_COUNT = 13

cdef enum:
    BUCKET_COUNT = 1024

cdef extern from * nogil:
    """
    #include <time.h>
    #if defined(__x86_64__)
    #include <x86intrin.h>
    static inline int64_t openmm_stamp(void) { return (int64_t)__rdtsc(); }
    #elif defined(__aarch64__)
    static inline int64_t openmm_stamp(void) {
        uint64_t counts;
        __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(counts));
        return (int64_t)counts;
    }
    #else
    static inline int64_t openmm_stamp(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    #endif
    static inline int64_t openmm_utc_ns(void) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static inline int64_t openmm_monotonic_ns(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    """
    int64_t stamp_c "openmm_stamp"()           # cheapest monotonic counter (TSC on x86-64), in counts
    int64_t utc_ns "openmm_utc_ns"()           # wall clock; only feed and loop may call it
    int64_t monotonic_ns "openmm_monotonic_ns"()

cdef int64_t stamp_to_ns(int64_t counts) noexcept nogil
# The loop marks each read of a hot socket; the listener takes the counts since, once a read.
cdef void mark_read_c(int64_t began=*) noexcept nogil    # 0: now
cdef int64_t take_read_c(int64_t stamp) noexcept nogil      # 0: not marked, or taken already

cdef class Histogram:
    cdef uint64_t count
    cdef int64_t max_ns
    cdef int64_t sum_ns
    cdef uint64_t buckets[BUCKET_COUNT]                # <= 3% relative error up to 60 s
    cdef void record_c(self, int64_t ns) noexcept nogil
    cdef int64_t quantile_c(self, int64_t ppm) noexcept nogil

cdef class StageLatency:
    cdef Histogram decode
    cdef Histogram signal
    cdef Histogram quote
    cdef Histogram plan
    cdef Histogram check
    cdef Histogram journal
    cdef Histogram encode
    cdef Histogram write
    cdef Histogram tick_to_order
    cdef Histogram ack
    cdef Histogram read
    cdef Histogram book
    cdef Histogram answer_to_order
    cdef void record_c(self, int stage, int64_t ns) noexcept nogil
