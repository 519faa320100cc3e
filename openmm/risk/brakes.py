"""Count what comes too often, and tell when quoting has to stop for a while.

Four things are counted over the last 60 seconds: our fills, refused requests, post-only orders the
venue would not rest, and orders cancelled. One more of a kind than its limit puts the brake on. It
stays on until its time is over and every count is within its limit again; each time soon after the
last one lasts twice as long, so that a venue which refuses everything is asked ever less often.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import final

from msgspec import Struct

MINUTE_NS = 60_000_000_000
HOLD_NS_MAX = 5 * MINUTE_NS
# Without a brake for this long the next one is as short as the first.
CALM_NS = 10 * MINUTE_NS


class Brake(StrEnum):
    """What put the brake on; the reason of the change of state."""

    FILLS = "fills_per_minute"
    REJECTS = "rejects_per_minute"
    POST_ONLY = "post_only_per_minute"
    CANCELS = "cancels_per_minute"
    SLIPPAGE = "slippage"


KINDS = tuple(Brake)  # walked at every fill of a backtest


class BrakeLimits(Struct, frozen=True):
    """Limits a minute; None switches one off, zero does not."""

    fills_max: int | None = None
    rejects_max: int | None = None
    post_only_max: int | None = None
    cancels_max: int | None = None
    hold_ns: int = 5_000_000_000  # the first brake; doubled each time it comes again soon

    def of(self, kind: Brake) -> int | None:
        """Return the limit of a kind."""
        if kind is Brake.FILLS:
            return self.fills_max
        if kind is Brake.REJECTS:
            return self.rejects_max
        if kind is Brake.POST_ONLY:
            return self.post_only_max
        return self.cancels_max if kind is Brake.CANCELS else None


class Excess(Struct, frozen=True):
    """A count beyond its limit."""

    kind: Brake
    limit: int
    seen: int


@final
class Brakes:
    """Hold the counts of one bot, and the brake."""

    def __init__(self, limits: BrakeLimits) -> None:
        self.limits = limits
        # (moment, how many), oldest first; the sums beside them.
        self._events: dict[Brake, deque[tuple[int, int]]] = {kind: deque() for kind in Brake}
        self._counts: dict[Brake, int] = dict.fromkeys(Brake, 0)
        self._until_ns: int | None = None
        self._ended_ns: int | None = None
        self._times = 0

    @property
    def on(self) -> bool:
        """Whether the brake is on."""
        return self._until_ns is not None

    def count(self, kind: Brake, now_ns: int) -> int:
        """Return how many of a kind the last 60 seconds brought."""
        events = self._events[kind]
        while events and events[0][0] <= now_ns - MINUTE_NS:
            self._counts[kind] -= events.popleft()[1]
        return self._counts[kind]

    def note(self, kind: Brake, now_ns: int, count: int = 1) -> None:
        """Count events of a kind."""
        if count > 0:
            self._events[kind].append((now_ns, count))
            self._counts[kind] += count

    def excess(self, now_ns: int) -> Excess | None:
        """Return the first count beyond its limit."""
        for kind in KINDS:
            limit = self.limits.of(kind)
            if limit is not None and (seen := self.count(kind, now_ns)) > limit:
                return Excess(kind, limit, seen)
        return None

    def put_on(self, now_ns: int) -> int:
        """Put the brake on; return how long it holds at least, in nanoseconds."""
        if self._ended_ns is None or now_ns - self._ended_ns > CALM_NS:
            self._times = 0
        hold_ns = min(HOLD_NS_MAX, self.limits.hold_ns << min(self._times, 16))
        self._times += 1
        self._until_ns = now_ns + hold_ns
        return hold_ns

    def due(self, now_ns: int) -> bool:
        """Whether the brake may be let go: its time is over, every count within its limit."""
        return (
            self._until_ns is not None and now_ns >= self._until_ns and self.excess(now_ns) is None
        )

    def let_go(self, now_ns: int) -> None:
        """Take the brake off. The counts stay: the next event beyond a limit puts it on again."""
        self._until_ns = None
        self._ended_ns = now_ns
