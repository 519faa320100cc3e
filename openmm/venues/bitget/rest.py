"""Bitget's REST interface: what start-up, recovery and reconciliation ask for, and order entry.

A failed request raises `TransportError`, a refusal `VenueRejected` with its typed code, and text
that is not the venue's protocol `ProtocolError`. Queries and cancels are repeated within a bound;
an order's placement or amendment never is: its outcome must be looked up.

Source: Bitget API documentation, "Signature", "REST API error code", crawl of 2025-12-05; captures
in ccxt and hummingbot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, final
from urllib.parse import quote

from openmm.clock import Clock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.bitget.auth import Key
from openmm.venues.bitget.fields import as_object, loads, text_of
from openmm.venues.bitget.spec import (
    CLASSIC_ON_UNIFIED,
    OK_CODES,
    UNIFIED_ON_CLASSIC,
    VENUE,
    Endpoints,
    Family,
    Settings,
    classify,
)
from openmm.venues.bitget.stream import dumps
from openmm.venues.calls import Calls, Sleep
from openmm.venues.faults import Code
from openmm.venues.http import RoundTrip

# What a repeat of the same call could do: place or change twice.
ONCE_ONLY: Final = ("place-order", "batch-orders", "cancel-replace-order", "place-batch",
                    "batch-cancel-replace-order", "modify-order")  # fmt: skip

Params = Mapping[str, str | int]
Body = Mapping[str, Any] | Sequence[Any]


class FamilyChanged(VenueRejected):
    """Report that the key belongs to the other family, which `Rest` now speaks for."""


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
        self.family = self.settings.family

    # --- calls

    async def public(self, path: str, params: Params | None = None) -> Any:
        """GET a public endpoint; returns `data`."""
        return await self._call("GET", path, params or {}, b"", signed=False)

    async def get(self, path: str, params: Params | None = None) -> Any:
        """GET a signed endpoint; returns `data`."""
        return await self._call("GET", path, params or {}, b"", signed=True)

    async def post(self, path: str, body: Body) -> Any:
        """POST to a signed endpoint; returns `data`."""
        return await self._call("POST", path, {}, dumps(body).encode(), signed=True)

    # --- one round trip

    async def _call(
        self, verb: str, path: str, params: Params, body: bytes, *, signed: bool
    ) -> Any:
        if signed and self.key is None:
            raise VenueRejected(f"{path} needs an API key", venue=VENUE, code=Code.CREDENTIALS)
        return await self._repeated(
            path,
            lambda: self._send(verb, path, params, body, signed=signed),
            once_only=path.rpartition("/")[2] in ONCE_ONLY,
        )

    async def _send(
        self, verb: str, path: str, params: Params, body: bytes, *, signed: bool
    ) -> Any:
        text, wire = query_texts(params)
        headers = {"Accept": "application/json", "locale": "en-US"}
        if body:
            headers["Content-Type"] = "application/json"
        if self.settings.demo:
            headers["paptrading"] = "1"
        if signed:
            assert self.key is not None, "checked before"
            time_ms = self.clock.now_ns() // 1_000_000
            asked = text if self.settings.decoded_query else wire
            headers |= self.key.headers(verb, path, asked, body, time_ms)
        status, raw = await self._carry(verb, self.endpoints.rest, path, wire, body, headers)
        try:
            return unwrap(raw, status, self.endpoints.rest + path)
        except VenueRejected as error:
            self._follow(error)
            raise

    def _follow(self, error: VenueRejected) -> None:
        """Change to the family the venue names, if the settings leave it open."""
        if self.settings.account != "auto":
            return
        for code, family in (
            (UNIFIED_ON_CLASSIC, Family.UNIFIED),
            (CLASSIC_ON_UNIFIED, Family.CLASSIC),
        ):
            if str(error).startswith(f"{code}:") and self.family is not family:
                self.family = family
                raise FamilyChanged(str(error), venue=VENUE, code=error.code) from None


def unwrap(raw: bytes, status: int, url: str) -> Any:
    """Return `data` of a reply, or raise what it reports: the code decides, not the status."""
    try:
        envelope = as_object(loads(raw))
        told = envelope.get("code")
        code = "" if told is None or isinstance(told, bool) else str(told)
        text = text_of(envelope, "msg") or text_of(envelope, "message")
    except ProtocolError as error:
        if status == 200:
            raise ProtocolError(f"{url}: {error}", venue=VENUE) from None
        code = text = ""
    if code in OK_CODES:
        if "data" not in envelope:
            raise ProtocolError(f"{url}: reply without data", venue=VENUE)
        return envelope["data"]
    if status == 429:
        code = code or "429"
    if not code:
        # A proxy's page, not the venue's answer.
        raise TransportError(
            f"{url}: HTTP status {status}", venue=VENUE, code="transport",
            retryable=status >= 500,
        )  # fmt: skip
    raise refusal(code, text)


def refusal(code: str, text: str) -> VenueRejected:
    """Make the error of a code."""
    fault = classify(code, text)
    return VenueRejected(f"{code}: {text}", venue=VENUE, code=fault.code, retryable=fault.retryable)


def query_texts(params: Params) -> tuple[str, str]:
    """Write a query as text, which is signed, and percent-encoded, which is sent; keys sorted."""
    rows = sorted((name, str(value)) for name, value in params.items())
    text = "&".join(f"{name}={value}" for name, value in rows)
    return text, "&".join(f"{name}={quote(value, safe='')}" for name, value in rows)
