"""Orders that hang beside the ladder, and levels that wait, through the pipeline."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm import journal
from openmm._fast.orders import Lane, OrderState, OrderView
from openmm._fast.pipeline import Decision, Pipeline
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.strategy.grid import GridStrategy
from openmm.testing.canonical import CanonicalBot, grid_parameters, make_bot
from tests._fast.test_pipeline import MS, TIMES, WORK, accept, quoting, records
from tests.oracles import quotes as oracle

SECOND = 1_000_000_000


def bot_with(**changes: int) -> CanonicalBot:
    """A bot whose first ladder of four levels a side rests."""
    told = replace(grid_parameters(4), **changes)
    bot, _ = quoting(strategy=GridStrategy(make_bot().instrument, told))
    return bot


def at_level(pipeline: Pipeline, side: Side, level: int) -> OrderView:
    (order,) = [one for one in pipeline.table.live() if (one.side, one.level) == (side, level)]
    return order


def fill(bot: CanonicalBot, order: OrderView, now_ns: int) -> None:
    """Book a fill of all that rests, as the engine does."""
    left = order.qty_lots - order.filled_lots
    bot.pipeline.note_fill(order.seq, left, now_ns)
    bot.pipeline.table.fill(order.seq, order.price_ticks, left, now_ns)


def sent_since(bot: CanonicalBot, count: int) -> list[journal.ActionRecord]:
    intents = [journal.read_intent(one) for one in records(bot, Record.REC_INTENT)[count:]]
    return [one.action for one in intents]


def test_other_sides_order_stays_while_the_ladder_moves_and_counts_as_its_level() -> None:
    bot = bot_with(hanging=1, hanging_distance_ppm=500_000)
    pipeline = bot.pipeline
    first, hangs = at_level(pipeline, Side.BUY, 1), at_level(pipeline, Side.SELL, 1)
    fill(bot, first, TIMES[0])
    stays = pipeline.table.get(hangs.seq)
    assert stays is not None
    assert (stays.level, pipeline.table.ladder_count) == (Lane.LANE_HANGING + 1, 6)
    asked = len(records(bot, Record.REC_INTENT))
    for frame, now_ns in zip(WORK.frames[1:800], TIMES[1:800], strict=True):
        pipeline.on_frame(bot.feed, frame, now_ns)
        accept(bot, now_ns)
    actions = sent_since(bot, asked)
    assert actions
    assert hangs.seq not in {one.seq for one in actions}
    after = pipeline.table.get(hangs.seq)
    assert after is not None
    assert (after.price_ticks, after.qty_lots) == (hangs.price_ticks, hangs.qty_lots)
    sells = [one for one in pipeline.table.live() if one.side == Side.SELL]
    assert len(sells) == 4  # what hangs and three levels
    # Once it is filled its level is quoted again, and nothing hangs for it.
    now_ns = TIMES[800]
    fill(bot, after, now_ns)
    pipeline.requote(now_ns)
    accept(bot, now_ns)
    assert pipeline.table.ladder_count == pipeline.table.live_count == 8


def test_without_the_key_nothing_hangs() -> None:
    bot = bot_with()
    fill(bot, at_level(bot.pipeline, Side.BUY, 1), TIMES[0])
    assert bot.pipeline.table.ladder_count == bot.pipeline.table.live_count == 7


@pytest.mark.parametrize(
    ("changes", "why", "act"),
    [
        ({"hanging_ns_max": 2 * SECOND}, ActionWhy.WHY_STALE, "age"),
        ({"hanging_distance_ppm": 100}, ActionWhy.WHY_UNWANTED, "distance"),
        ({}, ActionWhy.WHY_UNWANTED, "side off"),
        ({}, ActionWhy.WHY_UNWANTED, "switched off"),
        ({}, ActionWhy.WHY_UNWANTED, "quiet"),
        ({}, ActionWhy.WHY_RISK, "withdraw"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_hangs_ends(changes: dict[str, int], why: ActionWhy, act: str) -> None:
    bot = bot_with(hanging=1, **changes)
    pipeline, strategy = bot.pipeline, bot.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    hangs = at_level(pipeline, Side.SELL, 3)
    fill(bot, at_level(pipeline, Side.BUY, 3), TIMES[0])
    pipeline.requote(TIMES[0])
    accept(bot, TIMES[0])
    asked = len(records(bot, Record.REC_INTENT))
    now_ns = TIMES[0] + 2 * SECOND - 1
    if act == "age":
        pipeline.on_frame(bot.feed, WORK.frames[0], now_ns)
        assert hangs.seq not in {one.seq for one in sent_since(bot, asked)}
    elif act == "side off":
        pipeline.allow_ask = False
    elif act == "switched off":
        strategy.params = replace(strategy.params, hanging=0)
    elif act == "quiet":
        strategy.params = replace(strategy.params, schedule=((0, 86_400, 0, 1),))
    elif act == "withdraw":
        pipeline.quoting = False
    if act not in ("age", "distance"):
        pipeline.mark_dirty()
    pipeline.on_frame(bot.feed, WORK.frames[0], now_ns + 1)
    ended = [one for one in sent_since(bot, asked) if one.seq == hangs.seq]
    if act == "distance":
        # Too far off as soon as anything is decided.
        every = sent_since(bot, 0)
        ended = [
            one for one in every if one.seq == hangs.seq and one.kind == ActionKind.ACTION_CANCEL
        ]
    assert [(one.kind, one.why) for one in ended] == [(ActionKind.ACTION_CANCEL, why)]


def test_level_waits_and_comes_back_though_the_market_stands_still() -> None:
    bot = bot_with(refill_ns=SECOND)
    pipeline = bot.pipeline
    filled = at_level(pipeline, Side.BUY, 0)
    fill(bot, filled, TIMES[0])
    pipeline.requote(TIMES[0])
    accept(bot, TIMES[0])
    assert pipeline.table.live_count == 7
    pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0] + SECOND - MS)
    decisions = [pipeline.last_decision]
    pipeline.on_frame(bot.feed, WORK.frames[0], TIMES[0] + SECOND)
    decisions.append(pipeline.last_decision)
    assert decisions == [Decision.DECISION_SKIPPED, Decision.DECISION_SENT]
    accept(bot, TIMES[0] + SECOND)
    assert at_level(pipeline, Side.BUY, 0).price_ticks == filled.price_ticks
    assert pipeline.table.live_count == 8


def test_order_on_its_way_out_does_not_hang() -> None:
    bot = bot_with(hanging=1)
    pipeline = bot.pipeline
    other = at_level(pipeline, Side.SELL, 0)
    assert pipeline.cancel_by_hand([other.seq], TIMES[0]) == 1
    fill(bot, at_level(pipeline, Side.BUY, 0), TIMES[0])
    gone = pipeline.table.get(other.seq)
    assert gone is not None
    assert (gone.state, gone.level) == (OrderState.PENDING_CANCEL, 0)


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"level_offsets_ppm": (0, 50, 100, 400)}, {3}),
        ({"level_lots": (1_000_000, 1_000_000, 3_000_000, 1_000_000)}, {2}),
        ({"schedule": ((0, 1, 100, 0),)}, set()),
        ({"narrow_ppm": 100, "refill_ns": SECOND, "ping_pong": 1, "hanging": 1}, set()),
        ({"floor_ticks": 1, "ceiling_ticks": 10_000_000}, set()),
    ],
    ids=str,
)
def test_live_change_moves_only_what_has_to_move(
    changes: dict[str, object], moved: set[int]
) -> None:
    bot = bot_with()
    pipeline, strategy = bot.pipeline, bot.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    asked = len(records(bot, Record.REC_INTENT))
    strategy.params = replace(strategy.params, **changes)
    pipeline.requote(TIMES[0])
    actions = sent_since(bot, asked)
    assert {one.level for one in actions} == moved
    assert len(actions) == 2 * len(moved)
    assert {one.kind for one in actions} <= {ActionKind.ACTION_AMEND}


steps = st.lists(
    st.tuples(st.sampled_from(["frame", "fill", "fill", "accept"]), st.integers(0, 40)),
    min_size=10, max_size=60,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    steps, st.booleans(), st.booleans(), st.sampled_from([0, SECOND]),
    st.sampled_from([0, 20 * MS]), st.sampled_from([0, 300]),
)  # fmt: skip
def test_no_more_orders_than_levels_none_meets_another_and_every_ladder_is_the_oracles(
    told: list[tuple[str, int]], hanging: bool, ping_pong: bool, refill_ns: int, age_ns: int,
    distance_ppm: int,
) -> None:  # fmt: skip
    bot = bot_with(
        hanging=int(hanging), ping_pong=int(ping_pong), refill_ns=refill_ns, narrow_ppm=50,
        hanging_ns_max=age_ns, hanging_distance_ppm=distance_ppm,
    )  # fmt: skip
    pipeline, at = bot.pipeline, 1
    strategy = pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    for what, number in told:
        now_ns = TIMES[at]
        if what == "frame":
            for _ in range(number + 1):
                pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
                at += 1
        elif what == "accept":
            accept(bot, now_ns)
        else:
            live = [one for one in pipeline.table.live() if one.state is OrderState.OPEN]
            if live:
                fill(bot, live[number % len(live)], now_ns)
                pipeline.requote(now_ns)
        live = pipeline.table.live()
        for side in (Side.BUY, Side.SELL):
            going = OrderState.PENDING_CANCEL
            mine = [one for one in live if one.side == side and one.state is not going]
            assert len(mine) <= 4
        highest = max((one.price_ticks for one in live if one.side == Side.BUY), default=0)
        lowest = min((one.price_ticks for one in live if one.side == Side.SELL), default=1 << 40)
        assert highest < lowest
    spec = {
        name: bot.instrument.spec()[name]
        for name in ("qty_lots_min", "qty_lots_max", "notional_ticklots_min")
    }
    for payload in records(bot, Record.REC_LADDER):
        record = journal.read_ladder(payload)
        parts = record.parts
        wanted = oracle.ladder(
            record.view._asdict(), strategy.params.fields(), spec, record.one_sided_before,
            (parts.held_bids, parts.held_asks), (parts.anchor_uticks, parts.anchor_ns),
        )  # fmt: skip
        assert (wanted["bids"], wanted["asks"]) == (list(record.bids), list(record.asks))
        assert {name: wanted[name] for name in parts._fields} == parts._asdict()
        assert (wanted["clamps"], wanted["sides_off"]) == (record.clamps, record.sides_off)
