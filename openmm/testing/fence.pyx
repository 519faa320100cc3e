"""Hand bytes to compiled code from memory that ends where they end.

A read behind the input cannot go unseen: it meets a page that cannot be read, or, on the heap under
AddressSanitizer, the red zone of an allocation of exactly the input's size. Either ends the process.
"""

from cython cimport final

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE, mmap, mprotect, munmap,
)
from posix.unistd cimport _SC_PAGESIZE, sysconf

from openmm._fast.ports cimport Decoder

from openmm._fast.ports import Decoded


@final
cdef class Fence:
    """Hold one input at a time, with nothing readable behind it.

    Args:
        capacity_bytes: of the longest input.
        heap: put each input into an allocation of its own size, for AddressSanitizer, which sees
            reads before it too. Else it ends at an unreadable page, in any build.

    Raises:
        ValueError: no room asked for.
        MemoryError: none to be had.
    """

    def __cinit__(self, Py_ssize_t capacity_bytes, bint heap=False):
        cdef size_t page = <size_t>sysconf(_SC_PAGESIZE)
        cdef void* got
        if capacity_bytes <= 0:
            raise ValueError(f"capacity_bytes must be positive: {capacity_bytes}")
        self.heap = heap
        self.capacity_bytes = capacity_bytes
        if heap:
            return
        # Pages are a power of two long.
        self.area_bytes = (<size_t>capacity_bytes & ~(page - 1)) + page
        got = mmap(
            NULL, self.area_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
        )
        if got == MAP_FAILED:
            raise MemoryError("fenced pages")
        self.area = <char*>got
        if mprotect(self.area + self.area_bytes, page, PROT_NONE) != 0:
            raise MemoryError("a page that cannot be read")

    def __dealloc__(self):
        free(self.heap_data)
        if self.area != NULL:
            munmap(self.area, self.area_bytes + <size_t>sysconf(_SC_PAGESIZE))

    cdef const char* place(self, bytes data) except NULL:
        cdef Py_ssize_t n_bytes = len(data)
        cdef char* at
        if n_bytes > self.capacity_bytes:
            raise ValueError(f"at most {self.capacity_bytes} bytes: {n_bytes}")
        if self.heap:
            free(self.heap_data)
            self.heap_data = <char*>malloc(<size_t>n_bytes if n_bytes else 1)
            if self.heap_data == NULL:
                raise MemoryError("an input")
            at = self.heap_data
        else:
            at = self.area + self.area_bytes - n_bytes
        memcpy(at, <const char*>data, <size_t>n_bytes)
        return at

    def view(self, bytes data not None):
        """Place an input and return a view of it, good until the next one.

        Raises:
            ValueError: longer than the capacity.
        """
        cdef const char* at = self.place(data)
        return PyMemoryView_FromMemory(<char*>at, len(data), PyBUF_READ)

    def decode(self, Decoder decoder not None, bytes data not None, int64_t recv_ns=0):
        """Place an input and have a decoder apply it; returns a `Decoded`.

        Raises:
            ValueError: longer than the capacity.
        """
        cdef const char* at = self.place(data)
        return Decoded(decoder.decode_c(at, len(data), recv_ns))
