from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.ports import Decoder

WHOLE_DEPTHS: tuple[int, ...]

@final
class MexcDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> MexcDecoder: ...
    def bind(
        self,
        venue_symbol: str,
        instrument_index: int,
        book: Book,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        depth: int = 500,
        verify: bool = True,
    ) -> None: ...
    def state(self, venue_symbol: str) -> tuple[int, int, int]: ...
