"""Kraken as the engine sees it: fills in `venues.connector`.

One object a configured venue. It makes and reads messages and holds no socket; its request side
carries bytes through a `RoundTrip`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, final

from openmm._fast.book import Book
from openmm._fast.checks import RateBudget
from openmm._fast.scan import parse_rfc3339
from openmm.events import Event, OrderFilled, OrderUpdated, Subscribed
from openmm.instrument import Instrument
from openmm.venues.connector import Capabilities
from openmm.venues.kraken import spec
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.kraken.listing import CHANNEL, read_listing
from openmm.venues.kraken.private import PrivateDecoder
from openmm.venues.kraken.rest import Rest
from openmm.venues.kraken.spec import VENUE, Endpoints
from openmm.venues.kraken.stream import Requests, Subscription, Subscriptions
from openmm.venues.kraken.venue import CAPABILITIES, KrakenVenue
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.messages import redact
from openmm.venues.questions import Questions
from openmm.venues.session import Session, bot_mark, session_mark

PRIVATE: Final = (Subscription("executions"), Subscription("balances"))
TOKENS_KEPT: Final = 4
CLOSED_SINGLY_MAX: Final = 2  # orders looked up one by one among those that are done
# Sides of pairs whose amends must name the pair: no crypto on either.
TIME_IN: Final = re.compile(rb'"time_in":"([^"]{1,40})"')
REQ_ID: Final = re.compile(rb'"req_id":(\d{1,18})')
FIAT: Final = frozenset({"USD", "EUR", "GBP", "CAD", "AUD", "JPY", "CHF"})


@final
class KrakenRequests(Questions[KrakenVenue]):
    """The engine's questions, asked over REST."""

    def learn(self, threshold: int) -> None:
        """Learn the account's tier from its engine counter's threshold."""
        for tier in spec.TIERS.values():
            if tier.threshold == threshold:
                self.venue.rest.budget.set_tier(tier)

    async def token(self) -> str:
        """Return a fresh token for private streams and orders."""
        return (await self.venue.rest.websocket_token()).text

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Return states and fills of orders: by the venue's ids, then open ones, then done ones."""
        wanted = set(client_ids)
        orders = {one.venue_order_id: one for one in await self.venue.query_orders(venue_order_ids)}
        wanted -= {one.client_id for one in orders.values()}
        # An order known by its id need not be told by its client id, if the venue keeps none.
        if len(wanted) > 0 and len(orders) < len(client_ids):
            for one in await self.venue.get_open_orders():
                if one.client_id in wanted:
                    orders[one.venue_order_id] = one
                    wanted.discard(one.client_id)
            if since_ns and len(wanted) > CLOSED_SINGLY_MAX:
                # A call for each would use up the call counter: one list of all since then.
                done = await self.venue.get_closed_orders(since_ns=since_ns)
            else:
                done = [
                    one
                    for client_id in sorted(wanted)
                    for one in await self.venue.get_closed_orders(client_id=client_id)
                ]
            orders |= {one.venue_order_id: one for one in done if one.client_id in wanted}
        states = list(orders.values())
        return [*await self.venue.get_fills_of(states), *states]

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id; returns how many the venue took."""
        count = 0
        for venue_order_id in venue_order_ids:
            count += await self.venue.cancel_order(venue_order_id=venue_order_id)
        return count


@final
class KrakenConnector(Session[KrakenEncoder]):
    """One Kraken account or feed, seen from the engine.

    Args:
        endpoints: addresses; a simulated venue's, for one.
        rest: the request side, with a key if orders are to be placed.
        tier: the account's tier until the venue tells its threshold.
    """

    name = VENUE
    ping_every_s = 0.0

    def __init__(
        self, rest: Rest, endpoints: Endpoints | None = None, *, tier: str = "starter"
    ) -> None:
        self.capabilities: Capabilities = CAPABILITIES
        self._endpoints = endpoints or rest.endpoints
        self._tier = spec.TIERS[tier]
        self._requests = KrakenRequests(KrakenVenue(rest))
        self._messages = Requests()
        self._public = Subscriptions(self._messages)
        self._private = Subscriptions(self._messages)
        self._reader = PrivateDecoder(requested=self._asked)
        self._tokens: list[str] = []

    def __repr__(self) -> str:
        """Show no secret."""
        return f"KrakenConnector({self._endpoints.ws_public!r})"

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        return self._endpoints.ws_public

    @property
    def private_url(self) -> str:
        """Where orders go and private streams come from."""
        return self._endpoints.ws_private

    def rest(self) -> KrakenRequests:
        """Return the request side."""
        return self._requests

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        return self._requests.known[name]

    # --- compiled ends

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> KrakenDecoder:
        """Make a decoder bound to one instrument's book."""
        decoder = KrakenDecoder()
        decoder.bind(
            instrument.name,
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

    def order_encoder(self, instrument: Instrument, *, bot: str, session_s: int) -> KrakenEncoder:
        """Make the encoder of a session; also what the slow path asks about client ids."""
        self._reader.instruments[instrument.name] = instrument
        self._encoder = KrakenEncoder(
            instrument.name,
            instrument.tick_points,
            instrument.price_decimals,
            instrument.lot_points,
            instrument.qty_decimals,
            bot_mark(bot),
            session_mark(session_s),
            amend_symbol=instrument.base in FIAT and instrument.quote in FIAT,
        )
        if self._tokens:
            self._encoder.set_token(self._tokens[-1])
        return self._encoder

    def rate_budget(self, *, reserve: Callable[[int], int]) -> RateBudget:
        """Make the engine counter of section "rate limits"; `reserve` is kept for cancels."""
        threshold_milli = self._tier.threshold * 1000
        return RateBudget(
            threshold_milli,
            reserve(threshold_milli),
            self._tier.decay_milli_per_s,
            add_milli=spec.ADD_COST * 1000,
            batch_add_milli=spec.ADD_COST * 500,
            amend_milli=spec.AMEND_COST * 1000,
            amend_ages=_ages(spec.AMEND_AGE_COSTS),
            cancel_milli=spec.CANCEL_COST * 1000,
            cancel_ages=_ages(spec.CANCEL_AGE_COSTS),
        )

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return the counter of a told threshold: the tier's decay, the slowest if unknown."""
        decays = {tier.threshold: tier.decay_milli_per_s for tier in spec.TIERS.values()}
        return threshold * 1000, decays.get(threshold, min(decays.values()))

    # --- messages out

    def set_token(self, token: str) -> None:
        """Use this token in every later private message."""
        if token not in self._tokens:
            self._tokens = [*self._tokens, token][-TOKENS_KEPT:]
        if self._encoder is not None:
            self._encoder.set_token(token)

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that start the market data of an instrument, on a new connection."""
        self._public.reset()
        return self._public.subscribe(
            Subscription("book", instrument.name, depth),
            Subscription("trade", instrument.name),
            Subscription(CHANNEL),
        )

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that bring a new snapshot."""
        return self._public.renew(Subscription("book", instrument.name, depth))

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch nothing: the stream begins with its snapshot."""
        return None

    def subscribe_private(self) -> list[bytes]:
        """Make the messages that start the private streams, with snapshots, on a new connection."""
        self._private.reset()
        self._reader.reset_sequences()
        return self._private.subscribe(*PRIVATE, token=self._token())

    def private_ready(self) -> bool:
        """Whether every private stream's snapshot has been read since the last subscribe."""
        return all(self._reader.has_snapshot(one.channel) for one in PRIVATE)

    def ping(self) -> bytes:
        """Make a liveness request."""
        return self._messages.ping()[1]

    def due(self) -> list[bytes]:
        """Take nothing: all is sent at once."""
        return []

    def cancel_all(self) -> bytes | None:
        """Make the request that cancels the whole account's orders."""
        return self._messages.cancel_all(self._token())[1]

    def dead_man(self, timeout_s: int) -> bytes | None:
        """Make the request that arms (0: disarms) the dead man's switch of the account."""
        return self._messages.cancel_all_after(self._token(), timeout_s)[1]

    # --- messages in

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a public message that was not for the hot path."""
        listed = read_listing(payload, self._requests.known)
        if listed is not None:
            return listed
        events = self._reader.decode(payload)
        self._public.on_events(events)
        return events

    def read_private(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a private message."""
        events = self._reader.decode(payload)
        self._private.on_events(events)
        for event in events:
            if isinstance(event, Subscribed) and event.rate_threshold is not None:
                self._requests.learn(event.rate_threshold)
        return events

    def answered_ns(self, payload: bytes) -> int:
        """Return when a request reached the venue, by its answer's `time_in`; 0: not told."""
        found = TIME_IN.search(payload)
        if found is None:
            return 0
        try:
            return parse_rfc3339(found[1].decode("ascii", "replace"))
        except ValueError:
            return 0

    def asked_id(self, payload: bytes) -> int:
        """Return a request's `req_id`; 0: it has none."""
        found = REQ_ID.search(payload)
        return int(found[1]) if found is not None else 0

    def redact(self, payload: bytes) -> bytes:
        """Blank every token of a private message, for the journal."""
        for token in self._tokens:
            payload = redact(payload, token)
        return payload

    # --- inside

    def _token(self) -> str:
        return self._tokens[-1] if self._tokens else ""


def _ages(costs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(seconds * 1_000_000_000, cost * 1000) for seconds, cost in costs]
