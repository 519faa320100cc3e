"""Recordings into a folder: names, steps of one market, and what is refused."""

from __future__ import annotations

import gzip
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from openmm.data.convert import convert_files, make_folder, name_of, write_one
from openmm.data.raw import Converted
from openmm.data.store import load
from openmm.errors import ConfigError, DataError, OpenMMError
from tests.data.made import events_of, small
from tests.data.test_tardis import ROWS, book

CAPTURE = "data/kraken/v2_btcusd_d10_20260801.cbcap.gz"


def test_recording_becomes_a_file_named_after_its_market_and_begin(
    shared: Path, tmp_path: Path
) -> None:
    (one,) = convert_files([str(shared / CAPTURE)], tmp_path / "a" / "market")
    assert one.path == tmp_path / "a" / "market" / "kraken_BTC-USD_20260801T025353.omd"
    store = load(one.path)
    (source,) = store.header.sources
    assert source.name == Path(CAPTURE).name
    assert source.sha256 == sha256((shared / CAPTURE).read_bytes()).hexdigest()
    assert store.header.integrity == one.found.to_json()
    assert (one.found.verdict, one.found.figures["crossed"]) == ("doubtful", 0)  # no trades
    assert (store.header.tick_size, store.header.depth) == ("0.1", 10)


def test_file_that_is_there_is_kept_unless_told_otherwise(shared: Path, tmp_path: Path) -> None:
    file = str(shared / CAPTURE)
    (first,) = convert_files([file], tmp_path)
    before = first.path.read_bytes()
    with pytest.raises(ConfigError, match="not there yet, or --replace"):
        convert_files([file], tmp_path)
    (again,) = convert_files([file], tmp_path, replace=True)
    assert again.path.read_bytes() == before  # the same recording, byte for byte


def test_two_recordings_of_one_market_share_their_steps(shared: Path, tmp_path: Path) -> None:
    """One that was cut short holds coarser quantities alone."""
    folder = tmp_path / "binance"
    folder.mkdir()
    source = shared / "data/binance/cm_ethusd_perp_20240808.gz"
    with gzip.open(source) as file:
        lines = [line for line, _ in zip(file, range(600), strict=False)]
    (folder / "cm_a.gz").write_bytes(gzip.compress(b"".join(lines), 1))
    # The same, later, and with one quantity of half a contract.
    later = [line.replace(line[:19], str(int(line[:19]) + 10**12).encode(), 1) for line in lines]
    at = next(at for at, line in enumerate(later) if at > 300 and b'"q":"' in line)
    later[at] = later[at].replace(b'"q":"', b'"q":"0.5","z":"', 1)
    (folder / "cm_b.gz").write_bytes(gzip.compress(b"".join(later), 1))
    alone, _ = (
        convert_files([str(folder / name)], tmp_path / name)[0] for name in ("cm_a.gz", "cm_b.gz")
    )
    made = convert_files([str(folder / "cm_a.gz"), str(folder / "cm_b.gz")], tmp_path / "both")
    assert alone.market.lot_size == Decimal(1)
    assert [one.market.lot_size for one in made] == [Decimal("0.1")] * 2
    both, single = load(made[0].path), load(alone.path)
    assert both.header.lot_size == "0.1"
    assert np.array_equal(both.qty_lots, single.qty_lots * 10)
    assert both.header.sources == single.header.sources


def test_what_is_nothing_to_convert_is_refused(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a recording that is there"):
        convert_files([str(tmp_path / "none")], tmp_path)
    rows = tmp_path / "a.csv"
    rows.write_bytes(book(ROWS))
    with pytest.raises(ConfigError, match="no pair with files that hold one market each"):
        convert_files([str(rows)], tmp_path, pair="BTC/USDT")


def test_files_come_together_or_none_does(shared: Path, tmp_path: Path) -> None:
    good, bad, out = str(shared / CAPTURE), tmp_path / "bad.gz", tmp_path / "out"
    bad.write_bytes((shared / CAPTURE).read_bytes()[:1000])
    with pytest.raises(OpenMMError):
        convert_files([good, f"kraken:{bad}"], out)
    assert list(out.iterdir()) == []
    (one,) = convert_files([good], out)
    before = one.path.read_bytes()
    with pytest.raises(OpenMMError):
        convert_files([good, f"kraken:{bad}"], out, replace=True)
    assert (list(out.iterdir()), one.path.read_bytes()) == ([one.path], before)


def test_name_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    long = replace(small(), market=replace(small().market, pair="B" * 300 + "/USD"))
    with pytest.raises(ConfigError, match="a file's name"):
        write_one(Converted(long, (), {}), tmp_path)


def test_name_of_no_events_and_of_a_market_among_several() -> None:
    assert name_of(events_of([])) == "kraken_BTC-USD_empty.omd"
    some = replace(small(), market=replace(small().market, venue="binance", market="usdm"))
    assert name_of(some) == "binance-usdm_BTC-USD_20250615T150640.omd"


def test_one_pair_followed_twice_is_two_files(tmp_path: Path) -> None:
    """Both feeds begin in the same second; neither writes over the other, replaced or not."""
    deep = replace(small(), market=replace(small().market, depth=25))
    for again in (False, True):
        taken: set[Path] = set()
        made = [
            write_one(Converted(events, (), {}), tmp_path, taken, replace=again).path
            for events in (small(), deep, small())
        ]
        assert [path.stem.rpartition("T")[2] for path in made] == ["150640", "150640-2", "150640-3"]
        assert [load(path).header.depth for path in made] == [10, 25, 10]
    with pytest.raises(ConfigError, match="not there yet, or --replace"):
        write_one(Converted(deep, (), {}), tmp_path, set())


def test_what_no_book_takes_is_told_before_it_is_looked_through(tmp_path: Path) -> None:
    prices = small().price_ticks.copy()
    prices[1] = 1 << 50
    with pytest.raises(DataError, match="price_ticks, event 1: at most"):
        write_one(Converted(replace(small(), price_ticks=prices), (), {}), tmp_path)


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_folder_that_cannot_be_made_is_told(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--out: a folder that is there or can be made"):
        make_folder(tmp_path / out)
