"""Numbers, times and names as the dashboard writes them; nothing else makes text of values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

NONE: Final = "–"
NS_PER_S: Final = 1_000_000_000


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a tick or lot size needs: 0.10 needs one."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def number(value: Any, decimals: int | None = None) -> str:
    """Write a number with its thousands apart; None is a dash.

    Args:
        value: a decimal, or the exact text of one.
        decimals: rounded to that many; None: as exact as it is.
    """
    if value is None or value == "":
        return NONE
    exact = Decimal(value)
    if not exact.is_finite():
        return NONE
    return f"{exact:,f}" if decimals is None else f"{exact:,.{decimals}f}"


def signed(value: Any, decimals: int = 2) -> str:
    """Write a gain or a loss: its sign always there, none on what rounds to nothing."""
    if value is None or value == "":
        return NONE
    text = number(value, decimals)
    if not text.strip("-0.,"):
        return text.removeprefix("-")
    return text if text.startswith("-") else f"+{text}"


def money_decimals(asset: str) -> int:
    """Return the decimals that an amount of a currency is shown with."""
    return 2 if asset in MONEY else 6


MONEY: Final = frozenset({"USD", "EUR", "GBP", "CHF", "USDT", "USDC", "DAI", "CAD", "AUD", "JPY"})


def percent(ppm: int | None, decimals: int = 2) -> str:
    """Write millionths as per cent."""
    return NONE if ppm is None else f"{ppm / 10_000:.{decimals}f}%"


def age(ns: int | None) -> str:
    """Write a span: milliseconds under a second, then seconds, minutes, hours, days."""
    if ns is None:
        return NONE
    ms = max(0, ns) // 1_000_000
    if ms < 1_000:
        return f"{ms} ms"
    s = ms // 1_000
    if s < 60:
        return f"{ms / 1_000:.1f} s"
    if s < 3_600:
        return f"{s // 60} min {s % 60:02d} s"
    if s < 86_400:
        return f"{s // 3_600} h {s % 3_600 // 60:02d} min"
    return f"{s // 86_400} d {s % 86_400 // 3_600} h"


def latency(ns: int | None) -> str:
    """Write a latency with three digits that count: 840 ns, 1.24 µs, 12.0 ms."""
    if ns is None:
        return NONE
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            value = ns / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{ns} ns"


def clock(ts_ns: int | None) -> str:
    """Write a moment of today's session: time of day, UTC, to the second."""
    if not ts_ns:
        return NONE
    return f"{datetime.fromtimestamp(ts_ns // NS_PER_S, UTC):%H:%M:%S}"


def moment(ts_ns: int | None) -> str:
    """Write a moment in full: date and time, UTC, to the millisecond."""
    if not ts_ns:
        return NONE
    at = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{ts_ns % NS_PER_S // 1_000_000:03d}"


def phrase(name: Any) -> str:
    """Write an enum's name for people: pending_new is "pending new"."""
    return str(name).replace("_", " ").lower() if name not in (None, "") else NONE
