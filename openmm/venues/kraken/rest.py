"""Kraken's REST interface: what start-up, recovery and reconciliation ask for.

A failed request raises `TransportError`, a refusal `VenueRejected` with its typed code, and text
that is not the venue's protocol `ProtocolError`. Queries and cancels are repeated within a bound;
an order's placement or amendment never is: its outcome must be looked up.

Source: Kraken API documentation (REST), read 2026-06; btschwertfeger/python-kraken-sdk;
krakenfx/api-go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, final
from urllib.parse import urlencode

from msgspec import Struct

from openmm.clock import Clock
from openmm.errors import ProtocolError, TransportError, VenueRejected
from openmm.venues.calls import Calls, Sleep
from openmm.venues.http import RoundTrip
from openmm.venues.kraken.auth import Key
from openmm.venues.kraken.fields import as_list, as_object, loads
from openmm.venues.kraken.spec import (
    TIERS,
    VENUE,
    Code,
    Endpoints,
    Tier,
    classify,
)

# What a repeat of the same call could do: nothing, or place and amend twice.
ONCE_ONLY: Final = frozenset({"AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder"})

# What a call adds to the account's counter, where that is not 1.
# Source: "Spot REST Rate Limits", read 2026-06.
CALL_COSTS: Final[Mapping[str, int]] = {
    "TradesHistory": 2, "ClosedOrders": 2, "Ledgers": 2,
    "AddOrder": 0, "AddOrderBatch": 0, "AmendOrder": 0, "EditOrder": 0, "CancelOrder": 0,
    "CancelAll": 0, "CancelAllOrdersAfter": 0,
}  # fmt: skip
# A call that would have to wait longer for its turn is refused here.
TURN_WAIT_S_MAX: Final = 30.0

Params = Mapping[str, str | int | bool]


@final
class CallBudget:
    """Count private calls as the venue does, so that none is refused for coming too fast.

    Asking again and again what was refused keeps the counter at its limit, and no question is ever
    answered; calls that wait for their turn all are.
    """

    def __init__(self, tier: Tier) -> None:
        self._level = 0.0
        self._at_ns = 0
        self.set_tier(tier)

    def set_tier(self, tier: Tier) -> None:
        """Take an account's limits."""
        self._max = float(tier.rest_counter_max)
        self._decay_per_s = tier.rest_decay_milli_per_s / 1000

    def book(self, cost: int, now_ns: int) -> float:
        """Count a call; returns the seconds after which it may leave.

        Raises:
            VenueRejected: its turn is too far away; it is not counted.
        """
        self._decay(now_ns)
        wait_s = max(0.0, (self._level + cost - self._max) / self._decay_per_s) if cost else 0.0
        if wait_s > TURN_WAIT_S_MAX:
            raise VenueRejected(
                f"a call would have to wait {wait_s:.0f} s for the venue's call rate",
                venue=VENUE,
                code=Code.CALL_RATE,
            )
        self._level += cost
        return wait_s

    def exhaust(self, now_ns: int) -> None:
        """Believe the venue that the counter is at its limit."""
        self._decay(now_ns)
        self._level = max(self._level, self._max)

    def _decay(self, now_ns: int) -> None:
        gone = max(0, now_ns - self._at_ns) / 1e9 * self._decay_per_s
        self._level = max(0.0, self._level - gone)
        self._at_ns = max(now_ns, self._at_ns)


class Token(Struct, frozen=True):
    """A WebSocket token: valid for `life_s` from `made_ns`, unless used before."""

    text: str
    life_s: int
    made_ns: int

    def __repr__(self) -> str:
        """Tell that a token is there, not which."""
        return f"Token(text=<redacted>, life_s={self.life_s}, made_ns={self.made_ns})"


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
        self._key = key
        # The smallest, until the venue tells.
        self.budget = CallBudget(TIERS["starter"])

    # --- calls

    async def public(self, method: str, params: Params | None = None) -> Any:
        """Call `/0/public/<method>`; returns `result`."""
        query = urlencode(_form(params or {}))
        path = f"/0/public/{method}"
        return await self._repeated(
            method,
            lambda: self._round_trip("GET", path, query, b"", {}),
            once_only=False,
        )

    async def private(self, method: str, params: Params | None = None) -> Any:
        """Call `/0/private/<method>`, signed; returns `result`."""
        key = self._key
        if key is None:
            raise VenueRejected(f"{method} needs an API key", venue=VENUE, code=Code.CREDENTIALS)
        form = _form(params or {})
        path = f"/0/private/{method}"

        cost = CALL_COSTS.get(method, 1)
        once_only = method in ONCE_ONLY
        nonce_tries = 0 if once_only else 1

        async def once() -> Any:
            nonlocal nonce_tries
            try:
                return await signed()
            except VenueRejected as error:
                if error.code != Code.NONCE or not nonce_tries:
                    raise
                nonce_tries -= 1
                return await signed()

        async def signed() -> Any:
            wait_s = self.budget.book(cost, self.clock.now_ns())
            if wait_s > 0:
                await self._sleep(wait_s)
            async with key.turn:
                nonce = key.nonce()
                body = urlencode([("nonce", str(nonce)), *form]).encode()
                headers = key.headers(path, nonce, body)
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                return await self._round_trip("POST", path, "", body, headers)

        return await self._repeated(method, once, once_only=once_only)

    async def websocket_token(self) -> Token:
        """Get a token for private subscriptions and trading requests."""
        made_ns = self.clock.now_ns()
        result = as_object(await self.private("GetWebSocketsToken"))
        text, life_s = result.get("token"), result.get("expires", 900)
        if not isinstance(text, str) or not text or not isinstance(life_s, int):
            raise ProtocolError(
                "no token in the reply: the key may lack the right to use WebSockets", venue=VENUE
            )
        return Token(text, life_s, made_ns)

    # --- one round trip

    def _refused(self, error: VenueRejected) -> bool:
        """Believe the venue about its call counter; a nonce has been tried anew already."""
        if error.code == Code.CALL_RATE:
            self.budget.exhaust(self.clock.now_ns())
        return error.code != Code.NONCE

    async def _round_trip(
        self, verb: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> Any:
        base = self.endpoints.rest
        status, raw = await self._carry(verb, base, path, query, body, headers)
        return unwrap(raw, status, base + path)


def unwrap(raw: bytes, status: int, url: str) -> Any:
    """Return `result` of a reply, or raise what it reports."""
    try:
        envelope = as_object(loads(raw))
        errors = [str(text) for text in as_list(envelope.get("error"))]
    except ProtocolError:
        if status != 200:
            # A proxy's page, not the venue's answer.
            raise TransportError(
                f"{url}: HTTP status {status}",
                venue=VENUE,
                code="transport",
                retryable=status >= 500,
            ) from None
        raise
    # Warnings of this venue start with W and come beside a result.
    errors = [text for text in errors if not text.startswith("W")]
    if errors:
        fault = classify(errors[0])
        raise VenueRejected(
            "; ".join(errors), venue=VENUE, code=fault.code, retryable=fault.retryable
        )
    if "result" not in envelope:
        raise ProtocolError(f"{url}: reply without error and without result", venue=VENUE)
    return envelope["result"]


def _form(params: Params) -> list[tuple[str, str]]:
    return [
        (name, ("true" if value else "false") if isinstance(value, bool) else str(value))
        for name, value in params.items()
    ]


def seconds_to_ns(value: object) -> int:
    """Convert epoch seconds, a JSON number with up to 9 decimals, to nanoseconds."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ProtocolError(f"time expected; got {value!r}", venue=VENUE)
    return int(Decimal(value).scaleb(9))
