"""The exponential by maximum likelihood: against numpy, and against markets whose law is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from openmm.rerun.likelihood import STRETCHES, chi2_chance, exponential, jackknife, stretched

EDGES = [1.0 * 1.1875**i for i in range(14)]
SAMPLE_S = 0.25
ARRIVAL, DECAY = 1.5, 4.0


def reaches_of(seed: int, count: int = 6_000) -> list[float]:
    """The furthest of a Poisson number of takers, each as far as an exponential law has it."""
    chance = np.random.default_rng(seed)
    found = []
    for takers in chance.poisson(ARRIVAL * SAMPLE_S, count):
        found.append(float(chance.exponential(DECAY, takers).max()) if takers else -1.0)
    return found


def by_numpy(reaches: list[float]) -> tuple[float, float]:
    """The same likelihood, its maximum searched for on ever finer grids."""
    counts = np.histogram(reaches, [-np.inf, *EDGES, np.inf])[0]
    edges = np.array(EDGES)

    def told(arrival: NDArray[np.float64], decay: NDArray[np.float64]) -> NDArray[np.float64]:
        mean = arrival[..., None] * SAMPLE_S * np.exp(-edges / decay[..., None])
        below = np.exp(-mean)
        shares = np.diff(below, axis=-1, prepend=0.0, append=1.0)
        return np.asarray((counts * np.log(np.maximum(shares, 1e-300))).sum(axis=-1))

    arrival, decay, room = 1.0, 3.0, 3.0
    for _ in range(12):
        a = arrival * np.exp(np.linspace(-room, room, 31))
        d = decay * np.exp(np.linspace(-room, room, 31))
        at, of = np.meshgrid(a, d)
        best = np.unravel_index(told(at, of).argmax(), at.shape)
        arrival, decay, room = float(at[best]), float(of[best]), room / 4
    return arrival, decay


@pytest.mark.parametrize("seed", range(3))
def test_maximum_is_numpys(seed: int) -> None:
    reaches = reaches_of(seed)
    found = exponential(EDGES, reaches, SAMPLE_S)
    assert found is not None
    arrival, decay = by_numpy(reaches)
    assert found.arrival.value == pytest.approx(arrival, rel=1e-4)
    assert found.decay.value == pytest.approx(decay, rel=1e-4)


def test_line_through_the_rates_is_within_the_errors() -> None:
    reaches = np.array(reaches_of(5, 20_000))
    found = exponential(EDGES, list(reaches), SAMPLE_S)
    assert found is not None
    share = np.array([(reaches >= edge).mean() for edge in EDGES])
    rates = -np.log1p(-share)
    weights = 1 / np.sqrt(share / (len(reaches) * (1 - share) * rates**2))
    slope, level = np.polyfit(EDGES, np.log(rates / SAMPLE_S), 1, w=weights)
    assert abs(-1 / slope - found.decay.value) < 2 * found.decay.error
    assert abs(np.exp(level) - found.arrival.value) < 2 * found.arrival.error


def test_known_law_lies_within_the_error_bars_as_often_as_it_should() -> None:
    inside = chances = 0
    for seed in range(40):
        found = exponential(EDGES, reaches_of(seed, 3_000), SAMPLE_S)
        assert found is not None
        for one, truth in ((found.arrival, ARRIVAL), (found.decay, DECAY)):
            assert abs(one.value - truth) < 4 * one.error
            low, high = one.range95
            inside += low < truth < high
        chances += found.chance < 0.1
    assert 70 <= inside <= 80  # of 80
    assert chances <= 10  # of 40: the form is the right one


def test_another_law_is_told_by_its_chance() -> None:
    chance = np.random.default_rng(1)
    reaches = list(np.where(chance.random(6_000) < 0.3, chance.uniform(0, 9, 6_000), -1.0))
    found = exponential(EDGES, reaches, SAMPLE_S)
    assert found is not None
    assert found.chance < 1e-6
    assert found.chi2 > 5 * found.freedom


def test_bursts_make_the_errors_wider() -> None:
    calm = exponential(EDGES, reaches_of(2, 2_000), SAMPLE_S)
    busy = [one if at % 400 < 80 else -1.0 for at, one in enumerate(reaches_of(2, 10_000))]
    # The same takers, all within a fifth of the time, which comes in four stretches of twenty.
    held = exponential(EDGES, sorted(busy[:5_000], key=lambda one: one < 0), SAMPLE_S)
    even = exponential(EDGES, busy[:5_000], SAMPLE_S)
    assert calm is not None
    assert held is not None
    assert even is not None
    assert held.arrival.value == pytest.approx(even.arrival.value, rel=1e-6)
    assert held.arrival.error > 2 * even.arrival.error


@pytest.mark.parametrize(
    "reaches", [[-1.0] * 100, [5.0] * 100, [1.5] * 50 + [-1.0] * 50, [0.5] * 30 + [-1.0] * 70]
)
def test_counts_without_a_decay_give_none(reaches: list[float]) -> None:
    assert exponential(EDGES[:2], reaches, SAMPLE_S) is None


@pytest.mark.parametrize(
    ("chi2", "freedom", "chance"),
    [
        (3.841459, 1, 0.05), (18.307038, 10, 0.05), (15.086272, 5, 0.01), (0.0, 3, 1.0),
        (9.0, 0, 1.0), (2.0, 2, np.exp(-1.0)), (300.0, 2, np.exp(-150.0)), (1.0, 40, 1.0),
    ],
)  # fmt: skip
def test_chance_of_a_sum_of_squares(chi2: float, freedom: int, chance: float) -> None:
    assert chi2_chance(chi2, freedom) == pytest.approx(chance, rel=1e-5)


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(4).normal(3.0, 2.0, STRETCHES)
    found = jackknife([(x, 1.0) for x in values], lambda sums: (sums[0] / sums[1],))
    assert found is not None
    assert found[0] == pytest.approx(values.std(ddof=1) / np.sqrt(STRETCHES))
    assert jackknife([(1.0, 1.0)] * 3, lambda sums: None if sums[0] else ()) is None


def test_stretches_lie_in_the_order_of_time() -> None:
    parts = stretched([0] * 30 + [1] * 30, 2)
    assert len(parts) == STRETCHES
    assert parts[0] == [3.0, 0.0]
    assert parts[-1] == [0.0, 3.0]
    assert [sum(column) for column in zip(*parts, strict=True)] == [30.0, 30.0]
