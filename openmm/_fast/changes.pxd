# What a decoder does to a book, as rows: the events of the market data store.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t

from openmm._fast.book cimport Book
from openmm._fast.ports cimport Sink

# Bits 0 to 3 of an event's flags; the store's format (`openmm/data/store.py`) is made of these numbers.
cpdef enum EventKind:
    EVENT_UNKNOWN = 0
    EVENT_LEVEL = 1         # absolute quantity at a price, 0 removes it
    EVENT_TRADE = 2
    EVENT_CLEAR = 3         # both sides are empty; the levels of a whole book follow
    EVENT_BROKEN = 4        # continuity is lost until the next EVENT_CLEAR
    EVENT_QUOTE = 5         # the best price of a side, as the venue tells it beside the book

cpdef enum EventFlag:
    EVENT_KIND_BITS = 15
    EVENT_ASK = 16          # LEVEL, QUOTE: of the ask side; TRADE: the taker sold
    EVENT_MESSAGE_END = 32
    EVENT_READ_END = 64
    EVENT_FILTERED = 128    # a trade that is not the market's

cdef struct MarketEvent:    # 40 bytes
    int64_t recv_ns
    int64_t venue_ns        # 0: not told
    int64_t price_ticks
    int64_t qty_lots
    uint16_t flags
    uint16_t unused[3]

cdef class ChangeLog(Sink):
    cdef Book book
    cdef int32_t instrument_index
    cdef MarketEvent* events
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef int64_t recv_ns            # of the message at work
    cdef bint whole                 # the levels below are those of a verified book
    cdef bint failed                # out of memory
    cdef uint64_t version           # of the book when it was last looked at
    cdef uint64_t break_count
    cdef int32_t count[2]
    cdef int32_t level_room[2]
    cdef int64_t* prices[2]         # levels as last looked at, best first
    cdef int64_t* qtys[2]
    cdef int64_t* new_prices[2]
    cdef int64_t* new_qtys[2]
    cdef readonly uint64_t history_count    # trades left out: told on subscribing, from before
    cdef MarketEvent* add_c(self, int64_t venue_ns, int64_t price_ticks, int64_t qty_lots, int flags) noexcept nogil
    cdef bint level_room_c(self, int side) noexcept nogil
    cdef void look_c(self) noexcept nogil
    cdef void differ_c(self, int side, int32_t new_count, bint removed) noexcept nogil
