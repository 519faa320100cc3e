"""Ids of runs: the same for the same, another for whatever figures follow from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import openmm
from openmm.sweep.plan import build_of, described, makes_figures, specs
from openmm.sweep.store import PARTS
from tests.sweep.made import job, points, span

JOB = job("tiny", spans=3)


def test_ids_are_the_same_for_the_same_and_none_is_twice() -> None:
    found = list(specs(JOB, points(50)))
    assert found == list(specs(JOB, points(50)))
    assert len({one.run_id for one in found}) == len(found) == 150
    assert [one.place for one in found] == list(range(150))
    assert [one.span for one in found] == [0] * 50 + [1] * 50 + [2] * 50
    assert list(msgspec.structs.replace(JOB, folder="elsewhere").spans) == list(JOB.spans)


@pytest.mark.parametrize(
    "changed",
    [
        {"bot": JOB.bot + "# another"}, {"model": {"queue": "power"}}, {"build": "another"},
        {"returns_ns": 2}, {"runner": "another"},
        {"spans": (msgspec.structs.replace(span(0), end_ns=1), span(1), span(2))},
        {"spans": (span(0, name="other"), span(1), span(2))},
    ],
    ids=lambda changed: "-".join(changed),
)  # fmt: skip
def test_id_follows_from_everything(changed: dict[str, Any]) -> None:
    other = msgspec.structs.replace(JOB, **changed)
    assert next(specs(other, points(1))).run_id != next(specs(JOB, points(1))).run_id
    assert described(other, {"kind": "grid"}) != described(JOB, {"kind": "grid"})


def test_id_follows_from_the_values_alone_and_not_from_their_number() -> None:
    later = next(specs(JOB, points(5)[4:], 7))
    assert (later.trial, later.place) == (7, 21)
    assert later.run_id == list(specs(JOB, points(5)))[4].run_id


def test_every_part_of_a_description_has_words() -> None:
    assert set(described(JOB, {})) == set(PARTS)
    assert described(JOB, {"kind": "a"}) != described(JOB, {"kind": "b"})


def test_build_follows_from_the_code_that_makes_figures(tmp_path: Path) -> None:
    (tmp_path / "_fast").mkdir()
    (tmp_path / "sweep").mkdir()
    (tmp_path / "cli").mkdir()
    (tmp_path / "_fast" / "a.so").write_bytes(b"one")
    (tmp_path / "sweep" / "figures.py").write_bytes(b"one")
    before = build_of(tmp_path)
    (tmp_path / "cli" / "b.py").write_bytes(b"no figure follows from it")
    (tmp_path / "sweep" / "page.py").write_bytes(b"nor from this")
    assert build_of(tmp_path) == before
    (tmp_path / "_fast" / "a.so").write_bytes(b"two")
    middle = build_of(tmp_path)
    (tmp_path / "sweep" / "figures.py").write_bytes(b"two")
    assert len({before, middle, build_of(tmp_path)}) == 3


def test_build_covers_all_that_a_worker_imports() -> None:
    code = (
        "import sys, openmm.sweep.worker, openmm.sweep.columns\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('openmm.')), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    root = Path(openmm.__file__).parent
    modules = {Path(line).relative_to(root) for line in done.stdout.split()}
    assert {Path("rerun", "listed.py"), Path("sweep", "figures.py")} <= modules
    # What plans, keeps and tells of runs is loaded beside them.
    planning = {Path("sweep", name) for name in ("__init__.py", "plan.py", "store.py")}
    assert [path for path in sorted(modules - planning) if not makes_figures(path)] == []
