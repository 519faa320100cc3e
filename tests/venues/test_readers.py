"""Whose a recording is: by its first line, by its name, by its folder, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.venues.readers import READERS, split


def test_recording_tells_whose_it_is(shared: Path) -> None:
    data = shared / "data"
    for venue, name in (
        ("kraken", "v2_btcusd_d10_20260801.cbcap.gz"),
        ("coinbase", "btcusd_20180417_full.csv.gz"),
        ("binance", "spot_btcusdt_20230405.gz"),
    ):
        assert split(str(data / venue / name)) == (venue, data / venue / name)


def test_log_belongs_to_whom_it_is_told_or_to_its_folder_when_asked(shared: Path) -> None:
    path = shared / "data/gateio/spot_v4_20210422_ws.raw.gz"
    with pytest.raises(ConfigError, match="VENUE one of binance, bitget"):
        split(str(path))
    assert split(f"gateio:{path}") == ("gateio", path)
    assert split(str(path), by_folder=True) == ("gateio", path)
    assert split(f"bitget:{path}", by_folder=True) == ("bitget", path)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for text in (str(tmp_path / "none"), f"kraken:{tmp_path / 'none'}", str(tmp_path)):
        with pytest.raises(ConfigError, match="a recording that is there"):
            split(text)
    assert set(READERS) == {"binance", "bitget", "coinbase", "gateio", "kraken", "mexc"}
