"""Time as a value: the only clocks of the package, real and under a test's control."""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Tell UTC time in nanoseconds."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        ...


@final
class RealClock:
    """Read the machine's clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        return time.time_ns()


@final
class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return the time last set."""
        return self._now_ns

    def advance(self, span_ns: int) -> None:
        """Move forward by `span_ns` >= 0."""
        if span_ns < 0:
            raise ValueError(f"clock cannot go back: {span_ns}")
        self._now_ns += span_ns
