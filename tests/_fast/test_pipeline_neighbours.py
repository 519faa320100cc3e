"""Other bots of ours on the market: shown to, looked at, kept clear of; and it is on the tape."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from openmm import journal
from openmm._fast.board import HEADER_BYTES, ROW_BYTES, OwnRow
from openmm._fast.checks import Reason
from openmm._fast.orders import Lane, OrderEvent, OrderTable
from openmm._fast.pipeline import Decision
from openmm._fast.planner import ActionKind, Planner
from openmm._fast.ports import NOTHING_ASK, NOTHING_BID
from openmm._fast.recalled import RecalledNeighbours
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.board import Board, Seat
from openmm.testing.canonical import CanonicalBot
from tests._fast.test_pipeline import TIMES, WORK, accept, quoting, records, warmed
from tests.test_board import seat


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Return a new board."""
    return Board(tmp_path / "board")


def touch(bot: CanonicalBot) -> tuple[int, int]:
    """Return the best prices of the bot's live orders."""
    live = bot.pipeline.table.live()
    return (
        max((one.price_ticks for one in live if one.side == Side.BUY), default=NOTHING_BID),
        min((one.price_ticks for one in live if one.side == Side.SELL), default=NOTHING_ASK),
    )


def step(bot: CanonicalBot, at: int) -> None:
    """Give one frame of the workload to a bot, every request answered."""
    bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
    accept(bot, TIMES[at])


def quotes(board: Board, bot: str = "a") -> tuple[CanonicalBot, OwnRow]:
    """Return a bot whose first ladder rests, and its row."""
    row = seat(board, bot).row
    made, _ = quoting(neighbours=row)
    return made, row


def test_shows_what_rests_before_it_leaves_and_less_only_once_it_is_gone(board: Board) -> None:
    other = seat(board, "b").row
    row = seat(board, "a").row
    bot = warmed(neighbours=row)
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0])
    assert row.shown == touch(bot) != (NOTHING_BID, NOTHING_ASK)  # unanswered, and shown
    accept(bot, TIMES[0])
    other.look()
    assert (other.bid_ticks, other.ask_ticks) == touch(bot)
    before = row.shown
    bot.pipeline.quoting = False
    bot.pipeline.withdraw(TIMES[1])
    bot.pipeline.requote(TIMES[1])
    assert row.shown == before  # cancels are under way: they may rest
    for order in bot.pipeline.table.live():
        bot.pipeline.table.event(order.seq, OrderEvent.EV_TIMEOUT, TIMES[1])
    bot.pipeline.requote(TIMES[1])
    assert row.shown == before  # in doubt
    for order in bot.pipeline.table.live():
        bot.pipeline.table.event(order.seq, OrderEvent.EV_PROVEN_GONE, TIMES[1])
    bot.pipeline.requote(TIMES[1])
    assert row.shown == (NOTHING_BID, NOTHING_ASK)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_levels_that_would_meet_a_neighbour_are_left_out(board: Board, side: Side) -> None:
    free, _ = quotes(board, "free")
    bid, ask = touch(free)
    for row in board.rows():
        board.page.free(row.index)
    other = seat(board, "b").row
    # The neighbour quotes where our second level would be.
    wanted = free.pipeline.ladder_levels()[side - 1]
    at = wanted[1][0]
    other.publish(*((NOTHING_BID, at) if side == Side.BUY else (at, NOTHING_ASK)))
    bot, _ = quotes(board)
    mine = touch(bot)
    assert mine[side - 1] == wanted[2][0]  # one beyond the neighbour's
    assert mine[2 - side] == (ask if side == Side.BUY else bid)  # the other side is as it was
    assert bot.pipeline.checks.refusals() == {}  # not wanted, so not refused
    sent = bot.pipeline.sent_count
    for at in range(1, 40):
        step(bot, at)
        assert touch(bot)[0] < other.shown[1]
        assert touch(bot)[1] > other.shown[0]
    assert bot.pipeline.sent_count - sent < 200
    # Once the neighbour is gone its place is taken, though the market does not move.
    other.publish(NOTHING_BID, NOTHING_ASK)
    bot.pipeline.on_frame(bot.feed, WORK.frames[40], TIMES[40])
    accept(bot, TIMES[40])
    live = [one for one in bot.pipeline.table.live() if one.side == side]
    assert len(live) == len(wanted)


def test_race_that_is_lost_takes_back_what_would_meet_and_sends_the_rest(board: Board) -> None:
    """The neighbour shows its price after our decision looked, before our bytes leave."""
    row, other = seat(board, "a").row, seat(board, "b").row
    first = warmed(neighbours=row)
    first.pipeline.on_frame(first.feed, WORK.frames[0], TIMES[0])
    bid = touch(first)[0]
    bids = len([one for one in first.pipeline.table.live() if one.side == Side.BUY])
    # The same bot, told by a journal what it sees: nobody at the first look, a bid's price at the
    # second, which is made once its own are shown.
    told = RecalledNeighbours()
    bot = warmed(neighbours=told)
    looks = told.look_count
    told.recall([(looks + 2, NOTHING_BID, bid, 1)])
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0])
    assert bot.pipeline.last_decision is Decision.DECISION_SENT
    assert bot.pipeline.met_count == 1
    live = bot.pipeline.table.live()
    assert len([one for one in live if one.side == Side.BUY]) == bids - 1
    assert touch(bot) == (
        max(one.price_ticks for one in live if one.side == Side.BUY),
        touch(first)[1],
    )
    assert touch(bot)[0] < bid
    intents = [journal.read_intent(one).action for one in records(bot, Record.REC_INTENT)]
    assert bid not in {one.price_ticks for one in intents}
    refused = [journal.read_refusal(one) for one in records(bot, Record.REC_REFUSAL)][-1]
    assert (refused.reason, refused.limit, refused.value) == (Reason.NEIGHBOUR, bid, bid)
    assert bot.pipeline.checks.refusals() == {Reason.NEIGHBOUR: 1}
    # Nothing is hammered: with the next frames the level is simply not wanted.
    for at in range(1, 20):
        step(bot, at)
    assert bot.pipeline.met_count == 1
    other.look()


def test_amend_that_would_meet_is_taken_back_and_the_order_stays() -> None:
    told = RecalledNeighbours()
    bot, _ = quoting(neighbours=told)
    before = {one.seq: one.price_ticks for one in bot.pipeline.table.live()}
    for at in range(1, 400):
        # Behind each look of a decision another comes only if something is about to leave.
        told.recall([(told.look_count + 2, NOTHING_ASK, 0, 1)])
        bot.pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
        if bot.pipeline.met_count:
            break
    assert bot.pipeline.met_count > 0
    assert len(records(bot, Record.REC_INTENT)) == len(before)  # no amend left
    after = {one.seq: one.price_ticks for one in bot.pipeline.table.live()}
    assert after.items() <= before.items()
    assert all(one.pending_price_ticks == 0 for one in bot.pipeline.table.live())


def test_orders_by_hand_pass_the_same_check(board: Board) -> None:
    bot, row = quotes(board)
    other = seat(board, "b").row
    bid, ask = touch(bot)
    price = bid - 500
    other.publish(NOTHING_BID, price)
    now_ns = TIMES[0]
    assert bot.pipeline.place_by_hand(Side.BUY, Lane.LANE_HAND, price, 100_000, now_ns) == 0
    checks = bot.pipeline.checks
    assert bot.pipeline.last_decision is Decision.DECISION_REFUSED
    assert (checks.last_reason, checks.last_limit, checks.last_value) == (
        Reason.NEIGHBOUR, price, price,
    )  # fmt: skip
    other.publish(NOTHING_BID, NOTHING_ASK)
    assert bot.pipeline.place_by_hand(Side.BUY, Lane.LANE_HAND, price, 100_000, now_ns)
    assert row.shown[0] == bid
    assert ask == row.shown[1]


def test_board_that_is_damaged_lets_no_order_out(board: Board) -> None:
    bot, row = quotes(board)
    seat(board, "b")
    step(bot, 1)
    placed, amended = bot.pipeline.placed_count, bot.pipeline.amended_count
    board.page.poke(HEADER_BYTES + ROW_BYTES + 64, struct.pack("<q", -5))
    for at in range(2, 300):
        step(bot, at)
    assert (bot.pipeline.placed_count, bot.pipeline.amended_count) == (placed, amended)
    assert row.fault
    told = journal.read_neighbours(records(bot, Record.REC_NEIGHBOURS)[-1])
    assert (told.bid_ticks, told.ask_ticks) == (NOTHING_ASK, 0)
    price = touch(bot)[0] - 500
    assert bot.pipeline.place_by_hand(Side.BUY, Lane.LANE_HAND, price, 100_000, TIMES[300]) == 0
    assert bot.pipeline.checks.last_reason is Reason.NEIGHBOUR


def test_tape_tells_what_was_seen_and_a_bot_told_so_decides_the_same(board: Board) -> None:
    other = seat(board, "b").row
    bot, _row = quotes(board)
    prices = []
    for at in range(1, 300):
        if at % 7 == 0:
            bid, ask = touch(bot)
            other.publish(*((NOTHING_BID, bid - 30) if at % 2 else (ask + 30, NOTHING_ASK)))
            prices.append(other.shown)
        step(bot, at)
    told = [tuple(journal.read_neighbours(one)) for one in records(bot, Record.REC_NEIGHBOURS)]
    assert [seen[1:3] for seen in told if seen[1:3] in prices]
    again = RecalledNeighbours()
    again.recall([(one[0], one[1], one[2], one[3]) for one in told])
    replayed, _ = quoting(neighbours=again)
    for at in range(1, 300):
        step(replayed, at)
    for kind in (Record.REC_NEIGHBOURS, Record.REC_INTENT, Record.REC_ORDER_BYTES):
        assert records(replayed, kind) == records(bot, kind)
    # Told nothing, it decides otherwise: what was seen mattered.
    alone, _ = quoting(neighbours=RecalledNeighbours())
    for at in range(1, 300):
        step(alone, at)
    assert records(alone, Record.REC_INTENT) != records(bot, Record.REC_INTENT)


def test_nobody_is_asked_without_neighbours() -> None:
    bot, _ = quoting()
    assert not bot.pipeline.neighbours.on
    assert bot.pipeline.neighbours.look_count == 0
    assert records(bot, Record.REC_NEIGHBOURS) == []


def crossing(seats: dict[str, Seat]) -> bool:
    """Whether two rows show prices that meet."""
    shown = [one.row.shown for one in seats.values()]
    return any(a[0] >= b[1] for i, a in enumerate(shown) for j, b in enumerate(shown) if i != j)


def test_two_bots_never_show_prices_that_meet(board: Board) -> None:
    """Each sees another moment of the market, 27 ticks apart, and places by hand in between."""
    seats = {name: seat(board, name) for name in "ab"}
    bots = [warmed(neighbours=seats[name].row) for name in "ab"]
    for at in range(1, 600):
        bots[1].pipeline.on_frame(bots[1].feed, WORK.frames[at], TIMES[at])
    rng = random.Random(5)
    assert bots[0].book.best_ask_ticks is not None
    assert bots[1].book.best_bid_ticks is not None
    low, high = bots[0].book.best_ask_ticks, bots[1].book.best_bid_ticks
    for number in range(600):
        who = rng.randrange(2)
        pipeline, now_ns = bots[who].pipeline, TIMES[599 * who] + number
        pipeline.quoting = True
        # Where the market was lower it sells, where it is higher it buys.
        side, price = (Side.SELL, Side.BUY)[who], rng.randrange(low, high + 1)
        pipeline.place_by_hand(side, Lane.LANE_HAND, price, 10_000, now_ns)
        assert not crossing(seats)
        if rng.random() < 0.3:
            for order in pipeline.table.live():
                pipeline.table.event(order.seq, OrderEvent.EV_REJECTED, now_ns)
    for bot in bots:
        assert bot.pipeline.placed_count > 20
        assert bot.pipeline.checks.refusals()[Reason.NEIGHBOUR] > 20


def test_planner_keeps_clear_until_told_otherwise() -> None:
    planner = Planner()
    table = OrderTable()
    wanted = ([(100, 5), (99, 5)], [(102, 5), (103, 5)])
    planner.keep_clear(NOTHING_BID, 100)
    made = planner.plan(*wanted, table, 1)
    assert sorted((one.side, one.price_ticks) for one in made) == [(1, 99), (2, 102), (2, 103)]
    planner.keep_clear(102, NOTHING_ASK)
    made = planner.plan(*wanted, table, 1)
    assert sorted((one.side, one.price_ticks) for one in made) == [(1, 99), (1, 100), (2, 103)]
    assert {one.kind for one in made} == {ActionKind.ACTION_PLACE}
    planner.keep_clear(NOTHING_ASK, 0)
    assert planner.plan(*wanted, table, 1) == []
    planner.keep_clear(NOTHING_BID, NOTHING_ASK)
    assert len(planner.plan(*wanted, table, 1)) == 4
