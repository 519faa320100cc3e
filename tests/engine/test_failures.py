"""A failing strategy is told of once a cause and by the minute; too many in a row are a halt."""

from __future__ import annotations

from openmm.engine.failures import (
    AGAIN_NS,
    APART_NS,
    CAUSES_MAX,
    FAILURES_IN_A_ROW,
    StrategyFailures,
)

T0 = 1_750_000_000 * 10**9


def test_one_cause_is_told_at_once_and_then_once_a_minute_with_its_count() -> None:
    failures = StrategyFailures()
    first = failures.on_failed(1, "a", "ValueError: 1", T0)
    assert first == "a call of the strategy failed and quoted nothing: ValueError: 1"
    for n in range(1, 60):
        assert not failures.on_failed(2, "a", "ValueError: 2", T0 + n * AGAIN_NS // 60)
    again = failures.on_failed(2, "a", "ValueError: 3", T0 + AGAIN_NS)
    assert again == "120 calls of the strategy failed and quoted nothing: ValueError: 3"
    assert failures.count == 121


def test_another_cause_is_told_but_never_two_within_a_second() -> None:
    failures = StrategyFailures()
    assert failures.on_failed(1, "a", "A", T0)
    assert not failures.on_failed(1, "b", "B", T0 + APART_NS - 1)
    told = failures.on_failed(1, "b", "B", T0 + APART_NS)
    assert "2 calls" in told
    assert told.endswith(": B")


def test_causes_are_bounded_and_words_too() -> None:
    failures = StrategyFailures()
    told = 0
    for n in range(1_000):
        told += bool(failures.on_failed(1, str(n), "x", T0 + n * APART_NS // 20))
    assert told == 50
    assert len(failures._causes) == CAUSES_MAX


def test_too_many_in_a_row_are_told_from_few() -> None:
    failures = StrategyFailures()
    assert failures.too_many(FAILURES_IN_A_ROW - 1, "x") == ""
    assert failures.too_many(FAILURES_IN_A_ROW, "x") == (
        "10 calls of the strategy failed in a row, the limit is 10: x"
    )
