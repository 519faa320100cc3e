"""Orders that rest or hang, against the fee floor, the band and the level they were made for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from openmm import journal
from openmm._fast.orders import Lane, OrderState, OrderView
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.strategy.grid import GridStrategy
from openmm.testing.canonical import CanonicalBot, grid_parameters, make_bot
from tests._fast.test_pipeline import MS, TIMES, WARM_NS, WORK, accept, quoting, records, snapshot

SECOND = 1_000_000_000
MID = 600_000


def bot_with(half_spread: int = 1, **changes: object) -> CanonicalBot:
    """A bot of four levels a side whose book stands about 60,000.0; its ladder rests."""
    told = replace(grid_parameters(4), **changes)
    bot = make_bot(
        verify=False, strategy=GridStrategy(make_bot().instrument, told), requote_uticks=0
    )
    for at in range(5):
        look(bot, WARM_NS + at * 300 * MS, MID + 3 * (at % 2), half_spread)
    return bot


def look(
    bot: CanonicalBot, now_ns: int, mid: int, half_spread: int = 1
) -> list[journal.ActionRecord]:
    """Bring one book; what was sent for it, answered by now."""
    asked = len(records(bot, Record.REC_INTENT))
    bot.pipeline.on_frame(bot.feed, snapshot(mid - half_spread, mid + half_spread), now_ns)
    sent = [journal.read_intent(one).action for one in records(bot, Record.REC_INTENT)[asked:]]
    accept(bot, now_ns)
    return sent


def of_side(bot: CanonicalBot, side: Side) -> list[OrderView]:
    sign = -1 if side == Side.BUY else 1
    live = [order for order in bot.pipeline.table.live() if order.side == side]
    return sorted(live, key=lambda order: sign * order.price_ticks)


def fill(bot: CanonicalBot, order: OrderView, now_ns: int) -> None:
    left = order.qty_lots - order.filled_lots
    bot.pipeline.note_fill(order.seq, left, now_ns)
    bot.pipeline.table.fill(order.seq, order.price_ticks, left, now_ns)


def hang(bot: CanonicalBot, side: Side, level: int) -> OrderView:
    """Fill a level of the other side; returns the order that hangs for it."""
    other = Side.SELL if side is Side.BUY else Side.BUY
    hangs = of_side(bot, side)[level]
    fill(bot, of_side(bot, other)[level], 3 * SECOND)
    after = bot.pipeline.table.get(hangs.seq)
    assert after is not None
    assert after.level == Lane.LANE_HANGING + level
    return hangs


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_order_that_hangs_goes_once_it_stands_within_the_fee_floor(side: Side) -> None:
    bot = bot_with(hanging=1, fee_floor_ppm=50, spread_ppm=240)
    hangs = hang(bot, side, 1)
    up = 1 if side == Side.SELL else -1
    fee_ticks = 30  # 50 ppm of 600,000
    last = abs(hangs.price_ticks - MID) - fee_ticks - 2
    sent: list[journal.ActionRecord] = []
    for away in (20, 40, 60, last):
        sent += look(bot, (4 + away) * SECOND, MID + up * away)
    assert hangs.seq not in {one.seq for one in sent}
    # Five ticks on it would trade for less than the fee.
    sent = look(bot, 5 * 60 * SECOND, MID + up * (last + 5))
    mine = [one for one in sent if one.seq == hangs.seq]
    assert [(one.kind, one.why) for one in mine] == [
        (ActionKind.ACTION_CANCEL, ActionWhy.WHY_CROSSING)
    ]


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_order_that_hangs_goes_when_the_market_jumps_past_our_quotes(side: Side) -> None:
    bot = bot_with(hanging=1)
    hangs = hang(bot, side, 1)
    # Away from it: no floor and no distance takes it.
    down = -1 if side == Side.SELL else 1
    assert hangs.seq not in {one.seq for one in look(bot, 4 * SECOND, MID + down * 20)}
    sent = look(bot, 4 * SECOND + 250 * MS, MID + down * 300)
    assert (ActionKind.ACTION_CANCEL, hangs.seq) in {(one.kind, one.seq) for one in sent}


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
@pytest.mark.parametrize("hanging", [True, False])
def test_what_stands_out_of_a_tightened_band_goes_though_the_tolerance_would_keep_it(
    side: Side, hanging: bool
) -> None:
    # With a budget to unwind at a loss and a skew, quotes stand on the far side of the reference.
    bot = bot_with(
        half_spread=150, hanging=1, fee_floor_ppm=-1_000, skew_full_ppm=500, level_step_ppm=200
    )
    pipeline, strategy = bot.pipeline, bot.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    tick = 1 if side == Side.BUY else -1
    pipeline.inventory.set_balances(
        (200 - 50 * tick) * 1_000_000, (200 + 50 * tick) * 1_000_000 * MID
    )
    pipeline.requote(3 * SECOND)
    accept(bot, 3 * SECOND)
    pipeline.planner.set_params(tolerance_ticks=100, qty_tolerance_ppm=100_000, order_age_ns_max=0)
    order = hang(bot, side, 0) if hanging else of_side(bot, side)[0]
    look(bot, 4 * SECOND, MID, 150)
    assert tick * (order.price_ticks - MID) > 20
    band = "ceiling_ticks" if side == Side.BUY else "floor_ticks"
    for bound, goes in ((order.price_ticks, False), (order.price_ticks - tick, True)):
        strategy.params = replace(strategy.params, **{band: bound})
        asked = len(records(bot, Record.REC_INTENT))
        pipeline.requote(5 * SECOND)
        sent = [journal.read_intent(one).action for one in records(bot, Record.REC_INTENT)[asked:]]
        mine = [one for one in sent if one.seq == order.seq]
        accept(bot, 5 * SECOND)
        assert bool(mine) == goes
    assert mine[0].why == ActionWhy.WHY_CROSSING
    kind = ActionKind.ACTION_CANCEL if hanging else ActionKind.ACTION_AMEND
    assert mine[0].kind == kind
    for one in of_side(bot, side):
        assert tick * one.price_ticks <= tick * bound


def test_queue_place_keeps_no_order_within_the_fee_floor() -> None:
    told = replace(grid_parameters(4), fee_floor_ppm=120)
    bot, _ = quoting(strategy=GridStrategy(make_bot().instrument, told), requote_uticks=0)
    pipeline = bot.pipeline
    pipeline.planner.queue.set_params(value_ticks=15, model=1, power=1)
    nearest = 0
    for frame, now_ns in zip(WORK.frames[1:1_500], TIMES[1:1_500], strict=True):
        pipeline.on_frame(bot.feed, frame, now_ns)
        accept(bot, now_ns)
        reference_uticks = pipeline.reference.price_uticks
        assert reference_uticks is not None
        fee_uticks = -(-reference_uticks * 120 // 1_000_000)
        for order in pipeline.table.live():
            sign = -1 if order.side == Side.BUY else 1
            away_uticks = sign * (order.price_ticks * 1_000_000 - reference_uticks)
            assert away_uticks >= fee_uticks
            nearest += away_uticks < fee_uticks + 1_000_000
    # Orders did stand at the very floor, and others did stay for their places.
    assert nearest > 50
    assert pipeline.planner.held_count > 100


def test_fill_that_races_a_cancel_is_a_fill_of_the_level_that_the_order_was_made_for() -> None:
    bot = bot_with(ping_pong=1, refill_ns=0)
    pipeline, strategy = bot.pipeline, bot.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    bids = of_side(bot, Side.BUY)
    # A fill of level 0 leaves a hole: what was level 1 stands first in the ladder.
    fill(bot, bids[0], 3 * SECOND)
    pipeline.requote(3 * SECOND)
    assert pipeline.table.live_count == 7
    # Bids go off and on again while their cancels are under way: the ladder has other places now.
    pipeline.allow_bid = False
    pipeline.requote(3 * SECOND)
    order = pipeline.table.get(bids[2].seq)
    assert order is not None
    assert order.state is OrderState.PENDING_CANCEL
    fill(bot, order, 3 * SECOND)
    assert strategy.waits[0] == [0b0101, 0]
    # So is one of an order that a later ladder has no level for at all.
    strategy.params = replace(strategy.params, num_orders=1)
    pipeline.allow_bid = True
    pipeline.requote(3 * SECOND)
    fill(bot, bids[3], 3 * SECOND)
    assert strategy.waits[0] == [0b1101, 0]


def test_level_follows_an_order_that_serves_another_one_by_now() -> None:
    bot = bot_with(ping_pong=1, vol_ppm=0)
    strategy = bot.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    bids = of_side(bot, Side.BUY)
    fill(bot, bids[3], 3 * SECOND)
    assert strategy.waits[0] == [0b1000, 0]
    # The market falls by a level's step: what stands is nearer by one, and level 0 is quoted anew.
    look(bot, 4 * SECOND, MID - 30)
    kept = bot.pipeline.table.get(bids[1].seq)
    assert kept is not None
    assert (kept.level, kept.price_ticks) == (0, bids[1].price_ticks)
    fill(bot, kept, 4 * SECOND)
    assert strategy.waits[0] == [0b1001, 0]
