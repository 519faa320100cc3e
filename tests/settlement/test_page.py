"""The page: whole, harmless and readable, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, sync_playwright

from openmm import journal
from openmm._fast.tape import Record
from openmm.settlement.booking import Booker
from openmm.settlement.page import page
from openmm.settlement.report import load_report
from openmm.settlement.series import load_series
from openmm.settlement.store import Store
from tests.e2e.browser import DRAWN
from tests.settlement.made import RecordTuple, Tape, hand_made

EVIL = "<script>document.title='taken'</script><img src=https://example.com/x>\"'&"
# Chromium keeps to itself: the machine may have no network, and needs none.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


def book(url: str, records: list[RecordTuple]) -> None:
    store = Store(url)
    booker = Booker(store, "s-1")
    booker.apply(records)
    booker.set_journal_hash(b"\xab" * 32)
    booker.commit()
    store.close()


def made(url: str) -> str:
    report = load_report(url)
    return page(report, load_series(url, report.session.session_id))


def hostile() -> list[RecordTuple]:
    """The hand-made session in which texts of others try to become part of the page."""
    records = hand_made()
    out = []
    for record in records:
        payload = record[4]
        if record[1] == Record.REC_INCIDENT:
            payload = journal.incident_record(EVIL, "critical", kind="feed")
        if record[1] == Record.REC_COMMAND:
            payload = journal.command_record("pause", {"why": EVIL}, EVIL, "cli", "done")
        if record[1] == Record.REC_SESSION:
            fields = orjson.loads(payload)
            fields["config"]["settlement"] = {"store": "postgresql+psycopg://ann:hush@db/mm"}
            fields["config"]["risk"] = {"webhook": "https://hooks.example.com/T0/hush"}
            payload = orjson.dumps(fields)
        out.append((*record[:4], payload))
    return out


class Outline(HTMLParser):
    """Collect a page's tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; skip without one, fail if required."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("OPENMM_REQUIRE_DATA") == "1":
            pytest.fail("no Chromium is installed: apt-get install chromium")
        pytest.skip("no Chromium is installed")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


def test_page_holds_everything_and_fetches_nothing(database: Callable[[str], str]) -> None:
    url = database("store")
    book(url, hostile())
    text = made(url)
    outline = Outline()
    outline.feed(text)
    names = {tag for tag, _ in outline.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "base", "form"}
    for tag, attributes in outline.tags:
        assert not {"src", "href", "style", "onload"} & set(attributes), tag
    assert "url(" not in text
    assert "@import" not in text
    assert "hush" not in text, "the configuration is shown without what opens doors"
    assert EVIL not in text
    for told in (
        "s-1",
        "0.1.0",
        "ab" * 32,
        "0.017666667",
        "PRICE_COLLAR",
        "doubled_fill",
        "PAUSED",
    ):
        assert told in text, told


def test_page_in_a_browser_is_whole_in_light_and_dark_and_on_paper(
    browser: Browser, tmp_path: Path
) -> None:
    url = str(tmp_path / "store.sqlite")
    book(url, hostile())
    path = tmp_path / "report.html"
    path.write_text(made(url), encoding="utf-8")
    complaints: list[str] = []
    asked: list[str] = []
    grounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": 1366, "height": 768},
            color_scheme=scheme,
        )
        shown = context.new_page()
        shown.on("console", lambda message: complaints.append(message.text))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(path.as_uri())
        assert shown.title() == "grid: s-1"
        assert shown.evaluate("document.documentElement.scrollWidth") <= 1366
        grounds.append(shown.evaluate("getComputedStyle(document.body).backgroundColor"))
        # Every plot has size, and what it draws lies within it, or left of it where there is room.
        drawn = shown.evaluate(DRAWN)
        assert len(drawn) >= 6
        for width, beyond, text in drawn:
            assert width > 600
            assert beyond <= 1
            assert text >= 11
        shown.emulate_media(media="print")
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        if scheme == "light":
            assert len(re.findall(rb"/Type\s*/Page\b", shown.pdf(prefer_css_page_size=True))) >= 2
        context.close()
    assert complaints == [], "the page breaks its own policy"
    assert asked == [path.as_uri()] * 2
    assert len(set(grounds)) == 2


def test_page_of_a_session_without_trades_says_so(tmp_path: Path) -> None:
    url = str(tmp_path / "store.sqlite")
    tape = Tape()
    tape.session("s-1")
    book(url, tape.records)
    text = made(url)
    assert "Quotes and fills on the price: nothing on record" in text
    assert "Incidents: nothing on record" in text


def test_page_of_a_long_session_stays_small(tmp_path: Path) -> None:
    url = str(tmp_path / "store.sqlite")
    tape = Tape()
    tape.session("s-1")
    for second in range(2_500):
        price = 500_000 + second % 977
        tape.add(
            Record.REC_SAMPLE, second * 1000,
            journal.sample_record(price - 5, price + 5, price * 1_000_000, 0),
        )  # fmt: skip
        tape.fill(second * 1000, f"E{second}", 512, 1 + second % 2, price, 1000, "0", price * 10**6)
    book(url, tape.records)
    series = load_series(url, "s-1")
    assert series.fill_count == 2_500
    drawn = [point for part in series.lines["reference"].parts() for point in part]
    assert len(drawn) < 1_300
    assert min(value for _, value in drawn) == pytest.approx(50_000.0)
    assert max(value for _, value in drawn) == pytest.approx(50_097.6)
    assert len(page(load_report(url), series)) < 400_000
