"""Whole ladders through pipeline and planner: what rests obeys the rules, whatever happens."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm import journal
from openmm._fast.orders import OrderState
from openmm._fast.pipeline import Decision
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.strategy.grid import GridStrategy
from openmm.strategy.parameters import GridParameters
from openmm.testing.canonical import CanonicalBot, grid_parameters, make_bot
from tests._fast.test_pipeline import TIMES, WORK, accept, quoting, records
from tests._fast.test_pipeline_bounds import fill

SECOND = 1_000_000_000
MID = 600_000
LEVELS = 4

changes = st.fixed_dictionaries(
    {},
    optional={
        "spread_ppm": st.integers(20, 600),
        "fee_floor_ppm": st.integers(-100, 200),
        "level_step_ppm": st.integers(5, 100),
        "skew_full_ppm": st.integers(0, 400),
        "floor_ticks": st.sampled_from([0, MID - 300, MID - 20, MID + 100]),
        "ceiling_ticks": st.sampled_from([1 << 40, MID + 300, MID + 20, MID - 100]),
        "hanging": st.integers(0, 1),
        "ping_pong": st.integers(0, 1),
        "refill_ns": st.sampled_from([0, SECOND // 10]),
    },
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("frames"), st.integers(1, 40)),
        st.tuples(st.just("fill"), st.integers(0, 40)),
        st.tuples(st.just("accept"), st.just(0)),
        st.tuples(st.just("change"), changes),
        st.tuples(st.just("queue"), st.sampled_from([0, 5, 30])),
        st.tuples(st.just("tolerance"), st.sampled_from([0, 1, 20])),
        st.tuples(st.just("hold"), st.integers(-60, 60)),
    ),
    min_size=5, max_size=40,
)  # fmt: skip


def changed(told: GridParameters, values: dict[str, Any]) -> GridParameters:
    """Set some, with a band that is one."""
    made = {"floor_ticks": told.floor_ticks, "ceiling_ticks": told.ceiling_ticks} | values
    if made["floor_ticks"] > made["ceiling_ticks"]:
        made["floor_ticks"] = 0
    return replace(told, **made)


class Rules:
    """What holds of a bot after each step."""

    def __init__(self, bot: CanonicalBot) -> None:
        self.bot = bot
        self.seen = len(records(bot, Record.REC_INTENT))

    def sent(self) -> None:
        """No order was sent to cross the book, or beyond the ladder's bounds."""
        told = records(self.bot, Record.REC_INTENT)
        bid_ticks, ask_ticks = self.bot.book.best_bid_ticks, self.bot.book.best_ask_ticks
        assert bid_ticks is not None
        assert ask_ticks is not None
        for payload in told[self.seen :]:
            action = journal.read_intent(payload).action
            if action.kind == ActionKind.ACTION_CANCEL:
                continue
            if action.side == Side.BUY:
                assert action.price_ticks < ask_ticks
            else:
                assert action.price_ticks > bid_ticks
        self.seen = len(told)

    def rests(self) -> None:
        """Own orders never meet, are no more than levels, and stay within the inventory limit."""
        pipeline = self.bot.pipeline
        live = pipeline.table.live()
        bids = [one for one in live if one.side == Side.BUY]
        asks = [one for one in live if one.side == Side.SELL]
        prices = [
            {price for one in side for price in (one.price_ticks, one.pending_price_ticks) if price}
            for side in (bids, asks)
        ]
        assert max(prices[0], default=0) < min(prices[1], default=1 << 40)
        for side in (bids, asks):
            staying = [one for one in side if one.state is not OrderState.PENDING_CANCEL]
            assert len(staying) <= LEVELS
        limits, totals = pipeline.checks.current_limits(), pipeline.table.totals()
        assert totals.buy_ticklots + totals.sell_ticklots <= (limits["open_ticklots_max"] or 0)

    def bounds(self) -> None:
        """Once all is answered nothing is within the fee floor or out of the band."""
        pipeline = self.bot.pipeline
        strategy, uticks = pipeline.strategy, pipeline.reference.price_uticks
        assert isinstance(strategy, GridStrategy)
        assert uticks is not None
        told = strategy.params
        fee_uticks = -(-uticks * told.fee_floor_ppm // 1_000_000)
        for one in pipeline.table.live():
            if one.side == Side.BUY:
                assert one.price_ticks * 1_000_000 <= uticks - fee_uticks
                assert one.price_ticks <= told.ceiling_ticks
            else:
                assert one.price_ticks * 1_000_000 >= uticks + fee_uticks
                assert one.price_ticks >= told.floor_ticks


@settings(max_examples=60, deadline=None)
@given(steps, changes)
def test_no_ladder_breaks_a_rule_whatever_hangs_waits_or_changes(
    told: list[tuple[str, Any]], first: dict[str, Any]
) -> None:
    parameters = changed(grid_parameters(LEVELS), first)
    bot, _ = quoting(strategy=GridStrategy(make_bot().instrument, parameters), requote_uticks=0)
    pipeline, rules, at = bot.pipeline, Rules(bot), 1
    strategy = pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    for what, value in told:
        now_ns = TIMES[at]
        if what == "frames":
            for _ in range(value):
                pipeline.on_frame(bot.feed, WORK.frames[at], TIMES[at])
                rules.sent()
                at += 1
            rules.rests()
            continue
        if what == "fill":
            live = [one for one in pipeline.table.live() if one.state is OrderState.OPEN]
            if live:
                fill(bot, live[value % len(live)], now_ns)
        elif what == "change":
            strategy.params = changed(strategy.params, value)
        elif what == "queue":
            pipeline.planner.queue.set_params(value_ticks=value, model=1, power=1)
        elif what == "tolerance":
            pipeline.planner.set_params(
                tolerance_ticks=value, qty_tolerance_ppm=100_000, order_age_ns_max=0
            )
        elif what == "hold":
            base = 200_000_000 + value * 1_000_000
            pipeline.inventory.set_balances(base, (400_000_000 - base) * MID)
        pipeline.requote(now_ns)
        rules.sent()
        rules.rests()
        # Looks until all is answered and nothing more is to be done.
        for _ in range(6):
            accept(bot, now_ns)
            if pipeline.requote(now_ns) is not Decision.DECISION_SENT:
                break
            rules.sent()
            rules.rests()
        else:
            accept(bot, now_ns)
            pipeline.requote(now_ns)
        if not pipeline.table.totals().pending_count:
            rules.bounds()
