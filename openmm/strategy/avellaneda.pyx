"""Avellaneda-Stoikov: quotes around a reservation price, over a horizon. See docs/strategy.md.

Avellaneda and Stoikov, Quantitative Finance 8(3), 2008, equations 3.17 and 3.18, for orders of size D. In
uticks, per order held, u = gamma*D/k and tau the time left:

    shift = gamma*D * sigma**2 * tau            (reservation price: reference - shift per order)
    half  = (1/k) * ln(1 + u) / u + shift/2     (half of the optimal spread)

The decay k of the intensity is live (`_fast.intensity`), or configured until there is a fit. Where the
shift at full inventory is given instead of gamma, gamma is what gives it with the whole horizon left.
"""

from cython cimport final

from libc.string cimport memset

from openmm._fast.quotes cimport ladder_to_py, load_spec, view_from_py
from openmm.strategy.optimal cimport (
    ladder_of, log_share_c, model_from_py, model_ladder_c, settle_c, solved_to_py, told_shift_c,
)

from openmm.strategy.model_parameters import AvellanedaParameters

cdef double RISK_MIN = 1.0          # 1/(gamma*D) in uticks: no more averse than that
cdef double RISK_MAX = 1.0e18


cdef void solve_avellaneda_c(const ModelParams* params, Solved* out) noexcept nogil:
    cdef double sigma = <double>out.inputs.sigma_uticks
    cdef double decay = <double>out.inputs.decay_uticks
    cdef double seconds = <double>params.horizon_ns / 1.0e9
    cdef double left = <double>out.inputs.left_ns / <double>params.horizon_ns
    cdef double risk = <double>params.risk_uticks
    cdef double shift, ratio
    if params.risk_uticks > 0:
        shift = sigma * sigma * seconds / risk
    else:
        shift = told_shift_c(params, &out.inputs)
        risk = RISK_MAX
        if shift > 0.0:
            risk = min(max(sigma * sigma * seconds / shift, RISK_MIN), RISK_MAX)
    ratio = decay / risk
    settle_c(params, decay * log_share_c(ratio), shift * left, ratio, out)


@final
cdef class AvellanedaStrategy(Strategy):
    """Quote `num_orders` levels a side around the reference, the first where the model has it.

    Args:
        instrument: steps and minimums of the pair (`openmm.instrument.Instrument`).
        params: what the ladder is made from; may be replaced at any time, the next ladder follows it.
    """

    def __cinit__(self, instrument, params):
        load_spec(instrument, &self.spec)
        self.params = params

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        return model_ladder_c(
            view, &self.model, &self.spec, solve_avellaneda_c, False, &self.solved, &self.one_sided, out
        )

    cdef int one_sided_c(self) noexcept nogil:
        return self.one_sided

    @property
    def params(self):
        """Parameters of the next ladder; set a whole `AvellanedaParameters` to change them live."""
        return self.parameters

    @params.setter
    def params(self, value):
        if not isinstance(value, AvellanedaParameters):
            raise TypeError(f"params must be AvellanedaParameters: {value!r}")
        self.model = model_from_py(value.fields())
        memset(&self.solved, 0, sizeof(Solved))
        self.parameters = value

    @property
    def one_sided(self):
        """Side quoted alone to bring inventory back: 1 asks, -1 bids, 0 both; set after a restart."""
        return self.one_sided

    @one_sided.setter
    def one_sided(self, value):
        if value not in (-1, 0, 1):
            raise ValueError(f"one_sided must be -1, 0 or 1: {value!r}")
        self.one_sided = value

    @property
    def solved(self):
        """What the model came to last, and from what: see `optimal.Solved`; zeros before that."""
        return solved_to_py(&self.solved)

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


def avellaneda_ladder(view, params, instrument, int one_sided=0):
    """Compute one ladder from plain values: the kernel as tests, previews and tools call it.

    Args:
        view: every field of MarketView by name; those of `quotes.QUIET` may be left out.
        params: every field of `AvellanedaParameters` by name.
        instrument: steps and minimums.
        one_sided: state before: 1 only asks, -1 only bids, 0 both.

    Returns:
        (1 to quote or 0, state after, ladder as a dict, what the model came to as a dict).
    """
    return ladder_of(view, params, instrument, one_sided, solve_avellaneda_c, False)
