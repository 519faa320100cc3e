"""Bots and variants over spans: names, remarks, and what is assumed, told beside the figures."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest

from openmm.backtest.gather import MADE, Piece, Span
from openmm.backtest.model import MS, Model
from openmm.backtest.trials import Trial, Variant, assumptions, run_all, to_json, variants
from openmm.config import BotConfig
from openmm.config.schema import Grid
from openmm.data.integrity import BAD
from openmm.errors import ConfigError, ConfigErrors
from tests.backtest.outcomes import broken, market, whole_for_a_moment
from tests.rerun.made import bot

TREE = Path(__file__).resolve().parents[2]
EXAMPLES = TREE / "examples" / "bots"
GRID = EXAMPLES / "grid.toml"


@pytest.fixture(scope="module")
def span() -> Span:
    events = market(seconds=30)
    return Span((events,), (Piece("thin", events, "good", ()),))


def trial(config: BotConfig, span: Span) -> Trial:
    (found,) = run_all([Variant("grid", config)], [span], lambda _: Model(), lambda: 0.0)
    return found


def test_each_bot_runs_as_it_is_and_changed() -> None:
    found = variants(
        [GRID, EXAMPLES / "grid-deep.toml"],
        ["strategy.spread=5bps,strategy.num_orders=4", "paper.base=2"],
    )
    assert [one.label for one in found] == [
        "grid", "grid spread=5bps num_orders=4", "grid base=2", "grid-deep",
        "grid-deep spread=5bps num_orders=4", "grid-deep base=2",
    ]  # fmt: skip
    strategies = [one.config.strategy for one in found[:2]]
    assert [isinstance(one, Grid) and one.num_orders for one in strategies] == [3, 4]
    assert found[2].config.paper.base == 2


def test_commands_of_the_pages_name_bots_that_a_backtest_takes() -> None:
    told = []
    for page in ("README.md", "docs/backtest.md"):
        text = (TREE / page).read_text().replace("\\\n", " ")
        told += re.findall(r"^openmm (?:backtest|sweep) (.*)$", text, re.MULTILINE)
    assert len(told) >= 5
    for line in told:
        words = shlex.split(line, comments=True)
        bots = [one for word in words if word.endswith(".toml") for one in TREE.glob(word)]
        assert bots, line
        sets = [value for word, value in pairwise(words) if word == "--set"]
        for one in variants(bots, sets):
            assert one.config.quoted.maker_fee_ppm is not None, f"{line}: fees are asked for"
            assert one.config.quoted.taker_fee_ppm is not None


def test_a_place_in_a_list_of_tables_is_a_number() -> None:
    found = variants([GRID], ["venue.0.maker_fee=0.01%"])
    assert found[1].config.venue[0].maker_fee_ppm == 100


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("spread", ConfigError, "--set: KEY=VALUE"),
        ("strategy.spread=", ConfigError, "--set: KEY=VALUE"),
        ("bot.name=a,bot.name=b", ConfigError, r"--set: bot.name once"),
        ("strategy.num_orders=\uff13", ConfigErrors, r"strategy.num_orders"),
        ("venue.\xb2.maker_fee=0%", ConfigError, "a place from 0 to 0"),
        ("venue.1.maker_fee=0%", ConfigError, "a place from 0 to 0"),
        ("strategy.spread.x=1", ConfigError, "a key of a table"),
        ("strategy.spred=4bps", ConfigErrors, r"toml with strategy.spred=4bps.*strategy.spred"),
        ("strategy.num_orders=0", ConfigErrors, r"strategy.num_orders"),
        ("strategy.spread=wide", ConfigErrors, r"strategy.spread"),
    ],
)  # fmt: skip
def test_a_change_that_is_none_is_told(text: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        variants([GRID], [text])


def test_two_bots_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"bot.name"):
        variants([GRID, GRID], [])


def test_runs_come_by_span_then_by_variant_with_their_time(span: Span) -> None:
    other = Span(span.markets, span.pieces)
    ticks = count(0, 2)
    seen: list[tuple[str, int]] = []
    found = run_all(
        [Variant("a", bot()), Variant("b", bot())], [span, other], lambda _: Model(),
        lambda: float(next(ticks)), lambda name, _, of: seen.append((name, of)),
    )  # fmt: skip
    assert [(one.label, one.span is other) for one in found] == [
        ("a", False), ("b", False), ("a", True), ("b", True),
    ]  # fmt: skip
    events = span.count
    assert [one.events_per_s for one in found] == [events / 2] * 4
    assert {("a", events), ("b", events)} == set(seen)
    assert found[0].measures.fills > 0
    assert found[0].problems == found[0].notes == ()


def test_nothing_quoted_is_a_problem() -> None:
    events = whole_for_a_moment()
    found = trial(bot(), Span((events,), (Piece("thin", events, "good", ()),)))
    assert found.outcome.placed == 0
    assert found.problems[0].startswith("nothing was quoted: ")


def test_what_was_quoted_and_left_out_is_noted(span: Span) -> None:
    (events,) = span.columns("")
    watched = replace(events, market=replace(events.market, venue="mexc", pair="BTC/USDC"))
    pieces = (*span.pieces, Piece("beside", watched, BAD, ("continuity lost",)))
    found = trial(bot(pair="BTC/EUR"), Span((events, watched), pieces, chosen=True))
    assert "kraken BTC/USD was quoted as if it were kraken BTC/EUR" in found.notes
    assert "no [[venue]] of the bot watches mexc BTC/USDC: left out" in found.notes
    assert "beside is broken: continuity lost" in found.notes
    assert not any("another pair" in one for one in found.notes)
    found = trial(bot(pair="DOGE/USD"), Span((events,), span.pieces))
    assert "meant in DOGE, counted in BTC" in " ".join(found.notes)


def test_clocks_that_are_apart_are_noted(span: Span) -> None:
    (events,) = span.columns("")
    early = replace(
        events, market=replace(events.market, venue="mexc"), venue_ns=events.venue_ns + 60_000_000
    )
    for verdict, noted in (("good", True), (MADE, False)):
        pieces = (*span.pieces, Piece("beside", early, verdict, ()))
        found = trial(bot(), Span((events, early), pieces, chosen=True))
        assert any(one.startswith("clocks: ") for one in found.notes) is noted


def test_a_book_that_is_broken_at_the_end_tells_no_spread(span: Span) -> None:
    (events,) = span.columns("")
    lost = broken(events, events.place(int(events.recv_ns[-1])))
    found = trial(bot(), Span((lost,), (Piece("thin", lost, "good", ()),)))
    assert found.measures.position
    assert found.outcome.closing_spread_ticks == 0
    assert "no whole book at the end: flattened by the taker fee alone" in found.notes
    assert found.measures.flattened < found.measures.net


def test_assumptions_say_every_part_of_the_model() -> None:
    assert "behind it" in assumptions([Model()])
    assert "x^2" in assumptions([Model(queue="power", power=2)])
    assert "log(1 + x)" in assumptions([Model(queue="log")])
    told = assumptions([Model(orders_ns=(5 * MS,), answers_ns=(7 * MS,), every_ns=100 * MS)])
    assert "Orders take 5 ms, answers 7 ms; decisions are made every 100 ms." in told
    told = assumptions([Model(orders_ns=tuple(range(MS, 101 * MS, MS)), seed=3, impact_ns=MS)])
    assert "100 delays drawn from (median 50 ms, 99% within 99 ms)" in told
    assert "stays missing for 1 ms" in told
    told = assumptions([Model(orders_ns=(MS, 2 * MS), orders_from_ns=(7, 8))])
    assert "2 delays each at its moment" in told
    assert assumptions([Model(), Model()]) == assumptions([Model()])


def test_json_states_what_is_assumed_beside_the_figures(span: Span) -> None:
    found = trial(bot(), span)
    told = json.loads(json.dumps(to_json([found], [span])))
    assert told["assumptions"] == assumptions([Model()])
    assert told["runs"][0]["model"]["queue"] == "careful"
    assert told["runs"][0]["causes"]["net"] == format(found.measures.net, "f")
    assert told["spans"][0]["pieces"][0]["verdict"] == "good"
