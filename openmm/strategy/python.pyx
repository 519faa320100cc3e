"""Run a strategy written in Python behind the compiled port: view out, quotes in, fenced.

What it returns is checked and then clamped by the same rules as the grid's levels (post-only, own
prices distinct, capped by what is held, venue minimums). An exception or a bad ladder quotes nothing,
which cancels what is live, and is kept in `last_error`.
"""

from cpython.number cimport PyNumber_Index
from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.quotes cimport (
    LEVELS_MAX, fence_ladder_c, ladder_clear_c, ladder_to_py, load_spec, quotable_c, view_from_py,
)
from openmm._fast.units cimport ASK, BID

from openmm.strategy.quotes import Quotes

cdef int64_t TICKS_MAX = <int64_t>1 << 40
cdef int64_t LOTS_MAX = <int64_t>1 << 52


@final
cdef class View:
    """The market as a strategy sees it, own quantity taken off; all integers, all known.

    The fields are those of `quotes.MarketView`: `reference_uticks` is a price in millionths of a
    tick, `x_ppm` the inventory off target over its scale, `flow_ppm` who aggresses.
    """

    def __init__(self):
        raise TypeError("a View is made by the engine")


cdef View make_view(const MarketView* view):
    cdef View made = View.__new__(View)
    made.now_ns = view.now_ns
    made.reference_uticks = view.reference_uticks
    made.confidence_ppm = view.confidence_ppm
    made.best_bid_ticks = view.best_bid_ticks
    made.best_ask_ticks = view.best_ask_ticks
    made.own_bid_ticks = view.own_bid_ticks
    made.own_ask_ticks = view.own_ask_ticks
    made.sigma_uticks = view.sigma_uticks
    made.depth_lots = view.depth_lots
    made.depth_mean_lots = view.depth_mean_lots
    made.spread_mean_uticks = view.spread_mean_uticks
    made.flow_ppm = view.flow_ppm
    made.x_ppm = view.x_ppm
    made.share_ppm = view.share_ppm
    made.target_ppm = view.target_ppm
    made.base_lots = view.base_lots
    made.quote_lots_max = view.quote_lots_max
    made.jump_ppm = view.jump_ppm
    made.micro_ppm = view.micro_ppm
    made.imbalance_ppm = view.imbalance_ppm
    made.ofi_ppm = view.ofi_ppm
    made.compression_ppm = view.compression_ppm
    made.q_lots = view.q_lots
    made.decay_uticks = view.decay_uticks
    made.arrival_uhz = view.arrival_uhz
    made.allow_bid = view.allow_bid == 1
    made.allow_ask = view.allow_ask == 1
    return made


@final
cdef class PythonStrategy(Strategy):
    """Ask a Python object for quotes.

    Args:
        instrument: steps and minimums of the pair (`openmm.instrument.Instrument`).
        quoter: an object with `quote(view) -> Quotes | None` (`openmm.strategy.quotes.Quoter`). It is
            asked only while quoting is possible: reference known, signals warm, market not crossed.
    """

    def __cinit__(self, instrument, quoter):
        if not callable(getattr(quoter, "quote", None)):
            raise TypeError(f"a strategy needs a method quote(view): {quoter!r}")
        load_spec(instrument, &self.spec)
        self.quoter = quoter
        self.last_error = None

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        ladder_clear_c(out)
        if not quotable_c(view):
            return 0
        with gil:
            self.call_count += 1
            try:
                if self.ask_c(view, out) == 0:
                    ladder_clear_c(out)
                    return 0
            except Exception as error:
                # User code at the engine's edge: no quotes, and the error stays visible.
                ladder_clear_c(out)
                self.last_error = error
                self.error_count += 1
                return 0
        return fence_ladder_c(view, &self.spec, out)

    cdef int ask_c(self, const MarketView* view, Ladder* out) except -1:
        """Call the quoter and copy its levels; 1 when there are any, 0 when it wants none."""
        quotes = self.quoter.quote(make_view(view))
        if quotes is None:
            return 0
        if not isinstance(quotes, Quotes):
            raise TypeError(f"quote() must return Quotes or None: {quotes!r}")
        self.fill_c(out, BID, quotes.bids)
        self.fill_c(out, ASK, quotes.asks)
        if out.count[<int>BID] and out.count[<int>ASK] \
                and out.levels[<int>BID][0].price_ticks >= out.levels[<int>ASK][0].price_ticks:
            raise ValueError(f"quotes cross themselves: {quotes!r}")
        return 1

    cdef int fill_c(self, Ladder* out, int side, object levels) except -1:
        """Copy the levels of one side, each checked."""
        cdef int64_t price_ticks, qty_lots
        cdef int64_t last_ticks = 0
        cdef int n = 0
        if len(levels) > LEVELS_MAX:
            raise ValueError(f"at most {LEVELS_MAX} levels a side: {len(levels)}")
        for price, qty in levels:
            # A float would be cut to an integer without a word.
            price_ticks = PyNumber_Index(price)
            qty_lots = PyNumber_Index(qty)
            if not 0 < price_ticks <= TICKS_MAX or not 0 < qty_lots <= LOTS_MAX:
                raise ValueError(f"level out of bounds: {(price, qty)}")
            if n > 0 and (price_ticks >= last_ticks if side == BID else price_ticks <= last_ticks):
                raise ValueError(f"levels must stand best first at distinct prices: {levels!r}")
            last_ticks = price_ticks
            out.levels[side][n].price_ticks = price_ticks
            out.levels[side][n].qty_lots = qty_lots
            n += 1
        out.count[side] = n
        return 0

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
