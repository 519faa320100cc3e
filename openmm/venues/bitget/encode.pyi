from typing import final

from openmm._fast.ports import Encoder

STP_MODES: tuple[str, ...]
TOPICS: tuple[str, ...]

@final
class BitgetEncoder(Encoder):
    def __new__(
        cls,
        venue_symbol: str,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        bot: str,
        session: str,
        unified: bool = False,
        amend: bool = False,
        stp_mode: str = "",
    ) -> BitgetEncoder: ...
