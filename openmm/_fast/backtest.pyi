from typing import NamedTuple, Protocol, final

import numpy as np
import numpy.typing as npt

from openmm._fast.pipeline import Feed, Frames, Pipeline
from openmm._fast.ports import Sink
from openmm._fast.queue_venue import Link, Outlet, QueueVenue

class _Bounds(Protocol):
    @property
    def always(self) -> bool: ...
    @property
    def start_ppm(self) -> int: ...
    @property
    def peak_ppm(self) -> int: ...
    @property
    def q_lots_most(self) -> int: ...
    @property
    def fills_most(self) -> int: ...
    @property
    def slippage_ppm(self) -> int: ...

class _Guard(Protocol):
    def bounds(self) -> _Bounds: ...
    def start(self, now_ns: int) -> None: ...
    def counted(self, times_ns: list[int]) -> None: ...
    def fill(self, now_ns: int, made_ns: int, side: int, price_ticks: int) -> None: ...
    def refused(self, now_ns: int) -> None: ...
    def timer(self, now_ns: int, peak_ticklots: int) -> None: ...
    def mark(self, now_ns: int, peak_ticklots: int) -> None: ...

_Column = npt.NDArray[np.int64]

HORIZONS_NS: tuple[int, int, int, int]

class BacktestFill(NamedTuple):
    told_ns: int
    seq: int
    side: int
    price_ticks: int
    qty_lots: int
    maker: int
    reference_uticks: int
    ahead_lots: int
    joined_ns: int
    level: int
    after_100ms_uticks: int
    after_1s_uticks: int
    after_10s_uticks: int
    after_60s_uticks: int

class BacktestStay(NamedTuple):
    seq: int
    began_ns: int
    side: int
    level: int
    price_ticks: int
    qty_lots: int
    reference_uticks: int
    ahead_lots: int
    filled_lots: int
    ended_ns: int
    moves: int

@final
class Tap(Sink):
    def __new__(cls, venue: QueueVenue, feed: Feed, skip: _Column | None = None) -> Tap: ...

@final
class Backtest:
    def __new__(
        cls,
        pipeline: Pipeline,
        feeds: list[Feed],
        venue: QueueVenue,
        outlet: Outlet,
        *,
        every_ns: int = 0,
        timer_ns: int = 0,
        mark_every_ns: int = 1_000_000_000,
        maker_fee_ppm: int = 0,
        taker_fee_ppm: int = 0,
        atoms: tuple[int, int] = ...,
        lot_atoms: int = 0,
        guard: _Guard | None = None,
    ) -> Backtest: ...
    def add(
        self,
        recv_ns: _Column,
        venue_ns: _Column,
        price_ticks: _Column,
        qty_lots: _Column,
        flags: npt.NDArray[np.uint16],
        late_at: _Column | None = None,
        late_trade: _Column | None = None,
        late_skip: _Column | None = None,
    ) -> None: ...
    def add_frames(
        self,
        frames: Frames,
        price_ticks: _Column | None = None,
        qty_lots: _Column | None = None,
        flags: npt.NDArray[np.uint16] | None = None,
        late_at: _Column | None = None,
        late_trade: _Column | None = None,
        late_skip: _Column | None = None,
    ) -> None: ...
    def run(self, until_ns: int = ..., events_max: int = ...) -> bool: ...
    def start(self, now_ns: int) -> None: ...
    def warm(self, until_ns: int) -> None: ...
    def finish(self) -> int: ...
    def fill_rows(self) -> list[BacktestFill]: ...
    def fills_bytes(self) -> bytes: ...
    def stays_bytes(self) -> bytes: ...
    def exit_ticklots(self, uticks: int) -> int: ...
    def marks_bytes(self) -> bytes: ...
    @property
    def fees(self) -> int: ...
    @property
    def base_fees(self) -> int: ...
    @property
    def pipeline(self) -> Pipeline: ...
    @property
    def venue(self) -> QueueVenue: ...
    @property
    def outlet(self) -> Outlet: ...
    @property
    def answers(self) -> Link: ...
    @property
    def now_ns(self) -> int: ...
    @property
    def event_count(self) -> int: ...
    @property
    def message_count(self) -> int: ...
    @property
    def refused_count(self) -> int: ...
    @property
    def fill_count(self) -> int: ...
    @property
    def crossed_count(self) -> int: ...
