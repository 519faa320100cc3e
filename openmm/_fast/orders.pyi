from enum import IntEnum
from typing import NamedTuple, final

class OrderState(IntEnum):
    FREE = 0
    PENDING_NEW = 1
    OPEN = 2
    PARTIALLY_FILLED = 3
    PENDING_CANCEL = 4
    PENDING_AMEND = 5
    UNKNOWN = 6
    FILLED = 7
    CANCELLED = 8
    REJECTED = 9

class OrderEvent(IntEnum):
    EV_UNDECIDED = 0
    EV_PLACED = 1
    EV_ACKED = 2
    EV_REJECTED = 3
    EV_AMEND_SENT = 4
    EV_AMENDED = 5
    EV_AMEND_REJECTED = 6
    EV_CANCEL_SENT = 7
    EV_CANCELLED = 8
    EV_CANCEL_REJECTED = 9
    EV_FILL = 10
    EV_TIMEOUT = 11
    EV_PROVEN_OPEN = 12
    EV_PROVEN_GONE = 13
    EV_EXPIRED = 14

class Transition(IntEnum):
    TR_UNDECIDED = 0
    TR_OK = 1
    TR_IGNORED = 2
    TR_ILLEGAL = 3
    TR_UNKNOWN_ORDER = 4
    TR_FULL = 5
    TR_OVERFILL = 6

class InFlight(IntEnum):
    FLIGHT_CREATE = 1
    FLIGHT_AMEND = 2
    FLIGHT_CANCEL = 4
    FLIGHT_DOUBT = 8

class Lane(IntEnum):
    LANE_HANGING = 222
    LANE_FLATTEN = 254
    LANE_HAND = 255

class OrderView(NamedTuple):
    seq: int
    side: int
    level: int
    state: OrderState
    price_ticks: int
    qty_lots: int
    filled_lots: int
    pending_price_ticks: int
    pending_qty_lots: int
    post_only: bool
    acked: bool
    in_flight: int
    created_ns: int
    acted_ns: int
    amended_ns: int
    queue_ns: int
    cost_ticklots: int
    unanswered_count: int
    venue_id: str

class Totals(NamedTuple):
    live_count: int
    unknown_count: int
    pending_count: int
    buy_lots: int
    sell_lots: int
    buy_ticklots: int
    sell_ticklots: int
    best_buy_ticks: int
    best_sell_ticks: int

def transition_table() -> dict[tuple[OrderState, OrderEvent], str]: ...

@final
class OrderTable:
    def place(
        self,
        side: int,
        level: int,
        price_ticks: int,
        qty_lots: int,
        post_only: bool = True,
        *,
        now_ns: int,
    ) -> int: ...
    def adopt(
        self,
        side: int,
        level: int,
        price_ticks: int,
        qty_lots: int,
        filled_lots: int = 0,
        post_only: bool = True,
        *,
        now_ns: int,
        venue_id: str = "",
    ) -> int: ...
    def amend_sent(self, seq: int, price_ticks: int, qty_lots: int, now_ns: int) -> Transition: ...
    def cancel_sent(self, seq: int, now_ns: int) -> Transition: ...
    def event(
        self, seq: int, event: int, now_ns: int, *, price_ticks: int = 0, qty_lots: int = 0
    ) -> Transition: ...
    def amended(self, seq: int, price_ticks: int, qty_lots: int, now_ns: int) -> Transition: ...
    def hang(self, seq: int, lane: int, now_ns: int) -> bool: ...
    def fill(self, seq: int, price_ticks: int, qty_lots: int, now_ns: int) -> Transition: ...
    def release(self, seq: int) -> None: ...
    def set_venue_id(self, seq: int, text: str) -> None: ...
    def get(self, seq: int) -> OrderView | None: ...
    def live(self) -> list[OrderView]: ...
    def ended(self) -> list[OrderView]: ...
    def timeouts(self, now_ns: int, timeout_ns: int) -> list[int]: ...
    def own_lots_at(self, side: int, price_ticks: int) -> int: ...
    def has_price(self, side: int, price_ticks: int, except_seq: int = 0) -> bool: ...
    def totals(self) -> Totals: ...
    def recompute(self) -> Totals: ...
    @property
    def version(self) -> int: ...
    @property
    def live_count(self) -> int: ...
    @property
    def ladder_count(self) -> int: ...
    @property
    def unknown_count(self) -> int: ...
    @property
    def pending_count(self) -> int: ...
    @property
    def capacity(self) -> int: ...
