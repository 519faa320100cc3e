"""Sockets meet the pipeline: the listeners that call it and the transport it writes to.

A frame's bytes go to the pipeline where they lie, in the connection's read buffer; only messages
that the slow path must read become Python objects. Several order messages of one decision leave in
one `send(2)`: each is framed and masked into one buffer.
"""

from cython cimport final

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from openmm._fast.latency cimport stamp_c, take_read_c
from openmm._fast.pipeline cimport Feed, Pipeline
from openmm._fast.ports cimport (
    DECODED_BROKEN, DECODED_SLOW, DECODED_UNDECIDED, OUT_BYTES, OUT_MESSAGES, Decoded, Encoder,
    OutBatch, Transport,
)
from openmm._fast.rehearsal cimport Rehearsal
from openmm._fast.tape cimport REC_FRAME

import os

import picows

# The layout of picows' classes is compiled in; its patch releases have changed it before.
PICOWS_VERSION = "2.3.1"

if picows.__version__ != PICOWS_VERSION:
    raise ImportError(f"openmm is built for picows {PICOWS_VERSION}; found {picows.__version__}")

cdef enum:
    HEADER_MAX = 14
    MESSAGE_BYTES_MAX = 16 << 20        # a message larger than this breaks its stream
    MASK_BIT = 0x80
    FIN_TEXT = 0x81
    SLEW_SHIFT = 4                      # a step of UTC is made up for at 2**-4 of the time that passes
    CLOCK_PAIRS = 4


cdef extern from "<netinet/tcp.h>" nogil:
    """
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    static inline void openmm_ack_late(int fd) {
    #ifdef TCP_QUICKACK
        int off = 0;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
    #else
        (void)fd;
    #endif
    }
    """
    void ack_late "openmm_ack_late"(int fd)


cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
    ssize_t send(int sockfd, const void* data, size_t n_bytes, int flags)


cdef inline int64_t clock_ns(int clock) noexcept nogil:
    cdef timespec ts
    clock_gettime(clock, &ts)
    return ts.tv_sec * <int64_t>1_000_000_000 + ts.tv_nsec


cdef int64_t machine_offset(int64_t* monotonic_ns) noexcept nogil:
    """Read UTC minus monotonic time, from the closest of a few pairs: we may be interrupted in one."""
    cdef int64_t before_ns, utc_ns, after_ns
    cdef int64_t offset_ns = 0
    cdef int64_t closest_ns = INT64_MAX
    cdef int _pair
    for _pair in range(CLOCK_PAIRS):
        before_ns = clock_ns(CLOCK_MONOTONIC)
        utc_ns = clock_ns(CLOCK_REALTIME)
        after_ns = clock_ns(CLOCK_MONOTONIC)
        if after_ns - before_ns < closest_ns:
            closest_ns = after_ns - before_ns
            monotonic_ns[0] = before_ns + (closest_ns >> 1)
            offset_ns = utc_ns - monotonic_ns[0]
    return offset_ns


@final
cdef class EventClock:
    """Tell event time: UTC at the start, carried on by the monotonic clock, never backward.

    A step of the machine's UTC is made up for at a sixteenth of the time that passes: ages and
    timeouts stay right to 6%, and time never stands still.
    """

    def __cinit__(self):
        cdef int64_t monotonic_ns = 0
        self.machine_ns = machine_offset(&monotonic_ns)
        self.anchor_ns = self.machine_ns

    def hold(self, int64_t now_ns):
        """Read the machine's clock no more: time stands at `now_ns` until `hold` moves it on.

        For sessions on a virtual clock. Time told so far still never goes back.
        """
        self.held = True
        if now_ns > self.last_ns:
            self.last_ns = now_ns

    def anchor(self):
        """Steer for UTC as the machine tells it now; returns how far that has stepped since the last time."""
        cdef int64_t monotonic_ns = 0
        cdef int64_t offset_ns
        if self.held:
            return 0
        offset_ns = machine_offset(&monotonic_ns)
        return self.anchor_at(offset_ns + monotonic_ns, monotonic_ns)

    def anchor_at(self, int64_t utc_ns, int64_t monotonic_ns):
        """Steer for `utc_ns` at a reading of the monotonic clock; returns the step since the last anchor."""
        cdef int64_t stepped_ns = utc_ns - monotonic_ns - self.machine_ns
        self.anchor_ns += self.slewed_c(monotonic_ns)
        self.slew_from_ns = monotonic_ns
        self.machine_ns = utc_ns - monotonic_ns
        self.slew_ns = self.machine_ns - self.anchor_ns
        return stepped_ns

    cdef int64_t slewed_c(self, int64_t monotonic_ns) noexcept nogil:
        """Tell how much of the step is made up for at a reading of the monotonic clock."""
        cdef int64_t made_ns = (monotonic_ns - self.slew_from_ns) >> SLEW_SHIFT
        if self.slew_ns < 0:
            return -made_ns if made_ns < -self.slew_ns else self.slew_ns
        return made_ns if made_ns < self.slew_ns else self.slew_ns

    cdef int64_t at_c(self, int64_t monotonic_ns) noexcept nogil:
        cdef int64_t now = self.anchor_ns + monotonic_ns
        if self.slew_ns != 0:
            now += self.slewed_c(monotonic_ns)
        if now < self.last_ns:
            now = self.last_ns
        self.last_ns = now
        return now

    cdef int64_t now_c(self) noexcept nogil:
        if self.held:
            return self.last_ns
        return self.at_c(clock_ns(CLOCK_MONOTONIC))

    def at(self, int64_t monotonic_ns):
        """Return event time at a reading of the monotonic clock; never before one told already."""
        return self.at_c(monotonic_ns)

    def now_ns(self):
        """Return nanoseconds since 1970, UTC."""
        return self.now_c()

    def stepped_ns(self):
        """Return how far the machine's UTC has stepped since the last anchor; 0 on a virtual clock."""
        cdef int64_t monotonic_ns = 0
        return 0 if self.held else machine_offset(&monotonic_ns) - self.machine_ns


@final
cdef class Assembler:
    """Join the fragments of a message; bounded, allocated on the first fragment only."""

    def __dealloc__(self):
        free(self.data)

    cdef int add(self, const char* data, Py_ssize_t n_bytes) except -1:
        """Append a fragment; returns 0 when the message grew too large (it is dropped)."""
        if self.data == NULL:
            self.capacity = MESSAGE_BYTES_MAX
            self.data = <char*>calloc(1, self.capacity + 256)
            if self.data == NULL:
                raise MemoryError("message fragments")
        if self.size + n_bytes > self.capacity:
            self.size = 0
            return 0
        memcpy(self.data + self.size, data, n_bytes)
        self.size += n_bytes
        return 1


@final
cdef class MarketListener(WSListener):
    """Feed one market data connection into the pipeline.

    Args:
        on_slow: called with (payload, recv_ns) for messages that are not for the hot path.
        on_connection: called with True when the socket is up, False when it is gone.
        before: called with (payload, recv_ns) of every message ahead of the pipeline; paper mode's
            venue sees the market before we do. None: no Python object is made of market data.
        late_ack: let the kernel acknowledge what it receives late, with its own data or after up
            to 40 ms: one packet less to make before an order leaves.
        rehearsal: gets every frame when all else is done with it.
    """

    def __cinit__(self, Pipeline pipeline not None, Feed feed not None, EventClock clock not None,
                  on_slow, on_connection, before=None, bint late_ack=False,
                  Rehearsal rehearsal=None):
        self.pipeline = pipeline
        self.feed = feed
        self.late_ack = late_ack
        self.rehearsal = rehearsal
        self.clock = clock
        self.parts = Assembler()
        self.on_slow = on_slow
        self.on_connection = on_connection
        self.before = before

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        if self.late_ack:
            ack_late(transport._socket)
        self.on_connection(True)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef int64_t stamp = stamp_c()
        cdef const char* data = frame.payload_ptr
        cdef Py_ssize_t n_bytes = frame.payload_size
        cdef uint64_t writes = self.pipeline.write_count
        cdef bint joined = False
        cdef int64_t read_counts = take_read_c(stamp)
        if read_counts:
            # The first frame of a read: those behind it came by the same one.
            self.pipeline.read_counts = read_counts
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
            return
        if frame.msg_type > WSMsgType.BINARY:
            if frame.last_in_buffer:
                # A ping ends the read: what came before it waits for no timer.
                self.pipeline.end_read_c(self.feed, self.clock.now_c(), stamp)
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            return
        if not frame.fin or frame.msg_type == WSMsgType.CONTINUATION:
            if not self.parts.add(data, n_bytes):
                self.oversize_count += 1
                transport.disconnect(False)
                return
            if not frame.fin:
                if frame.last_in_buffer:
                    self.pipeline.end_read_c(self.feed, self.clock.now_c(), stamp)
                return
            data = self.parts.data
            n_bytes = self.parts.size
            joined = True
        if n_bytes == 0 or n_bytes > MESSAGE_BYTES_MAX:
            self.oversize_count += n_bytes > 0
            if n_bytes:
                transport.disconnect(False)
            return
        self.take(data, n_bytes, stamp, frame.last_in_buffer)
        if self.late_ack and writes != self.pipeline.write_count:
            # The kernel forgets it when an acknowledgement was due; now no order waits for it.
            ack_late(transport._socket)
        if joined:
            self.parts.size = 0

    cpdef is_user_specific_pong(self, WSFrame frame):
        """Tell an answered ping from other frames; one that ends a read decides on what came before."""
        if frame.msg_type != WSMsgType.PONG:
            return False
        if frame.last_in_buffer:
            self.pipeline.end_read_c(self.feed, self.clock.now_c(), stamp_c())
        return True

    def deliver(self, bytes payload not None, bint last=True):
        """Take a whole message that came by another way than a socket: a venue in this process."""
        self.take(payload, len(payload), stamp_c(), last)

    cdef take(self, const char* data, Py_ssize_t n_bytes, int64_t stamp, bint last):
        cdef Decoded decoded
        cdef int64_t recv_ns = self.clock.now_c()
        if self.before is not None:
            self.before(data[:n_bytes], recv_ns)
        decoded = self.pipeline.on_frame_c(
            self.feed, data, n_bytes, recv_ns, stamp, last
        )
        if self.rehearsal is not None:
            self.rehearsal.keep_c(self.feed.index, data, n_bytes, recv_ns)
        if decoded == DECODED_SLOW or decoded == DECODED_BROKEN or decoded == DECODED_UNDECIDED:
            self.on_slow(data[:n_bytes], recv_ns)

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.transport = None
        self.on_connection(False)


@final
cdef class PrivateListener(WSListener):
    """Put every private message on the tape, then hand it to the slow path.

    Args:
        source: source number of the tape records.
        sender: the transport that order batches leave through while this connection lives; None:
            the connection is not a socket, and its maker tells where orders go.
        redact: returns the message as it may be journalled (secrets blanked).
    """

    def __cinit__(self, Pipeline pipeline not None, int source, EventClock clock not None,
                  SocketTransport sender, on_message, on_connection, redact):
        self.pipeline = pipeline
        self.source = source
        self.clock = clock
        self.sender = sender
        self.parts = Assembler()
        self.on_message = on_message
        self.on_connection = on_connection
        self.redact = redact

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        if self.sender is not None:
            self.sender.attach(transport)
        self.on_connection(True)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef bytes payload
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
            return
        if frame.msg_type > WSMsgType.BINARY:
            if frame.msg_type == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            return
        if not frame.fin or frame.msg_type == WSMsgType.CONTINUATION:
            if not self.parts.add(frame.payload_ptr, frame.payload_size):
                transport.disconnect(False)
                return
            if not frame.fin:
                return
            payload = self.parts.data[:self.parts.size]
            self.parts.size = 0
        else:
            payload = frame.payload_ptr[:frame.payload_size]
        self.deliver(payload)

    def deliver(self, bytes payload not None):
        """Take a whole message, however it came."""
        cdef bytes kept
        cdef int64_t stamp = stamp_c()
        cdef int64_t recv_ns = self.clock.now_c()
        self.last_recv_ns = recv_ns
        kept = self.redact(payload)
        self.pipeline.append_c(REC_FRAME, self.source, recv_ns, <const char*>kept, len(kept))
        self.pipeline.answer_stamp = stamp
        try:
            self.on_message(payload, recv_ns)
        finally:
            self.pipeline.answer_stamp = 0

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.transport = None
        if self.sender is not None:
            self.sender.detach()
        self.on_connection(False)


@final
cdef class SocketTransport(Transport):
    """Write the messages of a decision to a picows connection in one `send(2)`."""

    def __cinit__(self):
        self.buffer = <char*>calloc(1, OUT_BYTES + OUT_MESSAGES * HEADER_MAX + 64)
        if self.buffer == NULL:
            raise MemoryError("write buffer")
        # Masks only keep proxies from reading frames as HTTP (RFC 6455, 10.3); they are not
        # secrets, but must not be predictable from outside.
        self.mask_state = int.from_bytes(os.urandom(8), "little") | 1
        self.live = False
        self.fd = -1

    def __dealloc__(self):
        free(self.buffer)

    def attach(self, WSTransport ws not None):
        """Send over `ws` from now on."""
        self.ws = ws
        self.live = True

    def detach(self):
        """Refuse every send until attached again; a plain socket is closed."""
        self.ws = None
        self.live = False
        if self.sock is not None:
            self.fd = -1
            self.sock.close()
            self.sock = None

    def attach_socket(self, sock not None):
        """Send over a plain socket from now on; what it does not take at once is lost: rehearsals only."""
        self.sock = sock
        self.fd = sock.fileno()
        self.live = True

    cdef uint32_t next_mask(self) noexcept nogil:
        # xorshift64* (Vigna 2016)
        cdef uint64_t x = self.mask_state
        x ^= x >> 12
        x ^= x << 25
        x ^= x >> 27
        self.mask_state = x
        return <uint32_t>((x * <uint64_t>0x2545F4914F6CDD1D) >> 32)

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef int i
        cdef Py_ssize_t j
        cdef Py_ssize_t n_bytes
        cdef char* out = self.buffer
        cdef char* body
        cdef uint32_t mask
        cdef uint64_t mask8
        cdef uint64_t word
        cdef uint8_t* mask_bytes = <uint8_t*>&mask
        if self.fd < 0 \
                and (self.ws is None or self.ws.is_disconnected or self.ws.is_close_frame_sent):
            return -1
        for i in range(batch.count):
            n_bytes = batch.length[i]
            mask = self.next_mask()
            out[0] = <char>FIN_TEXT
            if n_bytes < 126:
                out[1] = <char>(MASK_BIT | n_bytes)
                body = out + 2
            else:
                # OUT_BYTES keeps every message below 64 KiB.
                out[1] = <char>(MASK_BIT | 126)
                out[2] = <char>((n_bytes >> 8) & 0xFF)
                out[3] = <char>(n_bytes & 0xFF)
                body = out + 4
            memcpy(body, &mask, 4)
            body += 4
            memcpy(body, batch.data + batch.start[i], n_bytes)
            if batch.hole[i] >= 0:
                encoder.fill_secret_c(body, <int>n_bytes, batch.hole[i])
            mask8 = (<uint64_t>mask << 32) | mask
            j = 0
            while j + 8 <= n_bytes:
                memcpy(&word, body + j, 8)
                word ^= mask8
                memcpy(body + j, &word, 8)
                j += 8
            while j < n_bytes:
                body[j] = <char>(<uint8_t>body[j] ^ mask_bytes[j & 3])
                j += 1
            out = body + n_bytes
        n_bytes = out - self.buffer
        if self.fd >= 0:
            return send(self.fd, self.buffer, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
        try:
            self.ws._fast_write(self.buffer, n_bytes)
        except Exception as error:  # noqa: BLE001 - a socket that fails is a send that failed
            self.last_error = error
            self.live = False
            return -1
        self.bytes_sent += n_bytes
        return n_bytes
