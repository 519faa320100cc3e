"""The code of a strategy of one's own: figures follow from it as from the build."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from hashlib import blake2b
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from openmm.errors import ConfigError
from openmm.strategy import plugins
from openmm.sweep.plan import BUILD_SUFFIXES, ID_BYTES, build_of

INSTALLED: Final = frozenset(("site-packages", "dist-packages"))
# Covered by the build, or the interpreter's.
NOT_OWN: Final = sys.stdlib_module_names | {"openmm"}


def build_with(data: Mapping[str, Any]) -> str:
    """Return the build, and behind it a hash of the code that a bot's own strategy is of.

    Args:
        data: content of the bot's file.

    Raises:
        ConfigError: the plug-in is not installed, or the code cannot be read.
    """
    strategy = data["strategy"]
    if strategy["kind"] == "python":
        files = files_of(strategy["class"].partition(":")[0])
    elif strategy["kind"] == "plugin":
        point = plugins.find(strategy["name"])
        files = files_of(point.module)
        for one in (point.dist.files if point.dist is not None else None) or ():
            if one.suffix in BUILD_SUFFIXES:
                files[str(one)] = Path(str(one.locate()))
    else:
        return build_of()
    found = blake2b(digest_size=ID_BYTES // 2)
    for name, path in sorted(files.items()):
        try:
            code = path.read_bytes()
        except OSError as error:
            told = f"code that can be read ({error.strerror})"
            raise ConfigError("strategy", str(path), told) from error
        found.update(f"{name} {len(code)}\n".encode() + code)
    return f"{build_of()}+{found.hexdigest()}"


def files_of(module: str) -> dict[str, Path]:
    """Return the source and compiled files of a module, by the path below where it was found.

    They are those of its whole package, and of what it imports that lies beside it; of what is
    installed its own package alone. Nothing is run. A module that is not there has none.
    """
    found: dict[str, Path] = {}
    first = _top(module)
    beside = _root(first)
    todo, seen = [first], {""}
    while todo:
        spec = todo.pop()
        if spec is None or spec.name in seen or spec.name in NOT_OWN or _root(spec) != beside:
            continue
        seen.add(spec.name)
        for path in _paths(spec):
            found[str(path.relative_to(beside))] = path
            if path.suffix == ".py" and not INSTALLED & set(beside.parts):
                todo += [_top(name) for name in sorted(_imported(path))]
    return found


def _top(module: str) -> ModuleSpec | None:
    """Find a module's package, or itself, without running it."""
    try:
        return find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None


def _root(spec: ModuleSpec | None) -> Path:
    """Return the folder that a package or a module was found in."""
    if spec is None:
        return Path()
    places = list(spec.submodule_search_locations or ())
    return Path(places[0] if places else spec.origin or "").parent


def _paths(spec: ModuleSpec) -> list[Path]:
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if places:
        every = sorted(places[0].rglob("*"))
        return [path for path in every if path.suffix in BUILD_SUFFIXES and path.is_file()]
    return [Path(spec.origin)] if spec.origin and spec.has_location else []


def _imported(path: Path) -> set[str]:
    """Return the names of the modules that a source names anywhere in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names
