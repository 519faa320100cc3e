"""Records are the ledger's and the journal's: figures equal the report's, to the last digit."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from decimal import Decimal

import pytest

from openmm.control import records
from openmm.control.home import Home
from openmm.control.portfolio import portfolio
from openmm.engine.rundir import RunDir, lock_bot
from openmm.errors import ControlError, LedgerError
from openmm.settlement.report import load_report
from tests.control.conftest import BOT, FILLS, Running
from tests.control.running import until


@pytest.fixture(scope="module")
def home(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The running bot's ledger and journal as they are at one moment: nothing moves while read."""
    root = tmp_path_factory.mktemp("records")
    live, still = RunDir(running.home.root, BOT), RunDir(root, BOT).make()
    until(lambda: booked(live) >= FILLS, "the fills are booked")
    lock_bot(still).close()
    with (
        closing(sqlite3.connect(live.store)) as source,
        closing(sqlite3.connect(still.store)) as to,
    ):
        source.backup(to)
    shutil.copytree(live.journal, still.journal, dirs_exist_ok=True)
    session = live.read_session() | {"store": f"sqlite:///{still.store}"}
    still.session.write_text(json.dumps(session))
    return Home(root, root / ".control", root / "clients.toml")


def booked(run_dir: RunDir) -> int:
    try:
        return load_report(records.store_of(run_dir), bot=BOT).volume.fills
    except LedgerError:
        return 0


def now() -> int:
    return time.time_ns()


def test_pnl_is_the_reports(home: Home) -> None:
    told = records.pnl(home, BOT, now())
    whole = load_report(records.store_of(RunDir(home.root, BOT)), bot=BOT).to_json()
    for part in ("pnl", "by_cause", "reporting", "fees", "costs", "volume"):
        assert told[part] == whole[part], part
    assert records.report(home, BOT, now()) == whole
    # One session, all of it within the hours: its window is the session.
    window = told["window"]["by_asset"]["USD"]
    for cause in records.CAUSES:
        assert Decimal(window[cause]) == Decimal(whole["by_cause"]["total"][cause]), cause
    assert window["fills"] == whole["volume"]["fills"] >= FILLS
    parts = ("spread", "adverse", "drift", "unsplit")
    assert sum(Decimal(window[one]) for one in parts) == Decimal(window["total"])


def test_fills_add_up_to_the_reports_volume_and_fees(home: Home) -> None:
    told = records.fills(home, BOT, now(), limit=500)
    whole = load_report(records.store_of(RunDir(home.root, BOT)), bot=BOT)
    assert len(told["fills"]) == told["count"] == whole.volume.fills
    assert sum(Decimal(one["notional"]) for one in told["fills"]) == whole.volume.quote
    for side, part in (("buy", whole.volume.buys), ("sell", whole.volume.sells)):
        mine = [one for one in told["fills"] if one["side"] == side]
        assert sum((Decimal(one["qty"]) for one in mine), Decimal(0)) == part.base
    fees = sum(Decimal(one["fees"].get("USD", 0)) for one in told["fills"])
    assert fees == whole.fees.get("USD", Decimal(0))
    times = [one["ts_ns"] for one in told["fills"]]
    assert times == sorted(times, reverse=True)
    two = records.fills(home, BOT, now(), limit=2)
    assert two["fills"] == told["fills"][:2]
    assert two["more"] == told["count"] - 2
    later = records.fills(home, BOT, now() + 10 * records.HOUR_NS, hours="1")
    assert later["fills"] == []


def test_an_order_is_told_with_transitions_evidence_and_fills(home: Home) -> None:
    fill = records.fills(home, BOT, now())["fills"][0]
    told = records.order(home, BOT, now(), fill["client_id"])
    assert told["client_id"] == fill["client_id"]
    assert told == records.order(home, BOT, now(), fill["venue_order_id"])
    assert told == records.order(home, BOT, now(), str(fill["order"]))
    assert fill["exec_id"] in [one["exec_id"] for one in told["fills"]]
    assert sum(Decimal(one["qty"]) for one in told["fills"]) == Decimal(told["filled"])
    assert told["transitions"]
    assert all(one["evidence"] for one in told["transitions"])
    for before, after in zip(told["transitions"], told["transitions"][1:], strict=False):
        assert before["ts_ns"] <= after["ts_ns"]
    with pytest.raises(ControlError) as missing:
        records.order(home, BOT, now(), "nobody")
    assert missing.value.code == "no_order"


def test_explain_tells_the_terms_and_every_check(home: Home) -> None:
    fill = records.fills(home, BOT, now())["fills"][-1]
    told = records.explain(home, BOT, now(), fill["client_id"])
    assert (told["seq"], told["side"]) == (fill["order"], fill["side"])
    placed = told["events"][0]
    assert placed["what"] == "place"
    assert Decimal(placed["terms"]["reference"]) > 0
    assert told["not_replayed"] == ""
    assert any(one["check"] == "max_open_notional" or "notional" in one["check"]
               for one in told["seen"][0]["checks"])  # fmt: skip
    with pytest.raises(ControlError) as missing:
        records.explain(home, BOT, now(), "nobody")
    assert missing.value.code == "no_order"


def test_incidents_and_states_are_told_newest_first(home: Home) -> None:
    told = records.incidents(home, BOT, now())
    whole = load_report(records.store_of(RunDir(home.root, BOT)), bot=BOT)
    assert len(told["events"]) == len(whole.incidents) + len(whole.risk_events)
    times = [one["ts_ns"] for one in told["events"]]
    assert times == sorted(times, reverse=True)


def test_a_ledger_is_not_written_to_and_holds_no_writer_up(home: Home) -> None:
    store = RunDir(home.root, BOT).store
    before = store.read_bytes()
    with closing(sqlite3.connect(store, timeout=0)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with records.reading(RunDir(home.root, BOT)) as connection:
            assert records.sessions_since(connection, BOT, 0)
            # Somebody reads, and the writer gets through.
            writer.execute("UPDATE session SET state = state")
            writer.rollback()
    records.pnl(home, BOT, now())
    assert store.read_bytes() == before
    with pytest.raises(LedgerError) as told:
        records.fills(_empty(home), "other", now())
    assert told.value.code == "no_store"


def _empty(home: Home) -> Home:
    root = home.root / "more"
    lock_bot(RunDir(root, "other").make()).close()
    return Home(root, root / ".control", root / "clients.toml")


def test_a_portfolio_adds_within_one_currency_and_names_what_it_could_not_read(
    running: Running,
) -> None:
    told = portfolio(running.home, now())
    [row] = told["by_currency"]
    [bot] = told["bots"]
    assert (row["mode"], row["currency"], row["bots"]) == ("live", "USD", [BOT])
    assert row["equity"] == bot["pnl"]["equity"]
    assert {one["asset"]: one["total"] for one in told["holdings"]} == {
        "BTC": bot["inventory"]["base"], "USD": bot["inventory"]["quote"],
    }  # fmt: skip
    [window] = told["window"]["by_currency"]
    assert window["fills"] >= FILLS
    assert told["window"]["missing"] == []
    assert told["rates"][0]["pair"] == "BTC/USD"
