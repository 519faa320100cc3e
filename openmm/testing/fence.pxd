# Memory that ends where its input ends.
cdef class Fence:
    cdef char* area                     # pages; the one behind them cannot be read
    cdef char* heap_data                # the present input, in heap mode
    cdef size_t area_bytes
    cdef Py_ssize_t capacity_bytes
    cdef bint heap
    cdef const char* place(self, bytes data) except NULL
