"""Carry requests to a venue and replies back: HTTP on kept connections, or what stands in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Protocol, final

import aiohttp
from yarl import URL

from openmm.errors import ProtocolError, TransportError

REPLY_BYTES_MAX: Final = 32 << 20


class RoundTrip(Protocol):
    """Carry one request to a venue and its reply back: sockets, or a venue in this process."""

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Return HTTP status and body; raise TransportError when there is no reply."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


@final
class HttpRoundTrip:
    """Carry requests over HTTP, on connections that are kept.

    Args:
        timeout_s: of one round trip, from connecting to the last byte.
    """

    def __init__(self, venue: str, timeout_s: float = 10.0) -> None:
        self._venue = venue
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Return HTTP status and body."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        url = base + path
        try:
            async with self._session.request(
                verb,
                # As it is: what is signed are the bytes of the query that were written.
                URL(f"{url}?{query}" if query else url, encoded=True),
                data=body or None,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as reply:
                return reply.status, await self._read_bounded(reply)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransportError(
                f"{url}: {_words(error, self._timeout.total)}",
                venue=self._venue,
                retryable=True,
            ) from None

    async def _read_bounded(self, reply: aiohttp.ClientResponse) -> bytes:
        raw = bytearray()
        async for chunk in reply.content.iter_any():
            raw += chunk
            if len(raw) > REPLY_BYTES_MAX:
                raise ProtocolError(
                    f"reply is longer than {REPLY_BYTES_MAX} bytes", venue=self._venue
                )
        return bytes(raw)


def _words(error: Exception, timeout_s: float | None) -> str:
    """Say what failed; the library's text may repeat the request, so its kind has to do."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the host's name is not known here (no network, or a wrong address)"
        case aiohttp.ClientSSLError():
            return "TLS failed: its certificate or its handshake was not good"
        case aiohttp.ClientConnectorError():
            return f"no connection: {os.strerror(error.errno or 0).lower()}"
        case TimeoutError():
            return f"no answer within {timeout_s:g} s"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "the connection ended before the answer did"
        case _:
            return type(error).__name__
