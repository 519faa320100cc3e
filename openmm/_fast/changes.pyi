from enum import IntEnum
from typing import final

from typing_extensions import Buffer

from openmm._fast.book import Book
from openmm._fast.ports import Decoded, Decoder, Sink

class EventKind(IntEnum):
    EVENT_UNKNOWN = 0
    EVENT_LEVEL = 1
    EVENT_TRADE = 2
    EVENT_CLEAR = 3
    EVENT_BROKEN = 4
    EVENT_QUOTE = 5

class EventFlag(IntEnum):
    EVENT_KIND_BITS = 15
    EVENT_ASK = 16
    EVENT_MESSAGE_END = 32
    EVENT_READ_END = 64
    EVENT_FILTERED = 128

@final
class ChangeLog(Sink):
    history_count: int
    def __new__(cls, book: Book, instrument_index: int = 0) -> ChangeLog: ...
    def decode(self, decoder: Decoder, data: bytes, recv_ns: int) -> Decoded: ...
    def look(self, recv_ns: int) -> None: ...
    def append(
        self, recv_ns: int, venue_ns: int, price_ticks: int, qty_lots: int, flags: int
    ) -> None: ...
    def take(self) -> bytes: ...
    def __len__(self) -> int: ...

def follow(
    book: Book,
    prices_ticks: Buffer,
    qtys_lots: Buffer,
    flags: Buffer,
    bids_ticks: Buffer | None = None,
    asks_ticks: Buffer | None = None,
) -> None: ...
