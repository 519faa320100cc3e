from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, final

from openmm._fast.book import Book
from openmm._fast.ports import Encoder, Transport

class Told(IntEnum):
    TOLD_UNDECIDED = 0
    TOLD_PLACE = 1
    TOLD_AMEND = 2
    TOLD_CANCEL = 3
    TOLD_ACKED = 4
    TOLD_REFUSED = 5
    TOLD_AMENDED = 6
    TOLD_AMEND_REFUSED = 7
    TOLD_CANCELLED = 8
    TOLD_UNKNOWN = 9
    TOLD_FILL = 10

class Arrived(NamedTuple):
    due_ns: int
    told: Told
    seq: int
    price_ticks: int
    qty_lots: int
    ahead_lots: int

@final
class Link:
    def __new__(
        cls, delays_ns: Sequence[int], seed: int = 0, from_ns: Sequence[int] = ()
    ) -> Link: ...
    @property
    def waiting_count(self) -> int: ...
    @property
    def lost_count(self) -> int: ...
    def delay(self, now_ns: int) -> int: ...
    def take(self, now_ns: int) -> list[Arrived]: ...

@final
class Outlet(Encoder):
    behind: bool
    def __new__(cls, requests: Link) -> Outlet: ...
    @property
    def batch_count(self) -> int: ...

@final
class OutletTransport(Transport):
    def __new__(cls) -> OutletTransport: ...

@final
class QueueVenue:
    def __new__(
        cls, book: Book, answers: Link, model: int = ..., power: int = 3, impact_ns: int = 0
    ) -> QueueVenue: ...
    def level(self, side: int, price_ticks: int, qty_lots: int, now_ns: int = 0) -> None: ...
    def settle(self, now_ns: int) -> None: ...
    def trade(self, taker_side: int, price_ticks: int, qty_lots: int, now_ns: int) -> None: ...
    def request(
        self,
        told: int,
        seq: int,
        now_ns: int,
        *,
        side: int = ...,
        price_ticks: int = 0,
        qty_lots: int = 0,
        post_only: bool = True,
    ) -> None: ...
    def ahead(self, seq: int) -> int | None: ...
    @property
    def book(self) -> Book: ...
    @property
    def fill_count(self) -> int: ...
    @property
    def forgotten_count(self) -> int: ...
    @property
    def resting_count(self) -> int: ...
