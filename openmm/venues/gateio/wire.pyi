from enum import IntEnum
from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.ports import Decoded, Decoder

COUNT_NAMES: tuple[str, ...]

class Count(IntEnum):
    MESSAGES = 0
    BOOK_UPDATES = 1
    SNAPSHOTS = 2
    TRADES = 3
    TRADES_ROUNDED = 4
    LEVELS_ROUNDED = 5
    GAPS = 6
    OLD_SNAPSHOTS = 7
    HELD = 8
    DROPPED = 9
    OVERFLOWS = 10
    CROSSED = 11
    OFF_TICK = 12
    BOUNDS = 13
    CAPACITY = 14
    PARSE_ERRORS = 15
    NOT_READY = 16
    UNBOUND = 17
    PONGS = 18
    SLOW = 19
    AGAIN = 20
    COUNTS = 21

class Channel(IntEnum):
    CHANNEL_UNDECIDED = 0
    CHANNEL_UPDATE = 1
    CHANNEL_OBU = 2

@final
class GateioDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> GateioDecoder: ...
    @property
    def last_touched(self) -> int: ...
    @property
    def last_ts_ns(self) -> int: ...
    @property
    def counters(self) -> dict[str, int]: ...
    def bind(
        self,
        venue_symbol: str,
        instrument_index: int,
        book: Book,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        depth: int = 50,
    ) -> None: ...
    def decode(self, data: bytes, recv_ns: int = 0) -> Decoded: ...
    def decode_many(self, frames: list[bytes], recv_ns: int = 0) -> int: ...
    def state(self, venue_symbol: str) -> tuple[int, int, int]: ...
