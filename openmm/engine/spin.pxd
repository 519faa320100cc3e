# What the engine's event loop keeps of its hot sockets.
from libc.stdint cimport uint32_t, uint64_t

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

cdef class Spinner:
    cdef int epoll_fd
    cdef int hot_count
    cdef int hot_fd[HOT_MAX]
    cdef bint hot_blind[HOT_MAX]        # spin on the callback itself: it bears an empty socket
    cdef list hot_call
    cdef object ready
    cdef object on_error
    cdef uint64_t version               # of the hot set: a callback may change it
    cdef epoll_event events[EVENTS_MAX]
    cdef readonly uint64_t read_count   # read callbacks called
    cdef readonly uint64_t look_count   # looks at the hot sockets
    cdef int read_c(self, int i) except -1
    cdef int find_c(self, int fd) noexcept nogil
    cdef list take_c(self, int count)
