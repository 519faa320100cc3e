# Runs the hot path on tables of its own while nothing happens, so that its code stays in the caches.
from libc.stdint cimport int64_t, uint64_t

from openmm._fast.pipeline cimport Pipeline


cdef enum:
    NEAR_MAX = 16


cdef class Rehearsal:
    cdef Pipeline real
    cdef Pipeline stage                 # the same tables again; its orders go nowhere
    cdef int inlet_fd                   # where what the stage sends comes out again
    cdef object inlet
    cdef list feeds                     # of the stage, by index
    cdef char* kept                     # frames not yet rehearsed, each behind its KeptFrame
    cdef Py_ssize_t used
    cdef Py_ssize_t at                  # of the next one to rehearse
    cdef char* last                     # the newest frame that changed the quoted book
    cdef Py_ssize_t last_bytes
    cdef char* scrap
    cdef const char* near_from[NEAR_MAX]    # the real tables, as memory
    cdef Py_ssize_t near_bytes[NEAR_MAX]
    cdef int near_count
    cdef int64_t now_ns                 # of the newest frame
    cdef readonly uint64_t pass_count
    cdef readonly uint64_t sent_count   # passes that went all the way to a write
    cdef readonly uint64_t dropped_count  # frames too long to be kept
    # Keep a frame that the real path is done with.
    cdef void keep_c(self, int index, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept
    # Go once from a frame to its orders.
    cdef void pass_c(self) noexcept
    # (private)
    cdef void follow_c(self) noexcept
    cdef void catch_up_c(self) noexcept
    cdef void near_c(self) noexcept
    cdef void stand_c(self) noexcept
    cdef void displace_c(self) noexcept
