"""The market data decoder: recorded frames, the rules, bad input, and its oracle."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import BookSide, Side
from openmm.venues.capture import read_frames
from openmm.venues.kraken.wire import KrakenDecoder
from tests.oracles.kraken import OracleBook, digits_crc

BID, ASK = int(BookSide.BID), int(BookSide.ASK)
CAPTURES = (
    ("v2_btcusd_d10_20260801", "BTC/USD", 1, 10, 301),
    ("v2_btcusd_d25_20260802", "BTC/USD", 1, 25, 2052),
    ("v2_xrpusd_d25_20260802", "XRP/USD", 5, 25, 1147),
)
Made = tuple[KrakenDecoder, Book]


def make(
    symbol: str = "BTC/USD",
    price_decimals: int = 1,
    depth: int = 10,
    verify: bool = True,
    tick_points: int = 1,
    lot_points: int = 1,
    qty_decimals: int = 8,
) -> Made:
    decoder, book = KrakenDecoder(), Book()
    decoder.bind(
        symbol, 7, book, tick_points, price_decimals, lot_points, qty_decimals, depth, verify
    )
    return decoder, book


def usable(book: Book) -> bool:
    return book.state is BookState.BOOK_VERIFIED


def level(price: str, qty: str) -> str:
    return f'{{"price":{price},"qty":{qty}}}'


def frame(
    kind: str,
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    checksum: int,
    symbol: str = "BTC/USD",
    stamp: str = ',"timestamp":"2026-08-01T02:53:53.398143Z"',
) -> bytes:
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}",'
        f'"bids":[{",".join(level(*one) for one in bids)}],'
        f'"asks":[{",".join(level(*one) for one in asks)}],'
        f'"checksum":{checksum}{stamp}}}]}}'
    ).encode()


def crc(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> int:
    return digits_crc(bids, asks)


SNAPSHOT = frame(
    "snapshot",
    [("100.0", "1.00000000"), ("99.9", "2.00000000")],
    [("100.1", "3.00000000"), ("100.2", "4.00000000")],
    crc([(1000, 10**8), (999, 2 * 10**8)], [(1001, 3 * 10**8), (1002, 4 * 10**8)]),
)


def verified() -> Made:
    decoder, book = make()
    assert decoder.decode(SNAPSHOT, 5) is Decoded.DECODED_BOOK
    assert usable(book)
    return decoder, book


# --- recorded frames


def book_frames(path: Path) -> list[bytes]:
    return [one.data for one in read_frames(path) if b'"channel":"book","type"' in one.data]


@pytest.mark.parametrize(("name", "symbol", "decimals", "depth", "count"), CAPTURES)
def test_capture_verifies_and_equals_the_oracle_after_each_frame(
    shared: Path, name: str, symbol: str, decimals: int, depth: int, count: int
) -> None:
    decoder, book = make(symbol, decimals, depth)
    oracle = OracleBook(decimals, 8, depth)
    frames = book_frames(shared / "data" / "kraken" / f"{name}.cbcap.gz")
    for data in frames:
        assert decoder.decode(data, 1) is Decoded.DECODED_BOOK
        oracle.apply(data)
        assert oracle.verified
        assert book.levels(BID, depth + 1) == oracle.levels("bids")
        assert book.levels(ASK, depth + 1) == oracle.levels("asks")
    counters = decoder.counters
    assert counters["checksums_ok"] == counters["book_updates"] == len(frames) == count
    # The venue's own order of members never leaves the fast path.
    assert counters["again"] == 0


@pytest.mark.parametrize(("name", "symbol", "decimals", "depth", "count"), CAPTURES[1:2])
def test_shuffled_members_and_white_space_give_the_same_book(
    shared: Path, name: str, symbol: str, decimals: int, depth: int, count: int
) -> None:
    rng = random.Random(11)
    plain, plain_book = make(symbol, decimals, depth)
    decoder, book = make(symbol, decimals, depth)
    for data in book_frames(shared / "data" / "kraken" / f"{name}.cbcap.gz")[:600]:
        plain.decode(data, 1)
        assert decoder.decode(disordered(data, rng), 1) is Decoded.DECODED_BOOK
        assert book.levels(BID) == plain_book.levels(BID)
        assert book.levels(ASK) == plain_book.levels(ASK)
        assert decoder.last_ts_ns == plain.last_ts_ns
    assert decoder.counters["checksums_failed"] == 0
    assert decoder.counters["again"] > 500


def disordered(data: bytes, rng: random.Random) -> bytes:
    """Write a frame anew: members in any order, white space, foreign members, other forms."""

    def write(value: Any) -> str:
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            if rng.random() < 0.5:
                items.insert(
                    rng.randrange(len(items) + 1), ("new_one", [{"a": "}]"}, None, -1.5e3])
                )
            inner = ",".join(f'{gap()}"{k}"{gap()}:{gap()}{write(v)}{gap()}' for k, v in items)
            return "{" + inner + "}"
        if isinstance(value, list):
            return "[" + ",".join(f"{gap()}{write(one)}{gap()}" for one in value) + gap() + "]"
        if isinstance(value, Decimal):
            form = rng.randrange(4)
            if form == 0:
                return f"{value:f}00"
            if form == 1:
                return f"{int(value.scaleb(10))}e-10"
            return f"{value:f}"
        text = json.dumps(value)
        return text.replace("/", "\\/") if rng.random() < 0.5 else text

    def gap() -> str:
        return rng.choice(["", "", " ", "\n", "\t "])

    return write(json.loads(data, parse_float=Decimal)).encode()


def test_documented_example_verifies(shared: Path) -> None:
    samples = json.loads((shared / "venues/samples/kraken/ws_public.json").read_text())
    raw = next(one["raw"] for one in samples if one["name"] == "book_snapshot_checksum_doc_example")
    decoder, book = make()
    assert decoder.decode(raw.encode(), 1) is Decoded.DECODED_BOOK
    assert usable(book)
    assert decoder.last_ts_ns == 0
    assert decoder.counters["again"] == 0


def test_recorded_checksum_cases_verify(shared: Path) -> None:
    cases = json.loads((shared / "venues/samples/kraken/checksum_cases.json").read_text())["cases"]
    assert len(cases) == 15
    for case in cases:
        decoder, book = make(
            case["pair"], case["price_decimals"], qty_decimals=case["qty_decimals"]
        )
        data = frame("snapshot", case["bids"], case["asks"], case["checksum"], case["pair"])
        assert decoder.decode(data, 1) is Decoded.DECODED_BOOK, case["pair"]
        assert usable(book)
        wrong = frame("snapshot", case["bids"], case["asks"], case["checksum"] ^ 1, case["pair"])
        assert decoder.decode(wrong, 1) is Decoded.DECODED_BROKEN


# --- the rules


def test_update_is_applied_whole_before_it_is_cut() -> None:
    decoder, book = make()
    bids = [(1000 - i, 10**8) for i in range(10)]
    asks = [(1001 + i, 10**8) for i in range(10)]
    texts = [[(f"{Decimal(p).scaleb(-1)}", "1.00000000") for p, _ in side] for side in (bids, asks)]
    decoder.decode(frame("snapshot", texts[0], texts[1], crc(bids, asks)), 1)
    # The insert alone would push the tenth bid out; the delete behind it makes room.
    after = [(1000, 5 * 10**7), *bids[2:]]
    update = frame(
        "update", [("100.0", "0.50000000"), ("99.9", "0.00000000"), ("99.0", "1.00000000")], [],
        crc([*after, (990, 10**8)], asks),
    )  # fmt: skip
    assert decoder.decode(update, 2) is Decoded.DECODED_BOOK
    assert book.levels(BID) == [*after, (990, 10**8)]


def test_levels_beyond_the_depth_are_cut() -> None:
    decoder, book = make(depth=10)
    bids = [(1000 - i, 10**8) for i in range(12)]
    asks = [(1001 + i, 10**8) for i in range(12)]
    texts = [[(f"{Decimal(p).scaleb(-1)}", "1.00000000") for p, _ in side] for side in (bids, asks)]
    decoder.decode(frame("snapshot", texts[0], texts[1], crc(bids, asks)), 1)
    assert (book.bid_count, book.ask_count) == (10, 10)


def test_last_of_a_price_named_twice_wins() -> None:
    decoder, book = verified()
    update = frame(
        "update", [("100.0", "9.00000000"), ("100.0", "5.00000000")], [],
        crc([(1000, 5 * 10**8), (999, 2 * 10**8)], [(1001, 3 * 10**8), (1002, 4 * 10**8)]),
    )  # fmt: skip
    assert decoder.decode(update, 1) is Decoded.DECODED_BOOK
    assert book.qty_at(BID, 1000) == 5 * 10**8


def test_delete_of_an_absent_price_is_ignored() -> None:
    decoder, book = verified()
    update = frame(
        "update", [("50.0", "0.00000000")], [],
        crc([(1000, 10**8), (999, 2 * 10**8)], [(1001, 3 * 10**8), (1002, 4 * 10**8)]),
    )  # fmt: skip
    assert decoder.decode(update, 1) is Decoded.DECODED_BOOK
    assert book.bid_count == 2


def test_receive_and_venue_time_reach_the_book() -> None:
    decoder, book = verified()
    assert book.recv_ns == 5
    assert decoder.last_ts_ns == 1_785_552_833_398_143_000
    assert decoder.last_touched == 7


def test_second_snapshot_replaces_the_book() -> None:
    decoder, book = verified()
    again = frame(
        "snapshot", [("90.0", "1.00000000")], [("91.0", "1.00000000")],
        crc([(900, 10**8)], [(910, 10**8)]),
    )  # fmt: skip
    assert decoder.decode(again, 6) is Decoded.DECODED_BOOK
    assert (book.levels(BID), book.levels(ASK)) == ([(900, 10**8)], [(910, 10**8)])


def test_broken_book_waits_for_a_snapshot() -> None:
    decoder, book = verified()
    bad = frame("update", [("100.0", "1.50000000")], [], 1)
    assert decoder.decode(bad, 1) is Decoded.DECODED_BROKEN
    good = frame(
        "update", [("100.0", "1.50000000")], [],
        crc([(1000, 15 * 10**7), (999, 2 * 10**8)], [(1001, 3 * 10**8), (1002, 4 * 10**8)]),
    )  # fmt: skip
    assert decoder.decode(good, 1) is Decoded.DECODED_IGNORED
    assert book.state is BookState.BOOK_BROKEN
    assert decoder.counters["not_ready"] == 1
    assert decoder.decode(SNAPSHOT, 1) is Decoded.DECODED_BOOK
    assert usable(book)


def test_update_before_any_snapshot_is_not_applied() -> None:
    decoder, book = make()
    assert decoder.decode(frame("update", [("1.0", "1.00000000")], [], 0), 1) is (
        Decoded.DECODED_IGNORED
    )
    assert book.bid_count == 0
    assert not usable(book)


def test_update_that_crosses_before_the_fast_path_gives_up_is_applied_whole() -> None:
    decoder, book = verified()
    after = [(1001, 10**8), (1000, 10**8), (999, 2 * 10**8)], [(1002, 5 * 10**8)]
    bids = [("100.1", "1.00000000")]
    asks = [("100.1", "0.00000000"), ("100.2", "5e0")]
    assert decoder.decode(frame("update", bids, asks, crc(*after)), 2) == Decoded.DECODED_BOOK
    assert usable(book)
    assert (book.levels(BID), book.levels(ASK)) == after
    assert decoder.counters["again"] == 1


def test_book_changed_by_another_hand_is_still_checked_in_full() -> None:
    decoder, book = verified()
    book.apply(BID, 1000, 7)
    update = frame(
        "update", [("50.0", "0.00000000")], [],
        crc([(1000, 10**8), (999, 2 * 10**8)], [(1001, 3 * 10**8), (1002, 4 * 10**8)]),
    )  # fmt: skip
    assert decoder.decode(update, 1) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_CHECKSUM


def test_without_verification_a_wrong_checksum_passes_and_a_crossed_book_does_not() -> None:
    decoder, book = make(verify=False)
    data = frame("snapshot", [("100.0", "1.00000000")], [("100.1", "1.00000000")], 1)
    assert decoder.decode(data, 1) is Decoded.DECODED_BOOK
    crossed = frame("update", [("100.2", "1.00000000")], [], 1)
    assert decoder.decode(crossed, 1) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_CROSSED


def test_numbers_without_trailing_zeros_verify() -> None:
    decoder, book = make()
    data = frame(
        "snapshot", [("100", "1")], [("100.1", "0.5")], crc([(1000, 10**8)], [(1001, 5 * 10**7)])
    )
    assert decoder.decode(data, 1) is Decoded.DECODED_BOOK
    assert book.levels(ASK) == [(1001, 5 * 10**7)]


def test_two_instruments_share_a_decoder() -> None:
    decoder, book = make()
    other = Book()
    decoder.bind("ETH/BTC", 3, other, 1, 5, 1, 8, 25)
    data = frame(
        "snapshot", [("0.05000", "1.00000000")], [("0.05001", "1.00000000")],
        crc([(5000, 10**8)], [(5001, 10**8)]), "ETH/BTC",
    )  # fmt: skip
    assert decoder.decode(data, 1) is Decoded.DECODED_BOOK
    assert decoder.last_touched == 3
    assert decoder.decode(SNAPSHOT, 1) is Decoded.DECODED_BOOK
    assert decoder.last_touched == 7
    assert (book.bid_count, other.bid_count) == (2, 1)
    assert decoder.checksums("ETH/BTC") == (1, 0, 1)


CRC_OK = crc([(1000, 10**8), (999, 2 * 10**8)], [(1001, 3 * 10**8), (1002, 4 * 10**8)])


@pytest.mark.parametrize(
    ("bids", "asks", "checksum", "reason"),
    [
        ([("100.0", "1.10000000")], [], CRC_OK, BookBreak.BREAK_CHECKSUM),
        ([("99.95", "1.00000000")], [], CRC_OK, BookBreak.BREAK_OFF_TICK),
        ([("99.8", "0.000000001")], [], CRC_OK, BookBreak.BREAK_OFF_TICK),
        ([("-99.8", "1.00000000")], [], CRC_OK, BookBreak.BREAK_PARSE),
        ([("0.0", "1.00000000")], [], CRC_OK, BookBreak.BREAK_PARSE),
        ([("99.8", "-1.00000000")], [], CRC_OK, BookBreak.BREAK_PARSE),
        ([("99.8", "true")], [], CRC_OK, BookBreak.BREAK_PARSE),
        ([("200000000000.0", "1.00000000")], [], CRC_OK, BookBreak.BREAK_BOUNDS),
        ([("99.8", "99999999999999999999.0")], [], CRC_OK, BookBreak.BREAK_BOUNDS),
        ([("99.8", "100000000.00000000")], [], CRC_OK, BookBreak.BREAK_BOUNDS),
        (
            [("100.1", "1.00000000")],
            [],
            crc(
                [(1001, 10**8), (1000, 10**8), (999, 2 * 10**8)],
                [(1001, 3 * 10**8), (1002, 4 * 10**8)],
            ),
            BookBreak.BREAK_CROSSED,
        ),
        (
            [],
            [("100.1", "0.00000000"), ("100.2", "0.00000000")],
            crc([(1000, 10**8), (999, 2 * 10**8)], []),
            BookBreak.BREAK_EMPTY,
        ),
    ],
)  # fmt: skip
def test_bad_update_breaks_the_book_and_says_why(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], checksum: int, reason: BookBreak
) -> None:
    decoder, book = verified()
    assert decoder.decode(frame("update", bids, asks, checksum), 1) is Decoded.DECODED_BROKEN
    assert book.state is BookState.BOOK_BROKEN
    assert book.break_reason is reason
    assert decoder.last_touched == 7


def test_level_off_a_coarse_tick_breaks_the_book() -> None:
    decoder, book = make(tick_points=5)
    bids, asks = [(200, 10**8)], [(201, 10**8)]
    data = frame(
        "snapshot", [("100.0", "1.00000000")], [("100.5", "1.00000000")],
        digits_crc(bids, asks, 5),
    )  # fmt: skip
    assert decoder.decode(data, 1) is Decoded.DECODED_BOOK
    assert book.levels(BID) == bids
    assert decoder.decode(frame("update", [("100.1", "1.00000000")], [], 0), 1) is (
        Decoded.DECODED_BROKEN
    )
    assert book.break_reason is BookBreak.BREAK_OFF_TICK


@pytest.mark.parametrize(
    "data",
    [
        b'{"channel":"book","type":"update","data":[',
        b'{"channel":"book"}',
        b'{"channel":"book","type":"update","data":[{"bids":[],"asks":[],"checksum":1}]}',
        b'{"channel":"book","type":"update","data":{}}',
        b'{"channel":"book","type":"update","data":[]}',
        b'{"data":null,"channel":"book"}',
    ],
)
def test_book_frame_without_a_symbol_breaks_every_book(data: bytes) -> None:
    decoder, book = verified()
    other = Book()
    decoder.bind("ETH/BTC", 3, other, 1, 5, 1, 8)
    assert decoder.decode(data, 1) is Decoded.DECODED_BROKEN
    assert decoder.last_touched == -1
    assert book.break_reason is BookBreak.BREAK_PARSE
    assert other.break_reason is BookBreak.BREAK_PARSE


@pytest.mark.parametrize(
    "data",
    [
        SNAPSHOT[:-1],
        SNAPSHOT[:-2],
        SNAPSHOT + b"}",
        SNAPSHOT.replace(b'"snapshot"', b'"other"'),
        SNAPSHOT.replace(b'"qty":1.00000000', b'"qty":1.00000000,"qty":2'),
        SNAPSHOT.replace(b'"qty":1.00000000', b'"qy":1.00000000'),
        SNAPSHOT.replace(b'"checksum"', b'"check"'),
        SNAPSHOT.replace(b'"checksum":', b'"checksum":-'),
        SNAPSHOT.replace(b'"asks"', b'"bids"'),
        SNAPSHOT.replace(b"2026-08-01", b"2026-13-01"),
        SNAPSHOT.replace(b"}]}", b'},{"symbol":"BTC/USD"}]}'),
        SNAPSHOT.replace(b'"channel"', b'"type":"snapshot","channel"'),
    ],
)
def test_frame_that_cannot_be_read_breaks_the_book_it_names(data: bytes) -> None:
    decoder, book = verified()
    assert decoder.decode(data, 1) is Decoded.DECODED_BROKEN
    assert book.state is BookState.BOOK_BROKEN
    assert book.break_reason is BookBreak.BREAK_PARSE


def test_book_of_another_instrument_is_ignored_and_counted() -> None:
    decoder, book = verified()
    assert decoder.decode(frame("update", [], [], 1, "XBT/USD"), 1) is Decoded.DECODED_IGNORED
    assert decoder.decode(frame("update", [], [], 1, "BTC/US"), 1) is Decoded.DECODED_IGNORED
    assert decoder.counters["unbound"] == 2
    assert usable(book)


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (b'{"channel":"heartbeat"}', Decoded.DECODED_IGNORED),
        (b' { "channel" : "heartbeat" } ', Decoded.DECODED_IGNORED),
        (b'{"channel":"status","type":"update","data":[]}', Decoded.DECODED_SLOW),
        (b'{"method":"pong","req_id":1}', Decoded.DECODED_SLOW),
        (b"<html>restarting</html>", Decoded.DECODED_SLOW),
        (b"", Decoded.DECODED_SLOW),
        (b"{", Decoded.DECODED_SLOW),
        (b'{"channel":"boo', Decoded.DECODED_SLOW),
        (b'{"channel":"book2","data":[]}', Decoded.DECODED_SLOW),
        (b"[" * 100_000, Decoded.DECODED_SLOW),
    ],
)
def test_other_frames_leave_the_book_alone(data: bytes, want: Decoded) -> None:
    decoder, book = verified()
    assert decoder.decode(data, 1) is want
    assert usable(book)


def test_binding_again_replaces_the_book() -> None:
    decoder, _ = verified()
    other = Book()
    decoder.bind("BTC/USD", 9, other, 1, 1, 1, 8)
    decoder.decode(SNAPSHOT, 1)
    assert decoder.last_touched == 9
    assert other.bid_count == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"venue_symbol": ""}, "1 to 32"),
        ({"venue_symbol": "A" * 33}, "1 to 32"),
        ({"depth": 5}, "depth"),
        ({"tick_points": 0}, "positive"),
        ({"lot_points": -1}, "positive"),
        ({"price_decimals": 16}, "0 to 15"),
        ({"instrument_index": -1}, "-1"),
    ],
)
def test_impossible_binding_is_refused(change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {
        "venue_symbol": "BTC/USD", "instrument_index": 0, "book": Book(), "tick_points": 1,
        "price_decimals": 1, "lot_points": 1, "qty_decimals": 8,
    }  # fmt: skip
    with pytest.raises(ValueError, match=said):
        KrakenDecoder().bind(**(given | change))


def test_more_instruments_than_fit_are_refused() -> None:
    decoder = KrakenDecoder()
    book = Book()
    for index in range(64):
        decoder.bind(f"A{index}/USD", index, book, 1, 1, 1, 8)
    with pytest.raises(ValueError, match="at most 64"):
        decoder.bind("B/USD", 64, book, 1, 1, 1, 8)


# --- trades


def trade(price: str, qty: str, side: str, trade_id: int, symbol: str = "BTC/USD") -> str:
    return (
        f'{{"symbol":"{symbol}","side":"{side}","price":{price},"qty":{qty},"ord_type":"market",'
        f'"trade_id":{trade_id},"timestamp":"2026-08-01T02:53:53.398143Z"}}'
    )


def trades(kind: str, *rows: str) -> bytes:
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'.encode()


def logged() -> tuple[KrakenDecoder, TradeLog]:
    decoder, _ = make()
    log = TradeLog()
    decoder.set_sink(log)
    return decoder, log


def test_trades_reach_the_sink_in_order() -> None:
    decoder, log = logged()
    rows = (trade("100.0", "0.5", "buy", 1), trade("99.9", "2.00000000", "sell", 2))
    assert decoder.decode(trades("update", *rows), 1) is Decoded.DECODED_TRADE
    ts_ns = 1_785_552_833_398_143_000
    assert log.take() == [
        (7, ts_ns, 1000, 50_000_000, 1, Side.BUY, 0),
        (7, ts_ns, 999, 200_000_000, 2, Side.SELL, 0),
    ]


def test_history_is_marked_as_such() -> None:
    decoder, log = logged()
    decoder.decode(trades("snapshot", trade("100.0", "0.5", "buy", 1)), 1)
    assert log.take()[0][-1] == 1


def test_jump_of_the_trade_id_is_counted_once() -> None:
    decoder, _ = logged()
    decoder.decode(trades("snapshot", trade("100.0", "0.5", "buy", 10)), 1)
    decoder.decode(trades("update", trade("100.0", "0.5", "buy", 11)), 1)
    assert decoder.counters["trade_gaps"] == 0
    decoder.decode(trades("update", trade("100.0", "0.5", "buy", 13)), 1)
    assert decoder.counters["trade_gaps"] == 1
    decoder.reset_trades()
    decoder.decode(trades("update", trade("100.0", "0.5", "buy", 99)), 1)
    assert decoder.counters["trade_gaps"] == 1


def test_average_price_finer_than_the_tick_is_rounded_down() -> None:
    decoder, log = logged()
    data = trades("update", trade("100.057", "0.1234567891", "buy", 1))
    assert decoder.decode(data, 1) is Decoded.DECODED_TRADE
    assert log.take()[0][2:4] == (1000, 12345678)
    assert decoder.counters["trades_rounded"] == 1


def test_unknown_side_is_told_as_such() -> None:
    decoder, log = logged()
    decoder.decode(trades("update", trade("100.0", "0.5", "cross", 1)), 1)
    assert log.take()[0][5] == Side.UNKNOWN_SIDE


def test_trades_of_another_instrument_are_ignored() -> None:
    decoder, log = logged()
    data = trades("update", trade("100.0", "0.5", "buy", 1, "ETH/USD"))
    assert decoder.decode(data, 1) is Decoded.DECODED_IGNORED
    assert log.take() == []


@pytest.mark.parametrize(
    "data",
    [
        trades("update", '{"symbol":"BTC/USD","side":"buy","qty":1}'),
        trades("update", trade('"x"', "1", "buy", 1)),
        trades("update", trade("-1", "1", "buy", 1)),
        trades("update", trade("1e30", "1", "buy", 1)),
        trades("update", "7"),
        b'{"channel":"trade","type":"update","data":7}',
        b'{"channel":"trade","type":"update"}',
    ],
)
def test_trade_that_cannot_be_read_goes_to_the_slow_path(data: bytes) -> None:
    decoder, log = logged()
    assert decoder.decode(data, 1) is Decoded.DECODED_SLOW
    assert log.take() == []
    assert decoder.counters["parse_errors"] == 1


def test_documented_trades_decode(shared: Path) -> None:
    samples = json.loads((shared / "venues/samples/kraken/ws_public.json").read_text())
    raw = {one["name"]: one["raw"].encode() for one in samples}
    decoder, log = logged()
    decoder.bind("MATIC/USD", 8, Book(), 1, 4, 1, 8)
    assert decoder.decode(raw["trade_snapshot"], 1) is Decoded.DECODED_TRADE
    assert decoder.decode(raw["trade_update_doc_example"], 1) is Decoded.DECODED_TRADE
    assert [(one[0], one[2], one[3], one[4], one[5]) for one in log.take()] == [
        (7, 684669, 1919415, 70635251, Side.SELL),
        (7, 684712, 7723, 70635252, Side.BUY),
        (8, 5117, 4000000000, 4665906, Side.SELL),
    ]


# --- properties


@st.composite
def sessions(draw: st.DrawFn) -> list[list[tuple[int, int, int]]]:
    """Messages of (side, price, qty) around one price: many hits in and near the best ten."""
    one = st.tuples(
        st.integers(0, 1),
        st.integers(1, 24),
        st.one_of(st.just(0), st.integers(1, 10**6), st.integers(10**11, 10**15)),
    )
    return draw(st.lists(st.lists(one, min_size=0, max_size=8), min_size=1, max_size=25))


@settings(max_examples=150, deadline=None)
@given(sessions(), st.sampled_from([10, 25]), st.integers(0, 3))
def test_any_session_equals_the_oracle(
    messages: list[list[tuple[int, int, int]]], depth: int, spoiled: int
) -> None:
    decoder, book = make(depth=depth)
    oracle = OracleBook(1, 8, depth)
    kind = "snapshot"
    for number, message in enumerate(messages):
        sides: list[list[tuple[str, str]]] = [[], []]
        for side, offset, qty in message:
            price = 1000 + offset if side else 1001 - offset
            sides[side].append((f"{Decimal(price).scaleb(-1)}", f"{Decimal(qty).scaleb(-8):f}"))
        # The checksum the venue would send: the oracle's own book after this message.
        trial = OracleBook(1, 8, depth, verify=False)
        trial.sides = {name: one.copy() for name, one in oracle.sides.items()}
        trial.verified = True
        trial.apply(frame(kind, sides[0], sides[1], 0))
        checksum = digits_crc(trial.levels("bids"), trial.levels("asks"))
        if spoiled and number % 7 == spoiled:
            checksum ^= 1 << number % 32
        data = frame(kind, sides[0], sides[1], checksum)
        oracle.apply(data)
        decoder.decode(data, 1)
        assert (usable(book)) == oracle.verified
        if oracle.verified:
            assert book.levels(BID) == oracle.levels("bids")
            assert book.levels(ASK) == oracle.levels("asks")
        else:
            assert book.break_reason.name == oracle.reason
        kind = "update" if oracle.verified else "snapshot"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_result(data: bytes) -> None:
    decoder, book = verified()
    before = book.levels(BID), book.levels(ASK)
    assert isinstance(decoder.decode(data, 1), Decoded)
    if usable(book):
        assert (book.levels(BID), book.levels(ASK)) == before


def mutations(seed: int, frames: list[bytes]) -> Iterator[bytes]:
    rng = random.Random(seed)
    for _ in range(3000):
        data = bytearray(rng.choice(frames))
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            at = rng.randrange(len(data))
            match rng.randrange(5):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randrange(1, 20)]
                case 2:
                    data[at:at] = rng.choice(
                        [b"0", b"9", b"-", b"e", b" ", b"}", b'"', b"\\", b","]
                    )
                case 3:
                    data = data[:at]
                case 4:
                    other = rng.choice(frames)
                    data[at : at + 30] = other[at : at + 30]
            if not data:
                break
        yield bytes(data)


@pytest.mark.parametrize("seed", range(3))
def test_spoiled_frame_never_leaves_an_unproven_book_verified(shared: Path, seed: int) -> None:
    frames = book_frames(shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz")[:120]
    decoder, book = make(depth=25)
    for data in mutations(seed, frames):
        for good in frames[:2]:
            decoder.decode(good, 1)
        assert usable(book)
        before = book.levels(BID), book.levels(ASK)
        decoder.decode(data, 1)
        if not usable(book):
            continue
        now = book.levels(BID), book.levels(ASK)
        if now != before:
            # Only a frame that proves itself may have changed it.
            told = re.search(rb'"checksum"\s*:\s*(\d+)', data)
            assert told is not None
            assert digits_crc(*now) == int(told[1])


def test_every_cut_of_a_frame_breaks_or_ignores(shared: Path) -> None:
    frames = book_frames(shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz")[:2]
    decoder, book = make(depth=25)
    for n in range(len(frames[1])):
        for good in frames:
            decoder.decode(good, 1)
        before = book.levels(BID), book.levels(ASK)
        decoder.decode(frames[1][:n], 1)
        if usable(book):
            assert n < len(b'{"channel":"book"')
            assert (book.levels(BID), book.levels(ASK)) == before
