"""Run a live session again as a backtest: market data, timers, commands in, its venue pretended.

Nothing that the venue said of orders is given to the engine. The venue in this process sees the
session's market data when the session's venue did, and each request and each answer takes as long
as it took there. What was never sent in the session has its delay drawn from those that were. So
orders and fills are the session's own, to the nanosecond, as long as the venue's matching is as
`FILL_MODEL` says; where it is not, the first fill that differs makes another session of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final, TypeAlias, final

from msgspec import Struct

from openmm import journal
from openmm._fast.feed import EventClock
from openmm._fast.recalled import RecalledNeighbours
from openmm._fast.tape import Record, Tape, TapeReader
from openmm.config import Ladder
from openmm.drift.own import Got, Ordered, OwnOrders, Sent, key_of
from openmm.drift.past import DOWN, Past, Progress
from openmm.engine.context import SOURCE_PRIVATE
from openmm.engine.entry import read_call
from openmm.engine.step import Step
from openmm.errors import ConfigError, JournalError
from openmm.events import Event, RequestAccepted, RequestRefused
from openmm.journal import ActionRecord, JournalRecord
from openmm.rerun.engine import Again, Rerun
from openmm.rerun.runs import TAPE_BYTES
from openmm.settlement.booking import Booker
from openmm.settlement.report import Report, load_report
from openmm.settlement.store import Store

READ_RECORDS: Final = 65_536
BATCH_RECORDS: Final = 4_096
PROGRESS_RECORDS: Final = 4_096
# What leads up to a session's first quotes: this run has its own.
OPENING: Final = frozenset({"set_opening", "recover"})
# Answers of the venue: this run's venue is asked instead.
ANSWERS: Final = frozenset(
    {"on_query", "on_open_orders", "on_history", "on_statement", "token_renewed"}
)
# Follow from answers that this run has of its own, or end a session.
LEFT_OUT: Final = frozenset({"on_named", "end", "strategy_failed", "hedge_told"})
# What the bot's owner did to the account: the venue of this run does not know of it.
MONEY: Final = frozenset({"adjust", "post_cost"})

# Of keys (`past.key_of`): news of orders, whose delay is drawn where the session has none.
OF_ORDERS: Final = frozenset({"add", "amend", "cancel", "order", "fill"})

Records: TypeAlias = Callable[[], Iterable[JournalRecord]]


class Made(Struct):
    """What a run came to. `drawn`: messages whose delay the session does not tell."""

    orders: list[Ordered] = []
    fills: list[Got] = []
    messages: int = 0
    drawn: int = 0
    problems: list[str] = []
    report: Report | None = None


@final
class Twins:
    """Tell each message of a run when the session's own of the same kind arrived.

    Args:
        sending: returns the order message that leaves now; None: it is no order.
    """

    def __init__(self, past: Past, sending: Callable[[], Sent | None]) -> None:
        self._past = past
        self._sending = sending
        self._told = {key: list(reversed(times)) for key, times in past.told.items()}
        self._sent = {(one.sent_ns, one.batch, one.place): one for one in past.sent}
        self._rng = Random("again")
        self.drawn = 0

    def sent(self, frame: bytes, now_ns: int) -> int:
        """Say when a request reaches the venue."""
        made = self._sending()
        if made is None:
            return now_ns  # not an order
        twin = self._sent.get((made.sent_ns, made.batch, made.place))
        if twin is not None and twin.arrived_ns:
            return twin.arrived_ns
        return self._draw(self._past.requests_ns, now_ns)

    def told(self, events: Sequence[Event], now_ns: int) -> tuple[int, int]:
        """Say when what the venue tells now over the private connection is received."""
        at_ns = place = 0
        ours = False
        for event in events:
            key = key_of(event)
            if key is None:
                continue
            times = self._told.get(key)
            if times:
                at_ns, place = max((at_ns, place), times.pop())
            else:
                ours = ours or key[0] in OF_ORDERS
        if at_ns >= now_ns:
            return at_ns, place
        return self._draw(self._past.answers_ns, now_ns) if ours or at_ns else now_ns, 0

    def replied(self, request: bytes, now_ns: int) -> int:
        """Say when the reply to an order over REST is received."""
        at_ns, _ = self._past.replies.get(int(request.split(b" ", 1)[0]), (0, 0))
        return at_ns if at_ns >= now_ns else self._draw(self._past.answers_ns, now_ns)

    def reply_place(self, events: Sequence[Event]) -> int:
        """Return the place of a reply among all that is received at its moment."""
        for event in events:
            if isinstance(event, RequestAccepted | RequestRefused):
                return self._past.replies.get(event.req_id, (0, 0))[1]
        return 0

    def _draw(self, delays_ns: Sequence[int], now_ns: int) -> int:
        self.drawn += 1
        return now_ns + (self._rng.choice(delays_ns) if delays_ns else 0)


@final
class Reproduction:
    """Run the session of a journal again.

    Args:
        past: what its records tell.
        records: gives them, from the first on; asked twice.
        folder: for the tape and the books; its owner removes it.

    Raises:
        JournalError: the session is of another build.
        ConfigError: the bot cannot be run again: it hedges, or its strategy is not there.
    """

    def __init__(self, past: Past, records: Records, folder: Path) -> None:
        self._past = past
        self._records = records
        self._folder = folder
        self._tape = Tape(folder / "again.tape", size_bytes=TAPE_BYTES, session_id="again")
        self._reader = TapeReader(folder / "again.tape")
        self._reader.attach()
        self._store = Store(f"sqlite:///{folder / 'again.sqlite'}")
        self.session_id = f"{past.session.session_id}-again"
        self._booker = Booker(self._store, self.session_id)
        self._batch: list[JournalRecord] = []
        self._intents: list[ActionRecord] = []
        self._place = 0
        self._leaving: deque[Sent] = deque()  # on the tape, and not yet given to the venue
        self._neighbours = RecalledNeighbours()
        self._clock = EventClock()
        self._twins = Twins(past, self._sending)
        self.made = Made()
        self._rerun = self._begin()
        self._quote_due = self._over = self._heard = False
        self._market = self._venue_market()
        self._ahead = next(self._market, None)

    def close(self) -> None:
        """Let the files go."""
        self._store.close()
        self._tape.close()

    # ------------------------------------------------------------------ begin

    def _begin(self) -> Rerun:
        past = self._past
        config, session, opening = past.config, past.session, past.opening
        instrument = past.instrument
        if past.seeds["recalled"] and isinstance(config.strategy, Ladder):
            raise ConfigError(
                "strategy", "an object of the program that ran the bot",
                "a strategy that the bot's file names: another cannot be asked again",
            )  # fmt: skip
        paper = config.paper.model_copy(
            update={
                "base": Decimal(opening[instrument.base]),
                "quote": Decimal(opening[instrument.quote]),
            }
        )  # fmt: skip
        config = config.model_copy(update={"paper": paper})
        connectors = [
            past.connector(venue, one, self._clock)
            for venue, one in zip(config.venue, past.instruments, strict=True)
        ]
        self._clock.hold(session.started_ns)
        again = Again(
            past.session_s, bool(past.seeds["watchdog"]), self._twins, OwnOrders(past),
            self._neighbours if past.seeds.get("neighbours") else None, past.cost_decimals,
        )  # fmt: skip
        return Rerun(
            config, past.instruments, connectors, self._tape, session_id=self.session_id,
            started_ns=session.started_ns, mid_ticks=int(past.seeds["mid_ticks"]),
            readers=connectors, signals=past.seeds["signals"], again=again,
        )  # fmt: skip

    def _venue_market(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield when the session's venue sent each market message; None: the connection ended."""
        past, at = self._past, 0
        for one in self._records():
            if one.source != past.quoted:
                continue
            if one.kind == Record.REC_FRAME:
                yield int(past.market_ns[at]), one.payload
                at += 1
            elif one.kind == Record.REC_CONNECTION and one.payload == DOWN:
                yield one.ts_ns, None

    # ------------------------------------------------------------------ run

    def run(self, on_progress: Progress | None = None) -> Made:
        """Run it from end to end.

        Raises:
            JournalError: the tape was full, and records are lost.
        """
        rerun, now_ns = self._rerun, self._past.session.started_ns
        count, done = len(rerun.tables.feeds), 0
        for one in self._records():
            done += 1
            if on_progress is not None and not done % PROGRESS_RECORDS:
                on_progress(done)
            if self._over:
                break
            kind = one.kind
            market = kind in (Record.REC_FRAME, Record.REC_BATCH_END) and one.source < count
            private = kind == Record.REC_FRAME and one.source == SOURCE_PRIVATE
            if not (market or private or kind in (Record.REC_CALL, Record.REC_END)):
                continue
            now_ns = max(now_ns, one.ts_ns)
            self._pass(now_ns - 1)
            self._neighbours.recall(self._past.neighbours.get(one.record_index, []))
            answered, self._heard = kind == Record.REC_CALL and not self._heard, private
            if private:
                self._pass(now_ns)
            elif kind == Record.REC_FRAME:
                rerun.on_frame(one.source, one.payload, now_ns, False)
            elif kind == Record.REC_BATCH_END:
                rerun.end_read(one.source, now_ns)
            elif kind == Record.REC_CALL:
                self._call(one, now_ns, answered)
            else:
                self._over = True
            if self._quote_due and rerun.is_ready:
                self._quote_due = False
                rerun.quote(now_ns)
            self._read()
        self._read()
        made = self.made
        made.messages, made.drawn = rerun.message_count, self._twins.drawn
        made.problems = rerun.problems
        self._book()
        made.report = load_report(f"sqlite:///{self._folder / 'again.sqlite'}", self.session_id)
        return made

    def _pass(self, until_ns: int) -> None:
        """Let the venue live, and be heard, up to a moment."""
        rerun = self._rerun
        venue = rerun.venue
        while True:
            ahead = self._ahead
            due_ns = venue.next_ns(until_ns)
            if (
                ahead is not None
                and ahead[0] <= until_ns
                and (due_ns is None or ahead[0] <= due_ns)
            ):
                at_ns, frame = ahead
                at_ns = max(at_ns, self._past.session.started_ns)
                if frame is None:
                    venue.on_public_lost()
                else:
                    venue.on_public_frame(frame, at_ns)
                    venue.live_until(at_ns)
                self._ahead = next(self._market, None)
            elif due_ns is not None and due_ns <= until_ns:
                rerun.hear(max(due_ns, rerun.clock.now_ns()))
            else:
                return

    def _call(self, one: JournalRecord, now_ns: int, asked: bool) -> None:
        """Call what the session's loop called; `asked`: not because of a private message."""
        rerun = self._rerun
        name, args = read_call(Step, one.payload)
        match name:
            case "on_events":
                switch = [
                    event for event in args[0]
                    if isinstance(event, RequestAccepted) and event.kind == "dead_man"
                ]  # fmt: skip
                if asked and switch:
                    rerun.call(name, (switch,), now_ns)
            case "start":
                self._quote_due = True
            case "stop":
                self._quote_due = False
                rerun.stop(now_ns)
            case "on_timer":
                rerun.tick(now_ns)
            case "market_lost":
                rerun.market_lost(args[0], now_ns)
            case "dead_man_sent":
                rerun.arm(args[0], now_ns)
            case "private_restored" if not rerun.is_quoting:
                pass  # `start` has it done
            case _ if name in ANSWERS:
                if rerun.is_quoting:
                    rerun.answer(name, args, now_ns)
            case _ if name in OPENING or name in LEFT_OUT:
                pass
            case _ if name in MONEY:
                self._past.notes.append(f"{name} at {now_ns} was of the session's account alone")
            case _:
                rerun.call(name, args, now_ns)

    # ------------------------------------------------------------------ what comes out

    def _sending(self) -> Sent | None:
        """Return the order message that leaves now."""
        self._read()
        return self._leaving.popleft() if self._leaving else None

    def _read(self) -> None:
        """Take what is on the tape."""
        while chunk := self._reader.read(READ_RECORDS):
            for row in chunk:
                self._take(JournalRecord._make(row))
        if self._tape.lost_count:
            raise JournalError(f"the tape was full: {self._tape.lost_count} records are lost")
        if len(self._batch) >= BATCH_RECORDS:
            self._book()

    def _take(self, one: JournalRecord) -> None:
        self._batch.append(one)
        if one.kind == Record.REC_INTENT:
            if self._place:
                self._intents, self._place = [], 0
            action = journal.read_intent(one.payload).action
            self._intents.append(action)
            self.made.orders.append(Ordered(one.ts_ns, action))
        elif one.kind == Record.REC_ORDER_BYTES:
            batch = tuple(self._intents)
            self._leaving.append(Sent(one.ts_ns, batch, self._place, batch))
            self._place += 1
        elif one.kind == Record.REC_FILL:
            told = journal.read_fill(one.payload)
            if told.seq:
                self.made.fills.append(
                    Got(
                        told.seq, told.side, told.price_ticks, told.qty_lots, told.maker,
                        told.ts_ns, one.ts_ns, told.trade_id,
                    )
                )  # fmt: skip

    def _book(self) -> None:
        self._booker.apply(self._batch)
        self._booker.commit()
        self._batch.clear()
