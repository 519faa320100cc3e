"""GLFT: quotes around the reference for an endless horizon and a limited inventory. See docs/strategy.md.

Gueant, "Optimal market making", arXiv 1605.01862, equations for exponential intensities; with xi = gamma
and one unit an order they are those of arXiv 1105.3115. Per order of size D, in uticks, u = gamma*D/k and
w = xi*D/k:

    base  = c1          = (1/k) * ln(1 + w) / w
    shift = D*sigma*c2  = sigma * sqrt(u / (2*A) * (1 + w)**(1 + 1/w))
    half  = base + shift/2

The intensity A*exp(-k*d) is live (`_fast.intensity`), or configured until there is a fit. Where the shift
at full inventory is given instead of gamma, u is what gives that shift.
"""

from cython cimport final

from libc.math cimport sqrt
from libc.string cimport memset

from openmm._fast.quotes cimport ladder_to_py, load_spec, view_from_py
from openmm._fast.units cimport PPM, exp_c, log_c
from openmm.strategy.optimal cimport (
    ladder_of, log_share_c, model_from_py, model_ladder_c, settle_c, solved_to_py, told_shift_c,
)

from openmm.strategy.model_parameters import GlftParameters

cdef enum:
    NEWTON = 8              # steps: the function is close to straight, five do

cdef double RATIO_LOG = 40.0        # |ln(gamma*D/k)| stays within


cdef inline double ratio_c(double xi, double goal) noexcept nogil:
    """Solve ln u + (1 + 1/w) * ln(1 + w) = goal with w = xi*u for u: Newton on v = ln u.

    The left side rises with v by 1 to 2 everywhere, so that a step is never far off.
    """
    cdef double v = (goal - 1.0) if goal < 2.0 else goal / 2.0
    cdef double u = 1.0
    cdef double w, share
    cdef int _step
    for _step in range(NEWTON):
        v = min(max(v, -RATIO_LOG), RATIO_LOG)
        u = exp_c(v)
        w = xi * u
        share = log_share_c(w)
        v -= (v + (1.0 + w) * share - goal) / (2.0 - share)
    return exp_c(min(max(v, -RATIO_LOG), RATIO_LOG))


cdef void solve_glft_c(const ModelParams* params, Solved* out) noexcept nogil:
    cdef double sigma = <double>out.inputs.sigma_uticks
    cdef double decay = <double>out.inputs.decay_uticks
    cdef double arrival = <double>out.inputs.arrival_uhz / 1.0e6
    cdef double xi = <double>params.xi_ppm / PPM
    cdef double shift = 0.0
    cdef double ratio, w, share
    if params.risk_uticks > 0:
        ratio = decay / <double>params.risk_uticks
    else:
        shift = told_shift_c(params, &out.inputs)
        if shift <= 0.0:
            ratio = exp_c(-RATIO_LOG)
        else:
            # Without any volatility no gamma is large enough: one utick stands for none.
            ratio = shift / (sigma if sigma >= 1.0 else 1.0)
            ratio = ratio_c(xi, log_c(2.0 * arrival * ratio * ratio))
    w = xi * ratio
    share = log_share_c(w)
    if params.risk_uticks > 0:
        shift = sigma * sqrt(ratio / (2.0 * arrival)) * exp_c((1.0 + w) * share / 2.0)
    settle_c(params, decay * share, shift, ratio, out)


@final
cdef class GlftStrategy(Strategy):
    """Quote `num_orders` levels a side around the reference, the first where GLFT has it.

    Args:
        instrument: steps and minimums of the pair (`openmm.instrument.Instrument`).
        params: what the ladder is made from; may be replaced at any time, the next ladder follows it.
    """

    def __cinit__(self, instrument, params):
        load_spec(instrument, &self.spec)
        self.params = params

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        return model_ladder_c(
            view, &self.model, &self.spec, solve_glft_c, True, &self.solved, &self.one_sided, out
        )

    cdef int one_sided_c(self) noexcept nogil:
        return self.one_sided

    @property
    def params(self):
        """Parameters of the next ladder; set a whole `GlftParameters` to change them live."""
        return self.parameters

    @params.setter
    def params(self, value):
        if not isinstance(value, GlftParameters):
            raise TypeError(f"params must be GlftParameters: {value!r}")
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


def glft_ladder(view, params, instrument, int one_sided=0):
    """Compute one ladder from plain values: the kernel as tests, previews and tools call it.

    Args:
        view: every field of MarketView by name; those of `quotes.QUIET` may be left out.
        params: every field of `GlftParameters` by name.
        instrument: steps and minimums.
        one_sided: state before: 1 only asks, -1 only bids, 0 both.

    Returns:
        (1 to quote or 0, state after, ladder as a dict, what the model came to as a dict).
    """
    return ladder_of(view, params, instrument, one_sided, solve_glft_c, True)
