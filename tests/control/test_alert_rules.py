"""Rules: which page is an alert and which is none, and how the book follows."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from openmm._fast.checks import RiskState
from openmm.control import alert_rules
from openmm.control.alert_file import RULES
from openmm.control.alert_rules import Found
from openmm.control.alerts import Book
from openmm.control.views import BotState
from openmm.telemetry import LIMITS, MISSING, FillPage, LimitPage
from tests.test_telemetry import NOW_NS, full, snapshot

S = 1_000_000_000
RUNNING = int(RiskState.RUNNING)


def venue(**changes: Any) -> dict[str, Any]:
    return {"venues": (full().venues[0]._replace(broken_ns=0, rate_used_ppm=0, **changes),)}


def limits(**used: int) -> dict[str, Any]:
    return {"limits": tuple(LimitPage(1_000, used.get(name, 0)) for name, _ in LIMITS)}


def found(page_state: str = "alive", now_ns: int = NOW_NS, **page: Any) -> set[str]:
    state = BotState("btc-grid", True, 1, {}, snapshot(**page), page_state, "why")
    return {one.rule for one in alert_rules.of_bot(state, RULES, now_ns)}


@pytest.mark.parametrize(
    ("page", "rules"),
    [
        ({}, set()),
        ({"risk_state": int(RiskState.PAUSED)}, set()),
        ({"risk_state": int(RiskState.HALTED)}, {"halt"}),
        ({"counters": snapshot().counters._replace(incidents=2)}, {"incident"}),
        ({"open_incidents": 1}, {"incident"}),
        (venue(), set()),
        ({"venues": (full().venues[0]._replace(broken_ns=31 * S, rate_used_ppm=0),)},
         {"book_broken"}),
        (venue(age_ns=15 * S), set()),
        (venue(age_ns=15 * S + 1), {"venue_down"}),
        ({**venue(age_ns=MISSING), "started_ns": NOW_NS - 20 * S}, {"venue_down"}),
        ({"venues": (full().venues[0]._replace(broken_ns=0, rate_used_ppm=950_000),)},
         {"rate_budget"}),
        (limits(clock_offset=799, drawdown=499, drawdown_peak=499, orders=1_000), set()),
        (limits(clock_offset=800), {"clock_offset"}),
        (limits(drawdown=500), {"drawdown"}),
        (limits(drawdown_peak=2_000), {"drawdown"}),
        ({"limits": (LimitPage(MISSING, 5),) * len(LIMITS)}, set()),
        ({"started_ns": NOW_NS - 7 * 3_600 * S}, {"no_fills"}),
        ({"started_ns": NOW_NS - 7 * 3_600 * S, "fills": (FillPage(NOW_NS - S, 1, 1, 1, 1),)},
         set()),
        ({"started_ns": NOW_NS - 7 * 3_600 * S, "risk_state": int(RiskState.PAUSED)}, set()),
        ({"tape_unread_bytes": 50, "tape_size_bytes": 100}, {"writer_behind"}),
        ({"tape_lost": 1}, {"writer_behind"}),
    ],
)  # fmt: skip
def test_page_is_an_alert_or_none(page: dict[str, Any], rules: set[str]) -> None:
    assert found(**page) == rules


@pytest.mark.parametrize(
    ("state", "rules"),
    [
        ("dead", {"engine_silent"}),
        ("stale", {"engine_silent", "halt"}),
        ("unreadable", {"engine_silent"}),
        ("ended", set()),
        ("absent", set()),
    ],
)
def test_engine_that_is_silent_is_an_alert_and_one_that_ended_is_none(
    state: str, rules: set[str]
) -> None:
    assert found(state, risk_state=int(RiskState.HALTED)) == rules


@pytest.mark.parametrize("page_state", ["unreadable", "absent"])
@pytest.mark.parametrize(
    ("session", "dead"),
    [
        ({"state": "running"}, True),
        ({"state": "starting"}, True),
        ({"state": "ended"}, False),
        ({}, False),
    ],
)
def test_engine_that_died_without_a_readable_page_is_an_alert(
    page_state: str, session: dict[str, Any], dead: bool
) -> None:
    state = BotState("b", False, None, session, None, page_state, "the writer died while writing")
    found = [one.rule for one in alert_rules.of_bot(state, RULES, NOW_NS)]
    assert found == (["engine_silent"] if dead else [])


def test_rule_that_is_off_finds_nothing() -> None:
    rules = {**RULES, "halt": replace(RULES["halt"], enabled=False)}
    state = BotState("b", True, 1, {}, snapshot(risk_state=int(RiskState.HALTED)), "alive")
    assert alert_rules.of_bot(state, rules, NOW_NS) == []
    assert "halt" not in {one.name for one in alert_rules.listed_rules(rules)}


def test_little_disk_is_an_alert_of_the_host() -> None:
    most = RULES["disk_low"].most
    assert alert_rules.of_disk(most, RULES, "runs") == []
    (one,) = alert_rules.of_disk(most - 1, RULES, "runs")
    assert (one.bot, one.severity) == ("", "critical")


@pytest.mark.parametrize(
    ("used", "severity"),
    [(500, "info"), (799, "info"), (800, "warning"), (1_000, "critical"), (3_000, "critical")],
)
def test_loss_is_graver_step_by_step(used: int, severity: str) -> None:
    state = BotState("b", True, 1, {}, snapshot(**limits(drawdown=used)), "alive")
    (one,) = alert_rules.of_bot(state, RULES, NOW_NS)
    assert (one.rule, one.subject, one.severity) == ("drawdown", "drawdown", severity)


def test_incident_told_and_over_comes_back_only_with_another() -> None:
    book = Book()
    one = Found("incident", "warning", "b", "s1", "book dropped", "1")
    assert alert_rules.enter(book, [one], NOW_NS)
    assert not alert_rules.enter(book, [one], NOW_NS + S)
    later = NOW_NS + alert_rules.INCIDENT_NS + 20 * S
    assert alert_rules.enter(book, [one], later)
    assert book.open() == []
    assert not alert_rules.enter(book, [one], later + S)
    assert alert_rules.enter(book, [Found("incident", "warning", "b", "s1", "again", "2")], later)
    assert [alert.text for alert in book.open()] == ["again"]


def test_another_incident_wants_a_note_of_its_own() -> None:
    book = Book()
    alert_rules.enter(book, [Found("incident", "warning", "b", "s1", "x", "1")], NOW_NS)
    book.open()[0].acknowledged_ns = NOW_NS
    alert_rules.enter(book, [Found("incident", "warning", "b", "s1", "y", "2")], NOW_NS + S)
    (alert,) = book.open()
    assert (alert.acknowledged_ns, alert.fresh_ns, alert.text) == (0, NOW_NS + S, "y")


def test_flapping_condition_is_one_alert() -> None:
    book = Book()
    one = Found("venue_down", "warning", "b", "kraken", "silent")
    for at in range(60):
        alert_rules.enter(book, [one] if at % 20 == 0 else [], NOW_NS + at * S)
    assert len(book.alerts) == 1
    alert_rules.enter(book, [], NOW_NS + 100 * S)
    assert book.open() == []
