"""A bot's folder and its locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from openmm.engine.rundir import RunDir, accounts_dir, bots, lock_account, lock_bot
from openmm.errors import CommandError, ConfigError
from openmm.venues.claims import Lock, holder_pid

ROOT = Path(__file__).resolve().parent.parent.parent


def test_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "a" / "b", "btc").make()
    assert run_dir.path.stat().st_mode & 0o777 == 0o700
    assert run_dir.journal.is_dir()
    assert run_dir.make() == run_dir


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "btc").write_text("")
    with pytest.raises(ConfigError, match=r"bot\.run_dir: a folder"):
        RunDir(tmp_path, "btc").make()


def test_second_engine_of_a_bot_is_refused(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    assert run_dir.holder_pid() is None
    with lock_bot(run_dir):
        assert run_dir.holder_pid() == os.getpid()
        with pytest.raises(CommandError, match=f"in use by process {os.getpid()}") as caught:
            lock_bot(run_dir)
        assert caught.value.code == "in_use"
    assert run_dir.holder_pid() is None
    with lock_bot(run_dir):
        pass


def test_lock_of_a_killed_engine_is_free(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from openmm.engine.rundir import RunDir, lock_bot\n"
        "lock = lock_bot(RunDir(Path(sys.argv[1]), 'btc'))\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    assert run_dir.holder_pid() == child.pid
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    child.stdout.close()
    assert run_dir.holder_pid() is None
    with lock_bot(run_dir):
        assert run_dir.holder_pid() == os.getpid()


def test_account_is_locked_per_venue_endpoint_and_key(tmp_path: Path) -> None:
    folder = tmp_path / "accounts"
    with lock_account("kraken", "https://api.kraken.com", "KEY", folder) as lock:
        assert "KEY" not in str(lock.path)
        with pytest.raises(CommandError, match="kraken account"):
            lock_account("kraken", "https://api.kraken.com", "KEY", folder)
        with lock_account("kraken", "https://api.kraken.com", "OTHER", folder):
            pass
        with lock_account("kraken", "http://127.0.0.1:1", "KEY", folder):
            pass


def test_account_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "accounts"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(CommandError, match="not safely ours"):
        lock_account("kraken", "x", "KEY", folder)


def test_account_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "accounts").symlink_to(tmp_path / "real")
    with pytest.raises(CommandError, match="not safely ours"):
        lock_account("kraken", "x", "KEY", tmp_path / "accounts")


def test_accounts_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert accounts_dir() == tmp_path / f"openmm-accounts-{os.getuid()}"


def test_bots_that_ever_ran_are_listed(tmp_path: Path) -> None:
    assert bots(tmp_path / "none") == []
    for name in ("b", "a"):
        with lock_bot(RunDir(tmp_path, name).make()):
            pass
    (tmp_path / "other").mkdir()
    assert [run_dir.bot for run_dir in bots(tmp_path)] == ["a", "b"]


def test_session_file_is_replaced_whole(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    assert run_dir.read_session() == {}
    run_dir.write_session({"session": "one", "pid": 1})
    run_dir.write_session({"session": "two"})
    assert run_dir.read_session() == {"session": "two"}
    run_dir.session.write_text("[1")
    with pytest.raises(CommandError, match="damaged"):
        run_dir.read_session()


def test_a_lock_that_is_only_looked_at_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    Lock(path, "it").close()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            holder_pid(path)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for one in lookers:
        one.start()
    try:
        for _ in range(300):
            Lock(path, "it").close()
    finally:
        done.set()
        for one in lookers:
            one.join()
