"""Send nothing, see nobody, and say what transport and neighbours of a recorded session said: for replay."""

from cython cimport final

from libc.stdlib cimport calloc, free

from openmm._fast.ports cimport Encoder, Neighbours, OutBatch, Transport
from openmm._fast.records cimport NeighboursRecord

cdef enum:
    WRITE_DOWN = -2     # of REC_WRITE_RESULT: nothing was tried, the transport was down


@final
cdef class RecalledTransport(Transport):
    """Answer each send with the next result of the journal."""

    def __cinit__(self):
        self.results = []
        self.live = True

    def recall(self, list results not None):
        """Take the results of the next input: bytes accepted, negative where nothing left."""
        self.results = results
        self.at = 0
        self.live = not results or results[0] != WRITE_DOWN

    cdef Py_ssize_t send_c(self, OutBatch* batch, Encoder encoder) noexcept:
        cdef Py_ssize_t result
        if self.at >= len(self.results):
            # The session sent nothing here: what the tape now says of it is the difference.
            self.missing_count += 1
            return -1
        result = self.results[self.at]
        self.at += 1
        self.live = self.at == len(self.results) or self.results[self.at] != WRITE_DOWN
        return result


@final
cdef class RecalledNeighbours(Neighbours):
    """Show at each look what the session saw there."""

    def __cinit__(self):
        self.on = True

    def __dealloc__(self):
        free(self.told)

    def recall(self, list told not None):
        """Take what the next input was told: (look, bid_ticks, ask_ticks, count), in order.

        Raises:
            MemoryError: no room for it.
        """
        cdef Py_ssize_t i
        free(self.told)
        self.told = NULL
        self.told_count = 0
        self.told_at = 0
        if not told:
            return
        self.told = <NeighboursRecord*>calloc(len(told), sizeof(NeighboursRecord))
        if self.told == NULL:
            raise MemoryError("neighbours of a recorded session")
        for i in range(len(told)):
            self.told[i].look, self.told[i].bid_ticks, self.told[i].ask_ticks, self.told[i].count = told[i]
        self.told_count = len(told)

    cdef bint look_c(self) noexcept nogil:
        cdef const NeighboursRecord* one
        self.look_count += 1
        if self.told_at >= self.told_count or self.told[self.told_at].look != self.look_count:
            return False
        one = &self.told[self.told_at]
        self.told_at += 1
        self.bid_ticks = one.bid_ticks
        self.ask_ticks = one.ask_ticks
        self.count = <int>one.count
        return True
