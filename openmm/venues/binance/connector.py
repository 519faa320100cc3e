"""Binance as the engine sees it, only watched: fills in `venues.connector`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final, final

from openmm._fast.book import Book
from openmm.errors import ProtocolError, TransportError
from openmm.events import (
    Event,
    OrderFilled,
    OrderUpdated,
    RequestRefused,
    Subscribed,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.binance.fields import as_int, as_object, loads, text_of
from openmm.venues.binance.rest import Rest
from openmm.venues.binance.spec import VENUE, classify, venue_symbol
from openmm.venues.binance.venue import BinanceVenue
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.questions import Questions
from openmm.venues.watched import WatchedConnector

ACK_WAIT_S: Final = 5.0
ACK_LOOK_S: Final = 0.005


@final
class BinanceRequests(Questions[BinanceVenue]):
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
class BinanceConnector(WatchedConnector):
    """One market's feed, seen from the engine."""

    name = VENUE

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._requests = BinanceRequests(BinanceVenue(rest))
        self._next_id = 0
        self._asked_id = 0
        self._state = "idle"  # or asked, active, refused

    def __repr__(self) -> str:
        """Tell which market."""
        return f"BinanceConnector({self._rest.settings.market!r}, {self.public_url!r})"

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        return self._rest.endpoints.ws

    @property
    def private_url(self) -> str:
        """The same: there is no private stream."""
        return self._rest.endpoints.ws

    def rest(self) -> BinanceRequests:
        """Return the request side."""
        return self._requests

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        return self._requests.known[name]

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> BinanceDecoder:
        """Make a decoder bound to one instrument's book; ids are always checked."""
        market = self._rest.settings.market
        contracts = market == "coinm"  # the wire counts these, whatever they are worth
        decoder = BinanceDecoder()
        decoder.bind(
            venue_symbol(instrument.name, market),
            0,
            book,
            instrument.tick_points,
            instrument.price_decimals,
            1 if contracts else instrument.lot_points,
            0 if contracts else instrument.qty_decimals,
            depth,
            market != "spot",
        )
        return decoder

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the message that starts the market data of an instrument, on a new connection."""
        symbol = venue_symbol(instrument.name, self._rest.settings.market).lower()
        market = self._rest.market
        self._next_id += 1
        self._asked_id = self._next_id
        self._state = "asked"
        message = {
            "method": "SUBSCRIBE",
            "params": [f"{symbol}@{one}" for one in (market.depth, market.trades, "bookTicker")],
            "id": self._asked_id,
        }
        return [json.dumps(message, separators=(",", ":")).encode()]

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make nothing: the stream goes on and joins a new REST copy."""
        return []

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch the REST copy that increments join, as a frame for the decoder.

        It is asked for only once the stream has been acknowledged: an older copy would look whole
        while changes before the first increment were missing.

        Raises:
            TransportError: no acknowledgement, or no reply.
            VenueRejected: the venue said no.
        """
        waited_s = 0.0
        while self._state != "active":
            if waited_s >= ACK_WAIT_S or self._state == "refused":
                raise TransportError("the streams were not taken", venue=VENUE, retryable=True)
            await asyncio.sleep(ACK_LOOK_S)
            waited_s += ACK_LOOK_S
        raw = await self._requests.venue.book_bytes(instrument.name, depth)
        symbol = venue_symbol(instrument.name, self._rest.settings.market)
        return b'{"stream":"%b@rest","data":%b}' % (symbol.encode(), raw)

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a public message that was not for the hot path: the answer to a subscription."""
        try:
            message = as_object(loads(payload))
            if "stream" in message:
                return []  # of a stream that only the hot path reads, and has counted
            answered = as_int(message.get("id") or 0) == self._asked_id
            refused = message.get("error")
            if refused is None and "code" in message:
                refused = message
            if refused is not None:
                fault = classify(as_int(as_object(refused).get("code")))
                if answered or self._state == "asked":
                    self._state = "refused"
                text = text_of(as_object(refused), "msg")
                return [RequestRefused("subscribe", self._asked_id, text, fault.code, True)]
            if answered and "result" in message:
                self._state = "active"
                return [Subscribed("market")]
        except ProtocolError as error:
            return [Unrecognised(f"{error}: {payload[:200].decode('utf-8', 'replace')}")]
        return [Unrecognised(payload[:200].decode("utf-8", "replace"))]
