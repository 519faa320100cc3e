"""The hot path over recorded events: runs, money, silences, garbage."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.backtest import Backtest, BacktestFill
from openmm._fast.book import Book
from openmm._fast.changes import EventFlag, EventKind
from openmm._fast.pipeline import Frames
from openmm._fast.queue import QueueModel
from openmm._fast.queue_venue import Link, Outlet, OutletTransport, QueueVenue
from openmm._fast.units import Side
from openmm.testing.canonical import CanonicalBot, make_bot

BUY, SELL = Side.BUY, Side.SELL
NS = 1_000_000_000
MID = 600_000


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

    def add_to(self, backtest: Backtest, late: Sequence[tuple[int, int]] = ()) -> None:
        """Give them to a run; `late`: where trades belong, and where they are."""
        table = np.array(self.rows, dtype=np.int64).reshape(-1, 4)
        recv_ns = np.ascontiguousarray(table[:, 0])
        at, trade = (np.array([one[place] for one in late], np.int64) for place in (0, 1))
        backtest.add(
            recv_ns, recv_ns, np.ascontiguousarray(table[:, 1]), np.ascontiguousarray(table[:, 2]),
            table[:, 3].astype(np.uint16), at, trade, trade,
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
    atoms: tuple[int, int] = (1, 1), timer_ns: int = 0, late: Sequence[tuple[int, int]] = (),
) -> tuple[Backtest, CanonicalBot]:  # fmt: skip
    outlet, answers = Outlet(Link([latency_ns])), Link([latency_ns])
    bot = make_bot(encoder=outlet, transport=OutletTransport(), own_in_book=False)
    made = Backtest(
        bot.pipeline, [bot.feed], QueueVenue(bot.book, answers), outlet, every_ns=every_ns,
        maker_fee_ppm=fee_ppm, atoms=atoms, timer_ns=timer_ns,
    )  # fmt: skip
    events.add_to(made, late)
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
    marks = np.frombuffer(backtest.marks_bytes(), np.int64).reshape(-1, 6)
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
    marks = np.frombuffer(backtest.marks_bytes(), np.int64).reshape(-1, 6)
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


def test_the_venue_has_a_late_print_ahead_of_the_book_that_holds_it() -> None:
    """A book is told, then the print that it holds: by time of receipt and by the venue's."""

    def run(late: bool, cancel: bool) -> list[BacktestFill]:
        rows = market(20)
        at_ns, at = 21 * NS, len(rows.rows)
        # Takers have sold through all that rests; the book says so first.
        gone = [(LEVEL, 0, price, 0) for price in range(MID - 2_000, MID + 2_000)]
        rows.message(at_ns, *gone, (LEVEL, 0, MID - 3_000, LOTS))
        rows.message(at_ns + 200_000_000, (TRADE, 1, MID - 3_000, 9_000 * LOTS))
        backtest, bot = make(rows, late=[(at, len(rows.rows) - 1)] if late else [])
        backtest.run(at_ns + 50_000_000)
        if cancel:
            bot.pipeline.quoting = False
            bot.pipeline.requote(at_ns + 50_000_000)
        backtest.run()
        backtest.finish()
        return [one for one in backtest.fill_rows() if one.told_ns > at_ns and one.side == BUY]

    filled = run(late=True, cancel=True)
    assert filled, "the venue had filled them before the cancel came"
    assert {one.told_ns for one in filled} == {21 * NS + 5_000_000}
    assert run(late=False, cancel=True) == []
    # What is placed on the new book was not there yet.
    assert {one.told_ns for one in run(late=True, cancel=False)} == {21 * NS + 5_000_000}


def test_places_of_late_trades_are_checked() -> None:
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    flags = np.zeros(1, np.uint16)
    bot = make_bot(encoder=(outlet := Outlet(Link([0]))), transport=OutletTransport())
    backtest = Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, Link([0])), outlet)
    with pytest.raises(ValueError, match="different lengths"):
        backtest.add(one, one, one, one, flags, one, two, one)
    bot = make_bot(encoder=(outlet := Outlet(Link([0]))), transport=OutletTransport())
    backtest = Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, Link([0])), outlet)
    with pytest.raises(ValueError, match="beyond the columns: 1"):
        backtest.add(one, one, one, one, flags, one + 1, one, one)
    # What was refused is not there: neither read, nor in the next one's place.
    assert not backtest.run()
    assert backtest.event_count == 0
    backtest.add(one, one, one, one, flags)
    backtest.run()
    assert backtest.event_count == 1


def test_a_late_trade_of_nothing_makes_no_other_count_twice() -> None:
    """The places of all late trades are told; one of them has no quantity."""
    rows = market(20)
    at_ns, first = 21 * NS, len(rows.rows)
    gone = [(LEVEL, 0, price, 0) for price in range(MID - 2_000, MID + 2_000)]
    rows.message(at_ns, *gone, (LEVEL, 0, MID - 3_000, LOTS))
    rows.message(at_ns + 100_000_000, (TRADE, 1, MID - 3_000, 0))
    nothing = len(rows.rows) - 1
    rows.message(at_ns + 200_000_000, (TRADE, 1, MID - 3_000, 9_000 * LOTS))
    last = len(rows.rows) - 1
    found = []
    for late in ([(first, nothing), (first, last)], [(first, last)]):
        backtest, _ = make(rows, late=late)
        backtest.run(at_ns + 50_000_000)
        filled = backtest.fill_count
        assert filled, "by the trade that the book holds"
        backtest.run()
        found.append([one for one in backtest.fill_rows() if one.told_ns > at_ns])
        assert backtest.fill_count == filled, "not once more when it is received"
    assert found[0] == found[1]


def test_places_of_late_trades_among_messages_are_checked() -> None:
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    flags, frames = np.zeros(1, np.uint16), Frames([b"{}"], [NS])
    for told, text in (
        ((one, one, flags, one, one), "not all is told"),
        ((one, two, flags, one, one, one), "different lengths"),
        ((one, one, flags, one, one, two), "different lengths"),
        ((one, one, flags, one + 1, one, one), "beyond them: 1, 0, 0"),
        ((one, one, flags, one, one + 1, one), "beyond them: 0, 1, 0"),
        ((one, one, flags, one, one, one - 1), "beyond them: 0, 0, -1"),
    ):
        bot = make_bot(encoder=(outlet := Outlet(Link([0]))), transport=OutletTransport())
        backtest = Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, Link([0])), outlet)
        with pytest.raises(ValueError, match=text):
            backtest.add_frames(frames, *told)


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
    marks = np.frombuffer(backtest.marks_bytes(), np.int64).reshape(-1, 6)
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


@pytest.mark.parametrize("told", [{"every_ns": 1}, {"timer_ns": 9_999}, {"every_ns": -1}])
def test_cadences_that_never_come_to_an_end_are_refused(told: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="not a cadence"):
        make(market(1), **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("times", [(-1, 5), (5, (1 << 62) + 1)])
def test_times_that_are_none_are_refused(times: tuple[int, int]) -> None:
    outlet = Outlet(Link([0]))
    bot = make_bot(encoder=outlet, transport=OutletTransport())
    made = Backtest(bot.pipeline, [bot.feed], QueueVenue(bot.book, Link([0])), outlet)
    recv_ns = np.array(times, np.int64)
    with pytest.raises(ValueError, match="no receive times"):
        made.add(recv_ns, recv_ns, recv_ns, recv_ns, np.zeros(2, np.uint16))


def test_a_long_silence_hears_of_a_signal() -> None:
    """Ctrl+C ends a run whose timers fire on."""
    events = market(1)
    events.message(590 * NS, (LEVEL, 0, MID - 4, LOTS))
    made, _ = make(events, timer_ns=10_000)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            made.run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
