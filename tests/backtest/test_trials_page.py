"""The page of a backtest: whole in itself, what is assumed above every figure."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from html import escape
from xml.etree import ElementTree

import pytest

from openmm.backtest import trials_page
from openmm.backtest.gather import Piece, Span
from openmm.backtest.model import Model
from openmm.backtest.trials import Trial, Variant, assumptions, run_all
from openmm.backtest.trials_page import page
from openmm.backtest.trials_text import CHANCE_LEGEND, causes_of, money
from openmm.data.integrity import BAD
from tests.backtest.outcomes import market
from tests.rerun.made import bot


@pytest.fixture(scope="module")
def span() -> Span:
    events = market(seconds=40)
    return Span((events,), (Piece("thin", events, "good", ()),))


@pytest.fixture(scope="module")
def trials(span: Span) -> list[Trial]:
    found = [Variant("<grid>", bot()), Variant("wide", bot({"spread": "4bps"}))]
    return run_all(found, [span], lambda _: Model(), iter(range(8)).__next__)


def test_the_page_draws_each_run_and_lets_nothing_in(trials: list[Trial], span: Span) -> None:
    made = page(trials, [span])
    told = escape(assumptions([Model()]))
    assert made.index(told) < made.index("<table")
    assert "<grid>" not in made
    # P&L, fall and position, one line a run each.
    assert made.count('class="line bot0"') == made.count('class="line bot1"') == 3
    (style,) = re.findall(r"<style>(.*?)</style>", made, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"sha256-{digest}" in made
    drawn = re.findall(r"<svg.*?</svg>", made, re.DOTALL)
    assert len(drawn) == 3 + 2 * 4
    for one in drawn:
        ElementTree.fromstring(one)
    for trial in trials:
        for name, value in causes_of(trial.measures.causes):
            assert f"{money(-value if name == 'fees' else value)} USD" in made
    assert made.count(escape(CHANCE_LEGEND)) == 2


def test_one_run_is_whole_in_its_span(trials: list[Trial], span: Span) -> None:
    made = page(trials[1:], [span])
    assert made.count("<h2>") == 1
    assert "Filled by what stood in front" in made


def test_broken_data_warns_and_the_rest_stands_in_the_tables(
    trials: list[Trial], span: Span, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Span(span.markets, (Piece("thin", span.markets[0], BAD, ("continuity lost",)),))
    found = [replace(one, span=bad, problems=("nothing was quoted",)) for one in trials]
    monkeypatch.setattr(trials_page, "IN_FULL_MAX", 1)
    made = page(found, [bad])
    assert "Broken data: thin. Do not trust these figures." in made
    assert "wide: nothing was quoted" in made
    assert "1 more runs stand in the tables alone." in made
