"""The grid strategy: parameters set live, state kept, ladder as the kernel makes it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from openmm.strategy.grid import GridStrategy, grid_ladder
from openmm.strategy.parameters import GridParameters
from tests._fast.test_quotes import GRID, PAIR, VIEW

PARAMETERS = GridParameters(**GRID)


def test_ladder_is_the_kernels() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    view = VIEW | {"x_ppm": 123_456, "flow_ppm": -400_000}
    quoting, ladder = strategy.quote(view)
    assert (quoting, strategy.one_sided, ladder) == grid_ladder(view, GRID, PAIR)
    assert quoting == 1


def test_parameters_set_live_make_the_next_ladder() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    _, before = strategy.quote(VIEW)
    strategy.params = replace(strategy.params, spread_ppm=4_000, num_orders=5)
    _, after = strategy.quote(VIEW)
    assert before["half_uticks"] * 2 == after["half_uticks"]
    assert (len(before["bids"]), len(after["bids"])) == (3, 5)
    assert strategy.params.num_orders == 5


@pytest.mark.parametrize("value", [None, GRID, 5])
def test_anything_but_parameters_is_refused_and_changes_nothing(value: Any) -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    with pytest.raises(TypeError, match="GridParameters"):
        strategy.params = value
    assert strategy.params is PARAMETERS
    assert strategy.quote(VIEW)[0] == 1


def test_one_sided_state_is_kept_between_ladders() -> None:
    strategy = GridStrategy(PAIR, PARAMETERS)
    assert strategy.one_sided == 0
    strategy.quote(VIEW | {"share_ppm": 700_000})
    assert strategy.one_sided == 1
    _, ladder = strategy.quote(VIEW | {"share_ppm": 560_000})
    assert (strategy.one_sided, ladder["bids"]) == (1, [])
    strategy.quote(VIEW)
    assert strategy.one_sided == 0
