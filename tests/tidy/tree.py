"""The tree under test: its files, its modules, and the code of a source without its comments."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ("openmm", "tests", "bench", "examples")  # folders of Python
TEXT_SUFFIXES = frozenset(
    ("", ".py", ".pyx", ".pxd", ".pyi", ".h", ".toml", ".md", ".sh", ".txt", ".in", ".yml", ".supp")
)


@cache
def files() -> tuple[Path, ...]:
    """List the files of the checkout that git tracks or would track, relative to its root."""
    if not (ROOT / ".git").exists():
        raise AssertionError("the tidy tests need a git checkout")
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted(Path(p) for p in set(out.split("\0")) if p and (ROOT / p).is_file()))


def under(*folders: str, suffixes: tuple[str, ...]) -> list[Path]:
    """List files below `folders` that end in one of `suffixes`."""
    return [p for p in files() if p.parts[0] in folders and p.suffix in suffixes]


def text_files() -> list[Path]:
    """List every file that people read."""
    return [p for p in files() if p.suffix in TEXT_SUFFIXES]


def text(path: Path) -> str:
    """Read a file of the tree."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def load_setup() -> ModuleType:
    """Load `setup.py` for its list of extension modules, without running it."""
    spec = importlib.util.spec_from_file_location("openmm_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kernels() -> list[str]:
    """List the compiled modules in pipeline order."""
    return list(load_setup().MODULES)


def module_of(path: Path) -> str:
    """Name the module that a source file holds: `openmm/_fast/book.pxd` -> `openmm._fast.book`."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def code_of(source: str) -> list[str]:
    """Return the lines of a Python or Cython source with comments and texts blanked out."""
    lines = [list(line) for line in source.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (tokenize.COMMENT, tokenize.STRING):
            continue
        (row, col), (end_row, end_col) = token.start, token.end
        for index in range(row, end_row + 1):
            line = lines[index - 1]
            first = col if index == row else 0
            last = end_col if index == end_row else len(line)
            line[first:last] = " " * (last - first)
    return ["".join(line) for line in lines]


def run(*command: str, path: Path = ROOT, module: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a tool (or a script) of this environment in `path`, by default the root of the tree."""
    tools = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    places = {"PATH": tools, "PYTHONPATH": str(path), "MYPYPATH": str(path), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *(["-m"] if module else []), *command],
        cwd=path,
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
    )
