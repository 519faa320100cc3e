"""Files of others in and out: which format, whose market, and nothing lost on the way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from openmm.data import hftbacktest
from openmm.data.convert import write_one
from openmm.data.events import CLEAR, Market, sealed
from openmm.data.formats import export_files, import_files
from openmm.data.raw import Converted
from openmm.data.store import Source, load
from openmm.errors import ConfigError, DataError
from tests.data.made import MARKET, small
from tests.data.test_store import alike

SOURCES = (Source("x", "00", 1),)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return write_one(Converted(small(), SOURCES, {"rounded": 1}), tmp_path).path


def test_parquet_there_and_back_is_the_same_file(stored: Path, tmp_path: Path) -> None:
    ((path, events, moved_ns),) = export_files([stored], tmp_path / "out", "parquet")
    assert (path.name, events, moved_ns) == (f"{stored.stem}.parquet", 12, 0)
    (one,) = import_files([path], tmp_path / "in", None)
    assert one.path.read_bytes() == stored.read_bytes()


def test_arrays_there_and_back_are_the_same_events(stored: Path, tmp_path: Path) -> None:
    ((path, _, _),) = export_files([stored], tmp_path / "out", "npz")
    (one,) = import_files([path], tmp_path / "in", MARKET)
    found = load(one.path)
    assert alike(found.events, sealed(small())[0])
    assert found.header.sources[0].name == path.name
    assert found.events.kinds[0] == CLEAR


def test_files_are_exchanged_together_or_none_is(stored: Path, tmp_path: Path) -> None:
    out, back, bad = tmp_path / "out", tmp_path / "in", tmp_path / "bad.parquet"
    bad.write_bytes(b"none")
    ((path, _, _),) = export_files([stored], out, "parquet")
    with pytest.raises(DataError):
        import_files([path, bad], back, None)
    assert list(back.iterdir()) == []
    for paths in ([stored, bad.with_suffix(".omd")], [stored, stored]):
        with pytest.raises((ConfigError, DataError)):
            export_files(paths, out, "npz")
        assert list(out.iterdir()) == [path]


def test_what_is_wrong_is_told_of_the_file_that_was_given(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "late.npz"
    table, _ = hftbacktest.arrays(small())
    table["local_ts"] = -5
    np.savez(path, data=table)
    with pytest.raises(DataError) as caught:
        import_files([path], tmp_path / "in", MARKET)
    assert str(caught.value).startswith(f"{path}: recv_ns, event 0: a time, above 0; got -5")


def test_what_cannot_be_exchanged_is_refused(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--format: parquet or npz"):
        export_files([stored], tmp_path / "out", "csv")
    ((path, _, _),) = export_files([stored], tmp_path / "out", "npz")
    with pytest.raises(ConfigError, match="not there yet, or --replace"):
        export_files([stored], tmp_path / "out", "npz")
    assert export_files([stored], tmp_path / "out", "npz", replace=True)
    with pytest.raises(ConfigError, match="arrays do not tell them"):
        import_files([path], tmp_path / "in", None)
    with pytest.raises(ConfigError, match=r"one that ends in \.parquet or \.npz"):
        import_files([stored], tmp_path / "in", MARKET)


def test_a_market_of_several_is_told_so_that_contracts_stay_contracts(
    stored: Path, tmp_path: Path
) -> None:
    ((path, _, _),) = export_files([stored], tmp_path / "out", "npz")
    untold = Market("binance", "BTC/USD", Decimal("0.1"), Decimal("0.0001"))
    for market in ("", "cm"):
        with pytest.raises(ConfigError, match="--market: one of spot, usdm, coinm"):
            import_files([path], tmp_path / "in", replace(untold, market=market))
    assert not list((tmp_path / "in").iterdir())
    (one,) = import_files([path], tmp_path / "in", replace(untold, market="coinm"))
    assert load(one.path).market.contract_size == 100
    # Parquet that was written before tells it no better.
    events = replace(small(), market=untold)
    old = write_one(Converted(events, SOURCES, {}), tmp_path).path
    ((rows, _, _),) = export_files([old], tmp_path / "out", "parquet")
    with pytest.raises(ConfigError, match="--market"):
        import_files([rows], tmp_path / "in", None)
