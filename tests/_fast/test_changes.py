"""What a decoder does to a book as rows: in any case the rows make the same book again."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak
from openmm._fast.changes import ChangeLog, EventFlag, EventKind, follow
from openmm.venues.kraken.wire import KrakenDecoder

Row = tuple[int, int, int, int, int]
LEVEL, ASK, END = EventKind.EVENT_LEVEL, EventFlag.EVENT_ASK, EventFlag.EVENT_MESSAGE_END


def rows_of(raw: bytes) -> list[Row]:
    """Return (recv_ns, venue_ns, price_ticks, qty_lots, flags) of each event."""
    words = memoryview(raw).cast("q")
    return [(*words[at : at + 4], words[at + 4]) for at in range(0, len(words), 5)]  # type: ignore[misc]


def replayed(rows: list[Row], book: Book) -> tuple[list[int], list[int]]:
    """Put rows into a plain book; returns both best prices after each."""
    n = len(rows)
    bids, asks = array("q", bytes(8 * n)), array("q", bytes(8 * n))
    follow(
        book, array("q", [row[2] for row in rows]), array("q", [row[3] for row in rows]),
        array("H", [row[4] for row in rows]), bids, asks,
    )  # fmt: skip
    return list(bids), list(asks)


def same(one: Book, other: Book) -> bool:
    return all(one.levels(side) == other.levels(side) for side in (0, 1))


def test_first_whole_book_is_a_clear_and_all_its_levels() -> None:
    book = Book()
    log = ChangeLog(book)
    book.catch_up()
    for side, price, qty in ((0, 100, 5), (0, 99, 6), (1, 102, 7)):
        book.apply(side, price, qty)
    log.look(10)
    assert len(log) == 0  # not verified yet: nobody may see it
    book.verify(10, 9)
    log.look(11)
    assert rows_of(log.take()) == [
        (11, 9, 0, 0, EventKind.EVENT_CLEAR),
        (11, 9, 100, 5, LEVEL),
        (11, 9, 99, 6, LEVEL),
        (11, 9, 102, 7, LEVEL | ASK | END),
    ]
    log.look(12)
    assert log.take() == b""


def test_change_is_what_was_removed_and_then_what_was_set() -> None:
    """A market that moves up through its old ask never crosses between the rows."""
    book = Book()
    log = ChangeLog(book)
    book.catch_up()
    for side, price, qty in ((0, 100, 5), (1, 101, 7), (1, 105, 1)):
        book.apply(side, price, qty)
    book.verify(1)
    log.look(1)
    plain = Book()
    replayed(rows_of(log.take()), plain)
    for side, price, qty in ((1, 101, 0), (0, 103, 4), (0, 100, 6)):
        book.apply(side, price, qty)
    book.verify(2, 2)
    log.look(2)
    rows = rows_of(log.take())
    assert rows == [
        (2, 2, 101, 0, LEVEL | ASK),
        (2, 2, 103, 4, LEVEL),
        (2, 2, 100, 6, LEVEL | END),
    ]
    bids, asks = replayed(rows, plain)
    assert all(bid < ask for bid, ask in zip(bids, asks, strict=True))
    assert same(plain, book)


def test_broken_book_is_told_once_and_the_next_one_is_whole_again() -> None:
    book = Book()
    log = ChangeLog(book)
    book.catch_up()
    book.apply(0, 10, 1)
    book.apply(1, 11, 1)
    book.verify(1)
    log.look(1)
    log.take()
    book.break_(BookBreak.BREAK_GAP)
    log.look(2)
    log.look(3)
    assert rows_of(log.take()) == [(2, 0, 0, 0, EventKind.EVENT_BROKEN | END)]
    book.catch_up()
    book.apply(0, 20, 1)
    book.apply(1, 21, 1)
    book.verify(4, 4)
    log.look(4)
    kinds = [row[4] & EventFlag.EVENT_KIND_BITS for row in rows_of(log.take())]
    assert kinds == [EventKind.EVENT_CLEAR, LEVEL, LEVEL]


def test_break_and_recovery_between_two_looks_is_both() -> None:
    book = Book()
    log = ChangeLog(book)
    for turn in (1, 2):
        book.catch_up()
        book.apply(0, 10 * turn, 1)
        book.apply(1, 10 * turn + 1, 1)
        book.verify(turn)
        if turn == 1:
            log.look(1)
            log.take()
            book.break_(BookBreak.BREAK_GAP)
    log.look(2)
    kinds = [row[4] & EventFlag.EVENT_KIND_BITS for row in rows_of(log.take())]
    assert kinds == [EventKind.EVENT_BROKEN, EventKind.EVENT_CLEAR, LEVEL, LEVEL]


def test_decoder_tells_trades_ahead_of_what_the_message_did_to_the_book() -> None:
    book = Book()
    decoder = KrakenDecoder()
    decoder.bind("BTC/USD", 0, book, 1, 1, 1, 8, 10, False)
    log = ChangeLog(book)
    decoder.set_sink(log)
    trade = (
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell",'
        b'"price":100.5,"qty":0.5,"ord_type":"limit","trade_id":7,'
        b'"timestamp":"2025-06-15T12:00:00.000000Z"}]}'
    )
    assert log.decode(decoder, trade.replace(b'"update"', b'"snapshot"'), 4) is not None
    assert (len(log), log.history_count) == (0, 1)  # what was before the recording
    log.decode(decoder, trade.replace(b'"trade_id":7', b'"trade_id":8'), 5)
    ((recv_ns, venue_ns, price, qty, flags),) = rows_of(log.take())
    assert (recv_ns, price, qty) == (5, 1005, 50_000_000)
    assert venue_ns == 1_749_988_800_000_000_000
    assert flags == EventKind.EVENT_TRADE | ASK | END


changes = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=8
)


@given(st.lists(changes, min_size=1, max_size=25), st.integers(1, 8))
def test_rows_make_the_same_book_after_every_message(
    messages: list[list[tuple[int, int, int]]], depth: int
) -> None:
    """Whatever happens to a book, cuts and breaks included; equal to a full copy each time."""
    book, plain = Book(window_ticks=64, outside_levels=64), Book()
    log = ChangeLog(book)
    book.catch_up()
    whole = False
    for at, message in enumerate(messages):
        if not book.state > 1:
            book.catch_up()
        for side, price, qty in message:
            book.apply(side, price + (40 if side else 0), qty)
        book.cut(depth)
        book.verify(at + 1)
        if book.recentre_due:
            book.recentre()
        log.look(at + 1)
        rows = rows_of(log.take())
        replayed(rows, plain)
        kinds = {row[4] & EventFlag.EVENT_KIND_BITS for row in rows}
        if book.live:
            assert whole or EventKind.EVENT_CLEAR in kinds
            assert same(plain, book)
        else:
            assert not whole or EventKind.EVENT_BROKEN in kinds
            assert plain.levels(0) == plain.levels(1) == []
        whole = book.live
        if rows:
            assert [bool(row[4] & END) for row in rows] == [False] * (len(rows) - 1) + [True]


def test_more_levels_and_events_than_there_was_room_for() -> None:
    book = Book()
    log = ChangeLog(book)
    book.catch_up()
    for price in range(1, 20_001):
        book.apply(0, price, price)
    book.apply(1, 30_000, 1)
    book.verify(1)
    log.look(1)
    for turn in range(2, 8):
        for price in range(1, 20_001):
            book.apply(0, price, price + turn)
        book.verify(turn)
        log.look(turn)
    assert len(log) == 20_002 + 6 * 20_000
    plain = Book()
    replayed(rows_of(log.take()), plain)
    assert same(plain, book)


def test_event_is_kept_as_it_is_told() -> None:
    log = ChangeLog(Book())
    log.append(1, 2, 3, 4, EventKind.EVENT_QUOTE | ASK)
    assert rows_of(log.take()) == [(1, 2, 3, 4, EventKind.EVENT_QUOTE | ASK)]
    for flags in (0, -1, 65536):
        with pytest.raises(ValueError, match="flags"):
            log.append(1, 2, 3, 4, flags)


def test_columns_that_do_not_fit_are_refused() -> None:
    one, two, flags = array("q", [1]), array("q", [1, 2]), array("H", [LEVEL])
    with pytest.raises(ValueError, match="one length: 1, 2, 1"):
        follow(Book(), one, two, flags)
    with pytest.raises(ValueError, match="one length: 1, 2, 1"):
        follow(Book(), one, one, flags, two, one)
    with pytest.raises(ValueError, match="event 0: no level of a book: -1 ticks"):
        follow(Book(), array("q", [-1]), one, flags)
