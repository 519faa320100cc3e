"""Tables of backtests: every figure with its words, its fill model and the verdict of its data."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from openmm.backtest.chances import Chance
from openmm.backtest.gather import Piece, Span
from openmm.backtest.lookahead import HANGS, LookAhead, Shift
from openmm.backtest.measures import measure
from openmm.backtest.model import Model
from openmm.backtest.stretches import net_error
from openmm.backtest.trials import LIMITS, Trial, Variant, assumptions, run_all
from openmm.backtest.trials_page import page
from openmm.backtest.trials_text import (
    CHANCE_COLUMNS,
    COLUMNS,
    LEGEND,
    bounds,
    causes_of,
    cells,
    chance_row,
    facts,
    money,
    render,
)
from openmm.data.integrity import BAD
from openmm.rerun.compare import NAME_WIDTH
from tests.backtest.outcomes import chance, market
from tests.rerun.made import bot


@pytest.fixture(scope="module")
def span() -> Span:
    events = market(seconds=40)
    return Span((events,), (Piece("thin", events, "good", ()),))


@pytest.fixture(scope="module")
def trials(span: Span) -> list[Trial]:
    found = [Variant("grid", bot()), Variant("wide", bot({"spread": "4bps"}))]
    return run_all(found, [span], lambda _: Model(), iter(range(8)).__next__)


def printed(trials: list[Trial], spans: list[Span], width: int = 220) -> str:
    out = io.StringIO()
    render(trials, spans, Console(width=width, file=out))
    return out.getvalue()


def test_each_run_has_a_row_and_the_model_stands_below(trials: list[Trial], span: Span) -> None:
    text = printed(trials, [span])
    assert [len(cells(one)) for one in trials] == [len(COLUMNS)] * 2
    for one in trials:
        (line,) = [line for line in text.splitlines() if line.startswith(f" {one.label} ")]
        assert line.split()[1] == f"{one.measures.fills:,}"
        assert money(one.measures.net) in line.split()
    told = " ".join(text.split())
    for wanted in (assumptions([Model()]), LIMITS, LEGEND, "data: thin good"):
        assert " ".join(wanted.split()) in told
    assert "Filled by" not in text


@pytest.mark.parametrize("width", [220, 120])
def test_a_long_name_is_folded_and_no_figure_is_cut(
    trials: list[Trial], span: Span, width: int
) -> None:
    keys = [f"key_number_{number}=12345.678" for number in range(12)]
    label = " ".join(("grid-tight", *keys, "of_text=" + "x" * 300))
    made = [trials[0], replace(trials[1], label=label)]
    told = printed(made, [span], width)
    assert "…" not in told
    lines = told[: told.index("Fill model")].splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(" grid-tight"))
    rows = [re.split(" {2,}", line.strip()) for line in lines[first - 1 :]]
    assert [" ".join(row[1:]) for row in rows[:2]] == [" ".join(cells(one)[1:]) for one in made]
    name = [row[0] for row in rows[1:] if row[0]]
    assert "".join(name).replace(" ", "") == label.replace(" ", "")
    assert all(key in name or key in name[0] for key in keys)
    assert len(name[-2]) >= NAME_WIDTH


def test_one_run_is_told_in_full(trials: list[Trial], span: Span) -> None:
    text = printed(trials[:1], [span])
    for name, value in facts(trials[0].measures):
        assert f"{name} " in text
        assert value in text
    assert "Filled by distance from the reference" in text
    assert "Filled by what stood in front" in text


def test_fees_are_what_was_paid_wherever_they_are_told(span: Span) -> None:
    config = bot()
    quoted = config.quoted.model_copy(update={"maker_fee_ppm": 100})
    dear = config.model_copy(update={"venue": (quoted,)})
    (one,) = run_all([Variant("dear", dear)], [span], lambda _: Model(), lambda: 0.0)
    causes = one.measures.causes
    assert causes.fees > 0
    paid = money(causes.fees)
    assert cells(one)[COLUMNS.index("fees")] == paid
    assert f"after {paid} fees, " in dict(facts(one.measures))["net"]
    told = dict(causes_of(causes))
    assert told["spread"] + told["adverse"] + told["drift"] - told["fees"] == told["net"]
    assert Decimal(one.to_json()["causes"]["fees"]) == causes.fees
    # On the page the bar goes to the left, and says why.
    bar = f"{money(-causes.fees)} {one.measures.quote}"
    assert re.search(rf">less fees</text>.*?>{re.escape(bar)}<", page([one], [span]))


def test_a_net_is_told_with_its_error_where_there_is_one(trials: list[Trial]) -> None:
    assert "net may be off by" not in dict(facts(trials[0].measures))
    assert trials[0].to_json()["net_error"] is None
    found = measure(chance(3, 600, 40))
    off = net_error(found)
    assert off is not None
    told = dict(facts(found))["net may be off by"]
    assert told.startswith(f"{money(Decimal(off.error))} USD, 95% from {money(Decimal(off.low))} ")
    assert told.endswith("2,000 draws of 60 stretches of 10 s")
    assert replace(trials[0], measures=found).to_json()["net_error"] == off.to_json()


def test_nothing_in_front_is_not_unknown(trials: list[Trial]) -> None:
    found = trials[0].measures
    for ahead, wanted in ((Decimal("0E-8"), "median 0 "), (None, "median - ")):
        one = replace(
            found,
            queue=replace(
                found.queue,
                fills=2,
                known=2,
                first_share=1.0,
                ahead_median=ahead,
                age_s_median=1.0,
                age_s_p90=1.0,
            ),
        )
        assert wanted in dict(facts(one))["queue at fill"]


def test_broken_data_and_a_look_ahead_stand_out(trials: list[Trial], span: Span) -> None:
    shift = Shift(Decimal(2), Decimal(1), -1.0, 0.1, HANGS)
    bad = Span(span.markets, (Piece("thin", span.markets[0], BAD, ("continuity lost",)),))
    found = replace(
        trials[0], span=bad, look_ahead=LookAhead((1,), ("fills before 3.0 s",), shift),
        problems=("nothing was quoted: SPREAD",), notes=("watched beside it: x",),
    )  # fmt: skip
    text = printed([found], [bad])
    assert "data: thin BROKEN (continuity lost)" in text
    assert "look-ahead, grid: THE FUTURE CHANGES fills before 3.0 s; one event later 1.0000" in text
    assert "grid: nothing was quoted: SPREAD" in text
    assert "watched beside it: x" in text
    assert found.failed
    assert not trials[0].failed


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("0", "0.00"), ("-0.004", "-0.0040"), ("0.0361", "0.036"), ("-12.345", "-12.34"),
        ("1234567.891", "1,234,567.89"), ("-0.5", "-0.50"), ("1E-12", "0.00000000"),
    ],
)  # fmt: skip
def test_money_is_told_to_cents_or_two_digits(value: str, told: str) -> None:
    assert money(Decimal(value)) == told


def test_bins_are_named_by_their_bounds() -> None:
    one = Chance(None, Decimal("0.0"), 4, 1, 0.25, 0.05, 0.7, 7200.0, 0.5)
    assert bounds(one) == "below 0"
    assert bounds(one, "nothing") == "nothing"
    assert bounds(replace(one, low=Decimal("0.50"), high=Decimal(2)), "nothing") == "0.5 to 2"
    assert bounds(replace(one, low=Decimal(100), high=None)) == "100 and more"
    assert len(chance_row(one)) == len(CHANCE_COLUMNS) + 1
    assert chance_row(one)[1:] == ["4", "1", "25.0%", "5.0 to 70.0%", "7,200 s", "0.5"]
