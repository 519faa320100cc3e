"""Requests of the slow path, and what this side knows of its subscriptions. Pure: bytes and events.

Order entry by the hot path is `encode`'s. Requests here are written from values, with ids of a
range of their own below 32 bits, as the venue's support asks for.

Source: Gate documentation, "Spot WebSocket v4", updated 2026-04-27.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

from msgspec import Struct

from openmm.errors import VenueRejected
from openmm.events import Event, RequestRefused, Subscribed
from openmm.venues.faults import Code
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.spec import DEPTHS, UPDATE_INTERVALS, VENUE, stream_name
from openmm.venues.messages import Standing, State

REQ_ID_FIRST: Final = 1 << 30
REQ_ID_LAST: Final = (1 << 31) - 1
EVERYTHING: Final = ("!all",)


def dumps(value: object) -> str:
    """Write JSON without white space. Numbers with a fraction travel as text at this venue."""
    return json.dumps(value, separators=(",", ":"))


class Subscription(Struct, frozen=True):
    """One channel with its payload; private ones are signed."""

    channel: str
    payload: tuple[str, ...] = ()
    private: bool = False

    @property
    def pair(self) -> str:
        """The venue's name of what an answer names first."""
        return self.payload[0] if self.payload else ""


def book(symbol: str, depth: int) -> Subscription:
    """Return the subscription of a book: the depth tells which channel.

    Raises:
        ValueError: for a depth the venue does not offer.
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {DEPTHS}: {depth}")
    interval = UPDATE_INTERVALS.get(depth)
    if interval is not None:
        return Subscription("spot.order_book_update", (symbol, interval))
    return Subscription("spot.obu", (stream_name(symbol, depth),))


def trades(symbol: str) -> Subscription:
    """Return the subscription of a pair's trades."""
    return Subscription("spot.trades", (symbol,))


# Orders and fills of every pair: fees come with the fills.
PRIVATE: Final = (
    Subscription("spot.orders", EVERYTHING, private=True),
    Subscription("spot.usertrades", EVERYTHING, private=True),
    Subscription("spot.balances", private=True),
)


@final
class Requests:
    """Write requests with ids of the slow path's own range, counted up."""

    def __init__(self, key: Key | None = None, login_param: str = "") -> None:
        self._key = key
        self._login_param = login_param
        self._req_id = REQ_ID_FIRST - 1

    def next_id(self) -> int:
        """Take the next request id."""
        self._req_id = REQ_ID_FIRST if self._req_id >= REQ_ID_LAST else self._req_id + 1
        return self._req_id

    def subscription(self, event: str, one: Subscription, time_s: int) -> tuple[int, bytes]:
        """Write a subscribe or unsubscribe request; returns its id and the bytes."""
        req_id = self.next_id()
        message: dict[str, Any] = {
            "time": time_s, "id": req_id, "channel": one.channel, "event": event,
        }  # fmt: skip
        if one.payload:
            message["payload"] = list(one.payload)
        if one.private:
            key = self._signing()
            message["auth"] = {
                "method": "api_key",
                "KEY": key.public,
                "SIGN": key.sign_subscription(one.channel, event, time_s),
            }
        return req_id, dumps(message).encode()

    def ping(self, time_s: int) -> bytes:
        """Ask for a pong."""
        return dumps({"time": time_s, "channel": "spot.ping"}).encode()

    def login(self, time_s: int, req_id: str | None = None) -> bytes:
        """Write the login, on which every order of the connection depends.

        The venue checks the signature against the bytes of `req_param`: documented as absent.
        """
        key = self._signing()
        payload: dict[str, Any] = {
            "api_key": key.public,
            "signature": key.sign_call("spot.login", self._login_param.encode(), time_s),
            "timestamp": str(time_s),
            "req_id": str(self.next_id()) if req_id is None else req_id,
        }
        if self._login_param:
            payload["req_param"] = json.loads(self._login_param)
        return _call(time_s, "spot.login", payload)

    def call(
        self, channel: str, req_param: Mapping[str, Any] | Sequence[Any], time_s: int,
        req_id: str | None = None,
    ) -> bytes:  # fmt: skip
        """Write any call of the trading API."""
        wanted = str(self.next_id()) if req_id is None else req_id
        return _call(time_s, channel, {"req_id": wanted, "req_param": req_param})

    def cancel_pair(self, symbol: str, time_s: int, side: str = "") -> bytes:
        """Cancel every order of a pair; without the pair the venue would cancel all pairs'."""
        if not symbol:
            raise ValueError("a pair is needed: without one all pairs are meant")
        return self.call(
            "spot.order_cancel_cp",
            {"currency_pair": symbol} | ({"side": side} if side else {}),
            time_s,
        )

    def order_status(self, order_id: str, symbol: str, time_s: int) -> bytes:
        """Ask for one order, by the venue's id or by text while that is kept."""
        return self.call(
            "spot.order_status", {"order_id": order_id, "currency_pair": symbol}, time_s
        )

    def _signing(self) -> Key:
        if self._key is None:
            raise VenueRejected("private messages need an API key", venue=VENUE,
                                code=Code.CREDENTIALS)  # fmt: skip
        return self._key


def _call(time_s: int, channel: str, payload: Mapping[str, Any]) -> bytes:
    return dumps({"time": time_s, "channel": channel, "event": "api", "payload": payload}).encode()


@final
class Subscriptions(Standing[Subscription]):
    """Know what one connection has asked for and what the venue took."""

    def __init__(self, requests: Requests) -> None:
        super().__init__()
        self._requests = requests

    def subscribe(self, *subscriptions: Subscription, time_s: int) -> list[bytes]:
        """Write the requests that start subscriptions, one each: a bad pair fails all of one."""
        out = []
        for one in subscriptions:
            req_id, message = self._requests.subscription("subscribe", one, time_s)
            self._states[one] = State.ASKED
            self._asked[req_id] = one
            out.append(message)
        return out

    def unsubscribe(self, one: Subscription, time_s: int) -> bytes:
        """Write the request that ends a subscription, and forget it."""
        self._states.pop(one, None)
        return self._requests.subscription("unsubscribe", one, time_s)[1]

    def renew(self, one: Subscription, time_s: int) -> list[bytes]:
        """Write the requests for a subscription anew: a stream taken twice is an error."""
        left = [self.unsubscribe(one, time_s)] if one in self._states else []
        return [*left, *self.subscribe(one, time_s=time_s)]

    def on_events(self, events: Iterable[Event]) -> None:
        """Learn from answers: an acknowledgement names its channel, a refusal its request."""
        for event in events:
            if isinstance(event, Subscribed):
                for one in self._states:
                    if one.channel == event.channel and event.instrument in (
                        "", one.pair.replace("_", "/"),
                    ):  # fmt: skip
                        self._states[one] = State.ACTIVE
            elif isinstance(event, RequestRefused):
                refused = self._asked.pop(event.req_id, None)
                if refused is not None and self._states.get(refused) is State.ASKED:
                    self._states[refused] = State.REFUSED
