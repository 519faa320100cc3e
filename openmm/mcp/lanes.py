"""Threads for calls of the door: bounded, and a lane of its own for what lowers risk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, final

import anyio
import anyio.to_thread

from openmm.control.access import Scope
from openmm.control.actions import ACTIONS
from openmm.errors import ControlError

THREADS: Final = {"read": 4, "write": 2, "brake": 4, "door": 2}  # door: who is it, short
# Of one client, running or waiting. Its brakes leave a thread to those of another.
CLIENT_CALLS_MAX: Final = {"read": 8, "write": 4, "brake": 3}
LANE_CALLS_MAX: Final = 64


def lane_of(action: str) -> str:
    """Tell which lane an action runs in: `brake`, `write` or `read`."""
    asked = ACTIONS.get(action)
    if asked is None or not asked.writes:
        return "read"
    return "brake" if asked.scope is Scope.BRAKE else "write"


@final
class Lanes:
    """Run blocking calls beside the loop.

    A lane that is full refuses instead of queueing without end, and a flood in one lane, or of one
    client, leaves the others their threads: a halt never waits behind questions.
    """

    def __init__(self, threads: Mapping[str, int] = THREADS) -> None:
        self._sizes = threads
        self._limiters: dict[str, anyio.CapacityLimiter] = {}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._waiting: Counter[str] = Counter()

    async def run(self, lane: str, client: str, call: Callable[..., Any], *args: Any) -> Any:
        """Run a call in a thread of its lane; what it raises comes out.

        Args:
            client: whose; "" before that is known.

        Raises:
            ControlError: this client, or the lane, has too many under way (`busy`).
        """
        mine = (lane, client)
        most = CLIENT_CALLS_MAX[lane] if client else LANE_CALLS_MAX
        if self._calls[mine] >= most or self._waiting[lane] >= LANE_CALLS_MAX:
            raise ControlError(
                f"{self._calls[mine]} calls of {client or 'strangers'} are under way",
                code="busy",
                hint="wait for their answers, then call again; halt and pause have room of their "
                "own",
                retryable=True,
            )
        limiter = self._limiters.get(lane)
        if limiter is None:  # made on the loop it is used on
            limiter = self._limiters[lane] = anyio.CapacityLimiter(self._sizes[lane])
        self._calls[mine] += 1
        self._waiting[lane] += 1
        try:
            return await anyio.to_thread.run_sync(partial(call, *args), limiter=limiter)
        finally:
            self._calls[mine] -= 1
            self._waiting[lane] -= 1
            if not self._calls[mine]:
                del self._calls[mine]
