from collections.abc import Mapping, Sequence
from typing import Any, final

from openmm._fast.ports import Strategy
from openmm.instrument import Instrument
from openmm.strategy.parameters import GridParameters

@final
class GridStrategy(Strategy):
    params: GridParameters
    def __new__(cls, instrument: Instrument, params: GridParameters) -> GridStrategy: ...
    one_sided: int
    @property
    def state(self) -> dict[str, Any]: ...
    @property
    def waits(self) -> tuple[list[int], list[int], list[int]]: ...
    @waits.setter
    def waits(self, value: Sequence[Sequence[int]]) -> None: ...
    @property
    def wake_ns(self) -> int | None: ...
    def filled(
        self, side: int, level: int, qty_lots: int, *, done: bool, now_ns: int
    ) -> tuple[int, int] | None: ...
    def quote(self, view: Mapping[str, int]) -> tuple[int, dict[str, Any]]: ...

def grid_ladder(
    view: Mapping[str, int],
    params: Mapping[str, Any],
    instrument: Instrument,
    one_sided: int = 0,
    *,
    held: tuple[int, int] = (0, 0),
    anchor: tuple[int, int] = (0, 0),
) -> tuple[int, int, dict[str, Any]]: ...
