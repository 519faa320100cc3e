"""`openmm status`, `halt`, `pause`, `resume`, `stop`: from a terminal to a running process."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.control.views import PAGE_STATES
from openmm.engine.rundir import RunDir, lock_bot

ROOT = Path(__file__).resolve().parent.parent.parent
Start = Callable[..., "subprocess.Popen[str]"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start stand-in bots under the test's run folder."""
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path))
    started: list[subprocess.Popen[str]] = []

    def begin(bot: str, exit_code: int = 0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.standin", str(tmp_path), bot, str(exit_code)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said(capsys: Capture, *args: str) -> tuple[int, Any]:
    """Run a command with --json; return its exit code and object."""
    capsys.readouterr()
    code = main([*args, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out or captured.err)


def test_status_tells_a_running_bot(start: Start, capsys: Capture) -> None:
    process = start("btc")
    code, body = said(capsys, "status")
    assert code == 0
    assert (body["bot"], body["running"], body["pid"]) == ("btc", True, process.pid)
    assert (body["page"], body["page_error"]) == ("alive", None)
    assert "config" not in body["session"]
    state = body["state"]
    assert state["risk_state"] == "running"
    assert state["reference"]["price"] == "66000.05"
    assert [venue["book"] for venue in state["venues"]] == ["verified", "broken"]
    assert state["venues"][1]["best_bid"] is None
    assert state["pnl"]["realised"] == "12.000000000"
    assert state["orders"]["asks"][0]["state"] == "unknown"
    assert state["refusals"] == {"book_unverified": 2}
    assert state["latency_ns"]["tick_to_order"]["p99_ns"] == 2_500


def test_status_text_names_what_matters(start: Start, capsys: Capture) -> None:
    start("btc")
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    for part in ("runs as process", "66000.05", "kraken-b", "broken", "book broken once", "48.00%"):
        assert part in out
    sources = [line for line in out.splitlines() if "source kraken" in line]
    assert len(sources) == 2
    for part in ("mid", "age", "basis", "weight"):
        assert all(part in line for line in sources)


def test_status_of_several_bots_is_a_table(start: Start, capsys: Capture) -> None:
    start("btc")
    start("eth")
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["bot", "btc", "eth"]
    code, body = said(capsys, "status")
    assert code == 0
    assert [one["bot"] for one in body["bots"]] == ["btc", "eth"]


def test_status_of_several_bots_exits_as_the_worst(start: Start, capsys: Capture) -> None:
    start("btc")
    dead = start("eth")
    assert main(["halt", "--bot", "btc"]) == 0
    assert said(capsys, "status")[0] == 3
    dead.kill()
    dead.wait()
    code, body = said(capsys, "status")
    assert code == 1
    assert [one["page"] for one in body["bots"]] == ["alive", "dead"]


@pytest.mark.parametrize(
    ("content", "state", "why"),
    [
        (None, "absent", "no telemetry page"),
        (b"nothing of ours", "unreadable", "telemetry page"),
        (bytes(1 << 16), "unreadable", "telemetry page"),
    ],
)
def test_status_tells_a_page_that_is_not_there_by_a_word(
    tmp_path: Path, capsys: Capture, content: bytes | None, state: str, why: str
) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    with lock_bot(run_dir):
        run_dir.write_session({"session": "s-1"})
        if content is not None:
            run_dir.page.write_bytes(content)
        code, body = said(capsys, "status", "--run-dir", str(tmp_path))
    assert (code, body["page"], body["state"]) == (1, state, None)
    assert why in body["page_error"]
    assert main(["status", "--run-dir", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"page {state} (" in out
    assert why in out


def test_states_of_a_page_stand_in_the_manual() -> None:
    table = (ROOT / "docs" / "operating.md").read_text().split("| `page` |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(PAGE_STATES)


def test_status_of_a_killed_bot_is_a_failure(start: Start, capsys: Capture) -> None:
    process = start("btc")
    process.kill()
    process.wait()
    code, body = said(capsys, "status", "--bot", "btc")
    assert code == 1
    assert (body["running"], body["page"]) == (False, "dead")
    assert body["state"]["counters"]["filled"] == 4


def test_halt_then_resume(start: Start, capsys: Capture) -> None:
    start("btc")
    code, body = said(capsys, "halt", "--reason", "news")
    assert (code, body) == (0, {"bot": "btc", "risk_state": "HALTED"})
    code, body = said(capsys, "status")
    assert code == 3
    assert (body["state"]["risk_state"], body["state"]["risk_reason"]) == ("halted", "news")
    assert said(capsys, "resume") == (0, {"bot": "btc", "risk_state": "RUNNING"})
    assert said(capsys, "status")[0] == 0


def test_pause_is_no_halt(start: Start, capsys: Capture) -> None:
    start("btc")
    assert said(capsys, "pause")[1]["risk_state"] == "PAUSED"
    assert said(capsys, "status")[0] == 0


def test_refusal_of_the_bot_is_the_commands_failure(start: Start, capsys: Capture) -> None:
    start("btc")
    code, body = said(capsys, "resume")
    assert code == 1
    assert "neither paused nor halted" in body["error"]["message"]


def test_closer_limits_are_told_back_and_stand_in_the_status(start: Start, capsys: Capture) -> None:
    start("btc")
    assert main(["tighten", "--max-orders", "3", "--max-drawdown", "1%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "btc: limits", "max_orders         3", "max_drawdown_peak  off", "max_drawdown       1%",
    ]  # fmt: skip
    assert main(["status"]) == 0
    assert "limits           max_drawdown 1%, max_orders 3\n" in capsys.readouterr().out


def test_stop_waits_for_the_end_and_tells_the_proof(start: Start, capsys: Capture) -> None:
    process = start("btc")
    assert main(["stop", "--reason", "done"]) == 0
    assert "0 orders of ours open" in capsys.readouterr().out
    assert process.wait(10) == 0
    code, body = said(capsys, "stop")
    assert code == 1
    assert body["error"]["code"] == "not_running"


def test_stop_gives_the_bots_own_exit_code(start: Start, capsys: Capture) -> None:
    start("btc", 3)
    code, body = said(capsys, "stop")
    assert (code, body["exit_code"]) == (3, 3)


def test_stop_without_proof_is_a_failure(start: Start, capsys: Capture) -> None:
    start("btc", -1)
    code, body = said(capsys, "stop")
    assert (code, body["error"]["code"]) == (1, "no_proof")


def test_bot_must_be_told_apart(start: Start, capsys: Capture) -> None:
    start("btc")
    start("eth")
    code, body = said(capsys, "halt")
    assert (code, body["error"]["code"]) == (1, "which_bot")
    assert "btc, eth" in body["error"]["message"]
    assert said(capsys, "halt", "--bot", "eth")[1]["bot"] == "eth"
    code, body = said(capsys, "halt", "--bot", "sol")
    assert (code, body["error"]["code"]) == (1, "no_bot")


def test_the_one_running_of_several_is_meant(start: Start, capsys: Capture) -> None:
    start("btc")
    dead = start("eth")
    dead.kill()
    dead.wait()
    assert said(capsys, "halt")[1]["bot"] == "btc"


def test_folder_of_a_bot_names_it(start: Start, capsys: Capture, tmp_path: Path) -> None:
    start("btc")
    start("eth")
    assert said(capsys, "halt", "--run-dir", str(tmp_path / "eth"))[1]["bot"] == "eth"


@pytest.mark.parametrize(
    "command", ["status", "halt", "pause", "resume", "tighten", "stop", "report"]
)
def test_no_bot_at_all_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path))
    assert main([command]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"openmm: no bot ever ran under {tmp_path}\n"


def test_incidents_of_a_running_bot_are_a_table_with_amount_age_and_cause(
    start: Start, capsys: Capture
) -> None:
    start("btc")
    assert main(["incidents", "btc"]) == 0
    head, row, _, text = capsys.readouterr().out.splitlines()
    assert head.split() == ["number", "state", "cause", "asset", "amount", "age"]
    assert row.split() == ["1", "open", "doubled_fill", "BTC", "-0.25", "5", "min"]
    assert text == "1: told twice"
    code, body = said(capsys, "incidents", "btc", "--all")
    assert code == 0
    assert [(one["cause"], one["state"]) for one in body["incidents"]] == [
        ("doubled_fill", "open"), ("missed_fill", "resolved"),
    ]  # fmt: skip
    assert body["open"] == 1


def test_adjustment_is_confirmed_and_takes_a_negative_amount(
    start: Start, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    start("btc")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["adjust", "btc", "BTC", "-0.25", "--why", "told twice"]) == 1
    assert "correct the books by -0.25 BTC (told twice)?" in capsys.readouterr().err
    sent = ["adjust", "btc", "BTC", "-0.25", "--why", "told twice", "--key", "k1"]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(sent) == 0
    assert capsys.readouterr().out.endswith("btc: -0.25 BTC booked; expected now 1.5\n")
    assert main([*sent, "--yes"]) == 0
    assert "had been booked before" in capsys.readouterr().out


def test_adjustment_without_a_reason_is_refused_by_the_bot(start: Start, capsys: Capture) -> None:
    start("btc")
    assert main(["adjust", "btc", "BTC", "1", "--yes", "--json"]) == 1
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert error["code"] == "bad_adjustment"
