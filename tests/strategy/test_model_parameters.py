"""Parameters of the models: bounds, contradictions, and what the kernel takes."""

from __future__ import annotations

from typing import Any

import pytest

from openmm.errors import ConfigError
from openmm.strategy.model_parameters import BOUNDS, AvellanedaParameters, GlftParameters
from openmm.strategy.parameters import LEVEL_BOUNDS
from tests.strategy.test_avellaneda import PAPER
from tests.strategy.test_glft import GLFT

Made = type[GlftParameters] | type[AvellanedaParameters]
BOTH: list[tuple[Made, dict[str, Any]]] = [(GlftParameters, GLFT), (AvellanedaParameters, PAPER)]


@pytest.mark.parametrize(("made", "fields"), BOTH)
def test_fields_are_those_of_the_kernel(made: Made, fields: dict[str, int]) -> None:
    assert made.of(fields).fields() == fields


@pytest.mark.parametrize(("made", "fields"), BOTH)
def test_values_out_of_bounds_are_refused(made: Made, fields: dict[str, int]) -> None:
    for name in fields.keys() - LEVEL_BOUNDS.keys():
        least, most = BOUNDS[name]
        bad: tuple[Any, ...] = (least - 1, most + 1, 0.5, None)
        for value in bad:
            with pytest.raises(ConfigError, match=name):
                made.of(fields | {name: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rebalance_exit_ppm": 100_001}, "rebalance_exit_ppm"),
        ({"half_max_ppm": 10, "half_min_ppm": 11}, "half_max_ppm"),
        ({"half_max_ppm": 10, "fee_floor_ppm": 11}, "half_max_ppm"),
        ({"floor_ticks": 10, "ceiling_ticks": 9}, "floor_ticks"),
        ({"level_lots": (1, 2)}, "level_lots"),
    ],
)
@pytest.mark.parametrize(("made", "fields"), BOTH)
def test_contradictions_are_refused(
    made: Made, fields: dict[str, int], change: dict[str, int], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        made.of(fields | change)
