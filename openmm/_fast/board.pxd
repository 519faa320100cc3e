# The board: one page of shared memory a user and host, where each trading bot shows its best prices.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from openmm._fast.ports cimport Neighbours
from openmm._fast.units cimport i128

cdef enum:
    BOARD_ROWS = 128
    BOARD_VERSION = 1

cdef struct BoardHeader:        # one line; the rows follow
    uint64_t magic
    uint32_t version
    uint32_t row_bytes
    uint32_t row_count
    uint32_t reserved
    uint64_t generation         # +1 each time a row is claimed, taken over or freed
    uint8_t pad[32]

# One account on one market, 512 bytes. Zero is a free row; a row whose prices were never set (zero)
# lets nobody buy. All but `bid_ticks`, `ask_ticks` and the held part is written under the file's lock
# alone, and is whole for who reads the same generation before and after.
cdef struct BoardRow:
    uint64_t market_low         # hash of the market: bots with the same one can meet
    uint64_t market_high
    uint32_t state              # RowState
    int32_t pid                 # its owner, or its last one
    uint64_t pid_start          # when that process began, in the kernel's ticks since boot
    uint64_t boot               # hash of the boot's id
    uint64_t account            # hash
    uint8_t pad0[16]
    # line 2: each a word of its own, so never torn, however its writer ends
    int64_t bid_ticks           # highest bid of ours that rests, is on its way or in doubt; NO_BID
    int64_t ask_ticks           # lowest ask likewise; NO_ASK
    uint8_t pad1[48]
    # lines 3 to 5: texts, zeros behind
    char bot[48]
    char venue[24]
    char instrument[32]
    char tick_size[32]
    char group[32]              # of bots that share an inventory; empty: none
    char purpose[16]
    uint8_t pad2[8]
    # lines 6 to 8: written by the owner under `sequence`, odd while it writes
    uint64_t sequence
    int64_t updated_ns          # 0: never told
    int32_t base_decimals       # an atom is 10**-decimals of the asset
    int32_t quote_decimals
    uint8_t pad3[8]
    i128 base_atoms             # held
    i128 quote_atoms            # held
    i128 target_atoms           # wanted of base
    i128 capital_base_atoms     # allotted
    i128 capital_quote_atoms
    int64_t spare[10]

cdef class BoardPage:
    cdef BoardHeader* header
    cdef BoardRow* rows
    cdef BoardRow* at_c(self, int index) except NULL

cdef class OwnRow(Neighbours):
    cdef readonly BoardPage page
    cdef readonly int32_t index
    cdef BoardRow* row
    cdef int64_t shown_bid_ticks        # as it stands on the page
    cdef int64_t shown_ask_ticks
    cdef int64_t kept_bid_ticks         # of orders of a former owner that may rest
    cdef int64_t kept_ask_ticks
    cdef uint64_t generation            # the neighbours are of
    cdef int32_t pid                    # whose the row was when we took it
    cdef uint64_t pid_start
    cdef uint64_t boot
    cdef int64_t met_count              # of `race`
    cdef readonly int32_t fault         # BoardFault; any but FAULT_NONE is latched
    cdef int32_t neighbours[BOARD_ROWS]
    cdef bint break_c(self, int fault) noexcept nogil
    cdef bint find_c(self) noexcept nogil

cpdef enum RowState:
    ROW_FREE = 0
    ROW_CLAIMED = 1

cpdef enum BoardFault:
    FAULT_NONE = 0
    FAULT_HEADER = 1            # not a page of this layout any more
    FAULT_ROW_LOST = 2          # our row is another's
    FAULT_PRICE = 3             # a neighbour shows what cannot be a price
