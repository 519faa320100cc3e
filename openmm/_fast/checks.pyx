"""Pre-trade checks: one a limit, in the order of `Reason`, each with the limit and the value seen.

They fail closed. A missing limit, a missing input, an enum that is 0, a value that cannot be: refused.
There is no way round: `Approved` is made here alone, and an encoder takes nothing else. Cancels of
orders in the table always pass, whatever the state, the budget or the inputs.

Worst case throughout: live orders count with the larger of confirmed and pending price and quantity,
those in UNKNOWN in full. An amend counts with what it adds to that worst case.
"""

from collections.abc import Mapping
from typing import NamedTuple

from openmm.errors import RiskError

from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from openmm._fast.book cimport BOOK_VERIFIED
from openmm._fast.orders cimport (
    OPEN, ORDERS_MAX, PARTIALLY_FILLED, UNKNOWN, Order, OrderTable, best_own_ticks, has_price,
)
from openmm._fast.planner cimport (
    ACTION_AMEND, ACTION_CANCEL, ACTION_PLACE, WHY_REBALANCE, Action,
)
from openmm._fast.units cimport (
    BUY, MISSING, PPM, SELL, UTICKS, InstrumentSpec, floor_div_wide, i128, i128_from_py,
    i128_to_py, ticklots,
)

cdef extern from * nogil:
    """
    #define OPENMM_SECOND_NS INT64_C(1000000000)
    #define OPENMM_LOTS_MAX (INT64_C(1) << 52)
    #define OPENMM_TICKS_MAX (INT64_C(1) << 40)
    #define OPENMM_NO_ASK_YET INT64_MAX
    #define OPENMM_LEVEL_MILLI_MAX (INT64_C(1) << 52)
    """
    const int64_t SECOND_NS "OPENMM_SECOND_NS"
    const int64_t LOTS_MAX "OPENMM_LOTS_MAX"
    const int64_t TICKS_MAX "OPENMM_TICKS_MAX"
    const int64_t EMPTY_ASK "OPENMM_NO_ASK_YET"
    const int64_t LEVEL_MILLI_MAX "OPENMM_LEVEL_MILLI_MAX"

# Held quote beyond this counts as this: keeps the balance check's products inside 127 bits.
cdef enum:
    QUOTE_BITS_MAX = 100


@final
cdef class RateBudget:
    """Count what requests cost at the venue, in thousandths of its own unit, decaying steadily.

    Placing and amending stop `reserve_milli` short of the threshold; cancels are counted, never refused.

    Args:
        threshold_milli: the venue refuses requests beyond it.
        reserve_milli: kept for cancels.
        decay_milli_per_s: taken off a second.
        add_milli: cost of a single add.
        batch_add_milli: cost of each add of a batch of two or more.
        amend_milli, cancel_milli: fixed cost.
        amend_ages, cancel_ages: (age_ns, cost_milli) pairs, youngest first: extra cost of an order
            created or last amended less than `age_ns` ago.

    Raises:
        ValueError: a negative argument, a threshold or decay of 0, a reserve at or over the
            threshold, ages not rising, or more than BRACKETS_MAX of them.
    """

    def __cinit__(
        self, int64_t threshold_milli, int64_t reserve_milli, int64_t decay_milli_per_s, *,
        int64_t add_milli, int64_t batch_add_milli, int64_t amend_milli, amend_ages=(),
        int64_t cancel_milli=0, cancel_ages=(),
    ):
        if not 0 < threshold_milli <= LEVEL_MILLI_MAX:
            raise ValueError(f"threshold_milli must be positive: {threshold_milli}")
        if not 0 <= reserve_milli < threshold_milli:
            raise ValueError(f"reserve_milli must be in [0, {threshold_milli}): {reserve_milli}")
        if not 0 < decay_milli_per_s <= LEVEL_MILLI_MAX:
            raise ValueError(f"decay_milli_per_s must be positive: {decay_milli_per_s}")
        if not 0 <= batch_add_milli <= add_milli:
            raise ValueError(f"batch_add_milli must be in [0, {add_milli}]: {batch_add_milli}")
        self.threshold_milli = threshold_milli
        self.reserve_milli = reserve_milli
        self.decay_milli_per_s = decay_milli_per_s
        self.batch_add_milli = batch_add_milli
        load_cost(&self.costs[<int>ACTION_PLACE], add_milli, ())
        load_cost(&self.costs[<int>ACTION_AMEND], amend_milli, amend_ages)
        load_cost(&self.costs[<int>ACTION_CANCEL], cancel_milli, cancel_ages)

    # ---------------------------------------------------------------- C face

    cdef int64_t cost_c(self, int kind, int64_t age_ns) noexcept nogil:
        """Cost of one request of an order that old; MISSING for no kind of request."""
        cdef const AgeCost* cost
        cdef int i
        if kind < ACTION_CANCEL or kind > ACTION_PLACE:
            return MISSING
        cost = &self.costs[kind]
        for i in range(cost.bracket_count):
            if age_ns < cost.age_ns[i]:
                return cost.fixed_milli + cost.cost_milli[i]
        return cost.fixed_milli

    cdef void decay_c(self, int64_t now_ns) noexcept nogil:
        """Bring the level up to `now_ns`. Whole thousandths only; the rest of the time is kept."""
        cdef i128 gone
        if self.level_milli <= 0:
            self.level_milli = 0
            if now_ns > self.updated_ns:
                self.updated_ns = now_ns
            return
        if now_ns <= self.updated_ns:
            return
        gone = floor_div_wide(
            (<i128>now_ns - <i128>self.updated_ns) * <i128>self.decay_milli_per_s, <i128>SECOND_NS
        )
        if gone == 0:
            return
        if gone >= <i128>self.level_milli:
            self.level_milli = 0
            self.updated_ns = now_ns
            return
        self.level_milli -= <int64_t>gone
        # Rounded up: never more decay than time.
        self.updated_ns += <int64_t>floor_div_wide(
            gone * <i128>SECOND_NS + <i128>(self.decay_milli_per_s - 1), <i128>self.decay_milli_per_s
        )

    cdef bint allows_c(self, int kind, int64_t cost_milli, int64_t now_ns) noexcept nogil:
        self.decay_c(now_ns)
        if kind == ACTION_CANCEL:
            return True
        if cost_milli < 0 or self.threshold_milli <= 0:
            return False
        return self.level_milli + cost_milli <= self.threshold_milli - self.reserve_milli

    cdef void spend_c(self, int64_t cost_milli) noexcept nogil:
        if cost_milli > 0:
            self.level_milli += cost_milli
            if self.level_milli > LEVEL_MILLI_MAX:
                self.level_milli = LEVEL_MILLI_MAX

    cdef void refund_batch_c(self, int n) noexcept nogil:
        if n < 2:
            return
        self.level_milli -= n * (self.costs[<int>ACTION_PLACE].fixed_milli - self.batch_add_milli)
        if self.level_milli < 0:
            self.level_milli = 0

    # ---------------------------------------------------------------- Python face

    def cost(self, int kind, int64_t age_ns=0):
        """Return the cost of one request, in thousandths.

        Raises:
            ValueError: not a kind of request.
        """
        cdef int64_t cost_milli = self.cost_c(kind, age_ns)
        if cost_milli == MISSING:
            raise ValueError(f"not a kind of request: {kind}")
        return cost_milli

    def decay(self, int64_t now_ns):
        """Bring the level up to `now_ns` and return it."""
        self.decay_c(now_ns)
        return self.level_milli

    def level_at(self, int64_t now_ns):
        """Tell the level at `now_ns` and leave it where it is: to look is no input of any decision."""
        cdef int64_t level_milli = self.level_milli
        cdef int64_t updated_ns = self.updated_ns
        cdef int64_t told_milli
        self.decay_c(now_ns)
        told_milli = self.level_milli
        self.level_milli = level_milli
        self.updated_ns = updated_ns
        return told_milli

    def allows(self, int kind, int64_t cost_milli, int64_t now_ns):
        """Tell whether a request of that cost may be sent now."""
        return bool(self.allows_c(kind, cost_milli, now_ns))

    def spend(self, int64_t cost_milli):
        """Count a request that was sent.

        Raises:
            ValueError: a negative cost.
        """
        if cost_milli < 0:
            raise ValueError(f"a cost must not be negative: {cost_milli}")
        self.spend_c(cost_milli)

    def refund_batch(self, int n):
        """Give back what a batch of `n` adds costs less than `n` single ones."""
        self.refund_batch_c(n)

    def set_threshold(self, int64_t threshold_milli, int64_t decay_milli_per_s=0):
        """Take the account's own threshold (and decay, if given); the reserve keeps its share, rounded up.

        Raises:
            ValueError: not positive.
        """
        if decay_milli_per_s < 0:
            raise ValueError(f"decay_milli_per_s must not be negative: {decay_milli_per_s}")
        if decay_milli_per_s:
            self.decay_milli_per_s = decay_milli_per_s
        if not 0 < threshold_milli <= LEVEL_MILLI_MAX:
            raise ValueError(f"threshold_milli must be positive: {threshold_milli}")
        # Python's integers: a negative dividend rounds down, so that its negation rounds up.
        reserve = -(-int(self.reserve_milli) * threshold_milli // int(self.threshold_milli))
        self.threshold_milli = threshold_milli
        self.reserve_milli = min(reserve, threshold_milli - 1)

    def exhaust(self, int64_t now_ns):
        """Believe the venue that its counter is over the threshold."""
        self.decay_c(now_ns)
        if self.level_milli < self.threshold_milli:
            self.level_milli = self.threshold_milli
            self.updated_ns = now_ns

    @property
    def level_milli(self):
        """Counter as of the last decay, in thousandths."""
        return self.level_milli

    @property
    def threshold_milli(self):
        """Threshold of the venue, in thousandths."""
        return self.threshold_milli

    @property
    def reserve_milli(self):
        """Part of the threshold that only cancels may use."""
        return self.reserve_milli

    @property
    def decay_milli_per_s(self):
        """Decay a second, in thousandths."""
        return self.decay_milli_per_s


class ApprovedView(NamedTuple):
    """A copy of an approval."""

    seal: int
    kind: int
    seq: int
    side: int
    level: int
    price_ticks: int
    qty_lots: int
    rate_cost_milli: int
    post_only: bool


cdef struct Quiet:                      # the type of no trace
    int32_t none

ctypedef fused Tracer:
    Quiet
    Trace


cdef object known(i128 value):
    return None if value == MISSING else i128_to_py(value)


cdef void note(Trace* trace, Reason check, i128 limit, i128 value) noexcept nogil:
    """Write one check down; beyond the trace's length it is left out."""
    cdef Noted* noted
    if trace.count < TRACED_MAX:
        noted = &trace.rows[trace.count]
        noted.action = trace.action
        noted.check = check
        noted.limit = limit
        noted.value = value
        trace.count += 1


cdef Reason judged(
    Checks self, const Action* action, const RiskInputs* inputs, OrderTable table, Approved* out,
    Tracer* trace,
) noexcept nogil:
    """Judge one action: every check in its order, the first that refuses ends it.

    Args:
        trace: takes limit and value of each check that was made. Where orders are placed it is a
            `Quiet*`, and nothing of it is compiled.
    """
    cdef const Limits* limits = &self.limits
    cdef const InstrumentSpec* spec = &self.spec
    cdef const Order* order = NULL
    cdef int side = action.side
    cdef int other
    cdef int kind = action.kind
    cdef bint taking = kind == ACTION_PLACE and action.why == WHY_REBALANCE
    cdef int64_t price = action.price_ticks
    cdef int64_t now_ns = inputs.now_ns
    cdef int64_t resting_lots = action.qty_lots     # what would rest of this order
    cdef int64_t filled_lots = 0
    cdef int64_t extra_lots                         # what it adds to the worst case
    cdef i128 extra_ticklots
    cdef int64_t worst_price, worst_lots, old_price, old_lots
    cdef int64_t own, opposite, age_ns, cost_milli
    cdef i128 value, limit

    if Tracer is Trace:
        trace.action = action[0]
    if kind == ACTION_CANCEL:
        order = table.find_c(action.seq)
        if order == NULL:
            return self.refuse_c(UNKNOWN_ORDER, 0, <i128>(<int64_t>action.seq))
        out.rate_cost_milli = self.budget.cost_c(ACTION_CANCEL, now_ns - order.amended_ns)
        return APPROVED
    if (kind != ACTION_PLACE and kind != ACTION_AMEND) or (side != BUY and side != SELL):
        return self.refuse_c(REASON_UNDECIDED, 0, kind)
    other = SELL if side == BUY else BUY

    if price > TICKS_MAX or price < 0:
        price = 0                                   # refused by the collar
    if resting_lots > LOTS_MAX or resting_lots < 0:
        resting_lots = 0                            # refused as too small
    if kind == ACTION_AMEND:
        order = table.find_c(action.seq)
        if order != NULL and order.side != side:
            order = NULL
    if order == NULL:
        extra_lots = resting_lots
        extra_ticklots = ticklots(price, resting_lots)
    else:
        filled_lots = order.filled_lots
        old_price = order.price_ticks
        if order.pending_price_ticks > old_price:
            old_price = order.pending_price_ticks
        old_lots = order.qty_lots
        if order.pending_qty_lots > old_lots:
            old_lots = order.pending_qty_lots
        worst_price = price if price > old_price else old_price
        worst_lots = resting_lots if resting_lots > old_lots else old_lots
        old_lots = old_lots - filled_lots if old_lots > filled_lots else 0
        worst_lots = worst_lots - filled_lots if worst_lots > filled_lots else 0
        resting_lots = resting_lots - filled_lots if resting_lots > filled_lots else 0
        extra_lots = worst_lots - old_lots
        extra_ticklots = ticklots(worst_price, worst_lots) - ticklots(old_price, old_lots)

    if Tracer is Trace:
        note(trace, STATE, RUNNING, inputs.risk_state)
    # STATE
    if inputs.risk_state != RUNNING:
        if inputs.risk_state != REDUCING:
            return self.refuse_c(STATE, RUNNING, inputs.risk_state)
        value = <i128>table.open_lots[side] + <i128>extra_lots
        limit = inputs.q_lots if side == SELL else -(<i128>inputs.q_lots)
        if inputs.q_lots == MISSING or value > limit:
            return self.refuse_c(STATE, limit, value)
    if Tracer is Trace:
        note(trace, BOOK_UNVERIFIED, BOOK_VERIFIED, inputs.book_state)
    # BOOK_UNVERIFIED
    if inputs.book_state != BOOK_VERIFIED:
        return self.refuse_c(BOOK_UNVERIFIED, BOOK_VERIFIED, inputs.book_state)
    if Tracer is Trace:
        note(trace, STREAM_DOWN, 1, inputs.stream_live)
    # STREAM_DOWN
    if inputs.stream_live != 1:
        return self.refuse_c(STREAM_DOWN, 1, inputs.stream_live)
    if Tracer is Trace:
        note(trace, CLOCK_SKEW, limits.clock_offset_ns_max, inputs.clock_offset_ns)
    # CLOCK_SKEW
    if (
        limits.clock_offset_ns_max < 0 or inputs.clock_offset_ns == MISSING
        or inputs.clock_offset_ns > limits.clock_offset_ns_max
        or inputs.clock_offset_ns < -limits.clock_offset_ns_max
    ):
        return self.refuse_c(CLOCK_SKEW, limits.clock_offset_ns_max, inputs.clock_offset_ns)
    if Tracer is Trace:
        note(trace, MESSAGE_AGE, limits.message_age_ns_max, now_ns - inputs.book_recv_ns)
    # MESSAGE_AGE
    if now_ns <= 0 or inputs.book_recv_ns <= 0 or limits.message_age_ns_max < 0:
        return self.refuse_c(MESSAGE_AGE, limits.message_age_ns_max, MISSING)
    age_ns = now_ns - inputs.book_recv_ns
    if age_ns < 0 or age_ns > limits.message_age_ns_max:
        return self.refuse_c(MESSAGE_AGE, limits.message_age_ns_max, age_ns)
    if Tracer is Trace:
        note(trace, REFERENCE_MISSING, 1, inputs.reference_uticks)
    # REFERENCE_MISSING
    if inputs.reference_uticks <= 0:
        return self.refuse_c(REFERENCE_MISSING, 1, inputs.reference_uticks)
    if Tracer is Trace:
        note(trace, INSTRUMENT, 1, inputs.instrument_online)
    # INSTRUMENT
    if inputs.instrument_online != 1:
        return self.refuse_c(INSTRUMENT, 1, inputs.instrument_online)
    if (
        spec.tick_points <= 0 or spec.lot_points <= 0 or spec.qty_lots_min <= 0
        or spec.qty_lots_max <= 0 or spec.notional_ticklots_min < 0
    ):
        return self.refuse_c(INSTRUMENT, 1, MISSING)
    if Tracer is Trace:
        note(
            trace, ORDER_SIZE_MIN,
            limits.order_lots_min if limits.order_lots_min > spec.qty_lots_min else spec.qty_lots_min,
            resting_lots,
        )
    # ORDER_SIZE_MIN
    if limits.order_lots_min < 0:
        return self.refuse_c(ORDER_SIZE_MIN, MISSING, resting_lots)
    if resting_lots < limits.order_lots_min or resting_lots < spec.qty_lots_min:
        limit = limits.order_lots_min if limits.order_lots_min > spec.qty_lots_min else spec.qty_lots_min
        return self.refuse_c(ORDER_SIZE_MIN, limit, resting_lots)
    if Tracer is Trace:
        note(trace, ORDER_SIZE_MAX, limits.order_lots_max, resting_lots)
    # ORDER_SIZE_MAX: what rests against our limit, the total against the venue's.
    if resting_lots > limits.order_lots_max:
        return self.refuse_c(ORDER_SIZE_MAX, limits.order_lots_max, resting_lots)
    if action.qty_lots > spec.qty_lots_max:
        return self.refuse_c(ORDER_SIZE_MAX, spec.qty_lots_max, action.qty_lots)
    # NOTIONAL_MIN
    value = ticklots(price, resting_lots)
    if Tracer is Trace:
        note(trace, NOTIONAL_MIN, spec.notional_ticklots_min, value)
    if Tracer is Trace:
        note(trace, NOTIONAL_MAX, limits.order_ticklots_max, value)
    if value < spec.notional_ticklots_min:
        return self.refuse_c(NOTIONAL_MIN, spec.notional_ticklots_min, value)
    # NOTIONAL_MAX
    if value > limits.order_ticklots_max:
        return self.refuse_c(NOTIONAL_MAX, limits.order_ticklots_max, value)
    # PRICE_COLLAR
    if price == 0 or limits.collar_ppm < 0:
        return self.refuse_c(PRICE_COLLAR, limits.collar_ppm, action.price_ticks)
    value = (<i128>price) * (<i128>UTICKS) - <i128>inputs.reference_uticks
    if value < 0:
        value = -value
    if Tracer is Trace:
        note(
            trace, PRICE_COLLAR, limits.collar_ppm,
            floor_div_wide(
                value * <i128>PPM + <i128>(inputs.reference_uticks - 1), <i128>inputs.reference_uticks
            ),
        )
    if value * <i128>PPM > (<i128>limits.collar_ppm) * <i128>inputs.reference_uticks:
        return self.refuse_c(
            PRICE_COLLAR, limits.collar_ppm,
            floor_div_wide(
                value * <i128>PPM + <i128>(inputs.reference_uticks - 1), <i128>inputs.reference_uticks
            ),
        )
    # POST_ONLY_CROSS. What is to take needs a best price of the other side too.
    if side == BUY:
        opposite = inputs.best_ask_ticks
        if Tracer is Trace:
            note(trace, POST_ONLY_CROSS, opposite, price)
        if opposite <= 0 or opposite == EMPTY_ASK or (price >= opposite and not taking):
            return self.refuse_c(POST_ONLY_CROSS, opposite, price)
    else:
        opposite = inputs.best_bid_ticks
        if Tracer is Trace:
            note(trace, POST_ONLY_CROSS, opposite, price)
        if opposite <= 0 or (price <= opposite and not taking):
            return self.refuse_c(POST_ONLY_CROSS, opposite, price)
    # SELF_TRADE
    own = best_own_ticks(table, other)
    if Tracer is Trace:
        note(trace, SELF_TRADE, own, price)
    if own != 0 and (price >= own if side == BUY else price <= own):
        return self.refuse_c(SELF_TRADE, own, price)
    # NEIGHBOUR
    if side == BUY:
        opposite = inputs.other_ask_ticks
        if Tracer is Trace:
            note(trace, NEIGHBOUR, <i128>(MISSING if opposite == EMPTY_ASK else opposite), price)
        if opposite <= 0 or price >= opposite:
            return self.refuse_c(NEIGHBOUR, opposite, price)
    else:
        opposite = inputs.other_bid_ticks
        if Tracer is Trace:
            note(trace, NEIGHBOUR, <i128>(MISSING if opposite == 0 else opposite), price)
        if opposite < 0 or price <= opposite:
            return self.refuse_c(NEIGHBOUR, opposite, price)
    # DUPLICATE
    if has_price(table, side, price, action.seq if kind == ACTION_AMEND else 0):
        return self.refuse_c(DUPLICATE, 0, price)
    if kind == ACTION_PLACE and table.unknown_count and table.level_unknown_c(side, action.level):
        return self.refuse_c(DUPLICATE, 0, action.level)
    if Tracer is Trace:
        note(trace, ORDER_COUNT, limits.order_count_max, table.live_count + (kind == ACTION_PLACE))
    # ORDER_COUNT. Here and below, an amend that adds nothing to what a limit counts passes it.
    if limits.order_count_max < 0 or (
        kind == ACTION_PLACE and table.live_count >= limits.order_count_max
    ):
        return self.refuse_c(
            ORDER_COUNT, limits.order_count_max, table.live_count + (kind == ACTION_PLACE)
        )
    # OPEN_NOTIONAL
    value = table.open_ticklots[<int>BUY] + table.open_ticklots[<int>SELL] + extra_ticklots
    if Tracer is Trace:
        note(trace, OPEN_NOTIONAL, limits.open_ticklots_max, value)
    if value > limits.open_ticklots_max and (order == NULL or extra_ticklots > 0):
        return self.refuse_c(OPEN_NOTIONAL, limits.open_ticklots_max, value)
    # INVENTORY_LONG, INVENTORY_SHORT
    value = <i128>table.open_lots[side] + <i128>extra_lots
    if side == BUY:
        value = value + <i128>inputs.q_lots
        if Tracer is Trace:
            note(trace, INVENTORY_LONG, limits.inventory_lots_max, value)
        if inputs.q_lots == MISSING or limits.inventory_lots_max < 0 or (
            value > limits.inventory_lots_max and (order == NULL or extra_lots > 0)
        ):
            return self.refuse_c(INVENTORY_LONG, limits.inventory_lots_max, value)
    else:
        value = value - <i128>inputs.q_lots
        if Tracer is Trace:
            note(trace, INVENTORY_SHORT, limits.inventory_lots_max, value)
        if inputs.q_lots == MISSING or limits.inventory_lots_max < 0 or (
            value > limits.inventory_lots_max and (order == NULL or extra_lots > 0)
        ):
            return self.refuse_c(INVENTORY_SHORT, limits.inventory_lots_max, value)
    # SHARE_LONG, SHARE_SHORT
    if inputs.bounded != 0:
        limit = inputs.base_lots_most if side == BUY else inputs.base_lots_least
        value = <i128>table.open_lots[side] + <i128>extra_lots
        value = <i128>inputs.base_lots + value if side == BUY else <i128>inputs.base_lots - value
        if Tracer is Trace:
            note(trace, SHARE_LONG if side == BUY else SHARE_SHORT, limit, value)
        if inputs.bounded != 1 or limit == MISSING or inputs.base_lots == MISSING or (
            (value > limit if side == BUY else value < limit) and (order == NULL or extra_lots > 0)
        ):
            return self.refuse_c(SHARE_LONG if side == BUY else SHARE_SHORT, limit, value)
    # BALANCE
    if side == BUY:
        if inputs.quote_known != 1 or limits.quote_reserve_ticklots < 0 or limits.fee_ppm < 0:
            return self.refuse_c(BALANCE, MISSING, extra_ticklots)
        limit = inputs.quote_ticklots - limits.quote_reserve_ticklots
        if limit > (<i128>1) << QUOTE_BITS_MAX:
            limit = (<i128>1) << QUOTE_BITS_MAX
        value = table.open_ticklots[<int>BUY] + extra_ticklots
        if Tracer is Trace:
            note(trace, BALANCE, limit, value)
        if (order == NULL or extra_ticklots > 0) and (
            value > limit or value * (<i128>PPM + <i128>limits.fee_ppm) > limit * <i128>PPM
        ):
            return self.refuse_c(BALANCE, limit, value)
    else:
        if inputs.base_lots < 0 or limits.base_reserve_lots < 0:
            return self.refuse_c(BALANCE, MISSING, extra_lots)
        limit = <i128>inputs.base_lots - <i128>limits.base_reserve_lots
        value = <i128>table.open_lots[<int>SELL] + <i128>extra_lots
        if Tracer is Trace:
            note(trace, BALANCE, limit, value)
        if value > limit and (order == NULL or extra_lots > 0):
            return self.refuse_c(BALANCE, limit, value)
    # HEDGE_ROOM
    if self.hedged:
        value = <i128>table.open_lots[side] + <i128>extra_lots
        if Tracer is Trace:
            note(trace, HEDGE_ROOM, self.hedge_lots[side], value)
        if value > self.hedge_lots[side] and (order == NULL or extra_lots > 0):
            return self.refuse_c(HEDGE_ROOM, self.hedge_lots[side], value)
    # RATE_BUDGET
    cost_milli = self.budget.cost_c(kind, now_ns - order.amended_ns if order != NULL else 0)
    if Tracer is Trace:
        self.budget.decay_c(now_ns)
        note(
            trace, RATE_BUDGET, self.budget.threshold_milli - self.budget.reserve_milli,
            self.budget.level_milli + cost_milli,
        )
    if not self.budget.allows_c(kind, cost_milli, now_ns):
        return self.refuse_c(
            RATE_BUDGET, self.budget.threshold_milli - self.budget.reserve_milli,
            self.budget.level_milli + cost_milli,
        )
    out.rate_cost_milli = cost_milli
    if Tracer is Trace:
        note(trace, FILL_BRAKE, limits.fills_per_minute_max, inputs.fills_last_minute)
    # FILL_BRAKE
    if (
        inputs.fills_last_minute < 0 or limits.fills_per_minute_max < 0
        or inputs.fills_last_minute > limits.fills_per_minute_max
    ):
        return self.refuse_c(FILL_BRAKE, limits.fills_per_minute_max, inputs.fills_last_minute)
    if Tracer is Trace:
        note(trace, DRAWDOWN, 0, inputs.drawdown_breached)
    # DRAWDOWN
    if inputs.drawdown_breached != 0:
        return self.refuse_c(DRAWDOWN, 0, inputs.drawdown_breached)
    if Tracer is Trace:
        note(trace, TAPE_FULL, 0, inputs.tape_full)
    # TAPE_FULL
    if inputs.tape_full != 0:
        return self.refuse_c(TAPE_FULL, 0, inputs.tape_full)
    if kind == ACTION_PLACE:
        # TABLE_FULL
        if not table.room_c():
            return self.refuse_c(TABLE_FULL, ORDERS_MAX, table.live_count)
        return APPROVED
    # UNKNOWN_ORDER
    if order == NULL or order.state > UNKNOWN:
        return self.refuse_c(UNKNOWN_ORDER, 0, <i128>(<int64_t>action.seq))
    # ORDER_UNCERTAIN
    if order.state != OPEN and order.state != PARTIALLY_FILLED:
        return self.refuse_c(ORDER_UNCERTAIN, OPEN, order.state)
    return APPROVED


@final
cdef class Checks:
    """Approve or refuse one action at a time.

    Args:
        limits: the fields of `Limits` by name; one that is absent or None refuses what it would check.
        spec: an object with the fields of `InstrumentSpec`, or a mapping of them; None refuses.
            `qty_lots_max` may be absent.
        budget: the venue's rate counter.
        seal: not 0; marks the approvals of this session.

    Raises:
        ValueError: an unknown limit, a value out of bounds, a seal of 0.
    """

    def __cinit__(self, limits not None, spec, RateBudget budget not None, *, uint64_t seal=1):
        if seal == 0:
            raise ValueError("seal must not be 0")
        unknown = set(limits) - set(LIMIT_NAMES)
        if unknown:
            raise ValueError(f"unknown limits: {sorted(unknown)}")
        self.seal = seal
        self.budget = budget
        store_limits(&self.limits, {name: limits.get(name) for name in LIMIT_NAMES})
        self.hard = self.limits
        self.set_spec(spec)

    # ---------------------------------------------------------------- C face

    cdef Reason approve_c(
        self, const Action* action, const RiskInputs* inputs, OrderTable table, Approved* out
    ) noexcept nogil:
        cdef Reason reason
        out.seal = 0
        reason = self.judge_c(action, inputs, table, out)
        if reason != APPROVED:
            self.count_c(reason)
            return reason
        out.action = action[0]
        out.post_only = not (action.kind == ACTION_PLACE and action.why == WHY_REBALANCE)
        out.seal = self.seal
        self.approved_count += 1
        return APPROVED

    cdef void count_c(self, Reason reason) noexcept nogil:
        self.last_reason = reason
        self.refused[<int>reason] += 1

    cdef Reason refuse_c(self, Reason reason, i128 limit, i128 value) noexcept nogil:
        self.last_limit = limit
        self.last_value = value
        return reason

    cdef Reason standing_c(self, const RiskInputs* inputs) noexcept nogil:
        """Judge what holds for every order alike; while it refuses, nothing of ours may rest.

        The same conditions stand in `judge_c`, which no order gets around.
        """
        cdef const Limits* limits = &self.limits
        cdef int64_t age_ns
        if inputs.risk_state != RUNNING and inputs.risk_state != REDUCING:
            return self.refuse_c(STATE, RUNNING, inputs.risk_state)
        if inputs.book_state != BOOK_VERIFIED:
            return self.refuse_c(BOOK_UNVERIFIED, BOOK_VERIFIED, inputs.book_state)
        if inputs.stream_live != 1:
            return self.refuse_c(STREAM_DOWN, 1, inputs.stream_live)
        if (
            limits.clock_offset_ns_max < 0 or inputs.clock_offset_ns == MISSING
            or inputs.clock_offset_ns > limits.clock_offset_ns_max
            or inputs.clock_offset_ns < -limits.clock_offset_ns_max
        ):
            return self.refuse_c(CLOCK_SKEW, limits.clock_offset_ns_max, inputs.clock_offset_ns)
        age_ns = inputs.now_ns - inputs.book_recv_ns
        if (
            inputs.book_recv_ns <= 0 or limits.message_age_ns_max < 0
            or age_ns < 0 or age_ns > limits.message_age_ns_max
        ):
            return self.refuse_c(MESSAGE_AGE, limits.message_age_ns_max, age_ns)
        if inputs.reference_uticks <= 0:
            return self.refuse_c(REFERENCE_MISSING, 1, inputs.reference_uticks)
        if inputs.instrument_online != 1:
            return self.refuse_c(INSTRUMENT, 1, inputs.instrument_online)
        if (
            inputs.fills_last_minute < 0 or limits.fills_per_minute_max < 0
            or inputs.fills_last_minute > limits.fills_per_minute_max
        ):
            return self.refuse_c(FILL_BRAKE, limits.fills_per_minute_max, inputs.fills_last_minute)
        if inputs.drawdown_breached != 0:
            return self.refuse_c(DRAWDOWN, 0, inputs.drawdown_breached)
        if inputs.tape_full != 0:
            return self.refuse_c(TAPE_FULL, 0, inputs.tape_full)
        return APPROVED

    cdef bint room_lots_c(self, const RiskInputs* inputs, OrderTable table, int side, i128* lots) noexcept nogil:
        """Tell how many lots may rest on a side; False when the live orders keep to it.

        Beside the limit itself, what the position drifted by of its own accord (the target follows the
        price) is let be up to a sixty-fourth, unless the limit was tightened.
        """
        cdef i128 most, share
        cdef i128 slack = 0
        if self.hedged and table.open_lots[side] > self.hedge_lots[side]:
            lots[0] = self.hedge_lots[side]
            return True
        if self.limits.inventory_lots_max < 0 or inputs.q_lots == MISSING:
            return False
        most = <i128>self.limits.inventory_lots_max
        most = most - <i128>inputs.q_lots if side == BUY else most + <i128>inputs.q_lots
        if not self.tightened:
            slack = <i128>(self.limits.inventory_lots_max >> 6)
        if inputs.bounded == 1 and inputs.base_lots != MISSING:
            # A share that is not known holds nothing back here: nothing new passes the checks.
            share = inputs.base_lots_most if side == BUY else inputs.base_lots_least
            if share != MISSING:
                share = share - <i128>inputs.base_lots if side == BUY else <i128>inputs.base_lots - share
                if share < most:
                    most = share
                    slack = 0
        lots[0] = most if most > 0 else 0
        return <i128>table.open_lots[side] > most + slack

    cdef Reason judge_c(
        self, const Action* action, const RiskInputs* inputs, OrderTable table, Approved* out
    ) noexcept nogil:
        if self.trace != NULL:
            return judged(self, action, inputs, table, out, self.trace)
        return judged(self, action, inputs, table, out, <Quiet*>NULL)

    def __dealloc__(self):
        free(self.trace)

    # ---------------------------------------------------------------- Python face

    def follow(self):
        """Write down limit and value of each check from now on, for `followed`: a replay's, not an engine's.

        Raises:
            MemoryError: no room for it.
        """
        if self.trace == NULL:
            self.trace = <Trace*>calloc(1, sizeof(Trace))
            if self.trace == NULL:
                raise MemoryError("trace of checks")

    def followed(self):
        """Return what was written down since the last call, an action at a time.

        Returns: [((kind, seq, side, level, price_ticks), [(check, limit, value)])]; a new order has no seq yet.

        A limit or value that was missing is None. Nothing is told without `follow`.
        """
        cdef int i
        cdef Noted* noted
        cdef list found = []
        cdef list told = []
        if self.trace == NULL:
            return found
        for i in range(self.trace.count):
            noted = &self.trace.rows[i]
            if noted.check == STATE:
                told = []
                found.append(
                    (
                        (
                            noted.action.kind, noted.action.seq, noted.action.side,
                            noted.action.level, noted.action.price_ticks,
                        ),
                        told,
                    )
                )
            told.append((Reason(noted.check), known(noted.limit), known(noted.value)))
        self.trace.count = 0
        return found

    def approve(
        self, int kind, inputs, OrderTable table not None, *, int side=0, int level=0,
        int64_t price_ticks=0, int64_t qty_lots=0, uint64_t seq=0,
    ):
        """Judge one action; return the reason, and the approval or None.

        Args:
            inputs: the fields of `RiskInputs` by name; one that is absent or None is missing.

        Raises:
            ValueError: an unknown input.
        """
        cdef Action action
        cdef RiskInputs seen
        cdef Approved out
        memset(&action, 0, sizeof(Action))
        memset(&out, 0, sizeof(Approved))
        action.kind = kind
        action.side = side
        action.level = level
        action.price_ticks = price_ticks
        action.qty_lots = qty_lots
        action.seq = seq
        store_inputs(&seen, inputs)
        reason = Reason(self.approve_c(&action, &seen, table, &out))
        if out.seal == 0:
            return reason, None
        return reason, ApprovedView(
            out.seal, out.action.kind, out.action.seq, out.action.side, out.action.level,
            out.action.price_ticks, out.action.qty_lots, out.rate_cost_milli, bool(out.post_only),
        )

    def tighten(self, **limits):
        """Change limits of the running session, within those of the file.

        Raises:
            RiskError: a value looser than the file's, or a limit the file does not have.
            ValueError: an unknown limit or a value out of bounds.
        """
        unknown = set(limits) - set(LIMIT_NAMES)
        if unknown:
            raise ValueError(f"unknown limits: {sorted(unknown)}")
        hard = self.hard_limits()
        for name, value in limits.items():
            bound = hard[name]
            if bound is None or value is None:
                raise RiskError(f"{name} is not set in the file: {value!r}")
            if (value < bound) if name in LOWER_LIMITS else (value > bound):
                raise RiskError(f"{name} may not be looser than the file's {bound}: {value}")
        store_limits(&self.limits, self.current_limits() | limits)
        self.tightened = True

    def current_limits(self):
        """Return the limits in force, None for a missing one."""
        return limits_to_py(&self.limits)

    def hard_limits(self):
        """Return the limits of the file, None for a missing one."""
        return limits_to_py(&self.hard)

    def set_spec(self, spec):
        """Load the instrument; None unloads it, and everything but cancels is refused.

        Raises:
            ValueError: a field that is not positive where it must be.
        """
        memset(&self.spec, 0, sizeof(InstrumentSpec))
        if spec is None:
            return
        fields = {
            name: spec[name] if isinstance(spec, Mapping) else getattr(spec, name) for name in SPEC_NAMES
        }
        most = spec.get("qty_lots_max") if isinstance(spec, Mapping) else getattr(spec, "qty_lots_max", None)
        fields["qty_lots_max"] = LOTS_MAX if most is None else most
        for name in ("tick_points", "lot_points", "qty_lots_min", "qty_lots_max"):
            if fields[name] <= 0:
                raise ValueError(f"{name} must be positive: {fields[name]}")
        self.spec.tick_points = fields["tick_points"]
        self.spec.lot_points = fields["lot_points"]
        self.spec.qty_lots_min = fields["qty_lots_min"]
        self.spec.qty_lots_max = fields["qty_lots_max"]
        self.spec.notional_ticklots_min = i128_from_py(fields["notional_ticklots_min"])
        self.spec.price_decimals = fields["price_decimals"]
        self.spec.qty_decimals = fields["qty_decimals"]

    def hedge(self, int64_t bid_lots, int64_t ask_lots):
        """Bound what bids and asks may hold in all from now on: what a hedge elsewhere has room for.

        Raises:
            ValueError: a negative bound.
        """
        if bid_lots < 0 or ask_lots < 0:
            raise ValueError(f"a bound must not be negative: {bid_lots}, {ask_lots}")
        self.hedged = True
        self.hedge_lots[<int>BUY] = bid_lots
        self.hedge_lots[<int>SELL] = ask_lots

    def hedge_filled(self, int side, int64_t qty_lots):
        """Take a fill out of its side's bound, before anything is placed in its stead."""
        if self.hedged:
            self.hedge_lots[side] = max(<int64_t>0, self.hedge_lots[side] - qty_lots)

    @property
    def hedge_room(self):
        """Bounds of bids and asks in lots; None: nothing is hedged."""
        return (self.hedge_lots[<int>BUY], self.hedge_lots[<int>SELL]) if self.hedged else None

    def refusals(self):
        """Return how often each reason refused, those that did."""
        cdef int i
        return {Reason(i): self.refused[i] for i in range(<int>REASON_COUNT) if self.refused[i]}

    @property
    def budget(self):
        """The venue's rate counter."""
        return self.budget

    @property
    def seal(self):
        """Mark of this session's approvals."""
        return self.seal

    @property
    def approved_count(self):
        """Count of approvals."""
        return self.approved_count

    @property
    def last_reason(self):
        """Reason of the last refusal."""
        return Reason(self.last_reason)

    @property
    def last_limit(self):
        """Limit of the last refusal, None when it was missing."""
        return known(self.last_limit)

    @property
    def last_value(self):
        """Value seen at the last refusal, None when it was missing."""
        return known(self.last_value)


SPEC_NAMES = (
    "tick_points", "lot_points", "qty_lots_min", "notional_ticklots_min", "price_decimals", "qty_decimals",
)
LIMIT_NAMES = (
    "order_lots_max", "order_lots_min", "order_ticklots_max", "open_ticklots_max", "inventory_lots_max",
    "collar_ppm", "order_count_max", "message_age_ns_max", "clock_offset_ns_max", "base_reserve_lots",
    "quote_reserve_ticklots", "fills_per_minute_max", "fee_ppm",
)
LOWER_LIMITS = frozenset({"order_lots_min", "base_reserve_lots", "quote_reserve_ticklots", "fee_ppm"})
INPUT_NAMES = (
    "now_ns", "risk_state", "book_state", "stream_live", "instrument_online", "book_recv_ns",
    "clock_offset_ns", "reference_uticks", "best_bid_ticks", "best_ask_ticks", "other_bid_ticks",
    "other_ask_ticks", "q_lots", "base_lots",
    "quote_ticklots", "quote_known", "fills_last_minute", "drawdown_breached", "tape_full", "bounded",
    "base_lots_most", "base_lots_least",
)


cdef int load_cost(AgeCost* cost, int64_t fixed_milli, ages) except -1:
    cdef int i
    cdef int64_t before = 0
    if not 0 <= fixed_milli <= LEVEL_MILLI_MAX:
        raise ValueError(f"a cost must not be negative: {fixed_milli}")
    if len(ages) > BRACKETS_MAX:
        raise ValueError(f"at most {BRACKETS_MAX} ages: {len(ages)}")
    cost.fixed_milli = fixed_milli
    cost.bracket_count = <int32_t>len(ages)
    for i, (age_ns, cost_milli) in enumerate(ages):
        if age_ns <= before or not 0 <= cost_milli <= LEVEL_MILLI_MAX:
            raise ValueError(f"ages must rise and costs not be negative: {ages}")
        cost.age_ns[i] = age_ns
        cost.cost_milli[i] = cost_milli
        before = age_ns
    return 0


cdef int64_t small(str name, value) except? -1:
    """A limit as int64; None is MISSING."""
    if value is None:
        return MISSING
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return value


cdef i128 wide(str name, value) except? -1:
    if value is None:
        return <i128>MISSING
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")
    return i128_from_py(value)


cdef int store_limits(Limits* out, dict values) except -1:
    out.order_lots_max = small("order_lots_max", values["order_lots_max"])
    out.order_lots_min = small("order_lots_min", values["order_lots_min"])
    out.order_ticklots_max = wide("order_ticklots_max", values["order_ticklots_max"])
    out.open_ticklots_max = wide("open_ticklots_max", values["open_ticklots_max"])
    out.inventory_lots_max = small("inventory_lots_max", values["inventory_lots_max"])
    out.collar_ppm = small("collar_ppm", values["collar_ppm"])
    out.order_count_max = small("order_count_max", values["order_count_max"])
    out.message_age_ns_max = small("message_age_ns_max", values["message_age_ns_max"])
    out.clock_offset_ns_max = small("clock_offset_ns_max", values["clock_offset_ns_max"])
    out.base_reserve_lots = small("base_reserve_lots", values["base_reserve_lots"])
    out.quote_reserve_ticklots = wide("quote_reserve_ticklots", values["quote_reserve_ticklots"])
    out.fills_per_minute_max = small("fills_per_minute_max", values["fills_per_minute_max"])
    out.fee_ppm = small("fee_ppm", values["fee_ppm"])
    return 0


cdef dict limits_to_py(const Limits* limits):
    values = {
        "order_lots_max": limits.order_lots_max,
        "order_lots_min": limits.order_lots_min,
        "order_ticklots_max": i128_to_py(limits.order_ticklots_max),
        "open_ticklots_max": i128_to_py(limits.open_ticklots_max),
        "inventory_lots_max": limits.inventory_lots_max,
        "collar_ppm": limits.collar_ppm,
        "order_count_max": limits.order_count_max,
        "message_age_ns_max": limits.message_age_ns_max,
        "clock_offset_ns_max": limits.clock_offset_ns_max,
        "base_reserve_lots": limits.base_reserve_lots,
        "quote_reserve_ticklots": i128_to_py(limits.quote_reserve_ticklots),
        "fills_per_minute_max": limits.fills_per_minute_max,
        "fee_ppm": limits.fee_ppm,
    }
    return {name: None if value == MISSING else value for name, value in values.items()}


cdef int store_inputs(RiskInputs* out, inputs) except -1:
    """Copy inputs; an absent one takes the value that means missing."""
    unknown = set(inputs) - set(INPUT_NAMES)
    if unknown:
        raise ValueError(f"unknown inputs: {sorted(unknown)}")
    seen = {name: value for name, value in inputs.items() if value is not None}
    out.now_ns = seen.get("now_ns", MISSING)
    out.risk_state = seen.get("risk_state", 0)
    out.book_state = seen.get("book_state", 0)
    out.stream_live = seen.get("stream_live", 0)
    out.instrument_online = seen.get("instrument_online", 0)
    out.book_recv_ns = seen.get("book_recv_ns", MISSING)
    out.clock_offset_ns = seen.get("clock_offset_ns", MISSING)
    out.reference_uticks = seen.get("reference_uticks", MISSING)
    out.best_bid_ticks = seen.get("best_bid_ticks", MISSING)
    out.best_ask_ticks = seen.get("best_ask_ticks", MISSING)
    out.other_bid_ticks = seen.get("other_bid_ticks", MISSING)
    out.other_ask_ticks = seen.get("other_ask_ticks", MISSING)
    out.q_lots = seen.get("q_lots", MISSING)
    out.base_lots = seen.get("base_lots", MISSING)
    out.quote_ticklots = i128_from_py(seen.get("quote_ticklots", MISSING))
    out.quote_known = seen.get("quote_known", 0)
    out.fills_last_minute = seen.get("fills_last_minute", -1)
    out.drawdown_breached = seen.get("drawdown_breached", -1)
    out.tape_full = seen.get("tape_full", -1)
    out.bounded = seen.get("bounded", -1)
    out.base_lots_most = seen.get("base_lots_most", MISSING)
    out.base_lots_least = seen.get("base_lots_least", MISSING)
    return 0
