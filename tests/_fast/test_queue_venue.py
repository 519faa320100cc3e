"""The pretended venue of backtests: by hand, and against `ReplayMatching`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book
from openmm._fast.matching import ReplayMatching
from openmm._fast.queue import QueueModel
from openmm._fast.queue_venue import Arrived, Link, QueueVenue, Told
from openmm._fast.units import BookSide, Side

BID, ASK = BookSide.BID, BookSide.ASK
BUY, SELL = Side.BUY, Side.SELL
PLACE, AMEND, CANCEL = Told.TOLD_PLACE, Told.TOLD_AMEND, Told.TOLD_CANCEL
FAR = 1 << 60


def linked(
    levels: Mapping[tuple[int, int], int], model: int = QueueModel.QUEUE_CAUTIOUS, power: int = 3
) -> tuple[QueueVenue, Callable[[], list[tuple[Told, int, int]]]]:
    """Make a venue with a book, and what tells its answers."""
    book, answers = Book(), Link([0])
    book.catch_up()
    made = QueueVenue(book, answers, model, power)
    for (side, price), qty in levels.items():
        made.level(side, price, qty)

    def said() -> list[tuple[Told, int, int]]:
        return [(one.told, one.seq, one.qty_lots) for one in answers.take(1 << 62)]

    return made, said


BOOK: dict[tuple[int, int], int] = {(BID, 99): 5, (BID, 98): 8, (ASK, 101): 4, (ASK, 102): 6}
THREE: dict[tuple[int, int], int] = {(BID, 99): 10, (BID, 98): 1, (ASK, 101): 1}
WIDE: dict[tuple[int, int], int] = {(BID, 95): 5, (ASK, 105): 5}


def test_an_order_waits_for_the_queue_in_front() -> None:
    venue, said = linked(BOOK)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=99, qty_lots=3)
    assert said() == [(Told.TOLD_ACKED, 1, 3)]
    assert venue.ahead(1) == 5
    venue.trade(SELL, 99, 4, 1)
    assert (said(), venue.ahead(1)) == ([], 1)
    venue.trade(SELL, 99, 3, 2)
    assert said() == [(Told.TOLD_FILL, 1, 2)]
    venue.trade(SELL, 99, 9, 3)
    assert said() == [(Told.TOLD_FILL, 1, 1)]
    assert venue.resting_count == 0
    assert venue.ahead(1) is None


def test_a_trade_through_the_price_fills_whatever_stood_in_front() -> None:
    venue, said = linked(BOOK)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=99, qty_lots=3)
    said()
    venue.trade(SELL, 98, 2, 1)
    assert said() == [(Told.TOLD_FILL, 1, 2)]


def test_a_book_that_reaches_the_price_fills_up_to_what_it_shows() -> None:
    venue, said = linked(BOOK)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=99, qty_lots=9)
    said()
    venue.level(BID, 99, 0)
    venue.level(ASK, 99, 4)
    venue.settle(1)
    assert said() == [(Told.TOLD_FILL, 1, 4)]
    venue.settle(2)  # what we took of it is used up until it is told again
    assert said() == []
    venue.level(ASK, 99, 4)
    venue.settle(3)
    assert said() == [(Told.TOLD_FILL, 1, 4)]


def test_what_would_take_is_refused_and_what_may_take_takes() -> None:
    venue, said = linked(BOOK)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=101, qty_lots=3)
    assert said() == [(Told.TOLD_REFUSED, 1, 3)]
    venue.request(PLACE, 2, 0, side=BUY, price_ticks=102, qty_lots=12, post_only=False)
    # What does not trade at once is dropped: orders that may take are IOC.
    assert said() == [
        (Told.TOLD_ACKED, 2, 12), (Told.TOLD_FILL, 2, 4), (Told.TOLD_FILL, 2, 6),
        (Told.TOLD_CANCELLED, 2, 12),
    ]  # fmt: skip
    assert venue.resting_count == 0
    venue.request(PLACE, 3, 0, side=SELL, price_ticks=98, qty_lots=2, post_only=False)
    assert said() == [(Told.TOLD_ACKED, 3, 2), (Told.TOLD_FILL, 3, 2)]
    assert venue.resting_count == 0


def test_an_amend_keeps_its_place_only_when_it_shrinks() -> None:
    venue, said = linked(BOOK)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=99, qty_lots=5)
    venue.trade(SELL, 99, 3, 1)
    assert venue.ahead(1) == 2
    venue.request(AMEND, 1, 2, price_ticks=99, qty_lots=4)
    assert venue.ahead(1) == 2
    venue.request(AMEND, 1, 3, price_ticks=99, qty_lots=6)
    assert venue.ahead(1) == 5
    venue.request(AMEND, 1, 4, price_ticks=98, qty_lots=6)
    assert venue.ahead(1) == 8
    venue.request(AMEND, 1, 5, price_ticks=101, qty_lots=6)
    venue.request(CANCEL, 1, 6)
    venue.request(CANCEL, 1, 7)
    assert [kind for kind, _, _ in said()] == [
        Told.TOLD_ACKED, Told.TOLD_AMENDED, Told.TOLD_AMENDED, Told.TOLD_AMENDED,
        Told.TOLD_AMEND_REFUSED, Told.TOLD_CANCELLED, Told.TOLD_UNKNOWN,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "ahead", "then"),
    [
        # 10 in front, 10 behind, 8 leave untraded; then 9 of 12.
        (QueueModel.QUEUE_CAUTIOUS, 10, 3),
        (QueueModel.QUEUE_POWER, 6, 2),
        (QueueModel.QUEUE_LOG, 6, 2),
    ],
)
def test_what_leaves_untraded_leaves_by_the_model(model: int, ahead: int, then: int) -> None:
    venue, _ = linked(dict(THREE), model, 1)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=99, qty_lots=5)
    venue.level(BID, 99, 20)
    venue.settle(1)
    venue.level(BID, 99, 12)
    venue.settle(2)
    assert venue.ahead(1) == ahead
    venue.level(BID, 99, 3)
    venue.settle(3)
    assert venue.ahead(1) == then


def test_nothing_is_known_beyond_the_last_level() -> None:
    venue, said = linked(BOOK)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=90, qty_lots=5)
    said()
    assert venue.ahead(1) == FAR
    venue.trade(SELL, 90, 1_000, 1)
    assert said() == []
    venue.level(BID, 90, 7)
    venue.settle(2)
    assert venue.ahead(1) == 7


PRICES, LOTS_A_LEVEL = st.integers(90, 110), st.integers(1, 9)
OPERATION = st.one_of(
    st.tuples(st.just("level"), st.sampled_from([BID, ASK]), PRICES, st.integers(0, 9)),
    st.tuples(st.just("trade"), st.sampled_from([BUY, SELL]), PRICES, LOTS_A_LEVEL),
    st.tuples(st.just("place"), st.sampled_from([BUY, SELL]), PRICES, LOTS_A_LEVEL),
    st.tuples(st.just("amend"), st.integers(0, 9), PRICES, st.integers(1, 12)),
    st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0), st.just(0)),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(OPERATION, max_size=60))
def test_the_careful_model_fills_as_paper_mode_does(
    operations: list[tuple[str, int, int, int]],
) -> None:
    """The same book, trades and orders: the same fills, by `ReplayMatching` and by `QueueVenue`."""
    venue, said = linked(dict(WIDE))
    other = ReplayMatching()
    other.set_level(BID, 95, 5)
    other.set_level(ASK, 105, 5)
    sides = {0: BUY}
    seq = 0
    for kind, a, b, c in operations:
        if kind == "level":
            opposite = venue.book.best_ask_ticks if a == BID else venue.book.best_bid_ticks
            if c and opposite is not None and (b >= opposite if a == BID else b <= opposite):
                continue  # a recorded book that crosses itself is broken: nothing is matched there
            venue.level(a, b, c)
            other.set_level(a, b, c)
            venue.settle(0)
            theirs = other.settle()
        elif kind == "trade":
            venue.trade(a, b, c, 0)
            theirs = other.trade(a, b, c)
        elif kind == "place":
            against = [s for s in sides if s and other.order(s) and sides[s] != a]
            prices = [other.order(s)[1] for s in against]  # type: ignore[index]
            if any(b >= p if a == BUY else b <= p for p in prices):
                continue  # the engine never crosses its own orders
            seq += 1
            sides[seq] = Side(a)
            venue.request(PLACE, seq, 0, side=a, price_ticks=b, qty_lots=c)
            other.submit(seq, 1, a, b, c, post_only=True)
            theirs = other.matches()
        elif kind == "amend":
            target = 1 + a % max(seq, 1)
            side = sides.get(target, BUY)
            prices = [
                other.order(s)[1] for s in sides  # type: ignore[index]
                if s and other.order(s) and sides[s] != side
            ]  # fmt: skip
            if any(b >= p if side == BUY else b <= p for p in prices):
                continue
            venue.request(AMEND, target, 0, price_ticks=b, qty_lots=c)
            other.amend(target, b, c, post_only=True)
            theirs = other.matches()
        else:
            target = 1 + a % max(seq, 1)
            venue.request(CANCEL, target, 0)
            other.cancel(target)
            theirs = []
        fills = [(s, q) for k, s, q in said() if k == Told.TOLD_FILL]
        assert fills == [(one.maker_id, one.qty_lots) for one in theirs]
        assert venue.resting_count == other.resting_count
        for s in range(1, seq + 1):
            mine, careful = venue.ahead(s), other.ahead(s)
            assert mine == careful or (mine == FAR and careful is not None and careful >= FAR)


def test_links_deliver_in_order_after_their_delays() -> None:
    book, answers = Book(), Link([50, 10, 30])
    book.catch_up()
    venue = QueueVenue(book, answers)
    for seq in (1, 2, 3, 4):
        venue.request(PLACE, seq, seq, side=BUY, price_ticks=90 + seq, qty_lots=1)
    assert [(one.due_ns, one.seq) for one in answers.take(1 << 62)] == [
        (51, 1), (51, 2), (51, 3), (54, 4),
    ]  # fmt: skip
    drawn = [Link([1, 2, 3, 4], seed) for seed in (7, 7, 8)]
    came: list[list[Arrived]] = []
    for link in drawn:
        one = QueueVenue(book, link)
        for seq in range(1, 40):
            one.request(PLACE, seq, seq * 10, side=BUY, price_ticks=90, qty_lots=1)
        came.append(link.take(1 << 62))
    assert came[0] == came[1] != came[2]
    with pytest.raises(ValueError, match="delays"):
        Link([])
    with pytest.raises(ValueError, match="delays"):
        Link([1, -1])


def test_a_delay_that_was_measured_at_a_moment_is_of_what_leaves_then() -> None:
    link = Link([5, 6, 7, 8, 9], from_ns=[10, 20, 20, 20, 40])
    # What leaves before the first takes it; it is still there for what leaves then.
    asked = [3, 10, 11, 20, 20, 20, 20, 25, 39, 41, 41]
    assert [link.delay(at_ns) for at_ns in asked] == [5, 5, 5, 6, 7, 8, 8, 8, 8, 9, 9]
    # A moment at which nothing left is passed over, with all its delays.
    link = Link([5, 6, 7, 8, 9], from_ns=[10, 20, 20, 30, 40])
    assert [link.delay(at_ns) for at_ns in (10, 30, 30, 90)] == [5, 8, 8, 9]
    for moments in ([10], [20, 10]):
        with pytest.raises(ValueError, match="moments"):
            Link([1, 2], from_ns=moments)


def test_levels_beyond_those_it_remembers_are_told() -> None:
    venue, said = linked({(BID, 1): 1}, 0 + QueueModel.QUEUE_CAUTIOUS)
    for price in range(1000, 1200):
        venue.level(ASK, price, 1)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=1127, qty_lots=128, post_only=False)
    assert venue.forgotten_count == 0
    venue.request(PLACE, 2, 0, side=BUY, price_ticks=1130, qty_lots=3, post_only=False)
    assert venue.forgotten_count == 3
    assert sum(qty for kind, _, qty in said() if kind == Told.TOLD_FILL) == 131


def test_what_we_took_stays_missing_for_its_time() -> None:
    book, answers = Book(), Link([0])
    book.catch_up()
    venue = QueueVenue(book, answers, QueueModel.QUEUE_CAUTIOUS, 3, 100)
    for side, price, qty in ((BID, 95, 5), (ASK, 101, 4), (ASK, 110, 9)):
        venue.level(side, price, qty)
    venue.request(PLACE, 1, 10, side=BUY, price_ticks=101, qty_lots=3, post_only=False)
    venue.level(ASK, 101, 4, 109)
    venue.request(PLACE, 2, 109, side=BUY, price_ticks=101, qty_lots=9, post_only=False)
    venue.level(ASK, 101, 4, 209)
    venue.request(PLACE, 3, 209, side=BUY, price_ticks=101, qty_lots=9, post_only=False)
    fills = [(one.seq, one.qty_lots) for one in answers.take(1 << 62) if one.told == Told.TOLD_FILL]
    # Of four that are shown three were ours until 110; then one more until 209.
    assert fills == [(1, 3), (2, 1), (3, 4)]
    with pytest.raises(ValueError, match="impact_ns"):
        QueueVenue(book, answers, impact_ns=-1)


def test_drawn_delays_come_in_spells_as_they_were() -> None:
    delays = list(range(1_000, 2_000))
    book, answers = Book(), Link(delays, 5)
    book.catch_up()
    venue = QueueVenue(book, answers)
    for seq in range(1, 201):
        # Far enough apart that none waits for the one ahead.
        venue.request(PLACE, seq, seq * 10_000, side=BUY, price_ticks=90, qty_lots=1)
    drawn = [one.due_ns - one.seq * 10_000 for one in answers.take(1 << 62)]
    steps = [b - a for a, b in pairwise(drawn)]
    whole = sum(1 for step in steps if step in (1, -999))
    assert whole == len(steps) - (len(drawn) - 1) // 32
    assert len({drawn[at] for at in range(0, 200, 32)}) > 3


def test_a_fill_whose_place_nobody_told_says_so() -> None:
    book, answers = Book(), Link([0])
    book.catch_up()
    venue = QueueVenue(book, answers)
    for (side, price), qty in BOOK.items():
        venue.level(side, price, qty)
    venue.request(PLACE, 1, 0, side=BUY, price_ticks=90, qty_lots=5)
    venue.request(PLACE, 2, 0, side=BUY, price_ticks=99, qty_lots=5)
    venue.trade(SELL, 80, 10, 1)
    came = answers.take(1 << 62)
    told = {one.seq: one.ahead_lots for one in came if one.told == Told.TOLD_FILL}
    assert told == {1: -1, 2: 5}


def test_no_slot_is_taken_twice() -> None:
    venue, said = linked(BOOK)
    for seq in (5, 5, 5 + 512):
        venue.request(PLACE, seq, 0, side=BUY, price_ticks=90, qty_lots=5)
    assert said() == [
        (Told.TOLD_ACKED, 5, 5),
        (Told.TOLD_REFUSED, 5, 5),
        (Told.TOLD_REFUSED, 517, 5),
    ]
    for seq in range(1, 20_000):
        venue.request(PLACE, seq, 0, side=BUY, price_ticks=90 + seq % 5, qty_lots=5)
    assert venue.resting_count == 512
    said()
    venue.trade(SELL, 80, 1 << 40, 1)
    assert venue.resting_count == 0
    assert len(said()) == 512


def test_orders_that_are_none_are_refused() -> None:
    venue, said = linked(BOOK)
    with pytest.raises(ValueError, match="seq 0"):
        venue.request(PLACE, 0, 0, side=BUY, price_ticks=90, qty_lots=5)
    for price, qty in ((0, 5), (-1, 5), (90, 0), (90, -3)):
        venue.request(PLACE, 1, 0, side=BUY, price_ticks=price, qty_lots=qty)
        assert said() == [(Told.TOLD_REFUSED, 1, qty)]
    assert venue.resting_count == 0
