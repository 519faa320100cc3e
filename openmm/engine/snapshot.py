"""Collect what the telemetry page shows; reads the tables, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from openmm._fast.book import BookState
from openmm._fast.checks import Checks, Reason
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderView
from openmm._fast.units import BookSide, Side
from openmm.config import BotConfig
from openmm.engine.step import Step
from openmm.engine.wiring import Tables
from openmm.instrument import Instrument
from openmm.telemetry import (
    BOOK_LEVELS_MAX,
    LEVELS_MAX,
    MISSING,
    BookLevel,
    Counters,
    OwnLevel,
    StagePage,
    TelemetrySnapshot,
    VenuePage,
)


def take(
    config: BotConfig, session_id: str, started_ns: int, step: Step, tables: Tables,
    instruments: Sequence[Instrument], now_ns: int, message: str = "",
) -> TelemetrySnapshot:  # fmt: skip
    """Return the state as of `now_ns`; `instruments` are those of the feeds."""
    pipeline, instrument = tables.pipeline, tables.instrument
    inventory, monitor, signals = pipeline.inventory, tables.monitor, pipeline.feed.signals
    parts = pipeline.ladder_parts()
    budget = pipeline.checks.budget
    counters = step.counters
    reference = pipeline.reference.price_uticks
    refusals = _refusals(pipeline.checks)
    bids, asks = _own_levels(pipeline.table.live())
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
        skew_uticks=parts["skew_uticks"],
        half_uticks=parts["half_uticks"],
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
        equity_start_ticklots=monitor.equity_start or 0,
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
        ),
        venues=_venues(config, tables, instruments, now_ns),
        own_bids=bids,
        own_asks=asks,
        book_bids=_book(tables, BookSide.BID) if verified else (),
        book_asks=_book(tables, BookSide.ASK) if verified else (),
        fills=tuple(step.recent_fills),
        stages=_stages(tables),
        refusals=refusals,
    )


def _refusals(checks: Checks) -> tuple[int, ...]:
    by_reason = checks.refusals()
    return tuple(by_reason.get(reason, 0) for reason in Reason if reason is not Reason.REASON_COUNT)


def _known(value: int | None) -> int:
    return MISSING if value is None else value


def _venues(
    config: BotConfig, tables: Tables, instruments: Sequence[Instrument], now_ns: int
) -> tuple[VenuePage, ...]:
    pages = []
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
            )
        )
    return tuple(pages)


def _own_levels(orders: Sequence[OrderView]) -> tuple[tuple[OwnLevel, ...], tuple[OwnLevel, ...]]:
    sides: dict[int, list[OwnLevel]] = {int(Side.BUY): [], int(Side.SELL): []}
    for order in orders:
        sides[order.side].append(
            OwnLevel(order.price_ticks, order.qty_lots, order.filled_lots, int(order.state))
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
            )
        )
    return tuple(pages)
