"""Bitget as the engine sees it: fills in `venues.connector`.

One object a configured venue. It makes and reads messages and holds no socket; its request side
carries bytes through a `RoundTrip`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, final

from openmm._fast.book import Book
from openmm._fast.checks import RateBudget
from openmm.errors import VenueRejected
from openmm.events import (
    Event,
    OrderFilled,
    OrderUpdated,
    RequestAccepted,
    StatusChanged,
    SystemMode,
)
from openmm.instrument import Instrument
from openmm.venues.bitget import stream
from openmm.venues.bitget.encode import BitgetEncoder
from openmm.venues.bitget.private import PrivateDecoder
from openmm.venues.bitget.rest import Rest
from openmm.venues.bitget.spec import (
    PING_EVERY_S,
    VENUE,
    Endpoints,
    Family,
    Settings,
    book_channel,
)
from openmm.venues.bitget.stream import PING, Subscriptions
from openmm.venues.bitget.venue import BitgetVenue
from openmm.venues.bitget.wire import BitgetDecoder
from openmm.venues.connector import Capabilities
from openmm.venues.messages import redact
from openmm.venues.questions import Questions
from openmm.venues.session import Session, bot_mark, session_mark

NS: Final = 1_000_000_000
# The venue counts messages of a connection, pings too, and closes it beyond ten a second. Cancels
# are never held back: two placements at once and three a second leave room for five of them.
ADDS_AT_ONCE: Final = 2
MESSAGES_KEPT: Final = 2  # of the burst, for cancels
DECAY_PER_S: Final = 3


@final
class BitgetRequests(Questions[BitgetVenue]):
    """The engine's questions, asked over REST."""

    async def instruments(self, names: Sequence[str]) -> dict[str, Instrument]:
        """Return the named instruments; those the venue does not list are absent.

        With a key, the account's family is settled first: addresses and messages depend on it.
        """
        rest = self.venue.rest
        if rest.key is not None and rest.settings.account == "auto":
            await self.venue.discover()
        return await super().instruments(names)

    def remember(self, instrument: Instrument) -> None:
        """Take an instrument as the venue listed it before."""
        super().remember(instrument)
        self.venue.remember(instrument.name)

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Return states and fills of orders; the history is searched from `since_ns` on."""
        states = await self.venue.find(client_ids, venue_order_ids, since_ns)
        return [*await self.venue.get_fills_of(states), *states]

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id; returns how many the venue took."""
        return await self.venue.cancel_ids(venue_order_ids)


@final
class BitgetConnector(Session[BitgetEncoder]):
    """One Bitget account or feed, seen from the engine.

    Args:
        rest: the request side, with a key if orders are to be placed, and the settings.
        endpoints: addresses; a simulated venue's, for one.
    """

    name = VENUE
    ping_every_s = PING_EVERY_S

    def __init__(self, rest: Rest, endpoints: Endpoints | None = None) -> None:
        self.settings: Settings = rest.settings
        self._rest = rest
        self._endpoints = endpoints or rest.endpoints
        self._requests = BitgetRequests(BitgetVenue(rest))
        self._public = Subscriptions()
        self._private = Subscriptions()
        # Only the traded pair is loaded: what happens on others is another bot's.
        self._reader = PrivateDecoder(requested=self._asked, last_request=self._last_request)
        self._logged_in = False
        self._due: list[bytes] = []

    def __repr__(self) -> str:
        """Show no secret."""
        return f"BitgetConnector({self.public_url!r})"

    @property
    def family(self) -> Family:
        """Which interface the account is served by, as far as is known."""
        return self._rest.family

    @property
    def capabilities(self) -> Capabilities:
        """What the account can do."""
        return self._requests.venue.capabilities

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        return self._endpoints.public(self.family)

    @property
    def private_url(self) -> str:
        """Where orders go and private streams come from."""
        return self._endpoints.private(self.family)

    def rest(self) -> BitgetRequests:
        """Return the request side."""
        return self._requests

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        return self._requests.known[name]

    # --- compiled ends

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> BitgetDecoder:
        """Make a decoder bound to one instrument's book; sequences are always checked."""
        decoder = BitgetDecoder()
        decoder.bind(
            self.symbol(instrument),
            0,
            book,
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            book_channel(self.family, depth),
            verify,
        )
        return decoder

    def order_encoder(self, instrument: Instrument, *, bot: str, session_s: int) -> BitgetEncoder:
        """Make the encoder of a session; also what the slow path asks about client ids."""
        self._reader.instruments[self.symbol(instrument)] = instrument
        self._encoder = BitgetEncoder(
            self.symbol(instrument),
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            bot_mark(bot),
            session_mark(session_s),
            unified=self.family is Family.UNIFIED,
            amend=self.capabilities.amend,
            stp_mode=self.settings.stp_mode,
        )
        return self._encoder

    def rate_budget(self, *, reserve: Callable[[int], int]) -> RateBudget:
        """Make the counter of a connection's messages: cancels count in it too."""
        threshold_milli = (ADDS_AT_ONCE + MESSAGES_KEPT) * 1000
        kept_milli = max(reserve(threshold_milli), MESSAGES_KEPT * 1000)
        # Unified accounts send several orders in one message.
        many_milli = 500 if self.family is Family.UNIFIED else 1000
        return RateBudget(
            threshold_milli,
            min(kept_milli, threshold_milli - 1000),
            DECAY_PER_S * 1000,
            add_milli=1000,
            batch_add_milli=many_milli,
            amend_milli=1000,
            cancel_milli=many_milli,
        )

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return the counter of a told threshold, messages a second."""
        burst = max(1, threshold // 2)
        return burst * 1000, max(1, threshold - burst) * 1000

    # --- messages out

    def set_token(self, token: str) -> None:
        """Take note of nothing: there is no token."""

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that start the market data of an instrument, on a new connection."""
        self._public.reset()
        symbol = self.symbol(instrument)
        return self._public.subscribe(
            self.family,
            stream.book(symbol, depth, self.family),
            stream.trades(symbol, self.family),
        )

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that bring a new snapshot."""
        one = stream.book(self.symbol(instrument), depth, self.family)
        return self._public.renew(self.family, one)

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch nothing: the stream begins with its snapshot, and REST tells no `seq`."""
        return None

    def subscribe_private(self) -> list[bytes]:
        """Make the login; the subscriptions are `due` once it has been answered."""
        self._private.reset()
        self._reader.begin()
        self._logged_in = False
        self._due.clear()
        key = self._rest.key
        if key is None:
            raise VenueRejected("private streams need an API key", venue=VENUE, code="credentials")
        return [stream.login(key, self._rest.clock.now_ns() // NS)]

    def private_ready(self) -> bool:
        """Whether the login and every private subscription were taken since the last subscribe.

        The order streams bring no snapshot: orders and fills are asked for over REST.
        """
        return self._logged_in and self._private.settled

    def ping(self) -> bytes:
        """Make a liveness request."""
        return PING

    def cancel_all(self) -> bytes | None:
        """Make nothing: it goes over REST."""
        return None

    def dead_man(self, timeout_s: int) -> bytes | None:
        """Make nothing: the countdown is armed over REST."""
        return None

    def due(self) -> list[bytes]:
        """Take the messages that what was read on the private connection calls for."""
        due, self._due = self._due, []
        return due

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
                wanted = stream.private(self.family, self.settings)
                self._due += self._private.subscribe(self.family, *wanted)
                return [*events, StatusChanged(SystemMode.ONLINE, "online")]
        return events

    def redact(self, payload: bytes) -> bytes:
        """Blank key and passphrase, for the journal."""
        key = self._rest.key
        return payload if key is None else redact(payload, key.public, key.passphrase)

    # --- inside

    def symbol(self, instrument: Instrument) -> str:
        """Return the venue's symbol of a pair it has told of."""
        return self._requests.venue.symbol_of(instrument.name)

    def recall(self, instrument: Instrument, symbol: str) -> None:
        """Know a pair and its symbol as if the venue had told them."""
        self._requests.known[instrument.name] = instrument
        self._requests.venue.know(instrument, symbol)

    def _last_request(self) -> int:
        return 0 if self._encoder is None else self._encoder.last_req_id
