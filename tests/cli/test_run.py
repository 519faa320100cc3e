"""`openmm run` against a simulated venue: a clean run, an operator's commands, and refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from tests.cli.processes import ROOT, get, venue

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
FILE = """\
[bot]
name = "btc"
mode = "{mode}"
run_dir = "runs"
[[venue]]
name = "kraken"
quote = "BTC/USD"
account = "dedicated"
endpoints = {{ ws = "{ws}", ws_auth = "{ws_auth}", rest = "{rest}" }}
[strategy]
kind = "grid"
spread = "0.5%"
order_amount = "0.01"
num_orders = 3
rebalance_threshold = "40%"
[risk]
max_order_size = "0.05"
max_open_notional = "20000"
max_inventory = "0.5"
max_drawdown = "2%"
"""


@pytest.fixture(scope="module")
def sim() -> Iterator[dict[str, Any]]:
    with venue("--seed", "11", "--fee-tier", "5") as (told, _):
        yield told


@pytest.fixture
def file(sim: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENMM_KRAKEN_KEY", sim["api_key"])
    monkeypatch.setenv("OPENMM_KRAKEN_SECRET", sim["api_secret"])
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path / "runs"))
    path = tmp_path / "bot.toml"
    path.write_text(FILE.format(mode="live", **sim))
    return path


@contextmanager
def running(file: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "openmm.cli.main", "run", str(file), *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        process.stdout.close()
        process.stderr.close()


def said(capsys: Capture, *args: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = main([*args, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out or captured.err)


def test_run_for_a_while_ends_by_itself_with_nothing_open(file: Path, sim: dict[str, Any]) -> None:
    with running(file, "--for", "6s", "--json") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    body = json.loads(out)
    assert (body["bot"], body["exit_code"], body["open_orders"]) == ("btc", 0, 0)
    assert get(sim["rest"], "/sim/open-orders") == {}
    log = (file.parent / "runs" / "btc" / "log").read_text()
    assert "quoting BTC/USD" in log
    assert sim["api_secret"] not in log


def test_operator_halts_resumes_and_stops_a_running_bot(
    file: Path, sim: dict[str, Any], capsys: Capture
) -> None:
    with running(file) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        while "orders 3+3" not in line:
            assert process.poll() is None
            line = process.stdout.readline()
        assert len(get(sim["rest"], "/sim/open-orders")) == 6
        code, body = said(capsys, "halt", "--reason", "test")
        assert (code, body["risk_state"]) == (0, "HALTED")
        while get(sim["rest"], "/sim/open-orders"):
            assert process.poll() is None
        assert said(capsys, "status")[0] in (0, 3)
        code, body = said(capsys, "resume")
        assert (code, body["risk_state"]) == (0, "RUNNING")
        while len(get(sim["rest"], "/sim/open-orders")) < 6:
            assert process.poll() is None
        code, body = said(capsys, "run", str(file))
        assert (code, body["error"]["code"]) == (1, "in_use")
        said(capsys, "halt")
        code, body = said(capsys, "stop")
        assert (code, body["exit_code"], body["open_orders"]) == (3, 3, 0)
        process.communicate(timeout=60)
        assert process.returncode == 3
    assert get(sim["rest"], "/sim/open-orders") == {}
    code, body = said(capsys, "report")
    assert (code, body["session"]["state"]) == (0, "ended")
    assert body["orders"]["placed"] >= 12


def test_sigterm_stops_a_bot_in_order(file: Path, sim: dict[str, Any]) -> None:
    with running(file) as process:
        assert process.stdout is not None
        while "orders 3+3" not in process.stdout.readline():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=90)
        assert process.returncode == 0
    assert get(sim["rest"], "/sim/open-orders") == {}


def test_second_signal_ends_a_stopping_bot_at_once(file: Path) -> None:
    with venue("--seed", "12", "--fee-tier", "5") as (sim, its):
        file.write_text(FILE.format(mode="live", **sim))
        with running(file) as process:
            assert process.stdout is not None
            while "orders 3+3" not in process.stdout.readline():
                assert process.poll() is None
            # The venue stops answering: a clean stop has to wait for it.
            its.send_signal(signal.SIGSTOP)
            try:
                os.kill(process.pid, signal.SIGINT)
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(1)
                os.kill(process.pid, signal.SIGINT)
                assert process.wait(5) == 1
            finally:
                its.send_signal(signal.SIGCONT)
        # What may be left is for the dead-man's switch, or for the next start.
        with running(file, "--for", "1s") as process:
            process.communicate(timeout=90)
            assert process.returncode == 0
        assert get(sim["rest"], "/sim/open-orders") == {}


def test_busy_polling_bot_trades_and_stops_in_order(file: Path, sim: dict[str, Any]) -> None:
    with file.open("a") as out:
        out.write("[engine]\nbusy_poll = true\nlock_memory = true\nkeep_awake = true\n")
        out.write("quickack = false\n")
    with running(file) as process:
        assert process.stdout is not None
        while "orders 3+3" not in process.stdout.readline():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=90)
        assert process.returncode == 0
    assert get(sim["rest"], "/sim/open-orders") == {}
    log = (file.parent / "runs" / "btc" / "log").read_text()
    assert "asyncio's own loop runs" not in log


def test_paper_bot_needs_no_keys_and_reaches_no_order_endpoint(
    file: Path, sim: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENMM_KRAKEN_KEY")
    monkeypatch.delenv("OPENMM_KRAKEN_SECRET")
    told = sim | {"ws_auth": "ws://127.0.0.1:1"}
    file.write_text(FILE.format(mode="paper", **told))
    with running(file, "--for", "8s", "--json") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["mode"] == "paper"
    assert get(sim["rest"], "/sim/open-orders") == {}


@pytest.mark.parametrize(
    ("name", "value", "code", "told"),
    [
        ("OPENMM_KRAKEN_KEY", "wrong", 1, "Invalid key"),
        ("OPENMM_KRAKEN_SECRET", "d3Jvbmc=", 1, "Invalid signature"),
        ("OPENMM_KRAKEN_SECRET", "not base64", 2, "printable ASCII"),
    ],
)
def test_wrong_key_or_secret_is_one_clear_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: int, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with running(file, "--json") as process:
        out, err = process.communicate(timeout=90)
    assert (process.returncode, out) == (code, "")
    assert told in json.loads(err)["error"]["message"]
    assert value not in err or value == "wrong"


def test_venue_that_is_not_there_is_one_clear_line(file: Path) -> None:
    text = re.sub(r'rest = "http://127.0.0.1:\d+"', 'rest = "http://127.0.0.1:1"', file.read_text())
    file.write_text(text)
    with running(file) as process:
        _, err = process.communicate(timeout=90)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert "127.0.0.1:1" in err


def test_grid_impossible_with_the_account_fees_is_refused(file: Path) -> None:
    file.write_text(file.read_text().replace("0.5%", "0.1%"))
    with running(file) as process:
        _, err = process.communicate(timeout=90)
    assert process.returncode == 2
    assert "strategy.spread: at least 0.16%" in err


def test_check_asks_the_venue_for_steps_price_and_the_account_fees(
    file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, body = said(capsys, "check", str(file))
    assert code == 0
    assert body["instrument"]["tick_size"] == "0.1"
    assert body["instrument"]["maker_fee_ppm"] == 800
    assert len(body["ladder"]["bids"]) == 3
    best = [float(body["ladder"][side][0]["price"]) for side in ("bids", "asks")]
    assert best[0] < float(body["mid"]) < best[1]
    monkeypatch.delenv("OPENMM_KRAKEN_KEY")
    monkeypatch.delenv("OPENMM_KRAKEN_SECRET")
    code, body = said(capsys, "check", str(file))
    assert (code, body["instrument"]["maker_fee_ppm"]) == (0, 2_500)


def test_check_refuses_what_the_venue_makes_impossible(file: Path, capsys: Capture) -> None:
    text = file.read_text().replace('order_amount = "0.01"', 'order_amount = "0.00001"')
    file.write_text(text.replace("0.5%", "0.1%"))
    code, body = said(capsys, "check", str(file))
    assert code == 2
    assert [one["path"] for one in body["error"]["errors"]] == [
        "strategy.order_amount",
        "strategy.spread",
        "strategy.order_amount",
    ][: len(body["error"]["errors"])]
