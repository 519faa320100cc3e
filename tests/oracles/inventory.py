"""Inventory in exact fractions: the executable specification of `openmm._fast.inventory`."""

from __future__ import annotations

from fractions import Fraction
from math import floor

BUY = 1
PPM = 1_000_000
UTICKS = 1_000_000
INT64_MAX = (1 << 63) - 1


class Inventory:
    """Position, average cost, realised P&L and the position against target."""

    def __init__(self, target_ppm: int, scale_lots: int) -> None:
        self.target = Fraction(target_ppm, PPM)
        self.scale_lots = scale_lots
        self.base_lots = 0
        self.quote_ticklots = 0
        self.position_lots = 0
        self.cost_ticklots = 0
        self.realised_ticklots = 0
        self.fees_ticklots = 0

    def group_mark(
        self, reference_uticks: int, target: Fraction, lot: Fraction, base: Fraction,
        value: Fraction, scale: Fraction,
    ) -> tuple[int, int]:  # fmt: skip
        """Return the group's q in own lots and its x_ppm; amounts are in atoms, a lot is `lot`."""
        price = Fraction(reference_uticks, UTICKS)
        own = max(0, floor((self.quote_ticklots + self.base_lots * price) / price)) * lot
        away = self.base_lots * lot + base - floor((own + value) * target)
        q_lots = floor(abs(away) / lot) * (1 if away >= 0 else -1)
        return q_lots, max(min(floor(away * PPM / scale), PPM), -PPM)

    def fill(self, side: int, price_ticks: int, qty_lots: int) -> None:
        """Book one fill, lot by lot where it closes and where it opens."""
        sign = 1 if side == BUY else -1
        closing = 0
        if self.position_lots * sign < 0:
            closing = min(qty_lots, abs(self.position_lots))
            share = Fraction(closing, abs(self.position_lots))
            basis = floor(self.cost_ticklots * share)
            self.cost_ticklots -= basis
            self.realised_ticklots += -sign * price_ticks * closing - basis
        self.cost_ticklots += sign * price_ticks * (qty_lots - closing)
        self.position_lots += sign * qty_lots
        self.base_lots += sign * qty_lots
        self.quote_ticklots -= sign * price_ticks * qty_lots

    def fee(self, ticklots: int) -> None:
        """Book a fee in quote."""
        self.fees_ticklots += ticklots
        self.quote_ticklots -= ticklots

    def mark(self, reference_uticks: int) -> tuple[int, int, int, int]:
        """Return q_lots, x_ppm, share_ppm and equity_ticklots at a price."""
        price = Fraction(reference_uticks, UTICKS)
        base_value = self.base_lots * price
        total = self.quote_ticklots + base_value
        equity = self.quote_ticklots + floor(base_value)
        if total <= 0:
            q_lots, share_ppm = self.base_lots, 0
        else:
            q_lots = self.base_lots - floor(self.target * total / price)
            share_ppm = floor(base_value / total * PPM)
        q_lots = max(min(q_lots, INT64_MAX), -INT64_MAX)
        x_ppm = max(min(q_lots * PPM // self.scale_lots, PPM), -PPM)
        return q_lots, x_ppm, share_ppm, equity
