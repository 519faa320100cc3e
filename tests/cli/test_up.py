"""`openmm up` with real bots on paper: restarts, halts, a supervisor that dies, a clean stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

import pytest

from openmm.cli.main import main
from openmm.engine.rundir import RunDir
from tests.cli.processes import ROOT, venue
from tests.cli.test_run import FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
Capture = pytest.CaptureFixture[str]
FLEET = """\
[fleet]
stagger = "0.1s"
backoff = "0.2s"
[[bot]]
file = "a.toml"
[[bot]]
file = "b.toml"
[[bot]]
file = "bad.toml"
"""


@final
class Up:
    """A running `openmm up --json`, and what it has told."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "up.out"
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openmm.cli.main", "up", str(folder / "fleet.toml"),
                 "--json"],
                cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines(True)
                if line.endswith("\n")]  # fmt: skip

    def told(self, bot: str, event: str) -> list[dict[str, Any]]:
        return [one for one in self.lines() if (one.get("bot"), one["event"]) == (bot, event)]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def until(holds: Callable[[], Any], what: str, within_s: float = 60) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def sim() -> Iterator[dict[str, Any]]:
    with venue("--seed", "11", "--fee-tier", "5") as (told, _):
        yield told


@pytest.fixture
def folder(sim: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path / "runs"))
    for name in ("a", "b"):
        text = FILE.format(mode="paper", **sim).replace('"btc"', f'"{name}"')
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "bad.toml").write_text(FILE.format(mode="dreaming", **sim))
    (tmp_path / "fleet.toml").write_text(FLEET)
    yield tmp_path
    for name in ("a", "b"):
        if pid := RunDir(tmp_path / "runs", name).holder_pid():
            os.kill(pid, signal.SIGKILL)


def running(folder: Path, name: str) -> int | None:
    """Return a bot's process once it runs."""
    run_dir = RunDir(folder / "runs", name)
    session = run_dir.read_session()
    told = session.get("pid") if session.get("state") == "running" else None
    return told if told is not None and told == run_dir.holder_pid() else None


def test_fleet_from_first_start_over_crashes_to_a_clean_stop(folder: Path, capsys: Capture) -> None:
    up = Up(folder)
    try:
        assert "dreaming" in until(lambda: up.told("bad", "refused"), "refused")[0]["reason"]
        first = until(lambda: running(folder, "a"), "a runs")
        until(lambda: running(folder, "b"), "b runs")

        # Killed, it is started again.
        os.kill(first, signal.SIGKILL)
        until(lambda: "SIGKILL" in str(up.told("a", "ended")), "its end is told")
        again = until(lambda: len(up.told("a", "started")) == 2 and running(folder, "a"), "again")
        assert again != first

        # Halted by risk and stopped, it stays down.
        for command in (["halt", "--bot", "b"], ["stop", "--bot", "b"]):
            main([*command, "--json"])
        until(lambda: [x["exit_code"] for x in up.told("b", "ended")] == [3], "b halted")

        # A second supervisor is kept out; a dead one leaves the bots running.
        assert main(["up", str(folder / "fleet.toml"), "--json"]) == 1
        assert json.loads(capsys.readouterr().err.splitlines()[-1])["error"]["code"] == "in_use"
        up.end()
        assert running(folder, "a") == again
    finally:
        up.end()

    (folder / "fleet.toml").write_text('[[bot]]\nfile = "a.toml"\n')
    up = Up(folder)
    try:
        assert until(lambda: up.told("a", "adopted"), "a is taken on")[0]["pid"] == again
        until(lambda: any(one["event"] == "state" for one in up.lines()), "a state line")
        up.process.terminate()
        assert up.process.wait(60) == 0
        last = up.lines()[-1]
        assert last["event"] == "over"
        assert [(x["bot"], x["stage"], x["exit_code"]) for x in last["bots"]] == [("a", "done", 0)]
        session = RunDir(folder / "runs", "a").read_session()
        assert (session["state"], session["open_orders"]) == ("ended", 0)
    finally:
        up.end()


def test_bad_fleet_file_is_one_clear_error(folder: Path, capsys: Capture) -> None:
    (folder / "fleet.toml").write_text('[[bot]]\nfile = "a.toml"\nrestart = "always"\n')
    assert main(["up", str(folder / "fleet.toml")]) == 2
    assert 'bot[0].restart: one of "on-failure", "never"' in capsys.readouterr().err
