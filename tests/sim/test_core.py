"""The simulated venue's core: no sequence of orders makes or loses money, lots or holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm.errors import ConfigError
from openmm.events import SystemMode
from openmm.sim.accounts import TIERS
from openmm.sim.core import VenueCore
from openmm.venues.counterpart import OrderRecord, PlaceRequest, Refusal
from tests.sim.venue import BTC, BUY, GTC, NS, SELL, T0, Venue

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("place"),
            st.integers(1, 2),
            st.sampled_from([BUY, SELL]),
            st.integers(9_995, 10_005),
            st.integers(1, 40),
            st.sampled_from([1, 1, 1, 2, 3]),
            st.booleans(),
            st.sampled_from([1, 2, 3]),
        ),
        st.tuples(st.just("market"), st.integers(1, 2), st.sampled_from([BUY, SELL])),
        st.tuples(st.just("cancel"), st.integers(1, 2), st.integers(0, 9)),
        st.tuples(
            st.just("amend"),
            st.integers(1, 2),
            st.integers(0, 9),
            st.integers(9_995, 10_005),
            st.integers(1, 40),
        ),
        st.tuples(st.just("all"), st.integers(1, 2)),
        st.tuples(st.just("wait"), st.integers(1, 20)),
    ),
    max_size=40,
)
LOT = 10_000_000  # a tenth of a bitcoin


def act(venue: Venue, step: tuple[Any, ...]) -> None:
    """Carry out one step of a random history."""
    core, now_ns = venue.core, venue.now_ns
    if step[0] == "place":
        _, account, side, price, qty, tif, post_only, stp = step
        request = PlaceRequest(
            "BTC/USD", side, qty * LOT, price, tif, post_only and tif == GTC, stp
        )
        core.place(account, [request], now_ns)
    elif step[0] == "market":
        core.place(step[1], [PlaceRequest("BTC/USD", step[2], LOT, None, 2, False, 1)], now_ns)
    elif step[0] == "wait":
        venue.wait(step[1])
    elif step[0] == "all":
        core.cancel_all(step[1], now_ns)
    else:
        orders = core.open_orders(step[1])
        if step[2] < len(orders) and step[0] == "cancel":
            core.cancel(step[1], orders[step[2]], now_ns)
        elif step[2] < len(orders):
            core.amend(step[1], orders[step[2]], step[3], step[4] * LOT, False, now_ns)


def check(venue: Venue) -> None:
    """Compare balances, holds, ledger and kernel with one another."""
    core, kernel = venue.core, venue.core.matcher("BTC/USD")
    resting, totals, fees = 0, {"BTC": 0, "USD": 0}, 0
    for account in (1, 2):
        held = {"BTC": 0, "USD": 0}
        for order in core.open_orders(account):
            left = order.qty_lots - order.filled_lots
            assert kernel.order(order.number) == (
                order.side,
                order.price_ticks,
                left,
                order.filled_lots,
                account,
            )
            held[order.held_asset] += order.held_atoms
            resting += 1
        fills = core.fills(account)
        for asset, (total, on_hold) in core.balances(account).items():
            assert on_hold == held[asset]
            # Half up may cost half an atom a fill more than what was held.
            assert total - on_hold >= -len(fills)
            totals[asset] += total
        fees += sum(fill.fee_atoms for fill in fills)
    assert kernel.resting_count == resting
    assert totals["BTC"] == 20 * 10**10
    assert totals["USD"] + fees == 2_000_000 * 10**4


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_two_accounts_trading_conserve_lots_and_money(steps: list[tuple[Any, ...]]) -> None:
    venue = Venue()
    for step in steps:
        act(venue, step)
        check(venue)
    for account in (1, 2):
        for name, asset in venue.core.statement(account)["assets"].items():  # type: ignore[attr-defined]
            total = Decimal(asset["opening"])
            for entry in asset["entries"]:
                total += Decimal(entry["amount"]) - Decimal(entry["fee"])
                assert Decimal(entry["balance"]) == total
            assert Decimal(asset["closing"]) == total, name


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_the_same_history_gives_the_same_statement(steps: list[tuple[Any, ...]]) -> None:
    venues = [Venue(), Venue()]
    for venue in venues:
        for step in steps:
            act(venue, step)
    assert venues[0].core.statement(1) == venues[1].core.statement(1)


def test_a_batch_costs_half_and_counts_refusals() -> None:
    core = Venue().core
    good = PlaceRequest("BTC/USD", BUY, LOT, 9_000, GTC, True, 1)
    poor = PlaceRequest("BTC/USD", BUY, 10_000_000 * LOT, 9_000, GTC, True, 1)
    outcomes = core.place(1, [good, poor, good], T0)
    assert [type(o) for o in outcomes] == [OrderRecord, Refusal, OrderRecord]
    assert core.rate_milli(1, "BTC/USD", T0) == 1500
    assert core.statement(1)["refusals"] == {"funds": 1}


def test_a_halt_stops_drivers_and_they_go_on_after_it() -> None:
    class Beat:
        def __init__(self) -> None:
            self.next_ns: int | None = T0
            self.fired: list[int] = []

        def fire(self, core: VenueCore) -> None:
            self.fired.append(core.now_ns)
            self.next_ns = core.now_ns + NS

        def skip(self, now_ns: int) -> None:
            self.next_ns = now_ns

    venue, beat = Venue(), Beat()
    venue.core.drive(beat)
    venue.wait(1)
    venue.core.set_mode(SystemMode.MAINTENANCE, venue.now_ns)
    venue.wait(10)
    venue.core.set_mode(SystemMode.ONLINE, venue.now_ns)
    venue.wait(1)
    assert [(at - T0) // NS for at in beat.fired] == [0, 1, 11, 12]


def test_an_armed_switch_fires_when_maintenance_ends() -> None:
    venue = Venue()
    venue.core.place(1, [PlaceRequest("BTC/USD", BUY, LOT, 9_000, GTC, True, 1)], T0)
    venue.core.arm(1, 5, T0)
    venue.core.set_mode(SystemMode.MAINTENANCE, venue.now_ns)
    venue.wait(10)
    assert len(venue.core.open_orders(1)) == 1
    venue.core.set_mode(SystemMode.ONLINE, venue.now_ns)
    venue.wait(0.001)
    assert venue.core.open_orders(1) == []


@pytest.mark.parametrize(
    ("balances", "path"),
    [({"EUR": Decimal(1)}, "balances"), ({"USD": Decimal("0.00001")}, "balances.USD")],
)
def test_an_account_opens_with_traded_assets_in_whole_atoms(
    balances: dict[str, Decimal], path: str
) -> None:
    with pytest.raises(ConfigError, match=path):
        VenueCore([BTC], 1).open_account("k", b"s", balances, TIERS["pro"], 0, 0)


def test_ids_have_the_venue_s_form_and_follow_the_seed() -> None:
    first, again, other = VenueCore([BTC], 1), VenueCore([BTC], 1), VenueCore([BTC], 2)
    text = first.new_id("O")
    assert text == again.new_id("O")
    assert text != other.new_id("O")
    assert [len(part) for part in text.split("-")] == [6, 5, 6]
    assert text[0] == "O"
