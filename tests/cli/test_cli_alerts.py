"""`openmm alerts`: list, take note, try a channel, check the file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.control import alerts
from openmm.control.home import Home

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENMM_CLIENTS", str(tmp_path / "clients.toml"))
    monkeypatch.setenv("OPENMM_ALERTS", str(tmp_path / "alerts.toml"))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def told(capsys: Capture, *args: str) -> tuple[int, dict[str, object]]:
    code = main(["alerts", *args, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_list_tells_what_is_grave_until_it_is_noted(root: Path, capsys: Capture) -> None:
    assert told(capsys, "list", "--run-dir", str(root))[0] == 0
    home = Home.find(root)
    with alerts.changing(home) as book:
        alert = book.see("halt", "critical", "btc-grid", "", "halted: drawdown", time.time_ns()).id
    assert main(["alerts", "list", "--run-dir", str(root)]) == 1
    assert alert in capsys.readouterr().out
    assert main(["alerts", "ack", alert, "--run-dir", str(root)]) == 0
    assert f"{alert}: noted by" in capsys.readouterr().out
    assert told(capsys, "list", "--run-dir", str(root))[0] == 0
    assert alerts.read(home).open()[0].acknowledged_ns
    assert main(["alerts", "ack", "al-none", "--run-dir", str(root), "--json"]) == 1


def test_check_tells_the_rules_and_refuses_what_cannot_be_sent(
    root: Path, tmp_path: Path, capsys: Capture
) -> None:
    code, shown = told(capsys, "check")
    assert (code, shown["present"], shown["channels"]) == (0, False, [])
    path = tmp_path / "alerts.toml"
    path.write_text('[channel.ops]\nurl = "gibberish-t0ps3cr3t"\n')
    path.chmod(0o600)
    assert main(["alerts", "check", "--json"]) == 2
    captured = capsys.readouterr()
    assert "t0ps3cr3t" not in captured.out + captured.err
    path.write_text('[channel.ops]\nurl = "json://127.0.0.1:9/"\n')
    code, shown = told(capsys, "check")
    assert (code, shown["channels"]) == (0, ["ops"])


def test_channel_that_does_not_answer_fails_its_test(
    root: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[channel.ops]\nurl = "json://127.0.0.1:9/"\n')
    path.chmod(0o600)
    code, shown = told(capsys, "test", "ops")
    assert (code, shown["delivered"]) == (1, False)
    assert main(["alerts", "test", "nobody", "--json"]) == 2
    assert "there are: ops" in capsys.readouterr().err
