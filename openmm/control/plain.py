"""Results as JSON has them: decimals as exact text, nothing that has no form there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Return a value made of what JSON knows.

    Raises:
        TypeError: there is no form for a part of it.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return value if value - value == 0 else None  # no form for infinity
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON form: {value!r}")


def iso(ts_ns: int | None) -> str | None:
    """Write a moment as ISO 8601 in UTC, to the microsecond; None for none (0 as well)."""
    if not ts_ns:
        return None
    at = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ts_ns % 1_000_000_000 // 1_000:06d}Z"
