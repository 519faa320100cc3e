"""`openmm export`: what a bot's sessions hold, as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.settlement.booking import Booker
from openmm.settlement.store import Store
from tests.settlement.made import hand_made

Capture = pytest.CaptureFixture[str]


def test_session_is_exported_and_listed(tmp_path: Path, capsys: Capture) -> None:
    path = str(tmp_path / "store.sqlite")
    store = Store(path)
    booker = Booker(store, "s-1")
    booker.apply(hand_made())
    booker.commit()
    store.close()
    out = tmp_path / "out"
    assert main(["export", "s-1", "--store", path, "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sessions"] == ["s-1"]
    rows = {one["table"]: one["rows"] for one in told["files"]}
    assert (rows["fill"], rows["trades"]) == (4, 5)
    assert {Path(one["path"]) for one in told["files"]} == set(out.iterdir())
    assert main(["export", "--store", path, "--out", str(out)]) == 0
    assert "trades.csv" in capsys.readouterr().out
    assert main(["export", "s-9", "--store", path, "--out", str(out)]) == 1
    assert main(["export", "--store", path, "--format", "xlsx"]) == 2
    assert "csv or parquet" in capsys.readouterr().err
