"""From a sentence to a bot that quotes: shown, written as shown, started once, stopped."""

from __future__ import annotations

import stat
import sys
import time
import tomllib
from pathlib import Path

import pytest

from openmm.control import creating, starting
from openmm.control.access import LOCAL, Caps, Client, Scope
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.engine.rundir import Lock, RunDir
from openmm.errors import ControlError
from tests.control.conftest import Running
from tests.control.running import until

SENTENCE = {"description": "start a grid on BTC/USD with 1% spread", "mode": "paper"}


@pytest.fixture
def home(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("OPENMM_SIM_KRAKEN", running.sim_line)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return Home(tmp_path / "runs", tmp_path / "runs" / ".control", tmp_path / "clients.toml")


def ended(run_dir: RunDir) -> bool:
    return run_dir.holder_pid() is None


def test_a_sentence_becomes_a_bot_that_quotes(home: Home) -> None:
    door = Door(home)
    seen = door.preview(LOCAL, "create", SENTENCE, surface="test")
    assert seen["ladder"]["before"] is None
    assert len(seen["ladder"]["after"]["bids"]) == 5
    assert seen["needs"]["capital"]["quote_asset"] == "USD"
    assert not list(home.root.glob("*.toml")), "a preview writes no bot"
    made = door.call(LOCAL, "create", SENTENCE, surface="test", preview=seen["preview"])
    run_dir = RunDir(home.root, made["bot"])
    try:
        assert (made["bot"], made["state"]) == ("btc-grid", "quoting")
        file = Path(made["file"])
        assert file.read_text() == seen["needs"]["config"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        told = door.call(LOCAL, "status", {"bot": "btc-grid"}, surface="test")
        assert (told["running"], told["mode"]) == (True, "paper")
        assert len(told["orders"]["bids"]) >= 1
        with pytest.raises(ControlError) as twice:
            starting.start(home, "btc-grid")
        assert twice.value.code == "already_running"
        again = door.preview(LOCAL, "create", SENTENCE, surface="test")
        assert again["needs"]["name"] == "btc-grid-2", "no bot is written over"
    finally:
        door.call(LOCAL, "stop", {"bot": "btc-grid"}, surface="test")
        until(lambda: ended(run_dir), "it stops")
    shown = door.preview(LOCAL, "start", {"bot": "btc-grid"}, surface="test")
    file.write_text(file.read_text() + "\n# changed\n")
    with pytest.raises(ControlError) as moved:
        door.call(LOCAL, "start", {"bot": "btc-grid"}, surface="test", preview=shown["preview"])
    assert moved.value.code == "preview_mismatch"


def test_what_was_shown_is_what_is_written_or_nothing_is(home: Home) -> None:
    version = creating.of_create(home, LOCAL, SENTENCE, time.time_ns()).version
    kept = home.state / "proposals" / f"{version}.toml"
    kept.write_text(kept.read_text().replace('spread = "1%"', 'spread = "9%"'))
    with pytest.raises(ControlError) as told:
        creating.create(home, LOCAL, SENTENCE, version)
    assert told.value.code == "preview_expired"
    assert not list(home.root.glob("*.toml"))


def test_a_real_venues_bot_is_written_and_left_to_its_operator(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_TREAT_AS_REAL", "1")
    wanted = {"description": "grid on BTC/USD with 1% spread named real", "mode": "live"}
    version = creating.of_create(home, LOCAL, wanted, time.time_ns()).version
    told = creating.create(home, LOCAL, wanted, version)
    assert told["state"] == "written"
    assert "openmm doctor kraken --for" in told["why"]
    assert tomllib.loads(Path(told["file"]).read_text())["bot"]["mode"] == "live"
    assert not RunDir(home.root, "real").lock.exists()
    with pytest.raises(ControlError) as refused:
        starting.start(home, "real")
    assert refused.value.code == "not_confirmed"


def test_a_live_bot_keeps_to_its_clients_caps(home: Home) -> None:
    wanted = {"description": "grid on BTC/USD with 1% spread", "mode": "live"}
    poor = Client("poor", frozenset({Scope.READ, Scope.START}), ("*",), Caps())
    with pytest.raises(ControlError) as told:
        creating.of_create(home, poor, wanted, time.time_ns())
    assert told.value.code == "over_cap"
    assert not (home.state / "proposals").exists()


def test_only_who_may_resume_starts_a_bot_that_is_held(home: Home) -> None:
    version = creating.of_create(home, LOCAL, SENTENCE, time.time_ns()).version
    starting.write_file(
        home, "btc-grid", (home.state / "proposals" / f"{version}.toml").read_text()
    )
    bot = RunDir(home.root, "btc-grid").make()
    bot.held.write_text("halted: drawdown\n")
    starter = Client("agent", frozenset({Scope.READ, Scope.BRAKE, Scope.START}))
    for call in (
        lambda: creating.of_start(home, starter, bot),
        lambda: creating.start(home, starter, bot, ""),
    ):
        with pytest.raises(ControlError, match=r"halted: drawdown.*scope resume") as told:
            call()
        assert told.value.code == "forbidden"
    may = Client("desk", starter.scopes | {Scope.RESUME})
    assert "halted: drawdown" in creating.of_start(home, may, bot).warnings[0]


def test_one_start_at_a_time_and_a_failed_one_tells_its_last_words(home: Home) -> None:
    version = creating.of_create(home, LOCAL, SENTENCE, time.time_ns()).version
    text = (home.state / "proposals" / f"{version}.toml").read_text()
    starting.write_file(home, "btc-grid", text)
    with pytest.raises(ControlError) as taken:
        starting.write_file(home, "btc-grid", text)
    assert taken.value.code == "exists"
    with (
        Lock(home.state / "starting-btc-grid.lock", "the start"),
        pytest.raises(ControlError) as busy,
    ):
        starting.start(home, "btc-grid")
    assert busy.value.code == "starting"
    fails = (sys.executable, "-c", "import sys; sys.exit('openmm: the disk is full')")
    with pytest.raises(ControlError, match="exit code 1: the disk is full") as failed:
        starting.start(home, "btc-grid", command=fails)
    assert failed.value.code == "start_failed"
    with pytest.raises(ControlError) as nobody:
        starting.file_of(home, "nobody")
    assert nobody.value.code == "no_file"
