"""What is told of a running bot is what its page and the bot itself say."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.control import Orders, Status, looks, send_command
from openmm.control.home import Home
from openmm.control.views import Fleet, look
from openmm.engine.rundir import RunDir, lock_bot
from openmm.errors import ControlError, TelemetryError
from openmm.telemetry import VERSION
from tests.control.conftest import BOT, Running
from tests.control.running import until


def now() -> int:
    return time.time_ns()


def test_every_look_at_a_running_bot_is_whole_and_json(running: Running) -> None:
    home = running.home
    for of in (
        looks.status, looks.book, looks.orders, looks.positions, looks.limits, looks.latency,
        looks.venues, looks.config,
    ):  # fmt: skip
        told = of(home, BOT, now())
        assert told["bot"] == BOT
        assert json.loads(json.dumps(told)) == told
    row = looks.bots(home, now())["bots"][0]
    assert (row["bot"], row["running"], row["page"]) == (BOT, True, "alive")
    assert (row["venue"], row["instrument"]) == ("kraken", "BTC/USD")
    assert Decimal(row["pnl"]["net"]) == (
        Decimal(row["pnl"]["realised"]) + Decimal(row["pnl"]["unrealised"])
        - Decimal(row["pnl"]["fees"])
    )  # fmt: skip


def test_a_book_marks_every_order_of_ours_with_what_is_left_of_it(running: Running) -> None:
    def agreed() -> bool:
        told = looks.book(running.home, BOT, now())
        live = send_command(RunDir(running.home.root, BOT), Orders())["orders"]
        ours = {
            (side, Decimal(one["price"])): Decimal(one["ours"])
            for side, name in (("buy", "bids"), ("sell", "asks"))
            for one in told[name]
            if one["ours"] is not None
        }
        wanted: dict[tuple[str, Decimal], Decimal] = {}
        for one in live:
            key = (one["side"], Decimal(one["price"]))
            left = Decimal(one["qty"]) - Decimal(one["filled"])
            wanted[key] = wanted.get(key, Decimal(0)) + left
        return len(ours) >= 2 and ours == wanted

    # A page is up to a tenth of a second old, in which orders may move.
    until(agreed, "book and bot tell the same orders")
    told = looks.book(running.home, BOT, now())
    bids = [Decimal(one["price"]) for one in told["bids"]]
    asks = [Decimal(one["price"]) for one in told["asks"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert max(bids) < min(asks)


def test_limits_are_the_files_and_the_ones_in_force(running: Running) -> None:
    told = {one["limit"]: one for one in looks.limits(running.home, BOT, now())["limits"]}
    in_force = send_command(RunDir(running.home.root, BOT), Status())["limits"]
    most = told["risk.max_open_notional"]
    assert (most["file"], most["in_force"]) == ("20000", in_force["max_open_notional"])
    assert most["unit"] == "USD"
    assert 0 < Decimal(most["share"]) < 1
    share = Decimal(most["used"]) / Decimal(most["in_force"])
    assert abs(Decimal(most["share"]) - share) < Decimal("0.000001")
    held = looks.positions(running.home, BOT, now())
    assert held["max_inventory"] == "0.5"
    worth = [Decimal(one["value"]) for one in held["balances"]]
    assert abs(sum(worth) - Decimal(held["equity"])) < 1


def test_the_configuration_is_the_files_without_its_secrets(running: Running) -> None:
    told = looks.config(running.home, BOT, now())
    assert told["config"]["strategy.spread"] == "0.02%"
    assert told["config"]["risk.max_drawdown"] == "2%"
    assert told["changed"] == {}
    assert running.sim["api_secret"] not in json.dumps(told)


def test_a_bot_that_is_not_there_is_told_with_those_that_are(running: Running) -> None:
    with pytest.raises(ControlError, match=BOT) as told:
        looks.status(running.home, "nobody", now())
    assert told.value.code == "unknown_bot"
    hidden = running.home.of(("another",))
    assert looks.bots(hidden, now())["bots"] == []
    with pytest.raises(ControlError):
        looks.status(hidden, BOT, now())


def test_a_page_of_another_build_is_told_and_hides_nobody(tmp_path: Path, running: Running) -> None:
    home = Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")
    for name in ("absent", "older", "torn"):
        RunDir(tmp_path, name).make()
        lock_bot(RunDir(tmp_path, name)).close()
    page = bytearray(RunDir(running.home.root, BOT).page.read_bytes())
    page[8] = VERSION + 1
    RunDir(tmp_path, "older").page.write_bytes(page)
    RunDir(tmp_path, "torn").page.write_bytes(page[:1000])
    RunDir(tmp_path, "torn").session.write_text("{")
    rows = {one["bot"]: one for one in looks.bots(home, now())["bots"]}
    assert rows["absent"]["page"] == "absent"
    assert f"version {VERSION + 1}" in rows["older"]["page_error"]
    assert "damaged" in rows["torn"]["error"]
    with pytest.raises(ControlError) as told:
        looks.book(home, "older", now())
    assert told.value.code == "no_page"


def test_a_fleet_keeps_few_pages_open_and_follows_new_ones(
    running: Running, tmp_path: Path
) -> None:
    live = RunDir(running.home.root, BOT).page
    body = live.read_bytes()
    fleet = Fleet(pages_max=2)
    try:
        for number in range(4):
            other = tmp_path / f"{number}.page"
            other.write_bytes(body)
            assert fleet.read(other).bot == BOT
        assert len(fleet._readers) == 2
        replaced = tmp_path / "3.page"
        fresh = tmp_path / "fresh"
        fresh.write_bytes(live.read_bytes())
        fresh.rename(replaced)
        older = fleet.read(tmp_path / "2.page").heartbeat_ns
        assert fleet.read(replaced).heartbeat_ns >= older
        with pytest.raises(TelemetryError):
            fleet.read(tmp_path / "none.page")
        first = look(RunDir(running.home.root, BOT), now(), fleet)
        assert first.page is not None
    finally:
        fleet.close()
    assert not fleet._readers
