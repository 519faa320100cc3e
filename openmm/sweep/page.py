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
# Told apart by people who see colours differently too (Okabe, Ito).
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
LINES_STYLE: Final = "".join(
    f".line.try{place}{{stroke:{colour}}}.key.try{place}{{background:{colour}}}\n"
    for place, colour in enumerate(COLOURS)
)
WIDE_STYLE: Final = "main{max-width:1400px}\n"  # for every column of a search over several keys
_FIGURES: Final = msgspec.msgpack.Decoder(list[Figures])


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
        drawn = curves(best, job, results, tested=bool(ranking.folds))
        body.append(section("P&L of the best, flattened at every mark", *drawn))
    if models := under_models(ranking):
        body.append(section("The best under each model", data_table(models[0], models[1:])))
    body += _effects(ranking)
    if ranking.folds:
        body.append(section("Walking forward", *_walk(ranking)))
    if ranking.overfit is not None:
        body.append(section("Overfitting", *_overfit(ranking)))
    return document(f"sweep of {title}", head + "".join(body), STYLE + LINES_STYLE + WIDE_STYLE)


def _about(ranking: Ranking, job: Job) -> list[str]:
    counts = ranking.counts
    spans = sorted({one.name for one in job.spans})
    slices = len({place for one in job.spans for place, _, _ in one.slices})
    shown = ", ".join(spans[:12]) + (", …" if len(spans) > 12 else "")
    return [
        f"{counts['done']:,} runs done, {counts['refused']:,} refused by the file's checks, "
        f"{counts['failed']:,} failed; returns over {ranking.returns_ns / 1e9:g} s; "
        f"{len(job.spans):,} spans, cut into {slices:,} slices of time: {shown}.",
        *(one for one in (ranking.assumed, ranking.disqualified) if one),
        "net: P&L after fees, at the reference. flattened: with what is held at each mark sold or "
        "bought back through the book of then, as a taker; Sharpe ratios, drawdown, and so the "
        "order, are of this one. A run has one account and is told slice by slice.",
        f"Deflated: the probability that the true Sharpe ratio is above what luck's best of "
        f"{ranking.trials:,} tries would have. From {SURE:.2f} on one in twenty is left to luck. "
        "Returns count as independent but for those of one second, whichever market's, which count "
        "once; tries as well: docs/sweep.md.",
        f"Build {job.build}.",
    ]


def columns(ranking: Ranking) -> list[str]:
    """Return the heads of the table: what the order is of first, in sight on a phone too."""
    point = ranking.rows[0].point if ranking.rows else ()
    names = short([key for key, _ in point])
    keys = [
        f"worst {name}" if key.startswith(MODEL) else name
        for name, (key, _) in zip(names, point, strict=True)
    ]
    test = ["test: Sharpe", "net", "flattened", "fills"] if ranking.folds else []
    train = "train: " if ranking.folds else ""
    return [
        "try", "deflated", f"{train}Sharpe", *keys, "net", "flattened", "fees", "fills",
        "drawdown", "halted", *test,
    ]  # fmt: skip


def cells(ranking: Ranking, row: Row) -> list[str]:
    """Return a combination's cells; what was refused says why in place of its figures."""
    values = [value for _, value in row.point]
    if row.train is None:
        rest = len(columns(ranking)) - len(values) - 4
        return [str(row.trial), "-", "-", *values, f"{row.state}: {row.why}", *[""] * rest]
    one = row.train
    tested = row.test
    test: list[str] = []
    if ranking.folds and tested is not None:
        test = [_ratio(tested), *_money(tested), f"{tested.fills:,}"]
    halts = f"{one.halted} of {one.slices}" if one.halted else "-"
    if tested is not None and tested.halted:
        halts = f"{halts}, test"
    return [
        str(row.trial), "-" if row.deflated is None else f"{row.deflated:.3f}", _ratio(one),
        *values, *_money(one), f"{one.fees:,.2f}", f"{one.fills:,}",
        f"{one.drawdown:,.2f}", halts, *test,
    ]  # fmt: skip


def _ratio(one: Score | None) -> str:
    found = one.sharpe_a_day if one is not None else None
    return "-" if found is None else f"{found:,.2f}"


def _money(one: Score | None) -> list[str]:
    return ["-"] * 2 if one is None else [f"{one.net:,.2f}", f"{one.flattened:,.2f}"]


def under_models(ranking: Ranking) -> list[list[str]]:
    """Return the best under each model, heads first; nothing where there is one model alone."""
    row = ranking.best
    if row is None or len(row.under) < 2:
        return []
    keys = [key for key, _ in parted(row.point)[1]]
    rows = [["try", *keys, "Sharpe", "net", "flattened", "fills", "drawdown"]]
    for one in row.under:
        found = one.train
        assert found is not None, "of a run that is done"
        rows.append(
            [
                str(one.trial), *(value for _, value in parted(one.point)[1]),
                _ratio(found), *_money(found), f"{found.fills:,}",
                f"{found.drawdown:,.2f}",
            ]
        )  # fmt: skip
    return rows


def short(keys: Sequence[str]) -> list[str]:
    """Return keys by their last part, where no two share it: figures have to fit beside them."""
    names = [key.rpartition(".")[2] for key in keys]
    return names if len(set(names)) == len(names) else list(keys)


def label(row: Row) -> str:
    """Return a combination as one text."""
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in row.point)


def _luck(ranking: Ranking) -> str:
    rows = [("luck's best", ranking.bar_a_day, f"{ranking.bar_a_day:,.2f}")]
    for one in ranking.rows[:20]:
        found = one.train.sharpe_a_day if one.train is not None else None
        if found is not None:
            rows.append((f"try {one.trial}", found, f"{found:,.2f}"))
    return bars("Sharpe ratio a day", rows)


def curves(
    best: Sequence[Row], job: Job, results: Iterable[tuple[Spec, Result]], *, tested: bool
) -> list[str]:
    """Draw the P&L of combinations over time, a plot a market; between spans there is no line.

    Args:
        tested: the last slice is the test: a rule stands where it begins.
    """
    lines = lines_of(best, job, results)
    last = max(place for span in job.spans for place, _, _ in span.slices)
    drawn = []
    for label_, of in lines.items():
        mine = [one for one in job.spans if one.parts[0].label == label_]
        ends = [one for span in mine for one in span.slices if one[0] == last]
        rules = [(min(start for _, start, _ in ends), "test")] if tested and ends else []
        first_ns, last_ns = min(one.start_ns for one in mine), max(one.end_ns for one in mine)
        quote = label_.rpartition("/")[2]
        plot = Plot("P&L", quote, first_ns, last_ns, of, zero=True, rules=rules)
        drawn.append(figure(f"{label_}, {quote}", over_time(plot)))
    return drawn


def lines_of(
    best: Sequence[Row], job: Job, results: Iterable[tuple[Spec, Result]]
) -> dict[str, list[Line]]:
    """Return by market a line a combination, a part a span: its P&L goes on from span to span."""
    wanted = {row.trial for row in best}
    kept: dict[tuple[int, int], list[Figures]] = {}
    for spec, result in results:
        if spec.trial in wanted and result.figures is not None:
            kept[spec.trial, spec.span] = _FIGURES.decode(result.figures)
    order = sorted(range(len(job.spans)), key=lambda at: job.spans[at].start_ns)
    found: dict[str, list[Line]] = {}
    for market in dict.fromkeys(one.parts[0].label for one in job.spans):
        for place, row in enumerate(best):
            level, parts = 0.0, []
            for at in order:
                if job.spans[at].parts[0].label != market:
                    continue
                points: list[tuple[float, float]] = []
                for one in kept.get((row.trial, at), []):
                    xs = np.linspace(one.from_ns, one.to_ns, len(one.curve)).tolist()
                    points += [(x, level + y) for x, y in zip(xs, one.curve, strict=True)]
                    level += one.flattened
                if points:
                    parts.append(points)
            if parts:
                line = Line(f"{row.trial}: {label(row)}", f"try{place}", parts)
                found.setdefault(market, []).append(line)
    return found


def _effects(ranking: Ranking) -> list[str]:
    """Return the mean Sharpe ratio of every value of every key."""
    rows = [one for one in ranking.every if one.train is not None and one.train.traded]
    keys = [key for key, _ in rows[0].point] if rows else []
    drawn = []
    for at, key in enumerate(keys):
        told = [
            (row.point[at][1], row.train.sharpe_a_day or 0.0)
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
            "-" if one.deflated is None else f"{one.deflated:.3f}", _ratio(one.train),
            _ratio(one.test), *_money(one.test), f"{one.test.fills:,}", place(one),
        )
        for one in ranking.folds
    ]  # fmt: skip
    heads = (
        "train slices", "test slice", "best try", "deflated", "train Sharpe", "test Sharpe",
        "test net", "flattened", "fills", "its place in test",
    )  # fmt: skip
    sure = "-" if ranking.walked_sure is None else f"{ranking.walked_sure:.3f}"
    all_tests = (
        f"All tests together: Sharpe {_ratio(ranking.walked)} a day, net "
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
