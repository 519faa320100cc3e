"""The page: the verdict first, every part where there is something to show."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from openmm.sweep.page import cells, columns, curves, lines_of, page, short, under_models
from openmm.sweep.plan import specs
from openmm.sweep.ranking import rank
from openmm.sweep.space import Choices, grid
from openmm.sweep.store import Result
from tests.e2e.browser import DRAWN, chromium
from tests.sweep.made import (
    NS,
    START_NS,
    encoded,
    figures_with,
    job,
    points,
    span,
    sums,
)

# Heads of the first table that are whole in sight, and how far the widest table is cut off.
SEEN = """(() => {
    const found = [...document.querySelectorAll('.wide')]
    const end = found[0].getBoundingClientRect().right
    const heads = [...found[0].querySelectorAll('th')].filter(
        one => one.getBoundingClientRect().right <= end).map(one => one.textContent)
    return [heads, Math.max(...found.map(one => one.scrollWidth - one.clientWidth))]
})()"""


def made(trials: int, spans: int, split: int, *, refused: bool = False) -> str:
    chance = random.Random(9)
    told = msgspec.structs.replace(job("tiny", spans), bot="")
    combinations = [
        (
            ("strategy.spread", f"{at % 7 + 1}bps"),
            ("risk.max_inventory", f"0.{at + 1:03d}"),
            ("model.queue", "careful"),
        )
        for at in range(trials)
    ]
    results = []
    for spec in specs(told, combinations):
        moments = sums([chance.gauss(0, 1) for _ in range(60)])
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
        "The first 40 of 40 combinations", "Against luck",
        "P&amp;L of the best, flattened at every mark", "Mean Sharpe ratio a day by value",
        "Walking forward", "Overfitting", "gateio is left out",
        "strategy.spread", "luck&#x27;s best", "0.001 to 0.005",
    ):  # fmt: skip
        assert head in body, head
    assert body.count('<svg class="plot') == 5
    assert body.count('class="line try') == 5


def test_curves_are_over_their_own_time_and_go_on_from_slice_to_slice() -> None:
    # Of one market two spans with a gap between them, of the other one beside both.
    spans = (span(0, slices=2), span(7), span(0, "other", slices=8))
    told = msgspec.structs.replace(job("tiny"), spans=spans)
    results = []
    for spec in specs(told, points(1)):
        listed = []
        for at, (_, start_ns, end_ns) in enumerate(spans[spec.span].slices):
            one = figures_with(sums([0.1, -0.1] * 20), pnl=10.0**spec.span)
            curve = [0.0, 5.0, one.flattened]
            listed.append(msgspec.structs.replace(
                one, from_ns=start_ns - at, to_ns=end_ns - at - 1, curve=curve
            ))  # fmt: skip
        results.append((spec, Result(spec.run_id, "done", "", msgspec.msgpack.encode(listed))))
    ranking = rank(results, spans, NS, 7, False)
    lines = lines_of(ranking.rows, told, results)
    assert list(lines) == ["made made/USD", "made other/USD"]
    (mine,), (other,) = lines.values()
    first, second = mine.parts
    assert [y for _, y in first] == [0.0, 5.0, 1.0, 1.0, 6.0, 2.0]
    assert [y for _, y in second] == [2.0, 7.0, 12.0]
    middle_ns = START_NS + 30 * NS
    assert [x for x, _ in first[:3]] == pytest.approx([START_NS, middle_ns, START_NS + 60 * NS])
    assert second[0][0] == START_NS + 7 * 60 * NS
    assert [y for _, y in other.parts[0]][-1] == 800.0
    assert len(other.parts) == 1
    drawn = curves(ranking.rows, told, results, tested=True)
    assert ["made made/USD, USD" in one for one in drawn] == [True, False]
    assert all(">test</text>" in one for one in drawn)
    assert ">test</text>" not in "".join(curves(ranking.rows, told, results, tested=False))


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
        moments = sums([chance.gauss(0.1 * (spec.trial % 2), 1) for _ in range(60)])
        figures = figures_with(moments, halted=spec.trial == 7 and spec.span == 1)
        results.append((spec, Result(spec.run_id, "done", "", msgspec.msgpack.encode([figures]))))
    ranking = rank(results, told.spans, NS, 2, False)
    text = page(ranking, told, "bot.toml", results)
    for wanted in (
        "4 combinations under 2 models each", "1 of 4 combinations halted in train",
        "The best under each model", "<th>worst queue</th>", "<th>flattened</th>",
    ):  # fmt: skip
        assert wanted in text, wanted
    shown = dict(zip(columns(ranking), cells(ranking, ranking.rows[-1]), strict=True))
    assert (shown["try"], shown["halted"]) == ("7", "1 of 2")
    under = under_models(ranking)
    assert [one[1] for one in under] == ["model.queue", "careful", "log"]
    assert len({len(one) for one in under}) == 1
    assert "under each model" not in made(3, 2, 1)


def test_page_is_readable_on_a_phone_and_whole_on_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "summary.html"
    path.write_text(made(40, 5, 4), encoding="utf-8")
    with chromium() as browser:
        for wide in (420, 1400):
            shown = browser.new_page(viewport={"width": wide, "height": 900})
            shown.goto(path.as_uri())
            assert shown.evaluate("document.documentElement.scrollWidth") <= wide
            drawn = shown.evaluate(DRAWN)
            assert len(drawn) == 5
            for width, beyond, text in drawn:
                assert width > 0.6 * wide
                assert beyond <= 1
                assert text >= 11
            seen, hidden = shown.evaluate(SEEN)
            # On a phone the figures that count are seen, on a screen nothing is cut off.
            assert seen[:4] == ["try", "deflated", "train: Sharpe", "spread"]
            assert hidden == 0 or wide == 420


def test_keys_are_told_by_their_last_part_unless_two_share_it() -> None:
    assert short(["strategy.spread", "model.queue"]) == ["spread", "queue"]
    assert short(["a.b.x", "a.c.x", "d.y"]) == ["a.b.x", "a.c.x", "d.y"]


def test_page_lets_nothing_in(tmp_path: Path) -> None:
    text = made(3, 1, 0)
    assert "default-src 'none'" in text or "default-src &#x27;none&#x27;" in text
    assert "<script" not in text
