from collections.abc import Mapping
from typing import Any

from openmm._fast.quotes import _Instrument

SHAPE_FIELDS: tuple[str, ...]

def place_ladder(
    view: Mapping[str, int],
    params: Mapping[str, int],
    instrument: _Instrument,
    *,
    centre_uticks: int,
    half_uticks: int,
    fee_uticks: int = 0,
    bids: bool = True,
    asks: bool = True,
) -> tuple[int, dict[str, Any]]: ...
