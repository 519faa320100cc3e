"""Each record is booked once, whatever the batches, the restarts and the repeats."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm import journal
from openmm._fast.tape import Record
from openmm.errors import JournalError, LedgerError
from openmm.settlement.booking import Booker
from openmm.settlement.report import load_report
from openmm.settlement.store import SCHEMA_VERSION, Store, metadata
from tests.settlement.made import PAIR, T0, RecordTuple, hand_made

Database = Callable[[str], str]


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row but the writer's own mark."""
    out = {}
    with store.engine.connect() as connection:
        for name, table in metadata.tables.items():
            rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            out[name] = [tuple(row) for row in rows]
    return out


def booked(url: str, records: list[RecordTuple]) -> dict[str, list[tuple[Any, ...]]]:
    store = Store(url)
    booker = Booker(store, "s-1")
    booker.apply(records)
    booker.commit()
    found = contents(store)
    store.close()
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    """The store after one uninterrupted run."""
    return booked(str(tmp_path_factory.mktemp("store") / "whole.sqlite"), hand_made())


# Every example begins with an empty store.
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    lost=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_any_restarts_and_repeats_give_the_same_store(
    database: Database,
    expected: dict[str, list[tuple[Any, ...]]],
    cuts: list[int],
    lost: list[bool],
) -> None:
    records = hand_made()
    store = Store(database("cut"))
    with store.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(sa.delete(table))
    for cut, uncommitted in zip(sorted(cuts), lost, strict=False):
        booker = Booker(store, "s-1")
        booker.apply(records[: cut + 1])
        if not uncommitted:  # else: killed before the transaction
            booker.commit()
    booker = Booker(store, "s-1")
    booker.apply(records)
    booker.apply(records)
    booker.commit()
    booker.commit()
    found = contents(store)
    store.close()
    assert found == expected


@pytest.mark.parametrize("after", [0, 1])
def test_another_venues_pair_of_the_same_name_changes_nothing(
    database: Database, expected: dict[str, list[tuple[Any, ...]]], after: int
) -> None:
    watched = replace(
        PAIR,
        venue="other",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        price_decimals=2,
        qty_decimals=3,
    )
    records = hand_made()
    at = 1 + after
    told = (0, int(Record.REC_INSTRUMENT), 1, T0, journal.instrument_record(watched))
    records = [
        (number, *record[1:]) for number, record in enumerate([*records[:at], told, *records[at:]])
    ]
    # Killed between any two batches, it goes on with the right one.
    store = Store(database("s"))
    for cut in (2, 3, len(records)):
        booker = Booker(store, "s-1")
        booker.apply(records[:cut])
        booker.commit()
    found = contents(store)
    assert len(found["instrument"]) == 2
    assert found["asset"] == expected["asset"]
    store.close()
    booked(database("alone"), hand_made())
    mixed, alone = (load_report(database(name)) for name in ("s", "alone"))
    assert (mixed.pnl, mixed.volume) == (alone.pnl, alone.volume)
    for name in ("fill", "posting"):
        at = metadata.tables[name].columns.keys().index("record_index")
        mine, theirs = (
            [row[:at] + row[at + 1 :] for row in one[name]] for one in (found, expected)
        )
        assert mine == theirs


def test_lost_records_are_counted(database: Database) -> None:
    records = hand_made()
    store = Store(database("s"))
    booker = Booker(store, "s-1")
    booker.apply(records[:5] + records[9:])
    assert booker.lost_count == 4
    booker.commit()
    assert Booker(store, "s-1").lost_count == 4
    store.close()


def test_session_without_end_is_lost(database: Database) -> None:
    store = Store(database("s"))
    booker = Booker(store, "s-1")
    booker.apply(hand_made()[:-1])
    assert not booker.ended
    booker.mark_lost()
    booker.commit()
    row = contents(store)["session"][0]
    assert "lost" in row
    assert T0 + 10_000_000_000 in row
    store.close()


def test_batch_that_never_reached_the_wire_is_not_an_order(database: Database) -> None:
    # The encoder refused: intents, and then another kind of record without a write result.
    records = hand_made()
    intents = [place for place, r in enumerate(records) if r[1] == Record.REC_INTENT]
    first = records[: intents[1] + 1]
    frame = (len(first), int(Record.REC_FRAME), 0, T0 + 5, b"{}")
    found = booked(database("s"), [*first, frame])
    names = [column.name for column in metadata.tables["order"].columns]
    orders = [dict(zip(names, row, strict=True)) for row in found["order"]]
    assert [(o["seq"], o["unsent"], o["state"]) for o in orders] == [(512, 1, 9), (513, 1, 9)]


def test_fill_of_an_earlier_session_books_once(database: Database) -> None:
    path = database("s")
    booked(path, hand_made())
    store = Store(path)
    booker = Booker(store, "s-2")
    booker.apply(hand_made("s-2"))
    booker.commit()
    found = contents(store)
    store.close()
    assert len(found["fill"]) == 4
    kinds = [row[5] for row in found["incident"] if row[0] == "s-2"]
    assert kinds.count("doubled_fill") == 5


def test_same_ids_of_another_bot_are_other_fills(database: Database) -> None:
    path = database("s")
    booked(path, hand_made())
    store = Store(path)
    booker = Booker(store, "s-2")
    booker.apply(hand_made("s-2", "other"))
    booker.commit()
    found = contents(store)
    store.close()
    assert len(found["fill"]) == 8
    kinds = [row[5] for row in found["incident"] if row[0] == "s-2"]
    assert kinds.count("doubled_fill") == 1


@pytest.mark.parametrize("known", [True, False])
def test_recovered_fill_of_the_pair_traded_before_stops_no_writer(
    database: Database, known: bool
) -> None:
    path = database("s")
    if known:
        booked(path, hand_made())
    before = [journal.read_fill(r[4]) for r in hand_made() if r[1] == Record.REC_FILL]
    records = [r for r in hand_made("s-2") if r[1] == Record.REC_SESSION]
    other = replace(PAIR, name="ETH/USD", base="ETH")
    records.append(
        (1, int(Record.REC_INSTRUMENT), 0, T0, journal.instrument_record(other)),
    )
    recovered = journal.json_record(replace(before[0], seq=0))
    records.append((2, int(Record.REC_FILL), 0, T0, recovered))
    store = Store(path)
    booker = Booker(store, "s-2")
    booker.apply(records)
    booker.commit()
    found = contents(store)
    store.close()
    assert len(found["fill"]) == (4 if known else 0)
    told = [row[4:6] for row in found["incident"] if row[0] == "s-2"]
    assert told == ([] if known else [("critical", "unbooked_fill")])


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        (Record.REC_FILL, b"{}", JournalError),
        (Record.REC_TRANSITION, b"short", JournalError),
    ],
)
def test_record_that_cannot_be_booked_raises(
    database: Database, kind: Record, payload: bytes, error: type[Exception]
) -> None:
    store = Store(database("s"))
    with pytest.raises(error):
        Booker(store, "s-1").apply([(0, int(kind), 0, T0, payload)])
    store.close()


def test_fill_before_its_instrument_and_foreign_session_are_refused(database: Database) -> None:
    store = Store(database("s"))
    records = hand_made()
    fill = next(r for r in records if r[1] == Record.REC_FILL)
    with pytest.raises(LedgerError, match="pair without a record"):
        Booker(store, "s-1").apply([fill])
    with pytest.raises(LedgerError, match="'s-1' on the tape of 's-2'"):
        Booker(store, "s-2").apply(records)
    store.close()


def test_store_of_a_later_version_is_refused(database: Database) -> None:
    path = database("s")
    Store(path).close()
    store = Store(path)
    with store.begin() as connection:
        found = connection.execute(sa.text("select version_num from alembic_version")).scalar()
        assert found == SCHEMA_VERSION
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    store.close()
    with pytest.raises(LedgerError, match="version 9999"):
        Store(path)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerError, match="cannot open the store"):
        Store(str(path))


def test_schema_made_by_migration_is_the_one_declared(database: Database) -> None:
    store = Store(database("s"))
    inspector = sa.inspect(store.engine)
    for name, table in metadata.tables.items():
        found = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
        assert found == {column.name: column.nullable for column in table.columns}, name
        keys = inspector.get_pk_constraint(name)["constrained_columns"]
        assert keys == [column.name for column in table.primary_key.columns], name
    store.close()
