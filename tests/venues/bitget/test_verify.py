"""Recordings through decoder and books."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from openmm.errors import ProtocolError
from openmm.venues.bitget.verify import verify

FILES = ("v1_20220407_spot", "v1_20220407_perp", "v1_20220407_meta")


def test_all_recordings_match_637_of_637_checksums(shared: Path) -> None:
    total = 0
    for name in FILES:
        found = verify(shared / "data" / "bitget" / f"{name}.raw.gz")
        assert found.ok, name
        assert found.checksums_failed == 0
        total += found.checksums_ok
    assert total == 637


def test_the_sample_of_one_pair_is_whole(shared: Path) -> None:
    path = shared / "venues" / "samples" / "bitget" / "books_checksum_capture_STGUSDT.json"
    found = verify(path)
    assert found.ok
    assert found.checksums_ok == found.book_updates == 13


def test_a_frame_taken_out_of_a_recording_is_found(shared: Path, tmp_path: Path) -> None:
    lines = gzip.decompress((shared / "data" / "bitget" / f"{FILES[0]}.raw.gz").read_bytes())
    kept = lines.splitlines(keepends=True)
    at = next(i for i, line in enumerate(kept) if b'"update"' in line and b'"books"' in line)
    path = tmp_path / "cut.raw"
    path.write_bytes(b"".join(kept[:at] + kept[at + 1 :]))
    found = verify(path)
    assert not found.ok
    assert found.checksums_failed == 1


def test_a_captures_frames_are_read(shared: Path, tmp_path: Path) -> None:
    lines = gzip.decompress((shared / "data" / "bitget" / f"{FILES[0]}.raw.gz").read_bytes())
    path = tmp_path / "one.cap"
    with path.open("wb") as file:
        file.write(b"CBCAP1 bitget all 1649290077000000000\n")
        for line in lines.splitlines():
            stamp, mark, data = line.partition(b": ")
            if mark and b"->" not in stamp and b"<-" not in stamp and b'"books"' in data:
                file.write(b"%d %d\n%b\n" % (1649290077000000000, len(data), data))
    found = verify(path)
    assert found.ok
    assert found.checksums_ok == 443


@pytest.mark.parametrize("raw", [b"no line of a log\n", b"abc: {}\n"])
def test_what_is_no_recording_is_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "bad.raw"
    path.write_bytes(raw)
    with pytest.raises(ProtocolError, match=r"bad\.raw"):
        verify(path)


def test_json_that_is_no_stream_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(b'{"symbol": "A"}')
    with pytest.raises(ProtocolError, match="frames"):
        verify(path)
