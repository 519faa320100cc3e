from collections.abc import Mapping
from typing import Any, final

from openmm._fast.ports import Strategy
from openmm.instrument import Instrument
from openmm.strategy.model_parameters import AvellanedaParameters

def avellaneda_ladder(
    view: Mapping[str, int], params: Mapping[str, int], instrument: Instrument, one_sided: int = 0
) -> tuple[int, int, dict[str, Any], dict[str, int]]: ...

@final
class AvellanedaStrategy(Strategy):
    def __new__(
        cls, instrument: Instrument, params: AvellanedaParameters
    ) -> AvellanedaStrategy: ...
    params: AvellanedaParameters
    one_sided: int
    @property
    def solved(self) -> dict[str, int]: ...
    def quote(self, view: Mapping[str, int]) -> tuple[int, dict[str, Any]]: ...
