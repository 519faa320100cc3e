"""The benches of pipeline and start with small input: they measure what they say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench import bench_pipeline, bench_start


def test_quiet_market_keeps_its_ladder_and_sends_next_to_nothing() -> None:
    market = bench_pipeline.quiet_market(1_000)
    pipeline = market.bot.pipeline
    before = pipeline.decision_count, pipeline.skipped_count
    assert market.feed() <= 2
    decided = pipeline.decision_count - before[0]
    assert decided > 900
    assert pipeline.skipped_count - before[1] >= decided - 2
    assert pipeline.table.live_count == 20


def test_time_over_decode_is_a_ratio() -> None:
    found = bench_pipeline.over_decode(rounds=3, messages=1_000)
    assert math.isfinite(found["pipeline/not_requoting_over_decode"])
    assert found["pipeline/decode_ns"] > 0


def test_latencies_are_ordered() -> None:
    found = bench_pipeline.tick_to_order(rounds=2, messages=1_000)
    p50, p99, p999 = (
        found[f"pipeline/tick_to_order_{name}_ns"] for name in ("p50", "p99", "p99.9")
    )
    assert 0 < p50 <= p99 <= p999
    assert 10 < found["pipeline/orders_per_write"] <= 20


def test_memory_of_a_hundred_thousand_ticks_is_flat_and_no_collection_ran() -> None:
    found = bench_pipeline.lasting(100_000, messages=1_000)
    assert found["pipeline/collections_per_million"] == 0
    assert found["pipeline/growth_bytes_per_million"] <= 10 * 262_144


def test_libraries_are_all_modules_of_others() -> None:
    modules = ["openmm.engine", "bench.start_engine", "numpy.core", "json"]
    assert bench_start.libraries(modules) == ["numpy.core", "json"]


def test_bare_process_imports_what_it_is_told_and_tells_its_cpu() -> None:
    cpu_s, faults = bench_start.start_bare(["json", "decimal"])
    assert 0 < cpu_s < 30
    assert 100 < faults < bench_start.start_bare(["json", "decimal", "numpy"])[1]


def test_instructions_are_read_of_what_callgrind_wrote_and_missing_ones_are_told(
    tmp_path: Path,
) -> None:
    out = tmp_path / "one.out"
    out.write_text("events: Ir\nsummary: 12\ntotals: 2006319250\n")
    assert bench_start.instructions(out) == 2_006_319_250
    out.write_text("events: Ir\n")
    with pytest.raises(ValueError, match=r"one\.out: no line of totals"):
        bench_start.instructions(out)


def test_engine_starts_quotes_and_stops_within_the_memory_it_may_use() -> None:
    found = bench_start.start(rounds=1, seconds=0.2)
    assert math.isfinite(found["start/cpu_over_bare_imports"])
    assert 10 < found["start/resident_mb"] < 150
    # An engine does more than its imports, and not many times as much.
    assert 1 < found["start/instructions_over_bare_imports"] < 3
    assert 1 < found["start/page_faults_over_bare_imports"] < 3
    # The file's own libraries, not the few of a process that failed early; the writer had begun.
    assert 100 < found["start/foreign_modules"] < 1_000
    assert found["start/writer_cpu_s"] > 0
