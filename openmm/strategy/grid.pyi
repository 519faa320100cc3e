from collections.abc import Mapping
from typing import Any, final

from openmm._fast.ports import Strategy
from openmm.instrument import Instrument
from openmm.strategy.parameters import GridParameters

@final
class GridStrategy(Strategy):
    params: GridParameters
    def __new__(cls, instrument: Instrument, params: GridParameters) -> GridStrategy: ...
    @property
    def one_sided(self) -> int: ...
    def quote(self, view: Mapping[str, int]) -> tuple[int, dict[str, Any]]: ...

def grid_ladder(
    view: Mapping[str, int],
    params: Mapping[str, int],
    instrument: Instrument,
    one_sided: int = 0,
) -> tuple[int, int, dict[str, Any]]: ...
