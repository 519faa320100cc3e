"""From a configuration and the venue's facts to the compiled tables of one bot."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, final

from msgspec import Struct

from openmm import config as conf
from openmm._fast.book import Book
from openmm._fast.checks import Checks, RateBudget
from openmm._fast.feed import SocketTransport
from openmm._fast.intensity import Intensity
from openmm._fast.inventory import Inventory
from openmm._fast.latency import StageLatency
from openmm._fast.orders import OrderTable
from openmm._fast.pipeline import Feed, Pipeline
from openmm._fast.planner import Planner
from openmm._fast.ports import Encoder, Neighbours, Strategy, Transport
from openmm._fast.queue import Queue
from openmm._fast.reference import Reference
from openmm._fast.rehearsal import Rehearsal
from openmm._fast.signals import Signals
from openmm._fast.tape import Tape
from openmm._fast.units import UTICKS_PER_TICK
from openmm.config import BotConfig, Grid, Ladder, PluginStrategy
from openmm.engine.rebalance import RebalanceTerms
from openmm.engine.step import Step, StepConfig
from openmm.events import OrderFilled
from openmm.instrument import Instrument
from openmm.risk import limits as risk_limits
from openmm.risk.monitor import RiskMonitor
from openmm.strategy import compiled, plugins
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.grid import GridStrategy
from openmm.strategy.python import PythonStrategy as PythonAdapter
from openmm.strategy.quotes import Quoter
from openmm.venues.connector import Connector, MarketSide, Named

log = logging.getLogger(__name__)

# Ticks a side of the price that the ladder's window covers; prices outside it still work.
BOOK_WINDOW_TICKS = 1 << 15
BOOK_OUTSIDE_LEVELS = 2048
# Of the rehearsal's tape: its oldest records give way.
STAGE_TAPE_BYTES = 1 << 20


@final
class Tables(Struct):
    """Everything the hot path of one bot is made of."""

    instrument: Instrument
    pipeline: Pipeline
    feeds: list[Feed]
    monitor: RiskMonitor


def make_strategy(
    config: BotConfig, instrument: Instrument, tape: Tape, custom: Quoter | None = None
) -> Strategy:
    """Make the configured strategy, or wrap the caller's own.

    Args:
        tape: takes what a strategy in Python answers: it is an input, no replay can make it anew.

    Raises:
        ConfigError: the class of a `kind = "python"` strategy, or a plug-in, cannot be made.
    """
    if custom is not None:
        return PythonAdapter(instrument, custom, tape)
    if isinstance(config.strategy, Ladder):
        fields = conf.strategy_params(config, instrument)
        return compiled.make(config.strategy.kind, instrument, fields)
    if isinstance(config.strategy, PluginStrategy):
        made = plugins.make(config.strategy.name, config.strategy.params, instrument)
        if isinstance(made, Strategy):
            return FencedStrategy(instrument, made)
        return PythonAdapter(instrument, made, tape)
    told = config.strategy
    return PythonAdapter(instrument, plugins.by_path(told.class_path, told.params), tape)


def make_tables(
    config: BotConfig,
    instruments: Sequence[Instrument],
    connectors: Sequence[MarketSide],
    trading: Connector,
    *,
    mid_ticks: int,
    tape: Tape,
    encoder: Encoder,
    transport: Transport,
    custom: Quoter | None = None,
    seal: int = 1,
    outside_levels: int = BOOK_OUTSIDE_LEVELS,
    neighbours: Neighbours | None = None,
) -> Tables:
    """Build the tables of a bot.

    Args:
        outside_levels: of a book, a side, that are kept outside its window.
        instruments, connectors: one for each `config.venue`, in its order.
        trading: the connector of the traded account.
        mid_ticks: the quoted instrument's price now; distances given as a share become ticks at it.
        seal: marks the approvals of this session, not 0.
        neighbours: other bots of ours on the market; None: nobody is asked.
    """
    quoted_index = config.venue.index(config.quoted)
    instrument = instruments[quoted_index]
    reference = Reference(**conf.reference_params(config.signal))
    feeds: list[Feed] = []
    for index, venue in enumerate(config.venue):
        own = instruments[index]
        # A source's tick in the quoted instrument's: exact, as a fraction.
        num, den = (own.tick_size / instrument.tick_size).as_integer_ratio()
        own_mid_ticks = max(1, mid_ticks * den // num)
        if venue.rate is not None:
            num = den = 1  # a rate keeps its own ticks: it is no price of ours
            own_mid_ticks = max(1, round(1 / own.tick_size))
        depth_num, depth_den = (own.lot_size / instrument.lot_size).as_integer_ratio()
        reference.add_source(
            scale_num=num, scale_den=den, depth_num=depth_num, depth_den=depth_den,
            quoted=index == quoted_index and venue.blended, is_rate=not venue.blended,
            **conf.source_params(venue),
        )  # fmt: skip
        book = Book(window_ticks=BOOK_WINDOW_TICKS, outside_levels=outside_levels)
        fair = {}
        if index == quoted_index:
            fair = conf.fair_params(config, own, own_mid_ticks)
        signals = Signals(**conf.signal_params(config, own_mid_ticks, Fraction(num, den)), **fair)
        decoder = connectors[index].market_decoder(
            own, book, depth=venue.depth, verify=venue.verify_checksum
        )
        intensity = None
        if index == quoted_index and not isinstance(config.strategy, Grid):
            # A grid does not read it: it costs nothing there.
            intensity = Intensity(**conf.intensity_params(config.signal, own_mid_ticks))
        feeds.append(
            Feed(decoder, book, signals, index, quoted=index == quoted_index, intensity=intensity)
        )
    plan = conf.planner_params(config, mid_ticks)
    feeds[quoted_index].signals.set_wanted(plan["wanted"])
    labels = [venue.label for venue in config.venue]
    for index, venue in enumerate(config.venue):
        # A book without a weight is only looked at, in its own currency.
        if venue.convert is not None and venue.blended:
            rate_index = labels.index(venue.convert)
            unit_uticks = round(UTICKS_PER_TICK / instruments[rate_index].tick_size)
            # Few venues trade a currency both ways: dollars become tethers by USDT/USD too.
            inverse = instruments[rate_index].base == instrument.quote
            reference.convert(index, rate_index, unit_uticks, inverse=inverse)
    budget: RateBudget = trading.rate_budget(
        reserve=lambda threshold_milli: risk_limits.rate_reserve_milli(config, threshold_milli)
    )
    pipeline = Pipeline(
        feeds[quoted_index],
        reference,
        make_strategy(config, instrument, tape, custom),
        Planner(
            tolerance_ticks=plan["tolerance_ticks"],
            qty_tolerance_ppm=plan["qty_tolerance_ppm"],
            amend_supported=trading.capabilities.amend,
            order_age_ns_max=plan["order_age_ns_max"],
            queue=Queue(plan["queue_value_ticks"], plan["queue_model"], plan["queue_power"]),
        ),
        Checks(risk_limits.limits(config, instrument), instrument.spec(), budget, seal=seal),
        OrderTable(),
        Inventory(**conf.inventory_params(config, instrument)),
        encoder,
        transport,
        tape,
        StageLatency(),
        requote_uticks=plan["requote_uticks"],
        lag_counts=True,
        # Paper orders rest in our own venue, not in the book that the real one sends.
        own_in_book=config.bot.mode == "live",
        neighbours=neighbours,
    )
    pipeline.set_leans(plan)
    if config.hedge is not None:
        # Nothing is quoted before the hedge says how much may be.
        pipeline.checks.hedge(0, 0)
    capital = config.inventory
    if capital.capital_quote_max is not None:
        unit = instrument.tick_size * instrument.lot_size
        pipeline.inventory.cap_quote(int(capital.capital_quote_max / unit))
    if capital.group is not None:
        # Nothing is bought or sold before the group has been seen.
        pipeline.bound_base(None, None)
    elif capital.capital_base_max is not None:
        pipeline.bound_base(0, instrument.floor_lots(capital.capital_base_max))
    monitor = RiskMonitor(risk_limits.monitor_limits(config, instrument))
    return Tables(instrument, pipeline, feeds, monitor)


def restore_waits(config: BotConfig, tables: Tables, known: dict[str, dict[str, Any]]) -> None:
    """Let a fresh strategy of ours go on: its side quoted alone, and levels of a grid that wait.

    Args:
        known: as `signal.memory.go_on` tells it; what cannot be taken is taken out.
    """
    strategy = tables.pipeline.strategy
    side = known.get(config.quoted.label, {}).get("one_sided")
    if side is not None and isinstance(strategy, compiled.COMPILED):
        try:
            strategy.one_sided = side
        except (ValueError, TypeError) as error:
            log.warning("%s: both sides are quoted: %s", config.quoted.label, error)
            del known[config.quoted.label]["one_sided"]
    waits = known.get(config.quoted.label, {}).get("waits")
    if waits is None or not isinstance(strategy, GridStrategy):
        return
    try:
        strategy.waits = waits
    except (ValueError, TypeError, OverflowError) as error:
        log.warning("%s: no level waits: %s", config.quoted.label, error)
        del known[config.quoted.label]["waits"]


def symbols(
    config: BotConfig, instruments: Sequence[Instrument], connectors: Sequence[Connector]
) -> dict[str, str]:
    """Return the symbols that only the venues could tell, by label."""
    return {
        venue.label: connector.symbol(instrument)
        for venue, instrument, connector in zip(config.venue, instruments, connectors, strict=True)
        if isinstance(connector, Named)
    }


def make_step(
    config: BotConfig, tables: Tables, trading: Connector, *, watchdog: bool,
    on_booked: Callable[[OrderFilled], None] | None = None,
) -> Step:  # fmt: skip
    """Build the slow path over the tables of a bot.

    Args:
        watchdog: whether a watchdog process has to run.
        on_booked: told of each own fill, see `Step`.
    """
    rebalance = conf.rebalance_params(config, tables.instrument)
    return Step(
        tables.pipeline, tables.feeds, tables.instrument, tables.monitor, trading,
        StepConfig(
            ack_timeout_ns=config.risk.ack_timeout_ns,
            feed_age_ns_max=config.risk.max_message_age_ns,
            dead_man_ns=config.dead_man_ns if config.bot.mode == "live" else None,
            book_silence_ns=tuple(venue.max_book_silence_ns for venue in config.venue),
            watchdog=watchdog,
            alert_above_ppm=config.settlement.alert_above_ppm,
            halt_above_ppm=config.settlement.halt_above_ppm,
            group=config.inventory.group or "",
            capital_alert_after_ns=(
                None if config.inventory.group is None else config.inventory.capital_alert_after_ns
            ),
            dedicated=config.bot.mode == "live" and config.quoted.account == "dedicated",
            rates=frozenset(
                index for index, venue in enumerate(config.venue) if venue.rate is not None
            ),
            rebalance=RebalanceTerms.of(rebalance),
        ),
        on_booked,
    )  # fmt: skip


def make_rehearsal(
    config: BotConfig,
    instruments: Sequence[Instrument],
    connectors: Sequence[Connector],
    trading: Connector,
    tables: Tables,
    *,
    mid_ticks: int,
    encoder: Encoder,
) -> Rehearsal:
    """Build the tables of a bot once more, for its idle moments.

    Args:
        tables: of the bot that trades.
        encoder: of its own; what it writes goes nowhere.
    """
    inlet, transport = _loopback()
    stage = make_tables(
        config, instruments, connectors, trading, mid_ticks=mid_ticks,
        tape=Tape(None, size_bytes=STAGE_TAPE_BYTES, follow=False), encoder=encoder,
        transport=transport,
    )  # fmt: skip
    return Rehearsal(tables.pipeline, stage.pipeline, stage.feeds, inlet)


def _loopback() -> tuple[socket.socket, SocketTransport]:
    """Return a TCP socket of this process, and a transport whose bytes come out of it."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        outlet = socket.create_connection(door.getsockname())
        inlet, _ = door.accept()
    outlet.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = SocketTransport()
    transport.attach_socket(outlet)
    return inlet, transport
