from enum import IntEnum
from typing import NamedTuple, TypedDict, final

from openmm._fast.book import Book
from openmm._fast.orders import OrderTable

class QueueModel(IntEnum):
    QUEUE_UNDECIDED = 0
    QUEUE_CAUTIOUS = 1
    QUEUE_POWER = 2
    QUEUE_LOG = 3

class PlaceView(NamedTuple):
    seq: int
    price_ticks: int
    ahead_lots: int
    behind_lots: int
    since_ns: int
    worth_ticks: int

class _Params(TypedDict):
    value_ticks: int
    model: QueueModel
    power: int

@final
class Queue:
    def __new__(cls, value_ticks: int = 0, model: int = 1, power: int = 3) -> Queue: ...
    def set_params(self, *, value_ticks: int, model: int, power: int) -> None: ...
    def look(self, book: Book, table: OrderTable, *, own_shown: bool = True) -> None: ...
    def trade(
        self, table: OrderTable, taker_side: int, price_ticks: int, qty_lots: int
    ) -> None: ...
    def place(self, table: OrderTable, seq: int) -> PlaceView | None: ...
    @property
    def on(self) -> bool: ...
    @property
    def usual_lots(self) -> int: ...
    @property
    def params(self) -> _Params: ...
