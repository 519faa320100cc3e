"""Keep connections up: one task each, back-off that never gives up, silence that counts as loss."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import final

from picows import WSError, WSListener, WSMsgType, WSTransport, ws_connect

from openmm._fast.feed import EventClock
from openmm.errors import VenueError

log = logging.getLogger(__name__)
# Connects and losses are logged here, in the bot's words; picows' own only when something is wrong.
picows_log = logging.getLogger(f"{__name__}.picows")

# A handful of quick tries first, then not faster than a venue's connect rate bears.
BACKOFF_S = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 5.0, 10.0)
# A connection that lived this long starts its back-off anew.
GOOD_AFTER_S = 30.0
MESSAGE_BYTES_MAX = 16 << 20
# A connection without a frame for so long is asked for one, and is lost without an answer in time.
SILENT_AFTER_S = 5.0
ANSWER_WITHIN_S = 5.0
CONNECT_TIMEOUT_S = 10.0


@final
class Link:
    """One WebSocket connection, kept.

    Args:
        make: makes the listener of the next connection.
        hello: gets the messages to send on connect (a token may have to be fetched first); what it
            raises of `VenueError` counts as a failed try.
        on_lost: called once for each connection that ends.
    """

    def __init__(
        self,
        name: str,
        url: str,
        make: Callable[[], WSListener],
        hello: Callable[[], Awaitable[Sequence[bytes]]],
        on_lost: Callable[[str], None],
        clock: EventClock,
    ) -> None:
        self.name = name
        self.url = url
        self.transport: WSTransport | None = None
        self.connect_count = 0
        self.last_error = ""
        self._make = make
        self._hello = hello
        self._on_lost = on_lost
        self._clock = clock
        self._closing = False
        picows_log.setLevel(logging.WARNING)

    @property
    def up(self) -> bool:
        """Whether the socket is open."""
        return self.transport is not None

    def send(self, messages: Sequence[bytes]) -> bool:
        """Send slow-path messages; False when there is no connection."""
        if self.transport is None:
            return False
        for message in messages:
            self.transport.send(WSMsgType.TEXT, message)
        return True

    def drop(self) -> None:
        """End the present connection; the task makes another."""
        if self.transport is not None:
            self.transport.disconnect(False)

    def close(self) -> None:
        """End the present connection for good."""
        self._closing = True
        self.drop()

    async def keep(self) -> None:
        """Connect, wait for the end, connect again, until closed or cancelled."""
        tries = 0
        while not self._closing:
            await asyncio.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1
            started_ns = self._clock.now_ns()
            try:
                await self._once()
            except (OSError, WSError, TimeoutError, ssl.SSLError, VenueError) as error:
                self.last_error = f"{type(error).__name__}: {error}"
                log.warning("%s: cannot connect to %s: %s", self.name, self.url, self.last_error)
            if self._clock.now_ns() - started_ns > GOOD_AFTER_S * 1e9:
                tries = 0

    async def _once(self) -> None:
        messages = await self._hello()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport, _ = await ws_connect(
                lambda *_: self._make(),
                self.url,
                logger_name=picows_log,
                max_frame_size=MESSAGE_BYTES_MAX,
                websocket_handshake_timeout=5.0,
                enable_auto_ping=True,
                auto_ping_idle_timeout=SILENT_AFTER_S,
                auto_ping_reply_timeout=ANSWER_WITHIN_S,
            )
        self.transport = transport
        self.connect_count += 1
        log.info("%s: connected to %s", self.name, self.url)
        try:
            self.send(messages)
            await transport.wait_disconnected()
        finally:
            self.transport = None
            self._on_lost(self.name)
