"""Fixed-point arithmetic in plain integers: what `openmm._fast.units` must give."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

INT64_MAX = (1 << 63) - 1


def floor_div(a: int, b: int) -> int:
    """Divide toward minus infinity."""
    return floor(Fraction(a, b))


def ceil_div(a: int, b: int) -> int:
    """Divide toward plus infinity."""
    return ceil(Fraction(a, b))


def saturate(value: int) -> int:
    """Hold a value inside the int64 range, symmetric: the lowest int64 stands for "missing"."""
    return max(-INT64_MAX, min(INT64_MAX, value))


def mul_div(a: int, b: int, c: int) -> int:
    """Return floor(a * b / c), saturated."""
    return saturate(floor(Fraction(a * b, c)))


def format_points(points: int, decimals: int) -> str:
    """Write points * 10**-decimals with exactly that many decimals."""
    text = f"{Decimal(points).scaleb(-decimals):.{decimals}f}"
    return f"-{text}" if points < 0 and not text.startswith("-") else text
