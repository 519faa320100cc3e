# The tape: a pre-faulted ring in shared memory; one writer (the engine), followers in other processes.
# A record is committed by its length word, written last; the ring survives `kill -9`.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    TAPE_VERSION = 3

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
    REC_CALL = 10          # one call into the slow path: its name and arguments, JSON
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
    REC_SAMPLE = 29        # best prices, reference and inventory at a timer
    REC_STATE = 30         # hashes over the tables, by part, JSON
    REC_PLACE = 31         # queue place of an order that stayed for it, or that a fill met
    REC_NEIGHBOURS = 32    # an input: what our other bots on the market show, each time it changed

# 32 bytes, little endian; payload follows, padded to 8.
cdef struct RecordHeader:
    uint32_t commit        # payload bytes + 1; 0 = not committed; 0xFFFFFFFF = wrap to start
    uint16_t kind
    uint16_t source
    uint64_t index         # record number of the session, from 0
    int64_t ts_ns          # event time (receive time for frames)
    uint64_t check         # index ^ position in the ring ^ a constant: tells a header from old bytes

# First page of the file. Each line of 64 bytes has one writing process.
cdef struct TapeHeader:
    uint64_t magic                     # written last: a reader that sees it sees the rest
    uint32_t version
    uint32_t header_bytes
    uint64_t size_bytes                # of the ring behind the header, a power of two
    uint32_t follow                    # 1: a follower frees room, 0: the oldest records are dropped
    int32_t engine_pid
    char session_id[64]
    uint8_t pad1[24]
    # engine
    uint64_t write_position            # bytes ever written; offset = position & (size_bytes - 1)
    uint64_t next_index
    uint64_t oldest_position           # first record still whole when nothing follows
    uint64_t oldest_index
    uint64_t lost_count
    uint32_t closed
    uint32_t full
    uint8_t pad2[80]
    # follower
    uint64_t read_position
    uint64_t read_index
    uint32_t stop_requested            # the follower asks the engine to stop quoting
    int32_t follower_pid
    uint64_t follower_beats            # grows while the follower lives

cdef class Tape:
    cdef readonly bint full            # latched: stop quoting
    cdef readonly uint64_t next_index
    cdef readonly uint64_t lost_count  # records refused for want of room; each leaves a hole in the indices
    cdef uint64_t position             # next byte to write
    cdef uint64_t limit                # no byte at or past it may be written
    cdef uint64_t mask
    cdef uint64_t size_bytes
    cdef uint64_t payload_bytes_max
    cdef uint64_t reserve_bytes        # room that frames leave to intents, fills and cancels
    cdef bint follow
    cdef char* ring
    cdef TapeHeader* header
    cdef int fd
    cdef str path_text
    # Copy one record in; returns 1, or 0 when the follower is too far behind (then `full` is set).
    cdef int append_c(self, int kind, int source, int64_t ts_ns, const void* data, Py_ssize_t n_bytes) noexcept nogil
    # The same in two parts (header struct, then bytes), without a copy in between.
    cdef int append2_c(self, int kind, int source, int64_t ts_ns, const void* a, Py_ssize_t a_bytes,
                       const void* b, Py_ssize_t b_bytes) noexcept nogil
    # Bring the lines that the next records go to near: after an order has left, ahead of the next.
    cdef void ahead_c(self, Py_ssize_t n_bytes) noexcept nogil
    # Off the fast path: free room by the follower's progress (or by dropping the oldest); 1 when it is there.
    cdef int make_room_c(self, uint64_t end, bint frame) noexcept nogil
    # The follower asked to stop (disk low): one load of a shared word.
    cdef bint stop_requested_c(self) noexcept nogil

cdef class TapeReader:
    cdef TapeHeader* header
    cdef char* ring
    cdef uint64_t size_bytes
    cdef uint64_t mask
    cdef uint64_t position
    cdef uint64_t index
    cdef uint64_t lost
    cdef int fd
    cdef str path_text
