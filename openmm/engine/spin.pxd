# What the engine's event loop keeps of its hot sockets.
from libc.stdint cimport uint32_t, uint64_t

from openmm._fast.rehearsal cimport Rehearsal

cdef extern from "<sys/epoll.h>" nogil:
    cdef enum:
        EPOLLIN
        EPOLLOUT
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)

cdef enum:
    HOT_MAX = 8             # more sockets than these are served by epoll
    EVENTS_MAX = 64

# A socket that is read inside of `select`, where its bytes go and who is told of them.
cdef class HotSocket:
    cdef int fd
    cdef object call
    cdef object get_buffer              # None: only `call` can read
    cdef object updated
    cdef object abort
    cdef char* data
    cdef Py_ssize_t room
    cdef int fetch_c(self) except -1


cdef class Spinner:
    cdef int epoll_fd
    cdef list hot                       # of HotSocket
    cdef object ready
    cdef object on_error
    cdef Rehearsal rehearsal            # gets the idle moments; None: nobody
    cdef uint64_t version               # of the hot set: a callback may change it
    cdef epoll_event events[EVENTS_MAX]
    cdef readonly uint64_t read_count   # reads that had something, or were left to a callback
    cdef readonly uint64_t look_count   # looks at the hot sockets
    cdef int fetch_c(self) except -1
    cdef int call_c(self, HotSocket one) except -1
    cdef int read_c(self, HotSocket one) except -1
    cdef HotSocket find_c(self, int fd)
    cdef list take_c(self, int count)
