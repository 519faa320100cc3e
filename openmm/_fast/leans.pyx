"""The leans: what each signal shifts the centre by, and what it adds to the spread.

Magnitudes are floored and signed after, so that opposite inputs give mirrored quotes. Every shift
stands in the ladder. Formulas: docs/strategy.md. Executable specification: tests/oracles/quotes.py.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.quotes cimport CLAMP_FLOW, ladder_to_py, part_c, view_from_py
from openmm._fast.units cimport PPM

LEAN_FIELDS = ("flow_full_ppm",)


cdef int64_t lean_c(const MarketView* view, const LeanParams* params, Ladder* out) noexcept nogil:
    cdef int64_t flow_ppm = view.flow_ppm
    if flow_ppm >= PPM:
        flow_ppm = PPM
        out.clamps |= CLAMP_FLOW
    elif flow_ppm <= -PPM:
        flow_ppm = -PPM
        out.clamps |= CLAMP_FLOW
    out.flow_uticks = part_c(
        part_c(view.reference_uticks, params.flow_full_ppm), flow_ppm if flow_ppm >= 0 else -flow_ppm
    )
    if flow_ppm < 0:
        out.flow_uticks = -out.flow_uticks
    return out.flow_uticks


cdef int64_t lean_half_c(const MarketView* view, const LeanParams* params, Ladder* out) noexcept nogil:
    out.widen_compression_uticks = 0
    return 0


# -------------------------------------------------------------------- Python face

cdef int lean_from_py(object params, LeanParams* out) except -1:
    out.flow_full_ppm = params["flow_full_ppm"]
    return 0


def lean(view, params):
    """Compute what the signals shift and widen, from plain values.

    Args:
        view: every field of MarketView by name; those of `quotes.QUIET` may be left out.
        params: every field of LeanParams by name; others beside them do not matter.

    Returns:
        (shift of the centre, widening of the half-spread, ladder with the parts), in uticks.
    """
    cdef MarketView view_ = view_from_py(view)
    cdef LeanParams params_
    cdef Ladder ladder
    cdef int64_t shift, widen
    memset(&ladder, 0, sizeof(Ladder))
    lean_from_py(params, &params_)
    shift = lean_c(&view_, &params_, &ladder)
    widen = lean_half_c(&view_, &params_, &ladder)
    return shift, widen, ladder_to_py(&ladder)
