"""A bot trades on the simulated Gate.io: both book channels, its ledger equal to the venue's."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.book import BookState
from openmm._fast.units import Side
from openmm.sim.faults import FaultScript, Rule, chaos
from openmm.testing.virtual import VirtualBot
from tests.e2e.desk import Desk, options
from tests.e2e.usdt import config, sim

NS = 1_000_000_000


@pytest.mark.parametrize("depth", [20, 50, 100])
def test_a_bot_trades_and_its_ledger_is_the_venues(tmp_path: Path, depth: int) -> None:
    bot = VirtualBot(config("gateio", depth), sim("gateio", maker_ppm=50), tmp_path)
    bot.start()
    assert bot.tables.pipeline.feed.book.state is BookState.BOOK_VERIFIED
    bot.run(180)
    assert bot.stop() == 0
    counters = bot.step.counters
    assert counters.fills > 5
    assert counters.fills == len(bot.statement()["fills"])
    assert bot.differences() == {}
    assert bot.open_orders() == []
    assert counters.overfills == counters.illegal == counters.unrecognised == 0
    fees = {row["fee_asset"] for row in bot.statement()["fills"]}
    assert fees == {"BTC", "USDT"}


@pytest.mark.parametrize(("depth", "seed"), [(50, 7), (100, 11)])
def test_under_faults_the_ledger_is_still_the_venues(tmp_path: Path, depth: int, seed: int) -> None:
    bot = VirtualBot(
        config("gateio", depth), sim("gateio", seed=seed, faults=chaos(seed)), tmp_path
    )
    bot.start()
    bot.run(150)
    struck = sum(bot.venue.strikes.struck.values())
    # What still lasts ends, and the bot has time to ask for what it missed.
    bot.venue.strikes.end(bot.now_ns)
    bot.run(60)
    assert bot.stop() == 0
    assert struck > 20
    assert bot.step.counters.fills > 0
    assert bot.differences() == {}
    assert bot.open_orders() == []
    assert bot.step.counters.overfills == 0


@pytest.mark.parametrize("depth", [50, 100])
def test_over_sockets_it_quotes_fills_and_survives_lost_connections(
    tmp_path: Path, depth: int
) -> None:
    async def scenario() -> Desk:
        money = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
        desk = Desk(
            tmp_path, options(venue="gateio", balances=money),
            venue={"name": "gateio", "quote": "BTC/USDT", "depth": depth},
        )  # fmt: skip
        async with desk:
            await desk.until_quoting()
            for side in (Side.BUY, Side.SELL):
                before = desk.engine.step.counters.fills
                await desk.until_quoting()
                desk.hit(side)
                await desk.until(partial(filled_since, desk, before), "a fill")
            desk.drop(private=False)
            desk.drop(private=True)
            await desk.until(lambda: not desk.engine.tables.pipeline.stream_live, "the loss seen")
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.open_at_end == []
    assert desk.engine.exit_code == 0
    assets: Any = desk.statement["assets"]
    closing = {asset: Decimal(one["closing"]) for asset, one in assets.items()}
    assert desk.engine.step.expected() == closing


def filled_since(desk: Desk, count: int) -> bool:
    return desk.engine.step.counters.fills > count


def test_a_copy_that_nothing_waits_for_is_no_sign_of_life_of_a_silent_stream(
    tmp_path: Path,
) -> None:
    # A book that joins a copy (20, 100), asked for anew before its stream counts as silent.
    made = config("gateio", 100)
    [venue] = made.venue
    made = made.model_copy(
        update={"venue": (venue.model_copy(update={"max_book_silence_ns": 2 * NS}),)}
    )
    silence = Rule("half_open", ("book",), at_ns=20 * NS, count=1, for_ns=600 * NS)
    bot = VirtualBot(made, sim("gateio", faults=FaultScript((silence,))), tmp_path)
    bot.start()
    while not bot.venue.strikes.struck:
        bot.run(0.05)
    feed = bot.tables.pipeline.feed
    heard_ns = feed.last_recv_ns
    bot.run(4)
    assert feed.last_recv_ns == heard_ns
    assert bot.venue.strikes.struck == {"half_open book": 1}
    bot.run(20)
    assert feed.last_recv_ns > heard_ns
    assert bot.stop() == 0
    assert bot.differences() == {}
