"""The store: tables of sessions, orders, fills and postings. SQLite by default, others by URL.

Every amount is an integer of atoms; `asset` holds how many decimals an atom has in that session.
Rows come from journal records and are keyed by them; `progress` moves in the same transaction as
the rows, so a record is stored once however often the writer dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from openmm.address import without_password
from openmm.errors import LedgerError

SCHEMA_VERSION = "0004"
MIGRATION_LOCK = 0x6F70656E6D6D  # "openmm": of the advisory lock under which tables are made
# How long a PostgreSQL server may take; what the address says itself comes first.
# Source: PostgreSQL documentation, "Database Connection Control Functions", "Client Connection
# Defaults".
PATIENCE = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "options": "-c statement_timeout=30000 -c lock_timeout=10000",
    "application_name": "openmm",
}
_BIG = sa.BigInteger()


class Whole(sa.types.TypeDecorator[int]):
    """An integer of any size, as text: sums over a long session pass 64 bits."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> str | None:
        """Write digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> int | None:
        """Read digits."""
        return None if value is None else int(value)


_WHOLE = Whole()

metadata = sa.MetaData()

session = sa.Table(
    "session",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("bot", sa.String, nullable=False),
    sa.Column("mode", sa.String, nullable=False),
    sa.Column("venue", sa.String, nullable=False),
    sa.Column("instrument", sa.String, nullable=False),
    sa.Column("build", sa.String, nullable=False),
    sa.Column("started_ns", _BIG, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("seeds", sa.Text, nullable=False),
    sa.Column("state", sa.String, nullable=False),  # running, ended, lost
    sa.Column("ended_ns", _BIG),
    sa.Column("end_reason", sa.String),
    sa.Column("open_order_count", sa.Integer),
    sa.Column("counters", sa.Text),
    sa.Column("journal_hash", sa.String),
    # What its uptime was measured by; None: not measured.
    sa.Column("uptime_within_ppm", _BIG),
    sa.Column("uptime_depth", sa.String),
)

# Where the booking of a session stands; `state` is what it must remember between records.
progress = sa.Table(
    "progress",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("next_index", _BIG, nullable=False),
    sa.Column("lost_count", _BIG, nullable=False),
    sa.Column("last_ts_ns", _BIG, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)

instrument = sa.Table(
    "instrument",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("venue", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),  # the journal's JSON
)

asset = sa.Table(
    "asset",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("asset", sa.String, primary_key=True),
    sa.Column("decimals", sa.Integer, nullable=False),
)

order = sa.Table(
    "order",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("seq", _BIG, primary_key=True),
    sa.Column("side", sa.Integer, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("price_ticks", _BIG, nullable=False),
    sa.Column("qty_lots", _BIG, nullable=False),
    sa.Column("placed_lots", _BIG, nullable=False),  # the most it ever asked for
    sa.Column("filled_lots", _BIG, nullable=False),
    sa.Column("pending_price_ticks", _BIG, nullable=False),
    sa.Column("pending_qty_lots", _BIG, nullable=False),
    sa.Column("state", sa.Integer, nullable=False),
    sa.Column("acked", sa.Integer, nullable=False),
    sa.Column("amended_count", sa.Integer, nullable=False),
    sa.Column("created_ns", _BIG, nullable=False),
    sa.Column("ended_ns", _BIG),
    sa.Column("unsent", sa.Integer, nullable=False),  # 1: its bytes never left
    sa.Column("client_id", sa.String, nullable=False),
    sa.Column("venue_order_id", sa.String, nullable=False),
)

transition = sa.Table(
    "transition",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("seq", _BIG, nullable=False),
    sa.Column("event", sa.Integer, nullable=False),
    sa.Column("from_state", sa.Integer, nullable=False),
    sa.Column("to_state", sa.Integer, nullable=False),
    sa.Column("evidence", sa.String, nullable=False),
    sa.Column("price_ticks", _BIG, nullable=False),
    sa.Column("qty_lots", _BIG, nullable=False),
    sa.Index("transition_by_order", "session_id", "seq"),
)

fill = sa.Table(
    "fill",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("venue", sa.String, nullable=False),
    sa.Column("exec_id", sa.String, nullable=False),
    sa.Column("seq", _BIG, nullable=False),
    sa.Column("client_id", sa.String, nullable=False),
    sa.Column("venue_order_id", sa.String, nullable=False),
    sa.Column("instrument", sa.String, nullable=False),
    sa.Column("side", sa.Integer, nullable=False),
    sa.Column("price_ticks", _BIG, nullable=False),
    sa.Column("qty_lots", _BIG, nullable=False),
    sa.Column("base_atoms", _BIG, nullable=False),
    sa.Column("quote_atoms", _BIG, nullable=False),  # the cost the venue stated
    sa.Column("maker", sa.Integer, nullable=False),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("evidence", sa.String, nullable=False),
    sa.Column("trade_id", _BIG, nullable=False),
    sa.Column("reference_uticks", _BIG),
    sa.Column("captured_atoms", _BIG),  # quote; spread captured against the reference
    sa.Column("realised_average_atoms", _BIG, nullable=False),
    sa.Column("realised_fifo_atoms", _BIG, nullable=False),
    # after this fill: net base of the session's fills and what it cost
    sa.Column("position_atoms", _BIG, nullable=False),
    sa.Column("basis_average_atoms", _BIG, nullable=False),
    sa.Column("basis_fifo_atoms", _BIG, nullable=False),
    sa.Column("level", sa.Integer),  # of its order, 0 the best; -1: not known
    sa.Column("arrived_ns", _BIG),  # of its record; no fill before it has a later one
    sa.UniqueConstraint("session_id", "venue", "exec_id", name="fill_books_once"),
    sa.Index("fill_by_execution", "exec_id"),
)

# Double entry: over the rows of one entry the atoms of each asset add up to zero.
posting = sa.Table(
    "posting",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),  # opening, fill, fee, transfer, cost, adjustment
    sa.Column("account", sa.String, nullable=False),
    sa.Column("asset", sa.String, nullable=False),
    sa.Column("atoms", _BIG, nullable=False),  # debit positive, credit negative
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("ts_ns", _BIG, nullable=False),
)

balance = sa.Table(
    "balance",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("venue", sa.String, nullable=False),
    sa.Column("asset", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("total_atoms", _BIG, nullable=False),
    sa.Column("change_atoms", _BIG),
    sa.Column("fee_atoms", _BIG, nullable=False),
    sa.Column("ref_id", sa.String, nullable=False),
    sa.Column("ts_ns", _BIG, nullable=False),
)

operator_command = sa.Table(
    "command",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("command", sa.String, nullable=False),
    sa.Column("arguments", sa.Text, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("door", sa.String, nullable=False),
    # done, or refused and why; empty: of a journal that did not tell
    sa.Column("verdict", sa.String, nullable=False, server_default=""),
)

risk_event = sa.Table(
    "risk_event",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("from_state", sa.String, nullable=False),
    sa.Column("to_state", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("detail", sa.String, nullable=False),
)

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("asset", sa.String, nullable=False),
    sa.Column("amount", sa.String),
    # Of one with a life of its own, a row for each change of it: how it stood then.
    sa.Column("subject", sa.Text, nullable=False, server_default=""),
    sa.Column("cause", sa.Text, nullable=False, server_default=""),
    sa.Column("state", sa.Text, nullable=False, server_default=""),
    sa.Column("resolution", sa.Text, nullable=False, server_default=""),
    sa.Column("number", _BIG, nullable=False, server_default="0"),
    sa.Column("since_ns", _BIG, nullable=False, server_default="0"),
)

refusal = sa.Table(
    "refusal",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("action_kind", sa.Integer, nullable=False),
    sa.Column("seq", _BIG, nullable=False),
    sa.Column("side", sa.Integer, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("price_ticks", _BIG, nullable=False),
    sa.Column("qty_lots", _BIG, nullable=False),
    sa.Column("limit_value", sa.String, nullable=False),
    sa.Column("seen_value", sa.String, nullable=False),
)

book_event = sa.Table(
    "book_event",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("record_index", _BIG, primary_key=True),
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Column("feed", sa.Integer, nullable=False),
    sa.Column("state", sa.Integer, nullable=False),
    sa.Column("reason", sa.Integer, nullable=False),
    sa.Column("break_count", _BIG, nullable=False),
)

# Where our quotes stood, in spans of one second: nanoseconds by side, and the last state of it.
# "deep": live with at least the wanted depth within the wanted distance of the reference.
touch = sa.Table(
    "touch",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("second", _BIG, primary_key=True),
    sa.Column("observed_ns", _BIG, nullable=False),
    sa.Column("bid_quoted_ns", _BIG, nullable=False),
    sa.Column("bid_touch_ns", _BIG, nullable=False),
    sa.Column("ask_quoted_ns", _BIG, nullable=False),
    sa.Column("ask_touch_ns", _BIG, nullable=False),
    sa.Column("reference_uticks", _BIG),
    sa.Column("bid_deep_ns", _BIG, nullable=False, server_default="0"),
    sa.Column("ask_deep_ns", _BIG, nullable=False, server_default="0"),
    sa.Column("both_deep_ns", _BIG, nullable=False, server_default="0"),
    sa.Column("best_bid_ticks", _BIG),
    sa.Column("best_ask_ticks", _BIG),
    sa.Column("own_bid_ticks", _BIG),
    sa.Column("own_ask_ticks", _BIG),
    sa.Column("share_ppm", _BIG),  # base share of the account's value, and the one wanted
    sa.Column("target_ppm", _BIG),
)

latency = sa.Table(
    "latency",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("stage", sa.String, primary_key=True),
    sa.Column("bucket_ns", _BIG, primary_key=True),  # lower end; see `histogram`
    sa.Column("count", _BIG, nullable=False),
    sa.Column("max_ns", _BIG, nullable=False),
)


# ---------------------------------------------------------------- sums
# Each row holds what the rows of fills and postings add up to; it moves in their transaction.

account_total = sa.Table(
    "account_total",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("asset", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("atoms", _WHOLE, nullable=False),
)

# What no fill moved: transfers, costs, adjustments; each reference counts once.
movement = sa.Table(
    "movement",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("ref", sa.String, primary_key=True),
    sa.Column("asset", sa.String, primary_key=True),
    sa.Column("record_index", _BIG, nullable=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("atoms", _BIG, nullable=False),  # what the account got
    sa.Column("ts_ns", _BIG, nullable=False),
    sa.Index("movement_by_ref", "ref"),
)

# What the venue last said it holds.
statement = sa.Table(
    "statement",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("asset", sa.String, primary_key=True),
    sa.Column("record_index", _BIG, nullable=False),
    sa.Column("total_atoms", _BIG, nullable=False),
    sa.Column("ts_ns", _BIG, nullable=False),
)

traded = sa.Table(
    "traded",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("instrument", sa.String, primary_key=True),
    sa.Column("side", sa.Integer, primary_key=True),
    sa.Column("maker", sa.Integer, primary_key=True),
    sa.Column("fills", _BIG, nullable=False),
    sa.Column("base_atoms", _WHOLE, nullable=False),
    sa.Column("quote_atoms", _WHOLE, nullable=False),
    # of the fills that had a reference
    sa.Column("captured_fills", _BIG, nullable=False),
    sa.Column("captured_quote_atoms", _WHOLE, nullable=False),
    sa.Column("captured_atoms", _WHOLE, nullable=False),
)

position = sa.Table(
    "position",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("instrument", sa.String, primary_key=True),
    sa.Column("position_atoms", _WHOLE, nullable=False),
    sa.Column("basis_average_atoms", _WHOLE, nullable=False),
    sa.Column("basis_fifo_atoms", _WHOLE, nullable=False),
    sa.Column("realised_average_atoms", _WHOLE, nullable=False),
    sa.Column("realised_fifo_atoms", _WHOLE, nullable=False),
    sa.Column("lots_closed", _BIG, nullable=False),
)

# What FIFO still holds, in the order of opening.
lot = sa.Table(
    "lot",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("instrument", sa.String, primary_key=True),
    sa.Column("number", _BIG, primary_key=True),
    sa.Column("base_atoms", _WHOLE, nullable=False),
    sa.Column("quote_atoms", _WHOLE, nullable=False),
)

# P&L by cause: docs/report.md has the formulas. `hour`: since 1970.
cause = sa.Table(
    "cause",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("hour", _BIG, primary_key=True),
    sa.Column("venue", sa.String, primary_key=True),
    sa.Column("level", sa.Integer, primary_key=True),
    # of the fills of the hour
    sa.Column("fills", _BIG, nullable=False),
    sa.Column("quote_atoms", _WHOLE, nullable=False),
    sa.Column("spread_atoms", _WHOLE, nullable=False),
    sa.Column("adverse_atoms", _WHOLE, nullable=False),
    sa.Column("unsplit_atoms", _WHOLE, nullable=False),
    # of the fills whose minute ended in the hour: base, and what it was worth then
    sa.Column("matured_base_atoms", _WHOLE, nullable=False),
    sa.Column("matured_atoms", _WHOLE, nullable=False),
)

markout = sa.Table(
    "markout",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("hour", _BIG, primary_key=True),
    sa.Column("venue", sa.String, primary_key=True),
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("horizon_ms", sa.Integer, primary_key=True),
    sa.Column("fills", _BIG, nullable=False),
    sa.Column("late", _BIG, nullable=False),  # fills left out: no reference in time
    sa.Column("quote_atoms", _WHOLE, nullable=False),
    sa.Column("atoms", _WHOLE, nullable=False),
)

charge = sa.Table(
    "charge",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("hour", _BIG, primary_key=True),
    sa.Column("venue", sa.String, primary_key=True),
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),  # fee, cost
    sa.Column("name", sa.String, primary_key=True),  # of the cost
    sa.Column("asset", sa.String, primary_key=True),
    sa.Column("atoms", _WHOLE, nullable=False),
)

# The last price of each hour: the traded pair's is the reference, others' are rates.
rate = sa.Table(
    "rate",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("venue", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("hour", _BIG, primary_key=True),
    sa.Column("price_uticks", _BIG, nullable=False),
    sa.Column("ts_ns", _BIG, nullable=False),
)


class Store:
    """A database that holds the tables at this version of the schema.

    Args:
        url: of SQLAlchemy; a plain path means SQLite.
        create: make the database and its tables, or bring them to this version; else it is only
            read, and has to be there.

    Raises:
        LedgerError: the database is of another version, absent (`no_store`), or cannot be opened.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.url = url if "://" in url else f"sqlite:///{url}"
        self.told = without_password(self.url)
        try:
            place = sa.engine.make_url(self.url)
            if not create:
                place = _read_only(place)
            self.engine = _engine(place, create)
            with ExitStack() as opened:
                opened.callback(self.close)
                self._migrate() if create else self._refuse_other()
                opened.pop_all()
        except ModuleNotFoundError as error:
            raise LedgerError(
                f"the store {self.told} needs a driver that is not installed ({error.name}): "
                "pip install 'openmm-engine[postgres]'",
                code="no_driver",
            ) from None
        except (sa.exc.DatabaseError, sa.exc.ArgumentError) as error:
            # A driver's own words may repeat the address, so nothing of the chain is kept.
            why = _without(str(error), self.url)
            raise LedgerError(f"cannot open the store {self.told}: {why}") from None

    def _revision(self) -> str | None:
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def _refuse_other(self) -> None:
        found = self._revision()
        if found != SCHEMA_VERSION:
            known = f"this build reads {SCHEMA_VERSION}; running the bot brings it up to date"
            told = "no ledger" if found is None else f"of version {found}"
            raise LedgerError(f"the store {self.told} is {told}: {known}")

    def _migrate(self) -> None:
        found = self._revision()
        if found == SCHEMA_VERSION:
            return
        if found is not None and found > SCHEMA_VERSION:
            raise LedgerError(f"store is of version {found}, this build knows {SCHEMA_VERSION}")
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Bots that share a database may start at once: the second finds it done.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            elif connection.dialect.name == "sqlite":
                # Python's driver begins none for DDL: a writer killed on the way would leave half
                # of the tables, which no later one could make.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def begin(self) -> Any:
        """Open a transaction: a context manager that gives a connection."""
        return self.engine.begin()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection to read by: on PostgreSQL all of it sees one moment.

        Raises:
            LedgerError: the database fails, within the block as well.
        """
        try:
            with self.engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(
                        isolation_level="REPEATABLE READ", postgresql_readonly=True
                    )
                yield connection
        except sa.exc.SQLAlchemyError as error:
            why = _without(str(error), self.url)
            raise LedgerError(f"cannot read the store {self.told}: {why}") from None

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _read_only(url: sa.engine.URL) -> sa.engine.URL:
    """Return the address that opens an SQLite file without ever making or changing it."""
    if url.get_backend_name() != "sqlite":
        return url
    if not url.database or not Path(url.database).is_file():
        raise LedgerError(f"no ledger: {url.database or url}", code="no_store")
    return url.set(database=f"file:{quote(url.database)}", query={"mode": "ro", "uri": "true"})


def _without(text: str, url: str) -> str:
    """Take a password out of a message."""
    try:
        password = sa.engine.make_url(url).password
    except sa.exc.ArgumentError:
        return "not an address of a database"
    return text.replace(str(password), "…") if password else text


def _writable(
    _connection: Connection,
    _cursor: object,
    statement: str,
    parameters: Any,
    _context: object,
    _many: bool,
) -> tuple[str, Any]:
    """Replace the one character that PostgreSQL's texts cannot hold: a venue's words may have it.

    Source: PostgreSQL documentation, "Character Types".
    """
    return statement, _without_nul(parameters)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    if isinstance(value, dict):
        return {key: _without_nul(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_nul(one) for one in value)
    return value


def _engine(url: sa.engine.URL, create: bool) -> Engine:
    # A statement's parameters hold the account's money: they are no part of an error's text.
    if url.get_backend_name() == "postgresql":
        # A server that went and came back is noticed; one that hangs holds nobody for long.
        given = {key: value for key, value in PATIENCE.items() if key not in url.query}
        server = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=given)
        sa.event.listen(server, "before_cursor_execute", _writable, retval=True)
        return server
    engine = sa.create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: object) -> None:
            cursor = connection.cursor()
            if create:
                cursor.execute("PRAGMA journal_mode=WAL")
                # The journal is what must survive a power cut; the store is rebuilt from it.
                cursor.execute("PRAGMA synchronous=NORMAL")
                cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA busy_timeout=1000")
            cursor.close()

    return engine


def upsert(
    connection: Connection,
    table: sa.Table,
    rows: list[dict[str, Any]],
    added: tuple[str, ...] = (),
    greatest: tuple[str, ...] = (),
) -> None:
    """Insert rows; where the key exists, replace every other column.

    Columns named in `added` are summed with what is there; of `greatest` the larger is kept.
    """
    if not rows:
        return
    name = connection.dialect.name
    if name == "sqlite":
        statement: Any = sqlite.insert(table)
        larger: Any = sa.func.max
    elif name == "postgresql":
        statement = postgresql.insert(table)
        larger = sa.func.greatest
    else:
        raise LedgerError(f"store does not know how to write to {name}")
    keys = [column.name for column in table.primary_key]
    changes: dict[str, Any] = {}
    for column in table.columns:
        if column.name in keys:
            continue
        new = statement.excluded[column.name]
        if column.name in added:
            new = column + new
        elif column.name in greatest:
            new = larger(column, new)
        changes[column.name] = new
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)
