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
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, final

from msgspec.structs import replace

from openmm import journal
from openmm._fast.checks import RiskState
from openmm._fast.ports import MemoryTransport, Transport
from openmm._fast.rehearsal import Rehearsal
from openmm._fast.tape import Record, Tape
from openmm.board import Seat
from openmm.config import BotConfig, check_with_instrument
from openmm.config.redact import public
from openmm.engine import snapshot, spin, wiring
from openmm.engine.admission import is_real
from openmm.engine.carried import EXEC_IDS_KEPT, Left, write_left
from openmm.engine.commands import Request as Asked
from openmm.engine.commands import Resume
from openmm.engine.context import SOURCE_HEDGE, Context, Handler
from openmm.engine.door import CommandServer
from openmm.engine.gate import LiveGate
from openmm.engine.group import Group, paper_seat
from openmm.engine.host import Host
from openmm.engine.listing import Listings
from openmm.engine.neighbours import take_seat
from openmm.engine.operator import Operator
from openmm.engine.proof import Proof, within_limits
from openmm.engine.session import SessionFiles
from openmm.engine.step import (
    Alert,
    CancelStray,
    IncidentMoved,
    NameOrders,
    QueryOrders,
    RenewToken,
    Request,
    Resubscribe,
    ResyncPrivate,
    RiskMoved,
    SetDeadMan,
    Step,
)
from openmm.engine.traffic import Traffic
from openmm.engine.watchdog import WatchdogProcess
from openmm.errors import (
    BoardError,
    ConfigError,
    JournalError,
    OpenMMError,
    RiskError,
    VenueError,
)
from openmm.events import BalanceUpdated, OrderFilled
from openmm.instrument import Instrument
from openmm.risk.alert import AlertMessage, post_alert
from openmm.risk.monitor import RiskChanged
from openmm.settlement.reconcile import HURRY_NS
from openmm.signal import memory
from openmm.strategy import compiled
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.grid import GridStrategy
from openmm.strategy.python import PythonStrategy
from openmm.strategy.quotes import Quoter
from openmm.telemetry import TelemetrySnapshot
from openmm.venues import registry
from openmm.venues.connector import Connector, Keys

if TYPE_CHECKING:
    from openmm.engine.hedger import Hedger, Told
    from openmm.engine.orders import OrderRequests
    from openmm.execution.hedge.messages import Incident
    from openmm.sim.paper import PaperVenue

log = logging.getLogger(__name__)

TICK_S = 0.05  # timer of the slow path
TOKEN_REFRESH_S = 400.0  # of a life of 900 s
WRITER_AGAIN_S = 1.0  # after a writer that did not come back
REMEMBER_S = 1.0  # between writes of what the estimators know
CLOCK_LOOK_S = 1.0  # for a step of the machine's clock
CLOCK_LOOKS = 60  # between two comparisons with the venue's

BY_HAND = frozenset({"operator", "flatten"})  # reasons of a pause that a person ends

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_HALTED = 3


@final
class Engine:
    """Run one bot inside a running asyncio loop.

    Args:
        strategy: an object with `quote(view)`, used in place of the configured strategy.
        on_snapshot: called with every telemetry snapshot, on the loop.
        on_fill: called with each own fill, once it is booked and before anything is quoted anew; at
            the start with those of earlier sessions that may not have been told, before any order.
            The bot halts where it raises.
        keys: credentials of the traded venue; live mode only.
        hedge_keys: of the venue of [hedge]; live mode only.
        host: clock and connections; the machine's unless told otherwise.
        canary: trade at canary size, whatever was confirmed; live mode only.

    Use as ``async with Engine(config) as engine: await engine.wait()``, or `start` and `stop`.
    """

    def __init__(
        self,
        config: BotConfig,
        *,
        strategy: Quoter | None = None,
        on_snapshot: Callable[[TelemetrySnapshot], None] | None = None,
        on_fill: Callable[[OrderFilled], None] | None = None,
        keys: Keys | None = None,
        hedge_keys: Keys | None = None,
        host: Host | None = None,
        canary: bool = False,
    ) -> None:
        self.config = config
        self.exit_code = EXIT_DONE
        self.stop_reason = ""
        self._custom = strategy
        self._on_snapshot = on_snapshot
        self._on_fill = on_fill
        self._keys = keys
        self._hedge_keys = hedge_keys
        self._hedger: Hedger | None = None
        self._host = host or Host()
        self._clock = self._host.clock
        self._gate = LiveGate(config, keys, self._clock, canary=canary)
        self._connectors: list[Connector] = []
        # In the order they were made: a set's would follow from where they lie in memory.
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._stopping = asyncio.Event()
        self._context: Context | None = None
        self._proof: Proof | None = None
        self._traffic: Traffic | None = None
        self._orders: OrderRequests | None = None
        self._files: SessionFiles | None = None
        self._door: CommandServer | None = None
        self._operator: Operator | None = None
        self._rehearsal: Rehearsal | None = None
        self._seat: Seat | None = None  # among the bots of this host
        self._board_lost = False
        self._previous_hook: Callable[[Any], object] | None = None
        self._restarting_writer = False
        self._renewing = False
        self._watchdog: WatchdogProcess | None = None
        self._restarting_watchdog = False
        self._closed = False
        self._quoting = False
        self._group: Group | None = None
        self._paper_seat: Seat | None = None  # of a group of paper mode

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
        return self._running.step

    @property
    def tables(self) -> wiring.Tables:
        """The compiled tables; exist once started."""
        return self._running.tables

    @property
    def _running(self) -> Context:
        assert self._context is not None, "the engine has not been started"
        return self._context

    async def start(self) -> None:
        """Connect, verify, adopt what is ours, and begin to quote.

        Raises:
            ConfigError: the configuration does not fit the venue.
            OpenMMError: the bot cannot start; nothing was placed.
        """
        try:
            await self._start()
        except BaseException:
            self.exit_code = EXIT_FAILED
            try:
                if self._quoting:
                    await self._wind_down()
            finally:
                await self._tear_down()
            raise

    def requote(self) -> None:
        """Ask the strategy anew now, not with the market's next message; nothing while stopped."""
        if self._quoting and not self._stopping.is_set():
            self._handle(self.step.on_timer(self._clock.now_ns()))

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
        if self._context is None:
            return self.exit_code
        try:
            await self._wind_down()
        except (OpenMMError, OSError, TimeoutError) as error:
            log.error("stop: %s", error)
            self.exit_code = EXIT_FAILED
        finally:
            await self._tear_down()
        if self._files is not None:
            clean = self.exit_code == EXIT_DONE
            self._gate.note_end(self._files.session_id, clean, self.step.counters.fills)
        return self.exit_code

    # ------------------------------------------------------------------ start

    async def _start(self) -> None:
        config, clock = self.config, self._clock
        gate = self._gate
        gate.admit()
        files = self._files = SessionFiles(config, clock.now_ns())
        # An exception that compiled code can only print means state nobody checked: stop quoting.
        self._previous_hook = sys.unraisablehook
        sys.unraisablehook = self._on_unraisable
        if self._keys is not None and self._host.round_trip is None:
            files.lock_account(self._keys)
        # First of all: it starts while the venue is asked.
        tape = files.open_tape()
        if self._host.writer:
            files.start_writer()
        if self._keys is not None and config.watchdog_ns is not None and self._host.writer:
            self._watchdog = WatchdogProcess(config, self._keys, files.run_dir)
            self._watchdog.spawn()
        listings = Listings(files.run_dir.path, clock)
        context, paper = await self._connect(files, tape, listings)
        config = self.config
        self._context = context
        pipeline = context.tables.pipeline
        proof = self._proof = Proof(context)
        traffic = self._traffic = Traffic(context, proof, paper, self._orders)
        known = memory.go_on(
            config, context.instruments, context.tables.feeds, files.signals.read(), clock.now_ns()
        )
        wiring.restore_waits(config, context.tables, known)
        context.append(
            Record.REC_SESSION, 0, clock.now_ns(),
            files.session_record(
                context.trading.client_id(0)[:-7],
                {
                    "mid_ticks": context.mid_ticks, "signals": known,
                    "session_s": files.session_s, "watchdog": self._watchdog is not None,
                    # A strategy in Python: a replay gives its answers again and asks it nothing.
                    "recalled": isinstance(context.tables.pipeline.strategy, PythonStrategy),
                    "neighbours": context.tables.pipeline.neighbours.on,
                    "symbols": wiring.symbols(config, context.instruments, self._connectors),
                },
            ),
        )  # fmt: skip
        for index, one in enumerate(context.instruments):
            told = journal.instrument_record(one)
            context.append(Record.REC_INSTRUMENT, index, clock.now_ns(), told)
        files.note(pid=os.getpid(), state="starting", config=public(config))
        for text in listings.missed:
            self._alert("warning", text)
        # From here on, as a watchdog takes a silent engine for a dead one.
        self._spawn(self._publish(), "telemetry")
        # The books come up while the account is asked about; nothing is quoted before `step.start`.
        traffic.open_market()
        await within_limits(proof.measure_clock)
        await proof.adopt()
        if self._seat is not None:
            # What the bot's last run showed is proven gone.
            self._seat.row.settle()
        await proof.open_account()
        gate.check_capital(
            config, context.tables.instrument,
            context.tables.instrument.price(context.mid_ticks), context.step.expected(),
        )  # fmt: skip
        await traffic.open_private()
        await traffic.wait_ready()
        if self._host.writer:
            await files.wait_writer()
        if self._watchdog is not None:
            await self._watchdog.wait_ready()
            if not self._watchdog.alive:
                # It was ready, and has fired since: this start took longer than it waits.
                await self._watchdog.restart()
            self._handle(context.step.watchdog_seen(True, clock.now_ns()))
        self._operator = Operator(
            context, files, stop=self.request_stop, stopping=self._stopping.is_set,
            reconcile=lambda: self._spawn(self._reconcile(), "reconciliation", vital=False),
        )  # fmt: skip
        if self._hedger is not None:
            await self._hedger.open()
        self._join_group(context, self._operator)
        # All that can fail comes before the first order.
        self._door = CommandServer(files.run_dir.socket, self.on_command)
        await self._door.start()
        files.note(pid=os.getpid(), state="running", config=public(config))
        gate.note_start()
        # The heap of a started engine is for life: collections need not walk it again. Where the
        # collector was off all along, what a start leaves behind is less than a walk costs.
        if gc.isenabled():
            gc.collect()
        gc.freeze()
        self._quoting = True
        if not self._stopping.is_set():
            self._handle(context.step.start(clock.now_ns()))
        if self._hedger is not None:
            self._hedger.begin()
        self._spawn(self._tick(), "timer")
        self._spawn(self._refresh_token(), "token")
        if paper is None:
            self._spawn(self._watch_clock(), "clock")
        self._spawn(self._reconcile_loop(), "reconcile")
        # A memory that cannot be kept costs the next start its warm-up, not this bot its quotes.
        self._spawn(self._remember(), "signals", vital=False)
        log.info(
            "%s: quoting %s on %s", pipeline.risk_state.name, config.quoted.pair,
            config.quoted.label,
        )  # fmt: skip

    async def _connect(
        self, files: SessionFiles, tape: Tape, listings: Listings
    ) -> tuple[Context, PaperVenue | None]:
        """Ask the venues for facts, check the configuration against them, build the tables."""
        config = self.config
        live = config.bot.mode == "live"
        if live and self._keys is None:
            raise ConfigError(f"venue.{config.quoted.label}", "no key", "an API key: mode is live")
        quoted_index = config.venue.index(config.quoted)
        instruments: list[Instrument] = []
        for index, venue in enumerate(config.venue):
            keys = self._keys if live and index == quoted_index else None
            connector = registry.connector(
                venue, keys, clock=self._clock, round_trip=self._host.round_trip
            )
            self._connectors.append(connector)
            instruments.append(await listings.find(connector, venue))
        trading = self._connectors[quoted_index]
        instrument = instruments[quoted_index]
        mid_ticks = instrument.floor_ticks(
            await within_limits(partial(trading.rest().mid, instrument))
        )
        paper = None
        transport: Transport = self._host.transport()
        if not live:
            # The feed keeps its own connector; all that is private goes to the one in memory.
            # Only paper mode needs the simulated venue: a live start does not load it.
            from openmm.engine.paper import paper_connector, paper_venue

            paper = paper_venue(config, instrument, trading)
            trading = paper_connector(config, paper, self._clock)
            await within_limits(partial(trading.rest().instruments, [instrument.name]))
            transport = MemoryTransport(self._on_paper_orders)
        elif config.quoted.maker_fee_ppm is None or config.quoted.taker_fee_ppm is None:
            fees = await within_limits(partial(trading.rest().fees, instrument))
            instrument = replace(
                instrument, maker_fee_ppm=fees.maker_ppm, taker_fee_ppm=fees.taker_ppm
            )
            instruments[quoted_index] = instrument
        http = trading.order_http() if live else None
        if http is not None:
            self._orders = self._host.orders(http)
            transport = self._orders.transport
        if live:
            config = self._gate.sized(config, instrument, instrument.price(mid_ticks))
            self.config = files.config = config
        check_with_instrument(config, instrument, instrument.price(mid_ticks))
        if live:
            # Before anything of its last run is asked about: what that showed stays in force.
            self._seat = take_seat(config, self._host, instrument, self._keys)
        if config.hedge is not None:
            self._hedger = self._make_hedger(config, files)
            await within_limits(partial(self._hedger.connect, instrument))
        # The connector answers for the encoder made last: the one that trades.
        encoders = [
            trading.order_encoder(instrument, bot=config.bot.name, session_s=files.session_s)
            for _ in range(2)
        ]
        tables = wiring.make_tables(
            config, instruments, self._connectors, trading, mid_ticks=mid_ticks,
            tape=tape, encoder=encoders[1], transport=transport, custom=self._custom,
            seal=files.started_ns, neighbours=None if self._seat is None else self._seat.row,
        )  # fmt: skip
        step = wiring.make_step(
            config, tables, trading, watchdog=self._watchdog is not None,
            on_booked=(
                None if self._on_fill is None and self._hedger is None else self._tell_fill
            ),
        )  # fmt: skip
        rehearsal = None
        # A strategy of the user's own sees no tick twice.
        own = isinstance(tables.pipeline.strategy, PythonStrategy | FencedStrategy)
        idle = isinstance(asyncio.get_running_loop(), spin.SpinLoop)
        if not own and idle and config.engine.keep_warm:
            rehearsal = wiring.make_rehearsal(
                config, instruments, self._connectors, trading, tables, mid_ticks=mid_ticks,
                encoder=encoders[0],
            )  # fmt: skip
            spin.rehearse(rehearsal)
            self._rehearsal = rehearsal
        context = Context(
            config, self._host, self._connectors, trading, instruments, tables, step, mid_ticks,
            files.started_ns // 1_000_000_000 * 1_000_000_000, self._handle, self._alert,
            self._spawn, files.settled_ns if live else None, files.settle, self._safely,
            files.left if live else None, rehearsal,
        )  # fmt: skip
        return context, paper

    def _on_paper_orders(self, messages: list[bytes]) -> None:
        assert self._traffic is not None, "orders leave only once the traffic is open"
        self._traffic.deliver_paper_orders(messages)

    # ------------------------------------------------------------------ requests

    def _handle(self, requests: Sequence[Request]) -> None:
        traffic, proof = self._traffic, self._proof
        assert traffic is not None, "nothing is asked before there are connections"
        assert proof is not None
        for request in requests:
            match request:
                case Alert():
                    self._alert(request.severity, request.text)
                case RiskMoved():
                    halted = request.change.after is RiskState.HALTED
                    self._hold(request.change)
                    self._alert(
                        request.severity, request.text, event="halted" if halted else "incident"
                    )
                case Resubscribe():
                    traffic.resubscribe(request)
                case QueryOrders():
                    self._spawn(proof.query(request.seqs), "order query", vital=False)
                case NameOrders():
                    self._spawn(proof.name_orders(request.venue_order_ids), "naming orders")
                case CancelStray():
                    self._spawn(proof.cancel_stray(request), "stray orders", vital=False)
                case ResyncPrivate():
                    traffic.drop_private()
                case SetDeadMan():
                    if request.armed:
                        traffic.send_dead_man()
                    else:
                        self._spawn(traffic.disarm_dead_man(), "disarming", vital=False)
                case RenewToken():
                    self._renew_token(request.text)
                case IncidentMoved():
                    self._on_incident(request)

    def _hold(self, change: RiskChanged) -> None:
        """Keep on disk what a person, or a risk limit, has stopped: a brake goes by itself, and an
        error inside is for whoever restarts us."""
        assert self._files is not None, "risk moves in a session"
        if change.after in (RiskState.RUNNING, RiskState.REDUCING):
            self._files.hold("")
        elif change.reason in BY_HAND or (
            change.after is RiskState.HALTED and change.reason != "internal"
        ):
            self._files.hold(f"{change.after.name.lower()}: {change.reason}")

    def _on_incident(self, moved: IncidentMoved) -> None:
        """Put an incident of the money on record as it stands now, and tell people of it."""
        one = moved.incident
        told = f"{one.text}: {one.resolution}" if one.resolution else one.text
        level = logging.WARNING if moved.alert else logging.INFO
        log.log(level, "incident %d, %s: %s", one.number, one.state, told)
        now_ns = self._clock.now_ns()
        self._running.append(
            Record.REC_INCIDENT, 0, now_ns,
            journal.incident_record(
                one.text, one.severity, kind=f"reconciliation_{one.kind}", asset=one.asset,
                amount=one.amount, number=one.number, subject=one.subject, cause=one.cause.value,
                since_ns=one.since_ns, state=one.state, resolution=one.resolution,
            ),
        )  # fmt: skip
        if moved.alert:
            self._tell(one.severity, told)

    def _tell(self, severity: str, text: str, event: str = "incident") -> None:
        """Post an alert to the address of the operator's, if there is one."""
        url = self.config.risk.webhook
        if url is not None:
            assert self._files is not None, "alerts come from a session"
            message = AlertMessage(
                event, severity, self.config.bot.name, self._files.session_id,
                self._clock.now_ns(), text,
            )  # fmt: skip
            self._spawn(self._post(url, message), "webhook", vital=False)

    def _alert(
        self, severity: str, text: str, asset: str = "", amount: Decimal | None = None, *,
        event: str = "incident",
    ) -> None:  # fmt: skip
        level = {"info": logging.INFO, "warning": logging.WARNING}.get(severity, logging.ERROR)
        log.log(level, "%s", text)
        now_ns = self._clock.now_ns()
        if severity != "info":
            self._running.append(
                Record.REC_INCIDENT,
                0,
                now_ns,
                journal.incident_record(text, severity, asset=asset, amount=amount),
            )
        if severity == "critical":
            self._tell(severity, text, event)

    async def _post(self, url: str, message: AlertMessage) -> None:
        why = await post_alert(url, message)
        if why:
            log.error("the webhook did not take the alert: %s", why)

    # ------------------------------------------------------------------ timers

    async def _tick(self) -> None:
        step = self.step
        assert self._traffic is not None
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self._clock.now_ns()
            if self.tables.pipeline.tape.stop_requested and not self._stopping.is_set():
                self._handle(step.trip("the journal's writer asked to stop (disk low?)", now_ns))
                self.request_stop("journal writer asked to stop")
            elif self.tables.pipeline.tape.full:
                # The hot path stopped by itself; people have to know, and it does not come back.
                self._handle(step.trip("the tape is full: its writer does not keep up", now_ns))
            if (
                self._files is not None
                and not self._restarting_writer
                and self._files.writer_lost()
            ):
                # Beside the timer: it watches the feeds and the losses meanwhile.
                self._restarting_writer = True
                self._spawn(self._restart_writer(self._files), "writer")
            if (
                self._watchdog is not None
                and not self._restarting_watchdog
                and not self._watchdog.alive
            ):
                self._restarting_watchdog = True
                self._handle(step.watchdog_seen(False, now_ns))
                self._spawn(self._restart_watchdog(self._watchdog), "watchdog")
            if self._seat is not None and not self._board_lost and (why := self._seat.fault()):
                # The hot path sees most of it by itself; people have to know, once.
                self._board_lost = True
                self._handle(step.trip(f"other bots cannot be seen: {why}", now_ns))
            self._look_at_strategy(now_ns)
            self._traffic.watch()
            self._traffic.schedule_drain()
            self._handle(step.on_timer(now_ns))

    def _join_group(self, context: Context, operator: Operator) -> None:
        """Take a place among the bots that share an inventory, if the file says so."""
        if context.config.inventory.group is None:
            return
        seat = self._seat
        if seat is None and context.config.bot.mode == "live":
            raise BoardError("a bot of a group has to be on the board, and this one is not")
        if seat is None:
            seat = self._paper_seat = paper_seat(
                context.config, self._host.board, context.tables.instrument
            )
        self._group = Group(
            seat, context.tables.pipeline, context.tables.instrument,
            lambda: operator.tuning.in_force,
            lambda told, now_ns: self._handle(context.step.group_told(told, now_ns)),
        )  # fmt: skip
        self._group.look(self._clock.now_ns())
        self._spawn(self._follow_group(self._group), "group")

    async def _follow_group(self, group: Group) -> None:
        interval_s = self.config.inventory.look_every_ns / 1e9
        while True:
            await asyncio.sleep(interval_s)
            now_ns = self._clock.now_ns()
            try:
                group.look(now_ns)
            except BoardError as error:
                group.lose(error, now_ns)

    def _look_at_strategy(self, now_ns: int) -> None:
        """Tell the step what the user's own strategy failed at since the last look."""
        strategy = self.tables.pipeline.strategy
        if not isinstance(strategy, PythonStrategy | FencedStrategy):
            return
        failed = strategy.take_failures()
        if failed is None:
            return
        told = self.step.strategy_failed(failed.count, failed.row, failed.kind, failed.text, now_ns)
        if told and isinstance(strategy, PythonStrategy):
            log.warning("the strategy failed", exc_info=strategy.last_error)
        self._handle(told)

    async def _restart_writer(self, files: SessionFiles) -> None:
        try:
            await files.restart_writer()
        except JournalError as error:
            # The timer starts the next; records wait in the ring, and a full ring stops the quotes.
            self._alert("warning", f"the writer did not come back: {error}")
            await asyncio.sleep(WRITER_AGAIN_S)
        finally:
            self._restarting_writer = False

    async def _restart_watchdog(self, watchdog: WatchdogProcess) -> None:
        await watchdog.restart()
        self._restarting_watchdog = False
        self._handle(self.step.watchdog_seen(True, self._clock.now_ns()))

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
            self._running.instruments, self._running.trading.client_id, self._clock.now_ns(),
            self.stop_reason,
        )  # fmt: skip
        if self._hedger is not None and self._hedger.connected:
            taken = replace(taken, hedge=self._hedger.page())
        if self._on_snapshot is not None:
            self._on_snapshot(taken)
        return taken

    async def _remember(self) -> None:
        """Keep what the estimators know, and which levels wait, for a bot that is back soon."""
        while True:
            await asyncio.sleep(REMEMBER_S)
            self._remember_now()

    def _remember_now(self) -> None:
        assert self._files is not None
        context = self._running
        strategy = context.tables.pipeline.strategy
        self._files.signals.write(
            memory.states(
                self.config, context.instruments, context.tables.feeds,
                strategy.waits if isinstance(strategy, GridStrategy) else None,
                strategy.one_sided if isinstance(strategy, compiled.COMPILED) else 0,
            )
        )  # fmt: skip

    async def _refresh_token(self) -> None:
        trading = self._running.trading
        assert self._proof is not None
        while True:
            await asyncio.sleep(TOKEN_REFRESH_S)
            ready = trading.private_ready()
            trading.set_token(await self._proof.retry(trading.rest().token, "token"))
            if ready and not trading.private_ready():
                # Another one than the streams were opened with: they are dead.
                assert self._traffic is not None
                self._traffic.drop_private()

    def _renew_token(self, text: str) -> None:
        """Get a token at once: the venue refused the present one. One request at a time."""
        if self._renewing:
            return
        self._renewing = True
        log.warning("the venue takes the token no more: %s", text)
        self._spawn(self._fetch_token(), "token renewal", vital=False)

    async def _fetch_token(self) -> None:
        assert self._proof is not None
        trading = self._running.trading
        try:
            trading.set_token(await self._proof.retry(trading.rest().token, "token"))
        finally:
            self._renewing = False
        assert self._traffic is not None
        if not trading.private_ready():
            # The private streams were refused for it too.
            self._traffic.drop_private()
        self._handle(self.step.token_renewed(self._clock.now_ns()))

    async def _watch_clock(self) -> None:
        assert self._proof is not None
        limit_ns = self.config.risk.max_clock_offset_ns
        looks = 0
        while True:
            await asyncio.sleep(CLOCK_LOOK_S)
            looks += 1
            stepped = abs(self._clock.stepped_ns()) > limit_ns
            if not stepped and looks % CLOCK_LOOKS:
                continue
            # Event time follows the machine's corrected UTC; it never goes back or stands still.
            stepped_ns = self._clock.anchor()
            if stepped:
                # A clock that was set, or a machine that slept: nothing is as old as it looks.
                text = f"the machine's clock stepped by {stepped_ns / 1e9:.3f} s"
                self._alert("critical", text)
                self._handle(self.step.trip(text, self._clock.now_ns()))
            try:
                await self._proof.measure_clock()
            except VenueError as error:
                log.warning("clock: %s", error)
                self._proof.tell_clock()

    async def _reconcile_loop(self) -> None:
        assert self._proof is not None
        interval_s = self.config.settlement.reconcile_every_ns / 1e9
        while True:
            doubt = self.step.reconciler.in_doubt
            await asyncio.sleep(min(interval_s, HURRY_NS / 1e9) if doubt else interval_s)
            await self._reconcile()

    async def _reconcile(self) -> None:
        assert self._proof is not None
        if self._hedger is not None:
            await self._hedger.look()
        try:
            await self._proof.reconcile()
        except VenueError as error:
            log.warning("reconciliation: %s", error)
            self._proof.note(error)

    # ------------------------------------------------------------------ commands

    async def on_command(self, asked: Asked) -> dict[str, Any]:
        """Carry out one command of the door; those that act are journalled before they do."""
        assert self._operator is not None, "the door opens once the engine has started"
        told = self._operator.carry_out(asked)
        if self._hedger is not None and isinstance(asked.command, Resume):
            # What waits for a person has been looked at.
            self._hedger.release()
        return told

    # ------------------------------------------------------------------ hedge

    def _make_hedger(self, config: BotConfig, files: SessionFiles) -> Hedger:
        # Only a bot that hedges loads what hedging takes.
        from openmm.engine.hedger import Hedger

        live = config.bot.mode == "live"
        assert config.hedge is not None
        if self._custom is not None:
            raise ConfigError(
                "hedge", config.hedge.venue,
                "left out with a strategy of the program's own, which does not keep what it costs: "
                "engine.hedging is for those",
            )  # fmt: skip
        if live and self._hedge_keys is None:
            raise ConfigError(f"hedge.{config.hedge.label}", "no key", "an API key: mode is live")
        if live and is_real(config.hedge.endpoints.rest):
            raise RiskError(
                "hedges at a real venue are refused: this version places them on simulated ones",
                venue=config.hedge.venue, code="not_loopback",
            )  # fmt: skip
        keys = self._hedge_keys if live else None
        return Hedger(config, keys, self._clock, files.run_dir.path, self)

    def hedge_told(self, told: Told) -> None:
        """Quote within what the hedge has room for."""
        self._handle(
            self.step.hedge_told(told.bid_lots, told.ask_lots, told.edge_ppm, self._clock.now_ns())
        )

    def hedge_filled(self, event: OrderFilled) -> None:
        """Put a hedge's execution on record."""
        told = journal.json_record({"hedge": event})
        self._running.append(Record.REC_REST, SOURCE_HEDGE, self._clock.now_ns(), told)

    def hedge_incident(self, incident: Incident) -> None:
        """Tell people what the hedge came to; an error inside it halts the bot."""
        text = f"{incident.code}: {incident.text}"
        if self._context is None:
            log.error("%s", text)
            return
        # In the loop's next turn: this may be called from within the booking of a fill, and no
        # record may come between those that follow from it.
        soon = asyncio.get_running_loop().call_soon
        soon(self._alert, incident.severity, text)
        if incident.code == "hedge_failed":
            soon(self._kill, text)

    def hedge_differs(self, text: str, asset: str, amount: Decimal, *, halt: bool) -> None:
        """Tell people of money at the hedge venue that does not add up."""
        self._alert("critical", text, asset, amount)
        if halt:
            self._handle(self.step.hedge_differs(text, self._clock.now_ns()))

    async def _end_hedge(self, hedging: Hedger) -> None:
        """Prove that no hedge is open once nothing can fill any more; tell what is unhedged."""
        proven = await hedging.close()
        now_ns = self._clock.now_ns()
        # On record, for the report: whose other figures are the quoting venue's alone.
        told = journal.incident_record(hedging.told_at_end(), "info", kind="hedge")
        self._running.append(Record.REC_INCIDENT, 0, now_ns, told)
        rest = f"{hedging.unhedged:+f} {self.tables.instrument.base} unhedged"
        if not proven:
            self.exit_code = EXIT_FAILED
            self._alert("critical", f"stop: hedges may still be open; {rest}")
        elif not hedging.hedging.settled:
            self._alert("warning", f"stop: no hedge is open; {rest}")
        else:
            log.info("no hedge is open; %s", rest)

    # ------------------------------------------------------------------ stop

    async def _wind_down(self) -> None:
        proof, traffic = self._proof, self._traffic
        assert proof is not None
        assert traffic is not None
        closed = self._closed = await proof.close_all()
        if not closed:
            self.exit_code = EXIT_FAILED
        if self.config.dead_man_ns is not None and closed:
            # Left armed otherwise: the venue cancels what we could not.
            await traffic.disarm_dead_man()
        if self._hedger is not None:
            await self._end_hedge(self._hedger)
        if not await proof.settle():
            self.exit_code = EXIT_FAILED
        if self.tables.monitor.state is RiskState.HALTED and self.exit_code == EXIT_DONE:
            self.exit_code = EXIT_HALTED

    async def _tear_down(self) -> None:
        # An engine within another program leaves no memory behind that no collection looks at.
        gc.unfreeze()
        spin.rehearse(None)
        if self._rehearsal is not None:
            self._rehearsal.close()
        if self._traffic is not None:
            self._traffic.close()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connector in self._connectors:
            await connector.rest().close()
        if self._hedger is not None:
            await self._hedger.close(0.0)
            await self._hedger.disconnect()
        if self._watchdog is not None:
            # With orders that may be open, or none ever placed: the first is its business.
            if self._closed or not self._quoting:
                await asyncio.to_thread(self._watchdog.dismiss)
            else:
                self._watchdog.release()
        if self._seat is not None:
            # With orders that may be open it stays in force: a watchdog or the next start ends it.
            self._seat.leave(proven=self._closed)
            self._seat.board.close()
        if self._paper_seat is not None:
            self._paper_seat.leave(proven=self._closed)
            self._paper_seat.board.close()
        now_ns = self._clock.now_ns()
        if self._door is not None:
            await self._door.close()
        files, context, proof = self._files, self._context, self._proof
        open_count = None if proof is None else proof.open_count
        if files is not None and context is not None and proof is not None:
            for asset, total in proof.closing.items():
                event = BalanceUpdated(asset, total, None, Decimal(0), "closing", "", now_ns)
                context.append(Record.REC_BALANCE, 0, now_ns, journal.balance_record(event))
            context.step.end(now_ns)
            if self._quoting:
                self._remember_now()
            context.append(
                Record.REC_END, 0, now_ns,
                journal.end_record(
                    journal.EndRecord(
                        self.stop_reason, now_ns, open_count, context.step.counter_values()
                    )
                ),
            )  # fmt: skip
            if files.telemetry is not None:
                files.telemetry.publish(self.snapshot())
            if context.left is not None and context.step.expected():
                # For the next start, which opens with what the venue says by then.
                exec_ids = context.step.orders.last_exec_ids(EXEC_IDS_KEPT)
                write_left(context.left, Left(now_ns, context.step.expected(), exec_ids))
        if files is not None:
            end = {
                "state": "ended", "ended_ns": now_ns, "exit_code": self.exit_code,
                "reason": self.stop_reason, "open_orders": open_count,
            }  # fmt: skip
            if self._hedger is not None and context is not None:
                end["hedge"] = self._hedger.summary()
            if context is not None:
                monitor = context.tables.monitor
                if monitor.state is RiskState.PAUSED and self.exit_code == EXIT_DONE:
                    # A pause ends with its session; a halt does not.
                    files.hold("")
                end |= {"risk_state": monitor.state.name, "risk_reason": monitor.reason}
            if not await asyncio.to_thread(files.close, end):
                log.error("the writer did not finish: the journal on disk may lack the end")
                self.exit_code = EXIT_FAILED
        if self._previous_hook is not None:
            sys.unraisablehook = self._previous_hook
            self._previous_hook = None

    # ------------------------------------------------------------------ inside

    def _spawn(self, work: Coroutine[Any, Any, None], name: str, *, vital: bool = True) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(work, name, vital), name=name)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

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

    def _safely(self, handler: Handler) -> Handler:
        """The boundary of a socket callback: an error in it halts the bot but keeps the connection,
        which has to carry the cancels and bring their answers."""

        def handle(payload: bytes, recv_ns: int) -> None:
            try:
                handler(payload, recv_ns)
            except Exception as error:
                log.exception("message handler failed")
                self._kill(f"message handler failed: {type(error).__name__}: {error}")

        return handle

    def _tell_fill(self, event: OrderFilled) -> None:
        """The boundary of the program's own code: an error in it halts the bot, from outside the
        booking that it was called from, which comes to its end."""
        try:
            if self._hedger is not None:
                self._hedger.on_fill(event)
            if self._on_fill is not None:
                self._on_fill(event)
        except Exception as error:
            log.exception("on_fill failed")
            text = f"on_fill failed: {type(error).__name__}: {error}"
            asyncio.get_running_loop().call_soon(self._kill, text)

    def _kill(self, text: str) -> None:
        if self._context is not None and self._traffic is not None:
            self._handle(self._context.step.trip(text, self._clock.now_ns()))
        self.exit_code = EXIT_FAILED
        self.request_stop(text)

    def _on_unraisable(self, unraisable: Any) -> None:
        if self._previous_hook is not None:
            self._previous_hook(unraisable)
        self._kill(f"unraisable exception in compiled code: {unraisable.exc_value!r}")
