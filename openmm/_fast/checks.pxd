# Pre-trade checks, one a limit, in a fixed order. Fail closed: a missing input refuses. Cancels always pass.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from openmm._fast.units cimport InstrumentSpec, i128
from openmm._fast.planner cimport Action
from openmm._fast.orders cimport OrderTable

cpdef enum RiskState:
    RISK_UNDECIDED = 0
    RUNNING = 1
    REDUCING = 2            # only orders that bring inventory to target
    PAUSED = 3              # no quotes, by operator
    HALTED = 4              # latched

cpdef enum Reason:          # the order of the values is the order of the checks
    REASON_UNDECIDED = 0
    APPROVED = 1
    STATE = 2
    BOOK_UNVERIFIED = 3
    STREAM_DOWN = 4         # private stream not live
    CLOCK_SKEW = 5
    MESSAGE_AGE = 6
    REFERENCE_MISSING = 7
    INSTRUMENT = 8          # pair not online, or spec not loaded
    ORDER_SIZE_MIN = 9
    ORDER_SIZE_MAX = 10
    NOTIONAL_MIN = 11
    NOTIONAL_MAX = 12       # per order
    PRICE_COLLAR = 13
    POST_ONLY_CROSS = 14
    SELF_TRADE = 15
    NEIGHBOUR = 16          # would meet another bot of this host
    DUPLICATE = 17          # same side and price already live, or predecessor unknown
    ORDER_COUNT = 18
    OPEN_NOTIONAL = 19
    INVENTORY_LONG = 20
    INVENTORY_SHORT = 21
    BALANCE = 22            # per side, less reserve
    RATE_BUDGET = 23
    FILL_BRAKE = 24         # fills per minute
    DRAWDOWN = 25
    TAPE_FULL = 26
    TABLE_FULL = 27
    UNKNOWN_ORDER = 28      # amend or cancel of an order the table does not hold
    ORDER_UNCERTAIN = 29    # amend of an order in UNKNOWN or PENDING_*
    HEDGE_ROOM = 30         # more of a side than a hedge elsewhere leaves room for
    SHARE_LONG = 31         # base held and bought beyond our share of the group's limit, or of capital
    SHARE_SHORT = 32
    REASON_COUNT = 33

cdef struct Limits:         # from config; tightened live, never loosened past the file
    int64_t order_lots_max
    int64_t order_lots_min
    i128 order_ticklots_max
    i128 open_ticklots_max
    int64_t inventory_lots_max      # |q| long or short
    int64_t collar_ppm              # distance from the reference
    int64_t order_count_max
    int64_t message_age_ns_max
    int64_t clock_offset_ns_max
    int64_t base_reserve_lots
    i128 quote_reserve_ticklots
    int64_t fills_per_minute_max
    int64_t fee_ppm                 # taker fee, added to the cost of a buy in the balance check

cdef struct RiskInputs:     # filled by the pipeline before a decision; MISSING refuses
    int64_t now_ns
    int32_t risk_state              # RiskState
    int32_t book_state              # BookState of the quoted book
    int32_t stream_live             # 1 = live
    int32_t instrument_online       # 1 = online
    int64_t book_recv_ns
    int64_t clock_offset_ns
    int64_t reference_uticks
    int64_t best_bid_ticks
    int64_t best_ask_ticks
    int64_t other_bid_ticks         # highest bid of other bots on the market; ports.NO_BID
    int64_t other_ask_ticks         # their lowest ask; ports.NO_ASK
    int64_t q_lots                  # inventory off target
    int64_t base_lots               # held
    i128 quote_ticklots             # held
    int32_t quote_known
    int32_t fills_last_minute
    int32_t drawdown_breached       # 1 = breached, 0 = not, anything else refuses
    int32_t tape_full
    int32_t bounded                 # 0: base is bounded by the limits alone; 1: by the two below too
    int64_t base_lots_most          # held and on its way in, MISSING refuses
    int64_t base_lots_least         # held less what is on its way out

# Made only by `Checks`; an Encoder takes nothing else.
cdef struct Approved:
    Action action
    uint64_t seal                   # non-zero, per session; encoders refuse 0
    int64_t rate_cost_milli
    uint8_t post_only          # 0: it may take, and what does not trade at once is dropped (IOC)

cdef enum:
    BRACKETS_MAX = 8

# A cost that depends on an order's age: `cost_milli[i]` below `age_ns[i]`, nothing beyond the last.
cdef struct AgeCost:
    int64_t fixed_milli
    int32_t bracket_count
    int32_t reserved
    int64_t age_ns[BRACKETS_MAX]
    int64_t cost_milli[BRACKETS_MAX]

# The venue's rate counter, as it computes it, with a reserve that only cancels may use.
# `Checks` asks and never spends: whoever sends spends `Approved.rate_cost_milli`, cancels included.
cdef class RateBudget:
    cdef int64_t level_milli            # counter now, thousandths
    cdef int64_t threshold_milli
    cdef int64_t reserve_milli          # kept for cancels
    cdef int64_t decay_milli_per_s
    cdef int64_t updated_ns
    cdef int64_t cost_c(self, int kind, int64_t age_ns) noexcept nogil
    cdef void decay_c(self, int64_t now_ns) noexcept nogil
    cdef bint allows_c(self, int kind, int64_t cost_milli, int64_t now_ns) noexcept nogil
    cdef void spend_c(self, int64_t cost_milli) noexcept nogil
    # Give back what a batch of n adds costs less than n single ones.
    cdef void refund_batch_c(self, int n) noexcept nogil
    # (private)
    cdef AgeCost costs[4]               # by ActionKind
    cdef int64_t batch_add_milli        # per order of a batch of two or more

cdef enum:
    TRACED_MAX = 4096                   # checks of one decision, or two: 23 an action

cdef struct Noted:
    Action action
    i128 limit
    i128 value
    int32_t check                       # Reason

# Limit and value of checks that were made; no engine has one, a replay asked why does.
cdef struct Trace:
    int32_t count
    Action action
    Noted rows[TRACED_MAX]

cdef class Checks:
    cdef Limits limits
    cdef InstrumentSpec spec
    cdef RateBudget budget
    cdef uint64_t refused[REASON_COUNT]     # count by reason
    cdef Reason last_reason
    cdef i128 last_limit                    # limit and value seen of the last refusal
    cdef i128 last_value
    cdef uint64_t approved_count
    cdef Trace* trace                       # NULL: nothing is written down
    # (private)
    cdef uint64_t seal
    cdef Limits hard                    # of the file
    cdef bint tightened                 # since the session began
    cdef bint hedged                    # what fills is hedged elsewhere: within this, in all
    cdef int64_t hedge_lots[3]          # by Side
    # Orders approved earlier in the same batch are already in `table` (PENDING_NEW): they count.
    cdef Reason approve_c(self, const Action* action, const RiskInputs* inputs, OrderTable table, Approved* out) noexcept nogil
    # What holds for every order alike, once a decision: while it refuses, nothing may rest.
    cdef Reason standing_c(self, const RiskInputs* inputs) noexcept nogil
    cdef void count_c(self, Reason reason) noexcept nogil
    cdef bint room_lots_c(self, const RiskInputs* inputs, OrderTable table, int side, i128* lots) noexcept nogil
    cdef Reason refuse_c(self, Reason reason, i128 limit, i128 value) noexcept nogil
    cdef Reason judge_c(self, const Action* action, const RiskInputs* inputs, OrderTable table, Approved* out) noexcept nogil
