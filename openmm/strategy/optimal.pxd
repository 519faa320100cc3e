# What Avellaneda-Stoikov and GLFT have in common: inputs, what the model comes to, and the ladder from it.
from libc.stdint cimport int64_t

from openmm._fast.leans cimport LeanParams
from openmm._fast.quotes cimport Ladder, MarketView
from openmm._fast.shape cimport ShapeParams
from openmm._fast.units cimport InstrumentSpec

cdef struct ModelParams:
    LeanParams lean
    ShapeParams shape
    int64_t risk_uticks            # 1 / (gamma * order size); 0: follows from skew_full_ppm
    int64_t skew_full_ppm          # shift of the centre at x = 1, of price, where no gamma is given
    int64_t scale_lots             # inventory at x = 1
    int64_t half_factor_ppm
    int64_t skew_factor_ppm
    int64_t xi_ppm                 # GLFT: xi over gamma
    int64_t horizon_ns             # Avellaneda-Stoikov
    int64_t repeating              # 1: time left falls over each horizon; 0: it is always the whole one
    int64_t prior_decay_ppm        # of price; used until there is a fit
    int64_t prior_decay_uticks     # the same as a distance, where it is not 0
    int64_t prior_arrival_uhz
    int64_t fee_floor_ppm          # maker fee of one side plus min edge, less the fee budget
    int64_t half_min_ppm
    int64_t half_max_ppm

cdef struct Inputs:                # of a model, rounded to what makes a difference
    int64_t sigma_uticks
    int64_t decay_uticks
    int64_t arrival_uhz            # 0: the model has none
    int64_t reference_uticks       # 0: the model has none, a gamma is given
    int64_t left_ns                # time left; 0: the model has none

cdef struct Solved:                # what a model comes to
    Inputs inputs
    int64_t left_ppm               # of the horizon
    int64_t base_uticks            # half-spread without volatility
    int64_t risk_half_uticks       # half-spread from volatility: half the shift for one order
    int64_t skew_full_uticks       # shift of the centre at x = 1
    int64_t risk_uticks            # 1 / (gamma * order size)

ctypedef void (*Solve)(const ModelParams*, Solved*) noexcept nogil

# Pure: (view, params, spec, one_sided state) -> ladder. `solved` is what was solved last: the model is
# solved again when its inputs moved. Returns 1 when quoting, 0 when it must not (ladder empty).
cdef int model_ladder_c(
    const MarketView* view, const ModelParams* params, const InstrumentSpec* spec, Solve solve, bint arrivals,
    Solved* solved, int* one_sided, Ladder* out
) noexcept nogil

# Write what a model comes to, from floats in uticks, quantised: the shift for one order, and gamma * size / k.
cdef void settle_c(const ModelParams* params, double base, double shift, double ratio, Solved* out) noexcept nogil
# The shift for one order that a full one of `skew_full_ppm` means, in uticks.
cdef double told_shift_c(const ModelParams* params, const Inputs* inputs) noexcept nogil
# ln(1 + w) / w; 1 at 0.
cdef double log_share_c(double w) noexcept nogil

cdef ModelParams model_from_py(object fields) except *
cdef dict solved_to_py(const Solved* solved)
cdef object ladder_of(object view, object params, object instrument, int one_sided, Solve solve, bint arrivals)
