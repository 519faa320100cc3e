"""Gate files are read strictly; a gate is measured up to three times before it is missed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.testing import Gate, load_counts, load_gates, run_gates, write_counts

LEAST = Gate("a", 10, at_least=True, reason="fast")
MOST = Gate("b", 3, at_least=False, reason="cheap")


def suite(*values: Mapping[str, float]):  # type: ignore[no-untyped-def]
    left = list(values)

    def measure() -> Mapping[str, float]:
        return left.pop(0)

    return measure


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (LEAST, 10, True), (LEAST, 9.99, False), (MOST, 3, True), (MOST, 3.01, False),
        (LEAST, float("nan"), False), (MOST, float("nan"), False),
    ],
)  # fmt: skip
def test_limit_itself_passes_and_nan_never(gate: Gate, value: float, passed: bool) -> None:
    assert gate.passes(value) is passed


def test_missed_gate_is_measured_again_and_passes_on_the_third_try() -> None:
    outcomes, _ = run_gates({"a": LEAST}, [suite({"a": 1}, {"a": 2}, {"a": 11})])
    assert [(one.value, one.tries, one.passed) for one in outcomes] == [(11, 3, True)]


def test_gate_missed_three_times_is_missed() -> None:
    outcomes, _ = run_gates({"a": LEAST}, [suite({"a": 1}, {"a": 2}, {"a": 9})])
    assert [(one.value, one.passed) for one in outcomes] == [(9, False)]


def test_pass_is_not_taken_back_by_a_later_try_of_its_suite() -> None:
    outcomes, _ = run_gates({"a": LEAST, "b": MOST}, [suite({"a": 11, "b": 9}, {"a": 1, "b": 2})])
    assert [(one.value, one.passed) for one in outcomes] == [(11, True), (2, True)]


def test_suite_that_cannot_be_measured_is_tried_again_and_keeps_no_other_from_it() -> None:
    tries = 0

    def breaks() -> Mapping[str, float]:
        nonlocal tries
        tries += 1
        raise RuntimeError("a client ended")

    told: list[tuple[int, str]] = []
    outcomes, _ = run_gates(
        {"a": LEAST, "b": MOST}, [breaks, suite({"b": 1})],
        on_failed=lambda name, attempt, error: told.append((attempt, str(error))),
    )  # fmt: skip
    assert [(one.value, one.passed) for one in outcomes] == [(None, False), (1, True)]
    assert told == [(attempt, "a client ended") for attempt in (1, 2, 3)]
    with pytest.raises(RuntimeError, match="a client ended"):
        run_gates({"a": LEAST}, [breaks])
    assert tries == 4


def test_gate_nobody_measured_is_missed_and_value_without_gate_is_reported() -> None:
    outcomes, extra = run_gates({"a": LEAST}, [suite({"c": 5})])
    assert [(one.value, one.passed) for one in outcomes] == [(None, False)]
    assert extra == {"c": 5}


@pytest.mark.parametrize(
    "body",
    [
        "at_least = 1", 'at_least = 1\nat_most = 2\nreason = "both"', 'reason = "no limit"',
        'at_least = 1\nreason = " "', 'at_least = "1"\nreason = "text"',
        'at_lest = 1\nreason = "misspelt"',
    ],
)  # fmt: skip
def test_gate_file_without_one_limit_and_a_reason_is_refused(tmp_path: Path, body: str) -> None:
    file = tmp_path / "gates.toml"
    file.write_text(f'["a"]\n{body}\n')
    with pytest.raises(ConfigError):
        load_gates(file)


def test_counts_have_three_percent_head_room_and_more_with_another_compiler(
    tmp_path: Path,
) -> None:
    file = tmp_path / "instructions.toml"
    write_counts(file, "gcc 12", {"instructions/append": 100.0})
    same = load_counts(file, "gcc 12")["instructions/append"]
    assert (same.passes(103), same.passes(103.1)) == (True, False)
    other = load_counts(file, "gcc 13")["instructions/append"]
    assert (other.passes(125), other.passes(125.1)) == (True, False)
    assert "gcc 13, not gcc 12" in other.reason


@pytest.mark.parametrize(
    "text",
    [
        "", 'compiler = "gcc"\n', 'compiler = "gcc"\n[counts]\n', '[counts]\n"a" = 1\n',
        'compiler = "gcc"\n[counts]\n"a" = 0\n', 'compiler = "gcc"\n[counts]\n"a" = "1"\n', "=",
    ],
)  # fmt: skip
def test_counts_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "instructions.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        load_counts(file, "gcc")


def test_gates_of_the_benches_load() -> None:
    bench = Path(__file__).resolve().parents[2] / "bench"
    gates = load_gates(bench / "gates.toml")
    counts = load_counts(bench / "instructions.toml", "gcc")
    assert len(gates) > 15
    assert "instructions/order_sent" in counts
    assert not set(gates) & set(counts)
