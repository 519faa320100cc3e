"""A proposed grid pays its fees, fits its capital, and says why it is so."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.control.sizing import Market, market, propose
from openmm.errors import ConfigError
from openmm.instrument import Instrument

D = Decimal
BTC = Instrument(
    "kraken", "BTC/USD", "BTC", "USD", 1, 8, D("0.1"), D("0.00000001"), D("0.00005"), D("0.5"), 8, 4
)


def seen(sigma_ppm: int | None = 100, bid: str = "60000", ask: str = "60001") -> Market:
    return Market(D(bid), D(ask), sigma_ppm, 60)


def test_market_is_measured_by_its_minutes() -> None:
    flat = market(D(99), D(101), [D(100)] * 10)
    assert (flat.sigma_ppm, flat.minutes, flat.mid, flat.spread_ppm) == (0, 9, D(100), 20_000)
    moving = market(D(99), D(101), [D(100), D("100.1"), D(100), D("100.1")])
    assert moving.sigma_ppm == 1000 - 1 or moving.sigma_ppm == 1000
    assert market(D(99), D(101), [D(100), D(101)]).sigma_ppm is None


@pytest.mark.parametrize(
    ("market_now", "fee_ppm", "spread_ppm", "why"),
    [
        (seen(100), 2_500, 5_200, "maker fee both ways"),
        (seen(2_000), 800, 9_000, "usual move of 5 minutes"),
        (seen(10, "60000", "60600"), 800, 10_000, "the market's own spread"),
        (seen(None), 0, 2_000, "not known yet"),
    ],
)
def test_spread_is_the_widest_of_what_asks_for_one(
    market_now: Market, fee_ppm: int, spread_ppm: int, why: str
) -> None:
    found = propose(BTC, market_now, D(2000), fee_ppm)
    assert found.spread_ppm == spread_ppm
    assert why in found.reasons[0]


def test_spread_of_ones_own_must_pay_the_fees() -> None:
    assert propose(BTC, seen(), D(2000), 800, spread_ppm=1_600).spread_ppm == 1_600
    with pytest.raises(ConfigError, match=r"at least 0\.16%"):
        propose(BTC, seen(), D(2000), 800, spread_ppm=1_599)


def test_small_capital_gets_fewer_levels_and_then_a_refusal() -> None:
    assert propose(BTC, seen(), D(2000), 800).num_orders == 5
    few = propose(BTC, seen(), D(20), 800)
    assert 1 <= few.num_orders < 5
    assert "reaches for no more" in " ".join(few.reasons)
    with pytest.raises(ConfigError, match="one order a side") as caught:
        propose(BTC, seen(), D(5), 800)
    # What is asked for is enough.
    least = D(caught.value.allowed.split()[2])
    assert propose(BTC, seen(), least, 800).num_orders == 1


@given(
    capital=st.decimals(10, 10_000_000, places=2),
    mid=st.decimals(D("0.01"), 1_000_000, places=2),
    sigma_ppm=st.none() | st.integers(0, 50_000),
    fee_ppm=st.integers(0, 6_000),
    levels=st.integers(1, 32),
)
def test_proposal_fits_its_capital_and_its_own_limits(
    capital: Decimal, mid: Decimal, sigma_ppm: int | None, fee_ppm: int, levels: int
) -> None:
    now = Market(mid, mid + D("0.1"), sigma_ppm, 60)
    try:
        found = propose(BTC, now, capital, fee_ppm, num_orders=levels)
    except ConfigError:
        return
    assert found.spread_ppm >= 2 * fee_ppm
    assert 1 <= found.num_orders <= levels
    side = found.order_amount * found.num_orders * now.mid
    assert side <= capital / 2
    assert BTC.qty_min <= found.order_amount <= found.max_order_size
    assert found.order_amount * now.mid >= BTC.cost_min
    assert found.order_amount == BTC.qty(BTC.exact_lots(found.order_amount))
    assert 2 * side <= found.max_open_notional <= capital
    assert found.max_inventory == found.order_amount * found.num_orders
