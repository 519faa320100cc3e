"""Going live, over real processes: a simulated venue that is declared real, and a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.engine.admission import STRICT
from tests.cli.processes import ROOT, get, venue
from tests.cli.test_run import FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def sim() -> Iterator[dict[str, Any]]:
    with venue("--seed", "11", "--fee-tier", "5") as (told, _):
        yield told


@pytest.fixture
def file(sim: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENMM_KRAKEN_KEY", sim["api_key"])
    monkeypatch.setenv("OPENMM_KRAKEN_SECRET", sim["api_secret"])
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv(STRICT, "1")
    path = tmp_path / "bot.toml"
    path.write_text(FILE.format(mode="live", **sim))
    return path


def at_terminal(file: Path, *typed: tuple[str, str]) -> tuple[int, str]:
    """Run a bot at a terminal for five seconds; type each answer once its question is there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "openmm.cli.main", "run", str(file), "--for", "5s"],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    seen, waiting, deadline = "", list(typed), time.monotonic() + 240
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 1.0)[0]:
                try:
                    chunk = os.read(ours, 4096)
                except OSError:
                    break
                seen += chunk.decode()
            if waiting and waiting[0][0] in seen:
                os.write(ours, waiting.pop(0)[1].encode() + b"\n")
        return process.wait(60), seen
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        os.close(ours)


def refused(capsys: Capture, file: Path) -> str:
    """Try to run without a terminal; return why it is refused."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, open(os.devnull) as nothing:
        patch.setattr("sys.stdin", nothing)
        assert main(["run", str(file), "--json"]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "not_confirmed"
    return str(error["message"])


def test_from_refusal_to_a_canary_that_ends_clean(
    file: Path, sim: dict[str, Any], capsys: Capture
) -> None:
    assert f"openmm doctor kraken --for {file}" in refused(capsys, file)
    assert main(["doctor", "kraken", "--for", str(file)]) == 0
    record = file.parent / "runs" / "btc" / "doctor.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert "at a terminal" in refused(capsys, file)

    wrong = ("Type btc kraken", "btc mexc")
    code, seen = at_terminal(file, wrong)
    assert code == 1
    assert "nothing was confirmed" in seen
    assert "at a terminal" in refused(capsys, file)
    assert get(sim["rest"], "/sim/statement")["orders"] == 0

    code, seen = at_terminal(file, ("Type btc kraken", "btc kraken"), ("Enter: canary size", ""))
    assert code == 0, seen
    for told in ("fingerprint", "canary size", "20000 USD open at once"):
        assert told in seen
    live = json.loads((file.parent / "runs" / "btc" / "live.json").read_text())
    assert (live["size"], live["canary"]["clean"]) == ("canary", True)
    log = (file.parent / "runs" / "btc" / "log").read_text()
    assert re.search(r"canary size: orders of 0\.000\d+ BTC at most", log)
    before = get(sim["rest"], "/sim/statement")["orders"]
    assert before > 0

    clean = ("ended reconciled and clean", "full size")
    code, seen = at_terminal(file, clean)
    assert code == 0, seen
    live = json.loads((file.parent / "runs" / "btc" / "live.json").read_text())
    assert live["size"] == "full"

    file.write_text(file.read_text().replace('"2%"', '"3%"'))
    assert "file has changed" in refused(capsys, file)


def test_doctor_that_fails_takes_the_record_away(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", "kraken", "--for", str(file)]) == 0
    record = file.parent / "runs" / "btc" / "doctor.json"
    assert record.exists()
    monkeypatch.setenv("OPENMM_KRAKEN_SECRET", "d3Jvbmc=")
    assert main(["doctor", "kraken", "--for", str(file)]) == 1
    assert not record.exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["gateio"], "a bot that trades on gateio"),
        (["kraken", "--rest", "http://127.0.0.1:1"], "--for tells"),
        (["kraken", "--label", "other"], "--for tells"),
    ],
)
def test_doctor_for_a_file_takes_nothing_from_elsewhere(
    file: Path, capsys: Capture, args: list[str], told: str
) -> None:
    assert main(["doctor", *args, "--for", str(file)]) == 2
    assert told in capsys.readouterr().err
    assert not (file.parent / "runs" / "btc" / "doctor.json").exists()
