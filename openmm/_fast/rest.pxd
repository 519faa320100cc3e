# Orders over REST: messages of a decision as HTTP requests over connections that are kept open.
from libc.stdint cimport uint64_t
from openmm._fast.ports cimport Encoder, OutBatch, Transport

# One kept connection. Replies come in the order of the requests.
cdef class OrderLine:
    cdef object writer              # has `write(bytes)`; None: not connected
    cdef object pending             # deque of request ids, 0 for one that is no order's
    cdef int waiting                # requests without a reply
    cdef readonly uint64_t sent_count

cdef class RestTransport(Transport):
    cdef readonly list lines
    cdef bytes tail                 # from the target to the end of the request
    cdef char* buffer
    cdef readonly uint64_t write_count
    cdef readonly uint64_t bytes_sent
    cdef readonly object last_error
    cdef OrderLine freest(self)
    cdef int send_one(self, OutBatch* batch, int index, Encoder encoder) except -1
