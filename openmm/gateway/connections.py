"""Connections at the socket: how many an address may have, and how long it may take its time."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Any, Final, final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_S: Final = 10.0  # from the connection, or the end of an answer, to a whole request head
WRITE_S: Final = 20.0  # an answer that its reader does not take
ADDRESS_MAX: Final = 96  # connections of one address; a host's own clients share loopback
TOTAL_MAX: Final = 256
HEAD_BYTES_MAX: Final = 16 << 10


_OPEN: Final[Counter[str]] = Counter()  # by address, of this process


def open_count(address: str | None = None) -> int:
    """Return the connections of an address, or all of them."""
    return _OPEN.total() if address is None else _OPEN[address]


def _leave(address: str) -> None:
    _OPEN[address] -= 1
    if not _OPEN[address]:
        del _OPEN[address]


@final
class _Patience:
    """With a reader that takes nothing: after a while the connection is let go."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """It takes nothing from now on."""
        self.end()
        self._timer = self._loop.call_later(WRITE_S, self._transport.abort)

    def end(self) -> None:
        """It takes again, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class GuardedProtocol(H11Protocol):
    """Uvicorn's HTTP/1.1 protocol, which leaves a silent or unread connection open for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it when its address has too many."""
        super().connection_made(transport)
        self._address = str(self.client[0]) if self.client else "unknown"
        self._head: asyncio.TimerHandle | None = None
        self._stuck = _Patience(self.loop, transport)
        self._counted = False
        if _OPEN[self._address] >= ADDRESS_MAX or _OPEN.total() >= TOTAL_MAX:
            transport.write(_FULL)
            transport.close()
            return
        self._counted = True
        _OPEN[self._address] += 1
        self._head = self.loop.call_later(HEAD_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        if self._counted:
            self._counted = False
            _leave(self._address)
        self._rest()
        self._stuck.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the clock of a request's head stops once the head is whole."""
        if self.transport.is_closing():
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before or self.transport.get_protocol() is not self:
            self._rest()
        elif self._head is None and (self.cycle is None or self.cycle.response_complete):
            # A next request has begun on a kept connection: its head has the same time.
            self._head = self.loop.call_later(HEAD_S, self._too_slow)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over, and its place with it."""
        self._rest()
        super().handle_websocket_upgrade(event)
        if self._counted:
            self._counted = False
            _leave(self._address)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the shape of every refusal."""
        self.transport.write(_BAD)
        self.transport.close()

    def pause_writing(self) -> None:
        """Give a reader who takes nothing a while, then let go of it."""
        super().pause_writing()
        self._stuck.begin()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._stuck.end()
        super().resume_writing()

    def _rest(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_SLOW)
            self.transport.close()


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket protocol, counted, and closed when its reader takes nothing."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection over from the HTTP protocol, which had a place for it."""
        super().connection_made(transport)
        self._address = str(self.client[0]) if self.client else "unknown"
        self._stuck = _Patience(self.loop, transport)
        _OPEN[self._address] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        _leave(self._address)
        self._stuck.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give a reader who takes nothing a while, then let go of it."""
        super().pause_writing()
        self._stuck.begin()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._stuck.end()
        super().resume_writing()


def _answer(status: str, code: str, message: str, more: str = "") -> bytes:
    body = f'{{"error":{{"code":"{code}","message":"{message}","hint":"try again later"}}}}'
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n{more}"
        f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


_FULL: Final = _answer(
    "503 Service Unavailable", "too_many_connections", "too many connections of this address",
    "Retry-After: 1\r\n",
)  # fmt: skip
_BAD: Final = _answer("400 Bad Request", "bad_request", "this is no HTTP request")
_SLOW: Final = _answer("408 Request Timeout", "too_slow", "the request did not arrive in time")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to one address.

    Raises:
        OSError: it cannot be had.
    """
    found: list[Any] = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
