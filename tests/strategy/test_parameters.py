"""Grid parameters: bounds, contradictions, and the way from a bot's file."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from openmm.errors import ConfigError
from openmm.strategy.parameters import BOUNDS, LEVEL_BOUNDS, GridParameters

GOOD = GridParameters(
    spread_ppm=2_000,
    order_lots=10_000_000,
    num_orders=3,
    rebalance_threshold_ppm=100_000,
    level_step_ppm=500,
    rebalance_exit_ppm=50_000,
)


@pytest.mark.parametrize("name", BOUNDS)
def test_value_out_of_bounds_is_refused_with_its_path(name: str) -> None:
    least, most = BOUNDS[name]
    for value in (least - 1, most + 1):
        with pytest.raises(ConfigError) as error:
            replace(GOOD, **{name: value})
        assert error.value.path == f"strategy.{name}"
        assert error.value.value == value


@pytest.mark.parametrize("value", [1.5, "5", None, True])
def test_value_that_is_no_integer_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"strategy\.num_orders"):
        replace(GOOD, num_orders=value)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"rebalance_exit_ppm": 100_001}, "strategy.rebalance_exit_ppm"),
        ({"half_max_ppm": 999, "half_min_ppm": 1_000}, "strategy.half_max_ppm"),
        ({"half_max_ppm": 999, "fee_floor_ppm": 1_000}, "strategy.half_max_ppm"),
        ({"floor_ticks": 10, "ceiling_ticks": 9}, "strategy.floor_ticks"),
        ({"level_offsets_ppm": (0, 5)}, "strategy.level_offsets_ppm"),
        ({"level_offsets_ppm": (0, 5, 4)}, "strategy.level_offsets_ppm"),
        ({"level_offsets_ppm": (0, 5, 1_000_001)}, "strategy.level_offsets_ppm"),
        ({"level_lots": (1, 2, 0)}, "strategy.level_lots"),
        ({"level_lots": (1, 2, 3, 4)}, "strategy.level_lots"),
        ({"schedule": ((0, 60, 5, 0),) * 17}, "strategy.schedule"),
        ({"schedule": ((0, 86_401, 5, 0),)}, "strategy.schedule"),
        ({"schedule": ((0, 60, 5),)}, "strategy.schedule"),
    ],
)
def test_contradiction_is_refused(changes: dict[str, int], path: str) -> None:
    with pytest.raises(ConfigError) as error:
        replace(GOOD, **changes)
    assert error.value.path == path


def test_parameters_are_frozen() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        GOOD.spread_ppm = 1  # type: ignore[misc]


def test_bounds_cover_every_field() -> None:
    assert set(GOOD.fields()) == {*BOUNDS, *LEVEL_BOUNDS, "schedule"}


def test_lists_of_a_journal_become_tuples() -> None:
    told = replace(GOOD, level_lots=[1, 2, 3], schedule=[[0, 60, 5, 0]])
    assert (told.level_lots, told.schedule) == ((1, 2, 3), ((0, 60, 5, 0),))
    assert GridParameters(**told.fields()) == told
