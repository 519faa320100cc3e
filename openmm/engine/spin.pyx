"""An event loop that reads hot sockets itself, and can spin on them instead of sleeping.

asyncio's own way from a readable socket to its callback costs more than a microsecond, and waking a
process that slept in `epoll_wait` tens of them. Here the selector serves *hot* sockets from inside
`select`: it reads into the buffer of the protocol and tells the protocol, or calls the socket's read
callback where there is no such buffer (TLS). With `busy_poll` it does not sleep while there is a hot
socket: it reads the hot ones without pause, looks at all others every few microseconds, and returns
to asyncio when a callback or a timer became due, when anything else is ready, or when its time is
over. What it leaves idle goes to a rehearsal, which keeps the way from frame to order in the caches.

Names of asyncio that are private are used here: the loop's `_ready` and `_scheduled`, and
`_callback` and `_args` of its handles. `make_loop` tries them out first and gives a plain loop where
they do not work.
"""

from cython cimport final

from cpython.buffer cimport PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint64_t

from openmm._fast.latency cimport mark_read_c, monotonic_ns, stamp_c, stamp_to_ns
from openmm._fast.rehearsal cimport Rehearsal

import asyncio
import logging
import math
import selectors
import socket

log = logging.getLogger(__name__)

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        MSG_PEEK
        MSG_DONTWAIT
    ssize_t recv(int sockfd, void* buf, size_t size, int flags)

cdef enum:
    EPOLL_EVERY = 16        # looks at the hot sockets between two at all others
    PASSES = 4              # rehearsals after anything else ran here
    QUIET_LOOKS = 2         # empty looks ahead of one
    REFRESH_LOOKS = 128     # empty looks between two while nothing happens at all
    LONG_READ_NS = 100_000  # after one such all others have their turn, whatever the count

# Everything that is due ends a spin; this is for what nobody can see coming.
BUDGET_NS = 20_000_000


@final
cdef class HotSocket:
    """One socket served inside of `select`.

    Args:
        call: its read callback.
        protocol: gives the buffer to read into (`get_buffer`) and takes what came
            (`buffer_updated`); None: only the callback can read.
        abort: ends the connection after an error of the protocol.
    """

    def __cinit__(self, int fd, call not None, protocol=None, abort=None):
        self.fd = fd
        self.call = call
        if protocol is not None:
            self.get_buffer = protocol.get_buffer
            self.updated = protocol.buffer_updated
            self.abort = abort

    cdef int fetch_c(self) except -1:
        """Ask the protocol where its next bytes go; the answer holds until anyone else reads."""
        cdef Py_buffer view
        PyObject_GetBuffer(self.get_buffer(-1), &view, PyBUF_WRITABLE)
        self.data = <char*>view.buf
        self.room = view.len
        PyBuffer_Release(&view)
        return 0


@final
cdef class Spinner:
    """Look at sockets, and serve the hot ones.

    Args:
        epoll_fd: the epoll that all sockets, hot ones too, are registered with.
        ready: the loop's queue of due callbacks; anything in it ends a wait.
        on_error: called with the exception of a read callback.
    """

    def __cinit__(self, int epoll_fd, ready not None, on_error not None):
        self.epoll_fd = epoll_fd
        self.ready = ready
        self.on_error = on_error
        self.hot = []

    def rehearse(self, Rehearsal rehearsal):
        """Give idle moments to a rehearsal; None: to nobody."""
        self.rehearsal = rehearsal

    def heat(self, int fd, call not None, protocol=None, abort=None):
        """Serve a socket from now on; False when there are too many. Arguments as of `HotSocket`."""
        self.cool(fd)
        if len(self.hot) == HOT_MAX:
            return False
        self.hot.append(HotSocket(fd, call, protocol, abort))
        self.version += 1
        return True

    def cool(self, int fd):
        """Leave a socket to asyncio again; unknown ones are no error."""
        cdef HotSocket one
        for one in self.hot:
            if one.fd == fd:
                self.hot.remove(one)
                self.version += 1
                return

    @property
    def hot_count(self):
        """Hot sockets now."""
        return len(self.hot)

    cdef int fetch_c(self) except -1:
        """Have every hot socket's buffer at hand: whatever ran since may have moved it."""
        cdef HotSocket one
        for one in self.hot:
            if one.updated is not None:
                one.fetch_c()
        return 0

    cdef int call_c(self, HotSocket one) except -1:
        """Let the callback of a hot socket read."""
        self.read_count += 1
        mark_read_c()
        try:
            one.call()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.on_error(error)
        return 0

    cdef int read_c(self, HotSocket one) except -1:
        """Read a hot socket; 1 when it had something, 0 when it was empty."""
        cdef int64_t began
        cdef ssize_t n_bytes
        if one.updated is None:
            return self.call_c(one) + 1
        began = stamp_c()
        n_bytes = recv(one.fd, one.data, one.room, MSG_DONTWAIT)
        if n_bytes < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        if n_bytes <= 0:
            # An end or an error: the transport finds out which and tells its protocol.
            return self.call_c(one) + 1
        self.read_count += 1
        mark_read_c(began)
        try:
            one.updated(n_bytes)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.on_error(error)
            one.abort()
        one.fetch_c()
        return 1

    cdef HotSocket find_c(self, int fd):
        cdef HotSocket one
        for one in self.hot:
            if one.fd == fd:
                return one
        return None

    cdef list take_c(self, int count):
        """Serve hot sockets among the events; return (fd, events) of the others."""
        cdef int i
        cdef HotSocket one
        cdef list cold = []
        for i in range(count):
            if self.events[i].events == EPOLLIN:
                # Looked up now: an earlier callback may have closed it.
                one = self.find_c(self.events[i].data.fd)
                if one is not None:
                    self.read_c(one)
                    continue
            cold.append((self.events[i].data.fd, self.events[i].events))
        return cold

    def wait(self, int timeout_ms):
        """Sleep until something is ready, up to `timeout_ms` (-1: no end); serve the hot sockets.

        Returns (fd, epoll events) of all others.
        """
        cdef int count = 0
        cdef int passes = 0
        self.fetch_c()
        if timeout_ms != 0 and self.rehearsal is not None and len(self.hot):
            # What ran since the last frame has taken its place in the caches.
            while count == 0 and passes < PASSES:
                self.rehearsal.pass_c()
                passes += 1
                count = epoll_wait(self.epoll_fd, self.events, EVENTS_MAX, 0)
        if count == 0:
            with nogil:
                count = epoll_wait(self.epoll_fd, self.events, EVENTS_MAX, timeout_ms)
        if count < 0:
            if errno == EINTR:
                return []
            raise OSError(errno, "epoll_wait")
        return self.take_c(count)

    def spin(self, int64_t budget_ns, list timers not None):
        """Serve the hot sockets without sleeping until something else is due; as `wait`.

        Args:
            timers: the loop's; one more or less of them ends the spin.
        """
        cdef int64_t until_ns = monotonic_ns() + budget_ns
        cdef int64_t n = 0
        cdef int64_t quiet = 0
        cdef int64_t began
        cdef int passes = PASSES
        cdef int count
        cdef char byte
        cdef uint64_t version
        cdef Py_ssize_t timer_count = len(timers)
        cdef HotSocket one
        cdef list cold
        self.fetch_c()
        while True:
            version = self.version
            began = stamp_c()
            for one in self.hot:
                if one.updated is None \
                        and recv(one.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 \
                        and (errno == EAGAIN or errno == EINTR):
                    continue
                # Bytes, an end or an error: whoever reads finds out which.
                if self.read_c(one) == 0:
                    continue
                if len(self.ready) or len(timers) != timer_count:
                    return []
                quiet = 0
                passes = PASSES
                if version != self.version:
                    self.fetch_c()
                    break
            self.look_count += 1
            n += 1
            quiet += 1
            if self.rehearsal is not None and quiet > QUIET_LOOKS \
                    and (passes > 0 or quiet % REFRESH_LOOKS == 0):
                self.rehearsal.pass_c()
                passes -= 1
            if n % EPOLL_EVERY == 0 or stamp_to_ns(stamp_c() - began) > LONG_READ_NS:
                with nogil:
                    count = epoll_wait(self.epoll_fd, self.events, EVENTS_MAX, 0)
                if count < 0 and errno != EINTR:
                    raise OSError(errno, "epoll_wait")
                if count > 0:
                    cold = self.take_c(count)
                    if cold or len(self.ready) or len(timers) != timer_count:
                        return cold
                PyErr_CheckSignals()
                if monotonic_ns() >= until_ns or not self.hot:
                    return []


class SpinSelector(selectors.EpollSelector):
    """An epoll selector whose hot sockets are read inside of `select`.

    Args:
        busy: whether to spin instead of sleeping while a socket is hot.
        budget_ns: longest spin before timers, signals and threads get their turn.
    """

    def __init__(self, *, busy=False, budget_ns=BUDGET_NS):
        super().__init__()
        self.busy = busy
        self._budget_ns = budget_ns
        self._spinner = None

    def bind(self, loop, on_error):
        """Serve this loop."""
        self._loop = loop
        self._spinner = Spinner(self.fileno(), loop._ready, on_error)

    @property
    def spinner(self):
        """The compiled part."""
        return self._spinner

    def heat(self, fd, protocol=None, abort=None):
        """Read a registered socket inside of `select`; False when it cannot be."""
        reader = self.get_key(fd).data[0]
        if reader is None or reader._args:
            return False
        return self._spinner.heat(fd, reader._callback, protocol, abort)

    def unregister(self, fileobj):
        """Forget a socket."""
        key = super().unregister(fileobj)
        if self._spinner is not None:
            self._spinner.cool(key.fd)
        return key

    def modify(self, fileobj, events, data=None):
        """Change what a socket is watched for; it stays hot while the same callback reads it."""
        key = super().modify(fileobj, events, data)
        if self._spinner is not None and not (events & selectors.EVENT_READ):
            self._spinner.cool(key.fd)
        return key

    def select(self, timeout=None):
        """Wait for sockets that are not hot; serve those that are."""
        spinner = self._spinner
        if spinner is None:
            return super().select(timeout)
        if timeout is not None and timeout <= 0:
            found = spinner.wait(0)
        elif self.busy and spinner.hot_count:
            budget_ns = self._budget_ns
            if timeout is not None:
                budget_ns = min(budget_ns, int(timeout * 1e9))
            found = spinner.spin(budget_ns, self._loop._scheduled)
        else:
            # As the standard selector: whole milliseconds, never too early.
            found = spinner.wait(-1 if timeout is None else min(math.ceil(timeout * 1e3), 86_400_000))
        ready = []
        for fd, event in found:
            key = self._fd_to_key.get(fd)
            if key is not None:
                events = 0
                if event & ~EPOLLIN:
                    events |= selectors.EVENT_WRITE
                if event & ~EPOLLOUT:
                    events |= selectors.EVENT_READ
                ready.append((key, events & key.events))
        return ready


class SpinLoop(asyncio.SelectorEventLoop):
    """A selector event loop over a `SpinSelector`."""

    def __init__(self, *, busy=False, budget_ns=BUDGET_NS):
        selector = SpinSelector(busy=busy, budget_ns=budget_ns)
        super().__init__(selector)
        selector.bind(self, self._on_read_error)
        self.selector = selector

    def heat(self, fd, protocol=None, abort=None):
        """Read a socket that has a reader without asyncio's detour; False when it cannot be.

        Args:
            protocol, abort: as of `HotSocket`.
        """
        try:
            return self.selector.heat(fd, protocol, abort)
        except KeyError:
            return False

    def _on_read_error(self, error):
        self.call_exception_handler({"message": "read callback failed", "exception": error})


def try_out(loop):
    """Prove that a hot socket of this loop is read inside of `select`.

    Raises:
        RuntimeError: it is not: asyncio is not what this was written for.
    """
    one, other = socket.socketpair()
    heard = []
    try:
        one.setblocking(False)
        loop.add_reader(one.fileno(), lambda: heard.append(one.recv(8)))
        if not loop.heat(one.fileno()):
            raise RuntimeError("a socket cannot be made hot")
        other.send(b"x")
        rest = loop.selector.select(0)
        if heard != [b"x"] or rest:
            raise RuntimeError("a hot socket is not read at once")
        loop.call_soon(heard.clear)
        if len(loop._ready) != 1:
            raise RuntimeError("due callbacks cannot be seen")
        loop._ready.clear()
        before = len(loop._scheduled)
        loop.call_later(3600, heard.clear).cancel()
        if len(loop._scheduled) != before + 1:
            raise RuntimeError("timers cannot be seen")
    finally:
        loop.remove_reader(one.fileno())
        one.close()
        other.close()


def make_loop(busy=False):
    """Make the engine's event loop; a plain one, with a warning, where a `SpinLoop` does not work.

    Args:
        busy: spin on hot sockets instead of sleeping; burns the core the process runs on.
    """
    try:
        loop = SpinLoop(busy=busy)
    except (AttributeError, TypeError, OSError) as error:
        return _plain(error)
    try:
        try_out(loop)
    except (AttributeError, TypeError, IndexError, RuntimeError, OSError) as error:
        loop.close()
        return _plain(error)
    return loop


def _plain(error):
    log.warning("busy polling and direct reads are off, asyncio's own loop runs: %s", error)
    return asyncio.SelectorEventLoop()


def heat(transport):
    """Make a connection of picows hot on the running loop; False where the loop has no such thing."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SpinLoop):
        return False
    under = transport.underlying_transport
    fd = under.get_extra_info("socket").fileno()
    if transport.is_secure:
        return loop.heat(fd)
    return loop.heat(fd, under.get_protocol(), under.abort)


def rehearse(rehearsal):
    """Give the running loop's idle moments to a rehearsal, None: to nobody; False if it gives none."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SpinLoop):
        return False
    loop.selector.spinner.rehearse(rehearsal)
    return True
