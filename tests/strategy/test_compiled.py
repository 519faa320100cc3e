"""The compiled strategies by kind: each is made, changed and asked as its own."""

from __future__ import annotations

from typing import Any

import pytest

from openmm.strategy import compiled
from openmm.strategy.avellaneda import AvellanedaStrategy
from openmm.strategy.glft import GlftStrategy
from openmm.strategy.grid import GridStrategy
from tests._fast.test_quotes import GRID, PAIR
from tests.strategy.test_avellaneda import PAPER
from tests.strategy.test_glft import GLFT, LIVE

KINDS: list[tuple[str, dict[str, Any], type[compiled.Compiled]]] = [
    ("grid", GRID, GridStrategy),
    ("glft", GLFT, GlftStrategy),
    ("avellaneda", PAPER, AvellanedaStrategy),
]


@pytest.mark.parametrize(("kind", "fields", "made"), KINDS)
def test_each_kind_is_made_and_asked(
    kind: str, fields: dict[str, Any], made: type[compiled.Compiled]
) -> None:
    strategy = compiled.make(kind, PAIR, fields)
    assert type(strategy) is made
    ladder, solved = compiled.ladder(kind, LIVE, fields, PAIR, strategy)
    assert strategy.quote(LIVE) == (1, ladder)
    assert bool(solved) == (kind != "grid")
    # The one-sided state is the strategy's.
    strategy.quote(LIVE | {"share_ppm": 700_000})
    view = LIVE | {"share_ppm": 560_000}
    assert compiled.ladder(kind, view, fields, PAIR, strategy)[0]["bids"] == []
    assert compiled.ladder(kind, view, fields, PAIR)[0]["bids"]


@pytest.mark.parametrize(("kind", "fields", "made"), KINDS)
def test_each_kind_is_changed_by_its_own_parameters(
    kind: str, fields: dict[str, Any], made: type[compiled.Compiled]
) -> None:
    strategy = compiled.make(kind, PAIR, fields)
    compiled.change(strategy, compiled.parameters(strategy, fields | {"num_orders": 1}))
    assert len(strategy.quote(LIVE)[1]["bids"]) == 1
    other = "grid" if kind != "grid" else "glft"
    foreign = compiled.make(other, PAIR, dict(GRID if other == "grid" else GLFT))
    with pytest.raises(TypeError, match="params must be"):
        compiled.change(strategy, foreign.params)


def test_numbers_of_nothing_solved_are_none() -> None:
    assert compiled.model_numbers({}, PAIR, GLFT, 10_000_000_000) == {}
