"""A whole bot against a simulated venue, in memory, on a virtual clock.

The real decoder, pipeline, slow path, encoder and connector; the simulated venue's core and
dialect; bytes both ways, no socket, no clock. A seed reproduces a run exactly and ten minutes of
market pass in seconds. What the asyncio loop does with sockets and timers, this does in a plain
loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, final

from msgspec.structs import replace

from openmm import journal
from openmm._fast.book import BookState
from openmm._fast.ports import Decoded, MemoryTransport
from openmm._fast.tape import Record, Tape
from openmm.clock import ManualClock
from openmm.config import BotConfig, check_with_instrument
from openmm.engine import wiring
from openmm.engine.step import CancelStray, QueryOrders, Request, Resubscribe, Step, StepConfig
from openmm.errors import OpenMMError
from openmm.events import Event
from openmm.instrument import Instrument
from openmm.sim.core import VenueCore
from openmm.sim.options import SimOptions
from openmm.sim.pipe import Pipe
from openmm.sim.server import build_core
from openmm.venues import registry
from openmm.venues.connector import Connector, Keys
from openmm.venues.kraken.dialect import KrakenGateway
from openmm.venues.kraken.dialect_rest import KrakenRest

START_NS = 1_750_000_000_000_000_000
STEP_NS = 5_000_000
TIMER_NS = 50_000_000

T = TypeVar("T")


@final
class _RoundTrip:
    """Answer the connector's REST requests from the simulated venue."""

    def __init__(self, rest: KrakenRest, core: VenueCore, clock: ManualClock) -> None:
        self._rest, self._core, self._clock = rest, core, clock

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        target = f"{path}?{query}" if query else path
        now_ns = self._clock.now_ns()
        self._core.advance(now_ns)
        return self._rest.answer(verb, target, headers, body, now_ns)

    async def close(self) -> None:
        """Nothing is held."""


def _now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never really waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    work.close()
    raise OpenMMError("a request of the in-memory venue did not finish at once")


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
    """One bot and its venue.

    Args:
        config: of the bot; the endpoints in it are not used.
        sim: of the venue; latency applies both ways.
        tape_path: where the ring lies; None: in memory, nothing is kept.
    """

    def __init__(
        self, config: BotConfig, sim: SimOptions, *, tape: Tape | None = None,
        tape_path: Path | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.clock = ManualClock(START_NS)
        self.core = build_core(sim, START_NS)
        self.account = self.core.account_of(sim.api_key)
        self.gateway = KrakenGateway(self.core, sim.seed)
        round_trip = _RoundTrip(KrakenRest(self.gateway), self.core, self.clock)
        keys = Keys(sim.api_key, sim.api_secret)
        self.connector: Connector = registry.connector(
            config.quoted, keys, clock=self.clock, round_trip=round_trip
        )
        rest = self.connector.rest()
        name = config.quoted.pair
        instrument = _now(rest.instruments([name]))[name]
        fees = _now(rest.fees(instrument))
        self.instrument: Instrument = replace(
            instrument, maker_fee_ppm=fees.maker_ppm, taker_fee_ppm=fees.taker_ppm
        )
        check_with_instrument(config, self.instrument)
        self._mid_ticks = self.instrument.floor_ticks(_now(rest.mid(self.instrument)))
        self.tape = tape or Tape(tape_path, size_bytes=1 << 26, follow=tape_path is not None)
        latency = {"latency_ns": sim.latency_ns, "jitter_ns": sim.jitter_ns}
        self.public = Pipe(self.gateway, False, START_NS, seed=sim.seed, **latency)
        self.private = Pipe(self.gateway, True, START_NS, seed=sim.seed + 1, **latency)
        encoder = self.connector.order_encoder(
            self.instrument, bot=config.bot.name, session_s=START_NS // 10**9
        )
        self.tables = wiring.make_tables(
            config, [self.instrument], [self.connector], self.connector,
            mid_ticks=self._mid_ticks, tape=self.tape, encoder=encoder,
            transport=MemoryTransport(self._send),
        )  # fmt: skip
        self.step = Step(
            self.tables.pipeline, self.tables.feeds, self.instrument, self.tables.monitor,
            self.connector,
            StepConfig(
                ack_timeout_ns=config.risk.ack_timeout_ns,
                feed_age_ns_max=config.risk.max_message_age_ns,
            ),
        )  # fmt: skip
        self.samples: list[Sample] = []
        self.requests: list[Request] = []
        self.on_step: Callable[[VirtualBot], None] | None = None
        self._timer_ns = START_NS
        self._sample_ns = START_NS
        self._record(Record.REC_SESSION, self._session())
        self._record(Record.REC_INSTRUMENT, journal.instrument_record(self.instrument))
        opening = _now(rest.balances())
        self.step.set_opening(
            {asset: opening[asset] for asset in (self.instrument.base, self.instrument.quote)},
            START_NS,
        )
        self.tables.pipeline.set_inputs(clock_offset_ns=0)
        self.connector.set_token(_now(rest.token()))
        for message in self.connector.subscribe_market(self.instrument, config.quoted.depth):
            self.public.send(message, START_NS)
        for message in self.connector.subscribe_private():
            self.private.send(message, START_NS)

    def _session(self) -> bytes:
        return journal.session_record(
            journal.SessionRecord(
                session_id="virtual", bot=self.config.bot.name, mode=self.config.bot.mode,
                venue=self.config.quoted.label, instrument=self.instrument.name, build="test",
                started_ns=START_NS, config=self.config.model_dump(mode="json"),
                seeds={"mid_ticks": self._mid_ticks},
            )
        )  # fmt: skip

    def _record(self, kind: Record, data: bytes) -> None:
        self.tables.pipeline.append(kind, 0, self.clock.now_ns(), data)

    def _send(self, messages: list[bytes]) -> None:
        for message in messages:
            self.private.send(message, self.clock.now_ns())

    # ------------------------------------------------------------------ run

    def start(self, within_ns: int = 5_000_000_000) -> None:
        """Let time pass until book and private stream are ready, then begin to quote."""
        deadline_ns = self.clock.now_ns() + within_ns
        while not self._ready():
            if self.clock.now_ns() > deadline_ns:
                raise OpenMMError("the virtual bot is not ready in time")
            self._pass(STEP_NS)
        now_ns = self.clock.now_ns()
        self._handle(self.step.private_restored(now_ns))
        self._handle(self.step.start(now_ns))

    def _ready(self) -> bool:
        verified = self.tables.pipeline.feed.book.state is BookState.BOOK_VERIFIED
        return verified and self.connector.private_ready()

    def run(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        end_ns = self.clock.now_ns() + int(seconds * 1e9)
        while self.clock.now_ns() < end_ns:
            self._pass(STEP_NS)

    def stop(self, within_ns: int = 10_000_000_000) -> None:
        """Cancel everything and wait for the proof of every order.

        Raises:
            OpenMMError: an order is still not proven gone.
        """
        self._handle(self.step.stop(self.clock.now_ns()))
        deadline_ns = self.clock.now_ns() + within_ns
        while self.tables.pipeline.table.live_count:
            if self.clock.now_ns() > deadline_ns:
                raise OpenMMError(f"not proven gone: {self.tables.pipeline.table.live()}")
            self._pass(STEP_NS)
        self._pass(1_000_000_000)
        self._record(
            Record.REC_END,
            journal.end_record(
                journal.EndRecord(
                    "virtual end", self.clock.now_ns(), len(self.open_orders()),
                    self.step.counter_values(),
                )
            ),
        )  # fmt: skip

    def _pass(self, span_ns: int) -> None:
        self.clock.advance(span_ns)
        now_ns = self.clock.now_ns()
        pipeline, feed = self.tables.pipeline, self.tables.pipeline.feed
        frames = self.public.receive(now_ns)
        for index, frame in enumerate(frames):
            decoded = pipeline.on_frame(feed, frame, now_ns, index == len(frames) - 1)
            if decoded in (Decoded.DECODED_SLOW, Decoded.DECODED_BROKEN):
                self._events(self.connector.read_public(frame, now_ns))
        for frame in self.private.receive(now_ns):
            self._record(Record.REC_FRAME, self.connector.redact(frame))
            self._events(self.connector.read_private(frame, now_ns))
        if now_ns - self._timer_ns >= TIMER_NS:
            self._timer_ns = now_ns
            self._handle(self.step.on_timer(now_ns))
        if now_ns - self._sample_ns >= 1_000_000_000:
            self._sample_ns = now_ns
            self._sample(now_ns)
        if self.on_step is not None:
            self.on_step(self)

    def _sample(self, now_ns: int) -> None:
        pipeline = self.tables.pipeline
        driver = self.core.drivers[0] if self.core.drivers else None
        self.samples.append(
            Sample(
                now_ns, pipeline.inventory.q_lots or 0, pipeline.ladder_parts()["half_uticks"],
                pipeline.feed.signals.sigma_uticks or 0, pipeline.reference.price_uticks or 0,
                pipeline.table.live_count, bool(getattr(driver, "volatile", False)),
            )
        )  # fmt: skip

    def _events(self, events: Sequence[Event]) -> None:
        if events:
            self._handle(self.step.on_events(events, self.clock.now_ns()))

    def _handle(self, requests: Sequence[Request]) -> None:
        self.requests += requests
        now_ns = self.clock.now_ns()
        rest = self.connector.rest()
        for request in requests:
            match request:
                case Resubscribe():
                    for message in self.connector.resubscribe_book(
                        self.instrument, self.config.quoted.depth
                    ):
                        self.public.send(message, now_ns)
                case QueryOrders():
                    table = self.tables.pipeline.table
                    known = [order for order in map(table.get, request.seqs) if order is not None]
                    found = _now(
                        rest.find_orders(
                            [self.connector.client_id(order.seq) for order in known],
                            [order.venue_id for order in known if order.venue_id],
                        )
                    )
                    self._handle(self.step.on_query(request.seqs, found, now_ns, now_ns))
                case CancelStray():
                    _now(rest.cancel(request.venue_order_ids))

    # ------------------------------------------------------------------ the venue's word

    def open_orders(self) -> Sequence[object]:
        """Return what the venue holds open for the account."""
        assert self.account is not None
        return self.core.open_orders(self.account)

    def statement(self) -> dict[str, Any]:
        """Return the venue's own statement."""
        assert self.account is not None
        return self.core.statement(self.account)

    def differences(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return assets whose balance at the venue is not as booked: {asset: (ours, theirs)}."""
        balances = _now(self.connector.rest().balances())
        ours = self.step.expected()
        return {
            asset: (amount, balances.get(asset, Decimal(0)))
            for asset, amount in ours.items()
            if amount != balances.get(asset, Decimal(0))
        }
