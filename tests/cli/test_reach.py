"""The commands that talk to a venue, against each simulated one over real sockets."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.config.schema import VENUES
from openmm.sim.options import SimOptions
from openmm.sim.server import build_core
from openmm.venues.capture import CaptureWriter, read_frames

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@contextmanager
def served(venue: str) -> Iterator[dict[str, str]]:
    """Run a simulated venue as a process; give what its start line told."""
    with subprocess.Popen(
        [sys.executable, "-m", "openmm.cli.main", "sim", venue, "--seed", "3"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def until(good: Callable[[], bool]) -> None:
    """Wait for another process, a minute at most."""
    deadline = time.monotonic() + 60
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def ask(capsys: Capture, *args: str) -> dict[str, Any]:
    """Run a command with --json; return its object."""
    assert main([*args, "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("venue", VENUES)
def test_questions_checks_and_recording(
    venue: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(venue) as told:
        pair, rest = str(told["instrument"]), ["--rest", str(told["rest"])]
        for name in ("api_key", "api_secret", "passphrase"):
            variable = f"OPENMM_{venue.upper()}_{name.removeprefix('api_').upper()}"
            monkeypatch.setenv(variable, str(told.get(name, "unused")))
        book = ask(capsys, "orderbook", venue, pair, "--depth", "3", *rest)
        assert len(book["bids"]) == len(book["asks"]) == 3
        ticker = ask(capsys, "ticker", venue, pair, *rest)
        assert float(ticker["bid"]) < float(ticker["ask"])
        balances = ask(capsys, "balance", venue, *rest)["balances"]
        assert set(balances) == set(pair.split("/"))
        assert ask(capsys, "orders", venue, *rest)["orders"] == []
        # Trades come with time; a capture takes some of it.
        out = tmp_path / "feed.cbcap.zst"
        done = ask(
            capsys, "record", venue, pair, "--out", str(out), "--for", "3s", *rest,
            "--ws", str(told["ws"]),
        )  # fmt: skip
        assert done["frames"] > 3
        assert done["losses"] == 0
        found = ask(capsys, "trades", venue, pair, *rest)["trades"]
        assert found
        assert ask(capsys, "ohlcv", venue, pair, *rest)["candles"][-1]["closed"] is False
        checked = ask(
            capsys, "doctor", venue, *rest, "--ws", str(told["ws"]), "--ws-auth",
            str(told["ws_auth"]),
        )  # fmt: skip
        assert checked["good"] is True
        assert {"rest", "ws public connect"} <= set(checked["latency"])
        for command in (["ticker"], ["orderbook"], ["trades"], ["ohlcv"]):
            assert main([*command, venue, pair, *rest]) == 0
            assert capsys.readouterr().out.count("\n") >= 2
        streams = ["--ws", str(told["ws"]), "--ws-auth", str(told["ws_auth"])]
        assert main(["doctor", venue, *rest, *streams]) == 0
        assert "may withdraw" in capsys.readouterr().out
    verified = ask(capsys, "verify", "--venue", venue, str(out))
    assert verified["book_updates"] > 0
    assert verified["errors"] == verified["crossed"] == verified["checksums_failed"] == 0
    again = build_core(SimOptions(venue=venue, replay=out), 0)
    assert again.depth(pair, 0, 3)
    assert again.depth(pair, 1, 3)


def test_doctor_refuses_a_key_that_is_wrong(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served("kraken") as told:
        args = ["doctor", "kraken", "--rest", str(told["rest"]), "--ws", str(told["ws"]),
                "--ws-auth", str(told["ws_auth"])]  # fmt: skip
        monkeypatch.setenv("OPENMM_KRAKEN_KEY", "nobody")
        monkeypatch.setenv("OPENMM_KRAKEN_SECRET", str(told["api_secret"]))
        assert main([*args, "--json"]) == 1
        rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}
        assert rows["keys"]["verdict"] == "failed"
        assert "check key" in rows["keys"]["text"]


def test_recording_is_readable_while_it_grows_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    out = tmp_path / "feed.zst"
    with served("kraken") as told, subprocess.Popen(
        [
            sys.executable, "-m", "openmm.cli.main", "record", "kraken", "BTC/USD", "--out",
            str(out), "--rest", str(told["rest"]), "--ws", str(told["ws"]), "--json",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        # The file that still grows is readable.
        until(lambda: out.exists() and sum(1 for _ in read_frames(out)) >= 5)
        os.kill(process.pid, signal.SIGINT)
        text, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        done = json.loads(text)
    whole = list(read_frames(out))
    assert len(whole) == done["frames"]
    assert sum(len(frame.data) for frame in whole) == done["bytes"]
    assert [frame.recv_ns for frame in whole] == sorted(frame.recv_ns for frame in whole)


def test_writer_keeps_frames_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    frames = [(10, b"one\ntwo"), (11, b""), (11, bytes(range(256)))]
    with CaptureWriter(path, "kraken", "BTC/USD", 9) as writer:
        for recv_ns, data in frames:
            writer.write(data, recv_ns)
        assert writer.frame_count == 3
    assert [(one.recv_ns, one.data) for one in read_frames(path)] == frames


def test_capture_that_was_cut_off_is_read_to_its_last_whole_frame(tmp_path: Path) -> None:
    path, cut = tmp_path / "a.zst", tmp_path / "cut.zst"
    noise = [random.Random(index).randbytes(200) for index in range(40)]
    with CaptureWriter(path, "kraken", "BTC/USD", 9) as writer:
        for index, data in enumerate(noise):
            if index == 20:
                writer.flush()
                flushed = path.stat().st_size
            writer.write(data, index + 1)
    whole = path.read_bytes()
    for size in (flushed, flushed + 7, len(whole) - 40):
        cut.write_bytes(whole[:size])
        left = [frame.data for frame in read_frames(cut)]
        assert left == noise[: len(left)]
        assert len(left) >= 20


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["ticker", "nowhere", "BTC/USD"], "nowhere"),
        (["ohlcv", "kraken", "BTC/USD", "--interval", "7"], "--interval"),
        (["ohlcv", "kraken", "BTC/USD", "--interval", "²m"], "--interval"),
        (["orderbook", "kraken", "BTC/USD", "--depth", "0"], "--depth"),
        (["trades", "kraken", "BTC/USD", "--option", "x"], "--option"),
        (["record", "kraken", "BTC/USD", "--out", "."], "--out"),
        (["balance", "kraken"], "OPENMM_KRAKEN_KEY"),
    ],
)
def test_bad_usage_is_told_with_exit_code_2(
    args: list[str], told: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEY", "SECRET"):
        monkeypatch.delenv(f"OPENMM_KRAKEN_{name}", raising=False)
    assert main(args) == 2
    assert told in capsys.readouterr().err


def test_no_answer_is_exit_code_1_and_a_typed_error(capsys: Capture) -> None:
    assert main(["ticker", "kraken", "BTC/USD", "--rest", "http://127.0.0.1:9", "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "transport"
