"""Recordings as events: a plain book that takes them is the decoder's, message after message."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from openmm._fast.book import Book, BookState
from openmm._fast.changes import follow
from openmm.data import binance, kraken_v1, raw
from openmm.data.events import (
    ASK,
    FILTERED,
    MESSAGE_END,
    QUOTE,
    READ_END,
    TRADE,
    Events,
)
from openmm.errors import ConfigError, ProtocolError
from openmm.venues.capture import CaptureWriter, read_frames, read_head
from openmm.venues.kraken.verify_v1 import LogCheck
from openmm.venues.readers import READERS
from openmm.venues.recordings import Record, RecordedPair, Recording, read_log
from tests.data.test_store import alike

LOOKS = 40  # whole books compared, of each market
Sample = Callable[[Path, Path], tuple[str, Path]]


def whole(venue: str, name: str) -> Sample:
    return lambda data, _: (venue, data / venue / name)


def head(venue: str, name: str, lines: int, *beside: str) -> Sample:
    """Take the first lines of a file, and the whole of those that it needs beside it."""

    def cut(data: Path, folder: Path) -> tuple[str, Path]:
        with gzip.open(data / venue / name) as file:
            kept = b"".join(line for line, _ in zip(file, range(lines), strict=False))
        (folder / name).write_bytes(gzip.compress(kept, 1))
        for other in beside:
            (folder / other).symlink_to(data / venue / other)
        return venue, folder / name

    return cut


SAMPLES: dict[str, Sample] = {
    "A, perpetual": head("binance", "usdm_btcusdt_20240808.gz", 9_000),
    "A, spot, goes on from the day before": head(
        "binance", "spot_btcusdt_20240809.gz", 6_000, "spot_btcusdt_20240808.gz"
    ),
    "A, coins": head("binance", "cm_ethusd_perp_20240808.gz", 6_000),
    "B, several snapshots": whole("kraken", "v2_btcusd_d10_20260801.cbcap.gz"),
    "B, depth 25": whole("kraken", "v2_xrpusd_d25_20260802.cbcap.gz"),
    "C, gateio": whole("gateio", "spot_v4_20210422_ws.raw.gz"),
    "C, bitget": whole("bitget", "v1_20220407_spot.raw.gz"),
    "C, coinbase": head(
        "coinbase", "alts_20210417_ws.raw.gz", 3_000, "alts_20210417_meta.raw.gz"
    ),
    "D": head(
        "coinbase", "btcusd_20180424_l2_part1.csv.gz", 1_500,
        "btcusd_20180424_snapshot_bids.csv.gz", "btcusd_20180424_snapshot_asks.csv.gz",
    ),
    "E": head("coinbase", "btcusd_20180417_full.csv.gz", 2_500),
}  # fmt: skip


def books(recording: Recording, told: RecordedPair, events: Events) -> Iterator[tuple[int, Book]]:
    """Yield the decoder's own book after each moment of receipt."""
    book = Book(outside_levels=1 << 16)
    decoder = recording.decoder(told, raw.instrument_of(events.market, told), book)
    high_ns = 0
    for recv_ns, some in groupby(recording.records, key=lambda one: one.recv_ns):
        for one in some:
            decoder.decode(one.data, one.recv_ns)
        high_ns = max(high_ns, recv_ns)
        yield high_ns, book


def in_lots(book: Book, factor: int) -> list[list[tuple[int, int]]]:
    return [[(price, qty // factor) for price, qty in book.levels(side)] for side in (0, 1)]


def compare(events: Events, moments: Iterator[tuple[int, Book]], factor: int) -> int:
    """Hold events against a decoder's books: best prices always, all levels now and then."""
    bids, asks = np.zeros(len(events), np.int64), np.zeros(len(events), np.int64)
    plain = Book(outside_levels=1 << 16)
    follow(
        plain, events.price_ticks.data, events.qty_lots.data, events.flags.data, bids.data,
        asks.data,
    )  # fmt: skip
    ends = np.flatnonzero(events.flags & READ_END)
    every = max(1, len(ends) // LOOKS)
    compared = at = 0
    for recv_ns, book in moments:
        while at < len(ends) and events.recv_ns[ends[at]] <= recv_ns:
            at += 1
        place = int(ends[at - 1]) if at else -1
        verified = book.state is BookState.BOOK_VERIFIED
        if place < 0:
            assert not verified
            continue
        best = (book.best_bid_ticks or 0, book.best_ask_ticks or 0) if verified else (0, 0)
        assert (bids[place], asks[place]) == best, f"at {recv_ns}"
        if verified and events.recv_ns[place] == recv_ns and at % every == 0:
            assert in_lots(events.book_before(place + 1), 1) == in_lots(book, factor)
            compared += 1
    return compared


@pytest.mark.parametrize("name", SAMPLES)
def test_events_make_the_decoders_book_at_every_moment(
    shared: Path, tmp_path: Path, name: str
) -> None:
    venue, path = SAMPLES[name](shared / "data", tmp_path)
    recording = READERS[venue](path)
    found = list(raw.convert(venue, path))
    assert len(found) == len(recording.pairs)
    for one, told in zip(found, recording.pairs.values(), strict=True):
        factor = one.events.market.lot_size / raw.step(told.qty_decimals)
        records = raw._since_1970(path, recording.records)
        moved = Recording(records, recording.pairs, recording.decoder)
        assert compare(one.events, books(moved, told, one.events), int(factor)) > 0


def test_log_of_kraken_v1_gives_the_books_that_its_checksums_prove(
    shared: Path, tmp_path: Path
) -> None:
    cut = head("kraken", "v1_20210405_book.raw.gz", 3_000, "v1_20210405_trade.raw.gz")
    _, path = cut(shared / "data", tmp_path)
    found = {one.events.market.pair: one.events for one in raw.convert("kraken", path)}
    assert len(found) == 10

    def moments(name: str) -> Iterator[tuple[int, Book]]:
        check = LogCheck()
        for recv_ns, some in groupby(read_log(path), key=lambda one: one.recv_ns):
            for one in some:
                check.take(one)
            if name in check.pairs:
                yield recv_ns, check.pairs[name].book
        assert check.found.checksums_failed == 0

    events = found["BTC/USD"]
    assert events.market.tick_size == Decimal("0.1")
    assert compare(events, moments("XBT/USD"), 1) > 0
    trades = events.kinds == TRADE
    assert np.count_nonzero(trades) == 22  # of another connection, merged by time of receipt
    assert kraken_v1.trades_beside(path) == path.with_name("v1_20210405_trade.raw.gz")


def test_best_prices_beside_the_book_are_kept_when_asked_for(shared: Path, tmp_path: Path) -> None:
    """A recording that never holds a whole book has nothing else."""
    cut = head("binance", "usdm_btcusdt_20230404.gz", 2_000)
    _, path = cut(shared / "data", tmp_path)
    (plain,) = raw.convert("binance", path)
    (told,) = raw.convert("binance", path, quotes=True)
    quotes = told.events.kinds == QUOTE
    assert not np.any(plain.events.kinds == QUOTE)
    assert np.count_nonzero(quotes) > 100
    assert np.count_nonzero(~quotes) == len(plain.events)
    bids = quotes & ((told.events.flags & ASK) == 0)
    asks = quotes & ((told.events.flags & ASK) != 0)
    assert np.all(told.events.price_ticks[bids] < told.events.price_ticks[asks])
    assert np.all(told.events.flags[asks] & MESSAGE_END)


def test_recording_without_a_whole_book_is_trades_and_best_prices(
    shared: Path, tmp_path: Path
) -> None:
    cut = head("binance", "spot_btcusdt_20230405.gz", 2_000)
    _, path = cut(shared / "data", tmp_path)
    assert binance.is_unbased(path)
    (one,) = raw.convert("binance", path)
    assert set(one.events.kinds.tolist()) == {TRADE, QUOTE}
    assert one.events.market.label == "binance-spot BTC/USDT"
    assert one.events.market.tick_size == Decimal("0.01")


def test_trade_that_is_not_the_markets_is_kept_and_marked(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/binance/usdm_btcusdt_20230405.gz"
    with gzip.open(path) as file:
        lines = file.readlines()
    at = next(at for at, line in enumerate(lines) if b'"X":"INSURANCE_FUND"' in line)
    before = "usdm_btcusdt_20230404.gz"  # that it goes on from
    (tmp_path / before).symlink_to(path.with_name(before))
    sample = tmp_path / path.name
    sample.write_bytes(gzip.compress(b"".join(lines[: at + 200]), 1))
    (one,) = raw.convert("binance", sample)
    places = np.flatnonzero(one.events.flags & FILTERED)
    assert one.events.market.tick_size == Decimal("0.1")
    assert one.events.price_ticks[places].tolist() == [287_225]
    assert one.events.kinds[places].tolist() == [TRADE]
    assert "trade_gaps" not in one.notes


def test_times_of_a_monotonic_clock_begin_where_the_capture_did(shared: Path) -> None:
    path = shared / "data/kraken/v2_btcusd_d10_20260801.cbcap.gz"
    (one,) = raw.convert("kraken", path)
    first_ns = int(one.events.recv_ns[0])
    assert 0 < first_ns - read_head(path).start_ns < 2_000_000_000


def test_receipt_before_the_one_ahead_is_moved_up_and_counted(shared: Path, tmp_path: Path) -> None:
    cut = head("binance", "usdm_btcusdt_20240808.gz", 1_000)
    _, path = cut(shared / "data", tmp_path)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    at = next(at for at, line in enumerate(lines) if at > 800 and b"@trade" in line)
    stamp = int(lines[at].partition(b" ")[0])
    lines[at] = lines[at].replace(str(stamp).encode(), str(stamp - 10**9).encode(), 1)
    path.write_bytes(gzip.compress(b"".join(lines), 1))
    (one,) = raw.convert("binance", path)
    assert one.notes["recv_moved"] == 1
    assert 0.9e9 < one.notes["recv_moved_ns_max"] <= 1.0e9
    assert np.all(np.diff(one.events.recv_ns) >= 0)


def test_lots_are_the_coarsest_that_hold_the_data_or_those_asked_for(shared: Path) -> None:
    path = shared / "data/bitget/v1_20220407_perp.raw.gz"
    (one,) = raw.convert("bitget", path, pair="DASH/USDT")
    assert one.events.market.lot_size == Decimal("0.01")
    (fine,) = raw.convert("bitget", path, pair="DASH/USDT", lot_size=Decimal("0.001"))
    assert fine.events.market.lot_size == Decimal("0.001")
    assert np.array_equal(fine.events.qty_lots, one.events.qty_lots * 10)
    with pytest.raises(ConfigError, match=r"quantities are finer than lots of 0\.1"):
        list(raw.convert("bitget", path, pair="DASH/USDT", lot_size=Decimal("0.1")))


def test_own_capture_gives_what_it_was_taken_from(shared: Path, tmp_path: Path) -> None:
    """As `openmm record` writes them, cut off in the middle too."""
    source = shared / "data/kraken/v2_btcusd_d10_20260801.cbcap.gz"
    path = tmp_path / "a.cbcap.zst"
    head = read_head(source)
    with CaptureWriter(path, head.venue, head.instrument, head.start_ns) as writer:
        for frame in read_frames(source):
            writer.write(frame.data, frame.recv_ns)
            writer.flush()
    (wanted,), (found,) = raw.convert("kraken", source), raw.convert("kraken", path)
    assert alike(found.events, wanted.events)
    path.write_bytes(path.read_bytes()[:-200])
    (cut,) = raw.convert("kraken", path)
    n = len(cut.events)
    assert 0 < n < len(wanted.events)
    assert np.array_equal(cut.events.price_ticks, wanted.events.price_ticks[:n])


def test_what_cannot_be_converted_is_refused(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/kraken/v2_btcusd_d25_20260802.cbcap.gz"
    with pytest.raises(ConfigError, match="pair: one of BTC/USD"):
        list(raw.convert("kraken", path, pair="ETH/USD"))
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ProtocolError, match="cut or damaged"):
        list(raw.convert("kraken", cut))
    none = tmp_path / "a.cbcap"
    none.write_bytes(b"CBCAP1 kraken BTC/USD 5\n7 2\n{}\n")
    with pytest.raises(ProtocolError):
        list(raw.convert("kraken", none))


def test_clock_without_any_origin_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cbcap"
    path.write_bytes(b"CBCAP1 kraken BTC/USD 5\n7 2\n{}\n")
    with pytest.raises(ProtocolError, match="a time since 1970"):
        raw._since_1970(path, [Record(7, b"{}")])
