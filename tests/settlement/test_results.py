"""Costs, transfers and adjustments: once each, by name, and P&L in another currency."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from openmm import journal
from openmm._fast.tape import Record
from openmm.engine.commands import Cost
from openmm.errors import CommandError
from openmm.events import BalanceUpdated
from openmm.journal import SessionRecord
from openmm.settlement import store as tables
from openmm.settlement.booking import Booker
from openmm.settlement.report import Report, load_report
from openmm.settlement.store import Store
from tests.settlement.made import BUY, MS, PAIR, SELL, T0, RecordTuple, Tape, hand_made
from tests.settlement.stream import RATE

D = Decimal


def book(path: Path, records: list[RecordTuple], session_id: str = "s-1") -> Report:
    store = Store(str(path))
    booker = Booker(store, session_id)
    booker.apply(records)
    booker.commit()
    store.close()
    return load_report(str(path), session_id)


def opened(tape: Tape, session_id: str = "s-1", currency: str | None = None) -> None:
    settlement = {} if currency is None else {"settlement": {"currency": currency}}
    config = {"venue": [{"label": "kraken"}, {"label": "rate"}], **settlement}
    record = SessionRecord(session_id, "grid", "paper", "kraken", "BTC/USD", "b", T0, config, {})
    tape.add(Record.REC_SESSION, 0, journal.session_record(record))
    tape.add(Record.REC_INSTRUMENT, 0, journal.instrument_record(PAIR))
    tape.add(Record.REC_INSTRUMENT, 0, journal.instrument_record(RATE), 1)
    tape.balance(0, "BTC", "1.0000000000", "opening")
    tape.balance(0, "USD", "100000.0000", "opening")


def cost(tape: Tape, at_ms: int, asset: str, amount: str, ref: str, name: str = "gas") -> None:
    payload = journal.cost_record(asset, D(amount), ref, name, "wallet:base", T0 + at_ms * MS)
    tape.add(Record.REC_BALANCE, at_ms, payload)


def traded(tape: Tape) -> None:
    tape.fill(1_000, "E1", 0, BUY, 499_990, 1_000_000, "0.05", 500_000_000_000)
    tape.fill(2_000, "E2", 0, SELL, 500_010, 1_000_000, "-0.01", 500_000_000_000)


def test_cost_is_booked_once_however_often_it_is_told(tmp_path: Path) -> None:
    tape = Tape()
    opened(tape)
    traded(tape)
    cost(tape, 3_000, "USD", "0.25", "0xaa")
    cost(tape, 3_500, "USD", "0.25", "0xaa")  # told again
    cost(tape, 4_000, "USD", "0.5", "0xbb", "hedge")
    tape.balance(5_000, "BTC", "1.0000000000", "closing")
    tape.balance(5_000, "USD", "99999.9800", "closing")
    report = book(tmp_path / "s.sqlite", tape.records)
    assert report.costs == {"gas": {"USD": D("0.25")}, "hedge": {"USD": D("0.5")}}
    assert report.pnl.costs == D("0.75")
    assert report.pnl.net == D("0.02") - D("0.04") - D("0.75")
    assert report.inventory["USD"].difference == 0, "the venue's account did not pay"
    assert [one.kind for one in report.incidents] == ["doubled_cost"]
    assert [(one.name, one.ref, one.amount) for one in report.movements] == [
        ("gas", "0xaa", D("-0.25")), ("hedge", "0xbb", D("-0.5")),
    ]  # fmt: skip
    assert report.by_cause is not None
    assert report.by_cause.unexplained == 0
    assert report.by_cause.venues["wallet:base"].costs == D("0.75")
    # The one who posts it tries again, and the bot has been started anew meanwhile.
    later = Tape()
    opened(later, "s-2")
    cost(later, 1_000, "USD", "0.25", "0xaa")
    cost(later, 1_000, "USD", "0.125", "0xcc")
    again = book(tmp_path / "s.sqlite", later.records, "s-2")
    assert again.costs == {"gas": {"USD": D("0.125")}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"asset": ""}, "asset of a cost"), ({"amount": "0"}, "not 0"), ({"amount": "x"}, "not 0"),
        ({"amount": "NaN"}, "not 0"), ({"amount": "1e9"}, "at most"), ({"ref": ""}, "ref of"),
        ({"name": "Gas!"}, "name of"), ({"account": "venue:kraken"}, "account of"),
    ],
)  # fmt: skip
def test_cost_that_will_not_do_is_refused_by_name(change: dict[str, str], text: str) -> None:
    good = {"asset": "ETH", "amount": "0.002", "ref": "0xab", "name": "gas", "account": "wallet:a"}
    assert Cost(**good).checked() == D("0.002")
    with pytest.raises(CommandError, match=text):
        Cost(**good | change).checked()


def test_transfers_and_adjustments_are_no_profit(tmp_path: Path) -> None:
    tape = Tape()
    opened(tape)
    traded(tape)
    plain = book(tmp_path / "plain.sqlite", list(tape.records))
    tape.balance(3_000, "USD", "0", "deposit", "500")
    # Two without a reference are two.
    for _ in range(2):
        event = BalanceUpdated("USD", D(0), D(-10), D(0), "withdrawal", "", T0)
        tape.add(Record.REC_BALANCE, 3_100, journal.balance_record(event))
    tape.balance(3_200, "BTC", "0", "adjustment", "-0.0000000001")
    event = BalanceUpdated("USD", D(0), D("-2"), D("0.5"), "foreign_fill", "X1", T0)
    tape.add(Record.REC_BALANCE, 3_300, journal.balance_record(event))
    report = book(tmp_path / "s.sqlite", tape.records)
    assert report.pnl == plain.pnl
    assert report.by_cause == plain.by_cause
    assert report.fees == plain.fees, "another's fee is none of ours"
    assert report.inventory["USD"].transfers == D("477.5")
    assert report.inventory["BTC"].transfers == D("-0.0000000001")
    assert [(one.kind, one.name) for one in report.movements] == [("adjustment", "ref-3200")]


def test_no_rate_is_guessed(tmp_path: Path) -> None:
    tape = Tape()
    opened(tape, currency="USDT")
    traded(tape)
    report = book(tmp_path / "without.sqlite", list(tape.records))
    assert report.reporting.unknown == ("USD",)
    assert report.reporting.net is None
    missing = journal.MISSING
    tape.add(Record.REC_SAMPLE, 2_100, journal.sample_record(79_999, 80_001, missing, missing), 1)
    # A book that is broken has no price: the last one stays.
    tape.add(Record.REC_SAMPLE, 2_200, journal.sample_record(missing, missing, missing, missing), 1)
    cost(tape, 3_000, "ETH", "0.001", "0xaa")
    report = book(tmp_path / "with.sqlite", tape.records)
    told = report.reporting
    assert told.rates["USD"].rate == D("1.25"), "1 / 0.8"
    assert told.rates["USD"].by == "USDT/USD of rate"
    assert (told.total, told.fees, told.net) == (D("0.025"), D("0.05"), D("-0.025"))
    assert told.spread == D("0.025")
    assert told.unknown == ("ETH",)
    assert report.pnl.unvalued_costs == ("ETH",)
    assert report.costs == {"gas": {"ETH": D("0.001")}}


def test_fees_in_a_third_asset_are_valued_at_its_rate(tmp_path: Path) -> None:
    tape = Tape()
    opened(tape)
    missing = journal.MISSING
    tape.add(Record.REC_SAMPLE, 500, journal.sample_record(79_999, 80_001, missing, missing), 1)
    traded(tape)
    cost(tape, 3_000, "USDT", "0.1", "0xaa")
    report = book(tmp_path / "s.sqlite", tape.records)
    assert report.pnl.costs == D("0.08")
    assert report.by_cause is not None
    assert report.by_cause.total.costs == D("0.08")


def _without_sums(path: Path) -> None:
    """Take away what this version of the schema brought."""
    engine = sa.create_engine(f"sqlite:///{path}")
    new = ("account_total", "movement", "statement", "traded", "position", "lot", "cause",
           "markout", "charge", "rate")  # fmt: skip
    with engine.begin() as connection:
        for name in new:
            connection.execute(sa.text(f"DROP TABLE {name}"))
        for column in ("level", "arrived_ns"):
            connection.execute(sa.text(f"ALTER TABLE fill DROP COLUMN {column}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))
        connection.execute(sa.text("UPDATE progress SET state = json_remove(state, '$.marked')"))
    engine.dispose()


@pytest.mark.parametrize("cut", [30, len(hand_made())])
def test_store_without_sums_gets_them_and_goes_on(tmp_path: Path, cut: int) -> None:
    whole = book(tmp_path / "whole.sqlite", hand_made())
    path = tmp_path / "old.sqlite"
    book(path, hand_made()[:cut])
    _without_sums(path)
    found = book(path, hand_made())
    assert whole.by_cause is not None
    assert found.by_cause is None, "what was not kept is not made up"
    for name in ("volume", "pnl", "fees", "spread_captured", "inventory", "orders"):
        assert getattr(found, name) == getattr(whole, name), name
    ours, theirs = (_sums(tmp_path / f"{name}.sqlite") for name in ("old", "whole"))
    assert ours == theirs


def _sums(path: Path) -> dict[str, list[tuple[object, ...]]]:
    engine = sa.create_engine(f"sqlite:///{path}")
    out = {}
    with engine.connect() as connection:
        for table in (tables.account_total, tables.traded, tables.position, tables.lot,
                      tables.statement):  # fmt: skip
            statement = sa.select(table).order_by(*table.primary_key.columns)
            out[table.name] = [tuple(row) for row in connection.execute(statement)]
    engine.dispose()
    return out
