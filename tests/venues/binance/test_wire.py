"""Binance's decoder, frame by frame."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import Side
from openmm.venues.binance.wire import BinanceDecoder

Levels = list[tuple[str, str]]
BOOK, IGNORED, BROKEN = Decoded.DECODED_BOOK, Decoded.DECODED_IGNORED, Decoded.DECODED_BROKEN


def made(*, depth: int = 1000, chained: bool = False) -> tuple[BinanceDecoder, Book]:
    decoder, book = BinanceDecoder(), Book()
    decoder.bind("BTCUSDT", 3, book, 1, 2, 1, 5, depth, chained)
    return decoder, book


def frame(stream: str, data: dict[str, object]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def copy(last_id: int, bids: Levels, asks: Levels) -> bytes:
    return frame("BTCUSDT@rest", {"lastUpdateId": last_id, "bids": bids, "asks": asks})


def depth(
    first: int, last: int, bids: Levels = [], asks: Levels = [], before: int | None = None,  # noqa: B006
    *, late: bool = False,
) -> bytes:  # fmt: skip
    head: dict[str, object] = {"e": "depthUpdate", "E": 1700000000123, "s": "BTCUSDT"}
    ids: dict[str, object] = {"U": first, "u": last}
    if before is not None:
        ids["pu"] = before
    levels: dict[str, object] = {"b": bids, "a": asks}
    return frame("btcusdt@depth@100ms", head | (levels | ids if late else ids | levels))


START = copy(10, [("100.00", "1"), ("99.99", "2")], [("100.01", "3"), ("100.02", "4")])


def test_increments_join_the_copy_and_follow_one_another() -> None:
    decoder, book = made()
    assert decoder.decode(depth(7, 9, [("100.00", "9")]), 1) is IGNORED
    assert decoder.decode(depth(10, 12, [("100.00", "5")]), 2) is IGNORED
    assert decoder.decode(START, 3) is BOOK
    assert decoder.state("BTCUSDT") == (12, 0, 1)
    assert book.levels(0) == [(10000, 500000), (9999, 200000)]
    assert decoder.decode(depth(13, 14, [], [("100.01", "0")]), 4) is BOOK
    assert (book.best_ask_ticks, book.ts_ns) == (10002, 1_700_000_000_123_000_000)
    assert decoder.decode(depth(12, 14), 5) is IGNORED
    assert decoder.decode(depth(16, 17), 6) is BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP
    assert decoder.last_touched == 3


def test_an_increment_that_begins_inside_the_last_one_is_a_gap() -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    assert decoder.decode(depth(9, 12), 2) is BOOK
    assert decoder.decode(depth(12, 13), 3) is BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP


def test_a_copy_older_than_the_stream_is_refused_until_a_newer_one() -> None:
    decoder, book = made()
    decoder.decode(depth(20, 22, [("100.00", "7")]), 1)
    assert decoder.decode(START, 2) is BROKEN
    assert decoder.counters["old_snapshots"] == 1
    newer = copy(19, [("100.00", "1")], [("100.01", "1")])
    assert decoder.decode(newer, 3) is BOOK
    assert book.qty_at(0, 10000) == 700000


def test_futures_follow_by_the_id_before_and_ids_leave_room() -> None:
    decoder, book = made(chained=True)
    decoder.decode(depth(4, 8, before=2), 1)
    decoder.decode(depth(11, 15, [("100.00", "6")], before=8), 2)
    assert decoder.decode(START, 3) is BOOK
    assert book.qty_at(0, 10000) == 600000
    assert decoder.decode(depth(30, 31, before=15), 4) is BOOK
    assert decoder.decode(depth(32, 33, before=30), 5) is BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP


def test_an_increment_of_futures_without_the_id_before_breaks() -> None:
    decoder, book = made(chained=True)
    decoder.decode(START, 1)
    assert decoder.decode(depth(11, 12), 2) is BROKEN
    assert book.break_reason is BookBreak.BREAK_PARSE


def test_members_in_another_order_give_the_same_book() -> None:
    books = []
    for late in (False, True):
        decoder, book = made(chained=True)
        decoder.decode(START, 1)
        first = depth(11, 12, [("99.98", "1")], [("100.02", "0")], 10, late=late)
        assert decoder.decode(first, 2) is BOOK
        assert decoder.decode(depth(14, 15, [("99.97", "1")], [], 12, late=late), 3) is BOOK
        books.append((book.levels(0), book.levels(1)))
        assert decoder.counters["again"] == 2 * late
    assert books[0] == books[1]


def test_a_market_that_leaves_what_the_copy_told_breaks_the_book() -> None:
    decoder, book = made(depth=2)
    decoder.decode(START, 1)
    assert decoder.decode(depth(11, 11, [("99.00", "1")]), 2) is BOOK
    assert book.levels(0) == [(10000, 100000), (9999, 200000)]
    gone = depth(12, 12, [("100.00", "0"), ("99.99", "0")])
    assert decoder.decode(gone, 3) is BROKEN
    assert book.break_reason is BookBreak.BREAK_EMPTY


def test_a_side_that_grows_is_cut_back_and_its_reach_with_it() -> None:
    decoder, book = made(depth=2)
    decoder.decode(START, 1)
    grown: Levels = [(f"{price / 100:.2f}", "1") for price in range(10010, 10013)]
    assert decoder.decode(copy(10, [], []), 2) is IGNORED
    assert (
        decoder.decode(depth(11, 11, [], [("100.01", "0"), ("100.02", "0"), *grown]), 3) is BROKEN
    )
    decoder, book = made(depth=2)
    decoder.decode(START, 1)
    closer: Levels = [("99.991", "1")]
    assert decoder.decode(depth(11, 11, closer), 2) is BROKEN
    assert book.break_reason is BookBreak.BREAK_OFF_TICK


def test_a_crossed_book_is_never_valid() -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    assert decoder.decode(depth(11, 11, [("100.05", "1")]), 2) is BROKEN
    assert book.break_reason is BookBreak.BREAK_CROSSED
    assert decoder.counters["crossed"] == 1


def trade(trade_id: int, **more: object) -> bytes:
    data: dict[str, object] = {
        "e": "trade", "E": 1, "s": "BTCUSDT", "t": trade_id, "p": "100.01", "q": "0.5",
        "T": 1700000000001, "m": True,
    }  # fmt: skip
    return frame("btcusdt@trade", data | more)


def test_trades_tell_the_takers_side_and_gaps_are_counted() -> None:
    decoder, _ = made()
    log = TradeLog()
    decoder.set_sink(log)
    assert decoder.decode(trade(1), 1) is Decoded.DECODED_TRADE
    assert decoder.decode(trade(3, m=False), 1) is Decoded.DECODED_TRADE
    assert decoder.decode(trade(3), 1) is IGNORED
    sides = [row[5] for row in log.take()]
    assert sides == [Side.SELL, Side.BUY]
    assert (decoder.counters["trade_gaps"], decoder.counters["trades_repeated"]) == (1, 1)


def test_trades_of_the_venue_itself_are_not_the_markets() -> None:
    decoder, _ = made()
    log = TradeLog()
    decoder.set_sink(log)
    assert decoder.decode(trade(1, X="INSURANCE_FUND", p="28722.50"), 1) is IGNORED
    assert decoder.decode(trade(2, X="MARKET"), 1) is Decoded.DECODED_TRADE
    assert log.count == 1
    assert decoder.counters["trade_gaps"] == 0


def test_best_prices_are_kept_beside_the_book() -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    ticker = {"u": 44, "s": "BTCUSDT", "b": "90.00", "B": "1", "a": "90.01", "A": "1"}
    assert decoder.decode(frame("btcusdt@bookTicker", ticker), 2) is IGNORED
    assert decoder.ticker("BTCUSDT") == (44, 9000, 9001)
    assert book.best_bid_ticks == 10000


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b'{"stream":"btcusdt@depth"}', b'{"stream":"btcusdt@depth","data":[]}',
        depth(11, 12)[:-2], depth(12, 11), depth(0, 0), depth(11, 11, [("x", "1")]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_never_a_book(data: bytes) -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    assert decoder.decode(data, 2) in (BROKEN, Decoded.DECODED_SLOW)
    if b"@depth" in data:
        assert book.state is BookState.BOOK_BROKEN


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(9990, 10010), st.integers(0, 3))))
def test_any_changes_give_the_plain_books_levels_or_a_broken_one(
    changes: list[tuple[int, int, int]],
) -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    plain = [{10000: 100000, 9999: 200000}, {10001: 300000, 10002: 400000}]
    at = 10
    for side, price, qty in changes:
        at += 1
        level = [(f"{price / 100:.2f}", str(qty))]
        told = decoder.decode(depth(at, at, *((level, []) if side == 0 else ([], level))), at)
        plain[side][price] = qty * 100000
        if qty == 0:
            del plain[side][price]
        good = bool(plain[0]) and bool(plain[1]) and max(plain[0]) < min(plain[1])
        assert (told is BOOK) == good
        if not good:
            return
        assert dict(book.levels(0)) == plain[0]
        assert dict(book.levels(1)) == plain[1]


@given(st.binary(max_size=80), st.integers(0, 400))
def test_any_bytes_give_a_result_and_no_crossed_book(noise: bytes, at: int) -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    good = depth(11, 12, [("99.98", "1")], [("100.03", "1")])
    result = decoder.decode(good[:at] + noise + good[at + len(noise) :], 2)
    assert isinstance(result, Decoded)
    assert result is not Decoded.DECODED_UNDECIDED
    if book.state is BookState.BOOK_VERIFIED:
        assert book.best_bid_ticks is not None
        assert book.best_ask_ticks is not None
        assert book.best_bid_ticks < book.best_ask_ticks


@pytest.mark.parametrize(
    ("symbol", "depth_"), [("", 100), ("A" * 40, 100), ("A@B", 100), ("BTCUSDT", 5001)]
)
def test_a_bad_binding_is_refused(symbol: str, depth_: int) -> None:
    with pytest.raises(ValueError, match=r"depth|symbol"):
        BinanceDecoder().bind(symbol, 0, Book(), 1, 2, 1, 5, depth_)
