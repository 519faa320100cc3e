"""Collect what the telemetry page shows; reads the tables, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from openmm._fast.book import BookState
from openmm._fast.checks import Checks, Reason
from openmm._fast.latency import Stage
from openmm._fast.orders import Lane, OrderView
from openmm._fast.units import BookSide, Side
from openmm.config import BotConfig
from openmm.engine.step import Step
from openmm.engine.wiring import Tables
from openmm.instrument import Instrument
from openmm.risk.brakes import Brake
from openmm.strategy.avellaneda import AvellanedaStrategy
from openmm.strategy.glft import GlftStrategy
from openmm.telemetry import (
    BOOK_LEVELS_MAX,
    LEVELS_MAX,
    LIMITS,
    MISSING,
    NO_MODEL,
    BookLevel,
    Counters,
    LimitPage,
    ModelPage,
    OwnLevel,
    StagePage,
    TelemetrySnapshot,
    VenuePage,
)


def take(
    config: BotConfig, session_id: str, started_ns: int, step: Step, tables: Tables,
    instruments: Sequence[Instrument], client_id: Callable[[int], str], now_ns: int,
    message: str = "",
) -> TelemetrySnapshot:  # fmt: skip
    """Return the state as of `now_ns`.

    Args:
        instruments: those of the feeds.
        client_id: names an order by its sequence.
    """
    pipeline, instrument = tables.pipeline, tables.instrument
    inventory, monitor, signals = pipeline.inventory, tables.monitor, pipeline.feed.signals
    parts = pipeline.ladder_parts()
    budget = pipeline.checks.budget
    counters = step.counters
    reference = pipeline.reference.price_uticks
    refusals = _refusals(pipeline.checks)
    bids, asks = _own_levels(pipeline.table.live(), client_id)
    verified = pipeline.feed.book.state is BookState.BOOK_VERIFIED
    return TelemetrySnapshot(
        session=session_id,
        bot=config.bot.name,
        mode=config.bot.mode,
        pid=os.getpid(),
        started_ns=started_ns,
        heartbeat_ns=now_ns,
        instrument=instrument.name,
        base=instrument.base,
        quote=instrument.quote,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        risk_state=int(monitor.state),
        risk_reason=monitor.reason,
        message=message,
        incident=step.last_incident,
        reference_uticks=_known(reference),
        confidence_ppm=pipeline.reference.confidence_ppm,
        sigma_uticks=_known(signals.sigma_uticks),
        flow_ppm=signals.flow_ppm,
        micro_ppm=signals.micro_ppm,
        imbalance_ppm=signals.imbalance_ppm,
        ofi_ppm=signals.ofi_ppm,
        skew_uticks=parts["skew_uticks"],
        half_uticks=parts["half_uticks"],
        model=_model(tables),
        base_lots=_known(inventory.base_lots),
        q_lots=inventory.q_lots or 0,
        x_ppm=inventory.x_ppm or 0,
        share_ppm=inventory.share_ppm or 0,
        target_ppm=inventory.target_ppm,
        quote_ticklots=inventory.quote_ticklots or 0,
        realised_ticklots=inventory.realised_ticklots,
        unrealised_ticklots=(0 if reference is None else inventory.unrealised_ticklots(reference)),
        fees_ticklots=inventory.fees_ticklots,
        equity_ticklots=inventory.equity_ticklots or 0,
        equity_start_ticklots=monitor.equity_first or 0,
        drawdown_ppm=monitor.drawdown_ppm or 0,
        drawdown_peak_ppm=monitor.drawdown_peak_ppm or 0,
        rate_level_milli=budget.level_at(now_ns),
        rate_threshold_milli=budget.threshold_milli,
        counters=Counters(
            placed=pipeline.placed_count,
            amended=pipeline.amended_count,
            cancelled=pipeline.cancel_count,
            filled=counters.fills,
            rejected=counters.rejected,
            unknown=pipeline.table.unknown_count,
            refused=sum(refusals),
            decisions=pipeline.decision_count,
            requotes=pipeline.requote_count,
            incidents=step.incident_count,
        ),
        captured_ticklots=step.captured_ticklots,
        open_incidents=step.reconciler.incidents.open_count,
        tape_unread_bytes=pipeline.tape.unread_bytes,
        tape_size_bytes=pipeline.tape.capacity_bytes,
        tape_lost=pipeline.tape.lost_count,
        venues=_venues(config, step, tables, instruments, now_ns),
        own_bids=bids,
        own_asks=asks,
        book_bids=_book(tables, BookSide.BID) if verified else (),
        book_asks=_book(tables, BookSide.ASK) if verified else (),
        fills=tuple(step.recent_fills),
        stages=_stages(tables),
        limits=_limits(step, tables, now_ns),
        refusals=refusals,
    )


def _model(tables: Tables) -> ModelPage:
    """Return what a model came to, and from what; nothing of another strategy."""
    strategy = tables.pipeline.strategy
    if not isinstance(strategy, GlftStrategy | AvellanedaStrategy):
        return NO_MODEL
    solved, fields = strategy.solved, strategy.params.fields()
    fit, reference = tables.pipeline.feed.intensity, tables.pipeline.reference.price_uticks or 0
    skew_uticks = solved["skew_full_uticks"]
    if not fields["risk_uticks"]:
        # Told exactly: the model has it at a reference of eight binary places.
        skew_uticks = reference * fields["skew_full_ppm"] // 1_000_000
    return ModelPage(
        risk_uticks=solved["risk_uticks"],
        order_lots=fields["order_lots"],
        skew_uticks=skew_uticks,
        half_uticks=solved["base_uticks"] + solved["risk_half_uticks"],
        sigma_uticks=solved["sigma_uticks"],
        decay_uticks=solved["decay_uticks"],
        arrival_uhz=solved["arrival_uhz"],
        fitted=int(fit is not None and fit.decay_uticks > 0),
    )


def _limits(step: Step, tables: Tables, now_ns: int) -> tuple[LimitPage, ...]:
    """Return each limit of `telemetry.LIMITS` in force, and what is used of it."""
    pipeline, monitor = tables.pipeline, tables.monitor
    checks, watched = pipeline.checks.current_limits(), monitor.limits
    live, brakes, budget = pipeline.table.live(), watched.brakes, pipeline.checks.budget
    rests = [(order.qty_lots - order.filled_lots, order.price_ticks) for order in live]
    totals, q_lots = pipeline.table.totals(), pipeline.inventory.q_lots
    offset_ns, heard_ns = step.clock_offset_ns, pipeline.feed.last_recv_ns

    def count(kind: Brake) -> int:
        return monitor.last_minute(kind, now_ns)

    values: dict[str, tuple[int | None, int | None]] = {
        "order_size": (checks["order_lots_max"], max((lots for lots, _ in rests), default=0)),
        "order_notional": (
            checks["order_ticklots_max"], max((lots * price for lots, price in rests), default=0),
        ),
        "open_notional": (
            checks["open_ticklots_max"], totals.buy_ticklots + totals.sell_ticklots,
        ),
        "inventory_long": (
            checks["inventory_lots_max"], None if q_lots is None else max(q_lots, 0),
        ),
        "inventory_short": (
            checks["inventory_lots_max"], None if q_lots is None else max(-q_lots, 0),
        ),
        "drawdown": (watched.drawdown_ppm_max, monitor.drawdown_ppm),
        "drawdown_peak": (watched.drawdown_peak_ppm_max, monitor.drawdown_peak_ppm),
        "orders": (checks["order_count_max"], len(live)),
        "message_age": (checks["message_age_ns_max"], now_ns - heard_ns if heard_ns else None),
        "clock_offset": (
            checks["clock_offset_ns_max"], None if offset_ns is None else abs(offset_ns),
        ),
        "fills_per_minute": (brakes.fills_max, count(Brake.FILLS)),
        "rejects_per_minute": (brakes.rejects_max, count(Brake.REJECTS)),
        "post_only_per_minute": (brakes.post_only_max, count(Brake.POST_ONLY)),
        "cancels_per_minute": (brakes.cancels_max, count(Brake.CANCELS)),
        "rate_budget": (budget.threshold_milli or None, budget.level_at(now_ns)),
    }  # fmt: skip
    return tuple(LimitPage(*map(_known, values[name])) for name, _ in LIMITS)


def _refusals(checks: Checks) -> tuple[int, ...]:
    by_reason = checks.refusals()
    return tuple(by_reason.get(reason, 0) for reason in Reason if reason is not Reason.REASON_COUNT)


def _known(value: int | None) -> int:
    return MISSING if value is None else value


def _venues(
    config: BotConfig, step: Step, tables: Tables, instruments: Sequence[Instrument], now_ns: int
) -> tuple[VenuePage, ...]:
    pages = []
    budget = tables.pipeline.checks.budget
    used_ppm = ack_ns = None
    if budget.threshold_milli:
        used_ppm = budget.level_at(now_ns) * 1_000_000 // budget.threshold_milli
    acks = tables.pipeline.latency.histogram(Stage.STAGE_ACK)
    if acks.count:
        ack_ns = acks.quantile(500_000)
    for venue, feed, instrument in zip(config.venue, tables.feeds, instruments, strict=True):
        mid_uticks, weight_ppm, verdict = tables.pipeline.reference.source(feed.index)
        book = feed.book
        pages.append(
            VenuePage(
                label=venue.label.encode()[:16],
                quoted=int(feed.quoted),
                book_state=int(book.state),
                best_bid_ticks=_known(book.best_bid_ticks),
                best_ask_ticks=_known(book.best_ask_ticks),
                age_ns=now_ns - feed.last_recv_ns if feed.last_recv_ns else MISSING,
                break_count=book.break_count,
                message_count=feed.frame_count,
                mid_uticks=_known(mid_uticks),
                basis_uticks=tables.pipeline.reference.basis(feed.index)[0],
                weight_ppm=weight_ppm,
                verdict=int(verdict),
                tick_points=instrument.tick_points,
                price_decimals=instrument.price_decimals,
                resync_count=step.resync_counts.get(feed.index, 0),
                broken_ns=step.broken_ns(feed, now_ns),
                break_reason=int(book.break_reason),
                clock_offset_ns=_known(step.clock_offset_ns if feed.quoted else None),
                ack_p50_ns=_known(ack_ns if feed.quoted else None),
                rate_used_ppm=_known(used_ppm if feed.quoted else None),
            )
        )
    return tuple(pages)


def _own_levels(
    orders: Sequence[OrderView], client_id: Callable[[int], str]
) -> tuple[tuple[OwnLevel, ...], tuple[OwnLevel, ...]]:
    sides: dict[int, list[OwnLevel]] = {int(Side.BUY): [], int(Side.SELL): []}
    for order in orders:
        sides[order.side].append(
            OwnLevel(
                order.price_ticks,
                order.qty_lots,
                order.filled_lots,
                int(order.state),
                int(order.level >= Lane.LANE_FLATTEN),
                order.created_ns,
                client_id(order.seq).encode(),
            )
        )
    bids = sorted(sides[int(Side.BUY)], key=lambda level: -level.price_ticks)
    asks = sorted(sides[int(Side.SELL)], key=lambda level: level.price_ticks)
    return tuple(bids[:LEVELS_MAX]), tuple(asks[:LEVELS_MAX])


def _book(tables: Tables, side: BookSide) -> tuple[BookLevel, ...]:
    levels = tables.pipeline.feed.book.levels(side, BOOK_LEVELS_MAX)
    return tuple(BookLevel(int(price), int(qty)) for price, qty in levels)


def _stages(tables: Tables) -> tuple[StagePage, ...]:
    latency = tables.pipeline.latency
    pages = []
    for stage in Stage:
        if stage is Stage.STAGE_COUNT:
            continue
        one = latency.histogram(stage)
        pages.append(
            StagePage(
                one.count,
                one.quantile(500_000) or 0,
                one.quantile(990_000) or 0,
                one.quantile(999_000) or 0,
                one.max_ns,
                one.sum_ns,
                one.cumulative(),
            )
        )
    return tuple(pages)
