"""What a plug-in strategy costs: one in Python, over a bare call of its method.

`pytest bench/bench_plugin.py` times it; `python -m bench --only bench_plugin` counts the
instructions that the gate asks for.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.count_plugin import MARKET, Empty
from bench.peers import ROOT
from openmm.strategy.python import PythonStrategy
from openmm.testing import make_bot, run_sections
from openmm.testing.calls import call_strategy

SCRIPT = ROOT / "bench" / "count_plugin.py"
SHORT, LONG = 200, 2_200


@pytest.mark.benchmark(group="plug-in: an empty strategy in Python asked, 1,000 times")
def test_ask(benchmark: BenchmarkFixture) -> None:
    """Time an empty strategy, asked as the pipeline asks it."""
    strategy = PythonStrategy(make_bot().instrument, Empty())
    benchmark(call_strategy, strategy, MARKET, 1_000)
    assert strategy.call_count >= 1_000


def gate_plugin() -> dict[str, float]:
    """Count the instructions of a strategy asked and of a bare call; one over the other."""
    told: list[str] = []
    found = run_sections(
        SCRIPT, [str(SHORT), str(LONG)], env={"PYTHONPATH": str(ROOT)}, told=told
    )  # fmt: skip
    asked, bare = (
        (found[f"{name}/long"] - found[f"{name}/short"]).instructions / (LONG - SHORT)
        for name in ("asked", "bare")
    )
    # An engine that never reaches the strategy would be the cheapest of all.
    assert f"asked {SHORT + LONG}" in told, told
    return {
        "plugin/python_over_bare_call": asked / bare,
        "plugin/python_instructions": asked,
        "plugin/bare_call_instructions": bare,
    }
