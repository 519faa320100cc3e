"""Sums stay within one currency; an account that two bots share counts once."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm.control import looks
from openmm.control.home import Home
from openmm.control.portfolio import portfolio
from openmm.engine.rundir import RunDir, lock_bot
from openmm.telemetry import TelemetrySnapshot, TelemetryWriter

NOW = 1_800_000_000_000_000_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")


def put(home: Home, name: str, quote: str, equity: int, rest: str) -> None:
    run_dir = RunDir(home.root, name).make()
    lock_bot(run_dir).close()
    page = TelemetrySnapshot(
        session=f"{name}-1", bot=name, mode="live", pid=1, started_ns=NOW, heartbeat_ns=NOW,
        instrument=f"BTC/{quote}", base="BTC", quote=quote, tick_size=Decimal("0.1"),
        lot_size=Decimal("0.01"), risk_state=1, base_lots=150, equity_ticklots=equity * 1000,
        realised_ticklots=2_500, fees_ticklots=500, quote_ticklots=7_000,
    )  # fmt: skip
    writer = TelemetryWriter(run_dir.page)
    writer.publish(page)
    writer.publish(replace(page, heartbeat_ns=NOW + 1))
    writer.close()
    venue = {"label": "kraken", "quote": f"BTC/{quote}", "endpoints": {"rest": rest}}
    run_dir.session.write_text(
        json.dumps({"session": f"{name}-1", "mode": "live", "config": {"venue": [venue]}})
    )


def test_currencies_stand_apart_and_a_shared_account_counts_once(home: Home) -> None:
    put(home, "a", "USD", 100, "http://127.0.0.1:1")
    put(home, "b", "USD", 100, "http://127.0.0.1:1")
    put(home, "c", "USD", 40, "http://127.0.0.1:2")
    put(home, "d", "USDT", 7, "http://127.0.0.1:3")
    told = portfolio(home, NOW)
    sums = {one["currency"]: one for one in told["by_currency"]}
    assert sums.keys() == {"USD", "USDT"}
    assert Decimal(sums["USD"]["equity"]) == 140
    assert Decimal(sums["USDT"]["equity"]) == 7
    # What each bot earned is its own, on whatever account.
    assert Decimal(sums["USD"]["net"]) == 3 * Decimal("2.0")
    assert told["shared"] == ["b is on the account of a"]
    held = {one["asset"]: Decimal(one["total"]) for one in told["holdings"]}
    assert held == {"BTC": Decimal("4.5"), "USD": Decimal(14), "USDT": Decimal(7)}
    assert {one["bot"] for one in told["window"]["missing"]} == {"a", "b", "c", "d"}
    assert {one["code"] for one in told["window"]["missing"]} == {"no_store"}
    looks.FLEET.close()
