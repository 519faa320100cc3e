"""The alert book: one alert a condition, taken note of once, shared by processes, bounded."""

from __future__ import annotations

import fcntl
import stat
import threading
from pathlib import Path

import pytest

from openmm.control import alerts
from openmm.control.home import Home
from openmm.errors import ControlError

NOW = 1_800_000_000_000_000_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "runs", tmp_path / "state", tmp_path / "clients.toml")


def see(home: Home, now_ns: int = NOW, severity: str = "warning", bot: str = "btc") -> str:
    with alerts.changing(home) as book:
        return book.see("book_broken", severity, bot, "kraken", "broken for 10 s", now_ns).id


def test_no_book_is_an_empty_one(home: Home) -> None:
    assert alerts.listed(home) == {"alerts": [], "passed": [], "unacknowledged": 0, "rules": []}
    assert not home.state.exists()


def test_condition_that_is_seen_again_is_one_alert(home: Home) -> None:
    first = see(home)
    assert see(home, NOW + 5) == first
    assert see(home, bot="eth") != first
    (alert,) = [one for one in alerts.read(home).open() if one.bot == "btc"]
    assert (alert.seen_count, alert.opened_ns, alert.seen_ns) == (2, NOW, NOW + 5)
    assert stat.S_IMODE((home.state / "alerts.json").stat().st_mode) == 0o600


def test_condition_that_comes_back_is_another_alert(home: Home) -> None:
    first = see(home)
    with alerts.changing(home) as book:
        book.close(book.open()[0], NOW + 1)
    assert see(home, NOW + 2) != first
    listed = alerts.listed(home)
    assert [one["id"] for one in listed["passed"]] == [first]
    assert listed["unacknowledged"] == 1


def test_note_is_taken_once_and_lost_when_it_gets_graver(home: Home) -> None:
    alert = see(home)
    alerts.acknowledge(home, alert, "ann", NOW + 1)
    alerts.acknowledge(home, alert, "bob", NOW + 2)
    (shown,) = alerts.listed(home)["alerts"]
    assert (shown["acknowledged_by"], shown["acknowledged_ns"]) == ("ann", NOW + 1)
    assert see(home, NOW + 3) == alert
    assert alerts.listed(home)["unacknowledged"] == 0
    assert see(home, NOW + 4, severity="critical") == alert
    assert alerts.listed(home)["unacknowledged"] == 1


def test_alerts_of_other_bots_are_not_in_sight(home: Home) -> None:
    alert = see(home)
    stranger = home.of(("eth",))
    assert alerts.listed(stranger)["alerts"] == []
    with pytest.raises(ControlError, match="open are: none") as caught:
        alerts.acknowledge(stranger, alert, "eve", NOW)
    assert caught.value.code == "no_alert"


def test_book_is_bounded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "CLOSED_KEPT", 2)
    monkeypatch.setattr(alerts, "OPEN_MAX", 3)
    for number in range(5):
        see(home, NOW + number)
        with alerts.changing(home) as book:
            book.close(book.open()[0], NOW + number)
    for number in range(5):
        see(home, bot=f"b{number}")
    book = alerts.read(home)
    assert (len(book.open()), len(book.alerts)) == (3, 5)


def test_damaged_book_is_refused_and_left_as_it_is(home: Home) -> None:
    see(home)
    (home.state / "alerts.json").write_text("{")
    for use in (lambda: alerts.listed(home), lambda: see(home)):
        with pytest.raises(ControlError) as caught:
            use()
        assert caught.value.code == "alerts_damaged"
    assert (home.state / "alerts.json").read_text() == "{"


def test_threads_lose_nothing(home: Home) -> None:
    def work(who: int) -> None:
        for _ in range(10):
            see(home, bot=f"b{who}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.seen_count for one in alerts.read(home).open()] == [10] * 4


def test_book_that_another_holds_is_busy(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "BUSY_S", 0.01)
    see(home)
    with (home.state / "alerts.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ControlError) as caught:
            see(home)
    assert caught.value.code == "busy"
