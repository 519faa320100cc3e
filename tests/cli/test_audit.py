"""`openmm audit`: what is on record, and whether it is as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.control.access import LOCAL, Client
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.errors import ControlError

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path / "runs"))
    return Home.find()


def said(capsys: Capture, *args: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = main(["audit", *args, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out or captured.err)


def test_nothing_on_record_is_no_failure(capsys: Capture) -> None:
    assert said(capsys) == (0, {"records": []})
    assert said(capsys, "--verify")[0] == 0


def test_calls_are_listed_newest_first_and_sifted(home: Home, capsys: Capture) -> None:
    door = Door(home)
    door.call(LOCAL, "bots", {}, surface="cli")
    door.call(Client("ann"), "bots", {}, surface="mcp")
    with pytest.raises(ControlError):
        door.call(Client("ann"), "halt", {"bot": "btc-grid"}, surface="mcp")
    shown = [one["action"] for one in said(capsys)[1]["records"]]
    assert shown == ["halt", "bots", "bots"]
    assert len(said(capsys, "--client", "ann")[1]["records"]) == 2
    assert len(said(capsys, "--writes")[1]["records"]) == 1
    assert len(said(capsys, "--limit", "1")[1]["records"]) == 1
    assert said(capsys, "--bot", "eth")[1]["records"] == []
    assert main(["audit"]) == 0
    assert "refused: forbidden: halt needs the scope brake" in capsys.readouterr().out


def test_verify_fails_when_a_record_was_changed(home: Home, capsys: Capture) -> None:
    for _ in range(3):
        Door(home).call(LOCAL, "bots", {}, surface="cli")
    code, body = said(capsys, "--verify")
    assert (code, body["lines"], body["problem"]) == (0, 3, "")
    home.audit.write_text(home.audit.read_text().replace('"local"', '"eve"', 1))
    code, body = said(capsys, "--verify")
    assert code == 1
    assert "audit.jsonl:2: does not follow" in body["problem"]
    assert main(["audit", "--verify"]) == 1
    assert "broken" in capsys.readouterr().out
