"""Coinbase Exchange's public REST interface."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, final
from urllib.parse import urlencode, urlsplit

from openmm.clock import Clock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.calls import Calls, Sleep
from openmm.venues.coinbase.fields import as_object, loads, text_of
from openmm.venues.coinbase.spec import VENUE, Endpoints
from openmm.venues.faults import Code
from openmm.venues.http import RoundTrip


@final
class Rest(Calls):
    """Call the public endpoints.

    Args:
        round_trip: carries the bytes; HTTP unless told otherwise.
        sleep: waits between repeats.
    """

    def __init__(
        self,
        endpoints: Endpoints | None = None,
        clock: Clock | None = None,
        *,
        round_trip: RoundTrip | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(VENUE, clock, round_trip, sleep)
        self.endpoints = endpoints or Endpoints()
        parts = urlsplit(self.endpoints.rest)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """GET an endpoint; returns the parsed body."""
        raw = await self.get_bytes(path, params)
        try:
            return loads(raw)
        except ProtocolError as error:
            raise ProtocolError(f"{path}: {error}", venue=VENUE) from None

    async def get_bytes(self, path: str, params: Mapping[str, str | int] | None = None) -> bytes:
        """GET an endpoint; returns the body as it came.

        Raises:
            TransportError: no reply, or one that is not the venue's.
            VenueRejected: the venue said no.
        """

        async def once() -> bytes:
            status, raw = await self._carry(
                "GET", self._base, self._prefix + path, urlencode(params or {}), b"",
                {"Accept": "application/json", "User-Agent": "openmm"},
            )  # fmt: skip
            if 200 <= status < 300:
                return raw
            raise refusal(raw, status, self._base + self._prefix + path)

        return await self._repeated(path, once, once_only=False)


def refusal(raw: bytes, status: int, url: str) -> VenueRejected | TransportError:
    """Make the error that a reply without success reports."""
    try:
        text = text_of(as_object(loads(raw)), "message")
    except ProtocolError:
        text = ""
    if not text or status >= 500:
        # A proxy's page, or a server that could not.
        return TransportError(
            f"{url}: HTTP status {status} {text}".rstrip(), venue=VENUE, code="transport",
            retryable=status >= 500 or status == 429,
        )  # fmt: skip
    code = {404: Code.INSTRUMENT, 429: Code.CALL_RATE, 400: Code.ARGUMENTS}.get(
        status, Code.UNKNOWN
    )
    return VenueRejected(f"{status}: {text}", venue=VENUE, code=code, retryable=status == 429)
