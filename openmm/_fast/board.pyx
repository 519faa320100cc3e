"""The board: where the bots of one user on one host show their best prices to each other.

A file of shared memory, one row an account and market (`BoardRow`). A bot shows the most aggressive
bid and ask of its own that rest, are on their way or are in doubt, before the bytes of an order
leave; then it looks at the rows of others on the same market, and does not send what would meet
them. Each price is one word: a store, a full fence, a load. Of two bots that race at least one sees
the other, whatever the machine does in between, and neither waits for the other. Both may see each
other, then neither sends.

Who claims a row, frees one or takes over that of a process that is gone does so under a lock of the
file and counts `generation` on; a bot finds its neighbours anew when that has changed. A row of a
process that is gone stays in force: its orders may rest.

Fail closed: a page that is not one any more, a row that is no longer ours, a price that cannot be:
from then on, neighbours show prices that every order would meet. `openmm.board` is the rest: the
file, its lock, who lives.
"""

from typing import NamedTuple

cimport cython
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from openmm._fast.ports cimport NO_ASK, NO_BID, Neighbours
from openmm._fast.units cimport i128, i128_from_py, i128_to_py

cdef extern from * nogil:
    """
    #define OPENMM_BOARD_MAGIC UINT64_C(0x3144524F424D4D4F)
    #define OPENMM_BOARD_TICKS_MAX (INT64_C(1) << 40)
    #define openmm_board_load(at) __atomic_load_n(at, __ATOMIC_ACQUIRE)
    #define openmm_board_store(at, value) __atomic_store_n(at, value, __ATOMIC_RELEASE)
    #define openmm_board_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    """
    const uint64_t MAGIC "OPENMM_BOARD_MAGIC"           # "OMMBORD1", little endian
    const int64_t TICKS_MAX "OPENMM_BOARD_TICKS_MAX"
    int64_t load_i64 "openmm_board_load" (const int64_t* at)
    uint64_t load_u64 "openmm_board_load" (const uint64_t* at)
    uint32_t load_u32 "openmm_board_load" (const uint32_t* at)
    void store_i64 "openmm_board_store" (int64_t* at, int64_t value)
    void store_u64 "openmm_board_store" (uint64_t* at, uint64_t value)
    void store_u32 "openmm_board_store" (uint32_t* at, uint32_t value)
    void fence "openmm_board_fence" ()

cdef enum:
    READ_TRIES = 1000

BOARD_MAGIC = MAGIC
VERSION = BOARD_VERSION
ROWS = BOARD_ROWS
HEADER_BYTES = sizeof(BoardHeader)
ROW_BYTES = sizeof(BoardRow)
PAGE_BYTES = sizeof(BoardHeader) + BOARD_ROWS * sizeof(BoardRow)
SPARE = 10
# Room for a text, in bytes of UTF-8, by the name of its field.
TEXT_BYTES = {
    "bot": 48, "venue": 24, "instrument": 32, "tick_size": 32, "group": 32, "purpose": 16,
}


class Holdings(NamedTuple):
    """What a bot holds, wants and may use, in atoms: 10**-decimals of the asset."""

    updated_ns: int
    base_decimals: int
    quote_decimals: int
    base_atoms: int
    quote_atoms: int
    target_atoms: int
    capital_base_atoms: int
    capital_quote_atoms: int
    spare: tuple[int, ...] = (0,) * SPARE


class RawRow(NamedTuple):
    """A copy of one row as it stands. `holdings` is None: never told, or its writer ended within."""

    place: int
    state: int
    market: int
    account: int
    pid: int
    pid_start: int
    boot: int
    bid_ticks: int
    ask_ticks: int
    bot: str
    venue: str
    instrument: str
    tick_size: str
    group: str
    purpose: str
    holdings: Holdings | None


@cython.final
cdef class BoardPage:
    """Map a board's file, and read or write its rows.

    Who writes a row that is not his own holds the file's lock; `openmm.board` does.

    Args:
        fd: of the file, at least PAGE_BYTES long.

    Raises:
        OSError: it cannot be mapped.
    """

    def __cinit__(self, int fd):
        cdef void* base = mmap(
            NULL, sizeof(BoardHeader) + BOARD_ROWS * sizeof(BoardRow), PROT_READ | PROT_WRITE,
            MAP_SHARED, fd, 0,
        )
        if base == MAP_FAILED:
            raise OSError("cannot map the board")
        self.header = <BoardHeader*>base
        self.rows = <BoardRow*>(<char*>base + sizeof(BoardHeader))

    def __dealloc__(self):
        if self.header != NULL:
            munmap(self.header, sizeof(BoardHeader) + BOARD_ROWS * sizeof(BoardRow))

    def begin(self):
        """Make a file of zeros a board without rows."""
        self.header.version = BOARD_VERSION
        self.header.row_bytes = sizeof(BoardRow)
        self.header.row_count = BOARD_ROWS
        store_u64(&self.header.magic, MAGIC)

    def header_fields(self):
        """Return (magic, version, row_bytes, row_count)."""
        return (
            load_u64(&self.header.magic), self.header.version, self.header.row_bytes,
            self.header.row_count,
        )

    @property
    def generation(self):
        """How often a row was claimed, taken over or freed."""
        return load_u64(&self.header.generation)

    def read(self, int index):
        """Return a copy of one row, None when it is free. Whole under the file's lock."""
        cdef BoardRow* row = self.at_c(index)
        if load_u32(&row.state) != ROW_CLAIMED:
            return None
        return RawRow(
            index, row.state, (<object>row.market_high << 64) | row.market_low, row.account, row.pid,
            row.pid_start, row.boot, load_i64(&row.bid_ticks), load_i64(&row.ask_ticks),
            text_of(row.bot, sizeof(row.bot)), text_of(row.venue, sizeof(row.venue)),
            text_of(row.instrument, sizeof(row.instrument)),
            text_of(row.tick_size, sizeof(row.tick_size)), text_of(row.group, sizeof(row.group)),
            text_of(row.purpose, sizeof(row.purpose)), holdings_of(row),
        )

    def claim(self, int index, *, market, uint64_t account, int pid, uint64_t pid_start, uint64_t boot,
              str bot, str venue, str instrument, str tick_size, str group="", str purpose=""):
        """Give a free row to a process: it shows no price yet.

        Raises:
            ValueError: the row is not free, or a text is too long.
        """
        cdef BoardRow* row = self.at_c(index)
        if row.state != ROW_FREE:
            raise ValueError(f"row {index} of the board is not free")
        texts = {
            "bot": bot, "venue": venue, "instrument": instrument, "tick_size": tick_size,
            "group": group, "purpose": purpose,
        }
        for name, text in texts.items():
            if len(text.encode()) > TEXT_BYTES[name]:
                raise ValueError(f"{name} is longer than {TEXT_BYTES[name]} bytes: {text!r}")
        memset(row, 0, sizeof(BoardRow))
        row.bid_ticks = NO_BID
        row.ask_ticks = NO_ASK
        row.market_low = market & 0xFFFFFFFFFFFFFFFF
        row.market_high = market >> 64
        row.account = account
        row.pid = pid
        row.pid_start = pid_start
        row.boot = boot
        put_text(row.bot, sizeof(row.bot), bot)
        put_text(row.venue, sizeof(row.venue), venue)
        put_text(row.instrument, sizeof(row.instrument), instrument)
        put_text(row.tick_size, sizeof(row.tick_size), tick_size)
        put_text(row.group, sizeof(row.group), group)
        put_text(row.purpose, sizeof(row.purpose), purpose)
        store_u32(&row.state, ROW_CLAIMED)
        self._count_on()

    def take_over(self, int index, int pid, uint64_t pid_start, uint64_t boot, str group=""):
        """Give a claimed row to another process; its prices stay in force.

        Raises:
            ValueError: the row is free.
        """
        cdef BoardRow* row = self.at_c(index)
        if row.state != ROW_CLAIMED:
            raise ValueError(f"row {index} of the board is free")
        if len(group.encode()) > TEXT_BYTES["group"]:
            raise ValueError(f"group is longer than {TEXT_BYTES['group']} bytes: {group!r}")
        row.pid = pid
        row.pid_start = pid_start
        row.boot = boot
        put_text(row.group, sizeof(row.group), group)
        self._count_on()

    def free(self, int index):
        """Take a row off the board: nothing of it rests any more."""
        cdef BoardRow* row = self.at_c(index)
        store_u32(&row.state, ROW_FREE)
        self._count_on()

    cdef BoardRow* at_c(self, int index) except NULL:
        if not 0 <= index < BOARD_ROWS:
            raise ValueError(f"row must be 0 to {BOARD_ROWS - 1}: {index}")
        return &self.rows[index]

    def _count_on(self):
        store_u64(&self.header.generation, self.header.generation + 1)
        fence()

    def poke(self, int offset, bytes data not None):
        """Overwrite bytes of the page: for tests of what must be refused."""
        if not 0 <= offset <= PAGE_BYTES - len(data):
            raise ValueError(f"offset must be within the page: {offset}")
        memcpy(<char*>self.header + offset, <const char*>data, len(data))


@cython.final
cdef class OwnRow(Neighbours):
    """The row of one owner: shows its prices, sees the neighbours'.

    Args:
        page, index: a row that is claimed for this process.

    What the row shows already is of a former owner, and stays in force until `settle`.
    """

    def __cinit__(self, BoardPage page not None, int index):
        cdef BoardRow* row = page.at_c(index)
        if row.state != ROW_CLAIMED:
            raise ValueError(f"row {index} of the board is not claimed")
        self.on = True
        self.page = page
        self.index = index
        self.row = row
        self.shown_bid_ticks = load_i64(&row.bid_ticks)
        self.shown_ask_ticks = load_i64(&row.ask_ticks)
        self.kept_bid_ticks = self.shown_bid_ticks
        self.kept_ask_ticks = self.shown_ask_ticks
        self.pid = row.pid
        self.pid_start = row.pid_start
        self.boot = row.boot
        self.generation = load_u64(&page.header.generation) - 1     # find them at the first look

    # ---------------------------------------------------------------- C face

    cdef bint look_c(self) noexcept nogil:
        cdef const BoardHeader* header = self.page.header
        cdef const BoardRow* rows = self.page.rows
        cdef int64_t bid = NO_BID
        cdef int64_t ask = NO_ASK
        cdef int64_t one
        cdef int i
        self.look_count += 1
        if self.fault != FAULT_NONE:
            return False
        if load_u64(&header.magic) != MAGIC or header.version != BOARD_VERSION:
            return self.break_c(FAULT_HEADER)
        if load_u64(&header.generation) != self.generation and not self.find_c():
            return self.break_c(FAULT_ROW_LOST)
        for i in range(self.count):
            one = load_i64(&rows[self.neighbours[i]].bid_ticks)
            if one < NO_BID or one > TICKS_MAX:
                return self.break_c(FAULT_PRICE)
            if one > bid:
                bid = one
            one = load_i64(&rows[self.neighbours[i]].ask_ticks)
            if one <= 0 or (one > TICKS_MAX and one != NO_ASK):
                return self.break_c(FAULT_PRICE)
            if one < ask:
                ask = one
        if bid == self.bid_ticks and ask == self.ask_ticks:
            return False
        self.bid_ticks = bid
        self.ask_ticks = ask
        return True

    cdef void publish_c(self, int64_t bid_ticks, int64_t ask_ticks) noexcept nogil:
        cdef bint nearer
        if self.kept_bid_ticks > bid_ticks:
            bid_ticks = self.kept_bid_ticks
        if self.kept_ask_ticks < ask_ticks:
            ask_ticks = self.kept_ask_ticks
        if bid_ticks == self.shown_bid_ticks and ask_ticks == self.shown_ask_ticks:
            return
        if self.fault == FAULT_ROW_LOST:
            return
        nearer = bid_ticks > self.shown_bid_ticks or ask_ticks < self.shown_ask_ticks
        self.shown_bid_ticks = bid_ticks
        self.shown_ask_ticks = ask_ticks
        store_i64(&self.row.bid_ticks, bid_ticks)
        store_i64(&self.row.ask_ticks, ask_ticks)
        if nearer:
            # Seen by all before anything of theirs is read.
            fence()

    cdef bint break_c(self, int fault) noexcept nogil:
        """See nothing but prices that every order would meet, from now on."""
        self.fault = fault
        self.bid_ticks = INT64_MAX
        self.ask_ticks = 0
        return True

    cdef bint find_c(self) noexcept nogil:
        """Find who else is on our market; False when our own row is not ours any more."""
        cdef const BoardRow* rows = self.page.rows
        cdef uint64_t generation = load_u64(&self.page.header.generation)
        cdef int i
        cdef int count = 0
        for i in range(BOARD_ROWS):
            if i == self.index or load_u32(&rows[i].state) != ROW_CLAIMED:
                continue
            if rows[i].market_low == self.row.market_low and rows[i].market_high == self.row.market_high:
                self.neighbours[count] = i
                count += 1
        self.count = count
        # Whoever came in meanwhile has counted on: he is found at the next look.
        self.generation = generation
        return (
            load_u32(&self.row.state) == ROW_CLAIMED and self.row.pid == self.pid
            and self.row.pid_start == self.pid_start and self.row.boot == self.boot
        )

    # ---------------------------------------------------------------- Python face

    def settle(self):
        """Forget what a former owner showed: its orders are known, or proven gone."""
        self.kept_bid_ticks = NO_BID
        self.kept_ask_ticks = NO_ASK

    def detach(self):
        """Show nothing and see nothing from now on: the row is no longer ours to write."""
        self.break_c(FAULT_ROW_LOST)

    @property
    def kept(self):
        """Prices of a former owner that stay in force: (bid_ticks, ask_ticks)."""
        return self.kept_bid_ticks, self.kept_ask_ticks

    @property
    def shown(self):
        """What we show: (bid_ticks, ask_ticks)."""
        return self.shown_bid_ticks, self.shown_ask_ticks

    def race(self, int64_t rounds, int side, *, bint careful=True):
        """Show a price that meets the neighbour's, look, go on if nothing is met; so many times.

        For tests: two processes that do so at once. Who goes on marks its row and looks at the
        neighbour's mark; `tell` is not to be used on such rows.

        Args:
            side: 1 bids, 2 asks, both at the same price.
            careful: False looks first and shows then, as it must not be done.

        Returns:
            (went on, met the neighbour who had gone on too).
        """
        cdef int64_t _round, price = 1000
        cdef int64_t entered = 0
        cdef int j
        cdef bint clear
        self.met_count = 0
        with nogil:
            for _round in range(rounds):
                if careful:
                    self.publish_c(price if side == 1 else NO_BID, price if side == 2 else NO_ASK)
                self.look_c()
                clear = price < self.ask_ticks if side == 1 else price > self.bid_ticks
                if not careful:
                    self.publish_c(price if side == 1 else NO_BID, price if side == 2 else NO_ASK)
                if clear:
                    entered += 1
                    store_i64(&self.row.spare[0], 1)
                    fence()
                    for j in range(self.count):
                        if load_i64(&self.page.rows[self.neighbours[j]].spare[0]):
                            self.met_count += 1
                    store_i64(&self.row.spare[0], 0)
                self.publish_c(NO_BID, NO_ASK)
        return entered, self.met_count

    def tell(self, holdings):
        """Show what is held, wanted and allotted, as a whole.

        Args:
            holdings: a `Holdings`.
        """
        cdef BoardRow* row = self.row
        cdef uint64_t sequence = row.sequence | 1
        cdef i128 base = i128_from_py(holdings.base_atoms)
        cdef i128 quote = i128_from_py(holdings.quote_atoms)
        cdef i128 target = i128_from_py(holdings.target_atoms)
        cdef i128 capital_base = i128_from_py(holdings.capital_base_atoms)
        cdef i128 capital_quote = i128_from_py(holdings.capital_quote_atoms)
        cdef int64_t updated_ns = holdings.updated_ns
        cdef int32_t base_decimals = holdings.base_decimals
        cdef int32_t quote_decimals = holdings.quote_decimals
        cdef int64_t spare[10]
        cdef int i
        for i in range(10):
            spare[i] = holdings.spare[i]
        # Nothing below can raise: the row is never left half written by a live owner.
        store_u64(&row.sequence, sequence)
        fence()
        row.updated_ns = updated_ns
        row.base_decimals = base_decimals
        row.quote_decimals = quote_decimals
        row.base_atoms = base
        row.quote_atoms = quote
        row.target_atoms = target
        row.capital_base_atoms = capital_base
        row.capital_quote_atoms = capital_quote
        memcpy(row.spare, spare, sizeof(spare))
        store_u64(&row.sequence, sequence + 1)


cdef object holdings_of(const BoardRow* row):
    """Copy the held part; None when it was never told, or its writer ended in the middle."""
    cdef uint64_t before
    cdef BoardRow copy
    cdef int i, _try
    for _try in range(READ_TRIES):
        before = load_u64(&row.sequence)
        if before & 1:
            continue
        memcpy(&copy, row, sizeof(BoardRow))
        fence()
        if load_u64(&row.sequence) == before:
            break
    else:
        return None
    if copy.updated_ns == 0:
        return None
    return Holdings(
        copy.updated_ns, copy.base_decimals, copy.quote_decimals, i128_to_py(copy.base_atoms),
        i128_to_py(copy.quote_atoms), i128_to_py(copy.target_atoms),
        i128_to_py(copy.capital_base_atoms), i128_to_py(copy.capital_quote_atoms),
        tuple([copy.spare[i] for i in range(10)]),
    )


cdef str text_of(const char* data, Py_ssize_t size):
    return data[:size].rstrip(b"\0").decode("utf-8", "replace")


cdef int put_text(char* at, size_t size, str text) except -1:
    """Put a text that was measured before, with zeros behind it."""
    cdef bytes raw = text.encode()
    memset(at, 0, size)
    memcpy(at, <const char*>raw, len(raw))
    return 0
