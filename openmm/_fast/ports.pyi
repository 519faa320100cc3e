from collections.abc import Callable
from enum import IntEnum
from typing import Any, final

from typing_extensions import disjoint_base

class Decoded(IntEnum):
    DECODED_UNDECIDED = 0
    DECODED_BOOK = 1
    DECODED_TRADE = 2
    DECODED_IGNORED = 3
    DECODED_SLOW = 4
    DECODED_BROKEN = 5

@disjoint_base
class Sink: ...

@disjoint_base
class Decoder:
    def __new__(cls, *args: Any, **kwargs: Any) -> Decoder: ...
    def set_sink(self, sink: Sink) -> None: ...

@disjoint_base
class Encoder: ...

@disjoint_base
class Strategy: ...

@disjoint_base
class Transport: ...

@final
class MemoryTransport(Transport):
    sent: list[bytes]
    write_count: int
    def __new__(cls, on_sent: Callable[[list[bytes]], None] | None = None) -> MemoryTransport: ...
    def set_live(self, live: bool) -> None: ...
    def take(self) -> list[bytes]: ...

@final
class NullTransport(Transport):
    write_count: int
    message_count: int
    byte_count: int

@final
class TradeLog(Sink):
    count: int
    dropped: int
    def __new__(cls, capacity: int = 1024) -> TradeLog: ...
    def take(self) -> list[tuple[int, int, int, int, int, int, int]]: ...
