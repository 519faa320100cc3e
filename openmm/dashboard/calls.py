"""The door as pages call it: in bounded threads, and reads shared by all pages of a client."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar, final

from openmm.control.access import Client, Scope
from openmm.control.actions import ACTIONS
from openmm.control.door import Door
from openmm.errors import ControlError

T = TypeVar("T")
SURFACE: Final = "dashboard"
THREADS: Final = {"read": 3, "write": 2, "brake": 3}
# Of one client, running or waiting. Its brakes leave a thread to those of another.
CLIENT_CALLS_MAX: Final = {"read": 12, "write": 3, "brake": 2}
CALLS_MAX: Final = 48  # of a lane
KEPT_MAX: Final = 512  # answers of reads


@final
class Calls:
    """Call the door without holding the loop up. Used from the loop's thread only.

    A lane that is full refuses: a halt never waits behind questions.
    """

    def __init__(self, door: Door, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._clock_s = clock_s
        self._pools = {
            name: ThreadPoolExecutor(size, thread_name_prefix=f"dashboard-{name}")
            for name, size in THREADS.items()
        }
        self._mine: Counter[tuple[str, str]] = Counter()
        self._busy: Counter[str] = Counter()
        self._kept: OrderedDict[tuple[str, ...], tuple[float, dict[str, Any]]] = OrderedDict()
        self._asked: dict[tuple[str, ...], asyncio.Future[dict[str, Any]]] = {}

    async def read(
        self, client: Client, action: str, args: Mapping[str, Any], age_s: float
    ) -> dict[str, Any]:
        """Return what a read gives; another page's answer if it is no older than `age_s`.

        Raises:
            OpenMMError: the door refused, or there is nothing to read.
        """
        key = (client.name, client.issued, action, *(f"{k}={args[k]}" for k in sorted(args)))
        kept = self._kept.get(key)
        if kept is not None and self._clock_s() - kept[0] < age_s:
            return kept[1]
        asked = self._asked.get(key)
        if asked is None:
            call = partial(self._door.call, client, action, dict(args), surface=SURFACE)
            asked = asyncio.ensure_future(self._run("read", client, call))
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(asked)

    def _keep(self, key: tuple[str, ...], done: asyncio.Future[dict[str, Any]]) -> None:
        self._asked.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._kept.pop(key, None)
        self._kept[key] = (self._clock_s(), done.result())
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    async def preview(self, client: Client, action: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Show what a call would change.

        Raises:
            OpenMMError: it would be refused.
        """
        call = partial(self._door.preview, client, action, dict(args), surface=SURFACE)
        return await self._run("read", client, call)

    async def write(
        self, client: Client, action: str, args: Mapping[str, Any], key: str, preview: str = ""
    ) -> dict[str, Any]:
        """Carry an action out.

        Raises:
            OpenMMError: refused.
        """
        call = partial(
            self._door.call, client, action, dict(args), surface=SURFACE, key=key, preview=preview
        )
        lane = "brake" if ACTIONS[action].scope is Scope.BRAKE else "write"
        result = await self._run(lane, client, call)
        # What was read before it tells nothing any more.
        for kept in [one for one in self._kept if one[0] == client.name]:
            del self._kept[kept]
        return result

    async def client(self, client: Client) -> Client:
        """Return the client as the file has it now.

        Raises:
            ControlError: it may come in no more.
        """
        if not client.issued:
            return client
        known = await self._run("read", client, partial(self._door.client, client.name))
        if known.issued != client.issued:
            raise ControlError("the token opens nothing any more", code="unauthenticated")
        return known

    async def _run(self, lane: str, client: Client, call: Callable[[], T]) -> T:
        mine = (lane, client.name)
        if self._mine[mine] >= CLIENT_CALLS_MAX[lane] or self._busy[lane] >= CALLS_MAX:
            raise ControlError(
                f"{self._mine[mine]} calls of {client.name} are under way", code="busy",
                hint="wait for their answers, then try again", retryable=True,
            )  # fmt: skip
        self._mine[mine] += 1
        self._busy[lane] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pools[lane], call)
        finally:
            self._busy[lane] -= 1
            self._mine[mine] -= 1
            if not self._mine[mine]:
                del self._mine[mine]

    def close(self) -> None:
        """Take no more calls; what runs, runs to its end."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
