"""Gates over recordings are skipped by name without the data, and missed where it is required."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import suites, without_data
from openmm.testing import Gate, Outcome


def outcome(name: str, value: float | None) -> Outcome:
    return Outcome(Gate(name, 10, at_least=True, reason="fast"), value, 1)


OUTCOMES = [outcome("book/recorded", None), outcome("book/25", None), outcome("b/recorded", 1.0)]


def test_only_unmeasured_gates_over_recordings_are_skipped_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_SHARED", str(tmp_path))
    monkeypatch.delenv("OPENMM_REQUIRE_DATA", raising=False)
    assert without_data(OUTCOMES) == OUTCOMES[:1]


def test_nothing_is_skipped_where_data_is_required_or_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_SHARED", str(tmp_path))
    monkeypatch.setenv("OPENMM_REQUIRE_DATA", "1")
    assert without_data(OUTCOMES) == []
    monkeypatch.delenv("OPENMM_REQUIRE_DATA")
    (tmp_path / "data").mkdir()
    assert without_data(OUTCOMES) == []


def test_suites_are_found_by_file_and_name() -> None:
    found = suites()
    names = {f"{suite.__module__}.{suite.__name__}" for suite in found}
    assert len(names) == len(found), "a suite runs twice"
    assert {"bench.bench_book.gate_book", "bench.bench_pipeline.gate_lasting"} <= names
    assert [suite.__name__ for suite in suites("bench_start")] == ["gate_start"]
