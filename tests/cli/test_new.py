"""`openmm new strategy`: a project that is whole, and nothing that is there is written over."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.cli.new import CYTHON, KINDS, SHARED, texts
from openmm.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent.parent
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("kind", KINDS)
def test_project_is_written_with_its_entry_point_and_its_bot(
    tmp_path: Path, capsys: Capture, kind: str
) -> None:
    args = ["new", "strategy", "two-sided", "--kind", kind, "--into", str(tmp_path), "--json"]
    assert main(args) == 0
    told = json.loads(capsys.readouterr().out)
    folder = tmp_path / "two-sided"
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert told == {
        "folder": str(folder), "name": "two-sided", "kind": kind, "files": sorted(written)
    }  # fmt: skip
    assert {"README.md", "bot.toml", "tests/test_strategy.py", "bench/gate.py"} < written
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["openmm.strategies"]
    assert points == {"two-sided": "two_sided.strategy:TwoSided"}
    bot = tomllib.loads((folder / "bot.toml").read_text())
    assert bot["bot"]["mode"] == "paper"
    assert (bot["strategy"]["kind"], bot["strategy"]["name"]) == ("plugin", "two-sided")
    for path in written:
        assert "$" not in (folder / path).read_text()


def test_folder_that_is_there_is_kept(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("kept")
    assert main(["new", "strategy", "mine", "--into", str(tmp_path)]) == 2
    assert "a folder that is not there yet" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "A",
        "a_b",
        "a.b",
        "../a",
        "1a",
        "a" * 33,
        "class",
        "json",
        "openmm",
        "tests",
        # Installed ones, which it would hide.
        "numpy",
        "pytest",
    ],
)
def test_name_that_no_package_can_have_is_refused(
    tmp_path: Path, capsys: Capture, name: str
) -> None:
    assert main(["new", "strategy", "--into", str(tmp_path), "--", name]) == 2
    assert capsys.readouterr().err.startswith("openmm: name: ")
    assert not [*tmp_path.iterdir()]


def test_name_whose_class_would_hide_what_the_template_imports_is_refused() -> None:
    used = set()
    for kind in KINDS:
        for path, text in texts("two-sided", kind).items():
            if path != "setup.py" and path.endswith((".py", ".pyx", ".pyi")):
                imported = re.findall(r"^(?:from \S+ )?c?import ([^(]*?)$", text, re.M)
                imported += re.findall(r"import \(([^)]*)\)", text)
                used |= {one.strip() for row in imported for one in row.split(",")}
    classes = {one for one in used if one[:1].isupper() and not one.isupper()} - {"TwoSided"}
    assert {"Quotes", "View", "Strategy", "MarketView", "Gate", "Path"} <= classes
    for one in classes | {"None", "True", "False"}:
        name = re.sub(r"(?<=.)([A-Z])", r"-\1", one).lower()
        with pytest.raises(ConfigError, match="neither Python's own nor of this project"):
            texts(name, "python")


def test_kind_and_folder_that_are_none_are_refused(tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(ConfigError, match='"python" or "cython"'):
        texts("mine", "rust")
    assert main(["new", "strategy", "mine", "--into", str(tmp_path / "gone")]) == 2
    assert "a folder to write to" in capsys.readouterr().err


def test_cython_is_the_one_that_the_kernels_were_built_with() -> None:
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert f"cython=={CYTHON}" in requires


def test_every_template_is_used_and_is_in_the_package() -> None:
    there = {path.name for path in (ROOT / "openmm" / "cli" / "templates").iterdir()}
    used = {*SHARED, *(name for kind in KINDS.values() for name in kind)}
    assert there == {f"{name}.tmpl" for name in used}
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert data["package-data"]["openmm.cli"] == ["templates/*"]
