"""From a file's ladder to the kernels' integers: what each key of its shape moves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openmm.config import grid_params, parse
from openmm.errors import ConfigError, ConfigErrors
from openmm.strategy.grid import GridStrategy
from openmm.strategy.parameters import GridParameters
from openmm.testing.canonical import make_bot
from tests._fast.test_quotes import VIEW

INSTRUMENT = make_bot().instrument
PLAIN: dict[str, Any] = {
    "kind": "grid", "spread": "0.6%", "order_amount": "0.01", "num_orders": 3,
    "rebalance_threshold": "10%",
}  # fmt: skip
OFFSETS = {"spacing": "custom", "level_offsets": ["1bps", "7bps", "30bps"]}
NOISY = {"from": "21:00", "to": "22:00"}
AMOUNTS = {"sizes": "custom", "level_amounts": ["0.01", "0.005", "0.0125"]}


def params(**strategy: Any) -> dict[str, Any]:
    """Return the parameters of the plain file with some keys of [strategy] told."""
    config = parse(
        {
            "bot": {"name": "params", "mode": "paper"},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.1%", "taker_fee": "0.2%"}
            ],
            "strategy": PLAIN | strategy,
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "20000", "max_inventory": "0.5",
                "max_drawdown": "5%",
            },
        }
    )  # fmt: skip
    return grid_params(config, INSTRUMENT)


@pytest.mark.parametrize(
    ("told", "field", "value"),
    [
        ({"spacing": "geometric", "level_ratio": "1.5"}, "level_offsets_ppm", (0, 3_000, 7_500)),
        ({"spacing": "geometric", "level_ratio": "1.0001"}, "level_offsets_ppm", (0, 3_000, 6_000)),
        (OFFSETS, "level_offsets_ppm", (100, 700, 3_000)),
        ({"sizes": "pyramid", "size_step": "50%"}, "level_lots", (1_000_000, 1_500_000, 2_000_000)),
        ({"sizes": "pyramid", "size_step": "-12.5%"}, "level_lots", (1_000_000, 875_000, 750_000)),
        (AMOUNTS, "level_lots", (1_000_000, 500_000, 1_250_000)),
        ({"price_floor": "1000.01"}, "floor_ticks", 10_001),
        ({"price_ceiling": "90000.09"}, "ceiling_ticks", 900_000),
        ({"schedule": "21:00-00:30 3bps"}, "schedule", ((75_600, 1_800, 300, 0),)),
        ({"narrow_rate": "2bps"}, "narrow_ppm", 200),
        ({"refill_delay": "5s"}, "refill_ns", 5 * 10**9),
        ({"ping_pong": True}, "ping_pong", 1),
        ({"hanging": True}, "hanging", 1),
        ({"hanging_age_max": "30s"}, "hanging_ns_max", 30 * 10**9),
        ({"hanging_distance_max": "1%"}, "hanging_distance_ppm", 10_000),
    ],
    ids=str,
)
def test_key_of_the_shape_reaches_its_field_and_no_other(
    told: dict[str, Any], field: str, value: object
) -> None:
    plain, after = params(), params(**told)
    assert after[field] == value
    assert {name for name in plain if plain[name] != after[name]} == {field}
    assert GridParameters(**after).fields() == after


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"level_ratio": "1.5"}, "level_ratio"),
        ({"spacing": "geometric", "level_ratio": "0.9"}, "level_ratio"),
        ({"spacing": "geometric", "level_ratio": "11"}, "level_ratio"),
        (
            {
                "spacing": "geometric", "level_ratio": "10", "num_orders": 9,
                "order_amount": "0.001",
            },
            "level_ratio",
        ),
        ({"spacing": "custom"}, "level_offsets"),
        ({"level_offsets": ["1bps"] * 3}, "level_offsets"),
        (OFFSETS | {"num_orders": 2}, "level_offsets"),
        (OFFSETS | {"level_offsets": ["1bps", "7bps", "7bps"]}, "level_offsets"),
        (OFFSETS | {"level_offsets": ["1bps", "7bps", "51%"]}, "level_offsets"),
        (OFFSETS | {"level_step": "1bps"}, "level_step"),
        ({"size_step": "5%"}, "size_step"),
        ({"sizes": "pyramid", "size_step": "-50%"}, "size_step"),
        ({"sizes": "custom"}, "level_amounts"),
        (AMOUNTS | {"order_amount": "0.02"}, "level_amounts"),
        (AMOUNTS | {"level_amounts": ["0.01", "0", "0.01"]}, "level_amounts"),
        ({"sizes": "pyramid", "size_step": "300%"}, "order_amount"),
        ({"price_floor": "5", "price_ceiling": "5"}, "price_floor"),
        ({"schedule": "21:00-21:00 3bps"}, "schedule"),
        ({"schedule": "21:00-25:00 3bps"}, "schedule"),
        ({"schedule": "21:00-22:00"}, "schedule"),
        ({"schedule": [NOISY | {"quote": True}]}, "schedule"),
        ({"schedule": [NOISY | {"quote": False, "widen": "1bps"}]}, "schedule"),
    ],
    ids=str,
)  # fmt: skip
def test_shape_that_contradicts_itself_is_refused(told: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        params(**told)
    paths = {error.path for error in caught.value.errors}
    assert paths - {"risk.price_collar"} == {f"strategy.{key}"}


def test_custom_amount_is_a_whole_number_of_lots() -> None:
    with pytest.raises(ConfigError, match="level_amounts"):
        params(**AMOUNTS | {"level_amounts": ["0.01", "0.0000000051", "0.01"]})


def test_geometric_and_pyramid_stand_on_the_market_as_the_file_says() -> None:
    told = params(spacing="geometric", level_ratio="2", sizes="pyramid", size_step="100%")
    view = VIEW | {
        "reference_uticks": 600_000 * 10**6, "best_bid_ticks": 599_000, "best_ask_ticks": 601_000,
    }  # fmt: skip
    _, ladder = GridStrategy(INSTRUMENT, GridParameters(**told)).quote(view)
    one = Decimal("0.01")
    assert [price for price, _ in ladder["bids"]] == [598_200, 596_400, 592_800]
    assert [INSTRUMENT.qty(lots) for _, lots in ladder["asks"]] == [one, 2 * one, 3 * one]
