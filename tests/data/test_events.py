"""Columns of events: spans, the book that a span meets, steps, and the order of receipt."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book
from openmm._fast.changes import follow
from openmm.data.events import (
    ASK,
    CLEAR,
    FILTERED,
    LATE_NS_MAX,
    LEVEL,
    MESSAGE_END,
    READ_END,
    TRADE,
    Events,
    Market,
    coarser,
    coarsest,
    finer,
    joined,
    late_trades,
    merged_events,
    plain,
    sealed,
    utc,
)
from tests.data.made import MARKET, START_NS, any_events, events_of, small
from tests.data.test_store import alike


def levels(book: Book) -> list[list[tuple[int, int]]]:
    return [book.levels(0), book.levels(1)]


def test_book_before_a_place_is_what_the_events_ahead_leave() -> None:
    events = small()
    assert levels(events.book_before(0)) == [[], []]
    assert levels(events.book_before(5)) == [[(1000, 50), (999, 20)], [(1001, 30), (1003, 10)]]
    assert levels(events.book_before(8)) == [[(999, 20)], [(1001, 20), (1003, 10)]]
    assert levels(events.book_before(9)) == [[], []]  # broken
    assert levels(events.book_before(12)) == [[(998, 7)], [(1002, 9)]]


def test_opened_span_begins_with_the_book_that_it_meets() -> None:
    events = small()
    part = events.opened(START_NS + 30, START_NS + 40)
    assert part.kinds.tolist() == [CLEAR, 1, 1, 1, 1, 1]
    assert set((part.recv_ns - START_NS).tolist()) == {30}
    assert levels(part.book_before(5)) == levels(events.book_before(7))
    assert levels(part.book_before(6)) == levels(events.book_before(8))
    assert bool(part.flags[4] & MESSAGE_END)


def test_opened_span_has_no_book_where_there_is_none() -> None:
    events = small()
    whole = events.opened(START_NS, START_NS + 99)
    assert alike(whole, events)  # it begins with a CLEAR of its own
    broken = events.opened(START_NS + 50, START_NS + 99)
    assert broken.kinds.tolist() == [CLEAR, 1, 1]
    assert len(events.opened(START_NS + 61, START_NS + 99)) == 0
    trades = events.cut(5, 6)
    assert alike(trades.opened(START_NS, START_NS + 99), trades)


@settings(max_examples=30)
@given(any_events(20), st.integers(0, 19))
def test_opened_span_makes_the_same_books_as_the_whole(events: Events, place: int) -> None:
    """Whatever the split: the books behind it are the same."""
    if place >= len(events):
        return
    start_ns = int(events.recv_ns[place])
    start, end_ns = events.place(start_ns), int(events.recv_ns[-1]) + 1
    part = events.opened(start_ns, end_ns)
    ahead = len(part) - (len(events) - start)
    kinds = events.kinds
    for at in {start + 1, (start + len(events)) // 2, len(events)} - {start}:
        resets = np.flatnonzero((kinds[:at] == 3) | (kinds[:at] == 4))
        # Levels ahead of any whole book are nobody's to know.
        if len(resets) and (kinds[resets[-1]] == 3 or resets[-1] >= start):
            mine, theirs = part.book_before(ahead + at - start), events.book_before(at)
            assert levels(mine) == levels(theirs)


def test_sealed_times_never_fall_and_reads_end_where_time_moves() -> None:
    events = events_of([(START_NS, 0, 10, 1, 2), (START_NS + 5, 0, 10, 1, 2)])
    back = replace(events, recv_ns=np.array([START_NS + 9, START_NS + 5], np.int64))
    made, moved = sealed(back)
    assert (made.recv_ns - START_NS).tolist() == [9, 9]
    assert [bool(flags & READ_END) for flags in made.flags] == [False, True]
    assert moved == {"recv_moved": 1, "recv_moved_ns_max": 4}
    assert sealed(events)[1] == {"recv_moved": 0, "recv_moved_ns_max": 0}


def test_steps_are_the_coarsest_and_the_finest_asked_for() -> None:
    events = replace(small(), qty_lots=small().qty_lots * 100)
    made = coarsest(events)
    assert made.market.lot_size == Decimal("0.01")
    assert np.array_equal(made.qty_lots, small().qty_lots)
    assert coarsest(small()) is not made
    assert coarsest(small()).market.lot_size == MARKET.lot_size  # a quantity of 7 lots
    fine = finer(made, Market("", "", Decimal("0.05"), Decimal("0.001")))
    assert fine.market.tick_size == Decimal("0.05")
    assert np.array_equal(fine.price_ticks, made.price_ticks * 2)
    assert np.array_equal(fine.qty_lots, made.qty_lots * 10)
    with pytest.raises(ValueError, match="no multiples"):
        finer(made, Market("", "", Decimal("0.03"), Decimal("0.001")))
    with pytest.raises(ValueError, match="no multiple of"):
        coarsest(small(), Decimal("0.00015"))
    for tick, lot in (("1e-19", "0.001"), ("0.05", "1e-22")):
        with pytest.raises(ValueError, match="steps too fine"):
            finer(made, Market("", "", Decimal(tick), Decimal(lot)))
    dust = replace(made, market=replace(made.market, tick_size=Decimal("1E-20")))
    with pytest.raises(ValueError, match="is beyond"):
        coarser(dust, Decimal("0.1"))


def test_streams_of_one_market_merge_by_receipt_and_then_as_given() -> None:
    book = events_of([(START_NS, 0, 10, 1, 1), (START_NS + 5, 0, 11, 1, 1)])
    trades = events_of([(START_NS, 0, 12, 1, 2), (START_NS + 3, 0, 13, 1, 2)])
    made, moved = merged_events(MARKET, [book, trades])
    assert made.price_ticks.tolist() == [10, 12, 13, 11]
    assert moved["recv_moved"] == 0
    late = replace(book, recv_ns=np.array([START_NS + 4, START_NS + 1], np.int64))
    made, moved = merged_events(MARKET, [late, trades])
    assert made.price_ticks.tolist() == [12, 13, 10, 11]  # a stream keeps its own order
    assert moved == {"recv_moved": 1, "recv_moved_ns_max": 3}


def test_columns_that_no_book_takes_say_which_event() -> None:
    events = replace(small(), qty_lots=np.full(12, 1 << 60, np.int64))
    with pytest.raises(ValueError, match="event 1: no level"):
        follow(Book(), events.price_ticks.data, events.qty_lots.data, events.flags.data)


def test_numbers_and_moments_for_people() -> None:
    assert format(plain(Decimal("1E-8")), "f") == "0.00000001"
    assert str(plain(Decimal("100"))) == "100"
    assert str(plain(Decimal("0.500"))) == "0.5"
    assert utc(START_NS) == "2025-06-15T15:06:40.000Z"
    assert Market("kraken", "BTC/USD", Decimal(1), Decimal(1)).label == "kraken BTC/USD"
    assert Market("b", "A/B", Decimal(1), Decimal(1), 0, "spot").label == "b-spot A/B"


def test_late_trades_are_those_a_newer_book_came_ahead_of() -> None:
    # (receive ns, venue ns, flags): books at 10 and 20 by the venue, prints around them.
    level, trade, end = LEVEL, TRADE | MESSAGE_END, MESSAGE_END
    rows = [
        (100, 10, CLEAR), (100, 10, level | end),  # 0, 1
        (110, 10, trade),  # 2: of the book's own moment: not older than it
        (120, 20, level), (120, 20, level | ASK | end),  # 3, 4
        (130, 15, trade),  # 5: in the book of 3
        (140, 9, trade),  # 6: in the book of 0
        (150, 0, trade),  # 7: no time told
        (160, 25, trade),  # 8: news
        (170, 12, trade | FILTERED),  # 9: not the market's
        (180 + LATE_NS_MAX, 15, trade),  # 10: a clock of its own
    ]  # fmt: skip
    recv_ns, venue_ns, flags = (np.array(one, np.int64) for one in zip(*rows, strict=True))
    prices = np.where(flags == CLEAR, 0, 5)
    market = Market("kraken", "BTC/USD", Decimal("0.1"), Decimal("0.1"))
    events = Events(market, recv_ns, venue_ns, prices, prices, flags.astype(np.uint16))
    found = late_trades(events)
    assert found.trade.tolist() == [6, 5]
    assert found.at.tolist() == [0, 3]
    assert found.skip.tolist() == [5, 6]
    assert late_trades(events) is found
    # A trade of nothing, or at no price, fills nothing: a run does not stop to skip it.
    empty = np.where(np.arange(len(prices)) == 5, 0, prices)
    assert late_trades(replace(events, qty_lots=empty)).skip.tolist() == [6]
    assert late_trades(replace(events, price_ticks=empty)).skip.tolist() == [6]
    # Another column beside the same others is another market.
    soon = replace(events, recv_ns=np.minimum(recv_ns, 170))
    assert late_trades(soon).skip.tolist() == [5, 6, 10]
    assert len(late_trades(replace(events, venue_ns=np.zeros_like(venue_ns))).skip) == 0
    nothing = late_trades(events.cut(0, 0))
    assert len(nothing.at) == len(nothing.trade) == len(nothing.skip) == 0


def test_a_trade_of_its_books_own_time_is_late_where_the_book_holds_it() -> None:
    end = MESSAGE_END
    rows = [
        (100, 9, 0, 0, CLEAR), (100, 9, 50, 9, LEVEL), (100, 9, 51, 9, LEVEL | ASK | end),  # to 2
        (110, 20, 50, 5, LEVEL | end),  # 3: four less on the bid
        (111, 20, 51, 7, LEVEL | ASK | end),  # 4: two less on the ask
        (120, 20, 50, 3, TRADE | ASK | end),  # 5: in 3
        (121, 20, 50, 2, TRADE | ASK | end),  # 6: only one of the four is left
        (122, 20, 50, 1, TRADE | ASK | end),  # 7: that one
        (123, 20, 51, 2, TRADE | end),  # 8: in 4
        (124, 20, 52, 1, TRADE | end),  # 9: nothing was lowered there
        (125, 19, 52, 1, TRADE | end),  # 10: older than 3, as ever
    ]  # fmt: skip
    events = events_of(
        [
            (START_NS + at, START_NS + venue, price, qty, kind)
            for at, venue, price, qty, kind in rows
        ]
    )
    found = late_trades(events)
    assert found.skip.tolist() == [5, 7, 8, 10]
    assert dict(zip(found.trade.tolist(), found.at.tolist(), strict=True)) == {
        5: 3, 7: 3, 8: 4, 10: 3,
    }  # fmt: skip
    # A trade that came first is news: what the book lost is told after it.
    parts = [events.cut(0, 3), events.cut(5, 6), events.cut(3, 5)]
    ahead = replace(joined(events.market, parts), recv_ns=events.recv_ns[:6])
    assert len(late_trades(ahead).skip) == 0


def test_what_is_kept_of_coarse_ticks_follows_each_column() -> None:
    events, tick = small(), Decimal(1)
    first = coarser(events, tick)
    later = coarser(replace(events, recv_ns=events.recv_ns + 5), tick)
    assert np.array_equal(later.recv_ns, events.recv_ns + 5)
    assert later.price_ticks is first.price_ticks
    more = coarser(replace(events, qty_lots=events.qty_lots * 10), tick)
    assert np.array_equal(more.qty_lots, first.qty_lots * 10)
    turned = coarser(replace(events, flags=events.flags ^ np.uint16(ASK)), tick)
    assert not np.array_equal(turned.price_ticks, first.price_ticks)
