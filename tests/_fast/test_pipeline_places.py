"""The hot path with queue places: what moves, what the budget adds, what is told."""

from __future__ import annotations

from openmm import journal
from openmm._fast.book import BookBreak
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.testing.canonical import CanonicalBot
from tests._fast.test_pipeline import MS, TIMES, WORK, later, quoting, records


def with_places(value_ticks: int, **options: object) -> CanonicalBot:
    """A quoting bot whose orders have places, the first of which is worth so much."""
    bot, _ = quoting(**options)
    bot.pipeline.planner.queue.set_params(value_ticks=value_ticks, model=1, power=1)
    return bot


def test_places_spare_amends_and_are_off_at_no_worth() -> None:
    counts = []
    for value_ticks in (0, 15):
        bot = with_places(value_ticks)
        bot.pipeline.run(bot.feed, later(), 1, accept=True)
        counts.append((bot.pipeline.amended_count, bot.pipeline.planner.held_count > 0))
        assert (len(records(bot, Record.REC_PLACE)) > 0) == (value_ticks > 0)
    assert counts[1][0] < counts[0][0]
    assert [held for _, held in counts] == [False, True]


def test_under_a_scarce_budget_a_place_counts_on_top_of_the_message() -> None:
    told = []
    for value_ticks in (0, 15):
        bot = with_places(value_ticks, rate_threshold_milli=100_000)
        bot.pipeline.run(bot.feed, later(), 1, accept=True)
        told.append((bot.pipeline.amended_count, bot.pipeline.spared_count))
        assert bot.pipeline.checks.budget.level_milli <= 100_000
    assert 0 < told[1][0] < told[0][0]
    assert told[1][1] > 0


def test_place_follows_the_book_and_the_trades_of_the_quoted_feed() -> None:
    bot = with_places(15)
    queue, table = bot.pipeline.planner.queue, bot.pipeline.table
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0] + MS)
    places = [queue.place(table, order.seq) for order in table.live()]
    found = max((one for one in places if one is not None), key=lambda one: one.ahead_lots)
    order = table.get(found.seq)
    assert order is not None
    shown = bot.book.qty_at(order.side - 1, order.price_ticks)
    assert found.ahead_lots == shown - order.qty_lots > 1_000_000
    side = b"sell" if order.side == Side.BUY else b"buy"
    trade = (
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"' + side
        + b'","price":' + f"{order.price_ticks / 10:.1f}".encode()
        + b',"qty":0.01,"ord_type":"market","trade_id":1,'
        + b'"timestamp":"2026-07-29T00:00:00.000000Z"}]}'
    )  # fmt: skip
    bot.pipeline.on_frame(bot.feed, trade, TIMES[0] + 2 * MS)
    after = queue.place(table, order.seq)
    assert after is not None
    assert after.ahead_lots == found.ahead_lots - 1_000_000
    bot.book.break_(BookBreak.BREAK_GAP)
    bot.pipeline.refresh(bot.feed, TIMES[0] + 3 * MS)
    assert queue.place(table, order.seq) is None


def test_place_at_a_fill_is_put_on_the_tape_where_it_is_known() -> None:
    bot = with_places(15)
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0] + MS)
    known = {
        order.seq: bot.pipeline.planner.queue.place(bot.pipeline.table, order.seq)
        for order in bot.pipeline.table.live()
    }
    seq, place = next((seq, place) for seq, place in known.items() if place is not None)
    assert bot.pipeline.tell_place(seq, TIMES[0] + 2 * MS)
    told = [journal.read_place(payload) for payload in records(bot, Record.REC_PLACE)][-1]
    assert told == (
        seq, place.price_ticks, 0, place.ahead_lots, place.behind_lots, place.worth_ticks,
        place.since_ns,
    )  # fmt: skip
    assert not bot.pipeline.tell_place(seq + 512, TIMES[0])
    bot.pipeline.planner.queue.set_params(value_ticks=0, model=1, power=1)
    assert not bot.pipeline.tell_place(seq, TIMES[0])
