"""One bot's engine in virtual time: market data in, records out, a pretended account beside it.

Pipeline, step and the questions to the venue are the ones a bot runs on; only the asyncio loop
around them is not: whoever owns a `Rerun` tells it what arrives and when the timer fires, in the
order of time. Orders go to the venue in this process that paper mode has: there is no socket in
here, and no key, so that nothing can leave.

The fill model is `ReplayMatching`'s (see there), with a constant latency each way; `FILL_MODEL`
says it in a sentence and belongs beside every figure that comes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any, Final, Protocol, TypeVar, final
from urllib.parse import urlsplit

from openmm import __version__, journal
from openmm._fast.feed import EventClock
from openmm._fast.ports import Decoded, MemoryTransport, Neighbours
from openmm._fast.tape import Record, Tape
from openmm.config import BotConfig
from openmm.config.redact import public
from openmm.engine import wiring
from openmm.engine.context import SOURCE_PRIVATE, Context
from openmm.engine.host import Host
from openmm.engine.paper import paper_connector, paper_venue
from openmm.engine.proof import Proof
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
)
from openmm.engine.traffic import without_secrets
from openmm.errors import ConfigError, OpenMMError
from openmm.events import Event, RequestRefused
from openmm.instrument import Instrument
from openmm.journal import EndRecord, SessionRecord
from openmm.signal import memory
from openmm.sim.mirror import Own
from openmm.sim.pipe import Delays
from openmm.strategy.python import PythonStrategy
from openmm.venues.connector import MarketSide

NS: Final = 1_000_000_000
TICK_NS: Final = 50_000_000  # of the slow path's timer
TOKEN_NS: Final = 400 * NS
# After the stop: so long may cancels be on their way.
STOP_NS: Final = 20 * NS
SLOW: Final = frozenset({Decoded.DECODED_SLOW, Decoded.DECODED_BROKEN, Decoded.DECODED_UNDECIDED})
ASKED_NS_MAX: Final = 2 * NS  # until a question of a rerun is put that its session did not have
COUNTED: Final = frozenset(
    {"adjust", "place_by_hand", "cancel_by_hand", "cancel_all"}
)  # and requests
COMMANDS: Final = frozenset({"halt", "pause", "resume", "flatten"})
FILL_MODEL: Final = (
    "Our orders rest in a copy of the stream's book and change nothing in it. An order stands "
    "behind all that is shown at its price when it arrives; what is cancelled there is taken to "
    "have stood behind it. It is filled by a trade through its price, by a trade at its price "
    "after the queue ahead has traded, and where the opposite best reaches its price. Orders, "
    "cancels and answers take a constant time each way."
)

T = TypeVar("T")


class PublicReader(Protocol):
    """Reads the public messages that are not for the hot path."""

    def read_public(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Decode one."""
        ...


class Timing(Protocol):
    """Says when messages arrive; times in ns since 1970."""

    def sent(self, frame: bytes, now_ns: int) -> int:
        """Say when a request reaches the venue."""
        ...

    def told(self, events: Sequence[Event], now_ns: int) -> tuple[int, int]:
        """Say when what the venue tells now over the private connection is received.

        Returns:
            the moment, and the place among all that is received then; 0: any.
        """
        ...

    def replied(self, request: bytes, now_ns: int) -> int:
        """Say when the reply to an order over REST is received."""
        ...

    def reply_place(self, events: Sequence[Event]) -> int:
        """Return the place of a reply among all that is received at its moment; 0: any."""
        ...


@dataclass(frozen=True, slots=True)
class Again:
    """What is known of a session that is run again, instead of assumed.

    The session's mode and its account's group stay as they were, and its venue is given its market
    data by whoever owns the rerun: the venue was ahead of the bot. Questions about orders in doubt
    wait for the moments at which the session had its answers.

    Args:
        session_s: of its client ids.
        watchdog: whether a watchdog process had to run.
        timing: of single messages.
        own: what of the session's public market was not the market's.
        neighbours: what its other bots showed.
        cost_decimals: of the quote asset, that its venue rounded costs and fees to.
    """

    session_s: int = 0
    watchdog: bool = False
    timing: Timing | None = None
    own: Own | None = None
    neighbours: Neighbours | None = None
    cost_decimals: int | None = None


@final
class Rerun:
    """Run one bot's engine over what its owner gives it.

    Args:
        config: of the bot; its mode does not matter, the account is pretended.
        instruments: one for each `config.venue`, in its order.
        markets: make the decoders of their streams.
        tape: takes the records; its owner reads it, and makes room in it.
        session_id: of the records.
        started_ns: when the session begins; every later time is at or after it.
        mid_ticks: the quoted instrument's price then.
        readers: read what the decoders leave over, where a stream has such messages.
        signals: what the estimators knew when the session began, by venue.
        outside_levels: of a book: a recording cannot be asked for a new one when they are used up.
        again: a session of the past that is run again, and what is known of it.

    Raises:
        ConfigError: the file has [hedge].
    """

    def __init__(
        self, config: BotConfig, instruments: Sequence[Instrument], markets: Sequence[MarketSide],
        tape: Tape, *, session_id: str, started_ns: int, mid_ticks: int,
        readers: Sequence[PublicReader | None] = (), signals: Mapping[str, Any] | None = None,
        outside_levels: int = wiring.BOOK_OUTSIDE_LEVELS, again: Again | None = None,
    ) -> None:  # fmt: skip
        if config.hedge is not None:
            # Without the hedge's word of how much may be, the bot would quote nothing at all.
            raise ConfigError(
                "hedge", config.hedge.venue, "left out: recordings have no second venue to hedge on"
            )
        self._again = again
        if again is None:
            bot = config.bot.model_copy(update={"mode": "paper"})
            # Nobody else is there: the own inventory is followed.
            alone = config.inventory.model_copy(update={"group": None})
            config = config.model_copy(update={"bot": bot, "inventory": alone})
        self.config = config
        self.clock = EventClock()
        self.clock.hold(started_ns)
        self.session_id = session_id
        self.started_ns = started_ns
        self._token_ns = started_ns + TOKEN_NS
        self.message_count = 0  # that left for the venue
        self.problems: list[str] = []  # alerts and incidents, as people would have been told
        self.is_quoting = False
        quoted = self._quoted = config.venue.index(config.quoted)
        instrument = instruments[quoted]
        told = again or Again()
        self._ready = False  # there is a connector to read with
        # Of messages on their way to us: by identity, as one message may be like another.
        self._ahead: dict[int, tuple[bytes, list[Event], int]] = {}
        self.venue = paper_venue(
            config, instrument, markets[quoted], delays=self._delays(told.timing), own=told.own,
            cost_decimals=told.cost_decimals,
        )  # fmt: skip
        trading = self.trading = paper_connector(config, self.venue, self.clock, self._ask_at_once)
        self._ready = True
        finished(trading.rest().instruments([instrument.name]))
        self._http = trading.order_http()
        session_s = told.session_s or started_ns // NS
        self.tables = wiring.make_tables(
            config, instruments, markets, trading, mid_ticks=mid_ticks, tape=tape,
            encoder=trading.order_encoder(instrument, bot=config.bot.name, session_s=session_s),
            transport=MemoryTransport(self._on_orders), seal=max(1, started_ns),
            outside_levels=outside_levels, neighbours=told.neighbours,
        )  # fmt: skip
        self.step = wiring.make_step(config, self.tables, trading, watchdog=told.watchdog)
        known = dict(signals or {})
        for venue, feed in zip(config.venue, self.tables.feeds, strict=True):
            if venue.label in known:
                memory.restore(feed, known[venue.label])
        wiring.restore_waits(config, self.tables, known)
        self._readers = readers or [None] * len(instruments)
        self._work: deque[Callable[[], Coroutine[Any, Any, None]]] = deque()
        self._drain_due = False
        self._resync_due = False
        self._recovering = False
        self._asked_for: dict[int, int] = {}  # orders in doubt: since when
        context = Context(
            config, Host(clock=self.clock), [], trading, list(instruments), self.tables, self.step,
            mid_ticks, started_ns // NS * NS, self._handle, self._alert, self._spawn, None,
            lambda _ts_ns: None, lambda handler: handler,
        )  # fmt: skip
        self._context = context
        self.proof = Proof(context)
        self._begin(mid_ticks, session_s, known, instruments)

    # ------------------------------------------------------------------ life

    def _begin(
        self, mid_ticks: int, session_s: int, signals: Mapping[str, Any],
        instruments: Sequence[Instrument],
    ) -> None:  # fmt: skip
        """Put on the tape what a session begins with, and open the account."""
        config, venue, now_ns = self.config, self.config.quoted, self.started_ns
        symbols = (
            wiring.symbols(config, instruments, [self.trading]) if len(instruments) == 1 else {}
        )
        seeds: dict[str, Any] = {
            "mid_ticks": mid_ticks, "signals": dict(signals), "session_s": session_s,
            "watchdog": False, "symbols": symbols,
            "recalled": isinstance(self.tables.pipeline.strategy, PythonStrategy),
        }  # fmt: skip
        told = SessionRecord(
            session_id=self.session_id, bot=config.bot.name, mode=config.bot.mode,
            venue=venue.label, instrument=venue.pair, build=__version__, started_ns=now_ns,
            config=public(config), seeds=seeds,
            client_id_prefix=self.trading.client_id(0)[:-7],
        )  # fmt: skip
        self._append(Record.REC_SESSION, 0, journal.session_record(told))
        for index, one in enumerate(instruments):
            self._append(Record.REC_INSTRUMENT, index, journal.instrument_record(one))
        self.step.clock_told(0, now_ns)
        finished(self.proof.open_account())
        self._connect()
        self._settle_down(now_ns)

    def quote(self, now_ns: int) -> None:
        """Begin to quote; the private side has to be ready: see `is_ready`."""
        self.clock.hold(now_ns)
        self._handle(self.step.private_restored(now_ns))
        self._handle(self.step.start(now_ns))
        self.is_quoting = True
        self._settle_down(now_ns)

    @property
    def is_ready(self) -> bool:
        """Whether the private side has said all that quoting needs."""
        return self.trading.private_ready()

    def stop(self, now_ns: int) -> None:
        """Quote no more and cancel everything."""
        self.clock.hold(now_ns)
        self._handle(self.step.stop(now_ns))
        self._settle_down(now_ns)

    def close(self, now_ns: int, reason: str) -> int:
        """Let the cancels arrive, hold the books against the venue, and end the session's records.

        Returns:
            When it was over.

        Raises:
            OpenMMError: orders are open at the end, or the books are not what the venue holds.
        """
        self.stop(now_ns)
        table, until_ns = self.tables.pipeline.table, now_ns + STOP_NS
        while table.live_count and now_ns < until_ns:
            now_ns += TICK_NS
            self.on_timer(now_ns)
        self.reconcile(now_ns, final=True)
        differing = {
            asset: (amount, self.proof.closing.get(asset))
            for asset, amount in self.step.expected().items()
            if amount != self.proof.closing.get(asset)
        }
        if table.live_count or differing:
            raise OpenMMError(
                f"the session did not add up: {table.live_count} orders open, {differing}"
            )
        self.step.end(now_ns)
        end = EndRecord(reason, now_ns, 0, self.step.counter_values())
        self._append(Record.REC_END, 0, journal.end_record(end))
        return now_ns

    # ------------------------------------------------------------------ what arrives

    def hear_until(self, now_ns: int) -> None:
        """Let requests and answers that are on their way arrive, each at its time, to `now_ns`."""
        while (due_ns := self.venue.next_ns(self.clock.now_ns())) is not None and due_ns <= now_ns:
            self.clock.hold(max(due_ns, self.clock.now_ns()))
            self._drain_due = True
            self._settle_down(self.clock.now_ns())

    def on_frame(self, source: int, payload: bytes, recv_ns: int, last: bool = True) -> None:
        """Take a message of a venue's market data; `last`: of what one read brought."""
        self.clock.hold(recv_ns)
        if source == self._quoted and self._again is None:
            # As in paper mode: our venue sees the market before we do.
            self.venue.on_public_frame(payload, recv_ns)
        feed = self.tables.feeds[source]
        decoded = self.tables.pipeline.on_frame(feed, payload, recv_ns, last)
        reader = self._readers[source]
        if reader is not None and decoded in SLOW:
            events = reader.read_public(payload, recv_ns)
            if feed.quoted:
                self._handle(self.step.on_events(events, recv_ns))
        if last:
            self._settle_down(recv_ns)

    def end_read(self, source: int, now_ns: int) -> None:
        """Take note that a read is over whose last message was not told as such."""
        self.clock.hold(now_ns)
        self.tables.pipeline.end_read(self.tables.feeds[source], now_ns)
        self._settle_down(now_ns)

    def market_lost(self, source: int, now_ns: int) -> None:
        """Take note that a feed's connection is gone."""
        self.clock.hold(now_ns)
        if source == self._quoted and self._again is None:
            self.venue.on_public_lost()
        self._handle(self.step.market_lost(source, now_ns))
        self._settle_down(now_ns)

    def on_timer(self, now_ns: int) -> None:
        """Let the slow path's timer fire."""
        self.clock.hold(now_ns)
        late = [one for one, ns in self._asked_for.items() if now_ns - ns > ASKED_NS_MAX]
        if late:
            # The session had nothing to ask: this run has gone another way.
            self.answer("on_query", (late, (), now_ns), now_ns)
        self._handle(self.step.on_timer(now_ns))
        self._drain_due = True
        self._settle_down(now_ns)

    def tick(self, now_ns: int) -> None:
        """Let the slow path's timer fire as a session's did, which also renewed its credential.

        Once, however long nothing happened: journals do not tell of it.
        """
        self.on_timer(now_ns)
        if now_ns >= self._token_ns:
            self.renew_token(now_ns)
            self._token_ns = now_ns - (now_ns - self._token_ns) % TOKEN_NS + TOKEN_NS

    def tell_clock(self, offset_ns: int | None, now_ns: int) -> None:
        """Take over what is known of the venue's clock."""
        self.clock.hold(now_ns)
        self.step.clock_told(offset_ns, now_ns)

    def command(self, name: str, who: str, now_ns: int) -> None:
        """Carry out an operator's halt, pause, resume or flatten."""
        assert name in COMMANDS, name
        self.clock.hold(now_ns)
        self._handle(getattr(self.step, name)(who, now_ns))
        self._settle_down(now_ns)

    def hear(self, now_ns: int) -> None:
        """Take what has arrived from the venue by now."""
        self.clock.hold(now_ns)
        self._drain_due = True
        self._settle_down(now_ns)

    def call(self, name: str, args: Sequence[Any], now_ns: int) -> None:
        """Call an entry of the step, as a session's loop did at that moment."""
        self.clock.hold(now_ns)
        told: Any = getattr(self.step, name)(*args, now_ns) or ()
        self._handle(told[1] if name in COUNTED else told)
        self._settle_down(now_ns)

    def answer(self, name: str, args: Sequence[Any], now_ns: int) -> None:
        """Ask this venue what a session asked its own, whose answer it had at that moment.

        Args:
            name: of the step's entry that took the answer.
            args: what it took.
        """
        self.clock.hold(now_ns)
        step, rest = self.step, self.trading.rest()
        match name:
            case "on_query":
                seqs = sorted({*args[0], *self._asked_for})
                self._asked_for.clear()
                found = finished(self.proof.find(seqs))
                self._handle(step.on_query(seqs, found, args[2], now_ns))
            case "on_open_orders":
                listed = finished(rest.open_orders())
                self._handle(step.on_open_orders(listed, args[1], now_ns))
            case "on_history":
                fills = finished(self.proof.fills_since(args[1]))
                self._handle(step.on_history(fills, args[1], args[2], now_ns))
            case "on_statement":
                balances = finished(rest.balances())
                self._handle(step.on_statement(balances, args[1], args[2], now_ns))
            case "token_renewed":
                finished(self._renewed())
        self._settle_down(now_ns)

    def arm(self, armed: bool, now_ns: int) -> None:
        """Set the venue's dead-man's switch, or clear it."""
        self.clock.hold(now_ns)
        self.step.dead_man_sent(armed, now_ns)
        timeout_ns = self.config.dead_man_ns or 0
        message = self.trading.dead_man(-(-timeout_ns // NS) if armed else 0)
        if message is not None:
            self.venue.on_client_frame(message, now_ns)
        self._settle_down(now_ns)

    def renew_token(self, now_ns: int) -> None:
        """Fetch a fresh credential, as a bot does long before the old one ends."""
        self.clock.hold(now_ns)
        ready = self.trading.private_ready()
        self.trading.set_token(finished(self.trading.rest().token()))
        self._resync_due |= ready and not self.trading.private_ready()
        self._settle_down(now_ns)

    def reconcile(self, now_ns: int, *, final: bool = False) -> None:
        """Hold the books against the pretended venue's lists and balances."""
        self.clock.hold(now_ns)
        finished(self.proof.reconcile(final=final))
        self._settle_down(now_ns)

    # ------------------------------------------------------------------ inside

    def _delays(self, timing: Timing | None) -> Delays | None:
        if timing is None:
            return None

        def leaves(frame: bytes, now_ns: int) -> int | None:
            if not self._ready:
                return None
            # Read as it leaves: what it says tells when it is received.
            events = self.trading.read_private(frame, now_ns)
            at_ns, place = timing.told(events, now_ns)
            self._ahead[id(frame)] = (frame, events, place)
            return at_ns

        return Delays(timing.sent, leaves, timing.sent, timing.replied)

    def _append(self, kind: Record, source: int, data: bytes) -> None:
        self.tables.pipeline.append(kind, source, self.clock.now_ns(), data)

    def _on_orders(self, messages: list[bytes]) -> None:
        self.message_count += len(messages)
        now_ns = self.clock.now_ns()
        for message in messages:
            if self._http is None:
                self.venue.on_client_frame(message, now_ns)
            else:
                self.venue.on_order(message, self._http.headers, now_ns)
        self._drain_due = True

    def _settle_down(self, now_ns: int) -> None:
        """Read what the venue has to say, and do what was asked for, until nothing is left."""
        self._drain_due = self._drain_due or self.venue.is_due(now_ns)
        while self._drain_due or self._work or self._resync_due:
            if self._drain_due:
                self._drain(now_ns)
            elif self._resync_due:
                self._resync(now_ns)
            else:
                finished(self._work.popleft()())

    def _drain(self, now_ns: int) -> None:
        self._drain_due = False
        told = self.venue.poll(now_ns)
        if self._http is not None:
            told += self.venue.replies(now_ns, self._http.reply)
        for payload, read in self._in_order(told, now_ns):
            self._append(Record.REC_FRAME, SOURCE_PRIVATE, self.trading.redact(payload))
            events = without_secrets(read, self.trading.redact)
            for message in self.trading.due():
                self.venue.on_client_frame(message, now_ns)
                self._drain_due = True
            self._handle(self.step.on_events(events, now_ns))
            self._resync_due |= any(
                isinstance(one, RequestRefused) and one.code == "token" for one in events
            )
        if self._recovering and self.trading.private_ready():
            self._recovering = False
            seqs, found, asked_ns = finished(self.proof.everything_since(self.started_ns))
            self._handle(self.step.on_query(seqs, found, asked_ns, now_ns))
            self._handle(self.step.private_restored(now_ns))

    def _in_order(self, told: Sequence[bytes], now_ns: int) -> Iterable[tuple[bytes, list[Event]]]:
        """Read messages that have arrived, one after the other or in the order they once had."""
        timing = None if self._again is None else self._again.timing
        if timing is None:
            return ((one, self.trading.read_private(one, now_ns)) for one in told)
        rows, last = [], 0
        for payload in told:
            _, events, place = self._ahead.pop(id(payload), (payload, None, 0))
            if events is None:
                events = self.trading.read_private(payload, now_ns)
                place = timing.reply_place(events)
            last = place or last
            rows.append((last, payload, events))
        rows.sort(key=itemgetter(0))
        return [(payload, events) for _, payload, events in rows]

    def _connect(self) -> None:
        """Open the private connection, with a fresh credential."""
        now_ns = self.clock.now_ns()
        self.trading.set_token(finished(self.trading.rest().token()))
        self._ahead.clear()
        self.venue.connect(now_ns, urlsplit(self.trading.private_url).query)
        for message in self.trading.subscribe_private():
            self.venue.on_client_frame(message, now_ns)
        self._drain_due = True

    def _resync(self, now_ns: int) -> None:
        """Make the private connection anew: it lost messages."""
        self._resync_due = False
        self._connect()
        self._handle(self.step.private_lost(now_ns))
        self._recovering = True

    def _handle(self, requests: Sequence[Request]) -> None:
        for request in requests:
            match request:
                case Alert():
                    self._alert(request.severity, request.text)
                case RiskMoved():
                    self._alert(request.severity, request.text)
                case IncidentMoved():
                    self._alert(request.incident.severity, request.incident.text)
                case Resubscribe():
                    # A stream of the past sends what it sends.
                    self._alert("warning", f"feed {request.feed_index}: {request.reason.name}")
                case QueryOrders() if self._again is not None:
                    self._asked_for.update(
                        (seq, self.clock.now_ns()) for seq in request.seqs
                        if seq not in self._asked_for
                    )  # fmt: skip
                case QueryOrders():
                    self._later(partial(self.proof.query, request.seqs))
                case NameOrders():
                    self._later(partial(self.proof.name_orders, request.venue_order_ids))
                case CancelStray():
                    self._later(partial(self.proof.cancel_stray, request))
                case ResyncPrivate():
                    self._resync_due = True
                case RenewToken() if self._again is None:
                    self._later(self._renewed)

    async def _ask_at_once(self, seconds: float) -> None:
        """Take a wait between questions as over: they take no time in here."""
        self.venue.forget_calls()

    def _later(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work.append(make)

    async def _renewed(self) -> None:
        self.trading.set_token(await self.trading.rest().token())
        self._handle(self.step.token_renewed(self.clock.now_ns()))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str, *, vital: bool = True) -> None:
        finished(work)

    def _alert(
        self, severity: str, text: str, asset: str = "", amount: Decimal | None = None
    ) -> None:
        if severity == "info":
            return
        self.problems.append(text)
        self._append(
            Record.REC_INCIDENT, 0,
            journal.incident_record(text, severity, asset=asset, amount=amount),
        )  # fmt: skip


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing: the venue it asks is in this process.

    Raises:
        OpenMMError: it waits.
    """
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    work.close()
    raise OpenMMError(f"{work!r} waits: in virtual time nothing would ever come")
