"""A session over real sockets, at a venue that replays a recording, is its backtest exactly."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.cli.main import main
from tests.e2e.desk import Desk, options

pytestmark = pytest.mark.timeout(120)
GRID = {
    "spread": "1.5bps", "level_step": "1bps", "num_orders": 3, "vol_factor": "0",
    "depth_factor": "0%", "inventory_widen": "0%",
}  # fmt: skip
Capture = pytest.CaptureFixture[str]


def test_a_session_over_sockets_is_reproduced_exactly(
    tmp_path: Path, shared: Path, capsys: Capture
) -> None:
    recording = shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz"
    sim = options(
        replay=recording, at_end="loop", speed=Decimal(20), latency_ns=2_000_000, jitter_ns=500_000
    )

    async def scenario() -> None:
        async with Desk(tmp_path, sim, strategy=GRID, venue={"depth": 25}) as desk:
            counters = desk.engine.step.counters
            await desk.until(lambda: counters.fills >= 5, "fills")
        assert desk.engine.exit_code == 0

    asyncio.run(scenario())
    (journal,) = (tmp_path / "desk" / "journal").iterdir()
    assert main(["drift", str(journal), "--orders", "100", "--fills", "100", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["own_orders_in_book"] is False
    assert told["orders"]["session"] > 20
    assert told["fills"]["session"] >= 5
    for name in ("orders", "fills"):
        assert told[name]["exact"] == told[name]["session"] == told[name]["expected"]
    assert told["drawn"] == 0
    assert told["exact"] is True
    assert told["pnl"]["got"] == told["pnl"]["expected"]
