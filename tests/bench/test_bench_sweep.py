"""The bench of sweeps: both sides do every run and come to the same figures."""

from __future__ import annotations

from bench.bench_sweep import measure


def test_both_sides_come_to_the_same_figures() -> None:
    found = measure(count=8, rounds=1, seconds=20)
    assert found["sweep/two_workers_over_two_loops"] > 0
    assert found["sweep/runs_per_s"] > 0
