"""Inventory against its oracle, and the identities that its money obeys."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.inventory import Inventory
from openmm._fast.units import Side
from tests.oracles import inventory as oracle

BUY, SELL = Side.BUY, Side.SELL
TICK = 1_000_000  # uticks


def made(target_ppm: int = 500_000, scale_lots: int = 1_000) -> Inventory:
    return Inventory(target_ppm=target_ppm, scale_lots=scale_lots)


def marked(inventory: Inventory) -> tuple[int | None, int | None, int | None, int | None]:
    return (
        inventory.q_lots,
        inventory.x_ppm,
        inventory.share_ppm,
        inventory.equity_ticklots,
    )


def test_nothing_is_known_at_first() -> None:
    inventory = made()
    assert not inventory.known
    assert (inventory.base_lots, inventory.quote_ticklots) == (None, None)
    inventory.mark(100 * TICK)
    assert marked(inventory) == (None, None, None, None)


def test_mark_measures_against_target() -> None:
    inventory = made()
    inventory.set_balances(1_000, 50_000)
    inventory.mark(100 * TICK)
    # 150,000 in all, half of it is 750 lots at 100.
    assert marked(inventory) == (250, 250_000, 666_666, 150_000)


@pytest.mark.parametrize("reference_uticks", [0, -1, -(2**63)])
def test_mark_without_a_price_knows_nothing(reference_uticks: int) -> None:
    inventory = made()
    inventory.set_balances(1_000, 50_000)
    inventory.mark(100 * TICK)
    inventory.mark(reference_uticks)
    assert marked(inventory) == (None, None, None, None)


def test_forgotten_balances_are_missing() -> None:
    inventory = made()
    inventory.set_balances(1_000, 50_000)
    inventory.mark(100 * TICK)
    inventory.forget_balances()
    inventory.mark(100 * TICK)
    assert marked(inventory) == (None, None, None, None)
    with pytest.raises(ValueError, match="not known"):
        inventory.adjust(1, 1)


def test_same_mark_after_a_fill_is_computed_anew() -> None:
    inventory = made()
    inventory.set_balances(1_000, 100_000)
    inventory.mark(100 * TICK)
    assert inventory.q_lots == 0
    inventory.fill(BUY, 100, 10)
    inventory.mark(100 * TICK)
    assert inventory.q_lots == 10


@pytest.mark.parametrize(
    ("base", "quote", "x_ppm"),
    [
        (1_000, 100_000, 0),
        (500, 150_000, -500_000),
        (1_500, 50_000, 500_000),
        (2_000, 0, 1_000_000),
        (10**9, 0, 1_000_000),
        (0, 10**9, -1_000_000),
        (999, 100_101, -1_000),
    ],
)
def test_skew_grows_with_the_distance_and_is_clamped(base: int, quote: int, x_ppm: int) -> None:
    inventory = made(target_ppm=500_000, scale_lots=1_000)
    inventory.set_balances(base, quote)
    inventory.mark(100 * TICK)
    assert inventory.x_ppm == x_ppm


def test_round_trip_realises_the_difference() -> None:
    inventory = made()
    inventory.fill(BUY, 100, 10)
    inventory.fill(SELL, 103, 10)
    assert (inventory.realised_ticklots, inventory.cost_ticklots) == (30, 0)
    assert inventory.position_lots == 0


def test_short_round_trip_realises_the_difference() -> None:
    inventory = made()
    inventory.fill(SELL, 103, 10)
    assert inventory.cost_ticklots == -1_030
    inventory.fill(BUY, 100, 10)
    assert (inventory.realised_ticklots, inventory.cost_ticklots) == (30, 0)


def test_crossing_zero_closes_and_opens_in_one_fill() -> None:
    inventory = made()
    inventory.fill(BUY, 100, 10)
    inventory.fill(SELL, 110, 25)
    assert inventory.realised_ticklots == 100
    assert (inventory.position_lots, inventory.cost_ticklots) == (-15, -1_650)


def test_average_cost_that_does_not_divide_leaves_the_rest_in_the_basis() -> None:
    inventory = made()
    inventory.fill(BUY, 100, 2)
    inventory.fill(BUY, 101, 1)  # 301 for 3 lots
    inventory.fill(SELL, 101, 1)
    assert (inventory.realised_ticklots, inventory.cost_ticklots) == (1, 201)
    inventory.fill(SELL, 101, 2)
    assert (inventory.realised_ticklots, inventory.cost_ticklots) == (2, 0)


def test_fees_are_apart_and_leave_the_balance() -> None:
    inventory = made()
    inventory.set_balances(0, 1_000)
    inventory.fee(7)
    inventory.fee(-2)
    assert (inventory.fees_ticklots, inventory.quote_ticklots) == (5, 995)
    assert inventory.realised_ticklots == 0


def test_fill_already_in_the_balances_moves_only_the_position() -> None:
    inventory = made()
    inventory.set_balances(10, 1_000)
    inventory.fill(BUY, 100, 3, held=False)
    assert (inventory.base_lots, inventory.quote_ticklots) == (10, 1_000)
    assert (inventory.position_lots, inventory.cost_ticklots) == (3, 300)


def test_adjust_moves_balances_and_no_profit() -> None:
    inventory = made()
    inventory.set_balances(10, 1_000)
    inventory.adjust(-4, 500)
    assert (inventory.base_lots, inventory.quote_ticklots) == (6, 1_500)
    assert (inventory.position_lots, inventory.realised_ticklots) == (0, 0)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="target_ppm"):
        made(target_ppm=1_000_001)
    with pytest.raises(ValueError, match="scale_lots"):
        made(scale_lots=0)
    inventory = made()
    with pytest.raises(ValueError, match="must not be negative"):
        inventory.set_balances(-1, 0)
    with pytest.raises(ValueError, match="side must be"):
        inventory.fill(0, 1, 1)
    with pytest.raises(ValueError, match="must be positive"):
        inventory.fill(BUY, 1, 0)
    with pytest.raises(ValueError, match="must be positive"):
        inventory.unrealised_ticklots(0)
    with pytest.raises(OverflowError):
        inventory.fee(1 << 127)


FILLS = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 1 << 40),
        st.one_of(st.integers(1, 50), st.integers(1, 1 << 45)),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(
    fills=FILLS,
    fee=st.integers(-(10**9), 10**9),
    base=st.integers(0, 1 << 50),
    quote=st.integers(0, 1 << 90),
    target_ppm=st.integers(0, 1_000_000),
    scale_lots=st.integers(1, 1 << 50),
    reference_uticks=st.integers(1, 1 << 60),
)
def test_inventory_equals_oracle_and_money_adds_up(
    fills: list[tuple[Side, int, int]],
    fee: int,
    base: int,
    quote: int,
    target_ppm: int,
    scale_lots: int,
    reference_uticks: int,
) -> None:
    ours = Inventory(target_ppm=target_ppm, scale_lots=scale_lots)
    spec = oracle.Inventory(target_ppm, scale_lots)
    ours.set_balances(base, quote)
    spec.base_lots, spec.quote_ticklots = base, quote
    cash = 0
    for side, price, qty in fills:
        ours.fill(side, price, qty)
        spec.fill(side, price, qty)
        cash += price * qty if side is SELL else -price * qty
        assert ours.realised_ticklots == spec.realised_ticklots
        assert ours.cost_ticklots == spec.cost_ticklots
        assert ours.position_lots == spec.position_lots
        # What was realised less what the position cost is the cash that moved.
        assert ours.realised_ticklots - ours.cost_ticklots == cash
        assert (ours.position_lots == 0) <= (ours.cost_ticklots == 0)
    ours.fee(fee)
    spec.fee(fee)
    assert (ours.base_lots, ours.quote_ticklots) == (spec.base_lots, spec.quote_ticklots)
    assert ours.fees_ticklots == spec.fees_ticklots
    ours.mark(reference_uticks)
    if abs(spec.base_lots) * reference_uticks < 1 << 105:
        assert marked(ours) == spec.mark(reference_uticks)
    value = ours.position_lots * reference_uticks // TICK
    assert ours.unrealised_ticklots(reference_uticks) == value - ours.cost_ticklots


def test_another_target_counts_from_the_next_mark_on() -> None:
    stock = Inventory(target_ppm=500_000, scale_lots=100)
    stock.set_balances(100, 10_000)
    stock.mark(100_000_000)
    assert (stock.q_lots, stock.x_ppm) == (0, 0)
    stock.retarget(target_ppm=250_000, scale_lots=200)
    stock.mark(100_000_000)
    assert (stock.target_ppm, stock.q_lots, stock.x_ppm) == (250_000, 50, 250_000)
    for target_ppm, scale_lots in ((-1, 1), (1_000_001, 1), (1, 0)):
        with pytest.raises(ValueError, match="must be"):
            stock.retarget(target_ppm=target_ppm, scale_lots=scale_lots)
    assert (stock.target_ppm, stock.scale_lots) == (250_000, 200)


# ------------------------------------------------------------------ a group


def grouped(inventory: Inventory, **told: int) -> None:
    inventory.set_group(
        **{
            "target_ppm": 500_000, "lot_atoms": 1, "base_atoms": 0, "value_atoms": 0,
            "scale_atoms": 1_000, **told,
        }
    )  # fmt: skip


def test_group_counts_what_the_others_hold_against_its_own_target() -> None:
    inventory = made(target_ppm=500_000)
    inventory.set_balances(1_000, 50_000)
    grouped(inventory, lot_atoms=10, base_atoms=6_005, value_atoms=20_000, scale_atoms=10_000)
    inventory.mark(100 * TICK)
    # Own: 1,500 lots in all are 15,000 atoms; half of 35,000 is the target, 16,005 are held.
    assert (inventory.group_q_lots, inventory.group_x_ppm) == (-149, -149_500)
    # What stands here is still measured against what is wished for here.
    assert marked(inventory) == (250, 250_000, 666_666, 150_000)
    inventory.leave_group()
    inventory.mark(100 * TICK)
    assert (inventory.grouped, inventory.group_q_lots, inventory.group_x_ppm) == (False, None, None)


def test_group_without_a_mark_is_not_known() -> None:
    inventory = made()
    grouped(inventory)
    inventory.mark(100 * TICK)
    assert (inventory.group_q_lots, inventory.group_x_ppm) == (None, None)


@pytest.mark.parametrize(
    "told",
    [
        {"target_ppm": -1}, {"target_ppm": 1_000_001}, {"lot_atoms": 0}, {"lot_atoms": 2**41},
        {"base_atoms": -1}, {"value_atoms": -1}, {"base_atoms": 2**101}, {"scale_atoms": 0},
    ],
    ids=str,
)  # fmt: skip
def test_group_out_of_bounds_is_refused_and_changes_nothing(told: dict[str, int]) -> None:
    inventory = made()
    with pytest.raises(ValueError, match=r"must be in"):
        grouped(inventory, **told)
    assert not inventory.grouped


@settings(max_examples=300)
@given(
    held=st.tuples(st.integers(0, 1 << 50), st.integers(0, 1 << 80)),
    target_ppm=st.integers(0, 1_000_000),
    lot_atoms=st.sampled_from([1, 10, 100_000, 5, 2**40]),
    others=st.tuples(st.integers(0, 1 << 70), st.integers(0, 1 << 70)),
    scale_atoms=st.integers(1, 1 << 60),
    reference_uticks=st.integers(1, 10**15),
)
def test_group_is_the_oracle_s_to_the_last_atom(
    held: tuple[int, int], target_ppm: int, lot_atoms: int, others: tuple[int, int],
    scale_atoms: int, reference_uticks: int,
) -> None:  # fmt: skip
    inventory, model = made(), oracle.Inventory(500_000, 1_000)
    inventory.set_balances(*held)
    model.base_lots, model.quote_ticklots = held
    grouped(
        inventory, target_ppm=target_ppm, lot_atoms=lot_atoms, base_atoms=others[0],
        value_atoms=others[1], scale_atoms=scale_atoms,
    )  # fmt: skip
    inventory.mark(reference_uticks)
    expected = model.group_mark(
        reference_uticks, Fraction(target_ppm, 1_000_000), Fraction(lot_atoms),
        Fraction(others[0]), Fraction(others[1]), Fraction(scale_atoms),
    )  # fmt: skip
    most = (1 << 63) - 1
    assert inventory.group_q_lots == max(min(expected[0], most), -most)
    assert inventory.group_x_ppm == expected[1]


def test_quote_beyond_its_cap_is_not_used() -> None:
    inventory = made()
    inventory.cap_quote(40_000)
    seen = [inventory.usable_quote_ticklots]
    for held in (50_000, 30_000):
        inventory.set_balances(1_000, held)
        seen.append(inventory.usable_quote_ticklots)
    assert inventory.quote_ticklots == 30_000
    inventory.cap_quote(None)
    inventory.set_balances(1_000, 50_000)
    seen.append(inventory.usable_quote_ticklots)
    assert seen == [None, 40_000, 30_000, 50_000]
    with pytest.raises(ValueError, match="must not be negative"):
        inventory.cap_quote(-1)
