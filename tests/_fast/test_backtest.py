"""The hot path over recorded events: venue by hand and against `ReplayMatching`, run, money."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.backtest import (
    Arrived,
    Backtest,
    BacktestFill,
    Link,
    Outlet,
    OutletTransport,
    QueueVenue,
    Told,
)
from openmm._fast.book import Book
from openmm._fast.changes import EventFlag, EventKind
from openmm._fast.matching import ReplayMatching
from openmm._fast.queue import QueueModel
from openmm._fast.units import BookSide, Side
from openmm.testing.canonical import CanonicalBot, make_bot

BID, ASK = BookSide.BID, BookSide.ASK
BUY, SELL = Side.BUY, Side.SELL
PLACE, AMEND, CANCEL = Told.TOLD_PLACE, Told.TOLD_AMEND, Told.TOLD_CANCEL
FAR = 1 << 60
NS = 1_000_000_000
MID = 600_000


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


# ------------------------------------------------------------------ the venue, by hand


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


# ------------------------------------------------------------------ the run


class Columns:
    """Events under way, one read a message."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, int]] = []

    def message(self, recv_ns: int, *events: tuple[int, int, int, int]) -> None:
        """Add one message: (kind, side flag, price, quantity) each."""
        for at, (kind, side, price, qty) in enumerate(events):
            flags = kind | (EventFlag.EVENT_ASK if side else 0)
            if at == len(events) - 1:
                flags |= EventFlag.EVENT_MESSAGE_END | EventFlag.EVENT_READ_END
            self.rows.append((recv_ns, price, qty, flags))

    def add_to(self, backtest: Backtest) -> None:
        """Give them to a run."""
        table = np.array(self.rows, dtype=np.int64).reshape(-1, 4)
        recv_ns = np.ascontiguousarray(table[:, 0])
        backtest.add(
            recv_ns, recv_ns, np.ascontiguousarray(table[:, 1]), np.ascontiguousarray(table[:, 2]),
            table[:, 3].astype(np.uint16),
        )  # fmt: skip


LEVEL, TRADE = EventKind.EVENT_LEVEL, EventKind.EVENT_TRADE
LOTS = 10_000_000


def market(seconds: int = 60, seed: int = 1, drift: int = 0) -> Columns:
    """A book of ten levels a side around a walking price, and trades at its best or through it."""
    rng = np.random.default_rng(seed)
    out, mid = Columns(), MID
    clear = (EventKind.EVENT_CLEAR, 0, 0, 0)
    known: set[tuple[int, int]] = set()
    for step in range(seconds * 10):
        mid += int(rng.integers(-40, 41)) + drift
        wanted = {(0, mid - 4 - 3 * i) for i in range(10)} | {
            (1, mid + 4 + 3 * i) for i in range(10)
        }
        gone = [(LEVEL, side, price, 0) for side, price in known - wanted]
        here = [(LEVEL, side, price, LOTS * 2) for side, price in sorted(wanted)]
        out.message(NS * (step + 1) // 10, *([clear] if step == 0 else []), *gone, *here)
        known = wanted
        side = int(rng.integers(0, 2))
        best = mid + int(rng.integers(4, 160)) * (-1 if side else 1)
        out.message(
            NS * (step + 1) // 10 + 40_000_000, (TRADE, side, best, int(rng.integers(1, 5)) * LOTS)
        )
    return out


def make(
    events: Columns, *, latency_ns: int = 5_000_000, every_ns: int = 0, fee_ppm: int = 0,
    atoms: tuple[int, int] = (1, 1), timer_ns: int = 0,
) -> tuple[Backtest, CanonicalBot]:  # fmt: skip
    outlet, answers = Outlet(Link([latency_ns])), Link([latency_ns])
    bot = make_bot(encoder=outlet, transport=OutletTransport(), own_in_book=False)
    made = Backtest(
        bot.pipeline, [bot.feed], QueueVenue(bot.book, answers), outlet, every_ns=every_ns,
        maker_fee_ppm=fee_ppm, atoms=atoms, timer_ns=timer_ns,
    )  # fmt: skip
    events.add_to(made)
    return made, bot


def test_a_run_quotes_fills_and_adds_up() -> None:
    events = market()
    backtest, bot = make(events, fee_ppm=200)
    before = bot.pipeline.inventory.base_lots, bot.pipeline.inventory.quote_ticklots
    assert not backtest.run()
    assert backtest.event_count == len(events.rows)
    fills = backtest.fill_rows()
    assert len(fills) == backtest.fill_count > 20
    assert backtest.crossed_count == 0
    assert backtest.finish() == 0
    assert backtest.venue.resting_count == 0
    base = sum(one.qty_lots if one.side == BUY else -one.qty_lots for one in fills)
    quote = sum(
        one.price_ticks * one.qty_lots * (-1 if one.side == BUY else 1)
        - (one.price_ticks * one.qty_lots * 200 * 2 + 1_000_000) // 2_000_000
        for one in fills
    )
    after = bot.pipeline.inventory.base_lots, bot.pipeline.inventory.quote_ticklots
    assert before[0] is not None
    assert before[1] is not None
    assert after == (before[0] + base, before[1] + quote)
    rows = np.frombuffer(backtest.fills_bytes(), np.int64).reshape(-1, len(BacktestFill._fields))
    assert [tuple(row) for row in rows.tolist()] == [tuple(one) for one in fills]
    marks = np.frombuffer(backtest.marks_bytes(), np.int64).reshape(-1, 5)
    assert 58 <= len(marks) <= 60
    assert (np.diff(marks[:, 0]) == NS).all()


def test_the_same_run_again_is_the_same() -> None:
    events = market()
    runs = [make(events)[0] for _ in range(2)]
    runs[0].run()
    while runs[1].run(events_max=777):
        pass
    assert runs[0].fills_bytes() == runs[1].fills_bytes() != b""
    assert runs[0].marks_bytes() == runs[1].marks_bytes()


def test_later_orders_fill_otherwise() -> None:
    events = market()
    quick, slow = (make(events, latency_ns=ns)[0] for ns in (1_000_000, 400_000_000))
    quick.run()
    slow.run()
    assert quick.fills_bytes() != slow.fills_bytes()


def test_a_cadence_decides_no_more_often() -> None:
    events = market()
    often, seldom = make(events)[1], make(events, every_ns=NS)[1]
    for bot, every_ns in ((often, 0), (seldom, NS)):
        backtest, made = make(events, every_ns=every_ns)
        backtest.run()
        if every_ns:
            assert made.pipeline.decision_count <= 60
        else:
            assert made.pipeline.decision_count > 600
        assert bot.pipeline.decision_count == 0


def test_fills_of_the_last_minute_brake() -> None:
    events = market()
    counts = []
    for most in (1_000, 5):
        backtest, bot = make(events)
        bot.pipeline.checks.tighten(fills_per_minute_max=most)
        backtest.run()
        counts.append(backtest.fill_count)
    assert counts[1] < counts[0] // 2
    # What was on its way when the brake came on may fill still.
    assert counts[1] <= 5 + 20


def test_equity_is_marked_while_nothing_is_quoted() -> None:
    backtest, bot = make(market())
    backtest.run(20 * NS)
    bot.pipeline.quoting = False
    backtest.run()
    marks = np.frombuffer(backtest.marks_bytes(), np.int64).reshape(-1, 5)
    assert 58 <= len(marks) <= 60
    assert marks[-1, 4] == 0


def test_cost_and_fee_are_whole_atoms_of_the_venue() -> None:
    exact, coarse = make(market(), fee_ppm=200)[0], make(market(), fee_ppm=200, atoms=(1, 10**9))[0]
    exact.run()
    coarse.run()
    fills = coarse.fill_rows()
    assert len(fills) > 20
    atom, quote = 10**9, coarse.pipeline.inventory.quote_ticklots
    assert quote is not None
    assert quote % atom == 0
    assert coarse.fees % atom != 0, "the cost's rounding is in it"

    def half_up(value: int, unit: int) -> int:
        return (2 * value + unit) // (2 * unit)

    spent = 0
    for one in fills:
        paid = one.price_ticks * one.qty_lots
        sign = 1 if one.side == BUY else -1
        spent += sign * half_up(paid, atom) + half_up(paid * 200, atom * 1_000_000)
    flows = sum(one.price_ticks * one.qty_lots * (1 if one.side == BUY else -1) for one in fills)
    assert coarse.fees == spent * atom - flows


def test_it_begins_once_and_not_in_the_past() -> None:
    backtest, bot = make(market())
    backtest.warm(20 * NS)
    assert bot.pipeline.placed_count == 0
    assert backtest.event_count > 0
    with pytest.raises(ValueError, match="not 1"):
        backtest.start(1)
    backtest.start(20 * NS)
    assert bot.pipeline.placed_count > 0
    with pytest.raises(ValueError, match="begun"):
        backtest.start(21 * NS)
    with pytest.raises(ValueError, match="begun"):
        backtest.warm(30 * NS)


def test_a_book_that_is_not_whole_is_not_quoted_on() -> None:
    events = market(20)
    events.message(21 * NS, (LEVEL, 0, MID + 10_000, LOTS))
    backtest, bot = make(events)
    backtest.run(20 * NS)
    assert bot.pipeline.table.live_count > 0
    backtest.run()
    assert backtest.crossed_count == 1
    backtest.finish()
    broken = Columns()
    broken.rows = list(market(5).rows)
    broken.message(6 * NS, (EventKind.EVENT_BROKEN, 0, 0, 0))
    broken.message(7 * NS, (LEVEL, 0, MID, LOTS))
    backtest, bot = make(broken)
    backtest.run()
    assert bot.pipeline.last_decision.name == "DECISION_WITHDRAWN"


def test_what_does_not_fit_is_refused() -> None:
    bot = make_bot()
    outlet = Outlet(Link([0]))
    with pytest.raises(ValueError, match="the quoted feed's"):
        Backtest(bot.pipeline, [bot.feed], QueueVenue(Book(), Link([0])), outlet)
    with pytest.raises(ValueError, match="feeds"):
        Backtest(bot.pipeline, [], QueueVenue(bot.book, Link([0])), outlet)
    with pytest.raises(ValueError, match="cadence"):
        Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, Link([0])), outlet, every_ns=-1)
    with pytest.raises(ValueError, match="queue model"):
        QueueVenue(bot.book, Link([0]), 9)
    with pytest.raises(ValueError, match="power"):
        QueueVenue(bot.book, Link([0]), QueueModel.QUEUE_POWER, 0)
    made = Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, Link([0])), outlet)
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="lengths"):
        made.add(one, one, one, two, np.zeros(1, np.uint16))
    made.add(one, one, one, one, np.zeros(1, np.uint16))
    with pytest.raises(ValueError, match="1 feeds"):
        made.add(one, one, one, one, np.zeros(1, np.uint16))


def test_a_silence_of_years_is_passed_over() -> None:
    events = market(20)
    year_ns = 365 * 86_400 * NS
    rows = list(events.rows)
    late = Columns()
    late.rows = rows + [(one[0] + 30 * year_ns, *one[1:]) for one in rows]
    backtest, _ = make(late, timer_ns=50_000_000)
    backtest.run()
    marks = np.frombuffer(backtest.marks_bytes(), np.int64).reshape(-1, 5)
    assert backtest.event_count == 2 * len(rows)
    assert 40 <= len(marks) < 200, "none while the book is too old to tell what is held"
    assert marks[-1, 0] > 30 * year_ns
    assert np.all(np.diff(marks[:, 0]) % NS == 0)
    assert backtest.finish() == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * NS) | st.sampled_from((0, 1 << 40, 1 << 61)),
            st.integers(-1, 5) | st.sampled_from((-(1 << 63), (1 << 63) - 1, 1 << 45)),
            st.integers(-1, 3) | st.sampled_from((-(1 << 63), (1 << 63) - 1, 1 << 52)),
            st.integers(0, (1 << 16) - 1),
        ),
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None)
def test_garbage_ends_nothing_and_is_not_traded_on(rows: list[tuple[int, int, int, int]]) -> None:
    times = np.cumsum([min(one[0], (1 << 61) // max(1, len(rows))) for one in rows], dtype=np.int64)
    outlet, answers = Outlet(Link([5])), Link([5])
    bot = make_bot(encoder=outlet, transport=OutletTransport(), own_in_book=False)
    backtest = Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, answers), outlet)
    prices, qtys = (np.array([one[place] for one in rows], np.int64) for place in (1, 2))
    flags = np.array([one[3] for one in rows], np.uint16)
    backtest.add(times, times, prices, qtys, flags)
    backtest.run()
    assert backtest.event_count == len(rows)
    assert backtest.finish() == 0
    for one in backtest.fill_rows():
        assert one.price_ticks > 0
        assert one.qty_lots > 0
