"""The bench of plug-in strategies measures what it says, and its gate is the one of the suite."""

from __future__ import annotations

import pytest

from bench import bench_plugin, count_plugin
from bench.__main__ import HERE
from openmm.testing import load_gates


def test_counted_strategy_is_asked_for_every_call(capsys: pytest.CaptureFixture[str]) -> None:
    count_plugin.main(3, 7)
    assert capsys.readouterr().out == "asked 10\n"


def test_gate_holds_and_both_sides_are_calls_of_python() -> None:
    found = bench_plugin.gate_plugin()
    gate = load_gates(HERE / "gates.toml")["plugin/python_over_bare_call"]
    assert gate.limit == 1.5
    assert gate.passes(found["plugin/python_over_bare_call"]), found
    # Neither an interpreter that was left out nor a call that did more than its own work.
    assert 100 < found["plugin/bare_call_instructions"] < found["plugin/python_instructions"] < 2_000
