"""Coinbase's decoder, frame by frame."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, TradeLog
from openmm._fast.units import Side
from openmm.venues.coinbase.wire import CoinbaseDecoder

BOOK, IGNORED, BROKEN = Decoded.DECODED_BOOK, Decoded.DECODED_IGNORED, Decoded.DECODED_BROKEN
Levels = list[tuple[str, str]]


def made(depth: int = 1000) -> tuple[CoinbaseDecoder, Book]:
    decoder, book = CoinbaseDecoder(), Book()
    decoder.bind("BTC-USD", 2, book, 1, 2, 1, 8, depth)
    return decoder, book


def dumps(**message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def snapshot(bids: Levels, asks: Levels) -> bytes:
    return dumps(type="snapshot", product_id="BTC-USD", asks=asks, bids=bids)


def update(*changes: tuple[str, str, str]) -> bytes:
    return dumps(
        type="l2update", product_id="BTC-USD", changes=changes, time="2021-04-17T16:43:37.075687Z"
    )


def match(trade_id: int, kind: str = "match", side: str = "sell") -> bytes:
    return dumps(
        type=kind, trade_id=trade_id, side=side, size="0.5", price="100.01", product_id="BTC-USD",
        sequence=9, time="2021-04-17T16:43:37.089723Z",
    )  # fmt: skip


START = snapshot([("100.00", "1"), ("99.99", "2")], [("100.01", "3"), ("100.02", "4")])


def test_changes_follow_on_the_snapshot() -> None:
    decoder, book = made()
    assert decoder.decode(update(("buy", "100.00", "5")), 1) is IGNORED
    assert decoder.decode(START, 2) is BOOK
    changes = update(("buy", "99.98", "0.1"), ("sell", "100.01", "0.00000000"))
    assert decoder.decode(changes, 3) is BOOK
    assert book.levels(0) == [(10000, 10**8), (9999, 2 * 10**8), (9998, 10**7)]
    assert book.best_ask_ticks == 10002
    assert book.ts_ns == 1_618_677_817_075_687_000
    assert decoder.decode(START, 4) is BOOK
    assert (book.bid_count, decoder.state("BTC-USD")) == (2, (2, 0))


def test_changes_before_their_type_give_the_same_book() -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    body = dumps(changes=[("sell", "100.01", "7")], type="l2update", product_id="BTC-USD")
    assert decoder.decode(body, 2) is BOOK
    assert book.qty_at(1, 10001) == 7 * 10**8


def test_a_jump_of_the_trade_ids_breaks_the_book() -> None:
    decoder, book = made()
    log = TradeLog()
    decoder.set_sink(log)
    decoder.decode(START, 1)
    assert decoder.decode(match(5, "last_match"), 2) is Decoded.DECODED_TRADE
    assert decoder.decode(match(6, side="buy"), 3) is Decoded.DECODED_TRADE
    assert decoder.decode(match(6), 4) is IGNORED
    assert book.state is BookState.BOOK_VERIFIED
    assert decoder.decode(match(8), 5) is BROKEN
    assert book.break_reason is BookBreak.BREAK_GAP
    rows = log.take()
    assert [row[5] for row in rows] == [Side.BUY, Side.SELL, Side.BUY]
    assert [row[6] for row in rows] == [1, 0, 0]


def test_a_deep_snapshot_is_kept_to_its_reach() -> None:
    decoder, book = made(depth=3)
    bids = [(f"{100 - at / 100:.2f}", "1") for at in range(50)]
    asks = [(f"{101 + at / 100:.2f}", "1") for at in reversed(range(50))]
    assert decoder.decode(snapshot(bids, asks), 1) is BOOK
    assert book.levels(0)[:3] == [(10000, 10**8), (9999, 10**8), (9998, 10**8)]
    assert book.levels(1)[:3] == [(10100, 10**8), (10101, 10**8), (10102, 10**8)]
    assert max(book.bid_count, book.ask_count) <= 6
    assert decoder.decode(update(("buy", "99.80", "1")), 2) is BOOK
    assert book.qty_at(0, 9980) == 0
    gone = [("buy", f"{100 - at / 100:.2f}", "0") for at in range(10)]
    assert decoder.decode(update(*gone), 3) is BROKEN
    assert book.break_reason is BookBreak.BREAK_EMPTY


def test_an_ask_beyond_any_price_is_passed_over() -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    assert decoder.decode(update(("sell", "99999999999.99", "1")), 2) is BOOK
    assert book.ask_count == 2
    assert decoder.decode(update(("buy", "99999999999.99", "1")), 3) is BROKEN


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"l2update"}', update(("buy", "x", "1")), update(("hold", "1.00", "1")),
        START[:-1], update(("buy", "100.001", "1")), update(("buy", "100.05", "1")),
        dumps(type="l2update", product_id="BTC-USD"), dumps(type="snapshot", product_id="BTC-USD"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_believed_breaks_the_book(data: bytes) -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    assert decoder.decode(data, 2) is BROKEN
    assert book.state is BookState.BOOK_BROKEN


@given(st.binary(max_size=80), st.integers(0, 300))
def test_any_bytes_give_a_result_and_no_crossed_book(noise: bytes, at: int) -> None:
    decoder, book = made()
    decoder.decode(START, 1)
    good = update(("buy", "99.98", "1"), ("sell", "100.03", "1"))
    result = decoder.decode(good[:at] + noise + good[at + len(noise) :], 2)
    assert isinstance(result, Decoded)
    assert result is not Decoded.DECODED_UNDECIDED
    if book.state is BookState.BOOK_VERIFIED:
        assert book.best_bid_ticks is not None
        assert book.best_ask_ticks is not None
        assert book.best_bid_ticks < book.best_ask_ticks


@pytest.mark.parametrize(("symbol", "depth"), [("", 100), ("A" * 40, 100), ("BTC-USD", 5001)])
def test_a_bad_binding_is_refused(symbol: str, depth: int) -> None:
    with pytest.raises(ValueError, match=r"depth|symbol"):
        CoinbaseDecoder().bind(symbol, 0, Book(), 1, 2, 1, 8, depth)
