"""Call things many times from compiled code: what a call costs, without the loop's own Python."""

from cython cimport final

from libc.string cimport memset

from openmm._fast.ports cimport Strategy
from openmm._fast.quotes cimport LEVELS_MAX, Ladder, MarketView, view_from_py
from openmm._fast.units cimport ASK, BID


def call_bare(object function not None, object argument, Py_ssize_t n):
    """Call a Python function with one argument, n times; its answers are dropped."""
    cdef Py_ssize_t _call
    for _call in range(n):
        function(argument)


def call_strategy(Strategy strategy not None, view, Py_ssize_t n):
    """Ask a strategy for its ladder as the pipeline does, n times; return how often it quoted.

    Args:
        view: every field of `quotes.MarketView` by name (those of `quotes.QUIET` may be left out).
    """
    cdef MarketView view_ = view_from_py(view)
    cdef Ladder ladder
    cdef Py_ssize_t _call
    cdef Py_ssize_t quoted = 0
    memset(&ladder, 0, sizeof(Ladder))
    for _call in range(n):
        quoted += strategy.quote_c(&view_, &ladder)
    return quoted


@final
cdef class ToldStrategy(Strategy):
    """Answer every view with the ladder it was told, whatever is in it: to try a fence.

    Args:
        bids, asks: (price_ticks, qty_lots), at most 32 a side; nothing of them is checked.
        answer: what it returns.
        bid_count, ask_count: told in place of how many there are.
        one_sided: its state.
        spoils: write over the view it is shown, as only a bad strategy would.
    """

    def __cinit__(
        self, bids=(), asks=(), int answer=1, bid_count=None, ask_count=None, int one_sided=0,
        bint spoils=False,
    ):
        cdef int i
        self.answer = answer
        self.one_sided = one_sided
        self.spoils = spoils
        memset(&self.ladder, 0, sizeof(Ladder))
        for side, levels, count in ((BID, bids, bid_count), (ASK, asks, ask_count)):
            if len(levels) > LEVELS_MAX:
                raise ValueError(f"a ladder has room for {LEVELS_MAX} levels a side: {len(levels)}")
            for i in range(len(levels)):
                self.ladder.levels[<int>side][i].price_ticks = levels[i][0]
                self.ladder.levels[<int>side][i].qty_lots = levels[i][1]
            self.ladder.count[<int>side] = len(levels) if count is None else count

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        self.call_count += 1
        out[0] = self.ladder
        if self.spoils:
            memset(<void*>view, 0, sizeof(MarketView))
        return self.answer

    cdef int one_sided_c(self) noexcept nogil:
        return self.one_sided
