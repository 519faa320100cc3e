"""The tools of the house pass over the whole tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, SOURCES, kernels, run, under

FOLDERS = [folder for folder in SOURCES if (ROOT / folder).is_dir()]

# What Cython adds to every extension and no stub declares.
STUBTEST_ALLOWED = (
    r".*\.__pyx_capi__",
    r".*\.__test__",
    r".*\.__(reduce|setstate)_cython__",
)


def passes(*command: str) -> None:
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def test_python_is_formatted() -> None:
    passes("ruff", "format", "--check", ".")


def test_python_is_lint_free() -> None:
    passes("ruff", "check", ".")


def test_python_is_typed() -> None:
    passes("mypy", "--strict", *FOLDERS)


def test_kernels_are_lint_free() -> None:
    sources = under(*SOURCES, suffixes=(".pyx", ".pxd"))
    assert sources
    passes("cython_lint.cython_lint", "--max-line-length", "140", *map(str, sources))


def test_stubs_tell_the_truth(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist"
    allowlist.write_text("\n".join(STUBTEST_ALLOWED))
    built = [
        name for name in kernels() if (ROOT / Path(*name.split("."))).with_suffix(".pyx").exists()
    ]
    passes("mypy.stubtest", "--allowlist", str(allowlist), "--ignore-unused-allowlist", *built)


@pytest.mark.parametrize(
    ("command", "source"),
    [
        (("ruff", "format", "--check"), "x = {  'a':1 }\n"),
        (("ruff", "check"), "import os\n"),
        (("mypy", "--strict"), "def f(x):\n    return x\n"),
    ],
)
def test_tool_catches_a_bad_sample(command: tuple[str, ...], source: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(source)
    assert run(*command, str(bad)).returncode == 1


def test_stubtest_catches_a_stub_that_lies(tmp_path: Path) -> None:
    (tmp_path / "liar.py").write_text('"""M."""\n\n\ndef f(x: int) -> int:\n    return x\n')
    (tmp_path / "liar.pyi").write_text("def f(x: int, y: int) -> int: ...\n")
    done = run("mypy.stubtest", "liar", path=tmp_path)
    assert done.returncode == 1
    assert "is inconsistent" in done.stdout


def test_cython_lint_catches_a_bad_sample(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pyx"
    bad.write_text("import os\ncdef int f():\n    cdef int unused = 1\n    return 2\n")
    assert run("cython_lint.cython_lint", str(bad)).returncode == 1
