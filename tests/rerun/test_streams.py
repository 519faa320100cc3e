"""Streams: recordings found by what they are, regimes made from a seed."""

from __future__ import annotations

import gzip
import math
from itertools import pairwise
from pathlib import Path

import pytest

from openmm._fast.book import Book
from openmm.errors import ConfigError
from openmm.rerun.streams import REGIMES, Stream, recorded, synthetic
from tests.rerun.told import MS_NS, copy, quiet, written

SECONDS = 60


@pytest.fixture(scope="module")
def regimes() -> dict[str, Stream]:
    return {name: synthetic(name, 1, SECONDS) for name in REGIMES}


def mids(stream: Stream) -> list[float]:
    """Return a stream's mid after each message that moved it."""
    one, book = stream.instrument("kraken"), Book()
    decoder = stream.market_decoder(one, book, depth=0, verify=True)
    found: list[float] = []
    for record in stream.records:
        decoder.decode(record.data, record.recv_ns)
        if book.best_bid_ticks is not None and book.best_ask_ticks is not None:
            mid = (book.best_bid_ticks + book.best_ask_ticks) / 2
            if not found or found[-1] != mid:
                found.append(mid)
    return found


def test_a_seed_makes_the_same_stream_and_another_another() -> None:
    one, same, other = (synthetic("calm", seed, 5) for seed in (3, 3, 4))
    assert one.records == same.records
    assert one.records != other.records


def test_regimes_are_what_they_are_called(regimes: dict[str, Stream]) -> None:
    found = {name: mids(one) for name, one in regimes.items()}
    rough = {
        name: math.sqrt(sum((math.log(b / a)) ** 2 for a, b in pairwise(moves)))
        for name, moves in found.items()
    }
    assert rough["volatile"] > 1.5 * rough["calm"]
    trend = found["trending"]
    assert math.log(trend[-1] / trend[0]) * 10_000 > 3
    assert len(regimes["thin"].records) * 3 < len(regimes["calm"].records)
    assert all(seed in one.about for one in regimes.values() for seed in ("seed 1", "synthetic"))


def test_a_stream_opens_when_its_book_is_whole(regimes: dict[str, Stream]) -> None:
    one = regimes["calm"]
    at_ns, mid_ticks = one.opening(one.instrument("kraken"))
    assert at_ns == one.records[0].recv_ns
    assert mid_ticks == pytest.approx(600_000, rel=1e-3)


def test_a_cut_keeps_the_first_part(regimes: dict[str, Stream]) -> None:
    cut = regimes["calm"].cut(10)
    assert 9 < cut.seconds <= 10
    assert cut.records == regimes["calm"].records[: len(cut.records)]


def test_recordings_are_known_by_their_content(shared: Path) -> None:
    data = shared / "data"
    binance = recorded(str(data / "binance/usdm_btcusdt_20230404.gz"))
    assert (binance.name, binance.pair) == ("binance usdm_btcusdt_20230404", "BTC/USDT")
    kraken = recorded(str(data / "kraken/v2_xrpusd_d25_20260802.cbcap.gz"))
    assert kraken.pair == "XRP/USD"
    log = f"coinbase:{data / 'coinbase/alts_20210417_ws.raw.gz'}"
    assert recorded(log, "SKL/BTC").pair == "SKL/BTC"


@pytest.mark.parametrize(
    ("text", "pair", "told"),
    [
        ("nowhere.gz", "", "a recording that is there"),
        ("{log}", "", "VENUE one of binance"),
        ("coinbase:{log}", "BTC/USD", "one of"),
        ("mexc:{log}", "", "a recording"),
    ],
)
def test_what_is_no_recording_is_refused(shared: Path, text: str, pair: str, told: str) -> None:
    log = shared / "data/coinbase/alts_20210417_ws.raw.gz"
    with pytest.raises(ConfigError, match=told):
        recorded(text.format(log=log), pair)


@pytest.mark.parametrize(
    ("jump_ms", "told"),
    [
        (3_700_000, "message 4 of 4 comes 3700.0 s after"),
        (365 * 86_400_000, "without a gap over 3600 s"),
        (-5_000, "message 4 of 4 comes -5.0 s after"),
    ],
)
def test_times_that_are_no_recordings_are_refused(tmp_path: Path, jump_ms: int, told: str) -> None:
    path = tmp_path / "market.gz"
    text = written(path, [copy(0, [("1.01", "1")], [("1.02", "1")]), *quiet(100, 250)])
    assert len(recorded(text).records) == 3
    *_, last = lines = gzip.decompress(path.read_bytes()).splitlines()
    stamp, _, data = last.partition(b" ")
    lines.append(b"%d %s" % (int(stamp) + jump_ms * MS_NS, data))
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    with pytest.raises(ConfigError, match=told):
        recorded(text)


def test_recordings_without_a_book_are_refused(tmp_path: Path, shared: Path) -> None:
    path = tmp_path / "market.gz"
    for messages in ([], [copy(0, [("1.01", "1")], [("1.02", "1")])], quiet(0, 500)):
        with pytest.raises(ConfigError, match=r"a recording \("):
            recorded(written(path, messages))
    with pytest.raises(ConfigError, match="a recording of a book; it tells of none"):
        recorded(f"bitget:{shared / 'data/bitget/v1_20220407_meta.raw.gz'}")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ConfigError, match="cut or damaged"):
        recorded(f"binance:{path}")


def test_an_unknown_regime_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of calm, trending, volatile, thin"):
        synthetic("stormy", 1, 5)
