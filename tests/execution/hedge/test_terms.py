"""Units of two venues in one, bounds of the terms, and what a hedge adds to the least edge."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from msgspec.structs import replace

from openmm.config import parse
from openmm.config.params import grid_params
from openmm.errors import ConfigError
from openmm.execution.hedge import HedgeTerms, HedgeUnits
from tests.execution.hedge.two_venues import HEDGE, QUOTING, UNITS, terms


def test_both_venues_lots_are_whole_atoms() -> None:
    assert UNITS.atom == Decimal("1E-12")
    assert UNITS.quote_atoms(1) == 10**6
    assert UNITS.lot_atoms == 10**8
    assert UNITS.atoms(Decimal("0.1")) == 10**11


def test_money_goes_to_tickatoms_and_back_through_the_rate() -> None:
    assert UNITS.tickatoms(Decimal("60000.5"), quoting=True) == 600_005 * 10**12
    assert UNITS.money(600_005 * 10**12) == Decimal("60000.5000")
    tether = HedgeUnits.of(replace(QUOTING, quote="USDT"), HEDGE, Fraction(999, 1000))
    assert tether.tickatoms(Decimal(1000), quoting=True) == 9990 * 10**12
    assert tether.tickatoms(Decimal(1000), quoting=False) == 10_000 * 10**12


def test_pairs_that_do_not_hedge_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="a pair of BTC; got 'ETH/USD'"):
        HedgeUnits.of(QUOTING, replace(HEDGE, base="ETH", name="ETH/USD"))
    with pytest.raises(ConfigError, match="or a rate; got 'BTC/USD'"):
        HedgeUnits.of(replace(QUOTING, quote="USDT"), HEDGE)
    with pytest.raises(ConfigError, match="more than zero"):
        HedgeUnits.of(QUOTING, HEDGE, Fraction(0))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"unhedged_max": Decimal("0.0004")}, "hedge.unhedged_atoms_max"),
        ({"urgent_share_ppm": 1_000_001}, "hedge.urgent_atoms"),
        ({"slippage_ppm": 1_000_000}, "hedge.slippage_ppm"),
        ({"when": "never"}, "hedge.when"),
        ({"attempts_max": 0}, "hedge.attempts_max"),
        ({"live_max": 0}, "hedge.live_max"),
        ({"order_lots_max": 4}, "hedge.order_lots_max"),
        ({"delay_ns": 6_000_000_000}, "hedge.exposure_ns_max"),
        ({"lag_ns": -1}, "hedge.lag_ns"),
    ],
)
def test_terms_that_cannot_hold_are_refused(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        terms(**changes)
    assert caught.value.path == path


def test_the_least_order_follows_from_quantity_and_cost() -> None:
    one = terms()
    assert one.least_lots(600_000) == 7  # 40 USD at 60,000 are 6.7 lots
    assert one.least_lots(6_000_000) == 5  # 0.0005
    assert one.least_lots(0) == 5


def test_terms_whose_orders_cost_too_little_at_a_price_are_refused() -> None:
    terms().check_price(600_000)
    terms(order_lots_max=7).check_price(600_000)  # 40 USD
    with pytest.raises(ConfigError, match="7 lots at 600000; got 6") as caught:
        terms(order_lots_max=6).check_price(600_000)
    assert caught.value.path == "hedge.order_lots_max"
    with pytest.raises(ConfigError, match="67 lots at 60000; got '50 lots'") as caught:
        terms(unhedged_max=Decimal("0.005")).check_price(60_000)
    assert caught.value.path == "hedge.unhedged_atoms_max"


def edge(**changes: Any) -> HedgeTerms:
    return terms(taker_fee_ppm=400, slippage_ppm=3_000, **changes)


@pytest.mark.parametrize(
    ("one", "half_spread_ppm", "floor_ppm"),
    [
        (edge(), 50, 450),
        (edge(allowance_ppm=100), 50, 550),
        (edge(latency_ppm=20), 50, 470),
        (edge(edge_ppm_min=70), 50, 520),
        # A hedge never pays more than the slippage bound.
        (edge(), 5_000, 3_400),
        (edge(allowance_ppm=2_999), 50, 3_400),
    ],
)
def test_edge_floor_adds_up(one: HedgeTerms, half_spread_ppm: int, floor_ppm: int) -> None:
    assert one.edge_floor_ppm(half_spread_ppm) == floor_ppm


def test_a_negative_spread_is_no_spread() -> None:
    with pytest.raises(ConfigError, match="half_spread_ppm"):
        edge().edge_floor_ppm(-1)


def test_edge_floor_is_part_of_the_grids_fee_floor() -> None:
    floor_ppm = edge().edge_floor_ppm(50)

    def floor(min_edge: str) -> int:
        config = parse(
            {
                "bot": {"name": "cross", "mode": "paper"},
                "venue": [{"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.1%"}],
                "strategy": {
                    "kind": "grid", "spread": "2%", "order_amount": "0.01", "num_orders": 1,
                    "rebalance_threshold": "10%", "min_edge": min_edge,
                },
                "risk": {
                    "max_order_size": "0.05", "max_open_notional": "20000",
                    "max_inventory": "0.5", "max_drawdown": "2%",
                },
            }
        )  # fmt: skip
        return int(grid_params(config, HEDGE)["fee_floor_ppm"])

    assert floor(f"{Decimal(floor_ppm) / 10_000}%") == floor("0%") + floor_ppm == 1_450
