"""Money, rate counters and costs of the simulated venue."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.accounts import (
    AMEND_BY_AGE,
    CANCEL_BY_AGE,
    TIERS,
    Money,
    RateCounter,
    cost_by_age,
)
from openmm.sim.dialects import KRAKEN_PAIRS as PAIRS
from tests.sim.venue import BTC, NS, T0

ATOM = Decimal("0.0001")


@given(
    st.sampled_from(sorted(PAIRS)),
    st.integers(1, 10**7),
    st.integers(1, 10**11),
    st.integers(0, 5000),
)
def test_cost_fee_and_hold_equal_exact_decimals(
    name: str, price_ticks: int, qty_lots: int, fee_ppm: int
) -> None:
    pair = PAIRS[name][0]
    money = Money(pair)
    cost = pair.price(price_ticks) * pair.qty(qty_lots)
    fee = cost * fee_ppm / 1_000_000
    assert money.cost_atoms(price_ticks, qty_lots) * ATOM == cost.quantize(ATOM, ROUND_HALF_UP)
    assert money.fee_atoms(price_ticks, qty_lots, fee_ppm) * ATOM == fee.quantize(
        ATOM, ROUND_HALF_UP
    )
    hold = money.hold_atoms(price_ticks, qty_lots, fee_ppm) * ATOM
    assert hold == (cost + fee).quantize(ATOM, ROUND_CEILING)
    base = Decimal(money.base_atoms(qty_lots)).scaleb(-pair.base_decimals)
    assert base == pair.qty(qty_lots)


def test_documented_fee_is_reproduced() -> None:
    money = Money(BTC)
    assert money.cost_atoms(265_999, 500_000) == 1_329_995
    assert money.fee_atoms(265_999, 500_000, 2600) == 3458


def test_rebates_round_half_up_as_well() -> None:
    assert Money(BTC).fee_atoms(265_999, 500_000, -2600) == -3458


@pytest.mark.parametrize(
    "pair", [replace(BTC, base_decimals=6), replace(BTC, quote_decimals=12)], ids=["base", "quote"]
)
def test_assets_too_coarse_or_too_fine_are_refused(pair: Instrument) -> None:
    with pytest.raises(ConfigError, match="decimals"):
        Money(pair)


def test_counter_decays_continuously_and_refuses_above_its_threshold() -> None:
    counter = RateCounter(125_000, 2_340)
    for _ in range(50):
        assert counter.add(1000, T0)
    assert counter.level_milli(T0 + 10 * NS) == 26_600
    assert counter.add(98_400, T0 + 10 * NS)
    assert not counter.add(1, T0 + 10 * NS)
    assert counter.level_milli(T0 + 10 * NS) == 125_000
    assert counter.add(5000, T0 + 10 * NS, forced=True)
    assert counter.level_milli(T0 + 10 * NS) == 130_000
    assert counter.level_milli(T0 + 1000 * NS) == 0


@pytest.mark.parametrize(
    ("age_s", "amend", "cancel"),
    [
        (0, 3, 8),
        (4.999, 3, 8),
        (5, 2, 6),
        (10, 1, 5),
        (15, 0, 4),
        (45, 0, 2),
        (90, 0, 1),
        (300, 0, 0),
    ],
)
def test_cost_of_touching_an_order_falls_with_its_age(
    age_s: float, amend: int, cancel: int
) -> None:
    age_ns = round(age_s * NS)
    assert cost_by_age(AMEND_BY_AGE, age_ns) == amend * 1000
    assert cost_by_age(CANCEL_BY_AGE, age_ns) == cancel * 1000


def test_tiers_are_those_of_the_venue() -> None:
    rows = {
        name: (t.threshold_milli, t.decay_milli_per_s, t.orders_max) for name, t in TIERS.items()
    }
    assert rows == {
        "starter": (60_000, 1_000, 60),
        "intermediate": (125_000, 2_340, 80),
        "pro": (180_000, 3_750, 225),
    }
