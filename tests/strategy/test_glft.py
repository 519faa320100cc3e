"""GLFT: the papers' numbers, equality with decimals, what each parameter does, and the fence."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm._fast.leans import LEAN_FIELDS
from openmm._fast.quotes import QuoteClamp
from openmm._fast.shape import SHAPE_FIELDS, place_ladder
from openmm.strategy.glft import GlftStrategy, glft_ladder
from openmm.strategy.model_parameters import GlftParameters
from tests._fast.test_quotes import GRID, PAIR, VIEW
from tests.oracles import optimal as oracle

PPM = 1_000_000
UTICKS = 1_000_000
# Volatility 2 ticks a root second, a quote reached e times less often each 10 ticks, once a second
# at no distance. One order is 0.1 BTC, the inventory's scale 1 BTC; the reference 10,000 ticks.
LIVE = VIEW | {
    "sigma_uticks": 2 * UTICKS, "decay_uticks": 10 * UTICKS, "arrival_uhz": 1_000_000,
}  # fmt: skip
COMMON = {
    name: GRID[name]
    for name in (*LEAN_FIELDS, *SHAPE_FIELDS)
}  # fmt: skip
GLFT: dict[str, Any] = {
    **COMMON,
    "risk_uticks": 100 * UTICKS, "skew_full_ppm": 0, "scale_lots": 100_000_000,
    "half_factor_ppm": PPM, "skew_factor_ppm": PPM, "xi_ppm": PPM, "prior_decay_ppm": 0,
    "prior_decay_uticks": 0, "prior_arrival_uhz": 0, "fee_floor_ppm": 0, "half_min_ppm": 0,
    "half_max_ppm": 200_000,
}  # fmt: skip
TOLD = GLFT | {"risk_uticks": 0, "skew_full_ppm": 800}


def ladder(view: dict[str, int] | None = None, **changes: int) -> dict[str, Any]:
    return glft_ladder(LIVE | (view or {}), GLFT | changes, PAIR)[2]


def solved(view: dict[str, int] | None = None, **changes: int) -> dict[str, int]:
    return glft_ladder(LIVE | (view or {}), GLFT | changes, PAIR)[3]


def close(ours: int, theirs: Decimal) -> bool:
    return ours == pytest.approx(float(theirs), rel=1e-9, abs=1)


# ------------------------------------------------------------------------ the formulas


def test_worked_numbers_are_the_formulas() -> None:
    # Volatility counts to eight binary places: 2 ticks as 1.998848. gamma*D/k = 0.1, so that
    # c1 = 100 * ln 1.1 = 9.531018 ticks; shift of an order = 1.998848 * sqrt(0.1/2 * 1.1**11)
    # = 0.754961 ticks; at full inventory, ten orders, 7.549610.
    told = solved()
    assert told["sigma_uticks"] == 1_998_848
    assert told["base_uticks"] == 9_531_018
    assert told["risk_half_uticks"] == 377_481
    assert told["skew_full_uticks"] == 7_549_610
    made = ladder({"x_ppm": 500_000})
    assert made["skew_uticks"] == -3_774_805
    assert made["half_uticks"] == 9_908_499
    # Centre 9996.225195: bid 9986.316696, ask 10006.133694.
    assert (made["bids"][0][0], made["asks"][0][0]) == (9_986, 10_007)
    mirror = ladder({"x_ppm": -500_000})
    assert (mirror["bids"][0][0], mirror["asks"][0][0]) == (9_993, 10_014)


def test_form_with_one_unit_an_order_is_the_first_papers() -> None:
    sigma, arrival, k, gamma = map(Decimal, ("2", "1", "0.1", "0.01"))
    quotes = oracle.glft(sigma, arrival, k, gamma, Decimal(1), gamma)
    for q in map(Decimal, (-3, 0, 1, 7)):
        first = oracle.glft_unit(sigma, arrival, k, gamma, q)
        assert abs(quotes.half + quotes.skew * q - first) < Decimal("1e-20")


MARKETS = {
    "sigma": st.integers(0, 255).map(lambda tenths: tenths * UTICKS // 10),
    "decay": st.integers(1, 10**12),
    "arrival": st.integers(1, 10**10),
}


@settings(max_examples=150, deadline=None)
@given(
    **MARKETS, risk=st.integers(100, 10**14), xi=st.sampled_from([0, 1, 500_000, PPM]),
    orders=st.integers(1, 50),
)  # fmt: skip
def test_model_equals_the_papers_in_decimals(
    sigma: int, decay: int, arrival: int, risk: int, xi: int, orders: int
) -> None:
    told = solved(
        {"sigma_uticks": sigma, "decay_uticks": decay, "arrival_uhz": arrival},
        risk_uticks=risk, xi_ppm=xi, scale_lots=orders * GLFT["order_lots"],
    )  # fmt: skip
    # In any units of quantity: here an order is 0.1 of them, and prices are uticks.
    size = Decimal("0.1")
    gamma = 1 / (risk * size)
    exact = oracle.glft(
        Decimal(told["sigma_uticks"]), Decimal(arrival) / 1_000_000, Decimal(1) / decay,
        gamma, size, gamma * xi / PPM,
    )  # fmt: skip
    if exact.skew * size > 10**17 or exact.half > 10**17:
        return
    assert close(told["base_uticks"] + told["risk_half_uticks"], exact.half)
    assert close(told["skew_full_uticks"], exact.skew * size * orders)
    assert close(told["risk_uticks"], Decimal(risk))


@settings(max_examples=40, deadline=None)
@given(
    sigma=st.integers(1, 255).map(lambda tenths: tenths * UTICKS // 10),
    decay=st.integers(10**4, 10**9),
    arrival=st.integers(10**3, 10**8),
    skew=st.integers(10, 20_000),
    xi=st.sampled_from([0, 500_000, PPM]),
)
def test_gamma_of_a_told_skew_gives_that_skew(
    sigma: int, decay: int, arrival: int, skew: int, xi: int
) -> None:
    view = LIVE | {"sigma_uticks": sigma, "decay_uticks": decay, "arrival_uhz": arrival}
    told = glft_ladder(view, TOLD | {"skew_full_ppm": skew, "xi_ppm": xi}, PAIR)[3]
    wanted = Decimal(skew) * 10_000 * UTICKS / PPM / 10  # of one order; the scale is ten
    gamma = oracle.gamma_of(
        wanted,
        lambda gamma: oracle.glft(
            Decimal(told["sigma_uticks"]), Decimal(arrival) / 1_000_000, Decimal(1) / decay,
            gamma, Decimal(1), gamma * xi / PPM,
        ),
    )  # fmt: skip
    if not Decimal("1e-9") < gamma * decay < Decimal("1e9") or gamma < Decimal("1e-17"):
        return
    # The reference counts to eight binary places here.
    assert told["risk_uticks"] == pytest.approx(float(1 / gamma), rel=0.02, abs=1)
    assert told["skew_full_uticks"] == pytest.approx(float(wanted) * 10, rel=0.005)
    assert told["risk_half_uticks"] * 20 == pytest.approx(
        told["skew_full_uticks"], rel=1e-3, abs=20
    )


def test_told_skew_is_exact_at_any_price() -> None:
    for price in (10_000, 9_999, 10_013, 7_777_777):
        view = LIVE | {
            "reference_uticks": price * UTICKS, "best_bid_ticks": price // 2,
            "best_ask_ticks": price * 2, "x_ppm": 500_000,
        }  # fmt: skip
        made = glft_ladder(view, TOLD, PAIR)[2]
        assert made["skew_uticks"] == -(price * UTICKS * 800 // PPM * 500_000 // PPM)


# ------------------------------------------------------------------------ how they move


@settings(max_examples=60, deadline=None)
@given(**MARKETS, risk=st.integers(10**4, 10**12), more=st.integers(2, 50))
def test_spread_and_shift_grow_with_volatility_and_shift_with_gamma(
    sigma: int, decay: int, arrival: int, risk: int, more: int
) -> None:
    market = {"sigma_uticks": sigma, "decay_uticks": decay, "arrival_uhz": arrival}
    calm = solved(market, risk_uticks=risk)
    wild = solved(market | {"sigma_uticks": sigma * more}, risk_uticks=risk)
    averse = solved(market, risk_uticks=max(1, risk // more))
    busy = solved(market | {"arrival_uhz": arrival * more}, risk_uticks=risk)
    assert wild["base_uticks"] == calm["base_uticks"]
    assert wild["risk_half_uticks"] >= calm["risk_half_uticks"]
    assert wild["skew_full_uticks"] >= calm["skew_full_uticks"]
    assert averse["skew_full_uticks"] >= calm["skew_full_uticks"]
    assert averse["base_uticks"] <= calm["base_uticks"]
    assert busy["skew_full_uticks"] <= calm["skew_full_uticks"]


XS = st.integers(-PPM + 1, PPM - 1)


@settings(max_examples=100, deadline=None)
@given(x=XS, less=XS, flow=st.integers(-PPM, PPM), told=st.booleans())
def test_shading_falls_with_inventory_and_mirrors(x: int, less: int, flow: int, told: bool) -> None:
    params = TOLD if told else GLFT
    view = LIVE | {"x_ppm": max(x, less), "flow_ppm": flow}
    made = glft_ladder(view, params, PAIR)[2]
    lighter = glft_ladder(view | {"x_ppm": min(x, less)}, params, PAIR)[2]
    assert made["centre_uticks"] <= lighter["centre_uticks"]
    assert made["bids"][0][0] <= lighter["bids"][0][0]
    assert made["asks"][0][0] <= lighter["asks"][0][0]
    mirror = glft_ladder(view | {"x_ppm": -view["x_ppm"], "flow_ppm": -flow}, params, PAIR)[2]
    assert [20_000 - price for price, _ in mirror["asks"]] == [price for price, _ in made["bids"]]
    assert [20_000 - price for price, _ in mirror["bids"]] == [price for price, _ in made["asks"]]


@pytest.mark.parametrize(
    ("x_ppm", "bid", "ask"),
    [(500_000, "lower", "lower"), (0, "centred", "centred"), (-500_000, "higher", "higher")],
)
def test_table_of_shading_holds(x_ppm: int, bid: str, ask: str) -> None:
    flat, made = ladder(size_skew_ppm=500_000), ladder({"x_ppm": x_ppm}, size_skew_ppm=500_000)
    word = {-1: "lower", 0: "centred", 1: "higher"}
    for side, wanted in (("bids", bid), ("asks", ask)):
        moved = made[side][0][0] - flat[side][0][0]
        assert word[(moved > 0) - (moved < 0)] == wanted
    assert (made["bids"][0][1] < made["asks"][0][1]) == (x_ppm > 0)
    assert (made["bids"][0][1] > made["asks"][0][1]) == (x_ppm < 0)


# ------------------------------------------------------------------------ each parameter


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"risk_uticks": 10 * UTICKS}, "half_base_uticks"),
        ({"half_factor_ppm": 2 * PPM}, "half_base_uticks"),
        ({"half_factor_ppm": 2 * PPM}, "widen_sigma_uticks"),
        ({"skew_factor_ppm": 2 * PPM}, "skew_uticks"),
        ({"scale_lots": 200_000_000}, "skew_uticks"),
        ({"xi_ppm": 0}, "half_base_uticks"),
        ({"xi_ppm": 0}, "widen_sigma_uticks"),
        ({"fee_floor_ppm": 2_000}, "half_uticks"),
        ({"half_min_ppm": 2_000}, "half_uticks"),
        ({"half_max_ppm": 100}, "half_uticks"),
        ({"flow_full_ppm": 100}, "flow_uticks"),
        ({"num_orders": 2}, "bids"),
        ({"order_lots": 20_000_000}, "asks"),
        ({"level_step_ppm": 800}, "bids"),
        ({"size_skew_ppm": 300_000}, "asks"),
    ],
)
def test_every_parameter_changes_the_ladder(change: dict[str, int], part: str) -> None:
    view = {"x_ppm": 300_000, "flow_ppm": 200_000}
    assert ladder(view)[part] != ladder(view, **change)[part]


@pytest.mark.parametrize("change", [{"skew_full_ppm": 1_600}, {"xi_ppm": 0}])
def test_every_plain_parameter_changes_the_ladder(change: dict[str, int]) -> None:
    def made(params: dict[str, int]) -> dict[str, Any]:
        return glft_ladder(LIVE | {"x_ppm": 300_000}, params, PAIR)[2]

    assert made(TOLD) != made(TOLD | change)


def test_nothing_is_quoted_until_fitted_or_told() -> None:
    cold = LIVE | {"decay_uticks": 0, "arrival_uhz": 0}
    assert glft_ladder(cold, GLFT, PAIR)[0] == 0
    assert glft_ladder(cold, GLFT | {"prior_decay_ppm": 1_000}, PAIR)[0] == 0
    assert glft_ladder(cold, GLFT | {"prior_arrival_uhz": 1_000_000}, PAIR)[0] == 0
    prior = {"prior_decay_uticks": 10 * UTICKS, "prior_arrival_uhz": 1_000_000}
    assert glft_ladder(cold, GLFT | prior, PAIR)[2] == ladder()
    # 0.1 % of the reference, to eight binary places.
    prior = {"prior_decay_ppm": 1_000, "prior_arrival_uhz": 1_000_000}
    told = glft_ladder(cold, GLFT | prior, PAIR)[3]
    assert told["decay_uticks"] == pytest.approx(10 * UTICKS, rel=0.003)
    # A fit counts more than what was told before it.
    assert glft_ladder(LIVE, GLFT | {"prior_decay_ppm": 9, "prior_arrival_uhz": 9}, PAIR)[2] == (
        ladder()
    )


# ------------------------------------------------------------------------ the fence


@settings(max_examples=150, deadline=None)
@given(
    view=st.fixed_dictionaries(
        {
            "reference_uticks": st.integers(5_000 * UTICKS, 20_000 * UTICKS),
            "best_bid_ticks": st.integers(9_000, 9_999),
            "best_ask_ticks": st.integers(10_000, 11_000),
            "x_ppm": st.integers(-2 * PPM, 2 * PPM),
            "flow_ppm": st.integers(-PPM, PPM),
            "sigma_uticks": st.integers(0, 10**12),
            "decay_uticks": st.integers(0, 10**15),
            "arrival_uhz": st.integers(0, 10**15),
            "share_ppm": st.integers(0, PPM),
            "base_lots": st.integers(0, 10**9),
            "quote_lots_max": st.integers(0, 10**9),
            "jump_ppm": st.sampled_from([0, 0, 50_000]),
        }
    ),
    change=st.fixed_dictionaries(
        {
            "risk_uticks": st.one_of(st.just(0), st.integers(1, 10**18)),
            "skew_full_ppm": st.integers(0, 500_000),
            "xi_ppm": st.integers(0, PPM),
            "half_factor_ppm": st.integers(1, 10 * PPM),
            "skew_factor_ppm": st.integers(0, 10 * PPM),
            "fee_floor_ppm": st.integers(-1_000, 5_000),
            "half_min_ppm": st.integers(0, 2_000),
            "half_max_ppm": st.integers(5_000, 500_000),
            "num_orders": st.integers(1, 32),
        }
    ),
)
def test_no_ladder_crosses_or_breaks_the_fee_floor(
    view: dict[str, int], change: dict[str, int]
) -> None:
    view, params = LIVE | view, GLFT | change
    quoting, _, made, _ = glft_ladder(view, params, PAIR)
    assert quoting == bool(made["bids"] or made["asks"])
    if not quoting:
        return
    reference, fee = view["reference_uticks"], change["fee_floor_ppm"]
    half_max = reference * change["half_max_ppm"] // PPM
    assert max(1, reference * change["half_min_ppm"] // PPM) <= made["half_uticks"] <= half_max
    assert made["half_uticks"] >= min(half_max, math.ceil(reference * fee / PPM))
    bids, asks = [p for p, _ in made["bids"]], [p for p, _ in made["asks"]]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    if bids:
        assert bids[0] < view["best_ask_ticks"]
        assert bids[0] * UTICKS <= reference * (PPM - fee) / PPM
        assert view["x_ppm"] < PPM
    if asks:
        assert asks[0] > view["best_bid_ticks"]
        assert asks[0] * UTICKS >= reference * (PPM + fee) / PPM
        assert view["x_ppm"] > -PPM
        assert sum(lots for _, lots in made["asks"]) <= view["base_lots"]
    if bids and asks:
        assert bids[0] < asks[0]
    # The levels are those of the common shape around this centre and half-spread.
    assert made["centre_uticks"] == reference + made["skew_uticks"] + made["flow_uticks"]
    assert made["half_uticks"] <= half_max
    _, shaped = place_ladder(
        view, params, PAIR, centre_uticks=made["centre_uticks"], half_uticks=made["half_uticks"],
        fee_uticks=math.ceil(reference * fee / PPM), bids=bool(bids), asks=bool(asks),
    )  # fmt: skip
    assert (shaped["bids"], shaped["asks"]) == (made["bids"], made["asks"])


# ------------------------------------------------------------------------ the strategy


PARAMETERS = GlftParameters.of(GLFT)


def test_what_is_kept_between_ladders_changes_none() -> None:
    strategy = GlftStrategy(PAIR, PARAMETERS)
    for sigma in (1_000_000, 2_000_000, 2_000_001, 2_100_000, 0, 2_000_000):
        for decay in (10 * UTICKS, 11 * UTICKS):
            view = LIVE | {"sigma_uticks": sigma, "decay_uticks": decay, "x_ppm": 100_000}
            assert strategy.quote(view) == (1, glft_ladder(view, GLFT, PAIR)[2])
    assert strategy.solved["decay_uticks"] == 11 * UTICKS


def test_parameters_set_live_make_the_next_ladder() -> None:
    strategy = GlftStrategy(PAIR, PARAMETERS)
    _, before = strategy.quote(LIVE)
    strategy.params = replace(strategy.params, half_factor_ppm=3 * PPM)
    _, after = strategy.quote(LIVE)
    assert after["half_uticks"] == pytest.approx(3 * before["half_uticks"], abs=3)
    with pytest.raises(TypeError, match="GlftParameters"):
        strategy.params = GLFT  # type: ignore[assignment]
    assert strategy.quote(LIVE)[1] == after


def test_one_sided_state_is_kept_between_ladders() -> None:
    strategy = GlftStrategy(PAIR, PARAMETERS)
    strategy.quote(LIVE | {"share_ppm": 700_000})
    assert strategy.one_sided == 1
    _, made = strategy.quote(LIVE | {"share_ppm": 560_000})
    assert (strategy.one_sided, made["bids"]) == (1, [])
    assert made["clamps"] & QuoteClamp.CLAMP_ONE_SIDED
