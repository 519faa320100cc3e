"""Put a strategy into a folder as an installed package is: a module and its entry point."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, points: Mapping[str, str], source: str,
    package: str = "mine",
) -> None:  # fmt: skip
    """Make `package` importable from a folder.

    Args:
        points: entry points of `openmm.strategies`: name, and `module:object`.
        source: of the module `package`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    rows = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[openmm.strategies]\n{rows}")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, package, raising=False)
    importlib.invalidate_caches()
