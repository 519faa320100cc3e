# Cross-venue reference price: weighted average of the eligible venues' mids, in the quoted pair's uticks.
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    SOURCES_MAX = 16

cpdef enum SourceVerdict:
    SOURCE_UNDECIDED = 0
    SOURCE_USED = 1
    SOURCE_UNVERIFIED = 2
    SOURCE_STALE = 3
    SOURCE_WIDE = 4
    SOURCE_OUTLIER = 5
    SOURCE_DISAGREES = 6       # two sources, apart by more than the floor: no reference
    SOURCE_THIN = 7            # no depth on a side

cdef struct Source:
    int64_t mid_uticks         # already in the quoted instrument's uticks; MISSING when none
    int64_t spread_uticks
    int64_t depth_lots
    int64_t recv_ns
    int64_t age_ns_max
    int64_t spread_uticks_max
    int64_t trust_ppm
    int64_t weight_ppm         # out: last weight used
    int64_t scale_num          # source uticks * num / den = quoted uticks (tick sizes differ)
    int64_t scale_den
    int64_t depth_root         # isqrt(depth_lots), set with it
    double age_steps_per_ns    # 512 / age_ns_max
    bint verified
    SourceVerdict verdict      # out

cdef class Reference:
    cdef int64_t price_uticks          # MISSING when there is none
    cdef int64_t confidence_ppm        # 0 .. 1e6
    cdef int32_t used_count
    cdef int32_t source_count
    cdef Source sources[SOURCES_MAX]
    cdef int64_t outlier_floor_ppm     # of price; with two sources: beyond it they disagree
    cdef int64_t clamp_ppm
    cdef int64_t outlier_mads          # with three or more: a source this many MADs off is dropped
    cdef int64_t weight_cap_ppm        # with three or more: no source weighs more
    cdef int64_t trust_ppm_sum         # of all configured sources
    cdef void set_c(
        self, int index, int64_t mid_uticks, int64_t spread_uticks, int64_t depth_lots, int64_t recv_ns,
        bint verified,
    ) noexcept nogil
    cdef int64_t compute_c(self, int64_t now_ns) noexcept nogil   # price_uticks, or MISSING
    # (private)
    cdef SourceVerdict eligible_c(self, Source* source, int64_t now_ns) noexcept nogil
    cdef int64_t none_c(self) noexcept nogil
    cdef int64_t blend_c(self, int count, int* order, int64_t now_ns) noexcept nogil
    cdef int check_index(self, int index) except -1
