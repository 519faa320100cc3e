"""Drive one bot: connections, timers, commands, start and stop, on one asyncio loop.

Only here and in `_fast/feed` is a clock read. What the loop learns it puts on the tape and hands to
`engine/step.py`; what the step wants done outside, the loop does. An exception in any of its tasks
trips the kill switch: everything is cancelled and the bot halts.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar, final
from urllib.parse import urlsplit

from openmm import journal
from openmm._fast.book import BookBreak, BookState
from openmm._fast.checks import RiskState
from openmm._fast.feed import EventClock, MarketListener, PrivateListener, SocketTransport
from openmm._fast.ports import MemoryTransport, Transport
from openmm._fast.tape import Record
from openmm.config import BotConfig, check_with_instrument
from openmm.engine import snapshot, wiring
from openmm.engine.commands import Halt, Pause, Resume, Status, Stop, name_of
from openmm.engine.commands import Request as Asked
from openmm.engine.door import CommandServer
from openmm.engine.links import Link
from openmm.engine.paper import paper_connector, paper_venue
from openmm.engine.session import SessionFiles
from openmm.engine.step import (
    Alert,
    CancelStray,
    QueryOrders,
    Request,
    Resubscribe,
    ResyncPrivate,
    RiskMoved,
    Step,
    StepConfig,
)
from openmm.errors import ConfigError, OpenMMError, TransportError, VenueError
from openmm.events import BalanceUpdated, Event, OrderUpdated
from openmm.instrument import Instrument
from openmm.risk.alert import AlertMessage, post_alert
from openmm.settlement.reconcile import Difference, reconcile
from openmm.sim.pipe import PaperVenue
from openmm.strategy.quotes import Quoter
from openmm.telemetry import TelemetrySnapshot
from openmm.venues import registry
from openmm.venues.connector import Connector, Keys

log = logging.getLogger(__name__)

TICK_S = 0.05  # timer of the slow path
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
TOKEN_REFRESH_S = 400.0  # of a life of 900 s
CLOCK_EVERY_S = 60.0
PING_EVERY_S = 15.0

# Tape sources beside the feeds' own (0 ...): the private stream and REST.
SOURCE_PRIVATE = 100
SOURCE_REST = 101

T = TypeVar("T")

LOOPBACK = ("127.0.0.1", "::1", "localhost")

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_HALTED = 3


@final
class Engine:
    """Run one bot inside a running asyncio loop.

    Args:
        strategy: an object with `quote(view)`, used in place of the configured strategy.
        on_snapshot: called with every telemetry snapshot, on the loop.
        keys: credentials of the traded venue; live mode only.

    Use as ``async with Engine(config) as engine: await engine.wait()``, or `start` and `stop`.
    """

    def __init__(
        self,
        config: BotConfig,
        *,
        strategy: Quoter | None = None,
        on_snapshot: Callable[[TelemetrySnapshot], None] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self.config = config
        self.exit_code = EXIT_DONE
        self.stop_reason = ""
        self._custom = strategy
        self._on_snapshot = on_snapshot
        self._keys = keys
        self._clock = EventClock()
        self._connectors: list[Connector] = []
        self._trading: Connector
        self._links: list[Link] = []
        self._private: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._step: Step | None = None
        self._tables: wiring.Tables | None = None
        self._files: SessionFiles | None = None
        self._door: CommandServer | None = None
        self._paper: PaperVenue | None = None
        self._opening: dict[str, Decimal] = {}
        self._strays: set[str] = set()
        self._private_seen = asyncio.Event()
        self._open_proved: int | None = None
        self._closing: dict[str, Decimal] = {}
        self._drain_due = False
        self._previous_hook: Callable[[Any], object] | None = None

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop("closed" if error is None else f"{type(error).__name__}")

    @property
    def step(self) -> Step:
        """The slow path; exists once started."""
        assert self._step is not None, "the engine has not been started"
        return self._step

    @property
    def tables(self) -> wiring.Tables:
        """The compiled tables; exist once started."""
        assert self._tables is not None, "the engine has not been started"
        return self._tables

    async def start(self) -> None:
        """Connect, verify, adopt what is ours, and begin to quote.

        Raises:
            ConfigError: the configuration does not fit the venue.
            OpenMMError: the bot cannot start; nothing was placed.
        """
        try:
            await self._start()
        except BaseException:
            await self._tear_down()
            raise

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until the bot is told to stop, or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def request_stop(self, reason: str) -> None:
        """Make `wait` return."""
        if not self._stopping.is_set():
            self.stop_reason = reason
            self._stopping.set()

    async def stop(self, reason: str = "stopped") -> int:
        """Cancel everything, prove by query that nothing of ours is open, settle, and close.

        Returns the exit code: 0 done, 1 something is not proven or failed, 3 halted by risk.
        """
        self.request_stop(reason)
        if self._step is None:
            return self.exit_code
        try:
            await self._wind_down()
        except (OpenMMError, OSError, TimeoutError) as error:
            log.error("stop: %s", error)
            self.exit_code = EXIT_FAILED
        finally:
            await self._tear_down()
        return self.exit_code

    # ------------------------------------------------------------------ start

    async def _start(self) -> None:
        config = self.config
        _refuse_remote(config)
        files = self._files = SessionFiles(config, self._clock.now_ns())
        # An exception that compiled code can only print means state nobody checked: stop quoting.
        self._previous_hook = sys.unraisablehook
        sys.unraisablehook = self._on_unraisable
        if self._keys is not None:
            files.lock_account(self._keys)
        paper = config.bot.mode == "paper"
        quoted_index = config.venue.index(config.quoted)
        for index, venue in enumerate(config.venue):
            live = index == quoted_index and not paper
            if live and self._keys is None:
                raise ConfigError(f"venue.{venue.label}", "no key", "live mode needs its API key")
            self._connectors.append(registry.connector(venue, self._keys if live else None))
        instruments: list[Instrument] = []
        for venue, connector in zip(config.venue, self._connectors, strict=True):
            found = await connector.rest().instruments([venue.pair])
            if venue.pair not in found:
                raise ConfigError(f"venue.{venue.label}", venue.pair, f"a pair of {venue.name}")
            instruments.append(found[venue.pair])
        instrument = instruments[quoted_index]
        connector = self._trading = self._connectors[quoted_index]
        mid = await connector.rest().mid(instrument)
        if paper:
            # The feed keeps its own connector; all that is private goes to the one in memory.
            self._paper = paper_venue(config, instrument, self._clock)
            self._trading = paper_connector(config, self._paper, self._clock)
            connector = self._trading
            await connector.rest().instruments([instrument.name])
        elif config.quoted.maker_fee_ppm is None or config.quoted.taker_fee_ppm is None:
            fees = await connector.rest().fees(instrument)
            instrument = replace(
                instrument, maker_fee_ppm=fees.maker_ppm, taker_fee_ppm=fees.taker_ppm
            )
            instruments[quoted_index] = instrument
        check_with_instrument(config, instrument)

        tape = files.open_tape()
        encoder = connector.order_encoder(
            instrument, bot=config.bot.name, session_s=files.session_s
        )
        transport: Transport = SocketTransport()
        if paper:
            transport = MemoryTransport(self._deliver_paper)
        tables = wiring.make_tables(
            config, instruments, self._connectors, connector,
            mid_ticks=instrument.floor_ticks(mid), tape=tape, encoder=encoder,
            transport=transport, custom=self._custom,
        )  # fmt: skip
        self._tables = tables
        self._step = Step(
            tables.pipeline, tables.feeds, instrument, tables.monitor, connector,
            StepConfig(
                ack_timeout_ns=config.risk.ack_timeout_ns,
                feed_age_ns_max=config.risk.max_message_age_ns,
            ),
        )  # fmt: skip
        now_ns = self._clock.now_ns()
        self._append(
            Record.REC_SESSION, 0, now_ns,
            files.session_record(connector.client_id(0)[:-7], instrument.floor_ticks(mid)),
        )  # fmt: skip
        for one in instruments:
            self._append(Record.REC_INSTRUMENT, 0, now_ns, journal.instrument_record(one))
        await asyncio.to_thread(files.start_writer)
        files.note(pid=os.getpid(), state="starting", config=config.model_dump(mode="json"))
        await self._measure_clock(connector)
        await self._adopt(connector, instrument)
        await self._open_balances(connector, instrument)
        token = await connector.rest().token() if paper else ""
        self._open_links(instruments, quoted_index, paper, token)
        await self._wait_ready()
        # The heap of a started engine is for life: collections need not walk it again.
        gc.collect()
        gc.freeze()
        self._handle(self._step.start(self._clock.now_ns()))
        self._spawn(self._tick(), "timer")
        self._spawn(self._publish(), "telemetry")
        if not paper:
            self._spawn(self._refresh_token(), "token")
            if config.dead_man_ns is not None:
                self._spawn(self._dead_man(config.dead_man_ns), "dead man")
            self._spawn(self._watch_clock(connector), "clock")
        self._spawn(self._reconcile_loop(), "reconcile")
        self._door = CommandServer(files.run_dir.socket, self._on_command)
        await self._door.start()
        files.note(pid=os.getpid(), state="running", config=config.model_dump(mode="json"))
        log.info("quoting %s on %s", instrument.name, config.quoted.label)

    async def _measure_clock(self, connector: Connector) -> None:
        before_ns = self._clock.now_ns()
        venue_ns = await connector.rest().server_time_ns()
        after_ns = self._clock.now_ns()
        offset_ns = venue_ns - (before_ns + after_ns) // 2
        # A venue that tells whole seconds cannot say more than half a second's worth.
        if abs(offset_ns) <= 500_000_000 + (after_ns - before_ns):
            offset_ns = 0
        self.tables.pipeline.set_inputs(clock_offset_ns=offset_ns)

    async def _adopt(self, connector: Connector, instrument: Instrument) -> None:
        """Cancel what earlier sessions of this bot left open, and prove it; leave the rest."""
        for _ in range(10):
            ours = [
                order for order in await connector.rest().open_orders()
                if order.client_id and connector.is_earlier(order.client_id)
            ]  # fmt: skip
            if not ours:
                return
            log.warning("cancelling %d orders of an earlier session", len(ours))
            await connector.rest().cancel([order.venue_order_id for order in ours])
            await asyncio.sleep(0.3)
        raise TransportError(
            f"{len(ours)} orders of an earlier session are still open", venue=connector.name
        )

    async def _open_balances(self, connector: Connector, instrument: Instrument) -> None:
        balances = await connector.rest().balances()
        self._opening = {
            asset: balances.get(asset, Decimal(0)) for asset in (instrument.base, instrument.quote)
        }
        step = self.step
        step.set_opening(self._opening, self._clock.now_ns())

    def _open_links(
        self, instruments: Sequence[Instrument], quoted_index: int, paper: bool, token: str
    ) -> None:
        config, tables = self.config, self.tables
        for index, (venue, connector, feed) in enumerate(
            zip(config.venue, self._connectors, tables.feeds, strict=True)
        ):
            before = None
            if paper and index == quoted_index:
                before = self._on_paper_frame

            def make(feed: Any = feed, connector: Connector = connector, before: Any = before,
                     index: int = index) -> MarketListener:  # fmt: skip
                return MarketListener(
                    tables.pipeline, feed, self._clock,
                    self._safely(
                        lambda payload, recv_ns: self._on_public(connector, index, payload, recv_ns)
                    ),
                    lambda up: self._on_connection(index, up),
                    None if before is None else self._safely(before),
                )  # fmt: skip

            async def hello(connector: Connector = connector, index: int = index,
                            depth: int = venue.depth) -> Sequence[bytes]:  # fmt: skip
                return connector.subscribe_market(instruments[index], depth)

            def lost(_name: str, index: int = index) -> None:
                self._on_feed_lost(index)

            link = Link(
                f"{venue.label} market data", connector.public_url, make, hello, lost, self._clock
            )
            self._links.append(link)
            self._spawn(link.keep(), link.name)
        connector = self._trading
        if paper:
            connector.set_token(token)
            self._deliver_paper(connector.subscribe_private())
            return

        def make_private() -> PrivateListener:
            sender = tables.pipeline.transport
            assert isinstance(sender, SocketTransport)
            return PrivateListener(
                tables.pipeline, SOURCE_PRIVATE, self._clock, sender,
                self._safely(self._on_private),
                lambda up: self._on_connection(SOURCE_PRIVATE, up),
                connector.redact,
            )  # fmt: skip

        async def hello_private() -> Sequence[bytes]:
            connector.set_token(await connector.rest().token())
            return connector.subscribe_private()

        self._private = Link(
            f"{config.quoted.label} private", connector.private_url, make_private, hello_private,
            lambda _name: self._on_private_lost(), self._clock,
        )  # fmt: skip
        self._spawn(self._private.keep(), self._private.name)

    async def _wait_ready(self) -> None:
        """Wait for a verified book and the private snapshots."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT_S
        feed = self.tables.pipeline.feed
        connector = self._trading
        while True:
            missing = []
            if feed.book.state is not BookState.BOOK_VERIFIED:
                missing.append(f"a verified book (it is {feed.book.state.name})")
            if not connector.private_ready():
                missing.append("the private stream's snapshot")
            if not missing:
                break
            if loop.time() > deadline:
                errors = "; ".join(link.last_error for link in self._all_links() if link.last_error)
                raise TransportError(
                    f"not ready after {START_TIMEOUT_S:g} s, still without "
                    f"{' and '.join(missing)}{': ' + errors if errors else ''}",
                    venue=connector.name,
                )
            await asyncio.sleep(0.01)
        self._handle(self.step.private_restored(self._clock.now_ns()))

    def _all_links(self) -> list[Link]:
        return self._links + ([self._private] if self._private is not None else [])

    # ------------------------------------------------------------------ messages

    def _on_public(self, connector: Connector, index: int, payload: bytes, recv_ns: int) -> None:
        events = connector.read_public(payload, recv_ns)
        # Only the traded venue's mode and instrument matter to the orders.
        if self.tables.feeds[index].quoted:
            self._handle(self.step.on_events(events, recv_ns))

    def _on_private(self, payload: bytes, recv_ns: int) -> None:
        connector = self._trading
        self._handle(self.step.on_events(connector.read_private(payload, recv_ns), recv_ns))
        if not self.tables.pipeline.stream_live and connector.private_ready():
            self._private_seen.set()

    def _on_connection(self, source: int, up: bool) -> None:
        self._append(Record.REC_CONNECTION, source, self._clock.now_ns(), b"1" if up else b"0")

    def _on_feed_lost(self, index: int) -> None:
        feed = self.tables.feeds[index]
        now_ns = self._clock.now_ns()
        feed.book.break_(BookBreak.BREAK_DISCONNECT)
        self.tables.pipeline.refresh(feed, now_ns)
        self._handle(self.step.on_timer(now_ns))

    def _on_private_lost(self) -> None:
        now_ns = self._clock.now_ns()
        self._private_seen.clear()
        self._handle(self.step.private_lost(now_ns))
        if not self._stopping.is_set():
            self._spawn(self._recover_private(), "private recovery")

    async def _recover_private(self) -> None:
        """After a lost private stream: its snapshot first, then a query of every live order."""
        await self._private_seen.wait()
        step, rest = self.step, self._quoted_rest()
        asked_ns = self._clock.now_ns()
        seqs = tuple(order.seq for order in self.tables.pipeline.table.live())
        found = await self._retry(lambda: self._find(seqs), "order query")
        fills = await self._retry(lambda: rest.fills_since(self._files_started_ns()), "fill query")
        now_ns = self._clock.now_ns()
        self._handle(step.on_query(seqs, [*found, *fills], asked_ns, now_ns))
        self._handle(step.private_restored(now_ns))

    # ------------------------------------------------------------------ paper

    def _on_paper_frame(self, payload: bytes, recv_ns: int) -> None:
        assert self._paper is not None
        self._paper.on_public_frame(payload, recv_ns)
        self._schedule_drain()

    def _deliver_paper(self, messages: Sequence[bytes]) -> None:
        assert self._paper is not None
        now_ns = self._clock.now_ns()
        for message in messages:
            self._paper.on_client_frame(message, now_ns)
        self._schedule_drain()

    def _schedule_drain(self) -> None:
        if not self._drain_due:
            self._drain_due = True
            asyncio.get_running_loop().call_soon(self._drain_paper)

    def _drain_paper(self) -> None:
        assert self._paper is not None
        self._drain_due = False
        connector = self._trading
        now_ns = self._clock.now_ns()
        for payload in self._paper.poll(now_ns):
            self._append(Record.REC_FRAME, SOURCE_PRIVATE, now_ns, connector.redact(payload))
            self._on_private(payload, now_ns)

    # ------------------------------------------------------------------ requests

    def _handle(self, requests: Sequence[Request]) -> None:
        for request in requests:
            match request:
                case Alert():
                    self._alert(request.severity, request.text)
                case RiskMoved():
                    change = request.change
                    severity = "critical" if change.after is RiskState.HALTED else "warning"
                    self._alert(
                        severity, f"risk {change.before.name} -> {change.after.name}: "
                        f"{change.reason}: {change.detail}",
                    )  # fmt: skip
                case Resubscribe():
                    self._resubscribe(request)
                case QueryOrders():
                    self._spawn(self._query(request.seqs), "order query", vital=False)
                case CancelStray():
                    self._spawn(self._cancel_stray(request), "stray orders", vital=False)
                case ResyncPrivate():
                    if self._private is not None:
                        self._private.drop()

    def _alert(
        self, severity: str, text: str, asset: str = "", amount: Decimal | None = None
    ) -> None:
        level = {"info": logging.INFO, "warning": logging.WARNING}.get(severity, logging.ERROR)
        log.log(level, "%s", text)
        now_ns = self._clock.now_ns()
        if severity != "info":
            self._append(
                Record.REC_INCIDENT,
                0,
                now_ns,
                journal.incident_record(text, severity, asset=asset, amount=amount),
            )
        url = self.config.risk.webhook
        if severity == "critical" and url is not None:
            self._spawn(self._post(url, severity, text, now_ns), "webhook", vital=False)

    async def _post(self, url: str, severity: str, text: str, now_ns: int) -> None:
        assert self._files is not None
        halted = self._tables is not None and self._tables.monitor.state is RiskState.HALTED
        event = "halted" if halted else "incident"
        why = await post_alert(
            url,
            AlertMessage(
                event, severity, self.config.bot.name, self._files.session_id, now_ns, text
            ),
        )
        if why:
            log.error("the webhook did not take the alert: %s", why)

    def _resubscribe(self, request: Resubscribe) -> None:
        feed, link = self.tables.feeds[request.feed_index], self._links[request.feed_index]
        if not link.up:
            return
        log.warning("feed %d: book broken (%s), asking for a new snapshot",
                    request.feed_index, request.reason.name)  # fmt: skip
        venue = self.config.venue[request.feed_index]
        connector = self._connectors[request.feed_index]
        if request.reason is BookBreak.BREAK_STALE:
            link.drop()
            return
        link.send(connector.resubscribe_book(self._instrument_of(feed.index), venue.depth))

    def _instrument_of(self, index: int) -> Instrument:
        return self._connectors[index].instrument(self.config.venue[index].pair)

    async def _query(self, seqs: Sequence[int]) -> None:
        asked_ns = self._clock.now_ns()
        try:
            found = await self._find(seqs)
        except VenueError as error:
            # The schedule asks again; the orders stay UNKNOWN and count in full.
            log.warning("order query: %s", error)
            return
        self._handle(self.step.on_query(seqs, found, asked_ns, self._clock.now_ns()))

    async def _find(self, seqs: Sequence[int]) -> list[Event]:
        connector = self._trading
        table = self.tables.pipeline.table
        client_ids, venue_ids = [], []
        for seq in seqs:
            order = table.get(seq)
            if order is None:
                continue
            client_ids.append(connector.client_id(seq))
            if order.venue_id:
                venue_ids.append(order.venue_id)
        if not client_ids:
            return []
        found = await connector.rest().find_orders(client_ids, venue_ids)
        self._append(
            Record.REC_REST,
            SOURCE_REST,
            self._clock.now_ns(),
            journal.json_record({"found": len(found)}),
        )
        return list(found)

    async def _cancel_stray(self, request: CancelStray) -> None:
        new = [one for one in request.venue_order_ids if one not in self._strays]
        if not new:
            return
        self._strays.update(new)
        try:
            await self._quoted_rest().cancel(new)
        except VenueError as error:
            self._strays.difference_update(new)
            log.warning("cancelling orders of an earlier session: %s", error)

    async def _retry(self, make: Callable[[], Awaitable[T]], what: str) -> T:
        """Ask until there is an answer: nothing can be placed before it."""
        delay_s = 0.5
        while True:
            try:
                return await make()
            except VenueError as error:
                log.warning("%s: %s", what, error)
                await asyncio.sleep(delay_s)
                delay_s = min(10.0, 2 * delay_s)

    def _quoted_rest(self) -> Any:
        return self._trading.rest()

    def _files_started_ns(self) -> int:
        assert self._files is not None
        return self._files.session_s * 1_000_000_000

    # ------------------------------------------------------------------ timers

    async def _tick(self) -> None:
        step = self.step
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self._clock.now_ns()
            if self.tables.pipeline.tape.stop_requested and not self._stopping.is_set():
                self._handle(step.trip("the journal's writer asked to stop (disk low?)", now_ns))
                self.request_stop("journal writer asked to stop")
            if self._files is not None and self._files.writer_lost():
                await asyncio.to_thread(self._files.restart_writer)
            if self._paper is not None:
                self._schedule_drain()
            self._handle(step.on_timer(now_ns))

    async def _publish(self) -> None:
        assert self._files is not None
        assert self._files.telemetry is not None
        interval_s = self.config.engine.telemetry_interval_ns / 1e9
        while True:
            self._files.telemetry.publish(self.snapshot())
            await asyncio.sleep(interval_s)

    def snapshot(self) -> TelemetrySnapshot:
        """Return the state as it is shown to people; publishes to `on_snapshot` too."""
        assert self._files is not None
        taken = snapshot.take(
            self.config, self._files.session_id, self._files.started_ns, self.step, self.tables,
            self._clock.now_ns(), self.stop_reason,
        )  # fmt: skip
        if self._on_snapshot is not None:
            self._on_snapshot(taken)
        return taken

    async def _refresh_token(self) -> None:
        connector = self._trading
        while True:
            await asyncio.sleep(TOKEN_REFRESH_S)
            connector.set_token(await self._retry(connector.rest().token, "token"))

    async def _dead_man(self, timeout_ns: int) -> None:
        """Refresh the venue's dead-man's switch at a third of its timeout."""
        connector = self._trading
        assert self._private is not None
        while True:
            message = connector.dead_man(timeout_ns // 1_000_000_000)
            if message is None:
                return
            self._private.send([message])
            await asyncio.sleep(timeout_ns / 3e9)

    async def _watch_clock(self, connector: Connector) -> None:
        while True:
            await asyncio.sleep(CLOCK_EVERY_S)
            try:
                await self._measure_clock(connector)
            except VenueError as error:
                log.warning("clock: %s", error)

    async def _reconcile_loop(self) -> None:
        interval_s = self.config.settlement.reconcile_every_ns / 1e9
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self._reconcile()
            except VenueError as error:
                log.warning("reconciliation: %s", error)

    async def _reconcile(self) -> list[Difference] | None:
        """Compare what we should hold with what the venue says; None while it is not quiet."""
        step = self.step
        fills = step.counters.fills
        expected = step.expected()
        balances = await self._quoted_rest().balances()
        now_ns = self._clock.now_ns()
        if step.counters.fills != fills or step.quiet_ns(now_ns) < 1_000_000_000:
            return None
        self._append(Record.REC_REST, SOURCE_REST, now_ns, journal.json_record(balances))
        found = reconcile(expected, balances)
        self._closing = {asset: balances.get(asset, Decimal(0)) for asset in expected}
        for one in found:
            self._alert("warning", f"balance differs: {one}", one.asset, one.amount)
        self._handle(step.on_differences(found, self.config.settlement.halt_above_ppm, now_ns))
        return found

    # ------------------------------------------------------------------ commands

    async def _on_command(self, asked: Asked) -> dict[str, Any]:
        """Carry out one command of the door; all but `status` are journalled before they act."""
        now_ns = self._clock.now_ns()
        caller, command = str(asked.caller), asked.command
        if not isinstance(command, Status):
            record = journal.command_record(
                name_of(command), asdict(command), caller, asked.caller.surface
            )
            self._append(Record.REC_COMMAND, 0, now_ns, record)
        step = self.step
        match command:
            case Halt():
                self._handle(step.halt(f"{caller} {command.reason}".strip(), now_ns))
            case Pause():
                self._handle(step.pause(caller, now_ns))
            case Resume():
                self._handle(step.resume(caller, now_ns))
            case Stop():
                self.request_stop(f"stopped by {caller} {command.reason}".strip())
            case Status():
                pass
        pipeline = self.tables.pipeline
        return {
            "risk_state": self.tables.monitor.state.name,
            "risk_reason": self.tables.monitor.halt_reason,
            "stopping": self._stopping.is_set(),
            "live_orders": pipeline.table.live_count,
            "unknown_orders": pipeline.table.unknown_count,
            "book_state": BookState(pipeline.feed.book.state).name,
            "last_decision": pipeline.last_decision.name,
        }

    # ------------------------------------------------------------------ stop

    async def _wind_down(self) -> None:
        step, connector = self.step, self._trading
        self._handle(step.stop(self._clock.now_ns()))
        rest = connector.rest()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_TIMEOUT_S
        mine: list[OrderUpdated] = []
        while True:
            await asyncio.sleep(0.05)
            self._handle(step.on_timer(self._clock.now_ns()))
            if self.tables.pipeline.table.live_count == 0 or loop.time() > deadline - 10.0:
                try:
                    mine = [one for one in await rest.open_orders() if self._is_ours(one)]
                except VenueError as error:
                    log.warning("open orders: %s", error)
                else:
                    self._open_proved = len(mine)
                    if not mine and self.tables.pipeline.table.live_count == 0:
                        break
                    if mine:
                        with contextlib.suppress(VenueError):
                            await rest.cancel([one.venue_order_id for one in mine])
                await asyncio.sleep(0.2)
            if loop.time() > deadline:
                self.exit_code = EXIT_FAILED
                self._alert(
                    "critical",
                    f"stop: {len(mine)} orders of ours may still be open, "
                    f"{self.tables.pipeline.table.live_count} unproven",
                )
                break
        if self.config.dead_man_ns is not None and self._private is not None:
            message = connector.dead_man(0)
            if message is not None:
                self._private.send([message])
        await self._settle()
        if self.tables.monitor.state is RiskState.HALTED and self.exit_code == EXIT_DONE:
            self.exit_code = EXIT_HALTED

    def _is_ours(self, order: OrderUpdated) -> bool:
        connector = self._trading
        if not order.client_id:
            return False
        return bool(connector.seq_of(order.client_id)) or connector.is_earlier(order.client_id)

    async def _settle(self) -> None:
        for _ in range(20):
            found = await self._reconcile()
            if found is not None:
                if found:
                    self.exit_code = EXIT_FAILED
                return
            await asyncio.sleep(0.25)
        self._alert("warning", "stop: no quiet moment to reconcile in")

    async def _tear_down(self) -> None:
        for link in self._all_links():
            link.close()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connector in self._connectors:
            await connector.rest().close()
        now_ns = self._clock.now_ns()
        if self._door is not None:
            await self._door.close()
        files = self._files
        if files is not None and self._step is not None and self._tables is not None:
            for asset, total in self._closing.items():
                event = BalanceUpdated(asset, total, None, Decimal(0), "closing", "", now_ns)
                self._append(Record.REC_BALANCE, 0, now_ns, journal.balance_record(event))
            self._append(
                Record.REC_END, 0, now_ns,
                journal.end_record(
                    journal.EndRecord(
                        self.stop_reason, now_ns, self._open_proved, self._step.counter_values()
                    )
                ),
            )  # fmt: skip
            if files.telemetry is not None:
                files.telemetry.publish(self.snapshot())
        if files is not None:
            end = {
                "state": "ended", "ended_ns": now_ns, "exit_code": self.exit_code,
                "reason": self.stop_reason, "open_orders": self._open_proved,
            }  # fmt: skip
            if not await asyncio.to_thread(files.close, end):
                log.error("the writer did not finish: the journal on disk may lack the end")
                self.exit_code = EXIT_FAILED
        if self._previous_hook is not None:
            sys.unraisablehook = self._previous_hook
            self._previous_hook = None

    # ------------------------------------------------------------------ inside

    def _spawn(self, work: Coroutine[Any, Any, None], name: str, *, vital: bool = True) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(work, name, vital), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[Any, Any, None], name: str, vital: bool) -> None:
        """The task boundary: an error of a vital task halts the bot, of another is reported."""
        try:
            await work
        except Exception as error:
            log.exception("%s failed", name)
            text = f"{name} failed: {type(error).__name__}: {error}"
            if vital:
                self._kill(text)
            else:
                self._alert("warning", text)

    def _safely(self, handler: Callable[[bytes, int], None]) -> Callable[[bytes, int], None]:
        """The boundary of a socket callback: an error in it halts the bot but keeps the connection,
        which has to carry the cancels and bring their answers."""

        def handle(payload: bytes, recv_ns: int) -> None:
            try:
                handler(payload, recv_ns)
            except Exception as error:
                log.exception("message handler failed")
                self._kill(f"message handler failed: {type(error).__name__}: {error}")

        return handle

    def _kill(self, text: str) -> None:
        if self._step is not None:
            self._handle(self._step.trip(text, self._clock.now_ns()))
        self.exit_code = EXIT_FAILED
        self.request_stop(text)

    def _on_unraisable(self, unraisable: Any) -> None:
        if self._previous_hook is not None:
            self._previous_hook(unraisable)
        self._kill(f"unraisable exception in compiled code: {unraisable.exc_value!r}")

    def _append(self, kind: Record, source: int, now_ns: int, data: bytes) -> None:
        if self._tables is not None:
            self._tables.pipeline.append(kind, source, now_ns, data)


def _refuse_remote(config: BotConfig) -> None:
    """Refuse live trading anywhere but on this machine: reconciliation is not complete yet."""
    if config.bot.mode != "live":
        return
    venue = config.quoted
    for key in ("ws", "ws_auth", "rest"):
        url = getattr(venue.endpoints, key)
        host = urlsplit(url).hostname if url else None
        if host not in LOOPBACK:
            raise ConfigError(
                f"venue.{venue.label}.endpoints.{key}", url or "the venue's public address",
                "an address of this machine: live mode is open for simulated venues only "
                "until reconciliation has landed; use mode = \"paper\" against the real venue",
            )  # fmt: skip
