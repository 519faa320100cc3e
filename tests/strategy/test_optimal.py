"""What the models share: how inputs are rounded, the bounds of a half-spread, parts that add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openmm._fast.quotes import QuoteClamp
from openmm.strategy.avellaneda import avellaneda_ladder
from openmm.strategy.glft import glft_ladder
from tests._fast.test_quotes import PAIR
from tests.strategy.test_avellaneda import PAPER
from tests.strategy.test_glft import GLFT, LIVE

UTICKS = 1_000_000
Ladder = Callable[..., tuple[int, int, dict[str, Any], dict[str, int]]]
BOTH = pytest.mark.parametrize(
    ("ladder", "params"), [(glft_ladder, GLFT), (avellaneda_ladder, PAPER)], ids=["glft", "paper"]
)


@BOTH
def test_volatility_counts_to_eight_binary_places(ladder: Ladder, params: dict[str, Any]) -> None:
    for sigma, counted in (
        (0, 0),
        (255, 255),
        (256, 256),
        (257, 258),
        (1_023, 1_024),
        (10**9, 998_244_352),
    ):
        told = ladder(LIVE | {"sigma_uticks": sigma}, params, PAIR)[3]
        assert told["sigma_uticks"] == counted
        assert abs(counted - sigma) <= sigma / 256


@BOTH
@pytest.mark.parametrize(
    ("change", "jump_ppm", "clamp"),
    [
        ({"half_min_ppm": 5_000}, 0, QuoteClamp.CLAMP_SPREAD_MIN),
        ({"half_max_ppm": 500}, 0, QuoteClamp.CLAMP_SPREAD_MAX),
        ({"fee_floor_ppm": 3_000}, 0, QuoteClamp.CLAMP_FEE_FLOOR),
        ({}, 50_000, QuoteClamp.CLAMP_JUMP),
    ],
)
def test_bounds_of_the_half_spread_are_told(
    ladder: Ladder, params: dict[str, Any], change: dict[str, int], jump_ppm: int, clamp: QuoteClamp
) -> None:
    plain = ladder(LIVE, params, PAIR)[2]
    made = ladder(LIVE | {"jump_ppm": jump_ppm}, params | change, PAIR)[2]
    assert not plain["clamps"] & clamp
    assert made["clamps"] & clamp
    wanted = next(iter(change.values()), params["half_max_ppm"]) * 10_000
    assert made["half_uticks"] == wanted
    if clamp == QuoteClamp.CLAMP_FEE_FLOOR:
        assert made["half_base_uticks"] + made["widen_sigma_uticks"] == wanted


@BOTH
def test_nothing_is_quoted_of_a_market_that_is_not_known(
    ladder: Ladder, params: dict[str, Any]
) -> None:
    for change in ({"warm": 0}, {"confidence_ppm": 0}, {"sigma_uticks": -(1 << 63)}):
        quoting, _, made, _ = ladder(LIVE | change, params, PAIR)
        assert (quoting, made["bids"], made["asks"]) == (0, [], [])
