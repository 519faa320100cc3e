# What a session was told from outside, out of its journal.
from openmm._fast.ports cimport Encoder, Neighbours, OutBatch, Transport
from openmm._fast.records cimport NeighboursRecord

cdef class RecalledTransport(Transport):
    cdef list results               # what the transport of the session said, in order
    cdef Py_ssize_t at
    cdef readonly int missing_count     # sends that the session did not make

cdef class RecalledNeighbours(Neighbours):
    cdef NeighboursRecord* told         # of the input under way
    cdef Py_ssize_t told_count
    cdef Py_ssize_t told_at
