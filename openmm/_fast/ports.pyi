from collections.abc import Callable
from enum import IntEnum
from typing import Any, final

from typing_extensions import disjoint_base

from openmm._fast.orders import OrderTable

class Decoded(IntEnum):
    DECODED_UNDECIDED = 0
    DECODED_BOOK = 1
    DECODED_TRADE = 2
    DECODED_IGNORED = 3
    DECODED_SLOW = 4
    DECODED_BROKEN = 5

class Count(IntEnum):
    MESSAGES = 0
    BOOK_UPDATES = 1
    SNAPSHOTS = 2
    TRADES = 3
    TRADE_GAPS = 4
    TRADES_ROUNDED = 5
    TRADES_REPEATED = 6
    LEVELS_ROUNDED = 7
    CHECKSUMS_OK = 8
    CHECKSUMS_FAILED = 9
    GAPS = 10
    OLD_SNAPSHOTS = 11
    HELD = 12
    DROPPED = 13
    OVERFLOWS = 14
    CROSSED = 15
    OFF_TICK = 16
    BOUNDS = 17
    CAPACITY = 18
    PARSE_ERRORS = 19
    NOT_READY = 20
    UNBOUND = 21
    HEARTBEATS = 22
    SLOW = 23
    AGAIN = 24
    COUNTS = 25

class RequestKind(IntEnum):
    REQUEST_UNDECIDED = 0
    REQUEST_ADD = 1
    REQUEST_BATCH_ADD = 2
    REQUEST_AMEND = 3
    REQUEST_CANCEL = 4
    REQUEST_BATCH_CANCEL = 5

COUNT_NAMES: tuple[str, ...]
KIND_NAMES: tuple[str, ...]

@disjoint_base
class Sink: ...

@disjoint_base
class Decoder:
    def __new__(cls, *args: Any, **kwargs: Any) -> Decoder: ...
    @property
    def last_touched(self) -> int: ...
    @property
    def last_ts_ns(self) -> int: ...
    @property
    def counters(self) -> dict[str, int]: ...
    def set_sink(self, sink: Sink) -> None: ...
    def decode(self, data: bytes, recv_ns: int = 0) -> Decoded: ...
    def decode_many(self, frames: list[bytes], recv_ns: int = 0) -> int: ...

@disjoint_base
class Encoder:
    def __new__(cls, *args: Any, **kwargs: Any) -> Encoder: ...
    @property
    def last_req_id(self) -> int: ...
    def client_id(self, seq: int) -> str: ...
    def encode(
        self,
        actions: list[tuple[int, int, int, int, int, bool]],
        now_ns: int,
        table: OrderTable | None = None,
    ) -> list[tuple[bytes, int]]: ...
    def send(
        self,
        transport: Transport,
        actions: list[tuple[int, int, int, int, int, bool]],
        now_ns: int,
        table: OrderTable | None = None,
        rounds: int = 1,
    ) -> int: ...
    def encode_many(
        self, actions: list[tuple[int, int, int, int, int, bool]], now_ns: int, rounds: int
    ) -> int: ...
    def is_earlier(self, client_id: str) -> bool: ...
    def is_later(self, client_id: str) -> bool: ...
    def requested(self, req_id: int) -> tuple[str, list[int]]: ...
    def requests(self, req_id: int) -> tuple[RequestKind, list[int]] | None: ...
    def seq_of(self, client_id: str) -> int: ...
    def superseded(self, req_id: int, seq: int) -> bool: ...

@disjoint_base
class Strategy: ...

@disjoint_base
class Transport: ...

NOTHING_BID: int
NOTHING_ASK: int

@disjoint_base
class Neighbours:
    def __new__(cls, *args: object, **kwargs: object) -> Neighbours: ...
    @property
    def on(self) -> bool: ...
    @property
    def count(self) -> int: ...
    @property
    def look_count(self) -> int: ...
    def look(self) -> bool: ...
    def publish(self, bid_ticks: int, ask_ticks: int) -> None: ...
    @property
    def bid_ticks(self) -> int: ...
    @property
    def ask_ticks(self) -> int: ...

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
