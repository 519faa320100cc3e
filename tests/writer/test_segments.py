"""Segments on a full disk: nothing half-written counts, and what failed can be tried again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from openmm.errors import JournalError
from openmm.journal import Journal, read_journal
from openmm.packed import pack, restore
from openmm.writer.segments import DiskFull, SegmentWriter

NOW = 1_764_000_000_000_000_000
RecordTuple = tuple[int, int, int, int, bytes]


def make(count: int, start: int = 0, size: int = 20) -> list[RecordTuple]:
    return [(i, 2, 0, NOW + i, b"r" * size) for i in range(start, start + count)]


def writer(folder: Path, segment_bytes: int = 4096) -> SegmentWriter:
    return SegmentWriter(
        folder, session_id="s-1", build="b", created_ns=NOW, segment_bytes=segment_bytes
    )


def full_after(calls: int) -> Callable[[int, bytes, int], int]:
    """Make a `pwrite` that writes half and then fails from the given call on, three times."""
    real, seen = os.pwrite, [0]

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        seen[0] += 1
        if calls <= seen[0] < calls + 3:
            if seen[0] == calls:
                return real(fd, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, offset)

    return pwrite


def test_block_that_did_not_fit_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = writer(tmp_path)
    out.append(make(5), NOW)
    monkeypatch.setattr(os, "pwrite", full_after(1))
    for _ in range(2):
        with pytest.raises(DiskFull, match="disk is full") as raised:
            out.append(make(5, 5), NOW)
        assert raised.value.retryable
        assert out.next_index == 5
        assert [r.record_index for r in read_journal(tmp_path)] == list(range(5))
    out.append(make(5, 5), NOW)
    out.close()
    assert list(read_journal(tmp_path)) == make(10)
    assert Journal(tmp_path).torn_bytes == 0


def test_segment_that_could_not_be_made_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = writer(tmp_path)
    out.append(make(60), NOW)
    failures = [errno.ENOSPC, errno.EDQUOT]
    real = os.posix_fallocate

    def fallocate(fd: int, offset: int, length: int) -> None:
        if failures:
            raise OSError(failures.pop(), "full")
        real(fd, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    for _ in range(2):
        with pytest.raises(DiskFull, match="no room for a segment"):
            out.append(make(60, 60), NOW)
        out.sync()
    out.append(make(60, 60), NOW)
    out.close()
    assert list(read_journal(tmp_path)) == make(120)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_errors_are_not_taken_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = writer(tmp_path)

    def pwrite(_fd: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OSError, match="Input/output"):
        out.append(make(1), NOW)


def test_block_larger_than_a_segment_gets_its_own(tmp_path: Path) -> None:
    out = writer(tmp_path)
    out.append(make(1, 0, 10_000), NOW)
    out.append(make(1, 1, 10_000), NOW)
    out.close()
    assert list(read_journal(tmp_path)) == make(2, 0, 10_000)
    assert len(list(tmp_path.iterdir())) == 2


def test_sync_reaches_the_disk_once_per_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = writer(tmp_path)
    calls: list[int] = []
    monkeypatch.setattr(os, "fdatasync", calls.append)
    out.sync()
    out.append(make(3), NOW)
    out.append(make(3, 3), NOW)
    assert calls == []
    out.sync()
    out.sync()
    assert len(calls) == 1


def test_corrupt_journal_is_not_written_to(tmp_path: Path) -> None:
    out = writer(tmp_path)
    out.append(make(5), NOW)
    out.append(make(5, 5), NOW)
    out.close()
    path = tmp_path / "000000.omj"
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="corrupt at byte 224"):
        writer(tmp_path)
    assert path.read_bytes() == data


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def compressing(folder: Path) -> SegmentWriter:
    return SegmentWriter(
        folder, session_id="s-1", build="b", created_ns=NOW, segment_bytes=4096, compress=True
    )


def test_closed_segments_are_compressed_and_read_like_any_other(tmp_path: Path) -> None:
    out, plain = compressing(tmp_path / "packed"), writer(tmp_path / "plain")
    for start in range(0, 200, 10):
        out.append(make(10, start), NOW)
        plain.append(make(10, start), NOW)
    out.close()
    plain.close()
    assert names(tmp_path / "packed") == [f"{one}.zst" for one in names(tmp_path / "plain")]
    assert len(names(tmp_path / "packed")) > 2
    assert list(read_journal(tmp_path / "packed")) == make(200)
    assert out.chain == plain.chain == Journal(tmp_path / "packed").tail.chain


def test_writer_that_comes_back_goes_on_in_the_last_compressed_segment(tmp_path: Path) -> None:
    out = compressing(tmp_path)
    out.append(make(30), NOW)
    out.close()
    again = compressing(tmp_path)
    assert again.next_index == 30
    assert [one for one in names(tmp_path) if one.endswith(".omj")] == ["000000.omj"]
    again.append(make(5, 30), NOW)
    again.close()
    assert list(read_journal(tmp_path)) == make(35)
    assert all(one.endswith(".zst") for one in names(tmp_path))


def test_what_a_kill_left_of_compressing_is_put_right(tmp_path: Path) -> None:
    out = compressing(tmp_path)
    for start in range(0, 100, 10):
        out.append(make(10, start), NOW)
    out.close()
    # Killed between the two forms of one segment, and in the middle of another.
    whole = restore(tmp_path / "000000.omj.zst").read_bytes()
    pack(tmp_path / "000000.omj")
    (tmp_path / "000000.omj").write_bytes(whole)
    (tmp_path / "000001.omj.zst.part").write_bytes(b"half")
    assert list(read_journal(tmp_path)) == make(100)
    compressing(tmp_path).close()
    assert "000000.omj.zst" not in names(tmp_path)
    assert not any(one.endswith(".part") for one in names(tmp_path))
    assert list(read_journal(tmp_path)) == make(100)


def test_spoiled_compressed_segment_is_one_error(tmp_path: Path) -> None:
    out = compressing(tmp_path)
    out.append(make(60), NOW)
    out.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(JournalError, match="cut or spoiled"):
        list(read_journal(tmp_path))


def test_segment_that_cannot_be_compressed_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_path: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("openmm.writer.segments.pack", full)
    out = compressing(tmp_path)
    out.append(make(5), NOW)
    out.close()
    assert names(tmp_path) == ["000000.omj"]
    assert list(read_journal(tmp_path)) == make(5)
    assert "stays uncompressed" in capsys.readouterr().err
