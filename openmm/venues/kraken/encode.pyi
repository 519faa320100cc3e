from typing import final

from openmm._fast.ports import Encoder

STP_TYPES: tuple[str, ...]

@final
class KrakenEncoder(Encoder):
    def __new__(
        cls,
        venue_symbol: str,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        bot: str,
        session: str,
        deadline_ms: int = 5000,
        stp_type: str = "cancel_newest",
        amend_symbol: bool = False,
    ) -> KrakenEncoder: ...
    @property
    def has_token(self) -> bool: ...
    def fill_secret(self, message: bytes, hole: int) -> bytes: ...
    def set_token(self, token: str) -> None: ...
