"""Binance's public REST interface, of one market."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, final
from urllib.parse import urlencode, urlsplit

from openmm.clock import Clock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.binance.fields import as_int, as_object, loads, text_of
from openmm.venues.binance.spec import MARKETS, VENUE, Endpoints, Settings, classify
from openmm.venues.calls import Calls, Sleep
from openmm.venues.http import RoundTrip


@final
class Rest(Calls):
    """Call the public endpoints of a market.

    Args:
        round_trip: carries the bytes; HTTP unless told otherwise.
        sleep: waits between repeats.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        endpoints: Endpoints | None = None,
        clock: Clock | None = None,
        *,
        round_trip: RoundTrip | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(VENUE, clock, round_trip, sleep)
        self.settings = settings or Settings()
        self.market = MARKETS[self.settings.market]
        self.endpoints = endpoints or self.market.endpoints
        parts = urlsplit(self.endpoints.rest)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/") + self.market.api

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
                {"Accept": "application/json"},
            )  # fmt: skip
            if 200 <= status < 300:
                return raw
            raise refusal(raw, status, self._base + self._prefix + path)

        return await self._repeated(path, once, once_only=False)


def refusal(raw: bytes, status: int, url: str) -> VenueRejected | TransportError:
    """Make the error that a reply without success reports."""
    try:
        body = as_object(loads(raw))
        code, text = as_int(body.get("code")), text_of(body, "msg")
    except ProtocolError:
        # A proxy's page, not the venue's answer.
        return TransportError(
            f"{url}: HTTP status {status}", venue=VENUE, code="transport",
            retryable=status >= 500 or status == 429,
        )  # fmt: skip
    fault = classify(code)
    return VenueRejected(f"{code}: {text}", venue=VENUE, code=fault.code, retryable=fault.retryable)
