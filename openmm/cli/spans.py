"""Read durations, decimals, rates and paths given as options."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from openmm.errors import ConfigError


def span_s(option: str, text: str) -> float:
    """Return a duration such as 90s in seconds.

    Raises:
        ConfigError: it has no unit, or is not above zero.
    """
    from openmm.config.values import parse_duration_ns

    try:
        span_ns = parse_duration_ns(text)
    except ValueError as error:
        raise ConfigError(option, text, str(error)) from None
    if span_ns <= 0:
        raise ConfigError(option, text, "more than zero")
    return span_ns / 1e9


def moment(ts_ns: int) -> str:
    """Write a moment, UTC to the millisecond; "-" where none was told."""
    if ts_ns <= 0:
        return "-"
    whole = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{ts_ns // 1_000_000 % 1000:03d}"


def decimal(option: str, text: str) -> Decimal:
    """Return a decimal above zero.

    Raises:
        ConfigError: it is none.
    """
    from openmm.config.values import parse_decimal

    try:
        number = parse_decimal(text)
    except ValueError as error:
        raise ConfigError(option, text, str(error)) from None
    if number <= 0:
        raise ConfigError(option, text, "more than zero")
    return number


def rate_of(text: str) -> tuple[str, str]:
    """Read what a rate is held at.

    Raises:
        ConfigError: it is no PAIR=NUMBER.
    """
    pair, mark, number = text.partition("=")
    if not mark or "/" not in pair:
        raise ConfigError("--rate", text, "PAIR=NUMBER, such as USDT/USD=1")
    return pair.strip(), format(decimal("--rate", number.strip()), "f")


def need_utf8(option: str, paths: Iterable[object]) -> None:
    """Refuse names that are no text: what is written has them in.

    Raises:
        ConfigError: one is not.
    """
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            told = str(path).encode(errors="backslashreplace").decode()
            raise ConfigError(option, told, "a path in UTF-8") from None
