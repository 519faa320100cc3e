"""The grid strategy: a ladder of quotes around the reference, shaded and widened. See docs/strategy.md.

The ladder is a pure function of view, parameters, instrument and state, on integers. The state
follows from earlier views and from fills alone: whether one side is quoted, what the spread narrows
from, which levels wait. Executable specification: tests/oracles/quotes.py.
"""

from cython cimport final

from libc.stdint cimport INT64_MAX, int64_t, uint32_t
from libc.string cimport memset

from openmm._fast.leans cimport lean_c, lean_from_py, lean_half_c
from openmm._fast.orders cimport LANE_HANGING
from openmm._fast.quotes cimport (
    CLAMP_FEE_FLOOR, CLAMP_JUMP, CLAMP_NARROW, CLAMP_SPREAD_MAX, CLAMP_SPREAD_MIN, OFF_ASKS,
    OFF_BIDS, capped_c, ladder_clear_c, ladder_to_py, load_spec, part_c, part_up_c, quotable_c,
    view_from_py,
)
from openmm._fast.shape cimport place_ladder_c, shape_from_py, shaped_c, sides_c
from openmm._fast.units cimport ASK, BID, BUY, PPM, floor_div, isqrt, mul_div

from openmm.strategy.parameters import GridParameters

cdef enum:
    DEPTH_RATIO_CAP = 3     # mean/depth - 1 counts up to this
    ROOT_NS = 1000          # isqrt(rest_ns * 1000) is the root of the seconds in millionths
    NS_PER_S = 1000000000
    DAY_S = 86400
    NARROW_LOOK_NS = 250000000      # a spread that narrows is looked at this often


cdef inline int64_t day_ns_c(int64_t now_ns) noexcept nogil:
    """Give the time of day, UTC."""
    return now_ns % (<int64_t>DAY_S * NS_PER_S)


cdef int64_t window_ppm_c(const GridParams* params, int64_t now_ns, bint* quiet) noexcept nogil:
    """Give what the widest of the windows open now adds, and whether one keeps quiet."""
    cdef int i
    cdef int64_t at = floor_div(day_ns_c(now_ns), NS_PER_S)
    cdef int64_t widen_ppm = 0
    cdef const Window* window
    for i in range(params.window_count):
        window = &params.windows[i]
        if window.from_s <= at < window.to_s or (
            window.from_s > window.to_s and (at >= window.from_s or at < window.to_s)
        ):
            widen_ppm = max(widen_ppm, window.widen_ppm)
            quiet[0] |= window.quiet == 1
    return widen_ppm


cdef int grid_ladder_c(
    const MarketView* view, const GridParams* params, const InstrumentSpec* spec, GridState* state,
    Ladder* out,
) noexcept nogil:
    cdef int64_t reference = view.reference_uticks
    cdef int64_t x_ppm, x_abs, fee, half, half_min, half_max, ratio_ppm, line
    cdef int64_t widen_ppm = 0
    cdef bint bids, asks
    cdef bint quiet = False

    ladder_clear_c(out)
    if not quotable_c(view) or not shaped_c(&params.shape):
        return 0
    if params.window_count:
        widen_ppm = window_ppm_c(params, view.now_ns, &quiet)
        if quiet:
            return 0
    out.held[<int>BID] = state.held[<int>BID]
    out.held[<int>ASK] = state.held[<int>ASK]

    # Centre. Long shifts both quotes down, short up; so do the signals, each its own way.
    x_ppm = sides_c(view, &params.shape, &state.one_sided, &bids, &asks, out)
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
    if widen_ppm:
        out.widen_schedule_uticks = part_c(reference, widen_ppm)
        half += out.widen_schedule_uticks
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
    if params.narrow_ppm:
        # Widens at once, and narrows along a line from where it was widest.
        out.anchor_uticks = state.anchor_uticks
        out.anchor_ns = state.anchor_ns
        line = state.anchor_uticks - mul_div(
            part_c(reference, params.narrow_ppm), max(0, view.now_ns - state.anchor_ns), NS_PER_S
        )
        if half >= line:
            state.anchor_uticks = half
            state.anchor_ns = view.now_ns
        else:
            if half_max >= half_min:
                line = capped_c(line, half_max)
            if line > half:
                out.widen_held_uticks = line - half
                half = line
                out.clamps |= CLAMP_NARROW
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
    grid.narrow_ppm = fields["narrow_ppm"]
    grid.refill_ns = fields["refill_ns"]
    grid.ping_pong = fields["ping_pong"]
    windows = fields["schedule"]
    if len(windows) > WINDOWS_MAX:
        raise ValueError(f"a schedule has at most {WINDOWS_MAX} windows: {len(windows)}")
    for from_s, to_s, widen_ppm, quiet in windows:
        grid.windows[grid.window_count].from_s = from_s
        grid.windows[grid.window_count].to_s = to_s
        grid.windows[grid.window_count].widen_ppm = widen_ppm
        grid.windows[grid.window_count].quiet = quiet
        grid.window_count += 1
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
        self.wake_ns = INT64_MAX
        self.params = params

    cdef int quote_c(self, const MarketView* view, Ladder* out) noexcept nogil:
        cdef int quoting
        if self.holds:
            self.hold_c(view)
        quoting = grid_ladder_c(view, &self.grid, &self.spec, &self.state, out)
        if self.holds and out.sides_off != self.sides_off and out.centre_uticks != 0:
            # With a side off nothing waits for its fills, then or when it is back: the other one is to
            # bring inventory back, and its fills were not this side's turn.
            self.sides_off = out.sides_off
            if out.sides_off & OFF_ASKS:
                self.waiting[<int>BID] = 0
            if out.sides_off & OFF_BIDS:
                self.waiting[<int>ASK] = 0
            self.hold_c(view)
            quoting = grid_ladder_c(view, &self.grid, &self.spec, &self.state, out)
        self.quoted[<int>BID] = out.quoted[<int>BID]
        self.quoted[<int>ASK] = out.quoted[<int>ASK]
        self.wake_ns = INT64_MAX
        if self.holds or self.grid.window_count or out.widen_held_uticks:
            self.plan_wake_c(view, out)
        return quoting

    cdef int one_sided_c(self) noexcept nogil:
        return self.state.one_sided

    cdef int64_t wake_c(self) noexcept nogil:
        return self.wake_ns

    cdef void hold_c(self, const MarketView* view) noexcept nogil:
        """Say which levels wait: for a time, for the other side's fill, or for what hangs in their place."""
        cdef int side, level
        cdef uint32_t held
        for side in range(2):
            held = self.waiting[side]
            if self.hanging:
                held |= <uint32_t>(view.hanging_bids if side == BID else view.hanging_asks)
            if self.grid.refill_ns:
                for level in range(self.grid.shape.num_orders):
                    if view.now_ns < self.until_ns[side][level]:
                        held |= (<uint32_t>1) << level
            self.state.held[side] = held

    cdef void plan_wake_c(self, const MarketView* view, const Ladder* ladder) noexcept nogil:
        """Find when the next ladder may differ though the market stands still."""
        cdef int side, level, i
        cdef int64_t wake_ns = INT64_MAX
        cdef int64_t day_ns = day_ns_c(view.now_ns)
        cdef int64_t ahead_ns
        cdef const Window* window
        if self.grid.refill_ns:
            for side in range(2):
                for level in range(self.grid.shape.num_orders):
                    if view.now_ns < self.until_ns[side][level] < wake_ns:
                        wake_ns = self.until_ns[side][level]
        if ladder.widen_held_uticks:
            wake_ns = min(wake_ns, view.now_ns + NARROW_LOOK_NS)
        for i in range(2 * self.grid.window_count):
            window = &self.grid.windows[i >> 1]
            ahead_ns = (window.to_s if i & 1 else window.from_s) * <int64_t>NS_PER_S - day_ns
            if ahead_ns <= 0:
                ahead_ns += <int64_t>DAY_S * NS_PER_S
            wake_ns = min(wake_ns, view.now_ns + ahead_ns)
        self.wake_ns = wake_ns

    cdef int filled_c(
        self, int side, int level, int64_t lots, bint done, int64_t now_ns, int* other
    ) noexcept nogil:
        cdef int at = BID if side == BUY else ASK
        cdef int across = ASK if at == BID else BID
        cdef bint hung = level >= LANE_HANGING
        cdef uint32_t bit
        cdef int64_t whole_lots
        if not self.holds:
            return 0
        if hung:
            level -= LANE_HANGING
        if not 0 <= level < LEVELS_MAX:
            return 0
        # A level is filled when its order is, or when fills of orders topped up come to as much.
        whole_lots = self.grid.shape.level_lots[level] if self.grid.shape.sized else self.grid.shape.order_lots
        self.filled_lots[at][level] += lots
        if not done and self.filled_lots[at][level] < whole_lots:
            return 0
        self.filled_lots[at][level] = 0
        bit = (<uint32_t>1) << level
        if self.grid.refill_ns:
            self.until_ns[at][level] = now_ns + self.grid.refill_ns
        if self.grid.ping_pong:
            if not self.sides_off & (OFF_BIDS if across == BID else OFF_ASKS):
                self.waiting[at] |= bit
            self.waiting[across] &= ~bit
        if hung or not self.hanging or not self.quoted[across] & bit:
            return 0
        other[0] = level
        return LANE_HANGING + level

    @property
    def params(self):
        """Parameters of the next ladder; set a whole `GridParameters` to change them live."""
        return self.parameters

    @params.setter
    def params(self, value):
        if not isinstance(value, GridParameters):
            raise TypeError(f"params must be GridParameters: {value!r}")
        fields = value.fields()
        self.grid = grid_from_py(fields)
        self.hanging = fields["hanging"] == 1
        self.hanging_ns_max = fields["hanging_ns_max"]
        self.hanging_distance_ppm = fields["hanging_distance_ppm"]
        self.holds = self.hanging or self.grid.ping_pong == 1 or self.grid.refill_ns > 0
        # What is switched off keeps nothing back any more.
        for side in range(2):
            self.state.held[side] = 0
            if not self.grid.ping_pong:
                self.waiting[side] = 0
        if not self.grid.narrow_ppm:
            self.state.anchor_uticks = 0
        self.parameters = value

    @property
    def one_sided(self):
        """Side quoted alone to bring inventory back: 1 asks, -1 bids, 0 both; set after a restart."""
        return self.state.one_sided

    @one_sided.setter
    def one_sided(self, value):
        if value not in (-1, 0, 1):
            raise ValueError(f"one_sided must be -1, 0 or 1: {value!r}")
        self.state.one_sided = value

    @property
    def state(self):
        """What the next ladder depends on beside its view: `one_sided`, `held`, `anchor`, as `grid_ladder` takes it."""
        return {
            "one_sided": self.state.one_sided,
            "held": (self.state.held[<int>BID], self.state.held[<int>ASK]),
            "anchor": (self.state.anchor_uticks, self.state.anchor_ns),
        }

    @property
    def waits(self):
        """What fills have left: levels in ping-pong, until when levels wait, and lots of each filled."""
        return (
            [self.waiting[side] for side in range(2)],
            [self.until_ns[side][level] for side in range(2) for level in range(LEVELS_MAX)],
            [self.filled_lots[side][level] for side in range(2) for level in range(LEVELS_MAX)],
        )

    @waits.setter
    def waits(self, value):
        waiting, until_ns, filled_lots = value
        if len(waiting) != 2 or len(until_ns) != 2 * LEVELS_MAX or len(filled_lots) != 2 * LEVELS_MAX:
            raise ValueError(f"not what fills have left: {value!r}")
        cdef uint32_t levels[2]
        cdef int side, at
        for side in range(2):
            levels[side] = waiting[side]
        for one in (*until_ns, *filled_lots):
            if not isinstance(one, int) or not 0 <= one <= INT64_MAX:
                raise ValueError(f"not a moment or a quantity: {one!r}")
        for at in range(2 * LEVELS_MAX):
            self.until_ns[at // LEVELS_MAX][at % LEVELS_MAX] = until_ns[at]
            self.filled_lots[at // LEVELS_MAX][at % LEVELS_MAX] = filled_lots[at]
        for side in range(2):
            # What has been switched off since keeps nothing back.
            self.waiting[side] = levels[side] if self.grid.ping_pong else 0

    @property
    def wake_ns(self):
        """When the next ladder may differ though the market stands still; None: it does not."""
        return None if self.wake_ns == INT64_MAX else self.wake_ns

    def filled(self, int side, int level, int64_t qty_lots, *, bint done, int64_t now_ns):
        """Take a fill as the pipeline tells it; returns (lane, level of the other side's order), or None.

        Args:
            level: level of the shape that the order was made for, or the lane that it hangs in.
            done: whether the order is filled.
        """
        cdef int other = -1
        cdef int lane = self.filled_c(side, level, qty_lots, done, now_ns, &other)
        return (lane, other) if lane else None

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


def grid_ladder(view, params, instrument, int one_sided=0, *, held=(0, 0), anchor=(0, 0)):
    """Compute one ladder from plain values: the kernel as tests, `explain` and tools call it.

    Args:
        view: every field of MarketView by name; those of `quotes.QUIET` may be left out.
        params: every field of `GridParameters` by name.
        instrument: steps and minimums.
        one_sided: state before: 1 only asks, -1 only bids, 0 both.
        held: levels not to be quoted, a bit each, of bids and asks.
        anchor: half-spread (uticks) and time (ns) that narrowing began from.

    Returns:
        (1 to quote or 0, one-sided state after, ladder as a dict).
    """
    cdef MarketView view_ = view_from_py(view)
    cdef GridParams params_ = grid_from_py(params)
    cdef InstrumentSpec spec
    cdef GridState state
    cdef Ladder ladder
    cdef int quoting
    memset(&ladder, 0, sizeof(Ladder))
    load_spec(instrument, &spec)
    state.one_sided = one_sided
    state.held[<int>BID], state.held[<int>ASK] = held
    state.anchor_uticks, state.anchor_ns = anchor
    quoting = grid_ladder_c(&view_, &params_, &spec, &state, &ladder)
    return quoting, state.one_sided, ladder_to_py(&ladder)
