"""Recordings of Binance read to run a bot over them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from openmm._fast.book import Book, BookState
from openmm._fast.units import BookSide
from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.sim.dialects import dialect
from openmm.sim.recorded import recorded_instrument
from openmm.venues.binance.recording import read_recording
from openmm.venues.recordings import Recording

SPOT = "data/binance/spot_btcusdt"


def put_through(found: Recording, count: int | None = None) -> tuple[Book, Instrument]:
    """Decode the first records of a recording into a book."""
    ((name, pair),) = found.pairs.items()
    one = recorded_instrument(dialect("kraken"), name, pair)
    book = Book(outside_levels=1 << 16)
    decoder = found.decoder(pair, one, book)
    for record in found.records[:count]:
        decoder.decode(record.data, record.recv_ns)
    return book, one


def test_a_spot_recording_is_one_pair_with_a_whole_book(shared: Path) -> None:
    found = read_recording(shared / f"{SPOT}_20240808.gz")
    book, one = put_through(found)
    assert list(found.pairs) == ["BTC/USDT"]
    assert (one.price_decimals, one.qty_decimals) == (2, 5)
    assert book.state is BookState.BOOK_VERIFIED
    assert len(found.records) == 41_249


def test_a_second_day_begins_with_the_book_that_the_first_one_ends_with(shared: Path) -> None:
    before, _ = put_through(read_recording(shared / f"{SPOT}_20240808.gz"))
    found = read_recording(shared / f"{SPOT}_20240809.gz")
    book, _ = put_through(found, 1)
    assert book.state is BookState.BOOK_VERIFIED
    for side in (BookSide.BID, BookSide.ASK):
        assert book.levels(side) == before.levels(side, 1000)
    book, _ = put_through(found)
    assert book.state is BookState.BOOK_VERIFIED


def test_a_second_day_alone_is_refused(shared: Path, tmp_path: Path) -> None:
    alone = tmp_path / "spot_btcusdt_20240809.gz"
    shutil.copy(shared / f"{SPOT}_20240809.gz", alone)
    with pytest.raises(ProtocolError, match="no file of the day before"):
        read_recording(alone)


def test_a_recording_without_a_book_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.gz"
    empty = b'1723161253937085768 {"lastUpdateId":1,"bids":[],"asks":[]}\n'
    change = b'1723161253937085769 {"stream":"btcusdt@depth","data":{"s":"BTCUSDT","U":2}}\n'
    path.write_bytes(gzip.compress(empty))
    with pytest.raises(ProtocolError, match="no change of a book"):
        read_recording(path)
    path.write_bytes(gzip.compress(empty + change))
    with pytest.raises(ProtocolError, match="no copy of a book"):
        read_recording(path)
