"""GLFT and Avellaneda-Stoikov in a bot's file: each key, and what contradicts itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openmm.config import intensity_params, model_params, parse, strategy_params
from openmm.config.params import gamma_of
from openmm.config.schema import Avellaneda, Glft, Ladder, Model, key_of
from openmm.control import ladder
from openmm.errors import ConfigError, ConfigErrors
from openmm.strategy.model_parameters import AvellanedaParameters, GlftParameters
from openmm.testing.workload import canonical_instrument

INSTRUMENT = canonical_instrument()
COMMON: dict[str, Any] = {
    "order_amount": "0.01", "num_orders": 3, "rebalance_threshold": "10%", "skew_full": "8bps",
}  # fmt: skip
GLFT = COMMON | {"kind": "glft", "fit_decay": "3bps", "fit_arrival": "0.5"}
PAPER = COMMON | {"kind": "avellaneda", "fit_decay": "3bps"}


def file(strategy: dict[str, Any], **signal: str) -> dict[str, Any]:
    return {
        "bot": {"name": "model", "mode": "paper"},
        "venue": [
            {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.02%", "taker_fee": "0.05%"}
        ],
        "strategy": {key: value for key, value in strategy.items() if value is not None},
        "signal": signal,
        "risk": {
            "max_order_size": "0.05", "max_open_notional": "20000", "max_inventory": "0.5",
            "max_drawdown": "2%",
        },
    }  # fmt: skip


def params(strategy: dict[str, Any]) -> dict[str, Any]:
    return strategy_params(parse(file(strategy)), INSTRUMENT)


KEYS: list[tuple[dict[str, Any], str, object]] = [
    ({"skew_full": None, "gamma": "0.01"}, "risk_uticks", 100_000 * 1_000_000),
    ({"skew_full": "5bps"}, "skew_full_ppm", 500),
    ({"half_factor": "1.5"}, "half_factor_ppm", 1_500_000),
    ({"level_step": "7bps"}, "level_step_ppm", 700),
    ({"flow_full": "2bps"}, "flow_full_ppm", 200),
    ({"spread_min": "4bps"}, "half_min_ppm", 200),
    ({"spread_max": "1%"}, "half_max_ppm", 5_000),
    ({"min_edge": "1bps"}, "fee_floor_ppm", 300),
    ({"fee_budget": "1bps"}, "fee_floor_ppm", 100),
    ({"inventory_scale": "0.25"}, "scale_lots", 25_000_000),
    ({"fit_decay": "4bps"}, "prior_decay_ppm", 400),
    ({"size_skew": "10%"}, "size_skew_ppm", 100_000),
]


@pytest.mark.parametrize(("told", "field", "value"), KEYS)
@pytest.mark.parametrize("base", [GLFT, PAPER], ids=["glft", "avellaneda"])
def test_key_reaches_its_field(
    base: dict[str, Any], told: dict[str, Any], field: str, value: object
) -> None:
    plain, after = params(base), params(base | told)
    assert plain[field] != after[field] == value
    moved = {name for name in plain if plain[name] != after[name]}
    assert moved == {field} | ({"skew_full_ppm"} if "gamma" in told else set())


@pytest.mark.parametrize(
    ("base", "told", "field", "value"),
    [
        (GLFT, {"xi": "50%"}, "xi_ppm", 500_000),
        (GLFT, {"fit_arrival": "2"}, "prior_arrival_uhz", 2_000_000),
        (GLFT, {"fit_decay": "5 ticks"}, "prior_decay_uticks", 5_000_000),
        (PAPER, {"horizon": "10m"}, "horizon_ns", 600_000_000_000),
        (PAPER, {"horizon_mode": "repeating"}, "repeating", 1),
        (
            GLFT | {"skew_full": None, "gamma": "0.01"}, {"skew_factor": "2"}, "skew_factor_ppm",
            2_000_000,
        ),
    ],
)  # fmt: skip
def test_key_of_one_model_reaches_its_field(
    base: dict[str, Any], told: dict[str, Any], field: str, value: object
) -> None:
    assert params(base)[field] != params(base | told)[field] == value


def test_every_key_of_the_models_has_a_test() -> None:
    own = {key_of(name) for one in (Model, Glft, Avellaneda) for name in one.model_fields}
    own -= {key_of(name) for name in Ladder.model_fields} | {"kind"}
    tested = {key for told, _, _ in KEYS for key in told}
    tested |= {"xi", "fit_arrival", "horizon", "horizon_mode", "skew_factor"}
    # Those of the planner, as the grid's.
    assert own - tested == {"requote_threshold", "tolerance", "queue_value"}


def test_fields_are_the_kernels() -> None:
    assert GlftParameters.of(params(GLFT)).fields() == params(GLFT)
    assert AvellanedaParameters.of(params(PAPER)).fields() == params(PAPER)


def test_fit_keys_reach_the_estimator() -> None:
    told = intensity_params(parse(file(GLFT, fit_sample="1s", fit="30m")).signal, 600_000)
    assert told == {
        "sample_ns": 1_000_000_000, "half_life_ns": 1_800_000_000_000, "price_ticks": 600_000,
    }  # fmt: skip
    plain = intensity_params(parse(file(GLFT)).signal, 600_000)
    assert (plain["sample_ns"], plain["half_life_ns"]) == (250_000_000, 600_000_000_000)


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"gamma": "0.01"}, "gamma"),
        ({"skew_full": None}, "gamma"),
        ({"skew_factor": "2"}, "skew_factor"),
        ({"half_factor": "1001"}, "half_factor"),
        ({"half_factor": "0"}, "half_factor"),
        ({"spread_min": "6%"}, "spread_max"),
        ({"rebalance_exit": "11%"}, "rebalance_exit"),
        ({"gamma": "-1", "skew_full": None}, "gamma"),
        ({"skew_full": "60%"}, "skew_full"),
    ],
)
@pytest.mark.parametrize("base", [GLFT, PAPER], ids=["glft", "avellaneda"])
def test_what_contradicts_itself_is_refused(
    base: dict[str, Any], told: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse(file(base | told))
    assert f"strategy.{key}" in {error.path for error in caught.value.errors}


def test_half_a_prior_is_refused() -> None:
    for told in ({"fit_decay": None}, {"fit_arrival": None}):
        with pytest.raises(ConfigErrors, match="fit_arrival"):
            parse(file(GLFT | told))


def test_gamma_beyond_the_kernel_is_refused_with_its_bounds() -> None:
    with pytest.raises(ConfigError, match=r"strategy\.gamma"):
        params(GLFT | {"skew_full": None, "gamma": "1e15"})


def test_a_grid_is_no_model() -> None:
    grid = COMMON | {"kind": "grid", "spread": "10bps"}
    with pytest.raises(ConfigError, match=r"strategy\.kind"):
        model_params(parse(file(grid)), INSTRUMENT)


@pytest.mark.parametrize("base", [GLFT, PAPER], ids=["glft", "avellaneda"])
def test_paper_and_plain_parameters_are_told_each_from_the_other(base: dict[str, Any]) -> None:
    mid = Decimal(60_000)
    plain = ladder.model(parse(file(base)), INSTRUMENT, mid)
    assert plain["skew_full"] == Decimal("0.0008")
    paper = parse(file(base | {"skew_full": None, "gamma": f"{plain['gamma']:f}"}))
    told = ladder.model(paper, INSTRUMENT, mid)
    assert float(told["skew_full"]) == pytest.approx(0.0008, rel=0.005)
    assert float(told["half"]) == pytest.approx(float(plain["half"]), rel=0.005)
    assert isinstance(paper.strategy, Model)
    risk_uticks = params(base | {"skew_full": None, "gamma": "0.02"})["risk_uticks"]
    assert gamma_of(risk_uticks, paper.strategy, INSTRUMENT) == pytest.approx(Decimal("0.02"))


def test_preview_of_a_model_needs_an_intensity() -> None:
    mid = Decimal(60_000)
    shown = ladder.preview(parse(file(GLFT)), INSTRUMENT, mid)
    assert shown is not None
    assert len(shown["bids"]) == len(shown["asks"]) == 3
    cold = parse(file(GLFT | {"fit_decay": None, "fit_arrival": None}))
    assert ladder.preview(cold, INSTRUMENT, mid) is None
    assert ladder.model(cold, INSTRUMENT, mid) == {}
    assert ladder.model(parse(file(GLFT)), None, mid) == {}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("schedule", "21:00-23:30 3bps", "a grid's alone"),
        ("narrow_rate", "1bps", "vol_slow"),
        ("refill_delay", "2s", "shift for the inventory"),
        ("ping_pong", True, "shift for the inventory"),
        ("hanging", True, "shift for the inventory"),
        ("hanging_age_max", "1h", "shift for the inventory"),
        ("hanging_distance_max", "1%", "shift for the inventory"),
        ("spread", "2bps", "half_factor"),
        ("vol_factor", "1", "half_factor"),
        ("quote_rest", "5s", "half_factor"),
        ("depth_factor", "1bps", "half_factor"),
        ("inventory_widen", "1bps", "half_factor"),
    ],
)
@pytest.mark.parametrize("kind", [GLFT, PAPER], ids=["glft", "avellaneda"])
def test_what_only_a_grid_has_is_refused_with_the_reason(
    kind: dict[str, Any], key: str, value: Any, told: str
) -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse(file(kind | {key: value}))
    (error,) = refused.value.errors
    assert error.path == f"strategy.{key}"
    assert told in str(error)
    assert "did you mean" not in str(error)
