"""Callgrind's files are read right; sections count what runs in them and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from openmm.errors import OpenMMError
from openmm.testing import Section, run_sections
from openmm.testing.callgrind import parse

PART = """\
version: 1
events: Ir

ob=/usr/lib/libpython3.11.so.1.0
fl=ceval.c
fn=_PyEval
16 400
17 5
cob=/somewhere/tape.so
cfn=Tape_append_c
calls=3 10
18 330

ob=/somewhere/tape.so
fn=Tape_append_c
9 300
cob=/usr/lib/libc.so.6
cfn=malloc
calls=2 0
9 30

ob=/usr/lib/libc.so.6
fn=malloc
0 30
totals: 735
"""

SCRIPT = """\
import sys
from openmm.testing import section
from openmm.testing import make_bot, make_workload, frames_of, WorkloadSpec
bot, frames = make_bot(), frames_of(make_workload(WorkloadSpec(messages=1200)))
bot.feed.decode(frames, 0, 300)
for name, start, stop in (("short", 300, 600), ("long", 600, 1200)):
    with section(name):
        bot.feed.decode(frames, start, stop)
for name, n in (("objects 300", 300), ("objects 600", 600)):
    with section(name):
        kept = [bytearray(i) for i in range(1000, 1000 + n)]
print("told", sys.argv[1])
"""

needs_valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None, reason="valgrind is not installed"
)


def test_part_is_split_into_own_costs_calls_and_inclusive_costs() -> None:
    part = parse(PART)
    assert part.instructions == 735
    assert part.by_object == {"libpython3.11.so.1.0": 405, "tape.so": 300, "libc.so.6": 30}
    assert part.calls == {"Tape_append_c": 3, "malloc": 2}
    assert part.each("append_c") == 110
    assert part.allocations == 2
    assert part.interpreter == 405


def test_difference_leaves_the_work_alone() -> None:
    rest = parse(PART) - Section(405, {"libpython3.11.so.1.0": 400}, {"malloc": 1}, {"malloc": 15})
    assert rest.instructions == 330
    assert rest.interpreter == 5
    assert rest.allocations == 1
    assert rest.each("malloc") == 15
    assert rest.total("malloc") == rest.calls["malloc"] * 15
    with pytest.raises(OpenMMError, match="no call of"):
        rest.each("nothing_c")


@needs_valgrind
@pytest.mark.slow
def test_sections_count_compiled_work_and_see_every_object(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(SCRIPT)
    told: list[str] = []
    root = str(Path(__file__).resolve().parents[2])
    found = run_sections(script, ["this"], env={"PYTHONPATH": root}, told=told)
    assert "told this" in told
    decode = found["long"] - found["short"]
    assert 300 * 500 < decode.instructions < 300 * 20_000
    assert decode.allocations == 0
    assert decode.interpreter < 300 * 5
    assert (found["objects 600"] - found["objects 300"]).allocations >= 300


@needs_valgrind
def test_failing_script_is_told(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text("raise SystemExit('no work today')")
    with pytest.raises(OpenMMError, match="no work today"):
        run_sections(script)


@needs_valgrind
def test_script_without_a_section_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text("print('nothing')")
    with pytest.raises(OpenMMError, match="marked no section"):
        run_sections(script)
