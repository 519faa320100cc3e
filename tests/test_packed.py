"""Compressed segments: the same bytes inside, whole in one of two forms, or a clear error."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import zstandard

from openmm.errors import JournalError
from openmm.packed import UNPACKED_BYTES_MAX, pack, restore, unpack

CONTENT = random.Random(1).randbytes(5_000) + bytes(70_000)


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "000000.omj"
    path.write_bytes(CONTENT)
    return path


def test_packed_segment_holds_the_same_bytes_in_less_room(segment: Path) -> None:
    packed = pack(segment)
    assert [one.name for one in segment.parent.iterdir()] == ["000000.omj.zst"]
    assert unpack(packed) == CONTENT
    assert packed.stat().st_size < len(CONTENT) / 4
    assert packed.stat().st_mode & 0o777 == 0o600


def test_restored_segment_is_plain_again(segment: Path) -> None:
    assert restore(pack(segment)) == segment
    assert [one.name for one in segment.parent.iterdir()] == ["000000.omj"]
    assert segment.read_bytes() == CONTENT


def test_segment_stays_plain_where_there_is_no_room(
    segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        pack(segment)
    assert [one.name for one in segment.parent.iterdir()] == ["000000.omj"]
    assert segment.read_bytes() == CONTENT


@pytest.mark.parametrize("cut", [1, 5, 2_500])
def test_cut_or_spoiled_one_is_refused(segment: Path, cut: int) -> None:
    packed = pack(segment)
    data = packed.read_bytes()
    packed.write_bytes(data[:-cut])
    with pytest.raises(JournalError, match="cut or spoiled"):
        unpack(packed)
    packed.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(JournalError, match="cut or spoiled"):
        unpack(packed)
    packed.write_bytes(b"")
    with pytest.raises(JournalError, match="cut or spoiled"):
        unpack(packed)


def test_one_that_says_it_is_endless_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "000000.omj.zst"
    made = zstandard.ZstdCompressor().compressobj(size=UNPACKED_BYTES_MAX + 1)
    path.write_bytes(made.compress(b"x") + made.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    with pytest.raises(JournalError, match="over 2 GiB"):
        unpack(path)
