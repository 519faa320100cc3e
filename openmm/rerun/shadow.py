"""A second parameter set beside a running bot: the same stream, other quotes, pretended orders.

A shadow reads what the bot's writer has put into its journal and nothing else: it is a process of
its own, opens the bot's files to read only, and tells the bot nothing. What it does is a `Rerun`
over the journalled market data, at the journalled times; its orders rest in a venue in its own
process, and its connectors have no key and carry no request. What operators told the bot to do
(halt, pause, resume, flatten) is told to the shadow too; changed parameters are not.

A shadow with the parameters of a paper bot makes that bot's fills, as long as both met the messages
at the same times: a paper bot's own orders leave microseconds after the message that they answer,
a shadow's at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openmm import journal
from openmm._fast.feed import EventClock
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.config import BotConfig, Venue
from openmm.config.change import need_fit, with_strategy
from openmm.config.restore import restore
from openmm.engine.entry import read_call
from openmm.engine.replay import NoRequests
from openmm.engine.step import Step
from openmm.errors import ConfigError, JournalError
from openmm.instrument import Instrument
from openmm.journal import JournalRecord, SessionRecord
from openmm.rerun.compare import CAUSES, causes_of, print_figures, rounded, share
from openmm.rerun.engine import COMMANDS, FILL_MODEL, Rerun
from openmm.rerun.runs import Books, Extremes, Messages, Watch
from openmm.settlement.booking import Booker
from openmm.settlement.report import Report, load_report
from openmm.settlement.store import Store
from openmm.venues import registry
from openmm.venues.connector import Connector, Named

# Records that a session may put ahead of its opening balances: a start of a minute and a half.
WAITING_MAX: Final = 1_000_000
BATCH_RECORDS: Final = 4_096
CHANGED: Final = frozenset({"tune", "tighten"})
OFFERS: Final = frozenset({"adjust", "post_cost", "place_by_hand", "cancel_by_hand", "cancel_all"})


class Change(Struct, frozen=True):
    """What a shadow has other than its bot.

    Args:
        strategy: keys of `[strategy]`, without the table's name, and values as the file has them.
        instead: another bot's configuration: its `[strategy]` and `[risk]` are taken first.
        latency_ns: of orders, one way; None: the bot's `[paper] latency`.
    """

    strategy: Mapping[str, str] = {}
    instead: BotConfig | None = None
    latency_ns: int | None = None


class Side(Struct, frozen=True):
    """One side of the comparison."""

    report: Report
    messages: Messages
    extremes: Extremes | None  # of the shadow; of the bot nothing but its records is known


@final
class Shadow:
    """Follow one session's records.

    Args:
        folder: for the books of both sides; its owner removes it.
    """

    def __init__(self, folder: Path, change: Change) -> None:
        self._folder = folder
        self._change = change
        self._session: SessionRecord | None = None
        self._instruments: list[Instrument] = []
        self._waiting: list[JournalRecord] = []
        self._live: Booker | None = None
        self._live_store = Store(f"sqlite:///{folder / 'live.sqlite'}")
        self._batch: list[JournalRecord] = []
        self._books: Books | None = None
        self._rerun: Rerun | None = None
        self._watch: Watch | None = None
        self._quote_due = False
        self._now_ns = 0
        self._live_frames = 0
        self._live_actions = dict.fromkeys(ActionKind, 0)
        self._closed = False
        self.notes: list[str] = []
        self.is_over = False

    def close(self) -> None:
        """Let the books go."""
        if self._books is not None:
            self._books.close()
        self._live_store.close()

    @property
    def session_id(self) -> str:
        """The bot's session; empty before its first record."""
        return "" if self._session is None else self._session.session_id

    # ------------------------------------------------------------------ records

    def take(self, records: Iterable[JournalRecord]) -> None:
        """Take records in, in their order, from the session's first on.

        Raises:
            JournalError: they are of another build, or do not begin a session.
            ConfigError: the changed parameters do not fit the bot or its market.
        """
        for one in records:
            if self._live is None:
                if one.kind != Record.REC_SESSION:
                    raise JournalError("the journal does not begin with its session's record")
                self._session = journal.read_session(one.payload)
                self._live = Booker(self._live_store, self._session.session_id)
            self._batch.append(one)
            if len(self._batch) >= BATCH_RECORDS:
                self._book()
            self._count(one)
            if self._rerun is not None:
                self._follow(self._rerun, one)
                continue
            self._waiting.append(one)
            if len(self._waiting) > WAITING_MAX:
                raise JournalError("the session never opened its account")
            if one.kind == Record.REC_INSTRUMENT:
                self._instruments.append(journal.read_instrument(one.payload))
            elif one.kind == Record.REC_CALL and one.payload.startswith(b'["set_opening"'):
                _, args = read_call(Step, one.payload)
                self._rerun = self._begin(args[0])
                waiting, self._waiting = self._waiting, []
                for earlier in waiting:
                    self._follow(self._rerun, earlier)

    def _count(self, one: JournalRecord) -> None:
        """Count what the bot sent."""
        if one.kind == Record.REC_ORDER_BYTES:
            self._live_frames += 1
        elif one.kind == Record.REC_INTENT:
            self._live_actions[ActionKind(journal.read_intent(one.payload).action.kind)] += 1

    def _begin(self, opening: Mapping[str, Decimal]) -> Rerun:
        """Make the shadow's engine, with the balances that the bot opened with."""
        session, instruments = self._session, self._instruments
        assert session is not None, "the session's record is the first"
        try:
            live = restore(session.config)
        except ConfigError as error:
            raise JournalError(f"the journal's configuration is another build's: {error}") from None
        if len(instruments) != len(live.venue):
            raise JournalError("the journal does not tell of every venue's instrument")
        instrument = instruments[live.venue.index(live.quoted)]
        mid_ticks = int(session.seeds["mid_ticks"])
        config = self._changed(live, instrument, instrument.price(mid_ticks))
        latency_ns = self._change.latency_ns
        paper = config.paper.model_copy(
            update={
                "base": opening[instrument.base], "quote": opening[instrument.quote],
                "latency_ns": config.paper.latency_ns if latency_ns is None else latency_ns,
            }
        )  # fmt: skip
        config = config.model_copy(update={"paper": paper})
        clock = EventClock()
        clock.hold(session.started_ns)
        seeds: Mapping[str, Any] = session.seeds
        connectors = [
            _connector(venue, one, seeds["symbols"], clock)
            for venue, one in zip(config.venue, instruments, strict=True)
        ]
        books = self._books = Books(self._folder, f"{session.session_id}-shadow")
        rerun = Rerun(
            config, instruments, connectors, books.tape, session_id=books.session_id,
            started_ns=session.started_ns, mid_ticks=mid_ticks, readers=connectors,
            signals=seeds["signals"],
        )  # fmt: skip
        self._watch = Watch(instrument)
        return rerun

    def _changed(self, live: BotConfig, instrument: Instrument, mid: Decimal) -> BotConfig:
        change = self._change
        config = live
        if change.instead is not None:
            config = live.model_copy(
                update={"strategy": change.instead.strategy, "risk": change.instead.risk}
            )
        if change.strategy:
            config = with_strategy(config, config, change.strategy, instrument, mid)
        if change.instead is not None:
            # The file was checked with its own venues, which may tell other fees and minimums.
            need_fit(config, instrument, mid)
        return config

    def _follow(self, rerun: Rerun, one: JournalRecord) -> None:
        """Give one input to the shadow's engine, at its time."""
        count = len(rerun.tables.feeds)
        now_ns = self._now_ns = max(self._now_ns, rerun.started_ns, one.ts_ns)
        if one.kind == Record.REC_FRAME and one.source < count:
            rerun.on_frame(one.source, one.payload, now_ns, False)
        elif one.kind == Record.REC_BATCH_END and one.source < count:
            rerun.end_read(one.source, now_ns)
        elif one.kind == Record.REC_CALL:
            self._call(rerun, one.payload, now_ns)
        elif one.kind == Record.REC_END:
            self._finish(rerun, now_ns)
        if self._quote_due and rerun.is_ready:
            self._quote_due = False
            rerun.quote(now_ns)
        if self._books is not None:
            self._books.read()

    def _call(self, rerun: Rerun, payload: bytes, now_ns: int) -> None:
        name, args = read_call(Step, payload)
        match name:
            case "on_timer":
                rerun.tick(now_ns)
                if self._watch is not None:
                    self._watch.look(rerun)
            case "start":
                self._quote_due = True
            case "stop":
                self._quote_due = False
                rerun.stop(now_ns)
            case "market_lost":
                rerun.market_lost(args[0], now_ns)
            case "clock_told":
                rerun.tell_clock(args[0], now_ns)
            case "on_statement":
                rerun.reconcile(now_ns)
            case _ if name in COMMANDS:
                rerun.command(name, args[0], now_ns)
            case _ if name in CHANGED:
                self.notes.append(
                    f"the bot's parameters were changed at {now_ns}; the shadow's not"
                )
            case _ if name in OFFERS:
                self.notes.append(f"an operator's {name} at {now_ns} was the bot's alone")

    def _finish(self, rerun: Rerun, now_ns: int) -> None:
        """The bot's session is over: so is the shadow's."""
        if not self._closed:
            self._closed = True
            rerun.close(now_ns, "the bot's session is over")
            if self._watch is not None:
                self._watch.look(rerun)
        self.is_over = True

    def _book(self) -> None:
        assert self._live is not None, "books follow the session's record"
        self._live.apply(self._batch)
        self._live.commit()
        self._batch.clear()

    # ------------------------------------------------------------------ what it comes to

    def sides(self) -> tuple[Side, Side] | None:
        """Return the bot's figures and the shadow's over the same records; None: not open yet."""
        if self._rerun is None or self._books is None or self._watch is None:
            return None
        self._book()
        live = load_report(f"sqlite:///{self._folder / 'live.sqlite'}", self.session_id)
        pipeline = self._rerun.tables.pipeline
        sent = self._live_actions
        mine = Messages(
            self._rerun.message_count, pipeline.placed_count, pipeline.amended_count,
            pipeline.cancel_count,
        )  # fmt: skip
        theirs = Messages(
            self._live_frames, sent[ActionKind.ACTION_PLACE], sent[ActionKind.ACTION_AMEND],
            sent[ActionKind.ACTION_CANCEL],
        )  # fmt: skip
        return (
            Side(live, theirs, None),
            Side(self._books.report(), mine, self._watch.extremes()),
        )


def to_json(shadow: Shadow, sides: tuple[Side, Side]) -> dict[str, Any]:
    """Return plain values of both sides, and what their fills rest on."""
    live, made = (one.report.to_json() for one in sides)
    kept = ("pnl", "by_cause", "volume", "time_at_touch", "orders", "refusals", "fill_rate")
    told = [
        {
            **{name: report[name] for name in kept},
            "messages": {"frames": side.messages.frames, "actions": side.messages.actions},
        }
        for side, report in zip(sides, (live, made), strict=True)
    ]
    return {
        "session": shadow.session_id, "mode": live["session"]["mode"], "over": shadow.is_over,
        "seconds": live["session"]["duration_s"],
        "live": told[0], "shadow": told[1], "fill_model": FILL_MODEL, "notes": shadow.notes,
    }  # fmt: skip


def render(shadow: Shadow, sides: tuple[Side, Side], console: Console) -> None:
    """Print both sides as a table, and what their fills rest on."""
    head = sides[0].report.session
    table = Table(
        title=f"{head.session_id}: {head.duration_s:.0f} s{'' if shadow.is_over else ' so far'}; "
        f"P&L in {sides[0].report.pnl.asset}",
        title_justify="left", title_style="bold", header_style="dim", pad_edge=False,
        box=SIMPLE_HEAD,
    )  # fmt: skip
    for place, column in enumerate(("", "fills", *CAUSES, "at touch", "frames", "actions")):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    names = (f"{head.bot}, {head.mode}", "shadow, pretended")
    for name, side in zip(names, sides, strict=True):
        report, touch = side.report, side.report.time_at_touch
        table.add_row(
            name, f"{report.volume.fills:,}",
            *([rounded(value) for _, value in causes_of(report)] or ["-"] * len(CAUSES)),
            "/".join(share(touch[one].at_touch) for one in ("bid", "ask")),
            f"{side.messages.frames:,}", f"{side.messages.actions:,}",
        )  # fmt: skip
    print_figures(table, names, console)
    for one in shadow.notes:
        console.print(Text(one, "yellow"))
    console.print(Text(f"Fill model of the shadow: {FILL_MODEL}", "dim"))


def _connector(
    venue: Venue, instrument: Instrument, symbols: Mapping[str, str], clock: EventClock
) -> Connector:
    """Make what reads a venue's messages: without a key, and without a way to ask."""
    made = registry.connector(venue, None, clock=clock, round_trip=NoRequests())
    if isinstance(made, Named):
        made.recall(instrument, symbols[venue.label])
    return made
