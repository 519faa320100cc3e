"""Watch one engine; when it dies or hangs, cancel this bot's orders and prove that none is open.

It knows two requests of the venue: the list of open orders, and the cancel of one of them. Only
orders whose client id carries the bot's mark are cancelled. The engine is gone when the pipe it
holds closes without a farewell, and hangs when the heartbeat of its telemetry page stands still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, final

from msgspec import Struct

from openmm.engine.rundir import RunDir
from openmm.errors import TelemetryError, VenueError
from openmm.events import OrderUpdated
from openmm.telemetry import TelemetryReader

LOOK_EVERY_S = 0.05
# Between rounds of listing and cancelling: the first wait and the longest.
AGAIN_S, AGAIN_S_MAX = 0.2, 10.0
# A venue's list lags its engine: an order sent just before the end may not be on it yet.
EMPTY_ANSWERS, EMPTY_APART_S = 2, 1.0
GIVE_UP_S = 3_600.0

Log = Callable[..., None]
Sleep = Callable[[float], Awaitable[None]]


class Orders(Protocol):
    """What the watchdog asks of a venue, and all it asks."""

    async def open_orders(self) -> list[OrderUpdated]:
        """Return every open order of the account."""
        ...

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id."""
        ...


class Watched(Struct, frozen=True):
    """The engine under watch. `silent_s`: a heartbeat older than this means that it hangs."""

    run_dir: RunDir
    pid: int
    silent_s: float


class Heartbeat:
    """Tell for how long an engine's telemetry page has stood still."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._reader: TelemetryReader | None = None
        self._last_ns = 0
        self._moved_s: float | None = None

    def silent_s(self, now_s: float) -> float:
        """Return seconds since the heartbeat last moved; counts from the first look."""
        beat_ns = self._read()
        if self._moved_s is None or beat_ns != self._last_ns:
            self._last_ns, self._moved_s = beat_ns, now_s
        return now_s - self._moved_s

    def _read(self) -> int:
        try:
            if self._reader is None:
                self._reader = TelemetryReader(self._page)
            return self._reader.read().heartbeat_ns
        except TelemetryError:
            # None yet, or none that can be read: no beat.
            return self._last_ns

    def close(self) -> None:
        """Unmap the page."""
        if self._reader is not None:
            self._reader.close()


@final
class Watchdog:
    """Wait for the end of an engine, and see to its orders.

    Args:
        orders: the venue's request side.
        is_ours: whether a client id is the bot's.
        gone: set when the engine's pipe has closed.
        dismissed: tells, once it has, whether the engine took its leave in good order.
        on_fire: called before the first cancel; an engine that comes back to life learns by it
            that it has no watchdog any more.
    """

    def __init__(
        self,
        watched: Watched,
        orders: Orders,
        is_ours: Callable[[str], bool],
        gone: asyncio.Event,
        dismissed: Callable[[], bool],
        log: Log,
        *,
        on_fire: Callable[[], None] = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._watched = watched
        self._orders = orders
        self._is_ours = is_ours
        self._gone = gone
        self._dismissed = dismissed
        self._log = log
        self._on_fire = on_fire
        self._beat = Heartbeat(watched.run_dir.page)
        self._sleep = sleep
        self.cancelled: list[str] = []
        self.proven = False  # by its own looks: nothing of the bot's is open

    async def run(self) -> bool:
        """Watch until there is nothing left to watch; returns whether nothing is left open."""
        try:
            why = await self._wait()
            if not why:
                self._log("dismissed: the engine proved that nothing of its own is open")
                return True
            self._log("firing", reason=why)
            self._on_fire()
            return await self._end_orders()
        finally:
            self._beat.close()

    async def _wait(self) -> str:
        """Return why to fire; empty when the engine ended in good order."""
        loop = asyncio.get_running_loop()
        while not self._gone.is_set():
            silent_s = self._beat.silent_s(loop.time())
            if silent_s > self._watched.silent_s:
                return f"no heartbeat for {silent_s:.1f} s"
            await self._sleep(LOOK_EVERY_S)
        return "" if self._dismissed() else "the engine is gone without a farewell"

    def _taken_over(self, now_s: float) -> bool:
        """Whether an engine sees to what is open itself: another one, or the same, come back."""
        if self._dismissed():
            # It came back, and has another watchdog by now.
            return True
        pid = self._watched.run_dir.holder_pid()
        if pid is None:
            return False
        if pid != self._watched.pid:
            return True
        # A process that is being killed loses its pipe before its lock.
        back = self._beat.silent_s(now_s) < self._watched.silent_s
        return back and not self._gone.is_set()

    async def _end_orders(self) -> bool:
        """List, cancel ours, list again, until the list has none of ours twice running."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        pause_s, empty = AGAIN_S, 0
        while loop.time() - started_s < GIVE_UP_S:
            if self._taken_over(loop.time()):
                self._log("an engine has taken over", cancelled=len(self.cancelled))
                return True
            try:
                listed = await self._orders.open_orders()
                if self._taken_over(loop.time()):
                    # What is listed may be that engine's already.
                    continue
                mine = [one for one in listed if one.client_id and self._is_ours(one.client_id)]
                if mine:
                    empty = 0
                    ids = [one.venue_order_id for one in mine]
                    self._log("cancelling", orders=ids, left_alone=len(listed) - len(mine))
                    await self._orders.cancel(ids)
                    self.cancelled += ids
                else:
                    empty += 1
                    if empty >= EMPTY_ANSWERS:
                        self._log(
                            "nothing of ours is open", cancelled=len(self.cancelled),
                            left_alone=len(listed),
                        )  # fmt: skip
                        self.proven = True
                        return True
                    await self._sleep(EMPTY_APART_S)
                    continue
            except VenueError as error:
                empty = 0
                self._log("the venue did not answer", error=str(error))
                pause_s = min(AGAIN_S_MAX, 2 * pause_s)
            await self._sleep(pause_s)
        self._log("given up: orders may be open")
        return False
