"""GLFT and Avellaneda-Stoikov once more, in decimals of 50 digits, from the papers' own symbols."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from typing import NamedTuple

DIGITS = Context(prec=50)


class Quotes(NamedTuple):
    """Distances in price units: a flat book's quotes, and what one unit of `q` shifts them by."""

    half: Decimal
    skew: Decimal


def glft(
    sigma: Decimal, arrival: Decimal, k: Decimal, gamma: Decimal, size: Decimal, xi: Decimal
) -> Quotes:
    """Return Gueant's asymptotic quotes (1605.01862): half = c1 + D/2*sigma*c2, skew = sigma*c2.

    `q` is in the same units as `size`; xi = 0 is the limit of the formulas.
    """
    with localcontext(DIGITS):
        if xi == 0:
            c1, power = 1 / k, Decimal(1).exp()
        else:
            c1 = (1 + xi * size / k).ln() / (xi * size)
            power = ((k / (xi * size) + 1) * (1 + xi * size / k).ln()).exp()
        c2 = (gamma / (2 * arrival * size * k) * power).sqrt()
        return Quotes(c1 + size / 2 * sigma * c2, sigma * c2)


def glft_unit(sigma: Decimal, arrival: Decimal, k: Decimal, gamma: Decimal, q: Decimal) -> Decimal:
    """Return the bid's distance as arXiv 1105.3115 has it, for orders of one unit."""
    with localcontext(DIGITS):
        power = ((1 + k / gamma) * (1 + gamma / k).ln()).exp()
        root = (sigma**2 * gamma / (2 * k * arrival) * power).sqrt()
        return (1 + gamma / k).ln() / gamma + (2 * q + 1) / 2 * root


def avellaneda(
    sigma: Decimal, k: Decimal, gamma: Decimal, size: Decimal, seconds_left: Decimal
) -> Quotes:
    """Return Avellaneda and Stoikov's quotes (2008, 3.17 and 3.18), for orders of `size`.

    The paper's q counts orders: the distance of the reservation price is per unit of `size`.
    """
    with localcontext(DIGITS):
        g = gamma * size
        variance = sigma**2 * seconds_left
        spread = g * variance + 2 / g * (1 + g / k).ln()
        return Quotes(spread / 2, g * variance / size)


def gamma_of(skew: Decimal, quotes: Callable[[Decimal], Quotes]) -> Decimal:
    """Return the gamma at which a model shifts by `skew` per unit, by halving."""
    low, high = Decimal("1e-40"), Decimal("1e40")
    with localcontext(DIGITS):
        for _ in range(200):
            middle = (low * high).sqrt()
            if quotes(middle).skew < skew:
                low = middle
            else:
                high = middle
        return (low * high).sqrt()
