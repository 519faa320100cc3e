# A transport whose answers stand in a journal.
from openmm._fast.ports cimport Encoder, OutBatch, Transport

cdef class RecalledTransport(Transport):
    cdef list results               # what the transport of the session said, in order
    cdef Py_ssize_t at
    cdef readonly int missing_count     # sends that the session did not make
