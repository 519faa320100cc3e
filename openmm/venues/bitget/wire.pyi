from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.ports import Decoder

@final
class BitgetDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> BitgetDecoder: ...
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
