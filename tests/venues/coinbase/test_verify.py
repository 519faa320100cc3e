"""Recordings of Coinbase put through decoder and books."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.errors import ProtocolError
from openmm.venues.capture import Verified
from openmm.venues.coinbase.verify import verify

DATA = "data/coinbase"


def test_ten_thin_pairs_verify(shared: Path) -> None:
    found = verify(shared / DATA / "alts_20210417_ws.raw.gz")
    assert found == Verified(messages=9_946, book_updates=9_729, trades=107)


def test_messages_as_rows_verify(shared: Path) -> None:
    found = verify(shared / DATA / "btcusd_20180417_full.csv.gz")
    assert found == Verified(messages=18_353, book_updates=18_094, trades=257)


@pytest.mark.parametrize("part", [2])
def test_level_changes_follow_on_the_parts_before(shared: Path, part: int) -> None:
    found = verify(shared / DATA / f"btcusd_20180424_l2_part{part}.csv.gz")
    assert found == Verified(messages=48_462, book_updates=48_462)


def test_changes_without_their_copy_do_not_verify(tmp_path: Path) -> None:
    path = tmp_path / "x_l2_part1.csv"
    path.write_text("side,price,size,time\nbuy,1.5,2,2018-04-24T03:52:17.202Z\n")
    found = verify(path)
    assert not found.ok
    assert found.skipped == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("side,price,size,time\nbuy,1.5\n", "line 2"),
        ("side,price,time\nbuy,1.5,x\n", "size is missing"),
        ("side,price,size,time\nbuy,1.5,many,x\n", "many"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x_l2_part1.csv"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=told):
        verify(path)
