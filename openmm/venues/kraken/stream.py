"""Requests of the slow path, and what this side knows of its subscriptions. Pure: bytes and events.

Order entry by the hot path is `encode`'s. Requests here are written from values, with exact numbers
and request ids of a range of their own.

Source: Kraken API documentation, "Spot Websockets Introduction" and the page of each method
(WebSocket v2), read 2026-06.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, final

from msgspec import Struct

from openmm.events import Event, RequestRefused, Subscribed
from openmm.venues.kraken.spec import DEAD_MAN_S_MAX, DEPTHS, Code
from openmm.venues.messages import Standing, State

REQ_ID_FIRST: Final = 1 << 30
REQ_ID_LAST: Final = (1 << 31) - 1
PRIVATE_CHANNELS: Final = frozenset({"executions", "balances"})

Value = str | int | bool | Decimal | Sequence["Value"] | Mapping[str, "Value"]


def dumps(value: Value) -> str:
    """Write JSON with exact numbers: a Decimal keeps its digits, trailing zeros too.

    Raises:
        TypeError: for a float, or anything else that is not JSON.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"not a JSON number: {value}")
        return format(value, "f")
    if isinstance(value, bool | int | str):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(dumps, value)) + "]"
    raise TypeError(f"not a JSON value: {value!r}")


def request(
    method: str, params: Mapping[str, Value] | None = None, req_id: int | None = None
) -> bytes:
    """Write one request."""
    message: dict[str, Value] = {"method": method}
    if params is not None:
        message["params"] = params
    if req_id is not None:
        message["req_id"] = req_id
    return dumps(message).encode()


@final
class Requests:
    """Write requests with ids of the slow path's own range, counted up."""

    def __init__(self) -> None:
        self._req_id = REQ_ID_FIRST - 1

    def next_id(self) -> int:
        """Take the next request id."""
        self._req_id = REQ_ID_FIRST if self._req_id >= REQ_ID_LAST else self._req_id + 1
        return self._req_id

    def write(self, method: str, params: Mapping[str, Value] | None = None) -> tuple[int, bytes]:
        """Write any method; returns its request id and the bytes."""
        req_id = self.next_id()
        return req_id, request(method, params, req_id)

    def ping(self) -> tuple[int, bytes]:
        """Ask for a pong. It takes no `params`: with one the venue answers an error."""
        return self.write("ping")

    def cancel_orders(
        self, token: str, *, order_ids: Sequence[str] = (), client_ids: Sequence[str] = ()
    ) -> tuple[int, bytes]:
        """Cancel by ids; the venue answers once an order."""
        params: dict[str, Value] = {}
        if order_ids:
            params["order_id"] = order_ids
        if client_ids:
            params["cl_ord_id"] = client_ids
        if not params:
            raise ValueError("no order to cancel")
        return self.write("cancel_order", params | {"token": token})

    def cancel_all(self, token: str) -> tuple[int, bytes]:
        """Cancel every order of the account."""
        return self.write("cancel_all", {"token": token})

    def cancel_all_after(self, token: str, timeout_s: int) -> tuple[int, bytes]:
        """Arm the dead man's switch; 0 disarms."""
        if not 0 <= timeout_s <= DEAD_MAN_S_MAX:
            raise ValueError(f"timeout must be 0 to {DEAD_MAN_S_MAX} seconds: {timeout_s}")
        return self.write("cancel_all_orders_after", {"timeout": timeout_s, "token": token})


# --- subscriptions


class Subscription(Struct, frozen=True):
    """What makes a subscription the same one to the venue."""

    channel: str
    instrument: str = ""
    depth: int = 0  # of a book

    def params(self, token: str, *, subscribe: bool) -> dict[str, Value]:
        """Write the parameters; unsubscribing repeats the key without `snapshot`."""
        params: dict[str, Value] = {"channel": self.channel}
        if self.instrument:
            params["symbol"] = [self.instrument]
        if self.depth:
            params["depth"] = self.depth
        if self.channel in PRIVATE_CHANNELS:
            params["token"] = token
        if subscribe:
            if self.channel == "executions":
                params |= {"snap_orders": True, "snap_trades": True}
            elif self.channel == "ticker":
                params |= {"event_trigger": "bbo", "snapshot": True}
            else:
                params["snapshot"] = True
        return params


@final
class Subscriptions(Standing[Subscription]):
    """Keep one connection's subscriptions and what the venue said to them."""

    def __init__(self, requests: Requests) -> None:
        super().__init__()
        self._requests = requests

    def subscribe(self, *subscriptions: Subscription, token: str = "") -> list[bytes]:
        """Write the requests that start subscriptions.

        Raises:
            ValueError: for a depth the venue does not offer, or a second depth of one book, which
                the venue's messages could not tell apart.
        """
        out = []
        for one in subscriptions:
            if one.channel == "book":
                self._check_book(one)
            req_id, message = self._requests.write("subscribe", one.params(token, subscribe=True))
            self._states[one] = State.ASKED
            self._asked[req_id] = one
            out.append(message)
        return out

    def unsubscribe(self, subscription: Subscription, token: str = "") -> bytes:
        """Write the request that ends a subscription, and forget it."""
        self._states.pop(subscription, None)
        return self._requests.write("unsubscribe", subscription.params(token, subscribe=False))[1]

    def renew(self, subscription: Subscription, token: str = "") -> list[bytes]:
        """Write the requests for a new snapshot: unsubscribe, then subscribe the same key."""
        left = [self.unsubscribe(subscription, token)] if subscription in self._states else []
        return [*left, *self.subscribe(subscription, token=token)]

    def on_events(self, events: Iterable[Event]) -> None:
        """Learn from replies."""
        for event in events:
            if isinstance(event, Subscribed):
                for one in self._states:
                    if (one.channel, one.instrument) == (event.channel, event.instrument):
                        self._states[one] = State.ACTIVE
            elif isinstance(event, RequestRefused):
                # A refusal names its request and nothing else.
                refused = self._asked.pop(event.req_id, None)
                if refused is not None and self._states.get(refused) is State.ASKED:
                    taken = event.code == Code.ALREADY_SUBSCRIBED
                    self._states[refused] = State.ACTIVE if taken else State.REFUSED

    def _check_book(self, wanted: Subscription) -> None:
        if wanted.depth not in DEPTHS:
            raise ValueError(f"depth must be one of {DEPTHS}: {wanted.depth}")
        for held in self._states:
            same = held.channel == "book" and held.instrument == wanted.instrument
            if same and held.depth != wanted.depth:
                raise ValueError(f"{wanted.instrument} is subscribed at depth {held.depth}")
