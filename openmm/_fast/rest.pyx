"""Orders over REST: messages of a decision as HTTP requests over connections that are kept open.

A message is `ID VERB /path?query`, as an encoder of such a venue writes it. It leaves as an HTTP/1.1
request without a body on the connection with the fewest requests still to be answered; no order
waits for a handshake. Whoever reads a connection takes the id of each reply from its `OrderLine`.
"""

from cython cimport final

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy

from openmm._fast.ports cimport OUT_BYTES, Encoder, OutBatch, Transport

# Requests of one connection without a reply: behind so many, an order goes nowhere.
WAITING_MAX = LINE_WAITING_MAX

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
    ssize_t send(int sockfd, const void* data, size_t n_bytes, int flags)

cdef enum:
    LINES_MAX = 32
    TAIL_BYTES_MAX = 4096
    ID_BYTES_MAX = 10


@final
cdef class OrderLine:
    """One connection to order over, as its transport sees it."""

    def __cinit__(self):
        self.fd = -1

    @property
    def up(self):
        """Whether it is connected."""
        return self.writer is not None

    @property
    def outstanding(self):
        """Count the requests without a reply."""
        return waiting(self)

    def attach(self, writer not None, int fd=-1):
        """Send over `writer` from now on.

        Args:
            fd: of the socket behind it, where that carries the bytes as they are: without TLS.
        """
        self.asked = self.replied = 0
        self.writer = writer
        self.fd = fd
        self.buffered = False

    def detach(self):
        """Refuse what comes until attached again; returns the ids of orders left without a reply."""
        cdef uint64_t i
        lost = [
            self.pending[i & (LINE_WAITING_MAX - 1)]
            for i in range(self.replied, self.asked)
            if self.pending[i & (LINE_WAITING_MAX - 1)]
        ]
        self.asked = self.replied = 0
        self.writer = None
        self.fd = -1
        return lost

    def ask(self, bytes data not None):
        """Send a request that is no order's: it keeps an idle connection."""
        if self.writer is None or waiting(self) == LINE_WAITING_MAX:
            raise RuntimeError("not connected, or too much is unanswered")
        self.pending[self.asked & (LINE_WAITING_MAX - 1)] = 0
        self.asked += 1
        self.put_c(data, len(data))

    def answered(self):
        """Take the id of the request that a reply is of: of the oldest one; -1 when none waits."""
        cdef int32_t req_id
        if self.replied == self.asked:
            return -1
        req_id = self.pending[self.replied & (LINE_WAITING_MAX - 1)]
        self.replied += 1
        return req_id

    cdef int put_c(self, const char* data, Py_ssize_t n_bytes) except -1:
        """Send bytes: by the socket itself where that is possible, behind what the writer holds."""
        cdef Py_ssize_t sent = 0
        if self.buffered and self.fd >= 0:
            self.buffered = self.writer.get_write_buffer_size() > 0
        if self.fd >= 0 and not self.buffered:
            sent = send(self.fd, data, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent == n_bytes:
                return 0
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    PyErr_SetFromErrno(OSError)
                sent = 0
            self.buffered = True
        self.writer.write(data[sent:n_bytes])
        return 0


@final
cdef class RestTransport(Transport):
    """Write the messages of a decision to kept HTTP connections.

    Args:
        host: of the requests' Host header.
        headers: of every request.
        connections: how many lines there are.
    """

    def __cinit__(self, str host not None, headers not None, int connections):
        if not 1 <= connections <= LINES_MAX:
            raise ValueError(f"connections must be 1 to {LINES_MAX}: {connections}")
        lines = [f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("headers must be single lines")
        text = " HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "Content-Length: 0\r\n\r\n"
        self.tail = text.encode("ascii")
        if len(self.tail) > TAIL_BYTES_MAX:
            raise ValueError(f"headers must have at most {TAIL_BYTES_MAX} bytes: {len(self.tail)}")
        self.buffer = <char*>calloc(1, OUT_BYTES + TAIL_BYTES_MAX)
        if self.buffer == NULL:
            raise MemoryError("write buffer")
        self.lines = [OrderLine() for _ in range(connections)]
        self.live = False

    def __dealloc__(self):
        free(self.buffer)

    @property
    def up(self):
        """Whether a connection is up."""
        return self.live

    def look(self):
        """Learn whether a connection is up: asked for after each change of one."""
        cdef OrderLine line
        cdef bint live = False
        for line in self.lines:
            live = live or line.writer is not None
        self.live = live

    def framed(self, bytes message not None):
        """Return a message's id and the request it makes, its hole as it is."""
        cdef bytes head, rest
        head, _, rest = message.partition(b" ")
        return int(head), rest + self.tail

    cdef OrderLine freest(self):
        cdef OrderLine line
        cdef OrderLine found = None
        for line in self.lines:
            if line.writer is not None and waiting(line) < LINE_WAITING_MAX:
                if found is None or waiting(line) < waiting(found):
                    found = line
        return found

    cdef int send_one(self, OutBatch* batch, int index, Encoder encoder) except -1:
        cdef int n_bytes = batch.length[index]
        cdef Py_ssize_t tail_n = len(self.tail)
        cdef const char* end
        cdef Py_ssize_t head_n
        cdef int req_id = 0
        cdef Py_ssize_t i
        cdef OrderLine line = self.freest()
        memcpy(self.buffer, batch.data + batch.start[index], n_bytes)
        end = <const char*>memchr(self.buffer, c" ", min(n_bytes, ID_BYTES_MAX + 1))
        if line is None or end == NULL:
            raise RuntimeError("no connection, or no request")
        head_n = end - self.buffer
        for i in range(head_n):
            req_id = 10 * req_id + self.buffer[i] - 48
        if batch.hole[index] >= 0:
            encoder.fill_secret_c(self.buffer, n_bytes, batch.hole[index])
        memcpy(self.buffer + n_bytes, <const char*>self.tail, tail_n)
        line.pending[line.asked & (LINE_WAITING_MAX - 1)] = req_id
        line.asked += 1
        line.put_c(self.buffer + head_n + 1, n_bytes - head_n - 1 + tail_n)
        line.sent_count += 1
        self.bytes_sent += n_bytes - head_n - 1 + tail_n
        return 0

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef OrderLine line
        cdef int room = 0
        cdef int i
        for line in self.lines:
            if line.writer is not None:
                room += LINE_WAITING_MAX - waiting(line)
        if room < batch.count:
            # Nothing has left: the pipeline takes it all back.
            return -1
        for i in range(batch.count):
            try:
                self.send_one(batch, i, encoder)
            except (OSError, RuntimeError, ValueError) as error:
                self.last_error = error
                if i == 0:
                    return -1
                # What left before cannot be taken back: this one goes unanswered, and is asked for.
                break
        self.write_count += 1
        return batch.size
