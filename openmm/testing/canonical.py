"""The canonical bot: every kernel of the hot path, wired for the canonical workload.

10 levels a side 2.4 basis points wide, amended in place, every check on, every record on the tape.
Users put their own strategy in its place and gate it with the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from openmm._fast.book import Book
from openmm._fast.checks import Checks, RateBudget, RiskState
from openmm._fast.intensity import Intensity
from openmm._fast.inventory import Inventory
from openmm._fast.latency import StageLatency
from openmm._fast.orders import OrderTable
from openmm._fast.pipeline import Feed, Frames, Pipeline
from openmm._fast.planner import Planner
from openmm._fast.ports import Encoder, Neighbours, NullTransport, Strategy, Transport
from openmm._fast.queue import Queue
from openmm._fast.reference import Reference
from openmm._fast.signals import Signals
from openmm._fast.tape import Tape
from openmm.instrument import Instrument
from openmm.strategy.grid import GridStrategy
from openmm.strategy.parameters import GridParameters
from openmm.testing.workload import Workload, canonical_instrument
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.kraken.wire import KrakenDecoder

LEVELS = 10
REQUOTE_UTICKS = 1_000_000  # 0.1 in price
TOLERANCE_TICKS = 1


@final
@dataclass(slots=True)
class CanonicalBot:
    """A pipeline and its feed, ready to be fed."""

    instrument: Instrument
    pipeline: Pipeline
    feed: Feed
    decoder: KrakenDecoder
    book: Book


def grid_parameters(levels: int = LEVELS) -> GridParameters:
    """Return the canonical grid: 2.4 bps wide, half a basis point between levels."""
    return GridParameters(
        spread_ppm=240, order_lots=1_000_000, num_orders=levels, rebalance_threshold_ppm=300_000,
        level_step_ppm=50, rebalance_exit_ppm=150_000, skew_full_ppm=100, flow_full_ppm=10,
        vol_ppm=100_000, rest_ns=5_000_000_000, depth_ppm=10, inventory_widen_ppm=20,
        fee_floor_ppm=0, half_min_ppm=50, half_max_ppm=2_000, size_skew_ppm=500_000,
    )  # fmt: skip


def make_planner(queue: Queue | None = None) -> Planner:
    """Return the canonical planner: amends in place, a tick's tolerance, places as `queue` says."""
    return Planner(
        tolerance_ticks=TOLERANCE_TICKS,
        qty_tolerance_ppm=100_000,
        amend_supported=True,
        queue=queue,
    )


def make_bot(
    *,
    levels: int = LEVELS,
    depth: int = 25,
    verify: bool = True,
    strategy: Strategy | None = None,
    transport: Transport | None = None,
    encoder: Encoder | None = None,
    planner: Planner | None = None,
    tape: Tape | None = None,
    requote_uticks: int = REQUOTE_UTICKS,
    rate_threshold_milli: int | None = None,
    inputs_known: bool = True,
    lag_counts: bool = False,
    own_in_book: bool = True,
    intensity: Intensity | None = None,
    neighbours: Neighbours | None = None,
) -> CanonicalBot:
    """Build the canonical bot; every part can be replaced by one of the caller's.

    Args:
        requote_uticks: above any move the market makes, no tick re-quotes.
        rate_threshold_milli: threshold of a venue's rate counter at Kraken's prices; None: none.
        lag_counts: whether late news counts as old; the workload's stamps are its receive times'.
        inputs_known: whether the slow path has told the checks what they need.
        own_in_book: whether the venue's book shows our orders.
        intensity: the fit of the quoted book; None: nobody reads it.
        neighbours: other bots of ours on the market; None: nobody is asked.
    """
    instrument = canonical_instrument()
    book = Book()
    decoder = KrakenDecoder()
    decoder.bind(
        instrument.name, 0, book, instrument.tick_points, instrument.price_decimals,
        instrument.lot_points, instrument.qty_decimals, depth, verify,
    )  # fmt: skip
    feed = Feed(decoder, book, Signals(), 0, quoted=True, intensity=intensity)
    reference = Reference()
    reference.add_source(age_ns_max=60_000_000_000, spread_ppm_max=10_000)
    kraken = KrakenEncoder(
        instrument.name, instrument.tick_points, instrument.price_decimals, instrument.lot_points,
        instrument.qty_decimals, "can", "0000001",
    )  # fmt: skip
    kraken.set_token("T" * 43)
    inventory = Inventory(target_ppm=500_000, scale_lots=100_000_000)
    inventory.set_balances(200_000_000, 600_000 * 200_000_000)
    checks = Checks(
        {
            "order_lots_max": 10_000_000, "order_lots_min": 5_000,
            "order_ticklots_max": 1 << 50, "open_ticklots_max": 1 << 60,
            "inventory_lots_max": 150_000_000, "collar_ppm": 50_000, "order_count_max": 64,
            "message_age_ns_max": 5_000_000_000, "clock_offset_ns_max": 2_000_000_000,
            "base_reserve_lots": 0, "quote_reserve_ticklots": 0, "fills_per_minute_max": 1_000,
            "fee_ppm": 1_000,
        },
        instrument.spec(),
        # No counter of a venue holds this bot back: the bench measures us.
        _budget(rate_threshold_milli),
    )  # fmt: skip
    pipeline = Pipeline(
        feed, reference,
        strategy or GridStrategy(instrument, grid_parameters(levels)),
        planner or make_planner(),
        checks, OrderTable(), inventory, encoder or kraken,
        transport or NullTransport(),
        tape or Tape(None, size_bytes=1 << 22, follow=False),
        StageLatency(),
        requote_uticks=requote_uticks, lag_counts=lag_counts, own_in_book=own_in_book,
        neighbours=neighbours,
    )  # fmt: skip
    if inputs_known:
        pipeline.set_inputs(
            risk_state=RiskState.RUNNING, stream_live=True, instrument_online=True,
            clock_offset_ns=0, fills_last_minute=0, drawdown_breached=False,
        )  # fmt: skip
    pipeline.quoting = True
    return CanonicalBot(instrument, pipeline, feed, decoder, book)


def _budget(threshold_milli: int | None) -> RateBudget:
    if threshold_milli is None:
        return RateBudget(1 << 50, 0, 1_000_000, add_milli=1, batch_add_milli=1, amend_milli=1)
    return RateBudget(
        threshold_milli, threshold_milli // 5, 3_750, add_milli=1_000, batch_add_milli=500,
        amend_milli=1_000, amend_ages=[(5 * 10**9, 3_000), (10**10, 2_000), (15 * 10**9, 1_000)],
        cancel_milli=0, cancel_ages=[(5 * 10**9, 8_000), (10**10, 6_000), (15 * 10**9, 5_000)],
    )  # fmt: skip


def frames_of(workload: Workload) -> Frames:
    """Return a workload's frames in the flat form that `Pipeline.run` takes."""
    return Frames(workload.frames, workload.recv_ns)
