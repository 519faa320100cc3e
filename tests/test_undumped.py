"""A process that holds keys leaves no core, and others of its user cannot read it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openmm.undumped import environment_of_child

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65_534
# Gives up root, where it is root, after everything is imported: the interpreter may be out of the
# plain user's reach. The kernel makes a process that did so undumpable: that is undone first.
HOLDER = """
import ctypes, os, resource, socket, sys
from pathlib import Path
from openmm.config.secrets import load_keys
from openmm.undumped import keeps_to_itself
from openmm.engine.door import at_folder
here = Path(sys.argv[1])
with socket.socket(socket.AF_UNIX) as line, at_folder(here / "door") as name:
    if os.getuid() == 0 and sys.argv[2] == "plain":
        os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    assert not keeps_to_itself()
    print("open", flush=True)
    sys.stdin.readline()
    load_keys("kraken")
    assert keeps_to_itself()
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    line.bind(name)
    line.listen()
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(name)
    print("shut", flush=True)
    sys.stdin.readline()
"""
READER = """
import os, sys
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
for name in ("environ", "maps", "auxv"):
    try:
        with open(f"/proc/{sys.argv[1]}/{name}", "rb") as file:
            print(name, len(file.read()) > 0)
    except PermissionError:
        print(name, "denied")
"""


def holder(folder: Path, user: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), user],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OPENMM_KRAKEN_KEY": "k", "OPENMM_KRAKEN_SECRET": "s"},
    )  # fmt: skip


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def read_by_another_process(pid: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(pid)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_memory_and_environment_are_shut_and_the_door_opens(tmp_path: Path) -> None:
    """The door names its socket by `/proc/self/fd`: that works on, for a plain user too."""
    if os.getuid() == 0:
        os.chown(tmp_path, NOBODY, -1)
    process = holder(tmp_path, "plain")
    try:
        assert said(process) == "open\n"
        assert read_by_another_process(process.pid) == ["environ True", "maps True", "auxv True"]
        go_on(process)
        assert said(process) == "shut\n"
        denied = ["environ denied", "maps denied", "auxv denied"]
        assert read_by_another_process(process.pid) == denied
    finally:
        end(process)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_crash_leaves_no_core(tmp_path: Path, number: signal.Signals) -> None:
    process = holder(tmp_path, "same")
    try:
        assert said(process) == "open\n"
        go_on(process)
        assert said(process) == "shut\n"
        process.send_signal(number)
        # Reaped by hand: the status says whether the kernel wrote a core, wherever it puts them.
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == number
        assert not os.WCOREDUMP(status)
    finally:
        end(process)


def test_children_get_no_secret_and_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("OPENMM_KRAKEN_KEY", "OPENMM_GATEIO_B_SECRET", "OPENMM_BITGET_PASSPHRASE",
               "OPENMM_VAULT_PASSPHRASE_FD")  # fmt: skip
    kept = ("OPENMM_RUN_DIR", "OPENMM_VAULT_PASSPHRASE_FILE", "MONKEY", "OPENMM_KEYS")
    for name in (*secrets, *kept):
        monkeypatch.setenv(name, "x")
    environment = environment_of_child()
    assert [name for name in secrets if name in environment] == []
    assert [name for name in kept if name not in environment] == []
    assert environment["PATH"] == os.environ["PATH"]
