"""How long orders stood: by side, without what overlaps, and never beyond the run."""

from __future__ import annotations

import numpy as np
import pytest

from openmm.backtest.standing import standing
from tests.backtest.outcomes import BUY, NS, SELL, START_NS, rows, stay


def shares(*stays: tuple[int, ...], seconds: int = 10) -> tuple[float, float] | None:
    return standing(rows(stays, 11), START_NS, START_NS + seconds * NS)


def test_sides_count_by_the_time_that_something_stands() -> None:
    # Two buys that overlap, 1 to 6; a sell from 4 to 5, and one from 8 that is open at the end.
    found = shares(
        stay(1, BUY, 99, 1, 0, rested_s=3), stay(2, BUY, 98, 1, 0, rested_s=4),
        stay(4, SELL, 101, 1, 0, rested_s=1), stay(8, SELL, 101, 1, 0, rested_s=0),
    )  # fmt: skip
    assert found == (0.1, 0.6)


def test_what_stands_before_or_after_the_run_does_not_count() -> None:
    found = shares(
        stay(-5, BUY, 99, 1, 0, rested_s=6), stay(9, BUY, 99, 1, 0, rested_s=60),
        stay(-9, SELL, 101, 1, 0, rested_s=3), stay(90, SELL, 101, 1, 0, rested_s=3),
    )  # fmt: skip
    assert found == (0.0, 0.2)


def test_a_moved_order_stands_all_the_while() -> None:
    parts = [stay(at, side, 99, 1, 0, rested_s=1, moves=at) for at in range(10)
             for side in (BUY, SELL)]  # fmt: skip
    assert shares(*parts) == (1.0, 0.0)


def test_nothing_stood_and_no_time_are_told_apart() -> None:
    assert shares() == (0.0, 0.0)
    assert shares(seconds=0) is None


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_those_counted_second_by_second(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stays = [
        stay(int(rng.integers(-5, 60)), int(rng.integers(1, 3)), 99, 1, 0,
             rested_s=int(rng.integers(1, 9)))
        for _ in range(30)
    ]  # fmt: skip
    there = {BUY: set[int](), SELL: set[int]()}
    for one in stays:
        first, last = ((one[at] - START_NS) // NS for at in (1, 9))
        there[one[2]] |= {second for second in range(first, last) if 0 <= second < 50}
    both, either = there[BUY] & there[SELL], there[BUY] ^ there[SELL]
    assert shares(*stays, seconds=50) == (len(both) / 50, len(either) / 50)
