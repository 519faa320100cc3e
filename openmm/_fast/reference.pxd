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
    SOURCE_PROBATION = 8       # was out: not enough good updates since
    SOURCE_UNCONFIRMED = 9     # moved further in one step than one source may alone
    SOURCE_NO_RATE = 10        # the pair that converts its currency is not eligible
    SOURCE_RATE = 11           # converts others; takes no part in the blend itself

cdef struct Source:
    int64_t mid_uticks         # already in the quoted instrument's uticks; MISSING when none
    int64_t spread_uticks
    int64_t depth_lots
    int64_t recv_ns
    int64_t age_ns_max
    int64_t spread_ppm_max     # of its mid: holds in any currency, at any price
    int64_t trust_ppm
    int64_t weight_ppm         # out: last weight used
    int64_t scale_num          # source uticks * num / den = quoted uticks (tick sizes differ)
    int64_t scale_den
    int64_t depth_num          # source lots * num / den = quoted lots
    int64_t depth_den
    int64_t depth_root         # isqrt(depth_lots), set with it
    double age_steps_per_ns    # 512 / age_ns_max
    bint verified
    bint is_rate               # converts the currency of others
    bint rate_inverse          # that source is quoted the other way round: its price divides
    bint admitted              # takes part since it gave enough good updates
    int32_t rate_index         # source that converts the currency, -1: none needed
    int32_t good_count         # good updates on probation
    int64_t rate_unit_uticks   # uticks of that source that are a rate of one
    int64_t good_recv_ns       # stamp of the last of them
    int64_t price_uticks       # out: mid in the quoted currency; MISSING when not eligible
    int64_t fair_uticks        # out: the same less the basis
    int64_t basis_uticks       # slow average of its gap to the others' price, not capped yet
    int64_t basis_seen_ns      # how much of its gap has been seen, up to the time constant
    int64_t basis_ns           # when the basis was last moved
    int64_t anchor_uticks      # fair price when the reference was last accepted
    SourceVerdict verdict      # out

cdef class Reference:
    cdef int64_t price_uticks          # the quoted venue's fair price; MISSING when there is none
    cdef int64_t fair_uticks           # the same without that venue's basis
    cdef int64_t confidence_ppm        # 0 .. 1e6
    cdef int32_t used_count
    cdef int32_t source_count
    cdef Source sources[SOURCES_MAX]
    cdef int64_t outlier_floor_ppm     # of price; with two sources: beyond it they disagree
    cdef int64_t clamp_ppm
    cdef int64_t outlier_mads          # with three or more: a source this many MADs off is dropped
    cdef int64_t weight_cap_ppm        # with three or more: no source weighs more
    cdef int64_t trust_ppm_sum         # of all configured sources
    cdef int64_t basis_ns              # time constant of the basis
    cdef int64_t basis_cap_ppm         # of price; 0: no basis
    cdef int64_t jump_ppm              # of price; 0: a jump needs nobody's confirmation
    cdef int64_t jump_hold_ns          # a jump nobody confirms is believed after this
    cdef int64_t accepted_uticks
    cdef int64_t accepted_ns
    cdef int32_t readmit_count
    cdef int32_t quoted_index          # -1: none
    cdef int32_t blended_count         # configured sources that are no rate
    cdef void set_c(
        self, int index, int64_t mid_uticks, int64_t spread_uticks, int64_t depth_lots, int64_t recv_ns,
        bint verified,
    ) noexcept nogil
    cdef int64_t compute_c(self, int64_t now_ns) noexcept nogil   # price_uticks, or MISSING
    # (private)
    cdef SourceVerdict eligible_c(self, Source* source, int64_t now_ns) noexcept nogil
    cdef SourceVerdict judge_c(self, Source* source, int64_t now_ns) noexcept nogil
    cdef int64_t basis_c(self, Source* source, int64_t price_uticks) noexcept nogil
    cdef int64_t none_c(self) noexcept nogil
    cdef int64_t blend_c(self, int count, int* order, int64_t now_ns) noexcept nogil
    cdef bint confirmed_c(self, int64_t fair_uticks, int64_t now_ns) noexcept nogil
    cdef void remember_c(self, int64_t fair_uticks, int64_t now_ns) noexcept nogil
    cdef void learn_c(self, Source* source, int64_t fair_uticks, int64_t now_ns) noexcept nogil
    cdef int check_index(self, int index) except -1
