"""The fit of the fill intensity: what it recovers, what moves it, and equality with the oracle."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.intensity import Intensity
from openmm._fast.units import Side
from tests.oracles import intensity as oracle

BUY, SELL = Side.BUY, Side.SELL
MS = 1_000_000
SECOND = 1_000 * MS
UTICKS = 1_000_000
T0 = 1_700_000_000 * SECOND
PRICE = 100_000
PARAMS = {"sample_ns": 250 * MS, "half_life_ns": 600 * SECOND, "price_ticks": PRICE}


def poisson(
    fit: Any,
    arrival: float,
    decay_ticks: float,
    seed: int,
    seconds: int = 1_800,
    start_ns: int = T0,
) -> None:
    """Let takers of both sides arrive at a rate, each to an exponential distance."""
    chance = Random(seed)
    fit.on_mid(start_ns, PRICE * UTICKS)
    moments = sorted(
        (start_ns + int(at * SECOND), side)
        for side in (BUY, SELL)
        for at in arrivals(chance, arrival, seconds)
    )
    for now_ns, side in moments:
        away = math.floor(chance.expovariate(1 / decay_ticks))
        fit.on_trade(now_ns, side, PRICE + away if side == BUY else PRICE - away)
    fit.on_mid(start_ns + seconds * SECOND, PRICE * UTICKS)


def arrivals(chance: Random, rate: float, seconds: int) -> list[float]:
    found, at = [], chance.expovariate(rate)
    while at < seconds:
        found.append(at)
        at += chance.expovariate(rate)
    return found


@pytest.mark.parametrize(
    ("arrival", "decay_ticks", "tolerance"),
    [(0.2, 20, 0.15), (1, 20, 0.1), (5, 20, 0.06), (20, 5, 0.08), (2, 300, 0.08)],
)
@pytest.mark.parametrize("seed", range(3))
def test_known_intensity_is_recovered(
    arrival: float, decay_ticks: float, tolerance: float, seed: int
) -> None:
    fit = Intensity(**PARAMS)
    poisson(fit, arrival, decay_ticks, seed)
    assert fit.decay_uticks == pytest.approx(decay_ticks * UTICKS, rel=tolerance)
    assert fit.arrival_uhz == pytest.approx(arrival * 1e6, rel=tolerance)


def test_several_arrivals_in_one_interval_are_not_one() -> None:
    # At 20 a second and 4 intervals a second nearly every interval sees one: a plain count gives 4.
    fit = Intensity(**PARAMS)
    poisson(fit, 20, 20, 1)
    assert fit.arrival_uhz > 15e6


def test_newer_trades_count_more() -> None:
    fit = Intensity(**(PARAMS | {"half_life_ns": 60 * SECOND}))
    poisson(fit, 2, 50, 1, seconds=900)
    before = fit.decay_uticks
    poisson(fit, 2, 5, 2, seconds=900, start_ns=T0 + 900 * SECOND)
    assert before > 40 * UTICKS
    assert fit.decay_uticks < 8 * UTICKS


def test_half_life_tells_how_long_an_old_market_counts() -> None:
    told = []
    for half_life_ns in (60 * SECOND, 3_600 * SECOND):
        fit = Intensity(**(PARAMS | {"half_life_ns": half_life_ns}))
        poisson(fit, 2, 50, 1, seconds=600)
        poisson(fit, 2, 5, 2, seconds=600, start_ns=T0 + 600 * SECOND)
        told.append(fit.decay_uticks)
    assert told[0] < told[1] / 2


def test_sample_tells_from_when_distances_count() -> None:
    told = []
    for sample_ns in (100 * MS, 10 * SECOND):
        fit, chance = Intensity(**(PARAMS | {"sample_ns": sample_ns})), Random(3)
        mid = PRICE
        for i in range(6_000):
            now_ns = T0 + i * 100 * MS
            mid += chance.choice((-3, 0, 3))
            fit.on_mid(now_ns, mid * UTICKS)
            if i % 3 == 0:
                away = 1 + math.floor(chance.expovariate(0.5))
                side = chance.choice((BUY, SELL))
                fit.on_trade(now_ns + MS, side, mid + away if side == BUY else mid - away)
        told.append(fit.decay_uticks)
    # Over ten seconds the market itself goes as far as over a hundred intervals.
    assert told[1] > 2 * told[0] > 0


def test_nothing_is_told_before_there_is_enough() -> None:
    fit = Intensity(**PARAMS)
    for i in range(19):
        fit.on_mid(T0 + i * SECOND, PRICE * UTICKS)
        fit.on_trade(T0 + i * SECOND, BUY, PRICE + i % 7)
    fit.on_mid(T0 + 60 * SECOND, PRICE * UTICKS)
    assert (fit.decay_uticks, fit.arrival_uhz) == (0, 0)


def test_what_was_fitted_stands_while_there_is_too_little() -> None:
    fit = Intensity(**(PARAMS | {"half_life_ns": 60 * SECOND}))
    poisson(fit, 2, 20, 1, seconds=300)
    before = fit.decay_uticks, fit.arrival_uhz
    fit.on_mid(T0 + 3_600 * SECOND, PRICE * UTICKS)
    assert (fit.decay_uticks, fit.arrival_uhz) == before
    assert before[0] > 0


def test_trades_that_all_go_equally_far_give_no_decay() -> None:
    fit = Intensity(**PARAMS)
    for i in range(1_000):
        fit.on_mid(T0 + i * SECOND, PRICE * UTICKS)
        fit.on_trade(T0 + i * SECOND, BUY, PRICE + 4)
    assert fit.trials > 1_000
    assert fit.decay_uticks == 0


def test_interval_without_a_mid_at_its_end_is_given_up() -> None:
    fit = Intensity(**PARAMS)
    fit.on_mid(T0, PRICE * UTICKS)
    fit.on_trade(T0 + MS, BUY, PRICE + 5)
    fit.on_mid(T0 + 2 * MS, None)
    fit.on_trade(T0 + 3 * MS, BUY, PRICE + 5)
    fit.on_mid(T0 + 60 * SECOND, PRICE * UTICKS)
    assert fit.trials == 0
    fit.on_mid(T0 + 61 * SECOND, PRICE * UTICKS)
    assert fit.trials == pytest.approx(8, rel=1e-3)
    assert fit.state()["hits"][0] == 0


def test_time_that_goes_back_begins_a_new_interval() -> None:
    fit = Intensity(**PARAMS)
    fit.on_mid(T0, PRICE * UTICKS)
    fit.on_mid(T0 - SECOND, (PRICE + 9) * UTICKS)
    fit.on_trade(T0 - SECOND, BUY, PRICE + 10)
    fit.on_mid(T0 - SECOND + 250 * MS, PRICE * UTICKS)
    hits = fit.state()["hits"]
    assert [distance for distance, hit in zip(fit.distances_uticks, hits, strict=True) if hit][
        -1
    ] == UTICKS


def test_distances_are_half_ticks_from_the_nearest_on() -> None:
    coarse = Intensity(**(PARAMS | {"price_ticks": 500})).distances_uticks
    assert coarse[:7] == [500_000 * i for i in range(1, 8)]
    fine = Intensity(**(PARAMS | {"price_ticks": 10**9})).distances_uticks
    assert fine[0] == 2_000 * UTICKS
    assert fine[-1] > 10**8 * UTICKS
    for found in (coarse, fine):
        assert len(found) == 64
        assert all(low < high and high % 500_000 == 0 for low, high in pairwise(found))


def test_fit_goes_on_from_a_state_as_if_nothing_had_been_between() -> None:
    one, other = Intensity(**PARAMS), Intensity(**(PARAMS | {"price_ticks": PRICE + 5_000}))
    poisson(one, 2, 20, 1, seconds=300)
    other.restore(one.state())
    assert other.state() == one.state()
    for fit in (one, other):
        poisson(fit, 2, 20, 2, seconds=300, start_ns=T0 + 300 * SECOND)
    assert other.state() == one.state()
    assert one.decay_uticks > 0


def test_time_away_takes_weight_from_what_was_seen() -> None:
    one, other = Intensity(**PARAMS), Intensity(**PARAMS)
    poisson(one, 2, 20, 1, seconds=300)
    other.restore(one.state())
    other.on_mid(T0 + 900 * SECOND, PRICE * UTICKS)
    assert other.trials == pytest.approx(one.trials / 2)
    assert (other.decay_uticks, other.arrival_uhz) == (one.decay_uticks, one.arrival_uhz)


@pytest.mark.parametrize(
    "change",
    [
        {"trials": -1.0}, {"trials": math.nan}, {"trials": "many"}, {"hits": [1.0]}, {"hits": None},
        {"hits": [0.0] * 63 + [1.0]}, {"nearest_uticks": 0}, {"nearest_uticks": 7},
        {"nearest_uticks": 1 << 59}, {"decay_uticks": -1}, {"counted_ns": 0.5}, {"fitted_ns": None},
        {"arrival_uhz": 1 << 62},
    ],
)  # fmt: skip
def test_damaged_state_is_refused(change: dict[str, Any]) -> None:
    good = Intensity(**PARAMS)
    poisson(good, 2, 20, 1, seconds=60)
    fresh = Intensity(**PARAMS)
    with pytest.raises(ValueError, match=r"must|needed|no state"):
        fresh.restore(good.state() | change)
    assert fresh.state() == Intensity(**PARAMS).state()
    with pytest.raises(ValueError, match="no state"):
        fresh.restore({})
    with pytest.raises(ValueError, match="of its own"):
        good.restore(good.state())


@pytest.mark.parametrize(
    "change", [{"sample_ns": 0}, {"half_life_ns": 1}, {"price_ticks": 0}, {"price_ticks": 1 << 41}]
)
def test_parameters_out_of_bounds_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Intensity(**(PARAMS | change))


def test_bad_news_is_refused() -> None:
    fit = Intensity(**PARAMS)
    with pytest.raises(ValueError, match="must be"):
        fit.on_mid(T0, 0)
    for side, price_ticks in ((0, PRICE), (BUY, 0)):
        with pytest.raises(ValueError, match="must be"):
            fit.on_trade(T0, side, price_ticks)


NEWS = st.tuples(
    st.one_of(st.integers(0, 300 * MS), st.integers(0, 5 * SECOND)),
    st.one_of(
        st.tuples(st.just("mid"), st.one_of(st.none(), st.integers(-40, 40))),
        st.tuples(st.sampled_from([BUY, SELL]), st.integers(-3, 60)),
        st.tuples(st.sampled_from([BUY, SELL]), st.integers(-3, 9)),
    ),
)
News = tuple[int, tuple[Any, Any]]


def crowd(seed: int, arrival: float, decay_ticks: float) -> list[News]:
    """Make news of a busy market: enough to fit."""
    chance = Random(seed)
    found: list[News] = []
    for _ in range(300):
        step_ns = int(chance.expovariate(arrival) * SECOND)
        if chance.random() < 0.3:
            found.append((step_ns, ("mid", chance.randrange(-9, 10))))
        else:
            away = math.floor(chance.expovariate(1 / decay_ticks))
            found.append((step_ns, (chance.choice((BUY, SELL)), away)))
    return found


def tell(fit: Any, news: list[News], price: int, sample_ns: int) -> None:
    now_ns = T0
    fit.on_mid(now_ns, price * UTICKS)
    for step_ns, (what, value) in news:
        now_ns += step_ns
        if what == "mid":
            fit.on_mid(now_ns, None if value is None else price * UTICKS + value * UTICKS // 2)
        else:
            fit.on_trade(now_ns, what, price + value if what == BUY else price - value)
    fit.on_mid(now_ns + sample_ns, price * UTICKS)


@settings(max_examples=25, deadline=None)
@given(
    news=st.lists(NEWS, max_size=60),
    seed=st.integers(0, 999),
    arrival=st.floats(0.5, 20),
    decay_ticks=st.floats(1, 40),
    price=st.sampled_from([500, 20_000, 3_000_000]),
    sample_ns=st.sampled_from([100 * MS, 250 * MS, SECOND]),
    half_life_ns=st.sampled_from([60 * SECOND, 600 * SECOND]),
)
def test_fit_equals_oracle(
    news: list[News], seed: int, arrival: float, decay_ticks: float, price: int, sample_ns: int,
    half_life_ns: int,
) -> None:  # fmt: skip
    ours = Intensity(sample_ns=sample_ns, half_life_ns=half_life_ns, price_ticks=price)
    theirs = oracle.Intensity(sample_ns, half_life_ns, price)
    assert ours.distances_uticks == oracle.distances(price)
    for fit in (ours, theirs):
        tell(fit, [*crowd(seed, arrival, decay_ticks), *news], price, sample_ns)
    trials, hits = theirs.counts()
    assert ours.trials == pytest.approx(trials)
    assert ours.state()["hits"] == pytest.approx(hits)
    decay, arrival = theirs.fit()
    assert ours.decay_uticks == pytest.approx(decay, rel=1e-6, abs=1)
    assert ours.arrival_uhz == pytest.approx(arrival, rel=1e-6, abs=1)
    assert ours.decay_uticks > 0 or hits[0] < 20 or decay_ticks < 3 or price > 10**6
