"""A sweep as one HTML file: the verdict first, then the order, what moves it, and how it walked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from statistics import fmean
from typing import Final

import msgspec
import numpy as np

from openmm.settlement.page import data_table, document, figure, section
from openmm.settlement.page_style import STYLE
from openmm.settlement.plots import Line, Plot, bars, over_time
from openmm.sweep.figures import Figures
from openmm.sweep.luck import SURE
from openmm.sweep.plan import Job, Spec
from openmm.sweep.ranking import Fold, Ranking, Row, Score
from openmm.sweep.space import MODEL, NUMBER, parted
from openmm.sweep.store import Result

ROWS: Final = 50
CURVES: Final = 5
BINS: Final = 8
POINTS: Final = 64  # of a curve a slice
# Told apart by people who see colours differently too (Okabe, Ito).
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
LINES_STYLE: Final = "".join(
    f".line.try{place}{{stroke:{colour}}}.key.try{place}{{background:{colour}}}\n"
    for place, colour in enumerate(COLOURS)
)
_FIGURES: Final = msgspec.msgpack.Decoder(Figures)


def page(
    ranking: Ranking, job: Job, title: str, results: Iterable[tuple[Spec, Result]],
    notes: Sequence[str] = (),
) -> str:  # fmt: skip
    """Return the file's text.

    Args:
        results: of all runs: the curves of the best are drawn from them.
    """
    best = [one for one in ranking.rows[:CURVES] if one.train is not None]
    css = "good" if ranking.beats_luck else "bad"
    told = "".join(f'<p class="note">{escape(one)}</p>' for one in (*_about(ranking, job), *notes))
    head = (
        f"<header><p class='kicker'>Sweep</p><h1>{escape(title)}</h1>"
        f"<div class='{css}'><p class='figure'>{escape(ranking.verdict)}</p></div>{told}</header>"
    )
    body = [
        section(
            f"The first {min(ROWS, len(ranking.rows))} of {len(ranking.rows):,} combinations",
            data_table(columns(ranking), [cells(ranking, one) for one in ranking.rows[:ROWS]]),
        ),
        section("Against luck", figure("Sharpe ratio a day", _luck(ranking))),
    ]
    if best:
        drawn = _curves(best, job, results)
        body.append(section("P&L after fees, span by span", figure("of the best", drawn)))
    if models := under_models(ranking):
        body.append(section("The best under each model", data_table(models[0], models[1:])))
    body += _effects(ranking)
    if ranking.folds:
        body.append(section("Walking forward", *_walk(ranking)))
    if ranking.overfit is not None:
        body.append(section("Overfitting", *_overfit(ranking)))
    return document(f"sweep of {title}", head + "".join(body), STYLE + LINES_STYLE)


def _about(ranking: Ranking, job: Job) -> list[str]:
    counts = ranking.counts
    spans = sorted({one.name for one in job.spans})
    shown = ", ".join(spans[:12]) + (", …" if len(spans) > 12 else "")
    return [
        f"{counts['done']:,} runs done, {counts['refused']:,} refused by the file's checks, "
        f"{counts['failed']:,} failed; returns over {ranking.returns_ns / 1e9:g} s; "
        f"{len(job.spans):,} spans: {shown}.",
        *(one for one in (ranking.assumed, ranking.disqualified) if one),
        "P&L: after fees, at the last reference. flattened: with what is left of each span's "
        "position sold or bought back at half the last spread and the taker fee; Sharpe ratios, "
        "and so the order, are of this one.",
        f"Deflated: the probability that the true Sharpe ratio is above what luck's best of "
        f"{ranking.trials:,} tries would have. From {SURE:.2f} on one in twenty is left to luck. "
        "Returns and tries count as independent: docs/sweep.md.",
        f"Build {job.build}.",
    ]


def columns(ranking: Ranking) -> list[str]:
    """Return the heads of the table."""
    point = ranking.rows[0].point if ranking.rows else ()
    keys = [f"worst {key}" if key.startswith(MODEL) else key for key, _ in point]
    test = ["test: Sharpe", "P&L", "flattened", "fills"] if ranking.folds else []
    train = "train: " if ranking.folds else ""
    return [
        "try", *keys, "deflated", f"{train}Sharpe", "P&L", "flattened", "fees", "fills",
        "drawdown", "halted", *test,
    ]  # fmt: skip


def cells(ranking: Ranking, row: Row) -> list[str]:
    """Return a combination's cells; what was refused says why in place of its figures."""
    values = [value for _, value in row.point]
    if row.train is None:
        rest = len(columns(ranking)) - len(values) - 2
        return [str(row.trial), *values, f"{row.state}: {row.why}", *[""] * rest]
    one = row.train
    tested = row.test
    test: list[str] = []
    if ranking.folds and tested is not None:
        test = [_ratio(ranking, tested), *_money(tested), f"{tested.fills:,}"]
    halts = f"{one.halted} of {one.spans}" if one.halted else "-"
    if tested is not None and tested.halted:
        halts = f"{halts}, test"
    return [
        str(row.trial), *values, "-" if row.deflated is None else f"{row.deflated:.3f}",
        _ratio(ranking, one), *_money(one), f"{one.fees:,.2f}", f"{one.fills:,}",
        f"{one.drawdown:,.2f}", halts, *test,
    ]  # fmt: skip


def _ratio(ranking: Ranking, one: Score | None) -> str:
    found = ranking.a_day(one.sharpe) if one is not None else None
    return "-" if found is None else f"{found:,.2f}"


def _money(one: Score | None) -> list[str]:
    return ["-"] * 2 if one is None else [f"{one.pnl:,.2f}", f"{one.flattened:,.2f}"]


def under_models(ranking: Ranking) -> list[list[str]]:
    """Return the best under each model, heads first; nothing where there is one model alone."""
    row = ranking.best
    if row is None or len(row.under) < 2:
        return []
    keys = [key for key, _ in parted(row.point)[1]]
    rows = [["try", *keys, "Sharpe", "P&L", "flattened", "fills", "drawdown"]]
    for one in row.under:
        found = one.train
        assert found is not None, "of a run that is done"
        rows.append(
            [
                str(one.trial), *(value for _, value in parted(one.point)[1]),
                _ratio(ranking, found), *_money(found), f"{found.fills:,}",
                f"{found.drawdown:,.2f}",
            ]
        )  # fmt: skip
    return rows


def label(row: Row) -> str:
    """Return a combination as one text."""
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in row.point)


def _luck(ranking: Ranking) -> str:
    bar = ranking.a_day(ranking.bar) or 0.0
    rows = [("luck's best", bar, f"{bar:,.2f}")]
    for one in ranking.rows[:20]:
        found = ranking.a_day(one.train.sharpe) if one.train is not None else None
        if found is not None:
            rows.append((f"try {one.trial}", found, f"{found:,.2f}"))
    return bars("Sharpe ratio a day", rows)


def _curves(
    best: Sequence[Row], job: Job, results: Iterable[tuple[Spec, Result]]
) -> str:  # fmt: skip
    wanted = {row.trial: {} for row in best}  # type: dict[int, dict[int, list[list[float]]]]
    for spec, result in results:
        if spec.trial in wanted and result.figures is not None:
            at = job.spans[spec.span].slice
            curve = _FIGURES.decode(result.figures).curve
            wanted[spec.trial].setdefault(at, []).append(curve)
    times: dict[int, tuple[int, int]] = {}
    for span in job.spans:
        start, end = times.get(span.slice, (span.start_ns, span.end_ns))
        times[span.slice] = min(start, span.start_ns), max(end, span.end_ns)
    lines = []
    for place, row in enumerate(best):
        level, points = 0.0, []
        for at, curves in sorted(wanted[row.trial].items()):
            xs = np.linspace(*times[at], POINTS)
            even = np.linspace(0, 1, POINTS)
            total = sum(
                (np.interp(even, np.linspace(0, 1, len(one)), one) for one in curves if one),
                start=np.zeros(POINTS),
            )
            points += [(float(x), level + float(y)) for x, y in zip(xs, total, strict=True)]
            level = points[-1][1]
        if points:
            lines.append(Line(f"{row.trial}: {label(row)}", f"try{place}", [points]))
    first = min(start for start, _ in times.values())
    last = max(end for _, end in times.values())
    return over_time(Plot("P&L", "quote", first, last, lines, zero=True))


def _effects(ranking: Ranking) -> list[str]:
    """Return the mean Sharpe ratio of every value of every key."""
    rows = [one for one in ranking.every if one.train is not None and one.train.traded]
    keys = [key for key, _ in rows[0].point] if rows else []
    drawn = []
    for at, key in enumerate(keys):
        told = [
            (row.point[at][1], ranking.a_day(row.train.sharpe) or 0.0)
            for row in rows if row.train is not None
        ]  # fmt: skip
        groups = _grouped(told)
        if len(groups) > 1:
            listed = [
                (name, fmean(values), f"{fmean(values):,.2f} of {len(values):,}")
                for name, values in groups.items()
            ]
            drawn.append(figure(key, bars(key, listed)))
    return [section("Mean Sharpe ratio a day by value", *drawn)] if drawn else []


def _grouped(told: Sequence[tuple[str, float]]) -> Mapping[str, list[float]]:
    """Group figures by value; of many values by their eighths in order."""
    groups: dict[str, list[float]] = {}
    for value, found in told:
        groups.setdefault(value, []).append(found)
    if len(groups) <= 2 * BINS:
        return dict(sorted(groups.items(), key=lambda one: _number(one[0])))
    ordered = sorted(told, key=lambda one: _number(one[0]))
    parts = np.array_split(np.arange(len(ordered)), BINS)
    return {
        f"{ordered[part[0]][0]} to {ordered[part[-1]][0]}": [ordered[at][1] for at in part]
        for part in parts
    }


def _number(value: str) -> tuple[float, str]:
    found = NUMBER.fullmatch(value)
    return (float(found[1]) if found else 0.0, value)


def _walk(ranking: Ranking) -> list[str]:
    rows = [
        (
            f"{one.train_slices[0]} to {one.train_slices[1]}", str(one.test_slice), str(one.trial),
            "-" if one.deflated is None else f"{one.deflated:.3f}", _ratio(ranking, one.train),
            _ratio(ranking, one.test), *_money(one.test), f"{one.test.fills:,}", place(one),
        )
        for one in ranking.folds
    ]  # fmt: skip
    heads = (
        "train slices", "test slice", "best try", "deflated", "train Sharpe", "test Sharpe",
        "test P&L", "flattened", "fills", "its place in test",
    )  # fmt: skip
    sure = "-" if ranking.walked_sure is None else f"{ranking.walked_sure:.3f}"
    all_tests = (
        f"All tests together: Sharpe {_ratio(ranking, ranking.walked)} a day, P&L "
        f"{', flattened '.join(_money(ranking.walked))}; probability that it is above 0: {sure}."
    )
    notes = [one for one in (all_tests, ranking.blanks) if one]
    told = "".join(f'<p class="note">{escape(one)}</p>' for one in notes)
    return [told, data_table(heads, rows)]


def place(fold: Fold) -> str:
    """Say which place a step's choice had in its test, among those that traded there."""
    text = "did not trade" if fold.rank is None else f"{fold.rank} of {fold.ranked:,}"
    return f"{text}, halted" if fold.test.halted else text


def _overfit(ranking: Ranking) -> list[str]:
    found = ranking.overfit
    assert found is not None
    told = (
        f"Probability of overfitting {found.probability:.2f}, over {len(found.logits):,} ways to "
        f"halve {found.groups} groups of spans: so often the best of one half is below the middle "
        f"in the other. In {found.worse_than_none:.0%} of them it loses money there."
    )
    counts, edges = np.histogram(np.array(found.logits), bins=BINS)
    rows = [
        (f"{low:.1f} to {high:.1f}", float(count), f"{count:,}")
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    drawn = bars("Logit of the best one's place in the other half", rows)
    return [
        f'<p class="note">{escape(told)}</p>',
        figure("Logit of the best one's place in the other half; below 0: overfit", drawn),
    ]
