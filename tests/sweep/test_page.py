"""The page: the verdict first, every part where there is something to show."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from openmm.sweep.figures import moments_of
from openmm.sweep.page import cells, columns, page, under_models
from openmm.sweep.plan import specs
from openmm.sweep.ranking import rank
from openmm.sweep.space import Choices, grid
from openmm.sweep.store import Result
from tests.sweep.made import NS, encoded, figures_with, job


def made(trials: int, spans: int, split: int, *, refused: bool = False) -> str:
    chance = random.Random(9)
    told = msgspec.structs.replace(job("tiny", spans), bot="")
    combinations = [
        (("strategy.spread", f"{at % 7 + 1}bps"), ("risk.max_inventory", f"0.{at + 1:03d}"))
        for at in range(trials)
    ]
    results = []
    for spec in specs(told, combinations):
        moments = moments_of([chance.gauss(0, 1) for _ in range(60)])
        result = Result(spec.run_id, "done", "", encoded(moments, float(spec.trial)))
        if refused and spec.trial == 0:
            result = Result(spec.run_id, "refused", "strategy.spread: <wider>")
        results.append((spec, result))
    ranking = rank(results, told.spans, NS, split, False)
    return page(ranking, told, "bot.toml", results, ["gateio is left out"])


def test_verdict_comes_first_and_every_part_is_there() -> None:
    text = made(40, 5, 4)
    body = text[text.index("<body>") :]
    assert body.index("Nothing here beats luck") < body.index("<section>")
    for head in (
        "The first 40 of 40 combinations", "Against luck", "P&amp;L after fees, span by span",
        "Mean Sharpe ratio a day by value", "Walking forward", "Overfitting", "gateio is left out",
        "strategy.spread", "luck&#x27;s best", "0.001 to 0.005",
    ):  # fmt: skip
        assert head in body, head
    assert body.count('<svg class="plot') == 5
    assert body.count('class="line try') == 5


def test_parts_without_anything_to_show_are_left_out() -> None:
    text = made(1, 1, 0)
    assert "Walking forward" not in text
    assert "Overfitting" not in text
    assert "test: Sharpe" not in text


def test_why_of_what_was_refused_stands_in_its_row_as_text() -> None:
    text = made(3, 2, 1, refused=True)
    assert "refused: strategy.spread: &lt;wider&gt;" in text
    assert "<wider>" not in text


def test_models_and_halts_are_told() -> None:
    told = job("tiny", 3)
    results = []
    for spec in specs(told, grid(
        [Choices("risk.fills_max", tuple("1234")), Choices("model.queue", ("careful", "log"))], 99
    )):  # fmt: skip
        chance = random.Random(spec.trial * 10 + spec.span)
        moments = moments_of([chance.gauss(0.1 * (spec.trial % 2), 1) for _ in range(60)])
        figures = figures_with(moments, halted=spec.trial == 7 and spec.span == 1)
        results.append((spec, Result(spec.run_id, "done", "", msgspec.msgpack.encode(figures))))
    ranking = rank(results, told.spans, NS, 2, False)
    text = page(ranking, told, "bot.toml", results)
    for wanted in (
        "4 combinations under 2 models each", "1 of 4 combinations halted in train",
        "The best under each model", "<th>worst model.queue</th>", "<th>flattened</th>",
    ):  # fmt: skip
        assert wanted in text, wanted
    shown = dict(zip(columns(ranking), cells(ranking, ranking.rows[-1]), strict=True))
    assert (shown["try"], shown["halted"]) == ("7", "1 of 2")
    under = under_models(ranking)
    assert [one[1] for one in under] == ["model.queue", "careful", "log"]
    assert len({len(one) for one in under}) == 1
    assert "under each model" not in made(3, 2, 1)


def test_page_lets_nothing_in(tmp_path: Path) -> None:
    text = made(3, 1, 0)
    assert "default-src 'none'" in text or "default-src &#x27;none&#x27;" in text
    assert "<script" not in text
