"""Whose a recording is: by its first line, by its name, by its folder, or told."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from zstandard import ZstdCompressor

from openmm.errors import ConfigError, ProtocolError
from openmm.venues.capture import Verified
from openmm.venues.kraken.verify import verify as kraken
from openmm.venues.mexc.verify import verify as mexc
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


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        ("binance", "a.gz"), ("bitget", "a.raw.gz"), ("bitget", "a.json.gz"),
        ("coinbase", "a.raw.gz"), ("gateio", "a_ws.raw.gz"), ("gateio", "a.json.gz"),
        ("kraken", "a.cbcap.gz"), ("mexc", "a.cbcap.gz"),
    ],
)  # fmt: skip
def test_a_recording_that_is_cut_is_one_error_that_names_it(
    tmp_path: Path, venue: str, name: str
) -> None:
    """Nothing else goes to the caller: an EOFError is taken for the user's end of input."""
    path = tmp_path / name
    line = b"1618963200000000000 {}\n" if venue == "binance" else b"1618963200.5: {}\n"
    if "cbcap" in name:
        line = b"CBCAP1 %b BTC/USD 1618963200000000000\n5 2\n{}\n" % venue.encode()
    whole = gzip.compress(line + line * 50 * ("cbcap" not in name))
    wrong_sum = bytearray(whole)
    wrong_sum[-6] ^= 1
    for data in (whole[:-9], bytes(wrong_sum)):
        path.write_bytes(data)
        with pytest.raises(ProtocolError, match="cut or damaged") as caught:
            READERS[venue](path)
        assert str(path) in str(caught.value)


def test_lines_that_were_cut_while_they_were_packed_say_so(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    lines = b"".join(b'%d {"e":"depthUpdate","n":%d}\n' % (10**18 + n, n) for n in range(50_000))
    packed = ZstdCompressor().compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ProtocolError, match=f"^{path}: .*cut"):
        READERS["binance"](path)


def test_a_damaged_file_of_nobody_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(1000))[:12])
    with pytest.raises(ConfigError, match="cut or damaged"):
        split(str(path))
    path.write_bytes(ZstdCompressor().compress(b"CBCAP1 kraken BTC/USD 5\n")[:12])
    with pytest.raises(ConfigError, match=f"{path}: cut short before it tells whose it is"):
        split(str(path))


@pytest.mark.parametrize("verify", [kraken, mexc])
def test_messages_in_json_that_are_cut_are_named(
    tmp_path: Path, verify: Callable[[Path], Verified]
) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b"{}")[:-3])
    with pytest.raises(ProtocolError, match=f"{path}: cut or damaged"):
        verify(path)
