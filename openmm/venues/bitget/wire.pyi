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
    TRADES_REPEATED = 5
    CHECKSUMS_OK = 6
    CHECKSUMS_FAILED = 7
    GAPS = 8
    DROPPED = 9
    CROSSED = 10
    OFF_TICK = 11
    BOUNDS = 12
    CAPACITY = 13
    PARSE_ERRORS = 14
    NOT_READY = 15
    UNBOUND = 16
    PONGS = 17
    SLOW = 18
    COUNTS = 19

@final
class BitgetDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> BitgetDecoder: ...
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
        channel: str = "books",
        verify: bool = True,
    ) -> None: ...
    def state(self, venue_symbol: str) -> tuple[int, int, int, int]: ...
    def decode(self, data: bytes, recv_ns: int = 0) -> Decoded: ...
    def decode_many(self, frames: list[bytes], recv_ns: int = 0) -> int: ...
