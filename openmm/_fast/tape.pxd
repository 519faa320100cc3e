# The tape: a pre-faulted ring in shared memory; one writer (the engine), followers in other processes.
# A record is committed by its length word, written last; the ring survives `kill -9`.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    TAPE_VERSION = 1

cpdef enum Record:
    REC_UNDECIDED = 0
    # inputs
    REC_SESSION = 1        # canonical config JSON, build, seeds: first record of a session
    REC_FRAME = 2          # raw bytes of a received frame; source = feed index
    REC_BATCH_END = 3      # the kernel's read ended here: quote once
    REC_TIMER = 4          # timer id
    REC_COMMAND = 5        # operator command JSON (who, what)
    REC_WRITE_RESULT = 6   # what the transport said
    REC_REST = 7           # REST reply body, redacted; source = request kind
    REC_CONNECTION = 8     # connected, lost
    REC_STRATEGY = 9       # output of a Python strategy
    # outputs and evidence
    REC_LADDER = 16        # MarketView + Ladder as decided (for explain and the checker)
    REC_INTENT = 17        # one order action, before its bytes leave
    REC_ORDER_BYTES = 18   # canonical message bytes, secrets as holes
    REC_TRANSITION = 19    # order event: seq, event, from, to, evidence
    REC_FILL = 20          # JSON: exact fill with fees as text
    REC_REFUSAL = 21       # check reason, limit, value
    REC_RISK = 22          # risk state change JSON
    REC_BOOK = 23          # book broken / verified again
    REC_BALANCE = 24       # JSON
    REC_STAMPS = 25        # stage stamps of one decision (side channel, replay ignores)
    REC_INSTRUMENT = 26    # JSON
    REC_INCIDENT = 27      # JSON
    REC_END = 28           # JSON: session end, reason

# 32 bytes, little endian; payload follows, padded to 8.
cdef struct RecordHeader:
    uint32_t commit        # payload bytes + 1; 0 = not committed; 0xFFFFFFFF = wrap to start
    uint16_t kind
    uint16_t source
    uint64_t index         # record number of the session, from 0
    int64_t ts_ns          # event time (receive time for frames)
    uint64_t reserved

cdef class Tape:
    cdef bint full                     # latched: stop quoting
    cdef uint64_t next_index
    # Copy one record in; returns 1, or 0 when the follower is too far behind (then `full` is set).
    cdef int append_c(self, int kind, int source, int64_t ts_ns, const void* data, Py_ssize_t n_bytes) noexcept nogil
    # The same in two parts (header struct, then bytes), without a copy in between.
    cdef int append2_c(self, int kind, int source, int64_t ts_ns, const void* a, Py_ssize_t a_bytes, const void* b, Py_ssize_t b_bytes) noexcept nogil
