"""Exports: exact, whole, readable by a spreadsheet without harm, and adding up to the ledger."""

from __future__ import annotations

import csv
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.tape import Record
from openmm.errors import LedgerError
from openmm.settlement.booking import Booker
from openmm.settlement.export import export, iso, safe, sessions_of
from openmm.settlement.report import load_report
from openmm.settlement.store import Store, metadata
from tests.settlement.made import T0, RecordTuple, Tape, hand_made

D = Decimal
Database = Callable[[str], str]


def book(url: str, records: list[RecordTuple], session_id: str = "s-1") -> None:
    store = Store(url)
    booker = Booker(store, session_id)
    booker.apply(records)
    booker.commit()
    store.close()


def with_third_asset() -> list[RecordTuple]:
    """The hand-made session; one fill pays its fee in a third asset, a deposit costs one."""
    out = []
    for record in hand_made():
        payload = record[4].replace(
            b'"amount":"0.03","asset":"USD"', b'"amount":"2.5","asset":"KFEE"'
        )
        if record[1] == Record.REC_BALANCE and b"deposit" in payload:
            payload = payload.replace(b'"fee":"0"', b'"fee":"0.25"')
        out.append((*record[:4], payload))
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_table_is_written_whole_and_exact(database: Database, tmp_path: Path) -> None:
    url = database("store")
    book(url, hand_made())
    told: list[tuple[str, int, int]] = []
    files = export(url, ["s-1"], tmp_path / "out", "csv", lambda *one: told.append(one))
    assert {one.table for one in files} == {*metadata.tables, "trades"}
    assert {one.path.name for one in files} == {p.name for p in (tmp_path / "out").iterdir()}
    store = Store(url, create=False)
    with store.engine.connect() as connection:
        for name, table in metadata.tables.items():
            count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            rows = rows_of(tmp_path / "out" / f"{name}.csv")
            assert len(rows) == count == next(f.rows for f in files if f.table == name), name
    store.close()
    assert {name for name, _, _ in told} == {one.table for one in files}
    fill = rows_of(tmp_path / "out" / "fill.csv")[0]
    assert (fill["ts_time"], fill["side_name"]) == ("2025-11-24T16:00:01.000000000Z", "buy")
    assert D(fill["price"]) == D("49999.0")
    assert (D(fill["qty"]), D(fill["quote"])) == (D("0.01"), D("499.99"))
    order = rows_of(tmp_path / "out" / "order.csv")[0]
    assert (order["state_name"], D(order["placed"])) == ("filled", D("0.01"))
    posting = rows_of(tmp_path / "out" / "posting.csv")[0]
    assert (posting["asset"], D(posting["amount"])) == ("BTC", D(1))


def test_trades_add_up_to_the_ledger(database: Database, tmp_path: Path) -> None:
    url = database("store")
    book(url, with_third_asset())
    export(url, ["s-1"], tmp_path)
    rows = rows_of(tmp_path / "trades.csv")
    moved: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        for part in ("base", "quote"):
            if row[f"{part}_asset"]:
                moved[row[f"{part}_asset"]] += D(row[f"{part}_amount"])
        if row["fee_asset"]:
            moved[row["fee_asset"]] -= D(row["fee_amount"])
    report = load_report(url)
    assert set(moved) == {"BTC", "USD", "KFEE"}
    for asset, held in report.inventory.items():
        assert moved[asset] == held.closing - held.opening, asset
    kinds = [row["kind"] for row in rows]
    assert kinds == ["trade", "trade", "trade", "trade", "deposit", "fee"]
    first = rows[0]
    assert (first["venue"], first["pair"], first["side"]) == ("kraken", "BTC/USD", "buy")
    assert (D(first["base_amount"]), D(first["quote_amount"])) == (D("0.01"), D("-499.99"))
    assert (D(first["fee_amount"]), first["fee_asset"], first["role"]) == (
        D("0.05"),
        "USD",
        "maker",
    )
    assert (first["execution_id"], first["order_id"], first["client_id"]) == ("E1", "O512", "c512")
    assert rows[2]["fee_amount"].startswith("-"), "a rebate keeps its sign"


def test_parquet_holds_the_same_values(database: Database, tmp_path: Path) -> None:
    url = database("store")
    book(url, with_third_asset())
    export(url, ["s-1"], tmp_path, "csv")
    export(url, ["s-1"], tmp_path, "parquet")
    for name in ("trades", "fill", "touch", "session"):
        told = rows_of(tmp_path / f"{name}.csv")
        table = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet")
        assert table.column_names == list(told[0])
        for mine, theirs in zip(table.to_pylist(), told, strict=True):
            for key, value in mine.items():
                if isinstance(value, Decimal):
                    assert value == D(theirs[key]), key
                elif isinstance(value, int | str):
                    assert safe(value) == theirs[key], key
    fills = pyarrow.parquet.read_table(tmp_path / "fill.parquet")
    assert fills.column("ts_time").cast("int64").to_pylist()[0] == T0 + 1_000_000_000


def test_sessions_of_one_bot_go_together(database: Database, tmp_path: Path) -> None:
    url = database("store")
    book(url, hand_made())
    book(url, hand_made("s-2", "other"), "s-2")
    assert sessions_of(url, "grid", None) == ["s-1"]
    assert sessions_of(url, None, None) == ["s-1", "s-2"]
    export(url, ["s-1", "s-2"], tmp_path)
    assert [row["session"] for row in rows_of(tmp_path / "trades.csv")] == ["s-1"] * 5 + ["s-2"] * 5
    for bot, session in (("none", None), (None, "s-9")):
        with pytest.raises(LedgerError, match="no session"):
            sessions_of(url, bot, session)


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x"]
)
def test_formula_becomes_text(text: str) -> None:
    assert safe(text) == f"'{text}"


@given(st.text(max_size=12))
def test_no_text_begins_a_formula(text: str) -> None:
    told = safe(text)
    assert told.lstrip("'") == text.lstrip("'")
    begins = told.lstrip(" \t\r\n\x00\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")[:1]
    assert begins not in "=+@" or not begins


def test_numbers_stay_numbers() -> None:
    assert [safe(value) for value in (D("-0.10"), D("1E-9"), -7, None, "-12.5", "0x-1")] == [
        "-0.10", "0.000000001", "-7", "", "-12.5", "0x-1",
    ]  # fmt: skip
    assert iso(1) == "1970-01-01T00:00:00.000000001Z"


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openmm.settlement.export.ROWS_AT_ONCE", 50)
    peaks = []
    for fills in (200, 1_600):
        tape = Tape()
        tape.session("s-1")
        for n in range(fills):
            tape.fill(n, f"E{n}", 512, 1 + n % 2, 500_000, 1000, "0.0001", 500_000_000_000)
        url = str(tmp_path / f"{fills}.sqlite")
        book(url, tape.records)
        export(url, ["s-1"], tmp_path / "warm")
        tracemalloc.start()
        export(url, ["s-1"], tmp_path / str(fills))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], "eight times the rows, the same memory"


def test_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    url = str(tmp_path / "store.sqlite")
    book(url, hand_made())
    (tmp_path / "file").write_text("here")
    with pytest.raises(LedgerError, match="cannot write"):
        export(url, ["s-1"], tmp_path / "file")
    with pytest.raises(LedgerError, match="known formats"):
        export(url, ["s-1"], tmp_path, "xlsx")


def test_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "store.sqlite")
    book(url, hand_made())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LedgerError, match=r"openmm-engine\[research\]") as found:
        export(url, ["s-1"], tmp_path, "parquet")
    assert found.value.code == "no_driver"


def test_addresses_of_sessions_booked_before_lose_what_opens_doors(
    database: Database, tmp_path: Path
) -> None:
    url = database("store")
    book(url, hand_made())
    config = (
        '{"settlement": {"store": "postgresql+psycopg://me:hush@db/books"},'
        ' "risk": {"webhook": "https://hooks.example/T0/hush"}}'
    )
    store = Store(url)
    with store.begin() as connection:
        connection.execute(sa.update(metadata.tables["session"]).values(config=config))
    store.close()
    export(url, ["s-1"], tmp_path / "out")
    [row] = rows_of(tmp_path / "out" / "session.csv")
    assert "hooks.example" in row["config"]
    assert not [path for path in (tmp_path / "out").iterdir() if b"hush" in path.read_bytes()]
