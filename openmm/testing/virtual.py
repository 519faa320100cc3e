"""A whole bot against a simulated venue, in memory, on a virtual clock.

The engine is the real one, its asyncio side too: only sockets, HTTP, the machine's clock and the
writer process are replaced (`engine/host.py`). The venue is the simulator's core and dialect behind
its pipes, with its faults. A seed reproduces a session exactly and an hour of market passes in a
minute or less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from picows import WSListener, WSMsgType

from openmm._fast.feed import EventClock, MarketListener, PrivateListener
from openmm._fast.ports import MemoryTransport
from openmm._fast.tape import TapeReader
from openmm.config import BotConfig
from openmm.engine import host
from openmm.engine.commands import Caller, Command, Request
from openmm.engine.loop import Engine
from openmm.engine.rundir import RunDir
from openmm.engine.step import Step
from openmm.engine.wiring import Tables
from openmm.errors import TransportError
from openmm.journal import JournalRecord
from openmm.sim.core import VenueCore
from openmm.sim.faults import FaultScript
from openmm.sim.options import SimOptions
from openmm.sim.pipe import Pipe
from openmm.sim.server import build_core
from openmm.sim.strikes import Strikes, rest_answer
from openmm.testing.clockwork import NS, VirtualLoop
from openmm.venues.connector import Keys, OrderHttp

START_NS = 1_750_000_000 * NS
# The venue looks at its timers at least this often.
VENUE_STEP_NS = 100_000_000
READ_EVERY_S = 0.25
READ_RECORDS = 4096
HTTP_TIMEOUT_NS = 10 * NS


@final
class _Connection:
    """One connection of the engine to the venue in this process."""

    def __init__(
        self, venue: MemoryVenue, private: bool, query: str, listener: WSListener,
        orders: MemoryTransport,
    ) -> None:  # fmt: skip
        assert isinstance(listener, MarketListener | PrivateListener), listener
        self.private = private
        self.pipe = venue.pipe(private, query)
        self._venue = venue
        self._orders = orders
        self._listener = listener
        self._ended = venue.loop.create_future()
        self._heard_ns = venue.now_ns
        self._ending = False
        self._watch()

    def is_of(self, orders: MemoryTransport) -> bool:
        """Whether these orders leave by it."""
        return self._orders is orders

    def open(self) -> None:
        """Tell the listener."""
        self._listener.on_ws_connected(None)
        self._orders.set_live(True) if self.private else None

    def send(self, msg_type: WSMsgType, message: bytes) -> None:
        """Send one message to the venue."""
        if not self._ending:
            self.pipe.send(message, self._venue.now_ns)
            self._venue.wake()

    def disconnect(self, graceful: bool = True) -> None:
        """End it, in the loop's next turn, as a socket would."""
        if self._ending:
            return
        self._ending = True
        if self.private:
            self._orders.set_live(False)
        self._venue.loop.call_soon(self._end)

    async def wait_disconnected(self) -> None:
        """Wait for its end."""
        await asyncio.shield(self._ended)

    def deliver(self, now_ns: int) -> None:
        """Hand what has arrived to the listener."""
        frames = self.pipe.receive(now_ns)
        if frames:
            self._heard_ns = now_ns
        for index, frame in enumerate(frames):
            if self._ending:
                return
            if isinstance(self._listener, MarketListener):
                self._listener.deliver(frame, index == len(frames) - 1)
            else:
                self._listener.deliver(frame)
        if self.pipe.fallen:
            self.disconnect(False)

    def _watch(self) -> None:
        """Ask a silent connection for a sign of life; without one it is lost."""
        if self._ending:
            return
        silent_ns = self._venue.now_ns - self._heard_ns
        if silent_ns > host.SILENT_AFTER_S * NS and not self.pipe.is_deaf(self._venue.now_ns):
            self._heard_ns = self._venue.now_ns
        elif silent_ns > (host.SILENT_AFTER_S + host.ANSWER_WITHIN_S) * NS:
            self.disconnect(False)
            return
        self._venue.loop.call_later(1.0, self._watch)

    def _end(self) -> None:
        self.pipe.close()
        self._venue.connections.remove(self)
        if not self._ended.done():
            self._ended.set_result(None)
        self._listener.on_ws_disconnected(None)


@final
class MemoryVenue:
    """A simulated venue in this process: connections, orders and requests of one engine.

    Args:
        options: of the venue; latency applies both ways.
        loop: what both run on.
    """

    def __init__(self, options: SimOptions, loop: VirtualLoop, clock: EventClock) -> None:
        self.loop = loop
        self.core: VenueCore = build_core(options, START_NS)
        self.gateway, self._rest = options.dialect.make(
            self.core, options.seed, options.events_first
        )
        self.strikes = Strikes(
            options.faults or FaultScript(()), self.core, self.gateway, clock.now_ns()
        )
        self.orders = MemoryTransport(self._on_orders)
        self.orders.set_live(False)
        self.connections: list[_Connection] = []
        self._options = options
        self._clock = clock
        self._links = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        self._turn()

    @property
    def now_ns(self) -> int:
        """The clock's time."""
        return self._clock.now_ns()

    def pipe(self, private: bool, query: str = "") -> Pipe:
        """Make the venue's end of a connection."""
        self._links += 1
        options = self._options
        return Pipe(
            self.gateway, private, self.now_ns, options.latency_ns, options.jitter_ns,
            f"{options.seed}:{self._links}", self.strikes, query,
        )  # fmt: skip

    # ---- what an engine asks of its host

    async def dial(
        self, url: str, make: Callable[[], WSListener], orders: MemoryTransport | None = None
    ) -> _Connection:
        """Connect; the address tells which side of the venue.

        Args:
            orders: lives and dies with a private connection; None: that of the venue's own engine.
        """
        await asyncio.sleep(2 * self._options.latency_ns / NS)
        parts = urlsplit(url)
        made = _Connection(
            self, parts.path == "/private", parts.query, make(), orders or self.orders
        )
        self.connections.append(made)
        made.open()
        self.wake()
        return made

    def _on_orders(self, messages: list[bytes]) -> None:
        for one in self.connections:
            if one.private and one.is_of(self.orders):
                for message in messages:
                    one.send(WSMsgType.TEXT, message)

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Carry one request and its reply."""
        await asyncio.sleep(self._options.latency_ns / NS)
        now_ns = self.now_ns
        self.strikes.advance(now_ns)
        self.core.advance(now_ns)
        target = f"{path}?{query}" if query else path
        told = rest_answer(self.strikes, self._rest, verb, target, headers, body, now_ns)
        self.wake()
        span_ns = told.delay_ns + self._options.latency_ns
        await asyncio.sleep(min(span_ns, HTTP_TIMEOUT_NS) / NS)
        if told.lost or span_ns > HTTP_TIMEOUT_NS:
            raise TransportError(
                f"{base}{path}: no answer",
                venue=self._options.venue,
                retryable=True,
            )
        return told.status, told.body

    async def close(self) -> None:
        """Nothing is held."""

    # ---- time

    def wake(self) -> None:
        """Look anew at what is due next."""
        if self._timer is not None and self._next_ns() < self._due_ns:
            self._timer.cancel()
            self._schedule()

    def _next_ns(self) -> int:
        now_ns = self.now_ns
        due = [now_ns + VENUE_STEP_NS]
        for at_ns in (self.core.next_ns(), self.strikes.next_ns()):
            if at_ns is not None:
                due.append(at_ns)
        for one in self.connections:
            if (at_ns := one.pipe.next_ns(now_ns)) is not None:
                due.append(at_ns)
        return min(due)

    def _schedule(self) -> None:
        self._due_ns = max(self._next_ns(), self.now_ns)
        self._timer = self.loop.call_at_ns(self._due_ns, self._turn)

    def _turn(self) -> None:
        """Let the venue live up to now, and what it sent arrive."""
        self._timer = None
        now_ns = self.now_ns
        self.strikes.advance(now_ns)
        self.core.advance(now_ns)
        for one in list(self.connections):
            one.deliver(now_ns)
        self._schedule()


@final
class _Tenant:
    """A venue in this process as a second engine has it: connections and orders of its own."""

    def __init__(self, venue: MemoryVenue) -> None:
        self.venue = venue
        self.orders = MemoryTransport(self._on_orders)
        self.orders.set_live(False)
        self._mine: list[_Connection] = []

    async def dial(self, url: str, make: Callable[[], WSListener]) -> host.Connection:
        """Connect, for this engine."""
        made = await self.venue.dial(url, make, self.orders)
        self._mine.append(made)
        return made

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Carry one request and its reply."""
        return await self.venue(verb, base, path, query, body, headers)

    async def close(self) -> None:
        """Nothing is held."""

    def _on_orders(self, messages: list[bytes]) -> None:
        for one in self._mine:
            if one.private:
                for message in messages:
                    one.send(WSMsgType.TEXT, message)


@final
class _Venues:
    """The venues of one engine, by the port of their addresses, 1 for the first."""

    def __init__(self, venues: Sequence[MemoryVenue]) -> None:
        self._venues = venues

    async def dial(self, url: str, make: Callable[[], WSListener]) -> host.Connection:
        """Connect to the venue of an address."""
        return await self._of(url).dial(url, make)

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Carry one request and its reply."""
        return await self._of(base)(verb, base, path, query, body, headers)

    async def close(self) -> None:
        """Nothing is held."""

    def _of(self, url: str) -> MemoryVenue:
        port = urlsplit(url).port
        assert port, f"{url}: no venue of this bot"
        return self._venues[port - 1]


@final
class MemoryOrders:
    """Orders of an engine that leave over REST, to a venue in this process."""

    def __init__(self, venue: MemoryVenue, http: OrderHttp) -> None:
        self.transport = MemoryTransport(self._on_orders)
        self.transport.set_live(False)
        self._venue = venue
        self._http = http
        self._on_reply: Callable[[bytes], None] | None = None
        self._asked: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """Whether orders can leave: always, once they have been asked to."""
        return self._on_reply is not None

    async def keep(self, on_reply: Callable[[bytes], None]) -> None:
        """Answer until cancelled."""
        self._on_reply = on_reply
        self.transport.set_live(True)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.transport.set_live(False)

    def _on_orders(self, messages: list[bytes]) -> None:
        for message in messages:
            task = self._venue.loop.create_task(self._ask(message))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _ask(self, message: bytes) -> None:
        head, verb, target = message.decode("ascii").split(" ", 2)
        path, _, query = target.partition("?")
        try:
            status, body = await self._venue(
                verb, self._http.url, path, query, b"", self._http.headers
            )
        except TransportError:
            return  # nobody is told, as on a lost connection
        if self._on_reply is not None:
            self._on_reply(self._http.reply(int(head), status, body))


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen once a virtual second."""

    ts_ns: int
    q_lots: int
    half_uticks: int
    sigma_uticks: int
    reference_uticks: int
    live_count: int
    volatile: bool


@final
class VirtualBot:
    """One bot and its venues.

    Args:
        config: of the bot; its endpoints and folder are replaced.
        sim: of the venue it quotes on, its faults included.
        folder: where the session's files go.
        watched: of every other venue, by its label. Venues of one seed and start price share a
            fair value; their order flow is the same only where their steps are.
        on_record: takes every record of the tape, in order; without it they stand in `records`.
        board: where it sees other bots; None: nowhere.
        beside: another bot that is not stopped before this one: its venue, with an account of this
            one's by `sim`'s key, its loop and its clock are this one's too.
    """

    def __init__(
        self, config: BotConfig, sim: SimOptions, folder: Path, *,
        watched: Mapping[str, SimOptions] | None = None,
        on_record: Callable[[JournalRecord], None] | None = None, board: Path | None = None,
        beside: VirtualBot | None = None,
    ) -> None:  # fmt: skip
        bot = config.bot.model_copy(update={"run_dir": folder})
        venues = tuple(
            one.model_copy(
                update={"endpoints": one.endpoints.model_copy(update=_endpoints(number))}
            )
            for number, one in enumerate(config.venue, 1)
        )
        self.config = config.model_copy(update={"bot": bot, "venue": venues})
        self._owns_loop = beside is None
        around: _Venues | _Tenant
        if beside is None:
            self.clock = EventClock()
            self.loop = VirtualLoop(self.clock, START_NS)
            sims = {**(watched or {}), config.quoted.label: sim}
            self.venues = {
                one.label: MemoryVenue(sims[one.label], self.loop, self.clock)
                for one in config.venue
            }
            self.venue = self.venues[config.quoted.label]
            self.core, orders = self.venue.core, self.venue.orders
            around = _Venues(list(self.venues.values()))
        else:
            self.clock, self.loop, self.core = beside.clock, beside.loop, beside.core
            self.venue, self.venues = beside.venue, beside.venues
            around = _Tenant(self.venue)
            orders = around.orders
            speaks = sim.dialect
            self.core.open_account(
                sim.api_key, speaks.secret(sim.api_secret), dict(sim.balances),
                speaks.tiers[sim.tier], *sim.fees_ppm,
            )  # fmt: skip
        account = self.core.account_of(sim.api_key)
        assert account is not None, "a venue opens the account of its options"
        self.account = account
        self.engine = Engine(
            self.config,
            keys=Keys(sim.api_key, sim.api_secret, sim.dialect.passphrase),
            host=host.Host(
                clock=self.clock, dial=around.dial, round_trip=around,
                transport=lambda: orders, writer=False, board=board,
                orders=lambda http: MemoryOrders(self.venue, http),
            ),
        )  # fmt: skip
        self.records: list[JournalRecord] = []
        self.samples: list[Sample] = []
        self.exit_code: int | None = None
        self._on_record = on_record or self.records.append
        self._run_dir = RunDir(folder, config.bot.name)
        self._reader: TapeReader | None = None
        self._follower: asyncio.Task[None] | None = None

    @property
    def tables(self) -> Tables:
        """The engine's compiled tables."""
        return self.engine.tables

    @property
    def step(self) -> Step:
        """The engine's slow path."""
        return self.engine.step

    @property
    def session_id(self) -> str:
        """The session of the engine that runs, or ran last."""
        return str(self._run_dir.read_session()["session"])

    @property
    def now_ns(self) -> int:
        """Virtual UTC."""
        return self.clock.now_ns()

    # ------------------------------------------------------------------ run

    def start(self) -> None:
        """Start the engine: it connects, and quotes when this returns."""
        self._follower = self.loop.create_task(self._follow())
        started = False
        try:
            self.loop.run_until_complete(self.engine.start())
            started = True
        finally:
            if not started:
                self._close(self._follower)

    def run(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        self.loop.run_until_complete(self._sampled(seconds))

    def command(self, command: Command) -> dict[str, Any]:
        """Carry out an operator's command, as the command socket does."""
        asked = Request(0, command, Caller("test", "operator"))
        return self.loop.run_until_complete(self.engine.on_command(asked))

    def stop(self) -> int:
        """Stop the engine and return its exit code: 0 when all is proven, 3 after a halt."""
        self.exit_code = self.loop.run_until_complete(self.engine.stop("virtual end"))
        assert self._follower is not None, "stopped before it started"
        self._close(self._follower)
        return self.exit_code

    def _close(self, follower: asyncio.Task[None]) -> None:
        """Read what is left on the tape and end the loop."""
        follower.cancel()
        self._read()
        self.loop.run_until_complete(asyncio.gather(follower, return_exceptions=True))
        if self._owns_loop:
            self.loop.close()

    async def _sampled(self, seconds: float) -> None:
        end = self.loop.time() + seconds
        while (left := end - self.loop.time()) > 0:
            await asyncio.sleep(min(1.0, left))
            self._sample()

    def _sample(self) -> None:
        pipeline = self.tables.pipeline
        driver = self.core.drivers[0] if self.core.drivers else None
        self.samples.append(
            Sample(
                self.now_ns, pipeline.inventory.q_lots or 0, pipeline.ladder_parts()["half_uticks"],
                pipeline.feed.signals.sigma_uticks or 0, pipeline.reference.price_uticks or 0,
                pipeline.table.live_count, bool(getattr(driver, "volatile", False)),
            )
        )  # fmt: skip

    async def _follow(self) -> None:
        """Stand in for the writer process: take what is on the tape, and give the room back."""
        while True:
            self._read()
            await asyncio.sleep(READ_EVERY_S)

    def _read(self) -> None:
        if self._reader is None:
            tapes = self._run_dir.tapes()
            if not tapes:
                return
            self._reader = TapeReader(str(tapes[-1]))
            self._reader.attach()
        for record in self._chunks(self._reader):
            self._on_record(record)
        self._reader.beat()

    @staticmethod
    def _chunks(reader: TapeReader) -> Iterator[JournalRecord]:
        while chunk := reader.read(READ_RECORDS):
            for one in chunk:
                yield JournalRecord(*one)

    # ------------------------------------------------------------------ the venue's word

    def open_orders(self) -> list[object]:
        """Return what the venue holds open for the account."""
        return list(self.core.open_orders(self.account))

    def statement(self) -> dict[str, Any]:
        """Return the venue's own statement."""
        return self.core.statement(self.account)

    def differences(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return assets whose balance at the venue is not as booked: {asset: (ours, theirs)}."""
        theirs = {
            asset: Decimal(told["closing"]) for asset, told in self.statement()["assets"].items()
        }
        return {
            asset: (amount, theirs.get(asset, Decimal(0)))
            for asset, amount in self.step.expected().items()
            if amount != theirs.get(asset, Decimal(0))
        }


def _endpoints(number: int) -> dict[str, str]:
    """Return the addresses of a bot's nth venue."""
    at = f"127.0.0.1:{number}"
    return {"ws": f"ws://{at}/public", "ws_auth": f"ws://{at}/private", "rest": f"http://{at}"}
