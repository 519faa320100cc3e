from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.ports import Decoder

@final
class CoinbaseDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> CoinbaseDecoder: ...
    def bind(
        self,
        venue_symbol: str,
        instrument_index: int,
        book: Book,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        depth: int = 1000,
    ) -> None: ...
    def state(self, venue_symbol: str) -> tuple[int, int]: ...
