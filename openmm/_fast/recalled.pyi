from typing import final

from openmm._fast.ports import Neighbours, Transport

@final
class RecalledTransport(Transport):
    missing_count: int
    def __new__(cls) -> RecalledTransport: ...
    def recall(self, results: list[int]) -> None: ...

@final
class RecalledNeighbours(Neighbours):
    def __new__(cls) -> RecalledNeighbours: ...
    def recall(self, told: list[tuple[int, ...]]) -> None: ...
