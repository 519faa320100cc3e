"""Gate.io as the engine sees it: fills in `venues.connector`.

One object a configured venue. It makes and reads messages and holds no socket; its request side
carries bytes through a `RoundTrip`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, final

from openmm._fast.book import Book
from openmm._fast.checks import RateBudget
from openmm.errors import TransportError, VenueRejected
from openmm.events import (
    Event,
    OrderFilled,
    OrderUpdated,
    RequestAccepted,
    StatusChanged,
    SystemMode,
)
from openmm.instrument import Instrument
from openmm.venues.connector import Capabilities, Fees
from openmm.venues.gateio import spec, stream
from openmm.venues.gateio.encode import GateioEncoder, base32, parse_client_id
from openmm.venues.gateio.private import PrivateDecoder
from openmm.venues.gateio.rest import Rest
from openmm.venues.gateio.spec import VENUE, Endpoints, Settings, venue_symbol
from openmm.venues.gateio.stream import PRIVATE, Requests, State, Subscriptions, redact
from openmm.venues.gateio.venue import CAPABILITIES, GateioVenue
from openmm.venues.gateio.wire import GateioDecoder

NS: Final = 1_000_000_000
ACK_WAIT_S: Final = 5.0
ACK_LOOK_S: Final = 0.005
# Half of the venue's ten orders a second at once, half as they decay: never more in any second.
BURST_ORDERS: Final = spec.ORDERS_PER_S // 2


@final
class GateioRequests:
    """The engine's questions, asked over REST."""

    def __init__(self, venue: GateioVenue) -> None:
        self.venue = venue
        self.known: dict[str, Instrument] = {}
        self.traded = ""

    async def server_time_ns(self) -> int:
        """Return the venue's clock."""
        return (await self.venue.get_server_time()).ts_ns

    async def instruments(self, names: Sequence[str]) -> dict[str, Instrument]:
        """Return the named instruments; those the venue does not list are absent."""
        listed = await self.venue.get_instruments()
        found = {name: listed[name] for name in names if name in listed}
        self.known.update(found)
        return found

    async def mid(self, instrument: Instrument) -> Decimal:
        """Return the middle of the best bid and ask now."""
        book = await self.venue.get_order_book(instrument.name, 1)
        if not book.bids or not book.asks:
            raise VenueRejected(
                f"{instrument.name} has no two-sided market",
                venue=VENUE,
                instrument=instrument.name,
                code="no_market",
                retryable=True,
            )
        return (book.bids[0][0] + book.asks[0][0]) / 2

    async def token(self) -> str:
        """Return nothing: messages are signed, or follow a login."""
        return ""

    async def fees(self, instrument: Instrument) -> Fees:
        """Return the account's own rates."""
        return await self.venue.get_fees(instrument.name)

    async def balances(self) -> dict[str, Decimal]:
        """Return the total held of every asset."""
        found = await self.venue.get_balance()
        return {asset: balance.total for asset, balance in found.items()}

    async def open_orders(self) -> list[OrderUpdated]:
        """Return every open order of the account."""
        return await self.venue.get_open_orders()

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Return states and fills of orders of the traded pair; the venue needs no `since_ns`."""
        states = await self.venue.find(self.traded, client_ids, venue_order_ids)
        return [*await self.venue.get_fills_of(states), *states]

    async def fills_since(self, ts_ns: int) -> list[OrderFilled]:
        """Return the account's fills from a moment on, oldest first."""
        return await self.venue.get_fills(ts_ns)

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id; returns how many the venue took."""
        return await self.venue.cancel_ids(venue_order_ids)

    async def dead_man(self, timeout_s: int) -> None:
        """Arm (0: disarm) the countdown that cancels the account's orders."""
        await self.venue.dead_man_switch(timeout_s)

    async def close(self) -> None:
        """Release the connections."""
        await self.venue.close()


@final
class GateioConnector:
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
        self._encoder: GateioEncoder | None = None
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
            base32(session_s),
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

    def redact(self, payload: bytes) -> bytes:
        """Blank the key, which the venue repeats, for the journal."""
        return payload if self._key is None else redact(payload, self._key.public)

    # --- client ids

    def client_id(self, seq: int) -> str:
        """Return the client id of an order of this session."""
        return self._ids().client_id(seq)

    def seq_of(self, client_id: str) -> int:
        """Return the order-table sequence of an id of this session, 0 when it is not."""
        return self._ids().seq_of(client_id)

    def is_earlier(self, client_id: str) -> bool:
        """Whether the id is this bot's, of an earlier session."""
        return self._ids().is_earlier(client_id) and not self.is_later(client_id)

    def is_later(self, client_id: str) -> bool:
        """Whether the id is this bot's, of a session that began after this one."""
        theirs, ours = parse_client_id(client_id), parse_client_id(self.client_id(1))
        assert ours is not None, "an id of ours reads back"
        # Sessions are written so that their texts sort by their start.
        return theirs is not None and theirs[0] == ours[0] and theirs[1] > ours[1]

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        """Return the kind and the sequences of a hot-path request; ("", ()) if unknown."""
        return self._ids().requested(req_id)

    def superseded(self, req_id: int, seq: int) -> bool:
        """Whether a later request of the kind names the order: an answer to this one is old."""
        return self._ids().superseded(req_id, seq)

    # --- inside

    def _now_s(self) -> int:
        return self._clock.now_ns() // NS

    def _ids(self) -> GateioEncoder:
        assert self._encoder is not None, "order_encoder comes first"
        return self._encoder

    def _asked(self, req_id: int) -> tuple[str, Sequence[str]]:
        if self._encoder is None:
            return "", ()
        kind, seqs = self._encoder.requested(req_id)
        return kind, [self._encoder.client_id(seq) for seq in seqs]


def bot_mark(name: str) -> str:
    """Return the 3 characters that tell a bot in client ids, from its name."""
    return base32(zlib.crc32(name.encode()))[-3:]
