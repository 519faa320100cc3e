"""Results reach their reader or say in one line why not; packages that are missing are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.cli.output import on_terminal

Capture = pytest.CaptureFixture[str]


def test_a_full_disk_is_one_line_and_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "openmm.cli.main", "data", "list", str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "openmm: cannot print the result: No space left on device\n"


def test_output_that_is_closed_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert not on_terminal()


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
