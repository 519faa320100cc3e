"""The market data decoder: sample frames, the rules of versions, bad input, and its oracle."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import BookSide, Side
from openmm.venues.mexc.wire import MexcDecoder
from tests.venues.mexc.frames import (
    Level,
    copy,
    depth,
    field,
    levels,
    limit,
    push,
    ticker,
)
from tests.venues.mexc.samples import load, pushes

BID, ASK = int(BookSide.BID), int(BookSide.ASK)
Made = tuple[MexcDecoder, Book]


def make(
    deep: int = 500, price: int = 2, qty: int = 8, symbol: str = "BTCUSDT", verify: bool = True
) -> Made:
    decoder, book = MexcDecoder(), Book()
    decoder.bind(symbol, 7, book, 1, price, 1, qty, deep, verify)
    return decoder, book


def usable(book: Book) -> bool:
    return book.state is BookState.BOOK_VERIFIED


def started(version: int = 10) -> Made:
    decoder, book = make(qty=0)
    decoder.decode(copy(version, [("99", "5")], [("101", "5")]), 1)
    assert usable(book)
    return decoder, book


# --- samples


def test_every_documented_sequence_gives_its_books_and_breaks_at_the_gap(shared: Path) -> None:
    told = load(shared, "depth_sequence_BTCUSDT.json")
    snapshot = told["snapshot"]
    for case in told["cases"]:
        decoder, book = make()
        decoder.decode(copy(snapshot["lastUpdateId"], snapshot["bids"], snapshot["asks"]), 1)
        for step in case["steps"]:
            result = decoder.decode(bytes.fromhex(step["hex"]), 2)
            if step["expected_action"] != "apply":
                assert result is Decoded.DECODED_BROKEN, step
                assert book.break_reason is BookBreak.BREAK_GAP
                break
            assert result is Decoded.DECODED_BOOK, step
            wanted = step["expected_book"]
            assert decoder.state("BTCUSDT")[0] == wanted["version"]
            for side, name in ((BID, "bids"), (ASK, "asks")):
                scaled = [
                    (int(Decimal(price) * 100), int(Decimal(qty) * 10**8))
                    for price, qty in wanted[name]
                ]
                assert book.levels(side) == scaled, (step["name"], name)


def test_every_sample_push_decodes_to_the_right_event(shared: Path) -> None:
    for name, data, decoded in pushes(shared):
        symbol = decoded.get("symbol", "")
        whole = "publicLimitDepths" in decoded
        decoder, book = make(5 if whole else 500, symbol=symbol or "BTCUSDT")
        trades = TradeLog()
        decoder.set_sink(trades)
        result = decoder.decode(data, 1)
        if "publicAggreDepths" in decoded:
            assert result is Decoded.DECODED_IGNORED, name
            assert decoder.state(symbol)[1] == 1  # held until the copy is there
        elif whole:
            assert result is Decoded.DECODED_BOOK
            body = decoded["publicLimitDepths"]
            for side, rows in ((BID, body["bids"]), (ASK, body["asks"])):
                assert book.levels(side) == [
                    (int(Decimal(one["price"]) * 100), int(Decimal(one["quantity"]) * 10**8))
                    for one in rows
                ]
        elif "publicAggreDeals" in decoded:
            assert result is Decoded.DECODED_TRADE, name
            deals = decoded["publicAggreDeals"]["deals"]
            assert trades.take() == [
                (
                    7, one["time"] * 1_000_000, int(Decimal(one["price"]) * 100),
                    int(Decimal(one["quantity"]) * 10**8),
                    int(one.get("tradeId", "0").partition("X")[0]),
                    {1: Side.BUY, 2: Side.SELL}[one["tradeType"]], 0,
                )
                for one in deals
            ]  # fmt: skip
        elif "publicAggreBookTicker" in decoded or "publicBookTickerBatch" in decoded:
            assert result is Decoded.DECODED_IGNORED, name
            assert decoder.counters["parse_errors"] == 0
        else:
            assert result is Decoded.DECODED_SLOW, name


def test_the_captured_ticker_agrees_with_a_book_of_its_version(shared: Path) -> None:
    [(_, data, told)] = [one for one in pushes(shared) if one[0] == "frame_bookTicker_100ms"]
    best = told["publicAggreBookTicker"]
    for qty, good in ((best["bidQuantity"], True), ("0.006388", False)):
        decoder, book = make()
        ask = (best["askPrice"], best["askQuantity"])
        decoder.decode(copy(int(best["version"]), [(best["bidPrice"], qty)], [ask]), 1)
        result = decoder.decode(data, 2)
        assert usable(book) is good
        assert result is (Decoded.DECODED_IGNORED if good else Decoded.DECODED_BROKEN)
        assert decoder.counters["checksums_ok"] == good
        assert decoder.counters["checksums_failed"] == (not good)


# --- versions


def test_increments_before_the_copy_are_joined_to_it() -> None:
    decoder, book = make(qty=0)
    decoder.decode(depth(8, 10, [("98", "7")]), 1)
    decoder.decode(depth(11, 12, [("99", "1")]), 1)
    decoder.decode(depth(13, 13, [], [("100", "2")]), 1)
    assert not usable(book)
    assert decoder.decode(copy(11, [("99", "5")], [("101", "5")]), 2) is Decoded.DECODED_BOOK
    assert book.levels(BID) == [(9900, 1)]
    assert book.levels(ASK) == [(10000, 2), (10100, 5)]
    assert decoder.state("BTCUSDT") == (13, 0, 1)
    assert decoder.counters["dropped"] == 1


def test_a_copy_from_before_the_first_increment_is_refused_until_a_newer_one() -> None:
    decoder, book = make(qty=0)
    decoder.decode(depth(12, 13, [("99", "1")]), 1)
    assert decoder.decode(copy(10, [("98", "5")], [("101", "5")]), 2) is Decoded.DECODED_BROKEN
    assert not usable(book)
    assert decoder.state("BTCUSDT")[1] == 1
    assert decoder.decode(copy(11, [("98", "5")], [("101", "5")]), 3) is Decoded.DECODED_BOOK
    assert book.best_bid_ticks == 9900


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [
        (11, 11, Decoded.DECODED_BOOK), (11, 15, Decoded.DECODED_BOOK),
        (9, 12, Decoded.DECODED_BOOK),  # right behind the copy an overlap is fine
        (9, 10, Decoded.DECODED_IGNORED), (12, 12, Decoded.DECODED_BROKEN),
        (0, 11, Decoded.DECODED_BROKEN), (12, 11, Decoded.DECODED_BROKEN),
    ],
)  # fmt: skip
def test_the_first_push_behind_a_copy(first: int, last: int, outcome: Decoded) -> None:
    decoder, book = started(10)
    assert decoder.decode(depth(first, last, [("99", "6")]), 2) is outcome
    assert usable(book) is (outcome is not Decoded.DECODED_BROKEN)


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [
        (12, 14, Decoded.DECODED_BOOK), (11, 12, Decoded.DECODED_BROKEN),
        (10, 11, Decoded.DECODED_IGNORED), (13, 13, Decoded.DECODED_BROKEN),
    ],
)  # fmt: skip
def test_later_pushes_must_follow_exactly(first: int, last: int, outcome: Decoded) -> None:
    decoder, book = started(10)
    decoder.decode(depth(11, 11, [("99", "6")]), 2)
    assert decoder.decode(depth(first, last, [("99", "7")]), 3) is outcome
    if outcome is Decoded.DECODED_BROKEN:
        assert book.break_reason is BookBreak.BREAK_GAP
        # The run that the next copy joins begins with this push.
        assert decoder.state("BTCUSDT")[1] == 1


def test_a_whole_book_replaces_and_an_older_one_is_dropped() -> None:
    decoder, book = make(5, qty=0)
    assert decoder.decode(limit(5, [("99", "1")], [("101", "1")]), 1) is Decoded.DECODED_BOOK
    assert decoder.decode(limit(7, [("98", "2")], [("100", "2")]), 2) is Decoded.DECODED_BOOK
    assert decoder.decode(limit(6, [("97", "2")], [("100", "2")]), 3) is Decoded.DECODED_IGNORED
    assert decoder.decode(limit(7, [("98", "2")], [("100", "2")]), 4) is Decoded.DECODED_BOOK
    assert book.levels(BID) == [(9800, 2)]
    # The other channel is another book.
    assert decoder.decode(depth(8, 8, [("98", "3")]), 5) is Decoded.DECODED_IGNORED


def test_a_level_is_the_same_however_its_numbers_are_written() -> None:
    decoder, book = started()
    decoder.decode(depth(11, 11, [("99.00", "8.00000000")]), 2)
    assert book.levels(BID) == [(9900, 8)]
    decoder.decode(depth(12, 12, [("99", "0.00000000"), ("98", "1")]), 3)
    assert book.levels(BID) == [(9800, 1)]


def test_a_ticker_of_another_version_says_nothing() -> None:
    decoder, book = started(10)
    for version in (9, 11):
        decoder.decode(ticker(version, ("1", "1"), ("2", "1")), 2)
    assert usable(book)
    assert decoder.decode(ticker(10, ("99", "5"), None), 3) is Decoded.DECODED_BROKEN
    assert book.break_reason is BookBreak.BREAK_CHECKSUM


# --- bad input


@pytest.mark.parametrize(
    ("bids", "reason"),
    [
        ([("99.001", "1")], BookBreak.BREAK_OFF_TICK), ([("", "1")], BookBreak.BREAK_PARSE),
        ([("99", "")], BookBreak.BREAK_PARSE), ([("99", "-1")], BookBreak.BREAK_PARSE),
        ([("x", "1")], BookBreak.BREAK_PARSE), ([("99", "1x")], BookBreak.BREAK_PARSE),
        ([("0", "1")], BookBreak.BREAK_PARSE), ([("99999999999", "1")], BookBreak.BREAK_BOUNDS),
        ([("102", "1")], BookBreak.BREAK_CROSSED), ([("99", "0")], BookBreak.BREAK_EMPTY),
    ],
)  # fmt: skip
def test_a_bad_level_breaks_the_book(bids: list[Level], reason: BookBreak) -> None:
    decoder, book = started()
    assert decoder.decode(depth(11, 11, bids), 2) is Decoded.DECODED_BROKEN
    assert book.break_reason is reason


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x0a", b"\x0a\x05spot", b"\xff" * 12, b"Invalid listen key", b"\x0b",
        depth(11, 11)[:-3], field(1, "spot@x") + field(313, b"\x0a\x01") * 2,
        push(313, b"\x0a", "spot@x"), push(313, levels(2, [("99", "1")]), "spot@x"),
    ],
)  # fmt: skip
def test_a_push_that_cannot_be_read_breaks_the_books(data: bytes) -> None:
    decoder, book = started()
    assert decoder.decode(data, 2) is Decoded.DECODED_BROKEN
    assert not usable(book)


def test_unknown_fields_bodies_and_values_are_passed_over_or_unknown() -> None:
    decoder, book = started()
    trades = TradeLog()
    decoder.set_sink(trades)
    body = levels(2, [("99", "6")]) + field(4, "11") + field(5, "11") + field(99, "new")
    known = push(313, body, "spot@public.aggre.depth.v3.api.pb@10ms@BTCUSDT")
    assert decoder.decode(known + field(400, b"abc") + field(7, 1), 2) is Decoded.DECODED_BOOK
    assert decoder.decode(push(308, b"\x0a\x04Min1", "spot@kline"), 3) is Decoded.DECODED_SLOW
    deal = field(1, field(1, "99") + field(2, "1") + field(3, 9) + field(4, 5))
    decoder.decode(push(314, deal, "spot@public.aggre.deals.v3.api.pb@10ms@BTCUSDT"), 4)
    assert [one[5] for one in trades.take()] == [Side.UNKNOWN_SIDE]
    assert usable(book)


def test_pushes_of_other_pairs_touch_nothing() -> None:
    decoder, book = started()
    assert decoder.decode(depth(1, 2, [("1", "1")], symbol="ETHUSDT"), 2) is Decoded.DECODED_IGNORED
    assert usable(book)
    assert decoder.counters["unbound"] == 1


def test_without_a_symbol_the_channel_names_the_book() -> None:
    decoder, book = started()
    body = levels(2, [("99", "6")]) + field(4, "11") + field(5, "11")
    name = "spot@public.aggre.depth.v3.api.pb@10ms@BTCUSDT"
    assert decoder.decode(push(313, body, name, symbol=""), 2) is Decoded.DECODED_BOOK
    assert book.levels(BID) == [(9900, 6)]


def test_answers_go_to_the_slow_path_and_a_pong_does_not() -> None:
    decoder, _ = started()
    assert decoder.decode(b'{"id":0,"code":0,"msg":"PONG"}', 2) is Decoded.DECODED_IGNORED
    assert decoder.decode(b'{"id":1,"code":0,"msg":"spot@x"}', 2) is Decoded.DECODED_SLOW
    assert decoder.decode(b'{"id":1', 2) is Decoded.DECODED_SLOW


@pytest.mark.parametrize(
    "result",
    [
        '{"code":429,"msg":"x"}', '{"lastUpdateId":1,"bids":[],"asks":[]', "[]",
        '{"lastUpdateId":"1","bids":[],"asks":[]}', '{"lastUpdateId":1,"bids":[]}',
    ],
)  # fmt: skip
def test_a_copy_that_is_none_leaves_the_book_broken_and_keeps_what_waits(result: str) -> None:
    decoder, book = make(qty=0)
    decoder.decode(depth(11, 11, [("98", "1")]), 1)
    frame = f'{{"channel":"rest.depth","s":"BTCUSDT","result":{result}}}'.encode()
    assert decoder.decode(frame, 2) is Decoded.DECODED_BROKEN
    assert not usable(book)
    assert decoder.decode(copy(10, [("99", "5")], [("101", "5")]), 3) is Decoded.DECODED_BOOK


@given(st.binary(max_size=300))
def test_any_bytes_give_a_result_and_no_crossed_book(data: bytes) -> None:
    decoder, book = started()
    assert decoder.decode(data, 2) is not Decoded.DECODED_UNDECIDED
    if usable(book):
        assert book.levels(BID)[0][0] < book.levels(ASK)[0][0]


@given(st.data())
def test_the_decoder_equals_plain_levels_on_every_stream(data: st.DataObject) -> None:
    decoder, book = make(qty=0)
    plain: tuple[dict[int, int], dict[int, int]] = ({90: 5}, {110: 5})
    version = 100
    decoder.decode(copy(version, [("90", "5")], [("110", "5")]), 1)
    for _ in range(data.draw(st.integers(1, 12))):
        last = version + data.draw(st.integers(1, 4))
        drawn: list[list[Level]] = []
        for side, (low, high) in ((BID, (80, 99)), (ASK, (101, 120))):
            rows = data.draw(
                st.lists(st.tuples(st.integers(low, high), st.integers(0, 3)), max_size=4)
            )
            for price, qty in rows:
                plain[side][price] = qty
                if not qty:
                    del plain[side][price]
            drawn.append(
                [(f"{price}.{'0' * (price % 3)}".rstrip("."), str(qty)) for price, qty in rows]
            )
        result = decoder.decode(depth(version + 1, last, drawn[BID], drawn[ASK]), 2)
        version = last
        if not plain[BID] or not plain[ASK]:
            assert result is Decoded.DECODED_BROKEN
            return
        assert result is Decoded.DECODED_BOOK
        assert book.levels(BID) == [
            (price * 100, plain[BID][price]) for price in sorted(plain[BID], reverse=True)
        ]
        assert book.levels(ASK) == [(p * 100, plain[ASK][p]) for p in sorted(plain[ASK])]


@pytest.mark.parametrize(
    ("symbol", "deep"), [("BTC/USDT", 500), ("", 500), ("B" * 33, 500), ("BTCUSDT", 7)]
)
def test_what_cannot_be_bound_is_refused(symbol: str, deep: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        make(deep, symbol=symbol)
