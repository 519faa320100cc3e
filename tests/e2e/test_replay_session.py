"""A whole session on recorded frames: real processes, real sockets, checked from its journal."""

from __future__ import annotations

import json
import resource
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from openmm.journal import Journal, JournalRecord
from openmm.settlement.report import Report, load_report
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from tests.e2e.checker import Checker, check
from tests.e2e.programs import ask, bot_toml, openmm, simulator
from tests.oracles import pnl

CAPTURE = "data/kraken/v2_btcusd_d25_20260802.cbcap.gz"
SPAN_S = 50  # of the recording
SPEED = 2.5
ATOM = Decimal("1e-10")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Session:
    """One session that has ended, by every account of it."""

    exit_code: int
    end: dict[str, Any]
    statement: dict[str, Any]
    open_orders: Any
    journal: list[JournalRecord]
    folder: Path  # of the journal
    checker: Checker
    report: Report
    report_json: dict[str, Any]


@pytest.fixture(scope="module")
def session(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Run the bot over the recording, once for all tests of this file."""
    folder = tmp_path_factory.mktemp("replay")
    with simulator(
        "--replay", shared / CAPTURE, "--flow", "5", "--speed", str(SPEED), "--maker-fee", "0%",
        "--taker-fee", "0.1%", "--balance", "BTC=1", "--balance", "USD=65000",
    ) as sim:  # fmt: skip
        file = bot_toml(folder, sim, name="replay")
        done = openmm("run", file, "--for", f"{SPAN_S / SPEED + 1:g}s", "--json")
        assert done.stdout, done.stderr
        end = json.loads(done.stdout)
        statement = ask(sim["rest"], "/sim/statement")
        open_orders = ask(sim["rest"], "/sim/open-orders")
    (path,) = (folder / "runs" / "replay" / "journal").iterdir()
    journal = Journal(path)
    records = list(journal)
    assert (journal.tail.torn_bytes, journal.tail.lost_count) == (0, 0)
    told = openmm("report", "--run-dir", folder / "runs", "--bot", "replay", "--json")
    assert told.returncode == 0, told.stderr
    return Session(
        done.returncode, end, statement, open_orders, records, path, check(records),
        load_report(end["store"]), json.loads(told.stdout),
    )  # fmt: skip


def test_session_ends_well_with_nothing_open(session: Session) -> None:
    assert session.exit_code == 0
    assert session.end["open_orders"] == 0
    assert not session.open_orders
    assert session.statement["open_orders"] == 0
    assert session.report.session.state == "ended"
    assert session.report.session.open_order_count == 0


def test_every_ladder_intent_and_limit_follows_from_the_journal(session: Session) -> None:
    assert session.checker.found == []
    assert session.checker.ladders >= 20
    assert session.checker.placed >= 6
    assert session.checker.amended >= 10


def test_session_replays_identically_in_a_process_of_its_own(session: Session) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = openmm("replay", session.folder, "--json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["identical"]
    assert found["ended"]
    assert found["records"] == len(session.journal)
    assert found["orders"] >= 16
    assert found["states"] >= 2
    # The start of the process included, a recorded minute takes about 1.3 s of CPU.
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"replay of {SPAN_S} s of recording: {cpu_s:.2f} s of CPU")
    assert 0 < cpu_s * 60 / SPAN_S < 3


def test_every_fill_of_the_venue_is_booked_once(session: Session) -> None:
    venue = {fill["exec_id"]: fill for fill in session.statement["fills"]}
    ours = session.checker.fills
    assert len(venue) > 0
    assert venue.keys() == ours.keys()
    for exec_id, fill in ours.items():
        told = venue[exec_id]
        assert (fill.price_ticks, fill.qty_lots) == (told["price_ticks"], told["qty_lots"])
        assert {1: "buy", 2: "sell"}[fill.side] == told["side"]
        assert fill.cost == Decimal(told["cost"])
        assert sum(fee.amount for fee in fill.fees) == Decimal(told["fee"])
    assert session.report.volume.fills == len(venue)


def test_profit_is_the_venues_own_to_the_last_unit(session: Session) -> None:
    fills = session.statement["fills"]
    position = Decimal(0)
    cash = fees = Decimal(0)
    rows: list[pnl.Fill] = []
    for fill in fills:
        sign = 1 if fill["side"] == "buy" else -1
        qty = Decimal(fill["qty_lots"]).scaleb(-8)
        position += sign * qty
        cash -= sign * Decimal(fill["cost"])
        fees += Decimal(fill["fee"])
        atoms = int(Decimal(fill["cost"]) / ATOM)
        rows.append((1 if sign > 0 else 2, int(qty / ATOM), atoms))
    told = session.report.pnl
    assert told.position == position
    assert told.reference is not None
    value = (position * told.reference).quantize(ATOM, ROUND_FLOOR)
    assert told.total == cash + value
    assert told.fees == fees == 0
    assert told.net == cash + value - fees
    assert told.unrealised_average is not None
    assert told.realised_average + told.unrealised_average == told.total
    # Exact fractions against atoms: each closing fill may have rounded by one.
    exact, _, _ = pnl.average_cost(rows)
    assert abs(Fraction(int(told.realised_average / ATOM)) - exact) <= len(rows)


def test_balances_are_the_venues_own(session: Session) -> None:
    assert session.statement["assets"].keys() == session.report.inventory.keys()
    for asset, told in session.statement["assets"].items():
        ours = session.report.inventory[asset]
        assert ours.opening == Decimal(told["opening"])
        assert ours.closing == ours.venue == Decimal(told["closing"])
        assert ours.difference == 0
        assert Decimal(told["held"]) == 0


def test_report_tells_latency_percentiles_and_the_whole_session(session: Session) -> None:
    body = session.report_json
    latency = body["latency_ns"]
    assert "tick_to_order" in latency
    for part in latency.values():
        assert 0 <= part["p50"] <= part["p99"] <= part["p99_9"] <= part["max"]
    sent = latency["tick_to_order"]["count"]
    assert 0 < sent <= session.checker.ladders + body["orders"]["cancelled"]
    assert body["volume"]["fills"] == len(session.checker.fills)
    assert body["orders"]["placed"] == session.checker.placed
    assert body["session"]["record_count"] == len(session.journal)
    assert body["session"]["lost_record_count"] == 0
    assert Decimal(body["spread_captured"]["bps"]) > 0
    assert 0 < Decimal(body["fill_rate"]["by_order"]) <= 1
    assert body["incidents"] == []


def test_no_key_and_no_token_is_in_the_journal(session: Session) -> None:
    for record in session.journal:
        assert DEMO_KEY.encode() not in record.payload
        assert DEMO_SECRET.encode() not in record.payload
