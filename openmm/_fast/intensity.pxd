# How often a quote at a distance from the mid is reached: lambda(d) = A * exp(-k * d), fitted live.
from libc.stdint cimport int64_t

cdef enum:
    BUCKETS = 64                    # distances told apart

cdef class Intensity:
    # --- outputs, quantised to integers in one place (`fit_c`); 0 until there is enough to fit
    cdef int64_t decay_uticks               # 1/k: the distance at which a quote is reached e times less often
    cdef int64_t arrival_uhz                # A: times a second at no distance, of one side, in millionths
    # --- the running interval
    cdef bint running
    cdef int64_t start_ns
    cdef int64_t from_uticks                # mid at its start: distances are from there
    cdef int64_t mid_uticks                 # mid as told last
    cdef int64_t reach_uticks[2]            # furthest trade of takers who buy, who sell; -1: none
    # --- state of the estimator
    cdef int64_t sample_ns                  # length of an interval
    cdef int64_t half_life_ns
    cdef int64_t refit_ns                   # least time between two fits
    cdef int64_t fitted_ns                  # when the last fit was tried
    cdef double keep                        # what one interval leaves of the counts
    cdef double trials                      # decayed intervals, both sides counted
    cdef double hits[BUCKETS]               # of them, those in which trades reached the distance
    cdef int64_t edges_uticks[BUCKETS]      # rising, on the lattice of half ticks
    # The mid of others after a message; MISSING or not: the interval is given up without one.
    cdef void on_mid_c(self, int64_t now_ns, int64_t mid_uticks) noexcept nogil
    cdef void on_trade_c(self, int64_t now_ns, int taker_side, int64_t price_ticks) noexcept nogil
    # (private)
    cdef void roll_c(self, int64_t now_ns) noexcept nogil
    cdef void begin_c(self, int64_t now_ns) noexcept nogil
    cdef void count_c(self, int64_t intervals) noexcept nogil
    cdef void fit_c(self) noexcept nogil
    cdef int lay_c(self, int64_t nearest_uticks) except -1
