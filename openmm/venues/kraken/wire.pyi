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
    TRADE_GAPS = 4
    TRADES_ROUNDED = 5
    CHECKSUMS_OK = 6
    CHECKSUMS_FAILED = 7
    CROSSED = 8
    OFF_TICK = 9
    BOUNDS = 10
    CAPACITY = 11
    PARSE_ERRORS = 12
    NOT_READY = 13
    UNBOUND = 14
    HEARTBEATS = 15
    SLOW = 16
    TOLERANT = 17
    COUNTS = 18

@final
class KrakenDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> KrakenDecoder: ...
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
        depth: int = 10,
        verify: bool = True,
    ) -> None: ...
    def checksums(self, venue_symbol: str) -> tuple[int, int, int]: ...
    def decode(self, data: bytes, recv_ns: int = 0) -> Decoded: ...
    def decode_many(self, frames: list[bytes], recv_ns: int = 0) -> int: ...
    def reset_trades(self) -> None: ...
