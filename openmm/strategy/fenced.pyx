"""Run a compiled strategy of the user's own behind a fence, on the hot path.

It is shown a copy of the view, and asked only while anything may be quoted. Counts, prices and
quantities of its ladder are looked at before anything is done with them; then the levels are clamped
by the same rules as the grid's (post-only, own prices distinct, capped by what is held, venue
minimums). A ladder that is none quotes nothing, which cancels what is live; the engine tells of it
(`take_failures`). The parts of its price are its own and are not in the ladder.
"""

from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.quotes cimport (
    LEVELS_MAX, LOTS_MAX, TICKS_MAX, Level, fence_ladder_c, ladder_clear_c, ladder_to_py, load_spec,
    quotable_c, view_from_py,
)
from openmm._fast.units cimport ASK, BID

from openmm.strategy.failure import Failures


cdef int side_fault_c(int side, int count, const Level* levels, Finding* out) noexcept nogil:
    """Find the first level of a side that is out of bounds or out of order."""
    cdef int64_t price_ticks, last_ticks
    cdef int i
    last_ticks = 0
    for i in range(count):
        price_ticks = levels[i].price_ticks
        out.side = side
        out.index = i
        out.price_ticks = price_ticks
        out.qty_lots = levels[i].qty_lots
        if not 0 < price_ticks <= TICKS_MAX or not 0 < levels[i].qty_lots <= LOTS_MAX:
            return FAULT_BOUNDS
        if i > 0 and (price_ticks >= last_ticks if side == BID else price_ticks <= last_ticks):
            return FAULT_ORDER
        last_ticks = price_ticks
    return FAULT_NONE


cdef int ladder_fault_c(int answer, const Ladder* ladder, Finding* out) noexcept nogil:
    """Find what makes a ladder none; nothing in it is trusted before it was looked at."""
    cdef int bids = ladder.count[<int>BID]
    cdef int asks = ladder.count[<int>ASK]
    cdef int fault
    if answer != 1:
        out.index = answer
        return FAULT_ANSWER
    if not 0 <= bids <= LEVELS_MAX or not 0 <= asks <= LEVELS_MAX:
        out.side = ASK if 0 <= bids <= LEVELS_MAX else BID
        out.index = ladder.count[out.side]
        return FAULT_COUNT
    fault = side_fault_c(BID, bids, &ladder.levels[<int>BID][0], out)
    if fault == FAULT_NONE:
        fault = side_fault_c(ASK, asks, &ladder.levels[<int>ASK][0], out)
    if fault != FAULT_NONE:
        return fault
    if bids > 0 and asks > 0 \
            and ladder.levels[<int>BID][0].price_ticks >= ladder.levels[<int>ASK][0].price_ticks:
        out.price_ticks = ladder.levels[<int>BID][0].price_ticks
        return FAULT_CROSSED
    return FAULT_NONE


@final
cdef class FencedStrategy(Strategy):
    """Ask a compiled strategy for its ladder, and let nothing through that may not be quoted.

    Args:
        instrument: steps and minimums of the pair (`openmm.instrument.Instrument`).
        strategy: an instance of a class that fills in `openmm._fast.ports.Strategy`.
    """

    def __cinit__(self, instrument, Strategy strategy not None):
        load_spec(instrument, &self.spec)
        self.strategy = strategy
        memset(&self.finding, 0, sizeof(Finding))

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        cdef int answer
        cdef int fault
        ladder_clear_c(out)
        if not quotable_c(view):
            return 0
        self.view = view[0]
        answer = self.strategy.quote_c(&self.view, out)
        if answer == 0:
            ladder_clear_c(out)
            self.row = 0
            return 0
        fault = ladder_fault_c(answer, out, &self.finding)
        if fault != FAULT_NONE:
            ladder_clear_c(out)
            self.finding.fault = fault
            self.error_count += 1
            self.row += 1
            if self.row > self.row_most:
                self.row_most = self.row
            return 0
        self.row = 0
        return fence_ladder_c(view, &self.spec, out)

    cdef int one_sided_c(self) noexcept nogil:
        return self.strategy.one_sided_c()

    def take_failures(self):
        """Return what failed since the last look (`failure.Failures`), None when nothing did."""
        cdef Finding* found = &self.finding
        cdef int fault = found.fault
        if self.error_count == self.error_count_told:
            return None
        side = "bids" if found.side == BID else "asks"
        level = f"level {found.index + 1} of the {side}, {found.price_ticks} ticks {found.qty_lots} lots"
        kind, text = {
            FAULT_ANSWER: ("answer", f"quote_c() must return 1 or 0, not {found.index}"),
            FAULT_COUNT: ("count", f"{found.index} {side}: from 0 to {LEVELS_MAX}"),
            FAULT_BOUNDS: ("bounds", f"{level}: out of bounds"),
            FAULT_ORDER: ("order", f"{level}: levels must stand best first at distinct prices"),
            FAULT_CROSSED: ("crossed", f"a ladder that crosses itself at {found.price_ticks} ticks"),
        }[fault]
        failures = Failures(self.error_count - self.error_count_told, self.row_most, kind, text)
        self.error_count_told = self.error_count
        self.row_most = self.row
        return failures

    def forgive(self):
        """Count failures in a row anew."""
        self.row = self.row_most = 0

    def quote(self, view):
        """Make the ladder of one view, as the pipeline does.

        Args:
            view: every field of `quotes.MarketView` by name (those of `quotes.QUIET` may be left out).

        Returns:
            (1 to quote or 0, ladder as a dict).
        """
        cdef MarketView view_ = view_from_py(view)
        cdef Ladder ladder
        cdef int quoting
        memset(&ladder, 0, sizeof(Ladder))
        quoting = self.quote_c(&view_, &ladder)
        return quoting, ladder_to_py(&ladder)
