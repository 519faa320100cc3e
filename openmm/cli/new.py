"""`openmm new`: start something of one's own from a template."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Final

import typer

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.errors import ConfigError

EXAMPLE = "Example: openmm new strategy my-maker --kind python"

# The translator that the kernels were built with: as in pyproject.toml.
CYTHON: Final = "3.3.1"
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
TAKEN: Final = frozenset({"openmm", "tests", "bench", "strategy"})
# What the templates import and Python's own words: a class of that name would hide them.
TAKEN_CLASSES: Final = frozenset(
    {
        "False", "Gate", "Instrument", "Ladder", "Mapping", "MarketView", "None", "Path", "Quotes",
        "Strategy", "True", "View", "WorkloadSpec",
    }
)  # fmt: skip
# Template, and where what is made of it goes; $module is the package's folder.
SHARED: Final = {
    "bot.toml": "bot.toml", "init.py": "$module/__init__.py",
    "test_strategy.py": "tests/test_strategy.py", "gate.py": "bench/gate.py",
}  # fmt: skip
KINDS: Final[dict[str, dict[str, str]]] = {
    "python": {
        "pyproject-python.toml": "pyproject.toml", "readme-python.md": "README.md",
        "strategy-python.py": "$module/strategy.py",
    },
    "cython": {
        "pyproject-cython.toml": "pyproject.toml", "readme-cython.md": "README.md",
        "setup-cython.py": "setup.py", "strategy-cython.pyx": "$module/strategy.pyx",
        "strategy-cython.pyi": "$module/strategy.pyi",
    },
}  # fmt: skip
# Instructions of a call that a new strategy may cost: the template's own cost 16,268 and 507.
BUDGET: Final = {"python": "30_000", "cython": "1_000"}

app = typer.Typer(
    help="Start something of your own from a template.", epilog=EXAMPLE, rich_markup_mode=None
)


@app.callback()
def group() -> None:
    """Start something of your own from a template."""


@app.command("strategy", epilog=EXAMPLE)
def strategy(
    name: Annotated[
        str, typer.Argument(help="Name of package and entry point: a-z, 0-9 and -, from a letter.")
    ],
    kind: Annotated[
        str, typer.Option("--kind", help="python, or cython: asked in C, on the hot path.")
    ] = "python",
    into: Annotated[Path, typer.Option("--into", help="Folder to make its folder in.")] = Path(),
    json_: Json = False,
) -> int:
    """Write a small project: a strategy with its entry point, tests, a bench, a bot in paper mode.

    What it quotes is a start: one level a side around the reference, shifted by the inventory. A
    folder that is there already is kept.
    """
    made = texts(name, kind)
    _check_unknown(name)
    folder = into / name
    try:
        folder.mkdir()
    except FileExistsError:
        raise ConfigError(
            "name", name, f"a folder that is not there yet; {folder} is kept"
        ) from None
    except OSError as error:
        raise ConfigError("--into", str(into), f"a folder to write to ({error.strerror})") from None
    for path, text in made.items():
        target = folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    emit(
        {"folder": folder, "name": name, "kind": kind, "files": sorted(made)}, json_,
        lambda: f"wrote {folder}: {', '.join(sorted(made))}\n"
        f"next: cd {folder}, then pip install --no-build-isolation -e . (README.md tells the rest)",
    )  # fmt: skip
    return EXIT_DONE


def _check_unknown(name: str) -> None:
    """Refuse a name whose package would hide an installed one, numpy or pytest, from everything."""
    there = PathFinder.find_spec(name.replace("-", "_"))
    # A bare folder beside us is no package of that name.
    if there is not None and there.origin is not None:
        raise ConfigError("name", name, f"a name that no installed package has; {there.origin}")


def texts(name: str, kind: str) -> dict[str, str]:
    """Return the files of a new strategy by their path.

    Raises:
        ConfigError: a name that no package can have, or another kind.
    """
    if kind not in KINDS:
        raise ConfigError("--kind", kind, " or ".join(f'"{one}"' for one in KINDS))
    module = name.replace("-", "_")
    if NAME.fullmatch(name) is None or name.endswith("-"):
        allowed = "1 to 32 of a-z, 0-9 and -, from a letter on and not to a - at the end"
        raise ConfigError("name", name, allowed)
    cls = "".join(part.capitalize() for part in name.split("-") if part)
    if (
        module in TAKEN or cls in TAKEN_CLASSES
        or keyword.iskeyword(module) or module in sys.stdlib_module_names
    ):  # fmt: skip
        raise ConfigError("name", name, "a name that is neither Python's own nor of this project")
    compiled = kind == "cython"
    words = {
        "name": name, "module": module, "cython": CYTHON, "instructions": BUDGET[kind],
        "cls": cls,
        # A compiled strategy is made with the traded pair.
        "pair": "PAIR,\n        " if compiled else "", "pair_only": "PAIR" if compiled else "",
    }  # fmt: skip
    templates = files("openmm.cli") / "templates"
    return {
        Template(path).substitute(words): Template(
            (templates / f"{template}.tmpl").read_text(encoding="utf-8")
        ).substitute(words)
        for template, path in (SHARED | KINDS[kind]).items()
    }
