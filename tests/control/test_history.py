"""Samples make true statements: a spread that halves is told as -50%, and over how much time."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm._fast.book import BookState
from openmm.control import history
from openmm.control.history import Ring, Sampler, market_stats, read_ring, ring_path
from openmm.control.home import Home
from openmm.engine.rundir import Lock, RunDir
from openmm.telemetry import BookLevel, TelemetrySnapshot, TelemetryWriter, VenuePage
from tests.control.conftest import BOT, Running

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
VENUE = VenuePage(
    b"kraken", 1, BookState.BOOK_VERIFIED, 0, 0, 0, 0, 0, 0, 0, 1_000_000, 1, 1, 1
)  # fmt: skip
PAGE = TelemetrySnapshot(
    session="one-1", bot="one", mode="paper", pid=1, started_ns=NOW, heartbeat_ns=NOW,
    instrument="BTC/USD", base="BTC", quote="USD", tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"), risk_state=1, venues=(VENUE,),
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    RunDir(tmp_path, "one").make().session.write_text(
        '{"config": {"venue": [{"quote": "BTC/USD"}]}}'
    )
    RunDir(tmp_path, "one").lock.touch()
    return Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")


def page(second: int, spread_ticks: int, lots: int = 1_000, **changes: object) -> TelemetrySnapshot:
    """A market around 50,000.0 with levels a tick apart."""
    bid = 500_000 - spread_ticks // 2
    return replace(
        PAGE, heartbeat_ns=NOW + second * SECOND,
        book_bids=tuple(BookLevel(bid - i, lots) for i in range(10)),
        book_asks=tuple(BookLevel(bid + spread_ticks + i, lots) for i in range(10)),
        **changes,
    )  # fmt: skip


def test_a_spread_that_compressed_by_forty_percent_is_told_so(home: Home) -> None:
    ring = Ring(ring_path(home, "one"), PAGE)
    for second in range(0, 3600, 10):
        ring.add(page(second, 100 if second < 1800 else 60, 1_000 if second < 1800 else 1_500))
    ring.close()
    told = market_stats(home, "one", NOW + 3600 * SECOND, hours="1")
    spread = told["spread_bps"]
    assert (spread["then"], spread["now"], spread["change_percent"]) == ("2", "1.2", "-40")
    assert (spread["min"], spread["max"], spread["samples"]) == ("1.2", "2", 360)
    assert told["depth_best"]["then"] == "2"
    assert told["depth_10"]["change_percent"] == "50"
    assert told["mid"]["change_percent"] == "0"
    # Every tenth second has a sample: that much is known, and no more is said.
    assert (told["wanted_s"], told["covered_s"], told["longest_gap_s"]) == (3600, 360, 10)
    assert "360 of 3600 s" in told["note"]
    assert sum(one["samples"] for one in told["series"]) == 360
    half = market_stats(home, "one", NOW + 3600 * SECOND, hours="0.25")
    assert half["spread_bps"]["change_percent"] == "0"


def test_a_ring_keeps_its_size_and_its_newest(tmp_path: Path) -> None:
    path = tmp_path / "one.ring"
    for start in (0, 100):  # a gateway that was started again goes on
        ring = Ring(path, PAGE, slots=50)
        for second in range(start, start + 40):
            ring.add(page(second, 2))
        ring.close()
    found = read_ring(path, 0, "BTC/USD")
    assert [(one.ts_ns - NOW) // SECOND for one in found] == [*range(30, 40), *range(100, 140)]
    assert path.stat().st_size == 192 + 50 * 60
    assert path.stat().st_mode & 0o077 == 0
    assert read_ring(path, NOW + 120 * SECOND, "BTC/USD") == found[-20:]
    assert read_ring(path, 0, "ETH/USD") == []
    other = Ring(path, replace(PAGE, tick_size=Decimal("0.01")), slots=50)
    other.close()
    assert read_ring(path, 0, "BTC/USD") == []


def test_a_torn_slot_or_file_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "one.ring"
    ring = Ring(path, PAGE, slots=10)
    for second in range(3):
        ring.add(page(second, 2))
    ring.close()
    body = bytearray(path.read_bytes())
    body[192 + 60 + 9] ^= 0xFF
    path.write_bytes(body)
    assert len(read_ring(path, 0, "BTC/USD")) == 2
    path.write_bytes(body[:100])
    assert read_ring(path, 0, "BTC/USD") == []


def test_only_a_fresh_verified_two_sided_book_of_a_running_bot_is_sampled(home: Home) -> None:
    run_dir = RunDir(home.root, "one")
    writer = TelemetryWriter(run_dir.page)
    clock = [NOW + 5 * SECOND]
    sampler = Sampler(home, clock=lambda: clock[0])
    broken = VENUE._replace(book_state=BookState.BOOK_BROKEN)
    try:
        writer.publish(page(5, 2))
        assert sampler.sample() == 0, "nobody holds its lock"
        with Lock(run_dir.lock, "one"):
            for bad in (
                page(1, 2), page(5, 2, venues=(broken,)), replace(page(5, 2), book_asks=()),
            ):  # fmt: skip
                writer.publish(bad)
                assert sampler.sample() == 0
            writer.publish(page(5, 2))
            assert sampler.sample() == 1
            assert sampler.sample() == 0, "the same page is one sample"
            writer.publish(page(6, 4))
            assert sampler.sample() == 1
    finally:
        sampler.close()
        writer.close()
    found = read_ring(ring_path(home, "one"), 0, "BTC/USD")
    assert [one.ask - one.bid for one in found] == [Decimal("0.2"), Decimal("0.4")]
    assert found[0].bid_depth == 10


def test_a_disk_that_takes_no_sample_is_told_and_stops_nobody(home: Home) -> None:
    home.state.mkdir()
    (home.state / "samples").touch()
    writer = TelemetryWriter(RunDir(home.root, "one").page)
    sampler = Sampler(home, clock=lambda: NOW)
    try:
        writer.publish(page(0, 2))
        with Lock(RunDir(home.root, "one").lock, "one"):
            assert sampler.sample() == 0
        assert "one: " in sampler.problem
    finally:
        sampler.close()
        writer.close()
    told = market_stats(home, "one", NOW, hours="1")
    assert (told["covered_s"], "no samples" in told["note"]) == (0, True)


def test_what_no_gateway_saw_comes_from_the_ledger(running: Running, tmp_path: Path) -> None:
    home = Home(running.home.root, tmp_path / "state", running.home.clients)
    told = market_stats(home, BOT, time.time_ns(), hours="1")
    assert told["sources"]["gateway"] == 0
    assert told["covered_s"] == told["sources"]["ledger"] >= 1
    assert told["depth_10"] is None
    assert Decimal(told["spread_bps"]["mean"]) > 0
    sampler = Sampler(home)
    try:
        assert sampler.sample() == 1
    finally:
        sampler.close()
    both = market_stats(home, BOT, time.time_ns(), hours="1")
    assert both["sources"]["gateway"] == 1
    assert Decimal(both["depth_10"]["last"]) > 0
    assert history.SLOTS * 60 < 6 << 20
