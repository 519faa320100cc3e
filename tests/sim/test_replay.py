"""Recordings: read whole or refused, served byte for byte at their pace, takers over them."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.errors import ConfigError, ProtocolError
from openmm.sim import replay
from openmm.sim.dialects import KRAKEN_PAIRS as PAIRS
from openmm.sim.replay import Flow, RecordedFeed, ReplayDriver, read_capture, restamped
from openmm.venues.counterpart import PlaceRequest
from tests.oracles.kraken_reader import ReaderBook, loads
from tests.sim.venue import ASK, BID, BTC, BUY, GTC, NS, SELL, T0, Line, Venue

FILES = [
    ("v2_btcusd_d10_20260801.cbcap.gz", "BTC/USD", 10, 301),
    ("v2_btcusd_d25_20260802.cbcap.gz", "BTC/USD", 25, 2052),
    ("v2_xrpusd_d25_20260802.cbcap.gz", "XRP/USD", 25, 1147),
]


def book_frame(kind: str, bids: dict[str, str], asks: dict[str, str]) -> bytes:
    """Write a book message; its checksum is not looked at."""
    sides = [
        ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side.items())
        for side in (bids, asks)
    ]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{sides[0]}],'
        f'"asks":[{sides[1]}],"checksum":1,"timestamp":"2026-08-02T03:35:51.660084Z"}}]}}'
    ).encode()


def capture_bytes(frames: list[tuple[int, bytes]], depth: int = 10) -> bytes:
    """Write a capture."""
    ack = {"method": "subscribe", "result": {"channel": "book", "depth": depth}, "success": True}
    rows = [(frames[0][0] - 1, json.dumps(ack).encode()), *frames]
    head = f"CBCAP1 kraken BTC/USD {rows[0][0]}\n".encode()
    return head + b"".join(b"%d %d\n%s\n" % (at, len(frame), frame) for at, frame in rows)


FRAMES = [
    (5 * NS, book_frame("snapshot", {"1000.0": "1.0", "999.0": "5.0"}, {"1001.0": "2.0"})),
    (6 * NS, book_frame("update", {"1000.0": "0.4"}, {})),
    (8 * NS, book_frame("update", {}, {"1000.5": "3.0"})),
]


@pytest.fixture
def capture_path(tmp_path: Path) -> Path:
    path = tmp_path / "small.cbcap"
    path.write_bytes(capture_bytes(FRAMES))
    return path


def replaying(path: Path, depth: int, **options: object) -> tuple[Venue, Line, ReplayDriver]:
    """Subscribe to a replayed book at a depth."""
    capture = read_capture(path)
    pair = PAIRS[capture.instrument][0]
    venue = Venue(pair=pair, recorded=True)
    venue.core.serve_recording(pair.name, capture.depth)
    driver = ReplayDriver(capture, pair, T0, **options)  # type: ignore[arg-type]
    venue.core.drive_on_demand(pair.name, driver)
    line = venue.connect(private=False)
    assert line.one("subscribe", channel="book", symbol=[pair.name], depth=depth)["success"] is True
    return venue, line, driver


@pytest.mark.parametrize(("name", "pair", "depth", "count"), FILES)
def test_recorded_book_messages_are_served_byte_for_byte(
    shared: Path, name: str, pair: str, depth: int, count: int
) -> None:
    path = shared / "data" / "kraken" / name
    recorded = [f for _, f in read_capture(path).frames if b'"channel":"book","type"' in f]
    assert len(recorded) == count
    venue, line, driver = replaying(path, depth)
    served: list[bytes] = []
    while not driver.done:
        venue.wait(0.25)
        served += [f for f in line.session.poll(venue.now_ns) if b'"book"' in f]
    assert served == recorded


@pytest.mark.parametrize("depth", [10, 100])
def test_other_depths_than_the_recorded_one_are_derived_with_right_checksums(
    shared: Path, depth: int
) -> None:
    path = shared / "data" / "kraken" / FILES[1][0]
    venue, line, driver = replaying(path, depth)
    book, recorded = ReaderBook(depth), ReaderBook(25)
    for _, frame in read_capture(path).frames:
        message = loads(frame)
        if message.get("channel") == "book":
            recorded.apply(message)
    count = 0
    while not driver.done:
        venue.wait(0.05)
        for message in line.poll():
            if message["channel"] == "book":
                book.apply(message)
                assert book.checksum() == message["data"][0]["checksum"]
                count += 1
    assert count > 500
    assert book.top("bids")[:10] == recorded.top("bids")[:10]
    assert book.top("asks")[:10] == recorded.top("asks")[:10]


def test_pace_follows_the_recording_and_the_speed(capture_path: Path) -> None:
    venue, line, driver = replaying(capture_path, 10, speed=Decimal(2))
    times = []
    while not driver.done:
        venue.wait(0.25)
        times += [(venue.now_ns - T0) / NS for m in line.poll() if m["channel"] == "book"]
    assert times == [0.25, 0.5, 1.5]


def test_at_the_end_the_book_stands_or_starts_over(capture_path: Path) -> None:
    venue, line, driver = replaying(capture_path, 10)
    venue.wait(60)
    line.poll()
    assert driver.done
    venue.wait(1)
    assert [m["channel"] for m in line.poll()] == ["heartbeat"]
    late = venue.connect(private=False)
    late.one("subscribe", channel="book", symbol=["BTC/USD"], depth=10)
    assert [float(r["price"]) for r in late.seen[-1]["data"][0]["asks"]] == [1000.5, 1001.0]
    venue, line, driver = replaying(capture_path, 10, loop=True)
    venue.wait(60)
    assert driver.loops > 5
    kinds = [m["type"] for m in line.poll() if m["channel"] == "book"]
    assert kinds[:6] == ["snapshot", "update", "update"] * 2


def test_orders_fill_where_the_recording_reaches_them_and_their_fills_print(
    capture_path: Path,
) -> None:
    venue, public, _ = replaying(capture_path, 10)
    public.one("subscribe", channel="trade", symbol=["BTC/USD"], snapshot=False)
    venue.wait(0.1)
    private = venue.connect()
    private.one("subscribe", channel="executions")
    assert private.add("buy", 1000.5, 4.0)["success"] is True
    venue.wait(10)
    private.poll()
    trade = private.reports()[-1]
    assert (trade["exec_type"], trade["liquidity_ind"]) == ("trade", "m")
    assert (float(trade["last_price"]), float(trade["last_qty"])) == (1000.5, 3.0)
    (printed,) = [m for m in public.poll() if m["channel"] == "trade"]
    assert (printed["data"][0]["side"], float(printed["data"][0]["qty"])) == ("sell", 3.0)


def test_recorded_trades_pass_the_queue_and_are_kept_for_snapshots() -> None:
    venue = Venue(recorded=True)
    feed = RecordedFeed(BTC, 10)
    feed.apply(venue.core, FRAMES[0][1], T0)
    venue.core.place(1, [PlaceRequest("BTC/USD", BUY, 10**8, 10_000, GTC, True, 1)], T0)
    trade = {
        "symbol": "BTC/USD",
        "side": "sell",
        "price": 1000.0,
        "qty": 1.5,
        "ord_type": "market",
        "trade_id": 77,
        "timestamp": "2026-08-02T03:35:51.660084Z",
    }
    frame = json.dumps({"channel": "trade", "type": "update", "data": [trade]}).encode()
    assert feed.apply(venue.core, frame, T0) == "trade"
    (fill,) = venue.core.fills(1)
    assert (fill.qty_lots, fill.maker, fill.price_ticks) == (5 * 10**7, True, 10_000)
    assert [row.trade_id for row in venue.core.trades("BTC/USD", 5)] == [77]


@pytest.mark.parametrize(
    "frame",
    [
        FRAMES[0][1].replace(b"1000.0", b"1000.05"),
        FRAMES[0][1].replace(b"999.0", b"-999.0"),
        FRAMES[0][1].replace(b'"bids"', b'"beds"'),
        FRAMES[0][1].replace(b'"qty":1.0', b'"qty":"x"'),
        FRAMES[0][1].replace(b'"qty":1.0', b'"qty":0.000000001'),
    ],
)
def test_a_message_that_does_not_fit_is_an_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError, match="does not fit"):
        RecordedFeed(BTC, 10).apply(Venue(recorded=True).core, frame, T0)


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b'{"channel":"status"}', b'{"channel":"book"}']
)
def test_messages_of_no_interest_are_left_alone(frame: bytes) -> None:
    assert RecordedFeed(BTC, 10).apply(Venue(recorded=True).core, frame, T0) == ""


def test_cut_and_foreign_files_are_one_clear_error(tmp_path: Path) -> None:
    whole = capture_bytes(FRAMES)
    cases = {
        "cut.cbcap": (whole[:-5], "cut at record 3"),
        "header.cbcap": (b"hello\n", "a CBCAP1 capture"),
        "count.cbcap": (whole + b"x y\n", "cut at record 4"),
        "cut.gz": (gzip.compress(whole)[:-30], "whole gzip"),
        "spoiled.gz": (gzip.compress(whole)[:20] + b"spoiled" * 9, "whole gzip"),
        "empty.cbcap": (whole[: whole.index(b"\n") + 1], "a capture with a book"),
    }
    for name, (data, text) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=text):
            read_capture(path)


@pytest.mark.parametrize("packed", [True, False])
def test_capture_that_unpacks_to_more_than_memory_bears_is_refused(
    tmp_path: Path, capture_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = capture_path.read_bytes()
    path = tmp_path / "large"
    path.write_bytes(gzip.compress(whole) if packed else whole)
    monkeypatch.setattr(replay, "CAPTURE_BYTES_MAX", len(whole))
    assert read_capture(path).frames
    monkeypatch.setattr(replay, "CAPTURE_BYTES_MAX", len(whole) - 1)
    with pytest.raises(ConfigError, match="at most"):
        read_capture(path)


def test_gzip_and_plain_captures_read_alike(tmp_path: Path, capture_path: Path) -> None:
    packed = tmp_path / "small.cbcap.gz"
    packed.write_bytes(gzip.compress(capture_path.read_bytes()))
    assert read_capture(packed) == read_capture(capture_path)


def test_restamping_changes_times_only() -> None:
    frame = restamped(FRAMES[0][1], T0)
    assert b'"timestamp":"2023-11-14T22:13:20.000000Z"' in frame
    assert len(frame) == len(FRAMES[0][1])


def test_added_takers_reach_both_sides_and_follow_their_seed(shared: Path) -> None:
    path = shared / "data" / "kraken" / FILES[1][0]

    def run(seed: int) -> tuple[list[tuple[int, int, int]], int]:
        venue, line, driver = replaying(path, 25)
        line.one("subscribe", channel="trade", symbol=["BTC/USD"], snapshot=False)
        venue.core.drive(Flow(venue.pair, seed, venue.now_ns))
        venue.wait(1)
        for side, book_side in ((BUY, BID), (SELL, ASK)):
            best = venue.core.depth("BTC/USD", book_side, 1)[0][0]
            request = PlaceRequest("BTC/USD", side, 10**8, best, GTC, True, 1)
            venue.core.place(1, [request], venue.now_ns)
        while not driver.done:
            venue.wait(1)
        fills = [(f.side, f.price_ticks, f.qty_lots) for f in venue.core.fills(1)]
        prints = [m for m in line.poll() if m["channel"] == "trade"]
        return fills, len(prints)

    fills, prints = run(7)
    assert {side for side, _, _ in fills} == {BUY, SELL}
    assert prints > 30
    assert run(7)[0] == fills
    assert run(8)[0] != fills
