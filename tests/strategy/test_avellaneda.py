"""Avellaneda-Stoikov: the paper's numbers, equality with decimals, what each parameter does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm.strategy.avellaneda import AvellanedaStrategy, avellaneda_ladder
from openmm.strategy.model_parameters import AvellanedaParameters
from tests._fast.test_quotes import PAIR
from tests.oracles import optimal as oracle
from tests.strategy.test_glft import GLFT, LIVE

PPM = 1_000_000
UTICKS = 1_000_000
SECOND = 1_000_000_000
PAPER: dict[str, Any] = {
    name: value for name, value in GLFT.items() if name not in ("xi_ppm", "prior_arrival_uhz")
} | {"horizon_ns": 100 * SECOND, "repeating": 0, "risk_uticks": 1_000 * UTICKS}
TOLD = PAPER | {"risk_uticks": 0, "skew_full_ppm": 800}


def ladder(view: dict[str, int] | None = None, **changes: int) -> dict[str, Any]:
    return avellaneda_ladder(LIVE | (view or {}), PAPER | changes, PAIR)[2]


def solved(view: dict[str, int] | None = None, **changes: int) -> dict[str, int]:
    return avellaneda_ladder(LIVE | (view or {}), PAPER | changes, PAIR)[3]


def test_worked_numbers_are_the_papers() -> None:
    # sigma counts as 1.998848 ticks, gamma*D/k = 0.01, tau = 100 s: the reservation price moves by
    # 0.001 * 1.998848**2 * 100 = 0.399539 ticks an order; half the spread is half of that and
    # 1000 * ln 1.01 = 9.950331 ticks.
    told = solved()
    assert told["base_uticks"] == 9_950_331
    assert told["risk_half_uticks"] == 199_770
    assert told["skew_full_uticks"] == 3_995_393
    made = ladder({"x_ppm": 500_000})
    assert made["skew_uticks"] == -1_997_696
    assert made["half_uticks"] == 10_150_101
    # Reservation price 9998.002304: bid 9987.852203, ask 10008.152405.
    assert (made["bids"][0][0], made["asks"][0][0]) == (9_987, 10_009)


@settings(max_examples=100, deadline=None)
@given(
    sigma=st.integers(0, 255).map(lambda tenths: tenths * UTICKS // 10),
    decay=st.integers(1, 10**12),
    risk=st.integers(10**4, 10**14),
    seconds=st.integers(1, 86_400),
    orders=st.integers(1, 50),
)
def test_model_equals_the_paper_in_decimals(
    sigma: int, decay: int, risk: int, seconds: int, orders: int
) -> None:
    told = solved(
        {"sigma_uticks": sigma, "decay_uticks": decay}, risk_uticks=risk,
        scale_lots=orders * PAPER["order_lots"], horizon_ns=seconds * SECOND,
    )  # fmt: skip
    size = Decimal("0.1")
    exact = oracle.avellaneda(
        Decimal(told["sigma_uticks"]), Decimal(1) / decay, 1 / (risk * size), size, Decimal(seconds)
    )
    if exact.skew * size * orders > 10**17:
        return
    half = told["base_uticks"] + told["risk_half_uticks"]
    assert half == pytest.approx(float(exact.half), rel=1e-9, abs=1)
    shift = float(exact.skew * size * orders)
    assert told["skew_full_uticks"] == pytest.approx(shift, rel=1e-9, abs=1)


def test_gamma_of_a_told_skew_gives_that_skew() -> None:
    told = avellaneda_ladder(LIVE, TOLD, PAIR)[3]
    again = solved(risk_uticks=told["risk_uticks"])
    for name in ("base_uticks", "risk_half_uticks", "skew_full_uticks"):
        assert again[name] == pytest.approx(told[name], rel=1e-5)
    assert told["skew_full_uticks"] == pytest.approx(8 * UTICKS, rel=0.003)


def test_shift_falls_with_the_time_left_of_a_repeating_horizon() -> None:
    for params in (PAPER, TOLD):
        shifts = []
        for second in (0, 25, 50, 99, 100):
            view = LIVE | {"now_ns": 7_000 * SECOND + second * SECOND, "x_ppm": 500_000}
            made = avellaneda_ladder(view, params | {"repeating": 1}, PAIR)[2]
            shifts.append(-made["skew_uticks"])
        whole, three, half, last, again = shifts
        assert whole == again == -avellaneda_ladder(view, params, PAIR)[2]["skew_uticks"]
        assert three == pytest.approx(0.75 * whole, rel=1e-5)
        assert half == pytest.approx(0.5 * whole, rel=1e-5)
        assert last == pytest.approx(whole / 64, rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    sigma=st.integers(0, 255).map(lambda tenths: tenths * UTICKS // 10),
    decay=st.integers(1, 10**12),
    risk=st.integers(10**4, 10**12),
    more=st.integers(2, 50),
)
def test_spread_and_shift_grow_with_volatility_and_time_and_shift_with_gamma(
    sigma: int, decay: int, risk: int, more: int
) -> None:
    market = {"sigma_uticks": sigma, "decay_uticks": decay}
    calm = solved(market, risk_uticks=risk)
    for higher in (
        solved(market | {"sigma_uticks": sigma * more}, risk_uticks=risk),
        solved(market, risk_uticks=risk, horizon_ns=PAPER["horizon_ns"] * more),
    ):
        assert higher["base_uticks"] == calm["base_uticks"]
        assert higher["risk_half_uticks"] >= calm["risk_half_uticks"]
        assert higher["skew_full_uticks"] >= calm["skew_full_uticks"]
    averse = solved(market, risk_uticks=max(1, risk // more))
    assert averse["skew_full_uticks"] >= calm["skew_full_uticks"]
    assert averse["base_uticks"] <= calm["base_uticks"]


XS = st.integers(-PPM + 1, PPM - 1)


@settings(max_examples=60, deadline=None)
@given(x=XS, less=XS, flow=st.integers(-PPM, PPM), told=st.booleans())
def test_shading_falls_with_inventory_and_mirrors(x: int, less: int, flow: int, told: bool) -> None:
    params = TOLD if told else PAPER
    view = LIVE | {"x_ppm": max(x, less), "flow_ppm": flow}
    made = avellaneda_ladder(view, params, PAIR)[2]
    lighter = avellaneda_ladder(view | {"x_ppm": min(x, less)}, params, PAIR)[2]
    assert made["bids"][0][0] <= lighter["bids"][0][0]
    assert made["asks"][0][0] <= lighter["asks"][0][0]
    mirror = avellaneda_ladder(view | {"x_ppm": -view["x_ppm"], "flow_ppm": -flow}, params, PAIR)[2]
    assert [20_000 - price for price, _ in mirror["asks"]] == [price for price, _ in made["bids"]]
    assert [20_000 - price for price, _ in mirror["bids"]] == [price for price, _ in made["asks"]]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"risk_uticks": 10 * UTICKS}, "half_base_uticks"),
        ({"horizon_ns": SECOND}, "skew_uticks"),
        ({"repeating": 1}, "skew_uticks"),
        ({"half_factor_ppm": 2 * PPM}, "half_base_uticks"),
        ({"skew_factor_ppm": 2 * PPM}, "skew_uticks"),
        ({"scale_lots": 200_000_000}, "skew_uticks"),
        ({"fee_floor_ppm": 2_000}, "half_uticks"),
        ({"half_min_ppm": 2_000}, "half_uticks"),
        ({"half_max_ppm": 100}, "half_uticks"),
    ],
)
def test_every_parameter_changes_the_ladder(change: dict[str, int], part: str) -> None:
    view = {"x_ppm": 300_000, "flow_ppm": 200_000, "now_ns": 51 * SECOND}
    assert ladder(view)[part] != ladder(view, **change)[part]


def test_nothing_is_quoted_until_fitted_or_told() -> None:
    cold = LIVE | {"decay_uticks": 0, "arrival_uhz": 0}
    assert avellaneda_ladder(cold, PAPER, PAIR)[0] == 0
    told = avellaneda_ladder(cold, PAPER | {"prior_decay_uticks": 10 * UTICKS}, PAIR)
    assert told[2] == ladder()


PARAMETERS = AvellanedaParameters.of(PAPER)


def test_what_is_kept_between_ladders_changes_none() -> None:
    strategy = AvellanedaStrategy(PAIR, PARAMETERS)
    for sigma in (1_000_000, 2_000_000, 2_100_000, 0, 2_000_000):
        view = LIVE | {"sigma_uticks": sigma, "x_ppm": 100_000}
        assert strategy.quote(view) == (1, avellaneda_ladder(view, PAPER, PAIR)[2])
    strategy.params = replace(strategy.params, horizon_ns=SECOND)
    assert (
        strategy.quote(view)[1] == avellaneda_ladder(view, PAPER | {"horizon_ns": SECOND}, PAIR)[2]
    )
    with pytest.raises(TypeError, match="AvellanedaParameters"):
        strategy.params = PAPER  # type: ignore[assignment]
