"""P&L in exact fractions: the executable specification, without rounding."""

from __future__ import annotations

from fractions import Fraction

BUY = 1
Fill = tuple[int, int, int]  # side, base, quote


def average_cost(fills: list[Fill]) -> tuple[Fraction, Fraction, Fraction]:
    """Return (realised, position, cost of the position) by average cost."""
    realised = position = cost = Fraction(0)
    for side, base, quote in fills:
        signed, paid = Fraction(base), Fraction(quote)
        price = paid / signed
        if side != BUY:
            signed = -signed
        while signed:
            if position * signed >= 0:
                position, cost, signed = position + signed, cost + signed * price, Fraction(0)
                continue
            closed = min(abs(signed), abs(position)) * (1 if position > 0 else -1)
            share = cost * closed / position
            realised += closed * price - share
            position, cost, signed = position - closed, cost - share, signed + closed
    return realised, position, cost


def fifo(fills: list[Fill]) -> tuple[Fraction, Fraction, Fraction]:
    """Return (realised, position, cost of the position), oldest lots closed first."""
    lots: list[tuple[Fraction, Fraction]] = []  # signed quantity, price
    realised = Fraction(0)
    for side, base, quote in fills:
        left, price = Fraction(base if side == BUY else -base), Fraction(quote, base)
        while left and lots and lots[0][0] * left < 0:
            held, bought = lots[0]
            closed = min(abs(left), abs(held)) * (1 if held > 0 else -1)
            realised += closed * (price - bought)
            left += closed
            lots[0] = (held - closed, bought)
            if not lots[0][0]:
                lots.pop(0)
        if left:
            lots.append((left, price))
    position = sum((qty for qty, _ in lots), Fraction(0))
    return realised, position, sum((qty * price for qty, price in lots), Fraction(0))


def cash(fills: list[Fill]) -> int:
    """What sells brought less what buys cost."""
    return sum(-quote if side == BUY else quote for side, _, quote in fills)
