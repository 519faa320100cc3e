"""Recordings of Coinbase read to run a bot over them."""

from __future__ import annotations

import gzip
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from openmm._fast.book import Book, BookState
from openmm.errors import ProtocolError
from openmm.sim.dialects import dialect
from openmm.sim.recorded import recorded_instrument
from openmm.venues.coinbase.recording import read_recording
from openmm.venues.recordings import Recording

DATA = "data/coinbase"


def put_through(found: Recording, count: int | None = None) -> tuple[Book, dict[str, int]]:
    """Decode the first records of a recording into a book."""
    name, pair = next(iter(found.pairs.items()))
    one = recorded_instrument(dialect("kraken"), name, pair)
    book = Book()
    decoder = found.decoder(pair, one, book)
    for record in found.records[:count]:
        decoder.decode(record.data, record.recv_ns)
    return book, decoder.counters


def test_messages_as_rows_have_the_venues_times_in_order(shared: Path) -> None:
    found = read_recording(shared / DATA / "btcusd_20180417_full.csv.gz")
    book, counters = put_through(found)
    assert list(found.pairs) == ["BTC/USD"]
    assert book.state is BookState.BOOK_VERIFIED
    assert counters["trades"] == 257
    times = [one.recv_ns for one in found.records]
    assert all(before <= after for before, after in pairwise(times))
    assert 599 <= (times[-1] - times[0]) / 1e9 <= 606


def test_level_changes_begin_with_the_snapshot_beside_them(shared: Path) -> None:
    found = read_recording(shared / DATA / "btcusd_20180424_l2_part1.csv.gz")
    assert list(found.pairs) == ["BTC/USD"]
    assert len(found.records) == 1 + 48_462
    assert found.records[0].recv_ns == found.records[1].recv_ns
    assert put_through(found)[0].state is BookState.BOOK_VERIFIED


def test_a_later_part_begins_where_the_one_before_ends(shared: Path) -> None:
    first, _ = put_through(read_recording(shared / DATA / "btcusd_20180424_l2_part1.csv.gz"))
    second = read_recording(shared / DATA / "btcusd_20180424_l2_part2.csv.gz")
    book, _ = put_through(second, 1)
    assert (book.best_bid_ticks, book.best_ask_ticks) == (
        first.best_bid_ticks, first.best_ask_ticks
    )  # fmt: skip
    assert put_through(second)[0].state is BookState.BOOK_VERIFIED


def test_a_log_of_several_pairs_holds_them_all(shared: Path) -> None:
    found = read_recording(shared / DATA / "alts_20210417_ws.raw.gz")
    assert len(found.pairs) == 10
    assert found.pairs["SKL/BTC"].price_decimals == 8


def test_changes_without_their_snapshot_are_refused(shared: Path, tmp_path: Path) -> None:
    alone = tmp_path / "btcusd_20180424_l2_part1.csv.gz"
    shutil.copy(shared / DATA / alone.name, alone)
    with pytest.raises(ProtocolError, match="no snapshot of the book beside it"):
        read_recording(alone)


def test_rows_without_a_snapshot_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.csv.gz"
    path.write_bytes(gzip.compress(b"_id,type\n5ad5,error\n"))
    with pytest.raises(ProtocolError, match="no snapshot of a book"):
        read_recording(path)
