"""The shape of a ladder: levels from any centre and half-spread."""

from __future__ import annotations

from typing import Any

import pytest

from openmm._fast.quotes import QuoteClamp
from openmm._fast.shape import SHAPE_FIELDS, place_ladder
from tests._fast.test_quotes import GRID, PAIR, UTICKS, VIEW, prices


def place(
    centre_ticks: int = 10_000, half_ticks: int = 10, **told: Any
) -> tuple[int, dict[str, Any]]:
    """Place the plain shape; fields of the shape and of the view by name, the rest as told."""
    view = {name: told.pop(name, value) for name, value in VIEW.items()}
    shape = {name: told.pop(name, GRID[name]) for name in SHAPE_FIELDS}
    return place_ladder(
        view,
        shape,
        PAIR,
        centre_uticks=centre_ticks * UTICKS,
        half_uticks=half_ticks * UTICKS,
        **told,
    )


def test_levels_stand_around_the_centre_given() -> None:
    quoting, ladder = place(10_003, 20)
    assert quoting == 1
    assert prices(ladder["bids"]) == [9_983, 9_978, 9_973]
    assert prices(ladder["asks"]) == [10_023, 10_028, 10_033]
    assert ladder["clamps"] == 0


def test_a_side_left_out_stays_empty() -> None:
    assert place(bids=False)[1]["bids"] == []
    assert place(asks=False)[1]["asks"] == []
    assert place(bids=False, asks=False)[0] == 0


def test_fee_holds_whatever_the_centre() -> None:
    _, ladder = place(10_030, fee_uticks=12 * UTICKS)
    assert ladder["bids"][0][0] == 9_988
    assert ladder["clamps"] == QuoteClamp.CLAMP_FEE_FLOOR


@pytest.mark.parametrize("changes", [{"num_orders": 0}, {"order_lots": 0}, {"warm": 0}])
def test_nothing_to_place_is_nothing_placed(changes: dict[str, int]) -> None:
    assert place(**changes)[0] == 0


def test_fields_left_out_are_refused() -> None:
    for name in SHAPE_FIELDS:
        shape = {key: value for key, value in GRID.items() if key != name}
        with pytest.raises(KeyError, match=name):
            place_ladder(VIEW, shape, PAIR, centre_uticks=10_000 * UTICKS, half_uticks=UTICKS)
