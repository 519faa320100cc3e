"""Transfers between the venues of a group: conserved, within what is held, and enough."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm.control.transfers import Holder, Plan, Transfer, plan


def holder(venue: str, base: str, quote: str, **more: object) -> Holder:
    told: dict[str, object] = {
        "venue": venue, "base_asset": "BTC", "quote_asset": "USD", "base": Decimal(base),
        "quote": Decimal(quote), "price": Decimal(50_000),
    } | more  # fmt: skip
    return Holder(**told)  # type: ignore[arg-type]


def moved(found: Plan) -> list[tuple[str, str, str, str]]:
    return [(one.asset, one.source, one.target, f"{one.amount:f}") for one in found.transfers]


def after(holders: list[Holder], transfers: tuple[Transfer, ...]) -> dict[tuple[str, str], Decimal]:
    left: dict[tuple[str, str], Decimal] = {}
    for one in holders:
        left[one.base_asset, one.venue] = one.base
        left[one.quote_asset, one.venue] = one.quote
    for move in transfers:
        left[move.asset, move.source] -= move.amount
        left[move.asset, move.target] += move.amount
        assert left[move.asset, move.source] >= 0
    return left


def test_two_venues_that_drifted_apart_swap_back() -> None:
    found = plan([holder("kraken", "2", "0"), holder("gateio", "0", "100000")])
    assert moved(found) == [
        ("BTC", "kraken", "gateio", "1.00000000"), ("USD", "gateio", "kraken", "50000.00"),
    ]  # fmt: skip
    assert [need.away for need in found.needs] == [True] * 4


def test_small_differences_are_let_be() -> None:
    holders = [holder("kraken", "1.1", "50000"), holder("gateio", "0.9", "50000")]
    assert moved(plan(holders)) == []
    # Kraken has more in all, 105,000 of 200,000: of 2 bitcoins 1.05 are its part.
    assert moved(plan(holders, within_ppm=20_000)) == [
        ("BTC", "kraken", "gateio", "0.05000000"), ("USD", "gateio", "kraken", "2500.00"),
    ]  # fmt: skip


def test_target_of_each_venue_is_its_wish() -> None:
    found = plan(
        [holder("kraken", "1", "50000", target_ppm=800_000), holder("gateio", "1", "50000")]
    )
    wishes = {(need.asset, need.venue): need.wish for need in found.needs}
    assert wishes["BTC", "kraken"] > wishes["BTC", "gateio"]
    assert wishes["USD", "kraken"] < wishes["USD", "gateio"]
    assert sum(wish for (asset, _), wish in wishes.items() if asset == "BTC") == 2


def test_what_passes_a_bound_goes_where_there_is_room() -> None:
    found = plan(
        [
            holder("kraken", "2", "50000", base_max=Decimal("0.5")),
            holder("gateio", "0", "50000"), holder("mexc", "1", "50000"),
        ]
    )  # fmt: skip
    left = after(
        [holder("kraken", "2", "0"), holder("gateio", "0", "0"), holder("mexc", "1", "0")],
        tuple(one for one in found.transfers if one.asset == "BTC"),
    )
    assert left["BTC", "kraken"] == Decimal("0.5")
    assert found.homeless == ()


def test_what_no_venue_may_hold_stays_and_is_told() -> None:
    holders = [
        holder("kraken", "2", "0", base_max=Decimal(1)),
        holder("gateio", "0.5", "0", base_max=Decimal(1)),
    ]
    found = plan(holders)
    assert found.homeless == (("BTC", Decimal("0.5")),)
    assert moved(found) == [("BTC", "kraken", "gateio", "0.50000000")]


def test_assets_of_other_names_are_not_moved_between_each_other() -> None:
    found = plan(
        [holder("kraken", "1", "0"), holder("gateio", "1", "100000", quote_asset="USDT")],
    )
    assert {one.asset for one in found.transfers} <= {"BTC"}


amounts = st.decimals(0, 10**6, places=8, allow_nan=False, allow_infinity=False)
bounds = st.none() | st.decimals(1, 10**6, places=4)


@st.composite
def groups(draw: st.DrawFn) -> list[Holder]:
    count = draw(st.integers(1, 6))
    return [
        Holder(
            f"venue{at}", "BTC", draw(st.sampled_from(["USD", "USDT"])), draw(amounts),
            draw(amounts), draw(st.decimals(1, 10**5, places=2)),
            draw(st.integers(1, 999_999)), draw(bounds), draw(bounds),
        )
        for at in range(count)
    ]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(groups(), st.integers(0, 500_000))
def test_transfers_conserve_never_exceed_and_bring_all_within_their_wish(
    holders: list[Holder], within_ppm: int
) -> None:
    found = plan(holders, within_ppm)
    left = after(holders, found.transfers)
    venues, homeless = defaultdict(set), dict(found.homeless)
    for need in found.needs:
        venues[need.asset].add(need.venue)
        step = Decimal("0.00000001") if need.asset == "BTC" else Decimal("0.01")
        off = abs(left[need.asset, need.venue] - need.wish)
        # What rounding leaves, a step at most a venue, is nothing that could be moved.
        assert off <= max(need.wish * within_ppm / 1_000_000, step * len(holders)), need
    for asset, names in venues.items():
        count = sum(one.asset == asset for one in found.transfers)
        assert count < len(names)
        held = sum(need.held for need in found.needs if need.asset == asset)
        assert held == sum(left[asset, name] for name in names)
        assert sum(need.wish for need in found.needs if need.asset == asset) == held
    for asset, amount in homeless.items():
        most = [
            one.base_max if asset == "BTC" else one.quote_max
            for one in holders if asset in (one.base_asset, one.quote_asset)
        ]  # fmt: skip
        assert None not in most
        held = sum(need.held for need in found.needs if need.asset == asset)
        assert amount == held - sum(one for one in most if one is not None)


@pytest.mark.parametrize("count", [1, 2])
def test_group_that_holds_nothing_needs_nothing(count: int) -> None:
    assert plan([holder(f"venue{at}", "0", "0") for at in range(count)]).transfers == ()
