"""Run a bot over a stream and say what it came to.

The account of it is the ledger's, as of any session: the records go through the same booking into a
store, and the figures are the report's. What is added here is what a comparison asks for beside:
the position's range, the deepest fall of the P&L, messages and actions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from openmm._fast.book import BookState
from openmm._fast.checks import Reason
from openmm._fast.tape import Tape, TapeReader
from openmm._fast.units import UTICKS_PER_TICK
from openmm.config import BotConfig, check_with_instrument
from openmm.errors import OpenMMError
from openmm.events import OrderFilled
from openmm.instrument import Instrument
from openmm.rerun.engine import TICK_NS, TOKEN_NS, Rerun
from openmm.rerun.listed import refuse_contracts
from openmm.rerun.streams import Stream
from openmm.settlement.booking import Booker
from openmm.settlement.report import Report, load_report
from openmm.settlement.series import Series, load_series
from openmm.settlement.store import Store

TAPE_BYTES: Final = 1 << 24
OUTSIDE_LEVELS: Final = 1 << 15
STOPPED: Final = Reason.STATE.name  # every bot is refused that at its end
READ_EVERY_BYTES: Final = TAPE_BYTES // 4
READ_RECORDS: Final = 65_536
COMMIT_RECORDS: Final = 100_000

Progress = Callable[[int], None]


@final
@dataclass(slots=True)
class Extremes:
    """What the position and the P&L went through: quote and base in whole units.

    `drawdown`: the deepest fall of the P&L after fees, marked at the reference each time the timer
    fired, from its highest so far, the start included.
    """

    drawdown: Decimal = Decimal(0)
    least: Decimal = Decimal(0)
    greatest: Decimal = Decimal(0)


@final
@dataclass(frozen=True, slots=True)
class Messages:
    """What left for the venue: frames, and the order actions in them; one may carry several."""

    frames: int
    placed: int
    amended: int
    cancelled: int

    @property
    def actions(self) -> int:
        """Return every order placed, amended or cancelled."""
        return self.placed + self.amended + self.cancelled


@final
@dataclass(frozen=True, slots=True)
class Result:
    """What a bot made of a stream. The report's definitions: docs/report.md."""

    bot: str
    strategy: str
    stream: str
    about: str
    events: int
    latency_ns: int
    report: Report
    series: Series
    extremes: Extremes
    messages: Messages
    quoted_ns: int  # from when on it quoted
    problems: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain values, amounts as exact text."""
        report = self.report.to_json()
        kept = (
            "pnl", "by_cause", "volume", "spread_captured", "fill_rate", "time_at_touch", "uptime",
            "observed_s", "orders", "refusals", "books", "risk_events",
        )  # fmt: skip
        one, made = self.messages, self.extremes
        return {
            "bot": self.bot, "strategy": self.strategy, "stream": self.stream,
            "about": self.about, "events": self.events, "latency_ns": self.latency_ns,
            "messages": {
                "frames": one.frames, "actions": one.actions, "placed": one.placed,
                "amended": one.amended, "cancelled": one.cancelled,
            },
            "inventory": {
                "least": format(made.least, "f"), "greatest": format(made.greatest, "f"),
            },
            "drawdown": format(made.drawdown, "f"), "problems": list(self.problems),
            **{name: report[name] for name in kept},
        }  # fmt: skip


def placed_in(config: BotConfig, instrument: Instrument, mid_ticks: int) -> BotConfig:
    """Return a bot's configuration with one market in it: the stream's pair at its own venue.

    What else it watches is not in the stream: its reference is this market's own mid. The account
    opens with what `[paper]` is worth there, at the strategy's target: one that has to trade its
    way to the target first would be compared by that.
    """
    venue = config.quoted.model_copy(
        update={"quote": instrument.name, "weight": Decimal(1), "convert": None}
    )
    bot = config.bot.model_copy(update={"mode": "paper"})
    mid = instrument.price(mid_ticks)
    worth = config.paper.base * mid + config.paper.quote
    share = Decimal(config.strategy.target_base_ppm).scaleb(-6)
    base = instrument.qty(instrument.floor_lots(worth * share / mid))
    # Whole steps of the price: every venue tells a balance that fine.
    quote = (worth - base * mid) // instrument.tick_size * instrument.tick_size
    paper = config.paper.model_copy(update={"base": base, "quote": quote})
    placed = config.model_copy(update={"venue": (venue,), "bot": bot, "paper": paper})
    check_with_instrument(placed, instrument, mid)
    return placed


@final
class Books:
    """Book what a rerun puts on its tape."""

    def __init__(self, folder: Path, session_id: str, size_bytes: int = TAPE_BYTES) -> None:
        path = folder / "tape"
        self.session_id = session_id
        self.url = f"sqlite:///{folder / 'store.sqlite'}"
        self.tape = Tape(path, size_bytes=size_bytes, session_id=session_id)
        self._reader = TapeReader(path)
        self._reader.attach()
        self._store = Store(self.url)
        self._booker = Booker(self._store, session_id)
        self._uncommitted = 0

    def read(self, *, force: bool = False) -> None:
        """Take what is on the tape, once it is worth it.

        Raises:
            OpenMMError: it was full in between, and records are lost.
        """
        if not force and self.tape.unread_bytes < READ_EVERY_BYTES:
            return
        while chunk := self._reader.read(READ_RECORDS):
            self._booker.apply(chunk)
            self._uncommitted += len(chunk)
        if self.tape.lost_count:
            raise OpenMMError(f"the tape was full: {self.tape.lost_count} records are lost")
        if force or self._uncommitted >= COMMIT_RECORDS:
            self._booker.commit()
            self._uncommitted = 0

    def report(self) -> Report:
        """Return what was booked so far."""
        self.read(force=True)
        return load_report(self.url, self.session_id)

    def series(self) -> Series:
        """Return what plots show of it."""
        return load_series(self.url, self.session_id)

    def close(self) -> None:
        """Let the files go."""
        self._store.close()
        self.tape.close()


@final
class Watch:
    """Follow position and P&L of a rerun from timer to timer."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._opening: tuple[int, int] | None = None
        self._peak_ticklots = 0
        self._drawdown_ticklots = 0
        self._least_lots = self._greatest_lots = 0

    def look(self, rerun: Rerun) -> None:
        """Take in how it stands."""
        pipeline = rerun.tables.pipeline
        base_lots, quote_ticklots = (
            pipeline.inventory.base_lots, pipeline.inventory.quote_ticklots
        )  # fmt: skip
        if base_lots is None or quote_ticklots is None:
            return
        if self._opening is None:
            self._opening = base_lots, quote_ticklots
        held_lots = base_lots - self._opening[0]
        self._least_lots = min(self._least_lots, held_lots)
        self._greatest_lots = max(self._greatest_lots, held_lots)
        uticks = pipeline.reference.price_uticks
        if uticks is None:
            return
        pnl = held_lots * uticks // UTICKS_PER_TICK + quote_ticklots - self._opening[1]
        self._peak_ticklots = max(self._peak_ticklots, pnl)
        self._drawdown_ticklots = max(self._drawdown_ticklots, self._peak_ticklots - pnl)

    def extremes(self) -> Extremes:
        """Return what was seen."""
        one = self._instrument
        unit = one.tick_size * one.lot_size
        return Extremes(
            self._drawdown_ticklots * unit, one.qty(self._least_lots), one.qty(self._greatest_lots)
        )


def run(
    config: BotConfig, stream: Stream, on_progress: Progress | None = None,
    on_fill: Callable[[OrderFilled], None] | None = None,
) -> Result:  # fmt: skip
    """Run one bot over one stream; the same arguments give the same figures.

    Args:
        on_progress: called with the number of events dealt with, now and then.
        on_fill: called with each fill of ours as it is booked.

    Raises:
        ConfigError: the bot does not fit the stream's market.
        OpenMMError: it never became ready, or the session did not add up.
    """
    refuse_contracts(stream.label, stream.contract_size)
    instrument = stream.instrument(config.quoted.name, config.quoted.pair)
    started_ns, mid_ticks = stream.opening(instrument)
    placed = placed_in(config, instrument, mid_ticks)
    with tempfile.TemporaryDirectory(prefix="openmm-run-") as folder:
        books = Books(Path(folder), f"{config.bot.name}-run")
        try:
            rerun = Rerun(
                placed, [instrument], [stream], books.tape, session_id=books.session_id,
                started_ns=started_ns, mid_ticks=mid_ticks, outside_levels=OUTSIDE_LEVELS,
            )  # fmt: skip
            rerun.step.on_booked = on_fill
            watch = Watch(instrument)
            quoted_ns, now_ns = _play(rerun, stream, books, watch, on_progress)
            rerun.close(now_ns, "the stream is over")
            watch.look(rerun)
            return _result(config, stream, rerun, books, watch, quoted_ns)
        finally:
            books.close()


def _play(
    rerun: Rerun, stream: Stream, books: Books, watch: Watch, on_progress: Progress | None
) -> tuple[int, int]:
    """Give the stream to the engine, its timers between.

    Returns:
        From when on it quoted, and the time of the last message.
    """
    records: Sequence[Any] = stream.records
    feed = rerun.tables.pipeline.feed
    every_ns = rerun.config.settlement.reconcile_every_ns
    due_ns = reconcile_ns = token_ns = quoted_ns = 0
    now_ns = rerun.started_ns
    last = len(records) - 1
    for index, record in enumerate(records):
        recv_ns = max(record.recv_ns, now_ns)
        if rerun.is_quoting:
            while due_ns <= recv_ns:
                rerun.hear_until(due_ns)
                rerun.on_timer(due_ns)
                watch.look(rerun)
                books.read()  # a gap of an hour is most of a tape
                if due_ns >= reconcile_ns:
                    rerun.reconcile(due_ns)
                    reconcile_ns += every_ns
                if due_ns >= token_ns:
                    rerun.renew_token(due_ns)
                    token_ns += TOKEN_NS
                due_ns += TICK_NS
        elif rerun.is_ready and feed.book.state is BookState.BOOK_VERIFIED:
            quoted_ns = recv_ns
            rerun.quote(recv_ns)
            watch.look(rerun)
            due_ns, reconcile_ns = recv_ns + TICK_NS, recv_ns + every_ns
            token_ns = recv_ns + TOKEN_NS
        now_ns = recv_ns
        rerun.hear_until(recv_ns)
        # What came at one moment came by one read.
        whole = index == last or records[index + 1].recv_ns > recv_ns
        rerun.on_frame(0, record.data, recv_ns, whole)
        books.read()
        if on_progress is not None and not index % 1000:
            on_progress(index)
    if not rerun.is_quoting:
        raise OpenMMError(f"{stream.name}: the book or the account were never ready")
    return quoted_ns, now_ns


def _result(
    config: BotConfig, stream: Stream, rerun: Rerun, books: Books, watch: Watch, quoted_ns: int
) -> Result:
    pipeline = rerun.tables.pipeline
    report = books.report()
    problems = list(rerun.problems)
    if not pipeline.placed_count:
        # A row of zeros would look like a bot that nobody traded with.
        told = ", ".join(one for one in report.refusals if one != STOPPED)
        problems.append(f"nothing was quoted: {told or 'the strategy wanted nothing'}")
    return Result(
        bot=config.bot.name, strategy=config.strategy.kind, stream=stream.name,
        about=stream.about, events=len(stream.records), latency_ns=config.paper.latency_ns,
        report=report, series=books.series(), extremes=watch.extremes(),
        messages=Messages(
            rerun.message_count, pipeline.placed_count, pipeline.amended_count,
            pipeline.cancel_count,
        ),
        quoted_ns=quoted_ns, problems=tuple(problems),
    )  # fmt: skip
