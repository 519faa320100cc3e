"""What of old journals goes, and what never does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from openmm.writer.retention import DAY_S, Retention, sweep

NOW_S = 1_750_000_000.0
BYTES = 100_000


def booked(_session_id: str) -> bool:
    return True


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    """Make five sessions, `s1` the oldest, one that ended each day."""
    for number in range(1, 6):
        folder = tmp_path / f"s{number}"
        folder.mkdir()
        (folder / "lock").touch()
        path = folder / ("000000.omj.zst" if number % 2 else "000000.omj")
        path.write_bytes(os.urandom(BYTES))
        at_s = NOW_S - (5 - number) * DAY_S - 60
        os.utime(path, (at_s, at_s))
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_nothing_goes_without_a_rule(journals: Path) -> None:
    assert sweep(journals, Retention(), NOW_S, booked) == []
    assert len(left(journals)) == 5


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        (Retention(sessions=2), ["s1", "s2", "s3"]),
        (Retention(sessions=5), []),
        (Retention(days=3), ["s1", "s2"]),
        (Retention(bytes_max=3 * BYTES + 50_000), ["s1", "s2"]),
        (Retention(bytes_max=6 * BYTES), []),
        (Retention(bytes_max=1, sessions=1, days=1), ["s1", "s2", "s3", "s4"]),
    ],
)
def test_oldest_go_first_and_the_last_ended_one_stays(
    journals: Path, rules: Retention, gone: list[str]
) -> None:
    assert sweep(journals, rules, NOW_S, booked) == gone
    assert left(journals) == sorted({f"s{n}" for n in range(1, 6)} - set(gone))


def test_session_that_is_not_booked_stays_and_younger_ones_give_way(journals: Path) -> None:
    gone = sweep(journals, Retention(sessions=2), NOW_S, lambda name: name != "s1")
    assert gone == ["s2", "s3"]
    assert left(journals) == ["s1", "s4", "s5"]


def test_session_under_a_writer_stays_however_old_and_large(journals: Path) -> None:
    with (journals / "s1" / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        gone = sweep(journals, Retention(bytes_max=1, sessions=1, days=1), NOW_S, booked)
    assert gone == ["s2", "s3", "s4"]
    assert left(journals) == ["s1", "s5"]


def test_room_set_aside_for_a_segment_counts_as_what_it_takes(journals: Path) -> None:
    path = journals / "s5" / "000001.omj"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert sweep(journals, Retention(bytes_max=6 * BYTES), NOW_S, booked) == []


def test_what_a_kill_left_of_a_removal_goes_with_the_next(
    journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_path: Path) -> None:
        raise KeyboardInterrupt

    remove: Callable[[Path], None] = __import__("shutil").rmtree
    monkeypatch.setattr("openmm.writer.retention.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep(journals, Retention(sessions=4), NOW_S, booked)
    assert left(journals) == [".removed-s1", "s2", "s3", "s4", "s5"]
    monkeypatch.setattr("openmm.writer.retention.shutil.rmtree", remove)
    assert sweep(journals, Retention(sessions=4), NOW_S, booked) == []
    assert left(journals) == ["s2", "s3", "s4", "s5"]
