"""Recordings put through decoder and book."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from openmm.errors import ProtocolError
from openmm.venues.capture import Verified
from openmm.venues.kraken.verify import verify


@pytest.mark.parametrize(
    ("name", "messages", "checksums", "resubscribed"),
    [
        ("v2_btcusd_d10_20260801", 377, 301, 4),
        ("v2_btcusd_d25_20260802", 2104, 2052, 0),
        ("v2_xrpusd_d25_20260802", 1192, 1147, 0),
    ],
)
def test_capture_verifies(
    shared: Path, name: str, messages: int, checksums: int, resubscribed: int
) -> None:
    found = verify(shared / "data" / "kraken" / f"{name}.cbcap.gz")
    assert found == Verified(
        messages=messages, book_updates=checksums, checksums_ok=checksums, resubscribed=resubscribed
    )
    assert found.ok


def test_book_stream_sample_verifies(shared: Path) -> None:
    path = shared / "venues/samples/kraken/book_stream_btcusd_depth10_first200.json"
    assert verify(path) == Verified(messages=201, book_updates=201, checksums_ok=201)


def unpacked(shared: Path) -> bytes:
    return gzip.decompress((shared / "data/kraken/v2_btcusd_d10_20260801.cbcap.gz").read_bytes())


def test_wrong_checksum_is_counted_and_the_rest_waits_for_a_snapshot(
    shared: Path, tmp_path: Path
) -> None:
    data = unpacked(shared).replace(b'"checksum":2532652056', b'"checksum":2532652057')
    path = tmp_path / "spoiled.cbcap"
    path.write_bytes(data)
    found = verify(path)
    assert found.checksums_failed == 1
    assert found.skipped > 0
    assert found.checksums_ok + found.checksums_failed + found.skipped == 301
    assert not found.ok


def test_frame_of_garbage_is_an_error(shared: Path, tmp_path: Path) -> None:
    data = unpacked(shared)
    path = tmp_path / "garbage.cbcap"
    path.write_bytes(data + b"1 10\nrestarting\n")
    assert verify(path).errors == 1


@pytest.mark.parametrize("packed", [False, True])
def test_file_cut_in_the_middle_is_one_clear_error(
    shared: Path, tmp_path: Path, packed: bool
) -> None:
    data = unpacked(shared)
    path = tmp_path / "cut.cbcap"
    path.write_bytes(gzip.compress(data)[:-2000] if packed else data[:20_000])
    with pytest.raises(ProtocolError, match=r"cut\.cbcap: cut .* byte \d+"):
        verify(path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "not a capture", json.dumps({"snapshot": {}, "updates": []})]
)
def test_file_of_no_known_format_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "what.json"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=r"what\.json"):
        verify(path)
