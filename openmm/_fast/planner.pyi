from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, final

from openmm._fast.orders import OrderTable
from openmm._fast.queue import Queue

class ActionKind(IntEnum):
    ACTION_UNDECIDED = 0
    ACTION_CANCEL = 1
    ACTION_AMEND = 2
    ACTION_PLACE = 3

class ActionWhy(IntEnum):
    WHY_UNDECIDED = 0
    WHY_UNWANTED = 1
    WHY_MOVED = 2
    WHY_RESIZED = 3
    WHY_MISSING = 4
    WHY_CROSSING = 5
    WHY_STALE = 6
    WHY_RISK = 7
    WHY_HAND = 8
    WHY_REBALANCE = 9

class ActionView(NamedTuple):
    kind: ActionKind
    why: ActionWhy
    seq: int
    side: int
    level: int
    price_ticks: int
    qty_lots: int

@final
class Planner:
    def __new__(
        cls,
        tolerance_ticks: int = 0,
        qty_tolerance_ppm: int = 0,
        amend_supported: bool = True,
        order_age_ns_max: int = 0,
        queue: Queue | None = None,
    ) -> Planner: ...
    def set_params(
        self, *, tolerance_ticks: int, qty_tolerance_ppm: int, order_age_ns_max: int
    ) -> None: ...
    def keep_clear(self, other_bid_ticks: int, other_ask_ticks: int) -> None: ...
    @property
    def amend_supported(self) -> bool: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def held_count(self) -> int: ...
    def plan(
        self,
        bids: Sequence[tuple[int, int]],
        asks: Sequence[tuple[int, int]],
        table: OrderTable,
        now_ns: int,
    ) -> list[ActionView]: ...
    def plan_cancel_all(
        self, table: OrderTable, now_ns: int, why: int = ...
    ) -> list[ActionView]: ...
    def planned(self) -> list[ActionView]: ...
