"""Kept HTTP connections that orders leave over, where a venue takes them by REST only.

Each connection has its task: it connects, asks for a sign of life when idle, and connects again,
with a back-off, when it is lost. What was asked over a lost connection has no known outcome: nobody
is told, and the orders' own timeouts have the venue asked.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final, Protocol, final
from urllib.parse import urlsplit

import httptools

from openmm._fast.ports import Transport
from openmm._fast.rest import OrderLine, RestTransport
from openmm.engine.links import BACKOFF_S, CONNECT_TIMEOUT_S, GOOD_AFTER_S
from openmm.venues.connector import OrderHttp

log = logging.getLogger(__name__)

# Servers close connections that were idle for a minute or so.
IDLE_S: Final = 15.0
# A request without a reply for so long: the connection is of no more use.
ANSWER_WITHIN_S: Final = 10.0
LOOK_S: Final = 1.0
REPLY_BYTES_MAX: Final = 1 << 20

OnReply = Callable[[bytes], None]


class OrderRequests(Protocol):
    """What carries orders over REST: sockets, or a venue in this process."""

    @property
    def transport(self) -> Transport:
        """What the pipeline writes to."""
        ...

    @property
    def up(self) -> bool:
        """Whether orders can leave."""
        ...

    async def keep(self, on_reply: OnReply) -> None:
        """Stay connected until cancelled; replies are handed over as frames."""
        ...


@final
class _Reader(asyncio.Protocol):
    """Read the replies of one connection."""

    def __init__(self, line: OrderLine, on_reply: Callable[[int, int, bytes], None]) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self.read_count = 0
        self._line = line
        self._on_reply = on_reply
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        assert isinstance(transport, asyncio.Transport), transport
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read what came; text that is no HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            log.warning("order connection: no HTTP: %s", type(error).__name__)
            self.abort()

    def on_message_begin(self) -> None:
        """Begin a reply."""
        self._body.clear()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._body += body
        if len(self._body) > REPLY_BYTES_MAX:
            self.abort()

    def on_message_complete(self) -> None:
        """Hand a reply over: of the oldest request on this connection."""
        req_id = self._line.answered()
        self.read_count += 1
        if req_id > 0:
            self._on_reply(req_id, self._parser.get_status_code(), bytes(self._body))
        if req_id < 0 or not self._parser.should_keep_alive():
            # It answers what nobody asked (a timeout, mostly), or says that it ends here.
            self.abort()

    def abort(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the task."""
        if not self.closed.done():
            self.closed.set_result(None)


@final
class OrderLines:
    """Own the connections; `transport` sends over them."""

    def __init__(self, http: OrderHttp) -> None:
        self._http = http
        parts = urlsplit(http.url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls is not None else 80)
        self.transport = RestTransport(parts.netloc, http.headers, http.connections)
        self._idle = (
            f"GET {http.idle_path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii")
        )  # fmt: skip
        self.connect_count = 0
        self.lost_count = 0  # of requests whose connection ended before the reply

    @property
    def up(self) -> bool:
        """Whether a connection is up."""
        return self.transport.up

    async def keep(self, on_reply: OnReply) -> None:
        """Keep every connection up, until cancelled."""

        def told(req_id: int, status: int, body: bytes) -> None:
            on_reply(self._http.reply(req_id, status, body))

        async with asyncio.TaskGroup() as tasks:
            for line in self.transport.lines:
                tasks.create_task(self._keep(line, told))

    async def _keep(self, line: OrderLine, told: Callable[[int, int, bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            await asyncio.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1
            started = loop.time()
            try:
                await self._once(line, told)
            except (OSError, TimeoutError, ssl.SSLError) as error:
                log.warning("order connection to %s: %s", self._host, type(error).__name__)
            if loop.time() - started > GOOD_AFTER_S:
                tries = 0

    async def _once(self, line: OrderLine, told: Callable[[int, int, bytes], None]) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport, reader = await asyncio.get_running_loop().create_connection(
                lambda: _Reader(line, told), self._host, self._port, ssl=self._tls
            )
        self.connect_count += 1
        # TLS changes the bytes on their way: they go through its transport then.
        plain = transport.get_extra_info("socket") if self._tls is None else None
        line.attach(transport, -1 if plain is None else plain.fileno())
        self.transport.look()
        try:
            await self._watch(line, reader)
        finally:
            lost = line.detach()
            self.transport.look()
            transport.abort()
            if lost:
                self.lost_count += len(lost)
                log.warning("order connection lost with %d requests unanswered", len(lost))

    async def _watch(self, line: OrderLine, reader: _Reader) -> None:
        """Wait for its end; ask an idle one for a sign of life, end one that does not answer."""
        loop = asyncio.get_running_loop()
        seen, moved = (0, 0), loop.time()
        while not reader.closed.done():
            await asyncio.wait([reader.closed], timeout=LOOK_S)
            now = (reader.read_count, line.sent_count)
            if now != seen:
                seen, moved = now, loop.time()
            elif line.outstanding and loop.time() - moved > ANSWER_WITHIN_S:
                return
            elif not line.outstanding and loop.time() - moved > IDLE_S and line.up:
                line.ask(self._idle)
                moved = loop.time()
