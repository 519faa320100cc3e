"""The bot's connections and what comes over them: market data, private stream, paper pipe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from msgspec.structs import replace

from openmm._fast.book import BookBreak, BookState
from openmm._fast.feed import MarketListener, PrivateListener, SocketTransport
from openmm._fast.tape import Record
from openmm.engine.context import SOURCE_PRIVATE, Context
from openmm.engine.links import Link
from openmm.engine.proof import OVERLAP_NS, Proof
from openmm.engine.step import Resubscribe
from openmm.errors import TransportError, VenueError
from openmm.events import Event, RequestAccepted, RequestRefused, Unrecognised

if TYPE_CHECKING:
    from openmm.engine.orders import OrderRequests
    from openmm.sim.paper import PaperVenue
    from openmm.venues.connector import Connector

log = logging.getLogger(__name__)

START_TIMEOUT_S = 30.0
# Without its snapshot by then, a private stream that came back is made anew.
SNAPSHOT_S = 10.0
# Between tries to fetch a book: the first wait, and the longest.
BOOK_RETRY_S = 0.25
BOOK_RETRY_S_MAX = 5.0


@final
class Traffic:
    """Own the links of a bot; hand what they bring to the step.

    Args:
        paper: the venue in this process that stands in for the private side, in paper mode.
        orders: what orders leave over where it is not the private connection.
    """

    def __init__(
        self, context: Context, proof: Proof, paper: PaperVenue | None,
        orders: OrderRequests | None = None,
    ) -> None:  # fmt: skip
        self._ctx = context
        self._proof = proof
        self._paper = paper
        # Where orders go over REST: on paper to the venue in this process as well.
        self._paper_http = None if paper is None else context.trading.order_http()
        self._orders = orders
        self._feeds: list[Link] = []
        self._private: Link | None = None
        self._private_seen = asyncio.Event()
        self._private_losses = 0
        self._failed_writes = 0
        self._heard_ns = context.started_ns  # when the private stream last said something
        self._lost_ns: int | None = None  # the same, at the first loss not yet made good
        self._closing = False
        self._drain_due = False
        # Listeners of the feeds' present connections, and feeds whose book is being fetched.
        self._listeners: dict[int, MarketListener] = {}
        self._fetching: set[int] = set()
        self._reconnect_due = False

    @property
    def links(self) -> list[Link]:
        """Every connection, the private one last."""
        return [*self._feeds, *([self._private] if self._private is not None else [])]

    # ------------------------------------------------------------------ open, close

    def open_market(self) -> None:
        """Start to connect to the market data of every venue."""
        for index in range(len(self._ctx.config.venue)):
            link = self._feed_link(index)
            self._feeds.append(link)
            self._keep(link, self._ctx.connectors[index])

    async def open_private(self) -> None:
        """Start to connect to the account."""
        if self._paper is not None:
            await self._connect_paper()
            self.deliver_paper(self._ctx.trading.subscribe_private())
            return
        self._private = self._private_link()
        self._keep(self._private, self._ctx.trading)
        if self._orders is not None:
            self._ctx.spawn(self._orders.keep(self._reply_listener().deliver), "orders")

    def _keep(self, link: Link, connector: Connector) -> None:
        """Keep a connection, and alive where the venue wants to hear pings of its own form."""
        self._ctx.spawn(link.keep(), link.name)
        if connector.ping_every_s > 0:
            self._ctx.spawn(self._ping(link, connector), f"{link.name} ping")

    async def _ping(self, link: Link, connector: Connector) -> None:
        while not self._closing:
            await asyncio.sleep(connector.ping_every_s)
            link.send([connector.ping()])

    def close(self) -> None:
        """End every connection for good."""
        self._closing = True
        for link in self.links:
            link.close()

    def send_private(self, message: bytes | None) -> bool:
        """Send a slow-path message to the venue's private side; False when it cannot go."""
        if message is None or self._private is None:
            return False
        return self._private.send([message])

    def send_dead_man(self) -> None:
        """Arm the venue's dead-man's switch, over the socket or by request."""
        ctx = self._ctx
        timeout_ns = ctx.config.dead_man_ns
        if timeout_ns is None or self._paper is not None:
            return
        # Whole seconds, rounded up: never shorter than the refresh counts on.
        timeout_s = -(-timeout_ns // 1_000_000_000)
        message = ctx.trading.dead_man(timeout_s)
        if message is None:
            ctx.step.dead_man_sent(True, ctx.clock.now_ns())
            ctx.spawn(self._ask_dead_man(timeout_s), "dead man", vital=False)
        elif self.send_private(message):
            ctx.step.dead_man_sent(True, ctx.clock.now_ns())
        else:
            log.warning("dead-man's switch not armed: no private connection")

    async def disarm_dead_man(self) -> None:
        """Disarm the venue's dead-man's switch."""
        ctx = self._ctx
        if ctx.config.dead_man_ns is None or self._paper is not None:
            return
        ctx.step.dead_man_sent(False, ctx.clock.now_ns())
        message = ctx.trading.dead_man(0)
        if message is None:
            await self._ask_dead_man(0)
        elif not self.send_private(message):
            log.warning("dead-man's switch not disarmed: no private connection")

    async def _ask_dead_man(self, timeout_s: int) -> None:
        """Set the switch by request; the step hears of the answer as of one on the stream."""
        ctx = self._ctx
        answer: Event = RequestAccepted("dead_man", 0)
        try:
            await ctx.trading.rest().dead_man(timeout_s)
        except VenueError as error:
            answer = RequestRefused("dead_man", 0, str(error), error.code, error.retryable)
        now_ns = ctx.clock.now_ns()
        ctx.handle(ctx.step.on_events([answer], now_ns))

    def drop_private(self) -> None:
        """Make the private stream anew: it lost messages."""
        if self._private is not None:
            self._private.drop()
        elif self._paper is not None and not self._closing and not self._reconnect_due:
            # In the loop's next turn: what the old connection brought is read to its end first.
            self._reconnect_due = True
            self._ctx.spawn(self._reconnect_paper(), "private on paper")

    def watch(self) -> None:
        """End a private connection that orders cannot leave through any more."""
        failed = self._ctx.tables.pipeline.write_failed_count
        if failed != self._failed_writes:
            self._failed_writes = failed
            if self._orders is None:
                self.drop_private()

    async def wait_ready(self) -> None:
        """Wait for a verified book and the private snapshots.

        Raises:
            TransportError: something is still missing after half a minute.
        """
        ctx = self._ctx
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT_S
        book = ctx.tables.pipeline.feed.book
        while True:
            missing = []
            if book.state is not BookState.BOOK_VERIFIED:
                missing.append(f"a verified book (it is {book.state.name})")
            # What an ended connection brought says nothing of the next one.
            if not self._is_private_up() or not ctx.trading.private_ready():
                missing.append("the private stream's snapshot")
            if self._orders is not None and not self._orders.up:
                missing.append("a connection for orders")
            if not missing:
                break
            if loop.time() > deadline:
                errors = "; ".join(link.last_error for link in self.links if link.last_error)
                raise TransportError(
                    f"not ready after {START_TIMEOUT_S:g} s, still without "
                    f"{' and '.join(missing)}{': ' + errors if errors else ''}",
                    venue=ctx.trading.name,
                )
            await asyncio.sleep(0.01)
        ctx.handle(ctx.step.private_restored(ctx.clock.now_ns()))

    # ------------------------------------------------------------------ market data

    def _feed_link(self, index: int) -> Link:
        ctx = self._ctx
        venue, connector, feed = (
            ctx.config.venue[index], ctx.connectors[index], ctx.tables.feeds[index],
        )  # fmt: skip
        # Paper orders rest in this process: their venue sees the market before we do.
        before = None
        if self._paper is not None and index == ctx.quoted_index:
            before = self._ctx.safely(self._on_paper_frame)

        def on_slow(payload: bytes, recv_ns: int) -> None:
            events = connector.read_public(payload, recv_ns)
            # Only the traded venue's mode and instrument matter to the orders.
            if feed.quoted:
                ctx.handle(ctx.step.on_events(events, recv_ns))

        def drop_book() -> int:
            now_ns = ctx.clock.now_ns()
            ctx.handle(ctx.step.market_lost(index, now_ns))
            return now_ns

        def on_connection(up: bool) -> None:
            self._on_connection(index, up)
            if up:
                self._fetch_book(index)
            else:
                if before is not None and self._paper is not None:
                    self._paper.on_public_lost()
                # At once: the link's task has its turn only after whatever else is waiting.
                drop_book()

        def make() -> MarketListener:
            made = self._listeners[index] = MarketListener(
                ctx.tables.pipeline, feed, ctx.clock, self._ctx.safely(on_slow), on_connection,
                before, late_ack=not ctx.config.engine.quickack, rehearsal=ctx.rehearsal,
            )  # fmt: skip
            return made

        async def hello() -> Sequence[bytes]:
            return connector.subscribe_market(ctx.instruments[index], venue.depth)

        def on_lost(_name: str) -> None:
            ctx.handle(ctx.step.on_timer(drop_book()))

        return Link(
            f"{venue.label} market data", lambda: connector.public_url, make, hello, on_lost,
            ctx.clock, ctx.host.dial,
        )  # fmt: skip

    def resubscribe(self, request: Resubscribe) -> None:
        """Get a new snapshot of a book: over the same socket if that is not silent."""
        index, link = request.feed_index, self._feeds[request.feed_index]
        if not link.up:
            return
        log.warning("feed %d: asking for a snapshot (%s)", index, request.reason.name)
        if request.reason is BookBreak.BREAK_STALE:
            link.drop()
            return
        ctx = self._ctx
        link.send(
            ctx.connectors[index].resubscribe_book(
                ctx.instruments[index], ctx.config.venue[index].depth
            )
        )
        self._fetch_book(index)

    def _fetch_book(self, index: int) -> None:
        """Get a feed's book over requests, where the stream does not bring it whole."""
        if index not in self._fetching:
            self._fetching.add(index)
            self._ctx.spawn(self._deliver_book(index), f"feed {index} book", vital=False)

    async def _deliver_book(self, index: int) -> None:
        """Fetch until there is a reply, which enters the feed as a frame: journalled like any."""
        ctx = self._ctx
        delay_s = BOOK_RETRY_S
        try:
            while not self._closing:
                listener = self._listeners.get(index)
                try:
                    frame = await ctx.connectors[index].book_snapshot(
                        ctx.instruments[index], ctx.config.venue[index].depth
                    )
                except VenueError as error:
                    log.warning("feed %d: no book: %s", index, error)
                    if not self._feeds[index].up:
                        return
                    await asyncio.sleep(delay_s)
                    delay_s = min(BOOK_RETRY_S_MAX, 2 * delay_s)
                    continue
                if frame is None or not self._feeds[index].up:
                    return
                if ctx.tables.feeds[index].book.state is BookState.BOOK_VERIFIED:
                    # Nothing waits for it, and it is no sign of life of the stream.
                    return
                if listener is not None and listener is self._listeners.get(index):
                    listener.deliver(frame)
                    return
        finally:
            self._fetching.discard(index)

    def _on_connection(self, source: int, up: bool) -> None:
        if source == SOURCE_PRIVATE and not up:
            # At once: market data may be read before the loop comes to what follows from it.
            self._ctx.step.private_down(self._ctx.clock.now_ns())
        self._ctx.append(
            Record.REC_CONNECTION, source, self._ctx.clock.now_ns(), b"1" if up else b"0"
        )

    # ------------------------------------------------------------------ private stream

    def _private_link(self) -> Link:
        ctx = self._ctx
        transport = ctx.tables.pipeline.transport
        sender = transport if isinstance(transport, SocketTransport) else None

        def make() -> PrivateListener:
            return PrivateListener(
                ctx.tables.pipeline, SOURCE_PRIVATE, ctx.clock, sender,
                self._ctx.safely(self._on_private),
                lambda up: self._on_connection(SOURCE_PRIVATE, up),
                ctx.trading.redact,
            )  # fmt: skip

        async def hello() -> Sequence[bytes]:
            try:
                ctx.trading.set_token(await ctx.trading.rest().token())
            except VenueError as error:
                self._proof.note(error)
                raise
            return ctx.trading.subscribe_private()

        return Link(
            f"{ctx.config.quoted.label} private", lambda: ctx.trading.private_url, make, hello,
            lambda _name: self._on_private_lost(), ctx.clock, ctx.host.dial,
        )  # fmt: skip

    def _reply_listener(self) -> PrivateListener:
        """Make what takes replies to orders: they are journalled and read like private messages."""
        return PrivateListener(
            self._ctx.tables.pipeline, SOURCE_PRIVATE, self._ctx.clock, None,
            self._ctx.safely(self._on_message), lambda _up: None, self._ctx.trading.redact,
        )  # fmt: skip

    def _on_private(self, payload: bytes, recv_ns: int) -> None:
        self._heard_ns = recv_ns
        self._on_message(payload, recv_ns)

    def _on_message(self, payload: bytes, recv_ns: int) -> None:
        ctx = self._ctx
        events = without_secrets(ctx.trading.read_private(payload, recv_ns), ctx.trading.redact)
        due = ctx.trading.due()
        if due and self._private is not None:
            self._private.send(due)
        elif due:
            self.deliver_paper(due)
        ctx.handle(ctx.step.on_events(events, recv_ns))
        if any(isinstance(one, RequestRefused) and one.code == "token" for one in events):
            # Neither an order nor a cancel gets through with it: connect anew, with a new one.
            log.warning("the venue takes the token no more: a new private connection")
            self.drop_private()
        if ctx.trading.private_ready():
            self._private_seen.set()

    def _on_private_lost(self) -> None:
        ctx = self._ctx
        self._private_losses += 1
        if self._lost_ns is None:
            self._lost_ns = self._heard_ns
        self._private_seen.clear()
        ctx.handle(ctx.step.private_lost(ctx.clock.now_ns()))
        if not self._closing:
            ctx.spawn(self._recover_private(self._private_losses), "private recovery")

    async def _recover_private(self, loss: int) -> None:
        """After a lost private stream: its snapshot first, then a query of every live order."""
        ctx = self._ctx
        if not await self._snapshot_seen(loss):
            return
        lost_ns = ctx.started_ns if self._lost_ns is None else self._lost_ns
        seqs, found, asked_ns = await self._proof.everything_since(
            max(ctx.started_ns, lost_ns - OVERLAP_NS)
        )
        # Lost again meanwhile: what was heard is still true, but the stream is not back.
        now_ns = ctx.clock.now_ns()
        ctx.handle(ctx.step.on_query(seqs, found, asked_ns, now_ns))
        if loss == self._private_losses and self._private_seen.is_set():
            self._lost_ns = None
            ctx.handle(ctx.step.private_restored(now_ns))

    def _is_private_up(self) -> bool:
        return self._private is None or self._private.up

    async def _snapshot_seen(self, loss: int) -> bool:
        """Wait for the snapshot after a loss, over another connection if one brings none.

        Returns whether it came; False when the stream was lost once more.
        """
        while not self._private_seen.is_set():
            up = self._is_private_up()
            try:
                async with asyncio.timeout(SNAPSHOT_S):
                    await self._private_seen.wait()
            except TimeoutError:
                if loss == self._private_losses and up and self._is_private_up():
                    log.warning(
                        "no snapshot of the private stream in %g s: a new connection", SNAPSHOT_S
                    )
                    self.drop_private()
            if loss != self._private_losses:
                return False
        return loss == self._private_losses

    # ------------------------------------------------------------------ paper

    def _on_paper_frame(self, payload: bytes, recv_ns: int) -> None:
        assert self._paper is not None
        self._paper.on_public_frame(payload, recv_ns)
        self.schedule_drain()

    def deliver_paper_orders(self, messages: Sequence[bytes]) -> None:
        """Hand orders to the paper venue, over its private connection or as REST requests."""
        assert self._paper is not None
        if self._paper_http is None:
            self.deliver_paper(messages)
            return
        now_ns = self._ctx.clock.now_ns()
        for message in messages:
            self._paper.on_order(message, self._paper_http.headers, now_ns)
        self.schedule_drain()

    def deliver_paper(self, messages: Sequence[bytes]) -> None:
        """Send messages to the paper venue; its answers come by `schedule_drain`."""
        assert self._paper is not None
        now_ns = self._ctx.clock.now_ns()
        for message in messages:
            self._paper.on_client_frame(message, now_ns)
        self.schedule_drain()

    def schedule_drain(self) -> None:
        """Read what the paper venue has to say, in the loop's next turn."""
        if self._paper is not None and not self._drain_due:
            self._drain_due = True
            asyncio.get_running_loop().call_soon(self._drain_paper)

    async def _connect_paper(self) -> None:
        """Open the private connection to the paper venue, with a fresh credential."""
        assert self._paper is not None
        trading = self._ctx.trading
        trading.set_token(await trading.rest().token())
        self._paper.connect(self._ctx.clock.now_ns(), urlsplit(trading.private_url).query)

    async def _reconnect_paper(self) -> None:
        await self._connect_paper()
        self._reconnect_due = False
        self._on_private_lost()
        self.deliver_paper(self._ctx.trading.subscribe_private())

    def _drain_paper(self) -> None:
        assert self._paper is not None
        self._drain_due = False
        now_ns = self._ctx.clock.now_ns()
        told = [(one, self._on_private) for one in self._paper.poll(now_ns)]
        if self._paper_http is not None:
            replies = self._paper.replies(now_ns, self._paper_http.reply)
            told += [(one, self._on_message) for one in replies]
        for payload, handler in told:
            self._ctx.append(
                Record.REC_FRAME, SOURCE_PRIVATE, now_ns, self._ctx.trading.redact(payload)
            )
            self._ctx.safely(handler)(payload, now_ns)


def without_secrets(events: Sequence[Event], redact: Callable[[bytes], bytes]) -> list[Event]:
    """Blank secrets in what events quote of a message: the step acts on what is journalled."""
    return [
        replace(one, text=redact(one.text.encode()).decode())
        if isinstance(one, RequestRefused | Unrecognised)
        else one
        for one in events
    ]
