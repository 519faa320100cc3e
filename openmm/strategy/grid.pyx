"""The grid strategy: a ladder of quotes around the reference, shaded and widened. See docs/strategy.md.

The ladder is a pure function of view, parameters, instrument and one-sided state, on integers.
Executable specification: tests/oracles/quotes.py.
"""

from cython cimport final

from libc.stdint cimport int64_t
from libc.string cimport memset

from openmm._fast.leans cimport lean_c, lean_from_py, lean_half_c
from openmm._fast.quotes cimport (
    CLAMP_FEE_FLOOR, CLAMP_JUMP, CLAMP_SPREAD_MAX, CLAMP_SPREAD_MIN, capped_c, ladder_clear_c,
    ladder_to_py, load_spec, part_c, part_up_c, quotable_c, view_from_py,
)
from openmm._fast.shape cimport place_ladder_c, shape_from_py, shaped_c, sides_c
from openmm._fast.units cimport PPM, isqrt, mul_div

from openmm.strategy.parameters import GridParameters

cdef enum:
    DEPTH_RATIO_CAP = 3     # mean/depth - 1 counts up to this
    ROOT_NS = 1000          # isqrt(rest_ns * 1000) is the root of the seconds in millionths


cdef int grid_ladder_c(
    const MarketView* view, const GridParams* params, const InstrumentSpec* spec, int* one_sided,
    Ladder* out,
) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t x_ppm, x_abs, fee, half, half_min, half_max, ratio_ppm
    cdef bint bids, asks

    ladder_clear_c(out)
    if not quotable_c(view) or not shaped_c(&params.shape):
        return 0

    # Centre. Long shifts both quotes down, short up; so do the signals, each its own way.
    x_ppm = sides_c(view, &params.shape, one_sided, &bids, &asks, out)
    x_abs = x_ppm if x_ppm >= 0 else -x_ppm
    # Magnitudes are floored and signed after, so that opposite inputs give mirrored quotes.
    out.skew_uticks = part_c(part_c(reference, params.skew_full_ppm), x_abs)
    if x_ppm > 0:
        out.skew_uticks = -out.skew_uticks
    out.centre_uticks = reference + out.skew_uticks + lean_c(view, &params.lean, out)

    # Half-spread. No term counts for more than the reference itself, which keeps the sum in range.
    # The fee floor is rounded up, so below zero its magnitude is rounded down.
    if params.fee_floor_ppm >= 0:
        fee = part_up_c(reference, params.fee_floor_ppm)
    else:
        fee = -part_c(reference, -params.fee_floor_ppm)
    half = part_c(reference, params.spread_ppm) >> 1
    if fee > half:
        half = fee
        out.clamps |= CLAMP_FEE_FLOOR
    out.half_base_uticks = half
    if params.vol_ppm > 0:
        out.widen_sigma_uticks = capped_c(
            part_c(part_c(view.sigma_uticks, params.vol_ppm), params.rest_root_ppm), reference
        )
    if params.depth_ppm > 0 and view.depth_mean_lots >= view.depth_lots:
        if view.depth_mean_lots - view.depth_lots >= DEPTH_RATIO_CAP * view.depth_lots:
            ratio_ppm = DEPTH_RATIO_CAP * PPM
        else:
            ratio_ppm = mul_div(view.depth_mean_lots - view.depth_lots, PPM, view.depth_lots)
        out.widen_depth_uticks = capped_c(part_c(part_c(reference, params.depth_ppm), ratio_ppm), reference)
    out.widen_inventory_uticks = part_c(part_c(reference, params.inventory_widen_ppm), x_abs)
    half += out.widen_sigma_uticks + out.widen_depth_uticks + out.widen_inventory_uticks
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
    elif half < half_max and part_c(reference, view.jump_ppm) > out.half_base_uticks:
        # The fair value leapt past our own quotes: nobody knows yet where it will stand.
        half = half_max
        out.clamps |= CLAMP_JUMP
    out.half_uticks = half
    return place_ladder_c(view, &params.shape, spec, bids, asks, fee, out)


cdef GridParams grid_from_py(object fields) except *:
    """Fill parameters from plain values, every field by name."""
    cdef GridParams grid
    memset(&grid, 0, sizeof(GridParams))
    lean_from_py(fields, &grid.lean)
    shape_from_py(fields, &grid.shape)
    grid.spread_ppm = fields["spread_ppm"]
    grid.skew_full_ppm = fields["skew_full_ppm"]
    grid.vol_ppm = fields["vol_ppm"]
    grid.rest_ns = fields["rest_ns"]
    grid.rest_root_ppm = isqrt(grid.rest_ns * ROOT_NS)
    grid.depth_ppm = fields["depth_ppm"]
    grid.inventory_widen_ppm = fields["inventory_widen_ppm"]
    grid.fee_floor_ppm = fields["fee_floor_ppm"]
    grid.half_min_ppm = fields["half_min_ppm"]
    grid.half_max_ppm = fields["half_max_ppm"]
    return grid


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
        if not isinstance(value, GridParameters):
            raise TypeError(f"params must be GridParameters: {value!r}")
        self.grid = grid_from_py(value.fields())
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


def grid_ladder(view, params, instrument, int one_sided=0):
    """Compute one ladder from plain values: the kernel as tests, `explain` and tools call it.

    Args:
        view: every field of MarketView by name; those of `QUIET` may be left out.
        params: every field of `GridParameters` by name.
        instrument: steps and minimums.
        one_sided: state before: 1 only asks, -1 only bids, 0 both.

    Returns:
        (1 to quote or 0, state after, ladder as a dict).
    """
    cdef MarketView view_ = view_from_py(view)
    cdef GridParams params_ = grid_from_py(params)
    cdef InstrumentSpec spec
    cdef Ladder ladder
    cdef int quoting
    memset(&ladder, 0, sizeof(Ladder))
    load_spec(instrument, &spec)
    quoting = grid_ladder_c(&view_, &params_, &spec, &one_sided, &ladder)
    return quoting, one_sided, ladder_to_py(&ladder)
