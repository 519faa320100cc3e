# Orders over REST: messages of a decision as HTTP requests over connections that are kept open.
from libc.stdint cimport int32_t, uint64_t
from openmm._fast.ports cimport Encoder, OutBatch, Transport

cdef enum:
    LINE_WAITING_MAX = 8            # a power of two

# One kept connection. Replies come in the order of the requests.
cdef class OrderLine:
    cdef object writer              # has `write(bytes)`; None: not connected
    cdef int fd                     # of a plain connection: sends need no Python; else -1
    cdef bint buffered              # the writer may hold bytes back: nothing may pass them
    cdef int32_t pending[LINE_WAITING_MAX]  # ids of requests without a reply, 0: no order's
    cdef uint64_t asked             # requests ever sent, and replies ever taken
    cdef uint64_t replied
    cdef readonly uint64_t sent_count
    cdef int put_c(self, const char* data, Py_ssize_t n_bytes) except -1

cdef inline int waiting(OrderLine line) noexcept nogil:
    return <int>(line.asked - line.replied)

cdef class RestTransport(Transport):
    cdef readonly list lines
    cdef bytes tail                 # from the target to the end of the request
    cdef char* buffer
    cdef readonly uint64_t write_count
    cdef readonly uint64_t bytes_sent
    cdef readonly object last_error
    cdef OrderLine freest(self)
    cdef int send_one(self, OutBatch* batch, int index, Encoder encoder) except -1
