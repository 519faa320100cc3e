"""The order of a sweep's combinations: by what is left of them when luck has had its part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import variance as variance_of
from typing import Any, Final

import msgspec

from openmm.sweep.figures import DAY_NS, Figures, Moments, pooled
from openmm.sweep.luck import SURE, Overfit, deflated_sharpe, expected_best, overfit
from openmm.sweep.plan import Span, Spec
from openmm.sweep.space import Point
from openmm.sweep.store import Result

_FIGURES: Final = msgspec.msgpack.Decoder(Figures)


class Score(msgspec.Struct, frozen=True):
    """Figures of a combination over some spans; money in the quote asset of each, added up."""

    spans: int
    pnl: float
    fees: float
    volume: float
    fills: int
    drawdown: float  # the deepest of a span
    moments: Moments

    @property
    def sharpe(self) -> float | None:
        """Return the Sharpe ratio of one return; None where nothing was traded."""
        return self.moments.sharpe


class Row(msgspec.Struct, frozen=True):
    """A combination: how it did where it is ranked (train) and where it is not (test).

    Args:
        deflated: the deflated Sharpe ratio in train; None: nothing to be told.
        state, why: of `store.Result`, the first that is not `done`.
        slices: its moments, slice by slice of time.
    """

    trial: int
    point: Point
    state: str
    why: str
    train: Score | None = None
    test: Score | None = None
    deflated: float | None = None
    slices: tuple[Moments, ...] = ()


class Fold(msgspec.Struct, frozen=True):
    """One step of walking forward: the best of the train slices, and how it did in the next.

    Args:
        rank: its place in test among all, the best 1.
    """

    train_slices: tuple[int, int]  # first and last
    test_slice: int
    trial: int
    train: Score
    test: Score
    deflated: float | None
    rank: int


class Ranking(msgspec.Struct, frozen=True):
    """All of it.

    Args:
        rows: the best first; those without a figure last, in the plan's order.
        trials: how many were run, which is what luck had.
        bar: the Sharpe ratio of one return that luck's best is expected to have.
        blank: slices that were to be tested, but nothing traded enough ahead of them to pick by.
        walked: what picking the best at each step came to, over all test slices.
        walked_sure: probability that its true Sharpe ratio is above 0: it was tried once.
    """

    rows: tuple[Row, ...]
    trials: int
    bar: float
    returns_ns: int
    folds: tuple[Fold, ...]
    walked: Score | None
    walked_sure: float | None
    overfit: Overfit | None
    counts: dict[str, int]
    blank: tuple[int, ...] = ()

    @property
    def best(self) -> Row | None:
        """Return the first that has a figure."""
        return self.rows[0] if self.rows and self.rows[0].deflated is not None else None

    @property
    def beats_luck(self) -> bool:
        """Tell whether anything does."""
        best = self.best
        return best is not None and best.deflated is not None and best.deflated >= SURE

    def a_day(self, sharpe: float | None) -> float | None:
        """Return a Sharpe ratio as of a day, as if returns were independent."""
        return None if sharpe is None else sharpe * math.sqrt(DAY_NS / self.returns_ns)

    @property
    def blanks(self) -> str:
        """Say which steps are missing, and why; nothing where none is."""
        if not self.blank:
            return ""
        slices = ", ".join(map(str, self.blank))
        return f"not walked to: slice {slices}; too little traded ahead of it to pick a best by"

    @property
    def verdict(self) -> str:
        """Say in words what it came to."""
        best = self.best
        if best is None or best.train is None:
            return "Nothing can be told: no combination traded over enough returns."
        bar, found = self.a_day(self.bar) or 0.0, self.a_day(best.train.sharpe) or 0.0
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


def score(figures: Sequence[Figures]) -> Score:
    """Add up figures over spans."""
    return Score(
        len(figures), math.fsum(one.pnl for one in figures),
        math.fsum(one.fees for one in figures), math.fsum(one.volume for one in figures),
        sum(one.fills for one in figures), max((one.drawdown for one in figures), default=0.0),
        pooled(one.moments for one in figures),
    )  # fmt: skip


def rank(
    results: Iterable[tuple[Spec, Result]], spans: Sequence[Span], returns_ns: int, split: int,
    rolling: bool,
) -> Ranking:  # fmt: skip
    """Rank combinations.

    With a split the last slice is the test of all others, which are what the order follows from.

    Args:
        results: of all runs; a combination that lacks one is left out.
        split: how many steps to walk forward; 0: every span is train, and there is no test.
        rolling: train on one slice, the one ahead of the test; else on all ahead of it.
    """
    trials: dict[int, dict[int, tuple[Spec, Result]]] = {}
    counts = {"done": 0, "refused": 0, "failed": 0}
    for spec, result in results:
        trials.setdefault(spec.trial, {})[spec.span] = spec, result
        counts[result.state] += 1
    last = max((one.slice for one in spans), default=0)
    train = _train(last, rolling) if split else range(last + 1)
    whole: list[tuple[Row, dict[int, list[Figures]]]] = []
    others: list[Row] = []
    for trial, found in sorted(trials.items()):
        if len(found) < len(spans):
            continue
        row, by_slice = _row(trial, found, spans, train, last if split else None)
        if row.state == "done":
            whole.append((row, by_slice))
        else:
            others.append(row)
    bar = _bar([row.train for row, _ in whole if row.train is not None])
    rows = [
        msgspec.structs.replace(row, deflated=deflated_sharpe(row.train.moments, bar))
        for row, _ in whole if row.train is not None
    ]  # fmt: skip
    folds = _walk(whole, last, rolling) if split else []
    walked = _walked(folds)
    return Ranking(
        tuple(sorted(rows, key=_order) + others), len(whole), bar, returns_ns, tuple(folds), walked,
        None if walked is None else deflated_sharpe(walked.moments, 0.0),
        overfit([row.slices for row, _ in whole]), counts,
        tuple(sorted({*range(1, last + 1)} - {one.test_slice for one in folds})) if split else (),
    )  # fmt: skip


def inert(ranking: Ranking) -> list[str]:
    """Return keys that made no difference: combinations apart in one alone gave the same figures.

    Of drawn values there are no such pairs, and nothing is said.
    """
    rows = [one for one in ranking.rows if one.train is not None]
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


def _order(row: Row) -> tuple[float, float, int]:
    """Sort by the deflated figure; where it rounds to the same, by the Sharpe ratio itself."""
    sharpe = row.train.sharpe if row.train is not None else None
    return (
        math.inf if row.deflated is None else -row.deflated,
        math.inf if sharpe is None else -sharpe,
        row.trial,
    )


def _row(
    trial: int, found: Mapping[int, tuple[Spec, Result]], spans: Sequence[Span], train: range,
    test: int | None,
) -> tuple[Row, dict[int, list[Figures]]]:  # fmt: skip
    point = found[0][0].point
    by_slice: dict[int, list[Figures]] = {}
    for at, span in enumerate(spans):
        result = found[at][1]
        if result.state != "done" or result.figures is None:
            return Row(trial, point, result.state, result.why), {}
        by_slice.setdefault(span.slice, []).append(_FIGURES.decode(result.figures))
    slices = tuple(pooled(one.moments for one in by_slice[at]) for at in sorted(by_slice))
    return Row(
        trial, point, "done", "", score(_of(by_slice, train)),
        None if test is None else score(by_slice.get(test, [])), None, slices,
    ), by_slice  # fmt: skip


def _of(by_slice: Mapping[int, list[Figures]], slices: Iterable[int]) -> list[Figures]:
    return [one for at in slices for one in by_slice.get(at, [])]


def _bar(scores: Sequence[Score]) -> float:
    """Return what luck's best is expected to have of so many tries."""
    sharpes = [one.sharpe for one in scores]
    known = [one for one in sharpes if one is not None]
    return expected_best(len(scores), variance_of(known)) if len(known) > 1 else 0.0


def _walk(
    whole: Sequence[tuple[Row, dict[int, list[Figures]]]], last: int, rolling: bool
) -> list[Fold]:
    folds = []
    for test in range(1, last + 1):
        train = _train(test, rolling)
        scores = [score(_of(by_slice, train)) for _, by_slice in whole]
        bar = _bar(scores)
        ranked = [
            (row.trial, one, score(by_slice.get(test, [])), deflated_sharpe(one.moments, bar))
            for (row, by_slice), one in zip(whole, scores, strict=True)
        ]
        known = [one for one in ranked if one[3] is not None]
        if not known:
            continue
        trial, best, tested, deflated = min(
            known, key=lambda one: (-(one[3] or 0.0), -(one[1].sharpe or 0.0), one[0])
        )
        mine = tested.sharpe or 0.0
        better = sum(1 for _, _, other, _ in ranked if (other.sharpe or 0.0) > mine)
        folds.append(
            Fold((train[0], train[-1]), test, trial, best, tested, deflated, better + 1)
        )  # fmt: skip
    return folds


def _walked(folds: Sequence[Fold]) -> Score | None:
    if not folds:
        return None
    tests = [one.test for one in folds]
    return Score(
        sum(one.spans for one in tests), math.fsum(one.pnl for one in tests),
        math.fsum(one.fees for one in tests), math.fsum(one.volume for one in tests),
        sum(one.fills for one in tests), max(one.drawdown for one in tests),
        pooled(one.moments for one in tests),
    )  # fmt: skip


def to_json(ranking: Ranking, most: int) -> dict[str, Any]:
    """Return plain values; Sharpe ratios are of a day.

    Args:
        most: of combinations.
    """

    def told(one: Score | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {
            "spans": one.spans, "pnl": one.pnl, "fees": one.fees, "volume": one.volume,
            "fills": one.fills, "drawdown": one.drawdown, "returns": one.moments.count,
            "sharpe": ranking.a_day(one.sharpe), "skew": one.moments.skew,
            "kurtosis": one.moments.kurtosis,
        }  # fmt: skip

    luck = ranking.overfit
    return {
        "verdict": ranking.verdict, "beats_luck": ranking.beats_luck, "trials": ranking.trials,
        "runs": ranking.counts, "returns_ns": ranking.returns_ns,
        "luck_sharpe": ranking.a_day(ranking.bar),
        "overfit": None if luck is None else {
            "probability": luck.probability, "groups": luck.groups, "splits": len(luck.logits),
            "worse_than_none": luck.worse_than_none,
        },
        "walk_forward": {
            "folds": [
                {
                    "train": list(one.train_slices), "test": one.test_slice, "trial": one.trial,
                    "deflated": one.deflated, "rank": one.rank, "train_figures": told(one.train),
                    "test_figures": told(one.test),
                }
                for one in ranking.folds
            ],
            "blank": list(ranking.blank), "all": told(ranking.walked), "sure": ranking.walked_sure,
        },
        "ranking": [
            {
                "trial": one.trial, "parameters": dict(one.point), "state": one.state,
                "why": one.why, "deflated": one.deflated, "train": told(one.train),
                "test": told(one.test),
            }
            for one in ranking.rows[:most]
        ],
    }  # fmt: skip
