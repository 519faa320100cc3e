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
    file = config(inventory_scale="0.3", price_floor="100", price_ceiling="90000.5")
    text = shown(file).get(key)
    assert text is not None
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


SHAPED = {
    "spacing": "custom", "level_offsets": ["0bps", "7bps", "30bps"], "sizes": "custom",
    "level_amounts": ["0.01", "0.005", "0.0125"], "hanging": True,
    "schedule": [
        {"from": "21:00", "to": "23:30", "widen": "3bps"},
        {"from": "23:59:30", "to": "00:05", "quote": False},
    ],
}  # fmt: skip


def test_lists_and_windows_are_one_text_to_a_change() -> None:
    file = config(**SHAPED)
    texts = shown(file)
    assert texts["strategy.level_offsets"] == "0%, 0.07%, 0.3%"
    assert texts["strategy.level_amounts"] == "0.01, 0.005, 0.0125"
    assert texts["strategy.schedule"] == "21:00-23:30 0.03%, 23:59:30-00:05 off"
    given = {key.removeprefix("strategy."): text for key, text in texts.items()}
    given.pop("level_step")  # has no place beside custom spacing
    assert change(file, given).strategy == file.strategy
    after = change(file, {"level_offsets": "0bps,8bps,9bps", "hanging": "false"}).strategy
    assert isinstance(after, Grid)
    assert (after.level_offsets_ppm, after.hanging) == ((0, 800, 900), False)


def test_shape_of_another_kind_comes_in_one_change_with_what_it_needs() -> None:
    with pytest.raises(ConfigErrors, match="level_offsets"):
        change(config(), {"spacing": "custom"})
    after = change(config(), {"spacing": "custom", "level_offsets": "0bps,5bps,9bps"}).strategy
    assert isinstance(after, Grid)
    assert after.offsets_ppm(after.level_step_ppm) == (0, 500, 900)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price_floor": "49999"}, "at least 50000"),
        ({"price_floor": "off"}, "got 'off'"),
        ({"price_ceiling": "70000.1"}, "at most 70000"),
    ],
)
def test_price_band_is_never_wider_than_the_files(changes: dict[str, str], words: str) -> None:
    file = config(price_floor="50000", price_ceiling="70000")
    with pytest.raises(RiskError, match=words) as caught:
        change(file, changes)
    assert caught.value.code == "looser"
    narrower = change(file, {"price_floor": "55000", "price_ceiling": "65000"}).strategy
    assert isinstance(narrower, Grid)
    assert (narrower.price_floor, narrower.price_ceiling) == (Decimal(55_000), Decimal(65_000))
    opened = change(config(), {"price_floor": "55000"})
    assert isinstance(change(config(), {"price_floor": "off"}, opened).strategy, Grid)
