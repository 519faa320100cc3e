"""The book against tables and against two sorted dictionaries, far beyond its window."""

from __future__ import annotations

import array
import random
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.units import BookSide
from tests.oracles import book as oracle

BID, ASK = BookSide.BID, BookSide.ASK
PRICE_MAX = oracle.PRICE_TICKS_MAX
QTY_MAX = oracle.QTY_LOTS_MAX


def rows_of(levels: Sequence[tuple[int, int, int]]) -> memoryview:
    """Make int64[n, 3] out of (side, price_ticks, qty_lots)."""
    flat = array.array("q", [number for level in levels for number in level])
    return memoryview(flat).cast("B").cast("q", (len(levels), 3))


def filled(*, bids: list[int], asks: list[int], window_ticks: int = 64) -> Book:
    """Make a book with a level of `price` lots at each price."""
    book = Book(window_ticks=window_ticks, outside_levels=64)
    for price in bids:
        book.apply(BID, price, price)
    for price in asks:
        book.apply(ASK, price, price)
    return book


def state_of(book: Book) -> BookState:
    """Return the state; a call, for a property would be taken to stay as it was asserted last."""
    return book.state


def is_due(book: Book) -> bool:
    return book.recentre_due


def prices(book: Book, side: int) -> list[int]:
    return [price for price, _ in book.levels(side)]


# --- tables


def test_new_book_is_catching_up_and_empty() -> None:
    book = Book()
    assert state_of(book) == BookState.BOOK_CATCHING_UP
    assert book.break_reason is BookBreak.BREAK_NONE
    assert (book.best_bid_ticks, book.best_ask_ticks) == (None, None)
    assert (book.bid_count, book.ask_count, book.version, book.message_count) == (0, 0, 0, 0)


def test_levels_come_best_first() -> None:
    book = filled(bids=[100, 98, 99], asks=[103, 101, 102])
    assert book.levels(BID) == [(100, 100), (99, 99), (98, 98)]
    assert book.levels(ASK) == [(101, 101), (102, 102), (103, 103)]
    assert book.levels(ASK, 2) == [(101, 101), (102, 102)]


def test_same_price_again_replaces_quantity() -> None:
    book = filled(bids=[100], asks=[101])
    book.apply(BID, 100, 7)
    assert book.levels(BID) == [(100, 7)]
    assert (book.bid_count, book.version) == (1, 3)


def test_delete_last_bid_clears_best() -> None:
    book = filled(bids=[100], asks=[101])
    book.apply(BID, 100, 0)
    assert book.best_bid_ticks is None
    assert (book.bid_count, book.levels(BID)) == (0, [])
    assert book.best_ask_ticks == 101


def test_delete_of_absent_level_changes_nothing() -> None:
    book = filled(bids=[100], asks=[110])
    for side, price in ((BID, 105), (BID, 90), (ASK, 105), (ASK, 120), (BID, 10**6), (ASK, 10**6)):
        book.apply(side, price, 0)
    assert (prices(book, BID), prices(book, ASK)) == ([100], [110])
    assert (book.best_bid_ticks, book.best_ask_ticks) == (100, 110)


@pytest.mark.parametrize("far", [63, 64, 65, 4096, 10**6, PRICE_MAX - 200])
def test_delete_of_best_finds_next_however_far(far: int) -> None:
    book = filled(bids=[1, 1 + far], asks=[101 + far, 101])
    book.apply(BID, 1 + far, 0)
    assert book.best_bid_ticks == 1
    book.apply(ASK, 101, 0)
    assert book.best_ask_ticks == 101 + far


@pytest.mark.parametrize("step", [1, 2, 31, 63, 64, 65])
def test_best_improves_and_worsens_level_by_level_across_words(step: int) -> None:
    book = Book(window_ticks=4096)
    bids = [10_000 - step * i for i in range(20)]
    asks = [10_001 + step * i for i in range(20)]
    for bid, ask in zip(reversed(bids), reversed(asks), strict=True):
        book.apply(BID, bid, 1)
        book.apply(ASK, ask, 1)
        assert (book.best_bid_ticks, book.best_ask_ticks) == (bid, ask)
    for i in range(19):
        book.apply(BID, bids[i], 0)
        book.apply(ASK, asks[i], 0)
        assert (book.best_bid_ticks, book.best_ask_ticks) == (bids[i + 1], asks[i + 1])


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 6, 100])
def test_cut_keeps_the_best(depth: int) -> None:
    bids, asks = [1000, 990, 900, 500, 2, 1], [1001, 1010, 1100, 1500, 10**6, PRICE_MAX]
    book = filled(bids=bids, asks=asks)
    book.cut(depth)
    assert (prices(book, BID), prices(book, ASK)) == (bids[:depth], asks[:depth])
    assert (book.bid_count, book.ask_count) == (min(depth, 6), min(depth, 6))
    assert book.best_bid_ticks == (1000 if depth else None)


def test_depth_counts_within_distance_of_the_own_best() -> None:
    book = filled(bids=[1000, 990, 900], asks=[1001, 1011, 1500])
    assert [book.depth(BID, d) for d in (-1, 0, 9, 10, 100, 1 << 62)] == [
        0, 1000, 1000, 1990, 2890, 2890,
    ]  # fmt: skip
    assert [book.depth(ASK, d) for d in (0, 10, 498, 499)] == [1001, 2012, 2012, 3512]


def test_depth_saturates() -> None:
    book = Book(window_ticks=4096)
    book.apply_many(rows_of([(BID, price, QTY_MAX) for price in range(1, 4001)]))
    assert book.depth(BID, 4000) == oracle.INT64_MAX


def test_worse_walks_and_ends_in_none() -> None:
    book = filled(bids=[1000, 990, 5], asks=[1001, 1010, 10**6])
    assert [book.worse(BID, p) for p in (2000, 1000, 995, 990, 5, 0, -5)] == [
        1000, 990, 990, 5, None, None, None,
    ]  # fmt: skip
    assert [book.worse(ASK, p) for p in (0, 1001, 1005, 1010, 10**6, oracle.INT64_MAX)] == [
        1001, 1010, 1010, 10**6, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "level",
    [
        (2, 100, 1),
        (-1, 100, 1),
        (BID, 0, 1),
        (BID, -1, 1),
        (ASK, PRICE_MAX + 1, 1),
        (BID, 100, -1),
        (ASK, 100, QTY_MAX + 1),
        (BID, oracle.INT64_MAX, 1),
        (ASK, -oracle.INT64_MAX - 1, 1),
        (ASK, 100, -oracle.INT64_MAX - 1),
    ],
)
def test_level_out_of_bounds_is_refused_and_changes_nothing(level: tuple[int, int, int]) -> None:
    book = filled(bids=[100], asks=[101])
    with pytest.raises(ValueError, match="out of bounds"):
        book.apply(*level)
    assert (book.levels(BID), book.levels(ASK)) == ([(100, 100)], [(101, 101)])
    assert book.version == 2


@pytest.mark.parametrize("window", [0, 32, 63, 100, 1 << 21, -64])
def test_window_must_be_a_power_of_two_in_range(window: int) -> None:
    with pytest.raises(ValueError, match="window_ticks"):
        Book(window_ticks=window)


@pytest.mark.parametrize("levels", [0, -1, (1 << 20) + 1])
def test_outside_levels_must_be_in_range(levels: int) -> None:
    with pytest.raises(ValueError, match="outside_levels"):
        Book(outside_levels=levels)


def test_side_must_be_a_book_side() -> None:
    book = Book()
    for call in (book.levels, lambda side: book.depth(side, 1), lambda side: book.worse(side, 1)):
        with pytest.raises(ValueError, match="side"):
            call(2)
    with pytest.raises(ValueError, match="side"):
        book.apply_many(rows_of([(1 << 32, 100, 1)]))


# --- states


def test_verify_of_a_sound_book_makes_it_verified() -> None:
    book = filled(bids=[100], asks=[101])
    book.verify(5, 4)
    assert state_of(book) == BookState.BOOK_VERIFIED
    assert (book.recv_ns, book.ts_ns, book.message_count) == (5, 4, 1)


@pytest.mark.parametrize(
    ("bids", "asks", "reason"),
    [
        ([], [], BookBreak.BREAK_EMPTY),
        ([100], [], BookBreak.BREAK_EMPTY),
        ([], [100], BookBreak.BREAK_EMPTY),
        ([100], [100], BookBreak.BREAK_CROSSED),
        ([101], [100], BookBreak.BREAK_CROSSED),
        ([10**6], [1], BookBreak.BREAK_CROSSED),
    ],
)
def test_verify_of_a_crossed_or_empty_book_breaks_it(
    bids: list[int], asks: list[int], reason: BookBreak
) -> None:
    book = filled(bids=bids, asks=asks)
    book.verify(5)
    assert (book.state, book.break_reason) == (BookState.BOOK_BROKEN, reason)
    assert (book.break_count, book.message_count, book.recv_ns) == (1, 0, 0)


def test_level_that_crosses_a_verified_book_puts_it_in_doubt() -> None:
    book = filled(bids=[100], asks=[101])
    book.verify(5)
    book.apply(BID, 101, 1)
    assert state_of(book) == BookState.BOOK_CATCHING_UP
    assert book.live
    book.apply(ASK, 101, 0)
    book.apply(ASK, 102, 1)
    book.verify(6)
    assert state_of(book) == BookState.BOOK_VERIFIED


def test_level_that_empties_a_side_of_a_verified_book_puts_it_in_doubt() -> None:
    book = filled(bids=[100], asks=[101])
    book.verify(5)
    book.apply(ASK, 101, 0)
    assert state_of(book) == BookState.BOOK_CATCHING_UP


def test_clear_of_a_verified_book_puts_it_in_doubt() -> None:
    book = filled(bids=[100], asks=[101])
    book.verify(5)
    book.clear()
    assert state_of(book) == BookState.BOOK_CATCHING_UP
    assert (book.levels(BID), book.levels(ASK)) == ([], [])


def test_broken_book_takes_no_level_and_cannot_be_verified() -> None:
    book = filled(bids=[100], asks=[101])
    book.break_(BookBreak.BREAK_GAP)
    for price in (99, 10**6):
        with pytest.raises(RuntimeError, match="broken"):
            book.apply(BID, price, 1)
    book.verify(5)
    assert state_of(book) == BookState.BOOK_BROKEN
    assert prices(book, BID) == [100]


def test_second_break_keeps_the_first_reason() -> None:
    book = filled(bids=[100], asks=[101])
    book.break_(BookBreak.BREAK_CHECKSUM)
    book.break_(BookBreak.BREAK_STALE)
    assert (book.break_reason, book.break_count) == (BookBreak.BREAK_CHECKSUM, 1)


@pytest.mark.parametrize("reason", [BookBreak.BREAK_NONE, 11, -1])
def test_break_without_a_reason_is_refused(reason: int) -> None:
    with pytest.raises(ValueError, match=r"reason|BookBreak"):
        Book().break_(reason)


def test_catch_up_empties_a_broken_book_and_takes_levels_again() -> None:
    book = filled(bids=[100, 10**6], asks=[101])
    book.break_(BookBreak.BREAK_GAP)
    book.catch_up()
    assert state_of(book) == BookState.BOOK_CATCHING_UP
    assert (book.levels(BID), book.levels(ASK), book.outside_counts) == ([], [], (0, 0))
    book.apply(BID, 7, 1)
    book.apply(ASK, 8, 1)
    book.verify(5)
    assert state_of(book) == BookState.BOOK_VERIFIED
    assert (book.break_reason, book.break_count) == (BookBreak.BREAK_GAP, 1)


# --- the window


def test_snapshot_far_from_zero_places_the_window_around_it() -> None:
    book = filled(bids=[667_880, 667_870], asks=[667_881, 667_890])
    assert book.outside_counts == (0, 0)
    assert 0 <= 667_870 - book.base_ticks < 64


@pytest.mark.parametrize("step", [-7, 7])
def test_market_that_walks_away_takes_the_window_along(step: int) -> None:
    book = Book(window_ticks=256, outside_levels=4096)
    price = 100_000
    for _ in range(2000):
        book.apply(BID, price - 1, 1)
        book.apply(ASK, price + 1, 1)
        book.verify(1)
        assert state_of(book) == BookState.BOOK_VERIFIED
        for best in (book.best_bid_ticks, book.best_ask_ticks):
            assert best is not None
            assert 0 <= best - book.base_ticks < 256
        stale = (ASK, price + 1) if step > 0 else (BID, price - 1)
        book.apply(*stale, 0)
        price += step
    assert (book.bid_count, book.ask_count) == ((2000, 0) if step > 0 else (0, 2000))


def test_best_near_the_edge_asks_for_a_new_centre_and_gets_it() -> None:
    book = filled(bids=[5000], asks=[5001], window_ticks=1024)
    assert not is_due(book)
    book.apply(ASK, 5001, 0)
    book.apply(BID, 5450, 1)
    book.apply(ASK, 5451, 1)
    assert is_due(book)
    before = book.base_ticks
    book.recentre()
    assert not is_due(book)
    assert book.base_ticks > before
    assert (prices(book, BID), prices(book, ASK)) == ([5450, 5000], [5451])


@pytest.mark.parametrize(("side", "gone", "left"), [(ASK, 5001, 5030), (BID, 5000, 4972)])
def test_best_deleted_beside_other_levels_asks_for_a_new_centre_near_the_edge(
    side: int, gone: int, left: int
) -> None:
    book = filled(bids=[5000, 4972], asks=[5001, 5030])
    assert 0 <= left - book.base_ticks < 64
    assert not is_due(book)
    book.apply(side, left + (-1 if side == BID else 1), 0)
    book.apply(side, gone + (3 if side == BID else -3), 0)
    assert not is_due(book)
    book.apply(side, gone, 0)
    assert (book.best_ask_ticks if side else book.best_bid_ticks) == left
    assert is_due(book)


def test_spread_wider_than_the_window_is_right_and_does_not_move_it_to_and_fro() -> None:
    book = filled(bids=[1000], asks=[9000])
    bases = set()
    for i in range(50):
        book.apply(BID, 1000 + i % 2, 1)
        book.apply(ASK, 9000 - i % 2, 1)
        bases.add(book.base_ticks)
    assert (book.best_bid_ticks, book.best_ask_ticks) == (1001, 8999)
    assert len(bases) == 1


def test_full_outside_breaks_the_book_and_drops_nothing_else() -> None:
    book = Book(window_ticks=64, outside_levels=4)
    book.apply(ASK, 10_000, 1)
    for i in range(5):
        book.apply(BID, 9_999 - 100 * i, 1)
    with pytest.raises(OverflowError, match="no room"):
        book.apply(BID, 9, 1)
    assert (book.state, book.break_reason) == (BookState.BOOK_BROKEN, BookBreak.BREAK_CAPACITY)
    assert prices(book, BID) == [9_999, 9_899, 9_799, 9_699, 9_599]


def test_window_without_room_to_move_stays_and_stays_right() -> None:
    book = Book(window_ticks=64, outside_levels=4)
    for price in range(1, 33):
        book.apply(BID, price, price)
    for price in (1000, 1001, 1002):
        book.apply(BID, price, price)
    assert book.base_ticks == 1
    assert book.best_bid_ticks == 1002
    assert prices(book, BID) == [1002, 1001, 1000, *range(32, 0, -1)]
    book.apply(BID, 1002, 0)
    book.apply(BID, 1001, 0)
    book.apply(BID, 1000, 0)
    assert book.best_bid_ticks == 32


def test_default_books_of_two_hundred_instruments_stay_far_below_a_gigabyte() -> None:
    assert 200 * Book().memory_bytes < 400 << 20
    assert 2 * Book().memory_bytes < 5 << 20


# --- batches


def test_replay_reads_best_after_each_message() -> None:
    rows = [(BID, 100, 1), (ASK, 110, 1), (BID, 101, 1), (ASK, 110, 0), (ASK, 109, 1)]
    book = Book()
    assert book.replay(rows_of(rows), array.array("q", [2, 3, 5])) == (302, 110 + 110 + 109)
    assert book.levels(BID) == [(101, 1), (100, 1)]


@pytest.mark.parametrize("ends", [[2, 1], [4], [-1]])
def test_replay_refuses_ends_that_do_not_ascend(ends: list[int]) -> None:
    rows = rows_of([(BID, 100, 1), (ASK, 110, 1), (BID, 101, 1)])
    with pytest.raises(ValueError, match="ascend"):
        Book().replay(rows, array.array("q", ends))


def test_batches_refuse_rows_of_another_width() -> None:
    rows = memoryview(array.array("q", [0, 1])).cast("B").cast("q", (1, 2))
    with pytest.raises(ValueError, match="columns"):
        Book().apply_many(rows)
    with pytest.raises(ValueError, match="columns"):
        Book().replay(rows, array.array("q", [1]))


@pytest.mark.parametrize("seed", range(8))
def test_long_random_walk_equals_two_sorted_dictionaries(seed: int) -> None:
    rng = random.Random(seed)
    window = rng.choice([64, 128, 4096, 8192, 65536])
    book = Book(window_ticks=window, outside_levels=20_000)
    plain = oracle.Book()
    middle = rng.choice([50, 5_000, 667_880, PRICE_MAX - 50_000])
    width = rng.choice([5, 100, 10_000, 200_000])
    for i in range(20_000):
        middle = max(1, min(PRICE_MAX, middle + rng.randint(-width // 20 - 1, width // 20 + 1)))
        side = rng.randint(0, 1)
        away = int(width * rng.random() ** 3)
        price = max(1, min(PRICE_MAX, middle + (away if side else -away)))
        if rng.random() < 0.3 and plain.sides[side]:
            price = rng.choice(plain.levels(side, 3))[0] if rng.random() < 0.5 else price
        qty = 0 if rng.random() < 0.4 else rng.randint(1, 1000)
        book.apply(side, price, qty)
        plain.apply(side, price, qty)
        if rng.random() < 0.05:
            book.cut(200)
            plain.cut(200)
        if book.recentre_due and rng.random() < 0.5:
            book.recentre()
        assert (book.best_bid_ticks, book.best_ask_ticks) == (plain.best(0), plain.best(1))
        if i % 500 == 0:
            for each in (BID, ASK):
                assert book.levels(each) == plain.levels(each)
    assert (book.bid_count, book.ask_count) == (len(plain.sides[0]), len(plain.sides[1]))


# --- property: any sequence of calls


class BookMachine(RuleBasedStateMachine):
    """Drive the book and the dictionaries alike; windows of 64 to 8192 ticks, prices anywhere."""

    @initialize(
        window=st.sampled_from([64, 128, 4096, 8192]),
        start=st.sampled_from([1, 40, 70, 5_000, 667_880, PRICE_MAX - 100, PRICE_MAX]),
    )
    def open(self, window: int, start: int) -> None:
        self.book = Book(window_ticks=window, outside_levels=4096)
        self.plain = oracle.Book()
        self.window = window
        self.middle = start
        self.messages = 0

    def _apply(self, side: int, price: int, qty: int) -> None:
        taken = self.plain.apply(side, price, qty)
        if taken:
            self.book.apply(side, price, qty)
        else:
            with pytest.raises((ValueError, RuntimeError)):
                self.book.apply(side, price, qty)

    @rule(
        side=st.sampled_from([0, 1]),
        away=st.one_of(st.integers(-3, 70), st.integers(-200, 20_000)),
        qty=st.one_of(st.just(0), st.integers(1, 9), st.sampled_from([QTY_MAX, QTY_MAX + 1, -1])),
    )
    def level_near_the_market(self, side: int, away: int, qty: int) -> None:
        self._apply(side, self.middle + (away if side else -away), qty)

    @rule(
        side=st.sampled_from([0, 1, 2, -1]),
        price=st.integers(-5, PRICE_MAX + 5),
        qty=st.integers(0, 3),
    )
    def level_anywhere(self, side: int, price: int, qty: int) -> None:
        self._apply(side, price, qty)

    @rule(side=st.sampled_from([0, 1]), index=st.integers(0, 5), qty=st.integers(0, 2))
    def level_that_is_there(self, side: int, index: int, qty: int) -> None:
        levels = self.plain.levels(side)
        if levels:
            self._apply(side, levels[index % len(levels)][0], qty)

    @rule(side=st.sampled_from([0, 1]), gap=st.integers(1, 90), count=st.integers(1, 40))
    def many_levels(self, side: int, gap: int, count: int) -> None:
        for i in range(count):
            self._apply(side, self.middle + (gap * i if side else -gap * i), 1 + i)

    @rule(step=st.one_of(st.integers(-70, 70), st.integers(-20_000, 20_000)))
    def walk(self, step: int) -> None:
        self.middle = max(1, min(PRICE_MAX, self.middle + step))

    @rule(depth=st.integers(0, 30))
    def cut(self, depth: int) -> None:
        self.book.cut(depth)
        self.plain.cut(depth)

    @rule()
    def clear(self) -> None:
        self.book.clear()
        self.plain.clear()

    @rule()
    def recentre(self) -> None:
        self.book.recentre()
        assert not self.book.recentre_due

    @rule()
    def verify(self) -> None:
        self.book.verify(7, 6)
        self.plain.verify()

    @rule(reason=st.sampled_from([r for r in BookBreak if r]))
    def break_(self, reason: BookBreak) -> None:
        self.book.break_(reason)
        self.plain.break_(reason)

    @rule()
    def catch_up(self) -> None:
        self.book.catch_up()
        self.plain.catch_up()

    @rule(
        side=st.sampled_from([0, 1]), price=st.integers(-2, 300), distance=st.integers(-1, 30_000)
    )
    def look(self, side: int, price: int, distance: int) -> None:
        price += self.middle - 150
        assert self.book.worse(side, price) == self.plain.worse(side, price)
        assert self.book.qty_at(side, price) == self.plain.sides[side].get(price, 0)
        assert self.book.depth(side, distance) == self.plain.depth(side, distance)

    @invariant()
    def equal(self) -> None:
        for side in (0, 1):
            assert self.book.levels(side) == self.plain.levels(side)
        assert (self.book.bid_count, self.book.ask_count) == tuple(map(len, self.plain.sides))
        assert (self.book.best_bid_ticks, self.book.best_ask_ticks) == (
            self.plain.best(0),
            self.plain.best(1),
        )
        assert self.book.state is self.plain.state
        assert self.book.live is self.plain.live
        assert self.book.break_reason is self.plain.break_reason
        assert self.book.break_count == self.plain.break_count
        assert self.book.message_count == self.plain.message_count

    @invariant()
    def verified_means_sound(self) -> None:
        if self.book.state is BookState.BOOK_VERIFIED:
            bid, ask = self.book.best_bid_ticks, self.book.best_ask_ticks
            assert bid is not None
            assert ask is not None
            assert bid < ask

    @invariant()
    def best_prices_lie_in_the_window_if_it_can_hold_them(self) -> None:
        bests = [b for b in (self.book.best_bid_ticks, self.book.best_ask_ticks) if b is not None]
        inside = [b for b in bests if 0 <= b - self.book.base_ticks < self.window]
        if bests and max(bests) - min(bests) < self.window:
            assert inside == bests


BookMachine.TestCase.settings = settings(
    max_examples=max(150, settings().max_examples), stateful_step_count=60
)
TestBookMachine = BookMachine.TestCase
