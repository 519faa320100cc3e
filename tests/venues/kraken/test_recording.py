"""Captures of Kraken read to run a bot over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm._fast.book import Book, BookState
from openmm.errors import ProtocolError
from openmm.sim.dialects import dialect
from openmm.sim.recorded import recorded_instrument
from openmm.venues.kraken.recording import read_recording


def test_a_capture_verifies_at_the_depth_it_was_subscribed_at(shared: Path) -> None:
    found = read_recording(shared / "data/kraken/v2_xrpusd_d25_20260802.cbcap.gz")
    ((name, pair),) = found.pairs.items()
    book = Book()
    decoder = found.decoder(pair, recorded_instrument(dialect("kraken"), name, pair), book)
    for record in found.records:
        decoder.decode(record.data, record.recv_ns)
    assert (name, pair.stream, pair.price_decimals) == ("XRP/USD", 25, 5)
    assert book.state is BookState.BOOK_VERIFIED


def test_a_capture_without_a_book_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.cbcap"
    path.write_bytes(b'CBCAP1 kraken BTC/USD 1\n5 23\n{"channel":"heartbeat"}\n')
    with pytest.raises(ProtocolError, match="no snapshot of a book"):
        read_recording(path)
