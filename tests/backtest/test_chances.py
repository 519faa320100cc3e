"""Fill probabilities by distance and queue place, from stays made by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from openmm._fast.units import UTICKS_PER_TICK
from openmm.backtest.chances import Chance, chances, queue_edges, wilson
from tests.backtest.outcomes import BUY, NS, SELL, START_NS, rows, stay

U = UTICKS_PER_TICK
LOT = Decimal("0.001")
REFERENCE = 10_000 * U  # a tick is a basis point of it


def of(*found: tuple[int, ...], ended_s: float = 100.0) -> dict[str, dict[str, Chance]]:
    told = chances(rows(found, 11), LOT, START_NS + round(ended_s * NS))
    return {
        "distance": {f"{one.low}-{one.high}": one for one in told.by_distance},
        "queue": {f"{one.low}-{one.high}": one for one in told.by_queue},
    }


def test_distance_is_from_the_reference_to_either_side() -> None:
    found = of(
        stay(0, BUY, 9_998, 5, REFERENCE, seq=1),
        stay(0, SELL, 10_002, 5, REFERENCE, seq=2, filled=1),
        stay(0, BUY, 10_001, 5, REFERENCE, seq=3), stay(0, SELL, 10_000, 5, REFERENCE, seq=4),
    )["distance"]  # fmt: skip
    assert set(found) == {"None-0.0", "0.0-0.25", "2.0-3.0"}
    assert (found["2.0-3.0"].stays, found["2.0-3.0"].filled) == (2, 1)
    assert found["2.0-3.0"].share == 0.5
    assert found["None-0.0"].stays == 1


def test_farther_than_the_last_bound_is_the_last_bin() -> None:
    assert set(of(stay(0, BUY, 9_000, 5, REFERENCE))["distance"]) == {"100.0-None"}


def test_queue_bins_begin_with_nothing_in_front() -> None:
    found = of(
        *(stay(0, BUY, 9_998, 5, REFERENCE, seq=n + 1, ahead=n) for n in (0, 0, 1, 2, 3, 25)),
    )["queue"]  # fmt: skip
    assert {name: one.stays for name, one in found.items()} == {
        "None-0.001": 2, "0.001-0.003": 2, "0.003-0.010": 1, "0.010-None": 1,
    }  # fmt: skip


def test_what_is_not_known_is_counted_apart() -> None:
    told = chances(
        rows(
            [
                stay(0, BUY, 9_998, 5, -1, seq=1, ahead=3),
                stay(0, BUY, 9_998, 5, REFERENCE, seq=2, ahead=-1),
                stay(0, BUY, 9_998, 5, REFERENCE, seq=3, ahead=3),
            ], 11,
        ), LOT, START_NS,
    )  # fmt: skip
    assert (told.unknown_distance, told.unknown_queue) == (1, 1)
    assert sum(one.stays for one in told.by_distance) == 2
    assert sum(one.stays for one in told.by_queue) == 2


def test_rate_counts_the_time_rested_and_what_is_open_rests_to_the_end() -> None:
    found = of(
        stay(0, BUY, 9_998, 5, REFERENCE, seq=1, filled=5, rested_s=20),
        stay(10, BUY, 9_998, 5, REFERENCE, seq=2, rested_s=0), ended_s=50,
    )["distance"]["2.0-3.0"]  # fmt: skip
    assert found.rested_s == 60
    assert found.an_hour == 60


def test_fill_rates_are_of_orders_and_of_the_most_they_asked_for() -> None:
    told = chances(
        rows(
            [
                # Asked for 5, got 2; moved with the 3 that were left; amended to 6 more, got 1.
                stay(0, BUY, 9_998, 5, REFERENCE, seq=7, filled=2),
                stay(1, SELL, 10_003, 4, REFERENCE, seq=8),
                stay(2, BUY, 9_997, 3, REFERENCE, seq=7, moves=1),
                stay(3, BUY, 9_996, 6, REFERENCE, seq=7, filled=1, moves=2),
            ], 11,
        ), LOT, START_NS,
    )  # fmt: skip
    assert told.by_order == 0.5
    assert told.by_quantity == pytest.approx(3 / (8 + 4))


def test_no_orders_have_no_rates() -> None:
    told = chances(rows([], 11), LOT, START_NS)
    assert (told.by_distance, told.by_queue, told.by_order, told.by_quantity) == (
        (),
        (),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("filled", "count", "low", "high"),
    # Wilson score intervals, z 1.96, as in tables.
    [
        (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0),
        (1, 100, 0.0018, 0.0545),
    ],
)  # fmt: skip
def test_wilson_interval(filled: int, count: int, low: float, high: float) -> None:
    assert wilson(filled, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_edges_rise_and_cover_what_there_is() -> None:
    for ahead in ([0], [1], [7, 12_000], [250, 260], [3_000_000, 5]):
        edges = queue_edges(np.array(ahead, np.int64))
        assert edges[0] == 1
        assert edges == sorted(set(edges))
        assert edges[-1] <= max(*ahead, 1)
        assert max(ahead) < 4 * edges[-1] or max(ahead) == 0
