"""Recordings put through decoder and books."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openmm.errors import ProtocolError
from openmm.venues.capture import Verified
from openmm.venues.gateio.verify import rest_frame, verify
from tests.venues.gateio.samples import load

LOG = "data/gateio/spot_v4_20210422_ws.raw.gz"


def test_every_recorded_book_joins_its_snapshot(shared: Path) -> None:
    found = verify(shared / LOG)
    assert found == Verified(messages=166, book_updates=115, trades=2)
    assert found.ok


@pytest.mark.parametrize(("name", "count"), [("http", 7), ("meta", 1)])
def test_replies_beside_the_frames_are_whole(shared: Path, name: str, count: int) -> None:
    assert verify(shared / LOG.replace("_ws", f"_{name}")) == Verified(messages=count)


@pytest.mark.parametrize(
    ("pair", "updates"), [("DIS_USDT", 18), ("FAST_USDT", 21), ("HAI_ETH", 6), ("INK_USDT", 1)]
)
def test_every_sample_of_a_book_verifies(shared: Path, pair: str, updates: int) -> None:
    found = verify(shared / f"venues/samples/gateio/capture_book_{pair}.json")
    assert found.ok
    assert found.book_updates == updates


def test_books_without_their_snapshots_do_not_verify(shared: Path, tmp_path: Path) -> None:
    alone = tmp_path / "x_ws.raw.gz"
    alone.write_bytes((shared / LOG).read_bytes())
    found = verify(alone)
    assert not found.ok
    assert found.skipped > 0


def test_a_lost_frame_is_a_gap(shared: Path, tmp_path: Path) -> None:
    body = load(shared, "capture_book_DIS_USDT")
    del body["ws_frames"][8]
    path = tmp_path / "book.json"
    path.write_text(json.dumps(body))
    found = verify(path)
    assert found.gaps == 1
    assert not found.ok


def test_a_capture_of_frames_and_copies_verifies(tmp_path: Path) -> None:
    frames = [
        rest_frame("BTC_USDT", b'{"id":5,"asks":[["10.2","1"]],"bids":[["10.1","1"]]}'),
        b'{"channel":"spot.order_book_update","event":"update","result":'
        b'{"t":1,"s":"BTC_USDT","U":6,"u":7,"b":[["10.0","1"]],"a":[]}}',
        b'{"channel":"spot.obu","result":{"t":1,"full":true,"s":"ob.GT_USDT.50","u":3,'
        b'"b":[["1.1","1"]],"a":[["1.2","1"]]}}',
    ]
    path = tmp_path / "one.cbcap"
    with path.open("wb") as file:
        file.write(b"CBCAP1 gateio BTC_USDT 1\n")
        for number, frame in enumerate(frames):
            file.write(b"%d %d\n%b\n" % (number + 1, len(frame), frame))
    assert verify(path) == Verified(messages=3, book_updates=3)


@pytest.mark.parametrize(
    ("name", "raw"),
    [("a_ws.raw", b"no record\n"), ("a_ws.raw", b"x: {}\n"), ("a_http.raw", b"u -> x\n"),
     ("a.json", b"{}"), ("a.json", b"[")],
)  # fmt: skip
def test_what_is_no_recording_is_refused(tmp_path: Path, name: str, raw: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(ProtocolError):
        verify(path)
