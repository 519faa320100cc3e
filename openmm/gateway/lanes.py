"""Threads for the door's blocking calls: bounded lanes, and brakes have one of their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar, final

from msgspec import Struct

from openmm.control.access import Scope
from openmm.control.actions import Action
from openmm.gateway.refusals import Refusal

T = TypeVar("T")


class Lane(Struct, frozen=True):
    """How wide one lane is.

    Args:
        threads: calls at once.
        waiting_max: calls that may wait for a thread, of all clients together.
        client_max: calls of one client, running and waiting together.
        call_s: after this the caller is told to look again; the call itself goes on to its end.
    """

    threads: int
    waiting_max: int
    client_max: int
    call_s: float


# A flood of reads fills its own lane and nothing else: a halt finds its threads free. Brakes of one
# client leave a thread to those of another.
LANES: Final = {
    "brakes": Lane(threads=4, waiting_max=16, client_max=3, call_s=20.0),
    "writes": Lane(threads=2, waiting_max=16, client_max=4, call_s=30.0),
    "reads": Lane(threads=3, waiting_max=48, client_max=12, call_s=20.0),
}


def lane_of(action: Action, *, preview: bool = False) -> str:
    """Name the lane of an action; a preview goes with what it is shown for: no reader's flood keeps
    a flatten waiting."""
    if not action.writes:
        return "reads"
    if preview:
        return "writes"
    return "brakes" if action.scope is Scope.BRAKE else "writes"


@final
class Lanes:
    """Run blocking calls beside the loop. Used from the loop's thread only."""

    def __init__(self, lanes: dict[str, Lane] | None = None) -> None:
        self.lanes = lanes or LANES
        self._pools = {
            name: ThreadPoolExecutor(lane.threads, thread_name_prefix=f"gateway-{name}")
            for name, lane in self.lanes.items()
        }
        self._busy: Counter[str] = Counter()  # running and waiting, by lane
        self._clients: Counter[tuple[str, str]] = Counter()  # the same, by lane and client

    def busy(self, lane: str) -> int:
        """Return the calls of a lane that run or wait."""
        return self._busy[lane]

    @property
    def full(self) -> list[str]:
        """The lanes that take nobody more."""
        return [
            name
            for name, lane in self.lanes.items()
            if self._busy[name] >= lane.threads + lane.waiting_max
        ]

    async def run(self, name: str, client: str, call: Callable[[], T]) -> T:
        """Run a call in a lane and wait for what it returns.

        Raises:
            Refusal: the client has too many calls under way (`busy`, 429), everybody together has
                (`overloaded`, 503), or it took too long (`timeout`, 504).
        """
        lane, mine = self.lanes[name], (name, client)
        if self._clients[mine] >= lane.client_max:
            raise Refusal(
                429, "busy", f"{client} has {lane.client_max} {name} under way; the most there are",
                "wait for an answer before the next request", retry_after_s=1,
            )  # fmt: skip
        if self._busy[name] >= lane.threads + lane.waiting_max:
            raise Refusal(
                503, "overloaded", f"the gateway has all the {name} it can do under way",
                "ask again in a second", retry_after_s=1,
            )  # fmt: skip
        self._busy[name] += 1
        self._clients[mine] += 1
        loop = asyncio.get_running_loop()
        future = self._pools[name].submit(call)

        def leave(_: Future[Any]) -> None:
            # The loop may have ended before a call that outlived its caller.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._leave, mine)

        future.add_done_callback(leave)
        try:
            # Shielded: a caller that leaves does not take its call back, for it may be half done.
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), lane.call_s)
        except TimeoutError:
            if future.done():
                raise  # the call's own
            raise Refusal(
                504, "timeout", f"no answer within {lane.call_s:g} s; it may still be carried out",
                "look at the state before asking again", retry_after_s=1,
            ) from None  # fmt: skip

    def _leave(self, mine: tuple[str, str]) -> None:
        self._busy[mine[0]] -= 1
        self._clients[mine] -= 1
        if not self._clients[mine]:
            del self._clients[mine]

    def close(self) -> None:
        """Take no more calls; what runs, runs to its end."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
