"""Requests over MEXC's WebSockets, and what this side knows of its subscriptions. Pure.

Orders do not go here: the venue takes them over REST only (`encode`).

Source: MEXC API documentation, "WebSocket Market Streams", 2025-08 to 2026.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, final

from openmm.events import Event, RequestRefused, Subscribed
from openmm.venues.messages import Standing, State
from openmm.venues.mexc.spec import COPY_DEPTHS, WHOLE_DEPTHS

PING: Final = b'{"method":"PING"}'
PRIVATE: Final = (
    "spot@private.orders.v3.api.pb",
    "spot@private.deals.v3.api.pb",
    "spot@private.account.v3.api.pb",
)
# `code` is 0 all the same.
REFUSED: Final = "Not Subscribed successfully!"


def dumps(value: object) -> str:
    """Write JSON without white space. Numbers of money travel as text at this venue."""
    return json.dumps(value, separators=(",", ":"))


def book(symbol: str, depth: int, interval: str) -> str:
    """Name the channel of a book.

    Raises:
        ValueError: for a depth the venue does not offer.
    """
    if depth in WHOLE_DEPTHS:
        return f"spot@public.limit.depth.v3.api.pb@{symbol}@{depth}"
    if depth not in COPY_DEPTHS:
        raise ValueError(f"depth must be one of {WHOLE_DEPTHS + COPY_DEPTHS}: {depth}")
    return f"spot@public.aggre.depth.v3.api.pb@{interval}@{symbol}"


def trades(symbol: str, interval: str) -> str:
    """Name the channel of a pair's trades."""
    return f"spot@public.aggre.deals.v3.api.pb@{interval}@{symbol}"


def ticker(symbol: str, interval: str) -> str:
    """Name the channel of a pair's best prices."""
    return f"spot@public.aggre.bookTicker.v3.api.pb@{interval}@{symbol}"


@final
class Subscriptions(Standing[str]):
    """Know what one connection has asked for and what the venue took."""

    def __init__(self) -> None:
        super().__init__()
        self._next_id = 0

    def subscribe(self, *topics: str) -> list[bytes]:
        """Write the requests that start subscriptions, one each: frames stay small."""
        out = []
        for topic in topics:
            self._states[topic] = State.ASKED
            out.append(self._request("SUBSCRIPTION", topic))
            self._asked[self._next_id] = topic
        return out

    def unsubscribe(self, topic: str) -> bytes:
        """Write the request that ends a subscription, and forget it."""
        self._states.pop(topic, None)
        return self._request("UNSUBSCRIPTION", topic)

    def _request(self, method: str, topic: str) -> bytes:
        self._next_id += 1
        return dumps({"method": method, "params": [topic], "id": self._next_id}).encode()

    def on_events(self, events: Iterable[Event]) -> None:
        """Learn from answers: a topic is live only when an answer says so by its name."""
        for event in events:
            if isinstance(event, Subscribed):
                if event.channel in self._states:
                    self._states[event.channel] = State.ACTIVE
            elif isinstance(event, RequestRefused) and event.kind == "subscribe":
                for topic, state in self._states.items():
                    if state is State.ASKED and (
                        f"[{topic}]" in event.text or self._asked.get(event.req_id) == topic
                    ):
                        self._states[topic] = State.REFUSED
