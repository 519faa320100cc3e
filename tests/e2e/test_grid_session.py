"""A session with every state a grid has: what waits, hangs and narrows follows from the journal."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from openmm import config as conf
from openmm import journal
from openmm._fast.orders import Lane
from openmm._fast.tape import Record
from openmm.engine.commands import Set
from openmm.engine.replay import replay
from openmm.journal import JournalRecord
from openmm.sim.options import SimOptions
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
