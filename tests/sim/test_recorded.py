"""Recordings of Gate.io, Bitget and MEXC, served anew: the recorded book, and one to trade on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm.clock import ManualClock
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.options import SimOptions
from openmm.sim.pipe import Pipe
from openmm.sim.recorded import RecordedDriver
from openmm.sim.server import build_core
from openmm.testing.virtual import VirtualBot
from openmm.venues import registry
from openmm.venues.capture import CaptureWriter
from openmm.venues.recordings import Recording
from tests.e2e.usdt import config
from tests.sim.venue import NS, T0

MS = 1_000_000
Levels = tuple[list[tuple[int, int]], list[tuple[int, int]]]
# Depths whose books differ in kind: joined to a REST copy, brought whole, or whole each time.
CASES = [
    ("gateio", 100), ("gateio", 50), ("bitget", 400), ("bitget-legacy", 400), ("bitget", 15),
    ("mexc", 500), ("mexc", 20),
]  # fmt: skip
FILES = {
    "gateio": "gateio/spot_v4_20210422_ws.raw.gz",
    "bitget": "bitget/v1_20220407_spot.raw.gz",
}


class Reader:
    """A simulated venue and a reader of its public feed, on a virtual clock."""

    def __init__(
        self, options: SimOptions, depth: int, tap: Callable[[bytes, int], None] | None = None
    ) -> None:  # fmt: skip
        self.clock = ManualClock(T0)
        self.core = build_core(options, T0)
        (self.name,) = self.core.instruments
        gateway, self.rest = options.dialect.make(self.core, options.seed, False)
        self.pipe = Pipe(gateway, False, T0)
        self.tap = tap
        self.depth = depth
        venue = config(options.venue.partition("-")[0], depth).quoted
        self.connector = registry.connector(
            venue.model_copy(update={"quote": self.name}), None, clock=self.clock, round_trip=self
        )
        self.book = Book()
        self.trades = TradeLog()
        asyncio.run(self._open())

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        target = f"{path}?{query}" if query else path
        return self.rest.answer(verb, target, headers, body, self.clock.now_ns())

    async def close(self) -> None:
        """Nothing is held."""

    async def _open(self) -> None:
        found = await self.connector.rest().instruments([self.name])
        self.pair = found[self.name]
        self.decoder = self.connector.market_decoder(
            self.pair, self.book, depth=self.depth, verify=True
        )
        self.decoder.set_sink(self.trades)
        for frame in self.connector.subscribe_market(self.pair, self.depth):
            self.pipe.send(frame, self.clock.now_ns())
        self.run(0.2)
        copy = await self.connector.book_snapshot(self.pair, self.depth)
        if copy is not None:
            self._read(copy)

    def _read(self, frame: bytes) -> None:
        now_ns = self.clock.now_ns()
        if self.tap is not None:
            self.tap(frame, now_ns)
        if self.decoder.decode(frame, now_ns) is Decoded.DECODED_SLOW:
            self.connector.read_public(frame, now_ns)

    def run(self, seconds: float) -> None:
        """Let time pass, and read what comes."""
        end_ns = self.clock.now_ns() + round(seconds * NS)
        while self.clock.now_ns() < end_ns:
            self.clock.advance(5 * MS)
            for frame in self.pipe.receive(self.clock.now_ns()):
                self._read(frame)

    @property
    def driver(self) -> RecordedDriver:
        """What plays the recording."""
        (one,) = [one for one in self.core.drivers if isinstance(one, RecordedDriver)]
        return one

    def levels(self, depth: int = 1000) -> Levels:
        """Return the book that was read."""
        return self.book.levels(0, depth), self.book.levels(1, depth)

    def check_whole(self) -> None:
        """Check that no message broke the book."""
        counts = self.decoder.counters
        assert self.book.state is BookState.BOOK_VERIFIED
        assert counts["book_updates"] > 0
        for name in (
            "gaps",
            "checksums_failed",
            "crossed",
            "parse_errors",
            "off_tick",
            "overflows",
        ):
            assert counts[name] == 0, name


def end_of(recording: Recording, name: str, pair: Instrument, depth: int) -> tuple[Levels, int]:
    """Read a recording to its end: the best levels, and how many trades came once it was whole."""
    book, trades = Book(), TradeLog(4096)
    decoder = recording.decoder(recording.pairs[name], pair, book)
    decoder.set_sink(trades)
    count = 0
    for record in recording.records:
        decoder.decode(record.data, record.recv_ns)
        told = trades.take()
        if book.state is BookState.BOOK_VERIFIED and book.version:
            count += sum(not row[-1] for row in told)
    assert book.state is BookState.BOOK_VERIFIED
    return (book.levels(0, depth), book.levels(1, depth)), count


def capture(folder: Path, venue: str, depth: int, seconds: float = 8) -> tuple[Path, Levels]:
    """Record a synthetic market as `openmm record` does, REST copy included."""
    path = folder / "feed.cbcap.zst"
    pairs = SimOptions(venue=venue).dialect.pairs
    name = next(iter(pairs))
    with CaptureWriter(path, pairs[name][0].venue, name, T0) as writer:
        reader = Reader(SimOptions(venue=venue, seed=5), depth, writer.write)
        reader.run(seconds)
    reader.check_whole()
    return path, reader.levels()


def shape(levels: Levels, pair: Instrument) -> list[list[tuple[Decimal, Decimal]]]:
    """Write levels as prices and quantities."""
    return [[(pair.price(price), pair.qty(qty)) for price, qty in side] for side in levels]


@pytest.mark.parametrize(("venue", "depth"), CASES)
def test_a_capture_served_anew_ends_with_the_recorded_book(
    tmp_path: Path, venue: str, depth: int
) -> None:
    path, recorded = capture(tmp_path, venue, depth)
    reader = Reader(SimOptions(venue=venue, replay=path, speed=Decimal(4)), depth)
    while not reader.driver.done:
        reader.run(0.5)
    reader.run(1)
    reader.check_whole()
    levels = min(depth, 100)
    assert [side[:levels] for side in reader.levels()] == [side[:levels] for side in recorded]
    recording = reader.driver.recording
    _, count = end_of(recording, reader.name, reader.pair, depth)
    assert count > 0
    assert sum(not row[-1] for row in reader.trades.take()) == count


@pytest.mark.parametrize(("venue", "file"), FILES.items())
def test_every_pair_of_a_recorded_file_is_served(shared: Path, venue: str, file: str) -> None:
    path = shared / "data" / file
    depth = {"gateio": 100, "bitget": 400}[venue]
    names = list(Reader(SimOptions(venue=venue, replay=path), depth).driver.recording.pairs)
    assert len(names) == {"gateio": 7, "bitget": 8}[venue]
    moved = 0
    for name in names:
        options = SimOptions(venue=venue, replay=path, instrument=name, speed=Decimal(10))
        reader = Reader(options, depth)
        while not reader.driver.done:
            reader.run(0.5)
        reader.run(0.5)
        counts = reader.decoder.counters
        moved += counts["book_updates"]
        reader.check_whole()
        (bids, asks), _ = end_of(reader.driver.recording, name, reader.pair, depth)
        assert reader.levels(25) == (bids[:25], asks[:25])
    assert moved > 2 * len(names)


def test_a_recording_without_end_starts_over_and_is_news_of_today(tmp_path: Path) -> None:
    path, _ = capture(tmp_path, "gateio", 100, seconds=2)
    reader = Reader(SimOptions(venue="gateio", replay=path, at_end="loop"), 100)
    reader.run(8)
    assert reader.driver.loops >= 2
    reader.check_whole()
    assert T0 + 7 * NS < reader.decoder.last_ts_ns <= reader.clock.now_ns()


def test_added_takers_follow_their_seed(tmp_path: Path) -> None:
    path, _ = capture(tmp_path, "mexc", 500, seconds=2)

    def run(flow: int | None) -> list[Any]:
        reader = Reader(SimOptions(venue="mexc", replay=path, flow=flow), 500)
        reader.run(12)
        reader.check_whole()
        return [row[2:4] for row in reader.trades.take()]

    quiet, first = run(None), run(1)
    assert len(first) > len(quiet) + 5
    assert run(1) == first
    assert run(2) != first


@pytest.mark.parametrize(("venue", "depth"), [("gateio", 100), ("bitget", 400), ("mexc", 500)])
def test_a_bot_trades_on_a_recording_and_its_ledger_is_the_venues(
    tmp_path: Path, venue: str, depth: int
) -> None:
    path, _ = capture(tmp_path, venue, depth, seconds=20)
    money = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
    sim = SimOptions(
        venue=venue, replay=path, flow=3, at_end="loop", balances=money, maker_fee_ppm=50,
        taker_fee_ppm=1000, latency_ns=2 * MS,
    )  # fmt: skip
    # Two have no switch of the venue's own, and no process stands in for it here.
    risk = {} if venue == "gateio" else {"watchdog_timeout": "off"}
    risk |= {"dead_man_timeout": "off"} if venue == "bitget" else {}
    bot = VirtualBot(config(venue, depth, risk=risk), sim, tmp_path / "bot")
    bot.start()
    bot.run(90)
    assert bot.stop() == 0
    assert bot.step.counters.fills == len(bot.statement()["fills"]) > 3
    assert bot.differences() == {}
    assert bot.open_orders() == []


def test_what_cannot_be_served_is_told(shared: Path, tmp_path: Path) -> None:
    path, _ = capture(tmp_path, "gateio", 100, seconds=1)
    text = tmp_path / "text"
    text.write_text("no recording")
    kraken = shared / "data" / "kraken" / "v2_btcusd_d10_20260801.cbcap.gz"
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"venue": "gateio", "replay": path, "restamp": False}, "sim.restamp", "written anew"),
        (
            {"venue": "gateio", "replay": path, "instrument": "ETH/USDT"},
            "sim.instrument",
            "BTC/USDT",
        ),
        ({"venue": "gateio", "replay": text}, "sim.replay", "a recording of the venue"),
        ({"venue": "mexc", "replay": text}, "sim.replay", "a recording of the venue"),
        ({"venue": "mexc", "replay": path}, "sim.replay", "it is of gateio"),
        ({"venue": "bitget", "replay": kraken}, "sim.replay", "it is of kraken"),
        ({"venue": "binance", "replay": path}, "sim.replay", "are not served"),
    ]
    for told, where, words in cases:
        with pytest.raises(ConfigError, match=words) as caught:
            build_core(SimOptions(**told), T0)
        assert caught.value.path == where
