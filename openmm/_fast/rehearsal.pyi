import socket
from collections.abc import Sequence
from typing import final

from openmm._fast.pipeline import Feed, Pipeline

@final
class Rehearsal:
    pass_count: int
    sent_count: int
    dropped_count: int
    def __new__(
        cls,
        real: Pipeline,
        stage: Pipeline,
        feeds: Sequence[Feed],
        inlet: socket.socket | None = None,
    ) -> Rehearsal: ...
    def keep(self, index: int, frame: bytes, recv_ns: int) -> None: ...
    def close(self) -> None: ...
    def run(self, count: int = 1) -> None: ...
