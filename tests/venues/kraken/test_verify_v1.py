"""Connection logs of WebSocket v1 through books and their checksums."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.venues.capture import Verified
from openmm.venues.kraken.verify import verify
from openmm.venues.kraken.verify_v1 import verify_log
from openmm.venues.recordings import Record

FOUND = {
    "book": Verified(messages=14636, book_updates=14506, checksums_ok=14496),
    "trade": Verified(messages=142, trades=28),
    "ticker": Verified(messages=152),
}
STATUS = {
    "channelID": 1, "channelName": "book-10", "event": "subscriptionStatus", "pair": "XBT/USD",
    "status": "subscribed", "subscription": {"depth": 10, "name": "book"},
}  # fmt: skip


def log(shared: Path, name: str) -> Path:
    return shared / "data" / "kraken" / f"v1_20210405_{name}.raw.gz"


@pytest.mark.parametrize("name", FOUND)
def test_every_checksum_of_the_recorded_connections_is_right(shared: Path, name: str) -> None:
    assert verify(log(shared, name)) == FOUND[name]


def test_the_command_adds_the_three_connections_up(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(log(shared, name)) for name in FOUND]
    assert main(["verify", "--venue", "kraken", "--json", *files]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["checksums_ok"], told["trades"], told["errors"]) == (14496, 28, 0)


def test_a_message_taken_out_is_found_and_the_rest_of_the_pair_waits(
    shared: Path, tmp_path: Path
) -> None:
    lines = gzip.decompress(log(shared, "book").read_bytes()).splitlines(keepends=True)
    own = [at for at, line in enumerate(lines) if b'"c":' in line and b'"XBT/USD"' in line]
    # The first whose checksum differs from the one before: it changed the best ten levels.
    told = [lines[at].partition(b'"c":')[2] for at in own]
    gone = next(i for i in range(1, len(own)) if told[i] != told[i - 1] != told[i + 1])
    path = tmp_path / "cut.raw"
    path.write_bytes(b"".join(line for at, line in enumerate(lines) if at != own[gone]))
    found = verify(path)
    assert found.checksums_failed == 1
    assert found.checksums_ok + found.skipped == 14496 - 2
    assert found.skipped > 1000
    assert not found.ok


def message(bids: list[list[str]], asks: list[list[str]], *, told: int | None = None) -> bytes:
    """Write a snapshot, or with a checksum an update of two objects."""
    if told is None:
        return json.dumps([1, {"as": asks, "bs": bids}, "book-10", "XBT/USD"]).encode()
    parts = [{"a": asks}, {"b": bids, "c": str(told)}]
    return json.dumps([1, *parts, "book-10", "XBT/USD"]).encode()


SNAPSHOT = message([["99.50", "2.000", "1.0"]], [["100.00", "1.500", "1.0"]])


def check(*frames: bytes) -> Verified:
    """Check frames behind a subscription."""
    head = json.dumps(STATUS).encode()
    return verify_log(Record(at, frame) for at, frame in enumerate([head, *frames]))


def with_checksum(bids: list[list[str]], asks: list[list[str]], text: bytes) -> bytes:
    """Write an update with the checksum of a text."""
    return message(bids, asks, told=zlib.crc32(text))


def test_checksum_is_of_the_digits_of_asks_then_bids() -> None:
    # Without points and leading zeros: 100.00 1.500, then 99.50 2.000 and 99.40 0.010.
    text = b"10000150099502000994010"
    update = with_checksum([["99.40", "0.010", "2.0", "r"]], [], text)
    found = check(SNAPSHOT, update)
    assert found == Verified(messages=3, book_updates=2, checksums_ok=1)


def test_a_book_that_crosses_is_told_and_waits_for_a_snapshot() -> None:
    crossing = with_checksum([["100.00", "1.000", "2.0"]], [], b"10000150010000100099502000")
    found = check(SNAPSHOT, crossing, crossing, SNAPSHOT)
    assert (found.crossed, found.skipped, found.resubscribed) == (1, 1, 1)
    assert not found.ok


@pytest.mark.parametrize(
    "frame",
    [
        b"restarting",
        b'{"event":"surprise"}',
        b'{"event":"subscriptionStatus","status":"error","errorMessage":"no"}',
        b"[1]",
        b'[1,{},"candle","XBT/USD"]',
        b'[1,[["1.0","1.0","1.0","x","l",""]],"trade","XBT/USD"]',
        b'[1,[["1.0","-1.0","1.0","b","l",""]],"trade","XBT/USD"]',
        b'[1,{"as":[],"bs":[]},"book-10","XBT/USD"]',
        message([["99.5", "2.000", "1.0"]], [], told=1),
        message([["99.50"]], [], told=1),
        message([["-99.50", "2.000", "1.0"]], [], told=1),
        message([["99999999999999.50", "2.000", "1.0"]], [], told=1),
        message([["99.50", "2.000", "1.0"]], [], told=1).replace(b'"99.50"', b"99.50"),
    ],
)
def test_what_cannot_be_read_is_an_error(frame: bytes) -> None:
    found = check(SNAPSHOT, frame)
    assert found.errors == 1
    assert not found.ok


def test_an_update_without_snapshot_is_counted_as_waiting() -> None:
    found = check(message([["99.40", "0.010", "2.0"]], [], told=1))
    assert (found.skipped, found.book_updates) == (1, 0)
