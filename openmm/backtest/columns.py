"""Run a bot's hot path over stored markets: no bytes, no slow path, millions of events a second.

The compiled pipeline is the one that trades, wired from the bot's file as for trading. What a
session has beside it is reduced to what the pipeline reads: balances, the slow path's timer, fills
of the last minute, the drawdown limit. `runs` runs the whole engine instead, ledger and all, some
hundred times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from openmm._fast.backtest import Backtest, BacktestFill, BacktestStay
from openmm._fast.book import Book, BookState
from openmm._fast.changes import ChangeLog
from openmm._fast.checks import RiskState
from openmm._fast.ports import Decoder
from openmm._fast.queue_venue import Link, Outlet, OutletTransport, QueueVenue
from openmm._fast.tape import Tape
from openmm.backtest.guard import Guard
from openmm.backtest.model import QUEUES, Model
from openmm.backtest.steps import in_base, in_steps_of, opening, speaker
from openmm.config import BotConfig, Venue, check_with_instrument, maker_fee_ppm, taker_fee_ppm
from openmm.config.load import read_options
from openmm.data.events import TRADE, Events, Market, from_rows, late_trades, sealed
from openmm.engine import wiring
from openmm.engine.failures import FAILURES_IN_A_ROW
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.rerun.listed import as_listed, in_steps_of_data, listed, refuse_contracts
from openmm.rerun.runs import OUTSIDE_LEVELS, placed_in
from openmm.rerun.streams import Stream
from openmm.sim.dialects import dialect, paper_threshold
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy
from openmm.venues import registry

EVENTS_AT_ONCE: Final = 1_000_000
WORTH_MAX: Final = 1 << 61  # ticklots of an account: its worth may double and is a number still
TAPE_BYTES: Final = 1 << 16
TIME_NS_MAX: Final = 1 << 62
FILL_FIELDS: Final = BacktestFill._fields
ORDER_FIELDS: Final = BacktestStay._fields
MARK_FIELDS: Final = (
    "told_ns", "equity_ticklots", "base_lots", "reference_uticks", "live_count", "exit_ticklots",
)  # fmt: skip

Progress = Callable[[int], None]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of a run. Prices in ticks or uticks, quantities in lots, money in ticklots, ns.

    Args:
        instrument: the quoted one; its steps are those of all that follows.
        markets: labels of the data, the quoted one first.
        left_out: venues of the bot's file that the data does not hold.
        started_ns, ended_ns: first and last receive time.
        fills: int64[n, 14], one row an execution: `BacktestFill`'s fields.
        marks: int64[n, 6], one row a second: `MARK_FIELDS`; the last is what it would have cost
            beyond the reference to trade what is held beyond the opening through the book of then,
            without fee.
        orders: int64[n, 11], one row a stay of an order at a price: `BacktestStay`'s fields.
        opening: base in lots and quote in ticklots at the beginning.
        closing: the same at the end, every order cancelled.
        fees_ticklots: paid in all, in quote, those in base at the price of their fill; negative:
            received.
        base_fees_lots: what of them was charged in base.
        closing_uticks: the reference at the end; 0: there was none.
        closing_spread_ticks: of the quoted book then; 0: it was not whole.
        closing_exit_ticklots: as of a mark.
        quoting_ns: when quoting began: the quoted book was whole; 0: with the first event.
        taker_fee_ppm: what taking would have cost.
        crossed: messages after which a book was not whole.
        halted: at the end.
        halts: when it halted and when that ended, in turn.
        problems: moves of the risk state and what else a person would have been told.
        open_orders: that are left though everything was cancelled: none, unless delays are long.
    """

    bot: str
    model: Model
    instrument: Instrument
    markets: tuple[str, ...]
    left_out: tuple[str, ...]
    started_ns: int
    ended_ns: int
    events: int
    messages: int
    fills: NDArray[np.int64]
    marks: NDArray[np.int64]
    orders: NDArray[np.int64]
    opening: tuple[int, int]
    closing: tuple[int, int]
    fees_ticklots: int
    placed: int
    amended: int
    cancelled: int
    refused: int
    batches: int
    decisions: int
    crossed: int
    open_orders: int
    halted: bool
    problems: tuple[str, ...] = ()
    base_fees_lots: int = 0
    closing_uticks: int = 0
    closing_spread_ticks: int = 0
    closing_exit_ticklots: int = 0
    quoting_ns: int = 0
    taker_fee_ppm: int = 0
    halts: tuple[int, ...] = ()


@final
class _Columns:
    """Events of a store: there is no decoder to ask."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.label = events.market.label
        self.steps = events.market.tick_size, events.market.lot_size
        self.contract_size = events.market.contract_size
        self.started_ns = int(events.recv_ns[0]) if len(events) else 0
        self.ended_ns = int(events.recv_ns[-1]) if len(events) else 0

    def is_of(self, venue: Venue) -> bool:
        return is_of(venue, self.events)

    def listed(self, venue: str, own: str) -> Instrument | None:
        return listed(speaker(venue, self.events.market), self.events.market.pair, own)

    def instrument(self, venue: str, own: str = "") -> Instrument:
        return in_base(instrument_of(venue, self.events, own), self.events)

    def opening(self, instrument: Instrument) -> tuple[int, int]:
        return opening(in_steps_of(instrument, self.events))

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> Decoder:
        return Decoder()

    def add_to(
        self, made: Backtest, instrument: Instrument, model: Model, *, quoted: bool
    ) -> None:  # fmt: skip
        one = in_steps_of(instrument, self.events)
        if len(one) and not 0 <= one.recv_ns[0] <= one.recv_ns[-1] <= TIME_NS_MAX:
            raise ConfigError(
                "data", f"{self.label}, received {one.recv_ns[0]} to {one.recv_ns[-1]}",
                f"receive times of 0 to {TIME_NS_MAX} ns",
            )  # fmt: skip
        columns = (one.recv_ns, one.venue_ns, one.price_ticks, one.qty_lots, one.flags)
        if model.as_received or not quoted:
            made.add(*columns)
            return
        late = late_trades(self.events)  # places, the same in any steps
        made.add(*columns, late.at, late.trade, late.skip)


@final
class _Messages:
    """Messages as they came, through the decoders that trade."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.label = stream.label
        told = stream.told
        self.steps = Decimal(1).scaleb(-told.price_decimals), Decimal(1).scaleb(-told.qty_decimals)
        self.contract_size = stream.contract_size
        self.started_ns = stream.records[0].recv_ns if stream.records else 0
        self.ended_ns = stream.records[-1].recv_ns if stream.records else 0
        self.instrument = stream.instrument
        self.opening = stream.opening
        self.market_decoder = stream.market_decoder

    def is_of(self, venue: Venue) -> bool:
        return is_of(venue, self._stream)

    def listed(self, venue: str, own: str) -> Instrument | None:
        return listed(dialect(venue), self._stream.pair, own)

    def add_to(
        self, made: Backtest, instrument: Instrument, model: Model, *, quoted: bool
    ) -> None:  # fmt: skip
        frames = self._stream.frames()
        if model.as_received or not quoted:
            made.add_frames(frames)
            return
        # Read once beforehand: that a trade is late follows from what comes after its book.
        events, ends = _decoded(self._stream, instrument)
        late = late_trades(events)
        trades = np.flatnonzero(events.kinds == TRADE)
        made.add_frames(
            frames, events.price_ticks[trades], events.qty_lots[trades], events.flags[trades],
            np.searchsorted(ends, late.at, side="right"), np.searchsorted(trades, late.trade),
            np.searchsorted(trades, late.skip),
        )  # fmt: skip


_Market = _Columns | _Messages


def events_of(stream: Stream) -> Events:
    """Put a stream through its decoder into columns, in the steps that a venue lists it in."""
    return _decoded(stream, stream.instrument(stream.venue))[0]


def _decoded(stream: Stream, instrument: Instrument) -> tuple[Events, NDArray[np.int64]]:
    """Return a stream's events, and int64[messages], how many there are when each is read."""
    book = Book(outside_levels=OUTSIDE_LEVELS)
    log = ChangeLog(book)
    decoder = stream.market_decoder(instrument, book, depth=0, verify=True)
    decoder.set_sink(log)
    ends = np.empty(len(stream.records), np.int64)
    for at, one in enumerate(stream.records):
        log.decode(decoder, one.data, one.recv_ns)
        ends[at] = len(log)
    market = Market(stream.venue, stream.pair, instrument.tick_size, instrument.lot_size)
    return sealed(from_rows(market, log.take()))[0], ends


def instrument_of(venue: str, events: Events, own: str = "") -> Instrument:
    """Return a market's pair as a venue would list it, lots of contracts where it counts in them.

    Its ticks are the coarser ones of both, its lots the finer, its minimums the venue's; what the
    venue does not list is in the store's steps.

    Args:
        own: the pair that the market stands in for; counts where it is of the same base.
    """
    market = events.market
    speaks = speaker(venue, market)
    if market.contract_size is not None:
        return in_steps_of_data(speaks, market.pair, market.tick_size, market.lot_size)
    return as_listed(speaks, market.pair, market.tick_size, market.lot_size, own)


def is_of(venue: Venue, events: Events | Stream) -> bool:
    """Whether events, or messages, are of a venue of a bot's file."""
    if isinstance(events, Stream):
        return (venue.name, venue.pair) == (events.venue, events.pair)
    market = events.market
    told = str(read_options(venue).get("market", ""))
    return (venue.name, venue.pair) == (market.venue, market.pair) and (
        not market.market or told == market.market
    )


def run(
    config: BotConfig, markets: Sequence[Events | Stream], model: Model | None = None,
    on_progress: Progress | None = None, *, start_ns: int = 0, behind: bool = False,
) -> Outcome:  # fmt: skip
    """Run one bot over recorded markets on one clock; the same arguments give the same outcome.

    The market of the bot's quoted venue is quoted, or, where the data has none of it, the first
    one, as if the venue listed it. The others are watched where the file names them.

    Args:
        markets: columns, or recordings, whose messages go through the decoders; of these
            `Outcome.events` counts the messages.
        on_progress: called with the number of events dealt with, now and then.
        start_ns: quote from this receive time on, having seen what came before; at the earliest
            from when the quoted book is whole.
        behind: what is sent leaves when the next read comes, decided on what was known before it.

    Raises:
        ConfigError: the bot does not fit the markets, or one holds no whole book.
    """
    model = model or Model()
    placed, found, left_out = _seated(config, markets)
    wired = _wire(placed, found, model, start_ns)
    made, pipeline = wired.made, wired.made.pipeline
    made.outlet.behind = behind
    while made.run(events_max=EVENTS_AT_ONCE):
        if on_progress is not None:
            on_progress(made.event_count)
    ended_ns = made.now_ns
    closing_uticks = pipeline.reference.price_uticks or 0
    closing_spread_ticks = _spread_ticks(wired.book)
    open_orders = made.finish()
    held = pipeline.inventory
    assert held.base_lots is not None, "set at the beginning"
    assert held.quote_ticklots is not None, "set at the beginning"
    return Outcome(
        bot=config.bot.name, model=model, instrument=wired.instrument,
        markets=tuple(one.label for one in found), left_out=left_out,
        started_ns=min(one.started_ns for one in found if one.started_ns), ended_ns=ended_ns,
        events=made.event_count, messages=made.message_count,
        fills=_rows(made.fills_bytes(), len(FILL_FIELDS)),
        marks=_rows(made.marks_bytes(), len(MARK_FIELDS)),
        orders=_rows(made.stays_bytes(), len(ORDER_FIELDS)), opening=wired.held,
        closing=(held.base_lots, held.quote_ticklots), fees_ticklots=made.fees,
        closing_uticks=closing_uticks, base_fees_lots=made.base_fees,
        closing_spread_ticks=closing_spread_ticks,
        closing_exit_ticklots=made.exit_ticklots(closing_uticks), quoting_ns=wired.quoting_ns,
        taker_fee_ppm=wired.taker_fee_ppm,
        placed=pipeline.placed_count, amended=pipeline.amended_count,
        cancelled=pipeline.cancel_count, refused=made.refused_count,
        batches=made.outlet.batch_count, decisions=pipeline.decision_count,
        crossed=made.crossed_count, open_orders=open_orders, halted=wired.guard.halted,
        halts=tuple(wired.guard.halts), problems=(*_problems(wired.guard, made), *wired.notes),
    )  # fmt: skip


def prepare(config: BotConfig, markets: Sequence[Events | Stream], model: Model) -> Backtest:
    """Return what `run` runs, ready to: for who counts or times the run alone.

    Raises:
        ConfigError: as `run`.
    """
    placed, found, _ = _seated(config, markets)
    return _wire(placed, found, model).made


def _seated(
    config: BotConfig, markets: Sequence[Events | Stream]
) -> tuple[BotConfig, list[_Market], tuple[str, ...]]:
    """Return the file with the venues that the data holds, and their markets in the same order."""
    if not markets:
        raise ConfigError("data", "nothing", "the events of one market at least")
    if config.hedge is not None:
        raise ConfigError("hedge", config.hedge.venue, "left out: nothing is hedged in a backtest")
    free: list[_Market] = [
        _Messages(one) if isinstance(one, Stream) else _Columns(one) for one in markets
    ]
    first = free[0]
    seats: dict[str, _Market] = {}
    for venue in config.venue:
        for one in free:
            if one.is_of(venue):
                seats[venue.label] = one
                free.remove(one)
                break
    quoted = config.quoted
    if quoted.label not in seats:
        if first not in free:
            raise ConfigError(
                "data", first.label,
                f"the market of {quoted.label} first: it is quoted; this one is watched",
            )  # fmt: skip
        seats[quoted.label] = first
    refuse_contracts(seats[quoted.label].label, seats[quoted.label].contract_size)
    venues, found = [], []
    for venue in config.venue:
        if venue.label in seats:
            venues.append(venue)
            found.append(seats[venue.label])
    labels = {one.label for one in venues}
    for venue in venues:
        if venue.convert is not None and venue.convert not in labels:
            raise ConfigError(
                f"venue.{venue.label}.convert", venue.convert, "a venue whose market the data holds"
            )
    left_out = tuple(one.label for one in config.venue if one.label not in labels)
    at = venues.index(quoted)
    # The quoted one first, as the outcome tells them.
    order = [at, *(i for i in range(len(venues)) if i != at)]
    kept = config.model_copy(update={"venue": tuple(venues[i] for i in order)})
    return kept, [found[i] for i in order], left_out


@final
@dataclass(frozen=True, slots=True)
class _Wired:
    made: Backtest
    instrument: Instrument
    held: tuple[int, int]
    guard: Guard
    book: Book
    quoting_ns: int
    notes: tuple[str, ...]
    taker_fee_ppm: int


def _wire(config: BotConfig, markets: Sequence[_Market], model: Model, start_ns: int = 0) -> _Wired:
    """Make a bot's tables for a run, its account open at the strategy's target."""
    names = [one.name for one in config.venue]
    own = config.quoted.pair
    instruments = [
        one.instrument(name, "" if at else own)
        for at, (name, one) in enumerate(zip(names, markets, strict=True))
    ]
    instrument = instruments[0]
    whole_ns, mid_ticks = markets[0].opening(instrument)
    placed = _placed(config, instrument, mid_ticks)
    _refuse_other_times(model, markets[0])
    outlet = Outlet(Link(model.orders_ns, model.seed, model.orders_from_ns))
    answers = Link(model.answers_ns, model.seed, model.answers_from_ns)
    trading = registry.connector(placed.quoted, None)
    tables = wiring.make_tables(
        placed, instruments, markets, trading, mid_ticks=mid_ticks,
        tape=Tape(None, size_bytes=TAPE_BYTES, follow=False), encoder=outlet,
        transport=OutletTransport(), outside_levels=OUTSIDE_LEVELS,
    )  # fmt: skip
    threshold = model.rate_threshold or paper_threshold(placed.quoted.name)
    if threshold is not None:
        tables.pipeline.checks.budget.set_threshold(*trading.tier(threshold))
    guard = Guard(placed, tables)
    unit = instrument.tick_size * instrument.lot_size
    # The account counts in atoms of an order's cost; finer ones could hold nothing more.
    decimals = min(instrument.quote_decimals, instrument.price_decimals + instrument.qty_decimals)
    atoms = unit.scaleb(decimals)
    received = dialect(placed.quoted.name).fee_in_received
    lot_atoms = int(instrument.lot_size.scaleb(instrument.base_decimals)) if received else 0
    venue = QueueVenue(
        tables.feeds[0].book, answers, QUEUES[model.queue], model.power, model.impact_ns
    )
    maker, taker = maker_fee_ppm(placed, instrument), taker_fee_ppm(placed, instrument)
    assert maker is not None, "a file without fees is refused"
    assert taker is not None, "a file without fees is refused"
    made = Backtest(
        tables.pipeline, tables.feeds, venue, outlet, every_ns=model.every_ns,
        timer_ns=model.timer_ns, maker_fee_ppm=maker, taker_fee_ppm=taker,
        atoms=atoms.as_integer_ratio(), lot_atoms=lot_atoms, guard=guard,
    )  # fmt: skip
    for at, (one, steps) in enumerate(zip(markets, instruments, strict=True)):
        one.add_to(made, steps, model, quoted=at == 0)
    held = instrument.floor_lots(placed.paper.base), int(placed.paper.quote / unit)
    if held[0] * mid_ticks + held[1] > WORTH_MAX:
        told = f"base {config.paper.base}, quote {config.paper.quote}"
        most = format(WORTH_MAX * unit, ",.0f")
        raise ConfigError("paper", told, f"an account worth at most {most} {instrument.quote}")
    pipeline = tables.pipeline
    pipeline.inventory.set_balances(*held)
    pipeline.set_inputs(
        risk_state=RiskState.RUNNING, stream_live=True, instrument_online=True,
        clock_offset_ns=0, fills_last_minute=0, drawdown_breached=False,
    )  # fmt: skip
    # The book that makes it whole is seen, and nothing that comes at a later beginning.
    made.warm(max(whole_ns + 1, start_ns))
    quoting_ns = max(whole_ns, start_ns)
    made.start(quoting_ns)
    notes = _steps_told(names[0], own, markets[0], instrument)
    return _Wired(made, instrument, held, guard, tables.feeds[0].book, quoting_ns, notes, taker)


def _refuse_other_times(model: Model, market: _Market) -> None:
    """Refuse delays that were all measured at another time than the data's."""
    for moments in (model.orders_from_ns, model.answers_from_ns):
        if moments and not (moments[0] <= market.ended_ns and market.started_ns <= moments[-1]):
            raise ConfigError(
                "model", f"delays of messages from {moments[0]} to {moments[-1]}",
                f"data of that time, not {market.started_ns} to {market.ended_ns}; or delays to "
                "draw from, as openmm drift --fit writes them without --each",
            )  # fmt: skip


def _spread_ticks(book: Book) -> int:
    bid, ask = book.best_bid_ticks, book.best_ask_ticks
    if book.state != BookState.BOOK_VERIFIED or bid is None or ask is None:
        return 0
    return ask - bid


def _placed(config: BotConfig, instrument: Instrument, mid_ticks: int) -> BotConfig:
    """Return the file as it is run: the account opens at the target, no group beside it."""
    alone = placed_in(config, instrument, mid_ticks)
    inventory = config.inventory.model_copy(update={"group": None})
    venues = alone.venue
    if len(config.venue) > 1:
        # Several markets: each with its weight, as the file has them.
        venues = (config.quoted.model_copy(update={"quote": instrument.name}), *config.venue[1:])
    placed = alone.model_copy(update={"venue": venues, "inventory": inventory})
    check_with_instrument(placed, instrument, instrument.price(mid_ticks))
    return placed


def _steps_told(venue: str, own: str, market: _Market, instrument: Instrument) -> tuple[str, ...]:
    """Say in which steps orders stand, where they are not the venue's, or the data's."""
    known = market.listed(venue, own)
    tick, lot = market.steps
    if known is None:
        return (f"{venue} lists no such pair: ticks of {tick}, lots of {lot}, both the data's",)
    told = []
    mine = instrument.tick_size
    if mine > tick:
        told.append(f"ticks are {venue}'s {mine:f}: bids were taken down to them, asks up")
    elif mine != known.tick_size:
        told.append(f"ticks are the data's {mine:f}, {venue}'s are {known.tick_size:f}")
    if instrument.lot_size != known.lot_size:
        told.append(f"lots are the data's {lot:f}, {venue}'s are {known.lot_size:f}")
    return tuple(told)


def _problems(guard: Guard, made: Backtest) -> tuple[str, ...]:
    pipeline = made.pipeline
    told = [
        f"risk {one.before.name} -> {one.after.name}: {one.reason}: {one.detail}"
        for _, one in guard.changes
    ]
    if guard.change_count > len(guard.changes):
        told.append(f"and {guard.change_count - len(guard.changes)} more moves of the risk state")
    if not pipeline.placed_count:
        # A row of zeros would look like a bot that nobody traded with.
        refused = ", ".join(one.name for one in pipeline.checks.refusals())
        told.append(f"nothing was quoted: {refused or 'the strategy wanted nothing'}")
    strategy = pipeline.strategy
    if isinstance(strategy, PythonStrategy | FencedStrategy) and (
        failed := strategy.take_failures()
    ):
        told.append(
            f"the strategy failed {failed.count:,} times, at the end {failed.row:,} in a row, the "
            f"last: {failed.text}; a session halts after {FAILURES_IN_A_ROW} in a row"
        )
    if forgotten := made.venue.forgotten_count:
        told.append(f"{forgotten} levels that were taken from counted as whole again: too many")
    return (*told, *guard.notes)


def _rows(data: bytes, fields: int) -> NDArray[Any]:
    return np.frombuffer(data, np.int64).reshape(-1, fields)
