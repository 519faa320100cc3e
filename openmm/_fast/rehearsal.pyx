"""Keep the hot path warm: run it on tables of its own while the sockets are silent.

What the process does between two ticks (answers, timers, telemetry, all of it interpreted) takes the
place of the hot path's code and of what the branch predictors knew of it: the next tick would run
several times slower than one that follows at once. So the loop's idle moments go to a second set of
the same tables, the stage. It is fed the frames that the real path has read, after that path is done
with them, decides on them with every check on, writes to a tape in memory, encodes, and drops what
it would send. Nothing of it reaches the real tables, the real tape or a socket, and no decision
reads it.
"""

from cython cimport final

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove

from openmm._fast.book cimport Book
from openmm._fast.latency cimport stamp_c
from openmm._fast.orders cimport EV_PROVEN_OPEN, Order, OrderTable
from openmm._fast.pipeline cimport DECISION_SENT, Feed, Pipeline
from openmm._fast.ports cimport DECODED_BOOK
from openmm._fast.units cimport BUY

cdef enum:
    KEPT_BYTES = 1 << 18
    FOLLOWED_AT_ONCE = 32
    FRAME_BYTES_MAX = 1 << 14           # longer ones are snapshots or bursts: not what a tick looks like
    ALIGN = 8
    SLACK = 256                         # decoders may look a few bytes past the end
    SCRAP_BYTES = 1 << 16
    LINE_BYTES = 64
    CELLS_A_LINE = 8
    NEAR_BYTES_MAX = 4096               # of one table, from its beginning: hot members come first
    NEAR_CELLS = 32                     # of the book, each way of either best price
    NEAR_ORDERS = 32
    AWAY_TICKS = 64                     # how far the stage's orders stand off before each pass

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        MSG_DONTWAIT
    ssize_t recv(int sockfd, void* data, size_t n_bytes, int flags)

cdef extern from * nogil:
    """
    #define openmm_near(address) __builtin_prefetch((address), 0, 3)
    """
    void near "openmm_near"(const void* address)

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_basicsize
    PyTypeObject* type_of "Py_TYPE"(object one)

cdef struct KeptFrame:
    int32_t index
    int32_t n_bytes
    int64_t recv_ns


@final
cdef class Rehearsal:
    """Follow the real path on the stage's tables, and go through a tick when there is time.

    Args:
        real: the pipeline that trades.
        stage: one made as it was, with a tape in memory and a transport that sends nothing.
        feeds: the stage's, in the order of the real ones.
        inlet: the other end of the socket that the stage's transport sends to, so that the kernel's
            part of the way is walked too; None: its transport needs none.
    """

    def __cinit__(self, Pipeline real not None, Pipeline stage not None, feeds not None, inlet=None):
        if stage.table is real.table or stage.tape is real.tape or stage.feed.book is real.feed.book:
            raise ValueError("a rehearsal needs tables of its own")
        self.real = real
        self.stage = stage
        self.feeds = list(feeds)
        self.inlet = inlet
        for one in (
            real, real.feed, real.feed.book, real.feed.decoder, real.feed.signals, real.reference,
            real.strategy, real.planner, real.checks, real.checks.budget, real.table,
            real.inventory, real.encoder, real.transport, real.tape,
        ):
            if self.near_count < NEAR_MAX:
                self.near_from[self.near_count] = <const char*><void*>one
                self.near_bytes[self.near_count] = min(type_of(one).tp_basicsize, NEAR_BYTES_MAX)
                self.near_count += 1
        self.inlet_fd = -1 if inlet is None else inlet.fileno()
        self.kept = <char*>calloc(1, KEPT_BYTES + SLACK)
        self.last = <char*>calloc(1, FRAME_BYTES_MAX + SLACK)
        self.scrap = <char*>calloc(1, SCRAP_BYTES)
        if self.kept == NULL or self.last == NULL or self.scrap == NULL:
            raise MemoryError("rehearsal")

    def __dealloc__(self):
        free(self.kept)
        free(self.last)
        free(self.scrap)

    cdef void keep_c(self, int index, const char* data, Py_ssize_t n_bytes, int64_t recv_ns) noexcept:
        cdef KeptFrame head
        cdef Py_ssize_t room = (<Py_ssize_t>sizeof(KeptFrame) + n_bytes + ALIGN - 1) & ~(ALIGN - 1)
        self.now_ns = recv_ns
        if room > KEPT_BYTES:
            self.dropped_count += 1
            return
        while self.used + room > KEPT_BYTES:
            # No idle moment for long: the stage's books have to keep up all the same, a few frames
            # at a time, as this is the real path's time.
            self.catch_up_c()
        head.index = index
        head.n_bytes = <int32_t>n_bytes
        head.recv_ns = recv_ns
        memcpy(self.kept + self.used, &head, sizeof(KeptFrame))
        memcpy(self.kept + self.used + sizeof(KeptFrame), data, n_bytes)
        self.used += room

    cdef void follow_c(self) noexcept:
        """Bring the stage's book up to the next frame that was kept."""
        cdef KeptFrame head
        cdef Feed feed
        cdef const char* data = self.kept + self.at + sizeof(KeptFrame)
        memcpy(&head, self.kept + self.at, sizeof(KeptFrame))
        self.at += (<Py_ssize_t>sizeof(KeptFrame) + head.n_bytes + ALIGN - 1) & ~(ALIGN - 1)
        feed = <Feed>self.feeds[head.index]
        if self.stage.on_frame_c(feed, data, head.n_bytes, head.recv_ns, stamp_c(), False) == DECODED_BOOK \
                and feed.quoted and head.n_bytes <= FRAME_BYTES_MAX:
            memcpy(self.last, data, head.n_bytes)
            self.last_bytes = head.n_bytes
        if self.at == self.used:
            self.at = 0
            self.used = 0

    cdef void catch_up_c(self) noexcept:
        """Follow a few of the frames that were kept, and make room for as many."""
        cdef int _frame
        for _frame in range(FOLLOWED_AT_ONCE):
            if self.used:
                self.follow_c()
        if self.at:
            memmove(self.kept, self.kept + self.at, self.used - self.at)
            self.used -= self.at
            self.at = 0

    cdef void pass_c(self) noexcept:
        self.pass_count += 1
        if self.used:
            self.follow_c()
            if self.used:
                return
        if self.inlet_fd >= 0:
            # What the last pass sent.
            recv(self.inlet_fd, self.scrap, SCRAP_BYTES, MSG_DONTWAIT)
        self.stand_c()
        self.displace_c()
        self.stage.forced = True
        if self.last_bytes:
            # The newest state of every level it names: to apply it again changes nothing.
            self.stage.on_frame_c(
                self.stage.feed, self.last, self.last_bytes, self.now_ns, stamp_c(), True
            )
        if self.stage.last_decision == DECISION_SENT:
            self.sent_count += 1
            self.stage.accept_all_c(self.now_ns)
        self.near_c()

    cdef void near_c(self) noexcept:
        """Bring what the next tick will read of the real tables near; nothing is read or written."""
        cdef Book book = self.real.feed.book
        cdef OrderTable table = self.real.table
        cdef int64_t cell
        cdef Py_ssize_t offset
        cdef int i, side
        for i in range(self.near_count):
            for offset in range(0, self.near_bytes[i], LINE_BYTES):
                near(self.near_from[i] + offset)
        for side in range(2):
            cell = (book.best_ask_ticks if side else book.best_bid_ticks) - book.base_ticks
            if NEAR_CELLS <= cell < book.window_cells - NEAR_CELLS:
                near(book.used[side] + (cell >> 6))
                for offset in range(-NEAR_CELLS, NEAR_CELLS, CELLS_A_LINE):
                    near(book.cells[side] + cell + offset)
        for i in range(min(table.live_count, NEAR_ORDERS)):
            near(&table.orders[table.live_slots[i]])
            near(&table.orders[table.live_slots[i]].created_ns)
        self.real.tape.ahead_c(NEAR_BYTES_MAX)

    cdef void stand_c(self) noexcept:
        """Put the stage where the real path stands: inputs and balances, a fresh message budget."""
        self.stage.inputs = self.real.inputs
        self.stage.quoting = self.real.quoting
        self.stage.inventory.base_lots = self.real.inventory.base_lots
        self.stage.inventory.quote_ticklots = self.real.inventory.quote_ticklots
        self.stage.inventory.quote_known = self.real.inventory.quote_known
        self.stage.inventory.quote_cap_ticklots = self.real.inventory.quote_cap_ticklots
        self.stage.inventory.grouped = self.real.inventory.grouped
        self.stage.inventory.group_target_ppm = self.real.inventory.group_target_ppm
        self.stage.inventory.lot_atoms = self.real.inventory.lot_atoms
        self.stage.inventory.others_base_atoms = self.real.inventory.others_base_atoms
        self.stage.inventory.others_value_atoms = self.real.inventory.others_value_atoms
        self.stage.inventory.group_scale_atoms = self.real.inventory.group_scale_atoms
        self.stage.checks.budget.level_milli = 0

    cdef void displace_c(self) noexcept:
        """Move the stage's orders off their quotes, so that the decision has to move them back."""
        cdef OrderTable table = self.stage.table
        cdef Order* order
        cdef int64_t price_ticks
        cdef int i
        for i in range(table.live_count):
            order = &table.orders[table.live_slots[i]]
            price_ticks = order.price_ticks + (-AWAY_TICKS if order.side == BUY else AWAY_TICKS)
            if price_ticks > 0:
                table.evidence_c(
                    order.seq, EV_PROVEN_OPEN, price_ticks, order.qty_lots, self.now_ns
                )

    # ---------------------------------------------------------------- Python face

    def keep(self, int index, bytes frame not None, int64_t recv_ns):
        """Keep a frame that the real path is done with.

        Raises:
            IndexError: no such feed.
        """
        if not 0 <= index < len(self.feeds):
            raise IndexError(f"feed {index} of {len(self.feeds)}")
        self.keep_c(index, frame, len(frame), recv_ns)

    def close(self):
        """Close the sockets; the stage sends nothing any more. Once is enough, twice does no harm."""
        self.inlet_fd = -1
        if self.inlet is not None:
            # Whose other end the stage's transport has.
            self.inlet.close()
            (<object>self.stage.transport).detach()

    def run(self, int count=1):
        """Make so many passes."""
        cdef int _pass
        for _pass in range(count):
            self.pass_c()
