"""Gate a strategy of one's own, as OpenMM gates its grid: `python examples/gate_my_strategy.py`.

The strategy takes the grid's place in the canonical bot and meets the canonical market. One gate is
a ratio of two times in one run, one a count of messages, one a count of instructions; none of them
depends on how busy the machine is.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from openmm.strategy.python import PythonStrategy, View
from openmm.strategy.quotes import Quotes
from openmm.testing import (
    CanonicalBot,
    Gate,
    WorkloadSpec,
    frames_of,
    make_bot,
    make_workload,
    run_gates,
    run_sections,
    section,
)

FRAMES = 3_000
WORKLOAD = make_workload(WorkloadSpec(messages=FRAMES))


class Joiner:
    """Two levels a side, 7.2 and 14.4 in price off the reference."""

    def quote(self, view: View) -> Quotes:
        """Return the ladder wanted now."""
        mid_ticks = view.reference_uticks // 1_000_000
        return Quotes(
            bids=[(mid_ticks - 72, 1_000_000), (mid_ticks - 144, 1_000_000)],
            asks=[(mid_ticks + 72, 1_000_000), (mid_ticks + 144, 1_000_000)],
        )


def my_bot() -> CanonicalBot:
    """Return the canonical bot with the strategy in it."""
    instrument = make_bot().instrument
    return make_bot(strategy=PythonStrategy(instrument, Joiner()))


def against_grid() -> Mapping[str, float]:
    """Time the strategy and the compiled grid in turn, and count its messages."""
    frames = frames_of(WORKLOAD)
    ratios = []
    for _ in range(7):
        took = []
        for bot in (my_bot(), make_bot()):
            start = time.thread_time_ns()
            bot.pipeline.run(bot.feed, frames, accept=True)
            took.append(time.thread_time_ns() - start)
        ratios.append(took[0] / took[1])
    mine = my_bot()
    mine.pipeline.run(mine.feed, frames, accept=True)
    assert mine.pipeline.placed_count == 4, "the strategy did not quote"
    return {
        "mine/time_over_grid": statistics.median(ratios),
        "mine/messages_per_1000_frames": mine.pipeline.message_count * 1000 / FRAMES,
    }


def instructions() -> Mapping[str, float]:
    """Count the instructions of one frame, this file's second part running under callgrind."""
    found = run_sections(Path(__file__), ["count"])
    return {"mine/instructions_per_frame": (found["long"] - found["short"]).instructions / 1_000}


def count() -> None:
    """Run the work that is counted: 500 frames, then 1,500; the difference is 1,000 frames' own."""
    bot, frames = my_bot(), frames_of(WORKLOAD)
    bot.pipeline.run(bot.feed, frames, 0, 1_000, accept=True)
    with section("short"):
        bot.pipeline.run(bot.feed, frames, 1_000, 1_500, accept=True)
    with section("long"):
        bot.pipeline.run(bot.feed, frames, 1_500, 3_000, accept=True)


# A strategy's own limits would lie in a file that `openmm.testing.load_gates` reads.
GATES = {
    gate.name: gate
    for gate in (
        Gate("mine/time_over_grid", 3.0, at_least=False, reason="Python, but no more than that"),
        Gate("mine/messages_per_1000_frames", 400, at_least=False, reason="the venue's rate limit"),
        Gate("mine/instructions_per_frame", 25_000, at_least=False, reason="our budget"),
    )
}


def main() -> int:
    """Measure, print, and exit 1 on a miss."""
    outcomes, _ = run_gates(GATES, [against_grid, instructions])
    for one in outcomes:
        print(
            f"{one.gate.name:32} <= {one.gate.limit:8,.0f}: {one.value:10,.1f}"
            f"  {'ok' if one.passed else 'MISSED'}"
        )
    return 0 if all(one.passed for one in outcomes) else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["count"]:
        count()
    else:
        sys.exit(main())
