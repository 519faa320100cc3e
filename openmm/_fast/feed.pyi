import socket
from collections.abc import Callable
from typing import Final, final

from picows import WSFrame, WSListener, WSTransport

from openmm._fast.pipeline import Feed, Pipeline
from openmm._fast.ports import Transport
from openmm._fast.rehearsal import Rehearsal

PICOWS_VERSION: Final[str]

@final
class EventClock:
    def hold(self, now_ns: int) -> None: ...
    def anchor(self) -> int: ...
    def anchor_at(self, utc_ns: int, monotonic_ns: int) -> int: ...
    def at(self, monotonic_ns: int) -> int: ...
    def now_ns(self) -> int: ...
    def stepped_ns(self) -> int: ...

@final
class Assembler: ...

@final
class MarketListener(WSListener):
    transport: WSTransport | None
    oversize_count: int
    def __new__(
        cls,
        pipeline: Pipeline,
        feed: Feed,
        clock: EventClock,
        on_slow: Callable[[bytes, int], None],
        on_connection: Callable[[bool], None],
        before: Callable[[bytes, int], None] | None = None,
        late_ack: bool = False,
        rehearsal: Rehearsal | None = None,
    ) -> MarketListener: ...
    def deliver(self, payload: bytes, last: bool = True) -> None: ...
    def on_ws_connected(self, transport: WSTransport | None) -> None: ...
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None: ...
    def on_ws_disconnected(self, transport: WSTransport | None) -> None: ...

@final
class PrivateListener(WSListener):
    transport: WSTransport | None
    last_recv_ns: int
    def __new__(
        cls,
        pipeline: Pipeline,
        source: int,
        clock: EventClock,
        sender: SocketTransport | None,
        on_message: Callable[[bytes, int], None],
        on_connection: Callable[[bool], None],
        redact: Callable[[bytes], bytes],
    ) -> PrivateListener: ...
    def deliver(self, payload: bytes) -> None: ...
    def on_ws_connected(self, transport: WSTransport | None) -> None: ...
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None: ...
    def on_ws_disconnected(self, transport: WSTransport | None) -> None: ...

@final
class SocketTransport(Transport):
    bytes_sent: int
    last_error: BaseException | None
    def attach(self, ws: WSTransport) -> None: ...
    def detach(self) -> None: ...
    def attach_socket(self, sock: socket.socket) -> None: ...
