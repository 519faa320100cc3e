"""The code of a strategy of one's own is part of the build: a sweep over other code is another."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from openmm.errors import ConfigError
from openmm.sweep.own import build_with, files_of
from openmm.sweep.plan import build_of
from tests.strategy.installed import install

PYTHON: dict[str, Any] = {"strategy": {"kind": "python", "class": "swept_own:Maker"}}
PLUGIN: dict[str, Any] = {"strategy": {"kind": "plugin", "name": "swept"}}
SOURCE = "import json\nfrom swept_beside import WIDTH\nclass Maker: pass\n"


def put(folder: Path, **sources: str) -> None:
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    importlib.invalidate_caches()


def test_strategy_of_ours_is_the_build_alone() -> None:
    assert build_with({"strategy": {"kind": "grid"}}) == build_of()


def test_module_and_what_it_imports_beside_it_count_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    put(tmp_path, swept_own=SOURCE, swept_beside="WIDTH = 1\n", swept_other="raise SystemExit\n")
    assert sorted(files_of("swept_own")) == ["swept_beside.py", "swept_own.py"]
    first = build_with(PYTHON)
    assert first.startswith(f"{build_of()}+")
    assert first == build_with(PYTHON)
    put(tmp_path, swept_other="x = 1\n")
    assert build_with(PYTHON) == first
    put(tmp_path, swept_beside="WIDTH = 2\n")
    second = build_with(PYTHON)
    put(tmp_path, swept_own=f"{SOURCE}# changed\n")
    assert len({first, second, build_with(PYTHON)}) == 3
    assert not {"swept_own", "swept_beside", "swept_other"} & set(sys.modules)
    put(tmp_path, swept_own="no Python (")
    assert sorted(files_of("swept_own")) == ["swept_own.py"]


def test_package_counts_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    deep = tmp_path / "swept_package" / "deep"
    deep.mkdir(parents=True)
    (deep.parent / "__init__.py").touch()
    put(deep, maker="from swept_package import size\n", size="SIZE = 1\n")
    (deep / "fast.so").write_bytes(b"1")
    data = {"strategy": {"kind": "python", "class": "swept_package.deep.maker:Maker"}}
    builds = {build_with(data)}
    put(deep, size="SIZE = 2\n")
    builds.add(build_with(data))
    (deep / "fast.so").write_bytes(b"2")
    builds.add(build_with(data))
    assert len(builds) == 3


def test_plugin_counts_and_one_that_is_away_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "in", monkeypatch, {"swept": "swept_mine:Maker"}, SOURCE, "swept_mine")
    first = build_with(PLUGIN)
    assert first != build_of()
    put(tmp_path / "in", swept_mine=f"{SOURCE}# changed\n")
    assert build_with(PLUGIN) != first
    with pytest.raises(ConfigError, match=r"strategy\.name"):
        build_with({"strategy": {"kind": "plugin", "name": "none"}})


def test_module_that_is_not_there_is_the_runs_to_refuse() -> None:
    assert files_of("no_such_module_at_all") == {}


def test_code_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    put(tmp_path, swept_own=SOURCE)
    whole = Path.read_bytes

    def closed(path: Path) -> bytes:
        if path == tmp_path / "swept_own.py":  # root reads what nobody may
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(ConfigError, match=r"code that can be read \(Permission denied\)"):
        build_with(PYTHON)
