"""Coinbase Exchange as the engine sees it, only watched: fills in `venues.connector`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import final

from openmm._fast.book import Book
from openmm.errors import ProtocolError
from openmm.events import (
    Event,
    OrderFilled,
    OrderUpdated,
    RequestRefused,
    Subscribed,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.coinbase.fields import as_list, as_object, loads, text_of
from openmm.venues.coinbase.rest import Rest
from openmm.venues.coinbase.spec import BOOK_CHANNEL, CHANNELS, VENUE, venue_symbol
from openmm.venues.coinbase.venue import CoinbaseVenue
from openmm.venues.coinbase.wire import CoinbaseDecoder
from openmm.venues.faults import Code
from openmm.venues.questions import Questions
from openmm.venues.watched import WatchedConnector


@final
class CoinbaseRequests(Questions[CoinbaseVenue]):
    """The engine's questions, asked over REST."""

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Refuse: there is no account."""
        return await self.venue.find_orders(client_ids, venue_order_ids, since_ns)

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Refuse: nothing is traded here."""
        return await self.venue.cancel_orders(venue_order_ids)


@final
class CoinbaseConnector(WatchedConnector):
    """The feed, seen from the engine."""

    name = VENUE

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._requests = CoinbaseRequests(CoinbaseVenue(rest))

    def __repr__(self) -> str:
        """Tell where it leads."""
        return f"CoinbaseConnector({self.public_url!r})"

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        return self._rest.endpoints.ws

    @property
    def private_url(self) -> str:
        """The same: there is no private stream."""
        return self._rest.endpoints.ws

    def rest(self) -> CoinbaseRequests:
        """Return the request side."""
        return self._requests

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        return self._requests.known[name]

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> CoinbaseDecoder:
        """Make a decoder bound to one instrument's book."""
        decoder = CoinbaseDecoder()
        decoder.bind(
            venue_symbol(instrument.name),
            0,
            book,
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            depth,
        )
        return decoder

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the message that starts the market data of an instrument, on a new connection."""
        return [_message("subscribe", instrument, CHANNELS)]

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that bring a new snapshot."""
        return [
            _message("unsubscribe", instrument, (BOOK_CHANNEL,)),
            _message("subscribe", instrument, (BOOK_CHANNEL,)),
        ]

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch nothing: the stream brings its own snapshot."""
        return None

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a public message that was not for the hot path: the answer to a subscription."""
        try:
            message = as_object(loads(payload))
            kind = text_of(message, "type")
            if kind == "subscriptions":
                channels = [as_object(one) for one in as_list(message.get("channels"))]
                return [Subscribed(text_of(one, "name")) for one in channels]
            if kind == "error":
                text = f"{text_of(message, 'message')}: {text_of(message, 'reason')}"
                return [RequestRefused("subscribe", 0, text, Code.UNKNOWN, False)]
        except ProtocolError as error:
            return [Unrecognised(f"{error}: {payload[:200].decode('utf-8', 'replace')}")]
        return [Unrecognised(payload[:200].decode("utf-8", "replace"))]


def _message(kind: str, instrument: Instrument, channels: Sequence[str]) -> bytes:
    message = {
        "type": kind,
        "product_ids": [venue_symbol(instrument.name)],
        "channels": list(channels),
    }
    return json.dumps(message, separators=(",", ":")).encode()
