"""What an engine takes of the world around it: time, connections, requests, the writer process.

The defaults are a machine's: its clock, sockets, HTTP. A venue in this process on a virtual clock
stands in for all of them at once (`openmm.testing.virtual`); the rest of the engine is the same.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct, field
from picows import WSListener, WSMsgType, ws_connect

from openmm._fast.feed import EventClock, SocketTransport
from openmm._fast.ports import Transport
from openmm.engine.spin import heat
from openmm.venues.connector import OrderHttp
from openmm.venues.registry import RoundTrip

if TYPE_CHECKING:
    from openmm.engine.orders import OrderRequests

# Connects and losses are logged in the bot's words; picows' own only when something is wrong.
picows_log = logging.getLogger(f"{__name__}.picows")

MESSAGE_BYTES_MAX = 16 << 20
# What the kernel may hold of one connection (it takes twice this, for its own part of it). A read
# brings all of that at once, and until it is dealt with nothing else has its turn: no answer on
# another connection, no command, no timer.
UNREAD_BYTES_MAX = 128 << 10
# A connection without a frame for so long is asked for one, and is lost without an answer in time.
SILENT_AFTER_S = 5.0
ANSWER_WITHIN_S = 5.0


class Connection(Protocol):
    """One open connection, as its link sees it. picows' transports are such."""

    def send(self, msg_type: WSMsgType, message: bytes) -> None:
        """Send one message."""
        ...

    def disconnect(self, graceful: bool = True) -> None:
        """End it."""
        ...

    async def wait_disconnected(self) -> object:
        """Wait until it has ended, whoever ended it."""
        ...


# Connect to an address with the listener that the second argument makes.
Dial: TypeAlias = Callable[[str, Callable[[], WSListener]], Awaitable[Connection]]


async def dial_socket(url: str, make: Callable[[], WSListener]) -> Connection:
    """Connect a WebSocket; the engine's own loop reads it ahead of all else."""
    picows_log.setLevel(logging.WARNING)
    transport, _ = await ws_connect(
        lambda *_: make(),
        url,
        logger_name=picows_log,
        max_frame_size=MESSAGE_BYTES_MAX,
        websocket_handshake_timeout=5.0,
        enable_auto_ping=True,
        # The listeners answer pings: they have to see the frame that ends a read.
        enable_auto_pong=False,
        # A redirect would take our credentials and orders to a host of the answer's choosing.
        max_redirects=0,
        auto_ping_idle_timeout=SILENT_AFTER_S,
        auto_ping_reply_timeout=ANSWER_WITHIN_S,
    )
    bound_unread(transport.underlying_transport.get_extra_info("socket"))
    heat(transport)
    return transport


def bound_unread(sock: socket.socket) -> None:
    """Let what we do not keep up with wait at the sender, not in the kernel and the read buffer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES_MAX)


def _order_lines(http: OrderHttp) -> OrderRequests:
    from openmm.engine.orders import OrderLines  # only a venue without WebSocket trading needs it

    return OrderLines(http)


class Host(Struct, frozen=True):
    """The world around one engine.

    Args:
        clock: tells event time.
        dial: opens connections.
        round_trip: carries requests; None: HTTP.
        transport: makes what live orders leave through.
        orders: makes it where they leave over REST.
        board: where bots see each other; None: beside the account locks, or nowhere where requests
            are carried by somebody else.
        writer: whether a writer process follows the tape; without one its owner has to.
    """

    clock: EventClock = field(default_factory=EventClock)
    dial: Dial = dial_socket
    round_trip: RoundTrip | None = None
    transport: Callable[[], Transport] = SocketTransport
    orders: Callable[[OrderHttp], OrderRequests] = _order_lines
    board: Path | None = None
    writer: bool = True
