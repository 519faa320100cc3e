"""A running bot's strategy with some keys changed: by the file's rules, never looser than it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openmm.config import BotConfig, Grid, parse
from openmm.config.change import changeable, shown, unfit, with_strategy
from openmm.config.schema import Strategy, key_of
from openmm.errors import CommandError, ConfigErrors, RiskError
from openmm.testing.canonical import make_bot

INSTRUMENT = make_bot().instrument
MID = Decimal(60_000)


def config(**strategy: Any) -> BotConfig:
    """Make a bot's configuration whose file says little of its strategy."""
    return parse(
        {
            "bot": {"name": "change", "mode": "paper"},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.1%", "taker_fee": "0.2%"}
            ],
            "strategy": {
                "kind": "grid", "spread": "0.6%", "order_amount": "0.01", "num_orders": 3,
                "rebalance_threshold": "10%", **strategy,
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "20000", "max_inventory": "0.5",
                "max_drawdown": "5%",
            },
        }
    )  # fmt: skip


def change(file: BotConfig, changes: dict[str, str], before: BotConfig | None = None) -> BotConfig:
    return with_strategy(file, before or file, changes, INSTRUMENT, MID)


def test_what_the_file_leaves_out_follows_and_what_it_says_stays() -> None:
    plain = change(config(), {"spread": "1%"}).strategy
    told = change(config(level_step="0.2%"), {"spread": "1%"}).strategy
    assert isinstance(plain, Grid)
    assert isinstance(told, Grid)
    assert (plain.spread_ppm, plain.level_step_ppm, plain.skew_full_ppm) == (10_000, 5_000, 4_000)
    assert (told.spread_ppm, told.level_step_ppm, told.skew_full_ppm) == (10_000, 2_000, 4_000)
    again = change(config(), {"level_step": "0.1%"}, change(config(), {"spread": "1%"})).strategy
    assert isinstance(again, Grid)
    assert (again.spread_ppm, again.level_step_ppm) == (10_000, 1_000)


@pytest.mark.parametrize("key", [key for key in changeable(config()) if key != "strategy.kind"])
def test_every_value_that_is_shown_can_be_given_back(key: str) -> None:
    text = shown(config(inventory_scale="0.3")).get(key)
    assert text is not None
    file = config(inventory_scale="0.3")
    after = change(file, {key.removeprefix("strategy."): text})
    assert shown(after) == shown(file)


def test_all_of_a_strategy_but_what_it_is_can_be_changed() -> None:
    every = {f"strategy.{key_of(name)}" for name in Grid.model_fields}
    assert set(changeable(config())) == every - {"strategy.kind"}
    assert {f"strategy.{key_of(name)}" for name in Strategy.model_fields} <= every


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spread": "0.1%"}, "the maker fee 0.1% both ways"),
        ({"spread": "0.19%"}, "at least 0.2%"),
        ({"order_amount": "0.019"}, "at most risk.max_order_size"),
        ({"num_orders": "60"}, "less than or equal to 32"),
        ({"num_orders": "3.5"}, "valid integer"),
        ({"spread_max": "0.5%"}, "at least strategy.spread"),
        ({"order_amount": "0.000000001"}, "minimum"),
        ({"spread": "9%", "num_orders": "3"}, "more than the outermost level's distance"),
    ],
)
def test_what_the_file_would_not_take_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        change(config(), changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("changes", [{"fee_budget": "0.2%"}, {"min_edge": "0%"}])
def test_floor_that_fees_put_under_the_spread_is_never_lower_than_the_files(
    changes: dict[str, str],
) -> None:
    with pytest.raises(RiskError) as caught:
        change(config(min_edge="0.1%", fee_budget="0.1%"), changes)
    assert caught.value.code == "looser"
    higher = change(config(min_edge="0.1%"), {"min_edge": "0.15%"})
    with pytest.raises(ConfigErrors, match=r"at least 0\.5%"):
        change(config(min_edge="0.1%"), {"spread": "0.4%"}, higher)


@pytest.mark.parametrize("key", ["kind", "nonsense", "class", ""])
def test_key_that_is_not_the_strategys_to_change_is_refused(key: str) -> None:
    with pytest.raises(CommandError) as caught:
        change(config(), {key: "1"})
    assert caught.value.code == "bad_change"


def test_limit_tightened_below_the_ladder_does_not_keep_other_changes_out() -> None:
    file = config()
    tight = file.model_copy(
        update={"risk": file.risk.model_copy(update={"max_order_size": Decimal("0.012")})}
    )
    assert any("order_amount" in text for text in unfit(tight, INSTRUMENT, MID))
    after = change(file, {"spread": "1%"}, tight)
    assert after.risk.max_order_size == Decimal("0.012")
    assert unfit(change(file, {"order_amount": "0.005"}, tight), INSTRUMENT, MID) == []
