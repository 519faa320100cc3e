"""An event loop that reads hot sockets itself, and can spin on them instead of sleeping.

asyncio's own way from a readable socket to its callback costs more than a microsecond, and waking a
process that slept in `epoll_wait` tens of them. Here the selector calls the read callback of *hot*
sockets from inside `select`. With `busy_poll` it does not sleep while there is a hot socket: it
looks at the hot ones without pause, at all others every few microseconds, and returns to asyncio
when a callback became due, when anything else is ready, or when its time is over, so that timers,
signals and other threads have their turn.

Names of asyncio that are private are used here: the loop's `_ready`, and `_callback` and `_args` of
its handles. `make_loop` tries them out first and gives a plain loop where they do not work.
"""

from cython cimport final

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint64_t

from openmm._fast.latency cimport mark_read_c, monotonic_ns

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
    CLOCK_EVERY = 16

BUDGET_NS = 500_000


@final
cdef class Spinner:
    """Look at sockets, and call the read callbacks of hot ones.

    Args:
        epoll_fd: the epoll that all sockets, hot ones too, are registered with.
        ready: the loop's queue of due callbacks; anything in it ends a wait.
        on_error: called with the exception of a read callback.
    """

    def __cinit__(self, int epoll_fd, ready not None, on_error not None):
        self.epoll_fd = epoll_fd
        self.ready = ready
        self.on_error = on_error
        self.hot_call = []

    def heat(self, int fd, call not None, bint blind=False):
        """Serve a socket from now on; False when there are too many.

        Args:
            blind: while spinning, call back without looking first whether anything came. One system
                call less before a frame, for callbacks that bear an empty socket.
        """
        self.cool(fd)
        if self.hot_count == HOT_MAX:
            return False
        self.hot_fd[self.hot_count] = fd
        self.hot_blind[self.hot_count] = blind
        self.hot_call.append(call)
        self.hot_count += 1
        self.version += 1
        return True

    def cool(self, int fd):
        """Leave a socket to asyncio again; unknown ones are no error."""
        cdef int i
        cdef int j
        for i in range(self.hot_count):
            if self.hot_fd[i] == fd:
                for j in range(i, self.hot_count - 1):
                    self.hot_fd[j] = self.hot_fd[j + 1]
                    self.hot_blind[j] = self.hot_blind[j + 1]
                del self.hot_call[i]
                self.hot_count -= 1
                self.version += 1
                return

    @property
    def hot_count(self):
        """Hot sockets now."""
        return self.hot_count

    cdef int read_c(self, int i) except -1:
        cdef object call = self.hot_call[i]
        self.read_count += 1
        mark_read_c()
        try:
            call()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.on_error(error)
        return 0

    cdef int find_c(self, int fd) noexcept nogil:
        cdef int i
        for i in range(self.hot_count):
            if self.hot_fd[i] == fd:
                return i
        return -1

    cdef list take_c(self, int count):
        """Serve hot sockets among the events; return (fd, events) of the others."""
        cdef int i
        cdef int hot
        cdef list cold = []
        for i in range(count):
            if self.events[i].events == EPOLLIN:
                # Looked up now: an earlier callback may have closed it.
                hot = self.find_c(self.events[i].data.fd)
                if hot >= 0:
                    self.read_c(hot)
                    continue
            cold.append((self.events[i].data.fd, self.events[i].events))
        return cold

    def wait(self, int timeout_ms):
        """Sleep until something is ready, up to `timeout_ms` (-1: no end); serve the hot sockets.

        Returns (fd, epoll events) of all others.
        """
        cdef int count
        with nogil:
            count = epoll_wait(self.epoll_fd, self.events, EVENTS_MAX, timeout_ms)
        if count < 0:
            if errno == EINTR:
                return []
            raise OSError(errno, "epoll_wait")
        return self.take_c(count)

    def spin(self, int64_t budget_ns):
        """Serve the hot sockets without sleeping until something else is due; as `wait`."""
        cdef int64_t until_ns = monotonic_ns() + budget_ns
        cdef int64_t n = 0
        cdef int i
        cdef int count
        cdef char byte
        cdef uint64_t version
        cdef list cold
        while True:
            version = self.version
            for i in range(self.hot_count):
                if not self.hot_blind[i] \
                        and recv(self.hot_fd[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 \
                        and errno == EAGAIN:
                    continue
                # Bytes, an end or an error: the callback finds out which.
                self.read_c(i)
                if len(self.ready):
                    return []
                if version != self.version:
                    break
            self.look_count += 1
            n += 1
            if n % EPOLL_EVERY == 0:
                count = epoll_wait(self.epoll_fd, self.events, EVENTS_MAX, 0)
                if count < 0 and errno != EINTR:
                    raise OSError(errno, "epoll_wait")
                if count > 0:
                    cold = self.take_c(count)
                    if cold or len(self.ready):
                        return cold
                if monotonic_ns() >= until_ns or self.hot_count == 0:
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

    def bind(self, ready, on_error):
        """Serve the loop with this queue of due callbacks."""
        self._spinner = Spinner(self.fileno(), ready, on_error)

    @property
    def spinner(self):
        """The compiled part."""
        return self._spinner

    def heat(self, fd, blind=False):
        """Read a registered socket inside of `select`; False when it cannot be."""
        reader = self.get_key(fd).data[0]
        if reader is None or reader._args:
            return False
        return self._spinner.heat(fd, reader._callback, blind)

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
            found = spinner.spin(budget_ns)
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
        selector.bind(self._ready, self._on_read_error)
        self.selector = selector

    def heat(self, fd, blind=False):
        """Read a socket that has a reader without asyncio's detour; False when it cannot be.

        Args:
            blind: as of `Spinner.heat`.
        """
        try:
            return self.selector.heat(fd, blind)
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
    # A read of an empty TCP connection costs less than a look; one through TLS costs more.
    sock = transport.underlying_transport.get_extra_info("socket")
    return loop.heat(sock.fileno(), blind=not transport.is_secure)
