"""What `bench_strategies` counts under callgrind: the canonical bot with each compiled strategy.

`python bench/count_strategies.py FILE SHORT LONG`: FILE holds the pickled workload. Each kind does
SHORT frames and LONG ones; what a frame costs is the difference. Prints for each how often it
re-quoted and how many orders it sent, the long part less the short one.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from openmm._fast.intensity import Intensity
from openmm._fast.queue import Queue, QueueModel
from openmm._fast.shape import SHAPE_FIELDS
from openmm._fast.signals import Want
from openmm.strategy.avellaneda import AvellanedaStrategy
from openmm.strategy.glft import GlftStrategy
from openmm.strategy.grid import GridStrategy
from openmm.strategy.model_parameters import AvellanedaParameters, GlftParameters
from openmm.strategy.parameters import GridParameters
from openmm.testing.callgrind import section
from openmm.testing.canonical import (
    CanonicalBot,
    frames_of,
    grid_parameters,
    make_bot,
    make_planner,
)
from openmm.testing.workload import canonical_instrument

WARM: Final = 2_000
NEVER_UTICKS: Final = 1 << 50
LEVELS: Final = 10
QUEUE_TICKS: Final = 15  # half a level
LEANS: Final = {
    "flow_full_ppm": 10, "micro_weight_ppm": 200_000, "micro_cap_ppm": 10, "imbalance_full_ppm": 5,
    "ofi_full_ppm": 5, "compression_full_ppm": 10,
}  # fmt: skip
SHAPED: Final = {
    # Each level further off than the last, and larger.
    "level_offsets_ppm": tuple(level * (45 + level) for level in range(LEVELS)),
    "level_lots": tuple(1_000_000 + 50_000 * level for level in range(LEVELS)),
    "floor_ticks": 100_000, "ceiling_ticks": 10_000_000,
}  # fmt: skip
ALL_SIGNALS: Final = Want.WANT_MICRO | Want.WANT_IMBALANCE | Want.WANT_OFI


def grid() -> CanonicalBot:
    """Return the canonical bot as it is."""
    return make_bot()


def every_shape() -> CanonicalBot:
    """Return it with every feature of the grid, every signal followed, places in queues kept."""
    fields = grid_parameters().fields() | LEANS | SHAPED
    params = GridParameters(
        **fields
        | {
            "schedule": ((0, 3_600, 10, 0), (82_800, 86_399, 20, 0)), "narrow_ppm": 50,
            "refill_ns": 10**9, "ping_pong": 1, "hanging": 1, "hanging_ns_max": 3_600 * 10**9,
            "hanging_distance_ppm": 5_000,
        }
    )  # fmt: skip
    bot = make_bot(
        strategy=GridStrategy(canonical_instrument(), params),
        planner=make_planner(Queue(QUEUE_TICKS, QueueModel.QUEUE_CAUTIOUS, 1)),
    )
    bot.feed.signals.set_wanted(ALL_SIGNALS)
    bot.pipeline.set_leans(LEANS)
    return bot


def _model(make: Callable[[dict[str, Any]], GlftStrategy | AvellanedaStrategy]) -> CanonicalBot:
    """Return the bot with a model, its fit of the intensity running; as wide as the grid is."""
    plain = grid_parameters().fields() | LEANS
    shared = {name: plain[name] for name in (*SHAPE_FIELDS, *LEANS)}
    strategy = make(
        {
            "common": shared, "scale_lots": 100_000_000, "half_max_ppm": 2_000,
            "skew_full_ppm": 100, "prior_decay_ppm": 100, "half_min_ppm": 50,
        }
    )  # fmt: skip
    intensity = Intensity(sample_ns=250_000_000, half_life_ns=600 * 10**9, price_ticks=600_000)
    bot = make_bot(
        strategy=strategy, intensity=intensity,
        planner=make_planner(Queue(QUEUE_TICKS, QueueModel.QUEUE_CAUTIOUS, 1)),
    )  # fmt: skip
    bot.feed.signals.set_wanted(ALL_SIGNALS)
    bot.pipeline.set_leans(LEANS)
    return bot


def glft() -> CanonicalBot:
    """Return the bot with GLFT."""
    return _model(
        lambda told: GlftStrategy(
            canonical_instrument(), GlftParameters(**told, prior_arrival_uhz=500_000)
        )
    )


def avellaneda() -> CanonicalBot:
    """Return the bot with Avellaneda-Stoikov."""
    return _model(
        lambda told: AvellanedaStrategy(
            canonical_instrument(), AvellanedaParameters(**told, horizon_ns=300 * 10**9)
        )
    )


KINDS: Final = {"grid": grid, "every_shape": every_shape, "glft": glft, "avellaneda": avellaneda}


def main(file: str, short: int, long: int) -> None:
    """Run every kind, marked, re-quoting as it does and with its ladder left where it is."""
    frames = frames_of(pickle.loads(Path(file).read_bytes()))
    ends = (WARM, WARM + short, WARM + short + long)
    for kind, make in KINDS.items():
        for name in ("requote", "skip"):
            bot = make()
            pipeline = bot.pipeline
            pipeline.run(bot.feed, frames, 0, WARM, accept=True)
            assert pipeline.table.live_count == 2 * LEVELS, (kind, pipeline.table.live_count)
            if name == "skip":
                pipeline.set_requote_uticks(NEVER_UTICKS)
            done = []
            for part, start, stop in zip(("short", "long"), ends, ends[1:], strict=False):
                before = pipeline.requote_count, pipeline.sent_count
                with section(f"{kind}/{name}/{part}"):
                    pipeline.run(bot.feed, frames, start, stop, accept=True)
                done.append((pipeline.requote_count - before[0], pipeline.sent_count - before[1]))
            assert pipeline.lost_record_count == 0
            print(f"{kind}/{name}", *(b - a for a, b in zip(*done, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
