from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, final

from openmm._fast.orders import OrderTable

class RiskState(IntEnum):
    RISK_UNDECIDED = 0
    RUNNING = 1
    REDUCING = 2
    PAUSED = 3
    HALTED = 4

class Reason(IntEnum):
    REASON_UNDECIDED = 0
    APPROVED = 1
    STATE = 2
    BOOK_UNVERIFIED = 3
    STREAM_DOWN = 4
    CLOCK_SKEW = 5
    MESSAGE_AGE = 6
    REFERENCE_MISSING = 7
    INSTRUMENT = 8
    ORDER_SIZE_MIN = 9
    ORDER_SIZE_MAX = 10
    NOTIONAL_MIN = 11
    NOTIONAL_MAX = 12
    PRICE_COLLAR = 13
    POST_ONLY_CROSS = 14
    SELF_TRADE = 15
    NEIGHBOUR = 16
    DUPLICATE = 17
    ORDER_COUNT = 18
    OPEN_NOTIONAL = 19
    INVENTORY_LONG = 20
    INVENTORY_SHORT = 21
    BALANCE = 22
    RATE_BUDGET = 23
    FILL_BRAKE = 24
    DRAWDOWN = 25
    TAPE_FULL = 26
    TABLE_FULL = 27
    UNKNOWN_ORDER = 28
    ORDER_UNCERTAIN = 29
    HEDGE_ROOM = 30
    SHARE_LONG = 31
    SHARE_SHORT = 32
    REASON_COUNT = 33

SPEC_NAMES: tuple[str, ...]
LIMIT_NAMES: tuple[str, ...]
LOWER_LIMITS: frozenset[str]
INPUT_NAMES: tuple[str, ...]

class ApprovedView(NamedTuple):
    seal: int
    kind: int
    seq: int
    side: int
    level: int
    price_ticks: int
    qty_lots: int
    rate_cost_milli: int
    post_only: bool

@final
class RateBudget:
    def __new__(
        cls,
        threshold_milli: int,
        reserve_milli: int,
        decay_milli_per_s: int,
        *,
        add_milli: int,
        batch_add_milli: int,
        amend_milli: int,
        amend_ages: Sequence[tuple[int, int]] = (),
        cancel_milli: int = 0,
        cancel_ages: Sequence[tuple[int, int]] = (),
    ) -> RateBudget: ...
    def cost(self, kind: int, age_ns: int = 0) -> int: ...
    def decay(self, now_ns: int) -> int: ...
    def level_at(self, now_ns: int) -> int: ...
    def allows(self, kind: int, cost_milli: int, now_ns: int) -> bool: ...
    def spend(self, cost_milli: int) -> None: ...
    def refund_batch(self, n: int) -> None: ...
    def set_threshold(self, threshold_milli: int, decay_milli_per_s: int = 0) -> None: ...
    def exhaust(self, now_ns: int) -> None: ...
    @property
    def level_milli(self) -> int: ...
    @property
    def threshold_milli(self) -> int: ...
    @property
    def reserve_milli(self) -> int: ...
    @property
    def decay_milli_per_s(self) -> int: ...

@final
class Checks:
    def __new__(
        cls, limits: Mapping[str, int | None], spec: Any, budget: RateBudget, *, seal: int = 1
    ) -> Checks: ...
    def approve(
        self,
        kind: int,
        inputs: Mapping[str, int | None],
        table: OrderTable,
        *,
        side: int = 0,
        level: int = 0,
        price_ticks: int = 0,
        qty_lots: int = 0,
        seq: int = 0,
    ) -> tuple[Reason, ApprovedView | None]: ...
    def follow(self) -> None: ...
    def followed(
        self,
    ) -> list[
        tuple[tuple[int, int, int, int, int], list[tuple[Reason, int | None, int | None]]]
    ]: ...
    def tighten(self, **limits: int) -> None: ...
    def current_limits(self) -> dict[str, int | None]: ...
    def hard_limits(self) -> dict[str, int | None]: ...
    def set_spec(self, spec: Any) -> None: ...
    def hedge(self, bid_lots: int, ask_lots: int) -> None: ...
    def hedge_filled(self, side: int, qty_lots: int) -> None: ...
    @property
    def hedge_room(self) -> tuple[int, int] | None: ...
    def refusals(self) -> dict[Reason, int]: ...
    @property
    def budget(self) -> RateBudget: ...
    @property
    def seal(self) -> int: ...
    @property
    def approved_count(self) -> int: ...
    @property
    def last_reason(self) -> Reason: ...
    @property
    def last_limit(self) -> int | None: ...
    @property
    def last_value(self) -> int | None: ...
