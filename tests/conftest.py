"""Shared fixtures: where the recorded market data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded data; skip without it, fail if it is required."""
    path = Path(os.environ.get("OPENMM_SHARED", ROOT.parent / "shared"))
    if (path / "data").is_dir() and (path / "venues" / "samples").is_dir():
        return path
    reason = f"recorded data is absent: {path}"
    if os.environ.get("OPENMM_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
