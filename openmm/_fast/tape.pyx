"""The tape: the ring in shared memory that the hot path journals into, and its reader.

One process writes (the engine), one follows (the writer). The file is one header page and a ring
of a power-of-two size. A record is a 32-byte header and its payload, padded to 8 bytes. The word
`commit` of the *next* record is cleared before a record's own commit word is stored, so a reader
stops exactly behind the last whole record, however the engine died. A record never straddles the
end of the ring: a wrap mark sends the reader to the start.

The mapping is shared and pre-faulted: an append is two copies and a few stores, without a system
call, a lock or an allocation. What is in the mapping outlives `kill -9` of the engine; a tape in
/dev/shm does not outlive the machine's power, which is what the journal on disk is for.

The engine holds an advisory lock on the file while it lives; `TapeReader.engine_alive` asks for it.
"""

cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from cpython.bytes cimport PyBytes_FromStringAndSize
from posix.fcntl cimport O_CLOEXEC, O_CREAT, O_EXCL, O_RDWR, open as c_open, posix_fallocate
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap,
)
from posix.stat cimport fstat, struct_stat
from posix.unistd cimport close as c_close, getpid

import os

from openmm.errors import JournalError

cdef extern from "<sys/file.h>" nogil:
    int flock(int fd, int operation)
    int LOCK_SH
    int LOCK_EX
    int LOCK_NB
    int LOCK_UN

cdef extern from * nogil:
    """
    #include <sys/mman.h>
    #ifdef MADV_POPULATE_WRITE
    #define openmm_populate(base, total) madvise(base, total, MADV_POPULATE_WRITE)
    #else
    #define openmm_populate(base, total) (-1)
    #endif
    static inline void openmm_touch(char* at) { *(volatile char*)at = 0; }
    #define openmm_prefetch_to_write(at) __builtin_prefetch(at, 1)
    static inline void openmm_store_u32(uint32_t* at, uint32_t value) {
        __atomic_store_n(at, value, __ATOMIC_RELEASE);
    }
    static inline uint32_t openmm_load_u32(const uint32_t* at) {
        return __atomic_load_n(at, __ATOMIC_ACQUIRE);
    }
    static inline void openmm_store_u64(uint64_t* at, uint64_t value) {
        __atomic_store_n(at, value, __ATOMIC_RELEASE);
    }
    static inline uint64_t openmm_load_u64(const uint64_t* at) {
        return __atomic_load_n(at, __ATOMIC_ACQUIRE);
    }
    """
    void prefetch_to_write "openmm_prefetch_to_write"(const void* at)
    int populate "openmm_populate" (void* base, size_t total)
    void touch "openmm_touch" (char* at)
    void store_u32 "openmm_store_u32" (uint32_t* at, uint32_t value)
    uint32_t load_u32 "openmm_load_u32" (const uint32_t* at)
    void store_u64 "openmm_store_u64" (uint64_t* at, uint64_t value)
    uint64_t load_u64 "openmm_load_u64" (const uint64_t* at)

cdef uint64_t MAGIC = 0x3150_4154_4D4D_4E4F  # "ONMMTAP1", little endian
cdef uint32_t WRAP = 0xFFFFFFFF
cdef uint64_t SALT = 0x9E37_79B9_7F4A_7C15
cdef enum:
    HEADER_BYTES = 4096
    FILL_BYTES = 1 << 20                # written at once when the file is made
    RECORD_BYTES = 32                   # sizeof(RecordHeader)
    COMMIT_BYTES = 8                    # the cleared word behind the last record
    SIZE_BYTES_MIN = 4096
    LINE_BYTES = 64
    SESSION_ID_BYTES = 64
    END = 0                             # results of `locate`
    FOUND = 1
    CORRUPT = 2

DEFAULT_SIZE_BYTES = 64 * 1024 * 1024
RECORD_HEADER_BYTES = RECORD_BYTES
VERSION = TAPE_VERSION


cdef inline uint64_t record_bytes(uint64_t payload_bytes) noexcept nogil:
    """Return the room a record takes: header and payload, padded to 8 bytes."""
    return (RECORD_BYTES + payload_bytes + 7) & ~(<uint64_t>7)


cdef int locate(const char* ring, uint64_t size_bytes, uint64_t* position) noexcept nogil:
    """Step over a wrap mark; FOUND when a committed record is at `position`, END, or CORRUPT."""
    cdef uint64_t offset = position[0] & (size_bytes - 1)
    cdef uint32_t commit = load_u32(<const uint32_t*>(ring + offset))
    if commit == WRAP:
        if offset == 0:
            return CORRUPT
        position[0] += size_bytes - offset
        offset = 0
        commit = load_u32(<const uint32_t*>ring)
        if commit == WRAP:
            return CORRUPT
    if commit == 0:
        return END
    if record_bytes(<uint64_t>commit - 1) > size_bytes - offset:
        return CORRUPT
    return FOUND


cdef tuple record_tuple(const char* ring, uint64_t offset):
    """Copy one committed record out: (index, kind, source, ts_ns, payload)."""
    cdef const RecordHeader* record = <const RecordHeader*>(ring + offset)
    cdef bytes payload = PyBytes_FromStringAndSize(
        ring + offset + RECORD_BYTES, <Py_ssize_t>(record.commit - 1)
    )
    return (record.index, record.kind, record.source, record.ts_ns, payload)


@cython.final
cdef class Tape:
    """Write the ring. Make one per session, at a path that does not exist yet.

    Args:
        path: of the file to make; None keeps the ring in this process's memory (nothing can follow it).
        size_bytes: of the ring, a power of two.
        session_id: at most 64 ASCII characters.
        follow: True: room is freed by a follower alone, and `full` latches when it lags;
            False: the oldest records are dropped, as benches and tests want it.

    Raises:
        ValueError: a bad argument. JournalError: the file exists or cannot be made.
    """

    def __cinit__(
        self, path, *, size_bytes=DEFAULT_SIZE_BYTES, session_id="", follow=True
    ):
        self.fd = -1
        self.header = NULL
        cdef bytes identity = session_id.encode("ascii")
        if not SIZE_BYTES_MIN <= size_bytes <= 1 << 32 or size_bytes & (size_bytes - 1):
            raise ValueError(f"tape size must be a power of two from 4096: {size_bytes!r}")
        if len(identity) > SESSION_ID_BYTES:
            raise ValueError(f"session id is longer than 64 characters: {session_id!r}")
        if path is None and follow:
            raise ValueError("a tape in private memory cannot be followed: pass follow=False")
        self.path_text = "" if path is None else os.fspath(path)
        self.size_bytes = size_bytes
        self.mask = self.size_bytes - 1
        self.payload_bytes_max = self.size_bytes // 4 - RECORD_BYTES  # never negative
        # The reserve is the follower's business: without one, frames may use the whole ring.
        self.reserve_bytes = self.size_bytes // 8 if follow else 0  # never negative
        self.follow = follow
        self.position = 0
        self.limit = self.size_bytes
        self._map()
        self.header.version = TAPE_VERSION
        self.header.header_bytes = HEADER_BYTES
        self.header.size_bytes = self.size_bytes
        self.header.follow = follow
        self.header.engine_pid = getpid()
        memcpy(self.header.session_id, <const char*>identity, len(identity))
        store_u64(&self.header.magic, MAGIC)

    def __dealloc__(self):
        if self.header is not NULL:
            munmap(self.header, HEADER_BYTES + self.size_bytes)
        if self.fd >= 0:
            c_close(self.fd)

    def _map(self):
        """Make, lock, size and pre-fault the file, or take private memory."""
        cdef int flags = MAP_SHARED
        cdef size_t total = HEADER_BYTES + self.size_bytes
        cdef void* base
        cdef int code
        if not self.path_text:
            flags = MAP_PRIVATE | MAP_ANONYMOUS
        else:
            name = os.fsencode(self.path_text)
            self.fd = c_open(<const char*>name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if self.fd < 0:
                raise JournalError(f"cannot make the tape, or it exists already: {self.path_text}")
            if flock(self.fd, LOCK_EX | LOCK_NB) != 0:
                raise JournalError(f"tape is locked by another process: {self.path_text}")
            code = posix_fallocate(self.fd, 0, total)
            if code != 0:
                raise JournalError(
                    f"no room for a tape of {total} bytes: {self.path_text}: {os.strerror(code)}"
                )
            self._fill(total)
        base = mmap(NULL, total, PROT_READ | PROT_WRITE, flags, self.fd, 0)
        if base == MAP_FAILED:
            raise JournalError(f"cannot map the tape of {total} bytes: {self.path_text}")
        self.header = <TapeHeader*>base
        self.ring = <char*>base + HEADER_BYTES
        # One call makes every page writable (Linux 5.14), in half the time of as many faults; in a
        # third of that again for pages the file has already.
        if populate(base, total) == 0:
            return
        cdef size_t offset
        for offset in range(0, total, 4096):
            touch(<char*>base + offset)

    def _fill(self, total: int):
        """Write zeros over the file, a mebibyte at a time: the kernel makes its pages by the run."""
        zeros = memoryview(bytes(min(total, FILL_BYTES)))
        at = 0
        while at < total:
            try:
                at += os.pwrite(self.fd, zeros[:total - at], at)
            except OSError as error:
                raise JournalError(
                    f"no room for a tape of {total} bytes: {self.path_text}: {error.strerror}"
                ) from error

    # C face

    cdef int append_c(
        self, int kind, int source, int64_t ts_ns, const void* data, Py_ssize_t n_bytes
    ) noexcept nogil:
        return self.append2_c(kind, source, ts_ns, data, n_bytes, NULL, 0)

    cdef int append2_c(
        self, int kind, int source, int64_t ts_ns,
        const void* a, Py_ssize_t a_bytes, const void* b, Py_ssize_t b_bytes,
    ) noexcept nogil:
        cdef uint64_t payload_bytes = <uint64_t>a_bytes + <uint64_t>b_bytes
        cdef uint64_t position = self.position
        cdef uint64_t offset = position & self.mask
        cdef uint64_t need = record_bytes(payload_bytes)
        cdef uint64_t start = position
        cdef uint64_t end
        cdef uint64_t index = self.next_index
        cdef RecordHeader* record
        cdef char* ring = self.ring
        self.next_index = index + 1
        if offset + need > self.size_bytes:
            start = position + self.size_bytes - offset
        end = start + need + COMMIT_BYTES
        # Frames stop at the reserve; it is kept for what proves our own doings.
        if end + (self.reserve_bytes if kind == REC_FRAME else 0) > self.limit or (
            payload_bytes > self.payload_bytes_max
        ):
            if payload_bytes > self.payload_bytes_max or not self.make_room_c(
                end, kind == REC_FRAME
            ):
                self.full = True
                self.lost_count += 1
                self.header.lost_count = self.lost_count
                store_u32(&self.header.full, 1)
                return 0
        if start != position:
            (<RecordHeader*>ring).commit = 0
            store_u32(<uint32_t*>(ring + offset), WRAP)
        record = <RecordHeader*>(ring + (start & self.mask))
        record.kind = <uint16_t>kind
        record.source = <uint16_t>source
        record.index = index
        record.ts_ns = ts_ns
        record.check = index ^ start ^ SALT
        if a_bytes:
            memcpy(<char*>record + RECORD_BYTES, a, a_bytes)
        if b_bytes:
            memcpy(<char*>record + RECORD_BYTES + a_bytes, b, b_bytes)
        position = start + need
        (<uint32_t*>(ring + (position & self.mask)))[0] = 0
        store_u32(&record.commit, <uint32_t>(payload_bytes + 1))
        self.position = position
        self.header.next_index = index + 1
        store_u64(&self.header.write_position, position)
        return 1

    cdef void ahead_c(self, Py_ssize_t n_bytes) noexcept nogil:
        cdef uint64_t position = self.position
        cdef uint64_t end = position + <uint64_t>n_bytes
        while position < end:
            prefetch_to_write(self.ring + (position & self.mask))
            position += LINE_BYTES

    cdef int make_room_c(self, uint64_t end, bint frame) noexcept nogil:
        cdef uint64_t oldest
        cdef const RecordHeader* record
        if self.follow:
            self.limit = load_u64(&self.header.read_position) + self.size_bytes
            return end + (self.reserve_bytes if frame else 0) <= self.limit
        # Nothing follows: step over whole records until the new one fits.
        oldest = self.header.oldest_position
        while end > oldest + self.size_bytes:
            if locate(self.ring, self.size_bytes, &oldest) != FOUND:
                oldest = self.position  # everything kept has been dropped
                self.header.oldest_index = self.next_index - 1
                break
            if end <= oldest + self.size_bytes:
                break  # stepping over a wrap mark was enough
            record = <const RecordHeader*>(self.ring + (oldest & self.mask))
            oldest += record_bytes(<uint64_t>record.commit - 1)
            self.header.oldest_index = record.index + 1
        self.header.oldest_position = oldest
        self.limit = oldest + self.size_bytes
        return 1

    cdef bint stop_requested_c(self) noexcept nogil:
        return load_u32(&self.header.stop_requested) != 0

    # Python face

    def append(self, int kind, int source, int64_t ts_ns, payload):
        """Append one record; return False when there is no room (`full` is then set).

        Raises ValueError on a kind that does not exist or a payload over a quarter of the ring.
        """
        if not 0 < kind < 0xFFFF or not 0 <= source <= 0xFFFF:
            raise ValueError(f"record kind or source out of range: {kind}, {source}")
        cdef bytes data = bytes(payload)
        cdef Py_ssize_t n_bytes = len(data)
        if <uint64_t>n_bytes > self.payload_bytes_max:
            raise ValueError(f"payload is longer than {self.payload_bytes_max} bytes: {n_bytes}")
        if self.closed:
            raise ValueError("tape is closed")
        return bool(self.append_c(kind, source, ts_ns, <const char*>data, n_bytes))

    def append_many(self, int kind, int64_t ts_ns, payload, Py_ssize_t count):
        """Append the same payload `count` times inside one call, for benches; return how many fitted."""
        cdef bytes data = bytes(payload)
        cdef const char* start = data
        cdef Py_ssize_t n_bytes = len(data)
        cdef Py_ssize_t i
        cdef Py_ssize_t fitted = 0
        for i in range(count):
            fitted += self.append_c(kind, 0, ts_ns + i, start, n_bytes)
        return fitted

    def clear_full(self):
        """Release the latch after an operator's resume; only once the follower has caught up.

        Raises JournalError while more than half of the ring is unread.
        """
        if self.follow and self.unread_bytes > self.size_bytes // 2:  # never negative
            raise JournalError(f"follower is still {self.unread_bytes} bytes behind", retryable=True)
        self.full = False
        store_u32(&self.header.full, 0)

    def close(self):
        """Mark the end of the session: the follower drains the ring and leaves."""
        store_u32(&self.header.closed, 1)

    def records(self):
        """Return what the ring holds, oldest first: list[(index, kind, source, ts_ns, payload)]."""
        cdef uint64_t position = (
            load_u64(&self.header.read_position) if self.follow else self.header.oldest_position
        )
        found = []
        while locate(self.ring, self.size_bytes, &position) == FOUND:
            offset = position & self.mask
            item = record_tuple(self.ring, offset)
            found.append(item)
            position += record_bytes(len(item[4]))
        return found

    @property
    def path(self):
        """Path of the file, empty for private memory."""
        return self.path_text

    @property
    def closed(self):
        """Whether the session's end has been marked."""
        return self.header.closed != 0

    @property
    def stop_requested(self):
        """Whether the follower asks for no more quotes (disk low, store lost)."""
        return bool(self.stop_requested_c())

    @property
    def unread_bytes(self):
        """Bytes that the follower has not acknowledged."""
        return self.position - load_u64(&self.header.read_position)

    @property
    def capacity_bytes(self):
        """Size of the ring."""
        return self.size_bytes

    @property
    def follower_beats(self):
        """Grows while the follower lives; the engine halts when it stands still."""
        return load_u64(&self.header.follower_beats)

    @property
    def follower_pid(self):
        """Process id of the follower, 0 before one has attached."""
        return self.header.follower_pid


@cython.final
cdef class TapeReader:
    """Follow a tape from another process, or read what a dead engine left.

    Starts behind the last acknowledged record, so a restarted follower misses nothing.

    Raises:
        JournalError: no such file, or not a tape of this version.
    """

    def __cinit__(self, path):
        cdef struct_stat info
        cdef void* base
        self.header = NULL
        self.path_text = os.fspath(path)
        name = os.fsencode(self.path_text)
        self.fd = c_open(<const char*>name, O_RDWR | O_CLOEXEC)
        if self.fd < 0:
            raise JournalError(f"cannot open the tape: {self.path_text}")
        if fstat(self.fd, &info) != 0 or info.st_size < HEADER_BYTES + SIZE_BYTES_MIN:
            raise JournalError(f"not a tape, or one being made: {self.path_text}", retryable=True)
        self.size_bytes = info.st_size - HEADER_BYTES
        base = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, self.fd, 0)
        if base == MAP_FAILED:
            raise JournalError(f"cannot map the tape: {self.path_text}")
        self.header = <TapeHeader*>base
        self.ring = <char*>base + HEADER_BYTES
        self.mask = self.size_bytes - 1
        magic = load_u64(&self.header.magic)
        if magic != MAGIC:
            raise JournalError(
                f"not a tape, or one being made: {self.path_text}", retryable=magic == 0
            )
        if self.header.version != TAPE_VERSION:
            raise JournalError(
                f"tape version {self.header.version} is not {TAPE_VERSION}: {self.path_text}"
            )
        if self.header.size_bytes != self.size_bytes or self.size_bytes & self.mask:
            raise JournalError(f"tape is cut: {self.size_bytes} bytes of ring: {self.path_text}")
        if self.header.follow:
            self.position = load_u64(&self.header.read_position)
            self.index = self.header.read_index
        else:
            self.position = self.header.oldest_position
            self.index = self.header.oldest_index
        self.lost = 0

    def __dealloc__(self):
        if self.header is not NULL:
            munmap(self.header, HEADER_BYTES + self.size_bytes)
        if self.fd >= 0:
            c_close(self.fd)

    def read(self, Py_ssize_t max_records, *, acknowledge=True):
        """Return up to `max_records` committed records: list[(index, kind, source, ts_ns, payload)].

        With `acknowledge` their room is given back at once; without, call `acknowledge` when they
        are safe. Raises JournalError, naming file and offset, on bytes no engine can have written.
        """
        cdef const RecordHeader* record
        cdef uint64_t offset
        cdef int found
        records = []
        for _ in range(max_records):
            found = locate(self.ring, self.size_bytes, &self.position)
            if found == END:
                break
            offset = self.position & self.mask
            record = <const RecordHeader*>(self.ring + offset)
            if (
                found == CORRUPT
                or record.index < self.index
                or record.check != record.index ^ self.position ^ SALT
            ):
                raise JournalError(
                    f"tape is corrupt at byte {HEADER_BYTES + offset}: {self.path_text}"
                )
            self.lost += record.index - self.index
            self.index = record.index + 1
            records.append(record_tuple(self.ring, offset))
            self.position += record_bytes(<uint64_t>record.commit - 1)
        if acknowledge:
            self.acknowledge()
        return records

    def acknowledge(self):
        """Give back the room of all records read so far."""
        # Position before index: a follower killed in between reads an index that is too low, never too high.
        store_u64(&self.header.read_position, self.position)
        store_u64(&self.header.read_index, self.index)

    def attach(self):
        """Leave the follower's process id in the header."""
        self.header.follower_pid = getpid()

    def beat(self):
        """Show the engine that the follower lives."""
        store_u64(&self.header.follower_beats, self.header.follower_beats + 1)

    def request_stop(self, bint stop=True):
        """Ask the engine to stop quoting, or take the request back."""
        store_u32(&self.header.stop_requested, stop)

    @property
    def torn(self):
        """Whether a record was begun and never committed behind the last whole one."""
        cdef uint64_t position = self.position
        cdef uint64_t offset
        cdef const RecordHeader* record
        if locate(self.ring, self.size_bytes, &position) != END:
            return False
        offset = position & self.mask
        if self.size_bytes - offset < RECORD_BYTES:
            return False
        record = <const RecordHeader*>(self.ring + offset)
        return record.check == record.index ^ position ^ SALT and record.index >= self.index

    @property
    def engine_alive(self):
        """Whether the process that made the tape still holds its lock."""
        if flock(self.fd, LOCK_SH | LOCK_NB) == 0:
            flock(self.fd, LOCK_UN)
            return False
        return True

    @property
    def closed(self):
        """Whether the engine marked the end of the session."""
        return load_u32(&self.header.closed) != 0

    @property
    def full(self):
        """Whether the engine ran out of room."""
        return load_u32(&self.header.full) != 0

    @property
    def lost_count(self):
        """Records refused by the engine for want of room, as seen by holes in the indices."""
        return self.lost

    @property
    def next_index(self):
        """Index that the next record has at least."""
        return self.index

    @property
    def unread_bytes(self):
        """Bytes written and not yet read here."""
        cdef uint64_t written = load_u64(&self.header.write_position)
        return written - self.position if written > self.position else 0

    @property
    def capacity_bytes(self):
        """Size of the ring."""
        return self.size_bytes

    @property
    def session_id(self):
        """Session the tape belongs to."""
        text = PyBytes_FromStringAndSize(self.header.session_id, SESSION_ID_BYTES)
        return text.rstrip(b"\0").decode("ascii")

    @property
    def engine_pid(self):
        """Process id of the engine that made the tape."""
        return self.header.engine_pid

    @property
    def path(self):
        """Path of the file."""
        return self.path_text
