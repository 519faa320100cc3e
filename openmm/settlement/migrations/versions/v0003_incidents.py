"""Incidents with a life of their own: number, subject, cause, since when, state, how they ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXTS = ("subject", "cause", "state", "resolution")
NUMBERS = ("number", "since_ns")


def upgrade() -> None:
    """Add the columns; incidents of before have none of it."""
    for name in TEXTS:
        op.add_column("incident", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in NUMBERS:
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("incident", column)


def downgrade() -> None:
    """Drop the columns."""
    for name in (*TEXTS, *NUMBERS):
        op.drop_column("incident", name)
