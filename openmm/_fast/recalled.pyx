"""Send nothing and say what the transport of a recorded session said: for replay."""

from cython cimport final

from openmm._fast.ports cimport Encoder, OutBatch, Transport

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
