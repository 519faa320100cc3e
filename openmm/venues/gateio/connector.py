"""Gate.io as the engine sees it: fills in `venues.connector`.

One object a configured venue. It makes and reads messages and holds no socket; its request side
carries bytes through a `RoundTrip`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final, final

from openmm._fast.book import Book
from openmm._fast.checks import RateBudget
from openmm.errors import TransportError
from openmm.events import (
    Event,
    OrderFilled,
    OrderUpdated,
    RequestAccepted,
    StatusChanged,
    SystemMode,
)
from openmm.instrument import Instrument
from openmm.venues.connector import Capabilities
from openmm.venues.gateio import spec, stream
from openmm.venues.gateio.encode import GateioEncoder
from openmm.venues.gateio.private import PrivateDecoder
from openmm.venues.gateio.rest import Rest
from openmm.venues.gateio.spec import VENUE, Endpoints, Settings, venue_symbol
from openmm.venues.gateio.stream import PRIVATE, Requests, Subscriptions
from openmm.venues.gateio.venue import CAPABILITIES, GateioVenue
from openmm.venues.gateio.wire import GateioDecoder
from openmm.venues.messages import State, redact
from openmm.venues.questions import Questions
from openmm.venues.session import Session, bot_mark, session_mark

NS: Final = 1_000_000_000
IN_TIME: Final = re.compile(rb'"x_in_time":(\d{1,17})')
REQ_ID: Final = re.compile(rb'"req_id":"(\d{1,18})"')
ACK_WAIT_S: Final = 5.0
ACK_LOOK_S: Final = 0.005
# Half of the venue's ten orders a second at once, half as they decay: never more in any second.
BURST_ORDERS: Final = spec.ORDERS_PER_S // 2


@final
class GateioRequests(Questions[GateioVenue]):
    """The engine's questions, asked over REST."""

    def __init__(self, venue: GateioVenue) -> None:
        super().__init__(venue)
        self.traded = ""

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Return states and fills of orders of the traded pair; the venue needs no `since_ns`."""
        states = await self.venue.find(self.traded, client_ids, venue_order_ids)
        return [*await self.venue.get_fills_of(states), *states]

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id; returns how many the venue took."""
        return await self.venue.cancel_ids(venue_order_ids)


@final
class GateioConnector(Session[GateioEncoder]):
    """One Gate.io account or feed, seen from the engine.

    Args:
        rest: the request side, with a key if orders are to be placed.
        endpoints: addresses; a simulated venue's, for one.
        settings: what the venue leaves to the client or its documents leave open.
    """

    name = VENUE
    ping_every_s = 0.0

    def __init__(
        self, rest: Rest, endpoints: Endpoints | None = None, settings: Settings | None = None
    ) -> None:
        self.capabilities: Capabilities = CAPABILITIES
        self.settings = settings or Settings()
        self._endpoints = endpoints or rest.endpoints
        self._clock = rest.clock
        self._key = rest.key
        self._requests = GateioRequests(GateioVenue(rest, self.settings))
        self._messages = Requests(rest.key, self.settings.login_param)
        self._public = Subscriptions(self._messages)
        self._private = Subscriptions(self._messages)
        self._reader = PrivateDecoder(requested=self._asked)
        self._logged_in = False

    def __repr__(self) -> str:
        """Show no secret."""
        return f"GateioConnector({self._endpoints.ws!r})"

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        return self._endpoints.ws

    @property
    def private_url(self) -> str:
        """Where orders go and private streams come from: the same address, unless told."""
        return self._endpoints.ws_private or self._endpoints.ws

    def rest(self) -> GateioRequests:
        """Return the request side."""
        return self._requests

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        return self._requests.known[name]

    # --- compiled ends

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> GateioDecoder:
        """Make a decoder bound to one instrument's book; ids are always checked."""
        decoder = GateioDecoder()
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

    def order_encoder(self, instrument: Instrument, *, bot: str, session_s: int) -> GateioEncoder:
        """Make the encoder of a session; also what the slow path asks about client ids."""
        self._reader.instruments[instrument.name] = instrument
        self._requests.traded = instrument.name
        self._encoder = GateioEncoder(
            venue_symbol(instrument.name),
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            bot_mark(bot),
            session_mark(session_s),
            account=self.settings.account,
            deadline_ms=self.settings.deadline_ms,
            stp_act=self.settings.stp_act,
            action_mode=self.settings.action_mode,
        )
        return self._encoder

    def rate_budget(self, *, reserve: Callable[[int], int]) -> RateBudget:
        """Make the counter of placements and amendments; cancels have a limit of their own."""
        del reserve
        return RateBudget(
            BURST_ORDERS * 1000,
            0,
            (spec.ORDERS_PER_S - BURST_ORDERS) * 1000,
            add_milli=1000,
            batch_add_milli=1000,
            amend_milli=1000,
        )

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return the counter of a told threshold, orders a second."""
        burst = max(1, threshold // 2)
        return burst * 1000, max(1, threshold - burst) * 1000

    # --- messages out

    def set_token(self, token: str) -> None:
        """Take note of nothing: there is no token."""

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that start the market data of an instrument, on a new connection."""
        self._public.reset()
        symbol = venue_symbol(instrument.name)
        return self._public.subscribe(
            stream.book(symbol, depth), stream.trades(symbol), time_s=self._now_s()
        )

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that bring a new full book; a book from REST keeps its stream."""
        if depth in spec.UPDATE_INTERVALS:
            return []
        one = stream.book(venue_symbol(instrument.name), depth)
        return self._public.renew(one, self._now_s())

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch the REST copy that increments join, as a frame for the decoder.

        It is asked for only once the stream has been acknowledged: an older copy would look whole
        while changes before the first increment were missing. None: the stream brings its own.

        Raises:
            TransportError: no acknowledgement, or no reply.
            VenueRejected: the venue said no.
        """
        if depth not in spec.UPDATE_INTERVALS:
            return None
        symbol = venue_symbol(instrument.name)
        one = stream.book(symbol, depth)
        waited_s = 0.0
        while self._public.state(one) is not State.ACTIVE:
            if waited_s >= ACK_WAIT_S:
                raise TransportError(
                    f"{one.channel} of {symbol} was not acknowledged", venue=VENUE, retryable=True
                )
            await asyncio.sleep(ACK_LOOK_S)
            waited_s += ACK_LOOK_S
        raw = await self._requests.venue.book_bytes(symbol, depth)
        return b'{"channel":"rest.order_book","s":"%b","result":%b}' % (symbol.encode(), raw)

    def subscribe_private(self) -> list[bytes]:
        """Make login and subscriptions of the private streams, on a new connection."""
        self._private.reset()
        self._logged_in = False
        now_s = self._now_s()
        return [self._messages.login(now_s), *self._private.subscribe(*PRIVATE, time_s=now_s)]

    def private_ready(self) -> bool:
        """Whether the login and every private subscription were taken since the last subscribe.

        The streams bring no snapshot: orders, fills and balances are asked for over REST.
        """
        return self._logged_in and self._private.settled

    def ping(self) -> bytes:
        """Make a liveness request."""
        return self._messages.ping(self._now_s())

    def due(self) -> list[bytes]:
        """Take nothing: all is sent at once."""
        return []

    def cancel_all(self) -> bytes | None:
        """Make the request that cancels the traded pair's orders; other pairs are not touched."""
        traded = self._requests.traded
        return self._messages.cancel_pair(venue_symbol(traded), self._now_s()) if traded else None

    def dead_man(self, timeout_s: int) -> bytes | None:
        """Make nothing: the countdown is armed over REST."""
        return None

    # --- messages in

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a public message that was not for the hot path."""
        events = self._reader.decode(payload)
        self._public.on_events(events)
        return events

    def read_private(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a private message; the login's answer says that the venue is open for orders."""
        events = self._reader.decode(payload)
        self._private.on_events(events)
        for event in events:
            if isinstance(event, RequestAccepted) and event.kind == "login":
                self._logged_in = True
                return [*events, StatusChanged(SystemMode.ONLINE, "online")]
        return events

    def answered_ns(self, payload: bytes) -> int:
        """Return when a request reached the venue, by its answer's `x_in_time`; 0: not told."""
        found = IN_TIME.search(payload)
        return int(found[1]) * 1000 if found is not None else 0

    def asked_id(self, payload: bytes) -> int:
        """Return a request's `req_id`; 0: it has none."""
        found = REQ_ID.search(payload)
        return int(found[1]) if found is not None else 0

    def redact(self, payload: bytes) -> bytes:
        """Blank the key, which the venue repeats, for the journal."""
        return payload if self._key is None else redact(payload, self._key.public)

    # --- inside

    def _now_s(self) -> int:
        return self._clock.now_ns() // NS
