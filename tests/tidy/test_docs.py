"""The pages tell the truth: links resolve, code runs, targets exist, promises have tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from openmm.cli.main import app
from tests.tidy import rules
from tests.tidy.tree import ROOT, files, run, text

PAGES = [p for p in files() if p.suffix == ".md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(text(page)) if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    offences = list(rules.links_resolve(page, text(page), ROOT))
    assert not offences, "\n" + "\n".join(offences)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=str)
def test_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page, "python")))
    done = run(str(script), module=False)
    assert done.returncode == 0, done.stderr


def test_toml_of_pages_parses() -> None:
    for page in PAGES:
        for body in blocks(page, "toml"):
            assert tomllib.loads(body), page


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_make_targets_of_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text(Path("Makefile")), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)(?:\w+=\S+ )*make ([a-z]+)", text(page), re.MULTILINE))
    assert named <= targets


def test_commands_of_pages_exist() -> None:
    commands = typer.main.get_command(app)
    assert isinstance(commands, TyperGroup)
    for page in PAGES:
        for name, sub in re.findall(
            r"(?:^|`|\$ )openmm ([a-z]+)(?: ([a-z]+)\b(?!\.))?", text(page), re.MULTILINE
        ):
            assert name in commands.commands, f"{page}: openmm {name}"
            group = commands.commands[name]
            if isinstance(group, TyperGroup) and sub:
                assert sub in group.commands, f"{page}: openmm {name} {sub}"


@pytest.mark.timeout(120)
def test_every_promise_names_a_test_that_exists() -> None:
    page = Path("docs/promises.md")
    done = run("pytest", "--collect-only", "-q", "tests")
    assert done.returncode == 0, done.stdout
    collected = frozenset(line.strip() for line in done.stdout.splitlines() if "::" in line)
    offences = list(rules.promises_kept(page, text(page), collected))
    assert not offences, "\n" + "\n".join(offences)


def test_every_page_is_linked_from_the_first() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)", text(Path("README.md"))))
    assert linked == {str(page) for page in PAGES if page.parts[0] == "docs"}


def test_every_file_of_the_engine_stands_in_its_table() -> None:
    table = (
        text(Path("docs/architecture.md")).split("## The engine, file by file")[1].split("\n## ")[0]
    )
    rows = "\n".join(re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE))
    named = re.findall(r"`([a-z_]+\.pyx?)`", rows)
    engine = {p.name for p in files() if p.parts[:2] == ("openmm", "engine")}
    assert sorted(named) == sorted(n for n in engine if re.fullmatch(r"[a-z]+\.pyx?", n))
