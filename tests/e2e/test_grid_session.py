"""A session with every state a grid has: what waits, hangs and narrows follows from the journal."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from openmm import config as conf
from openmm import journal
from openmm._fast.checks import RiskState
from openmm._fast.orders import Lane, OrderState
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.engine.commands import Set, Tighten
from openmm.engine.replay import replay
from openmm.engine.rundir import RunDir
from openmm.journal import JournalRecord
from openmm.sim.options import SimOptions
from openmm.strategy.grid import GridStrategy
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual
from tests.e2e.test_replay import assert_identical
from tests.oracles import quotes as oracle

GRID = {
    "spacing": "geometric", "level_ratio": "1.5", "sizes": "pyramid", "size_step": "20%",
    "hanging": True, "hanging_age_max": "6s", "hanging_distance_max": "10bps",
    "refill_delay": "2s", "narrow_rate": "1bps", "price_floor": "1000",
    "schedule": "15:06:50-15:07:00 2bps, 15:07:20-15:07:23 off",  # the session starts at 15:06:40
}  # fmt: skip


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> VirtualBot:
    """A session of a minute; half way ping-pong is switched on."""
    made = VirtualBot(
        virtual.config(GRID, max_order_size="0.03"),
        SimOptions(
            seed=3, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
            jitter_ns=500_000, balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
        ),
        tmp_path_factory.mktemp("grid"),
    )  # fmt: skip
    made.start()
    made.run(30)
    told = {"strategy.ping_pong": "true", "strategy.refill_delay": "0s"}
    made.command(Set(orjson.dumps(told).decode()))
    made.run(30)
    assert made.stop() == 0
    return made


@pytest.mark.parametrize("extra", [{}, {"ping_pong": True}], ids=["grid", "ping-pong"])
def test_limit_that_is_passed_cancels_all_brings_inventory_back_and_resumes(
    tmp_path: Path, extra: dict[str, object]
) -> None:
    bot = VirtualBot(
        virtual.config({"target_base": "40%", **extra}),
        SimOptions(
            seed=5, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
            jitter_ns=500_000, balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
        ),
        tmp_path,
    )  # fmt: skip
    bot.start()
    bot.run(2)
    table = bot.tables.pipeline.table
    before = bot.tables.pipeline.inventory.q_lots
    assert before is not None
    assert before > 6_000_000
    resting = {one.seq for one in table.live()}
    bot.command(Tighten(max_inventory=f"{bot.tables.instrument.qty(before - 3_000_000):f}"))
    assert state_of(bot) is RiskState.REDUCING
    # All that rested is on its way out; only what brings inventory back comes.
    going = OrderState.PENDING_CANCEL
    assert resting
    assert {one.state for one in table.live() if one.seq in resting} <= {going}
    assert {one.side for one in table.live() if one.seq not in resting} <= {Side.SELL}
    seen: list[tuple[RiskState, frozenset[int]]] = []
    for _ in range(400):
        bot.run(0.25)
        sides = frozenset(int(one.side) for one in table.live())
        seen.append((state_of(bot), sides))
        if state_of(bot) is RiskState.RUNNING and len(sides) == 2:
            break
    reducing = [sides for state, sides in seen if state is RiskState.REDUCING]
    assert frozenset({int(Side.SELL)}) in reducing
    assert not any(int(Side.BUY) in sides for sides in reducing)
    assert seen[-1] == (RiskState.RUNNING, frozenset({int(Side.BUY), int(Side.SELL)}))
    after = bot.tables.pipeline.inventory.q_lots
    assert after is not None
    assert after < before
    assert bot.stop() == 0
    assert bot.differences() == {}


def state_of(bot: VirtualBot) -> RiskState:
    return bot.tables.monitor.state


def ladders(records: list[JournalRecord]) -> list[journal.LadderRecord]:
    return [journal.read_ladder(one.payload) for one in records if one.kind == Record.REC_LADDER]


def test_session_replays_identically_and_its_money_is_the_venues(
    bot: VirtualBot,
) -> None:
    assert bot.differences() == {}
    assert_identical(replay(bot.records), bot.records)


def test_every_ladder_follows_from_what_is_on_the_tape(bot: VirtualBot) -> None:
    instrument = bot.tables.instrument
    spec = {
        name: instrument.spec()[name]
        for name in ("qty_lots_min", "qty_lots_max", "notional_ticklots_min")
    }
    params = conf.grid_params(virtual.config(GRID, max_order_size="0.03"), instrument)
    held = narrowed = widened = 0
    for one in ladders(bot.records):
        parts = one.parts
        wanted = oracle.ladder(
            one.view._asdict(), params, spec, one.one_sided_before,
            (parts.held_bids, parts.held_asks), (parts.anchor_uticks, parts.anchor_ns),
        )  # fmt: skip
        assert (wanted["bids"], wanted["asks"]) == (list(one.bids), list(one.asks))
        assert {name: wanted[name] for name in parts._fields} == parts._asdict()
        held += bool(parts.held_bids or parts.held_asks)
        narrowed += parts.widen_held_uticks > 0
        widened += parts.widen_schedule_uticks > 0
    assert min(held, narrowed, widened) > 5


def test_orders_hung_were_let_be_and_ended(bot: VirtualBot) -> None:
    intents = [
        journal.read_intent(one.payload).action
        for one in bot.records
        if one.kind == Record.REC_INTENT
    ]
    ended = [one for one in intents if one.level >= Lane.LANE_HANGING]
    assert ended
    assert {one.kind for one in ended} == {1}  # cancels and nothing else
    assert any(one.view.hanging_bids or one.view.hanging_asks for one in ladders(bot.records))


def waits_of(bot: VirtualBot) -> tuple[list[int], list[int], list[int]]:
    strategy = bot.tables.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    return strategy.waits


def test_what_waits_outlives_a_restart_and_replays(tmp_path: Path) -> None:
    options = SimOptions(
        seed=3, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
        jitter_ns=500_000, balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
    )  # fmt: skip
    told = virtual.config(
        {"ping_pong": True, "refill_delay": "1h", "num_orders": 8, "level_step": "2bps"}
    )
    before = VirtualBot(told, options, tmp_path / "before")
    before.start()
    assert not any(any(one) for one in waits_of(before))
    before.run(6)
    before.stop()
    waiting, until_ns, lots = waits_of(before)
    assert any(waiting)
    # The folder's own tape is not read again: what it remembers is all that is needed.
    after = VirtualBot(told, options, tmp_path / "after")
    kept = [RunDir(tmp_path / name, "virtual").signals for name in ("before", "after")]
    kept[1].parent.mkdir(parents=True)
    kept[1].write_bytes(kept[0].read_bytes())
    after.start()
    assert waits_of(after) == (waiting, until_ns, lots)
    after.run(12)
    filled = [
        sum(1 << level for level in range(32) if until_ns[32 * side + level] > after.now_ns)
        for side in (0, 1)
    ]
    assert any(filled)
    after.stop()
    quoted = [(one.parts.quoted_bids, one.parts.quoted_asks) for one in ladders(after.records)]
    assert any(any(one) for one in quoted)
    assert not any(bids & filled[0] or asks & filled[1] for bids, asks in quoted)
    assert_identical(replay(after.records), after.records)
