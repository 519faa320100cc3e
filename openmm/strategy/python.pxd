# A strategy written in Python, behind the same port as the compiled ones.
from libc.stdint cimport int64_t, uint64_t
from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.tape cimport Tape
from openmm._fast.units cimport InstrumentSpec

# A frozen copy of one MarketView.
cdef class View:
    cdef MarketView fields

cdef class PythonStrategy(Strategy):
    cdef readonly object quoter
    cdef object ask                     # its bound method
    cdef View view                      # of the last call
    cdef Tape tape
    cdef bytes told                     # the last answer on the tape
    cdef readonly object last_error     # the exception of the last failed call, None if none failed
    cdef readonly uint64_t error_count
    cdef readonly uint64_t call_count
    cdef uint64_t error_count_told      # at the last look
    cdef int64_t row                    # calls failed in a row, the last one among them
    cdef int64_t row_most               # longest row since the last look
    cdef InstrumentSpec spec
    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil
    cdef int tell_c(self, int64_t now_ns, bytes answer) except -1
    cdef int take_c(self, object quotes, Ladder* out) except -1
    cdef int fill_c(self, Ladder* out, int side, object levels) except -1

cdef int ask_c(PythonStrategy self, const MarketView* view, Ladder* out) noexcept
