"""MEXC as the engine sees it: fills in `venues.connector`.

One object a configured venue. It makes and reads messages and holds no socket; its request side
carries bytes through a `RoundTrip`. Orders leave over REST on connections of their own
(`order_http`); the private WebSocket only tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, final

from openmm._fast.book import Book
from openmm._fast.checks import RateBudget
from openmm.errors import TransportError, VenueError, VenueRejected
from openmm.events import (
    FATAL_CODES,
    Event,
    OrderFilled,
    OrderUpdated,
    RequestRefused,
    StatusChanged,
    SystemMode,
)
from openmm.instrument import Instrument
from openmm.venues.connector import Capabilities, OrderHttp
from openmm.venues.faults import Code
from openmm.venues.messages import State, redact
from openmm.venues.mexc import spec, stream
from openmm.venues.mexc.auth import KEY_HEADER
from openmm.venues.mexc.encode import MexcEncoder
from openmm.venues.mexc.private import PrivateDecoder, reply_frame
from openmm.venues.mexc.rest import Rest
from openmm.venues.mexc.rows import FillIds
from openmm.venues.mexc.spec import VENUE, Endpoints, Settings, venue_symbol
from openmm.venues.mexc.stream import PING, PRIVATE, Subscriptions
from openmm.venues.mexc.venue import CAPABILITIES, MexcVenue
from openmm.venues.mexc.wire import MexcDecoder
from openmm.venues.questions import Questions
from openmm.venues.session import Session, bot_mark, session_mark

log = logging.getLogger(__name__)

ACK_WAIT_S: Final = 5.0
ACK_LOOK_S: Final = 0.005
PONG: Final = b'{"method":"PONG"}'
CANCELS_KEPT_MILLI: Final = 2000  # of the burst, for cancels


@final
class MexcRequests(Questions[MexcVenue]):
    """The engine's questions, asked over REST."""

    def __init__(self, venue: MexcVenue) -> None:
        super().__init__(venue)
        self.traded = ""
        self._listen_key = ""

    async def token(self) -> str:
        """Return a listen key that is good for an hour from now: ours renewed, or a new one.

        A key that the venue does not renew is dead, and its stream silent: another one is made.
        """
        if self._listen_key:
            try:
                await self.venue.renew_listen_key(self._listen_key)
                return self._listen_key
            except VenueRejected as error:
                if error.code in FATAL_CODES:
                    raise
                self._listen_key = ""
        self._listen_key = await self.venue.create_listen_key()
        return self._listen_key

    def forget_token(self) -> None:
        """Drop the listen key: the venue takes it no more."""
        self._listen_key = ""

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Return states and fills of orders of the traded pair; the venue needs no `since_ns`."""
        states = await self.venue.find(self.traded, client_ids, venue_order_ids)
        return [*await self.venue.get_fills_of(states), *states]

    async def fills_since(self, ts_ns: int) -> list[OrderFilled]:
        """Return the account's fills of the traded pair from a moment on, oldest first."""
        await self.venue.use(self.traded)
        return await self.venue.get_fills(ts_ns)

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id; returns how many the venue took."""
        return await self.venue.cancel_ids(venue_order_ids)

    async def close(self) -> None:
        """Give the listen key back and release the connections."""
        if self._listen_key:
            try:
                await self.venue.close_listen_key(self._listen_key)
            except VenueError as error:
                log.warning("listen key not given back: %s", error)
            self._listen_key = ""
        await super().close()


@final
class MexcConnector(Session[MexcEncoder]):
    """One MEXC account or feed, seen from the engine.

    Args:
        rest: the request side, with a key if orders are to be placed, and the settings.
        endpoints: addresses; a simulated venue's, for one.
    """

    name = VENUE
    ping_every_s = spec.PING_EVERY_S

    def __init__(self, rest: Rest, endpoints: Endpoints | None = None) -> None:
        self.capabilities: Capabilities = CAPABILITIES
        self.settings: Settings = rest.settings
        self._endpoints = endpoints or rest.endpoints
        self._key = rest.key
        ids = FillIds()
        self._requests = MexcRequests(MexcVenue(rest, ids))
        self._public = Subscriptions()
        self._private = Subscriptions()
        # Only the traded pair is loaded: what happens on others is another bot's.
        self._reader = PrivateDecoder(requested=self._asked, ids=ids)
        self._listen_key = ""
        self._verify = True
        self._told_online = False
        self._due: list[bytes] = []

    def __repr__(self) -> str:
        """Show no secret."""
        return f"MexcConnector({self._endpoints.ws!r})"

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        return self._endpoints.ws

    @property
    def private_url(self) -> str:
        """Where private streams come from: the listen key is part of it."""
        base = self._endpoints.ws_private or self._endpoints.ws
        return f"{base}?listenKey={self._listen_key}" if self._listen_key else base

    def order_http(self) -> OrderHttp | None:
        """Return where orders go: over REST, on connections that are kept."""
        if self._key is None:
            return None
        return OrderHttp(
            url=self._endpoints.rest,
            headers=self._key.headers(),
            secret_headers=(KEY_HEADER,),
            idle_path="/api/v3/ping",
            connections=spec.ORDER_CONNECTIONS,
            reply=reply_frame,
        )

    def rest(self) -> MexcRequests:
        """Return the request side."""
        return self._requests

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        return self._requests.known[name]

    # --- compiled ends

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> MexcDecoder:
        """Make a decoder bound to one instrument's book; versions are always checked.

        `verify`: compare it with the book ticker as well.
        """
        self._verify = verify
        decoder = MexcDecoder()
        decoder.bind(
            venue_symbol(instrument.name),
            0,
            book,
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            depth,
            verify,
        )
        return decoder

    def order_encoder(self, instrument: Instrument, *, bot: str, session_s: int) -> MexcEncoder:
        """Make the encoder of a session; also what the slow path asks about client ids."""
        self._reader.instruments[venue_symbol(instrument.name)] = instrument
        self._requests.traded = instrument.name
        self._encoder = MexcEncoder(
            venue_symbol(instrument.name),
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            bot_mark(bot),
            session_mark(session_s),
            recv_window_ms=self.settings.recv_window_ms,
            stp_mode=self.settings.stp_mode,
            sign=None if self._key is None else self._key.sign,
        )
        return self._encoder

    def rate_budget(self, *, reserve: Callable[[int], int]) -> RateBudget:
        """Make the counter of requests that place or cancel: they share the venue's bucket."""
        threshold_milli, decay_milli = self.tier(self.settings.orders_per_s)
        kept_milli = max(reserve(threshold_milli), min(CANCELS_KEPT_MILLI, threshold_milli // 2))
        return RateBudget(
            threshold_milli,
            min(kept_milli, max(0, threshold_milli - 1000)),
            decay_milli,
            add_milli=1000,
            batch_add_milli=500,  # two and more share a request
            amend_milli=1000,
            cancel_milli=1000,
        )

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return the counter of a told threshold, requests a second: half at once."""
        burst = max(1, threshold // 2)
        return burst * 1000, max(1, threshold - burst) * 1000

    # --- messages out

    def set_token(self, token: str) -> None:
        """Use this listen key; streams of another one are dead."""
        if token != self._listen_key:
            self._listen_key = token
            self._private.reset()

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that start the market data of an instrument, on a new connection."""
        self._public.reset()
        symbol, interval = venue_symbol(instrument.name), self.settings.interval
        topics = [stream.book(symbol, depth, interval), stream.trades(symbol, interval)]
        if self._verify:
            topics.append(stream.ticker(symbol, interval))
        return self._public.subscribe(*topics)

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make nothing: the stream goes on, and brings whole books or joins a new REST copy."""
        return []

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch the REST copy that increments join, as a frame for the decoder.

        It is asked for only once the stream has been acknowledged: an older copy would look whole
        while changes before the first increment were missing. None: every push is whole.

        Raises:
            TransportError: no acknowledgement, or no reply.
            VenueRejected: the venue said no.
        """
        if depth in spec.WHOLE_DEPTHS:
            return None
        symbol = venue_symbol(instrument.name)
        topic = stream.book(symbol, depth, self.settings.interval)
        waited_s = 0.0
        while self._public.state(topic) is not State.ACTIVE:
            if waited_s >= ACK_WAIT_S or self._public.state(topic) is State.REFUSED:
                raise TransportError(f"{topic} was not taken", venue=VENUE, retryable=True)
            await asyncio.sleep(ACK_LOOK_S)
            waited_s += ACK_LOOK_S
        raw = await self._requests.venue.book_bytes(symbol, depth)
        return b'{"channel":"rest.depth","s":"%b","result":%b}' % (symbol.encode(), raw)

    def subscribe_private(self) -> list[bytes]:
        """Make the subscriptions of the private streams, on a new connection."""
        self._private.reset()
        self._told_online = False
        self._due.clear()
        return self._private.subscribe(*PRIVATE)

    def private_ready(self) -> bool:
        """Whether every private subscription was taken since the last subscribe.

        The streams bring no snapshot: orders, fills and balances are asked for over REST.
        """
        return self._private.settled

    def ping(self) -> bytes:
        """Make a liveness request."""
        return PING

    def due(self) -> list[bytes]:
        """Take the messages that what was read on the private connection calls for."""
        due, self._due = self._due, []
        return due

    def cancel_all(self) -> bytes | None:
        """Make nothing: it goes over REST."""
        return None

    def dead_man(self, timeout_s: int) -> bytes | None:
        """Make nothing: the venue has no such switch."""
        return None

    # --- messages in

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a public message that was not for the hot path."""
        events = self._reader.decode(payload)
        self._public.on_events(events)
        return events

    def read_private(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a private message; with all streams taken the venue is open for orders."""
        if b'"PING"' in payload[:64]:
            self._due.append(PONG)
        events = self._reader.decode(payload)
        self._private.on_events(events)
        if any(isinstance(one, RequestRefused) and one.code == Code.TOKEN for one in events):
            self._requests.forget_token()
        if self._private.settled and not self._told_online:
            self._told_online = True
            return [*events, StatusChanged(SystemMode.ONLINE, "online")]
        return events

    def redact(self, payload: bytes) -> bytes:
        """Blank key and listen key, for the journal."""
        return redact(payload, "" if self._key is None else self._key.public, self._listen_key)
