"""A sweep's ranking as text: the verdict first, then what it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from openmm.cli.output import table
from openmm.sweep.page import cells, columns, place, under_models
from openmm.sweep.ranking import Ranking

TEXT_WIDTH = 140


def text_of(found: Ranking, top: int, notes: Sequence[str], assumed: Sequence[str] = ()) -> str:
    """Render a ranking as text, the verdict first, then what it rests on."""
    counts = found.counts
    lines = [
        found.verdict,
        f"{counts['done']:,} runs done, {counts['refused']:,} refused, "
        f"{counts['failed']:,} failed.",
        *(line for one in assumed for line in textwrap.wrap(one, TEXT_WIDTH)),
    ]
    lines += [one for one in (found.assumed, found.disqualified) if one]
    shown = [one for one in found.rows[:top] if one.train is not None]
    if shown:
        rows = [columns(found), *(cells(found, one) for one in shown)]
        lines += ["", table([tuple(row) for row in rows])]
    if told := under_models(found):
        lines += ["", "the best under each model:", table([tuple(row) for row in told])]
    refused = [one for one in found.rows if one.train is None]
    if refused:
        lines.append(f"{len(refused):,} combinations without figures, the first: {refused[0].why}")
    if found.folds:
        lines += ["", "walking forward:", table([tuple(row) for row in _walk(found)])]
    if found.blanks:
        lines.append(found.blanks)
    if found.overfit is not None:
        lines += ["", f"probability of overfitting: {found.overfit.probability:.2f}"]
    return "\n".join([*lines, "", *notes])


def _walk(found: Ranking) -> list[list[str]]:
    def told(value: float | None) -> str:
        return "-" if value is None else f"{value:,.2f}"

    rows = [["train", "test", "best try", "train Sharpe", "test Sharpe", "test net",
             "flattened", "fills", "its place"]]  # fmt: skip
    rows += [
        [
            f"{one.train_slices[0]}-{one.train_slices[1]}", str(one.test_slice), str(one.trial),
            told(one.train.sharpe_a_day), told(one.test.sharpe_a_day),
            told(one.test.net), told(one.test.flattened), f"{one.test.fills:,}", place(one),
        ]
        for one in found.folds
    ]  # fmt: skip
    return rows
