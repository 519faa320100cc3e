"""A venue's streams for programs: books and trades of one pair, and what happens to an account.

The bot's hot path does not pass here. Both streams keep themselves up: after a loss they connect
again, with a back-off, for as long as somebody reads. What a slow reader misses of books does not
matter, only the latest is kept; other events wait in a bounded queue, and one that is full ends
the stream with an error.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, final

from msgspec import Struct
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import Side
from openmm.clock import Clock
from openmm.errors import TransportError, VenueError, VenueRejected
from openmm.events import Event, RequestRefused
from openmm.instrument import Instrument
from openmm.venues.base import MarketTrade, OrderBook
from openmm.venues.connector import Connector
from openmm.venues.faults import Code

log = logging.getLogger(__name__)

BACKOFF_S: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
GOOD_AFTER_S: Final = 30.0
RESYNC_AFTER_S: Final = 1.0
QUEUE_MAX: Final = 10_000
MESSAGE_BYTES_MAX: Final = 16 << 20
BID, ASK = 0, 1

E = TypeVar("E")
Tap = Callable[[bytes, int], None]


class BookUpdated(Struct, frozen=True):
    """A verified book, after a message that changed it. Times in ns; `ts_ns` is the venue's."""

    book: OrderBook
    ts_ns: int
    recv_ns: int


class StreamLost(Struct, frozen=True):
    """The stream fell, or its book can no longer be trusted: nothing told before holds now."""

    instrument: str
    reason: str


MarketEvent = BookUpdated | MarketTrade | StreamLost
AccountEvent = Event | StreamLost


class _Listener(WSListener):
    """Hand text and binary messages on; answer pings."""

    def __init__(self, on_message: Callable[[bytes], None]) -> None:
        self._on_message = on_message

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one message."""
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._on_message(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


class _Stream(ABC, Generic[E]):
    """Keep one connection up and queue what it brings; a stream fills in the rest."""

    def __init__(self, connector: Connector, instrument: Instrument, clock: Clock) -> None:
        self._connector = connector
        self.instrument = instrument
        self._clock = clock
        self._events: deque[E | StreamLost] = deque()
        self._wake = asyncio.Event()
        self._failed: VenueError | OSError | None = None
        self._transport: WSTransport | None = None
        self._keeping: asyncio.Task[None] | None = None

    # --- what a stream fills in

    @abstractmethod
    def _url(self) -> str:
        """Tell where to connect."""

    @abstractmethod
    async def _hello(self) -> Sequence[bytes]:
        """Make what is sent on connect; VenueError counts as a failed try."""

    @abstractmethod
    def _on_message(self, payload: bytes) -> None:
        """Take one message."""

    def _next(self) -> E | StreamLost | None:
        return self._events.popleft() if self._events else None

    def _on_lost(self) -> None:
        """Take note that the connection is gone."""

    async def _beside(self) -> None:
        """Work beside the connection for as long as it lasts."""
        await asyncio.sleep(math.inf)

    # --- for readers

    async def __aenter__(self) -> Self:
        """Begin; what is read comes once the venue has answered."""
        self._keeping = asyncio.create_task(self._keep(), name="venue stream")
        self._keeping.add_done_callback(lambda _: self._wake.set())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the connection."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._drop()

    def __aiter__(self) -> Self:
        """Read events as they come."""
        return self

    async def __anext__(self) -> E | StreamLost:
        """Wait for the next event.

        Raises:
            VenueError: the venue refuses the stream for good, or the reader is too slow.
            OSError: the tap cannot write.
        """
        while True:
            found = self._next()
            if found is not None:
                return found
            if self._failed is not None:
                raise self._failed
            if self._keeping is None or self._keeping.done():
                if self._keeping is not None and not self._keeping.cancelled():
                    # A fault of ours beside the connection: told to who reads, not only logged.
                    self._keeping.result()
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    # --- inside

    def _take(self, payload: bytes) -> None:
        try:
            self._on_message(payload)
        except OSError as error:
            # A tap whose disk is full: to connect again would mend nothing.
            self._fail(error)

    def _put(self, event: E | StreamLost) -> None:
        if len(self._events) >= QUEUE_MAX:
            self._fail(
                TransportError(
                    f"the reader is more than {QUEUE_MAX} events behind",
                    venue=self._connector.name, code="slow_reader",
                )
            )  # fmt: skip
            return
        self._events.append(event)
        self._wake.set()

    def _fail(self, error: VenueError | OSError) -> None:
        self._failed = self._failed or error
        self._wake.set()
        self._drop()

    def _send(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            if self._transport is not None:
                self._transport.send(WSMsgType.TEXT, message)

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(False)

    async def _keep(self) -> None:
        tries = 0
        loop = asyncio.get_running_loop()
        while self._failed is None:
            await asyncio.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1
            started_s = loop.time()
            try:
                await self._once()
                reason = "the connection ended"
            except VenueRejected as error:
                if not error.retryable:
                    self._fail(error)
                    return
                reason = str(error)
            except (OSError, WSError, TimeoutError, ssl.SSLError, VenueError) as error:
                reason = f"{type(error).__name__}: {error}"
            log.warning("%s stream: %s", self._connector.name, reason)
            self._on_lost()
            if self._failed is None:
                self._put_lost(reason)
            if loop.time() - started_s > GOOD_AFTER_S:
                tries = 0

    def _put_lost(self, reason: str) -> None:
        self._put(StreamLost(self.instrument.name, reason))

    async def _once(self) -> None:
        hello = await self._hello()
        transport, _ = await ws_connect(
            lambda *_: _Listener(self._take),
            self._url(),
            max_frame_size=MESSAGE_BYTES_MAX,
            websocket_handshake_timeout=5.0,
            enable_auto_ping=True,
            auto_ping_idle_timeout=5.0,
            auto_ping_reply_timeout=5.0,
            max_redirects=0,  # it could lead a credential to another host
        )
        self._transport = transport
        work = [
            asyncio.create_task(one)
            for one in (transport.wait_disconnected(), self._beside(), self._ping())
        ]
        try:
            self._send(hello)
            # The end of the connection, or the error of what runs beside it.
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            self._transport = None
            for one in work:
                one.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            transport.disconnect(False)

    async def _ping(self) -> None:
        every_s = self._connector.ping_every_s or math.inf
        while True:
            await asyncio.sleep(every_s)
            self._send([self._connector.ping()])


@final
class MarketStream(_Stream[BookUpdated | MarketTrade]):
    """Books and trades of one pair: `async with` it, then `async for` its events.

    Args:
        depth: levels subscribed, one the venue offers.
        levels: of a side in the books that are told.
        tap: is given every frame as it came, with its time of receipt, before it is read.
    """

    def __init__(
        self,
        connector: Connector,
        instrument: Instrument,
        clock: Clock,
        *,
        depth: int,
        levels: int,
        tap: Tap | None = None,
    ) -> None:
        super().__init__(connector, instrument, clock)
        self._tap = tap
        self._depth = depth
        self._levels = levels
        self._told = -1  # version of the book last told
        self._verified = False
        self._make()

    def _make(self) -> None:
        self._book = Book()
        self._trades = TradeLog(QUEUE_MAX)
        self._decoder = self._connector.market_decoder(
            self.instrument, self._book, depth=self._depth, verify=True
        )
        self._decoder.set_sink(self._trades)

    def _url(self) -> str:
        return self._connector.public_url

    async def _hello(self) -> Sequence[bytes]:
        # Book and decoder begin anew with each connection.
        self._make()
        return self._connector.subscribe_market(self.instrument, self._depth)

    def _on_message(self, payload: bytes) -> None:
        recv_ns = self._clock.now_ns()
        if self._tap is not None:
            self._tap(payload, recv_ns)
        if self._decoder.decode(payload, recv_ns) == Decoded.DECODED_SLOW:
            for event in self._connector.read_public(payload, recv_ns):
                if isinstance(event, RequestRefused) and not event.retryable:
                    self._refuse(event)
            self._send(self._connector.due())
        if self._book.recentre_due:
            self._book.recentre()
        for _, ts_ns, price_ticks, qty_lots, trade_id, side, snapshot in self._trades.take():
            if not snapshot:
                price, qty = self.instrument.price(price_ticks), self.instrument.qty(qty_lots)
                name = self.instrument.name
                self._put(MarketTrade(name, trade_id, Side(side), price, qty, ts_ns))
        verified = self._book.state == BookState.BOOK_VERIFIED
        if self._verified and self._book.state == BookState.BOOK_BROKEN:
            self._verified = False
            self._put_lost(self._book.break_reason.name.lower().replace("_", " "))
        self._verified = self._verified or verified
        if verified and self._book.version != self._told:
            self._wake.set()

    def _refuse(self, event: RequestRefused) -> None:
        code = event.code or Code.UNKNOWN
        self._fail(VenueRejected(event.text, venue=self._connector.name, code=code))

    def _next(self) -> BookUpdated | MarketTrade | StreamLost | None:
        book = self._book
        if self._events:
            return self._events.popleft()
        if book.state != BookState.BOOK_VERIFIED or book.version == self._told:
            return None
        self._told = book.version
        one = self.instrument
        bids, asks = (
            tuple(
                (one.price(price), one.qty(qty)) for price, qty in book.levels(side, self._levels)
            )
            for side in (BID, ASK)
        )
        return BookUpdated(OrderBook(one.name, bids, asks), book.ts_ns, book.recv_ns)

    def _on_lost(self) -> None:
        self._verified = False
        self._told = -1
        self._make()

    async def _beside(self) -> None:
        """Bring the copy that increments join, and a new one whenever the book has broken."""
        await self._snapshot()
        while True:
            await asyncio.sleep(RESYNC_AFTER_S)
            if self._book.state == BookState.BOOK_BROKEN:
                self._send(self._connector.resubscribe_book(self.instrument, self._depth))
                await self._snapshot()

    async def _snapshot(self) -> None:
        while True:
            try:
                frame = await self._connector.book_snapshot(self.instrument, self._depth)
            except VenueError as error:
                log.warning("%s stream: no book: %s", self._connector.name, error)
                await asyncio.sleep(RESYNC_AFTER_S)
                continue
            if frame is not None:
                self._on_message(frame)
            return


@final
class AccountStream(_Stream[Event]):
    """Orders, fills and balances of an account as they happen."""

    def __init__(self, connector: Connector, instrument: Instrument, clock: Clock) -> None:
        super().__init__(connector, instrument, clock)
        # Its ids are never sent: a reader of the stream learns the pair by it.
        connector.order_encoder(instrument, bot="desk", session_s=clock.now_ns() // 10**9)

    @property
    def ready(self) -> bool:
        """Whether the venue has taken every private subscription: what happens now is told."""
        return self._connector.private_ready()

    def _url(self) -> str:
        return self._connector.private_url

    async def _hello(self) -> Sequence[bytes]:
        self._connector.set_token(await self._connector.rest().token())
        return self._connector.subscribe_private()

    def _on_message(self, payload: bytes) -> None:
        for event in self._connector.read_private(payload, self._clock.now_ns()):
            if isinstance(event, RequestRefused) and not event.retryable:
                code = event.code or Code.UNKNOWN
                self._fail(VenueRejected(event.text, venue=self._connector.name, code=code))
                return
            self._put(event)
        self._send(self._connector.due())
