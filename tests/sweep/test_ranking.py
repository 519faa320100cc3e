"""The order of combinations: what beats luck is told, what does not is told as plainly."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from openmm.sweep.figures import Moments, moments_of, pooled
from openmm.sweep.luck import deflated_sharpe, expected_best
from openmm.sweep.plan import Span, Spec, specs
from openmm.sweep.ranking import Ranking, inert, rank, to_json
from openmm.sweep.store import Result
from tests.sweep.made import NS, encoded, job, points, span

Of = Callable[[int, int], Moments | Result | None]  # of trial and span


def ranked(
    of: Of, trials: int, spans: list[Span], split: int = 0, rolling: bool = False
) -> Ranking:
    made = job("tiny", len(spans))
    listed: list[tuple[Spec, Result]] = []
    for spec in specs(made, points(trials)):
        found = of(spec.trial, spec.span)
        if isinstance(found, Moments):
            listed.append((spec, Result(spec.run_id, "done", "", encoded(found, spec.trial))))
        elif found is not None:
            listed.append((spec, found))
    return rank(listed, spans, NS, split, rolling)


def noise(seed: int, mean: float, count: int = 200) -> Moments:
    chance = random.Random(seed)
    return moments_of([chance.gauss(mean, 1) for _ in range(count)])


SPANS = [span(place) for place in range(4)]


def test_chance_does_not_beat_luck_and_the_verdict_says_so() -> None:
    found = ranked(lambda trial, at: noise(100 * trial + at, 0.0), 30, SPANS)
    best = found.best
    assert best is not None
    assert best.train is not None
    assert best.train.sharpe is not None
    assert best.train.sharpe > 0.05, "the best of chance looks good"
    assert not found.beats_luck
    assert found.verdict.startswith("Nothing here beats luck. The best of 30 tries")
    sharpes = [pooled(row.slices).sharpe or 0.0 for row in found.rows]
    mean = sum(sharpes) / 30
    variance = sum((one - mean) ** 2 for one in sharpes) / 29
    assert found.bar == pytest.approx(expected_best(30, variance))


def test_skill_beats_luck_and_stands_first() -> None:
    found = ranked(
        lambda trial, at: noise(100 * trial + at, 0.5 if trial == 17 else 0.0), 30, SPANS
    )
    assert found.beats_luck
    assert found.verdict.endswith("it beats luck.")
    assert found.rows[0].trial == 17
    assert found.overfit is not None
    assert found.overfit.probability == 0.0
    deflated = [row.deflated for row in found.rows]
    assert all(one is not None for one in deflated)
    assert deflated == sorted(deflated, key=lambda one: -(one or 0.0))


def test_order_is_that_of_the_deflated_figure_and_not_of_the_ratio() -> None:
    # The better ratio over a few returns is worth less than a good one over many.
    steady = moments_of([1.28, -0.72] * 200)
    short = moments_of([1.32, -0.68] * 16)
    flat = moments_of([0.1, -0.1] * 30)
    found = ranked(lambda trial, at: (steady, short, flat)[trial], 3, [span(0)])
    one, other = (row.train.sharpe for row in found.rows[:2] if row.train is not None)
    assert [row.trial for row in found.rows[:2]] == [0, 1]
    assert one is not None
    assert other is not None
    assert other > one


def test_what_was_refused_is_told_and_counts_for_no_try() -> None:
    def of(trial: int, at: int) -> Moments | Result | None:
        if trial == 1:
            return Result("x", "refused", "strategy.spread: wider")
        if trial == 3:
            return moments_of([0.0] * 50)
        return None if (trial, at) == (4, 2) else noise(10 * trial + at, 0.1)

    found = ranked(of, 5, SPANS)
    assert found.trials == 3, "1 is refused, 4 is not whole"
    assert [row.trial for row in found.rows][2:] == [3, 1]
    assert (found.rows[-1].state, found.rows[-1].why) == ("refused", "strategy.spread: wider")
    assert found.rows[2].deflated is None
    assert found.counts == {"done": 15, "refused": 4, "failed": 0}


def test_nothing_at_all_is_told_as_that() -> None:
    assert ranked(lambda trial, at: None, 2, SPANS).verdict.startswith("Nothing can be told")
    flat = ranked(lambda trial, at: moments_of([0.0] * 50), 2, SPANS)
    assert flat.best is None
    assert flat.verdict.startswith("Nothing can be told")


def test_split_ranks_on_what_is_before_the_last_slice_and_tests_on_it() -> None:
    # 0 is good until the last slice, 1 only there.
    def of(trial: int, at: int) -> Moments:
        good = (at < 3) if trial == 0 else (at == 3)
        return noise(10 * trial + at, 0.4 if good else -0.4)

    found = ranked(of, 2, SPANS, split=3)
    assert [row.trial for row in found.rows] == [0, 1]
    first = found.rows[0]
    assert first.train is not None
    assert first.test is not None
    assert (first.train.spans, first.test.spans) == (3, 1)
    assert first.train.moments == pooled([of(0, 0), of(0, 1), of(0, 2)])
    assert first.test.moments == of(0, 3)
    assert (first.train.sharpe or 0) > 0.3 > 0 > (first.test.sharpe or 0)
    # Walking forward: 0 is picked at every step, and is the worse one at the last.
    assert [one.trial for one in found.folds] == [0, 0, 0]
    assert [one.rank for one in found.folds] == [1, 1, 2]
    assert [one.train_slices for one in found.folds] == [(0, 0), (0, 1), (0, 2)]
    assert found.walked is not None
    assert found.walked.moments == pooled([of(0, 1), of(0, 2), of(0, 3)])
    assert found.walked_sure == deflated_sharpe(found.walked.moments, 0.0)


def test_steps_that_nothing_was_traded_ahead_of_are_told() -> None:
    flat = moments_of([0.0] * 50)
    found = ranked(
        lambda trial, at: flat if at < 2 else noise(10 * trial + at, 0.3), 2, SPANS, split=3
    )
    assert [one.test_slice for one in found.folds] == [3]
    assert found.blank == (1, 2)
    assert "slice 1, 2" in found.blanks
    assert to_json(found, 2)["walk_forward"]["blank"] == [1, 2]
    assert ranked(lambda trial, at: noise(10 * trial + at, 0.3), 2, SPANS, split=3).blanks == ""


def test_rolling_ranks_on_the_slice_ahead_of_the_test_alone() -> None:
    # The best changes at every slice: rolling follows, one step late.
    found = ranked(
        lambda trial, at: noise(10 * trial + at, 0.6 if trial == at else -0.1), 4, SPANS, 3, True
    )
    assert [one.train_slices for one in found.folds] == [(0, 0), (1, 1), (2, 2)]
    assert [one.trial for one in found.folds] == [0, 1, 2]
    assert found.rows[0].trial == 2
    assert found.rows[0].train is not None
    assert found.rows[0].train.spans == 1


def test_markets_of_one_time_are_one_slice() -> None:
    spans = [span(0), span(0, "other", 0), span(1), span(1, "other", 1)]
    found = ranked(lambda trial, at: noise(10 * trial + at, 0.1), 3, spans, split=1)
    assert all(len(row.slices) == 2 for row in found.rows)
    assert all(row.train is not None and row.train.spans == 2 for row in found.rows)


def test_key_that_made_no_difference_is_found() -> None:
    made = job("tiny", 2)
    values = [(("strategy.a", f"{a}"), ("strategy.b", f"{b}")) for a in range(3) for b in range(2)]

    def of(spec: Spec, differs: bool) -> Result:
        a, b = (int(value) for _, value in spec.point)
        seed = 100 * a + spec.span + (1000 * b if a == 2 and differs else 0)
        return Result(spec.run_id, "done", "", encoded(noise(seed, 0.1)))

    for differs, wanted in ((False, ["strategy.b"]), (True, [])):
        listed = [(spec, of(spec, differs)) for spec in specs(made, values)]
        assert inert(rank(listed, made.spans, NS, 0, False)) == wanted
    alone = [(spec, of(spec, False)) for spec in specs(made, values[:1])]
    assert inert(rank(alone, made.spans, NS, 0, False)) == []


def test_plain_values_have_every_figure_as_of_a_day() -> None:
    found = ranked(lambda trial, at: noise(10 * trial + at, 0.1), 3, SPANS, split=3)
    told = to_json(found, 2)
    assert len(told["ranking"]) == 2
    one, row = told["ranking"][0], found.rows[0]
    assert row.train is not None
    assert one["train"]["sharpe"] == pytest.approx((row.train.sharpe or 0) * 86_400**0.5)
    assert one["parameters"] == dict(row.point)
    assert told["beats_luck"] is found.beats_luck
    assert len(told["walk_forward"]["folds"]) == 3
    assert told["overfit"]["splits"] == 6
