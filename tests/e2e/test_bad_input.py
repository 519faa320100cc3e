"""What an operator gets wrong is one clear error, nothing half done; what breaks stops quoting."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from openmm._fast.checks import RiskState
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.cli.main import main
from openmm.errors import CommandError, ConfigError
from openmm.events import SystemMode
from openmm.journal import read_intent, read_risk
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from tests.e2e.checker import check
from tests.e2e.desk import Desk, options
from tests.e2e.programs import bot_toml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
NOWHERE = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}
REMOTE = {"ws": "wss://ws.kraken.com/v2", "ws_auth": "wss://ws-auth.kraken.com/v2"}


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ('spread = "2bps"', 'spraed = "2bps"', 'did you mean "spread"'),
        ('spread = "2bps"', 'spread = "2"', "unit"),
        ('spread = "2bps"', 'spread = "2 USD"', "strategy.spread"),
        ('max_inventory = "0.5"', 'max_inventory = "half"', "risk.max_inventory"),
        ('max_open_notional = "20000"', "", "max_open_notional"),
        ('max_order_size = "0.05"', 'max_order_size = "0.001"', "strategy.order_amount"),
    ],
)
def test_bad_file_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], was: str, now: str, told: str
) -> None:
    file = bot_toml(tmp_path, NOWHERE)
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, now))
    assert main(["run", str(file)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if told in line]) == 1, lines
    assert not (tmp_path / "runs").exists()


def test_live_mode_refuses_a_venue_that_is_not_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_KEY", DEMO_KEY)
    monkeypatch.setenv("OPENMM_KRAKEN_SECRET", DEMO_SECRET)
    file = bot_toml(tmp_path, NOWHERE | REMOTE)
    assert main(["run", str(file)]) == 2
    err = capsys.readouterr().err
    assert "ws.kraken.com" in err
    assert "simulated venues only" in err
    assert not (tmp_path / "runs").exists()
    assert DEMO_SECRET not in err


@pytest.mark.parametrize(
    ("strategy", "sim", "told"),
    [
        ({}, {"maker_fee_ppm": 2500}, "strategy.spread"),
        ({"order_amount": "0.00001"}, {}, "venue's minimum"),
    ],
)
def test_grid_the_venue_makes_impossible_is_refused_before_any_order(
    tmp_path: Path, strategy: dict[str, Any], sim: dict[str, Any], told: str
) -> None:
    async def scenario() -> Desk:
        desk = Desk(tmp_path, options(**sim), strategy=strategy)
        with pytest.raises(ConfigError, match=told):
            await desk.__aenter__()
        return desk

    desk = asyncio.run(scenario())
    assert desk.server.core.orders(desk.account) == []


def test_second_engine_of_a_bot_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            before = desk.venue_orders()
            with pytest.raises(CommandError, match="in use"):
                await Desk(tmp_path).__aenter__()
            assert len(desk.venue_orders()) == len(before)
            await desk.until_quoting()
        assert desk.engine.exit_code == 0
        assert desk.open_at_end == []

    asyncio.run(scenario())


def test_loss_beyond_the_limit_halts_tells_the_webhook_and_exits_with_3(tmp_path: Path) -> None:
    posted: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response()

    async def scenario() -> Desk:
        app = web.Application()
        app.router.add_post("/alert", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/alert"
        # From the peak: no market goes on rising.
        risk = {"max_drawdown_peak": "0.0002%", "webhook": url}
        try:
            async with Desk(tmp_path, risk=risk) as desk:
                monitor = desk.engine.tables.monitor
                await desk.until(lambda: monitor.state is RiskState.HALTED, "a loss")
                await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
                await desk.until(lambda: bool(posted), "the webhook")
                # Latched: what comes after does not quote again.
                frames = desk.engine.tables.pipeline.feed.frame_count
                await desk.until(
                    lambda: desk.engine.tables.pipeline.feed.frame_count > frames + 20, "market"
                )
                assert desk.venue_orders() == []
        finally:
            await runner.cleanup()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    alert = posted[0]
    assert (alert["event"], alert["severity"], alert["bot"]) == ("halted", "critical", "desk")
    assert "drawdown" in alert["text"]
    assert [one["event"] for one in posted].count("halted") == 1
    assert check(desk.journal()).found == []


def test_full_tape_stops_quoting_cancels_and_halts(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path, engine={"tape_size": "1MiB"}) as desk:
            await desk.until_quoting()
            pipeline = desk.engine.tables.pipeline
            writer = pipeline.tape.follower_pid
            os.kill(writer, signal.SIGSTOP)
            try:
                # A flood of what the bot has to keep, as a venue's endless status would be.
                while not pipeline.tape.full:
                    desk.server.core.set_mode(SystemMode.ONLINE, desk.server.now_ns())
                    desk.say(b'{"channel":"status","data":[{"x":"' + b"x" * 20_000 + b'"}]}')
                    await asyncio.sleep(0)
                await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
                placed = pipeline.placed_count
                frames = pipeline.feed.frame_count
                await desk.until(lambda: pipeline.feed.frame_count > frames + 50, "market")
                assert pipeline.placed_count == placed
                assert desk.engine.tables.monitor.state is RiskState.HALTED
                assert desk.venue_orders() == []
            finally:
                os.kill(writer, signal.SIGCONT)
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    # What the full tape refused is missing and says so; no order went out without its record.
    records = desk.journal()
    assert any(b.record_index != a.record_index + 1 for a, b in pairwise(records))
    placed = [
        one
        for one in records
        if one.kind == Record.REC_INTENT
        and read_intent(one.payload).action.kind == ActionKind.ACTION_PLACE
    ]
    assert len(placed) == len(desk.server.core.orders(desk.account)) >= 4


def listing(**changed: object) -> bytes:
    """Write what the venue says of its pair, with something changed."""
    pair = {
        "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "status": "online",
        "qty_precision": 8, "qty_increment": 1e-8, "price_precision": 1, "cost_precision": 5,
        "cost_min": 0.5, "tick_size": 0.1, "price_increment": 0.1, "qty_min": 0.0001,
    }  # fmt: skip
    data = {"assets": [], "pairs": [pair | changed]}
    return json.dumps({"channel": "instrument", "type": "update", "data": data}).encode()


def test_pair_closed_while_quoting_is_left_and_quoted_again_when_it_opens(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            desk.say(listing(status="cancel_only"))
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
            pipeline = desk.engine.tables.pipeline
            placed, frames = pipeline.placed_count, pipeline.feed.frame_count
            await desk.until(lambda: pipeline.feed.frame_count > frames + 50, "market")
            assert pipeline.placed_count == placed
            desk.say(listing(status="post_only"))
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"status": "delisted"}, "no longer listed"),
        ({"tick_size": 0.5, "price_increment": 0.5}, "tick_size 0.1 -> 0.5"),
        ({"qty_precision": 5, "qty_increment": 0.00001}, "lot_size"),
        ({"price_increment": "?"}, "cannot be read"),
    ],
)
def test_pair_delisted_or_changed_while_quoting_is_a_safe_stop(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            desk.say(listing(**changed))
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
            assert desk.engine.tables.monitor.state is RiskState.HALTED
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    halts = [one for one in desk.journal() if one.kind == Record.REC_RISK]
    assert any(told in read_risk(one.payload).detail for one in halts)
