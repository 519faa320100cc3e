"""MEXC's REST interface: what start-up, recovery and reconciliation ask for; orders of programs.

A failed request raises `TransportError`, a refusal `VenueRejected` with its typed code, and text
that is not the venue's protocol `ProtocolError`. Queries and cancels are repeated within a bound;
an order's placement never is: its outcome must be looked up. All parameters travel in the query,
which is what is signed. The engine's own orders leave by another way (`encode`, `_fast.rest`).

Source: MEXC API documentation, "Signed", "Error Code", 2025-08 to 2026; issues quoted in ccxt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, final
from urllib.parse import quote

from openmm.clock import Clock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.calls import Calls, Sleep
from openmm.venues.faults import Code
from openmm.venues.http import RoundTrip
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.fields import as_int, as_object, loads, text_of
from openmm.venues.mexc.spec import OK_CODES, VENUE, Endpoints, Settings, classify

# What a repeat of the same call could do: place twice.
ONCE_ONLY: Final = frozenset({("POST", "/api/v3/order"), ("POST", "/api/v3/batchOrders")})

Params = Mapping[str, str | int]


@final
class Rest(Calls):
    """Call the REST interface; one object a key.

    Args:
        key: signs private calls; without one they are refused.
        round_trip: carries the bytes; HTTP unless told otherwise.
        sleep: waits between repeats.
    """

    def __init__(
        self,
        endpoints: Endpoints | None = None,
        key: Key | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        *,
        round_trip: RoundTrip | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(VENUE, clock, round_trip, sleep)
        self.endpoints = endpoints or Endpoints()
        self.key = key
        self.settings = settings or Settings()

    # --- calls

    async def public(self, path: str, params: Params | None = None) -> Any:
        """GET a public endpoint; returns the parsed body."""
        return parse(await self.public_bytes(path, params), path)

    async def public_bytes(self, path: str, params: Params | None = None) -> bytes:
        """GET a public endpoint; returns the body as it came."""
        query = query_of(params or {})
        return await self._repeated(
            path, lambda: self._send("GET", path, query, {}), once_only=False
        )

    async def private(self, verb: str, path: str, params: Params | None = None) -> Any:
        """Call a signed endpoint; returns the parsed body."""
        key = self.key
        if key is None:
            raise VenueRejected(f"{path} needs an API key", venue=VENUE, code=Code.CREDENTIALS)

        async def once() -> bytes:
            stamp_ms = self.clock.now_ns() // 1_000_000
            window_ms = self.settings.recv_window_ms
            query = query_of({**(params or {}), "recvWindow": window_ms, "timestamp": stamp_ms})
            signed = f"{query}&signature={key.sign(query.encode()).decode()}"
            return await self._send(verb, path, signed, key.headers())

        raw = await self._repeated(
            f"{verb} {path}", once, once_only=(verb, path) in ONCE_ONLY
        )  # fmt: skip
        return parse(raw, path)

    # --- one round trip

    async def _send(self, verb: str, path: str, query: str, headers: Mapping[str, str]) -> bytes:
        base = self.endpoints.rest
        told = {"Accept": "application/json", **headers}
        status, raw = await self._carry(verb, base, path, query, b"", told)
        if 200 <= status < 300:
            return raw
        raise refusal(raw, status, base + path)


def parse(raw: bytes, path: str) -> Any:
    """Return the JSON of a reply; one that carries an error's code is a refusal."""
    try:
        body = loads(raw)
    except ProtocolError as error:
        raise ProtocolError(f"{path}: {error}", venue=VENUE) from None
    if isinstance(body, dict) and "code" in body and as_int(body["code"]) not in OK_CODES:
        raise refused(as_int(body["code"]), text_of(body, "msg"))
    return body


def refusal(raw: bytes, status: int, url: str) -> VenueRejected | TransportError:
    """Make the error that a reply without success reports: its code decides, else the status."""
    try:
        body = as_object(loads(raw))
        code = as_int(body.get("code"))
        text = text_of(body, "msg")
    except ProtocolError:
        code, text = 0, ""
    if status in (418, 429):
        return refused(status, text or "too many requests")
    if code in OK_CODES:
        # A proxy's page, not the venue's answer.
        return TransportError(
            f"{url}: HTTP status {status}", venue=VENUE, code="transport",
            retryable=status >= 500 or status == 403,
        )  # fmt: skip
    return refused(code, text)


def refused(code: int, text: str) -> VenueRejected:
    """Make the error of a code."""
    fault = classify(code)
    return VenueRejected(f"{code}: {text}", venue=VENUE, code=fault.code, retryable=fault.retryable)


def query_of(params: Params) -> str:
    """Write a query, percent-encoded in upper case, parameters in the order given."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())
