from typing import Any, final

from openmm._fast.book import Book
from openmm._fast.ports import Decoder

@final
class KrakenDecoder(Decoder):
    def __new__(cls, *args: Any, **kwargs: Any) -> KrakenDecoder: ...
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
    def reset_trades(self) -> None: ...
