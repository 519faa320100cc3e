"""Queue places: a table of cases, then random flow through the matching kernel, which knows."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak
from openmm._fast.matching import Matching, MatchResult
from openmm._fast.orders import OrderEvent, OrderTable, Transition
from openmm._fast.queue import PlaceView, Queue, QueueModel
from openmm._fast.units import BookSide, Side
from tests.oracles import queue as oracle

BUY, SELL = Side.BUY, Side.SELL
BID, ASK = BookSide.BID, BookSide.ASK
CAUTIOUS, POWER, LOG = QueueModel.QUEUE_CAUTIOUS, QueueModel.QUEUE_POWER, QueueModel.QUEUE_LOG
MODELS = [(CAUTIOUS, 1), (POWER, 1), (POWER, 3), (LOG, 1)]


@dataclass
class Level:
    """One own bid of 10 lots at 99 in a verified book, and its estimate."""

    queue: Queue
    book: Book
    table: OrderTable
    seq: int

    def show(self, others_lots: int) -> PlaceView:
        """Tell the level's quantity, ours included, and look."""
        order = self.table.get(self.seq)
        assert order is not None
        self.book.apply(BID, order.price_ticks, others_lots + order.qty_lots - order.filled_lots)
        self.book.verify(1)
        self.queue.look(self.book, self.table)
        return self.place()

    def place(self) -> PlaceView:
        found = self.queue.place(self.table, self.seq)
        assert found is not None
        return found


def joined(
    others_lots: int, model: QueueModel = CAUTIOUS, power: int = 3, value_ticks: int = 100
) -> Level:
    table = OrderTable()
    seq = table.place(BUY, 0, 99, 10, now_ns=1)
    assert table.event(seq, OrderEvent.EV_ACKED, 1) is Transition.TR_OK
    book = Book()
    book.apply(BID, 90, 7)
    book.apply(ASK, 101, 7)
    level = Level(Queue(value_ticks, model, power), book, table, seq)
    assert level.show(others_lots).ahead_lots == others_lots
    return level


# ------------------------------------------------------------------ cases


def test_order_that_comes_has_everything_shown_in_front_of_it() -> None:
    place = joined(40).place()
    assert (place.ahead_lots, place.behind_lots, place.since_ns) == (40, 0, 1)


def test_quantity_that_comes_later_is_behind() -> None:
    level = joined(40)
    place = level.show(65)
    assert (place.ahead_lots, place.behind_lots) == (40, 25)


def test_trade_leaves_from_the_front_and_the_book_counts_it_once() -> None:
    level = joined(40)
    level.show(65)
    level.queue.trade(level.table, SELL, 99, 15)
    assert level.place().ahead_lots == 25
    place = level.show(50)
    assert (place.ahead_lots, place.behind_lots) == (25, 25)


@pytest.mark.parametrize(("side", "price"), [(BUY, 99), (SELL, 98), (SELL, 100), (0, 99)])
def test_trade_elsewhere_moves_no_place(side: int, price: int) -> None:
    level = joined(40)
    level.queue.trade(level.table, side, price, 15)
    assert level.place().ahead_lots == 40


def test_cautious_place_improves_by_no_cancel_until_less_is_shown() -> None:
    level = joined(40)
    level.show(60)
    assert level.show(41).ahead_lots == 40
    place = level.show(30)
    assert (place.ahead_lots, place.behind_lots) == (30, 0)


@pytest.mark.parametrize(("model", "power"), MODELS[1:])
def test_cancel_leaves_from_both_sides_as_published(model: QueueModel, power: int) -> None:
    level = joined(400, model, power)
    level.show(1000)
    ahead, behind = (math.log1p(x) if model is LOG else float(x**power) for x in (400, 600))
    front = math.floor(250 * (ahead / (behind + ahead)))
    assert 0 < front < 250
    assert level.show(750).ahead_lots == 400 - front


@pytest.mark.parametrize(("model", "power"), MODELS[1:])
def test_only_what_no_trade_explains_was_cancelled(model: QueueModel, power: int) -> None:
    level = joined(400, model, power)
    level.show(1000)
    level.queue.trade(level.table, SELL, 99, 250)
    assert level.show(750).ahead_lots == 150


def test_no_more_leaves_from_behind_than_was_there() -> None:
    level = joined(400, LOG)
    level.show(402)
    assert level.show(300).ahead_lots == 300  # the logarithm alone would take 16 of 2 behind us


def test_fill_of_ours_proves_that_it_was_our_turn() -> None:
    level = joined(40)
    level.show(60)
    level.table.fill(level.seq, 99, 4, 2)
    place = level.show(20)
    assert (place.ahead_lots, place.behind_lots) == (0, 20)


def test_amend_down_keeps_the_place_and_amend_up_loses_it() -> None:
    level = joined(40)
    level.show(60)
    level.table.amend_sent(level.seq, 99, 6, 3)
    level.table.event(level.seq, OrderEvent.EV_AMENDED, 3)
    assert level.show(60).ahead_lots == 40
    level.table.amend_sent(level.seq, 99, 9, 4)
    level.table.event(level.seq, OrderEvent.EV_AMENDED, 4)
    assert level.queue.place(level.table, level.seq) is None  # until the book was looked at
    assert level.show(60).ahead_lots == 60


def test_amend_to_another_price_begins_behind_what_is_there() -> None:
    level = joined(40)
    level.book.apply(BID, 98, 33 + 10)
    level.table.amend_sent(level.seq, 98, 10, 3)
    level.table.event(level.seq, OrderEvent.EV_AMENDED, 3)
    level.queue.look(level.book, level.table)
    assert level.place().ahead_lots == 33


def test_level_that_went_and_came_back_is_behind_us() -> None:
    level = joined(40)
    assert level.show(0).ahead_lots == 0
    place = level.show(50)
    assert (place.ahead_lots, place.behind_lots) == (0, 50)


def test_after_a_broken_book_all_that_is_shown_is_in_front() -> None:
    level = joined(10)
    level.show(60)
    level.book.break_(BookBreak.BREAK_GAP)
    level.queue.look(level.book, level.table)
    assert level.queue.place(level.table, level.seq) is None
    level.book.clear()
    level.book.catch_up()
    for side, price in ((BID, 90), (ASK, 101)):
        level.book.apply(side, price, 7)
    assert level.show(60).ahead_lots == 60


def test_price_beyond_the_books_last_level_is_unknown_and_worth_nothing() -> None:
    level = joined(40)
    deep = level.table.place(BUY, 1, 80, 10, now_ns=1)
    level.table.event(deep, OrderEvent.EV_ACKED, 1)
    level.queue.look(level.book, level.table)
    assert level.queue.place(level.table, deep) is None
    level.book.apply(BID, 80, 25)
    level.queue.look(level.book, level.table)
    place = level.queue.place(level.table, deep)
    assert place is not None
    assert place.ahead_lots == 15


def test_place_is_kept_while_its_level_is_out_of_sight() -> None:
    level = joined(40)
    level.show(60)
    level.book.apply(BID, 99, 0)
    level.book.apply(BID, 90, 0)
    level.book.apply(BID, 100, 5)
    level.book.verify(2)
    level.queue.look(level.book, level.table)
    place = level.show(60)
    assert (place.ahead_lots, place.behind_lots) == (40, 20)


def test_book_that_does_not_show_ours_is_taken_as_it_is() -> None:
    level = joined(40)
    queue = Queue(100)
    queue.look(level.book, level.table, own_shown=False)
    place = queue.place(level.table, level.seq)
    assert place is not None
    assert place.ahead_lots == 50


def test_order_not_at_the_venue_yet_has_no_place() -> None:
    level = joined(40)
    seq = level.table.place(BUY, 1, 90, 3, now_ns=2)
    level.queue.look(level.book, level.table)
    assert level.queue.place(level.table, seq) is None


@pytest.mark.parametrize(
    ("ahead", "behind", "worth"), [(0, 40, 100), (10, 30, 75), (40, 0, 0), (0, 0, 100)]
)
def test_worth_falls_with_what_is_in_front(ahead: int, behind: int, worth: int) -> None:
    level = joined(ahead)
    assert level.show(ahead + behind).worth_ticks == worth


def test_short_queue_is_measured_against_the_usual_one() -> None:
    level = joined(100)
    for _ in range(3):
        level.show(100)
    assert level.queue.usual_lots == 100
    level.show(25)
    assert 97 <= level.queue.usual_lots <= 99  # a 64th of the gap at each look
    assert (
        level.place().worth_ticks == 100 * (level.queue.usual_lots - 25) // level.queue.usual_lots
    )


def test_worth_of_nothing_is_off() -> None:
    queue = Queue(5)
    told = [Queue(0).on, queue.on]
    queue.set_params(value_ticks=0, model=LOG, power=2)
    assert [*told, queue.on] == [False, True, False]
    assert queue.params == {"value_ticks": 0, "model": LOG, "power": 2}


@pytest.mark.parametrize(
    ("value", "model", "power"),
    [(-1, 1, 1), (1 << 30, 1, 1), (1, 0, 1), (1, 4, 1), (1, 2, 0), (1, 2, 9)],
)  # fmt: skip
def test_bad_parameters_are_refused(value: int, model: int, power: int) -> None:
    with pytest.raises(ValueError, match=r"must be|not a queue model"):
        Queue(value, model, power)
    queue = Queue(7, LOG, 2)
    with pytest.raises(ValueError, match=r"must be|not a queue model"):
        queue.set_params(value_ticks=value, model=model, power=power)
    assert queue.params == {"value_ticks": 7, "model": LOG, "power": 2}


# ------------------------------------------------------------------ against the venue's own queues


@dataclass
class Sums:
    looks: int = 0
    over_lots: int = 0  # estimate above the truth
    off_lots: int = 0  # either way
    shown_lots: int = 0


class Venue:
    """Random flow through the matching kernel, with a book and estimates that follow it."""

    def __init__(self, seed: int, models: list[tuple[QueueModel, int]], *, in_front: float) -> None:
        self.random = random.Random(seed)
        self.matching = Matching(4096)
        self.table = OrderTable()
        self.book = Book()
        self.queues = [Queue(50, model, power) for model, power in models]
        self.sums = [Sums() for _ in models]
        self.exact = [oracle.Places(model.name, power) for model, power in models]
        self.in_front = in_front  # share of cancels that hit the older half of a queue
        self.market: list[int] = []
        self.own: list[int] = []
        self.next_id = 1 << 40
        self.now_ns = 1
        for price in range(90, 100):
            self._submit(BUY, price, 20)
            self._submit(SELL, 200 - price, 20)
        self._tell()

    def _submit(self, side: int, price: int, qty: int) -> None:
        self.next_id += 1
        self.matching.submit(self.next_id, 0, side, price, qty)
        self.market.append(self.next_id)
        for one in self.matching.matches():
            self._trade(one.taker_side, one.price_ticks, one.qty_lots)
            if one.maker_owner == 1:
                self.table.fill(one.maker_id, one.price_ticks, one.qty_lots, self.now_ns)

    def _trade(self, side: int, price: int, qty: int) -> None:
        for queue, exact in zip(self.queues, self.exact, strict=True):
            queue.trade(self.table, side, price, qty)
            exact.trade(self.table, side, price, qty)

    def step(self) -> None:
        """Let a few things happen, then tell the book once."""
        self.now_ns += 1
        for _ in range(self.random.randint(1, 3)):
            self._happen(self.random.random())
        self._tell()

    def _happen(self, what: float) -> None:
        pick = self.random
        if what < 0.40:
            side = pick.choice((BUY, SELL))
            price = pick.randint(95, 99) if side == BUY else pick.randint(101, 105)
            self._submit(side, price, pick.randint(1, 30))
        elif what < 0.70:
            self._cancel()
        elif what < 0.85:
            side = pick.choice((BUY, SELL))
            self._submit(side, 104 if side == BUY else 96, pick.randint(1, 25))
        elif what < 0.95 or not self.own:
            side = pick.choice((BUY, SELL))
            price = pick.randint(95, 99) if side == BUY else pick.randint(101, 105)
            if self.table.live_count < 12:
                self._place(side, price, pick.randint(1, 10))
        else:
            self._amend(pick.choice(self.own))

    def _cancel(self) -> None:
        pick = self.random
        price = pick.randint(95, 105)
        side = BID if price < 100 else ASK
        found = [one for one in self.matching.queue(side, price) if one >= 1 << 40]
        if not found:
            return
        half = (len(found) + 1) // 2
        front = pick.random() < self.in_front
        self.matching.cancel(pick.choice(found[:half] if front else found[-half:]))

    def _place(self, side: int, price: int, qty: int) -> None:
        if self.table.has_price(side, price):
            return
        seq = self.table.place(side, 0, price, qty, now_ns=self.now_ns)
        if (
            self.matching.submit(seq, 1, side, price, qty, post_only=True)
            != MatchResult.MATCH_RESTING
        ):
            self.table.event(seq, OrderEvent.EV_REJECTED, self.now_ns)
            return
        self.table.event(seq, OrderEvent.EV_ACKED, self.now_ns)
        self.own.append(seq)

    def _amend(self, seq: int) -> None:
        order = self.table.get(seq)
        if order is None or self.matching.order(seq) is None:
            self.own.remove(seq)
            return
        price = order.price_ticks + self.random.choice((0, 0, -1, 1))
        qty = max(order.filled_lots + 1, order.qty_lots + self.random.randint(-3, 3))
        if price != order.price_ticks and (price == 100 or self.table.has_price(order.side, price)):
            return
        if self.matching.amend(seq, price, qty, post_only=True) == MatchResult.MATCH_RESTING:
            self.table.amend_sent(seq, price, qty, self.now_ns)
            self.table.event(seq, OrderEvent.EV_AMENDED, self.now_ns)

    def _tell(self) -> None:
        changes = self.matching.take_changes()
        assert changes is not None
        for side, price in changes:
            self.book.apply(side, price, self.matching.qty_at(side, price))
        self.book.verify(self.now_ns)
        for queue, exact in zip(self.queues, self.exact, strict=True):
            queue.look(self.book, self.table)
            exact.look(self.book, self.table)

    def truth(self, seq: int, side: int, price: int) -> int:
        """Return what really stands in front of an order."""
        ahead = 0
        for one in self.matching.queue(BID if side == BUY else ASK, price):
            if one == seq:
                return ahead
            found = self.matching.order(one)
            assert found is not None
            ahead += found[2] if found[4] == 0 else 0
        raise AssertionError(f"order {seq} is not at {price}")

    def check(self, *, cautious: bool) -> None:
        for order in self.table.live():
            side = BID if order.side == BUY else ASK
            shown = self.matching.qty_at(side, order.price_ticks)
            shown -= order.qty_lots - order.filled_lots
            truth = self.truth(order.seq, order.side, order.price_ticks)
            for queue, exact, sums in zip(self.queues, self.exact, self.sums, strict=True):
                place = queue.place(self.table, order.seq)
                assert place is not None
                assert 0 <= place.ahead_lots <= shown
                assert place.ahead_lots + place.behind_lots == shown
                assert (place.ahead_lots, place.worth_ticks) == exact.told(order.seq, 50)
                if cautious:
                    assert place.ahead_lots >= truth
                sums.looks += 1
                sums.over_lots += place.ahead_lots - truth
                sums.off_lots += abs(place.ahead_lots - truth)
                sums.shown_lots += shown


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), in_front=st.sampled_from([0.0, 0.5, 1.0]))
def test_cautious_place_is_never_better_than_the_true_one(seed: int, in_front: float) -> None:
    venue = Venue(seed, [(CAUTIOUS, 1)], in_front=in_front)
    for _ in range(60):
        venue.step()
        venue.check(cautious=True)


def test_models_of_chance_are_nearer_to_the_truth_than_the_cautious_one() -> None:
    venue = Venue(11, MODELS, in_front=0.5)
    for _ in range(6_000):
        venue.step()
        venue.check(cautious=False)
    cautious, power, cubic, log = venue.sums
    assert cautious.looks > 20_000
    assert cautious.over_lots == cautious.off_lots > 0
    # Mean error, as a share of the mean queue.
    for one in (power, cubic, log):
        assert one.off_lots < 0.07 * one.shown_lots
        assert one.off_lots < 0.4 * cautious.off_lots
    # Cancels come from anywhere in the queue here: the plain proportion is right on average.
    assert abs(power.over_lots) < 0.03 * power.shown_lots


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(MODELS), ahead=st.integers(0, 1000), behind=st.integers(0, 1000),
    trades=st.lists(st.integers(1, 60), max_size=20),
)  # fmt: skip
def test_trades_only_ever_improve_a_place(
    model: tuple[QueueModel, int], ahead: int, behind: int, trades: list[int]
) -> None:
    level = joined(ahead, *model)
    level.show(ahead + behind)
    left, shown, worth = ahead, ahead + behind, level.place().worth_ticks
    for qty in trades:
        level.queue.trade(level.table, SELL, 99, qty)
        shown = max(0, shown - qty)
        place = level.show(shown)
        assert place.ahead_lots == max(0, left - qty)
        assert place.worth_ticks >= worth * (shown >= level.queue.usual_lots)
        left, worth = place.ahead_lots, place.worth_ticks


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30), window=st.sampled_from([64, 4096]), own_shown=st.booleans(),
    model=st.sampled_from(MODELS),
)  # fmt: skip
def test_looks_while_our_orders_stay_equal_the_specification(
    seed: int, window: int, own_shown: bool, model: tuple[QueueModel, int]
) -> None:
    # Few levels, far apart: prices of ours are empty, beyond the last level, outside the window.
    pick = random.Random(seed)
    book, table = Book(window_ticks=window), OrderTable()
    queue, exact = Queue(50, *model), oracle.Places(model[0].name, model[1])
    wide = {BID: (850, 999), ASK: (1001, 1150)}
    prices = {side: pick.sample(range(*wide[side]), 8) for side in wide}
    orders = []
    for side, own_side in ((BID, BUY), (ASK, SELL)):
        book.apply(side, 999 if side == BID else 1001, 10)
        for price in pick.sample([*prices[side], *range(*wide[side])], 5):
            if not table.has_price(own_side, price):
                orders.append(table.place(own_side, 0, price, pick.randint(1, 9), now_ns=1))
                table.event(orders[-1], OrderEvent.EV_ACKED, 1)
    for now_ns in range(2, 60):
        for _ in range(pick.randint(0, 2)):
            side = pick.choice((BID, ASK))
            book.apply(side, pick.choice(prices[side]), pick.choice((0, 5, 12, 30)))
        if pick.random() < 0.1:
            order = table.get(pick.choice(orders))
            assert order is not None
            for one in (queue, exact):
                one.trade(table, SELL if order.side == BUY else BUY, order.price_ticks, 4)
        if pick.random() < 0.05:
            table.event(pick.choice(orders), OrderEvent.EV_CANCELLED, now_ns)
        if pick.random() < 0.03:
            book.recentre()
        book.verify(now_ns)
        for one in (queue, exact):
            one.look(book, table, own_shown=own_shown)
        for order in table.live():
            place = queue.place(table, order.seq)
            told = None if place is None else (place.ahead_lots, place.worth_ticks)
            assert told == exact.told(order.seq, 50)
