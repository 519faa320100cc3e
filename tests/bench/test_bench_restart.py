"""The bench of the restart with small input: it measures, and checks, what it says."""

from __future__ import annotations

import math

import pytest

from bench import bench_restart

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_killed_engine_is_back_with_its_orders_cancelled_and_its_fills_booked() -> None:
    found = bench_restart.restart(rounds=1, seconds=0.2)
    assert math.isfinite(found["restart/cpu_over_bare_imports"])
    assert found["restart/orders_left_open"] > 0
    assert found["restart/missed_fills"] >= bench_restart.FILLS_MIN
    assert 0 < found["restart/wall_s"] < 60
