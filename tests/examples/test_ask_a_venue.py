"""The example that talks to a venue by hand runs on every simulated one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openmm.config.schema import VENUES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("venue", VENUES)
def test_example_asks_streams_places_and_cancels(venue: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "ask_a_venue.py"), venue],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified book" in done.stdout
    assert "open: ['t-by-hand']" in done.stdout
    assert "cancelled: 1" in done.stdout
    assert "minimum (retryable: False): raise quantity" in done.stdout
