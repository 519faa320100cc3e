"""The grid strategy: a ladder of quotes around the reference, shaded and widened. See docs/strategy.md."""

from cython cimport final

from libc.string cimport memset

from openmm._fast.quotes cimport grid_ladder_c, ladder_to_py, load_spec, view_from_py
from openmm._fast.units cimport isqrt

from openmm.strategy.parameters import GridParameters


@final
cdef class GridStrategy(Strategy):
    """Quote `num_orders` levels a side around the reference.

    Args:
        instrument: steps and minimums of the pair (`openmm.instrument.Instrument`).
        params: what the ladder is made from; may be replaced at any time, the next ladder follows it.
    """

    def __cinit__(self, instrument, params):
        load_spec(instrument, &self.spec)
        self.params = params

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        return grid_ladder_c(view, &self.grid, &self.spec, &self.one_sided, out)

    cdef int one_sided_c(self) noexcept nogil:
        return self.one_sided

    @property
    def params(self):
        """Parameters of the next ladder; set a whole `GridParameters` to change them live."""
        return self.parameters

    @params.setter
    def params(self, value):
        cdef GridParams grid
        if not isinstance(value, GridParameters):
            raise TypeError(f"params must be GridParameters: {value!r}")
        grid = dict(value.fields(), rest_root_ppm=isqrt(value.rest_ns * 1000))
        self.grid = grid
        self.parameters = value

    @property
    def one_sided(self):
        """Side quoted alone to bring inventory back: 1 asks, -1 bids, 0 both."""
        return self.one_sided

    def quote(self, view):
        """Make the ladder of one view, as the pipeline does; the one-sided state moves with it.

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
