"""An exception that compiled code can only print: the bot cancels everything and halts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.checks import RiskState
from openmm._fast.tape import Record
from openmm.engine.traffic import Traffic
from openmm.journal import read_incident
from tests.e2e.desk import Desk, options

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_exception_inside_compiled_code_halts_the_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    deliver = Traffic.deliver_paper
    broken: list[bool] = []

    def planted(self: Traffic, messages: Sequence[bytes]) -> None:
        deliver(self, messages)
        if broken:
            broken.clear()
            # Called from `send_c`, which is `noexcept`.
            raise RuntimeError("planted in the transport")

    monkeypatch.setattr(Traffic, "deliver_paper", planted)

    async def scenario() -> Desk:
        desk = Desk(
            tmp_path, options(), mode="paper", with_keys=False,
            venue={"maker_fee": "0%", "taker_fee": "0.1%"},
        )  # fmt: skip
        async with desk:
            engine = desk.engine
            table = engine.tables.pipeline.table
            await desk.until(lambda: table.live_count == 4, "a ladder on paper")
            broken.append(True)
            engine.tables.pipeline.withdraw(engine._clock.now_ns())
            await engine.wait(30)
            assert engine.tables.monitor.state is RiskState.HALTED
            assert "unraisable exception in compiled code" in engine.stop_reason
        return desk

    desk = asyncio.run(scenario())
    assert [str(one.exc_value) for one in told] == ["planted in the transport"]
    assert desk.engine.exit_code == 1
    assert desk.engine.tables.pipeline.table.live_count == 0
    texts = [
        read_incident(one.payload).text for one in desk.journal() if one.kind == Record.REC_INCIDENT
    ]
    assert any("planted in the transport" in text for text in texts)
    assert sys.unraisablehook == told.append
