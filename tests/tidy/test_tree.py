"""The tree keeps the rules."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import picows
import pytest

from tests.tidy import rules
from tests.tidy.tree import ROOT, files, kernels, load_setup, module_of, text, text_files, under

PY = under("openmm", suffixes=(".py",))
PY_ALL = [*under("openmm", "tests", "bench", "examples", suffixes=(".py",)), Path("setup.py")]
CYTHON = under("openmm", "examples", "bench", suffixes=(".pyx", ".pxd"))
PYX = [p for p in CYTHON if p.suffix == ".pyx"]
TIDY = Path("tests/tidy")

# Tests of no single module.
UNMIRRORED = frozenset({"tidy", "oracles", "replay", "e2e", "bench", "examples", "fuzz"})


def check(rule: Callable[[Path, str], Iterable[str]], paths: Iterable[Path]) -> None:
    offences = [line for path in paths for line in rule(path, text(path))]
    assert not offences, "\n" + "\n".join(offences)


@cache
def picows_callbacks() -> frozenset[str]:
    """Read from picows' own declarations which methods it wants overridden as `cpdef`."""
    declared = (Path(picows.__file__).parent / "picows.pxd").read_text()
    return frozenset(re.findall(r"cpdef\s+(?:\w+\s+)*(\w+)\s*\(", declared))


def test_imports_point_one_way() -> None:
    def rule(path: Path, source: str) -> Iterator[str]:
        return rules.imports_one_way(path, source, kernels())

    check(rule, [*PY, *[p for p in CYTHON if p.parts[0] == "openmm"]])


def test_package_does_not_import_its_tests() -> None:
    check(rules.imports_of_tests, PY)


def test_imports_stand_at_the_top() -> None:
    check(rules.imports_at_top, PY)


def test_no_star_imports() -> None:
    check(rules.no_star_imports, [*PY_ALL, *CYTHON])


def test_no_clock_and_no_chance_below_the_loop() -> None:
    check(rules.no_clock, [*PY, *[p for p in PYX if p.parts[0] == "openmm"]])


def test_nothing_catches_everything() -> None:
    check(rules.no_broad_except, PY_ALL)
    check(rules.no_broad_except_pyx, PYX)


def test_no_cpdef_methods_of_our_own() -> None:
    assert "on_ws_frame" in picows_callbacks()

    def rule(path: Path, source: str) -> Iterator[str]:
        return rules.no_cpdef(path, source, picows_callbacks())

    check(rule, CYTHON)


def test_directives_live_in_setup() -> None:
    check(rules.no_directives, CYTHON)


def test_extension_classes_are_final() -> None:
    def rule(path: Path, source: str) -> Iterator[str]:
        declared = path.with_suffix(".pxd")
        return rules.classes_final(path, source, text(declared) if declared in CYTHON else "")

    check(rule, [p for p in PYX if p.parts[0] == "openmm"])


def test_kernels_divide_by_name() -> None:
    check(rules.divisions_named, [p for p in PYX if p.parts[0] == "openmm"])


def test_nothing_is_unfinished() -> None:
    check(rules.no_unfinished, text_files())


def test_nothing_belongs_to_one_machine() -> None:
    check(rules.no_machine, text_files())


def test_module_names_say_something() -> None:
    offences = [line for path in [*PY_ALL, *CYTHON] for line in rules.names_allowed(path)]
    assert not offences, "\n" + "\n".join(offences)


def test_identifiers_use_the_words_of_the_field() -> None:
    check(rules.defined_names, PY)


def test_public_names_have_docstrings() -> None:
    check(rules.has_docstrings, PY_ALL)


def test_tests_mirror_the_package() -> None:
    modules = {
        module_of(p) for p in files() if p.parts[0] == "openmm" and p.suffix in (".py", ".pyx")
    }
    tests = [
        p
        for p in under("tests", suffixes=(".py",))
        if p.name.startswith("test_")
        and p.name != "test_conformance.py"  # of all venues
        and p.parts[1] not in UNMIRRORED
    ]
    offences = [line for path in tests for line in rules.tests_mirror(path, frozenset(modules))]
    assert not offences, "\n" + "\n".join(offences)


def test_tests_do_not_sleep() -> None:
    check(rules.tests_do_not_sleep, under("tests", suffixes=(".py",)))


@pytest.mark.parametrize("kernel", [module_of(p) for p in PYX if p.parts[0] == "openmm"])
def test_kernel_has_its_files_and_tests(kernel: str) -> None:
    base = Path(*kernel.split("."))
    wanted = [base.with_suffix(suffix) for suffix in (".pxd", ".pyx", ".pyi")]
    missing = [str(p) for p in wanted if not (ROOT / p).exists()]
    assert not missing
    folder = Path("tests", *base.parts[1:-1])
    mine = [p for p in under("tests", suffixes=(".py",)) if p.parent == folder]
    assert any(
        p.stem == f"test_{base.name}" or p.stem.startswith(f"test_{base.name}_") for p in mine
    )


def test_every_extension_is_listed_in_setup() -> None:
    listed = {str(Path(*name.split("."))) for name in kernels()}
    found = {str(p.with_suffix("")) for p in PYX if p.parts[0] == "openmm"}
    assert found <= listed  # setup.py itself refuses a listed source that is missing


def test_changelog_has_its_shape() -> None:
    check(rules.changelog_shape, [Path("CHANGELOG.md")])


@cache
def project() -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads(text(Path("pyproject.toml")))
    return loaded


def test_picows_is_pinned_alike_for_build_and_run() -> None:
    source = text(Path("pyproject.toml"))
    assert re.findall(r"picows==([\d.]+)", source) == ["2.3.1", "2.3.1"]
    assert importlib.metadata.version("picows") == "2.3.1"


# Released with and pinned by the package on the right, or what it is built upon and shows.
PARTS = {
    "anyio": "mcp", "h11": "uvicorn", "httpx2": "mcp", "jsonschema": "mcp", "mcp_types": "mcp",
    "pydantic_core": "pydantic", "starlette": "fastapi",
}  # fmt: skip
# What a surface may import, inside a function or in a package of its own, with that extra.
RESEARCH = ("backtest", "data", "drift", "sweep")  # imported by their commands alone
SURFACE_EXTRAS = ("gateway", "keyring", "top")


def requirements(*extras: str) -> set[str]:
    """Name the import packages that the project declares to need, plus those of `extras`."""
    declared = project()["project"]
    assert isinstance(declared, dict)
    lines = list(declared["dependencies"])
    for extra in extras:
        lines += declared["optional-dependencies"][extra]
    names = {re.split(r"[=~><\[ ]", line)[0].lower().replace("-", "_") for line in lines}
    installed = importlib.metadata.packages_distributions()
    return {
        package
        for package, dists in installed.items()
        if any(dist.lower().replace("-", "_") in names for dist in dists)
    }


def foreign(paths: Iterable[Path]) -> set[str]:
    names = {name for path in paths for name in rules.imports_foreign(path, text(path))}
    return {PARTS.get(name, name) for name in names}


def test_package_imports_only_what_it_declares() -> None:
    shipped = [*PY, *[p for p in CYTHON if p.parts[0] == "openmm"]]
    surfaces = [p for p in shipped if p.parts[1] in rules.SURFACES]
    research = [p for p in shipped if p.parts[1] in RESEARCH]
    base = [p for p in shipped if p not in surfaces and p not in research]
    assert foreign(base) <= requirements()
    assert foreign(research) <= requirements("research", "sweep")
    assert foreign(surfaces) <= requirements(*SURFACE_EXTRAS)
    lists = [text(path) for path in under("bench", suffixes=(".txt",))]
    peers = re.findall(r"^([\w-]+)==", "\n".join(lists), re.MULTILINE)
    known = requirements("dev") | {name.replace("-", "_") for name in peers}
    assert foreign([*PY_ALL, *CYTHON]) <= known


def test_every_declared_dependency_is_imported() -> None:
    used = foreign([*PY, *CYTHON])
    declared = project()["project"]
    assert isinstance(declared, dict)
    for line in declared["dependencies"]:
        name = re.split(r"[=~><\[ ]", line)[0].replace("-", "_")
        assert name in used, f"{name} is declared and never imported"


def test_every_dependency_states_its_reason() -> None:
    source = text(Path("pyproject.toml"))
    lines = [
        line for line in source.splitlines() if re.match(r'\s+"[a-z][\w-]*\s*(==|~=|>=)', line)
    ]
    assert len(lines) > 15
    bare = [line for line in lines if "#" not in line and "setuptools" not in line]
    assert not bare, bare


def test_profiles_differ_only_in_their_run_time_checks() -> None:
    setup = load_setup()
    differs = {k for k in setup.HOT if setup.HOT[k] != setup.CHECKED[k]}
    assert differs == {"boundscheck", "wraparound", "initializedcheck", "cdivision"}
