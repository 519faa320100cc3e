"""Realised and unrealised P&L of a session's fills, by average cost and FIFO, in exact integers.

A position starts at zero with the session: what was held before is no part of it. Fees stand
apart. Both methods keep `realised - basis = cash`, where cash is what sells brought less what buys
cost; so realised plus unrealised is the same by either, and nothing is lost to rounding. When a
part of a position is closed, its share of the basis is rounded toward zero to an atom; the rest
stays with the position, so that a closed position has realised its cash to the last atom.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from openmm._fast.units import UTICKS_PER_TICK

BUY = 1
SELL = 2


def part(whole: int, numerator: int, denominator: int) -> int:
    """Return `whole * numerator / denominator`, rounded toward zero; `whole` for equal terms."""
    product = whole * numerator
    return product // denominator if product >= 0 else -(-product // denominator)


@dataclass(slots=True)
class AverageCost:
    """Hold a position at its average cost. Atoms of base and quote; a short is negative."""

    position_atoms: int = 0
    basis_atoms: int = 0

    def fill(self, side: int, base_atoms: int, quote_atoms: int) -> int:
        """Take one fill in; return the P&L it realised, in quote atoms."""
        sign = 1 if side == BUY else -1
        realised = 0
        if self.position_atoms * sign < 0:
            held = abs(self.position_atoms)
            closed = min(base_atoms, held)
            value = part(quote_atoms, closed, base_atoms)
            released = part(self.basis_atoms, closed, held)
            realised = -sign * value - released
            self.position_atoms += sign * closed
            self.basis_atoms -= released
            base_atoms -= closed
            quote_atoms -= value
        self.position_atoms += sign * base_atoms
        self.basis_atoms += sign * quote_atoms
        return realised


@dataclass(slots=True)
class Fifo:
    """Hold a position as its fills, oldest closed first. All lots have the position's sign."""

    lots: deque[list[int]] = field(default_factory=deque)  # [base atoms, quote atoms], signed
    position_atoms: int = 0
    basis_atoms: int = 0
    closed_count: int = 0  # lots that are no more

    def fill(self, side: int, base_atoms: int, quote_atoms: int) -> int:
        """Take one fill in; return the P&L it realised, in quote atoms."""
        sign = 1 if side == BUY else -1
        realised = 0
        while base_atoms and self.position_atoms * sign < 0:
            lot = self.lots[0]
            held = abs(lot[0])
            closed = min(base_atoms, held)
            value = part(quote_atoms, closed, base_atoms)
            released = part(lot[1], closed, held)
            realised += -sign * value - released
            lot[0] += sign * closed
            lot[1] -= released
            if not lot[0]:
                self.lots.popleft()
                self.closed_count += 1
            self.position_atoms += sign * closed
            self.basis_atoms -= released
            base_atoms -= closed
            quote_atoms -= value
        if base_atoms:
            self.lots.append([sign * base_atoms, sign * quote_atoms])
            self.position_atoms += sign * base_atoms
            self.basis_atoms += sign * quote_atoms
        return realised


def value_atoms(base_atoms: int, price: Fraction, base_decimals: int, quote_decimals: int) -> int:
    """Value base at a price (quote per base), in quote atoms, rounded down."""
    exact = Fraction(base_atoms) * price * Fraction(10**quote_decimals, 10**base_decimals)
    return exact.numerator // exact.denominator


class Valuer:
    """Value base atoms of one pair in quote atoms, rounded down, at a price in microticks."""

    def __init__(self, tick_size: Decimal, base_decimals: int, quote_decimals: int) -> None:
        ticks, per = tick_size.as_integer_ratio()
        whole = Fraction(ticks * 10**quote_decimals, per * UTICKS_PER_TICK * 10**base_decimals)
        self._num, self._den = whole.numerator, whole.denominator

    def atoms(self, base_atoms: int, price_uticks: int) -> int:
        """Return what the base is worth; of a short the more negative atom."""
        return base_atoms * price_uticks * self._num // self._den


def captured_atoms(
    side: int, price_ticks: int, reference_uticks: int | None, quote_atoms: int
) -> int | None:
    """Return the spread one fill captured against the reference, in quote atoms, half to even.

    `quote_atoms * side * (R - price) / R`: its sum over the sum of `quote_atoms` is the notional-
    weighted spread captured, before fees. None without a reference.
    Source: docs/report.md, "Average spread captured".
    """
    if reference_uticks is None or reference_uticks <= 0:
        return None
    sign = 1 if side == BUY else -1
    edge = sign * (reference_uticks - price_ticks * UTICKS_PER_TICK)
    return round(Fraction(quote_atoms * edge, reference_uticks))
