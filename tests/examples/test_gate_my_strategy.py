"""The example that gates an own strategy runs, and its gates hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_example_measures_its_three_gates_and_passes() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "gate_my_strategy.py")],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "mine/time_over_grid", "mine/messages_per_1000_frames", "mine/instructions_per_frame",
    ]  # fmt: skip
    assert all(line.endswith(" ok") for line in lines)
