"""What we hold: balances, position against target, average cost, realised P&L of the traded pair.

The book-keeping is exact. A fill that reduces the position takes its share of the cost basis with it,
rounded down to a ticklot, and what rounding leaves stays in the basis: at any moment
``realised - cost`` is the cash that the fills moved, to the last ticklot, and a position that is
closed leaves no cost behind. Specification: tests/oracles/inventory.py.
"""

from cython cimport final
from libc.stdint cimport int64_t

from openmm._fast.units cimport (
    BUY, MISSING, PPM, SELL, UTICKS, floor_div_wide, i128, i128_from_py, i128_to_py, mul_div,
    saturate, ticklots,
)

cdef enum:
    TOTAL_BITS_MAX = 106
    TOTAL_SHIFT = 24

# Of a group: products with a target or a lot stay inside 127 bits.
GROUP_ATOMS_MAX = 1267650600228229401496703205376   # 2**100
LOT_ATOMS_MAX = 1099511627776                        # 2**40


cdef inline i128 share_of(i128 whole, int64_t part_lots, int64_t all_lots) noexcept nogil:
    """floor(whole * part / all), without a product beyond 127 bits; 0 < part <= all."""
    cdef i128 each = floor_div_wide(whole, <i128>all_lots)
    cdef i128 rest = whole - each * <i128>all_lots
    return each * <i128>part_lots + floor_div_wide(rest * <i128>part_lots, <i128>all_lots)


@final
cdef class Inventory:
    """Follow balances and the session's position.

    Args:
        target_ppm: wanted share of the base asset in total value.
        scale_lots: distance from target at which the skew is full.

    Raises:
        ValueError: a target outside [0, 1e6] or a scale that is not positive.
    """

    def __cinit__(self, *, int64_t target_ppm, int64_t scale_lots):
        if not 0 <= target_ppm <= PPM:
            raise ValueError(f"target_ppm must be in [0, {PPM}]: {target_ppm}")
        if scale_lots <= 0:
            raise ValueError(f"scale_lots must be positive: {scale_lots}")
        self.target_ppm = target_ppm
        self.scale_lots = scale_lots
        self.base_lots = MISSING
        self.quote_cap_ticklots = -1
        self.unmark_c()

    # ---------------------------------------------------------------- C face

    cdef void fill_c(self, int side, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        """Book a fill into position and P&L, and into the balances once they are known."""
        cdef i128 paid = ticklots(price_ticks, qty_lots)
        cdef int sign = 1 if side == BUY else -1
        if (side != BUY and side != SELL) or price_ticks <= 0 or qty_lots <= 0:
            return
        self.book_c(sign, price_ticks, qty_lots)
        if self.base_lots != MISSING:
            self.base_lots += sign * qty_lots
        if self.quote_known:
            if sign > 0:
                self.quote_ticklots -= paid
            else:
                self.quote_ticklots += paid
        self.stale = True

    cdef void book_c(self, int sign, int64_t price_ticks, int64_t qty_lots) noexcept nogil:
        """Change position, cost and realised P&L."""
        cdef int64_t held = self.position_lots if self.position_lots >= 0 else -self.position_lots
        cdef int64_t closing = 0
        cdef i128 basis, flow
        if self.position_lots != 0 and (self.position_lots > 0) != (sign > 0):
            closing = qty_lots if qty_lots < held else held
            basis = share_of(self.cost_ticklots, closing, held)
            flow = ticklots(price_ticks, closing)
            self.cost_ticklots -= basis
            # Selling a long takes the flow in; buying a short back pays it out.
            if sign > 0:
                self.realised_ticklots -= flow + basis
            else:
                self.realised_ticklots += flow - basis
        flow = ticklots(price_ticks, qty_lots - closing)
        if sign > 0:
            self.cost_ticklots += flow
        else:
            self.cost_ticklots -= flow
        self.position_lots += sign * qty_lots

    cdef void fee_c(self, i128 ticklots_) noexcept nogil:
        """Book a fee charged in quote; negative for a rebate."""
        self.fees_ticklots += ticklots_
        if self.quote_known:
            self.quote_ticklots -= ticklots_
        self.stale = True

    cdef void mark_c(self, int64_t reference_uticks) noexcept nogil:
        cdef i128 base_value, total, shifted, target_lots
        if reference_uticks == self.mark_uticks and not self.stale:
            return
        self.stale = False
        self.mark_uticks = reference_uticks
        if reference_uticks <= 0 or self.base_lots == MISSING or not self.quote_known:
            self.unmark_c()
            return
        # In ticklots x UTICKS.
        base_value = (<i128>self.base_lots) * (<i128>reference_uticks)
        total = self.quote_ticklots * <i128>UTICKS + base_value
        self.equity_ticklots = self.quote_ticklots + floor_div_wide(base_value, <i128>UTICKS)
        if total <= 0:
            # Nothing to balance: any inventory is off target by all of itself.
            self.share_ppm = 0
            self.q_lots = self.base_lots
        else:
            if total >> TOTAL_BITS_MAX:
                # A value no market has: keep the products inside 127 bits.
                base_value >>= TOTAL_SHIFT
                shifted = total >> TOTAL_SHIFT
            else:
                shifted = total
            target_lots = floor_div_wide(share_of(total, self.target_ppm, reference_uticks), <i128>PPM) \
                if self.target_ppm else 0
            self.q_lots = saturate(<i128>self.base_lots - target_lots)
            self.share_ppm = saturate(floor_div_wide(base_value * <i128>PPM, shifted))
        if self.q_lots >= self.scale_lots:
            self.x_ppm = PPM
        elif self.q_lots <= -self.scale_lots:
            self.x_ppm = -PPM
        else:
            self.x_ppm = mul_div(self.q_lots, PPM, self.scale_lots)
        if self.grouped:
            self.mark_group_c(total)

    cdef void mark_group_c(self, i128 total) noexcept nogil:
        """Measure the group's base against its target; `total` is our own, in ticklots x UTICKS."""
        cdef i128 value = self.others_value_atoms
        cdef i128 q_atoms
        if total > 0:
            value += floor_div_wide(total, <i128>self.mark_uticks) * <i128>self.lot_atoms
        q_atoms = (
            <i128>self.base_lots * <i128>self.lot_atoms + self.others_base_atoms
            - floor_div_wide(value * <i128>self.group_target_ppm, <i128>PPM)
        )
        self.group_q_lots = saturate(
            floor_div_wide(q_atoms, <i128>self.lot_atoms) if q_atoms >= 0
            else -floor_div_wide(-q_atoms, <i128>self.lot_atoms)
        )
        if q_atoms >= self.group_scale_atoms:
            self.group_x_ppm = PPM
        elif q_atoms <= -self.group_scale_atoms:
            self.group_x_ppm = -PPM
        else:
            self.group_x_ppm = <int64_t>floor_div_wide(q_atoms * <i128>PPM, self.group_scale_atoms)

    cdef void unmark_c(self) noexcept nogil:
        self.q_lots = MISSING
        self.x_ppm = MISSING
        self.group_q_lots = MISSING
        self.group_x_ppm = MISSING
        self.share_ppm = MISSING
        self.equity_ticklots = <i128>MISSING

    # ---------------------------------------------------------------- Python face

    def retarget(self, *, int64_t target_ppm, int64_t scale_lots):
        """Aim at another share of the base asset, or scale the distance from it otherwise.

        Raises:
            ValueError: a target outside [0, 1e6] or a scale that is not positive; nothing is changed.
        """
        if not 0 <= target_ppm <= PPM:
            raise ValueError(f"target_ppm must be in [0, {PPM}]: {target_ppm}")
        if scale_lots <= 0:
            raise ValueError(f"scale_lots must be positive: {scale_lots}")
        self.target_ppm = target_ppm
        self.scale_lots = scale_lots
        self.stale = True

    def set_group(self, *, int64_t target_ppm, int64_t lot_atoms, base_atoms, value_atoms, scale_atoms):
        """Follow the inventory of a group of venues beside the own one from now on.

        Args:
            target_ppm: wanted share of base in the total value of the group.
            lot_atoms: atoms of one lot of ours.
            base_atoms: held by the others.
            value_atoms: what the others have in all, quote counted as the base that it buys there.
            scale_atoms: the group's distance from target at which the skew is full.

        Raises:
            ValueError: a number that is out of bounds; nothing is changed.
        """
        most, lot_most = GROUP_ATOMS_MAX, LOT_ATOMS_MAX
        if not 0 <= target_ppm <= PPM:
            raise ValueError(f"target_ppm must be in [0, {PPM}]: {target_ppm}")
        if not 0 < lot_atoms <= lot_most:
            raise ValueError(f"lot_atoms must be in [1, {lot_most}]: {lot_atoms}")
        if not 0 <= base_atoms <= most or not 0 <= value_atoms <= most:
            raise ValueError(f"amounts of others must be in [0, {most}]: {base_atoms}, {value_atoms}")
        if not 0 < scale_atoms <= most:
            raise ValueError(f"scale_atoms must be in [1, {most}]: {scale_atoms}")
        self.group_target_ppm = target_ppm
        self.lot_atoms = lot_atoms
        self.others_base_atoms = i128_from_py(base_atoms)
        self.others_value_atoms = i128_from_py(value_atoms)
        self.group_scale_atoms = i128_from_py(scale_atoms)
        self.grouped = True
        self.stale = True

    def leave_group(self):
        """Follow the own inventory alone."""
        self.grouped = False
        self.group_q_lots = MISSING
        self.group_x_ppm = MISSING
        self.stale = True

    def cap_quote(self, quote_ticklots):
        """Use no more of the quote balance than that; None: all of it.

        Raises:
            ValueError: a negative amount.
        """
        if quote_ticklots is not None and quote_ticklots < 0:
            raise ValueError(f"what may be used must not be negative: {quote_ticklots}")
        self.quote_cap_ticklots = -1 if quote_ticklots is None else i128_from_py(quote_ticklots)

    def set_balances(self, int64_t base_lots, quote_ticklots):
        """Set the totals held, fills so far included.

        Raises:
            ValueError: a negative total.
        """
        if base_lots < 0 or quote_ticklots < 0:
            raise ValueError(f"a balance must not be negative: {base_lots}, {quote_ticklots}")
        self.base_lots = base_lots
        self.quote_ticklots = i128_from_py(quote_ticklots)
        self.quote_known = True
        self.stale = True

    def forget_balances(self):
        """Hold the balances for unknown: no order passes until they are set again."""
        self.base_lots = MISSING
        self.quote_ticklots = 0
        self.quote_known = False
        self.stale = True

    def adjust(self, int64_t base_lots, quote_ticklots):
        """Change the totals held for another reason than a fill (transfer, fee in base); P&L stays.

        Raises:
            ValueError: the balances are not known.
        """
        if not self.known:
            raise ValueError("balances are not known")
        self.base_lots += base_lots
        self.quote_ticklots += i128_from_py(quote_ticklots)
        self.stale = True

    def fill(self, int side, int64_t price_ticks, int64_t qty_lots, *, bint held=True):
        """Book one fill.

        Args:
            held: False when the balances already contain it.

        Raises:
            ValueError: a side that is neither BUY nor SELL, a price or quantity that is not positive.
        """
        if side != BUY and side != SELL:
            raise ValueError(f"side must be BUY or SELL: {side}")
        if price_ticks <= 0 or qty_lots <= 0:
            raise ValueError(f"price and quantity must be positive: {price_ticks}, {qty_lots}")
        if held:
            self.fill_c(side, price_ticks, qty_lots)
        else:
            self.book_c(1 if side == BUY else -1, price_ticks, qty_lots)

    def fee(self, fee_ticklots):
        """Book a fee charged in quote; negative for a rebate."""
        self.fee_c(i128_from_py(fee_ticklots))

    def mark(self, int64_t reference_uticks):
        """Recompute position against target, share and equity at a reference price."""
        self.mark_c(reference_uticks)

    def unrealised_ticklots(self, int64_t reference_uticks):
        """Return what closing the session's position at a price would add to the realised P&L, rounded down.

        Raises:
            ValueError: a price that is not positive.
        """
        if reference_uticks <= 0:
            raise ValueError(f"reference_uticks must be positive: {reference_uticks}")
        # Python's integers round down, a negative position too.
        return int(self.position_lots) * reference_uticks // int(UTICKS) - i128_to_py(self.cost_ticklots)

    @property
    def known(self):
        """Whether both balances are known."""
        return bool(self.quote_known and self.base_lots != MISSING)

    @property
    def base_lots(self):
        """Base held, None until known."""
        return none_if_missing(self.base_lots)

    @property
    def quote_ticklots(self):
        """Quote held, None until known."""
        return i128_to_py(self.quote_ticklots) if self.quote_known else None

    @property
    def target_ppm(self):
        """Wanted share of base in total value."""
        return self.target_ppm

    @property
    def scale_lots(self):
        """Distance from target at which the skew is full."""
        return self.scale_lots

    @property
    def q_lots(self):
        """Base held minus target at the last mark, None without one."""
        return none_if_missing(self.q_lots)

    @property
    def x_ppm(self):
        """`q_lots` over the scale, in [-1e6, 1e6], None without a mark."""
        return none_if_missing(self.x_ppm)

    @property
    def grouped(self):
        """Whether the inventory of a group is followed."""
        return bool(self.grouped)

    @property
    def group_q_lots(self):
        """The group's base less its target at the last mark, in own lots toward zero; None without one."""
        return none_if_missing(self.group_q_lots)

    @property
    def group_x_ppm(self):
        """That distance over the group's scale, in [-1e6, 1e6], None without a mark or a group."""
        return none_if_missing(self.group_x_ppm)

    @property
    def usable_quote_ticklots(self):
        """Quote that may be used: what is held, within its cap; None until known."""
        return i128_to_py(self.usable_quote_c()) if self.quote_known else None

    @property
    def share_ppm(self):
        """Base value over total value at the last mark, None without one."""
        return none_if_missing(self.share_ppm)

    @property
    def equity_ticklots(self):
        """Quote plus base at the last mark, rounded down, None without one."""
        return None if self.equity_ticklots == MISSING else i128_to_py(self.equity_ticklots)

    @property
    def realised_ticklots(self):
        """Realised P&L by average cost, fees apart."""
        return i128_to_py(self.realised_ticklots)

    @property
    def fees_ticklots(self):
        """Fees charged in quote, rebates taken off."""
        return i128_to_py(self.fees_ticklots)

    @property
    def cost_ticklots(self):
        """Cost basis of the session's position, negative when short."""
        return i128_to_py(self.cost_ticklots)

    @property
    def position_lots(self):
        """Net fills of the session, negative when short."""
        return self.position_lots

    @property
    def mark_uticks(self):
        """Price of the last mark, 0 or None before."""
        return none_if_missing(self.mark_uticks)


cdef object none_if_missing(int64_t value):
    return None if value == MISSING else value
