# The only kernel that sees a socket or a clock: listeners that call the pipeline, the socket transport.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from openmm._fast.pipeline cimport Feed, Pipeline
from openmm._fast.ports cimport Encoder, OutBatch, Transport
from openmm._fast.rehearsal cimport Rehearsal


# UTC carried by the monotonic clock: never goes back or stands still within a session.
cdef class EventClock:
    cdef int64_t anchor_ns              # event time minus monotonic, at the anchor
    cdef int64_t last_ns
    cdef int64_t slew_ns                # what event time was off the machine's UTC at the anchor
    cdef int64_t slew_from_ns           # monotonic time of the anchor
    cdef int64_t machine_ns             # the machine's UTC minus monotonic, at the anchor
    cdef bint held                      # time moves by `hold` alone
    cdef int64_t now_c(self) noexcept nogil
    cdef int64_t at_c(self, int64_t monotonic_ns) noexcept nogil
    cdef int64_t slewed_c(self, int64_t monotonic_ns) noexcept nogil


cdef class SocketTransport(Transport):
    cdef WSTransport ws
    cdef object sock
    cdef int fd                         # of a rehearsal's own socket, else -1
    cdef char* buffer
    cdef uint64_t mask_state
    cdef readonly uint64_t bytes_sent
    cdef readonly object last_error
    cdef uint32_t next_mask(self) noexcept nogil


# Joins fragments; gives whole messages.
cdef class Assembler:
    cdef char* data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef int add(self, const char* data, Py_ssize_t n_bytes) except -1


cdef class MarketListener(WSListener):
    cdef Pipeline pipeline
    cdef Feed feed
    cdef EventClock clock
    cdef Assembler parts
    cdef object on_slow                 # callable(bytes, recv_ns)
    cdef object on_connection           # callable(connected: bool)
    cdef object before                  # callable(bytes, recv_ns) ahead of the pipeline, or None
    cdef bint late_ack                  # TCP_QUICKACK 0, again after each order
    cdef Rehearsal rehearsal            # gets each frame once it is dealt with; None: nobody
    cdef readonly WSTransport transport
    cdef readonly uint64_t oversize_count

    cdef take(self, const char* data, Py_ssize_t n_bytes, int64_t stamp, bint last)
    cpdef on_ws_connected(self, WSTransport transport)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)


cdef class PrivateListener(WSListener):
    cdef Pipeline pipeline
    cdef int source
    cdef EventClock clock
    cdef Assembler parts
    cdef object on_message              # callable(bytes, recv_ns)
    cdef object on_connection
    cdef object redact                  # callable(bytes) -> bytes for the tape
    cdef SocketTransport sender
    cdef readonly WSTransport transport
    cdef readonly int64_t last_recv_ns

    cpdef on_ws_connected(self, WSTransport transport)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)
