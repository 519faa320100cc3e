"""The order of a sweep's combinations: by what is left of them when luck has had its part.

A combination is what is varied of the bot's file. What is varied of the fill model is no choice of
anyone's: each combination counts by the model that it does worst under.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import msgspec

from openmm.sweep.figures import Figures, Moments, a_day, deepest_fall, pooled
from openmm.sweep.luck import SURE, Overfit, deflated_sharpe, expected_best, overfit, spread_of
from openmm.sweep.plan import Span, Spec
from openmm.sweep.space import Point, parted
from openmm.sweep.store import Result

_FIGURES: Final = msgspec.msgpack.Decoder(list[Figures])
Part: TypeAlias = tuple[str, Figures]  # the market that was quoted, and what came of a slice


class Score(msgspec.Struct, frozen=True):
    """Figures of a combination over some slices; money in the quote asset of each, added up."""

    slices: int  # of each market
    net: float
    flattened: float
    fees: float
    volume: float
    fills: int
    drawdown: float  # the deepest of a market, from slice to slice
    moments: Moments  # each second once: `once`
    halted: int = 0  # slices that ended halted

    @property
    def sharpe(self) -> float | None:
        """Return the Sharpe ratio of one return; None where nothing was traded."""
        return self.moments.sharpe

    @property
    def sharpe_a_day(self) -> float | None:
        """Return the Sharpe ratio as of a day."""
        return self.moments.sharpe_a_day

    @property
    def traded(self) -> bool:
        """Tell whether there is anything to place it by: fills, or what it holds from before."""
        return self.sharpe is not None


class Row(msgspec.Struct, frozen=True):
    """A combination: how it did where it is ranked (train) and where it is not (test).

    Of several models it is run under, all figures are of the one it did worst under in train.

    Args:
        trial: of that model.
        point: with that model's values.
        deflated: the deflated Sharpe ratio in train; None: nothing to be told.
        state, why: of `store.Result`, the first that is not `done`.
        slices: its moments, slice by slice of time.
        under: it under each model, itself among them; without deflated figures.
    """

    trial: int
    point: Point
    state: str
    why: str
    train: Score | None = None
    test: Score | None = None
    deflated: float | None = None
    slices: tuple[Moments, ...] = ()
    under: tuple[Row, ...] = ()

    @property
    def halted(self) -> bool:
        """Tell whether it halted in train: it is not to be chosen, whatever it made since."""
        return self.train is not None and self.train.halted > 0


class Fold(msgspec.Struct, frozen=True):
    """One step of walking forward: the best of the train slices, and how it did in the next.

    Args:
        rank: its place in test among those that traded there, the best 1; None: it did not.
        ranked: how many those are.
    """

    train_slices: tuple[int, int]  # first and last
    test_slice: int
    trial: int
    train: Score
    test: Score
    deflated: float | None
    rank: int | None
    ranked: int


class Ranking(msgspec.Struct, frozen=True):
    """All of it.

    Args:
        rows: the best first; then those that halted in train, and those without a figure, in the
            plan's order.
        trials: how many combinations of the bot's values were run, which is what luck had.
        bar: the Sharpe ratio of one return that luck's best is expected to have.
        bar_a_day: the same as of a day; returns are those of all combinations in train.
        blank: slices that were to be tested, but nothing traded enough ahead of them, or all of
            it halted.
        walked: what picking the best at each step came to, over all test slices.
        walked_sure: probability that its true Sharpe ratio is above 0: it was tried once.
    """

    rows: tuple[Row, ...]
    trials: int
    bar: float
    bar_a_day: float
    returns_ns: int
    folds: tuple[Fold, ...]
    walked: Score | None
    walked_sure: float | None
    overfit: Overfit | None
    counts: dict[str, int]
    blank: tuple[int, ...] = ()

    @property
    def best(self) -> Row | None:
        """Return the first that has a figure and did not halt."""
        first = self.rows[0] if self.rows else None
        return None if first is None or first.deflated is None or first.halted else first

    @property
    def models(self) -> int:
        """Return how many models each combination was run under."""
        return max((len(one.under) for one in self.rows), default=0)

    @property
    def every(self) -> list[Row]:
        """Return every combination under every model."""
        return [one for row in self.rows for one in row.under]

    @property
    def assumed(self) -> str:
        """Say how models were dealt with; nothing where there is one alone."""
        if self.models < 2:
            return ""
        return (
            f"{self.trials:,} combinations under {self.models:,} models each: all figures are of "
            "the one that a combination did worst under in train"
        )

    @property
    def disqualified(self) -> str:
        """Say how many halted where they were to be ranked; nothing where none did."""
        count = sum(1 for one in self.rows if one.halted)
        if not count:
            return ""
        return f"{count:,} of {self.trials:,} combinations halted in train: not to be chosen"

    @property
    def beats_luck(self) -> bool:
        """Tell whether anything does."""
        best = self.best
        return best is not None and best.deflated is not None and best.deflated >= SURE

    @property
    def blanks(self) -> str:
        """Say which steps are missing, and why; nothing where none is."""
        if not self.blank:
            return ""
        slices = ", ".join(map(str, self.blank))
        return (
            f"not walked to: slice {slices}; ahead of it too little was traded without a halt to "
            "pick a best by"
        )

    @property
    def verdict(self) -> str:
        """Say in words what it came to."""
        best = self.best
        if best is None or best.train is None:
            return "Nothing can be told: no combination traded over enough returns without a halt."
        bar, found = self.bar_a_day, best.train.sharpe_a_day or 0.0
        told = (
            f"The best of {self.trials:,} tries has a Sharpe ratio of {found:.2f} a day, where "
            f"luck's best would have {bar:.2f}; its deflated one is {best.deflated:.2f}"
        )
        if self.beats_luck:
            text = f"{told}: it beats luck."
        else:
            text = f"Nothing here beats luck. {told}, below {SURE:.2f}."
        if self.overfit is not None and self.overfit.probability >= 0.5:
            text += (
                f" And the choice is overfit: in {self.overfit.probability:.0%} of splits the best "
                "of one half is below the middle in the other."
            )
        return text


def score(parts: Sequence[Part]) -> Score:
    """Add up figures over slices; of one market these follow each other."""
    figures = [one for _, one in parts]
    markets: dict[str, list[Figures]] = {}
    for market, one in parts:
        markets.setdefault(market, []).append(one)
    return Score(
        len(figures), math.fsum(one.net for one in figures),
        math.fsum(one.flattened for one in figures), math.fsum(one.fees for one in figures),
        math.fsum(one.volume for one in figures), sum(one.fills for one in figures),
        max((deepest_fall(some) for some in markets.values()), default=0.0),
        once(figures), sum(one.halted for one in figures),
    )  # fmt: skip


def once(figures: Sequence[Figures]) -> Moments:
    """Return the moments of slices in which each second counts once, however many were quoted then.

    What one bot makes of several markets in the same seconds is nearly the same again and again: as
    many returns there are as the time has that any market covers, and their mean, deviation, skew
    and tails are those of all markets' returns together.
    """
    moments = pooled(one.moments for one in figures)
    told = sorted((one.from_ns, one.to_ns) for one in figures if one.moments.count)
    together_ns = sum(end - start for start, end in told)
    covered_ns, until_ns = 0, 0
    for start_ns, end_ns in told:
        covered_ns += max(end_ns - max(start_ns, until_ns), 0)
        until_ns = max(until_ns, end_ns)
    if covered_ns == together_ns:
        return moments
    count = (2 * moments.count * covered_ns + together_ns) // (2 * together_ns)
    share = count / moments.count
    return Moments(
        count, moments.sum1 * share, moments.sum2 * share, moments.sum3 * share,
        moments.sum4 * share, moments.covered_ns * covered_ns // together_ns,
    )  # fmt: skip


def rank(
    results: Iterable[tuple[Spec, Result]], spans: Sequence[Span], returns_ns: int, split: int,
    rolling: bool,
) -> Ranking:  # fmt: skip
    """Rank combinations.

    With a split the last slice is the test of all others, which are what the order follows from. A
    run goes through all slices of its span, so what it holds, or that it halted, it takes along.
    Each combination counts by the model that it did worst under in train, in test as well.

    Args:
        results: of all runs; a combination that lacks one, under any model, is left out.
        split: how many steps to walk forward; 0: every slice is train, and there is no test.
        rolling: train on one slice, the one ahead of the test; else on all ahead of it.
    """
    trials: dict[int, dict[int, tuple[Spec, Result]]] = {}
    counts = {"done": 0, "refused": 0, "failed": 0}
    for spec, result in results:
        trials.setdefault(spec.trial, {})[spec.span] = spec, result
        counts[result.state] += 1
    last = max((one.slice + len(one.cuts) for one in spans), default=0)
    train = _train(last, rolling) if split else range(last + 1)
    models: set[Point] = set()
    runs: dict[Point, list[_Run]] = {}
    for trial, found in sorted(trials.items()):
        own, model = parted(next(iter(found.values()))[0].point)
        models.add(model)
        if len(found) == len(spans):
            runs.setdefault(own, []).append(
                _run(trial, found, spans, train, last if split else None)
            )
    whole: list[list[_Run]] = []
    reps: list[Row] = []
    others: list[Row] = []
    for under in runs.values():
        if len(under) < len(models):
            continue
        refused = [one.row for one in under if one.row.state != "done"]
        if refused:
            others.append(refused[0])
            continue
        whole.append(under)
        worst = _worst(under, train).row
        reps.append(msgspec.structs.replace(worst, under=tuple(one.row for one in under)))
    trained = [row.train for row in reps if row.train is not None]
    bar = _bar(trained)
    rows = [
        msgspec.structs.replace(row, deflated=deflated_sharpe(row.train.moments, bar))
        for row in reps if row.train is not None
    ]  # fmt: skip
    folds, tested = _walk(whole, last, rolling) if split else ([], [])
    walked = score(tested) if folds else None
    return Ranking(
        tuple(sorted(rows, key=_order) + others), len(whole), bar,
        a_day(bar, pooled(one.moments for one in trained)) or 0.0, returns_ns, tuple(folds), walked,
        None if walked is None else deflated_sharpe(walked.moments, 0.0),
        overfit([row.slices for row in rows if not row.halted]), counts,
        tuple(sorted({*range(1, last + 1)} - {one.test_slice for one in folds})) if split else (),
    )  # fmt: skip


def inert(ranking: Ranking) -> list[str]:
    """Return keys that made no difference: combinations apart in one alone gave the same figures.

    Of drawn values there are no such pairs, and nothing is said.
    """
    rows = ranking.every
    found = []
    for at, (key, _) in enumerate(rows[0].point if rows else ()):
        groups: dict[Point, list[object]] = {}
        for row in rows:
            rest = row.point[:at] + row.point[at + 1 :]
            groups.setdefault(rest, []).append((row.slices, row.train, row.test))
        pairs = [one for one in groups.values() if len(one) > 1]
        if pairs and all(figures == one[0] for one in pairs for figures in one):
            found.append(key)
    return found


def _train(test: int, rolling: bool) -> range:
    return range(test - 1 if rolling else 0, test)


def _order(row: Row) -> tuple[bool, float, float, int]:
    """Sort by the deflated figure; where it rounds to the same, by the Sharpe ratio itself."""
    sharpe = row.train.sharpe if row.train is not None else None
    return (
        row.halted,
        math.inf if row.deflated is None else -row.deflated,
        math.inf if sharpe is None else -sharpe,
        row.trial,
    )


@final
@dataclass(frozen=True, slots=True)
class _Run:
    """A combination under one model, and its figures by slice."""

    row: Row
    by_slice: Mapping[int, Sequence[Part]]

    def over(self, slices: Iterable[int]) -> list[Part]:
        return [one for at in slices for one in self.by_slice.get(at, ())]


def _run(
    trial: int, found: Mapping[int, tuple[Spec, Result]], spans: Sequence[Span], train: range,
    test: int | None,
) -> _Run:  # fmt: skip
    point = next(iter(found.values()))[0].point
    by_slice: dict[int, list[Part]] = {}
    for at, span in enumerate(spans):
        result = found[at][1]
        if result.state != "done" or result.figures is None:
            return _Run(Row(trial, point, result.state, result.why), {})
        for (place, _, _), figures in zip(
            span.slices, _FIGURES.decode(result.figures), strict=True
        ):
            by_slice.setdefault(place, []).append((span.parts[0].label, figures))
    slices = tuple(pooled(one.moments for _, one in by_slice[at]) for at in sorted(by_slice))
    made = _Run(Row(trial, point, "done", ""), by_slice)
    tested = None if test is None else score(made.over((test,)))
    row = Row(trial, point, "done", "", score(made.over(train)), tested, None, slices)
    return _Run(row, by_slice)


def _worst(under: Sequence[_Run], train: Iterable[int]) -> _Run:
    """Return the run of the model that does worst: it halts, does not trade, or has the least."""

    def strength(one: Score) -> tuple[bool, bool, float]:
        return not one.halted, one.traded, one.sharpe or 0.0

    slices = list(train)
    return min(under, key=lambda one: strength(score(one.over(slices))))


def _bar(scores: Sequence[Score]) -> float:
    """Return what luck's best is expected to have of so many tries."""
    return expected_best(len(scores), spread_of([one.moments for one in scores]))


def _walk(
    whole: Sequence[Sequence[_Run]], last: int, rolling: bool
) -> tuple[list[Fold], list[Part]]:
    """Return the steps, and the figures of all their tests."""
    folds: list[Fold] = []
    parts: list[Part] = []
    for test in range(1, last + 1):
        train = _train(test, rolling)
        runs = [_worst(under, train) for under in whole]
        scores = [score(one.over(train)) for one in runs]
        bar = _bar(scores)
        known = [
            (-deflated, -(one.sharpe or 0.0), run.row.trial, at)
            for at, (run, one) in enumerate(zip(runs, scores, strict=True))
            if not one.halted and (deflated := deflated_sharpe(one.moments, bar)) is not None
        ]
        if not known:
            continue
        deflated, _, trial, at = min(known)
        tests = [score(one.over((test,))) for one in runs]
        traded = [one.sharpe for one in tests if one.traded and one.sharpe is not None]
        mine = tests[at].sharpe if tests[at].traded else None
        place = None if mine is None else sum(1 for one in traded if one > mine) + 1
        folds.append(
            Fold(
                (train[0], train[-1]), test, trial, scores[at], tests[at], -deflated, place,
                len(traded),
            )
        )  # fmt: skip
        parts += runs[at].over((test,))
    return folds, parts


def to_json(ranking: Ranking, most: int) -> dict[str, Any]:
    """Return plain values; Sharpe ratios are of a day.

    Args:
        most: of combinations.
    """

    def told(one: Score | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {
            "slices": one.slices, "halted": one.halted, "net": one.net, "flattened": one.flattened,
            "fees": one.fees, "volume": one.volume, "fills": one.fills,
            "drawdown": one.drawdown, "returns": one.moments.count,
            "sharpe": one.sharpe_a_day, "skew": one.moments.skew,
            "kurtosis": one.moments.kurtosis,
        }  # fmt: skip

    luck = ranking.overfit
    return {
        "verdict": ranking.verdict, "beats_luck": ranking.beats_luck, "trials": ranking.trials,
        "models": ranking.models,
        "runs": ranking.counts, "returns_ns": ranking.returns_ns,
        "luck_sharpe": ranking.bar_a_day,
        "overfit": None if luck is None else {
            "probability": luck.probability, "groups": luck.groups, "splits": len(luck.logits),
            "worse_than_none": luck.worse_than_none,
        },
        "walk_forward": {
            "folds": [
                {
                    "train": list(one.train_slices), "test": one.test_slice, "trial": one.trial,
                    "deflated": one.deflated, "rank": one.rank, "ranked": one.ranked,
                    "train_figures": told(one.train), "test_figures": told(one.test),
                }
                for one in ranking.folds
            ],
            "blank": list(ranking.blank), "all": told(ranking.walked), "sure": ranking.walked_sure,
        },
        "ranking": [
            {
                "trial": one.trial, "parameters": dict(one.point), "state": one.state,
                "why": one.why, "deflated": one.deflated, "halted": one.halted,
                "train": told(one.train), "test": told(one.test),
                "models": [
                    {
                        "trial": other.trial, "parameters": dict(parted(other.point)[1]),
                        "train": told(other.train), "test": told(other.test),
                    }
                    for other in one.under
                ],
            }
            for one in ranking.rows[:most]
        ],
    }  # fmt: skip
