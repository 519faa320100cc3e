"""Checks of what a caller asks a venue for, before it is asked."""

from __future__ import annotations

from collections.abc import Sequence


def check_ohlcv(interval_s: int, offered_s: Sequence[int], count: int, count_max: int) -> None:
    """Refuse candles that a venue does not have.

    Raises:
        ValueError: saying which it has.
    """
    if interval_s not in offered_s:
        offered = ", ".join(map(str, offered_s))
        raise ValueError(f"interval must be one of {offered} seconds: {interval_s}")
    if not 1 <= count <= count_max:
        raise ValueError(f"count must be 1 to {count_max}: {count}")
