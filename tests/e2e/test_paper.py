"""Paper mode: the venue's real feed, fills of the core in this process, nothing private leaves."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.tape import Record
from openmm.events import StreamGapped
from openmm.journal import read_balance
from openmm.settlement.report import load_report
from tests.e2e.checker import check
from tests.e2e.desk import Desk, options

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
GRID = {"spread": "1bps", "vol_factor": "0", "depth_factor": "0%", "inventory_widen": "0%"}
FEES = {"maker_fee": "0%", "taker_fee": "0.1%"}
CLOSED = "ws://127.0.0.1:1/v2"


def test_paper_fills_in_this_process_and_asks_the_venue_nothing_private(tmp_path: Path) -> None:
    private: list[str] = []

    async def scenario() -> Desk:
        desk = Desk(
            tmp_path, options(), mode="paper", strategy=GRID, venue=FEES, with_keys=False,
            ws_auth=CLOSED,
        )  # fmt: skip
        asked = desk.server.rest.answer

        def watched(*request: object) -> tuple[int, bytes]:
            if "/private/" in str(request[1]):
                private.append(str(request[1]))
            return asked(*request)  # type: ignore[arg-type]

        desk.server.rest.answer = watched  # type: ignore[method-assign, assignment]
        async with desk:
            counters = desk.engine.step.counters
            await desk.until(lambda: counters.fills >= 3, "fills on paper")
            assert desk.sockets(private=True) == []
            assert desk.venue_orders() == []
            (public,) = desk.sockets(private=False)
            assert public.pipe is not None
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert private == []
    assert desk.server.core.orders(desk.account) == []
    assert desk.statement["fills"] == []

    records = desk.journal()
    checker = check(records)
    assert checker.found == []
    assert len(checker.fills) >= 3
    # What the paper venue states at the end is opening plus every booked fill: the checker compared
    # it; and it is what the report tells.
    closing = {
        balance.asset: balance.total
        for balance in (read_balance(r.payload) for r in records if r.kind == Record.REC_BALANCE)
        if balance.kind == "closing"
    }
    session = json.loads((tmp_path / "desk" / "session.json").read_text())
    report = load_report(session["store"])
    assert report.session.mode == "paper"
    assert report.volume.fills == len(checker.fills)
    assert closing.keys() == {"BTC", "USD"}
    for asset, total in closing.items():
        assert report.inventory[asset].closing == total
        assert report.inventory[asset].difference == Decimal(0)


def test_gap_of_the_paper_venues_private_stream_is_made_good(tmp_path: Path) -> None:
    async def scenario() -> tuple[bool, int]:
        desk = Desk(
            tmp_path, options(), mode="paper", strategy=GRID, venue=FEES, with_keys=False,
            ws_auth=CLOSED,
        )  # fmt: skip
        async with desk:
            engine = desk.engine
            pipeline = engine.tables.pipeline
            await desk.until(lambda: pipeline.table.live_count > 0, "quotes on paper")
            gap = StreamGapped("executions", 7, 9)
            engine._running.handle(engine.step.on_events([gap], engine._clock.now_ns()))
            lost = not pipeline.stream_live
            await desk.until(lambda: pipeline.stream_live, "the stream to come back")
            await desk.until(lambda: pipeline.table.live_count > 0, "quotes on paper again")
        return lost, engine.exit_code

    assert asyncio.run(scenario()) == (True, 0)
