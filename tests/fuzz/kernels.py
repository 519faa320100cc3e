"""Targets: scanners, units, book, and the compiled decoders of market data."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

from openmm._fast import scan, units
from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoded, Decoder
from openmm._fast.units import BookSide
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.bitget.wire import BitgetDecoder
from openmm.venues.coinbase.wire import CoinbaseDecoder
from openmm.venues.gateio.wire import GateioDecoder
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.mexc.wire import MexcDecoder
from tests.fuzz.corpus import frames, messages
from tests.fuzz.target import Check, Target, fence, must
from tests.oracles.book import Book as PlainBook
from tests.oracles.kraken import digits_crc

BID, ASK = BookSide.BID, BookSide.ASK
SCANNERS: tuple[Callable[[memoryview], tuple[object, ...]], ...] = (
    *(lambda data, d=d: scan.scan_decimal(data, d) for d in (0, 1, 8, 18, 19)),
    scan.scan_uint64,
    scan.scan_int64,
    scan.scan_space,
    lambda data: scan.scan_literal(data, b'"price":'),
    scan.scan_string,
    scan.scan_skip_value,
    scan.scan_rfc3339,
)
TOKENS = (
    b"0.5", b"66788.0", b"1e-7", b'"2023-09-25T07:49:37.708706Z"', b'"abc\\"d"',
    b"18446744073709551615",
    b'{"a":[1,{"b":"c"}],"d":null}', b' \n\t"price":1', b"-9223372036854775808", b"true",
)  # fmt: skip


def scanners() -> Check:
    """No scanner reads behind its input or passes its end, whatever the bytes."""
    place = fence()

    def check(data: bytes) -> None:
        for number, scanner in enumerate(SCANNERS):
            outcome = scanner(place.view(data))
            used = outcome[-1]
            assert isinstance(used, int)
            assert 0 <= used <= len(data), (number, outcome)
            # Of a scale that there is none of the scanner says so.
            undecided = outcome[0] is scan.Scan.SCAN_UNDECIDED
            assert undecided is (number == 4), (number, outcome)

    return check


def fixed_point() -> Check:
    """Formatting then scanning is identity, at any scale."""

    def check(data: bytes) -> None:
        points, decimals = struct.unpack("<qB", (data + bytes(9))[:9])
        points, decimals = abs(points) >> (decimals & 31), decimals % 19
        text = units.format_points(points, decimals)
        found, value, used = scan.scan_decimal(text, decimals)
        assert (found, value, used) == (scan.Scan.SCAN_OK, points, len(text)), text
        divisor = points // 3 + 1
        assert units.floor_div(-points, divisor) == -points // divisor
        assert units.ceil_div(points, divisor) == -(-points // divisor)

    return check


def book() -> Check:
    """Any sequence of levels, cuts and verdicts gives the plain book's state."""

    def check(data: bytes) -> None:
        ours, plain = Book(window_ticks=64, outside_levels=16), PlainBook()
        for at in range(0, min(len(data) - 7, 240), 8):
            kind, price, qty = struct.unpack("<BHxI", data[at : at + 8])
            if kind < 200:
                price_ticks = 1000 + price % 40
                taken = plain.apply(kind & 1, price_ticks, qty % 5)
                try:
                    ours.apply(kind & 1, price_ticks, qty % 5)
                except (ValueError, RuntimeError):
                    must(not taken, "a level the plain book takes")
                else:
                    must(taken, "a level the plain book refuses")
            elif kind < 225:
                ours.verify(1)
                plain.verify()
            elif kind < 245:
                ours.cut(price % 12)
                plain.cut(price % 12)
            elif kind < 252:
                ours.catch_up()
                plain.catch_up()
            else:
                ours.recentre()
            assert ours.state == plain.state
            if plain.state != BookState.BOOK_BROKEN:
                assert (ours.best_bid_ticks, ours.best_ask_ticks) == (plain.best(0), plain.best(1))
        for side in (BID, ASK):
            if plain.state != BookState.BOOK_BROKEN:
                assert ours.levels(side) == plain.levels(side)

    return check


def usable(one: Book) -> bool:
    """Whether a book may be quoted from."""
    return one.state is BookState.BOOK_VERIFIED


def sides(one: Book) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return both sides, and look at their order on the way."""
    bids, asks = one.levels(BID), one.levels(ASK)
    if usable(one):
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids, "a verified book has two sides"
        assert asks
        assert bids[0][0] < asks[0][0]
        assert all(qty > 0 for _, qty in bids + asks)
    return bids, asks


def kraken_wire(good: list[bytes], price_decimals: int, symbol: str, verify: bool = True) -> Check:
    """After any frame the book is broken, as it was, or proven by the frame's own checksum."""
    decoder, held, place = KrakenDecoder(), Book(), fence()
    decoder.bind(symbol, 0, held, 1, price_decimals, 1, 8, 25, verify)
    snapshot = good[0]

    def check(data: bytes) -> None:
        decoder.decode(snapshot, 1)
        assert usable(held)
        before = sides(held)
        result = place.decode(decoder, data, 2)
        assert isinstance(result, Decoded)
        assert result is not Decoded.DECODED_UNDECIDED
        now = sides(held)
        if usable(held) and now != before:
            told = re.findall(rb'"checksum"\s*:\s*(\d+)', data)
            assert str(digits_crc(*now)).encode() in [one.lstrip(b"0") or b"0" for one in told]
        held.catch_up()

    return check


def gateio_wire() -> Check:
    """After any frame the book is broken or uncrossed, sorted and of two sides."""
    place = fence()

    def check(data: bytes) -> None:
        decoder, held = GateioDecoder(), Book(window_ticks=4096, outside_levels=256)
        decoder.bind("BTC_USDT", 0, held, 1, 1, 1, 8, 50)
        for _ in range(2):
            result = place.decode(decoder, data, 2)
            assert isinstance(result, Decoded)
            assert result is not Decoded.DECODED_UNDECIDED
            sides(held)

    return check


def binance() -> tuple[Decoder, Book]:
    """Bind the instrument of the recording."""
    decoder, held = BinanceDecoder(), Book(window_ticks=4096, outside_levels=256)
    decoder.bind("BTCUSDT", 0, held, 1, 2, 1, 3, 50, True)
    return decoder, held


def coinbase() -> tuple[Decoder, Book]:
    """Bind the instrument of the recording."""
    decoder, held = CoinbaseDecoder(), Book(window_ticks=4096, outside_levels=256)
    decoder.bind("SKL-BTC", 0, held, 1, 8, 1, 1, 50)
    return decoder, held


def watched_wire(make: Callable[[], tuple[Decoder, Book]], start: bytes) -> Check:
    """The same on a book that has begun."""
    place = fence()

    def check(data: bytes) -> None:
        decoder, held = make()
        decoder.decode(start, 1)
        assert usable(held)
        for _ in range(2):
            result = place.decode(decoder, data, 2)
            assert isinstance(result, Decoded)
            assert result is not Decoded.DECODED_UNDECIDED
            sides(held)

    return check


def watched(shared: Path) -> list[Target]:
    """Return the targets of venues that are only watched, with frames recorded."""
    perpetual = head(shared / "data" / "binance" / "usdm_btcusdt_20240808.gz", 400)
    stamped = [line.partition(b" ")[2].rstrip() for line in perpetual]
    copy = (
        b'{"stream":"BTCUSDT@rest","data":{"lastUpdateId":5123107837557,'
        b'"bids":[["61800.20","2.507"]],"asks":[["61800.30","2.510"]]}}'
    )
    log = head(shared / "data" / "coinbase" / "alts_20210417_ws.raw.gz", 400)
    logged = [line.partition(b": ")[2].rstrip() for line in log if b"SKL-BTC" in line]
    start = (
        b'{"type":"snapshot","product_id":"SKL-BTC","asks":[["0.00001305","1.0"]],'
        b'"bids":[["0.00001301","2.5"]]}'
    )
    return [
        Target("binance.wire", watched_wire(binance, copy), [copy, *stamped], 12, 400),
        Target("coinbase.wire", watched_wire(coinbase, start), [start, *logged], 12, 400),
    ]


def head(path: Path, count: int) -> list[bytes]:
    """Return the first lines of a recording."""
    with gzip.open(path, "rb") as file:
        return [line for _, line in zip(range(count), file, strict=False)]


def bitget_wire(verify: bool = True) -> Check:
    """The same, with a checksum where a push brings one."""
    place = fence()

    def check(data: bytes) -> None:
        decoder, held = BitgetDecoder(), Book(window_ticks=4096, outside_levels=256)
        decoder.bind("BTCUSDT", 0, held, 1, 2, 1, 6, "books", verify)
        for _ in range(2):
            result = place.decode(decoder, data, 2)
            assert isinstance(result, Decoded)
            assert result is not Decoded.DECODED_UNDECIDED
            sides(held)

    return check


def mexc_wire() -> Check:
    """The same for protobuf; the book began with a REST copy, or waits for one."""
    place = fence()
    start = (
        b'{"channel":"rest.depth","s":"BTCUSDT","result":{"lastUpdateId":39003145506,'
        b'"bids":[["96579.84","0.5"]],"asks":[["96580.00","0.7"]]}}'
    )

    def check(data: bytes) -> None:
        for begun in (True, False):
            decoder, held = MexcDecoder(), Book(window_ticks=4096, outside_levels=256)
            decoder.bind("BTCUSDT", 0, held, 1, 2, 1, 8, 500)
            if begun:
                decoder.decode(start, 1)
            for _ in range(2):
                result = place.decode(decoder, data, 2)
                assert isinstance(result, Decoded)
                assert result is not Decoded.DECODED_UNDECIDED
                sides(held)
            if not begun:
                decoder.decode(start, 3)
                sides(held)

    return check


def hex_frames(folder: Path) -> list[bytes]:
    """Return the binary frames of a folder of sample files, written in hexadecimal."""
    found: dict[bytes, None] = {}
    for path in sorted((*folder.glob("*.json"), *folder.glob("*.hex"))):
        for text in re.findall(r"[0-9a-f]{64,}", path.read_text()):
            if len(text) % 2 == 0:
                found.setdefault(bytes.fromhex(text))
    return list(found)


def book_frames(shared: Path) -> list[bytes]:
    """Return the first book messages of a recording, the snapshot first."""
    path = shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz"
    return [one for one in frames(path) if b'"channel":"book","type"' in one]


def targets(shared: Path) -> list[Target]:
    """Return the targets of compiled code."""
    kraken = shared / "data" / "kraken"
    btc = frames(kraken / "v2_btcusd_d25_20260802.cbcap.gz")
    public = messages(shared / "venues" / "samples" / "kraken")
    gate = messages(shared / "venues" / "samples" / "gateio")
    bitget = messages(shared / "venues" / "samples" / "bitget")
    mexc = hex_frames(shared / "venues" / "samples" / "mexc")
    return [
        Target("scan", scanners(), TOKENS, 20, 64),
        Target("units", fixed_point(), (), 8, 16),
        Target("book", book(), (), 6, 240),
        Target(
            "kraken.wire", kraken_wire(book_frames(shared), 1, "BTC/USD"), [*btc, *public], 24, 400
        ),
        Target("gateio.wire", gateio_wire(), gate, 12, 400),
        Target("bitget.wire", bitget_wire(), bitget, 12, 400),
        Target("mexc.wire", mexc_wire(), mexc, 12, 400),
        *watched(shared),
    ]
