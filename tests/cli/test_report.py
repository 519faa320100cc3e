"""`openmm report`: the last session of a bot, or any of any store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.engine.rundir import RunDir, lock_bot
from openmm.settlement.booking import Booker
from openmm.settlement.store import Store
from tests.settlement.made import hand_made

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Book the hand-made session."""
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    made = Store(url)
    booker = Booker(made, "s-1")
    booker.apply(hand_made())
    booker.commit()
    made.close()
    return url


def test_report_of_a_store(store: str, capsys: Capture) -> None:
    assert main(["report", "--store", store, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["session"]["session_id"] == "s-1"
    assert body["volume"]["quote"] == "1249.976000000"


def test_report_as_text(store: str, capsys: Capture) -> None:
    assert main(["report", "--store", store, "--session", "s-1"]) == 0
    out = capsys.readouterr().out
    assert "Session s-1" in out
    assert "1249.976" in out


def test_report_of_a_bot_finds_the_store_its_session_told(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    run_dir = RunDir(tmp_path / "runs", "btc").make()
    with lock_bot(run_dir):
        run_dir.write_session({"session": "s-1", "store": store})
    assert main(["report", "--run-dir", str(tmp_path / "runs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["session"]["session_id"] == "s-1"


def test_unknown_session_and_absent_store_are_one_line(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    for args in (
        ["--store", store, "--session", "s-9"],
        ["--store", f"sqlite:///{tmp_path / 'none.sqlite'}"],
    ):
        assert main(["report", *args]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
    assert not (tmp_path / "none.sqlite").exists()
