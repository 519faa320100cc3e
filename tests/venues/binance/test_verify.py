"""Recordings of Binance put through decoder and books."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from openmm.errors import ProtocolError
from openmm.venues.binance.verify import rest_frame, verify
from openmm.venues.capture import Verified

DATA = "data/binance"


def test_spot_books_best_prices_are_those_of_the_book_ticker(shared: Path) -> None:
    total = Verified()
    for day in ("20240808", "20240809"):
        found = verify(shared / DATA / f"spot_btcusdt_{day}.gz")
        assert found.ok
        total.add(found)
    assert total.messages == 41_249 + 58_325
    assert total.book_updates == 6_494
    assert total.best_equal >= 6_489
    assert total.best_equal + total.best_different <= 6_494
    assert total.best_different <= 3


@pytest.mark.parametrize(
    ("name", "updates", "equal"),
    [
        ("usdm_btcusdt_20240808", 6_548, 6_544),
        ("cm_btcusd_perp_20240808", 26_825, 26_806),
        ("usdm_btcusdt_20230405", 11_788, 11_786),
    ],
)
def test_futures_follow_by_the_id_before(shared: Path, name: str, updates: int, equal: int) -> None:
    found = verify(shared / DATA / f"{name}.gz")
    assert found.ok
    assert (found.book_updates, found.best_equal, found.best_different) == (updates, equal, 0)


def test_a_stream_without_its_copy_does_not_verify(shared: Path) -> None:
    found = verify(shared / DATA / "spot_btcusdt_20230405.gz")
    assert not found.ok
    assert found.skipped == 3_929


def test_a_second_day_alone_does_not_verify(shared: Path, tmp_path: Path) -> None:
    alone = tmp_path / "usdm_btcusdt_20230405.gz"
    shutil.copy(shared / DATA / alone.name, alone)
    assert not verify(alone).ok


def test_a_lost_increment_is_a_gap(shared: Path, tmp_path: Path) -> None:
    with gzip.open(shared / DATA / "usdm_btcusdt_20230404.gz") as file:
        lines = file.readlines()
    depth = [at for at, line in enumerate(lines) if b"@depth" in line]
    del lines[depth[100]]
    path = tmp_path / "usdm.gz"
    path.write_bytes(b"".join(lines))
    found = verify(path)
    assert found.gaps == 1
    assert not found.ok


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spot.gz"
    path.write_bytes(b'1680000000000000000 {"stream":"x@depth","data":{}}\nnonsense\n')
    with pytest.raises(ProtocolError, match="line 2"):
        verify(path)


def test_the_copys_frame_names_its_symbol() -> None:
    assert rest_frame("BTCUSDT", b"{}") == b'{"stream":"BTCUSDT@rest","data":{}}'
