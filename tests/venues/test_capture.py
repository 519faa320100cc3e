"""The capture reader: what it gives and how it fails."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from zstandard import ZstdCompressor

from openmm.errors import ProtocolError
from openmm.venues.capture import (
    Capture,
    Frame,
    Verified,
    ends_inside,
    is_capture,
    read_frames,
    read_head,
    reading,
)

HEAD = b"CBCAP1 kraken BTC/USD 1785552832693693000\n"
BODY = b"5 3\nabc\n7 4\n\n{}\n\n9 0\n\n"


def written(tmp_path: Path, data: bytes, packed: bool = False) -> Path:
    path = tmp_path / "one.cbcap"
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_frames_are_read_by_their_length(tmp_path: Path, packed: bool) -> None:
    path = written(tmp_path, HEAD + BODY, packed)
    assert is_capture(path)
    assert read_head(path) == Capture("kraken", "BTC/USD", 1_785_552_832_693_693_000)
    at = len(HEAD)
    assert list(read_frames(path)) == [
        Frame(5, b"abc", at),
        Frame(7, b"\n{}\n", at + 8),
        Frame(9, b"", at + 17),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a CBCAP1"),
        (b"CBCAP2 a b 1\n", "not a CBCAP1"),
        (b"CBCAP1 a b x\n", "not a CBCAP1"),
        (HEAD + b"5 3\nab", "cut in the frame at byte 42: 3 bytes announced, 2 there"),
        (HEAD + b"5 3\nabc", "cut in the frame at byte 42"),
        (HEAD + b"5 3\nabcd\n", "does not end where announced"),
        (HEAD + b"5 3", "cut in a frame's header at byte 42"),
        (HEAD + b"5 -3\n", "frame header expected at byte 42"),
        (HEAD + b"x" * 1000, "frame header expected at byte 42"),
        (HEAD + b"5 99999999999\n", "too long"),
        (HEAD + b"5 3\nabc\njunk\n", "frame header expected at byte 50"),
    ],
)
def test_bad_file_is_named_with_the_offset(tmp_path: Path, data: bytes, said: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(ProtocolError, match=said) as caught:
        list(read_frames(path))
    assert str(path) in str(caught.value)


def test_cut_gzip_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "one.cbcap.gz"
    path.write_bytes(gzip.compress(HEAD + BODY)[:-12])
    with pytest.raises(ProtocolError, match="cut or damaged"):
        list(read_frames(path))
    path.write_bytes(b"\x1f\x8b")
    assert not is_capture(path)
    with pytest.raises(ProtocolError, match="byte 0"):
        read_head(path)


def test_what_is_read_in_a_block_is_named_when_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "one.gz"
    whole = gzip.compress(bytes(range(256)) * 40)
    wrong_sum = bytearray(whole)
    wrong_sum[-6] ^= 1
    packed = bytearray(ZstdCompressor(write_checksum=True).compress(bytes(range(256)) * 40))
    packed[-1] ^= 1
    for data in (whole[:-9], bytes(wrong_sum), bytes(packed)):
        path.write_bytes(data)
        with pytest.raises(ProtocolError, match="cut or damaged") as caught, reading(path) as file:
            file.read()
        assert str(path) in str(caught.value)
    for none in (tmp_path / "none", tmp_path):
        with pytest.raises(ProtocolError, match=f"{none}: cannot be read: "), reading(none):
            pass


def test_zstd_that_ends_inside_a_frame_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "one.zst"
    frame = ZstdCompressor().compress(HEAD + BODY)
    for data, cut in ((frame, False), (frame * 2, False), (frame[:-5], True)):
        path.write_bytes(data)
        assert ends_inside(path) == cut
    path.write_bytes(frame + frame[:-5])
    assert ends_inside(path)
    path.write_bytes(frame[:6])
    with pytest.raises(ProtocolError, match="cut short before its first line"):
        read_head(path)
    path.write_bytes(HEAD)
    assert not ends_inside(path)


def test_counts_add_up() -> None:
    total = Verified(messages=1, checksums_ok=1)
    total.add(Verified(messages=2, crossed=1))
    assert total.as_dict()["messages"] == 3
    assert not total.ok
