"""Judge the price of a fill: never worse than our order's, never far beyond the reference."""

from __future__ import annotations

from openmm._fast.units import UTICKS_PER_TICK, Side

PPM = 1_000_000


def worse_ticks(side: int, fill_ticks: int, order_ticks: int) -> int:
    """Return by how much a fill is worse than the limit of its order; 0 when it is not."""
    return max(0, fill_ticks - order_ticks if side == Side.BUY else order_ticks - fill_ticks)


def slippage_ppm(side: int, fill_ticks: int, reference_uticks: int) -> int:
    """Return how far a fill is on the losing side of the reference, rounded up; 0 when it is not.

    A buy above the reference loses, a sell below it.
    """
    apart = fill_ticks * UTICKS_PER_TICK - reference_uticks
    loss = apart if side == Side.BUY else -apart
    return max(0, -(-loss * PPM // reference_uticks))
