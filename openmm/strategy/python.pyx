"""Run a strategy written in Python behind the compiled port: view out, quotes in, fenced.

What it returns is checked and then clamped by the same rules as the grid's levels (post-only, own
prices distinct, capped by what is held, venue minimums). An exception or a bad ladder quotes nothing,
which cancels what is live; it is kept in `last_error`, and told by the engine (`take_failures`).

What it answers is an input, for no replay can make it anew: an answer other than the last one goes
on the tape, with the number of the call that gave it, ahead of what follows from it.
"""

from cpython.exc cimport PyErr_SetInterrupt
from cpython.number cimport PyNumber_Index
from cpython.ref cimport PyObject
from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.quotes cimport (
    LEVELS_MAX, fence_ladder_c, ladder_clear_c, ladder_to_py, load_spec, quotable_c, view_from_py,
)
from openmm._fast.tape cimport REC_STRATEGY, Tape
from openmm._fast.units cimport ASK, BID

from openmm.strategy.failure import Failures, describe
from openmm.strategy.quotes import Quotes
from openmm.strategy.recorded import NOTHING as _NOTHING, encode

# Of this module's own: a name of Python's would be looked up in each call.
cdef bytes NOTHING = _NOTHING

cdef enum:
    OWN_REFERENCES = 2      # the adapter's attribute, and the argument that is looked at

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

    @property
    def now_ns(self):
        """Time of the decision, UTC."""
        return self.fields.now_ns

    @property
    def reference_uticks(self):
        """Fair price of the quoted pair."""
        return self.fields.reference_uticks

    @property
    def confidence_ppm(self):
        """How well the reference is known: 1 to 1,000,000."""
        return self.fields.confidence_ppm

    @property
    def best_bid_ticks(self):
        """Best bid of others on the quoted book."""
        return self.fields.best_bid_ticks

    @property
    def best_ask_ticks(self):
        """Best ask of others."""
        return self.fields.best_ask_ticks

    @property
    def own_bid_ticks(self):
        """Our best live bid, 0 for none."""
        return self.fields.own_bid_ticks

    @property
    def own_ask_ticks(self):
        """Our best live ask, 0 for none."""
        return self.fields.own_ask_ticks

    @property
    def sigma_uticks(self):
        """Volatility per square root of a second."""
        return self.fields.sigma_uticks

    @property
    def depth_lots(self):
        """Depth of the thinner side."""
        return self.fields.depth_lots

    @property
    def depth_mean_lots(self):
        """Its slow mean."""
        return self.fields.depth_mean_lots

    @property
    def spread_mean_uticks(self):
        """Slow mean of the spread."""
        return self.fields.spread_mean_uticks

    @property
    def flow_ppm(self):
        """Who aggresses: -1,000,000 all sell, 1,000,000 all buy."""
        return self.fields.flow_ppm

    @property
    def x_ppm(self):
        """Inventory off target over its scale."""
        return self.fields.x_ppm

    @property
    def share_ppm(self):
        """Share of base in all that is held."""
        return self.fields.share_ppm

    @property
    def target_ppm(self):
        """The share that is wanted."""
        return self.fields.target_ppm

    @property
    def base_lots(self):
        """Base that may be sold."""
        return self.fields.base_lots

    @property
    def quote_lots_max(self):
        """Base that the free quote buys at the reference."""
        return self.fields.quote_lots_max

    @property
    def jump_ppm(self):
        """How far the fair value jumped a moment ago, of price."""
        return self.fields.jump_ppm

    @property
    def micro_ppm(self):
        """Size-weighted price less the mid, of price."""
        return self.fields.micro_ppm

    @property
    def imbalance_ppm(self):
        """Depth of bids less asks over both."""
        return self.fields.imbalance_ppm

    @property
    def ofi_ppm(self):
        """Order-flow imbalance over the usual depth."""
        return self.fields.ofi_ppm

    @property
    def compression_ppm(self):
        """1 - spread over its mean."""
        return self.fields.compression_ppm

    @property
    def q_lots(self):
        """Inventory off target."""
        return self.fields.q_lots

    @property
    def decay_uticks(self):
        """Distance at which a quote fills e times less often, 0: not fitted."""
        return self.fields.decay_uticks

    @property
    def arrival_uhz(self):
        """Fills a second at no distance, in millionths, 0: not fitted."""
        return self.fields.arrival_uhz

    @property
    def hanging_bids(self):
        """Levels whose bid hangs beside the ladder, a bit each; of strategies that let orders hang."""
        return self.fields.hanging_bids

    @property
    def hanging_asks(self):
        """Levels whose ask hangs beside the ladder, a bit each; of strategies that let orders hang."""
        return self.fields.hanging_asks

    @property
    def allow_bid(self):
        """Whether risk lets bids be quoted at all."""
        return self.fields.allow_bid == 1

    @property
    def allow_ask(self):
        """Whether risk lets asks be quoted at all."""
        return self.fields.allow_ask == 1


cdef inline bint kept(View last) noexcept:
    """Tell whether somebody else holds the view of the last call."""
    return last is None or (<PyObject*>last).ob_refcnt > OWN_REFERENCES


cdef list levels_to_py(const Ladder* ladder, int side):
    """Return the levels of one side, as they go on the tape."""
    return [
        (ladder.levels[side][i].price_ticks, ladder.levels[side][i].qty_lots)
        for i in range(ladder.count[side])
    ]


ctypedef int (*Ask)(PythonStrategy self, const MarketView* view, Ladder* out) noexcept nogil


@final
cdef class PythonStrategy(Strategy):
    """Ask a Python object for quotes.

    Args:
        instrument: steps and minimums of the pair (`openmm.instrument.Instrument`).
        quoter: an object with `quote(view) -> Quotes | None` (`openmm.strategy.quotes.Quoter`). It is
            asked only while quoting is possible: reference known, signals warm, market not crossed.
        tape: takes what it answers; None: nobody replays it.
    """

    def __cinit__(self, instrument, quoter, Tape tape=None):
        if not callable(getattr(quoter, "quote", None)):
            raise TypeError(f"a strategy needs a method quote(view): {quoter!r}")
        load_spec(instrument, &self.spec)
        self.quoter = quoter
        self.ask = quoter.quote
        self.tape = tape
        self.told = b""
        self.last_error = None

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        ladder_clear_c(out)
        if not quotable_c(view):
            return 0
        if (<Ask>ask_c)(self, view, out) == 0:
            out.count[<int>BID] = 0
            out.count[<int>ASK] = 0
            return 0
        return fence_ladder_c(view, &self.spec, out)

    cdef int tell_c(self, int64_t now_ns, bytes answer) except -1:
        """Put an answer on the tape if it is not the last one again."""
        if answer == self.told:
            return 0
        self.told = answer
        if self.tape is not None:
            self.tape.append(REC_STRATEGY, 0, now_ns, b"%d %s" % (self.call_count, answer))
        return 0

    cdef int take_c(self, object quotes, Ladder* out) except -1:
        """Copy the levels, each checked; what it holds is asked for once."""
        if not isinstance(quotes, Quotes):
            raise TypeError(f"quote() must return Quotes or None: {type(quotes).__name__}")
        self.fill_c(out, BID, quotes.bids)
        self.fill_c(out, ASK, quotes.asks)
        if out.count[<int>BID] and out.count[<int>ASK] \
                and out.levels[<int>BID][0].price_ticks >= out.levels[<int>ASK][0].price_ticks:
            raise ValueError(
                "quotes cross themselves: "
                f"bid {out.levels[<int>BID][0].price_ticks}, ask {out.levels[<int>ASK][0].price_ticks}"
            )
        return 1

    cdef int fill_c(self, Ladder* out, int side, object levels) except -1:
        """Copy the levels of one side, each checked."""
        cdef int64_t price_ticks, qty_lots
        cdef int64_t last_ticks = 0
        cdef int n = 0
        for price, qty in levels:
            # Not by its length: a sequence of the user's own may tell another one.
            if n == LEVELS_MAX:
                raise ValueError(f"more than {LEVELS_MAX} levels a side")
            # A float would be cut to an integer without a word.
            price_ticks = PyNumber_Index(price)
            qty_lots = PyNumber_Index(qty)
            if not 0 < price_ticks <= TICKS_MAX or not 0 < qty_lots <= LOTS_MAX:
                raise ValueError(f"level out of bounds: {(price, qty)}")
            if n > 0 and (price_ticks >= last_ticks if side == BID else price_ticks <= last_ticks):
                raise ValueError(
                    "levels must stand best first at distinct prices: "
                    f"{price_ticks} after {last_ticks}"
                )
            last_ticks = price_ticks
            out.levels[side][n].price_ticks = price_ticks
            out.levels[side][n].qty_lots = qty_lots
            n += 1
        out.count[side] = n
        return 0

    def take_failures(self):
        """Return what failed since the last look (`failure.Failures`), None when nothing did."""
        if self.error_count == self.error_count_told:
            return None
        kind, text = describe(self.last_error)
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


# Every caller of `quote_c` holds the interpreter lock, as the pipeline does: to ask for it again would
# cost a third of an empty strategy's call. So the function that needs it is called as one that does not.
cdef int ask_c(PythonStrategy self, const MarketView* view, Ladder* out) noexcept:
    """Call the quoter, tell the tape, copy its levels; 1 when there are any, 0 when it wants none."""
    cdef int wanted = 0
    cdef object quotes = None
    self.call_count += 1
    try:
        if kept(self.view):
            self.view = View.__new__(View)
        self.view.fields = view[0]
        quotes = self.ask(self.view)
        if quotes is None:
            if self.told is not NOTHING:
                self.tell_c(view.now_ns, NOTHING)
            self.row = 0
            return 0
        wanted = self.take_c(quotes, out)
        # What was taken, not what would be read of the answer a second time.
        self.tell_c(view.now_ns, encode(levels_to_py(out, BID), levels_to_py(out, ASK)))
    except BaseException as error:
        # User code at the engine's edge: no quotes, and the error stays visible. A SystemExit let
        # through here would end the process with its orders open.
        if isinstance(error, KeyboardInterrupt):
            PyErr_SetInterrupt()    # not the strategy's: whoever waits for it gets it again
        self.tell_c(view.now_ns, NOTHING)
        self.last_error = error
        self.error_count += 1
        self.row += 1
        if self.row > self.row_most:
            self.row_most = self.row
        return 0
    self.row = 0
    return wanted
