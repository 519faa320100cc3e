"""Files that change as a whole: all of the new, or what was there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from openmm.whole import SHARED, replacing, write_whole


@pytest.mark.parametrize("lasting", [True, False])
def test_new_bytes_take_the_place_of_the_old_and_leave_nothing_beside(
    tmp_path: Path, lasting: bool
) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old and longer")
    write_whole(path, b"new", lasting=lasting)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_old_bytes_stay_where_writing_fails_half_way(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")

    def fill() -> None:
        with replacing(path) as fresh:
            fresh.write_bytes(b"half of it")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_reader_of_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new")
        assert reader.read() == b"old"


def test_file_is_private_unless_told_and_then_as_open_as_its_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "own", b"")
        write_whole(tmp_path / "told", b"", mode=SHARED)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("own", "told")]
    assert modes == [0o600, 0o640]


def test_two_writers_at_once_leave_one_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with replacing(path) as one, replacing(path) as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"  # the outer one ends last
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_beside_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "state"
    left = tmp_path / f".state.{os.getpid()}.0"
    left.write_bytes(b"half of it")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert sorted(tmp_path.iterdir()) == [left, path]


def test_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "state", b"")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made_to_last_is_told_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    opened = os.open

    def unreadable(name: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY:
            raise PermissionError(13, "Permission denied")
        return opened(name, flags, mode)

    monkeypatch.setattr(os, "open", unreadable)
    with pytest.raises(PermissionError):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    write_whole(path, b"new", lasting=False)
    assert path.read_bytes() == b"new"
