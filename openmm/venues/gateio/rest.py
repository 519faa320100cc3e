"""Gate.io's REST interface: what start-up, recovery and reconciliation ask for.

A failed request raises `TransportError`, a refusal `VenueRejected` with its typed code, and text
that is not the venue's protocol `ProtocolError`. Queries and cancels are repeated within a bound;
an order's placement or amendment never is: its outcome must be looked up.

Source: Gate documentation, "Gate API v4.106.88", read 2026-05-27.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, final
from urllib.parse import urlsplit

from openmm.clock import Clock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.calls import Calls, Sleep
from openmm.venues.faults import Code
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.fields import as_object, loads, text_of
from openmm.venues.gateio.spec import VENUE, Endpoints, classify
from openmm.venues.gateio.stream import dumps
from openmm.venues.http import RoundTrip

# What a repeat of the same call could do: place or amend twice.
ONCE_ONLY: Final = frozenset(
    {
        ("POST", "/spot/orders"), ("POST", "/spot/batch_orders"),
        ("POST", "/spot/amend_batch_orders"),
    }
)  # fmt: skip

Params = Mapping[str, str | int | bool]


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
        *,
        round_trip: RoundTrip | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(VENUE, clock, round_trip, sleep)
        self.endpoints = endpoints or Endpoints()
        self.key = key
        parts = urlsplit(self.endpoints.rest)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/") or "/api/v4"

    # --- calls

    async def public(self, path: str, params: Params | None = None) -> Any:
        """GET a public endpoint; returns the parsed body."""
        return parse(await self.public_bytes(path, params), path)

    async def public_bytes(self, path: str, params: Params | None = None) -> bytes:
        """GET a public endpoint; returns the body as it came."""

        async def once() -> bytes:
            return await self._send("GET", path, _query(params or {}), b"", signed=False)

        return await self._repeated(path, once, once_only=False)

    async def private(
        self,
        verb: str,
        path: str,
        params: Params | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
    ) -> Any:
        """Call a signed endpoint; returns the parsed body."""
        if self.key is None:
            raise VenueRejected(f"{path} needs an API key", venue=VENUE, code=Code.CREDENTIALS)
        raw = b"" if body is None else dumps(body).encode()

        async def once() -> bytes:
            return await self._send(verb, path, _query(params or {}), raw, signed=True)

        once_only = (verb, path) in ONCE_ONLY or verb == "PATCH"
        return parse(await self._repeated(f"{verb} {path}", once, once_only=once_only), path)

    # --- one round trip

    async def _send(self, verb: str, path: str, query: str, body: bytes, *, signed: bool) -> bytes:
        whole = self._prefix + path
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = "application/json"
        if signed:
            assert self.key is not None, "checked before"
            time_s = self.clock.now_ns() // 1_000_000_000
            headers |= self.key.headers(verb, whole, query, body, time_s)
        status, raw = await self._carry(verb, self._base, whole, query, body, headers)
        if 200 <= status < 300:
            return raw
        raise refusal(raw, status, self._base + whole)


def parse(raw: bytes, path: str) -> Any:
    """Return the JSON of a reply."""
    if not raw:
        return None
    try:
        return loads(raw)
    except ProtocolError as error:
        raise ProtocolError(f"{path}: {error}", venue=VENUE) from None


def refusal(raw: bytes, status: int, url: str) -> VenueRejected | TransportError:
    """Make the error that a reply without success reports."""
    try:
        body = as_object(loads(raw))
        label = text_of(body, "label")
        text = text_of(body, "message") or text_of(body, "detail")
    except ProtocolError:
        label = text = ""
    if not label:
        # A proxy's page, not the venue's answer.
        return TransportError(
            f"{url}: HTTP status {status}", venue=VENUE, code="transport",
            retryable=status >= 500 or status == 429,
        )  # fmt: skip
    fault = classify(label, text)
    return VenueRejected(
        f"{label}: {text}", venue=VENUE, code=fault.code, retryable=fault.retryable
    )


def _query(params: Params) -> str:
    """Write a query with nothing percent-encoded: signed and sent are the same text."""
    parts = []
    for name, value in params.items():
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        if not text.isascii() or any(char in text for char in " &=#%+?/\"'\\"):
            raise ValueError(f"{name} needs encoding: {text!r}")
        parts.append(f"{name}={text}")
    return "&".join(parts)
