"""What Avellaneda-Stoikov and GLFT have in common: their inputs, and the ladder from what they come to.

A model gives a half-spread and a shift of the centre per order held. It is solved in floats, in a
fixed order and with our own exponential and logarithm, when its inputs moved: volatility and reference
count to eight binary places. What it comes to is rounded to integers in one place, `settle_c`; the rest
of a ladder is integers. So a ladder is a pure function of view, parameters, instrument and one-sided
state, and what is kept between two ladders only saves time. Formulas: docs/strategy.md, "GLFT and
Avellaneda-Stoikov". Executable specification: tests/oracles/optimal.py.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.leans cimport lean_c, lean_from_py, lean_half_c
from openmm._fast.quotes cimport (
    CLAMP_FEE_FLOOR, CLAMP_JUMP, CLAMP_SPREAD_MAX, CLAMP_SPREAD_MIN, capped_c, ladder_clear_c,
    ladder_to_py, load_spec, part_c, part_up_c, quotable_c, view_from_py,
)
from openmm._fast.shape cimport place_ladder_c, shape_from_py, shaped_c, sides_c
from openmm._fast.units cimport PPM, floor_div, log_c, mul_div

cdef enum:
    STEPS = 64              # in which the time left falls, where it does

cdef double UTICKS_MAX = 4.0e18     # what a model comes to stays below


cdef extern from * nogil:
    """
    /* Keep eight significant bits of a value above 0, rounded to the nearest. */
    static inline int64_t openmm_rounded(int64_t value) {
        int shift;
        if (value < 256) return value;
        shift = 56 - __builtin_clzll((unsigned long long)value);
        return ((value + (INT64_C(1) << (shift - 1))) >> shift) << shift;
    }
    """
    int64_t rounded_c "openmm_rounded"(int64_t value)


cdef double log_share_c(double w) noexcept nogil:
    cdef double one = 1.0 + w
    if one == 1.0:
        return 1.0
    # The rounding of 1 + w cancels: both terms see the same one (Kahan's log1p).
    return log_c(one) / (one - 1.0)


cdef inline int64_t quantised_c(double value) noexcept nogil:
    return <int64_t>(value + 0.5) if 0.0 <= value < UTICKS_MAX else <int64_t>UTICKS_MAX


cdef double told_shift_c(const ModelParams* params, const Inputs* inputs) noexcept nogil:
    return (
        <double>inputs.reference_uticks * (<double>params.skew_full_ppm / PPM)
        * (<double>params.shape.order_lots / <double>params.scale_lots)
    )


cdef void settle_c(
    const ModelParams* params, double base, double shift, double ratio, Solved* out
) noexcept nogil:
    cdef double factor = <double>params.half_factor_ppm / PPM
    cdef double full = shift * (<double>params.scale_lots / <double>params.shape.order_lots)
    out.base_uticks = quantised_c(base * factor)
    out.risk_half_uticks = quantised_c(shift / 2.0 * factor)
    out.skew_full_uticks = quantised_c(full * (<double>params.skew_factor_ppm / PPM))
    out.risk_uticks = quantised_c(<double>out.inputs.decay_uticks / ratio)


cdef inline bint inputs_c(
    const MarketView* view, const ModelParams* params, bint arrivals, Inputs* out
) noexcept nogil:
    """Gather the inputs; 0 while the intensity is neither fitted nor given."""
    cdef int64_t reference = rounded_c(view.reference_uticks)
    cdef int64_t step_ns
    out.sigma_uticks = rounded_c(view.sigma_uticks)
    out.decay_uticks = view.decay_uticks
    out.arrival_uhz = view.arrival_uhz if arrivals else 0
    if out.decay_uticks <= 0 or view.arrival_uhz <= 0:
        # Both are of one fit, or neither.
        out.decay_uticks = params.prior_decay_uticks
        if out.decay_uticks == 0:
            out.decay_uticks = part_c(reference, params.prior_decay_ppm)
        out.arrival_uhz = params.prior_arrival_uhz if arrivals else 0
    if out.decay_uticks <= 0 or (arrivals and out.arrival_uhz <= 0):
        return False
    out.reference_uticks = reference if params.risk_uticks == 0 else 0
    out.left_ns = params.horizon_ns
    if params.repeating:
        # Horizons follow one another from the epoch on; the last step is never over.
        step_ns = floor_div(params.horizon_ns, STEPS)
        out.left_ns = params.horizon_ns - floor_div(view.now_ns % params.horizon_ns, step_ns) * step_ns
        if out.left_ns < step_ns:
            out.left_ns = step_ns
    return True


cdef int model_ladder_c(
    const MarketView* view, const ModelParams* params, const InstrumentSpec* spec, Solve solve,
    bint arrivals, Solved* solved, int* one_sided, Ladder* out,
) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t x_ppm, x_abs, fee, half, half_min, half_max
    cdef Inputs inputs
    cdef bint bids, asks

    ladder_clear_c(out)
    if not quotable_c(view) or not shaped_c(&params.shape):
        return 0
    if not inputs_c(view, params, arrivals, &inputs):
        return 0
    if (
        inputs.sigma_uticks != solved.inputs.sigma_uticks
        or inputs.decay_uticks != solved.inputs.decay_uticks
        or inputs.arrival_uhz != solved.inputs.arrival_uhz
        or inputs.reference_uticks != solved.inputs.reference_uticks
        or inputs.left_ns != solved.inputs.left_ns
    ):
        solved.inputs = inputs
        solved.left_ppm = PPM if inputs.left_ns == params.horizon_ns else mul_div(
            inputs.left_ns, PPM, params.horizon_ns
        )
        solve(params, solved)

    # Centre. Long shifts both quotes down, short up; so do the signals, each its own way.
    x_ppm = sides_c(view, &params.shape, one_sided, &bids, &asks, out)
    x_abs = x_ppm if x_ppm >= 0 else -x_ppm
    if params.risk_uticks == 0:
        out.skew_uticks = part_c(part_c(reference, params.skew_full_ppm), x_abs)
        if solved.left_ppm != PPM:
            out.skew_uticks = part_c(out.skew_uticks, solved.left_ppm)
    else:
        out.skew_uticks = part_c(capped_c(solved.skew_full_uticks, reference >> 1), x_abs)
    if x_ppm > 0:
        out.skew_uticks = -out.skew_uticks
    out.centre_uticks = reference + out.skew_uticks + lean_c(view, &params.lean, out)

    # Half-spread. No term counts for more than the reference itself, which keeps the sum in range.
    if params.fee_floor_ppm >= 0:
        fee = part_up_c(reference, params.fee_floor_ppm)
    else:
        fee = -part_c(reference, -params.fee_floor_ppm)
    out.half_base_uticks = capped_c(solved.base_uticks, reference)
    out.widen_sigma_uticks = capped_c(solved.risk_half_uticks, reference)
    half = out.half_base_uticks + out.widen_sigma_uticks
    if fee > half:
        out.half_base_uticks += fee - half
        half = fee
        out.clamps |= CLAMP_FEE_FLOOR
    half += lean_half_c(view, &params.lean, out)
    half_min = part_c(reference, params.half_min_ppm)
    half_max = part_c(reference, params.half_max_ppm)
    if half_min < 1:
        half_min = 1
    if half < half_min:
        half = half_min
        out.clamps |= CLAMP_SPREAD_MIN
    if half > half_max and half_max >= half_min:
        half = half_max
        out.clamps |= CLAMP_SPREAD_MAX
    elif half < half_max and part_c(reference, view.jump_ppm) > out.half_base_uticks + out.widen_sigma_uticks:
        # The fair value leapt past our own quotes: nobody knows yet where it will stand.
        half = half_max
        out.clamps |= CLAMP_JUMP
    out.half_uticks = half
    return place_ladder_c(view, &params.shape, spec, bids, asks, fee, out)


# -------------------------------------------------------------------- Python face

cdef ModelParams model_from_py(object fields) except *:
    """Fill parameters from plain values, every field by name."""
    cdef ModelParams made
    memset(&made, 0, sizeof(ModelParams))
    lean_from_py(fields, &made.lean)
    shape_from_py(fields, &made.shape)
    made.risk_uticks = fields["risk_uticks"]
    made.skew_full_ppm = fields["skew_full_ppm"]
    made.scale_lots = fields["scale_lots"]
    made.half_factor_ppm = fields["half_factor_ppm"]
    made.skew_factor_ppm = fields["skew_factor_ppm"]
    made.xi_ppm = fields.get("xi_ppm", 0)
    made.horizon_ns = fields.get("horizon_ns", 0)
    made.repeating = fields.get("repeating", 0)
    made.prior_decay_ppm = fields["prior_decay_ppm"]
    made.prior_decay_uticks = fields["prior_decay_uticks"]
    made.prior_arrival_uhz = fields.get("prior_arrival_uhz", 0)
    made.fee_floor_ppm = fields["fee_floor_ppm"]
    made.half_min_ppm = fields["half_min_ppm"]
    made.half_max_ppm = fields["half_max_ppm"]
    return made


cdef dict solved_to_py(const Solved* solved):
    return {
        "sigma_uticks": solved.inputs.sigma_uticks,
        "decay_uticks": solved.inputs.decay_uticks,
        "arrival_uhz": solved.inputs.arrival_uhz,
        "left_ns": solved.inputs.left_ns,
        "base_uticks": solved.base_uticks,
        "risk_half_uticks": solved.risk_half_uticks,
        "skew_full_uticks": solved.skew_full_uticks,
        "risk_uticks": solved.risk_uticks,
    }


cdef object ladder_of(
    object view, object params, object instrument, int one_sided, Solve solve, bint arrivals
):
    """Compute one ladder from plain values: (quoting, one-sided state after, ladder, what was solved)."""
    cdef MarketView view_ = view_from_py(view)
    cdef ModelParams params_ = model_from_py(params)
    cdef InstrumentSpec spec
    cdef Ladder ladder
    cdef Solved solved
    cdef int quoting
    memset(&ladder, 0, sizeof(Ladder))
    memset(&solved, 0, sizeof(Solved))
    load_spec(instrument, &spec)
    quoting = model_ladder_c(&view_, &params_, &spec, solve, arrivals, &solved, &one_sided, &ladder)
    return quoting, one_sided, ladder_to_py(&ladder), solved_to_py(&solved)
