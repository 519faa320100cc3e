"""Limits at work on a running bot: closer ones by command, and brakes against a stubborn venue."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openmm import journal
from openmm._fast.checks import RiskState
from openmm._fast.tape import Record
from openmm.control import Tighten, send_command
from openmm.control.views import look
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError
from tests.e2e.desk import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_closer_limit_by_command_holds_at_once_and_is_journalled_and_shown(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path, strategy={"size_skew": "0%"}) as desk:
            await desk.until_quoting()
            run_dir = RunDir(tmp_path, "desk")

            def order(**limits: str) -> dict[str, object]:
                return send_command(run_dir, Tighten(**limits))

            with pytest.raises(CommandError, match=r"at most 20000; got '20001'"):
                await asyncio.to_thread(order, max_open_notional="20001")
            assert look(run_dir, 0).session.get("tightened") is None
            result = await asyncio.to_thread(order, max_orders="3", max_drawdown="1%")
            limits = result["limits"]
            assert isinstance(limits, dict)
            assert (limits["max_orders"], limits["max_drawdown"]) == ("3", "1%")
            table = desk.engine.tables.pipeline.table
            await desk.until(
                lambda: len(desk.venue_orders()) == 3 and table.live_count == 3, "three orders"
            )
            assert desk.engine.tables.pipeline.checks.current_limits()["order_count_max"] == 3
            assert look(run_dir, 0).session["tightened"] == {
                "max_orders": "3", "max_drawdown": "1%",
            }  # fmt: skip
            result = await asyncio.to_thread(order, max_orders="8")
            assert look(run_dir, 0).session["tightened"] == {"max_drawdown": "1%"}
            await desk.until(lambda: len(desk.venue_orders()) == 4, "the whole ladder again")
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    commands = [one.payload for one in desk.journal() if one.kind == Record.REC_COMMAND]
    assert len([one for one in commands if b"tighten" in one]) == 3
    told = [journal.read_command(one) for one in commands]
    refused = [one for one in told if one.verdict.startswith("refused: ")]
    assert len(refused) == 1, "what was refused is on record too"
    assert "20001" in str(refused[0].arguments)
    assert {one.verdict for one in told if one not in refused} == {"done"}


def test_venue_that_refuses_every_post_only_order_is_left_alone_and_tried_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> Desk:
        risk = {"post_only_per_minute": 8, "brake": "1s"}
        async with Desk(tmp_path, risk=risk) as desk:
            await desk.until_quoting()
            monitor, pipeline = desk.engine.tables.monitor, desk.engine.tables.pipeline
            desk.fault(
                kind="refused", on=["add", "batch_add", "amend"], text="EOrder:Post only order",
                chance="100%",
            )  # fmt: skip
            await desk.until(lambda: monitor.reason == "post_only_per_minute", "the brake")
            assert monitor.state is RiskState.PAUSED
            await desk.until(lambda: not desk.venue_orders(), "quotes withdrawn")
            asked = pipeline.placed_count + pipeline.amended_count
            frames = pipeline.feed.frame_count
            await desk.until(lambda: pipeline.feed.frame_count > frames + 50, "market")
            assert pipeline.placed_count + pipeline.amended_count == asked
            assert desk.engine.step.counters.rejected <= 8 + 4, "the limit and one batch"
            # The operator knows better, and the venue has come to its senses.
            desk.server.strikes.end(desk.server.now_ns())
            desk.engine.step.resume("test", desk.server.now_ns())
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    reasons = [one.payload for one in desk.journal() if one.kind == Record.REC_RISK]
    assert any(b"post_only_per_minute" in one for one in reasons)
