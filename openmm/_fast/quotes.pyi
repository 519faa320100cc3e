from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol

class _Instrument(Protocol):
    @property
    def tick_points(self) -> int: ...
    @property
    def lot_points(self) -> int: ...
    @property
    def qty_lots_min(self) -> int: ...
    @property
    def notional_ticklots_min(self) -> int: ...
    @property
    def price_decimals(self) -> int: ...
    @property
    def qty_decimals(self) -> int: ...

QUIET: dict[str, int]

class QuoteClamp(IntEnum):
    CLAMP_POST_ONLY_BID = 1
    CLAMP_POST_ONLY_ASK = 2
    CLAMP_FEE_FLOOR = 4
    CLAMP_SPREAD_MIN = 8
    CLAMP_SPREAD_MAX = 16
    CLAMP_ONE_SIDED = 32
    CLAMP_SKEW = 64
    CLAMP_FLOW = 128
    CLAMP_JUMP = 256
    CLAMP_BAND = 512
    CLAMP_NARROW = 1024
    CLAMP_HELD = 2048
    CLAMP_MICRO = 4096
    CLAMP_IMBALANCE = 8192
    CLAMP_OFI = 16384

def fence_ladder(
    view: Mapping[str, int],
    instrument: _Instrument,
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
) -> tuple[int, dict[str, Any]]: ...
