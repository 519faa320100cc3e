"""The leans: what each signal shifts the centre by, and what it adds to the spread.

Magnitudes are floored and signed after, so that opposite inputs give mirrored quotes. Every shift
stands in the ladder; one whose weight is 0 costs a branch. Formulas: docs/strategy.md. Executable specification: tests/oracles/quotes.py.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.quotes cimport (
    CLAMP_FLOW, CLAMP_IMBALANCE, CLAMP_MICRO, CLAMP_OFI, QuoteClamp, ladder_to_py, part_c, view_from_py,
)
from openmm._fast.units cimport PPM

LEAN_FIELDS = (
    "flow_full_ppm", "micro_weight_ppm", "micro_cap_ppm", "imbalance_full_ppm", "ofi_full_ppm",
    "compression_full_ppm",
)


cdef inline int64_t shift_c(
    int64_t reference_uticks, int64_t full_ppm, int64_t signal_ppm, QuoteClamp clamp, Ladder* out
) noexcept nogil:
    """Give the shift by a signal within [-1, 1], `full_ppm` of price at its ends; beyond them, say so."""
    cdef int64_t size_ppm = PPM
    if signal_ppm >= PPM or signal_ppm <= -PPM:
        out.clamps |= clamp
    else:
        size_ppm = signal_ppm if signal_ppm >= 0 else -signal_ppm
    size_ppm = part_c(part_c(reference_uticks, full_ppm), size_ppm)
    return size_ppm if signal_ppm >= 0 else -size_ppm


cdef int64_t lean_c(const MarketView* view, const LeanParams* params, Ladder* out) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t shift, cap
    out.flow_uticks = shift_c(reference, params.flow_full_ppm, view.flow_ppm, CLAMP_FLOW, out)
    shift = out.flow_uticks
    if params.micro_weight_ppm:
        # The distance is no share of anything: the cap alone bounds it.
        cap = part_c(reference, params.micro_cap_ppm)
        if -PPM < view.micro_ppm < PPM:
            out.micro_uticks = part_c(
                part_c(reference, view.micro_ppm if view.micro_ppm >= 0 else -view.micro_ppm),
                params.micro_weight_ppm,
            )
        else:
            out.micro_uticks = cap + 1
        if out.micro_uticks > cap:
            out.micro_uticks = cap
            out.clamps |= CLAMP_MICRO
        if view.micro_ppm < 0:
            out.micro_uticks = -out.micro_uticks
        shift += out.micro_uticks
    if params.imbalance_full_ppm:
        out.imbalance_uticks = shift_c(
            reference, params.imbalance_full_ppm, view.imbalance_ppm, CLAMP_IMBALANCE, out
        )
        shift += out.imbalance_uticks
    if params.ofi_full_ppm:
        out.ofi_uticks = shift_c(reference, params.ofi_full_ppm, view.ofi_ppm, CLAMP_OFI, out)
        shift += out.ofi_uticks
    return shift


cdef int64_t lean_half_c(const MarketView* view, const LeanParams* params, Ladder* out) noexcept nogil:
    cdef int64_t size_ppm
    if params.compression_full_ppm == 0:
        return 0
    # Twice the usual spread, or wider, counts as the full widening: no clamp worth a word.
    size_ppm = PPM
    if -PPM < view.compression_ppm < PPM:
        size_ppm = view.compression_ppm if view.compression_ppm >= 0 else -view.compression_ppm
    size_ppm = part_c(part_c(view.reference_uticks, params.compression_full_ppm), size_ppm)
    out.widen_compression_uticks = -size_ppm if view.compression_ppm >= 0 else size_ppm
    return out.widen_compression_uticks


# -------------------------------------------------------------------- Python face

cdef int lean_from_py(object params, LeanParams* out) except -1:
    out.flow_full_ppm = params["flow_full_ppm"]
    out.micro_weight_ppm = params["micro_weight_ppm"]
    out.micro_cap_ppm = params["micro_cap_ppm"]
    out.imbalance_full_ppm = params["imbalance_full_ppm"]
    out.ofi_full_ppm = params["ofi_full_ppm"]
    out.compression_full_ppm = params["compression_full_ppm"]
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
