"""What the engine asks of a venue: compiled ends for the hot path, bytes and events beside it.

A connector is pure but for `Rest`: it makes and reads messages, it opens no socket. The engine's
loop owns the connections, so that a simulated or an in-memory venue is driven by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

from msgspec import Struct

from openmm._fast.book import Book
from openmm._fast.checks import RateBudget
from openmm._fast.ports import Decoder, Encoder
from openmm.config.secrets import Keys as Keys
from openmm.events import Event, OrderFilled, OrderUpdated
from openmm.instrument import Instrument


class Capabilities(Struct, frozen=True):
    """What a venue can do, with its scope."""

    amend: bool  # in place, keeping the order's id
    amend_keeps_priority: bool  # at least for a smaller quantity at the same price
    batch_add_max: int  # orders in one message, 1: no batches
    batch_cancel_max: int
    cancel_all_scope: str  # "account", "instrument" or "none"
    dead_man: bool  # a dead-man's switch, account-wide
    websocket_trading: bool


class Fees(Struct, frozen=True):
    """An account's rates for one instrument, parts per million; negative is a rebate."""

    maker_ppm: int
    taker_ppm: int


class OrderHttp(Struct, frozen=True):
    """How orders leave where the venue takes them over REST only.

    The encoder's messages are `ID VERB /path?query`; what is sent is the rest of them as an HTTP
    request, and `reply` makes a frame for `read_private` of its answer.

    Args:
        url: scheme, host and port.
        headers: of every order.
        secret_headers: those of them that no journal or log may show.
        idle_path: GET of it costs nothing: keeps an idle connection.
        connections: kept open, so that no order waits for a handshake, or for another's answer.
        reply: (id, HTTP status, body) to a frame.
    """

    url: str
    headers: Mapping[str, str]
    secret_headers: tuple[str, ...]
    idle_path: str
    connections: int
    reply: Callable[[int, int, bytes], bytes]


class Rest(Protocol):
    """The venue's request side: start-up, recovery, proof. Every call is bounded in time.

    Raises:
        TransportError: no answer; what the venue did is unknown.
        VenueRejected: the venue said no.
    """

    async def server_time_ns(self) -> int:
        """Return the venue's clock, UTC."""
        ...

    async def instruments(self, names: Sequence[str]) -> dict[str, Instrument]:
        """Return the named instruments with their steps, minimums and listed fees."""
        ...

    def remember(self, instrument: Instrument) -> None:
        """Take an instrument as the venue listed it before, instead of asking for it."""
        ...

    async def mid(self, instrument: Instrument) -> Decimal:
        """Return the middle of the best bid and ask now."""
        ...

    async def token(self) -> str:
        """Return a fresh credential for the private stream."""
        ...

    async def fees(self, instrument: Instrument) -> Fees:
        """Return the account's own rates."""
        ...

    async def balances(self) -> dict[str, Decimal]:
        """Return the total held of every asset, by the instrument's asset names."""
        ...

    async def open_orders(self) -> list[OrderUpdated]:
        """Return every open order of the account (source QUERY)."""
        ...

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Return states and fills of the orders asked for; an order it does not know is absent.

        `since_ns`: none of them was placed before; it bounds where the venue has to look.
        """
        ...

    async def fills_since(self, ts_ns: int) -> list[OrderFilled]:
        """Return the account's fills from a moment on, oldest first."""
        ...

    async def cancel(self, venue_order_ids: Sequence[str]) -> int:
        """Cancel orders by venue id; returns how many the venue took."""
        ...

    async def dead_man(self, timeout_s: int) -> None:
        """Arm (0: disarm) the dead-man's switch; for venues whose streams do not take it."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


@runtime_checkable
class Named(Protocol):
    """A connector whose symbols do not follow from the names of pairs: the venue has to tell them.

    They are journalled, as a replay asks nobody.
    """

    def symbol(self, instrument: Instrument) -> str:
        """Return the venue's symbol of a pair it has told of."""
        ...

    def recall(self, instrument: Instrument, symbol: str) -> None:
        """Know a pair and its symbol as if the venue had told them."""
        ...


@runtime_checkable
class Stamped(Protocol):
    """A connector of a venue whose answers tell when the request reached it, and which it was."""

    def answered_ns(self, payload: bytes) -> int:
        """Return that time of an answer, ns since 1970 by the venue's clock; 0: it tells none."""
        ...

    def asked_id(self, payload: bytes) -> int:
        """Return the id of an order request, which its answer repeats; 0: it has none."""
        ...


class MarketSide(Protocol):
    """What makes the decoders of a venue's market data: a connector, or a recording."""

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> Decoder:
        """Make a decoder bound to one instrument's book."""
        ...


class Connector(Protocol):
    """One venue, seen from the engine."""

    name: str

    @property
    def ping_every_s(self) -> float:
        """How often to send `ping` on every connection; 0: the WebSocket protocol's own do."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the account can do."""
        ...

    @property
    def public_url(self) -> str:
        """Where market data comes from."""
        ...

    @property
    def private_url(self) -> str:
        """Where orders go and private streams come from; asked for anew before each connect."""
        ...

    def order_http(self) -> OrderHttp | None:
        """Return where orders go instead, if not over the private connection."""
        ...

    def rest(self) -> Rest:
        """Return the request side."""
        ...

    def instrument(self, name: str) -> Instrument:
        """Return an instrument already fetched over `rest().instruments`."""
        ...

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> Decoder:
        """Make a decoder bound to one instrument's book."""
        ...

    def order_encoder(self, instrument: Instrument, *, bot: str, session_s: int) -> Encoder:
        """Make the encoder of a session; also what the slow path asks about client ids."""
        ...

    def rate_budget(self, *, reserve: Callable[[int], int]) -> RateBudget:
        """Make the venue's rate counter; `reserve`: from its threshold to the part for cancels."""
        ...

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return the rate counter of an account whose threshold the venue told, in thousandths.

        Returns:
            Threshold, and decay a second.
        """
        ...

    def set_token(self, token: str) -> None:
        """Use this credential in every later private message."""
        ...

    def subscribe_market(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that start the market data of an instrument."""
        ...

    def resubscribe_book(self, instrument: Instrument, depth: int) -> list[bytes]:
        """Make the messages that bring a new snapshot."""
        ...

    async def book_snapshot(self, instrument: Instrument, depth: int) -> bytes | None:
        """Fetch the book that a stream's increments join, as a frame for the market decoder.

        Asked after each connect and each `resubscribe_book`; it may wait until the subscription has
        been acknowledged. None: the stream brings its own snapshot.

        Raises:
            VenueError: there is none now; the caller asks again.
        """
        ...

    def subscribe_private(self) -> list[bytes]:
        """Make the messages that start the private streams; a login first, where there is one."""
        ...

    def private_ready(self) -> bool:
        """Whether login, subscriptions and snapshots have been answered since the last subscribe.

        Nothing is placed before. A venue whose streams bring no snapshot is ready without one.
        """
        ...

    def ping(self) -> bytes:
        """Make a liveness request."""
        ...

    def due(self) -> list[bytes]:
        """Take the messages that what was read on the private connection calls for.

        Subscriptions behind a login's answer, for one. They are asked for after each message.
        """
        ...

    def cancel_all(self) -> bytes | None:
        """Make the request that cancels the whole account's orders; None: the venue has none."""
        ...

    def dead_man(self, timeout_s: int) -> bytes | None:
        """Make the message that arms (0: disarms) the dead-man's switch; None: ask `rest()`."""
        ...

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a public message that was not for the hot path."""
        ...

    def read_private(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode a private message."""
        ...

    def redact(self, payload: bytes) -> bytes:
        """Blank every secret of a private message, for the journal."""
        ...

    def client_id(self, seq: int) -> str:
        """Return the client id of an order of this session, in the venue's own form."""
        ...

    def seq_of(self, client_id: str) -> int:
        """Return the order-table sequence of an id of this session, 0 when it is not."""
        ...

    def is_earlier(self, client_id: str) -> bool:
        """Whether the id is this bot's, of an earlier session."""
        ...

    def is_later(self, client_id: str) -> bool:
        """Whether the id is this bot's, of a session that began after this one."""
        ...

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        """Return the kind of a hot-path request and its orders' sequences; ("", ()) if unknown."""
        ...

    def superseded(self, req_id: int, seq: int) -> bool:
        """Whether a later request of the kind names the order: an answer to this one is old."""
        ...
