# Payloads of the tape's binary records: what the hot path writes and `openmm.journal` reads.
# The file format of version TAPE_VERSION. A change here is a new version.
from libc.stdint cimport int32_t, int64_t, uint64_t
from openmm._fast.planner cimport Action
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.units cimport i128

cdef enum:
    STAGES = 13                 # latency.STAGE_COUNT as of this version of the format

# REC_LADDER: what the strategy saw, what it answered, and its one-sided state around the decision.
cdef struct LadderRecord:
    MarketView view
    Ladder ladder
    int32_t one_sided_before
    int32_t one_sided_after

# REC_INTENT: an approved action, before its bytes leave.
cdef struct IntentRecord:
    Action action
    int64_t rate_cost_milli

# REC_REFUSAL: an action that a check refused, with the limit and the value seen.
cdef struct RefusalRecord:
    Action action
    int32_t reason              # checks.Reason
    int32_t reserved
    i128 limit
    i128 value

# REC_TRANSITION: a step of an order's life, with its evidence.
cdef struct TransitionRecord:
    uint64_t seq
    int32_t event               # orders.OrderEvent
    int32_t from_state          # orders.OrderState
    int32_t to_state
    int32_t source              # 0 our own act, else 1 + position in events.Source
    int64_t price_ticks
    int64_t qty_lots

# REC_STAMPS: stage latencies of one decision by latency.Stage; 0 or less: not measured.
cdef struct StampsRecord:
    int64_t stage_ns[STAGES]

# REC_BOOK: a book broke or was verified again; source = feed index.
cdef struct BookRecord:
    int32_t state               # book.BookState
    int32_t reason              # book.BookBreak of the last break
    int64_t best_bid_ticks
    int64_t best_ask_ticks
    uint64_t break_count

# REC_PLACE: an order's queue place, as estimated, when it stayed for it or was filled.
cdef struct PlaceRecord:
    uint64_t seq
    int64_t price_ticks
    int64_t wanted_ticks        # price it stayed away from; 0: it was filled
    int64_t ahead_lots
    int64_t behind_lots
    int64_t worth_ticks         # of the place, as a distance
    int64_t since_ns            # when it came to the place

# REC_NEIGHBOURS: what our other bots on the market showed from this look on.
cdef struct NeighboursRecord:
    uint64_t look               # which look of the session, from 1
    int64_t bid_ticks           # their highest bid; ports.NO_BID
    int64_t ask_ticks           # their lowest ask; ports.NO_ASK
    int64_t count               # of them

# REC_SAMPLE: what the slow path saw at a timer, for time at touch and drawdown. MISSING: not known.
cdef struct SampleRecord:
    int64_t best_bid_ticks      # quoted book
    int64_t best_ask_ticks
    int64_t reference_uticks
    int64_t base_lots
