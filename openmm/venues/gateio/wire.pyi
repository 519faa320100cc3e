from enum import IntEnum
from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.ports import Decoder

class Channel(IntEnum):
    CHANNEL_UNDECIDED = 0
    CHANNEL_UPDATE = 1
    CHANNEL_OBU = 2

@final
class GateioDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> GateioDecoder: ...
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
    def state(self, venue_symbol: str) -> tuple[int, int, int]: ...
