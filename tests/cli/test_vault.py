"""`openmm vault`: at a terminal and in a pipe; no secret is an argument, and none is shown."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from openmm.cli.main import main
from openmm.config.keys import Keys
from openmm.config.secrets import has_keys, load_keys
from openmm.config.vault import read_vault

ROOT = Path(__file__).resolve().parent.parent.parent
Capture = pytest.CaptureFixture[str]
PASS = "a passphrase of tests"
KEY, SECRET = "kkkkEEEE1111", "c2VjcmV0LW9mLXRlc3Rz"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name a vault that is not there yet, and a file that holds its passphrase."""
    words = tmp_path / "words"
    words.write_text(PASS + "\n")
    words.chmod(0o600)
    monkeypatch.setenv("OPENMM_VAULT", str(tmp_path / "vault.json"))
    monkeypatch.setenv("OPENMM_VAULT_PASSPHRASE_FILE", str(words))
    for name in ("OPENMM_KRAKEN_KEY", "OPENMM_KRAKEN_SECRET"):
        monkeypatch.delenv(name, raising=False)
    # These tests run in the process of the suite, which stays as it is.
    for module in ("config.secrets", "config.passphrase", "undumped"):
        monkeypatch.setattr(f"openmm.{module}.keep_to_itself", lambda: None)
    return tmp_path / "vault.json"


def said(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, *args: str, lines: str = ""
) -> tuple[int, Any]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    capsys.readouterr()
    code = main(["vault", *args, "--json"])
    captured = capsys.readouterr()
    for secret in (PASS, KEY, SECRET):
        assert secret not in captured.out + captured.err
    return code, json.loads(captured.out or captured.err)


def test_vault_from_a_pipe_from_first_to_last(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, body = said(capsys, monkeypatch, "list")
    assert (code, body["error"]["code"]) == (1, "no_vault")
    assert said(capsys, monkeypatch, "init")[0] == 0
    assert not has_keys("kraken")
    code, body = said(capsys, monkeypatch, "add", "kraken", lines=f"{KEY}\n{SECRET}\n")
    assert (code, body["added"]) == (0, "kraken")
    assert said(capsys, monkeypatch, "list")[1]["labels"] == ["kraken"]
    assert said(capsys, monkeypatch, "check")[1] == {
        "vault": str(place), "good": True, "labels": ["kraken"]
    }  # fmt: skip
    code, body = said(capsys, monkeypatch, "add", "kraken", lines="x\ny\n")
    assert (code, body["error"]["code"]) == (1, "vault_exists")
    assert has_keys("kraken")
    assert load_keys("kraken") == Keys(KEY, SECRET)
    code, _ = said(capsys, monkeypatch, "rotate", lines="another passphrase\n")
    assert code == 0
    assert read_vault(place, "another passphrase") == {"kraken": Keys(KEY, SECRET)}
    code, body = said(capsys, monkeypatch, "check")
    assert (code, body["error"]["code"]) == (1, "vault_passphrase")
    Path(os.environ["OPENMM_VAULT_PASSPHRASE_FILE"]).write_text("another passphrase\n")
    assert said(capsys, monkeypatch, "remove", "kraken")[0] == 0
    code, body = said(capsys, monkeypatch, "remove", "kraken")
    assert (code, body["error"]["code"]) == (1, "no_keys")


def test_keys_of_the_vault_go_before_the_environments(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, monkeypatch, "init")
    said(capsys, monkeypatch, "add", "kraken", lines=f"{KEY}\n{SECRET}\n")
    for label in ("KRAKEN", "GATEIO"):
        monkeypatch.setenv(f"OPENMM_{label}_KEY", "of-the-environment")
        monkeypatch.setenv(f"OPENMM_{label}_SECRET", "of-the-environment")
    assert (load_keys("kraken").key, load_keys("kraken").source) == (KEY, "vault")
    # The vault has none of this label: it is not even opened.
    Path(os.environ["OPENMM_VAULT_PASSPHRASE_FILE"]).unlink()
    assert (load_keys("gateio").key, load_keys("gateio").source) == (
        "of-the-environment", "environment"
    )  # fmt: skip


def test_secret_is_no_argument(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, monkeypatch, "init")
    code, body = said(capsys, monkeypatch, "add", "kraken", "more")
    assert (code, body["error"]["code"]) == (2, "usage")


def test_at_a_terminal_secrets_are_asked_for_and_not_shown(place: Path) -> None:
    env = {name: text for name, text in os.environ.items() if "PASSPHRASE" not in name}
    env |= {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

    def run(*args: str, answers: list[tuple[str, str]]) -> str:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "openmm.cli.main", "vault", *args],
            cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        shown, waiting, deadline = "", list(answers), time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                if select.select([ours], [], [], 0.05)[0]:
                    try:
                        shown += os.read(ours, 4096).decode()
                    except OSError:  # the other end was closed
                        break
                # It turns the echo off before it asks: what is typed does not come back.
                silent = not termios.tcgetattr(ours)[3] & termios.ECHO
                if waiting and silent and shown.rstrip().endswith(waiting[0][0]):
                    os.write(ours, waiting.pop(0)[1].encode() + b"\n")
            assert process.wait(30) == 0, shown
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(ours)
        assert not waiting
        return shown

    shown = run(
        "init",
        answers=[("New passphrase of the vault:", PASS), ("Repeat for confirmation:", PASS)],
    )
    shown += run(
        "add", "bitget",
        answers=[
            ("Passphrase of the vault:", PASS), ("bitget: API key:", KEY),
            ("bitget: API secret:", SECRET), ("bitget: passphrase of the key:", "its-own"),
        ],
    )  # fmt: skip
    shown += run("list", answers=[])
    assert "bitget" in shown
    for secret in (PASS, KEY, SECRET, "its-own"):
        assert secret not in shown
    assert read_vault(place, PASS) == {"bitget": Keys(KEY, SECRET, "its-own")}
