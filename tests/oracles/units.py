"""Fixed-point arithmetic in plain integers: what `openmm._fast.units` must give."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, factorial, floor, frexp

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


# exp and log once more, in Python's floats: the same IEEE operations in the same order give the
# same bits on every machine.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10


def exp(x: float) -> float:
    """Return e**x: reduce by ln 2, sum the series to the 13th power, scale by two factors."""
    scaled = x * 1.44269504088896338700
    k = int(scaled + (-0.5 if scaled < 0 else 0.5))
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    total = 1.0 / factorial(13)
    for i in range(12, -1, -1):
        total = total * r + 1.0 / factorial(i)
    half = -(-k // 2) if k < 0 else k // 2
    return total * 2.0**half * 2.0 ** (k - half)


def log(x: float) -> float:
    """Return the natural logarithm: split off the exponent, sum the artanh series."""
    m, k = frexp(x)
    m, k = m * 2.0, k - 1
    if m > 1.41421356237309504880:
        m, k = m * 0.5, k + 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    tail = 0.0
    for odd in range(21, 1, -2):
        tail = (tail + 2.0 / odd) * z
    return k * LN2_HIGH + ((s * tail - s * f + k * LN2_LOW) + f)
