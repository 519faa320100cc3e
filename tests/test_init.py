"""The public names of the package."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import openmm


def test_every_public_name_is_the_one_its_module_defines() -> None:
    for name, module in openmm._PUBLIC.items():
        assert getattr(openmm, name) is getattr(importlib.import_module(module), name)
        assert name in dir(openmm)


def test_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        openmm.nonsense  # noqa: B018


def test_import_loads_no_other_module_of_the_package() -> None:
    code = "import sys, openmm; print([m for m in sys.modules if m.startswith('openmm.')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_include_folder_is_that_of_the_package() -> None:
    assert (Path(openmm.get_include()) / "_fast" / "book.pxd").is_file()
