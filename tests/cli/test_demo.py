"""`openmm demo` as a user sees it: alone, at a terminal, interrupted, and when a part fails."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm.cli import demo
from openmm.cli.main import main

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "openmm.cli.main", "demo"]


def children_of(folder: Path) -> list[int]:
    """List the living processes that a demo in a folder has started, by their environment."""
    mark = f"OPENMM_DEMO={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended meanwhile, or is somebody else's
    return found


def check(body: dict[str, Any]) -> None:
    """Check what every good demo ends with."""
    assert body["ok"] is True
    assert (body["open_orders"], body["bot_exit_code"]) == (0, 0)
    session = body["report"]["session"]
    assert (session["state"], session["open_order_count"]) == ("ended", 0)
    assert body["report"]["orders"]["placed"] > 0
    for part in body["report"]["inventory"].values():
        assert Decimal(part["difference"]) == 0
    assert json.loads(Path(body["report_file"]).read_text()) == body["report"]


def test_demo_alone_ends_with_nothing_open_and_a_report(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [*COMMAND, "--seconds", "8", "--out", str(out), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    check(json.loads(done.stdout))
    assert children_of(out) == []


def test_demo_at_a_terminal_is_live_and_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    out = tmp_path / "out"
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--seconds", "600", "--out", str(out)],
        cwd=ROOT,
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, "COLUMNS": "110", "LINES": "50", "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(child)
    shown, interrupted_s = b"", 0.0
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
        if not interrupted_s and b"own ladder on the book" in shown and b"open" in shown:
            interrupted_s = time.monotonic()
            process.send_signal(signal.SIGINT)
    os.close(parent)
    assert process.wait(60) == 0, shown[-2000:]
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    for part in ("kraken-a *", "verified", "tick to order", "Ctrl+C stops", "Session demo-"):
        assert part in text
    assert "no order is open at the venue" in text
    assert re.search(r"dashboard: http://127\.0\.0\.1:\d+/ui/bot/demo  token: omm_demo_\S+", text)
    assert interrupted_s > 0
    assert (out / "report.json").exists()
    assert children_of(out) == []


def test_killed_demo_takes_its_processes_along(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*COMMAND, "--seconds", "600", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "risk running" not in process.stdout.readline():
        assert process.poll() is None
    assert len(children_of(out)) >= 3
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 90
    while children_of(out):
        assert time.monotonic() < deadline, children_of(out)


def test_demo_whose_bot_fails_tells_why_and_leaves_nothing_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "FILE", demo.FILE.replace('"3bps"', '"3"'))
    out = tmp_path / "out"
    assert main(["demo", "--seconds", "5", "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert "the bot ended with 2" in err
    assert "strategy.spread" in err
    assert children_of(out) == []


def test_demo_whose_venue_fails_tells_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "MARKET", ("nonsense=1",))
    assert main(["demo", "--seconds", "5", "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert "kraken-a did not start" in err
    assert "nonsense" in err


def test_demo_never_writes_into_a_folder_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("")
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "--out must be empty" in capsys.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["mine"]


def test_open_order_at_the_end_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant what must never be: the venue says that an order is left."""
    asked = []

    def left(rest: str, path: str) -> object:
        asked.append(path)
        return {"OABC": {"status": "open"}}

    monkeypatch.setattr(demo, "_get", left)
    assert main(["demo", "--seconds", "2", "--out", str(tmp_path / "out")]) == 1
    assert asked == ["/sim/open-orders"]
    assert "1 ORDERS ARE STILL OPEN" in capsys.readouterr().out
