"""An asyncio loop on a virtual clock: it never sleeps, time jumps to the next timer.

No file descriptor is watched and no thread is used, so a program on it that takes its chances from
a seed runs the same way every time, and hours of it pass in seconds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple, final

from openmm._fast.feed import EventClock
from openmm.errors import OpenMMError

NS = 1_000_000_000

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@final
class _Jumping(selectors.DefaultSelector):
    """Let time pass instead of waiting; files are registered and never ready."""

    def __init__(self) -> None:
        super().__init__()
        self.jump: Callable[[int], None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock on by the timeout."""
        assert self.jump is not None, "a loop comes first"
        if timeout is None:
            raise OpenMMError("the virtual loop waits for something that no timer will bring")
        if timeout > 0:
            self.jump(max(1, round(timeout * NS)))
        return []


@final
class VirtualLoop(asyncio.SelectorEventLoop):
    """Run coroutines in virtual time.

    Args:
        clock: of the program that runs here; the loop moves it, and it moves nothing else.
        start_ns: where it stands first, UTC.
    """

    def __init__(self, clock: EventClock, start_ns: int) -> None:
        selector = _Jumping()
        selector.jump = self._jump
        self._event_clock = clock
        self._start_ns = start_ns
        self._now_ns = start_ns
        clock.hold(start_ns)
        super().__init__(selector)

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return (self._now_ns - self._start_ns) / NS

    def call_at_ns(self, when_ns: int, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at a moment of the clock."""
        return self.call_at((when_ns - self._start_ns) / NS, callback)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call at once, in this thread: another one's time would be real."""
        future: asyncio.Future[T] = self.create_future()
        future.set_result(func(*args))
        return future

    def _jump(self, span_ns: int) -> None:
        self._now_ns += span_ns
        self._event_clock.hold(self._now_ns)
