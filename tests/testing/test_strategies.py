"""Questions to a strategy of one's own are the engine's, and bad answers do not pass."""

from __future__ import annotations

import pytest

from openmm.strategy.python import View
from openmm.strategy.quotes import Quotes
from openmm.testing import Quoted, any_markets, ask, faults, market_view
from openmm.testing.calls import ToldStrategy
from openmm.testing.workload import canonical_instrument

LOTS = 1_000_000


class Around:
    """Quote a level a side, both shifted against the inventory."""

    def quote(self, view: View) -> Quotes:
        mid = view.reference_uticks // 1_000_000 - view.x_ppm // 10_000
        return Quotes([(mid - 10, LOTS)], [(mid + 10, LOTS)])


def test_strategy_in_python_is_asked_in_a_calm_market_with_changes() -> None:
    assert ask(Around()) == Quoted([(599_990, LOTS)], [(600_010, LOTS)])
    assert ask(Around(), x_ppm=100_000).bids == [(599_980, LOTS)]
    assert ask(Around(), allow_ask=0).asks == []


def test_compiled_strategy_is_asked_alike() -> None:
    told = ToldStrategy([(599_990, LOTS)], [(600_010, LOTS)])
    assert ask(told) == ask(Around())


def test_failure_that_the_engine_would_tell_of_is_raised() -> None:
    class Fails:
        def quote(self, view: View) -> Quotes:
            raise KeyError(view.x_ppm)

    with pytest.raises(AssertionError, match=r"KeyError: 7 \(at .*test_strategies.py"):
        ask(Fails(), x_ppm=7)
    with pytest.raises(AssertionError, match="crosses itself"):
        ask(ToldStrategy([(600_010, LOTS)], [(600_000, LOTS)]))


def test_field_that_no_view_has_is_refused() -> None:
    with pytest.raises(TypeError, match="a view has no spread"):
        market_view(spread=1)


@pytest.mark.parametrize(
    ("bids", "asks", "changes", "text"),
    [
        ([(599_990, LOTS), (599_990, LOTS)], [], {}, "distinct"),
        ([(599_980, LOTS), (599_990, LOTS)], [], {}, "best first"),
        ([], [(600_010, LOTS)], {"base_lots": LOTS - 1}, "more than is held"),
        ([(599_990, LOTS)], [], {"quote_lots_max": LOTS - 1}, "more than is held"),
        ([(599_990, 1)], [], {}, "minimum"),
        ([(599_990, LOTS)], [], {"allow_bid": 0}, "risk"),
        ([], [(600_010, LOTS)], {"allow_ask": 0}, "risk"),
        ([(600_001, LOTS)], [], {}, "takes the ask"),
        ([], [(599_999, LOTS)], {}, "takes the bid"),
        ([(600_000, LOTS)], [(600_000, LOTS)], {}, "crosses itself"),
    ],
)
def test_each_fault_of_a_ladder_is_found(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], changes: dict[str, int], text: str
) -> None:
    (found,) = faults(Quoted(bids, asks), market_view(**changes), canonical_instrument())
    assert text in found


def test_markets_of_every_kind_are_the_same_each_time() -> None:
    first, second = (list(any_markets(200)) for _ in range(2))
    assert first == second != list(any_markets(200, seed=2))
    assert {one["allow_bid"] for one in first} == {0, 1}
    assert any(one["best_bid_ticks"] == 0 for one in first)
    assert any(one["x_ppm"] < 0 for one in first)
