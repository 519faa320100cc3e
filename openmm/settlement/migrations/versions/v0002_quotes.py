"""Quotes by the second and how deep they stood; what came of commands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SPANS = ("bid_deep_ns", "ask_deep_ns", "both_deep_ns")
STATES = (
    "best_bid_ticks", "best_ask_ticks", "own_bid_ticks", "own_ask_ticks", "share_ppm", "target_ppm",
)  # fmt: skip


def upgrade() -> None:
    """Add the columns; rows that are there say that nothing was measured."""
    for name in SPANS:
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("touch", column)
    for name in STATES:
        op.add_column("touch", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("uptime_within_ppm", sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("uptime_depth", sa.String(), nullable=True))
    op.add_column("command", sa.Column("verdict", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("command", "verdict")
    op.drop_column("session", "uptime_depth")
    op.drop_column("session", "uptime_within_ppm")
    for name in (*STATES, *SPANS):
        op.drop_column("touch", name)
