from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from openmm._fast.ports import Strategy

def call_bare(function: Callable[[Any], object], argument: object, n: int) -> None: ...
def call_strategy(strategy: Strategy, view: Mapping[str, int], n: int) -> int: ...

@final
class ToldStrategy(Strategy):
    def __new__(
        cls,
        bids: Sequence[tuple[int, int]] = (),
        asks: Sequence[tuple[int, int]] = (),
        answer: int = 1,
        bid_count: int | None = None,
        ask_count: int | None = None,
        one_sided: int = 0,
        spoils: bool = False,
    ) -> ToldStrategy: ...
    @property
    def call_count(self) -> int: ...
