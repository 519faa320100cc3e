"""What the bots of this host do, read from their pages once for all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, final

from openmm.control.home import Home
from openmm.control.views import BotState, Fleet, look
from openmm.errors import OpenMMError
from openmm.telemetry import MISSING, FillPage, TelemetrySnapshot

BEAT_S: Final = 0.25  # while somebody watches
IDLE_S: Final = 1.0  # else: for the history alone
WATCHED_NS: Final = 3_000_000_000
POINT_NS: Final = 1_000_000_000
POINTS_MAX: Final = 3_600
FILLS_MAX: Final = 500
BOTS_MAX: Final = 64
_LOG = logging.getLogger("openmm.dashboard")


class Point(NamedTuple):
    """A bot at a moment, for plots only: figures are shown exact, from the page."""

    ts_ms: int
    reference: float | None
    best_bid: float | None
    best_ask: float | None
    own_bid: float | None
    own_ask: float | None
    inventory: float | None  # of the base asset
    target: float | None  # likewise: what would be held at the target
    net: float  # P&L of the session, in the quote asset


class Mark(NamedTuple):
    """A fill on the chart."""

    ts_ms: int
    price: float
    buy: bool
    qty: float


@final
class Track:
    """One bot: its state now, and the last hour of it."""

    def __init__(self, state: BotState, at_ns: int) -> None:
        self.state = state
        self.at_ns = at_ns
        self.points: deque[Point] = deque(maxlen=POINTS_MAX)
        self.marks: deque[Mark] = deque(maxlen=FILLS_MAX)
        self.point_count = 0
        self.mark_count = 0
        self._session = ""
        self._known: set[FillPage] = set()

    def see(self, state: BotState, at_ns: int) -> None:
        """Take a new look in."""
        self.state, self.at_ns = state, at_ns
        page = state.page
        if page is None or state.page_state != "alive":
            return
        if page.session != self._session:
            self._session, self._known = page.session, set()
        for fill in reversed(page.fills):
            if fill not in self._known:
                self.marks.append(
                    Mark(
                        fill.ts_ns // 1_000_000, float(page.price(fill.price_ticks)),
                        fill.side == 1, float(page.qty(fill.qty_lots)),
                    )
                )  # fmt: skip
                self.mark_count += 1
        self._known = set(page.fills)
        if not self.points or at_ns // POINT_NS > self.points[-1].ts_ms // 1_000:
            self.points.append(point_of(page, at_ns))
            self.point_count += 1


def point_of(page: TelemetrySnapshot, at_ns: int) -> Point:
    """Return a point of the plots."""

    def best(levels: tuple[object, ...], ticks: Callable[[], int]) -> float | None:
        return float(page.price(ticks())) if levels else None

    reference = None
    if page.reference_uticks != MISSING:
        reference = float(page.mid(page.reference_uticks))
    held = None if page.base_lots == MISSING else page.qty(page.base_lots)
    net = page.realised_ticklots + page.unrealised_ticklots - page.fees_ticklots
    return Point(
        at_ns // 1_000_000, reference,
        best(page.book_bids, lambda: page.book_bids[0].price_ticks),
        best(page.book_asks, lambda: page.book_asks[0].price_ticks),
        best(page.own_bids, lambda: max(one.price_ticks for one in page.own_bids)),
        best(page.own_asks, lambda: min(one.price_ticks for one in page.own_asks)),
        None if held is None else float(held),
        None if held is None else float(held - page.qty(page.q_lots)),
        float(page.money(net)),
    )  # fmt: skip


@final
class Feed:
    """Looks at all bots: four times a second while somebody watches, else once."""

    def __init__(self, home: Home, clock: Callable[[], int]) -> None:
        self._home = home
        self._clock = clock
        self._fleet = Fleet()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="dashboard-feed")
        self._task: asyncio.Task[None] | None = None
        self.tracks: dict[str, Track] = {}
        self.problems: dict[str, str] = {}  # bots that cannot be read, and why
        self.at_ns = 0
        self._watched_ns = 0

    def watch(self) -> None:
        """Tell that somebody looks: for the next seconds the bots are read often."""
        self._watched_ns = self._clock()

    def start(self) -> None:
        """Begin, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End; the last look runs to its end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._fleet.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            try:
                seen, problems = await loop.run_in_executor(self._pool, self.read)
            except OSError as error:
                _LOG.warning("the dashboard could not read the bots: %s", error)
            else:
                self.take(seen, problems, self._clock())
            watched = self._clock() - self._watched_ns < WATCHED_NS
            pause_s = BEAT_S if watched else IDLE_S
            await asyncio.sleep(max(0.05, pause_s - (loop.time() - began_s)))

    def read(self) -> tuple[dict[str, BotState], dict[str, str]]:
        """Look at every bot; one that cannot be read hides no other."""
        seen: dict[str, BotState] = {}
        problems: dict[str, str] = {}
        for run_dir in self._home.bots()[:BOTS_MAX]:
            try:
                seen[run_dir.bot] = look(run_dir, self._clock(), self._fleet)
            except OpenMMError as error:
                problems[run_dir.bot] = str(error)
        return seen, problems

    def take(self, seen: dict[str, BotState], problems: dict[str, str], now_ns: int) -> None:
        """Take what was seen in; bots whose folders are gone are forgotten."""
        self.at_ns, self.problems = now_ns, problems
        for name in [one for one in self.tracks if one not in seen]:
            del self.tracks[name]
        for name, state in seen.items():
            track = self.tracks.get(name)
            if track is None:
                track = self.tracks[name] = Track(state, now_ns)
            track.see(state, now_ns)
