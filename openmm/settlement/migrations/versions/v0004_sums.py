"""Sums beside the rows: what report and restart need without reading the history."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from openmm.settlement.pnl import AverageCost, Fifo

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and fill in what the old rows tell; the causes of old fills are not known."""
    op.add_column("fill", sa.Column("level", sa.Integer(), nullable=True))
    op.add_column("fill", sa.Column("arrived_ns", sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    _make_sums()
    _make_causes()
    _add_up_postings(connection)
    _add_up_fills(connection)
    op.execute(
        "INSERT INTO statement (session_id, asset, record_index, total_atoms, ts_ns) "
        "SELECT b.session_id, b.asset, b.record_index, b.total_atoms, b.ts_ns FROM balance b "
        "JOIN (SELECT session_id, asset, max(record_index) AS last FROM balance "
        "GROUP BY session_id, asset) l ON b.session_id = l.session_id AND b.record_index = l.last"
    )


def _make_sums() -> None:
    op.create_table(
        "account_total",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("atoms", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "account", "asset", "kind"),
    )
    op.create_table(
        "movement",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("atoms", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "kind", "ref", "asset"),
    )
    op.create_index("movement_by_ref", "movement", ["ref"])
    op.create_table(
        "statement",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("total_atoms", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "asset"),
    )
    op.create_table(
        "traded",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("maker", sa.Integer(), nullable=False),
        sa.Column("fills", sa.BigInteger(), nullable=False),
        sa.Column("base_atoms", sa.String(), nullable=False),
        sa.Column("quote_atoms", sa.String(), nullable=False),
        sa.Column("captured_fills", sa.BigInteger(), nullable=False),
        sa.Column("captured_quote_atoms", sa.String(), nullable=False),
        sa.Column("captured_atoms", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "instrument", "side", "maker"),
    )
    op.create_table(
        "position",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("position_atoms", sa.String(), nullable=False),
        sa.Column("basis_average_atoms", sa.String(), nullable=False),
        sa.Column("basis_fifo_atoms", sa.String(), nullable=False),
        sa.Column("realised_average_atoms", sa.String(), nullable=False),
        sa.Column("realised_fifo_atoms", sa.String(), nullable=False),
        sa.Column("lots_closed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "instrument"),
    )
    op.create_table(
        "lot",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("base_atoms", sa.String(), nullable=False),
        sa.Column("quote_atoms", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "instrument", "number"),
    )


def _make_causes() -> None:
    op.create_table(
        "cause",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("fills", sa.BigInteger(), nullable=False),
        sa.Column("quote_atoms", sa.String(), nullable=False),
        sa.Column("spread_atoms", sa.String(), nullable=False),
        sa.Column("adverse_atoms", sa.String(), nullable=False),
        sa.Column("unsplit_atoms", sa.String(), nullable=False),
        sa.Column("matured_base_atoms", sa.String(), nullable=False),
        sa.Column("matured_atoms", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "hour", "venue", "level"),
    )
    op.create_table(
        "markout",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("horizon_ms", sa.Integer(), nullable=False),
        sa.Column("fills", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.BigInteger(), nullable=False),
        sa.Column("quote_atoms", sa.String(), nullable=False),
        sa.Column("atoms", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "hour", "venue", "level", "horizon_ms"),
    )
    op.create_table(
        "charge",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("atoms", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "hour", "venue", "level", "kind", "name", "asset"),
    )
    op.create_table(
        "rate",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("price_uticks", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "venue", "name", "hour"),
    )


def _add_up_postings(connection: Connection) -> None:
    table = sa.table("posting", *(sa.column(name) for name in (
        "session_id", "record_index", "kind", "account", "asset", "atoms", "ref", "ts_ns"
    )))  # fmt: skip
    totals: dict[tuple[str, str, str, str], int] = defaultdict(int)
    movements = []
    for row in connection.execute(sa.select(table)):
        totals[row.session_id, row.account, row.asset, row.kind] += row.atoms
        if row.kind in ("transfer", "cost") and row.account.startswith("venue:"):
            movements.append(row)
    _insert(
        connection,
        "account_total",
        [
            {"session_id": key[0], "account": key[1], "asset": key[2], "kind": key[3],
             "atoms": atoms}
            for key, atoms in totals.items()
        ],
    )  # fmt: skip
    _insert(
        connection,
        "movement",
        [
            {"session_id": row.session_id, "kind": row.kind, "ref": row.ref, "asset": row.asset,
             "record_index": row.record_index, "account": row.account, "name": "",
             "atoms": row.atoms, "ts_ns": row.ts_ns}
            for row in movements
        ],
    )  # fmt: skip


def _add_up_fills(connection: Connection) -> None:
    names = ("session_id", "record_index", "instrument", "side", "maker", "base_atoms")
    more = ("quote_atoms", "captured_atoms", "realised_average_atoms", "realised_fifo_atoms")
    table = sa.table("fill", *(sa.column(name) for name in (*names, *more)))
    traded: dict[tuple[str, str, int, int], list[int]] = defaultdict(lambda: [0] * 6)
    books: dict[tuple[str, str], tuple[AverageCost, Fifo, list[int]]] = {}
    statement = sa.select(table).order_by(table.c.session_id, table.c.record_index)
    for row in connection.execute(statement):
        sums = traded[row.session_id, row.instrument, row.side, row.maker]
        known = row.captured_atoms is not None
        for place, value in enumerate(
            (1, row.base_atoms, row.quote_atoms, int(known), row.quote_atoms if known else 0,
             row.captured_atoms or 0)
        ):  # fmt: skip
            sums[place] += value
        book = books.setdefault((row.session_id, row.instrument), (AverageCost(), Fifo(), [0, 0]))
        book[2][0] += book[0].fill(row.side, row.base_atoms, row.quote_atoms)
        book[2][1] += book[1].fill(row.side, row.base_atoms, row.quote_atoms)
    columns = ("fills", "base_atoms", "quote_atoms", "captured_fills", "captured_quote_atoms")
    _insert(
        connection,
        "traded",
        [
            {"session_id": key[0], "instrument": key[1], "side": key[2], "maker": key[3]}
            | dict(zip((*columns, "captured_atoms"), sums, strict=True))
            for key, sums in traded.items()
        ],
    )
    _insert(
        connection,
        "position",
        [
            {"session_id": key[0], "instrument": key[1], "position_atoms": average.position_atoms,
             "basis_average_atoms": average.basis_atoms, "basis_fifo_atoms": fifo.basis_atoms,
             "realised_average_atoms": sums[0], "realised_fifo_atoms": sums[1],
             "lots_closed": fifo.closed_count}
            for key, (average, fifo, sums) in books.items()
        ],
    )  # fmt: skip
    _insert(
        connection,
        "lot",
        [
            {"session_id": key[0], "instrument": key[1], "number": fifo.closed_count + place,
             "base_atoms": base, "quote_atoms": quote}
            for key, (_, fifo, _sums) in books.items()
            for place, (base, quote) in enumerate(fifo.lots)
        ],
    )  # fmt: skip


def _insert(connection: Connection, name: str, rows: list[dict[str, object]]) -> None:
    """Insert rows; an amount of atoms in these tables is text."""
    if not rows:
        return
    texts = {key for key in rows[0] if key.endswith("_atoms")}
    texts |= {"atoms"} if name == "account_total" else set()
    table = sa.table(name, *(sa.column(key) for key in rows[0]))
    connection.execute(
        sa.insert(table), [row | {key: str(row[key]) for key in texts} for row in rows]
    )
