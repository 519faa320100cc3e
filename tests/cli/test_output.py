"""Results reach their reader or say in one line why not; packages that are missing are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmm.cli.main import main

Capture = pytest.CaptureFixture[str]


def test_a_full_disk_is_one_line_and_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "openmm.cli.main", "data", "list", str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "openmm: cannot print the result: No space left on device\n"


@pytest.mark.parametrize(
    ("closing", "closed"), [("<&-", "0"), (">&-", "1"), ("2>&-", "2"), ("<&- >&- 2>&-", "012")]
)
def test_a_closed_standard_stream_fails_nothing_and_gets_no_file(
    closing: str, closed: str, tmp_path: Path
) -> None:
    code = """
import os, sys
from pathlib import Path
from openmm.cli.main import main
done = main(["compare", *sys.argv[2:], "--regime", "calm", "--seconds", "5"])
streams = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
Path(sys.argv[1]).write_text(f"{done} {' '.join(streams)}")
"""
    told, said = tmp_path / "told", tmp_path / "said"
    bot = Path(__file__).resolve().parents[2] / "examples" / "bots" / "grid.toml"
    with said.open("w+") as open_:
        subprocess.run(
            ["bash", "-c", f'exec "$@" {closing}', "", sys.executable, "-c", code, told, bot],
            stdin=open_, stdout=open_, stderr=open_, timeout=60, check=False,
        )  # fmt: skip
    done, *streams = told.read_text().split()
    assert done == "0", said.read_text()
    assert streams == [os.devnull if str(n) in closed else str(said) for n in range(3)]


@pytest.mark.parametrize(
    ("package", "arguments", "told"),
    [
        ("numpy", ["backtest", "a.toml"], "a backtest needs"),
        ("numpy", ["drift"], "drift needs"),
        ("numpy", ["data", "list"], "market data needs"),
        ("pyarrow", ["data", "import", "a.npz"], "data import needs"),
        ("pyarrow", ["data", "export", "a.omd"], "data export needs"),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    package: str, arguments: list[str], told: str, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert told in error
    assert f"({package}): pip install 'openmm-engine[research]'" in error
