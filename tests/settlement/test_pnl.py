"""P&L in integers equals P&L in fractions, up to the rounding it states."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.settlement.pnl import AverageCost, Fifo, captured_atoms, part, value_atoms
from tests.oracles import pnl as oracle

BUY, SELL = 1, 2
fills = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 10**12), st.integers(0, 10**15)),
    max_size=60,
)


def run(method: AverageCost | Fifo, events: list[tuple[int, int, int]]) -> int:
    return sum(method.fill(*event) for event in events)


@pytest.mark.parametrize(
    ("events", "average", "fifo"),
    [
        ([(BUY, 10, 100), (SELL, 10, 130)], 30, 30),
        ([(SELL, 10, 130), (BUY, 10, 100)], 30, 30),
        ([(BUY, 10, 100), (BUY, 10, 200), (SELL, 10, 170)], 20, 70),
        ([(SELL, 10, 200), (SELL, 10, 100), (BUY, 10, 170)], -20, 30),
        ([(BUY, 10, 100), (SELL, 30, 360)], 20, 20),  # turns over: 20 short at 12
        ([(BUY, 3, 100), (SELL, 1, 40)], 7, 7),  # a third of 100 is 33, rounded toward zero
        ([(SELL, 3, 100), (BUY, 1, 40)], -7, -7),
    ],
)
def test_realised_of_small_cases(
    events: list[tuple[int, int, int]], average: int, fifo: int
) -> None:
    assert run(AverageCost(), events) == average
    assert run(Fifo(), events) == fifo


def test_turnover_opens_the_rest_at_the_price_of_the_fill() -> None:
    book = AverageCost()
    run(book, [(BUY, 10, 100), (SELL, 30, 360)])
    assert (book.position_atoms, book.basis_atoms) == (-20, -240)


@given(events=fills)
def test_average_cost_equals_fractions_up_to_an_atom_a_fill(
    events: list[tuple[int, int, int]],
) -> None:
    book = AverageCost()
    realised = run(book, events)
    exact, position, cost = oracle.average_cost(events)
    assert book.position_atoms == position
    # Two roundings a fill, each below an atom.
    assert abs(realised - exact) <= 2 * len(events)
    assert abs(book.basis_atoms - cost) <= 2 * len(events)
    assert realised - book.basis_atoms == oracle.cash(events)
    if position == 0:
        assert book.basis_atoms == 0
        assert realised == exact


@given(events=fills)
def test_fifo_equals_fractions_up_to_an_atom_a_lot(events: list[tuple[int, int, int]]) -> None:
    book = Fifo()
    realised = run(book, events)
    exact, position, cost = oracle.fifo(events)
    assert book.position_atoms == position
    assert abs(realised - exact) <= 4 * len(events)
    assert abs(book.basis_atoms - cost) <= 4 * len(events)
    assert realised - book.basis_atoms == oracle.cash(events)
    assert sum(lot[0] for lot in book.lots) == position
    if position == 0:
        assert not book.lots
        assert realised == exact


@given(events=fills, price=st.fractions(0, 10**6))
def test_total_is_the_same_by_both_methods(
    events: list[tuple[int, int, int]], price: Fraction
) -> None:
    average, fifo = AverageCost(), Fifo()
    realised = run(average, events), run(fifo, events)
    value = value_atoms(average.position_atoms, price, 8, 8)
    assert realised[0] + value - average.basis_atoms == realised[1] + value - fifo.basis_atoms


@given(whole=st.integers(-(10**20), 10**20), over=st.integers(1, 10**12))
def test_part_rounds_toward_zero_and_whole_is_whole(whole: int, over: int) -> None:
    assert part(whole, over, over) == whole
    for top in (0, over // 3, over - 1):
        exact = Fraction(whole * top, over)
        assert abs(part(whole, top, over)) == int(abs(exact))


def test_value_rounds_down_for_long_and_short() -> None:
    assert value_atoms(1, Fraction(1, 3), 8, 8) == 0
    assert value_atoms(-1, Fraction(1, 3), 8, 8) == -1
    assert value_atoms(10**8, Fraction("49999.0"), 8, 4) == 499_990_000


@pytest.mark.parametrize(
    ("side", "price_ticks", "reference_uticks", "expected"),
    [
        (BUY, 99, 100_000_000, 10),  # bought 1% under the reference
        (SELL, 101, 100_000_000, 10),
        (BUY, 101, 100_000_000, -10),
        (SELL, 99, 100_000_000, -10),
        (BUY, 99, None, None),
        (BUY, 99, 0, None),
    ],
)
def test_spread_captured_by_side(
    side: int, price_ticks: int, reference_uticks: int | None, expected: int | None
) -> None:
    assert captured_atoms(side, price_ticks, reference_uticks, 1000) == expected
