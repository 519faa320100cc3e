"""The order of combinations: what beats luck is told, what does not is told as plainly."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from openmm.sweep.figures import Figures, Moments, pooled
from openmm.sweep.luck import deflated_sharpe, expected_best
from openmm.sweep.page import place
from openmm.sweep.plan import Span, Spec, specs
from openmm.sweep.ranking import Ranking, inert, once, rank, to_json
from openmm.sweep.space import Point
from openmm.sweep.store import Result
from tests.sweep.made import NS, START_NS, encoded, figures_with, job, placed, points, span, sums

Of = Callable[[int, int], Moments | Result | None]  # of trial and span


def ranked(
    of: Of, trials: int, spans: list[Span], split: int = 0, rolling: bool = False
) -> Ranking:
    made = job("tiny", len(spans))
    listed: list[tuple[Spec, Result]] = []
    for spec in specs(made, points(trials)):
        found = of(spec.trial, spec.span)
        if isinstance(found, Moments):
            found = Result(spec.run_id, "done", "", encoded(found, spec.trial))
        if found is not None:
            listed.append((spec, placed(found, spans[spec.span])))
    return rank(listed, spans, NS, split, rolling)


def noise(seed: int, mean: float, count: int = 200) -> Moments:
    chance = random.Random(seed)
    return sums([chance.gauss(mean, 1) for _ in range(count)])


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
    assert found.bar == pytest.approx(expected_best(30, max(variance, 1 / 799)))


def test_copies_of_losers_do_not_make_the_best_one_beat_luck() -> None:
    # The same returns again and again, as of a key that is inert or a grid too far out to trade.
    made = [noise(0, 0.2), noise(3, -0.1), sums([0.0] * 200)]
    few = ranked(lambda trial, at: made[trial], 3, SPANS[:1])
    many = ranked(lambda trial, at: made[trial % 2 + 1 if trial else 0], 60, SPANS[:1])
    assert few.rows[0].trial == many.rows[0].trial == 0
    assert many.bar > few.bar > 0
    assert (many.rows[0].deflated or 1) < (few.rows[0].deflated or 0)
    alone = ranked(lambda trial, at: made[0 if trial == 0 else 2], 59, SPANS[:1])
    assert alone.bar >= expected_best(59, 1 / 199)
    assert "where luck's best would have 0.00" not in alone.verdict


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
    steady = sums([1.28, -0.72] * 200)
    short = sums([1.32, -0.68] * 16)
    flat = sums([0.1, -0.1] * 30)
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
            return sums([0.0] * 50)
        return None if (trial, at) == (4, 2) else noise(10 * trial + at, 0.1)

    found = ranked(of, 5, SPANS)
    assert found.trials == 3, "1 is refused, 4 is not whole"
    assert [row.trial for row in found.rows][2:] == [3, 1]
    assert (found.rows[-1].state, found.rows[-1].why) == ("refused", "strategy.spread: wider")
    assert found.rows[2].deflated is None
    assert found.counts == {"done": 15, "refused": 4, "failed": 0}


def test_nothing_at_all_is_told_as_that() -> None:
    assert ranked(lambda trial, at: None, 2, SPANS).verdict.startswith("Nothing can be told")
    flat = ranked(lambda trial, at: sums([0.0] * 50), 2, SPANS)
    assert flat.best is None
    assert flat.verdict.startswith("Nothing can be told")


def test_split_ranks_on_what_is_before_the_last_slice_and_tests_on_it() -> None:
    # 0 is good until the last slice, 1 only there.
    def of(trial: int, at: int) -> Moments:
        good = (at < 3) if trial == 0 else (at == 3)
        return noise(10 * trial + at, 0.4 if good else -0.4)

    found = ranked(of, 2, SPANS, split=3)
    assert [row.trial for row in found.rows] == [0, 1]
    assert [one.ranked for one in found.folds] == [2] * 3
    first = found.rows[0]
    assert first.train is not None
    assert first.test is not None
    assert (first.train.slices, first.test.slices) == (3, 1)
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
    flat = sums([0.0] * 50)
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
    assert found.rows[0].train.slices == 1


def test_markets_of_one_time_are_one_slice() -> None:
    spans = [span(0), span(0, "other", 0), span(1), span(1, "other", 1)]
    found = ranked(lambda trial, at: noise(10 * trial + at, 0.1), 3, spans, split=1)
    assert all(len(row.slices) == 2 for row in found.rows)
    assert all(row.train is not None and row.train.slices == 2 for row in found.rows)


def test_seconds_of_markets_beside_each_other_count_once() -> None:
    # The same returns in four markets at one time: nothing more is known of them than of one.
    def of(trial: int, at: int) -> Moments:
        return noise(trial, 0.1)

    beside = [span(0, name, 0) for name in ("a", "b", "c", "d")]
    one, four = ranked(of, 8, beside[:1]), ranked(of, 8, beside)
    assert [row.trial for row in four.rows] == [row.trial for row in one.rows]
    assert four.bar == pytest.approx(one.bar, rel=5e-3)
    for mine, alone in zip(four.rows, one.rows, strict=True):
        assert mine.train is not None
        assert alone.train is not None
        assert mine.train.moments.count == alone.train.moments.count == 200
        assert mine.train.moments.covered_ns == alone.train.moments.covered_ns
        assert mine.train.sharpe_a_day == pytest.approx(alone.train.sharpe_a_day)
        assert mine.deflated == pytest.approx(alone.deflated, abs=5e-3)
        assert (mine.train.fills, mine.train.flattened) == (4, 4.0 * mine.trial)
    # One after the other they are as many returns as there are.
    apart = ranked(of, 8, SPANS)
    assert apart.rows[0].train is not None
    assert apart.rows[0].train.moments.count == 800
    assert (apart.rows[0].deflated or 0) > (four.rows[0].deflated or 1)


def test_what_markets_share_of_their_time_is_what_counts_once() -> None:
    def figures(start_s: int, end_s: int, seed: int) -> Figures:
        made = figures_with(noise(seed, 0.1, end_s - start_s))
        start_ns, end_ns = (START_NS + at * NS for at in (start_s, end_s))
        return msgspec.structs.replace(made, from_ns=start_ns, to_ns=end_ns)

    a, b, c = figures(0, 100, 1), figures(60, 160, 2), figures(160, 200, 3)
    silent = msgspec.structs.replace(figures(0, 900, 4), moments=Moments())
    found = once([c, a, silent, b])
    every = pooled([a.moments, b.moments, c.moments])
    assert (found.count, found.covered_ns) == (200, 200 * NS)
    assert (found.mean, found.skew, found.kurtosis) == pytest.approx(
        (every.mean, every.skew, every.kurtosis)
    )
    assert once([a, c]) == pooled([a.moments, c.moments]), "bit for bit where nothing is shared"
    assert once([]) == Moments()


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


MODELS = ("careful", "power", "log")


def under_models(of: Callable[[int, str, int], bytes], split: int = 0) -> Ranking:
    """Rank four combinations under three models each; `of`: combination, model and span."""
    every: list[Point] = [
        (("strategy.num_orders", str(at)), ("model.queue", one)) for at in range(4)
        for one in MODELS
    ]  # fmt: skip
    made = job("tiny", len(SPANS))
    listed = [
        (
            spec,
            placed(
                Result(spec.run_id, "done", "", of(int(own[1]), model[1], spec.span)),
                SPANS[spec.span],
            ),
        )
        for spec in specs(made, every)
        for own, model in [spec.point]
    ]
    return rank(listed, SPANS, NS, split, False)


def test_combination_counts_by_the_model_that_it_does_worst_under() -> None:
    # 0 is the best by far, and the worst, as it is assumed; 2 is good whatever is.
    def of(own: int, model: str, at: int) -> bytes:
        good = {(0, "power"): 2.0, (0, "careful"): -0.5, (2, "log"): 0.3}
        mean = good.get((own, model), 0.5 if own == 2 else 0.0)
        return encoded(noise(1000 * own + 100 * MODELS.index(model) + at, mean))

    found = under_models(of, split=3)
    assert (found.trials, found.models, len(found.rows)) == (4, 3, 4), "tries are of the bot alone"
    assert "best of 4 tries" in found.verdict
    assert "4 combinations under 3 models each" in found.assumed
    best = found.rows[0]
    assert best.point == (("strategy.num_orders", "2"), ("model.queue", "log"))
    assert best.train is not None
    assert best.train == best.under[2].train
    assert [dict(one.point)["model.queue"] for one in best.under] == list(MODELS)
    worst = found.rows[-1]
    assert worst.point == (("strategy.num_orders", "0"), ("model.queue", "careful"))
    assert (worst.train, worst.test) == (worst.under[0].train, worst.under[0].test)
    assert {one.trial // 3 for one in found.folds} == {2}, "0 ms is never what is picked"
    sharpes = [row.train.sharpe for row in found.rows if row.train is not None]
    assert all(
        row.train is not None and row.train.sharpe == min(
            one.train.sharpe or 0 for one in row.under if one.train is not None
        )
        for row in found.rows
    )  # fmt: skip
    assert len(sharpes) == 4
    told = to_json(found, 9)
    assert (told["trials"], told["models"]) == (4, 3)
    assert [one["parameters"] for one in told["ranking"][0]["models"]] == [
        {"model.queue": one} for one in MODELS
    ]


def test_models_that_change_nothing_are_no_tries() -> None:
    found = under_models(lambda own, model, at: encoded(noise(100 * own + at, 0.1)))
    alone = ranked(lambda trial, at: noise(100 * trial + at, 0.1), 4, SPANS)
    assert (found.trials, found.bar) == (alone.trials, alone.bar)
    assert [one.deflated for one in found.rows] == [one.deflated for one in alone.rows]
    assert inert(found) == ["model.queue"]


def test_halt_in_train_disqualifies_and_is_told() -> None:
    # 0 makes most, for it halted in the first slice and began anew in the second.
    def of(trial: int, at: int) -> Result:
        moments = noise(100 * trial + at, 0.8 if trial == 0 else 0.1)
        figures = figures_with(moments, halted=(trial, at) in ((0, 0), (1, 3)))
        return Result("x", "done", "", msgspec.msgpack.encode([figures]))

    found = ranked(of, 3, SPANS, split=3)
    assert found.rows[-1].trial == 0
    assert found.rows[-1].halted
    assert found.rows[-1].train is not None
    assert found.rows[-1].train.halted == 1
    assert found.trials == 3, "luck had it all the same"
    assert 0 not in {one.trial for one in found.folds}
    assert found.disqualified.startswith("1 of 3 combinations halted")
    told = to_json(found, 9)["ranking"]
    assert [one["halted"] for one in told] == [False, False, True]
    tested = {one["trial"]: one["test"]["halted"] for one in told}
    assert tested == {0: 0, 1: 1, 2: 0}
    all_halted = ranked(lambda trial, at: of(0, 0), 2, SPANS, split=3)
    assert all_halted.best is None
    assert all_halted.verdict.startswith("Nothing can be told")
    assert all_halted.blank == (1, 2, 3)


def test_halt_under_one_model_is_the_worst_of_them() -> None:
    def of(own: int, model: str, at: int) -> bytes:
        moments = noise(100 * own + at, 0.5 if model == "log" else 0.1)
        figures = figures_with(moments, halted=own == 1 and model == "log")
        return msgspec.msgpack.encode([figures])

    found = under_models(of)
    assert [one.halted for one in found.rows] == [False, False, False, True]
    assert dict(found.rows[-1].point) == {"strategy.num_orders": "1", "model.queue": "log"}


def test_test_without_a_trade_has_no_place() -> None:
    def of(trial: int, at: int) -> Result:
        silent = trial == 0 and at == 2
        moments = sums([0.0] * 50) if silent else noise(100 * trial + at, 0.9 - trial)
        figures = figures_with(moments, fills=0 if silent else 3)
        return Result("x", "done", "", msgspec.msgpack.encode([figures]))

    found = ranked(of, 3, SPANS, split=3)
    assert [one.trial for one in found.folds] == [0, 0, 0]
    assert [one.rank for one in found.folds] == [1, None, 1]
    assert [one.ranked for one in found.folds] == [3, 2, 3]
    assert [place(one) for one in found.folds] == ["1 of 3", "did not trade", "1 of 3"]


def test_test_in_which_something_was_held_has_a_place_without_a_fill() -> None:
    def of(trial: int, at: int) -> Result:
        figures = figures_with(noise(100 * trial + at, 0.9 - trial), fills=0 if at == 3 else 3)
        return Result("x", "done", "", msgspec.msgpack.encode([figures]))

    found = ranked(of, 3, SPANS, split=3)
    assert [(one.rank, one.ranked) for one in found.folds] == [(1, 3)] * 3


def test_falls_are_of_one_market_from_span_to_span() -> None:
    spans = [span(0), span(0, "other", 0), span(1), span(1, "other", 1)]
    lowest = [-3.0, -1.0, -4.0, -1.0]

    def of(trial: int, at: int) -> Result:
        figures = figures_with(noise(10 * trial + at, 0.1), lowest[at])
        return Result("x", "done", "", msgspec.msgpack.encode([figures]))

    found = ranked(of, 2, spans)
    assert found.rows[0].train is not None
    assert found.rows[0].train.drawdown == 7.0
    assert found.rows[0].train.flattened == -9.0
