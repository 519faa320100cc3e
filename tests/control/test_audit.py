"""The audit: its chain, its files, what it leaves out; from several processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmm.control.access import make_token
from openmm.control.audit import BLOCK_BYTES, LINE_BYTES_MAX, Audit, redacted

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = 1_800_000_000_000_000_000


def audit(folder: Path, **how: int) -> Audit:
    return Audit(folder / "audit.jsonl", **how)


def written(folder: Path, count: int, **how: int) -> Audit:
    made = audit(folder, **how)
    for number in range(count):
        made.append({"action": "halt", "number": number}, NOW + number, sync=False)
    return made


def test_records_come_back_newest_first_with_their_time(tmp_path: Path) -> None:
    made = written(tmp_path, 3)
    found = list(made.newest())
    assert [one["number"] for one in found] == [2, 1, 0]
    assert found[0]["ts_ns"] == NOW + 2
    assert found[0]["ts"] == "2027-01-15T08:00:00.000000Z"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.mark.stat().st_mode) == 0o600


def test_chain_holds_over_files_and_the_oldest_go(tmp_path: Path) -> None:
    made = written(tmp_path, 60, file_bytes_max=1_000, files_kept=3)
    assert len(made.files()) == 4
    found = made.verify()
    assert (found.problem, found.files) == ("", 4)
    numbers = [one["number"] for one in made.newest()]
    assert numbers == list(range(59, 59 - len(numbers), -1))
    assert len(numbers) == found.lines < 60


def change(line: bytes) -> bytes:
    return line.replace(b'"halt"', b'"stop"')


@pytest.mark.parametrize("at", [0, 3, 8, 9])
@pytest.mark.parametrize("how", ["changed", "removed", "doubled"])
def test_tampering_shows(tmp_path: Path, at: int, how: str) -> None:
    made = written(tmp_path, 10)
    lines = made.path.read_bytes().splitlines(keepends=True)
    if how == "changed":
        lines[at] = change(lines[at])
    elif how == "removed":
        del lines[at]
    else:
        lines.insert(at, lines[at])
    made.path.write_bytes(b"".join(lines))
    problem = made.verify().problem
    # The first line that is there follows nothing: the files before it may have been rotated away.
    assert bool(problem) is not (at == 0 and how == "removed")


def test_cut_end_shows_and_stays_on_record_when_others_follow(tmp_path: Path) -> None:
    made = written(tmp_path, 5)
    lines = made.path.read_bytes().splitlines(keepends=True)
    made.path.write_bytes(b"".join(lines[:3]))
    assert "missing" in made.verify().problem
    made.append({"action": "status"}, NOW, sync=False)
    assert made.verify().problem == ""
    assert [one["action"] for one in made.newest()][:2] == ["status", "audit"]
    assert "audit_broken" in [one.get("verdict", "") for one in made.newest()][1]


def test_line_torn_by_a_crash_is_ended_and_the_chain_goes_on(tmp_path: Path) -> None:
    made = written(tmp_path, 2)
    with made.path.open("ab") as file:
        file.write(b'{"ts":"2027')
    made.append({"action": "status"}, NOW, sync=True)
    assert made.verify().problem == ""
    assert next(made.newest())["action"] == "status"


def test_many_processes_append_to_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from openmm.control.audit import Audit\n"
        "made = Audit(Path(sys.argv[1]), file_bytes_max=20_000, files_kept=50)\n"
        "for n in range(100):\n"
        "    made.append({'who': sys.argv[2], 'n': n}, n, sync=False)\n"
    )
    path = tmp_path / "audit.jsonl"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(who)], cwd=ROOT)
        for who in range(3)
    ]
    assert [one.wait(60) for one in started] == [0, 0, 0]
    made = audit(tmp_path, files_kept=50)
    found = made.verify()
    assert (found.problem, found.lines) == ("", 300)
    for who in ("0", "1", "2"):
        assert [one["n"] for one in made.newest() if one["who"] == who] == list(range(99, -1, -1))


def test_long_files_are_read_from_their_end(tmp_path: Path) -> None:
    made = audit(tmp_path)
    for number in range(400):
        made.append({"number": number, "text": "x" * 700}, NOW, sync=False)
    assert made.path.stat().st_size > 4 * BLOCK_BYTES
    assert [one["number"] for one in made.newest()] == list(range(399, -1, -1))
    assert made.verify().lines == 400


def test_a_record_longer_than_a_line_is_kept_by_its_hash(tmp_path: Path) -> None:
    made = audit(tmp_path)
    args = redacted({f"k{n}": ["x" * 200] * 50 for n in range(7)})
    made.append({"action": "pause", "verdict": "asked", "args": args}, NOW, sync=False)
    (found,) = made.newest()
    assert (found["action"], found["verdict"]) == ("pause", "asked")
    assert found["args"]["cut"] is True
    assert found["args"]["bytes"] > LINE_BYTES_MAX
    assert made.verify().problem == ""


def test_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        written(tmp_path, 1)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "name",
    ["key", "api_key", "Secret", "client_secret", "token", "access-token", "password",
     "passphrase", "Authorization", "apikey"],
)  # fmt: skip
def test_what_opens_doors_is_left_out(name: str) -> None:
    told = {"args": [{"deep": {name: "geheim"}}], name: "geheim"}
    assert "geheim" not in str(redacted(told))


def test_tokens_within_a_text_are_left_out() -> None:
    told = redacted({"reason": f"use {make_token('ann')} or pv_{'x' * 43} now"})
    assert told == {"reason": "use <redacted> or <redacted> now"}


def test_long_texts_are_cut_and_plain_values_stay() -> None:
    assert redacted({"reason": "x" * 1_000}) == {"reason": "x" * 200 + "…"}
    assert redacted({"limit": 5, "flag": True, "none": None}) == {
        "limit": 5, "flag": True, "none": None,
    }  # fmt: skip


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner),
    max_leaves=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(told=JSON)
def test_anything_can_be_recorded_within_the_size_of_a_line(told: Any, tmp_path: Path) -> None:
    made = audit(tmp_path)
    made.append({"args": redacted(told)}, NOW, sync=False)
    line = made.path.read_bytes().splitlines()[-1]
    assert len(line) < LINE_BYTES_MAX
    assert isinstance(orjson.loads(line), dict)
    os.truncate(made.path, 0)
    os.truncate(made.mark, 0)
