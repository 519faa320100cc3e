"""Limits made tighter on a running bot: never looser than its file, told in the file's words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import fields

from openmm.config import BotConfig, parse
from openmm.engine.commands import Tighten
from openmm.errors import RiskError
from openmm.instrument import Instrument
from openmm.risk.brakes import BrakeLimits
from openmm.risk.limits import (
    LOWER,
    TIGHTENED,
    UPPER,
    limits,
    monitor_limits,
    shown,
    tightened,
)
from openmm.testing.workload import canonical_instrument

RISK: dict[str, Any] = {
    "max_order_size": "0.05", "min_order_size": "0.001", "max_open_notional": "20000",
    "max_order_notional": "5000", "max_inventory": "0.5", "max_drawdown": "2%",
    "max_drawdown_peak": "4%", "base_reserve": "0.1", "quote_reserve": "100", "max_orders": 40,
}  # fmt: skip
# One step tighter and one step looser than the file, by key.
STEPS: dict[str, tuple[str, str]] = {
    "max_order_size": ("0.04", "0.06"),
    "min_order_size": ("0.002", "0.0005"),
    "max_order_notional": ("4999", "5001"),
    "max_open_notional": ("19999.5", "20000.5"),
    "max_inventory": ("0.4", "0.6"),
    "max_drawdown": ("1%", "3%"),
    "max_drawdown_peak": ("3%", "5%"),
    "price_collar": ("4%", "6%"),
    "max_orders": ("39", "41"),
    "max_message_age": ("4s", "6s"),
    "max_clock_offset": ("1s", "3s"),
    "max_slippage": ("0.5%", "2%"),
    "fills_per_minute": ("119", "121"),
    "rejects_per_minute": ("59", "61"),
    "post_only_per_minute": ("29", "31"),
    "cancels_per_minute": ("999", "1001"),
    "base_reserve": ("0.2", "0.05"),
    "quote_reserve": ("200", "50"),
}


def bot(without: str = "", **risk: Any) -> BotConfig:
    return parse(
        {
            "bot": {"name": "desk", "mode": "paper"},
            "venue": [{"name": "kraken", "quote": "BTC/USD", "taker_fee": "0.35%"}],
            "strategy": {
                "kind": "grid", "spread": "0.6%", "order_amount": "0.01", "num_orders": 5,
                "rebalance_threshold": "10%",
            },
            "risk": {name: value for name, value in (RISK | risk).items() if name != without},
        }
    )  # fmt: skip


@pytest.fixture
def instrument() -> Instrument:
    return canonical_instrument()


def test_command_table_of_steps_and_limits_name_the_same_keys() -> None:
    told = {field.name for field in fields(Tighten)} - {"key"}
    assert told == set(TIGHTENED) == set(STEPS)
    assert set(UPPER) | set(LOWER) == set(TIGHTENED.values())


@pytest.mark.parametrize("key", list(STEPS))
def test_tighter_is_taken_and_reaches_kernel_or_monitor(key: str, instrument: Instrument) -> None:
    file = bot()
    now = tightened(file, file, {key: STEPS[key][0]})
    assert shown(now)[key] == STEPS[key][0]
    assert {k: v for k, v in shown(now).items() if k != key} == {
        k: v for k, v in shown(file).items() if k != key
    }
    before = (limits(file, instrument), monitor_limits(file, instrument))
    assert (limits(now, instrument), monitor_limits(now, instrument)) != before


@pytest.mark.parametrize("key", list(STEPS))
def test_looser_than_the_file_is_refused_with_limit_value_and_what_is_allowed(key: str) -> None:
    file = bot()
    side = "at least" if TIGHTENED[key] in LOWER else "at most"
    with pytest.raises(RiskError) as caught:
        tightened(file, file, {key: STEPS[key][1]})
    text = str(caught.value)
    assert text.startswith(f"risk.{key}: never looser than the file: {side} {shown(file)[key]}; ")
    assert text.endswith(f"got '{STEPS[key][1]}'")
    # Neither after it was tightened: the file is the bound, not what is in force.
    with pytest.raises(RiskError):
        tightened(file, tightened(file, file, {key: STEPS[key][0]}), {key: STEPS[key][1]})


def test_back_to_the_files_value_is_no_loosening() -> None:
    file = bot()
    tight = tightened(file, file, {"max_inventory": "0.1"})
    assert shown(tightened(file, tight, {"max_inventory": "0.5"})) == shown(file)


def test_one_looser_among_tighter_changes_nothing() -> None:
    file = bot()
    with pytest.raises(RiskError, match="max_drawdown"):
        tightened(file, file, {"max_inventory": "0.1", "max_drawdown": "3%"})


def test_limit_that_the_file_leaves_off_may_be_set() -> None:
    file = bot(without="max_drawdown_peak")
    assert shown(file)["max_drawdown_peak"] is None
    assert shown(tightened(file, file, {"max_drawdown_peak": "50%"}))["max_drawdown_peak"] == "50%"


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("max_order_size", "0", "more than zero"),
        ("max_order_size", "-1", "more than zero"),
        ("max_order_size", "lots", "lots"),
        ("max_order_size", "NaN", "NaN"),
        ("max_drawdown", "0.01", "0.01"),
        ("max_drawdown", "0%", "0%"),
        ("max_orders", "0", "0"),
        ("max_orders", "1.5", "1.5"),
        ("max_message_age", "5", "5"),
        ("cooldown", "1s", "known limits"),
        ("spread", "1%", "known limits"),
    ],
)
def test_what_is_no_limit_is_one_clear_error(key: str, text: str, told: str) -> None:
    file = bot()
    with pytest.raises(RiskError, match=told) as caught:
        tightened(file, file, {key: text})
    assert "\n" not in str(caught.value)
    assert (key if told == "known limits" else text) in str(caught.value)


def test_nothing_given_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(RiskError, match="max_order_size"):
        tightened(bot(), bot(), {})


def test_monitor_watches_the_files_limits(instrument: Instrument) -> None:
    watched = monitor_limits(bot(cooldown="1m", brake="7s"), instrument)
    assert watched.brakes == BrakeLimits(120, 60, 30, 1_000, 7_000_000_000)
    assert (watched.slippage_ppm_max, watched.drawdown_ppm_max) == (10_000, 20_000)
    assert (watched.drawdown_peak_ppm_max, watched.cooldown_ns) == (40_000, 60_000_000_000)
    assert watched.inventory_lots_max == instrument.floor_lots(Decimal("0.5"))
