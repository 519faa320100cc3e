"""Recordings through decoder and books: the documented sequences, a capture, and damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.errors import ProtocolError
from openmm.venues.mexc.verify import verify
from tests.venues.mexc.frames import copy, depth, ticker


def capture(path: Path, frames: list[bytes]) -> Path:
    lines = [b"CBCAP1 mexc BTC/USDT 1\n"]
    for at, data in enumerate(frames):
        lines += [b"%d %d\n" % (at + 1, len(data)), data, b"\n"]
    path.write_bytes(b"".join(lines))
    return path


def test_the_documented_sequences_apply_and_the_lost_push_is_a_gap(shared: Path) -> None:
    found = verify(shared / "venues" / "samples" / "mexc" / "depth_sequence_BTCUSDT.json")
    assert (found.gaps, found.crossed) == (1, 0)
    assert found.book_updates > 8


def test_a_capture_is_checked_by_its_copy_and_its_tickers(tmp_path: Path) -> None:
    frames = [
        depth(11, 11, [("99.5", "1")]), copy(10, [("99", "5")], [("101", "5")]),
        ticker(11, ("99.5", "1"), ("101", "5")), depth(12, 13, [], [("100.25", "2")]),
        b'{"id":0,"code":0,"msg":"PONG"}',
    ]  # fmt: skip
    path = capture(tmp_path / "good", frames)
    found = verify(path)
    assert found.ok
    assert (found.messages, found.book_updates, found.checksums_ok) == (5, 3, 1)
    assert main(["verify", "--venue", "mexc", str(path)]) == 0


def test_what_is_wrong_with_a_capture_is_counted(tmp_path: Path) -> None:
    start = copy(10, [("99", "5")], [("101", "5")])
    gap = verify(capture(tmp_path / "gap", [start, depth(12, 12, [("98", "1")])]))
    assert (gap.gaps, gap.ok) == (1, False)
    lie = verify(capture(tmp_path / "lie", [start, ticker(10, ("99", "4"), ("101", "5"))]))
    assert (lie.checksums_failed, lie.ok) == (1, False)
    alone = verify(capture(tmp_path / "alone", [depth(12, 12, [("98", "1")])]))
    assert (alone.skipped, alone.ok) == (1, False)
    bad = verify(capture(tmp_path / "bad", [start, b"\x0a\x05spot"]))
    assert bad.errors


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"snapshot":{},"cases":[{"steps":[{}]}]}'])
def test_a_file_of_no_known_form_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ProtocolError):
        verify(path)
