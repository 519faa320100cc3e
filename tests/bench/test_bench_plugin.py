"""The bench of plug-in strategies measures what it says, and its gate is the one of the suite."""

from __future__ import annotations

import pytest

from bench import bench_plugin, count_plugin
from bench.__main__ import HERE, suites
from openmm.testing import Section, load_gates


def test_counted_strategy_is_asked_for_every_call(capsys: pytest.CaptureFixture[str]) -> None:
    count_plugin.main(3, 7)
    assert capsys.readouterr().out == "asked 10\n"


def counted(monkeypatch: pytest.MonkeyPatch, asked: int) -> None:
    """Let callgrind find 600 instructions a call over 400 of a bare one, of so many calls."""

    def run(*_: object, told: list[str], **__: object) -> dict[str, Section]:
        told.append(f"asked {asked}")
        parts = {"short": bench_plugin.SHORT, "long": bench_plugin.LONG}
        return {
            f"{name}/{part}": Section(9_000 + each * calls)
            for name, each in (("asked", 600), ("bare", 400))
            for part, calls in parts.items()
        }

    monkeypatch.setattr(bench_plugin, "run_sections", run)


def test_gate_is_one_call_over_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    counted(monkeypatch, bench_plugin.SHORT + bench_plugin.LONG)
    assert bench_plugin.gate_plugin() == {
        "plugin/python_over_bare_call": 1.5, "plugin/python_instructions": 600,
        "plugin/bare_call_instructions": 400,
    }  # fmt: skip
    assert bench_plugin.gate_plugin in suites("bench_plugin")
    assert load_gates(HERE / "gates.toml")["plugin/python_over_bare_call"].limit == 1.5


def test_strategy_that_was_not_asked_is_no_cheap_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counted(monkeypatch, 0)
    with pytest.raises(AssertionError, match="asked 0"):
        bench_plugin.gate_plugin()
