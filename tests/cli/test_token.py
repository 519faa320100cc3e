"""`openmm token` and what its tokens open."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.control.access import Scope
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.errors import ControlError

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENMM_CLIENTS", str(tmp_path / "clients.toml"))
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path / "runs"))
    return tmp_path / "clients.toml"


def said(capsys: Capture, *args: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = main(["token", *args, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out or captured.err)


def test_token_is_told_once_and_opens_what_was_granted(file: Path, capsys: Capture) -> None:
    code, body = said(
        capsys, "add", "desk-agent", "--scope", "brake", "--bot", "btc-grid",
        "--orders-per-minute", "5", "--order-notional", "500", "--notional-per-hour", "2000",
        "--expires", "30d",
    )  # fmt: skip
    assert code == 0
    assert body["client"]["scopes"] == ["read", "brake"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = body["token"]
    found = Door(Home.find()).authenticate(token)
    assert found.scopes == {Scope.READ, Scope.BRAKE}
    assert found.bots == ("btc-grid",)
    days = (found.expires_ns - time.time_ns()) / 86_400e9
    assert 29.9 < days <= 30
    for command in (["list"], ["show", "desk-agent"]):
        code, body = said(capsys, *command)
        assert code == 0
        assert token not in json.dumps(body)
        assert "sha256" not in json.dumps(body)
    assert body["client"]["notional_per_hour"] == "2000"


def test_revoked_token_opens_nothing(capsys: Capture) -> None:
    _, body = said(capsys, "add", "ann")
    door = Door(Home.find())
    door.authenticate(body["token"])
    assert said(capsys, "revoke", "ann")[0] == 0
    with pytest.raises(ControlError, match="opens nothing"):
        door.authenticate(body["token"])
    assert said(capsys, "list")[1] == {"clients": []}


def test_text_shows_the_token_first_and_then_what_it_may(capsys: Capture) -> None:
    assert main(["token", "add", "ann"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("omm_ann_")
    assert any(line.split() == ["order_notional", "none"] for line in lines)
    assert main(["token", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["client", "scopes", "bots", "expires"], ["ann", "read", "*", "never"]]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["add", "Ann"], "a name of"),
        (["add", "ann", "--scope", "all"], "of read, brake"),
        (["add", "ann", "--bot", "../x"], "bots"),
        (["add", "ann", "--order-notional", "lots"], "--order-notional"),
        (["add", "ann", "--order-notional", "-1"], "--order-notional"),
        (["add", "ann", "--orders-per-minute", "-1"], "--orders-per-minute"),
        (["add", "ann", "--expires", "soon"], "--expires"),
        (["add", "ann", "--expires", "0d"], "1d to 3660d"),
        (["show", "nobody"], "one of: none"),
        (["revoke", "nobody"], "one of: none"),
    ],
)
def test_bad_values_are_refused_by_name_and_write_nothing(
    args: list[str], told: str, file: Path, capsys: Capture
) -> None:
    code, body = said(capsys, *args)
    assert code == 2
    assert told in body["error"]["message"]
    assert not file.exists()
