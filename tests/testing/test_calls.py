"""Loops of calls: each call is made, each ladder counted."""

from __future__ import annotations

import pytest

from openmm.strategy.python import PythonStrategy, View
from openmm.strategy.quotes import Quotes
from openmm.testing.calls import ToldStrategy, call_bare, call_strategy
from tests._fast.test_quotes import PAIR, VIEW


class Counts:
    def __init__(self) -> None:
        self.calls = 0

    def quote(self, view: View) -> Quotes | None:
        self.calls += 1
        return Quotes(bids=[(9_990, 10_000_000)]) if self.calls % 2 else None


def test_function_is_called_as_often_as_asked() -> None:
    told: list[object] = []
    call_bare(told.append, 7, 3)
    assert told == [7, 7, 7]


def test_strategy_is_asked_as_often_and_its_ladders_counted() -> None:
    counts = Counts()
    assert call_strategy(PythonStrategy(PAIR, counts), VIEW, 5) == 3
    assert counts.calls == 5


def test_told_strategy_answers_what_it_was_told_however_bad() -> None:
    told = ToldStrategy([(5, 6)], [(1, -1)], answer=3)
    assert call_strategy(told, VIEW, 2) == 6
    assert told.call_count == 2
    with pytest.raises(ValueError, match="33"):
        ToldStrategy([(1, 1)] * 33)
