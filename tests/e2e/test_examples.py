"""What stands in `examples/` runs, as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.programs import ROOT

pytestmark = pytest.mark.slow


def python(*args: str, cwd: Path) -> str:
    """Run to the end with the checkout's package; fail with the output."""
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_embedded_engine_trades_within_another_program(tmp_path: Path) -> None:
    out = python(str(ROOT / "examples" / "embed.py"), cwd=tmp_path)
    told = re.fullmatch(r"(\d+) orders, (\d+) fills, ([+-]\d+\.\d{4}) USD\n", out)
    assert told is not None, out
    assert int(told[1]) >= 2
    assert int(told[2]) >= 1
    assert Decimal(told[3]) != 0


def test_embedding_takes_about_thirty_lines() -> None:
    source = (ROOT / "examples" / "embed.py").read_text().splitlines()
    code = [one for one in source if one.strip() and not one.lstrip().startswith(('"""', "#"))]
    assert len(code) <= 36


def test_users_kernel_cimports_the_book(tmp_path: Path) -> None:
    folder = tmp_path / "cython_book"
    shutil.copytree(ROOT / "examples" / "cython_book", folder)
    python("setup.py", "-q", "build_ext", "--inplace", cwd=folder)
    readme = (folder / "README.md").read_text()
    (told,) = re.findall(r"```py\n(.*?)```", readme, re.DOTALL)
    assert python("-c", told, cwd=folder) == "333333\n"
