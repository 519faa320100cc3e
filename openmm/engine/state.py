"""Hashes over what decisions rest on, by part: two engines in the same state have the same ones.

Of the books the best levels count, and how often they changed; of orders, money and estimators
everything. Cheap enough for a timer: nothing here grows with the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from openmm._fast.pipeline import Feed, Pipeline
from openmm._fast.ports import Strategy
from openmm._fast.units import BookSide
from openmm.engine.money import Money
from openmm.risk.monitor import RiskMonitor
from openmm.strategy.avellaneda import AvellanedaStrategy
from openmm.strategy.glft import GlftStrategy
from openmm.strategy.grid import GridStrategy

LEVELS: Final = 25
DIGEST_BYTES: Final = 16


def digests(
    pipeline: Pipeline,
    feeds: Sequence[Feed],
    monitor: RiskMonitor,
    money: Money,
    counters: Mapping[str, int],
) -> dict[str, str]:
    """Return a hash for each part of a bot's state."""
    inventory, reference, budget = pipeline.inventory, pipeline.reference, pipeline.checks.budget
    parts: dict[str, object] = {
        "books": [
            (
                feed.book.state, feed.book.break_reason, feed.book.break_count, feed.book.version,
                feed.book.message_count, feed.book.recv_ns, feed.book.bid_count,
                feed.book.ask_count, feed.book.levels(BookSide.BID, LEVELS),
                feed.book.levels(BookSide.ASK, LEVELS), feed.last_recv_ns, feed.frame_count,
                feed.trade_count, feed.lag_ns, feed.through_ns,
            )
            for feed in feeds
        ],
        "signals": [sorted(feed.signals.state().items()) for feed in feeds]
        + [
            (sorted(feed.intensity.state().items()), feed.intensity.interval)
            for feed in feeds if feed.intensity is not None
        ],
        "reference": (
            reference.price_uticks, reference.fair_uticks, reference.confidence_ppm,
            [(reference.source(at), reference.basis(at)) for at in range(reference.source_count)],
        ),
        "orders": (
            pipeline.table.version, pipeline.table.live(), pipeline.table.ended(),
            pipeline.table.totals(),
        ),
        "inventory": (
            inventory.base_lots, inventory.quote_ticklots, inventory.q_lots, inventory.x_ppm,
            inventory.share_ppm, inventory.equity_ticklots, inventory.realised_ticklots,
            inventory.fees_ticklots, inventory.cost_ticklots, inventory.position_lots,
            inventory.mark_uticks,
            *((inventory.group_q_lots, inventory.group_x_ppm) if inventory.grouped else ()),
            *((pipeline.base_bounds,) if pipeline.base_bounds is not None else ()),
        ),
        "money": (
            sorted(money.expected.items()), sorted(money.balances.items()),
            sorted(money.fees.items()),
        ),
        "risk": (
            monitor.state, monitor.reason, monitor.halt_reason, monitor.equity_start,
            monitor.drawdown_ppm, monitor.drawdown_peak_ppm, monitor.limits,
            pipeline.risk_state, pipeline.stream_live, pipeline.quoting, pipeline.allow_bid,
            pipeline.allow_ask, sorted(pipeline.checks.refusals().items()),
            sorted(pipeline.checks.current_limits().items()),
        ),
        "strategy": _strategy(pipeline.strategy),
        "budget": (
            budget.level_milli, budget.threshold_milli, budget.reserve_milli,
            budget.decay_milli_per_s,
        ),
        "counters": (
            sorted(counters.items()), pipeline.decision_count, pipeline.skipped_count,
            pipeline.requote_count, pipeline.sent_count, pipeline.spared_count,
            pipeline.shut_count, pipeline.placed_count, pipeline.amended_count,
            pipeline.cancel_count, pipeline.message_count, pipeline.write_count,
            pipeline.write_failed_count,
        ),
    }  # fmt: skip
    return {name: _digest(value) for name, value in parts.items()}


def _strategy(strategy: Strategy) -> object:
    """Return what the next ladder of a strategy of ours depends on beside its view."""
    if isinstance(strategy, GridStrategy):
        return sorted(strategy.state.items()), strategy.waits
    if isinstance(strategy, GlftStrategy | AvellanedaStrategy):
        return strategy.one_sided, sorted(strategy.solved.items())
    return ()


def _digest(value: object) -> str:
    return blake2b(repr(value).encode(), digest_size=DIGEST_BYTES).hexdigest()
