"""The schema: made, brought up to date with what it holds, and the same on every database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from openmm import journal
from openmm._fast.tape import Record
from openmm.errors import LedgerError
from openmm.settlement import store as tables
from openmm.settlement.booking import Booker
from openmm.settlement.report import load_report
from openmm.settlement.store import SCHEMA_VERSION, Store
from tests.settlement.made import T0, hand_made

Database = Callable[[str], str]
MIGRATIONS = Path(tables.__file__).parent / "migrations"


def make_first(url: str) -> None:
    """Make a database of the first schema, with a session of its time in it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            sa.text(
                "INSERT INTO session (session_id, bot, mode, venue, instrument, build, started_ns,"
                " config, seeds, state) VALUES ('old', 'grid', 'paper', 'kraken', 'BTC/USD',"
                f" '0.0.1', {T0 - 10**12}, '{{}}', '{{}}', 'ended')"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO command VALUES ('old', 3, :ts, 'halt', '{}', 'ann', 'cli')"
            ).bindparams(ts=T0)
        )
        connection.execute(sa.text("INSERT INTO touch VALUES ('old', 7, 5, 4, 3, 2, 1, NULL)"))
    engine.dispose()


def test_store_of_the_first_version_is_brought_up_to_date_and_goes_on(database: Database) -> None:
    url = database("store")
    make_first(url)
    with pytest.raises(LedgerError, match="of version 0001"):
        Store(url, create=False)
    store = Store(url)
    with store.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == SCHEMA_VERSION
        old = connection.execute(sa.select(tables.operator_command)).one()
        assert (old.by, old.verdict) == ("ann", "")
        second = connection.execute(sa.select(tables.touch)).one()
        assert (second.observed_ns, second.ask_touch_ns, second.both_deep_ns) == (5, 1, 0)
        assert second.own_bid_ticks is None
    booker = Booker(store, "s-1")
    booker.apply(hand_made())
    booker.commit()
    store.close()
    assert load_report(url).volume.fills == 4


def test_store_whose_making_was_cut_off_is_made_anew(database: Database) -> None:
    url = database("store")

    def cut(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "CREATE TABLE fill" in statement:
            raise InterruptedError

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", cut)
    try:
        with pytest.raises(InterruptedError):
            Store(url)
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", cut)
    Store(url).close()
    Store(url, create=False).close()


def test_schema_of_the_migrations_is_the_one_declared(database: Database) -> None:
    store = Store(database("store"))
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    store.close()


def test_every_table_of_the_account_is_filled(database: Database) -> None:
    store = Store(database("store"))
    booker = Booker(store, "s-1")
    booker.apply(hand_made())
    booker.commit()
    with store.engine.connect() as connection:
        for name in ("session", "order", "transition", "fill", "posting", "incident", "command"):
            count = sa.select(sa.func.count()).select_from(tables.metadata.tables[name])
            assert connection.execute(count).scalar_one() > 0, name
        told = connection.execute(sa.select(tables.operator_command)).one()
    store.close()
    assert (told.command, told.arguments, told.by) == ("pause", '{"why":"tea"}', "me")
    assert (told.door, told.verdict, told.ts_ns) == ("cli", "done", T0 + 8_000_000_000)


def test_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"openmm-engine\[postgres\]") as found:
        Store("postgresql+psycopg://ann:hush@127.0.0.1:1/mm")
    assert found.value.code == "no_driver"
    assert "hush" not in str(found.value)


def test_text_with_a_nul_stops_no_store(database: Database) -> None:
    records = hand_made()
    at = next(place for place, r in enumerate(records) if r[1] == Record.REC_INCIDENT)
    told = journal.incident_record("the venue said: a\0b", kind="feed")
    records[at] = (*records[at][:4], told)
    store = Store(database("store"))
    booker = Booker(store, "s-1")
    booker.apply(records)
    booker.commit()
    with store.engine.connect() as connection:
        kind = tables.incident.c.kind == "feed"
        text = connection.execute(sa.select(tables.incident.c.text).where(kind)).scalar_one()
    store.close()
    assert text.replace("\ufffd", "\0") == "the venue said: a\0b"
