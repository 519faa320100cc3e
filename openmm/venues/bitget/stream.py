"""Requests of the slow path, and what this side knows of its subscriptions. Pure: bytes and events.

Order entry by the hot path is `encode`'s.

Source: Bitget API documentation, "Websocket API" (v2) and the channels' pages of v3, crawl of
2025-12-05.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, final

from msgspec import Struct

from openmm.events import Event, RequestRefused, Subscribed
from openmm.venues.bitget.auth import Key
from openmm.venues.bitget.spec import SUBSCRIBE_BYTES_MAX, Family, Settings, book_channel
from openmm.venues.messages import Standing, State

PING: Final = b"ping"  # text, not JSON, not a frame of the WebSocket protocol


def dumps(value: object) -> str:
    """Write JSON without white space. Numbers of money travel as text at this venue."""
    return json.dumps(value, separators=(",", ":"))


class Subscription(Struct, frozen=True):
    """One channel: of a pair, or of the account."""

    channel: str
    symbol: str = ""

    def arg(self, family: Family) -> dict[str, str]:
        """Write it as the venue's argument."""
        private = not self.symbol
        if family is Family.UNIFIED:
            if private:
                return {"instType": "UTA", "topic": self.channel}
            return {"instType": "spot", "topic": self.channel, "symbol": self.symbol}
        arg = {"instType": "SPOT", "channel": self.channel}
        if not private:
            return arg | {"instId": self.symbol}
        return arg | ({"coin": "default"} if self.channel == "account" else {"instId": "default"})


def book(symbol: str, depth: int, family: Family) -> Subscription:
    """Return the subscription of a book; raises ValueError for a depth not offered."""
    return Subscription(book_channel(family, depth), symbol)


def trades(symbol: str, family: Family) -> Subscription:
    """Return the subscription of a pair's trades."""
    return Subscription("trade" if family is Family.CLASSIC else "publicTrade", symbol)


def private(family: Family, settings: Settings) -> tuple[Subscription, ...]:
    """Return the account's channels: on one of them executions are told with their fees."""
    if family is Family.UNIFIED:
        return Subscription("order"), Subscription("fill"), Subscription("account")
    first = Subscription("orders")
    if settings.fills == "fill":
        return first, Subscription("fill"), Subscription("account")
    return first, Subscription("account")


def login(key: Key, time_s: int) -> bytes:
    """Write the login that private channels and orders depend on."""
    arg = {
        "apiKey": key.public,
        "passphrase": key.passphrase,
        "timestamp": str(time_s),
        "sign": key.sign_login(time_s),
    }
    return dumps({"op": "login", "args": [arg]}).encode()


def messages(op: str, family: Family, subscriptions: Iterable[Subscription]) -> list[bytes]:
    """Write subscriptions in as few messages as the venue's size limit allows."""
    out: list[bytes] = []
    args: list[dict[str, str]] = []

    def flush() -> None:
        if args:
            out.append(_message(op, args))
            args.clear()

    for one in subscriptions:
        args.append(one.arg(family))
        if len(_message(op, args)) > SUBSCRIBE_BYTES_MAX:
            last = args.pop()
            flush()
            args.append(last)
    flush()
    return out


def _message(op: str, args: list[dict[str, str]]) -> bytes:
    return dumps({"op": op, "args": args}).encode()


@final
class Subscriptions(Standing[Subscription]):
    """Know what one connection has asked for and what the venue took."""

    def subscribe(self, family: Family, *subscriptions: Subscription) -> list[bytes]:
        """Write the messages that start subscriptions."""
        for one in subscriptions:
            self._states[one] = State.ASKED
        return messages("subscribe", family, subscriptions)

    def renew(self, family: Family, one: Subscription) -> list[bytes]:
        """Write the messages for a subscription anew: only so does a new snapshot come."""
        left = messages("unsubscribe", family, [one]) if one in self._states else []
        return [*left, *self.subscribe(family, one)]

    def on_events(self, events: Iterable[Event]) -> None:
        """Learn from answers. An error names nothing: what has no answer yet was refused."""
        for event in events:
            if isinstance(event, Subscribed):
                for one in self._states:
                    if one.channel == event.channel and (
                        not one.symbol or event.instrument.replace("/", "") == one.symbol
                    ):
                        self._states[one] = State.ACTIVE
            elif isinstance(event, RequestRefused) and event.kind == "subscribe":
                for one, state in self._states.items():
                    if state is State.ASKED:
                        self._states[one] = State.REFUSED
