"""The real pipeline on the canonical workload: its time over decoding alone, instructions, memory.

`pytest bench/bench_pipeline.py` times it; `python -m bench --only bench_pipeline` measures the
gates; `python -m bench.bench_pipeline --record` writes the instruction counts of this checkout to
`bench/instructions.toml`, which the gates hold later ones against.
"""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.bench_mexc import count as count_mexc
from bench.bench_venues import gate_venues_instructions
from bench.book_streams import synthetic
from openmm._fast.book import BookState
from openmm._fast.latency import Stage, calibrate
from openmm._fast.pipeline import Frames
from openmm.testing.callgrind import Section, compiler, run_sections
from openmm.testing.canonical import CanonicalBot, frames_of, make_bot
from openmm.testing.gates import write_counts
from openmm.testing.workload import (
    MIXED,
    NARROW,
    WIDE,
    Mix,
    Workload,
    WorkloadSpec,
    make_workload,
)

HERE = Path(__file__).resolve().parent
COUNTS = HERE / "instructions.toml"
GROUP = "pipeline: 5,000 canonical frames"
NEVER_UTICKS = 1 << 50
MESSAGES = 5_000
DEPTHS = (25, 1000)  # of the books whose levels are counted
LEVELS = {"short": 2_000, "long": 10_000}

# Functions whose instructions are told per call: gate or figure -> end of the C name.
PARTS = {
    "instructions/tape_append": "4Tape_append_c",
    "instructions/grid_ladder": "12GridStrategy_quote_c",
    "instructions/check": "6Checks_approve_c",
    "instructions/plan": "7Planner_plan_c",
    "instructions/signals_and_reference": "8Pipeline_refresh_c",
}
TAPE = PARTS["instructions/tape_append"]
# Answers every request of a decision in place of a venue.
VENUE = "8Pipeline_accept_all_c"


class Market:
    """The canonical frames, fed again and again: time goes on, the snapshot comes again."""

    def __init__(self, bot: CanonicalBot, messages: int = MESSAGES, mix: Mix = MIXED) -> None:
        self.bot = bot
        self.frames: Frames = frames_of(workload(messages, mix))
        self._span_ns = messages * WorkloadSpec().spacing_ns
        self._shift_ns = 0

    def feed(self) -> int:
        """Put all frames through the pipeline, the venue taking every order; returns the writes."""
        writes = self.bot.pipeline.run(
            self.bot.feed, self.frames, accept=True, shift_ns=self._shift_ns
        )
        self._shift_ns += self._span_ns
        return writes


@cache
def workload(messages: int, mix: Mix) -> Workload:
    """Return the canonical workload of a mix."""
    return make_workload(WorkloadSpec(messages=messages, mix=mix))


def quiet_market(messages: int = MESSAGES) -> Market:
    """Return a market whose ladder is out; it re-quotes only where the book runs into it."""
    market = Market(make_bot(), messages)
    market.feed()
    assert market.bot.pipeline.table.live_count == 20
    market.bot.pipeline.set_requote_uticks(NEVER_UTICKS)
    market.feed()
    return market


@pytest.mark.benchmark(group=GROUP)
def test_decode_alone(benchmark: BenchmarkFixture) -> None:
    """Time decoder, checksum and book."""
    bot, frames = make_bot(), frames_of(workload(MESSAGES, MIXED))
    assert benchmark(bot.feed.decode, frames) == workload(MESSAGES, MIXED).book_count
    assert bot.book.state is BookState.BOOK_VERIFIED


@pytest.mark.benchmark(group=GROUP)
def test_frames_that_do_not_requote(benchmark: BenchmarkFixture) -> None:
    """Time the whole path on ticks whose ladder stays."""
    market = quiet_market()
    assert benchmark(market.feed) <= 2


@pytest.mark.benchmark(group=GROUP)
def test_canonical_frames(benchmark: BenchmarkFixture) -> None:
    """Time the whole path, one tick in thirteen re-quoting."""
    market = Market(make_bot())
    assert benchmark(market.feed) > MESSAGES // 50


def over_decode(rounds: int = 15, messages: int = MESSAGES) -> dict[str, float]:
    """Time a tick that does not re-quote over decode, checksum and apply of the same frames."""
    market, alone = quiet_market(messages), make_bot()
    pipeline = market.bot.pipeline
    alone.feed.decode(market.frames)
    before = pipeline.decision_count, pipeline.requote_count
    ratios, whole, part = [], [], []
    for _ in range(rounds):
        start = time.thread_time_ns()
        alone.feed.decode(market.frames)
        middle = time.thread_time_ns()
        market.feed()
        end = time.thread_time_ns()
        ratios.append((end - middle) / (middle - start))
        part.append((middle - start) / messages)
        whole.append((end - middle) / messages)
    decisions = pipeline.decision_count - before[0]
    requotes = pipeline.requote_count - before[1]
    assert decisions > 0.9 * rounds * messages
    # Two jumps back to the snapshot's price a round at most, and nothing else.
    assert requotes <= 2 * rounds, (requotes, rounds)
    return {
        "pipeline/not_requoting_over_decode": statistics.median(ratios),
        "pipeline/decode_ns": statistics.median(part),
        "pipeline/not_requoting_ns": statistics.median(whole),
    }


def gate_over_decode() -> dict[str, float]:
    """Measure the cost of a tick that changes no quote."""
    return over_decode()


def tick_to_order(rounds: int = 4, messages: int = MESSAGES) -> dict[str, float]:
    """Tell the in-process latency of decisions that sent orders, from listener entry to write."""
    calibrate()
    market = Market(make_bot(), messages)
    for _ in range(rounds):
        assert market.feed() > 0
    pipeline = market.bot.pipeline
    histogram = pipeline.latency.histogram(Stage.STAGE_TICK_TO_ORDER)
    assert histogram.count == pipeline.write_count
    found = {
        f"pipeline/tick_to_order_{name}_ns": float(histogram.quantile(ppm) or 0)
        for name, ppm in (("p50", 500_000), ("p99", 990_000), ("p99.9", 999_000))
    }
    return found | {
        "pipeline/orders_per_write": pipeline.sent_count / pipeline.write_count,
        "pipeline/requoting_share": pipeline.requote_count / pipeline.decision_count,
    }


def gate_tick_to_order() -> dict[str, float]:
    """Report latencies; none is gated."""
    return tick_to_order()


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def lasting(ticks: int = 1_000_000, messages: int = MESSAGES) -> dict[str, float]:
    """Count collections over so many ticks, and the growth of resident memory; a million each."""
    market = Market(make_bot(), messages)
    market.feed()
    rounds = -(-ticks // messages)
    collections = 0

    def on_gc(phase: str, _info: Mapping[str, int]) -> None:
        nonlocal collections
        collections += phase == "start"

    was_enabled = gc.isenabled()
    gc.collect()
    gc.enable()
    gc.callbacks.append(on_gc)
    try:
        before = resident_bytes()
        for _ in range(rounds):
            market.feed()
        after = resident_bytes()
    finally:
        gc.callbacks.remove(on_gc)
        if not was_enabled:
            gc.disable()
    pipeline = market.bot.pipeline
    assert pipeline.lost_record_count == 0
    assert pipeline.table.live_count == 20
    millions = rounds * messages / 1e6
    return {
        "pipeline/collections_per_million": collections / millions,
        "pipeline/growth_bytes_per_million": max(0, after - before) / millions,
        "pipeline/resident_bytes": after,
    }


def gate_lasting() -> dict[str, float]:
    """Measure a million ticks."""
    return lasting()


def count(short: int = 500, long: int = 2_500) -> dict[str, float]:
    """Count instructions, allocations and what ran inside the interpreter, under callgrind."""
    messages = 2_000 + short + long
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workloads"
        mixes = (NARROW, MIXED, WIDE)
        workloads = {mix.name: workload(messages, mix) for mix in mixes}
        streams = {
            depth: {part: synthetic(depth, levels) for part, levels in LEVELS.items()}
            for depth in DEPTHS
        }
        file.write_bytes(pickle.dumps((workloads, streams)))
        told: list[str] = []
        found = run_sections(
            HERE / "count_pipeline.py", [str(file), str(short), str(long)],
            env={"PYTHONPATH": str(HERE.parent)}, told=told,
        )  # fmt: skip
    frames = long - short

    def part(name: str) -> Section:
        return found[f"{name}/long"] - found[f"{name}/short"]

    requote, skip, watch = part("requote"), part("skip"), part("watch")
    signals = PARTS["instructions/signals_and_reference"]
    counts = dict(line.split() for line in told if line.startswith(("orders ", "level_")))
    orders = int(counts["orders"])
    # What the bench's own venue does to the table is no part of sending an order.
    sending = requote.instructions - requote.total(VENUE) - skip.instructions + skip.total(VENUE)
    values = {
        f"instructions/{depth}": part(depth).instructions / int(counts[depth])
        for depth in ("level_25", "level_1000")
    }
    values |= {
        "instructions/decode_narrow": part("decode_narrow").instructions / frames,
        "instructions/decode_wide": part("decode_wide").instructions / frames,
        "instructions/frame_not_requoting": skip.instructions / frames,
        "instructions/order_sent": sending / orders,
    }
    values |= {name: requote.each(function) for name, function in PARTS.items()}
    works = [part(name) for name in ("decode_narrow", "decode_wide", "skip", "requote", "watch")]
    return values | {
        "tape/share_of_quiet_ticks": skip.total(TAPE) / skip.instructions,
        "tape/share_of_requoting_ticks": requote.total(TAPE)
        / (requote.instructions - requote.total(VENUE)),
        "pipeline/every_signal_over_none": watch.each(signals) / requote.each(signals),
        "pipeline/allocations": float(sum(max(0, work.allocations) for work in works)),
        "pipeline/interpreter_instructions_per_frame": max(
            abs(work.interpreter) / frames for work in works
        ),
        "pipeline/instructions_over_decode": skip.instructions
        / frames
        / skip.each("13KrakenDecoder_decode_c"),
    }


def gate_instructions() -> dict[str, float]:
    """Count what the gates of `instructions.toml` ask for."""
    return count()


def main() -> None:
    """Record the counts of this checkout."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_pipeline")
    parser.add_argument("--record", action="store_true", required=True, help=f"write {COUNTS.name}")
    parser.parse_args()
    counted = count() | count_mexc() | gate_venues_instructions()
    gated = {name: value for name, value in counted.items() if name.startswith("instructions/")}
    write_counts(COUNTS, compiler(), gated)
    for name, value in counted.items():
        print(f"{name:45} {value:10.1f}")


if __name__ == "__main__":
    main()
