"""What the joint position cost, and that no tickatom is lost on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.units import Side
from openmm.execution.hedge.cost import HedgeCost


def test_a_fill_and_its_hedge_realise_the_difference_less_both_fees() -> None:
    cost = HedgeCost()
    cost.book(Side.BUY, 10, 1_000, 2, 0)
    assert (cost.net_atoms, cost.cost_tickatoms, cost.realised_tickatoms) == (10, 1_002, 0)
    cost.book(Side.SELL, 4, 420, 1, 0)
    assert (cost.net_atoms, cost.cost_tickatoms) == (6, 602)
    assert cost.realised_tickatoms == 419 - 400
    cost.book(Side.SELL, 6, 630, 1, 0)
    assert (cost.net_atoms, cost.cost_tickatoms) == (0, 0)
    assert cost.realised_tickatoms == 1_050 - 1_000 - 4
    assert cost.fees_tickatoms == 4
    assert cost.hedged_atoms == 10


def test_a_short_position_is_bought_back_at_what_it_brought() -> None:
    cost = HedgeCost()
    cost.book(Side.SELL, 10, 1_000, 0, 0)
    assert (cost.net_atoms, cost.cost_tickatoms) == (-10, -1_000)
    cost.book(Side.BUY, 15, 1_350, 0, 0)
    assert cost.realised_tickatoms == 1_000 - 900
    assert (cost.net_atoms, cost.cost_tickatoms) == (5, 450)


def test_a_fee_in_base_is_position_that_never_came() -> None:
    cost = HedgeCost()
    cost.book(Side.BUY, 1_000, 50, 0, 2)
    assert cost.net_atoms == 998
    assert cost.cost_tickatoms == 50


def test_a_share_is_rounded_against_us() -> None:
    assert HedgeCost(3, 10).share_of(1) == 4
    assert HedgeCost(-3, -10).share_of(1) == -3
    assert HedgeCost().share_of(1) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Side.BUY, Side.SELL]),
            st.integers(1, 10**12),
            st.integers(0, 10**20),
            st.integers(-(10**6), 10**6),
            st.integers(0, 10**6),
        ),
        max_size=30,
    )
)
def test_realised_less_open_cost_is_the_cash_that_moved(
    fills: list[tuple[Side, int, int, int, int]],
) -> None:
    cost, cash, net = HedgeCost(), 0, 0
    for side, qty, value, fee, fee_atoms in fills:
        cost.book(side, qty, value, fee, fee_atoms)
        sign = 1 if side == Side.BUY else -1
        cash -= sign * value + fee
        net += sign * qty - fee_atoms
        assert cost.realised_tickatoms - cost.cost_tickatoms == cash
        assert cost.net_atoms == net
        assert net or not cost.cost_tickatoms
