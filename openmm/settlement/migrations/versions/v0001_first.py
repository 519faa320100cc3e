"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "asset",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "asset"),
    )
    op.create_table(
        "balance",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("total_atoms", sa.BigInteger(), nullable=False),
        sa.Column("change_atoms", sa.BigInteger(), nullable=True),
        sa.Column("fee_atoms", sa.BigInteger(), nullable=False),
        sa.Column("ref_id", sa.String(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
    )
    op.create_table(
        "book_event",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.Column("break_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
    )
    op.create_table(
        "command",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("door", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
    )
    op.create_table(
        "fill",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("exec_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("venue_order_id", sa.String(), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("price_ticks", sa.BigInteger(), nullable=False),
        sa.Column("qty_lots", sa.BigInteger(), nullable=False),
        sa.Column("base_atoms", sa.BigInteger(), nullable=False),
        sa.Column("quote_atoms", sa.BigInteger(), nullable=False),
        sa.Column("maker", sa.Integer(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), nullable=False),
        sa.Column("reference_uticks", sa.BigInteger(), nullable=True),
        sa.Column("captured_atoms", sa.BigInteger(), nullable=True),
        sa.Column("realised_average_atoms", sa.BigInteger(), nullable=False),
        sa.Column("realised_fifo_atoms", sa.BigInteger(), nullable=False),
        sa.Column("position_atoms", sa.BigInteger(), nullable=False),
        sa.Column("basis_average_atoms", sa.BigInteger(), nullable=False),
        sa.Column("basis_fifo_atoms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
        sa.UniqueConstraint("session_id", "venue", "exec_id", name="fill_books_once"),
    )
    op.create_index("fill_by_execution", "fill", ["exec_id"], unique=False)
    op.create_table(
        "incident",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("amount", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", "record_index", "line"),
    )
    op.create_table(
        "instrument",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "venue", "name"),
    )
    op.create_table(
        "latency",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("bucket_ns", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("max_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "stage", "bucket_ns"),
    )
    op.create_table(
        "order",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("price_ticks", sa.BigInteger(), nullable=False),
        sa.Column("qty_lots", sa.BigInteger(), nullable=False),
        sa.Column("placed_lots", sa.BigInteger(), nullable=False),
        sa.Column("filled_lots", sa.BigInteger(), nullable=False),
        sa.Column("pending_price_ticks", sa.BigInteger(), nullable=False),
        sa.Column("pending_qty_lots", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("acked", sa.Integer(), nullable=False),
        sa.Column("amended_count", sa.Integer(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("unsent", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("venue_order_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "seq"),
    )
    op.create_table(
        "posting",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("atoms", sa.BigInteger(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index", "line"),
    )
    op.create_table(
        "progress",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("next_index", sa.BigInteger(), nullable=False),
        sa.Column("lost_count", sa.BigInteger(), nullable=False),
        sa.Column("last_ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_table(
        "refusal",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("action_kind", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("price_ticks", sa.BigInteger(), nullable=False),
        sa.Column("qty_lots", sa.BigInteger(), nullable=False),
        sa.Column("limit_value", sa.String(), nullable=False),
        sa.Column("seen_value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
    )
    op.create_table(
        "risk_event",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
    )
    op.create_table(
        "session",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("venue", sa.String(), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False),
        sa.Column("build", sa.String(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("seeds", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.Column("open_order_count", sa.Integer(), nullable=True),
        sa.Column("counters", sa.Text(), nullable=True),
        sa.Column("journal_hash", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_table(
        "touch",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("second", sa.BigInteger(), nullable=False),
        sa.Column("observed_ns", sa.BigInteger(), nullable=False),
        sa.Column("bid_quoted_ns", sa.BigInteger(), nullable=False),
        sa.Column("bid_touch_ns", sa.BigInteger(), nullable=False),
        sa.Column("ask_quoted_ns", sa.BigInteger(), nullable=False),
        sa.Column("ask_touch_ns", sa.BigInteger(), nullable=False),
        sa.Column("reference_uticks", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("session_id", "second"),
    )
    op.create_table(
        "transition",
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("record_index", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.Integer(), nullable=False),
        sa.Column("to_state", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("price_ticks", sa.BigInteger(), nullable=False),
        sa.Column("qty_lots", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "record_index"),
    )
    op.create_index("transition_by_order", "transition", ["session_id", "seq"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_index("transition_by_order", table_name="transition")
    op.drop_table("transition")
    op.drop_table("touch")
    op.drop_table("session")
    op.drop_table("risk_event")
    op.drop_table("refusal")
    op.drop_table("progress")
    op.drop_table("posting")
    op.drop_table("order")
    op.drop_table("latency")
    op.drop_table("instrument")
    op.drop_table("incident")
    op.drop_index("fill_by_execution", table_name="fill")
    op.drop_table("fill")
    op.drop_table("command")
    op.drop_table("book_event")
    op.drop_table("balance")
    op.drop_table("asset")
