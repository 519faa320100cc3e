from typing import final

from openmm._fast.ports import Encoder

CHANNELS: tuple[str, ...]

@final
class GateioEncoder(Encoder):
    def __new__(
        cls,
        venue_symbol: str,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        bot: str,
        session: str,
        account: str = "spot",
        deadline_ms: int = 5000,
        stp_act: str = "",
        action_mode: str = "",
    ) -> GateioEncoder: ...
