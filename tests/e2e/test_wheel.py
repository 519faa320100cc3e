"""The wheel installs into an empty environment, works there, and can be built upon in Cython."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

USER_PYX = """
from openmm._fast.book cimport Book


def spread_ticks(Book book):
    return book.best_ask_ticks - book.best_bid_ticks
"""
USER_SETUP = """
import openmm
from Cython.Build import cythonize
from setuptools import Extension, setup

extension = Extension("theirs", ["theirs.pyx"], include_dirs=[openmm.get_include()])
setup(name="theirs", ext_modules=cythonize([extension], language_level=3))
"""
USER_MAIN = """
from openmm._fast.book import Book
import theirs
print("cimported")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run to the end outside of the checkout; fail with the output."""
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OPENMM_", "VIRTUAL"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and from it the wheel, as `python -m build` does."""
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
    run(*build, "--sdist", ROOT, cwd=folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    # What the checkout has translated and compiled already is taken over; sources decide what is
    # stale by their times, which the archive keeps.
    for made in (ROOT / "build").glob("normal-*"):
        shutil.copytree(made, unpacked / "build" / made.name)
    run(*build, "--wheel", unpacked, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and its dependencies into an empty environment; return its interpreter."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel, cwd=folder)
    return python


def test_wheel_ships_sources_and_stubs_and_nothing_generated(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    kernels = [n.removesuffix(".pyx") for n in names if n.endswith(".pyx")]
    assert "openmm/_fast/book" in kernels
    for kernel in kernels:
        assert {f"{kernel}.pxd", f"{kernel}.pyi"} <= set(names)
        assert any(n.startswith(kernel + ".") and n.endswith(".so") for n in names)
    assert "openmm/py.typed" in names
    assert "openmm/_fast/__init__.pxd" in names
    assert not [n for n in names if n.endswith((".c", ".html"))]
    assert not [n for n in names if not n.startswith(("openmm/", "openmm_engine-"))]


def test_installed_wheel_imports_its_kernels(installed: Path, tmp_path: Path) -> None:
    out = run(installed, "-c", "import openmm._fast.book as b; print(b.__file__)", cwd=tmp_path)
    assert str(installed.parent.parent) in out


def test_installed_wheel_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    command = installed.parent / "openmm"
    out = run(command, "demo", "--seconds", "5", "--out", tmp_path, "--json", cwd=tmp_path)
    end = json.loads(out)
    assert end["ok"]
    assert end["open_orders"] == 0
    assert end["report"]


def test_user_extension_cimports_the_book_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    requires = ("cython==3.3.1", "setuptools>=80")
    run(
        installed,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        *requires,
        cwd=tmp_path,
    )
    (tmp_path / "theirs.pyx").write_text(USER_PYX)
    (tmp_path / "setup.py").write_text(USER_SETUP)
    (tmp_path / "main.py").write_text(USER_MAIN)
    run(installed, "setup.py", "-q", "build_ext", "--inplace", cwd=tmp_path)
    assert run(installed, "main.py", cwd=tmp_path) == "cimported\n"
