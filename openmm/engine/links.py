"""Keep connections up: one task each, back-off that never gives up, silence that counts as loss."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import final

from picows import WSError, WSListener, WSMsgType

from openmm._fast.feed import EventClock
from openmm.engine.host import Connection, Dial, dial_socket
from openmm.errors import VenueError

log = logging.getLogger(__name__)

# A handful of quick tries first, then not faster than a venue's connect rate bears.
BACKOFF_S = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 5.0, 10.0)
# A connection that lived this long starts its back-off anew.
GOOD_AFTER_S = 30.0
CONNECT_TIMEOUT_S = 10.0


@final
class Link:
    """One WebSocket connection, kept.

    Args:
        url: tells where to connect, behind `hello`: what that fetches may be part of it.
        make: makes the listener of the next connection.
        hello: gets the messages to send on connect (a token may have to be fetched first); what it
            raises of `VenueError` counts as a failed try.
        on_lost: called once for each connection that ends.
        dial: opens a connection.
    """

    def __init__(
        self,
        name: str,
        url: Callable[[], str],
        make: Callable[[], WSListener],
        hello: Callable[[], Awaitable[Sequence[bytes]]],
        on_lost: Callable[[str], None],
        clock: EventClock,
        dial: Dial = dial_socket,
    ) -> None:
        self.name = name
        self.url = url
        self.transport: Connection | None = None
        self.connect_count = 0
        self.last_error = ""
        self._make = make
        self._hello = hello
        self._on_lost = on_lost
        self._clock = clock
        self._dial = dial
        self._closing = False

    @property
    def up(self) -> bool:
        """Whether the socket is open."""
        return self.transport is not None

    @property
    def _place(self) -> str:
        """Where it connects, for the log: a credential may stand in the query."""
        return self.url().partition("?")[0]

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
                log.warning("%s: cannot connect to %s: %s", self.name, self._place, self.last_error)
            if self._clock.now_ns() - started_ns > GOOD_AFTER_S * 1e9:
                tries = 0

    async def _once(self) -> None:
        messages = await self._hello()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport = await self._dial(self.url(), self._make)
        self.transport = transport
        self.connect_count += 1
        log.info("%s: connected to %s", self.name, self._place)
        try:
            self.send(messages)
            await transport.wait_disconnected()
        finally:
            self.transport = None
            self._on_lost(self.name)
