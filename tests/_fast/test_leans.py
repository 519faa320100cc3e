"""The leans: shifts of the centre by signals, mirrored, capped and told."""

from __future__ import annotations

import pytest

from openmm._fast.leans import LEAN_FIELDS, lean
from openmm._fast.quotes import QuoteClamp
from tests._fast.test_quotes import GRID, PPM, UTICKS, VIEW


@pytest.mark.parametrize(("flow_ppm", "ticks"), [(0, 0), (500_000, 2), (-500_000, -2), (PPM, 4)])
def test_flow_shifts_by_its_share_of_the_full_shift(flow_ppm: int, ticks: int) -> None:
    shift, widen, ladder = lean(VIEW | {"flow_ppm": flow_ppm}, GRID)
    assert (shift, widen) == (ticks * UTICKS, 0)
    assert ladder["flow_uticks"] == shift


@pytest.mark.parametrize("sign", [1, -1])
def test_flow_beyond_one_is_capped_and_said(sign: int) -> None:
    shift, _, ladder = lean(VIEW | {"flow_ppm": sign * 3 * PPM}, GRID)
    assert shift == sign * 4 * UTICKS
    assert ladder["clamps"] == QuoteClamp.CLAMP_FLOW


def test_fields_left_out_are_refused() -> None:
    for name in LEAN_FIELDS:
        with pytest.raises(KeyError, match=name):
            lean(VIEW, {key: value for key, value in GRID.items() if key != name})
