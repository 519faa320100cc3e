from collections.abc import Callable
from typing import final

from openmm._fast.ports import Encoder

STP_MODES: tuple[str, ...]

@final
class MexcEncoder(Encoder):
    def __new__(
        cls,
        venue_symbol: str,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        bot: str,
        session: str,
        recv_window_ms: int = 5000,
        stp_mode: str = "",
        sign: Callable[[bytes], bytes] | None = None,
    ) -> MexcEncoder: ...
    def filled(self, message: bytes, hole: int) -> bytes: ...
