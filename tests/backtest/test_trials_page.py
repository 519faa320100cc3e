"""The page of a backtest: whole in itself, what is assumed above every figure."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import Browser

from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest import trials_page
from openmm.backtest.gather import Piece, Span
from openmm.backtest.measures import FILL
from openmm.backtest.model import Model
from openmm.backtest.trials import Trial, Variant, assumptions, run_all
from openmm.backtest.trials_page import page
from openmm.backtest.trials_text import CHANCE_LEGEND, causes_of, money
from openmm.data.events import TRADE
from openmm.data.integrity import BAD
from openmm.settlement.plots import BUCKETS
from tests.backtest.outcomes import market
from tests.e2e.browser import DRAWN, chromium
from tests.rerun.made import bot

PLOT = r'<svg class="plot.*?</svg>(?!</svg>)'
# How far the widest table is cut off, and, with every table at its end, how far its keys are out of
# sight.
TABLES = """(() => {
    const found = [...document.querySelectorAll('.wide')]
    const hidden = Math.max(...found.map(one => one.scrollWidth - one.clientWidth))
    found.forEach(one => { one.scrollLeft = one.scrollWidth })
    return [hidden, found.map(one => Math.round(one.getBoundingClientRect().left
        - one.querySelector('td').getBoundingClientRect().left))]
})()"""


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
    # Of each run its price, causes, markouts, and fills by distance and by queue.
    assert made.count('<svg class="plot') == 3 + 2 * 5
    for one in re.findall(PLOT, made, re.DOTALL):
        ElementTree.fromstring(one)
    for trial in trials:
        for name, value in causes_of(trial.measures.causes):
            assert f"{money(-value if name == 'fees' else value)} USD" in made
    assert made.count(escape(CHANCE_LEGEND)) == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_the_page_is_readable_on_a_phone_and_whole_on_a_screen(
    trials: list[Trial], span: Span, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "backtest.html"
    path.write_text(page(trials, [span]), encoding="utf-8")
    for wide in (420, 1400):
        context = browser.new_context(viewport={"width": wide, "height": 900})
        shown = context.new_page()
        shown.goto(path.as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") <= wide
        drawn = shown.evaluate(DRAWN)
        assert len(drawn) == 3 + 2 * 5
        for width, beyond, text in drawn:
            assert width > 0.6 * wide
            assert beyond <= 1
            assert text >= 11
        hidden, keys = shown.evaluate(TABLES)
        if wide == 1400:
            assert hidden == 0, "nothing is cut off"
        else:
            assert hidden > 0
            # The end of a row is seen, and still whose row it is.
            assert keys == [0] * len(keys)
        context.close()


def test_the_price_is_drawn_with_what_others_and_we_traded_on_it(
    trials: list[Trial], span: Span
) -> None:
    one = trials[0]
    made = page([one], [span])
    fills = one.outcome.fills
    bought = int(np.count_nonzero(fills[:, FILL["side"]] == Side.BUY))
    assert 0 < bought < len(fills)
    assert f">bought, {bought} fills<" in made
    assert f">sold, {len(fills) - bought} fills<" in made
    drawn = {
        css: re.findall(rf'class="{css}" d="([^"]*)"', made)[0]
        for css in ("mark bid", "mark ask", "line market", "line price")
    }
    places = {(row[FILL["told_ns"]], row[FILL["price_ticks"]]) for row in fills.tolist()}
    assert 2 <= drawn["mark bid"].count("h0") + drawn["mark ask"].count("h0") <= len(places)
    trades = int(np.count_nonzero(one.span.columns("")[0].kinds == TRADE))
    assert 2 <= drawn["line market"].count("M") <= min(trades, BUCKETS + 1)
    assert len(re.findall("[ML]", drawn["line price"])) <= 2 * BUCKETS


def test_the_net_is_told_as_a_share_of_the_account(trials: list[Trial], span: Span) -> None:
    made = page(trials, [span])
    for one in trials:
        found = one.measures
        base, quote = one.outcome.opening
        first = Decimal(int(one.outcome.marks[0, 3])) / UTICKS_PER_TICK
        assert found.capital == pytest.approx((quote + base * first) * found.unit, abs=found.unit)
        assert found.net_share == pytest.approx(float(found.net / found.capital))
        assert found.net_share is not None
        assert f"{100 * found.net_share:.4f}% of the account&#x27;s {money(found.capital)}" in made
        assert f"<td>{1e4 * found.net_share:.2f}</td>" in made


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
